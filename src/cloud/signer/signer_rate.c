/* A bucket of turns that fills evenly: at most per_minute at once and per minute. */
#include "cloud/signer/signer_room.h"

enum { UNITS_A_TURN = 60000 };

porch_signer_rate porch_signer_rate_of(uint32_t per_minute, uint64_t now_ms) {
    return (porch_signer_rate){per_minute, (uint64_t)per_minute * UNITS_A_TURN, now_ms};
}

bool porch_signer_rate_take(porch_signer_rate *r, uint64_t now_ms, uint64_t *wait_ms) {
    uint64_t full = (uint64_t)r->per_minute * UNITS_A_TURN;
    uint64_t passed = now_ms > r->at_ms ? now_ms - r->at_ms : 0;
    if (passed >= UNITS_A_TURN || r->units + passed * r->per_minute >= full)
        r->units = full;
    else
        r->units += passed * r->per_minute;
    r->at_ms = now_ms;
    if (r->units < UNITS_A_TURN) {
        *wait_ms = (UNITS_A_TURN - r->units + r->per_minute - 1) / r->per_minute;
        return false;
    }
    r->units -= UNITS_A_TURN;
    return true;
}
