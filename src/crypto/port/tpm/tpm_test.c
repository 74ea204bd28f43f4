/* Against swtpm: what a TPM sealed opens on that TPM only; its keys sign, prove where they live, and are
 * not to be had. */
#include "crypto/port/tpm/tpm_port.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include <cmocka.h>

#include "crypto/tpm_testing.h"

enum { HANDLE = 0x81000010 };

static testing_tpm one, other;

static int start(void **state) {
    (void)state;
    return tpm_start(&one) && tpm_start(&other) ? 0 : -1;
}

static int stop(void **state) {
    (void)state;
    tpm_stop(&one);
    tpm_stop(&other);
    return 0;
}

static void seal_into(const char *text, porch_buf *blob) {
    porch_why why = {""};
    if (porch_tpm_seal(one.tcti, porch_bytes_of(text), blob, &why) != PORCH_OK) fail_msg("%s", why.text);
}

static void a_sealed_secret_opens_on_the_tpm_that_sealed_it_and_on_no_other(void **state) {
    (void)state;
    uint8_t block[PORCH_TPM_BLOB_BYTES], got_block[PORCH_TPM_SECRET_BYTES];
    porch_buf blob = PORCH_BUF_OF(block), got = PORCH_BUF_OF(got_block);
    porch_why why = {""};
    seal_into("thirty-two bytes of a sealing key", &blob);
    if (porch_tpm_unseal(one.tcti, porch_buf_bytes(&blob), &got, &why) != PORCH_OK)
        fail_msg("%s", why.text);
    assert_true(porch_bytes_eq_text(porch_buf_bytes(&got), "thirty-two bytes of a sealing key"));
    assert_null(memmem(block, blob.len, "thirty-two", 10));
    got.len = 0;
    assert_int_equal(porch_tpm_unseal(other.tcti, porch_buf_bytes(&blob), &got, &why), PORCH_ERR_AUTH);
    assert_non_null(strstr(why.text, "not the TPM that sealed it"));
    assert_int_equal(got.len, 0);
}

static void the_other_tpm_refuses_also_when_the_name_in_the_blob_is_forged(void **state) {
    (void)state;
    uint8_t block[PORCH_TPM_BLOB_BYTES], theirs_block[PORCH_TPM_BLOB_BYTES],
        forged_block[PORCH_TPM_BLOB_BYTES], got_block[PORCH_TPM_SECRET_BYTES];
    porch_buf blob = PORCH_BUF_OF(block), theirs = PORCH_BUF_OF(theirs_block),
              forged = PORCH_BUF_OF(forged_block), got = PORCH_BUF_OF(got_block);
    porch_tpm_blob parts, their_parts;
    seal_into("secret", &blob);
    assert_int_equal(porch_tpm_seal(other.tcti, PORCH_LIT("x"), &theirs, NULL), PORCH_OK);
    assert_int_equal(porch_tpm_blob_read(porch_buf_bytes(&blob), &parts), PORCH_OK);
    assert_int_equal(porch_tpm_blob_read(porch_buf_bytes(&theirs), &their_parts), PORCH_OK);
    parts.parent = their_parts.parent;
    assert_int_equal(porch_tpm_blob_write(&parts, &forged), PORCH_OK);
    assert_int_equal(porch_tpm_unseal(other.tcti, porch_buf_bytes(&forged), &got, NULL), PORCH_ERR_AUTH);
    assert_int_equal(got.len, 0);
}

static void a_changed_blob_opens_nothing(void **state) {
    (void)state;
    uint8_t block[PORCH_TPM_BLOB_BYTES], got_block[PORCH_TPM_SECRET_BYTES];
    porch_buf blob = PORCH_BUF_OF(block), got = PORCH_BUF_OF(got_block);
    seal_into("secret", &blob);
    for (size_t i = 1; i < blob.len; i += 11) {
        block[i] ^= 0x40;
        assert_int_not_equal(porch_tpm_unseal(one.tcti, porch_buf_bytes(&blob), &got, NULL), PORCH_OK);
        block[i] ^= 0x40;
    }
    assert_int_equal(got.len, 0);
    assert_int_equal(porch_tpm_unseal(one.tcti, porch_buf_bytes(&blob), &got, NULL), PORCH_OK);
}

static void without_a_tpm_the_sentence_says_where_it_was_looked_for(void **state) {
    (void)state;
    uint8_t block[PORCH_TPM_BLOB_BYTES];
    porch_buf blob = PORCH_BUF_OF(block);
    porch_why why = {""};
    assert_int_equal(porch_tpm_seal("swtpm:path=/nonexistent/socket", PORCH_LIT("x"), &blob, &why),
                     PORCH_ERR_IO);
    assert_non_null(strstr(why.text, "/nonexistent/socket"));
}

static void a_key_of_the_tpm_signs_and_is_found_again(void **state) {
    (void)state;
    porch_key *key = NULL, *again = NULL;
    porch_why why = {""};
    porch_public_key public_key, again_public;
    uint8_t block[PORCH_SIGNATURE_MAX_BYTES];
    porch_buf signature = PORCH_BUF_OF(block);
    if (porch_tpm_key_make(one.tcti, HANDLE, &key, &why) != PORCH_OK) fail_msg("%s", why.text);
    assert_int_equal(porch_tpm_key_make(one.tcti, HANDLE, &again, &why), PORCH_ERR_EXISTS);
    assert_int_equal(porch_tpm_key_open(one.tcti, HANDLE, &again, &why), PORCH_OK);
    assert_int_equal(porch_key_public(key, &public_key, NULL), PORCH_OK);
    assert_int_equal(porch_key_public(again, &again_public, NULL), PORCH_OK);
    assert_memory_equal(public_key.der, again_public.der, public_key.len);
    if (porch_key_sign(again, PORCH_SIGN_ECDSA_SHA256, PORCH_LIT("words"), &signature, &why) != PORCH_OK)
        fail_msg("%s", why.text);
    assert_int_equal(porch_key_verify(&public_key, PORCH_SIGN_ECDSA_SHA256, PORCH_LIT("words"),
                                      porch_buf_bytes(&signature)),
                     PORCH_OK);
    assert_int_equal(porch_key_verify(&public_key, PORCH_SIGN_ECDSA_SHA256, PORCH_LIT("other"),
                                      porch_buf_bytes(&signature)),
                     PORCH_ERR_SIGNATURE);
    porch_key_free(key);
    porch_key_free(again);
    assert_int_equal(porch_tpm_key_remove(one.tcti, HANDLE, NULL), PORCH_OK);
    assert_int_equal(porch_tpm_key_open(one.tcti, HANDLE, &key, &why), PORCH_ERR_NOT_FOUND);
    assert_int_equal(porch_tpm_key_open(one.tcti, 0x40000001, &key, &why), PORCH_ERR_MALFORMED);
}

static void evidence_holds_for_its_key_its_challenge_and_its_tpm_alone(void **state) {
    (void)state;
    porch_key *key = NULL, *second = NULL, *stranger = NULL;
    porch_public_key own, others;
    porch_key_evidence evidence, theirs;
    porch_bytes challenge = PORCH_LIT("prove it, now");
    assert_int_equal(porch_tpm_key_make(one.tcti, HANDLE, &key, NULL), PORCH_OK);
    assert_int_equal(porch_tpm_key_make(one.tcti, HANDLE + 1u, &second, NULL), PORCH_OK);
    assert_int_equal(porch_tpm_key_make(other.tcti, HANDLE, &stranger, NULL), PORCH_OK);
    assert_int_equal(porch_key_public(key, &own, NULL), PORCH_OK);
    assert_int_equal(porch_key_public(second, &others, NULL), PORCH_OK);
    porch_why why = {""};
    if (porch_key_attest(key, challenge, &evidence, &why) != PORCH_OK) fail_msg("%s", why.text);
    assert_int_equal(porch_key_attest(stranger, challenge, &theirs, NULL), PORCH_OK);
    assert_int_equal(porch_key_check_evidence(&evidence.attester, &own, challenge, &evidence), PORCH_OK);
    assert_int_equal(porch_key_check_evidence(&evidence.attester, &others, challenge, &evidence),
                     PORCH_ERR_SIGNATURE);
    assert_int_equal(porch_key_check_evidence(&evidence.attester, &own, PORCH_LIT("then"), &evidence),
                     PORCH_ERR_SIGNATURE);
    assert_int_equal(porch_key_check_evidence(&theirs.attester, &own, challenge, &evidence),
                     PORCH_ERR_SIGNATURE);
    evidence.statement[evidence.statement_len - 1] ^= 1;
    assert_int_equal(porch_key_check_evidence(&evidence.attester, &own, challenge, &evidence),
                     PORCH_ERR_SIGNATURE);
    uint8_t long_challenge[PORCH_KEY_CHALLENGE_BYTES + 1] = {0};
    assert_int_equal(
        porch_key_attest(key, (porch_bytes){long_challenge, sizeof long_challenge}, &evidence, NULL),
        PORCH_ERR_LIMIT);
    porch_key_free(key);
    porch_key_free(second);
    porch_key_free(stranger);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_sealed_secret_opens_on_the_tpm_that_sealed_it_and_on_no_other),
        cmocka_unit_test(the_other_tpm_refuses_also_when_the_name_in_the_blob_is_forged),
        cmocka_unit_test(a_changed_blob_opens_nothing),
        cmocka_unit_test(without_a_tpm_the_sentence_says_where_it_was_looked_for),
        cmocka_unit_test(a_key_of_the_tpm_signs_and_is_found_again),
        cmocka_unit_test(evidence_holds_for_its_key_its_challenge_and_its_tpm_alone),
    };
    return cmocka_run_group_tests(tests, start, stop);
}
