#include "access/statement.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <string.h>

#include <cmocka.h>

#define COUNT(array) (sizeof(array) / sizeof((array)[0]))

static const porch_access_variable cam[] = {{"device.id", PORCH_LIT("cam-1")},
                                            {"device.product", PORCH_LIT("camera")},
                                            {"household.id", {NULL, 0}}};

static porch_err parse(const char *text, porch_buf *out, porch_access_statement *ret, porch_why *why) {
    return porch_access_statement_parse(porch_bytes_of(text), PORCH_ACCESS_ALLOW, cam, COUNT(cam), NULL,
                                        out, ret, why);
}

static void a_statement_is_taken_apart_and_its_variables_filled(void **state) {
    (void)state;
    uint8_t text[128];
    porch_buf out = PORCH_BUF_OF(text);
    porch_access_statement s;
    porch_why why;
    assert_int_equal(parse("publish,subscribe:d/${device.id}/#", &out, &s, &why), PORCH_OK);
    assert_int_equal(s.actions, PORCH_ACCESS_PUBLISH | PORCH_ACCESS_SUBSCRIBE);
    assert_true(porch_bytes_eq_text(s.filter.text, "d/cam-1/#"));
    assert_int_equal(parse("receive:x/${device.product}-${device.id}:y", &out, &s, &why), PORCH_OK);
    assert_int_equal(s.actions, PORCH_ACCESS_RECEIVE);
    assert_true(porch_bytes_eq_text(s.filter.text, "x/camera-cam-1:y"));
    assert_int_equal(parse("subscribe:$porchlight/#", &out, &s, &why), PORCH_OK);
    assert_true(porch_bytes_eq_text(s.filter.text, "$porchlight/#"));
    assert_int_equal(parse("read:metrics", &out, &s, &why), PORCH_OK);
    assert_int_equal(s.actions, PORCH_ACCESS_READ);
}

static void each_broken_statement_says_what_is_wrong(void **state) {
    (void)state;
    const struct {
        const char *text;
        porch_err error;
        const char *said;
    } rows[] = {
        {"", PORCH_ERR_MALFORMED, "ACTIONS:FILTER"},
        {"publish", PORCH_ERR_MALFORMED, "ACTIONS:FILTER"},
        {":a", PORCH_ERR_MALFORMED, "no action"},
        {"read:a", PORCH_ERR_MALFORMED, "read:metrics"},
        {"read:#", PORCH_ERR_MALFORMED, "read:metrics"},
        {"publish,read:metrics", PORCH_ERR_MALFORMED, "stands alone"},
        {"write:a", PORCH_ERR_MALFORMED, "'write'"},
        {"publish,:a", PORCH_ERR_MALFORMED, "no action"},
        {"publish, subscribe:a", PORCH_ERR_MALFORMED, "' subscribe'"},
        {"publish,publish:a", PORCH_ERR_MALFORMED, "twice"},
        {"publish:", PORCH_ERR_MALFORMED, "filter"},
        {"publish:a#", PORCH_ERR_MALFORMED, "filter"},
        {"publish:d/${device.id", PORCH_ERR_MALFORMED, "not closed"},
        {"publish:d/${device.name}/#", PORCH_ERR_NOT_FOUND, "${device.name}"},
        {"publish:h/${household.id}/#", PORCH_ERR_NOT_FOUND, "${household.id}"},
        {"publish:${}/#", PORCH_ERR_NOT_FOUND, "${}"},
    };
    for (size_t i = 0; i < COUNT(rows); i++) {
        uint8_t text[128];
        porch_buf out = PORCH_BUF_OF(text);
        porch_access_statement s = {.actions = 77};
        porch_why why = {""};
        if (parse(rows[i].text, &out, &s, &why) != rows[i].error) fail_msg("%s", rows[i].text);
        if (strstr(why.text, rows[i].said) == NULL) fail_msg("%s: %s", rows[i].text, why.text);
        assert_int_equal(out.len, 0);
        assert_int_equal(s.actions, 77);
    }
}

static void a_value_never_acts_as_a_pattern(void **state) {
    (void)state;
    const char *values[] = {"+", "#", "a/b", "$a", "a#", "", "a\n", "\x7f", "\xff"};
    for (size_t i = 0; i < COUNT(values); i++) {
        porch_access_variable v = {"device.id", porch_bytes_of(values[i])};
        uint8_t text[128];
        porch_buf out = PORCH_BUF_OF(text);
        porch_topic_filter filter;
        assert_int_not_equal(
            porch_access_filter_expand(PORCH_LIT("d/${device.id}/#"), &v, 1, NULL, &out, &filter, NULL),
            PORCH_OK);
        assert_int_equal(out.len, 0);
    }
}

static void limits_and_space_are_kept_after_expansion(void **state) {
    (void)state;
    const porch_topic_limits limits = {9, 3};
    uint8_t text[9];
    porch_buf out = PORCH_BUF_OF(text);
    porch_topic_filter filter;
    assert_int_equal(
        porch_access_filter_expand(PORCH_LIT("d/${device.id}/#"), cam, 1, &limits, &out, &filter, NULL),
        PORCH_OK);
    assert_int_equal(porch_access_filter_expand(PORCH_LIT("x"), cam, 1, &limits, &out, &filter, NULL),
                     PORCH_ERR_NO_SPACE);
    uint8_t more[32];
    out = PORCH_BUF_OF(more);
    assert_int_equal(
        porch_access_filter_expand(PORCH_LIT("dd/${device.id}/#"), cam, 1, &limits, &out, &filter, NULL),
        PORCH_ERR_LIMIT);
    assert_int_equal(out.len, 0);
}

static void a_template_is_checked_before_it_is_saved(void **state) {
    (void)state;
    porch_why why;
    assert_int_equal(
        porch_access_template_check(PORCH_LIT("subscribe:d/${device.id}/#"), cam, COUNT(cam), NULL, &why),
        PORCH_OK);
    assert_int_equal(
        porch_access_template_check(PORCH_LIT("subscribe:h/${household.id}"), cam, COUNT(cam), NULL, &why),
        PORCH_OK);
    assert_int_equal(
        porch_access_template_check(PORCH_LIT("subscribe:${devise.id}"), cam, COUNT(cam), NULL, &why),
        PORCH_ERR_MALFORMED);
    assert_non_null(strstr(why.text, "${devise.id}"));
    assert_int_equal(
        porch_access_template_check(PORCH_LIT("subscribe:${device.id}#"), cam, COUNT(cam), NULL, &why),
        PORCH_ERR_MALFORMED);
    assert_int_equal(
        porch_access_template_check(PORCH_LIT("subscribe:a/${device.id"), cam, COUNT(cam), NULL, &why),
        PORCH_ERR_MALFORMED);
    static uint8_t longest[1100] = "publish:";
    memset(longest + 8, 'a', sizeof longest - 8);
    assert_int_equal(
        porch_access_template_check((porch_bytes){longest, sizeof longest}, cam, COUNT(cam), NULL, &why),
        PORCH_ERR_LIMIT);
}

static void a_refusal_is_explained_with_the_smallest_grant(void **state) {
    (void)state;
    static uint64_t block[256];
    const porch_access_policy *p = NULL;
    porch_topic_filter filter;
    assert_int_equal(porch_topic_filter_parse(PORCH_LIT("x/#"), NULL, &filter), PORCH_OK);
    porch_access_statement s = {PORCH_ACCESS_DENY, PORCH_ACCESS_PUBLISH | PORCH_ACCESS_RECEIVE, filter, 0};
    assert_int_equal(porch_access_policy_build(&s, 1, block, sizeof block, &p), PORCH_OK);
    porch_why why;
    porch_topic_name name;
    assert_int_equal(porch_topic_name_parse(PORCH_LIT("x/y"), NULL, &name), PORCH_OK);
    porch_access_explain(p, porch_access_can_publish(p, name), PORCH_ACCESS_PUBLISH, name.text, &why);
    assert_string_equal(why.text, "'deny publish,receive:x/#' forbids it; change that statement");
    assert_int_equal(porch_topic_name_parse(PORCH_LIT("d/cam-2/a"), NULL, &name), PORCH_OK);
    porch_access_explain(p, porch_access_can_publish(p, name), PORCH_ACCESS_PUBLISH, name.text, &why);
    assert_string_equal(why.text, "no statement allows it; grant publish:d/cam-2/a");
}

static void a_statement_is_written_whole_or_not_at_all(void **state) {
    (void)state;
    uint8_t out[64];
    porch_access_statement s = {PORCH_ACCESS_ALLOW, PORCH_ACCESS_EVERY, {PORCH_LIT("a/#")}, 0};
    porch_buf b = PORCH_BUF_OF(out);
    assert_int_equal(porch_access_statement_write(&b, &s), PORCH_OK);
    assert_true(porch_bytes_eq_text(porch_buf_bytes(&b), "allow publish,subscribe,receive,read:a/#"));
    size_t whole = b.len;
    for (size_t cap = 0; cap < whole; cap++) {
        porch_buf tight = {out, 0, cap};
        assert_int_equal(porch_access_statement_write(&tight, &s), PORCH_ERR_NO_SPACE);
        assert_int_equal(tight.len, 0);
    }
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_statement_is_taken_apart_and_its_variables_filled),
        cmocka_unit_test(each_broken_statement_says_what_is_wrong),
        cmocka_unit_test(a_value_never_acts_as_a_pattern),
        cmocka_unit_test(limits_and_space_are_kept_after_expansion),
        cmocka_unit_test(a_template_is_checked_before_it_is_saved),
        cmocka_unit_test(a_refusal_is_explained_with_the_smallest_grant),
        cmocka_unit_test(a_statement_is_written_whole_or_not_at_all),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
