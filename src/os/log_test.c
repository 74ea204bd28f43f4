#include "os/log.h"

#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>

/* Standard error is a file while a test runs, so that the lines can be read back. */
static char captured[1 << 20];
static int capture_fd = -1, real_stderr = -1;

static void capture_begin(void) {
    char path[] = "/tmp/porch-log-XXXXXX";
    capture_fd = mkostemp(path, O_APPEND);
    assert_true(capture_fd >= 0);
    assert_int_equal(unlink(path), 0);
    real_stderr = dup(STDERR_FILENO);
    assert_true(real_stderr >= 0);
    assert_true(dup2(capture_fd, STDERR_FILENO) >= 0);
}

static const char *capture_end(void) {
    assert_true(dup2(real_stderr, STDERR_FILENO) >= 0);
    close(real_stderr);
    ssize_t got = pread(capture_fd, captured, sizeof captured - 1, 0);
    assert_true(got >= 0);
    captured[got] = '\0';
    close(capture_fd);
    return captured;
}

/* The line after its time, which is checked for its form only. */
static const char *after_time(const char *line) {
    assert_true(strlen(line) > 25);
    assert_int_equal(line[10], 'T');
    assert_int_equal(line[23], 'Z');
    return line + 25;
}

static void a_line_names_level_process_event_and_pairs(void **state) {
    (void)state;
    porch_log_init("hub", PORCH_LOG_INFO);
    capture_begin();
    porch_log(PORCH_LOG_WARN, "connect_refused", "peer", "192.0.2.7", "count", porch_log_number(42).text,
              "why", "it is late", "none", NULL, "low", porch_log_signed(-3).text, "empty", "", NULL);
    assert_string_equal(after_time(capture_end()), "warn hub connect_refused peer=192.0.2.7 count=42 "
                                                   "why=\"it is late\" none=- low=-3 empty=\"\"\n");
}

static void what_a_stranger_sends_cannot_begin_a_line_or_steer_a_terminal(void **state) {
    (void)state;
    capture_begin();
    porch_log(PORCH_LOG_INFO, "e", "a", "x\n2026 error hub", "b", "\x1b[31m\"\\", "c", "k\xc3\xbc", "d",
              "\xc2\x9b\xff", "e", "\xe2\x80\xae", "f",
              "a\xc2\x9b"
              "b",
              "g", porch_log_bytes(PORCH_LIT("p\0q")).text, NULL);
    assert_string_equal(
        after_time(capture_end()),
        "info hub e a=\"x\\n2026 error hub\" b=\"\\x1b[31m\\\"\\\\\" c=\"k\xc3\xbc\" d=\"\\xc2\\x9b\\xff\" "
        "e=\"\\xe2\\x80\\xae\" f=\"a\\xc2\\x9bb\" g=p?q\n");
}

static void a_line_below_the_level_is_not_written(void **state) {
    (void)state;
    porch_log_init("hub", PORCH_LOG_ERROR);
    assert_false(porch_log_wants(PORCH_LOG_WARN));
    capture_begin();
    porch_log(PORCH_LOG_WARN, "e", NULL);
    porch_log(PORCH_LOG_ERROR, "f", NULL);
    assert_string_equal(after_time(capture_end()), "error hub f\n");
    porch_log_init("hub", PORCH_LOG_INFO);
}

static void a_line_too_long_is_cut_and_says_so(void **state) {
    (void)state;
    char *value = test_malloc((size_t)PORCH_LOG_LINE_BYTES * 2);
    for (size_t len = PORCH_LOG_LINE_BYTES - 80; len < PORCH_LOG_LINE_BYTES + 80; len++) {
        memset(value, 'v', len);
        value[len / 2] = '\n';
        value[len] = '\0';
        capture_begin();
        porch_log(PORCH_LOG_INFO, "e", "k", value, "last", "z", NULL);
        const char *line = capture_end();
        size_t n = strlen(line);
        assert_true(n <= PORCH_LOG_LINE_BYTES);
        assert_true(strcmp(line + n - 2, "z\n") == 0 || strcmp(line + n - 4, "...\n") == 0);
    }
    test_free(value);
    porch_log_view v = porch_log_bytes((porch_bytes){(const uint8_t *)captured, 500});
    assert_int_equal(strlen(v.text), 199);
}

static void *chatter(void *ctx) {
    for (int i = 0; i < 200; i++)
        porch_log(PORCH_LOG_INFO, "chatter", "who", ctx, "text", "some words that fill the line a little",
                  NULL);
    return NULL;
}

static void lines_of_threads_do_not_mix(void **state) {
    (void)state;
    capture_begin();
    pthread_t threads[4];
    char names[4][2] = {"0", "1", "2", "3"};
    for (size_t i = 0; i < 4; i++)
        assert_int_equal(pthread_create(&threads[i], NULL, chatter, names[i]), 0);
    for (size_t i = 0; i < 4; i++)
        assert_int_equal(pthread_join(threads[i], NULL), 0);
    const char *at = capture_end();
    int lines = 0;
    for (; *at != '\0'; at = strchr(at, '\n') + 1, lines++) {
        const char *rest = after_time(at);
        assert_int_equal(strncmp(rest, "info hub chatter who=", 21), 0);
        assert_int_equal(strncmp(rest + 22, " text=\"some words that fill the line a little\"\n", 46), 0);
    }
    assert_int_equal(lines, 800);
}

static void errno_is_kept(void **state) {
    (void)state;
    capture_begin();
    errno = ENOSPC;
    porch_log(PORCH_LOG_INFO, "e", NULL);
    int after = errno;
    (void)capture_end();
    assert_int_equal(after, ENOSPC);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_line_names_level_process_event_and_pairs),
        cmocka_unit_test(what_a_stranger_sends_cannot_begin_a_line_or_steer_a_terminal),
        cmocka_unit_test(a_line_below_the_level_is_not_written),
        cmocka_unit_test(a_line_too_long_is_cut_and_says_so),
        cmocka_unit_test(lines_of_threads_do_not_mix),
        cmocka_unit_test(errno_is_kept),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
