/* Wrong attempts over a restart of the hub. */
#include "cloud/accounts/accounts_throttle.h"

#include "cloud/accounts/accounts_room.h"
#include "cloud/accounts/accounts_testing.h"

static porch_err count_rows(porch_db *db, void *ctx, porch_why *why) {
    porch_db_query *q = porch_db_prepare(db, "SELECT count(*) FROM sign_in_throttle", why);
    porch_err e = porch_db_step(q, why);
    *(int64_t *)ctx = e == PORCH_OK ? porch_db_i64(q, 0) : -1;
    porch_db_finish(q);
    return e;
}

static int64_t rows(lab *l) {
    int64_t count = -1;
    assert_int_equal(porch_store_read(l->store.store, count_rows, &count, &l->why), PORCH_OK);
    return count;
}

static void a_restart_forgives_no_wrong_attempt_of_an_account(void **state) {
    lab *l = *state;
    porch_setup_done done;
    char session[PORCH_SESSION_TOKEN_TEXT];
    make_owner(l, &done);
    uint64_t now_ms = T0 + 10;
    for (uint32_t i = 0; i < l->store.settings.people_free_attempts_account; i++)
        assert_int_equal(login(l, "ROBIN", OTHER, "9-x", now_ms, session), PORCH_ERR_AUTH);
    reopen(l);
    assert_int_equal(login(l, "Robin", PASSWORD, "1-b", now_ms, session), PORCH_ERR_LIMIT);
    now_ms += 1000;
    assert_int_equal(login(l, "Robin", OTHER, "9-x", now_ms, session), PORCH_ERR_AUTH);
    reopen(l); /* the next wait is twice as long: it goes on counting where it was */
    assert_int_equal(login(l, "Robin", PASSWORD, "1-b", now_ms + 1999, session), PORCH_ERR_LIMIT);
    assert_int_equal(login(l, "Robin", PASSWORD, "1-b", now_ms + 2000, session), PORCH_OK);
    assert_int_equal(rows(l), 0); /* a right one clears it, on disk, too */
    reopen(l);
    for (uint32_t i = 0; i < l->store.settings.people_free_attempts_account; i++)
        assert_int_equal(login(l, "Robin", OTHER, "9-x", now_ms + 3000, session), PORCH_ERR_AUTH);
}

static void wrong_codes_of_a_step_up_are_kept_too(void **state) {
    lab *l = *state;
    porch_setup_done done;
    porch_user_session s;
    make_owner(l, &done);
    assert_int_equal(find(l, done.session, T0 + 10, &s), PORCH_OK);
    for (uint32_t i = 0; i < l->store.settings.people_free_attempts_account; i++)
        assert_int_equal(
            porch_step_up(l->accounts, &s, PORCH_LIT("9-x"), "192.0.2.1", T0 + 10, &l->retry_s, &l->why),
            PORCH_ERR_DENIED);
    reopen(l);
    assert_int_equal(
        porch_step_up(l->accounts, &s, PORCH_LIT("1-b"), "192.0.2.1", T0 + 10, &l->retry_s, &l->why),
        PORCH_ERR_LIMIT);
    assert_int_equal(
        porch_step_up(l->accounts, &s, PORCH_LIT("1-b"), "192.0.2.1", T0 + 1010, &l->retry_s, &l->why),
        PORCH_OK);
    assert_int_equal(rows(l), 0);
}

static void an_unknown_name_is_counted_over_a_restart_like_a_known_one(void **state) {
    lab *l = *state;
    porch_setup_done done;
    char session[PORCH_SESSION_TOKEN_TEXT];
    const char *const names[] = {"Robin", "Nobody"};
    make_owner(l, &done);
    for (size_t n = 0; n < 2; n++)
        for (uint32_t i = 0; i < l->store.settings.people_free_attempts_account; i++)
            assert_int_equal(login(l, names[n], OTHER, "9-x", T0 + 10, session), PORCH_ERR_AUTH);
    assert_int_equal(rows(l), 2);
    reopen(l);
    for (size_t n = 0; n < 2; n++) {
        assert_int_equal(login(l, names[n], OTHER, "9-x", T0 + 10, session), PORCH_ERR_LIMIT);
        assert_int_equal(l->retry_s, 1);
    }
}

typedef struct {
    lab *l;
    unsigned from, count;
} flood_job;

/* What a flood of names leaves, without the cost of judging each. */
static porch_err flood(porch_db *db, void *ctx, porch_why *why) {
    const flood_job *job = ctx;
    for (unsigned i = job->from; i < job->from + job->count; i++) {
        char name[16];
        (void)snprintf(name, sizeof name, "n%u", i % 100000);
        porch_throttle_subject subject =
            porch_accounts_throttle_subject(job->l->accounts, porch_accounts_at_the_door(name));
        (void)porch_accounts_throttle_begin(job->l->accounts, &subject, 1, T0 + 100 + i);
        PORCH_TRY(porch_accounts_throttle_save(job->l->accounts, db, porch_accounts_at_the_door(name),
                                               false, why));
    }
    return PORCH_OK;
}

static void a_flood_of_unknown_names_neither_fills_the_table_nor_washes_out_a_known_one(void **state) {
    lab *l = *state;
    porch_setup_done done;
    char session[PORCH_SESSION_TOKEN_TEXT];
    make_owner(l, &done);
    for (uint32_t i = 0; i < l->store.settings.people_free_attempts_account; i++)
        assert_int_equal(login(l, "Robin", OTHER, "9-x", T0 + 10, session), PORCH_ERR_AUTH);
    flood_job job = {l, 0, 400};
    assert_int_equal(porch_store_write(l->store.store, flood, &job, &l->why), PORCH_OK);
    assert_int_equal(rows(l), 257);
    reopen(l);
    assert_int_equal(login(l, "Robin", PASSWORD, "1-b", T0 + 10, session), PORCH_ERR_LIMIT);
}

static void old_rows_are_swept(void **state) {
    lab *l = *state;
    porch_setup_done done;
    char session[PORCH_SESSION_TOKEN_TEXT];
    uint64_t forget_ms = (uint64_t)l->store.settings.people_login_forget_s * 1000;
    make_owner(l, &done);
    assert_int_equal(login(l, "Robin", OTHER, "9-x", T0 + 10, session), PORCH_ERR_AUTH);
    assert_int_equal(login(l, "nobody", OTHER, "9-x", T0 + 10, session), PORCH_ERR_AUTH);
    assert_int_equal(rows(l), 2);
    assert_int_equal(login(l, "nobody", OTHER, "9-x", T0 + 11 + forget_ms, session), PORCH_ERR_AUTH);
    assert_int_equal(rows(l), 1);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        PORCH_ACCOUNTS_TEST(a_restart_forgives_no_wrong_attempt_of_an_account),
        PORCH_ACCOUNTS_TEST(wrong_codes_of_a_step_up_are_kept_too),
        PORCH_ACCOUNTS_TEST(an_unknown_name_is_counted_over_a_restart_like_a_known_one),
        PORCH_ACCOUNTS_TEST(a_flood_of_unknown_names_neither_fills_the_table_nor_washes_out_a_known_one),
        PORCH_ACCOUNTS_TEST(old_rows_are_swept),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
