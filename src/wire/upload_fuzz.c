/* Each header value that is accepted is written back to one that reads the same. */
#include "wire/upload.h"

#include <stdlib.h>
#include <string.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
    uint8_t block[128], hash[32], again[32];
    porch_bytes value = {data, size};
    porch_buf text = PORCH_BUF_OF(block);
    uint64_t offset;
    bool complete;
    porch_id event;
    if (porch_upload_offset_parse(value, &offset) == PORCH_OK &&
        (porch_upload_offset_write(&text, offset) != PORCH_OK ||
         !porch_bytes_eq(porch_buf_bytes(&text), value)))
        abort();
    text.len = 0;
    if (porch_upload_complete_parse(value, &complete) == PORCH_OK &&
        (porch_upload_complete_write(&text, complete) != PORCH_OK ||
         !porch_bytes_eq(porch_buf_bytes(&text), value)))
        abort();
    text.len = 0;
    if (porch_upload_digest_parse(value, hash) == PORCH_OK &&
        (porch_upload_digest_write(&text, hash) != PORCH_OK ||
         porch_upload_digest_parse(porch_buf_bytes(&text), again) != PORCH_OK ||
         memcmp(hash, again, sizeof hash) != 0))
        abort();
    if (porch_upload_event_parse(value, &event) == PORCH_OK &&
        !porch_bytes_eq(porch_id_bytes(&event), value))
        abort();
    return 0;
}
