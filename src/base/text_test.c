#include "base/text.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <string.h>

#include <cmocka.h>

typedef struct {
    const char *raw, *plain, *url;
} base64_row;

/* RFC 4648, section 10, and two rows that use the last letters of each alphabet. */
static const base64_row base64_rows[] = {
    {"", "", ""},
    {"f", "Zg==", "Zg"},
    {"fo", "Zm8=", "Zm8"},
    {"foo", "Zm9v", "Zm9v"},
    {"foob", "Zm9vYg==", "Zm9vYg"},
    {"fooba", "Zm9vYmE=", "Zm9vYmE"},
    {"foobar", "Zm9vYmFy", "Zm9vYmFy"},
    {"\xfb\xff", "+/8=", "-_8"},
    {"\xff\xef\xbe", "/+++", "_---"},
};

static void base64_reads_and_writes_the_standards_vectors(void **state) {
    (void)state;
    for (size_t i = 0; i < sizeof base64_rows / sizeof base64_rows[0]; i++) {
        for (int url = 0; url < 2; url++) {
            const char *text = url ? base64_rows[i].url : base64_rows[i].plain;
            uint8_t block[32];
            porch_buf out = PORCH_BUF_OF(block);
            assert_int_equal(porch_base64_write(&out, porch_bytes_of(base64_rows[i].raw), url), PORCH_OK);
            assert_true(porch_bytes_eq_text(porch_buf_bytes(&out), text));
            out = PORCH_BUF_OF(block);
            assert_int_equal(porch_base64_read(&out, porch_bytes_of(text), url), PORCH_OK);
            assert_true(porch_bytes_eq_text(porch_buf_bytes(&out), base64_rows[i].raw));
        }
    }
}

static void base64_refuses_a_second_spelling_of_the_same_bytes(void **state) {
    (void)state;
    static const char *const wrong_plain[] = {"Zh==", "Zm9=", "Zg",     "Zg=",      "Zg=a",
                                              "====", "Z===", "Zm9v\n", "Zg==Zg==", "-_8="};
    static const char *const wrong_url[] = {"Zh", "Zm9", "Zg==", "Z", "+/8"};
    uint8_t block[32] = {0};
    for (size_t i = 0; i < sizeof wrong_plain / sizeof wrong_plain[0]; i++) {
        porch_buf out = PORCH_BUF_OF(block);
        assert_int_equal(porch_base64_read(&out, porch_bytes_of(wrong_plain[i]), false),
                         PORCH_ERR_MALFORMED);
        assert_int_equal(out.len, 0);
    }
    for (size_t i = 0; i < sizeof wrong_url / sizeof wrong_url[0]; i++) {
        porch_buf out = PORCH_BUF_OF(block);
        assert_int_equal(porch_base64_read(&out, porch_bytes_of(wrong_url[i]), true), PORCH_ERR_MALFORMED);
    }
}

static void base64_never_writes_past_its_block(void **state) {
    (void)state;
    uint8_t block[8] = {0};
    for (size_t cap = 0; cap < 8; cap++) {
        porch_buf out = {block, 0, cap};
        assert_int_equal(porch_base64_write(&out, PORCH_LIT("fooba"), false), PORCH_ERR_NO_SPACE);
        out = (porch_buf){block, 0, cap < 5 ? cap : 4};
        assert_int_equal(porch_base64_read(&out, PORCH_LIT("Zm9vYmE="), false), PORCH_ERR_NO_SPACE);
    }
}

static void hex_reads_only_what_it_writes(void **state) {
    (void)state;
    uint8_t block[16];
    porch_buf out = PORCH_BUF_OF(block);
    assert_int_equal(porch_hex_write(&out, PORCH_LIT("\x00\x7f\xff")), PORCH_OK);
    assert_true(porch_bytes_eq_text(porch_buf_bytes(&out), "007fff"));
    out = PORCH_BUF_OF(block);
    assert_int_equal(porch_hex_read(&out, PORCH_LIT("007fff")), PORCH_OK);
    assert_true(porch_bytes_eq(porch_buf_bytes(&out), PORCH_LIT("\x00\x7f\xff")));
    assert_int_equal(porch_hex_read(&out, PORCH_LIT("7F")), PORCH_ERR_MALFORMED);
    assert_int_equal(porch_hex_read(&out, PORCH_LIT("7")), PORCH_ERR_MALFORMED);
    assert_int_equal(porch_hex_read(&out, PORCH_LIT("0g")), PORCH_ERR_MALFORMED);
}

static void decimal_has_one_spelling_and_a_top(void **state) {
    (void)state;
    uint64_t v = 7;
    assert_int_equal(porch_decimal_read(PORCH_LIT("0"), 10, &v), PORCH_OK);
    assert_true(v == 0);
    assert_int_equal(porch_decimal_read(PORCH_LIT("18446744073709551615"), UINT64_MAX, &v), PORCH_OK);
    assert_true(v == UINT64_MAX);
    assert_int_equal(porch_decimal_read(PORCH_LIT("18446744073709551616"), UINT64_MAX, &v),
                     PORCH_ERR_LIMIT);
    assert_int_equal(porch_decimal_read(PORCH_LIT("11"), 10, &v), PORCH_ERR_LIMIT);
    assert_int_equal(porch_decimal_read(PORCH_LIT("9"), 5, &v), PORCH_ERR_LIMIT);
    static const char *const wrong[] = {"", "00", "01", "+1", "-1", " 1", "1 ", "1x", "0x1"};
    for (size_t i = 0; i < sizeof wrong / sizeof wrong[0]; i++)
        assert_int_equal(porch_decimal_read(porch_bytes_of(wrong[i]), UINT64_MAX, &v), PORCH_ERR_MALFORMED);
    assert_true(v == UINT64_MAX);
}

static void utf8_refuses_overlong_surrogate_and_cut_forms(void **state) {
    (void)state;
    static const char *const right[] = {
        "", "porch", "\xc3\xa4", "\xe2\x82\xac", "\xf0\x9f\x8f\xa0", "\xf4\x8f\xbf\xbf", "\xed\x9f\xbf"};
    static const char *const wrong[] = {"\xc0\x80",
                                        "\xc1\xbf",
                                        "\xe0\x80\x80",
                                        "\xe0\x9f\xbf",
                                        "\xed\xa0\x80",
                                        "\xf0\x8f\xbf\xbf",
                                        "\xf4\x90\x80\x80",
                                        "\xf5\x80\x80\x80",
                                        "\x80",
                                        "\xe2\x82",
                                        "\xff",
                                        "a\xc3"};
    for (size_t i = 0; i < sizeof right / sizeof right[0]; i++)
        assert_true(porch_utf8_valid(porch_bytes_of(right[i])));
    for (size_t i = 0; i < sizeof wrong / sizeof wrong[0]; i++)
        assert_false(porch_utf8_valid(porch_bytes_of(wrong[i])));
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(base64_reads_and_writes_the_standards_vectors),
        cmocka_unit_test(base64_refuses_a_second_spelling_of_the_same_bytes),
        cmocka_unit_test(base64_never_writes_past_its_block),
        cmocka_unit_test(hex_reads_only_what_it_writes),
        cmocka_unit_test(decimal_has_one_spelling_and_a_top),
        cmocka_unit_test(utf8_refuses_overlong_surrogate_and_cut_forms),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
