/* Rollouts over a real store: devices are rows, their reports come as they would from the broker. With
 * PORCH_SWEEP=1 (or a number) the fleet of the last test is a million devices (or so many). */
#include "cloud/rollout/rollout_room.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include <semaphore.h>
#include <sys/resource.h>
#include <sys/stat.h>

#include <cmocka.h>

#include "cloud/store/store_testing.h"
#include "os/clock.h"

#define HEX "9f86d081884c7d659a2feaa0c55ad015a3bf4f1b2b0b822cd15d6c15b0f00a08"

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

static bool online(void *ctx, const char *device) {
    const fleet *f = ctx;
    return f->away == NULL || strcmp(f->away, device) != 0;
}

static porch_err ready(void *ctx, porch_why *why) {
    const fleet *f = ctx;
    return f->damaged ? porch_fail(why, PORCH_ERR_STATE, "damaged") : PORCH_OK;
}

static void on_tell(const char *device, porch_bytes desired, void *ctx) {
    fleet *f = ctx;
    if (desired.len == 0) return;
    f->told++;
    (void)snprintf(f->device, sizeof f->device, "%s", device);
    (void)porch_bytes_to_text(desired, f->desired, sizeof f->desired);
}

static void on_answers(void *ctx) {
    (void)sem_post(&((fleet *)ctx)->answered);
}

static int setup(void **state) {
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

static int teardown(void **state) {
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

static porch_err do_sql(porch_db *db, void *ctx, porch_why *why) {
    return porch_db_run(db, ((job *)ctx)->sql, why);
}
static porch_err do_start(porch_db *db, void *ctx, porch_why *why) {
    job *j = ctx;
    return porch_rollout_start(j->f->rollouts, db, j->spec, "operator", j->f->now_ms, j->made, why);
}
static porch_err do_act(porch_db *db, void *ctx, porch_why *why) {
    job *j = ctx;
    return porch_rollout_do(j->f->rollouts, db, j->id, j->act, "operator", j->reason, j->f->now_ms, why);
}
static porch_err do_tick(porch_db *db, void *ctx, porch_why *why) {
    job *j = ctx;
    return porch_rollout_tick(db, j->f->now_ms, j->f->rollouts, why);
}
static porch_err do_add(porch_db *db, void *ctx, porch_why *why) {
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
static porch_err do_heard(porch_db *db, void *ctx, porch_why *why) {
    job *j = ctx;
    return porch_rollout_heard(j->f->rollouts, db, j->device, j->status, j->f->now_ms, why);
}

static porch_err carry(fleet *f, porch_store_fn fn, job j, job *ret) {
    f->lab.why.text[0] = '\0';
    j.f = f;
    porch_err e = porch_store_write(f->lab.store, fn, &j, &f->lab.why);
    if (ret != NULL) *ret = j;
    return e;
}

static void sql(fleet *f, const char *text) {
    if (carry(f, do_sql, (job){.sql = text}, NULL) != PORCH_OK) fail_msg("%s: %s", text, f->lab.why.text);
}

static void tick(fleet *f, uint64_t later_ms) {
    f->now_ms += later_ms;
    if (carry(f, do_tick, (job){.sql = NULL}, NULL) != PORCH_OK) fail_msg("%s", f->lab.why.text);
}

static void arrive(fleet *f, unsigned devices) {
    sql(f,
        "insert or ignore into household (id, name, timezone, added_ms) values ('home', 'Home', 'UTC', 1)");
    sql(f, "insert into update_release (product, version, path, sha256, bytes, serial, counter, severity, "
           "hardware, notes, "
           "supported_until, released_ms, published_ms, role, signers) values ('camera', '2', "
           "'camera/2/image', '" HEX
           "', 9, 2, 1, '', '[]', '', '', 1, 1, 'camera', 'k'), ('camera', '3', 'camera/3/image', '" HEX
           "', 9, 3, 1, 'high', '[]', '', '', 1, 1, 'camera', 'k')");
    assert_int_equal(carry(f, do_add, (job){.from = 0, .count = devices}, NULL), PORCH_OK);
}

static porch_rollout_spec plain(const char *version, const char *stages) {
    return (porch_rollout_spec){.product = "camera",
                                .version = version,
                                .stages = stages,
                                .errors = 20,
                                .deadline_s = 600,
                                .attempts = 2};
}

static const char *start(fleet *f, const porch_rollout_spec *spec) {
    static job j;
    if (carry(f, do_start, (job){.spec = spec}, &j) != PORCH_OK) fail_msg("%s", f->lab.why.text);
    return j.made;
}

/* A report: `state` of the attempt, in this rollout ("" for none). */
static void report(fleet *f, const char *device, const char *rollout, uint64_t attempt, const char *running,
                   porch_update_state state, const char *reason) {
    porch_update_status s = {.has_rollout = rollout[0] != '\0',
                             .running = porch_bytes_of(running),
                             .attempt = attempt,
                             .state = state,
                             .reason = porch_bytes_of(reason)};
    if (s.has_rollout) assert_int_equal(porch_id_parse(porch_bytes_of(rollout), &s.rollout), PORCH_OK);
    if (carry(f, do_heard, (job){.device = device, .status = &s}, NULL) != PORCH_OK)
        fail_msg("%s", f->lab.why.text);
}

static bool first_view(const porch_rollout_view *v, void *ctx) {
    *(porch_rollout_view *)ctx = *v;
    return false;
}
static porch_err do_look(porch_db *db, void *ctx, porch_why *why) {
    return porch_rollout_list(db, first_view, ctx, why);
}
static porch_rollout_view look(fleet *f) {
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

static porch_err read_asked(porch_db *db, void *ctx, porch_why *why) {
    asked_list *a = ctx;
    porch_db_query *q = porch_db_prepare(
        db, "select device from update_turn where state = 1 order by at_ms limit 20000", why);
    while (a->count < AT_ONCE && porch_db_step(q, why) == PORCH_OK)
        (void)porch_bytes_to_text(porch_db_text(q, 0), a->names[a->count++], 65);
    porch_db_finish(q);
    return PORCH_OK;
}

static void await(fleet *f, uint64_t ticket) {
    porch_store_answer answer = {.upto = 0};
    while (answer.upto < ticket) {
        if (!porch_store_lane_poll(f->lane, &answer))
            (void)sem_wait(&f->answered);
        else
            assert_int_equal(answer.result, PORCH_OK);
    }
}

static void append_good(fleet *f, const char *device) {
    static const char said[] =
        "{\"v\":1,\"running\":\"2\",\"target\":\"2\",\"state\":\"good\",\"rollout\":\"r1\","
        "\"attempt\":1,\"floor\":1,\"bytes\":2301453,\"way\":\"delta\"}";
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

static unsigned all_good(fleet *f) {
    asked_list a = {.names = calloc(AT_ONCE, 65)};
    assert_non_null(a.names);
    assert_int_equal(porch_store_read(f->lab.store, read_asked, &a, &f->lab.why), PORCH_OK);
    for (unsigned i = 0; i < a.count; i++)
        append_good(f, a.names[i]);
    if (a.count > 0) await(f, porch_store_lane_last(f->lane));
    free(a.names);
    return a.count;
}

/* ---- tests ---- */

static void cohorts_are_what_the_device_computes_and_spread_evenly(void **state) {
    (void)state;
    uint8_t hash[32] = {1, 2, 3};
    unsigned below = 0;
    /* printf 'cam-1\1\2\3' and 29 zeros | sha256sum, the first 32 bits in millionths */
    assert_int_equal(porch_rollout_cohort("cam-1", hash), 42338);
    for (unsigned i = 0; i < 10000; i++) {
        char id[32];
        (void)snprintf(id, sizeof id, "d%u", i);
        below += porch_rollout_cohort(id, hash) < PORCH_ROLLOUT_ONE / 10;
    }
    assert_in_range(below, 900, 1100);
    uint32_t before = porch_rollout_cohort("cam-1", hash);
    hash[31] = 1; /* another image, another order */
    assert_int_not_equal(porch_rollout_cohort("cam-1", hash), before);
}

static void stages_rise_and_end_with_everybody(void **state) {
    (void)state;
    static const char *const bad[] = {"",
                                      "1",
                                      "10,5,100",
                                      "100,",
                                      ",100",
                                      "0,100",
                                      "101",
                                      "10,100,100",
                                      "1.00001,100",
                                      "household=,100",
                                      "10,household=home,100",
                                      "household=home",
                                      "a,100",
                                      "1 ,100"};
    porch_rollout_stage s[PORCH_ROLLOUT_STAGES_MOST];
    size_t count = 0;
    for (size_t i = 0; i < sizeof bad / sizeof bad[0]; i++)
        assert_int_not_equal(porch_rollout_stages_read(porch_bytes_of(bad[i]), s, &count, NULL), PORCH_OK);
    assert_int_equal(porch_rollout_stages_read(PORCH_LIT("household=lab,0.1,12.5,100"), s, &count, NULL),
                     PORCH_OK);
    assert_int_equal(count, 4);
    assert_string_equal(s[0].household, "lab");
    assert_true(s[1].share == 1000 && s[2].share == 125000 && s[3].share == PORCH_ROLLOUT_ONE);
}

static void a_rollout_goes_through_its_stages_and_ends(void **state) {
    fleet *f = *state;
    arrive(f, 200);
    const porch_rollout_spec spec = plain("2", "10,100");
    assert_string_equal(start(f, &spec), "r1");
    porch_rollout_view v = look(f);
    assert_int_equal(v.devices, 200);
    assert_in_range(v.asked, 8, 40);
    assert_int_equal(v.asked, f->told);
    assert_non_null(strstr(f->desired, "\"version\":\"2\",\"sha256\":\"" HEX "\",\"attempt\":1}"));
    tick(f, 1000);
    assert_int_equal(look(f).stage, 0); /* nobody has an end yet */
    unsigned first = all_good(f);
    assert_int_equal(first, v.asked);
    tick(f, 1000);
    tick(f, 1000);
    v = look(f);
    assert_int_equal(v.stage, 1);
    assert_int_equal(v.asked, 200);
    assert_int_equal(all_good(f) + first, 200);
    tick(f, 1000);
    v = look(f);
    assert_string_equal(v.state, "done");
    assert_true(v.good == 200 && v.failed == 0);
}

static void too_many_failures_end_it_by_itself(void **state) {
    fleet *f = *state;
    arrive(f, 100);
    const porch_rollout_spec spec = plain("2", "100");
    (void)start(f, &spec);
    char device[32];
    for (unsigned i = 0; i < 21; i++) {
        (void)snprintf(device, sizeof device, "cam-%07u", i);
        report(f, device, "r1", 1, "1", PORCH_UPDATE_ROLLED_BACK, "its check said no");
        if (i == 19) tick(f, 1000);
        if (i == 19) assert_string_equal(look(f).state, "running"); /* 20 of 100 is not more than 20 % */
    }
    size_t before = f->told;
    tick(f, 1000);
    porch_rollout_view v = look(f);
    assert_string_equal(v.state, "aborted");
    assert_non_null(strstr(v.why, "21 of 100"));
    assert_int_equal(f->told - before, 79); /* the others are told to stop */
    assert_string_equal(f->desired, "{\"v\":1}");
}

static void silence_is_a_failure_after_the_last_attempt(void **state) {
    fleet *f = *state;
    arrive(f, 1);
    const porch_rollout_spec spec = plain("2", "100");
    (void)start(f, &spec);
    tick(f, 599000);
    assert_int_equal(f->told, 1);
    tick(f, 2000);
    assert_int_equal(f->told, 2);
    assert_non_null(strstr(f->desired, "\"attempt\":2}"));
    report(f, "cam-0000000", "r1", 2, "1", PORCH_UPDATE_DOWNLOADING, ""); /* a sign of life */
    tick(f, 599000);
    assert_int_equal(look(f).failed, 0);
    tick(f, 2000);
    porch_rollout_view v = look(f);
    assert_int_equal(v.failed, 1);
    assert_string_equal(v.state, "aborted");
}

static void a_failed_download_is_tried_again_and_a_rolled_back_image_is_not(void **state) {
    fleet *f = *state;
    arrive(f, 2);
    porch_rollout_spec spec = plain("2", "100");
    spec.errors = 100;
    (void)start(f, &spec);
    report(f, "cam-0000000", "r1", 1, "1", PORCH_UPDATE_FAILED, "the line was cut");
    assert_string_equal(f->device, "cam-0000000");
    assert_non_null(strstr(f->desired, "\"attempt\":2}"));
    report(f, "cam-0000000", "r1", 2, "1", PORCH_UPDATE_FAILED, "the line was cut");
    assert_int_equal(look(f).failed, 1);
    size_t before = f->told;
    report(f, "cam-0000001", "r1", 1, "1", PORCH_UPDATE_ROLLED_BACK, "no");
    assert_int_equal(f->told, before);
    assert_int_equal(look(f).failed, 2);
    assert_int_equal(look(f).asked, 2);
}

static void who_is_away_is_asked_when_it_comes_and_who_comes_late_too(void **state) {
    fleet *f = *state;
    arrive(f, 2);
    f->away = "cam-0000001";
    const porch_rollout_spec spec = plain("2", "100");
    (void)start(f, &spec);
    assert_int_equal(f->told, 1);
    assert_int_equal(look(f).away, 1);
    report(f, "cam-0000000", "r1", 1, "2", PORCH_UPDATE_GOOD, "");
    tick(f, 1000);
    assert_string_equal(look(f).state, "done"); /* of those who are there */
    report(f, "cam-0000001", "", 0, "1", PORCH_UPDATE_GOOD, "");
    assert_int_equal(f->told, 2);
    assert_string_equal(f->device, "cam-0000001");
    assert_int_equal(carry(f, do_add, (job){.from = 7, .count = 1}, NULL), PORCH_OK);
    report(f, "cam-0000007", "", 0, "1", PORCH_UPDATE_GOOD, "");
    assert_string_equal(f->device, "cam-0000007");
    report(f, "cam-0000007", "", 0, "1", PORCH_UPDATE_GOOD, ""); /* it came again and had not heard it */
    assert_int_equal(f->told, 4);
    report(f, "cam-0000007", "r1", 1, "2", PORCH_UPDATE_GOOD, "");
    porch_rollout_view v = look(f);
    assert_true(v.devices == 3 && v.good == 2 && v.failed == 0);
}

static void the_rate_holds_and_the_ramp_doubles(void **state) {
    fleet *f = *state;
    arrive(f, 500);
    porch_rollout_spec spec = plain("2", "100");
    spec.rate = 60;
    (void)start(f, &spec);
    assert_int_equal(f->told, 1);
    for (unsigned i = 0; i < 60; i++)
        tick(f, 1000);
    assert_in_range(f->told, 58, 66);
    assert_int_equal(
        carry(f, do_act, (job){.id = "r1", .act = PORCH_ROLLOUT_ABORT, .reason = "enough"}, NULL),
        PORCH_OK);
    spec.rate = 0;
    spec.ramp = 10;
    (void)start(f, &spec);
    size_t before = f->told;
    for (unsigned i = 0; i < 59; i++)
        tick(f, 1000);
    assert_in_range(f->told - before, 8, 12);
    before = f->told;
    for (unsigned i = 0; i < 60; i++)
        tick(f, 1000);
    assert_in_range(f->told - before, 17, 23);
}

static void who_tries_again_waits_for_the_rate_as_everybody(void **state) {
    fleet *f = *state;
    arrive(f, 3);
    porch_rollout_spec spec = plain("2", "100");
    spec.errors = 100;
    spec.rate = 6; /* one in ten seconds */
    (void)start(f, &spec);
    assert_int_equal(f->told, 1);
    char first[65];
    memcpy(first, f->device, sizeof first);
    report(f, first, "r1", 1, "1", PORCH_UPDATE_FAILED, "the line was cut");
    assert_int_equal(f->told, 1); /* not at once */
    tick(f, 10000);
    assert_int_equal(f->told, 2);
    assert_string_equal(f->device, first); /* its place in the order is what it was */
    assert_non_null(strstr(f->desired, "\"attempt\":2}"));
    porch_rollout_view v = look(f);
    assert_true(v.asked == 1 && v.failed == 0);
    /* Three that were silent are asked again one by one. */
    tick(f, 10000);
    tick(f, 10000);
    assert_int_equal(look(f).asked, 3);
    size_t before = f->told;
    tick(f, 601000);
    assert_in_range(f->told - before, 0, 1);
}

static void everybody_hears_of_an_abort_however_many_they_are(void **state) {
    fleet *f = *state;
    arrive(f, 5000);
    const porch_rollout_spec two = plain("2", "100"), three = plain("3", "100");
    (void)start(f, &two);
    tick(f, 1000);
    tick(f, 1000);
    assert_int_equal(look(f).asked, 5000);
    size_t before = f->told;
    assert_int_equal(carry(f, do_act, (job){.id = "r1", .act = PORCH_ROLLOUT_ABORT, .reason = "bad"}, NULL),
                     PORCH_OK);
    assert_in_range(f->told - before, 1, 4999);
    tick(f, 1000);
    tick(f, 1000);
    assert_int_equal(f->told - before, 5000);
    tick(f, 1000);
    assert_int_equal(f->told - before, 5000);
    /* Whom the next rollout has asked is not sent to rest for the one before. */
    (void)start(f, &three);
    tick(f, 1000);
    tick(f, 1000);
    before = f->told;
    sql(f, "update update_rollout set recall = 1 where number = 1");
    tick(f, 1000);
    assert_int_equal(f->told, before);
}

static void while_nothing_can_be_fetched_nobody_is_asked_or_blamed(void **state) {
    fleet *f = *state;
    arrive(f, 3);
    porch_rollout_spec spec = plain("2", "50,100");
    (void)start(f, &spec);
    size_t before = f->told;
    porch_rollout_view v = look(f);
    assert_in_range(v.asked, 1, 2);
    f->damaged = true;
    for (int i = 0; i < 3; i++)
        tick(f, 601000);
    report(f, "cam-0000000", "", 0, "1", PORCH_UPDATE_GOOD, "");
    v = look(f);
    assert_true(v.failed == 0 && v.stage == 0);
    assert_in_range(f->told - before, 0, 1); /* who was asked before and reports is told again, no other */
    assert_int_equal(carry(f, do_act, (job){.id = "r1", .act = PORCH_ROLLOUT_ABORT, .reason = ""}, NULL),
                     PORCH_OK);
    assert_int_equal(carry(f, do_start, (job){.spec = &spec}, NULL), PORCH_ERR_STATE);
    f->damaged = false;
    (void)start(f, &spec);
    assert_in_range(look(f).asked, 1, 2);
}

static void a_stage_does_not_wait_for_devices_that_were_removed(void **state) {
    fleet *f = *state;
    arrive(f, 2);
    sql(f, "insert into household (id, name, timezone, added_ms) values ('lab', 'Lab', 'UTC', 1)");
    sql(f, "update device set household = 'lab' where id = 'cam-0000001'");
    f->away = "cam-0000001";
    const porch_rollout_spec spec = plain("2", "household=lab,100");
    (void)start(f, &spec);
    tick(f, 1000);
    porch_rollout_view v = look(f);
    assert_true(v.stage == 0 && v.away == 1);
    sql(f, "delete from device where id = 'cam-0000001'");
    tick(f, 1000);
    v = look(f);
    assert_true(v.stage == 1 && v.away == 0);
}

static void a_pause_holds_everything_and_approval_lets_the_next_stage_go(void **state) {
    fleet *f = *state;
    arrive(f, 100);
    porch_rollout_spec spec = plain("2", "50,100");
    spec.approve = true;
    (void)start(f, &spec);
    size_t asked = f->told;
    assert_int_equal(
        carry(f, do_act, (job){.id = "r1", .act = PORCH_ROLLOUT_PAUSE, .reason = "a call"}, NULL),
        PORCH_OK);
    assert_int_equal(f->told, 2 * asked); /* told to rest */
    tick(f, 3600000);
    assert_int_equal(look(f).failed, 0); /* no silence is judged */
    assert_int_equal(carry(f, do_act, (job){.id = "r1", .act = PORCH_ROLLOUT_PAUSE, .reason = ""}, NULL),
                     PORCH_ERR_STATE);
    assert_int_equal(carry(f, do_act, (job){.id = "r1", .act = PORCH_ROLLOUT_RESUME, .reason = ""}, NULL),
                     PORCH_OK);
    (void)all_good(f);
    tick(f, 1000);
    tick(f, 1000);
    porch_rollout_view v = look(f);
    assert_true(v.awaiting && v.stage == 0 && v.asked == asked);
    assert_int_equal(carry(f, do_act, (job){.id = "r1", .act = PORCH_ROLLOUT_APPROVE, .reason = ""}, NULL),
                     PORCH_OK);
    v = look(f);
    assert_true(!v.awaiting && v.stage == 1 && v.asked == 100);
    assert_int_equal(carry(f, do_act, (job){.id = "r9", .act = PORCH_ROLLOUT_ABORT, .reason = ""}, NULL),
                     PORCH_ERR_NOT_FOUND);
}

static void what_mends_something_high_overtakes_and_nothing_else_does(void **state) {
    fleet *f = *state;
    arrive(f, 3);
    const porch_rollout_spec two = plain("2", "100"), three = plain("3", "100"), nine = plain("9", "100");
    (void)start(f, &three);
    assert_int_equal(carry(f, do_start, (job){.spec = &two}, NULL), PORCH_ERR_EXISTS);
    assert_int_equal(carry(f, do_start, (job){.spec = &nine}, NULL), PORCH_ERR_NOT_FOUND);
    assert_int_equal(carry(f, do_act, (job){.id = "r1", .act = PORCH_ROLLOUT_ABORT, .reason = "x"}, NULL),
                     PORCH_OK);
    (void)start(f, &two);
    assert_string_equal(start(f, &three), "r3");
    report(f, "cam-0000000", "r2", 1, "1", PORCH_UPDATE_DOWNLOADING, "");
    assert_non_null(strstr(f->desired, "\"rollout\":\"r3\""));
}

static void what_the_team_withdraws_or_signs_anew_is_offered_no_more(void **state) {
    fleet *f = *state;
    arrive(f, 2);
    const porch_rollout_spec two = plain("2", "100"), three = plain("3", "100");
    (void)start(f, &two);
    sql(f, "update update_release set withdrawn_ms = 5 where version = '2'");
    size_t before = f->told;
    tick(f, 1000);
    porch_rollout_view v = look(f);
    assert_string_equal(v.state, "aborted");
    assert_non_null(strstr(v.why, "withdrawn"));
    assert_int_equal(f->told - before, 2); /* told to rest */
    (void)start(f, &three);
    sql(f, "update update_release set sha256 = '00"
           "9f86d081884c7d659a2feaa0c55ad015a3bf4f1b2b0b822cd15d6c15b0f00a' "
           "where version = '3'");
    tick(f, 1000);
    assert_string_equal(look(f).state, "aborted");
}

static void who_failed_and_made_it_after_all_counts_as_good(void **state) {
    fleet *f = *state;
    arrive(f, 2);
    porch_rollout_spec spec = plain("2", "100");
    spec.errors = 60;
    (void)start(f, &spec);
    report(f, "cam-0000000", "r1", 1, "1", PORCH_UPDATE_ROLLED_BACK, "no");
    assert_int_equal(look(f).failed, 1);
    report(f, "cam-0000000", "", 0, "2", PORCH_UPDATE_GOOD, "");
    porch_rollout_view v = look(f);
    assert_true(v.failed == 0 && v.good == 1 && v.asked == 2);
}

static void sixty_four_products_whose_rollouts_are_done_hold_up_nobody(void **state) {
    fleet *f = *state;
    arrive(f, 1);
    for (unsigned i = 0; i < PORCH_ROLLOUT_ACTIVE_MOST; i++) {
        char text[400];
        (void)snprintf(text, sizeof text,
                       "insert into update_rollout (product, version, sha256, state, stages, rate, errors, "
                       "deadline_s, attempts, dwell_s, started_ms, stage_ms) values ('old%u', '1', '" HEX
                       "', 'done', '100', 0, 5, 600, 1, 0, 1, 1)",
                       i);
        sql(f, text);
        (void)snprintf(
            text, sizeof text,
            "insert into update_release (product, version, path, sha256, bytes, serial, counter, "
            "severity, hardware, notes, supported_until, released_ms, published_ms, role, signers) "
            "values ('old%u', '1', 'p', '" HEX "', 9, 1, 1, '', '[]', '', '', 1, 1, 'r', 'k')",
            i);
        sql(f, text);
    }
    const porch_rollout_spec spec = plain("2", "100");
    (void)start(f, &spec);
    assert_int_equal(f->told, 1);
}

static void a_device_that_never_comes_to_an_end_holds_up_nobody(void **state) {
    fleet *f = *state;
    arrive(f, 100);
    const porch_rollout_spec spec = plain("2", "50,100");
    (void)start(f, &spec);
    char device[65], text[200];
    memcpy(device, f->device, sizeof device);
    (void)all_good(f);
    (void)snprintf(text, sizeof text, "update update_turn set state = 1 where device = '%s'", device);
    sql(f, text);
    for (int i = 0; i < 4; i++) {
        assert_int_equal(look(f).stage, 0);
        tick(f, 150000);
        report(f, device, "r1", 1, "1", PORCH_UPDATE_DOWNLOADING, "");
    }
    tick(f, 1000);
    assert_int_equal(look(f).stage, 1);
    assert_int_equal(look(f).failed, 0); /* and nobody is blamed for it */
}

static void a_stage_of_which_nobody_is_there_waits(void **state) {
    fleet *f = *state;
    arrive(f, 3);
    sql(f, "insert into household (id, name, timezone, added_ms) values ('lab', 'Lab', 'UTC', 1), "
           "('rest', 'Rest', 'UTC', 1)");
    sql(f, "update device set household = 'lab' where id = 'cam-0000001'");
    sql(f, "update device set household = 'rest' where id = 'cam-0000002'");
    f->away = "cam-0000001";
    const porch_rollout_spec spec = plain("2", "household=home,household=lab,100");
    (void)start(f, &spec);
    report(f, "cam-0000000", "r1", 1, "2", PORCH_UPDATE_GOOD, "");
    for (int i = 0; i < 3; i++)
        tick(f, 1000);
    assert_int_equal(look(f).stage, 1); /* what the first stage proved is not the second one's proof */
    f->away = NULL;
    report(f, "cam-0000001", "", 0, "1", PORCH_UPDATE_GOOD, "");
    report(f, "cam-0000001", "r1", 1, "2", PORCH_UPDATE_GOOD, "");
    tick(f, 1000);
    tick(f, 1000);
    assert_int_equal(look(f).stage, 2);
    assert_string_equal(f->device, "cam-0000002");
}

static porch_err do_erase(porch_db *db, void *ctx, porch_why *why) {
    (void)ctx;
    return porch_rollout_household_erase(db, "lab", why);
}

static void an_erased_household_leaves_a_stage_that_is_nobodys(void **state) {
    fleet *f = *state;
    arrive(f, 3);
    sql(f, "insert into household (id, name, timezone, added_ms) values ('lab', 'Lab', 'UTC', 1)");
    sql(f, "update device set household = 'lab' where id = 'cam-0000002'");
    const porch_rollout_spec spec =
        plain("2", "household=lab,household=lab-2,household=lab,household=home,50,100");
    (void)start(f, &spec);
    sql(f, "insert into erasure (household, kind, name) values ('lab', 'device', 'cam-0000002')");
    sql(f, "delete from device where id = 'cam-0000002'");
    if (carry(f, do_erase, (job){.sql = NULL}, NULL) != PORCH_OK) fail_msg("%s", f->lab.why.text);
    assert_string_equal(look(f).stages, "household=-,household=lab-2,household=-,household=home,50,100");
    for (int i = 0; i < 6; i++)
        tick(f, 1000);
    assert_int_equal(look(f).stage, 3); /* and holds up nobody */
    assert_true(porch_rollout_names(PORCH_LIT("{\"reason\":\"household=lab\"}"), "lab"));
    assert_true(porch_rollout_names(PORCH_LIT("household=lab-2,household=lab,100"), "lab"));
    assert_false(porch_rollout_names(PORCH_LIT("household=lab-2,100"), "lab"));
    (void)carry(f, do_act, (job){.id = "r1", .act = PORCH_ROLLOUT_ABORT, .reason = ""}, NULL);
}

static bool count_story(const porch_rollout_story *s, void *ctx) {
    unsigned *count = ctx;
    if (*count == 0) assert_string_equal(s->reason, "its check said no");
    (*count)++;
    return true;
}
static porch_err do_story(porch_db *db, void *ctx, porch_why *why) {
    return porch_rollout_history(db, "cam-0000000", count_story, ctx, why);
}

static void a_device_has_a_story_of_bounded_length(void **state) {
    fleet *f = *state;
    unsigned count = 0;
    arrive(f, 1);
    const porch_rollout_spec spec = plain("2", "100");
    (void)start(f, &spec);
    report(f, "cam-0000000", "r1", 1, "1", PORCH_UPDATE_DOWNLOADING, "");
    report(f, "cam-0000000", "r1", 1, "1", PORCH_UPDATE_DOWNLOADING, "");
    report(f, "cam-0000000", "r1", 1, "1", PORCH_UPDATE_STAGED, "");
    report(f, "cam-0000000", "r1", 1, "1", PORCH_UPDATE_TRIAL, "");
    report(f, "cam-0000000", "r1", 1, "1", PORCH_UPDATE_ROLLED_BACK, "its check said no");
    assert_int_equal(porch_store_read(f->lab.store, do_story, &count, NULL), PORCH_OK);
    assert_int_equal(count, 3);
}

/* ---- size ---- */

static double mebibytes_resident(void) {
    struct rusage u;
    (void)getrusage(RUSAGE_SELF, &u);
    return (double)u.ru_maxrss / 1024;
}

static double mebibytes_of_database(const fleet *f) {
    static const char *const names[] = {"hub.db", "hub.db-wal"};
    double sum = 0;
    for (size_t i = 0; i < 2; i++) {
        char path[128];
        struct stat st;
        (void)snprintf(path, sizeof path, "%s/%s", f->lab.dir, names[i]);
        if (stat(path, &st) == 0) sum += (double)st.st_size / 1048576;
    }
    return sum;
}

/* Bytes of what rollouts keep, messages apart. */
static porch_err read_rows_bytes(porch_db *db, void *ctx, porch_why *why) {
    porch_db_query *q = porch_db_prepare(
        db, "select coalesce(sum(pgsize), 0) from dbstat where aggregate = true and name like 'update_%'",
        why);
    porch_err e = porch_db_step(q, why);
    if (e == PORCH_OK) *(int64_t *)ctx = porch_db_i64(q, 0);
    porch_db_finish(q);
    return e;
}

static void a_large_fleet_is_rolled_out_to_its_end(void **state) {
    fleet *f = *state;
    const char *sweep = getenv("PORCH_SWEEP");
    const unsigned devices = sweep == NULL                  ? 3000
                             : strtoul(sweep, NULL, 10) > 1 ? (unsigned)strtoul(sweep, NULL, 10)
                                                            : 1000000;
    arrive(f, 0);
    for (unsigned at = 0; at < devices; at += 10000)
        assert_int_equal(
            carry(f, do_add, (job){.from = at, .count = devices - at < 10000 ? devices - at : 10000}, NULL),
            PORCH_OK);
    double before_memory = mebibytes_resident();
    const porch_rollout_spec spec = plain("2", "1,10,100");
    (void)start(f, &spec);
    uint64_t began = porch_clock_mono_ms(), hearing_ms = 0, reports = 0, said = 0;
    for (unsigned rounds = 0; strcmp(look(f).state, "running") == 0 && rounds < 20000; rounds++) {
        for (unsigned i = 0; i < 8; i++)
            tick(f, 1000);
        uint64_t from = porch_clock_mono_ms();
        reports += all_good(f);
        hearing_ms += porch_clock_mono_ms() - from;
        if (sweep != NULL && reports / 100000 > said) {
            said = reports / 100000;
            (void)printf("%llu of %u reports, %.0f/s\n", (unsigned long long)reports, devices,
                         (double)reports * 1000 / (double)(hearing_ms + 1));
            (void)fflush(stdout);
        }
    }
    porch_rollout_view v = look(f);
    assert_string_equal(v.state, "done");
    assert_true(v.good == devices && v.asked == devices && v.devices == devices);
    if (sweep == NULL) return;
    double seconds = (double)(porch_clock_mono_ms() - began) / 1000;
    int64_t bytes = 0;
    assert_int_equal(porch_store_read(f->lab.store, read_rows_bytes, &bytes, &f->lab.why), PORCH_OK);
    (void)printf(
        "rollout to %u devices: %.1f s, %.0f reports/s (each a stored message, durable), rows of rollouts "
        "%.1f MiB (%.0f bytes a device), database with the messages %.1f MiB, memory at most %.1f -> %.1f "
        "MiB\n",
        devices, seconds, (double)reports * 1000 / (double)(hearing_ms + 1), (double)bytes / 1048576,
        (double)bytes / devices, mebibytes_of_database(f), before_memory, mebibytes_resident());
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(cohorts_are_what_the_device_computes_and_spread_evenly),
        cmocka_unit_test(stages_rise_and_end_with_everybody),
#define OVER_STORE(name) cmocka_unit_test_setup_teardown(name, setup, teardown)
        OVER_STORE(a_rollout_goes_through_its_stages_and_ends),
        OVER_STORE(too_many_failures_end_it_by_itself),
        OVER_STORE(silence_is_a_failure_after_the_last_attempt),
        OVER_STORE(a_failed_download_is_tried_again_and_a_rolled_back_image_is_not),
        OVER_STORE(who_is_away_is_asked_when_it_comes_and_who_comes_late_too),
        OVER_STORE(the_rate_holds_and_the_ramp_doubles),
        OVER_STORE(who_tries_again_waits_for_the_rate_as_everybody),
        OVER_STORE(everybody_hears_of_an_abort_however_many_they_are),
        OVER_STORE(while_nothing_can_be_fetched_nobody_is_asked_or_blamed),
        OVER_STORE(a_stage_does_not_wait_for_devices_that_were_removed),
        OVER_STORE(a_pause_holds_everything_and_approval_lets_the_next_stage_go),
        OVER_STORE(what_mends_something_high_overtakes_and_nothing_else_does),
        OVER_STORE(what_the_team_withdraws_or_signs_anew_is_offered_no_more),
        OVER_STORE(who_failed_and_made_it_after_all_counts_as_good),
        OVER_STORE(sixty_four_products_whose_rollouts_are_done_hold_up_nobody),
        OVER_STORE(a_device_that_never_comes_to_an_end_holds_up_nobody),
        OVER_STORE(a_stage_of_which_nobody_is_there_waits),
        OVER_STORE(an_erased_household_leaves_a_stage_that_is_nobodys),
        OVER_STORE(a_device_has_a_story_of_bounded_length),
        OVER_STORE(a_large_fleet_is_rolled_out_to_its_end),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
