#include "wire/signed_time.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <string.h>

#include <cmocka.h>

static porch_bytes write(const porch_signed_time *t, porch_buf *out) {
    uint8_t signature[PORCH_SIGNED_TIME_SIGNATURE_BYTES];
    memset(signature, 0x5a, sizeof signature);
    out->len = 0;
    assert_int_equal(porch_signed_time_statement(t, out), PORCH_OK);
    assert_int_equal(porch_signed_time_sign((porch_bytes){signature, sizeof signature}, out), PORCH_OK);
    return porch_buf_bytes(out);
}

static void a_time_reads_back_as_it_was_written(void **state) {
    (void)state;
    uint8_t block[PORCH_SIGNED_TIME_BYTES], signature[PORCH_SIGNED_TIME_SIGNATURE_BYTES];
    porch_buf out = PORCH_BUF_OF(block);
    porch_signed_time t = {.hub = "hub-1", .nonce = {1, 2, 3}, .at_ms = 1796000000000}, got;
    porch_bytes statement;
    for (int round = 0; round < 2; round++) {
        porch_bytes text = write(&t, &out);
        assert_int_equal(porch_signed_time_read(text, &got, &statement, signature), PORCH_OK);
        assert_memory_equal(&got, &t, sizeof t);
        assert_int_equal(signature[63], 0x5a);
        assert_ptr_equal(statement.at, text.at);
        assert_true(statement.len < text.len && text.at[statement.len - 1] == '\n');
        t.has_timestamp = true;
        memset(t.timestamp, 9, sizeof t.timestamp);
    }
}

static void a_time_that_is_cut_longer_or_of_another_form_is_refused(void **state) {
    (void)state;
    uint8_t block[PORCH_SIGNED_TIME_BYTES], other[PORCH_SIGNED_TIME_BYTES],
        signature[PORCH_SIGNED_TIME_SIGNATURE_BYTES];
    porch_buf out = PORCH_BUF_OF(block);
    const porch_signed_time t = {.hub = "hub-1", .at_ms = 1796000000000};
    porch_signed_time got;
    porch_bytes statement, text = write(&t, &out);
    for (size_t n = 0; n < text.len; n++)
        assert_int_not_equal(porch_signed_time_read((porch_bytes){text.at, n}, &got, &statement, signature),
                             PORCH_OK);
    memcpy(other, text.at, text.len);
    other[text.len] = '\n';
    assert_int_equal(
        porch_signed_time_read((porch_bytes){other, text.len + 1}, &got, &statement, signature),
        PORCH_ERR_MALFORMED);
    static const char *const wrong[] = {
        "porchlight time 2\n",
        "porchlight time 1\nhub Hub\n",
        "porchlight time 1\nnonce 00\n",
        "porchlight time 1\nhub hub-1\nnonce 00\ntime 1\ntimestamp -\nsignature AA==\n",
    };
    for (size_t i = 0; i < sizeof wrong / sizeof wrong[0]; i++)
        assert_int_not_equal(porch_signed_time_read(porch_bytes_of(wrong[i]), &got, &statement, signature),
                             PORCH_OK);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_time_reads_back_as_it_was_written),
        cmocka_unit_test(a_time_that_is_cut_longer_or_of_another_form_is_refused),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
