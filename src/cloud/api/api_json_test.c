#include "cloud/api/api_json.h"

#include <setjmp.h>
#include <stdarg.h>
#include <string.h>

#include <cmocka.h>

static porch_bytes name, code;
static const porch_json_field FIELDS[] = {{"name", 8, true, &name}, {"code", 6, false, &code}};

static porch_err parse(const char *body, json_t **root) {
    return porch_json_fields(porch_bytes_of(body), FIELDS, 2, root, NULL);
}

static void known_text_fields_come_out_as_views(void **state) {
    (void)state;
    json_t *root = NULL;
    assert_int_equal(parse("{\"name\":\"anna\",\"code\":\"123456\"}", &root), PORCH_OK);
    assert_true(porch_bytes_eq_text(name, "anna") && porch_bytes_eq_text(code, "123456"));
    json_decref(root);
    assert_int_equal(parse(" { \"name\" : \"\" } ", &root), PORCH_OK);
    assert_true(name.at != NULL && name.len == 0 && code.at == NULL);
    json_decref(root);
}

static void everything_else_is_malformed(void **state) {
    (void)state;
    static const char *const bad[] = {
        "",
        "{",
        "[]",
        "\"x\"",
        "1",
        "null",
        "{}",
        "{\"name\":1}",
        "{\"name\":null}",
        "{\"name\":[\"a\"]}",
        "{\"name\":\"a\",\"name\":\"b\"}",
        "{\"name\":\"a\"} x",
        "{\"name\":\"a\",}",
        "{\"name\":\"a\",\"more\":\"b\"}",
        "{\"name\":\"ninechars\"}",
        "{\"name\":\"a\\u0000b\"}",
        "{\"name\":\"\xff\"}",
        "{'name':'a'}",
        "{\"code\":\"1\"}",
    };
    for (size_t i = 0; i < sizeof bad / sizeof bad[0]; i++) {
        json_t *root = NULL;
        if (parse(bad[i], &root) != PORCH_ERR_MALFORMED) fail_msg("accepted: %s", bad[i]);
        assert_null(root);
        assert_null(name.at);
    }
}

static void a_body_cut_short_is_refused_at_every_length(void **state) {
    (void)state;
    const char whole[] = "{\"name\":\"anna\",\"code\":\"123456\"}";
    for (size_t len = 0; len < sizeof whole - 1; len++) {
        json_t *root = NULL;
        assert_int_equal(
            porch_json_fields((porch_bytes){(const uint8_t *)whole, len}, FIELDS, 2, &root, NULL),
            PORCH_ERR_MALFORMED);
    }
}

static void deep_nesting_is_refused_and_does_not_fell_the_process(void **state) {
    (void)state;
    static char deep[60000];
    memset(deep, '[', sizeof deep - 1);
    json_t *root = NULL;
    assert_int_equal(parse(deep, &root), PORCH_ERR_MALFORMED);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(known_text_fields_come_out_as_views),
        cmocka_unit_test(everything_else_is_malformed),
        cmocka_unit_test(a_body_cut_short_is_refused_at_every_length),
        cmocka_unit_test(deep_nesting_is_refused_and_does_not_fell_the_process),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
