#include "access/set.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

static const porch_access_set *build(const porch_bytes *texts, size_t count) {
    size_t bytes = porch_access_set_bytes(texts, count);
    void *block = malloc(bytes); /* exactly: the sanitizer guards its end */
    const porch_access_set *s = NULL;
    assert_int_equal(porch_access_set_build(texts, count, block, bytes, &s), PORCH_OK);
    assert_ptr_equal(s, block);
    return s;
}

static void what_was_put_in_is_there_and_nothing_else(void **state) {
    (void)state;
    static char names[2000][16];
    static porch_bytes texts[2000];
    for (size_t i = 0; i < 2000; i++) {
        (void)snprintf(names[i], sizeof names[i], "cam-%zu", i);
        texts[i] = porch_bytes_of(names[i]);
    }
    const porch_access_set *s = build(texts, 1000);
    assert_int_equal(porch_access_set_count(s), 1000);
    for (size_t i = 0; i < 2000; i++)
        assert_int_equal(porch_access_set_has(s, texts[i]), i < 1000);
    assert_false(porch_access_set_has(s, PORCH_LIT("cam-")));
    assert_false(porch_access_set_has(s, PORCH_LIT("")));
    free((void *)(uintptr_t)s);
}

static void an_empty_set_holds_nothing_and_a_twin_counts_once(void **state) {
    (void)state;
    const porch_bytes texts[] = {PORCH_LIT("a"), PORCH_LIT(""), PORCH_LIT("a"), PORCH_LIT("b")};
    const porch_access_set *none = build(NULL, 0), *two = build(texts, 4);
    assert_int_equal(porch_access_set_count(none), 0);
    assert_false(porch_access_set_has(none, PORCH_LIT("a")));
    assert_int_equal(porch_access_set_count(two), 2);
    assert_true(porch_access_set_has(two, PORCH_LIT("b")));
    free((void *)(uintptr_t)none);
    free((void *)(uintptr_t)two);
}

static void too_small_a_block_is_refused(void **state) {
    (void)state;
    const porch_bytes texts[] = {PORCH_LIT("a")};
    uint64_t block[64];
    const porch_access_set *s = NULL;
    assert_int_equal(porch_access_set_build(texts, 1, block, porch_access_set_bytes(texts, 1) - 1, &s),
                     PORCH_ERR_NO_SPACE);
    assert_null(s);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(what_was_put_in_is_there_and_nothing_else),
        cmocka_unit_test(an_empty_set_holds_nothing_and_a_twin_counts_once),
        cmocka_unit_test(too_small_a_block_is_refused),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
