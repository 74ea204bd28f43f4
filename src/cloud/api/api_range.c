#include "cloud/api/api_range.h"

#include "base/text.h"

/* Leading zeros are allowed here (1*DIGIT), unlike in our own numbers. */
static bool number(porch_bytes text, uint64_t *ret) {
    while (text.len > 1 && text.at[0] == '0')
        text = (porch_bytes){text.at + 1, text.len - 1};
    porch_err e = porch_decimal_read(text, UINT64_MAX, ret);
    if (e == PORCH_ERR_LIMIT) *ret = UINT64_MAX;
    return e == PORCH_OK || e == PORCH_ERR_LIMIT;
}

porch_range_kind porch_range_read(porch_bytes header, uint64_t bytes, uint64_t *first, uint64_t *last) {
    const porch_bytes unit = PORCH_LIT("bytes=");
    if (header.at == NULL || header.len <= unit.len ||
        !porch_bytes_eq_nocase((porch_bytes){header.at, unit.len}, unit))
        return PORCH_RANGE_WHOLE;
    porch_bytes spec = {header.at + unit.len, header.len - unit.len};
    size_t dash = 0;
    while (dash < spec.len && spec.at[dash] != '-')
        dash++;
    if (dash == spec.len) return PORCH_RANGE_WHOLE;
    porch_bytes from = {spec.at, dash}, to = {spec.at + dash + 1, spec.len - dash - 1};
    uint64_t a = 0, b = UINT64_MAX;
    if (from.len == 0) { /* the last N bytes */
        if (!number(to, &b)) return PORCH_RANGE_WHOLE;
        if (b == 0 || bytes == 0) return PORCH_RANGE_NONE;
        *first = b < bytes ? bytes - b : 0;
        *last = bytes - 1;
        return PORCH_RANGE_PART;
    }
    if (!number(from, &a) || (to.len > 0 && !number(to, &b)) || b < a) return PORCH_RANGE_WHOLE;
    if (a >= bytes) return PORCH_RANGE_NONE;
    *first = a;
    *last = b < bytes ? b : bytes - 1;
    return PORCH_RANGE_PART;
}
