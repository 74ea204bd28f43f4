/* A session's life: made at CONNECT, found by its key, ended with its connection or when its expiry has
 * passed without one (MQTT 5.0, sections 3.1.2.11.2 and 4.1); and its will, spoken when the connection ends
 * without a goodbye (section 3.1.2.5). */
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "cloud/broker/room.h"
#include "os/clock.h"
#include "os/log.h"

enum { BUCKETS_LEAST = 256, IDLE_MS = 5000, RETRY_MS = 20, REFUSED_MS = 1000, LOOK_MS = 60000 };

/* ---- the map ---- */

static uint64_t mix_text(uint64_t h, const char *text) {
    for (; *text != 0; text++)
        h = (h ^ (uint8_t)*text) * 0x100000001b3u;
    return (h ^ 0xff) * 0x100000001b3u;
}

uint64_t porch_session_hash(const porch_broker *broker, porch_identity_kind kind, const char *name,
                            const char *client_id) {
    uint64_t h = broker->seed ^ (uint64_t)kind;
    h = mix_text(mix_text(h, name), client_id);
    h ^= h >> 32;
    h *= 0xd6e8feb86659fd93u;
    return h ^ h >> 29;
}

porch_session *porch_session_find(porch_broker_shard *b, porch_identity_kind kind, const char *name,
                                  const char *client_id) {
    uint64_t hash = porch_session_hash(b->broker, kind, name, client_id);
    if (b->buckets == NULL) return NULL;
    for (porch_session *s = b->buckets[hash & (b->bucket_count - 1)]; s != NULL; s = s->chain) {
        if (s->hash == hash && s->entry.kind == kind && strcmp(s->entry.name, name) == 0 &&
            strcmp(s->client_id, client_id) == 0)
            return s;
    }
    return NULL;
}

static bool widen_map(porch_broker_shard *b) {
    if (b->session_count < b->bucket_count) return true;
    size_t count = b->bucket_count == 0 ? BUCKETS_LEAST : b->bucket_count * 2;
    porch_session **wider = calloc(count, sizeof(porch_session *));
    if (wider == NULL) return b->buckets != NULL;
    for (size_t i = 0; i < b->bucket_count; i++) {
        for (porch_session *s = b->buckets[i], *next; s != NULL; s = next) {
            next = s->chain;
            s->chain = wider[s->hash & (count - 1)];
            wider[s->hash & (count - 1)] = s;
        }
    }
    free(b->buckets);
    b->buckets = wider;
    b->bucket_count = count;
    return true;
}

static bool room_for_target(porch_broker_shard *b) {
    if (b->session_count < b->target_cap) return true;
    size_t cap = b->target_cap == 0 ? BUCKETS_LEAST : b->target_cap * 2;
    porch_session **wider = realloc(b->targets, cap * sizeof(porch_session *));
    if (wider == NULL) return false;
    b->targets = wider;
    b->target_cap = cap;
    return true;
}

static void unmap(porch_session *s) {
    porch_broker_shard *b = s->home;
    porch_session **at = &b->buckets[s->hash & (b->bucket_count - 1)];
    while (*at != s)
        at = &(*at)->chain;
    *at = s->chain;
    b->session_count--;
}

/* ---- parties ---- */

static porch_party *join_party(porch_broker *broker, porch_identity_kind kind, const char *name) {
    size_t bucket = porch_session_hash(broker, kind, name, "") % PORCH_BROKER_PARTY_BUCKETS;
    porch_party *p;
    pthread_mutex_lock(&broker->lock);
    for (p = broker->parties[bucket]; p != NULL; p = p->next)
        if (p->kind == kind && strcmp(p->name, name) == 0) break;
    if (p == NULL) {
        p = calloc(1, sizeof *p);
        if (p != NULL) {
            p->kind = kind;
            (void)porch_bytes_to_text(porch_bytes_of(name), p->name, sizeof p->name);
            p->next = broker->parties[bucket];
            broker->parties[bucket] = p;
        }
    }
    if (p != NULL && p->sessions >= broker->settings.broker_sessions) {
        p = NULL;
    } else if (p != NULL) {
        p->sessions++;
    }
    pthread_mutex_unlock(&broker->lock);
    return p;
}

static void leave_party(porch_broker *broker, porch_party *p) {
    size_t bucket = porch_session_hash(broker, p->kind, p->name, "") % PORCH_BROKER_PARTY_BUCKETS;
    pthread_mutex_lock(&broker->lock);
    if (--p->sessions == 0) {
        porch_party **at = &broker->parties[bucket];
        while (*at != p)
            at = &(*at)->next;
        *at = p->next;
        free(p);
    }
    pthread_mutex_unlock(&broker->lock);
}

/* ---- life ---- */

porch_session *porch_session_by_hash(porch_broker_shard *b, uint64_t hash) {
    if (b->buckets == NULL) return NULL;
    porch_session *s = b->buckets[hash & (b->bucket_count - 1)];
    while (s != NULL && s->hash != hash)
        s = s->chain;
    return s;
}

porch_session *porch_session_new(porch_broker_shard *b, const porch_registry_entry *entry,
                                 const char *client_id) {
    porch_session *s = calloc(1, sizeof *s);
    if (s == NULL || !widen_map(b) || !room_for_target(b)) goto fail;
    s->party = join_party(b->broker, entry->kind, entry->name);
    if (s->party == NULL) goto fail;
    s->policy = porch_grants_policy(b->broker->config.grants, entry);
    if (s->policy == NULL) goto fail;
    s->home = b;
    porch_session_judge_anew(s);
    s->entry = *entry;
    (void)porch_bytes_to_text(porch_bytes_of(client_id), s->client_id, sizeof s->client_id);
    s->hash = porch_session_hash(b->broker, entry->kind, entry->name, client_id);
    s->chain = b->buckets[s->hash & (b->bucket_count - 1)];
    b->buckets[s->hash & (b->bucket_count - 1)] = s;
    b->session_count++;
    porch_broker_count(&b->counts.sessions, 1);
    return s;
fail:
    if (s != NULL && s->party != NULL) leave_party(b->broker, s->party);
    free(s);
    return NULL;
}

void porch_session_attach(porch_session *s, porch_conn *c) {
    s->conn = c;
    s->link++;
    s->ending = s->stalled = s->choked = s->taken_over = s->said_goodbye = s->welcomed = false;
    s->last_in_ms = porch_shard_now(s->home->shard);
    s->paused_until_ms = 0;
    memcpy(s->address, porch_conn_peer(c)->address, sizeof s->address);
    porch_deadline_clear(&s->home->deadlines, &s->deadline);
    porch_conn_set_user(c, s);
}

/* What belonged to the connection alone. */
static void drop_link(porch_session *s) {
    porch_pool *pool = s->home->pool;
    s->conn = NULL;
    s->ending = true;
    porch_pool_give(pool, s->acks.slots);
    porch_pool_give(pool, s->big);
    s->acks = (porch_acks){NULL, 0, 0, 0};
    s->big = NULL;
    s->pubacks = 0;
    porch_alias_free(&s->alias_in, pool);
    porch_alias_free(&s->alias_out, pool);
}

void porch_session_drop_will(porch_session *s) {
    if (s->will.message != NULL) porch_message_release(s->home->pool, s->will.message);
    s->will.message = NULL;
    s->will_said = false;
}

static bool begun(const porch_flying *one) {
    return one->delivery.qos == 2 && one->sent;
}

static void give_back_one(porch_session *s, porch_flying *one, bool ends) {
    if (!ends) porch_session_write_done(s, one);
    if (begun(one) || one->delivery.message == NULL) {
        porch_share_done(s, &one->delivery, one->seq);
        porch_delivery_release(s->home, &one->delivery);
    } else {
        porch_share_back(s, &one->delivery);
    }
    porch_flight_drop(&s->flight, one);
}

/* In the order in which they were sent; without memory for that in any. */
static void give_back_flight(porch_session *s, bool ends) {
    uint32_t at = 0, n = 0;
    for (porch_flying *one; (one = porch_flight_next(&s->flight, &at)) != NULL;) {
        one->resend = one->delivery.share != 0 && (ends || !begun(one));
        if (one->resend) n++;
    }
    s->resends = 0; /* its next welcome marks anew */
    if (n == 0) return;
    porch_flying **list = porch_pool_take(s->home->pool, n * sizeof *list);
    if (list != NULL) n = porch_flight_resends(&s->flight, list, n);
    at = 0;
    for (uint32_t i = 0; list != NULL && i < n; i++)
        give_back_one(s, list[i], ends);
    for (porch_flying *one; list == NULL && (one = porch_flight_next(&s->flight, &at)) != NULL;)
        if (one->resend) give_back_one(s, one, ends);
    porch_pool_give(s->home->pool, list);
}

/* What members of a shared subscription have not acknowledged is for others, but for QoS 2 that had begun
 * (MQTT-4.8.2-4, -5); the oldest first, since it may be given to another one at once. */
static void give_back_shared(porch_session *s, bool ends) {
    uint32_t n = s->queue_count;
    give_back_flight(s, ends);
    for (uint32_t i = 0; i < n; i++) {
        porch_delivery d;
        (void)porch_session_take_first(s, &d);
        if (d.share != 0)
            porch_share_back(s, &d);
        else if (!porch_session_put_last(s, &d))
            porch_delivery_release(s->home, &d);
    }
}

/* QoS 0 is for those who listen. */
static void drop_fleeting(porch_session *s) {
    uint32_t n = s->queue_count;
    for (uint32_t i = 0; i < n; i++) {
        porch_delivery d;
        (void)porch_session_take_first(s, &d);
        if (d.qos == 0 || !porch_session_put_last(s, &d)) porch_delivery_release(s->home, &d);
    }
}

static void log_closed(const porch_session *s, bool by_hub) {
    if (!porch_log_wants(PORCH_LOG_INFO) || !porch_shard_may_log(s->home->shard)) return;
    porch_log(PORCH_LOG_INFO, "mqtt.closed", porch_identity_kind_text(s->entry.kind), s->entry.name,
              "client", s->client_id, "address", s->address, "by",
              s->said_goodbye ? "client"
              : by_hub        ? "hub"
                              : "network",
              NULL);
}

void porch_session_detach(porch_session *s) {
    porch_broker_shard *b = s->home;
    bool by_hub = s->ending;
    log_closed(s, by_hub);
    drop_link(s);
    if (s->entry.kind == PORCH_IDENTITY_DEVICE && !s->taken_over && b->broker->config.registry != NULL)
        porch_registry_seen(b->broker->config.registry, s->entry.name, false, porch_clock_ms());
    if (s->said_goodbye && !s->will_anyway) porch_session_drop_will(s);
    if (!porch_session_lasts(s) && s->will.message == NULL) {
        porch_session_end(s, true);
        return;
    }
    porch_share_tell(s, false);
    give_back_shared(s, false);
    drop_fleeting(s);
    uint64_t now = porch_shard_now(b->shard);
    uint64_t life_ms = (uint64_t)s->expiry_s * 1000, delay_ms = (uint64_t)s->will.delay_s * 1000;
    s->ended_ms = porch_clock_ms();
    s->expires_ms = s->expiry_s == UINT32_MAX ? UINT64_MAX : now + life_ms;
    s->will_due_ms = now + (delay_ms < life_ms || s->expiry_s == UINT32_MAX ? delay_ms : life_ms);
    uint8_t text[PORCH_NOTE_BYTES];
    porch_buf note = PORCH_BUF_OF(text);
    /* A hub that goes down leaves wills to its next start, as after a crash. */
    if (s->number != 0 && !porch_shard_draining(b->shard) &&
        porch_note_session_ended(&note, s->number, s->ended_ms, s->expiry_s, s->will.message != NULL) ==
            PORCH_OK)
        porch_broker_note_surely(b, s, &note);
    porch_session_set_deadline(s);
}

/* Its row goes; one that no store has taken, or will, need not. */
static void forget_row(porch_session *s) {
    uint8_t text[PORCH_NOTE_BYTES];
    porch_buf note = PORCH_BUF_OF(text);
    if (s->number != 0 && (s->written || s->pending_commits > 0))
        (void)porch_note_session_drop(&note, s->number);
    if (s->replaces != 0 && s->pending_commits == 0) (void)porch_note_session_drop(&note, s->replaces);
    if (note.len > 0) porch_broker_note_surely(s->home, NULL, &note);
}

void porch_session_end(porch_session *s, bool forget) {
    porch_broker_shard *b = s->home;
    if (s->over) return;
    s->over = true;
    if (s->conn != NULL) drop_link(s);
    if (forget) forget_row(s);
    porch_session_end_lasting(s);
    porch_deadline_clear(&b->deadlines, &s->deadline);
    unmap(s);
    porch_share_tell(s, false);
    give_back_shared(s, true);
    porch_session_unsubscribe_all(s);
    porch_session_end_replays(s);
    porch_session_drop_queue(s);
    uint32_t at = 0;
    for (porch_flying *one; (one = porch_flight_next(&s->flight, &at)) != NULL;)
        porch_delivery_release(b, &one->delivery);
    s->flight.used = 0;
    porch_flight_free(&s->flight, b->pool);
    porch_received_free(&s->received, b->pool);
    porch_session_drop_will(s);
    leave_party(b->broker, s->party);
    s->party = NULL;
    porch_broker_count(&b->counts.sessions, -1);
    s->next_dead = b->dead;
    b->dead = s;
}

void porch_session_free(porch_session *s) {
    porch_grants_policy_release(s->policy);
    free(s);
}

/* ---- deadlines ---- */

void porch_session_set_deadline(porch_session *s) {
    uint64_t due = s->expires_ms;
    if (s->will.message != NULL && s->will_due_ms < due) due = s->will_due_ms;
    if (due == UINT64_MAX) return;
    if (!porch_deadline_set(&s->home->deadlines, &s->deadline, due))
        porch_log(PORCH_LOG_ERROR, "broker.no_deadline", "client", s->client_id, "reason", "no memory",
                  NULL);
    if (s->home->shard != NULL && !s->home->loading)
        porch_shard_again(s->home->shard, 1); /* the turn looks how long there is to wait */
}

void porch_session_will_settled(porch_session *s, bool ok) {
    porch_broker_shard *b = s->home;
    s->will_said = false;
    if (ok) {
        porch_session_drop_will(s);
        porch_session_set_deadline(s);
        return;
    }
    if (!porch_deadline_set(&b->deadlines, &s->deadline, porch_shard_now(b->shard) + REFUSED_MS))
        porch_log(PORCH_LOG_ERROR, "broker.no_deadline", "client", s->client_id, "reason", "no memory",
                  NULL);
    s->will_due_ms = 0;
    porch_shard_again(b->shard, 1);
}

/* False: no room now. A will is a publication of its session's principal (MQTT-3.1.2-8). */
bool porch_session_speak_will(porch_session *s) {
    porch_message *m = s->will.message;
    porch_bytes topic = porch_message_topic(m);
    if (s->will_said) return true;
    uint8_t text[PORCH_NOTE_BYTES];
    porch_buf note = PORCH_BUF_OF(text);
    porch_mqtt_properties properties;
    if (porch_mqtt_properties_of(porch_message_properties(m), PORCH_MQTT_PUBLISH, NULL, &properties) !=
        PORCH_OK)
        properties = (porch_mqtt_properties){{NULL, 0}, 0};
    if (s->number != 0 && s->home->lane != NULL) (void)porch_note_will_spoken(&note, s->number);
    porch_publication p = {.topic = topic,
                           .payload = porch_message_payload(m),
                           .properties = &properties,
                           .note = porch_buf_bytes(&note),
                           .qos = m->qos,
                           .retain = m->retain,
                           .will = true};
    if (porch_quarantine_lets_publish(&s->entry, topic) &&
        porch_access_can_publish(s->policy, (porch_topic_name){topic}).allowed) {
        if (porch_broker_speak(s->home, s, &p) == PORCH_STALL) return false;
        if (s->will_said) return true; /* kept until the store has it */
        porch_broker_count(&s->home->counts.wills, 1);
    } else {
        porch_session_log(s, "mqtt.refused", "PUBLISH", "topic", topic, "the will is no longer permitted");
    }
    porch_session_drop_will(s);
    return true;
}

void porch_broker_take_deadlines(porch_broker_shard *b) {
    uint64_t now = porch_shard_now(b->shard);
    if (porch_shard_draining(b->shard)) return;
    for (porch_deadline *d; (d = porch_deadline_first(&b->deadlines)) != NULL && d->due_ms <= now;) {
        porch_session *s = (porch_session *)(void *)((uint8_t *)d - offsetof(porch_session, deadline));
        if (s->will.message != NULL && (s->will_due_ms <= now || s->expires_ms <= now) &&
            !porch_session_speak_will(s)) {
            (void)porch_deadline_set(&b->deadlines, d, now + RETRY_MS);
            break;
        }
        porch_deadline_clear(&b->deadlines, d);
        if (s->will_said) continue; /* the store's answer sets the next one */
        if (s->expires_ms <= now) {
            porch_broker_count(&b->counts.expired, 1);
            porch_session_end(s, true);
        } else {
            porch_session_set_deadline(s);
        }
    }
    const porch_deadline *next = porch_deadline_first(&b->deadlines);
    if (next != NULL) {
        uint64_t left = next->due_ms > now ? next->due_ms - now : 1;
        porch_shard_again(b->shard, left > LOOK_MS ? LOOK_MS : (uint32_t)left);
    }
}

/* ---- words for the operator and the peer ---- */

void porch_session_log(porch_session *s, const char *event, const char *packet, const char *detail_key,
                       porch_bytes detail, const char *reason) {
    if (!porch_shard_may_log(s->home->shard)) return;
    porch_log(PORCH_LOG_WARN, event, porch_identity_kind_text(s->entry.kind), s->entry.name, "client",
              s->client_id, "address", s->address, "packet", packet, "reason", reason, detail_key,
              detail_key == NULL ? NULL : porch_log_bytes(detail).text, NULL);
}

static void send_disconnect(porch_session *s, uint8_t reason, const char *what) {
    uint8_t text[512], raw[400];
    porch_buf b = PORCH_BUF_OF(text), r = PORCH_BUF_OF(raw);
    porch_mqtt_disconnect d = {reason, {{NULL, 0}, 0}};
    if (s->version != PORCH_MQTT_V5) return; /* there a server has no word but the end of the connection */
    if (what != NULL && s->problem_info &&
        porch_mqtt_property_put_text(&r, PORCH_MQTT_PROP_REASON_STRING, porch_bytes_of(what)) == PORCH_OK)
        (void)porch_mqtt_properties_of(porch_buf_bytes(&r), PORCH_MQTT_DISCONNECT, NULL, &d.properties);
    porch_err e = porch_mqtt_disconnect_write(&b, s->version, &d);
    if (e == PORCH_OK && b.len > s->packet_most) { /* MQTT-3.14.2-3 */
        b.len = 0;
        d.properties = (porch_mqtt_properties){{NULL, 0}, 0};
        e = porch_mqtt_disconnect_write(&b, s->version, &d);
    }
    if (e == PORCH_OK) porch_session_put(s, porch_buf_bytes(&b));
}

void porch_session_disconnect(porch_session *s, uint8_t reason, const char *what) {
    if (s->conn == NULL || s->ending) return;
    porch_session_send_acks(s);
    if (s->conn == NULL || s->ending) return; /* the peer had gone */
    s->ending = true;
    if (what != NULL)
        porch_session_log(s, "mqtt.refused", "DISCONNECT", NULL, (porch_bytes){NULL, 0}, what);
    if (s->welcomed) send_disconnect(s, reason, what);
    if (s->conn != NULL) porch_conn_close(s->conn);
}

void porch_session_fault(porch_session *s, const porch_mqtt_frame *frame, const porch_mqtt_fault *fault) {
    char why[200];
    const char *type = frame == NULL ? "packet" : porch_mqtt_type_name(frame->type);
    porch_broker_count(&s->home->counts.protocol_errors, 1);
    snprintf(why, sizeof why, "malformed %s: %s", type,
             fault->what != NULL ? fault->what : porch_mqtt_reason_text(fault->reason));
    porch_session_disconnect(s, fault->reason, why);
}

/* ---- time ---- */

void porch_session_arm(porch_session *s) {
    if (s->conn == NULL) return;
    uint64_t now = porch_shard_now(s->home->shard);
    uint64_t due = now + IDLE_MS;
    if (s->keep_alive_ms > 0) {
        uint64_t silent = s->last_in_ms + s->keep_alive_ms;
        due = silent > now + IDLE_MS ? silent : now + IDLE_MS;
        if (silent < due && silent > now) due = silent;
    } else if (now - s->last_in_ms > IDLE_MS) {
        due = 0;
    }
    if (s->last_in_ms + IDLE_MS > now && s->last_in_ms + IDLE_MS < due) due = s->last_in_ms + IDLE_MS;
    if (s->paused_until_ms > 0 && (due == 0 || s->paused_until_ms < due)) due = s->paused_until_ms;
    porch_conn_timer(s->conn, due == 0 ? 0 : due > now ? due - now : 1);
}

void porch_session_listen(porch_session *s) {
    if (s->conn != NULL && s->welcomed && !s->stalled && !s->choked && s->paused_until_ms == 0)
        porch_conn_resume(s->conn);
}

void porch_session_on_timer(porch_session *s) {
    uint64_t now = porch_shard_now(s->home->shard);
    if (s->paused_until_ms > 0) {
        if (now >= s->paused_until_ms) {
            s->paused_until_ms = 0;
            s->last_in_ms = now; /* it was not listened to */
            porch_session_listen(s);
        }
    } else if (!s->stalled && !s->choked && s->keep_alive_ms > 0 &&
               now - s->last_in_ms >= s->keep_alive_ms) {
        porch_broker_count(&s->home->counts.silent, 1);
        porch_session_disconnect(
            s, PORCH_MQTT_RC_KEEP_ALIVE_TIMEOUT,
            "nothing was heard for 1.5 keep-alive times (broker.keep_alive_s is the most)");
        return;
    } else if (now - s->last_in_ms >= IDLE_MS) {
        porch_conn_idle(s->conn);
    }
    porch_session_arm(s);
}
