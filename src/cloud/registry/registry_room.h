/* The registry's inside: what registry.c (the door, looking), registry_load.c (database to memory) and
 * registry_change.c (enrol, revoke, remove) share. */
#ifndef PORCH_CLOUD_REGISTRY_ROOM_H
#define PORCH_CLOUD_REGISTRY_ROOM_H

#include <pthread.h>

#include "cloud/registry/registry_memory.h"

enum { PORCH_REGISTRY_OBSERVERS = 8 };

struct porch_registry {
    porch_store *store;
    porch_settings settings;
    pthread_mutex_t change; /* one change at a time; held across the signer and the store */
    pthread_rwlock_t lock;  /* the tables; held for moments only, and never while waiting for anything */
    registry_table devices, services, certificates, households;
    struct {
        porch_registry_change_fn fn;
        void *ctx;
    } observers[PORCH_REGISTRY_OBSERVERS];
    size_t observer_count;
};

/* Reads everything from the database into empty tables. A porch_store_fn; ctx is the registry. */
porch_err porch_registry_load(porch_db *db, void *ctx, porch_why *why);
void porch_registry_tell(porch_registry *r, porch_principal_kind kind, const char *name,
                         porch_registry_what what);
/* The table of a kind. */
registry_table *porch_registry_principals(porch_registry *r, porch_principal_kind kind);
/* Copies a text that is known to fit; longer ones are cut. */
void porch_registry_copy_text(char *out, size_t cap, porch_bytes text);

#endif
