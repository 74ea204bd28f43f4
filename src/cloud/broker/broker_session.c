/* A session's life: made at CONNECT, found by its key, ended with its connection. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "cloud/broker/room.h"
#include "os/clock.h"
#include "os/log.h"

enum { BUCKETS_LEAST = 256, IDLE_MS = 5000 };

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

porch_session *porch_session_new(porch_broker_shard *b, porch_conn *c, const porch_registry_entry *entry,
                                 const char *client_id) {
    porch_session *s = calloc(1, sizeof *s);
    if (s == NULL || !widen_map(b) || !room_for_target(b)) goto fail;
    s->party = join_party(b->broker, entry->kind, entry->name);
    if (s->party == NULL) goto fail;
    s->policy = porch_grants_policy(b->broker->config.grants, entry);
    if (s->policy == NULL) goto fail;
    s->home = b;
    s->conn = c;
    s->entry = *entry;
    (void)porch_bytes_to_text(porch_bytes_of(client_id), s->client_id, sizeof s->client_id);
    memcpy(s->address, porch_conn_peer(c)->address, sizeof s->address);
    s->hash = porch_session_hash(b->broker, entry->kind, entry->name, client_id);
    s->chain = b->buckets[s->hash & (b->bucket_count - 1)];
    b->buckets[s->hash & (b->bucket_count - 1)] = s;
    b->session_count++;
    s->last_in_ms = porch_shard_now(b->shard);
    porch_broker_count(&b->counts.sessions, 1);
    porch_conn_set_user(c, s);
    return s;
fail:
    if (s != NULL && s->party != NULL) leave_party(b->broker, s->party);
    free(s);
    return NULL;
}

void porch_session_end(porch_session *s) {
    porch_broker_shard *b = s->home;
    porch_topic_filter f;
    bool by_hub = s->ending;
    s->conn = NULL;
    s->ending = true;
    unmap(s);
    for (size_t i = 0; i < s->subscription_count; i++) {
        f.text = (porch_bytes){(const uint8_t *)s->subscriptions[i].filter, s->subscriptions[i].len};
        if (porch_trie_remove(b->trie, f, s)) porch_broker_count(&b->counts.subscriptions, -1);
        porch_pool_give(b->pool, s->subscriptions[i].filter);
    }
    free(s->subscriptions);
    s->subscriptions = NULL;
    s->subscription_count = 0;
    porch_session_drop_queue(s);
    porch_pool_give(b->pool, s->window.slots);
    porch_pool_give(b->pool, s->acks.slots);
    s->window.slots = NULL;
    s->acks.slots = NULL;
    leave_party(b->broker, s->party);
    s->party = NULL;
    porch_broker_count(&b->counts.sessions, -1);
    if (s->entry.kind == PORCH_IDENTITY_DEVICE && !s->taken_over && b->broker->config.registry != NULL)
        porch_registry_seen(b->broker->config.registry, s->entry.name, false, porch_clock_ms());
    if (porch_log_wants(PORCH_LOG_INFO) && porch_shard_may_log(b->shard))
        porch_log(PORCH_LOG_INFO, "mqtt.closed", porch_identity_kind_text(s->entry.kind), s->entry.name,
                  "client", s->client_id, "address", s->address, "by",
                  s->said_goodbye ? "client"
                  : by_hub        ? "hub"
                                  : "network",
                  NULL);
    s->next_dead = b->dead;
    b->dead = s;
}

void porch_session_free(porch_session *s) {
    porch_grants_policy_release(s->policy);
    free(s);
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
    if (porch_mqtt_disconnect_write(&b, s->version, &d) == PORCH_OK)
        porch_session_put(s, porch_buf_bytes(&b));
}

void porch_session_disconnect(porch_session *s, uint8_t reason, const char *what) {
    if (s->conn == NULL || s->ending) return;
    s->ending = true;
    if (what != NULL)
        porch_session_log(s, "mqtt.refused", "DISCONNECT", NULL, (porch_bytes){NULL, 0}, what);
    send_disconnect(s, reason, what);
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
    if (s->conn != NULL && !s->stalled && !s->choked && s->paused_until_ms == 0) porch_conn_resume(s->conn);
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
        porch_session_disconnect(s, PORCH_MQTT_RC_KEEP_ALIVE_TIMEOUT,
                                 "nothing was heard for 1.5 keep-alive times");
        return;
    } else if (now - s->last_in_ms >= IDLE_MS) {
        porch_conn_idle(s->conn);
    }
    porch_session_arm(s);
}
