#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <string.h>

#include <cmocka.h>

#include "crypto/tpm.h"

static const porch_tpm_blob sample = {
    {(const uint8_t *)"name", 4}, {(const uint8_t *)"public", 6}, {(const uint8_t *)"private", 7}};

static void what_is_written_is_read_and_nothing_shorter_or_longer(void **state) {
    (void)state;
    uint8_t block[64];
    porch_buf out = PORCH_BUF_OF(block);
    porch_tpm_blob got;
    assert_int_equal(porch_tpm_blob_write(&sample, &out), PORCH_OK);
    assert_int_equal(porch_tpm_blob_read(porch_buf_bytes(&out), &got), PORCH_OK);
    assert_true(porch_bytes_eq(got.parent, sample.parent));
    assert_true(porch_bytes_eq(got.public_part, sample.public_part));
    assert_true(porch_bytes_eq(got.private_part, sample.private_part));
    for (size_t cut = 0; cut < out.len; cut++)
        assert_int_not_equal(porch_tpm_blob_read((porch_bytes){block, cut}, &got), PORCH_OK);
    block[out.len] = 0;
    assert_int_equal(porch_tpm_blob_read((porch_bytes){block, out.len + 1}, &got), PORCH_ERR_MALFORMED);
    block[0] = 2;
    assert_int_equal(porch_tpm_blob_read(porch_buf_bytes(&out), &got), PORCH_ERR_UNSUPPORTED);
}

static void an_empty_part_or_one_too_long_is_refused(void **state) {
    (void)state;
    static uint8_t block[PORCH_TPM_BLOB_BYTES + 64], long_part[PORCH_TPM_BLOB_BYTES];
    porch_buf out = PORCH_BUF_OF(block);
    porch_tpm_blob parts = sample, got;
    parts.private_part = (porch_bytes){long_part, sizeof long_part};
    assert_int_equal(porch_tpm_blob_write(&parts, &out), PORCH_ERR_LIMIT);
    assert_int_equal(out.len, 0);
    parts.private_part.len = 0;
    assert_int_equal(porch_tpm_blob_write(&parts, &out), PORCH_OK);
    assert_int_equal(porch_tpm_blob_read(porch_buf_bytes(&out), &got), PORCH_ERR_MALFORMED);
    assert_int_equal(porch_tpm_blob_read((porch_bytes){block, sizeof block}, &got), PORCH_ERR_LIMIT);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(what_is_written_is_read_and_nothing_shorter_or_longer),
        cmocka_unit_test(an_empty_part_or_one_too_long_is_refused),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
