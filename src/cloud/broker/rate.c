#include "cloud/broker/rate.h"

enum { BURST_US = 1000000, SECOND_US = 1000000 };

uint64_t porch_rate_take(porch_rate *r, uint64_t amount, uint64_t per_s, uint64_t now_us) {
    if (per_s == 0) return 0;
    if (amount > UINT32_MAX) amount = UINT32_MAX;
    uint64_t cost = amount * SECOND_US / per_s;
    uint64_t earned = atomic_load_explicit(&r->earned_us, memory_order_relaxed);
    uint64_t next;
    do {
        next = (earned > now_us ? earned : now_us) + cost;
    } while (!atomic_compare_exchange_weak_explicit(&r->earned_us, &earned, next, memory_order_relaxed,
                                                    memory_order_relaxed));
    return next > now_us + BURST_US ? next - now_us - BURST_US : 0;
}
