#include "cloud/broker/received.h"

#include <string.h>

enum { SLOTS_LEAST = 8 };

static uint32_t home_of(const porch_received *r, uint16_t packet_id) {
    return (packet_id * 0x9e3779b1u >> 16) & r->mask;
}

porch_received_one *porch_received_find(porch_received *r, uint16_t packet_id) {
    if (r->used == 0) return NULL;
    for (uint32_t i = home_of(r, packet_id); r->slots[i].state != PORCH_RECEIVED_NONE;
         i = (i + 1) & r->mask)
        if (r->slots[i].packet_id == packet_id) return &r->slots[i];
    return NULL;
}

static porch_received_one *place(porch_received *r, const porch_received_one *one) {
    uint32_t i = home_of(r, one->packet_id);
    while (r->slots[i].state != PORCH_RECEIVED_NONE)
        i = (i + 1) & r->mask;
    r->slots[i] = *one;
    return &r->slots[i];
}

static bool widen(porch_received *r, porch_pool *pool) {
    porch_received old = *r;
    uint32_t count = old.slots == NULL ? SLOTS_LEAST : (old.mask + 1) * 2;
    porch_received_one *wider = porch_pool_take(pool, count * sizeof *wider);
    if (wider == NULL) return false;
    memset(wider, 0, count * sizeof *wider);
    r->slots = wider;
    r->mask = count - 1;
    for (uint32_t i = 0; old.slots != NULL && i <= old.mask; i++)
        if (old.slots[i].state != PORCH_RECEIVED_NONE) (void)place(r, &old.slots[i]);
    porch_pool_give(pool, old.slots);
    return true;
}

porch_received_one *porch_received_put(porch_received *r, porch_pool *pool, uint16_t packet_id) {
    if ((r->slots == NULL || 2 * (r->used + 1) > r->mask + 1) && !widen(r, pool)) return NULL;
    porch_received_one one = {0, 0, packet_id, PORCH_RECEIVED_SAVING};
    r->used++;
    return place(r, &one);
}

/* Those behind it move up, so that no search ends too early. */
void porch_received_drop(porch_received *r, uint16_t packet_id) {
    porch_received_one *one = porch_received_find(r, packet_id);
    if (one == NULL) return;
    uint32_t hole = (uint32_t)(one - r->slots);
    for (uint32_t i = (hole + 1) & r->mask; r->slots[i].state != PORCH_RECEIVED_NONE;
         i = (i + 1) & r->mask) {
        uint32_t home = home_of(r, r->slots[i].packet_id);
        if (((i - home) & r->mask) < ((i - hole) & r->mask)) continue;
        r->slots[hole] = r->slots[i];
        hole = i;
    }
    r->slots[hole].state = PORCH_RECEIVED_NONE;
    r->used--;
}

void porch_received_free(porch_received *r, porch_pool *pool) {
    porch_pool_give(pool, r->slots);
    *r = (porch_received){NULL, 0, 0};
}
