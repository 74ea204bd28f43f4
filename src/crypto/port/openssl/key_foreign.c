/* A key of another store in the library's clothes, so that TLS, certificate requests and CMS can use it:
 *
 *   SSL, X509_REQ, CMS ─► EVP_PKEY ─► EC_KEY ─► our sign function ─► porch_key_sign_digest ─► TPM, token
 *
 * EC_KEY_METHOD is deprecated since OpenSSL 3.0 in favour of providers. A provider for one function would
 * be a few thousand lines of plumbing, and the ready one for TPMs needs a resource manager on D-Bus; this
 * is one function and works for all versions of 3.x. This file alone may use it, hence: */
#undef OPENSSL_NO_DEPRECATED
#undef OPENSSL_API_COMPAT
#define OPENSSL_API_COMPAT 0x10100000L
#pragma GCC diagnostic ignored "-Wdeprecated-declarations"

#include <pthread.h>

#include <openssl/ec.h>
#include <openssl/evp.h>

#include "crypto/p256_der.h"
#include "crypto/port/openssl/openssl.h"
#include "crypto/random.h"

static pthread_once_t once = PTHREAD_ONCE_INIT;
static EC_KEY_METHOD *method;
static int slot = -1; /* of an EC_KEY's extra data: the porch_key behind it */

static ECDSA_SIG *sign_digest(const unsigned char *digest, int len, const BIGNUM *kinv, const BIGNUM *r,
                              EC_KEY *ec) {
    const porch_key *key = EC_KEY_get_ex_data(ec, slot);
    uint8_t block[PORCH_SIGNATURE_MAX_BYTES];
    porch_buf der = PORCH_BUF_OF(block);
    (void)kinv;
    (void)r;
    if (key == NULL || len < 0 ||
        porch_key_sign_digest(key, (porch_bytes){digest, (size_t)len}, &der, NULL) != PORCH_OK)
        return NULL;
    const uint8_t *at = block;
    return d2i_ECDSA_SIG(NULL, &at, (long)der.len);
}

static void forget(void *parent, void *key, CRYPTO_EX_DATA *data, int index, long arg, void *ctx) {
    (void)parent;
    (void)data;
    (void)index;
    (void)arg;
    (void)ctx;
    porch_key_free(key); /* NULL is fine */
}

static void prepare(void) {
    int (*sign)(int, const unsigned char *, int, unsigned char *, unsigned int *, const BIGNUM *,
                const BIGNUM *, EC_KEY *) = NULL;
    int (*setup)(EC_KEY *, BN_CTX *, BIGNUM **, BIGNUM **) = NULL;
    porch_crypto_init();
    EC_KEY_METHOD *made = EC_KEY_METHOD_new(EC_KEY_OpenSSL());
    slot = EC_KEY_get_ex_new_index(0, NULL, NULL, NULL, forget);
    if (made == NULL || slot < 0) porch_openssl_abort("preparing keys of other stores");
    EC_KEY_METHOD_get_sign(made, &sign, &setup, NULL);
    EC_KEY_METHOD_set_sign(made, sign, setup, sign_digest);
    method = made;
}

EVP_PKEY *porch_openssl_foreign(const porch_key *key) {
    porch_public_key own;
    if (key->kind != PORCH_KEY_P256 || key->ops->sign_digest == NULL ||
        porch_key_public(key, &own, NULL) != PORCH_OK || own.kind != PORCH_KEY_P256 ||
        own.len < PORCH_P256_POINT_BYTES)
        return NULL;
    (void)pthread_once(&once, prepare);
    EC_KEY *ec = EC_KEY_new_by_curve_name(NID_X9_62_prime256v1);
    EVP_PKEY *pkey = EVP_PKEY_new();
    bool good =
        ec != NULL && pkey != NULL &&
        EC_KEY_oct2key(ec, own.der + own.len - PORCH_P256_POINT_BYTES, PORCH_P256_POINT_BYTES, NULL) == 1 &&
        EC_KEY_check_key(ec) == 1 && EC_KEY_set_method(ec, method) == 1;
    if (good) {
        porch_key *held = porch_key_ref((porch_key *)key); /* the count alone is written */
        good = EC_KEY_set_ex_data(ec, slot, held) == 1;
        if (!good) porch_key_free(held);
    }
    good = good && EVP_PKEY_assign_EC_KEY(pkey, ec) == 1;
    if (good) return pkey;
    (void)porch_openssl_fail(NULL, PORCH_ERR_CRYPTO, "wrapping a key of another store");
    EC_KEY_free(ec);
    EVP_PKEY_free(pkey);
    return NULL;
}
