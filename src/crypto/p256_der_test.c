#include "crypto/p256_der.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <string.h>

#include <cmocka.h>

static void numbers_lose_their_zeros_and_stay_positive(void **state) {
    (void)state;
    static const struct {
        uint8_t number[4];
        uint8_t der[6];
        size_t len;
    } rows[] = {{{0, 0, 0, 1}, {2, 1, 1}, 3},
                {{0, 0, 0, 0}, {2, 1, 0}, 3},
                {{0, 0, 0, 0x80}, {2, 2, 0, 0x80}, 4},
                {{0x7f, 1, 2, 3}, {2, 4, 0x7f, 1, 2, 3}, 6}};
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        uint8_t block[40];
        porch_buf out = PORCH_BUF_OF(block);
        assert_int_equal(porch_p256_signature_der((porch_bytes){rows[i].number, 4}, PORCH_LIT("\1"), &out),
                         PORCH_OK);
        assert_int_equal(block[0], 0x30);
        assert_int_equal(block[1], out.len - 2);
        assert_memory_equal(block + 2, rows[i].der, rows[i].len);
        assert_memory_equal(block + 2 + rows[i].len, "\2\1\1", 3);
    }
}

static void the_longest_signature_fits_and_a_longer_number_does_not(void **state) {
    (void)state;
    uint8_t number[33], block[PORCH_SIGNATURE_MAX_BYTES];
    porch_buf out = PORCH_BUF_OF(block), small = {block, 0, 71};
    memset(number, 0xff, sizeof number);
    porch_bytes most = {number, 32}, more = {number, 33};
    assert_int_equal(porch_p256_signature_der(most, most, &small), PORCH_ERR_NO_SPACE);
    assert_int_equal(small.len, 0);
    assert_int_equal(porch_p256_signature_der(most, most, &out), PORCH_OK);
    assert_int_equal(out.len, 72);
    assert_int_equal(porch_p256_signature_der(more, most, &out), PORCH_ERR_LIMIT);
}

static void only_an_uncompressed_point_becomes_a_public_key(void **state) {
    (void)state;
    uint8_t point[PORCH_P256_POINT_BYTES] = {4};
    porch_public_key key;
    assert_int_equal(porch_p256_public_key((porch_bytes){point, sizeof point}, &key), PORCH_OK);
    assert_int_equal(key.len, 91);
    assert_int_equal(key.kind, PORCH_KEY_P256);
    assert_int_equal(porch_p256_public_key((porch_bytes){point, 64}, &key), PORCH_ERR_MALFORMED);
    point[0] = 2;
    assert_int_equal(porch_p256_public_key((porch_bytes){point, sizeof point}, &key), PORCH_ERR_MALFORMED);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(numbers_lose_their_zeros_and_stay_positive),
        cmocka_unit_test(the_longest_signature_fits_and_a_longer_number_does_not),
        cmocka_unit_test(only_an_uncompressed_point_becomes_a_public_key),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
