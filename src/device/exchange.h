/* One HTTP/1.1 request and its whole answer, for errands that are short: the hub's time, a new certificate.
 * Bytes and time in, bytes out; the caller owns the struct and both blocks.
 *
 *   begin ─► output / sent ─► take ... ─► DONE: status and body    FAILED: what
 *
 * After DONE the next exchange may begin on the same connection, unless it says `closes`. */
#ifndef PORCH_DEVICE_EXCHANGE_H
#define PORCH_DEVICE_EXCHANGE_H

#include "base/bytes.h"
#include "base/error.h"
#include "wire/http1_chunk.h"
#include "wire/http1_head.h"

typedef enum {
    PORCH_EXCHANGE_IDLE,
    PORCH_EXCHANGE_HEAD, /* the answer's head is read */
    PORCH_EXCHANGE_BODY,
    PORCH_EXCHANGE_DONE,
    PORCH_EXCHANGE_FAILED
} porch_exchange_phase;

enum { PORCH_EXCHANGE_MORE = 2, PORCH_EXCHANGE_WANTED = 3, PORCH_EXCHANGE_HEADER_BYTES = 72 };

typedef struct {
    const char *method, *path, *host;
    const char *type;   /* of the body; NULL: there is none */
    const char *accept; /* NULL: anything */
    porch_bytes body;
    struct {
        const char *name, *value;
    } more[PORCH_EXCHANGE_MORE];               /* headers; those without a name are left out */
    const char *wanted[PORCH_EXCHANGE_WANTED]; /* headers of the answer that are kept; NULL: none */
} porch_exchange_request;

typedef struct {
    porch_exchange_phase phase;
    porch_buf in, out;
    size_t out_read, scanned;
    porch_http1_body_kind kind;
    uint64_t left; /* of the body, with a length */
    porch_http1_chunk chunk;
    size_t body_at;   /* the body lies in `in`, from 0, this long */
    uint16_t status;  /* DONE */
    uint64_t wait_ms; /* Retry-After of the answer; 0 */
    bool closes;
    const char *wanted[PORCH_EXCHANGE_WANTED];
    /* the wanted ones, in their order; "" where one is not there or does not fit */
    char header[PORCH_EXCHANGE_WANTED][PORCH_EXCHANGE_HEADER_BYTES];
    const char *what; /* FAILED: a sentence in static memory */
    uint64_t give_up_ms;
} porch_exchange;

/* Writes the request. NO_SPACE when it does not fit `out`; the answer (its head, later its body) must fit
 * `in`. */
porch_err porch_exchange_begin(porch_exchange *x, const porch_exchange_request *request, porch_buf in,
                               porch_buf out, uint64_t give_up_ms);
porch_bytes porch_exchange_output(const porch_exchange *x);
void porch_exchange_sent(porch_exchange *x, size_t n);
/* Bytes of the answer, as they come. What follows a whole answer makes it FAILED. */
void porch_exchange_take(porch_exchange *x, porch_bytes from_peer);
/* The connection is gone. An answer that ends with its connection is whole then. */
void porch_exchange_closed(porch_exchange *x);
void porch_exchange_tick(porch_exchange *x, uint64_t now_ms);
/* Of DONE: valid until the next begin. */
porch_bytes porch_exchange_body(const porch_exchange *x);

#endif
