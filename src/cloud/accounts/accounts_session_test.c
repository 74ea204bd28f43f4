/* Sessions through their life, and a person's view of the own ones. */
#include "cloud/accounts/accounts_session.h"

#include "cloud/accounts/accounts_testing.h"

/* ---- one session ---- */

static porch_err count_sessions(porch_db *db, void *ctx, porch_why *why) {
    porch_db_query *q = porch_db_prepare(db, "SELECT count(*) FROM session", why);
    porch_err e = porch_db_step(q, why);
    *(int64_t *)ctx = e == PORCH_OK ? porch_db_i64(q, 0) : -1;
    porch_db_finish(q);
    return e;
}

static void sign_in(lab *l, const char *code, bool installed, uint64_t now_ms, char *session) {
    const porch_sign_in_from from = {"192.0.2.1", porch_bytes_of(FIREFOX), installed};
    if (login_from(l, "Robin", PASSWORD, code, &from, now_ms, session) != PORCH_OK)
        fail_msg("%s", l->why.text);
}

/* The clock is turned by hand through a whole life. */
static void lives_and_ends(lab *l, const char *token, uint64_t born_ms, uint64_t idle_ms,
                           uint64_t life_ms) {
    porch_user_session s;
    uint64_t now_ms = born_ms;
    assert_int_equal(find(l, token, born_ms + idle_ms, &s), PORCH_ERR_AUTH);
    assert_int_equal(find(l, token, born_ms + idle_ms - 1, &s), PORCH_OK); /* that was a use */
    assert_int_equal(s.expires_ms, born_ms + life_ms);
    now_ms += idle_ms - 1;
    while (now_ms + idle_ms - 1 < born_ms + life_ms) {
        now_ms += idle_ms - 1;
        assert_int_equal(find(l, token, now_ms, &s), PORCH_OK);
    }
    assert_int_equal(find(l, token, born_ms + life_ms - 1, &s), PORCH_OK);
    assert_true(porch_user_session_alive(l->accounts, s.hash, born_ms + life_ms - 1));
    assert_int_equal(find(l, token, born_ms + life_ms, &s), PORCH_ERR_AUTH);
    assert_false(porch_user_session_alive(l->accounts, s.hash, born_ms + life_ms));
}

static void in_a_browser_a_session_lives_a_day_and_an_hour_idle(void **state) {
    lab *l = *state;
    porch_setup_done done;
    make_owner(l, &done);
    lives_and_ends(l, done.session, T0 + 2, HOUR_MS, DAY_MS);
}

static void on_the_home_screen_a_session_lives_thirty_days_and_seven_idle(void **state) {
    lab *l = *state;
    porch_setup_done done;
    char session[PORCH_SESSION_TOKEN_TEXT];
    make_owner(l, &done);
    sign_in(l, "1-h", true, T0 + 9, session);
    lives_and_ends(l, session, T0 + 9, 7 * (uint64_t)DAY_MS, 30 * (uint64_t)DAY_MS);
}

/* Signed in while the clock was ten years ahead: put right, it must not keep the session for ten years. */
static void a_session_from_the_future_is_over(void **state) {
    lab *l = *state;
    porch_setup_done done;
    porch_user_session s;
    make_owner(l, &done);
    const uint64_t hour = 3600 * 1000, ten_years = hour * 24 * 3652;
    assert_int_equal(find(l, done.session, T0 + 2 - hour, &s), PORCH_OK); /* a small correction */
    assert_int_equal(find(l, done.session, T0 - 2 * hour, &s), PORCH_ERR_AUTH);
    assert_false(porch_user_session_alive(l->accounts, s.hash, T0 - 2 * hour));
    assert_int_equal(find(l, done.session, T0 - ten_years, &s), PORCH_ERR_AUTH);
    assert_int_equal(find(l, done.session, T0 + ten_years, &s), PORCH_ERR_AUTH);
}

static void what_is_over_is_swept_by_its_own_kinds_time(void **state) {
    lab *l = *state;
    porch_setup_done done;
    porch_user_session s;
    char home[PORCH_SESSION_TOKEN_TEXT], session[PORCH_SESSION_TOKEN_TEXT];
    int64_t count = 0;
    make_owner(l, &done);
    sign_in(l, "1-h", true, T0 + 9, home);
    sign_in(l, "1-i", false, T0 + DAY_MS, session); /* the owner's first one is over by now */
    assert_int_equal(porch_store_read(l->store.store, count_sessions, &count, &l->why), PORCH_OK);
    assert_int_equal(count, 2);
    assert_int_equal(find(l, home, T0 + DAY_MS + 1, &s), PORCH_OK);
    assert_true(s.installed);
}

static void a_signed_out_session_is_over_and_its_end_is_told(void **state) {
    lab *l = *state;
    porch_setup_done done;
    porch_user_session s;
    make_owner(l, &done);
    assert_int_equal(find(l, done.session, T0 + 3, &s), PORCH_OK);
    assert_int_equal(porch_user_session_end(l->accounts, &s, T0 + 4, &l->why), PORCH_OK);
    assert_int_equal(l->ended, 1);
    assert_int_equal(find(l, done.session, T0 + 5, &s), PORCH_ERR_AUTH);
}

/* ---- the list ---- */

typedef struct {
    porch_user_session_row rows[8];
    size_t count;
} listed;

static void take_row(const porch_user_session_row *row, void *ctx) {
    listed *all = ctx;
    assert_true(all->count < 8);
    all->rows[all->count++] = *row;
}

static void list(lab *l, const char *token, uint64_t now_ms, porch_user_session *own, listed *ret) {
    *ret = (listed){.count = 0};
    assert_int_equal(find(l, token, now_ms, own), PORCH_OK);
    assert_int_equal(porch_user_session_list(l->accounts, own, now_ms, take_row, ret, &l->why), PORCH_OK);
}

static void a_person_sees_where_they_are_signed_in(void **state) {
    lab *l = *state;
    porch_setup_done done;
    porch_user_session own;
    listed all;
    char phone[PORCH_SESSION_TOKEN_TEXT];
    const porch_sign_in_from from = {
        "2001:db8::7", PORCH_LIT("Mozilla/5.0 (iPhone; CPU iPhone OS 17_5 like Mac OS X) Safari/604.1"),
        true};
    make_owner(l, &done);
    assert_int_equal(login_from(l, "Robin", PASSWORD, "1-p", &from, T0 + 60000, phone), PORCH_OK);
    list(l, done.session, T0 + 120002, &own, &all); /* asking is use */
    assert_int_equal(all.count, 2);
    assert_true(all.rows[0].own);
    assert_string_equal(all.rows[0].agent, "Firefox on Linux");
    assert_string_equal(all.rows[0].address, "192.0.2.1");
    assert_string_equal(all.rows[0].id, own.id);
    assert_int_equal(all.rows[0].created_ms, T0 + 2);
    assert_int_equal(all.rows[0].seen_ms, T0 + 120002);
    assert_int_equal(all.rows[0].expires_ms, T0 + 2 + DAY_MS);
    assert_false(all.rows[1].own);
    assert_true(all.rows[1].installed);
    assert_string_equal(all.rows[1].agent, "Safari on iPhone");
    assert_string_equal(all.rows[1].address, "2001:db8::7");
    assert_int_equal(all.rows[1].expires_ms, T0 + 60000 + 30 * (uint64_t)DAY_MS);
    assert_string_not_equal(all.rows[0].id, all.rows[1].id);
    /* what is over is not shown, though its row may still be there */
    list(l, phone, T0 + 120002 + HOUR_MS, &own, &all);
    assert_int_equal(all.count, 1);
    assert_true(all.rows[0].own);
}

static void one_of_them_is_signed_out_from_elsewhere(void **state) {
    lab *l = *state;
    porch_setup_done done;
    porch_user_session own, other;
    char phone[PORCH_SESSION_TOKEN_TEXT];
    make_owner(l, &done);
    sign_in(l, "1-p", true, T0 + 10, phone);
    assert_int_equal(find(l, done.session, T0 + 11, &own), PORCH_OK);
    assert_int_equal(find(l, phone, T0 + 11, &other), PORCH_OK);
    assert_int_equal(porch_user_session_end_one(l->accounts, &own, "nothing", "192.0.2.1", &l->why),
                     PORCH_ERR_NOT_FOUND);
    assert_int_equal(porch_user_session_end_one(l->accounts, &own, "", "192.0.2.1", &l->why),
                     PORCH_ERR_NOT_FOUND);
    assert_int_equal(l->ended, 0);
    assert_int_equal(porch_user_session_end_one(l->accounts, &own, other.id, "192.0.2.1", &l->why),
                     PORCH_OK);
    assert_int_equal(l->ended, 1);
    assert_int_equal(find(l, phone, T0 + 12, &other), PORCH_ERR_AUTH);
    assert_int_equal(find(l, done.session, T0 + 12, &own), PORCH_OK);
    /* one of somebody else is not found */
    (void)snprintf(own.person.id, sizeof own.person.id, "somebody-else");
    assert_int_equal(porch_user_session_end_one(l->accounts, &own, own.id, "192.0.2.1", &l->why),
                     PORCH_ERR_NOT_FOUND);
}

static void all_others_are_signed_out_with_a_fresh_code_only(void **state) {
    lab *l = *state;
    porch_setup_done done;
    porch_user_session own;
    char phones[3][PORCH_SESSION_TOKEN_TEXT];
    unsigned count = 99;
    uint64_t stale_ms = T0 + 2 + (uint64_t)l->store.settings.people_step_up_s * 1000;
    make_owner(l, &done);
    sign_in(l, "1-x", true, T0 + 10, phones[0]);
    sign_in(l, "1-y", true, T0 + 11, phones[1]);
    sign_in(l, "1-z", false, T0 + 12, phones[2]);
    assert_int_equal(find(l, done.session, stale_ms, &own), PORCH_OK);
    assert_int_equal(
        porch_user_session_end_others(l->accounts, &own, "192.0.2.1", stale_ms, &count, &l->why),
        PORCH_ERR_STEP_UP);
    assert_int_equal(l->ended, 0);
    assert_int_equal(
        porch_user_session_end_others(l->accounts, &own, "192.0.2.1", stale_ms - 1, &count, &l->why),
        PORCH_OK);
    assert_int_equal(count, 3);
    assert_int_equal(l->ended, 3);
    for (size_t i = 0; i < 3; i++) {
        porch_user_session gone;
        assert_int_equal(find(l, phones[i], stale_ms, &gone), PORCH_ERR_AUTH);
    }
    assert_int_equal(find(l, done.session, stale_ms, &own), PORCH_OK);
}

static void what_is_no_token_is_no_session(void **state) {
    lab *l = *state;
    porch_setup_done done;
    porch_user_session s;
    make_owner(l, &done);
    done.session[5] = done.session[5] == 'A' ? 'B' : 'A';
    assert_int_equal(find(l, done.session, T0 + 3, &s), PORCH_ERR_AUTH);
    assert_int_equal(find(l, "", T0 + 3, &s), PORCH_ERR_AUTH);
    assert_int_equal(porch_user_session_find(l->accounts, (porch_bytes){NULL, 0}, T0, &s, &l->why),
                     PORCH_ERR_AUTH);
}

static void sessions_are_bounded_and_the_one_idle_longest_gives_way_and_is_told(void **state) {
    lab *l = *state;
    porch_setup_done done;
    porch_user_session s;
    char session[PORCH_SESSION_TOKEN_TEXT], code[32];
    int64_t count = 0;
    l->store.settings.people_sessions = 4;
    reopen(l);
    make_owner(l, &done);
    for (uint32_t i = 0; i < l->store.settings.people_sessions; i++) {
        (void)snprintf(code, sizeof code, "1-%u", i);
        assert_int_equal(login(l, "Robin", PASSWORD, code, T0 + 1000 + i, session), PORCH_OK);
    }
    assert_int_equal(porch_store_read(l->store.store, count_sessions, &count, &l->why), PORCH_OK);
    assert_int_equal(count, l->store.settings.people_sessions);
    assert_int_equal(l->ended, 1);
    assert_int_equal(find(l, done.session, T0 + 2000, &s), PORCH_ERR_AUTH);
    assert_int_equal(find(l, session, T0 + 2000, &s), PORCH_OK);
}

/* ---- what ends with them ---- */

typedef struct {
    unsigned count;
    bool refuse;
    char account[PORCH_PERSON_ID_TEXT], id[PORCH_SESSION_ID_TEXT], except[PORCH_SESSION_ID_TEXT];
} heard;

static porch_err hear(porch_db *db, const char *account, const char *id, const char *except, void *ctx,
                      porch_why *why) {
    heard *h = ctx;
    (void)db;
    h->count++;
    (void)snprintf(h->account, sizeof h->account, "%s", account);
    (void)snprintf(h->id, sizeof h->id, "%s", id);
    (void)snprintf(h->except, sizeof h->except, "%s", except);
    return h->refuse ? porch_fail(why, PORCH_ERR_FULL, "no") : PORCH_OK;
}

static void signing_out_all_others_reaches_what_those_left_whose_time_was_over(void **state) {
    lab *l = *state;
    porch_setup_done done;
    porch_user_session own;
    char session[PORCH_SESSION_TOKEN_TEXT];
    heard h = {0};
    unsigned ended = 9;
    make_owner(l, &done);
    porch_user_session_in_end(l->accounts, hear, &h);
    sign_in(l, "1-b", false, T0 + DAY_MS, session); /* the owner's first one is over and swept */
    assert_int_equal(h.count, 0);                   /* it ended by itself */
    assert_int_equal(find(l, session, T0 + DAY_MS, &own), PORCH_OK);
    assert_int_equal(
        porch_user_session_end_others(l->accounts, &own, "192.0.2.1", T0 + DAY_MS, &ended, &l->why),
        PORCH_OK);
    assert_int_equal(ended, 0);
    assert_int_equal(h.count, 1);
    assert_string_equal(h.account, own.person.id);
    assert_string_equal(h.id, "");
    assert_string_equal(h.except, own.id);
}

static void what_ends_with_a_sign_in_ends_in_the_same_write_or_neither(void **state) {
    lab *l = *state;
    porch_setup_done done;
    porch_user_session own;
    heard h = {.refuse = true};
    make_owner(l, &done);
    porch_user_session_in_end(l->accounts, hear, &h);
    assert_int_equal(find(l, done.session, T0 + 9, &own), PORCH_OK);
    assert_int_equal(porch_user_session_end(l->accounts, &own, T0 + 9, &l->why), PORCH_ERR_FULL);
    assert_int_equal(find(l, done.session, T0 + 9, &own), PORCH_OK);
    h.refuse = false;
    assert_int_equal(porch_user_session_end(l->accounts, &own, T0 + 9, &l->why), PORCH_OK);
    assert_string_equal(h.id, own.id);
    assert_int_equal(find(l, done.session, T0 + 9, &own), PORCH_ERR_AUTH);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        PORCH_ACCOUNTS_TEST(in_a_browser_a_session_lives_a_day_and_an_hour_idle),
        PORCH_ACCOUNTS_TEST(on_the_home_screen_a_session_lives_thirty_days_and_seven_idle),
        PORCH_ACCOUNTS_TEST(a_session_from_the_future_is_over),
        PORCH_ACCOUNTS_TEST(what_is_over_is_swept_by_its_own_kinds_time),
        PORCH_ACCOUNTS_TEST(a_signed_out_session_is_over_and_its_end_is_told),
        PORCH_ACCOUNTS_TEST(a_person_sees_where_they_are_signed_in),
        PORCH_ACCOUNTS_TEST(one_of_them_is_signed_out_from_elsewhere),
        PORCH_ACCOUNTS_TEST(all_others_are_signed_out_with_a_fresh_code_only),
        PORCH_ACCOUNTS_TEST(what_is_no_token_is_no_session),
        PORCH_ACCOUNTS_TEST(sessions_are_bounded_and_the_one_idle_longest_gives_way_and_is_told),
        PORCH_ACCOUNTS_TEST(signing_out_all_others_reaches_what_those_left_whose_time_was_over),
        PORCH_ACCOUNTS_TEST(what_ends_with_a_sign_in_ends_in_the_same_write_or_neither),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
