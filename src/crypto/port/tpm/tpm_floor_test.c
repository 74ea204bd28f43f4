/* Against swtpm: the number rises and never falls, not by our own means and not by the TPM's commands. */
#include "crypto/port/tpm/tpm_port.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include <cmocka.h>

#include "crypto/tpm_testing.h"

enum { INDEX = 0x01800010 };

static testing_tpm one, other;
static porch_why why;

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

static void must(porch_err e) {
    if (e != PORCH_OK) fail_msg("%s", porch_why_text(&why, e));
}

static uint64_t now(void) {
    uint64_t n = 0;
    must(porch_tpm_floor_read(one.tcti, INDEX, &n, &why));
    return n;
}

static void it_begins_where_it_is_told_and_rises_only(void **state) {
    uint64_t n = 0;
    (void)state;
    assert_int_equal(porch_tpm_floor_read(one.tcti, INDEX, &n, &why), PORCH_ERR_NOT_FOUND);
    assert_int_equal(porch_tpm_floor_raise(one.tcti, INDEX, 5, &why), PORCH_ERR_NOT_FOUND);
    must(porch_tpm_floor_make(one.tcti, INDEX, 7, &why));
    assert_int_equal(now(), 7);
    assert_int_equal(porch_tpm_floor_make(one.tcti, INDEX, 1, &why), PORCH_ERR_EXISTS);
    must(porch_tpm_floor_raise(one.tcti, INDEX, 9, &why));
    assert_int_equal(now(), 9);
    must(porch_tpm_floor_raise(one.tcti, INDEX, 3, &why));
    assert_int_equal(now(), 9);
    assert_int_equal(porch_tpm_floor_raise(one.tcti, INDEX, 9 + PORCH_TPM_FLOOR_STEPS + 1, &why),
                     PORCH_ERR_LIMIT);
    assert_int_equal(now(), 9);
    assert_int_equal(porch_tpm_floor_read(other.tcti, INDEX, &n, &why), PORCH_ERR_NOT_FOUND);
    assert_int_equal(porch_tpm_floor_read(one.tcti, 0x01000000, &n, &why), PORCH_ERR_USAGE);
    assert_int_equal(porch_tpm_floor_read("swtpm:path=/nonexistent", INDEX, &n, &why), PORCH_ERR_IO);
}

/* What somebody could try who speaks to the TPM as we do. */
static void the_tpm_lets_nobody_write_either_part(void **state) {
    TPM2B_MAX_NV_BUFFER data = {.size = 8};
    (void)state;
    for (uint32_t index = INDEX; index <= INDEX + 1; index++) {
        porch_tpm_line l;
        ESYS_TR at = ESYS_TR_NONE;
        must(porch_tpm_line_open(&l, one.tcti, &why));
        assert_int_equal(
            Esys_TR_FromTPMPublic(l.esys, index, ESYS_TR_NONE, ESYS_TR_NONE, ESYS_TR_NONE, &at),
            TSS2_RC_SUCCESS);
        assert_int_not_equal(
            Esys_NV_Write(l.esys, at, at, ESYS_TR_PASSWORD, ESYS_TR_NONE, ESYS_TR_NONE, &data, 0),
            TSS2_RC_SUCCESS);
        assert_int_not_equal(Esys_NV_Write(l.esys, ESYS_TR_RH_OWNER, at, ESYS_TR_PASSWORD, ESYS_TR_NONE,
                                           ESYS_TR_NONE, &data, 0),
                             TSS2_RC_SUCCESS);
        porch_tpm_line_close(&l);
    }
    assert_int_equal(now(), 9);
}

static void without_its_base_it_is_an_error_and_no_zero(void **state) {
    uint64_t n = 42;
    porch_tpm_line l;
    ESYS_TR at = ESYS_TR_NONE;
    (void)state;
    must(porch_tpm_line_open(&l, one.tcti, &why));
    assert_int_equal(
        Esys_TR_FromTPMPublic(l.esys, INDEX + 1, ESYS_TR_NONE, ESYS_TR_NONE, ESYS_TR_NONE, &at),
        TSS2_RC_SUCCESS);
    assert_int_equal(
        Esys_NV_UndefineSpace(l.esys, ESYS_TR_RH_OWNER, at, ESYS_TR_PASSWORD, ESYS_TR_NONE, ESYS_TR_NONE),
        TSS2_RC_SUCCESS);
    porch_tpm_line_close(&l);
    assert_int_not_equal(porch_tpm_floor_read(one.tcti, INDEX, &n, &why), PORCH_OK);
    assert_int_equal(n, 42);
    must(porch_tpm_floor_make(one.tcti, INDEX, 2, &why)); /* a making that was cut is made again */
    assert_int_equal(now(), 2);
    must(porch_tpm_floor_remove(one.tcti, INDEX, &why));
    assert_int_equal(porch_tpm_floor_read(one.tcti, INDEX, &n, &why), PORCH_ERR_NOT_FOUND);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(it_begins_where_it_is_told_and_rises_only),
        cmocka_unit_test(the_tpm_lets_nobody_write_either_part),
        cmocka_unit_test(without_its_base_it_is_an_error_and_no_zero),
    };
    return cmocka_run_group_tests(tests, start, stop);
}
