#include "access/sort.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>

#include <cmocka.h>

static int by_value(const void *a, const void *b) {
    uint32_t x = *(const uint32_t *)a, y = *(const uint32_t *)b;
    return (x > y) - (x < y);
}

static void rows_of_every_count_come_into_order(void **state) {
    (void)state;
    uint32_t rows[200], seed = 3;
    for (size_t count = 0; count <= 200; count++) {
        uint64_t before = 0, after = 0;
        for (size_t i = 0; i < count; i++) {
            seed = seed * 1664525u + 1013904223u;
            before += rows[i] = seed % 97;
        }
        porch_access_sort(rows, count, sizeof *rows, by_value);
        for (size_t i = 0; i < count; i++) {
            after += rows[i];
            assert_true(i == 0 || rows[i - 1] <= rows[i]);
        }
        assert_true(before == after);
    }
}

int main(void) {
    const struct CMUnitTest tests[] = {cmocka_unit_test(rows_of_every_count_come_into_order)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
