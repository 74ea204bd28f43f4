#include "os/channel.h"

#include <dirent.h>
#include <fcntl.h>
#include <pthread.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include <cmocka.h>

static int ends[2];

static int open_pair(void **state) {
    (void)state;
    return porch_channel_pair(ends, NULL) == PORCH_OK ? 0 : -1;
}

static int close_pair(void **state) {
    (void)state;
    for (int i = 0; i < 2; i++)
        if (ends[i] >= 0) close(ends[i]);
    return 0;
}

static int open_descriptors(void) {
    int n = 0;
    DIR *d = opendir("/proc/self/fd");
    assert_non_null(d);
    while (readdir(d) != NULL)
        n++;
    closedir(d);
    return n;
}

static void messages_keep_their_bounds_and_order(void **state) {
    (void)state;
    uint8_t block[64];
    porch_buf in = PORCH_BUF_OF(block);
    assert_int_equal(porch_channel_send(ends[0], PORCH_LIT("one"), NULL, 0, 0, NULL), PORCH_OK);
    assert_int_equal(porch_channel_send(ends[0], PORCH_LIT("three"), NULL, 0, 0, NULL), PORCH_OK);
    assert_int_equal(porch_channel_receive(ends[1], &in, NULL, 0, NULL, 0, NULL), PORCH_OK);
    assert_true(porch_bytes_eq_text(porch_buf_bytes(&in), "one"));
    assert_int_equal(porch_channel_receive(ends[1], &in, NULL, 0, NULL, 0, NULL), PORCH_OK);
    assert_true(porch_bytes_eq_text(porch_buf_bytes(&in), "three"));
    assert_int_equal(porch_channel_receive(ends[1], &in, NULL, 0, NULL, 0, NULL), PORCH_ERR_TIMEOUT);
}

static void the_longest_message_goes_through_and_a_longer_one_does_not(void **state) {
    (void)state;
    uint8_t *out = test_calloc(1, PORCH_CHANNEL_MESSAGE_BYTES + 1),
            *back = test_malloc(PORCH_CHANNEL_MESSAGE_BYTES);
    for (size_t i = 0; i < PORCH_CHANNEL_MESSAGE_BYTES; i++)
        out[i] = (uint8_t)(i * 7);
    porch_buf in = {back, 0, PORCH_CHANNEL_MESSAGE_BYTES};
    porch_bytes whole = {out, PORCH_CHANNEL_MESSAGE_BYTES};
    assert_int_equal(porch_channel_send(ends[0], whole, NULL, 0, 0, NULL), PORCH_OK);
    assert_int_equal(porch_channel_receive(ends[1], &in, NULL, 0, NULL, 0, NULL), PORCH_OK);
    assert_true(porch_bytes_eq(porch_buf_bytes(&in), whole));
    whole.len++;
    assert_int_equal(porch_channel_send(ends[0], whole, NULL, 0, 0, NULL), PORCH_ERR_LIMIT);
    assert_int_equal(porch_channel_send(ends[0], (porch_bytes){out, 0}, NULL, 0, 0, NULL), PORCH_ERR_USAGE);
    test_free(out);
    test_free(back);
}

static void descriptors_travel_and_are_closed_on_exec(void **state) {
    (void)state;
    int pipe_ends[2];
    assert_int_equal(pipe2(pipe_ends, O_CLOEXEC), 0);
    assert_int_equal(porch_channel_send(ends[0], PORCH_LIT("fd"), &pipe_ends[1], 1, 0, NULL), PORCH_OK);
    uint8_t block[16];
    porch_buf in = PORCH_BUF_OF(block);
    int got[2] = {-1, -1};
    size_t n = 0;
    assert_int_equal(porch_channel_receive(ends[1], &in, got, 2, &n, 0, NULL), PORCH_OK);
    assert_int_equal(n, 1);
    assert_true((fcntl(got[0], F_GETFD) & FD_CLOEXEC) != 0);
    assert_int_equal(write(got[0], "z", 1), 1);
    char byte = 0;
    assert_int_equal(read(pipe_ends[0], &byte, 1), 1);
    assert_int_equal(byte, 'z');
    close(got[0]);
    close(pipe_ends[0]);
    close(pipe_ends[1]);
}

static void too_long_or_too_many_descriptors_is_dropped_without_a_leak(void **state) {
    (void)state;
    int before = open_descriptors();
    int gifts[3] = {STDERR_FILENO, STDERR_FILENO, STDERR_FILENO};
    uint8_t block[4];
    porch_buf in = PORCH_BUF_OF(block);
    int got[2];
    size_t n = 0;
    assert_int_equal(porch_channel_send(ends[0], PORCH_LIT("abc"), gifts, 3, 0, NULL), PORCH_OK);
    assert_int_equal(porch_channel_receive(ends[1], &in, got, 2, &n, 0, NULL), PORCH_ERR_LIMIT);
    assert_int_equal(porch_channel_send(ends[0], PORCH_LIT("abcdef"), gifts, 1, 0, NULL), PORCH_OK);
    assert_int_equal(porch_channel_receive(ends[1], &in, got, 2, &n, 0, NULL), PORCH_ERR_LIMIT);
    assert_int_equal(porch_channel_send(ends[0], PORCH_LIT("abc"), gifts, 1, 0, NULL), PORCH_OK);
    assert_int_equal(porch_channel_receive(ends[1], &in, NULL, 0, NULL, 0, NULL), PORCH_ERR_LIMIT);
    assert_int_equal(open_descriptors(), before);
    assert_int_equal(porch_channel_send(ends[0], PORCH_LIT("next"), NULL, 0, 0, NULL), PORCH_OK);
    assert_int_equal(porch_channel_receive(ends[1], &in, got, 2, &n, 0, NULL), PORCH_OK);
    assert_int_equal(n, 0);
}

static void the_end_of_the_other_side_is_told_and_raises_no_signal(void **state) {
    (void)state;
    assert_int_equal(porch_channel_send(ends[0], PORCH_LIT("last"), NULL, 0, 0, NULL), PORCH_OK);
    close(ends[0]);
    ends[0] = -1;
    uint8_t block[16];
    porch_buf in = PORCH_BUF_OF(block);
    assert_int_equal(porch_channel_receive(ends[1], &in, NULL, 0, NULL, -1, NULL), PORCH_OK);
    assert_int_equal(porch_channel_receive(ends[1], &in, NULL, 0, NULL, -1, NULL), PORCH_ERR_CLOSED);
    assert_int_equal(porch_channel_send(ends[1], PORCH_LIT("x"), NULL, 0, -1, NULL), PORCH_ERR_CLOSED);
}

static void *take_all(void *ctx) {
    size_t *count = ctx;
    uint8_t block[4096];
    porch_buf in = PORCH_BUF_OF(block);
    while (porch_channel_receive(ends[1], &in, NULL, 0, NULL, -1, NULL) == PORCH_OK)
        ++*count;
    return NULL;
}

static void last_words_are_heard_of_one_that_left_without_listening(void **state) {
    (void)state;
    uint8_t block[16];
    porch_buf in = PORCH_BUF_OF(block);
    assert_int_equal(porch_channel_send(ends[1], PORCH_LIT("unread"), NULL, 0, 0, NULL), PORCH_OK);
    assert_int_equal(porch_channel_send(ends[0], PORCH_LIT("one"), NULL, 0, 0, NULL), PORCH_OK);
    assert_int_equal(porch_channel_send(ends[0], PORCH_LIT("two"), NULL, 0, 0, NULL), PORCH_OK);
    close(ends[0]);
    ends[0] = -1;
    assert_int_equal(porch_channel_receive(ends[1], &in, NULL, 0, NULL, 0, NULL), PORCH_OK);
    assert_true(porch_bytes_eq_text(porch_buf_bytes(&in), "one"));
    assert_int_equal(porch_channel_receive(ends[1], &in, NULL, 0, NULL, 0, NULL), PORCH_OK);
    assert_true(porch_bytes_eq_text(porch_buf_bytes(&in), "two"));
    assert_int_equal(porch_channel_receive(ends[1], &in, NULL, 0, NULL, 0, NULL), PORCH_ERR_CLOSED);
}

static void a_full_queue_times_out_or_waits_until_it_is_taken(void **state) {
    (void)state;
    static const uint8_t block[4096];
    size_t sent = 0, taken = 0;
    while (porch_channel_send(ends[0], (porch_bytes){block, sizeof block}, NULL, 0, 0, NULL) == PORCH_OK)
        sent++;
    assert_true(sent > 10);
    assert_int_equal(porch_channel_send(ends[0], (porch_bytes){block, 4096}, NULL, 0, 0, NULL),
                     PORCH_ERR_TIMEOUT);
    pthread_t reader;
    assert_int_equal(pthread_create(&reader, NULL, take_all, &taken), 0);
    for (int i = 0; i < 500; i++, sent++)
        assert_int_equal(porch_channel_send(ends[0], (porch_bytes){block, 4096}, NULL, 0, -1, NULL),
                         PORCH_OK);
    assert_int_equal(shutdown(ends[0], SHUT_WR), 0);
    assert_int_equal(pthread_join(reader, NULL), 0);
    assert_int_equal(taken, sent);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(messages_keep_their_bounds_and_order, open_pair, close_pair),
        cmocka_unit_test_setup_teardown(the_longest_message_goes_through_and_a_longer_one_does_not,
                                        open_pair, close_pair),
        cmocka_unit_test_setup_teardown(descriptors_travel_and_are_closed_on_exec, open_pair, close_pair),
        cmocka_unit_test_setup_teardown(too_long_or_too_many_descriptors_is_dropped_without_a_leak,
                                        open_pair, close_pair),
        cmocka_unit_test_setup_teardown(the_end_of_the_other_side_is_told_and_raises_no_signal, open_pair,
                                        close_pair),
        cmocka_unit_test_setup_teardown(last_words_are_heard_of_one_that_left_without_listening, open_pair,
                                        close_pair),
        cmocka_unit_test_setup_teardown(a_full_queue_times_out_or_waits_until_it_is_taken, open_pair,
                                        close_pair),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
