/* Statements as a TPM would write them, signed here by a key in a file; tpm_test.c has a real one. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <string.h>

#include <cmocka.h>

#include "base/cursor.h"
#include "crypto/keystore.h"
#include "crypto/sha256.h"

static porch_key *attester, *device;
static porch_public_key attester_public, device_public;

static int make_keys(void **state) {
    (void)state;
    return porch_key_generate_p256(&attester, NULL) != PORCH_OK ||
           porch_key_generate_p256(&device, NULL) != PORCH_OK ||
           porch_key_public(attester, &attester_public, NULL) != PORCH_OK ||
           porch_key_public(device, &device_public, NULL) != PORCH_OK;
}

static int drop_keys(void **state) {
    (void)state;
    porch_key_free(attester);
    porch_key_free(device);
    return 0;
}

typedef struct {
    uint32_t magic, attributes;
    uint16_t type;
    const char *challenge;
    size_t tail; /* bytes behind the end */
} wish;

static porch_key_evidence evidence_of(wish w) {
    uint8_t area_block[128], name[34] = {0, 0x0b};
    static const uint8_t nothing[25];
    porch_key_evidence made = {0};
    porch_buf area = PORCH_BUF_OF(area_block), out = {made.statement, 0, sizeof made.statement},
              signature = {made.signature, 0, sizeof made.signature};
    const uint16_t head[] = {0x0023, 0x000b}, rest[] = {0, 0x10, 0x10, 3, 0x10};
    for (size_t i = 0; i < 2; i++)
        (void)porch_write_u16(&area, head[i]);
    (void)porch_write_u32(&area, w.attributes);
    for (size_t i = 0; i < 5; i++)
        (void)porch_write_u16(&area, rest[i]);
    const uint8_t *x = device_public.der + device_public.len - 64;
    (void)porch_write_block16(&area, (porch_bytes){x, 32});
    (void)porch_write_block16(&area, (porch_bytes){x + 32, 32});
    porch_sha256(porch_buf_bytes(&area), name + 2);
    (void)porch_write_u32(&out, w.magic);
    (void)porch_write_u16(&out, w.type);
    (void)porch_write_block16(&out, PORCH_LIT("signer"));
    (void)porch_write_block16(&out, porch_bytes_of(w.challenge));
    (void)porch_write_bytes(&out, (porch_bytes){nothing, sizeof nothing});
    (void)porch_write_block16(&out, (porch_bytes){name, sizeof name});
    (void)porch_write_block16(&out, PORCH_LIT("qualified"));
    (void)porch_write_bytes(&out, (porch_bytes){nothing, w.tail});
    made.statement_len = out.len;
    assert_int_equal(
        porch_key_sign(attester, PORCH_SIGN_ECDSA_SHA256, porch_buf_bytes(&out), &signature, NULL),
        PORCH_OK);
    made.signature_len = signature.len;
    return made;
}

static const wish good = {0xff544347, 0x00040472, 0x8017, "challenge", 0};

static porch_err check(wish w) {
    porch_key_evidence e = evidence_of(w);
    return porch_key_check_evidence(&attester_public, &device_public, PORCH_LIT("challenge"), &e);
}

static void only_a_statement_about_a_key_that_cannot_leave_is_believed(void **state) {
    (void)state;
    assert_int_equal(check(good), PORCH_OK);
    wish w = good;
    w.attributes &= ~2u; /* not fixed to its TPM */
    assert_int_equal(check(w), PORCH_ERR_SIGNATURE);
    w = good;
    w.magic++; /* signed by the key, but not said by the TPM */
    assert_int_equal(check(w), PORCH_ERR_SIGNATURE);
    w = good;
    w.type = 0x8018; /* a quote */
    assert_int_equal(check(w), PORCH_ERR_SIGNATURE);
    w = good;
    w.challenge = "another";
    assert_int_equal(check(w), PORCH_ERR_SIGNATURE);
    w = good;
    w.tail = 1;
    assert_int_equal(check(w), PORCH_ERR_SIGNATURE);
}

static void a_statement_of_another_attester_or_of_impossible_length_is_refused(void **state) {
    (void)state;
    porch_key_evidence e = evidence_of(good);
    assert_int_equal(porch_key_check_evidence(&device_public, &device_public, PORCH_LIT("challenge"), &e),
                     PORCH_ERR_SIGNATURE);
    e.statement_len = sizeof e.statement + 1;
    assert_int_equal(porch_key_check_evidence(&attester_public, &device_public, PORCH_LIT("challenge"), &e),
                     PORCH_ERR_SIGNATURE);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(only_a_statement_about_a_key_that_cannot_leave_is_believed),
        cmocka_unit_test(a_statement_of_another_attester_or_of_impossible_length_is_refused),
    };
    return cmocka_run_group_tests(tests, make_keys, drop_keys);
}
