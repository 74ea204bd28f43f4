#include "base/cursor.h"

#include <string.h>

/* n is at most 8. */
static porch_err read_be(porch_reader *r, size_t n, uint64_t *ret) {
    porch_bytes b;
    PORCH_TRY(porch_read_bytes(r, n, &b));
    uint64_t v = 0;
    for (size_t i = 0; i < n; i++)
        v = (v << 8) | b.at[i];
    *ret = v;
    return PORCH_OK;
}

porch_err porch_read_u32(porch_reader *r, uint32_t *ret) {
    uint64_t v;
    PORCH_TRY(read_be(r, 4, &v));
    *ret = (uint32_t)v;
    return PORCH_OK;
}

porch_err porch_read_u64(porch_reader *r, uint64_t *ret) {
    return read_be(r, 8, ret);
}

porch_err porch_read_block32(porch_reader *r, porch_bytes *ret) {
    porch_reader ahead = *r;
    uint32_t n;
    PORCH_TRY(porch_read_u32(&ahead, &n));
    PORCH_TRY(porch_read_bytes(&ahead, n, ret));
    *r = ahead;
    return PORCH_OK;
}

porch_err porch_write_bytes(porch_buf *b, porch_bytes v) {
    if (v.len > b->cap - b->len) return PORCH_ERR_NO_SPACE;
    if (v.len > 0) memcpy(b->at + b->len, v.at, v.len);
    b->len += v.len;
    return PORCH_OK;
}

static porch_err write_be(porch_buf *b, uint64_t v, size_t n) {
    uint8_t raw[8];
    for (size_t i = 0; i < n; i++)
        raw[n - 1 - i] = (uint8_t)(v >> (8 * i));
    return porch_write_bytes(b, (porch_bytes){raw, n});
}

porch_err porch_write_u8(porch_buf *b, uint8_t v) {
    return write_be(b, v, 1);
}

porch_err porch_write_u16(porch_buf *b, uint16_t v) {
    return write_be(b, v, 2);
}

porch_err porch_write_u32(porch_buf *b, uint32_t v) {
    return write_be(b, v, 4);
}

porch_err porch_write_u64(porch_buf *b, uint64_t v) {
    return write_be(b, v, 8);
}

static porch_err write_block(porch_buf *b, porch_bytes v, size_t length_bytes) {
    if (b->cap - b->len < length_bytes || v.len > b->cap - b->len - length_bytes) return PORCH_ERR_NO_SPACE;
    PORCH_TRY(write_be(b, v.len, length_bytes));
    return porch_write_bytes(b, v);
}

porch_err porch_write_block16(porch_buf *b, porch_bytes v) {
    return v.len > UINT16_MAX ? PORCH_ERR_LIMIT : write_block(b, v, 2);
}

porch_err porch_write_block32(porch_buf *b, porch_bytes v) {
    return v.len > UINT32_MAX ? PORCH_ERR_LIMIT : write_block(b, v, 4);
}

porch_err porch_write_text(porch_buf *b, const char *text) {
    return porch_write_bytes(b, porch_bytes_of(text));
}

porch_err porch_write_decimal(porch_buf *b, uint64_t v) {
    uint8_t digits[20];
    size_t at = sizeof digits;
    do {
        digits[--at] = (uint8_t)('0' + v % 10);
        v /= 10;
    } while (v > 0);
    return porch_write_bytes(b, (porch_bytes){digits + at, sizeof digits - at});
}
