#include "device/backoff.h"

porch_backoff porch_backoff_of(uint32_t first_ms, uint32_t most_ms) {
    if (first_ms == 0) first_ms = 1;
    if (most_ms < first_ms) most_ms = first_ms;
    return (porch_backoff){first_ms, most_ms, 0};
}

uint32_t porch_backoff_span(const porch_backoff *b) {
    uint64_t span = b->first_ms;
    for (uint32_t i = 0; i < b->attempt && span < b->most_ms; i++)
        span *= 2;
    return span < b->most_ms ? (uint32_t)span : b->most_ms;
}

uint32_t porch_backoff_next(porch_backoff *b, uint32_t random) {
    uint64_t span = porch_backoff_span(b);
    if (b->attempt < UINT32_MAX) b->attempt++;
    /* Multiply and shift spreads 32 random bits over 0..span without a division's bias that matters. */
    return (uint32_t)(((uint64_t)random * (span + 1)) >> 32);
}

void porch_backoff_reset(porch_backoff *b) {
    b->attempt = 0;
}
