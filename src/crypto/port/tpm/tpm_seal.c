/* Small secrets under the primary key. */
#include <string.h>

#include <tss2/tss2_mu.h>

#include "crypto/port/tpm/tpm_port.h"

/* Bound to this TPM and this parent, opened with the empty authorisation, outside the dictionary-attack
 * lock (there is nothing to guess): see crypto/tpm.h for why there is no PCR policy. */
static const TPM2B_PUBLIC sealed_template = {
    .publicArea = {.type = TPM2_ALG_KEYEDHASH,
                   .nameAlg = TPM2_ALG_SHA256,
                   .objectAttributes = TPMA_OBJECT_FIXEDTPM | TPMA_OBJECT_FIXEDPARENT |
                                       TPMA_OBJECT_USERWITHAUTH | TPMA_OBJECT_NODA,
                   .parameters.keyedHashDetail.scheme.scheme = TPM2_ALG_NULL},
};

static porch_err write_blob(const porch_tpm_line *l, const TPM2B_PUBLIC *public_part,
                            const TPM2B_PRIVATE *private_part, porch_buf *blob, porch_why *why) {
    uint8_t public_block[sizeof *public_part], private_block[sizeof *private_part];
    size_t public_len = 0, private_len = 0;
    TSS2_RC rc = Tss2_MU_TPM2B_PUBLIC_Marshal(public_part, public_block, sizeof public_block, &public_len);
    if (rc == TSS2_RC_SUCCESS)
        rc = Tss2_MU_TPM2B_PRIVATE_Marshal(private_part, private_block, sizeof private_block, &private_len);
    if (rc != TSS2_RC_SUCCESS)
        return porch_tpm_fail(why, PORCH_ERR_INTERNAL, "writing a sealed secret", rc);
    const porch_tpm_blob parts = {.parent = {l->primary_name, l->primary_name_len},
                                  .public_part = {public_block, public_len},
                                  .private_part = {private_block, private_len}};
    porch_err e = porch_tpm_blob_write(&parts, blob);
    return e == PORCH_OK ? e : porch_fail(why, e, "the sealed secret does not fit");
}

porch_err porch_tpm_seal(const char *tcti, porch_bytes secret, porch_buf *blob, porch_why *why) {
    porch_tpm_line l;
    TPM2B_SENSITIVE_CREATE sensitive = {0};
    const TPM2B_DATA outside = {0};
    const TPML_PCR_SELECTION pcrs = {0};
    TPM2B_PRIVATE *private_part = NULL;
    TPM2B_PUBLIC *public_part = NULL;
    if (secret.len == 0 || secret.len > PORCH_TPM_SECRET_BYTES)
        return porch_fail(why, PORCH_ERR_LIMIT, "a TPM seals 1 to %d bytes", PORCH_TPM_SECRET_BYTES);
    porch_err e = porch_tpm_line_open(&l, tcti, why);
    if (e == PORCH_OK) e = porch_tpm_line_begin(&l, why);
    if (e != PORCH_OK) goto out;
    sensitive.sensitive.data.size = (UINT16)secret.len;
    memcpy(sensitive.sensitive.data.buffer, secret.at, secret.len);
    TSS2_RC rc =
        Esys_Create(l.esys, l.primary, ESYS_TR_PASSWORD, l.session, ESYS_TR_NONE, &sensitive,
                    &sealed_template, &outside, &pcrs, &private_part, &public_part, NULL, NULL, NULL);
    e = rc == TSS2_RC_SUCCESS ? write_blob(&l, public_part, private_part, blob, why)
                              : porch_tpm_fail(why, PORCH_ERR_IO, "sealing with the TPM", rc);
out:
    porch_wipe(&sensitive, sizeof sensitive);
    Esys_Free(private_part);
    Esys_Free(public_part);
    porch_tpm_line_close(&l);
    return e;
}

static porch_err read_blob(porch_bytes blob, porch_tpm_blob *parts, TPM2B_PUBLIC *public_part,
                           TPM2B_PRIVATE *private_part, porch_why *why) {
    size_t public_at = 0, private_at = 0;
    if (porch_tpm_blob_read(blob, parts) == PORCH_OK &&
        Tss2_MU_TPM2B_PUBLIC_Unmarshal(parts->public_part.at, parts->public_part.len, &public_at,
                                       public_part) == TSS2_RC_SUCCESS &&
        Tss2_MU_TPM2B_PRIVATE_Unmarshal(parts->private_part.at, parts->private_part.len, &private_at,
                                        private_part) == TSS2_RC_SUCCESS &&
        public_at == parts->public_part.len && private_at == parts->private_part.len)
        return PORCH_OK;
    return porch_fail(why, PORCH_ERR_MALFORMED, "the sealed secret was changed or cut");
}

static porch_err open_sealed(porch_tpm_line *l, const TPM2B_PUBLIC *public_part,
                             const TPM2B_PRIVATE *private_part, porch_buf *secret, porch_why *why) {
    ESYS_TR object = ESYS_TR_NONE;
    TPM2B_SENSITIVE_DATA *data = NULL;
    TSS2_RC rc = Esys_Load(l->esys, l->primary, ESYS_TR_PASSWORD, ESYS_TR_NONE, ESYS_TR_NONE, private_part,
                           public_part, &object);
    if (rc != TSS2_RC_SUCCESS) return porch_tpm_fail(why, PORCH_ERR_AUTH, "the TPM refuses the secret", rc);
    rc = Esys_Unseal(l->esys, object, ESYS_TR_PASSWORD, l->session, ESYS_TR_NONE, &data);
    porch_err e = PORCH_OK;
    if (rc != TSS2_RC_SUCCESS) {
        e = porch_tpm_fail(why, PORCH_ERR_AUTH, "the TPM does not open the secret", rc);
    } else if (data->size > secret->cap - secret->len) {
        e = porch_fail(why, PORCH_ERR_NO_SPACE, "the sealed secret does not fit");
    } else {
        memcpy(secret->at + secret->len, data->buffer, data->size);
        secret->len += data->size;
    }
    if (data != NULL) porch_wipe(data, sizeof *data);
    Esys_Free(data);
    (void)Esys_FlushContext(l->esys, object);
    return e;
}

porch_err porch_tpm_unseal(const char *tcti, porch_bytes blob, porch_buf *secret, porch_why *why) {
    porch_tpm_line l;
    porch_tpm_blob parts;
    TPM2B_PUBLIC public_part = {0};
    TPM2B_PRIVATE private_part = {0};
    PORCH_TRY(read_blob(blob, &parts, &public_part, &private_part, why));
    porch_err e = porch_tpm_line_open(&l, tcti, why);
    if (e == PORCH_OK) e = porch_tpm_line_begin(&l, why);
    /* Another TPM, this one after a clear, or somebody between us and it. */
    if (e == PORCH_OK && !porch_bytes_eq(parts.parent, (porch_bytes){l.primary_name, l.primary_name_len}))
        e = porch_fail(why, PORCH_ERR_AUTH, "this is not the TPM that sealed it (or it was cleared since)");
    if (e == PORCH_OK) e = open_sealed(&l, &public_part, &private_part, secret, why);
    porch_tpm_line_close(&l);
    return e;
}
