/* What can be said of a household's export without a hub around it; the whole way, and the erasure, are
 * walked by tests/integration/test_household.py. */
#include "cloud/api/household_export.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <string.h>

#include <cmocka.h>

static porch_why why;
static const uint8_t ROBIN[32] = {1}, KIM[32] = {2};
static const porch_person OWNER = {.name = "robin", .role = PORCH_ROLE_OWNER, .household = "home"};
static const porch_person NEIGHBOUR = {.name = "cem", .role = PORCH_ROLE_OWNER, .household = "next-door"};

static void the_schema_is_json_and_knows_every_file_that_the_readme_names(void **state) {
    (void)state;
    static const char *const files[] = {"household.json", "members.json",       "devices.json",
                                        "events.json",    "notifications.json", "summary.json"};
    json_error_t error;
    json_t *schema = json_loads(porch_export_schema, JSON_REJECT_DUPLICATES, &error);
    if (schema == NULL) fail_msg("line %d: %s", error.line, error.text);
    const json_t *defs = json_object_get(schema, "$defs");
    for (size_t i = 0; i < sizeof files / sizeof files[0]; i++) {
        assert_non_null(json_object_get(defs, files[i]));
        assert_non_null(strstr(porch_export_readme, files[i]));
    }
    json_decref(schema);
}

static void a_ticket_is_for_its_own_household_sign_in_and_time(void **state) {
    (void)state;
    porch_exports *all = NULL;
    porch_export *x = NULL;
    char ticket[33];
    assert_int_equal(porch_exports_new(NULL, &all, &why), PORCH_OK);
    assert_int_equal(porch_export_order(all, &OWNER, ROBIN, 1000, ticket, &why), PORCH_OK);
    const struct {
        const char *household, *ticket;
        const uint8_t *session;
        uint64_t now_ms;
    } wrong[] = {{"next-door", ticket, ROBIN, 1000},
                 {"home", "00000000000000000000000000000000", ROBIN, 1000},
                 {"home", ticket, KIM, 1000},
                 {"home", ticket, ROBIN, 1000 + 121000}};
    for (size_t i = 0; i < sizeof wrong / sizeof wrong[0]; i++)
        assert_int_equal(porch_export_open(all, wrong[i].household, wrong[i].session, wrong[i].ticket,
                                           wrong[i].now_ms, &x, &why),
                         PORCH_ERR_NOT_FOUND);
    assert_null(x);
    porch_exports_free(all);
}

static void an_order_that_nobody_fetched_gives_way_to_the_next(void **state) {
    (void)state;
    porch_exports *all = NULL;
    porch_export *x = NULL;
    porch_export_state now;
    char first[33], second[33];
    assert_int_equal(porch_exports_new(NULL, &all, &why), PORCH_OK);
    assert_int_equal(porch_export_order(all, &OWNER, ROBIN, 1000, first, &why), PORCH_OK);
    assert_int_equal(porch_export_order(all, &OWNER, ROBIN, 2000, second, &why), PORCH_OK);
    assert_string_not_equal(first, second);
    assert_int_equal(porch_export_open(all, "home", ROBIN, first, 2000, &x, &why), PORCH_ERR_NOT_FOUND);
    porch_export_look(all, "home", 2000, &now);
    assert_int_equal(now.stage, PORCH_EXPORT_ORDERED);
    porch_export_look(all, "home", 2000 + 121000, &now);
    assert_int_equal(now.stage, PORCH_EXPORT_LAPSED);
    /* the household or a device of it ends: so does its order */
    porch_exports_end(all, "home");
    assert_int_equal(porch_export_open(all, "home", ROBIN, second, 2000, &x, &why), PORCH_ERR_NOT_FOUND);
    porch_export_look(all, "home", 2000, &now);
    assert_int_equal(now.stage, PORCH_EXPORT_NONE);
    porch_exports_free(all);
}

static void an_order_ends_with_the_sign_in_that_made_it(void **state) {
    (void)state;
    static const uint8_t other[32] = {9};
    porch_exports *all = NULL;
    porch_export *x = NULL;
    char ticket[33], again[33];
    assert_int_equal(porch_exports_new(NULL, &all, &why), PORCH_OK);
    assert_int_equal(porch_export_order(all, &OWNER, ROBIN, 1000, ticket, &why), PORCH_OK);
    assert_int_equal(porch_export_order(all, &NEIGHBOUR, other, 1000, again, &why), PORCH_OK);
    porch_exports_end_sign_in(all, ROBIN);
    assert_int_equal(porch_export_open(all, "home", ROBIN, ticket, 1500, &x, &why), PORCH_ERR_NOT_FOUND);
    porch_exports_end_sign_in(all, other);
    porch_exports_free(all);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(the_schema_is_json_and_knows_every_file_that_the_readme_names),
        cmocka_unit_test(a_ticket_is_for_its_own_household_sign_in_and_time),
        cmocka_unit_test(an_order_ends_with_the_sign_in_that_made_it),
        cmocka_unit_test(an_order_that_nobody_fetched_gives_way_to_the_next),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
