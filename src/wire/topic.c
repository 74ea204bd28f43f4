#include "wire/topic.h"

#include <string.h>

#include "base/text.h"

/* The longest string that MQTT can carry. */
#define TEXT_MOST 65535

/* The limits that a well-formed text must also keep. */
static porch_err judge_size(porch_bytes text, const porch_topic_limits *limits) {
    if (limits == NULL) return PORCH_OK;
    return text.len > limits->bytes_most || porch_topic_levels(text) > limits->levels_most ? PORCH_ERR_LIMIT
                                                                                           : PORCH_OK;
}

#define EACH_BYTE(value) (0x0101010101010101u * (uint64_t)(value))

/* Nonzero when one of eight bytes is zero, given that none is above 0x7f. */
static uint64_t zero_byte(uint64_t eight) {
    return (eight - EACH_BYTE(1)) & EACH_BYTE(0x80);
}

/* The high bit of a byte: it is not ASCII, a zero or a wildcard (or a byte behind one that is). */
static uint64_t suspects_at(const uint8_t *at) {
    uint64_t eight;
    memcpy(&eight, at, 8);
    return eight | zero_byte(eight) | zero_byte(eight ^ EACH_BYTE('+')) | zero_byte(eight ^ EACH_BYTE('#'));
}

/* Most topics are ASCII: this goes over them eight bytes at a time and only says whether anything needs a
 * closer look. It runs for every message. */
static bool plain_name(porch_bytes text) {
    uint64_t suspects = 0;
    size_t i = 0;
    for (; text.len - i > 8; i += 8)
        suspects |= suspects_at(text.at + i);
    if (text.len >= 8) {
        suspects |= suspects_at(text.at + text.len - 8); /* may overlap those before */
        i = text.len;
    }
    for (; i < text.len; i++) {
        uint8_t c = text.at[i];
        suspects |= (uint64_t)(c | (c == 0 ? 0x80 : 0) | (c == '+' ? 0x80 : 0) | (c == '#' ? 0x80 : 0));
    }
    return (suspects & EACH_BYTE(0x80)) == 0;
}

static bool holds(porch_bytes text, char c) {
    return memchr(text.at, c, text.len) != NULL;
}

porch_err porch_topic_name_parse(porch_bytes text, const porch_topic_limits *limits,
                                 porch_topic_name *ret) {
    if (text.len == 0 || text.len > TEXT_MOST) return PORCH_ERR_MALFORMED;
    if (!plain_name(text) &&
        (holds(text, '\0') || holds(text, '+') || holds(text, '#') || !porch_utf8_valid(text)))
        return PORCH_ERR_MALFORMED;
    PORCH_TRY(judge_size(text, limits));
    *ret = (porch_topic_name){text};
    return PORCH_OK;
}

static bool is_any(porch_bytes level) {
    return level.len == 1 && level.at[0] == '+';
}

static bool is_rest(porch_bytes level) {
    return level.len == 1 && level.at[0] == '#';
}

static bool is_own(porch_bytes level) { /* "$SYS" and its like: hidden from leading wildcards */
    return level.len > 0 && level.at[0] == '$';
}

porch_err porch_topic_filter_parse(porch_bytes text, const porch_topic_limits *limits,
                                   porch_topic_filter *ret) {
    if (text.len == 0 || text.len > TEXT_MOST || holds(text, '\0') || !porch_utf8_valid(text))
        return PORCH_ERR_MALFORMED;
    porch_topic_level walk = porch_topic_level_first(text);
    porch_bytes level;
    while (porch_topic_level_next(&walk, &level)) {
        if (level.len > 1 && (holds(level, '+') || holds(level, '#'))) return PORCH_ERR_MALFORMED;
        if (is_rest(level) && walk.more) return PORCH_ERR_MALFORMED;
    }
    PORCH_TRY(judge_size(text, limits));
    *ret = (porch_topic_filter){text};
    return PORCH_OK;
}

size_t porch_topic_levels(porch_bytes text) {
    size_t levels = 1;
    for (size_t i = 0; i < text.len; i++)
        levels += text.at[i] == '/';
    return levels;
}

bool porch_topic_filter_is_pattern(porch_topic_filter filter) {
    return holds(filter.text, '+') || holds(filter.text, '#');
}

porch_topic_level porch_topic_level_first(porch_bytes text) {
    return (porch_topic_level){text, true};
}

bool porch_topic_level_next(porch_topic_level *walk, porch_bytes *ret) {
    if (!walk->more) return false;
    const uint8_t *slash = walk->rest.len == 0 ? NULL : memchr(walk->rest.at, '/', walk->rest.len);
    if (slash == NULL) {
        *ret = walk->rest;
        *walk = (porch_topic_level){{NULL, 0}, false};
        return true;
    }
    size_t n = (size_t)(slash - walk->rest.at);
    *ret = (porch_bytes){walk->rest.at, n};
    walk->rest = (porch_bytes){slash + 1, walk->rest.len - n - 1};
    return true;
}

bool porch_topic_matches(porch_topic_filter filter, porch_topic_name name) {
    const uint8_t *f = filter.text.at, *f_end = f + filter.text.len;
    const uint8_t *n = name.text.at, *n_end = n + name.text.len;
    if (name.text.len > 0 && *n == '$' && f < f_end && (*f == '+' || *f == '#')) return false;
    while (f < f_end) {
        if (*f == '#') return true;
        if (*f == '+') { /* one level, maybe empty */
            while (n < n_end && *n != '/')
                n++;
            f++;
        } else if (n < n_end && *f == *n) {
            f++;
            n++;
        } else { /* only "x/#" may go on where "x" ends: the parent level */
            return n == n_end && f_end - f == 2 && f[0] == '/' && f[1] == '#';
        }
    }
    return n == n_end;
}

/* A filter as a list of levels, in the one form that stands for the names it matches: every name has a
 * first level, and not an empty one alone, so "#" reads as "+/#" and "/#" as "/+/#". `extra` puts more '+'
 * before a final '#', and drop_rest leaves that '#' out (see porch_topic_union_contains). */
typedef struct {
    porch_topic_level walk;
    size_t extra;
    bool drop_rest;
} level_walk;

static level_walk walk_of(porch_topic_filter filter) {
    bool implied = porch_bytes_eq_text(filter.text, "#") || porch_bytes_eq_text(filter.text, "/#");
    return (level_walk){porch_topic_level_first(filter.text), implied ? 1 : 0, false};
}

static bool walk_next(level_walk *w, porch_bytes *ret) {
    porch_topic_level before = w->walk;
    if (!porch_topic_level_next(&w->walk, ret)) return false;
    if (!is_rest(*ret)) return true;
    if (w->extra > 0) {
        w->extra--;
        w->walk = before;
        *ret = PORCH_LIT("+");
        return true;
    }
    return !w->drop_rest;
}

static bool outer_contains(porch_topic_filter outer, level_walk inner) {
    porch_topic_level outer_walk = porch_topic_level_first(outer.text);
    porch_bytes o, i;
    bool first = true;
    for (;;) {
        bool has_inner = walk_next(&inner, &i);
        if (!porch_topic_level_next(&outer_walk, &o)) return !has_inner;
        if (is_rest(o)) return !(first && has_inner && is_own(i));
        if (!has_inner || is_rest(i)) return false;
        if (is_any(o)) {
            if (first && is_own(i)) return false;
        } else if (is_any(i) || !porch_bytes_eq(o, i)) {
            return false;
        }
        first = false;
    }
}

bool porch_topic_filter_contains(porch_topic_filter outer, porch_topic_filter inner) {
    return outer_contains(outer, walk_of(inner));
}

bool porch_topic_filter_overlaps(porch_topic_filter a, porch_topic_filter b) {
    level_walk walk_a = walk_of(a), walk_b = walk_of(b);
    for (bool first = true;; first = false) {
        porch_bytes x, y;
        bool has_x = walk_next(&walk_a, &x), has_y = walk_next(&walk_b, &y);
        if (!has_x || !has_y) return has_x == has_y || is_rest(has_x ? x : y);
        bool wild = is_any(x) || is_rest(x) || is_any(y) || is_rest(y);
        if (first && wild && (is_own(x) || is_own(y))) return false;
        if (is_rest(x) || is_rest(y)) return true;
        if (!wild && !porch_bytes_eq(x, y)) return false;
    }
}

static bool some_contains(porch_topic_next next, const void *set, level_walk inner, size_t *settled) {
    porch_topic_filter outer;
    size_t at = 0;
    while (next(set, &at, &outer)) {
        if (outer_contains(outer, inner)) {
            *settled = at;
            return true;
        }
    }
    return false;
}

/* Why this is exact. Levels have infinitely many values, so some value stands in none of the filters; a
 * filter that matches that value at '+' has '+' or '#' there and matches every other value too. Hence an
 * inner filter without '#' is inside the union only if it is inside one filter of it. An inner "p/#" is the
 * sum of "p", "p/+", "p/+/+", ...: each of them must be inside one filter, until one filter holds all that
 * remain. Beyond the deepest filter of the union nothing new can come, so the walk ends. */
bool porch_topic_set_contains(porch_topic_next next, const void *set, porch_topic_filter inner,
                              size_t *settled) {
    level_walk all = walk_of(inner);
    if (some_contains(next, set, all, settled)) return true;
    if (inner.text.at[inner.text.len - 1] != '#') return false;
    size_t deepest = 0, at = 0;
    porch_topic_filter outer;
    while (next(set, &at, &outer)) {
        size_t levels = porch_topic_levels(outer.text);
        if (levels > deepest) deepest = levels;
    }
    for (size_t extra = 0; extra <= deepest; extra++) {
        level_walk one = all;
        one.extra += extra;
        one.drop_rest = true;
        if (!some_contains(next, set, one, settled)) return false;
        one.drop_rest = false;
        one.extra++;
        if (some_contains(next, set, one, settled)) return true;
    }
    return false;
}

typedef struct {
    const porch_topic_filter *at;
    size_t count;
} filter_array;

static bool next_in_array(const void *set, size_t *at, porch_topic_filter *ret) {
    const filter_array *array = set;
    if (*at == array->count) return false;
    *ret = array->at[(*at)++];
    return true;
}

bool porch_topic_union_contains(const porch_topic_filter *filters, size_t count, porch_topic_filter inner,
                                size_t *last) {
    filter_array array = {filters, count};
    size_t settled;
    if (!porch_topic_set_contains(next_in_array, &array, inner, &settled)) return false;
    if (last != NULL) *last = settled - 1;
    return true;
}
