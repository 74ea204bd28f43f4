/* Enrolment's first look at the folder. Enrolments against a hub are test_transfer.py's and
 * test_attestation.py's: they need a key in a token or TPM. */
#include <porchlight/enrol.h>

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

static int make_folder(void **state) {
    (void)state;
    (void)snprintf(folder, sizeof folder, "/tmp/porchlight-enrol-XXXXXX");
    if (!mkdtemp(folder) || mkdir(at("state"), 0700) != 0) return -1;
    return mkdir(at("state/clips"), 0700);
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

/* What it complains about; past the look at the folder that is the root's file, which is not there. */
static const char *complaint(porch_device_waiting waiting) {
    static porch_device_why why;
    const porch_device_enrolment in = {.folder = folder,
                                       .host = "hub.example",
                                       .ca_file = "/nonexistent/root.pem",
                                       .token = "T",
                                       .key_uri = "tpm2:0x81000010",
                                       .waiting = waiting};
    assert_int_not_equal(porch_device_enrol(&in, &why), PORCH_DEVICE_OK);
    return why.text;
}

static void a_device_that_is_enrolled_is_not_enrolled_again(void **state) {
    (void)state;
    put("cert.pem");
    assert_non_null(strstr(complaint(PORCH_DEVICE_WAITING_CLEAR), "this device is enrolled"));
}

static void what_the_last_home_left_is_asked_about_before_anything_is_done(void **state) {
    (void)state;
    assert_non_null(strstr(complaint(PORCH_DEVICE_WAITING_REFUSE), "root.pem"));
    put("state/clips/00000003-event-9.mp4");
    assert_non_null(strstr(complaint(PORCH_DEVICE_WAITING_REFUSE), "state/clips holds clips"));
    assert_non_null(strstr(complaint((porch_device_waiting)7), "state/clips holds clips"));
    assert_non_null(strstr(complaint(PORCH_DEVICE_WAITING_KEEP), "root.pem"));
    assert_non_null(strstr(complaint(PORCH_DEVICE_WAITING_CLEAR), "root.pem"));
}

static void nothing_is_cleared_for_an_enrolment_that_fails(void **state) {
    (void)state;
    put("state/clips/00000003-event-9.mp4");
    (void)complaint(PORCH_DEVICE_WAITING_CLEAR);
    assert_int_equal(access(at("state/clips/00000003-event-9.mp4"), F_OK), 0);
}

static void a_folder_that_a_device_runs_with_is_not_enrolled(void **state) {
    (void)state;
    int fd = -1;
    assert_int_equal(porch_file_lock(at("state/lock"), &fd, NULL), PORCH_OK);
    assert_non_null(strstr(complaint(PORCH_DEVICE_WAITING_CLEAR), "another process"));
    assert_int_equal(close(fd), 0);
    assert_non_null(strstr(complaint(PORCH_DEVICE_WAITING_CLEAR), "root.pem"));
    assert_int_equal(porch_file_lock(at("state/lock"), &fd, NULL), PORCH_OK); /* and it let go of it */
    assert_int_equal(close(fd), 0);
}

#define ENROL_TEST(name) cmocka_unit_test_setup_teardown(name, make_folder, remove_folder)

int main(void) {
    const struct CMUnitTest tests[] = {
        ENROL_TEST(a_device_that_is_enrolled_is_not_enrolled_again),
        ENROL_TEST(what_the_last_home_left_is_asked_about_before_anything_is_done),
        ENROL_TEST(nothing_is_cleared_for_an_enrolment_that_fails),
        ENROL_TEST(a_folder_that_a_device_runs_with_is_not_enrolled),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
