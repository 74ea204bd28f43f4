#include "ota/client/tuf_json.h"

#include <string.h>

#include "base/text.h"

/* ---- the parser ---- */

typedef struct {
    porch_bytes text;
    porch_tuf_json_scratch scratch;
    size_t used; /* of scratch */
    porch_buf *out;
    porch_why *why;
} job;

static porch_err wrong(const job *j, size_t at, const char *what) {
    return porch_fail(j->why, PORCH_ERR_MALFORMED, "the JSON is wrong at byte %zu: %s", at, what);
}

static int peek(const job *j, size_t at) {
    return at < j->text.len ? j->text.at[at] : -1;
}

static size_t skip_blanks(const job *j, size_t at) {
    while (at < j->text.len && (j->text.at[at] == ' ' || j->text.at[at] == '\t' || j->text.at[at] == '\n' ||
                                j->text.at[at] == '\r'))
        at++;
    return at;
}

static porch_err put(const job *j, uint8_t c) {
    if (j->out->len >= j->out->cap)
        return porch_fail(j->why, PORCH_ERR_NO_SPACE, "the JSON is longer than the block for it, %zu bytes",
                          j->out->cap);
    j->out->at[j->out->len++] = c;
    return PORCH_OK;
}

static porch_err put_all(const job *j, const char *text) {
    for (; *text != '\0'; text++)
        PORCH_TRY(put(j, (uint8_t)*text));
    return PORCH_OK;
}

static bool hex4(const job *j, size_t at, uint32_t *ret) {
    uint32_t v = 0;
    for (size_t i = 0; i < 4; i++) {
        int c = peek(j, at + i);
        if (c >= '0' && c <= '9')
            v = v << 4 | (uint32_t)(c - '0');
        else if (c >= 'a' && c <= 'f')
            v = v << 4 | (uint32_t)(c - 'a' + 10);
        else if (c >= 'A' && c <= 'F')
            v = v << 4 | (uint32_t)(c - 'A' + 10);
        else
            return false;
    }
    *ret = v;
    return true;
}

static bool escaped(const job *j, size_t *at, uint32_t *ret) {
    static const char from[] = "\"\\/bfnrt";
    static const char to[] = "\"\\/\b\f\n\r\t";
    uint32_t high = 0, low = 0;
    int c = peek(j, *at + 1);
    if (c != 'u') {
        for (size_t i = 0; i < sizeof from - 1; i++)
            if (c == from[i]) {
                *ret = (uint32_t)to[i];
                *at += 2;
                return true;
            }
        return false;
    }
    if (!hex4(j, *at + 2, &high)) return false;
    *at += 6;
    *ret = high;
    if (high < 0xd800 || high > 0xdfff) return true;
    if (high > 0xdbff || peek(j, *at) != '\\' || peek(j, *at + 1) != 'u' || !hex4(j, *at + 2, &low) ||
        low < 0xdc00 || low > 0xdfff)
        return false;
    *at += 6;
    *ret = 0x10000 + ((high - 0xd800) << 10) + (low - 0xdc00);
    return true;
}

static bool utf8(const job *j, size_t *at, uint32_t *ret) {
    uint8_t first = j->text.at[*at];
    size_t len = first < 0x80 ? 1 : first < 0xe0 ? 2 : first < 0xf0 ? 3 : 4;
    if (len > j->text.len - *at || !porch_utf8_valid((porch_bytes){j->text.at + *at, len})) return false;
    uint32_t v = len == 1 ? first : first & (0xffu >> (len + 1));
    for (size_t i = 1; i < len; i++)
        v = v << 6 | (j->text.at[*at + i] & 0x3fu);
    *at += len;
    *ret = v;
    return true;
}

/* One character between quotes at *at, which moves behind it. */
static porch_err character(const job *j, size_t *at, uint32_t *ret) {
    int c = peek(j, *at);
    if (c < 0) return wrong(j, *at, "a string does not end");
    if (c < 0x20) return wrong(j, *at, "a control character stands bare in a string");
    if (c == '\\' ? !escaped(j, at, ret) : !utf8(j, at, ret))
        return wrong(j, *at, "a string's escape or encoding is not allowed");
    if (*ret == 0) return wrong(j, *at, "a string holds a zero character");
    return PORCH_OK;
}

static porch_err put_character(const job *j, uint32_t c) {
    if (c == '"' || c == '\\') PORCH_TRY(put(j, '\\'));
    if (c < 0x80) return put(j, (uint8_t)c);
    if (c < 0x800) {
        PORCH_TRY(put(j, (uint8_t)(0xc0 | c >> 6)));
    } else {
        if (c < 0x10000) {
            PORCH_TRY(put(j, (uint8_t)(0xe0 | c >> 12)));
        } else {
            PORCH_TRY(put(j, (uint8_t)(0xf0 | c >> 18)));
            PORCH_TRY(put(j, (uint8_t)(0x80 | (c >> 12 & 0x3f))));
        }
        PORCH_TRY(put(j, (uint8_t)(0x80 | (c >> 6 & 0x3f))));
    }
    return put(j, (uint8_t)(0x80 | (c & 0x3f)));
}

static porch_err string(const job *j, size_t *at) {
    if (peek(j, *at) != '"') return wrong(j, *at, "a string is expected");
    (*at)++;
    PORCH_TRY(put(j, '"'));
    while (peek(j, *at) != '"') {
        uint32_t c = 0;
        PORCH_TRY(character(j, at, &c));
        PORCH_TRY(put_character(j, c));
    }
    (*at)++;
    return put(j, '"');
}

static porch_err number(const job *j, size_t *at) {
    size_t begin = *at, digits = 0;
    if (peek(j, *at) == '-') (*at)++;
    size_t first = *at;
    while (peek(j, *at) >= '0' && peek(j, *at) <= '9') {
        (*at)++;
        digits++;
    }
    int after = peek(j, *at);
    if (digits == 0) return wrong(j, begin, "a value is expected");
    if (j->text.at[first] == '0' && (digits > 1 || first > begin))
        return wrong(j, begin, "a number begins with zero");
    if (after == '.' || after == 'e' || after == 'E')
        return wrong(j, *at, "only whole numbers have a canonical form");
    if (digits > PORCH_TUF_JSON_DIGITS)
        return porch_fail(j->why, PORCH_ERR_LIMIT, "the number at byte %zu has more than %d digits", begin,
                          PORCH_TUF_JSON_DIGITS);
    for (size_t i = begin; i < *at; i++)
        PORCH_TRY(put(j, j->text.at[i]));
    return PORCH_OK;
}

static porch_err word(const job *j, size_t *at) {
    static const char *const words[] = {"true", "false", "null"};
    for (size_t i = 0; i < sizeof words / sizeof words[0]; i++) {
        size_t len = strlen(words[i]);
        if (len > j->text.len - *at || memcmp(j->text.at + *at, words[i], len) != 0) continue;
        *at += len;
        return put_all(j, words[i]);
    }
    return wrong(j, *at, "a value is expected");
}

/* ---- where things end: looks at quotes and brackets alone; what lies between is judged when it is written
 * ----
 */

static bool skip_string(const job *j, size_t *at) {
    if (peek(j, *at) != '"') return false;
    for ((*at)++; *at < j->text.len; (*at)++) {
        if (j->text.at[*at] == '\\')
            (*at)++;
        else if (j->text.at[*at] == '"') {
            (*at)++;
            return true;
        }
    }
    return false;
}

static bool skip_value(const job *j, size_t *at) {
    size_t depth = 0;
    size_t begin = *at;
    while (*at < j->text.len) {
        uint8_t c = j->text.at[*at];
        if (c == '"') {
            if (!skip_string(j, at)) return false;
        } else if (c == '{' || c == '[') {
            depth++;
            (*at)++;
        } else if (c == '}' || c == ']') {
            if (depth == 0) return *at > begin;
            depth--;
            (*at)++;
        } else if (depth == 0 && (c == ',' || c == ' ' || c == '\t' || c == '\n' || c == '\r')) {
            return *at > begin;
        } else {
            (*at)++;
            continue;
        }
        if (depth == 0) return true;
    }
    return depth == 0 && *at > begin;
}

/* ---- objects: found, put in order, written ---- */

/* The order of two names that begin, with their quotes, at these places; *bad when one of them is wrong. */
static int order(const job *j, size_t a, size_t b, bool *bad) {
    porch_why unused;
    job quiet = *j;
    quiet.why = &unused;
    a++;
    b++;
    for (;;) {
        bool a_ends = peek(j, a) == '"', b_ends = peek(j, b) == '"';
        uint32_t x = 0, y = 0;
        if (a_ends || b_ends) return (int)b_ends - (int)a_ends;
        if (character(&quiet, &a, &x) != PORCH_OK || character(&quiet, &b, &y) != PORCH_OK) {
            *bad = true;
            return 0;
        }
        if (x != y) return x < y ? -1 : 1;
    }
}

static void sift(const job *j, uint32_t *at, size_t from, size_t count, bool *bad) {
    for (;;) {
        size_t child = 2 * from + 1;
        if (child >= count) return;
        if (child + 1 < count && order(j, at[child], at[child + 1], bad) < 0) child++;
        if (order(j, at[from], at[child], bad) >= 0) return;
        uint32_t t = at[from];
        at[from] = at[child];
        at[child] = t;
        from = child;
    }
}

/* Heapsort: no recursion, no worst case that a stranger could choose. */
static void sort(const job *j, uint32_t *at, size_t count, bool *bad) {
    for (size_t i = count / 2; i > 0; i--)
        sift(j, at, i - 1, count, bad);
    for (size_t end = count; end > 1; end--) {
        uint32_t t = at[0];
        at[0] = at[end - 1];
        at[end - 1] = t;
        sift(j, at, 0, end - 1, bad);
    }
}

/* Notes where each member's name begins; *at stands behind '{' and moves behind '}'. */
static porch_err find_members(job *j, size_t *at, size_t *count) {
    *at = skip_blanks(j, *at);
    if (peek(j, *at) == '}') {
        (*at)++;
        return PORCH_OK;
    }
    for (;;) {
        if (j->used >= j->scratch.cap)
            return porch_fail(j->why, PORCH_ERR_LIMIT,
                              "the JSON has more members than the %zu there is room for", j->scratch.cap);
        *at = skip_blanks(j, *at);
        j->scratch.at[j->used++] = (uint32_t)*at;
        (*count)++;
        if (!skip_string(j, at)) return wrong(j, *at, "a member's name is expected");
        *at = skip_blanks(j, *at);
        if (peek(j, *at) != ':') return wrong(j, *at, "':' is expected");
        *at = skip_blanks(j, *at + 1);
        if (!skip_value(j, at)) return wrong(j, *at, "a value is expected");
        *at = skip_blanks(j, *at);
        int c = peek(j, *at);
        if (c != ',' && c != '}') return wrong(j, *at, "',' or '}' is expected");
        (*at)++;
        if (c == '}') return PORCH_OK;
    }
}

static porch_err value(job *j, size_t *at, unsigned depth);

static porch_err object(job *j, size_t *at, unsigned depth) {
    size_t first = j->used, count = 0;
    bool bad = false;
    (*at)++;
    PORCH_TRY(find_members(j, at, &count));
    uint32_t *member = j->scratch.at + first;
    sort(j, member, count, &bad);
    for (size_t i = 1; i < count && !bad; i++)
        if (order(j, member[i - 1], member[i], &bad) == 0 && !bad)
            return wrong(j, member[i], "a member's name is there twice");
    PORCH_TRY(put(j, '{'));
    for (size_t i = 0; i < count; i++) {
        size_t from = member[i];
        if (i > 0) PORCH_TRY(put(j, ','));
        PORCH_TRY(string(j, &from));
        PORCH_TRY(put(j, ':'));
        from = skip_blanks(j, skip_blanks(j, from) + 1);
        size_t end = from;
        (void)skip_value(j, &end);
        PORCH_TRY(value(j, &from, depth));
        if (from != end) return wrong(j, from, "',' or '}' is expected");
    }
    if (bad) return wrong(j, *at, "a member's name is not a string");
    j->used = first;
    return put(j, '}');
}

static porch_err array(job *j, size_t *at, unsigned depth) {
    PORCH_TRY(put(j, '['));
    *at = skip_blanks(j, *at + 1);
    for (bool any = false; any || peek(j, *at) != ']'; any = true) {
        if (any) PORCH_TRY(put(j, ','));
        PORCH_TRY(value(j, at, depth));
        *at = skip_blanks(j, *at);
        int c = peek(j, *at);
        if (c == ']') break;
        if (c != ',') return wrong(j, *at, "',' or ']' is expected");
        *at = skip_blanks(j, *at + 1);
    }
    (*at)++;
    return put(j, ']');
}

static porch_err value(job *j, size_t *at, unsigned depth) {
    int c = peek(j, *at);
    if (c == '"') return string(j, at);
    if (c == '-' || (c >= '0' && c <= '9')) return number(j, at);
    if (c != '{' && c != '[') return word(j, at);
    if (depth >= PORCH_TUF_JSON_DEPTH)
        return porch_fail(j->why, PORCH_ERR_LIMIT, "the JSON is nested deeper than %d",
                          PORCH_TUF_JSON_DEPTH);
    return c == '{' ? object(j, at, depth + 1) : array(j, at, depth + 1);
}

porch_err porch_tuf_json_canonical(porch_bytes text, porch_tuf_json_scratch scratch, porch_buf *out,
                                   porch_why *why) {
    job j = {.text = text, .scratch = scratch, .out = out, .why = why};
    out->len = 0;
    if (text.len > UINT32_MAX) return porch_fail(why, PORCH_ERR_LIMIT, "the JSON is longer than 4 GiB");
    size_t at = skip_blanks(&j, 0);
    PORCH_TRY(value(&j, &at, 0));
    at = skip_blanks(&j, at);
    return at == text.len ? PORCH_OK : wrong(&j, at, "something follows the end");
}

/* ---- reading canonical text ---- */

static size_t string_end(porch_bytes b, size_t at) {
    for (at++; at < b.len && b.at[at] != '"'; at++)
        if (b.at[at] == '\\') at++;
    return at < b.len ? at + 1 : b.len;
}

static size_t value_end(porch_bytes b) {
    size_t depth = 0, at = 0;
    while (at < b.len) {
        uint8_t c = b.at[at];
        if (c == '"') {
            at = string_end(b, at);
            if (depth == 0) return at;
            continue;
        }
        if (c == '{' || c == '[')
            depth++;
        else if (c == '}' || c == ']') {
            if (depth == 0) return at;
            if (--depth == 0) return at + 1;
        } else if (c == ',' && depth == 0)
            return at;
        at++;
    }
    return b.len;
}

static porch_bytes after(porch_bytes b, size_t n) {
    return n < b.len ? (porch_bytes){b.at + n, b.len - n} : (porch_bytes){b.at, 0};
}

bool porch_tuf_json_is_object(porch_bytes value) {
    return value.len >= 2 && value.at[0] == '{';
}

porch_tuf_json_walk porch_tuf_json_open(porch_bytes object_or_array) {
    return (porch_tuf_json_walk){after(object_or_array, 1)};
}

bool porch_tuf_json_next(porch_tuf_json_walk *w, porch_bytes *name, porch_bytes *value) {
    porch_bytes b = w->rest;
    *name = (porch_bytes){b.at, 0};
    if (b.len > 0 && b.at[0] == ',') b = after(b, 1);
    if (b.len == 0 || b.at[0] == '}' || b.at[0] == ']') return false;
    if (b.at[0] == '"') {
        size_t end = string_end(b, 0);
        if (end < b.len && b.at[end] == ':') {
            *name = (porch_bytes){b.at + 1, end - 2};
            b = after(b, end + 1);
        }
    }
    size_t len = value_end(b);
    *value = (porch_bytes){b.at, len};
    w->rest = after(b, len);
    return true;
}

bool porch_tuf_json_member(porch_bytes object, const char *name, porch_bytes *ret) {
    porch_bytes wanted = porch_bytes_of(name), has, value;
    if (!porch_tuf_json_is_object(object)) return false;
    porch_tuf_json_walk w = porch_tuf_json_open(object);
    while (porch_tuf_json_next(&w, &has, &value))
        if (porch_bytes_eq(has, wanted)) {
            *ret = value;
            return true;
        }
    return false;
}

static bool member_of(porch_bytes object, const char *name, char first, porch_bytes *ret) {
    porch_bytes v;
    if (!porch_tuf_json_member(object, name, &v) || v.len < 2 || v.at[0] != (uint8_t)first) return false;
    *ret = v;
    return true;
}

bool porch_tuf_json_object(porch_bytes object, const char *name, porch_bytes *ret) {
    return member_of(object, name, '{', ret);
}

bool porch_tuf_json_array(porch_bytes object, const char *name, porch_bytes *ret) {
    return member_of(object, name, '[', ret);
}

bool porch_tuf_json_plain(porch_bytes object, const char *name, porch_bytes *ret) {
    porch_bytes v, inner;
    if (!porch_tuf_json_member(object, name, &v) || !porch_tuf_json_string(v, &inner) ||
        (inner.len > 0 && memchr(inner.at, '\\', inner.len) != NULL))
        return false;
    *ret = inner;
    return true;
}

bool porch_tuf_json_number(porch_bytes object, const char *name, uint64_t *ret) {
    porch_bytes v;
    return porch_tuf_json_member(object, name, &v) && porch_decimal_read(v, UINT64_MAX, ret) == PORCH_OK;
}

bool porch_tuf_json_bool(porch_bytes object, const char *name, bool *ret) {
    porch_bytes v;
    if (!porch_tuf_json_member(object, name, &v)) return false;
    bool yes = porch_bytes_eq_text(v, "true");
    if (!yes && !porch_bytes_eq_text(v, "false")) return false;
    *ret = yes;
    return true;
}

bool porch_tuf_json_string(porch_bytes value, porch_bytes *inner) {
    if (value.len < 2 || value.at[0] != '"') return false;
    *inner = (porch_bytes){value.at + 1, value.len - 2};
    return true;
}

bool porch_tuf_json_equals(porch_bytes inner, porch_bytes plain) {
    size_t at = 0;
    for (size_t i = 0; i < inner.len; i++, at++) {
        if (inner.at[i] == '\\') i++;
        if (i >= inner.len || at >= plain.len || inner.at[i] != plain.at[at]) return false;
    }
    return at == plain.len;
}

bool porch_tuf_json_copy(porch_bytes inner, char *out, size_t cap) {
    size_t len = 0;
    for (size_t i = 0; i < inner.len; i++) {
        if (inner.at[i] == '\\' && i + 1 < inner.len) i++;
        if (len + 1 >= cap) return false;
        out[len++] = (char)inner.at[i];
    }
    if (cap == 0) return false;
    out[len] = '\0';
    return true;
}

int porch_tuf_json_compare(porch_bytes a, porch_bytes b) {
    size_t i = 0, k = 0;
    while (i < a.len && k < b.len) {
        if (a.at[i] == '\\' && i + 1 < a.len) i++;
        if (b.at[k] == '\\' && k + 1 < b.len) k++;
        if (a.at[i] != b.at[k]) return a.at[i] < b.at[k] ? -1 : 1;
        i++;
        k++;
    }
    return (int)(i < a.len) - (int)(k < b.len);
}
