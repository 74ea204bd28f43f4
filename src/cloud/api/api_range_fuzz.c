/* A Range of any content, over a clip of any length: a part lies inside the clip, and the same part asked
 * for plainly is the same part. */
#include "cloud/api/api_range.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
    uint64_t bytes = 0, first = 0, last = 0, first_again = 0, last_again = 0;
    if (size < sizeof bytes) return 0;
    memcpy(&bytes, data, sizeof bytes);
    porch_bytes header = {data + sizeof bytes, size - sizeof bytes};
    if (porch_range_read(header, bytes, &first, &last) != PORCH_RANGE_PART) return 0;
    if (first > last || last >= bytes) abort();
    char plain[64];
    (void)snprintf(plain, sizeof plain, "bytes=%" PRIu64 "-%" PRIu64, first, last);
    if (porch_range_read(porch_bytes_of(plain), bytes, &first_again, &last_again) != PORCH_RANGE_PART ||
        first_again != first || last_again != last)
        abort();
    return 0;
}
