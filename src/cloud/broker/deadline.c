#include "cloud/broker/deadline.h"

#include <stdlib.h>

static void put(porch_deadlines *d, uint32_t i, porch_deadline *one) {
    d->heap[i] = one;
    one->place = i + 1;
}

/* Moves `one`, whose place is free at i, to where it belongs. */
static void settle(porch_deadlines *d, uint32_t i, porch_deadline *one) {
    while (i > 0 && d->heap[(i - 1) / 2]->due_ms > one->due_ms) {
        put(d, i, d->heap[(i - 1) / 2]);
        i = (i - 1) / 2;
    }
    for (;;) {
        uint32_t child = 2 * i + 1;
        if (child >= d->count) break;
        if (child + 1 < d->count && d->heap[child + 1]->due_ms < d->heap[child]->due_ms) child++;
        if (d->heap[child]->due_ms >= one->due_ms) break;
        put(d, i, d->heap[child]);
        i = child;
    }
    put(d, i, one);
}

bool porch_deadline_set(porch_deadlines *d, porch_deadline *one, uint64_t due_ms) {
    if (one->place == 0) {
        if (d->count == d->cap) {
            uint32_t cap = d->cap == 0 ? 64 : d->cap * 2;
            porch_deadline **wider = realloc(d->heap, cap * sizeof *wider);
            if (wider == NULL) return false;
            d->heap = wider;
            d->cap = cap;
        }
        put(d, d->count++, one);
    }
    one->due_ms = due_ms;
    settle(d, one->place - 1, one);
    return true;
}

void porch_deadline_clear(porch_deadlines *d, porch_deadline *one) {
    if (one->place == 0) return;
    uint32_t i = one->place - 1;
    one->place = 0;
    porch_deadline *last = d->heap[--d->count];
    if (last != one) settle(d, i, last);
}

porch_deadline *porch_deadline_first(const porch_deadlines *d) {
    return d->count == 0 ? NULL : d->heap[0];
}

void porch_deadlines_free(porch_deadlines *d) {
    free(d->heap);
    *d = (porch_deadlines){NULL, 0, 0};
}
