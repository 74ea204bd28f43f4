#include "base/arena.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <string.h>

#include <cmocka.h>

static void an_arena_aligns_zeroes_and_says_when_it_is_spent(void **state) {
    (void)state;
    uint8_t block[128];
    memset(block, 0xee, sizeof block);
    porch_arena a = porch_arena_of(block + 1, sizeof block - 1);
    uint8_t *one = porch_arena_take(&a, 3);
    uint64_t *two = porch_arena_take(&a, sizeof *two);
    assert_non_null(one);
    assert_non_null(two);
    assert_true((uintptr_t)two % _Alignof(max_align_t) == 0);
    assert_true(*two == 0 && one[0] == 0 && one[2] == 0);
    assert_null(porch_arena_take(&a, SIZE_MAX));
    assert_null(porch_arena_take(&a, sizeof block));
    assert_string_equal(porch_arena_text(&a, PORCH_LIT("door")), "door");
    porch_arena_reset(&a);
    assert_ptr_equal(porch_arena_take(&a, 3), one);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(an_arena_aligns_zeroes_and_says_when_it_is_spent),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
