/* Wrong attempts of names, on disk: a row a known account and one for all unknown names together, so that
 * the table cannot be filled from outside and a known name costs the same write as an unknown one.
 * Addresses are kept in memory only: they are many, and whoever can restart the hub at will needs no
 * guessing. */
#include "cloud/accounts/accounts_room.h"
#include "cloud/accounts/accounts_throttle.h"
#include "os/log.h"

static bool read_mark(porch_accounts *a, const char *name_key, porch_throttle_mark *ret) {
    (void)pthread_mutex_lock(&a->throttle_lock);
    bool there =
        porch_throttle_read(a->throttle, porch_throttle_key_of('a', porch_bytes_of(name_key)), ret);
    (void)pthread_mutex_unlock(&a->throttle_lock);
    return there;
}

porch_err porch_accounts_throttle_save(porch_accounts *a, porch_db *db, const char *name_key, bool known,
                                       porch_why *why) {
    porch_throttle_mark mark = {0};
    if (!read_mark(a, name_key, &mark)) return PORCH_OK; /* forgiven meanwhile */
    porch_db_query *q = porch_db_prepare(
        db,
        "INSERT INTO sign_in_throttle (name_key, attempts, next_ms, last_ms) "
        "VALUES (?1, ?2, ?3, ?4) ON CONFLICT (name_key) DO UPDATE SET "
        "attempts = excluded.attempts, next_ms = excluded.next_ms, last_ms = excluded.last_ms",
        why);
    porch_db_bind_str(q, 1, known ? name_key : "");
    porch_db_bind_i64(q, 2, (int64_t)mark.attempts);
    porch_db_bind_i64(q, 3, (int64_t)mark.next_ms);
    porch_db_bind_i64(q, 4, (int64_t)mark.last_ms);
    PORCH_TRY(porch_db_execute(q, why));
    q = porch_db_prepare(db, "DELETE FROM sign_in_throttle WHERE last_ms < ?1", why);
    porch_db_bind_i64(q, 1,
                      mark.last_ms > a->login_forget_ms ? (int64_t)(mark.last_ms - a->login_forget_ms) : 0);
    return porch_db_execute(q, why);
}

typedef struct {
    porch_accounts *a;
    const char *name_key;
} keep_job;

static porch_err keep(porch_db *db, void *ctx, porch_why *why) {
    const keep_job *job = ctx;
    return porch_accounts_throttle_save(job->a, db, job->name_key, true, why);
}

void porch_accounts_throttle_keep(porch_accounts *a, const char *name_key) {
    keep_job job = {a, name_key};
    porch_why why = {{0}};
    porch_err e = porch_store_write(a->store, keep, &job, &why);
    if (e != PORCH_OK) porch_log(PORCH_LOG_WARN, "login.unkept", "reason", porch_why_text(&why, e), NULL);
}

porch_err porch_accounts_throttle_forget(porch_db *db, const char *name_key, porch_why *why) {
    porch_db_query *q = porch_db_prepare(db, "DELETE FROM sign_in_throttle WHERE name_key = ?1", why);
    porch_db_bind_str(q, 1, name_key);
    return porch_db_execute(q, why);
}

static porch_err load(porch_db *db, void *ctx, porch_why *why) {
    porch_accounts *a = ctx;
    porch_db_query *q = porch_db_prepare(
        db, "SELECT name_key, attempts, next_ms, last_ms FROM sign_in_throttle WHERE name_key <> ''", why);
    porch_err e = porch_db_step(q, why);
    for (; e == PORCH_OK; e = porch_db_step(q, why)) {
        const porch_throttle_mark mark = {(uint32_t)porch_db_i64(q, 1), (uint64_t)porch_db_i64(q, 2),
                                          (uint64_t)porch_db_i64(q, 3)};
        porch_throttle_restore(a->throttle, porch_throttle_key_of('a', porch_db_text(q, 0)), &mark);
    }
    porch_db_finish(q);
    return e == PORCH_ERR_NOT_FOUND ? PORCH_OK : e;
}

porch_err porch_accounts_throttle_load(porch_accounts *a, porch_why *why) {
    return porch_store_read(a->store, load, a, why);
}
