/* What time it is, for a device whose clock may be wrong by decades:
 *
 *   floor        the greatest time that the hub has vouched for; it only grows, and lies on disk
 *   signed time  what the hub said in this run, carried on by a clock that nobody sets
 *   system       the operating system's real time
 *
 * now = the signed time where there is one and the system's is more than five minutes off, else the
 * system's; but never below the floor. Nothing here asks a clock or a disk: times come in. */
#ifndef PORCH_DEVICE_CLOCK_H
#define PORCH_DEVICE_CLOCK_H

#include "crypto/keystore.h"
#include "wire/signed_time.h"

#define PORCH_CLOCK_JUMP_MOST_MS UINT64_C(315576000000) /* ten years: no single word moves us further */
#define PORCH_CLOCK_FRESH_MS     UINT64_C(86400000)     /* asked for again after a day */

typedef struct {
    uint64_t floor_ms;
    bool is_signed;
    uint64_t signed_ms; /* at since_ms of the steady clock */
    uint64_t since_ms;
} porch_device_clock;

uint64_t porch_clock_now(const porch_device_clock *c, uint64_t system_ms, uint64_t steady_ms);
/* Is that more than the least that it can be? A system's clock that lies before the floor is wrong, and
 * then years may have passed since. */
bool porch_clock_is_known(const porch_device_clock *c, uint64_t system_ms);
/* Should the hub be asked? Once a run, and then daily. */
bool porch_clock_wants(const porch_device_clock *c, uint64_t steady_ms);

/* Is this an answer to our question, from our hub's signer, and not absurd? SIGNATURE: not by `key`, or
 * another hub's or another question's; ROLLBACK: before the floor; LIMIT: too far ahead of it. */
porch_err porch_clock_judge(const porch_device_clock *c, porch_bytes answer, const uint8_t key[32],
                            const char *hub, const uint8_t nonce[PORCH_SIGNED_TIME_NONCE_BYTES],
                            porch_signed_time *ret, porch_why *why);
/* Takes over a time that was judged. */
void porch_clock_set(porch_device_clock *c, uint64_t at_ms, uint64_t steady_ms);
/* A time that must have passed: the beginning of our own certificate's life. */
void porch_clock_raise(porch_device_clock *c, uint64_t at_least_ms);

/* The floor as it lies on disk: decimal and LF. MALFORMED. */
enum { PORCH_CLOCK_TEXT_MOST = 24 };
porch_err porch_clock_write(const porch_device_clock *c, porch_buf *out);
porch_err porch_clock_read(porch_bytes text, porch_device_clock *c);

#endif
