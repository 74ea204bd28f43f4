#include "crypto/box.h"

#include <string.h>

#include "crypto/aead.h"
#include "crypto/hkdf.h"
#include "crypto/port/openssl/box_p256.h"
#include "crypto/port/openssl/openssl.h"
#include "crypto/random.h"

static const uint8_t zero_nonce[PORCH_AEAD_NONCE_BYTES]; /* right for a key that is used once */

/* ECDH and HKDF: the key of the box between the ephemeral and the recipient's point. */
static bool derive(EVP_PKEY *own, EVP_PKEY *other, const uint8_t *ephemeral, const uint8_t *recipient,
                   porch_bytes info, uint8_t key[PORCH_AEAD_KEY_BYTES]) {
    uint8_t shared[32], salt[2 * PORCH_BOX_PUBLIC_BYTES];
    memcpy(salt, ephemeral, PORCH_BOX_PUBLIC_BYTES);
    memcpy(salt + PORCH_BOX_PUBLIC_BYTES, recipient, PORCH_BOX_PUBLIC_BYTES);
    bool good = porch_p256_shared(own, other, shared) &&
                porch_hkdf_sha256((porch_bytes){shared, sizeof shared}, (porch_bytes){salt, sizeof salt},
                                  info, key, PORCH_AEAD_KEY_BYTES) == PORCH_OK;
    porch_wipe(shared, sizeof shared);
    return good;
}

porch_err porch_box_generate(uint8_t secret[PORCH_BOX_SECRET_BYTES],
                             uint8_t public_key[PORCH_BOX_PUBLIC_BYTES], porch_why *why) {
    porch_crypto_init();
    EVP_PKEY *pair = porch_p256_new(public_key, secret);
    if (pair == NULL) return porch_openssl_fail(why, PORCH_ERR_CRYPTO, "making a key pair");
    EVP_PKEY_free(pair);
    return PORCH_OK;
}

porch_err porch_box_seal(const uint8_t public_key[PORCH_BOX_PUBLIC_BYTES], porch_bytes info,
                         porch_bytes plain, porch_buf *out, porch_why *why) {
    porch_crypto_init();
    if (plain.len > PORCH_BOX_PLAIN_BYTES || info.len > 1024)
        return porch_fail(why, PORCH_ERR_LIMIT, "a box holds at most %d bytes", PORCH_BOX_PLAIN_BYTES);
    if (plain.len + PORCH_BOX_EXTRA_BYTES > out->cap - out->len)
        return porch_fail(why, PORCH_ERR_NO_SPACE, "the box does not fit");
    uint8_t ephemeral[PORCH_BOX_PUBLIC_BYTES], key[PORCH_AEAD_KEY_BYTES];
    porch_err e = PORCH_OK;
    EVP_PKEY *own = NULL, *recipient = porch_p256_key(public_key, NULL);
    if (recipient == NULL) {
        e = porch_openssl_fail(why, PORCH_ERR_MALFORMED, "the recipient's key is no point of P-256");
        goto out;
    }
    own = porch_p256_new(ephemeral, NULL);
    if (own == NULL || !derive(own, recipient, ephemeral, public_key, info, key)) {
        e = porch_openssl_fail(why, PORCH_ERR_CRYPTO, "sealing a box");
        goto out;
    }
    memcpy(out->at + out->len, ephemeral, sizeof ephemeral);
    out->len += sizeof ephemeral;
    e = porch_aead_seal(key, zero_nonce, info, plain, out);
out:
    porch_wipe(key, sizeof key);
    EVP_PKEY_free(own);
    EVP_PKEY_free(recipient);
    return e;
}

porch_err porch_box_open(const uint8_t secret[PORCH_BOX_SECRET_BYTES], porch_bytes info, porch_bytes sealed,
                         porch_buf *out, porch_why *why) {
    porch_crypto_init();
    if (info.len > 1024) return porch_fail(why, PORCH_ERR_LIMIT, "a box's purpose has at most 1,024 bytes");
    if (sealed.len < PORCH_BOX_EXTRA_BYTES || sealed.len > PORCH_BOX_EXTRA_BYTES + PORCH_BOX_PLAIN_BYTES)
        return porch_fail(why, PORCH_ERR_SIGNATURE, "the box is cut short, or none");
    uint8_t point[PORCH_BOX_PUBLIC_BYTES], key[PORCH_AEAD_KEY_BYTES];
    porch_err e = PORCH_ERR_SIGNATURE;
    BIGNUM *number = BN_secure_new();
    EVP_PKEY *own = NULL, *other = porch_p256_key(sealed.at, NULL);
    if (number != NULL && BN_bin2bn(secret, PORCH_BOX_SECRET_BYTES, number) != NULL &&
        porch_p256_point(number, point))
        own = porch_p256_key(point, number);
    if (own != NULL && other != NULL && derive(own, other, sealed.at, point, info, key)) {
        porch_bytes rest = {sealed.at + PORCH_BOX_PUBLIC_BYTES, sealed.len - PORCH_BOX_PUBLIC_BYTES};
        e = porch_aead_open(key, zero_nonce, info, rest, out);
    }
    if (e == PORCH_ERR_SIGNATURE) {
        (void)porch_openssl_fail(NULL, e, "opening a box");
        e = porch_fail(why, e, "the key does not open this box, or the box was changed");
    }
    porch_wipe(key, sizeof key);
    BN_clear_free(number);
    EVP_PKEY_free(own);
    EVP_PKEY_free(other);
    return e;
}
