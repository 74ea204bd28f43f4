#include "wire/http1_chunk.h"

#include "base/cursor.h"

/* Sixteen digits would fit; fifteen keep every sum below 2^63. */
#define DIGITS_MOST 15

static int hex_digit(uint8_t c) {
    if (c >= '0' && c <= '9') return c - '0';
    if (c >= 'a' && c <= 'f') return c - 'a' + 10;
    if (c >= 'A' && c <= 'F') return c - 'A' + 10;
    return -1;
}

static porch_err expect(porch_http1_chunk *c, uint8_t got, char wanted, porch_http1_chunk_state next) {
    if (got != (uint8_t)wanted) return PORCH_ERR_MALFORMED;
    c->state = next;
    return PORCH_OK;
}

static porch_err take_digit(porch_http1_chunk *c, uint8_t got) {
    int digit = hex_digit(got);
    if (digit < 0 && c->digits > 0) return expect(c, got, '\r', PORCH_HTTP1_CHUNK_SIZE_LF);
    if (digit < 0 || c->digits == DIGITS_MOST) return PORCH_ERR_MALFORMED;
    c->left = c->left * 16 + (uint64_t)digit;
    c->digits++;
    c->state = PORCH_HTTP1_CHUNK_DIGITS;
    return PORCH_OK;
}

/* One byte of framing. */
static porch_err take_byte(porch_http1_chunk *c, uint8_t got) {
    switch (c->state) {
    case PORCH_HTTP1_CHUNK_SIZE:
    case PORCH_HTTP1_CHUNK_DIGITS:
        return take_digit(c, got);
    case PORCH_HTTP1_CHUNK_SIZE_LF:
        return expect(c, got, '\n', c->left > 0 ? PORCH_HTTP1_CHUNK_DATA : PORCH_HTTP1_CHUNK_END_CR);
    case PORCH_HTTP1_CHUNK_DATA_CR:
        return expect(c, got, '\r', PORCH_HTTP1_CHUNK_DATA_LF);
    case PORCH_HTTP1_CHUNK_DATA_LF:
        c->digits = 0;
        return expect(c, got, '\n', PORCH_HTTP1_CHUNK_SIZE);
    case PORCH_HTTP1_CHUNK_END_CR:
        return expect(c, got, '\r', PORCH_HTTP1_CHUNK_END_LF);
    case PORCH_HTTP1_CHUNK_END_LF:
        return expect(c, got, '\n', PORCH_HTTP1_CHUNK_DONE);
    default:
        return PORCH_ERR_STATE;
    }
}

porch_err porch_http1_chunk_read(porch_http1_chunk *c, porch_bytes in, porch_bytes *data, size_t *used) {
    size_t i = 0;
    *data = (porch_bytes){NULL, 0};
    *used = 0;
    while (i < in.len && c->state != PORCH_HTTP1_CHUNK_DATA && c->state != PORCH_HTTP1_CHUNK_DONE)
        PORCH_TRY(take_byte(c, in.at[i++]));
    if (c->state == PORCH_HTTP1_CHUNK_DATA && i < in.len) {
        size_t n = in.len - i;
        if (n >= c->left) {
            n = (size_t)c->left;
            c->state = PORCH_HTTP1_CHUNK_DATA_CR;
        }
        c->left -= n;
        *data = (porch_bytes){in.at + i, n};
        i += n;
    }
    *used = i;
    return PORCH_OK;
}

porch_err porch_http1_chunk_write_head(porch_buf *b, uint64_t bytes) {
    uint8_t line[PORCH_HTTP1_CHUNK_HEAD_MOST];
    size_t at = sizeof line;
    if (bytes == 0 || bytes >> (4 * DIGITS_MOST) != 0) return PORCH_ERR_MALFORMED;
    line[--at] = '\n';
    line[--at] = '\r';
    for (; bytes > 0; bytes >>= 4)
        line[--at] = (uint8_t) "0123456789abcdef"[bytes & 15];
    return porch_write_bytes(b, (porch_bytes){line + at, sizeof line - at});
}

porch_err porch_http1_chunk_write(porch_buf *b, porch_bytes data) {
    if (data.len == 0) return PORCH_OK;
    size_t start = b->len;
    porch_err e = porch_http1_chunk_write_head(b, data.len);
    if (e == PORCH_OK) e = porch_write_bytes(b, data);
    if (e == PORCH_OK) e = porch_write_text(b, "\r\n");
    if (e != PORCH_OK) b->len = start;
    return e;
}

porch_err porch_http1_chunk_write_end(porch_buf *b) {
    return porch_write_text(b, "0\r\n\r\n");
}
