#include "cloud/listener/pool.h"

#include <stdatomic.h>
#include <stdlib.h>

enum { CLASS_LEAST = 6, CLASS_MOST = 25, CLASSES = CLASS_MOST + 1, SLAB_BYTES = 64 * 1024 };
_Static_assert((size_t)1 << CLASS_MOST == PORCH_POOL_BLOCK_MOST, "the largest class is the largest block");

/* In front of each block. `next` links free and returned blocks. */
typedef struct block {
    porch_pool *owner;
    uint32_t class;
    bool alone; /* of a pool that returns it */
    struct block *next;
    uint64_t pad;
} block;
_Static_assert(sizeof(block) % 16 == 0, "what follows the header is aligned for any type");

typedef struct slab {
    struct slab *next;
    uint64_t pad;
} slab;

struct porch_pool {
    block *free[CLASSES];
    slab *slabs;
    uint64_t most_bytes;
    bool returns;
    _Atomic uint64_t bytes;
    _Alignas(64) _Atomic(block *) returned[CLASSES]; /* by others; a stack for each class */
};

porch_pool *porch_pool_new(uint64_t most_bytes) {
    porch_pool *p = aligned_alloc(64, (sizeof *p + 63) / 64 * 64);
    if (p == NULL) return NULL;
    for (size_t i = 0; i < CLASSES; i++) {
        p->free[i] = NULL;
        atomic_init(&p->returned[i], NULL);
    }
    p->slabs = NULL;
    p->most_bytes = most_bytes;
    p->returns = false;
    atomic_init(&p->bytes, 0);
    return p;
}

porch_pool *porch_pool_new_returning(uint64_t most_bytes) {
    porch_pool *p = porch_pool_new(most_bytes);
    if (p != NULL) p->returns = true;
    return p;
}

void porch_pool_free(porch_pool *p) {
    if (p == NULL) return;
    while (p->slabs != NULL) {
        slab *s = p->slabs;
        p->slabs = s->next;
        free(s);
    }
    free(p);
}

static uint32_t class_of(size_t bytes) {
    size_t whole = bytes + sizeof(block);
    if (whole <= (size_t)1 << CLASS_LEAST) return CLASS_LEAST;
    return (uint32_t)(64 - __builtin_clzll(whole - 1));
}

/* The whole stack becomes the free list as it is: its blocks were last touched by another core, and walking
 * them would fetch each one's line before it is needed. */
static void collect_returned(porch_pool *p, uint32_t class) {
    if (atomic_load_explicit(&p->returned[class], memory_order_relaxed) == NULL) return;
    p->free[class] = atomic_exchange_explicit(&p->returned[class], NULL, memory_order_acquire);
}

/* Cuts a fresh slab into blocks of one class; a large block has a slab of its own. */
static void fetch(porch_pool *p, uint32_t class) {
    size_t block_bytes = (size_t)1 << class;
    size_t count = block_bytes >= SLAB_BYTES ? 1 : SLAB_BYTES / block_bytes;
    size_t whole = sizeof(slab) + count * block_bytes;
    uint64_t have = atomic_load_explicit(&p->bytes, memory_order_relaxed);
    if (whole > p->most_bytes || have > p->most_bytes - whole) return;
    slab *s = malloc(whole);
    if (s == NULL) return;
    atomic_store_explicit(&p->bytes, have + whole, memory_order_relaxed);
    s->next = p->slabs;
    p->slabs = s;
    uint8_t *at = (uint8_t *)(s + 1);
    for (size_t i = 0; i < count; i++) {
        block *b = (block *)(void *)(at + i * block_bytes);
        b->owner = p;
        b->class = class;
        b->alone = false;
        b->next = p->free[class];
        p->free[class] = b;
    }
}

static void *take_alone(porch_pool *p, uint32_t class) {
    uint64_t whole = (uint64_t)1 << class;
    block *b = NULL;
    if (atomic_fetch_add_explicit(&p->bytes, whole, memory_order_relaxed) + whole <= p->most_bytes)
        b = malloc(whole);
    if (b == NULL) {
        atomic_fetch_sub_explicit(&p->bytes, whole, memory_order_relaxed);
        return NULL;
    }
    b->owner = p;
    b->class = class;
    b->alone = true;
    return b + 1;
}

void *porch_pool_take(porch_pool *p, size_t bytes) {
    if (bytes > PORCH_POOL_BLOCK_MOST - sizeof(block)) return NULL;
    uint32_t class = class_of(bytes);
    if (p->returns) return take_alone(p, class);
    if (p->free[class] == NULL) collect_returned(p, class);
    if (p->free[class] == NULL) fetch(p, class);
    block *b = p->free[class];
    if (b == NULL) return NULL;
    p->free[class] = b->next;
    __builtin_prefetch(b->next, 1); /* the next taker's; it may come from another core */
    return b + 1;
}

void porch_pool_give(porch_pool *mine, void *at) {
    if (at == NULL) return;
    block *b = (block *)at - 1;
    porch_pool *p = b->owner;
    if (b->alone) {
        atomic_fetch_sub_explicit(&p->bytes, (uint64_t)1 << b->class, memory_order_relaxed);
        free(b);
        return;
    }
    if (p == mine) {
        b->next = p->free[b->class];
        p->free[b->class] = b;
        return;
    }
    _Atomic(block *) *returned = &p->returned[b->class];
    block *head = atomic_load_explicit(returned, memory_order_relaxed);
    do {
        b->next = head;
    } while (!atomic_compare_exchange_weak_explicit(returned, &head, b, memory_order_release,
                                                    memory_order_relaxed));
}

size_t porch_pool_room(const void *at) {
    const block *b = (const block *)at - 1;
    return ((size_t)1 << b->class) - sizeof(block);
}

uint64_t porch_pool_bytes(const porch_pool *p) {
    return atomic_load_explicit(&p->bytes, memory_order_relaxed);
}
