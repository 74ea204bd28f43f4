#include "cloud/media/media_delete.h"

#include <dirent.h>
#include <sys/stat.h>

#include "base/text.h"
#include "cloud/media/media_room.h"
#include "cloud/media/media_testing.h"
#include "wire/event_motion.h"

enum { LENGTH = 70000, NOW = 1790000000 };
static uint8_t clip_bytes[LENGTH];
static uint8_t digest[32];
/* A thumbnail that can be found again, and what base64 makes of it in the device's message. */
static const char CANARY[] = "CANARY-of-a-thumbnail-that-is-deleted-and-must-be-gone-from-all-files";

static int setup(void **state) {
    if (media_lab_setup(state) != 0) return -1;
    media_lab_pattern(clip_bytes, LENGTH, 3);
    porch_sha256((porch_bytes){clip_bytes, LENGTH}, digest);
    media_lab_open(*state);
    return 0;
}

typedef struct {
    pthread_mutex_t lock;
    pthread_cond_t changed;
    bool ready;
} bell;

static void ring(void *ctx) {
    bell *b = ctx;
    (void)pthread_mutex_lock(&b->lock);
    b->ready = true;
    (void)pthread_cond_signal(&b->changed);
    (void)pthread_mutex_unlock(&b->lock);
}

static void publish(media_lab *m, const char *topic, porch_bytes payload) {
    bell b = {PTHREAD_MUTEX_INITIALIZER, PTHREAD_COND_INITIALIZER, false};
    porch_store_lane *lane = porch_store_lane_open(m->lab.store, ring, &b);
    const porch_store_message message = {.at_ms = NOW,
                                         .device = PORCH_LIT("front"),
                                         .topic = porch_bytes_of(topic),
                                         .payload = payload,
                                         .qos = 1};
    uint64_t ticket;
    porch_store_answer answer = {0, 0, PORCH_OK};
    assert_int_equal(porch_store_lane_append(lane, &message, &ticket), PORCH_OK);
    while (!porch_store_lane_poll(lane, &answer) || answer.upto < ticket) {
        (void)pthread_mutex_lock(&b.lock);
        while (!b.ready)
            (void)pthread_cond_wait(&b.changed, &b.lock);
        b.ready = false;
        (void)pthread_mutex_unlock(&b.lock);
    }
    assert_int_equal(answer.result, PORCH_OK);
}

static void publish_motion(media_lab *m, const char *name) {
    static uint8_t block[PORCH_EVENT_MOTION_MOST];
    porch_buf json = PORCH_BUF_OF(block);
    porch_event_motion event = {.at_ms = NOW, .score_e4 = 4200, .box_e4 = {1, 2, 3, 4}, .clip = true};
    assert_int_equal(porch_id_parse(porch_bytes_of(name), &event.id), PORCH_OK);
    assert_int_equal(porch_event_motion_write(&json, &event, porch_bytes_of(CANARY)), PORCH_OK);
    publish(m, "d/front/event/motion", porch_buf_bytes(&json));
}

static void begin(media_lab *m, const char *event, char clip[PORCH_MEDIA_UID]) {
    porch_media_owner owner = media_lab_device("front");
    bool made;
    assert_int_equal(porch_media_upload_begin(m->media, &owner, event, NOW, clip, &made, &m->why),
                     PORCH_OK);
}

static void send_whole(media_lab *m, const char *event, char clip[PORCH_MEDIA_UID]) {
    porch_media_upload *u = NULL;
    uint64_t at;
    begin(m, event, clip);
    assert_int_equal(porch_media_upload_open(m->media, "front", clip, 0, &u, &at, &m->why), PORCH_OK);
    assert_int_equal(porch_media_upload_append(u, (porch_bytes){clip_bytes, LENGTH}, &m->why), PORCH_OK);
    assert_int_equal(porch_media_upload_finish(u, digest, NOW, &m->why), PORCH_OK);
    porch_media_upload_close(u);
}

typedef struct {
    const char *event;
    porch_media_deleted gone;
} order;

static porch_err delete_rows(porch_db *db, void *ctx, porch_why *why) {
    order *o = ctx;
    return porch_media_delete_rows(db, o->event, NOW, &o->gone, why);
}

static porch_err delete_event(media_lab *m, const char *uid, porch_media_deleted *ret) {
    order o = {.event = uid};
    porch_err e = porch_store_write(m->lab.store, delete_rows, &o, &m->why);
    if (ret != NULL) *ret = o.gone;
    return e;
}

static void uid_of(const char *name, char uid[PORCH_MEDIA_UID]) {
    porch_media_event_uid("front", porch_bytes_of(name), uid);
}

static bool file_holds(const char *path, const char *needle) {
    struct stat st;
    FILE *f = fopen(path, "rb");
    if (f == NULL || fstat(fileno(f), &st) != 0) fail_msg("%s cannot be read", path);
    char *all = malloc((size_t)st.st_size + 1);
    assert_int_equal(fread(all, 1, (size_t)st.st_size, f), (size_t)st.st_size);
    (void)fclose(f);
    bool found = memmem(all, (size_t)st.st_size, needle, strlen(needle)) != NULL;
    free(all);
    return found;
}

/* In the thumbnail's column it lies as it is, in the stored message as base64. */
static bool canary_is_on_disk(media_lab *m) {
    char text[200], path[128];
    porch_buf out = {(uint8_t *)text, 0, sizeof text - 1};
    assert_int_equal(porch_base64_write(&out, (porch_bytes){(const uint8_t *)CANARY, 60}, false), PORCH_OK);
    text[out.len] = '\0';
    bool found = false;
    static const char *const files[] = {"hub.db", "hub.db-wal"};
    for (size_t i = 0; i < 2; i++) {
        (void)snprintf(path, sizeof path, "%s/%s", m->lab.dir, files[i]);
        found = found || file_holds(path, CANARY) || file_holds(path, text);
    }
    return found;
}

static size_t files_of_clips(media_lab *m) {
    char path[128];
    size_t n = 0;
    (void)snprintf(path, sizeof path, "%s/clips", m->lab.dir);
    DIR *d = opendir(path);
    assert_non_null(d);
    for (const struct dirent *e; (e = readdir(d)) != NULL;)
        n += e->d_name[0] != '.';
    (void)closedir(d);
    return n;
}

static void a_deleted_event_leaves_no_byte_in_database_log_and_folder(void **state) {
    media_lab *m = *state;
    char clip[PORCH_MEDIA_UID], uid[PORCH_MEDIA_UID];
    porch_media_deleted gone;
    porch_media_event event;
    publish_motion(m, "e1");
    publish_motion(m,
                   "e1"); /* the device may send it twice: the second copy lies in the message log only */
    send_whole(m, "e1", clip);
    uid_of("e1", uid);
    assert_true(canary_is_on_disk(m));
    assert_int_equal(files_of_clips(m), 1);
    assert_int_equal(delete_event(m, uid, &gone), PORCH_OK);
    assert_string_equal(gone.clip, clip);
    assert_string_equal(gone.owner.household, "home");
    assert_int_equal(gone.bytes, LENGTH);
    porch_media_delete_rest(m->media, &gone);
    assert_int_equal(porch_store_scrub(m->lab.store, 30000, &m->why), PORCH_OK);
    assert_false(canary_is_on_disk(m));
    assert_int_equal(files_of_clips(m), 0);
    assert_int_equal(porch_media_event_get(m->media, uid, &event, NULL), PORCH_ERR_NOT_FOUND);
    assert_int_equal(delete_event(m, uid, NULL), PORCH_ERR_NOT_FOUND);
}

static void what_a_device_sends_again_stays_deleted(void **state) {
    media_lab *m = *state;
    char clip[PORCH_MEDIA_UID], uid[PORCH_MEDIA_UID];
    porch_media_event event;
    porch_media_owner owner = media_lab_device("front");
    bool made;
    publish_motion(m, "e1");
    uid_of("e1", uid);
    assert_int_equal(delete_event(m, uid, NULL), PORCH_OK);
    publish_motion(m, "e1");
    assert_int_equal(porch_media_event_get(m->media, uid, &event, NULL), PORCH_ERR_NOT_FOUND);
    assert_int_equal(porch_media_upload_begin(m->media, &owner, "e1", NOW, clip, &made, &m->why),
                     PORCH_ERR_REVOKED);
    assert_int_equal(porch_store_scrub(m->lab.store, 30000, &m->why), PORCH_OK);
    assert_false(canary_is_on_disk(m));
}

static void the_household_gets_its_bytes_back(void **state) {
    media_lab *m = *state;
    char clip[PORCH_MEDIA_UID], uid[PORCH_MEDIA_UID];
    porch_media_owner owner = media_lab_device("front");
    porch_media_deleted gone;
    bool made;
    m->lab.settings.media_household_bytes = LENGTH;
    send_whole(m, "e1", clip);
    assert_int_equal(porch_media_upload_begin(m->media, &owner, "e2", NOW, clip, &made, &m->why),
                     PORCH_ERR_FULL);
    uid_of("e1", uid);
    assert_int_equal(delete_event(m, uid, &gone), PORCH_OK);
    porch_media_delete_rest(m->media, &gone);
    begin(m, "e2", clip);
}

static void a_clip_that_is_being_recorded_is_not_deleted(void **state) {
    media_lab *m = *state;
    char clip[PORCH_MEDIA_UID], uid[PORCH_MEDIA_UID];
    porch_media_event event;
    publish_motion(m, "e1");
    begin(m, "e1", clip);
    uid_of("e1", uid);
    assert_int_equal(delete_event(m, uid, NULL), PORCH_ERR_STATE);
    assert_int_equal(porch_media_event_get(m->media, uid, &event, NULL), PORCH_OK);
}

static void files_that_a_crash_has_left_go_at_the_next_start(void **state) {
    media_lab *m = *state;
    char clip[PORCH_MEDIA_UID], uid[PORCH_MEDIA_UID];
    send_whole(m, "e1", clip);
    uid_of("e1", uid);
    assert_int_equal(delete_event(m, uid, NULL), PORCH_OK);
    assert_int_equal(files_of_clips(m), 1); /* here the power goes */
    media_lab_close(m);
    media_lab_open(m);
    assert_int_equal(files_of_clips(m), 0);
}

static porch_err count_unfinished(porch_db *db, void *ctx, porch_why *why) {
    porch_db_query *q = porch_db_prepare(db, "select count(*) from deleted where files = 0", why);
    PORCH_TRY(porch_db_step(q, why));
    *(int64_t *)ctx = porch_db_i64(q, 0);
    porch_db_finish(q);
    return PORCH_OK;
}

static int64_t unfinished(media_lab *m) {
    int64_t n = -1;
    assert_int_equal(porch_store_read(m->lab.store, count_unfinished, &n, NULL), PORCH_OK);
    return n;
}

static void files_that_cannot_be_removed_are_tried_again_at_the_next_start(void **state) {
    media_lab *m = *state;
    char clip[PORCH_MEDIA_UID], uid[PORCH_MEDIA_UID], path[PATH_MAX];
    porch_media_deleted gone;
    send_whole(m, "e1", clip);
    uid_of("e1", uid);
    porch_media_clip_path(m->media, clip, true, path); /* its copy's place: a folder is no file */
    assert_int_equal(mkdir(path, 0700), 0);
    assert_int_equal(delete_event(m, uid, &gone), PORCH_OK);
    porch_media_delete_rest(m->media, &gone);
    assert_int_equal(unfinished(m), 1);
    media_lab_close(m);
    media_lab_open(m);
    assert_int_equal(unfinished(m), 1);
    assert_int_equal(rmdir(path), 0);
    media_lab_close(m);
    media_lab_open(m);
    assert_int_equal(unfinished(m), 0);
    assert_int_equal(files_of_clips(m), 0);
}

/* The folder's change is on the disk before the mark goes: else a power cut brings the file back without
 * one. */
static void a_mark_stays_until_its_files_are_gone_for_good(void **state) {
    media_lab *m = *state;
    char clip[PORCH_MEDIA_UID], uid[PORCH_MEDIA_UID];
    porch_media_deleted gone;
    send_whole(m, "e1", clip);
    uid_of("e1", uid);
    assert_int_equal(delete_event(m, uid, &gone), PORCH_OK);
    (void)snprintf(media_lab_sync_fails, sizeof media_lab_sync_fails, "/clips");
    porch_media_delete_rest(m->media, &gone);
    assert_int_equal(unfinished(m), 1);
    media_lab_close(m);
    media_lab_open(m);
    assert_int_equal(unfinished(m), 0);
}

/* A tail is written beside its place and renamed: of one that was cut off in between, nobody knows. */
static void what_a_write_cut_off_has_left_goes_at_the_next_start(void **state) {
    media_lab *m = *state;
    char path[PATH_MAX], clip[PORCH_MEDIA_UID];
    send_whole(m, "e1", clip);
    (void)snprintf(path, sizeof path, "%s/clips/.%s.clip.tail.4711.3.tmp", m->lab.dir, clip);
    FILE *f = fopen(path, "w");
    assert_non_null(f);
    assert_int_equal(fclose(f), 0);
    media_lab_close(m);
    media_lab_open(m);
    assert_int_equal(access(path, F_OK), -1);
    assert_int_equal(files_of_clips(m), 1);
}

static void put_file(const media_lab *m, const char *name) {
    char path[PATH_MAX];
    (void)snprintf(path, sizeof path, "%s/clips/%s", m->lab.dir, name);
    FILE *f = fopen(path, "w");
    assert_non_null(f);
    assert_int_equal(fclose(f), 0);
}

/* They came in while the backup was made, behind its copy of the database; without the mark they may be of
 * a database that somebody is about to put back. */
static void clips_that_a_restored_database_does_not_know_go_once(void **state) {
    media_lab *m = *state;
    char clip[PORCH_MEDIA_UID];
    send_whole(m, "e1", clip);
    put_file(m, "00112233445566778899aabbccddeeff.clip");
    put_file(m, "00112233445566778899aabbccddeeff.index");
    media_lab_close(m);
    media_lab_open(m);
    assert_int_equal(files_of_clips(m), 3);
    put_file(m, ".restored");
    media_lab_close(m);
    media_lab_open(m);
    assert_int_equal(files_of_clips(m), 1);
    put_file(m, "00112233445566778899aabbccddeeff.clip");
    media_lab_close(m);
    media_lab_open(m);
    assert_int_equal(files_of_clips(m), 2);
}

static porch_err delete_unfinished(porch_db *db, void *ctx, porch_why *why) {
    bool gone = false;
    porch_err e = porch_media_delete_unfinished(db, ctx, &gone, why);
    assert_true(e != PORCH_OK || gone);
    return e;
}

static void send_part(media_lab *m, const char *event, char clip[PORCH_MEDIA_UID]) {
    porch_media_upload *u = NULL;
    uint64_t at;
    begin(m, event, clip);
    assert_int_equal(porch_media_upload_open(m->media, "front", clip, 0, &u, &at, &m->why), PORCH_OK);
    assert_int_equal(porch_media_upload_append(u, (porch_bytes){clip_bytes, 1000}, &m->why), PORCH_OK);
    porch_media_upload_close(u);
}

static porch_err count_marks(porch_db *db, void *ctx, porch_why *why) {
    int64_t *count = ctx;
    porch_db_query *q = porch_db_prepare(db, "select count(*) from deleted", why);
    porch_err e = porch_db_step(q, why);
    if (e == PORCH_OK) *count = porch_db_i64(q, 0);
    porch_db_finish(q);
    return e;
}

static int64_t marks(media_lab *m) {
    int64_t count = -1;
    assert_int_equal(porch_store_read(m->lab.store, count_marks, &count, &m->why), PORCH_OK);
    return count;
}

static void files_of_an_upload_given_up_go_too_whenever_the_power_does(void **state) {
    media_lab *m = *state;
    char clip[PORCH_MEDIA_UID], again[PORCH_MEDIA_UID];
    send_part(m, "e1", clip);
    assert_true(files_of_clips(m) > 0);
    assert_int_equal(porch_store_write(m->lab.store, delete_unfinished, clip, &m->why), PORCH_OK);
    assert_true(files_of_clips(m) > 0); /* here the power goes */
    media_lab_close(m);
    media_lab_open(m);
    assert_int_equal(files_of_clips(m), 0);
    assert_int_equal(marks(m), 0);
    /* It was no person who gave it up: the device may begin once more. */
    send_part(m, "e1", again);
    assert_string_not_equal(clip, again);
}

static void a_clip_that_is_complete_by_now_is_not_given_up(void **state) {
    media_lab *m = *state;
    char clip[PORCH_MEDIA_UID];
    send_whole(m, "e1", clip);
    assert_int_equal(porch_media_give_up(m->media, clip, &m->why), PORCH_OK);
    porch_media_clip *c = NULL;
    assert_int_equal(porch_media_clip_open(m->media, clip, false, &c, &m->why), PORCH_OK);
    assert_int_equal(porch_media_clip_bytes(c), LENGTH);
    porch_media_clip_close(c);
    assert_int_equal(marks(m), 0);
}

static void an_upload_that_the_disk_keeps_is_given_up_later(void **state) {
    media_lab *m = *state;
    char clip[PORCH_MEDIA_UID];
    send_part(m, "e1", clip);
    store_lab_disk(false);
    porch_err refused = porch_media_uploads_sweep(m->media, NOW + 1, &m->why);
    store_lab_disk(true);
    assert_int_not_equal(refused, PORCH_OK);
    porch_media_upload_info info;
    assert_int_equal(porch_media_upload_status(m->media, "front", clip, &info, &m->why), PORCH_OK);
    assert_int_equal(info.offset, 1000);
    assert_int_equal(porch_media_uploads_bytes(m->media, "home"), 1000);
    assert_int_equal(porch_media_uploads_sweep(m->media, NOW + 1, &m->why), PORCH_OK);
    assert_int_equal(files_of_clips(m), 0);
    assert_int_equal(marks(m), 0);
}

static void other_events_keep_all_they_have(void **state) {
    media_lab *m = *state;
    char clip[PORCH_MEDIA_UID], other[PORCH_MEDIA_UID], uid[PORCH_MEDIA_UID];
    porch_media_event event;
    porch_media_deleted gone;
    publish_motion(m, "e1");
    publish_motion(m, "e2");
    send_whole(m, "e1", clip);
    send_whole(m, "e2", other);
    uid_of("e1", uid);
    assert_int_equal(delete_event(m, uid, &gone), PORCH_OK);
    porch_media_delete_rest(m->media, &gone);
    uid_of("e2", uid);
    assert_int_equal(porch_media_event_get(m->media, uid, &event, NULL), PORCH_OK);
    assert_true(event.has_thumbnail);
    assert_string_equal(event.clip.id, other);
    assert_int_equal(files_of_clips(m), 1);
    assert_true(canary_is_on_disk(m));
}

/* The log begins with 3; what 1 said is retained, what 2 said is nowhere. */
static porch_err outlive_the_log(porch_db *db, void *ctx, porch_why *why) {
    static const char *const statements[] = {
        "insert into message (seq, at_ms, device, topic, qos, payload, flags, origin) values (3, 1, "
        "'front', 't', "
        "1, x'', 0, 0)",
        "insert into mqtt_retained (topic, seq, at_ms, qos, origin, payload) values ('t', 1, 1, 1, 0, x'')",
        "insert into event_message values (1, 'e'), (2, 'e'), (3, 'e')"};
    for (size_t i = 0; i < sizeof statements / sizeof statements[0]; i++)
        PORCH_TRY(porch_db_run(db, statements[i], why));
    PORCH_TRY(porch_media_delete_forget(db, 0, why));
    return porch_media_delete_messages(db, "e", ctx, why);
}

static void what_is_retained_stays_known_as_its_events(void **state) {
    media_lab *m = *state;
    porch_media_messages left = {0};
    assert_int_equal(porch_store_write(m->lab.store, outlive_the_log, &left, &m->why), PORCH_OK);
    assert_int_equal(left.count, 2);
    assert_true(left.at[0] == 1 && left.at[1] == 3);
    free(left.at);
}

/* Retention and erasure delete events by the thousand, on the thread that writes messages. */
static void no_statement_that_deletes_an_event_walks_a_table(void **state) {
    media_lab *m = *state;
    size_t count = 0;
    for (; porch_media_delete_sql[count] != NULL; count++) {
        media_lab_plan p = media_lab_plan_of(m, porch_media_delete_sql[count]);
        if (!media_lab_plan_is_narrow(&p)) fail_msg("%s\nis planned as\n%s", p.sql, p.text);
    }
    assert_int_equal(count, 8);
}

static porch_err mark_only(porch_db *db, void *ctx, porch_why *why) {
    const porch_media_owner owner = media_lab_device("front");
    porch_media_deleted gone;
    PORCH_TRY(porch_media_delete_mark(db, ctx, &owner, 7, &gone, why));
    assert_string_equal(gone.event, ctx);
    assert_string_equal(gone.clip, "");
    assert_string_equal(gone.owner.household, "home");
    return PORCH_OK;
}

/* Its clip came first, was deleted, and was all that there was of it. */
static void an_event_that_was_deleted_before_it_came_is_not_wanted(void **state) {
    media_lab *m = *state;
    char uid[PORCH_MEDIA_UID], clip[PORCH_MEDIA_UID];
    bool made;
    porch_media_event event;
    porch_media_owner owner = media_lab_device("front");
    uid_of("e1", uid);
    assert_int_equal(porch_store_write(m->lab.store, mark_only, uid, &m->why), PORCH_OK);
    assert_int_equal(porch_media_upload_begin(m->media, &owner, "e1", 1, clip, &made, NULL),
                     PORCH_ERR_REVOKED);
    publish_motion(m, "e1");
    assert_int_equal(porch_media_event_get(m->media, uid, &event, NULL), PORCH_ERR_NOT_FOUND);
    assert_int_equal(unfinished(m), 0);
    assert_int_equal(porch_store_write(m->lab.store, mark_only, (void *)(uintptr_t) "no uid", NULL),
                     PORCH_ERR_NOT_FOUND);
}

static void what_is_no_event_is_not_found(void **state) {
    media_lab *m = *state;
    static const char *const ids[] = {"", "x", "00000000000000000000000000000000",
                                      "../../../../../../../etc/passwd",
                                      "0000000000000000000000000000000000000000000"};
    for (size_t i = 0; i < sizeof ids / sizeof ids[0]; i++)
        assert_int_equal(delete_event(m, ids[i], NULL), PORCH_ERR_NOT_FOUND);
}

#define MEDIA_TEST(name) cmocka_unit_test_setup_teardown(name, setup, media_lab_teardown)

int main(void) {
    const struct CMUnitTest tests[] = {
        MEDIA_TEST(a_deleted_event_leaves_no_byte_in_database_log_and_folder),
        MEDIA_TEST(what_a_device_sends_again_stays_deleted),
        MEDIA_TEST(the_household_gets_its_bytes_back),
        MEDIA_TEST(a_clip_that_is_being_recorded_is_not_deleted),
        MEDIA_TEST(files_that_a_crash_has_left_go_at_the_next_start),
        MEDIA_TEST(files_that_cannot_be_removed_are_tried_again_at_the_next_start),
        MEDIA_TEST(a_mark_stays_until_its_files_are_gone_for_good),
        MEDIA_TEST(what_a_write_cut_off_has_left_goes_at_the_next_start),
        MEDIA_TEST(clips_that_a_restored_database_does_not_know_go_once),
        MEDIA_TEST(files_of_an_upload_given_up_go_too_whenever_the_power_does),
        MEDIA_TEST(a_clip_that_is_complete_by_now_is_not_given_up),
        MEDIA_TEST(an_upload_that_the_disk_keeps_is_given_up_later),
        MEDIA_TEST(other_events_keep_all_they_have),
        MEDIA_TEST(what_is_retained_stays_known_as_its_events),
        MEDIA_TEST(no_statement_that_deletes_an_event_walks_a_table),
        MEDIA_TEST(an_event_that_was_deleted_before_it_came_is_not_wanted),
        MEDIA_TEST(what_is_no_event_is_not_found),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
