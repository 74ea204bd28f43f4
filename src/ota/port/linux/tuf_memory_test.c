#include "ota/port/linux/tuf_memory.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include <cmocka.h>

static void every_block_reaches_what_the_limits_allow(void **state) {
    (void)state;
    porch_tuf t = {0};
    porch_why why;
    assert_int_equal(porch_tuf_memory_make(&t, &why), PORCH_OK);
    assert_true(t.memory.raw.cap >= t.limits.root_bytes && t.memory.raw.cap >= t.limits.targets_bytes);
    assert_true(t.memory.work.cap >= t.memory.raw.cap); /* the canonical form is never longer */
    assert_true(t.memory.root.cap >= t.limits.root_bytes);
    assert_true(t.memory.snapshot.cap >= t.limits.snapshot_bytes);
    assert_true(t.memory.targets.cap >= t.limits.targets_bytes);
    porch_tuf_memory_free(&t);
    porch_tuf_memory_free(&t); /* twice is fine */
}

int main(void) {
    const struct CMUnitTest tests[] = {cmocka_unit_test(every_block_reaches_what_the_limits_allow)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
