#include "base/ring.h"

#include <string.h>

bool porch_ring_init(porch_ring *r, void *slots, size_t slot_bytes, size_t count) {
    if (count == 0 || (count & (count - 1)) != 0) return false;
    r->slots = slots;
    r->slot_bytes = slot_bytes;
    r->mask = count - 1;
    atomic_init(&r->head, 0);
    atomic_init(&r->tail, 0);
    r->staged = r->head_seen = 0;
    return true;
}

/* The consumer's line is only looked at when what was seen of it last is not enough. */
bool porch_ring_room(porch_ring *r, size_t slots) {
    size_t cap = r->mask + 1;
    if (slots > cap) return false;
    if (r->staged - r->head_seen <= cap - slots) return true;
    r->head_seen = atomic_load_explicit(&r->head, memory_order_acquire);
    return r->staged - r->head_seen <= cap - slots;
}

bool porch_ring_stage(porch_ring *r, const void *slot) {
    if (!porch_ring_room(r, 1)) return false;
    memcpy(r->slots + (r->staged++ & r->mask) * r->slot_bytes, slot, r->slot_bytes);
    return true;
}

void porch_ring_publish(porch_ring *r) {
    atomic_store_explicit(&r->tail, r->staged, memory_order_release);
}

bool porch_ring_push(porch_ring *r, const void *slot) {
    if (!porch_ring_stage(r, slot)) return false;
    porch_ring_publish(r);
    return true;
}

bool porch_ring_pop(porch_ring *r, void *slot) {
    size_t head = atomic_load_explicit(&r->head, memory_order_relaxed);
    if (head == atomic_load_explicit(&r->tail, memory_order_acquire)) return false;
    memcpy(slot, r->slots + (head & r->mask) * r->slot_bytes, r->slot_bytes);
    atomic_store_explicit(&r->head, head + 1, memory_order_release);
    return true;
}

size_t porch_ring_pop_many(porch_ring *r, void *slots, size_t most) {
    size_t head = atomic_load_explicit(&r->head, memory_order_relaxed);
    size_t n = atomic_load_explicit(&r->tail, memory_order_acquire) - head;
    if (n > most) n = most;
    if (n == 0) return 0;
    size_t to_end = r->mask + 1 - (head & r->mask), first = n < to_end ? n : to_end;
    memcpy(slots, r->slots + (head & r->mask) * r->slot_bytes, first * r->slot_bytes);
    if (n > first) memcpy((uint8_t *)slots + first * r->slot_bytes, r->slots, (n - first) * r->slot_bytes);
    atomic_store_explicit(&r->head, head + n, memory_order_release);
    return n;
}

size_t porch_ring_count(const porch_ring *r) {
    return atomic_load_explicit(&r->tail, memory_order_acquire) -
           atomic_load_explicit(&r->head, memory_order_acquire);
}
