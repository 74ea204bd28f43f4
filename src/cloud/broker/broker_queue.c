/* What waits for a session's client: a queue of references to messages, its quota, and the pace at which
 * publishers are read so that it stays short.
 *
 *   broker_deliver.c ─► porch_session_deliver ─► queue ─► broker_fill.c
 *
 * Over its quota a session that keeps pace slows its publishers down; one that does not pays: QoS 0 is
 * dropped, a lasting session loses its oldest, any other its connection. */
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

porch_delivery *porch_session_queue_at(porch_session *s, uint32_t i) {
    return &s->queue[(s->queue_first + i) & (s->queue_cap - 1)];
}

size_t porch_session_queue_count(const porch_session *s) {
    return s->queue_count;
}

static bool widen_queue(porch_session *s) {
    uint32_t cap = s->queue_cap == 0 ? QUEUE_LEAST : s->queue_cap * 2;
    porch_delivery *wider = porch_pool_take(s->home->pool, cap * sizeof *wider);
    if (wider == NULL) return false;
    for (uint32_t i = 0; i < s->queue_count; i++)
        wider[i] = *porch_session_queue_at(s, i);
    porch_pool_give(s->home->pool, s->queue);
    s->queue = wider;
    s->queue_first = 0;
    s->queue_cap = cap;
    return true;
}

void porch_delivery_release(porch_broker_shard *b, porch_delivery *d) {
    if (d->message != NULL) porch_message_release(b->pool, d->message);
    porch_pool_give(b->pool, d->identifiers);
    d->message = NULL;
    d->identifiers = NULL;
}

/* Takes the first one out; its message's reference is the caller's now. */
static porch_delivery unqueue(porch_session *s) {
    porch_delivery d = *porch_session_queue_at(s, 0);
    s->queue_bytes -= porch_message_weight(d.message);
    s->queue_first = (s->queue_first + 1) & (s->queue_cap - 1);
    s->queue_count--;
    return d;
}

void porch_session_skip_first(porch_session *s) {
    porch_delivery d = unqueue(s);
    porch_session_had(s, &d, d.lasts || (d.share != 0 && d.message->queued) ? d.message->seq : 0);
    porch_delivery_release(s->home, &d);
}

bool porch_session_put_back(porch_session *s, const porch_delivery *d) {
    if (s->queue_count == s->queue_cap && !widen_queue(s)) return false;
    s->queue_first = (s->queue_first - 1) & (s->queue_cap - 1);
    s->queue_count++;
    s->queue_bytes += porch_message_weight(d->message);
    *porch_session_queue_at(s, 0) = *d;
    return true;
}

bool porch_session_take_first(porch_session *s, porch_delivery *ret) {
    if (s->queue_count == 0) return false;
    *ret = unqueue(s);
    return true;
}

bool porch_session_put_last(porch_session *s, const porch_delivery *d) {
    if (s->queue_count == s->queue_cap && !widen_queue(s)) return false;
    *porch_session_queue_at(s, s->queue_count++) = *d;
    s->queue_bytes += porch_message_weight(d->message);
    return true;
}

bool porch_session_take_last(porch_session *s, uint64_t seq, porch_delivery *ret) {
    if (s->queue_count == 0) return false;
    porch_delivery *last = porch_session_queue_at(s, s->queue_count - 1);
    if (last->message->seq != seq) return false;
    *ret = *last;
    s->queue_bytes -= porch_message_weight(last->message);
    s->queue_count--;
    return true;
}

void porch_session_drop_queue(porch_session *s) {
    while (s->queue_count > 0) {
        porch_delivery d = unqueue(s);
        porch_delivery_release(s->home, &d);
    }
    porch_pool_give(s->home->pool, s->queue);
    porch_pool_give(s->home->pool, s->big);
    s->queue = NULL;
    s->big = NULL;
    s->queue_cap = 0;
}

void porch_session_rest_queue(porch_session *s) {
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

/* A lasting session's quota is used up: the oldest gives way, and the operator hears of it. */
static void make_room(porch_session *s, const porch_message *m, size_t bytes) {
    while (s->queue_count > 0 && over_quota(s, bytes)) {
        porch_broker_count(&s->home->counts.dropped_full, 1);
        porch_session_skip_first(s);
    }
    log_slow(
        s, m,
        "more waits for this session than it may keep; the oldest go (broker.queue_messages, queue_bytes)");
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

/* Bytes of its PUBLISH at the most: an alias is only used where it fits. */
static size_t packet_bytes(const porch_session *s, const porch_delivery *d) {
    porch_message_form form = {.qos = d->qos, .identifier = d->identifier, .identifiers = d->identifiers};
    return porch_message_bytes(d->message, s->version, &form);
}

bool porch_session_too_large(porch_session *s, const porch_delivery *d) {
    if (s->packet_most >= PORCH_MQTT_VARINT_MOST || packet_bytes(s, d) <= s->packet_most) return false;
    log_slow(s, d->message,
             "the packet is too large for this subscriber (its Maximum Packet Size); it is skipped");
    return true;
}

/* A place in the ring. Without memory for a longer one a lasting session's oldest gives way to what was
 * acknowledged just now. */
static bool has_place(porch_session *s, const porch_delivery *d) {
    if (s->queue_count < s->queue_cap || widen_queue(s)) return true;
    if (d->qos == 0 || !porch_session_lasts(s) || s->queue_count == 0) return false;
    porch_broker_count(&s->home->counts.dropped_full, 1);
    porch_session_skip_first(s);
    log_slow(s, d->message, "no memory for more that waits; the oldest goes (broker.memory_bytes)");
    return true;
}

static bool room_in_queue(porch_session *s, const porch_delivery *d) {
    size_t bytes = porch_message_weight(d->message);
    if (over_quota(s, bytes) && s->conn != NULL) {
        porch_conn_flush(s->conn); /* which may find that the peer has gone: */
        if (s->ending) return false;
    }
    if (over_quota(s, bytes) && d->qos > 0 && porch_session_lasts(s)) make_room(s, d->message, bytes);
    if (over_quota(s, bytes) || !has_place(s, d)) {
        if (s->conn != NULL) too_slow(s, d->message, d->qos);
        return false;
    }
    return true;
}

bool porch_session_deliver(porch_session *s, const porch_delivery *d) {
    if (s->over || (s->conn == NULL && (d->qos == 0 || !porch_session_lasts(s)))) return false;
    if (s->home->loading && d->message->seq <= s->cursor_saved) return false; /* it has had that */
    if (s->ending && !porch_session_lasts(s)) return false;
    if (s->conn != NULL && porch_session_too_large(s, d)) return false;
    if (!room_in_queue(s, d)) return false;
    porch_message_retain(d->message);
    (void)porch_session_put_last(s, d);
    if (s->conn == NULL) return true;
    porch_conn_want_write(s->conn);
    uint32_t hold = presses(s);
    if (hold > s->home->hold_ms) s->home->hold_ms = hold;
    return true;
}
