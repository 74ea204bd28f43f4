/* Packet identifiers of QoS 2 publications taken from a client and not yet released by it (MQTT 5.0,
 * section 4.3.3): what makes a repeated PUBLISH a repetition. The client chooses the numbers, so they are
 * hashed by probing, bounded by broker.receive_maximum. */
#ifndef PORCH_CLOUD_BROKER_RECEIVED_H
#define PORCH_CLOUD_BROKER_RECEIVED_H

#include "base/bytes.h"
#include "cloud/listener/pool.h"

typedef enum {
    PORCH_RECEIVED_NONE,
    PORCH_RECEIVED_SAVING,   /* its commit is awaited; PUBREC has not left */
    PORCH_RECEIVED_KEPT,     /* PUBREC may leave, or has left */
    PORCH_RECEIVED_RELEASING /* PUBREL came; the commit is awaited */
} porch_received_state;

typedef struct {
    uint32_t link;  /* connection that waits for an answer about it */
    uint32_t place; /* of that answer, see acks.h */
    uint16_t packet_id;
    uint8_t state;
} porch_received_one;

typedef struct {
    porch_received_one *slots; /* a pool block; NULL until first used */
    uint32_t mask;
    uint32_t used;
} porch_received;

/* NULL when it is not there. Valid until the next put or drop. */
porch_received_one *porch_received_find(porch_received *r, uint16_t packet_id);
/* Adds one that is not there; NULL without memory. */
porch_received_one *porch_received_put(porch_received *r, porch_pool *pool, uint16_t packet_id);
void porch_received_drop(porch_received *r, uint16_t packet_id);
/* Forgets all. */
void porch_received_free(porch_received *r, porch_pool *pool);

#endif
