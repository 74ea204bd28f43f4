/* Endorsement certificates and credentials against keys made here; tests/integration/test_attestation.py
 * has a TPM open them. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <string.h>
#include <time.h>

#include <cmocka.h>
#include <openssl/evp.h>
#include <openssl/pem.h>
#include <openssl/rsa.h>
#include <openssl/x509v3.h>

#include "crypto/attester.h"
#include "crypto/x509.h"

enum { DER_MOST = 4096, DAY_S = 86400 };

typedef struct {
    EVP_PKEY *key;
    X509 *cert;
    uint8_t der[DER_MOST];
    size_t der_len;
} made;

static made maker, stranger, ek, ek_small, no_ek, no_encryption, by_sha1;
static char maker_pem[DER_MOST], stranger_pem[DER_MOST];

static void extend(made *m, int nid, const char *value) {
    X509_EXTENSION *made_ext = X509V3_EXT_conf_nid(NULL, NULL, nid, value);
    assert_non_null(made_ext);
    (void)X509_add_ext(m->cert, made_ext, -1);
    X509_EXTENSION_free(made_ext);
}

static void make(made *m, unsigned bits, const made *by, bool is_ca) {
    m->key = EVP_RSA_gen(bits);
    m->cert = X509_new();
    X509_NAME *name = X509_get_subject_name(m->cert);
    assert_non_null(m->key);
    (void)ASN1_INTEGER_set(X509_get_serialNumber(m->cert), (long)bits);
    (void)X509_set_version(m->cert, X509_VERSION_3);
    (void)X509_gmtime_adj(X509_getm_notBefore(m->cert), -DAY_S);
    (void)X509_gmtime_adj(X509_getm_notAfter(m->cert), DAY_S);
    (void)X509_NAME_add_entry_by_txt(
        name, "CN", MBSTRING_ASC,
        (const unsigned char *)(is_ca ? m == &maker ? "maker" : "stranger" : "ek"), -1, -1, 0);
    (void)X509_set_issuer_name(m->cert, X509_get_subject_name(by->cert));
    (void)X509_set_pubkey(m->cert, m->key);
    extend(m, NID_basic_constraints, is_ca ? "critical,CA:TRUE" : "critical,CA:FALSE");
    if (!is_ca) {
        extend(m, NID_key_usage,
               m == &no_encryption ? "critical,digitalSignature" : "critical,keyEncipherment");
        extend(m, NID_ext_key_usage, m == &no_ek ? "clientAuth" : "2.23.133.8.1");
    }
    assert_true(X509_sign(m->cert, by->key, m == &by_sha1 ? EVP_sha1() : EVP_sha256()) > 0);
    uint8_t *to = m->der;
    m->der_len = (size_t)i2d_X509(m->cert, &to);
}

static void to_pem(const made *m, char *out) {
    BIO *b = BIO_new(BIO_s_mem());
    assert_int_equal(PEM_write_bio_X509(b, m->cert), 1);
    int n = BIO_read(b, out, DER_MOST - 1);
    assert_true(n > 0);
    out[n] = '\0';
    BIO_free(b);
}

static int make_all(void **state) {
    (void)state;
    make(&maker, 2048, &maker, true);
    make(&stranger, 2048, &stranger, true);
    make(&ek, 2048, &maker, false);
    make(&ek_small, 3072, &maker, false);
    make(&no_ek, 2048, &maker, false);
    make(&no_encryption, 2048, &maker, false);
    make(&by_sha1, 2048, &maker, false);
    to_pem(&maker, maker_pem);
    to_pem(&stranger, stranger_pem);
    return 0;
}

static int free_all(void **state) {
    (void)state;
    made *const all[] = {&maker, &stranger, &ek, &ek_small, &no_ek, &no_encryption, &by_sha1};
    for (size_t i = 0; i < sizeof all / sizeof all[0]; i++) {
        EVP_PKEY_free(all[i]->key);
        X509_free(all[i]->cert);
    }
    return 0;
}

static porch_bytes der(const made *m) {
    return (porch_bytes){m->der, m->der_len};
}

static void only_a_maker_that_was_imported_vouches_and_only_in_its_certificates_time(void **state) {
    (void)state;
    const uint64_t now = (uint64_t)time(NULL) * 1000, day = DAY_S * 1000ull;
    porch_bytes ours = porch_bytes_of(maker_pem), theirs = porch_bytes_of(stranger_pem);
    assert_int_equal(porch_tpm_vouched(der(&ek), &ours, 1, now, NULL), PORCH_OK);
    assert_int_equal(porch_tpm_vouched(der(&ek), &theirs, 1, now, NULL), PORCH_ERR_AUTH);
    assert_int_equal(porch_tpm_vouched(der(&ek), &ours, 1, now + 2 * day, NULL), PORCH_ERR_EXPIRED);
    assert_int_equal(porch_tpm_vouched(der(&maker), &ours, 1, now, NULL), PORCH_ERR_AUTH); /* no TPM's */
    assert_int_equal(porch_tpm_vouched((porch_bytes){ek.der, ek.der_len - 1}, &ours, 1, now, NULL),
                     PORCH_ERR_MALFORMED);
    ek.der[ek.der_len - 1] ^= 1;
    assert_int_equal(porch_tpm_vouched(der(&ek), &ours, 1, now, NULL), PORCH_ERR_AUTH);
    ek.der[ek.der_len - 1] ^= 1;
}

/* More than 64 authorities, and more than 64 KiB of them. */
static void a_maker_is_believed_however_many_were_imported_before_it(void **state) {
    (void)state;
    enum { MAKERS = 80 };
    const uint64_t now = (uint64_t)time(NULL) * 1000, day = DAY_S * 1000ull;
    porch_bytes makers[MAKERS];
    size_t bytes = 0;
    for (size_t i = 0; i < MAKERS; i++) {
        makers[i] = porch_bytes_of(i + 1 < MAKERS ? stranger_pem : maker_pem);
        bytes += makers[i].len;
    }
    assert_true(bytes > PORCH_X509_INPUT_BYTES);
    assert_int_equal(porch_tpm_vouched(der(&ek), makers, MAKERS, now, NULL), PORCH_OK);
    assert_int_equal(porch_tpm_vouched(der(&ek), makers, MAKERS - 1, now, NULL), PORCH_ERR_AUTH);
    assert_int_equal(porch_tpm_vouched(der(&ek), makers, 0, now, NULL), PORCH_ERR_AUTH);
    assert_int_equal(porch_tpm_vouched(der(&ek), makers, MAKERS, now + 2 * day, NULL), PORCH_ERR_EXPIRED);
    makers[0] = porch_bytes_of(maker_pem); /* what is told does not hang on the order */
    makers[MAKERS - 1] = porch_bytes_of(stranger_pem);
    assert_int_equal(porch_tpm_vouched(der(&ek), makers, MAKERS, now + 2 * day, NULL), PORCH_ERR_EXPIRED);
}

static void a_makers_other_certificates_and_those_signed_by_a_weak_digest_vouch_for_no_tpm(void **state) {
    (void)state;
    const uint64_t now = (uint64_t)time(NULL) * 1000;
    porch_bytes ours = porch_bytes_of(maker_pem);
    assert_int_equal(porch_tpm_vouched(der(&no_ek), &ours, 1, now, NULL), PORCH_ERR_AUTH);
    assert_int_equal(porch_tpm_vouched(der(&no_encryption), &ours, 1, now, NULL), PORCH_ERR_AUTH);
    assert_int_equal(porch_tpm_vouched(der(&by_sha1), &ours, 1, now, NULL), PORCH_ERR_AUTH);
}

static void a_credential_has_the_form_that_tpms_take_and_differs_each_time(void **state) {
    (void)state;
    static const uint8_t secret[PORCH_CREDENTIAL_SECRET_BYTES] = {1, 2, 3};
    uint8_t credential_block[PORCH_CREDENTIAL_BYTES], seed_block[PORCH_CREDENTIAL_SEED_BYTES],
        again_block[PORCH_CREDENTIAL_BYTES], seed_again[PORCH_CREDENTIAL_SEED_BYTES];
    porch_buf credential = PORCH_BUF_OF(credential_block), seed = PORCH_BUF_OF(seed_block),
              again = PORCH_BUF_OF(again_block), other = PORCH_BUF_OF(seed_again);
    porch_attester attester = {.name = {0, 0x0b, 9}};
    assert_int_equal(porch_tpm_credential(der(&ek), &attester, secret, &credential, &seed, NULL), PORCH_OK);
    assert_int_equal(credential.len, 2 + 32 + 2 + 32);
    assert_int_equal(credential_block[1],
                     32); /* the HMAC's size; what follows is encrypted, size and all */
    assert_int_equal(seed.len, 256);
    assert_null(memmem(credential_block, credential.len, secret, sizeof secret));
    assert_int_equal(porch_tpm_credential(der(&ek), &attester, secret, &again, &other, NULL), PORCH_OK);
    assert_memory_not_equal(credential_block, again_block, credential.len);
    /* the seed opens with the endorsement key and the label of the standard alone */
    uint8_t raw[256];
    size_t len = sizeof raw;
    for (int labelled = 0; labelled < 2; labelled++) {
        EVP_PKEY_CTX *ctx = EVP_PKEY_CTX_new(ek.key, NULL);
        assert_int_equal(EVP_PKEY_decrypt_init(ctx), 1);
        (void)EVP_PKEY_CTX_set_rsa_padding(ctx, RSA_PKCS1_OAEP_PADDING);
        (void)EVP_PKEY_CTX_set_rsa_oaep_md(ctx, EVP_sha256());
        if (labelled == 1) (void)EVP_PKEY_CTX_set0_rsa_oaep_label(ctx, OPENSSL_memdup("IDENTITY", 9), 9);
        len = sizeof raw;
        assert_int_equal(EVP_PKEY_decrypt(ctx, raw, &len, seed_block, seed.len) == 1, labelled == 1);
        EVP_PKEY_CTX_free(ctx);
    }
    assert_int_equal(len, 32);
}

static void endorsement_keys_of_another_kind_are_refused_with_nothing_written(void **state) {
    (void)state;
    static const uint8_t secret[PORCH_CREDENTIAL_SECRET_BYTES];
    uint8_t credential_block[PORCH_CREDENTIAL_BYTES], seed_block[PORCH_CREDENTIAL_SEED_BYTES];
    porch_buf credential = PORCH_BUF_OF(credential_block), seed = PORCH_BUF_OF(seed_block);
    porch_attester attester = {.name = {0}};
    assert_int_equal(porch_tpm_credential(der(&ek_small), &attester, secret, &credential, &seed, NULL),
                     PORCH_ERR_UNSUPPORTED);
    assert_int_equal(porch_tpm_credential(PORCH_LIT("x"), &attester, secret, &credential, &seed, NULL),
                     PORCH_ERR_MALFORMED);
    assert_int_equal(credential.len + seed.len, 0);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(only_a_maker_that_was_imported_vouches_and_only_in_its_certificates_time),
        cmocka_unit_test(a_maker_is_believed_however_many_were_imported_before_it),
        cmocka_unit_test(a_makers_other_certificates_and_those_signed_by_a_weak_digest_vouch_for_no_tpm),
        cmocka_unit_test(a_credential_has_the_form_that_tpms_take_and_differs_each_time),
        cmocka_unit_test(endorsement_keys_of_another_kind_are_refused_with_nothing_written),
    };
    return cmocka_run_group_tests(tests, make_all, free_all);
}
