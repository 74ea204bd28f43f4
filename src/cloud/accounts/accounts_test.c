/* Accounts over a real store. The signer's part is played here: codes are the secret's account and a
 * number, each good once, so that what accounts/ makes of its answers is seen alone. */
#include "cloud/accounts/accounts.h"

#include <pthread.h>
#include <setjmp.h>
#include <stdarg.h>

#include <cmocka.h>

#include "cloud/accounts/accounts_login.h"
#include "cloud/accounts/accounts_password.h"
#include "cloud/accounts/accounts_setup.h"
#include "cloud/store/store_testing.h"

static const char PASSWORD[] = "Gate-lamp-Otter-rides-7-trams";
static const char OTHER[] = "Hill-moss-Kettle-hums-3-tunes";
static const uint64_t T0 = 1790000000000;
enum { HOUR_MS = 3600 * 1000, DAY_MS = 24 * HOUR_MS };

/* ---- the signer ---- */

static unsigned totp_made, totp_checked;
static char last_used[64];
static bool signer_away;

porch_err porch_signer_totp_make(porch_signer_client *c, const char *account, porch_buf *sealed,
                                 char secret_base32[PORCH_SIGNER_SECRET_TEXT], porch_why *why) {
    (void)c;
    if (signer_away) return porch_fail(why, PORCH_ERR_CHILD, "away");
    totp_made++;
    (void)snprintf(secret_base32, PORCH_SIGNER_SECRET_TEXT, "SECRET%u", totp_made);
    char text[128];
    (void)snprintf(text, sizeof text, "%s/%u", account, totp_made);
    if (sealed->cap - sealed->len < strlen(text)) return PORCH_ERR_NO_SPACE;
    memcpy(sealed->at + sealed->len, text, strlen(text));
    sealed->len += strlen(text);
    return PORCH_OK;
}

/* A code "N...." is right for the secret made as number N; its rest makes it another one. */
porch_err porch_signer_totp_check(porch_signer_client *c, const char *account, porch_bytes sealed,
                                  const char *code, uint64_t now_ms, porch_why *why) {
    (void)c;
    (void)now_ms;
    totp_checked++;
    if (signer_away) return porch_fail(why, PORCH_ERR_CHILD, "away");
    char text[128], number[16];
    if (!porch_bytes_to_text(sealed, text, sizeof text)) return PORCH_ERR_AUTH;
    size_t slash = strcspn(text, "/");
    if (strlen(account) != slash || strncmp(account, text, slash) != 0) return PORCH_ERR_AUTH;
    (void)snprintf(number, sizeof number, "%s-", text + slash + 1);
    if (strncmp(code, number, strlen(number)) != 0) return PORCH_ERR_AUTH;
    if (strcmp(code, last_used) == 0) return PORCH_ERR_EXPIRED;
    (void)snprintf(last_used, sizeof last_used, "%s", code);
    return PORCH_OK;
}

/* ---- the lab ---- */

typedef struct {
    store_lab store;
    porch_accounts *accounts;
    unsigned ended;
    porch_why why;
    uint32_t retry_s;
} lab;

static void count_end(const uint8_t hash[32], void *ctx) {
    (void)hash;
    ((lab *)ctx)->ended++;
}

static void open_accounts(lab *l) {
    if (store_lab_open(&l->store) != PORCH_OK) fail_msg("%s", l->store.why.text);
    assert_int_equal(porch_accounts_open(l->store.store, &l->store.settings, NULL, &l->accounts, &l->why),
                     PORCH_OK);
    porch_user_session_on_end(l->accounts, count_end, l);
}

static int make_lab(void **state) {
    lab *l = calloc(1, sizeof *l);
    store_lab_make(&l->store);
    open_accounts(l);
    totp_made = totp_checked = 0;
    last_used[0] = '\0';
    signer_away = false;
    *state = l;
    return 0;
}

static int drop_lab(void **state) {
    lab *l = *state;
    porch_accounts_close(l->accounts);
    store_lab_remove(&l->store);
    free(l);
    return 0;
}

static porch_err begin(lab *l, const char *token, const char *name, const char *password, uint64_t now_ms) {
    porch_setup_offer offer = {0};
    const porch_setup_request r = {porch_bytes_of(token), porch_bytes_of(name), porch_bytes_of(password),
                                   PORCH_LIT("Europe/Berlin"), "192.0.2.1"};
    porch_err e = porch_setup_begin(l->accounts, &r, now_ms, &offer, &l->retry_s, &l->why);
    if (e == PORCH_OK) {
        assert_non_null(strstr(offer.totp_uri, offer.totp_secret));
        assert_int_equal(strncmp(offer.qr_svg, "<svg ", 5), 0);
        porch_setup_offer_free(&offer);
    }
    return e;
}

static porch_err confirm(lab *l, const char *token, const char *code, uint64_t now_ms,
                         porch_setup_done *done) {
    return porch_setup_confirm(l->accounts, porch_bytes_of(token), code, "192.0.2.1", now_ms, done,
                               &l->retry_s, &l->why);
}

static void make_owner(lab *l, porch_setup_done *done) {
    char token[PORCH_SETUP_TOKEN_TEXT], code[32];
    uint64_t expires_ms = 0;
    assert_int_equal(porch_setup_issue(l->accounts, "operator", T0, token, &expires_ms, &l->why), PORCH_OK);
    assert_int_equal(expires_ms, T0 + HOUR_MS);
    assert_int_equal(begin(l, token, "Robin", PASSWORD, T0 + 1), PORCH_OK);
    (void)snprintf(code, sizeof code, "%u-a", totp_made);
    assert_int_equal(confirm(l, token, code, T0 + 2, done), PORCH_OK);
}

static porch_err login(lab *l, const char *name, const char *password, const char *code, uint64_t now_ms,
                       char *session) {
    porch_person p;
    const porch_login_request r = {porch_bytes_of(name), porch_bytes_of(password), porch_bytes_of(code),
                                   "192.0.2.1"};
    return porch_login(l->accounts, &r, now_ms, &p, session, &l->retry_s, &l->why);
}

static porch_err find(lab *l, const char *token, uint64_t now_ms, porch_user_session *ret) {
    return porch_user_session_find(l->accounts, porch_bytes_of(token), now_ms, ret, &l->why);
}

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

static porch_err renew(lab *l, const porch_person *p, const char *password, const char *code,
                       uint64_t now_ms, porch_recovery_codes *ret) {
    const porch_step_up proof = {p, porch_bytes_of(password), porch_bytes_of(code), "192.0.2.1"};
    return porch_recovery_renew(l->accounts, &proof, now_ms, ret, &l->retry_s, &l->why);
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
    assert_int_equal(renew(l, &done.person, PASSWORD, "1-r", T0 + DAY_MS, &done.recovery), PORCH_OK);
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
    make_owner(l, &done);
    assert_int_equal(renew(l, &done.person, OTHER, "1-b", T0, &fresh), PORCH_ERR_DENIED);
    assert_int_equal(renew(l, &done.person, PASSWORD, "9-b", T0, &fresh), PORCH_ERR_DENIED);
    assert_int_equal(renew(l, &done.person, PASSWORD, done.recovery.text[0], T0, &fresh),
                     PORCH_ERR_DENIED); /* a recovery code makes no further ones */
    signer_away = true;
    assert_int_equal(renew(l, &done.person, PASSWORD, "1-b", T0, &fresh), PORCH_ERR_CHILD);
    signer_away = false;
    assert_int_equal(renew(l, &done.person, PASSWORD, "1-b", T0, &fresh), PORCH_OK);
    assert_int_equal(login(l, "Robin", PASSWORD, done.recovery.text[0], T0, session), PORCH_ERR_AUTH);
    assert_int_equal(login(l, "Robin", PASSWORD, fresh.text[9], T0 + HOUR_MS, session), PORCH_OK);
    for (uint32_t i = 0; i < l->store.settings.people_free_attempts_account; i++)
        assert_int_equal(renew(l, &done.person, OTHER, "1-c", T0 + DAY_MS, &fresh), PORCH_ERR_DENIED);
    assert_int_equal(renew(l, &done.person, PASSWORD, "1-c", T0 + DAY_MS, &fresh), PORCH_ERR_LIMIT);
    assert_int_equal(l->retry_s, 1);
}

/* ---- sessions ---- */

static void a_session_ends_when_idle_when_old_and_when_signed_out(void **state) {
    lab *l = *state;
    porch_setup_done done;
    porch_user_session s;
    make_owner(l, &done);
    uint64_t idle_ms = (uint64_t)l->store.settings.people_session_idle_s * 1000;
    uint64_t life_ms = (uint64_t)l->store.settings.people_session_life_s * 1000;
    uint64_t now_ms = T0 + 2;
    assert_int_equal(find(l, done.session, now_ms + idle_ms, &s), PORCH_ERR_AUTH);
    /* used every few days it lives to the end of its life, and not longer */
    while (now_ms + idle_ms / 2 < T0 + 2 + life_ms) {
        now_ms += idle_ms / 2;
        assert_int_equal(find(l, done.session, now_ms, &s), PORCH_OK);
    }
    assert_true(porch_user_session_alive(l->accounts, s.hash, now_ms));
    assert_int_equal(find(l, done.session, T0 + 2 + life_ms, &s), PORCH_ERR_AUTH);
    assert_false(porch_user_session_alive(l->accounts, s.hash, T0 + 2 + life_ms));
    assert_int_equal(find(l, done.session, T0 + 3, &s), PORCH_OK);
    assert_int_equal(porch_user_session_end(l->accounts, &s, T0 + 4, &l->why), PORCH_OK);
    assert_int_equal(l->ended, 1);
    assert_int_equal(find(l, done.session, T0 + 5, &s), PORCH_ERR_AUTH);
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

static porch_err count_sessions(porch_db *db, void *ctx, porch_why *why) {
    porch_db_query *q = porch_db_prepare(db, "SELECT count(*) FROM session", why);
    porch_err e = porch_db_step(q, why);
    *(int64_t *)ctx = e == PORCH_OK ? porch_db_i64(q, 0) : -1;
    porch_db_finish(q);
    return e;
}

static void sessions_are_bounded_and_the_one_idle_longest_gives_way(void **state) {
    lab *l = *state;
    porch_setup_done done;
    porch_user_session s;
    char session[PORCH_SESSION_TOKEN_TEXT], code[32];
    int64_t count = 0;
    make_owner(l, &done);
    for (uint32_t i = 0; i < l->store.settings.people_sessions; i++) {
        (void)snprintf(code, sizeof code, "1-%u", i);
        assert_int_equal(login(l, "Robin", PASSWORD, code, T0 + 1000 + i, session), PORCH_OK);
    }
    assert_int_equal(porch_store_read(l->store.store, count_sessions, &count, &l->why), PORCH_OK);
    assert_int_equal(count, l->store.settings.people_sessions);
    assert_int_equal(find(l, done.session, T0 + 2000, &s), PORCH_ERR_AUTH);
    assert_int_equal(find(l, session, T0 + 2000, &s), PORCH_OK);
}

static porch_err search_plain(porch_db *db, void *ctx, porch_why *why) {
    porch_db_query *q =
        porch_db_prepare(db, "SELECT count(*) FROM session WHERE hash = ?1 OR hash = ?2", why);
    porch_db_bind_str(q, 1, ctx);
    porch_db_bind_blob(q, 2, porch_bytes_of(ctx));
    porch_err e = porch_db_step(q, why);
    if (e == PORCH_OK && porch_db_i64(q, 0) != 0) e = PORCH_ERR_EXISTS;
    porch_db_finish(q);
    return e;
}

static void the_database_holds_no_token(void **state) {
    lab *l = *state;
    porch_setup_done done;
    make_owner(l, &done);
    assert_int_equal(porch_store_read(l->store.store, search_plain, done.session, &l->why), PORCH_OK);
    porch_accounts_close(l->accounts);
    store_lab_close(&l->store);
    char path[128];
    static uint8_t file[4 << 20];
    (void)snprintf(path, sizeof path, "%s/hub.db", l->store.dir);
    FILE *f = fopen(path, "rb");
    assert_non_null(f);
    size_t len = fread(file, 1, sizeof file, f);
    (void)fclose(f);
    assert_true(len > 4096);
    assert_null(memmem(file, len, done.session, strlen(done.session)));
    assert_null(memmem(file, len, PASSWORD, sizeof PASSWORD - 1));
    for (size_t i = 0; i < PORCH_RECOVERY_CODES; i++)
        assert_null(memmem(file, len, done.recovery.text[i], PORCH_RECOVERY_CODE_TEXT - 1));
    assert_non_null(memmem(file, len, "$argon2id$", 10));
    open_accounts(l);
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

#define TEST(name) cmocka_unit_test_setup_teardown(name, make_lab, drop_lab)

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
        TEST(a_session_ends_when_idle_when_old_and_when_signed_out),
        TEST(what_is_no_token_is_no_session),
        TEST(sessions_are_bounded_and_the_one_idle_longest_gives_way),
        TEST(the_database_holds_no_token),
        TEST(a_reset_locks_out_until_its_link_was_used),
        TEST(everybody_is_listed_and_survives_a_restart),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
