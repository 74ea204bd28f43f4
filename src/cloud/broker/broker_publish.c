/* PUBLISH from a client, a will's or the hub's own word.
 *
 *   shape ─► limits ─► access ─► rate ─► room ─► message ─┬─ stored by rule, kept for a lasting session
 * (QoS 1, 2) │  or retained ─► lane ─► commit ─► route, acknowledge └─ other ─► route, acknowledge
 *
 * A refusal has the reason code that the version knows: a refused 3.1.1 publish is acknowledged and
 * dropped, a refused QoS 0 dropped; both are logged and counted. */
#include <stdlib.h>
#include <string.h>

#include "base/text.h"
#include "cloud/broker/room.h"
#include "os/clock.h"
#include "os/log.h"

enum { RATE_LOG_MS = 10000 };

/* ---- refusals ---- */

static porch_mqtt_type ack_type(const porch_mqtt_publish *p) {
    return p->qos == 2 ? PORCH_MQTT_PUBREC : PORCH_MQTT_PUBACK;
}

/* 3.1.1 goes on with PUBREL after any PUBREC, so the identifier is remembered until then; 5.0 does not. */
static void answer_refusal(porch_session *s, const porch_mqtt_publish *p, uint8_t reason) {
    if (p->qos == 0 || !porch_session_make_acks(s)) return;
    if (p->qos == 2 && s->version != PORCH_MQTT_V5) {
        porch_received_one *one = porch_received_put(&s->received, s->home->pool, p->packet_id);
        if (one != NULL) one->state = PORCH_RECEIVED_KEPT;
    }
    porch_session_acknowledge(s, porch_session_expect_ack(s, ack_type(p), p->packet_id), reason);
}

/* `why` NULL: the like of it was logged shortly before. */
static void refuse(porch_session *s, const porch_mqtt_publish *p, uint8_t reason, const char *why) {
    porch_broker_count(&s->home->counts.publishes_refused, 1);
    if (why != NULL) porch_session_log(s, "mqtt.refused", "PUBLISH", "topic", p->topic.text, why);
    answer_refusal(s, p, reason);
}

static bool allowed(porch_session *s, const porch_mqtt_publish *p) {
    porch_bytes topic = p->topic.text;
    const porch_memo_topic *row = porch_memo_of(s->home->memo, topic);
    const porch_settings *set = &s->home->broker->settings;
    size_t levels = row != NULL ? row->levels : porch_topic_levels(topic);
    if (topic.len > set->broker_topic_bytes || levels > set->broker_topic_levels) {
        refuse(s, p, PORCH_MQTT_RC_TOPIC_NAME_INVALID,
               "the topic is too long or too deep (broker.topic_bytes, broker.topic_levels)");
        return false;
    }
    if (topic.len > 0 && topic.at[0] == '$') {
        refuse(s, p, PORCH_MQTT_RC_NOT_AUTHORIZED, "topics that begin with $ are the hub's own");
        return false;
    }
    if (!porch_quarantine_lets_publish(&s->entry, topic)) {
        refuse(s, p, PORCH_MQTT_RC_NOT_AUTHORIZED, PORCH_QUARANTINE_SAYS);
        return false;
    }
    porch_access_decision d =
        porch_session_decide(s, PORCH_ACCESS_PUBLISH, topic, row == NULL ? 0 : row->id);
    if (!d.allowed) {
        porch_why why;
        bool log = porch_grants_denied(s->home->broker->config.grants, &s->entry, s->policy, d,
                                       PORCH_ACCESS_PUBLISH, topic, 1, &why);
        refuse(s, p, PORCH_MQTT_RC_NOT_AUTHORIZED, log ? why.text : NULL);
        return false;
    }
    return true;
}

/* What is not about permission: retained messages past their limits, a payload that is not what it says. */
static bool acceptable(porch_session *s, const porch_mqtt_publish *p) {
    if (porch_mqtt_property_has(&p->properties, PORCH_MQTT_PROP_PAYLOAD_FORMAT) &&
        porch_mqtt_property_number(&p->properties, PORCH_MQTT_PROP_PAYLOAD_FORMAT, 0) == 1 &&
        !porch_utf8_valid(p->payload)) {
        refuse(s, p, PORCH_MQTT_RC_PAYLOAD_FORMAT_INVALID, "the payload says it is UTF-8 and is not");
        return false;
    }
    if (p->retain && porch_broker_may_retain(s->home, s, p->topic.text, p->payload) != PORCH_OK) {
        refuse(s, p, PORCH_MQTT_RC_QUOTA_EXCEEDED,
               "too many retained messages (broker.retained_messages, broker.retained_bytes; of one device "
               "broker.retained_device_messages, broker.retained_device_bytes)");
        return false;
    }
    return true;
}

/* Too fast: this message is taken, the next ones are read later. */
static void hold_rate(porch_session *s, size_t bytes) {
    const porch_settings *set = &s->home->broker->settings;
    if (!porch_session_online(s) || (set->broker_messages_s == 0 && set->broker_bytes_s == 0)) return;
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
                      a > b ? "more messages than broker.messages_s; it is read more slowly"
                            : "more bytes than broker.bytes_s; it is read more slowly");
}

/* ---- what is stored ---- */

static bool is_stored(const porch_broker *broker, porch_topic_name topic) {
    if (topic.text.len > 0 && topic.text.at[0] == '$') return false;
    for (size_t i = 0; i < broker->stored_count; i++)
        if (porch_topic_matches(broker->stored[i], topic)) return true;
    return false;
}

/* The rules stay as they are while the hub runs. */
static bool is_ruled(porch_broker_shard *b, porch_topic_name topic, porch_memo_topic *row) {
    if (row == NULL) return is_stored(b->broker, topic);
    if (!row->stored_known) row->stored = is_stored(b->broker, topic);
    row->stored_known = true;
    return row->stored;
}

/* Whose topic it is: ID of d/ID/..., else the publisher. */
static porch_bytes owner_of(const porch_session *s, porch_bytes topic) {
    if (topic.len > 2 && topic.at[0] == 'd' && topic.at[1] == '/') {
        const uint8_t *slash = memchr(topic.at + 2, '/', topic.len - 2);
        size_t end = slash == NULL ? topic.len : (size_t)(slash - topic.at);
        return (porch_bytes){topic.at + 2, end - 2};
    }
    return s == NULL ? PORCH_LIT("") : porch_bytes_of(s->entry.name);
}

/* What becomes of a publication, and how the store is to take it. */
typedef struct {
    bool ruled;  /* a rule stores its topic */
    bool queued; /* a lasting session, here or elsewhere, subscribed to it */
    bool waits;  /* nothing happens before the commit */
} fate;

static fate judge_fate(porch_broker_shard *b, const porch_publication *p) {
    fate f = {false, false, false};
    if (b->lane == NULL) return f;
    porch_topic_name topic = {p->topic};
    porch_memo_topic *row = porch_memo_of(b->memo, p->topic);
    f.ruled = is_ruled(b, topic, row);
    f.queued = p->qos > 0 && porch_broker_keeps(b, topic, row);
    f.waits = f.queued || p->retain || p->note.len > 0 || (f.ruled && p->qos > 0);
    return f;
}

static porch_store_message record(const porch_session *s, const porch_publication *p, const fate *f) {
    porch_store_message m = {.at_ms = porch_clock_ms(),
                             .device = owner_of(s, p->topic),
                             .topic = p->topic,
                             .payload = p->payload,
                             .qos = p->qos,
                             .origin = s == NULL ? 0 : s->number,
                             .note = p->note};
    m.flags = (uint8_t)((f->queued ? PORCH_STORE_QUEUED : 0) | (f->ruled ? 0 : PORCH_STORE_UNRULED) |
                        (p->retain ? PORCH_STORE_RETAIN : 0));
    if (!f->queued && !f->ruled) m.flags |= PORCH_STORE_NOTE;
    return m;
}

/* QoS 0 on a stored topic is kept as well as it goes; nobody waits for it. */
static void store_loosely(porch_broker_shard *b, porch_session *s, const porch_publication *p,
                          const fate *f) {
    porch_store_message m = record(s, p, f);
    if (porch_broker_write(b, &m, NULL, NULL) == PORCH_OK) return;
    porch_broker_count(&b->counts.store_refused, 1);
    uint64_t now = porch_shard_now(b->shard);
    if (s == NULL || (s->rate_logged_ms != 0 && now - s->rate_logged_ms < RATE_LOG_MS)) return;
    s->rate_logged_ms = now;
    porch_session_log(s, "mqtt.not_stored", "PUBLISH", "topic", p->topic,
                      "the store is behind; QoS 0 messages pass it by");
}

/* Everything is judged; the message and whose acknowledgement it has. An identifier of 0 has none. */
typedef struct {
    porch_session *s; /* NULL: the hub */
    const porch_publication *p;
    porch_message *message;
    fate f;
    uint16_t packet_id;
    uint32_t place;
} passing;

static void pass_now(porch_broker_shard *b, const passing *w) {
    porch_session *s = w->s;
    if (w->f.ruled) store_loosely(b, s, w->p, &w->f);
    if (w->p->retain) w->message->seq = atomic_fetch_add(&b->broker->seqs, 1) + 1; /* there is no store */
    porch_broker_route(b, w->message, s);
    porch_message_release(b->pool, w->message);
    if (s == NULL) return;
    if (b->hold_ms > 0) porch_session_hold(s, b->hold_ms);
    porch_received_one *one = w->p->qos == 2 ? porch_received_find(&s->received, w->packet_id) : NULL;
    if (one != NULL) one->state = PORCH_RECEIVED_KEPT;
    if (w->packet_id != 0 && porch_session_online(s))
        porch_session_acknowledge(s, w->place, PORCH_MQTT_RC_SUCCESS);
}

static porch_err write_down(porch_broker_shard *b, const passing *w, bool received, porch_pending *then) {
    uint8_t text[256];
    porch_buf note = PORCH_BUF_OF(text);
    porch_store_message r = record(w->s, w->p, &w->f);
    r.properties = porch_message_properties(w->message);
    PORCH_TRY(porch_write_bytes(&note, w->p->note));
    if (w->p->retain) PORCH_TRY(porch_note_retain(&note));
    if (received) PORCH_TRY(porch_note_received(&note, w->s->number, w->packet_id));
    r.note = porch_buf_bytes(&note);
    return porch_broker_write(b, &r, w->s, then);
}

/* What waits: for the disk, or for what was said before. */
static porch_err pass_later(porch_broker_shard *b, const passing *w, bool received) {
    porch_pending then = {.kind = PORCH_PENDING_ROUTE,
                          .message = w->message,
                          .packet_id = w->packet_id,
                          .place = w->place,
                          .will = w->p->will};
    if (w->f.waits || received) {
        porch_broker_measure_retaining(b, &then);
        PORCH_TRY(write_down(b, w, received, &then));
        porch_broker_begin_retaining(b, w->s, &then);
        if (then.will) w->s->will_said = true;
        return PORCH_OK;
    }
    then.will = false; /* nothing of it can be refused */
    if (!porch_broker_follow(b, w->s, &then)) return PORCH_ERR_BUSY;
    if (w->f.ruled) store_loosely(b, w->s, w->p, &w->f);
    return PORCH_OK;
}

/* BUSY: come again; LIMIT: too large to be stored; NO_SPACE: no memory. */
static porch_err pass_on(porch_broker_shard *b, porch_session *s, const porch_publication *p,
                         uint16_t packet_id, uint32_t place) {
    passing w = {.s = s, .p = p, .f = judge_fate(b, p), .packet_id = packet_id, .place = place};
    porch_message *m =
        porch_message_new(b->pool, p->topic, p->properties, p->payload, p->qos, porch_shard_now(b->shard));
    if (m == NULL) return PORCH_ERR_NO_SPACE;
    m->publisher = s == NULL ? 0 : s->hash;
    m->retain = p->retain;
    m->queued = w.f.queued;
    w.message = m;
    bool received = s != NULL && packet_id != 0 && p->qos == 2 && s->number != 0 && b->lane != NULL;
    bool behind = s != NULL && s->pending_fleeting + (p->qos > 0 ? s->pending_publishes : 0) > 0;
    if (!w.f.waits && !received && !behind) {
        pass_now(b, &w);
        return PORCH_OK;
    }
    porch_err e = pass_later(b, &w, received);
    if (e != PORCH_OK) porch_message_release(b->pool, m);
    return e;
}

porch_taken porch_broker_speak(porch_broker_shard *b, porch_session *publisher,
                               const porch_publication *p) {
    if (!porch_broker_can_route(b)) return PORCH_STALL;
    porch_err e = pass_on(b, publisher, p, 0, 0);
    if (e == PORCH_ERR_BUSY) return PORCH_STALL;
    if (e != PORCH_OK)
        porch_log(PORCH_LOG_ERROR, "broker.own_message_lost", "topic", porch_log_bytes(p->topic).text,
                  "reason", porch_err_text(e), NULL);
    return PORCH_TAKEN;
}

/* ---- from a client ---- */

static void broke(porch_session *s, uint8_t reason, const char *what) {
    porch_broker_count(&s->home->counts.protocol_errors, 1);
    porch_session_disconnect(s, reason, what);
}

/* The alias's topic in place of an empty one, and the other way round. False: the session is over. */
static bool resolve_alias(porch_session *s, porch_mqtt_publish *p) {
    if (!porch_mqtt_property_has(&p->properties, PORCH_MQTT_PROP_TOPIC_ALIAS)) return true;
    uint16_t alias = (uint16_t)porch_mqtt_property_number(&p->properties, PORCH_MQTT_PROP_TOPIC_ALIAS, 0);
    if (alias == 0 || alias > s->alias_in.most) {
        broke(s, PORCH_MQTT_RC_TOPIC_ALIAS_INVALID,
              "a topic alias above the one that was agreed (broker.topic_aliases)");
        return false;
    }
    if (p->topic.text.len == 0) {
        p->topic.text = porch_alias_topic_of(&s->alias_in, alias);
        if (p->topic.text.len > 0) return true;
        broke(s, PORCH_MQTT_RC_PROTOCOL_ERROR, "a topic alias that was never set");
        return false;
    }
    if (p->topic.text.len > s->home->broker->settings.broker_topic_bytes) {
        porch_session_disconnect(s, PORCH_MQTT_RC_TOPIC_NAME_INVALID,
                                 "a topic alias for a topic that is too long (broker.topic_bytes)");
        return false;
    }
    if (porch_alias_set(&s->alias_in, s->home->pool, alias, p->topic.text)) return true;
    porch_session_disconnect(s, PORCH_MQTT_RC_QUOTA_EXCEEDED, "no memory for a topic alias");
    return false;
}

/* Said again on the same connection before it was written down: its answer comes behind the first one's. */
static bool is_being_saved(porch_session *s, const porch_mqtt_publish *p) {
    porch_received_one *one = p->qos == 2 ? porch_received_find(&s->received, p->packet_id) : NULL;
    return one != NULL && one->state == PORCH_RECEIVED_SAVING && one->link == s->link;
}

/* Has this QoS 2 publication been taken before (MQTT-4.3.3-10)? Then it is only answered. */
static bool is_repeated(porch_session *s, const porch_mqtt_publish *p) {
    porch_received_one *one = p->qos == 2 ? porch_received_find(&s->received, p->packet_id) : NULL;
    if (one == NULL) return false;
    uint32_t place = porch_session_expect_ack(s, PORCH_MQTT_PUBREC, p->packet_id);
    if (one->state == PORCH_RECEIVED_SAVING) {
        one->link = s->link;
        one->place = place;
    } else {
        porch_session_acknowledge(s, place, PORCH_MQTT_RC_SUCCESS);
    }
    return true;
}

/* False: not now; or the session has ended for it. MQTT 3.1.1 knows no Receive Maximum: its client waits
 * while the hub owes it answers. Where it owes none, only PUBRELs could make room, and they stand behind
 * this packet. */
static bool room_for_ack(porch_session *s, const porch_mqtt_publish *p) {
    if (p->qos == 0) return true;
    uint32_t most = s->home->broker->settings.broker_receive_maximum;
    if (porch_session_unacknowledged(s) >= most) porch_session_send_acks(s);
    bool full = porch_session_unacknowledged(s) >= most;
    if (!porch_session_make_acks(s)) return false;
    if (!full || (p->qos == 2 && porch_received_find(&s->received, p->packet_id) != NULL)) return true;
    if (s->version == PORCH_MQTT_V5 || porch_acks_waiting(&s->acks) == 0) {
        broke(s, PORCH_MQTT_RC_RECEIVE_MAXIMUM_EXCEEDED,
              "more unacknowledged publications than broker.receive_maximum");
    }
    return false;
}

static porch_taken take_judged(porch_session *s, const porch_mqtt_publish *p) {
    porch_broker_shard *b = s->home;
    porch_publication word = {.topic = p->topic.text,
                              .payload = p->payload,
                              .properties = &p->properties,
                              .qos = p->qos,
                              .retain = p->retain};
    porch_received_one *one = NULL;
    uint32_t place = 0;
    if (p->qos == 2) {
        one = porch_received_put(&s->received, b->pool, p->packet_id);
        if (one == NULL) return PORCH_STALL;
    }
    /* The place is taken last of all that may fail, and given back by being last. */
    if (p->qos > 0) place = porch_session_expect_ack(s, ack_type(p), p->packet_id);
    if (one != NULL) {
        one->link = s->link;
        one->place = place;
    }
    porch_err e = pass_on(b, s, &word, p->packet_id, place);
    if (e == PORCH_OK) return PORCH_TAKEN;
    if (p->qos == 2) porch_received_drop(&s->received, p->packet_id);
    if (p->qos > 0) porch_acks_take_back(&s->acks);
    if (p->qos == 1) s->pubacks--;
    if (e == PORCH_ERR_BUSY) return PORCH_STALL;
    const char *why = e == PORCH_ERR_LIMIT ? "the message is too large to be stored (store.lane_bytes)"
                                           : "no memory for messages (broker.memory_bytes)";
    if (e != PORCH_ERR_LIMIT && s->version != PORCH_MQTT_V5 && p->qos > 0) {
        porch_session_disconnect(s, PORCH_MQTT_RC_QUOTA_EXCEEDED, why); /* not acknowledged */
    } else {
        refuse(s, p, PORCH_MQTT_RC_QUOTA_EXCEEDED, why);
    }
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
    if (!room_for_ack(s, &p)) return s->ending ? PORCH_TAKEN : PORCH_STALL;
    if (!porch_broker_can_route(b) || is_being_saved(s, &p)) return PORCH_STALL;
    if (!resolve_alias(s, &p) || is_repeated(s, &p)) return PORCH_TAKEN;
    if (!allowed(s, &p) || !acceptable(s, &p)) {
        hold_rate(s, frame->bytes);
        return PORCH_TAKEN;
    }
    porch_taken taken = take_judged(s, &p);
    if (taken == PORCH_STALL) return taken;
    porch_broker_count(&b->counts.messages_in, 1);
    porch_broker_count(&b->counts.bytes_in, (int64_t)frame->bytes);
    hold_rate(s, frame->bytes);
    return taken;
}
