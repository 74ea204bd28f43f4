#include "ota/author/author_policy.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

static porch_why why;

static porch_err make(const char *stages_text, const char *battery, const char *window, const char *bytes,
                      char **text) {
    json_error_t error;
    json_t *stages = stages_text != NULL ? json_loads(stages_text, 0, &error) : NULL, *made = NULL;
    porch_err e = porch_author_policy(stages, battery, window, bytes, &made, &why);
    *text = made != NULL ? json_dumps(made, JSON_COMPACT | JSON_SORT_KEYS) : NULL;
    json_decref(made);
    json_decref(stages);
    return e;
}

static void what_is_said_is_what_is_signed(void **state) {
    (void)state;
    char *text = NULL;
    assert_int_equal(make(NULL, NULL, NULL, NULL, &text), PORCH_OK);
    assert_null(text);
    assert_int_equal(make("[\"0.5%:90s\",\"2500:2d\",\"100%\"]", "30", "22:30-04:00", "5000000", &text),
                     PORCH_OK);
    assert_string_equal(text, "{\"battery\":30,\"bytes\":5000000,\"stages\":[{\"dwell_s\":90,\"share\":50},"
                              "{\"dwell_s\":172800,\"share\":2500},"
                              "{\"share\":10000}],\"window\":{\"from_min\":1350,\"to_min\":240}}");
    free(text);
}

static void what_a_device_would_refuse_is_not_signed(void **state) {
    (void)state;
    const struct {
        const char *stages, *battery, *window, *bytes;
    } rows[] = {
        {"[\"0\"]", NULL, NULL, NULL},
        {"[\"10001\"]", NULL, NULL, NULL},
        {"[\"0.005%\"]", NULL, NULL, NULL},
        {"[\"101%\"]", NULL, NULL, NULL},
        {"[\"1.%\"]", NULL, NULL, NULL},
        {"[\"x\"]", NULL, NULL, NULL},
        {"[\"1%\",\"2%\"]", NULL, NULL, NULL} /* no dwell: the second would hold at once */,
        {"[\"2%:1h\",\"1%\"]", NULL, NULL, NULL},
        {"[\"2%:1w\"]", NULL, NULL, NULL},
        {NULL, "101", NULL, NULL},
        {NULL, NULL, "24:00-01:00", NULL},
        {NULL, NULL, "1:00-02:00", NULL},
        {NULL, NULL, "01:00-01:00", NULL},
        {NULL, NULL, NULL, "-1"},
    };
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        char *text = NULL;
        if (make(rows[i].stages, rows[i].battery, rows[i].window, rows[i].bytes, &text) == PORCH_OK)
            fail_msg("row %zu was taken: %s", i, text);
    }
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(what_is_said_is_what_is_signed),
        cmocka_unit_test(what_a_device_would_refuse_is_not_signed),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
