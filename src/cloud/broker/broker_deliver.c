/* From a message to the sockets of those who may hear it.
 *
 *   trie ─► targets, each session once at its highest QoS ─► deny judged ─► session's queue ─► fill
 *
 * A queue holds references; packets are written in fill, right into the TLS record that leaves. */
#include <stdlib.h>
#include <string.h>

#include "cloud/broker/room.h"
#include "os/log.h"

enum {
    QUEUE_LEAST = 16,
    SLOW_LOG_MS = 10000,
    /* A subscriber that takes this much in PACE_MS keeps pace: its publishers are slowed down to it. One
     * that takes less is slow and pays with its own quota. */
    PACE_MS = 100,
    PACE_MESSAGES = 500,
    PACE_BYTES = 1 << 19
};

/* ---- the queue ---- */

static porch_queued *queue_at(porch_session *s, uint32_t i) {
    return &s->queue[(s->queue_first + i) & (s->queue_cap - 1)];
}

static bool widen_queue(porch_session *s) {
    uint32_t cap = s->queue_cap == 0 ? QUEUE_LEAST : s->queue_cap * 2;
    porch_queued *wider = porch_pool_take(s->home->pool, cap * sizeof *wider);
    if (wider == NULL) return false;
    for (uint32_t i = 0; i < s->queue_count; i++)
        wider[i] = *queue_at(s, i);
    porch_pool_give(s->home->pool, s->queue);
    s->queue = wider;
    s->queue_first = 0;
    s->queue_cap = cap;
    return true;
}

static void pop_queue(porch_session *s) {
    porch_queued *q = queue_at(s, 0);
    size_t bytes = porch_message_bytes(q->message, s->version, q->qos);
    s->queue_bytes -= bytes;
    s->sent_bytes += bytes;
    s->sent_messages++;
    porch_message_release(s->home->pool, q->message);
    s->queue_first = (s->queue_first + 1) & (s->queue_cap - 1);
    s->queue_count--;
}

void porch_session_drop_queue(porch_session *s) {
    while (s->queue_count > 0)
        pop_queue(s);
    porch_pool_give(s->home->pool, s->queue);
    porch_pool_give(s->home->pool, s->big);
    s->queue = NULL;
    s->big = NULL;
    s->queue_cap = 0;
}

/* A client that was idle does not keep the queue of its busiest moment. */
static void rest_queue(porch_session *s) {
    if (s->queue_count > 0 || s->queue_cap <= QUEUE_LEAST) return;
    porch_pool_give(s->home->pool, s->queue);
    s->queue = NULL;
    s->queue_cap = s->queue_first = 0;
}

static bool over_quota(const porch_session *s, size_t bytes) {
    const porch_settings *set = &s->home->broker->settings;
    return s->queue_count >= set->broker_queue_messages || s->queue_bytes > set->broker_queue_bytes ||
           bytes > set->broker_queue_bytes - s->queue_bytes;
}

static void log_slow(porch_session *s, const porch_message *m, const char *reason) {
    uint64_t now = porch_shard_now(s->home->shard);
    if (s->slow_logged_ms != 0 && now - s->slow_logged_ms < SLOW_LOG_MS) return;
    s->slow_logged_ms = now;
    porch_session_log(s, "mqtt.slow", "PUBLISH", "topic", porch_message_topic(m), reason);
}

/* The subscriber's quota is used up: QoS 0 is dropped; QoS 1 was promised, so the client is told by the end
 * of its session. */
static void too_slow(porch_session *s, const porch_message *m, uint8_t qos) {
    if (qos == 0) {
        porch_broker_count(&s->home->counts.dropped_slow, 1);
        log_slow(s, m,
                 "the subscriber reads too slowly; QoS 0 is dropped (broker.queue_messages, queue_bytes)");
        return;
    }
    porch_broker_count(&s->home->counts.disconnected_slow, 1);
    porch_session_disconnect(s, PORCH_MQTT_RC_QUOTA_EXCEEDED,
                             "the subscriber reads too slowly (broker.queue_messages, broker.queue_bytes)");
}

/* ---- the pace of publishers ---- */

static bool keeps_pace(porch_session *s) {
    uint64_t now = porch_shard_now(s->home->shard);
    if (now - s->mark_ms < PACE_MS) return s->keeps_pace;
    /* Long after the last look it is given the benefit of the doubt, once. */
    s->keeps_pace = now - s->mark_ms > 10ull * PACE_MS ||
                    s->sent_messages - s->mark_messages >= PACE_MESSAGES ||
                    s->sent_bytes - s->mark_bytes >= PACE_BYTES;
    s->mark_ms = now;
    s->mark_messages = s->sent_messages;
    s->mark_bytes = s->sent_bytes;
    return s->keeps_pace;
}

/* How long publishers should pause for this subscriber: the fuller its queue, the longer. */
static uint32_t presses(porch_session *s) {
    const porch_settings *set = &s->home->broker->settings;
    uint64_t a = (uint64_t)s->queue_count * 8 / set->broker_queue_messages;
    uint64_t b = (uint64_t)s->queue_bytes * 8 / set->broker_queue_bytes;
    static const uint8_t hold_ms[] = {0, 0, 2, 10, 50, 50, 200, 200, 200};
    uint32_t hold = hold_ms[a > b ? (a > 8 ? 8 : a) : (b > 8 ? 8 : b)];
    return hold > 0 && keeps_pace(s) ? hold : 0;
}

void porch_session_hold(porch_session *s, uint32_t hold_ms) {
    uint64_t until = porch_shard_now(s->home->shard) + hold_ms;
    if (s->conn == NULL || s->ending || s->paused_until_ms >= until) return;
    s->paused_until_ms = until;
    porch_conn_pause(s->conn);
    porch_session_arm(s);
}

void porch_broker_hold(porch_broker_shard *b, uint64_t publisher, uint32_t hold_ms) {
    if (b->buckets == NULL) return;
    porch_session *s = b->buckets[publisher & (b->bucket_count - 1)];
    while (s != NULL && s->hash != publisher)
        s = s->chain;
    if (s != NULL) porch_session_hold(s, hold_ms);
}

static void deliver(porch_session *s, porch_message *m, uint8_t qos) {
    size_t bytes = porch_message_bytes(m, s->version, qos);
    if (s->conn == NULL || s->ending) return;
    if (bytes > s->packet_most) {
        log_slow(s, m,
                 "the packet is too large for this subscriber (its Maximum Packet Size); it is skipped");
        return;
    }
    if (over_quota(s, bytes)) {
        porch_conn_flush(s->conn); /* which may find that the peer has gone: */
        if (s->ending) return;
    }
    if (over_quota(s, bytes) || (s->queue_count == s->queue_cap && !widen_queue(s))) {
        too_slow(s, m, qos);
        return;
    }
    porch_message_retain(m);
    s->queue_count++;
    *queue_at(s, s->queue_count - 1) = (porch_queued){m, qos};
    s->queue_bytes += bytes;
    porch_conn_want_write(s->conn);
    uint32_t hold = presses(s);
    if (hold > s->home->hold_ms) s->home->hold_ms = hold;
}

/* ---- who hears it ---- */

static size_t choose(porch_broker_shard *b, const porch_message *m, const porch_session *publisher) {
    const porch_trie_entry *hits;
    porch_topic_name name = {porch_message_topic(m)};
    size_t count = porch_trie_match(b->trie, name, &hits), n = 0;
    b->round++;
    for (size_t i = 0; i < count; i++) {
        porch_session *s = hits[i].owner;
        if (hits[i].no_local && s == publisher) continue;
        uint8_t qos = hits[i].qos < m->qos ? hits[i].qos : m->qos;
        if (s->round != b->round) {
            s->round = b->round;
            s->round_qos = qos;
            s->round_judge = hits[i].judge;
            b->targets[n++] = s;
        } else {
            if (qos > s->round_qos) s->round_qos = qos;
            s->round_judge = s->round_judge && hits[i].judge;
        }
    }
    return n;
}

static bool may_receive(porch_session *s, const porch_message *m) {
    porch_topic_name name = {porch_message_topic(m)};
    porch_access_decision d = porch_access_can_receive(s->policy, name);
    if (d.allowed) return true;
    porch_broker_count(&s->home->counts.delivery_refused, 1);
    if (porch_log_wants(PORCH_LOG_DEBUG))
        porch_log(PORCH_LOG_DEBUG, "mqtt.delivery_refused", "principal", s->entry.name, "topic",
                  porch_log_bytes(name.text).text, NULL);
    return false;
}

void porch_broker_route_here(porch_broker_shard *b, porch_message *m, const porch_session *publisher) {
    size_t n = choose(b, m, publisher);
    b->hold_ms = 0;
    for (size_t i = 0; i < n; i++) {
        porch_session *s = b->targets[i];
        if (s->round_judge && !may_receive(s, m)) continue;
        deliver(s, m, s->round_qos);
    }
}

static bool listens(const porch_broker_shard *b) {
    return atomic_load_explicit(&b->counts.subscriptions, memory_order_relaxed) > 0;
}

bool porch_broker_can_route(const porch_broker_shard *b) {
    unsigned shards = porch_shard_count(b->shard);
    for (unsigned i = 0; i < shards; i++)
        if (i != b->index && !porch_shard_room(b->shard, i, 1)) return false;
    return true;
}

void porch_broker_route(porch_broker_shard *b, porch_message *m, const porch_session *publisher) {
    unsigned shards = porch_shard_count(b->shard);
    for (unsigned i = 0; i < shards; i++) {
        if (i == b->index || !listens(&b->broker->shards[i])) continue;
        porch_message_retain(m);
        porch_parcel p = {PORCH_PARCEL_MESSAGE, 0, {.at = m}};
        if (!porch_shard_send(b->shard, i, &p)) porch_message_release(b->pool, m);
    }
    porch_broker_route_here(b, m, publisher);
}

/* ---- onto the wire ---- */

static void write_one(porch_session *s, const porch_queued *q, uint64_t now, uint8_t *at, size_t bytes) {
    uint16_t id = q->qos > 0 ? porch_window_take(&s->window) : 0;
    porch_message_write(q->message, s->version, q->qos, id, now, at);
    porch_broker_count(&s->home->counts.messages_out, 1);
    porch_broker_count(&s->home->counts.bytes_out, (int64_t)bytes);
}

static void fill_big(porch_session *s, porch_buf *out) {
    size_t n = s->big_len - s->big_at;
    if (n > out->cap - out->len) n = out->cap - out->len;
    memcpy(out->at + out->len, s->big + s->big_at, n);
    out->len += n;
    s->big_at += n;
    if (s->big_at < s->big_len) return;
    porch_pool_give(s->home->pool, s->big);
    s->big = NULL;
}

static bool make_window(porch_session *s) {
    if (s->window.slots != NULL) return true;
    uint16_t *slots = porch_pool_take(s->home->pool, porch_window_slots(s->window_most) * sizeof *slots);
    if (slots == NULL) return false;
    s->window = porch_window_of(slots, s->window_most);
    return true;
}

/* The rest of a large message goes first: any other byte in between would be taken for a part of it. */
static bool settle_big(porch_session *s) {
    if (s->big == NULL) return true;
    uint8_t *big = s->big;
    s->big = NULL;
    bool ok = porch_conn_put(s->conn, (porch_bytes){big + s->big_at, s->big_len - s->big_at});
    porch_pool_give(s->home->pool, big);
    return ok;
}

bool porch_session_put(porch_session *s, porch_bytes packet) {
    if (!settle_big(s) || !porch_conn_put(s->conn, packet)) return false;
    if (porch_conn_pending(s->conn) > PORCH_BROKER_CHOKE_BYTES) {
        s->choked = true;
        porch_conn_pause(s->conn);
    }
    return true;
}

void porch_session_fill(porch_session *s, porch_buf *out) {
    uint64_t now = porch_shard_now(s->home->shard);
    if (s->big != NULL) fill_big(s, out);
    while (s->big == NULL && s->queue_count > 0 && !s->ending) {
        const porch_queued *q = queue_at(s, 0);
        if (porch_message_expired(q->message, now)) {
            pop_queue(s);
            continue;
        }
        if (q->qos > 0 && (!make_window(s) || porch_window_full(&s->window))) break;
        size_t bytes = porch_message_bytes(q->message, s->version, q->qos);
        if (bytes <= out->cap - out->len) {
            write_one(s, q, now, out->at + out->len, bytes);
            out->len += bytes;
        } else if (bytes <= out->cap) {
            break; /* whole in the next record */
        } else {
            s->big = porch_pool_take(s->home->pool, bytes);
            if (s->big == NULL) break;
            write_one(s, q, now, s->big, bytes);
            s->big_at = 0;
            s->big_len = bytes;
            fill_big(s, out);
        }
        pop_queue(s);
    }
    rest_queue(s);
    if (s->choked) {
        s->choked = false;
        porch_session_listen(s);
    }
}
