/* Answers of any kind, in pieces of any size: an exchange ends, and never reads or writes outside its
 * blocks. */
#include "device/exchange.h"

#include <stdlib.h>
#include <string.h>

int LLVMFuzzerTestOneInput(const uint8_t *at, size_t len);

int LLVMFuzzerTestOneInput(const uint8_t *at, size_t len) {
    uint8_t in[512], out[256];
    porch_exchange x;
    const porch_exchange_request request = {
        .method = "GET", .path = "/x", .host = "hub", .wanted = {"Porchlight-Hub", "X", "Content-Length"}};
    if (len == 0 || porch_exchange_begin(&x, &request, PORCH_BUF_OF(in), PORCH_BUF_OF(out), 10) != PORCH_OK)
        return 0;
    size_t step = 1 + at[0] % 64;
    for (size_t i = 1; i < len; i += step)
        porch_exchange_take(&x, (porch_bytes){at + i, step < len - i ? step : len - i});
    porch_exchange_closed(&x);
    if (x.phase != PORCH_EXCHANGE_DONE && x.phase != PORCH_EXCHANGE_FAILED) abort();
    if (porch_exchange_body(&x).len > sizeof in) abort();
    for (size_t i = 0; i < PORCH_EXCHANGE_WANTED; i++)
        if (memchr(x.header[i], '\0', sizeof x.header[i]) == NULL) abort();
    return 0;
}
