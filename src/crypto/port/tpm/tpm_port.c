#include "crypto/port/tpm/tpm_port.h"

#include <stdlib.h>
#include <string.h>

#include <tss2/tss2_rc.h>
#include <tss2/tss2_tctildr.h>

/* The library writes its own lines on standard error, several for one refusal; ours says it once. Read by
 * the library at its first call. */
__attribute__((constructor)) static void quiet(void) {
    (void)setenv("TSS2_LOG", "all+NONE", 0);
}

porch_err porch_tpm_fail(porch_why *why, porch_err e, const char *doing, TSS2_RC rc) {
    TSS2_RC bare = rc & 0xffff;
    if (bare == TPM2_RC_LOCKOUT)
        return porch_fail(why, PORCH_ERR_IO,
                          "%s: the TPM is locked out after wrong authorisations; clear it with "
                          "tpm2_dictionarylockout --clear-lockout",
                          doing);
    if ((bare & ~(TSS2_RC)(TPM2_RC_N_MASK | TPM2_RC_P)) == TPM2_RC_BAD_AUTH)
        return porch_fail(
            why, PORCH_ERR_IO,
            "%s: the TPM's owner hierarchy has a password; clear it (tpm2_changeauth -c owner)", doing);
    return porch_fail(why, e, "%s: %s", doing, Tss2_RC_Decode(rc));
}

porch_err porch_tpm_line_open(porch_tpm_line *l, const char *tcti, porch_why *why) {
    *l = (porch_tpm_line){.primary = ESYS_TR_NONE, .session = ESYS_TR_NONE};
    TSS2_RC rc = Tss2_TctiLdr_Initialize(tcti, &l->tcti);
    if (rc != TSS2_RC_SUCCESS)
        return porch_fail(why, PORCH_ERR_IO,
                          "there is no TPM at %s, or this user may not use it (group tss)", tcti);
    rc = Esys_Initialize(&l->esys, l->tcti, NULL);
    if (rc != TSS2_RC_SUCCESS) return porch_tpm_fail(why, PORCH_ERR_IO, "speaking to the TPM", rc);
    /* A simulator that was just switched on waits for this; a TPM that runs says that it does. */
    rc = Esys_Startup(l->esys, TPM2_SU_CLEAR);
    if (rc != TSS2_RC_SUCCESS && rc != TPM2_RC_INITIALIZE)
        return porch_tpm_fail(why, PORCH_ERR_IO, "starting the TPM", rc);
    return PORCH_OK;
}

/* TCG "EK Credential Profile" and "TPM v2.0 Provisioning Guidance", 7.5.1: the storage root key, ECC P-256.
 * Made anew at every call: from the same seed and template a TPM makes the same key, so nothing has to be
 * kept in its little memory. */
static const TPM2B_PUBLIC primary_template = {
    .publicArea = {.type = TPM2_ALG_ECC,
                   .nameAlg = TPM2_ALG_SHA256,
                   .objectAttributes = TPMA_OBJECT_FIXEDTPM | TPMA_OBJECT_FIXEDPARENT |
                                       TPMA_OBJECT_SENSITIVEDATAORIGIN | TPMA_OBJECT_USERWITHAUTH |
                                       TPMA_OBJECT_NODA | TPMA_OBJECT_RESTRICTED | TPMA_OBJECT_DECRYPT,
                   .parameters.eccDetail = {.symmetric = {.algorithm = TPM2_ALG_AES,
                                                          .keyBits.aes = 128,
                                                          .mode.aes = TPM2_ALG_CFB},
                                            .scheme.scheme = TPM2_ALG_NULL,
                                            .curveID = TPM2_ECC_NIST_P256,
                                            .kdf.scheme = TPM2_ALG_NULL}},
};

static porch_err make_primary(porch_tpm_line *l, porch_why *why) {
    const TPM2B_SENSITIVE_CREATE sensitive = {0};
    const TPM2B_DATA outside = {0};
    const TPML_PCR_SELECTION pcrs = {0};
    TPM2B_NAME *name = NULL;
    TSS2_RC rc = Esys_CreatePrimary(l->esys, ESYS_TR_RH_OWNER, ESYS_TR_PASSWORD, ESYS_TR_NONE, ESYS_TR_NONE,
                                    &sensitive, &primary_template, &outside, &pcrs, &l->primary, NULL, NULL,
                                    NULL, NULL);
    if (rc != TSS2_RC_SUCCESS) {
        l->primary = ESYS_TR_NONE;
        return porch_tpm_fail(why, PORCH_ERR_IO, "making the TPM's primary key", rc);
    }
    rc = Esys_TR_GetName(l->esys, l->primary, &name);
    if (rc != TSS2_RC_SUCCESS) return porch_tpm_fail(why, PORCH_ERR_IO, "naming the TPM's primary key", rc);
    memcpy(l->primary_name, name->name, name->size);
    l->primary_name_len = name->size;
    Esys_Free(name);
    return PORCH_OK;
}

porch_err porch_tpm_line_begin(porch_tpm_line *l, porch_why *why) {
    const TPMT_SYM_DEF aes = {.algorithm = TPM2_ALG_AES, .keyBits.aes = 128, .mode.aes = TPM2_ALG_CFB};
    PORCH_TRY(make_primary(l, why));
    TSS2_RC rc =
        Esys_StartAuthSession(l->esys, l->primary, ESYS_TR_NONE, ESYS_TR_NONE, ESYS_TR_NONE, ESYS_TR_NONE,
                              NULL, TPM2_SE_HMAC, &aes, TPM2_ALG_SHA256, &l->session);
    if (rc != TSS2_RC_SUCCESS) {
        l->session = ESYS_TR_NONE;
        return porch_tpm_fail(why, PORCH_ERR_IO, "opening a session with the TPM", rc);
    }
    const TPMA_SESSION wanted = TPMA_SESSION_DECRYPT | TPMA_SESSION_ENCRYPT | TPMA_SESSION_CONTINUESESSION;
    rc = Esys_TRSess_SetAttributes(l->esys, l->session, wanted, 0xff);
    return rc == TSS2_RC_SUCCESS ? PORCH_OK
                                 : porch_tpm_fail(why, PORCH_ERR_IO, "encrypting the TPM's session", rc);
}

void porch_tpm_line_close(porch_tpm_line *l) {
    if (l->esys != NULL) {
        if (l->session != ESYS_TR_NONE) (void)Esys_FlushContext(l->esys, l->session);
        if (l->primary != ESYS_TR_NONE) (void)Esys_FlushContext(l->esys, l->primary);
        Esys_Finalize(&l->esys);
    }
    if (l->tcti != NULL) Tss2_TctiLdr_Finalize(&l->tcti);
}
