#include "cloud/listener/conn.h"

#include <errno.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "cloud/listener/room.h"
#include "os/clock.h"
#include "os/log.h"
#include "os/socket.h"

/* One turn gives a connection this much: the others on the shard are waiting too. */
enum {
    READ_MOST = 65536,
    TURN_BYTES = 131072,
    WRITES_MOST = 16,
    PEND_LEAST = 1024,
    KEEPALIVE_S = 60,
    UNACKED_MS = 60000
};

static const char *const role_names[PORCH_LISTEN_ROLES] = {"mqtt", "device", "people"};

static void on_ready(void *ctx, uint32_t events);
static void on_timer(void *ctx);

/* ---- small questions ---- */

const porch_peer *porch_conn_peer(const porch_conn *c) {
    return &c->peer;
}
porch_shard *porch_conn_shard(const porch_conn *c) {
    return c->shard;
}
void *porch_conn_user(const porch_conn *c) {
    return c->user;
}
void porch_conn_set_user(porch_conn *c, void *user) {
    c->user = user;
}
size_t porch_conn_pending(const porch_conn *c) {
    return c->pend_len + c->wire_len;
}
bool porch_conn_closing(const porch_conn *c) {
    return c->state > PORCH_CONN_OPEN;
}
uint64_t porch_conn_stuck_ms(const porch_conn *c) {
    return c->blocked ? porch_loop_now(c->shard->loop) - c->blocked_since_ms : 0;
}
void porch_conn_idle(porch_conn *c) {
    if (c->rest == NULL && c->pend == NULL && c->wire == NULL) porch_tls_idle(c->tls);
}

void porch_conn_log_refused(porch_conn *c, const char *event, const char *reason) {
    if (!porch_shard_may_log(c->shard)) return;
    porch_log(PORCH_LOG_WARN, event, "listener", role_names[c->peer.role], "address", c->peer.address,
              "reason", reason, NULL);
}

/* ---- memory ---- */

/* A block goes back to where it is from, whatever the connection has become since. */
static bool is_mqtt(const porch_conn *c) {
    return c->hooks == c->shard->listener->config.mqtt;
}

static porch_pool *pool_of(const porch_conn *c) {
    return is_mqtt(c) ? c->shard->pool : c->shard->http_pool;
}

static void log_spent(porch_conn *c, const char *https, const char *mqtts) {
    porch_conn_log_refused(c, "connection.cut", is_mqtt(c) ? mqtts : https);
}

/* ---- lists and interest ---- */

static void link_conn(porch_shard *s, porch_conn *c) {
    c->shard = s;
    c->prev = NULL;
    c->next = s->conns;
    if (s->conns != NULL) s->conns->prev = c;
    s->conns = c;
    porch_count_add(&s->counts.open[c->peer.role], 1);
}

static void unlink_conn(porch_conn *c) {
    porch_shard *s = c->shard;
    if (c->prev != NULL) {
        c->prev->next = c->next;
    } else {
        s->conns = c->next;
    }
    if (c->next != NULL) c->next->prev = c->prev;
    c->prev = c->next = NULL;
    porch_count_add(&s->counts.open[c->peer.role], -1);
}

static void unlink_from(porch_conn **list, porch_conn *c, size_t next_at) {
    for (porch_conn **at = list; *at != NULL; at = (porch_conn **)(void *)((uint8_t *)*at + next_at)) {
        if (*at != c) continue;
        *at = *(porch_conn **)(void *)((uint8_t *)c + next_at);
        return;
    }
}

static void mark_again(porch_conn *c) {
    if (c->again) return;
    c->again = true;
    c->next_again = c->shard->again;
    c->shard->again = c;
}

void porch_conn_want_write(porch_conn *c) {
    if (c->dirty || c->state == PORCH_CONN_DEAD || c->state == PORCH_CONN_LINGER) return;
    c->dirty = true;
    c->next_dirty = c->shard->dirty;
    c->shard->dirty = c;
}

static void set_interest(porch_conn *c) {
    uint32_t events = 0;
    if (c->state == PORCH_CONN_LINGER || !c->paused) events |= EPOLLIN;
    if (c->state == PORCH_CONN_HANDSHAKE && porch_tls_wants_write(c->tls)) events = EPOLLOUT;
    if (c->blocked) events |= EPOLLOUT;
    porch_loop_mod(c->shard->loop, &c->watch, events);
}

void porch_conn_pause(porch_conn *c) {
    if (c->paused) return;
    c->paused = true;
    if (c->state == PORCH_CONN_OPEN) set_interest(c);
}

void porch_conn_resume(porch_conn *c) {
    if (!c->paused) return;
    c->paused = false;
    if (c->state != PORCH_CONN_OPEN) return;
    set_interest(c);
    mark_again(c);
}

void porch_conn_timer(porch_conn *c, uint64_t after_ms) {
    if (c->state != PORCH_CONN_OPEN) return;
    if (after_ms == 0) {
        porch_loop_timer_clear(c->shard->loop, &c->timer);
    } else {
        porch_loop_timer_set(c->shard->loop, &c->timer, after_ms, on_timer, c);
    }
}

/* ---- the end ---- */

static void die(porch_conn *c) {
    porch_shard *s = c->shard;
    if (c->state == PORCH_CONN_DEAD) return;
    c->state = PORCH_CONN_DEAD;
    porch_loop_del(s->loop, &c->watch);
    porch_loop_timer_clear(s->loop, &c->timer);
    porch_ws_leave(c);
    unlink_conn(c);
    c->next_dead = s->dead;
    s->dead = c;
}

static void tell_closed(porch_conn *c) {
    bool open = c->state == PORCH_CONN_OPEN;
    c->state = PORCH_CONN_CLOSING;
    c->move_to = -1;
    if (open && c->hooks->closed != NULL) c->hooks->closed(c);
    porch_pool_give(c->shard->pool, c->rest);
    c->rest = NULL;
    c->rest_len = 0;
}

/* What was written leaves, then the peer gets a moment to read it: closing over unread input would make
 * TCP reset the connection and throw the reason away. */
static void linger(porch_conn *c) {
    c->state = PORCH_CONN_LINGER;
    c->blocked = false;
    porch_pool_give(c->shard->pool, c->pend);
    c->pend = NULL;
    c->pend_len = c->pend_at = 0;
    shutdown(c->fd, SHUT_WR);
    set_interest(c);
    porch_loop_timer_set(c->shard->loop, &c->timer, c->shard->listener->settings.listener_linger_ms + 1,
                         on_timer, c);
}

void porch_conn_close(porch_conn *c) {
    if (c->state > PORCH_CONN_OPEN) return;
    if (c->state == PORCH_CONN_HANDSHAKE) {
        die(c);
        return;
    }
    porch_conn_flush(c);
    if (c->state != PORCH_CONN_OPEN) return;
    porch_ws_say_goodbye(c);
    tell_closed(c);
    porch_loop_timer_set(c->shard->loop, &c->timer, c->shard->listener->settings.listener_linger_ms + 1,
                         on_timer, c);
    porch_conn_want_write(c);
}

void porch_conn_cut(porch_conn *c) {
    if (c->state == PORCH_CONN_DEAD) return;
    tell_closed(c);
    die(c);
}

void porch_conn_bury(porch_shard *s) {
    while (s->dead != NULL) {
        porch_conn *c = s->dead;
        s->dead = c->next_dead;
        if (c->dirty) unlink_from(&s->dirty, c, offsetof(porch_conn, next_dirty));
        if (c->again) unlink_from(&s->again, c, offsetof(porch_conn, next_again));
        porch_tls_free(c->tls);
        porch_ws_end(c);
        close(c->fd);
        porch_addresses_leave(s->listener->addresses, c->peer.address);
        porch_pool_give(s->pool, c->rest);
        porch_pool_give(s->pool, c->pend);
        porch_pool_give(s->pool, c->wire);
        free(c);
        if (atomic_fetch_sub(&s->listener->total, 1) == 1 && s->draining) {
            pthread_mutex_lock(&s->listener->lock);
            pthread_cond_broadcast(&s->listener->moved);
            pthread_mutex_unlock(&s->listener->lock);
        }
    }
}

/* ---- output ---- */

bool porch_conn_put(porch_conn *c, porch_bytes bytes) {
    if (c->state > PORCH_CONN_OPEN) return false;
    if (c->pend_at > 0 && c->pend_len == 0) c->pend_at = 0;
    size_t end = c->pend_at + c->pend_len;
    if (c->pend == NULL || bytes.len > porch_pool_room(c->pend) - end) {
        size_t want = c->pend_len + bytes.len;
        if (want < PEND_LEAST) want = PEND_LEAST;
        if (c->pend != NULL) want += want / 2;
        uint8_t *wider = porch_pool_take(pool_of(c), want);
        if (wider == NULL) {
            log_spent(c, "no memory for output (http.memory_bytes)",
                      "no memory for output (broker.memory_bytes)");
            porch_conn_cut(c);
            return false;
        }
        if (c->pend != NULL && c->pend_len > 0) memcpy(wider, c->pend + c->pend_at, c->pend_len);
        porch_pool_give(c->shard->pool, c->pend);
        c->pend = wider;
        c->pend_at = 0;
        end = c->pend_len;
    }
    if (bytes.len > 0) memcpy(c->pend + end, bytes.at, bytes.len);
    c->pend_len += bytes.len;
    porch_conn_want_write(c);
    return true;
}

static void drop_pend(porch_conn *c) {
    porch_pool_give(c->shard->pool, c->pend);
    c->pend = NULL;
    c->pend_at = c->pend_len = 0;
}

/* Keeps what the socket did not take: the same bytes must be offered again, first. */
static bool keep(porch_conn *c, porch_bytes left) {
    uint8_t *at = porch_pool_take(pool_of(c), left.len + c->pend_len);
    if (at == NULL) return false;
    memcpy(at, left.at, left.len);
    if (c->pend_len > 0) memcpy(at + left.len, c->pend + c->pend_at, c->pend_len);
    size_t len = left.len + c->pend_len;
    drop_pend(c);
    c->pend = at;
    c->pend_len = len;
    if (c->ws != NULL) c->ws->framed = left.len;
    return true;
}

typedef enum { WROTE_ALL, WROTE_PART, WROTE_FAILED } wrote;

static wrote write_some(porch_conn *c, const uint8_t *at, size_t len, size_t *taken) {
    *taken = 0;
    while (*taken < len) {
        size_t n;
        porch_err e = porch_tls_write(c->tls, at + *taken, len - *taken, &n);
        if (e == PORCH_ERR_AGAIN) {
            if (*taken > 0 || !c->blocked) c->blocked_since_ms = porch_loop_now(c->shard->loop);
            c->blocked = true;
            return WROTE_PART;
        }
        if (e != PORCH_OK) return WROTE_FAILED;
        *taken += n;
    }
    c->blocked = false;
    return WROTE_ALL;
}

/* Writes the first `len` pending bytes, which may leave as they are. */
static bool write_pending(porch_conn *c, size_t len) {
    size_t taken;
    wrote w = write_some(c, c->pend + c->pend_at, len, &taken);
    c->pend_at += taken;
    c->pend_len -= taken;
    if (c->ws != NULL) c->ws->framed -= taken;
    if (c->pend_len == 0) drop_pend(c);
    if (w == WROTE_FAILED) porch_conn_cut(c);
    return w == WROTE_ALL;
}

static void gather(porch_conn *c, porch_buf *out) {
    if (c->pend_len > 0) {
        memcpy(out->at, c->pend + c->pend_at, c->pend_len);
        out->len = c->pend_len;
        drop_pend(c);
    }
    if (c->state == PORCH_CONN_OPEN && c->hooks->fill != NULL && !c->blocked) c->hooks->fill(c, out);
}

/* One record's worth: what is pending, then what the protocol has. False: nothing (more) can leave now. */
static bool write_round(porch_conn *c) {
    size_t ready = c->ws != NULL ? c->ws->framed : c->pend_len >= PORCH_TLS_RECORD_BYTES ? c->pend_len : 0;
    if (ready > 0) return write_pending(c, ready);
    porch_buf out = {c->shard->out, 0, PORCH_TLS_RECORD_BYTES};
    if (c->ws != NULL) {
        porch_ws_gather(c, &out);
    } else {
        gather(c, &out);
    }
    if (c->state == PORCH_CONN_DEAD || out.len == 0) return false;
    size_t taken;
    wrote w = write_some(c, out.at, out.len, &taken);
    if (w == WROTE_FAILED ||
        (w == WROTE_PART && !keep(c, (porch_bytes){out.at + taken, out.len - taken}))) {
        porch_conn_cut(c);
        return false;
    }
    return w == WROTE_ALL;
}

static void drop_wire(porch_conn *c) {
    porch_pool_give(c->shard->pool, c->wire);
    c->wire = NULL;
    c->wire_at = c->wire_len = 0;
}

/* What the socket left of an earlier turn goes first. */
static bool push_wire(porch_conn *c) {
    if (c->wire == NULL) return true;
    porch_bytes left = {c->wire + c->wire_at, c->wire_len};
    porch_err e = porch_tls_push(c->tls, &left);
    if (e != PORCH_OK && e != PORCH_ERR_AGAIN) {
        porch_conn_cut(c);
        return false;
    }
    c->wire_at += c->wire_len - (uint32_t)left.len;
    c->wire_len = (uint32_t)left.len;
    c->blocked = e == PORCH_ERR_AGAIN;
    if (c->blocked) {
        c->blocked_since_ms = porch_loop_now(c->shard->loop);
    } else {
        drop_wire(c);
    }
    return !c->blocked;
}

static bool keep_wire(porch_conn *c, porch_bytes left) {
    c->wire = porch_pool_take(pool_of(c), left.len);
    if (c->wire == NULL) return false;
    memcpy(c->wire, left.at, left.len);
    c->wire_at = 0;
    c->wire_len = (uint32_t)left.len;
    if (!c->blocked) c->blocked_since_ms = porch_loop_now(c->shard->loop);
    c->blocked = true;
    return true;
}

/* Records of one turn leave with few calls: a socket that is not full takes four at a time. */
static bool send_wire(porch_conn *c) {
    porch_bytes left;
    porch_err e = porch_tls_uncork(c->tls, &left);
    if (c->state == PORCH_CONN_DEAD) return false;
    if (e == PORCH_OK || (e == PORCH_ERR_AGAIN && keep_wire(c, left))) return !c->blocked;
    porch_conn_cut(c);
    return false;
}

/* Gathers and writes; true when more could leave right away. A hook that closes comes here again from
 * within, and its bytes leave with the others. */
static bool pump_out(porch_conn *c) {
    bool was_blocked = c->blocked, outer = !c->corked;
    porch_buf wire = {c->shard->wire, 0, PORCH_TLS_WIRE_BYTES};
    if (outer && push_wire(c)) {
        porch_tls_cork(c->tls, &wire);
        c->corked = true;
    }
    bool more = c->corked;
    for (int i = 0; more && i < WRITES_MOST; i++)
        more = write_round(c);
    if (outer && c->corked) {
        c->corked = false;
        more = send_wire(c) && more;
    }
    if (c->state != PORCH_CONN_DEAD && c->blocked != was_blocked) set_interest(c);
    return more;
}

void porch_conn_flush(porch_conn *c) {
    if (c->state != PORCH_CONN_OPEN || c->blocked) return;
    if (pump_out(c)) porch_conn_want_write(c);
}

void porch_conn_finish(porch_conn *c) {
    c->finish = true;
    porch_conn_want_write(c);
}

static void after_output(porch_conn *c) {
    if (c->blocked || c->pend_len > 0) return;
    if (c->state == PORCH_CONN_OPEN && c->finish) {
        if (c->ws != NULL) { /* its close frame is still to leave */
            porch_conn_close(c);
            c->shard->busy = true;
            return;
        }
        tell_closed(c);
    }
    if (c->state != PORCH_CONN_CLOSING) return;
    porch_tls_shutdown(c->tls);
    linger(c);
}

static void flush_dirty(porch_shard *s) {
    porch_conn *c = s->dirty;
    s->dirty = NULL;
    while (c != NULL) {
        porch_conn *next = c->next_dirty;
        c->dirty = false;
        if (c->state == PORCH_CONN_OPEN || c->state == PORCH_CONN_CLOSING) {
            bool more = !c->blocked && pump_out(c);
            if (more) {
                porch_conn_want_write(c);
                s->busy = true;
            } else {
                after_output(c);
            }
        }
        c = next;
    }
}

/* A turn may bring megabytes, and what they became lies in memory until it is written. Sent while the
 * core's cache still holds it, it costs less, and the memory is taken again while it is warm; a batch of
 * this size still fills whole records. Other shards get their share then, too. */
void porch_conn_took(porch_shard *s, size_t bytes) {
    s->unsent += bytes;
    if (s->unsent < TURN_BYTES) return;
    s->unsent = 0;
    porch_shard_send_out(s);
    flush_dirty(s);
}

/* ---- input ---- */

static void keep_rest(porch_conn *c, porch_bytes rest) {
    if (rest.len == 0) return;
    c->rest = porch_pool_take(pool_of(c), rest.len);
    if (c->rest == NULL) {
        log_spent(c, "no memory for input (http.memory_bytes)",
                  "no memory for input (broker.memory_bytes)");
        porch_conn_cut(c);
        return;
    }
    memcpy(c->rest, rest.at, rest.len);
    c->rest_len = rest.len;
}

static void leave_shard(porch_conn *c) {
    porch_shard *s = c->shard;
    porch_loop_del(s->loop, &c->watch);
    porch_loop_timer_clear(s->loop, &c->timer);
    porch_ws_leave(c);
    if (c->dirty) unlink_from(&s->dirty, c, offsetof(porch_conn, next_dirty));
    if (c->again) unlink_from(&s->again, c, offsetof(porch_conn, next_again));
    c->dirty = c->again = false;
    unlink_conn(c);
    porch_conn_send_away(c);
}

/* Hands `have` bytes of the shard's scratch to the protocol and keeps what it leaves. */
static void deliver(porch_conn *c, size_t have) {
    porch_shard *s = c->shard;
    size_t used = 0;
    bool framed = c->ws != NULL;
    if (have > 0 && !c->paused) used = c->hooks->take(c, (porch_bytes){s->in, have});
    if (c->state != PORCH_CONN_OPEN) return;
    if (!framed && c->ws != NULL) have = used + porch_ws_input(c, s->in + used, have - used);
    keep_rest(c, (porch_bytes){s->in + used, have - used});
    if (c->state == PORCH_CONN_OPEN && c->move_to >= 0) leave_shard(c);
}

static void pump_in(porch_conn *c) {
    porch_shard *s = c->shard;
    size_t have = c->rest_len;
    if (have > 0) memcpy(s->in, c->rest, have);
    porch_pool_give(s->pool, c->rest);
    c->rest = NULL;
    c->rest_len = 0;
    size_t begin = have;
    bool eof = false;
    while (have < s->in_cap && have - begin < READ_MOST) {
        size_t got;
        porch_err e = porch_tls_read(c->tls, s->in + have, s->in_cap - have, &got);
        if (e == PORCH_ERR_AGAIN) break;
        if (e != PORCH_OK) {
            eof = true;
            break;
        }
        have += got;
        /* Another read would ask the kernel only to hear "nothing"; what comes from now on, epoll tells. */
        if (porch_tls_dry(c->tls)) break;
    }
    /* Bytes that TLS holds already do not make the socket readable. */
    bool more = !eof && (have - begin >= READ_MOST || have == s->in_cap);
    if (c->ws != NULL) have = begin + porch_ws_input(c, s->in + begin, have - begin);
    size_t took = have - begin;
    deliver(c, have);
    porch_conn_took(s, took);
    if (c->state != PORCH_CONN_OPEN || c->move_to >= 0) return;
    if (c->ws != NULL && porch_ws_over(c->ws->engine) && !c->paused) {
        porch_conn_close(c);
        return;
    }
    if (c->paused) return; /* what came is still being worked on; an end is read again after it */
    if (eof && c->hooks->ended != NULL) {
        c->hooks->ended(c);
    } else if (eof) {
        porch_conn_cut(c);
    } else if (more) {
        mark_again(c);
    }
}

static void take_again(porch_shard *s) {
    porch_conn *c = s->again;
    s->again = NULL;
    while (c != NULL) {
        porch_conn *next = c->next_again;
        c->again = false;
        if (c->state == PORCH_CONN_OPEN && !c->paused && c->move_to < 0) pump_in(c);
        c = next;
    }
}

void porch_conn_turn(porch_shard *s) {
    take_again(s);
    s->unsent = 0;
    flush_dirty(s);
}

/* ---- opening ---- */

void porch_conn_judge(porch_conn *c) {
    porch_listener *l = c->shard->listener;
    porch_peer *p = &c->peer;
    porch_tls_peer_info now;
    if (porch_tls_peer(c->tls, &now) == PORCH_OK) p->tls = now;
    p->admitted = false;
    if (!p->tls.has_certificate) {
        p->verdict = porch_fail(&p->verdict_why, PORCH_ERR_NOT_FOUND, "no client certificate was shown");
        return;
    }
    if (p->tls.expired) {
        p->verdict =
            porch_fail(&p->verdict_why, PORCH_ERR_EXPIRED, "the certificate has expired; enrol again");
    } else if (p->tls.not_yet_valid) {
        p->verdict = porch_fail(&p->verdict_why, PORCH_ERR_STATE,
                                "the certificate is not yet valid; check the clocks");
    } else if (l->config.admit == NULL) {
        p->verdict = porch_fail(&p->verdict_why, PORCH_ERR_AUTH, "nobody judges certificates on this port");
    } else {
        p->verdict =
            l->config.admit(l->config.admit_ctx, &p->tls, porch_clock_ms(), &p->principal, &p->verdict_why);
    }
    p->admitted = p->verdict == PORCH_OK;
    if (!p->admitted) porch_count_add(&c->shard->counts.identity_refused, 1);
}

static void established(porch_conn *c) {
    porch_shard *s = c->shard;
    porch_loop_timer_clear(s->loop, &c->timer);
    if (porch_tls_peer(c->tls, &c->peer.tls) != PORCH_OK) {
        porch_conn_log_refused(c, "tls.refused", "the certificate cannot be read");
        die(c);
        return;
    }
    porch_count_add(&s->counts.handshakes, 1);
    if (c->peer.tls.resumed) porch_count_add(&s->counts.handshakes_resumed, 1);
    porch_conn_judge(c);
    c->state = PORCH_CONN_OPEN;
    set_interest(c);
    c->hooks->open(c);
    if (c->state == PORCH_CONN_OPEN) mark_again(c); /* the first bytes may have come with the handshake */
}

static void handshake(porch_conn *c) {
    porch_why why = {""};
    porch_err e = porch_tls_handshake(c->tls, &why);
    if (e == PORCH_OK) {
        established(c);
        return;
    }
    if (e == PORCH_ERR_AGAIN) {
        set_interest(c);
        return;
    }
    porch_count_add(&c->shard->counts.handshakes_failed, 1);
    if (e == PORCH_ERR_MALFORMED) porch_count_add(&c->shard->counts.plaintext_refused, 1);
    porch_conn_log_refused(c, "tls.refused", porch_why_text(&why, e));
    linger(c);
}

/* Reads and drops; the end of input or the timer ends it. */
static void drop_input(porch_conn *c) {
    for (int i = 0; i < 16; i++) {
        ssize_t n = recv(c->fd, c->shard->in, c->shard->in_cap, MSG_DONTWAIT);
        if (n > 0) continue;
        if (n == 0 || (errno != EAGAIN && errno != EINTR)) die(c);
        return;
    }
}

static void on_ready(void *ctx, uint32_t events) {
    porch_conn *c = ctx;
    if (c->state == PORCH_CONN_OPEN && (events & (EPOLLHUP | EPOLLERR)) != 0 && (c->paused || c->blocked)) {
        porch_conn_cut(c);
        return;
    }
    switch (c->state) {
    case PORCH_CONN_HANDSHAKE:
        handshake(c);
        return;
    case PORCH_CONN_OPEN:
        if ((events & EPOLLOUT) != 0 && c->blocked) {
            c->blocked = false;
            porch_conn_want_write(c);
            set_interest(c);
        }
        if ((events & (EPOLLIN | EPOLLHUP | EPOLLERR)) != 0 && !c->paused) pump_in(c);
        return;
    case PORCH_CONN_CLOSING:
        if ((events & (EPOLLHUP | EPOLLERR)) != 0) {
            die(c);
        } else if ((events & EPOLLOUT) != 0) {
            c->blocked = false;
            porch_conn_want_write(c);
            porch_loop_mod(c->shard->loop, &c->watch, 0);
        }
        if (c->state == PORCH_CONN_CLOSING && (events & EPOLLIN) != 0)
            porch_loop_mod(c->shard->loop, &c->watch, c->blocked ? EPOLLOUT : 0);
        return;
    case PORCH_CONN_LINGER:
        drop_input(c);
        return;
    case PORCH_CONN_DEAD:
        return;
    }
}

static void on_timer(void *ctx) {
    porch_conn *c = ctx;
    switch (c->state) {
    case PORCH_CONN_HANDSHAKE:
        porch_count_add(&c->shard->counts.timeouts, 1);
        porch_count_add(&c->shard->counts.handshakes_failed, 1);
        porch_conn_log_refused(c, "tls.refused", "the handshake took too long (listener.handshake_ms)");
        die(c);
        return;
    case PORCH_CONN_OPEN:
        if (c->hooks->timer != NULL) c->hooks->timer(c);
        return;
    default:
        die(c);
        return;
    }
}

static void set_keepalive(int fd) {
    int on = 1, idle = KEEPALIVE_S, gap = 15, probes = 4;
    unsigned unacked = UNACKED_MS;
    setsockopt(fd, SOL_SOCKET, SO_KEEPALIVE, &on, sizeof on);
    setsockopt(fd, IPPROTO_TCP, TCP_KEEPIDLE, &idle, sizeof idle);
    setsockopt(fd, IPPROTO_TCP, TCP_KEEPINTVL, &gap, sizeof gap);
    setsockopt(fd, IPPROTO_TCP, TCP_KEEPCNT, &probes, sizeof probes);
    setsockopt(fd, IPPROTO_TCP, TCP_USER_TIMEOUT, &unacked, sizeof unacked);
}

static porch_err start_tls(porch_conn *c) {
    porch_listener *l = c->shard->listener;
    pthread_mutex_lock(&l->lock);
    porch_tls_server *server = porch_tls_server_ref(l->tls[c->peer.role]);
    pthread_mutex_unlock(&l->lock);
    porch_err e = porch_tls_accept(server, c->fd, &c->tls);
    porch_tls_server_unref(server);
    return e;
}

void porch_conn_accept(porch_shard *s, porch_listen_role role, int fd) {
    porch_listener *l = s->listener;
    const char *limit = NULL;
    bool entered = false;
    porch_count_add(&s->counts.accepted[role], 1);
    porch_conn *c = calloc(1, sizeof *c);
    if (c == NULL) {
        porch_log(PORCH_LOG_ERROR, "connection.refused", "reason", "no memory", NULL);
        close(fd);
        return;
    }
    c->fd = fd;
    c->shard = s;
    c->move_to = -1;
    c->watch.fd = -1;
    c->peer.role = role;
    c->hooks = role == PORCH_LISTEN_MQTT ? l->config.mqtt : &porch_http_hooks;
    porch_socket_address_text(fd, c->peer.address);
    if (atomic_fetch_add(&l->total, 1) >= l->settings.listener_connections) {
        limit = "too many connections (listener.connections)";
        goto refuse;
    }
    entered = porch_addresses_enter(l->addresses, c->peer.address);
    if (!entered) {
        limit = "too many connections from this address (listener.per_address)";
        goto refuse;
    }
    set_keepalive(fd);
    if (start_tls(c) != PORCH_OK) goto refuse;
    if (porch_loop_add(s->loop, &c->watch, fd, EPOLLIN, on_ready, c) != PORCH_OK) goto refuse;
    link_conn(s, c);
    porch_loop_timer_set(s->loop, &c->timer, l->settings.listener_handshake_ms, on_timer, c);
    handshake(c); /* the first flight is often there already */
    return;

refuse:
    if (limit != NULL) {
        porch_count_add(&s->counts.over_limit, 1);
        porch_conn_log_refused(c, "connection.refused", limit);
    }
    if (entered) porch_addresses_leave(l->addresses, c->peer.address);
    atomic_fetch_sub(&l->total, 1);
    porch_tls_free(c->tls);
    free(c);
    close(fd);
}

/* ---- moving ---- */

void porch_conn_move(porch_conn *c, unsigned shard) {
    c->move_to = (int)shard;
}

void porch_conn_arrive(porch_shard *s, porch_conn *c) {
    c->move_to = -1;
    c->paused = false;
    link_conn(s, c);
    if (porch_loop_add(s->loop, &c->watch, c->fd, c->blocked ? EPOLLIN | EPOLLOUT : EPOLLIN, on_ready, c) !=
        PORCH_OK) {
        porch_conn_cut(c);
        return;
    }
    if (s->stopping) {
        porch_conn_cut(c);
        return;
    }
    porch_ws_arrive(c);
    c->hooks->open(c);
    if (s->draining && c->state == PORCH_CONN_OPEN) c->hooks->drain(c);
    if (c->state != PORCH_CONN_OPEN) return;
    if (c->pend_len > 0) porch_conn_want_write(c);
    mark_again(c);
}
