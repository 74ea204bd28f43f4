#include "crypto/x509.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>
#include <openssl/pkcs7.h>
#include <openssl/x509.h>

static void a_bundle_holds_each_certificate_and_nothing_else(void **state) {
    (void)state;
    static uint8_t pem_block[2 * PORCH_X509_PEM_BYTES], der_block[8192], leaf[4096];
    porch_buf pem = PORCH_BUF_OF(pem_block), der = PORCH_BUF_OF(der_block), own = PORCH_BUF_OF(leaf);
    porch_why why = {""};
    porch_key *key = NULL;
    assert_int_equal(porch_key_generate_p256(&key, &why), PORCH_OK);
    assert_int_equal(porch_ca_make_root("one", key, 1767225600000u, 10, &pem, &why), PORCH_OK);
    assert_int_equal(porch_ca_make_root("two", key, 1767225600000u, 10, &pem, &why), PORCH_OK);
    assert_int_equal(porch_x509_bundle(porch_buf_bytes(&pem), &der, &why), PORCH_OK);
    const uint8_t *at = der_block;
    PKCS7 *p = d2i_PKCS7(NULL, &at, (long)der.len);
    assert_non_null(p);
    assert_ptr_equal(at, der_block + der.len);
    assert_true(PKCS7_type_is_signed(p));
    assert_int_equal(sk_X509_num(p->d.sign->cert), 2);
    assert_int_equal(sk_PKCS7_SIGNER_INFO_num(p->d.sign->signer_info), 0);
    assert_int_equal(porch_x509_der(porch_buf_bytes(&pem), &own, &why), PORCH_OK);
    uint8_t *first = NULL;
    int len = i2d_X509(sk_X509_value(p->d.sign->cert, 0), &first);
    assert_int_equal((size_t)len, own.len);
    assert_memory_equal(first, leaf, own.len);
    OPENSSL_free(first);
    PKCS7_free(p);
    porch_key_free(key);
}

static void what_is_no_certificate_is_refused(void **state) {
    (void)state;
    uint8_t block[64];
    porch_buf out = PORCH_BUF_OF(block);
    porch_why why = {""};
    assert_int_not_equal(porch_x509_bundle(PORCH_LIT("nothing of the kind"), &out, &why), PORCH_OK);
    assert_int_equal(out.len, 0);
}

static void a_bundle_is_opened_again_with_the_leaf_first(void **state) {
    (void)state;
    static uint8_t ca_block[PORCH_X509_PEM_BYTES], leaf_block[PORCH_X509_PEM_BYTES],
        both_block[2 * PORCH_X509_PEM_BYTES], der_block[8192], back_block[2 * PORCH_X509_PEM_BYTES];
    porch_buf ca = PORCH_BUF_OF(ca_block), leaf = PORCH_BUF_OF(leaf_block), both = PORCH_BUF_OF(both_block),
              der = PORCH_BUF_OF(der_block), back = PORCH_BUF_OF(back_block);
    porch_key *key = NULL;
    porch_public_key own;
    porch_x509_info info;
    const uint64_t at_ms = 1767225600000u;
    assert_int_equal(porch_key_generate_p256(&key, NULL), PORCH_OK);
    assert_int_equal(porch_key_public(key, &own, NULL), PORCH_OK);
    assert_int_equal(porch_ca_make_root("one", key, at_ms, 10, &ca, NULL), PORCH_OK);
    const porch_ca above = {porch_buf_bytes(&ca), key};
    const porch_ca_request request = {.profile = PORCH_PROFILE_DEVICE,
                                      .id = "door",
                                      .not_before_ms = at_ms,
                                      .not_after_ms = at_ms + 86400000};
    assert_int_equal(porch_ca_issue(&above, &own, &request, &leaf, NULL), PORCH_OK);
    /* in the wrong order on purpose */
    memcpy(both_block, ca_block, ca.len);
    memcpy(both_block + ca.len, leaf_block, leaf.len);
    both.len = ca.len + leaf.len;
    assert_int_equal(porch_x509_bundle(porch_buf_bytes(&both), &der, NULL), PORCH_OK);
    assert_int_equal(porch_x509_unbundle(porch_buf_bytes(&der), &back, NULL), PORCH_OK);
    assert_int_equal(porch_x509_read(porch_buf_bytes(&back), &info, NULL), PORCH_OK);
    assert_string_equal(info.identity.name, "door");
    assert_int_equal(back.len, both.len);
    /* authorities alone, bytes behind it, and nonsense are none */
    back.len = 0;
    porch_buf alone = PORCH_BUF_OF(both_block);
    assert_int_equal(porch_x509_bundle(porch_buf_bytes(&ca), &alone, NULL), PORCH_OK);
    assert_int_equal(porch_x509_unbundle(porch_buf_bytes(&alone), &back, NULL), PORCH_ERR_MALFORMED);
    der_block[der.len] = 0;
    assert_int_equal(porch_x509_unbundle((porch_bytes){der_block, der.len + 1}, &back, NULL),
                     PORCH_ERR_MALFORMED);
    assert_int_equal(porch_x509_unbundle(PORCH_LIT("nothing of the kind"), &back, NULL),
                     PORCH_ERR_MALFORMED);
    assert_int_equal(back.len, 0);
    porch_key_free(key);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_bundle_holds_each_certificate_and_nothing_else),
        cmocka_unit_test(what_is_no_certificate_is_refused),
        cmocka_unit_test(a_bundle_is_opened_again_with_the_leaf_first),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
