#include "cloud/broker/retained.h"

#include <stdlib.h>
#include <string.h>

/* "d/ID": where what is below counts for one device */
enum { BUCKETS_LEAST = 64, LEVELS_MOST = 128, OWNER_DEPTH = 2 };

struct porch_retained_node {
    porch_retained_node *parent, *children, *before, *after; /* siblings */
    porch_retained_node *chain;                              /* in the hash bucket */
    porch_retained_node *next_empty;
    porch_message *message; /* NULL: none */
    uint64_t seq;           /* of the message, or of what cleared it; 0: never had one */
    uint64_t hash;
    uint64_t below_bytes; /* of the messages here and below; at OWNER_DEPTH alone, as is the next */
    uint32_t below;
    uint32_t depth;
    uint32_t level_len;
    bool listed; /* among the empty ones */
    uint8_t level[];
};

struct porch_retained {
    uint64_t seed;
    porch_retained_node *root;
    porch_retained_node **buckets;
    size_t bucket_count, node_count, count;
    uint64_t bytes;
    porch_retained_node *empty; /* without message: to go once settled and nobody walks */
    uint64_t settled;
    size_t expiring; /* the bucket where porch_retained_expire goes on */
    unsigned walkers;
};

static uint64_t hash_level(uint64_t seed, const porch_retained_node *parent, porch_bytes level) {
    uint64_t h = seed ^ ((uint64_t)(uintptr_t)parent * 0x9e3779b97f4a7c15u);
    for (size_t i = 0; i < level.len; i++)
        h = (h ^ level.at[i]) * 0x100000001b3u;
    h ^= h >> 29;
    h *= 0xd6e8feb86659fd93u;
    return h ^ h >> 32;
}

porch_retained *porch_retained_new(uint64_t seed) {
    porch_retained *r = calloc(1, sizeof *r);
    if (r == NULL) return NULL;
    r->seed = seed;
    r->bucket_count = BUCKETS_LEAST;
    r->root = calloc(1, sizeof *r->root);
    r->buckets = calloc(r->bucket_count, sizeof *r->buckets);
    if (r->root != NULL && r->buckets != NULL) return r;
    porch_retained_free(r, NULL);
    return NULL;
}

void porch_retained_free(porch_retained *r, porch_pool *pool) {
    if (r == NULL) return;
    for (size_t i = 0; r->buckets != NULL && i < r->bucket_count; i++) {
        for (porch_retained_node *n = r->buckets[i], *next; n != NULL; n = next) {
            next = n->chain;
            if (n->message != NULL) porch_message_release(pool, n->message);
            free(n);
        }
    }
    free(r->buckets);
    free(r->root);
    free(r);
}

size_t porch_retained_count(const porch_retained *r) {
    return r->count;
}
uint64_t porch_retained_bytes(const porch_retained *r) {
    return r->bytes;
}
size_t porch_retained_nodes(const porch_retained *r) {
    return r->node_count + 1;
}

/* ---- nodes ---- */

static porch_retained_node *find_child(const porch_retained *r, const porch_retained_node *parent,
                                       porch_bytes level) {
    uint64_t hash = hash_level(r->seed, parent, level);
    for (porch_retained_node *n = r->buckets[hash & (r->bucket_count - 1)]; n != NULL; n = n->chain) {
        if (n->hash == hash && n->parent == parent && n->level_len == level.len &&
            (level.len == 0 || memcmp(n->level, level.at, level.len) == 0))
            return n;
    }
    return NULL;
}

static void widen(porch_retained *r) {
    size_t count = r->bucket_count * 2;
    porch_retained_node **wider = calloc(count, sizeof *wider);
    if (wider == NULL) return; /* longer chains are slower, not wrong */
    for (size_t i = 0; i < r->bucket_count; i++) {
        for (porch_retained_node *n = r->buckets[i], *next; n != NULL; n = next) {
            next = n->chain;
            n->chain = wider[n->hash & (count - 1)];
            wider[n->hash & (count - 1)] = n;
        }
    }
    free(r->buckets);
    r->buckets = wider;
    r->bucket_count = count;
}

static porch_retained_node *make_child(porch_retained *r, porch_retained_node *parent, porch_bytes level) {
    porch_retained_node *n = calloc(1, sizeof *n + level.len);
    if (n == NULL) return NULL;
    if (r->node_count >= r->bucket_count) widen(r);
    n->parent = parent;
    n->depth = parent->depth + 1;
    n->level_len = (uint32_t)level.len;
    if (level.len > 0) memcpy(n->level, level.at, level.len);
    n->hash = hash_level(r->seed, parent, level);
    porch_retained_node **bucket = &r->buckets[n->hash & (r->bucket_count - 1)];
    n->chain = *bucket;
    *bucket = n;
    n->after = parent->children;
    if (n->after != NULL) n->after->before = n;
    parent->children = n;
    r->node_count++;
    return n;
}

static void list_empty(porch_retained *r, porch_retained_node *n) {
    if (n == r->root || n->listed || n->message != NULL) return;
    n->listed = true;
    n->next_empty = r->empty;
    r->empty = n;
}

static void remove_node(porch_retained *r, porch_retained_node *n) {
    porch_retained_node **at = &r->buckets[n->hash & (r->bucket_count - 1)];
    while (*at != n)
        at = &(*at)->chain;
    *at = n->chain;
    if (n->after != NULL) n->after->before = n->before;
    *(n->before != NULL ? &n->before->after : &n->parent->children) = n->after;
    r->node_count--;
    free(n);
}

/* Nodes that hold nothing and lead to nothing go, once nothing older than what cleared them can arrive. */
static void sweep(porch_retained *r) {
    porch_retained_node *waiting = NULL;
    while (r->walkers == 0 && r->empty != NULL) {
        porch_retained_node *n = r->empty;
        r->empty = n->next_empty;
        n->listed = false;
        if (n->message != NULL || n->children != NULL) continue; /* a child that goes lists it again */
        if (n->seq > r->settled) {
            n->listed = true;
            n->next_empty = waiting;
            waiting = n;
            continue;
        }
        porch_retained_node *parent = n->parent;
        remove_node(r, n);
        list_empty(r, parent);
    }
    while (waiting != NULL) {
        porch_retained_node *n = waiting;
        waiting = n->next_empty;
        n->next_empty = r->empty;
        r->empty = n;
    }
}

/* ---- setting ---- */

uint64_t porch_retained_weight(const porch_message *m) {
    return (uint64_t)m->topic_len + m->properties_len + m->payload_len;
}

/* `owner` may be NULL: a topic of one level belongs to nobody. */
static void count(porch_retained *r, porch_retained_node *owner, const porch_message *m, bool more) {
    const uint64_t bytes = porch_retained_weight(m);
    r->count = more ? r->count + 1 : r->count - 1;
    r->bytes = more ? r->bytes + bytes : r->bytes - bytes;
    if (owner == NULL) return;
    owner->below = more ? owner->below + 1 : owner->below - 1;
    owner->below_bytes = more ? owner->below_bytes + bytes : owner->below_bytes - bytes;
}

porch_err porch_retained_set(porch_retained *r, porch_pool *pool, porch_message *m, uint64_t seq) {
    porch_topic_level walk = porch_topic_level_first(porch_message_topic(m));
    porch_bytes level;
    porch_retained_node *n = r->root, *owner = NULL;
    while (porch_topic_level_next(&walk, &level)) {
        porch_retained_node *child = find_child(r, n, level);
        if (child == NULL) child = make_child(r, n, level);
        if (child != NULL && child->depth == OWNER_DEPTH) owner = child;
        if (child == NULL) {
            list_empty(r, n);
            sweep(r);
            return PORCH_ERR_IO;
        }
        n = child;
    }
    if (seq <= n->seq) return PORCH_OK;
    n->seq = seq;
    if (n->message != NULL) {
        count(r, owner, n->message, false);
        porch_message_release(pool, n->message);
        n->message = NULL;
    }
    if (m->payload_len > 0) {
        porch_message_retain(m);
        n->message = m;
        count(r, owner, m, true);
    } else {
        list_empty(r, n);
    }
    return PORCH_OK;
}

static porch_retained_node *owner_of(porch_retained_node *n) {
    while (n != NULL && n->depth > OWNER_DEPTH)
        n = n->parent;
    return n != NULL && n->depth == OWNER_DEPTH ? n : NULL;
}

/* Its number stays: nothing older comes in its place. */
static void let_go(porch_retained *r, porch_pool *pool, porch_retained_node *n) {
    count(r, owner_of(n), n->message, false);
    porch_message_release(pool, n->message);
    n->message = NULL;
    list_empty(r, n);
}

void porch_retained_drop(porch_retained *r, porch_pool *pool,
                         bool (*goes)(const porch_message *m, const void *ctx), const void *ctx) {
    for (size_t i = 0; i < r->bucket_count; i++)
        for (porch_retained_node *n = r->buckets[i]; n != NULL; n = n->chain)
            if (n->message != NULL && goes(n->message, ctx)) let_go(r, pool, n);
}

void porch_retained_expire(porch_retained *r, porch_pool *pool, uint64_t now_ms, size_t steps,
                           bool (*may_go)(void *ctx, const porch_message *m), void *ctx) {
    for (size_t i = 0; i < steps && i < r->bucket_count; i++) {
        r->expiring = (r->expiring + 1) & (r->bucket_count - 1);
        for (porch_retained_node *n = r->buckets[r->expiring]; n != NULL; n = n->chain) {
            const porch_message *m = n->message;
            if (m != NULL && porch_message_expired(m, now_ms) && may_go(ctx, m)) let_go(r, pool, n);
        }
    }
}

void porch_retained_settle(porch_retained *r, uint64_t seq) {
    if (seq > r->settled) r->settled = seq;
    sweep(r);
}

void porch_retained_owned(const porch_retained *r, porch_bytes topic, uint64_t *messages, uint64_t *bytes) {
    porch_topic_level walk = porch_topic_level_first(topic);
    porch_bytes level;
    const porch_retained_node *n = r->root;
    while (n != NULL && n->depth < OWNER_DEPTH && porch_topic_level_next(&walk, &level))
        n = find_child(r, n, level);
    bool there = n != NULL && n->depth == OWNER_DEPTH;
    *messages = there ? n->below : 0;
    *bytes = there ? n->below_bytes : 0;
}

porch_message *porch_retained_find(const porch_retained *r, porch_bytes topic) {
    porch_topic_level walk = porch_topic_level_first(topic);
    porch_bytes level;
    const porch_retained_node *n = r->root;
    while (n != NULL && porch_topic_level_next(&walk, &level))
        n = find_child(r, n, level);
    return n == NULL ? NULL : n->message;
}

/* ---- walking ---- */

/* A filter taken apart. `fixed` levels, then everything below when `rest`. */
typedef struct {
    porch_bytes levels[LEVELS_MOST];
    uint32_t fixed;
    bool rest;
} pattern;

static bool is_wild(porch_bytes level, uint8_t wild) {
    return level.len == 1 && level.at[0] == wild;
}

static bool take_apart(porch_topic_filter filter, pattern *p) {
    porch_topic_level walk = porch_topic_level_first(filter.text);
    porch_bytes level;
    p->fixed = 0;
    p->rest = false;
    while (porch_topic_level_next(&walk, &level)) {
        if (p->fixed == LEVELS_MOST) return false; /* broker.topic_levels is not above */
        p->rest = is_wild(level, '#');
        if (!p->rest) p->levels[p->fixed++] = level;
    }
    return true;
}

/* Are all children of a node at this depth on the way? */
static bool takes_all(const pattern *p, uint32_t depth) {
    return depth < p->fixed ? is_wild(p->levels[depth], '+') : p->rest;
}

/* MQTT-4.7.2-1: a wildcard in the first level passes over names that begin with '$'. */
static porch_retained_node *skip_hidden(porch_retained_node *n) {
    while (n != NULL && n->depth == 1 && n->level_len > 0 && n->level[0] == '$')
        n = n->after;
    return n;
}

static porch_retained_node *descend(const porch_retained *r, const pattern *p, porch_retained_node *n) {
    if (takes_all(p, n->depth)) return skip_hidden(n->children);
    return n->depth < p->fixed ? find_child(r, n, p->levels[n->depth]) : NULL;
}

static porch_retained_node *advance(const porch_retained *r, const pattern *p, porch_retained_node *n) {
    porch_retained_node *next = descend(r, p, n);
    while (next == NULL && n != r->root) {
        porch_retained_node *parent = n->parent;
        if (takes_all(p, parent->depth)) next = skip_hidden(n->after);
        n = parent;
    }
    return next;
}

porch_retained_walk porch_retained_walk_begin(porch_retained *r) {
    r->walkers++;
    return (porch_retained_walk){r->root};
}

void porch_retained_walk_end(porch_retained *r, porch_retained_walk *w) {
    w->at = NULL;
    r->walkers--;
    sweep(r);
}

size_t porch_retained_walk_next(porch_retained *r, porch_retained_walk *w, porch_topic_filter filter,
                                porch_message **ret, size_t most, size_t steps) {
    pattern p;
    size_t n = 0;
    if (!take_apart(filter, &p)) w->at = NULL;
    while (w->at != NULL && n < most && steps-- > 0) {
        w->at = advance(r, &p, w->at);
        bool fits = w->at != NULL && (w->at->depth == p.fixed || (p.rest && w->at->depth > p.fixed));
        if (fits && w->at->message != NULL) ret[n++] = w->at->message;
    }
    return n;
}
