#include "cloud/accounts/accounts_setup.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "cloud/accounts/accounts_password.h"
#include "cloud/accounts/accounts_qr.h"
#include "cloud/accounts/accounts_room.h"
#include "crypto/random.h"
#include "os/log.h"

static const char FIRST_HOUSEHOLD[] = "home"; /* every new hub has it */

/* ---- issuing ---- */

typedef struct {
    porch_accounts *a;
    const char *who;
    const char *name; /* of a reset */
    const porch_setup_invitation *invitation;
    uint64_t now_ms;
    uint64_t expires_ms;
    uint8_t hash[32];
    porch_accounts_ended ended;
} issue_job;

/* Of one household, or (NULL) of any. */
static porch_err owner_exists(porch_db *db, const char *household, bool *ret, porch_why *why) {
    porch_db_query *q = porch_db_prepare(
        db, "SELECT 1 FROM account WHERE role = 'owner' AND (?1 IS NULL OR household = ?1) LIMIT 1", why);
    if (household != NULL) porch_db_bind_str(q, 1, household);
    porch_err e = porch_db_step(q, why);
    porch_db_finish(q);
    *ret = e == PORCH_OK;
    return e == PORCH_ERR_NOT_FOUND ? PORCH_OK : e;
}

/* One that ends takes nobody in: whoever came after its people had gone would be left over, and be of the
 * next household of that name. */
static porch_err takes_people(porch_db *db, const char *household, porch_why *why) {
    porch_db_query *q =
        porch_db_prepare(db,
                         "SELECT 1 FROM household WHERE id = ?1 AND NOT EXISTS (SELECT 1 FROM "
                         "erasure WHERE household = ?1)",
                         why);
    porch_db_bind_str(q, 1, household);
    porch_err e = porch_db_step(q, why);
    porch_db_finish(q);
    return e == PORCH_ERR_NOT_FOUND
               ? porch_fail(why, PORCH_ERR_NOT_FOUND, "there is no such household, or it is being erased")
               : e;
}

static porch_err insert_link(porch_db *db, const issue_job *job, const char *purpose, const char *account,
                             porch_why *why) {
    char totp_id[PORCH_PERSON_ID_TEXT];
    porch_random_id(totp_id);
    porch_db_query *q = porch_db_prepare(db,
                                         "DELETE FROM setup_link WHERE spent_ms = 0 AND purpose = ?1 AND "
                                         "(purpose = 'owner' OR account = ?2)",
                                         why);
    porch_db_bind_str(q, 1, purpose);
    porch_db_bind_str(q, 2, account);
    PORCH_TRY(porch_db_execute(q, why));
    const porch_setup_invitation first = {PORCH_ROLE_OWNER, FIRST_HOUSEHOLD, 0};
    const porch_setup_invitation *to = job->invitation != NULL ? job->invitation : &first;
    q = porch_db_prepare(
        db,
        "INSERT INTO setup_link (hash, purpose, account, totp_id, expires_ms, role, household, "
        "stay_ms) VALUES (?1, ?2, ?3, ?5, ?4, ?6, ?7, ?8)",
        why);
    porch_db_bind_blob(q, 1, (porch_bytes){job->hash, 32});
    porch_db_bind_str(q, 2, purpose);
    porch_db_bind_str(q, 3, account);
    porch_db_bind_i64(q, 4, (int64_t)job->expires_ms);
    porch_db_bind_str(q, 5, totp_id);
    porch_db_bind_str(q, 6, porch_role_name(to->role));
    porch_db_bind_str(q, 7, to->household);
    porch_db_bind_i64(q, 8, (int64_t)to->stay_ms);
    return porch_db_execute(q, why);
}

static porch_err issue_owner(porch_db *db, void *ctx, porch_why *why) {
    issue_job *job = ctx;
    bool exists = false;
    char account[PORCH_PERSON_ID_TEXT];
    PORCH_TRY(owner_exists(db, NULL, &exists, why));
    if (exists)
        return porch_fail(
            why, PORCH_ERR_STATE,
            "this hub has an owner; to help a person who cannot sign in: 'porchlight user reset NAME'");
    porch_random_id(account);
    PORCH_TRY(insert_link(db, job, "owner", account, why));
    return porch_accounts_trust(db, "setup.link", job->who, "owner", NULL, why);
}

static porch_err issue_reset(porch_db *db, void *ctx, porch_why *why) {
    issue_job *job = ctx;
    porch_account_row row;
    char key[PORCH_PERSON_NAME_TEXT];
    porch_accounts_name_key(porch_bytes_of(job->name), key);
    porch_err e = porch_accounts_row_by_key(db, key, &row, why);
    if (e == PORCH_ERR_NOT_FOUND)
        e = porch_fail(why, e, "nobody by that name has an account; 'porchlight user list' shows who has");
    if (e == PORCH_OK) e = insert_link(db, job, "reset", row.person.id, why);
    if (e == PORCH_OK) {
        porch_db_query *q =
            porch_db_prepare(db, "UPDATE account SET awaiting_reset = 1 WHERE id = ?1", why);
        porch_db_bind_str(q, 1, row.person.id);
        e = porch_db_execute(q, why);
    }
    if (e == PORCH_OK) e = porch_accounts_sessions_drop(job->a, db, row.person.id, "", &job->ended, why);
    if (e == PORCH_OK) e = porch_accounts_trust(db, "user.reset", job->who, row.person.name, NULL, why);
    porch_wipe(&row, sizeof row);
    return e;
}

/* What others left unused goes by the way, so that old invitations do not pile up. */
static porch_err issue_invitation(porch_db *db, void *ctx, porch_why *why) {
    issue_job *job = ctx;
    const porch_setup_invitation *to = job->invitation;
    bool exists = false;
    char account[PORCH_PERSON_ID_TEXT];
    PORCH_TRY(takes_people(db, to->household, why));
    if (to->role == PORCH_ROLE_OWNER) PORCH_TRY(owner_exists(db, to->household, &exists, why));
    if (exists)
        return porch_fail(why, PORCH_ERR_STATE, "the household has an owner; invite an adult instead");
    porch_db_query *q =
        porch_db_prepare(db, "DELETE FROM setup_link WHERE purpose = 'invite' AND expires_ms <= ?1", why);
    porch_db_bind_i64(q, 1, (int64_t)job->now_ms);
    PORCH_TRY(porch_db_execute(q, why));
    porch_random_id(account);
    PORCH_TRY(insert_link(db, job, "invite", account, why));
    return porch_accounts_trust(db, "user.invite", job->who, porch_role_name(to->role), NULL, why);
}

static porch_err issue(porch_accounts *a, issue_job *job, uint64_t now_ms,
                       char token[PORCH_SETUP_TOKEN_TEXT], uint64_t *expires_ms, porch_why *why) {
    char text[PORCH_SETUP_TOKEN_TEXT];
    job->a = a;
    job->now_ms = now_ms;
    job->expires_ms = now_ms + a->setup_link_ms;
    porch_accounts_token_make(text, job->hash);
    bool reset = job->name != NULL, invited = job->invitation != NULL;
    porch_err e = porch_store_write(
        a->store, reset ? issue_reset : (invited ? issue_invitation : issue_owner), job, why);
    if (e == PORCH_OK) {
        memcpy(token, text, sizeof text);
        *expires_ms = job->expires_ms;
        porch_accounts_tell_ended(a, &job->ended);
        porch_log(PORCH_LOG_INFO, reset ? "user.reset" : (invited ? "user.invited" : "setup.link"), "name",
                  reset ? job->name : (invited ? porch_role_name(job->invitation->role) : "owner"), "by",
                  job->who, NULL);
    }
    free(job->ended.one);
    porch_wipe(text, sizeof text);
    return e;
}

porch_err porch_setup_issue(porch_accounts *a, const char *who, uint64_t now_ms,
                            char token[PORCH_SETUP_TOKEN_TEXT], uint64_t *expires_ms, porch_why *why) {
    issue_job job = {.who = who};
    return issue(a, &job, now_ms, token, expires_ms, why);
}

porch_err porch_setup_reset(porch_accounts *a, const char *who, const char *name, uint64_t now_ms,
                            char token[PORCH_SETUP_TOKEN_TEXT], uint64_t *expires_ms, porch_why *why) {
    issue_job job = {.who = who, .name = name};
    PORCH_TRY(porch_person_name_check(porch_bytes_of(name), why));
    return issue(a, &job, now_ms, token, expires_ms, why);
}

porch_err porch_setup_invite(porch_accounts *a, const char *who, const porch_setup_invitation *to,
                             uint64_t now_ms, char token[PORCH_SETUP_TOKEN_TEXT], uint64_t *expires_ms,
                             porch_why *why) {
    issue_job job = {.who = who, .invitation = to};
    if (porch_role_name(to->role)[0] == '\0')
        return porch_fail(why, PORCH_ERR_MALFORMED, "a role is one of owner, adult, child, guest");
    if ((to->role == PORCH_ROLE_GUEST) != (to->stay_ms > 0))
        return porch_fail(why, PORCH_ERR_USAGE, "a guest stays for some days, and nobody else does");
    return issue(a, &job, now_ms, token, expires_ms, why);
}

/* ---- a link as a person shows it ---- */

typedef struct {
    uint8_t hash[32];
    uint64_t now_ms;
    bool reset;
    porch_role role; /* of the account that it makes, and where, and how long that lasts */
    char household[65];
    uint64_t stay_ms;
    char account[PORCH_PERSON_ID_TEXT];
    char totp_id[PORCH_PERSON_ID_TEXT];
    char account_name[PORCH_PERSON_NAME_TEXT]; /* of an account being reset */
    bool begun;
    char name[PORCH_PERSON_NAME_TEXT];
    char password[PORCH_PASSWORD_HASH_BYTES];
    uint8_t totp[PORCH_ACCOUNTS_SEALED_MAX];
    size_t totp_len;
    char timezone[PORCH_ACCOUNTS_TIMEZONE_MAX + 1];
} link_row;

static porch_err take_row(porch_db_query *q, link_row *l, porch_why *why) {
    porch_bytes sealed = porch_db_blob(q, 6);
    l->reset = porch_bytes_eq_text(porch_db_text(q, 0), "reset");
    l->begun = !porch_db_is_null(q, 4);
    if (!porch_bytes_to_text(porch_db_text(q, 1), l->account, sizeof l->account) ||
        !porch_bytes_to_text(porch_db_text(q, 9), l->totp_id, sizeof l->totp_id) ||
        !porch_bytes_to_text(porch_db_text(q, 4), l->name, sizeof l->name) ||
        !porch_bytes_to_text(porch_db_text(q, 5), l->password, sizeof l->password) ||
        sealed.len > sizeof l->totp ||
        !porch_bytes_to_text(porch_db_text(q, 7), l->timezone, sizeof l->timezone) ||
        !porch_bytes_to_text(porch_db_text(q, 8), l->account_name, sizeof l->account_name) ||
        porch_role_parse(porch_db_text(q, 10), &l->role) != PORCH_OK ||
        !porch_bytes_to_text(porch_db_text(q, 11), l->household, sizeof l->household))
        return porch_fail(why, PORCH_ERR_DATABASE, "the setup link's row is damaged; issue a new link");
    if (sealed.len > 0) memcpy(l->totp, sealed.at, sealed.len);
    l->totp_len = sealed.len;
    l->stay_ms = (uint64_t)porch_db_i64(q, 12);
    if (porch_db_i64(q, 3) != 0)
        return porch_fail(why, PORCH_ERR_AUTH, "this setup link was used already; sign in instead");
    if (l->now_ms >= (uint64_t)porch_db_i64(q, 2))
        return porch_fail(why, PORCH_ERR_EXPIRED,
                          "this setup link is over; 'porchlight setup-link' makes a new one");
    return PORCH_OK;
}

static porch_err read_link(porch_db *db, void *ctx, porch_why *why) {
    link_row *l = ctx;
    porch_db_query *q = porch_db_prepare(
        db,
        "SELECT purpose, setup_link.account, setup_link.expires_ms, spent_ms, setup_link.name, "
        "setup_link.password, setup_link.totp, timezone, account.name, setup_link.totp_id, "
        "setup_link.role, setup_link.household, setup_link.stay_ms FROM setup_link "
        "LEFT JOIN account ON account.id = setup_link.account WHERE hash = ?1",
        why);
    porch_db_bind_blob(q, 1, (porch_bytes){l->hash, 32});
    porch_err e = porch_db_step(q, why);
    if (e == PORCH_OK)
        e = take_row(q, l, why);
    else if (e == PORCH_ERR_NOT_FOUND)
        e = porch_fail(why, PORCH_ERR_AUTH, "this setup link is not one of this hub's; ask for a new one");
    porch_db_finish(q);
    return e;
}

/* Finds the link of a token, at most people.free_attempts_address wrong ones from an address without
 * waiting. */
static porch_err open_link(porch_accounts *a, porch_bytes token, const char *address, uint64_t now_ms,
                           link_row *l, uint32_t *retry_after_s, porch_why *why) {
    porch_throttle_subject from = {porch_throttle_key_of_address(address), a->address_free};
    *l = (link_row){.now_ms = now_ms};
    *retry_after_s = porch_accounts_throttle_begin(a, &from, 1, now_ms);
    if (*retry_after_s > 0)
        return porch_fail(why, PORCH_ERR_LIMIT, "too many attempts; wait %u seconds", *retry_after_s);
    if (porch_accounts_token_hash(token, l->hash) != PORCH_OK)
        return porch_fail(why, PORCH_ERR_AUTH, "this setup link is not whole; copy all of it");
    PORCH_TRY(porch_store_read(a->store, read_link, l, why));
    porch_accounts_throttle_undo(a, &from, 1);
    return PORCH_OK;
}

porch_err porch_setup_look(porch_accounts *a, porch_bytes token, const char *address, uint64_t now_ms,
                           uint32_t *retry_after_s, porch_why *why) {
    link_row l;
    porch_err e = open_link(a, token, address, now_ms, &l, retry_after_s, why);
    porch_wipe(&l, sizeof l);
    return e;
}

static void log_refusal(const char *step, const char *address, porch_err e, const porch_why *why) {
    porch_log(PORCH_LOG_WARN, "setup.refused", "step", step, "peer", address, "error", porch_err_name(e),
              "reason", porch_why_text(why, e), NULL);
}

/* ---- begin ---- */

static porch_err check_timezone(porch_bytes zone, porch_why *why) {
    bool good = zone.len <= PORCH_ACCOUNTS_TIMEZONE_MAX;
    for (size_t i = 0; good && i < zone.len; i++) {
        uint8_t c = zone.at[i];
        good = (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') ||
               (i > 0 && (c == '/' || c == '_' || c == '-' || c == '+'));
    }
    return good ? PORCH_OK
                : porch_fail(why, PORCH_ERR_MALFORMED, "the time zone is not a name such as Europe/Berlin");
}

static porch_err name_is_free(porch_db *db, const char *key, porch_why *why) {
    porch_db_query *q = porch_db_prepare(db, "SELECT 1 FROM account WHERE name_key = ?1", why);
    porch_db_bind_str(q, 1, key);
    porch_err e = porch_db_step(q, why);
    porch_db_finish(q);
    if (e == PORCH_ERR_NOT_FOUND) return PORCH_OK;
    return e != PORCH_OK ? e : porch_fail(why, PORCH_ERR_EXISTS, "this name is taken; choose another one");
}

static porch_err save_choice(porch_db *db, void *ctx, porch_why *why) {
    const link_row *l = ctx;
    char key[PORCH_PERSON_NAME_TEXT];
    porch_accounts_name_key(porch_bytes_of(l->name), key);
    if (!l->reset) PORCH_TRY(name_is_free(db, key, why));
    porch_db_query *q =
        porch_db_prepare(db,
                         "UPDATE setup_link SET name = ?2, password = ?3, totp = ?4, timezone = ?5 "
                         "WHERE hash = ?1 AND spent_ms = 0",
                         why);
    porch_db_bind_blob(q, 1, (porch_bytes){l->hash, 32});
    porch_db_bind_str(q, 2, l->name);
    porch_db_bind_str(q, 3, l->password);
    porch_db_bind_blob(q, 4, (porch_bytes){l->totp, l->totp_len});
    porch_db_bind_str(q, 5, l->timezone);
    PORCH_TRY(porch_db_execute(q, why));
    if (porch_db_changes(db) == 0)
        return porch_fail(why, PORCH_ERR_AUTH, "this setup link was used already; sign in instead");
    return PORCH_OK;
}

/* otpauth://totp/Porchlight:NAME?secret=...&issuer=Porchlight, the form that authenticators read. */
static char *make_uri(const char *name, const char *secret) {
    static const char hex[] = "0123456789ABCDEF";
    char escaped[PORCH_PERSON_NAME_TEXT * 3];
    size_t len = 0;
    for (const char *c = name; *c != '\0'; c++) {
        bool plain = (*c >= 'a' && *c <= 'z') || (*c >= 'A' && *c <= 'Z') || (*c >= '0' && *c <= '9');
        if (plain) {
            escaped[len++] = *c;
        } else {
            escaped[len++] = '%';
            escaped[len++] = hex[((unsigned char)*c) >> 4];
            escaped[len++] = hex[((unsigned char)*c) & 15];
        }
    }
    escaped[len] = '\0';
    char *uri = NULL;
    if (asprintf(&uri, "otpauth://totp/Porchlight:%s?secret=%s&issuer=Porchlight", escaped, secret) < 0)
        return NULL;
    return uri;
}

static porch_err begin(porch_accounts *a, const porch_setup_request *r, uint64_t now_ms, link_row *l,
                       porch_setup_offer *offer, uint32_t *retry_after_s, porch_why *why) {
    PORCH_TRY(open_link(a, r->token, r->address, now_ms, l, retry_after_s, why));
    PORCH_TRY(check_timezone(r->timezone, why));
    /* Someone being reset keeps the name; the page need not know it. */
    if (l->reset)
        memcpy(l->name, l->account_name, sizeof l->name);
    else {
        PORCH_TRY(porch_person_name_check(r->name, why));
        (void)porch_bytes_to_text(r->name, l->name, sizeof l->name);
    }
    (void)porch_bytes_to_text(r->timezone, l->timezone, sizeof l->timezone);
    PORCH_TRY(porch_accounts_password_hash(a, r->password, porch_bytes_of(l->name), l->password, why));
    porch_buf sealed = PORCH_BUF_OF(l->totp);
    PORCH_TRY(porch_signer_totp_make(a->signer, l->totp_id, &sealed, offer->totp_secret, why));
    l->totp_len = sealed.len;
    offer->totp_uri = make_uri(l->name, offer->totp_secret);
    if (offer->totp_uri == NULL) return porch_fail(why, PORCH_ERR_NO_SPACE, "no memory for the setup");
    PORCH_TRY(porch_qr_svg(offer->totp_uri, &offer->qr_svg, why));
    return porch_store_write(a->store, save_choice, l, why);
}

porch_err porch_setup_begin(porch_accounts *a, const porch_setup_request *request, uint64_t now_ms,
                            porch_setup_offer *ret, uint32_t *retry_after_s, porch_why *why) {
    link_row l;
    porch_setup_offer offer = {0};
    porch_why own = {{0}};
    *retry_after_s = 0;
    porch_err e = begin(a, request, now_ms, &l, &offer, retry_after_s, &own);
    if (e == PORCH_OK) {
        *ret = offer;
    } else {
        log_refusal("begin", request->address, e, &own);
        (void)porch_fail(why, e, "%s", porch_why_text(&own, e));
        porch_setup_offer_free(&offer);
    }
    porch_wipe(&l, sizeof l);
    return e;
}

void porch_setup_offer_free(porch_setup_offer *offer) {
    if (offer->totp_uri != NULL) porch_wipe(offer->totp_uri, strlen(offer->totp_uri));
    if (offer->qr_svg != NULL) porch_wipe(offer->qr_svg, strlen(offer->qr_svg));
    free(offer->totp_uri);
    free(offer->qr_svg);
    porch_wipe(offer, sizeof *offer);
}

/* ---- confirm ---- */

typedef struct {
    porch_accounts *a;
    const link_row *link;
    const porch_sign_in_from *from;
    uint64_t now_ms;
    uint8_t session_hash[32];
    char session[PORCH_SESSION_ID_TEXT];
    porch_accounts_ended ended;
    porch_alert alert;
    porch_account_row made;
    porch_recovery_codes recovery;
} confirm_job;

static porch_err write_new(porch_db *db, const confirm_job *job, const char *key, porch_why *why) {
    const link_row *l = job->link;
    bool exists = false;
    porch_err e = takes_people(db, l->household, why);
    if (e == PORCH_ERR_NOT_FOUND)
        return porch_fail(why, PORCH_ERR_AUTH, "the household of this invitation is no longer there");
    PORCH_TRY(e);
    if (l->role == PORCH_ROLE_OWNER) PORCH_TRY(owner_exists(db, l->household, &exists, why));
    if (exists)
        return porch_fail(why, PORCH_ERR_AUTH, "this household has an owner already; sign in instead");
    PORCH_TRY(name_is_free(db, key, why));
    porch_db_query *q = porch_db_prepare(
        db,
        "INSERT INTO account (id, name, name_key, role, household, password, totp, totp_id, "
        "created_ms, expires_ms) VALUES (?1, ?2, ?3, ?9, ?4, ?5, ?6, ?8, ?7, ?10)",
        why);
    porch_db_bind_str(q, 1, l->account);
    porch_db_bind_str(q, 2, l->name);
    porch_db_bind_str(q, 3, key);
    porch_db_bind_str(q, 4, l->household);
    porch_db_bind_str(q, 5, l->password);
    porch_db_bind_blob(q, 6, (porch_bytes){l->totp, l->totp_len});
    porch_db_bind_i64(q, 7, (int64_t)job->now_ms);
    porch_db_bind_str(q, 8, l->totp_id);
    porch_db_bind_str(q, 9, porch_role_name(l->role));
    porch_db_bind_i64(q, 10, (int64_t)(l->stay_ms == 0 ? 0 : job->now_ms + l->stay_ms));
    PORCH_TRY(porch_db_execute(q, why));
    return porch_accounts_trust(db, "user.add", NULL, l->name, job->from->address, why);
}

static porch_err write_renewed(porch_db *db, confirm_job *job, porch_why *why) {
    const link_row *l = job->link;
    porch_db_query *q = porch_db_prepare(
        db, "UPDATE account SET password = ?2, totp = ?3, totp_id = ?4, awaiting_reset = 0 WHERE id = ?1",
        why);
    porch_db_bind_str(q, 1, l->account);
    porch_db_bind_str(q, 2, l->password);
    porch_db_bind_blob(q, 3, (porch_bytes){l->totp, l->totp_len});
    porch_db_bind_str(q, 4, l->totp_id);
    PORCH_TRY(porch_db_execute(q, why));
    if (porch_db_changes(db) == 0)
        return porch_fail(why, PORCH_ERR_AUTH, "the account of this link is gone");
    PORCH_TRY(porch_accounts_sessions_drop(job->a, db, l->account, "", &job->ended, why));
    return porch_accounts_trust(db, "user.renew", NULL, l->name, job->from->address, why);
}

static porch_err confirm_write(porch_db *db, void *ctx, porch_why *why) {
    confirm_job *job = ctx;
    const link_row *l = job->link;
    char key[PORCH_PERSON_NAME_TEXT];
    porch_accounts_name_key(porch_bytes_of(l->name), key);
    porch_db_query *q = porch_db_prepare(db,
                                         "UPDATE setup_link SET spent_ms = ?2, password = NULL, totp = "
                                         "NULL WHERE hash = ?1 AND spent_ms = 0",
                                         why);
    porch_db_bind_blob(q, 1, (porch_bytes){l->hash, 32});
    porch_db_bind_i64(q, 2, (int64_t)job->now_ms);
    PORCH_TRY(porch_db_execute(q, why));
    if (porch_db_changes(db) == 0)
        return porch_fail(why, PORCH_ERR_AUTH, "this setup link was used already; sign in instead");
    PORCH_TRY(l->reset ? write_renewed(db, job, why) : write_new(db, job, key, why));
    PORCH_TRY(porch_accounts_recovery_make(db, l->account, job->now_ms, &job->recovery, why));
    PORCH_TRY(porch_accounts_session_make(job->a, db, l->account, job->session_hash, job->from,
                                          PORCH_PROOF_CODE, job->now_ms, &job->ended, job->session, why));
    if (l->reset) { /* browsers that push messages go to hear of it; other sign-ins there are none */
        const porch_alert_facts facts = {PORCH_ALERT_PASSWORD, l->account, job->session, job->from};
        PORCH_TRY(porch_accounts_alert_make(job->a, db, &facts, job->now_ms, &job->alert, why));
    }
    return porch_accounts_row_by_key(db, key, &job->made, why);
}

static porch_err judge_code(porch_accounts *a, const link_row *l, const char *code, const char *address,
                            uint64_t now_ms, uint32_t *retry_after_s, porch_why *why) {
    porch_throttle_subject subjects[2] = {
        {porch_throttle_key_of('a', porch_bytes_of(l->account)), a->login_free},
        {porch_throttle_key_of_address(address), a->address_free},
    };
    *retry_after_s = porch_accounts_throttle_begin(a, subjects, 2, now_ms);
    if (*retry_after_s > 0)
        return porch_fail(why, PORCH_ERR_LIMIT, "too many attempts; wait %u seconds", *retry_after_s);
    porch_err e = porch_signer_totp_check(a->signer, l->totp_id, (porch_bytes){l->totp, l->totp_len}, code,
                                          now_ms, why);
    if (e == PORCH_OK)
        porch_accounts_throttle_good(a, subjects, 2);
    else if (porch_err_class_of(e) != PORCH_CLASS_PEER)
        porch_accounts_throttle_undo(a, subjects, 2);
    if (e == PORCH_ERR_AUTH)
        return porch_fail(why, PORCH_ERR_DENIED,
                          "the code does not fit; check the phone's clock and use the newest code");
    if (e == PORCH_ERR_EXPIRED)
        return porch_fail(why, PORCH_ERR_DENIED, "this code was used already; wait for the next one");
    if (e == PORCH_ERR_LIMIT) *retry_after_s = PORCH_ACCOUNTS_SIGNER_WAIT_S;
    return e;
}

static porch_err confirm(porch_accounts *a, porch_bytes token, const char *code, link_row *l,
                         confirm_job *job, char session[PORCH_SESSION_TOKEN_TEXT], uint32_t *retry_after_s,
                         porch_why *why) {
    PORCH_TRY(open_link(a, token, job->from->address, job->now_ms, l, retry_after_s, why));
    if (!l->begun) return porch_fail(why, PORCH_ERR_STATE, "choose a name and a password first");
    PORCH_TRY(judge_code(a, l, code, job->from->address, job->now_ms, retry_after_s, why));
    porch_accounts_token_make(session, job->session_hash);
    PORCH_TRY(porch_store_write(a->store, confirm_write, job, why));
    porch_accounts_tell_ended(a, &job->ended);
    porch_accounts_tell_alert(a, &job->alert);
    return PORCH_OK;
}

porch_err porch_setup_confirm(porch_accounts *a, porch_bytes token, const char *code,
                              const porch_sign_in_from *from, uint64_t now_ms, porch_setup_done *ret,
                              uint32_t *retry_after_s, porch_why *why) {
    link_row l;
    porch_setup_done done = {0};
    porch_why own = {{0}};
    confirm_job job = {.a = a, .link = &l, .from = from, .now_ms = now_ms};
    *retry_after_s = 0;
    porch_err e = confirm(a, token, code, &l, &job, done.session, retry_after_s, &own);
    if (e == PORCH_OK) {
        done.person = job.made.person;
        memcpy(done.timezone, l.timezone, sizeof l.timezone);
        done.recovery = job.recovery;
        *ret = done;
        porch_log(PORCH_LOG_INFO, l.reset ? "user.renewed" : "user.added", "name", done.person.name, "peer",
                  from->address, NULL);
    } else {
        log_refusal("confirm", from->address, e, &own);
        (void)porch_fail(why, e, "%s", porch_why_text(&own, e));
    }
    free(job.ended.one);
    porch_wipe(&l, sizeof l);
    porch_wipe(&job.made, sizeof job.made);
    porch_wipe(&job.recovery, sizeof job.recovery);
    porch_wipe(&done, sizeof done);
    return e;
}
