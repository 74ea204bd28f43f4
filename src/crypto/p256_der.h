/* P-256 between the bare numbers that TPMs and PKCS#11 tokens speak and the DER that the rest of the world
 * does. No arithmetic: only lengths, tags and leading zeros. */
#ifndef PORCH_CRYPTO_P256_DER_H
#define PORCH_CRYPTO_P256_DER_H

#include "crypto/keystore.h"

enum { PORCH_P256_NUMBER_BYTES = 32, PORCH_P256_POINT_BYTES = 65 };

/* ECDSA-Sig-Value (RFC 3279, 2.2.3) of two big-endian numbers of at most 32 bytes each; appended. LIMIT for
 * longer ones, NO_SPACE. */
porch_err porch_p256_signature_der(porch_bytes r, porch_bytes s, porch_buf *out);
/* SubjectPublicKeyInfo (RFC 5480, 2) of an uncompressed point. MALFORMED for any other form. Whether the
 * point lies on the curve is for those who use it. */
porch_err porch_p256_public_key(porch_bytes point, porch_public_key *ret);

#endif
