/* HTTP as handlers see it: one exchange = one request and its one answer.
 *
 *   shard: head parsed ─► route found ─► guard ─► (body gathered) ─► handler on a worker ─► answer ─► shard
 *
 * A handler runs on a worker thread and may block (database, signer, password hash); a shard never does.
 * It must give exactly one answer before it returns: porch_http_reply, _problem, _reply_source or
 * _reply_stream. A handler that returns without one is answered with 500. The first answer counts; later
 * ones are ignored with PORCH_ERR_STATE. Everything an exchange hands out is valid until the handler
 * returns (for PORCH_HTTP_BODY_STREAM routes: until `data` returned with `last`, or `abort` was called).
 *
 * HEAD is answered by a path's GET route (the body is dropped) unless the path has a HEAD route of its own.
 * Unknown paths get 404, known paths with another method 405 with Allow, both as application/problem+json.
 * Every refusal (4xx, 5xx) leaves one log line and counts. */
#ifndef PORCH_CLOUD_LISTENER_HTTP_H
#define PORCH_CLOUD_LISTENER_HTTP_H

#include "base/bytes.h"
#include "base/error.h"
#include "cloud/listener/peer.h"

typedef struct porch_http_exchange porch_http_exchange;
typedef struct porch_http_stream porch_http_stream;

typedef void (*porch_http_handler)(porch_http_exchange *x);
/* One piece of a streamed body, in order, never two at once. `last` comes exactly once, perhaps with no
 * bytes. The socket is not read further until it returns: that is the flow control. */
typedef void (*porch_http_body_handler)(porch_http_exchange *x, porch_bytes piece, bool last);
/* The peer left, was too slow or broke the framing before `last`; no answer is possible any more. Called
 * at most once, on a worker, after the last `data` call returned; the exchange is still readable. Not
 * called after an answer was given. */
typedef void (*porch_http_abort_handler)(porch_http_exchange *x);

enum {
    /* The handler runs on the shard itself: it must not block, lock for long or touch the disk. */
    PORCH_HTTP_INLINE = 1u << 0,
    /* The handler is called at the head; then `data` gets the body piece by piece (a request without a body
     * gives one empty `last`). An answer given before `last` ends the body: the rest is not read, the
     * connection closes after the answer. */
    PORCH_HTTP_BODY_STREAM = 1u << 1,
    /* Only for a device or service whose certificate was judged good: others get 403 before the handler. */
    PORCH_HTTP_PRINCIPAL = 1u << 2,
    /* A certificate that was judged bad comes through, too: what follows says why itself (CONNACK). */
    PORCH_HTTP_ANY_VERDICT = 1u << 3,
    /* A device under quarantine may come through, too: others get 403 on a device route. */
    PORCH_HTTP_QUARANTINED = 1u << 4,
};

/* One row of the route table. Patterns: literal segments, "{name}" for one non-empty segment, and as the
 * last one "{name...}" for the rest of the path (may be empty). Literals win over variables. */
typedef struct {
    const char *method;  /* "GET", "POST", "PUT", "PATCH", "DELETE", "HEAD" */
    const char *pattern; /* "/api/v1/clips/{id}" */
    unsigned listeners;  /* PORCH_ON_DEVICE | PORCH_ON_PEOPLE */
    unsigned flags;
    uint64_t
        body_max; /* bytes; 0: no body allowed. Streamed bodies may be large, others are held in memory */
    porch_http_handler handler;
    void *ctx;                      /* porch_http_route_ctx */
    porch_http_body_handler data;   /* BODY_STREAM only */
    porch_http_abort_handler abort; /* BODY_STREAM only, may be NULL */
} porch_http_route;

/* A header that every answer of a listener carries. */
typedef struct {
    const char *name;
    const char *value;
} porch_http_header_row;

/* ---- the request ---- */
const char *porch_http_method(const porch_http_exchange *x);
/* The decoded path (percent sequences resolved, no dot segments, no zero byte), zero-terminated. */
const char *porch_http_path(const porch_http_exchange *x);
/* A pattern variable's decoded value; "" when the pattern has none of that name. */
const char *porch_http_param(const porch_http_exchange *x, const char *name);
/* A query parameter, percent- and plus-decoded, zero-terminated into out. NOT_FOUND, NO_SPACE or MALFORMED
 * leave out as "". */
porch_err porch_http_query(const porch_http_exchange *x, const char *name, char *out, size_t cap);
/* First header of that name (case ignored), trimmed, zero-terminated; NULL when there is none. */
const char *porch_http_header(const porch_http_exchange *x, const char *name);
/* The value of one cookie; at == NULL when absent. On the device listener always so: cookies ignore ports.
 */
porch_bytes porch_http_cookie(const porch_http_exchange *x, const char *name);
/* The whole body; empty for BODY_STREAM routes. */
porch_bytes porch_http_body(const porch_http_exchange *x);
/* Announced length, or -1 when chunked. */
int64_t porch_http_body_length(const porch_http_exchange *x);
const porch_peer *porch_http_peer(const porch_http_exchange *x);
void *porch_http_route_ctx(const porch_http_exchange *x);
/* The handler's own state across `data` and `abort`. */
void porch_http_set_user(porch_http_exchange *x, void *user);
void *porch_http_user(const porch_http_exchange *x);

/* ---- the answer ---- */
/* Before the answer. Name and value are copied; CR, LF and zero are refused (MALFORMED), too many: LIMIT.
 */
porch_err porch_http_reply_header(porch_http_exchange *x, const char *name, const char *value);
/* Bytes are copied. content_type NULL: none (204, 304). */
porch_err porch_http_reply(porch_http_exchange *x, int status, const char *content_type, porch_bytes body);
/* As porch_http_reply, but the bytes are not copied: they must stay until the listener is freed. For files
 * that are held in memory; with PORCH_HTTP_INLINE no other thread is bothered. */
porch_err porch_http_reply_lasting(porch_http_exchange *x, int status, const char *content_type,
                                   porch_bytes body);
/* application/problem+json: type urn:porchlight:problem:<slug>, title of the status, detail as given. */
porch_err porch_http_problem(porch_http_exchange *x, int status, const char *slug, const char *detail);

/* Gives up to cap bytes at offset into buf, *got > 0 unless an error; called on a worker, in order, never
 * two at once. An error cuts the connection (the status has long left). */
typedef porch_err (*porch_http_read_fn)(void *ctx, uint64_t offset, uint8_t *buf, size_t cap, size_t *got);
#define PORCH_HTTP_LENGTH_UNKNOWN UINT64_MAX
/* `length`: of the body, or PORCH_HTTP_LENGTH_UNKNOWN: it ends when read_fn gives *got == 0 (over HTTP/1.1
 * with the connection, so what is sent must tell by itself whether it is whole). free_fn is called exactly
 * once when the answer is over, for whatever reason, also when this call fails. */
porch_err porch_http_reply_source(porch_http_exchange *x, int status, const char *content_type,
                                  uint64_t length, porch_http_read_fn read_fn, void (*free_fn)(void *ctx),
                                  void *ctx);

/* An endless answer (server-sent events, status 200). The stream lives from this call until on_close
 * returns. on_close is called exactly once, on a worker, never before the handler has returned, when the
 * stream is over for whatever reason: peer gone, too slow, porch_http_stream_close, listener stopped.
 * Senders therefore look the stream up under a lock of their own that on_close also takes to forget it. */
porch_http_stream *porch_http_reply_stream(porch_http_exchange *x, const char *content_type,
                                           void (*on_close)(void *ctx), void *ctx);
/* Any thread; copies. PORCH_ERR_CLOSED when over; PORCH_ERR_LIMIT when the peer reads too slowly: the
 * stream is then being closed. Whole messages only: bytes of two calls never mix. */
porch_err porch_http_stream_send(porch_http_stream *s, porch_bytes bytes);
/* Ends the answer after what was sent so far. Any thread. */
void porch_http_stream_close(porch_http_stream *s);

/* ---- MQTT over WebSocket (RFC 6455; MQTT 5.0, 6) ---- */
/* The handler of a GET route with PORCH_HTTP_INLINE and PORCH_HTTP_ANY_VERDICT: answers 101 and gives the
 * connection to the listener's MQTT hooks, or says what is wrong with the request: no certificate 403, no
 * upgrade or another version 426, a malformed one or without the subprotocol `mqtt` 400. HTTP/1.1 only. */
void porch_http_mqtt(porch_http_exchange *x);
/* The same on a worker, for the person whom the request's cookie proved; no certificate is asked for. */
void porch_http_mqtt_person(porch_http_exchange *x, const porch_principal *who);

/* "Not Found" for 404; "" for one unknown. */
const char *porch_http_status_text(int status);

#endif
