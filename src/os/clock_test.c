#include "os/clock.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <time.h>

#include <cmocka.h>

static void known_moments_are_written_as_rfc_3339_says(void **state) {
    (void)state;
    static const struct {
        uint64_t ms;
        const char *text;
    } rows[] = {
        {0, "1970-01-01T00:00:00.000Z"},
        {951782399999, "2000-02-28T23:59:59.999Z"},
        {951782400000, "2000-02-29T00:00:00.000Z"},
        {1709251199001, "2024-02-29T23:59:59.001Z"},
        {4107542400000, "2100-03-01T00:00:00.000Z"},
        {253402300799999, "9999-12-31T23:59:59.999Z"},
        {253402300800000, "9999-12-31T23:59:59.999Z"},
        {UINT64_MAX, "9999-12-31T23:59:59.999Z"},
    };
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        char text[PORCH_CLOCK_TEXT_BYTES];
        porch_clock_rfc3339(rows[i].ms, text);
        assert_string_equal(text, rows[i].text);
    }
}

static void every_day_of_eight_centuries_agrees_with_the_c_library(void **state) {
    (void)state;
    for (time_t day = 0; day < 292000; day++) {
        time_t at = day * 86400 + 3661;
        struct tm parts;
        assert_non_null(gmtime_r(&at, &parts));
        char expected[64], text[PORCH_CLOCK_TEXT_BYTES];
        assert_true(strftime(expected, sizeof expected, "%Y-%m-%dT%H:%M:%S.000Z", &parts) > 0);
        porch_clock_rfc3339((uint64_t)at * 1000, text);
        assert_string_equal(text, expected);
    }
}

static void the_monotonic_clock_never_runs_back(void **state) {
    (void)state;
    uint64_t before = porch_clock_mono_us();
    for (int i = 0; i < 10000; i++) {
        uint64_t now = porch_clock_mono_us();
        assert_true(now >= before);
        before = now;
    }
    assert_true(porch_clock_ms() > 1600000000000u);
}

static void a_deadline_lies_as_far_ahead_as_was_asked(void **state) {
    (void)state;
    const uint64_t ahead[] = {0, 1, 999999999, 1000000000, 2500000000, 1999999999};
    for (size_t i = 0; i < sizeof ahead / sizeof ahead[0]; i++) {
        const uint64_t before_us = porch_clock_mono_us();
        const struct timespec t = porch_clock_mono_after(ahead[i]);
        const uint64_t after_us = porch_clock_mono_us();
        assert_in_range(t.tv_nsec, 0, 999999999);
        const uint64_t at_us = (uint64_t)t.tv_sec * 1000000 + (uint64_t)t.tv_nsec / 1000;
        assert_in_range(at_us, before_us + ahead[i] / 1000, after_us + ahead[i] / 1000 + 1);
    }
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(known_moments_are_written_as_rfc_3339_says),
        cmocka_unit_test(every_day_of_eight_centuries_agrees_with_the_c_library),
        cmocka_unit_test(the_monotonic_clock_never_runs_back),
        cmocka_unit_test(a_deadline_lies_as_far_ahead_as_was_asked),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
