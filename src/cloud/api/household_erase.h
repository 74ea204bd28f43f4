/* A household's end: after it no file below DIR knows that it was there.
 *
 *   devices out ─► people out ─► clips, events, pictures, notifications ─► stored messages ─► the signer's
 *   journal ─► one transaction {certificates, grants, trust log emptied, household} ─► the log is cut
 *
 * Each step can be repeated: after a crash or a refusal the same call goes on, and the hub does so by
 * itself (household_finish.h). What has begun stands in the table erasure until the last transaction, which
 * also empties that. One household at a time. What stays is one row of the trust log that an erasure
 * happened. Backups that were made before are the operator's to delete. */
#ifndef PORCH_CLOUD_API_HOUSEHOLD_ERASE_H
#define PORCH_CLOUD_API_HOUSEHOLD_ERASE_H

#include "base/error.h"
#include "cloud/grants/grants.h"
#include "cloud/registry/registry.h"
#include "cloud/signer/signer_client.h"
#include "cloud/store/store.h"

struct porch_accounts;
struct porch_media;
struct porch_exports;
struct porch_broker;

typedef struct {
    const char *dir;
    porch_store *store;
    porch_registry *registry;
    porch_grants *grants;
    porch_signer_client *signer;
    struct porch_accounts *accounts;
    struct porch_media *media;
    struct porch_broker *broker;   /* forgets what its devices said; NULL: there is none */
    struct porch_exports *exports; /* those of what ends are ended, waiting and running ones */
    /* Hears where it is; may be NULL. */
    void (*progress)(double done, const char *text, void *ctx);
    void *progress_ctx;
} porch_erase_rooms;

/* `who` is written into the trust log: "operator" or "owner", no name. Blocks, for long when there is much.
 * NOT_FOUND; CHILD while the signer is away; BUSY when all is erased but a long read (a backup) still holds
 * the old log: repeat it then. */
porch_err porch_household_erase(const porch_erase_rooms *rooms, const char *household, const char *who,
                                porch_why *why);
/* For who has to prepare one: nothing is erased by others between these two. `erase_now` is the same as
 * porch_household_erase, in between. */
void porch_household_erase_lock(void);
void porch_household_erase_unlock(void);
porch_err porch_household_erase_now(const porch_erase_rooms *rooms, const char *household, const char *who,
                                    porch_why *why);
/* Those that broke off, also of released devices, to their end. */
porch_err porch_household_erase_rest(const porch_erase_rooms *rooms, porch_why *why);

#endif
