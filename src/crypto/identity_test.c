#include "crypto/identity.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <string.h>

#include <cmocka.h>

static void the_two_kinds_are_read_and_written_back(void **state) {
    (void)state;
    static const struct {
        const char *uri, *name;
        porch_identity_kind kind;
    } rows[] = {
        {"urn:porchlight:device:cam-1", "cam-1", PORCH_IDENTITY_DEVICE},
        {"urn:porchlight:service:9", "9", PORCH_IDENTITY_SERVICE},
        {"urn:porchlight:device:service", "service", PORCH_IDENTITY_DEVICE},
        {"urn:porchlight:service:0123456789012345678901234567890123456789012345678901234567890123",
         "0123456789012345678901234567890123456789012345678901234567890123", PORCH_IDENTITY_SERVICE},
    };
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        porch_identity got;
        assert_int_equal(porch_identity_parse(porch_bytes_of(rows[i].uri), &got), PORCH_OK);
        assert_int_equal(got.kind, rows[i].kind);
        assert_string_equal(got.name, rows[i].name);
        char uri[PORCH_IDENTITY_URI_BYTES];
        assert_int_equal(porch_identity_uri(&got, uri), PORCH_OK);
        assert_string_equal(uri, rows[i].uri);
    }
}

static void every_other_text_is_refused_and_leaves_the_output_alone(void **state) {
    (void)state;
    static const char *const rows[] = {
        "",
        "urn:porchlight:device",
        "urn:porchlight:device:",
        "urn:porchlight:device:Cam",
        "URN:porchlight:device:a",
        "urn:porchlight:device:-a",
        "urn:porchlight:device:a:b",
        "urn:porchlight:device:a/b",
        "urn:porchlight:device:a+",
        "urn:porchlight:device:#",
        "urn:porchlight:person:a",
        "urn:porchlight:devices:a",
        " urn:porchlight:device:a",
        "urn:porchlight:device:a ",
        "urn:porchlight:device:\xc3\xa4",
        "urn:porchlight:device:01234567890123456789012345678901234567890123456789012345678901234",
    };
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        porch_identity got = {.name = "before"};
        assert_int_equal(porch_identity_parse(porch_bytes_of(rows[i]), &got), PORCH_ERR_MALFORMED);
        assert_string_equal(got.name, "before");
    }
    porch_identity got = {.name = "before"};
    assert_int_equal(porch_identity_parse(PORCH_LIT("urn:porchlight:device:a\0b"), &got),
                     PORCH_ERR_MALFORMED);
    assert_int_equal(porch_identity_make(PORCH_IDENTITY_NONE, PORCH_LIT("a"), &got), PORCH_ERR_MALFORMED);
    char uri[PORCH_IDENTITY_URI_BYTES];
    assert_int_equal(porch_identity_uri(&got, uri), PORCH_ERR_MALFORMED);
    assert_string_equal(porch_identity_kind_text(PORCH_IDENTITY_NONE), "none");
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(the_two_kinds_are_read_and_written_back),
        cmocka_unit_test(every_other_text_is_refused_and_leaves_the_output_alone),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
