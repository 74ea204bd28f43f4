/* Any bytes as a clip: the cut lies within the file, and cutting there changes nothing. */
#include "device/fragment.h"

#include <stdlib.h>
#include <string.h>

int LLVMFuzzerTestOneInput(const uint8_t *at, size_t len);

static porch_err read_at(void *ctx, uint64_t offset, uint8_t *at, size_t len) {
    const porch_bytes *file = ctx;
    if (offset > file->len || file->len - offset < len) abort(); /* asked past the end */
    memcpy(at, file->at + offset, len);
    return PORCH_OK;
}

int LLVMFuzzerTestOneInput(const uint8_t *at, size_t len) {
    porch_bytes file = {at, len};
    uint64_t whole = 0, again = 0;
    if (porch_fragment_whole_bytes(read_at, &file, len, &whole) != PORCH_OK || whole > len) abort();
    file.len = (size_t)whole;
    if (porch_fragment_whole_bytes(read_at, &file, whole, &again) != PORCH_OK || again != whole) abort();
    return 0;
}
