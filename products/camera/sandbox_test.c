#include "sandbox.h"

#include <errno.h>
#include <fcntl.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ptrace.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cmocka.h>

static char folder[64], outside[80], device[80];

static int make_folder(void **state) {
    (void)state;
    (void)snprintf(folder, sizeof folder, "/tmp/porch-sandbox-XXXXXX");
    if (!mkdtemp(folder)) return -1;
    (void)snprintf(outside, sizeof outside, "%s-outside", folder);
    (void)snprintf(device, sizeof device, "%s-tpm", folder);
    int fd = open(outside, O_WRONLY | O_CREAT | O_CLOEXEC, 0600);
    if (fd < 0 || close(fd) != 0) return -1;
    fd = open(device, O_WRONLY | O_CREAT | O_CLOEXEC, 0600);
    return fd < 0 ? -1 : close(fd);
}

static int drop_folder(void **state) {
    (void)state;
    char path[100];
    (void)snprintf(path, sizeof path, "%s/state", folder);
    (void)rmdir(path);
    (void)unlink(outside);
    (void)unlink(device);
    return rmdir(folder);
}

/* Runs `what` behind the fence, in a child of its own; its exit code. 77: no Landlock here. */
static int behind(int (*what)(bool landlock)) {
    pid_t pid = fork();
    if (pid == 0) {
        char why[256];
        bool landlock = false;
        static porch_device_key_places key = {.count = 1, .at = {{.write = true}}};
        static porch_camera_places places;
        const porch_camera_wants wants = {.folder = folder, .key = &key, .resolver = "/etc/resolv.conf"};
        (void)snprintf(key.at[0].path, sizeof key.at[0].path, "%s", device);
        if (!porch_camera_places_make(&wants, &places, why) ||
            !porch_camera_sandbox(&places, &landlock, why))
            _exit(99);
        _exit(what(landlock));
    }
    int status = 0;
    assert_int_equal(waitpid(pid, &status, 0), pid);
    assert_true(WIFEXITED(status));
    return WEXITSTATUS(status);
}

static int start_a_program(bool landlock) {
    (void)landlock;
    char *const words[] = {"true", NULL};
    (void)execv("/bin/true", words);
    return errno == EPERM ? 0 : 1;
}

static int open_odd_sockets(bool landlock) {
    (void)landlock;
    if (socket(AF_NETLINK, SOCK_RAW, 0) >= 0 || errno != EPERM) return 1;
    if (socket(AF_INET, SOCK_RAW, 1) >= 0 || errno != EPERM) return 2;
    if (socket(AF_PACKET, SOCK_DGRAM, 0) >= 0 || errno != EPERM) return 3;
    int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0); /* what a camera needs */
    if (fd < 0) return 4;
    return listen(fd, 1) == 0 || errno != EPERM ? 5 : 0;
}

static int trace(bool landlock) {
    (void)landlock;
    return ptrace(PTRACE_TRACEME, 0, 0, 0) == 0 || errno != EPERM;
}

static int use_the_folder(bool landlock) {
    (void)landlock;
    char path[100];
    (void)snprintf(path, sizeof path, "%s/state", folder);
    return mkdir(path, 0700) != 0;
}

static int read_outside(bool landlock) {
    int fd = open(outside, O_RDONLY | O_CLOEXEC);
    if (!landlock) return 77;
    return fd >= 0 || errno != EACCES;
}

/* As a TPM's library does. */
static int open_the_key(bool landlock) {
    int fd = open(device, O_RDWR | O_CLOEXEC);
    (void)landlock;
    return fd < 0 || close(fd) != 0;
}

static void a_camera_starts_no_program_traces_nothing_and_opens_no_odd_socket(void **state) {
    (void)state;
    assert_int_equal(behind(start_a_program), 0);
    assert_int_equal(behind(open_odd_sockets), 0);
    assert_int_equal(behind(trace), 0);
}

static void its_folder_stays_its_own_and_other_files_are_closed(void **state) {
    (void)state;
    assert_int_equal(behind(use_the_folder), 0);
    int code = behind(read_outside);
    if (code == 77) {
        print_message("this kernel has no Landlock: that part is not looked at\n");
        return;
    }
    assert_int_equal(code, 0);
}

static void the_device_that_has_its_key_stays_open_to_it(void **state) {
    (void)state;
    assert_int_equal(behind(open_the_key), 0);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_camera_starts_no_program_traces_nothing_and_opens_no_odd_socket),
        cmocka_unit_test(its_folder_stays_its_own_and_other_files_are_closed),
        cmocka_unit_test(the_device_that_has_its_key_stays_open_to_it),
    };
    return cmocka_run_group_tests(tests, make_folder, drop_folder);
}
