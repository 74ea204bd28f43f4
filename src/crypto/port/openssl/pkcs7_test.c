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

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_bundle_holds_each_certificate_and_nothing_else),
        cmocka_unit_test(what_is_no_certificate_is_refused),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
