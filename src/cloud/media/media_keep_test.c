/* What leaves and what stays: by age, by bytes, at a household's end. */
#include "cloud/media/media_keep.h"

#include <sys/stat.h>

#include "cloud/media/media_room.h"
#include "cloud/media/media_testing.h"

enum { LENGTH = 70000 };

#define DAY_MS 86400000ull
#define NOW    (1790000000000ull)

static uint8_t clip_bytes[LENGTH];
static uint8_t digest[32];
static unsigned forgotten;

static porch_err on_forget(porch_db *db, const char *event, void *ctx, porch_why *why) {
    (void)db;
    (void)ctx;
    (void)why;
    assert_int_equal(strlen(event), PORCH_MEDIA_UID - 1);
    forgotten++;
    return PORCH_OK;
}

static uint64_t told[8]; /* numbers of messages */
static size_t told_count;
static media_lab *between; /* to be looked at while rows are gone and files are not */

static void on_forgotten(const uint64_t *seqs, size_t count, void *ctx) {
    porch_media_keep_view v;
    (void)ctx;
    if (between != NULL) {
        assert_int_equal(porch_media_keep_read(between->media, "home", &v, NULL), PORCH_OK);
        assert_int_equal(v.now.bytes, porch_media_uploads_bytes(between->media, "home"));
    }
    for (size_t i = 0; i < count; i++)
        told[told_count++] = seqs[i];
}

static int setup(void **state) {
    if (media_lab_setup(state) != 0) return -1;
    media_lab *m = *state;
    media_lab_pattern(clip_bytes, LENGTH, 3);
    porch_sha256((porch_bytes){clip_bytes, LENGTH}, digest);
    m->lab.settings.media_keep_days = 0;
    m->lab.settings.media_clip_bytes = LENGTH;
    m->lab.settings.media_household_bytes = 10 * LENGTH;
    media_lab_open(m);
    porch_media_on_forget(m->media, on_forget, NULL);
    porch_media_on_forgotten(m->media, on_forgotten, NULL);
    forgotten = 0;
    told_count = 0;
    between = NULL;
    return 0;
}

typedef struct {
    const char *device, *name;
    uint64_t at_ms;
} event_job;

static porch_err insert_event(porch_db *db, void *ctx, porch_why *why) {
    const event_job *job = ctx;
    char uid[PORCH_MEDIA_UID];
    porch_media_event_uid(job->device, porch_bytes_of(job->name), uid);
    porch_db_query *q = porch_db_prepare(
        db,
        "insert into event (uid, device, product, household, device_event, kind, at_ms, received_ms, "
        "score, x, y, w, h, thumbnail) values (?1, ?2, 'camera', ?3, ?4, 'motion', ?5, ?5, 1, 0, 0, 1, 1, "
        "x'ffd8')",
        why);
    porch_db_bind_str(q, 1, uid);
    porch_db_bind_str(q, 2, job->device);
    porch_db_bind_str(q, 3, media_lab_device(job->device).household);
    porch_db_bind_str(q, 4, job->name);
    porch_db_bind_i64(q, 5, (int64_t)job->at_ms);
    return porch_db_execute(q, why);
}

static void event(media_lab *m, const char *device, const char *name, uint64_t at_ms) {
    event_job job = {device, name, at_ms};
    assert_int_equal(porch_store_write(m->lab.store, insert_event, &job, &m->why), PORCH_OK);
}

static porch_err begin(media_lab *m, const char *device, const char *name, uint64_t at_ms,
                       char clip[PORCH_MEDIA_UID]) {
    porch_media_owner owner = media_lab_device(device);
    bool made;
    return porch_media_upload_begin(m->media, &owner, name, at_ms, clip, &made, &m->why);
}

/* An event with a complete clip. */
static void filmed(media_lab *m, const char *device, const char *name, uint64_t at_ms,
                   char clip[PORCH_MEDIA_UID]) {
    porch_media_upload *u = NULL;
    uint64_t at;
    event(m, device, name, at_ms);
    assert_int_equal(begin(m, device, name, at_ms, clip), PORCH_OK);
    assert_int_equal(porch_media_upload_open(m->media, device, clip, 0, &u, &at, &m->why), PORCH_OK);
    assert_int_equal(porch_media_upload_append(u, (porch_bytes){clip_bytes, LENGTH}, &m->why), PORCH_OK);
    assert_int_equal(porch_media_upload_finish(u, digest, at_ms, &m->why), PORCH_OK);
    porch_media_upload_close(u);
}

static bool is_there(media_lab *m, const char *clip) {
    char path[200];
    struct stat st;
    porch_media_clip_info info;
    (void)snprintf(path, sizeof path, "%s/clips/%s.clip", m->lab.dir, clip);
    bool file = stat(path, &st) == 0;
    bool row = porch_media_clip_get(m->media, clip, &info, NULL) == PORCH_OK;
    assert_int_equal(file, row);
    return row;
}

static porch_media_keep_sum whole(media_lab *m, const char *household) {
    porch_media_keep_view v;
    assert_int_equal(porch_media_keep_read(m->media, household, &v, &m->why), PORCH_OK);
    return v.now;
}

static void keep(media_lab *m, const char *household, uint32_t days, uint64_t bytes) {
    const porch_media_keep wish = {days, bytes};
    assert_int_equal(porch_media_keep_set(m->media, household, &wish, NULL, NULL, &m->why), PORCH_OK);
}

static void a_household_keeps_as_many_days_as_it_says(void **state) {
    media_lab *m = *state;
    char old[PORCH_MEDIA_UID], young[PORCH_MEDIA_UID], theirs[PORCH_MEDIA_UID];
    filmed(m, "front", "old", NOW - 8 * DAY_MS, old);
    event(m, "front", "bare", NOW - 8 * DAY_MS);
    filmed(m, "front", "young", NOW - 6 * DAY_MS, young);
    filmed(m, "gate", "theirs", NOW - 8 * DAY_MS, theirs);
    keep(m, "home", 7, 0);
    assert_int_equal(porch_media_sweep(m->media, NOW, &m->why), PORCH_OK);
    assert_false(is_there(m, old));
    assert_true(is_there(m, young) && is_there(m, theirs));
    assert_int_equal(whole(m, "home").events, 1);
    assert_int_equal(whole(m, "home").bytes, LENGTH);
    assert_int_equal(whole(m, "next-door").events, 1);
    assert_int_equal(forgotten, 2);
}

static porch_err insert_messages(porch_db *db, void *ctx, porch_why *why) {
    (void)ctx;
    PORCH_TRY(porch_db_run(
        db, "insert into event_message select row_number() over (order by at_ms), uid from event", why));
    return porch_db_run(db, "insert into event_message select 11, event from event_message where seq = 1",
                        why);
}

static void the_messages_that_carried_what_is_gone_are_told(void **state) {
    media_lab *m = *state;
    char clip[PORCH_MEDIA_UID];
    filmed(m, "front", "old", NOW - 9 * DAY_MS, clip); /* 1, and sent again as 11 */
    event(m, "front", "bare", NOW - 8 * DAY_MS);       /* 2 */
    event(m, "front", "young", NOW - 6 * DAY_MS);      /* 3 */
    assert_int_equal(porch_store_write(m->lab.store, insert_messages, NULL, &m->why), PORCH_OK);
    keep(m, "home", 7, 0);
    assert_int_equal(porch_media_sweep(m->media, NOW, &m->why), PORCH_OK);
    assert_int_equal(told_count, 3);
    assert_true(told[0] == 1 && told[1] == 11 && told[2] == 2);
}

/* Who asks in between how much is too much would else take what has just gone for what is left, and delete
 * that. */
static void what_is_gone_is_out_of_the_sums_before_its_files_are(void **state) {
    media_lab *m = *state;
    char old[PORCH_MEDIA_UID], young[PORCH_MEDIA_UID];
    filmed(m, "front", "old", NOW - 9 * DAY_MS, old);
    filmed(m, "front", "young", NOW - 6 * DAY_MS, young);
    assert_int_equal(porch_store_write(m->lab.store, insert_messages, NULL, &m->why), PORCH_OK);
    keep(m, "home", 7, 0);
    between = m;
    assert_int_equal(porch_media_sweep(m->media, NOW, &m->why), PORCH_OK);
    assert_int_equal(told_count, 2); /* 1 and 11: it was looked */
    assert_true(is_there(m, young));
}

static void the_preview_says_what_the_sweep_then_does(void **state) {
    media_lab *m = *state;
    char clip[6][PORCH_MEDIA_UID], name[8];
    porch_media_keep_sum sum;
    for (unsigned i = 0; i < 6; i++) {
        (void)snprintf(name, sizeof name, "e%u", i);
        filmed(m, "front", name, NOW - (6 - i) * DAY_MS, clip[i]);
    }
    event(m, "back", "bare", NOW - 6 * DAY_MS + 5);
    /* by age: the first two and the bare one */
    const porch_media_keep days = {4, 0};
    assert_int_equal(porch_media_keep_preview(m->media, "home", &days, NOW + 5, &sum, &m->why), PORCH_OK);
    assert_int_equal(sum.clips, 3);
    assert_int_equal(sum.events, 4);
    assert_int_equal(sum.bytes, 3 * LENGTH);
    assert_int_equal(sum.from_ms, NOW - 6 * DAY_MS);
    assert_int_equal(sum.to_ms, NOW - 4 * DAY_MS);
    /* by bytes: two have to leave so that four fit; what happened before them leaves too */
    const porch_media_keep bytes = {0, 4 * LENGTH};
    assert_int_equal(porch_media_keep_preview(m->media, "home", &bytes, NOW, &sum, &m->why), PORCH_OK);
    assert_int_equal(sum.clips, 2);
    assert_int_equal(sum.events, 3);
    assert_int_equal(sum.bytes, 2 * LENGTH);
    assert_int_equal(whole(m, "home").clips, 6); /* nothing has left yet */
    keep(m, "home", 0, 4 * LENGTH);
    assert_int_equal(porch_media_sweep(m->media, NOW, &m->why), PORCH_OK);
    assert_false(is_there(m, clip[0]) || is_there(m, clip[1]));
    assert_true(is_there(m, clip[2]));
    assert_int_equal(whole(m, "home").events, 4);
    assert_int_equal(whole(m, "home").bytes, 4 * LENGTH);
    /* nothing to do is nothing to show */
    const porch_media_keep all = {0, 0};
    assert_int_equal(porch_media_keep_preview(m->media, "home", &all, NOW, &sum, &m->why), PORCH_OK);
    assert_int_equal(sum.clips + sum.events + sum.bytes + sum.from_ms + sum.to_ms, 0);
}

static void a_limit_set_under_a_wrong_clock_costs_nobody_else_anything(void **state) {
    media_lab *m = *state;
    char ours[PORCH_MEDIA_UID], theirs[PORCH_MEDIA_UID], coming[PORCH_MEDIA_UID], again[PORCH_MEDIA_UID];
    m->lab.settings.media_keep_days = 30;
    m->lab.settings.store_clock_settle_h = 12;
    filmed(m, "front", "ours", NOW, ours);
    filmed(m, "gate", "theirs", NOW, theirs);
    event(m, "front", "coming", NOW);
    assert_int_equal(begin(m, "front", "coming", NOW, coming), PORCH_OK);
    keep(m, "next-door", 20, 0); /* its owner sees by the same clock that the clip is to leave */
    keep(m, "elsewhere", 20, 0); /* has nothing yet */
    assert_int_equal(porch_media_keep_round(m->media, NOW + 60 * DAY_MS, 1000, &m->why), PORCH_OK);
    assert_false(is_there(m, theirs));
    assert_true(is_there(m, ours));
    porch_media_clip_info info;
    assert_int_equal(porch_media_clip_get(m->media, coming, &info, NULL), PORCH_OK);
    /* An order is good for one round. */
    filmed(m, "gate", "again", NOW, again);
    assert_int_equal(porch_media_keep_round(m->media, NOW + 60 * DAY_MS, 2000, &m->why), PORCH_OK);
    assert_true(is_there(m, ours) && is_there(m, again));
    /* Once the clock has stood, age counts for all. */
    const uint64_t stood_ms = 13 * 3600000ull;
    assert_int_equal(porch_media_keep_round(m->media, NOW + 60 * DAY_MS + stood_ms, stood_ms, &m->why),
                     PORCH_OK);
    assert_false(is_there(m, ours) || is_there(m, again));
    assert_int_equal(porch_media_clip_get(m->media, coming, &info, NULL), PORCH_ERR_NOT_FOUND);
}

static void an_event_stays_as_long_as_its_clip(void **state) {
    media_lab *m = *state;
    char clip[2][PORCH_MEDIA_UID];
    porch_media_keep_sum sum;
    event(m, "front", "late", NOW); /* its clip comes after the other's, and stays */
    filmed(m, "front", "early", NOW + 1, clip[0]);
    assert_int_equal(begin(m, "front", "late", NOW + 5, clip[1]), PORCH_OK);
    const porch_media_keep wish = {1, 0};
    assert_int_equal(porch_media_keep_preview(m->media, "home", &wish, NOW + 2 + DAY_MS, &sum, &m->why),
                     PORCH_OK);
    assert_int_equal(sum.events, 1);
    keep(m, "home", 1, 0);
    assert_int_equal(porch_media_sweep(m->media, NOW + 2 + DAY_MS, &m->why), PORCH_OK);
    assert_int_equal(whole(m, "home").clips, 0);
    assert_int_equal(forgotten, 1);
}

static void a_full_household_makes_room_when_it_said_so_and_refuses_otherwise(void **state) {
    media_lab *m = *state;
    char clip[11][PORCH_MEDIA_UID], name[8];
    for (unsigned i = 0; i < 10; i++) {
        (void)snprintf(name, sizeof name, "e%u", i);
        filmed(m, "front", name, NOW + i, clip[i]);
    }
    assert_int_equal(begin(m, "front", "more", NOW + 10, clip[10]), PORCH_ERR_FULL);
    keep(m, "home", 0, 10 * LENGTH);
    filmed(m, "front", "more", NOW + 10, clip[10]);
    assert_false(is_there(m, clip[0]));
    assert_true(is_there(m, clip[1]) && is_there(m, clip[10]));
    assert_int_equal(whole(m, "home").bytes, 10 * LENGTH);
}

static void limits_that_cannot_hold_are_refused(void **state) {
    media_lab *m = *state;
    porch_media_keep_sum sum;
    const porch_media_keep wrong[] = {{40000, 0}, {0, LENGTH - 1}, {0, 10 * LENGTH + 1}};
    for (size_t i = 0; i < sizeof wrong / sizeof wrong[0]; i++) {
        assert_int_equal(porch_media_keep_preview(m->media, "home", &wrong[i], NOW, &sum, &m->why),
                         PORCH_ERR_USAGE);
        assert_int_equal(porch_media_keep_set(m->media, "home", &wrong[i], NULL, NULL, &m->why),
                         PORCH_ERR_USAGE);
    }
    m->lab.settings.media_keep_days = 30;
    assert_int_equal(
        porch_media_keep_preview(m->media, "home", &(porch_media_keep){31, 0}, NOW, &sum, &m->why),
        PORCH_ERR_USAGE);
}

static void limits_outlive_a_restart(void **state) {
    media_lab *m = *state;
    porch_media_keep_view v;
    keep(m, "home", 5, 3 * LENGTH);
    media_lab_close(m);
    media_lab_open(m);
    assert_int_equal(porch_media_keep_read(m->media, "home", &v, &m->why), PORCH_OK);
    assert_int_equal(v.own.days, 5);
    assert_int_equal(v.own.bytes, 3 * LENGTH);
}

static void at_its_end_nothing_of_a_household_is_left(void **state) {
    media_lab *m = *state;
    char clip[PORCH_MEDIA_UID], open_clip[PORCH_MEDIA_UID], theirs[PORCH_MEDIA_UID];
    porch_media_upload *u = NULL;
    uint64_t at;
    filmed(m, "front", "whole", NOW, clip);
    filmed(m, "gate", "theirs", NOW, theirs);
    event(m, "back", "bare", NOW);
    /* one under way, and its handle goes on */
    assert_int_equal(begin(m, "front", "open", NOW, open_clip), PORCH_OK);
    assert_int_equal(porch_media_upload_open(m->media, "front", open_clip, 0, &u, &at, &m->why), PORCH_OK);
    assert_int_equal(porch_media_upload_append(u, (porch_bytes){clip_bytes, 1000}, &m->why), PORCH_OK);
    keep(m, "home", 9, 0);
    assert_int_equal(porch_media_erase(m->media, "home", NULL, NULL, &m->why), PORCH_OK);
    assert_int_equal(porch_media_upload_append(u, (porch_bytes){clip_bytes, 1000}, &m->why),
                     PORCH_ERR_CLOSED);
    porch_media_upload_close(u);
    assert_false(is_there(m, clip) || is_there(m, open_clip));
    assert_true(is_there(m, theirs));
    porch_media_keep_view v;
    assert_int_equal(porch_media_keep_read(m->media, "home", &v, &m->why), PORCH_OK);
    assert_int_equal(v.own.days + v.now.events + v.now.clips + v.now.bytes, 0);
    char path[200];
    struct stat st;
    (void)snprintf(path, sizeof path, "%s/clips/%s.clip.tail", m->lab.dir, open_clip);
    assert_int_equal(stat(path, &st), -1);
}

/* ---- the plans ---- */

static void no_statement_of_the_keeper_walks_a_table(void **state) {
    media_lab *m = *state;
    size_t count = 0;
    for (; porch_media_keep_sql[count] != NULL; count++) {
        media_lab_plan p = media_lab_plan_of(m, porch_media_keep_sql[count]);
        if (!media_lab_plan_is_narrow(&p)) fail_msg("%s\nis planned as\n%s", p.sql, p.text);
    }
    assert_int_equal(count, 7);
}

#define KEEP_TEST(name) cmocka_unit_test_setup_teardown(name, setup, media_lab_teardown)

int main(void) {
    const struct CMUnitTest tests[] = {
        KEEP_TEST(a_household_keeps_as_many_days_as_it_says),
        KEEP_TEST(the_messages_that_carried_what_is_gone_are_told),
        KEEP_TEST(what_is_gone_is_out_of_the_sums_before_its_files_are),
        KEEP_TEST(the_preview_says_what_the_sweep_then_does),
        KEEP_TEST(a_limit_set_under_a_wrong_clock_costs_nobody_else_anything),
        KEEP_TEST(an_event_stays_as_long_as_its_clip),
        KEEP_TEST(a_full_household_makes_room_when_it_said_so_and_refuses_otherwise),
        KEEP_TEST(limits_that_cannot_hold_are_refused),
        KEEP_TEST(limits_outlive_a_restart),
        KEEP_TEST(at_its_end_nothing_of_a_household_is_left),
        KEEP_TEST(no_statement_of_the_keeper_walks_a_table),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
