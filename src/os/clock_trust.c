#include "os/clock_trust.h"

bool porch_clock_trusted(porch_clock_trust *t, uint64_t real_ms, uint64_t mono_ms, uint64_t settle_ms,
                         bool *jumped) {
    uint64_t expected = t->real_ms + (mono_ms - t->mono_ms);
    uint64_t off = real_ms > expected ? real_ms - expected : expected - real_ms;
    *jumped = t->begun && off >= PORCH_CLOCK_JUMP_MS;
    if (!t->begun || *jumped) t->trusted_from_mono = mono_ms + settle_ms;
    t->begun = true;
    t->real_ms = real_ms;
    t->mono_ms = mono_ms;
    return mono_ms >= t->trusted_from_mono;
}
