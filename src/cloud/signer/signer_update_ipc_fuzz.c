/* What is accepted is written back alike. */
#include "cloud/signer/signer_update_ipc.h"

#include <stdlib.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
    static uint8_t block[65536];
    static porch_signer_update update;
    porch_bytes message = {data, size};
    porch_signer_updated updated;
    porch_buf out = PORCH_BUF_OF(block);
    if (size <= sizeof block && porch_signer_update_read(message, &update) == PORCH_OK) {
        if (porch_signer_update_write(&out, &update) != PORCH_OK) abort();
        if (!porch_bytes_eq(porch_buf_bytes(&out), message)) abort();
    }
    out.len = 0;
    if (size <= sizeof block && porch_signer_updated_read(message, &updated) == PORCH_OK) {
        if (porch_signer_updated_write(&out, &updated) != PORCH_OK) abort();
        if (!porch_bytes_eq(porch_buf_bytes(&out), message)) abort();
    }
    return 0;
}
