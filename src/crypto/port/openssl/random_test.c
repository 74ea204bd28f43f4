#include "crypto/random.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <string.h>

#include <cmocka.h>

static void ids_are_lower_hex_and_differ(void **state) {
    (void)state;
    char ids[64][PORCH_RANDOM_ID_BYTES];
    for (size_t i = 0; i < 64; i++) {
        porch_random_id(ids[i]);
        assert_int_equal(strlen(ids[i]), 32);
        assert_int_equal(strspn(ids[i], "0123456789abcdef"), 32);
        for (size_t k = 0; k < i; k++)
            assert_string_not_equal(ids[i], ids[k]);
    }
}

static void every_byte_of_a_block_is_filled(void **state) {
    (void)state;
    uint8_t block[257], any[257] = {0};
    for (int round = 0; round < 16; round++) {
        memset(block, 0, sizeof block);
        porch_random(block, 256);
        for (size_t i = 0; i < sizeof block; i++)
            any[i] |= block[i];
    }
    for (size_t i = 0; i < 256; i++)
        assert_int_not_equal(any[i], 0);
    assert_int_equal(any[256], 0);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(ids_are_lower_hex_and_differ),
        cmocka_unit_test(every_byte_of_a_block_is_filled),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
