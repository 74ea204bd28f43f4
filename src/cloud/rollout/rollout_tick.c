/* What happens by itself, about every store.tick_ms: turns are dealt out, devices asked, silence judged,
 * stages passed, and a rollout that does harm ended. Each step touches a bounded number of rows. */
#include "cloud/rollout/rollout_room.h"

#include <stdio.h>
#include <string.h>

#include "base/text.h"
#include "cloud/trust/trust.h"
#include "os/log.h"

enum { DEAL_AT_ONCE = 20000, ASK_AT_ONCE = 2000, LATE_AT_ONCE = 2000, NAMES = 2000 };

typedef struct {
    char device[PORCH_ID_MOST + 1];
    porch_rollout_turn turn;
    bool waits; /* its word on this release is: not yet */
} name;

static porch_err run_number(porch_db *db, const char *sql, int64_t number, uint64_t value, porch_why *why) {
    porch_db_query *q = porch_db_prepare(db, sql, why);
    porch_db_bind_i64(q, 1, number);
    porch_db_bind_i64(q, 2, (int64_t)value);
    return porch_db_execute(q, why);
}

/* ---- dealing out ---- */

static porch_err deal_one(porch_db *db, const porch_rollout_row *row, porch_bytes device,
                          porch_bytes household, uint32_t added[], porch_why *why) {
    char id[PORCH_ID_MOST + 1], home[PORCH_ID_MOST + 1];
    if (!porch_bytes_to_text(device, id, sizeof id) || !porch_bytes_to_text(household, home, sizeof home))
        return PORCH_ERR_INTERNAL;
    uint32_t cohort = porch_rollout_cohort(id, row->sha256),
             stage = porch_rollout_stage_of(row, cohort, home);
    porch_db_query *q =
        porch_db_prepare(db,
                         "insert into update_turn (rollout, device, stage, cohort) values (?1, ?2, ?3, "
                         "?4) on conflict do nothing",
                         why);
    porch_db_bind_i64(q, 1, row->number);
    porch_db_bind_str(q, 2, id);
    porch_db_bind_i64(q, 3, stage);
    porch_db_bind_i64(q, 4, cohort);
    PORCH_TRY(porch_db_execute(q, why));
    added[stage] += porch_db_changes(db) > 0;
    return PORCH_OK;
}

static porch_err deal(porch_db *db, porch_rollout_row *row, porch_why *why) {
    char last[PORCH_ID_MOST + 1];
    uint32_t stages[PORCH_ROLLOUT_STAGES_MOST + 1] = {0};
    uint64_t seen = 0, added = 0;
    memcpy(last, row->filled, sizeof last);
    porch_db_query *q = porch_db_prepare(db,
                                         "select id, household from device where id > ?1 and product = ?2 "
                                         "and revoked_ms is null order by id limit ?3",
                                         why);
    porch_db_bind_str(q, 1, row->filled);
    porch_db_bind_str(q, 2, row->product.text);
    porch_db_bind_i64(q, 3, DEAL_AT_ONCE);
    porch_err e = PORCH_OK;
    while (e == PORCH_OK && (e = porch_db_step(q, why)) == PORCH_OK) {
        e = deal_one(db, row, porch_db_text(q, 0), porch_db_text(q, 1), stages, why);
        seen++;
        (void)porch_bytes_to_text(porch_db_text(q, 0), last, sizeof last);
    }
    porch_db_finish(q);
    if (e != PORCH_ERR_NOT_FOUND) return e;
    for (uint32_t i = 0; i <= row->stage_count; i++) {
        PORCH_TRY(porch_rollout_stage_count(db, row->number, i, stages[i], 0, 0, why));
        added += stages[i];
    }
    row->whole = seen < DEAL_AT_ONCE;
    row->devices += added;
    q = porch_db_prepare(
        db, "update update_rollout set filled = ?2, whole = ?3, devices = devices + ?4 where number = ?1",
        why);
    porch_db_bind_i64(q, 1, row->number);
    porch_db_bind_str(q, 2, last);
    porch_db_bind_i64(q, 3, row->whole);
    porch_db_bind_i64(q, 4, (int64_t)added);
    return porch_db_execute(q, why);
}

/* ---- asking ---- */

static porch_err names_of(porch_db_query *q, name *out, size_t most, size_t *count, porch_why *why) {
    porch_err e = PORCH_OK;
    *count = 0;
    while (*count < most && (e = porch_db_step(q, why)) == PORCH_OK) {
        (void)porch_bytes_to_text(porch_db_text(q, 0), out[*count].device, sizeof out[*count].device);
        out[*count].turn = (porch_rollout_turn){.there = true,
                                                .state = (int)porch_db_i64(q, 1),
                                                .stage = (uint32_t)porch_db_i64(q, 2),
                                                .attempt = (uint64_t)porch_db_i64(q, 3),
                                                .cohort = (uint32_t)porch_db_i64(q, 4)};
        out[(*count)++].waits = porch_db_i64(q, 5) != 0;
    }
    porch_db_finish(q);
    return e == PORCH_ERR_NOT_FOUND ? PORCH_OK : e;
}

static porch_err ask(porch_rollouts *r, porch_db *db, const porch_rollout_row *row, name *names,
                     uint64_t now_ms, porch_why *why) {
    size_t count = 0;
    porch_db_query *q = porch_db_prepare(db,
                                         "select device, state, stage, attempt, cohort, 0 from "
                                         "update_turn where rollout = ?1 and state = 0 and "
                                         "stage <= ?2 order by stage, cohort limit ?3",
                                         why);
    porch_db_bind_i64(q, 1, row->number);
    porch_db_bind_i64(q, 2, row->stage);
    porch_db_bind_i64(q, 3, ASK_AT_ONCE);
    PORCH_TRY(names_of(q, names, NAMES, &count, why));
    for (size_t i = 0; i < count && porch_store_news_room(r->news) > 0; i++) {
        if (!r->config.online(r->config.online_ctx, names[i].device)) {
            /* Its turn has come; it is asked when it reports. */
            PORCH_TRY(porch_rollout_turn_set(db, row, names[i].device, &names[i].turn, TURN_AWAY, "",
                                             now_ms, why));
            continue;
        }
        if (!porch_rollout_may_ask(r, row, now_ms)) break;
        PORCH_TRY(porch_rollout_ask(r, db, row, names[i].device, &names[i].turn, now_ms, why));
    }
    return PORCH_OK;
}

/* ---- silence ---- */

/* A device that waits, for its stage, its window, its battery, says so once. */
#define SAYS_IT_WAITS                                                                          \
    "exists (select 1 from update_device u where u.device = t.device and u.state = 'waiting' " \
    "and u.target in ('', ?4) and u.at_ms >= t.asked_ms)"

/* The wish again, in case it was lost; no attempt more, since nothing has failed. */
static porch_err remind(porch_rollouts *r, porch_db *db, const porch_rollout_row *row, const char *device,
                        const porch_rollout_turn *t, uint64_t now_ms, porch_why *why) {
    porch_rollout_say(r, row, device, t->attempt);
    return porch_rollout_turn_set(db, row, device, t, TURN_ASKED, "", now_ms, why);
}

static porch_err judge_silence(porch_rollouts *r, porch_db *db, const porch_rollout_row *row, name *names,
                               uint64_t now_ms, porch_why *why) {
    char reason[PORCH_UPDATE_REASON_MOST + 1];
    uint64_t deadline_ms = row->deadline_s * UINT64_C(1000);
    size_t count = 0;
    if (now_ms < deadline_ms) return PORCH_OK;
    porch_db_query *q = porch_db_prepare(db,
                                         "select device, state, stage, attempt, cohort, " SAYS_IT_WAITS
                                         " from update_turn t where rollout = ?1 and state = 1 and "
                                         "at_ms < ?2 order by at_ms limit ?3",
                                         why);
    porch_db_bind_i64(q, 1, row->number);
    porch_db_bind_i64(q, 2, (int64_t)(now_ms - deadline_ms));
    porch_db_bind_i64(q, 3, LATE_AT_ONCE);
    porch_db_bind_str(q, 4, row->version);
    PORCH_TRY(names_of(q, names, NAMES, &count, why));
    (void)snprintf(reason, sizeof reason, "it was asked and said nothing for %u s", row->deadline_s);
    for (size_t i = 0; i < count; i++) {
        const porch_rollout_turn *t = &names[i].turn;
        PORCH_TRY(
            names[i].waits ? remind(r, db, row, names[i].device, t, now_ms, why)
            : t->attempt < row->attempts
                ? porch_rollout_ask_again(r, db, row, names[i].device, t, now_ms, why)
                : porch_rollout_turn_end(db, row, names[i].device, t, TURN_FAILED, reason, now_ms, why));
    }
    return PORCH_OK;
}

/* ---- stages ---- */

static porch_err exists(porch_db *db, const char *sql, int64_t rollout, uint64_t value, bool *ret,
                        porch_why *why) {
    porch_db_query *q = porch_db_prepare(db, sql, why);
    porch_db_bind_i64(q, 1, rollout);
    porch_db_bind_i64(q, 2, (int64_t)value);
    porch_err e = porch_db_step(q, why);
    porch_db_finish(q);
    *ret = e == PORCH_OK;
    return e == PORCH_ERR_NOT_FOUND ? PORCH_OK : e;
}

/* A stage of nobody: of a share it is passed, and of a household when its devices were removed, it was
 * erased, or it had its turn in a stage before. Otherwise its name is not what somebody meant. */
static porch_err empty_passes(porch_db *db, const porch_rollout_row *row, bool *ret, porch_why *why) {
    const porch_rollout_stage *stage = &row->stages[row->stage];
    *ret = stage->share > 0 || strcmp(stage->household, PORCH_ROLLOUT_ERASED) == 0 ||
           porch_rollout_stage_of(row, PORCH_ROLLOUT_ONE, stage->household) < row->stage;
    if (*ret) return PORCH_OK;
    return exists(db, "select 1 from update_stage where rollout = ?1 and stage = ?2 and turns = 0",
                  row->number, row->stage, ret, why);
}

/* Everybody who is there has an end, one of this stage at least, and one at least a good one; the time is
 * up. Who has been at it for longer than the deadline, always with a sign of life, holds up nobody. */
static porch_err stage_through(porch_db *db, const porch_rollout_row *row, uint64_t now_ms, bool *ret,
                               porch_why *why) {
    bool waits, asked, ended, any;
    uint64_t deadline_ms = row->deadline_s * UINT64_C(1000);
    *ret = false;
    if (!row->whole || now_ms < row->stage_ms + row->dwell_s * UINT64_C(1000)) return PORCH_OK;
    PORCH_TRY(exists(db,
                     "select 1 from update_turn where rollout = ?1 and state = 0 and stage <= ?2 limit 1",
                     row->number, row->stage, &waits, why));
    PORCH_TRY(exists(db,
                     "select 1 from update_turn where rollout = ?1 and state = 1 and asked_ms > ?2 limit 1",
                     row->number, now_ms > deadline_ms ? now_ms - deadline_ms : 0, &asked, why));
    if (waits || asked) return PORCH_OK;
    PORCH_TRY(exists(db, "select 1 from update_stage where rollout = ?1 and stage = ?2 and ended > 0",
                     row->number, row->stage, &ended, why));
    PORCH_TRY(exists(db, "select 1 from update_stage where rollout = ?1 and stage = ?2 and turns > 0",
                     row->number, row->stage, &any, why));
    *ret = ended && row->good > 0;
    if (ended || any) return PORCH_OK; /* nobody but absent ones: nothing is known yet */
    return empty_passes(db, row, ret, why);
}

static porch_err pass_stage(porch_rollouts *r, porch_db *db, porch_rollout_row *row, uint64_t now_ms,
                            porch_why *why) {
    bool through = false;
    PORCH_TRY(stage_through(db, row, now_ms, &through, why));
    if (!through || row->awaiting) return PORCH_OK;
    if (row->stage + 1 >= row->stage_count)
        return porch_rollout_end(r, db, row, "done", "hub", "every device that was there has an end",
                                 now_ms, why);
    if (row->approve)
        return run_number(db, "update update_rollout set awaiting = 1 where number = ?1 and ?2 > 0",
                          row->number, now_ms, why);
    porch_log(PORCH_LOG_INFO, "rollout.stage", "rollout", row->id, "stage",
              porch_log_number(row->stage + 2).text, NULL);
    return run_number(db, "update update_rollout set stage = stage + 1, stage_ms = ?2 where number = ?1",
                      row->number, now_ms, why);
}

/* ---- harm ---- */

static porch_err judge_harm(porch_rollouts *r, porch_db *db, const porch_rollout_row *row, uint64_t now_ms,
                            bool *over, porch_why *why) {
    char reason[160];
    *over = row->failed > 0 && row->failed * 100 > (uint64_t)row->errors * row->asked;
    if (!*over) return PORCH_OK;
    (void)snprintf(reason, sizeof reason, "%llu of %llu devices failed, more than %u %%",
                   (unsigned long long)row->failed, (unsigned long long)row->asked, row->errors);
    porch_log(PORCH_LOG_ERROR, "rollout.aborted", "rollout", row->id, "product", row->product.text,
              "version", row->version, "reason", reason, NULL);
    return porch_rollout_end(r, db, row, "aborted", "hub", reason, now_ms, why);
}

/* A release that the team has withdrawn, or signed anew with other bytes, is offered to nobody more. */
static porch_err judge_release(porch_rollouts *r, porch_db *db, const porch_rollout_row *row,
                               uint64_t now_ms, bool *over, porch_why *why) {
    bool there = false;
    PORCH_TRY(exists(db,
                     "select 1 from update_rollout o join update_release r on r.product = o.product and "
                     "r.version = o.version and r.sha256 = o.sha256 where o.number = ?1 and ?2 >= 0 and "
                     "r.withdrawn_ms = 0",
                     row->number, 0, &there, why));
    *over = !there;
    if (there) return PORCH_OK;
    porch_log(PORCH_LOG_WARN, "rollout.withdrawn", "rollout", row->id, "product", row->product.text,
              "version", row->version, NULL);
    return porch_rollout_end(r, db, row, "aborted", "hub", "the release was withdrawn or replaced", now_ms,
                             why);
}

static porch_err tend(porch_rollouts *r, porch_db *db, int64_t number, name *names, uint64_t now_ms,
                      porch_why *why) {
    porch_rollout_row row;
    bool over = false;
    PORCH_TRY(porch_rollout_by_number(db, number, &row, why));
    PORCH_TRY(judge_release(r, db, &row, now_ms, &over, why));
    if (over) return PORCH_OK;
    PORCH_TRY(judge_silence(r, db, &row, names, now_ms, why));
    PORCH_TRY(porch_rollout_by_number(db, number, &row, why));
    PORCH_TRY(judge_harm(r, db, &row, now_ms, &over, why));
    if (over) return PORCH_OK;
    if (!row.whole) PORCH_TRY(deal(db, &row, why));
    PORCH_TRY(ask(r, db, &row, names, now_ms, why));
    return row.running ? pass_stage(r, db, &row, now_ms, why) : PORCH_OK;
}

porch_err porch_rollout_tick(porch_db *db, uint64_t now_ms, void *ctx, porch_why *why) {
    porch_rollouts *r = ctx;
    static name names[NAMES]; /* the writer's thread alone */
    int64_t numbers[PORCH_ROLLOUT_ACTIVE_MOST];
    size_t count = 0;
    /* Nobody is asked, and nobody's silence is judged. */
    if (porch_rollout_ready(r, NULL) != PORCH_OK) return porch_rollout_recall(r, db, why);
    porch_db_query *q =
        porch_db_prepare(db,
                         "select number from update_rollout where state in ('running', 'done') "
                         "and swept = 0 and not exists (select 1 from update_rollout n where n.product = "
                         "update_rollout.product and n.number > update_rollout.number and n.state "
                         "in ('running', 'paused', 'done')) order by state = 'done', number desc",
                         why);
    porch_err e = PORCH_OK;
    while (count < PORCH_ROLLOUT_ACTIVE_MOST && (e = porch_db_step(q, why)) == PORCH_OK)
        numbers[count++] = porch_db_i64(q, 0);
    porch_db_finish(q);
    if (e != PORCH_OK && e != PORCH_ERR_NOT_FOUND) return e;
    for (size_t i = 0; i < count; i++)
        PORCH_TRY(tend(r, db, numbers[i], names, now_ms, why));
    PORCH_TRY(porch_rollout_sweep(r, db, now_ms, why));
    return porch_rollout_recall(r, db, why);
}
