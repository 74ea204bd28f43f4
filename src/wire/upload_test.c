#include "wire/upload.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

static void offsets_are_plain_decimals_of_fifteen_digits(void **state) {
    (void)state;
    uint64_t v = 5;
    assert_int_equal(porch_upload_offset_parse(PORCH_LIT("0"), &v), PORCH_OK);
    assert_int_equal(v, 0);
    assert_int_equal(porch_upload_offset_parse(PORCH_LIT("999999999999999"), &v), PORCH_OK);
    assert_true(v == PORCH_UPLOAD_OFFSET_MOST);
    assert_int_equal(porch_upload_offset_parse(PORCH_LIT("1000000000000000"), &v), PORCH_ERR_LIMIT);
    static const char *const wrong[] = {"", "-1", "01", "1;a=b", " 1", "1.0", "?1"};
    for (size_t i = 0; i < sizeof wrong / sizeof wrong[0]; i++)
        assert_int_equal(porch_upload_offset_parse(porch_bytes_of(wrong[i]), &v), PORCH_ERR_MALFORMED);
    assert_true(v == PORCH_UPLOAD_OFFSET_MOST);
}

static void completeness_is_one_of_two_words(void **state) {
    (void)state;
    bool v = false;
    assert_int_equal(porch_upload_complete_parse(PORCH_LIT("?1"), &v), PORCH_OK);
    assert_true(v);
    assert_int_equal(porch_upload_complete_parse(PORCH_LIT("?0"), &v), PORCH_OK);
    assert_false(v);
    static const char *const wrong[] = {"", "?", "1", "?2", "?1 ", "true"};
    for (size_t i = 0; i < sizeof wrong / sizeof wrong[0]; i++)
        assert_int_equal(porch_upload_complete_parse(porch_bytes_of(wrong[i]), &v), PORCH_ERR_MALFORMED);
}

#define GOOD "sha-256=:47DEQpj8HBSa+/TImW+5JCeuQeRkm5NMpJWZG3hSuFU=:"

static void a_digest_is_found_among_others_and_written_back(void **state) {
    (void)state;
    static const char *const right[] = {GOOD, "md5=:AA==:, " GOOD,
                                        GOOD ",sha-512=::", "sha-1=:AAAA:\t,  " GOOD};
    for (size_t i = 0; i < sizeof right / sizeof right[0]; i++) {
        uint8_t hash[32] = {0}, block[80];
        porch_buf text = PORCH_BUF_OF(block);
        assert_int_equal(porch_upload_digest_parse(porch_bytes_of(right[i]), hash), PORCH_OK);
        assert_int_equal(hash[0], 0xe3);
        assert_int_equal(porch_upload_digest_write(&text, hash), PORCH_OK);
        assert_true(porch_bytes_eq_text(porch_buf_bytes(&text), GOOD));
    }
}

static void broken_digests_are_refused_at_every_length(void **state) {
    (void)state;
    uint8_t hash[32];
    for (size_t cut = 0; cut < sizeof GOOD - 1; cut++)
        assert_int_equal(porch_upload_digest_parse((porch_bytes){(const uint8_t *)GOOD, cut}, hash),
                         PORCH_ERR_MALFORMED);
    static const char *const wrong[] = {
        GOOD ",",       GOOD GOOD,
        GOOD "," GOOD,  "sha-256=:AAAA:",
        "md5=:AA==:",   "SHA-256=:AA==:",
        "sha-256=AA==", "sha-256=:47DEQpj8HBSa+/TImW+5JCeuQeRkm5NMpJWZG3hSuFV=:",
        GOOD ";a"};
    for (size_t i = 0; i < sizeof wrong / sizeof wrong[0]; i++)
        assert_int_equal(porch_upload_digest_parse(porch_bytes_of(wrong[i]), hash), PORCH_ERR_MALFORMED);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(offsets_are_plain_decimals_of_fifteen_digits),
        cmocka_unit_test(completeness_is_one_of_two_words),
        cmocka_unit_test(a_digest_is_found_among_others_and_written_back),
        cmocka_unit_test(broken_digests_are_refused_at_every_length),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
