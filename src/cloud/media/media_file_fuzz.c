/* The header is what is read before any tag is checked: any bytes are refused or write back to themselves.
 */
#include "cloud/media/media_file.h"

#include <stdlib.h>
#include <string.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
    porch_media_header h;
    uint8_t again[PORCH_MEDIA_HEADER];
    porch_buf out = PORCH_BUF_OF(again);
    if (porch_media_header_read((porch_bytes){data, size}, &h) != PORCH_OK) return 0;
    if (porch_media_header_write(&out, &h) != PORCH_OK) abort();
    if (memcmp(again, data, sizeof again) != 0) abort();
    return 0;
}
