#include "cloud/broker/flight.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include <cmocka.h>

static porch_pool *pool;

static void identifiers_are_never_zero_and_never_given_twice(void **state) {
    (void)state;
    porch_flight f = {0};
    static bool given[65536];
    for (int i = 0; i < 1000; i++) {
        porch_flying *one = porch_flight_take(&f, pool);
        assert_non_null(one);
        assert_int_not_equal(one->packet_id, 0);
        assert_false(given[one->packet_id]);
        given[one->packet_id] = true;
    }
    /* Some are acknowledged, out of order; the rest stays where it is while numbers run once around. */
    for (uint16_t id = 1; id <= 1000; id += 2)
        porch_flight_drop(&f, porch_flight_find(&f, id));
    for (int i = 0; i < 70000; i++) {
        porch_flying *one = porch_flight_take(&f, pool);
        assert_non_null(one);
        assert_true(one->packet_id > 0 && (one->packet_id > 1000 || one->packet_id % 2 == 1));
        porch_flight_drop(&f, one);
    }
    assert_int_equal(f.used, 500);
    for (uint16_t id = 2; id <= 1000; id += 2)
        porch_flight_drop(&f, porch_flight_find(&f, id));
    porch_flight_free(&f, pool);
}

static void what_is_not_in_use_is_not_found(void **state) {
    (void)state;
    porch_flight f = {0};
    assert_null(porch_flight_find(&f, 1));
    porch_flying *one = porch_flight_take(&f, pool);
    assert_null(porch_flight_find(&f, 0));
    assert_null(porch_flight_find(&f, (uint16_t)(one->packet_id + 8))); /* the same slot */
    assert_ptr_equal(porch_flight_find(&f, one->packet_id), one);
    porch_flight_drop(&f, one);
    assert_null(porch_flight_find(&f, 1));
    porch_flight_free(&f, pool);
}

static void identifiers_from_before_find_their_place(void **state) {
    (void)state;
    porch_flight f = {0};
    static const uint16_t before[] = {7, 4103, 65535, 2055}; /* 7, 4103 and 2055 meet in small tables */
    for (int i = 0; i < 4; i++)
        assert_non_null(porch_flight_put(&f, pool, before[i]));
    assert_null(porch_flight_put(&f, pool, 4103));
    assert_null(porch_flight_put(&f, pool, 0));
    for (int i = 0; i < 4; i++)
        assert_int_equal(porch_flight_find(&f, before[i])->order, i);
    for (int i = 0; i < 4; i++)
        porch_flight_drop(&f, porch_flight_find(&f, before[i]));
    porch_flight_free(&f, pool);
}

static void what_is_sent_again_goes_in_the_first_order(void **state) {
    (void)state;
    porch_flight f = {.orders = UINT32_MAX - 3, .last = 65533}; /* both wrap */
    uint16_t order[8];
    for (int i = 0; i < 8; i++) {
        porch_flying *one = porch_flight_take(&f, pool);
        one->resend = true;
        order[i] = one->packet_id;
    }
    porch_flight_drop(&f, porch_flight_find(&f, order[3]));
    porch_flying *again[8];
    assert_int_equal(porch_flight_resends(&f, again, 8), 7);
    for (int i = 0, k = 0; i < 8; i++) {
        if (i == 3) continue;
        assert_int_equal(again[k]->packet_id, order[i]);
        porch_flight_drop(&f, again[k++]);
    }
    assert_int_equal(porch_flight_resends(&f, again, 8), 0);
    porch_flight_free(&f, pool);
}

static void a_spent_pool_is_an_answer(void **state) {
    (void)state;
    porch_pool *tiny = porch_pool_new(1 << 20);
    porch_flight f = {0};
    unsigned n = 0;
    while (n < 65535 && porch_flight_take(&f, tiny) != NULL)
        n++;
    assert_in_range(n, 8, 65534);
    uint32_t at = 0;
    for (porch_flying *one; (one = porch_flight_next(&f, &at)) != NULL; n--)
        porch_flight_drop(&f, one);
    assert_int_equal(n, 0);
    porch_flight_free(&f, tiny);
    porch_pool_free(tiny);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(identifiers_are_never_zero_and_never_given_twice),
        cmocka_unit_test(what_is_not_in_use_is_not_found),
        cmocka_unit_test(identifiers_from_before_find_their_place),
        cmocka_unit_test(what_is_sent_again_goes_in_the_first_order),
        cmocka_unit_test(a_spent_pool_is_an_answer),
    };
    pool = porch_pool_new(1 << 26);
    int failed = cmocka_run_group_tests(tests, NULL, NULL);
    porch_pool_free(pool);
    return failed;
}
