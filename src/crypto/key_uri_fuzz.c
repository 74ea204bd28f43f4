/* What names a key comes from device.conf: whatever is read keeps its own bounds. */
#include <stdlib.h>
#include <string.h>

#include "crypto/key_uri.h"

int LLVMFuzzerTestOneInput(const uint8_t *at, size_t len);

int LLVMFuzzerTestOneInput(const uint8_t *at, size_t len) {
    porch_key_uri uri;
    if (porch_key_uri_parse((porch_bytes){at, len}, &uri, NULL) != PORCH_OK) return 0;
    if (strlen(uri.text) != len || memcmp(uri.text, at, len) != 0) abort();
    if (uri.place == PORCH_KEY_IN_TPM && uri.handle >> 24 != 0x81) abort();
    if (uri.place == PORCH_KEY_IN_FILE && strcmp(uri.path, uri.text + 5) != 0) abort();
    return 0;
}
