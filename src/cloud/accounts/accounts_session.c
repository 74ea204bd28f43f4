#include "cloud/accounts/accounts_session.h"

#include <string.h>

#include "cloud/accounts/accounts_room.h"
#include "crypto/random.h"
#include "os/log.h"

/* Use is remembered this coarsely, so that a page full of pictures is not a page full of writes. */
enum { SEEN_EVERY_MS = 60 * 1000 };

void porch_user_session_in_end(porch_accounts *a, porch_sign_ins_end_fn fn, void *ctx) {
    a->end_in_write = fn;
    a->end_in_write_ctx = ctx;
}

void porch_user_session_on_end(porch_accounts *a, porch_user_session_end_fn fn, void *ctx) {
    if (a->ended_count < PORCH_ACCOUNTS_END_OBSERVERS)
        a->ended[a->ended_count++] = (porch_accounts_observer){fn, ctx};
}

void porch_accounts_tell_end(porch_accounts *a, const uint8_t hash[32], const char *id) {
    for (size_t i = 0; i < a->ended_count; i++)
        a->ended[i].fn(hash, id, a->ended[i].ctx);
}

/* ---- looking a session up ---- */

/* How long a session of this kind may live and lie idle. */
static uint64_t life_ms(const porch_accounts *a, bool installed) {
    return installed ? a->installed_life_ms : a->session_life_ms;
}

static uint64_t idle_ms(const porch_accounts *a, bool installed) {
    return installed ? a->installed_idle_ms : a->session_idle_ms;
}

uint64_t porch_accounts_session_expires(const porch_accounts *a, bool installed, uint64_t created_ms) {
    return created_ms + life_ms(a, installed);
}

/* What was signed in at a time that has not come yet would live until it has, and its life on top. */
enum { AHEAD_MOST_MS = 3600 * 1000 };

bool porch_accounts_session_over(const porch_accounts *a, bool installed, uint64_t created_ms,
                                 uint64_t seen_ms, uint64_t now_ms) {
    if (created_ms > now_ms + AHEAD_MOST_MS || seen_ms > now_ms + AHEAD_MOST_MS) return true;
    if (now_ms >= created_ms && now_ms - created_ms >= life_ms(a, installed)) return true;
    return now_ms >= seen_ms && now_ms - seen_ms >= idle_ms(a, installed);
}

typedef struct {
    const porch_accounts *a;
    const uint8_t *hash;
    uint64_t now_ms;
    uint64_t seen_ms;
    porch_user_session found;
} find_job;

static porch_proof proof_of(porch_bytes text) {
    if (porch_bytes_eq_text(text, "code")) return PORCH_PROOF_CODE;
    return porch_bytes_eq_text(text, "recovery") ? PORCH_PROOF_RECOVERY : PORCH_PROOF_NONE;
}

static porch_err read_session(porch_db_query *q, find_job *job) {
    const int at = PORCH_ACCOUNT_COLUMN_COUNT;
    porch_user_session *s = &job->found;
    porch_err e = porch_accounts_person_from(q, &s->person);
    if (e != PORCH_OK) return e;
    s->created_ms = (uint64_t)porch_db_i64(q, at);
    job->seen_ms = (uint64_t)porch_db_i64(q, at + 1);
    s->installed = porch_db_i64(q, at + 2) != 0;
    s->proved_ms = (uint64_t)porch_db_i64(q, at + 3);
    s->proved_by = proof_of(porch_db_text(q, at + 4));
    s->expires_ms = porch_accounts_session_expires(job->a, s->installed, s->created_ms);
    if (!porch_bytes_to_text(porch_db_text(q, at + 5), s->id, sizeof s->id)) return PORCH_ERR_DATABASE;
    bool over = porch_accounts_session_over(job->a, s->installed, s->created_ms, job->seen_ms, job->now_ms);
    if (over || s->person.awaiting_reset || porch_accounts_expired(&s->person, job->now_ms))
        return PORCH_ERR_NOT_FOUND;
    return PORCH_OK;
}

static porch_err find_session(porch_db *db, void *ctx, porch_why *why) {
    find_job *job = ctx;
    porch_db_query *q = porch_db_prepare(
        db,
        "SELECT " PORCH_ACCOUNT_COLUMNS ", session.created_ms, session.seen_ms, session.installed, "
        "session.proved_ms, session.proved_by, session.id "
        "FROM session JOIN account ON account.id = session.account WHERE hash = ?1",
        why);
    porch_db_bind_blob(q, 1, (porch_bytes){job->hash, 32});
    porch_err e = porch_db_step(q, why);
    if (e == PORCH_OK) e = read_session(q, job);
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

static porch_err sweep_kind(const porch_accounts *a, porch_db *db, bool installed, uint64_t now_ms,
                            porch_why *why) {
    uint64_t life = life_ms(a, installed), idle = idle_ms(a, installed);
    porch_db_query *q = porch_db_prepare(
        db, "DELETE FROM session WHERE installed = ?1 AND (created_ms <= ?2 OR seen_ms <= ?3)", why);
    porch_db_bind_i64(q, 1, installed);
    porch_db_bind_i64(q, 2, now_ms > life ? (int64_t)(now_ms - life) : 0);
    porch_db_bind_i64(q, 3, now_ms > idle ? (int64_t)(now_ms - idle) : 0);
    return porch_db_execute(q, why);
}

porch_err porch_accounts_session_make(porch_accounts *a, porch_db *db, const char *account,
                                      const uint8_t hash[32], const porch_sign_in_from *from,
                                      porch_proof proof, uint64_t now_ms, porch_accounts_ended *ended,
                                      char id[PORCH_SESSION_ID_TEXT], porch_why *why) {
    char agent[PORCH_AGENT_TEXT];
    porch_agent_read(from->agent, agent);
    porch_random_id(id);
    /* Rows that are over are swept here: people sign in seldom, and nothing else reads them. */
    PORCH_TRY(sweep_kind(a, db, false, now_ms, why));
    PORCH_TRY(sweep_kind(a, db, true, now_ms, why));
    PORCH_TRY(porch_accounts_sessions_keep(a, db, account, a->sessions_max - 1, ended, why));
    porch_db_query *q = porch_db_prepare(
        db,
        "INSERT INTO session (hash, account, created_ms, seen_ms, address, id, agent, installed, "
        "proved_ms, proved_by) VALUES (?1, ?2, ?3, ?3, ?4, ?5, ?6, ?7, ?3, ?8)",
        why);
    porch_db_bind_blob(q, 1, (porch_bytes){hash, 32});
    porch_db_bind_str(q, 2, account);
    porch_db_bind_i64(q, 3, (int64_t)now_ms);
    porch_db_bind_str(q, 4, from->address == NULL ? "" : from->address);
    porch_db_bind_str(q, 5, id);
    porch_db_bind_str(q, 6, agent);
    porch_db_bind_i64(q, 7, from->installed);
    porch_db_bind_str(q, 8, proof == PORCH_PROOF_RECOVERY ? "recovery" : "code");
    PORCH_TRY(porch_db_execute(q, why));
    q = porch_db_prepare(db, "UPDATE account SET last_login_ms = ?2 WHERE id = ?1", why);
    porch_db_bind_str(q, 1, account);
    porch_db_bind_i64(q, 2, (int64_t)now_ms);
    return porch_db_execute(q, why);
}

typedef struct {
    porch_accounts *a;
    const porch_user_session *session;
    bool gone;
} end_job;

static porch_err end_session(porch_db *db, void *ctx, porch_why *why) {
    end_job *job = ctx;
    porch_db_query *q = porch_db_prepare(db, "DELETE FROM session WHERE hash = ?1", why);
    porch_db_bind_blob(q, 1, (porch_bytes){job->session->hash, 32});
    PORCH_TRY(porch_db_execute(q, why));
    job->gone = porch_db_changes(db) > 0;
    PORCH_TRY(porch_accounts_end_also(job->a, db, job->session->person.id, job->session->id, "", why));
    if (!job->gone) return PORCH_OK;
    return porch_accounts_trust(db, "user.sign-out", NULL, job->session->person.name, NULL, why);
}

porch_err porch_user_session_end(porch_accounts *a, const porch_user_session *session, uint64_t now_ms,
                                 porch_why *why) {
    (void)now_ms;
    end_job job = {a, session, false};
    PORCH_TRY(porch_store_write(a->store, end_session, &job, why));
    porch_accounts_tell_end(a, session->hash, session->id);
    porch_log(PORCH_LOG_INFO, "logout", "name", session->person.name, NULL);
    return PORCH_OK;
}
