/* One cursor in, one cursor out: the only doors through which outside bytes enter and leave.
 *
 * Reading compares before it advances, so nothing wraps; on an error the reader has not moved and *ret
 * is untouched. Writing appends to a porch_buf and never past its end; on an error nothing was written.
 * Integers are big-endian, the order of MQTT and of our own process messages. */
#ifndef PORCH_BASE_CURSOR_H
#define PORCH_BASE_CURSOR_H

#include "base/bytes.h"
#include "base/error.h"

typedef struct {
    porch_bytes rest; /* what has not been read yet */
} porch_reader;

static inline porch_reader porch_reader_of(porch_bytes b) {
    return (porch_reader){b};
}
static inline bool porch_reader_done(const porch_reader *r) {
    return r->rest.len == 0;
}

/* What each packet takes several times is written here, where it becomes a part of its caller. */
static inline porch_err porch_read_bytes(porch_reader *r, size_t n, porch_bytes *ret) {
    if (n > r->rest.len) return PORCH_ERR_TRUNCATED;
    *ret = (porch_bytes){r->rest.at, n};
    if (n > 0) r->rest.at += n;
    r->rest.len -= n;
    return PORCH_OK;
}
static inline porch_err porch_read_u8(porch_reader *r, uint8_t *ret) {
    if (r->rest.len < 1) return PORCH_ERR_TRUNCATED;
    *ret = *r->rest.at++;
    r->rest.len--;
    return PORCH_OK;
}
static inline porch_err porch_read_u16(porch_reader *r, uint16_t *ret) {
    porch_bytes b = {NULL, 0};
    PORCH_TRY(porch_read_bytes(r, 2, &b));
    *ret = (uint16_t)(b.at[0] << 8 | b.at[1]);
    return PORCH_OK;
}
porch_err porch_read_u32(porch_reader *r, uint32_t *ret);
porch_err porch_read_u64(porch_reader *r, uint64_t *ret);
/* A u16 (or u32) length, then that many bytes; the view looks into the input. */
static inline porch_err porch_read_block16(porch_reader *r, porch_bytes *ret) {
    porch_reader ahead = *r;
    uint16_t n;
    PORCH_TRY(porch_read_u16(&ahead, &n));
    PORCH_TRY(porch_read_bytes(&ahead, n, ret));
    *r = ahead;
    return PORCH_OK;
}
porch_err porch_read_block32(porch_reader *r, porch_bytes *ret);

/* All return PORCH_ERR_NO_SPACE when it does not fit. */
porch_err porch_write_bytes(porch_buf *b, porch_bytes v);
porch_err porch_write_u8(porch_buf *b, uint8_t v);
porch_err porch_write_u16(porch_buf *b, uint16_t v);
porch_err porch_write_u32(porch_buf *b, uint32_t v);
porch_err porch_write_u64(porch_buf *b, uint64_t v);
porch_err porch_write_block16(porch_buf *b, porch_bytes v); /* PORCH_ERR_LIMIT past 65,535 bytes */
porch_err porch_write_block32(porch_buf *b, porch_bytes v);
porch_err porch_write_text(porch_buf *b, const char *text); /* without the terminating zero */
porch_err porch_write_decimal(porch_buf *b, uint64_t v);

#endif
