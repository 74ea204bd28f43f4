#include "cloud/broker/trie.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

static int owners[64];

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

static bool put(porch_trie *t, const char *filter, int owner, uint8_t qos) {
    bool was_there;
    porch_trie_entry e = {.owner = &owners[owner], .qos = qos};
    assert_int_equal(porch_trie_put(t, filter_of(filter), &e, &was_there), PORCH_OK);
    return was_there;
}

static size_t hits(porch_trie *t, const char *name) {
    const porch_trie_entry *h;
    return porch_trie_match(t, name_of(name), &h);
}

static void what_the_trie_finds_is_what_the_filters_match(void **state) {
    (void)state;
    static const char *const filters[] = {"#",
                                          "+",
                                          "d/#",
                                          "d/+",
                                          "d/+/telemetry/#",
                                          "d/cam/telemetry/heat",
                                          "+/cam",
                                          "+/+/#",
                                          "d//x",
                                          "/",
                                          "/#",
                                          "+/",
                                          "$a/#",
                                          "$a/+/x",
                                          "d/cam/#",
                                          "d/cam",
                                          "+/+/+/+",
                                          "d/+/+/heat",
                                          "e",
                                          "d/cam/+/#"};
    static const char *const names[] = {"d",
                                        "d/cam",
                                        "d/cam/telemetry",
                                        "d/cam/telemetry/heat",
                                        "d//x",
                                        "/",
                                        "/x",
                                        "x/",
                                        "$a",
                                        "$a/b/x",
                                        "$a/b",
                                        "e",
                                        "e/f",
                                        "$b",
                                        "d/cam/telemetry/heat/3",
                                        "d/caM"};
    enum { FILTERS = sizeof filters / sizeof *filters, NAMES = sizeof names / sizeof *names };
    porch_trie *t = porch_trie_new(42);
    for (int i = 0; i < FILTERS; i++)
        put(t, filters[i], i, 0);
    for (int n = 0; n < NAMES; n++) {
        const porch_trie_entry *h;
        size_t count = porch_trie_match(t, name_of(names[n]), &h);
        for (int i = 0; i < FILTERS; i++) {
            bool found = false;
            for (size_t k = 0; k < count; k++)
                found = found || h[k].owner == &owners[i];
            if (found != porch_topic_matches(filter_of(filters[i]), name_of(names[n])))
                fail_msg("filter %s and name %s", filters[i], names[n]);
        }
    }
    porch_trie_free(t);
}

static void the_same_owner_at_the_same_filter_is_replaced(void **state) {
    (void)state;
    porch_trie *t = porch_trie_new(1);
    const porch_trie_entry *h;
    assert_false(put(t, "a/b", 1, 0));
    assert_true(put(t, "a/b", 1, 1));
    assert_false(put(t, "a/b", 2, 0));
    assert_int_equal(porch_trie_count(t), 2);
    assert_int_equal(porch_trie_match(t, name_of("a/b"), &h), 2);
    assert_int_equal(h[0].qos, 1);
    porch_trie_free(t);
}

static void removing_everything_leaves_only_the_root(void **state) {
    (void)state;
    porch_trie *t = porch_trie_new(7);
    char text[64];
    for (int i = 0; i < 2000; i++) {
        snprintf(text, sizeof text, "d/dev-%d/%s/%d%s", i % 500, i % 2 ? "+" : "x", i, i % 3 ? "" : "/#");
        put(t, text, i % 64, 0);
    }
    assert_int_equal(porch_trie_count(t), 2000);
    assert_int_equal(hits(t, "d/dev-4/x/4"), 1);
    for (int i = 0; i < 2000; i++) {
        snprintf(text, sizeof text, "d/dev-%d/%s/%d%s", i % 500, i % 2 ? "+" : "x", i, i % 3 ? "" : "/#");
        assert_true(porch_trie_remove(t, filter_of(text), &owners[i % 64]));
        assert_false(porch_trie_remove(t, filter_of(text), &owners[i % 64]));
    }
    assert_int_equal(porch_trie_count(t), 0);
    assert_int_equal(porch_trie_nodes(t), 1);
    assert_int_equal(hits(t, "d/dev-4/x/4"), 0);
    porch_trie_free(t);
}

static void removing_one_keeps_the_others(void **state) {
    (void)state;
    porch_trie *t = porch_trie_new(7);
    put(t, "a/b", 1, 0);
    put(t, "a/b/c", 2, 0);
    put(t, "a/#", 3, 0);
    assert_false(porch_trie_remove(t, filter_of("a"), &owners[1]));
    assert_false(porch_trie_remove(t, filter_of("a/b"), &owners[2]));
    assert_true(porch_trie_remove(t, filter_of("a/b"), &owners[1]));
    assert_int_equal(hits(t, "a/b"), 1);
    assert_int_equal(hits(t, "a/b/c"), 2);
    porch_trie_free(t);
}

/* The same matches asked again and again while filters come and go, beside a trie that is asked anew. */
static void what_is_asked_again_is_found_as_if_it_were_new(void **state) {
    (void)state;
    static const char *const filters[] = {"d/#", "d/+", "d/cam", "+/cam", "#", "d/cam/#", "e/+", "$a/#"};
    static const char *const names[] = {"d/cam", "d/bell", "e/f", "e", "$a/b", "d/cam/x"};
    enum { FILTERS = sizeof filters / sizeof *filters, NAMES = sizeof names / sizeof *names };
    porch_trie *t = porch_trie_new(9);
    porch_trie_spots spots[NAMES] = {{0}};
    uint32_t seed = 1;
    for (int i = 0; i < 20000; i++) {
        seed = seed * 1664525u + 1013904223u;
        const char *filter = filters[(seed >> 8) % FILTERS];
        int owner = (int)((seed >> 16) % 3);
        if ((seed >> 24) % 3 == 0)
            (void)put(t, filter, owner, (uint8_t)(i % 3));
        else if ((seed >> 24) % 3 == 1)
            (void)porch_trie_remove(t, filter_of(filter), &owners[owner]);
        for (int n = 0; n < NAMES; n++) {
            porch_trie_entry anew[FILTERS * 3] = {{0}};
            const porch_trie_entry *h;
            size_t count = porch_trie_match(t, name_of(names[n]), &h);
            if (count > 0) memcpy(anew, h, count * sizeof *h);
            assert_int_equal(porch_trie_match_again(t, name_of(names[n]), &spots[n], &h), count);
            for (size_t k = 0; k < count; k++)
                assert_true(h[k].owner == anew[k].owner && h[k].qos == anew[k].qos);
        }
    }
    porch_trie_free(t);
}

static void the_number_of_changes_moves_when_a_name_may_match_otherwise(void **state) {
    (void)state;
    porch_trie *t = porch_trie_new(9);
    uint64_t at_first = porch_trie_change(t);
    put(t, "a/+", 1, 0);
    uint64_t came = porch_trie_change(t);
    assert_true(at_first != 0 && came != at_first);
    put(t, "a/+", 2, 0); /* nothing matches that did not before */
    assert_true(porch_trie_remove(t, filter_of("a/+"), &owners[1]));
    assert_int_equal(porch_trie_change(t), came);
    assert_true(porch_trie_remove(t, filter_of("a/+"), &owners[2]));
    assert_true(porch_trie_change(t) != came && porch_trie_change(t) != at_first);
    porch_trie_free(t);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(what_the_trie_finds_is_what_the_filters_match),
        cmocka_unit_test(the_same_owner_at_the_same_filter_is_replaced),
        cmocka_unit_test(removing_everything_leaves_only_the_root),
        cmocka_unit_test(removing_one_keeps_the_others),
        cmocka_unit_test(what_is_asked_again_is_found_as_if_it_were_new),
        cmocka_unit_test(the_number_of_changes_moves_when_a_name_may_match_otherwise),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
