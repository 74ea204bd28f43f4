/* Guessing gets slower: after a few free attempts each further one must wait twice as long as the last.
 *
 * An attempt is counted when it begins and forgiven when it turns out right, so a hundred at the same time
 * gain nothing. Keys are what is guarded (an account's name, known or not) and where it comes from (an
 * address; for IPv6 its /64). A fixed table in memory: when it is full, the entry of its bucket that would
 * be forgotten first makes room. What is known of a key can be read and put back, so that a restart
 * forgives nothing. Not thread-safe: the caller has the lock. Time is an argument. */
#ifndef PORCH_CLOUD_ACCOUNTS_THROTTLE_H
#define PORCH_CLOUD_ACCOUNTS_THROTTLE_H

#include "base/bytes.h"

typedef struct porch_throttle porch_throttle;

typedef struct {
    uint8_t at[16];
} porch_throttle_key;

typedef struct {
    porch_throttle_key key;
    uint32_t free_attempts; /* before the first delay */
} porch_throttle_subject;

/* Delays grow from one second to `most_s`; a key that was left alone for `forget_s` is as new. NULL when
 * out of memory. */
porch_throttle *porch_throttle_new(uint32_t most_s, uint32_t forget_s);
void porch_throttle_free(porch_throttle *t);

/* A key of a kind ('a' account, 'i' address, ...) and a text. */
porch_throttle_key porch_throttle_key_of(char kind, porch_bytes text);
porch_throttle_key porch_throttle_key_of_address(const char *address);

/* 0: go on, the attempt is counted for every subject. Otherwise the seconds to wait, and nothing changed.
 */
uint32_t porch_throttle_begin(porch_throttle *t, const porch_throttle_subject *subjects, size_t count,
                              uint64_t now_ms);
/* The attempt was right: the key starts anew. */
void porch_throttle_clear(porch_throttle *t, porch_throttle_key key);
/* The attempt was right: it is not counted, earlier ones stay. */
void porch_throttle_forgive(porch_throttle *t, porch_throttle_key key);

/* What is known of a key. */
typedef struct {
    uint32_t attempts;
    uint64_t next_ms; /* the earliest moment of the next attempt; 0: now */
    uint64_t last_ms;
} porch_throttle_mark;
/* False: nothing. */
bool porch_throttle_read(porch_throttle *t, porch_throttle_key key, porch_throttle_mark *ret);
/* Puts back what was read before a restart. */
void porch_throttle_restore(porch_throttle *t, porch_throttle_key key, const porch_throttle_mark *mark);

#endif
