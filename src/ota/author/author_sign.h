/* Signing metadata of an update repository: keys as the format names them, and signatures over canonical
 * JSON. */
#ifndef PORCH_OTA_AUTHOR_AUTHOR_SIGN_H
#define PORCH_OTA_AUTHOR_AUTHOR_SIGN_H

#include <jansson.h>

#include "crypto/keystore.h"

enum { PORCH_AUTHOR_KEYID_TEXT = 65, PORCH_AUTHOR_SIGNERS_MOST = 32 };

/* A key as metadata names it: {keytype, scheme, keyval: {public}}, a new reference, and its id. P-256 and
 * Ed25519, else UNSUPPORTED. */
porch_err porch_author_key(const porch_key *key, json_t **ret, char id[PORCH_AUTHOR_KEYID_TEXT],
                           porch_why *why);

/* {"signatures": [...], "signed": ...} as JSON, malloc'ed, each key signing once. What is signed is the
 * canonical form of `content`; what is written is not, since that form may hold bare line breaks and is no
 * JSON. */
porch_err porch_author_sign(const json_t *content, const porch_key *const *keys, size_t count, char **ret,
                            size_t *len, porch_why *why);

/* {"signatures", "signed"} gets those signatures that it has not; keys may lie with several people. */
porch_err porch_author_sign_more(json_t *document, const porch_key *const *keys, size_t count,
                                 porch_why *why);
/* How many of a role's keys have signed the document, and whether that is enough: `trust` is {keyids,
 * threshold}, `keys` what the ids stand for. A signature that does not fit counts for nothing. */
porch_err porch_author_count(const json_t *document, const json_t *keys, const json_t *trust, size_t *have,
                             bool *enough, porch_why *why);

#endif
