/* What a person is told about the own account: once, stored, bounded, and answered once. */
#include "cloud/accounts/accounts_alert.h"

#include "cloud/accounts/accounts_change.h"
#include "cloud/accounts/accounts_testing.h"

typedef struct {
    porch_alert all[64];
    size_t count;
} heard;

static heard in_write, told;
static bool refuse_write;

static void take(const porch_alert *alert, void *ctx) {
    heard *h = ctx;
    assert_true(h->count < 64);
    h->all[h->count++] = *alert;
}

static void hear(const porch_alert *alert, void *ctx) {
    (void)ctx;
    take(alert, &told);
}

static porch_err hear_in_write(porch_db *db, const porch_alert *alert, void *ctx, porch_why *why) {
    (void)db;
    (void)ctx;
    if (refuse_write) return porch_fail(why, PORCH_ERR_FULL, "full");
    take(alert, &in_write);
    return PORCH_OK;
}

static int listen(void **state) {
    int rc = make_lab(state);
    lab *l = *state;
    in_write.count = told.count = 0;
    refuse_write = false;
    porch_alert_on_new(l->accounts, hear_in_write, hear, NULL);
    return rc;
}

static void list(lab *l, const char *token, uint64_t now_ms, porch_user_session *own, heard *ret) {
    ret->count = 0;
    assert_int_equal(find(l, token, now_ms, own), PORCH_OK);
    assert_int_equal(porch_alert_list(l->accounts, own, take, ret, &l->why), PORCH_OK);
}

static porch_err answer(lab *l, const char *token, const char *id, bool mine, uint64_t now_ms,
                        bool *ended) {
    porch_user_session own;
    assert_int_equal(find(l, token, now_ms, &own), PORCH_OK);
    return porch_alert_give_answer(l->accounts, &own, id, mine, "192.0.2.1", ended, &l->why);
}

static porch_err login_at(lab *l, const char *address, const char *password, const char *code,
                          uint64_t now_ms, char *session) {
    const porch_sign_in_from from = {address, PORCH_LIT("Mozilla/5.0 (Windows NT 10.0) Firefox/1"), false};
    return login_from(l, "Robin", password, code, &from, now_ms, session);
}

static void each_sign_in_is_told_once_with_its_place(void **state) {
    lab *l = *state;
    porch_setup_done done;
    porch_user_session own, other;
    heard all;
    char session[PORCH_SESSION_TOKEN_TEXT];
    make_owner(l, &done);
    assert_int_equal(told.count, 0); /* who sets up the account knows */
    assert_int_equal(login_at(l, "198.51.100.9", PASSWORD, "1-b", T0 + 10, session), PORCH_OK);
    assert_int_equal(told.count, 1);
    assert_int_equal(in_write.count, 1);
    assert_string_equal(told.all[0].id, in_write.all[0].id);
    assert_string_equal(told.all[0].account, done.person.id);
    list(l, done.session, T0 + 11, &own, &all);
    assert_int_equal(find(l, session, T0 + 11, &other), PORCH_OK);
    assert_int_equal(all.count, 1);
    assert_int_equal(all.all[0].kind, PORCH_ALERT_SIGN_IN);
    assert_string_equal(all.all[0].address, "198.51.100.9");
    assert_string_equal(all.all[0].agent, "Firefox on Windows");
    assert_string_equal(all.all[0].session, other.id);
    assert_int_equal(all.all[0].at_ms, T0 + 10);
    assert_true(all.all[0].session_lives);
    assert_false(all.all[0].own);
    list(l, session, T0 + 11, &own, &all);
    assert_true(all.all[0].own);
}

static void who_has_the_password_and_not_the_code_is_told_once_and_counted(void **state) {
    lab *l = *state;
    porch_setup_done done;
    porch_user_session own;
    heard all;
    char session[PORCH_SESSION_TOKEN_TEXT];
    uint64_t join_ms = (uint64_t)l->store.settings.people_alert_join_s * 1000;
    make_owner(l, &done);
    assert_int_equal(login_at(l, "198.51.100.9", OTHER, "9-a", T0 + 10, session), PORCH_ERR_AUTH);
    assert_int_equal(told.count, 0); /* a wrong password is nobody's news */
    assert_int_equal(login_at(l, "198.51.100.9", PASSWORD, "9-a", T0 + 11, session), PORCH_ERR_AUTH);
    assert_int_equal(login_at(l, "198.51.100.9", PASSWORD, "AAAA-AAAA-AAAA-AAAA", T0 + 12, session),
                     PORCH_ERR_AUTH);
    assert_int_equal(told.count, 1);
    assert_int_equal(in_write.count, 1);
    list(l, done.session, T0 + 13, &own, &all);
    assert_int_equal(all.count, 1);
    assert_int_equal(all.all[0].kind, PORCH_ALERT_HALF);
    assert_int_equal(all.all[0].count, 2);
    assert_int_equal(all.all[0].at_ms, T0 + 11);
    assert_int_equal(all.all[0].last_ms, T0 + 12);
    assert_false(all.all[0].session_lives);
    /* from elsewhere, or much later, it is another one */
    assert_int_equal(login_at(l, "198.51.100.10", PASSWORD, "9-a", T0 + 14, session), PORCH_ERR_AUTH);
    assert_int_equal(told.count, 2);
    assert_int_equal(login_at(l, "198.51.100.9", PASSWORD, "9-a", T0 + 12 + join_ms, session),
                     PORCH_ERR_AUTH);
    assert_int_equal(told.count, 3);
}

static void not_me_ends_that_sign_in_and_is_said_once(void **state) {
    lab *l = *state;
    porch_setup_done done;
    porch_user_session own;
    char thief[PORCH_SESSION_TOKEN_TEXT];
    bool ended = false;
    make_owner(l, &done);
    assert_int_equal(login_at(l, "198.51.100.9", PASSWORD, "1-b", T0 + 10, thief), PORCH_OK);
    const char *id = told.all[0].id;
    assert_int_equal(answer(l, thief, id, true, T0 + 11, &ended), PORCH_ERR_STATE); /* not by itself */
    assert_int_equal(answer(l, done.session, "nothing", false, T0 + 11, &ended), PORCH_ERR_NOT_FOUND);
    assert_int_equal(answer(l, done.session, id, false, T0 + 11, &ended), PORCH_OK);
    assert_true(ended);
    assert_int_equal(l->ended, 1);
    assert_int_equal(find(l, thief, T0 + 12, &own), PORCH_ERR_AUTH);
    assert_int_equal(answer(l, done.session, id, true, T0 + 12, &ended), PORCH_ERR_STATE);
    heard all;
    list(l, done.session, T0 + 12, &own, &all);
    assert_int_equal(all.all[0].answer, PORCH_ALERT_NOT_MINE);
    assert_false(all.all[0].session_lives);
    /* it was me: nothing ends */
    assert_int_equal(login_at(l, "198.51.100.9", PASSWORD, "1-c", T0 + 20, thief), PORCH_OK);
    assert_int_equal(answer(l, done.session, told.all[1].id, true, T0 + 21, &ended), PORCH_OK);
    assert_false(ended);
    assert_int_equal(find(l, thief, T0 + 22, &own), PORCH_OK);
}

static void the_list_is_bounded_and_a_flood_of_half_ones_hides_no_sign_in(void **state) {
    lab *l = *state;
    porch_setup_done done;
    porch_user_session own;
    heard all;
    char session[PORCH_SESSION_TOKEN_TEXT], text[32];
    l->store.settings.people_alerts = 5; /* two half ones and three others */
    reopen(l);
    porch_alert_on_new(l->accounts, hear_in_write, hear, NULL);
    make_owner(l, &done);
    for (unsigned i = 0; i < 4; i++) {
        (void)snprintf(text, sizeof text, "1-%u", i);
        assert_int_equal(login(l, "Robin", PASSWORD, text, T0 + 100 + i, session), PORCH_OK);
    }
    for (unsigned i = 0; i < 4; i++) {
        (void)snprintf(text, sizeof text, "198.51.100.%u", i);
        assert_int_equal(login_at(l, text, PASSWORD, "9-x", T0 + 200 + i, session), PORCH_ERR_AUTH);
    }
    assert_int_equal(told.count, 8);
    list(l, done.session, T0 + 1000, &own, &all);
    assert_int_equal(all.count, 5);
    assert_int_equal(all.all[0].at_ms, T0 + 203);
    assert_int_equal(all.all[1].at_ms, T0 + 202);
    assert_int_equal(all.all[2].at_ms, T0 + 103);
    assert_int_equal(all.all[4].at_ms, T0 + 101);
}

static void a_sign_in_that_cannot_be_told_is_none(void **state) {
    lab *l = *state;
    porch_setup_done done;
    char session[PORCH_SESSION_TOKEN_TEXT];
    make_owner(l, &done);
    refuse_write = true;
    assert_int_equal(login(l, "Robin", PASSWORD, "1-b", T0 + 10, session), PORCH_ERR_FULL);
    /* a half-finished one is refused in any case, and in the same words */
    assert_int_equal(login(l, "Robin", PASSWORD, "9-b", T0 + 10, session), PORCH_ERR_AUTH);
    assert_int_equal(told.count, 0);
}

static void a_changed_password_and_new_recovery_codes_are_told(void **state) {
    lab *l = *state;
    porch_setup_done done;
    porch_user_session s;
    porch_recovery_codes codes;
    porch_password_changed changed;
    const porch_sign_in_from from = {.address = "192.0.2.1"};
    make_owner(l, &done);
    assert_int_equal(find(l, done.session, T0 + 3, &s), PORCH_OK);
    assert_int_equal(porch_recovery_renew(l->accounts, &s, porch_bytes_of(PASSWORD), &from, T0 + 3, &codes,
                                          &l->retry_s, &l->why),
                     PORCH_OK);
    const porch_password_change c = {&s, porch_bytes_of(PASSWORD), porch_bytes_of(OTHER), from};
    assert_int_equal(
        porch_accounts_change_password(l->accounts, &c, T0 + 4, &changed, &l->retry_s, &l->why), PORCH_OK);
    assert_int_equal(told.count, 2);
    assert_string_equal(porch_alert_kind_text(told.all[0].kind), "recovery-codes");
    assert_string_equal(porch_alert_kind_text(told.all[1].kind), "password");
    assert_string_equal(told.all[1].session, s.id);
}

static void somebody_elses_alerts_are_neither_seen_nor_answered(void **state) {
    lab *l = *state;
    porch_setup_done done;
    porch_user_session own;
    heard all = {.count = 0};
    char session[PORCH_SESSION_TOKEN_TEXT];
    bool ended = false;
    make_owner(l, &done);
    assert_int_equal(login(l, "Robin", PASSWORD, "1-b", T0 + 10, session), PORCH_OK);
    assert_int_equal(find(l, done.session, T0 + 11, &own), PORCH_OK);
    (void)snprintf(own.person.id, sizeof own.person.id, "somebody-else");
    assert_int_equal(porch_alert_list(l->accounts, &own, take, &all, &l->why), PORCH_OK);
    assert_int_equal(all.count, 0);
    assert_int_equal(
        porch_alert_give_answer(l->accounts, &own, told.all[0].id, false, "::1", &ended, &l->why),
        PORCH_ERR_NOT_FOUND);
}

#define HEARD(name) cmocka_unit_test_setup_teardown(name, listen, drop_lab)

int main(void) {
    const struct CMUnitTest tests[] = {
        HEARD(each_sign_in_is_told_once_with_its_place),
        HEARD(who_has_the_password_and_not_the_code_is_told_once_and_counted),
        HEARD(not_me_ends_that_sign_in_and_is_said_once),
        HEARD(the_list_is_bounded_and_a_flood_of_half_ones_hides_no_sign_in),
        HEARD(a_sign_in_that_cannot_be_told_is_none),
        HEARD(a_changed_password_and_new_recovery_codes_are_told),
        HEARD(somebody_elses_alerts_are_neither_seen_nor_answered),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
