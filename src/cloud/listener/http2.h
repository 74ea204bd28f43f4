/* HTTP/2 on a shard (RFC 9113, framing and HPACK by nghttp2): many exchanges on one connection.
 *
 *   take ─► nghttp2 ─► frame counted (http2_limits.c) ─► head built (http2_head.c) ─► exchange, as HTTP/1.1
 *   fill ◄─ nghttp2 ◄─ answer's bytes, source or stream pulled frame by frame, as far as the windows allow
 *
 * A request's head is written out as an HTTP/1.1 head and read by the same strict parser, so that a handler
 * cannot tell the two apart and nothing is judged in two ways. */
#ifndef PORCH_CLOUD_LISTENER_HTTP2_H
#define PORCH_CLOUD_LISTENER_HTTP2_H

#include <nghttp2/nghttp2.h>

#include "cloud/listener/http_exchange.h"

/* What a peer may do only so often: each has its row in the settings. */
typedef enum {
    PORCH_HTTP2_RESETS,
    PORCH_HTTP2_SETTINGS,
    PORCH_HTTP2_PINGS,
    PORCH_HTTP2_PRIORITIES,
    PORCH_HTTP2_WINDOW_UPDATES,
    PORCH_HTTP2_EMPTY_FRAMES,
    PORCH_HTTP2_STALLS,
    PORCH_HTTP2_RATES
} porch_http2_rate;

/* Why a connection ends; code NGHTTP2_NO_ERROR and a NULL reason: it does not. */
typedef struct {
    uint32_t code;
    const char *reason;
} porch_http2_fault;

typedef struct {
    uint64_t since_ms;
    uint32_t counts[PORCH_HTTP2_RATES];
    uint64_t window_credit; /* window updates that our own data has asked for */
    uint32_t continuations; /* of the header block that is arriving */
    uint64_t head_since_ms; /* 0: none is arriving */
    bool head_ends;         /* with the frame that is arriving */
    /* where the bytes stand between frames: nghttp2 passes over frames that it does not know in silence */
    size_t preface_got, head_got;
    uint8_t head[9];
    uint32_t payload_left;
} porch_http2_limits;

typedef struct porch_http2_stream {
    struct porch_http2_stream *prev, *next;
    struct porch_http2_conn *h;
    int32_t id;
    porch_http_exchange *x; /* NULL until the head is whole */
    /* the head as it arrives */
    nghttp2_rcbuf *method, *path, *authority;
    uint8_t *fields;
    size_t fields_len, fields_cap;
    uint64_t list_bytes; /* as SETTINGS_MAX_HEADER_LIST_SIZE counts */
    int refuse_status;   /* 0: fine so far */
    const char *refuse_what;
    /* the body as it arrives */
    uint8_t *held; /* of a streamed body, while a worker has the piece before */
    size_t held_len, held_cap, handed;
    uint64_t got;
    bool ended; /* the peer has sent everything */
    bool replied;
    uint64_t progress_ms;
    uint64_t answered_ms; /* 0: the answer is not whole yet */
} porch_http2_stream;

typedef struct porch_http2_conn {
    porch_conn *c;
    nghttp2_session *session;
    porch_http2_stream *streams;
    size_t stream_count;
    porch_http2_limits limits;
    porch_http2_fault fault;
    uint32_t resets_counted; /* that have not been sent yet */
    char told[128];          /* nghttp2's own words about a fault */
    bool draining, ending;
    uint64_t idle_since_ms;
    uint64_t data_ms; /* when an answer's bytes left last */
    porch_buf *out;   /* while fill runs */
    /* What did not fit: a lasting body's bytes, then the frame that nghttp2 gave last. */
    porch_bytes left, frame;
} porch_http2_conn;

/* http2_limits.c: false when the connection has to end; *fault says why. */
bool porch_http2_frame_allowed(porch_http2_limits *l, const porch_settings *s, const nghttp2_frame_hd *hd,
                               uint64_t now_ms, porch_http2_fault *fault);
/* Counts the frames of unknown types in what has arrived, and notes since when a header block is under way:
 * nghttp2 tells neither of a frame that it passes over. */
bool porch_http2_input_allowed(porch_http2_limits *l, const porch_settings *s, porch_bytes in,
                               uint64_t now_ms, porch_http2_fault *fault);
bool porch_http2_count(porch_http2_limits *l, const porch_settings *s, porch_http2_rate rate,
                       uint64_t now_ms, porch_http2_fault *fault);

/* http2_head.c */
/* One header field of a request; false: so much that the connection has to end. */
bool porch_http2_head_add(porch_http2_stream *st, const porch_settings *s, nghttp2_rcbuf *name,
                          nghttp2_rcbuf *value);
/* Parses what was added into st->x. On an error *fault says what to answer. */
porch_err porch_http2_head_parse(porch_http2_stream *st, const porch_settings *s, porch_http1_fault *fault);
void porch_http2_head_forget(porch_http2_stream *st);
/* Turns x->out_head into the answer's HEADERS; with_body: DATA follows from `data`. */
int porch_http2_head_submit(porch_http2_stream *st, const nghttp2_data_provider *data);

/* http2_body.c */
extern const porch_http_carrier porch_http2_carrier;
/* The head of st->x is whole: judge and dispatch it. */
void porch_http2_begin(porch_http2_stream *st);
void porch_http2_take_data(porch_http2_stream *st, porch_bytes data);
void porch_http2_take_end(porch_http2_stream *st);
/* Hands what has arrived of a streamed body to its handler, if that waits for it. */
void porch_http2_pump(porch_http2_stream *st);
/* Sends a frame of a lasting body: straight from where it lies. */
int porch_http2_send_lasting(nghttp2_session *session, nghttp2_frame *frame, const uint8_t *head,
                             size_t len, nghttp2_data_source *source, void *user);
/* As much of *from as there is room for; true when nothing is left of it. */
bool porch_http2_put(porch_buf *out, porch_bytes *from);
/* Looks after one stream's times; false when the connection has to end (h->fault). */
bool porch_http2_tend(porch_http2_stream *st, uint64_t now_ms);

#endif
