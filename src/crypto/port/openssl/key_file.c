#include "crypto/keystore.h"

#include <stdlib.h>
#include <string.h>

#include <openssl/core_names.h>
#include <openssl/ec.h>
#include <openssl/pem.h>
#include <openssl/pkcs12.h>

#include "base/cursor.h"
#include "crypto/aead.h"
#include "crypto/hkdf.h"
#include "crypto/port/openssl/openssl.h"
#include "crypto/random.h"

porch_key_kind porch_openssl_kind(const EVP_PKEY *pkey) {
    if (EVP_PKEY_is_a(pkey, "ED25519")) return PORCH_KEY_ED25519;
    if (EVP_PKEY_is_a(pkey, "RSA"))
        return EVP_PKEY_get_bits(pkey) >= 2048 ? PORCH_KEY_RSA : (porch_key_kind)0;
    if (!EVP_PKEY_is_a(pkey, "EC")) return (porch_key_kind)0;
    char group[32];
    size_t len = 0;
    if (EVP_PKEY_get_group_name(pkey, group, sizeof group, &len) != 1) return (porch_key_kind)0;
    if (strcmp(group, "prime256v1") == 0) return PORCH_KEY_P256;
    if (strcmp(group, "secp384r1") == 0) return PORCH_KEY_P384;
    return (porch_key_kind)0;
}

static const EVP_MD *scheme_digest(porch_sign_scheme scheme) {
    switch (scheme) {
    case PORCH_SIGN_ECDSA_SHA256:
        return EVP_sha256();
    case PORCH_SIGN_ECDSA_SHA384:
        return EVP_sha384();
    case PORCH_SIGN_ED25519:
        break;
    }
    return NULL; /* Ed25519 hashes inside */
}

static porch_err file_sign(void *self, porch_sign_scheme scheme, porch_bytes data, porch_buf *signature,
                           porch_why *why) {
    EVP_MD_CTX *ctx = EVP_MD_CTX_new();
    uint8_t made[PORCH_SIGNATURE_MAX_BYTES];
    size_t len = sizeof made;
    porch_err e = PORCH_OK;
    if (ctx == NULL || EVP_DigestSignInit(ctx, NULL, scheme_digest(scheme), NULL, self) != 1 ||
        EVP_DigestSign(ctx, made, &len, data.at, data.len) != 1) {
        e = porch_openssl_fail(why, PORCH_ERR_CRYPTO, "signing");
    } else if (len > signature->cap - signature->len) {
        e = porch_fail(why, PORCH_ERR_NO_SPACE, "the signature does not fit");
    } else {
        memcpy(signature->at + signature->len, made, len);
        signature->len += len;
    }
    EVP_MD_CTX_free(ctx);
    return e;
}

static porch_err file_public(void *self, porch_public_key *ret, porch_why *why) {
    porch_public_key made = {.kind = porch_openssl_kind(self)};
    int len = i2d_PUBKEY(self, NULL);
    if (made.kind == PORCH_KEY_RSA || len <= 0 || (size_t)len > sizeof made.der)
        return porch_fail(why, PORCH_ERR_UNSUPPORTED,
                          "only P-256, P-384 and Ed25519 keys are held as public keys");
    uint8_t *to = made.der;
    made.len = (size_t)i2d_PUBKEY(self, &to);
    *ret = made;
    return PORCH_OK;
}

/* ---- sealing: AES-256-GCM under a key derived from the private key ------------------------------ */

enum { SEALED_VERSION = 1 };

static porch_err sealing_key(EVP_PKEY *pkey, uint8_t key[PORCH_AEAD_KEY_BYTES], porch_why *why) {
    uint8_t *der = NULL;
    int len = i2d_PrivateKey(pkey, &der);
    if (len <= 0) return porch_openssl_fail(why, PORCH_ERR_CRYPTO, "deriving a sealing key");
    porch_err e =
        porch_hkdf_sha256((porch_bytes){der, (size_t)len}, (porch_bytes){NULL, 0},
                          PORCH_LIT("porchlight file key store seal 1"), key, PORCH_AEAD_KEY_BYTES);
    OPENSSL_clear_free(der, (size_t)len);
    return e;
}

static porch_err file_seal(void *self, porch_bytes secret, porch_buf *sealed, porch_why *why) {
    uint8_t key[PORCH_AEAD_KEY_BYTES], nonce[PORCH_AEAD_NONCE_BYTES];
    porch_buf out = *sealed;
    PORCH_TRY(sealing_key(self, key, why));
    porch_random(nonce, sizeof nonce);
    porch_err e = porch_write_u8(&out, SEALED_VERSION);
    if (e == PORCH_OK) e = porch_write_bytes(&out, (porch_bytes){nonce, sizeof nonce});
    if (e == PORCH_OK) e = porch_aead_seal(key, nonce, (porch_bytes){NULL, 0}, secret, &out);
    porch_wipe(key, sizeof key);
    if (e != PORCH_OK) return porch_fail(why, e, "the sealed secret does not fit");
    *sealed = out;
    return PORCH_OK;
}

static porch_err file_unseal(void *self, porch_bytes sealed, porch_buf *secret, porch_why *why) {
    uint8_t key[PORCH_AEAD_KEY_BYTES], version = 0;
    porch_bytes nonce = {0};
    porch_reader r = porch_reader_of(sealed);
    porch_err e = porch_read_u8(&r, &version);
    if (e == PORCH_OK) e = porch_read_bytes(&r, PORCH_AEAD_NONCE_BYTES, &nonce);
    if (e != PORCH_OK || version != SEALED_VERSION)
        return porch_fail(why, PORCH_ERR_MALFORMED, "the sealed secret was changed or cut");
    PORCH_TRY(sealing_key(self, key, why));
    e = porch_aead_open(key, nonce.at, (porch_bytes){NULL, 0}, r.rest, secret);
    porch_wipe(key, sizeof key);
    return e == PORCH_OK ? e
                         : porch_fail(why, PORCH_ERR_AUTH, "this key did not seal it, or it was changed");
}

static void file_free(porch_key *key) {
    EVP_PKEY_free(key->self); /* wipes the private part */
    free(key);
}

static const porch_key_ops file_ops = {
    .name = "file",
    .sign = file_sign,
    .public_key = file_public,
    .seal = file_seal,
    .unseal = file_unseal,
    .free = file_free,
};

EVP_PKEY *porch_openssl_pkey(const porch_key *key) {
    if (key->ops != &file_ops) return porch_openssl_foreign(key);
    return EVP_PKEY_up_ref(key->self) == 1 ? key->self : NULL;
}

/* Takes `pkey` over, also on failure. */
static porch_err wrap(EVP_PKEY *pkey, porch_key **ret, porch_why *why) {
    porch_key_kind kind = porch_openssl_kind(pkey);
    porch_key *key = kind != (porch_key_kind)0 ? malloc(sizeof *key) : NULL;
    if (key == NULL) {
        EVP_PKEY_free(pkey);
        if (kind != (porch_key_kind)0) return porch_fail(why, PORCH_ERR_NO_SPACE, "no memory for a key");
        return porch_fail(why, PORCH_ERR_UNSUPPORTED,
                          "the key is not P-256, P-384, Ed25519 or RSA of 2048 bits and up");
    }
    *key = (porch_key){.ops = &file_ops, .self = pkey, .kind = kind};
    *ret = key;
    return PORCH_OK;
}

porch_err porch_key_generate_p256(porch_key **ret, porch_why *why) {
    porch_crypto_init();
    EVP_PKEY *pkey = EVP_EC_gen("P-256");
    if (pkey == NULL) return porch_openssl_fail(why, PORCH_ERR_CRYPTO, "making a P-256 key");
    return wrap(pkey, ret, why);
}

porch_err porch_key_load_pem(porch_bytes pem, porch_key **ret, porch_why *why) {
    porch_crypto_init();
    BIO *in = porch_openssl_view(pem);
    if (in == NULL)
        return porch_fail(why, PORCH_ERR_LIMIT, "a key file has at most %d bytes", PORCH_X509_INPUT_BYTES);
    EVP_PKEY *pkey = PEM_read_bio_PrivateKey(in, NULL, porch_openssl_no_passphrase, NULL);
    BIO_free(in);
    if (pkey == NULL)
        return porch_openssl_fail(why, PORCH_ERR_MALFORMED, "reading a private key in PEM (no passphrase)");
    return wrap(pkey, ret, why);
}

porch_err porch_key_pem(const porch_key *key, porch_buf *out, porch_why *why) {
    EVP_PKEY *pkey = key->ops == &file_ops ? key->self : NULL;
    if (pkey == NULL || key->kind == PORCH_KEY_RSA)
        return porch_fail(why, PORCH_ERR_UNSUPPORTED, "this key does not leave the %s store",
                          key->ops->name);
    BIO *memory = BIO_new(BIO_s_secmem());
    porch_err e = PORCH_OK;
    if (memory == NULL || PEM_write_bio_PKCS8PrivateKey(memory, pkey, NULL, NULL, 0, NULL, NULL) != 1)
        e = porch_openssl_fail(why, PORCH_ERR_CRYPTO, "writing a key");
    if (e == PORCH_OK) e = porch_openssl_drain(memory, out, why);
    BIO_free(memory); /* wipes */
    return e;
}

/* ---- under a passphrase ---- */

enum { SCRYPT_N = 1 << 14, SCRYPT_R = 8, SCRYPT_P = 5, PASSPHRASE_MOST = 1024 };

porch_err porch_key_locked_pem(const porch_key *key, porch_bytes passphrase, porch_buf *out,
                               porch_why *why) {
    EVP_PKEY *pkey = key->ops == &file_ops ? key->self : NULL;
    if (pkey == NULL || key->kind == PORCH_KEY_RSA)
        return porch_fail(why, PORCH_ERR_UNSUPPORTED, "this key does not leave the %s store",
                          key->ops->name);
    if (passphrase.len == 0 || passphrase.len > PASSPHRASE_MOST)
        return porch_fail(why, PORCH_ERR_LIMIT, "a passphrase has 1 to %d bytes", PASSPHRASE_MOST);
    PKCS8_PRIV_KEY_INFO *plain = EVP_PKEY2PKCS8(pkey);
    X509_ALGOR *how = PKCS5_pbe2_set_scrypt(EVP_aes_256_cbc(), NULL, 0, NULL, SCRYPT_N, SCRYPT_R, SCRYPT_P);
    X509_SIG *locked = NULL;
    BIO *memory = BIO_new(BIO_s_mem());
    porch_err e = PORCH_OK;
    if (plain != NULL && how != NULL)
        locked = PKCS8_set0_pbe((const char *)passphrase.at, (int)passphrase.len, plain, how);
    if (locked == NULL) X509_ALGOR_free(how); /* else it belongs to `locked` */
    if (locked == NULL || memory == NULL || PEM_write_bio_PKCS8(memory, locked) != 1)
        e = porch_openssl_fail(why, PORCH_ERR_CRYPTO, "locking a key");
    if (e == PORCH_OK) e = porch_openssl_drain(memory, out, why);
    PKCS8_PRIV_KEY_INFO_free(plain);
    X509_SIG_free(locked);
    BIO_free(memory);
    return e;
}

porch_err porch_key_load_locked_pem(porch_bytes pem, porch_bytes passphrase, porch_key **ret,
                                    porch_why *why) {
    porch_crypto_init();
    BIO *in = porch_openssl_view(pem);
    if (in == NULL || passphrase.len > PASSPHRASE_MOST) {
        BIO_free(in);
        return porch_fail(why, PORCH_ERR_LIMIT, "the key file or the passphrase is too long");
    }
    X509_SIG *locked = PEM_read_bio_PKCS8(in, NULL, porch_openssl_no_passphrase, NULL);
    BIO_free(in);
    if (locked == NULL) return porch_openssl_fail(why, PORCH_ERR_MALFORMED, "reading a locked private key");
    PKCS8_PRIV_KEY_INFO *plain =
        passphrase.len > 0 ? PKCS8_decrypt(locked, (const char *)passphrase.at, (int)passphrase.len) : NULL;
    X509_SIG_free(locked);
    if (plain == NULL) {
        (void)porch_openssl_fail(NULL, PORCH_ERR_AUTH, "unlocking a key");
        return porch_fail(why, PORCH_ERR_AUTH, "the passphrase does not open the key");
    }
    EVP_PKEY *pkey = EVP_PKCS82PKEY(plain);
    PKCS8_PRIV_KEY_INFO_free(plain);
    if (pkey == NULL) return porch_openssl_fail(why, PORCH_ERR_MALFORMED, "reading a private key");
    return wrap(pkey, ret, why);
}

EVP_PKEY *porch_openssl_public(const porch_public_key *key) {
    const uint8_t *at = key->der;
    EVP_PKEY *pkey = d2i_PUBKEY(NULL, &at, (long)key->len);
    if (pkey != NULL && (at != key->der + key->len || porch_openssl_kind(pkey) != key->kind)) {
        EVP_PKEY_free(pkey);
        return NULL;
    }
    return pkey;
}

porch_err porch_key_verify(const porch_public_key *key, porch_sign_scheme scheme, porch_bytes data,
                           porch_bytes signature) {
    porch_crypto_init();
    if (scheme == (porch_sign_scheme)0 || scheme != porch_key_scheme(key->kind))
        return PORCH_ERR_UNSUPPORTED;
    EVP_PKEY *pkey = porch_openssl_public(key);
    EVP_MD_CTX *ctx = EVP_MD_CTX_new();
    bool good = pkey != NULL && ctx != NULL &&
                EVP_DigestVerifyInit(ctx, NULL, scheme_digest(scheme), NULL, pkey) == 1 &&
                EVP_DigestVerify(ctx, signature.at, signature.len, data.at, data.len) == 1;
    EVP_MD_CTX_free(ctx);
    EVP_PKEY_free(pkey);
    (void)porch_openssl_fail(NULL, PORCH_OK, "verifying");
    return good ? PORCH_OK : PORCH_ERR_SIGNATURE;
}
