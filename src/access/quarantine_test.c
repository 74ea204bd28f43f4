#include "access/quarantine.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include <cmocka.h>

static bool lets(unsigned action, const char *topic) {
    return porch_access_quarantine_lets(PORCH_LIT("cam-1"), action, porch_bytes_of(topic));
}

static void diagnostics_and_the_update_are_left_and_nothing_else(void **state) {
    (void)state;
    static const struct {
        const char *topic;
        bool says, hears;
    } rows[] = {{"d/cam-1/log/boot", true, false},
                {"d/cam-1/state/reported", true, false},
                {"d/cam-1/update/status", true, true},
                {"d/cam-1/update/#", true, true},
                {"d/cam-1/log", false, false},
                {"d/cam-1/log/", false, false},
                {"d/cam-1/state/desired", false, false},
                {"d/cam-1/state/reported/x", false, false},
                {"d/cam-1/event/motion", false, false},
                {"d/cam-1/#", false, false},
                {"d/cam-11/log/boot", false, false},
                {"d/cam-2/update/x", false, false},
                {"$porchlight/device/cam-1", false, false},
                {"d/+/update/#", false, false},
                {"#", false, false},
                {"", false, false}};
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        assert_int_equal(lets(PORCH_ACCESS_PUBLISH, rows[i].topic), rows[i].says);
        assert_int_equal(lets(PORCH_ACCESS_RECEIVE, rows[i].topic), rows[i].hears);
        assert_int_equal(lets(PORCH_ACCESS_SUBSCRIBE, rows[i].topic), rows[i].hears);
        assert_false(lets(PORCH_ACCESS_READ, rows[i].topic));
    }
    assert_false(porch_access_quarantine_lets(PORCH_LIT(""), PORCH_ACCESS_PUBLISH, PORCH_LIT("d//log/x")));
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(diagnostics_and_the_update_are_left_and_nothing_else)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
