/* ota.rollout.*, ota.history and ota.audit on the admin socket. */
#include <stdio.h>
#include <string.h>

#include "base/text.h"
#include "cloud/api/admin.h"
#include "cloud/rollout/rollout.h"
#include "os/clock.h"

static porch_err need_rollouts(porch_admin_call *call) {
    if (call->world->rollouts != NULL) return PORCH_OK;
    return porch_fail(call->why, PORCH_ERR_STATE,
                      "the hub is not running: rollouts need devices that can be told");
}

static porch_err number(porch_admin_call *call, const char *name, uint64_t most, uint32_t *ret) {
    const json_t *value = json_object_get(call->args, name);
    if (value == NULL) return PORCH_OK; /* the default stays */
    if (!json_is_integer(value) || json_integer_value(value) < 0 ||
        (uint64_t)json_integer_value(value) > most)
        return porch_fail(call->why, PORCH_ERR_USAGE, "'%s' is a whole number from 0 to %llu", name,
                          (unsigned long long)most);
    *ret = (uint32_t)json_integer_value(value);
    return PORCH_OK;
}

/* ---- start and acts ---- */

typedef struct {
    porch_rollouts *rollouts;
    porch_rollout_spec spec;
    const char *id, *reason;
    porch_rollout_act act;
    char made[PORCH_ROLLOUT_ID_TEXT];
} job;

static porch_err do_start(porch_db *db, void *ctx, porch_why *why) {
    job *j = ctx;
    return porch_rollout_start(j->rollouts, db, &j->spec, "operator", porch_clock_ms(), j->made, why);
}

static porch_err start(porch_admin_call *call) {
    static const char *const names[] = {"product",    "version",  "stages",  "rate",    "ramp", "errors",
                                        "deadline_s", "attempts", "dwell_s", "approve", NULL};
    job j = {.rollouts = call->world->rollouts,
             .spec = {.stages = NULL, .rate = 0, .errors = 5, .deadline_s = 86400, .attempts = 3}};
    PORCH_TRY(porch_admin_only(call, names));
    PORCH_TRY(need_rollouts(call));
    PORCH_TRY(porch_admin_text(call, "product", &j.spec.product));
    PORCH_TRY(porch_admin_text(call, "version", &j.spec.version));
    PORCH_TRY(porch_admin_text_optional(call, "stages", &j.spec.stages));
    if (j.spec.stages == NULL) j.spec.stages = "1,10,50,100";
    PORCH_TRY(number(call, "rate", 100000000, &j.spec.rate));
    PORCH_TRY(number(call, "ramp", 1000000, &j.spec.ramp));
    PORCH_TRY(number(call, "errors", 100, &j.spec.errors));
    PORCH_TRY(number(call, "deadline_s", 31536000, &j.spec.deadline_s));
    PORCH_TRY(number(call, "attempts", PORCH_UPDATE_ATTEMPT_MOST, &j.spec.attempts));
    PORCH_TRY(number(call, "dwell_s", 31536000, &j.spec.dwell_s));
    j.spec.approve = porch_admin_flag(call, "approve");
    PORCH_TRY(porch_store_write(call->world->store, do_start, &j, call->why));
    return json_object_set_new(call->result, "id", json_string(j.made)) == 0 ? PORCH_OK
                                                                             : PORCH_ERR_INTERNAL;
}

static porch_err do_act(porch_db *db, void *ctx, porch_why *why) {
    job *j = ctx;
    return porch_rollout_do(j->rollouts, db, j->id, j->act, "operator", j->reason, porch_clock_ms(), why);
}

static porch_err act(porch_admin_call *call, porch_rollout_act what) {
    static const char *const names[] = {"id", "reason", NULL};
    job j = {.rollouts = call->world->rollouts, .act = what};
    PORCH_TRY(porch_admin_only(call, names));
    PORCH_TRY(need_rollouts(call));
    PORCH_TRY(porch_admin_text(call, "id", &j.id));
    PORCH_TRY(porch_admin_text_optional(call, "reason", &j.reason));
    if (j.reason == NULL) j.reason = "";
    if (strlen(j.reason) > PORCH_UPDATE_REASON_MOST)
        return porch_fail(call->why, PORCH_ERR_LIMIT, "a reason has at most %u bytes; say it shorter",
                          (unsigned)PORCH_UPDATE_REASON_MOST);
    PORCH_TRY(porch_store_write(call->world->store, do_act, &j, call->why));
    return json_object_set_new(call->result, "id", json_string(j.id)) == 0 ? PORCH_OK : PORCH_ERR_INTERNAL;
}

static porch_err pause(porch_admin_call *call) {
    return act(call, PORCH_ROLLOUT_PAUSE);
}
static porch_err resume(porch_admin_call *call) {
    return act(call, PORCH_ROLLOUT_RESUME);
}
static porch_err abort_it(porch_admin_call *call) {
    return act(call, PORCH_ROLLOUT_ABORT);
}
static porch_err approve(porch_admin_call *call) {
    return act(call, PORCH_ROLLOUT_APPROVE);
}

/* ---- looking ---- */

static json_int_t n(uint64_t value) {
    return (json_int_t)value;
}

static bool add_view(const porch_rollout_view *v, void *ctx) {
    json_t *o =
        json_pack("{s:s,s:s,s:s,s:s,s:s,s:s,s:I,s:I,s:b,s:I,s:I}", "id", v->id, "product", v->product,
                  "version", v->version, "state", v->state, "why", v->why, "stages", v->stages, "stage",
                  n(v->stage), "stage_count", n(v->stage_count), "awaiting_approval", v->awaiting,
                  "started_ms", n(v->started_ms), "ended_ms", n(v->ended_ms));
    json_t *counts =
        json_pack("{s:I,s:I,s:I,s:I,s:I,s:I}", "devices", n(v->devices), "asked", n(v->asked), "good",
                  n(v->good), "failed", n(v->failed), "away", n(v->away), "unfit", n(v->unfit));
    return o != NULL && json_object_update_new(o, counts) == 0 && json_array_append_new(ctx, o) == 0;
}

static porch_err read_list(porch_db *db, void *ctx, porch_why *why) {
    return porch_rollout_list(db, add_view, ctx, why);
}

static porch_err status(porch_admin_call *call) {
    static const char *const names[] = {NULL};
    json_t *list = json_array();
    if (json_object_set_new(call->result, "rollouts", list) != 0) return PORCH_ERR_INTERNAL;
    PORCH_TRY(porch_admin_only(call, names));
    return porch_store_read(call->world->store, read_list, list, call->why);
}

typedef struct {
    const char *device;
    uint64_t most;
    json_t *into, *story;
} history_job;

static bool add_story(const porch_rollout_story *s, void *ctx) {
    char id[PORCH_ROLLOUT_ID_TEXT] = "";
    if (s->rollout > 0) (void)snprintf(id, sizeof id, "r%llu", (unsigned long long)s->rollout);
    return json_array_append_new(ctx,
                                 json_pack("{s:I,s:s,s:I,s:s,s:s,s:s,s:s}", "at_ms", n(s->at_ms), "rollout",
                                           id, "attempt", n(s->attempt), "running", s->running, "target",
                                           s->target, "state", s->state, "reason", s->reason)) == 0;
}

static porch_err read_history(porch_db *db, void *ctx, porch_why *why) {
    history_job *j = ctx;
    porch_rollout_device d;
    PORCH_TRY(porch_rollout_device_get(db, j->device, &d, why));
    (void)json_object_set_new(j->into, "running", json_string(d.running));
    (void)json_object_set_new(j->into, "state", json_string(d.state));
    (void)json_object_set_new(j->into, "floor", json_integer(n(d.floor)));
    return porch_rollout_history(db, j->device, j->most, add_story, j->story, why);
}

static porch_err history(porch_admin_call *call) {
    static const char *const names[] = {"device", NULL};
    history_job j = {
        .most = call->world->settings->ota_history, .into = call->result, .story = json_array()};
    if (json_object_set_new(call->result, "history", j.story) != 0) return PORCH_ERR_INTERNAL;
    PORCH_TRY(porch_admin_only(call, names));
    PORCH_TRY(porch_admin_text(call, "device", &j.device));
    return porch_store_read(call->world->store, read_history, &j, call->why);
}

/* ---- audit ---- */

static porch_err rows(porch_db *db, const char *sql, const char *const *columns, const char *kinds,
                      uint64_t now_ms, json_t *into, porch_why *why) {
    porch_db_query *q = porch_db_prepare(db, sql, why);
    porch_err e = PORCH_OK;
    porch_db_bind_i64(q, 1, (int64_t)now_ms);
    while ((e = porch_db_step(q, why)) == PORCH_OK) {
        json_t *o = json_object();
        for (int i = 0; columns[i] != NULL; i++) {
            porch_bytes text = porch_db_text(q, i);
            json_t *value = kinds[i] == 'i'   ? json_integer(porch_db_i64(q, i))
                            : kinds[i] == 'j' ? json_loadb((const char *)text.at, text.len, 0, NULL)
                                              : json_stringn((const char *)text.at, text.len);
            (void)json_object_set_new(o, columns[i], value != NULL ? value : json_null());
        }
        if (json_array_append_new(into, o) != 0) e = PORCH_ERR_NO_SPACE;
        if (e != PORCH_OK) break;
    }
    porch_db_finish(q);
    return e == PORCH_ERR_NOT_FOUND ? PORCH_OK : e;
}

/* `fixed`: releases that mend something. A device has the fix when what it runs was released with or after
 * it. */
static const struct {
    const char *name, *sql;
    const char *columns[12];
    const char *kinds;
} audit_parts[] = {
    {"releases",
     "select product, version, severity, counter, bytes, sha256, role, signers, released_ms, published_ms, "
     "withdrawn_ms "
     "from update_release where ?1 > 0 order by product, serial",
     {"product", "version", "severity", "counter", "bytes", "sha256", "role", "signers", "released_ms",
      "published_ms", "withdrawn_ms"},
     "sssiisssiii"},
    {"roles",
     "select name, version, expires_ms, threshold, keys, signers, (expires_ms - ?1) / 86400000 from "
     "update_role order by "
     "expires_ms",
     {"role", "version", "expires_ms", "threshold", "keys", "signers", "days_left"},
     "siiijsi"},
    {"below_floor",
     "select d.id, d.product, coalesce(u.running, ''), coalesce(u.floor, 0), f.counter from device d join "
     "(select product, "
     "max(counter) as counter from update_release where withdrawn_ms = 0 group by product) f on f.product "
     "= d.product left "
     "join update_device u on u.device = d.id where ?1 > 0 and d.revoked_ms is null and coalesce(u.floor, "
     "0) < f.counter "
     "order by d.product, d.id limit 1000",
     {"device", "product", "running", "floor", "wanted"},
     "sssii"},
    {"fixed",
     "select r.product, r.version, r.severity, (?1 - r.released_ms) / 86400000, (select count(*) from "
     "device d where "
     "d.product = r.product and d.revoked_ms is null), (select count(*) from device d join update_device u "
     "on u.device = "
     "d.id join update_release x on x.product = d.product and x.version = u.running where d.product = "
     "r.product and "
     "d.revoked_ms is null and x.serial >= r.serial) from update_release r where r.severity in ('low', "
     "'medium', 'high', "
     "'critical') and r.withdrawn_ms = 0 order by r.product, r.serial",
     {"product", "version", "severity", "days", "devices", "fixed"},
     "sssiii"},
};

static porch_err read_audit(porch_db *db, void *ctx, porch_why *why) {
    for (size_t i = 0; i < sizeof audit_parts / sizeof audit_parts[0]; i++) {
        json_t *list = json_array();
        if (json_object_set_new(ctx, audit_parts[i].name, list) != 0) return PORCH_ERR_NO_SPACE;
        PORCH_TRY(rows(db, audit_parts[i].sql, audit_parts[i].columns, audit_parts[i].kinds,
                       porch_clock_ms(), list, why));
    }
    return PORCH_OK;
}

static porch_err audit(porch_admin_call *call) {
    static const char *const names[] = {NULL};
    PORCH_TRY(porch_admin_only(call, names));
    return porch_store_read(call->world->store, read_audit, call->result, call->why);
}

const porch_admin_command porch_admin_rollout_commands[] = {
    {"ota.rollout.start", start},
    {"ota.rollout.pause", pause},
    {"ota.rollout.resume", resume},
    {"ota.rollout.abort", abort_it},
    {"ota.rollout.approve", approve},
    {"ota.rollout.status", status},
    {"ota.history", history},
    {"ota.audit", audit},
    {NULL, NULL},
};
