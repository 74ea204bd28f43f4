/* SHA-1 (FIPS 180-4), for the one place where a standard fixes it and no secret depends on it: the accept
 * header of a WebSocket (RFC 6455, 4.2.2). Nothing may be signed or guarded with it. */
#ifndef PORCH_CRYPTO_SHA1_H
#define PORCH_CRYPTO_SHA1_H

#include "base/bytes.h"

#define PORCH_SHA1_BYTES 20

/* Cannot fail but for want of memory inside the library, which aborts. */
void porch_sha1(porch_bytes b, uint8_t out[PORCH_SHA1_BYTES]);

#endif
