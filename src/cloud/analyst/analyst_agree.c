/* Overlap is judged against the smaller box and generously: between two samples a walking person moves by
 * half a body. What must not agree is two things in different parts of the frame. */
#include "cloud/analyst/analyst_agree.h"

#include <string.h>

void porch_analyst_agree_init(porch_analyst_agree *a, uint32_t needed) {
    memset(a, 0, sizeof *a);
    a->needed = needed < 1 ? 1 : needed > PORCH_ANALYST_WINDOW ? PORCH_ANALYST_WINDOW : needed;
}

static uint32_t span(uint32_t a0, uint32_t a_len, uint32_t b0, uint32_t b_len) {
    uint32_t from = a0 > b0 ? a0 : b0;
    uint32_t to = a0 + a_len < b0 + b_len ? a0 + a_len : b0 + b_len;
    return to > from ? to - from : 0;
}

/* At least a third of the smaller box, and of similar height. */
static bool same_place(porch_analyst_box a, porch_analyst_box b) {
    uint64_t shared = (uint64_t)span(a.x, a.w, b.x, b.w) * span(a.y, a.h, b.y, b.h);
    uint64_t area_a = (uint64_t)a.w * a.h, area_b = (uint64_t)b.w * b.h;
    uint64_t smaller = area_a < area_b ? area_a : area_b;
    bool alike = 2u * a.h >= b.h && 2u * b.h >= a.h;
    return alike && shared > 0 && shared * 3 >= smaller;
}

bool porch_analyst_agree_take(porch_analyst_agree *a, const porch_analyst_sample *sample,
                              porch_analyst_seen *ret, uint32_t *agreeing) {
    uint32_t place = a->next;
    a->next = (a->next + 1) % PORCH_ANALYST_WINDOW;
    uint32_t count = sample->count < PORCH_ANALYST_PEOPLE_MAX ? sample->count : PORCH_ANALYST_PEOPLE_MAX;
    a->window[place].count = count;
    memcpy(a->window[place].seen, sample->seen, count * sizeof sample->seen[0]);

    bool confirmed = false;
    for (uint32_t i = 0; i < count; i++) {
        uint32_t votes = 1;
        for (uint32_t w = 0; w < PORCH_ANALYST_WINDOW; w++) {
            bool found = false;
            for (uint32_t j = 0; w != place && j < a->window[w].count && !found; j++) {
                found = same_place(sample->seen[i].box, a->window[w].seen[j].box);
            }
            votes += found;
        }
        if (votes < a->needed || (confirmed && sample->seen[i].score_milli <= ret->score_milli)) continue;
        confirmed = true;
        *ret = sample->seen[i];
        *agreeing = votes;
    }
    return confirmed;
}
