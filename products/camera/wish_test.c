#include "wish.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>

/* --- the SDK of straw: a wish is what stands here --- */

struct porch_twin_desired {
    uint64_t version;
    bool has_privacy, privacy;
    size_t count;
    int32_t list[64];
};

uint64_t porch_twin_version(const porch_twin_desired *d) {
    return d->version;
}
bool porch_twin_bool(const porch_twin_desired *d, const char *name, bool *ret) {
    assert_string_equal(name, "privacy");
    if (d->has_privacy) *ret = d->privacy;
    return d->has_privacy;
}
bool porch_twin_list(const porch_twin_desired *d, const char *name, int32_t *out, size_t most,
                     size_t *ret_count) {
    assert_string_equal(name, "ignore");
    assert_int_equal(most, PORCH_CAMERA_ZONES * 4);
    if (d->count > most) return false;
    memcpy(out, d->list, d->count * sizeof *out);
    *ret_count = d->count;
    return true;
}

static void a_wish_is_read_whole(void **state) {
    (void)state;
    const porch_twin_desired d = {.version = 7,
                                  .has_privacy = true,
                                  .privacy = true,
                                  .count = 8,
                                  .list = {0, 0, 10000, 10000, 10, 20, 30, 40}};
    porch_camera_wish w = porch_camera_wish_read(&d);
    assert_int_equal(w.version, 7);
    assert_true(w.privacy);
    assert_int_equal(w.zone_count, 2);
    assert_int_equal(w.zones[1][2], 30);
}

static void nothing_said_is_no_privacy_and_no_zone(void **state) {
    (void)state;
    const porch_twin_desired d = {.version = 0};
    porch_camera_wish w = porch_camera_wish_read(&d);
    assert_false(w.privacy);
    assert_int_equal(w.zone_count, 0);
}

static void zones_outside_of_the_picture_make_the_list_void(void **state) {
    (void)state;
    static const porch_twin_desired bad[] = {
        {.count = 3, .list = {1, 2, 3}},          {.count = 4, .list = {0, 0, 0, 5}},
        {.count = 4, .list = {9000, 0, 1001, 5}}, {.count = 4, .list = {-1, 0, 5, 5}},
        {.count = 4, .list = {0, 0, 5, 10001}},   {.count = 8, .list = {1, 1, 1, 1, 0, 0, 20000, 1}},
    };
    for (size_t i = 0; i < sizeof bad / sizeof bad[0]; i++)
        assert_int_equal(porch_camera_wish_read(&bad[i]).zone_count, 0);
}

static void the_newest_wish_is_taken_once(void **state) {
    (void)state;
    porch_camera_wishes *w = porch_camera_wishes_new();
    porch_camera_wish wish = {.version = 99};
    const porch_twin_desired on = {.version = 1, .has_privacy = true, .privacy = true},
                             off = {.version = 2};
    assert_false(porch_camera_wishes_take(w, &wish));
    assert_int_equal(wish.version, 99);
    porch_camera_wishes_hear(w, &on);
    assert_true(porch_camera_wishes_private(w));
    porch_camera_wishes_hear(w, &off);
    assert_false(porch_camera_wishes_private(w));
    assert_true(porch_camera_wishes_take(w, &wish));
    assert_int_equal(wish.version, 2);
    assert_false(porch_camera_wishes_take(w, &wish));
    porch_camera_wishes_free(w);
}

static void a_wait_ends_when_a_wish_or_a_signal_comes_even_before_it_began(void **state) {
    (void)state;
    porch_camera_wishes *w = porch_camera_wishes_new();
    const porch_twin_desired d = {.version = 1};
    porch_camera_wishes_hear(w, &d);
    porch_camera_wishes_wait(w, UINT64_MAX); /* would never end otherwise */
    porch_camera_wishes_wake(w);
    porch_camera_wishes_wait(w, UINT64_MAX);
    porch_camera_wishes_wait(w, 1); /* nothing waits any more: the time ends it */
    porch_camera_wishes_free(w);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_wish_is_read_whole),
        cmocka_unit_test(nothing_said_is_no_privacy_and_no_zone),
        cmocka_unit_test(zones_outside_of_the_picture_make_the_list_void),
        cmocka_unit_test(the_newest_wish_is_taken_once),
        cmocka_unit_test(a_wait_ends_when_a_wish_or_a_signal_comes_even_before_it_began),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
