#include "cloud/api/api_profile.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <string.h>

#include <cmocka.h>

#include "base/cursor.h"

static const uint8_t print[32] = {0xab, 0xcd, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 0xff, 0xff};

static char *written(const char *name) {
    static uint8_t block[PORCH_PROFILE_BYTES];
    porch_buf out = {block, 0, sizeof block - 1};
    assert_int_equal(porch_profile_write(&out, "hub-1", name, PORCH_LIT("DER"), print), PORCH_OK);
    block[out.len] = '\0';
    return (char *)block;
}

static void the_payload_is_a_root_certificate_with_the_same_bytes(void **state) {
    (void)state;
    const char *profile = written("porch.local");
    assert_non_null(strstr(profile, "<string>com.apple.security.root</string>"));
    assert_non_null(strstr(profile, "<data>\nREVS\n</data>"));
    assert_non_null(strstr(profile, "<string>porchlight.hub-1.web-ca</string>"));
    assert_non_null(strstr(profile, "<string>Porchlight at porch.local</string>"));
}

static void identifiers_follow_from_the_certificate_and_are_well_formed(void **state) {
    (void)state;
    assert_non_null(strstr(written("x"), "<string>ABCD0102-0304-8506-8708-090A0B0C0D0E</string>"));
    assert_non_null(strstr(written("x"), "<string>FFFF0000-0000-8000-8000-000000000000</string>"));
}

static void what_would_be_markup_is_escaped(void **state) {
    (void)state;
    assert_non_null(strstr(written("a<b>&c"), "Porchlight at a&lt;b&gt;&amp;c</string>"));
}

static void a_profile_that_does_not_fit_is_an_error_at_every_length(void **state) {
    (void)state;
    uint8_t block[4096];
    size_t whole = strlen(written("x"));
    for (size_t cap = 0; cap < whole; cap++) {
        porch_buf out = {block, 0, cap};
        assert_int_not_equal(porch_profile_write(&out, "hub-1", "x", PORCH_LIT("DER"), print), PORCH_OK);
    }
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(the_payload_is_a_root_certificate_with_the_same_bytes),
        cmocka_unit_test(identifiers_follow_from_the_certificate_and_are_well_formed),
        cmocka_unit_test(what_would_be_markup_is_escaped),
        cmocka_unit_test(a_profile_that_does_not_fit_is_an_error_at_every_length),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
