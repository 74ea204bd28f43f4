/* SHA-512 (FIPS 180-4): the second hash that update metadata may name. */
#ifndef PORCH_CRYPTO_SHA512_H
#define PORCH_CRYPTO_SHA512_H

#include "base/bytes.h"

#define PORCH_SHA512_BYTES 64

/* These cannot fail but for want of memory inside the library, which aborts. */
void porch_sha512(porch_bytes b, uint8_t out[PORCH_SHA512_BYTES]);

/* Piece by piece. One object, one thread at a time. */
typedef struct porch_sha512_state porch_sha512_state;
porch_sha512_state *porch_sha512_new(void); /* never NULL */
void porch_sha512_update(porch_sha512_state *s, porch_bytes b);
/* The digest of all updates; the object is spent. */
void porch_sha512_finish(porch_sha512_state *s, uint8_t out[PORCH_SHA512_BYTES]);
void porch_sha512_free(porch_sha512_state *s); /* NULL is fine */

#endif
