#include "access/policy.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <string.h>

#include <cmocka.h>

#include "base/cursor.h"

#define COUNT(array) (sizeof(array) / sizeof((array)[0]))
#define PUB          PORCH_ACCESS_PUBLISH
#define SUB          PORCH_ACCESS_SUBSCRIBE
#define RECV         PORCH_ACCESS_RECEIVE

static uint64_t block[1024];

static porch_topic_filter filter_of(const char *text) {
    porch_topic_filter f;
    assert_int_equal(porch_topic_filter_parse(porch_bytes_of(text), NULL, &f), PORCH_OK);
    return f;
}

static porch_topic_name name_of(const char *text) {
    porch_topic_name n;
    assert_int_equal(porch_topic_name_parse(porch_bytes_of(text), NULL, &n), PORCH_OK);
    return n;
}

static porch_access_statement allow(unsigned actions, const char *filter) {
    return (porch_access_statement){PORCH_ACCESS_ALLOW, actions, filter_of(filter), 0};
}

static porch_access_statement deny(unsigned actions, const char *filter) {
    return (porch_access_statement){PORCH_ACCESS_DENY, actions, filter_of(filter), 0};
}

static const porch_access_policy *build(const porch_access_statement *s, size_t count) {
    const porch_access_policy *p = NULL;
    assert_int_equal(porch_access_policy_build(s, count, block, sizeof block, &p), PORCH_OK);
    return p;
}

static void decides(porch_access_decision d, bool allowed, int statement) {
    assert_int_equal(d.allowed, allowed);
    assert_int_equal(d.statement, statement);
}

static void silence_is_no(void **state) {
    (void)state;
    const porch_access_policy *p = build(NULL, 0);
    decides(porch_access_can_publish(p, name_of("a")), false, -1);
    decides(porch_access_can_subscribe(p, filter_of("a")), false, -1);
    decides(porch_access_can_receive(p, name_of("a")), false, -1);
    assert_false(porch_access_may_deny_receive(p, filter_of("#")));
}

static void a_device_speaks_and_listens_below_its_own_prefix_and_nowhere_else(void **state) {
    (void)state;
    const porch_access_statement s[] = {allow(PUB | SUB, "d/cam-1/#")};
    const porch_access_policy *p = build(s, COUNT(s));
    decides(porch_access_can_publish(p, name_of("d/cam-1/event/motion")), true, 0);
    decides(porch_access_can_publish(p, name_of("d/cam-1")), true, 0);
    decides(porch_access_can_subscribe(p, filter_of("d/cam-1/command/+/request")), true, 0);
    decides(porch_access_can_subscribe(p, filter_of("d/cam-1/#")), true, 0);
    const char *foreign[] = {"d/cam-2/x",  "d/cam-10/x",    "d",       "d/",     "d/cam-1x", "D/cam-1/x",
                             "/d/cam-1/x", "$porchlight/x", "cam-1/x", "d/cam-2"};
    for (size_t i = 0; i < COUNT(foreign); i++) {
        decides(porch_access_can_publish(p, name_of(foreign[i])), false, -1);
        decides(porch_access_can_subscribe(p, filter_of(foreign[i])), false, -1);
        decides(porch_access_can_receive(p, name_of(foreign[i])), false, -1);
    }
    const char *wide[] = {"#",   "+/cam-1/#",        "d/+/#",        "d/#", "d/+",
                          "+/#", "d/+/event/motion", "$porchlight/#"};
    for (size_t i = 0; i < COUNT(wide); i++)
        decides(porch_access_can_subscribe(p, filter_of(wide[i])), false, -1);
}

static void deny_wins_over_every_allow_in_any_order(void **state) {
    (void)state;
    const porch_access_statement s[] = {allow(PUB | SUB, "a/#"), deny(PUB | SUB, "a/secret/#"),
                                        allow(PUB | SUB, "a/secret/x")};
    const porch_access_policy *p = build(s, COUNT(s));
    decides(porch_access_can_publish(p, name_of("a/b")), true, 0);
    decides(porch_access_can_publish(p, name_of("a/secret/x")), false, 1);
    decides(porch_access_can_receive(p, name_of("a/secret/x")), false, 1);
    decides(porch_access_can_receive(p, name_of("a/secret")), false, 1);
    decides(porch_access_can_subscribe(p, filter_of("a/secret/x")), false, 1);
    decides(porch_access_can_subscribe(p, filter_of("a/secret/+")), false, 1);
}

static void a_wide_filter_cannot_reach_around_a_deny(void **state) {
    (void)state;
    const porch_access_statement s[] = {deny(SUB, "a/secret"), allow(SUB, "a/#")};
    const porch_access_policy *p = build(s, COUNT(s));
    decides(porch_access_can_subscribe(p, filter_of("a/#")), true, 1);   /* a part may arrive ... */
    decides(porch_access_can_receive(p, name_of("a/secret")), false, 0); /* ... this one never does */
    decides(porch_access_can_receive(p, name_of("a/other")), true, 1);
    assert_true(porch_access_may_deny_receive(p, filter_of("a/#")));
    assert_true(porch_access_may_deny_receive(p, filter_of("+/+")));
    assert_false(porch_access_may_deny_receive(p, filter_of("a/b/#")));
}

static void actions_are_kept_apart(void **state) {
    (void)state;
    const porch_access_statement s[] = {allow(PUB, "p"), allow(SUB, "s"), allow(RECV, "r"),
                                        deny(PUB, "s"),  deny(RECV, "q"), allow(PUB | SUB, "q")};
    const porch_access_policy *p = build(s, COUNT(s));
    decides(porch_access_can_publish(p, name_of("p")), true, 0);
    decides(porch_access_can_subscribe(p, filter_of("p")), false, -1);
    decides(porch_access_can_receive(p, name_of("p")), false, -1);
    decides(porch_access_can_publish(p, name_of("s")), false, 3);
    decides(porch_access_can_subscribe(p, filter_of("s")), true, 1);
    decides(porch_access_can_receive(p, name_of("s")), true, 1);
    decides(porch_access_can_publish(p, name_of("r")), false, -1);
    decides(porch_access_can_subscribe(p, filter_of("r")), false, -1); /* receive grants no subscription */
    decides(porch_access_can_receive(p, name_of("r")), true, 2);
    /* Reading the API is granted by nothing that is about topics, and grants nothing about them. */
    decides(porch_access_can_read(p, name_of("p")), false, -1);
    decides(porch_access_can_read(p, name_of("s")), false, -1);
    decides(porch_access_can_publish(p, name_of("q")), true, 5);
    decides(porch_access_can_subscribe(p, filter_of("q")), false, 4); /* nothing could ever arrive */
    const porch_access_statement reader[] = {allow(PORCH_ACCESS_READ, "metrics"),
                                             allow(PUB | SUB | RECV, "x/#")};
    p = build(reader, 2);
    decides(porch_access_can_read(p, name_of("metrics")), true, 0);
    decides(porch_access_can_read(p, name_of("x/metrics")), false, -1);
    decides(porch_access_can_publish(p, name_of("metrics")), false, -1);
    decides(porch_access_can_receive(p, name_of("metrics")), false, -1);
    decides(porch_access_can_subscribe(p, filter_of("metrics")), false, -1);
}

static void several_statements_allow_together_what_none_allows_alone(void **state) {
    (void)state;
    const porch_access_statement s[] = {allow(SUB, "a"), allow(PUB, "a/#"), allow(SUB, "a/+/#")};
    const porch_access_policy *p = build(s, COUNT(s));
    porch_access_decision d = porch_access_can_subscribe(p, filter_of("a/#"));
    assert_true(d.allowed && (d.statement == 0 || d.statement == 2));
    p = build(s, 2);
    decides(porch_access_can_subscribe(p, filter_of("a/#")), false, -1);
}

static void reserved_topics_need_a_grant_that_names_them(void **state) {
    (void)state;
    const porch_access_statement s[] = {allow(PUB | SUB, "#"), allow(SUB, "$porchlight/device/cam-1/#")};
    const porch_access_policy *p = build(s, COUNT(s));
    decides(porch_access_can_publish(p, name_of("$porchlight/device/cam-1/event/person")), false, -1);
    decides(porch_access_can_receive(p, name_of("$porchlight/device/cam-1/event/person")), true, 1);
    decides(porch_access_can_receive(p, name_of("$porchlight/device/cam-2/event/person")), false, -1);
    decides(porch_access_can_subscribe(p, filter_of("$porchlight/#")), false, -1);
    decides(porch_access_can_subscribe(p, filter_of("$porchlight/device/cam-1/event/+")), true, 1);
}

static void a_policy_can_be_moved_as_bytes_and_gives_its_statements_back(void **state) {
    (void)state;
    porch_access_statement s[] = {allow(PUB, "a/+"), deny(SUB, "b"), allow(SUB | RECV, "c/#")};
    for (uint32_t i = 0; i < COUNT(s); i++)
        s[i].tag = 100 + i;
    const porch_access_policy *p = build(s, COUNT(s));
    static uint64_t moved[128];
    assert_true(porch_access_policy_size(p) == porch_access_policy_bytes(s, COUNT(s)));
    assert_true(porch_access_policy_size(p) <= sizeof moved);
    memcpy(moved, p, porch_access_policy_size(p));
    memset(block, 0xff, sizeof block);
    p = (const porch_access_policy *)moved;
    assert_int_equal(porch_access_policy_count(p), 3);
    for (size_t i = 0; i < COUNT(s); i++) {
        porch_access_statement back;
        assert_true(porch_access_policy_statement(p, i, &back));
        assert_int_equal(back.effect, s[i].effect);
        assert_int_equal(back.actions, s[i].actions);
        assert_int_equal(back.tag, s[i].tag);
        assert_true(porch_bytes_eq(back.filter.text, s[i].filter.text));
    }
    assert_false(porch_access_policy_statement(p, 3, &s[0]));
    decides(porch_access_can_publish(p, name_of("a/x")), true, 0);
    decides(porch_access_can_receive(p, name_of("b")), false, 1);
}

static void a_bad_statement_or_a_small_block_is_refused(void **state) {
    (void)state;
    const porch_access_policy *p = NULL;
    porch_access_statement s = allow(PUB, "a");
    size_t bytes = porch_access_policy_bytes(&s, 1);
    assert_int_equal(porch_access_policy_build(&s, 1, block, bytes - 1, &p), PORCH_ERR_NO_SPACE);
    assert_int_equal(porch_access_policy_build(&s, 1, block, bytes, &p), PORCH_OK);
    p = NULL;
    s.actions = 0;
    assert_int_equal(porch_access_policy_build(&s, 1, block, sizeof block, &p), PORCH_ERR_MALFORMED);
    s.actions = 16;
    assert_int_equal(porch_access_policy_build(&s, 1, block, sizeof block, &p), PORCH_ERR_MALFORMED);
    assert_int_equal(
        porch_access_policy_build(&s, PORCH_ACCESS_STATEMENTS_MOST + 1, block, sizeof block, &p),
        PORCH_ERR_LIMIT);
    assert_null(p);
}

/* The judge: random policies over a small alphabet, each decision against the rules spelled out by
 * matching. */
static const char *const words[] = {"a",   "b",     "a/b", "a/+", "a/#",   "+",   "#",
                                    "+/b", "a/b/c", "+/#", "b/#", "a/+/c", "$x/#"};
static const char *const topics[] = {"a",     "b",     "z",     "a/b",  "a/z",    "z/b",
                                     "a/b/c", "a/z/c", "z/z/z", "$x/y", "b/z/z/z"};

static void random_policies_decide_as_the_rules_say(void **state) {
    (void)state;
    uint32_t seed = 7;
    size_t granted = 0;
    for (size_t round = 0; round < 20000; round++) {
        porch_access_statement s[4];
        for (size_t i = 0; i < COUNT(s); i++) {
            seed = seed * 1664525u + 1013904223u;
            s[i] = (porch_access_statement){(seed >> 28) < 4 ? PORCH_ACCESS_DENY : PORCH_ACCESS_ALLOW,
                                            1u + (seed >> 16) % 7,
                                            {porch_bytes_of(words[(seed >> 8) % COUNT(words)])},
                                            0};
        }
        const porch_access_policy *p = build(s, COUNT(s));
        for (size_t t = 0; t < COUNT(topics); t++) {
            porch_topic_name name = {porch_bytes_of(topics[t])};
            bool pub_allow = false, pub_deny = false, recv_allow = false, recv_deny = false;
            for (size_t i = 0; i < COUNT(s); i++) {
                if (!porch_topic_matches(s[i].filter, name)) continue;
                bool pub = (s[i].actions & PUB) != 0, recv = (s[i].actions & (SUB | RECV)) != 0;
                pub_allow = pub_allow || (pub && s[i].effect == PORCH_ACCESS_ALLOW);
                pub_deny = pub_deny || (pub && s[i].effect == PORCH_ACCESS_DENY);
                recv_allow = recv_allow || (recv && s[i].effect == PORCH_ACCESS_ALLOW);
                recv_deny = recv_deny || (recv && s[i].effect == PORCH_ACCESS_DENY);
            }
            assert_int_equal(porch_access_can_publish(p, name).allowed, pub_allow && !pub_deny);
            assert_int_equal(porch_access_can_receive(p, name).allowed, recv_allow && !recv_deny);
        }
        for (size_t f = 0; f < COUNT(words); f++) {
            porch_topic_filter filter = {porch_bytes_of(words[f])};
            if (!porch_access_can_subscribe(p, filter).allowed) continue;
            granted++;
            for (size_t t = 0; t < COUNT(topics);
                 t++) { /* sound: nothing outside what is allowed to be subscribed */
                porch_topic_name name = {porch_bytes_of(topics[t])};
                bool inside = !porch_topic_matches(filter, name);
                for (size_t i = 0; i < COUNT(s); i++)
                    inside = inside || (s[i].effect == PORCH_ACCESS_ALLOW && (s[i].actions & SUB) != 0 &&
                                        porch_topic_matches(s[i].filter, name));
                assert_true(inside);
            }
        }
    }
    assert_true(granted > 1000);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(silence_is_no),
        cmocka_unit_test(a_device_speaks_and_listens_below_its_own_prefix_and_nowhere_else),
        cmocka_unit_test(deny_wins_over_every_allow_in_any_order),
        cmocka_unit_test(a_wide_filter_cannot_reach_around_a_deny),
        cmocka_unit_test(actions_are_kept_apart),
        cmocka_unit_test(several_statements_allow_together_what_none_allows_alone),
        cmocka_unit_test(reserved_topics_need_a_grant_that_names_them),
        cmocka_unit_test(a_policy_can_be_moved_as_bytes_and_gives_its_statements_back),
        cmocka_unit_test(a_bad_statement_or_a_small_block_is_refused),
        cmocka_unit_test(random_policies_decide_as_the_rules_say),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
