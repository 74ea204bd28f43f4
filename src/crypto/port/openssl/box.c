#include "crypto/box.h"

#include <string.h>

#include <openssl/core_names.h>
#include <openssl/ec.h>
#include <openssl/param_build.h>

#include "crypto/aead.h"
#include "crypto/hkdf.h"
#include "crypto/port/openssl/openssl.h"
#include "crypto/random.h"

static const uint8_t zero_nonce[PORCH_AEAD_NONCE_BYTES]; /* right for a key that is used once */

/* The point that belongs to a secret; false when the secret is zero or not below the group's order. */
static bool point_of(const BIGNUM *secret, uint8_t out[PORCH_BOX_PUBLIC_BYTES]) {
    EC_GROUP *group = EC_GROUP_new_by_curve_name(NID_X9_62_prime256v1);
    EC_POINT *point = group != NULL ? EC_POINT_new(group) : NULL;
    bool good = point != NULL && !BN_is_zero(secret) && BN_cmp(secret, EC_GROUP_get0_order(group)) < 0 &&
                EC_POINT_mul(group, point, secret, NULL, NULL, NULL) == 1 &&
                EC_POINT_point2oct(group, point, POINT_CONVERSION_UNCOMPRESSED, out, PORCH_BOX_PUBLIC_BYTES,
                                   NULL) == PORCH_BOX_PUBLIC_BYTES;
    EC_POINT_free(point);
    EC_GROUP_free(group);
    return good;
}

/* A key from its point and, if it is given, its secret. NULL for a point that is not on the curve. */
static EVP_PKEY *key_of(const uint8_t point[PORCH_BOX_PUBLIC_BYTES], const BIGNUM *secret) {
    EVP_PKEY *made = NULL;
    OSSL_PARAM *params = NULL;
    OSSL_PARAM_BLD *build = OSSL_PARAM_BLD_new();
    EVP_PKEY_CTX *ctx = EVP_PKEY_CTX_new_from_name(NULL, "EC", NULL), *check = NULL;
    bool good = build != NULL && ctx != NULL && point[0] == POINT_CONVERSION_UNCOMPRESSED &&
                OSSL_PARAM_BLD_push_utf8_string(build, OSSL_PKEY_PARAM_GROUP_NAME, "P-256", 0) == 1 &&
                OSSL_PARAM_BLD_push_octet_string(build, OSSL_PKEY_PARAM_PUB_KEY, point,
                                                 PORCH_BOX_PUBLIC_BYTES) == 1 &&
                (secret == NULL || OSSL_PARAM_BLD_push_BN(build, OSSL_PKEY_PARAM_PRIV_KEY, secret) == 1) &&
                (params = OSSL_PARAM_BLD_to_param(build)) != NULL && EVP_PKEY_fromdata_init(ctx) == 1 &&
                EVP_PKEY_fromdata(ctx, &made, secret != NULL ? EVP_PKEY_KEYPAIR : EVP_PKEY_PUBLIC_KEY,
                                  params) == 1 &&
                (check = EVP_PKEY_CTX_new(made, NULL)) != NULL && EVP_PKEY_public_check(check) == 1;
    EVP_PKEY_CTX_free(check);
    EVP_PKEY_CTX_free(ctx);
    OSSL_PARAM_free(params);
    OSSL_PARAM_BLD_free(build);
    if (good) return made;
    EVP_PKEY_free(made);
    return NULL;
}

/* ECDH and HKDF: the key of the box between the ephemeral and the recipient's point. */
static bool derive(EVP_PKEY *own, EVP_PKEY *other, const uint8_t *ephemeral, const uint8_t *recipient,
                   porch_bytes info, uint8_t key[PORCH_AEAD_KEY_BYTES]) {
    uint8_t shared[32], salt[2 * PORCH_BOX_PUBLIC_BYTES];
    size_t len = sizeof shared;
    memcpy(salt, ephemeral, PORCH_BOX_PUBLIC_BYTES);
    memcpy(salt + PORCH_BOX_PUBLIC_BYTES, recipient, PORCH_BOX_PUBLIC_BYTES);
    EVP_PKEY_CTX *ctx = EVP_PKEY_CTX_new(own, NULL);
    bool good = ctx != NULL && EVP_PKEY_derive_init(ctx) == 1 &&
                EVP_PKEY_derive_set_peer(ctx, other) == 1 && EVP_PKEY_derive(ctx, shared, &len) == 1 &&
                len == sizeof shared &&
                porch_hkdf_sha256((porch_bytes){shared, len}, (porch_bytes){salt, sizeof salt}, info, key,
                                  PORCH_AEAD_KEY_BYTES) == PORCH_OK;
    EVP_PKEY_CTX_free(ctx);
    porch_wipe(shared, sizeof shared);
    return good;
}

/* A new pair: the key, its point and, if `secret` is given, its secret. */
static EVP_PKEY *new_pair(uint8_t point[PORCH_BOX_PUBLIC_BYTES], uint8_t *secret) {
    EVP_PKEY *pair = EVP_EC_gen("P-256");
    BIGNUM *number = NULL;
    size_t len = 0;
    bool good = pair != NULL &&
                EVP_PKEY_get_octet_string_param(pair, OSSL_PKEY_PARAM_ENCODED_PUBLIC_KEY, point,
                                                PORCH_BOX_PUBLIC_BYTES, &len) == 1 &&
                len == PORCH_BOX_PUBLIC_BYTES;
    if (good && secret != NULL)
        good = EVP_PKEY_get_bn_param(pair, OSSL_PKEY_PARAM_PRIV_KEY, &number) == 1 &&
               BN_bn2binpad(number, secret, PORCH_BOX_SECRET_BYTES) == PORCH_BOX_SECRET_BYTES;
    BN_clear_free(number);
    if (good) return pair;
    EVP_PKEY_free(pair);
    return NULL;
}

porch_err porch_box_generate(uint8_t secret[PORCH_BOX_SECRET_BYTES],
                             uint8_t public_key[PORCH_BOX_PUBLIC_BYTES], porch_why *why) {
    porch_crypto_init();
    EVP_PKEY *pair = new_pair(public_key, secret);
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
    EVP_PKEY *own = NULL, *recipient = key_of(public_key, NULL);
    if (recipient == NULL) {
        e = porch_openssl_fail(why, PORCH_ERR_MALFORMED, "the recipient's key is no point of P-256");
        goto out;
    }
    own = new_pair(ephemeral, NULL);
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
    EVP_PKEY *own = NULL, *other = key_of(sealed.at, NULL);
    if (number != NULL && BN_bin2bn(secret, PORCH_BOX_SECRET_BYTES, number) != NULL &&
        point_of(number, point))
        own = key_of(point, number);
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
