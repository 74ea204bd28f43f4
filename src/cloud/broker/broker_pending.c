/* What waits for the store: notes and messages go into the shard's lane, and what their answer sets free
 * waits in a ring, in the order of tickets.
 *
 *   write ─► lane, pending ─► (commit) ─► take_commits ─► route, acknowledge, welcome, answer, send
 *
 * A refused ticket (full disk, failing disk) has left nothing behind: whoever waited is told, or its
 * connection ends unacknowledged so that the client repeats. Where nobody waits and a client was told
 * already, the note is written again until the store takes it. */
#include <string.h>

#include "cloud/broker/room.h"
#include "os/log.h"

enum {
    PENDING_LEAST = 1024,
    UNSAID_MOST = 65536, /* notes that wait to be written again */
    UNSAID_TICK = 256    /* of them at a time */
};

static bool room_for_pending(porch_broker_shard *b, uint32_t more) {
    if (b->pending_cap - b->pending_count >= more) return true;
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

/* Publications under way: those behind them wait, each kind for its own. */
static void count_publish(porch_session *s, const porch_pending *p, int by) {
    if (p->kind != PORCH_PENDING_ROUTE) return;
    uint32_t *count = p->message->qos > 0 ? &s->pending_publishes : &s->pending_fleeting;
    *count = (uint32_t)((int)*count + by);
}

static void enter(porch_broker_shard *b, porch_session *s, porch_pending *p) {
    p->session = s;
    if (s != NULL) {
        p->link = s->link;
        s->pending_commits++;
        count_publish(s, p, 1);
    }
    b->pending[(b->pending_first + b->pending_count++) & (b->pending_cap - 1)] = *p;
}

porch_err porch_broker_room(porch_broker_shard *b, uint32_t records, size_t bytes) {
    if (b->lane == NULL) return PORCH_OK;
    return room_for_pending(b, records) ? porch_store_lane_takes(b->lane, records, bytes) : PORCH_ERR_BUSY;
}

porch_err porch_broker_write(porch_broker_shard *b, const porch_store_message *m, porch_session *s,
                             porch_pending *p) {
    uint64_t ticket = 0;
    if (p != NULL && !room_for_pending(b, 1)) return PORCH_ERR_BUSY;
    PORCH_TRY(porch_store_lane_append(b->lane, m, &ticket));
    if (p == NULL) return PORCH_OK;
    p->ticket = ticket;
    enter(b, s, p);
    return PORCH_OK;
}

bool porch_broker_follow(porch_broker_shard *b, porch_session *s, porch_pending *p) {
    if (!room_for_pending(b, 1)) return false;
    p->ticket = porch_store_lane_last(b->lane);
    p->follows = true;
    enter(b, s, p);
    return true;
}

void porch_session_note(porch_session *s, const porch_buf *note) {
    porch_store_message m = {.flags = PORCH_STORE_NOTE, .note = porch_buf_bytes(note)};
    if (s->home->lane != NULL) (void)porch_broker_write(s->home, &m, NULL, NULL);
}

bool porch_session_note_then(porch_session *s, const porch_buf *note, porch_pending *p) {
    porch_store_message m = {.flags = PORCH_STORE_NOTE, .note = porch_buf_bytes(note)};
    return porch_broker_write(s->home, &m, s, p) == PORCH_OK;
}

/* ---- what must be written in the end ---- */

static void drop_unsaid(porch_broker_shard *b, porch_unsaid *u) {
    if (u->session != NULL) u->session->pending_commits--;
    porch_pool_give(b->pool, u);
}

/* Its session stays in memory for it. */
static void keep_unsaid(porch_broker_shard *b, porch_unsaid *u) {
    if (b->unsaid_count >= UNSAID_MOST) {
        if (porch_shard_may_log(b->shard))
            porch_log(
                PORCH_LOG_ERROR, "broker.not_written", "reason",
                "too many notes wait for the store; sessions that have ended may be back after a restart",
                NULL);
        porch_pool_give(b->pool, u);
        return;
    }
    if (u->session != NULL) u->session->pending_commits++;
    u->next = NULL;
    *(b->unsaid_last != NULL ? &b->unsaid_last->next : &b->unsaid) = u;
    b->unsaid_last = u;
    b->unsaid_count++;
}

static porch_unsaid *take_unsaid(porch_broker_shard *b) {
    porch_unsaid *u = b->unsaid;
    b->unsaid = u->next;
    if (b->unsaid == NULL) b->unsaid_last = NULL;
    b->unsaid_count--;
    return u;
}

static bool say(porch_broker_shard *b, porch_unsaid *u) {
    porch_store_message m = {.flags = PORCH_STORE_NOTE, .note = {u->note, u->len}};
    porch_pending then = {.kind = PORCH_PENDING_AGAIN, .block = u};
    return porch_broker_write(b, &m, u->session, &then) == PORCH_OK;
}

void porch_broker_note_surely(porch_broker_shard *b, porch_session *s, const porch_buf *note) {
    if (b->lane == NULL) return;
    porch_unsaid *u = porch_pool_take(b->pool, sizeof *u + note->len);
    if (u == NULL) {
        porch_store_message m = {.flags = PORCH_STORE_NOTE, .note = porch_buf_bytes(note)};
        (void)porch_broker_write(b, &m, NULL, NULL);
        return;
    }
    *u = (porch_unsaid){.session = s, .link = s == NULL ? 0 : s->link, .len = (uint32_t)note->len};
    memcpy(u->note, note->at, note->len);
    if (!say(b, u)) keep_unsaid(b, u);
}

/* What a session's next connection, or its end, has written since says more. */
static bool holds(const porch_unsaid *u) {
    return u->session == NULL || (!u->session->over && u->session->link == u->link);
}

void porch_broker_say_unsaid(porch_broker_shard *b) {
    uint32_t most = b->unsaid_count < UNSAID_TICK ? b->unsaid_count : UNSAID_TICK;
    for (uint32_t i = 0; i < most; i++) {
        if (holds(b->unsaid) && !say(b, b->unsaid)) return;
        porch_unsaid *u = take_unsaid(b);
        if (!holds(u))
            drop_unsaid(b, u);
        else if (u->session != NULL)
            u->session->pending_commits--; /* the pending one counts for it now */
    }
}

/* ---- answers ---- */

static bool waits(const porch_session *s, const porch_pending *p) {
    return porch_session_online(s) && s->link == p->link;
}

/* The store refused: nothing was kept. 3.1.1 has no word for it, so the session ends unacknowledged. */
static void not_stored(porch_session *s, const porch_pending *p, porch_err e) {
    porch_broker_count(&s->home->counts.store_refused, 1);
    if (!waits(s, p)) return;
    if (s->version == PORCH_MQTT_V5) {
        porch_session_log(s, "mqtt.refused", "PUBLISH", NULL, (porch_bytes){NULL, 0}, porch_err_text(e));
        porch_session_acknowledge(s, p->place,
                                  e == PORCH_ERR_FULL ? PORCH_MQTT_RC_QUOTA_EXCEEDED
                                                      : PORCH_MQTT_RC_UNSPECIFIED_ERROR);
    } else {
        porch_session_disconnect(s, PORCH_MQTT_RC_QUOTA_EXCEEDED, porch_err_text(e));
    }
}

/* A QoS 2 publication is kept now, or may come again. Its PUBREC goes to whoever asked last. */
static void settle_received(porch_session *s, porch_pending *p, bool ok) {
    porch_received_one *one = porch_received_find(&s->received, p->packet_id);
    if (one == NULL || one->state != PORCH_RECEIVED_SAVING) return;
    p->link = one->link;
    p->place = one->place;
    if (ok)
        one->state = PORCH_RECEIVED_KEPT;
    else
        porch_received_drop(&s->received, p->packet_id);
}

/* Its row was written after those that were there had been deleted. */
static void forget_row(porch_broker_shard *b, const porch_message *m) {
    if (!m->retain || m->payload_len == 0 || b->lane == NULL) return;
    porch_buf note = {NULL, 0, PORCH_NOTE_BYTES + m->topic_len};
    note.at = porch_pool_take(b->pool, note.cap);
    if (note.at != NULL && porch_note_retain_expired(&note, porch_message_topic(m), m->seq) == PORCH_OK)
        porch_broker_note_surely(b, NULL, &note);
    porch_pool_give(b->pool, note.at);
}

static void routed(porch_broker_shard *b, porch_pending *p, porch_err e) {
    porch_session *s = p->session;
    if (s != NULL && p->message->qos == 2 && p->packet_id != 0) settle_received(s, p, e == PORCH_OK);
    if (e == PORCH_OK) {
        if (!p->follows) porch_broker_count(&b->counts.stored, 1);
        if (p->forgotten) {
            b->hold_ms = 0;
            forget_row(b, p->message);
        } else {
            porch_broker_route(b, p->message, s);
        }
        if (s != NULL && b->hold_ms > 0) porch_session_hold(s, b->hold_ms);
        if (s != NULL && p->packet_id != 0 && waits(s, p))
            porch_session_acknowledge(s, p->place, PORCH_MQTT_RC_SUCCESS);
    } else if (s != NULL && p->packet_id != 0) {
        not_stored(s, p, e);
    } else {
        porch_broker_count(&b->counts.store_refused, 1);
    }
    porch_broker_end_retaining(b, s, p);
    if (p->will && e == PORCH_OK) porch_broker_count(&b->counts.wills, 1);
    if (p->will && s != NULL && !s->over && s->link == p->link)
        porch_session_will_settled(s, e == PORCH_OK);
    porch_message_release(b->pool, p->message);
}

/* Nothing was written, so nothing may be said: the client comes back and repeats. */
static void gave_up(porch_session *s, porch_err e) {
    porch_broker_count(&s->home->counts.store_refused, 1);
    if (s->conn != NULL) porch_session_disconnect(s, PORCH_MQTT_RC_QUOTA_EXCEEDED, porch_err_text(e));
}

/* What it has ended in memory ends in the store, too, though its own row is not there. */
static void settle_connect(porch_broker_shard *b, porch_session *s, porch_pending *p, porch_err e) {
    uint8_t text[PORCH_NOTE_BYTES];
    porch_buf note = PORCH_BUF_OF(text);
    uint64_t replaces = s->replaces;
    s->replaces = 0;
    if (e == PORCH_OK) {
        s->written = s->number != 0;
        if (waits(s, p)) porch_session_welcome(s, p->packet_id != 0, (porch_bytes){p->block, p->place});
        return;
    }
    if (replaces != 0 && porch_note_session_drop(&note, replaces) == PORCH_OK)
        porch_broker_note_surely(b, NULL, &note);
    gave_up(s, e);
}

static void settle(porch_broker_shard *b, porch_pending *p, porch_err e) {
    porch_session *s = p->session;
    bool ok = e == PORCH_OK;
    switch ((porch_pending_kind)p->kind) {
    case PORCH_PENDING_ROUTE:
        if (s != NULL) count_publish(s, p, -1);
        routed(b, p, e);
        break;
    case PORCH_PENDING_CONNACK:
        settle_connect(b, s, p, e);
        break;
    case PORCH_PENDING_ANSWER:
        if (ok && waits(s, p)) porch_session_put(s, (porch_bytes){p->block, p->place});
        if (!ok) gave_up(s, e);
        break;
    case PORCH_PENDING_COMPLETE:
        porch_session_completed_saved(s, p->packet_id, ok);
        if (!ok) gave_up(s, e);
        break;
    case PORCH_PENDING_SEND:
        porch_session_sent_saved(s, p->packet_id, ok);
        if (!ok) gave_up(s, e);
        break;
    case PORCH_PENDING_RELEASE:
        porch_session_release_saved(s, p->packet_id, ok);
        if (!ok) gave_up(s, e);
        break;
    case PORCH_PENDING_AGAIN:
        if (ok) break;
        keep_unsaid(b, p->block);
        p->block = NULL;
        break;
    }
    porch_pool_give(b->pool, p->block);
    if (s != NULL) s->pending_commits--;
}

/* The number that the store gave the message of this ticket. */
static void number(const porch_broker_shard *b, const porch_pending *p) {
    if (p->message == NULL || p->message->seq != 0 || b->answer.result != PORCH_OK) return;
    if (!p->follows) p->message->seq = b->answer.seq - (b->answer.upto - p->ticket);
}

void porch_broker_forget_pending(porch_broker_shard *b, const porch_forget_order *o) {
    for (uint32_t i = 0; i < b->pending_count; i++) {
        porch_pending *p = &b->pending[(b->pending_first + i) & (b->pending_cap - 1)];
        if (p->kind != PORCH_PENDING_ROUTE) continue;
        if (p->ticket <= b->answer.upto) number(b, p);
        if (porch_forget_names(o, p->message)) p->forgotten = true;
    }
}

void porch_broker_take_commits(porch_broker_shard *b) {
    if (b->lane == NULL) return;
    for (;;) {
        while (b->pending_count > 0) {
            const porch_pending *p = &b->pending[b->pending_first];
            if (p->ticket > b->answer.upto) break;
            if (p->kind == PORCH_PENDING_ROUTE && !porch_broker_can_route(b)) {
                porch_shard_again(b->shard, 1); /* a neighbour is behind; what is durable can wait for it */
                return;
            }
            porch_pending one = *p;
            b->pending_first = (b->pending_first + 1) & (b->pending_cap - 1);
            b->pending_count--;
            number(b, &one);
            settle(b, &one, one.follows ? PORCH_OK : b->answer.result);
        }
        if (b->answer.result == PORCH_OK && b->answer.seq > 0) porch_broker_say_routed(b, b->answer.seq);
        if (!porch_store_lane_poll(b->lane, &b->answer)) return;
        if (b->answer.result != PORCH_OK)
            porch_log(PORCH_LOG_ERROR, "store.refused", "reason", porch_err_text(b->answer.result), NULL);
    }
}

/* What is stored but not yet answered was never acknowledged: nobody was promised anything. */
void porch_broker_drop_pending(porch_broker_shard *b) {
    while (b->pending_count > 0) {
        porch_pending *p = &b->pending[b->pending_first];
        if (p->session != NULL) p->session->pending_commits--;
        if (p->message != NULL) porch_message_release(b->pool, p->message);
        porch_pool_give(b->pool, p->block);
        b->pending_first = (b->pending_first + 1) & (b->pending_cap - 1);
        b->pending_count--;
    }
    while (b->unsaid != NULL)
        drop_unsaid(b, take_unsaid(b));
    porch_pool_give(b->pool, b->pending);
    b->pending = NULL;
    b->pending_cap = 0;
}
