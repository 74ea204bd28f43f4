/* What the files of this room share. */
#ifndef PORCH_CLOUD_GRANTS_ROOM_H
#define PORCH_CLOUD_GRANTS_ROOM_H

#include <pthread.h>

#include "cloud/grants/grants_model.h"

enum { GRANTS_OBSERVERS = 8 };

struct porch_grants {
    porch_store *store;
    uint32_t statements_most, policy_bytes, versions;
    pthread_rwlock_t lock; /* the model's pointer; never held while waiting */
    grants_model *model;
    struct grants_denials *denials;
    struct grants_homes *homes;
    struct {
        void (*fn)(void *ctx);
        void *ctx;
    } observers[GRANTS_OBSERVERS];
    size_t observer_count;
};

/* The model in force, retained. */
grants_model *porch_grants_model_now(porch_grants *g);
/* Makes the newest stored text the model in force, unless a newer one is; observers are not told. */
porch_err porch_grants_take(porch_grants *g, porch_why *why);

/* Writes what later versions of the hub bring, once each (grants_default.c). */
porch_err porch_grants_bring_defaults(porch_grants *g, porch_why *why);

/* The newest text and its version; malloc'ed. */
porch_err porch_grants_text_read(porch_db *db, char **ret, uint64_t *version, porch_why *why);
/* The same, as a document. */
typedef struct {
    char *text;
    void *rows;
    uint64_t version;
    porch_access_document document;
} grants_loaded;
porch_err porch_grants_load(porch_db *db, grants_loaded *ret, porch_why *why);
/* The newest version below that number; NOT_FOUND: there is none. */
porch_err porch_grants_load_below(porch_db *db, uint64_t below, grants_loaded *ret, porch_why *why);
void porch_grants_loaded_free(grants_loaded *l);
/* Canonical; malloc'ed and zero-terminated. NULL without memory. */
char *porch_grants_print(const porch_access_document *d);
/* A new row of history. Inside a write. `versions` newest ones stay; 0: all. */
porch_err porch_grants_text_write(porch_db *db, const char *text, const char *who, const char *note,
                                  uint32_t versions, uint64_t *version, porch_why *why);

#endif
