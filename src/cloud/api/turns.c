#include "cloud/api/turns.h"

#include <pthread.h>
#include <stdlib.h>
#include <string.h>

enum { WAYS = 8, UNITS_A_TURN = 60000 };

/* A bucket that fills evenly: at most per_minute at once and per minute. */
typedef struct {
    uint8_t asker[32];
    bool used;
    uint64_t units;
    uint64_t at_ms;
} row;

struct porch_turns {
    pthread_mutex_t lock;
    uint32_t per_minute;
    size_t sets;
    row rows[]; /* sets of WAYS */
};

porch_turns *porch_turns_new(size_t most, uint32_t per_minute) {
    size_t sets = (most + WAYS - 1) / WAYS;
    porch_turns *t = calloc(1, sizeof *t + sets * WAYS * sizeof t->rows[0]);
    if (t == NULL) return NULL;
    (void)pthread_mutex_init(&t->lock, NULL);
    t->per_minute = per_minute;
    t->sets = sets;
    return t;
}

void porch_turns_free(porch_turns *t) {
    if (t == NULL) return;
    (void)pthread_mutex_destroy(&t->lock);
    free(t);
}

/* Its own row; else a free one or the quietest of its set, filled. Under the lock. */
static row *row_of(porch_turns *t, const uint8_t asker[32], uint64_t mono_ms) {
    uint64_t place = 0;
    memcpy(&place, asker, sizeof place);
    row *set = &t->rows[(size_t)(place % t->sets) * WAYS], *quietest = set;
    for (size_t i = 0; i < WAYS; i++) {
        row *r = &set[i];
        if (r->used && memcmp(r->asker, asker, sizeof r->asker) == 0) return r;
        if (quietest->used && (!r->used || r->at_ms < quietest->at_ms)) quietest = r;
    }
    *quietest = (row){.used = true, .units = (uint64_t)t->per_minute * UNITS_A_TURN, .at_ms = mono_ms};
    memcpy(quietest->asker, asker, sizeof quietest->asker);
    return quietest;
}

static void fill(row *r, uint32_t per_minute, uint64_t mono_ms) {
    const uint64_t full = (uint64_t)per_minute * UNITS_A_TURN;
    uint64_t passed = mono_ms > r->at_ms ? mono_ms - r->at_ms : 0;
    if (passed >= UNITS_A_TURN || r->units + passed * per_minute >= full)
        r->units = full;
    else
        r->units += passed * per_minute;
    if (mono_ms > r->at_ms) r->at_ms = mono_ms;
}

bool porch_turns_take(porch_turns *t, const uint8_t asker[32], uint64_t mono_ms, uint64_t *wait_ms) {
    (void)pthread_mutex_lock(&t->lock);
    row *r = row_of(t, asker, mono_ms);
    fill(r, t->per_minute, mono_ms);
    bool has = r->units >= UNITS_A_TURN;
    if (has)
        r->units -= UNITS_A_TURN;
    else
        *wait_ms = (UNITS_A_TURN - r->units + t->per_minute - 1) / t->per_minute;
    (void)pthread_mutex_unlock(&t->lock);
    return has;
}
