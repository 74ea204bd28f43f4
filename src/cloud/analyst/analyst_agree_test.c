#include "cloud/analyst/analyst_agree.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <string.h>

#include <cmocka.h>

static const porch_analyst_box LEFT = {1000, 3000, 600, 2000}, NEAR = {1250, 3050, 600, 2000},
                               RIGHT = {8000, 3000, 600, 2000}, GIANT = {500, 500, 3000, 9000};

static bool take(porch_analyst_agree *a, const porch_analyst_box *box, uint32_t score,
                 porch_analyst_seen *seen, uint32_t *agreeing) {
    porch_analyst_sample s = {.count = box != NULL};
    if (box != NULL) s.seen[0] = (porch_analyst_seen){*box, score};
    return porch_analyst_agree_take(a, &s, seen, agreeing);
}

static void one_sighting_proves_nothing_and_a_second_near_it_does(void **state) {
    (void)state;
    porch_analyst_agree a;
    porch_analyst_seen seen;
    uint32_t agreeing = 0;
    porch_analyst_agree_init(&a, 2);
    assert_false(take(&a, &LEFT, 900, &seen, &agreeing));
    assert_true(take(&a, &NEAR, 1100, &seen, &agreeing));
    assert_int_equal(agreeing, 2);
    assert_int_equal(seen.score_milli, 1100);
    assert_memory_equal(&seen.box, &NEAR, sizeof NEAR);
}

static void sightings_far_apart_or_of_other_size_do_not_agree(void **state) {
    (void)state;
    porch_analyst_agree a;
    porch_analyst_seen seen;
    uint32_t agreeing;
    porch_analyst_agree_init(&a, 2);
    for (int i = 0; i < 20; i++) {
        porch_analyst_agree_init(&a, 2);
        assert_false(take(&a, &LEFT, 900, &seen, &agreeing));
        assert_false(take(&a, i % 2 == 0 ? &RIGHT : &GIANT, 900, &seen, &agreeing));
    }
}

static void a_sighting_counts_for_five_samples_and_no_longer(void **state) {
    (void)state;
    for (int empty = 0; empty < 8; empty++) {
        porch_analyst_agree a;
        porch_analyst_seen seen;
        uint32_t agreeing;
        porch_analyst_agree_init(&a, 2);
        assert_false(take(&a, &LEFT, 900, &seen, &agreeing));
        for (int i = 0; i < empty; i++)
            assert_false(take(&a, NULL, 0, &seen, &agreeing));
        assert_int_equal(take(&a, &LEFT, 900, &seen, &agreeing), empty < 4);
    }
}

static void as_many_must_agree_as_are_asked_for(void **state) {
    (void)state;
    for (uint32_t needed = 1; needed <= 5; needed++) {
        porch_analyst_agree a;
        porch_analyst_seen seen;
        uint32_t agreeing;
        porch_analyst_agree_init(&a, needed);
        for (uint32_t i = 1; i <= needed; i++)
            assert_int_equal(take(&a, &LEFT, 900, &seen, &agreeing), i == needed);
    }
}

static void two_in_one_sample_do_not_agree_with_each_other(void **state) {
    (void)state;
    porch_analyst_agree a;
    porch_analyst_seen seen;
    uint32_t agreeing;
    porch_analyst_sample s = {.count = 2, .seen = {{LEFT, 900}, {NEAR, 900}}};
    porch_analyst_agree_init(&a, 2);
    assert_false(porch_analyst_agree_take(&a, &s, &seen, &agreeing));
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(one_sighting_proves_nothing_and_a_second_near_it_does),
        cmocka_unit_test(sightings_far_apart_or_of_other_size_do_not_agree),
        cmocka_unit_test(a_sighting_counts_for_five_samples_and_no_longer),
        cmocka_unit_test(as_many_must_agree_as_are_asked_for),
        cmocka_unit_test(two_in_one_sample_do_not_agree_with_each_other),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
