#include "motion.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <string.h>

#include <cmocka.h>

enum { WIDTH = 320, HEIGHT = 240, FRAME_MS = 100, SETTLE_MS = 1000 };

static uint8_t picture[HEIGHT][WIDTH];

static void plain(void) {
    memset(picture, 90, sizeof picture);
}

static void bright_box(int left, int top, int width, int height) {
    plain();
    for (int y = top; y < top + height; y++)
        memset(&picture[y][left], 200, (size_t)width);
}

static porch_camera_sight look(porch_camera_motion *m, uint64_t frame) {
    return porch_camera_motion_look(m, picture[0], WIDTH, 1000 + frame * FRAME_MS);
}

static porch_camera_motion *fresh(void) {
    porch_camera_motion *m = porch_camera_motion_new(WIDTH, HEIGHT, SETTLE_MS);
    assert_non_null(m);
    plain();
    porch_camera_sight s = look(m, 0);
    assert_false(s.moving);
    return m;
}

static void something_that_walks_is_seen_with_its_box(void **state) {
    (void)state;
    porch_camera_motion *m = fresh();
    porch_camera_sight s = {0};
    uint64_t frame = 1;
    for (; frame < 5 && !s.moving; frame++) {
        bright_box(40 + (int)frame * 16, 64, 32, 96);
        s = look(m, frame);
    }
    assert_true(s.moving && s.began);
    assert_true(s.score > 0 && s.score <= 1);
    assert_true(s.box[0] <= 0.25 && s.box[0] + s.box[2] >= 0.2);
    assert_true(s.box[1] <= 64.0 / HEIGHT && s.box[1] + s.box[3] >= 150.0 / HEIGHT);
    assert_true(s.box[0] + s.box[2] <= 1 && s.box[1] + s.box[3] <= 1);
    bright_box(40 + (int)frame * 16, 64, 32, 96);
    s = look(m, frame);
    assert_true(s.moving);
    assert_false(s.began);
    porch_camera_motion_free(m);
}

static void a_small_motion_counts_from_its_first_frame_but_needs_a_second(void **state) {
    (void)state;
    porch_camera_motion *m = fresh();
    bright_box(96, 96, 48, 16);
    porch_camera_sight s = look(m, 1);
    assert_false(s.moving);
    bright_box(112, 112, 48, 16);
    s = look(m, 2);
    assert_true(s.began);
    assert_int_equal(s.began_at_ms, 1000 + FRAME_MS);
    porch_camera_motion_free(m);
}

static void a_still_picture_and_a_little_noise_are_no_motion(void **state) {
    (void)state;
    porch_camera_motion *m = fresh();
    unsigned noise = 1;
    for (uint64_t frame = 1; frame < 50; frame++) {
        plain();
        for (int i = 0; i < 400; i++) {
            noise = noise * 1664525u + 1013904223u;
            picture[(noise >> 8) % HEIGHT][(noise >> 16) % WIDTH] = 255;
        }
        porch_camera_sight s = look(m, frame);
        assert_false(s.moving);
    }
    porch_camera_motion_free(m);
}

static void motion_ends_when_it_has_been_quiet_for_the_settle_time(void **state) {
    (void)state;
    porch_camera_motion *m = fresh();
    uint64_t frame = 1;
    porch_camera_sight s = {0};
    for (; frame < 6; frame++) {
        bright_box(40 + (int)frame * 16, 64, 32, 96);
        s = look(m, frame);
    }
    assert_true(s.moving);
    uint64_t quiet = 0;
    while (s.moving && quiet < 100) {
        s = look(m, frame++);
        quiet++;
    }
    assert_in_range(quiet, SETTLE_MS / FRAME_MS, SETTLE_MS / FRAME_MS + 3);
    porch_camera_motion_free(m);
}

static void a_pause_shorter_than_the_settle_time_is_one_motion(void **state) {
    (void)state;
    porch_camera_motion *m = fresh();
    int begins = 0;
    for (uint64_t frame = 1; frame < 60; frame++) {
        if (frame % 8 < 3) bright_box(40 + (int)(frame * 16) % 200, 64, 32, 96);
        begins += look(m, frame).began;
    }
    assert_int_equal(begins, 1);
    porch_camera_motion_free(m);
}

static void what_moves_in_an_ignored_zone_is_no_motion(void **state) {
    (void)state;
    /* the upper half, and a strip that the box below does not reach */
    static const int32_t zones[][4] = {{0, 0, 10000, 5000}, {9500, 5000, 500, 5000}};
    porch_camera_motion *m = fresh();
    porch_camera_motion_ignore(m, zones, 2);
    porch_camera_sight s = {0};
    uint64_t frame = 1;
    for (; frame < 12; frame++) {
        bright_box(20 + (int)frame * 16, 16, 32, 64);
        s = look(m, frame);
        assert_false(s.moving);
        assert_true(s.score == 0);
    }
    bool seen = false;
    for (; frame < 20; frame++) { /* the same thing in the lower half */
        bright_box(20 + (int)(frame - 11) * 16, 144, 32, 64);
        seen = look(m, frame).moving || seen;
    }
    assert_true(seen);
    porch_camera_motion_free(m);
}

static void zones_can_be_taken_back(void **state) {
    (void)state;
    static const int32_t all[][4] = {{0, 0, 10000, 10000}};
    porch_camera_motion *m = fresh();
    porch_camera_motion_ignore(m, all, 1);
    bright_box(64, 64, 64, 96);
    assert_false(look(m, 1).moving);
    porch_camera_motion_ignore(m, NULL, 0);
    bright_box(128, 64, 64, 96);
    assert_true(look(m, 2).moving);
    porch_camera_motion_free(m);
}

static void a_frame_smaller_than_a_cell_is_refused(void **state) {
    (void)state;
    assert_null(porch_camera_motion_new(15, 240, SETTLE_MS));
    assert_null(porch_camera_motion_new(0, 0, SETTLE_MS));
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(something_that_walks_is_seen_with_its_box),
        cmocka_unit_test(a_small_motion_counts_from_its_first_frame_but_needs_a_second),
        cmocka_unit_test(a_still_picture_and_a_little_noise_are_no_motion),
        cmocka_unit_test(motion_ends_when_it_has_been_quiet_for_the_settle_time),
        cmocka_unit_test(a_pause_shorter_than_the_settle_time_is_one_motion),
        cmocka_unit_test(what_moves_in_an_ignored_zone_is_no_motion),
        cmocka_unit_test(zones_can_be_taken_back),
        cmocka_unit_test(a_frame_smaller_than_a_cell_is_refused),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
