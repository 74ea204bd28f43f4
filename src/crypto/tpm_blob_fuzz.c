/* A sealed secret's blob from a stranger's disk: whatever is read is written back the same. */
#include <stdlib.h>
#include <string.h>

#include "crypto/tpm.h"

int LLVMFuzzerTestOneInput(const uint8_t *at, size_t len);

int LLVMFuzzerTestOneInput(const uint8_t *at, size_t len) {
    porch_tpm_blob parts;
    uint8_t block[PORCH_TPM_BLOB_BYTES];
    porch_buf out = PORCH_BUF_OF(block);
    if (porch_tpm_blob_read((porch_bytes){at, len}, &parts) != PORCH_OK) return 0;
    if (porch_tpm_blob_write(&parts, &out) != PORCH_OK || out.len != len || memcmp(block, at, len) != 0)
        abort();
    return 0;
}
