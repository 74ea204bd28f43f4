#include "cloud/supervisor/supervisor_backoff.h"

uint32_t porch_backoff_next(porch_backoff *b, uint64_t lived_ms) {
    if (lived_ms >= b->healthy_ms) b->in_a_row = 0;
    uint64_t wait_ms = b->first_ms;
    for (uint32_t i = 0; i < b->in_a_row && wait_ms < b->most_ms; i++)
        wait_ms *= 2;
    if (b->in_a_row < UINT32_MAX) b->in_a_row++;
    return wait_ms < b->most_ms ? (uint32_t)wait_ms : b->most_ms;
}
