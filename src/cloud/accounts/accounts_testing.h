/* What this room's tests share: accounts over a real store. The signer's part is played here: codes are the
 * secret's number and anything behind it, each good once, so that what accounts/ makes of its answers is
 * seen alone. Included by tests only. */
#ifndef PORCH_CLOUD_ACCOUNTS_TESTING_H
#define PORCH_CLOUD_ACCOUNTS_TESTING_H

#include <setjmp.h>
#include <stdarg.h>

#include "cloud/store/store_testing.h"

#include <cmocka.h>

#include "cloud/accounts/accounts_login.h"
#include "cloud/accounts/accounts_password.h"
#include "cloud/accounts/accounts_setup.h"
#include "cloud/accounts/accounts_stepup.h"

static const char PASSWORD[] = "Gate-lamp-Otter-rides-7-trams";
__attribute__((unused)) static const char OTHER[] = "Hill-moss-Kettle-hums-3-tunes";
static const char FIREFOX[] = "Mozilla/5.0 (X11; Linux x86_64; rv:128.0) Gecko/20100101 Firefox/128.0";
static const uint64_t T0 = 1790000000000;
enum { HOUR_MS = 3600 * 1000, DAY_MS = 24 * HOUR_MS };

/* ---- the signer ---- */

static unsigned totp_made, totp_checked;
static char last_used[64];
static bool signer_away;
/* Called while the signer is asked: what may happen between a look at the account and its commit. */
static void (*during_totp)(void *ctx);
static void *during_totp_ctx;

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
    if (during_totp != NULL) {
        void (*act)(void *ctx) = during_totp;
        during_totp = NULL;
        act(during_totp_ctx);
    }
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
    const char *session; /* of who acts meanwhile */
} lab;

static inline void count_end(const uint8_t hash[32], const char *id, void *ctx) {
    (void)hash;
    (void)id;
    ((lab *)ctx)->ended++;
}

static inline void open_accounts(lab *l) {
    if (store_lab_open(&l->store) != PORCH_OK) fail_msg("%s", l->store.why.text);
    assert_int_equal(porch_accounts_open(l->store.store, &l->store.settings, NULL, &l->accounts, &l->why),
                     PORCH_OK);
    porch_user_session_on_end(l->accounts, count_end, l);
}

/* As a restart of the hub, or with other settings. */
static inline void reopen(lab *l) {
    porch_accounts_close(l->accounts);
    store_lab_close(&l->store);
    open_accounts(l);
}

static inline int make_lab(void **state) {
    lab *l = calloc(1, sizeof *l);
    store_lab_make(&l->store);
    open_accounts(l);
    totp_made = totp_checked = 0;
    last_used[0] = '\0';
    signer_away = false;
    during_totp = NULL;
    *state = l;
    return 0;
}

static inline int drop_lab(void **state) {
    lab *l = *state;
    porch_accounts_close(l->accounts);
    store_lab_remove(&l->store);
    free(l);
    return 0;
}

static inline porch_err begin(lab *l, const char *token, const char *name, const char *password,
                              uint64_t now_ms) {
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

static inline porch_err confirm(lab *l, const char *token, const char *code, uint64_t now_ms,
                                porch_setup_done *done) {
    const porch_sign_in_from from = {.address = "192.0.2.1", .agent = porch_bytes_of(FIREFOX)};
    return porch_setup_confirm(l->accounts, porch_bytes_of(token), code, &from, now_ms, done, &l->retry_s,
                               &l->why);
}

static inline void make_owner(lab *l, porch_setup_done *done) {
    char token[PORCH_SETUP_TOKEN_TEXT], code[32];
    uint64_t expires_ms = 0;
    assert_int_equal(porch_setup_issue(l->accounts, "operator", T0, token, &expires_ms, &l->why), PORCH_OK);
    assert_int_equal(expires_ms, T0 + HOUR_MS);
    assert_int_equal(begin(l, token, "Robin", PASSWORD, T0 + 1), PORCH_OK);
    (void)snprintf(code, sizeof code, "%u-a", totp_made);
    assert_int_equal(confirm(l, token, code, T0 + 2, done), PORCH_OK);
}

static inline porch_err login_from(lab *l, const char *name, const char *password, const char *code,
                                   const porch_sign_in_from *from, uint64_t now_ms, char *session) {
    porch_person p;
    const porch_login_request r = {porch_bytes_of(name), porch_bytes_of(password), porch_bytes_of(code),
                                   *from};
    return porch_login(l->accounts, &r, now_ms, &p, session, &l->retry_s, &l->why);
}

static inline porch_err login(lab *l, const char *name, const char *password, const char *code,
                              uint64_t now_ms, char *session) {
    const porch_sign_in_from from = {.address = "192.0.2.1", .agent = porch_bytes_of(FIREFOX)};
    return login_from(l, name, password, code, &from, now_ms, session);
}

static inline porch_err find(lab *l, const char *token, uint64_t now_ms, porch_user_session *ret) {
    return porch_user_session_find(l->accounts, porch_bytes_of(token), now_ms, ret, &l->why);
}

#define PORCH_ACCOUNTS_TEST(name) cmocka_unit_test_setup_teardown(name, make_lab, drop_lab)

#endif
