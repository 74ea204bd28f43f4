#include "wire/mqtt_field.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <string.h>

#include <cmocka.h>

#define BYTES(text) ((porch_bytes){(const uint8_t *)(text), sizeof(text) - 1})

static void a_string_is_utf8_without_zero_and_fits_its_length(void **state) {
    (void)state;
    static uint8_t longest[65536];
    memset(longest, 'a', sizeof longest);
    assert_true(porch_mqtt_is_string(BYTES("")));
    assert_true(
        porch_mqtt_is_string(BYTES("\xef\xbb\xbf h\xc3\xa9"))); /* a byte order mark is a character */
    assert_true(porch_mqtt_is_string((porch_bytes){longest, 65535}));
    assert_false(porch_mqtt_is_string((porch_bytes){longest, 65536}));
    assert_false(porch_mqtt_is_string(BYTES("a\0b")));
    assert_false(porch_mqtt_is_string(BYTES("\xed\xa0\x80")));
    assert_false(porch_mqtt_is_string(BYTES("\xc0\x80")));
}

static void a_tail_has_three_forms_and_no_other(void **state) {
    (void)state;
    const struct {
        porch_bytes raw;
        porch_err want;
        uint8_t reason;
    } rows[] = {
        {BYTES(""), PORCH_OK, 0},
        {BYTES("\x10"), PORCH_OK, 0x10},
        {BYTES("\x10\0"), PORCH_OK, 0x10},
        {BYTES("\x10\4\x1f\0\1n"), PORCH_OK, 0x10},
        {BYTES("\x92"), PORCH_ERR_MALFORMED, 0},
        {BYTES("\x10\1"), PORCH_ERR_MALFORMED, 0},
        {BYTES("\x10\0\0"), PORCH_ERR_MALFORMED, 0},
    };
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        porch_reader r = porch_reader_of(rows[i].raw);
        uint8_t reason = 0;
        porch_mqtt_properties p;
        assert_int_equal(porch_mqtt_take_tail(&r, PORCH_MQTT_PUBACK, NULL, &reason, &p), rows[i].want);
        assert_int_equal(reason, rows[i].reason);
    }
}

static void undo_puts_the_fill_mark_back_only_after_an_error(void **state) {
    (void)state;
    uint8_t raw[4];
    porch_buf b = {raw, 3, 4};
    assert_int_equal(porch_mqtt_undo(&b, 1, PORCH_OK), PORCH_OK);
    assert_int_equal(b.len, 3);
    assert_int_equal(porch_mqtt_undo(&b, 1, PORCH_ERR_NO_SPACE), PORCH_ERR_NO_SPACE);
    assert_int_equal(b.len, 1);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_string_is_utf8_without_zero_and_fits_its_length),
        cmocka_unit_test(a_tail_has_three_forms_and_no_other),
        cmocka_unit_test(undo_puts_the_fill_mark_back_only_after_an_error),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
