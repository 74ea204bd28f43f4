/* Any bytes; what is read is written again as the same bytes. */
#include "wire/signed_time.h"

#include <stdlib.h>

int LLVMFuzzerTestOneInput(const uint8_t *at, size_t len);

int LLVMFuzzerTestOneInput(const uint8_t *at, size_t len) {
    uint8_t signature[PORCH_SIGNED_TIME_SIGNATURE_BYTES], block[PORCH_SIGNED_TIME_BYTES];
    porch_buf out = PORCH_BUF_OF(block);
    porch_signed_time t;
    porch_bytes statement;
    if (porch_signed_time_read((porch_bytes){at, len}, &t, &statement, signature) != PORCH_OK) return 0;
    if (porch_signed_time_statement(&t, &out) != PORCH_OK ||
        !porch_bytes_eq(porch_buf_bytes(&out), statement))
        abort();
    if (porch_signed_time_sign((porch_bytes){signature, sizeof signature}, &out) != PORCH_OK ||
        !porch_bytes_eq(porch_buf_bytes(&out), (porch_bytes){at, len}))
        abort();
    return 0;
}
