/* What HTTP/1.1 requests and responses share: the head, its header lines, and how the body is delimited
 * (RFC 9110, RFC 9112). Deliberately strict: where the standard lets a receiver be lenient, this one
 * refuses, since two readers that repair the same bytes differently are how requests are smuggled.
 *
 *      start line CRLF
 *      Name: value CRLF        no folding, no space before ':', no bare CR or LF, no NUL
 *      CRLF
 *      body                    none | Content-Length | chunked      never two of them, never two lengths
 *
 * Usage: feed bytes to porch_http1_head_find until it says OK, then parse that head once with
 * porch_http1_request_read or porch_http1_response_read. Views look into the head. */
#ifndef PORCH_WIRE_HTTP1_HEAD_H
#define PORCH_WIRE_HTTP1_HEAD_H

#include "base/bytes.h"
#include "base/cursor.h"
#include "base/error.h"

typedef struct {
    porch_bytes name;  /* as sent; compare with porch_bytes_eq_nocase */
    porch_bytes value; /* without leading and trailing blanks */
} porch_http1_header;

typedef struct {
    size_t head_bytes;   /* start line and headers together */
    size_t target_bytes; /* the request target alone */
    size_t headers;      /* how many; the caller's array may be smaller and then counts */
} porch_http1_limits;

/* Why a head was refused: the status to answer (400, 413, 414, 417, 431, 501, 505) and a sentence in static
 * memory. */
typedef struct {
    uint16_t status;
    const char *what;
} porch_http1_fault;

typedef enum {
    PORCH_HTTP1_BODY_NONE,
    PORCH_HTTP1_BODY_LENGTH,  /* `length` bytes follow; may be 0 */
    PORCH_HTTP1_BODY_CHUNKED, /* http1_chunk.h */
    PORCH_HTTP1_BODY_CLOSE    /* responses only: until the connection ends */
} porch_http1_body_kind;

/* The caller's array and how much of it is filled. */
typedef struct {
    porch_http1_header *at;
    size_t count;
    size_t cap;
} porch_http1_headers;

/* Looks for the empty line. `scanned` (0 at first) remembers how far earlier calls came, so that bytes that
 * trickle in are looked at once. PORCH_OK: *head_bytes up to and with the empty line. PORCH_ERR_TRUNCATED:
 * call again with more. PORCH_ERR_LIMIT (431) or PORCH_ERR_MALFORMED (400: bare CR or LF, NUL): told as
 * early as it is known. */
porch_err porch_http1_head_find(porch_bytes in, const porch_http1_limits *limits, size_t *scanned,
                                size_t *head_bytes, porch_http1_fault *fault);

/* First header of that name (any case), or NULL. */
const porch_http1_header *porch_http1_header_find(const porch_http1_headers *headers, const char *name);
/* How many headers have that name. */
size_t porch_http1_header_count(const porch_http1_headers *headers, const char *name);
/* Does a comma-separated header (Connection, TE, ...) list this token? Looks at every line of that name. */
bool porch_http1_header_lists(const porch_http1_headers *headers, const char *name, const char *token);

/* RFC 9110 token: header names and methods. */
bool porch_http1_is_token(porch_bytes text);
/* Header value: visible ASCII, blanks and bytes above 0x7f; no control characters. */
bool porch_http1_is_value(porch_bytes text);

/* Writers. A name that is no token or a value with control characters is PORCH_ERR_MALFORMED: nobody
 * injects a line. */
porch_err porch_http1_header_write(porch_buf *b, const char *name, porch_bytes value);
porch_err porch_http1_header_write_text(porch_buf *b, const char *name, const char *value);
porch_err porch_http1_header_write_number(porch_buf *b, const char *name, uint64_t value);
/* The empty line. */
porch_err porch_http1_head_end(porch_buf *b);

/* --- inside this room --- */
porch_err porch_http1_refuse(porch_http1_fault *fault, uint16_t status, const char *what);
/* Cuts off one line (without CRLF) of a head that porch_http1_head_find accepted. */
porch_bytes porch_http1_take_line(porch_bytes *rest);
/* Parses header lines up to the empty line. */
porch_err porch_http1_headers_read(porch_bytes lines, const porch_http1_limits *limits,
                                   porch_http1_headers *headers, porch_http1_fault *fault);
/* Content-Length and Transfer-Encoding: none, one, or refused. `minor` is x of HTTP/1.x. */
porch_err porch_http1_body_read(const porch_http1_headers *headers, unsigned minor,
                                porch_http1_fault *fault, porch_http1_body_kind *kind, uint64_t *length);

#endif
