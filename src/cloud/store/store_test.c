#include "cloud/store/store.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdatomic.h>
#include <stddef.h>

#include <pthread.h>
#include <sched.h>
#include <semaphore.h>
#include <sys/stat.h>

#include <cmocka.h>

#include "cloud/store/store_testing.h"
#include "os/clock.h"
#include "os/log.h"

static int make_lab(void **state) {
    store_lab *lab = malloc(sizeof *lab);
    store_lab_make(lab);
    if (store_lab_open(lab) != PORCH_OK) fail_msg("%s", lab->why.text);
    *state = lab;
    return 0;
}

static int drop_lab(void **state) {
    store_lab_remove(*state);
    free(*state);
    return 0;
}

/* ---- statements --------------------------------------------------------------------------------- */

static porch_err make_table(porch_db *db, void *ctx, porch_why *why) {
    (void)ctx;
    return porch_db_run(db, "create table t (name text primary key, n integer, r real, b blob)", why);
}

static porch_err insert_name(porch_db *db, void *ctx, porch_why *why) {
    porch_db_query *q = porch_db_prepare(db, "insert into t (name, n, r, b) values (?1, ?2, ?3, ?4)", why);
    porch_db_bind_str(q, 1, ctx);
    porch_db_bind_i64(q, 2, INT64_MIN);
    porch_db_bind_real(q, 3, 0.25);
    porch_db_bind_blob(q, 4, (porch_bytes){NULL, 0});
    return porch_db_execute(q, why);
}

static porch_err insert_and_fail(porch_db *db, void *ctx, porch_why *why) {
    porch_err e = insert_name(db, ctx, why);
    return e != PORCH_OK ? e : porch_fail(why, PORCH_ERR_STATE, "changed my mind");
}

static porch_err count_rows(porch_db *db, void *ctx, porch_why *why) {
    porch_db_query *q = porch_db_prepare(db, "select count(*) from t", why);
    porch_err e = porch_db_step(q, why);
    *(int64_t *)ctx = porch_db_i64(q, 0);
    porch_db_finish(q);
    return e;
}

static int64_t rows(store_lab *lab) {
    int64_t n = -1;
    if (porch_store_read(lab->store, count_rows, &n, &lab->why) != PORCH_OK) fail_msg("%s", lab->why.text);
    return n;
}

static porch_err look_at_row(porch_db *db, void *ctx, porch_why *why) {
    (void)ctx;
    porch_db_query *q = porch_db_prepare(db, "select name, n, r, b, null from t", why);
    assert_int_equal(porch_db_step(q, why), PORCH_OK);
    assert_true(porch_bytes_eq_text(porch_db_text(q, 0), "a"));
    assert_true(porch_db_i64(q, 1) == INT64_MIN);
    assert_true(porch_db_real(q, 2) == 0.25);
    assert_int_equal(porch_db_blob(q, 3).len, 0);
    assert_false(porch_db_is_null(q, 3));
    assert_true(porch_db_is_null(q, 4));
    assert_int_equal(porch_db_step(q, why), PORCH_ERR_NOT_FOUND);
    porch_db_finish(q);
    /* the same text twice at once gives two independent queries */
    porch_db_query *outer = porch_db_prepare(db, "select name from t", why);
    assert_int_equal(porch_db_step(outer, why), PORCH_OK);
    porch_db_query *inner = porch_db_prepare(db, "select name from t", why);
    assert_int_equal(porch_db_step(inner, why), PORCH_OK);
    assert_int_equal(porch_db_step(inner, why), PORCH_ERR_NOT_FOUND);
    porch_db_finish(inner);
    assert_int_equal(porch_db_step(outer, why), PORCH_ERR_NOT_FOUND);
    return PORCH_OK; /* `outer` is forgotten: the store gives it back */
}

static porch_err wrong_sql(porch_db *db, void *ctx, porch_why *why) {
    (void)ctx;
    porch_db_query *q = porch_db_prepare(db, "select a from nowhere", why);
    assert_null(q);
    porch_db_bind_i64(q, 1, 1);
    return porch_db_step(q, why);
}

static porch_err write_in_read(porch_db *db, void *ctx, porch_why *why) {
    (void)ctx;
    return porch_db_run(db, "delete from t", why);
}

static void values_come_back_as_they_went_in(void **state) {
    store_lab *lab = *state;
    assert_int_equal(porch_store_write(lab->store, make_table, NULL, &lab->why), PORCH_OK);
    assert_int_equal(porch_store_write(lab->store, insert_name, "a", &lab->why), PORCH_OK);
    assert_int_equal(porch_store_read(lab->store, look_at_row, NULL, &lab->why), PORCH_OK);
    assert_int_equal(rows(lab), 1);
}

static void a_write_that_fails_leaves_nothing_behind(void **state) {
    store_lab *lab = *state;
    assert_int_equal(porch_store_write(lab->store, make_table, NULL, &lab->why), PORCH_OK);
    assert_int_equal(porch_store_write(lab->store, insert_and_fail, "a", &lab->why), PORCH_ERR_STATE);
    assert_string_equal(lab->why.text, "changed my mind");
    assert_int_equal(rows(lab), 0);
    assert_int_equal(porch_store_write(lab->store, insert_name, "a", &lab->why), PORCH_OK);
    assert_int_equal(porch_store_write(lab->store, insert_name, "a", &lab->why), PORCH_ERR_EXISTS);
    assert_int_equal(rows(lab), 1);
}

static void a_wrong_statement_is_an_error_with_a_sentence(void **state) {
    store_lab *lab = *state;
    assert_int_equal(porch_store_write(lab->store, wrong_sql, NULL, &lab->why), PORCH_ERR_DATABASE);
    if (strstr(lab->why.text, "nowhere") == NULL) fail_msg("%s", lab->why.text);
}

static void a_read_cannot_write(void **state) {
    store_lab *lab = *state;
    assert_int_equal(porch_store_write(lab->store, make_table, NULL, &lab->why), PORCH_OK);
    assert_int_equal(porch_store_write(lab->store, insert_name, "a", &lab->why), PORCH_OK);
    assert_int_equal(porch_store_read(lab->store, write_in_read, NULL, &lab->why), PORCH_ERR_DATABASE);
    assert_int_equal(rows(lab), 1);
}

typedef struct {
    store_lab *lab;
    porch_err inner;
} nested;

static porch_err write_in_write(porch_db *db, void *ctx, porch_why *why) {
    (void)db;
    nested *n = ctx;
    n->inner = porch_store_write(n->lab->store, insert_name, "a", why);
    return PORCH_OK;
}

static void a_write_inside_a_write_is_refused_instead_of_waiting_for_ever(void **state) {
    nested n = {*state, PORCH_OK};
    assert_int_equal(porch_store_write(n.lab->store, write_in_write, &n, &n.lab->why), PORCH_OK);
    assert_int_equal(n.inner, PORCH_ERR_INTERNAL);
}

typedef struct {
    store_lab *lab;
    int number;
} name_writer;

static void *write_names(void *arg) {
    name_writer *w = arg;
    for (int i = 0; i < 50; i++) {
        char name[32];
        porch_why why = {""};
        (void)snprintf(name, sizeof name, "%d-%d", w->number, i);
        if (porch_store_write(w->lab->store, insert_name, name, &why) != PORCH_OK) abort();
        int64_t n = 0;
        if (porch_store_read(w->lab->store, count_rows, &n, &why) != PORCH_OK || n < i + 1) abort();
    }
    return NULL;
}

static void many_threads_write_and_each_reads_its_own_writes(void **state) {
    store_lab *lab = *state;
    assert_int_equal(porch_store_write(lab->store, make_table, NULL, &lab->why), PORCH_OK);
    pthread_t threads[8];
    name_writer writers[8];
    for (int i = 0; i < 8; i++) {
        writers[i] = (name_writer){lab, i};
        assert_int_equal(pthread_create(&threads[i], NULL, write_names, &writers[i]), 0);
    }
    for (int i = 0; i < 8; i++)
        pthread_join(threads[i], NULL);
    assert_int_equal(rows(lab), 400);
}

/* ---- messages ----------------------------------------------------------------------------------- */

typedef struct {
    pthread_mutex_t lock;
    pthread_cond_t news;
    unsigned wakes;
} bell;

#define BELL \
    { PTHREAD_MUTEX_INITIALIZER, PTHREAD_COND_INITIALIZER, 0 }

static void ring(void *ctx) {
    bell *b = ctx;
    pthread_mutex_lock(&b->lock);
    b->wakes++;
    pthread_cond_signal(&b->news);
    pthread_mutex_unlock(&b->lock);
}

/* Waits until every ticket up to `last` is answered; counts those that were not PORCH_OK. */
static uint64_t wait_for(porch_store_lane *lane, bell *b, uint64_t last, porch_err *other) {
    uint64_t done = 0, refused = 0;
    porch_store_answer answer;
    while (done < last) {
        if (porch_store_lane_poll(lane, &answer)) {
            uint64_t upto = answer.upto;
            porch_err result = answer.result;
            assert_true(upto > done);
            if (result != PORCH_OK) {
                refused += upto - done;
                *other = result;
            }
            done = upto;
            continue;
        }
        pthread_mutex_lock(&b->lock);
        while (b->wakes == 0)
            pthread_cond_wait(&b->news, &b->lock);
        b->wakes = 0;
        pthread_mutex_unlock(&b->lock);
    }
    return refused;
}

static porch_store_message message(const char *device, const char *topic, const char *payload) {
    return (porch_store_message){.at_ms = 1000,
                                 .device = porch_bytes_of(device),
                                 .topic = porch_bytes_of(topic),
                                 .payload = porch_bytes_of(payload),
                                 .qos = 1};
}

static porch_err check_messages(porch_db *db, void *ctx, porch_why *why) {
    porch_db_query *q = porch_db_prepare(
        db, "select seq, device, topic, qos, payload, at_ms from message order by seq", why);
    int64_t expected = 0;
    while (porch_db_step(q, why) == PORCH_OK) {
        char payload[32];
        expected++;
        (void)snprintf(payload, sizeof payload, "payload %lld", (long long)expected);
        assert_int_equal(porch_db_i64(q, 0), expected);
        assert_true(porch_bytes_eq_text(porch_db_text(q, 1), "cam"));
        assert_true(porch_bytes_eq_text(porch_db_text(q, 2), "d/cam/event/motion"));
        assert_int_equal(porch_db_i64(q, 3), 1);
        assert_true(porch_bytes_eq_text(porch_db_blob(q, 4), payload));
        assert_int_equal(porch_db_i64(q, 5), 1000);
    }
    *(int64_t *)ctx = expected;
    return PORCH_OK;
}

static void messages_are_stored_in_order_and_their_tickets_turn_durable(void **state) {
    store_lab *lab = *state;
    bell b = BELL;
    porch_store_lane *lane = porch_store_lane_open(lab->store, ring, &b);
    assert_non_null(lane);
    for (uint64_t i = 1; i <= 3000; i++) {
        char payload[32];
        (void)snprintf(payload, sizeof payload, "payload %llu", (unsigned long long)i);
        porch_store_message m = message("cam", "d/cam/event/motion", payload);
        uint64_t ticket = 0;
        assert_int_equal(porch_store_lane_append(lane, &m, &ticket), PORCH_OK);
        assert_int_equal(ticket, i);
    }
    porch_err other = PORCH_OK;
    assert_int_equal(wait_for(lane, &b, 3000, &other), 0);
    assert_int_equal(porch_store_durable_seq(lab->store), 3000);
    int64_t seen = 0;
    assert_int_equal(porch_store_read(lab->store, check_messages, &seen, &lab->why), PORCH_OK);
    assert_int_equal(seen, 3000);
    store_lab_close(lab);
    assert_int_equal(store_lab_open(lab), PORCH_OK);
    assert_int_equal(porch_store_durable_seq(lab->store), 3000);
}

static void a_full_lane_says_busy_and_takes_more_after_it_was_emptied(void **state) {
    store_lab *lab = *state;
    store_lab_close(lab);
    lab->settings.store_lane_bytes = 65536;
    assert_int_equal(store_lab_open(lab), PORCH_OK);
    bell b = BELL;
    porch_store_lane *lane = porch_store_lane_open(lab->store, ring, &b);
    static char payload[5000];
    memset(payload, 'x', sizeof payload - 1);
    porch_store_message m = message("cam", "d/cam/event/motion", payload);
    uint64_t ticket = 0, last = 0;
    unsigned busy = 0;
    for (int i = 0; i < 2000; i++) {
        porch_err e = porch_store_lane_append(lane, &m, &ticket);
        if (e == PORCH_OK) {
            last = ticket;
            continue;
        }
        assert_int_equal(e, PORCH_ERR_BUSY);
        busy++;
        pthread_mutex_lock(&b.lock);
        while (b.wakes == 0)
            pthread_cond_wait(&b.news, &b.lock);
        b.wakes = 0;
        pthread_mutex_unlock(&b.lock);
        porch_store_answer answer;
        while (porch_store_lane_poll(lane, &answer))
            assert_int_equal(answer.result, PORCH_OK);
    }
    assert_true(busy > 0);
    static char long_payload[40000];
    memset(long_payload, 'y', sizeof long_payload - 1);
    m.payload = porch_bytes_of(long_payload);
    assert_int_equal(porch_store_lane_append(lane, &m, &ticket), PORCH_ERR_LIMIT);
    store_lab_close(lab); /* writes what waits */
    assert_int_equal(store_lab_open(lab), PORCH_OK);
    assert_int_equal(porch_store_durable_seq(lab->store), last);
}

/* Writes a row for each message; refuses some as a materialiser would. */
static porch_err materialise(porch_db *db, const porch_store_message *m, uint64_t seq, void *ctx,
                             porch_why *why) {
    (void)ctx;
    porch_db_query *q = porch_db_prepare(db, "insert into t (name, n) values (?1, ?2)", why);
    porch_db_bind_text(q, 1, m->payload);
    porch_db_bind_i64(q, 2, (int64_t)seq);
    PORCH_TRY(porch_db_execute(q, why));
    if (porch_bytes_starts(m->payload, PORCH_LIT("odd")))
        return porch_fail(why, PORCH_ERR_MALFORMED, "odd");
    if (porch_bytes_starts(m->payload, PORCH_LIT("bad"))) return porch_fail(why, PORCH_ERR_DATABASE, "bad");
    return PORCH_OK;
}

static porch_err check_materialised(porch_db *db, void *ctx, porch_why *why) {
    (void)ctx;
    porch_db_query *q = porch_db_prepare(
        db,
        "select count(*), sum(m.payload = cast(t.name as blob)), (select count(*) from message),"
        " (select count(*) from message where payload like 'bad%'),"
        " (select max(seq) - min(seq) + 1 from message) from t join message m on m.seq = t.n",
        why);
    assert_int_equal(porch_db_step(q, why), PORCH_OK);
    assert_int_equal(porch_db_i64(q, 0), 90); /* neither odd nor bad */
    assert_int_equal(porch_db_i64(q, 1), 90);
    assert_int_equal(porch_db_i64(q, 2), 95); /* the odd ones are kept as messages */
    assert_int_equal(porch_db_i64(q, 3), 0);
    assert_int_equal(porch_db_i64(q, 4), 100); /* each ticket has a number, a refused one too */
    return PORCH_OK;
}

static void what_an_observer_refuses_costs_that_message_only(void **state) {
    store_lab *lab = *state;
    porch_store_on_message(lab->store, materialise, NULL);
    assert_int_equal(porch_store_write(lab->store, make_table, NULL, &lab->why), PORCH_OK);
    bell b = BELL;
    porch_store_lane *lane = porch_store_lane_open(lab->store, ring, &b);
    for (int i = 0; i < 100; i++) {
        char payload[32];
        (void)snprintf(payload, sizeof payload, "%s %d",
                       i % 20 == 3   ? "odd"
                       : i % 20 == 7 ? "bad"
                                     : "good",
                       i);
        porch_store_message m = message("cam", "d/cam/event/motion", payload);
        uint64_t ticket = 0;
        assert_int_equal(porch_store_lane_append(lane, &m, &ticket), PORCH_OK);
    }
    porch_err other = PORCH_OK;
    assert_int_equal(wait_for(lane, &b, 100, &other), 5);
    assert_int_equal(other, PORCH_ERR_DATABASE);
    assert_int_equal(porch_store_read(lab->store, check_materialised, NULL, &lab->why), PORCH_OK);
}

static void many_more_refusals_than_one_batch_can_name_are_answered_in_order(void **state) {
    store_lab *lab = *state;
    porch_store_on_message(lab->store, materialise, NULL);
    assert_int_equal(porch_store_write(lab->store, make_table, NULL, &lab->why), PORCH_OK);
    bell b = BELL;
    porch_store_lane *lane = porch_store_lane_open(lab->store, ring, &b);
    for (int i = 0; i < 500; i++) {
        char payload[32];
        (void)snprintf(payload, sizeof payload, "%s %d", i % 2 == 0 ? "good" : "bad", i);
        porch_store_message m = message("cam", "d/cam/event/motion", payload);
        uint64_t ticket = 0;
        assert_int_equal(porch_store_lane_append(lane, &m, &ticket), PORCH_OK);
    }
    porch_err other = PORCH_OK;
    assert_int_equal(wait_for(lane, &b, 500, &other), 250);
    assert_int_equal(porch_store_durable_seq(lab->store), 500);
    assert_int_equal(rows(lab), 250);
}

typedef struct {
    porch_store *store;
    atomic_uint calls;
    atomic_ullong seen;
} commit_watch;

static void on_commit(void *ctx) {
    commit_watch *w = ctx;
    atomic_fetch_add(&w->calls, 1);
    atomic_store(&w->seen, porch_store_durable_seq(w->store));
}

static void observers_hear_of_a_commit_before_its_sender_does(void **state) {
    store_lab *lab = *state;
    commit_watch watch = {.store = lab->store};
    porch_store_on_commit(lab->store, on_commit, &watch);
    bell b = BELL;
    porch_store_lane *lane = porch_store_lane_open(lab->store, ring, &b);
    porch_store_message m = message("cam", "d/cam/event/motion", "x");
    uint64_t ticket = 0;
    assert_int_equal(porch_store_lane_append(lane, &m, &ticket), PORCH_OK);
    porch_err other = PORCH_OK;
    assert_int_equal(wait_for(lane, &b, 1, &other), 0);
    assert_true(atomic_load(&watch.calls) >= 1);
    assert_int_equal(atomic_load(&watch.seen), 1);
}

/* ---- retention ---------------------------------------------------------------------------------- */

typedef struct {
    bell b;
    int64_t rows, first, last;
    int64_t until_rows;
} keep_watch;

static porch_err count_kept(porch_db *db, uint64_t now_ms, void *ctx, porch_why *why) {
    (void)now_ms;
    keep_watch *w = ctx;
    porch_db_query *q = porch_db_prepare(db, "select count(*), min(seq), max(seq) from message", why);
    PORCH_TRY(porch_db_step(q, why));
    pthread_mutex_lock(&w->b.lock);
    w->rows = porch_db_i64(q, 0);
    w->first = porch_db_i64(q, 1);
    w->last = porch_db_i64(q, 2);
    if (w->rows == w->until_rows) {
        w->b.wakes++;
        pthread_cond_signal(&w->b.news);
    }
    pthread_mutex_unlock(&w->b.lock);
    return PORCH_OK;
}

static void retain(store_lab *lab, uint64_t messages, uint64_t at_ms, int64_t until_rows) {
    keep_watch w = {BELL, 0, 0, 0, -1};
    porch_store_on_tick(lab->store, count_kept, &w);
    bell b = BELL;
    porch_store_lane *lane = porch_store_lane_open(lab->store, ring, &b);
    porch_store_message m = message("cam", "d/cam/event/motion", "x");
    m.at_ms = at_ms;
    for (uint64_t i = 0; i < messages; i++) {
        uint64_t ticket = 0;
        assert_int_equal(porch_store_lane_append(lane, &m, &ticket), PORCH_OK);
    }
    porch_err other = PORCH_OK;
    assert_int_equal(wait_for(lane, &b, messages, &other), 0);
    pthread_mutex_lock(&w.b.lock);
    w.until_rows = until_rows;
    w.b.wakes = 0;
    while (w.b.wakes == 0)
        pthread_cond_wait(&w.b.news, &w.b.lock);
    assert_int_equal(w.last, (int64_t)messages);
    assert_int_equal(w.first, (int64_t)messages - until_rows + 1);
    pthread_mutex_unlock(&w.b.lock);
    store_lab_close(lab);
    assert_int_equal(store_lab_open(lab), PORCH_OK);
    assert_int_equal(porch_store_durable_seq(lab->store), messages);
}

static void more_rows_than_kept_go_oldest_first(void **state) {
    store_lab *lab = *state;
    store_lab_close(lab);
    lab->settings.store_keep_rows = 700;
    lab->settings.store_keep_days = 0;
    lab->settings.store_tick_ms = 10;
    assert_int_equal(store_lab_open(lab), PORCH_OK);
    retain(lab, 25000, 1000, 700);
}

static void old_rows_go_but_the_newest_stays_so_that_numbers_never_repeat(void **state) {
    store_lab *lab = *state;
    store_lab_close(lab);
    lab->settings.store_keep_days = 1;
    lab->settings.store_tick_ms = 10;
    lab->settings.store_clock_settle_h = 0;
    assert_int_equal(store_lab_open(lab), PORCH_OK);
    retain(lab, 12000, 1000, 1);
}

/* The same rows, older than they may be, stay as long as the clock may be wrong; their number still counts.
 */
static void a_clock_that_has_not_stood_makes_nothing_old(void **state) {
    store_lab *lab = *state;
    store_lab_close(lab);
    lab->settings.store_keep_days = 1;
    lab->settings.store_keep_rows = 700;
    lab->settings.store_tick_ms = 10;
    assert_int_equal(store_lab_open(lab), PORCH_OK);
    retain(lab, 12000, 1000, 700);
}

/* ---- files -------------------------------------------------------------------------------------- */

static void the_database_is_readable_by_its_owner_only(void **state) {
    store_lab *lab = *state;
    assert_int_equal(porch_store_write(lab->store, make_table, NULL, &lab->why), PORCH_OK);
    static const char *const names[] = {"hub.db", "hub.db-wal", "hub.db-shm"};
    for (size_t i = 0; i < 3; i++) {
        char path[128];
        struct stat st;
        (void)snprintf(path, sizeof path, "%s/%s", lab->dir, names[i]);
        assert_int_equal(stat(path, &st), 0);
        assert_int_equal(st.st_mode & 0777, 0600);
    }
}

static void a_copy_made_while_writing_is_whole(void **state) {
    store_lab *lab = *state;
    assert_int_equal(porch_store_write(lab->store, make_table, NULL, &lab->why), PORCH_OK);
    pthread_t thread;
    name_writer w = {lab, 1};
    assert_int_equal(pthread_create(&thread, NULL, write_names, &w), 0);
    store_lab copy;
    store_lab_make(&copy);
    char path[128];
    (void)snprintf(path, sizeof path, "%s/hub.db", copy.dir);
    porch_err e = porch_store_copy(lab->store, path, NULL, NULL, &lab->why);
    pthread_join(thread, NULL);
    if (e != PORCH_OK) fail_msg("%s", lab->why.text);
    assert_int_equal(porch_store_copy(lab->store, path, NULL, NULL, &lab->why), PORCH_ERR_EXISTS);
    assert_int_equal(store_lab_open(&copy), PORCH_OK);
    assert_in_range(rows(&copy), 0, 50);
    store_lab_remove(&copy);
}

typedef struct {
    store_lab *lab;
    sem_t begun, let_go;
} held_write;

static porch_err hold(porch_db *db, void *ctx, porch_why *why) {
    held_write *w = ctx;
    (void)db;
    (void)why;
    (void)sem_post(&w->begun);
    (void)sem_wait(&w->let_go);
    return PORCH_OK;
}

static void *write_and_wait(void *arg) {
    held_write *w = arg;
    return porch_store_write(w->lab->store, hold, w, NULL) == PORCH_OK ? w : NULL;
}

static void await_pulse(store_lab *lab, uint64_t rounds) {
    uint64_t until_ms = porch_clock_mono_ms() + 20000;
    while (porch_store_pulse(lab->store) == rounds) {
        if (porch_clock_mono_ms() > until_ms) fail_msg("the writer never ended a round");
        (void)sched_yield();
    }
}

static void a_writer_that_hangs_has_no_pulse_and_an_idle_one_has(void **state) {
    store_lab *lab = *state;
    held_write w = {.lab = lab};
    pthread_t thread;
    void *done = NULL;
    uint64_t first = porch_store_pulse(lab->store);
    await_pulse(lab, first);
    (void)sem_init(&w.begun, 0, 0);
    (void)sem_init(&w.let_go, 0, 0);
    assert_int_equal(pthread_create(&thread, NULL, write_and_wait, &w), 0);
    assert_int_equal(sem_wait(&w.begun), 0);
    uint64_t stuck = porch_store_pulse(lab->store);
    for (int i = 0; i < 1000; i++)
        assert_true(porch_store_pulse(lab->store) == stuck);
    assert_int_equal(sem_post(&w.let_go), 0);
    pthread_join(thread, &done);
    assert_ptr_equal(done, &w);
    await_pulse(lab, stuck);
}

/* ---- what is deleted leaves no bytes ------------------------------------------------------------- */

static const char CANARY[] = "a-canary-that-nobody-may-find-again";

/* Some pages full of it: overflow pages, too. */
static porch_err insert_canaries(porch_db *db, void *ctx, porch_why *why) {
    static uint8_t blob[20000];
    (void)ctx;
    for (size_t i = 0; i + sizeof CANARY < sizeof blob; i += 64)
        memcpy(blob + i, CANARY, sizeof CANARY);
    porch_db_query *q = porch_db_prepare(db, "insert into t (name, b) values ('canary', ?1)", why);
    porch_db_bind_blob(q, 1, (porch_bytes){blob, sizeof blob});
    return porch_db_execute(q, why);
}

static porch_err delete_canaries(porch_db *db, void *ctx, porch_why *why) {
    (void)ctx;
    return porch_db_run(db, "delete from t where name = 'canary'", why);
}

static bool on_disk(const store_lab *lab, const char *file) {
    char path[128];
    (void)snprintf(path, sizeof path, "%s/%s", lab->dir, file);
    FILE *f = fopen(path, "rb");
    assert_non_null(f);
    assert_int_equal(fseek(f, 0, SEEK_END), 0);
    long len = ftell(f);
    rewind(f);
    char *all = malloc((size_t)len + 1);
    assert_int_equal(fread(all, 1, (size_t)len, f), (size_t)len);
    (void)fclose(f);
    bool found = memmem(all, (size_t)len, CANARY, sizeof CANARY - 1) != NULL;
    free(all);
    return found;
}

static void what_was_deleted_is_in_no_file_after_a_scrub(void **state) {
    store_lab *lab = *state;
    assert_int_equal(porch_store_write(lab->store, make_table, NULL, &lab->why), PORCH_OK);
    assert_int_equal(porch_store_write(lab->store, insert_canaries, NULL, &lab->why), PORCH_OK);
    assert_true(on_disk(lab, "hub.db-wal"));
    assert_int_equal(porch_store_scrub(lab->store, 30000, &lab->why), PORCH_OK);
    assert_true(on_disk(lab, "hub.db"));
    assert_int_equal(porch_store_write(lab->store, delete_canaries, NULL, &lab->why), PORCH_OK);
    assert_int_equal(porch_store_scrub(lab->store, 30000, &lab->why), PORCH_OK);
    assert_false(on_disk(lab, "hub.db"));
    assert_false(on_disk(lab, "hub.db-wal"));
}

/* A reader whose snapshot holds the log, and that scrubs from inside it. */
static porch_err scrub_while_reading(porch_db *db, void *ctx, porch_why *why) {
    store_lab *lab = ctx;
    porch_db_query *q = porch_db_prepare(db, "select count(*) from t", why);
    PORCH_TRY(porch_db_step(q, why));
    assert_int_equal(porch_store_write(lab->store, delete_canaries, NULL, why), PORCH_OK);
    return porch_store_scrub(lab->store, 100, why);
}

static void a_scrub_behind_a_long_read_says_so_and_is_done_after_it(void **state) {
    store_lab *lab = *state;
    assert_int_equal(porch_store_write(lab->store, make_table, NULL, &lab->why), PORCH_OK);
    assert_int_equal(porch_store_write(lab->store, insert_canaries, NULL, &lab->why), PORCH_OK);
    assert_int_equal(porch_store_read(lab->store, scrub_while_reading, lab, &lab->why), PORCH_ERR_BUSY);
    assert_non_null(strstr(lab->why.text, "backup"));
    assert_int_equal(porch_store_scrub(lab->store, 30000, &lab->why), PORCH_OK);
    assert_false(on_disk(lab, "hub.db-wal"));
    assert_false(on_disk(lab, "hub.db"));
}

#define WITH_LAB(test) cmocka_unit_test_setup_teardown(test, make_lab, drop_lab)

int main(void) {
    porch_log_init("test", PORCH_LOG_ERROR);
    const struct CMUnitTest tests[] = {
        WITH_LAB(values_come_back_as_they_went_in),
        WITH_LAB(a_write_that_fails_leaves_nothing_behind),
        WITH_LAB(a_wrong_statement_is_an_error_with_a_sentence),
        WITH_LAB(a_read_cannot_write),
        WITH_LAB(a_write_inside_a_write_is_refused_instead_of_waiting_for_ever),
        WITH_LAB(many_threads_write_and_each_reads_its_own_writes),
        WITH_LAB(messages_are_stored_in_order_and_their_tickets_turn_durable),
        WITH_LAB(a_full_lane_says_busy_and_takes_more_after_it_was_emptied),
        WITH_LAB(what_an_observer_refuses_costs_that_message_only),
        WITH_LAB(many_more_refusals_than_one_batch_can_name_are_answered_in_order),
        WITH_LAB(observers_hear_of_a_commit_before_its_sender_does),
        WITH_LAB(more_rows_than_kept_go_oldest_first),
        WITH_LAB(a_clock_that_has_not_stood_makes_nothing_old),
        WITH_LAB(old_rows_go_but_the_newest_stays_so_that_numbers_never_repeat),
        WITH_LAB(the_database_is_readable_by_its_owner_only),
        WITH_LAB(a_writer_that_hangs_has_no_pulse_and_an_idle_one_has),
        WITH_LAB(a_copy_made_while_writing_is_whole),
        WITH_LAB(what_was_deleted_is_in_no_file_after_a_scrub),
        WITH_LAB(a_scrub_behind_a_long_read_says_so_and_is_done_after_it),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
