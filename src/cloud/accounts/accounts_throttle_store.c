/* Wrong attempts on disk, so that a restart forgives none: of names at the door, and of accounts that prove
 * themselves once more while they are signed in. A known and an unknown name leave the same row, so that
 * neither the time of an answer nor a restart tells them apart; of unknown ones the newest UNKNOWN_MOST are
 * kept, so that the table cannot be filled from outside. Names are kept as hashes: people type passwords
 * into the wrong field. Addresses are counted in memory only: they are many, and whoever can restart the
 * hub at will needs no guessing. */
#include "cloud/accounts/accounts_room.h"
#include "cloud/accounts/accounts_throttle.h"
#include "crypto/sha256.h"
#include "os/log.h"

enum { UNKNOWN_MOST = 256 };

static void hash_of(porch_accounts_guarded what, uint8_t hash[32]) {
    uint8_t text[1 + PORCH_PERSON_NAME_TEXT] = {(uint8_t)what.kind};
    porch_buf b = {text + 1, 0, sizeof text - 1};
    for (const char *at = what.text; *at != '\0' && b.len < b.cap; at++)
        b.at[b.len++] = (uint8_t)*at;
    porch_sha256((porch_bytes){text, 1 + b.len}, hash);
}

static porch_throttle_key key_of(porch_bytes hash) {
    return porch_throttle_key_of('n', hash);
}

porch_throttle_subject porch_accounts_throttle_subject(const porch_accounts *a,
                                                       porch_accounts_guarded what) {
    uint8_t hash[32];
    hash_of(what, hash);
    return (porch_throttle_subject){key_of((porch_bytes){hash, sizeof hash}), a->login_free};
}

static bool read_mark(porch_accounts *a, porch_bytes hash, porch_throttle_mark *ret) {
    (void)pthread_mutex_lock(&a->throttle_lock);
    bool there = porch_throttle_read(a->throttle, key_of(hash), ret);
    (void)pthread_mutex_unlock(&a->throttle_lock);
    return there;
}

/* What nobody asks for any more. */
static porch_err sweep(const porch_accounts *a, porch_db *db, uint64_t now_ms, porch_why *why) {
    porch_db_query *q = porch_db_prepare(db, "DELETE FROM sign_in_throttle WHERE last_ms < ?1", why);
    porch_db_bind_i64(q, 1, now_ms > a->login_forget_ms ? (int64_t)(now_ms - a->login_forget_ms) : 0);
    PORCH_TRY(porch_db_execute(q, why));
    q = porch_db_prepare(db,
                         "DELETE FROM sign_in_throttle WHERE known = 0 AND hash NOT IN (SELECT hash FROM "
                         "sign_in_throttle WHERE known = 0 ORDER BY last_ms DESC LIMIT ?1)",
                         why);
    porch_db_bind_i64(q, 1, UNKNOWN_MOST);
    return porch_db_execute(q, why);
}

porch_err porch_accounts_throttle_save(porch_accounts *a, porch_db *db, porch_accounts_guarded what,
                                       bool known, porch_why *why) {
    uint8_t raw[32];
    const porch_bytes hash = {raw, sizeof raw};
    porch_throttle_mark mark = {0};
    hash_of(what, raw);
    if (!read_mark(a, hash, &mark)) return PORCH_OK; /* forgiven meanwhile */
    porch_db_query *q = porch_db_prepare(
        db,
        "INSERT INTO sign_in_throttle (hash, known, attempts, next_ms, last_ms) VALUES (?1, ?2, ?3, ?4, "
        "?5) "
        "ON CONFLICT (hash) DO UPDATE SET known = excluded.known, attempts = excluded.attempts, "
        "next_ms = excluded.next_ms, last_ms = excluded.last_ms",
        why);
    porch_db_bind_blob(q, 1, hash);
    porch_db_bind_i64(q, 2, known);
    porch_db_bind_i64(q, 3, (int64_t)mark.attempts);
    porch_db_bind_i64(q, 4, (int64_t)mark.next_ms);
    porch_db_bind_i64(q, 5, (int64_t)mark.last_ms);
    PORCH_TRY(porch_db_execute(q, why));
    return sweep(a, db, mark.last_ms, why);
}

typedef struct {
    porch_accounts *a;
    porch_accounts_guarded what;
} keep_job;

static porch_err keep(porch_db *db, void *ctx, porch_why *why) {
    const keep_job *job = ctx;
    return porch_accounts_throttle_save(job->a, db, job->what, true, why);
}

void porch_accounts_throttle_keep(porch_accounts *a, porch_accounts_guarded what) {
    keep_job job = {a, what};
    porch_why why = {{0}};
    porch_err e = porch_store_write(a->store, keep, &job, &why);
    if (e != PORCH_OK) porch_log(PORCH_LOG_WARN, "login.unkept", "reason", porch_why_text(&why, e), NULL);
}

porch_err porch_accounts_throttle_forget(porch_db *db, porch_accounts_guarded what, porch_why *why) {
    uint8_t hash[32];
    hash_of(what, hash);
    porch_db_query *q = porch_db_prepare(db, "DELETE FROM sign_in_throttle WHERE hash = ?1", why);
    porch_db_bind_blob(q, 1, (porch_bytes){hash, sizeof hash});
    return porch_db_execute(q, why);
}

static porch_err load(porch_db *db, void *ctx, porch_why *why) {
    porch_accounts *a = ctx;
    porch_db_query *q =
        porch_db_prepare(db, "SELECT hash, attempts, next_ms, last_ms FROM sign_in_throttle", why);
    porch_err e = porch_db_step(q, why);
    for (; e == PORCH_OK; e = porch_db_step(q, why)) {
        const porch_throttle_mark mark = {(uint32_t)porch_db_i64(q, 1), (uint64_t)porch_db_i64(q, 2),
                                          (uint64_t)porch_db_i64(q, 3)};
        porch_throttle_restore(a->throttle, key_of(porch_db_blob(q, 0)), &mark);
    }
    porch_db_finish(q);
    return e == PORCH_ERR_NOT_FOUND ? PORCH_OK : e;
}

porch_err porch_accounts_throttle_load(porch_accounts *a, porch_why *why) {
    return porch_store_read(a->store, load, a, why);
}
