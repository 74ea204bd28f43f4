/* Whatever a reader of text.h accepts, its writer spells the same way again. */
#include "base/text.h"

#include <stdlib.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static uint8_t raw[4096], again[8192];

static void check_base64(porch_bytes text, bool url) {
    porch_buf out = PORCH_BUF_OF(raw), back = PORCH_BUF_OF(again);
    if (porch_base64_read(&out, text, url) != PORCH_OK) return;
    if (porch_base64_write(&back, porch_buf_bytes(&out), url) != PORCH_OK ||
        !porch_bytes_eq(porch_buf_bytes(&back), text))
        abort();
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
    porch_bytes text = {data, size};
    if (size > 4096) return 0;
    check_base64(text, false);
    check_base64(text, true);
    porch_buf out = PORCH_BUF_OF(raw), back = PORCH_BUF_OF(again);
    if (porch_hex_read(&out, text) == PORCH_OK &&
        (porch_hex_write(&back, porch_buf_bytes(&out)) != PORCH_OK ||
         !porch_bytes_eq(porch_buf_bytes(&back), text)))
        abort();
    uint64_t number;
    (void)porch_decimal_read(text, UINT64_MAX, &number);
    (void)porch_utf8_valid(text);
    return 0;
}
