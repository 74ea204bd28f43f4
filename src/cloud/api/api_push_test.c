/* What the app is told of a person's push settings; the routes themselves are tested against a whole hub.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

#include "cloud/api/api_world.h"

static porch_push_view view;

static void who_has_and_set_nothing_is_told_so(void **state) {
    (void)state;
    memset(&view, 0, sizeof view);
    json_t *o = porch_api_push_view(&view, "BKEY");
    assert_string_equal(json_string_value(json_object_get(o, "key")), "BKEY");
    assert_int_equal(json_array_size(json_object_get(o, "subscriptions")), 0);
    assert_int_equal(json_array_size(json_object_get(o, "snoozes")), 0);
    assert_true(json_is_null(json_object_get(o, "quiet")));
    json_decref(o);
}

static void times_have_two_digits_and_an_attempt_never_made_is_null(void **state) {
    (void)state;
    memset(&view, 0, sizeof view);
    view.subscriptions_count = 2;
    snprintf(view.subscriptions[0].id, sizeof view.subscriptions[0].id, "one");
    snprintf(view.subscriptions[0].origin, sizeof view.subscriptions[0].origin, "https://push.example");
    view.subscriptions[1].last_at_ms = 5;
    view.subscriptions[1].last_status = 429;
    view.snoozes_count = 1;
    snprintf(view.snoozes[0].device, sizeof view.snoozes[0].device, "door");
    view.snoozes[0].until_ms = 1767225600000;
    view.quiet = true;
    view.quiet_begins = 22 * 60 + 5;
    view.quiet_ends = 7 * 60;
    json_t *o = porch_api_push_view(&view, "");
    const json_t *list = json_object_get(o, "subscriptions"), *quiet = json_object_get(o, "quiet"),
                 *snooze = json_array_get(json_object_get(o, "snoozes"), 0);
    assert_int_equal(json_array_size(list), 2);
    assert_string_equal(json_string_value(json_object_get(json_array_get(list, 0), "service")),
                        "https://push.example");
    assert_true(json_is_null(json_object_get(json_array_get(list, 0), "last_at_ms")));
    assert_null(json_object_get(json_array_get(list, 0), "endpoint"));
    assert_int_equal(json_integer_value(json_object_get(json_array_get(list, 1), "last_at_ms")), 5);
    assert_int_equal(json_integer_value(json_object_get(json_array_get(list, 1), "last_status")), 429);
    assert_string_equal(json_string_value(json_object_get(snooze, "device")), "door");
    assert_int_equal(json_integer_value(json_object_get(snooze, "until_ms")), 1767225600000);
    assert_string_equal(json_string_value(json_object_get(quiet, "begins")), "22:05");
    assert_string_equal(json_string_value(json_object_get(quiet, "ends")), "07:00");
    json_decref(o);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(who_has_and_set_nothing_is_told_so),
        cmocka_unit_test(times_have_two_digits_and_an_attempt_never_made_is_null),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
