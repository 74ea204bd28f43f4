/* HTTP/1.1 on a shard: one request at a time on each connection (RFC 9112).
 *
 *   HEAD ─► BODY ─► WAIT ─► REPLY ─► HEAD ...      WAIT: a worker holds the exchange, the socket is not
 * read │└──► STREAM ─► end           BODY ⇄ WAIT: a streamed body, piece by piece */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/cursor.h"
#include "cloud/listener/http_exchange.h"
#include "cloud/listener/http_open.h"
#include "os/log.h"

typedef enum { STATE_HEAD, STATE_BODY, STATE_WAIT, STATE_REPLY, STATE_STREAM } http_state;

enum { STREAM_INPUT_MOST = 65536 };

/* A connection's side; the exchange may outlive it. */
typedef struct {
    http_state state;
    size_t scanned; /* of a head that is not whole yet */
    bool head_begun;
    bool draining;
    uint64_t progress_ms;
    size_t stream_input;
    porch_http_exchange *x;
} http_conn;

static const porch_http_carrier carrier;

static const porch_settings *settings_of(const porch_conn *c) {
    return &c->shard->listener->settings;
}

static http_conn *http_of(const porch_conn *c) {
    return porch_conn_user(c);
}

/* ---- the end of an exchange ---- */

static void arm_idle(porch_conn *c) {
    porch_conn_timer(c, settings_of(c)->http_idle_ms);
}

/* No more requests; closed once the answers so far have left. */
static void go_when_read(porch_conn *c) {
    porch_conn_pause(c);
    porch_conn_finish(c);
}

static void end_exchange(porch_conn *c, porch_http_exchange *x) {
    http_conn *h = http_of(c);
    bool close_after = x->close_after || h->draining;
    h->x = NULL;
    x->conn = NULL;
    porch_http_finish(x);
    h->state = STATE_HEAD;
    h->scanned = 0;
    h->head_begun = false;
    if (close_after) {
        porch_conn_finish(c);
        return;
    }
    arm_idle(c);
    porch_conn_resume(c);
}

/* ---- work for others ---- */

static void on_await_body(porch_http_exchange *x) {
    porch_conn *c = x->conn;
    http_conn *h = http_of(c);
    h->state = STATE_BODY;
    h->progress_ms = porch_shard_now(c->shard);
    porch_conn_timer(c, settings_of(c)->http_body_ms);
    porch_conn_resume(c);
}

/* ---- the answer ---- */

/* 101 is the last word of HTTP here; what comes next is MQTT's, in frames. */
static void become_websocket(porch_conn *c, porch_http_exchange *x) {
    http_conn *h = http_of(c);
    x->close_after = false;
    if (x->for_person) {
        c->peer.principal = x->peer.principal;
        c->peer.verdict = PORCH_OK;
        c->peer.admitted = true;
    }
    bool ok = porch_exchange_write_head(x) == PORCH_OK;
    h->x = NULL;
    x->conn = NULL;
    ok = ok && porch_conn_put(c, (porch_bytes){x->out_head, x->out_head_len});
    porch_http_finish(x);
    if (porch_conn_closing(c)) return; /* no memory for it: h went with the connection */
    porch_conn_set_user(c, NULL);
    free(h);
    porch_conn_timer(c, 0);
    if (!ok || porch_ws_begin(c) != PORCH_OK) {
        porch_conn_log_refused(c, "websocket.closed", "no memory for a WebSocket");
        porch_conn_cut(c);
        return;
    }
    if (c->rest_len > 0) c->rest_len = porch_ws_input(c, c->rest, c->rest_len); /* came with the request */
    c->hooks->open(c);
    if (porch_shard_draining(c->shard) && !porch_conn_closing(c)) c->hooks->drain(c);
    porch_conn_resume(c);
}

static void on_reply(porch_http_exchange *x) {
    porch_conn *c = x->conn;
    http_conn *h = http_of(c);
    if (x->answer == PORCH_ANSWER_UPGRADE) {
        become_websocket(c, x);
        return;
    }
    if (!x->request.keep_alive || !x->body_done || h->draining) x->close_after = true;
    if (x->status >= 400) porch_http_log_refused(x);
    if (porch_exchange_write_head(x) != PORCH_OK) {
        porch_log(PORCH_LOG_ERROR, "http.cut", "path", porch_http_path(x), "reason",
                  "no memory for the answer", NULL);
        porch_conn_cut(c);
        return;
    }
    porch_conn_timer(c, settings_of(c)->http_write_ms);
    if (x->answer == PORCH_ANSWER_STREAM && !x->head_only) {
        h->state = STATE_STREAM;
        porch_count_add(&c->shard->counts.streams, 1);
        x->counted = true;
        porch_conn_resume(c); /* so that a peer that leaves is noticed */
        if (h->draining) porch_http_stream_close(x->stream);
        porch_http_stream_moved(x);
        return;
    }
    h->state = STATE_REPLY;
    porch_conn_pause(c);
    porch_conn_want_write(c);
}

static void on_wait(porch_http_exchange *x) {
    http_of(x->conn)->state = STATE_WAIT;
    porch_conn_pause(x->conn);
    porch_conn_timer(x->conn, 0);
}

static void on_more(porch_http_exchange *x) {
    porch_conn_want_write(x->conn);
}

static void on_broken(porch_http_exchange *x) {
    porch_conn_cut(x->conn);
}

static const porch_http_carrier carrier = {
    .wait = on_wait,
    .await_body = on_await_body,
    .reply = on_reply,
    .pulled = on_more,
    .stream_ready = on_more,
    .broken = on_broken,
};

static void append(porch_buf *out, const uint8_t *from, size_t *at, size_t len) {
    size_t n = len - *at;
    if (n > out->cap - out->len) n = out->cap - out->len;
    if (n > 0) memcpy(out->at + out->len, from + *at, n);
    out->len += n;
    *at += n;
}

/* True when the stream has been emptied and nothing will follow. */
static bool fill_stream(porch_http_stream *s, porch_buf *out) {
    pthread_mutex_lock(&s->lock);
    size_t taken = 0;
    append(out, s->at, &taken, s->len);
    if (taken > 0 && taken < s->len) memmove(s->at, s->at + taken, s->len - taken);
    s->len -= taken;
    bool ended = s->ending && s->len == 0;
    pthread_mutex_unlock(&s->lock);
    return ended;
}

static void http_fill(porch_conn *c, porch_buf *out) {
    http_conn *h = http_of(c);
    porch_http_exchange *x = h->x;
    if (x == NULL || (h->state != STATE_REPLY && h->state != STATE_STREAM)) return;
    append(out, x->out_head, &x->out_head_at, x->out_head_len);
    if (x->out_head_at < x->out_head_len) return;
    if (h->state == STATE_STREAM) {
        if (fill_stream(x->stream, out)) end_exchange(c, x);
        return;
    }
    if (!x->busy) append(out, porch_exchange_out(x), &x->out_at, x->out_len);
    if (x->busy || x->out_at < x->out_len) return;
    if (x->answer == PORCH_ANSWER_SOURCE && x->source_at < x->source_length) {
        porch_http_dispatch(x, PORCH_STEP_READ);
    } else {
        end_exchange(c, x);
    }
}

/* ---- the request's head ---- */

static void begin_request(porch_conn *c, porch_bytes head, const porch_http1_limits *limits) {
    http_conn *h = http_of(c);
    porch_http1_fault fault = {400, "the request is malformed"};
    porch_count_add(&c->shard->counts.requests, 1);
    porch_http_exchange *x = porch_exchange_new(c, &carrier);
    if (x == NULL) {
        porch_conn_log_refused(c, "http.refused", "no memory for a request");
        porch_conn_cut(c);
        return;
    }
    h->x = x;
    if (porch_exchange_parse(x, head, limits, &fault) != PORCH_OK) {
        porch_http_refuse(x, fault.status, "malformed", fault.what);
        return;
    }
    x->body_done = x->request.body == PORCH_HTTP1_BODY_NONE ||
                   (x->request.body == PORCH_HTTP1_BODY_LENGTH && x->request.body_bytes == 0);
    const char *crowd = porch_http_open_enter(x);
    if (crowd != NULL) {
        porch_http_refuse_crowd(x, crowd);
        return;
    }
    if (!porch_http_may_go_on(x)) return;
    if (x->request.expect_continue && !x->body_done &&
        !porch_conn_put(c, PORCH_LIT("HTTP/1.1 100 Continue\r\n\r\n")))
        return;
    if (x->body_done || (x->route->flags & PORCH_HTTP_BODY_STREAM) != 0) {
        porch_http_dispatch(x, PORCH_STEP_HANDLER);
    } else {
        on_await_body(x);
    }
}

static size_t take_head(porch_conn *c, porch_bytes in) {
    http_conn *h = http_of(c);
    const porch_settings *set = settings_of(c);
    porch_http1_limits limits = {set->http_head_bytes, set->http_target_bytes, set->http_headers};
    porch_http1_fault fault = {400, "the request is malformed"};
    size_t head_bytes;
    if (h->draining) {
        go_when_read(c);
        return in.len;
    }
    porch_err e = porch_http1_head_find(in, &limits, &h->scanned, &head_bytes, &fault);
    if (e == PORCH_ERR_TRUNCATED) {
        if (!h->head_begun) porch_conn_timer(c, set->http_head_ms);
        h->head_begun = true;
        return 0;
    }
    h->scanned = 0;
    porch_conn_timer(c, 0);
    if (e != PORCH_OK) {
        porch_http_exchange *x = porch_exchange_new(c, &carrier);
        porch_count_add(&c->shard->counts.requests, 1);
        if (x == NULL) {
            porch_conn_cut(c);
            return in.len;
        }
        h->x = x;
        porch_http_refuse(x, fault.status, "malformed", fault.what);
        return in.len;
    }
    begin_request(c, (porch_bytes){in.at, head_bytes}, &limits);
    return head_bytes;
}

/* ---- the request's body ---- */

static size_t body_room(const porch_http_exchange *x) {
    bool streamed = (x->route->flags & PORCH_HTTP_BODY_STREAM) != 0;
    return streamed ? PORCH_HTTP_PIECE_BYTES - x->body_len : SIZE_MAX;
}

/* Takes one run of body bytes from the front of `in`. */
static porch_err take_run(porch_http_exchange *x, porch_bytes in, size_t *used) {
    porch_bytes data = in;
    if (in.len > body_room(x)) in.len = body_room(x);
    if (x->request.body == PORCH_HTTP1_BODY_CHUNKED) {
        PORCH_TRY(porch_http1_chunk_read(&x->chunk, in, &data, used));
        x->body_done = porch_http1_chunk_done(&x->chunk);
    } else {
        uint64_t left = x->request.body_bytes - x->body_got;
        data.len = in.len < left ? in.len : (size_t)left;
        *used = data.len;
        x->body_done = data.len == left;
    }
    return porch_http_keep_body(x, data);
}

static void give_up_body(porch_conn *c, porch_http_exchange *x, int status, const char *slug,
                         const char *detail) {
    bool begun = x->begun;
    if (!begun) {
        porch_http_refuse(x, status, slug, detail);
        return;
    }
    /* The handler waits for more: it is told by abort; the peer by the connection's end. */
    snprintf(x->reason, sizeof x->reason, "%s: %s", slug, detail);
    x->status = status;
    porch_http_log_refused(x);
    porch_conn_close(c);
}

static size_t take_body(porch_conn *c, porch_bytes in) {
    http_conn *h = http_of(c);
    porch_http_exchange *x = h->x;
    bool streamed = (x->route->flags & PORCH_HTTP_BODY_STREAM) != 0;
    size_t used = 0;
    if (streamed) h->progress_ms = porch_shard_now(c->shard); /* a small body has its time as a whole */
    while (used < in.len && !x->body_done && body_room(x) > 0) {
        size_t n = 0;
        porch_err e = take_run(x, (porch_bytes){in.at + used, in.len - used}, &n);
        used += n;
        if (e == PORCH_ERR_LIMIT || e == PORCH_ERR_BUSY) {
            porch_http_body_refusal r = porch_http_body_refused(e);
            give_up_body(c, x, r.status, r.slug, r.detail);
            return in.len;
        }
        if (e != PORCH_OK) {
            give_up_body(c, x, 400, "malformed", "the chunked body is malformed");
            return in.len;
        }
        if (n == 0) break;
    }
    if (streamed && (x->body_len > 0 || x->body_done)) {
        porch_http_dispatch(x, PORCH_STEP_DATA);
    } else if (!streamed && x->body_done) {
        porch_http_dispatch(x, PORCH_STEP_HANDLER);
    }
    return used;
}

/* ---- hooks ---- */

static void http_open(porch_conn *c) {
    if (strcmp(c->peer.tls.alpn, "h2") == 0) {
        c->hooks = &porch_http2_hooks;
        c->hooks->open(c);
        return;
    }
    http_conn *h = calloc(1, sizeof *h);
    if (h == NULL) {
        porch_conn_cut(c);
        return;
    }
    porch_conn_set_user(c, h);
    arm_idle(c);
}

static size_t http_take(porch_conn *c, porch_bytes in) {
    size_t used = 0;
    while (used < in.len && !porch_conn_closing(c) && c->hooks == &porch_http_hooks) {
        http_conn *h = http_of(c);
        porch_bytes rest = {in.at + used, in.len - used};
        size_t n = 0;
        if (h->state == STATE_HEAD) {
            n = take_head(c, rest);
        } else if (h->state == STATE_BODY) {
            n = take_body(c, rest);
        } else if (h->state == STATE_STREAM) {
            n = rest.len; /* nothing is expected; a flood ends it */
            h->stream_input += n;
            if (h->stream_input > STREAM_INPUT_MOST) porch_conn_close(c);
        }
        if (n == 0) break;
        used += n;
    }
    return used;
}

/* An answer that is whole leaves to its end. */
static void http_ended(porch_conn *c) {
    if (http_of(c)->state == STATE_HEAD && porch_conn_pending(c) > 0) {
        go_when_read(c);
    } else {
        porch_conn_cut(c);
    }
}

static void http_closed(porch_conn *c) {
    http_conn *h = http_of(c);
    if (h == NULL) return;
    porch_http_exchange *x = h->x;
    porch_conn_set_user(c, NULL);
    free(h);
    if (x == NULL) return;
    x->conn = NULL;
    if (!x->busy) porch_http_finish(x);
}

static void http_timer(porch_conn *c) {
    http_conn *h = http_of(c);
    const porch_settings *set = settings_of(c);
    uint64_t idle = porch_shard_now(c->shard) - h->progress_ms;
    bool tail = h->state == STATE_HEAD && !h->head_begun && porch_conn_pending(c) > 0;
    switch (tail ? STATE_REPLY : h->state) { /* an answer's last bytes are looked after like the others */
    case STATE_HEAD:
        if (!h->head_begun) {
            porch_conn_close(c);
            return;
        }
        porch_count_add(&c->shard->counts.timeouts, 1);
        h->x = porch_exchange_new(c, &carrier);
        if (h->x == NULL) {
            porch_conn_cut(c);
        } else {
            porch_http_refuse(h->x, 408, "timeout", "the request's head took too long (http.head_ms)");
        }
        return;
    case STATE_BODY:
        if (idle < set->http_body_ms) {
            porch_conn_timer(c, set->http_body_ms - idle);
            return;
        }
        porch_count_add(&c->shard->counts.timeouts, 1);
        give_up_body(c, h->x, 408, "timeout", "the body stopped coming (http.body_ms)");
        return;
    case STATE_REPLY:
    case STATE_STREAM:
        if (porch_conn_stuck_ms(c) >= set->http_write_ms) {
            porch_count_add(&c->shard->counts.timeouts, 1);
            porch_conn_log_refused(c, "http.cut", "the peer does not read the answer (http.write_ms)");
            porch_conn_cut(c);
            return;
        }
        porch_conn_idle(c);
        porch_conn_timer(c, set->http_write_ms);
        return;
    case STATE_WAIT:
        return;
    }
}

static void http_drain(porch_conn *c) {
    http_conn *h = http_of(c);
    h->draining = true;
    if (h->state == STATE_HEAD && !h->head_begun) {
        go_when_read(c);
    } else if (h->state == STATE_STREAM) {
        porch_http_stream_close(h->x->stream);
    }
}

const porch_conn_hooks porch_http_hooks = {
    .open = http_open,
    .take = http_take,
    .fill = http_fill,
    .ended = http_ended,
    .closed = http_closed,
    .timer = http_timer,
    .drain = http_drain,
};
