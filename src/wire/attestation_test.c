#include "wire/attestation.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <string.h>

#include <cmocka.h>

static void each_of_the_three_reads_back_and_is_refused_when_cut_or_longer(void **state) {
    (void)state;
    uint8_t block[256];
    porch_buf out = PORCH_BUF_OF(block);
    porch_attestation_question q = {PORCH_LIT("certificate"), PORCH_LIT("area")}, q2;
    porch_attestation_challenge c = {PORCH_LIT("ticket"), PORCH_LIT("credential"), PORCH_LIT("seed")}, c2;
    porch_attestation_evidence e = {PORCH_LIT("ticket"), PORCH_LIT("statement"), PORCH_LIT("signature")},
                               e2;
    assert_int_equal(porch_attestation_question_write(&q, &out), PORCH_OK);
    assert_int_equal(porch_attestation_question_read(porch_buf_bytes(&out), &q2), PORCH_OK);
    assert_true(porch_bytes_eq_text(q2.certificate, "certificate"));
    assert_true(porch_bytes_eq_text(q2.attester, "area"));
    for (size_t n = 0; n < out.len; n++)
        assert_int_not_equal(porch_attestation_question_read((porch_bytes){block, n}, &q2), PORCH_OK);
    out.len = 0;
    assert_int_equal(porch_attestation_challenge_write(&c, &out), PORCH_OK);
    assert_int_equal(porch_attestation_challenge_read(porch_buf_bytes(&out), &c2), PORCH_OK);
    assert_true(porch_bytes_eq_text(c2.seed, "seed"));
    for (size_t n = 0; n < out.len; n++)
        assert_int_not_equal(porch_attestation_challenge_read((porch_bytes){block, n}, &c2), PORCH_OK);
    out.len = 0;
    assert_int_equal(porch_attestation_evidence_write(&e, &out), PORCH_OK);
    assert_int_equal(porch_attestation_evidence_read(porch_buf_bytes(&out), &e2), PORCH_OK);
    assert_true(porch_bytes_eq_text(e2.signature, "signature"));
    for (size_t n = 0; n < out.len; n++)
        assert_int_not_equal(porch_attestation_evidence_read((porch_bytes){block, n}, &e2), PORCH_OK);
    block[out.len] = 0;
    assert_int_equal(porch_attestation_evidence_read((porch_bytes){block, out.len + 1}, &e2),
                     PORCH_ERR_MALFORMED);
    block[0] = 2;
    assert_int_equal(porch_attestation_evidence_read(porch_buf_bytes(&out), &e2), PORCH_ERR_UNSUPPORTED);
}

static void empty_and_overlong_parts_are_refused(void **state) {
    (void)state;
    static uint8_t block[PORCH_ATTESTATION_BYTES], large[PORCH_ATTESTATION_AREA_MOST + 1];
    porch_buf out = PORCH_BUF_OF(block);
    porch_attestation_question q = {PORCH_LIT("certificate"), {large, 0}};
    assert_int_equal(porch_attestation_question_write(&q, &out), PORCH_ERR_LIMIT);
    q.attester.len = sizeof large;
    assert_int_equal(porch_attestation_question_write(&q, &out), PORCH_ERR_LIMIT);
    static const uint8_t empty[] = {1, 0, 0, 0, 1, 9};
    assert_int_equal(porch_attestation_question_read((porch_bytes){empty, sizeof empty}, &q),
                     PORCH_ERR_LIMIT);
    assert_int_equal(out.len, 0);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(each_of_the_three_reads_back_and_is_refused_when_cut_or_longer),
        cmocka_unit_test(empty_and_overlong_parts_are_refused),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
