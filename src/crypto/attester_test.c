/* Public areas as TPMs write them; tests/integration/test_attestation.py has real ones. */
#include "crypto/attester.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <string.h>

#include <cmocka.h>

#include "base/cursor.h"
#include "crypto/sha256.h"

enum { SIGNS_STATEMENTS = 0x00050072 };

static uint8_t block[160];

static porch_bytes area_of(uint16_t type, uint32_t attributes, uint16_t scheme, size_t number_bytes) {
    static const uint8_t number[33] = {7, 7, 7};
    porch_buf b = PORCH_BUF_OF(block);
    const uint16_t head[] = {type, 0x000b}, rest[] = {0x0010, scheme, 0x000b, 0x0003, 0x0010};
    for (size_t i = 0; i < 2; i++)
        (void)porch_write_u16(&b, head[i]);
    (void)porch_write_u32(&b, attributes);
    (void)porch_write_block16(&b, (porch_bytes){NULL, 0});
    for (size_t i = 0; i < 5; i++)
        (void)porch_write_u16(&b, rest[i]);
    for (size_t i = 0; i < 2; i++)
        (void)porch_write_block16(&b, (porch_bytes){number, number_bytes});
    return porch_buf_bytes(&b);
}

static void a_key_that_signs_only_what_its_tpm_says_is_read_with_its_name(void **state) {
    (void)state;
    porch_attester a;
    uint8_t hash[32];
    porch_bytes area = area_of(0x0023, SIGNS_STATEMENTS, 0x0018, 32);
    assert_int_equal(porch_attester_read(area, &a), PORCH_OK);
    porch_sha256(area, hash);
    assert_int_equal(a.name[0], 0);
    assert_int_equal(a.name[1], 0x0b);
    assert_memory_equal(a.name + 2, hash, 32);
    assert_int_equal(a.key.kind, PORCH_KEY_P256);
    assert_int_equal(a.key.der[a.key.len - 64], 7);
    /* without leading zeros it is the same number, further to the right */
    assert_int_equal(porch_attester_read(area_of(0x0023, SIGNS_STATEMENTS, 0x0018, 31), &a), PORCH_OK);
    assert_int_equal(a.key.der[a.key.len - 64], 0);
}

static void keys_that_could_sign_anything_leave_or_were_brought_in_are_none(void **state) {
    (void)state;
    porch_attester a;
    /* fixedTPM, fixedParent, sensitiveDataOrigin, restricted, sign: each must be there; decrypt must not */
    static const uint32_t needed[] = {0x2, 0x10, 0x20, 0x10000, 0x40000};
    for (size_t i = 0; i < sizeof needed / sizeof needed[0]; i++)
        assert_int_equal(
            porch_attester_read(area_of(0x0023, SIGNS_STATEMENTS & ~needed[i], 0x0018, 32), &a),
            PORCH_ERR_UNSUPPORTED);
    assert_int_equal(porch_attester_read(area_of(0x0023, SIGNS_STATEMENTS | 0x20000, 0x0018, 32), &a),
                     PORCH_ERR_UNSUPPORTED);
    assert_int_equal(porch_attester_read(area_of(0x0001, SIGNS_STATEMENTS, 0x0018, 32), &a),
                     PORCH_ERR_UNSUPPORTED);
    assert_int_equal(porch_attester_read(area_of(0x0023, SIGNS_STATEMENTS, 0x0010, 32), &a),
                     PORCH_ERR_UNSUPPORTED);
    assert_int_equal(porch_attester_read(area_of(0x0023, SIGNS_STATEMENTS, 0x0018, 33), &a),
                     PORCH_ERR_MALFORMED);
}

static void an_area_that_is_cut_or_longer_is_refused(void **state) {
    (void)state;
    porch_attester a;
    porch_bytes area = area_of(0x0023, SIGNS_STATEMENTS, 0x0018, 32);
    for (size_t n = 0; n < area.len; n++)
        assert_int_not_equal(porch_attester_read((porch_bytes){block, n}, &a), PORCH_OK);
    block[area.len] = 0;
    assert_int_equal(porch_attester_read((porch_bytes){block, area.len + 1}, &a), PORCH_ERR_MALFORMED);
}

static void the_challenge_follows_from_the_secret_alone(void **state) {
    (void)state;
    uint8_t one[32] = {1}, other[32] = {2}, a[32], b[32];
    porch_attestation_challenge_of(one, a);
    porch_attestation_challenge_of(one, b);
    assert_memory_equal(a, b, 32);
    porch_attestation_challenge_of(other, b);
    assert_memory_not_equal(a, b, 32);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_key_that_signs_only_what_its_tpm_says_is_read_with_its_name),
        cmocka_unit_test(keys_that_could_sign_anything_leave_or_were_brought_in_are_none),
        cmocka_unit_test(an_area_that_is_cut_or_longer_is_refused),
        cmocka_unit_test(the_challenge_follows_from_the_secret_alone),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
