#include "cloud/broker/received.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdlib.h>

#include <cmocka.h>

/* Against a plain table of all numbers, with numbers that a client would choose to make searches long. */
static void it_says_what_a_plain_table_says(void **state) {
    (void)state;
    porch_pool *pool = porch_pool_new(1 << 24);
    porch_received r = {NULL, 0, 0};
    static bool there[65536];
    uint32_t seed = 7;
    unsigned count = 0;
    for (int i = 0; i < 200000; i++) {
        seed = seed * 1664525 + 1013904223;
        uint16_t id = (uint16_t)(1 + (seed >> 16) % 700 * 64);
        assert_int_equal(porch_received_find(&r, id) != NULL, there[id]);
        if (there[id]) {
            assert_int_equal(porch_received_find(&r, id)->place, id);
            porch_received_drop(&r, id);
            count--;
        } else if (count < 512) {
            porch_received_put(&r, pool, id)->place = id;
            count++;
        } else {
            continue;
        }
        there[id] = !there[id];
        assert_int_equal(r.used, count);
    }
    for (uint32_t id = 0; id < 65536; id++)
        assert_int_equal(porch_received_find(&r, (uint16_t)id) != NULL, there[id]);
    porch_received_free(&r, pool);
    assert_null(porch_received_find(&r, 1));
    porch_pool_free(pool);
}

static void dropping_what_is_not_there_is_nothing(void **state) {
    (void)state;
    porch_pool *pool = porch_pool_new(1 << 20);
    porch_received r = {NULL, 0, 0};
    porch_received_drop(&r, 3);
    assert_non_null(porch_received_put(&r, pool, 3));
    porch_received_drop(&r, 4);
    assert_int_equal(r.used, 1);
    porch_received_free(&r, pool);
    porch_pool_free(pool);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(it_says_what_a_plain_table_says),
        cmocka_unit_test(dropping_what_is_not_there_is_nothing),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
