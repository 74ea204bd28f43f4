/* A number that only rises, in the TPM's own memory.
 *
 *   index      a counter of the TPM's: it can be incremented, never set, and a new one begins above every
 *              counter that this TPM ever had
 *   index + 1  where the counter stood when we began, less the number that we began with: written once and
 *              locked for good
 *   number = counter - base
 *
 * Both answer inside a session salted with the TPM's primary key: who sits on the bus can hinder the
 * answer, not change it. */
#include <string.h>

#include "base/cursor.h"
#include "crypto/port/tpm/tpm_port.h"

enum { NUMBER_BYTES = 8 };

static const TPMA_NV common =
    TPMA_NV_OWNERWRITE | TPMA_NV_OWNERREAD | TPMA_NV_AUTHWRITE | TPMA_NV_AUTHREAD | TPMA_NV_NO_DA;

static porch_err begin(porch_tpm_line *l, const char *tcti, uint32_t index, porch_why *why) {
    if (index < PORCH_TPM_FLOOR_LEAST || index > PORCH_TPM_FLOOR_MOST) {
        *l = (porch_tpm_line){.primary = ESYS_TR_NONE, .session = ESYS_TR_NONE};
        return porch_fail(why, PORCH_ERR_USAGE, "an index for a counter is 0x%08x to 0x%08x",
                          (unsigned)PORCH_TPM_FLOOR_LEAST, (unsigned)PORCH_TPM_FLOOR_MOST);
    }
    PORCH_TRY(porch_tpm_line_open(l, tcti, why));
    return porch_tpm_line_begin(l, why);
}

/* NOT_FOUND when nothing is defined there. */
static porch_err find(porch_tpm_line *l, uint32_t index, ESYS_TR *ret, porch_why *why) {
    TSS2_RC rc = Esys_TR_FromTPMPublic(l->esys, index, ESYS_TR_NONE, ESYS_TR_NONE, ESYS_TR_NONE, ret);
    if (rc == TSS2_RC_SUCCESS) return PORCH_OK;
    return (rc & ~(TSS2_RC)(TPM2_RC_N_MASK | TPM2_RC_P)) == TPM2_RC_HANDLE
               ? porch_fail(why, PORCH_ERR_NOT_FOUND, "the TPM has no counter at 0x%08x", (unsigned)index)
               : porch_tpm_fail(why, PORCH_ERR_IO, "looking for the TPM's counter", rc);
}

static porch_err define(porch_tpm_line *l, uint32_t index, TPMA_NV attributes, ESYS_TR *ret,
                        porch_why *why) {
    const TPM2B_AUTH empty = {0};
    const TPM2B_NV_PUBLIC area = {.nvPublic = {.nvIndex = index,
                                               .nameAlg = TPM2_ALG_SHA256,
                                               .attributes = attributes,
                                               .dataSize = NUMBER_BYTES}};
    TSS2_RC rc = Esys_NV_DefineSpace(l->esys, ESYS_TR_RH_OWNER, ESYS_TR_PASSWORD, ESYS_TR_NONE,
                                     ESYS_TR_NONE, &empty, &area, ret);
    return rc == TSS2_RC_SUCCESS ? PORCH_OK
                                 : porch_tpm_fail(why, PORCH_ERR_IO, "making the TPM's counter", rc);
}

static void undefine(porch_tpm_line *l, uint32_t index) {
    ESYS_TR at = ESYS_TR_NONE;
    if (find(l, index, &at, NULL) == PORCH_OK)
        (void)Esys_NV_UndefineSpace(l->esys, ESYS_TR_RH_OWNER, at, ESYS_TR_PASSWORD, ESYS_TR_NONE,
                                    ESYS_TR_NONE);
}

static porch_err read_number(porch_tpm_line *l, ESYS_TR at, uint64_t *ret, porch_why *why) {
    TPM2B_MAX_NV_BUFFER *data = NULL;
    TSS2_RC rc =
        Esys_NV_Read(l->esys, at, at, l->session, ESYS_TR_NONE, ESYS_TR_NONE, NUMBER_BYTES, 0, &data);
    if (rc != TSS2_RC_SUCCESS) return porch_tpm_fail(why, PORCH_ERR_IO, "reading the TPM's counter", rc);
    porch_reader r = porch_reader_of((porch_bytes){data->buffer, data->size});
    porch_err e = porch_read_u64(&r, ret);
    Esys_Free(data);
    return e == PORCH_OK ? e : porch_fail(why, PORCH_ERR_IO, "the TPM's counter is too short");
}

static porch_err increment(porch_tpm_line *l, ESYS_TR at, porch_why *why) {
    TSS2_RC rc = Esys_NV_Increment(l->esys, at, at, l->session, ESYS_TR_NONE, ESYS_TR_NONE);
    return rc == TSS2_RC_SUCCESS ? PORCH_OK
                                 : porch_tpm_fail(why, PORCH_ERR_IO, "raising the TPM's counter", rc);
}

/* What was written once, and is locked. STATE when it was not. */
static porch_err read_base(porch_tpm_line *l, uint32_t index, uint64_t *ret, porch_why *why) {
    ESYS_TR at = ESYS_TR_NONE;
    TPM2B_NV_PUBLIC *area = NULL;
    PORCH_TRY(find(l, index + 1, &at, why));
    TSS2_RC rc = Esys_NV_ReadPublic(l->esys, at, ESYS_TR_NONE, ESYS_TR_NONE, ESYS_TR_NONE, &area, NULL);
    if (rc != TSS2_RC_SUCCESS) return porch_tpm_fail(why, PORCH_ERR_IO, "looking at the TPM's counter", rc);
    const TPMA_NV whole = TPMA_NV_WRITTEN | TPMA_NV_WRITELOCKED | TPMA_NV_WRITEDEFINE;
    bool good = (area->nvPublic.attributes & whole) == whole && area->nvPublic.dataSize == NUMBER_BYTES;
    Esys_Free(area);
    if (!good)
        return porch_fail(why, PORCH_ERR_STATE, "the TPM's counter at 0x%08x was not made to its end",
                          (unsigned)index);
    return read_number(l, at, ret, why);
}

static porch_err write_base(porch_tpm_line *l, uint32_t index, uint64_t base, porch_why *why) {
    TPM2B_MAX_NV_BUFFER data = {.size = NUMBER_BYTES};
    porch_buf out = {data.buffer, 0, NUMBER_BYTES};
    ESYS_TR at = ESYS_TR_NONE;
    PORCH_TRY(porch_write_u64(&out, base));
    PORCH_TRY(define(l, index + 1, common | TPMA_NV_WRITEDEFINE, &at, why));
    TSS2_RC rc = Esys_NV_Write(l->esys, at, at, l->session, ESYS_TR_NONE, ESYS_TR_NONE, &data, 0);
    if (rc == TSS2_RC_SUCCESS)
        rc = Esys_NV_WriteLock(l->esys, at, at, l->session, ESYS_TR_NONE, ESYS_TR_NONE);
    return rc == TSS2_RC_SUCCESS ? PORCH_OK
                                 : porch_tpm_fail(why, PORCH_ERR_IO, "fixing the TPM's counter", rc);
}

porch_err porch_tpm_floor_make(const char *tcti, uint32_t index, uint64_t value, porch_why *why) {
    porch_tpm_line l;
    ESYS_TR at = ESYS_TR_NONE;
    uint64_t base = 0, count = 0;
    porch_err e = begin(&l, tcti, index, why);
    if (e == PORCH_OK && read_base(&l, index, &base, NULL) == PORCH_OK)
        e = porch_fail(why, PORCH_ERR_EXISTS, "the TPM has a counter at 0x%08x already", (unsigned)index);
    if (e == PORCH_OK) { /* what an attempt that was cut left there counts for nothing */
        undefine(&l, index);
        undefine(&l, index + 1);
        e = define(&l, index, common | (TPM2_NT_COUNTER << TPMA_NV_TPM2_NT_SHIFT), &at, why);
    }
    if (e == PORCH_OK) e = increment(&l, at, why);
    if (e == PORCH_OK) e = read_number(&l, at, &count, why);
    if (e == PORCH_OK) e = write_base(&l, index, count - value, why);
    porch_tpm_line_close(&l);
    return e;
}

static porch_err read_both(porch_tpm_line *l, uint32_t index, ESYS_TR *at, uint64_t *ret, porch_why *why) {
    uint64_t base = 0, count = 0;
    PORCH_TRY(find(l, index, at, why));
    PORCH_TRY(read_base(l, index, &base, why));
    PORCH_TRY(read_number(l, *at, &count, why));
    *ret = count - base;
    return PORCH_OK;
}

porch_err porch_tpm_floor_read(const char *tcti, uint32_t index, uint64_t *ret, porch_why *why) {
    porch_tpm_line l;
    ESYS_TR at = ESYS_TR_NONE;
    porch_err e = begin(&l, tcti, index, why);
    if (e == PORCH_OK) e = read_both(&l, index, &at, ret, why);
    porch_tpm_line_close(&l);
    return e;
}

porch_err porch_tpm_floor_raise(const char *tcti, uint32_t index, uint64_t value, porch_why *why) {
    porch_tpm_line l;
    ESYS_TR at = ESYS_TR_NONE;
    uint64_t now = 0;
    porch_err e = begin(&l, tcti, index, why);
    if (e == PORCH_OK) e = read_both(&l, index, &at, &now, why);
    if (e == PORCH_OK && value > now && value - now > PORCH_TPM_FLOOR_STEPS)
        e = porch_fail(why, PORCH_ERR_LIMIT, "the TPM's counter rises by at most %d at once",
                       PORCH_TPM_FLOOR_STEPS);
    for (; e == PORCH_OK && now < value; now++)
        e = increment(&l, at, why);
    porch_tpm_line_close(&l);
    return e;
}

porch_err porch_tpm_floor_remove(const char *tcti, uint32_t index, porch_why *why) {
    porch_tpm_line l;
    porch_err e = begin(&l, tcti, index, why);
    if (e == PORCH_OK) {
        undefine(&l, index);
        undefine(&l, index + 1);
    }
    porch_tpm_line_close(&l);
    return e;
}
