#include "cloud/store/db_sqlite.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include <sys/stat.h>

#include <cmocka.h>

#include "cloud/store/store_testing.h"

typedef struct {
    store_lab lab; /* only its directory is used */
    char path[128];
    porch_db *db;
    porch_why why;
} bench;

static int make_bench(void **state) {
    bench *b = calloc(1, sizeof *b);
    store_lab_make(&b->lab);
    (void)snprintf(b->path, sizeof b->path, "%s/hub.db", b->lab.dir);
    if (porch_db_open(b->path, true, 1024, &b->db, &b->why) != PORCH_OK) fail_msg("%s", b->why.text);
    assert_int_equal(
        porch_db_script(b->db, "create table t (name text primary key, n integer not null)", &b->why),
        PORCH_OK);
    *state = b;
    return 0;
}

static int drop_bench(void **state) {
    bench *b = *state;
    porch_db_close(b->db);
    store_lab_remove(&b->lab);
    free(b);
    return 0;
}

static int64_t number(bench *b, const char *sql) {
    porch_db_query *q = porch_db_prepare(b->db, sql, &b->why);
    assert_int_equal(porch_db_step(q, &b->why), PORCH_OK);
    int64_t n = porch_db_i64(q, 0);
    porch_db_finish(q);
    return n;
}

static void commits_are_synced_and_logged(void **state) {
    bench *b = *state;
    assert_int_equal(number(b, "pragma synchronous"), 2); /* full */
    assert_int_equal(number(b, "pragma foreign_keys"), 1);
    porch_db_query *q = porch_db_prepare(b->db, "pragma journal_mode", &b->why);
    assert_int_equal(porch_db_step(q, &b->why), PORCH_OK);
    assert_true(porch_bytes_eq_text(porch_db_text(q, 0), "wal"));
    porch_db_finish(q);
}

static void each_refusal_has_its_own_error(void **state) {
    bench *b = *state;
    assert_int_equal(porch_db_run(b->db, "insert into t values ('a', 1)", &b->why), PORCH_OK);
    assert_int_equal(porch_db_run(b->db, "insert into t values ('a', 1)", &b->why), PORCH_ERR_EXISTS);
    assert_int_equal(porch_db_run(b->db, "insert into t values ('b', null)", &b->why), PORCH_ERR_DATABASE);
    assert_int_equal(porch_db_run(b->db, "insert into nowhere values (1)", &b->why), PORCH_ERR_DATABASE);
    assert_int_equal(porch_db_run(b->db, "", &b->why), PORCH_ERR_DATABASE);
    assert_int_equal(porch_db_run(b->db, "pragma max_page_count = 1", &b->why), PORCH_OK);
    assert_int_equal(porch_db_run(b->db, "create table u as select zeroblob(100000) as b", &b->why),
                     PORCH_ERR_FULL);
}

static void another_connection_that_writes_makes_it_busy(void **state) {
    bench *b = *state;
    porch_db *other = NULL;
    assert_int_equal(porch_db_open(b->path, true, 1024, &other, &b->why), PORCH_OK);
    (void)sqlite3_busy_timeout(porch_db_handle(other), 0);
    assert_int_equal(porch_db_run(b->db, "begin immediate", &b->why), PORCH_OK);
    assert_true(porch_db_in_transaction(b->db));
    assert_int_equal(porch_db_run(other, "begin immediate", &b->why), PORCH_ERR_BUSY);
    assert_int_equal(porch_db_run(b->db, "rollback", &b->why), PORCH_OK);
    assert_int_equal(porch_db_run(other, "begin immediate", &b->why), PORCH_OK);
    porch_db_close(other);
}

static void a_bind_that_fails_is_told_by_the_step(void **state) {
    bench *b = *state;
    porch_db_query *q = porch_db_prepare(b->db, "insert into t values (?1, ?2)", &b->why);
    porch_db_bind_str(q, 1, "a");
    porch_db_bind_i64(q, 3, 7);
    assert_int_equal(porch_db_execute(q, &b->why), PORCH_ERR_DATABASE);
    q = porch_db_prepare(b->db, "insert into t values (?1, ?2)",
                         &b->why); /* and forgotten by the next use */
    porch_db_bind_str(q, 1, "a");
    porch_db_bind_i64(q, 2, 7);
    assert_int_equal(porch_db_execute(q, &b->why), PORCH_OK);
    assert_int_equal(porch_db_changes(b->db), 1);
}

static void a_finished_query_keeps_no_value_of_its_last_use(void **state) {
    bench *b = *state;
    porch_db_query *q = porch_db_prepare(b->db, "select ?1", &b->why);
    porch_db_bind_str(q, 1, "secret");
    assert_int_equal(porch_db_step(q, &b->why), PORCH_OK);
    porch_db_finish(q);
    porch_db_finish(q); /* twice is harmless */
    q = porch_db_prepare(b->db, "select ?1", &b->why);
    assert_int_equal(porch_db_step(q, &b->why), PORCH_OK);
    assert_true(porch_db_is_null(q, 0));
    porch_db_finish(q);
}

static void more_texts_than_are_kept_still_work(void **state) {
    bench *b = *state;
    for (int round = 0; round < 2; round++) {
        for (int i = 0; i < 1100; i++) {
            char sql[32];
            (void)snprintf(sql, sizeof sql, "select %d", i);
            assert_int_equal(number(b, sql), i);
        }
    }
}

static void a_reader_cannot_write_and_cannot_make_the_file(void **state) {
    bench *b = *state;
    porch_db *reader = NULL;
    char other[140];
    (void)snprintf(other, sizeof other, "%s.none", b->path);
    assert_int_not_equal(porch_db_open(other, false, 1024, &reader, &b->why), PORCH_OK);
    struct stat st;
    assert_int_equal(stat(other, &st), -1);
    assert_int_equal(porch_db_open(b->path, false, 1024, &reader, &b->why), PORCH_OK);
    assert_int_equal(porch_db_run(reader, "delete from t", &b->why), PORCH_ERR_DATABASE);
    porch_db_close(reader);
}

#define WITH_BENCH(test) cmocka_unit_test_setup_teardown(test, make_bench, drop_bench)

int main(void) {
    const struct CMUnitTest tests[] = {
        WITH_BENCH(commits_are_synced_and_logged),
        WITH_BENCH(each_refusal_has_its_own_error),
        WITH_BENCH(another_connection_that_writes_makes_it_busy),
        WITH_BENCH(a_bind_that_fails_is_told_by_the_step),
        WITH_BENCH(a_finished_query_keeps_no_value_of_its_last_use),
        WITH_BENCH(more_texts_than_are_kept_still_work),
        WITH_BENCH(a_reader_cannot_write_and_cannot_make_the_file),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
