#include "crypto/port/openssl/openssl.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <string.h>

#include <cmocka.h>

static void a_signed_wrapping_is_well_formed_at_every_width_of_length(void **state) {
    (void)state;
    porch_key *key = NULL;
    assert_int_equal(porch_key_generate_p256(&key, NULL), PORCH_OK);
    static uint8_t tbs[40000];
    static const size_t sizes[] = {2, 40, 100, 110, 127, 180, 250, 256, 1000, 40000};
    for (size_t i = 0; i < sizeof sizes / sizeof sizes[0]; i++) {
        uint8_t *made = NULL;
        size_t len = 0;
        assert_int_equal(porch_openssl_wrap_signed((porch_bytes){tbs, sizes[i]}, key, &made, &len, NULL),
                         PORCH_OK);
        const uint8_t *at = made;
        long content = 0;
        int tag = 0, class = 0;
        assert_int_equal(ASN1_get_object(&at, &content, &tag, &class, (long)len), V_ASN1_CONSTRUCTED);
        assert_int_equal(tag, V_ASN1_SEQUENCE);
        assert_ptr_equal(at + content, made + len);
        at += sizes[i];
        X509_ALGOR *algorithm = d2i_X509_ALGOR(NULL, &at, (long)len);
        assert_non_null(algorithm);
        X509_ALGOR_free(algorithm);
        ASN1_BIT_STRING *bits = d2i_ASN1_BIT_STRING(NULL, &at, made + len - at);
        assert_non_null(bits);
        assert_ptr_equal(at, made + len);
        porch_public_key own;
        assert_int_equal(porch_key_public(key, &own, NULL), PORCH_OK);
        porch_bytes signature = {ASN1_STRING_get0_data(bits), (size_t)ASN1_STRING_length(bits)};
        assert_int_equal(
            porch_key_verify(&own, PORCH_SIGN_ECDSA_SHA256, (porch_bytes){tbs, sizes[i]}, signature),
            PORCH_OK);
        ASN1_BIT_STRING_free(bits);
        OPENSSL_free(made);
    }
    porch_key_free(key);
}

static void addresses_are_told_from_names(void **state) {
    (void)state;
    uint8_t out[16];
    assert_int_equal(porch_openssl_ip("192.0.2.7", out), 4);
    assert_int_equal(out[3], 7);
    assert_int_equal(porch_openssl_ip("::1", out), 16);
    static const char *const names[] = {"",         "localhost", "192.0.2", "192.0.2.256",
                                        "1.2.3.4.", "::1%lo",    "[::1]"};
    for (size_t i = 0; i < sizeof names / sizeof names[0]; i++)
        assert_int_equal(porch_openssl_ip(names[i], out), 0);
}

static void a_chain_has_a_limit_and_no_broken_part(void **state) {
    (void)state;
    porch_key *key = NULL;
    assert_int_equal(porch_key_generate_p256(&key, NULL), PORCH_OK);
    static uint8_t block[PORCH_X509_INPUT_BYTES];
    porch_buf pem = PORCH_BUF_OF(block);
    STACK_OF(X509) *chain = NULL;
    for (int i = 1; i <= PORCH_OPENSSL_MAX_CHAIN; i++) {
        assert_int_equal(porch_ca_make_root("R", key, UINT64_C(1767225600000), 1, &pem, NULL), PORCH_OK);
        assert_int_equal(porch_openssl_read_chain(porch_buf_bytes(&pem), &chain, NULL), PORCH_OK);
        assert_int_equal(sk_X509_num(chain), i);
        sk_X509_pop_free(chain, X509_free);
    }
    size_t good = pem.len;
    assert_int_equal(porch_ca_make_root("R", key, UINT64_C(1767225600000), 1, &pem, NULL), PORCH_OK);
    assert_int_equal(porch_openssl_read_chain(porch_buf_bytes(&pem), &chain, NULL), PORCH_ERR_LIMIT);
    pem.len = good;
    block[good - 60] = '*'; /* inside the last certificate's text, and in no base64 */
    assert_int_equal(porch_openssl_read_chain(porch_buf_bytes(&pem), &chain, NULL), PORCH_ERR_MALFORMED);
    assert_int_equal(porch_openssl_read_chain(PORCH_LIT("none"), &chain, NULL), PORCH_ERR_MALFORMED);
    porch_key_free(key);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_signed_wrapping_is_well_formed_at_every_width_of_length),
        cmocka_unit_test(addresses_are_told_from_names),
        cmocka_unit_test(a_chain_has_a_limit_and_no_broken_part),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
