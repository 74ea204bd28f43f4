/* Signatures by keys that come as text: what update metadata is checked with. A table, so that the same
 * client core stands on OpenSSL here and on a chip's own engine there.
 *
 *   metadata ─► ota/client ─► porch_verify_ops ─► port/openssl | a microcontroller's library
 *
 * Thread-safe; nothing is kept between calls. */
#ifndef PORCH_CRYPTO_VERIFY_H
#define PORCH_CRYPTO_VERIFY_H

#include "base/bytes.h"
#include "base/error.h"

typedef enum {
    PORCH_VERIFY_ED25519 = 1, /* key: 32 bytes or PEM; signature: 64 bytes (RFC 8032) */
    PORCH_VERIFY_ECDSA_P256, /* key: PEM or an uncompressed point; SHA-256; signature: DER (RFC 3279, 2.2.3)
                              */
    PORCH_VERIFY_RSA_PSS_SHA256 /* key: PEM, 2,048 to 4,096 bits; MGF1 and digest SHA-256, any salt length
                                 */
} porch_verify_scheme;

#define PORCH_VERIFY_SIGNATURE_BYTES   512 /* of RSA with 4,096 bits */
#define PORCH_VERIFY_FINGERPRINT_BYTES 32

typedef struct {
    /* OK only when the signature fits; then *fingerprint is the SHA-256 of the key's SubjectPublicKeyInfo,
     * the same however the key was written. SIGNATURE when it does not fit, UNSUPPORTED for a key of
     * another kind or size. */
    porch_err (*verify)(porch_verify_scheme scheme, porch_bytes key, porch_bytes message,
                        porch_bytes signature, uint8_t fingerprint[PORCH_VERIFY_FINGERPRINT_BYTES]);
    void (*sha256)(porch_bytes b, uint8_t out[32]);
    void (*sha512)(porch_bytes b, uint8_t out[64]);
} porch_verify_ops;

/* The table of port/openssl. */
const porch_verify_ops *porch_verify_library(void);

#endif
