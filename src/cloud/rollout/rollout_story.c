/* What a device said last, and its story.
 *
 *   update_device: one row a device ──newest──► update_history: seq ──prev──► seq ──prev──► ... 0
 *
 * An entry is appended behind everybody's, so that reports of many devices fill page after page. When a
 * device has twice as many entries as are shown, the older half goes at once: a report pays for two or
 * three rows of that, whoever comes at the wrong moment for all. */
#include "cloud/rollout/rollout_room.h"

#include "base/text.h"

static void text(porch_db_query *q, int column, char *out, size_t cap) {
    (void)porch_bytes_to_text(porch_db_text(q, column), out, cap);
}

porch_err porch_rollout_word_get(porch_db *db, const char *device, const porch_update_status *s,
                                 porch_rollout_word *ret, porch_why *why) {
    porch_db_query *q =
        porch_db_prepare(db,
                         "select d.product, d.household, u.running, u.target, u.state, u.story, u.entries, "
                         "u.device is not null from device d left join update_device u on u.device = d.id "
                         "where d.id = ?1 and d.revoked_ms is null",
                         why);
    porch_db_bind_str(q, 1, device);
    porch_err e = porch_db_step(q, why);
    if (e == PORCH_OK) {
        text(q, 0, ret->product, sizeof ret->product);
        text(q, 1, ret->household, sizeof ret->household);
        ret->known = porch_db_i64(q, 7) != 0;
        ret->changed = !ret->known || !porch_bytes_eq(porch_db_text(q, 2), s->running) ||
                       !porch_bytes_eq(porch_db_text(q, 3), s->target) ||
                       !porch_bytes_eq_text(porch_db_text(q, 4), porch_update_state_word(s->state));
        ret->newest = porch_db_i64(q, 5);
        ret->entries = (uint64_t)porch_db_i64(q, 6);
    }
    porch_db_finish(q);
    return e;
}

static porch_bytes or_empty(porch_bytes b) {
    return b.at != NULL ? b : PORCH_LIT("");
}

static porch_err append_entry(porch_db *db, const char *device, int64_t prev, const porch_update_status *s,
                              uint64_t at_ms, porch_why *why) {
    uint64_t number = 0;
    if (s->has_rollout)
        (void)porch_decimal_read(porch_bytes_of(s->rollout.text + 1), PORCH_UPDATE_NUMBER_MOST, &number);
    porch_db_query *q = porch_db_prepare(db,
                                         "insert into update_history (prev, device, at_ms, rollout, "
                                         "attempt, running, target, state, reason) values (?1, ?2, ?3, "
                                         "?4, ?5, ?6, ?7, ?8, ?9)",
                                         why);
    porch_db_bind_i64(q, 1, prev);
    porch_db_bind_str(q, 2, device);
    porch_db_bind_i64(q, 3, (int64_t)at_ms);
    porch_db_bind_i64(q, 4, (int64_t)number);
    porch_db_bind_i64(q, 5, (int64_t)s->attempt);
    porch_db_bind_text(q, 6, s->running);
    porch_db_bind_text(q, 7, or_empty(s->target));
    porch_db_bind_str(q, 8, porch_update_state_word(s->state));
    porch_db_bind_text(q, 9, or_empty(s->reason));
    return porch_db_execute(q, why);
}

/* The entries of a device from `newest` on, each with its place; a number that was given to another device
 * meanwhile ends them. */
#define STORY                                                                                             \
    "with recursive story (seq, prev, place) as (select seq, prev, 1 from update_history where seq = ?1 " \
    "and device = ?2 union all select h.seq, h.prev, s.place + 1 from story s join update_history h on "  \
    "h.seq = s.prev where h.device = ?2) "

static porch_err forget_older(porch_db *db, const char *device, int64_t newest, uint64_t most,
                              porch_why *why) {
    static const char *const steps[] = {
        STORY "delete from update_history where seq in (select seq from story where place > ?3)",
        STORY "update update_history set prev = 0 where seq = (select seq from story where place = ?3)",
    };
    for (size_t i = 0; i < sizeof steps / sizeof steps[0]; i++) {
        porch_db_query *q = porch_db_prepare(db, steps[i], why);
        porch_db_bind_i64(q, 1, newest);
        porch_db_bind_str(q, 2, device);
        porch_db_bind_i64(q, 3, (int64_t)most);
        PORCH_TRY(porch_db_execute(q, why));
    }
    return PORCH_OK;
}

static porch_err put_row(porch_db *db, const char *device, const porch_rollout_word *word,
                         const porch_update_status *s, uint64_t at_ms, porch_why *why) {
    static const char *const sql[] = {
        "insert into update_device (device, running, target, state, reason, floor, bytes, way, at_ms, "
        "story, entries) values (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10, ?11)",
        "update update_device set running = ?2, target = ?3, state = ?4, reason = ?5, floor = ?6, bytes = "
        "?7, way = ?8, at_ms = ?9, story = ?10, entries = ?11 where device = ?1",
    };
    porch_db_query *q = porch_db_prepare(db, sql[word->known], why);
    porch_db_bind_str(q, 1, device);
    porch_db_bind_text(q, 2, s->running);
    porch_db_bind_text(q, 3, or_empty(s->target));
    porch_db_bind_str(q, 4, porch_update_state_word(s->state));
    porch_db_bind_text(q, 5, or_empty(s->reason));
    porch_db_bind_i64(q, 6, (int64_t)s->floor);
    porch_db_bind_i64(q, 7, (int64_t)s->bytes);
    porch_db_bind_str(q, 8, porch_update_way_word(s->way));
    porch_db_bind_i64(q, 9, (int64_t)at_ms);
    porch_db_bind_i64(q, 10, word->newest);
    porch_db_bind_i64(q, 11, (int64_t)word->entries);
    return porch_db_execute(q, why);
}

porch_err porch_rollout_word_put(porch_db *db, const char *device, const porch_rollout_word *word,
                                 const porch_update_status *s, uint64_t at_ms, uint64_t most,
                                 porch_why *why) {
    porch_rollout_word next = *word;
    if (word->changed) {
        PORCH_TRY(append_entry(db, device, word->newest, s, at_ms, why));
        next.newest = porch_db_last_id(db);
        next.entries++;
        if (next.entries >= 2 * most) {
            PORCH_TRY(forget_older(db, device, next.newest, most, why));
            next.entries = most;
        }
    }
    return put_row(db, device, &next, s, at_ms, why);
}

/* ---- looking ---- */

porch_err porch_rollout_history(porch_db *db, const char *device, uint64_t most,
                                bool (*fn)(const porch_rollout_story *, void *), void *ctx,
                                porch_why *why) {
    porch_db_query *q = porch_db_prepare(
        db,
        "with recursive story as (select h.* from update_device u join update_history h on h.seq = u.story "
        "where u.device = ?1 and h.device = ?1 union all select h.* from story s join update_history h on "
        "h.seq = s.prev where h.device = ?1) "
        "select at_ms, rollout, attempt, running, target, state, reason from story limit ?2",
        why);
    porch_db_bind_str(q, 1, device);
    porch_db_bind_i64(q, 2, (int64_t)most);
    porch_err e = PORCH_OK;
    bool more = true;
    while (more && (e = porch_db_step(q, why)) == PORCH_OK) {
        porch_rollout_story s = {.at_ms = (uint64_t)porch_db_i64(q, 0),
                                 .rollout = (uint64_t)porch_db_i64(q, 1),
                                 .attempt = (uint64_t)porch_db_i64(q, 2)};
        text(q, 3, s.running, sizeof s.running);
        text(q, 4, s.target, sizeof s.target);
        text(q, 5, s.state, sizeof s.state);
        text(q, 6, s.reason, sizeof s.reason);
        more = fn(&s, ctx);
    }
    porch_db_finish(q);
    return e == PORCH_ERR_NOT_FOUND ? PORCH_OK : e;
}

porch_err porch_rollout_device_get(porch_db *db, const char *device, porch_rollout_device *ret,
                                   porch_why *why) {
    porch_db_query *q = porch_db_prepare(
        db,
        "select running, target, state, reason, floor, bytes, at_ms from update_device where device = ?1",
        why);
    porch_db_bind_str(q, 1, device);
    porch_err e = porch_db_step(q, why);
    porch_rollout_device d = {.known = e == PORCH_OK};
    if (e == PORCH_OK) {
        text(q, 0, d.running, sizeof d.running);
        text(q, 1, d.target, sizeof d.target);
        text(q, 2, d.state, sizeof d.state);
        text(q, 3, d.reason, sizeof d.reason);
        d.floor = (uint64_t)porch_db_i64(q, 4);
        d.bytes = (uint64_t)porch_db_i64(q, 5);
        d.at_ms = (uint64_t)porch_db_i64(q, 6);
    }
    porch_db_finish(q);
    if (e != PORCH_OK && e != PORCH_ERR_NOT_FOUND) return e;
    *ret = d;
    return PORCH_OK;
}
