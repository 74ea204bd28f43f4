/* A policy's text: whatever is accepted prints, reads again as the same, and prints the same once more; a
 * refusal names a place inside the text. */
#include "access/document.h"

#include <stdlib.h>
#include <string.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void must(bool promise) {
    if (!promise) abort();
}

static porch_access_document parse(porch_bytes text, uint8_t *block, size_t bytes, porch_err *e) {
    porch_access_document d = {NULL, 0, NULL, 0};
    porch_access_place place = {0, 0};
    porch_why why = {""};
    porch_arena arena = porch_arena_of(block, bytes);
    *e = porch_access_document_parse(text, &arena, &d, &place, &why);
    must(*e != PORCH_ERR_NO_SPACE);
    must(*e == PORCH_OK || (place.line >= 1 && place.column >= 1 && why.text[0] != '\0'));
    return d;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
    porch_bytes text = {data, size};
    size_t bytes = porch_access_document_bytes(text);
    uint8_t *block = malloc(bytes);
    porch_err e;
    porch_access_document d = parse(text, block, bytes, &e);
    if (e == PORCH_OK) {
        size_t cap = porch_access_document_text_bytes(&d);
        porch_buf first = {malloc(cap + 1), 0, cap}, second = {malloc(cap + 1), 0, cap};
        must(porch_access_document_write(&first, &d) == PORCH_OK);
        size_t again_bytes = porch_access_document_bytes(porch_buf_bytes(&first));
        uint8_t *again_block = malloc(again_bytes);
        porch_access_document again = parse(porch_buf_bytes(&first), again_block, again_bytes, &e);
        must(e == PORCH_OK && again.group_count == d.group_count);
        must(porch_access_document_write(&second, &again) == PORCH_OK);
        must(porch_bytes_eq(porch_buf_bytes(&first), porch_buf_bytes(&second)));
        free(again_block);
        free(first.at);
        free(second.at);
    }
    free(block);
    return 0;
}
