#include "cloud/grants/grants_denials.h"

#include <pthread.h>
#include <stdlib.h>
#include <string.h>

enum { LOGGED_AT_ONCE = 8, LOG_EVERY_MS = 10000, BUCKETS = 1024 };

typedef struct entry entry;
struct entry {
    porch_grants_denial row;
    entry *chain;         /* of its bucket */
    entry *newer, *older; /* by when it was last met */
    uint64_t hash, logged_ms;
    uint32_t untold;
};

struct grants_denials {
    pthread_mutex_t lock;
    entry *buckets[BUCKETS];
    entry *newest, *oldest;
    uint32_t count, most;
    entry entries[];
};

grants_denials *porch_grants_denials_new(uint32_t most) {
    grants_denials *d = calloc(1, sizeof *d + most * sizeof d->entries[0]);
    if (d == NULL) return NULL;
    d->most = most;
    pthread_mutex_init(&d->lock, NULL);
    return d;
}

void porch_grants_denials_free(grants_denials *d) {
    if (d == NULL) return;
    pthread_mutex_destroy(&d->lock);
    free(d);
}

static uint64_t hash_text(uint64_t h, const char *text) {
    for (; *text != '\0'; text++)
        h = (h ^ (uint8_t)*text) * 1099511628211u;
    return (h ^ 0xff) * 1099511628211u;
}

static uint64_t hash_row(const porch_grants_denial *r) {
    uint64_t h = 14695981039346656037u ^ (uint64_t)r->kind << 8 ^ r->action;
    h = hash_text(h, r->name);
    return hash_text(h, r->action == PORCH_ACCESS_RECEIVE ? r->decided : r->topic);
}

static bool alike(const porch_grants_denial *a, const porch_grants_denial *b) {
    if (a->kind != b->kind || a->action != b->action || strcmp(a->name, b->name) != 0) return false;
    return a->action == PORCH_ACCESS_RECEIVE ? strcmp(a->decided, b->decided) == 0
                                             : strcmp(a->topic, b->topic) == 0;
}

static void take_out(grants_denials *d, entry *e) {
    *(e->newer != NULL ? &e->newer->older : &d->newest) = e->older;
    *(e->older != NULL ? &e->older->newer : &d->oldest) = e->newer;
}

static void put_first(grants_denials *d, entry *e) {
    e->newer = NULL;
    e->older = d->newest;
    *(d->newest != NULL ? &d->newest->newer : &d->oldest) = e;
    d->newest = e;
}

static entry *give_way(grants_denials *d) {
    entry *e = d->oldest;
    entry **at = &d->buckets[e->hash % BUCKETS];
    while (*at != e)
        at = &(*at)->chain;
    *at = e->chain;
    take_out(d, e);
    return e;
}

static entry *meet(grants_denials *d, const porch_grants_denial *row, uint64_t now_ms) {
    uint64_t hash = hash_row(row);
    entry *e = d->buckets[hash % BUCKETS];
    while (e != NULL && (e->hash != hash || !alike(&e->row, row)))
        e = e->chain;
    if (e != NULL) {
        take_out(d, e);
    } else {
        e = d->count < d->most ? &d->entries[d->count++] : give_way(d);
        *e = (entry){.hash = hash, .row = {.first_ms = now_ms}, .chain = d->buckets[hash % BUCKETS]};
        d->buckets[hash % BUCKETS] = e;
    }
    put_first(d, e);
    return e;
}

bool porch_grants_denials_add(grants_denials *d, const porch_grants_denial *row, uint64_t now_ms,
                              uint32_t *untold) {
    pthread_mutex_lock(&d->lock);
    entry *e = meet(d, row, now_ms);
    uint64_t count = e->row.count + row->count, first_ms = e->row.first_ms;
    e->row = *row;
    e->row.count = count;
    e->row.first_ms = first_ms;
    e->row.last_ms = now_ms;
    bool log = count <= LOGGED_AT_ONCE || now_ms - e->logged_ms >= LOG_EVERY_MS;
    *untold = log ? e->untold : 0;
    e->untold = log ? 0 : e->untold + 1;
    if (log) e->logged_ms = now_ms;
    pthread_mutex_unlock(&d->lock);
    return log;
}

void porch_grants_denials_visit(grants_denials *d, bool (*fn)(const porch_grants_denial *, void *),
                                void *ctx) {
    pthread_mutex_lock(&d->lock);
    for (entry *e = d->newest; e != NULL && fn(&e->row, ctx); e = e->older) {
    }
    pthread_mutex_unlock(&d->lock);
}
