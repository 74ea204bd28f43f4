#include "cloud/broker/trie.h"

#include <stdlib.h>
#include <string.h>

#include "cloud/broker/level_hash.h"

typedef struct node {
    struct node *parent;
    struct node *chain;       /* next in the hash bucket */
    struct node *plus, *rest; /* '+' and '#' below this level */
    uint64_t hash;
    uint32_t children; /* of any kind */
    uint32_t entry_count, entry_cap;
    porch_trie_entry *entries;
    size_t level_len;
    uint8_t level[];
} node;

struct porch_trie {
    uint64_t seed;
    node *root;
    node **buckets;
    size_t bucket_count; /* a power of two */
    size_t node_count;   /* without the root */
    size_t entry_count;
    uint64_t change; /* counts nodes that got their first entry or lost their last one */
    porch_trie_entry *hits;
    size_t hit_cap;
};

static uint64_t hash_level(uint64_t seed, const node *parent, porch_bytes level) {
    return porch_level_hash(seed, (uint64_t)(uintptr_t)parent, level);
}

porch_trie *porch_trie_new(uint64_t seed) {
    porch_trie *t = calloc(1, sizeof *t);
    if (t == NULL) return NULL;
    t->seed = seed | 1;
    t->change = 1;
    t->bucket_count = 64;
    t->root = calloc(1, sizeof *t->root);
    t->buckets = calloc(t->bucket_count, sizeof(node *));
    if (t->root == NULL || t->buckets == NULL) {
        porch_trie_free(t);
        return NULL;
    }
    return t;
}

/* Wildcard children hang on their parent, literal ones in the table: freeing walks both. */
static void free_wildcards(node *n) {
    node *wild[2] = {n->plus, n->rest};
    for (int i = 0; i < 2; i++) {
        if (wild[i] == NULL) continue;
        free_wildcards(wild[i]);
        free(wild[i]->entries);
        free(wild[i]);
    }
}

void porch_trie_free(porch_trie *t) {
    if (t == NULL) return;
    for (size_t i = 0; t->buckets != NULL && i < t->bucket_count; i++) {
        for (node *n = t->buckets[i], *next; n != NULL; n = next) {
            next = n->chain;
            free_wildcards(n);
            free(n->entries);
            free(n);
        }
    }
    if (t->root != NULL) {
        free_wildcards(t->root);
        free(t->root->entries);
    }
    free(t->root);
    free(t->buckets);
    free(t->hits);
    free(t);
}

size_t porch_trie_count(const porch_trie *t) {
    return t->entry_count;
}
size_t porch_trie_nodes(const porch_trie *t) {
    return t->node_count + 1;
}

static node *find_literal(const porch_trie *t, const node *parent, porch_bytes level) {
    uint64_t hash = hash_level(t->seed, parent, level);
    for (node *n = t->buckets[hash & (t->bucket_count - 1)]; n != NULL; n = n->chain) {
        if (n->hash == hash && n->parent == parent && n->level_len == level.len &&
            (level.len == 0 || memcmp(n->level, level.at, level.len) == 0))
            return n;
    }
    return NULL;
}

static void widen_table(porch_trie *t) {
    size_t count = t->bucket_count * 2;
    node **wider = calloc(count, sizeof(node *));
    if (wider == NULL) return; /* longer chains are slower, not wrong */
    for (size_t i = 0; i < t->bucket_count; i++) {
        for (node *n = t->buckets[i], *next; n != NULL; n = next) {
            next = n->chain;
            n->chain = wider[n->hash & (count - 1)];
            wider[n->hash & (count - 1)] = n;
        }
    }
    free(t->buckets);
    t->buckets = wider;
    t->bucket_count = count;
}

static bool is_wild(porch_bytes level, char wild) {
    return level.len == 1 && level.at[0] == (uint8_t)wild;
}

static node *find_child(const porch_trie *t, const node *parent, porch_bytes level) {
    if (is_wild(level, '+')) return parent->plus;
    if (is_wild(level, '#')) return parent->rest;
    return find_literal(t, parent, level);
}

static node *make_child(porch_trie *t, node *parent, porch_bytes level) {
    node *n = calloc(1, sizeof *n + level.len);
    if (n == NULL) return NULL;
    n->parent = parent;
    n->level_len = level.len;
    if (level.len > 0) memcpy(n->level, level.at, level.len);
    if (is_wild(level, '+')) {
        parent->plus = n;
    } else if (is_wild(level, '#')) {
        parent->rest = n;
    } else {
        if (t->node_count >= t->bucket_count) widen_table(t);
        n->hash = hash_level(t->seed, parent, level);
        node **bucket = &t->buckets[n->hash & (t->bucket_count - 1)];
        n->chain = *bucket;
        *bucket = n;
    }
    parent->children++;
    t->node_count++;
    return n;
}

/* Removes nodes that neither hold an entry nor lead to one, from here upwards. */
static void prune(porch_trie *t, node *n) {
    while (n != t->root && n->entry_count == 0 && n->children == 0) {
        node *parent = n->parent;
        if (parent->plus == n) {
            parent->plus = NULL;
        } else if (parent->rest == n) {
            parent->rest = NULL;
        } else {
            node **at = &t->buckets[n->hash & (t->bucket_count - 1)];
            while (*at != n)
                at = &(*at)->chain;
            *at = n->chain;
        }
        parent->children--;
        t->node_count--;
        free(n->entries);
        free(n);
        n = parent;
    }
}

static node *find_node(const porch_trie *t, porch_topic_filter filter) {
    porch_topic_level walk = porch_topic_level_first(filter.text);
    porch_bytes level;
    node *n = t->root;
    while (n != NULL && porch_topic_level_next(&walk, &level))
        n = find_child(t, n, level);
    return n;
}

static bool room_for_entry(porch_trie *t, node *n) {
    if (t->entry_count >= t->hit_cap) {
        size_t cap = t->hit_cap == 0 ? 64 : t->hit_cap * 2;
        porch_trie_entry *wider = realloc(t->hits, cap * sizeof *wider);
        if (wider == NULL) return false;
        t->hits = wider;
        t->hit_cap = cap;
    }
    if (n->entry_count < n->entry_cap) return true;
    uint32_t cap = n->entry_cap == 0 ? 1 : n->entry_cap * 2;
    porch_trie_entry *wider = realloc(n->entries, cap * sizeof *wider);
    if (wider == NULL) return false;
    n->entries = wider;
    n->entry_cap = cap;
    return true;
}

porch_err porch_trie_put(porch_trie *t, porch_topic_filter filter, const porch_trie_entry *entry,
                         bool *was_there) {
    porch_topic_level walk = porch_topic_level_first(filter.text);
    porch_bytes level;
    node *n = t->root;
    while (porch_topic_level_next(&walk, &level)) {
        node *child = find_child(t, n, level);
        if (child == NULL) child = make_child(t, n, level);
        if (child == NULL) {
            prune(t, n);
            return PORCH_ERR_IO;
        }
        n = child;
    }
    for (uint32_t i = 0; i < n->entry_count; i++) {
        if (n->entries[i].owner != entry->owner) continue;
        n->entries[i] = *entry;
        *was_there = true;
        return PORCH_OK;
    }
    if (!room_for_entry(t, n)) {
        prune(t, n);
        return PORCH_ERR_IO;
    }
    if (n->entry_count == 0) t->change++;
    n->entries[n->entry_count++] = *entry;
    t->entry_count++;
    *was_there = false;
    return PORCH_OK;
}

bool porch_trie_remove(porch_trie *t, porch_topic_filter filter, const void *owner) {
    node *n = find_node(t, filter);
    if (n == NULL) return false;
    for (uint32_t i = 0; i < n->entry_count; i++) {
        if (n->entries[i].owner != owner) continue;
        n->entries[i] = n->entries[--n->entry_count];
        t->entry_count--;
        if (n->entry_count == 0) t->change++;
        prune(t, n);
        return true;
    }
    return false;
}

porch_trie_entry *porch_trie_get(porch_trie *t, porch_topic_filter filter, const void *owner) {
    node *n = find_node(t, filter);
    for (uint32_t i = 0; n != NULL && i < n->entry_count; i++)
        if (n->entries[i].owner == owner) return &n->entries[i];
    return NULL;
}

static bool walk_any(const porch_trie *t, const node *n, porch_topic_level walk, bool dollar) {
    porch_bytes level;
    if (n->rest != NULL && !dollar && n->rest->entry_count > 0) return true;
    if (!porch_topic_level_next(&walk, &level)) return n->entry_count > 0;
    if (n->children == 0) return false;
    const node *literal = find_literal(t, n, level);
    if (literal != NULL && walk_any(t, literal, walk, false)) return true;
    return n->plus != NULL && !dollar && walk_any(t, n->plus, walk, false);
}

bool porch_trie_any(const porch_trie *t, porch_topic_name name) {
    bool dollar = name.text.len > 0 && name.text.at[0] == '$';
    return t->entry_count > 0 && walk_any(t, t->root, porch_topic_level_first(name.text), dollar);
}

/* A walk's hits so far, and the nodes that they come from. */
typedef struct {
    porch_trie *t;
    size_t count;
    porch_trie_spots *spots; /* NULL: nobody wants to know */
} found;

/* Every entry is at one node and each node is reached at most once, so the hits never pass entry_count. */
static void collect(found *f, const node *n) {
    if (n->entry_count == 0) return;
    if (f->spots != NULL && f->spots->count < PORCH_TRIE_SPOTS) f->spots->at[f->spots->count] = n;
    if (f->spots != NULL) f->spots->count++;
    if (n->entry_count == 1) {
        f->t->hits[f->count++] = n->entries[0];
        return;
    }
    memcpy(f->t->hits + f->count, n->entries, n->entry_count * sizeof *n->entries);
    f->count += n->entry_count;
}

/* Depth is bounded by the filters that were let in (broker.topic_levels). */
static void walk_match(found *f, const node *n, porch_topic_level walk, bool dollar) {
    porch_bytes level;
    if (n->rest != NULL && !dollar) collect(f, n->rest);
    if (!porch_topic_level_next(&walk, &level)) {
        collect(f, n);
        return;
    }
    if (n->children == 0) return;
    const node *literal = find_literal(f->t, n, level);
    if (literal != NULL) walk_match(f, literal, walk, false);
    if (n->plus != NULL && !dollar) walk_match(f, n->plus, walk, false);
}

static size_t match(porch_trie *t, porch_topic_name name, porch_trie_spots *spots,
                    const porch_trie_entry **hits) {
    found f = {t, 0, spots};
    bool dollar = name.text.len > 0 && name.text.at[0] == '$';
    if (t->entry_count > 0) walk_match(&f, t->root, porch_topic_level_first(name.text), dollar);
    *hits = t->hits;
    return f.count;
}

size_t porch_trie_match(porch_trie *t, porch_topic_name name, const porch_trie_entry **hits) {
    return match(t, name, NULL, hits);
}

size_t porch_trie_match_again(porch_trie *t, porch_topic_name name, porch_trie_spots *spots,
                              const porch_trie_entry **hits) {
    if (spots->change == t->change && spots->count <= PORCH_TRIE_SPOTS) {
        found f = {t, 0, NULL};
        for (size_t i = 0; i < spots->count; i++)
            collect(&f, spots->at[i]);
        *hits = t->hits;
        return f.count;
    }
    *spots = (porch_trie_spots){.change = t->change};
    return match(t, name, spots, hits);
}

uint64_t porch_trie_change(const porch_trie *t) {
    return t->change;
}
