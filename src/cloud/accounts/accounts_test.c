/* Setting up, signing in and the operator's help, over a real store and with real password hashes. */
#include "cloud/accounts/accounts.h"

#include <pthread.h>

#include "cloud/accounts/accounts_change.h"
#include "cloud/accounts/accounts_room.h"
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
    assert_int_equal(done.person.role, PORCH_ROLE_OWNER);
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

static void reset_robin(void *ctx) {
    lab *l = ctx;
    char token[PORCH_SETUP_TOKEN_TEXT];
    uint64_t expires_ms;
    assert_int_equal(porch_setup_reset(l->accounts, "op", "Robin", T0 + 10, token, &expires_ms, &l->why),
                     PORCH_OK);
}

static void change_password(void *ctx) {
    lab *l = ctx;
    porch_user_session s;
    porch_password_changed changed;
    assert_int_equal(find(l, l->session, T0 + 10, &s), PORCH_OK);
    const porch_password_change c = {
        &s, porch_bytes_of(PASSWORD), porch_bytes_of(OTHER), {.address = "::1"}};
    assert_int_equal(
        porch_accounts_change_password(l->accounts, &c, T0 + 10, &changed, &l->retry_s, &l->why), PORCH_OK);
}

/* Who has the old password must not slip in between its check and the moment when it ends everything. */
static void a_sign_in_that_is_overtaken_by_a_change_is_refused(void **state) {
    lab *l = *state;
    porch_setup_done done;
    char session[PORCH_SESSION_TOKEN_TEXT];
    make_owner(l, &done);
    l->session = done.session;
    during_totp_ctx = l;
    during_totp = change_password;
    assert_int_equal(login(l, "Robin", PASSWORD, "1-b", T0 + 10, session), PORCH_ERR_AUTH);
    assert_int_equal(login(l, "Robin", OTHER, "1-c", T0 + 11, session), PORCH_OK);
    during_totp = reset_robin;
    assert_int_equal(login(l, "Robin", OTHER, "1-d", T0 + 12, session), PORCH_ERR_AUTH);
    during_totp = NULL;
    assert_int_equal(login(l, "Robin", OTHER, done.recovery.text[0], T0 + 12, session), PORCH_ERR_AUTH);
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

/* Who waits holds a worker of the hub's. */
static void passwords_leave_half_of_the_workers_to_everybody_else(void **state) {
    lab *l = *state;
    static const struct {
        uint32_t workers, work, wait, working, waiting;
    } rows[] = {{8, 2, 16, 2, 2}, {8, 64, 16, 4, 0}, {64, 2, 16, 2, 16}, {1, 2, 16, 1, 0}, {8, 2, 0, 2, 0}};
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        l->store.settings.http_workers = rows[i].workers;
        l->store.settings.people_password_workers = rows[i].work;
        l->store.settings.people_password_waiting = rows[i].wait;
        reopen(l);
        assert_int_equal(l->accounts->working_max, rows[i].working);
        assert_int_equal(l->accounts->waiting_max, rows[i].waiting);
    }
}

/* A full disk keeps everybody from signing in; it must not make them wait for minutes once it is mended. */
static void a_disk_that_refuses_a_sign_in_makes_it_no_wrong_one(void **state) {
    lab *l = *state;
    porch_setup_done done;
    char session[PORCH_SESSION_TOKEN_TEXT], code[8];
    make_owner(l, &done);
    for (int i = 0; i < 12; i++) {
        (void)snprintf(code, sizeof code, "1-%c", 'c' + i);
        store_lab_disk(false);
        porch_err e = login(l, "Robin", PASSWORD, code, T0, session);
        store_lab_disk(true);
        assert_int_not_equal(e, PORCH_OK);
        assert_int_not_equal(e, PORCH_ERR_LIMIT);
    }
    assert_int_equal(login(l, "Robin", PASSWORD, "1-z", T0, session), PORCH_OK);
}

/* ---- what is on the disk ---- */

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
    assert_int_equal(again.person.role, PORCH_ROLE_OWNER);
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

/* ---- invitations ---- */

static porch_err invite(lab *l, porch_role role, const char *home, uint64_t stay_ms, char *token) {
    uint64_t expires_ms = 0;
    const porch_setup_invitation to = {role, home, stay_ms};
    return porch_setup_invite(l->accounts, "operator", &to, T0 + 10, token, &expires_ms, &l->why);
}

static void join(lab *l, const char *token, const char *name, porch_setup_done *done) {
    char code[32];
    assert_int_equal(begin(l, token, name, OTHER, T0 + 11), PORCH_OK);
    (void)snprintf(code, sizeof code, "%u-j%s", totp_made, name);
    assert_int_equal(confirm(l, token, code, T0 + 12, done), PORCH_OK);
}

static porch_err run_text(porch_db *db, void *ctx, porch_why *why) {
    return porch_db_run(db, ctx, why);
}

static void sql(lab *l, const char *text) {
    assert_int_equal(porch_store_write(l->store.store, run_text, (void *)(uintptr_t)text, &l->why),
                     PORCH_OK);
}

/* Who came in after its people had gone would be left over, and be of the next household of that name. */
static void a_household_that_ends_takes_nobody_in(void **state) {
    lab *l = *state;
    char token[PORCH_SETUP_TOKEN_TEXT], late[PORCH_SETUP_TOKEN_TEXT];
    porch_setup_done done;
    assert_int_equal(invite(l, PORCH_ROLE_ADULT, "nowhere", 0, token), PORCH_ERR_NOT_FOUND);
    assert_int_equal(invite(l, PORCH_ROLE_ADULT, "home", 0, late), PORCH_OK);
    assert_int_equal(begin(l, late, "Robin", PASSWORD, T0 + 11), PORCH_OK);
    sql(l, "insert into erasure (household, kind, name) values ('home', 'device', 'cam')");
    assert_int_equal(invite(l, PORCH_ROLE_ADULT, "home", 0, token), PORCH_ERR_NOT_FOUND);
    assert_int_equal(confirm(l, late, "1-a", T0 + 12, &done), PORCH_ERR_AUTH);
    sql(l, "delete from erasure");
    assert_int_equal(confirm(l, late, "1-b", T0 + 13, &done), PORCH_OK);
}

static void an_invitation_makes_its_role_in_its_household_once(void **state) {
    lab *l = *state;
    porch_setup_done owner, done;
    char token[PORCH_SETUP_TOKEN_TEXT], second[PORCH_SETUP_TOKEN_TEXT];
    make_owner(l, &owner);
    sql(l, "insert into household (id, name, timezone, added_ms) values ('next-door', 'N', 'UTC', 0)");
    assert_int_equal(invite(l, PORCH_ROLE_ADULT, "home", 0, token), PORCH_OK);
    assert_int_equal(invite(l, PORCH_ROLE_CHILD, "home", 0, second), PORCH_OK); /* both live */
    /* a name that somebody has */
    assert_int_equal(begin(l, token, "robin", OTHER, T0 + 11), PORCH_ERR_EXISTS);
    join(l, token, "Ada", &done);
    assert_int_equal(done.person.role, PORCH_ROLE_ADULT);
    assert_string_equal(done.person.household, "home");
    assert_int_equal(done.person.expires_ms, 0);
    assert_int_equal(begin(l, token, "Eve", OTHER, T0 + 13), PORCH_ERR_AUTH);
    join(l, second, "Cleo", &done);
    assert_int_equal(done.person.role, PORCH_ROLE_CHILD);
    /* one owner for each household */
    assert_int_equal(invite(l, PORCH_ROLE_OWNER, "home", 0, token), PORCH_ERR_STATE);
    assert_int_equal(invite(l, PORCH_ROLE_OWNER, "next-door", 0, token), PORCH_OK);
    join(l, token, "Nell", &done);
    assert_int_equal(done.person.role, PORCH_ROLE_OWNER);
    assert_string_equal(done.person.household, "next-door");
}

static void a_guest_s_time_ends_sign_in_and_session(void **state) {
    lab *l = *state;
    porch_setup_done owner, done;
    porch_user_session s;
    char token[PORCH_SETUP_TOKEN_TEXT], session[PORCH_SESSION_TOKEN_TEXT], code[32];
    make_owner(l, &owner);
    assert_int_equal(invite(l, PORCH_ROLE_GUEST, "home", 0, token), PORCH_ERR_USAGE);
    assert_int_equal(invite(l, PORCH_ROLE_CHILD, "home", DAY_MS, token), PORCH_ERR_USAGE);
    assert_int_equal(invite(l, PORCH_ROLE_GUEST, "home", HOUR_MS / 2, token), PORCH_OK);
    join(l, token, "Gus", &done);
    unsigned mine = totp_made;
    uint64_t end = T0 + 12 + HOUR_MS / 2;
    assert_int_equal(done.person.expires_ms, end);
    assert_int_equal(find(l, done.session, end - 1, &s), PORCH_OK);
    assert_int_equal(find(l, done.session, end, &s), PORCH_ERR_AUTH);
    (void)snprintf(code, sizeof code, "%u-late", mine);
    assert_int_equal(login(l, "Gus", OTHER, code, end, session), PORCH_ERR_AUTH);
    (void)snprintf(code, sizeof code, "%u-early", mine);
    assert_int_equal(login(l, "Gus", OTHER, code, end - 1, session), PORCH_OK);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        PORCH_ACCOUNTS_TEST(a_setup_link_makes_the_owner_once),
        PORCH_ACCOUNTS_TEST(a_household_that_ends_takes_nobody_in),
        PORCH_ACCOUNTS_TEST(passwords_leave_half_of_the_workers_to_everybody_else),
        PORCH_ACCOUNTS_TEST(a_disk_that_refuses_a_sign_in_makes_it_no_wrong_one),
        PORCH_ACCOUNTS_TEST(an_invitation_makes_its_role_in_its_household_once),
        PORCH_ACCOUNTS_TEST(a_guest_s_time_ends_sign_in_and_session),
        PORCH_ACCOUNTS_TEST(a_spent_an_old_and_a_foreign_link_are_told_apart),
        PORCH_ACCOUNTS_TEST(nothing_is_decided_before_the_first_code),
        PORCH_ACCOUNTS_TEST(weak_passwords_bad_names_and_zones_make_nothing),
        PORCH_ACCOUNTS_TEST(guessing_links_gets_slower),
        PORCH_ACCOUNTS_TEST(a_person_signs_in_with_name_password_and_code),
        PORCH_ACCOUNTS_TEST(every_wrong_part_gets_the_same_answer_and_the_same_work),
        PORCH_ACCOUNTS_TEST(a_wrong_password_does_not_spend_the_code),
        PORCH_ACCOUNTS_TEST(guessing_gets_slower_for_known_and_unknown_names_alike),
        PORCH_ACCOUNTS_TEST(a_sign_in_that_is_overtaken_by_a_change_is_refused),
        PORCH_ACCOUNTS_TEST(a_signer_that_is_away_is_told_and_not_counted),
        PORCH_ACCOUNTS_TEST(many_password_checks_at_once_are_done_or_told_to_come_back),
        PORCH_ACCOUNTS_TEST(the_database_holds_no_token),
        PORCH_ACCOUNTS_TEST(a_reset_locks_out_until_its_link_was_used),
        PORCH_ACCOUNTS_TEST(everybody_is_listed_and_survives_a_restart),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
