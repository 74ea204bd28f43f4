#include "cli/progress.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <string.h>

#include <cmocka.h>

static void the_line_says_share_amount_rate_and_time_left(void **state) {
    (void)state;
    char text[160];
    porch_progress p = {true, 10000000000u, 2500000000u, 1000, 0};
    porch_progress_text(&p, 11000, text, sizeof text);
    assert_non_null(strstr(text, " 25% [=======>"));
    assert_non_null(strstr(text, "2.5 of 10.0 GB, 250 MB/s, 30 s left"));
}

static void beginning_end_and_more_than_expected_are_lines_too(void **state) {
    (void)state;
    char text[160];
    porch_progress p = {true, 0, 0, 1000, 0};
    porch_progress_text(&p, 1000, text, sizeof text);
    assert_non_null(strstr(text, "100% ["));
    p.total = 1000;
    p.done = 2000;
    porch_progress_text(&p, 2000, text, sizeof text);
    assert_non_null(strstr(text, "100% ["));
    assert_non_null(strstr(text, " 0 s left"));
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(the_line_says_share_amount_rate_and_time_left),
        cmocka_unit_test(beginning_end_and_more_than_expected_are_lines_too),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
