#include "cloud/broker/retained.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

static porch_pool *pool;

static void set(porch_retained *r, const char *topic, const char *payload, uint64_t seq) {
    porch_message *m = porch_message_new(pool, porch_bytes_of(topic), NULL, porch_bytes_of(payload), 1, 0);
    assert_int_equal(porch_retained_set(r, pool, m, seq), PORCH_OK);
    porch_message_release(pool, m);
}

static const char *payload(const porch_retained *r, const char *topic) {
    static char text[64];
    porch_message *m = porch_retained_find(r, porch_bytes_of(topic));
    if (m == NULL) return "";
    assert_true(porch_bytes_to_text(porch_message_payload(m), text, sizeof text));
    return text;
}

static void the_greater_number_wins_whatever_comes_first(void **state) {
    (void)state;
    porch_retained *r = porch_retained_new(1);
    set(r, "a/b", "new", 7);
    set(r, "a/b", "old", 5);
    assert_string_equal(payload(r, "a/b"), "new");
    set(r, "a/c", "", 9); /* cleared before what it clears arrives */
    set(r, "a/c", "late", 8);
    assert_string_equal(payload(r, "a/c"), "");
    assert_int_equal(porch_retained_count(r), 1);
    assert_int_equal(porch_retained_bytes(r), 6);
    porch_retained_settle(r, 8);
    assert_int_equal(porch_retained_nodes(r), 4); /* root, a, b, and c that still guards */
    porch_retained_settle(r, 9);
    assert_int_equal(porch_retained_nodes(r), 3);
    set(r, "a/b", "", 10);
    porch_retained_settle(r, 10);
    assert_int_equal(porch_retained_nodes(r), 1);
    assert_int_equal(porch_retained_bytes(r), 0);
    porch_retained_free(r, pool);
}

static void owned(const porch_retained *r, const char *topic, uint64_t messages, uint64_t bytes) {
    uint64_t n = 99, b = 99;
    porch_retained_owned(r, porch_bytes_of(topic), &n, &b);
    assert_int_equal(n, messages);
    assert_int_equal(b, bytes);
}

static bool says(void *ctx, const porch_message *m) {
    (void)m;
    return *(const bool *)ctx;
}

static void what_has_expired_goes_and_nothing_older_comes_back(void **state) {
    (void)state;
    uint8_t raw[8];
    porch_buf b = PORCH_BUF_OF(raw);
    porch_mqtt_properties brief;
    bool yes = true, no = false;
    porch_retained *r = porch_retained_new(1);
    assert_int_equal(porch_mqtt_property_put_number(&b, PORCH_MQTT_PROP_MESSAGE_EXPIRY, 2), PORCH_OK);
    assert_int_equal(porch_mqtt_properties_of(porch_buf_bytes(&b), PORCH_MQTT_PUBLISH, NULL, &brief),
                     PORCH_OK);
    set(r, "d/cam/stays", "1", 3);
    porch_message *m = porch_message_new(pool, PORCH_LIT("d/cam/goes"), &brief, PORCH_LIT("1"), 1, 0);
    assert_int_equal(porch_retained_set(r, pool, m, 5), PORCH_OK);
    porch_message_release(pool, m);
    porch_retained_expire(r, pool, 1999, SIZE_MAX, says, &yes);
    porch_retained_expire(r, pool, 2000, SIZE_MAX, says, &no);
    owned(r, "d/cam", 2, 28);
    porch_retained_expire(r, pool, 2000, SIZE_MAX, says, &yes);
    owned(r, "d/cam", 1, 12);
    set(r, "d/cam/goes", "old", 4);
    assert_string_equal(payload(r, "d/cam/goes"), "");
    assert_int_equal(porch_retained_count(r), 1);
    porch_retained_settle(r, 5);
    assert_int_equal(porch_retained_nodes(r), 4);
    porch_retained_free(r, pool);
}

static void what_lies_below_one_device_is_counted(void **state) {
    (void)state;
    porch_retained *r = porch_retained_new(1);
    owned(r, "d/cam/x", 0, 0);
    set(r, "d/cam/a/b", "1", 1);
    set(r, "d/cam", "12", 2);
    set(r, "d/door/a", "1", 3);
    set(r, "d", "1", 4); /* nobody's */
    owned(r, "d/cam/anything", 2, 10 + 7);
    owned(r, "d/door", 1, 9);
    owned(r, "d", 0, 0);
    owned(r, "d/none/a", 0, 0);
    set(r, "d/cam/a/b", "12345", 5);
    owned(r, "d/cam/x", 2, 14 + 7);
    set(r, "d/cam/a/b", "late", 4);
    owned(r, "d/cam/x", 2, 14 + 7);
    set(r, "d/cam/a/b", "", 6);
    set(r, "d/cam", "", 7);
    owned(r, "d/cam/x", 0, 0);
    porch_retained_settle(r, 7);
    owned(r, "d/cam/x", 0, 0);
    porch_retained_free(r, pool);
}

static size_t walk_all(porch_retained *r, const char *filter, size_t bite, bool *seen, unsigned count,
                       const char *const *topics) {
    porch_retained_walk w = porch_retained_walk_begin(r);
    porch_message *some[8];
    size_t n = 0;
    while (w.at != NULL) {
        size_t got = porch_retained_walk_next(r, &w, (porch_topic_filter){porch_bytes_of(filter)}, some,
                                              bite, bite + 1);
        for (size_t i = 0; i < got; i++) {
            unsigned k = 0;
            while (k < count && !porch_bytes_eq_text(porch_message_topic(some[i]), topics[k]))
                k++;
            assert_true(k < count);
            assert_false(seen[k]); /* once each */
            seen[k] = true;
        }
        n += got;
    }
    porch_retained_walk_end(r, &w);
    return n;
}

static void a_walk_finds_what_the_filter_matches_once_each(void **state) {
    (void)state;
    static const char *const topics[] = {
        "a",        "a/b",  "a/b/c", "a//c", "/a", "b/b",   "b/b/c", "$sys",
        "$sys/a",   "a/$x", "a/b/d", "c",    "/",  "b/x/c", "b/x/y", "long/level/below/level",
        "a/b/c/d/e"};
    static const char *const filters[] = {"#",     "+",      "a/#",  "a/+",   "+/b/#", "+/+/c",
                                          "a/b",   "$sys/#", "$sys", "/+",    "+/",    "a/b/c/d/e/#",
                                          "b/+/+", "none/#", "+/#",  "a/+/c", "x"};
    enum { TOPICS = sizeof topics / sizeof topics[0] };
    porch_retained *r = porch_retained_new(2);
    for (unsigned i = 0; i < TOPICS; i++)
        set(r, topics[i], "x", i + 1);
    for (size_t f = 0; f < sizeof filters / sizeof filters[0]; f++) {
        for (size_t bite = 1; bite <= 8; bite += 3) {
            bool seen[TOPICS] = {false};
            (void)walk_all(r, filters[f], bite, seen, TOPICS, topics);
            for (unsigned i = 0; i < TOPICS; i++)
                assert_int_equal(seen[i],
                                 porch_topic_matches((porch_topic_filter){porch_bytes_of(filters[f])},
                                                     (porch_topic_name){porch_bytes_of(topics[i])}));
        }
    }
    porch_retained_free(r, pool);
}

static void nodes_stay_while_somebody_walks(void **state) {
    (void)state;
    porch_retained *r = porch_retained_new(3);
    char topic[32];
    for (unsigned i = 0; i < 100; i++) {
        snprintf(topic, sizeof topic, "t/%u", i);
        set(r, topic, "x", i + 1);
    }
    porch_retained_walk w = porch_retained_walk_begin(r);
    porch_message *some[8];
    porch_topic_filter all = {PORCH_LIT("#")};
    size_t n = porch_retained_walk_next(r, &w, all, some, 8, 100);
    assert_int_equal(n, 8);
    for (unsigned i = 0; i < 100; i++) {
        snprintf(topic, sizeof topic, "t/%u", i);
        set(r, topic, "", 101 + i);
    }
    porch_retained_settle(r, 500);
    assert_int_equal(porch_retained_nodes(r), 102);
    while (w.at != NULL)
        n += porch_retained_walk_next(r, &w, all, some, 8, 100);
    assert_int_equal(n, 8);
    porch_retained_walk_end(r, &w);
    assert_int_equal(porch_retained_nodes(r), 1);
    porch_retained_free(r, pool);
}

static bool is_of_cam(const porch_message *m, const void *ctx) {
    ++*(unsigned *)(uintptr_t)ctx;
    return porch_bytes_starts(porch_message_topic(m), PORCH_LIT("d/cam/"));
}

static void what_is_dropped_counts_for_nothing_and_nothing_older_comes_back(void **state) {
    (void)state;
    porch_retained *r = porch_retained_new(3);
    unsigned asked = 0;
    uint64_t messages, bytes;
    set(r, "d/cam/a", "one", 1);
    set(r, "d/cam/b/c", "two", 2);
    set(r, "d/other/a", "three", 3);
    porch_retained_drop(r, pool, is_of_cam, &asked);
    assert_int_equal(asked, 3);
    assert_int_equal(porch_retained_count(r), 1);
    assert_int_equal(porch_retained_bytes(r), strlen("d/other/a") + strlen("three"));
    porch_retained_owned(r, PORCH_LIT("d/cam/x"), &messages, &bytes);
    assert_int_equal(messages + bytes, 0);
    set(r, "d/cam/a", "late", 1);
    assert_null(porch_retained_find(r, PORCH_LIT("d/cam/a")));
    set(r, "d/cam/a", "new", 4);
    assert_non_null(porch_retained_find(r, PORCH_LIT("d/cam/a")));
    porch_retained_drop(r, pool, is_of_cam, &asked);
    porch_retained_settle(r, 10);
    assert_int_equal(porch_retained_nodes(r), 4); /* root, d, other, a */
    porch_retained_free(r, pool);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(the_greater_number_wins_whatever_comes_first),
        cmocka_unit_test(what_lies_below_one_device_is_counted),
        cmocka_unit_test(what_has_expired_goes_and_nothing_older_comes_back),
        cmocka_unit_test(what_is_dropped_counts_for_nothing_and_nothing_older_comes_back),
        cmocka_unit_test(a_walk_finds_what_the_filter_matches_once_each),
        cmocka_unit_test(nodes_stay_while_somebody_walks),
    };
    pool = porch_pool_new(1 << 22);
    int failed = cmocka_run_group_tests(tests, NULL, NULL);
    porch_pool_free(pool);
    return failed;
}
