/* JSON without a heap, in two steps:
 *
 *   bytes of a stranger ─► porch_tuf_json_canonical ─► canonical text ─► porch_tuf_json_member, _next, ...
 *
 * The first step is the only parser: it accepts RFC 8259 without fractions and exponents (signed metadata
 * has none), no member name twice, no lone surrogate, no zero character, nesting up to a limit, and writes
 * the one form that signatures cover (canonical JSON as TUF's repositories make it: no blanks, members in
 * the order of their names' code points, only '"' and '\' escaped). The second step reads that text alone,
 * so it needs no error handling beyond "is it there, is it of this kind". The canonical form is never
 * longer than its source.
 */
#ifndef PORCH_OTA_CLIENT_TUF_JSON_H
#define PORCH_OTA_CLIENT_TUF_JSON_H

#include "base/bytes.h"
#include "base/error.h"

enum { PORCH_TUF_JSON_DEPTH = 16, PORCH_TUF_JSON_DIGITS = 18 };

/* Room to put members in order: one number for each member of the objects that are open at a time. */
typedef struct {
    uint32_t *at;
    size_t cap;
} porch_tuf_json_scratch;

/* Replaces what `out` holds. MALFORMED with the place, LIMIT (too deep, too many members, a number too
 * long), NO_SPACE. */
porch_err porch_tuf_json_canonical(porch_bytes text, porch_tuf_json_scratch scratch, porch_buf *out,
                                   porch_why *why);

/* ---- reading canonical text; every view looks into it ---- */

bool porch_tuf_json_is_object(porch_bytes value);
/* The value of a member; false when `object` is no object or lacks it. `name` is plain: no '"', no '\'. */
bool porch_tuf_json_member(porch_bytes object, const char *name, porch_bytes *ret);
/* A member that must be an object, a string without escapes (the view is without quotes), a number from 0
 * up, or true or false. */
bool porch_tuf_json_object(porch_bytes object, const char *name, porch_bytes *ret);
bool porch_tuf_json_array(porch_bytes object, const char *name, porch_bytes *ret);
bool porch_tuf_json_plain(porch_bytes object, const char *name, porch_bytes *ret);
bool porch_tuf_json_number(porch_bytes object, const char *name, uint64_t *ret);
bool porch_tuf_json_bool(porch_bytes object, const char *name, bool *ret);

/* Walks an object's members or an array's values: begin with `porch_tuf_json_open(value)`; false at the
 * end. For an array *name is empty. A name is as it stands between its quotes: with escapes. */
typedef struct {
    porch_bytes rest;
} porch_tuf_json_walk;
porch_tuf_json_walk porch_tuf_json_open(porch_bytes object_or_array);
bool porch_tuf_json_next(porch_tuf_json_walk *w, porch_bytes *name, porch_bytes *value);

/* A string value: what stands between its quotes, with escapes. */
bool porch_tuf_json_string(porch_bytes value, porch_bytes *inner);
/* Compares or copies such an inner text without its escapes; a copy gets a terminating zero, false when it
 * does not fit. */
bool porch_tuf_json_equals(porch_bytes inner, porch_bytes plain);
bool porch_tuf_json_copy(porch_bytes inner, char *out, size_t cap);
/* The order of names: below 0, 0, above 0. */
int porch_tuf_json_compare(porch_bytes inner, porch_bytes other);

#endif
