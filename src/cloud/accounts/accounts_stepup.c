/* Who is signed in proves once more, with password and a fresh code, that it is they: before what a
 * borrowed phone must not do. Throttled together with signing in, so that neither helps guessing at the
 * other. */
#include <string.h>

#include "cloud/accounts/accounts_recovery.h"
#include "cloud/accounts/accounts_room.h"
#include "os/log.h"

typedef struct {
    char key[PORCH_PERSON_NAME_TEXT];
    porch_account_row row;
} row_job;

static porch_err read_row(porch_db *db, void *ctx, porch_why *why) {
    row_job *job = ctx;
    return porch_accounts_row_by_key(db, job->key, &job->row, why);
}

/* The code is asked about only after a good password, so that a wrong one spends none. */
static porch_err judge(porch_accounts *a, const porch_step_up *proof, row_job *job, uint64_t now_ms,
                       uint32_t *retry_after_s, porch_why *why) {
    char code[16];
    if (!porch_bytes_to_text(proof->code, code, sizeof code)) memcpy(code, "000000x", 8);
    PORCH_TRY(porch_store_read(a->store, read_row, job, why));
    PORCH_TRY(porch_accounts_gate_enter(a, why));
    porch_err e = porch_password_verify(job->row.password, proof->password);
    porch_accounts_gate_leave(a);
    if (e == PORCH_OK)
        e = porch_signer_totp_check(a->signer, job->row.totp_id,
                                    (porch_bytes){job->row.totp, job->row.totp_len}, code, now_ms, why);
    if (e == PORCH_ERR_LIMIT) *retry_after_s = 30;
    if (e == PORCH_ERR_AUTH || e == PORCH_ERR_EXPIRED)
        return porch_fail(why, PORCH_ERR_DENIED, "password or code is wrong, or the code was used before");
    return e;
}

porch_err porch_accounts_step_up(porch_accounts *a, const porch_step_up *proof, const char *wish,
                                 uint64_t now_ms, uint32_t *retry_after_s, porch_why *why) {
    row_job job = {.key = ""};
    porch_why own = {{0}};
    porch_err e;
    porch_accounts_name_key(porch_bytes_of(proof->person->name), job.key);
    porch_throttle_subject subjects[2] = {
        {porch_throttle_key_of('a', porch_bytes_of(job.key)), a->login_free},
        {porch_throttle_key_of_address(proof->address), a->address_free},
    };
    *retry_after_s = porch_accounts_throttle_begin(a, subjects, 2, now_ms);
    if (*retry_after_s > 0) {
        e = porch_fail(&own, PORCH_ERR_LIMIT, "too many attempts; wait %u seconds", *retry_after_s);
    } else {
        e = judge(a, proof, &job, now_ms, retry_after_s, &own);
        if (e == PORCH_OK)
            porch_accounts_throttle_good(a, subjects, 2);
        else if (e != PORCH_ERR_DENIED)
            porch_accounts_throttle_undo(a, subjects, 2);
    }
    if (e != PORCH_OK) {
        porch_log(PORCH_LOG_WARN, "step-up.refused", "name", proof->person->name, "peer", proof->address,
                  "wish", wish, "error", porch_err_name(e), "reason", porch_why_text(&own, e), NULL);
        (void)porch_fail(why, e, "%s", porch_why_text(&own, e));
    }
    porch_wipe(&job, sizeof job);
    return e;
}
