/* Moduli are made here to each bad pattern; good ones come from the library. */
#include "crypto/port/openssl/weak_rsa.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stddef.h>
#include <string.h>

#include <cmocka.h>
#include <openssl/bn.h>
#include <openssl/core_names.h>
#include <openssl/param_build.h>
#include <openssl/rsa.h>

static BN_CTX *ctx;

static int make_ctx(void **state) {
    (void)state;
    ctx = BN_CTX_new();
    return ctx != NULL ? 0 : -1;
}

static int free_ctx(void **state) {
    (void)state;
    BN_CTX_free(ctx);
    return 0;
}

static EVP_PKEY *key_of(const BIGNUM *n, const BIGNUM *e) {
    OSSL_PARAM_BLD *build = OSSL_PARAM_BLD_new();
    EVP_PKEY *key = NULL;
    assert_int_equal(OSSL_PARAM_BLD_push_BN(build, OSSL_PKEY_PARAM_RSA_N, n), 1);
    assert_int_equal(OSSL_PARAM_BLD_push_BN(build, OSSL_PKEY_PARAM_RSA_E, e), 1);
    OSSL_PARAM *params = OSSL_PARAM_BLD_to_param(build);
    EVP_PKEY_CTX *maker = EVP_PKEY_CTX_new_from_name(NULL, "RSA", NULL);
    assert_int_equal(EVP_PKEY_fromdata_init(maker), 1);
    assert_int_equal(EVP_PKEY_fromdata(maker, &key, EVP_PKEY_PUBLIC_KEY, params), 1);
    EVP_PKEY_CTX_free(maker);
    OSSL_PARAM_free(params);
    OSSL_PARAM_BLD_free(build);
    return key;
}

/* Says that the key n = p*q, e is weak, and the sentence has `word`. */
static void is_weak(const BIGNUM *p, const BIGNUM *q, unsigned long exponent, const char *word) {
    BIGNUM *n = BN_new(), *e = BN_new();
    assert_int_equal(BN_mul(n, p, q, ctx), 1);
    assert_int_equal(BN_set_word(e, exponent), 1);
    EVP_PKEY *key = key_of(n, e);
    const char *what = porch_openssl_weak_rsa(key);
    assert_non_null(what);
    assert_non_null(strstr(what, word));
    EVP_PKEY_free(key);
    BN_free(n);
    BN_free(e);
}

static BIGNUM *random_prime(int bits) {
    BIGNUM *p = BN_new();
    assert_int_equal(BN_generate_prime_ex(p, bits, 0, NULL, NULL, NULL), 1);
    return p;
}

/* k*M + (65537^a mod M), M the product of the primes up to 167. */
static BIGNUM *shaped_prime(void) {
    BIGNUM *m = BN_new(), *p = BN_new(), *k = BN_new(), *a = BN_new(), *g = BN_new();
    assert_int_equal(BN_one(m), 1);
    for (unsigned n = 2; n <= 167; n++) {
        bool prime = true;
        for (unsigned d = 2; d < n && prime; d++)
            prime = n % d != 0;
        if (prime) assert_int_equal(BN_mul_word(m, n), 1);
    }
    assert_int_equal(BN_set_word(g, 65537), 1);
    do {
        assert_int_equal(BN_rand(k, 1025 - BN_num_bits(m), BN_RAND_TOP_ANY, BN_RAND_BOTTOM_ANY), 1);
        assert_int_equal(BN_rand(a, 64, BN_RAND_TOP_ANY, BN_RAND_BOTTOM_ANY), 1);
        assert_int_equal(BN_mod_exp(p, g, a, m, ctx), 1);
        assert_int_equal(BN_mul(k, k, m, ctx), 1);
        assert_int_equal(BN_add(p, p, k), 1);
    } while (BN_num_bits(p) != 1024 || BN_is_bit_set(p, 1022) != 1 || BN_check_prime(p, ctx, NULL) != 1);
    BN_free(m);
    BN_free(k);
    BN_free(a);
    BN_free(g);
    return p;
}

static void keys_of_the_library_are_believed(void **state) {
    (void)state;
    for (int i = 0; i < 8; i++) {
        EVP_PKEY *key = EVP_RSA_gen(i == 7 ? 3072u : 2048u);
        assert_null(porch_openssl_weak_rsa(key));
        EVP_PKEY_free(key);
    }
}

static void short_ones_and_those_with_bad_exponents_are_weak(void **state) {
    (void)state;
    EVP_PKEY *small = EVP_RSA_gen(1024u);
    assert_non_null(strstr(porch_openssl_weak_rsa(small), "2,048"));
    EVP_PKEY_free(small);
    BIGNUM *p = random_prime(1024), *q = random_prime(1024);
    is_weak(p, q, 3, "exponent");
    is_weak(p, q, 65535, "exponent");
    is_weak(p, q, 65538, "exponent");
    BN_free(p);
    BN_free(q);
}

static void a_modulus_with_a_small_factor_is_weak(void **state) {
    (void)state;
    BIGNUM *p = random_prime(2048), *q = BN_new();
    const unsigned long factors[] = {2, 3, 167, 173, 1999};
    for (size_t i = 0; i < sizeof factors / sizeof factors[0]; i++) {
        assert_int_equal(BN_set_word(q, factors[i]), 1);
        is_weak(p, q, 65537, "factor");
    }
    BN_free(p);
    BN_free(q);
}

static void a_modulus_of_the_famous_shape_is_weak(void **state) {
    (void)state;
    BIGNUM *p = shaped_prime(), *q = shaped_prime(), *good = random_prime(1024);
    is_weak(p, q, 65537, "CVE-2017-15361");
    BIGNUM *n = BN_new(), *e = BN_new(); /* one such prime alone does not show */
    assert_int_equal(BN_mul(n, p, good, ctx), 1);
    assert_int_equal(BN_set_word(e, 65537), 1);
    EVP_PKEY *key = key_of(n, e);
    assert_null(porch_openssl_weak_rsa(key));
    EVP_PKEY_free(key);
    BN_free(n);
    BN_free(e);
    BN_free(p);
    BN_free(q);
    BN_free(good);
}

static void primes_that_lie_next_to_each_other_are_weak(void **state) {
    (void)state;
    BIGNUM *p = random_prime(1024), *q = BN_dup(p);
    do {
        assert_int_equal(BN_add_word(q, 2), 1);
    } while (BN_check_prime(q, ctx, NULL) != 1);
    is_weak(p, q, 65537, "CVE-2022-26320");
    is_weak(p, p, 65537, "CVE-2022-26320");
    BN_free(p);
    BN_free(q);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(keys_of_the_library_are_believed),
        cmocka_unit_test(short_ones_and_those_with_bad_exponents_are_weak),
        cmocka_unit_test(a_modulus_with_a_small_factor_is_weak),
        cmocka_unit_test(a_modulus_of_the_famous_shape_is_weak),
        cmocka_unit_test(primes_that_lie_next_to_each_other_are_weak),
    };
    return cmocka_run_group_tests(tests, make_ctx, free_ctx);
}
