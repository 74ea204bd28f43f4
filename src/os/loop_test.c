#include "os/loop.h"

#include <pthread.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include <cmocka.h>

/* The wheel is tested against its inside, with a clock that the test turns by hand. */
#include "os/loop.c" /* NOLINT(bugprone-suspicious-include) */

static porch_loop *new_loop(void) {
    porch_loop *loop = NULL;
    assert_int_equal(porch_loop_new(&loop, NULL), PORCH_OK);
    return loop;
}

typedef struct {
    porch_loop_watch watch;
    porch_loop *loop;
    int calls;
    porch_loop_watch *victim;
} seen;

static void on_seen(void *ctx, uint32_t events) {
    seen *s = ctx;
    assert_true((events & EPOLLIN) != 0);
    s->calls++;
    if (s->victim != NULL) porch_loop_del(s->loop, s->victim);
}

static void a_ready_descriptor_calls_back_until_it_is_deleted(void **state) {
    (void)state;
    porch_loop *loop = new_loop();
    int ends[2];
    assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM, 0, ends), 0);
    seen s = {.loop = loop};
    assert_int_equal(porch_loop_add(loop, &s.watch, ends[0], EPOLLIN, on_seen, &s), PORCH_OK);
    assert_int_equal(porch_loop_turn(loop, 0), PORCH_OK);
    assert_int_equal(s.calls, 0);
    assert_int_equal(write(ends[1], "x", 1), 1);
    assert_int_equal(porch_loop_turn(loop, -1), PORCH_OK);
    assert_int_equal(porch_loop_turn(loop, -1), PORCH_OK);
    assert_int_equal(s.calls, 2);
    assert_int_equal(porch_loop_mod(loop, &s.watch, EPOLLRDHUP), PORCH_OK);
    assert_int_equal(porch_loop_turn(loop, 0), PORCH_OK);
    assert_int_equal(s.calls, 2);
    porch_loop_del(loop, &s.watch);
    porch_loop_del(loop, &s.watch);
    assert_int_equal(porch_loop_turn(loop, 0), PORCH_OK);
    assert_int_equal(s.calls, 2);
    close(ends[0]);
    close(ends[1]);
    porch_loop_free(loop);
}

static void a_watch_deleted_by_another_in_the_same_turn_is_not_called(void **state) {
    (void)state;
    porch_loop *loop = new_loop();
    int ends[2];
    assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM, 0, ends), 0);
    seen a = {.loop = loop}, b = {.loop = loop};
    a.victim = &b.watch;
    b.victim = &a.watch;
    assert_int_equal(porch_loop_add(loop, &a.watch, ends[0], EPOLLIN, on_seen, &a), PORCH_OK);
    assert_int_equal(porch_loop_add(loop, &b.watch, ends[1], EPOLLIN, on_seen, &b), PORCH_OK);
    assert_int_equal(write(ends[0], "x", 1), 1);
    assert_int_equal(write(ends[1], "x", 1), 1);
    assert_int_equal(porch_loop_turn(loop, -1), PORCH_OK);
    assert_int_equal(a.calls + b.calls, 1);
    close(ends[0]);
    close(ends[1]);
    porch_loop_free(loop);
}

typedef struct {
    porch_loop_timer timer;
    porch_loop *loop;
    uint64_t due, fired_at;
    int fired;
    porch_loop_timer *victim;
} alarm_row;

static void on_alarm(void *ctx) {
    alarm_row *a = ctx;
    a->fired++;
    a->fired_at = a->loop->now_ms;
    if (a->victim != NULL) porch_loop_timer_clear(a->loop, a->victim);
}

static uint64_t some(uint64_t *seed) {
    *seed = *seed * 6364136223846793005u + 1442695040888963407u;
    return *seed >> 20;
}

static void timers_fire_once_in_time_and_never_early_whatever_the_distance(void **state) {
    (void)state;
    enum { COUNT = 4000 };
    static alarm_row rows[COUNT];
    uint64_t seed = 7;
    porch_loop *loop = new_loop();
    /* Begin shortly before the top level's end, so that it is passed. */
    loop->now_ms = loop->wheel_ms = (UINT64_C(1) << 36) - 5000;
    memset(rows, 0, sizeof rows);
    uint64_t begin = loop->now_ms, last = 0;
    for (size_t i = 0; i < COUNT; i++) {
        uint64_t after = some(&seed) & ((UINT64_C(1) << (1 + i % 34)) - 1);
        rows[i].loop = loop;
        rows[i].due = begin + (after == 0 ? 1 : after);
        if (rows[i].due > last) last = rows[i].due;
        porch_loop_timer_set(loop, &rows[i].timer, after, on_alarm, &rows[i]);
    }
    for (size_t i = 0; i < COUNT; i += 5)
        porch_loop_timer_clear(loop, &rows[i].timer);
    while (loop->now_ms <= last) {
        uint64_t before = loop->now_ms;
        uint32_t slot = 0;
        uint64_t next = wheel_next(loop, &slot), step = 1 + some(&seed) % 40;
        if (next != UINT64_MAX && next > before + step)
            step = next - before; /* what the loop's sleep does */
        loop->now_ms = before + step;
        wheel_turn(loop);
        for (size_t i = 0; i < COUNT && loop->now_ms < begin + 20000; i++)
            if (i % 5 != 0) assert_int_equal(rows[i].fired, rows[i].due <= loop->now_ms);
    }
    for (size_t i = 0; i < COUNT; i++) {
        assert_int_equal(rows[i].fired, i % 5 != 0);
        if (rows[i].fired) assert_true(rows[i].fired_at >= rows[i].due);
        if (rows[i].fired) assert_true(rows[i].fired_at <= rows[i].due + 40);
    }
    for (size_t i = 0; i < LEVELS; i++)
        assert_int_equal(loop->occupied[i], 0);
    porch_loop_free(loop);
}

static void on_rearm(void *ctx) {
    alarm_row *a = ctx;
    a->fired++;
    porch_loop_timer_set(a->loop, &a->timer, 0, on_rearm, a);
}

static void a_timer_that_re_arms_itself_does_not_hold_the_turn(void **state) {
    (void)state;
    porch_loop *loop = new_loop();
    alarm_row a = {.loop = loop};
    porch_loop_timer_set(loop, &a.timer, 0, on_rearm, &a);
    loop->now_ms += 100;
    wheel_turn(loop);
    assert_int_equal(a.fired, 1);
    loop->now_ms += 100;
    wheel_turn(loop);
    assert_int_equal(a.fired, 2);
    porch_loop_free(loop);
}

static void a_timer_cleared_by_one_due_with_it_does_not_fire(void **state) {
    (void)state;
    porch_loop *loop = new_loop();
    alarm_row a = {.loop = loop}, b = {.loop = loop};
    a.victim = &b.timer;
    b.victim = &a.timer;
    porch_loop_timer_set(loop, &a.timer, 50, on_alarm, &a);
    porch_loop_timer_set(loop, &b.timer, 50, on_alarm, &b);
    loop->now_ms += 60;
    wheel_turn(loop);
    assert_int_equal(a.fired + b.fired, 1);
    porch_loop_free(loop);
}

static void on_stop(void *ctx) {
    porch_loop_stop(ctx);
}

static void a_real_timer_ends_a_running_loop(void **state) {
    (void)state;
    porch_loop *loop = new_loop();
    porch_loop_timer t = {0};
    uint64_t begin = porch_loop_now(loop);
    porch_loop_timer_set(loop, &t, 20, on_stop, loop);
    assert_int_equal(porch_loop_run(loop), PORCH_OK);
    assert_true(porch_loop_now(loop) >= begin + 20);
    porch_loop_free(loop);
}

typedef struct {
    porch_loop *loop;
    int wakes, turns;
} counts;

static void on_wake_count(void *ctx) {
    counts *c = ctx;
    if (++c->wakes == 100) porch_loop_stop(c->loop);
    porch_loop_wake(c->loop);
}

static void on_turn_count(void *ctx) {
    ((counts *)ctx)->turns++;
}

static void *wake_once(void *ctx) {
    porch_loop_wake(ctx);
    return NULL;
}

static void a_wake_from_another_thread_is_heard_once_a_turn(void **state) {
    (void)state;
    porch_loop *loop = new_loop();
    counts c = {.loop = loop};
    porch_loop_on_wake(loop, on_wake_count, &c);
    porch_loop_on_turn(loop, on_turn_count, &c);
    pthread_t other;
    assert_int_equal(pthread_create(&other, NULL, wake_once, loop), 0);
    assert_int_equal(porch_loop_run(loop), PORCH_OK);
    assert_int_equal(pthread_join(other, NULL), 0);
    assert_int_equal(c.wakes, 100);
    assert_true(c.turns >= 100);
    porch_loop_free(loop);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_ready_descriptor_calls_back_until_it_is_deleted),
        cmocka_unit_test(a_watch_deleted_by_another_in_the_same_turn_is_not_called),
        cmocka_unit_test(timers_fire_once_in_time_and_never_early_whatever_the_distance),
        cmocka_unit_test(a_timer_that_re_arms_itself_does_not_hold_the_turn),
        cmocka_unit_test(a_timer_cleared_by_one_due_with_it_does_not_fire),
        cmocka_unit_test(a_real_timer_ends_a_running_loop),
        cmocka_unit_test(a_wake_from_another_thread_is_heard_once_a_turn),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
