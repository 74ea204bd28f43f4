#include "device/twin.h"

#include <string.h>

void porch_twin_init(porch_twin *t) {
    t->version = 0;
    t->desired_len = t->reported_len = 0;
}

porch_err porch_twin_take(porch_twin *t, porch_bytes document, porch_why *why) {
    porch_twin_doc d;
    PORCH_TRY(porch_twin_doc_read(document, &d, why));
    if (d.version <= t->version)
        return porch_fail(why, PORCH_ERR_AGAIN,
                          "this wish of the hub is known, or older than the one that counts");
    memcpy(t->desired, document.at, document.len);
    t->desired_len = document.len;
    t->version = d.version;
    return PORCH_OK;
}

porch_twin_desired porch_twin_wish(const porch_twin *t) {
    porch_twin_doc d;
    if (t->version == 0 ||
        porch_twin_doc_read((porch_bytes){t->desired, t->desired_len}, &d, NULL) != PORCH_OK)
        return (porch_twin_desired){0, PORCH_LIT("{}")};
    return (porch_twin_desired){d.version, d.state};
}

static porch_err write_member(porch_buf *b, const porch_twin_member *m) {
    switch (m->kind) {
    case PORCH_TWIN_BOOL:
        return porch_twin_doc_bool(b, m->name, m->on);
    case PORCH_TWIN_NUMBER:
        return porch_twin_doc_number(b, m->name, m->number);
    case PORCH_TWIN_TEXT:
        return porch_twin_doc_text(b, m->name, porch_bytes_of(m->text));
    case PORCH_TWIN_LIST:
        return porch_twin_doc_list(b, m->name, m->list, m->count);
    }
    return PORCH_ERR_USAGE;
}

porch_err porch_twin_set_reported(porch_twin *t, uint64_t version, const porch_twin_member *members,
                                  size_t count) {
    uint8_t block[PORCH_TWIN_DOC_MOST];
    porch_buf b = PORCH_BUF_OF(block);
    porch_twin_doc made;
    PORCH_TRY(porch_twin_doc_open(&b, version));
    for (size_t i = 0; i < count; i++)
        PORCH_TRY(write_member(&b, &members[i]));
    PORCH_TRY(porch_twin_doc_close(&b));
    if (porch_twin_doc_read(porch_buf_bytes(&b), &made, NULL) != PORCH_OK)
        return PORCH_ERR_USAGE; /* a name twice */
    memcpy(t->reported, block, b.len);
    t->reported_len = b.len;
    return PORCH_OK;
}

porch_err porch_twin_report_text(const porch_twin *t, porch_buf *out) {
    if (t->reported_len > 0) return porch_write_bytes(out, (porch_bytes){t->reported, t->reported_len});
    return porch_twin_doc_write(out, 0, PORCH_LIT("{}"));
}

/* ---- what a product reads of a wish ---- */

static bool find(const porch_twin_desired *d, const char *name, porch_twin_doc_kind kind,
                 porch_twin_doc_member *ret) {
    return porch_twin_doc_find(d->state, name, ret) && ret->kind == kind;
}

uint64_t porch_twin_version(const porch_twin_desired *d) {
    return d->version;
}

bool porch_twin_bool(const porch_twin_desired *d, const char *name, bool *ret) {
    porch_twin_doc_member m;
    if (!find(d, name, PORCH_TWIN_DOC_BOOL, &m)) return false;
    *ret = m.on;
    return true;
}

bool porch_twin_number(const porch_twin_desired *d, const char *name, int64_t *ret) {
    porch_twin_doc_member m;
    if (!find(d, name, PORCH_TWIN_DOC_NUMBER, &m)) return false;
    *ret = m.number;
    return true;
}

bool porch_twin_text(const porch_twin_desired *d, const char *name, char *out, size_t cap) {
    porch_twin_doc_member m;
    return find(d, name, PORCH_TWIN_DOC_TEXT, &m) && porch_bytes_to_text(m.text, out, cap);
}

bool porch_twin_list(const porch_twin_desired *d, const char *name, int32_t *out, size_t most,
                     size_t *ret_count) {
    porch_twin_doc_member m;
    int64_t n;
    if (!find(d, name, PORCH_TWIN_DOC_LIST, &m) || m.count > most) return false;
    porch_bytes rest = m.list;
    while (porch_twin_doc_list_next(&rest, &n))
        if (n < INT32_MIN || n > INT32_MAX) return false;
    rest = m.list;
    for (size_t i = 0; porch_twin_doc_list_next(&rest, &n); i++)
        out[i] = (int32_t)n;
    *ret_count = m.count;
    return true;
}
