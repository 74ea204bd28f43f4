#include "device/secret_box.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <string.h>

#include <cmocka.h>

static const uint8_t key[PORCH_SECRET_KEY_BYTES] = {1, 2, 3}, other[PORCH_SECRET_KEY_BYTES] = {1, 2, 4};

static void a_secret_opens_with_its_key_and_under_its_name_alone(void **state) {
    (void)state;
    uint8_t box_block[PORCH_SECRET_BOX_MOST], back_block[PORCH_SECRET_MOST];
    porch_buf box = PORCH_BUF_OF(box_block), back = PORCH_BUF_OF(back_block);
    assert_int_equal(porch_secret_close(key, "wifi", PORCH_LIT("correct horse"), &box), PORCH_OK);
    assert_null(memmem(box_block, box.len, "horse", 5));
    assert_int_equal(porch_secret_open(key, "token", porch_buf_bytes(&box), &back), PORCH_ERR_SIGNATURE);
    assert_int_equal(porch_secret_open(other, "wifi", porch_buf_bytes(&box), &back), PORCH_ERR_SIGNATURE);
    assert_int_equal(back.len, 0);
    assert_int_equal(porch_secret_open(key, "wifi", porch_buf_bytes(&box), &back), PORCH_OK);
    assert_true(porch_bytes_eq_text(porch_buf_bytes(&back), "correct horse"));
    for (size_t i = 0; i < box.len; i++) {
        box_block[i] ^= 1;
        assert_int_not_equal(porch_secret_open(key, "wifi", porch_buf_bytes(&box), &back), PORCH_OK);
        box_block[i] ^= 1;
    }
    for (size_t n = 0; n < box.len; n++)
        assert_int_not_equal(porch_secret_open(key, "wifi", (porch_bytes){box_block, n}, &back), PORCH_OK);
}

static void the_same_secret_never_looks_the_same_twice(void **state) {
    (void)state;
    uint8_t one_block[64], two_block[64];
    porch_buf one = PORCH_BUF_OF(one_block), two = PORCH_BUF_OF(two_block);
    assert_int_equal(porch_secret_close(key, "wifi", PORCH_LIT("same"), &one), PORCH_OK);
    assert_int_equal(porch_secret_close(key, "wifi", PORCH_LIT("same"), &two), PORCH_OK);
    assert_memory_not_equal(one_block, two_block, one.len);
}

static void names_and_sizes_have_limits(void **state) {
    (void)state;
    static uint8_t large[PORCH_SECRET_MOST + 1], box_block[PORCH_SECRET_BOX_MOST];
    porch_buf box = PORCH_BUF_OF(box_block);
    assert_int_equal(porch_secret_close(key, "x", (porch_bytes){large, sizeof large}, &box),
                     PORCH_ERR_LIMIT);
    assert_int_equal(porch_secret_close(key, "x", (porch_bytes){large, 0}, &box), PORCH_ERR_LIMIT);
    assert_int_equal(porch_secret_close(key, "x", (porch_bytes){large, PORCH_SECRET_MOST}, &box), PORCH_OK);
    assert_int_equal(porch_secret_name_check("wifi-home", NULL), PORCH_OK);
    static const char *const wrong[] = {"", "../key.pem", "Wifi", "a/b", ".hidden", "a b"};
    for (size_t i = 0; i < sizeof wrong / sizeof wrong[0]; i++)
        assert_int_equal(porch_secret_name_check(wrong[i], NULL), PORCH_ERR_USAGE);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_secret_opens_with_its_key_and_under_its_name_alone),
        cmocka_unit_test(the_same_secret_never_looks_the_same_twice),
        cmocka_unit_test(names_and_sizes_have_limits),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
