#include "wire/topic.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <string.h>

#include <cmocka.h>

#define COUNT(array) (sizeof(array) / sizeof((array)[0]))

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

static void a_name_has_no_wildcard_no_zero_and_is_utf8(void **state) {
    (void)state;
    porch_topic_name n;
    const char *bad[] = {
        "", "+", "#", "a/+", "a/#", "a+b", "a\xff", "\xed\xa0\x80", "\xc0\xaf", "\xf4\x90\x80\x80"};
    for (size_t i = 0; i < COUNT(bad); i++)
        assert_int_equal(porch_topic_name_parse(porch_bytes_of(bad[i]), NULL, &n), PORCH_ERR_MALFORMED);
    assert_int_equal(porch_topic_name_parse(PORCH_LIT("a\0b"), NULL, &n), PORCH_ERR_MALFORMED);
    const char *good[] = {"a", "/", "//", "a b", "\xc3\xa4/\xe2\x82\xac", "$SYS/x", " "};
    for (size_t i = 0; i < COUNT(good); i++)
        assert_int_equal(porch_topic_name_parse(porch_bytes_of(good[i]), NULL, &n), PORCH_OK);
}

static void a_bad_byte_is_seen_wherever_it_stands(void **state) {
    (void)state;
    const uint8_t bad[] = {0, '+', '#', 0x80, 0xff, 0xc3};
    for (size_t len = 1; len <= 40; len++) {
        for (size_t at = 0; at < len; at++) {
            for (size_t i = 0; i < COUNT(bad); i++) {
                uint8_t text[40];
                porch_topic_name n;
                memset(text, 'a' + (int)(i % 3), sizeof text);
                assert_int_equal(porch_topic_name_parse((porch_bytes){text, len}, NULL, &n), PORCH_OK);
                text[at] = bad[i];
                assert_int_equal(porch_topic_name_parse((porch_bytes){text, len}, NULL, &n),
                                 PORCH_ERR_MALFORMED);
            }
        }
    }
    for (int c = 1; c < 0x80; c++) { /* and no good one is taken for bad */
        uint8_t text[9];
        porch_topic_name n;
        memset(text, c, sizeof text);
        assert_int_equal(porch_topic_name_parse((porch_bytes){text, sizeof text}, NULL, &n) == PORCH_OK,
                         c != '+' && c != '#');
    }
}

static void a_filter_keeps_wildcards_alone_in_their_level(void **state) {
    (void)state;
    porch_topic_filter f;
    const char *bad[] = {"",   "a#",     "#/a", "a/#/b", "a/b#", "+a",
                         "a+", "a/+b/c", "##",  "++",    "\xff", "a/#/"};
    for (size_t i = 0; i < COUNT(bad); i++)
        assert_int_equal(porch_topic_filter_parse(porch_bytes_of(bad[i]), NULL, &f), PORCH_ERR_MALFORMED);
    assert_int_equal(porch_topic_filter_parse(PORCH_LIT("a\0"), NULL, &f), PORCH_ERR_MALFORMED);
    const char *good[] = {"#", "+", "a/#", "/#", "+/+", "+/#", "/", "a//b", "$SYS/#", "/+"};
    for (size_t i = 0; i < COUNT(good); i++)
        assert_int_equal(porch_topic_filter_parse(porch_bytes_of(good[i]), NULL, &f), PORCH_OK);
}

static void limits_of_length_and_depth_are_kept_to_the_byte(void **state) {
    (void)state;
    const porch_topic_limits limits = {7, 3};
    porch_topic_name n;
    porch_topic_filter f;
    assert_int_equal(porch_topic_name_parse(PORCH_LIT("a/b/cde"), &limits, &n), PORCH_OK);
    assert_int_equal(porch_topic_name_parse(PORCH_LIT("a/b/cdef"), &limits, &n), PORCH_ERR_LIMIT);
    assert_int_equal(porch_topic_name_parse(PORCH_LIT("a/b/c/"), &limits, &n), PORCH_ERR_LIMIT);
    assert_int_equal(porch_topic_filter_parse(PORCH_LIT("+/+/#"), &limits, &f), PORCH_OK);
    assert_int_equal(porch_topic_filter_parse(PORCH_LIT("+/+/+/#"), &limits, &f), PORCH_ERR_LIMIT);
    static uint8_t longest[65536];
    memset(longest, 'a', sizeof longest);
    assert_int_equal(porch_topic_name_parse((porch_bytes){longest, 65535}, NULL, &n), PORCH_OK);
    assert_int_equal(porch_topic_name_parse((porch_bytes){longest, 65536}, NULL, &n), PORCH_ERR_MALFORMED);
    assert_int_equal(porch_topic_filter_parse((porch_bytes){longest, 65536}, NULL, &f),
                     PORCH_ERR_MALFORMED);
}

static void matching_follows_the_standards_own_examples(void **state) {
    (void)state;
    const struct {
        const char *filter, *name;
        bool yes;
    } rows[] = {
        {"sport/tennis/player1/#", "sport/tennis/player1", true},
        {"sport/tennis/player1/#", "sport/tennis/player1/ranking", true},
        {"sport/tennis/player1/#", "sport/tennis/player1/score/wimbledon", true},
        {"sport/tennis/player1/#", "sport/tennis/player10", false},
        {"sport/#", "sport", true},
        {"sport/tennis/+", "sport/tennis/player1", true},
        {"sport/tennis/+", "sport/tennis/player1/ranking", false},
        {"sport/+", "sport", false},
        {"sport/+", "sport/", true},
        {"+/+", "/finance", true},
        {"/+", "/finance", true},
        {"+", "/finance", false},
        {"#", "$SYS/x", false},
        {"+/monitor/Clients", "$SYS/monitor/Clients", false},
        {"$SYS/#", "$SYS/", true},
        {"$SYS/#", "$SYS", true},
        {"$SYS/monitor/+", "$SYS/monitor/Clients", true},
        {"#", "a/$b", true},
        {"a/+", "a/$b", true},
        {"#", "/", true},
        {"a", "A", false},
        {"a/b", "a", false},
        {"a", "a/b", false},
        {"a/", "a", false},
        {"a", "a/", false},
        {"+/#", "a", true},
        {"+/+/#", "a", false},
        {"a/+/#", "a/b", true},
        {"a/+/#", "a", false},
        {"/#", "", false},
        {"+/b/#", "a/b", true},
        {"+/b/#", "a/bc", false},
    };
    for (size_t i = 0; i < COUNT(rows); i++) {
        if (rows[i].name[0] == '\0') continue;
        if (porch_topic_matches(filter_of(rows[i].filter), name_of(rows[i].name)) != rows[i].yes)
            fail_msg("%s on %s should be %d", rows[i].filter, rows[i].name, rows[i].yes);
    }
}

static void containment_and_overlap_of_known_pairs(void **state) {
    (void)state;
    const struct {
        const char *outer, *inner;
        bool contains, overlaps;
    } rows[] = {
        {"#", "a/b", true, true},        {"#", "+/x", true, true},         {"#", "$a/b", false, false},
        {"+/b", "$a/b", false, false},   {"$a/#", "#", false, false},      {"$a/+", "$a/b", true, true},
        {"a/#", "a", true, true},        {"a/#", "a/+", true, true},       {"a/+", "a/#", false, true},
        {"a/#", "a/#", true, true},      {"d/x/#", "d/+/#", false, true},  {"d/+/#", "d/x/#", true, true},
        {"d/x/#", "d/xy", false, false}, {"d/x/#", "d/x/y/z", true, true}, {"+/#", "#", true, true},
        {"+/+/#", "#", false, true},     {"#", "+/#", true, true},         {"a/+/c", "a/b/+", false, true},
        {"a/+/c", "a/b/c", true, true},  {"a/+/c", "a/b/d", false, false}, {"a", "a/#", false, true},
        {"a/b", "a", false, false},      {"a/b/#", "a", false, false},     {"+", "/", false, false},
        {"+/+", "/", true, true},        {"#", "$a", false, false},        {"$+", "x", false, false},
    };
    for (size_t i = 0; i < COUNT(rows); i++) {
        if (strcmp(rows[i].outer, "$+") == 0) continue; /* no filter at all: its level is mixed */
        porch_topic_filter o = filter_of(rows[i].outer), n = filter_of(rows[i].inner);
        if (porch_topic_filter_contains(o, n) != rows[i].contains)
            fail_msg("%s contains %s", rows[i].outer, rows[i].inner);
        if (porch_topic_filter_overlaps(o, n) != rows[i].overlaps ||
            porch_topic_filter_overlaps(n, o) != rows[i].overlaps)
            fail_msg("%s overlaps %s", rows[i].outer, rows[i].inner);
    }
}

static void a_union_contains_what_no_single_filter_does(void **state) {
    (void)state;
    const porch_topic_filter both[] = {filter_of("a"), filter_of("a/+/#")};
    size_t last = 99;
    assert_false(porch_topic_filter_contains(both[0], filter_of("a/#")));
    assert_false(porch_topic_filter_contains(both[1], filter_of("a/#")));
    assert_true(porch_topic_union_contains(both, 2, filter_of("a/#"), &last));
    assert_true(last < 2);
    assert_false(porch_topic_union_contains(both, 1, filter_of("a/#"), NULL));
    assert_false(porch_topic_union_contains(both + 1, 1, filter_of("a/#"), NULL));
    assert_false(porch_topic_union_contains(both, 0, filter_of("a/#"), NULL));
    assert_false(porch_topic_union_contains(both, 2, filter_of("#"), NULL));
    const porch_topic_filter gap[] = {filter_of("a"), filter_of("a/+"), filter_of("a/+/+/+/#")};
    assert_false(porch_topic_union_contains(gap, 3, filter_of("a/#"), NULL));
    const porch_topic_filter named[] = {filter_of("d/a/#"), filter_of("d/b/#")};
    assert_false(porch_topic_union_contains(named, 2, filter_of("d/+/#"), NULL));
}

/* The judge: every filter of up to four levels over a small alphabet, against every name of up to five. A
 * level value that no filter names ("z") stands for the infinitely many others. */
#define LEVELS_MOST 3
static char filters[4096][24];
static char names[4096][24];
static size_t filter_count, name_count;

static void grow(char (*out)[24], size_t *count, const char *prefix, int depth, bool pattern, int most) {
    static const char *const name_levels[] = {"a", "$b", "", "z"};
    static const char *const filter_levels[] = {"a", "$b", "", "+", "#"};
    size_t kinds = pattern ? COUNT(filter_levels) : COUNT(name_levels);
    for (size_t k = 0; k < kinds; k++) {
        const char *level = pattern ? filter_levels[k] : name_levels[k];
        char text[24] = "";
        porch_buf b = PORCH_BUF_OF(text);
        if (depth > 0) {
            memcpy(text, prefix, strlen(prefix));
            b.len = strlen(prefix);
            text[b.len++] = '/';
        }
        memcpy(text + b.len, level, strlen(level) + 1);
        if (text[0] != '\0') memcpy(out[(*count)++], text, sizeof text);
        if (depth + 1 < most && strcmp(level, "#") != 0) grow(out, count, text, depth + 1, pattern, most);
    }
}

static bool matches(const char *filter, const char *name) {
    return porch_topic_matches((porch_topic_filter){porch_bytes_of(filter)},
                               (porch_topic_name){porch_bytes_of(name)});
}

static void containment_and_overlap_agree_with_matching_every_name(void **state) {
    (void)state;
    filter_count = name_count = 0;
    grow(filters, &filter_count, "", 0, true, LEVELS_MOST);
    grow(names, &name_count, "", 0, false, LEVELS_MOST + 1);
    for (size_t i = 0; i < filter_count; i++) {
        for (size_t k = 0; k < filter_count; k++) {
            bool contains = true, overlaps = false;
            for (size_t n = 0; n < name_count; n++) {
                bool in_outer = matches(filters[i], names[n]), in_inner = matches(filters[k], names[n]);
                contains = contains && (in_outer || !in_inner);
                overlaps = overlaps || (in_outer && in_inner);
            }
            porch_topic_filter o = filter_of(filters[i]), n = filter_of(filters[k]);
            if (porch_topic_filter_contains(o, n) != contains)
                fail_msg("%s contains %s", filters[i], filters[k]);
            if (porch_topic_filter_overlaps(o, n) != overlaps)
                fail_msg("%s overlaps %s", filters[i], filters[k]);
        }
    }
}

static void containment_in_a_union_agrees_with_matching_every_name(void **state) {
    (void)state;
    filter_count = name_count = 0;
    grow(filters, &filter_count, "", 0, true, LEVELS_MOST);
    grow(names, &name_count, "", 0, false, LEVELS_MOST + 1);
    uint32_t seed = 1;
    size_t granted = 0;
    for (size_t round = 0; round < 60000; round++) {
        porch_topic_filter set[4];
        size_t chosen[5];
        for (size_t i = 0; i < 5; i++) {
            seed = seed * 1664525u + 1013904223u;
            chosen[i] = (seed >> 8) % filter_count;
            if (i < 4) set[i] = (porch_topic_filter){porch_bytes_of(filters[chosen[i]])};
        }
        const char *inner = filters[chosen[4]];
        bool contains = true;
        for (size_t n = 0; n < name_count && contains; n++) {
            if (!matches(inner, names[n])) continue;
            contains = matches(filters[chosen[0]], names[n]) || matches(filters[chosen[1]], names[n]) ||
                       matches(filters[chosen[2]], names[n]) || matches(filters[chosen[3]], names[n]);
        }
        granted += contains;
        if (porch_topic_union_contains(set, 4, filter_of(inner), NULL) != contains)
            fail_msg("{%s %s %s %s} contains %s", filters[chosen[0]], filters[chosen[1]],
                     filters[chosen[2]], filters[chosen[3]], inner);
    }
    assert_true(granted > 1000); /* the sample shows both answers */
}

static void a_walk_gives_every_level_and_ends(void **state) {
    (void)state;
    const char *want[] = {"", "a", "", "b", ""};
    porch_topic_level walk = porch_topic_level_first(PORCH_LIT("/a//b/"));
    porch_bytes level;
    for (size_t i = 0; i < COUNT(want); i++) {
        assert_true(porch_topic_level_next(&walk, &level));
        assert_true(porch_bytes_eq_text(level, want[i]));
    }
    assert_false(porch_topic_level_next(&walk, &level));
    assert_int_equal(porch_topic_levels(PORCH_LIT("/a//b/")), 5);
    assert_true(porch_topic_filter_is_pattern(filter_of("a/+")));
    assert_false(porch_topic_filter_is_pattern(filter_of("a/b")));
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_name_has_no_wildcard_no_zero_and_is_utf8),
        cmocka_unit_test(a_bad_byte_is_seen_wherever_it_stands),
        cmocka_unit_test(a_filter_keeps_wildcards_alone_in_their_level),
        cmocka_unit_test(limits_of_length_and_depth_are_kept_to_the_byte),
        cmocka_unit_test(matching_follows_the_standards_own_examples),
        cmocka_unit_test(containment_and_overlap_of_known_pairs),
        cmocka_unit_test(a_union_contains_what_no_single_filter_does),
        cmocka_unit_test(containment_and_overlap_agree_with_matching_every_name),
        cmocka_unit_test(containment_in_a_union_agrees_with_matching_every_name),
        cmocka_unit_test(a_walk_gives_every_level_and_ends),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
