/* The signed manifest of a release for devices too small for JSON (ota/client/manifest.h has its shape):
 * the same words as the target's custom part, in CBOR, by libcbor. */
#ifndef PORCH_OTA_AUTHOR_AUTHOR_MANIFEST_H
#define PORCH_OTA_AUTHOR_AUTHOR_MANIFEST_H

#include <jansson.h>

#include "crypto/keystore.h"

/* `target` is {length, hashes: {sha256}, custom} of PRODUCT/VERSION/image. Each P-256 key signs, up to
 * PORCH_MANIFEST_SIGNATURES_MOST; keys of other kinds are passed over, and UNSUPPORTED when there is no
 * other. *ret is malloc'ed. The device's own reader has the last word. */
porch_err porch_author_manifest(const json_t *target, const porch_key *const *keys, size_t count,
                                uint8_t **ret, size_t *len, porch_why *why);

#endif
