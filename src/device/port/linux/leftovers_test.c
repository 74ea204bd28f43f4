/* What a folder keeps of the last home: found wherever it is, cleared for good, and nothing else. */
#include "device/port/linux/leftovers.h"

#include <ftw.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cmocka.h>

#include "os/file.h"

static char folder[64];

static const char *at(const char *name) {
    static char path[160];
    (void)snprintf(path, sizeof path, "%s/%s", folder, name);
    return path;
}

static void put(const char *name) {
    assert_int_equal(porch_file_write_atomic(at(name), PORCH_LIT("x"), 0600, NULL), PORCH_OK);
}

static void make(const char *name) {
    assert_int_equal(mkdir(at(name), 0700), 0);
}

static bool is_there(const char *name) {
    return access(at(name), F_OK) == 0;
}

static int make_folder(void **state) {
    (void)state;
    (void)snprintf(folder, sizeof folder, "/tmp/porchlight-leftovers-XXXXXX");
    return mkdtemp(folder) ? 0 : -1;
}

static int remove_one(const char *path, const struct stat *st, int kind, struct FTW *walk) {
    (void)st;
    (void)kind;
    (void)walk;
    return remove(path);
}

static int remove_folder(void **state) {
    (void)state;
    return nftw(folder, remove_one, 8, FTW_DEPTH | FTW_PHYS);
}

static void make_state(void) {
    make("state");
    make("state/clips");
    make("state/spool");
    put("state/time");
    put("state/lock");
}

static void a_folder_that_was_never_used_has_nothing_left(void **state) {
    (void)state;
    int fd = -1;
    assert_int_equal(porch_leftovers_lock(folder, &fd, NULL), PORCH_OK);
    assert_int_equal(fd, -1);
    assert_int_equal(porch_leftovers_check(folder, NULL), PORCH_OK);
    assert_int_equal(porch_leftovers_clear(folder, NULL), PORCH_OK);
    assert_false(is_there("state"));
    make_state();
    assert_int_equal(porch_leftovers_check(folder, NULL), PORCH_OK);
}

/* Each alone is what a clearing that was cut off may have left, too. */
static void each_thing_that_is_left_is_found_and_cleared(void **state) {
    (void)state;
    static const struct {
        const char *name, *told;
    } rows[] = {{"state/clips/00000003-event-9.mp4", "state/clips holds clips"},
                {"state/clips/00000003-event-9.mp4.bad", "state/clips holds clips"},
                {"state/spool/00000001.spool", "state/spool holds messages"},
                {"state/twin", "state holds a wish"},
                {"state/.twin.77.1.tmp", "state holds a wish"}};
    make_state();
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        porch_why why = {""};
        put(rows[i].name);
        assert_int_equal(porch_leftovers_check(folder, &why), PORCH_ERR_EXISTS);
        assert_non_null(strstr(why.text, rows[i].told));
        assert_non_null(strstr(why.text, "--waiting clear"));
        assert_true(is_there(rows[i].name));
        assert_int_equal(porch_leftovers_clear(folder, NULL), PORCH_OK);
        assert_false(is_there(rows[i].name));
        assert_int_equal(porch_leftovers_check(folder, NULL), PORCH_OK);
    }
}

static void all_of_it_goes_and_what_is_no_home_s_stays(void **state) {
    (void)state;
    char name[64];
    make_state();
    make("state/update");
    make("secrets");
    put("state/update/counted");
    put("secrets/wifi");
    put("state/twin");
    for (unsigned i = 0; i < 600; i++) {
        (void)snprintf(name, sizeof name, "state/%s/%08x", i % 2 == 0 ? "clips" : "spool", i);
        put(name);
    }
    assert_int_equal(porch_leftovers_clear(folder, NULL), PORCH_OK);
    assert_int_equal(porch_leftovers_check(folder, NULL), PORCH_OK);
    assert_int_equal(rmdir(at("state/clips")), 0);
    assert_int_equal(rmdir(at("state/spool")), 0);
    assert_true(is_there("state/time") && is_there("state/update/counted") && is_there("secrets/wifi"));
}

static void what_cannot_be_cleared_or_looked_into_is_an_error(void **state) {
    (void)state;
    porch_why why = {""};
    make_state();
    make("state/clips/00000003-event-9.mp4");
    assert_int_equal(porch_leftovers_clear(folder, &why), PORCH_ERR_IO);
    assert_non_null(strstr(why.text, "state/clips cannot be cleared"));
    assert_int_equal(porch_leftovers_check(folder, NULL), PORCH_ERR_EXISTS);
    assert_int_equal(rmdir(at("state/clips/00000003-event-9.mp4")), 0);
    assert_int_equal(rmdir(at("state/clips")), 0);
    assert_int_equal(symlink("/tmp", at("state/clips")), 0);
    assert_int_equal(porch_leftovers_check(folder, &why), PORCH_ERR_IO);
    assert_int_equal(porch_leftovers_clear(folder, &why), PORCH_ERR_IO);
}

static void a_folder_that_somebody_runs_with_is_busy(void **state) {
    (void)state;
    porch_why why = {""};
    int running = -1, fd = -1;
    make_state();
    assert_int_equal(porch_leftovers_lock(folder, &running, NULL), PORCH_OK);
    assert_int_equal(porch_leftovers_lock(folder, &fd, &why), PORCH_ERR_BUSY);
    assert_non_null(strstr(why.text, "another process"));
    assert_int_equal(close(running), 0);
    assert_int_equal(porch_leftovers_lock(folder, &fd, NULL), PORCH_OK);
    assert_int_equal(close(fd), 0);
}

#define LEFTOVERS_TEST(name) cmocka_unit_test_setup_teardown(name, make_folder, remove_folder)

int main(void) {
    const struct CMUnitTest tests[] = {
        LEFTOVERS_TEST(a_folder_that_was_never_used_has_nothing_left),
        LEFTOVERS_TEST(each_thing_that_is_left_is_found_and_cleared),
        LEFTOVERS_TEST(all_of_it_goes_and_what_is_no_home_s_stays),
        LEFTOVERS_TEST(what_cannot_be_cleared_or_looked_into_is_an_error),
        LEFTOVERS_TEST(a_folder_that_somebody_runs_with_is_busy),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
