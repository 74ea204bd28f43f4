/* What people do with rollouts, and what they see of them. Each act is an entry of the trust log. */
#include "cloud/rollout/rollout_room.h"

#include <stdio.h>
#include <string.h>

#include "base/text.h"
#include "cloud/trust/trust.h"

enum { RECALL_AT_ONCE = 2000 };
enum { RECALL_NONE = 0, RECALL_REST = 1, RECALL_WISH = 2 };

static porch_err tell_trust(porch_db *db, const char *kind, const char *who, const char *id,
                            const char *product, const char *version, const char *reason, porch_why *why) {
    char subject[64], detail[512], plain[200];
    size_t n = 0;
    /* Words of people become plain JSON text. */
    for (; reason != NULL && reason[n] != '\0' && n < sizeof plain - 1; n++) {
        char c = reason[n];
        plain[n] = c == '"' || c == '\\' ? '\'' : (unsigned char)c < 0x20 ? ' ' : c;
    }
    while (n > 0 && !porch_utf8_valid((porch_bytes){(const uint8_t *)plain, n}))
        n--;
    plain[n] = '\0';
    (void)snprintf(subject, sizeof subject, "rollout:%s", id);
    (void)snprintf(detail, sizeof detail, "{\"product\":\"%s\",\"version\":\"%s\",\"reason\":\"%s\"}",
                   product, version, plain);
    return porch_trust_append(db, kind, who, subject, detail, why);
}

/* ---- those that were asked and have no end yet hear that there is nothing to do, or their wish again ----
 */

typedef struct {
    int what;
    int64_t at_ms, cohort; /* told: all before (at_ms, cohort, device) */
    char device[PORCH_ID_MOST + 1];
} recall;

static porch_err put_recall(porch_db *db, int64_t number, const recall *c, porch_why *why) {
    porch_db_query *q = porch_db_prepare(
        db,
        "update update_rollout set recall = ?2, recall_ms = ?3, recall_device = ?4, recall_cohort = ?5 "
        "where number = ?1",
        why);
    porch_db_bind_i64(q, 1, number);
    porch_db_bind_i64(q, 2, c->what);
    porch_db_bind_i64(q, 3, c->at_ms);
    porch_db_bind_str(q, 4, c->device);
    porch_db_bind_i64(q, 5, c->cohort);
    return porch_db_execute(q, why);
}

/* A report moves a device to the end of the order: it is told again, which does no harm. One that a newer
 * rollout has asked meanwhile hears nothing of this one. */
static porch_err recall_some(porch_rollouts *r, porch_db *db, int64_t number, recall *c, porch_why *why) {
    porch_rollout_row row;
    size_t told = 0;
    PORCH_TRY(porch_rollout_by_number(db, number, &row, why));
    porch_db_query *q = porch_db_prepare(
        db,
        "select device, attempt, at_ms, cohort from update_turn t where rollout = ?1 and state = 1 and "
        "(at_ms, cohort, device) > (?2, ?4, ?3) and not exists (select 1 from update_turn n where "
        "n.device = t.device and n.rollout > ?1 and n.state = 1) order by at_ms, cohort, device",
        why);
    porch_db_bind_i64(q, 1, number);
    porch_db_bind_i64(q, 2, c->at_ms);
    porch_db_bind_str(q, 3, c->device);
    porch_db_bind_i64(q, 4, c->cohort);
    porch_err e = PORCH_OK;
    while (told < RECALL_AT_ONCE && porch_store_news_room(r->news) > 0 &&
           (e = porch_db_step(q, why)) == PORCH_OK) {
        (void)porch_bytes_to_text(porch_db_text(q, 0), c->device, sizeof c->device);
        c->at_ms = porch_db_i64(q, 2);
        c->cohort = porch_db_i64(q, 3);
        porch_rollout_say(r, c->what == RECALL_WISH ? &row : NULL, c->device, (uint64_t)porch_db_i64(q, 1));
        told++;
    }
    porch_db_finish(q);
    if (e == PORCH_ERR_NOT_FOUND) *c = (recall){.at_ms = -1, .cohort = -1};
    return e == PORCH_ERR_NOT_FOUND ? PORCH_OK : e;
}

static porch_err recall_begin(porch_rollouts *r, porch_db *db, int64_t number, int what, porch_why *why) {
    recall c = {.what = what, .at_ms = -1, .cohort = -1};
    PORCH_TRY(recall_some(r, db, number, &c, why));
    return put_recall(db, number, &c, why);
}

porch_err porch_rollout_recall(porch_rollouts *r, porch_db *db, porch_why *why) {
    recall c = {.what = RECALL_NONE};
    porch_db_query *q = porch_db_prepare(db,
                                         "select number, recall, recall_ms, recall_device, recall_cohort "
                                         "from update_rollout where recall > 0 "
                                         "limit 1",
                                         why);
    porch_err e = porch_db_step(q, why);
    int64_t number = e == PORCH_OK ? porch_db_i64(q, 0) : 0;
    if (e == PORCH_OK) {
        c.what = (int)porch_db_i64(q, 1);
        c.at_ms = porch_db_i64(q, 2);
        (void)porch_bytes_to_text(porch_db_text(q, 3), c.device, sizeof c.device);
        c.cohort = porch_db_i64(q, 4);
    }
    porch_db_finish(q);
    if (e == PORCH_ERR_NOT_FOUND) return PORCH_OK;
    PORCH_TRY(e);
    PORCH_TRY(recall_some(r, db, number, &c, why));
    return put_recall(db, number, &c, why);
}

static porch_err set_state(porch_db *db, int64_t number, const char *state, const char *reason,
                           uint64_t ended_ms, porch_why *why) {
    porch_db_query *q = porch_db_prepare(
        db, "update update_rollout set state = ?2, why = ?3, ended_ms = ?4, awaiting = 0 where number = ?1",
        why);
    porch_db_bind_i64(q, 1, number);
    porch_db_bind_str(q, 2, state);
    porch_db_bind_str(q, 3, reason);
    porch_db_bind_i64(q, 4, (int64_t)ended_ms);
    return porch_db_execute(q, why);
}

porch_err porch_rollout_end(porch_rollouts *r, porch_db *db, const porch_rollout_row *row,
                            const char *state, const char *who, const char *reason, uint64_t now_ms,
                            porch_why *why) {
    bool aborted = strcmp(state, "aborted") == 0;
    PORCH_TRY(set_state(db, row->number, state, reason, now_ms, why));
    if (aborted) PORCH_TRY(recall_begin(r, db, row->number, RECALL_REST, why));
    return tell_trust(db, aborted ? "rollout.abort" : "rollout.done", who, row->id, row->product.text,
                      row->version, reason, why);
}

/* ---- start ---- */

typedef struct {
    char sha256[65], severity[16];
} release;

static porch_err find_release(porch_db *db, const porch_rollout_spec *spec, release *ret, porch_why *why) {
    porch_db_query *q = porch_db_prepare(db,
                                         "select sha256, severity from update_release where product = ?1 "
                                         "and version = ?2 and withdrawn_ms = 0",
                                         why);
    porch_db_bind_str(q, 1, spec->product);
    porch_db_bind_str(q, 2, spec->version);
    porch_err e = porch_db_step(q, why);
    if (e == PORCH_OK) {
        (void)porch_bytes_to_text(porch_db_text(q, 0), ret->sha256, sizeof ret->sha256);
        (void)porch_bytes_to_text(porch_db_text(q, 1), ret->severity, sizeof ret->severity);
    }
    porch_db_finish(q);
    if (e != PORCH_ERR_NOT_FOUND) return e;
    return porch_fail(why, e,
                      "%.64s %.64s is not published here, or was withdrawn: porchlight ota publish FOLDER",
                      spec->product, spec->version);
}

/* A stage that nobody is in would be passed unseen, or hold up everything. */
static porch_err check_household(porch_db *db, const char *household, const char *product, porch_why *why) {
    porch_db_query *q = porch_db_prepare(db,
                                         "select exists (select 1 from device d where d.household = h.id "
                                         "and d.product = ?2 and d.revoked_ms "
                                         "is null) from household h where h.id = ?1",
                                         why);
    porch_db_bind_str(q, 1, household);
    porch_db_bind_str(q, 2, product);
    porch_err e = porch_db_step(q, why);
    bool has = e == PORCH_OK && porch_db_i64(q, 0) != 0;
    porch_db_finish(q);
    if (e == PORCH_ERR_NOT_FOUND)
        return porch_fail(why, e, "there is no household %s: porchlight -C DIR household list", household);
    if (e != PORCH_OK || has) return e;
    return porch_fail(why, PORCH_ERR_NOT_FOUND,
                      "household %s has no device of %.64s: leave its stage out, or give it one", household,
                      product);
}

static porch_err check_households(porch_db *db, const porch_rollout_spec *spec, porch_why *why) {
    porch_rollout_stage stages[PORCH_ROLLOUT_STAGES_MOST];
    size_t count = 0;
    PORCH_TRY(porch_rollout_stages_read(porch_bytes_of(spec->stages), stages, &count, why));
    for (size_t i = 0; i < count; i++)
        if (stages[i].share == 0) PORCH_TRY(check_household(db, stages[i].household, spec->product, why));
    return PORCH_OK;
}

static porch_err make_way(porch_rollouts *r, porch_db *db, const porch_rollout_spec *spec,
                          const release *rel, const char *who, uint64_t now_ms, porch_why *why) {
    porch_rollout_row row;
    char reason[120];
    porch_err e = porch_rollout_of_product(db, spec->product, &row, why);
    if (e == PORCH_ERR_NOT_FOUND || (e == PORCH_OK && row.done)) return PORCH_OK;
    PORCH_TRY(e);
    bool urgent = strcmp(rel->severity, "high") == 0 || strcmp(rel->severity, "critical") == 0;
    if (!urgent)
        return porch_fail(
            why, PORCH_ERR_EXISTS,
            "rollout %s of %s %s is under way; abort it first (a release that mends something high or "
            "critical overtakes)",
            row.id, row.product.text, row.version);
    (void)snprintf(reason, sizeof reason, "overtaken by %.64s, which mends something %s", spec->version,
                   rel->severity);
    return porch_rollout_end(r, db, &row, "aborted", who, reason, now_ms, why);
}

static porch_err check_spec(const porch_rollout_spec *s, porch_why *why) {
    porch_rollout_stage stages[PORCH_ROLLOUT_STAGES_MOST];
    size_t count = 0;
    porch_id id;
    if (porch_id_parse(porch_bytes_of(s->product), &id) != PORCH_OK ||
        !porch_update_version_ok(porch_bytes_of(s->version)))
        return porch_fail(why, PORCH_ERR_USAGE, "a rollout is of a product and a version");
    if (strlen(s->stages) >= PORCH_ROLLOUT_STAGES_TEXT)
        return porch_fail(why, PORCH_ERR_LIMIT, "the stages are too long");
    PORCH_TRY(porch_rollout_stages_read(porch_bytes_of(s->stages), stages, &count, why));
    if (s->errors > 100) return porch_fail(why, PORCH_ERR_USAGE, "errors are percent, 0 to 100");
    if (s->attempts == 0 || s->attempts > PORCH_UPDATE_ATTEMPT_MOST || s->deadline_s == 0)
        return porch_fail(why, PORCH_ERR_USAGE,
                          "a device has 1 to %u attempts, and a deadline of some seconds",
                          PORCH_UPDATE_ATTEMPT_MOST);
    return PORCH_OK;
}

porch_err porch_rollout_start(porch_rollouts *r, porch_db *db, const porch_rollout_spec *spec,
                              const char *who, uint64_t now_ms, char id[PORCH_ROLLOUT_ID_TEXT],
                              porch_why *why) {
    release rel = {"", ""};
    PORCH_TRY(check_spec(spec, why));
    PORCH_TRY(porch_rollout_ready(r, why));
    PORCH_TRY(find_release(db, spec, &rel, why));
    PORCH_TRY(check_households(db, spec, why));
    PORCH_TRY(make_way(r, db, spec, &rel, who, now_ms, why));
    porch_db_query *q = porch_db_prepare(db,
                                         "insert into update_rollout (product, version, sha256, state, "
                                         "stages, approve, rate, ramp, errors, deadline_s, "
                                         "attempts, dwell_s, started_ms, stage_ms) values (?1, ?2, ?3, "
                                         "'running', ?4, ?5, ?6, ?7, ?8, ?9, ?10, ?11, ?12, "
                                         "?12)",
                                         why);
    porch_db_bind_str(q, 1, spec->product);
    porch_db_bind_str(q, 2, spec->version);
    porch_db_bind_str(q, 3, rel.sha256);
    porch_db_bind_str(q, 4, spec->stages);
    porch_db_bind_i64(q, 5, spec->approve);
    porch_db_bind_i64(q, 6, spec->rate);
    porch_db_bind_i64(q, 7, spec->ramp);
    porch_db_bind_i64(q, 8, spec->errors);
    porch_db_bind_i64(q, 9, spec->deadline_s);
    porch_db_bind_i64(q, 10, spec->attempts);
    porch_db_bind_i64(q, 11, spec->dwell_s);
    porch_db_bind_i64(q, 12, (int64_t)now_ms);
    PORCH_TRY(porch_db_execute(q, why));
    (void)snprintf(id, PORCH_ROLLOUT_ID_TEXT, "r%lld", (long long)porch_db_last_id(db));
    PORCH_TRY(tell_trust(db, "rollout.start", who, id, spec->product, spec->version, spec->stages, why));
    return porch_rollout_tick(db, now_ms, r, why);
}

/* ---- acts ---- */

static porch_err find(porch_db *db, const char *id, porch_rollout_row *ret, porch_why *why) {
    uint64_t number = 0;
    porch_err e =
        id[0] == 'r' ? porch_decimal_read(porch_bytes_of(id + 1), INT64_MAX, &number) : PORCH_ERR_NOT_FOUND;
    if (e == PORCH_OK) e = porch_rollout_by_number(db, (int64_t)number, ret, why);
    return e == PORCH_OK ? e : porch_fail(why, PORCH_ERR_NOT_FOUND, "there is no rollout %.24s", id);
}

static porch_err wrong_state(const porch_rollout_row *row, const char *word, porch_why *why) {
    return porch_fail(why, PORCH_ERR_STATE, "rollout %s cannot be %s: it %s", row->id, word,
                      row->running  ? "is running"
                      : row->paused ? "is paused"
                      : row->done   ? "is done"
                                    : "was aborted");
}

static porch_err resume(porch_rollouts *r, porch_db *db, const porch_rollout_row *row, uint64_t now_ms,
                        porch_why *why) {
    /* Devices that were asked before the pause get their time anew. */
    porch_db_query *q = porch_db_prepare(
        db, "update update_turn set at_ms = ?2, asked_ms = ?2 where rollout = ?1 and state = 1", why);
    porch_db_bind_i64(q, 1, row->number);
    porch_db_bind_i64(q, 2, (int64_t)now_ms);
    PORCH_TRY(porch_db_execute(q, why));
    PORCH_TRY(recall_begin(r, db, row->number, RECALL_WISH, why));
    return set_state(db, row->number, "running", "", 0, why);
}

static porch_err approve(porch_db *db, const porch_rollout_row *row, uint64_t now_ms, porch_why *why) {
    porch_db_query *q = porch_db_prepare(
        db, "update update_rollout set stage = stage + 1, stage_ms = ?2, awaiting = 0 where number = ?1",
        why);
    porch_db_bind_i64(q, 1, row->number);
    porch_db_bind_i64(q, 2, (int64_t)now_ms);
    return porch_db_execute(q, why);
}

porch_err porch_rollout_do(porch_rollouts *r, porch_db *db, const char *id, porch_rollout_act act,
                           const char *who, const char *reason, uint64_t now_ms, porch_why *why) {
    static const char *const kinds[] = {"rollout.pause", "rollout.resume", "rollout.abort",
                                        "rollout.approve"};
    static const char *const words[] = {"paused", "resumed", "aborted", "approved"};
    porch_rollout_row row;
    PORCH_TRY(find(db, id, &row, why));
    bool fits = act == PORCH_ROLLOUT_PAUSE    ? row.running
                : act == PORCH_ROLLOUT_RESUME ? row.paused
                : act == PORCH_ROLLOUT_ABORT  ? row.running || row.paused || row.done
                                              : row.running && row.awaiting;
    if (!fits) return wrong_state(&row, words[act], why);
    if (act == PORCH_ROLLOUT_ABORT)
        return porch_rollout_end(r, db, &row, "aborted", who, reason, now_ms, why);
    if (act == PORCH_ROLLOUT_PAUSE) {
        PORCH_TRY(set_state(db, row.number, "paused", reason, 0, why));
        PORCH_TRY(recall_begin(r, db, row.number, RECALL_REST, why));
    }
    if (act == PORCH_ROLLOUT_RESUME) PORCH_TRY(resume(r, db, &row, now_ms, why));
    if (act == PORCH_ROLLOUT_APPROVE) PORCH_TRY(approve(db, &row, now_ms, why));
    PORCH_TRY(tell_trust(db, kinds[act], who, row.id, row.product.text, row.version, reason, why));
    return act == PORCH_ROLLOUT_PAUSE ? PORCH_OK : porch_rollout_tick(db, now_ms, r, why);
}

/* ---- looking ---- */

static void text(porch_db_query *q, int column, char *out, size_t cap) {
    (void)porch_bytes_to_text(porch_db_text(q, column), out, cap);
}

porch_err porch_rollout_list(porch_db *db, bool (*fn)(const porch_rollout_view *, void *), void *ctx,
                             porch_why *why) {
    porch_db_query *q =
        porch_db_prepare(db,
                         "select number, product, version, state, why, stages, stage, "
                         "awaiting, started_ms, ended_ms, devices, asked, "
                         "good, failed, (select coalesce(sum(away), 0) from update_stage where "
                         "rollout = number), unfit from update_rollout order by number desc limit "
                         "1000",
                         why);
    porch_err e = PORCH_OK;
    bool more = true;
    while (more && (e = porch_db_step(q, why)) == PORCH_OK) {
        porch_rollout_view v = {.stage = (uint32_t)porch_db_i64(q, 6)};
        porch_rollout_stage stages[PORCH_ROLLOUT_STAGES_MOST];
        size_t count = 0;
        (void)snprintf(v.id, sizeof v.id, "r%lld", (long long)porch_db_i64(q, 0));
        text(q, 1, v.product, sizeof v.product);
        text(q, 2, v.version, sizeof v.version);
        text(q, 3, v.state, sizeof v.state);
        text(q, 4, v.why, sizeof v.why);
        text(q, 5, v.stages, sizeof v.stages);
        (void)porch_rollout_stages_read(porch_db_text(q, 5), stages, &count, NULL);
        v.stage_count = (uint32_t)count;
        v.awaiting = porch_db_i64(q, 7) != 0;
        v.started_ms = (uint64_t)porch_db_i64(q, 8);
        v.ended_ms = (uint64_t)porch_db_i64(q, 9);
        v.devices = (uint64_t)porch_db_i64(q, 10);
        v.asked = (uint64_t)porch_db_i64(q, 11);
        v.good = (uint64_t)porch_db_i64(q, 12);
        v.failed = (uint64_t)porch_db_i64(q, 13);
        v.away = (uint64_t)porch_db_i64(q, 14);
        v.unfit = (uint64_t)porch_db_i64(q, 15);
        more = fn(&v, ctx);
    }
    porch_db_finish(q);
    return e == PORCH_ERR_NOT_FOUND ? PORCH_OK : e;
}
