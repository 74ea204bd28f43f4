#include "crypto/verify.h"

#include <openssl/core_names.h>
#include <openssl/pem.h>
#include <openssl/rsa.h>

#include "crypto/port/openssl/openssl.h"
#include "crypto/random.h"
#include "crypto/sha256.h"
#include "crypto/sha512.h"

enum {
    ED25519_BYTES = 32,
    P256_POINT_BYTES = 65,
    RSA_BITS_LEAST = 2048,
    RSA_BITS_MOST = 4096,
    KEY_TEXT_MOST = 2048
};

static EVP_PKEY *from_pem(porch_bytes pem) {
    BIO *in = porch_openssl_view(pem);
    if (in == NULL) return NULL;
    EVP_PKEY *key = PEM_read_bio_PUBKEY(in, NULL, porch_openssl_no_passphrase, NULL);
    BIO_free(in);
    return key;
}

static EVP_PKEY *from_point(porch_bytes point) {
    EVP_PKEY *key = NULL;
    char group[] = "P-256";
    const OSSL_PARAM params[] = {
        OSSL_PARAM_construct_utf8_string(OSSL_PKEY_PARAM_GROUP_NAME, group, sizeof group - 1),
        OSSL_PARAM_construct_octet_string(OSSL_PKEY_PARAM_PUB_KEY, (void *)point.at, point.len),
        OSSL_PARAM_construct_end()};
    EVP_PKEY_CTX *ctx = EVP_PKEY_CTX_new_from_name(NULL, "EC", NULL);
    if (ctx == NULL || EVP_PKEY_fromdata_init(ctx) != 1 ||
        EVP_PKEY_fromdata(ctx, &key, EVP_PKEY_PUBLIC_KEY, (OSSL_PARAM *)params) != 1)
        key = NULL;
    EVP_PKEY_CTX_free(ctx);
    return key;
}

static EVP_PKEY *read_key(porch_verify_scheme scheme, porch_bytes text) {
    if (text.len > KEY_TEXT_MOST) return NULL;
    if (porch_bytes_starts(text, PORCH_LIT("-----BEGIN"))) return from_pem(text);
    if (scheme == PORCH_VERIFY_ED25519 && text.len == ED25519_BYTES)
        return EVP_PKEY_new_raw_public_key(EVP_PKEY_ED25519, NULL, text.at, text.len);
    if (scheme == PORCH_VERIFY_ECDSA_P256 && text.len == P256_POINT_BYTES) return from_point(text);
    return NULL;
}

static bool fits(porch_verify_scheme scheme, const EVP_PKEY *key) {
    switch (scheme) {
    case PORCH_VERIFY_ED25519:
        return EVP_PKEY_is_a(key, "ED25519") == 1;
    case PORCH_VERIFY_ECDSA_P256:
        return porch_openssl_kind(key) == PORCH_KEY_P256;
    case PORCH_VERIFY_RSA_PSS_SHA256:
        return EVP_PKEY_is_a(key, "RSA") == 1 && EVP_PKEY_get_bits(key) >= RSA_BITS_LEAST &&
               EVP_PKEY_get_bits(key) <= RSA_BITS_MOST;
    }
    return false;
}

static bool judge(porch_verify_scheme scheme, EVP_PKEY *key, porch_bytes message, porch_bytes signature) {
    EVP_MD_CTX *ctx = EVP_MD_CTX_new();
    EVP_PKEY_CTX *inner = NULL;
    const EVP_MD *digest = scheme == PORCH_VERIFY_ED25519 ? NULL : EVP_sha256();
    bool good = ctx != NULL && EVP_DigestVerifyInit(ctx, &inner, digest, NULL, key) == 1;
    if (good && scheme == PORCH_VERIFY_RSA_PSS_SHA256)
        good = EVP_PKEY_CTX_set_rsa_padding(inner, RSA_PKCS1_PSS_PADDING) == 1 &&
               EVP_PKEY_CTX_set_rsa_mgf1_md(inner, EVP_sha256()) == 1 &&
               EVP_PKEY_CTX_set_rsa_pss_saltlen(inner, RSA_PSS_SALTLEN_AUTO) == 1;
    good = good && EVP_DigestVerify(ctx, signature.at, signature.len, message.at, message.len) == 1;
    EVP_MD_CTX_free(ctx);
    return good;
}

static bool name_key(const EVP_PKEY *key, uint8_t fingerprint[PORCH_VERIFY_FINGERPRINT_BYTES]) {
    uint8_t *der = NULL;
    int len = i2d_PUBKEY(key, &der);
    if (len <= 0) return false;
    porch_sha256((porch_bytes){der, (size_t)len}, fingerprint);
    OPENSSL_free(der);
    return true;
}

static porch_err verify(porch_verify_scheme scheme, porch_bytes text, porch_bytes message,
                        porch_bytes signature, uint8_t fingerprint[PORCH_VERIFY_FINGERPRINT_BYTES]) {
    porch_crypto_init();
    EVP_PKEY *key = read_key(scheme, text);
    porch_err e = PORCH_ERR_UNSUPPORTED;
    if (key != NULL && fits(scheme, key))
        e = signature.len > 0 && judge(scheme, key, message, signature) && name_key(key, fingerprint)
                ? PORCH_OK
                : PORCH_ERR_SIGNATURE;
    EVP_PKEY_free(key);
    if (e != PORCH_OK) (void)porch_openssl_fail(NULL, e, "checking a signature");
    return e;
}

const porch_verify_ops *porch_verify_library(void) {
    static const porch_verify_ops ops = {verify, porch_sha256, porch_sha512};
    return &ops;
}
