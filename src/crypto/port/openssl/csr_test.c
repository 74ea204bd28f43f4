#include "crypto/x509.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

#include "base/text.h"

static porch_key *key;
static porch_public_key own;
static uint8_t block[PORCH_X509_PEM_BYTES];
static porch_buf pem;

static int make_request(void **state) {
    (void)state;
    pem = PORCH_BUF_OF(block);
    assert_int_equal(porch_key_generate_p256(&key, NULL), PORCH_OK);
    assert_int_equal(porch_key_public(key, &own, NULL), PORCH_OK);
    assert_int_equal(porch_csr_make(key, &pem, NULL), PORCH_OK);
    return 0;
}

static int free_key(void **state) {
    (void)state;
    porch_key_free(key);
    return 0;
}

/* The DER inside our own PEM. */
static porch_bytes to_der(uint8_t *out, size_t cap) {
    static uint8_t text[4096];
    porch_buf joined = PORCH_BUF_OF(text), der = {out, 0, cap};
    const char *at = strchr((const char *)block, '\n') + 1;
    for (; *at != '-'; at++)
        if (*at != '\n') text[joined.len++] = (uint8_t)*at;
    assert_int_equal(porch_base64_read(&der, porch_buf_bytes(&joined), false), PORCH_OK);
    return porch_buf_bytes(&der);
}

static void a_request_gives_back_the_key_that_signed_it(void **state) {
    (void)state;
    porch_public_key got;
    assert_int_equal(porch_csr_read(porch_buf_bytes(&pem), &got, NULL), PORCH_OK);
    assert_int_equal(got.kind, PORCH_KEY_P256);
    assert_int_equal(got.len, own.len);
    assert_memory_equal(got.der, own.der, own.len);
    uint8_t raw[1024];
    assert_int_equal(porch_csr_read(to_der(raw, sizeof raw), &got, NULL), PORCH_OK);
}

static void any_changed_bit_is_refused(void **state) {
    (void)state;
    uint8_t raw[1024];
    porch_bytes der = to_der(raw, sizeof raw);
    int by_signature = 0;
    for (size_t bit = 0; bit < der.len * 8; bit++) {
        raw[bit / 8] ^= (uint8_t)(1u << bit % 8);
        porch_public_key got = {.len = 77};
        porch_err e = porch_csr_read(der, &got, NULL);
        assert_true(e == PORCH_ERR_MALFORMED || e == PORCH_ERR_UNSUPPORTED || e == PORCH_ERR_SIGNATURE);
        assert_int_equal(got.len, 77);
        by_signature += e == PORCH_ERR_SIGNATURE;
        raw[bit / 8] ^= (uint8_t)(1u << bit % 8);
    }
    assert_true(by_signature > 100);
    for (size_t cut = 0; cut < der.len; cut++) {
        porch_public_key got;
        assert_int_equal(porch_csr_read((porch_bytes){raw, cut}, &got, NULL), PORCH_ERR_MALFORMED);
    }
}

/* Runs the openssl command and reads what it prints. */
static porch_bytes from_openssl(const char *args, char *out, size_t cap) {
    char command[512];
    (void)snprintf(command, sizeof command,
                   "openssl req -new -nodes -keyout /dev/null -subj /CN=x %s 2>/dev/null", args);
    FILE *p = popen(command, "r"); /* NOLINT(cert-env33-c): the command is this test's own */
    assert_non_null(p);
    size_t got = fread(out, 1, cap - 1, p);
    out[got] = '\0';
    assert_int_equal(pclose(p), 0);
    return (porch_bytes){(uint8_t *)out, got};
}

static void requests_of_the_openssl_command_are_judged_by_their_key(void **state) {
    (void)state;
    static const struct {
        const char *args;
        porch_err expected;
        porch_key_kind kind;
    } rows[] = {
        {"-newkey ec -pkeyopt ec_paramgen_curve:P-256", PORCH_OK, PORCH_KEY_P256},
        {"-newkey ec -pkeyopt ec_paramgen_curve:P-384 -sha384", PORCH_OK, PORCH_KEY_P384},
        {"-newkey ed25519", PORCH_OK, PORCH_KEY_ED25519},
        {"-newkey rsa:2048", PORCH_ERR_UNSUPPORTED, PORCH_KEY_RSA},
        {"-newkey ec -pkeyopt ec_paramgen_curve:P-521", PORCH_ERR_UNSUPPORTED, PORCH_KEY_RSA},
        {"-newkey ec -pkeyopt ec_paramgen_curve:secp256k1", PORCH_ERR_UNSUPPORTED, PORCH_KEY_RSA},
        {"-newkey ec -pkeyopt ec_paramgen_curve:P-256 -pkeyopt ec_param_enc:explicit",
         PORCH_ERR_UNSUPPORTED, PORCH_KEY_RSA},
        {"-newkey ec -pkeyopt ec_paramgen_curve:P-256 -sha1", PORCH_ERR_UNSUPPORTED, PORCH_KEY_RSA},
    };
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        char out[8192];
        porch_public_key got = {.kind = PORCH_KEY_RSA};
        assert_int_equal(porch_csr_read(from_openssl(rows[i].args, out, sizeof out), &got, NULL),
                         rows[i].expected);
        assert_int_equal(got.kind, rows[i].kind);
    }
}

static void the_openssl_command_verifies_ours(void **state) {
    (void)state;
    FILE *p =
        popen("openssl req -verify -noout >/dev/null 2>&1", "w"); /* NOLINT(cert-env33-c): the test's own */
    assert_non_null(p);
    assert_int_equal(fwrite(block, 1, pem.len, p), pem.len);
    assert_int_equal(pclose(p), 0);
}

static void a_request_carries_the_challenge_that_it_is_given(void **state) {
    (void)state;
    uint8_t bound_block[PORCH_X509_PEM_BYTES];
    porch_buf bound = PORCH_BUF_OF(bound_block);
    porch_public_key got;
    char said[PORCH_CSR_CHALLENGE_BYTES];
    const char *challenge = "MDEyMzQ1Njc4OWFiY2RlZjAxMjM0NTY3ODlhYmNkZWY=";
    assert_int_equal(porch_csr_make_bound(key, challenge, &bound, NULL), PORCH_OK);
    assert_int_equal(porch_csr_read(porch_buf_bytes(&bound), &got, NULL), PORCH_OK);
    assert_int_equal(porch_csr_challenge(porch_buf_bytes(&bound), said, NULL), PORCH_OK);
    assert_string_equal(said, challenge);
    assert_int_equal(porch_csr_challenge(porch_buf_bytes(&pem), said, NULL), PORCH_ERR_NOT_FOUND);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_request_carries_the_challenge_that_it_is_given),
        cmocka_unit_test(a_request_gives_back_the_key_that_signed_it),
        cmocka_unit_test(any_changed_bit_is_refused),
        cmocka_unit_test(requests_of_the_openssl_command_are_judged_by_their_key),
        cmocka_unit_test(the_openssl_command_verifies_ours),
    };
    return cmocka_run_group_tests(tests, make_request, free_key);
}
