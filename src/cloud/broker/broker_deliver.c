/* From a message to the queues of those who may hear it.
 *
 *   trie ─► targets, each session once at its highest QoS ─► deny judged ─► session's queue
 *
 * The queue is broker_queue.c's. Other shards where somebody may hear it get it through their rings. */
#include <stdlib.h>
#include <string.h>

#include "cloud/broker/room.h"
#include "os/log.h"

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
static void add_identifiers(porch_session *s, const porch_session *publisher, const porch_trie_entry *hits,
                            size_t count, porch_delivery *d) {
    if (s->round_identifiers > 1) {
        d->identifiers =
            porch_pool_take(s->home->pool, (1 + s->round_identifiers) * sizeof *d->identifiers);
        if (d->identifiers != NULL) d->identifiers[0] = 0; /* else the last one must do */
    }
    for (size_t i = 0; s->round_identifiers > 0 && i < count; i++) {
        if (hits[i].owner != s || hits[i].number == 0 || (hits[i].no_local && s == publisher)) continue;
        if (d->identifiers != NULL) {
            d->identifiers[++d->identifiers[0]] = hits[i].number;
        } else {
            d->identifier = hits[i].number;
        }
    }
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
        add_identifiers(s, publisher, a.hits, a.count, &d);
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
