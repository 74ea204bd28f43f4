#include "cloud/listener/shard.h"

#include <stdlib.h>
#include <string.h>

#include "base/cursor.h"
#include "os/clock.h"
#include "os/log.h"
#include "os/socket.h"

/* A parcel that carries a connection; the protocol's kinds are above 0. */
enum {
    PARCEL_CONN = 0,
    ACCEPT_BATCH = 32,
    PARCEL_BATCH = 4096,
    STAGED_MOST = 1024,
    AHEAD = 4, /* parcels, and lines of each */
    AHEAD_LINES = 4,
    PARCEL_BYTES = 256, /* of what a parcel points to, as a rule */
    DOOR_PAUSE_MS = 200
};

_Static_assert(sizeof(porch_parcel) == 16, "a ring slot is a quarter of a cache line");

unsigned porch_shard_index(const porch_shard *s) {
    return s->index;
}
unsigned porch_shard_count(const porch_shard *s) {
    return s->listener->shard_count;
}
porch_pool *porch_shard_pool(porch_shard *s) {
    return s->pool;
}
uint64_t porch_shard_now(const porch_shard *s) {
    return porch_loop_now(s->loop);
}
void *porch_shard_user(const porch_shard *s) {
    return s->user;
}
void porch_shard_set_user(porch_shard *s, void *user) {
    s->user = user;
}

static void on_soon(void *ctx) {
    porch_shard *s = ctx;
    s->busy = true;
}

bool porch_shard_draining(const porch_shard *s) {
    return s->draining;
}

void porch_shard_again(porch_shard *s, uint32_t after_ms) {
    uint64_t due = porch_loop_now(s->loop) + after_ms;
    if (after_ms == 0) {
        s->busy = true;
    } else if (s->soon.link == NULL || due < s->soon_due_ms) {
        s->soon_due_ms = due;
        porch_loop_timer_set(s->loop, &s->soon, after_ms, on_soon, s);
    }
}

static porch_ring *ring_to(const porch_shard *from, unsigned to) {
    return &from->listener->shards[to].rings[from->index];
}

bool porch_shard_room(const porch_shard *from, unsigned to, size_t slots) {
    return porch_ring_room(ring_to(from, to), slots);
}

/* A turn's parcels become visible together: a receiver that is awake would otherwise take them one by one
 * while they are made, and write small records. A long turn does not keep them for ever. */
bool porch_shard_send(porch_shard *from, unsigned to, const porch_parcel *parcel) {
    if (!porch_ring_stage(ring_to(from, to), parcel)) return false;
    if (++from->staged[to] >= STAGED_MOST) {
        from->staged[to] = 0;
        porch_ring_publish(ring_to(from, to));
        porch_loop_wake(from->listener->shards[to].loop);
    }
    return true;
}

void porch_shard_send_out(porch_shard *s) {
    for (unsigned to = 0; to < s->listener->shard_count; to++) {
        if (s->staged[to] == 0) continue;
        s->staged[to] = 0;
        porch_ring_publish(ring_to(s, to));
        porch_loop_wake(s->listener->shards[to].loop);
    }
}

void porch_shard_wake(porch_shard *s) {
    porch_loop_wake(s->loop);
}

void porch_shard_post(porch_shard *s, porch_note *note) {
    porch_note *head = atomic_load_explicit(&s->inbox, memory_order_relaxed);
    do {
        note->next = head;
    } while (!atomic_compare_exchange_weak_explicit(&s->inbox, &head, note, memory_order_release,
                                                    memory_order_relaxed));
    /* Whoever finds it non-empty comes after somebody that has woken the shard already. */
    if (head == NULL) porch_loop_wake(s->loop);
}

bool porch_shard_may_log(porch_shard *s) {
    uint64_t second = porch_loop_now(s->loop) / 1000;
    if (second != s->log_second) {
        if (s->log_left_out > 0)
            porch_log(PORCH_LOG_WARN, "refusals.left_out", "lines", porch_log_number(s->log_left_out).text,
                      "setting", "listener.log_lines_s", NULL);
        s->log_second = second;
        s->log_lines = s->log_left_out = 0;
    }
    if (s->log_lines < s->listener->settings.listener_log_lines_s) {
        s->log_lines++;
        return true;
    }
    s->log_left_out++;
    return false;
}

/* ---- accepting ---- */

static void open_door(porch_shard *s, porch_listen_role role);

static void on_door_timer(void *ctx) {
    porch_shard *s = ctx;
    for (int r = 0; r < PORCH_LISTEN_ROLES; r++) {
        if (!s->draining && s->doors[r].watch.fd < 0) open_door(s, (porch_listen_role)r);
    }
}

static void on_door(void *ctx, uint32_t events) {
    porch_shard_door *d = ctx;
    porch_shard *s = d->shard;
    (void)events;
    for (int i = 0; i < ACCEPT_BATCH; i++) {
        int fd;
        porch_err e = porch_socket_accept(d->watch.fd, &fd);
        if (e == PORCH_ERR_AGAIN) return;
        if (e != PORCH_OK) {
            /* Out of descriptors: waiting connections stay in the kernel's queue until some are free. */
            porch_log(PORCH_LOG_ERROR, "listener.accept_paused", "reason", porch_err_text(e), "retry_ms",
                      porch_log_number(DOOR_PAUSE_MS).text, NULL);
            porch_loop_del(s->loop, &d->watch);
            porch_loop_timer_set(s->loop, &s->door_timer, DOOR_PAUSE_MS, on_door_timer, s);
            return;
        }
        porch_conn_accept(s, d->role, fd);
    }
}

static void open_door(porch_shard *s, porch_listen_role role) {
    int fd = s->listener->config.listen_fd[role];
    if (fd < 0) return;
    porch_shard_door *d = &s->doors[role];
    d->shard = s;
    d->role = role;
    porch_err e = porch_loop_add(s->loop, &d->watch, fd, EPOLLIN | EPOLLEXCLUSIVE, on_door, d);
    if (e != PORCH_OK) porch_log(PORCH_LOG_ERROR, "listener.door", "reason", porch_err_text(e), NULL);
}

static void close_doors(porch_shard *s) {
    for (int r = 0; r < PORCH_LISTEN_ROLES; r++)
        porch_loop_del(s->loop, &s->doors[r].watch);
    porch_loop_timer_clear(s->loop, &s->door_timer);
}

/* ---- the turn ---- */

/* What a parcel points to was written by another core: asked for a few parcels ahead, it is here when its
 * turn comes. */
static void fetch_ahead(const porch_parcel *p) {
    for (size_t line = 0; line < AHEAD_LINES; line++)
        __builtin_prefetch((const void *)((uintptr_t)p->at + line * 64), 1); /* any address will do */
}

static void take_parcel(porch_shard *s, const porch_parcel *p) {
    if (p->kind == PARCEL_CONN)
        porch_conn_arrive(s, p->at);
    else
        s->listener->config.mqtt->parcel(s->listener->config.mqtt_ctx, s, p);
}

static bool take_parcels(porch_shard *s) {
    bool more = false;
    for (unsigned from = 0; from < s->listener->shard_count; from++) {
        porch_parcel some[64];
        size_t taken = 0, n;
        while (taken < PARCEL_BATCH && (n = porch_ring_pop_many(&s->rings[from], some, 64)) > 0) {
            for (size_t i = 0; i < n && i < AHEAD; i++)
                fetch_ahead(&some[i]);
            for (size_t i = 0; i < n; i++) {
                if (i + AHEAD < n) fetch_ahead(&some[i + AHEAD]);
                take_parcel(s, &some[i]);
            }
            taken += n;
            porch_conn_took(s, n * PARCEL_BYTES);
        }
        more = more || taken >= PARCEL_BATCH;
    }
    return more;
}

static void take_notes(porch_shard *s) {
    porch_note *n = atomic_exchange_explicit(&s->inbox, NULL, memory_order_acquire);
    porch_note *in_order = NULL;
    while (n != NULL) {
        porch_note *next = n->next;
        n->next = in_order;
        in_order = n;
        n = next;
    }
    while (in_order != NULL) {
        porch_note *next = in_order->next;
        in_order->run(s, in_order);
        in_order = next;
    }
}

static void send_parked(porch_shard *s) {
    while (s->parked != NULL) {
        porch_conn *c = s->parked, *next = c->next;
        porch_parcel p = {PARCEL_CONN, 0, {.at = c}}; /* once it is sent it is not ours to look at */
        if (!porch_shard_send(s, (unsigned)c->move_to, &p)) {
            porch_shard_again(s, 1);
            return;
        }
        s->parked = next;
    }
}

void porch_conn_send_away(porch_conn *c) {
    porch_shard *s = c->shard;
    c->next = s->parked; /* it leaves at the end of the turn, when nobody here holds it any more */
    s->parked = c;
}

void porch_shard_end_turn(porch_shard *s) {
    porch_listener *l = s->listener;
    s->busy = take_parcels(s); /* may be made busy by what follows, too */
    take_notes(s);
    if (l->config.mqtt != NULL && l->config.mqtt->turn != NULL) l->config.mqtt->turn(l->config.mqtt_ctx, s);
    porch_conn_turn(s);
    /* Only what came up during the turn: what was there before it has had its turn, and may wait for
     * others. */
    if (s->again != NULL) s->busy = true;
    send_parked(s);
    porch_conn_bury(s);
    porch_shard_send_out(s);
}

static void tell_ended(porch_shard *s) {
    porch_listener *l = s->listener;
    pthread_mutex_lock(&l->lock);
    l->ended++;
    pthread_cond_broadcast(&l->moved);
    pthread_mutex_unlock(&l->lock);
}

/* By the thread itself: another's name is a file in /proc, which the sandbox keeps shut. */
static void take_name(const porch_shard *s) {
    char name[16] = "shard-";
    porch_buf b = {(uint8_t *)name, 6, sizeof name - 1};
    if (porch_write_decimal(&b, s->index) == PORCH_OK) (void)pthread_setname_np(pthread_self(), name);
}

static void *shard_main(void *arg) {
    porch_shard *s = arg;
    porch_listener *l = s->listener;
    take_name(s);
    for (int r = 0; r < PORCH_LISTEN_ROLES; r++)
        open_door(s, (porch_listen_role)r);
    bool told = false;
    for (;;) {
        porch_err e = porch_loop_turn(s->loop, s->busy ? 0 : -1);
        if (e != PORCH_OK) {
            porch_log(PORCH_LOG_ERROR, "shard.loop", "reason", porch_err_text(e), NULL);
            break;
        }
        porch_shard_end_turn(s);
        if (!s->stopping) continue;
        if (!told && s->conns == NULL && s->parked == NULL && s->exchanges == 0) {
            told = true;
            tell_ended(s);
        }
        pthread_mutex_lock(&l->lock);
        bool over = l->ended == UINT32_MAX; /* all shards are done, and so are the workers */
        pthread_mutex_unlock(&l->lock);
        if (told && over) break;
    }
    if (l->config.mqtt != NULL && l->config.mqtt->shard_stop != NULL)
        l->config.mqtt->shard_stop(l->config.mqtt_ctx, s); /* after it nobody posts any more */
    take_notes(s);
    porch_conn_bury(s);
    return NULL;
}

/* ---- orders from the listener ---- */

static void on_loop_wake(void *ctx) {
    (void)ctx; /* waking is all: the turn's end looks into rings and inbox */
}

static void drain_shard(porch_shard *s, porch_note *n) {
    (void)n;
    s->draining = true;
    close_doors(s);
    for (porch_conn *c = s->conns, *next; c != NULL; c = next) {
        next = c->next;
        if (c->state == PORCH_CONN_HANDSHAKE) {
            porch_conn_cut(c);
        } else if (c->state == PORCH_CONN_OPEN) {
            c->hooks->drain(c);
        }
    }
}

static void stop_shard(porch_shard *s, porch_note *n) {
    (void)n;
    s->draining = s->stopping = true;
    close_doors(s);
    for (porch_conn *c = s->conns, *next; c != NULL; c = next) {
        next = c->next;
        porch_conn_cut(c);
    }
}

void porch_shard_order_drain(porch_shard *s, porch_note *note) {
    note->run = drain_shard;
    porch_shard_post(s, note);
}
void porch_shard_order_stop(porch_shard *s, porch_note *note) {
    note->run = stop_shard;
    porch_shard_post(s, note);
}

static void feel_pulse(porch_shard *s, porch_note *n) {
    (void)n;
    atomic_store(&s->pulse_waits, false);
}

bool porch_shard_order_pulse(porch_shard *s) {
    if (atomic_exchange(&s->pulse_waits, true)) return false; /* the note is still in the inbox */
    s->pulse_note.run = feel_pulse;
    porch_shard_post(s, &s->pulse_note);
    return true;
}

/* ---- life ---- */

porch_err porch_shard_init(porch_shard *s, porch_listener *l, unsigned index, porch_why *why) {
    const porch_settings *set = &l->settings;
    s->listener = l;
    s->index = index;
    for (int r = 0; r < PORCH_LISTEN_ROLES; r++)
        s->doors[r].watch.fd = -1;
    porch_err e = porch_loop_new(&s->loop, why);
    if (e != PORCH_OK) return e;
    porch_loop_on_wake(s->loop, on_loop_wake, s);
    s->pool = porch_pool_new(set->broker_memory_bytes);
    s->http_pool = porch_pool_new_returning(set->http_memory_bytes);
    /* One packet or request head may be waiting when a full read comes on top. */
    size_t longest =
        set->broker_packet_bytes > set->http_head_bytes ? set->broker_packet_bytes : set->http_head_bytes;
    s->in_cap = longest + 65536;
    s->in = malloc(s->in_cap);
    s->out = malloc(PORCH_TLS_RECORD_BYTES);
    s->wire = malloc(PORCH_TLS_WIRE_BYTES);
    s->rings = aligned_alloc(64, l->shard_count * sizeof *s->rings);
    s->staged = calloc(l->shard_count, sizeof *s->staged);
    bool ok = s->pool != NULL && s->http_pool != NULL && s->in != NULL && s->out != NULL &&
              s->wire != NULL && s->rings != NULL && s->staged != NULL;
    size_t slots = 64;
    while (slots < set->broker_ring_slots)
        slots *= 2;
    if (ok) s->ring_slots = calloc(l->shard_count * slots, sizeof *s->ring_slots);
    ok = ok && s->ring_slots != NULL;
    for (unsigned i = 0; ok && i < l->shard_count; i++)
        ok = porch_ring_init(&s->rings[i], s->ring_slots + i * slots, sizeof *s->ring_slots, slots);
    if (!ok) return porch_fail(why, PORCH_ERR_IO, "no memory for shard %u", index);
    return PORCH_OK;
}

porch_err porch_shard_prepare(porch_shard *s, porch_why *why) {
    porch_listener *l = s->listener;
    if (l->config.mqtt == NULL || l->config.mqtt->shard_start == NULL) return PORCH_OK;
    return l->config.mqtt->shard_start(l->config.mqtt_ctx, s, why);
}

porch_err porch_shard_start(porch_shard *s, porch_why *why) {
    int e = pthread_create(&s->thread, NULL, shard_main, s);
    if (e != 0) return porch_fail(why, PORCH_ERR_IO, "a shard's thread cannot start: %s", strerror(e));
    s->started = true;
    return PORCH_OK;
}

void porch_shard_free(porch_shard *s) {
    if (s->listener == NULL) return;
    if (s->loop != NULL) porch_loop_free(s->loop);
    free(s->ring_slots);
    free(s->rings);
    free(s->staged);
    free(s->in);
    free(s->out);
    free(s->wire);
    porch_pool_free(s->pool);
    porch_pool_free(s->http_pool);
}
