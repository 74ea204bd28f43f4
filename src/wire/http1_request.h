/* HTTP/1.1 requests: strict reading for the hub, writing for the device SDK (RFC 9112, section 3). */
#ifndef PORCH_WIRE_HTTP1_REQUEST_H
#define PORCH_WIRE_HTTP1_REQUEST_H

#include "wire/http1_head.h"

typedef struct {
    porch_bytes method; /* as sent: methods are case-sensitive */
    porch_bytes target; /* path and query */
    porch_bytes path;   /* begins with '/'; no '%', no empty, "." or ".." segment but a final empty one */
    porch_bytes query;  /* after '?', still percent-encoded; empty when there is none */
    porch_bytes host;
    unsigned minor; /* 1 for HTTP/1.1, 0 for HTTP/1.0 */
    porch_http1_headers headers;
    porch_http1_body_kind body;
    uint64_t body_bytes; /* with PORCH_HTTP1_BODY_LENGTH */
    bool keep_alive;
    bool expect_continue; /* Expect: 100-continue */
} porch_http1_request;

/* `head` is what porch_http1_head_find cut off. The caller's array of headers is in `room` (cap filled in)
 * and must live as long as ret. Faults: 400; 414 target too long; 417 unknown Expect; 431 too many headers;
 * 501 unknown transfer coding; 505 another HTTP version. Paths of ours need no percent-encoding, so one
 * with '%' is refused (400) rather than decoded; the absolute form and "*" are refused too. */
porch_err porch_http1_request_read(porch_bytes head, const porch_http1_limits *limits,
                                   porch_http1_headers room, porch_http1_fault *fault,
                                   porch_http1_request *ret);

/* Value of a query parameter, percent-decoded into `out` (appended; '+' is a blank). PORCH_ERR_NOT_FOUND,
 * PORCH_ERR_MALFORMED (bad escape, a zero, given twice), PORCH_ERR_NO_SPACE. */
porch_err porch_http1_query_get(porch_bytes query, const char *name, porch_buf *out);

/* "METHOD target HTTP/1.1" and the Host line. */
porch_err porch_http1_request_write(porch_buf *b, const char *method, porch_bytes target, porch_bytes host);

#endif
