#include "os/process.h"

#include <fcntl.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>

/* Runs a shell script with its standard output in a pipe; returns the status. */
static int run_script(const char *script, porch_process_start s, char *out, size_t cap,
                      const porch_process_fd *extra) {
    int ends[2];
    assert_int_equal(pipe2(ends, O_CLOEXEC), 0);
    porch_process_fd fds[3] = {{1, ends[1]}, {2, 2}, {0, 0}};
    s.fds = fds;
    s.fd_count = 2;
    if (extra != NULL) fds[s.fd_count++] = *extra;
    char *argv[] = {"sh", "-c", (char *)script, NULL};
    s.path = "/bin/sh";
    s.argv = argv;
    int pidfd = -1;
    pid_t pid = -1;
    porch_why why = {""};
    assert_int_equal(porch_process_spawn(&s, &pidfd, &pid, &why), PORCH_OK);
    assert_true(pid > 0);
    close(ends[1]);
    size_t used = 0;
    for (ssize_t got = 1; got > 0 && used < cap - 1; used += (size_t)got) {
        got = read(ends[0], out + used, cap - 1 - used);
        assert_true(got >= 0);
    }
    out[used] = '\0';
    close(ends[0]);
    porch_process_end end = {0};
    assert_int_equal(porch_process_wait(pidfd, -1, &end, NULL), PORCH_OK);
    close(pidfd);
    return end.signalled ? -end.code : end.code;
}

static void a_child_sees_only_the_descriptors_of_the_map(void **state) {
    (void)state;
    int leaked = fcntl(STDERR_FILENO, F_DUPFD, 9); /* deliberately without close-on-exec */
    assert_true(leaked >= 9);
    int given = open("/dev/zero", O_RDONLY | O_CLOEXEC);
    char out[512]; /* 3 is the shell's own, for its glob */
    porch_process_fd extra = {7, given};
    int status = run_script("for f in /proc/$$/fd/*; do [ ${f##*/} = 3 ] || echo \"${f##*/} $(readlink $f "
                            "| cut -d: -f1)\"; done; exit 3",
                            (porch_process_start){0}, out, sizeof out, &extra);
    close(leaked);
    close(given);
    assert_int_equal(status, 3);
    assert_int_equal(strncmp(out, "0 /dev/null\n1 pipe\n2 ", 21), 0);
    const char *third = strchr(out + 21, '\n');
    assert_non_null(third);
    assert_string_equal(third, "\n7 /dev/zero\n");
}

static void descriptors_that_swap_numbers_do_not_overwrite_each_other(void **state) {
    (void)state;
    int a = open("/dev/null", O_RDONLY | O_CLOEXEC), b = open("/dev/zero", O_RDONLY | O_CLOEXEC), ends[2];
    assert_int_equal(pipe2(ends, O_CLOEXEC), 0);
    const porch_process_fd fds[] = {{b, a}, {a, b}, {1, ends[1]}};
    char script[128];
    (void)snprintf(script, sizeof script, "readlink /proc/$$/fd/%d /proc/$$/fd/%d", a, b);
    char *argv[] = {"sh", "-c", script, NULL};
    const porch_process_start s = {.path = "/bin/sh", .argv = argv, .fds = fds, .fd_count = 3};
    int pidfd = -1;
    assert_int_equal(porch_process_spawn(&s, &pidfd, NULL, NULL), PORCH_OK);
    close(ends[1]);
    porch_process_end end = {0};
    assert_int_equal(porch_process_wait(pidfd, -1, &end, NULL), PORCH_OK);
    char out[64] = "";
    assert_true(read(ends[0], out, sizeof out - 1) > 0);
    assert_string_equal(out, "/dev/zero\n/dev/null\n");
    close(pidfd);
    close(ends[0]);
    close(a);
    close(b);
}

static void signals_and_mask_are_as_new(void **state) {
    (void)state;
    sigset_t usr1, before;
    sigemptyset(&usr1);
    sigaddset(&usr1, SIGUSR1);
    assert_int_equal(sigprocmask(SIG_BLOCK, &usr1, &before), 0);
    void (*old)(int) = signal(SIGPIPE, SIG_IGN);
    char out[256];
    int status = run_script("grep -E '^Sig(Blk|Ign)' /proc/self/status", (porch_process_start){0}, out,
                            sizeof out, NULL);
    (void)signal(SIGPIPE, old);
    assert_int_equal(sigprocmask(SIG_SETMASK, &before, NULL), 0);
    assert_int_equal(status, 0);
    assert_string_equal(out, "SigBlk:\t0000000000000000\nSigIgn:\t0000000000000000\n");
}

static void what_cannot_be_executed_is_told_at_once(void **state) {
    (void)state;
    char *argv[] = {"x", NULL};
    int pidfd = -1;
    porch_why why = {""};
    porch_process_start s = {.path = "/nowhere/x", .argv = argv};
    assert_int_equal(porch_process_spawn(&s, &pidfd, NULL, &why), PORCH_ERR_NOT_FOUND);
    assert_non_null(strstr(why.text, "execve of /nowhere/x"));
    s.path = "x";
    assert_int_equal(porch_process_spawn(&s, &pidfd, NULL, &why), PORCH_ERR_USAGE);
    s.path = "/etc/passwd";
    assert_int_equal(porch_process_spawn(&s, &pidfd, NULL, &why), PORCH_ERR_IO);
    assert_int_equal(pidfd, -1);
}

static void a_child_is_waited_for_and_signalled_by_its_pidfd(void **state) {
    (void)state;
    char *argv[] = {"sleep", "1000", NULL};
    const porch_process_start s = {
        .path = "/bin/sleep", .argv = argv, .die_with_parent = true, .new_session = true};
    int pidfd = -1;
    pid_t pid = -1;
    assert_int_equal(porch_process_spawn(&s, &pidfd, &pid, NULL), PORCH_OK);
    assert_int_equal(getsid(pid), pid);
    porch_process_end end = {0};
    assert_int_equal(porch_process_wait(pidfd, 0, &end, NULL), PORCH_ERR_TIMEOUT);
    assert_int_equal(porch_process_signal(pidfd, SIGSYS), PORCH_OK);
    assert_int_equal(porch_process_wait(pidfd, -1, &end, NULL), PORCH_OK);
    char text[64];
    porch_process_end_text(&end, text, sizeof text);
    assert_string_equal(text, "killed by signal 31 (sandbox violation)");
    assert_int_equal(porch_process_signal(pidfd, SIGKILL), PORCH_ERR_NOT_FOUND);
    close(pidfd);
}

static void a_child_can_run_as_another_user(void **state) {
    (void)state;
    if (getuid() != 0) {
        print_message("skipped: only root can become another user\n");
        skip();
    }
    char out[128];
    porch_process_start s = {.change_user = true, .uid = 65534, .gid = 65534};
    int status = run_script("id -u; id -G", s, out, sizeof out, NULL);
    assert_int_equal(status, 0);
    assert_string_equal(out, "65534\n65534\n");
    s.also = 4321;
    assert_int_equal(run_script("id -G", s, out, sizeof out, NULL), 0);
    assert_string_equal(out, "65534 4321\n");
}

static void the_own_folder_is_found(void **state) {
    (void)state;
    char folder[512];
    assert_int_equal(porch_process_own_folder(folder, sizeof folder, NULL), PORCH_OK);
    assert_int_equal(folder[0], '/');
    assert_int_not_equal(folder[strlen(folder) - 1], '/');
    assert_int_equal(porch_process_own_folder(folder, 3, NULL), PORCH_ERR_NO_SPACE);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_child_sees_only_the_descriptors_of_the_map),
        cmocka_unit_test(descriptors_that_swap_numbers_do_not_overwrite_each_other),
        cmocka_unit_test(signals_and_mask_are_as_new),
        cmocka_unit_test(what_cannot_be_executed_is_told_at_once),
        cmocka_unit_test(a_child_is_waited_for_and_signalled_by_its_pidfd),
        cmocka_unit_test(a_child_can_run_as_another_user),
        cmocka_unit_test(the_own_folder_is_found),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
