#include "cli/backup_archive.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include <fcntl.h>
#include <ftw.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cmocka.h>

#include "base/cursor.h"
#include "os/file.h"

/* A hub's directory of plain files, an archive in memory, and a place to unpack. */
typedef struct {
    char dir[64], to[96];
    int fd;
    uint8_t secret[PORCH_BOX_SECRET_BYTES], public_key[PORCH_BOX_PUBLIC_BYTES];
    porch_why why;
} bench;

static int remove_entry(const char *path, const struct stat *st, int kind, struct FTW *ftw) {
    (void)st;
    (void)kind;
    (void)ftw;
    return remove(path);
}

static void put_file(bench *b, const char *path, const void *at, size_t len) {
    char full[160];
    (void)snprintf(full, sizeof full, "%s/%s", b->dir, path);
    if (porch_file_write_atomic(full, (porch_bytes){at, len}, 0600, &b->why) != PORCH_OK)
        fail_msg("%s", b->why.text);
}

static void make_folder(bench *b, const char *path) {
    char full[160];
    (void)snprintf(full, sizeof full, "%s/%s", b->dir, path);
    assert_int_equal(mkdir(full, 0700), 0);
}

static void fresh_target(bench *b) {
    (void)nftw(b->to, remove_entry, 8, FTW_DEPTH | FTW_PHYS);
    assert_int_equal(mkdir(b->to, 0700), 0);
}

static uint8_t big[300000];

static int make_bench(void **state) {
    bench *b = calloc(1, sizeof *b);
    (void)snprintf(b->dir, sizeof b->dir, "/tmp/porch-backup-XXXXXX");
    assert_non_null(mkdtemp(b->dir));
    (void)snprintf(b->to, sizeof b->to, "%s.to", b->dir);
    for (size_t i = 0; i < sizeof big; i++)
        big[i] = (uint8_t)(i * 7 + i / 251);
    static const char *const folders[] = {"tls",
                                          "signer",
                                          "clips",
                                          "OFFLINE",
                                          "run",
                                          "updates",
                                          "updates/metadata",
                                          "updates/targets",
                                          "updates/targets/camera",
                                          "updates/targets/camera/1.0+b",
                                          "updates/incoming"};
    for (size_t i = 0; i < sizeof folders / sizeof folders[0]; i++)
        make_folder(b, folders[i]);
    put_file(b, "hub.conf", "hub.id = x\n", 11);
    put_file(b, "copy.db", big, sizeof big);
    put_file(b, "hub.db", "live", 4);
    put_file(b, "lock", "", 0);
    put_file(b, "tls/hub-cert.pem", "cert", 4);
    put_file(b, "signer/seal.key", "key", 3);
    put_file(b, "signer/empty", "", 0);
    put_file(b, "clips/0123abc.clip", big, 65536);
    put_file(b, "OFFLINE/root.key", "root", 4);
    put_file(b, "updates/metadata/timestamp.json", "{}", 2);
    put_file(b, "updates/targets/camera/1.0+b/0f.image", big, 70000);
    put_file(b, "updates/incoming/half", "half", 4);
    b->fd = memfd_create("archive", MFD_CLOEXEC);
    assert_int_equal(porch_box_generate(b->secret, b->public_key, &b->why), PORCH_OK);
    fresh_target(b);
    *state = b;
    return 0;
}

static int drop_bench(void **state) {
    bench *b = *state;
    (void)nftw(b->dir, remove_entry, 8, FTW_DEPTH | FTW_PHYS);
    (void)nftw(b->to, remove_entry, 8, FTW_DEPTH | FTW_PHYS);
    close(b->fd);
    free(b);
    return 0;
}

static porch_err try_to_pack(bench *b, bool updates, porch_backup_sums *sums) {
    porch_backup_writer *w = NULL;
    char db[96];
    *sums = (porch_backup_sums){0};
    (void)snprintf(db, sizeof db, "%s/copy.db", b->dir);
    assert_int_equal(porch_backup_writer_new(b->fd, b->public_key, &w, &b->why), PORCH_OK);
    porch_err e = porch_backup_pack(w, b->dir, db, PORCH_LIT("public\n"), updates, sums, &b->why);
    if (e == PORCH_OK) e = porch_backup_finish(w, &b->why);
    porch_backup_writer_free(w);
    return e;
}

static void pack_with(bench *b, bool updates) {
    porch_backup_sums sums;
    if (try_to_pack(b, updates, &sums) != PORCH_OK) fail_msg("%s", b->why.text);
    assert_int_equal(sums.files, updates ? 9 : 7);
}

static void pack(bench *b) {
    pack_with(b, true);
}

static porch_err unpack_with(bench *b, const uint8_t secret[PORCH_BOX_SECRET_BYTES]) {
    porch_backup_reader *r = NULL;
    porch_backup_sums sums = {0};
    fresh_target(b);
    assert_int_equal(lseek(b->fd, 0, SEEK_SET), 0);
    porch_err e = porch_backup_reader_new(b->fd, secret, &r, &b->why);
    if (e == PORCH_OK) e = porch_backup_unpack(r, b->to, &sums, &b->why);
    porch_backup_reader_free(r);
    return e;
}

static porch_err unpack(bench *b) {
    return unpack_with(b, b->secret);
}

static void expect_file(bench *b, const char *path, const void *at, size_t len) {
    char full[160];
    uint8_t *got = NULL;
    size_t got_len = 0;
    struct stat st;
    (void)snprintf(full, sizeof full, "%s/%s", b->to, path);
    if (porch_file_read(full, 1 << 20, &got, &got_len, &b->why) != PORCH_OK) fail_msg("%s", b->why.text);
    assert_int_equal(got_len, len);
    assert_memory_equal(got, at, len);
    assert_int_equal(stat(full, &st), 0);
    assert_int_equal(st.st_mode & 0777, 0600);
    free(got);
}

static void expect_missing(bench *b, const char *path) {
    char full[160];
    (void)snprintf(full, sizeof full, "%s/%s", b->to, path);
    assert_int_equal(access(full, F_OK), -1);
}

static void what_is_packed_comes_back_and_the_root_key_is_not_in_it(void **state) {
    bench *b = *state;
    pack(b);
    if (unpack(b) != PORCH_OK) fail_msg("%s", b->why.text);
    expect_file(b, "hub.conf", "hub.id = x\n", 11);
    expect_file(b, "recovery.pub", "public\n", 7);
    expect_file(b, "hub.db", big, sizeof big); /* the copy, not the live one */
    expect_file(b, "tls/hub-cert.pem", "cert", 4);
    expect_file(b, "signer/seal.key", "key", 3);
    expect_file(b, "signer/empty", "", 0);
    expect_file(b, "clips/0123abc.clip", big, 65536);
    expect_file(b, "updates/metadata/timestamp.json", "{}", 2);
    expect_file(b, "updates/targets/camera/1.0+b/0f.image", big, 70000);
    expect_missing(b, "updates/incoming");
    expect_missing(b, "OFFLINE");
    expect_missing(b, "lock");
    expect_missing(b, "run");
    expect_missing(b, "copy.db");
}

static void nothing_of_the_content_shows_in_the_file(void **state) {
    bench *b = *state;
    pack(b);
    static uint8_t file[600000];
    ssize_t n = pread(b->fd, file, sizeof file, 0);
    assert_in_range(n, 300000, sizeof file);
    assert_null(memmem(file, (size_t)n, "seal.key", 8));
    assert_null(memmem(file, (size_t)n, "hub.id", 6));
    assert_null(memmem(file, (size_t)n, big, 64));
}

static void another_key_opens_nothing(void **state) {
    bench *b = *state;
    uint8_t secret[PORCH_BOX_SECRET_BYTES], public_key[PORCH_BOX_PUBLIC_BYTES];
    pack(b);
    assert_int_equal(porch_box_generate(secret, public_key, &b->why), PORCH_OK);
    assert_int_equal(unpack_with(b, secret), PORCH_ERR_AUTH);
    expect_missing(b, "hub.conf");
}

static void every_changed_byte_is_found(void **state) {
    bench *b = *state;
    pack(b);
    off_t size = lseek(b->fd, 0, SEEK_END);
    for (off_t at = 0; at < size; at += at < 300 ? 1 : 9973) {
        uint8_t byte, other;
        assert_int_equal(pread(b->fd, &byte, 1, at), 1);
        other = byte ^ 0x20;
        assert_int_equal(pwrite(b->fd, &other, 1, at), 1);
        if (unpack(b) == PORCH_OK) fail_msg("a change at %lld was not found", (long long)at);
        assert_int_equal(pwrite(b->fd, &byte, 1, at), 1);
    }
    assert_int_equal(unpack(b), PORCH_OK);
}

static void a_file_cut_anywhere_or_with_more_behind_is_refused(void **state) {
    bench *b = *state;
    pack(b);
    off_t size = lseek(b->fd, 0, SEEK_END);
    assert_int_equal(pwrite(b->fd, "x", 1, size), 1);
    assert_int_equal(unpack(b), PORCH_ERR_SIGNATURE);
    for (off_t len = size - 1; len > 0; len = len * 2 / 3) {
        assert_int_equal(ftruncate(b->fd, len), 0);
        porch_err e = unpack(b);
        assert_true(e == PORCH_ERR_TRUNCATED || e == PORCH_ERR_MALFORMED);
    }
}

static void chunks_cannot_be_swapped_or_left_out(void **state) {
    bench *b = *state;
    pack(b);
    enum { HEAD = 8 + PORCH_BOX_PUBLIC_BYTES + 32 + PORCH_BOX_EXTRA_BYTES, CHUNK = 4 + 65536 + 16 };
    static uint8_t one[CHUNK], two[CHUNK];
    assert_int_equal(pread(b->fd, one, CHUNK, HEAD), CHUNK);
    assert_int_equal(pread(b->fd, two, CHUNK, HEAD + CHUNK), CHUNK);
    assert_int_equal(pwrite(b->fd, two, CHUNK, HEAD), CHUNK);
    assert_int_equal(unpack(b), PORCH_ERR_SIGNATURE);
    assert_int_equal(pwrite(b->fd, one, CHUNK, HEAD), CHUNK);
    assert_int_equal(pwrite(b->fd, one, CHUNK, HEAD + CHUNK), CHUNK);
    assert_int_equal(unpack(b), PORCH_ERR_SIGNATURE);
}

static void updates_stay_away_where_nobody_wants_them(void **state) {
    bench *b = *state;
    pack_with(b, false);
    assert_int_equal(unpack(b), PORCH_OK);
    expect_file(b, "hub.conf", "hub.id = x\n", 11);
    expect_missing(b, "updates");
}

static void only_places_of_a_hub_are_written_to(void **state) {
    (void)state;
    static const char *const good[] = {"hub.conf",
                                       "hub.db",
                                       "recovery.pub",
                                       "tls/hub.key",
                                       "clips/a-b_c.1",
                                       "updates/metadata/7.root.json",
                                       "updates/targets/camera/1.0+b/9f.image"};
    static const char *const bad[] = {"",
                                      "/etc/passwd",
                                      "..",
                                      "tls",
                                      "tls/",
                                      "tls/..",
                                      "tls/../x",
                                      "tls/a/b",
                                      "OFFLINE/root.key",
                                      "lock",
                                      "run/x",
                                      "hub.db-wal",
                                      "clips/.x",
                                      "clips/a b",
                                      "./hub.conf",
                                      "tls//x",
                                      "signer/\n",
                                      "hub.conf ",
                                      "updates/x",
                                      "updates/incoming/x",
                                      "updates/metadata/",
                                      "updates/targets/../../x",
                                      "updates/targets/a/.x",
                                      "updates/targets//x",
                                      "updates/targets/1/2/3/4/5/6/7/8/9",
                                      "clips/a+b"};
    for (size_t i = 0; i < sizeof good / sizeof good[0]; i++)
        if (!porch_backup_path_fits(porch_bytes_of(good[i]), false)) fail_msg("refused: %s", good[i]);
    for (size_t i = 0; i < sizeof bad / sizeof bad[0]; i++)
        if (porch_backup_path_fits(porch_bytes_of(bad[i]), false)) fail_msg("accepted: %s", bad[i]);
    assert_true(porch_backup_path_fits(PORCH_LIT("tls"), true));
    assert_true(porch_backup_path_fits(PORCH_LIT("updates/targets/camera"), true));
    assert_false(porch_backup_path_fits(PORCH_LIT("updates/incoming"), true));
    assert_false(porch_backup_path_fits(PORCH_LIT("tls/x"), true));
    assert_false(porch_backup_path_fits(PORCH_LIT("OFFLINE"), true));
    assert_false(porch_backup_path_fits(PORCH_LIT("hub.conf"), true));
}

/* An archive whose sender holds the public key and writes what it likes. */
static porch_err unpack_foreign(bench *b, porch_bytes plain) {
    porch_backup_writer *w = NULL;
    assert_int_equal(ftruncate(b->fd, 0), 0);
    assert_int_equal(lseek(b->fd, 0, SEEK_SET), 0);
    assert_int_equal(porch_backup_writer_new(b->fd, b->public_key, &w, &b->why), PORCH_OK);
    assert_int_equal(porch_backup_write(w, plain, &b->why), PORCH_OK);
    assert_int_equal(porch_backup_finish(w, &b->why), PORCH_OK);
    porch_backup_writer_free(w);
    return unpack(b);
}

static void an_archive_of_a_stranger_is_parsed_strictly(void **state) {
    bench *b = *state;
    assert_int_equal(unpack_foreign(b, PORCH_LIT("x")), PORCH_ERR_MALFORMED);
    assert_int_equal(unpack_foreign(b, PORCH_LIT("")), PORCH_ERR_TRUNCATED);
    assert_int_equal(unpack_foreign(b, PORCH_LIT("f\0\x09../escape\0\0\0\0e")), PORCH_ERR_MALFORMED);
    assert_int_equal(unpack_foreign(b, PORCH_LIT("d\0\x07OFFLINEe")), PORCH_ERR_MALFORMED);
    assert_int_equal(unpack_foreign(b, PORCH_LIT("f\0\x08hub.conf\xff\xff\xff\xff")), PORCH_ERR_MALFORMED);
    assert_int_equal(unpack_foreign(b, PORCH_LIT("f\0\x08hub.conf\0\0\0\0f\0\x08hub.conf\0\0\0\0e")),
                     PORCH_ERR_IO); /* twice */
    assert_int_equal(unpack_foreign(b, PORCH_LIT("ee")), PORCH_ERR_SIGNATURE);
}

static void without_its_database_or_its_settings_there_is_no_backup(void **state) {
    static const char *const required[] = {"copy.db", "hub.conf"};
    bench *b = *state;
    porch_backup_sums sums;
    for (size_t i = 0; i < sizeof required / sizeof required[0]; i++) {
        char path[96];
        (void)snprintf(path, sizeof path, "%s/%s", b->dir, required[i]);
        assert_int_equal(unlink(path), 0);
        assert_int_equal(try_to_pack(b, true, &sums), PORCH_ERR_IO);
        assert_non_null(strstr(b->why.text, required[i]));
        assert_int_equal(mkdir(path, 0700), 0);
        assert_int_equal(try_to_pack(b, true, &sums), PORCH_ERR_STATE);
        assert_int_equal(rmdir(path), 0);
        put_file(b, required[i], "x", 1);
    }
    assert_int_equal(try_to_pack(b, true, &sums), PORCH_OK);
}

#define WITH_BENCH(test) cmocka_unit_test_setup_teardown(test, make_bench, drop_bench)

int main(void) {
    const struct CMUnitTest tests[] = {
        WITH_BENCH(what_is_packed_comes_back_and_the_root_key_is_not_in_it),
        WITH_BENCH(nothing_of_the_content_shows_in_the_file),
        WITH_BENCH(another_key_opens_nothing),
        WITH_BENCH(every_changed_byte_is_found),
        WITH_BENCH(a_file_cut_anywhere_or_with_more_behind_is_refused),
        WITH_BENCH(chunks_cannot_be_swapped_or_left_out),
        WITH_BENCH(updates_stay_away_where_nobody_wants_them),
        WITH_BENCH(without_its_database_or_its_settings_there_is_no_backup),
        WITH_BENCH(only_places_of_a_hub_are_written_to),
        WITH_BENCH(an_archive_of_a_stranger_is_parsed_strictly),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
