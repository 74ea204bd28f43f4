#include "cloud/signer/signer_trust_ipc.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

static void rows_and_heads_read_back_and_no_shorter(void **state) {
    (void)state;
    uint8_t block[512], hash[32] = {7};
    const porch_trust_sent_row rows[] = {
        {.row = {3, 4, PORCH_LIT("k"), PORCH_LIT("w"), PORCH_LIT("s"), PORCH_LIT("{}"), PORCH_LIT("salt")}},
        {.emptied = true, .row = {.seq = 4}, .hash = {hash, 32}},
    };
    for (int i = 0; i < 2; i++) {
        porch_buf b = PORCH_BUF_OF(block);
        porch_trust_sent_row got;
        assert_int_equal(porch_trust_sent_row_write(&b, &rows[i]), PORCH_OK);
        for (size_t len = 0; len <= b.len; len++) {
            porch_reader r = porch_reader_of((porch_bytes){block, len});
            porch_err e = porch_trust_sent_row_read(&r, &got);
            assert_int_equal(e == PORCH_OK, len == b.len);
        }
        assert_int_equal(got.row.seq, rows[i].row.seq);
        assert_true(porch_bytes_eq(got.row.detail, rows[i].row.detail));
        assert_int_equal(got.emptied, rows[i].emptied);
    }
    porch_trust_signed_head head = {.seq = 9, .hash = {1}, .at_ms = 5, .key = {2}, .signature = {3}}, again;
    porch_buf b = PORCH_BUF_OF(block);
    assert_int_equal(porch_trust_signed_head_write(&b, &head), PORCH_OK);
    assert_int_equal(b.len, PORCH_TRUST_HEAD_BYTES);
    assert_int_equal(porch_trust_signed_head_read(porch_buf_bytes(&b), &again), PORCH_OK);
    assert_int_equal(again.seq, 9);
    assert_memory_equal(again.signature, head.signature, 64);
    b.len--;
    assert_int_not_equal(porch_trust_signed_head_read(porch_buf_bytes(&b), &again), PORCH_OK);
}

int main(void) {
    const struct CMUnitTest tests[] = {cmocka_unit_test(rows_and_heads_read_back_and_no_shorter)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
