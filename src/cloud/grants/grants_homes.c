#include "cloud/grants/grants_homes.h"

#include <pthread.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>

enum { KEPT = 256 };

struct grants_home {
    atomic_uint references;
    uint64_t generation;
    const porch_access_set *devices; /* malloc'ed */
    char household[PORCH_REGISTRY_NAME_BYTES];
};

struct grants_homes {
    porch_registry *registry;
    _Atomic uint64_t generation;
    pthread_mutex_t lock;
    grants_home *kept[KEPT]; /* by hash of the household; another one of that hash takes the place */
};

grants_homes *porch_grants_homes_new(porch_registry *registry) {
    grants_homes *h = calloc(1, sizeof *h);
    if (h == NULL) return NULL;
    h->registry = registry;
    pthread_mutex_init(&h->lock, NULL);
    return h;
}

void porch_grants_homes_free(grants_homes *h) {
    if (h == NULL) return;
    for (size_t i = 0; i < KEPT; i++)
        porch_grants_home_release(h->kept[i]);
    pthread_mutex_destroy(&h->lock);
    free(h);
}

void porch_grants_home_release(grants_home *home) {
    if (home == NULL || atomic_fetch_sub_explicit(&home->references, 1, memory_order_acq_rel) != 1) return;
    free((void *)(uintptr_t)home->devices);
    free(home);
}

const porch_access_set *porch_grants_home_devices(const grants_home *home) {
    return home == NULL ? NULL : home->devices;
}

void porch_grants_homes_changed(grants_homes *h) {
    (void)atomic_fetch_add(&h->generation, 1);
}

/* ---- making one ----------------------------------------------------------------------------------- */

typedef struct {
    char (*ids)[PORCH_REGISTRY_NAME_BYTES];
    size_t count, cap;
    bool failed;
} listed;

static bool add(const porch_registry_device *d, void *ctx) {
    listed *l = ctx;
    if (l->count == l->cap) {
        size_t cap = l->cap == 0 ? 16 : l->cap * 2;
        void *wider = realloc(l->ids, cap * sizeof *l->ids);
        if (wider == NULL) {
            l->failed = true;
            return false;
        }
        l->ids = wider;
        l->cap = cap;
    }
    memcpy(l->ids[l->count++], d->id, sizeof d->id);
    return true;
}

static porch_err build(const listed *l, const porch_access_set **ret) {
    porch_bytes *texts = calloc(l->count + 1, sizeof *texts);
    if (texts == NULL) return PORCH_ERR_INTERNAL;
    for (size_t i = 0; i < l->count; i++)
        texts[i] = porch_bytes_of(l->ids[i]);
    size_t bytes = porch_access_set_bytes(texts, l->count);
    void *block = malloc(bytes);
    porch_err e =
        block == NULL ? PORCH_ERR_INTERNAL : porch_access_set_build(texts, l->count, block, bytes, ret);
    free(texts);
    if (e != PORCH_OK) free(block);
    return e;
}

/* `generation` was read before the registry is, so that what changes meanwhile makes it out of date. */
static porch_err make(porch_registry *registry, const char *household, uint64_t generation,
                      grants_home **ret) {
    listed l = {NULL, 0, 0, false};
    grants_home *home = calloc(1, sizeof *home);
    if (home == NULL) return PORCH_ERR_INTERNAL;
    if (registry != NULL) porch_registry_devices(registry, household, add, &l);
    porch_err e = l.failed ? PORCH_ERR_INTERNAL : build(&l, &home->devices);
    free(l.ids);
    if (e != PORCH_OK ||
        !porch_bytes_to_text(porch_bytes_of(household), home->household, sizeof home->household)) {
        free((void *)(uintptr_t)home->devices);
        free(home);
        return PORCH_ERR_INTERNAL;
    }
    atomic_init(&home->references, 1);
    home->generation = generation;
    *ret = home;
    return PORCH_OK;
}

porch_err porch_grants_home_of(const char *device, grants_home **ret) {
    const porch_bytes one = porch_bytes_of(device);
    size_t bytes = porch_access_set_bytes(&one, 1);
    void *block = malloc(bytes);
    grants_home *home = calloc(1, sizeof *home);
    if (block == NULL || home == NULL ||
        porch_access_set_build(&one, 1, block, bytes, &home->devices) != PORCH_OK) {
        free(block);
        free(home);
        return PORCH_ERR_INTERNAL;
    }
    atomic_init(&home->references, 1);
    *ret = home;
    return PORCH_OK;
}

static size_t place_of(const char *household) {
    uint64_t h = 14695981039346656037u;
    for (; *household != '\0'; household++)
        h = (h ^ (uint8_t)*household) * 1099511628211u;
    return (h ^ h >> 32) % KEPT;
}

porch_err porch_grants_home_take(grants_homes *h, const char *household, grants_home **ret) {
    grants_home **place = &h->kept[place_of(household)];
    porch_err e = PORCH_OK;
    pthread_mutex_lock(&h->lock);
    uint64_t now = atomic_load(&h->generation);
    grants_home *home = *place;
    if (home == NULL || home->generation != now || strcmp(home->household, household) != 0) {
        e = make(h->registry, household, now, &home);
        if (e == PORCH_OK) {
            porch_grants_home_release(*place);
            *place = home;
        }
    }
    if (e == PORCH_OK) {
        (void)atomic_fetch_add_explicit(&home->references, 1, memory_order_relaxed);
        *ret = home;
    }
    pthread_mutex_unlock(&h->lock);
    return e;
}
