/* A document that is accepted is walked to its end, each member is found by its name, and writing it again
 * gives a document that says the same. */
#include "wire/twin_doc.h"

#include <stdlib.h>
#include <string.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void must(bool holds) {
    if (!holds) abort();
}

static void copy_member(porch_buf *b, const porch_twin_doc_member *m) {
    char name[PORCH_TWIN_NAME_MOST + 1];
    int32_t numbers[PORCH_TWIN_NUMBERS_MOST];
    porch_bytes list = m->list;
    int64_t number;
    size_t count = 0;
    must(porch_bytes_to_text(m->name, name, sizeof name));
    switch (m->kind) {
    case PORCH_TWIN_DOC_BOOL:
        must(porch_twin_doc_bool(b, name, m->on) == PORCH_OK);
        return;
    case PORCH_TWIN_DOC_NUMBER:
        must(porch_twin_doc_number(b, name, m->number) == PORCH_OK);
        return;
    case PORCH_TWIN_DOC_TEXT:
        must(porch_twin_doc_text(b, name, m->text) == PORCH_OK);
        return;
    case PORCH_TWIN_DOC_LIST:
        while (porch_twin_doc_list_next(&list, &number)) {
            must(count < PORCH_TWIN_NUMBERS_MOST);
            numbers[count++] = (int32_t)number;
        }
        must(count == m->count);
        must(porch_twin_doc_list(b, name, numbers, count) == PORCH_OK);
        return;
    }
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
    static uint8_t block[8 * PORCH_TWIN_DOC_MOST];
    porch_twin_doc d, again;
    porch_twin_doc_member m, found;
    porch_why why = {""};
    if (porch_twin_doc_read((porch_bytes){data, size}, &d, &why) != PORCH_OK) {
        must(why.text[0] != '\0');
        return 0;
    }
    must(porch_twin_doc_state_read(d.state, NULL) == PORCH_OK);
    porch_buf b = PORCH_BUF_OF(block);
    porch_reader r = porch_reader_of(d.state);
    must(porch_twin_doc_open(&b, d.version) == PORCH_OK);
    while (porch_twin_doc_next(&r, &m)) {
        char name[PORCH_TWIN_NAME_MOST + 1];
        must(porch_bytes_to_text(m.name, name, sizeof name));
        must(porch_twin_doc_find(d.state, name, &found) && found.kind == m.kind);
        copy_member(&b, &m);
    }
    must(porch_twin_doc_close(&b) == PORCH_OK);
    must(porch_twin_doc_read(porch_buf_bytes(&b), &again, NULL) == PORCH_OK && again.version == d.version);
    return 0;
}
