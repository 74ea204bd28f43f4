#include "cli/foreign.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

static porch_foreign_answer mosquitto(const char *text) {
    porch_foreign_answer a = {false, ""};
    porch_why why = {""};
    if (porch_foreign_mosquitto(porch_bytes_of(text), &a, &why) != PORCH_OK) fail_msg("%s", why.text);
    return a;
}

static void a_client_named_after_a_subtopic_reads_it(void **state) {
    (void)state;
    porch_foreign_answer a = mosquitto("pattern readwrite devices/%c/#\n");
    assert_true(a.found);
    assert_non_null(strstr(a.text, "client identifier 'dev1/x'"));
    assert_non_null(strstr(a.text, "which belongs to client identifier 'dev1'"));
    assert_true(mosquitto("pattern read devices/%c/state\npattern write devices/%c\n").found);
    assert_true(mosquitto("pattern readwrite %u/%c/#\n").found);
    assert_true(mosquitto("pattern read devices/%c/in/+\npattern read devices/+/in/%c\n").found);
}

static void patterns_that_end_with_the_name_are_clean(void **state) {
    (void)state;
    assert_false(mosquitto("pattern readwrite devices/%c\n").found);
    assert_false(mosquitto("pattern readwrite in/%c\npattern readwrite out/%c\n").found);
    assert_false(mosquitto("# nothing\nuser bridge\ntopic readwrite #\n").found);
    /* a deny holds back what the pattern would give */
    assert_false(
        mosquitto("pattern readwrite devices/%c/#\npattern deny devices/+/+/#\npattern deny devices/+/#\n")
            .found);
}

static void a_wrong_line_is_named(void **state) {
    (void)state;
    porch_foreign_answer a;
    porch_why why = {""};
    assert_int_equal(porch_foreign_mosquitto(PORCH_LIT("user x\nrule y\n"), &a, &why), PORCH_ERR_MALFORMED);
    assert_non_null(strstr(why.text, "line 2: expected user, topic or pattern, found 'rule'"));
    assert_int_equal(porch_foreign_mosquitto(PORCH_LIT("topic read a/#/b\n"), &a, &why),
                     PORCH_ERR_MALFORMED);
}

static porch_foreign_answer aws(const char *statements) {
    char text[2000];
    porch_foreign_answer a = {false, ""};
    porch_why why = {""};
    (void)snprintf(text, sizeof text, "{\"Version\":\"2012-10-17\",\"Statement\":[%s]}", statements);
    if (porch_foreign_aws(porch_bytes_of(text), &a, &why) != PORCH_OK) fail_msg("%s", why.text);
    return a;
}

#define ARN "arn:aws:iot:eu-central-1:123456789012:"
#define ALL "{\"Effect\":\"Allow\",\"Action\":\"iot:*\",\"Resource\":\"*\"},"

static void a_deny_with_a_wildcard_is_passed_one_level_up(void **state) {
    (void)state;
    porch_foreign_answer a = aws(ALL "{\"Effect\":\"Deny\",\"Action\":\"iot:Subscribe\",\"Resource\":\"" ARN
                                     "topicfilter/secret/#\"}");
    assert_true(a.found);
    assert_non_null(strstr(a.text, "topicfilter/secret/#' does not hold"));
    assert_non_null(strstr(a.text, "receives 'secret/x'"));
    assert_false(
        aws(ALL "{\"Effect\":\"Deny\",\"Action\":[\"iot:Subscribe\",\"iot:Receive\"],\"Resource\":[\"" ARN
                "topicfilter/secret/#\",\"" ARN "topic/secret/*\"]}")
            .found);
}

static void a_client_identifier_with_a_slash_leads_to_another(void **state) {
    (void)state;
    porch_foreign_answer a =
        aws("{\"Effect\":\"Allow\",\"Action\":\"iot:Connect\",\"Resource\":\"" ARN
            "client/*\"},{\"Effect\":\"Allow\",\"Action\":\"iot:Publish\",\"Resource\":\"" ARN
            "topic/devices/${iot:ClientId}/*\"}");
    assert_true(a.found);
    assert_non_null(strstr(a.text, "client 'dev1/x' reaches the topic 'devices/dev1/x"));
    /* bound to the thing's name, which holds no slash */
    assert_false(
        aws("{\"Effect\":\"Allow\",\"Action\":\"iot:Connect\",\"Resource\":\"" ARN
            "client/${iot:Connection.Thing.ThingName}\"},{\"Effect\":\"Allow\",\"Action\":\"iot:Publish\","
            "\"Resource\":\"" ARN "topic/devices/${iot:Connection.Thing.ThingName}/*\"}")
            .found);
}

static void what_is_no_policy_is_refused(void **state) {
    (void)state;
    porch_foreign_answer a;
    porch_why why = {""};
    assert_int_equal(porch_foreign_aws(PORCH_LIT("{"), &a, &why), PORCH_ERR_MALFORMED);
    assert_int_equal(porch_foreign_aws(PORCH_LIT("{\"Statement\":3}"), &a, &why), PORCH_ERR_MALFORMED);
    assert_int_equal(porch_foreign_aws(PORCH_LIT("{}"), &a, &why), PORCH_ERR_MALFORMED);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_client_named_after_a_subtopic_reads_it),
        cmocka_unit_test(patterns_that_end_with_the_name_are_clean),
        cmocka_unit_test(a_wrong_line_is_named),
        cmocka_unit_test(a_deny_with_a_wildcard_is_passed_one_level_up),
        cmocka_unit_test(a_client_identifier_with_a_slash_leads_to_another),
        cmocka_unit_test(what_is_no_policy_is_refused),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
