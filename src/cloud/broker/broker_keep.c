/* Sessions that outlive their connection, and the store: what must be kept for them, how far they have had
 * it, what may go.
 *
 *   kept      each shard knows the filters of all lasting sessions: a publication that none of them matches
 * is routed without the disk. While a change is on its way to the shards, everything is kept. settled every
 * shard's messages up to this number have been routed here cursor    a session has had everything up to
 * this number; after a crash it gets what follows again
 *
 * A cursor is written lazily: a QoS 1 delivery may be repeated. QoS 2 deliveries ahead of the cursor have
 * rows of their own (note.h), so that none is. */
#include <stdlib.h>
#include <string.h>

#include "cloud/broker/room.h"
#include "os/clock.h"
#include "os/log.h"

enum {
    TICK_MS = 1000,
    CURSOR_LAG = 10000, /* numbers after which a session that has had everything is written down */
    CURSOR_LAG_MS = 60000,
    PARCELS_A_TURN = 4096
};

/* ---- the filters ---- */

bool porch_broker_keeps(porch_broker_shard *b, porch_topic_name topic, porch_memo_topic *row) {
    if (atomic_load(&b->broker->keep_all) > 0) return true;
    if (row == NULL) return porch_trie_any(b->kept, topic);
    uint64_t change = porch_trie_change(b->kept);
    if (row->kept_change != change) row->kept = porch_trie_any(b->kept, topic);
    row->kept_change = change;
    return row->kept;
}

/* A change of `kept`, one copy for each shard. */
typedef struct {
    porch_note note;
    uint32_t owner;
    int by;
    size_t len;
    uint8_t filter[];
} change;

void porch_broker_kept_here(porch_broker_shard *b, unsigned owner, porch_bytes text, int by) {
    porch_topic_filter filter = {text};
    const void *who = &b->broker->shards[owner];
    porch_trie_entry *e = porch_trie_get(b->kept, filter, who);
    if (e != NULL) {
        e->number = (uint32_t)((int)e->number + by);
        if (e->number == 0) (void)porch_trie_remove(b->kept, filter, who);
        return;
    }
    bool was_there;
    porch_trie_entry fresh = {.owner = &b->broker->shards[owner], .number = 1};
    if (by > 0 && porch_trie_put(b->kept, filter, &fresh, &was_there) != PORCH_OK) {
        /* From now on everything is kept: slower, and nothing is lost. */
        atomic_fetch_add(&b->broker->keep_all, 1);
        porch_log(PORCH_LOG_ERROR, "broker.keeps_everything", "reason", "no memory for a kept filter",
                  NULL);
    }
}

static void obey_change(porch_shard *shard, porch_note *note) {
    change *c = (change *)(void *)note;
    porch_broker_shard *b = porch_shard_user(shard);
    porch_broker_kept_here(b, c->owner, (porch_bytes){c->filter, c->len}, c->by);
    if (c->by > 0) atomic_fetch_sub(&b->broker->keep_all, 1);
    free(c);
}

static void tell(porch_broker_shard *b, porch_broker_shard *to, porch_bytes filter, int by) {
    change *c = malloc(sizeof *c + filter.len);
    if (by > 0) atomic_fetch_add(&b->broker->keep_all, 1); /* stays so without memory for the word */
    if (c == NULL) return;
    *c = (change){.note = {.run = obey_change}, .owner = b->index, .by = by, .len = filter.len};
    memcpy(c->filter, filter.at, filter.len);
    pthread_mutex_lock(&to->lock);
    bool runs = to->shard != NULL;
    if (runs) porch_shard_post(to->shard, &c->note);
    pthread_mutex_unlock(&to->lock);
    if (runs) return;
    if (by > 0) atomic_fetch_sub(&b->broker->keep_all, 1);
    free(c);
}

void porch_broker_kept_filter(porch_broker_shard *b, porch_bytes filter, int by) {
    porch_broker_kept_here(b, b->index, filter, by);
    for (unsigned i = 0; i < porch_shard_count(b->shard); i++)
        if (i != b->index) tell(b, &b->broker->shards[i], filter, by);
}

/* ---- sessions ---- */

void porch_session_begin_lasting(porch_session *s) {
    porch_broker_shard *b = s->home;
    s->next_lasting = b->lasting;
    s->prev_lasting = NULL;
    if (b->lasting != NULL) b->lasting->prev_lasting = s;
    b->lasting = s;
}

void porch_session_end_lasting(porch_session *s) {
    porch_broker_shard *b = s->home;
    if (b->lasting != s && s->prev_lasting == NULL) return;
    *(s->prev_lasting != NULL ? &s->prev_lasting->next_lasting : &b->lasting) = s->next_lasting;
    if (s->next_lasting != NULL) s->next_lasting->prev_lasting = s->prev_lasting;
    s->next_lasting = s->prev_lasting = NULL;
}

void porch_session_had(porch_session *s, const porch_delivery *d, uint64_t seq) {
    if (d->share != 0)
        porch_share_done(s, d, seq);
    else if (d->lasts)
        s->cursor_moved = true;
}

static void add_will(const porch_session *s, porch_note_session *row) {
    const porch_message *m = s->will.message;
    row->has_will = m != NULL;
    if (m == NULL) return;
    row->will_qos = m->qos;
    row->will_retain = m->retain;
    row->will_delay_s = s->will.delay_s;
    row->will_topic = porch_message_topic(m);
    row->will_properties = porch_message_properties(m);
    row->will_payload = porch_message_payload(m);
}

bool porch_session_save(porch_session *s, bool connected, porch_buf *before, porch_pending *p) {
    if (s->number == 0) return porch_session_note_then(s, before, p);
    porch_note_session row = {.number = s->number,
                              .kind = (uint8_t)s->entry.kind,
                              .name = porch_bytes_of(s->entry.name),
                              .client_id = porch_bytes_of(s->client_id),
                              .version = (uint8_t)s->version,
                              .expiry_s = s->expiry_s,
                              .ended_ms = connected ? 0 : s->ended_ms,
                              .cursor = s->cursor_saved};
    add_will(s, &row);
    size_t cap = (size_t)2 * PORCH_NOTE_BYTES + row.name.len + row.client_id.len + row.will_topic.len +
                 row.will_properties.len + row.will_payload.len + before->len;
    porch_buf note = {porch_pool_take(s->home->pool, cap), 0, cap};
    if (note.at == NULL) return false;
    bool ok = porch_write_bytes(&note, porch_buf_bytes(before)) == PORCH_OK &&
              porch_note_session_put(&note, &row) == PORCH_OK && porch_session_note_then(s, &note, p);
    porch_pool_give(s->home->pool, note.at);
    return ok;
}

/* ---- cursors ---- */

/* The greatest number up to which the session has had everything. */
static uint64_t cursor_of(porch_session *s) {
    uint64_t low = s->home->settled + 1;
    for (uint32_t i = 0; i < s->queue_count; i++) {
        const porch_delivery *d = porch_session_queue_at(s, i);
        if (d->lasts && d->message->seq < low) low = d->message->seq;
    }
    uint32_t at = 0;
    for (porch_flying *one; (one = porch_flight_next(&s->flight, &at)) != NULL;)
        if (one->seq != 0 && one->delivery.share == 0 && one->seq < low) low = one->seq;
    return low - 1;
}

static uint64_t save_cursor(porch_session *s, uint64_t now) {
    uint64_t settled = s->home->settled;
    bool lags = settled - s->cursor_saved > CURSOR_LAG ||
                (settled > s->cursor_saved && now - s->cursor_saved_ms > CURSOR_LAG_MS);
    if (!s->cursor_moved && !lags) return s->cursor_saved;
    uint64_t cursor = cursor_of(s);
    s->cursor_moved = false;
    s->cursor_saved_ms = now;
    if (cursor <= s->cursor_saved) return s->cursor_saved;
    uint8_t text[PORCH_NOTE_BYTES];
    porch_buf note = PORCH_BUF_OF(text);
    s->cursor_saved = cursor;
    if (porch_note_cursor(&note, s->number, cursor) == PORCH_OK) porch_session_note(s, &note);
    return cursor;
}

/* Others count on it: what they are to have must lie in their rings before. */
void porch_broker_say_routed(porch_broker_shard *b, uint64_t seq) {
    porch_shard_send_out(b->shard);
    atomic_store_explicit(&b->routed, seq, memory_order_release);
}

/* What the shard itself has said is routed once its last answer is worked through; one that says nothing
 * has nothing on its way. */
static void advance_routed(porch_broker_shard *b) {
    uint64_t durable = porch_store_durable_seq(b->broker->config.store);
    if (b->pending_count > 0 || porch_store_lane_last(b->lane) != b->answer.upto) return;
    if (durable > atomic_load_explicit(&b->routed, memory_order_relaxed))
        porch_broker_say_routed(b, durable);
}

/* What all had sent off by the last tick has arrived by this one: a turn lies between. */
static void advance_settled(porch_broker_shard *b) {
    /* A turn takes at least PARCELS_A_TURN of each ring. */
    if (b->turns * PARCELS_A_TURN < b->broker->settings.broker_ring_slots) return;
    b->turns = 0;
    b->settled = b->settled_next;
    uint64_t least = UINT64_MAX;
    for (unsigned i = 0; i < porch_shard_count(b->shard); i++) {
        uint64_t routed = atomic_load_explicit(&b->broker->shards[i].routed, memory_order_acquire);
        if (routed < least) least = routed;
    }
    if (least > b->settled_next) b->settled_next = least;
    porch_retained_settle(b->retained, b->settled);
}

static void let_go(porch_broker *broker, unsigned shards) {
    uint64_t least = UINT64_MAX;
    for (unsigned i = 0; i < shards; i++) {
        uint64_t had = atomic_load(&broker->shards[i].had);
        if (had < least) least = had;
    }
    porch_store_hold(broker->config.store, least);
}

void porch_broker_keep_tick(porch_broker_shard *b) {
    uint64_t now = porch_shard_now(b->shard);
    b->turns++;
    if (b->lane == NULL) return;
    if (now < b->tick_due_ms) { /* whoever asked for an earlier turn has put the tick's aside */
        porch_shard_again(b->shard, (uint32_t)(b->tick_due_ms - now));
        return;
    }
    b->tick_due_ms = now + TICK_MS;
    advance_routed(b);
    advance_settled(b);
    porch_broker_say_unsaid(b);
    porch_broker_expire_retained(b);
    porch_broker_forget_again(b);
    uint64_t had = b->settled;
    for (porch_session *s = b->lasting; s != NULL; s = s->next_lasting) {
        uint64_t cursor = save_cursor(s, now);
        if (cursor < had) had = cursor;
    }
    had = porch_share_keep_tick(b, had);
    atomic_store(&b->had, had);
    if (b->index == 0) let_go(b->broker, porch_shard_count(b->shard));
    porch_shard_again(b->shard, TICK_MS);
}
