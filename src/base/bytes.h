/* Bytes that travel with their length.
 *
 *   porch_bytes  a read-only view of someone else's memory
 *   porch_buf    a writable block with a fill mark: what a writer appends to
 *
 * Neither owns memory. A view is valid as long as the block it looks into; whoever hands one out says
 * how long that is. Everybody includes this file; it includes nothing of ours. */
#ifndef PORCH_BASE_BYTES_H
#define PORCH_BASE_BYTES_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

typedef struct {
    const uint8_t *at;
    size_t len;
} porch_bytes;

typedef struct {
    uint8_t *at;
    size_t len; /* bytes filled so far */
    size_t cap; /* bytes that fit */
} porch_buf;

/* A view of a string literal, without its terminating zero. */
#define PORCH_LIT(s) ((porch_bytes){(const uint8_t *)(s), sizeof(s) - 1})
/* A fill-empty buffer over an array that the caller owns. */
#define PORCH_BUF_OF(array) ((porch_buf){(uint8_t *)(array), 0, sizeof(array)})
/* For printf: "%.*s", PORCH_FMT(view). */
#define PORCH_FMT(b) ((int)(b).len), ((const char *)(b).at)

/* View of a zero-terminated string; NULL gives the empty view. */
porch_bytes porch_bytes_of(const char *text);
/* View of what a buffer holds so far. */
porch_bytes porch_buf_bytes(const porch_buf *b);
bool porch_bytes_eq(porch_bytes a, porch_bytes b);
bool porch_bytes_eq_text(porch_bytes a, const char *text);
/* Equal ignoring ASCII case: header names (RFC 9110, 5.1). */
bool porch_bytes_eq_nocase(porch_bytes a, porch_bytes b);
bool porch_bytes_starts(porch_bytes a, porch_bytes prefix);
/* Equal in a time that depends on the lengths only. For secrets and digests. */
bool porch_bytes_eq_secret(porch_bytes a, porch_bytes b);
/* Copies into `out` and terminates with zero. False (out is "") when it does not fit or holds a zero. */
bool porch_bytes_to_text(porch_bytes a, char *out, size_t cap);
/* Overwrites memory in a way that the compiler keeps. */
void porch_wipe(void *at, size_t len);

#endif
