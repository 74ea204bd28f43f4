/* A shard turned by hand, for fuzz targets and tests of whole connections: the real listener, shard,
 * connection and HTTP code over doubles that take the place of their archives' members in the linker.
 *
 *   bytes ─► [TLS: passes them as they are] ─► conn.c ─► http_conn.c / http2_*.c ─► handlers below
 *            [loop: a clock that the dice move, one watch, a few timers]
 *            [workers: a queue whose jobs run when the dice say]
 *
 * The dice come from the input, so a finding plays again exactly. When an input is used up, the peer goes,
 * every job runs, every time passes: then nothing may be left. */
#ifndef PORCH_CLOUD_LISTENER_FUZZBED_H
#define PORCH_CLOUD_LISTENER_FUZZBED_H

#include <fcntl.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "cloud/listener/http.h"
#include "cloud/listener/room.h"
#include "cloud/listener/shard.h"
#include "crypto/random.h"
#include "crypto/sha1.h"
#include "crypto/sha256.h"
#include "os/log.h"

enum { BED_OUT_MOST = 1 << 22, BED_JOBS_MOST = 4096 };

static void must(bool holds) {
    if (!holds) abort();
}

/* ---- the dice ---- */

static uint64_t bed_seed;

static uint32_t dice(uint32_t sides) {
    bed_seed ^= bed_seed << 13;
    bed_seed ^= bed_seed >> 7;
    bed_seed ^= bed_seed << 17;
    return (uint32_t)(bed_seed >> 32) % sides;
}

/* ---- the peer, where TLS would be ---- */

static struct {
    const char *alpn;
    bool certificate, gone, blocked, deaf; /* deaf: reads nothing from the first byte on */
    bool ended;                            /* it says no more, and still reads */
    size_t takes;                          /* so many bytes at a time; 0: the dice say */
    porch_bytes coming;
    porch_buf *wire; /* while corked */
    bool held;       /* ciphertext waits with the connection */
    size_t out_len;
    void (*on_output)(porch_bytes b);
    void (*on_turn)(porch_shard *s);
} bed_peer;

static int bed_tls_token;

porch_tls_server *porch_tls_server_ref(porch_tls_server *s) {
    return s;
}
void porch_tls_server_unref(porch_tls_server *s) {
    (void)s;
}
porch_err porch_tls_accept(porch_tls_server *server, int fd, porch_tls_conn **ret) {
    (void)server;
    (void)fd;
    *ret = (porch_tls_conn *)(void *)&bed_tls_token;
    return PORCH_OK;
}
porch_err porch_tls_handshake(porch_tls_conn *c, porch_why *why) {
    (void)c;
    (void)why;
    return PORCH_OK;
}
bool porch_tls_wants_write(const porch_tls_conn *c) {
    (void)c;
    return false;
}
porch_err porch_tls_read(porch_tls_conn *c, uint8_t *at, size_t cap, size_t *got) {
    (void)c;
    size_t n = bed_peer.coming.len < cap ? bed_peer.coming.len : cap;
    if (n == 0) return bed_peer.gone || bed_peer.ended ? PORCH_ERR_CLOSED : PORCH_ERR_AGAIN;
    memcpy(at, bed_peer.coming.at, n);
    bed_peer.coming = (porch_bytes){bed_peer.coming.at + n, bed_peer.coming.len - n};
    *got = n;
    return PORCH_OK;
}
/* What the peer's socket takes of it. */
static size_t bed_send(porch_bytes b) {
    if (b.len == 0 || bed_peer.blocked) return 0;
    size_t n = bed_peer.takes > 0 ? bed_peer.takes : dice(4) == 0 ? 1 + dice((uint32_t)b.len) : b.len;
    if (n > b.len) n = b.len;
    if (bed_peer.on_output != NULL) bed_peer.on_output((porch_bytes){b.at, n});
    bed_peer.out_len += n;
    bed_peer.blocked = bed_peer.out_len > BED_OUT_MOST; /* enough seen: this peer reads no more */
    return n;
}
porch_err porch_tls_write(porch_tls_conn *c, const uint8_t *at, size_t len, size_t *taken) {
    (void)c;
    if (bed_peer.gone) return PORCH_ERR_CLOSED;
    porch_buf *wire = bed_peer.wire;
    if (wire != NULL && len > wire->cap - wire->len) {
        size_t sent = bed_send((porch_bytes){wire->at, wire->len});
        memmove(wire->at, wire->at + sent, wire->len - sent);
        wire->len -= sent;
    }
    if (wire != NULL) {
        *taken = wire->cap - wire->len < len ? wire->cap - wire->len : len;
        memcpy(wire->at + wire->len, at, *taken);
        wire->len += *taken;
    } else {
        *taken = bed_peer.held ? 0 : bed_send((porch_bytes){at, len});
    }
    return *taken > 0 ? PORCH_OK : PORCH_ERR_AGAIN;
}
void porch_tls_cork(porch_tls_conn *c, porch_buf *wire) {
    (void)c;
    must(!bed_peer.held && bed_peer.wire == NULL);
    bed_peer.wire = wire;
}
porch_err porch_tls_push(porch_tls_conn *c, porch_bytes *left) {
    (void)c;
    if (bed_peer.gone) return PORCH_ERR_CLOSED;
    size_t sent = bed_send(*left);
    *left = (porch_bytes){left->at + sent, left->len - sent};
    bed_peer.held = left->len > 0;
    return bed_peer.held ? PORCH_ERR_AGAIN : PORCH_OK;
}
porch_err porch_tls_uncork(porch_tls_conn *c, porch_bytes *left) {
    const porch_buf *wire = bed_peer.wire;
    bed_peer.wire = NULL;
    *left = (porch_bytes){NULL, 0};
    if (wire == NULL || wire->len == 0) return PORCH_OK;
    *left = (porch_bytes){wire->at, wire->len};
    return porch_tls_push(c, left);
}
bool porch_tls_dry(const porch_tls_conn *c) {
    (void)c;
    return false; /* it is asked until it says AGAIN */
}
void porch_tls_idle(porch_tls_conn *c) {
    (void)c;
}
void porch_tls_shutdown(porch_tls_conn *c) {
    (void)c;
}
void porch_tls_free(porch_tls_conn *c) {
    (void)c;
}
porch_err porch_tls_peer(const porch_tls_conn *c, porch_tls_peer_info *ret) {
    (void)c;
    memset(ret, 0, sizeof *ret);
    ret->has_certificate = bed_peer.certificate;
    ret->x509.identity.kind = PORCH_IDENTITY_DEVICE;
    (void)snprintf(ret->x509.identity.name, sizeof ret->x509.identity.name, "cam");
    (void)snprintf(ret->alpn, sizeof ret->alpn, "%s", bed_peer.alpn);
    return PORCH_OK;
}

/* Not the real one: it tells whose request is open, and for that different names need different values. */
void porch_sha256(porch_bytes in, uint8_t digest[PORCH_SHA256_BYTES]) {
    uint64_t state = 0xcbf29ce484222325;
    for (size_t i = 0; i < in.len; i++)
        state = (state ^ in.at[i]) * 0x100000001b3;
    for (size_t i = 0; i < PORCH_SHA256_BYTES; i++, state *= 0x100000001b3)
        digest[i] = (uint8_t)(state >> 32);
}

void porch_sha1(porch_bytes in, uint8_t digest[PORCH_SHA1_BYTES]) {
    (void)in;
    memset(digest, 7, PORCH_SHA1_BYTES); /* nobody checks what a WebSocket's key was answered with */
}

void porch_random(void *at, size_t len) {
    memset(at, 7, len); /* the same in every run */
}

/* ---- the log: every value is read, nothing is written ---- */

static volatile size_t bed_logged;

bool porch_log_wants(porch_log_level level) {
    (void)level;
    return true;
}
void porch_log(porch_log_level level, const char *event, ...) {
    va_list values;
    (void)level;
    va_start(values, event);
    for (const char *v; (v = va_arg(values, const char *)) != NULL;) {
        const char *value = va_arg(values, const char *);
        bed_logged += strlen(v) + (value == NULL ? 0 : strlen(value));
    }
    va_end(values);
}
porch_log_digits porch_log_number(uint64_t n) {
    porch_log_digits d;
    (void)snprintf(d.text, sizeof d.text, "%llu", (unsigned long long)n);
    return d;
}
porch_log_digits porch_log_signed(int64_t n) {
    porch_log_digits d;
    (void)snprintf(d.text, sizeof d.text, "%lld", (long long)n);
    return d;
}
porch_log_view porch_log_bytes(porch_bytes b) {
    porch_log_view v;
    (void)snprintf(v.text, sizeof v.text, "%.*s", (int)(b.len < 196 ? b.len : 196), (const char *)b.at);
    return v;
}

/* ---- the loop ---- */

struct porch_loop {
    uint64_t now;
    porch_loop_watch *watch;
    porch_loop_timer *timers;
};

porch_err porch_loop_new(porch_loop **ret, porch_why *why) {
    (void)why;
    *ret = calloc(1, sizeof **ret);
    must(*ret != NULL);
    (*ret)->now = 1000;
    return PORCH_OK;
}
void porch_loop_free(porch_loop *loop) {
    free(loop);
}
porch_err porch_loop_add(porch_loop *loop, porch_loop_watch *watch, int fd, uint32_t events,
                         porch_loop_fd_fn fn, void *ctx) {
    *watch = (porch_loop_watch){fd, events, fn, ctx};
    loop->watch = watch;
    return PORCH_OK;
}
porch_err porch_loop_mod(porch_loop *loop, porch_loop_watch *watch, uint32_t events) {
    must(loop->watch == watch);
    watch->events = events;
    return PORCH_OK;
}
void porch_loop_del(porch_loop *loop, porch_loop_watch *watch) {
    if (watch->fd < 0) return;
    watch->fd = -1;
    if (loop->watch == watch) loop->watch = NULL;
}
uint64_t porch_loop_now(const porch_loop *loop) {
    return loop->now;
}
void porch_loop_timer_clear(porch_loop *loop, porch_loop_timer *timer) {
    (void)loop;
    if (timer->link == NULL) return;
    *timer->link = timer->next;
    if (timer->next != NULL) timer->next->link = timer->link;
    timer->link = NULL;
}
void porch_loop_timer_set(porch_loop *loop, porch_loop_timer *timer, uint64_t after_ms, porch_loop_fn fn,
                          void *ctx) {
    porch_loop_timer_clear(loop, timer);
    timer->due_ms = loop->now + after_ms;
    timer->fn = fn;
    timer->ctx = ctx;
    timer->next = loop->timers;
    timer->link = &loop->timers;
    if (timer->next != NULL) timer->next->link = &timer->next;
    loop->timers = timer;
}
void porch_loop_on_wake(porch_loop *loop, porch_loop_fn fn, void *ctx) {
    (void)loop;
    (void)fn;
    (void)ctx;
}
void porch_loop_wake(porch_loop *loop) {
    (void)loop;
}
porch_err porch_loop_turn(porch_loop *loop, int most_ms) {
    (void)loop;
    (void)most_ms;
    return PORCH_ERR_STATE; /* no thread turns this one */
}

static inline void bed_pass(porch_loop *loop, uint64_t ms) {
    loop->now += ms;
    for (porch_loop_timer *t = loop->timers; t != NULL;) {
        if (t->due_ms > loop->now) {
            t = t->next;
            continue;
        }
        porch_loop_timer_clear(loop, t);
        t->fn(t->ctx);
        t = loop->timers; /* whatever the call has changed */
    }
}

/* ---- the workers ---- */

struct porch_workers {
    porch_job *jobs[BED_JOBS_MOST];
    size_t count;
    unsigned waiting_most;
};

porch_workers *porch_workers_new(unsigned threads, unsigned waiting_most) {
    porch_workers *w = calloc(1, sizeof *w);
    (void)threads;
    must(w != NULL);
    w->waiting_most = waiting_most;
    return w;
}
porch_err porch_workers_start(porch_workers *w, porch_why *why) {
    (void)w;
    (void)why;
    return PORCH_OK;
}
porch_err porch_workers_submit(porch_workers *w, porch_job *job, bool must_take) {
    if (!must_take && w->count >= w->waiting_most) return PORCH_ERR_BUSY;
    must(w->count < BED_JOBS_MOST);
    w->jobs[w->count++] = job;
    return PORCH_OK;
}
void porch_workers_stop(porch_workers *w) {
    (void)w;
}
void porch_workers_free(porch_workers *w) {
    free(w);
}

/* Eight threads: any of the first eight may be done first. */
static void bed_work(porch_workers *w) {
    if (w->count == 0) return;
    size_t at = dice(w->count < 8 ? (uint32_t)w->count : 8);
    porch_job *job = w->jobs[at];
    w->count--;
    memmove(w->jobs + at, w->jobs + at + 1, (w->count - at) * sizeof *w->jobs);
    job->run(job);
}

/* ---- what the handlers do: one of each kind ---- */

static int bed_open_sources, bed_open_streams, bed_open_uploads;
static porch_http_stream *bed_live;

static void bed_hello(porch_http_exchange *x) {
    char text[256], value[32];
    porch_bytes cookie = porch_http_cookie(x, "__Host-session");
    (void)porch_http_query(x, "q", value, sizeof value);
    const char *agent = porch_http_header(x, "user-agent");
    int n = snprintf(text, sizeof text, "%s %zu %s %s %zu", porch_http_method(x), cookie.len, value,
                     porch_http_param(x, "rest"), agent == NULL ? 0 : strlen(agent));
    must(porch_http_path(x)[0] == '/' && n > 0);
    if (n >= (int)sizeof text) n = sizeof text - 1;
    porch_http_reply_header(x, "X-Who", porch_http_peer(x)->principal.name);
    porch_http_reply(x, 200, "text/plain", (porch_bytes){(const uint8_t *)text, (size_t)n});
}
static void bed_lasting(porch_http_exchange *x) {
    static uint8_t page[40000];
    porch_http_reply_lasting(x, 200, "text/plain", (porch_bytes){page, sizeof page});
}
static void bed_echo(porch_http_exchange *x) {
    must(porch_http_body(x).len <= 20000);
    porch_http_reply(x, 200, "text/plain", porch_http_body(x));
}
static void bed_silent(porch_http_exchange *x) {
    (void)x; /* an answer is missing: 500 */
}
static void bed_upload(porch_http_exchange *x) {
    if (dice(8) == 0) {
        porch_http_problem(x, 409, "conflict", "not now");
        return;
    }
    bed_open_uploads++;
    porch_http_set_user(x, calloc(1, sizeof(uint64_t)));
}
static void bed_piece(porch_http_exchange *x, porch_bytes piece, bool last) {
    uint64_t *sum = porch_http_user(x);
    must(sum != NULL);
    for (size_t i = 0; i < piece.len; i++)
        *sum += piece.at[i];
    if (!last && dice(16) != 0) return;
    char text[32];
    int n = snprintf(text, sizeof text, "%llu", (unsigned long long)*sum);
    free(sum);
    bed_open_uploads--;
    porch_http_set_user(x, NULL);
    porch_http_reply(x, last ? 201 : 409, "text/plain", (porch_bytes){(const uint8_t *)text, (size_t)n});
}
static void bed_abort(porch_http_exchange *x) {
    must(porch_http_user(x) != NULL);
    free(porch_http_user(x));
    bed_open_uploads--;
}
static porch_err bed_read(void *ctx, uint64_t offset, uint8_t *buf, size_t cap, size_t *got) {
    (void)ctx;
    (void)offset;
    if (dice(32) == 0) return PORCH_ERR_IO;
    *got = 1 + dice((uint32_t)cap);
    memset(buf, 7, *got);
    return PORCH_OK;
}
static void bed_source_over(void *ctx) {
    (void)ctx;
    bed_open_sources--;
}
static void bed_source(porch_http_exchange *x) {
    bed_open_sources++;
    porch_http_reply_source(x, 206, "video/mp4", 1 + dice(200000), bed_read, bed_source_over, NULL);
}
static void bed_stream_over(void *ctx) {
    (void)ctx;
    bed_live = NULL;
    bed_open_streams--;
}
static void bed_stream(porch_http_exchange *x) {
    if (bed_live != NULL) {
        porch_http_problem(x, 429, "streams", "one is enough");
        return;
    }
    bed_open_streams++;
    bed_live = porch_http_reply_stream(x, "text/event-stream", bed_stream_over, NULL);
    must(bed_live != NULL);
    porch_http_stream_send(bed_live, PORCH_LIT(": hello\n\n"));
}

static void bed_person(porch_http_exchange *x) {
    const porch_principal who = {.kind = PORCH_IDENTITY_PERSON, .name = "ann"};
    porch_http_mqtt_person(x, &who);
}

/* Where MQTT would be, in a WebSocket's frames: what comes goes back. */
static void bed_mqtt_open(porch_conn *c) {
    porch_conn_set_user(c, NULL);
}
static size_t bed_mqtt_take(porch_conn *c, porch_bytes in) {
    porch_conn_put(c, in);
    return in.len;
}
static const porch_conn_hooks bed_mqtt = {
    .open = bed_mqtt_open,
    .take = bed_mqtt_take,
    .drain = porch_conn_close,
};

enum { BED_BOTH = PORCH_ON_PEOPLE | PORCH_ON_DEVICE };
static const porch_http_route bed_routes[] = {
    {"GET", "/", BED_BOTH, PORCH_HTTP_INLINE, 0, bed_lasting, NULL, NULL, NULL},
    {"GET", "/h/{rest...}", BED_BOTH, 0, 0, bed_hello, NULL, NULL, NULL},
    {"GET", "/i", BED_BOTH, PORCH_HTTP_INLINE, 0, bed_hello, NULL, NULL, NULL},
    {"GET", "/mine", PORCH_ON_DEVICE, PORCH_HTTP_PRINCIPAL, 0, bed_hello, NULL, NULL, NULL},
    {"POST", "/echo", BED_BOTH, 0, 20000, bed_echo, NULL, NULL, NULL},
    {"DELETE", "/silent", BED_BOTH, 0, 10, bed_silent, NULL, NULL, NULL},
    {"PATCH", "/up/{id}", BED_BOTH, PORCH_HTTP_BODY_STREAM, 100000, bed_upload, NULL, bed_piece, bed_abort},
    {"GET", "/source", BED_BOTH, 0, 0, bed_source, NULL, NULL, NULL},
    {"GET", "/stream", BED_BOTH, 0, 0, bed_stream, NULL, NULL, NULL},
    {"GET", "/mqtt", PORCH_ON_DEVICE, PORCH_HTTP_INLINE | PORCH_HTTP_ANY_VERDICT, 0, porch_http_mqtt, NULL,
     NULL, NULL},
    {"GET", "/mqtt", PORCH_ON_PEOPLE, 0, 0, bed_person, NULL, NULL, NULL},
};
static const porch_http_header_row bed_headers[] = {{"X-Content-Type-Options", "nosniff"}, {NULL, NULL}};

static bool bed_guard(void *ctx, porch_http_exchange *x) {
    (void)ctx;
    const char *site = porch_http_header(x, "sec-fetch-site");
    if (site == NULL || strcmp(site, "same-origin") == 0) return true;
    porch_http_problem(x, 403, "origin", "another site asked");
    return false;
}
static porch_err bed_admit(void *ctx, const porch_tls_peer_info *tls, uint64_t now_ms, porch_principal *ret,
                           porch_why *why) {
    (void)ctx;
    (void)now_ms;
    (void)why;
    memset(ret, 0, sizeof *ret);
    memcpy(ret->name, tls->x509.identity.name, sizeof ret->name);
    return dice(16) == 0 ? PORCH_ERR_REVOKED : PORCH_OK;
}

/* ---- a connection from its first byte to its end ---- */

static porch_listener *bed_listener;

static porch_shard *bed_shard(void) {
    if (bed_listener == NULL) {
        porch_why why = {""};
        porch_settings s;
        porch_settings_default(&s);
        s.http_waiting = 4;
        s.http_stream_bytes = 4096;
        s.http2_streams = 8;
        s.http2_window_bytes = 16384;
        s.http2_connection_window_bytes = 65535;
        porch_listener_config config = {.settings = &s,
                                        .shards = 1,
                                        .listen_fd = {-1, -1, -1},
                                        .routes = bed_routes,
                                        .route_count = sizeof bed_routes / sizeof *bed_routes,
                                        .headers = {NULL, bed_headers, bed_headers},
                                        .guard = {NULL, NULL, bed_guard},
                                        .admit = bed_admit,
                                        .mqtt = &bed_mqtt};
        must(porch_listener_new(&config, &bed_listener, &why) == PORCH_OK);
    }
    return &bed_listener->shards[0];
}

static void bed_turn(porch_shard *s) {
    int turns = 0;
    do {
        porch_shard_end_turn(s);
        must(++turns < 100000);
    } while (s->busy);
    if (bed_peer.on_turn != NULL) bed_peer.on_turn(s);
}

static void bed_ready(porch_shard *s, uint32_t events) {
    porch_loop_watch *w = s->loop->watch;
    events &= (w == NULL ? 0 : w->events) | EPOLLHUP;
    if (w != NULL && events != 0) w->fn(w->ctx, events);
    bed_turn(s);
}

static porch_note bed_note;

/* Something other than bytes happens. */
static inline void bed_happen(porch_shard *s) {
    static const uint32_t times[] = {1, 100, 5000, 31000, 70000};
    switch (dice(16)) {
    case 0:
        bed_peer.blocked = true;
        return;
    case 1:
    case 2:
        bed_peer.blocked = bed_peer.deaf;
        bed_ready(s, EPOLLOUT);
        return;
    case 3:
        bed_pass(s->loop, times[dice(3)]);
        break;
    case 4:
        if (dice(8) == 0) bed_pass(s->loop, times[dice(5)]);
        break;
    case 5:
        if (bed_live != NULL) {
            static const uint8_t news[3000];
            porch_http_stream_send(bed_live, (porch_bytes){news, 1 + dice(sizeof news)});
        }
        break;
    case 6:
        if (bed_live != NULL && dice(4) == 0) porch_http_stream_close(bed_live);
        break;
    case 7:
        if (dice(64) == 0) porch_shard_order_drain(s, &bed_note);
        break;
    default:
        bed_work(s->listener->workers);
        break;
    }
    bed_turn(s);
}

static inline size_t bed_portion(size_t left) {
    static const size_t some[] = {1, 9, 64, 1000, 20000};
    size_t n = some[dice(5)];
    return dice(3) == 0 || n > left ? left : n;
}

/* A new peer connects. */
static void bed_begin(porch_shard *s, porch_listen_role role) {
    bed_peer.coming = (porch_bytes){NULL, 0};
    bed_peer.gone = bed_peer.ended = false;
    bed_peer.wire = NULL;
    bed_peer.held = false;
    bed_peer.blocked = bed_peer.deaf;
    bed_peer.out_len = 0;
    porch_conn_accept(s, role, open("/dev/null", O_RDONLY | O_CLOEXEC));
    bed_turn(s);
}

/* Lets time pass, work be done and the peer go, until nothing is left of the connection. */
static void bed_end(porch_shard *s) {
    bed_peer.blocked = true;
    bed_peer.coming = (porch_bytes){NULL, 0};
    for (int i = 0; i < 64 && (s->conns != NULL || s->exchanges > 0); i++) {
        while (s->listener->workers->count > 0)
            bed_work(s->listener->workers);
        bed_turn(s);
        if (bed_live != NULL) porch_http_stream_close(bed_live);
        bed_pass(s->loop, 40000);
        bed_turn(s);
        if (i > 30) bed_peer.gone = true;
        if (bed_peer.gone) bed_ready(s, EPOLLIN | EPOLLHUP);
    }
    must(s->conns == NULL && s->exchanges == 0 && s->listener->workers->count == 0);
    must(atomic_load(&s->listener->total) == 0 && atomic_load(&s->counts.streams) == 0);
    must(atomic_load(&s->counts.websockets) == 0);
    must(atomic_load(&s->listener->open_requests) == 0 && atomic_load(&s->listener->body_bytes) == 0);
    must(bed_open_sources == 0 && bed_open_streams == 0 && bed_open_uploads == 0);
    must(s->loop->timers == NULL || s->loop->timers == &s->soon);
    s->draining = false;
}

/* Plays the pieces of one connection in turn: every byte of the first, then of the second. */
static inline void bed_play(porch_shard *s, porch_listen_role role, porch_bytes first, porch_bytes second) {
    bed_begin(s, role);
    porch_bytes *turns[] = {&first, &second};
    for (size_t i = 0; i < 2; i++) {
        while (turns[i]->len > 0 && s->conns != NULL) {
            size_t n = bed_portion(turns[i]->len);
            while (bed_peer.coming.len > 0 && s->conns != NULL) { /* paused: only time and work help */
                bed_happen(s);
                if (bed_peer.coming.len > 0 && dice(4) == 0) bed_ready(s, EPOLLIN);
                if (dice(256) == 0) goto over;
            }
            bed_peer.coming = (porch_bytes){turns[i]->at, n};
            *turns[i] = (porch_bytes){turns[i]->at + n, turns[i]->len - n};
            bed_ready(s, EPOLLIN);
            while (dice(4) != 0)
                bed_happen(s);
        }
    }
    for (int i = 0; i < 64 && s->conns != NULL; i++)
        bed_happen(s);
over:
    if (dice(2) == 0) {
        bed_peer.gone = true;
        bed_ready(s, EPOLLIN | EPOLLHUP);
    } else if (dice(2) == 0) {
        bed_peer.ended = true;
        bed_ready(s, EPOLLIN);
        bed_ready(s, EPOLLOUT);
    }
    bed_end(s);
}

#endif
