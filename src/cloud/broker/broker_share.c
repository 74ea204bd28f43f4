/* Shared subscriptions (MQTT 5.0, section 4.8.2): each message to one of the members.
 *
 *   any shard ─ message ─► owner shard: waiting ─ DELIVER ─► a member's home shard ─► its session's queue
 *                             ▲                                    │
 *                             └──── DONE (acknowledged) ───────────┤
 *                             └──── BACK (gone, denied, full) ─────┘   then another member gets it
 *
 * The owner is chosen by the hash of the subscription's whole text. Members take turns; one that is away or
 * has too much under way is passed over. Who sent a message back because it must not receive it is not
 * asked for that message again; while only members that are away or full are left for it, it is parked, so
 * that others do not wait behind it. What a dead member had not acknowledged goes back, but for QoS 2
 * deliveries that had begun (MQTT-4.8.2-5). With a lasting member the subscription has a cursor in the
 * store, as a session has. Words between shards are pool blocks, posted in order. */
#include <stdlib.h>
#include <string.h>

#include "cloud/broker/room.h"
#include "os/log.h"

typedef struct {
    uint64_t session; /* hash */
    uint32_t shard;
    uint32_t out; /* given to it and not answered */
    bool online, lasts;
} member;

typedef struct {
    porch_message *message;
    size_t weight;
    uint64_t *refused; /* sessions that must not have it: a pool block, or NULL */
    uint32_t refusals;
    uint32_t order; /* of arrival; counts up */
} waiting;

typedef struct {
    uint64_t seq;
    bool done;
} owed;

struct porch_share {
    porch_share *next;
    uint64_t id;
    char *text;                /* a pool block, zero-terminated */
    porch_topic_filter filter; /* within it */
    member *members;
    uint32_t member_count, member_cap, turn;
    waiting *queue; /* a ring, in order */
    uint32_t first, count, cap, orders;
    waiting *parked; /* in order; nobody that may have them can take them now */
    uint32_t parked_count, parked_cap;
    bool retry;   /* a member can take what it could not: look at the parked again */
    size_t bytes; /* of both */
    owed *owed;   /* what lasting members must get, in order of arrival */
    size_t owed_first, owed_count, owed_cap;
    uint64_t cursor_saved;
    bool moved;
};

enum { ASK_AGAIN_MS = 20 };

typedef enum { JOIN, JOINED, STATE, LEAVE, DELIVER, DONE, BACK } verb;

typedef struct {
    porch_note note;
    uint64_t share, session, seq;
    porch_message *message;
    uint64_t *refused; /* as in waiting */
    uint32_t refusals;
    uint32_t order; /* as in waiting */
    uint32_t from;  /* shard */
    uint8_t verb;
    bool online, lasts;
    bool denied; /* BACK: this member must not have it; JOINED: it could not join now */
    size_t len;
    char text[];
} word;

uint64_t porch_share_id(const porch_broker *broker, porch_bytes text) {
    uint64_t h = broker->seed ^ 0x5348415245u;
    for (size_t i = 0; i < text.len; i++)
        h = (h ^ text.at[i]) * 0x100000001b3u;
    h ^= h >> 31;
    h *= 0xd6e8feb86659fd93u;
    return (h ^ h >> 29) | 1;
}

static unsigned owner_of(const porch_broker_shard *b, uint64_t share) {
    return (unsigned)(share % porch_shard_count(b->shard));
}

/* ---- words ---- */

static void hear(porch_shard *shard, porch_note *note);

static word *compose(porch_broker_shard *b, verb v, uint64_t share, uint64_t session, size_t len) {
    word *w = porch_pool_take(b->pool, sizeof *w + len + 1);
    if (w == NULL) {
        if (porch_shard_may_log(b->shard))
            porch_log(PORCH_LOG_ERROR, "broker.share_word_lost", "reason",
                      "no memory for messages (broker.memory_bytes)", NULL);
        return NULL;
    }
    memset(w, 0, sizeof *w);
    w->note.run = hear;
    w->verb = (uint8_t)v;
    w->share = share;
    w->session = session;
    w->from = b->index;
    w->len = len;
    return w;
}

static void post(porch_broker_shard *b, unsigned to, word *w) {
    porch_broker_shard *other = &b->broker->shards[to];
    pthread_mutex_lock(&other->lock);
    bool runs = other->shard != NULL && !b->stopping;
    if (runs) porch_shard_post(other->shard, &w->note);
    pthread_mutex_unlock(&other->lock);
    if (runs) return;
    if (w->message != NULL) porch_message_release(b->pool, w->message);
    porch_pool_give(b->pool, w->refused);
    porch_pool_give(b->pool, w);
}

/* ---- the owner's side ---- */

static porch_share *find(porch_broker_shard *b, uint64_t id) {
    porch_share *s = b->shares;
    while (s != NULL && s->id != id)
        s = s->next;
    return s;
}

static bool lasts(const porch_share *s) {
    for (uint32_t i = 0; i < s->member_count; i++)
        if (s->members[i].lasts) return true;
    return false;
}

static porch_share *make(porch_broker_shard *b, uint64_t id, porch_bytes text) {
    porch_bytes group;
    bool was_there;
    porch_share *s = calloc(1, sizeof *s);
    if (s == NULL) return NULL;
    s->text = porch_pool_take(b->pool, text.len + 1);
    if (s->text == NULL) goto fail;
    memcpy(s->text, text.at, text.len);
    s->text[text.len] = 0;
    s->id = id;
    s->cursor_saved = b->settled;
    if (porch_mqtt_share_parse(porch_bytes_of(s->text), NULL, &group, &s->filter) != PORCH_OK) goto fail;
    porch_trie_entry e = {.owner = s, .qos = 2, .shared = true, .retain_as_published = true};
    if (porch_trie_put(b->trie, s->filter, &e, &was_there) != PORCH_OK) goto fail;
    porch_broker_hears(b, s->filter, 1);
    s->next = b->shares;
    b->shares = s;
    return s;
fail:
    porch_pool_give(b->pool, s->text);
    free(s);
    return NULL;
}

static waiting take_first(porch_share *s) {
    waiting w = s->queue[s->first];
    s->first = (s->first + 1) & (s->cap - 1);
    s->count--;
    return w;
}

static void pay(porch_share *s, uint64_t seq) {
    for (size_t i = 0; seq != 0 && i < s->owed_count; i++) {
        owed *o = &s->owed[(s->owed_first + i) & (s->owed_cap - 1)];
        if (o->seq != seq || o->done) continue;
        o->done = s->moved = true;
        break;
    }
    while (s->owed_count > 0 && s->owed[s->owed_first].done) {
        s->owed_first = (s->owed_first + 1) & (s->owed_cap - 1);
        s->owed_count--;
    }
}

static void drop(porch_broker_shard *b, porch_share *s, waiting w) {
    s->bytes -= w.weight;
    pay(s, w.message->queued ? w.message->seq : 0);
    porch_message_release(b->pool, w.message);
    porch_pool_give(b->pool, w.refused);
}

static void drop_oldest(porch_broker_shard *b, porch_share *s) {
    if (s->parked_count == 0) {
        drop(b, s, take_first(s));
        return;
    }
    waiting w = s->parked[0];
    memmove(s->parked, s->parked + 1, --s->parked_count * sizeof *s->parked);
    drop(b, s, w);
}

static void forget(porch_broker_shard *b, porch_share *s) {
    porch_share **at = &b->shares;
    while (*at != s)
        at = &(*at)->next;
    *at = s->next;
    while (s->count + s->parked_count > 0)
        drop_oldest(b, s);
    if (porch_trie_remove(b->trie, s->filter, s)) porch_broker_hears(b, s->filter, -1);
    porch_pool_give(b->pool, s->text);
    free(s->members);
    free(s->queue);
    free(s->parked);
    free(s->owed);
    free(s);
}

/* Doubles a ring of a power of two; the first element moves to the front. */
static void *widen(void *ring, size_t size, size_t first, size_t count, size_t cap) {
    uint8_t *wider = malloc((cap == 0 ? 16 : 2 * cap) * size);
    if (wider == NULL) return NULL;
    for (size_t i = 0; i < count; i++)
        memcpy(wider + i * size, (uint8_t *)ring + ((first + i) & (cap - 1)) * size, size);
    free(ring);
    return wider;
}

static bool room_to_wait(porch_share *s) {
    if (s->count < s->cap) return true;
    waiting *wider = widen(s->queue, sizeof *s->queue, s->first, s->count, s->cap);
    if (wider == NULL) return false;
    s->queue = wider;
    s->cap = s->cap == 0 ? 16 : 2 * s->cap;
    s->first = 0;
    return true;
}

static bool owe(porch_share *s, uint64_t seq) {
    if (s->owed_count == s->owed_cap) {
        owed *wider = widen(s->owed, sizeof *s->owed, s->owed_first, s->owed_count, s->owed_cap);
        if (wider == NULL) return false;
        s->owed = wider;
        s->owed_cap = s->owed_cap == 0 ? 16 : 2 * s->owed_cap;
        s->owed_first = 0;
    }
    s->owed[(s->owed_first + s->owed_count++) & (s->owed_cap - 1)] = (owed){seq, false};
    return true;
}

static bool refused_by(const waiting *w, uint64_t session) {
    for (uint32_t i = 0; i < w->refusals; i++)
        if (w->refused[i] == session) return true;
    return false;
}

/* The next in turn that can take one more, and may take this one as far as is known. */
static member *choose(porch_broker_shard *b, porch_share *s, const waiting *w) {
    for (uint32_t i = 0; i < s->member_count; i++) {
        member *m = &s->members[(s->turn + i) % s->member_count];
        if (!m->online || m->out >= b->broker->settings.broker_inflight || refused_by(w, m->session))
            continue;
        s->turn = (uint32_t)(m - s->members) + 1;
        return m;
    }
    return NULL;
}

/* Nobody who may have it is there or will come back. */
static bool hopeless(const porch_share *s, const waiting *w) {
    for (uint32_t i = 0; i < s->member_count; i++) {
        const member *m = &s->members[i];
        if ((m->online || m->lasts) && !refused_by(w, m->session)) return false;
    }
    return true;
}

typedef enum { GIVEN, DROPPED, STAYS } fate;

/* The caller removes what was given or dropped from where it lay. */
static fate give(porch_broker_shard *b, porch_share *s, waiting one) {
    if (hopeless(s, &one)) {
        if (one.refusals > 0) porch_broker_count(&b->counts.delivery_refused, 1);
        drop(b, s, one);
        return DROPPED;
    }
    member *m = choose(b, s, &one);
    word *w = m == NULL ? NULL : compose(b, DELIVER, s->id, m->session, 0);
    if (w == NULL) return STAYS;
    w->message = one.message;
    w->refused = one.refused;
    w->refusals = one.refusals;
    w->order = one.order;
    m->out++;
    s->bytes -= one.weight;
    post(b, m->shard, w);
    return GIVEN;
}

static void give_parked(porch_broker_shard *b, porch_share *s) {
    uint32_t left = 0;
    for (uint32_t i = 0; i < s->parked_count; i++) {
        waiting one = s->parked[i];
        if (give(b, s, one) == STAYS) s->parked[left++] = one;
    }
    s->parked_count = left;
    s->retry = false;
}

static bool park(porch_share *s, waiting one) {
    if (s->parked_count == s->parked_cap) {
        uint32_t cap = s->parked_cap == 0 ? 16 : 2 * s->parked_cap;
        waiting *wider = realloc(s->parked, cap * sizeof *wider);
        if (wider == NULL) return false;
        s->parked = wider;
        s->parked_cap = cap;
    }
    s->parked[s->parked_count++] = one;
    return true;
}

/* Gives out what waits, as far as members take it. */
static void pump(porch_broker_shard *b, porch_share *s) {
    if (b->loading) return;
    if (s->retry) give_parked(b, s);
    while (s->count > 0) {
        waiting one = s->queue[s->first];
        bool gone = give(b, s, one) != STAYS || (one.refusals > 0 && park(s, one));
        if (!gone) return; /* all are full or away: so it is for what is behind it */
        (void)take_first(s);
    }
}

void porch_share_take(porch_broker_shard *b, porch_share *s, porch_message *m) {
    const porch_settings *set = &b->broker->settings;
    if (b->loading && m->seq <= s->cursor_saved) return;
    bool kept = m->queued && m->seq != 0 && lasts(s);
    while (s->count + s->parked_count > 0 && (s->count + s->parked_count >= set->broker_queue_messages ||
                                              s->bytes >= set->broker_queue_bytes)) {
        porch_broker_count(&b->counts.dropped_full, 1);
        drop_oldest(b, s);
    }
    if (!room_to_wait(s) || (kept && !owe(s, m->seq))) return;
    porch_message_retain(m);
    waiting one = {.message = m, .weight = porch_message_weight(m), .order = s->orders++};
    s->queue[(s->first + s->count++) & (s->cap - 1)] = one;
    s->bytes += one.weight;
    pump(b, s);
}

static member *member_of(porch_share *s, uint64_t session) {
    for (uint32_t i = 0; i < s->member_count; i++)
        if (s->members[i].session == session) return &s->members[i];
    return NULL;
}

static bool add_member(porch_share *s, const member *one) {
    member *old = member_of(s, one->session);
    if (old != NULL) {
        old->online = one->online;
        old->lasts = one->lasts;
        return true;
    }
    if (s->member_count == s->member_cap) {
        uint32_t cap = s->member_cap == 0 ? 4 : 2 * s->member_cap;
        member *wider = realloc(s->members, cap * sizeof *wider);
        if (wider == NULL) return false;
        s->members = wider;
        s->member_cap = cap;
    }
    s->members[s->member_count++] = *one;
    return true;
}

bool porch_share_load_member(porch_broker_shard *b, porch_bytes text, uint64_t session, uint64_t cursor) {
    uint64_t id = porch_share_id(b->broker, text);
    porch_share *s = find(b, id);
    if (s == NULL) s = make(b, id, text);
    if (s == NULL) return false;
    s->cursor_saved = cursor;
    member one = {
        .session = session, .shard = (uint32_t)(session % porch_shard_count(b->shard)), .lasts = true};
    return add_member(s, &one);
}

/* The word itself is the answer: that one cannot fail. */
static void on_join(porch_broker_shard *b, word *w) {
    porch_bytes text = {(const uint8_t *)w->text, w->len};
    porch_share *s = find(b, w->share);
    if (s == NULL) s = make(b, w->share, text);
    member one = {.session = w->session, .shard = w->from, .online = w->online, .lasts = w->lasts};
    bool joins = s != NULL && add_member(s, &one);
    if (!joins && porch_shard_may_log(b->shard))
        porch_log(PORCH_LOG_ERROR, "broker.not_shared", "filter", porch_log_bytes(text).text, "reason",
                  "no memory; its SUBSCRIBE waits", NULL);
    w->verb = JOINED;
    w->denied = !joins;
    post(b, w->from, w);
    if (s == NULL) return;
    s->retry = true;
    if (s->member_count == 0)
        forget(b, s);
    else
        pump(b, s);
}

static void on_leave(porch_broker_shard *b, porch_share *s, const word *w) {
    member *m = member_of(s, w->session);
    if (m == NULL) return;
    bool lasted = lasts(s);
    *m = s->members[--s->member_count];
    if (lasted && !lasts(s)) {
        uint8_t text[PORCH_NOTE_BYTES + 1024];
        porch_buf note = PORCH_BUF_OF(text);
        porch_store_message r = {.flags = PORCH_STORE_NOTE};
        if (porch_note_share_drop(&note, porch_bytes_of(s->text)) == PORCH_OK)
            r.note = porch_buf_bytes(&note);
        if (b->lane != NULL && r.note.len > 0) (void)porch_broker_write(b, &r, NULL, NULL);
        s->owed_count = 0;
    }
    if (s->member_count == 0)
        forget(b, s);
    else
        pump(b, s);
}

/* One more that must not have it. Without memory the others are asked again: no harm but work. */
static void note_refusal(porch_broker_shard *b, waiting *one, uint64_t session) {
    uint64_t *wider = porch_pool_take(b->pool, (one->refusals + 1) * sizeof *wider);
    if (wider == NULL) return;
    if (one->refusals > 0) memcpy(wider, one->refused, one->refusals * sizeof *wider);
    wider[one->refusals++] = session;
    porch_pool_give(b->pool, one->refused);
    one->refused = wider;
}

/* Where it was; room was seen before. Mostly that is the front. */
static void insert(porch_share *s, waiting one) {
    uint32_t mask = s->cap - 1, at;
    s->first = at = (s->first - 1) & mask;
    s->count++;
    for (uint32_t i = 1; i < s->count; i++, at = (at + 1) & mask) {
        const waiting *next = &s->queue[(at + 1) & mask];
        if (next->order - one.order <= UINT32_MAX / 2) break;
        s->queue[at] = *next;
    }
    s->queue[at] = one;
}

/* In its place again, for another one. */
static void on_back(porch_broker_shard *b, porch_share *s, word *w) {
    if (w->message != NULL && room_to_wait(s)) {
        waiting one = {w->message, porch_message_weight(w->message), w->refused, w->refusals, w->order};
        w->message = NULL;
        w->refused = NULL;
        if (w->denied) note_refusal(b, &one, w->session);
        insert(s, one);
        s->bytes += one.weight;
    }
    pump(b, s);
}

static void on_owner(porch_broker_shard *b, word *w) {
    porch_share *s = find(b, w->share);
    if (s == NULL) return;
    member *m = member_of(s, w->session);
    if (m != NULL && (w->verb == DONE || w->verb == BACK) && m->out > 0) {
        if (m->out-- == b->broker->settings.broker_inflight) s->retry = true;
    }
    if (m != NULL && w->verb == STATE) m->online = w->online;
    if (w->verb == STATE || w->verb == LEAVE) s->retry = true;
    if (w->verb == DONE) pay(s, w->seq);
    if (w->verb == LEAVE)
        on_leave(b, s, w);
    else if (w->verb == BACK)
        on_back(b, s, w);
    else
        pump(b, s);
}

void porch_share_forget(porch_broker_shard *b, const porch_forget_order *o) {
    for (porch_share *s = b->shares; s != NULL; s = s->next) {
        uint32_t left = 0;
        for (uint32_t i = 0; i < s->parked_count; i++) {
            if (porch_forget_names(o, s->parked[i].message))
                drop(b, s, s->parked[i]);
            else
                s->parked[left++] = s->parked[i];
        }
        s->parked_count = left;
        for (uint32_t i = s->count; i > 0; i--) {
            waiting one = take_first(s);
            if (porch_forget_names(o, one.message))
                drop(b, s, one);
            else
                s->queue[(s->first + s->count++) & (s->cap - 1)] = one;
        }
    }
}

/* ---- the member's side ---- */

static porch_subscribed *subscription(porch_session *s, uint64_t share) {
    for (size_t i = 0; s != NULL && i < s->subscription_count; i++)
        if (s->subscriptions[i].share == share) return &s->subscriptions[i];
    return NULL;
}

static void reply(porch_broker_shard *b, verb v, uint64_t share, uint64_t session, uint64_t seq) {
    word *w = compose(b, v, share, session, 0);
    if (w == NULL) return;
    w->seq = seq;
    post(b, owner_of(b, share), w);
}

/* Said before what it gives back, so that it does not get it again. */
static void tell(porch_broker_shard *b, uint64_t share, uint64_t session, bool online) {
    word *w = compose(b, STATE, share, session, 0);
    if (w == NULL) return;
    w->online = online;
    post(b, owner_of(b, share), w);
}

static void give_back(porch_broker_shard *b, word *w, bool denied) {
    word *answer = compose(b, BACK, w->share, w->session, 0);
    if (answer == NULL) {
        porch_message_release(b->pool, w->message);
        return;
    }
    answer->message = w->message;
    answer->refused = w->refused;
    answer->refusals = w->refusals;
    answer->order = w->order;
    answer->denied = denied;
    w->refused = NULL;
    post(b, owner_of(b, w->share), answer);
}

static void on_deliver(porch_broker_shard *b, word *w) {
    porch_session *s = porch_session_by_hash(b, w->session);
    const porch_subscribed *one = subscription(s, w->share);
    porch_message *m = w->message;
    bool taken = false, there = one != NULL && porch_session_online(s);
    if (there && porch_session_may_receive(s, porch_message_topic(m))) {
        uint8_t qos = one->options & 3;
        porch_delivery d = {.message = m,
                            .share = w->share,
                            .identifier = one->identifier,
                            .order = w->order,
                            .qos = qos < m->qos ? qos : m->qos,
                            .retain = m->retain && (one->options & 8) != 0};
        taken = porch_session_deliver(s, &d);
    }
    if (taken) {
        porch_message_release(b->pool, m);
    } else {
        if (!there) tell(b, w->share, w->session, false);
        give_back(b, w, there);
    }
    w->message = NULL;
}

static void hear(porch_shard *shard, porch_note *note) {
    word *w = (word *)(void *)note;
    porch_broker_shard *b = porch_shard_user(shard);
    if (w->verb == JOIN) {
        on_join(b, w);
        return;
    }
    if (w->verb == DELIVER) {
        on_deliver(b, w);
    } else if (w->verb == JOINED) {
        porch_subscribed *one = subscription(porch_session_by_hash(b, w->session), w->share);
        if (one != NULL) one->joined = one->asked = !w->denied;
    } else {
        on_owner(b, w);
    }
    if (w->message != NULL) porch_message_release(b->pool, w->message);
    porch_pool_give(b->pool, w->refused);
    porch_pool_give(b->pool, w);
}

void porch_share_ask(porch_session *s, porch_subscribed *one) {
    porch_broker_shard *b = s->home;
    uint64_t now = porch_shard_now(b->shard);
    if (one->asked || now < one->ask_ms) return;
    one->ask_ms = now + ASK_AGAIN_MS;
    word *w = compose(b, JOIN, one->share, s->hash, one->len);
    if (w == NULL) return;
    memcpy(w->text, one->filter, one->len);
    w->online = porch_session_online(s);
    w->lasts = porch_session_lasts(s) && (one->options & 3) > 0 && b->lane != NULL;
    one->asked = true;
    post(b, owner_of(b, one->share), w);
}

void porch_share_leave(porch_session *s, const porch_subscribed *one) {
    reply(s->home, LEAVE, one->share, s->hash, 0);
}

void porch_share_tell(porch_session *s, bool online) {
    for (size_t i = 0; i < s->subscription_count; i++)
        if (s->subscriptions[i].share != 0) tell(s->home, s->subscriptions[i].share, s->hash, online);
}

void porch_share_done(porch_session *s, const porch_delivery *d, uint64_t seq) {
    reply(s->home, DONE, d->share, s->hash, seq);
}

void porch_share_back(porch_session *s, porch_delivery *d) {
    word *w = compose(s->home, BACK, d->share, s->hash, 0);
    if (w != NULL) {
        w->message = d->message;
        w->order = d->order;
        d->message = NULL; /* the word has it now */
        post(s->home, owner_of(s->home, d->share), w);
    }
    porch_delivery_release(s->home, d);
}

/* ---- the store ---- */

static uint64_t cursor_of(const porch_broker_shard *b, const porch_share *s) {
    uint64_t low = b->settled + 1;
    for (size_t i = 0; i < s->owed_count; i++) {
        const owed *o = &s->owed[(s->owed_first + i) & (s->owed_cap - 1)];
        if (!o->done && o->seq < low) low = o->seq;
    }
    return low - 1;
}

uint64_t porch_share_keep_tick(porch_broker_shard *b, uint64_t had) {
    for (porch_share *s = b->shares; s != NULL; s = s->next) {
        if (!lasts(s)) continue;
        uint64_t cursor = cursor_of(b, s);
        if (cursor > s->cursor_saved && (s->moved || cursor - s->cursor_saved > 10000)) {
            uint8_t text[PORCH_NOTE_BYTES + 1024];
            porch_buf note = PORCH_BUF_OF(text);
            porch_store_message r = {.flags = PORCH_STORE_NOTE};
            if (porch_note_share(&note, porch_bytes_of(s->text), cursor) == PORCH_OK)
                r.note = porch_buf_bytes(&note);
            if (r.note.len > 0 && porch_broker_write(b, &r, NULL, NULL) == PORCH_OK)
                s->cursor_saved = cursor;
            s->moved = false;
        }
        if (s->cursor_saved < had) had = s->cursor_saved;
    }
    return had;
}

uint64_t porch_share_least_cursor(const porch_broker_shard *b, uint64_t least) {
    for (const porch_share *s = b->shares; s != NULL; s = s->next)
        if (s->cursor_saved < least) least = s->cursor_saved;
    return least;
}

void porch_share_forget_all(porch_broker_shard *b) {
    while (b->shares != NULL)
        forget(b, b->shares);
}
