#include "cloud/accounts/accounts_login.h"

#include <stdlib.h>
#include <string.h>

#include "cloud/accounts/accounts_password.h"
#include "cloud/accounts/accounts_room.h"
#include "os/log.h"

/* The account that unknown names are judged as, at the signer. No person's id looks like it. */
static const char DUMMY_ACCOUNT[] = "nobody";
#define WRONG "name, password or code is wrong, or the code was used before"

typedef struct {
    porch_accounts *a;
    const porch_login_request *request;
    uint64_t now_ms;
    char key[PORCH_PERSON_NAME_TEXT];
    char code[16];
    bool known;
    porch_account_row row;
    bool changed;  /* between the look at the account and the commit */
    bool half;     /* the password was right and the second factor was not */
    bool recovery; /* the code has the form of a recovery code */
    bool recovery_good;
    uint8_t recovery_hash[32];
    uint8_t session_hash[32];
    char session[PORCH_SESSION_ID_TEXT];
    porch_accounts_ended ended; /* that gave way to this one */
    porch_alert alert;
} attempt;

/* Which of the proofs failed; for the operator's log only. */
typedef struct {
    const char *text;
} reason;

static porch_err read_account(porch_db *db, void *ctx, porch_why *why) {
    attempt *at = ctx;
    porch_err e = porch_accounts_row_by_key(db, at->key, &at->row, why);
    at->known = e == PORCH_OK;
    if (e != PORCH_OK && e != PORCH_ERR_NOT_FOUND) return e;
    /* Looked up for everybody, so that known and unknown names take the same time. */
    at->recovery = porch_accounts_recovery_hash(at->known ? at->row.person.id : DUMMY_ACCOUNT,
                                                at->request->code, at->recovery_hash);
    return porch_accounts_recovery_good(db, at->recovery_hash, &at->recovery_good, why);
}

/* The sealed secret that unknown names are judged against, made once. */
static porch_err dummy_totp(porch_accounts *a, porch_bytes *ret, porch_why *why) {
    porch_err e = PORCH_OK;
    (void)pthread_mutex_lock(&a->dummy_lock);
    if (a->dummy_totp_len == 0) {
        char secret[PORCH_SIGNER_SECRET_TEXT];
        porch_buf sealed = PORCH_BUF_OF(a->dummy_totp);
        e = porch_signer_totp_make(a->signer, DUMMY_ACCOUNT, &sealed, secret, why);
        if (e == PORCH_OK) a->dummy_totp_len = sealed.len;
        porch_wipe(secret, sizeof secret);
    }
    *ret = (porch_bytes){a->dummy_totp, a->dummy_totp_len};
    (void)pthread_mutex_unlock(&a->dummy_lock);
    return e;
}

/* Judges password and code with the same work for everybody. AUTH, CHILD, BUSY or OK. */
static porch_err judge(attempt *at, reason *r, porch_why *why) {
    porch_bytes dummy;
    PORCH_TRY(dummy_totp(at->a, &dummy, why));
    PORCH_TRY(porch_accounts_gate_enter(at->a, why));
    const char *phc = at->known ? at->row.password : at->a->dummy_password;
    bool password = porch_password_verify(phc, at->request->password) == PORCH_OK;
    porch_accounts_gate_leave(at->a);
    bool expired = at->known && porch_accounts_expired(&at->row.person, at->now_ms);
    bool real = at->known && password && !at->row.person.awaiting_reset && !expired;
    /* The signer is asked in any case; about a recovery code it cannot know more than the hub. */
    bool asked = real && !at->recovery;
    porch_bytes sealed = asked ? (porch_bytes){at->row.totp, at->row.totp_len} : dummy;
    porch_why signer = {{0}};
    porch_err e = porch_signer_totp_check(at->a->signer, asked ? at->row.totp_id : DUMMY_ACCOUNT, sealed,
                                          at->code, at->now_ms, &signer);
    if (e != PORCH_OK && e != PORCH_ERR_AUTH && e != PORCH_ERR_EXPIRED && e != PORCH_ERR_LIMIT)
        return porch_fail(why, e, "%s", porch_why_text(&signer, e));
    if (at->recovery) e = at->recovery_good ? PORCH_OK : PORCH_ERR_AUTH;
    if (!at->known)
        r->text = "unknown name";
    else if (!password)
        r->text = "wrong password";
    else if (at->row.person.awaiting_reset)
        r->text = "the account waits for its reset link to be used";
    else if (expired)
        r->text = "the guest's time is over";
    else if (at->recovery && e != PORCH_OK)
        r->text = "wrong or spent recovery code";
    else if (e == PORCH_ERR_EXPIRED)
        r->text = "reused code";
    else if (e == PORCH_ERR_LIMIT)
        r->text = "too many wrong codes for this account";
    else if (e != PORCH_OK)
        r->text = "wrong code";
    at->half = real && e != PORCH_OK;
    return real && e == PORCH_OK ? PORCH_OK : PORCH_ERR_AUTH;
}

/* The one commit of every wrong attempt, whatever was wrong. */
static porch_err keep_attempt(porch_db *db, void *ctx, porch_why *why) {
    attempt *at = ctx;
    PORCH_TRY(porch_accounts_throttle_save(at->a, db, porch_accounts_at_the_door(at->key), at->known, why));
    /* A name that nobody has is not written down: it may be a password in the wrong field. */
    PORCH_TRY(porch_accounts_trust(db, "user.failed", "somebody", at->known ? at->row.person.name : "",
                                   at->request->from.address, why));
    if (!at->half) return PORCH_OK;
    const porch_alert_facts facts = {PORCH_ALERT_HALF, at->row.person.id, "", &at->request->from};
    return porch_accounts_alert_make(at->a, db, &facts, at->now_ms, &at->alert, why);
}

/* A disk that refuses does not change the answer. */
static porch_err refuse(attempt *at, porch_why *why) {
    porch_why own = {{0}};
    porch_err e = porch_store_write(at->a->store, keep_attempt, at, &own);
    if (e == PORCH_OK)
        porch_accounts_tell_alert(at->a, &at->alert);
    else
        porch_log(PORCH_LOG_WARN, "login.unkept", "reason", porch_why_text(&own, e), NULL);
    return porch_fail(why, PORCH_ERR_AUTH, WRONG);
}

/* A password that was changed, or a person who was reset, while this attempt was judged: what it showed is
 * the old one. */
static porch_err still_as_judged(porch_db *db, attempt *at, porch_why *why) {
    porch_db_query *q = porch_db_prepare(
        db, "SELECT 1 FROM account WHERE id = ?1 AND password = ?2 AND totp_id = ?3 AND awaiting_reset = 0",
        why);
    porch_db_bind_str(q, 1, at->row.person.id);
    porch_db_bind_str(q, 2, at->row.password);
    porch_db_bind_str(q, 3, at->row.totp_id);
    porch_err e = porch_db_step(q, why);
    porch_db_finish(q);
    at->changed = e == PORCH_ERR_NOT_FOUND;
    return at->changed ? PORCH_ERR_AUTH : e;
}

static porch_err open_session(porch_db *db, void *ctx, porch_why *why) {
    attempt *at = ctx;
    const porch_person *p = &at->row.person;
    PORCH_TRY(still_as_judged(db, at, why));
    if (at->recovery) {
        PORCH_TRY(porch_accounts_recovery_spend(db, at->recovery_hash, at->now_ms, why));
        PORCH_TRY(porch_accounts_trust(db, "user.recovery", NULL, p->name, at->request->from.address, why));
    }
    PORCH_TRY(porch_accounts_session_make(at->a, db, p->id, at->session_hash, &at->request->from,
                                          at->recovery ? PORCH_PROOF_RECOVERY : PORCH_PROOF_CODE,
                                          at->now_ms, &at->ended, at->session, why));
    const porch_alert_facts facts = {PORCH_ALERT_SIGN_IN, p->id, at->session, &at->request->from};
    PORCH_TRY(porch_accounts_alert_make(at->a, db, &facts, at->now_ms, &at->alert, why));
    PORCH_TRY(porch_accounts_throttle_forget(db, porch_accounts_at_the_door(at->key), why));
    return porch_accounts_trust(db, "user.sign-in", NULL, p->name, at->request->from.address, why);
}

static porch_err run(attempt *at, char session[PORCH_SESSION_TOKEN_TEXT], uint32_t *retry_after_s,
                     reason *r, porch_why *why) {
    const porch_login_request *q = at->request;
    porch_throttle_subject subjects[2] = {
        porch_accounts_throttle_subject(at->a, porch_accounts_at_the_door(at->key)),
        {porch_throttle_key_of_address(q->from.address), at->a->address_free},
    };
    *retry_after_s = porch_accounts_throttle_begin(at->a, subjects, 2, at->now_ms);
    if (*retry_after_s > 0) {
        r->text = "throttled: too many attempts";
        return porch_fail(why, PORCH_ERR_LIMIT, "too many attempts; wait %u seconds", *retry_after_s);
    }
    porch_err e = porch_store_read(at->a->store, read_account, at, why);
    if (e == PORCH_OK) e = judge(at, r, why);
    if (e == PORCH_ERR_AUTH) return refuse(at, why);
    if (e == PORCH_OK) {
        porch_accounts_token_make(session, at->session_hash);
        e = porch_store_write(at->a->store, open_session, at, why);
    }
    /* Being turned away for lack of room, of the disk or of the signer is no wrong attempt. */
    if (e != PORCH_OK && e != PORCH_ERR_AUTH) porch_accounts_throttle_undo(at->a, subjects, 2);
    if (e == PORCH_ERR_AUTH) { /* or two sign-ins with one recovery code: this one came second */
        r->text = at->changed ? "the account was changed meanwhile" : "wrong or spent recovery code";
        at->half = !at->changed;
        return refuse(at, why);
    }
    PORCH_TRY(e);
    porch_accounts_throttle_good(at->a, subjects, 2);
    porch_accounts_tell_ended(at->a, &at->ended);
    porch_accounts_tell_alert(at->a, &at->alert);
    return PORCH_OK;
}

porch_err porch_login(porch_accounts *a, const porch_login_request *request, uint64_t now_ms,
                      porch_person *ret, char session[PORCH_SESSION_TOKEN_TEXT], uint32_t *retry_after_s,
                      porch_why *why) {
    attempt at = {.a = a, .request = request, .now_ms = now_ms};
    reason r = {"-"};
    *retry_after_s = 0;
    porch_accounts_name_key(request->name, at.key);
    /* What cannot be a code or a name goes the same way as a wrong one. */
    if (!porch_bytes_to_text(request->code, at.code, sizeof at.code)) (void)memcpy(at.code, "000000x", 8);
    porch_err e = run(&at, session, retry_after_s, &r, why);
    if (e == PORCH_OK) {
        at.row.person.last_login_ms = now_ms;
        *ret = at.row.person;
        porch_log(PORCH_LOG_INFO, "login.accepted", "name", ret->name, "peer", request->from.address, "by",
                  at.recovery ? "recovery code" : "code", NULL);
    } else {
        /* A name that nobody has may be a password in the wrong field. */
        porch_log(PORCH_LOG_WARN, "login.refused", "name", at.known ? at.row.person.name : "-", "peer",
                  request->from.address, "reason", r.text, "error", porch_err_name(e), NULL);
    }
    free(at.ended.one);
    porch_wipe(&at, sizeof at);
    return e;
}
