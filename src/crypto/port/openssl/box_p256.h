/* Keys of the curve P-256 as plain bytes, and what two of them agree on: shared by boxes and Web Push. Only
 * the files of this port include it. */
#ifndef PORCH_CRYPTO_PORT_OPENSSL_BOX_P256_H
#define PORCH_CRYPTO_PORT_OPENSSL_BOX_P256_H

#include <openssl/evp.h>
#include <stdbool.h>
#include <stdint.h>

#define PORCH_P256_SECRET_BYTES 32
#define PORCH_P256_PUBLIC_BYTES 65 /* uncompressed point (SEC 1, 2.3.3) */

/* The point that belongs to a secret; false when the secret is zero or not below the group's order. */
bool porch_p256_point(const BIGNUM *secret, uint8_t out[PORCH_P256_PUBLIC_BYTES]);
/* A key from its point and, if it is given, its secret. NULL for a point that is not on the curve. */
EVP_PKEY *porch_p256_key(const uint8_t point[PORCH_P256_PUBLIC_BYTES], const BIGNUM *secret);
/* A new pair: the key, its point and, if `secret` is given, its secret. NULL when it cannot be made. */
EVP_PKEY *porch_p256_new(uint8_t point[PORCH_P256_PUBLIC_BYTES], uint8_t *secret);
/* ECDH (SEC 1, 3.3.1): the x coordinate. Wipe it. */
bool porch_p256_shared(EVP_PKEY *own, EVP_PKEY *other, uint8_t shared[PORCH_P256_SECRET_BYTES]);

#endif
