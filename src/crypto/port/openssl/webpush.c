/* One push message is one record of RFC 8188:
 *
 *   salt 16 | record size u32 = 4096 | 65 | sender's point 65 | AES-128-GCM(plain | 0x02) | tag 16
 */
#include "crypto/webpush.h"

#include <string.h>

#include <openssl/ecdsa.h>

#include "base/cursor.h"
#include "crypto/hkdf.h"
#include "crypto/port/openssl/box_p256.h"
#include "crypto/port/openssl/openssl.h"
#include "crypto/random.h"

enum { RECORD_BYTES = 4096, KEY_BYTES = 16, NONCE_BYTES = 12, TAG_BYTES = 16, LAST_RECORD = 2 };

typedef struct {
    uint8_t key[KEY_BYTES];
    uint8_t nonce[NONCE_BYTES];
} record_keys;

bool porch_webpush_key_valid(porch_bytes public_key) {
    porch_crypto_init();
    if (public_key.len != PORCH_WEBPUSH_PUBLIC_BYTES) return false;
    EVP_PKEY *key = porch_p256_key(public_key.at, NULL);
    if (key == NULL) (void)porch_openssl_fail(NULL, PORCH_ERR_MALFORMED, "reading a point");
    EVP_PKEY_free(key);
    return key != NULL;
}

static bool expand(porch_bytes secret, porch_bytes salt, porch_bytes info, uint8_t *out, size_t len) {
    return porch_hkdf_sha256(secret, salt, info, out, len) == PORCH_OK;
}

/* RFC 8291, 3.3 and 3.4, then RFC 8188, 2.2 and 2.3. */
static bool derive(const uint8_t shared[PORCH_P256_SECRET_BYTES], const uint8_t *browser,
                   const uint8_t *sender, const uint8_t auth[PORCH_WEBPUSH_AUTH_BYTES],
                   const uint8_t salt[PORCH_WEBPUSH_SALT_BYTES], record_keys *ret) {
    uint8_t block[160], ikm[32];
    porch_buf info = PORCH_BUF_OF(block);
    /* sizeof counts the zero byte that ends these texts in the standards, too. */
    static const char message[] = "WebPush: info", key[] = "Content-Encoding: aes128gcm",
                      nonce[] = "Content-Encoding: nonce";
    const porch_bytes salt_view = {salt, PORCH_WEBPUSH_SALT_BYTES};
    bool good =
        porch_write_bytes(&info, (porch_bytes){(const uint8_t *)message, sizeof message}) == PORCH_OK &&
        porch_write_bytes(&info, (porch_bytes){browser, PORCH_P256_PUBLIC_BYTES}) == PORCH_OK &&
        porch_write_bytes(&info, (porch_bytes){sender, PORCH_P256_PUBLIC_BYTES}) == PORCH_OK &&
        expand((porch_bytes){shared, PORCH_P256_SECRET_BYTES},
               (porch_bytes){auth, PORCH_WEBPUSH_AUTH_BYTES}, porch_buf_bytes(&info), ikm, sizeof ikm) &&
        expand((porch_bytes){ikm, sizeof ikm}, salt_view, (porch_bytes){(const uint8_t *)key, sizeof key},
               ret->key, sizeof ret->key) &&
        expand((porch_bytes){ikm, sizeof ikm}, salt_view,
               (porch_bytes){(const uint8_t *)nonce, sizeof nonce}, ret->nonce, sizeof ret->nonce);
    porch_wipe(ikm, sizeof ikm);
    return good;
}

/* Cipher text of plain and the end mark, and the tag, into `to`, which has room. */
static bool encrypt(const record_keys *keys, porch_bytes plain, uint8_t *to) {
    static const uint8_t end_mark = LAST_RECORD;
    int n = 0, m = 0, end = 0;
    uint8_t none[16];
    EVP_CIPHER_CTX *c = EVP_CIPHER_CTX_new();
    bool good = c != NULL && EVP_EncryptInit_ex(c, EVP_aes_128_gcm(), NULL, keys->key, keys->nonce) == 1 &&
                (plain.len == 0 || EVP_EncryptUpdate(c, to, &n, plain.at, (int)plain.len) == 1) &&
                EVP_EncryptUpdate(c, to + n, &m, &end_mark, 1) == 1 && (size_t)n == plain.len && m == 1 &&
                EVP_EncryptFinal_ex(c, none, &end) == 1 && end == 0 &&
                EVP_CIPHER_CTX_ctrl(c, EVP_CTRL_AEAD_GET_TAG, TAG_BYTES, to + plain.len + 1) == 1;
    EVP_CIPHER_CTX_free(c);
    return good;
}

static porch_err write_head(porch_buf *out, const uint8_t *salt, const uint8_t *sender) {
    PORCH_TRY(porch_write_bytes(out, (porch_bytes){salt, PORCH_WEBPUSH_SALT_BYTES}));
    PORCH_TRY(porch_write_u32(out, RECORD_BYTES));
    PORCH_TRY(porch_write_u8(out, PORCH_P256_PUBLIC_BYTES));
    return porch_write_bytes(out, (porch_bytes){sender, PORCH_P256_PUBLIC_BYTES});
}

static porch_err seal(EVP_PKEY *own, const uint8_t *sender, const uint8_t *browser_key, const uint8_t *auth,
                      porch_bytes plain, const uint8_t *salt, porch_buf *out, porch_why *why) {
    uint8_t shared[PORCH_P256_SECRET_BYTES];
    record_keys keys;
    porch_buf b = *out;
    porch_err e = PORCH_OK;
    EVP_PKEY *browser = porch_p256_key(browser_key, NULL);
    if (browser == NULL) {
        e = porch_openssl_fail(why, PORCH_ERR_MALFORMED, "the browser's key is no point of P-256");
        goto out;
    }
    e = write_head(&b, salt, sender);
    if (e != PORCH_OK) goto out;
    if (!porch_p256_shared(own, browser, shared) ||
        !derive(shared, browser_key, sender, auth, salt, &keys) || !encrypt(&keys, plain, b.at + b.len)) {
        e = porch_openssl_fail(why, PORCH_ERR_CRYPTO, "sealing a push message");
        goto out;
    }
    b.len += plain.len + 1 + TAG_BYTES;
    *out = b;
out:
    porch_wipe(shared, sizeof shared);
    porch_wipe(&keys, sizeof keys);
    EVP_PKEY_free(browser);
    return e;
}

static porch_err check_sizes(porch_bytes plain, const porch_buf *out, porch_why *why) {
    if (plain.len > PORCH_WEBPUSH_PLAIN_BYTES)
        return porch_fail(why, PORCH_ERR_LIMIT, "a push message holds at most %d bytes",
                          PORCH_WEBPUSH_PLAIN_BYTES);
    if (plain.len + PORCH_WEBPUSH_EXTRA_BYTES > out->cap - out->len)
        return porch_fail(why, PORCH_ERR_NO_SPACE, "the push message does not fit");
    return PORCH_OK;
}

porch_err porch_webpush_seal(const uint8_t browser_key[PORCH_WEBPUSH_PUBLIC_BYTES],
                             const uint8_t auth[PORCH_WEBPUSH_AUTH_BYTES], porch_bytes plain,
                             porch_buf *out, porch_why *why) {
    uint8_t salt[PORCH_WEBPUSH_SALT_BYTES], sender[PORCH_P256_PUBLIC_BYTES];
    porch_crypto_init();
    PORCH_TRY(check_sizes(plain, out, why));
    porch_random(salt, sizeof salt);
    EVP_PKEY *own = porch_p256_new(sender, NULL);
    porch_err e = own == NULL ? porch_openssl_fail(why, PORCH_ERR_CRYPTO, "making a key pair")
                              : seal(own, sender, browser_key, auth, plain, salt, out, why);
    EVP_PKEY_free(own);
    return e;
}

porch_err porch_webpush_seal_with(const uint8_t browser_key[PORCH_WEBPUSH_PUBLIC_BYTES],
                                  const uint8_t auth[PORCH_WEBPUSH_AUTH_BYTES], porch_bytes plain,
                                  const uint8_t salt[PORCH_WEBPUSH_SALT_BYTES],
                                  const uint8_t sender_secret[PORCH_WEBPUSH_SECRET_BYTES], porch_buf *out,
                                  porch_why *why) {
    uint8_t sender[PORCH_P256_PUBLIC_BYTES];
    porch_crypto_init();
    PORCH_TRY(check_sizes(plain, out, why));
    BIGNUM *number = BN_secure_new();
    EVP_PKEY *own = NULL;
    if (number != NULL && BN_bin2bn(sender_secret, PORCH_WEBPUSH_SECRET_BYTES, number) != NULL &&
        porch_p256_point(number, sender))
        own = porch_p256_key(sender, number);
    porch_err e = own == NULL ? porch_openssl_fail(why, PORCH_ERR_CRYPTO, "reading the sender's key")
                              : seal(own, sender, browser_key, auth, plain, salt, out, why);
    EVP_PKEY_free(own);
    BN_clear_free(number);
    return e;
}

/* ---- ES256 ---- */

/* OpenSSL's DER into the fixed form of RFC 7518, 3.4. */
static bool raw_of(porch_bytes der, uint8_t out[PORCH_WEBPUSH_ES256_BYTES]) {
    const unsigned char *at = der.at;
    ECDSA_SIG *sig = d2i_ECDSA_SIG(NULL, &at, (long)der.len);
    bool good = sig != NULL && BN_bn2binpad(ECDSA_SIG_get0_r(sig), out, 32) == 32 &&
                BN_bn2binpad(ECDSA_SIG_get0_s(sig), out + 32, 32) == 32;
    ECDSA_SIG_free(sig);
    return good;
}

porch_err porch_es256_sign(const porch_key *key, porch_bytes data, porch_buf *out, porch_why *why) {
    uint8_t der_block[PORCH_SIGNATURE_MAX_BYTES], raw[PORCH_WEBPUSH_ES256_BYTES];
    porch_buf der = PORCH_BUF_OF(der_block);
    PORCH_TRY(porch_key_sign(key, PORCH_SIGN_ECDSA_SHA256, data, &der, why));
    if (!raw_of(porch_buf_bytes(&der), raw))
        return porch_openssl_fail(why, PORCH_ERR_CRYPTO, "reading a signature");
    return porch_write_bytes(out, (porch_bytes){raw, sizeof raw});
}

porch_err porch_es256_verify(const uint8_t public_key[PORCH_WEBPUSH_PUBLIC_BYTES], porch_bytes data,
                             porch_bytes signature) {
    unsigned char *der = NULL;
    int der_len = -1;
    porch_crypto_init();
    if (signature.len != PORCH_WEBPUSH_ES256_BYTES) return PORCH_ERR_SIGNATURE;
    EVP_PKEY *key = porch_p256_key(public_key, NULL);
    EVP_MD_CTX *ctx = EVP_MD_CTX_new();
    ECDSA_SIG *sig = ECDSA_SIG_new();
    BIGNUM *r = BN_bin2bn(signature.at, 32, NULL), *s = BN_bin2bn(signature.at + 32, 32, NULL);
    if (sig != NULL && r != NULL && s != NULL && ECDSA_SIG_set0(sig, r, s) == 1) {
        r = s = NULL; /* the signature owns them */
        der_len = i2d_ECDSA_SIG(sig, &der);
    }
    bool good = key != NULL && ctx != NULL && der_len > 0 &&
                EVP_DigestVerifyInit(ctx, NULL, EVP_sha256(), NULL, key) == 1 &&
                EVP_DigestVerify(ctx, der, (size_t)der_len, data.at, data.len) == 1;
    OPENSSL_free(der);
    BN_free(r);
    BN_free(s);
    ECDSA_SIG_free(sig);
    EVP_MD_CTX_free(ctx);
    EVP_PKEY_free(key);
    if (!good) (void)porch_openssl_fail(NULL, PORCH_ERR_SIGNATURE, "verifying a signature");
    return good ? PORCH_OK : PORCH_ERR_SIGNATURE;
}

porch_err porch_es256_public(const porch_key *key, uint8_t out[PORCH_WEBPUSH_PUBLIC_BYTES],
                             porch_why *why) {
    porch_public_key spki;
    PORCH_TRY(porch_key_public(key, &spki, why));
    /* SubjectPublicKeyInfo ends with the point. */
    if (spki.kind != PORCH_KEY_P256 || spki.len < PORCH_WEBPUSH_PUBLIC_BYTES ||
        spki.der[spki.len - PORCH_WEBPUSH_PUBLIC_BYTES] != POINT_CONVERSION_UNCOMPRESSED)
        return porch_fail(why, PORCH_ERR_UNSUPPORTED, "only keys of P-256 sign ES256");
    memcpy(out, spki.der + spki.len - PORCH_WEBPUSH_PUBLIC_BYTES, PORCH_WEBPUSH_PUBLIC_BYTES);
    return PORCH_OK;
}
