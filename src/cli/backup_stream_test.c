#include "cli/backup_stream.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include <cmocka.h>

/* A stream in memory, and the key that opens it. */
typedef struct {
    int fd;
    uint8_t secret[PORCH_BOX_SECRET_BYTES], public_key[PORCH_BOX_PUBLIC_BYTES];
    porch_why why;
} bench;

static uint8_t plain[200000], got[200000];

static int make_bench(void **state) {
    bench *b = calloc(1, sizeof *b);
    b->fd = memfd_create("stream", MFD_CLOEXEC);
    assert_int_equal(porch_box_generate(b->secret, b->public_key, &b->why), PORCH_OK);
    for (size_t i = 0; i < sizeof plain; i++)
        plain[i] = (uint8_t)(i * 7 + i / 251);
    *state = b;
    return 0;
}

static int drop_bench(void **state) {
    bench *b = *state;
    close(b->fd);
    free(b);
    return 0;
}

static void write_stream(bench *b, size_t len, size_t step, bool finish) {
    porch_backup_writer *w = NULL;
    assert_int_equal(ftruncate(b->fd, 0), 0);
    assert_int_equal(lseek(b->fd, 0, SEEK_SET), 0);
    assert_int_equal(porch_backup_writer_new(b->fd, b->public_key, &w, &b->why), PORCH_OK);
    for (size_t at = 0; at < len; at += step)
        assert_int_equal(
            porch_backup_write(w, (porch_bytes){plain + at, len - at < step ? len - at : step}, &b->why),
            PORCH_OK);
    if (finish) assert_int_equal(porch_backup_finish(w, &b->why), PORCH_OK);
    porch_backup_writer_free(w);
}

static porch_err read_stream(bench *b, size_t len) {
    porch_backup_reader *r = NULL;
    assert_int_equal(lseek(b->fd, 0, SEEK_SET), 0);
    porch_err e = porch_backup_reader_new(b->fd, b->secret, &r, &b->why);
    if (e == PORCH_OK) e = porch_backup_read(r, got, len, &b->why);
    if (e == PORCH_OK) e = porch_backup_at_end(r, &b->why);
    porch_backup_reader_free(r);
    if (e == PORCH_OK) assert_memory_equal(got, plain, len);
    return e;
}

static void every_length_around_a_chunk_comes_back(void **state) {
    bench *b = *state;
    static const size_t lengths[] = {0, 1, 65535, 65536, 65537, 131071, 131072, 131073, 200000};
    for (size_t i = 0; i < sizeof lengths / sizeof lengths[0]; i++) {
        write_stream(b, lengths[i], 777, true);
        assert_int_equal(read_stream(b, lengths[i]), PORCH_OK);
        write_stream(b, lengths[i], sizeof plain, true);
        assert_int_equal(read_stream(b, lengths[i]), PORCH_OK);
    }
}

static void more_or_less_than_was_written_is_an_error(void **state) {
    bench *b = *state;
    write_stream(b, 65536, 1000, true);
    assert_int_equal(read_stream(b, 65537), PORCH_ERR_TRUNCATED);
    assert_int_equal(read_stream(b, 65535), PORCH_ERR_SIGNATURE);
}

static void a_stream_without_its_end_is_refused(void **state) {
    bench *b = *state;
    write_stream(b, 200000, 65536, false);
    assert_int_equal(read_stream(b, 196608), PORCH_ERR_TRUNCATED);
}

static void another_program_or_version_is_told_apart(void **state) {
    bench *b = *state;
    write_stream(b, 10, 10, true);
    assert_int_equal(pwrite(b->fd, "2", 1, 7), 1);
    assert_int_equal(read_stream(b, 10), PORCH_ERR_UNSUPPORTED);
    assert_int_equal(pwrite(b->fd, "PK", 2, 0), 2);
    assert_int_equal(read_stream(b, 10), PORCH_ERR_MALFORMED);
    assert_int_equal(ftruncate(b->fd, 3), 0);
    assert_int_equal(read_stream(b, 10), PORCH_ERR_MALFORMED);
}

static void two_streams_of_the_same_bytes_share_none(void **state) {
    bench *b = *state;
    static uint8_t one[70000], two[70000];
    write_stream(b, 60000, 1000, true);
    ssize_t n = pread(b->fd, one, sizeof one, 0);
    write_stream(b, 60000, 1000, true);
    assert_int_equal(pread(b->fd, two, sizeof two, 0), n);
    assert_memory_not_equal(one + 200, two + 200, 1000);
}

#define WITH_BENCH(test) cmocka_unit_test_setup_teardown(test, make_bench, drop_bench)

int main(void) {
    const struct CMUnitTest tests[] = {
        WITH_BENCH(every_length_around_a_chunk_comes_back),
        WITH_BENCH(more_or_less_than_was_written_is_an_error),
        WITH_BENCH(a_stream_without_its_end_is_refused),
        WITH_BENCH(another_program_or_version_is_told_apart),
        WITH_BENCH(two_streams_of_the_same_bytes_share_none),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
