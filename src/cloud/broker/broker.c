#include "cloud/broker/broker.h"

#include <stdlib.h>
#include <string.h>

#include "cloud/broker/room.h"
#include "os/log.h"

/* ---- hooks of the listener ---- */

static void lane_wake(void *ctx) {
    porch_broker_shard *b = ctx;
    pthread_mutex_lock(&b->lock);
    if (b->shard != NULL) porch_shard_wake(b->shard);
    pthread_mutex_unlock(&b->lock);
}

static porch_err shard_start(void *ctx, porch_shard *shard, porch_why *why) {
    porch_broker *broker = ctx;
    unsigned index = porch_shard_index(shard);
    if (index >= PORCH_BROKER_SHARDS_MOST) return porch_fail(why, PORCH_ERR_CONFIG, "too many shards");
    porch_broker_shard *b = &broker->shards[index];
    b->pool = porch_shard_pool(shard);
    if (b->trie == NULL) b->trie = porch_trie_new(broker->seed);
    if (b->kept == NULL) b->kept = porch_trie_new(broker->seed);
    if (b->retained == NULL) b->retained = porch_retained_new(broker->seed);
    if (b->memo == NULL) b->memo = porch_memo_new(broker->seed);
    if (b->verdicts == NULL) b->verdicts = porch_verdicts_new();
    if (b->trie == NULL || b->kept == NULL || b->retained == NULL || b->memo == NULL ||
        b->verdicts == NULL || !porch_interest_init(&b->interest, broker->seed))
        return porch_fail(why, PORCH_ERR_IO, "no memory for subscriptions");
    if (broker->config.store != NULL && b->lane == NULL) {
        b->lane = porch_store_lane_open(broker->config.store, lane_wake, b);
        if (b->lane == NULL) return porch_fail(why, PORCH_ERR_IO, "no memory for a lane to the store");
    }
    porch_shard_set_user(shard, b);
    pthread_mutex_lock(&b->lock);
    b->shard = shard;
    pthread_mutex_unlock(&b->lock);
    pthread_mutex_lock(&broker->lock);
    if (index + 1 > broker->shard_count) broker->shard_count = index + 1;
    broker->obeyed[index] = broker->tickets; /* nobody is here yet to be judged by old permissions */
    pthread_mutex_unlock(&broker->lock);
    return porch_broker_load(b, why);
}

static void bury(porch_broker_shard *b) {
    porch_session *waiting = NULL;
    while (b->dead != NULL) {
        porch_session *s = b->dead;
        b->dead = s->next_dead;
        if (s->pending_commits > 0) {
            s->next_dead = waiting;
            waiting = s;
        } else {
            porch_session_free(s);
        }
    }
    b->dead = waiting;
}

/* Sessions without a connection leave memory; the store has what the next start needs. */
static void shard_stop(void *ctx, porch_shard *shard) {
    porch_broker *broker = ctx;
    porch_broker_shard *b = &broker->shards[porch_shard_index(shard)];
    b->stopping = true; /* members of shared subscriptions go with the hub: they leave none */
    for (uint32_t before = UINT32_MAX; b->unsaid_count > 0 && b->unsaid_count < before;) {
        before = b->unsaid_count;
        porch_broker_say_unsaid(b); /* the store goes last */
    }
    for (size_t i = 0; i < b->bucket_count; i++)
        while (b->buckets[i] != NULL)
            porch_session_end(b->buckets[i], false);
    porch_share_forget_all(b);
    pthread_mutex_lock(&b->lock);
    b->shard = NULL;
    pthread_mutex_unlock(&b->lock);
    porch_broker_drop_pending(b);
    porch_broker_drop_forgets(b);
    bury(b);
    porch_retained_free(b->retained, b->pool);
    b->retained = NULL;
}

static void parcel(void *ctx, porch_shard *shard, const porch_parcel *p) {
    porch_broker_shard *b = porch_shard_user(shard);
    (void)ctx;
    if (p->kind == PORCH_PARCEL_HOLD) {
        porch_broker_hold(b, p->word, p->number);
    } else if (p->kind == PORCH_PARCEL_MESSAGE || p->kind == PORCH_PARCEL_RETAINED) {
        porch_message *m = p->at;
        if (p->kind == PORCH_PARCEL_RETAINED) porch_broker_retain_here(b, m);
        porch_broker_route_here(b, m, NULL);
        if (b->hold_ms > 0 && m->publisher != 0) {
            porch_parcel hold = {PORCH_PARCEL_HOLD, b->hold_ms, {.word = m->publisher}};
            (void)porch_shard_send(shard, (unsigned)(m->publisher % porch_shard_count(shard)), &hold);
        }
        porch_message_release(b->pool, m);
    }
}

static void turn(void *ctx, porch_shard *shard) {
    porch_broker_shard *b = porch_shard_user(shard);
    (void)ctx;
    porch_broker_take_commits(b);
    porch_broker_take_deadlines(b);
    porch_broker_take_replays(b);
    porch_broker_keep_tick(b);
    while (b->stalled != NULL) {
        porch_session *s = b->stalled;
        b->stalled = s->next_stalled;
        s->stalled = false;
        porch_session_listen(s);
    }
    bury(b);
}

static void conn_open(porch_conn *c) {
    porch_broker_shard *b = porch_shard_user(porch_conn_shard(c));
    porch_conn_timer(c, b->broker->settings.broker_connect_ms);
}

static void conn_closed(porch_conn *c) {
    porch_session *s = porch_conn_user(c);
    if (s == NULL) return;
    porch_conn_set_user(c, NULL);
    porch_session_detach(s);
}

static void conn_fill(porch_conn *c, porch_buf *out) {
    porch_session *s = porch_conn_user(c);
    if (s != NULL) porch_session_fill(s, out);
}

static void conn_timer(porch_conn *c) {
    porch_session *s = porch_conn_user(c);
    porch_broker_shard *b = porch_shard_user(porch_conn_shard(c));
    if (s != NULL) {
        porch_session_on_timer(s);
        return;
    }
    porch_broker_count(&b->counts.connects_refused, 1);
    if (porch_shard_may_log(b->shard))
        porch_log(PORCH_LOG_WARN, "mqtt.refused", "address", porch_conn_peer(c)->address, "packet",
                  "CONNECT", "reason", "no CONNECT in time (broker.connect_ms)", NULL);
    porch_conn_cut(c);
}

static void conn_drain(porch_conn *c) {
    porch_session *s = porch_conn_user(c);
    if (s == NULL) {
        porch_conn_close(c);
    } else {
        porch_session_disconnect(s, PORCH_MQTT_RC_SERVER_SHUTTING_DOWN, NULL);
    }
}

/* ---- packets of a session ---- */

static porch_taken on_ping(porch_session *s, const porch_mqtt_frame *frame) {
    porch_mqtt_fault fault;
    uint8_t text[4];
    porch_buf b = PORCH_BUF_OF(text);
    if (porch_mqtt_ping_read(frame, &fault) != PORCH_OK) {
        porch_session_fault(s, frame, &fault);
    } else if (porch_mqtt_pingresp_write(&b) == PORCH_OK) {
        porch_session_put(s, porch_buf_bytes(&b));
    }
    return PORCH_TAKEN;
}

static porch_taken on_disconnect(porch_session *s, const porch_mqtt_frame *frame) {
    porch_mqtt_fault fault;
    porch_mqtt_disconnect d;
    if (porch_mqtt_disconnect_read(frame, s->version, PORCH_MQTT_FROM_CLIENT, &fault, &d) != PORCH_OK) {
        porch_session_fault(s, frame, &fault);
        return PORCH_TAKEN;
    }
    if (porch_mqtt_property_has(&d.properties, PORCH_MQTT_PROP_SESSION_EXPIRY)) {
        uint32_t wants = porch_mqtt_property_number(&d.properties, PORCH_MQTT_PROP_SESSION_EXPIRY, 0);
        uint32_t most = s->home->broker->settings.broker_session_expiry_s;
        if (s->expiry_s == 0 && wants != 0) { /* MQTT-3.14.2-2 */
            fault =
                (porch_mqtt_fault){PORCH_MQTT_RC_PROTOCOL_ERROR, "a session expiry after none was agreed"};
            porch_session_fault(s, frame, &fault);
            return PORCH_TAKEN;
        }
        s->expiry_s = wants < most ? wants : most;
    }
    s->will_anyway = d.reason != PORCH_MQTT_RC_NORMAL_DISCONNECTION; /* MQTT-3.1.2-8, -3.14.4-3 */
    s->ending = s->said_goodbye = true;
    porch_conn_close(s->conn);
    return PORCH_TAKEN;
}

/* A second CONNECT and an authentication exchange: read for their shape, then out of place. */
static porch_taken on_misplaced(porch_session *s, const porch_mqtt_frame *frame) {
    porch_mqtt_fault fault = {PORCH_MQTT_RC_PROTOCOL_ERROR, "this packet has no place here"};
    porch_mqtt_auth auth;
    if (frame->type == PORCH_MQTT_AUTH) {
        (void)porch_mqtt_auth_read(frame, &fault, &auth);
    } else {
        fault.what = "a second CONNECT";
    }
    porch_session_fault(s, frame, &fault);
    return PORCH_TAKEN;
}

static porch_taken (*const handlers[PORCH_MQTT_TYPE_COUNT])(porch_session *, const porch_mqtt_frame *) = {
    [PORCH_MQTT_CONNECT] = on_misplaced,
    [PORCH_MQTT_PUBLISH] = porch_broker_on_publish,
    [PORCH_MQTT_PUBACK] = porch_broker_on_puback,
    [PORCH_MQTT_PUBREC] = porch_broker_on_pubrec,
    [PORCH_MQTT_PUBREL] = porch_broker_on_pubrel,
    [PORCH_MQTT_PUBCOMP] = porch_broker_on_pubcomp,
    [PORCH_MQTT_SUBSCRIBE] = porch_broker_on_subscribe,
    [PORCH_MQTT_UNSUBSCRIBE] = porch_broker_on_unsubscribe,
    [PORCH_MQTT_PINGREQ] = on_ping,
    [PORCH_MQTT_DISCONNECT] = on_disconnect,
    [PORCH_MQTT_AUTH] = on_misplaced,
};

static porch_taken take_packet(porch_session *s, const porch_mqtt_frame *frame) {
    porch_mqtt_fault fault;
    if (porch_mqtt_frame_judge(frame, s->version, PORCH_MQTT_FROM_CLIENT, &fault) != PORCH_OK) {
        porch_session_fault(s, frame, &fault);
        return PORCH_TAKEN;
    }
    porch_taken t = handlers[frame->type](s, frame);
    if (t == PORCH_STALL && s->conn != NULL && !s->ending) {
        porch_broker_shard *b = s->home;
        if (!s->stalled) {
            s->stalled = true;
            s->next_stalled = b->stalled;
            b->stalled = s;
        }
        porch_conn_pause(s->conn);
        porch_shard_again(b->shard, 1);
    }
    return t;
}

static void bad_frame(porch_broker_shard *b, porch_conn *c, porch_err e, const porch_mqtt_fault *fault) {
    porch_session *s = porch_conn_user(c);
    porch_why why;
    if (e == PORCH_ERR_LIMIT) {
        porch_fail(&why, e, "the packet is too large; the most is %u bytes (broker.packet_bytes)",
                   b->broker->settings.broker_packet_bytes);
    } else {
        porch_fail(&why, e, "malformed packet: %s",
                   fault->what != NULL ? fault->what : "its first bytes are off");
    }
    if (s != NULL) {
        porch_broker_count(&b->counts.protocol_errors, 1);
        porch_session_disconnect(s, fault->reason, why.text);
        return;
    }
    porch_broker_count(&b->counts.connects_refused, 1);
    if (porch_shard_may_log(b->shard))
        porch_log(PORCH_LOG_WARN, "mqtt.refused", "address", porch_conn_peer(c)->address, "packet",
                  "CONNECT", "reason", why.text, NULL);
    porch_conn_close(c);
}

static bool reading(const porch_conn *c) {
    const porch_session *s = porch_conn_user(c);
    if (porch_conn_closing(c)) return false;
    return s == NULL || (s->welcomed && !(s->stalled || s->choked || s->paused_until_ms > 0));
}

static size_t conn_take(porch_conn *c, porch_bytes in) {
    porch_broker_shard *b = porch_shard_user(porch_conn_shard(c));
    size_t used = 0;
    b->taking = c;
    while (used < in.len && reading(c)) {
        porch_session *s = porch_conn_user(c);
        porch_mqtt_frame frame;
        porch_mqtt_fault fault = {PORCH_MQTT_RC_MALFORMED_PACKET, NULL};
        porch_err e = porch_mqtt_frame_read((porch_bytes){in.at + used, in.len - used},
                                            b->broker->settings.broker_packet_bytes, &fault, &frame);
        if (s != NULL) s->last_in_ms = porch_shard_now(b->shard);
        if (e == PORCH_ERR_TRUNCATED) break;
        if (e != PORCH_OK) {
            bad_frame(b, c, e, &fault);
            break;
        }
        porch_taken t = s == NULL ? porch_broker_on_connect(b, c, &frame) : take_packet(s, &frame);
        if (t == PORCH_STALL) break;
        used += frame.bytes;
    }
    b->taking = NULL;
    if (porch_conn_user(c) != NULL) porch_session_send_acks(porch_conn_user(c));
    return used;
}

const porch_conn_hooks *porch_broker_hooks(void) {
    static const porch_conn_hooks hooks = {
        .shard_start = shard_start,
        .shard_stop = shard_stop,
        .parcel = parcel,
        .turn = turn,
        .open = conn_open,
        .take = conn_take,
        .fill = conn_fill,
        .closed = conn_closed,
        .timer = conn_timer,
        .drain = conn_drain,
    };
    return &hooks;
}
