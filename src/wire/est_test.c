#include "wire/est.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

static porch_err read_body(const char *text, char out[64]) {
    porch_buf b = {(uint8_t *)out, 0, 63};
    porch_err e = porch_est_body_read(porch_bytes_of(text), &b);
    out[b.len] = '\0';
    return e;
}

static void a_body_is_read_with_and_without_broken_lines(void **state) {
    (void)state;
    char out[64];
    assert_int_equal(read_body("aGVsbG8gd29ybGQ=", out), PORCH_OK);
    assert_string_equal(out, "hello world");
    assert_int_equal(read_body("aGVs\r\nbG8\n gd29ybGQ=\r\n", out), PORCH_OK);
    assert_string_equal(out, "hello world");
}

static void what_is_no_base64_is_refused_and_leaves_nothing(void **state) {
    (void)state;
    char out[64];
    static const char *const bad[] = {"",         "\r\n",     "aGVsbG8",  "aGVsbG8=aGVs",
                                      "aGVs!G8=", "aGV=bG8=", "aGVsbG9=", "===="};
    for (size_t i = 0; i < sizeof bad / sizeof bad[0]; i++) {
        assert_int_equal(read_body(bad[i], out), PORCH_ERR_MALFORMED);
        assert_string_equal(out, "");
    }
    static uint8_t long_one[PORCH_EST_BODY_BYTES + 4];
    memset(long_one, 'A', sizeof long_one);
    porch_buf b = {(uint8_t *)out, 0, 64};
    assert_int_equal(porch_est_body_read((porch_bytes){long_one, sizeof long_one}, &b), PORCH_ERR_LIMIT);
    assert_int_equal(porch_est_body_read((porch_bytes){long_one, 256}, &b), PORCH_ERR_NO_SPACE);
    assert_int_equal(b.len, 0);
}

static void what_is_written_reads_back(void **state) {
    (void)state;
    uint8_t der[200], text[400], again[200];
    for (size_t len = 1; len <= sizeof der; len++) {
        porch_buf t = PORCH_BUF_OF(text), b = PORCH_BUF_OF(again);
        for (size_t i = 0; i < len; i++)
            der[i] = (uint8_t)(i * 7 + len);
        assert_int_equal(porch_est_body_write((porch_bytes){der, len}, &t), PORCH_OK);
        assert_int_equal(porch_est_body_read(porch_buf_bytes(&t), &b), PORCH_OK);
        assert_true(porch_bytes_eq(porch_buf_bytes(&b), (porch_bytes){der, len}));
    }
}

static porch_err password(const char *text, char out[PORCH_EST_PASSWORD_BYTES]) {
    return porch_est_password_read(porch_bytes_of(text), out);
}

static void the_password_is_what_stands_behind_the_first_colon(void **state) {
    (void)state;
    char out[PORCH_EST_PASSWORD_BYTES];
    assert_int_equal(password("Basic Y2xhaW06c2VjcmV0", out), PORCH_OK);
    assert_string_equal(out, "secret");
    assert_int_equal(password("basic OmE6Yg==", out), PORCH_OK);
    assert_string_equal(out, "a:b");
    assert_int_equal(password("Bearer abc", out), PORCH_ERR_UNSUPPORTED);
    assert_int_equal(password("", out), PORCH_ERR_UNSUPPORTED);
    assert_int_equal(password("Basic", out), PORCH_ERR_UNSUPPORTED);
    assert_int_equal(password("Basic ", out), PORCH_ERR_MALFORMED);
    assert_int_equal(password("Basic bm9jb2xvbg==", out), PORCH_ERR_MALFORMED);
    assert_int_equal(password("Basic Y2xhaW06", out), PORCH_ERR_MALFORMED);
    assert_int_equal(password("Basic OmEgYg==", out), PORCH_ERR_MALFORMED); /* a blank in it */
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_body_is_read_with_and_without_broken_lines),
        cmocka_unit_test(what_is_no_base64_is_refused_and_leaves_nothing),
        cmocka_unit_test(what_is_written_reads_back),
        cmocka_unit_test(the_password_is_what_stands_behind_the_first_colon),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
