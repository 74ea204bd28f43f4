/* A bounded ring between exactly one producing and one consuming thread (or main loop and interrupt).
 *
 *   producer ──push──► [ slot | slot | slot | ... ] ──pop──► consumer
 *
 * The caller gives the memory: `count` slots (a power of two) of `slot_bytes` each. Full and empty are
 * answers, not errors; nothing blocks, nothing is allocated. Waking the consumer is the caller's business,
 * once a batch. A producer with many slots stages them and publishes once: the cache line that both look at
 * travels once then, and the consumer meets the batch whole. */
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
    _Alignas(64) size_t staged;      /* the producer's own: tail and what the consumer does not see yet */
    size_t head_seen;                /* the producer's own: the head may have gone on since */
} porch_ring;

/* False unless count is a power of two. `slots` must hold count * slot_bytes and outlive the ring. */
bool porch_ring_init(porch_ring *r, void *slots, size_t slot_bytes, size_t count);
/* Copies one slot in; false when full. Producer only. */
bool porch_ring_push(porch_ring *r, const void *slot);
/* The same, but the consumer does not see it before porch_ring_publish. Producer only. */
bool porch_ring_stage(porch_ring *r, const void *slot);
void porch_ring_publish(porch_ring *r);
/* Will this many more be taken? Producer only. */
bool porch_ring_room(porch_ring *r, size_t slots);
/* Copies one slot out; false when empty. Consumer only. */
bool porch_ring_pop(porch_ring *r, void *slot);
/* Copies up to `most` out, in order; how many. Consumer only. */
size_t porch_ring_pop_many(porch_ring *r, void *slots, size_t most);
/* How many wait, staged ones left out; exact for either side when the other is still. */
size_t porch_ring_count(const porch_ring *r);

#endif
