/* HTTP/1.1 on a shard: one request at a time on each connection (RFC 9112).
 *
 *   HEAD ─► BODY ─► WAIT ─► REPLY ─► HEAD ...      WAIT: a worker holds the exchange, the socket is not
 * read │└──► STREAM ─► end           BODY ⇄ WAIT: a streamed body, piece by piece */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/cursor.h"
#include "cloud/listener/http_exchange.h"
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

static void dispatch(porch_http_exchange *x, porch_http_step step);
static void reply(porch_conn *c, porch_http_exchange *x);

static const porch_settings *settings_of(const porch_conn *c) {
    return &c->shard->listener->settings;
}

static http_conn *http_of(const porch_conn *c) {
    return porch_conn_user(c);
}

/* ---- refusals ---- */

static void log_refused(porch_http_exchange *x) {
    porch_shard *s = x->shard;
    porch_count_add(&s->counts.requests_refused, 1);
    if (!porch_shard_may_log(s)) return;
    const char *who = x->peer.admitted ? x->peer.principal.name : NULL;
    porch_log(x->status >= 500 ? PORCH_LOG_ERROR : PORCH_LOG_WARN, "http.refused", "status",
              porch_log_number((uint64_t)x->status).text, "method", x->method, "path", porch_http_path(x),
              "listener", x->peer.role == PORCH_LISTEN_DEVICE ? "device" : "people", "address",
              x->peer.address, "principal", who, "reason",
              x->reason[0] != 0 ? x->reason : porch_http_status_text(x->status), NULL);
}

/* A problem that the listener itself finds. */
static void refuse(porch_conn *c, porch_http_exchange *x, int status, const char *slug,
                   const char *detail) {
    if (status == 503) porch_http_reply_header(x, "Retry-After", "1");
    porch_http_problem(x, status, slug, detail);
    reply(c, x);
}

/* ---- the end of an exchange ---- */

/* Does a handler still wait for the rest of a body? */
static bool abort_due(const porch_http_exchange *x) {
    bool streamed = x->route != NULL && (x->route->flags & PORCH_HTTP_BODY_STREAM) != 0;
    return streamed && x->begun && x->answer == PORCH_ANSWER_NONE && x->route->abort != NULL;
}

/* The connection has let go of it. */
static void finish(porch_http_exchange *x) {
    if (x->stream != NULL) {
        pthread_mutex_lock(&x->stream->lock);
        x->stream->over = true;
        bool posted = x->stream->posted;
        pthread_mutex_unlock(&x->stream->lock);
        if (x->counted) porch_count_add(&x->shard->counts.streams, -1);
        x->counted = false;
        if (posted) return; /* its note comes first */
    }
    if (abort_due(x) || x->source_free != NULL || x->stream != NULL) {
        dispatch(x, PORCH_STEP_END);
    } else {
        porch_exchange_free(x);
    }
}

static void arm_idle(porch_conn *c) {
    porch_conn_timer(c, settings_of(c)->http_idle_ms);
}

static void end_exchange(porch_conn *c, porch_http_exchange *x) {
    http_conn *h = http_of(c);
    bool close_after = x->close_after || h->draining;
    h->x = NULL;
    x->conn = NULL;
    finish(x);
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

static void on_back(porch_shard *s, porch_note *note);

static void run_step(porch_http_exchange *x) {
    bool last;
    switch (x->step) {
    case PORCH_STEP_HANDLER:
        x->begun = true;
        x->route->handler(x);
        return;
    case PORCH_STEP_DATA:
        last = x->body_done;
        if (last) x->body_read = true;
        x->route->data(x, (porch_bytes){x->body, x->body_len}, last);
        x->body_len = 0;
        return;
    case PORCH_STEP_READ:
        x->out_at = x->out_len = 0;
        if (x->out == NULL) x->out = malloc(PORCH_HTTP_PIECE_BYTES);
        x->source_error = x->out == NULL ? PORCH_ERR_IO : PORCH_OK;
        if (x->source_error == PORCH_OK) {
            uint64_t left = x->source_length - x->source_at;
            size_t want = left < PORCH_HTTP_PIECE_BYTES ? (size_t)left : PORCH_HTTP_PIECE_BYTES;
            x->source_error = x->source_read(x->source_ctx, x->source_at, x->out, want, &x->out_len);
            if (x->source_error == PORCH_OK && (x->out_len == 0 || x->out_len > want))
                x->source_error = PORCH_ERR_INTERNAL;
            if (x->source_error == PORCH_OK) x->source_at += x->out_len;
        }
        return;
    case PORCH_STEP_END:
        if (abort_due(x)) x->route->abort(x);
        if (x->source_free != NULL) x->source_free(x->source_ctx);
        if (x->stream != NULL && x->stream_close != NULL) x->stream_close(x->stream_ctx);
        return;
    }
}

static void work(porch_job *job) {
    porch_http_exchange *x =
        (porch_http_exchange *)(void *)((uint8_t *)job - offsetof(porch_http_exchange, job));
    run_step(x);
    porch_shard_post(x->shard, &x->note);
}

static void dispatch(porch_http_exchange *x, porch_http_step step) {
    x->step = step;
    x->busy = true;
    x->note.run = on_back;
    if (x->conn != NULL && step != PORCH_STEP_READ) {
        http_of(x->conn)->state = STATE_WAIT;
        porch_conn_pause(x->conn);
        porch_conn_timer(x->conn, 0);
    }
    if (step == PORCH_STEP_HANDLER && (x->route->flags & PORCH_HTTP_INLINE) != 0) {
        run_step(x);
        on_back(x->shard, &x->note);
        return;
    }
    x->job.run = work;
    if (porch_workers_submit(x->shard->listener->workers, &x->job, step != PORCH_STEP_HANDLER) == PORCH_OK)
        return;
    x->busy = false;
    refuse(x->conn, x, 503, "busy",
           "too many requests wait for their turn; try again shortly (http.waiting)");
}

static void await_body(porch_conn *c) {
    http_conn *h = http_of(c);
    h->state = STATE_BODY;
    h->progress_ms = porch_shard_now(c->shard);
    porch_conn_timer(c, settings_of(c)->http_body_ms);
    porch_conn_resume(c);
}

/* A handler or a piece of body is done and there is no answer yet. */
static void go_on(porch_conn *c, porch_http_exchange *x) {
    bool streamed = (x->route->flags & PORCH_HTTP_BODY_STREAM) != 0;
    if (!streamed || x->body_read) {
        porch_http_problem(x, 500, "no-answer", "the hub has no answer to this; please report it");
        reply(c, x);
    } else if (x->body_done) {
        dispatch(x, PORCH_STEP_DATA);
    } else {
        await_body(c);
    }
}

static void on_back(porch_shard *s, porch_note *note) {
    porch_http_exchange *x = (porch_http_exchange *)(void *)note;
    porch_conn *c = x->conn;
    (void)s;
    x->busy = false;
    if (x->step == PORCH_STEP_END) {
        porch_exchange_free(x);
    } else if (c == NULL) {
        finish(x);
    } else if (x->step == PORCH_STEP_READ) {
        if (x->source_error == PORCH_OK) {
            porch_conn_want_write(c);
        } else {
            porch_log(PORCH_LOG_ERROR, "http.cut", "path", porch_http_path(x), "address", x->peer.address,
                      "reason", porch_err_text(x->source_error), NULL);
            porch_conn_cut(c);
        }
    } else if (x->answer != PORCH_ANSWER_NONE) {
        reply(c, x);
    } else {
        go_on(c, x);
    }
}

/* ---- the answer ---- */

static void reply(porch_conn *c, porch_http_exchange *x) {
    http_conn *h = http_of(c);
    if (!x->request.keep_alive || !x->body_done || h->draining) x->close_after = true;
    if (x->status >= 400) log_refused(x);
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
    if (!x->busy) append(out, x->out, &x->out_at, x->out_len);
    if (x->busy || x->out_at < x->out_len) return;
    if (x->answer == PORCH_ANSWER_SOURCE && x->source_at < x->source_length) {
        dispatch(x, PORCH_STEP_READ);
    } else {
        end_exchange(c, x);
    }
}

void porch_http_stream_moved(porch_http_exchange *x) {
    porch_conn *c = x->conn;
    if (c == NULL) {
        if (!x->busy) finish(x);
        return;
    }
    pthread_mutex_lock(&x->stream->lock);
    bool too_slow = x->stream->too_slow && !x->busy; /* reply() looks again when the handler is done */
    pthread_mutex_unlock(&x->stream->lock);
    if (!too_slow) {
        porch_conn_want_write(c);
        return;
    }
    porch_count_add(&x->shard->counts.streams_too_slow, 1);
    porch_log(PORCH_LOG_WARN, "http.stream_too_slow", "path", porch_http_path(x), "address",
              x->peer.address, "setting", "http.stream_bytes", NULL);
    if (!x->busy) porch_conn_cut(c);
}

/* ---- the request's head ---- */

static bool identity_stands(porch_conn *c, porch_http_exchange *x) {
    if (x->peer.role != PORCH_LISTEN_DEVICE) return true;
    if (c->peer.tls.has_certificate) {
        porch_conn_judge(c); /* again for each request: it may have been revoked or run out since */
        x->peer = c->peer;
    }
    bool needed = x->route == NULL || (x->route->flags & PORCH_HTTP_PRINCIPAL) != 0;
    if (x->peer.admitted || (!x->peer.tls.has_certificate && !needed)) return true;
    refuse(c, x, 403, "certificate", porch_why_text(&x->peer.verdict_why, x->peer.verdict));
    return false;
}

static void find_route(porch_conn *c, porch_http_exchange *x, bool *found) {
    porch_route_match match;
    char allow[PORCH_ROUTE_ALLOW_BYTES];
    porch_err e = porch_routes_find(c->shard->listener->routes, x->peer.role, x->request.method,
                                    x->request.path, &match, allow);
    *found = e == PORCH_OK;
    if (*found) {
        porch_exchange_take_match(x, &match);
    } else if (e == PORCH_ERR_UNSUPPORTED) {
        porch_http_reply_header(x, "Allow", allow);
        refuse(c, x, 405, "method", "this path does not take that method; see Allow");
    } else {
        refuse(c, x, 404, "not-found", "there is nothing at this path");
    }
}

static bool body_fits(porch_conn *c, porch_http_exchange *x) {
    if (x->body_done) return true;
    uint64_t most = x->route->body_max;
    if (most == 0 || (x->request.body == PORCH_HTTP1_BODY_LENGTH && x->request.body_bytes > most)) {
        char text[96];
        snprintf(text, sizeof text, "the body is too large; the most here is %llu bytes",
                 (unsigned long long)most);
        refuse(c, x, 413, "body-too-large", text);
        return false;
    }
    return true;
}

static void begin_request(porch_conn *c, porch_bytes head, const porch_http1_limits *limits) {
    http_conn *h = http_of(c);
    porch_listener *l = c->shard->listener;
    porch_http1_fault fault = {400, "the request is malformed"};
    bool found;
    porch_count_add(&c->shard->counts.requests, 1);
    porch_http_exchange *x = porch_exchange_new(c);
    if (x == NULL) {
        porch_conn_log_refused(c, "http.refused", "no memory for a request");
        porch_conn_cut(c);
        return;
    }
    h->x = x;
    if (porch_exchange_parse(x, head, limits, &fault) != PORCH_OK) {
        refuse(c, x, fault.status, "malformed", fault.what);
        return;
    }
    x->body_done = x->request.body == PORCH_HTTP1_BODY_NONE ||
                   (x->request.body == PORCH_HTTP1_BODY_LENGTH && x->request.body_bytes == 0);
    find_route(c, x, &found);
    if (!found || !identity_stands(c, x)) return;
    if (!body_fits(c, x)) return;
    porch_http_guard guard = l->config.guard[x->peer.role];
    if (guard != NULL && !guard(l->config.guard_ctx, x)) {
        if (x->answer == PORCH_ANSWER_NONE)
            porch_http_problem(x, 403, "refused", "the request was refused");
        reply(c, x);
        return;
    }
    if (x->request.expect_continue && !x->body_done &&
        !porch_conn_put(c, PORCH_LIT("HTTP/1.1 100 Continue\r\n\r\n")))
        return;
    if (x->body_done || (x->route->flags & PORCH_HTTP_BODY_STREAM) != 0) {
        dispatch(x, PORCH_STEP_HANDLER);
    } else {
        await_body(c);
    }
}

static size_t take_head(porch_conn *c, porch_bytes in) {
    http_conn *h = http_of(c);
    const porch_settings *set = settings_of(c);
    porch_http1_limits limits = {set->http_head_bytes, set->http_target_bytes, set->http_headers};
    porch_http1_fault fault = {400, "the request is malformed"};
    size_t head_bytes;
    if (h->draining) {
        porch_conn_close(c);
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
        porch_http_exchange *x = porch_exchange_new(c);
        porch_count_add(&c->shard->counts.requests, 1);
        if (x == NULL) {
            porch_conn_cut(c);
            return in.len;
        }
        h->x = x;
        refuse(c, x, fault.status, "malformed", fault.what);
        return in.len;
    }
    begin_request(c, (porch_bytes){in.at, head_bytes}, &limits);
    return head_bytes;
}

/* ---- the request's body ---- */

/* Appends to x->body; false when the route's limit or memory is passed. */
static bool keep_body(porch_http_exchange *x, porch_bytes data) {
    if (data.len > x->route->body_max || x->body_got > x->route->body_max - data.len) return false;
    x->body_got += data.len;
    if (data.len > x->body_cap - x->body_len) {
        size_t cap = (x->body_len + data.len) * 2;
        if (cap < 1024) cap = 1024;
        if ((x->route->flags & PORCH_HTTP_BODY_STREAM) != 0) cap = PORCH_HTTP_PIECE_BYTES;
        uint8_t *wider = realloc(x->body, cap);
        if (wider == NULL) return false;
        x->body = wider;
        x->body_cap = cap;
    }
    if (data.len > 0) memcpy(x->body + x->body_len, data.at, data.len);
    x->body_len += data.len;
    return true;
}

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
    return keep_body(x, data) ? PORCH_OK : PORCH_ERR_LIMIT;
}

static void give_up_body(porch_conn *c, porch_http_exchange *x, int status, const char *slug,
                         const char *detail) {
    bool begun = x->begun;
    if (!begun) {
        refuse(c, x, status, slug, detail);
        return;
    }
    /* The handler waits for more: it is told by abort; the peer by the connection's end. */
    snprintf(x->reason, sizeof x->reason, "%s: %s", slug, detail);
    x->status = status;
    log_refused(x);
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
        if (e == PORCH_ERR_LIMIT) {
            give_up_body(c, x, 413, "body-too-large", "the body is larger than this path takes");
            return in.len;
        }
        if (e != PORCH_OK) {
            give_up_body(c, x, 400, "malformed", "the chunked body is malformed");
            return in.len;
        }
        if (n == 0) break;
    }
    if (streamed && (x->body_len > 0 || x->body_done)) {
        dispatch(x, PORCH_STEP_DATA);
    } else if (!streamed && x->body_done) {
        dispatch(x, PORCH_STEP_HANDLER);
    }
    return used;
}

/* ---- hooks ---- */

static void http_open(porch_conn *c) {
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
    while (used < in.len && !porch_conn_closing(c)) {
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

static void http_closed(porch_conn *c) {
    http_conn *h = http_of(c);
    if (h == NULL) return;
    porch_http_exchange *x = h->x;
    porch_conn_set_user(c, NULL);
    free(h);
    if (x == NULL) return;
    x->conn = NULL;
    if (!x->busy) finish(x);
}

static void http_timer(porch_conn *c) {
    http_conn *h = http_of(c);
    const porch_settings *set = settings_of(c);
    uint64_t idle = porch_shard_now(c->shard) - h->progress_ms;
    switch (h->state) {
    case STATE_HEAD:
        if (!h->head_begun) {
            porch_conn_close(c);
            return;
        }
        porch_count_add(&c->shard->counts.timeouts, 1);
        h->x = porch_exchange_new(c);
        if (h->x == NULL) {
            porch_conn_cut(c);
        } else {
            refuse(c, h->x, 408, "timeout", "the request's head took too long (http.head_ms)");
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
        porch_conn_close(c);
    } else if (h->state == STATE_STREAM) {
        porch_http_stream_close(h->x->stream);
    }
}

const porch_conn_hooks porch_http_hooks = {
    .open = http_open,
    .take = http_take,
    .fill = http_fill,
    .closed = http_closed,
    .timer = http_timer,
    .drain = http_drain,
};
