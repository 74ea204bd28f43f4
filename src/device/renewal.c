#include "device/renewal.h"

uint64_t porch_renewal_at(uint64_t not_before_ms, uint64_t not_after_ms, uint32_t random) {
    if (not_after_ms <= not_before_ms) return not_after_ms;
    uint64_t life_ms = not_after_ms - not_before_ms;
    uint64_t spread_ms = life_ms / 12;
    /* No overflow: a life of centuries in ms has fewer than 44 bits, and the dice give 20. */
    uint64_t jitter_ms = spread_ms * (random >> 12) >> 20;
    return not_before_ms + life_ms / 3 * 2 + jitter_ms;
}
