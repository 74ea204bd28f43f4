#include "cloud/media/media_upload.h"

#include <sched.h>
#include <stdatomic.h>
#include <unistd.h>

#include "cloud/media/media_parts.h"
#include "cloud/media/media_room.h"
#include "cloud/media/media_testing.h"

enum { LENGTH = 150000, NOW = 1790000000 };
static uint8_t clip_bytes[LENGTH];
static uint8_t digest[32];

static int setup(void **state) {
    if (media_lab_setup(state) != 0) return -1;
    media_lab *m = *state;
    media_lab_pattern(clip_bytes, LENGTH, 3);
    porch_sha256((porch_bytes){clip_bytes, LENGTH}, digest);
    media_lab_open(m);
    return 0;
}

static void reopen(media_lab *m) {
    media_lab_close(m);
    media_lab_open(m);
}

static void begin(media_lab *m, const char *device, const char *event, char clip[PORCH_MEDIA_UID]) {
    porch_media_owner owner = media_lab_device(device);
    bool made;
    assert_int_equal(porch_media_upload_begin(m->media, &owner, event, NOW, clip, &made, &m->why),
                     PORCH_OK);
}

static porch_media_upload *open_at(media_lab *m, const char *clip, uint64_t offset) {
    porch_media_upload *u = NULL;
    uint64_t at = 0;
    porch_err e = porch_media_upload_open(m->media, "front", clip, offset, &u, &at, &m->why);
    if (e != PORCH_OK) fail_msg("%s", m->why.text);
    return u;
}

static void append(porch_media_upload *u, size_t from, size_t to) {
    assert_int_equal(porch_media_upload_append(u, (porch_bytes){clip_bytes + from, to - from}, NULL),
                     PORCH_OK);
}

static uint64_t offset_of(media_lab *m, const char *clip) {
    porch_media_upload_info info;
    assert_int_equal(porch_media_upload_status(m->media, "front", clip, &info, NULL), PORCH_OK);
    return info.offset;
}

static void send_whole(media_lab *m, const char *event, char clip[PORCH_MEDIA_UID]) {
    begin(m, "front", event, clip);
    porch_media_upload *u = open_at(m, clip, 0);
    append(u, 0, LENGTH);
    assert_int_equal(porch_media_upload_finish(u, digest, NOW, &m->why), PORCH_OK);
    porch_media_upload_close(u);
}

static void beginning_twice_gives_the_same_clip(void **state) {
    media_lab *m = *state;
    char a[PORCH_MEDIA_UID], b[PORCH_MEDIA_UID], c[PORCH_MEDIA_UID];
    bool made;
    porch_media_owner owner = media_lab_device("front");
    assert_int_equal(porch_media_upload_begin(m->media, &owner, "e1", NOW, a, &made, NULL), PORCH_OK);
    assert_true(made);
    reopen(m);
    assert_int_equal(porch_media_upload_begin(m->media, &owner, "e1", NOW, b, &made, NULL), PORCH_OK);
    assert_false(made);
    assert_string_equal(a, b);
    begin(m, "back", "e1", c); /* another device's event of the same name is another event */
    assert_string_not_equal(a, c);
}

static void a_clip_in_pieces_over_restarts_is_whole_in_the_end(void **state) {
    media_lab *m = *state;
    static const size_t stops[] = {1, 65535, 65536, 65537, 131072, 140000, LENGTH};
    char clip[PORCH_MEDIA_UID];
    size_t at = 0;
    begin(m, "front", "e1", clip);
    for (size_t i = 0; i < sizeof stops / sizeof stops[0]; i++) {
        porch_media_upload *u = open_at(m, clip, at);
        append(u, at, stops[i]);
        at = stops[i];
        if (at == LENGTH) assert_int_equal(porch_media_upload_finish(u, digest, NOW, &m->why), PORCH_OK);
        porch_media_upload_close(u);
        reopen(m);
        assert_int_equal(offset_of(m, clip), at);
    }
    porch_media_clip *c;
    static uint8_t back[LENGTH];
    size_t got;
    assert_int_equal(porch_media_clip_open(m->media, clip, true, &c, &m->why), PORCH_OK);
    assert_int_equal(porch_media_clip_bytes(c), LENGTH);
    assert_int_equal(porch_media_clip_read(c, 65000, back, 2000, &got, NULL), PORCH_OK);
    assert_int_equal(got, 2000);
    assert_memory_equal(back, clip_bytes + 65000, 2000);
    porch_media_clip_close(c);
    porch_media_clip_info info = {0};
    assert_int_equal(porch_media_clip_get(m->media, clip, &info, NULL), PORCH_OK);
    assert_int_equal(info.state, PORCH_MEDIA_CLIP_COMPLETE);
    assert_memory_equal(info.sha256, digest, 32);
}

static void a_wrong_offset_is_told_the_right_one(void **state) {
    media_lab *m = *state;
    static const uint64_t wrong[] = {0, 999, 1001, UINT64_MAX};
    char clip[PORCH_MEDIA_UID];
    begin(m, "front", "e1", clip);
    porch_media_upload *u = open_at(m, clip, 0);
    append(u, 0, 1000);
    porch_media_upload_close(u);
    for (size_t i = 0; i < sizeof wrong / sizeof wrong[0]; i++) {
        uint64_t at = 0;
        assert_int_equal(porch_media_upload_open(m->media, "front", clip, wrong[i], &u, &at, NULL),
                         PORCH_ERR_STATE);
        assert_int_equal(at, 1000);
    }
}

/* Reading a clip takes long, and an offset that is known needs none of it: not even the file. */
static void an_offset_is_found_once_and_then_known(void **state) {
    media_lab *m = *state;
    char clip[PORCH_MEDIA_UID], path[PATH_MAX], aside[PATH_MAX + 8];
    porch_media_upload *u;
    uint64_t at = 0;
    begin(m, "front", "e1", clip);
    u = open_at(m, clip, 0);
    append(u, 0, 1000);
    porch_media_upload_close(u);
    porch_media_clip_path(m->media, clip, false, path);
    (void)snprintf(aside, sizeof aside, "%s.aside", path);
    for (int restarted = 0; restarted < 2; restarted++) {
        assert_int_equal(offset_of(m, clip), 1000);
        assert_int_equal(rename(path, aside), 0);
        assert_int_equal(offset_of(m, clip), 1000);
        assert_int_equal(porch_media_upload_open(m->media, "front", clip, 999, &u, &at, NULL),
                         PORCH_ERR_STATE);
        assert_int_equal(at, 1000);
        assert_int_equal(rename(aside, path), 0);
        reopen(m);
    }
    u = open_at(m, clip, 1000);
    append(u, 1000, 3000);
    porch_media_upload_close(u);
    assert_int_equal(offset_of(m, clip), 3000);
}

static void another_devices_clip_and_an_unknown_one_are_refused(void **state) {
    media_lab *m = *state;
    char clip[PORCH_MEDIA_UID];
    porch_media_upload *u;
    porch_media_upload_info info;
    uint64_t at;
    begin(m, "front", "e1", clip);
    assert_int_equal(porch_media_upload_open(m->media, "back", clip, 0, &u, &at, NULL), PORCH_ERR_DENIED);
    assert_int_equal(porch_media_upload_status(m->media, "back", clip, &info, NULL), PORCH_ERR_DENIED);
    static const char *const unknown[] = {"", "x", "../../../../etc/passwd",
                                          "00000000000000000000000000000000"};
    for (size_t i = 0; i < sizeof unknown / sizeof unknown[0]; i++) {
        assert_int_equal(porch_media_upload_status(m->media, "front", unknown[i], &info, NULL),
                         PORCH_ERR_NOT_FOUND);
    }
}

static void a_wrong_hash_is_refused_and_the_clip_can_be_sent_again(void **state) {
    media_lab *m = *state;
    uint8_t wrong[32] = {9};
    char clip[PORCH_MEDIA_UID];
    begin(m, "front", "e1", clip);
    porch_media_upload *u = open_at(m, clip, 0);
    append(u, 0, LENGTH);
    assert_int_equal(porch_media_upload_finish(u, wrong, NOW, &m->why), PORCH_ERR_HASH);
    assert_int_equal(porch_media_upload_append(u, (porch_bytes){clip_bytes, 1}, NULL), PORCH_ERR_CLOSED);
    porch_media_upload_close(u);
    assert_int_equal(offset_of(m, clip), 0);
    reopen(m);
    assert_int_equal(offset_of(m, clip), 0);
    u = open_at(m, clip, 0);
    append(u, 0, LENGTH);
    assert_int_equal(porch_media_upload_finish(u, digest, NOW, &m->why), PORCH_OK);
    porch_media_upload_close(u);
}

static void a_newer_request_takes_the_clip_over(void **state) {
    media_lab *m = *state;
    char clip[PORCH_MEDIA_UID];
    begin(m, "front", "e1", clip);
    porch_media_upload *old = open_at(m, clip, 0), *new;
    append(old, 0, 70000);
    uint64_t at = 0;
    /* What the old one took is not lost: the new one is told to go on behind it. */
    assert_int_equal(porch_media_upload_open(m->media, "front", clip, 0, &new, &at, NULL), PORCH_ERR_STATE);
    assert_int_equal(at, 70000);
    new = open_at(m, clip, at);
    assert_int_equal(porch_media_upload_append(old, (porch_bytes){clip_bytes, 5}, NULL), PORCH_ERR_CLOSED);
    append(new, 70000, LENGTH);
    assert_int_equal(porch_media_upload_finish(old, digest, NOW, NULL), PORCH_ERR_CLOSED);
    assert_int_equal(porch_media_upload_finish(new, digest, NOW, NULL), PORCH_OK);
    porch_media_upload_close(old);
    porch_media_upload_close(new);
}

/* ---- a second request while the first completes the clip ---- */

typedef struct request {
    media_lab *lab;
    const char *clip;
    porch_media_upload *upload;
    porch_err result;
    void (*work)(struct request *r);
    atomic_int thread; /* its number, once it runs */
} request;

static pthread_mutex_t gate = PTHREAD_MUTEX_INITIALIZER; /* held: nothing is committed */

static porch_err pass_gate(porch_db *db, void *ctx, porch_why *why) {
    (void)db;
    (void)ctx;
    (void)why;
    (void)pthread_mutex_lock(&gate);
    (void)pthread_mutex_unlock(&gate);
    return PORCH_OK;
}

static void hold_writer(request *r) {
    r->result = porch_store_write(r->lab->lab.store, pass_gate, NULL, NULL);
}

static void complete_it(request *r) {
    r->result = porch_media_upload_finish(r->upload, digest, NOW, NULL);
}

static void ask_for_it(request *r) {
    porch_media_upload_info info = {0};
    r->result = porch_media_upload_status(r->lab->media, "front", r->clip, &info, NULL);
}

static void go_on_with_it(request *r) {
    uint64_t at;
    r->result = porch_media_upload_open(r->lab->media, "front", r->clip, 5, &r->upload, &at, NULL);
    porch_media_upload_close(r->upload);
}

static void *run(void *ctx) {
    request *r = ctx;
    atomic_store(&r->thread, gettid());
    r->work(r);
    return NULL;
}

/* Whether the kernel says that a thread of ours sleeps: 'S' behind the name in its stat line. */
static bool sleeps(int thread) {
    char path[64], line[256] = "";
    (void)snprintf(path, sizeof path, "/proc/self/task/%d/stat", thread);
    FILE *f = fopen(path, "r");
    assert_non_null(f);
    assert_non_null(fgets(line, sizeof line, f));
    (void)fclose(f);
    const char *state = strrchr(line, ')');
    return state != NULL && state[2] == 'S';
}

/* Behind the closed gate a request goes as far as it can, and then sleeps until another lets it on. */
static void start(pthread_t *thread, request *r) {
    assert_int_equal(pthread_create(thread, NULL, run, r), 0);
    while (atomic_load(&r->thread) == 0 || !sleeps(atomic_load(&r->thread)))
        (void)sched_yield();
}

static void a_request_that_comes_while_a_clip_is_completed_leaves_it_whole(void **state) {
    media_lab *m = *state;
    char clip[PORCH_MEDIA_UID];
    pthread_t threads[4];
    begin(m, "front", "e1", clip);
    porch_media_upload *u = open_at(m, clip, 0);
    append(u, 0, LENGTH);
    request r[4] = {{m, clip, NULL, PORCH_OK, hold_writer, 0},
                    {m, clip, u, PORCH_OK, complete_it, 0},
                    {m, clip, NULL, PORCH_OK, go_on_with_it, 0},
                    {m, clip, NULL, PORCH_OK, ask_for_it, 0}};
    (void)pthread_mutex_lock(&gate);
    for (size_t i = 0; i < 4; i++)
        start(&threads[i], &r[i]);
    (void)pthread_mutex_unlock(&gate);
    for (size_t i = 0; i < 4; i++)
        (void)pthread_join(threads[i], NULL);
    porch_media_upload_close(u);
    assert_int_equal(r[1].result, PORCH_OK);
    porch_media_clip *c;
    static uint8_t back[LENGTH];
    size_t got = 0;
    assert_int_equal(porch_media_clip_open(m->media, clip, true, &c, &m->why), PORCH_OK);
    assert_int_equal(porch_media_clip_read(c, 0, back, LENGTH, &got, NULL), PORCH_OK);
    assert_int_equal(got, LENGTH);
    assert_memory_equal(back, clip_bytes, LENGTH);
    porch_media_clip_close(c);
    assert_int_equal(offset_of(m, clip), LENGTH);
    assert_true(r[2].result == PORCH_ERR_STATE || r[2].result == PORCH_ERR_CLOSED);
    assert_int_equal(r[3].result, PORCH_OK);
}

static void a_clip_past_its_limit_is_refused_and_its_beginning_stays(void **state) {
    media_lab *m = *state;
    char clip[PORCH_MEDIA_UID];
    m->lab.settings.media_clip_bytes = 100000;
    begin(m, "front", "e1", clip);
    porch_media_upload *u = open_at(m, clip, 0);
    append(u, 0, 100000);
    assert_int_equal(porch_media_upload_append(u, (porch_bytes){clip_bytes, 1}, &m->why), PORCH_ERR_LIMIT);
    assert_non_null(strstr(m->why.text, "media.clip_bytes"));
    porch_media_upload_close(u);
    assert_int_equal(offset_of(m, clip), 100000);
}

static void a_households_quota_counts_all_its_clips_and_nobody_elses(void **state) {
    media_lab *m = *state;
    char clip[PORCH_MEDIA_UID], more[PORCH_MEDIA_UID];
    bool made;
    m->lab.settings.media_household_bytes = 2ull * LENGTH;
    send_whole(m, "e1", clip);
    reopen(m); /* the sums survive */
    begin(m, "front", "e2", clip);
    begin(m, "front", "e3", more);
    porch_media_upload *u = open_at(m, clip, 0);
    append(u, 0, LENGTH);
    porch_media_upload *v = open_at(m, more, 0);
    assert_int_equal(porch_media_upload_append(v, (porch_bytes){clip_bytes, 1}, &m->why), PORCH_ERR_FULL);
    assert_non_null(strstr(m->why.text, "quota"));
    porch_media_upload_close(v);
    assert_int_equal(porch_media_upload_finish(u, digest, NOW, NULL), PORCH_OK);
    porch_media_upload_close(u);
    porch_media_owner home = media_lab_device("back"), next_door = media_lab_device("gate");
    assert_int_equal(porch_media_upload_begin(m->media, &home, "e4", NOW, clip, &made, NULL),
                     PORCH_ERR_FULL);
    assert_int_equal(porch_media_upload_begin(m->media, &next_door, "e4", NOW, clip, &made, NULL),
                     PORCH_OK);
}

static porch_err status(media_lab *m, const char *device, const char *clip) {
    porch_media_upload_info info;
    return porch_media_upload_status(m->media, device, clip, &info, NULL);
}

static void a_device_that_sends_as_many_clips_as_it_may_finishes_one_first(void **state) {
    media_lab *m = *state;
    char clip[PORCH_MEDIA_UID], first[PORCH_MEDIA_UID], second[PORCH_MEDIA_UID];
    bool made;
    porch_media_owner owner = media_lab_device("front");
    m->lab.settings.media_uploads_per_device = 2;
    begin(m, "front", "e1", first);
    begin(m, "front", "e2", second);
    porch_media_upload *u = open_at(m, first, 0), *v = open_at(m, second, 0);
    assert_int_equal(porch_media_upload_begin(m->media, &owner, "e3", NOW, clip, &made, NULL),
                     PORCH_ERR_BUSY);
    append(u, 0, LENGTH);
    assert_int_equal(porch_media_upload_finish(u, digest, NOW, NULL), PORCH_OK);
    porch_media_upload_close(u);
    assert_int_equal(porch_media_upload_begin(m->media, &owner, "e3", NOW, clip, &made, NULL), PORCH_OK);
    porch_media_upload_close(v);
}

/* As if nobody had sent any of them for a long time. */
static void let_time_pass(media_lab *m) {
    porch_media_uploads_lock(m->media->uploads);
    for (media_part *p = m->media->uploads->parts; p != NULL; p = p->next)
        p->used_mono_ms = 0;
    porch_media_uploads_unlock(m->media->uploads);
}

/* Clips that nobody goes on with (the device's disk was full, its link broke) must not lock it out. */
static void of_clips_that_nobody_sends_the_one_used_longest_ago_makes_way(void **state) {
    media_lab *m = *state;
    char a[PORCH_MEDIA_UID], b[PORCH_MEDIA_UID], c[PORCH_MEDIA_UID], d[PORCH_MEDIA_UID],
        other[PORCH_MEDIA_UID];
    m->lab.settings.media_uploads_per_device = 3;
    begin(m, "back", "e0", other);
    begin(m, "front", "e1", a);
    begin(m, "front", "e2", b);
    begin(m, "front", "e3", c);
    porch_media_upload *u = open_at(m, a, 0);
    append(u, 0, 70000);
    porch_media_upload_close(u); /* used after b and c */
    /* one that has just been sent is between two requests */
    bool made;
    porch_media_owner owner = media_lab_device("front");
    assert_int_equal(porch_media_upload_begin(m->media, &owner, "e4", NOW, d, &made, NULL), PORCH_ERR_BUSY);
    let_time_pass(m);
    begin(m, "front", "e4", d);
    assert_int_equal(status(m, "front", b), PORCH_ERR_NOT_FOUND);
    assert_int_equal(offset_of(m, a), 70000);
    assert_int_equal(status(m, "back", other), PORCH_OK);
    /* the device comes back to it after all */
    let_time_pass(m);
    begin(m, "front", "e2", b);
    assert_int_equal(status(m, "front", c), PORCH_ERR_NOT_FOUND);
    u = open_at(m, b, 0);
    append(u, 0, LENGTH);
    assert_int_equal(porch_media_upload_finish(u, digest, NOW, NULL), PORCH_OK);
    porch_media_upload_close(u);
}

static void a_clip_that_nobody_sends_is_given_up_for_who_deletes_its_event(void **state) {
    media_lab *m = *state;
    char clip[PORCH_MEDIA_UID], event[PORCH_MEDIA_UID];
    porch_media_event_uid("front", PORCH_LIT("e1"), event);
    assert_int_equal(porch_media_upload_abandon(m->media, event, NULL), PORCH_ERR_STATE);
    begin(m, "front", "e1", clip);
    porch_media_upload *u = open_at(m, clip, 0);
    append(u, 0, 70000);
    assert_int_equal(porch_media_upload_abandon(m->media, event, NULL), PORCH_ERR_STATE);
    porch_media_upload_close(u);
    assert_int_equal(porch_media_upload_abandon(m->media, event, NULL), PORCH_OK);
    assert_int_equal(status(m, "front", clip), PORCH_ERR_NOT_FOUND);
    assert_int_equal(porch_media_uploads_bytes(m->media, "home"), 0);
}

/* A request that waited behind the end of the household that it came from. */
static void a_device_that_has_gone_elsewhere_meanwhile_begins_nothing(void **state) {
    media_lab *m = *state;
    char clip[PORCH_MEDIA_UID];
    bool made;
    porch_media_owner former = media_lab_device("gate");
    memcpy(former.household, "home", sizeof "home");
    assert_int_equal(porch_media_upload_begin(m->media, &former, "e1", NOW, clip, &made, NULL),
                     PORCH_ERR_DENIED);
    porch_media_owner nobody = media_lab_device("front");
    memcpy(nobody.device, "nobody", sizeof "nobody");
    assert_int_equal(porch_media_upload_begin(m->media, &nobody, "e1", NOW, clip, &made, NULL),
                     PORCH_ERR_DENIED);
    assert_int_equal(porch_media_uploads_bytes(m->media, "home"), 0);
}

/* The system tells of a write that failed once, and passes for clean what it has lost. */
static void what_a_disk_has_lost_is_told_as_durable_by_nobody(void **state) {
    media_lab *m = *state;
    char clip[PORCH_MEDIA_UID];
    uint64_t durable = 0;
    begin(m, "front", "e1", clip);
    porch_media_upload *u = open_at(m, clip, 0);
    append(u, 0, 70000);
    assert_int_equal(porch_media_upload_pause(u, &durable, NULL), PORCH_OK);
    assert_int_equal(durable, 70000);
    append(u, 70000, 140000);
    (void)snprintf(media_lab_sync_fails, sizeof media_lab_sync_fails, ".clip");
    assert_int_equal(porch_media_upload_pause(u, &durable, NULL), PORCH_ERR_IO);
    porch_media_upload_close(u); /* syncs once more */
    assert_int_equal(offset_of(m, clip), 70000);
    reopen(m);
    assert_int_equal(offset_of(m, clip), 70000);
    u = open_at(m, clip, 70000);
    append(u, 70000, LENGTH);
    assert_int_equal(porch_media_upload_finish(u, digest, NOW, &m->why), PORCH_OK);
    porch_media_upload_close(u);
}

/* What was told before stays, also where the failure is met by who goes on. */
static void a_sync_that_fails_while_going_on_takes_nothing_that_was_told(void **state) {
    media_lab *m = *state;
    char clip[PORCH_MEDIA_UID];
    porch_media_upload *u;
    uint64_t at = 0;
    begin(m, "front", "e1", clip);
    u = open_at(m, clip, 0);
    append(u, 0, 140000);
    porch_media_upload_close(u);
    (void)snprintf(media_lab_sync_fails, sizeof media_lab_sync_fails, ".clip");
    assert_int_equal(porch_media_upload_open(m->media, "front", clip, 140000, &u, &at, NULL), PORCH_ERR_IO);
    assert_int_equal(porch_media_uploads_bytes(m->media, "home"),
                     131072); /* as the disk has it, in chunks */
    assert_int_equal(offset_of(m, clip), 140000);
}

/* After a hub that was killed, what is there may be in the system's memory alone. */
static void what_is_found_after_a_restart_is_made_durable_before_it_is_told(void **state) {
    media_lab *m = *state;
    char clip[PORCH_MEDIA_UID];
    porch_media_upload_info info;
    begin(m, "front", "e1", clip);
    porch_media_upload *u = open_at(m, clip, 0);
    append(u, 0, 70000);
    porch_media_upload_close(u);
    reopen(m);
    (void)snprintf(media_lab_sync_fails, sizeof media_lab_sync_fails, ".clip");
    assert_int_equal(porch_media_upload_status(m->media, "front", clip, &info, NULL), PORCH_ERR_IO);
    assert_int_equal(offset_of(m, clip), 0); /* nobody knows what of it the disk has */
}

/* What is deleted needs room in the database before it gives any on the disk. */
static void clips_leave_the_database_its_share_of_the_disk(void **state) {
    media_lab *m = *state;
    char clip[PORCH_MEDIA_UID];
    bool made;
    porch_media_owner owner = media_lab_device("front");
    begin(m, "front", "e1", clip);
    porch_media_upload *u = open_at(m, clip, 0);
    append(u, 0, 70000);
    m->lab.settings.media_disk_reserve_bytes = UINT64_C(1000000000000000);
    assert_int_equal(porch_media_upload_begin(m->media, &owner, "e2", NOW, clip, &made, &m->why),
                     PORCH_ERR_FULL);
    assert_non_null(strstr(m->why.text, "media.disk_reserve_bytes"));
    assert_int_equal(porch_media_upload_append(u, (porch_bytes){clip_bytes, 1}, NULL), PORCH_ERR_FULL);
    porch_media_upload_close(u);
    m->lab.settings.media_disk_reserve_bytes = 0;
    begin(m, "front", "e2", clip);
}

enum { AT_ONCE = 12 };

typedef struct {
    media_lab *lab;
    pthread_barrier_t *start;
    char event[16];
    porch_err result;
} beginner;

static void *begin_one(void *ctx) {
    beginner *b = ctx;
    char clip[PORCH_MEDIA_UID];
    bool made;
    porch_media_owner owner = media_lab_device("front");
    (void)pthread_barrier_wait(b->start);
    b->result = porch_media_upload_begin(b->lab->media, &owner, b->event, NOW, clip, &made, NULL);
    return NULL;
}

static porch_err count_unfinished(porch_db *db, void *ctx, porch_why *why) {
    porch_db_query *q = porch_db_prepare(db, "select count(*) from clip where state = 0", why);
    PORCH_TRY(porch_db_step(q, why));
    *(int64_t *)ctx = porch_db_i64(q, 0);
    porch_db_finish(q);
    return PORCH_OK;
}

static void clips_begun_at_once_do_not_pass_the_limit(void **state) {
    media_lab *m = *state;
    pthread_barrier_t start;
    pthread_t threads[AT_ONCE];
    beginner all[AT_ONCE];
    unsigned begun = 0;
    m->lab.settings.media_uploads_per_device = 2;
    assert_int_equal(pthread_barrier_init(&start, NULL, AT_ONCE), 0);
    for (int i = 0; i < AT_ONCE; i++) {
        all[i] = (beginner){m, &start, "", PORCH_OK};
        (void)snprintf(all[i].event, sizeof all[i].event, "e%d", i);
        assert_int_equal(pthread_create(&threads[i], NULL, begin_one, &all[i]), 0);
    }
    for (int i = 0; i < AT_ONCE; i++) {
        (void)pthread_join(threads[i], NULL);
        if (all[i].result == PORCH_OK) begun++;
        if (all[i].result != PORCH_OK) assert_int_equal(all[i].result, PORCH_ERR_BUSY);
    }
    (void)pthread_barrier_destroy(&start);
    assert_int_equal(begun, 2);
    int64_t unfinished = 0;
    assert_int_equal(porch_store_read(m->lab.store, count_unfinished, &unfinished, NULL), PORCH_OK);
    assert_int_equal(unfinished, 2);
}

static void another_clips_file_in_its_place_is_refused(void **state) {
    media_lab *m = *state;
    char a[PORCH_MEDIA_UID], b[PORCH_MEDIA_UID], from[200], to[200];
    porch_media_clip *c;
    send_whole(m, "e1", a);
    send_whole(m, "e2", b);
    (void)snprintf(from, sizeof from, "%s/clips/%s.clip", m->lab.dir, a);
    (void)snprintf(to, sizeof to, "%s/clips/%s.clip", m->lab.dir, b);
    assert_int_equal(rename(from, to), 0);
    assert_int_equal(porch_media_clip_open(m->media, b, false, &c, NULL), PORCH_ERR_SIGNATURE);
    assert_int_equal(porch_media_clip_open(m->media, a, false, &c, NULL), PORCH_ERR_NOT_FOUND);
}

#define UPLOAD_TEST(name) cmocka_unit_test_setup_teardown(name, setup, media_lab_teardown)

int main(void) {
    const struct CMUnitTest tests[] = {
        UPLOAD_TEST(beginning_twice_gives_the_same_clip),
        UPLOAD_TEST(a_clip_in_pieces_over_restarts_is_whole_in_the_end),
        UPLOAD_TEST(a_wrong_offset_is_told_the_right_one),
        UPLOAD_TEST(an_offset_is_found_once_and_then_known),
        UPLOAD_TEST(another_devices_clip_and_an_unknown_one_are_refused),
        UPLOAD_TEST(a_wrong_hash_is_refused_and_the_clip_can_be_sent_again),
        UPLOAD_TEST(a_newer_request_takes_the_clip_over),
        UPLOAD_TEST(a_request_that_comes_while_a_clip_is_completed_leaves_it_whole),
        UPLOAD_TEST(a_clip_past_its_limit_is_refused_and_its_beginning_stays),
        UPLOAD_TEST(a_households_quota_counts_all_its_clips_and_nobody_elses),
        UPLOAD_TEST(a_device_that_sends_as_many_clips_as_it_may_finishes_one_first),
        UPLOAD_TEST(of_clips_that_nobody_sends_the_one_used_longest_ago_makes_way),
        UPLOAD_TEST(a_clip_that_nobody_sends_is_given_up_for_who_deletes_its_event),
        UPLOAD_TEST(a_device_that_has_gone_elsewhere_meanwhile_begins_nothing),
        UPLOAD_TEST(what_a_disk_has_lost_is_told_as_durable_by_nobody),
        UPLOAD_TEST(a_sync_that_fails_while_going_on_takes_nothing_that_was_told),
        UPLOAD_TEST(what_is_found_after_a_restart_is_made_durable_before_it_is_told),
        UPLOAD_TEST(clips_leave_the_database_its_share_of_the_disk),
        UPLOAD_TEST(clips_begun_at_once_do_not_pass_the_limit),
        UPLOAD_TEST(another_clips_file_in_its_place_is_refused),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
