/* blob = version u8 (1) | parent block16 | public block16 | private block16, and nothing behind it. */
#include "base/cursor.h"
#include "crypto/tpm.h"

enum { BLOB_VERSION = 1 };

porch_err porch_tpm_blob_read(porch_bytes blob, porch_tpm_blob *ret) {
    porch_tpm_blob made = {0};
    uint8_t version = 0;
    porch_reader r = porch_reader_of(blob);
    if (blob.len > PORCH_TPM_BLOB_BYTES) return PORCH_ERR_LIMIT;
    PORCH_TRY(porch_read_u8(&r, &version));
    if (version != BLOB_VERSION) return PORCH_ERR_UNSUPPORTED;
    PORCH_TRY(porch_read_block16(&r, &made.parent));
    PORCH_TRY(porch_read_block16(&r, &made.public_part));
    PORCH_TRY(porch_read_block16(&r, &made.private_part));
    if (!porch_reader_done(&r) || made.parent.len == 0 || made.public_part.len == 0 ||
        made.private_part.len == 0)
        return PORCH_ERR_MALFORMED;
    *ret = made;
    return PORCH_OK;
}

porch_err porch_tpm_blob_write(const porch_tpm_blob *in, porch_buf *out) {
    porch_buf b = *out;
    PORCH_TRY(porch_write_u8(&b, BLOB_VERSION));
    PORCH_TRY(porch_write_block16(&b, in->parent));
    PORCH_TRY(porch_write_block16(&b, in->public_part));
    PORCH_TRY(porch_write_block16(&b, in->private_part));
    if (b.len - out->len > PORCH_TPM_BLOB_BYTES) return PORCH_ERR_LIMIT;
    *out = b;
    return PORCH_OK;
}
