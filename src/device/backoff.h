/* How long to wait before the next attempt: exponential back-off with full jitter.
 *
 * The pause is drawn evenly from 0 to min(most, first * 2^attempt): after an outage of the hub a thousand
 * devices come back spread over the whole span instead of in step. Randomness is passed in; no clock, no
 * heap. */
#ifndef PORCH_DEVICE_BACKOFF_H
#define PORCH_DEVICE_BACKOFF_H

#include <stdint.h>

typedef struct {
    uint32_t first_ms; /* span of the first pause; at least 1 */
    uint32_t most_ms;  /* span that the growth ends at */
    uint32_t attempt;  /* failures in a row */
} porch_backoff;

porch_backoff porch_backoff_of(uint32_t first_ms, uint32_t most_ms);
/* Counts a failure and gives the pause before the next attempt. `random` is any 32 random bits. */
uint32_t porch_backoff_next(porch_backoff *b, uint32_t random);
/* The span that the next pause is drawn from. */
uint32_t porch_backoff_span(const porch_backoff *b);
/* After a success that lasted. */
void porch_backoff_reset(porch_backoff *b);

#endif
