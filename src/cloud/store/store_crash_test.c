/* Kills a store in the middle of its work, again and again: whatever it had reported durable is there. */
#include "cloud/store/store.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include <poll.h>
#include <signal.h>
#include <sys/eventfd.h>
#include <sys/wait.h>

#include <cmocka.h>

#include "cloud/store/store_testing.h"

enum { ROUNDS = 12, LANES = 2 };

/* What the child reports through the pipe: message `number` of `lane` in this round is durable, and all of
 * that lane before it. Lane 2 stands for porch_store_write. */
typedef struct {
    uint32_t lane;
    uint32_t number;
} report;

static void ring(void *ctx) {
    uint64_t one = 1;
    if (write(*(int *)ctx, &one, sizeof one) != (ssize_t)sizeof one) abort();
}

static void tell(int pipe_fd, uint32_t lane, uint64_t number) {
    report r = {lane, (uint32_t)number};
    if (write(pipe_fd, &r, sizeof r) != (ssize_t)sizeof r) _exit(0);
}

typedef struct {
    unsigned round, number;
} written;

static porch_err write_note(porch_db *db, void *ctx, porch_why *why) {
    const written *w = ctx;
    porch_db_query *q = porch_db_prepare(db, "insert into note (round, number) values (?1, ?2)", why);
    porch_db_bind_i64(q, 1, w->round);
    porch_db_bind_i64(q, 2, w->number);
    return porch_db_execute(q, why);
}

static porch_err make_notes(porch_db *db, void *ctx, porch_why *why) {
    (void)ctx;
    return porch_db_run(db, "create table if not exists note (round integer, number integer)", why);
}

/* Appends to both lanes as fast as they take it and reports what turns durable. Never returns. */
static void child(store_lab *lab, unsigned round, int pipe_fd) {
    if (store_lab_open(lab) != PORCH_OK) abort();
    if (porch_store_write(lab->store, make_notes, NULL, &lab->why) != PORCH_OK) abort();
    int event = eventfd(0, EFD_NONBLOCK);
    porch_store_lane *lanes[LANES];
    for (int i = 0; i < LANES; i++)
        lanes[i] = porch_store_lane_open(lab->store, ring, &event);
    unsigned notes = 0;
    for (uint64_t turn = 0;; turn++) {
        bool stuck = true;
        for (uint32_t i = 0; i < LANES; i++) {
            for (int n = 0; n < 20; n++) {
                char payload[300];
                memset(payload, 'p', sizeof payload);
                int len = snprintf(payload, sizeof payload, "%u/%u/", round, i);
                porch_store_message m = {.at_ms = turn,
                                         .device = PORCH_LIT("cam"),
                                         .topic = PORCH_LIT("d/cam/telemetry/t"),
                                         .payload = {(uint8_t *)payload, (size_t)len + (turn * 37) % 200},
                                         .qos = 1};
                uint64_t ticket = 0;
                if (porch_store_lane_append(lanes[i], &m, &ticket) == PORCH_OK) stuck = false;
            }
            porch_store_answer answer;
            while (porch_store_lane_poll(lanes[i], &answer)) {
                if (answer.result != PORCH_OK) abort();
                tell(pipe_fd, i, answer.upto);
            }
        }
        if (turn % 64 == 0) {
            written w = {round, ++notes};
            if (porch_store_write(lab->store, write_note, &w, &lab->why) != PORCH_OK) abort();
            tell(pipe_fd, LANES, notes);
        }
        struct pollfd p = {.fd = event, .events = POLLIN};
        uint64_t drop;
        if (stuck && poll(&p, 1, -1) == 1 && read(event, &drop, sizeof drop) < 0) abort();
    }
}

typedef struct {
    unsigned round;
    uint32_t durable[LANES + 1];
    uint32_t found[LANES + 1];
} expectation;

static porch_err count_found(porch_db *db, void *ctx, porch_why *why) {
    expectation *x = ctx;
    for (uint32_t i = 0; i < LANES; i++) {
        char prefix[32];
        int len = snprintf(prefix, sizeof prefix, "%u/%u/", x->round, i);
        porch_db_query *q = porch_db_prepare(
            db, "select count(*) from message where substr(payload, 1, ?1) = cast(?2 as blob)", why);
        porch_db_bind_i64(q, 1, len);
        porch_db_bind_str(q, 2, prefix);
        PORCH_TRY(porch_db_step(q, why));
        x->found[i] = (uint32_t)porch_db_i64(q, 0);
        porch_db_finish(q);
    }
    porch_db_query *q =
        porch_db_prepare(db, "select coalesce(max(number), 0), count(*) from note where round = ?1", why);
    porch_db_bind_i64(q, 1, x->round);
    PORCH_TRY(porch_db_step(q, why));
    x->found[LANES] = (uint32_t)porch_db_i64(q, 0);
    assert_int_equal(porch_db_i64(q, 0), porch_db_i64(q, 1));
    porch_db_finish(q);
    q = porch_db_prepare(db, "select max(seq) - count(*) from message", why);
    PORCH_TRY(porch_db_step(q, why));
    assert_int_equal(porch_db_i64(q, 0), 0); /* no hole */
    porch_db_finish(q);
    q = porch_db_prepare(db, "pragma quick_check", why);
    PORCH_TRY(porch_db_step(q, why));
    assert_true(porch_bytes_eq_text(porch_db_text(q, 0), "ok"));
    return PORCH_OK;
}

static void one_round(store_lab *lab, unsigned round, unsigned reports) {
    int ends[2];
    assert_int_equal(pipe(ends), 0);
    pid_t pid = fork();
    assert_true(pid >= 0);
    if (pid == 0) {
        close(ends[0]);
        child(lab, round, ends[1]);
    }
    close(ends[1]);
    expectation x = {.round = round};
    report r;
    for (unsigned n = 0; read(ends[0], &r, sizeof r) == (ssize_t)sizeof r; n++) {
        assert_in_range(r.lane, 0, LANES);
        if (r.number > x.durable[r.lane]) x.durable[r.lane] = r.number;
        if (n == reports) kill(pid, SIGKILL); /* and read what it had still said */
    }
    close(ends[0]);
    int status = 0;
    assert_int_equal(waitpid(pid, &status, 0), pid);
    assert_true(WIFSIGNALED(status) && WTERMSIG(status) == SIGKILL);

    if (store_lab_open(lab) != PORCH_OK) fail_msg("round %u: %s", round, lab->why.text);
    assert_int_equal(porch_store_read(lab->store, count_found, &x, &lab->why), PORCH_OK);
    store_lab_close(lab);
    for (unsigned i = 0; i <= LANES; i++)
        if (x.found[i] < x.durable[i])
            fail_msg("round %u lane %u: %u were reported durable, %u are there", round, i, x.durable[i],
                     x.found[i]);
    assert_true(x.durable[0] > 0 || x.durable[1] > 0);
}

static void every_ticket_reported_durable_is_there_after_kill_9(void **state) {
    (void)state;
    store_lab lab;
    store_lab_make(&lab);
    lab.settings.store_keep_days = 0;
    lab.settings.store_checkpoint_pages = 300; /* kills fall into folding the log, too */
    unsigned seed = (unsigned)getpid();
    for (unsigned round = 1; round <= ROUNDS; round++) {
        seed = seed * 1664525u + 1013904223u;
        one_round(&lab, round, 2 + (seed >> 16) % 100);
    }
    store_lab_remove(&lab);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(every_ticket_reported_durable_is_there_after_kill_9),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
