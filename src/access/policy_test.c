#include "access/policy.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

#include "access/statement.h"

static uint64_t block[2048];
static uint8_t texts[4096];

/* Builds a policy from lines such as "allow publish:a/#". */
static const porch_access_policy *policy_of(const char *const *lines, size_t count) {
    porch_access_statement statements[16];
    porch_buf out = PORCH_BUF_OF(texts);
    const porch_access_policy *ret = NULL;
    for (size_t i = 0; i < count; i++) {
        bool allow = strncmp(lines[i], "allow ", 6) == 0;
        porch_why why = {""};
        if (porch_access_statement_parse(porch_bytes_of(lines[i] + (allow ? 6 : 5)),
                                         allow ? PORCH_ACCESS_ALLOW : PORCH_ACCESS_DENY, NULL, 0, NULL,
                                         &out, &statements[i], &why) != PORCH_OK)
            fail_msg("%s: %s", lines[i], why.text);
    }
    assert_int_equal(porch_access_policy_build(statements, count, block, sizeof block, &ret), PORCH_OK);
    return ret;
}

static porch_topic_name name_of(const char *text) {
    porch_topic_name ret;
    assert_int_equal(porch_topic_name_parse(porch_bytes_of(text), NULL, &ret), PORCH_OK);
    return ret;
}

static porch_topic_filter filter_of(const char *text) {
    porch_topic_filter ret;
    assert_int_equal(porch_topic_filter_parse(porch_bytes_of(text), NULL, &ret), PORCH_OK);
    return ret;
}

static void a_device_has_its_own_prefix_and_nothing_else(void **state) {
    (void)state;
    static const char *const lines[] = {"allow publish,subscribe:d/cam-1/#"};
    const porch_access_policy *p = policy_of(lines, 1);
    static const char *const own[] = {"d/cam-1/telemetry/t", "d/cam-1", "d/cam-1/"};
    static const char *const others[] = {"d/cam-10/telemetry/t",
                                         "d/cam-2/x",
                                         "d",
                                         "d/",
                                         "x",
                                         "$porchlight/device/cam-1/event/person",
                                         "D/cam-1/x"};
    for (size_t i = 0; i < sizeof own / sizeof own[0]; i++) {
        assert_true(porch_access_can_publish(p, name_of(own[i])).allowed);
        assert_true(porch_access_can_receive(p, name_of(own[i])).allowed);
    }
    for (size_t i = 0; i < sizeof others / sizeof others[0]; i++) {
        assert_false(porch_access_can_publish(p, name_of(others[i])).allowed);
        assert_false(porch_access_can_receive(p, name_of(others[i])).allowed);
    }
    static const char *const wide[] = {"#",   "d/#",           "d/+/telemetry/#", "+/cam-1/#",
                                       "d/+", "$porchlight/#", "d/cam-1x/#"};
    for (size_t i = 0; i < sizeof wide / sizeof wide[0]; i++)
        assert_false(porch_access_can_subscribe(p, filter_of(wide[i])).allowed);
    assert_true(porch_access_can_subscribe(p, filter_of("d/cam-1/#")).allowed);
    assert_true(porch_access_can_subscribe(p, filter_of("d/cam-1/+/x")).allowed);
}

static void deny_wins_and_is_named(void **state) {
    (void)state;
    static const char *const lines[] = {"allow publish,subscribe:lab/#", "deny publish:lab/secret/#",
                                        "deny receive:lab/+/key"};
    const porch_access_policy *p = policy_of(lines, 3);
    porch_access_decision d = porch_access_can_publish(p, name_of("lab/secret/x"));
    assert_false(d.allowed);
    assert_int_equal(d.statement, 1);
    assert_int_equal(porch_access_can_publish(p, name_of("lab/open/x")).statement, 0);
    assert_int_equal(porch_access_can_publish(p, name_of("elsewhere")).statement, -1);
    /* A partial deny leaves the subscription and cuts the hole at delivery. */
    assert_true(porch_access_can_subscribe(p, filter_of("lab/#")).allowed);
    assert_true(porch_access_may_deny_receive(p, filter_of("lab/#")));
    assert_false(porch_access_can_receive(p, name_of("lab/a/key")).allowed);
    assert_true(porch_access_can_receive(p, name_of("lab/a/lock")).allowed);
    assert_false(porch_access_can_subscribe(p, filter_of("lab/a/key")).allowed);
    assert_false(porch_access_may_deny_receive(p, filter_of("lab/a/lock")));
    porch_why why;
    porch_access_explain(p, d, PORCH_ACCESS_PUBLISH, PORCH_LIT("lab/secret/x"), &why);
    assert_string_equal(why.text, "'deny publish:lab/secret/#' forbids it; change that statement");
    porch_access_explain(p, (porch_access_decision){false, -1}, PORCH_ACCESS_SUBSCRIBE, PORCH_LIT("x/#"),
                         &why);
    assert_string_equal(why.text, "no statement allows it; grant subscribe:x/#");
}

static void several_statements_may_allow_a_subscription_together(void **state) {
    (void)state;
    static const char *const lines[] = {"allow subscribe:a", "allow subscribe:a/+/#", "allow receive:b/#"};
    const porch_access_policy *p = policy_of(lines, 3);
    assert_true(porch_access_can_subscribe(p, filter_of("a/#")).allowed);
    assert_false(porch_access_can_subscribe(p, filter_of("+/#")).allowed);
    assert_false(
        porch_access_can_subscribe(p, filter_of("b/x")).allowed); /* receive alone grants no subscription */
    assert_true(porch_access_can_receive(p, name_of("b/x")).allowed);
}

static void no_statement_means_no(void **state) {
    (void)state;
    const porch_access_policy *p = policy_of(NULL, 0);
    assert_false(porch_access_can_publish(p, name_of("a")).allowed);
    assert_false(porch_access_can_receive(p, name_of("a")).allowed);
    assert_false(porch_access_can_subscribe(p, filter_of("a")).allowed);
    assert_int_equal(porch_access_policy_count(p), 0);
}

static void a_block_too_small_or_actions_unknown_are_refused(void **state) {
    (void)state;
    porch_access_statement s = {PORCH_ACCESS_ALLOW, PORCH_ACCESS_PUBLISH, filter_of("a/#"), 7};
    const porch_access_policy *p = NULL;
    size_t bytes = porch_access_policy_bytes(&s, 1);
    assert_int_equal(porch_access_policy_build(&s, 1, block, bytes - 1, &p), PORCH_ERR_NO_SPACE);
    assert_int_equal(porch_access_policy_build(&s, 1, block, bytes, &p), PORCH_OK);
    assert_int_equal(porch_access_policy_size(p), bytes);
    porch_access_statement back;
    assert_true(porch_access_policy_statement(p, 0, &back));
    assert_int_equal(back.tag, 7);
    assert_true(porch_bytes_eq_text(back.filter.text, "a/#"));
    assert_false(porch_access_policy_statement(p, 1, &back));
    s.actions = 0;
    assert_int_equal(porch_access_policy_build(&s, 1, block, sizeof block, &p), PORCH_ERR_MALFORMED);
    s.actions = 8;
    assert_int_equal(porch_access_policy_build(&s, 1, block, sizeof block, &p), PORCH_ERR_MALFORMED);
    assert_int_equal(
        porch_access_policy_build(&s, PORCH_ACCESS_STATEMENTS_MOST + 1, block, sizeof block, &p),
        PORCH_ERR_LIMIT);
}

/* Every filter and name over a small alphabet: what a granted subscription matches, the policy lets be
 * received unless a deny says no; and what is refused has a name that the policy does not allow. */
static const char *const levels[] = {"a", "b", "$s", "+"};

static size_t all_filters(char out[][16], size_t most) {
    size_t n = 0;
    for (int i = 0; i < 4; i++) {
        for (int k = -2; k < 4; k++) {
            if (n == most) return n;
            if (k == -2)
                (void)snprintf(out[n++], 16, "%s", levels[i]);
            else if (k == -1)
                (void)snprintf(out[n++], 16, "%s/#", levels[i]);
            else
                (void)snprintf(out[n++], 16, "%s/%s", levels[i], levels[k]);
        }
    }
    (void)snprintf(out[n++], 16, "#");
    return n;
}

static void subscriptions_agree_with_brute_force(void **state) {
    (void)state;
    static char filters[32][16];
    static const char *const names[] = {
        "a",       "b",       "c",      "$s",     "$z",     "a/a",     "a/b",    "a/c",
        "a/$s",    "a/$z",    "b/a",    "b/b",    "b/c",    "b/$s",    "b/$z",   "c/a",
        "c/b",     "c/c",     "c/$s",   "c/$z",   "$s/a",   "$s/b",    "$s/c",   "$s/$s",
        "$s/$z",   "$z/a",    "$z/b",   "$z/c",   "$z/$s",  "$z/$z",   "a/a/x",  "a/b/x",
        "a/c/x",   "a/$s/x",  "a/$z/x", "b/a/x",  "b/b/x",  "b/c/x",   "b/$s/x", "b/$z/x",
        "c/a/x",   "c/b/x",   "c/c/x",  "c/$s/x", "c/$z/x", "$s/a/x",  "$s/b/x", "$s/c/x",
        "$s/$s/x", "$s/$z/x", "$z/a/x", "$z/b/x", "$z/c/x", "$z/$s/x", "$z/$z/x"};
    size_t count = all_filters(filters, 31);
    for (size_t x = 0; x < count; x++) {
        for (size_t y = 0; y < count; y++) {
            char one[40], two[40];
            (void)snprintf(one, sizeof one, "allow subscribe:%s", filters[x]);
            (void)snprintf(two, sizeof two, "allow subscribe:%s", filters[y]);
            const char *const lines[] = {one, two};
            const porch_access_policy *p = policy_of(lines, 2);
            for (size_t f = 0; f < count; f++) {
                bool inside = true;
                for (size_t n = 0; n < sizeof names / sizeof names[0]; n++) {
                    if (porch_topic_matches(filter_of(filters[f]), name_of(names[n])) &&
                        !porch_access_can_receive(p, name_of(names[n])).allowed)
                        inside = false;
                }
                if (porch_access_can_subscribe(p, filter_of(filters[f])).allowed != inside)
                    fail_msg("'%s' and '%s' for '%s': expected %d", filters[x], filters[y], filters[f],
                             inside);
            }
        }
    }
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_device_has_its_own_prefix_and_nothing_else),
        cmocka_unit_test(deny_wins_and_is_named),
        cmocka_unit_test(several_statements_may_allow_a_subscription_together),
        cmocka_unit_test(no_statement_means_no),
        cmocka_unit_test(a_block_too_small_or_actions_unknown_are_refused),
        cmocka_unit_test(subscriptions_agree_with_brute_force),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
