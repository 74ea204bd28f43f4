/* How fast one principal may speak, over all its sessions on all shards: one atomic word a rate, no lock.
 *
 * The generic cell rate algorithm: the word is the time at which everything taken so far would have been
 * earned at the permitted rate. It may run ahead of now by one second's worth, the burst. */
#ifndef PORCH_CLOUD_BROKER_RATE_H
#define PORCH_CLOUD_BROKER_RATE_H

#include <stdatomic.h>

#include "base/bytes.h"

typedef struct {
    _Atomic uint64_t earned_us;
} porch_rate;

/* Takes `amount` at `per_s` (0: no limit). Returns 0, or how many microseconds the taker should pause: the
 * amount is taken in any case, so the pause pays for it. Any thread. */
uint64_t porch_rate_take(porch_rate *r, uint64_t amount, uint64_t per_s, uint64_t now_us);

#endif
