/* What leaves the device: messages go from the spool into the session's window and out of the spool again
 * when the hub has answered for them.
 *
 *   spool: [ acknowledged | in flight: sent, some answered out of turn | not sent yet ]
 *                          ▲ tail: acknowledged in order only            ▲ cursor
 *
 * At least once: after a lost session all that is not acknowledged is sent again, in order. */
#ifndef PORCH_DEVICE_OUTBOX_H
#define PORCH_DEVICE_OUTBOX_H

#include "device/session.h"
#include "device/spool.h"

typedef struct {
    uint64_t sequence;
    bool answered;
} porch_outbox_flight;

typedef struct {
    porch_spool *spool;
    porch_buf block; /* holds the message that comes next; as long as a spool segment */
    porch_spool_cursor cursor;
    porch_spool_record held;                               /* read and not yet sent; sequence 0: none */
    porch_outbox_flight flight[PORCH_SESSION_WINDOW_MOST]; /* in the order sent */
    size_t flying;
    uint64_t paused_until_ms;
} porch_outbox;

void porch_outbox_init(porch_outbox *o, porch_spool *spool, porch_buf block);
/* A message for the spool: topic and payload in one record. *ret is its ticket. Errors as
 * porch_spool_append. */
porch_err porch_outbox_add(porch_outbox *o, porch_topic_name topic, porch_bytes payload, uint64_t *ret,
                           porch_spool_loss *loss);
/* A new session began, or the hub asked for patience: everything unacknowledged is sent (again), not before
 * `from_ms`. */
void porch_outbox_rewind(porch_outbox *o, uint64_t from_ms);
/* Hands messages to the session while it takes them. OK when nothing is left that it would take now; LIMIT
 * when the next message is too large for the hub (*too_large is its ticket: settle it). */
porch_err porch_outbox_pump(porch_outbox *o, porch_session *s, uint64_t now_ms, uint64_t *too_large);
/* The hub has answered for good, or the message is given up. Unknown tickets are ignored. */
void porch_outbox_settle(porch_outbox *o, uint64_t ticket);
/* Reason codes of a PUBACK after which the same message may be accepted later. */
bool porch_outbox_may_retry(uint8_t reason);

#endif
