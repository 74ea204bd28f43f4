/* PUBACK, PUBREC, PUBREL and PUBCOMP in both directions (MQTT 5.0, sections 3.4 to 3.7 and 4.3).
 *
 *   from the client   PUBLISH 2 ─► received: SAVING ─commit─► KEPT, PUBREC ─► PUBREL: RELEASING ─commit─►
 * PUBCOMP to the client     flight: SAVING ─commit─► PUBLISH ─► PUBREC: RELEASING ─commit─► PUBREL ─►
 * PUBCOMP
 *
 * The commits are those of lasting sessions: what a crash must not undo is written down before the other
 * side may rely on it. Other sessions take the same steps at once. Acknowledgements leave in the order in
 * which what they acknowledge arrived. */
#include <string.h>

#include "cloud/broker/room.h"

/* ---- the order of acknowledgements ---- */

bool porch_session_make_acks(porch_session *s) {
    if (s->acks.slots == NULL) {
        /* A PUBREC and a PUBCOMP may wait for each publication. */
        uint32_t count = 2;
        while (count < 2 * s->home->broker->settings.broker_receive_maximum)
            count *= 2;
        porch_ack *slots = porch_pool_take(s->home->pool, count * sizeof *slots);
        if (slots == NULL) return false;
        s->acks = porch_acks_of(slots, count);
    }
    if (porch_acks_waiting(&s->acks) > s->acks.mask) porch_session_send_acks(s);
    return s->acks.slots != NULL && porch_acks_waiting(&s->acks) <= s->acks.mask;
}

uint32_t porch_session_unacknowledged(const porch_session *s) {
    return s->pubacks + s->received.used;
}

uint32_t porch_session_expect_ack(porch_session *s, porch_mqtt_type type, uint16_t packet_id) {
    uint32_t place = 0;
    (void)porch_acks_add(&s->acks, (uint8_t)type, packet_id, &place);
    if (type == PORCH_MQTT_PUBACK) s->pubacks++;
    return place;
}

/* What a peer is told about a refusal by permission: that it is one. Statements are the operator's. */
#define NOT_PERMITTED "this topic is not permitted to you"
enum { NOT_PERMITTED_BYTES = sizeof NOT_PERMITTED - 1, ACK_BYTES = 5 + 1 + 3 + NOT_PERMITTED_BYTES };

static size_t write_refusal(const porch_ack *ack, uint8_t at[ACK_BYTES]) {
    at[0] = (uint8_t)(ack->type << 4);
    at[1] = ACK_BYTES - 2;
    at[2] = (uint8_t)(ack->packet_id >> 8);
    at[3] = (uint8_t)ack->packet_id;
    at[4] = ack->reason;
    at[5] = 3 + NOT_PERMITTED_BYTES;
    at[6] = PORCH_MQTT_PROP_REASON_STRING;
    at[7] = 0;
    at[8] = NOT_PERMITTED_BYTES;
    memcpy(at + 9, NOT_PERMITTED, NOT_PERMITTED_BYTES);
    return ACK_BYTES;
}

static size_t write_ack(const porch_session *s, const porch_ack *ack, uint8_t at[ACK_BYTES]) {
    bool reason = s->version == PORCH_MQTT_V5 && ack->reason != 0;
    if (reason && ack->reason == PORCH_MQTT_RC_NOT_AUTHORIZED && s->problem_info &&
        s->packet_most >= ACK_BYTES)
        return write_refusal(ack, at);
    at[0] = (uint8_t)(ack->type << 4 | (ack->type == PORCH_MQTT_PUBREL ? 2 : 0));
    at[1] = reason ? 3 : 2;
    at[2] = (uint8_t)(ack->packet_id >> 8);
    at[3] = (uint8_t)ack->packet_id;
    at[4] = ack->reason;
    return reason ? 5 : 4;
}

void porch_session_send_acks(porch_session *s) {
    uint8_t text[512];
    size_t len = 0;
    porch_ack ack;
    if (!porch_session_online(s) || s->acks.slots == NULL) return;
    while (porch_acks_take(&s->acks, &ack)) {
        if (ack.type == PORCH_MQTT_PUBACK) s->pubacks--;
        len += write_ack(s, &ack, text + len);
        if (len <= sizeof text - ACK_BYTES) continue;
        if (!porch_session_put_behind(s, (porch_bytes){text, len})) return;
        len = 0;
    }
    if (len > 0) porch_session_put_behind(s, (porch_bytes){text, len});
}

/* What one read brought is acknowledged together. */
void porch_session_acknowledge(porch_session *s, uint32_t place, uint8_t reason) {
    porch_acks_ready(&s->acks, place, reason);
    if (s->conn != s->home->taking) porch_session_send_acks(s);
}

static void send_one(porch_session *s, porch_mqtt_type type, uint16_t packet_id, uint8_t reason) {
    uint8_t text[ACK_BYTES];
    porch_ack ack = {packet_id, (uint8_t)type, reason, true};
    /* Before CONNACK nothing is said: what is due is sent again behind it. */
    if (porch_session_online(s) && s->welcomed)
        porch_session_put(s, (porch_bytes){text, write_ack(s, &ack, text)});
}

static bool read_ack(porch_session *s, const porch_mqtt_frame *frame, porch_mqtt_ack *ret) {
    porch_mqtt_fault fault;
    if (porch_mqtt_ack_read(frame, s->version, &fault, ret) == PORCH_OK) return true;
    porch_session_fault(s, frame, &fault);
    return false;
}

/* ---- to the client ---- */

static void landed(porch_session *s, porch_flying *one) {
    if (one->resend) s->resends--;
    one->delivery.lasts = one->seq != 0;
    porch_session_had(s, &one->delivery, one->seq);
    porch_delivery_release(s->home, &one->delivery);
    porch_flight_drop(&s->flight, one);
    if ((s->queue_count > 0 || s->resends > 0) && s->conn != NULL) porch_conn_want_write(s->conn);
}

/* One for a packet that nobody waits for is let pass, as the standard wants. */
porch_taken porch_broker_on_puback(porch_session *s, const porch_mqtt_frame *frame) {
    porch_mqtt_ack ack;
    if (!read_ack(s, frame, &ack)) return PORCH_TAKEN;
    porch_flying *one = porch_flight_find(&s->flight, ack.packet_id);
    if (one != NULL && one->state == PORCH_FLIGHT_SENT && one->delivery.qos == 1) landed(s, one);
    return PORCH_TAKEN;
}

void porch_session_write_done(porch_session *s, const porch_flying *one) {
    uint8_t text[PORCH_NOTE_BYTES];
    porch_buf note = PORCH_BUF_OF(text);
    if (one->written && porch_note_flight_done(&note, s->number, porch_flying_row(one)) == PORCH_OK)
        porch_session_note(s, &note); /* without it, PUBREL is sent once more after a crash */
}

void porch_session_give_up(porch_session *s, porch_flying *one) {
    porch_session_write_done(s, one);
    landed(s, one);
}

porch_taken porch_broker_on_pubrec(porch_session *s, const porch_mqtt_frame *frame) {
    porch_mqtt_ack ack;
    if (!read_ack(s, frame, &ack)) return PORCH_TAKEN;
    porch_flying *one = porch_flight_find(&s->flight, ack.packet_id);
    if (one == NULL || one->delivery.qos != 2 || one->state == PORCH_FLIGHT_SAVING) {
        send_one(s, PORCH_MQTT_PUBREL, ack.packet_id, PORCH_MQTT_RC_PACKET_ID_NOT_FOUND);
        return PORCH_TAKEN;
    }
    if (ack.reason >= 0x80) {
        porch_session_give_up(s, one);
        return PORCH_TAKEN;
    }
    if (one->state == PORCH_FLIGHT_SENT && one->written) {
        uint8_t text[PORCH_NOTE_BYTES];
        porch_buf note = PORCH_BUF_OF(text);
        porch_pending then = {.kind = PORCH_PENDING_RELEASE, .packet_id = one->packet_id};
        if (porch_note_flight_released(&note, s->number, porch_flying_row(one)) != PORCH_OK ||
            !porch_session_note_then(s, &note, &then))
            return PORCH_STALL;
        one->state = PORCH_FLIGHT_RELEASING;
        return PORCH_TAKEN;
    }
    if (one->state == PORCH_FLIGHT_RELEASING) return PORCH_TAKEN;
    one->state = PORCH_FLIGHT_RELEASED;
    send_one(s, PORCH_MQTT_PUBREL, one->packet_id, 0);
    return PORCH_TAKEN;
}

porch_taken porch_broker_on_pubcomp(porch_session *s, const porch_mqtt_frame *frame) {
    porch_mqtt_ack ack;
    if (!read_ack(s, frame, &ack)) return PORCH_TAKEN;
    porch_flying *one = porch_flight_find(&s->flight, ack.packet_id);
    if (one == NULL || one->state != PORCH_FLIGHT_RELEASED) return PORCH_TAKEN;
    porch_session_give_up(s, one);
    return PORCH_TAKEN;
}

/* One could not be written down: those behind it go back too, the last one first, or they would pass it. */
static void put_back_saving(porch_session *s) {
    uint16_t id = s->flight.last;
    for (uint32_t n = 0; n < UINT16_MAX && s->flight.used > 0; n++, id--) {
        porch_flying *one = porch_flight_find(&s->flight, id);
        if (one == NULL || one->state != PORCH_FLIGHT_SAVING) continue;
        if (one->delivery.message == NULL) { /* forgotten meanwhile */
            one->written = false;
            landed(s, one);
            continue;
        }
        porch_delivery d = one->delivery;
        porch_flight_drop(&s->flight, one);
        if (!porch_session_put_back(s, &d)) porch_delivery_release(s->home, &d);
    }
}

/* The identifier is written down: the PUBLISH may leave. */
void porch_session_sent_saved(porch_session *s, uint16_t packet_id, bool ok) {
    porch_flying *one = porch_flight_find(&s->flight, packet_id);
    if (one == NULL || one->state != PORCH_FLIGHT_SAVING) return;
    if (!ok) {
        put_back_saving(s);
        return;
    }
    one->state = PORCH_FLIGHT_SENT;
    if (one->delivery.message == NULL) { /* forgotten meanwhile: it never leaves */
        porch_session_give_up(s, one);
        return;
    }
    one->resend = true;
    s->resends++;
    if (s->conn != NULL) porch_conn_want_write(s->conn);
}

/* PUBREC is written down: PUBREL may leave. */
void porch_session_release_saved(porch_session *s, uint16_t packet_id, bool ok) {
    porch_flying *one = porch_flight_find(&s->flight, packet_id);
    if (one == NULL || one->state != PORCH_FLIGHT_RELEASING) return;
    if (!ok) {
        one->state = PORCH_FLIGHT_SENT; /* the client says PUBREC again when it is asked again */
        return;
    }
    one->state = PORCH_FLIGHT_RELEASED;
    if (one->delivery.message != NULL) {
        /* It is never sent again; its number still counts. */
        porch_delivery_release(s->home, &one->delivery);
    }
    send_one(s, PORCH_MQTT_PUBREL, packet_id, 0);
}

/* The states of mqtt_flight. */
enum { WRITTEN_SENT = 1, WRITTEN_DONE = 3 };

void porch_session_resume_flight(porch_session *s, uint64_t seq, uint16_t packet_id, uint8_t state) {
    porch_flying *one =
        state == WRITTEN_SENT ? porch_flight_put(&s->flight, s->home->pool, packet_id) : NULL;
    porch_delivery d;
    if (state == WRITTEN_SENT && one == NULL) return; /* it waits for another identifier */
    if (!porch_session_take_last(s, seq, &d)) {
        if (one != NULL) porch_flight_drop(&s->flight, one);
        return;
    }
    if (one == NULL) {
        porch_delivery_release(s->home, &d); /* the client has it */
        return;
    }
    one->delivery = d;
    one->delivery.qos = 2; /* as it was begun, whatever the subscription says now */
    one->seq = seq;
    one->sent = one->written = true;
}

bool porch_session_resume_release(porch_session *s, int64_t row, uint16_t packet_id, uint8_t state) {
    if (state == WRITTEN_DONE || porch_flight_find(&s->flight, packet_id) != NULL) return true;
    porch_flying *one = porch_flight_put(&s->flight, s->home->pool, packet_id);
    if (one == NULL) return false;
    one->delivery.qos = 2;
    one->seq = row > 0 ? (uint64_t)row : 0;
    one->sent = one->written = true;
    one->state = PORCH_FLIGHT_RELEASED;
    return true;
}

void porch_session_resend(porch_session *s) {
    uint32_t at = 0;
    s->resends = 0;
    for (porch_flying *one; (one = porch_flight_next(&s->flight, &at)) != NULL;) {
        one->resend = false;
        if (one->state == PORCH_FLIGHT_SENT && one->delivery.message == NULL) {
            /* Forgotten while the client had it: there is nothing to repeat, only an identifier to free. */
            if (one->delivery.qos == 1) {
                porch_session_give_up(s, one);
                continue;
            }
            one->state = PORCH_FLIGHT_RELEASED;
        }
        one->resend = one->state == PORCH_FLIGHT_SENT || one->state == PORCH_FLIGHT_RELEASED;
        if (one->resend) s->resends++;
    }
}

/* ---- from the client ---- */

porch_taken porch_broker_on_pubrel(porch_session *s, const porch_mqtt_frame *frame) {
    porch_mqtt_ack ack;
    if (!read_ack(s, frame, &ack)) return PORCH_TAKEN;
    if (!porch_session_make_acks(s)) return PORCH_STALL;
    porch_received_one *one = porch_received_find(&s->received, ack.packet_id);
    bool known = one != NULL && one->state != PORCH_RECEIVED_SAVING;
    if (known && one->state == PORCH_RECEIVED_RELEASING && one->link == s->link)
        return PORCH_STALL; /* said twice: each has its answer, one after the other */
    if (known && s->number != 0 && s->home->lane != NULL) {
        if (one->state == PORCH_RECEIVED_KEPT) {
            uint8_t text[PORCH_NOTE_BYTES];
            porch_buf note = PORCH_BUF_OF(text);
            porch_pending then = {.kind = PORCH_PENDING_COMPLETE, .packet_id = ack.packet_id};
            if (porch_note_received_done(&note, s->number, ack.packet_id) != PORCH_OK ||
                !porch_session_note_then(s, &note, &then))
                return PORCH_STALL;
        }
        one->state = PORCH_RECEIVED_RELEASING;
        one->link = s->link;
        one->place = porch_session_expect_ack(s, PORCH_MQTT_PUBCOMP, ack.packet_id);
        return PORCH_TAKEN;
    }
    if (known) porch_received_drop(&s->received, ack.packet_id);
    uint32_t place = porch_session_expect_ack(s, PORCH_MQTT_PUBCOMP, ack.packet_id);
    porch_session_acknowledge(s, place, known ? PORCH_MQTT_RC_SUCCESS : PORCH_MQTT_RC_PACKET_ID_NOT_FOUND);
    return PORCH_TAKEN;
}

void porch_session_completed_saved(porch_session *s, uint16_t packet_id, bool ok) {
    porch_received_one *one = porch_received_find(&s->received, packet_id);
    if (one == NULL || one->state != PORCH_RECEIVED_RELEASING) return;
    if (!ok) {
        one->state = PORCH_RECEIVED_KEPT;
        return;
    }
    uint32_t place = one->place;
    bool waits = one->link == s->link;
    porch_received_drop(&s->received, packet_id);
    if (waits && porch_session_online(s)) porch_session_acknowledge(s, place, PORCH_MQTT_RC_SUCCESS);
}
