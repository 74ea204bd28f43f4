/* A product team's update repository in a folder:
 *
 *   FOLDER/keys.json            where each key lies: a locked file here, a TPM or a token
 *   FOLDER/keys/ID.pem          offline keys, each under the passphrase
 *   FOLDER/online/ID.pem        keys of snapshot and timestamp
 *   FOLDER/repository/metadata  what devices fetch, signed
 *   FOLDER/repository/targets
 *   FOLDER/waiting/N.ROLE.json  a change that has not enough signatures yet
 *
 * Loaded whole, changed in memory, and committed in an order in which a device that fetches meanwhile sees
 * the old or the new repository: timestamp.json is replaced last. */
#ifndef PORCH_CLI_OTA_H
#define PORCH_CLI_OTA_H

#include "cli/cli_room.h"
#include "crypto/keystore.h"
#include "ota/author/author_delta.h"
#include "ota/author/author_repo.h"

enum {
    PORCH_CLI_OTA_CHANGED_MOST = 64,
    PORCH_CLI_OTA_PASSPHRASE_LEAST = 12,
    PORCH_CLI_OTA_PASSPHRASE_BYTES = 256
};

typedef struct {
    const char *folder;
    const char *tpm;             /* how a TPM is reached; NULL when none is used */
    const char *passphrase_file; /* NULL: asked for */
    porch_author_repo repo;
    json_t *keys;     /* keys.json */
    json_t *root_old; /* the root that is in force: its keys sign the next one, too; NULL in a new folder */
    json_t *waiting;  /* [{file, role, document}]: a change that has not enough signatures yet */
    bool may_wait;    /* loading is fine while a change waits: looking, signing */
    bool dropping;    /* only its files count */
    bool in_force;    /* what waits is not looked at */
    const char *changed[PORCH_CLI_OTA_CHANGED_MOST]; /* roles to sign, besides snapshot and timestamp */
    size_t changed_count;
    char passphrase[PORCH_CLI_OTA_PASSPHRASE_BYTES];
    bool has_passphrase;
} porch_cli_ota;

/* A new folder, or STATE when something is there. */
porch_err porch_cli_ota_make(porch_cli_ota *o, porch_why *why);
porch_err porch_cli_ota_load(porch_cli_ota *o, porch_why *why);
void porch_cli_ota_free(porch_cli_ota *o); /* wipes the passphrase */

/* Makes a key (at `uri`, or in a file of the folder when NULL) and gives it to the role; *id is its id. */
porch_err porch_cli_ota_new_key(porch_cli_ota *o, const char *role, const char *uri, char id[65],
                                porch_why *why);
/* A hub's two keys, as `porchlight ota keys` wrote them, instead of all that snapshot and timestamp have:
 * those roles are then signed by the hub alone, and lie unsigned in the folder. */
porch_err porch_cli_ota_online_keys(porch_cli_ota *o, const char *file, porch_why *why);
/* The root names this Ed25519 key, 64 hex digits, as the one that vouches for the time. */
porch_err porch_cli_ota_time_key(porch_cli_ota *o, const char *hex, porch_why *why);
void porch_cli_ota_touch(porch_cli_ota *o, const char *role);
/* Signs what changed with the keys that are at hand. Where they are enough for every role, the change is in
 * force, with snapshot and timestamp; else all of it waits in FOLDER/waiting (o->waiting then). STATE when
 * another change waits already. */
porch_err porch_cli_ota_commit(porch_cli_ota *o, porch_why *why);
/* The waiting change, its content in the place of what is in force. STATE unless o->may_wait. */
porch_err porch_cli_ota_load_waiting(porch_cli_ota *o, porch_why *why);
/* "camera: 1 of 2 signatures, root: 0 of 1"; "" when nothing waits. */
void porch_cli_ota_waiting_text(const porch_cli_ota *o, char *out, size_t cap);
/* How many have signed, and must: of a root, of the old keys and the new, whoever is further from enough.
 */
porch_err porch_cli_ota_signed_by(const porch_cli_ota *o, const char *role, const json_t *document,
                                  size_t *have, size_t *need, bool *enough, porch_why *why);
/* Adds the signatures of the keys that are at hand, and puts the change into force when they are enough. */
porch_err porch_cli_ota_sign_waiting(porch_cli_ota *o, porch_why *why);
/* Is each image that the change names new in the folder, with the bytes that it says? HASH, NOT_FOUND. */
porch_err porch_cli_ota_check_images(const porch_cli_ota *o, porch_why *why);
porch_err porch_cli_ota_drop_waiting(porch_cli_ota *o, porch_why *why);
/* Between the files of the folder. */
porch_err porch_cli_ota_path(const porch_cli_ota *o, const char *name, char out[PORCH_CLI_PATH_BYTES],
                             porch_why *why);
bool porch_cli_ota_is_online(const char *role);
bool porch_cli_ota_of_hub(const porch_cli_ota *o, const char *role); /* does the hub sign for the role? */
porch_err porch_cli_ota_open_key(porch_cli_ota *o, const char *id, porch_key **ret, porch_why *why);
/* Copies an image below repository/targets and says its length and hash. */
porch_err porch_cli_ota_image(porch_cli_ota *o, const char *file, const char *product, const char *version,
                              uint64_t *length, char sha256[65], porch_why *why);

/* The signed manifest of a release that is in the repository already, and its target. */
porch_err porch_cli_ota_manifest(porch_cli_ota *o, const char *product, const char *version,
                                 porch_why *why);

/* Deltas to a release whose image is in the folder already. */
typedef struct {
    const char *product, *version;
    const json_t *from; /* versions; empty: the newest three before it */
    porch_author_delta_size size;
    bool dry, quiet;
} porch_cli_ota_delta;
/* At least so many devices, in 1/10000, may install the release. STATE when it is as wide already. */
porch_err porch_cli_ota_widen(porch_cli_ota *o, const char *product, const char *version, uint32_t share,
                              porch_why *why);
porch_err porch_cli_ota_deltas(porch_cli_ota *o, const porch_cli_ota_delta *d, porch_why *why);

/* `ota status` without a folder. */
int porch_cli_ota_hub_status(porch_cli *c);

#endif
