/* A person's other sign-ins: seeing them, and ending one, all others, or all. */
#include <stdlib.h>
#include <string.h>

#include "cloud/accounts/accounts_room.h"
#include "cloud/accounts/accounts_session.h"
#include "os/log.h"

/* ---- seeing them ---- */

typedef struct {
    const porch_accounts *a;
    const porch_user_session *own;
    uint64_t now_ms;
    porch_user_session_each_fn fn;
    void *ctx;
} list_job;

static void read_row(porch_db_query *q, const list_job *job, porch_user_session_row *row) {
    (void)porch_bytes_to_text(porch_db_text(q, 0), row->id, sizeof row->id);
    (void)porch_bytes_to_text(porch_db_text(q, 1), row->address, sizeof row->address);
    (void)porch_bytes_to_text(porch_db_text(q, 2), row->agent, sizeof row->agent);
    row->installed = porch_db_i64(q, 3) != 0;
    row->created_ms = (uint64_t)porch_db_i64(q, 4);
    row->seen_ms = (uint64_t)porch_db_i64(q, 5);
    row->expires_ms = porch_accounts_session_expires(job->a, row->installed, row->created_ms);
    row->own = strcmp(row->id, job->own->id) == 0;
}

static porch_err list_sessions(porch_db *db, void *ctx, porch_why *why) {
    list_job *job = ctx;
    porch_db_query *q = porch_db_prepare(
        db,
        "SELECT id, address, agent, installed, created_ms, seen_ms FROM session WHERE account = ?1 "
        "ORDER BY seen_ms DESC, created_ms DESC LIMIT ?2",
        why);
    porch_db_bind_str(q, 1, job->own->person.id);
    porch_db_bind_i64(q, 2, (int64_t)job->a->sessions_max);
    porch_err e = porch_db_step(q, why);
    for (; e == PORCH_OK; e = porch_db_step(q, why)) {
        porch_user_session_row row = {0};
        read_row(q, job, &row);
        if (!porch_accounts_session_over(job->a, row.installed, row.created_ms, row.seen_ms, job->now_ms))
            job->fn(&row, job->ctx);
    }
    porch_db_finish(q);
    return e == PORCH_ERR_NOT_FOUND ? PORCH_OK : e;
}

porch_err porch_user_session_list(porch_accounts *a, const porch_user_session *own, uint64_t now_ms,
                                  porch_user_session_each_fn fn, void *ctx, porch_why *why) {
    list_job job = {a, own, now_ms, fn, ctx};
    return porch_store_read(a->store, list_sessions, &job, why);
}

porch_err porch_accounts_session_there(porch_db *db, const porch_user_session *session, porch_why *why) {
    porch_db_query *q = porch_db_prepare(db, "SELECT 1 FROM session WHERE hash = ?1", why);
    porch_db_bind_blob(q, 1, (porch_bytes){session->hash, sizeof session->hash});
    porch_err e = porch_db_step(q, why);
    porch_db_finish(q);
    return e == PORCH_ERR_NOT_FOUND ? porch_fail(why, PORCH_ERR_AUTH, "the sign-in is over; sign in again")
                                    : e;
}

/* ---- ending them ---- */

typedef struct {
    porch_accounts *a;
    const porch_user_session *own;
    const char *id; /* NULL: all but the own */
    const char *address;
    porch_accounts_ended ended;
} end_job;

static porch_err end_sessions(porch_db *db, void *ctx, porch_why *why) {
    end_job *job = ctx;
    const porch_person *p = &job->own->person;
    if (job->id == NULL)
        PORCH_TRY(porch_accounts_sessions_drop(job->a, db, p->id, job->own->id, &job->ended, why));
    else
        PORCH_TRY(porch_accounts_session_drop(job->a, db, p->id, job->id, &job->ended, why));
    if (job->ended.count == 0)
        return job->id == NULL
                   ? PORCH_OK
                   : porch_fail(why, PORCH_ERR_NOT_FOUND, "you have no sign-in by that id; it may be over");
    return porch_accounts_trust(db, job->id == NULL ? "user.sign-out-others" : "user.sign-out-one", NULL,
                                p->name, job->address, why);
}

static porch_err end(porch_accounts *a, end_job *job, unsigned *ended, porch_why *why) {
    porch_err e = porch_store_write(a->store, end_sessions, job, why);
    if (e == PORCH_OK) {
        *ended = (unsigned)job->ended.count;
        porch_log(PORCH_LOG_INFO, "session.ended", "name", job->own->person.name, "peer", job->address,
                  "count", porch_log_number(job->ended.count).text, "which",
                  job->id == NULL ? "all others" : "one", NULL);
        porch_accounts_tell_ended(a, &job->ended);
    }
    free(job->ended.one);
    return e;
}

porch_err porch_user_session_end_one(porch_accounts *a, const porch_user_session *own, const char *id,
                                     const char *address, porch_why *why) {
    end_job job = {.a = a, .own = own, .id = id, .address = address};
    unsigned ended = 0;
    if (id[0] == '\0') return porch_fail(why, PORCH_ERR_NOT_FOUND, "name the sign-in by its id");
    return end(a, &job, &ended, why);
}

porch_err porch_user_session_end_others(porch_accounts *a, const porch_user_session *own,
                                        const char *address, uint64_t now_ms, unsigned *ended,
                                        porch_why *why) {
    end_job job = {.a = a, .own = own, .address = address};
    PORCH_TRY(porch_step_up_demand(a, own, PORCH_STEP_UP_ANY, now_ms, why));
    return end(a, &job, ended, why);
}
