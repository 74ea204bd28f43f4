#include "cloud/broker/interest.h"

#include <stdlib.h>

#include "cloud/broker/level_hash.h"

enum { LAST_DEPTH = PORCH_INTEREST_DEPTHS - 1 };

bool porch_interest_init(porch_interest *i, uint64_t seed) {
    i->seed = seed;
    if (i->counters == NULL) i->counters = calloc(PORCH_INTEREST_COUNTERS, sizeof *i->counters);
    return i->counters != NULL;
}

void porch_interest_free(porch_interest *i) {
    free((void *)i->counters);
    i->counters = NULL;
}

static uint32_t place_of_beginning(uint64_t hash) {
    return (uint32_t)(hash & (PORCH_INTEREST_COUNTERS - 1));
}
/* A filter that is a topic's whole text and one that begins with it are different things. */
static uint32_t place_of_whole(uint64_t hash) {
    return (uint32_t)(hash >> 32 & (PORCH_INTEREST_COUNTERS - 1));
}

static bool is_wild(porch_bytes level) {
    return level.len == 1 && (level.at[0] == '+' || level.at[0] == '#');
}

static void count(_Atomic uint32_t *n, int by) {
    atomic_store_explicit(n, atomic_load_explicit(n, memory_order_relaxed) + (uint32_t)by,
                          memory_order_release);
}

static void change(porch_interest *i, porch_topic_filter filter, int by) {
    porch_topic_level walk = porch_topic_level_first(filter.text);
    porch_bytes level;
    uint64_t hash = 0;
    uint32_t depth = 0;
    bool wild = false;
    while (porch_topic_level_next(&walk, &level)) {
        wild = is_wild(level);
        if (wild || depth == LAST_DEPTH) break;
        hash = porch_level_hash(i->seed, hash, level);
        depth++;
    }
    /* Deeper than is told apart: counted where every topic of that depth is let pass. */
    bool deep = depth == LAST_DEPTH;
    wild = wild || deep;
    if (i->counters != NULL && !deep) {
        _Atomic uint8_t *c = &i->counters[wild ? place_of_beginning(hash) : place_of_whole(hash)];
        uint8_t was = atomic_load_explicit(c, memory_order_relaxed);
        if (was != UINT8_MAX) atomic_store_explicit(c, (uint8_t)(was + by), memory_order_release);
    }
    count(wild ? &i->wild[depth] : &i->whole, by);
}

void porch_interest_add(porch_interest *i, porch_topic_filter filter) {
    change(i, filter, 1);
}
void porch_interest_remove(porch_interest *i, porch_topic_filter filter) {
    change(i, filter, -1);
}

porch_interest_topic porch_interest_topic_of(uint64_t seed, porch_topic_name name) {
    porch_interest_topic t = {.levels = 0};
    porch_topic_level walk = porch_topic_level_first(name.text);
    porch_bytes level;
    uint64_t hash = 0;
    while (t.levels < LAST_DEPTH && porch_topic_level_next(&walk, &level)) {
        hash = porch_level_hash(seed, hash, level);
        t.beginning[++t.levels] = place_of_beginning(hash);
    }
    t.whole = place_of_whole(hash);
    return t;
}

bool porch_interest_may_hear(const porch_interest *i, const porch_interest_topic *t) {
    if (atomic_load_explicit(&i->wild[0], memory_order_acquire) > 0) return true;
    for (uint32_t d = 1; d <= t->levels; d++) {
        if (atomic_load_explicit(&i->wild[d], memory_order_acquire) == 0) continue;
        if (d == LAST_DEPTH || i->counters[t->beginning[d]] > 0) return true;
    }
    return atomic_load_explicit(&i->whole, memory_order_acquire) > 0 && i->counters[t->whole] > 0;
}
