#include "ota/author/author_match.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

static porch_why why;

static void pieces_cover_the_new_image_and_stay_inside_the_old_one(void **state) {
    (void)state;
    static uint8_t old[20000], fresh[20000];
    for (unsigned round = 1; round < 40; round++) {
        uint32_t seed = round;
        for (size_t i = 0; i < sizeof old; i++)
            old[i] = (uint8_t)((seed = seed * 1664525u + 1013904223u) >> (round % 2 ? 24 : 30));
        size_t old_len = round * 401, fresh_len = round * 367, skip = round * 13 % old_len, covered = 0,
               count = 0, same = 0;
        for (size_t i = 0; i < fresh_len; i++)
            fresh[i] = (uint8_t)(old[(i + skip) % old_len] + (i % 97 == 0));
        porch_author_piece *pieces = NULL;
        assert_int_equal(porch_author_match((porch_bytes){old, old_len}, (porch_bytes){fresh, fresh_len},
                                            &pieces, &count, NULL, NULL, &why),
                         PORCH_OK);
        for (size_t i = 0; i < count; i++) {
            assert_true((size_t)pieces[i].old_at + pieces[i].same <= old_len);
            covered += pieces[i].same + pieces[i].fresh;
            same += pieces[i].same;
        }
        assert_int_equal(covered, fresh_len);
        if (round % 2 && round > 8) assert_true(same > fresh_len * 9 / 10); /* nearly all of it was found */
        free(pieces);
    }
}

static void a_repetition_is_found_when_it_is_worth_its_cost(void **state) {
    (void)state;
    static const char text[] = "abcdefghij--abcdefghij++abcd";
    porch_author_repeats r;
    uint32_t distance = 0;
    assert_int_equal(porch_author_repeats_open(&r, porch_bytes_of(text), &why), PORCH_OK);
    assert_int_equal(porch_author_repeats_find(&r, 0, 20, &distance), 0);
    assert_int_equal(porch_author_repeats_find(&r, 12, 16, &distance), 10);
    assert_int_equal(distance, 12);
    assert_int_equal(porch_author_repeats_find(&r, 12, 5, &distance), 5); /* never more than asked */
    assert_int_equal(porch_author_repeats_find(&r, 24, 4, &distance),
                     0); /* four bytes are cheaper as they are */
    porch_author_repeats_close(&r);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(pieces_cover_the_new_image_and_stay_inside_the_old_one),
        cmocka_unit_test(a_repetition_is_found_when_it_is_worth_its_cost),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
