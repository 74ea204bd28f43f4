/* For the tests of HTTP/1.1 and of HTTP/2: the same hub for both, so that what a handler does is told once.
 * A handler's name is what its route is called; how often something has happened is counted and waited for.
 */
#ifndef PORCH_CLOUD_LISTENER_HTTP_TESTBED_H
#define PORCH_CLOUD_LISTENER_HTTP_TESTBED_H

#include <pthread.h>
#include <stdatomic.h>
#include <stdio.h>

#include "cloud/listener/http.h"
#include "cloud/listener/testbed.h"

/* ---- what has happened ---- */

static pthread_mutex_t told_lock = PTHREAD_MUTEX_INITIALIZER;
static pthread_cond_t told = PTHREAD_COND_INITIALIZER;

static inline void tell(atomic_int *what) {
    pthread_mutex_lock(&told_lock);
    atomic_fetch_add(what, 1);
    pthread_cond_broadcast(&told);
    pthread_mutex_unlock(&told_lock);
}

static inline void wait_for(atomic_int *what, int count) {
    pthread_mutex_lock(&told_lock);
    while (atomic_load(what) < count)
        pthread_cond_wait(&told, &told_lock);
    pthread_mutex_unlock(&told_lock);
}

static atomic_int aborted, freed, streams_open, streams_closed;

/* ---- what the handlers do ---- */

static uint8_t page[40000];

static inline void lasting(porch_http_exchange *x) {
    porch_http_reply_lasting(x, 200, "text/plain", (porch_bytes){page, sizeof page});
}

static inline void echo(porch_http_exchange *x) {
    porch_http_reply(x, 200, "application/octet-stream", porch_http_body(x));
}

typedef struct {
    uint64_t bytes, sum;
} total;

static inline void sum_head(porch_http_exchange *x) {
    porch_http_set_user(x, calloc(1, sizeof(total)));
}

static inline void sum_data(porch_http_exchange *x, porch_bytes piece, bool last) {
    total *t = porch_http_user(x);
    for (size_t i = 0; i < piece.len; i++)
        t->sum += piece.at[i];
    t->bytes += piece.len;
    if (!last) return;
    char text[64];
    int n =
        snprintf(text, sizeof text, "%llu %llu", (unsigned long long)t->bytes, (unsigned long long)t->sum);
    free(t);
    porch_http_reply(x, 200, "text/plain", (porch_bytes){(const uint8_t *)text, (size_t)n});
}

static inline void sum_abort(porch_http_exchange *x) {
    free(porch_http_user(x));
    tell(&aborted);
}

static inline porch_err pattern_read(void *ctx, uint64_t offset, uint8_t *buf, size_t cap, size_t *got) {
    (void)ctx;
    for (size_t i = 0; i < cap; i++)
        buf[i] = (uint8_t)((offset + i) * 7);
    *got = cap;
    return PORCH_OK;
}

static inline void pattern_free(void *ctx) {
    (void)ctx;
    tell(&freed);
}

static inline void pattern(porch_http_exchange *x) {
    porch_http_reply_source(x, 206, "video/mp4", 1000000, pattern_read, pattern_free, NULL);
}

static porch_http_stream *live;

static inline void stream_over(void *ctx) {
    (void)ctx;
    pthread_mutex_lock(&told_lock);
    live = NULL;
    pthread_mutex_unlock(&told_lock);
    tell(&streams_closed);
}

static inline void stream(porch_http_exchange *x) {
    porch_http_stream *s = porch_http_reply_stream(x, "text/event-stream", stream_over, NULL);
    pthread_mutex_lock(&told_lock);
    live = s;
    pthread_mutex_unlock(&told_lock);
    porch_http_stream_send(s, PORCH_LIT(": hello\n\n"));
    tell(&streams_open);
}

static inline bool guard(void *ctx, porch_http_exchange *x) {
    (void)ctx;
    const char *site = porch_http_header(x, "sec-fetch-site");
    if (site == NULL || strcmp(site, "same-origin") == 0) return true;
    porch_http_problem(x, 403, "origin", "another site asked");
    return false;
}

static const porch_http_header_row common[] = {{"X-Content-Type-Options", "nosniff"}, {NULL, NULL}};

/* ---- the hub ---- */

typedef struct {
    porch_listener *listener;
    int fd, device_fd;
    uint16_t port, device_port; /* people's, devices' */
} bed_http;

/* What a test's hub is made of; `admit` decides who a certificate is. */
typedef struct {
    const bed_ca *ca;
    const bed_identity *server;
    const char *people_alpn, *device_alpn;
    const porch_settings *settings;
    const porch_http_route *routes;
    size_t route_count;
    porch_err (*admit)(void *ctx, const porch_tls_peer_info *tls, uint64_t now_ms, porch_principal *ret,
                       porch_why *why);
} bed_http_of;

static inline void bed_http_start(bed_http *h, const bed_http_of *of) {
    porch_why why = {""};
    h->fd = bed_listen(&h->port);
    h->device_fd = bed_listen(&h->device_port);
    porch_tls_server *people = bed_server(of->ca, of->server, PORCH_TLS_CLIENT_NONE, of->people_alpn);
    porch_tls_server *devices = bed_server(of->ca, of->server, PORCH_TLS_CLIENT_REQUEST, of->device_alpn);
    porch_listener_config config;
    memset(&config, 0, sizeof config);
    config.settings = of->settings;
    config.shards = 2;
    config.listen_fd[PORCH_LISTEN_MQTT] = -1;
    config.listen_fd[PORCH_LISTEN_DEVICE] = h->device_fd;
    config.listen_fd[PORCH_LISTEN_PEOPLE] = h->fd;
    config.tls[PORCH_LISTEN_PEOPLE] = people;
    config.tls[PORCH_LISTEN_DEVICE] = devices;
    config.routes = of->routes;
    config.route_count = of->route_count;
    config.headers[PORCH_LISTEN_PEOPLE] = common;
    config.guard[PORCH_LISTEN_PEOPLE] = guard;
    config.admit = of->admit;
    bed_ok(porch_listener_new(&config, &h->listener, &why), &why);
    bed_ok(porch_listener_start(h->listener, &why), &why);
    porch_tls_server_unref(people);
    porch_tls_server_unref(devices);
}

static inline void bed_http_stop(bed_http *h) {
    porch_listener_drain(h->listener, 5000);
    porch_listener_stop(h->listener);
    porch_listener_free(h->listener);
    close(h->fd);
    close(h->device_fd);
}

#endif
