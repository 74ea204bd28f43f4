/* The update repository, as the signer announces it. */
#include "cloud/signer/signer_testing.h"

#include "base/text.h"
#include "cloud/signer/signer_update_ipc.h"

static porch_signer_answer announce(place *p, uint64_t camera, uint64_t targets,
                                    porch_signer_updated *ret) {
    static uint8_t block[4096];
    porch_buf data = PORCH_BUF_OF(block);
    porch_signer_update u = {.least_snapshot = 4, .least_timestamp = 9, .count = targets > 0 ? 2 : 1};
    u.rows[0] = (porch_signer_update_row){PORCH_LIT("camera.json"), camera, 100, {1}};
    u.rows[1] = (porch_signer_update_row){PORCH_LIT("targets.json"), targets, 200, {2}};
    assert_int_equal(porch_signer_update_write(&data, &u), PORCH_OK);
    porch_signer_request r = {
        .number = 9, .op = PORCH_SIGNER_OP_UPDATE_SIGN, .data = porch_buf_bytes(&data)};
    porch_signer_answer a = ask(p, &r);
    if (a.error == PORCH_OK) assert_int_equal(porch_signer_updated_read(a.data, ret), PORCH_OK);
    return a;
}

static void a_snapshot_says_what_was_listed_and_its_versions_only_rise(void **state) {
    place *p = *state;
    porch_signer_updated u;
    assert_int_equal(announce(p, 3, 1, &u).error, PORCH_OK);
    assert_true(u.snapshot_version == NOW_S && u.timestamp_version == NOW_S);
    char text[PORCH_SIGNER_UPDATE_TEXT];
    assert_true(porch_bytes_to_text(u.snapshot, text, sizeof text));
    assert_non_null(strstr(text, "\"camera.json\":{\"hashes\":{\"sha256\":\"0100"));
    assert_non_null(strstr(text, "\"length\":100,\"version\":3}"));
    assert_non_null(strstr(text, "\"version\":1767225600}}"));
    assert_int_equal(announce(p, 3, 1, &u).error, PORCH_OK);
    assert_true(u.snapshot_version == NOW_S + 1 && u.timestamp_version == NOW_S + 1);
    restart(p);
    assert_int_equal(announce(p, 4, 1, &u).error, PORCH_OK);
    assert_true(u.snapshot_version == NOW_S + 2 && u.timestamp_version == NOW_S + 2);
    assert_int_equal(journal_lines(p, "role "), 3);
    assert_int_equal(journal_lines(p, "update "), 3);
}

static void what_was_announced_is_never_announced_older_or_left_out(void **state) {
    place *p = *state;
    porch_signer_updated u;
    assert_int_equal(announce(p, 3, 2, &u).error, PORCH_OK);
    for (int i = 0; i < 2; i++) {
        assert_int_equal(announce(p, 2, 2, &u).error, PORCH_ERR_ROLLBACK);
        assert_int_equal(announce(p, 3, 1, &u).error, PORCH_ERR_ROLLBACK);
        assert_int_equal(announce(p, 3, 0, &u).error, PORCH_ERR_ROLLBACK);
        restart(p);
    }
    assert_int_equal(announce(p, 3, 2, &u).error, PORCH_OK);
}

static void nothing_but_a_list_of_roles_becomes_a_snapshot(void **state) {
    place *p = *state;
    static const char *const names[] = {"a\",\"x.json", "camera",    ".json",          "../a.json",
                                        "z.json",       "root.json", "timestamp.json", "snapshot.json"};
    uint8_t block[1024];
    for (size_t i = 0; i < sizeof names / sizeof names[0]; i++) {
        porch_buf data = PORCH_BUF_OF(block);
        porch_signer_update u = {.count = i == 4 ? 2 : 1};
        u.rows[0] = (porch_signer_update_row){porch_bytes_of(names[i]), 1, 100, {1}};
        u.rows[1] = (porch_signer_update_row){PORCH_LIT("a.json"), 1, 100, {1}}; /* out of order */
        assert_int_equal(porch_signer_update_write(&data, &u), PORCH_OK);
        porch_signer_request r = {
            .number = 9, .op = PORCH_SIGNER_OP_UPDATE_SIGN, .data = porch_buf_bytes(&data)};
        assert_int_equal(ask(p, &r).error, PORCH_ERR_MALFORMED);
    }
    porch_signer_request r = {.number = 9, .op = PORCH_SIGNER_OP_UPDATE_SIGN, .data = PORCH_LIT("{}")};
    assert_int_equal(ask(p, &r).error, PORCH_ERR_MALFORMED);
    assert_int_equal(journal_lines(p, "update "), 0);
}

/* A hub that was taken over cannot use up the numbers: the team's next release is announced after it. */
static void versions_do_not_leap_to_the_end_of_what_clients_read(void **state) {
    place *p = *state;
    const uint64_t far = PORCH_SIGNER_UPDATE_NUMBER_MOST - 1;
    uint8_t block[1024];
    porch_signer_updated u;
    for (int which = 0; which < 3; which++) {
        porch_buf data = PORCH_BUF_OF(block);
        porch_signer_update in = {
            .least_snapshot = which == 0 ? far : 0, .least_timestamp = which == 1 ? far : 0, .count = 1};
        in.rows[0] = (porch_signer_update_row){PORCH_LIT("camera.json"), which == 2 ? far : 1, 100, {1}};
        assert_int_equal(porch_signer_update_write(&data, &in), PORCH_OK);
        porch_signer_request r = {
            .number = 9, .op = PORCH_SIGNER_OP_UPDATE_SIGN, .data = porch_buf_bytes(&data)};
        assert_int_equal(ask(p, &r).error, PORCH_ERR_LIMIT);
    }
    assert_int_equal(announce(p, 1800000000, 1, &u).error, PORCH_OK); /* seconds since 1970 are fine */
    assert_true(u.snapshot_version == NOW_S && u.timestamp_version == NOW_S);
}

/* Devices hold on to the highest number that they saw, and the journal of a backup knows nothing of it. */
static void a_restored_signer_counts_on_above_what_it_has_forgotten(void **state) {
    place *p = *state;
    char path[128];
    uint8_t *journal = NULL;
    size_t len = 0;
    porch_signer_updated before, u;
    assert_int_equal(announce(p, 3, 1, &before).error, PORCH_OK);
    (void)snprintf(path, sizeof path, "%.63s/signer/journal", p->dir);
    assert_int_equal(porch_file_read(path, 1 << 20, &journal, &len, NULL), PORCH_OK);
    for (int i = 0; i < 3; i++) {
        p->wall_ms += 60000;
        p->mono_ms += 60000;
        assert_int_equal(announce(p, 3, 1, &before).error, PORCH_OK);
    }
    porch_signer_unload(&p->signer);
    put(p, "signer/journal", (porch_bytes){journal, len});
    free(journal);
    p->wall_ms += 60000;
    p->mono_ms += 60000;
    load(p);
    assert_int_equal(announce(p, 3, 1, &u).error, PORCH_OK);
    assert_true(u.snapshot_version > before.snapshot_version &&
                u.timestamp_version > before.timestamp_version);
}

/* The folder's own numbers may be higher than the seconds are, and a clock may be put back. */
static void numbers_rise_where_the_clock_does_not_help(void **state) {
    place *p = *state;
    porch_signer_updated u;
    p->signer.updates.snapshot_version = NOW_S + 1000;
    p->wall_ms += 90000;
    assert_int_equal(announce(p, 3, 1, &u).error, PORCH_OK);
    assert_true(u.snapshot_version == NOW_S + 1001 && u.timestamp_version == NOW_S + 90);
    p->wall_ms -= 60000; /* a little, as clocks are put right */
    assert_int_equal(announce(p, 3, 1, &u).error, PORCH_OK);
    assert_true(u.snapshot_version == NOW_S + 1002 && u.timestamp_version == NOW_S + 91);
    /* A clock far in the future uses up no numbers: 2400-01-01, which somebody has confirmed. */
    p->wall_ms = 13569465600000;
    porch_signer_request confirm = {.number = 9, .op = PORCH_SIGNER_OP_CLOCK, .name = PORCH_LIT("confirm")};
    assert_int_equal(ask(p, &confirm).error, PORCH_OK);
    assert_int_equal(announce(p, 3, 1, &u).error, PORCH_OK);
    assert_true(u.snapshot_version == NOW_S + 1003 && u.timestamp_version == NOW_S + 92);
}

static void the_two_update_keys_are_the_same_after_every_start_and_not_each_other(void **state) {
    place *p = *state;
    char first[129], second[129];
    porch_signer_request r = {.number = 9, .op = PORCH_SIGNER_OP_UPDATE_KEYS};
    assert_true(porch_bytes_to_text(ask(p, &r).data, first, sizeof first));
    restart(p);
    assert_true(porch_bytes_to_text(ask(p, &r).data, second, sizeof second));
    assert_string_equal(first, second);
    assert_int_equal(strlen(first), 128);
    assert_memory_not_equal(first, first + 64, 64);
}

#define WITH_SIGNER(test) cmocka_unit_test_setup_teardown(test, arrive, leave)

int main(void) {
    const struct CMUnitTest tests[] = {
        WITH_SIGNER(a_snapshot_says_what_was_listed_and_its_versions_only_rise),
        WITH_SIGNER(what_was_announced_is_never_announced_older_or_left_out),
        WITH_SIGNER(nothing_but_a_list_of_roles_becomes_a_snapshot),
        WITH_SIGNER(versions_do_not_leap_to_the_end_of_what_clients_read),
        WITH_SIGNER(a_restored_signer_counts_on_above_what_it_has_forgotten),
        WITH_SIGNER(numbers_rise_where_the_clock_does_not_help),
        WITH_SIGNER(the_two_update_keys_are_the_same_after_every_start_and_not_each_other),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
