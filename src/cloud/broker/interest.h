/* What other shards may know of a shard's subscriptions: could a message of this topic be for anybody
 * there?
 *
 *   filter  bench/x/1          the whole text     ─► one counter          topic ─► its whole text and each
 *   filter  d/+/telemetry/#    "d", then a wildcard ─► another counter               of its beginnings
 *
 * "No" is sure, "perhaps" may be wrong: counters are chosen by a hash, and one that was ever full stays so.
 * Without it each message crosses to every shard that has any subscription, and what crosses costs both
 * cores several cache lines. The owner's thread writes, any thread reads; what the owner added is seen by
 * whoever hears of it by whatever way (a SUBACK that the client acts upon). */
#ifndef PORCH_CLOUD_BROKER_INTEREST_H
#define PORCH_CLOUD_BROKER_INTEREST_H

#include <stdatomic.h>

#include "wire/topic.h"

enum {
    PORCH_INTEREST_COUNTERS = 1 << 20, /* bytes of address space; a page of memory once it is written to */
    PORCH_INTEREST_DEPTHS = 16         /* wildcards further down are told apart no more */
};

typedef struct {
    uint64_t seed;
    _Atomic uint8_t *counters;
    _Atomic uint32_t whole;                       /* filters without wildcard */
    _Atomic uint32_t wild[PORCH_INTEREST_DEPTHS]; /* with one, by the levels in front of it */
} porch_interest;

/* The counters of a topic, reckoned once for all shards; of one seed. */
typedef struct {
    uint32_t whole;
    uint32_t levels; /* at most PORCH_INTEREST_DEPTHS - 1 */
    uint32_t beginning[PORCH_INTEREST_DEPTHS];
} porch_interest_topic;

/* False without memory. Before it everybody is answered "no". */
bool porch_interest_init(porch_interest *i, uint64_t seed);
void porch_interest_free(porch_interest *i);

/* Owner only: one subscription more, one less. */
void porch_interest_add(porch_interest *i, porch_topic_filter filter);
void porch_interest_remove(porch_interest *i, porch_topic_filter filter);

/* Any thread. */
porch_interest_topic porch_interest_topic_of(uint64_t seed, porch_topic_name name);
bool porch_interest_may_hear(const porch_interest *i, const porch_interest_topic *t);

#endif
