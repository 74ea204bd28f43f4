/* A shard's life as the listener arranges it; conn.h is what protocols see of it. */
#ifndef PORCH_CLOUD_LISTENER_SHARD_H
#define PORCH_CLOUD_LISTENER_SHARD_H

#include "cloud/listener/room.h"

porch_err porch_shard_init(porch_shard *s, porch_listener *l, unsigned index, porch_why *why);
/* The protocol's shard_start, on the caller's thread; all shards are prepared before one is started. */
porch_err porch_shard_prepare(porch_shard *s, porch_why *why);
porch_err porch_shard_start(porch_shard *s, porch_why *why);
/* Its thread has been joined or never began. */
void porch_shard_free(porch_shard *s);

/* What follows the sockets in each turn: parcels, notes, the protocol's turn, leftovers, output. The
 * shard's own thread calls it; a test that turns a shard by hand has no such thread. */
void porch_shard_end_turn(porch_shard *s);

void porch_shard_order_drain(porch_shard *s, porch_note *note);
/* False while the shard has not come to the one before. */
bool porch_shard_order_pulse(porch_shard *s);
void porch_shard_order_stop(porch_shard *s, porch_note *note);

#endif
