/* TPM2_MakeCredential with the library's own primitives (TPM 2.0 Library, Part 1, 24 and annex B.10):
 *
 *   seed (random) ─ RSA-OAEP, label "IDENTITY" ─► seed for the TPM
 *   KDFa(seed, "STORAGE", name) ─► AES-128-CFB over the secret;  KDFa(seed, "INTEGRITY") ─► HMAC over that
 * and the attester's name
 *
 * KDFa is SP 800-108's counter mode with HMAC, which the library has as KBKDF. */
#include <string.h>

#include <openssl/core_names.h>
#include <openssl/err.h>
#include <openssl/evp.h>
#include <openssl/hmac.h>
#include <openssl/kdf.h>
#include <openssl/rsa.h>
#include <openssl/x509v3.h>

#include "base/cursor.h"
#include "crypto/attester.h"
#include "crypto/port/openssl/openssl.h"
#include "crypto/random.h"

enum {
    SEED_BYTES = 32,
    AES_BYTES = 16,
    HMAC_BYTES = 32,
    EK_BITS = 2048,
    SIZED = 2 + PORCH_CREDENTIAL_SECRET_BYTES,
    SECURITY_LEVEL = 2 /* the library's: 112 bits, so no SHA-1 and no RSA below 2,048 bits in a chain */
};

static bool kdfa(const uint8_t seed[SEED_BYTES], const char *label, porch_bytes context, uint8_t *out,
                 size_t bytes) {
    char mode[] = "COUNTER", mac[] = "HMAC", digest[] = "SHA256";
    OSSL_PARAM params[7], *p = params;
    *p++ = OSSL_PARAM_construct_utf8_string(OSSL_KDF_PARAM_MODE, mode, 0);
    *p++ = OSSL_PARAM_construct_utf8_string(OSSL_KDF_PARAM_MAC, mac, 0);
    *p++ = OSSL_PARAM_construct_utf8_string(OSSL_KDF_PARAM_DIGEST, digest, 0);
    *p++ = OSSL_PARAM_construct_octet_string(OSSL_KDF_PARAM_KEY, (void *)seed, SEED_BYTES);
    *p++ = OSSL_PARAM_construct_octet_string(OSSL_KDF_PARAM_SALT, (void *)label, strlen(label));
    if (context.len > 0)
        *p++ = OSSL_PARAM_construct_octet_string(OSSL_KDF_PARAM_INFO, (void *)context.at, context.len);
    *p = OSSL_PARAM_construct_end();
    EVP_KDF *kdf = EVP_KDF_fetch(NULL, "KBKDF", NULL);
    EVP_KDF_CTX *ctx = kdf != NULL ? EVP_KDF_CTX_new(kdf) : NULL;
    bool good = ctx != NULL && EVP_KDF_derive(ctx, out, bytes, params) == 1;
    EVP_KDF_CTX_free(ctx);
    EVP_KDF_free(kdf);
    return good;
}

static bool encrypt(const uint8_t key[AES_BYTES], const uint8_t in[SIZED], uint8_t out[SIZED]) {
    static const uint8_t zero[AES_BYTES];
    int len = 0, rest = 0;
    EVP_CIPHER_CTX *ctx = EVP_CIPHER_CTX_new();
    bool good = ctx != NULL && EVP_EncryptInit_ex(ctx, EVP_aes_128_cfb128(), NULL, key, zero) == 1 &&
                EVP_EncryptUpdate(ctx, out, &len, in, SIZED) == 1 &&
                EVP_EncryptFinal_ex(ctx, out + len, &rest) == 1 && len + rest == SIZED;
    EVP_CIPHER_CTX_free(ctx);
    return good;
}

/* RSA-OAEP with SHA-256; the label has its terminating zero (Part 1, B.4). */
static bool wrap_seed(EVP_PKEY *key, const uint8_t seed[SEED_BYTES], porch_buf *out) {
    static const char label[] = "IDENTITY";
    size_t len = out->cap - out->len;
    void *own = OPENSSL_memdup(label, sizeof label);
    EVP_PKEY_CTX *ctx = EVP_PKEY_CTX_new(key, NULL);
    bool good = ctx != NULL && own != NULL && EVP_PKEY_encrypt_init(ctx) == 1 &&
                EVP_PKEY_CTX_set_rsa_padding(ctx, RSA_PKCS1_OAEP_PADDING) == 1 &&
                EVP_PKEY_CTX_set_rsa_oaep_md(ctx, EVP_sha256()) == 1 &&
                EVP_PKEY_CTX_set_rsa_mgf1_md(ctx, EVP_sha256()) == 1;
    if (good && EVP_PKEY_CTX_set0_rsa_oaep_label(ctx, own, sizeof label) == 1)
        own = NULL; /* it is the context's now */
    good = good && own == NULL && EVP_PKEY_encrypt(ctx, out->at + out->len, &len, seed, SEED_BYTES) == 1;
    if (good) out->len += len;
    OPENSSL_free(own);
    EVP_PKEY_CTX_free(ctx);
    return good;
}

static bool seal_secret(const uint8_t seed[SEED_BYTES], const porch_attester *attester,
                        const uint8_t secret[PORCH_CREDENTIAL_SECRET_BYTES], porch_buf *out) {
    uint8_t aes[AES_BYTES], mac_key[HMAC_BYTES], plain[SIZED] = {0, PORCH_CREDENTIAL_SECRET_BYTES},
                                                 block[SIZED + PORCH_ATTESTER_NAME_BYTES], mac[HMAC_BYTES];
    const porch_bytes name = {attester->name, sizeof attester->name};
    unsigned mac_len = 0;
    memcpy(plain + 2, secret, PORCH_CREDENTIAL_SECRET_BYTES);
    memcpy(block + SIZED, name.at, name.len);
    bool good = kdfa(seed, "STORAGE", name, aes, sizeof aes) &&
                kdfa(seed, "INTEGRITY", (porch_bytes){NULL, 0}, mac_key, sizeof mac_key) &&
                encrypt(aes, plain, block) &&
                HMAC(EVP_sha256(), mac_key, sizeof mac_key, block, sizeof block, mac, &mac_len) != NULL &&
                mac_len == sizeof mac &&
                porch_write_block16(out, (porch_bytes){mac, sizeof mac}) == PORCH_OK &&
                porch_write_bytes(out, (porch_bytes){block, SIZED}) == PORCH_OK;
    porch_wipe(aes, sizeof aes);
    porch_wipe(mac_key, sizeof mac_key);
    porch_wipe(plain, sizeof plain);
    return good;
}

static X509 *parse(porch_bytes der) {
    const uint8_t *at = der.at;
    X509 *cert = d2i_X509(NULL, &at, (long)der.len);
    if (cert != NULL && at == der.at + der.len) return cert;
    X509_free(cert);
    ERR_clear_error();
    return NULL;
}

porch_err porch_tpm_credential(porch_bytes certificate_der, const porch_attester *attester,
                               const uint8_t secret[PORCH_CREDENTIAL_SECRET_BYTES], porch_buf *credential,
                               porch_buf *seed, porch_why *why) {
    uint8_t raw[SEED_BYTES];
    porch_crypto_init();
    X509 *cert = certificate_der.len <= PORCH_X509_INPUT_BYTES ? parse(certificate_der) : NULL;
    EVP_PKEY *key = cert != NULL ? X509_get0_pubkey(cert) : NULL;
    porch_buf c = *credential, s = *seed;
    porch_err e = PORCH_OK;
    porch_random(raw, sizeof raw);
    if (cert == NULL)
        e = porch_fail(why, PORCH_ERR_MALFORMED, "the endorsement certificate cannot be read");
    else if (key == NULL || EVP_PKEY_is_a(key, "RSA") != 1 || EVP_PKEY_get_bits(key) != EK_BITS)
        e = porch_fail(
            why, PORCH_ERR_UNSUPPORTED,
            "the endorsement key is not RSA with 2,048 bits; show the TPM's certificate of that key");
    else if (!wrap_seed(key, raw, &s) || !seal_secret(raw, attester, secret, &c))
        e = porch_openssl_fail(why, PORCH_ERR_CRYPTO, "making a credential");
    porch_wipe(raw, sizeof raw);
    X509_free(cert);
    if (e != PORCH_OK) return e;
    *credential = c;
    *seed = s;
    return PORCH_OK;
}

/* Every authority that was imported may be where a chain ends: an operator names whom he believes. */
static X509_STORE *store_of(STACK_OF(X509) * authorities) {
    X509_STORE *store = X509_STORE_new();
    bool good = store != NULL;
    for (int i = 0; good && i < sk_X509_num(authorities); i++)
        good = X509_STORE_add_cert(store, sk_X509_value(authorities, i)) == 1;
    if (good) good = X509_STORE_set_flags(store, X509_V_FLAG_PARTIAL_CHAIN) == 1;
    if (good) return store;
    X509_STORE_free(store);
    return NULL;
}

/* An authority may sign other things than TPMs: what speaks for an endorsement key says so
 * (tcg-kp-EKCertificate; TCG EK Credential Profile, 3.2.16), and that key encrypts. */
static bool is_endorsement(X509 *cert) {
    enum { OID_BYTES = 32 };
    char oid[OID_BYTES];
    EXTENDED_KEY_USAGE *uses = X509_get_ext_d2i(cert, NID_ext_key_usage, NULL, NULL);
    bool says = false;
    for (int i = 0; i < sk_ASN1_OBJECT_num(uses) && !says; i++)
        says = OBJ_obj2txt(oid, sizeof oid, sk_ASN1_OBJECT_value(uses, i), 1) > 0 &&
               strcmp(oid, "2.23.133.8.1") == 0;
    EXTENDED_KEY_USAGE_free(uses);
    return says && (X509_get_key_usage(cert) & X509v3_KU_KEY_ENCIPHERMENT) != 0;
}

/* Makers one by one: what one of them names, and how many authorities it has, is no other's business. */
static porch_err vouches(X509 *cert, porch_bytes maker_pem, uint64_t now_ms, porch_why *why) {
    STACK_OF(X509) *authorities = NULL;
    PORCH_TRY(porch_openssl_read_chain(maker_pem, &authorities, why));
    X509_STORE *store = store_of(authorities);
    X509_STORE_CTX *ctx = X509_STORE_CTX_new();
    porch_err e = PORCH_OK;
    if (store == NULL || ctx == NULL || X509_STORE_CTX_init(ctx, store, cert, NULL) != 1) {
        e = porch_openssl_fail(why, PORCH_ERR_CRYPTO, "checking an endorsement certificate");
    } else {
        X509_VERIFY_PARAM_set_auth_level(X509_STORE_CTX_get0_param(ctx), SECURITY_LEVEL);
        X509_STORE_CTX_set_time(ctx, 0, (time_t)(now_ms / 1000));
        if (X509_verify_cert(ctx) != 1) {
            int error = X509_STORE_CTX_get_error(ctx);
            bool time = error == X509_V_ERR_CERT_HAS_EXPIRED || error == X509_V_ERR_CERT_NOT_YET_VALID;
            e = porch_fail(why, time ? PORCH_ERR_EXPIRED : PORCH_ERR_AUTH,
                           "no TPM maker that was imported here (tpm-ca add) vouches for this TPM: %s",
                           X509_verify_cert_error_string(error));
        }
    }
    X509_STORE_CTX_free(ctx);
    X509_STORE_free(store);
    sk_X509_pop_free(authorities, X509_free);
    return e;
}

/* One suffices. If none does, what is not merely a stranger's word is told: "expired", or a fault here. */
static porch_err any_vouches(X509 *cert, const porch_bytes *makers_pem, size_t count, uint64_t now_ms,
                             porch_why *why) {
    porch_err e = porch_fail(why, PORCH_ERR_AUTH, "this hub believes no maker of TPMs yet (tpm-ca add)");
    for (size_t i = 0; i < count && e != PORCH_OK; i++) {
        porch_why own = {""};
        porch_err one = vouches(cert, makers_pem[i], now_ms, &own);
        if (one != PORCH_OK && e != PORCH_ERR_AUTH) continue;
        e = one;
        if (one != PORCH_OK) (void)porch_fail(why, one, "%s", porch_why_text(&own, one));
    }
    return e;
}

porch_err porch_tpm_vouched(porch_bytes certificate_der, const porch_bytes *makers_pem, size_t count,
                            uint64_t now_ms, porch_why *why) {
    porch_crypto_init();
    X509 *cert = certificate_der.len <= PORCH_X509_INPUT_BYTES ? parse(certificate_der) : NULL;
    porch_err e = PORCH_OK;
    if (cert == NULL)
        e = porch_fail(why, PORCH_ERR_MALFORMED, "the endorsement certificate cannot be read");
    else if (X509_check_ca(cert) != 0)
        e = porch_fail(why, PORCH_ERR_AUTH, "the endorsement certificate is an authority's");
    else if (!is_endorsement(cert))
        e = porch_fail(
            why, PORCH_ERR_AUTH,
            "the certificate is not one of a TPM's endorsement key (its extended key usage does not "
            "say 2.23.133.8.1, or its key does not encrypt)");
    else if (porch_x509_check_keys(certificate_der, why) != PORCH_OK)
        e = PORCH_ERR_UNSUPPORTED;
    else
        e = any_vouches(cert, makers_pem, count, now_ms, why);
    X509_free(cert);
    ERR_clear_error();
    return e;
}
