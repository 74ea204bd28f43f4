/* The hub's copy of the product team's update repository: what devices fetch.
 *
 *   porchlight ota publish ─► put, put, ... (incoming/) ─► commit: verified, announced, moved into place
 *                                                            │ signer: snapshot, timestamp
 *   DIR/updates/metadata/  N.root.json  N.ROLE.json  N.snapshot.json  timestamp.json
 *   DIR/updates/targets/   PRODUCT/VERSION/SHA256.image                       ◄── devices, by 8444
 *   DIR/updates/incoming/  what was put and not committed yet
 *
 * The hub signs nothing of this but "this is the newest", through its signer. It takes only what the keys
 * of the root (and of the roles that it names) have signed, and nothing older than what it has.
 * timestamp.json is replaced last: a device that fetches meanwhile, and a hub that lost its power, have the
 * old repository or the new one. */
#ifndef PORCH_CLOUD_ROLLOUT_UPDATES_H
#define PORCH_CLOUD_ROLLOUT_UPDATES_H

#include "cloud/settings/settings.h"
#include "cloud/signer/signer_client.h"
#include "cloud/store/store.h"

typedef struct porch_updates porch_updates;

enum {
    PORCH_UPDATES_NAME = 300, /* "targets/camera/1.2/9f86....image" */
    PORCH_UPDATES_ROLE_TEXT = 65,
    PORCH_UPDATES_ROLES_MOST = 64,
    PORCH_UPDATES_METADATA_MOST = 5 * 1024 * 1024
};

typedef struct {
    const char *dir; /* DIR of the hub; DIR/updates must be there */
    porch_store *store;
    porch_signer_client *signer;
    const porch_settings *settings;
} porch_updates_config;

/* Reads what is published and takes it up into the database where that is behind (a crash between the two).
 * A folder that is damaged, or older than what was in force, is no error: the log and the state say so, and
 * nothing is served until it was published again. */
porch_err porch_updates_open(const porch_updates_config *config, porch_updates **ret, porch_why *why);
void porch_updates_close(porch_updates *u); /* NULL is fine */
/* Begins to hash the published images, slowly, in a thread of its own. One that is not what was signed is
 * told by porch_updates_bad_names and is not served. */
porch_err porch_updates_check_start(porch_updates *u, porch_why *why);
bool porch_updates_checked(porch_updates *u); /* all of them were */
/* Under a lock: `fn` must not call back. */
void porch_updates_bad_names(porch_updates *u, void (*fn)(const char *name, void *ctx), void *ctx);

/* ---- publishing; any thread, one call at a time each waits for the other ---- */

/* How much of a file is there: *whole when it is published already. MALFORMED for a name that cannot be. */
porch_err porch_updates_have(porch_updates *u, const char *name, uint64_t *bytes, bool *whole,
                             porch_why *why);
/* Bytes of a file that is to be published, at the offset that porch_updates_have told; on disk when this
 * returns. STATE for another offset, LIMIT above ota.image_bytes or ota.bytes. Offset 0 begins anew. */
porch_err porch_updates_put(porch_updates *u, const char *name, uint64_t offset, porch_bytes bytes,
                            porch_why *why);

/* Of the folder's own file, where that was said: one that lies here under its name must be the same. */
typedef struct {
    bool said;
    uint8_t sha256[32];
} porch_updates_file_hash;

typedef struct {
    char name[PORCH_UPDATES_ROLE_TEXT]; /* "targets", "camera" */
    uint64_t version;
    porch_updates_file_hash hash;
} porch_updates_announced;

typedef struct {
    uint64_t root; /* the newest root of the folder */
    porch_updates_file_hash root_hash;
    uint64_t snapshot, timestamp; /* the folder's own counts: the new ones are above them */
    size_t count;
    porch_updates_announced roles[PORCH_UPDATES_ROLES_MOST];
} porch_updates_plan;

typedef struct {
    uint64_t root, snapshot, timestamp;
    unsigned releases, withdrawn; /* new with this one */
} porch_updates_outcome;

/* SIGNATURE, ROLLBACK, EXPIRED, HASH, NOT_FOUND (a file is missing), UNSUPPORTED, MALFORMED, EXISTS (two
 * copies of the folder went on apart from each other); what was published stays. One that breaks off behind
 * the signer is finished by porch_updates_tend. */
porch_err porch_updates_commit(porch_updates *u, const char *who, const porch_updates_plan *plan,
                               porch_updates_outcome *ret, porch_why *why);

/* ---- keeping it fresh ---- */

/* Finishes a publish that broke off, and signs snapshot and timestamp anew when half of the time of either
 * has gone. OK and nothing done when there is no repository yet. */
porch_err porch_updates_tend(porch_updates *u, uint64_t now_ms, bool *renewed, porch_why *why);

typedef struct {
    uint64_t files, bytes;
} porch_updates_pruned;
/* Removes images that neither the roles in force name nor a rollout under way gives out; with `dry` it only
 * counts them. An entry of the trust log. STATE: the folder is damaged. */
porch_err porch_updates_prune(porch_updates *u, bool dry, const char *who, porch_updates_pruned *ret,
                              porch_why *why);
/* By itself, of releases that were withdrawn ota.prune_days ago: the same, but for those that a device runs
 * or is to run, and those that a floor needs (nothing in force reaches their counter). An entry of the
 * trust log for each release. STATE as above. */
porch_err porch_updates_prune_old(porch_updates *u, uint64_t now_ms, porch_updates_pruned *ret,
                                  porch_why *why);

/* ---- serving; any thread ---- */

/* A published file, open for reading: the caller closes *fd. `name` as above. NOT_FOUND; STATE:
 * the folder is damaged, or this image. */
porch_err porch_updates_file(porch_updates *u, const char *name, int *fd, uint64_t *bytes, porch_why *why);

typedef struct {
    uint64_t root, snapshot, timestamp;           /* versions; 0: nothing is published */
    uint64_t snapshot_ends_ms, timestamp_ends_ms; /* when they expire */
    char damage[200];                             /* what is amiss with the folder; "": it is whole */
    char trouble[240]; /* what keeps a publish from its end, or what is in force from being renewed */
} porch_updates_state;
/* STATE when the folder is damaged: the sentence says what is amiss and what to do. Any thread. */
porch_err porch_updates_ready(porch_updates *u, porch_why *why);
void porch_updates_state_get(porch_updates *u, porch_updates_state *ret);

#endif
