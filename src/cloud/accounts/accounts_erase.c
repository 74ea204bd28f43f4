#include "cloud/accounts/accounts_erase.h"

#include <stdlib.h>

#include "base/text.h"
#include "cloud/accounts/accounts_room.h"
#include "cloud/trust/trust_erase.h"

typedef struct {
    porch_accounts *a;
    const char *household;
    porch_accounts_ended ended;
} erase_job;

/* Tables that hang on an account lose their rows with it (on delete cascade); links have none to hang on
 * when they were made before it. */
static porch_err erase_one(porch_db *db, erase_job *job, const char *key, const porch_account_row *row,
                           porch_why *why) {
    static const char *const gone[] = {"DELETE FROM setup_link WHERE account = ?1",
                                       "DELETE FROM account WHERE id = ?1"};
    PORCH_TRY(porch_trust_erasure_note(db, job->household, "user", row->person.name, why));
    PORCH_TRY(porch_trust_erasure_note(db, job->household, "account", row->totp_id, why));
    PORCH_TRY(porch_accounts_sessions_drop(job->a, db, row->person.id, "", &job->ended, why));
    PORCH_TRY(porch_accounts_throttle_forget(db, porch_accounts_at_the_door(key), why));
    PORCH_TRY(porch_accounts_throttle_forget(db, porch_accounts_signed_in(row->person.id), why));
    for (size_t i = 0; i < sizeof gone / sizeof gone[0]; i++) {
        porch_db_query *q = porch_db_prepare(db, gone[i], why);
        porch_db_bind_str(q, 1, row->person.id);
        PORCH_TRY(porch_db_execute(q, why));
    }
    return PORCH_OK;
}

static porch_err next_key(porch_db *db, const char *household, char key[PORCH_PERSON_NAME_TEXT],
                          porch_why *why) {
    porch_db_query *q =
        porch_db_prepare(db, "SELECT name_key FROM account WHERE household = ?1 LIMIT 1", why);
    porch_db_bind_str(q, 1, household);
    porch_err e = porch_db_step(q, why);
    if (e == PORCH_OK && !porch_bytes_to_text(porch_db_text(q, 0), key, PORCH_PERSON_NAME_TEXT))
        e = PORCH_ERR_DATABASE;
    porch_db_finish(q);
    return e;
}

static porch_err erase_all(porch_db *db, void *ctx, porch_why *why) {
    erase_job *job = ctx;
    char key[PORCH_PERSON_NAME_TEXT];
    porch_account_row row;
    porch_err e;
    free(job->ended.one);
    job->ended = (porch_accounts_ended){0};
    while ((e = next_key(db, job->household, key, why)) == PORCH_OK) {
        e = porch_accounts_row_by_key(db, key, &row, why);
        if (e == PORCH_OK) e = erase_one(db, job, key, &row, why);
        porch_wipe(&row, sizeof row);
        if (e != PORCH_OK) return e;
    }
    if (e != PORCH_ERR_NOT_FOUND) return e;
    porch_db_query *q = porch_db_prepare(
        db, "DELETE FROM setup_link WHERE purpose IN ('owner', 'invite') AND household = ?1", why);
    porch_db_bind_str(q, 1, job->household);
    return porch_db_execute(q, why);
}

porch_err porch_accounts_erase(porch_accounts *a, const char *household, porch_why *why) {
    erase_job job = {.a = a, .household = household};
    porch_err e = porch_store_write(a->store, erase_all, &job, why);
    if (e == PORCH_OK)
        porch_accounts_tell_ended(a, &job.ended);
    else
        free(job.ended.one);
    return e;
}
