#include "wire/twin_doc.h"

#include <string.h>

#include "base/text.h"

static void skip_blanks(porch_reader *r) {
    porch_bytes taken;
    while (r->rest.len > 0 && r->rest.at[0] != 0 && strchr(" \t\r\n", r->rest.at[0]) != NULL)
        (void)porch_read_bytes(r, 1, &taken);
}

/* The next byte after blanks, taken when it is `c`. */
static bool take(porch_reader *r, char c) {
    porch_bytes taken;
    skip_blanks(r);
    return r->rest.len > 0 && r->rest.at[0] == (uint8_t)c && porch_read_bytes(r, 1, &taken) == PORCH_OK;
}

static bool take_word(porch_reader *r, const char *word) {
    porch_bytes taken;
    size_t n = strlen(word);
    return r->rest.len >= n && memcmp(r->rest.at, word, n) == 0 &&
           porch_read_bytes(r, n, &taken) == PORCH_OK;
}

/* Text without escapes and control characters, after its first quote. */
static porch_err read_string(porch_reader *r, size_t most, porch_bytes *ret) {
    porch_bytes text, quote;
    size_t n = 0;
    while (n < r->rest.len && r->rest.at[n] != '"') {
        if (r->rest.at[n] < 0x20 || r->rest.at[n] == 0x7f || r->rest.at[n] == '\\')
            return PORCH_ERR_MALFORMED;
        n++;
    }
    if (n == r->rest.len) return PORCH_ERR_MALFORMED;
    if (n > most) return PORCH_ERR_LIMIT;
    PORCH_TRY(porch_read_bytes(r, n, &text));
    PORCH_TRY(porch_read_bytes(r, 1, &quote));
    if (!porch_utf8_valid(text)) return PORCH_ERR_MALFORMED;
    *ret = text;
    return PORCH_OK;
}

static bool good_name(porch_bytes name) {
    for (size_t i = 0; i < name.len; i++) {
        uint8_t c = name.at[i];
        if (!((c >= 'a' && c <= 'z') || (c >= '0' && c <= '9') || c == '_' || c == '-')) return false;
    }
    return name.len > 0 && name.len <= PORCH_TWIN_NAME_MOST;
}

static porch_err read_name(porch_reader *r, porch_bytes *ret) {
    porch_bytes name;
    if (!take(r, '"')) return PORCH_ERR_MALFORMED;
    PORCH_TRY(read_string(r, PORCH_TWIN_NAME_MOST, &name));
    if (!good_name(name)) return PORCH_ERR_MALFORMED;
    if (!take(r, ':')) return PORCH_ERR_MALFORMED;
    *ret = name;
    return PORCH_OK;
}

static porch_err read_number(porch_reader *r, int64_t *ret) {
    uint64_t magnitude = 0;
    porch_bytes digits;
    bool minus = take(r, '-');
    size_t n = 0;
    while (n < r->rest.len && r->rest.at[n] >= '0' && r->rest.at[n] <= '9')
        n++;
    PORCH_TRY(porch_read_bytes(r, n, &digits));
    PORCH_TRY(porch_decimal_read(digits, PORCH_TWIN_NUMBER_MOST, &magnitude));
    if (minus && magnitude == 0) return PORCH_ERR_MALFORMED; /* one form for each number */
    *ret = minus ? -(int64_t)magnitude : (int64_t)magnitude;
    return PORCH_OK;
}

static porch_err read_list(porch_reader *r, porch_twin_doc_member *m) {
    const uint8_t *from = r->rest.at;
    int64_t number;
    m->kind = PORCH_TWIN_DOC_LIST;
    m->count = 0;
    if (take(r, ']')) {
        m->list = (porch_bytes){from, 0};
        return PORCH_OK;
    }
    do {
        if (++m->count > PORCH_TWIN_NUMBERS_MOST) return PORCH_ERR_LIMIT;
        PORCH_TRY(read_number(r, &number));
    } while (take(r, ','));
    if (!take(r, ']')) return PORCH_ERR_MALFORMED;
    m->list = (porch_bytes){from, (size_t)(r->rest.at - from) - 1};
    return PORCH_OK;
}

static porch_err read_value(porch_reader *r, porch_twin_doc_member *m) {
    if (take(r, '"')) {
        m->kind = PORCH_TWIN_DOC_TEXT;
        return read_string(r, PORCH_TWIN_TEXT_MOST, &m->text);
    }
    if (take(r, '[')) return read_list(r, m);
    m->kind = PORCH_TWIN_DOC_BOOL;
    m->on = take_word(r, "true");
    if (m->on || take_word(r, "false")) return PORCH_OK;
    m->kind = PORCH_TWIN_DOC_NUMBER;
    return read_number(r, &m->number);
}

static porch_err read_member(porch_reader *r, porch_twin_doc_member *ret) {
    porch_twin_doc_member m = {.on = false};
    PORCH_TRY(read_name(r, &m.name));
    PORCH_TRY(read_value(r, &m));
    *ret = m;
    return PORCH_OK;
}

/* An object of members, none twice; leaves the reader behind it. */
static porch_err read_state(porch_reader *r) {
    porch_bytes names[PORCH_TWIN_MEMBERS_MOST];
    porch_twin_doc_member m;
    size_t count = 0;
    if (!take(r, '{')) return PORCH_ERR_MALFORMED;
    if (take(r, '}')) return PORCH_OK;
    do {
        if (count == PORCH_TWIN_MEMBERS_MOST) return PORCH_ERR_LIMIT;
        PORCH_TRY(read_member(r, &m));
        for (size_t i = 0; i < count; i++)
            if (porch_bytes_eq(names[i], m.name)) return PORCH_ERR_MALFORMED;
        names[count++] = m.name;
    } while (take(r, ','));
    return take(r, '}') ? PORCH_OK : PORCH_ERR_MALFORMED;
}

static bool at_end(porch_reader *r) {
    skip_blanks(r);
    return porch_reader_done(r);
}

typedef struct {
    uint64_t version;
    porch_bytes state;
    bool v, has_version, has_state;
} head;

static porch_err read_head(porch_reader *r, head *h) {
    porch_bytes name;
    int64_t number = 0;
    PORCH_TRY(read_name(r, &name));
    if (porch_bytes_eq_text(name, "state") && !h->has_state) {
        skip_blanks(r);
        const uint8_t *from = r->rest.at;
        PORCH_TRY(read_state(r));
        h->state = (porch_bytes){from, (size_t)(r->rest.at - from)};
        h->has_state = true;
        return PORCH_OK;
    }
    PORCH_TRY(read_number(r, &number));
    if (porch_bytes_eq_text(name, "v") && !h->v && number == 1) {
        h->v = true;
    } else if (porch_bytes_eq_text(name, "version") && !h->has_version && number >= 0) {
        h->version = (uint64_t)number;
        h->has_version = true;
    } else {
        return PORCH_ERR_MALFORMED;
    }
    return PORCH_OK;
}

static porch_err read_doc(porch_bytes json, head *h) {
    porch_reader r = porch_reader_of(json);
    if (json.len > PORCH_TWIN_DOC_MOST) return PORCH_ERR_LIMIT;
    if (!take(&r, '{')) return PORCH_ERR_MALFORMED;
    do
        PORCH_TRY(read_head(&r, h));
    while (take(&r, ','));
    bool whole = take(&r, '}') && at_end(&r) && h->v && h->has_version && h->has_state;
    return whole ? PORCH_OK : PORCH_ERR_MALFORMED;
}

porch_err porch_twin_doc_read(porch_bytes json, porch_twin_doc *ret, porch_why *why) {
    head h = {.version = 0};
    porch_err e = read_doc(json, &h);
    if (e != PORCH_OK)
        return porch_fail(why, e == PORCH_ERR_LIMIT ? e : PORCH_ERR_MALFORMED,
                          "the twin document is not {\"v\":1,\"version\":N,\"state\":{...}} with a flat "
                          "state, or too large");
    *ret = (porch_twin_doc){h.version, h.state};
    return PORCH_OK;
}

porch_err porch_twin_doc_state_read(porch_bytes json, porch_why *why) {
    porch_reader r = porch_reader_of(json);
    porch_err e = json.len > PORCH_TWIN_DOC_MOST ? PORCH_ERR_LIMIT : read_state(&r);
    if (e == PORCH_OK && !at_end(&r)) e = PORCH_ERR_MALFORMED;
    return e == PORCH_OK ? e : porch_fail(why, e, "the twin's state is no flat object, or too large");
}

/* ---- walking ---- */

bool porch_twin_doc_next(porch_reader *r, porch_twin_doc_member *ret) {
    if (!take(r, '{') && !take(r, ',')) return false;
    return read_member(r, ret) == PORCH_OK;
}

bool porch_twin_doc_find(porch_bytes state, const char *name, porch_twin_doc_member *ret) {
    porch_reader r = porch_reader_of(state);
    porch_twin_doc_member m;
    while (porch_twin_doc_next(&r, &m)) {
        if (!porch_bytes_eq_text(m.name, name)) continue;
        *ret = m;
        return true;
    }
    return false;
}

bool porch_twin_doc_list_next(porch_bytes *list, int64_t *ret) {
    porch_reader r = porch_reader_of(*list);
    if (read_number(&r, ret) != PORCH_OK) return false;
    (void)take(&r, ',');
    *list = r.rest;
    return true;
}

/* ---- writing ---- */

porch_err porch_twin_doc_open(porch_buf *b, uint64_t version) {
    if (version > PORCH_TWIN_NUMBER_MOST) return PORCH_ERR_USAGE;
    PORCH_TRY(porch_write_text(b, "{\"v\":1,\"version\":"));
    PORCH_TRY(porch_write_decimal(b, version));
    return porch_write_text(b, ",\"state\":{");
}

static porch_err write_name(porch_buf *b, const char *name) {
    if (!good_name(porch_bytes_of(name))) return PORCH_ERR_USAGE;
    bool first = b->len > 0 && b->at[b->len - 1] == '{';
    PORCH_TRY(porch_write_text(b, first ? "\"" : ",\""));
    PORCH_TRY(porch_write_text(b, name));
    return porch_write_text(b, "\":");
}

static uint64_t magnitude_of(int64_t number) {
    return number < 0 ? 0 - (uint64_t)number : (uint64_t)number;
}

static porch_err write_number(porch_buf *b, int64_t number) {
    uint64_t magnitude = magnitude_of(number);
    if (number < 0) PORCH_TRY(porch_write_text(b, "-"));
    return porch_write_decimal(b, magnitude);
}

porch_err porch_twin_doc_bool(porch_buf *b, const char *name, bool on) {
    PORCH_TRY(write_name(b, name));
    return porch_write_text(b, on ? "true" : "false");
}

porch_err porch_twin_doc_number(porch_buf *b, const char *name, int64_t number) {
    if (magnitude_of(number) > PORCH_TWIN_NUMBER_MOST) return PORCH_ERR_USAGE;
    PORCH_TRY(write_name(b, name));
    return write_number(b, number);
}

porch_err porch_twin_doc_text(porch_buf *b, const char *name, porch_bytes text) {
    if (text.len > PORCH_TWIN_TEXT_MOST || !porch_utf8_valid(text)) return PORCH_ERR_USAGE;
    for (size_t i = 0; i < text.len; i++)
        if (text.at[i] < 0x20 || text.at[i] == 0x7f || text.at[i] == '"' || text.at[i] == '\\')
            return PORCH_ERR_USAGE;
    PORCH_TRY(write_name(b, name));
    PORCH_TRY(porch_write_text(b, "\""));
    PORCH_TRY(porch_write_bytes(b, text));
    return porch_write_text(b, "\"");
}

porch_err porch_twin_doc_list(porch_buf *b, const char *name, const int32_t *numbers, size_t count) {
    if (count > PORCH_TWIN_NUMBERS_MOST) return PORCH_ERR_USAGE;
    PORCH_TRY(write_name(b, name));
    PORCH_TRY(porch_write_text(b, "["));
    for (size_t i = 0; i < count; i++) {
        if (i > 0) PORCH_TRY(porch_write_text(b, ","));
        PORCH_TRY(write_number(b, numbers[i]));
    }
    return porch_write_text(b, "]");
}

porch_err porch_twin_doc_close(porch_buf *b) {
    return porch_write_text(b, "}}");
}

porch_err porch_twin_doc_write(porch_buf *b, uint64_t version, porch_bytes state) {
    if (version > PORCH_TWIN_NUMBER_MOST) return PORCH_ERR_USAGE;
    PORCH_TRY(porch_write_text(b, "{\"v\":1,\"version\":"));
    PORCH_TRY(porch_write_decimal(b, version));
    PORCH_TRY(porch_write_text(b, ",\"state\":"));
    PORCH_TRY(porch_write_bytes(b, state));
    return porch_write_text(b, "}");
}
