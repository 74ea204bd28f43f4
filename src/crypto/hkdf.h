/* HKDF-SHA-256 (RFC 5869): one secret into many keys, told apart by `info`. */
#ifndef PORCH_CRYPTO_HKDF_H
#define PORCH_CRYPTO_HKDF_H

#include "base/bytes.h"
#include "base/error.h"

/* Fills `len` bytes (at most 255 * 32, else LIMIT). `salt` and `info` may be empty. */
porch_err porch_hkdf_sha256(porch_bytes secret, porch_bytes salt, porch_bytes info, uint8_t *out,
                            size_t len);

#endif
