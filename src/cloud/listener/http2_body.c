/* One HTTP/2 stream as the carrier of an exchange.
 *
 *   begin ─► (body gathered) ─► handler ─► reply ─► DATA pulled by nghttp2 ─► closed
 *   begin ─► handler ⇄ piece of a streamed body: what arrives meanwhile is held, up to the stream's window;
 *            the window opens again when the handler has had the piece: that is the flow control */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "cloud/listener/http2.h"
#include "cloud/listener/http_open.h"
#include "os/log.h"

enum { DRIP_BYTES = 1024 };

static porch_http2_stream *stream_of(const porch_http_exchange *x) {
    return x->carried;
}

static const porch_settings *settings_of(const porch_http2_stream *st) {
    return &st->h->c->shard->listener->settings;
}

static bool is_streamed(const porch_http_exchange *x) {
    return x->route != NULL && (x->route->flags & PORCH_HTTP_BODY_STREAM) != 0;
}

static void touch(porch_http2_stream *st) {
    st->progress_ms = porch_shard_now(st->h->c->shard);
}

static void reset(porch_http2_stream *st, uint32_t code) {
    (void)nghttp2_submit_rst_stream(st->h->session, NGHTTP2_FLAG_NONE, st->id, code);
    porch_conn_want_write(st->h->c);
}

static void consume(porch_http2_stream *st, size_t bytes) {
    if (bytes == 0) return;
    (void)nghttp2_session_consume(st->h->session, st->id, bytes);
    porch_conn_want_write(st->h->c);
}

/* ---- the answer's bytes ---- */

static size_t take_bytes(uint8_t *out, size_t cap, const uint8_t *from, size_t *at, size_t len) {
    size_t n = len - *at < cap ? len - *at : cap;
    if (n > 0) memcpy(out, from + *at, n);
    *at += n;
    return n;
}

static size_t take_stream(porch_http_stream *s, uint8_t *out, size_t cap, bool *ended) {
    size_t taken = 0;
    pthread_mutex_lock(&s->lock);
    size_t n = take_bytes(out, cap, s->at, &taken, s->len);
    if (n > 0 && n < s->len) memmove(s->at, s->at + n, s->len - n);
    s->len -= n;
    *ended = s->ending && s->len == 0;
    pthread_mutex_unlock(&s->lock);
    return n;
}

/* nghttp2 asks for as much as the frame and the peer's windows carry. */
static ssize_t give_data(nghttp2_session *session, int32_t id, uint8_t *out, size_t cap, uint32_t *flags,
                         nghttp2_data_source *source, void *user) {
    porch_http2_stream *st = source->ptr;
    porch_http_exchange *x = st->x;
    size_t n = 0;
    bool ended = false;
    (void)session;
    (void)id;
    (void)user;
    touch(st);
    st->h->data_ms = st->progress_ms;
    if (x->lasting != NULL) {
        n = x->out_len - x->out_at < cap ? x->out_len - x->out_at : cap;
        ended = x->out_at + n == x->out_len;
        *flags |= NGHTTP2_DATA_FLAG_NO_COPY;
    } else if (x->answer == PORCH_ANSWER_STREAM) {
        n = take_stream(x->stream, out, cap, &ended);
    } else if (!x->busy) {
        n = take_bytes(out, cap, x->out, &x->out_at, x->out_len);
        bool dry = x->out_at == x->out_len;
        bool more = x->answer == PORCH_ANSWER_SOURCE && x->source_at < x->source_length;
        ended = dry && !more;
        if (dry && more) porch_http_dispatch(x, PORCH_STEP_READ);
    }
    if (ended) *flags |= NGHTTP2_DATA_FLAG_EOF;
    if (n == 0 && !ended) return NGHTTP2_ERR_DEFERRED;
    /* The peer may open the stream's window and the connection's. One that lets the answer drip
     * (CVE-2019-9511) has every update counted. */
    bool drips = n == cap && cap < DRIP_BYTES && !ended;
    if (!drips) st->h->limits.window_credit += 2;
    return (ssize_t)n;
}

bool porch_http2_put(porch_buf *out, porch_bytes *from) {
    size_t n = from->len < out->cap - out->len ? from->len : out->cap - out->len;
    if (n > 0) memcpy(out->at + out->len, from->at, n);
    out->len += n;
    if (n > 0) *from = (porch_bytes){from->at + n, from->len - n};
    return from->len == 0;
}

int porch_http2_send_lasting(nghttp2_session *session, nghttp2_frame *frame, const uint8_t *head,
                             size_t len, nghttp2_data_source *source, void *user) {
    enum { HEAD_BYTES = 9 };
    porch_http2_conn *h = user;
    const porch_http2_stream *st = source->ptr;
    porch_http_exchange *x = st->x;
    (void)session;
    (void)frame; /* it has no padding: nobody asks for any */
    if (h->left.len > 0 || h->out->cap - h->out->len < HEAD_BYTES) return NGHTTP2_ERR_WOULDBLOCK;
    porch_bytes first = {head, HEAD_BYTES};
    (void)porch_http2_put(h->out, &first);
    h->left = (porch_bytes){x->lasting + x->out_at, len};
    x->out_at += len;
    (void)porch_http2_put(h->out, &h->left);
    return 0;
}

static void on_reply(porch_http_exchange *x) {
    porch_http2_stream *st = stream_of(x);
    if (st->replied) return;
    st->replied = true;
    touch(st);
    if (x->status >= 400) porch_http_log_refused(x);
    (void)nghttp2_session_consume_connection(st->h->session, st->handed + st->held_len);
    st->handed = st->held_len = 0;
    if (porch_exchange_write_head(x) != PORCH_OK) {
        reset(st, NGHTTP2_INTERNAL_ERROR);
        return;
    }
    bool stream = x->answer == PORCH_ANSWER_STREAM && !x->head_only;
    bool body = stream || x->out_len > 0 || (x->answer == PORCH_ANSWER_SOURCE && x->source_length > 0);
    nghttp2_data_provider data = {.source = {.ptr = st}, .read_callback = give_data};
    if (porch_http2_head_submit(st, body ? &data : NULL) != 0) {
        reset(st, NGHTTP2_INTERNAL_ERROR);
        return;
    }
    if (stream) {
        porch_count_add(&x->shard->counts.streams, 1);
        x->counted = true;
        if (st->h->draining) porch_http_stream_close(x->stream);
        porch_http_stream_moved(x); /* too slow already? */
    }
    porch_conn_want_write(st->h->c);
}

static void on_more(porch_http_exchange *x) {
    porch_http2_stream *st = stream_of(x);
    if (!st->replied) return;
    (void)nghttp2_session_resume_data(st->h->session, st->id);
    touch(st);
    porch_conn_want_write(st->h->c);
}

static void on_broken(porch_http_exchange *x) {
    bool slow = x->answer == PORCH_ANSWER_STREAM;
    reset(stream_of(x), slow ? NGHTTP2_ENHANCE_YOUR_CALM : NGHTTP2_INTERNAL_ERROR);
}

static void on_wait(porch_http_exchange *x) {
    (void)x; /* the connection goes on for its other streams */
}

static void on_await_body(porch_http_exchange *x) {
    porch_http2_stream *st = stream_of(x);
    touch(st);
    consume(st, st->handed);
    st->handed = 0;
    porch_http2_pump(st);
}

const porch_http_carrier porch_http2_carrier = {
    .wait = on_wait,
    .await_body = on_await_body,
    .reply = on_reply,
    .pulled = on_more,
    .stream_ready = on_more,
    .broken = on_broken,
};

/* ---- the request's body ---- */

/* Refused after its handler has begun to take it: the handler is told by abort, the peer by a reset. The
 * exchange itself may be a worker's just now, so only what does not change is read. */
static void give_up(porch_http2_stream *st, int status, const char *slug, const char *detail) {
    const porch_http_exchange *x = st->x;
    porch_shard *s = st->h->c->shard;
    bool begun = x->busy || x->begun;
    if (!begun) {
        porch_http_refuse(st->x, status, slug, detail);
        return;
    }
    st->replied = true;
    porch_count_add(&s->counts.requests_refused, 1);
    if (porch_shard_may_log(s))
        porch_log(PORCH_LOG_WARN, "http.refused", "status", porch_log_number((uint64_t)status).text, "path",
                  porch_http_path(x), "address", x->peer.address, "reason", detail, NULL);
    consume(st, st->handed + st->held_len);
    st->handed = st->held_len = 0;
    reset(st, NGHTTP2_CANCEL);
}

static bool hold(porch_http2_stream *st, porch_bytes data) {
    if (data.len > st->held_cap - st->held_len) {
        size_t cap = (st->held_len + data.len) * 2;
        uint8_t *wider = realloc(st->held, cap);
        if (wider == NULL) return false;
        st->held = wider;
        st->held_cap = cap;
    }
    memcpy(st->held + st->held_len, data.at, data.len);
    st->held_len += data.len;
    return true;
}

void porch_http2_take_data(porch_http2_stream *st, porch_bytes data) {
    porch_http_exchange *x = st->x;
    if (x == NULL || st->replied || x->route == NULL) {
        /* Nobody wants it: the stream's own window stays shut. */
        (void)nghttp2_session_consume_connection(st->h->session, data.len);
        porch_conn_want_write(st->h->c);
        return;
    }
    if (is_streamed(x)) touch(st); /* a small body has its time as a whole */
    if (!is_streamed(x)) {
        porch_err e = porch_http_keep_body(x, data);
        consume(st, data.len);
        if (e == PORCH_OK) return;
        porch_http_body_refusal r = porch_http_body_refused(e);
        porch_http_refuse(x, r.status, r.slug, r.detail);
        return;
    }
    st->got += data.len;
    if (st->got > x->route->body_max) {
        consume(st, data.len);
        give_up(st, 413, "body-too-large", "the body is larger than this path takes");
    } else if (!hold(st, data)) {
        consume(st, data.len);
        give_up(st, 503, "busy", "no memory for the body");
    }
}

void porch_http2_take_end(porch_http2_stream *st) {
    porch_http_exchange *x = st->x;
    st->ended = true;
    if (x == NULL || st->replied || x->busy || is_streamed(x)) return;
    x->body_done = true;
    porch_http_dispatch(x, PORCH_STEP_HANDLER);
}

void porch_http2_pump(porch_http2_stream *st) {
    porch_http_exchange *x = st->x;
    if (x == NULL || st->replied || x->busy || !is_streamed(x) || !x->begun || x->body_read) return;
    if (st->held_len == 0 && !st->ended) return;
    uint8_t *empty = x->body;
    size_t empty_cap = x->body_cap;
    x->body = st->held;
    x->body_cap = st->held_cap;
    x->body_len = st->held_len;
    st->held = empty;
    st->held_cap = empty_cap;
    st->handed = x->body_len;
    st->held_len = 0;
    x->body_done = st->ended;
    porch_http_dispatch(x, PORCH_STEP_DATA);
}

/* ---- the head ---- */

static void say_continue(porch_http2_stream *st) {
    nghttp2_nv status = {(uint8_t *)(uintptr_t) ":status", (uint8_t *)(uintptr_t) "100", 7, 3,
                         NGHTTP2_NV_FLAG_NONE};
    (void)nghttp2_submit_headers(st->h->session, NGHTTP2_FLAG_NONE, st->id, NULL, &status, 1, NULL);
}

/* Past a limit the stream is reset before anything is kept for it: an answer would live until the peer has
 * made room for it, which it need not. */
static bool has_place(const porch_http2_stream *st, porch_http_exchange *x) {
    porch_shard *s = x->shard;
    const char *setting = porch_http_open_enter(x);
    if (setting == NULL) return true;
    porch_count_add(&s->counts.requests_over_limit, 1);
    porch_count_add(&s->counts.requests_refused, 1);
    char text[96];
    snprintf(text, sizeof text, "too many requests are open at once (%s)", setting);
    porch_conn_log_refused(st->h->c, "http.refused", text);
    return false;
}

void porch_http2_begin(porch_http2_stream *st) {
    porch_shard *s = st->h->c->shard;
    porch_http1_fault fault = {400, "the request is malformed"};
    porch_count_add(&s->counts.requests, 1);
    porch_http_exchange *x = porch_exchange_new(st->h->c, &porch_http2_carrier);
    if (x == NULL || !has_place(st, x)) {
        if (x != NULL) porch_exchange_free(x);
        porch_http2_head_forget(st);
        reset(st, NGHTTP2_REFUSED_STREAM);
        return;
    }
    x->carried = st;
    x->http2 = true;
    st->x = x;
    touch(st);
    porch_err e = porch_http2_head_parse(st, settings_of(st), &fault);
    porch_http2_head_forget(st);
    if (e != PORCH_OK) {
        porch_http_refuse(x, fault.status, "malformed", fault.what);
        return;
    }
    if (!porch_http_may_go_on(x)) return;
    if (x->request.expect_continue && !st->ended) say_continue(st);
    if (st->ended || is_streamed(x)) porch_http_dispatch(x, PORCH_STEP_HANDLER);
}

/* ---- time ---- */

/* How long the peer has left an answer without a window to send it into; 0: it has not. With a window and
 * no progress the stream waits for its turn, or for the socket, which is looked after elsewhere. */
static uint64_t stalled_ms(const porch_http2_stream *st, uint64_t now_ms) {
    porch_http2_conn *h = st->h;
    if (!st->replied) return 0;
    if (nghttp2_session_get_stream_remote_window_size(h->session, st->id) <= 0)
        return now_ms - st->progress_ms;
    if (nghttp2_session_get_remote_window_size(h->session) <= 0) return now_ms - h->data_ms;
    return 0;
}

bool porch_http2_tend(porch_http2_stream *st, uint64_t now_ms) {
    const porch_settings *s = settings_of(st);
    porch_http2_conn *h = st->h;
    porch_http_exchange *x = st->x;
    if (x == NULL) return true;
    uint64_t still_ms = now_ms - st->progress_ms;
    if (st->answered_ms != 0) {
        /* The answer is whole and the request is not: after a moment to read the one, the rest of the other
         * is declined (RFC 9113, 8.1). At once would make some clients throw the answer away. */
        if (now_ms - st->answered_ms >= s->listener_linger_ms) reset(st, NGHTTP2_NO_ERROR);
        return true;
    }
    if (stalled_ms(st, now_ms) >= s->http_write_ms) {
        porch_count_add(&h->c->shard->counts.timeouts, 1);
        porch_conn_log_refused(h->c, "http.cut", "the peer does not read the answer (http.write_ms)");
        reset(st, NGHTTP2_CANCEL);
        touch(st);
        return porch_http2_count(&h->limits, s, PORCH_HTTP2_STALLS, now_ms, &h->fault);
    }
    if (!st->replied && !x->busy && !st->ended && still_ms >= s->http_body_ms) {
        porch_count_add(&h->c->shard->counts.timeouts, 1);
        give_up(st, 408, "timeout", "the body stopped coming (http.body_ms)");
    }
    return true;
}
