/* What the files of the repository share. */
#ifndef PORCH_CLOUD_ROLLOUT_UPDATES_ROOM_H
#define PORCH_CLOUD_ROLLOUT_UPDATES_ROOM_H

#include <pthread.h>

#include "cloud/rollout/updates.h"
#include "ota/client/tuf_json.h"
#include "ota/client/tuf_role.h"

enum { PORCH_UPDATES_PATH = 1400 };

/* A signed file as it is to be served. */
typedef struct {
    char role[PORCH_UPDATES_ROLE_TEXT];
    uint64_t version, length, expires_ms;
    uint8_t sha256[32];
    uint8_t *raw;       /* the file, `length` bytes, malloc'ed; NULL once it is not needed */
    uint8_t *canonical; /* its canonical form, malloc'ed with it */
    size_t canonical_len;
    porch_bytes content; /* its "signed" part */
} porch_updates_doc;

/* A repository, verified. */
typedef struct {
    porch_updates_doc root;
    size_t count;
    porch_updates_doc docs[PORCH_UPDATES_ROLES_MOST]; /* targets and all that it delegates to */
} porch_updates_set;

typedef struct {
    char (*at)[PORCH_UPDATES_NAME]; /* malloc'ed */
    size_t count, cap;
} porch_updates_names;

/* Images that are not what was signed, and the thread that looks (updates_check.c). */
typedef struct {
    pthread_mutex_t lock; /* all but the thread */
    pthread_cond_t stop;
    porch_updates_names bad;
    bool done, stopping;
    bool started;
    pthread_t thread;
} porch_updates_check;

/* What was about to be announced, or was, and is not in force (updates_pending.c). */
typedef struct {
    bool there;
    char who[PORCH_UPDATES_ROLE_TEXT];
    porch_updates_plan plan;
} porch_updates_pending;

struct porch_updates {
    porch_updates_config config;
    char folder[PORCH_UPDATES_PATH];
    pthread_mutex_t publish; /* one publishes or renews at a time */
    pthread_mutex_t lock;    /* state */
    porch_updates_state state;
    porch_updates_check *check;
    /* with `publish` held */
    uint64_t first_root; /* oldest root that is there */
    size_t count;
    porch_updates_doc docs[PORCH_UPDATES_ROLES_MOST]; /* published; canonical NULL */
    porch_updates_pending pending;
    /* of a folder that was found damaged: the root that was in force */
    bool has_root_sha256;
    uint8_t root_sha256[32];
};

/* With `publish` held, or while it opens. */
bool porch_updates_damaged(const porch_updates *u);
/* The folder is, or this file of it: what was sent anew counts before what lies there. */
bool porch_updates_mistrusted(const porch_updates *u, const char *name);
/* Keeps what the set says for the judgement of the next one; the texts go with the set. */
void porch_updates_adopt(porch_updates *u, const porch_updates_set *s, const porch_updates_state *state);

/* ---- names and files (updates_file.c) ---- */

/* "metadata/X.json" or "targets/A/B/X": no dot first, no pattern, nothing that leaves the folder. */
bool porch_updates_name_ok(const char *name);
/* Where a published file lies, and where one that is not yet. */
porch_err porch_updates_place(const porch_updates *u, const char *name, char out[PORCH_UPDATES_PATH]);
porch_err porch_updates_incoming(const porch_updates *u, const char *name, char out[PORCH_UPDATES_PATH]);
/* "camera/1.2/image" is "targets/camera/1.2/9f86....image". UNSUPPORTED without SHA-256. */
porch_err porch_updates_image_name(const char *path, const porch_tuf_target *target,
                                   char out[PORCH_UPDATES_NAME], porch_why *why);
/* `fn` for each image that the role names, with what the role says of it; ends with its first error. */
typedef porch_err (*porch_updates_image_fn)(const char *file, const porch_tuf_target *target, void *ctx,
                                            porch_why *why);
porch_err porch_updates_each_image(const porch_updates_doc *d, porch_updates_image_fn fn, void *ctx,
                                   porch_why *why);
/* Has the file the SHA-256 that its own name begins with? */
bool porch_updates_is_image(const char *path);
porch_err porch_updates_hash(const char *path, uint8_t hash[32], porch_why *why);
/* Renames incoming to its place; fine when only the place is there. */
porch_err porch_updates_move(const porch_updates *u, const char *name, porch_why *why);
porch_err porch_updates_write(const porch_updates *u, const char *name, porch_bytes bytes, porch_why *why);
void porch_updates_sweep(const porch_updates *u); /* empties incoming/ */
/* Its place when it is published, else incoming; the other way round where the folder is damaged.
 * NOT_FOUND. */
porch_err porch_updates_find(const porch_updates *u, const char *name, char out[PORCH_UPDATES_PATH],
                             bool *published, uint64_t *bytes, porch_why *why);

/* ---- verifying (updates_verify.c) ---- */

/* A metadata file, published or incoming, read and made canonical. `type`: root, targets, snapshot,
 * timestamp. */
porch_err porch_updates_load(const porch_updates *u, const char *file, const char *role, const char *type,
                             porch_updates_doc *ret, porch_why *why);
void porch_updates_doc_free(porch_updates_doc *d);
void porch_updates_set_free(porch_updates_set *s);
/* Roots from what the hub trusts up to plan->root, targets, delegated roles, images; against now_ms. */
porch_err porch_updates_verify(const porch_updates *u, const porch_updates_plan *plan, uint64_t now_ms,
                               porch_updates_set *ret, porch_why *why);
/* Does the root let this hub's key sign for the role, alone? */
porch_err porch_updates_check_key(const porch_updates_doc *root, const char *role, const char *public_hex,
                                  porch_why *why);
/* Ids of the role's keys whose signatures fit, by space. The set's texts are there. */
void porch_updates_signers(const porch_updates_set *s, const porch_updates_doc *d, char *out, size_t cap);
/* Is this text signed by the role's keys in the root? */
porch_err porch_updates_check_online(const porch_updates_doc *root, const char *role, porch_bytes text,
                                     porch_why *why);

/* ---- what was announced and is not in force (updates_pending.c) ---- */

#define PORCH_UPDATES_UNFINISHED "a publish was announced and is not in force yet"

/* On disk before it counts; with !p->there it goes. */
porch_err porch_updates_pending_set(porch_updates *u, const porch_updates_pending *p, porch_why *why);
void porch_updates_pending_load(porch_updates *u); /* as the hub starts */
/* Into the state, for `ota status` and `doctor`: "WHAT: reason"; both "" when all is well. */
void porch_updates_trouble(porch_updates *u, const char *what, const char *reason);

/* ---- images that are damaged (updates_check.c) ---- */

porch_err porch_updates_names_add(porch_updates_names *k, const char *name, porch_why *why);
/* Those that the roles in force name, with `publish` held. */
porch_err porch_updates_names_in_force(const porch_updates *u, porch_updates_names *k, porch_why *why);
bool porch_updates_is_bad(const porch_updates *u, const char *name);
void porch_updates_mended(const porch_updates *u, const char *name);
porch_updates_check *porch_updates_check_new(void);    /* NULL without memory */
void porch_updates_check_free(porch_updates_check *c); /* stops it; NULL is fine */

/* ---- rows (updates_rows.c) ---- */

/* Inside a porch_store_write: what the set says, into the tables and the trust log; idempotent. */
porch_err porch_updates_rows(porch_db *db, const porch_updates *u, const porch_updates_set *set,
                             const char *who, uint64_t now_ms, unsigned *releases, unsigned *withdrawn,
                             porch_why *why);

porch_err porch_updates_rows_write(const porch_updates *u, const porch_updates_set *s, const char *who,
                                   unsigned *releases, unsigned *withdrawn, porch_why *why);

#endif
