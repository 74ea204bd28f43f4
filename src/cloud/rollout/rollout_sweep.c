/* Each device has a row in each rollout: its turn. ota.turns_days after a rollout is over they are of no
 * more use, and go, some in each round of housekeeping; what the rollout counted stays, and so does each
 * device's story.
 *
 *   aborted ───────────────────────────────┐
 *   done, and a newer one of it is done ───┴─► swept 1 ─► ... ─► swept 2
 *
 * A swept rollout is nobody's any more: if the newer one is aborted after all, it does not come back. */
#include "cloud/rollout/rollout_room.h"

enum { SWEEP_AT_ONCE = 2000 };

static const uint64_t day_ms = 86400000;

/* The one that is being swept, or the next one whose time has come. NOT_FOUND. */
static porch_err next_one(porch_db *db, uint64_t before_ms, int64_t *number, porch_why *why) {
    porch_db_query *q = porch_db_prepare(
        db,
        "select o.number from update_rollout o where o.swept < 2 and o.recall = 0 and (o.swept = 1 or "
        "(o.state = 'aborted' and o.ended_ms < ?1) or (o.state = 'done' and exists (select 1 from "
        "update_rollout n where n.product = o.product and n.number > o.number and n.state = 'done' and "
        "n.ended_ms < ?1))) order by o.swept desc, o.number limit 1",
        why);
    porch_db_bind_i64(q, 1, (int64_t)before_ms);
    porch_err e = porch_db_step(q, why);
    if (e == PORCH_OK) *number = porch_db_i64(q, 0);
    porch_db_finish(q);
    return e;
}

static porch_err mark(porch_db *db, int64_t number, int swept, porch_why *why) {
    porch_db_query *q =
        porch_db_prepare(db, "update update_rollout set swept = ?2 where number = ?1 and swept < ?2", why);
    porch_db_bind_i64(q, 1, number);
    porch_db_bind_i64(q, 2, swept);
    return porch_db_execute(q, why);
}

porch_err porch_rollout_sweep(const porch_rollouts *r, porch_db *db, uint64_t now_ms, porch_why *why) {
    const uint64_t keep_ms = r->config.settings->ota_turns_days * day_ms;
    int64_t number = 0;
    if (keep_ms == 0 || now_ms < keep_ms) return PORCH_OK;
    porch_err e = next_one(db, now_ms - keep_ms, &number, why);
    if (e == PORCH_ERR_NOT_FOUND) return PORCH_OK;
    PORCH_TRY(e);
    PORCH_TRY(mark(db, number, 1, why));
    porch_db_query *q = porch_db_prepare(
        db,
        "delete from update_turn where rollout = ?1 and (cohort, device) in (select cohort, "
        "device from update_turn where rollout = ?1 order by cohort, device limit ?2)",
        why);
    porch_db_bind_i64(q, 1, number);
    porch_db_bind_i64(q, 2, SWEEP_AT_ONCE);
    PORCH_TRY(porch_db_execute(q, why));
    return porch_db_changes(db) < SWEEP_AT_ONCE ? mark(db, number, 2, why) : PORCH_OK;
}
