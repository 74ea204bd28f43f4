#include "cloud/listener/pool.h"

#include <pthread.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

static void blocks_are_large_enough_and_apart(void **state) {
    (void)state;
    porch_pool *p = porch_pool_new(64 << 20);
    enum { COUNT = 300 };
    uint8_t *held[COUNT];
    size_t bytes[COUNT];
    for (size_t i = 0; i < COUNT; i++) {
        bytes[i] = 1 + i * i;
        held[i] = porch_pool_take(p, bytes[i]);
        assert_non_null(held[i]);
        assert_true(porch_pool_room(held[i]) >= bytes[i]);
        memset(held[i], (int)(i & 0xff), porch_pool_room(held[i]));
    }
    for (size_t i = 0; i < COUNT; i++)
        for (size_t k = 0; k < bytes[i]; k += 97)
            assert_int_equal(held[i][k], i & 0xff);
    for (size_t i = 0; i < COUNT; i++)
        porch_pool_give(p, held[i]);
    porch_pool_free(p);
}

static void what_was_given_back_is_taken_again(void **state) {
    (void)state;
    porch_pool *p = porch_pool_new(1 << 20);
    void *first = porch_pool_take(p, 950);
    porch_pool_give(p, first);
    assert_ptr_equal(porch_pool_take(p, 900), first);
    porch_pool_free(p);
}

static void a_limit_is_kept_and_told(void **state) {
    (void)state;
    porch_pool *p = porch_pool_new(200000);
    size_t n = 0;
    while (porch_pool_take(p, 10000) != NULL)
        n++;
    assert_in_range(n, 4, 19);
    assert_true(porch_pool_bytes(p) <= 200000);
    assert_null(porch_pool_take(p, PORCH_POOL_BLOCK_MOST));
    porch_pool_free(p);
}

static void *give_all(void *arg) {
    void **blocks = arg;
    for (size_t i = 0; i < 1000; i++)
        porch_pool_give(NULL, blocks[i]);
    return NULL;
}

static void another_thread_may_give_back(void **state) {
    (void)state;
    porch_pool *p = porch_pool_new(8 << 20);
    static void *blocks[1000];
    uint64_t after_first = 0;
    for (int round = 0; round < 20; round++) {
        pthread_t t;
        for (size_t i = 0; i < 1000; i++)
            assert_non_null(blocks[i] = porch_pool_take(p, 200));
        assert_int_equal(pthread_create(&t, NULL, give_all, blocks), 0);
        pthread_join(t, NULL);
        if (round == 0) after_first = porch_pool_bytes(p);
    }
    assert_int_equal(porch_pool_bytes(p), after_first);
    porch_pool_free(p);
}

static void a_pool_that_keeps_nothing_has_its_limit_for_any_size_again(void **state) {
    (void)state;
    enum { MOST = 1 << 20, COUNT = 2000 };
    porch_pool *p = porch_pool_new_returning(MOST), *other = porch_pool_new(MOST);
    static void *held[COUNT];
    static const size_t sizes[] = {70000, 100, 20000, 500000, 1000};
    for (size_t round = 0; round < sizeof sizes / sizeof *sizes; round++) {
        size_t n = 0;
        while (n < COUNT && (held[n] = porch_pool_take(p, sizes[round])) != NULL) {
            assert_true(porch_pool_room(held[n]) >= sizes[round]);
            memset(held[n++], 7, sizes[round]);
        }
        assert_true(n > 0);
        assert_in_range(porch_pool_bytes(p), 1, MOST);
        for (size_t i = 0; i < n; i++)
            porch_pool_give(i % 2 == 0 ? p : other, held[i]);
        assert_int_equal(porch_pool_bytes(p), 0);
    }
    porch_pool_free(p);
    porch_pool_free(other);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(blocks_are_large_enough_and_apart),
        cmocka_unit_test(what_was_given_back_is_taken_again),
        cmocka_unit_test(a_limit_is_kept_and_told),
        cmocka_unit_test(another_thread_may_give_back),
        cmocka_unit_test(a_pool_that_keeps_nothing_has_its_limit_for_any_size_again),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
