/* A changed password: what it takes, what it ends. */
#include "cloud/accounts/accounts_change.h"

#include "cloud/accounts/accounts_testing.h"

static porch_err change(lab *l, const char *token, const char *old, const char *new, uint64_t now_ms,
                        porch_password_changed *ret) {
    porch_user_session s;
    assert_int_equal(find(l, token, now_ms, &s), PORCH_OK);
    const porch_password_change c = {
        &s, porch_bytes_of(old), porch_bytes_of(new), {"192.0.2.1", porch_bytes_of(FIREFOX), false}};
    return porch_accounts_change_password(l->accounts, &c, now_ms, ret, &l->retry_s, &l->why);
}

static void it_takes_the_old_password_a_fresh_code_and_a_strong_new_one(void **state) {
    lab *l = *state;
    porch_setup_done done;
    porch_password_changed changed;
    make_owner(l, &done);
    uint64_t stale_ms = T0 + 2 + (uint64_t)l->store.settings.people_step_up_s * 1000;
    assert_int_equal(change(l, done.session, PASSWORD, OTHER, stale_ms, &changed), PORCH_ERR_STEP_UP);
    assert_int_equal(change(l, done.session, OTHER, OTHER, T0 + 3, &changed), PORCH_ERR_DENIED);
    assert_int_equal(change(l, done.session, PASSWORD, "Password-1234", T0 + 3, &changed), PORCH_ERR_USAGE);
    assert_int_equal(change(l, done.session, PASSWORD, PASSWORD, T0 + 3, &changed), PORCH_ERR_USAGE);
    assert_int_equal(change(l, done.session, PASSWORD, "Robin-Robin-1!", T0 + 3, &changed),
                     PORCH_ERR_USAGE);
    assert_int_equal(change(l, done.session, PASSWORD, "\xff", T0 + 3, &changed), PORCH_ERR_MALFORMED);
    char session[PORCH_SESSION_TOKEN_TEXT];
    assert_int_equal(login(l, "Robin", PASSWORD, "1-b", T0 + 3, session), PORCH_OK); /* nothing changed */
    assert_int_equal(l->ended, 0);
}

static void it_ends_every_other_sign_in_and_every_copy_of_this_one(void **state) {
    lab *l = *state;
    porch_setup_done done;
    porch_password_changed changed;
    porch_user_session s;
    char phone[PORCH_SESSION_TOKEN_TEXT], session[PORCH_SESSION_TOKEN_TEXT];
    make_owner(l, &done);
    assert_int_equal(login(l, "Robin", PASSWORD, "1-b", T0 + 3, phone), PORCH_OK);
    assert_int_equal(change(l, done.session, PASSWORD, OTHER, T0 + 4, &changed), PORCH_OK);
    assert_int_equal(changed.ended, 1);
    assert_int_equal(l->ended, 2); /* the phone's, and the old token's streams */
    assert_int_equal(find(l, phone, T0 + 5, &s), PORCH_ERR_AUTH);
    assert_int_equal(find(l, done.session, T0 + 5, &s), PORCH_ERR_AUTH);
    assert_int_equal(find(l, changed.session, T0 + 5, &s), PORCH_OK);
    assert_int_equal(s.created_ms, T0 + 2); /* a new token gives no longer life */
    assert_int_equal(login(l, "Robin", PASSWORD, "1-c", T0 + 6, session), PORCH_ERR_AUTH);
    assert_int_equal(login(l, "Robin", OTHER, "1-c", T0 + 6, session), PORCH_OK);
}

static void guessing_the_old_password_gets_slower(void **state) {
    lab *l = *state;
    porch_setup_done done;
    porch_password_changed changed;
    make_owner(l, &done);
    for (uint32_t i = 0; i < l->store.settings.people_free_attempts_account; i++)
        assert_int_equal(change(l, done.session, OTHER, OTHER, T0 + 3, &changed), PORCH_ERR_DENIED);
    assert_int_equal(change(l, done.session, PASSWORD, OTHER, T0 + 3, &changed), PORCH_ERR_LIMIT);
    assert_int_equal(l->retry_s, 1);
    assert_int_equal(change(l, done.session, PASSWORD, OTHER, T0 + 1003, &changed), PORCH_OK);
}

static void a_reset_by_the_operator_comes_before_a_change(void **state) {
    lab *l = *state;
    porch_setup_done done;
    porch_password_changed changed;
    porch_user_session s;
    char token[PORCH_SETUP_TOKEN_TEXT];
    uint64_t expires_ms;
    make_owner(l, &done);
    assert_int_equal(find(l, done.session, T0 + 3, &s), PORCH_OK);
    assert_int_equal(porch_setup_reset(l->accounts, "op", "Robin", T0 + 4, token, &expires_ms, &l->why),
                     PORCH_OK);
    const porch_password_change c = {
        &s, porch_bytes_of(PASSWORD), porch_bytes_of(OTHER), {.address = "::1"}};
    assert_int_equal(
        porch_accounts_change_password(l->accounts, &c, T0 + 5, &changed, &l->retry_s, &l->why),
        PORCH_ERR_DENIED);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        PORCH_ACCOUNTS_TEST(it_takes_the_old_password_a_fresh_code_and_a_strong_new_one),
        PORCH_ACCOUNTS_TEST(it_ends_every_other_sign_in_and_every_copy_of_this_one),
        PORCH_ACCOUNTS_TEST(guessing_the_old_password_gets_slower),
        PORCH_ACCOUNTS_TEST(a_reset_by_the_operator_comes_before_a_change),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
