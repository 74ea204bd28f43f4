/* An HTTP exchange from inside: who holds it when.
 *
 *        ┌──────────── shard ────────────┐   job    ┌───────── worker ─────────┐
 *   head │ parse, route, guard, gather   │ ───────► │ handler, data, read_fn,  │
 *   body │ serialise, fill, end          │ ◄─────── │ abort, free_fn, on_close │
 *        └───────────────────────────────┘   note   └──────────────────────────┘
 *
 * Exactly one side holds it at a time (`busy`: the worker). The shard alone knows the connection; when that
 * goes while a worker is busy, the exchange ends when its note comes back. */
#ifndef PORCH_CLOUD_LISTENER_HTTP_EXCHANGE_H
#define PORCH_CLOUD_LISTENER_HTTP_EXCHANGE_H

#include "cloud/listener/room.h"
#include "wire/http1_chunk.h"
#include "wire/http1_request.h"

enum {
    PORCH_HTTP_HEADERS_MOST = 256,
    PORCH_HTTP_REPLY_HEADERS_BYTES = 4096,
    PORCH_HTTP_PIECE_BYTES = 65536,
    PORCH_HTTP_OWNER_BYTES = 34,
};

typedef enum {
    PORCH_ANSWER_NONE,
    PORCH_ANSWER_BYTES,
    PORCH_ANSWER_SOURCE,
    PORCH_ANSWER_STREAM,
    PORCH_ANSWER_UPGRADE /* 101, and the connection is MQTT's: over HTTP/1.1 only */
} porch_answer_kind;

typedef enum {
    PORCH_STEP_HANDLER, /* run the handler */
    PORCH_STEP_DATA,    /* hand over a piece of the body */
    PORCH_STEP_READ,    /* pull the next bytes of a source */
    PORCH_STEP_END      /* abort, free_fn, on_close: whatever is due */
} porch_http_step;

struct porch_http_stream {
    porch_note note;
    porch_http_exchange *x;
    pthread_mutex_t lock;
    /* under lock */
    uint8_t *at;
    size_t len, cap;
    bool posted, over, ending, too_slow;
};

/* What carries an exchange: asked on the shard, while x->conn is not NULL. */
typedef struct {
    void (*wait)(porch_http_exchange *x);       /* a worker has it now */
    void (*await_body)(porch_http_exchange *x); /* the handler wants more of the body */
    void (*reply)(porch_http_exchange *x);      /* the answer is known */
    void (*pulled)(porch_http_exchange *x);     /* a source has given its next bytes */
    void (*stream_ready)(porch_http_exchange *x);
    void (*broken)(porch_http_exchange *x); /* the answer cannot go on; the log knows why */
} porch_http_carrier;

struct porch_http_exchange {
    porch_note note;
    porch_job job;
    porch_shard *shard;
    porch_conn *conn; /* shard only; NULL when it (or the stream on it) has gone */
    const porch_http_carrier *carrier;
    void *carried; /* the carrier's own; shard only */
    porch_peer peer;
    const porch_http_route *route;
    void *user;
    bool for_person; /* peer.principal is the person for whom it becomes a WebSocket */
    bool busy, counted;
    bool open;                          /* counted by http_open.c */
    char owner[PORCH_HTTP_OWNER_BYTES]; /* there, as whose */
    bool http2;                         /* the head leaves as HEADERS: no Connection line */

    /* request */
    char *head; /* our copy; values are zero-terminated in place */
    porch_http1_request request;
    char *path;   /* zero-terminated copy */
    char *pieces; /* another, cut at the variables */
    size_t param_count;
    struct {
        porch_bytes name;
        const char *value;
    } params[PORCH_ROUTE_PARAMS_MOST];
    char method[8];
    bool head_only;

    /* body */
    porch_http1_chunk chunk;
    uint64_t body_got;
    bool body_done, begun, body_read; /* begun: the handler ran; body_read: `last` was handed over */
    uint8_t *body;                    /* gathered, or one piece of a stream */
    size_t body_len, body_cap;
    size_t body_counted; /* of body_cap, in the listener's body_bytes */

    /* answer */
    porch_http_step step;
    porch_answer_kind answer;
    int status;
    char content_type[128];
    porch_buf extra;  /* header lines of the handler */
    char reason[200]; /* of a refusal, for the log */
    bool close_after;
    uint8_t *out_head;
    size_t out_head_len, out_head_at;
    const uint8_t *lasting; /* a body that is not ours to free, instead of out */
    uint8_t *out;           /* the body's bytes, or a source's current ones */
    size_t out_len, out_at;
    uint64_t source_length, source_at;
    porch_http_read_fn source_read;
    void (*source_free)(void *ctx);
    void *source_ctx;
    porch_err source_error;
    porch_http_stream *stream;
    void (*stream_close)(void *ctx);
    void *stream_ctx;

    /* From here on nothing is cleared for a new exchange: request.headers and extra say how much counts. */
    porch_http1_header headers[PORCH_HTTP_HEADERS_MOST];
    char extra_text[PORCH_HTTP_REPLY_HEADERS_BYTES];
};

/* http_exchange.c */
porch_http_exchange *porch_exchange_new(porch_conn *c, const porch_http_carrier *carrier);
/* Parses a copy of the head. On an error *fault says what to answer; the exchange stays usable for that. */
porch_err porch_exchange_parse(porch_http_exchange *x, porch_bytes head, const porch_http1_limits *limits,
                               porch_http1_fault *fault);
void porch_exchange_take_match(porch_http_exchange *x, const porch_route_match *match);
void porch_exchange_free(porch_http_exchange *x);
/* The body's bytes, x->out_len of them. */
const uint8_t *porch_exchange_out(const porch_http_exchange *x);
/* Takes 101 as the answer; STATE when there is one already. */
porch_err porch_exchange_upgrade(porch_http_exchange *x);
/* Serialises status line and headers into x->out_head. */
porch_err porch_exchange_write_head(porch_http_exchange *x);

/* http_steps.c */
/* A stream has something new, on its shard. */
void porch_http_stream_moved(porch_http_exchange *x);
void porch_http_log_refused(porch_http_exchange *x);
/* Answers with a problem that the listener itself finds. */
void porch_http_refuse(porch_http_exchange *x, int status, const char *slug, const char *detail);
/* Refuses it because that limit of requests open at once (http_open.h) is reached. */
void porch_http_refuse_crowd(porch_http_exchange *x, const char *setting);
/* The head is parsed: route, identity, announced size and guard. False: it has been answered. */
bool porch_http_may_go_on(porch_http_exchange *x);
/* Gives it to a worker; comes back by a note. */
void porch_http_dispatch(porch_http_exchange *x, porch_http_step step);
/* Appends to x->body. LIMIT: past what the route takes; BUSY: no memory for it now. */
porch_err porch_http_keep_body(porch_http_exchange *x, porch_bytes data);
/* An answer is there: nobody reads it any more, and the peer may take long to read that. */
void porch_http_forget_body(porch_http_exchange *x);
/* What a peer is told for an error of keep_body. */
typedef struct {
    int status;
    const char *slug, *detail;
} porch_http_body_refusal;
porch_http_body_refusal porch_http_body_refused(porch_err e);
/* The connection has let go of it (x->conn is NULL) and no worker has it: what is still due, then free. */
void porch_http_finish(porch_http_exchange *x);

#endif
