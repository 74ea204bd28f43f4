#include "cloud/broker/alias.h"

#include <string.h>

struct porch_alias_topic {
    uint32_t len;
    uint8_t text[];
};

static bool make_topics(porch_alias *a, porch_pool *pool) {
    if (a->topics != NULL) return true;
    if (a->most == 0) return false;
    a->topics = porch_pool_take(pool, a->most * sizeof *a->topics);
    if (a->topics != NULL) memset(a->topics, 0, a->most * sizeof *a->topics);
    return a->topics != NULL;
}

bool porch_alias_set(porch_alias *a, porch_pool *pool, uint16_t alias, porch_bytes topic) {
    if (!make_topics(a, pool)) return false;
    porch_alias_topic **at = &a->topics[alias - 1];
    if (*at != NULL && porch_pool_room(*at) < sizeof **at + topic.len) {
        porch_pool_give(pool, *at);
        *at = NULL;
    }
    if (*at == NULL) *at = porch_pool_take(pool, sizeof **at + topic.len);
    if (*at == NULL) return false;
    (*at)->len = (uint32_t)topic.len;
    memcpy((*at)->text, topic.at, topic.len);
    return true;
}

porch_bytes porch_alias_topic_of(const porch_alias *a, uint16_t alias) {
    if (alias == 0 || alias > a->most || a->topics == NULL || a->topics[alias - 1] == NULL)
        return (porch_bytes){NULL, 0};
    return (porch_bytes){a->topics[alias - 1]->text, a->topics[alias - 1]->len};
}

static uint16_t slot_of(const porch_alias *a, porch_bytes topic) {
    uint64_t h = topic.len;
    for (size_t i = 0; i < topic.len; i++)
        h = (h ^ topic.at[i]) * 0x100000001b3u;
    return (uint16_t)(1 + (h ^ h >> 32) % a->most);
}

uint16_t porch_alias_for(const porch_alias *a, porch_bytes topic, bool *known) {
    if (a->most == 0) return 0;
    uint16_t alias = slot_of(a, topic);
    *known = porch_bytes_eq(porch_alias_topic_of(a, alias), topic);
    return alias;
}

void porch_alias_free(porch_alias *a, porch_pool *pool) {
    for (uint16_t i = 0; a->topics != NULL && i < a->most; i++)
        porch_pool_give(pool, a->topics[i]);
    porch_pool_give(pool, a->topics);
    *a = (porch_alias){NULL, 0};
}
