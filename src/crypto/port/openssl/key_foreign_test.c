/* A store of this test's own, whose keys only sign digests, used by what knows nothing of stores. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include <openssl/cms.h>
#include <openssl/ecdsa.h>
#include <openssl/err.h>
#include <openssl/pem.h>

#include "crypto/port/openssl/openssl.h"
#include "crypto/x509.h"

typedef struct {
    porch_key key;
    porch_key *real; /* a file key: what a TPM would hold */
    unsigned signatures, frees;
    bool broken;
} safe;

static porch_err safe_sign(void *self, porch_bytes digest, porch_buf *signature, porch_why *why) {
    safe *s = self;
    size_t len = PORCH_SIGNATURE_MAX_BYTES;
    uint8_t made[PORCH_SIGNATURE_MAX_BYTES];
    if (s->broken) return porch_fail(why, PORCH_ERR_IO, "pulled out");
    s->signatures++;
    EVP_PKEY *pkey = porch_openssl_pkey(s->real);
    EVP_PKEY_CTX *ctx = EVP_PKEY_CTX_new(pkey, NULL);
    assert_int_equal(EVP_PKEY_sign_init(ctx), 1);
    assert_int_equal(EVP_PKEY_sign(ctx, made, &len, digest.at, digest.len), 1);
    EVP_PKEY_CTX_free(ctx);
    EVP_PKEY_free(pkey);
    memcpy(signature->at, made, len);
    signature->len = len;
    return PORCH_OK;
}

static porch_err safe_public(void *self, porch_public_key *ret, porch_why *why) {
    return porch_key_public(((safe *)self)->real, ret, why);
}

static void safe_free(porch_key *key) {
    ((safe *)key->self)->frees++;
}

static const porch_key_ops safe_ops = {
    .name = "safe", .sign_digest = safe_sign, .public_key = safe_public, .free = safe_free};

static safe the_safe;
static uint8_t cert_block[PORCH_X509_PEM_BYTES];
static porch_buf cert;

static int make_safe(void **state) {
    (void)state;
    porch_why why = {""};
    the_safe = (safe){.signatures = 0};
    the_safe.key = (porch_key){.ops = &safe_ops, .self = &the_safe, .kind = PORCH_KEY_P256};
    cert = (porch_buf)PORCH_BUF_OF(cert_block);
    if (porch_key_generate_p256(&the_safe.real, &why) != PORCH_OK) return -1;
    /* Self-signed: the store's key signs its own certificate. */
    if (porch_ca_make_root("safe", &the_safe.key, 1700000000000u, 20, &cert, &why) != PORCH_OK) return -1;
    return 0;
}

static int drop_safe(void **state) {
    (void)state;
    porch_key_free(the_safe.real);
    return 0;
}

static X509 *read_cert(void) {
    BIO *in = BIO_new_mem_buf(cert.at, (int)cert.len);
    X509 *made = PEM_read_bio_X509(in, NULL, NULL, NULL);
    BIO_free(in);
    assert_non_null(made);
    return made;
}

static void the_library_signs_through_the_store_and_never_has_the_key(void **state) {
    (void)state;
    X509 *x = read_cert();
    EVP_PKEY *pkey = porch_openssl_pkey(&the_safe.key);
    uint8_t signature[PORCH_SIGNATURE_MAX_BYTES];
    size_t len = sizeof signature;
    unsigned before = the_safe.signatures;
    assert_non_null(pkey);
    assert_int_equal(X509_check_private_key(x, pkey), 1);
    EVP_MD_CTX *ctx = EVP_MD_CTX_new();
    assert_int_equal(EVP_DigestSignInit(ctx, NULL, EVP_sha256(), NULL, pkey), 1);
    assert_int_equal(EVP_DigestSign(ctx, signature, &len, (const uint8_t *)"words", 5), 1);
    assert_int_equal(the_safe.signatures, before + 1);
    EVP_MD_CTX_free(ctx);
    porch_public_key own;
    assert_int_equal(porch_key_public(&the_safe.key, &own, NULL), PORCH_OK);
    assert_int_equal(
        porch_key_verify(&own, PORCH_SIGN_ECDSA_SHA256, PORCH_LIT("words"), (porch_bytes){signature, len}),
        PORCH_OK);
    assert_true(i2d_PrivateKey(pkey, NULL) <= 0); /* there is none to be had */
    ERR_clear_error();
    EVP_PKEY_free(pkey);
    X509_free(x);
}

static void a_cms_signature_by_a_stored_key_is_verified_by_its_certificate(void **state) {
    (void)state;
    X509 *x = read_cert();
    EVP_PKEY *pkey = porch_openssl_pkey(&the_safe.key);
    BIO *data = BIO_new_mem_buf("an update", 9), *out = BIO_new(BIO_s_mem());
    unsigned before = the_safe.signatures;
    CMS_ContentInfo *cms = CMS_sign(x, pkey, NULL, data, CMS_BINARY);
    assert_non_null(cms);
    assert_int_equal(the_safe.signatures, before + 1);
    STACK_OF(X509) *signers = sk_X509_new_null();
    (void)sk_X509_push(signers, x);
    assert_int_equal(CMS_verify(cms, signers, NULL, NULL, out, CMS_BINARY | CMS_NO_SIGNER_CERT_VERIFY), 1);
    sk_X509_free(signers);
    CMS_ContentInfo_free(cms);
    BIO_free(data);
    BIO_free(out);
    EVP_PKEY_free(pkey);
    X509_free(x);
}

static void a_request_by_a_stored_key_proves_possession(void **state) {
    (void)state;
    uint8_t block[PORCH_X509_PEM_BYTES];
    porch_buf csr = PORCH_BUF_OF(block);
    porch_public_key own, asked;
    assert_int_equal(porch_csr_make(&the_safe.key, &csr, NULL), PORCH_OK);
    assert_int_equal(porch_csr_read(porch_buf_bytes(&csr), &asked, NULL), PORCH_OK);
    assert_int_equal(porch_key_public(&the_safe.key, &own, NULL), PORCH_OK);
    assert_memory_equal(asked.der, own.der, own.len);
}

static void the_key_lives_as_long_as_the_library_holds_it(void **state) {
    (void)state;
    unsigned before = the_safe.frees;
    EVP_PKEY *pkey = porch_openssl_pkey(&the_safe.key);
    porch_key_free(&the_safe.key); /* the first owner goes */
    assert_int_equal(the_safe.frees, before);
    EVP_PKEY_free(pkey);
    assert_int_equal(the_safe.frees, before + 1);
    the_safe.key.more_owners = 0;
}

static void a_store_that_fails_fails_the_signature(void **state) {
    (void)state;
    EVP_PKEY *pkey = porch_openssl_pkey(&the_safe.key);
    uint8_t signature[PORCH_SIGNATURE_MAX_BYTES];
    size_t len = sizeof signature;
    EVP_MD_CTX *ctx = EVP_MD_CTX_new();
    the_safe.broken = true;
    assert_int_equal(EVP_DigestSignInit(ctx, NULL, EVP_sha256(), NULL, pkey), 1);
    assert_int_not_equal(EVP_DigestSign(ctx, signature, &len, (const uint8_t *)"words", 5), 1);
    the_safe.broken = false;
    ERR_clear_error();
    EVP_MD_CTX_free(ctx);
    EVP_PKEY_free(pkey);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(the_library_signs_through_the_store_and_never_has_the_key),
        cmocka_unit_test(a_cms_signature_by_a_stored_key_is_verified_by_its_certificate),
        cmocka_unit_test(a_request_by_a_stored_key_proves_possession),
        cmocka_unit_test(the_key_lives_as_long_as_the_library_holds_it),
        cmocka_unit_test(a_store_that_fails_fails_the_signature),
    };
    return cmocka_run_group_tests(tests, make_safe, drop_safe);
}
