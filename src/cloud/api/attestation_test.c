/* What needs no TPM: tickets that nobody gave, questions that are none. The rest is walked through with
 * real ones by tests/integration/test_attestation.py. */
#include "cloud/api/attestation.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <string.h>

#include <cmocka.h>

static void evidence_for_a_ticket_that_nobody_gave_is_refused(void **state) {
    (void)state;
    uint8_t block[256];
    porch_buf out = PORCH_BUF_OF(block);
    porch_key *key = NULL;
    porch_public_key own;
    porch_attestations *a = porch_attestations_new(2, 1000);
    const porch_attestation_evidence e = {PORCH_LIT("0123456789abcdef"), PORCH_LIT("statement"),
                                          PORCH_LIT("signature")};
    const porch_attestation_evidence blank = {PORCH_LIT("\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0"),
                                              PORCH_LIT("statement"), PORCH_LIT("signature")};
    assert_non_null(a);
    assert_int_equal(porch_key_generate_p256(&key, NULL), PORCH_OK);
    assert_int_equal(porch_key_public(key, &own, NULL), PORCH_OK);
    assert_int_equal(porch_attestation_evidence_write(&e, &out), PORCH_OK);
    assert_int_equal(porch_attestations_check(a, porch_buf_bytes(&out), &own, 5, NULL), PORCH_ERR_EXPIRED);
    out.len = 0; /* nor is an empty row anybody's */
    assert_int_equal(porch_attestation_evidence_write(&blank, &out), PORCH_OK);
    assert_int_equal(porch_attestations_check(a, porch_buf_bytes(&out), &own, 5, NULL), PORCH_ERR_EXPIRED);
    assert_int_equal(porch_attestations_check(a, PORCH_LIT("nonsense"), &own, 5, NULL),
                     PORCH_ERR_MALFORMED);
    porch_attestations_free(a);
    porch_key_free(key);
}

static void a_hub_that_believes_no_maker_challenges_nobody(void **state) {
    (void)state;
    uint8_t block[256], answer_block[256];
    porch_buf out = PORCH_BUF_OF(block), answer = PORCH_BUF_OF(answer_block);
    porch_attestations *a = porch_attestations_new(2, 1000);
    const porch_attestation_question q = {PORCH_LIT("certificate"), PORCH_LIT("area")};
    const porch_bytes pem = PORCH_LIT("PEM");
    assert_int_equal(porch_attestation_question_write(&q, &out), PORCH_OK);
    assert_int_equal(porch_attestations_ask(a, porch_buf_bytes(&out), NULL, 0, 5, 5, &answer, NULL),
                     PORCH_ERR_AUTH);
    assert_int_equal(porch_attestations_ask(a, porch_buf_bytes(&out), &pem, 1, 5, 5, &answer, NULL),
                     PORCH_ERR_UNSUPPORTED);
    assert_int_equal(porch_attestations_ask(a, PORCH_LIT("x"), &pem, 1, 5, 5, &answer, NULL),
                     PORCH_ERR_MALFORMED);
    assert_int_equal(answer.len, 0);
    porch_attestations_free(a);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(evidence_for_a_ticket_that_nobody_gave_is_refused),
        cmocka_unit_test(a_hub_that_believes_no_maker_challenges_nobody),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
