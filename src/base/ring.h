/* A bounded ring between exactly one producing and one consuming thread (or main loop and interrupt).
 *
 *   producer ──push──► [ slot | slot | slot | ... ] ──pop──► consumer
 *
 * The caller gives the memory: `count` slots (a power of two) of `slot_bytes` each. Full and empty are
 * answers, not errors; nothing blocks, nothing is allocated. Waking the consumer is the caller's business,
 * once a batch. */
#ifndef PORCH_BASE_RING_H
#define PORCH_BASE_RING_H

#include <stdatomic.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

typedef struct {
    uint8_t *slots;
    size_t slot_bytes;
    size_t mask;
    _Alignas(64) atomic_size_t head; /* next to pop: the consumer writes it */
    _Alignas(64) atomic_size_t tail; /* next to push: the producer writes it */
} porch_ring;

/* False unless count is a power of two. `slots` must hold count * slot_bytes and outlive the ring. */
bool porch_ring_init(porch_ring *r, void *slots, size_t slot_bytes, size_t count);
/* Copies one slot in; false when full. Producer only. */
bool porch_ring_push(porch_ring *r, const void *slot);
/* Copies one slot out; false when empty. Consumer only. */
bool porch_ring_pop(porch_ring *r, void *slot);
/* How many wait; exact for either side when the other is still. */
size_t porch_ring_count(const porch_ring *r);

#endif
