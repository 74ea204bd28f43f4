/* A header value read as each of the upload fields; whatever is accepted is written and read back to the
 * same value, and all but the digest (a dictionary may hold more) to the same text. */
#include "wire/upload.h"

#include <stdlib.h>
#include <string.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void must(bool holds) {
    if (!holds) abort();
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
    porch_bytes in = {data, size};
    uint8_t out[80], digest[32], back[32];
    porch_buf b = PORCH_BUF_OF(out);
    uint64_t offset;
    bool complete;
    porch_id id;
    if (porch_upload_offset_parse(in, &offset) == PORCH_OK) {
        must(porch_upload_offset_write(&b, offset) == PORCH_OK && porch_bytes_eq(porch_buf_bytes(&b), in));
    }
    b.len = 0;
    if (porch_upload_complete_parse(in, &complete) == PORCH_OK) {
        must(porch_upload_complete_write(&b, complete) == PORCH_OK &&
             porch_bytes_eq(porch_buf_bytes(&b), in));
    }
    b.len = 0;
    if (porch_upload_digest_parse(in, digest) == PORCH_OK) {
        must(porch_upload_digest_write(&b, digest) == PORCH_OK);
        must(porch_upload_digest_parse(porch_buf_bytes(&b), back) == PORCH_OK &&
             memcmp(digest, back, 32) == 0);
        must(b.len <= size);
    }
    if (porch_upload_event_parse(in, &id) == PORCH_OK) must(porch_bytes_eq(porch_id_bytes(&id), in));
    return 0;
}
