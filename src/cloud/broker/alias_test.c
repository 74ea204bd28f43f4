#include "cloud/broker/alias.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>

#include <cmocka.h>

static porch_pool *pool;

static void an_alias_means_what_was_set_last(void **state) {
    (void)state;
    porch_alias a = {NULL, 4};
    assert_int_equal(porch_alias_topic_of(&a, 1).len, 0);
    assert_true(porch_alias_set(&a, pool, 1, PORCH_LIT("d/cam/telemetry/heat")));
    assert_true(porch_alias_set(&a, pool, 4, PORCH_LIT("t")));
    assert_true(porch_bytes_eq_text(porch_alias_topic_of(&a, 1), "d/cam/telemetry/heat"));
    static const char longer[] =
        "a topic that is longer than the block of the first one was, by far and away";
    assert_true(porch_alias_set(&a, pool, 1, PORCH_LIT(longer)));
    assert_true(porch_bytes_eq_text(porch_alias_topic_of(&a, 1), longer));
    assert_true(porch_bytes_eq_text(porch_alias_topic_of(&a, 4), "t"));
    assert_int_equal(porch_alias_topic_of(&a, 0).len, 0);
    assert_int_equal(porch_alias_topic_of(&a, 5).len, 0);
    assert_int_equal(porch_alias_topic_of(&a, 2).len, 0);
    porch_alias_free(&a, pool);
}

/* The other side's view is kept beside: an alias that travels alone must stand for the same topic there. */
static void both_sides_always_mean_the_same_topic(void **state) {
    (void)state;
    porch_alias ours = {NULL, 8}, theirs = {NULL, 8};
    uint32_t seed = 3, alone = 0;
    for (int i = 0; i < 5000; i++) {
        char text[32];
        bool known = false;
        seed = seed * 1664525 + 1013904223;
        snprintf(text, sizeof text, "d/device-%u/x", (seed >> 16) % 20);
        uint16_t alias = porch_alias_for(&ours, porch_bytes_of(text), &known);
        assert_in_range(alias, 1, 8);
        if (!known) assert_true(porch_alias_set(&ours, pool, alias, porch_bytes_of(text)));
        if (!known) assert_true(porch_alias_set(&theirs, pool, alias, porch_bytes_of(text)));
        alone += known;
        assert_true(porch_bytes_eq_text(porch_alias_topic_of(&theirs, alias), text));
    }
    assert_true(alone > 500);
    porch_alias_free(&ours, pool);
    porch_alias_free(&theirs, pool);
}

static void without_aliases_there_is_none(void **state) {
    (void)state;
    porch_alias a = {NULL, 0};
    bool known = true;
    assert_int_equal(porch_alias_for(&a, PORCH_LIT("t"), &known), 0);
    porch_alias_free(&a, pool);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(an_alias_means_what_was_set_last),
        cmocka_unit_test(both_sides_always_mean_the_same_topic),
        cmocka_unit_test(without_aliases_there_is_none),
    };
    pool = porch_pool_new(1 << 22);
    int failed = cmocka_run_group_tests(tests, NULL, NULL);
    porch_pool_free(pool);
    return failed;
}
