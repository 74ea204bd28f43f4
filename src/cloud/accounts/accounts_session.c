#include "cloud/accounts/accounts_session.h"

#include <stdlib.h>
#include <string.h>

#include "cloud/accounts/accounts_room.h"
#include "os/log.h"

/* Use is remembered this coarsely, so that a page full of pictures is not a page full of writes. */
enum { SEEN_EVERY_MS = 60 * 1000 };

void porch_user_session_on_end(porch_accounts *a, porch_user_session_end_fn fn, void *ctx) {
    if (a->ended_count < PORCH_ACCOUNTS_END_OBSERVERS)
        a->ended[a->ended_count++] = (porch_accounts_observer){fn, ctx};
}

static void tell_end(porch_accounts *a, const uint8_t hash[32]) {
    for (size_t i = 0; i < a->ended_count; i++)
        a->ended[i].fn(hash, a->ended[i].ctx);
}

void porch_accounts_tell_ended(porch_accounts *a, porch_accounts_ended *ended) {
    for (size_t i = 0; i < ended->count; i++)
        tell_end(a, ended->hash[i]);
    free(ended->hash);
    *ended = (porch_accounts_ended){0};
}

/* ---- looking a session up ---- */

typedef struct {
    const porch_accounts *a;
    const uint8_t *hash;
    uint64_t now_ms;
    uint64_t seen_ms;
    porch_user_session found;
} find_job;

static bool over(const porch_accounts *a, uint64_t created_ms, uint64_t seen_ms, uint64_t now_ms) {
    if (now_ms >= created_ms && now_ms - created_ms >= a->session_life_ms) return true;
    return now_ms >= seen_ms && now_ms - seen_ms >= a->session_idle_ms;
}

static porch_err find_session(porch_db *db, void *ctx, porch_why *why) {
    find_job *job = ctx;
    porch_db_query *q =
        porch_db_prepare(db,
                         "SELECT " PORCH_ACCOUNT_COLUMNS ", session.created_ms, session.seen_ms "
                         "FROM session JOIN account ON account.id = session.account WHERE hash = ?1",
                         why);
    porch_db_bind_blob(q, 1, (porch_bytes){job->hash, 32});
    porch_err e = porch_db_step(q, why);
    if (e == PORCH_OK) e = porch_accounts_person_from(q, &job->found.person);
    if (e == PORCH_OK) {
        uint64_t created_ms = (uint64_t)porch_db_i64(q, PORCH_ACCOUNT_COLUMN_COUNT);
        job->seen_ms = (uint64_t)porch_db_i64(q, PORCH_ACCOUNT_COLUMN_COUNT + 1);
        job->found.expires_ms = created_ms + job->a->session_life_ms;
        if (over(job->a, created_ms, job->seen_ms, job->now_ms) || job->found.person.awaiting_reset)
            e = PORCH_ERR_NOT_FOUND;
    }
    porch_db_finish(q);
    return e;
}

static porch_err look_up(porch_accounts *a, const uint8_t hash[32], uint64_t now_ms, find_job *job,
                         porch_why *why) {
    *job = (find_job){.a = a, .hash = hash, .now_ms = now_ms};
    porch_err e = porch_store_read(a->store, find_session, job, why);
    if (e == PORCH_ERR_NOT_FOUND) e = porch_fail(why, PORCH_ERR_AUTH, "the sign-in is over; sign in again");
    return e;
}

typedef struct {
    const uint8_t *hash;
    uint64_t now_ms;
} touch_job;

static porch_err touch_session(porch_db *db, void *ctx, porch_why *why) {
    const touch_job *job = ctx;
    porch_db_query *q =
        porch_db_prepare(db, "UPDATE session SET seen_ms = ?2 WHERE hash = ?1 AND seen_ms < ?2", why);
    porch_db_bind_blob(q, 1, (porch_bytes){job->hash, 32});
    porch_db_bind_i64(q, 2, (int64_t)job->now_ms);
    return porch_db_execute(q, why);
}

porch_err porch_user_session_find(porch_accounts *a, porch_bytes token, uint64_t now_ms,
                                  porch_user_session *ret, porch_why *why) {
    uint8_t hash[32];
    find_job job;
    if (porch_accounts_token_hash(token, hash) != PORCH_OK)
        return porch_fail(why, PORCH_ERR_AUTH, "nobody is signed in; sign in");
    PORCH_TRY(look_up(a, hash, now_ms, &job, why));
    if (now_ms >= job.seen_ms + SEEN_EVERY_MS) {
        touch_job touch = {hash, now_ms};
        /* A disk that is full must not sign people out. */
        (void)porch_store_write(a->store, touch_session, &touch, NULL);
    }
    memcpy(job.found.hash, hash, sizeof hash);
    *ret = job.found;
    return PORCH_OK;
}

bool porch_user_session_alive(porch_accounts *a, const uint8_t hash[32], uint64_t now_ms) {
    find_job job;
    porch_err e = look_up(a, hash, now_ms, &job, NULL);
    return e == PORCH_OK || porch_err_class_of(e) != PORCH_CLASS_PEER;
}

/* ---- making and ending ---- */

static porch_err drop_where(porch_db *db, const char *select, const char *erase, const char *account,
                            int64_t number, porch_accounts_ended *ret, porch_why *why) {
    porch_db_query *q = porch_db_prepare(db, select, why);
    porch_db_bind_str(q, 1, account);
    porch_db_bind_i64(q, 2, number);
    porch_err e = porch_db_step(q, why);
    for (; e == PORCH_OK; e = porch_db_step(q, why)) {
        porch_bytes hash = porch_db_blob(q, 0);
        void *more = realloc(ret->hash, (ret->count + 1) * sizeof *ret->hash);
        if (more == NULL || hash.len != 32) {
            e = PORCH_ERR_NO_SPACE;
            if (more != NULL) ret->hash = more;
            break;
        }
        ret->hash = more;
        memcpy(ret->hash[ret->count++], hash.at, 32);
    }
    porch_db_finish(q);
    if (e != PORCH_ERR_NOT_FOUND) return e;
    q = porch_db_prepare(db, erase, why);
    porch_db_bind_str(q, 1, account);
    porch_db_bind_i64(q, 2, number);
    return porch_db_execute(q, why);
}

porch_err porch_accounts_sessions_drop(porch_db *db, const char *account, porch_accounts_ended *ret,
                                       porch_why *why) {
    return drop_where(db, "SELECT hash FROM session WHERE account = ?1 AND created_ms >= ?2",
                      "DELETE FROM session WHERE account = ?1 AND created_ms >= ?2", account, 0, ret, why);
}

porch_err porch_accounts_session_make(porch_accounts *a, porch_db *db, const char *account,
                                      const uint8_t hash[32], const char *address, uint64_t now_ms,
                                      porch_why *why) {
    /* Rows that are over are swept here: people sign in seldom, and nothing else reads them. */
    porch_db_query *q =
        porch_db_prepare(db, "DELETE FROM session WHERE created_ms <= ?1 OR seen_ms <= ?2", why);
    porch_db_bind_i64(q, 1, now_ms > a->session_life_ms ? (int64_t)(now_ms - a->session_life_ms) : 0);
    porch_db_bind_i64(q, 2, now_ms > a->session_idle_ms ? (int64_t)(now_ms - a->session_idle_ms) : 0);
    PORCH_TRY(porch_db_execute(q, why));
    q = porch_db_prepare(db,
                         "DELETE FROM session WHERE account = ?1 AND hash NOT IN "
                         "(SELECT hash FROM session WHERE account = ?1 ORDER BY seen_ms DESC LIMIT ?2)",
                         why);
    porch_db_bind_str(q, 1, account);
    porch_db_bind_i64(q, 2, (int64_t)a->sessions_max - 1);
    PORCH_TRY(porch_db_execute(q, why));
    q = porch_db_prepare(db,
                         "INSERT INTO session (hash, account, created_ms, seen_ms, address) "
                         "VALUES (?1, ?2, ?3, ?3, ?4)",
                         why);
    porch_db_bind_blob(q, 1, (porch_bytes){hash, 32});
    porch_db_bind_str(q, 2, account);
    porch_db_bind_i64(q, 3, (int64_t)now_ms);
    porch_db_bind_str(q, 4, address == NULL ? "" : address);
    PORCH_TRY(porch_db_execute(q, why));
    q = porch_db_prepare(db, "UPDATE account SET last_login_ms = ?2 WHERE id = ?1", why);
    porch_db_bind_str(q, 1, account);
    porch_db_bind_i64(q, 2, (int64_t)now_ms);
    return porch_db_execute(q, why);
}

typedef struct {
    const porch_user_session *session;
    bool gone;
} end_job;

static porch_err end_session(porch_db *db, void *ctx, porch_why *why) {
    end_job *job = ctx;
    porch_db_query *q = porch_db_prepare(db, "DELETE FROM session WHERE hash = ?1", why);
    porch_db_bind_blob(q, 1, (porch_bytes){job->session->hash, 32});
    PORCH_TRY(porch_db_execute(q, why));
    job->gone = porch_db_changes(db) > 0;
    if (!job->gone) return PORCH_OK;
    return porch_accounts_trust(db, "user.sign-out", NULL, job->session->person.name, NULL, why);
}

porch_err porch_user_session_end(porch_accounts *a, const porch_user_session *session, uint64_t now_ms,
                                 porch_why *why) {
    (void)now_ms;
    end_job job = {session, false};
    PORCH_TRY(porch_store_write(a->store, end_session, &job, why));
    tell_end(a, session->hash);
    porch_log(PORCH_LOG_INFO, "logout", "name", session->person.name, NULL);
    return PORCH_OK;
}
