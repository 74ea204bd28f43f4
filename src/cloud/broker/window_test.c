#include "cloud/broker/window.h"

#include <setjmp.h>
#include <stdarg.h>

#include <cmocka.h>

static void identifiers_in_use_are_never_given_twice(void **state) {
    (void)state;
    uint16_t slots[16];
    static bool in_use[65536];
    assert_int_equal(porch_window_slots(5), 16);
    porch_window w = porch_window_of(slots, 5);
    uint16_t held[5];
    uint32_t turn = 1;
    for (int i = 0; i < 5; i++) {
        held[i] = porch_window_take(&w);
        in_use[held[i]] = true;
    }
    assert_true(porch_window_full(&w));
    for (int i = 0; i < 200000; i++) {
        turn = turn * 1103515245u + 12345u;
        size_t k = (turn >> 16) % 5;
        assert_true(porch_window_give(&w, held[k]));
        in_use[held[k]] = false;
        held[k] = porch_window_take(&w);
        assert_int_not_equal(held[k], 0);
        assert_false(in_use[held[k]]);
        in_use[held[k]] = true;
    }
}

static void an_acknowledgement_of_nothing_is_noticed(void **state) {
    (void)state;
    uint16_t slots[2];
    porch_window w = porch_window_of(slots, 1);
    assert_false(porch_window_give(&w, 0));
    assert_false(porch_window_give(&w, 1));
    uint16_t id = porch_window_take(&w);
    assert_true(porch_window_give(&w, id));
    assert_false(porch_window_give(&w, id));
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(identifiers_in_use_are_never_given_twice),
        cmocka_unit_test(an_acknowledgement_of_nothing_is_noticed),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
