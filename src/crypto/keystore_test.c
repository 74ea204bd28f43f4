/* Dispatch alone, over a store of this test's: no crypto library needed. */
#include "crypto/keystore.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <string.h>

#include <cmocka.h>

static int freed;

static porch_err toy_sign(void *self, porch_sign_scheme scheme, porch_bytes data, porch_buf *signature,
                          porch_why *why) {
    (void)why;
    const char *word = self;
    assert_int_equal(scheme, PORCH_SIGN_ECDSA_SHA384);
    assert_true(porch_bytes_eq_text(data, "data"));
    size_t len = strlen(word);
    memcpy(signature->at + signature->len, word, len);
    signature->len += len;
    return PORCH_OK;
}

static porch_err toy_public(void *self, porch_public_key *ret, porch_why *why) {
    (void)self;
    (void)ret;
    return porch_fail(why, PORCH_ERR_IO, "the token was pulled out");
}

static void toy_free(porch_key *key) {
    (void)key;
    freed++;
}

static const porch_key_ops toy_ops = {
    .name = "toy", .sign = toy_sign, .public_key = toy_public, .free = toy_free};

static void a_call_reaches_the_store_s_own_function_and_object(void **state) {
    (void)state;
    char word[] = "signed";
    porch_key key = {&toy_ops, word, PORCH_KEY_P384, 0};
    uint8_t block[16];
    porch_buf signature = PORCH_BUF_OF(block);
    assert_int_equal(porch_key_sign(&key, porch_key_scheme(key.kind), PORCH_LIT("data"), &signature, NULL),
                     PORCH_OK);
    assert_true(porch_bytes_eq_text(porch_buf_bytes(&signature), "signed"));
    porch_why why = {""};
    porch_public_key own;
    assert_int_equal(porch_key_public(&key, &own, &why), PORCH_ERR_IO);
    assert_string_equal(why.text, "the token was pulled out");
    assert_ptr_equal(porch_key_ref(&key), &key);
    porch_key_free(&key);
    assert_int_equal(freed, 0); /* one owner is left */
    porch_key_free(&key);
    assert_int_equal(freed, 1);
}

static void what_a_store_does_not_offer_is_unsupported_and_named(void **state) {
    (void)state;
    static const porch_key_ops bare = {.name = "bare", .free = toy_free};
    porch_key key = {&bare, NULL, PORCH_KEY_P256, 0};
    uint8_t block[16];
    porch_buf out = PORCH_BUF_OF(block);
    porch_why why = {""};
    assert_int_equal(porch_key_sign(&key, PORCH_SIGN_ECDSA_SHA256, PORCH_LIT("x"), &out, &why),
                     PORCH_ERR_UNSUPPORTED);
    assert_non_null(strstr(why.text, "bare"));
    porch_key_evidence evidence;
    assert_int_equal(porch_key_attest(&key, PORCH_LIT("x"), &evidence, &why), PORCH_ERR_UNSUPPORTED);
    assert_int_equal(porch_key_seal(&key, PORCH_LIT("x"), &out, &why), PORCH_ERR_UNSUPPORTED);
    assert_int_equal(porch_key_unseal(&key, PORCH_LIT("x"), &out, &why), PORCH_ERR_UNSUPPORTED);
    assert_int_equal(porch_key_sign_digest(&key, PORCH_LIT("x"), &out, &why), PORCH_ERR_UNSUPPORTED);
    porch_key toy = {&toy_ops, NULL, PORCH_KEY_RSA, 0};
    assert_int_equal(porch_key_sign(&toy, porch_key_scheme(toy.kind), PORCH_LIT("data"), &out, &why),
                     PORCH_ERR_UNSUPPORTED);
    toy.kind = PORCH_KEY_P256;
    assert_int_equal(porch_key_sign(&toy, PORCH_SIGN_ECDSA_SHA384, PORCH_LIT("data"), &out, &why),
                     PORCH_ERR_UNSUPPORTED);
    assert_int_equal(out.len, 0);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_call_reaches_the_store_s_own_function_and_object),
        cmocka_unit_test(what_a_store_does_not_offer_is_unsupported_and_named),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
