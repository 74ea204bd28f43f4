#include "crypto/chain.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

static void where_a_field_ends_counts(void **state) {
    (void)state;
    const porch_bytes a[] = {PORCH_LIT("ab"), PORCH_LIT("c")}, b[] = {PORCH_LIT("a"), PORCH_LIT("bc")},
                      c[] = {PORCH_LIT("abc")};
    uint8_t x[32], y[32], z[32];
    porch_chain_link(a, 2, x);
    porch_chain_link(b, 2, y);
    porch_chain_link(c, 1, z);
    assert_memory_not_equal(x, y, 32);
    assert_memory_not_equal(x, z, 32);
    assert_memory_not_equal(y, z, 32);
}

static void every_part_of_a_row_changes_its_link(void **state) {
    (void)state;
    uint8_t before[32] = {1}, base[32], other[32];
    const porch_chain_row row = {
        1, 2, PORCH_LIT("k"), PORCH_LIT("w"), PORCH_LIT("s"), PORCH_LIT("{}"), PORCH_LIT("salt")};
    porch_chain_row_link(before, &row, base);
    for (int i = 0; i < 8; i++) {
        porch_chain_row r = row;
        uint8_t link[32] = {1};
        porch_bytes *const texts[] = {&r.kind, &r.who, &r.subject, &r.detail, &r.salt};
        if (i == 0) r.seq++;
        if (i == 1) r.at_ms++;
        if (i == 2) link[31] = 1;
        if (i > 2) *texts[i - 3] = PORCH_LIT("x");
        porch_chain_row_link(link, &r, other);
        assert_memory_not_equal(base, other, 32);
    }
    porch_chain_row r = row;
    r.salt.len = 0;
    porch_chain_row_link(before, &r, other);
    assert_memory_not_equal(base, other, 32);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(where_a_field_ends_counts),
        cmocka_unit_test(every_part_of_a_row_changes_its_link),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
