#include "os/file.h"

#include <dirent.h>
#include <fcntl.h>
#include <seccomp.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cmocka.h>

static char folder[64];
static char path[128];

static int make_folder(void **state) {
    (void)state;
    strncpy(folder, "/tmp/porch-file-XXXXXX", sizeof folder - 1);
    if (mkdtemp(folder) == NULL) return -1;
    return porch_path_join(folder, "a", path, sizeof path) == PORCH_OK ? 0 : -1;
}

static int count_files(void) {
    int n = 0;
    DIR *d = opendir(folder);
    assert_non_null(d);
    for (const struct dirent *e = readdir(d); e != NULL; e = readdir(d))
        n += strcmp(e->d_name, ".") != 0 && strcmp(e->d_name, "..") != 0;
    closedir(d);
    return n;
}

static int remove_folder(void **state) {
    (void)state;
    DIR *d = opendir(folder);
    if (d == NULL) return -1;
    for (const struct dirent *e = readdir(d); e != NULL; e = readdir(d))
        (void)unlinkat(dirfd(d), e->d_name, e->d_type == DT_DIR ? AT_REMOVEDIR : 0);
    closedir(d);
    return rmdir(folder);
}

static void what_was_written_is_read_back_with_exact_mode(void **state) {
    (void)state;
    mode_t before = umask(077);
    assert_int_equal(porch_file_write_atomic(path, PORCH_LIT("one"), 0644, NULL), PORCH_OK);
    assert_int_equal(porch_file_write_atomic(path, PORCH_LIT("second"), 0640, NULL), PORCH_OK);
    (void)umask(before);
    struct stat st;
    assert_int_equal(stat(path, &st), 0);
    assert_int_equal(st.st_mode & 07777, 0640);
    uint8_t *got = NULL;
    size_t len = 0;
    assert_int_equal(porch_file_read(path, 6, &got, &len, NULL), PORCH_OK);
    assert_int_equal(len, 6);
    assert_string_equal((char *)got, "second");
    free(got);
    assert_int_equal(count_files(), 1);
}

static void a_file_over_the_limit_is_refused_and_nothing_is_returned(void **state) {
    (void)state;
    assert_int_equal(porch_file_write_atomic(path, PORCH_LIT("second"), 0600, NULL), PORCH_OK);
    uint8_t *got = NULL;
    size_t len = 77;
    porch_why why = {""};
    assert_int_equal(porch_file_read(path, 5, &got, &len, &why), PORCH_ERR_LIMIT);
    assert_null(got);
    assert_int_equal(len, 77);
    assert_non_null(strstr(why.text, path));
    assert_int_equal(porch_file_read(folder, 5, &got, &len, NULL), PORCH_ERR_STATE);
    assert_int_equal(porch_file_read("/nowhere/at/all", 5, &got, &len, NULL), PORCH_ERR_NOT_FOUND);
}

static void a_file_without_a_size_is_read_to_its_end(void **state) {
    (void)state;
    uint8_t *got = NULL;
    size_t len = 0;
    assert_int_equal(porch_file_read("/proc/self/status", 65536, &got, &len, NULL), PORCH_OK);
    assert_true(len > 100);
    assert_int_equal(strncmp((char *)got, "Name:", 5), 0);
    free(got);
    got = NULL;
    assert_int_equal(porch_file_read("/proc/self/status", 100, &got, &len, NULL), PORCH_ERR_LIMIT);
    assert_null(got);
}

static void a_pipe_in_a_file_s_place_does_not_hold_the_reader(void **state) {
    (void)state;
    assert_int_equal(mkfifo(path, 0600), 0);
    uint8_t *got = NULL;
    size_t len = 0;
    assert_int_equal(porch_file_read(path, 100, &got, &len, NULL), PORCH_ERR_STATE);
}

/* A child with a file size limit stands for a full disk: the write fails in its middle. */
static void a_write_that_fails_leaves_the_old_file_and_no_remains(void **state) {
    (void)state;
    assert_int_equal(porch_file_write_atomic(path, PORCH_LIT("old"), 0600, NULL), PORCH_OK);
    pid_t child = fork();
    assert_true(child >= 0);
    if (child == 0) {
        struct rlimit small = {4096, 4096};
        static uint8_t big[65536];
        (void)signal(SIGXFSZ, SIG_IGN);
        if (setrlimit(RLIMIT_FSIZE, &small) != 0) _exit(9);
        _exit(porch_file_write_atomic(path, (porch_bytes){big, sizeof big}, 0600, NULL) == PORCH_ERR_IO
                  ? 0
                  : 1);
    }
    int status = -1;
    assert_int_equal(waitpid(child, &status, 0), child);
    assert_int_equal(status, 0);
    uint8_t *got = NULL;
    size_t len = 0;
    assert_int_equal(porch_file_read(path, 100, &got, &len, NULL), PORCH_OK);
    assert_string_equal((char *)got, "old");
    free(got);
    assert_int_equal(count_files(), 1);
}

static void a_mode_too_open_is_refused_with_the_command_that_mends_it(void **state) {
    (void)state;
    assert_int_equal(porch_file_write_atomic(path, PORCH_LIT("x"), 0644, NULL), PORCH_OK);
    porch_why why = {""};
    assert_int_equal(porch_file_check_mode(path, getuid(), 0600, &why), PORCH_ERR_MODE);
    assert_non_null(strstr(why.text, "chmod 600 /tmp/porch-file-"));
    assert_int_equal(porch_file_check_mode(path, getuid(), 0644, &why), PORCH_OK);
    assert_int_equal(chmod(path, 0400), 0);
    assert_int_equal(porch_file_check_mode(path, getuid(), 0600, &why), PORCH_OK);
    assert_int_equal(porch_file_check_mode(path, getuid() + 1, 0600, &why), PORCH_ERR_MODE);
    assert_non_null(strstr(why.text, "chown "));
    char other[128];
    assert_int_equal(porch_path_join(folder, "link", other, sizeof other), PORCH_OK);
    assert_int_equal(symlink(path, other), 0);
    assert_int_equal(porch_file_check_mode(other, getuid(), 0777, &why), PORCH_ERR_MODE);
}

static void a_folder_is_made_with_its_mode_and_found_again(void **state) {
    (void)state;
    assert_int_equal(porch_dir_make(path, 0750, NULL), PORCH_OK);
    struct stat st;
    assert_int_equal(stat(path, &st), 0);
    assert_int_equal(st.st_mode & 07777, 0750);
    assert_int_equal(porch_dir_make(path, 0700, NULL), PORCH_OK);
    assert_int_equal(stat(path, &st), 0);
    assert_int_equal(st.st_mode & 07777, 0750);
    assert_int_equal(porch_dir_sync(path, NULL), PORCH_OK);
    assert_int_equal(porch_file_write_atomic("/proc/version/x", PORCH_LIT("x"), 0600, NULL), PORCH_ERR_IO);
    char file[128];
    assert_int_equal(porch_path_join(folder, "file", file, sizeof file), PORCH_OK);
    assert_int_equal(porch_file_write_atomic(file, PORCH_LIT("x"), 0600, NULL), PORCH_OK);
    assert_int_equal(porch_dir_make(file, 0700, NULL), PORCH_ERR_STATE);
}

static void a_lock_has_one_holder_and_dies_with_it(void **state) {
    (void)state;
    int first = -1, second = -1;
    assert_int_equal(porch_file_lock(path, &first, NULL), PORCH_OK);
    porch_why why = {""};
    assert_int_equal(porch_file_lock(path, &second, &why), PORCH_ERR_BUSY);
    assert_int_equal(second, -1);
    close(first);
    assert_int_equal(porch_file_lock(path, &second, NULL), PORCH_OK);
    close(second);
}

static void a_path_that_does_not_fit_is_refused(void **state) {
    (void)state;
    char out[8];
    assert_int_equal(porch_path_join("/a/b", "cde", out, sizeof out), PORCH_ERR_NO_SPACE);
    assert_int_equal(porch_path_join("/a/b", "cd", out, sizeof out), PORCH_OK);
    assert_string_equal(out, "/a/b/cd");
}

static void what_is_forgotten_is_overwritten_before_its_name_goes(void **state) {
    (void)state;
    char second[140], bytes[8];
    (void)snprintf(second, sizeof second, "%s/b", folder);
    assert_int_equal(porch_file_write_atomic(path, PORCH_LIT("secret"), 0600, NULL), PORCH_OK);
    assert_int_equal(link(path, second), 0); /* another name keeps the bytes in sight */
    int dir = open(folder, O_RDONLY | O_DIRECTORY);
    assert_true(dir >= 0);
    assert_int_equal(porch_file_forget_at(dir, "a", NULL), PORCH_OK);
    assert_int_equal(access(path, F_OK), -1);
    int fd = open(second, O_RDONLY);
    assert_int_equal(read(fd, bytes, 6), 6);
    assert_memory_equal(bytes, "\0\0\0\0\0\0", 6);
    (void)close(fd);
    assert_int_equal(porch_file_forget_at(dir, "a", NULL), PORCH_OK); /* gone already */
    assert_int_equal(symlinkat("b", dir, "c"), 0);
    assert_int_equal(porch_file_forget_at(dir, "c", NULL), PORCH_ERR_IO); /* no way to another file */
    (void)close(dir);
}

/* Does it in a child that the kernel ends at its first call of `call`: what a power cut leaves. */
static void cut_at(int call, void (*work)(void)) {
    pid_t child = fork();
    if (child == 0) {
        scmp_filter_ctx filter = seccomp_init(SCMP_ACT_ALLOW);
        if (seccomp_rule_add(filter, SCMP_ACT_KILL_PROCESS, call, 0) != 0 || seccomp_load(filter) != 0)
            _exit(1);
        work();
        _exit(2);
    }
    int status = 0;
    assert_int_equal(waitpid(child, &status, 0), child);
    assert_true(WIFSIGNALED(status) && WTERMSIG(status) == SIGSYS);
}

static void forget(void) {
    int dir = open(folder, O_RDONLY | O_DIRECTORY);
    (void)porch_file_forget_at(dir, "a", NULL);
}

static void a_secret_whose_end_is_cut_off_is_whole_or_has_no_name_and_goes_at_the_next_start(void **state) {
    static const struct {
        int call;
        bool whole;
    } cuts[] = {{SCMP_SYS(renameat), true},
                {SCMP_SYS(fsync), false},
                {SCMP_SYS(pwrite64), false},
                {SCMP_SYS(unlinkat), false}};
    (void)state;
    int dir = open(folder, O_RDONLY | O_DIRECTORY);
    for (size_t i = 0; i < sizeof cuts / sizeof cuts[0]; i++) {
        for (int by_name = 0; by_name < 2; by_name++) {
            assert_int_equal(porch_file_write_atomic(path, PORCH_LIT("secret"), 0600, NULL), PORCH_OK);
            cut_at(cuts[i].call, forget);
            assert_int_equal(access(path, F_OK) == 0, cuts[i].whole);
            assert_int_equal(count_files(), 1);
            assert_int_equal(by_name ? porch_file_forget_at(dir, "a", NULL)
                                     : porch_file_forget_rest_at(dir, NULL),
                             PORCH_OK);
            assert_int_equal(count_files(), cuts[i].whole && !by_name ? 1 : 0);
        }
    }
    close(dir);
}

static void write_secret(void) {
    (void)porch_file_write_atomic(path, PORCH_LIT("secret"), 0600, NULL);
}

static void a_secret_that_never_got_its_name_goes_at_the_next_start(void **state) {
    (void)state;
    int dir = open(folder, O_RDONLY | O_DIRECTORY);
    cut_at(SCMP_SYS(renameat), write_secret);
    assert_int_equal(count_files(), 1);
    assert_int_equal(porch_file_forget_rest_at(dir, NULL), PORCH_OK);
    assert_int_equal(count_files(), 0);
    close(dir);
}

static void write_owned(void) {
    (void)porch_file_write_owned(path, PORCH_LIT("new"), 0600, NULL);
}

static void what_root_writes_into_a_folder_of_another_is_that_ones_before_it_has_its_name(void **state) {
    struct stat st;
    int fd = -1, files = 0;
    (void)state;
    if (geteuid() != 0) skip(); /* only root gives files away */
    assert_int_equal(chown(folder, 70001, 70002), 0);
    assert_int_equal(porch_file_lock(path, &fd, NULL), PORCH_OK);
    close(fd);
    cut_at(SCMP_SYS(renameat), write_owned);
    DIR *d = opendir(folder);
    assert_non_null(d);
    for (const struct dirent *e = readdir(d); e != NULL; e = readdir(d)) {
        if (strcmp(e->d_name, ".") == 0 || strcmp(e->d_name, "..") == 0) continue;
        assert_int_equal(fstatat(dirfd(d), e->d_name, &st, 0), 0);
        assert_int_equal(st.st_uid, 70001);
        assert_int_equal(st.st_gid, 70002);
        files++;
    }
    closedir(d);
    assert_int_equal(files, 2); /* the lock, and the new one without its name */
    assert_int_equal(porch_file_write_atomic(path, PORCH_LIT("mine"), 0600, NULL), PORCH_OK);
    assert_int_equal(stat(path, &st), 0);
    assert_int_equal(st.st_uid, 0); /* elsewhere root's files stay root's */
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(what_was_written_is_read_back_with_exact_mode, make_folder,
                                        remove_folder),
        cmocka_unit_test_setup_teardown(a_file_over_the_limit_is_refused_and_nothing_is_returned,
                                        make_folder, remove_folder),
        cmocka_unit_test(a_file_without_a_size_is_read_to_its_end),
        cmocka_unit_test_setup_teardown(a_pipe_in_a_file_s_place_does_not_hold_the_reader, make_folder,
                                        remove_folder),
        cmocka_unit_test_setup_teardown(a_write_that_fails_leaves_the_old_file_and_no_remains, make_folder,
                                        remove_folder),
        cmocka_unit_test_setup_teardown(a_mode_too_open_is_refused_with_the_command_that_mends_it,
                                        make_folder, remove_folder),
        cmocka_unit_test_setup_teardown(a_folder_is_made_with_its_mode_and_found_again, make_folder,
                                        remove_folder),
        cmocka_unit_test_setup_teardown(a_lock_has_one_holder_and_dies_with_it, make_folder, remove_folder),
        cmocka_unit_test_setup_teardown(what_is_forgotten_is_overwritten_before_its_name_goes, make_folder,
                                        remove_folder),
        cmocka_unit_test_setup_teardown(
            what_root_writes_into_a_folder_of_another_is_that_ones_before_it_has_its_name, make_folder,
            remove_folder),
        cmocka_unit_test_setup_teardown(
            a_secret_whose_end_is_cut_off_is_whole_or_has_no_name_and_goes_at_the_next_start, make_folder,
            remove_folder),
        cmocka_unit_test_setup_teardown(a_secret_that_never_got_its_name_goes_at_the_next_start,
                                        make_folder, remove_folder),
        cmocka_unit_test(a_path_that_does_not_fit_is_refused),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
