/* What the tests of rollouts share: a fleet of rows over a real store, whose reports come as they would
 * from the broker. With PORCH_SWEEP in the environment the store is as a hub of a large fleet has it. */
#ifndef PORCH_CLOUD_ROLLOUT_ROLLOUT_TESTBED_H
#define PORCH_CLOUD_ROLLOUT_ROLLOUT_TESTBED_H

#include "cloud/rollout/rollout_room.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include <semaphore.h>

#include <cmocka.h>

#include "cloud/store/store_testing.h"

#define PORCH_TESTBED_HEX "9f86d081884c7d659a2feaa0c55ad015a3bf4f1b2b0b822cd15d6c15b0f00a08"

typedef struct {
    store_lab lab;
    porch_rollouts *rollouts;
    uint64_t now_ms;
    const char *away; /* a device that is not connected */
    bool damaged;     /* there is nothing to fetch */
    size_t told;
    porch_store_lane *lane;
    sem_t answered;
    char device[65], desired[PORCH_ROLLOUT_TELL_BYTES + 1]; /* told last */
} fleet;

static inline bool online(void *ctx, const char *device) {
    const fleet *f = ctx;
    return f->away == NULL || strcmp(f->away, device) != 0;
}

static inline porch_err ready(void *ctx, porch_why *why) {
    const fleet *f = ctx;
    return f->damaged ? porch_fail(why, PORCH_ERR_STATE, "damaged") : PORCH_OK;
}

static inline void on_tell(const char *device, porch_bytes desired, void *ctx) {
    fleet *f = ctx;
    if (desired.len == 0) return;
    f->told++;
    (void)snprintf(f->device, sizeof f->device, "%s", device);
    (void)porch_bytes_to_text(desired, f->desired, sizeof f->desired);
}

static inline void on_answers(void *ctx) {
    (void)sem_post(&((fleet *)ctx)->answered);
}

static inline int setup(void **state) {
    fleet *f = calloc(1, sizeof *f);
    if (f == NULL) return -1;
    store_lab_make(&f->lab);
    f->lab.settings.store_tick_ms = 3600000; /* the test ticks */
    f->lab.settings.ota_history = 3;
    if (getenv("PORCH_SWEEP") != NULL) { /* as a hub of this size has it */
        f->lab.settings.store_cache_kib = 262144;
        f->lab.settings.store_checkpoint_pages = 50000;
    }
    if (store_lab_open(&f->lab) != PORCH_OK) return -1;
    const porch_rollouts_config config = {f->lab.store, &f->lab.settings, online, f, ready, f};
    if (porch_rollouts_open(&config, &f->rollouts, NULL) != PORCH_OK) return -1;
    porch_rollouts_on_tell(f->rollouts, on_tell, f);
    (void)sem_init(&f->answered, 0, 0);
    f->lane = porch_store_lane_open(f->lab.store, on_answers, f);
    if (f->lane == NULL) return -1;
    f->now_ms = 1800000000000;
    *state = f;
    return 0;
}

static inline int teardown(void **state) {
    fleet *f = *state;
    store_lab_close(&f->lab);
    porch_rollouts_close(f->rollouts);
    store_lab_remove(&f->lab);
    free(f);
    return 0;
}

/* ---- the writer's work ---- */

typedef struct {
    fleet *f;
    const char *sql;
    unsigned from, count;
    const porch_rollout_spec *spec;
    const char *id, *device, *reason;
    porch_rollout_act act;
    const porch_update_status *status;
    char made[PORCH_ROLLOUT_ID_TEXT];
} job;

static inline porch_err do_sql(porch_db *db, void *ctx, porch_why *why) {
    return porch_db_run(db, ((job *)ctx)->sql, why);
}
static inline porch_err do_start(porch_db *db, void *ctx, porch_why *why) {
    job *j = ctx;
    return porch_rollout_start(j->f->rollouts, db, j->spec, "operator", j->f->now_ms, j->made, why);
}
static inline porch_err do_act(porch_db *db, void *ctx, porch_why *why) {
    job *j = ctx;
    return porch_rollout_do(j->f->rollouts, db, j->id, j->act, "operator", j->reason, j->f->now_ms, why);
}
static inline porch_err do_tick(porch_db *db, void *ctx, porch_why *why) {
    job *j = ctx;
    return porch_rollout_tick(db, j->f->now_ms, j->f->rollouts, why);
}
static inline porch_err do_add(porch_db *db, void *ctx, porch_why *why) {
    job *j = ctx;
    porch_err e = PORCH_OK;
    for (unsigned i = j->from; e == PORCH_OK && i < j->from + j->count; i++) {
        char id[32];
        (void)snprintf(id, sizeof id, "cam-%07u", i);
        porch_db_query *q = porch_db_prepare(
            db, "insert into device (id, product, household, added_ms) values (?1, 'camera', 'home', 1)",
            why);
        porch_db_bind_str(q, 1, id);
        e = porch_db_execute(q, why);
    }
    return e;
}
static inline porch_err do_heard(porch_db *db, void *ctx, porch_why *why) {
    job *j = ctx;
    return porch_rollout_heard(j->f->rollouts, db, j->device, j->status, j->f->now_ms, why);
}

static inline porch_err carry(fleet *f, porch_store_fn fn, job j, job *ret) {
    f->lab.why.text[0] = '\0';
    j.f = f;
    porch_err e = porch_store_write(f->lab.store, fn, &j, &f->lab.why);
    if (ret != NULL) *ret = j;
    return e;
}

static inline void sql(fleet *f, const char *text) {
    if (carry(f, do_sql, (job){.sql = text}, NULL) != PORCH_OK) fail_msg("%s: %s", text, f->lab.why.text);
}

static inline void tick(fleet *f, uint64_t later_ms) {
    f->now_ms += later_ms;
    if (carry(f, do_tick, (job){.sql = NULL}, NULL) != PORCH_OK) fail_msg("%s", f->lab.why.text);
}

static inline void arrive(fleet *f, unsigned devices) {
    sql(f,
        "insert or ignore into household (id, name, timezone, added_ms) values ('home', 'Home', 'UTC', 1)");
    sql(f, "insert into update_release (product, version, path, sha256, bytes, serial, counter, severity, "
           "hardware, notes, "
           "supported_until, released_ms, published_ms, role, signers) values ('camera', '2', "
           "'camera/2/image', '" PORCH_TESTBED_HEX "', 9, 2, 1, '', '[]', '', '', 1, 1, 'camera', 'k'), "
           "('camera', '3', 'camera/3/image', '" PORCH_TESTBED_HEX
           "', 9, 3, 1, 'high', '[]', '', '', 1, 1, 'camera', 'k')");
    assert_int_equal(carry(f, do_add, (job){.from = 0, .count = devices}, NULL), PORCH_OK);
}

static inline porch_rollout_spec plain(const char *version, const char *stages) {
    return (porch_rollout_spec){.product = "camera",
                                .version = version,
                                .stages = stages,
                                .errors = 20,
                                .deadline_s = 600,
                                .attempts = 2};
}

static inline const char *start(fleet *f, const porch_rollout_spec *spec) {
    static job j;
    if (carry(f, do_start, (job){.spec = spec}, &j) != PORCH_OK) fail_msg("%s", f->lab.why.text);
    return j.made;
}

/* A report: `state` of the attempt, in this rollout ("" for none). */
static inline void report(fleet *f, const char *device, const char *rollout, uint64_t attempt,
                          const char *running, porch_update_state state, const char *reason) {
    porch_update_status s = {.has_rollout = rollout[0] != '\0',
                             .running = porch_bytes_of(running),
                             .attempt = attempt,
                             .state = state,
                             .reason = porch_bytes_of(reason)};
    if (s.has_rollout) assert_int_equal(porch_id_parse(porch_bytes_of(rollout), &s.rollout), PORCH_OK);
    if (carry(f, do_heard, (job){.device = device, .status = &s}, NULL) != PORCH_OK)
        fail_msg("%s", f->lab.why.text);
}

static inline bool first_view(const porch_rollout_view *v, void *ctx) {
    *(porch_rollout_view *)ctx = *v;
    return false;
}
static inline porch_err do_look(porch_db *db, void *ctx, porch_why *why) {
    return porch_rollout_list(db, first_view, ctx, why);
}
static inline porch_rollout_view look(fleet *f) {
    porch_rollout_view v = {.stage = 0};
    assert_int_equal(porch_store_read(f->lab.store, do_look, &v, &f->lab.why), PORCH_OK);
    return v;
}

/* All that were asked report that they are good, as the broker hands it to the store: the message, durable,
 * and what rollouts make of it. */
enum { AT_ONCE = 20000 };
typedef struct {
    unsigned count;
    char (*names)[65];
} asked_list;

static inline porch_err read_asked(porch_db *db, void *ctx, porch_why *why) {
    asked_list *a = ctx;
    porch_db_query *q = porch_db_prepare(
        db, "select device from update_turn where state = 1 order by at_ms limit 20000", why);
    while (a->count < AT_ONCE && porch_db_step(q, why) == PORCH_OK)
        (void)porch_bytes_to_text(porch_db_text(q, 0), a->names[a->count++], 65);
    porch_db_finish(q);
    return PORCH_OK;
}

static inline void await(fleet *f, uint64_t ticket) {
    porch_store_answer answer = {.upto = 0};
    while (answer.upto < ticket) {
        if (!porch_store_lane_poll(f->lane, &answer))
            (void)sem_wait(&f->answered);
        else
            assert_int_equal(answer.result, PORCH_OK);
    }
}

/* A report as it comes from the broker. */
static inline void append_report(fleet *f, const char *device, const char *said) {
    char topic[100];
    uint64_t ticket = 0, last = porch_store_lane_last(f->lane);
    (void)snprintf(topic, sizeof topic, "d/%s/update/status", device);
    const porch_store_message m = {.at_ms = f->now_ms,
                                   .device = porch_bytes_of(device),
                                   .topic = porch_bytes_of(topic),
                                   .payload = porch_bytes_of(said),
                                   .qos = 1};
    porch_err e = porch_store_lane_append(f->lane, &m, &ticket);
    if (e == PORCH_ERR_BUSY) {
        await(f, last);
        e = porch_store_lane_append(f->lane, &m, &ticket);
    }
    assert_int_equal(e, PORCH_OK);
}

static inline void append_good(fleet *f, const char *device) {
    append_report(f, device,
                  "{\"v\":1,\"running\":\"2\",\"target\":\"2\",\"state\":\"good\",\"rollout\":\"r1\","
                  "\"attempt\":1,\"floor\":1,\"bytes\":2301453,\"way\":\"delta\"}");
}

static inline unsigned all_good(fleet *f) {
    asked_list a = {.names = calloc(AT_ONCE, 65)};
    assert_non_null(a.names);
    assert_int_equal(porch_store_read(f->lab.store, read_asked, &a, &f->lab.why), PORCH_OK);
    for (unsigned i = 0; i < a.count; i++)
        append_good(f, a.names[i]);
    if (a.count > 0) await(f, porch_store_lane_last(f->lane));
    free(a.names);
    return a.count;
}

#endif
