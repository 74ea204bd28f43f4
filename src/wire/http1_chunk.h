/* The chunked transfer coding (RFC 9112, section 7.1): a reader that takes bytes as they come, and a
 * writer.
 *
 *      1F40 CRLF  8,000 bytes CRLF   ...   0 CRLF CRLF
 *
 * Strict: no chunk extension and no trailer field, which nobody here sends and smugglers like. */
#ifndef PORCH_WIRE_HTTP1_CHUNK_H
#define PORCH_WIRE_HTTP1_CHUNK_H

#include "base/bytes.h"
#include "base/error.h"

typedef enum {
    PORCH_HTTP1_CHUNK_SIZE, /* at the first digit of a size line */
    PORCH_HTTP1_CHUNK_DIGITS,
    PORCH_HTTP1_CHUNK_SIZE_LF,
    PORCH_HTTP1_CHUNK_DATA,
    PORCH_HTTP1_CHUNK_DATA_CR,
    PORCH_HTTP1_CHUNK_DATA_LF,
    PORCH_HTTP1_CHUNK_END_CR,
    PORCH_HTTP1_CHUNK_END_LF,
    PORCH_HTTP1_CHUNK_DONE
} porch_http1_chunk_state;

/* A zeroed one is ready for the first byte. */
typedef struct {
    porch_http1_chunk_state state;
    unsigned digits;
    uint64_t left; /* data bytes of this chunk still to come */
} porch_http1_chunk;

/* Takes from the front of `in`: *used bytes are done with, *data is the (maybe empty) run of body bytes
 * among them. Call again with the rest while `in` is not used up and the body not done.
 * PORCH_ERR_MALFORMED: bad size, extension, trailer, missing CRLF; the state is of no more use then. */
porch_err porch_http1_chunk_read(porch_http1_chunk *c, porch_bytes in, porch_bytes *data, size_t *used);
static inline bool porch_http1_chunk_done(const porch_http1_chunk *c) {
    return c->state == PORCH_HTTP1_CHUNK_DONE;
}

/* Longest size line that porch_http1_chunk_write_head makes, and the CRLF after the data. */
#define PORCH_HTTP1_CHUNK_HEAD_MOST 18
/* Size line of a chunk of `bytes` (not 0); its data and a CRLF must follow. */
porch_err porch_http1_chunk_write_head(porch_buf *b, uint64_t bytes);
/* Size line, data, CRLF. An empty `data` writes nothing. */
porch_err porch_http1_chunk_write(porch_buf *b, porch_bytes data);
/* The last chunk. */
porch_err porch_http1_chunk_write_end(porch_buf *b);

#endif
