#include "cloud/broker/acks.h"

#include <setjmp.h>
#include <stdarg.h>

#include <cmocka.h>

static void acknowledgements_leave_in_the_order_of_arrival(void **state) {
    (void)state;
    porch_ack slots[4], out;
    porch_acks a = porch_acks_of(slots, 4);
    uint32_t p[3];
    for (uint16_t i = 0; i < 3; i++)
        assert_true(porch_acks_add(&a, 4, (uint16_t)(7 + i), &p[i]));
    porch_acks_ready(&a, p[1], 0x87);
    assert_false(porch_acks_take(&a, &out));
    porch_acks_ready(&a, p[0], 0);
    assert_true(porch_acks_take(&a, &out));
    assert_int_equal(out.packet_id, 7);
    assert_true(porch_acks_take(&a, &out));
    assert_int_equal(out.packet_id, 8);
    assert_int_equal(out.reason, 0x87);
    assert_false(porch_acks_take(&a, &out));
    assert_int_equal(porch_acks_waiting(&a), 1);
}

static void a_place_can_be_given_back_at_once(void **state) {
    (void)state;
    porch_ack slots[2], out;
    porch_acks a = porch_acks_of(slots, 2);
    uint32_t first, second;
    assert_true(porch_acks_add(&a, 4, 1, &first));
    assert_true(porch_acks_add(&a, 5, 2, &second));
    porch_acks_take_back(&a);
    assert_true(porch_acks_add(&a, 7, 3, &second));
    porch_acks_ready(&a, first, 0);
    porch_acks_ready(&a, second, 0);
    assert_true(porch_acks_take(&a, &out) && porch_acks_take(&a, &out));
    assert_int_equal(out.packet_id, 3);
    assert_int_equal(out.type, 7);
}

static void a_full_list_takes_no_more_until_one_has_left(void **state) {
    (void)state;
    porch_ack slots[2], out;
    porch_acks a = porch_acks_of(slots, 2);
    uint32_t p, first;
    assert_true(porch_acks_add(&a, 4, 1, &first));
    assert_true(porch_acks_add(&a, 4, 2, &p));
    assert_false(porch_acks_add(&a, 4, 3, &p));
    porch_acks_ready(&a, first, 0);
    assert_true(porch_acks_take(&a, &out));
    assert_true(porch_acks_add(&a, 4, 3, &p));
}

static void counters_may_wrap(void **state) {
    (void)state;
    porch_ack slots[2], out;
    porch_acks a = porch_acks_of(slots, 2);
    a.first = a.end = UINT32_MAX;
    for (uint16_t i = 1; i < 6; i++) {
        uint32_t p;
        assert_true(porch_acks_add(&a, 4, i, &p));
        porch_acks_ready(&a, p, 0);
        assert_true(porch_acks_take(&a, &out));
        assert_int_equal(out.packet_id, i);
    }
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(acknowledgements_leave_in_the_order_of_arrival),
        cmocka_unit_test(a_place_can_be_given_back_at_once),
        cmocka_unit_test(a_full_list_takes_no_more_until_one_has_left),
        cmocka_unit_test(counters_may_wrap),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
