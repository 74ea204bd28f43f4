/* The registry's memory: what a decision at the door needs, in tables sorted by key.
 *
 *   devices, services   by name          certificates   by fingerprint          households   by id
 *
 * Found by bisection, visited in order, changed rarely. No locking here: registry.c holds the lock. */
#ifndef PORCH_CLOUD_REGISTRY_MEMORY_H
#define PORCH_CLOUD_REGISTRY_MEMORY_H

#include <stdatomic.h>

#include "cloud/registry/registry.h"

typedef struct {
    uint8_t fingerprint[32];
    porch_principal_kind kind;
    char name[PORCH_REGISTRY_NAME_BYTES];
    uint64_t not_before_ms, not_after_ms;
    uint64_t issued_ms;   /* of one principal no two are the same, and the newer one's is greater */
    uint64_t revoked_ms;  /* 0: in force */
    uint64_t used_ms;     /* 0: never shown yet */
    uint64_t replaced_ms; /* 0: no newer one was used */
    uint64_t born;        /* which one it was to come into memory */
    uint8_t issuer;       /* its place in the registry's issuers */
} registry_certificate;

typedef struct {
    char name[PORCH_REGISTRY_NAME_BYTES];
    porch_principal_kind kind;
    char product[PORCH_REGISTRY_NAME_BYTES];
    char household[PORCH_REGISTRY_NAME_BYTES];
    bool any_client_id;
    uint64_t added_ms;
    uint64_t revoked_ms;
    uint64_t quarantined_ms;
    uint64_t certificate_ends_ms; /* of the newest */
    uint8_t fingerprint[32];
    uint8_t in_use[32]; /* the certificate that was used last for the first time */
    /* Written by shards under the shared lock. */
    _Atomic uint64_t last_seen_ms;
    atomic_bool online;
    atomic_bool seen_dirty; /* last_seen_ms is newer than the database's */
    atomic_bool use_dirty;  /* which certificate is in use is newer than the database's */
} registry_principal;

/* Pointers sorted by a key at the front of what they point to: a zero-terminated text, or 32 bytes. */
typedef struct {
    void **at;
    size_t count, cap;
    bool by_fingerprint;
} registry_table;

void *porch_registry_table_find(const registry_table *t, const void *key);
/* Takes over `item` (malloc'ed), whose key must not be there yet. PORCH_ERR_INTERNAL: no memory. */
porch_err porch_registry_table_add(registry_table *t, void *item);
/* Frees the item with that key, if there is one. */
void porch_registry_table_remove(registry_table *t, const void *key);
void porch_registry_table_free(registry_table *t);

#endif
