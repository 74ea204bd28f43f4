/* Retained messages by topic level (MQTT 5.0, section 3.3.1.3): what a new subscriber hears first.
 *
 *      set(message, seq) ──► trie: one node a level, children in a list and in a hash table
 *      walk(filter)      ──► a few at a time, from where the last call stopped
 *
 * Each shard has the whole; messages are shared between them. Changes come from all shards and may arrive
 * in another order than they were committed in: the greater number wins, and what was cleared is remembered
 * until nothing older can arrive any more. One thread. */
#ifndef PORCH_CLOUD_BROKER_RETAINED_H
#define PORCH_CLOUD_BROKER_RETAINED_H

#include "cloud/broker/message.h"

typedef struct porch_retained porch_retained;
typedef struct porch_retained_node porch_retained_node;

/* `seed` keys the hash. NULL without memory. */
porch_retained *porch_retained_new(uint64_t seed);
/* Gives all messages back. NULL is fine. */
void porch_retained_free(porch_retained *r, porch_pool *pool);
/* Keeps a reference; an empty payload clears the topic. Nothing happens when what is there is newer.
 * PORCH_ERR_IO without memory. */
porch_err porch_retained_set(porch_retained *r, porch_pool *pool, porch_message *m, uint64_t seq);
/* Nothing up to this number can arrive any more. */
void porch_retained_settle(porch_retained *r, uint64_t seq);
/* Lets expired messages go; `steps` of the table's buckets are looked at, each call going on where the last
 * one stopped. `may_go` is asked before each; where it says no, the message stays for the next time round.
 */
void porch_retained_expire(porch_retained *r, porch_pool *pool, uint64_t now_ms, size_t steps,
                           bool (*may_go)(void *ctx, const porch_message *m), void *ctx);
/* Lets all go that `goes` names, in no order. Nothing older comes in their place, as after a message that
 * clears a topic. */
void porch_retained_drop(porch_retained *r, porch_pool *pool,
                         bool (*goes)(const porch_message *m, const void *ctx), const void *ctx);
/* Bytes that the message counts for in the limits. */
uint64_t porch_retained_weight(const porch_message *m);
/* How much there is of whom the topic's first two levels name ("d/ID"), and its bytes. */
void porch_retained_owned(const porch_retained *r, porch_bytes topic, uint64_t *messages, uint64_t *bytes);
/* NULL when the topic has none. */
porch_message *porch_retained_find(const porch_retained *r, porch_bytes topic);
size_t porch_retained_count(const porch_retained *r);
uint64_t porch_retained_bytes(const porch_retained *r); /* topics, properties and payloads */
/* Nodes, the root included. */
size_t porch_retained_nodes(const porch_retained *r);

typedef struct {
    porch_retained_node *at; /* NULL: over */
} porch_retained_walk;

/* While a walk is open no node goes away. Each begun walk is ended. */
porch_retained_walk porch_retained_walk_begin(porch_retained *r);
void porch_retained_walk_end(porch_retained *r, porch_retained_walk *w);
/* Up to `most` messages that `filter` (the same in each call) matches, no references taken; looks at no
 * more than `steps` nodes. The walk is over when w->at is NULL. */
size_t porch_retained_walk_next(porch_retained *r, porch_retained_walk *w, porch_topic_filter filter,
                                porch_message **ret, size_t most, size_t steps);

#endif
