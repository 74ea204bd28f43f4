/* P-256 signing keys at persistent handles. */
#include <pthread.h>
#include <stdlib.h>
#include <string.h>

#include "crypto/p256_der.h"
#include "crypto/port/tpm/tpm_port.h"
#include "crypto/sha256.h"

typedef struct {
    pthread_mutex_t lock; /* threads of one process take turns */
    uint32_t handle;
    porch_public_key public_key;
    char tcti[256];
} tpm_key;

/* Made in the TPM, stays in it and under its parent, signs what it is given. */
static const TPM2B_PUBLIC key_template = {
    .publicArea = {.type = TPM2_ALG_ECC,
                   .nameAlg = TPM2_ALG_SHA256,
                   .objectAttributes = TPMA_OBJECT_FIXEDTPM | TPMA_OBJECT_FIXEDPARENT |
                                       TPMA_OBJECT_SENSITIVEDATAORIGIN | TPMA_OBJECT_USERWITHAUTH |
                                       TPMA_OBJECT_NODA | TPMA_OBJECT_SIGN_ENCRYPT,
                   .parameters.eccDetail = {.symmetric.algorithm = TPM2_ALG_NULL,
                                            .scheme.scheme = TPM2_ALG_NULL,
                                            .curveID = TPM2_ECC_NIST_P256,
                                            .kdf.scheme = TPM2_ALG_NULL}},
};

/* A restricted signing key of the endorsement hierarchy: it signs only what the TPM itself says. The same
 * at every call, so a factory can write its public half down once. */
static const TPM2B_PUBLIC attester_template = {
    .publicArea = {.type = TPM2_ALG_ECC,
                   .nameAlg = TPM2_ALG_SHA256,
                   .objectAttributes = TPMA_OBJECT_FIXEDTPM | TPMA_OBJECT_FIXEDPARENT |
                                       TPMA_OBJECT_SENSITIVEDATAORIGIN | TPMA_OBJECT_USERWITHAUTH |
                                       TPMA_OBJECT_NODA | TPMA_OBJECT_RESTRICTED | TPMA_OBJECT_SIGN_ENCRYPT,
                   .parameters.eccDetail = {.symmetric.algorithm = TPM2_ALG_NULL,
                                            .scheme = {.scheme = TPM2_ALG_ECDSA,
                                                       .details.ecdsa.hashAlg = TPM2_ALG_SHA256},
                                            .curveID = TPM2_ECC_NIST_P256,
                                            .kdf.scheme = TPM2_ALG_NULL}},
};

static porch_err point_of(const TPM2B_PUBLIC *from, porch_public_key *ret, porch_why *why) {
    uint8_t point[PORCH_P256_POINT_BYTES] = {4};
    if (from == NULL) return porch_fail(why, PORCH_ERR_IO, "the TPM showed no public key");
    const TPM2B_ECC_PARAMETER *x = &from->publicArea.unique.ecc.x, *y = &from->publicArea.unique.ecc.y;
    if (from->publicArea.type != TPM2_ALG_ECC ||
        from->publicArea.parameters.eccDetail.curveID != TPM2_ECC_NIST_P256 ||
        (from->publicArea.objectAttributes & TPMA_OBJECT_SIGN_ENCRYPT) == 0 ||
        x->size > PORCH_P256_NUMBER_BYTES || y->size > PORCH_P256_NUMBER_BYTES)
        return porch_fail(
            why, PORCH_ERR_UNSUPPORTED,
            "the TPM's key is not a P-256 signing key; make one with porchlight-device key-make");
    memcpy(point + 1 + PORCH_P256_NUMBER_BYTES - x->size, x->buffer, x->size);
    memcpy(point + PORCH_P256_POINT_BYTES - y->size, y->buffer, y->size);
    return porch_p256_public_key((porch_bytes){point, sizeof point}, ret);
}

static porch_err find(porch_tpm_line *l, uint32_t handle, ESYS_TR *object, porch_why *why) {
    TSS2_RC rc = Esys_TR_FromTPMPublic(l->esys, handle, ESYS_TR_NONE, ESYS_TR_NONE, ESYS_TR_NONE, object);
    if (rc == TSS2_RC_SUCCESS) return PORCH_OK;
    *object = ESYS_TR_NONE;
    return porch_fail(why, PORCH_ERR_NOT_FOUND, "the TPM has no key at handle 0x%08x", (unsigned)handle);
}

static porch_err read_public(porch_tpm_line *l, ESYS_TR object, porch_public_key *ret, porch_why *why) {
    TPM2B_PUBLIC *found = NULL;
    TSS2_RC rc =
        Esys_ReadPublic(l->esys, object, ESYS_TR_NONE, ESYS_TR_NONE, ESYS_TR_NONE, &found, NULL, NULL);
    if (rc != TSS2_RC_SUCCESS) return porch_tpm_fail(why, PORCH_ERR_IO, "reading the TPM's key", rc);
    porch_err e = point_of(found, ret, why);
    Esys_Free(found);
    return e;
}

static porch_err signature_of(const TPMT_SIGNATURE *from, porch_buf *signature, porch_why *why) {
    const TPMS_SIGNATURE_ECDSA *pair = &from->signature.ecdsa;
    porch_err e =
        porch_p256_signature_der((porch_bytes){pair->signatureR.buffer, pair->signatureR.size},
                                 (porch_bytes){pair->signatureS.buffer, pair->signatureS.size}, signature);
    return e == PORCH_OK ? e : porch_fail(why, e, "the TPM's signature does not fit");
}

static porch_err sign_at(const tpm_key *k, const TPM2B_DIGEST *digest, porch_buf *signature,
                         porch_why *why) {
    porch_tpm_line l;
    ESYS_TR object = ESYS_TR_NONE;
    TPMT_SIGNATURE *made = NULL;
    const TPMT_SIG_SCHEME scheme = {.scheme = TPM2_ALG_ECDSA, .details.ecdsa.hashAlg = TPM2_ALG_SHA256};
    const TPMT_TK_HASHCHECK outside = {.tag = TPM2_ST_HASHCHECK, .hierarchy = TPM2_RH_NULL};
    porch_err e = porch_tpm_line_open(&l, k->tcti, why);
    if (e == PORCH_OK) e = find(&l, k->handle, &object, why);
    if (e == PORCH_OK) {
        TSS2_RC rc = Esys_Sign(l.esys, object, ESYS_TR_PASSWORD, ESYS_TR_NONE, ESYS_TR_NONE, digest,
                               &scheme, &outside, &made);
        e = rc == TSS2_RC_SUCCESS ? signature_of(made, signature, why)
                                  : porch_tpm_fail(why, PORCH_ERR_IO, "signing with the TPM", rc);
    }
    Esys_Free(made);
    porch_tpm_line_close(&l);
    return e;
}

static porch_err tpm_sign_digest(void *self, porch_bytes digest, porch_buf *signature, porch_why *why) {
    tpm_key *k = self;
    TPM2B_DIGEST in = {.size = PORCH_SHA256_BYTES};
    if (digest.len != PORCH_SHA256_BYTES)
        return porch_fail(why, PORCH_ERR_UNSUPPORTED, "the TPM's keys sign SHA-256 digests");
    memcpy(in.buffer, digest.at, digest.len);
    (void)pthread_mutex_lock(&k->lock);
    porch_err e = sign_at(k, &in, signature, why);
    (void)pthread_mutex_unlock(&k->lock);
    return e;
}

static porch_err tpm_public(void *self, porch_public_key *ret, porch_why *why) {
    const tpm_key *k = self;
    (void)why;
    *ret = k->public_key;
    return PORCH_OK;
}

/* ---- evidence ----------------------------------------------------------------------------------- */

porch_err porch_tpm_attester(porch_tpm_line *l, ESYS_TR *ret, TPM2B_PUBLIC **area, porch_why *why) {
    const TPM2B_SENSITIVE_CREATE sensitive = {0};
    const TPM2B_DATA outside = {0};
    const TPML_PCR_SELECTION pcrs = {0};
    TSS2_RC rc =
        Esys_CreatePrimary(l->esys, ESYS_TR_RH_ENDORSEMENT, ESYS_TR_PASSWORD, ESYS_TR_NONE, ESYS_TR_NONE,
                           &sensitive, &attester_template, &outside, &pcrs, ret, area, NULL, NULL, NULL);
    if (rc == TSS2_RC_SUCCESS) return PORCH_OK;
    *ret = ESYS_TR_NONE;
    *area = NULL;
    return porch_tpm_fail(why, PORCH_ERR_IO, "making the key that signs the TPM's statements", rc);
}

static porch_err certify(porch_tpm_line *l, const tpm_key *k, const TPM2B_DATA *challenge,
                         porch_key_evidence *ret, porch_why *why) {
    const TPMT_SIG_SCHEME its_own = {.scheme = TPM2_ALG_NULL};
    ESYS_TR object = ESYS_TR_NONE, attester = ESYS_TR_NONE;
    TPM2B_PUBLIC *attester_public = NULL;
    TPM2B_ATTEST *statement = NULL;
    TPMT_SIGNATURE *signature = NULL;
    PORCH_TRY(find(l, k->handle, &object, why));
    PORCH_TRY(porch_tpm_attester(l, &attester, &attester_public, why));
    TSS2_RC rc = Esys_Certify(l->esys, object, attester, ESYS_TR_PASSWORD, ESYS_TR_PASSWORD, ESYS_TR_NONE,
                              challenge, &its_own, &statement, &signature);
    porch_buf out = {ret->signature, 0, sizeof ret->signature};
    porch_err e = PORCH_OK;
    if (rc != TSS2_RC_SUCCESS)
        e = porch_tpm_fail(why, PORCH_ERR_IO, "asking the TPM for evidence", rc);
    else if (statement->size > sizeof ret->statement)
        e = porch_fail(why, PORCH_ERR_NO_SPACE, "the TPM's evidence does not fit");
    if (e == PORCH_OK) {
        memcpy(ret->statement, statement->attestationData, statement->size);
        ret->statement_len = statement->size;
        e = point_of(attester_public, &ret->attester, why);
    }
    if (e == PORCH_OK) e = signature_of(signature, &out, why);
    ret->signature_len = out.len;
    (void)Esys_FlushContext(l->esys, attester);
    Esys_Free(attester_public);
    Esys_Free(statement);
    Esys_Free(signature);
    return e;
}

static porch_err tpm_identity(void *self, porch_key_identity *ret, porch_why *why) {
    tpm_key *k = self;
    porch_tpm_line l;
    (void)pthread_mutex_lock(&k->lock);
    porch_err e = porch_tpm_line_open(&l, k->tcti, why);
    if (e == PORCH_OK) e = porch_tpm_identity(&l, ret, why);
    porch_tpm_line_close(&l);
    (void)pthread_mutex_unlock(&k->lock);
    return e;
}

static porch_err tpm_activate(void *self, porch_bytes credential, porch_bytes seed, porch_buf *secret,
                              porch_why *why) {
    tpm_key *k = self;
    porch_tpm_line l;
    (void)pthread_mutex_lock(&k->lock);
    porch_err e = porch_tpm_line_open(&l, k->tcti, why);
    if (e == PORCH_OK) e = porch_tpm_activate(&l, credential, seed, secret, why);
    porch_tpm_line_close(&l);
    (void)pthread_mutex_unlock(&k->lock);
    return e;
}

static porch_err tpm_attest(void *self, porch_bytes challenge, porch_key_evidence *ret, porch_why *why) {
    tpm_key *k = self;
    porch_tpm_line l;
    porch_key_evidence made = {0};
    TPM2B_DATA data = {0};
    if (challenge.len == 0 || challenge.len > PORCH_KEY_CHALLENGE_BYTES)
        return porch_fail(why, PORCH_ERR_LIMIT, "a challenge has 1 to %d bytes", PORCH_KEY_CHALLENGE_BYTES);
    data.size = (UINT16)challenge.len;
    memcpy(data.buffer, challenge.at, challenge.len);
    (void)pthread_mutex_lock(&k->lock);
    porch_err e = porch_tpm_line_open(&l, k->tcti, why);
    if (e == PORCH_OK) e = certify(&l, k, &data, &made, why);
    porch_tpm_line_close(&l);
    (void)pthread_mutex_unlock(&k->lock);
    if (e == PORCH_OK) *ret = made;
    return e;
}

static porch_err tpm_seal(void *self, porch_bytes secret, porch_buf *sealed, porch_why *why) {
    const tpm_key *k = self;
    return porch_tpm_seal(k->tcti, secret, sealed, why);
}

static porch_err tpm_unseal(void *self, porch_bytes sealed, porch_buf *secret, porch_why *why) {
    const tpm_key *k = self;
    return porch_tpm_unseal(k->tcti, sealed, secret, why);
}

static void tpm_free(porch_key *key) {
    tpm_key *k = key->self;
    (void)pthread_mutex_destroy(&k->lock);
    free(k);
    free(key);
}

static const porch_key_ops tpm_ops = {
    .name = "tpm2",
    .sign_digest = tpm_sign_digest,
    .public_key = tpm_public,
    .attest = tpm_attest,
    .identity = tpm_identity,
    .activate = tpm_activate,
    .seal = tpm_seal,
    .unseal = tpm_unseal,
    .free = tpm_free,
};

/* ---- finding and making ------------------------------------------------------------------------- */

static porch_err check_handle(uint32_t handle, porch_why *why) {
    if (handle >> 24 == TPM2_HT_PERSISTENT) return PORCH_OK;
    return porch_fail(why, PORCH_ERR_MALFORMED,
                      "a TPM key is named by a persistent handle, as tpm2:0x81000010");
}

static porch_err wrap(const char *tcti, uint32_t handle, const porch_public_key *public_key,
                      porch_key **ret, porch_why *why) {
    tpm_key *k = calloc(1, sizeof *k);
    porch_key *key = calloc(1, sizeof *key);
    if (k == NULL || key == NULL || !porch_bytes_to_text(porch_bytes_of(tcti), k->tcti, sizeof k->tcti)) {
        free(k);
        free(key);
        return porch_fail(why, PORCH_ERR_NO_SPACE, "no memory for a key, or the TPM's name is too long");
    }
    (void)pthread_mutex_init(&k->lock, NULL);
    k->handle = handle;
    k->public_key = *public_key;
    *key = (porch_key){.ops = &tpm_ops, .self = k, .kind = PORCH_KEY_P256};
    *ret = key;
    return PORCH_OK;
}

porch_err porch_tpm_key_open(const char *tcti, uint32_t handle, porch_key **ret, porch_why *why) {
    porch_tpm_line l;
    ESYS_TR object = ESYS_TR_NONE;
    porch_public_key public_key;
    PORCH_TRY(check_handle(handle, why));
    porch_err e = porch_tpm_line_open(&l, tcti, why);
    if (e == PORCH_OK) e = find(&l, handle, &object, why);
    if (e == PORCH_OK) e = read_public(&l, object, &public_key, why);
    porch_tpm_line_close(&l);
    return e == PORCH_OK ? wrap(tcti, handle, &public_key, ret, why) : e;
}

/* Made under the primary key, loaded, and kept at its handle. */
static porch_err create(porch_tpm_line *l, uint32_t handle, porch_public_key *ret, porch_why *why) {
    const TPM2B_SENSITIVE_CREATE sensitive = {0};
    const TPM2B_DATA outside = {0};
    const TPML_PCR_SELECTION pcrs = {0};
    TPM2B_PRIVATE *private_part = NULL;
    TPM2B_PUBLIC *public_part = NULL;
    ESYS_TR object = ESYS_TR_NONE, kept = ESYS_TR_NONE;
    PORCH_TRY(porch_tpm_line_begin(l, why));
    TSS2_RC rc = Esys_Create(l->esys, l->primary, ESYS_TR_PASSWORD, ESYS_TR_NONE, ESYS_TR_NONE, &sensitive,
                             &key_template, &outside, &pcrs, &private_part, &public_part, NULL, NULL, NULL);
    if (rc == TSS2_RC_SUCCESS)
        rc = Esys_Load(l->esys, l->primary, ESYS_TR_PASSWORD, ESYS_TR_NONE, ESYS_TR_NONE, private_part,
                       public_part, &object);
    if (rc == TSS2_RC_SUCCESS) {
        rc = Esys_EvictControl(l->esys, ESYS_TR_RH_OWNER, object, ESYS_TR_PASSWORD, ESYS_TR_NONE,
                               ESYS_TR_NONE, handle, &kept);
        (void)Esys_FlushContext(l->esys, object);
    }
    porch_err e = rc == TSS2_RC_SUCCESS ? point_of(public_part, ret, why)
                                        : porch_tpm_fail(why, PORCH_ERR_IO, "making a key in the TPM", rc);
    Esys_Free(private_part);
    Esys_Free(public_part);
    return e;
}

porch_err porch_tpm_key_make(const char *tcti, uint32_t handle, porch_key **ret, porch_why *why) {
    porch_tpm_line l;
    ESYS_TR object = ESYS_TR_NONE;
    porch_public_key public_key;
    PORCH_TRY(check_handle(handle, why));
    porch_err e = porch_tpm_line_open(&l, tcti, why);
    if (e == PORCH_OK && find(&l, handle, &object, NULL) == PORCH_OK)
        e = porch_fail(why, PORCH_ERR_EXISTS,
                       "the TPM holds something at 0x%08x already; choose another handle",
                       (unsigned)handle);
    if (e == PORCH_OK) e = create(&l, handle, &public_key, why);
    porch_tpm_line_close(&l);
    return e == PORCH_OK ? wrap(tcti, handle, &public_key, ret, why) : e;
}

porch_err porch_tpm_key_remove(const char *tcti, uint32_t handle, porch_why *why) {
    porch_tpm_line l;
    ESYS_TR object = ESYS_TR_NONE, gone = ESYS_TR_NONE;
    PORCH_TRY(check_handle(handle, why));
    porch_err e = porch_tpm_line_open(&l, tcti, why);
    if (e == PORCH_OK) e = find(&l, handle, &object, why);
    if (e == PORCH_OK) {
        TSS2_RC rc = Esys_EvictControl(l.esys, ESYS_TR_RH_OWNER, object, ESYS_TR_PASSWORD, ESYS_TR_NONE,
                                       ESYS_TR_NONE, handle, &gone);
        if (rc != TSS2_RC_SUCCESS) e = porch_tpm_fail(why, PORCH_ERR_IO, "removing the TPM's key", rc);
    }
    porch_tpm_line_close(&l);
    return e;
}
