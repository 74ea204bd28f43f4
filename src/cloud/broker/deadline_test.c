#include "cloud/broker/deadline.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include <cmocka.h>

enum { MANY = 500 };

static void the_first_is_always_the_earliest(void **state) {
    (void)state;
    static porch_deadline all[MANY];
    porch_deadlines d = {NULL, 0, 0};
    uint32_t seed = 11;
    for (int i = 0; i < 20000; i++) {
        seed = seed * 1664525 + 1013904223;
        porch_deadline *one = &all[(seed >> 16) % MANY];
        if (seed % 3 == 0) {
            porch_deadline_clear(&d, one);
        } else {
            assert_true(porch_deadline_set(&d, one, seed % 1000));
        }
        uint64_t earliest = UINT64_MAX;
        uint32_t count = 0;
        for (int k = 0; k < MANY; k++) {
            if (all[k].place == 0) continue;
            count++;
            if (all[k].due_ms < earliest) earliest = all[k].due_ms;
        }
        assert_int_equal(d.count, count);
        if (count > 0) assert_int_equal(porch_deadline_first(&d)->due_ms, earliest);
        if (count == 0) assert_null(porch_deadline_first(&d));
    }
    porch_deadlines_free(&d);
}

int main(void) {
    const struct CMUnitTest tests[] = {cmocka_unit_test(the_first_is_always_the_earliest)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
