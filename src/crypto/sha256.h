/* SHA-256 (FIPS 180-4) and HMAC-SHA-256 (RFC 2104). */
#ifndef PORCH_CRYPTO_SHA256_H
#define PORCH_CRYPTO_SHA256_H

#include "base/bytes.h"

#define PORCH_SHA256_BYTES 32

/* These cannot fail but for want of memory inside the library, which aborts. */
void porch_sha256(porch_bytes b, uint8_t out[PORCH_SHA256_BYTES]);
void porch_hmac_sha256(porch_bytes key, porch_bytes data, uint8_t out[PORCH_SHA256_BYTES]);

/* Piece by piece. One object, one thread at a time. */
typedef struct porch_sha256_state porch_sha256_state;
porch_sha256_state *porch_sha256_new(void); /* never NULL */
void porch_sha256_update(porch_sha256_state *s, porch_bytes b);
/* The digest of all updates; the object starts anew and can be used again. */
void porch_sha256_finish(porch_sha256_state *s, uint8_t out[PORCH_SHA256_BYTES]);
/* The digest so far; the object goes on. */
void porch_sha256_peek(const porch_sha256_state *s, uint8_t out[PORCH_SHA256_BYTES]);
void porch_sha256_free(porch_sha256_state *s); /* NULL is fine */

#endif
