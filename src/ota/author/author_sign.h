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

#endif
