#include "cloud/analyst/analyst_motion.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

enum { WIDTH = 640, HEIGHT = 480 };
static uint8_t pixels[WIDTH * HEIGHT];
static const porch_analyst_grey picture = {pixels, WIDTH, WIDTH, HEIGHT};

static void fill(uint32_t x, uint32_t y, uint32_t w, uint32_t h, uint8_t grey) {
    for (uint32_t j = y; j < y + h; j++)
        memset(pixels + (size_t)j * WIDTH + x, grey, w);
}

static porch_analyst_motion *taught(void) {
    porch_analyst_motion *m;
    porch_analyst_region r[PORCH_ANALYST_REGIONS_MAX];
    assert_int_equal(porch_analyst_motion_new(WIDTH, HEIGHT, &m), PORCH_OK);
    fill(0, 0, WIDTH, HEIGHT, 100);
    assert_int_equal(porch_analyst_motion_look(m, &picture, r), 0);
    return m;
}

static void a_still_picture_and_its_noise_do_not_move(void **state) {
    (void)state;
    porch_analyst_region r[PORCH_ANALYST_REGIONS_MAX];
    porch_analyst_motion *m = taught();
    uint32_t seed = 1;
    for (int n = 0; n < 10; n++) {
        for (size_t i = 0; i < sizeof pixels; i++) {
            seed = seed * 1664525u + 1013904223u;
            pixels[i] = (uint8_t)(96 + (seed >> 24) % 9);
        }
        assert_int_equal(porch_analyst_motion_look(m, &picture, r), 0);
    }
    porch_analyst_motion_free(m);
}

static void what_moves_is_boxed_largest_first(void **state) {
    (void)state;
    porch_analyst_region r[PORCH_ANALYST_REGIONS_MAX];
    porch_analyst_motion *m = taught();
    fill(100, 100, 60, 160, 200);
    fill(500, 300, 32, 64, 20);
    assert_int_equal(porch_analyst_motion_look(m, &picture, r), 2);
    assert_true(r[0].x <= 100 && r[0].y <= 100 && r[0].x + r[0].w >= 160 && r[0].y + r[0].h >= 260);
    assert_true(r[0].x >= 80 && r[0].w <= 100 && r[0].h <= 200);
    assert_true(r[1].x <= 500 && r[1].x + r[1].w >= 532 && r[1].w <= 70);
    porch_analyst_motion_free(m);
}

static void what_stays_becomes_background(void **state) {
    (void)state;
    porch_analyst_region r[PORCH_ANALYST_REGIONS_MAX];
    porch_analyst_motion *m = taught();
    fill(100, 100, 60, 160, 200);
    size_t moved = 1;
    for (int n = 0; n < 100 && moved > 0; n++)
        moved = porch_analyst_motion_look(m, &picture, r);
    assert_int_equal(moved, 0);
    porch_analyst_motion_free(m);
}

static void more_than_four_moving_things_give_the_four_largest(void **state) {
    (void)state;
    porch_analyst_region r[PORCH_ANALYST_REGIONS_MAX];
    porch_analyst_motion *m = taught();
    for (uint32_t i = 0; i < 6; i++)
        fill(16 + i * 96, 96, 32, 48 + 48 * i, 200);
    assert_int_equal(porch_analyst_motion_look(m, &picture, r), 4);
    for (size_t i = 1; i < 4; i++)
        assert_true(r[i].h < r[i - 1].h);
    assert_true(r[3].h >= 144);
    porch_analyst_motion_free(m);
}

static void sizes_of_all_kinds_are_survived(void **state) {
    (void)state;
    static const uint32_t sizes[][2] = {{64, 64},   {65, 97},   {64, 4000},
                                        {4000, 64}, {161, 159}, {1920, 1080}};
    for (size_t i = 0; i < sizeof sizes / sizeof sizes[0]; i++) {
        porch_analyst_region r[PORCH_ANALYST_REGIONS_MAX];
        porch_analyst_motion *m;
        size_t bytes = (size_t)sizes[i][0] * sizes[i][1];
        uint8_t *block = malloc(bytes);
        const porch_analyst_grey p = {block, sizes[i][0], sizes[i][0], sizes[i][1]};
        assert_int_equal(porch_analyst_motion_new(p.width, p.height, &m), PORCH_OK);
        for (int n = 0; n < 3; n++) {
            memset(block, n * 100, bytes);
            size_t count = porch_analyst_motion_look(m, &p, r);
            assert_int_equal(count, n > 0);
            for (size_t k = 0; k < count; k++) {
                assert_true(r[k].w > 0 && r[k].x + r[k].w <= p.width && r[k].y + r[k].h <= p.height);
            }
        }
        porch_analyst_motion_free(m);
        free(block);
    }
    porch_analyst_motion *m;
    assert_int_equal(porch_analyst_motion_new(63, 480, &m), PORCH_ERR_MEDIA);
    assert_int_equal(porch_analyst_motion_new(640, 0, &m), PORCH_ERR_MEDIA);
    assert_int_equal(porch_analyst_motion_new(1u << 31, 480, &m), PORCH_ERR_MEDIA);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_still_picture_and_its_noise_do_not_move),
        cmocka_unit_test(what_moves_is_boxed_largest_first),
        cmocka_unit_test(what_stays_becomes_background),
        cmocka_unit_test(more_than_four_moving_things_give_the_four_largest),
        cmocka_unit_test(sizes_of_all_kinds_are_survived),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
