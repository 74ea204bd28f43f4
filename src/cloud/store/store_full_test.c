/* A disk without space: what was answered durable stays, what was refused was not kept, and writing goes on
 * by itself when space returns. Once with the database at its greatest size, once with a file system that
 * refuses to let files grow. */
#include "cloud/store/store.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include <poll.h>
#include <signal.h>
#include <sys/eventfd.h>
#include <sys/resource.h>
#include <sys/stat.h>

#include <cmocka.h>

#include "cloud/store/store_testing.h"

enum { MOST = 20000, PAYLOAD_BYTES = 4000 };

typedef struct {
    store_lab lab;
    int event;
    porch_store_lane *lane;
    uint64_t sent, answered;
    bool kept[MOST + 1]; /* by ticket, which the payload begins with */
    porch_err refusal;
} sender;

static void ring(void *ctx) {
    uint64_t one = 1;
    if (write(*(int *)ctx, &one, sizeof one) != (ssize_t)sizeof one) abort();
}

static void start(sender *s) {
    memset(s, 0, sizeof *s);
    store_lab_make(&s->lab);
    s->lab.settings.store_keep_days = 0;
    if (store_lab_open(&s->lab) != PORCH_OK) fail_msg("%s", s->lab.why.text);
    s->event = eventfd(0, EFD_NONBLOCK);
    s->lane = porch_store_lane_open(s->lab.store, ring, &s->event);
}

static void take_answers(sender *s) {
    porch_store_answer answer;
    while (porch_store_lane_poll(s->lane, &answer)) {
        uint64_t upto = answer.upto;
        porch_err result = answer.result;
        for (uint64_t t = s->answered + 1; t <= upto; t++)
            s->kept[t] = result == PORCH_OK;
        if (result != PORCH_OK) s->refusal = result;
        s->answered = upto;
    }
}

/* Sends `count` messages in groups of 20 and waits for each group's answers. True when one was refused. */
static bool send_some(sender *s, unsigned count) {
    s->refusal = PORCH_OK;
    for (unsigned n = 0; n < count && s->refusal == PORCH_OK; n += 20) {
        for (int i = 0; i < 20; i++) {
            assert_true(s->sent < MOST);
            char payload[PAYLOAD_BYTES];
            memset(payload, '.', sizeof payload);
            (void)snprintf(payload, sizeof payload, "%llu", (unsigned long long)s->sent + 1);
            porch_store_message m = {.at_ms = 1,
                                     .device = PORCH_LIT("cam"),
                                     .topic = PORCH_LIT("d/cam/telemetry/t"),
                                     .payload = {(uint8_t *)payload, sizeof payload},
                                     .qos = 1};
            assert_int_equal(porch_store_lane_append(s->lane, &m, &s->sent), PORCH_OK);
        }
        for (take_answers(s); s->answered < s->sent; take_answers(s)) {
            struct pollfd p = {.fd = s->event, .events = POLLIN};
            uint64_t drop;
            if (poll(&p, 1, -1) == 1 && read(s->event, &drop, sizeof drop) < 0) fail();
        }
    }
    return s->refusal != PORCH_OK;
}

static porch_err compare_kept(porch_db *db, void *ctx, porch_why *why) {
    sender *s = ctx;
    bool *there = calloc(MOST + 1, sizeof *there);
    porch_db_query *q = porch_db_prepare(db, "select cast(payload as text) from message", why);
    porch_err e;
    while ((e = porch_db_step(q, why)) == PORCH_OK) {
        char number[32] = "";
        porch_bytes text = porch_db_text(q, 0);
        memcpy(number, text.at, text.len < sizeof number - 1 ? text.len : sizeof number - 1);
        unsigned long n = strtoul(number, NULL, 10);
        assert_in_range(n, 1, s->sent);
        assert_false(there[n]);
        there[n] = true;
    }
    assert_int_equal(e, PORCH_ERR_NOT_FOUND);
    for (uint64_t t = 1; t <= s->sent; t++)
        if (there[t] != s->kept[t])
            fail_msg("message %llu: answered %s, is %s", (unsigned long long)t,
                     s->kept[t] ? "durable" : "refused", there[t] ? "there" : "not there");
    free(there);
    return PORCH_OK;
}

static void finish(sender *s) {
    assert_int_equal(porch_store_read(s->lab.store, compare_kept, s, &s->lab.why), PORCH_OK);
    store_lab_close(&s->lab);
    assert_int_equal(store_lab_open(&s->lab), PORCH_OK);
    assert_int_equal(porch_store_read(s->lab.store, compare_kept, s, &s->lab.why), PORCH_OK);
    store_lab_remove(&s->lab);
    close(s->event);
    free(s);
}

static porch_err limit_pages(porch_db *db, void *ctx, porch_why *why) {
    return porch_db_run(db, ctx, why);
}

static porch_err write_table(porch_db *db, void *ctx, porch_why *why) {
    (void)ctx;
    return porch_db_run(db, "create table if not exists big as select zeroblob(400000) as b", why);
}

static void a_full_database_refuses_and_goes_on_when_it_may_grow(void **state) {
    (void)state;
    sender *s = malloc(sizeof *s);
    start(s);
    assert_false(send_some(s, 200));
    assert_int_equal(
        porch_store_write(s->lab.store, limit_pages, "pragma max_page_count = 400", &s->lab.why), PORCH_OK);
    assert_true(send_some(s, 5000));
    assert_int_equal(s->refusal, PORCH_ERR_FULL);
    assert_true(send_some(s, 5000)); /* still full: still refused, still alive */
    assert_int_equal(porch_store_write(s->lab.store, write_table, NULL, &s->lab.why), PORCH_ERR_FULL);
    porch_store_counts c;
    porch_store_count(s->lab.store, &c);
    assert_true(c.lost_batches >= 1);
    assert_int_equal(
        porch_store_write(s->lab.store, limit_pages, "pragma max_page_count = 1000000", &s->lab.why),
        PORCH_OK);
    assert_false(send_some(s, 400));
    porch_store_count(s->lab.store, &c);
    assert_int_equal(c.state, PORCH_OK);
    finish(s);
}

static void files_that_may_not_grow_refuse_and_go_on_when_they_may(void **state) {
    (void)state;
    sender *s = malloc(sizeof *s);
    start(s);
    assert_false(send_some(s, 200));
    struct rlimit before, limit;
    assert_int_equal(getrlimit(RLIMIT_FSIZE, &before), 0);
    char path[128];
    struct stat st;
    (void)snprintf(path, sizeof path, "%s/hub.db-wal", s->lab.dir);
    assert_int_equal(stat(path, &st), 0);
    for (int round = 0; round < 3; round++) {
        limit = before;
        limit.rlim_cur = (rlim_t)st.st_size + 1000000 + (rlim_t)round * 12345;
        assert_int_equal(setrlimit(RLIMIT_FSIZE, &limit), 0);
        bool refused = send_some(s, 4000);
        porch_err refusal = s->refusal;
        bool again = refused && send_some(s, 20);
        assert_int_equal(setrlimit(RLIMIT_FSIZE, &before), 0);
        assert_true(refused);
        assert_true(refusal == PORCH_ERR_IO || refusal == PORCH_ERR_FULL);
        (void)again; /* folding the log may have made room for these */
        assert_false(send_some(s, 200));
    }
    finish(s);
}

int main(void) {
    (void)signal(SIGXFSZ, SIG_IGN);
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_full_database_refuses_and_goes_on_when_it_may_grow),
        cmocka_unit_test(files_that_may_not_grow_refuse_and_go_on_when_they_may),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
