/* QoS 1 and 2 deliveries that the client has not acknowledged yet, by packet identifier (MQTT 5.0, sections
 * 4.3 and 4.4): bounded by what both sides allow (Receive Maximum and broker.inflight).
 *
 *      slots[packet identifier & mask]      QoS 1   SENT ─PUBACK─► gone
 *                                           QoS 2   SAVING ─► SENT ─PUBREC─► RELEASING ─► RELEASED
 * ─PUBCOMP─►
 *
 * Identifiers are given so that each has the slot of its number; the table grows with what is under way.
 * SAVING and RELEASING wait for a commit and are skipped where nothing is stored. */
#ifndef PORCH_CLOUD_BROKER_FLIGHT_H
#define PORCH_CLOUD_BROKER_FLIGHT_H

#include "cloud/broker/delivery.h"
#include "cloud/listener/pool.h"

typedef enum {
    PORCH_FLIGHT_FREE,
    PORCH_FLIGHT_SAVING,    /* not on the wire yet */
    PORCH_FLIGHT_SENT,      /* PUBLISH left */
    PORCH_FLIGHT_RELEASING, /* PUBREC came, PUBREL has not left yet */
    PORCH_FLIGHT_RELEASED   /* PUBREL left */
} porch_flight_state;

typedef struct {
    porch_delivery delivery;
    uint64_t seq;   /* of the delivery, when it counts for a cursor; 0 otherwise */
    uint32_t order; /* of the first sending */
    uint16_t packet_id;
    uint8_t state;
    bool resend;  /* to be sent on this connection */
    bool sent;    /* its PUBLISH has left before */
    bool written; /* has a row in mqtt_flight */
} porch_flying;

/* Its row's `seq`: that of its message where it counts for the session's own cursor, else below 0, so that
 * no cursor passes it. */
int64_t porch_flying_row(const porch_flying *one);

typedef struct {
    porch_flying *slots; /* a pool block; NULL until first used */
    uint32_t mask;
    uint32_t used;
    uint32_t orders;
    uint16_t last;
} porch_flight;

/* A free slot with a fresh identifier, zeroed otherwise, state SENT. NULL without memory. */
porch_flying *porch_flight_take(porch_flight *f, porch_pool *pool);
/* The same for an identifier that is known from before; NULL without memory or when it is in use. */
porch_flying *porch_flight_put(porch_flight *f, porch_pool *pool, uint16_t packet_id);
/* NULL when that one is not in use. */
porch_flying *porch_flight_find(porch_flight *f, uint16_t packet_id);
/* The caller has given back what the delivery holds. */
void porch_flight_drop(porch_flight *f, porch_flying *one);
/* Walks what is under way in no order: *at is 0 at first. NULL at the end. */
porch_flying *porch_flight_next(porch_flight *f, uint32_t *at);
/* Those marked `resend` in the order in which they were first sent, at most `most`; how many. */
uint32_t porch_flight_resends(porch_flight *f, porch_flying **ret, uint32_t most);
/* Gives the table back; it must be empty. */
void porch_flight_free(porch_flight *f, porch_pool *pool);

#endif
