#include "access/statement.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <string.h>

#include <cmocka.h>

static uint8_t out_block[512];

static porch_err parse(const char *text, const char *device, porch_access_statement *ret, porch_buf *out) {
    const porch_access_variable variables[] = {{"device.id", porch_bytes_of(device)},
                                               {"household.id", {NULL, 0}}};
    *out = PORCH_BUF_OF(out_block);
    return porch_access_statement_parse(porch_bytes_of(text), PORCH_ACCESS_ALLOW, variables, 2, NULL, out,
                                        ret, NULL);
}

static void a_statement_is_read_expanded_and_written_back(void **state) {
    (void)state;
    porch_access_statement s;
    porch_buf out;
    assert_int_equal(parse("subscribe,publish:d/${device.id}/x-${device.id}/#", "cam-1", &s, &out),
                     PORCH_OK);
    assert_int_equal(s.actions, PORCH_ACCESS_PUBLISH | PORCH_ACCESS_SUBSCRIBE);
    assert_true(porch_bytes_eq_text(s.filter.text, "d/cam-1/x-cam-1/#"));
    uint8_t block[64];
    porch_buf text = PORCH_BUF_OF(block);
    assert_int_equal(porch_access_statement_write(&text, &s), PORCH_OK);
    assert_true(porch_bytes_eq_text(porch_buf_bytes(&text), "allow publish,subscribe:d/cam-1/x-cam-1/#"));
}

static void broken_statements_are_refused(void **state) {
    (void)state;
    static const char *const wrong[] = {"",
                                        ":",
                                        "publish",
                                        "publish:",
                                        ":a",
                                        "publish,:a",
                                        ",publish:a",
                                        "publish,publish:a",
                                        "read:a",
                                        "publish :a",
                                        "publish:a/#/b",
                                        "publish:a+",
                                        "publish:${device.id",
                                        "publish:${}",
                                        "publish:${device}",
                                        "publish:${other.id}",
                                        "Publish:a"};
    porch_access_statement s = {.tag = 99};
    porch_buf out;
    for (size_t i = 0; i < sizeof wrong / sizeof wrong[0]; i++) {
        if (parse(wrong[i], "cam-1", &s, &out) != PORCH_ERR_MALFORMED)
            fail_msg("'%s' was not refused", wrong[i]);
        assert_int_equal(out.len, 0);
        assert_int_equal(s.tag, 99);
    }
}

static void a_value_can_never_act_as_a_pattern(void **state) {
    (void)state;
    static const char *const values[] = {"+", "#", "a/b", "$x", "a\n", "a\x7f"};
    porch_access_statement s;
    porch_buf out;
    for (size_t i = 0; i < sizeof values / sizeof values[0]; i++)
        assert_int_equal(parse("publish:d/${device.id}/#", values[i], &s, &out), PORCH_ERR_MALFORMED);
}

static void a_variable_without_a_value_makes_the_statement_not_apply(void **state) {
    (void)state;
    porch_access_statement s;
    porch_buf out;
    assert_int_equal(parse("publish:h/${household.id}/#", "cam-1", &s, &out), PORCH_ERR_NOT_FOUND);
    assert_int_equal(out.len, 0);
}

static void a_template_is_judged_before_it_is_saved(void **state) {
    (void)state;
    const porch_access_variable known[] = {{"device.id", {NULL, 0}}};
    porch_why why = {""};
    assert_int_equal(
        porch_access_template_check(PORCH_LIT("publish:d/${device.id}/#"), known, 1, NULL, &why), PORCH_OK);
    assert_int_equal(porch_access_template_check(PORCH_LIT("publish:d/${user.id}/#"), known, 1, NULL, &why),
                     PORCH_ERR_MALFORMED);
    assert_non_null(strstr(why.text, "user.id"));
    static char longer[2000] = "publish:";
    memset(longer + 8, 'a', sizeof longer - 9);
    assert_int_equal(porch_access_template_check(porch_bytes_of(longer), known, 1, NULL, &why),
                     PORCH_ERR_LIMIT);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_statement_is_read_expanded_and_written_back),
        cmocka_unit_test(broken_statements_are_refused),
        cmocka_unit_test(a_value_can_never_act_as_a_pattern),
        cmocka_unit_test(a_variable_without_a_value_makes_the_statement_not_apply),
        cmocka_unit_test(a_template_is_judged_before_it_is_saved),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
