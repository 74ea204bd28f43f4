/* What Web Push needs of cryptography, on both sides:
 *
 *   message ─► AES-128-GCM under keys of ECDH with the browser's key (RFC 8291, one record of RFC 8188)
 *   sender  ─► an ES256 signature (RFC 7518, 3.4) under the hub's VAPID key (RFC 8292)
 *
 * A push service sees neither the message nor a key that opens it. */
#ifndef PORCH_CRYPTO_WEBPUSH_H
#define PORCH_CRYPTO_WEBPUSH_H

#include "base/bytes.h"
#include "base/error.h"
#include "crypto/keystore.h"

#define PORCH_WEBPUSH_PUBLIC_BYTES 65 /* an uncompressed point of P-256 */
#define PORCH_WEBPUSH_SECRET_BYTES 32
#define PORCH_WEBPUSH_AUTH_BYTES   16
#define PORCH_WEBPUSH_SALT_BYTES   16
/* RFC 8291, 4: push services take at least 4,096 bytes; 86 of them are the head, 17 the end mark and tag.
 */
#define PORCH_WEBPUSH_PLAIN_BYTES 3993
#define PORCH_WEBPUSH_EXTRA_BYTES 103
#define PORCH_WEBPUSH_ES256_BYTES 64

/* Is this a point of the curve, as a browser's p256dh must be? */
bool porch_webpush_key_valid(porch_bytes public_key);

/* Appends the body of one push message (Content-Encoding: aes128gcm) for the browser with this key and
 * authentication secret. LIMIT above PORCH_WEBPUSH_PLAIN_BYTES, NO_SPACE, MALFORMED for a key that is no
 * point; then `out` is as before. */
porch_err porch_webpush_seal(const uint8_t browser_key[PORCH_WEBPUSH_PUBLIC_BYTES],
                             const uint8_t auth[PORCH_WEBPUSH_AUTH_BYTES], porch_bytes plain,
                             porch_buf *out, porch_why *why);
/* The same with a given salt and sender's key, for known answers. Never send such a message: with one salt
 * and key twice, the keys of both messages are one. */
porch_err porch_webpush_seal_with(const uint8_t browser_key[PORCH_WEBPUSH_PUBLIC_BYTES],
                                  const uint8_t auth[PORCH_WEBPUSH_AUTH_BYTES], porch_bytes plain,
                                  const uint8_t salt[PORCH_WEBPUSH_SALT_BYTES],
                                  const uint8_t sender_secret[PORCH_WEBPUSH_SECRET_BYTES], porch_buf *out,
                                  porch_why *why);

/* Appends the 64 bytes r || s of an ES256 signature. UNSUPPORTED when the key is not of P-256. */
porch_err porch_es256_sign(const porch_key *key, porch_bytes data, porch_buf *out, porch_why *why);
/* SIGNATURE when it does not fit. `public_key` is an uncompressed point. */
porch_err porch_es256_verify(const uint8_t public_key[PORCH_WEBPUSH_PUBLIC_BYTES], porch_bytes data,
                             porch_bytes signature);
/* The uncompressed point of a P-256 key. UNSUPPORTED for another kind. */
porch_err porch_es256_public(const porch_key *key, uint8_t out[PORCH_WEBPUSH_PUBLIC_BYTES], porch_why *why);

#endif
