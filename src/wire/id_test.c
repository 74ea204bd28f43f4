#include "wire/id.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <string.h>

#include <cmocka.h>

static void letters_digits_and_dashes_make_an_id(void **state) {
    (void)state;
    const char *good[] = {"a",
                          "0",
                          "cam-1",
                          "0-",
                          "a--b",
                          "porch",
                          "0123456789abcdef0123456789abcdef0123456789abcdef0123456789abcdef"};
    for (size_t i = 0; i < sizeof good / sizeof good[0]; i++) {
        porch_id id;
        assert_int_equal(porch_id_parse(porch_bytes_of(good[i]), &id), PORCH_OK);
        assert_string_equal(id.text, good[i]);
    }
}

static void nothing_that_could_mean_something_elsewhere_is_an_id(void **state) {
    (void)state;
    const char *bad[] = {"",         "-a",
                         "A",        "a b",
                         "a/b",      "+",
                         "a+",       "#",
                         "$a",       "a.b",
                         "..",       "a_b",
                         "\xc3\xa4", "a\n",
                         "a%",       "${a}",
                         "a'b",      "a\"",
                         "a\\",      "a:b",
                         "a,b",      "0123456789abcdef0123456789abcdef0123456789abcdef0123456789abcdef0"};
    for (size_t i = 0; i < sizeof bad / sizeof bad[0]; i++) {
        porch_id id = {"untouched"};
        assert_int_equal(porch_id_parse(porch_bytes_of(bad[i]), &id), PORCH_ERR_MALFORMED);
        assert_string_equal(id.text, "untouched");
    }
    porch_id id;
    assert_int_equal(porch_id_parse(PORCH_LIT("a\0b"), &id), PORCH_ERR_MALFORMED);
}

static void every_byte_outside_the_alphabet_is_refused_in_every_place(void **state) {
    (void)state;
    for (unsigned c = 0; c < 256; c++) {
        bool inside = (c >= 'a' && c <= 'z') || (c >= '0' && c <= '9');
        uint8_t first[] = {(uint8_t)c, 'x'};
        uint8_t later[] = {'x', (uint8_t)c};
        porch_id id;
        assert_int_equal(porch_id_parse((porch_bytes){first, 2}, &id) == PORCH_OK, inside);
        assert_int_equal(porch_id_parse((porch_bytes){later, 2}, &id) == PORCH_OK, inside || c == '-');
    }
}

static void equal_ids_are_equal_in_every_byte(void **state) {
    (void)state;
    porch_id a, b;
    memset(&a, 0x55, sizeof a);
    memset(&b, 0xaa, sizeof b);
    assert_int_equal(porch_id_parse(PORCH_LIT("cam-1"), &a), PORCH_OK);
    assert_int_equal(porch_id_parse(PORCH_LIT("cam-1"), &b), PORCH_OK);
    assert_memory_equal(&a, &b, sizeof a);
    assert_true(porch_id_eq(&a, &b));
    assert_int_equal(porch_id_parse(PORCH_LIT("cam-2"), &b), PORCH_OK);
    assert_false(porch_id_eq(&a, &b));
    assert_true(porch_bytes_eq_text(porch_id_bytes(&b), "cam-2"));
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(letters_digits_and_dashes_make_an_id),
        cmocka_unit_test(nothing_that_could_mean_something_elsewhere_is_an_id),
        cmocka_unit_test(every_byte_outside_the_alphabet_is_refused_in_every_place),
        cmocka_unit_test(equal_ids_are_equal_in_every_byte),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
