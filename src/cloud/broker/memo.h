/* What a shard has found out about the topics that it hears of, so that the next message of the same topic
 * does not ask again.
 *
 *      topic bytes ──hash──► a row of two: the whole topic, its levels, who hears it (trie.h), is it
 * stored, ...
 *
 * The same topics come again and again, and all but the subscriptions' changes about them stays. A row is
 * found by comparing the whole topic: the hash only says where to look. Each time a row is filled it gets
 * an identity that is never given again, so that others may remember things about (identity) instead of
 * (topic). One thread; nothing is allocated after the start; pages that no topic has touched take no
 * memory. */
#ifndef PORCH_CLOUD_BROKER_MEMO_H
#define PORCH_CLOUD_BROKER_MEMO_H

#include <string.h>

#include "cloud/broker/interest.h"
#include "cloud/broker/trie.h"

enum { PORCH_MEMO_ROWS = 2048, PORCH_MEMO_WAYS = 4, PORCH_MEMO_TEXT = 112 };

/* What is about the topic alone; its owner fills in what it asks for. All zero behind `text`: not asked
 * yet. */
typedef struct porch_memo_topic {
    uint64_t hash;
    uint64_t id; /* 0: empty */
    porch_trie_spots heard;
    uint64_t kept_change; /* the kept trie's, when `kept` was found out */
    uint16_t len, levels;
    bool kept, stored_known, stored, interest_known;
    uint8_t text[PORCH_MEMO_TEXT];
    porch_interest_topic interest;
} porch_memo_topic;

typedef struct {
    uint64_t seed;
    uint64_t ids;           /* the last one given */
    porch_memo_topic *last; /* one message asks several times */
    porch_memo_topic rows[PORCH_MEMO_ROWS];
} porch_memo;

/* `seed` keys the hash, so that strangers cannot choose topics that drive each other out. NULL without
 * memory. */
porch_memo *porch_memo_new(uint64_t seed);
void porch_memo_free(porch_memo *m); /* NULL is fine */

/* porch_memo_of where it is not the one of the last call. */
porch_memo_topic *porch_memo_look(porch_memo *m, porch_bytes topic);

static inline bool porch_memo_is(const porch_memo_topic *row, porch_bytes topic) {
    return row->len == topic.len && memcmp(row->text, topic.at, topic.len) == 0;
}

/* The topic's row, fresh when there was none. It is the topic's until the next call, not longer; its
 * identity is for ever. NULL: the topic is longer than a row (or empty), and everything is asked anew. */
static inline porch_memo_topic *porch_memo_of(porch_memo *m, porch_bytes topic) {
    return topic.len > 0 && porch_memo_is(m->last, topic) ? m->last : porch_memo_look(m, topic);
}

/* The identity of the topic; 0: it has none. */
static inline uint64_t porch_memo_id(porch_memo *m, porch_bytes topic) {
    const porch_memo_topic *row = porch_memo_of(m, topic);
    return row == NULL ? 0 : row->id;
}

#endif
