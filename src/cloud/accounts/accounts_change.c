#include "cloud/accounts/accounts_change.h"

#include <stdlib.h>
#include <string.h>

#include "cloud/accounts/accounts_room.h"
#include "cloud/accounts/accounts_stepup.h"
#include "os/log.h"

/* ---- the old one again ---- */

typedef struct {
    const char *account; /* its id */
    char key[PORCH_PERSON_NAME_TEXT];
    porch_account_row row;
} row_job;

static porch_err read_row(porch_db *db, void *ctx, porch_why *why) {
    row_job *job = ctx;
    return porch_accounts_row_by_key(db, job->key, &job->row, why);
}

static porch_err judge_password(porch_accounts *a, row_job *job, porch_bytes password, porch_why *why) {
    PORCH_TRY(porch_store_read(a->store, read_row, job, why));
    PORCH_TRY(porch_accounts_gate_enter(a, why));
    porch_err e = porch_password_verify(job->row.password, password);
    porch_accounts_gate_leave(a);
    return e == PORCH_OK ? e : porch_fail(why, PORCH_ERR_DENIED, "that is not your password");
}

static porch_err take_password(porch_accounts *a, row_job *job, porch_bytes password, const char *address,
                               uint64_t now_ms, uint32_t *retry_after_s, porch_why *why) {
    const porch_accounts_guarded guarded = porch_accounts_signed_in(job->account);
    porch_throttle_subject subjects[2] = {
        porch_accounts_throttle_subject(a, guarded),
        {porch_throttle_key_of_address(address), a->address_free},
    };
    *retry_after_s = porch_accounts_throttle_begin(a, subjects, 2, now_ms);
    if (*retry_after_s > 0)
        return porch_fail(why, PORCH_ERR_LIMIT, "too many attempts; wait %u seconds", *retry_after_s);
    porch_err e = judge_password(a, job, password, why);
    /* A right one is half of a sign-in: it is not counted, but forgives no earlier one. */
    if (e == PORCH_ERR_DENIED)
        porch_accounts_throttle_keep(a, guarded);
    else
        porch_accounts_throttle_undo(a, subjects, 2);
    return e;
}

porch_err porch_accounts_password_again(porch_accounts *a, const porch_person *person, porch_bytes password,
                                        const char *address, const char *wish, uint64_t now_ms,
                                        char phc[PORCH_PASSWORD_HASH_BYTES], uint32_t *retry_after_s,
                                        porch_why *why) {
    row_job job = {.account = person->id};
    porch_why own = {{0}};
    porch_accounts_name_key(porch_bytes_of(person->name), job.key);
    porch_err e = take_password(a, &job, password, address, now_ms, retry_after_s, &own);
    if (e == PORCH_OK) {
        memcpy(phc, job.row.password, sizeof job.row.password);
    } else {
        porch_log(PORCH_LOG_WARN, "password.refused", "name", person->name, "peer", address, "wish", wish,
                  "error", porch_err_name(e), "reason", porch_why_text(&own, e), NULL);
        (void)porch_fail(why, e, "%s", porch_why_text(&own, e));
    }
    porch_wipe(&job, sizeof job);
    return e;
}

/* ---- the new one ---- */

typedef struct {
    porch_accounts *a;
    const porch_password_change *change;
    uint64_t now_ms;
    char old_phc[PORCH_PASSWORD_HASH_BYTES];
    char new_phc[PORCH_PASSWORD_HASH_BYTES];
    uint8_t hash[32]; /* of the new token */
    porch_accounts_ended ended;
    porch_alert alert;
} change_job;

/* Only over the password that was judged: of two changes at once one comes second and fails. */
static porch_err write_password(porch_db *db, const change_job *job, porch_why *why) {
    porch_db_query *q = porch_db_prepare(
        db, "UPDATE account SET password = ?2 WHERE id = ?1 AND password = ?3 AND awaiting_reset = 0", why);
    porch_db_bind_str(q, 1, job->change->session->person.id);
    porch_db_bind_str(q, 2, job->new_phc);
    porch_db_bind_str(q, 3, job->old_phc);
    PORCH_TRY(porch_db_execute(q, why));
    if (porch_db_changes(db) == 0)
        return porch_fail(why, PORCH_ERR_DENIED, "the password was changed meanwhile");
    return PORCH_OK;
}

static porch_err write_token(porch_db *db, const change_job *job, porch_why *why) {
    porch_db_query *q = porch_db_prepare(db, "UPDATE session SET hash = ?2 WHERE hash = ?1", why);
    porch_db_bind_blob(q, 1, (porch_bytes){job->change->session->hash, 32});
    porch_db_bind_blob(q, 2, (porch_bytes){job->hash, 32});
    PORCH_TRY(porch_db_execute(q, why));
    if (porch_db_changes(db) == 0)
        return porch_fail(why, PORCH_ERR_AUTH, "the sign-in is over; sign in again");
    return PORCH_OK;
}

static porch_err write_change(porch_db *db, void *ctx, porch_why *why) {
    change_job *job = ctx;
    const porch_user_session *s = job->change->session;
    PORCH_TRY(write_password(db, job, why));
    PORCH_TRY(write_token(db, job, why));
    PORCH_TRY(porch_accounts_sessions_drop(job->a, db, s->person.id, s->id, &job->ended, why));
    const porch_alert_facts facts = {PORCH_ALERT_PASSWORD, s->person.id, s->id, &job->change->from};
    PORCH_TRY(porch_accounts_alert_make(job->a, db, &facts, job->now_ms, &job->alert, why));
    return porch_accounts_trust(db, "user.password", NULL, s->person.name, job->change->from.address, why);
}

static porch_err prepare(porch_accounts *a, change_job *job, uint32_t *retry_after_s, porch_why *why) {
    const porch_password_change *c = job->change;
    PORCH_TRY(porch_step_up_demand(a, c->session, PORCH_STEP_UP_ANY, job->now_ms, why));
    PORCH_TRY(porch_accounts_password_again(a, &c->session->person, c->old_password, c->from.address,
                                            "password", job->now_ms, job->old_phc, retry_after_s, why));
    if (porch_bytes_eq_secret(c->old_password, c->new_password))
        return porch_fail(why, PORCH_ERR_USAGE, "that is the password you have; choose another one");
    return porch_accounts_password_hash(a, c->new_password, porch_bytes_of(c->session->person.name),
                                        job->new_phc, why);
}

porch_err porch_accounts_change_password(porch_accounts *a, const porch_password_change *change,
                                         uint64_t now_ms, porch_password_changed *ret,
                                         uint32_t *retry_after_s, porch_why *why) {
    change_job job = {.a = a, .change = change, .now_ms = now_ms};
    porch_password_changed done = {.ended = 0};
    *retry_after_s = 0;
    porch_err e = prepare(a, &job, retry_after_s, why);
    if (e == PORCH_OK) {
        porch_accounts_token_make(done.session, job.hash);
        e = porch_store_write(a->store, write_change, &job, why);
    }
    if (e == PORCH_OK) {
        done.ended = (unsigned)job.ended.count;
        *ret = done;
        porch_log(PORCH_LOG_INFO, "password.changed", "name", change->session->person.name, "peer",
                  change->from.address, "ended", porch_log_number(job.ended.count).text, NULL);
        porch_accounts_tell_ended(a, &job.ended);
        porch_accounts_tell_end(a, change->session->hash,
                                ""); /* its streams come back with the new cookie */
        porch_accounts_tell_alert(a, &job.alert);
    }
    free(job.ended.one);
    porch_wipe(&job, sizeof job);
    porch_wipe(&done, sizeof done);
    return e;
}
