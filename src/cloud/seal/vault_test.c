#include "cloud/seal/vault.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <string.h>

#include <cmocka.h>

#define SECRET PORCH_LIT("a secret of at least thirty-two bytes")

static porch_vault sample;
static uint8_t recovery_secret[PORCH_BOX_SECRET_BYTES], recovery_public[PORCH_BOX_PUBLIC_BYTES];
static uint8_t block[PORCH_VAULT_BYTES];
static porch_buf written;

static int prepare(void **state) {
    (void)state;
    for (size_t i = 0; i < PORCH_VAULT_SECRETS; i++) {
        sample.of[i].len = i == PORCH_VAULT_SEAL ? 32 : PORCH_VAULT_SECRET_BYTES - i;
        memset(sample.of[i].at, (int)('a' + i), sample.of[i].len);
    }
    written = (porch_buf)PORCH_BUF_OF(block);
    return porch_box_generate(recovery_secret, recovery_public, NULL) != PORCH_OK ||
           porch_vault_write(&sample, PORCH_VAULT_TPM, PORCH_LIT("the TPM's"), SECRET, recovery_public,
                             &written, NULL) != PORCH_OK;
}

static porch_vault_parts parsed(void) {
    porch_vault_parts p;
    assert_int_equal(porch_vault_parse(porch_buf_bytes(&written), &p), PORCH_OK);
    return p;
}

static void expect_same(const porch_vault *got) {
    for (size_t i = 0; i < PORCH_VAULT_SECRETS; i++) {
        assert_int_equal(got->of[i].len, sample.of[i].len);
        assert_memory_equal(got->of[i].at, sample.of[i].at, sample.of[i].len);
    }
}

static void the_seal_s_secret_and_the_recovery_key_open_it_and_nothing_else(void **state) {
    (void)state;
    porch_vault got = {0};
    uint8_t wrong[PORCH_BOX_SECRET_BYTES];
    porch_vault_parts p = parsed();
    assert_int_equal(p.kind, PORCH_VAULT_TPM);
    assert_true(porch_bytes_eq_text(p.blob, "the TPM's"));
    assert_true(porch_bytes_eq(p.recovery_public, (porch_bytes){recovery_public, sizeof recovery_public}));
    assert_int_equal(porch_vault_open(&p, SECRET, &got, NULL), PORCH_OK);
    expect_same(&got);
    memset(&got, 0, sizeof got);
    assert_int_equal(porch_vault_open_by_recovery(&p, recovery_secret, &got, NULL), PORCH_OK);
    expect_same(&got);
    memcpy(wrong, recovery_secret, sizeof wrong);
    wrong[31] ^= 1;
    memset(&got, 0, sizeof got);
    assert_int_equal(porch_vault_open_by_recovery(&p, wrong, &got, NULL), PORCH_ERR_AUTH);
    assert_int_equal(porch_vault_open(&p, PORCH_LIT("another secret of thirty-two bytes"), &got, NULL),
                     PORCH_ERR_AUTH);
    assert_int_equal(porch_vault_open(&p, PORCH_LIT("short"), &got, NULL), PORCH_ERR_AUTH);
    assert_int_equal(got.of[0].len, 0);
}

static void no_secret_stands_in_its_bytes(void **state) {
    (void)state;
    for (size_t i = 0; i < PORCH_VAULT_SECRETS; i++)
        assert_null(memmem(block, written.len, sample.of[i].at, 16));
    assert_null(memmem(block, written.len, porch_vault_name(PORCH_VAULT_ISSUING), 11));
}

static void any_changed_byte_and_any_cut_is_found(void **state) {
    (void)state;
    porch_vault got;
    porch_vault_parts p;
    for (size_t i = 0; i < written.len; i += i < 300 ? 1 : 97) {
        block[i] ^= 0x10;
        porch_err e = porch_vault_parse(porch_buf_bytes(&written), &p);
        if (e == PORCH_OK) e = porch_vault_open(&p, SECRET, &got, NULL);
        assert_int_not_equal(e, PORCH_OK);
        block[i] ^= 0x10;
    }
    for (size_t cut = 0; cut < written.len; cut += cut < 300 ? 1 : 97) {
        porch_err e = porch_vault_parse((porch_bytes){block, cut}, &p);
        if (e == PORCH_OK) e = porch_vault_open(&p, SECRET, &got, NULL);
        assert_int_not_equal(e, PORCH_OK);
    }
}

static void a_vault_without_recovery_or_without_a_secret_is_one(void **state) {
    (void)state;
    static uint8_t small[PORCH_VAULT_BYTES];
    porch_buf out = PORCH_BUF_OF(small);
    porch_vault some = {0}, got;
    porch_vault_parts p;
    some.of[PORCH_VAULT_SEAL] = sample.of[PORCH_VAULT_SEAL];
    assert_int_equal(
        porch_vault_write(&some, PORCH_VAULT_SYSTEMD, (porch_bytes){NULL, 0}, SECRET, NULL, &out, NULL),
        PORCH_OK);
    assert_int_equal(porch_vault_parse(porch_buf_bytes(&out), &p), PORCH_OK);
    assert_int_equal(p.kind, PORCH_VAULT_SYSTEMD);
    assert_int_equal(porch_vault_open(&p, SECRET, &got, NULL), PORCH_OK);
    assert_int_equal(got.of[PORCH_VAULT_ISSUING].len, 0);
    assert_int_equal(got.of[PORCH_VAULT_SEAL].len, 32);
    assert_int_equal(porch_vault_open_by_recovery(&p, recovery_secret, &got, NULL), PORCH_ERR_STATE);
    assert_int_equal(porch_vault_write(&some, PORCH_VAULT_SYSTEMD, (porch_bytes){NULL, 0},
                                       PORCH_LIT("short"), NULL, &out, NULL),
                     PORCH_ERR_LIMIT);
}

static void another_kind_and_a_later_version_are_told_from_nonsense(void **state) {
    (void)state;
    porch_vault_parts p;
    block[8] = 9;
    assert_int_equal(porch_vault_parse(porch_buf_bytes(&written), &p), PORCH_ERR_UNSUPPORTED);
    block[8] = PORCH_VAULT_TPM;
    block[7] = '2';
    assert_int_equal(porch_vault_parse(porch_buf_bytes(&written), &p), PORCH_ERR_UNSUPPORTED);
    block[7] = '1';
    assert_int_equal(porch_vault_parse(PORCH_LIT("-----BEGIN PRIVATE KEY-----"), &p), PORCH_ERR_MALFORMED);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(the_seal_s_secret_and_the_recovery_key_open_it_and_nothing_else),
        cmocka_unit_test(no_secret_stands_in_its_bytes),
        cmocka_unit_test(any_changed_byte_and_any_cut_is_found),
        cmocka_unit_test(a_vault_without_recovery_or_without_a_secret_is_one),
        cmocka_unit_test(another_kind_and_a_later_version_are_told_from_nonsense),
    };
    return cmocka_run_group_tests(tests, prepare, NULL);
}
