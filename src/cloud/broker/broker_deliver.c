/* From a message to the sockets of those who may hear it.
 *
 *   trie ─► targets, each session once at its highest QoS ─► deny judged ─► session's queue ─► fill ─►
 * flight
 *
 * A queue holds references; packets are written in fill, right into the TLS record that leaves. From QoS 1
 * on a delivery is in flight until it is acknowledged; what a lasting session has in flight is sent again
 * on its next connection. */
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
    if (s->queue_count == 0) s->rejudge = false;
    return d;
}

/* The first one is not needed any more: expired, no longer permitted, or in the way of newer ones. */
static void skip_first(porch_session *s) {
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

/* A lasting session's quota is used up: the oldest gives way, and the operator hears of it. */
static void make_room(porch_session *s, const porch_message *m, size_t bytes) {
    while (s->queue_count > 0 && over_quota(s, bytes)) {
        porch_broker_count(&s->home->counts.dropped_full, 1);
        skip_first(s);
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

/* What the client says it cannot read is passed over as if it had been delivered (MQTT-3.1.2-24, -25). */
static bool is_too_large(porch_session *s, const porch_delivery *d) {
    if (s->packet_most >= PORCH_MQTT_VARINT_MOST || packet_bytes(s, d) <= s->packet_most) return false;
    log_slow(s, d->message,
             "the packet is too large for this subscriber (its Maximum Packet Size); it is skipped");
    return true;
}

static bool room_in_queue(porch_session *s, const porch_delivery *d) {
    size_t bytes = porch_message_weight(d->message);
    if (over_quota(s, bytes) && s->conn != NULL) {
        porch_conn_flush(s->conn); /* which may find that the peer has gone: */
        if (s->ending) return false;
    }
    if (over_quota(s, bytes) && d->qos > 0 && porch_session_lasts(s)) make_room(s, d->message, bytes);
    if (over_quota(s, bytes) || (s->queue_count == s->queue_cap && !widen_queue(s))) {
        if (s->conn != NULL) too_slow(s, d->message, d->qos);
        return false;
    }
    return true;
}

bool porch_session_deliver(porch_session *s, const porch_delivery *d) {
    if (s->over || (s->conn == NULL && (d->qos == 0 || !porch_session_lasts(s)))) return false;
    if (s->home->loading && d->message->seq <= s->cursor_saved) return false; /* it has had that */
    if (s->ending && !porch_session_lasts(s)) return false;
    if (s->conn != NULL && is_too_large(s, d)) return false;
    if (!room_in_queue(s, d)) return false;
    porch_message_retain(d->message);
    (void)porch_session_put_last(s, d);
    if (s->conn == NULL) return true;
    porch_conn_want_write(s->conn);
    uint32_t hold = presses(s);
    if (hold > s->home->hold_ms) s->home->hold_ms = hold;
    return true;
}

/* ---- who hears it ---- */

/* `id` is the topic's in the memo. */
static size_t match(porch_broker_shard *b, const porch_message *m, const porch_trie_entry **hits,
                    uint64_t *id) {
    porch_topic_name name = {porch_message_topic(m)};
    porch_memo_topic *row = porch_memo_of(b->memo, name.text);
    *id = row == NULL ? 0 : row->id;
    return row == NULL ? porch_trie_match(b->trie, name, hits)
                       : porch_trie_match_again(b->trie, name, &row->heard, hits);
}

/* What a message's topic found. */
typedef struct {
    const porch_trie_entry *hits;
    size_t count;
    bool shared; /* shared subscriptions are among them */
    uint64_t id;
} audience;

/* Each session once, into the shard's targets. */
static size_t choose(porch_broker_shard *b, const porch_message *m, const porch_session *publisher,
                     audience *a) {
    const porch_trie_entry *hits;
    size_t count = match(b, m, &hits, &a->id), n = 0;
    b->round++;
    for (size_t i = 0; i < count; i++) {
        if (hits[i].shared) {
            a->shared = true;
            continue;
        }
        porch_session *s = hits[i].owner;
        if (hits[i].no_local && s == publisher) continue;
        uint8_t qos = hits[i].qos < m->qos ? hits[i].qos : m->qos;
        if (s->round != b->round) {
            s->round = b->round;
            s->round_qos = qos;
            s->round_judge = hits[i].judge;
            s->round_retain = hits[i].retain_as_published;
            s->round_identifiers = 0;
            b->targets[n++] = s;
        } else {
            if (qos > s->round_qos) s->round_qos = qos;
            s->round_judge = s->round_judge && hits[i].judge;
            s->round_retain = s->round_retain || hits[i].retain_as_published;
        }
        if (hits[i].number > 0) s->round_identifiers++;
    }
    a->hits = hits;
    a->count = count;
    return n;
}

/* One copy carries the identifiers of all subscriptions that it is for (MQTT-3.3.4-3 to -5). */
static bool add_identifiers(porch_session *s, const porch_session *publisher, const porch_trie_entry *hits,
                            size_t count, porch_delivery *d) {
    if (s->round_identifiers > 1) {
        d->identifiers =
            porch_pool_take(s->home->pool, (1 + s->round_identifiers) * sizeof *d->identifiers);
        if (d->identifiers == NULL) return false;
        d->identifiers[0] = 0;
    }
    for (size_t i = 0; s->round_identifiers > 0 && i < count; i++) {
        if (hits[i].owner != s || hits[i].number == 0 || (hits[i].no_local && s == publisher)) continue;
        if (d->identifiers != NULL) {
            d->identifiers[++d->identifiers[0]] = hits[i].number;
        } else {
            d->identifier = hits[i].number;
        }
    }
    return true;
}

/* Wide subscriptions meet denies all the time: a session's are put down once a second, with their number.
 */
static void note_denied(porch_session *s, porch_access_decision d, porch_bytes topic) {
    uint64_t now_ms = porch_shard_now(s->home->shard);
    porch_why why;
    s->denied++;
    if (s->denied_ms != 0 && now_ms - s->denied_ms < 1000) return;
    (void)porch_grants_denied(s->home->broker->config.grants, &s->entry, s->policy, d, PORCH_ACCESS_RECEIVE,
                              topic, s->denied, &why);
    s->denied = 0;
    s->denied_ms = now_ms;
}

static bool refuse_delivery(porch_session *s, porch_bytes topic, bool quarantined,
                            porch_access_decision d) {
    porch_broker_count(&s->home->counts.delivery_refused, 1);
    if (!quarantined) note_denied(s, d, topic);
    if (porch_log_wants(PORCH_LOG_DEBUG))
        porch_log(PORCH_LOG_DEBUG, "mqtt.delivery_refused", "principal", s->entry.name, "topic",
                  porch_log_bytes(topic).text, NULL);
    return false;
}

static bool may_receive(porch_session *s, porch_bytes topic, uint64_t id) {
    bool quarantined = !porch_quarantine_lets_hear(&s->entry, topic);
    porch_access_decision d = porch_session_decide(s, PORCH_ACCESS_RECEIVE, topic, id);
    return (!quarantined && d.allowed) || refuse_delivery(s, topic, quarantined, d);
}

bool porch_session_may_receive(porch_session *s, porch_bytes topic) {
    return may_receive(s, topic, porch_memo_id(s->home->memo, topic));
}

void porch_broker_route_here(porch_broker_shard *b, porch_message *m, const porch_session *publisher) {
    audience a = {NULL, 0, false, 0};
    size_t n = choose(b, m, publisher, &a);
    b->hold_ms = 0;
    for (size_t i = 0; a.shared && i < a.count; i++)
        if (a.hits[i].shared) porch_share_take(b, a.hits[i].owner, m);
    for (size_t i = 0; i < n; i++) {
        porch_session *s = b->targets[i];
        if (s->round_judge && !may_receive(s, porch_message_topic(m), a.id)) continue;
        porch_delivery d = {.message = m, .qos = s->round_qos, .retain = s->round_retain && m->retain};
        d.lasts = d.qos > 0 && m->queued && porch_session_lasts(s);
        if (!add_identifiers(s, publisher, a.hits, a.count, &d)) continue;
        if (!porch_session_deliver(s, &d)) porch_pool_give(b->pool, d.identifiers);
    }
}

void porch_broker_hears(porch_broker_shard *b, porch_topic_filter filter, int by) {
    porch_broker_count(&b->counts.subscriptions, by);
    if (by > 0)
        porch_interest_add(&b->interest, filter);
    else
        porch_interest_remove(&b->interest, filter);
}

bool porch_broker_can_route(const porch_broker_shard *b) {
    unsigned shards = porch_shard_count(b->shard);
    for (unsigned i = 0; i < shards; i++)
        if (i != b->index && !porch_shard_room(b->shard, i, 1)) return false;
    return true;
}

/* The same topics come again and again: each is reckoned once. */
static const porch_interest_topic *interest_of(porch_broker_shard *b, const porch_message *m,
                                               porch_interest_topic *space) {
    porch_topic_name name = {porch_message_topic(m)};
    porch_memo_topic *row = porch_memo_of(b->memo, name.text);
    porch_interest_topic *known = row != NULL ? &row->interest : space;
    if (row == NULL || !row->interest_known) *known = porch_interest_topic_of(b->broker->seed, name);
    if (row != NULL) row->interest_known = true;
    return known;
}

static bool hears(const porch_broker *broker, unsigned shard, const porch_interest_topic *topic) {
    return porch_interest_may_hear(&broker->shards[shard].interest, topic);
}

void porch_broker_route(porch_broker_shard *b, porch_message *m, porch_session *publisher) {
    unsigned shards = porch_shard_count(b->shard);
    porch_interest_topic space;
    const porch_interest_topic *topic = shards > 1 ? interest_of(b, m, &space) : NULL;
    for (unsigned i = 0; i < shards; i++) {
        if (i == b->index || (!m->retain && !hears(b->broker, i, topic))) continue;
        porch_message_retain(m);
        porch_parcel p = {m->retain ? PORCH_PARCEL_RETAINED : PORCH_PARCEL_MESSAGE, 0, {.at = m}};
        if (!porch_shard_send(b->shard, i, &p)) porch_message_release(b->pool, m);
    }
    if (m->retain) porch_broker_retain_here(b, m);
    b->hold_ms = 0;
    if (shards == 1 || hears(b->broker, b->index, topic)) porch_broker_route_here(b, m, publisher);
}

/* ---- onto the wire ---- */

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
    porch_session_send_acks(s); /* in the order in which they came to be */
    return porch_session_put_behind(s, packet);
}

bool porch_session_put_behind(porch_session *s, porch_bytes packet) {
    if (s->conn == NULL) return false;
    if (!settle_big(s) || !porch_conn_put(s->conn, packet)) return false;
    if (porch_conn_pending(s->conn) > PORCH_BROKER_CHOKE_BYTES) {
        s->choked = true;
        porch_conn_pause(s->conn);
    }
    return true;
}

/* Room for this many bytes: in the record, or as a large packet that leaves in parts. NULL: in the next
 * record, or no memory. */
static uint8_t *room_on_wire(porch_session *s, porch_buf *out, size_t bytes) {
    if (bytes <= out->cap - out->len) {
        uint8_t *at = out->at + out->len;
        out->len += bytes;
        return at;
    }
    if (bytes <= out->cap) return NULL;
    s->big = porch_pool_take(s->home->pool, bytes);
    s->big_at = 0;
    s->big_len = bytes;
    return s->big;
}

/* Writes the PUBLISH of a delivery. False: not now. */
static bool write_publish(porch_session *s, const porch_delivery *d, uint16_t packet_id, bool dup,
                          porch_buf *out) {
    porch_message *m = d->message;
    porch_bytes topic = porch_message_topic(m);
    porch_message_form form = {.identifier = d->identifier,
                               .identifiers = d->identifiers,
                               .packet_id = packet_id,
                               .qos = d->qos,
                               .dup = dup,
                               .retain = d->retain};
    bool known = false;
    if (s->alias_out.most > 0) form.alias = porch_alias_for(&s->alias_out, topic, &known);
    form.leave_topic_out = known;
    size_t bytes = porch_message_bytes(m, s->version, &form);
    if (bytes > s->packet_most) {
        form.alias = 0;
        form.leave_topic_out = false;
        bytes = porch_message_bytes(m, s->version, &form);
    }
    uint8_t *at = room_on_wire(s, out, bytes);
    if (at == NULL) return false;
    /* Without memory for it the alias travels with its topic again next time. */
    if (form.alias > 0 && !known) (void)porch_alias_set(&s->alias_out, s->home->pool, form.alias, topic);
    porch_message_write(m, s->version, &form, porch_shard_now(s->home->shard), at);
    if (at == s->big) fill_big(s, out);
    porch_broker_count(&s->home->counts.messages_out, 1);
    porch_broker_count(&s->home->counts.bytes_out, (int64_t)bytes);
    s->sent_messages++;
    s->sent_bytes += bytes;
    return true;
}

static bool write_pubrel(uint16_t packet_id, porch_buf *out) {
    if (out->cap - out->len < 4) return false;
    uint8_t *at = out->at + out->len;
    at[0] = PORCH_MQTT_PUBREL << 4 | 2;
    at[1] = 2;
    at[2] = (uint8_t)(packet_id >> 8);
    at[3] = (uint8_t)packet_id;
    out->len += 4;
    return true;
}

/* A client may come back with a smaller Receive Maximum than what it had under way: PUBLISH waits for room
 * then, PUBREL does not (MQTT-3.3.4-9, -10). */
static void fill_resends(porch_session *s, porch_buf *out) {
    porch_flying **list = porch_pool_take(s->home->pool, s->resends * sizeof *list);
    if (list == NULL) return;
    uint32_t n = porch_flight_resends(&s->flight, list, s->resends);
    for (uint32_t i = 0; i < n && s->big == NULL; i++) {
        porch_flying *one = list[i];
        if (one->state == PORCH_FLIGHT_RELEASED) {
            if (!write_pubrel(one->packet_id, out)) break;
        } else if (one->delivery.message != NULL) {
            if (is_too_large(s, &one->delivery)) {
                porch_session_give_up(s, one);
                continue;
            }
            if (s->flight.used - s->resends >= s->window_most) continue;
            if (!write_publish(s, &one->delivery, one->packet_id, one->sent, out)) break;
            one->sent = true;
        }
        one->resend = false;
        s->resends--;
    }
    porch_pool_give(s->home->pool, list);
}

/* A lasting session's QoS 2 delivery: its identifier is written down before it is used. */
static bool save_first(porch_session *s) {
    uint8_t text[PORCH_NOTE_BYTES];
    porch_buf note = PORCH_BUF_OF(text);
    porch_flying *one = porch_flight_take(&s->flight, s->home->pool);
    if (one == NULL) return false;
    porch_pending then = {.kind = PORCH_PENDING_SEND, .packet_id = one->packet_id};
    uint64_t seq = porch_session_queue_at(s, 0)->message->seq;
    if (porch_note_flight(&note, s->number, seq, one->packet_id) != PORCH_OK ||
        !porch_session_note_then(s, &note, &then)) {
        porch_flight_drop(&s->flight, one);
        porch_shard_again(s->home->shard, 1);
        porch_conn_want_write(s->conn);
        return false;
    }
    one->delivery = unqueue(s);
    one->seq = seq;
    one->state = PORCH_FLIGHT_SAVING;
    return true;
}

/* False: it stays where it is. */
static bool send_first(porch_session *s, porch_buf *out) {
    porch_flying *one = NULL;
    porch_delivery *d = porch_session_queue_at(s, 0);
    if (d->qos > 0) {
        one = porch_flight_take(&s->flight, s->home->pool);
        if (one == NULL) return false;
    }
    if (!write_publish(s, d, one == NULL ? 0 : one->packet_id, false, out)) {
        if (one != NULL) porch_flight_drop(&s->flight, one);
        return false;
    }
    porch_delivery sent = unqueue(s);
    uint64_t seq = sent.lasts || (sent.share != 0 && sent.message->queued) ? sent.message->seq : 0;
    if (one == NULL) {
        if (sent.share != 0) porch_session_had(s, &sent, seq);
        porch_delivery_release(s->home, &sent);
        return true;
    }
    one->sent = true;
    one->seq = seq;
    /* What is never sent again is not kept. */
    if (!porch_session_lasts(s) && sent.share == 0) porch_delivery_release(s->home, &sent);
    one->delivery = sent;
    return true;
}

/* A session that was resumed to end with its connection has QoS 2 of both kinds: what need not be written
 * down waits for what is being written down (MQTT-4.6.0-6). */
static bool would_pass_saving(porch_session *s, const porch_delivery *d) {
    uint32_t at = 0;
    if (d->qos != 2 || d->share != 0 || s->number == 0) return false;
    for (const porch_flying *one; (one = porch_flight_next(&s->flight, &at)) != NULL;)
        if (one->state == PORCH_FLIGHT_SAVING) return true;
    return false;
}

static bool fill_first(porch_session *s, porch_buf *out) {
    const porch_delivery *d = porch_session_queue_at(s, 0);
    bool large = is_too_large(s, d); /* the client was away when it came, and wants less now */
    bool gone = large || porch_message_expired(d->message, porch_shard_now(s->home->shard)) ||
                (s->rejudge && !porch_session_may_receive(s, porch_message_topic(d->message)));
    if (gone) {
        skip_first(s);
        return true;
    }
    if (d->qos > 0 && s->flight.used >= s->window_most) return false;
    if (d->qos == 2 && d->lasts && s->number != 0 && s->home->lane != NULL) return save_first(s);
    return !would_pass_saving(s, d) && send_first(s, out);
}

void porch_session_fill(porch_session *s, porch_buf *out) {
    if (!s->welcomed) return;
    if (s->big != NULL) fill_big(s, out);
    if (s->big == NULL && s->resends > 0 && !s->ending) fill_resends(s, out);
    while (s->big == NULL && s->resends == 0 && s->queue_count > 0 && !s->ending)
        if (!fill_first(s, out)) break;
    rest_queue(s);
    if (s->choked) {
        s->choked = false;
        porch_session_listen(s);
    }
}
