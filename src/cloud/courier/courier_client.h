/* What the hub may ask of the courier process: the client's side of the socket pair.
 *
 * The courier makes all outgoing HTTP requests. It resolves the host, checks that the address is public
 * (or that HOST:PORT stands in the setting courier.allow), connects to exactly the address it checked,
 * follows no redirect, verifies TLS, and limits sizes and times. One request at a time; a call blocks its
 * thread until the answer. While the courier is away a call waits up to 5 seconds for
 * porch_courier_client_attach(), then returns PORCH_ERR_CHILD. */
#ifndef PORCH_CLOUD_COURIER_CLIENT_H
#define PORCH_CLOUD_COURIER_CLIENT_H

#include "base/bytes.h"
#include "base/error.h"

typedef struct porch_courier_client porch_courier_client;

enum {
    PORCH_COURIER_URL_MAX = 2048,
    PORCH_COURIER_HEADERS_MAX = 16,
    PORCH_COURIER_HEADER_MAX = 1024, /* bytes of one name or value */
    PORCH_COURIER_BODY_MAX = 98304,  /* bytes of one request body */
    PORCH_COURIER_AWAY_WAIT_MS = 5000,
};

typedef struct {
    const char *name;
    const char *value;
} porch_courier_header;

typedef struct {
    const char *url; /* https:// only */
    const porch_courier_header *headers;
    size_t headers_count;
    porch_bytes body;
    uint32_t timeout_ms; /* for the whole request; the setting courier.timeout_ms is the most */
} porch_courier_request;

/* NULL when out of memory. Nothing is attached yet. */
porch_courier_client *porch_courier_client_new(void);
void porch_courier_client_free(porch_courier_client *c);
/* Takes over `fd` and closes the one it had. Any thread. */
void porch_courier_client_attach(porch_courier_client *c, int fd);

/* POSTs. PORCH_OK whenever the receiver answered: *status is its HTTP status, also 4xx and 5xx.
 *   PORCH_ERR_DENIED    the address is not public and not allowed; or the URL is not https
 *   PORCH_ERR_MALFORMED the URL or a header cannot be sent
 *   PORCH_ERR_IO, PORCH_ERR_TIMEOUT, PORCH_ERR_AUTH (its TLS certificate)   no answer: `why` says it */
porch_err porch_courier_post(porch_courier_client *c, const porch_courier_request *request,
                             uint16_t *status, porch_why *why);

#endif
