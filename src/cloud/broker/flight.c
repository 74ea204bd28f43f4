#include "cloud/broker/flight.h"

#include <stdlib.h>
#include <string.h>

enum { SLOTS_LEAST = 8, SLOTS_MOST = 65536 };

/* Numbers that differ modulo the old size differ modulo the new one too. */
static bool widen(porch_flight *f, porch_pool *pool) {
    uint32_t count = f->slots == NULL ? SLOTS_LEAST : (f->mask + 1) * 2;
    if (count > SLOTS_MOST) return false;
    porch_flying *wider = porch_pool_take(pool, count * sizeof *wider);
    if (wider == NULL) return false;
    memset(wider, 0, count * sizeof *wider);
    for (uint32_t i = 0; f->slots != NULL && i <= f->mask; i++)
        if (f->slots[i].state != PORCH_FLIGHT_FREE)
            wider[f->slots[i].packet_id & (count - 1)] = f->slots[i];
    porch_pool_give(pool, f->slots);
    f->slots = wider;
    f->mask = count - 1;
    return true;
}

static porch_flying *occupy(porch_flight *f, uint16_t packet_id) {
    porch_flying *one = &f->slots[packet_id & f->mask];
    memset(one, 0, sizeof *one);
    one->packet_id = packet_id;
    one->state = PORCH_FLIGHT_SENT;
    one->order = f->orders++;
    f->used++;
    return one;
}

porch_flying *porch_flight_take(porch_flight *f, porch_pool *pool) {
    if ((f->slots == NULL || 2 * f->used > f->mask) && !widen(f, pool) &&
        (f->slots == NULL || f->used >= f->mask)) /* identifier 0 is none */
        return NULL;
    do {
        f->last++;
    } while (f->last == 0 || f->slots[f->last & f->mask].state != PORCH_FLIGHT_FREE);
    return occupy(f, f->last);
}

porch_flying *porch_flight_put(porch_flight *f, porch_pool *pool, uint16_t packet_id) {
    if (packet_id == 0 || porch_flight_find(f, packet_id) != NULL) return NULL;
    while (f->slots == NULL || f->slots[packet_id & f->mask].state != PORCH_FLIGHT_FREE)
        if (!widen(f, pool)) return NULL;
    return occupy(f, packet_id);
}

int64_t porch_flying_row(const porch_flying *one) {
    return one->seq != 0 && one->delivery.share == 0 ? (int64_t)one->seq : -(int64_t)one->packet_id;
}

porch_flying *porch_flight_find(porch_flight *f, uint16_t packet_id) {
    if (f->slots == NULL || packet_id == 0) return NULL;
    porch_flying *one = &f->slots[packet_id & f->mask];
    return one->state != PORCH_FLIGHT_FREE && one->packet_id == packet_id ? one : NULL;
}

void porch_flight_drop(porch_flight *f, porch_flying *one) {
    one->state = PORCH_FLIGHT_FREE;
    f->used--;
}

porch_flying *porch_flight_next(porch_flight *f, uint32_t *at) {
    if (f->slots == NULL || f->used == 0) return NULL;
    while (*at <= f->mask) {
        porch_flying *one = &f->slots[(*at)++];
        if (one->state != PORCH_FLIGHT_FREE) return one;
    }
    return NULL;
}

static int by_order(const void *a, const void *b) {
    uint32_t ahead = (*(porch_flying *const *)a)->order - (*(porch_flying *const *)b)->order;
    return ahead == 0 ? 0 : ahead > UINT32_MAX / 2 ? -1 : 1;
}

uint32_t porch_flight_resends(porch_flight *f, porch_flying **ret, uint32_t most) {
    uint32_t at = 0, n = 0;
    for (porch_flying *one; n < most && (one = porch_flight_next(f, &at)) != NULL;)
        if (one->resend) ret[n++] = one;
    if (n > 1) qsort(ret, n, sizeof(porch_flying *), by_order);
    return n;
}

void porch_flight_free(porch_flight *f, porch_pool *pool) {
    porch_pool_give(pool, f->slots);
    *f = (porch_flight){.orders = f->orders, .last = f->last};
}
