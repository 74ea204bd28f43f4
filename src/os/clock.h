/* The two clocks. Real time says when something was, and may jump; monotonic time says how long, and
 * never runs back. Rooms that decide take time as an argument; only the edges ask here. */
#ifndef PORCH_OS_CLOCK_H
#define PORCH_OS_CLOCK_H

#include <stdint.h>
#include <time.h>

/* Milliseconds since 1970-01-01T00:00:00Z. */
uint64_t porch_clock_ms(void);
/* Since some fixed moment of this boot. */
uint64_t porch_clock_mono_ms(void);
uint64_t porch_clock_mono_us(void);
/* So many nanoseconds from now by the monotonic clock, as pthread_cond_timedwait takes it (of a condition
 * variable that waits by CLOCK_MONOTONIC). */
struct timespec porch_clock_mono_after(uint64_t ns);
/* Since the machine was started; time asleep counts, too. */
uint64_t porch_clock_boot_ms(void);

#define PORCH_CLOCK_TEXT_BYTES 25
/* "2026-01-31T08:15:00.123Z", always 24 characters and a zero. Times from the year 10000 on show as its
 * last moment before. Uses no locale and no time zone file. */
void porch_clock_rfc3339(uint64_t ms, char out[PORCH_CLOCK_TEXT_BYTES]);

#endif
