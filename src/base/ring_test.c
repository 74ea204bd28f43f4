#include "base/ring.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <string.h>

#include <cmocka.h>

#include <pthread.h>
#include <sched.h>

static void a_ring_is_full_at_its_count_and_gives_back_in_order(void **state) {
    (void)state;
    uint32_t slots[4];
    porch_ring r;
    assert_false(porch_ring_init(&r, slots, sizeof slots[0], 3));
    assert_true(porch_ring_init(&r, slots, sizeof slots[0], 4));
    uint32_t next_in = 0, next_out = 0, got;
    for (int round = 0; round < 5; round++) {
        while (porch_ring_push(&r, &next_in))
            next_in++;
        assert_int_equal(porch_ring_count(&r), 4);
        for (int i = 0; i < 3; i++) {
            assert_true(porch_ring_pop(&r, &got));
            assert_int_equal(got, next_out++);
        }
    }
    while (porch_ring_pop(&r, &got))
        assert_int_equal(got, next_out++);
    assert_int_equal(next_in, next_out);
}

static void what_is_staged_is_seen_once_it_is_published(void **state) {
    (void)state;
    uint32_t slots[8], got[8], next = 0;
    porch_ring r;
    assert_true(porch_ring_init(&r, slots, sizeof slots[0], 8));
    for (; next < 6; next++)
        assert_true(porch_ring_stage(&r, &next));
    assert_int_equal(porch_ring_count(&r), 0);
    assert_false(porch_ring_pop(&r, got));
    assert_int_equal(porch_ring_pop_many(&r, got, 8), 0);
    assert_true(porch_ring_room(&r, 2));
    assert_false(porch_ring_room(&r, 3));
    porch_ring_publish(&r);
    assert_int_equal(porch_ring_pop_many(&r, got, 4), 4);
    for (uint32_t i = 0; i < 4; i++)
        assert_int_equal(got[i], i);
    /* Across the end of the slots, more than there are asked for. */
    while (porch_ring_stage(&r, &next))
        next++;
    assert_int_equal(next, 12);
    porch_ring_publish(&r);
    assert_int_equal(porch_ring_pop_many(&r, got, 100), 8);
    for (uint32_t i = 0; i < 8; i++)
        assert_int_equal(got[i], i + 4);
    assert_false(porch_ring_room(&r, 9));
    assert_true(porch_ring_room(&r, 8));
}

enum { MANY = 200000 };

static void *produce(void *arg) {
    porch_ring *r = arg;
    for (uint32_t i = 0; i < MANY;) {
        if (porch_ring_push(r, &i))
            i++;
        else
            sched_yield();
    }
    return NULL;
}

/* Batches of changing size, staged and published. */
static void *produce_batches(void *arg) {
    porch_ring *r = arg;
    for (uint32_t i = 0, batch = 1; i < MANY; batch = batch % 70 + 1) {
        for (uint32_t n = 0; n < batch && i < MANY && porch_ring_stage(r, &i); n++)
            i++;
        porch_ring_publish(r);
        if (!porch_ring_room(r, 1)) sched_yield();
    }
    return NULL;
}

static void two_threads_pass_batches_whole_and_in_order(void **state) {
    (void)state;
    uint32_t slots[64], got[32];
    porch_ring r;
    pthread_t producer;
    assert_true(porch_ring_init(&r, slots, sizeof slots[0], 64));
    assert_int_equal(pthread_create(&producer, NULL, produce_batches, &r), 0);
    for (uint32_t expected = 0; expected < MANY;) {
        size_t n = porch_ring_pop_many(&r, got, 32);
        for (size_t i = 0; i < n; i++)
            assert_int_equal(got[i], expected++);
        if (n == 0) sched_yield();
    }
    pthread_join(producer, NULL);
    assert_int_equal(porch_ring_count(&r), 0);
}

static void two_threads_lose_and_reorder_nothing(void **state) {
    (void)state;
    uint32_t slots[64];
    porch_ring r;
    pthread_t producer;
    assert_true(porch_ring_init(&r, slots, sizeof slots[0], 64));
    assert_int_equal(pthread_create(&producer, NULL, produce, &r), 0);
    for (uint32_t expected = 0, got; expected < MANY;) {
        if (porch_ring_pop(&r, &got))
            assert_int_equal(got, expected++);
        else
            sched_yield();
    }
    pthread_join(producer, NULL);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_ring_is_full_at_its_count_and_gives_back_in_order),
        cmocka_unit_test(what_is_staged_is_seen_once_it_is_published),
        cmocka_unit_test(two_threads_lose_and_reorder_nothing),
        cmocka_unit_test(two_threads_pass_batches_whole_and_in_order),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
