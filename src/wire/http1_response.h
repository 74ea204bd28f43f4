/* HTTP/1.1 responses: writing for the hub, strict reading for the device SDK (RFC 9112, section 4). */
#ifndef PORCH_WIRE_HTTP1_RESPONSE_H
#define PORCH_WIRE_HTTP1_RESPONSE_H

#include "wire/http1_head.h"

typedef struct {
    uint16_t status; /* 100 to 599 */
    unsigned minor;
    porch_http1_headers headers;
    porch_http1_body_kind body;
    uint64_t body_bytes; /* with PORCH_HTTP1_BODY_LENGTH */
    bool keep_alive;
} porch_http1_response;

/* `to_head` tells that the request was HEAD: then, and for 1xx, 204 and 304, there is no body whatever the
 * headers say. fault->status has no meaning to a client but 400-like. */
porch_err porch_http1_response_read(porch_bytes head, const porch_http1_limits *limits, bool to_head,
                                    porch_http1_headers room, porch_http1_fault *fault,
                                    porch_http1_response *ret);

/* "HTTP/1.1 404 Not Found". Unknown codes get their class's phrase. */
porch_err porch_http1_status_write(porch_buf *b, uint16_t status);
/* "Not Found". Static memory. */
const char *porch_http1_status_text(uint16_t status);

#endif
