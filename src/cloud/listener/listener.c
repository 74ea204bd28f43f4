#include "cloud/listener/listener.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <unistd.h>

#include "cloud/listener/room.h"
#include "cloud/listener/shard.h"
#include "os/clock.h"
#include "os/log.h"

/* Descriptors that are not connections: the database, clips, helpers, loops. */
enum { SHARDS_MOST = 256, FILES_KEPT = 256 };

static unsigned cores(void) {
    long n = sysconf(_SC_NPROCESSORS_ONLN);
    return n < 1 ? 1 : n > SHARDS_MOST ? SHARDS_MOST : (unsigned)n;
}

/* No more connections than there are descriptors, else strangers who take them all would shut out devices
 * and stop clips from being opened; and none of them by one address alone. */
static void fit_connections(porch_settings *s) {
    struct rlimit files;
    if (getrlimit(RLIMIT_NOFILE, &files) != 0 || files.rlim_cur == RLIM_INFINITY) return;
    uint64_t most = files.rlim_cur > 2ULL * FILES_KEPT ? files.rlim_cur - FILES_KEPT : files.rlim_cur / 2;
    if (s->listener_connections > most) {
        porch_log(PORCH_LOG_WARN, "listener.few_descriptors", "connections", porch_log_number(most).text,
                  "setting", "listener.connections", "reason",
                  "the limit of open files (ulimit -n) is lower; raise it", NULL);
        s->listener_connections = (uint32_t)most;
    }
    if (s->listener_per_address > s->listener_connections / 2)
        s->listener_per_address = s->listener_connections / 2;
}

porch_err porch_listener_new(const porch_listener_config *config, porch_listener **ret, porch_why *why) {
    porch_listener *l = calloc(1, sizeof *l);
    porch_err e = PORCH_ERR_IO;
    if (l == NULL) return porch_fail(why, e, "no memory for the listener");
    pthread_mutex_init(&l->lock, NULL);
    pthread_condattr_t clock;
    pthread_condattr_init(&clock);
    pthread_condattr_setclock(&clock, CLOCK_MONOTONIC);
    pthread_cond_init(&l->moved, &clock);
    pthread_condattr_destroy(&clock);
    l->config = *config;
    l->settings = *config->settings;
    l->config.settings = &l->settings;
    fit_connections(&l->settings);
    for (int r = 0; r < PORCH_LISTEN_ROLES; r++) {
        bool served = config->listen_fd[r] >= 0;
        if (r == PORCH_LISTEN_MQTT && config->mqtt == NULL) served = false;
        if (!served) {
            l->config.listen_fd[r] = -1;
        } else if (config->tls[r] == NULL) {
            e = porch_fail(why, PORCH_ERR_CONFIG, "a listener without TLS is not offered");
            goto out;
        }
        if (config->tls[r] != NULL) l->tls[r] = porch_tls_server_ref(config->tls[r]);
    }
    e = porch_routes_new(config->routes, config->route_count, &l->routes, why);
    if (e != PORCH_OK) goto out;
    e = PORCH_ERR_IO;
    l->workers = porch_workers_new(l->settings.http_workers, l->settings.http_waiting);
    l->addresses = porch_addresses_new(l->settings.listener_per_address);
    l->open_addresses = porch_addresses_new(l->settings.http_open_per_address);
    l->open_owners = porch_addresses_new(l->settings.http_open_per_session);
    unsigned count = config->shards > 0 ? config->shards : cores();
    if (count > SHARDS_MOST) count = SHARDS_MOST;
    l->shards = aligned_alloc(64, count * sizeof *l->shards);
    if (l->workers == NULL || l->addresses == NULL || l->open_addresses == NULL || l->open_owners == NULL ||
        l->shards == NULL) {
        porch_fail(why, e, "no memory for the listener");
        goto out;
    }
    memset(l->shards, 0, count * sizeof *l->shards);
    l->shard_count = count;
    e = PORCH_OK;
    for (unsigned i = 0; i < count && e == PORCH_OK; i++)
        e = porch_shard_init(&l->shards[i], l, i, why);
out:
    if (e != PORCH_OK) {
        porch_listener_free(l);
        return e;
    }
    *ret = l;
    return PORCH_OK;
}

void porch_listener_free(porch_listener *l) {
    if (l == NULL) return;
    for (unsigned i = 0; i < l->shard_count; i++)
        porch_shard_free(&l->shards[i]);
    free(l->shards);
    porch_workers_free(l->workers);
    porch_addresses_free(l->addresses);
    porch_addresses_free(l->open_addresses);
    porch_addresses_free(l->open_owners);
    porch_routes_free(l->routes);
    for (int r = 0; r < PORCH_LISTEN_ROLES; r++)
        porch_tls_server_unref(l->tls[r]);
    pthread_cond_destroy(&l->moved);
    pthread_mutex_destroy(&l->lock);
    free(l);
}

porch_err porch_listener_start(porch_listener *l, porch_why *why) {
    porch_err e = porch_workers_start(l->workers, why);
    l->started = true;
    for (unsigned i = 0; i < l->shard_count && e == PORCH_OK; i++)
        e = porch_shard_prepare(&l->shards[i], why);
    for (unsigned i = 0; i < l->shard_count && e == PORCH_OK; i++)
        e = porch_shard_start(&l->shards[i], why);
    if (e != PORCH_OK) porch_listener_stop(l);
    return e;
}

/* A principal to be cut, one copy for each shard, which frees it. */
typedef struct {
    porch_note note;
    porch_identity_kind kind;
    const char *reason;
    char name[65];
} order;

static bool same_principal(const porch_conn *c, const order *o) {
    return c->peer.admitted && c->peer.principal.kind == o->kind &&
           strcmp(c->peer.principal.name, o->name) == 0;
}

static void drop_on_shard(porch_shard *s, porch_note *n) {
    order *o = (order *)(void *)n;
    for (porch_conn *c = s->conns, *next; c != NULL; c = next) {
        next = c->next;
        /* MQTT's own connections are told by the broker, with a reason. */
        if (c->peer.role == PORCH_LISTEN_MQTT || c->ws != NULL || !same_principal(c, o)) continue;
        porch_conn_log_refused(c, "connection.cut", o->reason);
        porch_conn_cut(c);
    }
    free(o);
}

void porch_listener_drop(porch_listener *l, porch_identity_kind kind, const char *name,
                         const char *reason) {
    for (unsigned i = 0; i < l->shard_count; i++) {
        if (!l->shards[i].started) continue;
        order *o = calloc(1, sizeof *o);
        if (o == NULL) return; /* each request is judged anew anyway */
        o->kind = kind;
        o->reason = reason;
        (void)porch_bytes_to_text(porch_bytes_of(name), o->name, sizeof o->name);
        o->note.run = drop_on_shard;
        porch_shard_post(&l->shards[i], (porch_note *)(void *)o); /* which frees it */
    }
}

typedef struct {
    porch_note note;
    uint8_t sign_in[32];
} sign_in_order;

static void drop_sign_in_on_shard(porch_shard *s, porch_note *n) {
    sign_in_order *o = (sign_in_order *)(void *)n;
    for (porch_conn *c = s->conns, *next; c != NULL; c = next) {
        next = c->next;
        const porch_principal *who = &c->peer.principal;
        /* Those with a session are being told by the broker: what is left has not said CONNECT yet. */
        if (c->ws == NULL || porch_conn_closing(c) || who->kind != PORCH_IDENTITY_PERSON ||
            memcmp(who->sign_in, o->sign_in, sizeof o->sign_in) != 0)
            continue;
        porch_conn_log_refused(c, "connection.cut", "the sign-in is over");
        porch_conn_cut(c);
    }
    free(o);
}

void porch_listener_drop_sign_in(porch_listener *l, const uint8_t sign_in[32]) {
    for (unsigned i = 0; i < l->shard_count; i++) {
        if (!l->shards[i].started) continue;
        sign_in_order *o = calloc(1, sizeof *o);
        if (o == NULL) return; /* it is looked after again with the next beat */
        memcpy(o->sign_in, sign_in, sizeof o->sign_in);
        o->note.run = drop_sign_in_on_shard;
        porch_shard_post(&l->shards[i], (porch_note *)(void *)o); /* which frees it */
    }
}

void porch_listener_drain(porch_listener *l, uint32_t timeout_ms) {
    if (!l->started || atomic_exchange(&l->draining, true)) return;
    for (unsigned i = 0; i < l->shard_count; i++)
        if (l->shards[i].started) porch_shard_order_drain(&l->shards[i], &l->shards[i].drain_note);
    struct timespec until = porch_clock_mono_after((uint64_t)timeout_ms * 1000000);
    pthread_mutex_lock(&l->lock);
    int e = 0;
    while (atomic_load(&l->total) > 0 && e != ETIMEDOUT)
        e = pthread_cond_timedwait(&l->moved, &l->lock, &until);
    pthread_mutex_unlock(&l->lock);
}

void porch_listener_stop(porch_listener *l) {
    if (!l->started) return;
    unsigned running = 0;
    for (unsigned i = 0; i < l->shard_count; i++) {
        if (!l->shards[i].started) continue;
        running++;
        porch_shard_order_stop(&l->shards[i], &l->shards[i].stop_note);
    }
    pthread_mutex_lock(&l->lock);
    while (l->ended < running || atomic_load(&l->total) > 0) /* some may be between two shards */
        pthread_cond_wait(&l->moved, &l->lock);
    pthread_mutex_unlock(&l->lock);
    porch_workers_stop(l->workers);
    pthread_mutex_lock(&l->lock);
    l->ended = UINT32_MAX; /* now the shards themselves may go */
    pthread_mutex_unlock(&l->lock);
    for (unsigned i = 0; i < l->shard_count; i++) {
        if (!l->shards[i].started) continue;
        porch_shard_wake(&l->shards[i]);
        pthread_join(l->shards[i].thread, NULL);
        l->shards[i].started = false;
    }
    l->started = false;
}

void porch_listener_replace_tls(porch_listener *l, porch_listen_role role, porch_tls_server *tls) {
    pthread_mutex_lock(&l->lock);
    porch_tls_server *old = l->tls[role];
    l->tls[role] = porch_tls_server_ref(tls);
    pthread_mutex_unlock(&l->lock);
    porch_tls_server_unref(old);
}

bool porch_listener_pulse(porch_listener *l) {
    bool all = l->pulsed;
    l->pulsed = true;
    for (unsigned i = 0; i < l->shard_count; i++)
        all = (!l->shards[i].started || porch_shard_order_pulse(&l->shards[i])) && all;
    return all;
}

unsigned porch_listener_shards(const porch_listener *l) {
    return l->shard_count;
}

static uint64_t read_count(const _Atomic uint64_t *n) {
    return atomic_load_explicit(n, memory_order_relaxed);
}

void porch_listener_read_counts(const porch_listener *l, porch_listener_counts *ret) {
    memset(ret, 0, sizeof *ret);
    ret->requests_open = read_count(&l->open_requests);
    for (unsigned i = 0; i < l->shard_count; i++) {
        const porch_shard_counts *c = &l->shards[i].counts;
        for (int r = 0; r < PORCH_LISTEN_ROLES; r++) {
            ret->accepted[r] += read_count(&c->accepted[r]);
            ret->open[r] += read_count(&c->open[r]);
        }
        ret->handshakes += read_count(&c->handshakes);
        ret->handshakes_resumed += read_count(&c->handshakes_resumed);
        ret->handshakes_failed += read_count(&c->handshakes_failed);
        ret->plaintext_refused += read_count(&c->plaintext_refused);
        ret->over_limit += read_count(&c->over_limit);
        ret->identity_refused += read_count(&c->identity_refused);
        ret->timeouts += read_count(&c->timeouts);
        ret->requests += read_count(&c->requests);
        ret->requests_over_limit += read_count(&c->requests_over_limit);
        ret->requests_refused += read_count(&c->requests_refused);
        ret->streams += read_count(&c->streams);
        ret->streams_too_slow += read_count(&c->streams_too_slow);
        ret->websockets += read_count(&c->websockets);
        ret->websockets_refused += read_count(&c->websockets_refused);
    }
}
