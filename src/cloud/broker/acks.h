/* Acknowledgements leave in the order in which the publications came, although some wait for a commit and
 * others do not. One of these a session, one thread.
 *
 *   came      7 8 9 10          ready: 8, 10          leaves now: nothing
 *   7 ready                                           leaves now: 7, 8       (10 waits for 9) */
#ifndef PORCH_CLOUD_BROKER_ACKS_H
#define PORCH_CLOUD_BROKER_ACKS_H

#include "base/bytes.h"

typedef struct {
    uint16_t packet_id;
    uint8_t type; /* PUBACK, PUBREC or PUBCOMP; the caller's */
    uint8_t reason;
    bool ready;
} porch_ack;

typedef struct {
    porch_ack *slots;    /* the caller's memory */
    uint32_t mask;       /* slots - 1, a power of two */
    uint32_t first, end; /* count up; end - first wait */
} porch_acks;

/* `count` slots, a power of two. */
porch_acks porch_acks_of(porch_ack *slots, uint32_t count);
uint32_t porch_acks_waiting(const porch_acks *a);
/* Takes the next place; false when all are taken. *place names it for porch_acks_ready. */
bool porch_acks_add(porch_acks *a, uint8_t type, uint16_t packet_id, uint32_t *place);
/* Gives the place back that was taken last. */
void porch_acks_take_back(porch_acks *a);
/* This one may leave once all before it may. Its place must be waiting. */
void porch_acks_ready(porch_acks *a, uint32_t place, uint8_t reason);
/* The next that leaves now; false when the oldest is not ready. */
bool porch_acks_take(porch_acks *a, porch_ack *ret);

#endif
