#include "cloud/broker/interest.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

#define SEED 0x1234567u

static porch_topic_filter filter(const char *text) {
    porch_topic_filter f;
    assert_int_equal(porch_topic_filter_parse(porch_bytes_of(text), NULL, &f), PORCH_OK);
    return f;
}

static bool hears(const porch_interest *i, const char *topic) {
    porch_topic_name name;
    assert_int_equal(porch_topic_name_parse(porch_bytes_of(topic), NULL, &name), PORCH_OK);
    porch_interest_topic t = porch_interest_topic_of(SEED, name);
    return porch_interest_may_hear(i, &t);
}

static void nobody_is_interested_before_anybody_subscribed(void **state) {
    (void)state;
    porch_interest i = {0};
    assert_false(hears(&i, "a"));
    assert_true(porch_interest_init(&i, SEED));
    assert_false(hears(&i, "a/b/c"));
    porch_interest_free(&i);
}

static void a_filter_is_told_from_its_neighbours(void **state) {
    (void)state;
    porch_interest i = {0};
    assert_true(porch_interest_init(&i, SEED));
    porch_interest_add(&i, filter("bench/x/1"));
    porch_interest_add(&i, filter("d/+/telemetry"));
    assert_true(hears(&i, "bench/x/1"));
    assert_false(hears(&i, "bench/x"));
    assert_false(hears(&i, "bench/x/2"));
    assert_false(hears(&i, "bench/x/1/y"));
    assert_true(hears(&i, "d/cam/telemetry"));
    assert_false(hears(&i, "e/cam/telemetry"));
    porch_interest_remove(&i, filter("bench/x/1"));
    assert_false(hears(&i, "bench/x/1"));
    assert_true(hears(&i, "d/cam/telemetry"));
    porch_interest_remove(&i, filter("d/+/telemetry"));
    assert_false(hears(&i, "d/cam/telemetry"));
    porch_interest_free(&i);
}

static void a_filter_counts_until_its_last_subscriber_has_gone(void **state) {
    (void)state;
    porch_interest i = {0};
    assert_true(porch_interest_init(&i, SEED));
    for (int n = 0; n < 3; n++)
        porch_interest_add(&i, filter("a/#"));
    for (int n = 0; n < 2; n++)
        porch_interest_remove(&i, filter("a/#"));
    assert_true(hears(&i, "a"));
    porch_interest_remove(&i, filter("a/#"));
    assert_false(hears(&i, "a"));
    porch_interest_free(&i);
}

/* A counter that was full says "perhaps" for good: it has lost count, and must not come to say "no". */
static void a_counter_that_was_full_never_says_no_again(void **state) {
    (void)state;
    porch_interest i = {0};
    assert_true(porch_interest_init(&i, SEED));
    for (int n = 0; n < 400; n++)
        porch_interest_add(&i, filter("a/b"));
    for (int n = 0; n < 399; n++)
        porch_interest_remove(&i, filter("a/b"));
    assert_true(hears(&i, "a/b"));
    porch_interest_free(&i);
}

static uint64_t seed = 7;
static unsigned die(unsigned sides) {
    seed = seed * 6364136223846793005u + 1442695040888963407u;
    return (unsigned)(seed >> 33) % sides;
}

/* Texts of up to 20 levels out of a small alphabet; the wildcards only where they may stand. */
static void some_text(char *out, size_t cap, bool wild) {
    static const char *const levels[] = {"a", "b", "", "cc", "+", "+"};
    unsigned count = 1 + die(die(4) == 0 ? 20 : 4);
    size_t len = 0;
    for (unsigned i = 0; i < count; i++) {
        bool last = i + 1 == count;
        const char *level = wild && last && die(4) == 0 ? "#" : levels[die(wild ? 6 : 4)];
        len += (size_t)snprintf(out + len, cap - len, "%s%s", i > 0 ? "/" : "", level);
    }
    if (len == 0) (void)snprintf(out, cap, "a");
}

static void whatever_matches_is_never_answered_no(void **state) {
    (void)state;
    enum { FILTERS = 40, ROUNDS = 40, TOPICS = 300 };
    static char texts[FILTERS][128];
    unsigned no = 0, matches = 0;
    for (int round = 0; round < ROUNDS; round++) {
        porch_interest i = {0};
        assert_true(porch_interest_init(&i, SEED));
        int kept = 1 + (int)die(6);
        for (int f = 0; f < FILTERS; f++) {
            some_text(texts[f], sizeof texts[f], true);
            porch_interest_add(&i, filter(texts[f]));
        }
        for (int f = kept; f < FILTERS; f++)
            porch_interest_remove(&i, filter(texts[f]));
        for (int t = 0; t < TOPICS; t++) {
            char topic[128];
            bool match = false;
            some_text(topic, sizeof topic, false);
            for (int f = 0; f < kept; f++)
                match = match ||
                        porch_topic_matches(filter(texts[f]), (porch_topic_name){porch_bytes_of(topic)});
            bool heard = hears(&i, topic);
            assert_true(heard || !match);
            no += !heard;
            matches += match;
        }
        porch_interest_free(&i);
    }
    assert_true(matches > 500); /* the texts were such that it mattered, both ways */
    assert_true(no > 500);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(nobody_is_interested_before_anybody_subscribed),
        cmocka_unit_test(a_filter_is_told_from_its_neighbours),
        cmocka_unit_test(a_filter_counts_until_its_last_subscriber_has_gone),
        cmocka_unit_test(a_counter_that_was_full_never_says_no_again),
        cmocka_unit_test(whatever_matches_is_never_answered_no),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
