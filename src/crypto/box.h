/* A box that anybody can close and one key opens: backups are sealed for a recovery key whose secret half
 * the hub does not keep.
 *
 *   box = ephemeral point (65) || AES-256-GCM(key, plain) || tag (16)
 *   key = HKDF-SHA-256(ECDH(P-256), salt = ephemeral point || recipient's point, info)
 *
 * The key is new with every box, so the nonce is zero. The box says nothing of who closed it. */
#ifndef PORCH_CRYPTO_BOX_H
#define PORCH_CRYPTO_BOX_H

#include "base/bytes.h"
#include "base/error.h"

#define PORCH_BOX_SECRET_BYTES 32
#define PORCH_BOX_PUBLIC_BYTES 65 /* uncompressed point (SEC 1, 2.3.3) */
#define PORCH_BOX_EXTRA_BYTES  81 /* a box is longer than its content by this */
#define PORCH_BOX_PLAIN_BYTES  4096

porch_err porch_box_generate(uint8_t secret[PORCH_BOX_SECRET_BYTES],
                             uint8_t public_key[PORCH_BOX_PUBLIC_BYTES], porch_why *why);
/* Appends plain.len + PORCH_BOX_EXTRA_BYTES. LIMIT above PORCH_BOX_PLAIN_BYTES, NO_SPACE, MALFORMED when
 * the public key is no point of the curve. `info` says what the box is for (at most 1,024 bytes): it opens
 * with the same only. */
porch_err porch_box_seal(const uint8_t public_key[PORCH_BOX_PUBLIC_BYTES], porch_bytes info,
                         porch_bytes plain, porch_buf *out, porch_why *why);
/* Appends the content. SIGNATURE when secret, info or bytes do not fit; then `out` is as before. */
porch_err porch_box_open(const uint8_t secret[PORCH_BOX_SECRET_BYTES], porch_bytes info, porch_bytes sealed,
                         porch_buf *out, porch_why *why);

#endif
