/* Any bytes as JSON: either refused with a sentence, or a canonical text that is not longer, is its own
 * canonical form, and whose members the walk finds in strictly rising order. */
#include "ota/client/tuf_json.h"

#include <stdlib.h>
#include <string.h>

int LLVMFuzzerTestOneInput(const uint8_t *at, size_t len);

static uint32_t members[4096];
static uint8_t first[65536], second[65536];

static size_t walk(porch_bytes value) {
    porch_bytes name, inner, before = {NULL, 0};
    size_t count = 0;
    if (value.len < 2 || (value.at[0] != '{' && value.at[0] != '[')) return 0;
    porch_tuf_json_walk w = porch_tuf_json_open(value);
    while (porch_tuf_json_next(&w, &name, &inner)) {
        if (inner.len == 0) abort();
        if (value.at[0] == '{' && count > 0 && porch_tuf_json_compare(before, name) >= 0) abort();
        before = name;
        count++;
        (void)walk(inner);
    }
    if (w.rest.len != 1) abort();
    return count;
}

int LLVMFuzzerTestOneInput(const uint8_t *at, size_t len) {
    const porch_tuf_json_scratch scratch = {members, sizeof members / sizeof members[0]};
    porch_buf out = PORCH_BUF_OF(first), again = PORCH_BUF_OF(second);
    porch_why why = {{0}};
    if (len > sizeof first) return 0;
    if (porch_tuf_json_canonical((porch_bytes){at, len}, scratch, &out, &why) != PORCH_OK) {
        if (why.text[0] == '\0') abort();
        return 0;
    }
    if (out.len > len) abort();
    (void)walk(porch_buf_bytes(&out));
    /* A canonical text may hold bare control characters, which no source may: only then it is no source. */
    for (size_t i = 0; i < out.len; i++)
        if (first[i] < 0x20) return 0;
    if (porch_tuf_json_canonical(porch_buf_bytes(&out), scratch, &again, &why) != PORCH_OK) abort();
    if (again.len != out.len || memcmp(first, second, out.len) != 0) abort();
    return 0;
}
