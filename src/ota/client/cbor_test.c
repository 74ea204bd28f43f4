#include "ota/client/cbor.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include <cmocka.h>

static porch_err head(const uint8_t *at, size_t len, porch_cbor_type type, uint64_t *ret) {
    porch_reader r = porch_reader_of((porch_bytes){at, len});
    porch_err e = porch_cbor_head(&r, type, ret);
    assert_int_equal(r.rest.len, e == PORCH_OK ? 0 : len); /* an error moves nothing */
    return e;
}

/* RFC 8949, appendix A. */
static void numbers_of_the_standard_are_read(void **state) {
    static const struct {
        uint8_t bytes[9];
        size_t len;
        uint64_t value;
    } rows[] = {{{0x00}, 1, 0},
                {{0x17}, 1, 23},
                {{0x18, 0x18}, 2, 24},
                {{0x18, 0x64}, 2, 100},
                {{0x19, 0x03, 0xe8}, 3, 1000},
                {{0x1a, 0x00, 0x0f, 0x42, 0x40}, 5, 1000000},
                {{0x1b, 0x00, 0x00, 0x00, 0xe8, 0xd4, 0xa5, 0x10, 0x00}, 9, 1000000000000},
                {{0x1b, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff}, 9, UINT64_MAX}};
    (void)state;
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        uint64_t value = 1;
        assert_int_equal(head(rows[i].bytes, rows[i].len, PORCH_CBOR_UINT, &value), PORCH_OK);
        assert_true(value == rows[i].value);
        for (size_t len = 0; len < rows[i].len; len++)
            assert_int_equal(head(rows[i].bytes, len, PORCH_CBOR_UINT, &value), PORCH_ERR_TRUNCATED);
    }
}

static void longer_forms_of_a_number_and_what_has_no_length_are_refused(void **state) {
    static const struct {
        uint8_t bytes[9];
        size_t len;
    } rows[] = {{{0x18, 0x17}, 2},
                {{0x19, 0x00, 0xff}, 3},
                {{0x1a, 0x00, 0x00, 0xff, 0xff}, 5},
                {{0x1b, 0, 0, 0, 0, 0xff, 0xff, 0xff, 0xff}, 9},
                {{0x1c}, 1},
                {{0x1f}, 1},
                {{0x20}, 1}};
    (void)state;
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        uint64_t value = 0;
        assert_int_equal(head(rows[i].bytes, rows[i].len, PORCH_CBOR_UINT, &value), PORCH_ERR_MALFORMED);
    }
    static const uint8_t endless[] = {0x5f, 0x41, 0x01, 0xff};
    porch_reader r = porch_reader_of((porch_bytes){endless, sizeof endless});
    porch_bytes s;
    assert_int_equal(porch_cbor_string(&r, PORCH_CBOR_BYTES, &s), PORCH_ERR_MALFORMED);
}

static void a_string_never_reaches_past_its_input(void **state) {
    static const uint8_t longest[] = {0x5b, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 'x'};
    static const uint8_t good[] = {0x62, 'h', 'i'};
    porch_bytes s = {NULL, 0};
    porch_reader r = porch_reader_of((porch_bytes){longest, sizeof longest});
    (void)state;
    assert_int_equal(porch_cbor_string(&r, PORCH_CBOR_BYTES, &s), PORCH_ERR_TRUNCATED);
    assert_int_equal(r.rest.len, sizeof longest);
    r = porch_reader_of((porch_bytes){good, sizeof good});
    assert_int_equal(porch_cbor_string(&r, PORCH_CBOR_BYTES, &s), PORCH_ERR_MALFORMED);
    assert_int_equal(porch_cbor_string(&r, PORCH_CBOR_TEXT, &s), PORCH_OK);
    assert_true(porch_bytes_eq_text(s, "hi"));
    assert_true(porch_reader_done(&r));
}

static void fixed_parts_are_these_bytes_or_nothing(void **state) {
    static const uint8_t text[] = {0x82, 0x03, 0x0f, 0xf6}, other[] = {0x82, 0x04};
    porch_reader r = porch_reader_of((porch_bytes){text, sizeof text});
    (void)state;
    assert_int_equal(porch_cbor_fixed(&r, other, sizeof other), PORCH_ERR_MALFORMED);
    assert_int_equal(porch_cbor_fixed(&r, text, 3), PORCH_OK);
    assert_true(porch_cbor_next_is(&r, 0xf6));
    assert_int_equal(porch_cbor_null(&r), PORCH_OK);
    assert_false(porch_cbor_next_is(&r, 0xf6));
    assert_int_equal(porch_cbor_null(&r), PORCH_ERR_TRUNCATED);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(numbers_of_the_standard_are_read),
        cmocka_unit_test(longer_forms_of_a_number_and_what_has_no_length_are_refused),
        cmocka_unit_test(a_string_never_reaches_past_its_input),
        cmocka_unit_test(fixed_parts_are_these_bytes_or_nothing),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
