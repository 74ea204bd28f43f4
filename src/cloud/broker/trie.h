/* Subscriptions by topic level: who hears a message?
 *
 *      filter d/+/telemetry/#          root ─ "d" ─ + ─ "telemetry" ─ #  {subscribers}
 *
 * One trie a shard, one thread. Literal children of all nodes share one hash table keyed by (parent,
 * level), so a step costs the same whether a node has two children or a million; '+' and '#' are pointers.
 * Adding may allocate, matching never does: the array of hits grows when something is added. */
#ifndef PORCH_CLOUD_BROKER_TRIE_H
#define PORCH_CLOUD_BROKER_TRIE_H

#include "wire/topic.h"

typedef struct porch_trie porch_trie;

/* A subscriber at one filter. `owner` is the caller's; the rest is handed back as given. */
typedef struct {
    void *owner;
    uint32_t number; /* the subscription's identifier, or whatever the caller counts here */
    uint8_t qos;
    bool no_local;
    bool retain_as_published;
    bool judge;  /* deliveries must be judged: a deny may apply */
    bool shared; /* the owner is a shared subscription, not a session */
} porch_trie_entry;

/* `seed` keys the hash, so that strangers cannot choose colliding levels. NULL without memory. */
porch_trie *porch_trie_new(uint64_t seed);
void porch_trie_free(porch_trie *t); /* NULL is fine */

/* Adds, or replaces what this owner had at this filter (*was_there). PORCH_ERR_IO without memory. */
porch_err porch_trie_put(porch_trie *t, porch_topic_filter filter, const porch_trie_entry *entry,
                         bool *was_there);
/* False when there was none. */
bool porch_trie_remove(porch_trie *t, porch_topic_filter filter, const void *owner);
/* All entries whose filter matches, valid until the next call that changes the trie. An owner with several
 * matching filters appears several times. */
size_t porch_trie_match(porch_trie *t, porch_topic_name name, const porch_trie_entry **hits);

/* Where a name's entries stand, kept by a caller who will ask about the same name again. All zero: unknown.
 */
enum { PORCH_TRIE_SPOTS = 3 };
typedef struct {
    uint64_t change; /* 0: unknown */
    size_t count;
    const void *at[PORCH_TRIE_SPOTS];
} porch_trie_spots;
/* As porch_trie_match. `spots` must be of this trie and this name; they hold until a filter comes or goes.
 */
size_t porch_trie_match_again(porch_trie *t, porch_topic_name name, porch_trie_spots *spots,
                              const porch_trie_entry **hits);
/* Another number whenever a name may have come to match where none did, or the other way round; never 0. */
uint64_t porch_trie_change(const porch_trie *t);
/* Is there any entry whose filter matches? */
bool porch_trie_any(const porch_trie *t, porch_topic_name name);
/* What this owner has at this filter, to be changed in place; NULL when it has nothing. Valid until the
 * next call that changes the trie. */
porch_trie_entry *porch_trie_get(porch_trie *t, porch_topic_filter filter, const void *owner);
/* How many entries there are. */
size_t porch_trie_count(const porch_trie *t);
/* Nodes, the root included: nothing is left behind when all entries are gone. */
size_t porch_trie_nodes(const porch_trie *t);

#endif
