/* What the broker writes down, as notes to the store: sessions, subscriptions, what is under way in QoS 2,
 * retained messages. A note is a few such words in a row; the store's writer thread hands them to
 * porch_note_apply, in the transaction of the message that they belong to.
 *
 *   shard ─ porch_note_*(buffer) ─► lane ─► writer ─ porch_note_apply ─► tables of migration sessions
 *
 * Numbers are of sessions (mqtt_session.id) and of messages (seq). The tables are read once, at start: see
 * load.h. */
#ifndef PORCH_CLOUD_BROKER_NOTE_H
#define PORCH_CLOUD_BROKER_NOTE_H

#include "base/cursor.h"
#include "cloud/store/store.h"

/* Bytes of the longest note without texts; a session's note takes its will's and its names' bytes on top.
 */
enum { PORCH_NOTE_BYTES = 64 };

typedef struct {
    uint64_t number;
    uint8_t kind; /* porch_identity_kind */
    porch_bytes name, client_id;
    uint8_t version;
    uint32_t expiry_s;
    uint64_t ended_ms; /* 0: connected */
    uint64_t cursor;
    bool has_will, will_retain;
    uint8_t will_qos;
    uint32_t will_delay_s;
    porch_bytes will_topic, will_properties, will_payload;
} porch_note_session;

/* All append to `b` and answer PORCH_ERR_NO_SPACE when it is full. */
porch_err porch_note_session_put(porch_buf *b, const porch_note_session *s); /* new or changed */
porch_err porch_note_session_ended(porch_buf *b, uint64_t number, uint64_t ended_ms, uint32_t expiry_s,
                                   bool keeps_will);
porch_err porch_note_session_drop(porch_buf *b, uint64_t number);
porch_err porch_note_will_spoken(porch_buf *b, uint64_t number);
porch_err porch_note_cursor(porch_buf *b, uint64_t number, uint64_t cursor);
/* options: as the byte of SUBSCRIBE. */
porch_err porch_note_subscribe(porch_buf *b, uint64_t number, porch_bytes filter, uint8_t options,
                               uint32_t identifier);
porch_err porch_note_unsubscribe(porch_buf *b, uint64_t number, porch_bytes filter);
porch_err porch_note_received(porch_buf *b, uint64_t number, uint16_t packet_id);
porch_err porch_note_received_done(porch_buf *b, uint64_t number, uint16_t packet_id);
/* row: see porch_flying_row. One below 0 goes when it is done; another stays until the cursor passes it. */
porch_err porch_note_flight(porch_buf *b, uint64_t number, int64_t row, uint16_t packet_id);
porch_err porch_note_flight_released(porch_buf *b, uint64_t number, int64_t row);
porch_err porch_note_flight_done(porch_buf *b, uint64_t number, int64_t row);
/* The message that carries the note becomes its topic's retained one; empty, it clears the topic. */
porch_err porch_note_retain(porch_buf *b);
/* The retained message of this number has expired; another one of its topic stays. */
porch_err porch_note_retain_expired(porch_buf *b, porch_bytes topic, uint64_t seq);
porch_err porch_note_share(porch_buf *b, porch_bytes filter, uint64_t cursor);
porch_err porch_note_share_drop(porch_buf *b, porch_bytes filter);

/* For porch_store_on_note. */
porch_err porch_note_apply(porch_db *db, const porch_store_message *m, uint64_t seq, void *ctx,
                           porch_why *why);

#endif
