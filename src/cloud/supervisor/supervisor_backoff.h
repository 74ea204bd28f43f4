/* When a process that ended is started again: at once after a long life, later with each end in a row. Pure
 * decisions over given times. */
#ifndef PORCH_CLOUD_SUPERVISOR_BACKOFF_H
#define PORCH_CLOUD_SUPERVISOR_BACKOFF_H

#include <stdint.h>

typedef struct {
    uint32_t first_ms;
    uint32_t most_ms;
    uint32_t healthy_ms; /* a life at least this long starts the row anew */
    uint32_t in_a_row;
} porch_backoff;

/* The wait before the next start, after a life of `lived_ms`. Never above most_ms. */
uint32_t porch_backoff_next(porch_backoff *b, uint64_t lived_ms);

#endif
