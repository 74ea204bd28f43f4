#include "cloud/broker/memo.h"

#include <stdlib.h>
#include <string.h>

#include "cloud/broker/level_hash.h"

_Static_assert(sizeof(porch_memo_topic) == 256, "rows lie close");

porch_memo *porch_memo_new(uint64_t seed) {
    porch_memo *m = calloc(1, sizeof *m);
    if (m == NULL) return NULL;
    m->seed = seed;
    m->last = m->rows;
    return m;
}

void porch_memo_free(porch_memo *m) {
    free(m);
}

static uint64_t word_at(const uint8_t *at) {
    uint64_t w;
    memcpy(&w, at, sizeof w);
    return w;
}

/* Eight bytes at a time; the last eight may overlap those before. */
static uint64_t hash_of(uint64_t seed, porch_bytes t) {
    uint64_t h = seed ^ t.len * 0x9e3779b97f4a7c15u, w = 0;
    const uint8_t *at = t.at;
    size_t left = t.len;
    for (; left > 8; at += 8, left -= 8)
        h = porch_level_mix(h ^ word_at(at), 0xd6e8feb86659fd93u);
    if (t.len >= 8)
        w = word_at(t.at + t.len - 8);
    else
        for (size_t i = 0; i < left; i++)
            w = w << 8 | at[i];
    return porch_level_mix(h ^ w, 0xa0761d6478bd642fu);
}

static porch_memo_topic *fill(porch_memo *m, porch_memo_topic *set, uint64_t hash, porch_bytes topic) {
    uint64_t id = ++m->ids;
    porch_memo_topic *row = set;
    while (row < set + PORCH_MEMO_WAYS && row->id != 0)
        row++;
    if (row == set + PORCH_MEMO_WAYS) row = set + id % PORCH_MEMO_WAYS;
    *row = (porch_memo_topic){
        .hash = hash, .id = id, .len = (uint16_t)topic.len, .levels = (uint16_t)porch_topic_levels(topic)};
    memcpy(row->text, topic.at, topic.len);
    return row;
}

porch_memo_topic *porch_memo_look(porch_memo *m, porch_bytes topic) {
    if (topic.len == 0 || topic.len > PORCH_MEMO_TEXT) return NULL;
    uint64_t hash = hash_of(m->seed, topic);
    porch_memo_topic *set = &m->rows[hash % (PORCH_MEMO_ROWS / PORCH_MEMO_WAYS) * PORCH_MEMO_WAYS];
    for (porch_memo_topic *row = set; row < set + PORCH_MEMO_WAYS; row++)
        if (row->hash == hash && porch_memo_is(row, topic)) return m->last = row;
    return m->last = fill(m, set, hash, topic);
}
