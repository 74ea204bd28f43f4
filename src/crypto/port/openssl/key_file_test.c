#include "crypto/keystore.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <string.h>

#include <cmocka.h>

static porch_key *new_key(void) {
    porch_key *key = NULL;
    assert_int_equal(porch_key_generate_p256(&key, NULL), PORCH_OK);
    return key;
}

static void a_key_written_as_pem_signs_as_the_same_key(void **state) {
    (void)state;
    porch_key *key = new_key(), *again = NULL;
    uint8_t block[PORCH_KEY_PEM_BYTES], sig_block[PORCH_SIGNATURE_MAX_BYTES];
    porch_buf pem = PORCH_BUF_OF(block), sig = PORCH_BUF_OF(sig_block);
    assert_int_equal(porch_key_pem(key, &pem, NULL), PORCH_OK);
    assert_true(porch_bytes_starts(porch_buf_bytes(&pem), PORCH_LIT("-----BEGIN PRIVATE KEY-----\n")));
    assert_int_equal(porch_key_load_pem(porch_buf_bytes(&pem), &again, NULL), PORCH_OK);
    porch_public_key pub, pub2;
    assert_int_equal(porch_key_public(key, &pub, NULL), PORCH_OK);
    assert_int_equal(porch_key_public(again, &pub2, NULL), PORCH_OK);
    assert_int_equal(pub.kind, PORCH_KEY_P256);
    assert_int_equal(pub.len, 91);
    assert_memory_equal(pub.der, pub2.der, pub.len);
    assert_int_equal(porch_key_sign(again, PORCH_SIGN_ECDSA_SHA256, PORCH_LIT("data"), &sig, NULL),
                     PORCH_OK);
    assert_int_equal(
        porch_key_verify(&pub, PORCH_SIGN_ECDSA_SHA256, PORCH_LIT("data"), porch_buf_bytes(&sig)),
        PORCH_OK);
    assert_int_equal(
        porch_key_verify(&pub, PORCH_SIGN_ECDSA_SHA256, PORCH_LIT("Data"), porch_buf_bytes(&sig)),
        PORCH_ERR_SIGNATURE);
    sig_block[sig.len - 1] ^= 1;
    assert_int_equal(
        porch_key_verify(&pub, PORCH_SIGN_ECDSA_SHA256, PORCH_LIT("data"), porch_buf_bytes(&sig)),
        PORCH_ERR_SIGNATURE);
    porch_key_free(key);
    porch_key_free(again);
    porch_key_free(NULL);
}

static void a_scheme_that_does_not_fit_the_key_is_unsupported(void **state) {
    (void)state;
    porch_key *key = new_key();
    porch_public_key pub;
    assert_int_equal(porch_key_public(key, &pub, NULL), PORCH_OK);
    uint8_t block[PORCH_SIGNATURE_MAX_BYTES];
    porch_buf sig = PORCH_BUF_OF(block);
    assert_int_equal(porch_key_sign(key, PORCH_SIGN_ED25519, PORCH_LIT("x"), &sig, NULL),
                     PORCH_ERR_UNSUPPORTED);
    assert_int_equal(porch_key_sign(key, PORCH_SIGN_ECDSA_SHA384, PORCH_LIT("x"), &sig, NULL),
                     PORCH_ERR_UNSUPPORTED);
    assert_int_equal(porch_key_verify(&pub, PORCH_SIGN_ECDSA_SHA384, PORCH_LIT("x"), PORCH_LIT("y")),
                     PORCH_ERR_UNSUPPORTED);
    porch_key_evidence evidence;
    assert_int_equal(porch_key_attest(key, PORCH_LIT("x"), &evidence, NULL), PORCH_ERR_UNSUPPORTED);
    porch_buf small = {block, 0, 10};
    assert_int_equal(porch_key_sign(key, PORCH_SIGN_ECDSA_SHA256, PORCH_LIT("x"), &small, NULL),
                     PORCH_ERR_NO_SPACE);
    assert_int_equal(porch_key_pem(key, &small, NULL), PORCH_ERR_NO_SPACE);
    porch_key_free(key);
}

/* Made with: openssl genpkey -algorithm ed25519; and: ... | openssl pkcs8 -topk8 -v2 aes-256-cbc -passout
 * pass:x */
static const char ed25519_pem[] = "-----BEGIN PRIVATE KEY-----\n"
                                  "MC4CAQAwBQYDK2VwBCIEINTuctv5E1hK1bbY8fdp+K06/nwoy/HU++CXqI9EdVhC\n"
                                  "-----END PRIVATE KEY-----\n";

static void an_ed25519_key_of_rfc_8410_is_loaded_and_signs(void **state) {
    (void)state;
    porch_key *key = NULL;
    assert_int_equal(porch_key_load_pem(porch_bytes_of(ed25519_pem), &key, NULL), PORCH_OK);
    assert_int_equal(key->kind, PORCH_KEY_ED25519);
    uint8_t block[PORCH_SIGNATURE_MAX_BYTES];
    porch_buf sig = PORCH_BUF_OF(block);
    porch_public_key pub;
    assert_int_equal(porch_key_public(key, &pub, NULL), PORCH_OK);
    assert_int_equal(porch_key_sign(key, porch_key_scheme(key->kind), PORCH_LIT("x"), &sig, NULL),
                     PORCH_OK);
    assert_int_equal(sig.len, 64);
    assert_int_equal(porch_key_verify(&pub, PORCH_SIGN_ED25519, PORCH_LIT("x"), porch_buf_bytes(&sig)),
                     PORCH_OK);
    porch_key_free(key);
}

static void what_is_no_key_is_refused(void **state) {
    (void)state;
    static const char cut[] = "-----BEGIN PRIVATE KEY-----\nMC4CAQAw\n-----END PRIVATE KEY-----\n";
    static const char locked[] = "-----BEGIN ENCRYPTED PRIVATE KEY-----\n"
                                 "MC4CAQAwBQYDK2VwBCIEINTuctv5E1hK1bbY8fdp\n"
                                 "-----END ENCRYPTED PRIVATE KEY-----\n";
    static const char *const rows[] = {"", "hello", cut, locked};
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        porch_key *key = NULL;
        porch_why why = {""};
        assert_int_equal(porch_key_load_pem(porch_bytes_of(rows[i]), &key, &why), PORCH_ERR_MALFORMED);
        assert_null(key);
        assert_true(strlen(why.text) > 10);
    }
}

static void a_locked_key_opens_with_its_passphrase_alone(void **state) {
    (void)state;
    uint8_t block[PORCH_KEY_LOCKED_PEM_BYTES], signature[PORCH_SIGNATURE_MAX_BYTES];
    porch_buf pem = PORCH_BUF_OF(block), sig = PORCH_BUF_OF(signature);
    porch_key *key = new_key(), *again = NULL;
    porch_public_key public;
    porch_why why;
    assert_int_equal(porch_key_locked_pem(key, PORCH_LIT("correct horse"), &pem, &why), PORCH_OK);
    assert_int_equal(porch_key_load_pem(porch_buf_bytes(&pem), &again, &why), PORCH_ERR_MALFORMED);
    assert_int_equal(
        porch_key_load_locked_pem(porch_buf_bytes(&pem), PORCH_LIT("correct hors"), &again, &why),
        PORCH_ERR_AUTH);
    assert_int_equal(porch_key_load_locked_pem(porch_buf_bytes(&pem), PORCH_LIT(""), &again, &why),
                     PORCH_ERR_AUTH);
    assert_int_equal(porch_key_load_locked_pem(PORCH_LIT("hello"), PORCH_LIT("x"), &again, &why),
                     PORCH_ERR_MALFORMED);
    assert_int_equal(porch_key_locked_pem(key, PORCH_LIT(""), &pem, &why), PORCH_ERR_LIMIT);
    assert_int_equal(
        porch_key_load_locked_pem(porch_buf_bytes(&pem), PORCH_LIT("correct horse"), &again, &why),
        PORCH_OK);
    assert_int_equal(porch_key_sign(again, PORCH_SIGN_ECDSA_SHA256, PORCH_LIT("x"), &sig, &why), PORCH_OK);
    assert_int_equal(porch_key_public(key, &public, &why), PORCH_OK);
    assert_int_equal(
        porch_key_verify(&public, PORCH_SIGN_ECDSA_SHA256, PORCH_LIT("x"), porch_buf_bytes(&sig)),
        PORCH_OK);
    porch_key_free(key);
    porch_key_free(again);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_key_written_as_pem_signs_as_the_same_key),
        cmocka_unit_test(a_scheme_that_does_not_fit_the_key_is_unsupported),
        cmocka_unit_test(an_ed25519_key_of_rfc_8410_is_loaded_and_signs),
        cmocka_unit_test(what_is_no_key_is_refused),
        cmocka_unit_test(a_locked_key_opens_with_its_passphrase_alone),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
