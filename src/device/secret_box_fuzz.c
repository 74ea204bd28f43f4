/* Any bytes as a box: nothing that was not closed with the key opens. */
#include "device/secret_box.h"

#include <stdlib.h>

int LLVMFuzzerTestOneInput(const uint8_t *at, size_t len);

int LLVMFuzzerTestOneInput(const uint8_t *at, size_t len) {
    static const uint8_t key[PORCH_SECRET_KEY_BYTES] = {7};
    uint8_t block[PORCH_SECRET_MOST];
    porch_buf secret = PORCH_BUF_OF(block);
    if (porch_secret_open(key, "wifi", (porch_bytes){at, len}, &secret) == PORCH_OK || secret.len != 0)
        abort();
    return 0;
}
