/* The spool on real files: what a reopened folder holds, and what a torn file costs. */
#include "device/port/linux/spool_files.h"

#include <fcntl.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cmocka.h>

static char folder[] = "/tmp/porchlight-spool-XXXXXX";
static const porch_spool_config config = {4096, 512};

static void open_spool(porch_spool_files *f, porch_spool *s) {
    porch_spool_storage storage;
    porch_why why = {{0}};
    assert_int_equal(porch_spool_files_open(f, folder, &storage, &why), PORCH_OK);
    assert_int_equal(porch_spool_open(s, &storage, &config, &why), PORCH_OK);
}

static uint64_t append(porch_spool *s, const char *text) {
    uint64_t sequence = 0;
    porch_spool_loss loss;
    porch_bytes parts[2] = {{(const uint8_t *)text, 1}, porch_bytes_of(text + 1)};
    assert_int_equal(porch_spool_append(s, parts, 2, &sequence, &loss), PORCH_OK);
    return sequence;
}

static void path_of(unsigned segment, char out[64]) {
    (void)snprintf(out, 64, "%s/%08x.spool", folder, segment);
}

static int clean(void **state) {
    (void)state;
    char path[64];
    for (unsigned i = 0; i < 64; i++) {
        path_of(i, path);
        (void)unlink(path);
    }
    return 0;
}

static void messages_are_there_after_reopening_and_acknowledged_ones_are_not(void **state) {
    (void)state;
    porch_spool_files f;
    porch_spool s;
    uint8_t block[512];
    porch_spool_record r;
    open_spool(&f, &s);
    (void)append(&s, "one");
    uint64_t two = append(&s, "two");
    (void)append(&s, "three");
    porch_spool_acknowledge(&s, two);
    porch_spool_files_close(&f);
    open_spool(&f, &s);
    porch_spool_cursor c = porch_spool_start(&s);
    assert_int_equal(porch_spool_next(&s, &c, PORCH_BUF_OF(block), &r), PORCH_OK);
    assert_true(porch_bytes_eq_text(r.body, "three"));
    assert_int_equal(porch_spool_next(&s, &c, PORCH_BUF_OF(block), &r), PORCH_ERR_NOT_FOUND);
    porch_spool_files_close(&f);
}

static void only_the_owner_can_read_the_files(void **state) {
    (void)state;
    porch_spool_files f;
    porch_spool s;
    struct stat st;
    char path[64];
    open_spool(&f, &s);
    (void)append(&s, "secret");
    path_of(1, path);
    assert_int_equal(stat(path, &st), 0);
    assert_int_equal(st.st_mode & 07777, 0600);
    porch_spool_files_close(&f);
}

static void a_torn_file_costs_its_last_message_only(void **state) {
    (void)state;
    porch_spool_files f;
    porch_spool s;
    struct stat st;
    char path[64];
    uint8_t block[512];
    porch_spool_record r;
    open_spool(&f, &s);
    (void)append(&s, "first");
    (void)append(&s, "second");
    porch_spool_files_close(&f);
    path_of(1, path);
    assert_int_equal(stat(path, &st), 0);
    assert_int_equal(truncate(path, st.st_size - 1), 0);
    open_spool(&f, &s);
    (void)append(&s, "third");
    porch_spool_files_close(&f);
    open_spool(&f, &s);
    porch_spool_cursor c = porch_spool_start(&s);
    assert_int_equal(porch_spool_next(&s, &c, PORCH_BUF_OF(block), &r), PORCH_OK);
    assert_true(porch_bytes_eq_text(r.body, "first"));
    assert_int_equal(porch_spool_next(&s, &c, PORCH_BUF_OF(block), &r), PORCH_OK);
    assert_true(porch_bytes_eq_text(r.body, "third"));
    porch_spool_files_close(&f);
}

static void foreign_files_in_the_folder_are_left_alone(void **state) {
    (void)state;
    static const char *const names[] = {"notes.txt", "0000000G.spool", "00000001.spool.tmp"};
    porch_spool_files f;
    porch_spool s;
    char path[128];
    for (size_t i = 0; i < 3; i++) {
        (void)snprintf(path, sizeof path, "%s/%s", folder, names[i]);
        int fd = open(path, O_CREAT | O_WRONLY, 0600);
        assert_true(fd >= 0);
        assert_int_equal(close(fd), 0);
    }
    open_spool(&f, &s);
    assert_int_equal(s.count, 0);
    porch_spool_files_close(&f);
    for (size_t i = 0; i < 3; i++) {
        (void)snprintf(path, sizeof path, "%s/%s", folder, names[i]);
        assert_int_equal(unlink(path), 0);
    }
}

static void a_segment_that_is_a_link_is_not_followed(void **state) {
    (void)state;
    porch_spool_files f;
    porch_spool_storage storage;
    porch_why why = {{0}};
    char path[64];
    uint8_t byte = 0;
    porch_bytes part = {&byte, 1};
    path_of(5, path);
    assert_int_equal(symlink("/etc/hostname", path), 0);
    assert_int_equal(porch_spool_files_open(&f, folder, &storage, &why), PORCH_OK);
    assert_int_not_equal(storage.append(storage.ctx, 5, &part, 1), PORCH_OK);
    assert_int_not_equal(storage.read(storage.ctx, 5, 0, &byte, 1), PORCH_OK);
    porch_spool_files_close(&f);
}

static void a_segment_that_cannot_be_read_does_not_keep_the_spool_from_opening(void **state) {
    (void)state;
    porch_spool_files f;
    porch_spool s;
    uint8_t block[512];
    porch_spool_record r;
    struct stat st;
    char path[64];
    open_spool(&f, &s);
    (void)append(&s, "one");
    porch_spool_files_close(&f);
    path_of(2, path);
    assert_int_equal(symlink("/longer/than/the/header/of/a/record", path), 0); /* is not followed: IO */
    open_spool(&f, &s);
    assert_int_equal(s.unreadable, 1);
    porch_spool_cursor c = porch_spool_start(&s);
    assert_int_equal(porch_spool_next(&s, &c, PORCH_BUF_OF(block), &r), PORCH_OK);
    assert_true(porch_bytes_eq_text(r.body, "one"));
    uint64_t last = append(&s, "two");
    assert_int_equal(porch_spool_next(&s, &c, PORCH_BUF_OF(block), &r), PORCH_OK);
    assert_true(porch_bytes_eq_text(r.body, "two"));
    porch_spool_acknowledge(&s, last);
    assert_int_equal(s.count, 1);
    assert_int_not_equal(lstat(path, &st), 0);
    porch_spool_files_close(&f);
}

/* Too many open files are the process's fault, not the segment's. */
static void a_process_without_descriptors_loses_no_message(void **state) {
    (void)state;
    porch_spool_files f;
    porch_spool s;
    uint8_t block[512];
    porch_spool_record r;
    struct rlimit before, none;
    open_spool(&f, &s);
    (void)append(&s, "one");
    int fd = dup(0);
    assert_true(fd >= 0);
    assert_int_equal(getrlimit(RLIMIT_NOFILE, &before), 0);
    none = before;
    none.rlim_cur = (rlim_t)fd + 1; /* all below are taken */
    assert_int_equal(setrlimit(RLIMIT_NOFILE, &none), 0);
    porch_spool_cursor c = porch_spool_start(&s);
    porch_err e = porch_spool_next(&s, &c, PORCH_BUF_OF(block), &r);
    assert_int_equal(setrlimit(RLIMIT_NOFILE, &before), 0);
    assert_int_equal(close(fd), 0);
    assert_int_equal(e, PORCH_ERR_BUSY);
    assert_int_equal(porch_spool_next(&s, &c, PORCH_BUF_OF(block), &r), PORCH_OK);
    porch_spool_files_close(&f);
}

static int make_folder(void **state) {
    (void)state;
    return mkdtemp(folder) ? 0 : -1;
}

static int remove_folder(void **state) {
    (void)clean(state);
    return rmdir(folder);
}

static void a_segment_that_could_not_be_made_blocks_neither_sending_nor_storing(void **state) {
    (void)state;
    porch_spool_files f;
    porch_spool s;
    porch_spool_loss loss;
    uint64_t last = 0;
    char path[64];
    porch_bytes half[1] = {{(const uint8_t[300]){0}, 300}};
    open_spool(&f, &s);
    (void)append(&s, "one");
    path_of(2, path);
    assert_int_equal(mkdir(path, 0700), 0); /* in the next one's place */
    assert_int_equal(porch_spool_append(&s, half, 1, &last, &loss), PORCH_OK);
    assert_int_equal(porch_spool_append(&s, half, 1, &last, &loss), PORCH_ERR_IO);
    assert_int_equal(rmdir(path), 0);
    /* Past the limit: the oldest go. */
    for (int i = 0; i < 20; i++)
        assert_int_equal(porch_spool_append(&s, half, 1, &last, &loss), PORCH_OK);
    porch_spool_acknowledge(&s, last);
    assert_true(porch_spool_pending(&s) == 0);
    assert_true(s.count <= 1);
    porch_spool_files_close(&f);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_teardown(messages_are_there_after_reopening_and_acknowledged_ones_are_not, clean),
        cmocka_unit_test_teardown(only_the_owner_can_read_the_files, clean),
        cmocka_unit_test_teardown(a_torn_file_costs_its_last_message_only, clean),
        cmocka_unit_test_teardown(a_segment_that_could_not_be_made_blocks_neither_sending_nor_storing,
                                  clean),
        cmocka_unit_test_teardown(a_segment_that_cannot_be_read_does_not_keep_the_spool_from_opening,
                                  clean),
        cmocka_unit_test_teardown(a_process_without_descriptors_loses_no_message, clean),
        cmocka_unit_test_teardown(foreign_files_in_the_folder_are_left_alone, clean),
        cmocka_unit_test_teardown(a_segment_that_is_a_link_is_not_followed, clean),
    };
    return cmocka_run_group_tests(tests, make_folder, remove_folder);
}
