/* May old things be thrown away by this clock? Real time jumps: a battery runs out, a stranger answers NTP,
 * somebody mistypes a year. What is deleted by age then is lost for nothing.
 *
 *   start or jump ─► nothing is old ─► the clock has stood for settle_ms ─► age counts again
 *
 * Standing is measured by the monotonic clock, which nobody sets. Who keeps things asks before every round
 * of forgetting. No I/O, no clock of its own. */
#ifndef PORCH_OS_CLOCK_TRUST_H
#define PORCH_OS_CLOCK_TRUST_H

#include <stdbool.h>
#include <stdint.h>

/* More than a slow quartz and a leap second make between two rounds, less than what hurts. */
#define PORCH_CLOCK_JUMP_MS ((uint64_t)3600 * 1000)

typedef struct {
    bool begun;
    uint64_t real_ms, mono_ms;  /* at the last question */
    uint64_t trusted_from_mono; /* from here on age counts */
} porch_clock_trust;

/* True: the real time may be used to tell what is old. *jumped is set when it has just been found to have
 * jumped by PORCH_CLOCK_JUMP_MS or more, in either direction: worth one log line. A zeroed *t begins. */
bool porch_clock_trusted(porch_clock_trust *t, uint64_t real_ms, uint64_t mono_ms, uint64_t settle_ms,
                         bool *jumped);

#endif
