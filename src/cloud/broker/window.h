/* Packet identifiers of QoS 1 deliveries that the client has not acknowledged yet: bounded by what both
 * sides allow (Receive Maximum and broker.inflight). */
#ifndef PORCH_CLOUD_BROKER_WINDOW_H
#define PORCH_CLOUD_BROKER_WINDOW_H

#include "base/bytes.h"

typedef struct {
    uint16_t *slots; /* the caller's memory: the identifier in use, or 0 */
    uint32_t mask;   /* slots - 1; a power of two, at least twice `most` */
    uint16_t most;
    uint16_t used;
    uint16_t last;
} porch_window;

/* Slots that a window of `most` needs. */
uint32_t porch_window_slots(uint16_t most);
/* `slots` (porch_window_slots(most) of them) is cleared. */
porch_window porch_window_of(uint16_t *slots, uint16_t most);
bool porch_window_full(const porch_window *w);
/* A free identifier, never 0. The window must not be full. */
uint16_t porch_window_take(porch_window *w);
/* False: that one is not in use. */
bool porch_window_give(porch_window *w, uint16_t packet_id);

#endif
