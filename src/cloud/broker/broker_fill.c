/* From a session's queue onto the wire, right into the TLS record that leaves.
 *
 *   queue ─► fill ─► flight
 *
 * From QoS 1 on a delivery is in flight until it is acknowledged; what a lasting session has in flight is
 * sent again on its next connection. */
#include <stdlib.h>
#include <string.h>

#include "cloud/broker/room.h"

static void fill_big(porch_session *s, porch_buf *out) {
    size_t n = s->big_len - s->big_at;
    if (n > out->cap - out->len) n = out->cap - out->len;
    memcpy(out->at + out->len, s->big + s->big_at, n);
    out->len += n;
    s->big_at += n;
    if (s->big_at < s->big_len) return;
    porch_pool_give(s->home->pool, s->big);
    s->big = NULL;
}

/* The rest of a large message goes first: any other byte in between would be taken for a part of it. */
static bool settle_big(porch_session *s) {
    if (s->big == NULL) return true;
    uint8_t *big = s->big;
    s->big = NULL;
    bool ok = porch_conn_put(s->conn, (porch_bytes){big + s->big_at, s->big_len - s->big_at});
    porch_pool_give(s->home->pool, big);
    return ok;
}

bool porch_session_put(porch_session *s, porch_bytes packet) {
    porch_session_send_acks(s); /* in the order in which they came to be */
    return porch_session_put_behind(s, packet);
}

bool porch_session_put_behind(porch_session *s, porch_bytes packet) {
    if (s->conn == NULL) return false;
    if (!settle_big(s) || !porch_conn_put(s->conn, packet)) return false;
    if (porch_conn_pending(s->conn) > PORCH_BROKER_CHOKE_BYTES) {
        s->choked = true;
        porch_conn_pause(s->conn);
    }
    return true;
}

/* Room for this many bytes: in the record, or as a large packet that leaves in parts. NULL: in the next
 * record, or no memory. */
static uint8_t *room_on_wire(porch_session *s, porch_buf *out, size_t bytes) {
    if (bytes <= out->cap - out->len) {
        uint8_t *at = out->at + out->len;
        out->len += bytes;
        return at;
    }
    if (bytes <= out->cap) return NULL;
    s->big = porch_pool_take(s->home->pool, bytes);
    s->big_at = 0;
    s->big_len = bytes;
    return s->big;
}

/* Writes the PUBLISH of a delivery. False: not now. */
static bool write_publish(porch_session *s, const porch_delivery *d, uint16_t packet_id, bool dup,
                          porch_buf *out) {
    porch_message *m = d->message;
    porch_bytes topic = porch_message_topic(m);
    porch_message_form form = {.identifier = d->identifier,
                               .identifiers = d->identifiers,
                               .packet_id = packet_id,
                               .qos = d->qos,
                               .dup = dup,
                               .retain = d->retain};
    bool known = false;
    if (s->alias_out.most > 0) form.alias = porch_alias_for(&s->alias_out, topic, &known);
    form.leave_topic_out = known;
    size_t bytes = porch_message_bytes(m, s->version, &form);
    if (bytes > s->packet_most) {
        form.alias = 0;
        form.leave_topic_out = false;
        bytes = porch_message_bytes(m, s->version, &form);
    }
    uint8_t *at = room_on_wire(s, out, bytes);
    if (at == NULL) return false;
    /* Without memory for it the alias travels with its topic again next time. */
    if (form.alias > 0 && !known) (void)porch_alias_set(&s->alias_out, s->home->pool, form.alias, topic);
    porch_message_write(m, s->version, &form, porch_shard_now(s->home->shard), at);
    if (at == s->big) fill_big(s, out);
    porch_broker_count(&s->home->counts.messages_out, 1);
    porch_broker_count(&s->home->counts.bytes_out, (int64_t)bytes);
    s->sent_messages++;
    s->sent_bytes += bytes;
    return true;
}

static bool write_pubrel(uint16_t packet_id, porch_buf *out) {
    if (out->cap - out->len < 4) return false;
    uint8_t *at = out->at + out->len;
    at[0] = PORCH_MQTT_PUBREL << 4 | 2;
    at[1] = 2;
    at[2] = (uint8_t)(packet_id >> 8);
    at[3] = (uint8_t)packet_id;
    out->len += 4;
    return true;
}

/* A client may come back with a smaller Receive Maximum than what it had under way: PUBLISH waits for room
 * then, PUBREL does not (MQTT-3.3.4-9, -10). */
static void fill_resends(porch_session *s, porch_buf *out) {
    porch_flying **list = porch_pool_take(s->home->pool, s->resends * sizeof *list);
    if (list == NULL) return;
    uint32_t n = porch_flight_resends(&s->flight, list, s->resends);
    for (uint32_t i = 0; i < n && s->big == NULL; i++) {
        porch_flying *one = list[i];
        if (one->state == PORCH_FLIGHT_RELEASED) {
            if (!write_pubrel(one->packet_id, out)) break;
        } else if (one->delivery.message != NULL) {
            if (porch_session_too_large(s, &one->delivery)) {
                porch_session_give_up(s, one);
                continue;
            }
            if (s->flight.used - s->resends >= s->window_most) continue;
            if (!write_publish(s, &one->delivery, one->packet_id, one->sent, out)) break;
            one->sent = true;
        }
        one->resend = false;
        s->resends--;
    }
    porch_pool_give(s->home->pool, list);
}

/* The message's number, where it counts for a cursor: the session's, or that of a shared subscription. */
static uint64_t counted(const porch_delivery *d) {
    return d->lasts || (d->share != 0 && d->message->queued) ? d->message->seq : 0;
}

/* A client that comes back after a crash may hold the identifier still: it is written down before it is
 * used, whatever the delivery is. */
static bool saves_first(const porch_session *s, const porch_delivery *d) {
    return d->qos == 2 && (d->lasts || porch_session_lasts(s)) && s->number != 0 && s->home->lane != NULL;
}

static bool save_first(porch_session *s) {
    uint8_t text[PORCH_NOTE_BYTES];
    porch_buf note = PORCH_BUF_OF(text);
    porch_flying *one = porch_flight_take(&s->flight, s->home->pool);
    if (one == NULL) return false;
    porch_pending then = {.kind = PORCH_PENDING_SEND, .packet_id = one->packet_id};
    one->delivery = *porch_session_queue_at(s, 0);
    one->seq = counted(&one->delivery);
    if (porch_note_flight(&note, s->number, porch_flying_row(one), one->packet_id) != PORCH_OK ||
        !porch_session_note_then(s, &note, &then)) {
        porch_flight_drop(&s->flight, one);
        porch_shard_again(s->home->shard, 1);
        porch_conn_want_write(s->conn);
        return false;
    }
    (void)porch_session_take_first(s, &one->delivery);
    one->written = true;
    one->state = PORCH_FLIGHT_SAVING;
    return true;
}

/* False: it stays where it is. */
static bool send_first(porch_session *s, porch_buf *out) {
    porch_flying *one = NULL;
    porch_delivery *d = porch_session_queue_at(s, 0);
    if (d->qos > 0) {
        one = porch_flight_take(&s->flight, s->home->pool);
        if (one == NULL) return false;
    }
    if (!write_publish(s, d, one == NULL ? 0 : one->packet_id, false, out)) {
        if (one != NULL) porch_flight_drop(&s->flight, one);
        return false;
    }
    porch_delivery sent;
    (void)porch_session_take_first(s, &sent);
    uint64_t seq = counted(&sent);
    if (one == NULL) {
        if (sent.share != 0) porch_session_had(s, &sent, seq);
        porch_delivery_release(s->home, &sent);
        return true;
    }
    one->sent = true;
    one->seq = seq;
    /* What is never sent again is not kept. */
    if (!porch_session_lasts(s) && sent.share == 0) porch_delivery_release(s->home, &sent);
    one->delivery = sent;
    return true;
}

/* A session that was resumed to end with its connection has QoS 2 of both kinds: what need not be written
 * down waits for what is being written down (MQTT-4.6.0-6). */
static bool would_pass_saving(porch_session *s, const porch_delivery *d) {
    uint32_t at = 0;
    if (d->qos != 2 || d->share != 0 || s->number == 0) return false;
    for (const porch_flying *one; (one = porch_flight_next(&s->flight, &at)) != NULL;)
        if (one->state == PORCH_FLIGHT_SAVING) return true;
    return false;
}

static bool fill_first(porch_session *s, porch_buf *out) {
    const porch_delivery *d = porch_session_queue_at(s, 0);
    bool large = porch_session_too_large(s, d); /* the client was away when it came, and wants less now */
    bool gone = large || porch_message_expired(d->message, porch_shard_now(s->home->shard)) ||
                (s->rejudge && !porch_session_may_receive(s, porch_message_topic(d->message)));
    if (gone) {
        porch_session_skip_first(s);
        return true;
    }
    if (d->qos > 0 && s->flight.used >= s->window_most) return false;
    if (saves_first(s, d)) return save_first(s);
    return !would_pass_saving(s, d) && send_first(s, out);
}

void porch_session_fill(porch_session *s, porch_buf *out) {
    if (!s->welcomed) return;
    if (s->big != NULL) fill_big(s, out);
    if (s->big == NULL && s->resends > 0 && !s->ending) fill_resends(s, out);
    while (s->big == NULL && s->resends == 0 && s->queue_count > 0 && !s->ending)
        if (!fill_first(s, out)) break;
    if (s->queue_count == 0) s->rejudge = false; /* here, where all of it has been asked about */
    porch_session_rest_queue(s);
    if (s->choked) {
        s->choked = false;
        porch_session_listen(s);
    }
}
