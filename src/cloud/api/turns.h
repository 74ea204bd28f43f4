/* So many turns a minute for each asker, whoever else asks: one that asks without end uses up its own and
 * nobody else's. Askers are known by 32 bytes that they cannot choose, a certificate's fingerprint. The
 * memory of them is bounded; the one that was quiet longest gives way, and begins anew if it comes back. */
#ifndef PORCH_CLOUD_API_TURNS_H
#define PORCH_CLOUD_API_TURNS_H

#include "base/bytes.h"

typedef struct porch_turns porch_turns;

/* Remembers at least `most` askers; `per_minute` is at least 1. NULL when out of memory. */
porch_turns *porch_turns_new(size_t most, uint32_t per_minute);
void porch_turns_free(porch_turns *t);

/* True and one turn is spent, or false and *wait_ms is when the next comes. Any thread. */
bool porch_turns_take(porch_turns *t, const uint8_t asker[32], uint64_t mono_ms, uint64_t *wait_ms);

#endif
