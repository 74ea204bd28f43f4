#include "cloud/store/store_migrate.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include <cmocka.h>

#include "cloud/store/store_testing.h"

/* The schema as one text, and whether the file is sound. */
static porch_err read_schema(porch_db *db, void *ctx, porch_why *why) {
    char *out = ctx;
    porch_db_query *q = porch_db_prepare(
        db,
        "select coalesce(group_concat(name || ':' || coalesce(sql, ''), char(10)), '') from"
        " (select name, sql from sqlite_schema order by name)",
        why);
    PORCH_TRY(porch_db_step(q, why));
    assert_true(porch_bytes_to_text(porch_db_text(q, 0), out, 65536));
    porch_db_finish(q);
    q = porch_db_prepare(db, "pragma integrity_check", why);
    PORCH_TRY(porch_db_step(q, why));
    assert_true(porch_bytes_eq_text(porch_db_text(q, 0), "ok"));
    porch_db_finish(q);
    int version = 0;
    PORCH_TRY(porch_store_version(db, &version, why));
    assert_int_equal(version, porch_store_schema());
    return PORCH_OK;
}

static void database_path(const store_lab *lab, char *out, size_t cap) {
    (void)snprintf(out, cap, "%s/hub.db", lab->dir);
}

static void set_version(store_lab *lab, int version) {
    char path[128], sql[64];
    porch_db *db = NULL;
    database_path(lab, path, sizeof path);
    assert_int_equal(porch_db_open(path, true, 1024, &db, &lab->why), PORCH_OK);
    (void)snprintf(sql, sizeof sql, "pragma user_version = %d", version);
    assert_int_equal(porch_db_script(db, sql, &lab->why), PORCH_OK);
    porch_db_close(db);
}

static void the_sequence_begins_at_one_and_has_no_hole(void **state) {
    (void)state;
    for (size_t i = 0; i < porch_store_migrations_count; i++)
        assert_int_equal(porch_store_migrations[i].number, (int)i + 1);
}

static void a_database_of_every_earlier_version_becomes_todays(void **state) {
    (void)state;
    static char fresh[65536], raised[65536];
    store_lab lab;
    store_lab_make(&lab);
    assert_int_equal(store_lab_open(&lab), PORCH_OK);
    assert_int_equal(porch_store_read(lab.store, read_schema, fresh, &lab.why), PORCH_OK);
    store_lab_remove(&lab);
    for (int from = 0; from < porch_store_schema(); from++) {
        char path[128];
        porch_db *db = NULL;
        store_lab_make(&lab);
        database_path(&lab, path, sizeof path);
        assert_int_equal(porch_db_open(path, true, 1024, &db, &lab.why), PORCH_OK);
        if (porch_store_migrate(db, from, &lab.why) != PORCH_OK) fail_msg("%s", lab.why.text);
        porch_db_close(db);
        if (store_lab_open(&lab) != PORCH_OK) fail_msg("from %d: %s", from, lab.why.text);
        assert_int_equal(porch_store_read(lab.store, read_schema, raised, &lab.why), PORCH_OK);
        assert_string_equal(raised, fresh);
        store_lab_remove(&lab);
    }
}

static void a_database_of_a_newer_program_is_refused_untouched(void **state) {
    (void)state;
    store_lab lab;
    store_lab_make(&lab);
    assert_int_equal(store_lab_open(&lab), PORCH_OK);
    store_lab_close(&lab);
    set_version(&lab, porch_store_schema() + 1);
    assert_int_equal(store_lab_open(&lab), PORCH_ERR_UNSUPPORTED);
    assert_non_null(strstr(lab.why.text, "newer"));
    set_version(&lab, porch_store_schema());
    assert_int_equal(store_lab_open(&lab), PORCH_OK);
    store_lab_remove(&lab);
}

static void a_migration_that_fails_changes_nothing(void **state) {
    (void)state;
    store_lab lab;
    store_lab_make(&lab);
    char path[128];
    porch_db *db = NULL;
    database_path(&lab, path, sizeof path);
    assert_int_equal(porch_db_open(path, true, 1024, &db, &lab.why), PORCH_OK);
    assert_int_equal(porch_store_migrate(db, 2, &lab.why), PORCH_OK);
    /* something in the way of 0003's second table */
    assert_int_equal(porch_db_script(db, "create table service (x)", &lab.why), PORCH_OK);
    assert_int_equal(porch_store_migrate(db, porch_store_schema(), &lab.why), PORCH_ERR_DATABASE);
    assert_non_null(strstr(lab.why.text, "0003_registry"));
    int version = 0;
    assert_int_equal(porch_store_version(db, &version, &lab.why), PORCH_OK);
    assert_int_equal(version, 2);
    assert_false(porch_db_in_transaction(db));
    assert_int_equal(porch_db_script(db, "drop table service", &lab.why), PORCH_OK);
    assert_int_equal(porch_store_migrate(db, porch_store_schema(), &lab.why), PORCH_OK);
    porch_db_close(db);
    store_lab_remove(&lab);
}

static porch_err read_event_messages(porch_db *db, void *ctx, porch_why *why) {
    char *out = ctx;
    porch_db_query *q = porch_db_prepare(db,
                                         "select coalesce(group_concat(seq || '=' || event), '') from "
                                         "(select * from event_message order by seq)",
                                         why);
    PORCH_TRY(porch_db_step(q, why));
    assert_true(porch_bytes_to_text(porch_db_text(q, 0), out, 256));
    porch_db_finish(q);
    return PORCH_OK;
}

static void messages_that_carried_an_event_before_are_found_by_it(void **state) {
    (void)state;
    store_lab lab;
    store_lab_make(&lab);
    char path[128], found[256];
    porch_db *db = NULL;
    database_path(&lab, path, sizeof path);
    assert_int_equal(porch_db_open(path, true, 1024, &db, &lab.why), PORCH_OK);
    assert_int_equal(porch_store_migrate(db, 10, &lab.why), PORCH_OK);
    porch_err e = porch_db_script(
        db,
        "insert into message (seq, at_ms, device, topic, qos, payload) select column1, 1, column2, 'd/' || "
        "column2 || column3, 1, cast(column4 as "
        "blob) from (values "
        "(1, 'door', '/event/motion', '{\"v\":1,\"id\":\"a\"}'), (2, 'door', '/event/motion', x'ff00'), "
        "(3, 'door', '/telemetry/t', '{\"id\":\"a\"}'), (4, 'gate', '/event/motion', '{\"id\":\"a\"}'), "
        "(5, 'door', '/event/motion', '{\"id\":\"a\"}'), (6, 'door', '/event/motion', "
        "'{\"id\":\"none\"}'));"
        "insert into event (uid, device, product, household, device_event, kind, at_ms, received_ms, "
        "score, x, y, w, h) values "
        "('u1', 'door', 'camera', 'home', 'a', 'motion', 1, 1, 1, 0, 0, 1, 1), "
        "('u2', 'gate', 'camera', 'home', 'a', 'motion', 1, 1, 1, 0, 0, 1, 1)",
        &lab.why);
    if (e != PORCH_OK) fail_msg("%s", lab.why.text);
    porch_db_close(db);
    if (store_lab_open(&lab) != PORCH_OK) fail_msg("%s", lab.why.text);
    assert_int_equal(porch_store_read(lab.store, read_event_messages, found, &lab.why), PORCH_OK);
    assert_string_equal(found, "1=u1,4=u2,5=u1");
    store_lab_remove(&lab);
}

static porch_err read_stories(porch_db *db, void *ctx, porch_why *why) {
    char *out = ctx;
    porch_db_query *q = porch_db_prepare(
        db,
        "with recursive s as (select u.device as of, u.entries, h.* from update_device u join "
        "update_history h on h.seq = u.story union all select s.of, s.entries, h.* from s join "
        "update_history h on h.seq = s.prev) "
        "select (select group_concat(of || entries || state || iif(of = device, '', '!'), ' ') from s) || "
        "';' || (select group_concat(rollout || '/' || cohort || '/' || device || '/' || stage || state || "
        "attempt || at_ms || asked_ms || reason, ' ') from update_turn) || ';' || (select "
        "group_concat(stage || ':' || turns || ended || away, ' ') from update_stage)",
        why);
    PORCH_TRY(porch_db_step(q, why));
    assert_true(porch_bytes_to_text(porch_db_text(q, 0), out, 512));
    porch_db_finish(q);
    return PORCH_OK;
}

/* The clock of "gate" went back between its second entry and its third. */
static void turns_and_stories_of_an_earlier_version_are_moved_whole(void **state) {
    (void)state;
    store_lab lab;
    store_lab_make(&lab);
    char path[128], found[512];
    porch_db *db = NULL;
    database_path(&lab, path, sizeof path);
    assert_int_equal(porch_db_open(path, true, 1024, &db, &lab.why), PORCH_OK);
    assert_int_equal(porch_store_migrate(db, 32, &lab.why), PORCH_OK);
    porch_err e = porch_db_script(
        db,
        "insert into device (id, product, household, added_ms) values ('door', 'camera', 'home', 1), "
        "('gate', 'camera', 'home', 1), ('mute', 'camera', 'home', 1);"
        "insert into update_turn (device, rollout, stage, cohort, state, attempt, at_ms, asked_ms, reason) "
        "values ('door', 1, 0, 900, 2, 1, 5, 4, ''), ('gate', 1, 0, 100, 3, 2, 6, 4, 'no'), "
        "('mute', 1, 1, 500, 0, 0, 0, 0, '');"
        "insert into update_stage (rollout, stage, turns, ended, away) values (1, 0, 2, 2, 0), (1, 1, 1, "
        "0, "
        "0);"
        "insert into update_device (device, running, target, state, reason, floor, bytes, way, at_ms, "
        "story) values ('door', '2', '', 'good', '', 1, 9, 'delta', 5, 2), ('gate', '1', '', 'failed', "
        "'no', 1, 0, '', 6, 9), ('mute', '1', '', 'good', '', 1, 0, '', 6, 0);"
        "insert into update_history (device, seq, at_ms, rollout, attempt, running, target, state, reason) "
        "values ('door', 1, 1, 1, 1, '1', '2', 'staged', ''), ('door', 2, 5, 1, 1, '2', '2', 'good', ''), "
        "('gate', 7, 4, 1, 1, '1', '2', 'staged', ''), ('gate', 8, 6, 1, 1, '1', '2', 'trial', ''), "
        "('gate', 9, 3, 1, 1, '1', '2', 'failed', 'no');",
        &lab.why);
    if (e != PORCH_OK) fail_msg("%s", lab.why.text);
    porch_db_close(db);
    if (store_lab_open(&lab) != PORCH_OK) fail_msg("%s", lab.why.text);
    assert_int_equal(porch_store_read(lab.store, read_stories, found, &lab.why), PORCH_OK);
    assert_string_equal(found, "door2good gate3failed door2staged gate3trial gate3staged;"
                               "1/100/gate/03264no 1/500/mute/10000 1/900/door/02154;0:220 1:100");
    store_lab_remove(&lab);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(the_sequence_begins_at_one_and_has_no_hole),
        cmocka_unit_test(a_database_of_every_earlier_version_becomes_todays),
        cmocka_unit_test(a_database_of_a_newer_program_is_refused_untouched),
        cmocka_unit_test(a_migration_that_fails_changes_nothing),
        cmocka_unit_test(messages_that_carried_an_event_before_are_found_by_it),
        cmocka_unit_test(turns_and_stories_of_an_earlier_version_are_moved_whole),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
