#include "cloud/listener/http_exchange.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "base/cursor.h"
#include "cloud/listener/http_open.h"
#include "os/clock.h"
#include "os/log.h"
#include "wire/http1_response.h"

/* ---- life ---- */

porch_http_exchange *porch_exchange_new(porch_conn *c, const porch_http_carrier *carrier) {
    porch_http_exchange *x = malloc(sizeof *x);
    if (x == NULL) return NULL;
    memset(x, 0, offsetof(porch_http_exchange, headers));
    x->shard = porch_conn_shard(c);
    x->conn = c;
    x->carrier = carrier;
    x->peer = *porch_conn_peer(c);
    x->extra = PORCH_BUF_OF(x->extra_text);
    x->shard->exchanges++;
    return x;
}

void porch_exchange_free(porch_http_exchange *x) {
    x->shard->exchanges--;
    porch_http_open_leave(x);
    if (x->stream != NULL) {
        pthread_mutex_destroy(&x->stream->lock);
        free(x->stream->at);
        free(x->stream);
    }
    free(x->head);
    free(x->path);
    free(x->pieces);
    porch_http_forget_body(x);
    free(x->out_head);
    free(x->out);
    free(x);
}

porch_err porch_exchange_parse(porch_http_exchange *x, porch_bytes head, const porch_http1_limits *limits,
                               porch_http1_fault *fault) {
    x->head = malloc(head.len + 1);
    if (x->head == NULL) return porch_http1_refuse(fault, 503, "no memory");
    memcpy(x->head, head.at, head.len);
    x->head[head.len] = 0;
    porch_http1_headers room = {x->headers, 0, limits->headers};
    if (room.cap > PORCH_HTTP_HEADERS_MOST) room.cap = PORCH_HTTP_HEADERS_MOST;
    porch_bytes copy = {(const uint8_t *)x->head, head.len};
    PORCH_TRY(porch_http1_request_read(copy, limits, room, fault, &x->request));
    if (!porch_bytes_to_text(x->request.method, x->method, sizeof x->method)) {
        x->method[0] = 0;
        return porch_http1_refuse(fault, 501, "unknown method");
    }
    x->head_only = strcmp(x->method, "HEAD") == 0;
    x->path = calloc(1, x->request.path.len + 1);
    x->pieces = calloc(1, x->request.path.len + 1);
    if (x->path == NULL || x->pieces == NULL) return porch_http1_refuse(fault, 503, "no memory");
    memcpy(x->path, x->request.path.at, x->request.path.len);
    memcpy(x->pieces, x->request.path.at, x->request.path.len);
    /* Behind each value stand blanks or the line's CR: the zero destroys nothing that is still needed. */
    for (size_t i = 0; i < x->request.headers.count; i++) {
        porch_bytes v = x->headers[i].value;
        x->head[(size_t)(v.at - (const uint8_t *)x->head) + v.len] = 0;
    }
    return PORCH_OK;
}

void porch_exchange_take_match(porch_http_exchange *x, const porch_route_match *match) {
    x->route = match->route;
    x->param_count = match->param_count;
    for (size_t i = 0; i < match->param_count; i++) {
        size_t at = (size_t)(match->params[i].value.at - x->request.path.at);
        x->params[i].name = match->params[i].name;
        x->params[i].value = x->pieces + at;
        x->pieces[at + match->params[i].value.len] = 0;
    }
}

/* ---- the request ---- */

const char *porch_http_method(const porch_http_exchange *x) {
    return x->method;
}
const char *porch_http_path(const porch_http_exchange *x) {
    return x->path == NULL ? "" : x->path;
}
const porch_peer *porch_http_peer(const porch_http_exchange *x) {
    return &x->peer;
}
void *porch_http_route_ctx(const porch_http_exchange *x) {
    return x->route == NULL ? NULL : x->route->ctx;
}
void porch_http_set_user(porch_http_exchange *x, void *user) {
    x->user = user;
}
void *porch_http_user(const porch_http_exchange *x) {
    return x->user;
}

const char *porch_http_param(const porch_http_exchange *x, const char *name) {
    for (size_t i = 0; i < x->param_count; i++)
        if (porch_bytes_eq_text(x->params[i].name, name)) return x->params[i].value;
    return "";
}

porch_err porch_http_query(const porch_http_exchange *x, const char *name, char *out, size_t cap) {
    if (cap == 0) return PORCH_ERR_NO_SPACE;
    porch_buf b = {(uint8_t *)out, 0, cap - 1};
    porch_err e = porch_http1_query_get(x->request.query, name, &b);
    out[e == PORCH_OK ? b.len : 0] = 0;
    return e;
}

const char *porch_http_header(const porch_http_exchange *x, const char *name) {
    const porch_http1_header *h = porch_http1_header_find(&x->request.headers, name);
    return h == NULL ? NULL : (const char *)h->value.at;
}

porch_bytes porch_http_cookie(const porch_http_exchange *x, const char *name) {
    porch_bytes none = {NULL, 0};
    size_t len = strlen(name);
    if (x->peer.role != PORCH_LISTEN_PEOPLE) return none;
    for (size_t i = 0; i < x->request.headers.count; i++) {
        if (!porch_bytes_eq_nocase(x->headers[i].name, PORCH_LIT("cookie"))) continue;
        porch_bytes rest = x->headers[i].value;
        while (rest.len > 0) {
            const uint8_t *semicolon = memchr(rest.at, ';', rest.len);
            size_t n = semicolon == NULL ? rest.len : (size_t)(semicolon - rest.at);
            porch_bytes one = {rest.at, n};
            size_t skip = semicolon == NULL ? n : n + 1;
            rest = (porch_bytes){rest.at + skip, rest.len - skip};
            while (one.len > 0 && one.at[0] == ' ')
                one = (porch_bytes){one.at + 1, one.len - 1};
            if (one.len > len && one.at[len] == '=' && memcmp(one.at, name, len) == 0)
                return (porch_bytes){one.at + len + 1, one.len - len - 1};
        }
    }
    return none;
}

porch_bytes porch_http_body(const porch_http_exchange *x) {
    bool streamed = x->route != NULL && (x->route->flags & PORCH_HTTP_BODY_STREAM) != 0;
    return streamed ? (porch_bytes){NULL, 0} : (porch_bytes){x->body, x->body_len};
}

int64_t porch_http_body_length(const porch_http_exchange *x) {
    if (x->request.body == PORCH_HTTP1_BODY_CHUNKED) return -1;
    if (x->request.body != PORCH_HTTP1_BODY_LENGTH) return 0;
    return x->request.body_bytes > INT64_MAX ? INT64_MAX : (int64_t)x->request.body_bytes;
}

/* ---- the answer ---- */

const char *porch_http_status_text(int status) {
    return porch_http1_status_text((uint16_t)status);
}

porch_err porch_http_reply_header(porch_http_exchange *x, const char *name, const char *value) {
    if (x->answer != PORCH_ANSWER_NONE) return PORCH_ERR_STATE;
    porch_err e = porch_http1_header_write_text(&x->extra, name, value);
    return e == PORCH_ERR_NO_SPACE ? PORCH_ERR_LIMIT : e;
}

porch_err porch_exchange_upgrade(porch_http_exchange *x) {
    if (x->answer != PORCH_ANSWER_NONE || x->http2) return PORCH_ERR_STATE;
    x->answer = PORCH_ANSWER_UPGRADE;
    x->status = 101;
    return PORCH_OK;
}

static porch_err begin_answer(porch_http_exchange *x, porch_answer_kind kind, int status,
                              const char *content_type) {
    if (x->answer != PORCH_ANSWER_NONE) return PORCH_ERR_STATE;
    if (status < 200 || status > 599) return PORCH_ERR_USAGE;
    if (content_type != NULL && strlen(content_type) >= sizeof x->content_type) return PORCH_ERR_LIMIT;
    x->answer = kind;
    x->status = status;
    x->content_type[0] = 0;
    if (content_type != NULL) memcpy(x->content_type, content_type, strlen(content_type) + 1);
    return PORCH_OK;
}

porch_err porch_http_reply(porch_http_exchange *x, int status, const char *content_type, porch_bytes body) {
    uint8_t *copy = NULL;
    if (x->answer != PORCH_ANSWER_NONE) return PORCH_ERR_STATE;
    if (body.len > 0) {
        copy = malloc(body.len);
        if (copy == NULL) return PORCH_ERR_IO;
        memcpy(copy, body.at, body.len);
    }
    porch_err e = begin_answer(x, PORCH_ANSWER_BYTES, status, content_type);
    if (e != PORCH_OK) {
        free(copy);
        return e;
    }
    x->out = copy;
    x->out_len = body.len;
    return PORCH_OK;
}

porch_err porch_http_reply_lasting(porch_http_exchange *x, int status, const char *content_type,
                                   porch_bytes body) {
    PORCH_TRY(begin_answer(x, PORCH_ANSWER_BYTES, status, content_type));
    x->lasting = body.at;
    x->out_len = body.len;
    return PORCH_OK;
}

const uint8_t *porch_exchange_out(const porch_http_exchange *x) {
    return x->lasting != NULL ? x->lasting : x->out;
}

/* Text inside a JSON string: quotes, backslash and control bytes escaped; cut to what fits. */
static void write_json_text(porch_buf *b, const char *text) {
    for (const char *c = text; *c != 0; c++) {
        char piece[8];
        uint8_t v = (uint8_t)*c;
        if (v == '"' || v == '\\') {
            snprintf(piece, sizeof piece, "\\%c", v);
        } else if (v < 0x20 || v == 0x7f) {
            snprintf(piece, sizeof piece, "\\u%04x", v);
        } else {
            piece[0] = (char)v;
            piece[1] = 0;
        }
        if (porch_write_text(b, piece) != PORCH_OK) return;
    }
}

porch_err porch_http_problem(porch_http_exchange *x, int status, const char *slug, const char *detail) {
    char text[1024];
    porch_buf b = {(uint8_t *)text, 0, sizeof text - 8};
    if (x->answer != PORCH_ANSWER_NONE) return PORCH_ERR_STATE;
    porch_write_text(&b, "{\"type\":\"urn:porchlight:problem:");
    write_json_text(&b, slug);
    porch_write_text(&b, "\",\"title\":\"");
    write_json_text(&b, porch_http_status_text(status));
    porch_write_text(&b, "\",\"status\":");
    porch_write_decimal(&b, (uint64_t)status);
    porch_write_text(&b, ",\"detail\":\"");
    write_json_text(&b, detail);
    b.cap = sizeof text;
    porch_write_text(&b, "\"}\n");
    snprintf(x->reason, sizeof x->reason, "%s: %s", slug, detail);
    return porch_http_reply(x, status, "application/problem+json", porch_buf_bytes(&b));
}

porch_err porch_http_reply_source(porch_http_exchange *x, int status, const char *content_type,
                                  uint64_t length, porch_http_read_fn read_fn, void (*free_fn)(void *ctx),
                                  void *ctx) {
    porch_err e = begin_answer(x, PORCH_ANSWER_SOURCE, status, content_type);
    if (e != PORCH_OK) {
        free_fn(ctx);
        return e;
    }
    x->source_length = length;
    x->source_read = read_fn;
    x->source_free = free_fn;
    x->source_ctx = ctx;
    return PORCH_OK;
}

/* ---- streams ---- */

porch_http_stream *porch_http_reply_stream(porch_http_exchange *x, const char *content_type,
                                           void (*on_close)(void *ctx), void *ctx) {
    porch_http_stream *s = calloc(1, sizeof *s);
    if (s == NULL) return NULL;
    if (begin_answer(x, PORCH_ANSWER_STREAM, 200, content_type) != PORCH_OK) {
        free(s);
        return NULL;
    }
    pthread_mutex_init(&s->lock, NULL);
    s->x = x;
    x->stream = s;
    x->stream_close = on_close;
    x->stream_ctx = ctx;
    return s;
}

static void stream_note(porch_shard *shard, porch_note *note) {
    (void)shard;
    porch_http_stream *s = (porch_http_stream *)(void *)note;
    pthread_mutex_lock(&s->lock);
    s->posted = false;
    pthread_mutex_unlock(&s->lock);
    porch_http_stream_moved(s->x);
}

static void post_locked(porch_http_stream *s) {
    if (s->posted || s->over) return;
    s->posted = true;
    s->note.run = stream_note;
    porch_shard_post(s->x->shard, &s->note);
}

porch_err porch_http_stream_send(porch_http_stream *s, porch_bytes bytes) {
    porch_err e = PORCH_OK;
    size_t most = s->x->shard->listener->settings.http_stream_bytes;
    pthread_mutex_lock(&s->lock);
    if (s->over || s->ending) {
        e = PORCH_ERR_CLOSED;
    } else if (s->too_slow || bytes.len > most || s->len > most - bytes.len) {
        s->too_slow = true;
        e = PORCH_ERR_LIMIT;
        post_locked(s);
    } else {
        if (bytes.len > s->cap - s->len) {
            size_t cap = (s->len + bytes.len) * 2;
            uint8_t *wider = realloc(s->at, cap);
            if (wider == NULL) {
                e = PORCH_ERR_IO;
                goto out;
            }
            s->at = wider;
            s->cap = cap;
        }
        if (bytes.len > 0) memcpy(s->at + s->len, bytes.at, bytes.len);
        s->len += bytes.len;
        post_locked(s);
    }
out:
    pthread_mutex_unlock(&s->lock);
    return e;
}

void porch_http_stream_close(porch_http_stream *s) {
    pthread_mutex_lock(&s->lock);
    s->ending = true;
    post_locked(s);
    pthread_mutex_unlock(&s->lock);
}

/* ---- the head that leaves ---- */

static void write_date(porch_buf *b) {
    time_t now = (time_t)(porch_clock_ms() / 1000);
    struct tm tm;
    char text[40];
    gmtime_r(&now, &tm);
    static const char *const day[] = {"Sun", "Mon", "Tue", "Wed", "Thu", "Fri", "Sat"};
    static const char *const month[] = {"Jan", "Feb", "Mar", "Apr", "May", "Jun",
                                        "Jul", "Aug", "Sep", "Oct", "Nov", "Dec"};
    snprintf(text, sizeof text, "%s, %02d %s %04d %02d:%02d:%02d GMT", day[tm.tm_wday % 7],
             tm.tm_mday % 100, month[tm.tm_mon % 12], (tm.tm_year + 1900) % 10000, tm.tm_hour % 100,
             tm.tm_min % 100, tm.tm_sec % 100);
    porch_http1_header_write_text(b, "Date", text);
}

static bool has_no_body(int status) {
    return status == 101 || status == 204 || status == 304;
}

/* A handler's own header takes the place of the common one of that name. */
static bool handler_says(const porch_http_exchange *x, const char *name) {
    porch_bytes rest = porch_buf_bytes(&x->extra);
    size_t len = strlen(name);
    while (rest.len > 0) {
        const uint8_t *end = memchr(rest.at, '\n', rest.len);
        size_t n = end == NULL ? rest.len : (size_t)(end - rest.at) + 1;
        if (n > len && rest.at[len] == ':' &&
            porch_bytes_eq_nocase((porch_bytes){rest.at, len}, porch_bytes_of(name)))
            return true;
        rest = (porch_bytes){rest.at + n, rest.len - n};
    }
    return false;
}

porch_err porch_exchange_write_head(porch_http_exchange *x) {
    size_t cap = 2048 + x->extra.len;
    const porch_http_header_row *common = x->shard->listener->config.headers[x->peer.role];
    for (const porch_http_header_row *h = common; h != NULL && h->name != NULL; h++)
        cap += strlen(h->name) + strlen(h->value) + 4;
    x->out_head = malloc(cap);
    if (x->out_head == NULL) return PORCH_ERR_IO;
    porch_buf b = {x->out_head, 0, cap};
    PORCH_TRY(porch_http1_status_write(&b, (uint16_t)x->status));
    write_date(&b);
    if (x->content_type[0] != 0)
        PORCH_TRY(porch_http1_header_write_text(&b, "Content-Type", x->content_type));
    uint64_t length = x->answer == PORCH_ANSWER_SOURCE ? x->source_length : x->out_len;
    bool endless = x->answer == PORCH_ANSWER_SOURCE && length == PORCH_HTTP_LENGTH_UNKNOWN;
    if (x->answer == PORCH_ANSWER_STREAM || endless) {
        x->close_after = true;
    } else if (!has_no_body(x->status)) {
        PORCH_TRY(porch_http1_header_write_number(&b, "Content-Length", length));
    }
    for (const porch_http_header_row *h = common; h != NULL && h->name != NULL; h++) {
        if (handler_says(x, h->name)) continue;
        PORCH_TRY(porch_http1_header_write_text(&b, h->name, h->value));
    }
    PORCH_TRY(porch_write_bytes(&b, porch_buf_bytes(&x->extra)));
    if (x->close_after && !x->http2) PORCH_TRY(porch_http1_header_write_text(&b, "Connection", "close"));
    PORCH_TRY(porch_http1_head_end(&b));
    x->out_head_len = b.len;
    if (x->head_only || has_no_body(x->status)) {
        x->out_len = 0;
        x->source_length = 0;
    }
    return PORCH_OK;
}
