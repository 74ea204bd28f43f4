#include "access/set.h"

#include <string.h>

typedef struct {
    uint32_t at, len, used;
} place;

struct porch_access_set {
    uint32_t count, mask;
    place places[];
};

static uint64_t hash_of(porch_bytes text) {
    uint64_t h = 0x51ed270b0a1f39c1u ^ text.len, part = 0;
    for (size_t i = 0; i < text.len; i += 8, part = 0) {
        memcpy(&part, text.at + i, text.len - i < 8 ? text.len - i : 8);
        h = (h ^ part) * 0x9e3779b97f4a7c15u;
        h ^= h >> 29;
    }
    return h ^ h >> 32;
}

static size_t places_for(size_t count) {
    size_t n = 4;
    while (n < count * 2)
        n *= 2;
    return n;
}

size_t porch_access_set_bytes(const porch_bytes *texts, size_t count) {
    size_t bytes = sizeof(porch_access_set) + places_for(count) * sizeof(place);
    for (size_t i = 0; i < count; i++)
        bytes += texts[i].len;
    return bytes;
}

static const uint8_t *text_of(const porch_access_set *s) {
    return (const uint8_t *)(s->places + (size_t)s->mask + 1);
}

/* Where it stands, or the free place where it would. */
static uint32_t find(const porch_access_set *s, porch_bytes text) {
    uint32_t i = (uint32_t)hash_of(text) & s->mask;
    for (; s->places[i].used != 0; i = (i + 1) & s->mask)
        if (s->places[i].len == text.len && memcmp(text_of(s) + s->places[i].at, text.at, text.len) == 0)
            break;
    return i;
}

porch_err porch_access_set_build(const porch_bytes *texts, size_t count, void *block, size_t bytes,
                                 const porch_access_set **ret) {
    porch_access_set *s = block;
    size_t needed = porch_access_set_bytes(texts, count), at = 0;
    if (needed > UINT32_MAX) return PORCH_ERR_LIMIT;
    if (bytes < needed) return PORCH_ERR_NO_SPACE;
    *s = (porch_access_set){.mask = (uint32_t)places_for(count) - 1};
    memset(s->places, 0, ((size_t)s->mask + 1) * sizeof(place));
    uint8_t *copy = (uint8_t *)(s->places + (size_t)s->mask + 1);
    for (size_t i = 0; i < count; i++) {
        if (texts[i].len == 0) continue;
        place *free_one = &s->places[find(s, texts[i])];
        if (free_one->used != 0) continue;
        memcpy(copy + at, texts[i].at, texts[i].len);
        *free_one = (place){(uint32_t)at, (uint32_t)texts[i].len, 1};
        at += texts[i].len;
        s->count++;
    }
    *ret = s;
    return PORCH_OK;
}

size_t porch_access_set_count(const porch_access_set *set) {
    return set->count;
}

bool porch_access_set_has(const porch_access_set *set, porch_bytes text) {
    return text.len > 0 && set->places[find(set, text)].used != 0;
}
