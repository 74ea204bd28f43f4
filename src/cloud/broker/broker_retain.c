/* Retained messages: kept on every shard, limited for the whole hub, and brought to new subscribers a few
 * at a time, so that a hundred thousand of them hold nobody else up. */
#include <string.h>

#include "cloud/broker/room.h"
#include "os/log.h"

enum {
    REPLAY_BITE = 32,   /* messages at a time into one session's queue */
    REPLAY_STEPS = 512, /* nodes looked at for them */
    REPLAY_TURN = 256,  /* messages in one turn of a shard */
    EXPIRE_STEPS = 4096,
    EXPIRE_MOST = 256 /* notes in one turn */
};

typedef struct {
    uint64_t messages, bytes;
} amount;

static bool fits(amount there, amount more, amount less, uint64_t messages_most, uint64_t bytes_most) {
    return there.messages + more.messages - less.messages <= messages_most &&
           there.bytes + more.bytes - less.bytes <= bytes_most;
}

/* A device has one session: what that has on its way below its own topics is what the device has. */
static bool is_own(const porch_session *s, porch_bytes topic) {
    size_t n = s == NULL ? 0 : strlen(s->entry.name);
    return n > 0 && s->entry.kind == PORCH_IDENTITY_DEVICE && topic.len >= 2 + n &&
           memcmp(topic.at + 2, s->entry.name, n) == 0 && (topic.len == 2 + n || topic.at[2 + n] == '/');
}

/* In all, and of one device, so that it takes no other's room. */
porch_err porch_broker_may_retain(porch_broker_shard *b, const porch_session *s, porch_bytes topic,
                                  porch_bytes payload) {
    const porch_settings *set = &b->broker->settings;
    if (payload.len == 0) return PORCH_OK;
    const porch_message *old = porch_retained_find(b->retained, topic);
    const amount all = {porch_retained_count(b->retained) + atomic_load(&b->broker->retaining),
                        porch_retained_bytes(b->retained) + atomic_load(&b->broker->retaining_bytes)},
                 more = {1, topic.len + payload.len};
    amount less = {0, 0}, own = {0, 0};
    if (old != NULL) less = (amount){1, porch_retained_weight(old)};
    if (!fits(all, more, less, set->broker_retained_messages, set->broker_retained_bytes))
        return PORCH_ERR_LIMIT;
    if (topic.len < 2 || topic.at[0] != 'd' || topic.at[1] != '/') return PORCH_OK;
    porch_retained_owned(b->retained, topic, &own.messages, &own.bytes);
    if (is_own(s, topic)) {
        own.messages += s->retaining;
        own.bytes += s->retaining_bytes;
    }
    return fits(own, more, less, set->broker_retained_device_messages, set->broker_retained_device_bytes)
               ? PORCH_OK
               : PORCH_ERR_LIMIT;
}

void porch_broker_measure_retaining(porch_broker_shard *b, porch_pending *p) {
    const porch_message *m = p->message;
    if (!m->retain || m->payload_len == 0) return;
    const porch_message *old = porch_retained_find(b->retained, porch_message_topic(m));
    uint64_t more = porch_retained_weight(m), less = old == NULL ? 0 : porch_retained_weight(old);
    p->retaining = old == NULL;
    p->retaining_bytes = more > less ? (uint32_t)(more - less) : 0;
}

void porch_broker_begin_retaining(porch_broker_shard *b, porch_session *s, const porch_pending *p) {
    if (!p->retaining && p->retaining_bytes == 0) return; /* most add nothing; the counts are all shards' */
    atomic_fetch_add(&b->broker->retaining, p->retaining);
    atomic_fetch_add(&b->broker->retaining_bytes, p->retaining_bytes);
    if (s == NULL) return;
    s->retaining += p->retaining;
    s->retaining_bytes += p->retaining_bytes;
}

void porch_broker_end_retaining(porch_broker_shard *b, porch_session *s, const porch_pending *p) {
    if (!p->retaining && p->retaining_bytes == 0) return;
    atomic_fetch_sub(&b->broker->retaining, p->retaining);
    atomic_fetch_sub(&b->broker->retaining_bytes, p->retaining_bytes);
    if (s == NULL) return;
    s->retaining -= p->retaining;
    s->retaining_bytes -= p->retaining_bytes;
}

void porch_broker_retain_here(porch_broker_shard *b, porch_message *m) {
    porch_err e = porch_retained_set(b->retained, b->pool, m, m->seq);
    atomic_store_explicit(&b->retained_count, porch_retained_count(b->retained), memory_order_relaxed);
    if (e == PORCH_OK) return;
    porch_log(PORCH_LOG_ERROR, "broker.not_retained", "topic", porch_log_bytes(porch_message_topic(m)).text,
              "reason", "no memory; it is back after the next start", NULL);
}

/* Each shard lets its own copy go by the clock; the first one writes that down for all. What could not be
 * written down is found again, at the next start at the latest. */
static bool write_expired(void *ctx, const porch_message *m) {
    porch_broker_shard *b = ctx;
    if (b->index != 0 || b->lane == NULL) return true;
    porch_buf note = {NULL, 0, PORCH_NOTE_BYTES + m->topic_len};
    note.at = porch_pool_take(b->pool, note.cap);
    bool ok = note.at != NULL && b->expired_notes < EXPIRE_MOST &&
              porch_note_retain_expired(&note, porch_message_topic(m), m->seq) == PORCH_OK;
    porch_store_message r = {.flags = PORCH_STORE_NOTE, .note = porch_buf_bytes(&note)};
    ok = ok && porch_broker_write(b, &r, NULL, NULL) == PORCH_OK;
    porch_pool_give(b->pool, note.at);
    if (ok) b->expired_notes++;
    return ok;
}

/* Section 3.3.1.3: it is discarded, and counts for no limit any more. */
void porch_broker_expire_retained(porch_broker_shard *b) {
    b->expired_notes = 0;
    porch_retained_expire(b->retained, b->pool, porch_shard_now(b->shard), EXPIRE_STEPS, write_expired, b);
    atomic_store_explicit(&b->retained_count, porch_retained_count(b->retained), memory_order_relaxed);
}

bool porch_session_replay(porch_session *s, porch_topic_filter filter, uint8_t qos, uint32_t identifier) {
    if (porch_retained_count(s->home->retained) == 0) return true;
    porch_replay *r = porch_pool_take(s->home->pool, sizeof *r + filter.text.len);
    if (r == NULL) return false;
    r->next = s->replays;
    r->walk = porch_retained_walk_begin(s->home->retained);
    r->identifier = identifier;
    r->qos = qos;
    r->len = filter.text.len;
    memcpy(r->filter, filter.text.at, filter.text.len);
    s->replays = r;
    s->home->replays++;
    porch_shard_again(s->home->shard, 0);
    return true;
}

static void end_one(porch_session *s, porch_replay **at) {
    porch_replay *r = *at;
    *at = r->next;
    s->home->replays--;
    porch_retained_walk_end(s->home->retained, &r->walk);
    porch_pool_give(s->home->pool, r);
}

void porch_session_end_replays(porch_session *s) {
    while (s->replays != NULL)
        end_one(s, &s->replays);
}

void porch_session_end_replay(porch_session *s, porch_bytes filter) {
    for (porch_replay **at = &s->replays; *at != NULL;) {
        if (porch_bytes_eq((porch_bytes){(*at)->filter, (*at)->len}, filter))
            end_one(s, at);
        else
            at = &(*at)->next;
    }
}

/* How many at once: a quarter of a small queue. */
static size_t bite(const porch_session *s) {
    size_t quarter = s->home->broker->settings.broker_queue_messages / 4;
    return quarter < REPLAY_BITE ? quarter : REPLAY_BITE;
}

/* Retained messages wait until half of the quota is free: they are never what fills it. */
static bool has_room(const porch_session *s) {
    const porch_settings *set = &s->home->broker->settings;
    return s->queue_count + bite(s) <= set->broker_queue_messages / 2 &&
           s->queue_bytes < set->broker_queue_bytes / 2;
}

/* MQTT-3.3.1-8: what a subscription begins with has the flag. */
static void bring(porch_session *s, const porch_replay *r, porch_message *m) {
    if (porch_message_expired(m, porch_shard_now(s->home->shard))) return;
    if (!porch_session_may_receive(s, porch_message_topic(m))) return;
    porch_delivery d = {.message = m,
                        .identifier = r->identifier,
                        .qos = r->qos < m->qos ? r->qos : m->qos,
                        .retain = true};
    (void)porch_session_deliver(s, &d);
}

static size_t replay_some(porch_session *s) {
    porch_replay *r = s->replays;
    porch_message *some[REPLAY_BITE];
    porch_topic_filter filter = {{r->filter, r->len}};
    size_t n = porch_retained_walk_next(s->home->retained, &r->walk, filter, some, bite(s), REPLAY_STEPS);
    for (size_t i = 0; i < n && !s->over; i++)
        bring(s, r, some[i]);
    if (r->walk.at == NULL && s->replays == r) end_one(s, &s->replays);
    return n;
}

/* Each session in turn gets a bite; who reads slowly waits for the socket, not for this. One whose client
 * is away waits for it: its welcome asks for the next turn. */
void porch_broker_take_replays(porch_broker_shard *b) {
    size_t n = 0;
    bool more = false, waits = false;
    if (b->replays == 0) return;
    for (size_t i = 0; i < b->bucket_count && b->replays > 0; i++) {
        for (porch_session *s = b->buckets[i], *next; s != NULL; s = next) {
            next = s->chain;
            if (s->replays == NULL || !s->welcomed || !porch_session_online(s)) continue;
            waits = true;
            if (!has_room(s)) continue;
            if (n >= REPLAY_TURN) {
                more = true;
                break;
            }
            n += 1 + replay_some(s);
            more = more || (s->replays != NULL && has_room(s));
        }
        if (n >= REPLAY_TURN) break;
    }
    if (more || n >= REPLAY_TURN)
        porch_shard_again(b->shard, 0);
    else if (waits)
        porch_shard_again(b->shard, 2);
}
