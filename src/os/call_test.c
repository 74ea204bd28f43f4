#include "os/call.h"

#include <pthread.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>

#include "base/cursor.h"
#include "os/channel.h"

/* A helper of straw: answers each request with its own bytes and one more, or does what its script says. */
typedef struct {
    int fd;
    int dies_after;           /* requests, then it closes; -1: never */
    bool stale_first;         /* sends an answer with another number before the right one */
    porch_call *successor_of; /* when it dies, a successor is attached there */
    int successor_fd;
} straw;

static void *serve(void *ctx) {
    straw *s = ctx;
    uint8_t block[64] = {0};
    for (int served = 0; served != s->dies_after; served++) {
        porch_buf b = PORCH_BUF_OF(block);
        if (porch_channel_receive(s->fd, &b, NULL, 0, NULL, -1, NULL) != PORCH_OK) break;
        if (s->stale_first) {
            static const uint8_t stale[] = {0xff, 0xff, 0xff, 0xff, 's'};
            (void)porch_channel_send(s->fd, (porch_bytes){stale, sizeof stale}, NULL, 0, -1, NULL);
        }
        (void)porch_write_u8(&b, '!');
        (void)porch_channel_send(s->fd, porch_buf_bytes(&b), NULL, 0, -1, NULL);
    }
    if (s->successor_of) {
        uint8_t unread[64];
        porch_buf b = PORCH_BUF_OF(unread);
        /* Dies with the request in its hands. */
        (void)porch_channel_receive(s->fd, &b, NULL, 0, NULL, -1, NULL);
    }
    close(s->fd);
    if (s->successor_of) porch_call_attach(s->successor_of, s->successor_fd);
    return NULL;
}

static porch_err ask(porch_call *c, bool repeat, uint32_t timeout_ms, char last[2]) {
    uint8_t request_block[16], answer_block[64];
    porch_buf request = PORCH_BUF_OF(request_block), answer = PORCH_BUF_OF(answer_block);
    (void)porch_write_text(&request, "....hi");
    porch_err e = porch_call_do(c, &request, repeat, timeout_ms, &answer, NULL);
    if (e == PORCH_OK) {
        assert_int_equal(answer.len, 7);
        assert_memory_equal(answer.at + 4, "hi!", 3);
        last[0] = (char)answer.at[3];
    }
    return e;
}

static int attach_straw(porch_call *c, straw *s, pthread_t *thread) {
    int pair[2];
    assert_int_equal(porch_channel_pair(pair, NULL), PORCH_OK);
    s->fd = pair[1];
    if (c) porch_call_attach(c, pair[0]);
    pthread_create(thread, NULL, serve, s);
    return pair[0];
}

static void calls_are_numbered_and_stale_answers_dropped(void **state) {
    porch_call *c = porch_call_new("helper", 1000);
    straw s = {.dies_after = -1, .stale_first = true};
    pthread_t thread;
    char first[2], second[2];
    (void)state;
    attach_straw(c, &s, &thread);
    assert_int_equal(ask(c, false, 60000, first), PORCH_OK);
    assert_int_equal(ask(c, false, 60000, second), PORCH_OK);
    assert_int_not_equal(first[0], second[0]);
    porch_call_free(c);
    pthread_join(thread, NULL);
}

static void without_a_helper_a_call_gives_up_after_its_patience(void **state) {
    porch_call *c = porch_call_new("helper", 1);
    char last[2];
    (void)state;
    assert_false(porch_call_attached(c));
    assert_int_equal(ask(c, true, 60000, last), PORCH_ERR_CHILD);
    porch_call_free(c);
}

static void a_harmless_call_is_repeated_with_the_successor_of_a_helper_that_died_under_it(void **state) {
    porch_call *c = porch_call_new("helper", 60000);
    straw second = {.dies_after = -1};
    straw first = {.dies_after = 0, .successor_of = c};
    pthread_t threads[2];
    char last[2];
    (void)state;
    first.successor_fd = attach_straw(NULL, &second, &threads[1]);
    attach_straw(c, &first, &threads[0]);
    assert_int_equal(ask(c, true, 60000, last), PORCH_OK);
    pthread_join(threads[0], NULL);
    porch_call_free(c);
    pthread_join(threads[1], NULL);
}

static void a_call_that_may_not_be_repeated_fails_and_the_next_one_works(void **state) {
    porch_call *c = porch_call_new("helper", 60000);
    straw second = {.dies_after = -1};
    straw first = {.dies_after = 0, .successor_of = c};
    pthread_t threads[2];
    char last[2];
    (void)state;
    first.successor_fd = attach_straw(NULL, &second, &threads[1]);
    attach_straw(c, &first, &threads[0]);
    assert_int_equal(ask(c, false, 60000, last), PORCH_ERR_CHILD);
    assert_int_equal(ask(c, false, 60000, last), PORCH_OK);
    pthread_join(threads[0], NULL);
    porch_call_free(c);
    pthread_join(threads[1], NULL);
}

static void a_helper_that_does_not_answer_in_time_keeps_its_socket(void **state) {
    porch_call *c = porch_call_new("helper", 60000);
    int pair[2];
    char last[2];
    uint8_t block[64];
    porch_buf late = PORCH_BUF_OF(block);
    (void)state;
    assert_int_equal(porch_channel_pair(pair, NULL), PORCH_OK);
    porch_call_attach(c, pair[0]);
    assert_int_equal(ask(c, true, 1, last), PORCH_ERR_TIMEOUT);
    assert_true(porch_call_attached(c));
    /* Its late answer is not taken for the next call's. */
    assert_int_equal(porch_channel_receive(pair[1], &late, NULL, 0, NULL, -1, NULL), PORCH_OK);
    assert_int_equal(porch_channel_send(pair[1], porch_buf_bytes(&late), NULL, 0, -1, NULL), PORCH_OK);
    assert_int_equal(ask(c, true, 1, last), PORCH_ERR_TIMEOUT);
    close(pair[1]);
    porch_call_free(c);
}

static void a_head_reads_back_and_one_cut_short_or_of_another_version_is_refused(void **state) {
    uint8_t block[16];
    porch_buf b = PORCH_BUF_OF(block);
    uint32_t number = 0;
    porch_err error = PORCH_OK;
    (void)state;
    assert_int_equal(porch_call_answer_write(&b, 7, 3, PORCH_ERR_DENIED), PORCH_OK);
    for (size_t n = 0; n < b.len; n++) {
        porch_reader cut = porch_reader_of((porch_bytes){block, n});
        assert_int_equal(porch_call_answer_read(&cut, 3, &number, &error), PORCH_ERR_TRUNCATED);
    }
    porch_reader whole = porch_reader_of(porch_buf_bytes(&b)), other = whole, request = whole;
    assert_int_equal(porch_call_answer_read(&whole, 3, &number, &error), PORCH_OK);
    assert_int_equal(number, 7);
    assert_int_equal(error, PORCH_ERR_DENIED);
    assert_true(porch_reader_done(&whole));
    assert_int_equal(porch_call_answer_read(&other, 4, &number, &error), PORCH_ERR_UNSUPPORTED);
    assert_int_equal(porch_call_request_read(&request, 3, &number), PORCH_OK);
    block[b.len - 1] = PORCH_ERR_COUNT;
    porch_reader unknown = porch_reader_of(porch_buf_bytes(&b));
    assert_int_equal(porch_call_answer_read(&unknown, 3, &number, &error), PORCH_ERR_MALFORMED);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(calls_are_numbered_and_stale_answers_dropped),
        cmocka_unit_test(without_a_helper_a_call_gives_up_after_its_patience),
        cmocka_unit_test(a_harmless_call_is_repeated_with_the_successor_of_a_helper_that_died_under_it),
        cmocka_unit_test(a_call_that_may_not_be_repeated_fails_and_the_next_one_works),
        cmocka_unit_test(a_helper_that_does_not_answer_in_time_keeps_its_socket),
        cmocka_unit_test(a_head_reads_back_and_one_cut_short_or_of_another_version_is_refused),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
