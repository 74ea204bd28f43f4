#include "cloud/media/media_file.h"

#include <fcntl.h>
#include <signal.h>
#include <sys/stat.h>
#include <sys/wait.h>

#include "cloud/media/media_testing.h"
#include "os/file.h"

static const char ID[] = "00112233445566778899aabbccddeeff", OTHER[] = "ffeeddccbbaa99887766554433221100";
static const uint8_t KEY[32] = {1, 2, 3};
enum { LONG = 2 * PORCH_MEDIA_CHUNK + 1234 };
static uint8_t plain[LONG], back[LONG + 16];

typedef struct {
    store_lab lab;
    char path[128], other[128];
} files;

static int setup(void **state) {
    files *f = calloc(1, sizeof *f);
    store_lab_make(&f->lab);
    (void)snprintf(f->path, sizeof f->path, "%s/a.clip", f->lab.dir);
    (void)snprintf(f->other, sizeof f->other, "%s/b.clip", f->lab.dir);
    media_lab_pattern(plain, sizeof plain, 7);
    *state = f;
    return 0;
}

static int teardown(void **state) {
    files *f = *state;
    store_lab_remove(&f->lab);
    free(f);
    return 0;
}

static void store(const char *path, size_t len) {
    porch_media_file *f;
    assert_int_equal(porch_media_file_create(path, PORCH_MEDIA_FILE_ORIGINAL, ID, KEY, &f, NULL), PORCH_OK);
    assert_int_equal(porch_media_file_append(f, (porch_bytes){plain, len}, NULL), PORCH_OK);
    assert_int_equal(porch_media_file_finish(f, NULL), PORCH_OK);
    porch_media_file_close(f);
}

/* Opens and reads all; the first error. */
static porch_err read_all(const char *path, size_t *len) {
    porch_media_file *f;
    porch_err e = porch_media_file_open(path, PORCH_MEDIA_FILE_ORIGINAL, ID, KEY, &f, NULL);
    if (e != PORCH_OK) return e;
    e = porch_media_file_read(f, 0, back, sizeof back, len, NULL);
    porch_media_file_close(f);
    return e;
}

static void what_is_written_reads_back_from_any_offset(void **state) {
    files *t = *state;
    static const size_t lengths[] = {
        0, 1, PORCH_MEDIA_CHUNK - 1, PORCH_MEDIA_CHUNK, PORCH_MEDIA_CHUNK + 1, LONG};
    for (size_t i = 0; i < sizeof lengths / sizeof lengths[0]; i++) {
        porch_media_file *f;
        size_t len = lengths[i], got;
        store(t->path, len);
        assert_int_equal(porch_media_file_open(t->path, PORCH_MEDIA_FILE_ORIGINAL, ID, KEY, &f, NULL),
                         PORCH_OK);
        assert_int_equal(porch_media_file_bytes(f), len);
        for (size_t at = 0; at < len; at += 10007) {
            assert_int_equal(porch_media_file_read(f, at, back, sizeof back, &got, NULL), PORCH_OK);
            assert_int_equal(got, len - at);
            assert_memory_equal(back, plain + at, got);
        }
        assert_int_equal(porch_media_file_read(f, len, back, 1, &got, NULL), PORCH_OK);
        assert_int_equal(got, 0);
        porch_media_file_close(f);
    }
}

static void a_changed_byte_is_found_wherever_it_is(void **state) {
    files *t = *state;
    struct stat st;
    store(t->path, LONG);
    int fd = open(t->path, O_RDWR | O_CLOEXEC);
    assert_int_equal(fstat(fd, &st), 0);
    off_t stride = PORCH_MEDIA_CHUNK + PORCH_MEDIA_SEALED_EXTRA;
    for (off_t at = 0; at < st.st_size; at++) {
        off_t in_chunk = at < (off_t)PORCH_MEDIA_HEADER ? 0 : (at - (off_t)PORCH_MEDIA_HEADER) % stride;
        if (in_chunk >= 32 && in_chunk < stride - 32 && at < st.st_size - 40 && at % 1009 != 0) continue;
        uint8_t byte, changed;
        size_t len;
        assert_int_equal(pread(fd, &byte, 1, at), 1);
        changed = byte ^ 0x20;
        assert_int_equal(pwrite(fd, &changed, 1, at), 1);
        porch_err e = read_all(t->path, &len);
        if (e != PORCH_ERR_SIGNATURE && !(at < 16 && e == PORCH_ERR_UNSUPPORTED)) {
            fail_msg("byte %lld changed: %s", (long long)at, porch_err_name(e));
        }
        assert_int_equal(pwrite(fd, &byte, 1, at), 1);
    }
    (void)close(fd);
}

static void a_file_cut_short_is_found_at_every_length(void **state) {
    files *t = *state;
    struct stat st;
    size_t len;
    store(t->path, LONG);
    assert_int_equal(stat(t->path, &st), 0);
    off_t stride = PORCH_MEDIA_CHUNK + PORCH_MEDIA_SEALED_EXTRA;
    for (off_t at = st.st_size - 1; at >= 0; at--) {
        off_t beyond = (at - (off_t)PORCH_MEDIA_HEADER) % stride; /* whole chunks left: the likeliest cut */
        if (at > 100 && beyond > 40 && at < st.st_size - 100 && at % 997 != 0) continue;
        assert_int_equal(truncate(t->path, at), 0);
        if (read_all(t->path, &len) != PORCH_ERR_SIGNATURE)
            fail_msg("a cut at %lld was not found", (long long)at);
    }
}

static void a_clip_under_another_name_is_refused(void **state) {
    files *t = *state;
    porch_media_file *f;
    store(t->path, 1000);
    assert_int_equal(rename(t->path, t->other), 0);
    assert_int_equal(porch_media_file_open(t->other, PORCH_MEDIA_FILE_ORIGINAL, OTHER, KEY, &f, NULL),
                     PORCH_ERR_SIGNATURE);
    assert_int_equal(porch_media_file_open(t->other, PORCH_MEDIA_FILE_INDEXED, ID, KEY, &f, NULL),
                     PORCH_ERR_SIGNATURE);
    assert_int_equal(porch_media_file_open(t->other, PORCH_MEDIA_FILE_ORIGINAL, ID, KEY, &f, NULL),
                     PORCH_OK);
    porch_media_file_close(f);
}

static void two_chunks_that_changed_places_are_refused(void **state) {
    files *t = *state;
    static uint8_t a[PORCH_MEDIA_CHUNK + PORCH_MEDIA_SEALED_EXTRA], b[sizeof a];
    size_t len;
    store(t->path, LONG);
    int fd = open(t->path, O_RDWR | O_CLOEXEC);
    assert_int_equal(pread(fd, a, sizeof a, PORCH_MEDIA_HEADER), sizeof a);
    assert_int_equal(pread(fd, b, sizeof b, PORCH_MEDIA_HEADER + sizeof a), sizeof b);
    assert_int_equal(pwrite(fd, b, sizeof b, PORCH_MEDIA_HEADER), sizeof b);
    assert_int_equal(pwrite(fd, a, sizeof a, PORCH_MEDIA_HEADER + sizeof a), sizeof a);
    (void)close(fd);
    assert_int_equal(read_all(t->path, &len), PORCH_ERR_SIGNATURE);
}

typedef struct {
    size_t at;
} matching;

static void match(porch_bytes b, void *ctx) {
    matching *m = ctx;
    assert_true(m->at + b.len <= sizeof plain);
    assert_memory_equal(b.at, plain + m->at, b.len);
    m->at += b.len;
}

/* Resumes, compares all that is there with the pattern, and tells how much it is. */
static size_t resumed_bytes(const char *path) {
    porch_media_file *f;
    matching m = {0};
    assert_int_equal(porch_media_file_resume(path, ID, KEY, match, &m, &f, NULL), PORCH_OK);
    assert_int_equal(porch_media_file_bytes(f), m.at);
    porch_media_file_close(f);
    return m.at;
}

/* Power goes after a sync of `acknowledged` bytes, when more was written and any part of it reached the
 * disk. */
static void a_power_cut_at_any_byte_keeps_what_was_acknowledged(void **state) {
    files *t = *state;
    static const size_t acknowledged[] = {1, 1000, PORCH_MEDIA_CHUNK - 1, PORCH_MEDIA_CHUNK,
                                          PORCH_MEDIA_CHUNK + 500};
    for (size_t i = 0; i < sizeof acknowledged / sizeof acknowledged[0]; i++) {
        size_t ack = acknowledged[i];
        porch_media_file *f;
        struct stat before, after;
        uint8_t *whole;
        size_t whole_len;
        assert_int_equal(porch_media_file_create(t->path, PORCH_MEDIA_FILE_ORIGINAL, ID, KEY, &f, NULL),
                         PORCH_OK);
        porch_media_file_drop_tail(t->path);
        assert_int_equal(porch_media_file_append(f, (porch_bytes){plain, ack}, NULL), PORCH_OK);
        assert_int_equal(porch_media_file_sync(f, NULL), PORCH_OK);
        assert_int_equal(stat(t->path, &before), 0);
        assert_int_equal(porch_media_file_append(f, (porch_bytes){plain + ack, LONG - ack}, NULL),
                         PORCH_OK);
        assert_int_equal(porch_media_file_finish(f, NULL), PORCH_OK);
        porch_media_file_close(f);
        assert_int_equal(stat(t->path, &after), 0);
        assert_int_equal(porch_file_read(t->path, 1 << 20, &whole, &whole_len, NULL), PORCH_OK);
        for (off_t cut = before.st_size; cut <= after.st_size; cut += 1 + (cut - before.st_size) / 7) {
            int fd = open(t->path, O_RDWR | O_TRUNC | O_CLOEXEC);
            assert_int_equal(write(fd, whole, (size_t)cut), cut);
            (void)close(fd);
            if (resumed_bytes(t->path) < ack)
                fail_msg("%zu acknowledged, cut at %lld", ack, (long long)cut);
            /* The blocks may also have come without their bytes. */
            fd = open(t->path, O_RDWR | O_TRUNC | O_CLOEXEC);
            assert_int_equal(write(fd, whole, (size_t)before.st_size), before.st_size);
            assert_int_equal(ftruncate(fd, cut), 0);
            (void)close(fd);
            if (resumed_bytes(t->path) < ack)
                fail_msg("%zu acknowledged, zeros to %lld", ack, (long long)cut);
        }
        free(whole);
    }
}

/* A writer that tells each offset it has synced, until it is killed. */
static void write_until_killed(const char *path, int told) {
    porch_media_file *f;
    size_t at = 0;
    if (porch_media_file_resume(path, ID, KEY, NULL, NULL, &f, NULL) != PORCH_OK) _exit(1);
    at = (size_t)porch_media_file_bytes(f);
    /* Also when the one before got to the end and was killed before anybody had heard of it. */
    if (write(told, &at, sizeof at) != sizeof at) _exit(1);
    while (at < LONG) {
        size_t n = 777 + at % 9001;
        if (n > LONG - at) n = LONG - at;
        if (porch_media_file_append(f, (porch_bytes){plain + at, n}, NULL) != PORCH_OK) _exit(1);
        at += n;
        if (porch_media_file_sync(f, NULL) != PORCH_OK) _exit(1);
        if (write(told, &at, sizeof at) != sizeof at) _exit(1);
    }
    for (;;)
        (void)pause();
}

static void a_writer_killed_again_and_again_loses_nothing_it_told(void **state) {
    files *t = *state;
    porch_media_file *f;
    size_t last = 0;
    assert_int_equal(porch_media_file_create(t->path, PORCH_MEDIA_FILE_ORIGINAL, ID, KEY, &f, NULL),
                     PORCH_OK);
    porch_media_file_close(f);
    while (last < LONG) {
        int told[2];
        assert_int_equal(pipe(told), 0);
        pid_t pid = fork();
        if (pid == 0) write_until_killed(t->path, told[1]);
        (void)close(told[1]);
        for (size_t n = 0, at; n < 4 && last < LONG && read(told[0], &at, sizeof at) == sizeof at; n++)
            last = at;
        (void)kill(pid, SIGKILL);
        (void)waitpid(pid, NULL, 0);
        (void)close(told[0]);
        assert_true(resumed_bytes(t->path) >= last);
    }
}

static void a_clip_begun_anew_takes_nothing_of_the_old_one(void **state) {
    files *t = *state;
    porch_media_file *f;
    assert_int_equal(porch_media_file_create(t->path, PORCH_MEDIA_FILE_ORIGINAL, ID, KEY, &f, NULL),
                     PORCH_OK);
    assert_int_equal(porch_media_file_append(f, (porch_bytes){plain, 500}, NULL), PORCH_OK);
    assert_int_equal(porch_media_file_sync(f, NULL), PORCH_OK);
    porch_media_file_close(f);
    assert_int_equal(resumed_bytes(t->path), 500);
    /* The old tail is still beside it when the power goes right after this. */
    assert_int_equal(porch_media_file_create(t->path, PORCH_MEDIA_FILE_ORIGINAL, ID, KEY, &f, NULL),
                     PORCH_OK);
    porch_media_file_close(f);
    assert_int_equal(resumed_bytes(t->path), 0);
}

static void an_unfinished_file_does_not_open_as_a_finished_one(void **state) {
    files *t = *state;
    porch_media_file *f;
    size_t len;
    assert_int_equal(porch_media_file_create(t->path, PORCH_MEDIA_FILE_ORIGINAL, ID, KEY, &f, NULL),
                     PORCH_OK);
    assert_int_equal(porch_media_file_append(f, (porch_bytes){plain, PORCH_MEDIA_CHUNK}, NULL), PORCH_OK);
    assert_int_equal(porch_media_file_sync(f, NULL), PORCH_OK);
    porch_media_file_close(f);
    assert_int_equal(read_all(t->path, &len), PORCH_ERR_SIGNATURE);
}

/* The system says so once: the next sync of the same file goes well, of bytes that are nowhere. */
static void a_sync_that_failed_is_not_made_good_by_the_next(void **state) {
    files *t = *state;
    porch_media_file *f;
    const size_t first = PORCH_MEDIA_CHUNK + 100;
    assert_int_equal(porch_media_file_create(t->path, PORCH_MEDIA_FILE_ORIGINAL, ID, KEY, &f, NULL),
                     PORCH_OK);
    assert_int_equal(porch_media_file_append(f, (porch_bytes){plain, first}, NULL), PORCH_OK);
    assert_int_equal(porch_media_file_sync(f, NULL), PORCH_OK);
    assert_int_equal(porch_media_file_append(f, (porch_bytes){plain + first, LONG - first}, NULL),
                     PORCH_OK);
    (void)snprintf(media_lab_sync_fails, sizeof media_lab_sync_fails, "/a.clip");
    assert_int_equal(porch_media_file_sync(f, NULL), PORCH_ERR_IO);
    assert_int_equal(porch_media_file_sync(f, NULL), PORCH_ERR_IO);
    assert_int_equal(porch_media_file_finish(f, NULL), PORCH_ERR_IO);
    assert_int_equal(porch_media_file_append(f, PORCH_LIT("more"), NULL), PORCH_ERR_IO);
    porch_media_file_close(f);
    assert_int_equal(resumed_bytes(t->path), first);
}

/* Nothing of it was ever durable, the header neither: it begins anew. */
static void a_file_that_never_was_durable_is_cut_to_nothing(void **state) {
    files *t = *state;
    porch_media_file *f;
    assert_int_equal(porch_media_file_create(t->path, PORCH_MEDIA_FILE_ORIGINAL, ID, KEY, &f, NULL),
                     PORCH_OK);
    assert_int_equal(porch_media_file_append(f, (porch_bytes){plain, LONG}, NULL), PORCH_OK);
    (void)snprintf(media_lab_sync_fails, sizeof media_lab_sync_fails, "/a.clip");
    assert_int_equal(porch_media_file_sync(f, NULL), PORCH_ERR_IO);
    porch_media_file_close(f);
    assert_int_equal(porch_media_file_resume(t->path, ID, KEY, NULL, NULL, &f, NULL), PORCH_ERR_SIGNATURE);
}

/* As for want of space: what the tail has promised stays. */
static void a_chunk_that_cannot_be_written_costs_no_tail(void **state) {
    files *t = *state;
    porch_media_file *f;
    assert_int_equal(porch_media_file_create(t->path, PORCH_MEDIA_FILE_ORIGINAL, ID, KEY, &f, NULL),
                     PORCH_OK);
    assert_int_equal(porch_media_file_append(f, (porch_bytes){plain, 1000}, NULL), PORCH_OK);
    assert_int_equal(porch_media_file_sync(f, NULL), PORCH_OK);
    store_lab_disk(false);
    assert_int_not_equal(porch_media_file_append(f, (porch_bytes){plain + 1000, LONG - 1000}, NULL),
                         PORCH_OK);
    store_lab_disk(true);
    assert_int_not_equal(porch_media_file_sync(f, NULL), PORCH_OK);
    porch_media_file_close(f);
    assert_int_equal(resumed_bytes(t->path), 1000);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(what_is_written_reads_back_from_any_offset, setup, teardown),
        cmocka_unit_test_setup_teardown(a_changed_byte_is_found_wherever_it_is, setup, teardown),
        cmocka_unit_test_setup_teardown(a_file_cut_short_is_found_at_every_length, setup, teardown),
        cmocka_unit_test_setup_teardown(a_clip_under_another_name_is_refused, setup, teardown),
        cmocka_unit_test_setup_teardown(two_chunks_that_changed_places_are_refused, setup, teardown),
        cmocka_unit_test_setup_teardown(a_power_cut_at_any_byte_keeps_what_was_acknowledged, setup,
                                        teardown),
        cmocka_unit_test_setup_teardown(a_writer_killed_again_and_again_loses_nothing_it_told, setup,
                                        teardown),
        cmocka_unit_test_setup_teardown(a_sync_that_failed_is_not_made_good_by_the_next, setup, teardown),
        cmocka_unit_test_setup_teardown(a_file_that_never_was_durable_is_cut_to_nothing, setup, teardown),
        cmocka_unit_test_setup_teardown(a_chunk_that_cannot_be_written_costs_no_tail, setup, teardown),
        cmocka_unit_test_setup_teardown(a_clip_begun_anew_takes_nothing_of_the_old_one, setup, teardown),
        cmocka_unit_test_setup_teardown(an_unfinished_file_does_not_open_as_a_finished_one, setup,
                                        teardown),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
