#include "cloud/accounts/accounts_stepup.h"

#include <string.h>

#include "cloud/accounts/accounts_recovery.h"
#include "cloud/accounts/accounts_room.h"
#include "os/log.h"

/* ---- is it fresh? ---- */

uint32_t porch_step_up_left_s(const porch_accounts *a, const porch_user_session *s, uint64_t now_ms) {
    /* A proof from the future was given before the clock was set back: it is not counted. */
    if (s->proved_by == PORCH_PROOF_NONE || now_ms < s->proved_ms) return 0;
    uint64_t age_ms = now_ms - s->proved_ms;
    return age_ms >= a->step_up_ms ? 0 : (uint32_t)((a->step_up_ms - age_ms + 999) / 1000);
}

porch_err porch_step_up_demand(const porch_accounts *a, const porch_user_session *s,
                               porch_step_up_need need, uint64_t now_ms, porch_why *why) {
    bool fresh = porch_step_up_left_s(a, s, now_ms) > 0;
    /* Said before a proof is given: a recovery code would be spent for nothing. */
    if (need == PORCH_STEP_UP_AUTHENTICATOR && (!fresh || s->proved_by != PORCH_PROOF_CODE))
        return porch_fail(why, PORCH_ERR_STEP_UP_APP,
                          "prove once more that it is you, with a fresh code from the authenticator app; a "
                          "recovery code is not enough");
    return fresh ? PORCH_OK
                 : porch_fail(why, PORCH_ERR_STEP_UP, "prove once more that it is you, with a fresh code");
}

/* ---- proving it ---- */

typedef struct {
    const porch_user_session *session;
    uint64_t now_ms;
    char key[PORCH_PERSON_NAME_TEXT];
    porch_account_row row;
    bool recovery;
    uint8_t recovery_hash[32];
} proof_job;

static porch_err read_row(porch_db *db, void *ctx, porch_why *why) {
    proof_job *job = ctx;
    return porch_accounts_row_by_key(db, job->key, &job->row, why);
}

static porch_err write_proof(porch_db *db, void *ctx, porch_why *why) {
    proof_job *job = ctx;
    if (job->recovery) PORCH_TRY(porch_accounts_recovery_spend(db, job->recovery_hash, job->now_ms, why));
    porch_db_query *q =
        porch_db_prepare(db, "UPDATE session SET proved_ms = ?2, proved_by = ?3 WHERE hash = ?1", why);
    porch_db_bind_blob(q, 1, (porch_bytes){job->session->hash, 32});
    porch_db_bind_i64(q, 2, (int64_t)job->now_ms);
    porch_db_bind_str(q, 3, job->recovery ? "recovery" : "code");
    PORCH_TRY(porch_db_execute(q, why));
    if (porch_db_changes(db) == 0)
        return porch_fail(why, PORCH_ERR_CLOSED, "the sign-in is over; sign in again");
    return porch_accounts_throttle_forget(db, porch_accounts_signed_in(job->session->person.id), why);
}

/* AUTH, EXPIRED, LIMIT: not right. CLOSED: right, but the session is gone. */
static porch_err judge(porch_accounts *a, proof_job *job, porch_bytes code, porch_why *why) {
    char digits[16];
    PORCH_TRY(porch_store_read(a->store, read_row, job, why));
    job->recovery = porch_accounts_recovery_hash(job->row.person.id, code, job->recovery_hash);
    if (!job->recovery) {
        if (!porch_bytes_to_text(code, digits, sizeof digits)) memcpy(digits, "000000x", 8);
        PORCH_TRY(porch_signer_totp_check(a->signer, job->row.totp_id,
                                          (porch_bytes){job->row.totp, job->row.totp_len}, digits,
                                          job->now_ms, why));
    }
    return porch_store_write(a->store, write_proof, job, why);
}

static porch_err take(porch_accounts *a, proof_job *job, porch_bytes code, const char *address,
                      uint32_t *retry_after_s, porch_why *why) {
    const porch_accounts_guarded guarded = porch_accounts_signed_in(job->session->person.id);
    porch_throttle_subject subjects[2] = {
        porch_accounts_throttle_subject(a, guarded),
        {porch_throttle_key_of_address(address), a->address_free},
    };
    *retry_after_s = porch_accounts_throttle_begin(a, subjects, 2, job->now_ms);
    if (*retry_after_s > 0)
        return porch_fail(why, PORCH_ERR_LIMIT, "too many attempts; wait %u seconds", *retry_after_s);
    porch_err e = judge(a, job, code, why);
    if (e == PORCH_OK) {
        porch_accounts_throttle_good(a, subjects, 2);
        return e;
    }
    if (e == PORCH_ERR_CLOSED) return porch_fail(why, PORCH_ERR_AUTH, "the sign-in is over; sign in again");
    if (e == PORCH_ERR_AUTH || e == PORCH_ERR_EXPIRED || e == PORCH_ERR_LIMIT) {
        porch_accounts_throttle_keep(a, guarded);
        if (e == PORCH_ERR_LIMIT) {
            *retry_after_s = PORCH_ACCOUNTS_SIGNER_WAIT_S;
            return e;
        }
        return porch_fail(why, PORCH_ERR_DENIED, "the code is wrong or was used before; take the next one");
    }
    porch_accounts_throttle_undo(a, subjects, 2);
    return e;
}

porch_err porch_step_up(porch_accounts *a, const porch_user_session *s, porch_bytes code,
                        const char *address, uint64_t now_ms, uint32_t *retry_after_s, porch_why *why) {
    proof_job job = {.session = s, .now_ms = now_ms};
    porch_why own = {{0}};
    porch_accounts_name_key(porch_bytes_of(s->person.name), job.key);
    porch_err e = take(a, &job, code, address, retry_after_s, &own);
    if (e == PORCH_OK) {
        porch_log(PORCH_LOG_INFO, "step-up.accepted", "name", s->person.name, "peer", address, "by",
                  job.recovery ? "recovery code" : "code", NULL);
    } else {
        porch_log(PORCH_LOG_WARN, "step-up.refused", "name", s->person.name, "peer", address, "error",
                  porch_err_name(e), "reason", porch_why_text(&own, e), NULL);
        (void)porch_fail(why, e, "%s", porch_why_text(&own, e));
    }
    porch_wipe(&job, sizeof job);
    return e;
}
