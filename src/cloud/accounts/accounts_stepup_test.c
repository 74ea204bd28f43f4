/* How long a code counts as fresh, and what it takes to give one. */
#include "cloud/accounts/accounts_stepup.h"

#include "cloud/accounts/accounts_room.h"
#include "cloud/accounts/accounts_testing.h"

static porch_err demand(lab *l, const char *token, porch_step_up_need need, uint64_t now_ms) {
    porch_user_session s;
    assert_int_equal(find(l, token, now_ms, &s), PORCH_OK);
    return porch_step_up_demand(l->accounts, &s, need, now_ms, &l->why);
}

static porch_err prove(lab *l, const char *token, const char *code, uint64_t now_ms) {
    porch_user_session s;
    assert_int_equal(find(l, token, now_ms, &s), PORCH_OK);
    return porch_step_up(l->accounts, &s, porch_bytes_of(code), "192.0.2.1", now_ms, &l->retry_s, &l->why);
}

static uint64_t fresh_ms(const lab *l) {
    return (uint64_t)l->store.settings.people_step_up_s * 1000;
}

static void a_code_counts_for_the_set_time_and_not_a_moment_longer(void **state) {
    lab *l = *state;
    porch_setup_done done;
    porch_user_session s;
    make_owner(l, &done);
    uint64_t given_ms = T0 + 2;
    assert_int_equal(demand(l, done.session, PORCH_STEP_UP_AUTHENTICATOR, given_ms), PORCH_OK);
    assert_int_equal(demand(l, done.session, PORCH_STEP_UP_ANY, given_ms + fresh_ms(l) - 1), PORCH_OK);
    assert_int_equal(demand(l, done.session, PORCH_STEP_UP_ANY, given_ms + fresh_ms(l)), PORCH_ERR_STEP_UP);
    given_ms += 2 * fresh_ms(l);
    assert_int_equal(prove(l, done.session, "1-b", given_ms), PORCH_OK);
    assert_int_equal(demand(l, done.session, PORCH_STEP_UP_ANY, given_ms + fresh_ms(l) - 1), PORCH_OK);
    assert_int_equal(demand(l, done.session, PORCH_STEP_UP_ANY, given_ms + fresh_ms(l)), PORCH_ERR_STEP_UP);
    /* a clock that was set back makes no proof younger */
    assert_int_equal(demand(l, done.session, PORCH_STEP_UP_ANY, given_ms - 1), PORCH_ERR_STEP_UP);
    assert_int_equal(find(l, done.session, given_ms, &s), PORCH_OK);
    assert_int_equal(porch_step_up_left_s(l->accounts, &s, given_ms), fresh_ms(l) / 1000);
    assert_int_equal(porch_step_up_left_s(l->accounts, &s, given_ms + fresh_ms(l) - 1), 1);
    assert_int_equal(porch_step_up_left_s(l->accounts, &s, given_ms + fresh_ms(l)), 0);
}

static void a_code_counts_for_the_session_that_showed_it_alone(void **state) {
    lab *l = *state;
    porch_setup_done done;
    char other[PORCH_SESSION_TOKEN_TEXT];
    make_owner(l, &done);
    assert_int_equal(login(l, "Robin", PASSWORD, "1-b", T0 + 3, other), PORCH_OK);
    uint64_t later_ms = T0 + 3 + fresh_ms(l);
    assert_int_equal(prove(l, done.session, "1-c", later_ms), PORCH_OK);
    assert_int_equal(demand(l, done.session, PORCH_STEP_UP_ANY, later_ms), PORCH_OK);
    assert_int_equal(demand(l, other, PORCH_STEP_UP_ANY, later_ms), PORCH_ERR_STEP_UP);
}

static void a_code_proves_once_and_a_wrong_one_nothing(void **state) {
    lab *l = *state;
    porch_setup_done done;
    make_owner(l, &done);
    uint64_t later_ms = T0 + 2 + fresh_ms(l);
    const char *const wrong[] = {"9-b", "", "1-a" /* it made the account */, "a code that is much too long",
                                 "AAAA-AAAA-AAAA-AAAA"};
    for (size_t i = 0; i < sizeof wrong / sizeof *wrong; i++) {
        assert_int_equal(prove(l, done.session, wrong[i], later_ms + i * 60000), PORCH_ERR_DENIED);
        assert_int_equal(demand(l, done.session, PORCH_STEP_UP_ANY, later_ms + i * 60000),
                         PORCH_ERR_STEP_UP);
    }
    later_ms += HOUR_MS / 2;
    assert_int_equal(prove(l, done.session, "1-b", later_ms), PORCH_OK);
    assert_int_equal(prove(l, done.session, "1-b", later_ms), PORCH_ERR_DENIED);
}

static void a_recovery_code_is_spent_and_makes_no_further_ones(void **state) {
    lab *l = *state;
    porch_setup_done done;
    make_owner(l, &done);
    uint64_t later_ms = T0 + 2 + fresh_ms(l);
    /* what wants the app says so before a recovery code is spent */
    assert_int_equal(demand(l, done.session, PORCH_STEP_UP_AUTHENTICATOR, later_ms), PORCH_ERR_STEP_UP_APP);
    assert_int_equal(prove(l, done.session, done.recovery.text[3], later_ms), PORCH_OK);
    assert_int_equal(demand(l, done.session, PORCH_STEP_UP_ANY, later_ms), PORCH_OK);
    assert_int_equal(demand(l, done.session, PORCH_STEP_UP_AUTHENTICATOR, later_ms), PORCH_ERR_STEP_UP_APP);
    assert_int_equal(prove(l, done.session, done.recovery.text[3], later_ms), PORCH_ERR_DENIED);
    char session[PORCH_SESSION_TOKEN_TEXT];
    assert_int_equal(login(l, "Robin", PASSWORD, done.recovery.text[3], later_ms, session), PORCH_ERR_AUTH);
}

static void guessing_codes_gets_slower(void **state) {
    lab *l = *state;
    porch_setup_done done;
    make_owner(l, &done);
    for (uint32_t i = 0; i < l->store.settings.people_free_attempts_account; i++)
        assert_int_equal(prove(l, done.session, "9-x", T0 + 9), PORCH_ERR_DENIED);
    unsigned before = totp_checked;
    assert_int_equal(prove(l, done.session, "1-b", T0 + 9), PORCH_ERR_LIMIT);
    assert_int_equal(l->retry_s, 1);
    assert_int_equal(totp_checked, before);
    assert_int_equal(prove(l, done.session, "1-b", T0 + 1009), PORCH_OK);
}

static void who_guesses_at_the_door_holds_up_nobody_who_is_signed_in(void **state) {
    lab *l = *state;
    porch_setup_done done;
    porch_user_session s;
    char session[PORCH_SESSION_TOKEN_TEXT], phc[PORCH_PASSWORD_HASH_BYTES];
    const porch_sign_in_from elsewhere = {.address = "203.0.113.9", .agent = porch_bytes_of(FIREFOX)};
    make_owner(l, &done);
    for (uint32_t i = 0; i < l->store.settings.people_free_attempts_account; i++)
        assert_int_equal(login_from(l, "Robin", OTHER, "9-x", &elsewhere, T0 + 9, session), PORCH_ERR_AUTH);
    assert_int_equal(login(l, "Robin", PASSWORD, "1-b", T0 + 9, session), PORCH_ERR_LIMIT);
    assert_int_equal(prove(l, done.session, "1-b", T0 + 9), PORCH_OK);
    assert_int_equal(find(l, done.session, T0 + 9, &s), PORCH_OK);
    assert_int_equal(porch_accounts_password_again(l->accounts, &s.person, porch_bytes_of(PASSWORD),
                                                   "192.0.2.1", "test", T0 + 9, phc, &l->retry_s, &l->why),
                     PORCH_OK);
    /* and it forgives nothing that is counted at the door */
    assert_int_equal(login(l, "Robin", PASSWORD, "1-c", T0 + 9, session), PORCH_ERR_LIMIT);
}

static void a_session_that_ended_meanwhile_proves_nothing(void **state) {
    lab *l = *state;
    porch_setup_done done;
    porch_user_session s;
    make_owner(l, &done);
    assert_int_equal(find(l, done.session, T0 + 9, &s), PORCH_OK);
    assert_int_equal(porch_user_session_end(l->accounts, &s, T0 + 9, &l->why), PORCH_OK);
    assert_int_equal(
        porch_step_up(l->accounts, &s, PORCH_LIT("1-b"), "192.0.2.1", T0 + 9, &l->retry_s, &l->why),
        PORCH_ERR_AUTH);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        PORCH_ACCOUNTS_TEST(a_code_counts_for_the_set_time_and_not_a_moment_longer),
        PORCH_ACCOUNTS_TEST(a_code_counts_for_the_session_that_showed_it_alone),
        PORCH_ACCOUNTS_TEST(a_code_proves_once_and_a_wrong_one_nothing),
        PORCH_ACCOUNTS_TEST(a_recovery_code_is_spent_and_makes_no_further_ones),
        PORCH_ACCOUNTS_TEST(guessing_codes_gets_slower),
        PORCH_ACCOUNTS_TEST(who_guesses_at_the_door_holds_up_nobody_who_is_signed_in),
        PORCH_ACCOUNTS_TEST(a_session_that_ended_meanwhile_proves_nothing),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
