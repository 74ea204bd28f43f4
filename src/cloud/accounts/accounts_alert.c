#include "cloud/accounts/accounts_alert.h"

#include <stdlib.h>
#include <string.h>

#include "cloud/accounts/accounts_room.h"
#include "crypto/random.h"
#include "os/log.h"

static const char *const KINDS[] = {
    [PORCH_ALERT_SIGN_IN] = "sign-in",
    [PORCH_ALERT_HALF] = "half",
    [PORCH_ALERT_PASSWORD] = "password",
    [PORCH_ALERT_RECOVERY_CODES] = "recovery-codes",
};
static const char *const ANSWERS[] = {
    [PORCH_ALERT_OPEN] = "", [PORCH_ALERT_MINE] = "mine", [PORCH_ALERT_NOT_MINE] = "not-mine"};

const char *porch_alert_kind_text(porch_alert_kind kind) {
    return KINDS[kind];
}

const char *porch_alert_answer_text(porch_alert_answer answer) {
    return ANSWERS[answer];
}

void porch_alert_on_new(porch_accounts *a, porch_alert_write_fn in_write, porch_alert_each_fn told,
                        void *ctx) {
    a->alert_in_write = in_write;
    a->alert_told = told;
    a->alert_ctx = ctx;
}

void porch_accounts_tell_alert(porch_accounts *a, const porch_alert *alert) {
    if (alert->id[0] != '\0' && a->alert_told != NULL) a->alert_told(alert, a->alert_ctx);
}

/* ---- making them ---- */

/* One more of what the person was told of already. */
static porch_err join(porch_accounts *a, porch_db *db, const porch_alert *alert, bool *joined,
                      porch_why *why) {
    uint64_t since_ms = alert->at_ms > a->alert_join_ms ? alert->at_ms - a->alert_join_ms : 0;
    porch_db_query *q = porch_db_prepare(
        db,
        "UPDATE alert SET count = count + 1, last_ms = max(last_ms, ?4) WHERE account = ?1 AND kind = ?2 "
        "AND address = ?3 AND answer = '' AND last_ms > ?5",
        why);
    porch_db_bind_str(q, 1, alert->account);
    porch_db_bind_str(q, 2, KINDS[alert->kind]);
    porch_db_bind_str(q, 3, alert->address);
    porch_db_bind_i64(q, 4, (int64_t)alert->at_ms);
    porch_db_bind_i64(q, 5, (int64_t)since_ms);
    PORCH_TRY(porch_db_execute(q, why));
    *joined = porch_db_changes(db) > 0;
    return PORCH_OK;
}

static porch_err insert(const porch_accounts *a, porch_db *db, const porch_alert *alert, porch_why *why) {
    porch_db_query *q =
        porch_db_prepare(db,
                         "INSERT INTO alert (id, account, kind, at_ms, last_ms, address, agent, session) "
                         "VALUES (?1, ?2, ?3, ?4, ?4, ?5, ?6, ?7)",
                         why);
    porch_db_bind_str(q, 1, alert->id);
    porch_db_bind_str(q, 2, alert->account);
    porch_db_bind_str(q, 3, KINDS[alert->kind]);
    porch_db_bind_i64(q, 4, (int64_t)alert->at_ms);
    porch_db_bind_str(q, 5, alert->address);
    porch_db_bind_str(q, 6, alert->agent);
    porch_db_bind_str(q, 7, alert->session);
    PORCH_TRY(porch_db_execute(q, why));
    /* Half-finished ones anybody who has the password can make: they have half of the places, so that a
     * flood of them does not wash out the sign-in that matters. */
    bool half = alert->kind == PORCH_ALERT_HALF;
    q = porch_db_prepare(
        db,
        "DELETE FROM alert WHERE account = ?1 AND (kind = 'half') = ?3 AND id NOT IN (SELECT id FROM alert "
        "WHERE account = ?1 AND (kind = 'half') = ?3 ORDER BY at_ms DESC, id LIMIT ?2)",
        why);
    porch_db_bind_str(q, 1, alert->account);
    porch_db_bind_i64(q, 2, (int64_t)(half ? a->alerts_max / 2 : a->alerts_max - a->alerts_max / 2));
    porch_db_bind_i64(q, 3, half);
    return porch_db_execute(q, why);
}

porch_err porch_accounts_alert_make(porch_accounts *a, porch_db *db, const porch_alert_facts *facts,
                                    uint64_t now_ms, porch_alert *ret, porch_why *why) {
    porch_alert alert = {.kind = facts->kind, .at_ms = now_ms, .last_ms = now_ms, .count = 1};
    bool joined = false;
    *ret = (porch_alert){.id = ""};
    (void)porch_bytes_to_text(porch_bytes_of(facts->account), alert.account, sizeof alert.account);
    (void)porch_bytes_to_text(porch_bytes_of(facts->session), alert.session, sizeof alert.session);
    (void)porch_bytes_to_text(porch_bytes_of(facts->from->address), alert.address, sizeof alert.address);
    porch_agent_read(facts->from->agent, alert.agent);
    alert.session_lives = alert.session[0] != '\0';
    if (alert.kind == PORCH_ALERT_HALF) PORCH_TRY(join(a, db, &alert, &joined, why));
    if (joined) return PORCH_OK;
    porch_random_id(alert.id);
    PORCH_TRY(insert(a, db, &alert, why));
    if (a->alert_in_write != NULL) PORCH_TRY(a->alert_in_write(db, &alert, a->alert_ctx, why));
    *ret = alert;
    return PORCH_OK;
}

/* ---- seeing them ---- */

typedef struct {
    const porch_user_session *own;
    porch_alert_each_fn fn;
    void *ctx;
    uint32_t most;
} list_job;

static size_t index_of(const char *const *list, size_t count, porch_bytes text) {
    for (size_t i = 0; i < count; i++)
        if (porch_bytes_eq_text(text, list[i])) return i;
    return 0;
}

#define ALERT_COLUMNS                                                                                    \
    "id, kind, answer, at_ms, last_ms, count, address, agent, session, exists (SELECT 1 FROM session s " \
    "WHERE s.id = alert.session AND s.account = alert.account)"

static void read_alert(porch_db_query *q, const porch_user_session *own, porch_alert *ret) {
    (void)porch_bytes_to_text(porch_db_text(q, 0), ret->id, sizeof ret->id);
    ret->kind = (porch_alert_kind)index_of(KINDS, sizeof KINDS / sizeof *KINDS, porch_db_text(q, 1));
    ret->answer =
        (porch_alert_answer)index_of(ANSWERS, sizeof ANSWERS / sizeof *ANSWERS, porch_db_text(q, 2));
    ret->at_ms = (uint64_t)porch_db_i64(q, 3);
    ret->last_ms = (uint64_t)porch_db_i64(q, 4);
    ret->count = (uint32_t)porch_db_i64(q, 5);
    (void)porch_bytes_to_text(porch_db_text(q, 6), ret->address, sizeof ret->address);
    (void)porch_bytes_to_text(porch_db_text(q, 7), ret->agent, sizeof ret->agent);
    (void)porch_bytes_to_text(porch_db_text(q, 8), ret->session, sizeof ret->session);
    ret->session_lives = porch_db_i64(q, 9) != 0;
    ret->own = strcmp(ret->session, own->id) == 0;
    memcpy(ret->account, own->person.id, sizeof ret->account);
}

static porch_err list_alerts(porch_db *db, void *ctx, porch_why *why) {
    list_job *job = ctx;
    porch_db_query *q =
        porch_db_prepare(db,
                         "SELECT " ALERT_COLUMNS " FROM alert WHERE account = ?1 ORDER BY at_ms DESC, id "
                         "LIMIT ?2",
                         why);
    porch_db_bind_str(q, 1, job->own->person.id);
    porch_db_bind_i64(q, 2, (int64_t)job->most);
    porch_err e = porch_db_step(q, why);
    for (; e == PORCH_OK; e = porch_db_step(q, why)) {
        porch_alert alert = {.id = ""};
        read_alert(q, job->own, &alert);
        job->fn(&alert, job->ctx);
    }
    porch_db_finish(q);
    return e == PORCH_ERR_NOT_FOUND ? PORCH_OK : e;
}

porch_err porch_alert_list(porch_accounts *a, const porch_user_session *own, porch_alert_each_fn fn,
                           void *ctx, porch_why *why) {
    list_job job = {own, fn, ctx, a->alerts_max};
    return porch_store_read(a->store, list_alerts, &job, why);
}

/* ---- answering ---- */

typedef struct {
    porch_accounts *a;
    const porch_user_session *own;
    const char *id, *address;
    bool mine;
    porch_accounts_ended ended;
} answer_job;

static porch_err read_one(porch_db *db, const answer_job *job, porch_alert *ret, porch_why *why) {
    porch_db_query *q =
        porch_db_prepare(db, "SELECT " ALERT_COLUMNS " FROM alert WHERE id = ?1 AND account = ?2", why);
    porch_db_bind_str(q, 1, job->id);
    porch_db_bind_str(q, 2, job->own->person.id);
    porch_err e = porch_db_step(q, why);
    if (e == PORCH_OK) read_alert(q, job->own, ret);
    porch_db_finish(q);
    return e == PORCH_ERR_NOT_FOUND ? porch_fail(why, e, "you have no alert by that id") : e;
}

static porch_err write_answer(porch_db *db, void *ctx, porch_why *why) {
    answer_job *job = ctx;
    porch_alert alert = {.id = ""};
    PORCH_TRY(read_one(db, job, &alert, why));
    if (alert.own)
        return porch_fail(why, PORCH_ERR_STATE,
                          "this alert is about the sign-in that you are using; answer it from another one");
    if (alert.answer != PORCH_ALERT_OPEN)
        return porch_fail(why, PORCH_ERR_STATE, "this alert was answered already");
    porch_db_query *q = porch_db_prepare(db, "UPDATE alert SET answer = ?2 WHERE id = ?1", why);
    porch_db_bind_str(q, 1, job->id);
    porch_db_bind_str(q, 2, ANSWERS[job->mine ? PORCH_ALERT_MINE : PORCH_ALERT_NOT_MINE]);
    PORCH_TRY(porch_db_execute(q, why));
    if (job->mine) return PORCH_OK;
    if (alert.session[0] != '\0')
        PORCH_TRY(
            porch_accounts_session_drop(job->a, db, job->own->person.id, alert.session, &job->ended, why));
    return porch_accounts_trust(db, "user.not-mine", NULL, job->own->person.name, job->address, why);
}

porch_err porch_alert_give_answer(porch_accounts *a, const porch_user_session *own, const char *id,
                                  bool mine, const char *address, bool *ended, porch_why *why) {
    answer_job job = {.a = a, .own = own, .id = id, .address = address, .mine = mine};
    porch_err e = porch_store_write(a->store, write_answer, &job, why);
    if (e == PORCH_OK) {
        *ended = job.ended.count > 0;
        porch_log(mine ? PORCH_LOG_INFO : PORCH_LOG_WARN, "alert.answered", "name", own->person.name,
                  "peer", address, "answer", mine ? "mine" : "not mine", NULL);
        porch_accounts_tell_ended(a, &job.ended);
    }
    free(job.ended.one);
    return e;
}
