#include "cloud/signer/signer_ipc.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <string.h>

#include <cmocka.h>

#include "base/cursor.h"

static porch_signer_request issue_of_one(void) {
    porch_signer_request r = {
        .number = 7, .op = PORCH_SIGNER_OP_ISSUE, .profile = PORCH_SIGNER_DEVICE, .days = 90};
    r.names[0] = PORCH_LIT("porch-cam");
    r.names_count = 1;
    r.data = PORCH_LIT("a request in PEM");
    return r;
}

static void what_the_hub_writes_the_signer_reads(void **state) {
    (void)state;
    uint8_t block[512];
    porch_buf out = PORCH_BUF_OF(block);
    porch_signer_request in = issue_of_one();
    porch_signer_request got;
    assert_int_equal(porch_signer_request_write(&out, &in), PORCH_OK);
    assert_int_equal(porch_signer_request_read(porch_buf_bytes(&out), &got), PORCH_OK);
    assert_int_equal(got.number, 7);
    assert_int_equal(got.op, PORCH_SIGNER_OP_ISSUE);
    assert_int_equal(got.profile, PORCH_SIGNER_DEVICE);
    assert_int_equal(got.days, 90);
    assert_int_equal(got.names_count, 1);
    assert_true(porch_bytes_eq_text(got.names[0], "porch-cam"));
    assert_true(porch_bytes_eq_text(got.data, "a request in PEM"));
}

static void a_request_cut_short_is_refused_at_every_length(void **state) {
    (void)state;
    uint8_t block[512];
    for (unsigned op = PORCH_SIGNER_OP_ISSUE; op < PORCH_SIGNER_OP_END; op++) {
        porch_buf out = PORCH_BUF_OF(block);
        porch_signer_request in = issue_of_one();
        porch_signer_request got;
        in.op = (porch_signer_op)op;
        in.name = PORCH_LIT("robin");
        in.code = PORCH_LIT("123456");
        assert_int_equal(porch_signer_request_write(&out, &in), PORCH_OK);
        assert_int_equal(porch_signer_request_read(porch_buf_bytes(&out), &got), PORCH_OK);
        for (size_t n = 0; n < out.len; n++)
            assert_int_not_equal(porch_signer_request_read((porch_bytes){block, n}, &got), PORCH_OK);
        block[out.len] = 0;
        assert_int_not_equal(porch_signer_request_read((porch_bytes){block, out.len + 1}, &got), PORCH_OK);
    }
}

static void ops_versions_and_profiles_that_do_not_exist_are_refused(void **state) {
    (void)state;
    uint8_t block[512];
    porch_buf out = PORCH_BUF_OF(block);
    porch_signer_request in = issue_of_one();
    porch_signer_request got;
    assert_int_equal(porch_signer_request_write(&out, &in), PORCH_OK);
    static const struct {
        size_t at;
        uint8_t value;
    } changes[] = {{4, 0}, {4, 2}, {5, 0}, {5, PORCH_SIGNER_OP_END}, {6, 0}, {6, 5}, {11, 0}, {11, 17}};
    for (size_t i = 0; i < sizeof changes / sizeof *changes; i++) {
        uint8_t changed[512];
        memcpy(changed, block, out.len);
        changed[changes[i].at] = changes[i].value;
        assert_int_not_equal(porch_signer_request_read((porch_bytes){changed, out.len}, &got), PORCH_OK);
    }
}

static void a_name_with_a_blank_or_line_end_never_reaches_the_journal(void **state) {
    (void)state;
    static const char *const bad[] = {"a b", "a\nissue 1 device x 1 1", "caf\xc3\xa9", ""};
    for (size_t i = 0; i < sizeof bad / sizeof *bad; i++) {
        uint8_t block[512];
        porch_buf out = PORCH_BUF_OF(block);
        porch_signer_request in = issue_of_one();
        porch_signer_request got;
        in.names[0] = porch_bytes_of(bad[i]);
        assert_int_equal(porch_signer_request_write(&out, &in), PORCH_OK);
        assert_int_not_equal(porch_signer_request_read(porch_buf_bytes(&out), &got), PORCH_OK);
    }
}

static void an_answer_comes_back_as_written_and_is_refused_at_every_cut(void **state) {
    (void)state;
    uint8_t block[256];
    porch_buf out = PORCH_BUF_OF(block);
    porch_signer_answer in = {9, PORCH_ERR_AUTH, PORCH_LIT("wrong"), PORCH_LIT("ABCD"), PORCH_LIT("data")};
    porch_signer_answer got;
    assert_int_equal(porch_signer_answer_write(&out, &in), PORCH_OK);
    assert_int_equal(porch_signer_answer_read(porch_buf_bytes(&out), &got), PORCH_OK);
    assert_int_equal(got.error, PORCH_ERR_AUTH);
    assert_true(porch_bytes_eq_text(got.why, "wrong"));
    assert_true(porch_bytes_eq_text(got.secret, "ABCD"));
    assert_true(porch_bytes_eq_text(got.data, "data"));
    for (size_t n = 0; n < out.len; n++)
        assert_int_not_equal(porch_signer_answer_read((porch_bytes){block, n}, &got), PORCH_OK);
    block[5] = PORCH_ERR_COUNT;
    assert_int_equal(porch_signer_answer_read(porch_buf_bytes(&out), &got), PORCH_ERR_MALFORMED);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(what_the_hub_writes_the_signer_reads),
        cmocka_unit_test(a_request_cut_short_is_refused_at_every_length),
        cmocka_unit_test(ops_versions_and_profiles_that_do_not_exist_are_refused),
        cmocka_unit_test(a_name_with_a_blank_or_line_end_never_reaches_the_journal),
        cmocka_unit_test(an_answer_comes_back_as_written_and_is_refused_at_every_cut),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
