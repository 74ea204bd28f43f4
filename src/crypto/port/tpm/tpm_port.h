/* What the files of this port share: one line to a TPM, opened for one piece of work. */
#ifndef PORCH_CRYPTO_PORT_TPM_PORT_H
#define PORCH_CRYPTO_PORT_TPM_PORT_H

#include <tss2/tss2_esys.h>

#include "crypto/tpm.h"

typedef struct {
    TSS2_TCTI_CONTEXT *tcti;
    ESYS_CONTEXT *esys;
    ESYS_TR primary; /* ESYS_TR_NONE until porch_tpm_begin */
    ESYS_TR session; /* encrypts what crosses the bus */
    uint8_t primary_name[sizeof(TPMU_NAME)];
    size_t primary_name_len;
} porch_tpm_line;

/* Connects. Close it also after an error. */
porch_err porch_tpm_line_open(porch_tpm_line *l, const char *tcti, porch_why *why);
/* Makes the owner hierarchy's primary key and a session salted with it. */
porch_err porch_tpm_line_begin(porch_tpm_line *l, porch_why *why);
void porch_tpm_line_close(porch_tpm_line *l);

/* tpm_key.c: the key that signs the TPM's statements, made anew; *area is for Esys_Free. */
porch_err porch_tpm_attester(porch_tpm_line *l, ESYS_TR *ret, TPM2B_PUBLIC **area, porch_why *why);
/* tpm_attest.c */
porch_err porch_tpm_identity(porch_tpm_line *l, porch_key_identity *ret, porch_why *why);
porch_err porch_tpm_activate(porch_tpm_line *l, porch_bytes credential, porch_bytes seed, porch_buf *secret,
                             porch_why *why);

/* "doing: what the TPM said", with a word about the usual causes. */
porch_err porch_tpm_fail(porch_why *why, porch_err e, const char *doing, TSS2_RC rc);

#endif
