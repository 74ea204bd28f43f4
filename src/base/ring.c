#include "base/ring.h"

#include <string.h>

bool porch_ring_init(porch_ring *r, void *slots, size_t slot_bytes, size_t count) {
    if (count == 0 || (count & (count - 1)) != 0) return false;
    r->slots = slots;
    r->slot_bytes = slot_bytes;
    r->mask = count - 1;
    atomic_init(&r->head, 0);
    atomic_init(&r->tail, 0);
    return true;
}

bool porch_ring_push(porch_ring *r, const void *slot) {
    size_t tail = atomic_load_explicit(&r->tail, memory_order_relaxed);
    if (tail - atomic_load_explicit(&r->head, memory_order_acquire) > r->mask) return false;
    memcpy(r->slots + (tail & r->mask) * r->slot_bytes, slot, r->slot_bytes);
    atomic_store_explicit(&r->tail, tail + 1, memory_order_release);
    return true;
}

bool porch_ring_pop(porch_ring *r, void *slot) {
    size_t head = atomic_load_explicit(&r->head, memory_order_relaxed);
    if (head == atomic_load_explicit(&r->tail, memory_order_acquire)) return false;
    memcpy(slot, r->slots + (head & r->mask) * r->slot_bytes, r->slot_bytes);
    atomic_store_explicit(&r->head, head + 1, memory_order_release);
    return true;
}

size_t porch_ring_count(const porch_ring *r) {
    return atomic_load_explicit(&r->tail, memory_order_acquire) -
           atomic_load_explicit(&r->head, memory_order_acquire);
}
