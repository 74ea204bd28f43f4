#include "os/clock_trust.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include <cmocka.h>

#define HOUR ((uint64_t)3600 * 1000)
#define YEAR (HOUR * 24 * 365)
static const uint64_t NOON = 1790000000000, SETTLE = 12 * HOUR;

static void after_a_start_nothing_is_old_until_the_clock_has_stood(void **state) {
    (void)state;
    porch_clock_trust t = {0};
    bool jumped = true;
    for (uint64_t h = 0; h < 12; h++) {
        assert_false(porch_clock_trusted(&t, NOON + h * HOUR, 5 + h * HOUR, SETTLE, &jumped));
        assert_false(jumped);
    }
    assert_true(porch_clock_trusted(&t, NOON + SETTLE, 5 + SETTLE, SETTLE, &jumped));
}

static void a_jump_in_either_direction_begins_the_wait_anew(void **state) {
    (void)state;
    const int64_t jumps[] = {(int64_t)YEAR * 10,  -(int64_t)YEAR * 10, 24 * (int64_t)HOUR,
                             -24 * (int64_t)HOUR, (int64_t)HOUR,       -(int64_t)HOUR};
    for (size_t i = 0; i < sizeof jumps / sizeof *jumps; i++) {
        porch_clock_trust t = {0};
        bool jumped;
        assert_false(porch_clock_trusted(&t, NOON, 0, SETTLE, &jumped));
        assert_true(porch_clock_trusted(&t, NOON + SETTLE, SETTLE, SETTLE, &jumped));
        uint64_t there = NOON + SETTLE + (uint64_t)jumps[i];
        assert_false(porch_clock_trusted(&t, there, SETTLE, SETTLE, &jumped));
        assert_true(jumped);
        assert_false(porch_clock_trusted(&t, there + SETTLE - 1, 2 * SETTLE - 1, SETTLE, &jumped));
        assert_false(jumped); /* told once */
        assert_true(porch_clock_trusted(&t, there + SETTLE, 2 * SETTLE, SETTLE, &jumped));
        /* and the way back is a jump again */
        assert_false(porch_clock_trusted(&t, NOON + 2 * SETTLE, 2 * SETTLE, SETTLE, &jumped));
        assert_true(jumped);
    }
}

static void small_corrections_do_not_count(void **state) {
    (void)state;
    porch_clock_trust t = {0};
    bool jumped;
    (void)porch_clock_trusted(&t, NOON, 0, 0, &jumped);
    for (uint64_t i = 1; i < 100; i++) {
        uint64_t real = NOON + i * HOUR + (i % 2) * (HOUR - 1);
        assert_true(porch_clock_trusted(&t, real, i * HOUR, 0, &jumped));
        assert_false(jumped);
    }
}

static void no_wait_means_no_wait(void **state) {
    (void)state;
    porch_clock_trust t = {0};
    bool jumped;
    assert_true(porch_clock_trusted(&t, NOON, 7, 0, &jumped));
    assert_true(porch_clock_trusted(&t, NOON + YEAR, 8, 0, &jumped));
    assert_true(jumped);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(after_a_start_nothing_is_old_until_the_clock_has_stood),
        cmocka_unit_test(a_jump_in_either_direction_begins_the_wait_anew),
        cmocka_unit_test(small_corrections_do_not_count),
        cmocka_unit_test(no_wait_means_no_wait),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
