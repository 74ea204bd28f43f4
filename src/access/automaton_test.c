#include "access/automaton.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "access/statement.h"

#define COUNT(array) (sizeof(array) / sizeof((array)[0]))
#define PUB          PORCH_ACCESS_PUBLISH
#define SUB          PORCH_ACCESS_SUBSCRIBE
#define RECV         PORCH_ACCESS_RECEIVE

static porch_access_statement says(porch_access_effect effect, unsigned actions, const char *filter) {
    return (porch_access_statement){effect, actions, {porch_bytes_of(filter)}, 0};
}

#define allow(actions, filter) says(PORCH_ACCESS_ALLOW, actions, filter)
#define deny(actions, filter)  says(PORCH_ACCESS_DENY, actions, filter)

static const porch_access_automaton *build(const porch_access_statement *s, size_t count) {
    size_t bytes = porch_access_automaton_bytes(s, count);
    void *block = malloc(bytes); /* exactly: the sanitizer guards its end */
    const porch_access_automaton *a = NULL;
    assert_int_equal(porch_access_automaton_build(s, count, block, bytes, &a), PORCH_OK);
    return a;
}

static const porch_access_policy *bind(const porch_access_automaton *a, const char *id,
                                       const char *product) {
    const porch_access_variable v[] = {{"device.id", porch_bytes_of(id)},
                                       {"device.product", porch_bytes_of(product)}};
    size_t bytes = porch_access_policy_bind_bytes(a, v, COUNT(v));
    void *block = malloc(bytes);
    const porch_access_policy *p = NULL;
    assert_int_equal(porch_access_policy_bind(a, v, COUNT(v), block, bytes, &p), PORCH_OK);
    return p;
}

static int publishes(const porch_access_policy *p, const char *topic) {
    porch_access_decision d = porch_access_can_publish(p, (porch_topic_name){porch_bytes_of(topic)});
    return d.allowed ? d.statement : -2 - d.statement;
}

static bool subscribes(const porch_access_policy *p, const char *filter) {
    return porch_access_can_subscribe(p, (porch_topic_filter){porch_bytes_of(filter)}).allowed;
}

static void one_automaton_serves_principals_with_different_values(void **state) {
    (void)state;
    const porch_access_statement s[] = {allow(PUB | SUB, "d/${device.id}/#"),
                                        allow(PUB, "p/${device.product}-${device.id}/+"),
                                        deny(PUB, "d/cam-1/log"), allow(SUB, "d/cam-1/x")};
    const porch_access_automaton *a = build(s, COUNT(s));
    const porch_access_policy *one = bind(a, "cam-1", "cam"), *two = bind(a, "cam-2", "");
    assert_int_equal(publishes(one, "d/cam-1/x"), 0);
    assert_int_equal(publishes(one, "d/cam-2/x"), -1);
    assert_int_equal(publishes(one, "d/cam-1/log"), -4); /* statement 2 denies */
    assert_int_equal(publishes(one, "p/cam-cam-1/x"), 1);
    assert_int_equal(publishes(one, "p/${device.product}-${device.id}/x"), -1);
    assert_int_equal(publishes(one, "d/${device.id}/x"), -1);
    assert_int_equal(publishes(two, "d/cam-2/x/y"), 0);
    assert_int_equal(publishes(two, "d/cam-2"), 0);
    assert_int_equal(publishes(two, "p/-cam-2/x"), -1); /* no product: that allow does not apply */
    assert_true(subscribes(one, "d/cam-1/+/#"));
    assert_false(subscribes(one, "d/+/x"));
    assert_true(subscribes(two, "d/cam-1/x"));
    assert_false(subscribes(two, "d/cam-1/+"));
    free((void *)one);
    free((void *)two);
    free((void *)a);
}

/* Levels of every length, written out and as a value: a byte that differs anywhere, one more or one less.
 */
static void a_level_is_compared_whole_whatever_its_length(void **state) {
    (void)state;
    for (size_t len = 1; len <= 40; len++) {
        char level[64], filter[80], topic[80];
        for (size_t i = 0; i < len; i++)
            level[i] = (char)('a' + i % 26);
        level[len] = '\0';
        (void)snprintf(filter, sizeof filter, "t/%s/end", level);
        const porch_access_statement s[] = {allow(PUB, filter), allow(PUB, "v/${device.id}/#")};
        const porch_access_automaton *a = build(s, COUNT(s));
        const porch_access_policy *p = bind(a, level, "");
        for (int k = 0; k < 2; k++) {
            (void)snprintf(topic, sizeof topic, "%c/%s/end", "tv"[k], level);
            char *copy = strdup(topic); /* exactly: the sanitizer guards its end */
            assert_int_equal(publishes(p, copy), k);
            for (size_t i = 0; i < len; i++) {
                copy[2 + i] ^= 0x20;
                assert_int_equal(publishes(p, copy), -1);
                copy[2 + i] ^= 0x20;
            }
            free(copy);
            (void)snprintf(topic, sizeof topic, "%c/%sx/end", "tv"[k], level);
            assert_int_equal(publishes(p, topic), -1);
            (void)snprintf(topic, sizeof topic, "%c/%.*s/end", "tv"[k], (int)len - 1, level);
            assert_int_equal(publishes(p, topic), -1);
        }
        free((void *)p);
        free((void *)a);
    }
}

static void a_deny_about_what_a_principal_has_not_gives_no_policy(void **state) {
    (void)state;
    const porch_access_statement s[] = {allow(PUB, "a"), deny(PUB, "x/${device.product}")};
    const porch_access_automaton *a = build(s, COUNT(s));
    const porch_access_variable v[] = {{"device.id", PORCH_LIT("x")}};
    const porch_access_policy *p = NULL;
    uint64_t block[64];
    assert_int_equal(porch_access_policy_bind(a, v, 1, block, sizeof block, &p), PORCH_ERR_NOT_FOUND);
    const porch_access_variable bad[] = {{"device.product", PORCH_LIT("a/b")}};
    assert_int_equal(porch_access_policy_bind(a, bad, 1, block, sizeof block, &p), PORCH_ERR_MALFORMED);
    assert_int_equal(porch_access_policy_bind(a, v, 1, block, 8, &p), PORCH_ERR_NO_SPACE);
    assert_null(p);
    free((void *)a);
}

static void too_many_different_variables_are_refused(void **state) {
    (void)state;
    static char texts[PORCH_ACCESS_COMPUTED_MOST + 1][40];
    porch_access_statement s[PORCH_ACCESS_COMPUTED_MOST + 1];
    for (size_t i = 0; i < COUNT(s); i++) {
        (void)snprintf(texts[i], sizeof texts[i], "d/x%zu-${device.id}", i);
        s[i] = allow(PUB, texts[i]);
    }
    size_t bytes = porch_access_automaton_bytes(s, COUNT(s));
    void *block = malloc(bytes);
    const porch_access_automaton *a = NULL;
    assert_int_equal(porch_access_automaton_build(s, COUNT(s), block, bytes, &a), PORCH_ERR_LIMIT);
    assert_int_equal(porch_access_automaton_build(s, COUNT(s) - 1, block, bytes, &a), PORCH_OK);
    free(block);
}

/* Wildcards in every place at once: 2^16 ways to match one name. */
static void a_tangle_of_wildcards_decides_no_in_bounded_time(void **state) {
    (void)state;
    enum { DEPTH = 14, WAYS = 1 << DEPTH };
    static char texts[WAYS][DEPTH * 2 + 1];
    porch_access_statement *s = calloc(WAYS + 1, sizeof *s);
    assert_non_null(s);
    for (unsigned i = 0; i < WAYS; i++) {
        for (unsigned k = 0; k < DEPTH; k++)
            (void)snprintf(texts[i] + k * 2, 3, "%c/", (i >> k & 1u) != 0 ? '+' : 'a');
        texts[i][DEPTH * 2 - 1] = '\0';
        s[i] = allow(PUB, texts[i]);
    }
    s[WAYS] = allow(PUB, "a/#"); /* known early; what was not looked at might deny */
    const porch_access_automaton *a = build(s, WAYS + 1);
    const porch_access_policy *p = bind(a, "x", "x");
    assert_int_equal(publishes(p, "a/a/a/a/a/a/a/a/a/a/a/a/a/a"), -1);
    assert_true(publishes(p, "a/a/a/b/b/b/b/b/b/b/b/b/b/b") >= 0);
    free((void *)p);
    free((void *)a);
    free(s);
}

/* The judge: small random policies with variables, each question against the statements one by one. */
static const char *const filters[] = {"a",    "b",        "a/b",         "a/+",      "a/#",   "+",
                                      "#",    "+/b",      "a/b/c",       "+/#",      "/#",    "a/+/c",
                                      "$x/#", "${v}",     "a/${v}",      "${v}/#",   "$x/+",  "a//b",
                                      "+/+",  "a/${v}/c", "x${v}/b/+/#", "+/${v}/+", "a/+/#", "/"};
static const char *const names[] = {"a",      "b",     "z",     "a/b",   "a/z",   "z/b",    "a/b/c",
                                    "a/z/c",  "z/z/z", "$x/y",  "$x",    "b/z/z", "/",      "a//b",
                                    "xb/b/c", "x/b",   "b/b/b", "z/b/q", "a/b/z", "a/z/z/z"};

static bool overlaps(const char *filter, porch_topic_filter f, const char *v) {
    char text[64];
    const char *dollar = strstr(filter, "${v}");
    if (dollar == NULL) return porch_topic_filter_overlaps((porch_topic_filter){porch_bytes_of(filter)}, f);
    (void)snprintf(text, sizeof text, "%.*s%s%s", (int)(dollar - filter), filter, v, dollar + 4);
    return porch_topic_filter_overlaps((porch_topic_filter){porch_bytes_of(text)}, f);
}

static void random_policies_decide_as_their_statements_one_by_one(void **state) {
    (void)state;
    uint32_t seed = 11;
    size_t granted = 0, refused = 0;
    for (size_t round = 0; round < 20000; round++) {
        porch_access_statement s[5];
        size_t from[5];
        const char *value = round % 3 == 0 ? "b" : "a";
        for (size_t i = 0; i < COUNT(s); i++) {
            seed = seed * 1664525u + 1013904223u;
            from[i] = (seed >> 8) % COUNT(filters);
            s[i] = says((seed >> 28) < 5 ? PORCH_ACCESS_DENY : PORCH_ACCESS_ALLOW, 1u + (seed >> 16) % 7,
                        filters[from[i]]);
        }
        const porch_access_automaton *a = build(s, COUNT(s));
        const porch_access_variable v = {"v", porch_bytes_of(value)};
        uint64_t block[64];
        const porch_access_policy *p = NULL;
        assert_int_equal(porch_access_policy_bind(a, &v, 1, block, sizeof block, &p), PORCH_OK);
        porch_topic_filter concrete[5], allowing[5], denying[5];
        uint8_t texts[5][64];
        size_t allows = 0, denies = 0;
        for (size_t i = 0; i < COUNT(s); i++) {
            porch_buf b = {texts[i], 0, sizeof texts[i]};
            assert_int_equal(
                porch_access_filter_expand(s[i].filter.text, &v, 1, NULL, &b, &concrete[i], NULL),
                PORCH_OK);
            if (s[i].effect == PORCH_ACCESS_ALLOW && (s[i].actions & SUB) != 0)
                allowing[allows++] = concrete[i];
            if (s[i].effect == PORCH_ACCESS_DENY && (s[i].actions & (SUB | RECV)) != 0)
                denying[denies++] = concrete[i];
        }
        for (size_t t = 0; t < COUNT(names); t++) {
            porch_topic_name name = {porch_bytes_of(names[t])};
            bool may[2] = {false, false}, barred[2] = {false, false};
            for (size_t i = 0; i < COUNT(s); i++) {
                if (!porch_topic_matches(concrete[i], name)) continue;
                bool about[2] = {(s[i].actions & PUB) != 0, (s[i].actions & (SUB | RECV)) != 0};
                for (int k = 0; k < 2; k++) {
                    may[k] = may[k] || (about[k] && s[i].effect == PORCH_ACCESS_ALLOW);
                    barred[k] = barred[k] || (about[k] && s[i].effect == PORCH_ACCESS_DENY);
                }
            }
            assert_int_equal(porch_access_can_publish(p, name).allowed, may[0] && !barred[0]);
            assert_int_equal(porch_access_can_receive(p, name).allowed, may[1] && !barred[1]);
        }
        for (size_t f = 0; f < COUNT(filters); f++) {
            if (strstr(filters[f], "${") != NULL) continue;
            porch_topic_filter filter = {porch_bytes_of(filters[f])};
            bool expected = !porch_topic_union_contains(denying, denies, filter, NULL) &&
                            porch_topic_union_contains(allowing, allows, filter, NULL);
            if (porch_access_can_subscribe(p, filter).allowed != expected)
                fail_msg("round %zu: %s", round, filters[f]);
            granted += expected;
            bool touched = false;
            for (size_t i = 0; i < COUNT(s); i++)
                touched =
                    touched || (s[i].effect == PORCH_ACCESS_DENY && (s[i].actions & (SUB | RECV)) != 0 &&
                                overlaps(filters[from[i]], filter, value));
            /* "/#" next to "+": judged once too often, since only the empty name could be meant */
            bool judged = porch_access_may_deny_receive(p, filter);
            if (judged != touched && (touched || strcmp(filters[f], "/#") != 0))
                fail_msg("round %zu: may deny %s", round, filters[f]);
            refused += touched;
        }
        free((void *)a);
    }
    assert_true(granted > 1000 && refused > 1000);
}

static void a_level_stands_for_every_device_of_the_household(void **state) {
    (void)state;
    const porch_access_statement s[] = {
        allow(SUB, "d/${household.device}/event/#"), allow(SUB, "$porchlight/device/${household.device}/#"),
        deny(RECV, "d/${household.device}/event/secret"), allow(PUB, "h/${household.id}/x")};
    const porch_access_variable home[] = {{"household.id", PORCH_LIT("h1")}};
    const porch_bytes ids[] = {PORCH_LIT("cam"), PORCH_LIT("lamp")};
    uint64_t set_block[64], block[64];
    const porch_access_set *set, *none;
    const porch_access_policy *p;
    const porch_access_automaton *a = build(s, COUNT(s));
    assert_int_equal(porch_access_set_build(ids, 2, set_block, sizeof set_block, &set), PORCH_OK);
    assert_int_equal(porch_access_policy_bind_person(a, home, 1, set, block, sizeof block, &p), PORCH_OK);
    assert_true(subscribes(p, "d/cam/event/#"));
    assert_true(subscribes(p, "d/lamp/event/+/x"));
    assert_true(subscribes(p, "$porchlight/device/cam/#"));
    assert_false(subscribes(p, "d/other/event/#"));
    assert_false(subscribes(p, "d/+/event/#")); /* names of other households lie inside, too */
    assert_false(subscribes(p, "d/${household.device}/event/#"));
    assert_true(porch_access_can_receive(p, (porch_topic_name){PORCH_LIT("d/cam/event/x")}).allowed);
    assert_false(porch_access_can_receive(p, (porch_topic_name){PORCH_LIT("d/cam/event/secret")}).allowed);
    assert_false(porch_access_can_receive(p, (porch_topic_name){PORCH_LIT("d/other/event/x")}).allowed);
    assert_true(porch_access_may_deny_receive(p, (porch_topic_filter){PORCH_LIT("d/cam/event/#")}));
    assert_true(porch_access_may_deny_receive(p, (porch_topic_filter){PORCH_LIT("d/+/event/#")}));
    assert_false(porch_access_may_deny_receive(p, (porch_topic_filter){PORCH_LIT("d/other/event/#")}));
    assert_int_equal(publishes(p, "h/h1/x"), 3);
    /* a household without devices */
    assert_int_equal(porch_access_set_build(NULL, 0, set_block, sizeof set_block, &none), PORCH_OK);
    assert_int_equal(porch_access_policy_bind_person(a, home, 1, none, block, sizeof block, &p), PORCH_OK);
    assert_false(subscribes(p, "d/cam/event/#"));
    assert_false(porch_access_may_deny_receive(p, (porch_topic_filter){PORCH_LIT("d/+/event/#")}));
    /* nobody knows the devices: what the deny forbids is not known */
    assert_int_equal(porch_access_policy_bind(a, home, 1, block, sizeof block, &p), PORCH_ERR_NOT_FOUND);
    free((void *)(uintptr_t)a);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(one_automaton_serves_principals_with_different_values),
        cmocka_unit_test(a_level_is_compared_whole_whatever_its_length),
        cmocka_unit_test(a_deny_about_what_a_principal_has_not_gives_no_policy),
        cmocka_unit_test(too_many_different_variables_are_refused),
        cmocka_unit_test(a_tangle_of_wildcards_decides_no_in_bounded_time),
        cmocka_unit_test(random_policies_decide_as_their_statements_one_by_one),
        cmocka_unit_test(a_level_stands_for_every_device_of_the_household),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
