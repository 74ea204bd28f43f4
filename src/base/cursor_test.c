#include "base/cursor.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <string.h>

#include <cmocka.h>

static void a_block_cut_short_leaves_the_reader_where_it_was(void **state) {
    (void)state;
    const uint8_t raw[] = {0x00, 0x03, 'a', 'b', 'c'};
    for (size_t cut = 0; cut < sizeof raw; cut++) {
        porch_reader r = porch_reader_of((porch_bytes){raw, cut});
        porch_bytes got = {NULL, 77};
        assert_int_equal(porch_read_block16(&r, &got), PORCH_ERR_TRUNCATED);
        assert_int_equal(got.len, 77);
        assert_int_equal(r.rest.len, cut);
    }
    porch_reader r = porch_reader_of((porch_bytes){raw, sizeof raw});
    porch_bytes got;
    assert_int_equal(porch_read_block16(&r, &got), PORCH_OK);
    assert_true(porch_bytes_eq_text(got, "abc"));
    assert_true(porch_reader_done(&r));
}

static void a_length_near_the_top_of_the_range_does_not_wrap(void **state) {
    (void)state;
    const uint8_t raw[] = {0xff, 0xff, 0xff, 0xff, 'x'};
    porch_reader r = porch_reader_of((porch_bytes){raw, sizeof raw});
    porch_bytes got;
    assert_int_equal(porch_read_block32(&r, &got), PORCH_ERR_TRUNCATED);
    assert_int_equal(porch_read_bytes(&r, SIZE_MAX, &got), PORCH_ERR_TRUNCATED);
}

static void what_was_written_is_read_back(void **state) {
    (void)state;
    uint8_t block[64];
    porch_buf b = PORCH_BUF_OF(block);
    assert_int_equal(porch_write_u8(&b, 0xa5), PORCH_OK);
    assert_int_equal(porch_write_u16(&b, 0x1234), PORCH_OK);
    assert_int_equal(porch_write_u32(&b, 0xdeadbeef), PORCH_OK);
    assert_int_equal(porch_write_u64(&b, UINT64_MAX - 1), PORCH_OK);
    assert_int_equal(porch_write_block16(&b, PORCH_LIT("porch")), PORCH_OK);
    assert_int_equal(porch_write_decimal(&b, 18446744073709551615u), PORCH_OK);
    porch_reader r = porch_reader_of(porch_buf_bytes(&b));
    uint8_t a;
    uint16_t c;
    uint32_t d;
    uint64_t e;
    porch_bytes f;
    assert_int_equal(porch_read_u8(&r, &a), PORCH_OK);
    assert_int_equal(porch_read_u16(&r, &c), PORCH_OK);
    assert_int_equal(porch_read_u32(&r, &d), PORCH_OK);
    assert_int_equal(porch_read_u64(&r, &e), PORCH_OK);
    assert_int_equal(porch_read_block16(&r, &f), PORCH_OK);
    assert_int_equal(a, 0xa5);
    assert_int_equal(c, 0x1234);
    assert_int_equal(d, 0xdeadbeef);
    assert_true(e == UINT64_MAX - 1);
    assert_true(porch_bytes_eq_text(f, "porch"));
    assert_true(porch_bytes_eq_text(r.rest, "18446744073709551615"));
}

static void a_write_that_does_not_fit_writes_nothing(void **state) {
    (void)state;
    uint8_t block[4];
    porch_buf b = PORCH_BUF_OF(block);
    assert_int_equal(porch_write_block16(&b, PORCH_LIT("abc")), PORCH_ERR_NO_SPACE);
    assert_int_equal(b.len, 0);
    assert_int_equal(porch_write_u64(&b, 1), PORCH_ERR_NO_SPACE);
    assert_int_equal(b.len, 0);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_block_cut_short_leaves_the_reader_where_it_was),
        cmocka_unit_test(a_length_near_the_top_of_the_range_does_not_wrap),
        cmocka_unit_test(what_was_written_is_read_back),
        cmocka_unit_test(a_write_that_does_not_fit_writes_nothing),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
