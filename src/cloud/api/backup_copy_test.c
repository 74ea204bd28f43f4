#include "cloud/api/backup_copy.h"

#include <fcntl.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cmocka.h>

#include "os/file.h"

typedef struct {
    char dir[64], run[80], copy[96], lock[96];
} bench;

static int arrive(void **state) {
    static bench b;
    (void)snprintf(b.dir, sizeof b.dir, "/tmp/porch-copy-XXXXXX");
    assert_non_null(mkdtemp(b.dir));
    (void)snprintf(b.run, sizeof b.run, "%s/run", b.dir);
    (void)snprintf(b.copy, sizeof b.copy, "%s/backup.db", b.run);
    (void)snprintf(b.lock, sizeof b.lock, "%s/backup.lock", b.run);
    assert_int_equal(mkdir(b.run, 0700), 0);
    *state = &b;
    return 0;
}

static int leave(void **state) {
    const bench *b = *state;
    (void)unlink(b->copy);
    (void)unlink(b->lock);
    (void)rmdir(b->run);
    return rmdir(b->dir);
}

static void put_copy(const bench *b) {
    assert_int_equal(porch_file_write_atomic(b->copy, PORCH_LIT("rows"), 0600, NULL), PORCH_OK);
}

static bool is_there(const bench *b) {
    return access(b->copy, F_OK) == 0;
}

static void a_copy_that_a_backup_packs_is_held_and_stays_however_old_it_is(void **state) {
    const bench *b = *state;
    const struct timespec long_ago[2] = {{.tv_sec = 1000000}, {.tv_sec = 1000000}};
    int fd = -1;
    assert_int_equal(porch_file_lock(b->lock, &fd, NULL), PORCH_OK);
    assert_false(porch_backup_copy_held(b->dir)); /* locked, and nothing copied yet */
    put_copy(b);
    assert_int_equal(utimensat(AT_FDCWD, b->copy, long_ago, 0), 0);
    assert_true(porch_backup_copy_held(b->dir));
    porch_backup_copy_sweep(b->dir);
    assert_true(is_there(b));
    close(fd);
}

static void a_copy_of_a_backup_that_was_killed_is_removed_and_holds_nothing_up(void **state) {
    const bench *b = *state;
    int fd = -1;
    put_copy(b); /* of before there was a lock */
    assert_false(porch_backup_copy_held(b->dir));
    assert_false(is_there(b));
    assert_int_equal(porch_file_lock(b->lock, &fd, NULL), PORCH_OK);
    put_copy(b);
    close(fd); /* as the kernel does it for a killed process */
    porch_backup_copy_sweep(b->dir);
    assert_false(is_there(b));
    assert_int_equal(porch_file_lock(b->lock, &fd, NULL), PORCH_OK); /* free for the next one */
    close(fd);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(a_copy_that_a_backup_packs_is_held_and_stays_however_old_it_is,
                                        arrive, leave),
        cmocka_unit_test_setup_teardown(a_copy_of_a_backup_that_was_killed_is_removed_and_holds_nothing_up,
                                        arrive, leave),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
