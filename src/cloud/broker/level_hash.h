/* A keyed hash of one topic level behind what came before it. The trie's table and the interest that other
 * shards look at are built on it; the key is secret, so that strangers cannot choose levels that collide.
 */
#ifndef PORCH_CLOUD_BROKER_LEVEL_HASH_H
#define PORCH_CLOUD_BROKER_LEVEL_HASH_H

#include <string.h>

#include "base/bytes.h"

/* Multiply and fold. */
static inline uint64_t porch_level_mix(uint64_t a, uint64_t b) {
    __uint128_t m = (__uint128_t)a * b;
    return (uint64_t)m ^ (uint64_t)(m >> 64);
}

/* Eight bytes at a time; levels are short. */
static inline uint64_t porch_level_hash(uint64_t seed, uint64_t before, porch_bytes level) {
    uint64_t h = porch_level_mix(seed ^ before, 0x9e3779b97f4a7c15u ^ level.len);
    while (level.len >= 8) {
        uint64_t w;
        memcpy(&w, level.at, 8);
        h = porch_level_mix(h ^ w, 0xd6e8feb86659fd93u ^ seed);
        level = (porch_bytes){level.at + 8, level.len - 8};
    }
    uint64_t w = 0;
    if (level.len > 0) memcpy(&w, level.at, level.len);
    return porch_level_mix(h ^ w, 0xa0761d6478bd642fu);
}

#endif
