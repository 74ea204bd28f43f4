/* Who a TPM is: its endorsement certificate as its maker left it, the key that signs its statements, and
 * the proof that both are in one TPM. */
#include <string.h>

#include <tss2/tss2_mu.h>

#include "base/cursor.h"
#include "crypto/port/tpm/tpm_port.h"

enum { EK_CERTIFICATE_INDEX = 0x01c00002, PIECE_BYTES = 512 };

/* TCG EK Credential Profile, template L-1: RSA 2048, usable only by who proves the endorsement
 * authorisation (TPM2_PolicySecret of TPM_RH_ENDORSEMENT). The same at every call, and what the maker
 * certified. */
static const TPM2B_PUBLIC endorsement_template = {
    .publicArea = {.type = TPM2_ALG_RSA,
                   .nameAlg = TPM2_ALG_SHA256,
                   .objectAttributes = TPMA_OBJECT_FIXEDTPM | TPMA_OBJECT_FIXEDPARENT |
                                       TPMA_OBJECT_SENSITIVEDATAORIGIN | TPMA_OBJECT_ADMINWITHPOLICY |
                                       TPMA_OBJECT_RESTRICTED | TPMA_OBJECT_DECRYPT,
                   .authPolicy = {.size = 32, .buffer = {0x83, 0x71, 0x97, 0x67, 0x44, 0x84, 0xb3, 0xf8,
                                                         0x1a, 0x90, 0xcc, 0x8d, 0x46, 0xa5, 0xd7, 0x24,
                                                         0xfd, 0x52, 0xd7, 0x6e, 0x06, 0x52, 0x0b, 0x64,
                                                         0xf2, 0xa1, 0xda, 0x1b, 0x33, 0x14, 0x69, 0xaa}},
                   .parameters.rsaDetail = {.symmetric = {.algorithm = TPM2_ALG_AES,
                                                          .keyBits.aes = 128,
                                                          .mode.aes = TPM2_ALG_CFB},
                                            .scheme.scheme = TPM2_ALG_NULL,
                                            .keyBits = 2048},
                   .unique.rsa.size = 256},
};

static porch_err read_certificate(porch_tpm_line *l, porch_buf *out, porch_why *why) {
    ESYS_TR index = ESYS_TR_NONE;
    TPM2B_NV_PUBLIC *about = NULL;
    TSS2_RC rc = Esys_TR_FromTPMPublic(l->esys, EK_CERTIFICATE_INDEX, ESYS_TR_NONE, ESYS_TR_NONE,
                                       ESYS_TR_NONE, &index);
    if (rc == TSS2_RC_SUCCESS)
        rc = Esys_NV_ReadPublic(l->esys, index, ESYS_TR_NONE, ESYS_TR_NONE, ESYS_TR_NONE, &about, NULL);
    if (rc != TSS2_RC_SUCCESS)
        return porch_fail(why, PORCH_ERR_NOT_FOUND,
                          "this TPM holds no certificate of its endorsement key (NV index 0x%08x)",
                          (unsigned)EK_CERTIFICATE_INDEX);
    size_t left = about->nvPublic.dataSize, at = 0;
    Esys_Free(about);
    porch_err e = left <= out->cap - out->len
                      ? PORCH_OK
                      : porch_fail(why, PORCH_ERR_LIMIT, "the TPM's endorsement certificate is too long");
    while (e == PORCH_OK && left > 0) {
        TPM2B_MAX_NV_BUFFER *piece = NULL;
        UINT16 n = left < PIECE_BYTES ? (UINT16)left : PIECE_BYTES;
        rc = Esys_NV_Read(l->esys, index, index, ESYS_TR_PASSWORD, ESYS_TR_NONE, ESYS_TR_NONE, n,
                          (UINT16)at, &piece);
        if (rc != TSS2_RC_SUCCESS)
            e = porch_tpm_fail(why, PORCH_ERR_IO, "reading the TPM's endorsement certificate", rc);
        else
            e = porch_write_bytes(out, (porch_bytes){piece->buffer, piece->size});
        Esys_Free(piece);
        at += n;
        left -= n;
    }
    return e;
}

/* Makers leave room behind the certificate: the DER says how long it is. */
static void trim(porch_buf *der) {
    if (der->len < 4 || der->at[0] != 0x30 || der->at[1] != 0x82) return;
    size_t len = 4 + ((size_t)der->at[2] << 8 | der->at[3]);
    if (len < der->len) der->len = len;
}

porch_err porch_tpm_identity(porch_tpm_line *l, porch_key_identity *ret, porch_why *why) {
    ESYS_TR attester = ESYS_TR_NONE;
    TPM2B_PUBLIC *area = NULL;
    porch_buf certificate = {ret->certificate, 0, sizeof ret->certificate};
    size_t used = 0;
    PORCH_TRY(read_certificate(l, &certificate, why));
    trim(&certificate);
    ret->certificate_len = certificate.len;
    porch_err e = porch_tpm_attester(l, &attester, &area, why);
    if (e != PORCH_OK) return e;
    TSS2_RC rc = Tss2_MU_TPMT_PUBLIC_Marshal(&area->publicArea, ret->attester, sizeof ret->attester, &used);
    if (rc != TSS2_RC_SUCCESS) e = porch_tpm_fail(why, PORCH_ERR_IO, "writing the TPM's attester", rc);
    ret->attester_len = used;
    (void)Esys_FlushContext(l->esys, attester);
    Esys_Free(area);
    return e;
}

static porch_err make_endorsement(porch_tpm_line *l, ESYS_TR *ret, porch_why *why) {
    const TPM2B_SENSITIVE_CREATE sensitive = {0};
    const TPM2B_DATA outside = {0};
    const TPML_PCR_SELECTION pcrs = {0};
    TSS2_RC rc =
        Esys_CreatePrimary(l->esys, ESYS_TR_RH_ENDORSEMENT, ESYS_TR_PASSWORD, ESYS_TR_NONE, ESYS_TR_NONE,
                           &sensitive, &endorsement_template, &outside, &pcrs, ret, NULL, NULL, NULL, NULL);
    return rc == TSS2_RC_SUCCESS
               ? PORCH_OK
               : porch_tpm_fail(why, PORCH_ERR_IO, "making the TPM's endorsement key", rc);
}

static TSS2_RC policy(porch_tpm_line *l, ESYS_TR *session) {
    const TPMT_SYM_DEF none = {.algorithm = TPM2_ALG_NULL};
    TSS2_RC rc = Esys_StartAuthSession(l->esys, ESYS_TR_NONE, ESYS_TR_NONE, ESYS_TR_NONE, ESYS_TR_NONE,
                                       ESYS_TR_NONE, NULL, TPM2_SE_POLICY, &none, TPM2_ALG_SHA256, session);
    if (rc != TSS2_RC_SUCCESS) {
        *session = ESYS_TR_NONE;
        return rc;
    }
    return Esys_PolicySecret(l->esys, ESYS_TR_RH_ENDORSEMENT, *session, ESYS_TR_PASSWORD, ESYS_TR_NONE,
                             ESYS_TR_NONE, NULL, NULL, NULL, 0, NULL, NULL);
}

porch_err porch_tpm_activate(porch_tpm_line *l, porch_bytes credential, porch_bytes seed, porch_buf *secret,
                             porch_why *why) {
    ESYS_TR attester = ESYS_TR_NONE, endorsement = ESYS_TR_NONE, session = ESYS_TR_NONE;
    TPM2B_PUBLIC *area = NULL;
    TPM2B_DIGEST *opened = NULL;
    TPM2B_ID_OBJECT sealed = {.size = (UINT16)credential.len};
    TPM2B_ENCRYPTED_SECRET wrapped = {.size = (UINT16)seed.len};
    if (credential.len > sizeof sealed.credential || seed.len > sizeof wrapped.secret)
        return porch_fail(why, PORCH_ERR_LIMIT, "the hub's challenge is longer than a TPM takes");
    memcpy(sealed.credential, credential.at, credential.len);
    memcpy(wrapped.secret, seed.at, seed.len);
    porch_err e = porch_tpm_attester(l, &attester, &area, why);
    Esys_Free(area);
    if (e == PORCH_OK) e = make_endorsement(l, &endorsement, why);
    if (e == PORCH_OK) {
        TSS2_RC rc = policy(l, &session);
        if (rc == TSS2_RC_SUCCESS)
            rc = Esys_ActivateCredential(l->esys, attester, endorsement, ESYS_TR_PASSWORD, session,
                                         ESYS_TR_NONE, &sealed, &wrapped, &opened);
        if (rc != TSS2_RC_SUCCESS)
            e = porch_tpm_fail(why, PORCH_ERR_AUTH, "the TPM does not open the hub's challenge", rc);
    }
    if (opened != NULL) {
        if (e == PORCH_OK) e = porch_write_bytes(secret, (porch_bytes){opened->buffer, opened->size});
        porch_wipe(opened, sizeof *opened);
    }
    Esys_Free(opened);
    if (session != ESYS_TR_NONE) (void)Esys_FlushContext(l->esys, session);
    if (endorsement != ESYS_TR_NONE) (void)Esys_FlushContext(l->esys, endorsement);
    if (attester != ESYS_TR_NONE) (void)Esys_FlushContext(l->esys, attester);
    return e;
}
