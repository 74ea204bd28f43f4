/* What an update repository's roles say, and will say next: JSON documents without signatures. Who signs
 * them is author_sign.h's business, where they lie the caller's.
 *
 *   root ─► timestamp ─► snapshot ─► targets ─► one delegated role a product (paths PRODUCT/...,
 * terminating) */
#ifndef PORCH_OTA_AUTHOR_AUTHOR_REPO_H
#define PORCH_OTA_AUTHOR_AUTHOR_REPO_H

#include <jansson.h>

#include "base/bytes.h"
#include "base/error.h"

typedef struct {
    json_t *root, *timestamp, *snapshot, *targets;
    json_t *products; /* {NAME: content} */
} porch_author_repo;

/* Roles that say nothing yet, of version 0. */
porch_err porch_author_repo_begin(porch_author_repo *ret, porch_why *why);
void porch_author_repo_free(porch_author_repo *r); /* all NULL is fine */

/* A role's content, borrowed; NULL when there is no such role. */
json_t *porch_author_role(const porch_author_repo *r, const char *role);
/* Where {keyids, threshold} of a role stand (root, or targets for a product), borrowed, and the keys beside
 * them. */
json_t *porch_author_trust(const porch_author_repo *r, const char *role, json_t **keys);

/* Products are named like devices: EXISTS, MALFORMED. */
porch_err porch_author_product_add(porch_author_repo *r, const char *name, porch_why *why);
/* EXISTS; NOT_FOUND for a role that is not there. */
porch_err porch_author_key_add(porch_author_repo *r, const char *role, json_t *key, const char *id,
                               porch_why *why);
/* STATE when the rest would not reach the threshold. A key that no role names any more goes. */
porch_err porch_author_key_remove(porch_author_repo *r, const char *role, const char *id, porch_why *why);

/* The target PRODUCT/VERSION/image. EXISTS: a version is released once. */
porch_err porch_author_release(porch_author_repo *r, const char *product, const char *version,
                               uint64_t length, const char *sha256, json_t *custom, porch_why *why);
/* The target of a release, borrowed: {length, hashes, custom}; NULL when there is none. */
const json_t *porch_author_released(const porch_author_repo *r, const char *product, const char *version);
/* A delta to a release, the target PRODUCT/VERSION/delta-from-OLD, OLD being the old image's SHA-256. */
porch_err porch_author_delta_add(porch_author_repo *r, const char *product, const char *version,
                                 const char *old_sha256, uint64_t length, const char *sha256,
                                 json_t *custom, porch_why *why);
/* The release in CBOR for devices too small for JSON, the target PRODUCT/VERSION/manifest. */
porch_err porch_author_manifest_add(porch_author_repo *r, const char *product, const char *version,
                                    uint64_t length, const char *sha256, porch_why *why);
/* The role that may widen a rollout, and nothing else: its targets are ROLE/PRODUCT/VERSION. */
#define PORCH_AUTHOR_ROLLOUT "rollout"
/* From now on at least so many devices may install the release: `said` is {share (of 10,000), sha256 (of
 * the image)}, and `length` and `sha256` are those of the file that holds the same words. STATE: it is as
 * wide already. */
porch_err porch_author_widen(porch_author_repo *r, const char *product, const char *version, json_t *said,
                             uint64_t length, const char *sha256, porch_why *why);
/* The highest number of that name among the custom parts of a product's releases, the withdrawn ones'
 * `serial` and `counter` included; 0 when there is none. */
uint64_t porch_author_highest(const porch_author_repo *r, const char *product, const char *name);
/* The release and the deltas to it; its numbers stay taken. */
porch_err porch_author_withdraw(porch_author_repo *r, const char *product, const char *version,
                                porch_why *why);

/* So many different keys must sign for the role from now on; it must have them. USAGE for snapshot and
 * timestamp, which one key signs. */
porch_err porch_author_threshold(porch_author_repo *r, const char *role, uint64_t signatures,
                                 porch_why *why);
/* One version more, good until then. */
porch_err porch_author_next(json_t *content, const char *expires, porch_why *why);
/* `above` (snapshot, timestamp) names the file as it was just signed. */
porch_err porch_author_announce(json_t *above, const char *file, const json_t *content,
                                porch_bytes signed_text, porch_why *why);

#endif
