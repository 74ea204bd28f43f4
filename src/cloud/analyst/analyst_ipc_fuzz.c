/* What the analyst could say at its worst: any bytes either are refused or write back to themselves. */
#include "cloud/analyst/analyst_ipc.h"

#include <stdlib.h>
#include <string.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
    static uint8_t again[PORCH_ANALYST_MESSAGE_MAX];
    porch_analyst_message m;
    if (size > sizeof again || porch_analyst_read((porch_bytes){data, size}, &m) != PORCH_OK) return 0;
    porch_buf out = PORCH_BUF_OF(again);
    if (porch_analyst_write(&out, &m) != PORCH_OK) abort();
    if (out.len != size || memcmp(again, data, size) != 0) abort();
    return 0;
}
