/* How many connections each address has open. Asked when one is accepted and when it closes, by every
 * shard, under one lock: accepting is rare beside messages. */
#ifndef PORCH_CLOUD_LISTENER_ADDRESS_H
#define PORCH_CLOUD_LISTENER_ADDRESS_H

#include "base/bytes.h"

typedef struct porch_addresses porch_addresses;

porch_addresses *porch_addresses_new(uint32_t most_per_address);
void porch_addresses_free(porch_addresses *a); /* NULL is fine */
/* Counts one more; false (and nothing counted) past the limit or without memory. */
bool porch_addresses_enter(porch_addresses *a, const char *address);
void porch_addresses_leave(porch_addresses *a, const char *address);

#endif
