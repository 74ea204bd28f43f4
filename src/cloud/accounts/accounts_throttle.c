#include "cloud/accounts/accounts_throttle.h"

#include <arpa/inet.h>
#include <stdlib.h>
#include <string.h>

#include "crypto/random.h"
#include "crypto/sha256.h"

enum { BUCKETS = 1024, WAYS = 8 };

typedef struct {
    porch_throttle_key key;
    uint32_t attempts; /* 0: a free place */
    uint64_t next_ms;  /* the earliest moment of the next attempt */
    uint64_t last_ms;
} entry;

struct porch_throttle {
    uint64_t most_ms, forget_ms;
    entry table[BUCKETS][WAYS];
};

/* Keys are hashed with a secret of this process, so that nobody can choose names that share a bucket. */
static uint8_t key_secret[32];
static bool key_secret_made;

porch_throttle *porch_throttle_new(uint32_t most_s, uint32_t forget_s) {
    porch_throttle *t = calloc(1, sizeof *t);
    if (t == NULL) return NULL;
    if (!key_secret_made) porch_random(key_secret, sizeof key_secret);
    key_secret_made = true;
    t->most_ms = (uint64_t)most_s * 1000;
    t->forget_ms = (uint64_t)forget_s * 1000;
    return t;
}

void porch_throttle_free(porch_throttle *t) {
    free(t);
}

porch_throttle_key porch_throttle_key_of(char kind, porch_bytes text) {
    uint8_t block[1 + 128];
    uint8_t digest[32];
    porch_throttle_key key;
    if (text.len > 128) {
        porch_hmac_sha256((porch_bytes){key_secret, sizeof key_secret}, text, digest);
        text = (porch_bytes){digest, sizeof digest};
    }
    block[0] = (uint8_t)kind;
    if (text.len > 0) memcpy(block + 1, text.at, text.len);
    porch_hmac_sha256((porch_bytes){key_secret, sizeof key_secret}, (porch_bytes){block, 1 + text.len},
                      digest);
    memcpy(key.at, digest, sizeof key.at);
    return key;
}

porch_throttle_key porch_throttle_key_of_address(const char *address) {
    struct in6_addr six;
    if (address != NULL && inet_pton(AF_INET6, address, &six) == 1 && !IN6_IS_ADDR_V4MAPPED(&six))
        return porch_throttle_key_of('6', (porch_bytes){six.s6_addr, 8}); /* one customer's /64 */
    return porch_throttle_key_of('4', porch_bytes_of(address));
}

static entry *bucket_of(porch_throttle *t, porch_throttle_key key) {
    return t->table[((unsigned)key.at[0] << 8 | key.at[1]) % BUCKETS];
}

static entry *find(porch_throttle *t, porch_throttle_key key) {
    entry *bucket = bucket_of(t, key);
    for (size_t i = 0; i < WAYS; i++)
        if (bucket[i].attempts > 0 && memcmp(bucket[i].key.at, key.at, sizeof key.at) == 0)
            return &bucket[i];
    return NULL;
}

static bool forgotten(const porch_throttle *t, const entry *e, uint64_t now_ms) {
    return e->attempts == 0 || (now_ms >= e->last_ms && now_ms - e->last_ms >= t->forget_ms);
}

/* The place for a new key: an empty or forgotten one, else the one with the fewest attempts, oldest first.
 */
static entry *place_for(porch_throttle *t, porch_throttle_key key, uint64_t now_ms) {
    entry *bucket = bucket_of(t, key);
    entry *best = &bucket[0];
    for (size_t i = 0; i < WAYS; i++) {
        entry *e = &bucket[i];
        if (forgotten(t, e, now_ms)) {
            best = e;
            break;
        }
        if (e->attempts < best->attempts || (e->attempts == best->attempts && e->last_ms < best->last_ms))
            best = e;
    }
    memset(best, 0, sizeof *best);
    best->key = key;
    return best;
}

static void count_attempt(porch_throttle *t, const porch_throttle_subject *s, uint64_t now_ms) {
    entry *e = find(t, s->key);
    if (e != NULL && forgotten(t, e, now_ms)) {
        memset(e, 0, sizeof *e);
        e->key = s->key;
    }
    if (e == NULL) e = place_for(t, s->key, now_ms);
    if (e->attempts < UINT32_MAX) e->attempts++;
    e->last_ms = now_ms;
    e->next_ms = 0;
    if (e->attempts >= s->free_attempts) {
        uint32_t doublings = e->attempts - s->free_attempts;
        uint64_t delay_ms = doublings < 20 ? (uint64_t)1000 << doublings : t->most_ms;
        e->next_ms = now_ms + (delay_ms < t->most_ms ? delay_ms : t->most_ms);
    }
}

uint32_t porch_throttle_begin(porch_throttle *t, const porch_throttle_subject *subjects, size_t count,
                              uint64_t now_ms) {
    uint64_t wait_ms = 0;
    for (size_t i = 0; i < count; i++) {
        entry *e = find(t, subjects[i].key);
        if (e == NULL || forgotten(t, e, now_ms) || e->next_ms <= now_ms) continue;
        uint64_t wait = e->next_ms - now_ms;
        /* A clock that was set back must not lock anybody out for longer than the longest delay. */
        if (wait > t->most_ms) {
            wait = t->most_ms;
            e->next_ms = now_ms + wait;
        }
        if (wait > wait_ms) wait_ms = wait;
    }
    if (wait_ms > 0) return (uint32_t)((wait_ms + 999) / 1000);
    for (size_t i = 0; i < count; i++)
        count_attempt(t, &subjects[i], now_ms);
    return 0;
}

void porch_throttle_clear(porch_throttle *t, porch_throttle_key key) {
    entry *e = find(t, key);
    if (e != NULL) memset(e, 0, sizeof *e);
}

void porch_throttle_forgive(porch_throttle *t, porch_throttle_key key) {
    entry *e = find(t, key);
    if (e == NULL) return;
    e->attempts--;
    e->next_ms = 0;
}

bool porch_throttle_read(porch_throttle *t, porch_throttle_key key, porch_throttle_mark *ret) {
    const entry *e = find(t, key);
    if (e == NULL) return false;
    *ret = (porch_throttle_mark){e->attempts, e->next_ms, e->last_ms};
    return true;
}

void porch_throttle_restore(porch_throttle *t, porch_throttle_key key, const porch_throttle_mark *mark) {
    if (mark->attempts == 0) return;
    entry *e = find(t, key);
    if (e == NULL) e = place_for(t, key, mark->last_ms);
    e->attempts = mark->attempts;
    e->next_ms = mark->next_ms;
    e->last_ms = mark->last_ms;
}
