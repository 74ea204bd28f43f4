#include "crypto/box.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <string.h>

#include <cmocka.h>

static uint8_t secret[PORCH_BOX_SECRET_BYTES], public_key[PORCH_BOX_PUBLIC_BYTES];

static int make_pair(void **state) {
    (void)state;
    return porch_box_generate(secret, public_key, NULL) == PORCH_OK ? 0 : -1;
}

static void what_anybody_sealed_the_secret_opens(void **state) {
    (void)state;
    static uint8_t plain[PORCH_BOX_PLAIN_BYTES + 1];
    static const size_t sizes[] = {0, 1, 32, PORCH_BOX_PLAIN_BYTES};
    for (size_t i = 0; i < sizeof sizes / sizeof sizes[0]; i++) {
        static uint8_t box_block[PORCH_BOX_PLAIN_BYTES + PORCH_BOX_EXTRA_BYTES],
            open_block[PORCH_BOX_PLAIN_BYTES];
        porch_buf box = PORCH_BUF_OF(box_block), opened = PORCH_BUF_OF(open_block);
        memset(plain, 'p', sizeof plain);
        porch_bytes content = {plain, sizes[i]};
        assert_int_equal(porch_box_seal(public_key, PORCH_LIT("backup"), content, &box, NULL), PORCH_OK);
        assert_int_equal(box.len, sizes[i] + PORCH_BOX_EXTRA_BYTES);
        assert_int_equal(porch_box_open(secret, PORCH_LIT("backup"), porch_buf_bytes(&box), &opened, NULL),
                         PORCH_OK);
        assert_true(porch_bytes_eq(porch_buf_bytes(&opened), content));
    }
    porch_buf none = {plain, 0, sizeof plain};
    assert_int_equal(
        porch_box_seal(public_key, PORCH_LIT(""), (porch_bytes){plain, sizeof plain}, &none, NULL),
        PORCH_ERR_LIMIT);
    none.cap = PORCH_BOX_EXTRA_BYTES;
    assert_int_equal(porch_box_seal(public_key, PORCH_LIT(""), PORCH_LIT("x"), &none, NULL),
                     PORCH_ERR_NO_SPACE);
}

static void two_boxes_of_the_same_content_differ(void **state) {
    (void)state;
    uint8_t a_block[200], b_block[200];
    porch_buf a = PORCH_BUF_OF(a_block), b = PORCH_BUF_OF(b_block);
    assert_int_equal(porch_box_seal(public_key, PORCH_LIT("i"), PORCH_LIT("same"), &a, NULL), PORCH_OK);
    assert_int_equal(porch_box_seal(public_key, PORCH_LIT("i"), PORCH_LIT("same"), &b, NULL), PORCH_OK);
    assert_memory_not_equal(a_block, b_block, 65);
    assert_memory_not_equal(a_block + 65, b_block + 65, 4);
}

static void another_key_purpose_or_any_changed_bit_opens_nothing(void **state) {
    (void)state;
    uint8_t block[200], out_block[200], other[PORCH_BOX_SECRET_BYTES], other_public[PORCH_BOX_PUBLIC_BYTES];
    porch_buf box = PORCH_BUF_OF(block), out = PORCH_BUF_OF(out_block);
    assert_int_equal(porch_box_seal(public_key, PORCH_LIT("i"), PORCH_LIT("content"), &box, NULL),
                     PORCH_OK);
    assert_int_equal(porch_box_generate(other, other_public, NULL), PORCH_OK);
    porch_bytes whole = porch_buf_bytes(&box);
    porch_why why = {""};
    assert_int_equal(porch_box_open(other, PORCH_LIT("i"), whole, &out, &why), PORCH_ERR_SIGNATURE);
    assert_true(strlen(why.text) > 10);
    assert_int_equal(porch_box_open(secret, PORCH_LIT("j"), whole, &out, NULL), PORCH_ERR_SIGNATURE);
    memset(other, 0, sizeof other);
    assert_int_equal(porch_box_open(other, PORCH_LIT("i"), whole, &out, NULL), PORCH_ERR_SIGNATURE);
    memset(other, 0xff, sizeof other);
    assert_int_equal(porch_box_open(other, PORCH_LIT("i"), whole, &out, NULL), PORCH_ERR_SIGNATURE);
    for (size_t bit = 0; bit < box.len * 8; bit++) {
        block[bit / 8] ^= (uint8_t)(1u << bit % 8);
        assert_int_equal(porch_box_open(secret, PORCH_LIT("i"), whole, &out, NULL), PORCH_ERR_SIGNATURE);
        block[bit / 8] ^= (uint8_t)(1u << bit % 8);
    }
    for (size_t cut = 0; cut < box.len; cut++)
        assert_int_equal(porch_box_open(secret, PORCH_LIT("i"), (porch_bytes){block, cut}, &out, NULL),
                         PORCH_ERR_SIGNATURE);
    assert_int_equal(out.len, 0);
    assert_int_equal(porch_box_open(secret, PORCH_LIT("i"), whole, &out, NULL), PORCH_OK);
}

static void a_point_off_the_curve_is_refused(void **state) {
    (void)state;
    uint8_t bad[PORCH_BOX_PUBLIC_BYTES], block[200];
    porch_buf box = PORCH_BUF_OF(block);
    memcpy(bad, public_key, sizeof bad);
    bad[64] ^= 1;
    assert_int_equal(porch_box_seal(bad, PORCH_LIT(""), PORCH_LIT("x"), &box, NULL), PORCH_ERR_MALFORMED);
    memset(bad, 0, sizeof bad);
    assert_int_equal(porch_box_seal(bad, PORCH_LIT(""), PORCH_LIT("x"), &box, NULL), PORCH_ERR_MALFORMED);
    bad[0] = 4;
    assert_int_equal(porch_box_seal(bad, PORCH_LIT(""), PORCH_LIT("x"), &box, NULL), PORCH_ERR_MALFORMED);
    assert_int_equal(box.len, 0);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(what_anybody_sealed_the_secret_opens),
        cmocka_unit_test(two_boxes_of_the_same_content_differ),
        cmocka_unit_test(another_key_purpose_or_any_changed_bit_opens_nothing),
        cmocka_unit_test(a_point_off_the_curve_is_refused),
    };
    return cmocka_run_group_tests(tests, make_pair, NULL);
}
