#include "cloud/api/turns.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

enum { PER_MINUTE = 30, MOST = 64 };
static const uint64_t start_ms = 5000;

/* As fingerprints are spread: no two begin alike. */
static const uint8_t *asker(unsigned number) {
    static uint8_t bytes[32];
    memset(bytes, 0, sizeof bytes);
    memcpy(bytes, &number, sizeof number);
    return bytes;
}

static unsigned taken(porch_turns *t, unsigned who, unsigned tries, uint64_t at_ms) {
    unsigned count = 0;
    uint64_t wait_ms = 0;
    for (unsigned i = 0; i < tries; i++)
        count += porch_turns_take(t, asker(who), at_ms, &wait_ms) ? 1 : 0;
    return count;
}

static void one_that_asks_without_end_spends_its_own_turns_alone(void **state) {
    (void)state;
    porch_turns *t = porch_turns_new(MOST, PER_MINUTE);
    assert_non_null(t);
    assert_int_equal(taken(t, 1, 1000, start_ms), PER_MINUTE);
    assert_int_equal(taken(t, 2, 1, start_ms), 1);
    porch_turns_free(t);
}

static void a_turn_comes_back_when_it_was_said_to(void **state) {
    (void)state;
    uint64_t wait_ms = 0;
    porch_turns *t = porch_turns_new(MOST, PER_MINUTE);
    assert_int_equal(taken(t, 1, 1000, start_ms), PER_MINUTE);
    assert_false(porch_turns_take(t, asker(1), start_ms, &wait_ms));
    assert_int_equal(wait_ms, 60000 / PER_MINUTE);
    assert_false(porch_turns_take(t, asker(1), start_ms + wait_ms - 1, &wait_ms));
    assert_int_equal(wait_ms, 1);
    assert_int_equal(taken(t, 1, 5, start_ms + 60000 / PER_MINUTE), 1);
    assert_int_equal(taken(t, 1, 1000, start_ms + 600000), PER_MINUTE);
    assert_int_equal(taken(t, 1, 5, start_ms), 0); /* another thread's older clock gives nothing */
    porch_turns_free(t);
}

static void more_askers_than_are_remembered_are_all_answered_and_the_busy_one_stays_known(void **state) {
    (void)state;
    porch_turns *t = porch_turns_new(MOST, PER_MINUTE);
    assert_int_equal(taken(t, 0, 1000, start_ms), PER_MINUTE);
    for (unsigned i = 1; i < 100 * MOST; i++) {
        assert_int_equal(taken(t, i, 1, start_ms + i), 1);
        if (i % 4 == 0) (void)taken(t, 0, 1, start_ms + i);
    }
    /* its turns of that time, and none of a row that was given to another */
    assert_true(taken(t, 0, 1000, start_ms + 100 * MOST) <= 1);
    porch_turns_free(t);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(one_that_asks_without_end_spends_its_own_turns_alone),
        cmocka_unit_test(a_turn_comes_back_when_it_was_said_to),
        cmocka_unit_test(more_askers_than_are_remembered_are_all_answered_and_the_busy_one_stays_known),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
