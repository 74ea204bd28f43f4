#include "device/backoff.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

static void the_span_doubles_until_the_most(void **state) {
    (void)state;
    porch_backoff b = porch_backoff_of(500, 6000);
    const uint32_t spans[] = {500, 1000, 2000, 4000, 6000, 6000};
    for (size_t i = 0; i < sizeof spans / sizeof spans[0]; i++) {
        assert_int_equal(porch_backoff_span(&b), spans[i]);
        assert_int_equal(porch_backoff_next(&b, UINT32_MAX), spans[i]);
    }
    porch_backoff_reset(&b);
    assert_int_equal(porch_backoff_span(&b), 500);
}

static void the_pause_is_spread_over_the_whole_span(void **state) {
    (void)state;
    porch_backoff b = porch_backoff_of(1000, 1000);
    assert_int_equal(porch_backoff_next(&b, 0), 0);
    assert_int_equal(porch_backoff_next(&b, UINT32_MAX / 2), 500);
    assert_int_equal(porch_backoff_next(&b, UINT32_MAX), 1000);
}

static void many_failures_and_the_largest_span_do_not_wrap(void **state) {
    (void)state;
    porch_backoff b = porch_backoff_of(1, UINT32_MAX);
    for (int i = 0; i < 200; i++)
        (void)porch_backoff_next(&b, 7);
    assert_int_equal(porch_backoff_span(&b), UINT32_MAX);
    assert_int_equal(porch_backoff_next(&b, UINT32_MAX), UINT32_MAX);
    b.attempt = UINT32_MAX;
    assert_int_equal(porch_backoff_next(&b, 0), 0);
    assert_int_equal(b.attempt, UINT32_MAX);
}

static void a_span_of_zero_becomes_one(void **state) {
    (void)state;
    porch_backoff b = porch_backoff_of(0, 0);
    assert_int_equal(porch_backoff_span(&b), 1);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(the_span_doubles_until_the_most),
        cmocka_unit_test(the_pause_is_spread_over_the_whole_span),
        cmocka_unit_test(many_failures_and_the_largest_span_do_not_wrap),
        cmocka_unit_test(a_span_of_zero_becomes_one),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
