#include "os/fair_lock.h"

#include <sched.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include <cmocka.h>

enum { OTHERS = 3, PIECES = 1000 };

typedef struct {
    porch_fair_lock lock;
    char order[16]; /* who had it, with the lock held */
    size_t count;
    long sum; /* not atomic: the lock guards it */
} bench;

typedef struct {
    bench *b;
    char name;
} other;

static void note(bench *b, char name) {
    b->order[b->count++] = name;
}

static void *need_one(void *ctx) {
    other *o = ctx;
    porch_fair_lock_take(&o->b->lock);
    note(o->b, o->name);
    porch_fair_lock_give(&o->b->lock);
    return NULL;
}

static void who_asks_again_at_once_comes_after_all_who_wait(void **state) {
    bench b = {.count = 0};
    other others[OTHERS];
    pthread_t threads[OTHERS];
    (void)state;
    porch_fair_lock_init(&b.lock);
    porch_fair_lock_take(&b.lock);
    note(&b, '1');
    for (int i = 0; i < OTHERS; i++) {
        others[i] = (other){&b, (char)('a' + i)};
        assert_int_equal(pthread_create(&threads[i], NULL, need_one, &others[i]), 0);
        while (porch_fair_lock_waiting(&b.lock) < (size_t)i + 1)
            (void)sched_yield();
    }
    porch_fair_lock_give(&b.lock);
    porch_fair_lock_take(&b.lock);
    note(&b, '2');
    porch_fair_lock_give(&b.lock);
    for (int i = 0; i < OTHERS; i++)
        assert_int_equal(pthread_join(threads[i], NULL), 0);
    assert_string_equal(b.order, "1abc2");
    assert_int_equal(porch_fair_lock_waiting(&b.lock), 0);
    porch_fair_lock_destroy(&b.lock);
}

static void *count_up(void *ctx) {
    bench *b = ctx;
    for (int i = 0; i < PIECES; i++) {
        porch_fair_lock_take(&b->lock);
        b->sum++;
        porch_fair_lock_give(&b->lock);
    }
    return NULL;
}

static void one_has_it_at_a_time(void **state) {
    bench b = {.count = 0};
    pthread_t threads[OTHERS];
    (void)state;
    porch_fair_lock_init(&b.lock);
    for (int i = 0; i < OTHERS; i++)
        assert_int_equal(pthread_create(&threads[i], NULL, count_up, &b), 0);
    for (int i = 0; i < OTHERS; i++)
        assert_int_equal(pthread_join(threads[i], NULL), 0);
    assert_int_equal(b.sum, OTHERS * PIECES);
    porch_fair_lock_destroy(&b.lock);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(who_asks_again_at_once_comes_after_all_who_wait),
        cmocka_unit_test(one_has_it_at_a_time),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
