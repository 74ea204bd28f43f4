#include "base/bytes.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <string.h>

#include <cmocka.h>

static void comparisons_look_at_length_first(void **state) {
    (void)state;
    porch_bytes none = {NULL, 0};
    assert_true(porch_bytes_eq(none, porch_bytes_of("")));
    assert_true(porch_bytes_eq(porch_bytes_of(NULL), none));
    assert_false(porch_bytes_eq(PORCH_LIT("porch"), PORCH_LIT("porchlight")));
    assert_true(porch_bytes_starts(PORCH_LIT("porchlight"), PORCH_LIT("porch")));
    assert_false(porch_bytes_starts(PORCH_LIT("porch"), PORCH_LIT("porchlight")));
    assert_true(porch_bytes_eq_nocase(PORCH_LIT("Content-Length"), PORCH_LIT("cONTENT-lENGTH")));
    assert_false(porch_bytes_eq_nocase(PORCH_LIT("@"), PORCH_LIT("`")));
    assert_true(porch_bytes_eq_secret(PORCH_LIT("same"), PORCH_LIT("same")));
    assert_false(porch_bytes_eq_secret(PORCH_LIT("same"), PORCH_LIT("sane")));
    assert_false(porch_bytes_eq_secret(PORCH_LIT("same"), PORCH_LIT("sam")));
}

static void a_text_with_a_zero_inside_or_too_long_is_refused(void **state) {
    (void)state;
    char out[5] = "xxxx";
    assert_true(porch_bytes_to_text(PORCH_LIT("door"), out, sizeof out));
    assert_string_equal(out, "door");
    assert_false(porch_bytes_to_text(PORCH_LIT("doors"), out, sizeof out));
    assert_string_equal(out, "");
    assert_false(porch_bytes_to_text(PORCH_LIT("d\0r"), out, sizeof out));
    assert_false(porch_bytes_to_text(PORCH_LIT(""), out, 0));
}

static void wiping_leaves_zeroes(void **state) {
    (void)state;
    uint8_t secret[4] = {1, 2, 3, 4};
    porch_wipe(secret, 3);
    assert_memory_equal(secret, ((uint8_t[]){0, 0, 0, 4}), 4);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(comparisons_look_at_length_first),
        cmocka_unit_test(a_text_with_a_zero_inside_or_too_long_is_refused),
        cmocka_unit_test(wiping_leaves_zeroes),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
