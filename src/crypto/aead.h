/* AES-256-GCM (NIST SP 800-38D): secrecy and integrity in one step.
 *
 * A nonce must never repeat under one key; random ones are fine up to 2^32 messages a key. */
#ifndef PORCH_CRYPTO_AEAD_H
#define PORCH_CRYPTO_AEAD_H

#include "base/bytes.h"
#include "base/error.h"

#define PORCH_AEAD_KEY_BYTES   32
#define PORCH_AEAD_NONCE_BYTES 12
#define PORCH_AEAD_TAG_BYTES   16

/* Appends cipher text and tag (plain.len + 16 bytes) to `out`. NO_SPACE before anything is written; LIMIT
 * above 2^30 bytes. `plain` and the space in `out` must not overlap. */
porch_err porch_aead_seal(const uint8_t key[PORCH_AEAD_KEY_BYTES],
                          const uint8_t nonce[PORCH_AEAD_NONCE_BYTES], porch_bytes aad, porch_bytes plain,
                          porch_buf *out);
/* Appends the plain text (sealed.len - 16 bytes). SIGNATURE when key, nonce, aad or bytes do not fit: then
 * `out` is as before and holds no plain text. */
porch_err porch_aead_open(const uint8_t key[PORCH_AEAD_KEY_BYTES],
                          const uint8_t nonce[PORCH_AEAD_NONCE_BYTES], porch_bytes aad, porch_bytes sealed,
                          porch_buf *out);

/* The same with the key set up once, for many pieces. One object, one thread at a time. */
typedef struct porch_aead porch_aead;
porch_aead *porch_aead_new(const uint8_t key[PORCH_AEAD_KEY_BYTES]); /* never NULL */
porch_err porch_aead_seal_with(porch_aead *a, const uint8_t nonce[PORCH_AEAD_NONCE_BYTES], porch_bytes aad,
                               porch_bytes plain, porch_buf *out);
porch_err porch_aead_open_with(porch_aead *a, const uint8_t nonce[PORCH_AEAD_NONCE_BYTES], porch_bytes aad,
                               porch_bytes sealed, porch_buf *out);
void porch_aead_free(porch_aead *a); /* wipes; NULL is fine */

#endif
