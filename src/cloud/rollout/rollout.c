#include "cloud/rollout/rollout.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/text.h"
#include "cloud/rollout/rollout_room.h"
#include "cloud/trust/trust.h"
#include "crypto/sha256.h"
#include "os/log.h"

/* ---- cohorts and stages ---- */

uint32_t porch_rollout_cohort(const char *device, const uint8_t sha256[32]) {
    uint8_t text[PORCH_ID_MOST + 32], hash[32];
    porch_buf b = PORCH_BUF_OF(text);
    (void)porch_write_text(&b, device); /* ids fit */
    (void)porch_write_bytes(&b, (porch_bytes){sha256, 32});
    porch_sha256(porch_buf_bytes(&b), hash);
    uint64_t first = (uint64_t)hash[0] << 24 | (uint64_t)hash[1] << 16 | (uint64_t)hash[2] << 8 | hash[3];
    return (uint32_t)(first * PORCH_ROLLOUT_ONE >> 32);
}

/* "0.1" percent is 1,000 millionths. */
static bool read_share(porch_bytes text, uint32_t *ret) {
    uint64_t whole = 0, part = 0, unit = 1000;
    size_t dot = 0;
    while (dot < text.len && text.at[dot] != '.')
        dot++;
    if (porch_decimal_read((porch_bytes){text.at, dot}, 100, &whole) != PORCH_OK) return false;
    if (dot < text.len && (dot + 1 == text.len || text.len - dot > 4)) return false;
    for (size_t i = dot + 1; i < text.len; i++, unit /= 10) {
        if (text.at[i] < '0' || text.at[i] > '9') return false;
        part += (uint64_t)(text.at[i] - '0') * unit;
    }
    *ret = (uint32_t)(whole * 10000 + part);
    return *ret > 0 && *ret <= PORCH_ROLLOUT_ONE;
}

static porch_err no_stages(porch_why *why) {
    return porch_fail(
        why, PORCH_ERR_USAGE,
        "stages are rising shares in percent that end with 100, as 1,10,50,100; household=NAME goes first");
}

porch_err porch_rollout_stages_read(porch_bytes text, porch_rollout_stage *ret, size_t *count,
                                    porch_why *why) {
    const porch_bytes group = PORCH_LIT("household=");
    uint32_t last = 0;
    size_t n = 0;
    while (n < PORCH_ROLLOUT_STAGES_MOST && text.len > 0) {
        size_t len = 0;
        porch_rollout_stage s = {.share = 0};
        while (len < text.len && text.at[len] != ',')
            len++;
        porch_bytes each = {text.at, len};
        if (porch_bytes_starts(each, group)) {
            porch_id id = {.text = PORCH_ROLLOUT_ERASED};
            porch_bytes name = {each.at + group.len, each.len - group.len};
            if (last > 0 ||
                (!porch_bytes_eq_text(name, PORCH_ROLLOUT_ERASED) && porch_id_parse(name, &id) != PORCH_OK))
                return no_stages(why);
            memcpy(s.household, id.text, sizeof s.household);
        } else if (!read_share(each, &s.share) || s.share <= last) {
            return no_stages(why);
        }
        if (s.share > 0) last = s.share;
        ret[n++] = s;
        size_t used = len < text.len ? len + 1 : len;
        if (used == text.len && len < text.len) return no_stages(why); /* a comma at the end */
        text = (porch_bytes){text.at + used, text.len - used};
    }
    if (text.len > 0 || last != PORCH_ROLLOUT_ONE) return no_stages(why);
    *count = n;
    return PORCH_OK;
}

uint32_t porch_rollout_stage_of(const porch_rollout_row *row, uint32_t cohort, const char *household) {
    for (uint32_t i = 0; i < row->stage_count; i++) {
        const porch_rollout_stage *s = &row->stages[i];
        if (s->share > 0 ? cohort < s->share : strcmp(s->household, household) == 0) return i;
    }
    return (uint32_t)row->stage_count; /* not reached: the last share is all */
}

/* ---- rows ---- */

#define ROW_COLUMNS                                                                                   \
    "number, product, version, sha256, state, stages, stage, approve, awaiting, rate, ramp, errors, " \
    "deadline_s, "                                                                                    \
    "attempts, dwell_s, stage_ms, filled, whole, devices, asked, good, failed"

static porch_err read_row(porch_db_query *q, porch_rollout_row *row) {
    *row = (porch_rollout_row){.number = porch_db_i64(q, 0)};
    porch_buf hash = PORCH_BUF_OF(row->sha256);
    porch_bytes state = porch_db_text(q, 4);
    (void)snprintf(row->id, sizeof row->id, "r%lld", (long long)row->number);
    PORCH_TRY(porch_id_parse(porch_db_text(q, 1), &row->product));
    (void)porch_bytes_to_text(porch_db_text(q, 2), row->version, sizeof row->version);
    PORCH_TRY(porch_hex_read(&hash, porch_db_text(q, 3)));
    row->running = porch_bytes_eq_text(state, "running");
    row->paused = porch_bytes_eq_text(state, "paused");
    row->done = porch_bytes_eq_text(state, "done");
    PORCH_TRY(porch_rollout_stages_read(porch_db_text(q, 5), row->stages, &row->stage_count, NULL));
    row->stage = (uint32_t)porch_db_i64(q, 6);
    row->approve = porch_db_i64(q, 7) != 0;
    row->awaiting = porch_db_i64(q, 8) != 0;
    row->rate = (uint32_t)porch_db_i64(q, 9);
    row->ramp = (uint32_t)porch_db_i64(q, 10);
    row->errors = (uint32_t)porch_db_i64(q, 11);
    row->deadline_s = (uint32_t)porch_db_i64(q, 12);
    row->attempts = (uint32_t)porch_db_i64(q, 13);
    row->dwell_s = (uint32_t)porch_db_i64(q, 14);
    row->stage_ms = (uint64_t)porch_db_i64(q, 15);
    (void)porch_bytes_to_text(porch_db_text(q, 16), row->filled, sizeof row->filled);
    row->whole = porch_db_i64(q, 17) != 0;
    row->devices = (uint64_t)porch_db_i64(q, 18);
    row->asked = (uint64_t)porch_db_i64(q, 19);
    row->good = (uint64_t)porch_db_i64(q, 20);
    row->failed = (uint64_t)porch_db_i64(q, 21);
    return PORCH_OK;
}

static porch_err take_row(porch_db_query *q, porch_rollout_row *ret, porch_why *why) {
    porch_err e = porch_db_step(q, why);
    if (e == PORCH_OK) e = read_row(q, ret);
    porch_db_finish(q);
    return e;
}

porch_err porch_rollout_of_product(porch_db *db, const char *product, porch_rollout_row *ret,
                                   porch_why *why) {
    porch_db_query *q =
        porch_db_prepare(db,
                         "select " ROW_COLUMNS " from update_rollout where product = ?1 and state <> "
                         "'aborted' and swept = 0 order by number desc limit 1",
                         why);
    porch_db_bind_str(q, 1, product);
    return take_row(q, ret, why);
}

porch_err porch_rollout_by_number(porch_db *db, int64_t number, porch_rollout_row *ret, porch_why *why) {
    porch_db_query *q =
        porch_db_prepare(db, "select " ROW_COLUMNS " from update_rollout where number = ?1", why);
    porch_db_bind_i64(q, 1, number);
    return take_row(q, ret, why);
}

porch_err porch_rollout_ready(const porch_rollouts *r, porch_why *why) {
    return r->config.ready == NULL ? PORCH_OK : r->config.ready(r->config.ready_ctx, why);
}

/* ---- words for devices ---- */

/* Where it is full, a device is told when it reports next, or when its deadline passes. */
void porch_rollout_say(porch_rollouts *r, const porch_rollout_row *row, const char *device,
                       uint64_t attempt) {
    porch_update_desired d = {.any = row != NULL};
    porch_rollout_said said = {.len = 0};
    porch_buf b = PORCH_BUF_OF(said.desired);
    if (row != NULL) {
        if (porch_id_parse(porch_bytes_of(row->id), &d.rollout) != PORCH_OK) return;
        d.product = row->product;
        d.version = porch_bytes_of(row->version);
        memcpy(d.sha256, row->sha256, sizeof d.sha256);
        d.attempt = attempt;
    }
    if (!porch_bytes_to_text(porch_bytes_of(device), said.device, sizeof said.device) ||
        porch_update_desired_write(&b, &d) != PORCH_OK)
        return;
    said.len = b.len;
    (void)porch_store_news_add(r->news, &said);
}

static void tell(const void *word, void *ctx) {
    const porch_rollouts *r = ctx;
    const porch_rollout_said *said = word;
    if (r->tell != NULL) r->tell(said->device, (porch_bytes){said->desired, said->len}, r->tell_ctx);
}

/* ---- allowance: a bucket that holds what the rate gives in ota.burst_ms, at least one device ---- */

#define RATE_MOST UINT64_C(100000000) /* what `start` takes; times an hour in ms it fits */

static uint64_t rate_now(const porch_rollout_row *row, uint64_t now_ms) {
    uint64_t minutes = now_ms > row->stage_ms ? (now_ms - row->stage_ms) / 60000 : 0;
    if (row->ramp == 0 || minutes > 30) return row->rate;
    uint64_t ramped = (uint64_t)row->ramp << minutes;
    if (ramped > RATE_MOST) ramped = RATE_MOST;
    return row->rate == 0 || ramped < row->rate ? ramped : row->rate;
}

static porch_rollout_allowance *allowance_of(porch_rollouts *r, int64_t number, uint64_t now_ms) {
    porch_rollout_allowance *oldest = &r->allowance[0];
    for (size_t i = 0; i < PORCH_ROLLOUT_ACTIVE_MOST; i++) {
        if (r->allowance[i].number == number) return &r->allowance[i];
        if (r->allowance[i].at_ms < oldest->at_ms) oldest = &r->allowance[i];
    }
    *oldest = (porch_rollout_allowance){number, now_ms, 60000};
    return oldest;
}

bool porch_rollout_may_ask(porch_rollouts *r, const porch_rollout_row *row, uint64_t now_ms) {
    uint64_t rate = rate_now(row, now_ms);
    if (rate == 0) return true;
    porch_rollout_allowance *a = allowance_of(r, row->number, now_ms);
    uint64_t passed = now_ms > a->at_ms ? now_ms - a->at_ms : 0,
             most = rate * r->config.settings->ota_burst_ms;
    if (most < 60000) most = 60000;
    if (passed > 3600000) passed = 3600000;
    a->units += passed * rate;
    if (a->units > most) a->units = most;
    a->at_ms = now_ms;
    if (a->units < 60000) return false;
    a->units -= 60000;
    return true;
}

/* ---- turns ---- */

typedef struct {
    int asked, good, failed, unfit;
} more;

static porch_err count(porch_db *db, int64_t number, more m, porch_why *why) {
    porch_db_query *q = porch_db_prepare(db,
                                         "update update_rollout set asked = asked + ?2, good = good + ?3, "
                                         "failed = failed + ?4, unfit = unfit + ?5 where number = ?1",
                                         why);
    porch_db_bind_i64(q, 1, number);
    porch_db_bind_i64(q, 2, m.asked);
    porch_db_bind_i64(q, 3, m.good);
    porch_db_bind_i64(q, 4, m.failed);
    porch_db_bind_i64(q, 5, m.unfit);
    return porch_db_execute(q, why);
}

porch_err porch_rollout_stage_count(porch_db *db, int64_t number, uint32_t stage, int64_t turns, int ended,
                                    int away, porch_why *why) {
    if (turns == 0 && ended == 0 && away == 0) return PORCH_OK;
    porch_db_query *q = porch_db_prepare(
        db,
        "insert into update_stage (rollout, stage, turns, ended, away) values (?1, ?2, ?3, ?4, ?5) on "
        "conflict (rollout, stage) do update set turns = turns + ?3, ended = ended + ?4, away = away + ?5",
        why);
    porch_db_bind_i64(q, 1, number);
    porch_db_bind_i64(q, 2, stage);
    porch_db_bind_i64(q, 3, turns);
    porch_db_bind_i64(q, 4, ended);
    porch_db_bind_i64(q, 5, away);
    return porch_db_execute(q, why);
}

static bool is_end(int state) {
    return state == TURN_GOOD || state == TURN_FAILED || state == TURN_UNFIT;
}

static porch_err put_turn(porch_db *db, const porch_rollout_row *row, const char *device,
                          const porch_rollout_turn *t, int state, uint64_t attempt, const char *reason,
                          bool asked, uint64_t now_ms, porch_why *why) {
    porch_db_query *q = porch_db_prepare(
        db,
        "update update_turn set state = ?3, attempt = ?4, reason = ?5, at_ms = ?6, asked_ms = iif(?7, ?6, "
        "asked_ms) where rollout = ?1 and cohort = ?8 and device = ?2",
        why);
    porch_db_bind_i64(q, 1, row->number);
    porch_db_bind_str(q, 2, device);
    porch_db_bind_i64(q, 3, state);
    porch_db_bind_i64(q, 4, (int64_t)attempt);
    porch_db_bind_str(q, 5, reason);
    porch_db_bind_i64(q, 6, (int64_t)now_ms);
    porch_db_bind_i64(q, 7, asked);
    porch_db_bind_i64(q, 8, t->cohort);
    PORCH_TRY(porch_db_execute(q, why));
    return porch_rollout_stage_count(db, row->number, t->stage, 0, is_end(state) - is_end(t->state),
                                     (state == TURN_AWAY) - (t->state == TURN_AWAY), why);
}

porch_err porch_rollout_turn_set(porch_db *db, const porch_rollout_row *row, const char *device,
                                 const porch_rollout_turn *t, int state, const char *reason,
                                 uint64_t now_ms, porch_why *why) {
    return put_turn(db, row, device, t, state, t->attempt, reason, false, now_ms, why);
}

porch_err porch_rollout_ask(porch_rollouts *r, porch_db *db, const porch_rollout_row *row,
                            const char *device, const porch_rollout_turn *t, uint64_t now_ms,
                            porch_why *why) {
    PORCH_TRY(put_turn(db, row, device, t, TURN_ASKED, t->attempt + 1, "", true, now_ms, why));
    if (t->attempt == 0) PORCH_TRY(count(db, row->number, (more){.asked = 1}, why));
    porch_rollout_say(r, row, device, t->attempt + 1);
    return PORCH_OK;
}

porch_err porch_rollout_ask_again(porch_rollouts *r, porch_db *db, const porch_rollout_row *row,
                                  const char *device, const porch_rollout_turn *t, uint64_t now_ms,
                                  porch_why *why) {
    if (porch_rollout_may_ask(r, row, now_ms)) return porch_rollout_ask(r, db, row, device, t, now_ms, why);
    return porch_rollout_turn_set(db, row, device, t, TURN_WAITS, "", now_ms, why);
}

porch_err porch_rollout_turn_end(porch_db *db, const porch_rollout_row *row, const char *device,
                                 const porch_rollout_turn *t, int state, const char *reason,
                                 uint64_t now_ms, porch_why *why) {
    /* Who is unfit is not among the asked, of whom so many percent may fail. */
    const bool was_asked = t->attempt > 0 && t->state != TURN_UNFIT;
    const more m = {.asked = (state != TURN_UNFIT) - was_asked,
                    .good = state == TURN_GOOD,
                    .failed = (state == TURN_FAILED) - (t->state == TURN_FAILED),
                    .unfit = (state == TURN_UNFIT) - (t->state == TURN_UNFIT)};
    PORCH_TRY(porch_rollout_turn_set(db, row, device, t, state, reason, now_ms, why));
    return count(db, row->number, m, why);
}

/* Nothing for the device: its row on people's pages has changed. */
static void tell_pages(porch_rollouts *r, const char *device) {
    porch_rollout_said said = {.len = 0};
    if (porch_bytes_to_text(porch_bytes_of(device), said.device, sizeof said.device))
        (void)porch_store_news_add(r->news, &said);
}

/* ---- a device reports ---- */

static porch_err turn_get(porch_db *db, const porch_rollout_row *row, const char *device,
                          porch_rollout_turn *ret, porch_why *why) {
    uint32_t cohort = porch_rollout_cohort(device, row->sha256);
    porch_db_query *q = porch_db_prepare(
        db,
        "select state, stage, attempt from update_turn where rollout = ?1 and cohort = ?2 and device = ?3",
        why);
    porch_db_bind_i64(q, 1, row->number);
    porch_db_bind_i64(q, 2, cohort);
    porch_db_bind_str(q, 3, device);
    porch_err e = porch_db_step(q, why);
    *ret = (porch_rollout_turn){.there = e == PORCH_OK, .cohort = cohort};
    if (e == PORCH_OK) {
        ret->state = (int)porch_db_i64(q, 0);
        ret->stage = (uint32_t)porch_db_i64(q, 1);
        ret->attempt = (uint64_t)porch_db_i64(q, 2);
    }
    porch_db_finish(q);
    return e == PORCH_ERR_NOT_FOUND ? PORCH_OK : e;
}

/* One that came after the turns were dealt out. */
static porch_err late_joiner(porch_db *db, const porch_rollout_row *row, const char *device,
                             const char *household, porch_rollout_turn *ret, porch_why *why) {
    ret->there = true;
    ret->stage = porch_rollout_stage_of(row, ret->cohort, household);
    porch_db_query *q = porch_db_prepare(
        db, "insert into update_turn (rollout, device, stage, cohort) values (?1, ?2, ?3, ?4)", why);
    porch_db_bind_i64(q, 1, row->number);
    porch_db_bind_str(q, 2, device);
    porch_db_bind_i64(q, 3, ret->stage);
    porch_db_bind_i64(q, 4, ret->cohort);
    PORCH_TRY(porch_db_execute(q, why));
    PORCH_TRY(porch_rollout_stage_count(db, row->number, ret->stage, 1, 0, 0, why));
    q = porch_db_prepare(db, "update update_rollout set devices = devices + 1 where number = ?1", why);
    porch_db_bind_i64(q, 1, row->number);
    return porch_db_execute(q, why);
}

static bool attempt_ends(const porch_update_status *s) {
    return porch_update_state_ended(s->state);
}

/* What the report means for the attempt that was asked for. */
static porch_err attempt_heard(porch_rollouts *r, porch_db *db, const porch_rollout_row *row,
                               const char *device, const porch_rollout_turn *t,
                               const porch_update_status *s, uint64_t at_ms, porch_why *why) {
    char reason[PORCH_UPDATE_REASON_MOST + 1];
    if (!attempt_ends(s)) /* a sign of life */
        return porch_rollout_turn_set(db, row, device, t, TURN_ASKED, "", at_ms, why);
    (void)snprintf(reason, sizeof reason, "%.*s", PORCH_FMT(s->reason));
    if (reason[0] == '\0') (void)snprintf(reason, sizeof reason, "%s", porch_update_state_word(s->state));
    if (s->state == PORCH_UPDATE_GOOD) /* good, but another version runs: it was not this release */
        (void)snprintf(reason, sizeof reason, "it says good and runs %.*s", PORCH_FMT(s->running));
    bool again =
        s->state == PORCH_UPDATE_FAILED && t->attempt < row->attempts && (row->running || row->done);
    if (again) return porch_rollout_ask_again(r, db, row, device, t, at_ms, why);
    const int end = s->state == PORCH_UPDATE_UNFIT ? TURN_UNFIT : TURN_FAILED;
    return porch_rollout_turn_end(db, row, device, t, end, reason, at_ms, why);
}

static porch_err turn_heard(porch_rollouts *r, porch_db *db, const porch_rollout_row *row,
                            const char *device, const char *household, const porch_update_status *s,
                            uint64_t at_ms, porch_why *why) {
    porch_rollout_turn t;
    bool ours = s->has_rollout && porch_bytes_eq_text(porch_id_bytes(&s->rollout), row->id);
    PORCH_TRY(turn_get(db, row, device, &t, why));
    if (!t.there) PORCH_TRY(late_joiner(db, row, device, household, &t, why));
    bool runs_it = porch_bytes_eq_text(s->running, row->version);
    if (runs_it && s->state == PORCH_UPDATE_GOOD) {
        if (t.state == TURN_GOOD) return PORCH_OK;
        return porch_rollout_turn_end(db, row, device, &t, TURN_GOOD, "", at_ms, why);
    }
    if (is_end(t.state)) return PORCH_OK;
    if (t.state == TURN_ASKED) {
        if (ours && (s->attempt == 0 || s->attempt == t.attempt))
            return attempt_heard(r, db, row, device, &t, s, at_ms, why);
        if (!row->paused) porch_rollout_say(r, row, device, t.attempt);
        return PORCH_OK;
    }
    bool its_turn =
        (row->running || row->done) && t.stage <= row->stage && porch_rollout_ready(r, NULL) == PORCH_OK;
    if (its_turn && porch_rollout_may_ask(r, row, at_ms))
        return porch_rollout_ask(r, db, row, device, &t, at_ms, why);
    /* It is there again: the tick finds it when the allowance lets it. */
    return t.state == TURN_AWAY ? porch_rollout_turn_set(db, row, device, &t, TURN_WAITS, "", at_ms, why)
                                : PORCH_OK;
}

porch_err porch_rollout_heard(porch_rollouts *r, porch_db *db, const char *device,
                              const porch_update_status *s, uint64_t at_ms, porch_why *why) {
    porch_rollout_word d = {.product = ""};
    porch_rollout_row row;
    porch_err e = porch_rollout_word_get(db, device, s, &d, why);
    if (e == PORCH_ERR_NOT_FOUND) return PORCH_OK; /* it was removed a moment ago */
    PORCH_TRY(e);
    PORCH_TRY(porch_rollout_word_put(db, device, &d, s, at_ms, r->config.settings->ota_history, why));
    if (d.changed) tell_pages(r, device);
    e = porch_rollout_of_product(db, d.product, &row, why);
    bool other =
        s->has_rollout && (e != PORCH_OK || !porch_bytes_eq_text(porch_id_bytes(&s->rollout), row.id));
    if (e != PORCH_OK && e != PORCH_ERR_NOT_FOUND) return e;
    const size_t room = porch_store_news_room(r->news); /* after words for pages */
    if (e == PORCH_OK) PORCH_TRY(turn_heard(r, db, &row, device, d.household, s, at_ms, why));
    /* It works on a rollout that is over, or paused, and nothing else was said: let it rest. */
    bool stops = other || (e == PORCH_OK && row.paused && s->has_rollout);
    if (stops && !attempt_ends(s) && porch_store_news_room(r->news) == room)
        porch_rollout_say(r, NULL, device, 0);
    return PORCH_OK;
}

static bool is_status(const porch_store_message *m) {
    static const char end[] = "/update/status";
    return m->topic.len == 2 + m->device.len + sizeof end - 1 && memcmp(m->topic.at, "d/", 2) == 0 &&
           memcmp(m->topic.at + 2, m->device.at, m->device.len) == 0 &&
           memcmp(m->topic.at + 2 + m->device.len, end, sizeof end - 1) == 0;
}

static porch_err on_message(porch_db *db, const porch_store_message *m, uint64_t seq, void *ctx,
                            porch_why *why) {
    char device[PORCH_ID_MOST + 1];
    porch_rollouts *r = ctx;
    porch_update_status s;
    (void)seq;
    if (!is_status(m)) return PORCH_OK;
    PORCH_TRY(porch_update_status_read(m->payload, &s, why)); /* the store logs it */
    if (!porch_bytes_to_text(m->device, device, sizeof device)) return PORCH_ERR_MALFORMED;
    return porch_rollout_heard(r, db, device, &s, m->at_ms, why);
}

/* ---- life ---- */

porch_err porch_rollouts_open(const porch_rollouts_config *config, porch_rollouts **ret, porch_why *why) {
    porch_rollouts *r = calloc(1, sizeof *r);
    if (r == NULL) return porch_fail(why, PORCH_ERR_NO_SPACE, "no memory for rollouts");
    porch_err e = porch_store_news_open(config->store, sizeof(porch_rollout_said), PORCH_ROLLOUT_TELL_MOST,
                                        tell, r, &r->news, why);
    if (e != PORCH_OK) {
        porch_rollouts_close(r);
        return e;
    }
    r->config = *config;
    porch_store_on_message(config->store, on_message, r);
    porch_store_on_tick(config->store, porch_rollout_tick, r);
    *ret = r;
    return PORCH_OK;
}

void porch_rollouts_close(porch_rollouts *r) {
    free(r);
}

void porch_rollouts_on_tell(porch_rollouts *r, porch_rollout_tell_fn fn, void *ctx) {
    r->tell = fn;
    r->tell_ctx = ctx;
}
