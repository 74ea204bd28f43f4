#include "crypto/aead.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <string.h>

#include <cmocka.h>

#include "base/text.h"

static const uint8_t key[32], nonce[12];

static void a_vector_of_the_gcm_specification_holds(void **state) {
    (void)state;
    /* Test case 14: zero key, zero nonce, sixteen zero bytes. */
    static const uint8_t plain[16];
    uint8_t block[32], text[65] = {0};
    porch_buf out = PORCH_BUF_OF(block), hex = {text, 0, 64};
    assert_int_equal(porch_aead_seal(key, nonce, PORCH_LIT(""), (porch_bytes){plain, 16}, &out), PORCH_OK);
    assert_int_equal(porch_hex_write(&hex, porch_buf_bytes(&out)), PORCH_OK);
    assert_string_equal((char *)text, "cea7403d4d606b6e074ec5d3baf39d18d0d1c8a799996bf0265b98b5d48ab919");
}

static void what_was_sealed_opens_and_one_object_serves_many_pieces(void **state) {
    (void)state;
    porch_aead *a = porch_aead_new(key);
    uint8_t plain[100], sealed_block[200] = {0}, open_block[200] = {0};
    memset(plain, 'p', sizeof plain);
    for (size_t len = 0; len <= sizeof plain; len++) {
        uint8_t own_nonce[12] = {(uint8_t)len};
        porch_buf sealed = PORCH_BUF_OF(sealed_block), opened = PORCH_BUF_OF(open_block);
        assert_int_equal(
            porch_aead_seal_with(a, own_nonce, PORCH_LIT("aad"), (porch_bytes){plain, len}, &sealed),
            PORCH_OK);
        assert_int_equal(sealed.len, len + 16);
        assert_int_equal(
            porch_aead_open(key, own_nonce, PORCH_LIT("aad"), porch_buf_bytes(&sealed), &opened), PORCH_OK);
        assert_true(porch_bytes_eq(porch_buf_bytes(&opened), (porch_bytes){plain, len}));
        assert_int_equal(
            porch_aead_open_with(a, own_nonce, PORCH_LIT("aad"), porch_buf_bytes(&sealed), &opened),
            PORCH_OK);
    }
    porch_aead_free(a);
}

static void any_changed_bit_is_refused_and_leaves_no_plain_text(void **state) {
    (void)state;
    uint8_t sealed_block[64], open_block[64] = {0};
    static const uint8_t zeros[64];
    porch_buf sealed = PORCH_BUF_OF(sealed_block);
    assert_int_equal(porch_aead_seal(key, nonce, PORCH_LIT("a"), PORCH_LIT("secret words"), &sealed),
                     PORCH_OK);
    for (size_t bit = 0; bit < sealed.len * 8; bit++) {
        sealed_block[bit / 8] ^= (uint8_t)(1u << bit % 8);
        porch_buf opened = PORCH_BUF_OF(open_block);
        assert_int_equal(porch_aead_open(key, nonce, PORCH_LIT("a"), porch_buf_bytes(&sealed), &opened),
                         PORCH_ERR_SIGNATURE);
        assert_int_equal(opened.len, 0);
        assert_memory_equal(open_block, zeros, sizeof zeros);
        sealed_block[bit / 8] ^= (uint8_t)(1u << bit % 8);
    }
    porch_buf opened = PORCH_BUF_OF(open_block);
    assert_int_equal(porch_aead_open(key, nonce, PORCH_LIT("b"), porch_buf_bytes(&sealed), &opened),
                     PORCH_ERR_SIGNATURE);
    for (size_t cut = 0; cut < sealed.len; cut++)
        assert_int_equal(
            porch_aead_open(key, nonce, PORCH_LIT("a"), (porch_bytes){sealed_block, cut}, &opened),
            PORCH_ERR_SIGNATURE);
    assert_int_equal(porch_aead_open(key, nonce, PORCH_LIT("a"), porch_buf_bytes(&sealed), &opened),
                     PORCH_OK);
}

static void a_block_too_small_is_told_before_anything_is_written(void **state) {
    (void)state;
    uint8_t block[20] = {0};
    porch_buf out = {block, 0, 17};
    assert_int_equal(porch_aead_seal(key, nonce, PORCH_LIT(""), PORCH_LIT("ab"), &out), PORCH_ERR_NO_SPACE);
    assert_int_equal(block[0], 0);
    assert_int_equal(porch_aead_seal(key, nonce, PORCH_LIT(""), PORCH_LIT("a"), &out), PORCH_OK);
    porch_buf none = {block, 0, 0};
    assert_int_equal(porch_aead_open(key, nonce, PORCH_LIT(""), porch_buf_bytes(&out), &none),
                     PORCH_ERR_NO_SPACE);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_vector_of_the_gcm_specification_holds),
        cmocka_unit_test(what_was_sealed_opens_and_one_object_serves_many_pieces),
        cmocka_unit_test(any_changed_bit_is_refused_and_leaves_no_plain_text),
        cmocka_unit_test(a_block_too_small_is_told_before_anything_is_written),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
