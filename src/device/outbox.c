#include "device/outbox.h"

#include "base/cursor.h"

void porch_outbox_init(porch_outbox *o, porch_spool *spool, porch_buf block) {
    *o = (porch_outbox){.spool = spool, .block = block};
    porch_outbox_rewind(o, 0);
}

porch_err porch_outbox_add(porch_outbox *o, porch_topic_name topic, porch_bytes payload, uint64_t *ret,
                           porch_spool_loss *loss) {
    uint8_t raw[2];
    porch_buf length = PORCH_BUF_OF(raw);
    *loss = (porch_spool_loss){0};
    if (topic.text.len > UINT16_MAX) return PORCH_ERR_LIMIT;
    PORCH_TRY(porch_write_u16(&length, (uint16_t)topic.text.len));
    const porch_bytes parts[] = {porch_buf_bytes(&length), topic.text, payload};
    return porch_spool_append(o->spool, parts, sizeof parts / sizeof parts[0], ret, loss);
}

void porch_outbox_rewind(porch_outbox *o, uint64_t from_ms) {
    o->cursor = porch_spool_start(o->spool);
    o->held.sequence = 0;
    o->flying = 0;
    o->paused_until_ms = from_ms;
}

static porch_err open_record(porch_bytes body, porch_topic_name *topic, porch_bytes *payload) {
    porch_reader r = porch_reader_of(body);
    porch_bytes text;
    PORCH_TRY(porch_read_block16(&r, &text));
    PORCH_TRY(porch_topic_name_parse(text, NULL, topic));
    *payload = r.rest;
    return PORCH_OK;
}

porch_err porch_outbox_pump(porch_outbox *o, porch_session *s, uint64_t now_ms, uint64_t *too_large) {
    if (now_ms < o->paused_until_ms) return PORCH_OK;
    o->paused_until_ms = 0;
    while (porch_session_room(s) > 0 && o->flying < PORCH_SESSION_WINDOW_MOST) {
        if (o->held.sequence == 0) {
            porch_err e = porch_spool_next(o->spool, &o->cursor, o->block, &o->held);
            if (e == PORCH_ERR_NOT_FOUND) return PORCH_OK;
            PORCH_TRY(e);
        }
        porch_topic_name topic;
        porch_bytes payload;
        porch_err e = open_record(o->held.body, &topic, &payload);
        if (e == PORCH_OK) e = porch_session_publish(s, topic, payload, 1, o->held.sequence, now_ms);
        if (e == PORCH_ERR_BUSY || e == PORCH_ERR_STATE) return PORCH_OK;
        o->flight[o->flying++] = (porch_outbox_flight){o->held.sequence, false};
        uint64_t sequence = o->held.sequence;
        o->held.sequence = 0;
        if (e != PORCH_OK) { /* it flies until the caller has settled it, so that order holds */
            *too_large = sequence;
            return PORCH_ERR_LIMIT;
        }
    }
    return PORCH_OK;
}

void porch_outbox_settle(porch_outbox *o, uint64_t ticket) {
    for (size_t i = 0; i < o->flying; i++)
        if (o->flight[i].sequence == ticket) o->flight[i].answered = true;
    size_t done = 0;
    while (done < o->flying && o->flight[done].answered)
        done++;
    if (done == 0) return;
    porch_spool_acknowledge(o->spool, o->flight[done - 1].sequence);
    for (size_t i = done; i < o->flying; i++)
        o->flight[i - done] = o->flight[i];
    o->flying -= done;
}

bool porch_outbox_may_retry(uint8_t reason) {
    return reason == PORCH_MQTT_RC_QUOTA_EXCEEDED || reason == PORCH_MQTT_RC_UNSPECIFIED_ERROR ||
           reason == PORCH_MQTT_RC_IMPLEMENTATION_ERROR || reason == PORCH_MQTT_RC_PACKET_ID_IN_USE;
}
