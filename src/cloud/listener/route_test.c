#include "cloud/listener/route.h"

#include <setjmp.h>
#include <stdarg.h>
#include <string.h>

#include <cmocka.h>

static void nothing(porch_http_exchange *x) {
    (void)x;
}

static const porch_http_route table[] = {
    {"GET", "/", PORCH_ON_PEOPLE, 0, 0, nothing, NULL, NULL, NULL},
    {"GET", "/api/v1/clips/{id}", PORCH_ON_PEOPLE, 0, 0, nothing, NULL, NULL, NULL},
    {"GET", "/api/v1/events/stream", PORCH_ON_PEOPLE, 0, 0, nothing, NULL, NULL, NULL},
    {"GET", "/api/v1/events/{id}", PORCH_ON_PEOPLE, 0, 0, nothing, NULL, NULL, NULL},
    {"GET", "/api/v1/events/{id}/picture", PORCH_ON_PEOPLE, 0, 0, nothing, NULL, NULL, NULL},
    {"POST", "/api/v1/device/clips", PORCH_ON_DEVICE, 0, 10, nothing, NULL, NULL, NULL},
    {"HEAD", "/api/v1/device/clips/{id}", PORCH_ON_DEVICE, 0, 0, nothing, NULL, NULL, NULL},
    {"PATCH", "/api/v1/device/clips/{id}", PORCH_ON_DEVICE, 0, 0, nothing, NULL, NULL, NULL},
    {"GET", "/{path...}", PORCH_ON_PEOPLE, 0, 0, nothing, NULL, NULL, NULL},
};

typedef struct {
    porch_routes *routes;
    porch_route_match match;
    char allow[PORCH_ROUTE_ALLOW_BYTES];
} fixture;

static int set_up(void **state) {
    static fixture f;
    porch_why why;
    assert_int_equal(porch_routes_new(table, sizeof table / sizeof *table, &f.routes, &why), PORCH_OK);
    *state = &f;
    return 0;
}

static int tear_down(void **state) {
    porch_routes_free(((fixture *)*state)->routes);
    return 0;
}

static porch_err find(fixture *f, porch_listen_role role, const char *method, const char *path) {
    return porch_routes_find(f->routes, role, porch_bytes_of(method), porch_bytes_of(path), &f->match,
                             f->allow);
}

static void expect(fixture *f, const char *path, size_t row) {
    assert_int_equal(find(f, PORCH_LISTEN_PEOPLE, "GET", path), PORCH_OK);
    assert_ptr_equal(f->match.route, &table[row]);
}

static void a_literal_wins_over_a_variable_and_a_variable_over_the_rest(void **state) {
    fixture *f = *state;
    expect(f, "/", 0);
    expect(f, "/api/v1/events/stream", 2);
    expect(f, "/api/v1/events/e1", 3);
    expect(f, "/api/v1/events/e1/picture", 4);
    expect(f, "/assets/app.js", 8);
    assert_int_equal(f->match.param_count, 1);
    assert_true(porch_bytes_eq_text(f->match.params[0].value, "assets/app.js"));
}

static void a_variable_is_one_segment_with_something_in_it(void **state) {
    fixture *f = *state;
    expect(f, "/api/v1/clips/c1", 1);
    assert_true(porch_bytes_eq_text(f->match.params[0].name, "id"));
    assert_true(porch_bytes_eq_text(f->match.params[0].value, "c1"));
    expect(f, "/api/v1/clips/", 8);
    expect(f, "/api/v1/clips/c1/more", 8);
}

static void a_listener_has_its_own_paths(void **state) {
    fixture *f = *state;
    assert_int_equal(find(f, PORCH_LISTEN_DEVICE, "GET", "/api/v1/clips/c1"), PORCH_ERR_NOT_FOUND);
    assert_int_equal(find(f, PORCH_LISTEN_DEVICE, "POST", "/api/v1/device/clips"), PORCH_OK);
    assert_int_equal(find(f, PORCH_LISTEN_MQTT, "GET", "/"), PORCH_ERR_NOT_FOUND);
}

static void a_wrong_method_names_the_right_ones(void **state) {
    fixture *f = *state;
    assert_int_equal(find(f, PORCH_LISTEN_DEVICE, "GET", "/api/v1/device/clips/c1"), PORCH_ERR_UNSUPPORTED);
    assert_string_equal(f->allow, "HEAD, PATCH");
}

static void head_finds_get_unless_it_has_a_row_of_its_own(void **state) {
    fixture *f = *state;
    assert_int_equal(find(f, PORCH_LISTEN_PEOPLE, "HEAD", "/api/v1/clips/c1"), PORCH_OK);
    assert_ptr_equal(f->match.route, &table[1]);
    assert_int_equal(find(f, PORCH_LISTEN_DEVICE, "HEAD", "/api/v1/device/clips/c1"), PORCH_OK);
    assert_ptr_equal(f->match.route, &table[6]);
}

static void a_table_that_is_off_is_refused(void **state) {
    (void)state;
    const porch_http_route wrong[] = {
        {"FETCH", "/", PORCH_ON_PEOPLE, 0, 0, nothing, NULL, NULL, NULL},
        {"GET", "no-slash", PORCH_ON_PEOPLE, 0, 0, nothing, NULL, NULL, NULL},
        {"GET", "/{}", PORCH_ON_PEOPLE, 0, 0, nothing, NULL, NULL, NULL},
        {"GET", "/{rest...}/x", PORCH_ON_PEOPLE, 0, 0, nothing, NULL, NULL, NULL},
        {"GET", "/x", PORCH_ON_PEOPLE, 0, 0, NULL, NULL, NULL, NULL},
        {"PATCH", "/x", PORCH_ON_PEOPLE, PORCH_HTTP_BODY_STREAM, 1, nothing, NULL, NULL, NULL},
    };
    porch_routes *r = NULL;
    for (size_t i = 0; i < sizeof wrong / sizeof *wrong; i++)
        assert_int_equal(porch_routes_new(&wrong[i], 1, &r, NULL), PORCH_ERR_CONFIG);
    const porch_http_route twice[] = {
        {"GET", "/a/{x}", PORCH_ON_PEOPLE, 0, 0, nothing, NULL, NULL, NULL},
        {"GET", "/a/{y}", PORCH_ON_PEOPLE, 0, 0, nothing, NULL, NULL, NULL},
    };
    assert_int_equal(porch_routes_new(twice, 2, &r, NULL), PORCH_ERR_CONFIG);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(a_literal_wins_over_a_variable_and_a_variable_over_the_rest, set_up,
                                        tear_down),
        cmocka_unit_test_setup_teardown(a_variable_is_one_segment_with_something_in_it, set_up, tear_down),
        cmocka_unit_test_setup_teardown(a_listener_has_its_own_paths, set_up, tear_down),
        cmocka_unit_test_setup_teardown(a_wrong_method_names_the_right_ones, set_up, tear_down),
        cmocka_unit_test_setup_teardown(head_finds_get_unless_it_has_a_row_of_its_own, set_up, tear_down),
        cmocka_unit_test(a_table_that_is_off_is_refused),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
