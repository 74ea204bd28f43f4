#include "cloud/broker/rate.h"

#include <setjmp.h>
#include <stdarg.h>

#include <cmocka.h>

static void a_burst_of_one_second_is_free_and_then_the_rate_holds(void **state) {
    (void)state;
    porch_rate r = {0};
    uint64_t now = 5000000;
    for (int i = 0; i < 100; i++)
        assert_int_equal(porch_rate_take(&r, 1, 100, now), 0);
    assert_int_equal(porch_rate_take(&r, 1, 100, now), 10000);
    assert_int_equal(porch_rate_take(&r, 1, 100, now), 20000);
    assert_int_equal(porch_rate_take(&r, 1, 100, now + 30000), 0);
}

static void zero_means_no_limit(void **state) {
    (void)state;
    porch_rate r = {0};
    for (int i = 0; i < 1000; i++)
        assert_int_equal(porch_rate_take(&r, 1000000, 0, 1), 0);
}

static void rest_is_not_saved_up_beyond_the_burst(void **state) {
    (void)state;
    porch_rate r = {0};
    assert_int_equal(porch_rate_take(&r, 1, 10, 1000000), 0);
    uint64_t later = 3600000000u;
    for (int i = 0; i < 10; i++)
        assert_int_equal(porch_rate_take(&r, 1, 10, later), 0);
    assert_true(porch_rate_take(&r, 1, 10, later) > 0);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_burst_of_one_second_is_free_and_then_the_rate_holds),
        cmocka_unit_test(zero_means_no_limit),
        cmocka_unit_test(rest_is_not_saved_up_beyond_the_burst),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
