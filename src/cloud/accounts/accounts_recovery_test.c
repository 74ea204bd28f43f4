/* Recovery codes: each once, wrong ones like wrong codes, and what it takes to make new ones. */
#include "cloud/accounts/accounts_recovery.h"

#include "cloud/accounts/accounts_testing.h"

/* With what the session proved so far. */
static porch_err renew(lab *l, const char *session, const char *password, uint64_t now_ms,
                       porch_recovery_codes *ret) {
    porch_user_session s;
    const porch_sign_in_from from = {.address = "192.0.2.1"};
    assert_int_equal(find(l, session, now_ms, &s), PORCH_OK);
    return porch_recovery_renew(l->accounts, &s, porch_bytes_of(password), &from, now_ms, ret, &l->retry_s,
                                &l->why);
}

static porch_err prove(lab *l, const char *session, const char *code, uint64_t now_ms) {
    porch_user_session s;
    assert_int_equal(find(l, session, now_ms, &s), PORCH_OK);
    return porch_step_up(l->accounts, &s, porch_bytes_of(code), "192.0.2.1", now_ms, &l->retry_s, &l->why);
}

static unsigned codes_left(lab *l, const porch_person *p) {
    unsigned left = 99;
    uint64_t made_ms = 0;
    assert_int_equal(porch_recovery_left(l->accounts, p, &left, &made_ms, &l->why), PORCH_OK);
    assert_true(made_ms >= T0);
    return left;
}

static void each_recovery_code_signs_in_once(void **state) {
    lab *l = *state;
    porch_setup_done done;
    char session[PORCH_SESSION_TOKEN_TEXT], typed[PORCH_RECOVERY_CODE_TEXT];
    make_owner(l, &done);
    assert_int_equal(codes_left(l, &done.person), PORCH_RECOVERY_CODES);
    for (unsigned i = 0; i < PORCH_RECOVERY_CODES; i++) {
        const char *code = done.recovery.text[i];
        uint64_t now_ms = T0 + HOUR_MS * (uint64_t)(i + 1);
        assert_int_equal(strlen(code), PORCH_RECOVERY_CODE_TEXT - 1);
        for (unsigned k = 0; k < i; k++)
            assert_string_not_equal(code, done.recovery.text[k]);
        assert_int_equal(login(l, "Robin", PASSWORD, code, now_ms, session), PORCH_OK);
        assert_int_equal(codes_left(l, &done.person), PORCH_RECOVERY_CODES - i - 1);
        assert_int_equal(login(l, "Robin", PASSWORD, code, now_ms, session), PORCH_ERR_AUTH);
    }
    assert_int_equal(login(l, "Robin", PASSWORD, "1-r", T0 + DAY_MS, session), PORCH_OK);
    assert_int_equal(renew(l, session, PASSWORD, T0 + DAY_MS, &done.recovery), PORCH_OK);
    assert_int_equal(codes_left(l, &done.person), PORCH_RECOVERY_CODES);
    /* as from paper: small letters, blanks for hyphens */
    for (size_t i = 0; i < sizeof typed; i++) {
        char c = done.recovery.text[3][i];
        typed[i] = (char)(c == '-' ? ' ' : c >= 'A' && c <= 'Z' ? c + ('a' - 'A') : c);
    }
    assert_int_equal(login(l, "Robin", PASSWORD, typed, T0 + DAY_MS, session), PORCH_OK);
}

static void wrong_recovery_codes_get_the_answer_and_work_of_wrong_codes(void **state) {
    lab *l = *state;
    porch_setup_done done;
    char session[PORCH_SESSION_TOKEN_TEXT], first[sizeof l->why.text] = "";
    make_owner(l, &done);
    const char *const tries[][3] = {{"Robin", PASSWORD, "000000"},
                                    {"Robin", PASSWORD, "AAAA-AAAA-AAAA-AAAA"},
                                    {"Robin", OTHER, done.recovery.text[0]},
                                    {"Nobody", PASSWORD, done.recovery.text[0]},
                                    {"Robin", PASSWORD, "AAAA-AAAA-AAAA-AAA"},
                                    {"Robin", PASSWORD, "AAAA-AAAA-AAAA-AAAAA"},
                                    {"Robin", PASSWORD, "1AAA-AAAA-AAAA-AAAA"}};
    for (size_t i = 0; i < sizeof tries / sizeof tries[0]; i++) {
        unsigned before = totp_checked;
        assert_int_equal(
            login(l, tries[i][0], tries[i][1], tries[i][2], T0 + HOUR_MS * (uint64_t)(i + 1), session),
            PORCH_ERR_AUTH);
        assert_int_equal(totp_checked, before + 1);
        if (i == 0) memcpy(first, l->why.text, sizeof first);
        assert_string_equal(l->why.text, first);
    }
    assert_int_equal(codes_left(l, &done.person), PORCH_RECOVERY_CODES); /* a wrong password spends none */
    for (uint32_t i = 0; i < l->store.settings.people_free_attempts_account; i++)
        assert_int_equal(login(l, "Robin", PASSWORD, "AAAA-AAAA-AAAA-AAAA", T0 + DAY_MS, session),
                         PORCH_ERR_AUTH);
    assert_int_equal(login(l, "Robin", PASSWORD, done.recovery.text[0], T0 + DAY_MS, session),
                     PORCH_ERR_LIMIT);
}

static void new_recovery_codes_want_password_and_code_and_end_the_old(void **state) {
    lab *l = *state;
    porch_setup_done done;
    porch_recovery_codes fresh;
    char session[PORCH_SESSION_TOKEN_TEXT];
    uint64_t stale_ms = T0 + 2 + (uint64_t)l->store.settings.people_step_up_s * 1000;
    make_owner(l, &done);
    assert_int_equal(renew(l, done.session, OTHER, T0 + 3, &fresh), PORCH_ERR_DENIED);
    assert_int_equal(renew(l, done.session, PASSWORD, stale_ms, &fresh), PORCH_ERR_STEP_UP_APP);
    assert_int_equal(prove(l, done.session, "9-b", stale_ms), PORCH_ERR_DENIED);
    assert_int_equal(renew(l, done.session, PASSWORD, stale_ms, &fresh), PORCH_ERR_STEP_UP_APP);
    assert_int_equal(prove(l, done.session, done.recovery.text[1], stale_ms), PORCH_OK);
    assert_int_equal(renew(l, done.session, PASSWORD, stale_ms, &fresh),
                     PORCH_ERR_STEP_UP_APP); /* a recovery code makes no further ones */
    signer_away = true;
    assert_int_equal(prove(l, done.session, "1-b", stale_ms), PORCH_ERR_CHILD);
    signer_away = false;
    assert_int_equal(prove(l, done.session, "1-b", stale_ms), PORCH_OK);
    assert_int_equal(renew(l, done.session, PASSWORD, stale_ms, &fresh), PORCH_OK);
    assert_int_equal(login(l, "Robin", PASSWORD, done.recovery.text[0], stale_ms, session), PORCH_ERR_AUTH);
    uint64_t later_ms = stale_ms + HOUR_MS;
    assert_int_equal(login(l, "Robin", PASSWORD, fresh.text[9], later_ms, session), PORCH_OK);
    assert_int_equal(renew(l, session, PASSWORD, later_ms, &fresh), PORCH_ERR_STEP_UP_APP);
    assert_int_equal(prove(l, session, "1-d", later_ms), PORCH_OK);
    for (uint32_t i = 0; i < l->store.settings.people_free_attempts_account; i++)
        assert_int_equal(renew(l, session, OTHER, later_ms, &fresh), PORCH_ERR_DENIED);
    assert_int_equal(renew(l, session, PASSWORD, later_ms, &fresh), PORCH_ERR_LIMIT);
    assert_int_equal(l->retry_s, 1);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        PORCH_ACCOUNTS_TEST(each_recovery_code_signs_in_once),
        PORCH_ACCOUNTS_TEST(wrong_recovery_codes_get_the_answer_and_work_of_wrong_codes),
        PORCH_ACCOUNTS_TEST(new_recovery_codes_want_password_and_code_and_end_the_old),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
