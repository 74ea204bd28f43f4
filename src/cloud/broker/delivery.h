/* One message on its way to one client: what stands in the session's queue and, from QoS 1 on, in its
 * flight until the client has acknowledged it. Plain data; the message is referenced, the rest belongs to
 * it. */
#ifndef PORCH_CLOUD_BROKER_DELIVERY_H
#define PORCH_CLOUD_BROKER_DELIVERY_H

#include "cloud/broker/message.h"

typedef struct {
    porch_message *message; /* NULL: not needed any more (a QoS 1 delivery that is never repeated) */
    uint64_t share;         /* the shared subscription that chose this client; 0: its own */
    uint32_t *identifiers;  /* a pool block: how many, then they; NULL: at most the one below */
    uint32_t identifier;    /* of the subscription, 0: none */
    uint32_t order;         /* its place in the shared subscription */
    uint8_t qos;
    bool retain; /* the flag on the wire */
    bool lasts;  /* counts for the session's cursor */
} porch_delivery;

#endif
