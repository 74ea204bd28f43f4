/* Setting up, signing in, recovery codes and the operator's help, over a real store. */
#include "cloud/accounts/accounts.h"

#include <pthread.h>

#include "cloud/accounts/accounts_testing.h"

/* ---- setting up ---- */

static void a_setup_link_makes_the_owner_once(void **state) {
    lab *l = *state;
    porch_setup_done done;
    porch_user_session s;
    char token[PORCH_SETUP_TOKEN_TEXT];
    uint64_t expires_ms;
    make_owner(l, &done);
    assert_string_equal(done.person.name, "Robin");
    assert_string_equal(done.person.role, "owner");
    assert_string_equal(done.person.household, "home");
    assert_string_equal(done.timezone, "Europe/Berlin");
    assert_int_equal(find(l, done.session, T0 + 3, &s), PORCH_OK);
    assert_int_equal(porch_setup_issue(l->accounts, "operator", T0, token, &expires_ms, &l->why),
                     PORCH_ERR_STATE);
    assert_non_null(strstr(l->why.text, "user reset"));
}

static void a_spent_an_old_and_a_foreign_link_are_told_apart(void **state) {
    lab *l = *state;
    char token[PORCH_SETUP_TOKEN_TEXT], second[PORCH_SETUP_TOKEN_TEXT];
    uint64_t expires_ms;
    porch_setup_done done;
    assert_int_equal(porch_setup_issue(l->accounts, "operator", T0, token, &expires_ms, &l->why), PORCH_OK);
    assert_int_equal(begin(l, token, "Robin", PASSWORD, expires_ms), PORCH_ERR_EXPIRED);
    assert_int_equal(begin(l, token, "Robin", PASSWORD, expires_ms - 1), PORCH_OK);
    assert_int_equal(confirm(l, token, "1-a", expires_ms, &done), PORCH_ERR_EXPIRED);
    assert_int_equal(porch_setup_issue(l->accounts, "operator", T0, second, &expires_ms, &l->why),
                     PORCH_OK);
    assert_int_equal(begin(l, token, "Robin", PASSWORD, T0), PORCH_ERR_AUTH); /* replaced */
    assert_int_equal(begin(l, "AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA", "Robin", PASSWORD, T0),
                     PORCH_ERR_AUTH);
    assert_int_equal(begin(l, "short", "Robin", PASSWORD, T0), PORCH_ERR_AUTH);
    assert_int_equal(begin(l, second, "Robin", PASSWORD, T0), PORCH_OK);
    assert_int_equal(confirm(l, second, "2-a", T0, &done), PORCH_OK);
    assert_int_equal(begin(l, second, "Eve", PASSWORD, T0), PORCH_ERR_AUTH);
    assert_int_equal(confirm(l, second, "2-b", T0, &done), PORCH_ERR_AUTH);
}

static void nothing_is_decided_before_the_first_code(void **state) {
    lab *l = *state;
    char token[PORCH_SETUP_TOKEN_TEXT], session[PORCH_SESSION_TOKEN_TEXT];
    uint64_t expires_ms;
    porch_setup_done done;
    assert_int_equal(porch_setup_issue(l->accounts, "operator", T0, token, &expires_ms, &l->why), PORCH_OK);
    assert_int_equal(confirm(l, token, "1-a", T0, &done), PORCH_ERR_STATE);
    assert_int_equal(begin(l, token, "Robin", PASSWORD, T0), PORCH_OK);
    assert_int_equal(login(l, "Robin", PASSWORD, "1-a", T0, session), PORCH_ERR_AUTH);
    assert_int_equal(begin(l, token, "Rob", OTHER, T0), PORCH_OK); /* thought again */
    assert_int_equal(confirm(l, token, "1-b", T0, &done), PORCH_ERR_DENIED);
    char code[32];
    (void)snprintf(code, sizeof code, "%u-a", totp_made);
    assert_int_equal(confirm(l, token, code, T0, &done), PORCH_OK);
    assert_string_equal(done.person.name, "Rob");
}

static void weak_passwords_bad_names_and_zones_make_nothing(void **state) {
    lab *l = *state;
    char token[PORCH_SETUP_TOKEN_TEXT];
    uint64_t expires_ms;
    assert_int_equal(porch_setup_issue(l->accounts, "operator", T0, token, &expires_ms, &l->why), PORCH_OK);
    assert_int_equal(begin(l, token, "Robin", "Password-1234", T0), PORCH_ERR_USAGE);
    assert_int_equal(begin(l, token, "Robin", "Robin-Robin-1!", T0), PORCH_ERR_USAGE);
    assert_int_equal(begin(l, token, "", PASSWORD, T0), PORCH_ERR_MALFORMED);
    assert_int_equal(begin(l, token, " Robin", PASSWORD, T0), PORCH_ERR_MALFORMED);
    assert_int_equal(begin(l, token, "Ro\nbin", PASSWORD, T0), PORCH_ERR_MALFORMED);
    assert_int_equal(begin(l, token, "Ro\xFF", PASSWORD, T0), PORCH_ERR_MALFORMED);
    porch_setup_offer offer;
    const porch_setup_request zone = {porch_bytes_of(token), PORCH_LIT("Robin"), porch_bytes_of(PASSWORD),
                                      PORCH_LIT("../../etc/passwd"), "192.0.2.1"};
    assert_int_equal(porch_setup_begin(l->accounts, &zone, T0, &offer, &l->retry_s, &l->why),
                     PORCH_ERR_MALFORMED);
    assert_int_equal(totp_made, 0);
}

static void guessing_links_gets_slower(void **state) {
    lab *l = *state;
    porch_err e = PORCH_ERR_AUTH;
    uint32_t tries = 0;
    while (e == PORCH_ERR_AUTH && tries < 1000) {
        e = begin(l, "AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA", "Robin", PASSWORD, T0);
        tries++;
    }
    assert_int_equal(e, PORCH_ERR_LIMIT);
    assert_int_equal(tries, l->store.settings.people_free_attempts_address + 1);
    assert_int_equal(l->retry_s, 1);
}

/* ---- signing in ---- */

static void a_person_signs_in_with_name_password_and_code(void **state) {
    lab *l = *state;
    porch_setup_done done;
    porch_user_session s;
    char session[PORCH_SESSION_TOKEN_TEXT];
    make_owner(l, &done);
    assert_int_equal(login(l, "ROBIN", PASSWORD, "1-b", T0 + 10, session), PORCH_OK);
    assert_string_not_equal(session, done.session);
    assert_int_equal(find(l, session, T0 + 11, &s), PORCH_OK);
    assert_string_equal(s.person.name, "Robin");
}

static void every_wrong_part_gets_the_same_answer_and_the_same_work(void **state) {
    lab *l = *state;
    porch_setup_done done;
    char session[PORCH_SESSION_TOKEN_TEXT], first[sizeof l->why.text] = "";
    make_owner(l, &done);
    const char *const tries[][3] = {{"Robin", PASSWORD, "9-b"},
                                    {"Robin", OTHER, "1-b"},
                                    {"Nobody", PASSWORD, "1-b"},
                                    {"Nobody", "x", "000000"},
                                    {"Robin", PASSWORD, "1-a"},
                                    {"", "", ""},
                                    {"Robin", PASSWORD, "a code that is much too long to be one"}};
    for (size_t i = 0; i < sizeof tries / sizeof tries[0]; i++) {
        unsigned before = totp_checked;
        assert_int_equal(login(l, tries[i][0], tries[i][1], tries[i][2], T0 + HOUR_MS * (i + 1), session),
                         PORCH_ERR_AUTH);
        assert_int_equal(totp_checked, before + 1);
        if (i == 0) memcpy(first, l->why.text, sizeof first);
        assert_string_equal(l->why.text, first);
    }
}

static void a_wrong_password_does_not_spend_the_code(void **state) {
    lab *l = *state;
    porch_setup_done done;
    char session[PORCH_SESSION_TOKEN_TEXT];
    make_owner(l, &done);
    assert_int_equal(login(l, "Robin", OTHER, "1-b", T0, session), PORCH_ERR_AUTH);
    assert_int_equal(login(l, "Robin", PASSWORD, "1-b", T0, session), PORCH_OK);
    assert_int_equal(login(l, "Robin", PASSWORD, "1-b", T0, session), PORCH_ERR_AUTH);
}

static void guessing_gets_slower_for_known_and_unknown_names_alike(void **state) {
    lab *l = *state;
    porch_setup_done done;
    char session[PORCH_SESSION_TOKEN_TEXT];
    make_owner(l, &done);
    const char *const names[] = {"Robin", "Nobody"};
    for (size_t n = 0; n < 2; n++) {
        for (uint32_t i = 0; i < l->store.settings.people_free_attempts_account; i++)
            assert_int_equal(login(l, names[n], OTHER, "1-b", T0, session), PORCH_ERR_AUTH);
        unsigned before = totp_checked;
        assert_int_equal(login(l, names[n], PASSWORD, "1-b", T0, session), PORCH_ERR_LIMIT);
        assert_int_equal(l->retry_s, 1);
        assert_int_equal(totp_checked, before); /* a waiting attempt costs nothing */
    }
    assert_int_equal(login(l, "Robin", PASSWORD, "1-b", T0 + 1000, session), PORCH_OK);
}

static void a_signer_that_is_away_is_told_and_not_counted(void **state) {
    lab *l = *state;
    porch_setup_done done;
    char session[PORCH_SESSION_TOKEN_TEXT];
    make_owner(l, &done);
    signer_away = true;
    for (int i = 0; i < 20; i++) {
        assert_int_equal(login(l, "Robin", PASSWORD, "1-b", T0, session), PORCH_ERR_CHILD);
        assert_int_equal(login(l, "Nobody", PASSWORD, "1-b", T0, session), PORCH_ERR_CHILD);
    }
    signer_away = false;
    assert_int_equal(login(l, "Robin", PASSWORD, "1-b", T0, session), PORCH_OK);
}

typedef struct {
    lab *l;
    porch_err e;
} checker;

static void *check_password(void *ctx) {
    checker *c = ctx;
    porch_password_verdict v;
    c->e = porch_accounts_password_check(c->l->accounts, porch_bytes_of(PASSWORD), PORCH_LIT(""), &v, NULL);
    return NULL;
}

static void many_password_checks_at_once_are_done_or_told_to_come_back(void **state) {
    lab *l = *state;
    checker checkers[32];
    pthread_t threads[32];
    unsigned working = 9, waiting = 9;
    for (size_t i = 0; i < 32; i++) {
        checkers[i] = (checker){l, PORCH_ERR_INTERNAL};
        assert_int_equal(pthread_create(&threads[i], NULL, check_password, &checkers[i]), 0);
    }
    for (size_t i = 0; i < 32; i++) {
        assert_int_equal(pthread_join(threads[i], NULL), 0);
        assert_true(checkers[i].e == PORCH_OK || checkers[i].e == PORCH_ERR_BUSY);
    }
    porch_accounts_load(l->accounts, &working, &waiting);
    assert_int_equal(working + waiting, 0);
}

/* ---- recovery codes ---- */

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
        assert_int_equal(login(l, tries[i][0], tries[i][1], tries[i][2], T0 + HOUR_MS * (i + 1), session),
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
    assert_int_equal(renew(l, done.session, PASSWORD, stale_ms, &fresh), PORCH_ERR_STEP_UP);
    assert_int_equal(prove(l, done.session, "9-b", stale_ms), PORCH_ERR_DENIED);
    assert_int_equal(renew(l, done.session, PASSWORD, stale_ms, &fresh), PORCH_ERR_STEP_UP);
    assert_int_equal(prove(l, done.session, done.recovery.text[1], stale_ms), PORCH_OK);
    assert_int_equal(renew(l, done.session, PASSWORD, stale_ms, &fresh),
                     PORCH_ERR_STEP_UP); /* a recovery code makes no further ones */
    signer_away = true;
    assert_int_equal(prove(l, done.session, "1-b", stale_ms), PORCH_ERR_CHILD);
    signer_away = false;
    assert_int_equal(prove(l, done.session, "1-b", stale_ms), PORCH_OK);
    assert_int_equal(renew(l, done.session, PASSWORD, stale_ms, &fresh), PORCH_OK);
    assert_int_equal(login(l, "Robin", PASSWORD, done.recovery.text[0], stale_ms, session), PORCH_ERR_AUTH);
    uint64_t later_ms = stale_ms + HOUR_MS;
    assert_int_equal(login(l, "Robin", PASSWORD, fresh.text[9], later_ms, session), PORCH_OK);
    assert_int_equal(renew(l, session, PASSWORD, later_ms, &fresh), PORCH_ERR_STEP_UP);
    assert_int_equal(prove(l, session, "1-d", later_ms), PORCH_OK);
    for (uint32_t i = 0; i < l->store.settings.people_free_attempts_account; i++)
        assert_int_equal(renew(l, session, OTHER, later_ms, &fresh), PORCH_ERR_DENIED);
    assert_int_equal(renew(l, session, PASSWORD, later_ms, &fresh), PORCH_ERR_LIMIT);
    assert_int_equal(l->retry_s, 1);
}

/* ---- the operator's help ---- */

static void a_reset_locks_out_until_its_link_was_used(void **state) {
    lab *l = *state;
    porch_setup_done done, again;
    porch_user_session s;
    porch_person p;
    char token[PORCH_SETUP_TOKEN_TEXT], session[PORCH_SESSION_TOKEN_TEXT], code[32];
    uint64_t expires_ms;
    make_owner(l, &done);
    assert_int_equal(
        porch_setup_reset(l->accounts, "operator", "nobody", T0 + 9, token, &expires_ms, &l->why),
        PORCH_ERR_NOT_FOUND);
    assert_int_equal(
        porch_setup_reset(l->accounts, "operator", "robin", T0 + 10, token, &expires_ms, &l->why),
        PORCH_OK);
    assert_int_equal(l->ended, 1);
    assert_int_equal(find(l, done.session, T0 + 11, &s), PORCH_ERR_AUTH);
    assert_int_equal(login(l, "Robin", PASSWORD, "1-z", T0 + 11, session), PORCH_ERR_AUTH);
    assert_int_equal(porch_accounts_find(l->accounts, "ROBIN", &p, &l->why), PORCH_OK);
    assert_true(p.awaiting_reset);
    assert_int_equal(begin(l, token, "somebody else", OTHER, T0 + 12), PORCH_OK);
    (void)snprintf(code, sizeof code, "%u-a", totp_made);
    assert_int_equal(confirm(l, token, code, T0 + 13, &again), PORCH_OK);
    assert_string_equal(again.person.name, "Robin"); /* a reset renames nobody */
    assert_string_equal(again.person.id, done.person.id);
    assert_string_equal(again.person.role, "owner");
    assert_int_equal(find(l, again.session, T0 + 14, &s), PORCH_OK);
    assert_int_equal(login(l, "Robin", OTHER, done.recovery.text[0], T0 + 15, session), PORCH_ERR_AUTH);
    assert_int_equal(login(l, "Robin", PASSWORD, "1-y", T0 + 15, session), PORCH_ERR_AUTH);
    (void)snprintf(code, sizeof code, "%u-b", totp_made);
    assert_int_equal(login(l, "Robin", OTHER, code, T0 + 15, session), PORCH_OK);
    assert_int_equal(confirm(l, token, code, T0 + 16, &again), PORCH_ERR_AUTH);
}

static bool count_person(const porch_person *p, void *ctx) {
    assert_string_equal(p->name, "Robin");
    (*(unsigned *)ctx)++;
    return true;
}

static void everybody_is_listed_and_survives_a_restart(void **state) {
    lab *l = *state;
    porch_setup_done done;
    porch_user_session s;
    unsigned count = 0;
    make_owner(l, &done);
    porch_accounts_close(l->accounts);
    store_lab_close(&l->store);
    open_accounts(l);
    assert_int_equal(porch_accounts_list(l->accounts, count_person, &count, &l->why), PORCH_OK);
    assert_int_equal(count, 1);
    assert_int_equal(find(l, done.session, T0 + 3, &s), PORCH_OK);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        TEST(a_setup_link_makes_the_owner_once),
        TEST(a_spent_an_old_and_a_foreign_link_are_told_apart),
        TEST(nothing_is_decided_before_the_first_code),
        TEST(weak_passwords_bad_names_and_zones_make_nothing),
        TEST(guessing_links_gets_slower),
        TEST(a_person_signs_in_with_name_password_and_code),
        TEST(every_wrong_part_gets_the_same_answer_and_the_same_work),
        TEST(a_wrong_password_does_not_spend_the_code),
        TEST(guessing_gets_slower_for_known_and_unknown_names_alike),
        TEST(a_signer_that_is_away_is_told_and_not_counted),
        TEST(many_password_checks_at_once_are_done_or_told_to_come_back),
        TEST(each_recovery_code_signs_in_once),
        TEST(wrong_recovery_codes_get_the_answer_and_work_of_wrong_codes),
        TEST(new_recovery_codes_want_password_and_code_and_end_the_old),
        TEST(a_reset_locks_out_until_its_link_was_used),
        TEST(everybody_is_listed_and_survives_a_restart),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
