/* The connection under the streams: nghttp2's session between take and fill, its end, its time. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/cursor.h"
#include "cloud/listener/http2.h"
#include "os/log.h"

enum { TICKS = 4, GOAWAY_BYTES = 17, CONTROL_ACKS_MOST = 100 };

static const porch_settings *settings_of(const porch_conn *c) {
    return &c->shard->listener->settings;
}

static porch_http2_conn *http2_of(const porch_conn *c) {
    return porch_conn_user(c);
}

/* ---- the end ---- */

static void log_end(porch_conn *c, uint32_t code, const char *reason) {
    if (!porch_shard_may_log(c->shard)) return;
    porch_log(PORCH_LOG_WARN, "http2.closed", "listener",
              c->peer.role == PORCH_LISTEN_DEVICE ? "device" : "people", "address", c->peer.address, "code",
              nghttp2_http2_strerror(code), "reason", reason, NULL);
}

/* One line in the log, GOAWAY with that code, and nothing more. The session is not asked any more: it may
 * be in the middle of the frame that was too much. */
static void end_with(porch_conn *c, uint32_t code, const char *reason) {
    porch_http2_conn *h = http2_of(c);
    uint8_t frame[GOAWAY_BYTES];
    porch_buf b = {frame, 0, sizeof frame};
    h->ending = true;
    log_end(c, code, reason);
    (void)porch_write_bytes(&b, (porch_bytes){(const uint8_t *)"\0\0\x08\x07\0\0\0\0\0", 9});
    (void)porch_write_u32(&b, (uint32_t)nghttp2_session_get_last_proc_stream_id(h->session));
    (void)porch_write_u32(&b, code);
    if (!porch_conn_put(c, h->left) || !porch_conn_put(c, h->frame)) return;
    if (!porch_conn_put(c, porch_buf_bytes(&b))) return;
    porch_conn_close(c);
}

/* ---- streams ---- */

static porch_http2_stream *stream_new(porch_http2_conn *h, int32_t id) {
    porch_http2_stream *st = calloc(1, sizeof *st);
    if (st == NULL) return NULL;
    st->h = h;
    st->id = id;
    st->next = h->streams;
    if (h->streams != NULL) h->streams->prev = st;
    h->streams = st;
    h->stream_count++;
    return st;
}

static void stream_free(porch_http2_stream *st) {
    porch_http2_conn *h = st->h;
    porch_http_exchange *x = st->x;
    if (st->prev != NULL) {
        st->prev->next = st->next;
    } else {
        h->streams = st->next;
    }
    if (st->next != NULL) st->next->prev = st->prev;
    if (--h->stream_count == 0) h->idle_since_ms = porch_shard_now(h->c->shard);
    if (x != NULL) {
        x->conn = NULL;
        x->carried = NULL;
        if (!x->busy) porch_http_finish(x);
    }
    porch_http2_head_forget(st);
    free(st->held);
    free(st);
}

/* ---- what nghttp2 calls ---- */

static int on_begin_frame(nghttp2_session *session, const nghttp2_frame_hd *hd, void *user) {
    porch_http2_conn *h = user;
    (void)session;
    uint64_t now = porch_shard_now(h->c->shard);
    bool fine = porch_http2_frame_allowed(&h->limits, settings_of(h->c), hd, now, &h->fault);
    return fine ? 0 : NGHTTP2_ERR_CALLBACK_FAILURE;
}

static int on_begin_headers(nghttp2_session *session, const nghttp2_frame *frame, void *user) {
    porch_http2_conn *h = user;
    if (frame->hd.type != NGHTTP2_HEADERS || frame->headers.cat != NGHTTP2_HCAT_REQUEST) return 0;
    porch_http2_stream *st = stream_new(h, frame->hd.stream_id);
    if (st == NULL) return NGHTTP2_ERR_TEMPORAL_CALLBACK_FAILURE;
    return nghttp2_session_set_stream_user_data(session, frame->hd.stream_id, st);
}

static int on_header(nghttp2_session *session, const nghttp2_frame *frame, nghttp2_rcbuf *name,
                     nghttp2_rcbuf *value, uint8_t flags, void *user) {
    porch_http2_conn *h = user;
    porch_http2_stream *st = nghttp2_session_get_stream_user_data(session, frame->hd.stream_id);
    (void)flags;
    /* Trailers are counted like the head, and dropped. */
    if (st == NULL || porch_http2_head_add(st, settings_of(h->c), name, value)) return 0;
    h->fault = (porch_http2_fault){NGHTTP2_ENHANCE_YOUR_CALM,
                                   "a header list far beyond the limit (http.head_bytes)"};
    return NGHTTP2_ERR_CALLBACK_FAILURE;
}

/* nghttp2 would drop it and go on; two readers that differ in what they drop are how requests are
 * smuggled. */
static int on_bad_header(nghttp2_session *session, const nghttp2_frame *frame, nghttp2_rcbuf *name,
                         nghttp2_rcbuf *value, uint8_t flags, void *user) {
    porch_http2_stream *st = nghttp2_session_get_stream_user_data(session, frame->hd.stream_id);
    (void)name;
    (void)value;
    (void)flags;
    (void)user;
    if (st != NULL && st->refuse_status == 0) {
        st->refuse_status = 400;
        st->refuse_what = "a malformed header";
    }
    return 0;
}

static int on_frame(nghttp2_session *session, const nghttp2_frame *frame, void *user) {
    porch_http2_conn *h = user;
    bool head = frame->hd.type == NGHTTP2_HEADERS;
    if (!head && frame->hd.type != NGHTTP2_DATA) return 0;
    porch_http2_stream *st = nghttp2_session_get_stream_user_data(session, frame->hd.stream_id);
    bool end = (frame->hd.flags & NGHTTP2_FLAG_END_STREAM) != 0;
    bool only_padding = !head && frame->hd.length > 0 && frame->data.padlen == frame->hd.length;
    if (only_padding && !end &&
        !porch_http2_count(&h->limits, settings_of(h->c), PORCH_HTTP2_EMPTY_FRAMES,
                           porch_shard_now(h->c->shard), &h->fault))
        return NGHTTP2_ERR_CALLBACK_FAILURE;
    if (st == NULL) return 0;
    if (head && frame->headers.cat == NGHTTP2_HCAT_REQUEST) {
        st->ended = end;
        porch_http2_begin(st);
    } else {
        porch_http2_head_forget(st);
        if (end) porch_http2_take_end(st);
    }
    return 0;
}

static int on_data(nghttp2_session *session, uint8_t flags, int32_t id, const uint8_t *at, size_t len,
                   void *user) {
    porch_http2_stream *st = nghttp2_session_get_stream_user_data(session, id);
    (void)flags;
    (void)user;
    if (st != NULL) {
        porch_http2_take_data(st, (porch_bytes){at, len});
    } else {
        (void)nghttp2_session_consume(session, id, len);
    }
    return 0;
}

/* nghttp2 refuses one stream, not the connection. The reset is counted here and not when it leaves: a peer
 * that provokes them and reads nothing would let them pile up. */
static int on_refused(nghttp2_session *session, const nghttp2_frame *frame, int code, void *user) {
    porch_http2_conn *h = user;
    (void)session;
    (void)code;
    if (frame->hd.stream_id == 0) return 0;
    h->resets_counted++;
    bool fine = porch_http2_count(&h->limits, settings_of(h->c), PORCH_HTTP2_RESETS,
                                  porch_shard_now(h->c->shard), &h->fault);
    return fine ? 0 : NGHTTP2_ERR_CALLBACK_FAILURE;
}

static int on_sent(nghttp2_session *session, const nghttp2_frame *frame, void *user) {
    porch_http2_conn *h = user;
    if (frame->hd.type == NGHTTP2_GOAWAY && frame->goaway.error_code != NGHTTP2_NO_ERROR)
        log_end(h->c, frame->goaway.error_code, h->told[0] != 0 ? h->told : "the peer broke the protocol");
    bool ends = frame->hd.type == NGHTTP2_DATA || frame->hd.type == NGHTTP2_HEADERS;
    if (ends && (frame->hd.flags & NGHTTP2_FLAG_END_STREAM) != 0) {
        porch_http2_stream *st = nghttp2_session_get_stream_user_data(session, frame->hd.stream_id);
        if (st != NULL) st->answered_ms = porch_shard_now(h->c->shard);
    }
    /* A reset that a peer provokes is counted as one of its own. */
    bool provoked = frame->hd.type == NGHTTP2_RST_STREAM &&
                    (frame->rst_stream.error_code == NGHTTP2_PROTOCOL_ERROR ||
                     frame->rst_stream.error_code == NGHTTP2_STREAM_CLOSED ||
                     frame->rst_stream.error_code == NGHTTP2_FLOW_CONTROL_ERROR ||
                     frame->rst_stream.error_code == NGHTTP2_REFUSED_STREAM);
    if (provoked && h->resets_counted > 0)
        h->resets_counted--;
    else if (provoked && h->fault.reason == NULL)
        (void)porch_http2_count(&h->limits, settings_of(h->c), PORCH_HTTP2_RESETS,
                                porch_shard_now(h->c->shard), &h->fault);
    return 0;
}

static int on_stream_end(nghttp2_session *session, int32_t id, uint32_t code, void *user) {
    porch_http2_stream *st = nghttp2_session_get_stream_user_data(session, id);
    porch_http2_conn *h = user;
    (void)code;
    if (st == NULL) return 0;
    size_t left = st->handed + st->held_len;
    if (left > 0) { /* its handler takes no more of it; the connection's window is all streams' */
        (void)nghttp2_session_consume_connection(session, left);
        porch_conn_want_write(h->c);
    }
    stream_free(st);
    return 0;
}

static int on_told(nghttp2_session *session, int code, const char *text, size_t len, void *user) {
    porch_http2_conn *h = user;
    (void)session;
    (void)code;
    size_t n = len < sizeof h->told ? len : sizeof h->told - 1;
    memcpy(h->told, text, n);
    h->told[n] = 0;
    return 0;
}

/* ---- opening ---- */

static nghttp2_session *session_new(porch_http2_conn *h) {
    nghttp2_session_callbacks *calls = NULL;
    nghttp2_option *option = NULL;
    nghttp2_session *session = NULL;
    if (nghttp2_session_callbacks_new(&calls) != 0 || nghttp2_option_new(&option) != 0) goto out;
    nghttp2_session_callbacks_set_on_begin_frame_callback(calls, on_begin_frame);
    nghttp2_session_callbacks_set_on_begin_headers_callback(calls, on_begin_headers);
    nghttp2_session_callbacks_set_on_header_callback2(calls, on_header);
    nghttp2_session_callbacks_set_on_invalid_header_callback2(calls, on_bad_header);
    nghttp2_session_callbacks_set_on_frame_recv_callback(calls, on_frame);
    nghttp2_session_callbacks_set_on_invalid_frame_recv_callback(calls, on_refused);
    nghttp2_session_callbacks_set_on_data_chunk_recv_callback(calls, on_data);
    nghttp2_session_callbacks_set_on_frame_send_callback(calls, on_sent);
    nghttp2_session_callbacks_set_send_data_callback(calls, porch_http2_send_lasting);
    nghttp2_session_callbacks_set_on_stream_close_callback(calls, on_stream_end);
    nghttp2_session_callbacks_set_error_callback2(calls, on_told);
    nghttp2_option_set_no_auto_window_update(option, 1);
    nghttp2_option_set_no_closed_streams(option, 1);
    nghttp2_option_set_max_outbound_ack(option, CONTROL_ACKS_MOST);
    /* The settings' own limits answer first, with a reason in the log. */
    nghttp2_option_set_max_continuations(option, 1000000);
    nghttp2_option_set_stream_reset_rate_limit(option, 1000000, 1000000);
    if (nghttp2_session_server_new2(&session, calls, h, option) != 0) session = NULL;
out:
    nghttp2_session_callbacks_del(calls);
    nghttp2_option_del(option);
    return session;
}

static bool greet(const porch_http2_conn *h) {
    const porch_settings *s = settings_of(h->c);
    const nghttp2_settings_entry entries[] = {
        {NGHTTP2_SETTINGS_MAX_CONCURRENT_STREAMS, s->http2_streams},
        {NGHTTP2_SETTINGS_INITIAL_WINDOW_SIZE, s->http2_window_bytes},
        {NGHTTP2_SETTINGS_MAX_HEADER_LIST_SIZE, s->http_head_bytes},
        {NGHTTP2_SETTINGS_ENABLE_CONNECT_PROTOCOL, 0},
        {NGHTTP2_SETTINGS_NO_RFC7540_PRIORITIES, 1},
    };
    return nghttp2_submit_settings(h->session, NGHTTP2_FLAG_NONE, entries,
                                   sizeof entries / sizeof *entries) == 0 &&
           nghttp2_session_set_local_window_size(h->session, NGHTTP2_FLAG_NONE, 0,
                                                 (int32_t)s->http2_connection_window_bytes) == 0;
}

/* Often enough that no time is passed by more than a quarter. */
static void arm(porch_conn *c) {
    const porch_settings *s = settings_of(c);
    uint64_t least = s->http_idle_ms;
    if (s->http_head_ms < least) least = s->http_head_ms;
    if (s->http_body_ms < least) least = s->http_body_ms;
    if (s->http_write_ms < least) least = s->http_write_ms;
    porch_conn_timer(c, least / TICKS + 1);
}

static void http2_open(porch_conn *c) {
    porch_http2_conn *h = calloc(1, sizeof *h);
    if (h == NULL) {
        porch_conn_cut(c);
        return;
    }
    h->c = c;
    porch_conn_set_user(c, h);
    h->idle_since_ms = h->limits.since_ms = porch_shard_now(c->shard);
    h->session = session_new(h);
    if (h->session == NULL || !greet(h)) {
        porch_conn_log_refused(c, "http2.closed", "no memory for a connection");
        porch_conn_cut(c);
        return;
    }
    arm(c);
    porch_conn_want_write(c);
}

/* ---- bytes ---- */

static uint32_t code_of(ssize_t nghttp2_error) {
    if (nghttp2_error == NGHTTP2_ERR_FLOODED) return NGHTTP2_ENHANCE_YOUR_CALM;
    return nghttp2_error == NGHTTP2_ERR_BAD_CLIENT_MAGIC ? NGHTTP2_PROTOCOL_ERROR : NGHTTP2_INTERNAL_ERROR;
}

static size_t http2_take(porch_conn *c, porch_bytes in) {
    porch_http2_conn *h = http2_of(c);
    if (h->ending) return in.len;
    ssize_t n = 0;
    if (h->fault.reason == NULL &&
        porch_http2_input_allowed(&h->limits, settings_of(c), in, porch_shard_now(c->shard), &h->fault))
        n = nghttp2_session_mem_recv(h->session, in.at, in.len);
    if (h->fault.reason != NULL) {
        end_with(c, h->fault.code, h->fault.reason);
        return in.len;
    }
    if (n < 0) {
        end_with(c, code_of(n), nghttp2_strerror((int)n));
        return in.len;
    }
    for (porch_http2_stream *st = h->streams, *next; st != NULL; st = next) {
        next = st->next;
        porch_http2_pump(st);
    }
    porch_conn_want_write(c);
    return in.len;
}

static void http2_fill(porch_conn *c, porch_buf *out) {
    porch_http2_conn *h = http2_of(c);
    if (h->ending) return;
    h->out = out;
    while (porch_http2_put(out, &h->left) && porch_http2_put(out, &h->frame) && out->len < out->cap) {
        const uint8_t *at = NULL;
        ssize_t got = nghttp2_session_mem_send(h->session, &at);
        if (got < 0 && h->fault.reason == NULL)
            h->fault = (porch_http2_fault){NGHTTP2_INTERNAL_ERROR, nghttp2_strerror((int)got)};
        if (got <= 0) break;
        h->frame = (porch_bytes){at, (size_t)got};
    }
    if (h->left.len > 0 || h->frame.len > 0 || out->len == out->cap) return;
    bool over = nghttp2_session_want_read(h->session) == 0 && nghttp2_session_want_write(h->session) == 0;
    if (over || (h->draining && h->stream_count == 0)) {
        h->ending = true;
        porch_conn_finish(c);
    }
    /* A fault found while sending waits for the next tick or input: this is not the place to close. */
}

static void http2_closed(porch_conn *c) {
    porch_http2_conn *h = http2_of(c);
    if (h == NULL) return;
    porch_conn_set_user(c, NULL);
    while (h->streams != NULL)
        stream_free(h->streams); /* NOLINT(clang-analyzer-unix.Malloc): it leaves the list by that */
    nghttp2_session_del(h->session);
    free(h);
}

/* ---- time ---- */

static void leave(porch_http2_conn *h) {
    int32_t last = nghttp2_session_get_last_proc_stream_id(h->session);
    h->draining = true;
    (void)nghttp2_submit_goaway(h->session, NGHTTP2_FLAG_NONE, last, NGHTTP2_NO_ERROR, NULL, 0);
    porch_conn_want_write(h->c);
}

static bool all_in_time(porch_http2_conn *h, uint64_t now_ms) {
    const porch_settings *s = settings_of(h->c);
    if (h->fault.reason != NULL) return false;
    if (h->limits.head_since_ms != 0 && now_ms - h->limits.head_since_ms >= s->http_head_ms) {
        porch_count_add(&h->c->shard->counts.timeouts, 1);
        h->fault =
            (porch_http2_fault){NGHTTP2_ENHANCE_YOUR_CALM, "a request's head took too long (http.head_ms)"};
        return false;
    }
    for (porch_http2_stream *st = h->streams, *next; st != NULL; st = next) {
        next = st->next;
        if (!porch_http2_tend(st, now_ms)) return false;
    }
    return true;
}

static void http2_timer(porch_conn *c) {
    porch_http2_conn *h = http2_of(c);
    const porch_settings *s = settings_of(c);
    uint64_t now = porch_shard_now(c->shard);
    if (porch_conn_stuck_ms(c) >= s->http_write_ms) {
        porch_count_add(&c->shard->counts.timeouts, 1);
        porch_conn_log_refused(c, "http.cut", "the peer does not read the answer (http.write_ms)");
        porch_conn_cut(c);
        return;
    }
    if (!all_in_time(h, now)) {
        end_with(c, h->fault.code, h->fault.reason);
        return;
    }
    if (h->stream_count == 0) {
        porch_conn_idle(c);
        if (now - h->idle_since_ms >= s->http_idle_ms && !h->draining) leave(h);
    }
    arm(c);
}

static void http2_drain(porch_conn *c) {
    porch_http2_conn *h = http2_of(c);
    leave(h);
    for (porch_http2_stream *st = h->streams; st != NULL; st = st->next)
        if (st->replied && st->x->stream != NULL && !st->x->busy) porch_http_stream_close(st->x->stream);
}

const porch_conn_hooks porch_http2_hooks = {
    .open = http2_open,
    .take = http2_take,
    .fill = http2_fill,
    .closed = http2_closed,
    .timer = http2_timer,
    .drain = http2_drain,
};
