/* The steps of an exchange that are the same whatever carries it: a whole HTTP/1.1 connection or one stream
 * of an HTTP/2 connection. What differs is asked of x->carrier.
 *
 *   may_go_on (route, identity, size, guard) ─► dispatch ─► handler, data ─► carrier->reply ─► finish */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "cloud/listener/http_exchange.h"
#include "cloud/listener/http_open.h"
#include "os/log.h"

/* ---- refusals ---- */

void porch_http_log_refused(porch_http_exchange *x) {
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

void porch_http_refuse(porch_http_exchange *x, int status, const char *slug, const char *detail) {
    if (status == 503) porch_http_reply_header(x, "Retry-After", "1");
    porch_http_problem(x, status, slug, detail);
    porch_http_forget_body(x);
    x->carrier->reply(x);
}

void porch_http_refuse_crowd(porch_http_exchange *x, const char *setting) {
    char text[96];
    porch_count_add(&x->shard->counts.requests_over_limit, 1);
    snprintf(text, sizeof text, "too many requests are open at once; try again shortly (%s)", setting);
    porch_http_refuse(x, 503, "too-many-open", text);
}

/* Does a handler still wait for the rest of a body? */
static bool abort_due(const porch_http_exchange *x) {
    bool streamed = x->route != NULL && (x->route->flags & PORCH_HTTP_BODY_STREAM) != 0;
    return streamed && x->begun && x->answer == PORCH_ANSWER_NONE && x->route->abort != NULL;
}

void porch_http_finish(porch_http_exchange *x) {
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
        porch_http_dispatch(x, PORCH_STEP_END);
    } else {
        porch_exchange_free(x);
    }
}

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
            bool over = x->out_len == 0 && x->source_length == PORCH_HTTP_LENGTH_UNKNOWN;
            if (x->source_error == PORCH_OK && ((x->out_len == 0 && !over) || x->out_len > want))
                x->source_error = PORCH_ERR_INTERNAL;
            if (x->source_error == PORCH_OK) x->source_at += x->out_len;
            if (x->source_error == PORCH_OK && over) x->source_length = x->source_at;
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

void porch_http_dispatch(porch_http_exchange *x, porch_http_step step) {
    x->step = step;
    x->busy = true;
    x->note.run = on_back;
    if (x->conn != NULL && step != PORCH_STEP_READ) x->carrier->wait(x);
    if (step == PORCH_STEP_HANDLER && (x->route->flags & PORCH_HTTP_INLINE) != 0) {
        run_step(x);
        on_back(x->shard, &x->note);
        return;
    }
    x->job.run = work;
    if (porch_workers_submit(x->shard->listener->workers, &x->job, step != PORCH_STEP_HANDLER) == PORCH_OK)
        return;
    x->busy = false;
    porch_http_refuse(x, 503, "busy",
                      "too many requests wait for their turn; try again shortly (http.waiting)");
}

/* A handler or a piece of body is done and there is no answer yet. */
static void go_on(porch_http_exchange *x) {
    bool streamed = (x->route->flags & PORCH_HTTP_BODY_STREAM) != 0;
    if (!streamed || x->body_read) {
        porch_http_problem(x, 500, "no-answer", "the hub has no answer to this; please report it");
        x->carrier->reply(x);
    } else if (x->body_done) {
        porch_http_dispatch(x, PORCH_STEP_DATA);
    } else {
        x->carrier->await_body(x);
    }
}

static void on_back(porch_shard *s, porch_note *note) {
    porch_http_exchange *x = (porch_http_exchange *)(void *)note;
    (void)s;
    x->busy = false;
    if (x->step == PORCH_STEP_END) {
        porch_exchange_free(x);
    } else if (x->conn == NULL) {
        porch_http_finish(x);
    } else if (x->step == PORCH_STEP_READ) {
        if (x->source_error == PORCH_OK) {
            x->carrier->pulled(x);
        } else {
            if (porch_shard_may_log(x->shard))
                porch_log(PORCH_LOG_ERROR, "http.cut", "path", porch_http_path(x), "address",
                          x->peer.address, "reason", porch_err_text(x->source_error), NULL);
            x->carrier->broken(x);
        }
    } else if (x->answer != PORCH_ANSWER_NONE) {
        porch_http_forget_body(x);
        x->carrier->reply(x);
    } else {
        go_on(x);
    }
}

void porch_http_stream_moved(porch_http_exchange *x) {
    if (x->conn == NULL) {
        if (!x->busy) porch_http_finish(x);
        return;
    }
    pthread_mutex_lock(&x->stream->lock);
    bool too_slow = x->stream->too_slow && !x->busy; /* reply() looks again when the handler is done */
    pthread_mutex_unlock(&x->stream->lock);
    if (!too_slow) {
        x->carrier->stream_ready(x);
        return;
    }
    porch_count_add(&x->shard->counts.streams_too_slow, 1);
    if (porch_shard_may_log(x->shard))
        porch_log(PORCH_LOG_WARN, "http.stream_too_slow", "path", porch_http_path(x), "address",
                  x->peer.address, "setting", "http.stream_bytes", NULL);
    x->carrier->broken(x);
}

static bool identity_stands(porch_http_exchange *x) {
    porch_conn *c = x->conn;
    if (x->peer.role != PORCH_LISTEN_DEVICE) return true;
    if (c->peer.tls.has_certificate) {
        porch_conn_judge(c); /* again for each request: it may have been revoked or run out since */
        x->peer = c->peer;
    }
    bool needed = x->route == NULL || (x->route->flags & PORCH_HTTP_PRINCIPAL) != 0;
    bool open = x->route != NULL && (x->route->flags & PORCH_HTTP_QUARANTINED) != 0;
    if (x->peer.admitted && x->peer.principal.quarantined && !open) {
        porch_http_refuse(x, 403, "quarantine",
                          "the device is under quarantine: diagnostics and the signed update only");
        return false;
    }
    if (x->peer.admitted || (!x->peer.tls.has_certificate && !needed)) return true;
    if (x->route != NULL && (x->route->flags & PORCH_HTTP_ANY_VERDICT) != 0) return true;
    bool busy = x->peer.verdict == PORCH_ERR_BUSY;
    porch_http_refuse(x, busy ? 503 : 403, busy ? "try-again" : "certificate",
                      porch_why_text(&x->peer.verdict_why, x->peer.verdict));
    return false;
}

static bool find_route(porch_http_exchange *x) {
    porch_route_match match;
    char allow[PORCH_ROUTE_ALLOW_BYTES];
    porch_err e = porch_routes_find(x->shard->listener->routes, x->peer.role, x->request.method,
                                    x->request.path, &match, allow);
    if (e == PORCH_OK) {
        porch_exchange_take_match(x, &match);
    } else if (e == PORCH_ERR_UNSUPPORTED) {
        porch_http_reply_header(x, "Allow", allow);
        porch_http_refuse(x, 405, "method", "this path does not take that method; see Allow");
    } else {
        porch_http_refuse(x, 404, "not-found", "there is nothing at this path");
    }
    return e == PORCH_OK;
}

static bool body_fits(porch_http_exchange *x) {
    if (x->body_done) return true;
    uint64_t most = x->route->body_max;
    if (most == 0 || (x->request.body == PORCH_HTTP1_BODY_LENGTH && x->request.body_bytes > most)) {
        char text[96];
        snprintf(text, sizeof text, "the body is too large; the most here is %llu bytes",
                 (unsigned long long)most);
        porch_http_refuse(x, 413, "body-too-large", text);
        return false;
    }
    return true;
}

static bool has_room(porch_http_exchange *x) {
    const char *setting = porch_http_open_enter_owner(x);
    if (setting != NULL) porch_http_refuse_crowd(x, setting);
    return setting == NULL;
}

bool porch_http_may_go_on(porch_http_exchange *x) {
    const porch_listener *l = x->shard->listener;
    if (!find_route(x) || !identity_stands(x) || !has_room(x) || !body_fits(x)) return false;
    porch_http_guard guard = l->config.guard[x->peer.role];
    if (guard == NULL || guard(l->config.guard_ctx, x)) return true;
    if (x->answer == PORCH_ANSWER_NONE) porch_http_problem(x, 403, "refused", "the request was refused");
    x->carrier->reply(x);
    return false;
}

/* ---- gathered bodies ---- */

/* So little is not counted: a sign-in goes on when others have used up the budget, and http.open bounds it.
 */
enum { BODY_UNCOUNTED = 16384, BODY_LEAST = 1024 };

/* Takes what is missing for `cap` bytes from what all bodies together may hold. */
static bool count_body(porch_http_exchange *x, size_t cap) {
    porch_listener *l = x->shard->listener;
    if (cap <= BODY_UNCOUNTED || cap <= x->body_counted) return true;
    uint64_t more = cap - x->body_counted;
    if (atomic_fetch_add(&l->body_bytes, more) + more > l->settings.http_body_bytes) {
        atomic_fetch_sub(&l->body_bytes, more);
        return false;
    }
    x->body_counted = cap;
    return true;
}

static size_t body_cap_for(const porch_http_exchange *x, size_t len) {
    if ((x->route->flags & PORCH_HTTP_BODY_STREAM) != 0) return PORCH_HTTP_PIECE_BYTES;
    uint64_t most = x->route->body_max;
    if (x->request.body == PORCH_HTTP1_BODY_LENGTH && x->request.body_bytes < most)
        most = x->request.body_bytes;
    size_t cap = len * 2 < BODY_LEAST ? BODY_LEAST : len * 2;
    return cap > most && most >= len ? (size_t)most : cap;
}

porch_err porch_http_keep_body(porch_http_exchange *x, porch_bytes data) {
    if (data.len > x->route->body_max || x->body_got > x->route->body_max - data.len)
        return PORCH_ERR_LIMIT;
    x->body_got += data.len;
    if (data.len > x->body_cap - x->body_len) {
        size_t cap = body_cap_for(x, x->body_len + data.len);
        bool streamed = (x->route->flags & PORCH_HTTP_BODY_STREAM) != 0; /* a piece at a time */
        if (!streamed && !count_body(x, cap)) return PORCH_ERR_BUSY;
        uint8_t *wider = realloc(x->body, cap);
        if (wider == NULL) return PORCH_ERR_BUSY;
        x->body = wider;
        x->body_cap = cap;
    }
    if (data.len > 0) memcpy(x->body + x->body_len, data.at, data.len);
    x->body_len += data.len;
    return PORCH_OK;
}

porch_http_body_refusal porch_http_body_refused(porch_err e) {
    if (e == PORCH_ERR_LIMIT)
        return (porch_http_body_refusal){413, "body-too-large", "the body is larger than this path takes"};
    return (porch_http_body_refusal){
        503, "busy", "too many large bodies are held at once; try again shortly (http.body_bytes)"};
}

void porch_http_forget_body(porch_http_exchange *x) {
    free(x->body);
    x->body = NULL;
    x->body_len = x->body_cap = 0;
    if (x->body_counted > 0) atomic_fetch_sub(&x->shard->listener->body_bytes, x->body_counted);
    x->body_counted = 0;
}
