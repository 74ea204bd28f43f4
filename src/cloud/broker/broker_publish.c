/* PUBLISH from a client, and PUBACK in both directions.
 *
 *   shape ─► offered? ─► limits ─► access ─► rate ─► room ─► message ─┬─ stored, QoS 1 ─► lane ─► commit ─►
 * route, ack └─ other ─► route, ack
 *
 * A refusal has the reason code that the version knows: a refused 3.1.1 publish is acknowledged and
 * dropped, a refused QoS 0 dropped; both are logged and counted. */
#include <stdlib.h>
#include <string.h>

#include "cloud/broker/room.h"
#include "os/clock.h"
#include "os/log.h"

enum { RATE_LOG_MS = 10000, PENDING_LEAST = 1024 };

/* ---- acknowledgements ---- */

static bool make_acks(porch_session *s) {
    if (s->acks.slots != NULL) return true;
    uint32_t count = 1;
    while (count < s->home->broker->settings.broker_receive_maximum)
        count *= 2;
    porch_ack *slots = porch_pool_take(s->home->pool, count * sizeof *slots);
    if (slots == NULL) return false;
    s->acks = porch_acks_of(slots, count);
    return true;
}

static size_t write_ack(const porch_session *s, const porch_ack *ack, uint8_t at[5]) {
    bool reason = s->version == PORCH_MQTT_V5 && ack->reason != 0;
    at[0] = PORCH_MQTT_PUBACK << 4;
    at[1] = reason ? 3 : 2;
    at[2] = (uint8_t)(ack->packet_id >> 8);
    at[3] = (uint8_t)ack->packet_id;
    at[4] = ack->reason;
    return reason ? 5 : 4;
}

void porch_session_send_acks(porch_session *s) {
    uint8_t text[512];
    size_t len = 0;
    porch_ack ack;
    if (s->conn == NULL || s->ending || s->acks.slots == NULL) return;
    while (porch_acks_take(&s->acks, &ack)) {
        len += write_ack(s, &ack, text + len);
        if (len <= sizeof text - 5) continue;
        if (!porch_session_put(s, (porch_bytes){text, len})) return;
        len = 0;
    }
    if (len > 0) porch_session_put(s, (porch_bytes){text, len});
}

static void acknowledge(porch_session *s, uint32_t place, uint8_t reason) {
    porch_acks_ready(&s->acks, place, reason);
    porch_session_send_acks(s);
}

porch_taken porch_broker_on_puback(porch_session *s, const porch_mqtt_frame *frame) {
    porch_mqtt_fault fault;
    porch_mqtt_ack ack;
    if (porch_mqtt_ack_read(frame, s->version, &fault, &ack) != PORCH_OK) {
        porch_session_fault(s, frame, &fault);
    } else if (s->window.slots != NULL && porch_window_give(&s->window, ack.packet_id)) {
        if (s->queue_count > 0) porch_conn_want_write(s->conn);
    }
    return PORCH_TAKEN; /* one for a packet that nobody waits for is let pass, as the standard wants */
}

/* ---- refusals ---- */

static void refuse(porch_session *s, const porch_mqtt_publish *p, uint8_t reason, const char *why) {
    porch_broker_count(&s->home->counts.publishes_refused, 1);
    porch_session_log(s, "mqtt.refused", "PUBLISH", "topic", p->topic.text, why);
    uint32_t place;
    if (p->qos == 0) return;
    if (make_acks(s) && porch_acks_add(&s->acks, p->packet_id, &place)) acknowledge(s, place, reason);
}

/* What this release does not offer. True: handled. */
static bool not_offered(porch_session *s, const porch_mqtt_publish *p) {
    bool v5 = s->version == PORCH_MQTT_V5;
    if (porch_mqtt_property_has(&p->properties, PORCH_MQTT_PROP_TOPIC_ALIAS)) {
        porch_session_disconnect(s, PORCH_MQTT_RC_TOPIC_ALIAS_INVALID, "topic aliases are not offered");
    } else if (p->qos > 1) {
        porch_session_disconnect(s, PORCH_MQTT_RC_QOS_NOT_SUPPORTED, "QoS 2 is not offered");
    } else if (p->retain && v5) {
        porch_session_disconnect(s, PORCH_MQTT_RC_RETAIN_NOT_SUPPORTED,
                                 "retained messages are not offered");
    } else if (p->retain) {
        refuse(s, p, 0, "retained messages are not offered");
    } else {
        return false;
    }
    return true;
}

static bool allowed(porch_session *s, const porch_mqtt_publish *p) {
    porch_bytes topic = p->topic.text;
    if (s->allowed_len == topic.len && topic.len > 0 && memcmp(s->allowed, topic.at, topic.len) == 0)
        return true;
    const porch_settings *set = &s->home->broker->settings;
    if (topic.len > set->broker_topic_bytes || porch_topic_levels(topic) > set->broker_topic_levels) {
        refuse(s, p, PORCH_MQTT_RC_TOPIC_NAME_INVALID,
               "the topic is too long or too deep (broker.topic_bytes, broker.topic_levels)");
        return false;
    }
    if (topic.len > 0 && topic.at[0] == '$') {
        refuse(s, p, PORCH_MQTT_RC_NOT_AUTHORIZED, "topics that begin with $ are the hub's own");
        return false;
    }
    porch_access_decision d = porch_access_can_publish(s->policy, p->topic);
    if (!d.allowed) {
        porch_why why;
        porch_access_explain(s->policy, d, PORCH_ACCESS_PUBLISH, topic, &why);
        refuse(s, p, PORCH_MQTT_RC_NOT_AUTHORIZED, why.text);
        return false;
    }
    s->allowed_len = 0;
    if (topic.len <= sizeof s->allowed) {
        memcpy(s->allowed, topic.at, topic.len);
        s->allowed_len = (uint16_t)topic.len;
    }
    return true;
}

/* Too fast: this message is taken, the next ones are read later. */
static void hold_rate(porch_session *s, size_t bytes) {
    const porch_settings *set = &s->home->broker->settings;
    if (s->conn == NULL || s->ending || (set->broker_messages_s == 0 && set->broker_bytes_s == 0)) return;
    uint64_t now_us = porch_clock_mono_us();
    uint64_t a = porch_rate_take(&s->party->messages, 1, set->broker_messages_s, now_us);
    uint64_t b = porch_rate_take(&s->party->bytes, bytes, set->broker_bytes_s, now_us);
    uint64_t pause_us = a > b ? a : b;
    if (pause_us == 0) return;
    uint64_t now = porch_shard_now(s->home->shard);
    s->paused_until_ms = now + pause_us / 1000 + 1;
    porch_broker_count(&s->home->counts.rate_limited, 1);
    porch_conn_pause(s->conn);
    porch_session_arm(s);
    if (s->rate_logged_ms != 0 && now - s->rate_logged_ms < RATE_LOG_MS) return;
    s->rate_logged_ms = now;
    porch_session_log(s, "mqtt.rate_limited", "PUBLISH", NULL, (porch_bytes){NULL, 0},
                      "faster than broker.messages_s or broker.bytes_s; it is read more slowly");
}

/* ---- stored topics ---- */

static bool is_stored(const porch_broker *broker, porch_topic_name topic) {
    for (size_t i = 0; i < broker->stored_count; i++)
        if (porch_topic_matches(broker->stored[i], topic)) return true;
    return false;
}

/* Whose topic it is: ID of d/ID/..., else the publisher. */
static porch_bytes owner_of(const porch_session *s, porch_bytes topic) {
    if (topic.len > 2 && topic.at[0] == 'd' && topic.at[1] == '/') {
        const uint8_t *slash = memchr(topic.at + 2, '/', topic.len - 2);
        size_t end = slash == NULL ? topic.len : (size_t)(slash - topic.at);
        return (porch_bytes){topic.at + 2, end - 2};
    }
    return porch_bytes_of(s->entry.name);
}

static bool room_for_pending(porch_broker_shard *b) {
    if (b->pending_count < b->pending_cap) return true;
    uint32_t cap = b->pending_cap == 0 ? PENDING_LEAST : b->pending_cap * 2;
    porch_pending *wider = porch_pool_take(b->pool, cap * sizeof *wider);
    if (wider == NULL) return false;
    for (uint32_t i = 0; i < b->pending_count; i++)
        wider[i] = b->pending[(b->pending_first + i) & (b->pending_cap - 1)];
    porch_pool_give(b->pool, b->pending);
    b->pending = wider;
    b->pending_first = 0;
    b->pending_cap = cap;
    return true;
}

static porch_err append(porch_session *s, const porch_mqtt_publish *p, uint64_t *ticket) {
    porch_store_message stored = {porch_clock_ms(), owner_of(s, p->topic.text), p->topic.text, p->payload,
                                  p->qos};
    if (!room_for_pending(s->home)) return PORCH_ERR_BUSY;
    return porch_store_lane_append(s->home->lane, &stored, ticket);
}

static void wait_for_commit(porch_session *s, uint64_t ticket, porch_message *m, uint32_t place) {
    porch_broker_shard *b = s->home;
    b->pending[(b->pending_first + b->pending_count++) & (b->pending_cap - 1)] =
        (porch_pending){ticket, m, s, place};
    s->pending_commits++;
}

/* The store refused: nothing was kept. 3.1.1 has no word for it, so the session ends unacknowledged. */
static void not_stored(porch_session *s, uint32_t place, porch_err e) {
    porch_broker_count(&s->home->counts.store_refused, 1);
    if (s->conn == NULL || s->ending) return;
    if (s->version == PORCH_MQTT_V5) {
        porch_session_log(s, "mqtt.refused", "PUBLISH", NULL, (porch_bytes){NULL, 0}, porch_err_text(e));
        acknowledge(s, place,
                    e == PORCH_ERR_FULL ? PORCH_MQTT_RC_QUOTA_EXCEEDED : PORCH_MQTT_RC_UNSPECIFIED_ERROR);
    } else {
        porch_session_disconnect(s, PORCH_MQTT_RC_QUOTA_EXCEEDED, porch_err_text(e));
    }
}

static void commit_one(porch_broker_shard *b, const porch_pending *p) {
    porch_session *s = p->session;
    if (b->commit_result == PORCH_OK) {
        porch_broker_count(&b->counts.stored, 1);
        porch_broker_route(b, p->message, s);
        if (b->hold_ms > 0) porch_session_hold(s, b->hold_ms);
        if (s->conn != NULL && !s->ending) acknowledge(s, p->place, PORCH_MQTT_RC_SUCCESS);
    } else {
        not_stored(s, p->place, b->commit_result);
    }
    s->pending_commits--;
    porch_message_release(b->pool, p->message);
}

void porch_broker_take_commits(porch_broker_shard *b) {
    if (b->lane == NULL) return;
    for (;;) {
        while (b->pending_count > 0) {
            const porch_pending *p = &b->pending[b->pending_first];
            if (p->ticket > b->committed) break;
            if (!porch_broker_can_route(b)) {
                porch_shard_again(b->shard, 1); /* a neighbour is behind; what is durable can wait for it */
                return;
            }
            porch_pending one = *p;
            b->pending_first = (b->pending_first + 1) & (b->pending_cap - 1);
            b->pending_count--;
            commit_one(b, &one);
        }
        if (!porch_store_lane_poll(b->lane, &b->committed, &b->commit_result)) return;
        if (b->commit_result != PORCH_OK)
            porch_log(PORCH_LOG_ERROR, "store.refused", "reason", porch_err_text(b->commit_result), NULL);
    }
}

/* ---- the whole ---- */

/* QoS 0 on a stored topic is kept as well as it goes; nobody waits for it. */
static void store_loosely(porch_session *s, const porch_mqtt_publish *p) {
    uint64_t ticket;
    if (append(s, p, &ticket) == PORCH_OK) return;
    porch_broker_count(&s->home->counts.store_refused, 1);
    uint64_t now = porch_shard_now(s->home->shard);
    if (s->rate_logged_ms != 0 && now - s->rate_logged_ms < RATE_LOG_MS) return;
    s->rate_logged_ms = now;
    porch_session_log(s, "mqtt.not_stored", "PUBLISH", "topic", p->topic.text,
                      "the store is behind; QoS 0 messages pass it by");
}

static porch_taken route_now(porch_session *s, const porch_mqtt_publish *p, porch_message *m,
                             uint32_t place) {
    porch_broker_route(s->home, m, s);
    porch_message_release(s->home->pool, m);
    if (s->home->hold_ms > 0) porch_session_hold(s, s->home->hold_ms);
    if (p->qos > 0 && s->conn != NULL && !s->ending) acknowledge(s, place, PORCH_MQTT_RC_SUCCESS);
    return PORCH_TAKEN;
}

/* Everything is judged. Without a ticket nobody waits for the store. */
static porch_taken pass_on(porch_session *s, const porch_mqtt_publish *p, bool stored) {
    porch_broker_shard *b = s->home;
    uint64_t ticket = 0;
    uint32_t place = 0;
    porch_message *m = porch_message_new(b->pool, p->topic.text, &p->properties, p->payload, p->qos,
                                         porch_shard_now(b->shard));
    if (m != NULL) m->publisher = s->hash;
    if (m == NULL) {
        const char *why = "no memory for messages (broker.memory_bytes)";
        if (s->version != PORCH_MQTT_V5 && p->qos > 0) {
            porch_session_disconnect(s, PORCH_MQTT_RC_QUOTA_EXCEEDED, why); /* not acknowledged */
        } else {
            refuse(s, p, PORCH_MQTT_RC_QUOTA_EXCEEDED, why);
        }
        return PORCH_TAKEN;
    }
    if (stored && p->qos > 0) {
        porch_err e = append(s, p, &ticket);
        if (e == PORCH_ERR_BUSY) {
            porch_message_release(b->pool, m);
            return PORCH_STALL;
        }
        if (e != PORCH_OK) {
            porch_message_release(b->pool, m);
            refuse(s, p, PORCH_MQTT_RC_QUOTA_EXCEEDED,
                   "the message is too large to be stored (store.lane_bytes)");
            return PORCH_TAKEN;
        }
    } else if (stored) {
        store_loosely(s, p);
    }
    if (p->qos > 0) porch_acks_add(&s->acks, p->packet_id, &place); /* room was seen before */
    if (ticket == 0) return route_now(s, p, m, place);
    wait_for_commit(s, ticket, m, place);
    return PORCH_TAKEN;
}

porch_taken porch_broker_on_publish(porch_session *s, const porch_mqtt_frame *frame) {
    porch_broker_shard *b = s->home;
    porch_mqtt_fault fault;
    porch_mqtt_publish p;
    if (porch_mqtt_publish_read(frame, s->version, PORCH_MQTT_FROM_CLIENT, &fault, &p) != PORCH_OK) {
        porch_session_fault(s, frame, &fault);
        return PORCH_TAKEN;
    }
    if (p.qos == 1) {
        bool full =
            !make_acks(s) || porch_acks_waiting(&s->acks) >= b->broker->settings.broker_receive_maximum;
        if (full && s->version == PORCH_MQTT_V5) {
            porch_session_disconnect(s, PORCH_MQTT_RC_RECEIVE_MAXIMUM_EXCEEDED,
                                     "more unacknowledged publications than broker.receive_maximum");
            return PORCH_TAKEN;
        }
        if (full) return PORCH_STALL;
    }
    if (!porch_broker_can_route(b)) return PORCH_STALL;
    if (not_offered(s, &p)) return PORCH_TAKEN;
    bool stored = b->lane != NULL && is_stored(b->broker, p.topic);
    if (!allowed(s, &p)) {
        hold_rate(s, frame->bytes);
        return PORCH_TAKEN;
    }
    porch_taken taken = pass_on(s, &p, stored);
    if (taken == PORCH_STALL) return taken;
    porch_broker_count(&b->counts.messages_in, 1);
    porch_broker_count(&b->counts.bytes_in, (int64_t)frame->bytes);
    hold_rate(s, frame->bytes);
    return taken;
}
