/* The broker's door to the hub's other threads: life, publishing, cutting, counting. */
#include <stdlib.h>
#include <string.h>

#include "cloud/broker/room.h"
#include "crypto/random.h"
#include "os/clock.h"
#include "os/log.h"

enum { OUTSIDE_MOST = 8192, SETTLE_WAIT_S = 10 };

/* ---- life ---- */

/* Stored whatever the setting says: an acknowledged report of an update counts in its rollout. */
static const char always_stored[] = "d/+/update/status";

static porch_err read_stored(porch_broker *b, porch_why *why) {
    bool has_always = false;
    char *text = b->settings.broker_stored;
    for (char *at = text; *at != 0;) {
        size_t n = strcspn(at, " ");
        if (n > 0) {
            porch_bytes one = {(const uint8_t *)at, n};
            if (b->stored_count == PORCH_BROKER_STORED_MOST ||
                porch_topic_filter_parse(one, NULL, &b->stored[b->stored_count]) != PORCH_OK)
                return porch_fail(why, PORCH_ERR_CONFIG,
                                  "broker.stored: '%.*s' is no topic filter, or is one too many",
                                  PORCH_FMT(one));
            b->stored_count++;
            has_always = has_always || porch_bytes_eq_text(one, always_stored);
        }
        at += n + (at[n] == ' ' ? 1 : 0);
    }
    if (has_always) return PORCH_OK;
    porch_log(PORCH_LOG_INFO, "broker.stored_too", "topic", always_stored, "reason",
              "reports of updates are stored whatever broker.stored says", NULL);
    return porch_topic_filter_parse(porch_bytes_of(always_stored), NULL, &b->stored[b->stored_count++]);
}

porch_err porch_broker_new(const porch_broker_config *config, porch_broker **ret, porch_why *why) {
    porch_broker *b = calloc(1, sizeof *b);
    if (b == NULL) return porch_fail(why, PORCH_ERR_IO, "no memory for the broker");
    b->config = *config;
    b->settings = *config->settings;
    b->config.settings = &b->settings;
    porch_random(&b->seed, sizeof b->seed);
    pthread_mutex_init(&b->lock, NULL);
    pthread_condattr_t patience;
    pthread_condattr_init(&patience);
    pthread_condattr_setclock(&patience, CLOCK_MONOTONIC); /* the other one jumps */
    pthread_cond_init(&b->stamped, &patience);
    pthread_condattr_destroy(&patience);
    for (unsigned i = 0; i < PORCH_BROKER_SHARDS_MOST; i++) {
        b->shards[i].broker = b;
        b->shards[i].index = i;
        pthread_mutex_init(&b->shards[i].lock, NULL);
    }
    porch_err e = read_stored(b, why);
    b->exact_suback = strcmp(b->settings.access_suback_refusal, "unspecified") != 0;
    if (e == PORCH_OK && b->exact_suback && strcmp(b->settings.access_suback_refusal, "exact") != 0)
        e = porch_fail(why, PORCH_ERR_CONFIG, "access.suback_refusal is 'exact' or 'unspecified', not '%s'",
                       b->settings.access_suback_refusal);
    if (e == PORCH_OK && b->config.store != NULL) porch_store_on_note(b->config.store, porch_note_apply, b);
    if (e != PORCH_OK) {
        porch_broker_free(b);
        return e;
    }
    *ret = b;
    return PORCH_OK;
}

void porch_broker_free(porch_broker *b) {
    if (b == NULL) return;
    for (unsigned i = 0; i < PORCH_BROKER_SHARDS_MOST; i++) {
        porch_broker_shard *s = &b->shards[i];
        porch_trie_free(s->trie);
        porch_trie_free(s->kept);
        porch_memo_free(s->memo);
        porch_verdicts_free(s->verdicts);
        porch_interest_free(&s->interest);
        porch_deadlines_free(&s->deadlines);
        free(s->buckets);
        free(s->targets);
        pthread_mutex_destroy(&s->lock);
    }
    pthread_cond_destroy(&b->stamped);
    pthread_mutex_destroy(&b->lock);
    free(b);
}

porch_err porch_broker_admit(void *ctx, const porch_tls_peer_info *tls, uint64_t now_ms,
                             porch_principal *ret, porch_why *why) {
    porch_broker *b = ctx;
    porch_registry_entry e;
    const porch_identity *id = &tls->x509.identity;
    if (id->kind == PORCH_IDENTITY_NONE)
        return porch_fail(why, PORCH_ERR_AUTH, "the certificate names neither a device nor a service");
    PORCH_TRY(porch_registry_admit(b->config.registry, id->kind, id->name, tls->x509.fingerprint, now_ms,
                                   &e, why));
    memset(ret, 0, sizeof *ret);
    ret->kind = e.kind;
    memcpy(ret->name, e.name, sizeof ret->name);
    memcpy(ret->product, e.product, sizeof ret->product);
    memcpy(ret->household, e.household, sizeof ret->household);
    ret->quarantined = e.quarantined;
    return PORCH_OK;
}

/* ---- orders to the shards ---- */

/* Gives the note to the shard if it runs; it then owns it. */
static bool post(porch_broker_shard *b, porch_note *note) {
    pthread_mutex_lock(&b->lock);
    bool runs = b->shard != NULL;
    if (runs) porch_shard_post(b->shard, note);
    pthread_mutex_unlock(&b->lock);
    return runs;
}

typedef struct {
    porch_note note;
    uint8_t qos;
    size_t topic_len, payload_len;
    uint8_t data[];
} word;

static void say(porch_shard *shard, porch_note *note) {
    word *w = (word *)(void *)note;
    porch_broker_shard *b = porch_shard_user(shard);
    porch_bytes topic = {w->data, w->topic_len}, payload = {w->data + w->topic_len, w->payload_len};
    atomic_fetch_sub(&b->outside, 1);
    porch_message *m = porch_message_new(b->pool, topic, NULL, payload, w->qos, porch_shard_now(shard));
    if (m == NULL) {
        porch_log(PORCH_LOG_ERROR, "broker.own_message_lost", "topic", porch_log_bytes(topic).text,
                  "reason", "no memory for messages (broker.memory_bytes)", NULL);
    } else {
        porch_broker_route_here(b, m, NULL);
        porch_message_release(b->pool, m);
    }
    free(w);
}

static porch_err say_on(porch_broker_shard *b, porch_bytes topic, porch_bytes payload, uint8_t qos) {
    if (atomic_fetch_add(&b->outside, 1) >= OUTSIDE_MOST) {
        atomic_fetch_sub(&b->outside, 1);
        return PORCH_ERR_BUSY;
    }
    word *w = malloc(sizeof *w + topic.len + payload.len);
    bool posted = false;
    if (w != NULL) {
        w->note.run = say;
        w->qos = qos > 1 ? 1 : qos;
        w->topic_len = topic.len;
        w->payload_len = payload.len;
        memcpy(w->data, topic.at, topic.len);
        if (payload.len > 0) memcpy(w->data + topic.len, payload.at, payload.len);
        posted = post(b, &w->note);
    }
    if (posted) return PORCH_OK;
    atomic_fetch_sub(&b->outside, 1);
    porch_err e = w == NULL ? PORCH_ERR_BUSY : PORCH_OK; /* a shard that does not run has no subscribers */
    free(w);
    return e;
}

static unsigned shards_of(porch_broker *b) {
    pthread_mutex_lock(&b->lock);
    unsigned n = b->shard_count;
    pthread_mutex_unlock(&b->lock);
    return n;
}

porch_err porch_broker_publish(porch_broker *b, porch_bytes topic, porch_bytes payload, uint8_t qos) {
    porch_topic_name name;
    porch_err result = PORCH_OK;
    PORCH_TRY(porch_topic_name_parse(topic, NULL, &name));
    if (payload.len > b->settings.broker_packet_bytes) return PORCH_ERR_LIMIT;
    unsigned n = shards_of(b);
    for (unsigned i = 0; i < n; i++) {
        porch_err e = say_on(&b->shards[i], topic, payload, qos);
        if (e != PORCH_OK) result = e;
    }
    return result;
}

typedef struct {
    porch_note note;
    porch_identity_kind kind;
    bool everybody, every_person, of_sign_in, of_issuer;
    uint8_t sign_in[32];
    uint8_t issuer;
    uint8_t reason; /* 0: fetch permissions anew */
    char name[65];
} order;

static void carry_out(porch_session *s, const order *o) {
    if (o->reason == 0) {
        porch_session_regrant(s);
        return;
    }
    if (o->of_issuer) {
        porch_session_disconnect(s, o->reason,
                                 "the authority that issued its certificate is retired: it comes back with "
                                 "the newer one that it has");
        return;
    }
    /* Nothing of it stays: no session to come back to, no will. */
    s->expiry_s = 0;
    porch_session_drop_will(s);
    if (s->conn == NULL)
        porch_session_end(s, true);
    else
        porch_session_disconnect(s, o->reason,
                                 "its session was ended by the hub: revoked, removed or by an operator");
}

static bool concerns(const order *o, const porch_session *s) {
    const porch_registry_entry *e = &s->entry;
    if (o->everybody) return true;
    if (o->of_issuer) return s->conn != NULL && e->kind != PORCH_IDENTITY_PERSON && e->issuer == o->issuer;
    if (o->every_person) return e->kind == PORCH_IDENTITY_PERSON;
    if (o->of_sign_in)
        return e->kind == PORCH_IDENTITY_PERSON && memcmp(e->sign_in, o->sign_in, sizeof o->sign_in) == 0;
    return e->kind == o->kind && strcmp(e->name, o->name) == 0;
}

static void obey(porch_shard *shard, porch_note *note) {
    order *o = (order *)(void *)note;
    porch_broker_shard *b = porch_shard_user(shard);
    for (size_t i = 0; i < b->bucket_count; i++) {
        for (porch_session *s = b->buckets[i], *next; s != NULL; s = next) {
            next = s->chain;
            if (concerns(o, s)) carry_out(s, o);
        }
    }
    free(o);
}

/* A copy of the order for each shard. */
static void give_out(porch_broker *b, const order *what) {
    unsigned n = shards_of(b);
    for (unsigned i = 0; i < n; i++) {
        order *o = malloc(sizeof *o);
        if (o == NULL) {
            porch_log(PORCH_LOG_ERROR, "broker.order_lost", "name", what->name, "reason", "no memory",
                      NULL);
            return;
        }
        *o = *what;
        o->note.run = obey;
        if (!post(&b->shards[i], &o->note)) free(o); /* it has nobody whom this is about */
    }
}

static void order_all(porch_broker *b, porch_identity_kind kind, const char *name, uint8_t reason) {
    order o = {.kind = kind, .everybody = name == NULL, .reason = reason};
    if (name != NULL) (void)porch_bytes_to_text(porch_bytes_of(name), o.name, sizeof o.name);
    give_out(b, &o);
}

void porch_broker_end_sign_in(porch_broker *b, const uint8_t sign_in[32]) {
    order o = {.of_sign_in = true, .reason = PORCH_MQTT_RC_NOT_AUTHORIZED};
    memcpy(o.sign_in, sign_in, sizeof o.sign_in);
    give_out(b, &o);
}

void porch_broker_cut_issued(porch_broker *b, uint8_t issuer) {
    order o = {.of_issuer = true, .issuer = issuer, .reason = PORCH_MQTT_RC_ADMINISTRATIVE_ACTION};
    give_out(b, &o);
}

void porch_broker_regrant_people(porch_broker *b) {
    order o = {.every_person = true};
    give_out(b, &o);
}

void porch_broker_drop(porch_broker *b, porch_identity_kind kind, const char *name, uint8_t reason_code) {
    order_all(b, kind, name, reason_code == 0 ? PORCH_MQTT_RC_ADMINISTRATIVE_ACTION : reason_code);
}

void porch_broker_regrant(porch_broker *b, porch_identity_kind kind, const char *name) {
    order_all(b, kind, name, 0);
}

/* ---- waiting until they are obeyed ---- */

typedef struct {
    porch_note note;
    uint64_t ticket;
} mark;

/* A shard has done all that it was given before this mark, or does not run. */
static void stamp(porch_broker *b, unsigned shard, uint64_t ticket) {
    pthread_mutex_lock(&b->lock);
    if (b->obeyed[shard] < ticket) b->obeyed[shard] = ticket;
    pthread_cond_broadcast(&b->stamped);
    pthread_mutex_unlock(&b->lock);
}

static void reach(porch_shard *shard, porch_note *note) {
    mark *m = (mark *)(void *)note;
    porch_broker_shard *b = porch_shard_user(shard);
    stamp(b->broker, b->index, m->ticket);
    free(m);
}

static bool mark_all(porch_broker *b, uint64_t ticket) {
    unsigned n = shards_of(b);
    for (unsigned i = 0; i < n; i++) {
        mark *m = malloc(sizeof *m);
        if (m == NULL) return false;
        *m = (mark){.note.run = reach, .ticket = ticket};
        if (post(&b->shards[i], &m->note)) continue;
        stamp(b, i, ticket);
        free(m);
    }
    return true;
}

/* Under the lock. A later ticket is as good: its marks were set after this one's orders. */
static bool all_obeyed(const porch_broker *b, uint64_t ticket) {
    for (unsigned i = 0; i < b->shard_count; i++)
        if (b->obeyed[i] < ticket) return false;
    return true;
}

bool porch_broker_settle(porch_broker *b) {
    pthread_mutex_lock(&b->lock);
    uint64_t ticket = ++b->tickets;
    pthread_mutex_unlock(&b->lock);
    const struct timespec until = porch_clock_mono_after(SETTLE_WAIT_S * 1000000000ull);
    if (!mark_all(b, ticket)) return false;
    pthread_mutex_lock(&b->lock);
    int late = 0;
    while (!all_obeyed(b, ticket) && late == 0)
        late = pthread_cond_timedwait(&b->stamped, &b->lock, &until);
    bool done = all_obeyed(b, ticket);
    pthread_mutex_unlock(&b->lock);
    return done;
}

/* ---- counting ---- */

void porch_broker_read_counts(const porch_broker *b, porch_broker_counts *ret) {
    memset(ret, 0, sizeof *ret);
    for (unsigned i = 0; i < PORCH_BROKER_SHARDS_MOST; i++) {
        const porch_broker_shard_counts *c = &b->shards[i].counts;
#define PORCH_BROKER_SUM(field) ret->field += atomic_load_explicit(&c->field, memory_order_relaxed)
        PORCH_BROKER_SUM(sessions);
        PORCH_BROKER_SUM(subscriptions);
        PORCH_BROKER_SUM(connects);
        PORCH_BROKER_SUM(connects_refused);
        PORCH_BROKER_SUM(taken_over);
        PORCH_BROKER_SUM(messages_in);
        PORCH_BROKER_SUM(messages_out);
        PORCH_BROKER_SUM(bytes_in);
        PORCH_BROKER_SUM(bytes_out);
        PORCH_BROKER_SUM(publishes_refused);
        PORCH_BROKER_SUM(subscribes_refused);
        PORCH_BROKER_SUM(delivery_refused);
        PORCH_BROKER_SUM(dropped_slow);
        PORCH_BROKER_SUM(disconnected_slow);
        PORCH_BROKER_SUM(rate_limited);
        PORCH_BROKER_SUM(protocol_errors);
        PORCH_BROKER_SUM(stored);
        PORCH_BROKER_SUM(store_refused);
        PORCH_BROKER_SUM(resumed);
        PORCH_BROKER_SUM(expired);
        PORCH_BROKER_SUM(wills);
        PORCH_BROKER_SUM(dropped_full);
        PORCH_BROKER_SUM(silent);
#undef PORCH_BROKER_SUM
        uint64_t retained = atomic_load_explicit(&b->shards[i].retained_count, memory_order_relaxed);
        if (retained > ret->retained) ret->retained = retained; /* each shard has all of them */
    }
}
