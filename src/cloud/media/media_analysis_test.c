/* The scheduler against an analyst that the test plays itself, word by word. */
#include "cloud/media/media_analysis.h"

#include <errno.h>
#include <poll.h>
#include <stdatomic.h>
#include <sys/mman.h>

#include "cloud/media/media_feedback.h"
#include "cloud/media/media_testing.h"
#include "os/clock.h"

enum { LENGTH = 200000 };
#define NOW porch_clock_ms()
static uint8_t clip_bytes[LENGTH];
static uint8_t digest[32];
static uint64_t begun_ms;
static const uint8_t JPEG[] = {0xff, 0xd8, 1, 2, 3, 0xff, 0xd9};

/* ---- the played analyst ---- */

typedef struct {
    int main;  /* our end of the analyst's socket */
    int memfd; /* of the clip under way */
    int clip;
    porch_analyst_start start;
} played;

static atomic_int persons_told;
static porch_media_person last_person;

static porch_err on_person(porch_db *db, const porch_media_person *p, void *ctx, porch_why *why) {
    (void)db;
    (void)ctx;
    (void)why;
    last_person = *p;
    last_person.picture = (porch_bytes){NULL, p->picture.len};
    (void)atomic_fetch_add(&persons_told, 1);
    return PORCH_OK;
}

static void attach(media_lab *m, played *a) {
    int pair[2];
    assert_int_equal(porch_channel_pair(pair, NULL), PORCH_OK);
    a->main = pair[1];
    porch_analyst_client_attach(m->analyst, pair[0]);
}

/* Waits for the hub to hand over a clip. */
static void await_start(played *a) {
    uint8_t block[256];
    porch_buf in = PORCH_BUF_OF(block);
    porch_analyst_message m;
    int fds[2];
    size_t n = 0;
    assert_int_equal(porch_channel_receive(a->main, &in, fds, 2, &n, -1, NULL), PORCH_OK);
    assert_int_equal(n, 2);
    assert_int_equal(porch_analyst_read(porch_buf_bytes(&in), &m), PORCH_OK);
    assert_int_equal(m.type, PORCH_ANALYST_START);
    a->start = m.as.start;
    a->memfd = fds[0];
    a->clip = fds[1];
}

/* Waits until at least `bytes` are announced; true when the clip is complete. */
static bool await_bytes(played *a, uint64_t bytes, bool complete) {
    for (;;) {
        uint8_t block[64];
        porch_buf in = PORCH_BUF_OF(block);
        porch_analyst_message m;
        assert_int_equal(porch_channel_receive(a->clip, &in, NULL, 0, NULL, -1, NULL), PORCH_OK);
        assert_int_equal(porch_analyst_read(porch_buf_bytes(&in), &m), PORCH_OK);
        assert_int_equal(m.type, PORCH_ANALYST_HAVE);
        if (m.as.have.bytes >= bytes && (!complete || m.as.have.complete)) return m.as.have.complete;
    }
}

static void say(played *a, porch_analyst_message m) {
    static uint8_t block[PORCH_ANALYST_MESSAGE_MAX];
    porch_buf out = PORCH_BUF_OF(block);
    assert_int_equal(porch_analyst_write(&out, &m), PORCH_OK);
    assert_int_equal(porch_channel_send(a->clip, porch_buf_bytes(&out), NULL, 0, -1, NULL), PORCH_OK);
}

static void say_person(played *a, uint32_t score_milli) {
    say(a, (porch_analyst_message){.type = PORCH_ANALYST_PERSON,
                                   .as.person = {.at_ms = 400,
                                                 .seen = {{1000, 2000, 500, 3000}, score_milli},
                                                 .agreeing = 2,
                                                 .picture = {JPEG, sizeof JPEG}}});
}

static void say_end(played *a, porch_err result, uint64_t indexed) {
    say(a, (porch_analyst_message){.type = PORCH_ANALYST_END,
                                   .as.end = {.result = result, .indexed_bytes = indexed}});
}

static void part(played *a) {
    (void)close(a->clip);
    (void)close(a->memfd);
}

/* ---- the hub's side ---- */

static void open_hub(media_lab *m) {
    media_lab_open(m);
    porch_media_on_person(m->media, on_person, NULL);
    assert_int_equal(porch_media_start(m->media, &m->why), PORCH_OK);
}

static int setup(void **state) {
    if (media_lab_setup(state) != 0) return -1;
    media_lab *m = *state;
    media_lab_pattern(clip_bytes, LENGTH, 3);
    porch_sha256((porch_bytes){clip_bytes, LENGTH}, digest);
    atomic_store(&persons_told, 0);
    begun_ms = NOW;
    m->lab.settings.media_clip_bytes = 1 << 20;
    m->lab.settings.media_analysis_idle_ms = 600000; /* a slow machine is no idle camera */
    if (porch_analyst_client_new(&m->analyst, NULL) != PORCH_OK) return -1;
    open_hub(m);
    return 0;
}

static int teardown(void **state) {
    media_lab *m = *state;
    media_lab_close(m);
    porch_analyst_client_free(m->analyst);
    return media_lab_teardown(state);
}

static porch_media_upload *begin_of(media_lab *m, const char *device, const char *event,
                                    char clip[PORCH_MEDIA_UID]) {
    porch_media_owner owner = media_lab_device(device);
    porch_media_upload *u = NULL;
    uint64_t at;
    bool made;
    begun_ms++; /* each is later than the one before */
    assert_int_equal(porch_media_upload_begin(m->media, &owner, event, begun_ms, clip, &made, &m->why),
                     PORCH_OK);
    assert_int_equal(porch_media_upload_open(m->media, device, clip, 0, &u, &at, &m->why), PORCH_OK);
    return u;
}

static porch_media_upload *begin(media_lab *m, const char *event, char clip[PORCH_MEDIA_UID]) {
    return begin_of(m, "front", event, clip);
}

static void append(porch_media_upload *u, size_t from, size_t to) {
    assert_int_equal(porch_media_upload_append(u, (porch_bytes){clip_bytes + from, to - from}, NULL),
                     PORCH_OK);
}

static void finish(media_lab *m, porch_media_upload *u) {
    assert_int_equal(porch_media_upload_finish(u, digest, NOW, &m->why), PORCH_OK);
    porch_media_upload_close(u);
}

static void send_whole_of(media_lab *m, const char *device, const char *event, char clip[PORCH_MEDIA_UID]) {
    porch_media_upload *u = begin_of(m, device, event, clip);
    append(u, 0, LENGTH);
    finish(m, u);
}

static void send_whole(media_lab *m, const char *event, char clip[PORCH_MEDIA_UID]) {
    send_whole_of(m, "front", event, clip);
}

/* A live clip has room to grow, one of the backlog has its length. */
static bool is_live(const played *a) {
    return a->start.clip_bytes == 1 << 20;
}

/* Until the analysis is no longer interested in the clip. */
static void await_parting(played *a) {
    for (;;) {
        uint8_t block[64];
        porch_buf in = PORCH_BUF_OF(block);
        if (porch_channel_receive(a->clip, &in, NULL, 0, NULL, -1, NULL) != PORCH_OK) break;
    }
    part(a);
}

/* Until the analysis keeps no clip in memory. */
static void await_no_memory(void) {
    bool kept = true;
    while (kept) {
        char line[512];
        FILE *maps = fopen("/proc/self/maps", "r");
        assert_non_null(maps);
        kept = false;
        while (fgets(line, sizeof line, maps) != NULL)
            kept = kept || strstr(line, "memfd:clip") != NULL;
        (void)fclose(maps);
        (void)poll(NULL, 0, 1);
    }
}

/* With other settings; what the analysis kept is forgotten, and complete clips are the backlog's. */
static void reopen_hub(media_lab *m, uint32_t analyses, uint64_t memory_bytes) {
    media_lab_close(m);
    m->lab.settings.media_analyses = analyses;
    m->lab.settings.media_analysis_memory_bytes = memory_bytes;
    open_hub(m);
}

/* Looks at the row until it is what the scheduler's thread is about to make it. */
static porch_media_clip_info await_analysis(media_lab *m, const char *clip,
                                            porch_media_analysis_state state) {
    porch_media_clip_info info = {0};
    for (;;) {
        assert_int_equal(porch_media_clip_get(m->media, clip, &info, NULL), PORCH_OK);
        if (info.analysis == state) return info;
        (void)poll(NULL, 0, 1);
    }
}

static void await_count(media_lab *m, uint64_t failed) {
    porch_media_analysis_counts c = {0};
    while (c.failed < failed) {
        porch_media_analysis_count(m->media, &c);
        (void)poll(NULL, 0, 1);
    }
}

/* ---- what it promises ---- */

static void a_live_clip_is_seen_before_it_is_complete(void **state) {
    media_lab *m = *state;
    static uint8_t seen[1000];
    char clip[PORCH_MEDIA_UID];
    played a;
    attach(m, &a);
    porch_media_upload *u = begin(m, "e1", clip);
    append(u, 0, 1000);
    await_start(&a);
    assert_false(await_bytes(&a, 1000, false));
    assert_int_equal(pread(a.memfd, seen, sizeof seen, 0), sizeof seen);
    assert_memory_equal(seen, clip_bytes, sizeof seen);
    append(u, 1000, LENGTH);
    finish(m, u);
    assert_true(await_bytes(&a, LENGTH, true));
    say_end(&a, PORCH_OK, 0);
    (void)await_analysis(m, clip, PORCH_MEDIA_ANALYSIS_DONE);
    part(&a);
    (void)close(a.main);
}

static void the_analyst_cannot_change_what_it_is_given(void **state) {
    media_lab *m = *state;
    char clip[PORCH_MEDIA_UID];
    played a;
    attach(m, &a);
    send_whole(m, "e1", clip);
    await_start(&a);
    assert_int_equal(pwrite(a.memfd, "x", 1, 0), -1);
    assert_int_equal(ftruncate(a.memfd, 0), -1);
    assert_int_equal(ftruncate(a.memfd, 1 << 30), -1);
    assert_ptr_equal(mmap(NULL, 4096, PROT_READ | PROT_WRITE, MAP_SHARED, a.memfd, 0), MAP_FAILED);
    say_end(&a, PORCH_OK, 0);
    (void)await_analysis(m, clip, PORCH_MEDIA_ANALYSIS_DONE);
    part(&a);
    (void)close(a.main);
}

static porch_err say_not_a_person(porch_db *db, void *ctx, porch_why *why) {
    return porch_media_feedback_say(db, ctx, "robin", NOW, why);
}

/* One clip through the analysis, in which a person is seen once with each of these scores. */
static porch_media_clip_info see(media_lab *m, played *a, const char *event, const uint32_t *scores,
                                 size_t count) {
    char clip[PORCH_MEDIA_UID];
    send_whole(m, event, clip);
    await_start(a);
    for (size_t i = 0; i < count; i++)
        say_person(a, scores[i]);
    say_end(a, PORCH_OK, 0);
    porch_media_clip_info info = await_analysis(m, clip, PORCH_MEDIA_ANALYSIS_DONE);
    part(a);
    return info;
}

static void a_spot_that_was_no_person_must_be_seen_more_surely(void **state) {
    media_lab *m = *state;
    static const uint32_t first[] = {1500}, hardly_surer[] = {1640}, surer[] = {1640, 1660};
    porch_media_feedback_counts counts;
    played a;
    attach(m, &a);
    porch_media_clip_info clip = see(m, &a, "e1", first, 1);
    assert_int_equal(atomic_load(&persons_told), 1);
    assert_int_equal(porch_store_write(m->lab.store, say_not_a_person, clip.event, &m->why), PORCH_OK);
    (void)see(m, &a, "e2", hardly_surer, 1); /* not above 1.1 times 1500 */
    assert_int_equal(atomic_load(&persons_told), 1);
    assert_int_equal(porch_media_feedback_count(m->media, &counts, NULL), PORCH_OK);
    assert_int_equal(counts.said, 1);
    assert_int_equal(counts.held_back, 1);
    clip = see(m, &a, "e3", surer, 2); /* at first not, then a better look at the same person */
    assert_int_equal(atomic_load(&persons_told), 2);
    assert_string_equal(last_person.event, clip.event);
    assert_int_equal(porch_media_feedback_count(m->media, &counts, NULL), PORCH_OK);
    assert_int_equal(counts.held_back, 1); /* e2 alone: e3 was released */
    (void)close(a.main);
}

static void with_feedback_turned_off_it_is_only_noted(void **state) {
    media_lab *m = *state;
    static const uint32_t first[] = {1500}, less_sure[] = {1400};
    played a;
    attach(m, &a);
    m->lab.settings.media_feedback_days = 0;
    porch_media_clip_info clip = see(m, &a, "e1", first, 1);
    assert_int_equal(porch_store_write(m->lab.store, say_not_a_person, clip.event, &m->why), PORCH_OK);
    (void)see(m, &a, "e2", less_sure, 1);
    assert_int_equal(atomic_load(&persons_told), 2);
    (void)close(a.main);
}

static void a_person_is_told_once_also_after_a_restart(void **state) {
    media_lab *m = *state;
    char clip[PORCH_MEDIA_UID], uid[PORCH_MEDIA_UID];
    uint8_t *picture;
    size_t len;
    played a;
    attach(m, &a);
    send_whole(m, "e1", clip);
    await_start(&a);
    say(&a, (porch_analyst_message){.type = PORCH_ANALYST_FIRST_FRAME, .as.first_frame = {768, 576}});
    say_person(&a, 1500);
    while (atomic_load(&persons_told) == 0)
        (void)poll(NULL, 0, 1);
    porch_media_event_uid("front", PORCH_LIT("e1"), uid);
    assert_string_equal(last_person.event, uid);
    assert_string_equal(last_person.clip, clip);
    assert_string_equal(last_person.owner.household, "home");
    assert_int_equal(last_person.picture.len, sizeof JPEG);
    assert_true(last_person.trace.clip_first_byte_ms > 0 && last_person.trace.analysis_first_frame_ms > 0 &&
                last_person.trace.person_found_ms > 0);
    /* The hub stops before the end was said: the clip is looked at again, and the person is known. */
    media_lab_close(m);
    part(&a);
    (void)close(a.main);
    attach(m, &a);
    open_hub(m);
    await_start(&a);
    assert_true(await_bytes(&a, LENGTH, true));
    say_person(&a, 2500);
    say_end(&a, PORCH_OK, 0);
    (void)await_analysis(m, clip, PORCH_MEDIA_ANALYSIS_DONE);
    assert_int_equal(atomic_load(&persons_told), 1);
    assert_int_equal(porch_media_picture(m->media, uid, "home", &picture, &len, NULL), PORCH_OK);
    free(picture);
    assert_int_equal(porch_media_picture(m->media, uid, "next-door", &picture, &len, NULL),
                     PORCH_ERR_NOT_FOUND);
    part(&a);
    (void)close(a.main);
}

static void a_clip_that_breaks_its_analysis_is_tried_once_more_and_then_left(void **state) {
    media_lab *m = *state;
    char clip[PORCH_MEDIA_UID], next[PORCH_MEDIA_UID];
    played a;
    attach(m, &a);
    send_whole(m, "e1", clip);
    for (int i = 0; i < 2; i++) {
        await_start(&a);
        assert_true(await_bytes(&a, LENGTH, true));
        part(&a);
    }
    (void)await_analysis(m, clip, PORCH_MEDIA_ANALYSIS_FAILED);
    /* The next clip is none the worse. */
    send_whole(m, "e2", next);
    await_start(&a);
    say_end(&a, PORCH_OK, 0);
    (void)await_analysis(m, next, PORCH_MEDIA_ANALYSIS_DONE);
    part(&a);
    (void)close(a.main);
}

static void an_analyst_that_was_killed_is_not_the_clips_fault(void **state) {
    media_lab *m = *state;
    char clip[PORCH_MEDIA_UID];
    played a;
    send_whole(m, "e1", clip);
    for (int i = 0; i < 5; i++) {
        attach(m, &a);
        await_start(&a);
        (void)close(a.main);
        part(&a);
    }
    attach(m, &a);
    await_start(&a);
    assert_true(await_bytes(&a, LENGTH, true));
    say_end(&a, PORCH_OK, 0);
    (void)await_analysis(m, clip, PORCH_MEDIA_ANALYSIS_DONE);
    part(&a);
    (void)close(a.main);
}

static void what_cannot_be_decoded_is_not_tried_again(void **state) {
    media_lab *m = *state;
    char clip[PORCH_MEDIA_UID];
    played a;
    attach(m, &a);
    send_whole(m, "e1", clip);
    await_start(&a);
    say_end(&a, PORCH_ERR_MEDIA, 0);
    (void)await_analysis(m, clip, PORCH_MEDIA_ANALYSIS_FAILED);
    part(&a);
    (void)close(a.main);
}

static void nonsense_from_the_analyst_counts_as_broken(void **state) {
    media_lab *m = *state;
    char clip[PORCH_MEDIA_UID];
    played a;
    attach(m, &a);
    send_whole(m, "e1", clip);
    for (int i = 0; i < 2; i++) {
        await_start(&a);
        assert_int_equal(porch_channel_send(a.clip, PORCH_LIT("nonsense"), NULL, 0, -1, NULL), PORCH_OK);
        part(&a);
    }
    await_count(m, 1);
    (void)await_analysis(m, clip, PORCH_MEDIA_ANALYSIS_FAILED);
    (void)close(a.main);
}

static void the_copy_for_seeking_is_kept_and_read(void **state) {
    media_lab *m = *state;
    static uint8_t copy[100000], back[sizeof copy];
    char clip[PORCH_MEDIA_UID];
    porch_media_clip *c;
    size_t got;
    played a;
    media_lab_pattern(copy, sizeof copy, 99);
    attach(m, &a);
    send_whole(m, "e1", clip);
    await_start(&a);
    assert_true(a.start.make_index);
    say(&a, (porch_analyst_message){.type = PORCH_ANALYST_INDEXED, .as.indexed = {0, {copy, 60000}}});
    say(&a, (porch_analyst_message){.type = PORCH_ANALYST_INDEXED,
                                    .as.indexed = {60000, {copy + 60000, 40000}}});
    say_end(&a, PORCH_OK, sizeof copy);
    porch_media_clip_info info = await_analysis(m, clip, PORCH_MEDIA_ANALYSIS_DONE);
    assert_int_equal(info.indexed_bytes, sizeof copy);
    assert_memory_equal(info.sha256, digest, 32);
    assert_int_equal(porch_media_clip_open(m->media, clip, true, &c, &m->why), PORCH_OK);
    assert_int_equal(porch_media_clip_read(c, 0, back, sizeof back, &got, NULL), PORCH_OK);
    assert_int_equal(got, sizeof copy);
    assert_memory_equal(back, copy, sizeof copy);
    porch_media_clip_close(c);
    assert_int_equal(porch_media_clip_open(m->media, clip, false, &c, &m->why), PORCH_OK);
    assert_int_equal(porch_media_clip_bytes(c), LENGTH);
    porch_media_clip_close(c);
    part(&a);
    (void)close(a.main);
}

static void a_copy_that_does_not_add_up_is_dropped(void **state) {
    media_lab *m = *state;
    char clip[PORCH_MEDIA_UID];
    played a;
    attach(m, &a);
    send_whole(m, "e1", clip);
    await_start(&a);
    say(&a, (porch_analyst_message){.type = PORCH_ANALYST_INDEXED, .as.indexed = {0, {clip_bytes, 1000}}});
    say(&a,
        (porch_analyst_message){.type = PORCH_ANALYST_INDEXED, .as.indexed = {900, {clip_bytes, 1000}}});
    say_end(&a, PORCH_OK, 2000);
    assert_int_equal(await_analysis(m, clip, PORCH_MEDIA_ANALYSIS_DONE).indexed_bytes, 0);
    part(&a);
    (void)close(a.main);
}

/* Says that it has seen a person, ever more surely, for as long as anybody listens. */
static void *talk_without_end(void *ctx) {
    static const uint8_t end[] = {0xff, 0xd9};
    played *a = ctx;
    uint8_t block[512], picture[64] = {0xff, 0xd8};
    memcpy(picture + sizeof picture - 2, end, 2);
    porch_err e = PORCH_OK;
    for (uint32_t score = 1; e == PORCH_OK; score++) {
        porch_buf out = PORCH_BUF_OF(block);
        const porch_analyst_message m = {
            .type = PORCH_ANALYST_PERSON,
            .as.person = {.seen = {{1, 1, 1, 1}, score}, .picture = {picture, sizeof picture}}};
        if (porch_analyst_write(&out, &m) != PORCH_OK)
            score = 0;
        else
            e = porch_channel_send(a->clip, porch_buf_bytes(&out), NULL, 0, -1, NULL);
    }
    part(a);
    return NULL;
}

static void one_that_talks_without_end_holds_up_nobody(void **state) {
    media_lab *m = *state;
    static uint8_t first[16];
    char clip[PORCH_MEDIA_UID], next[PORCH_MEDIA_UID];
    played a;
    pthread_t talker[2];
    size_t talkers = 0;
    bool heard = false;
    attach(m, &a);
    send_whole(m, "e1", clip);
    media_lab_pattern(clip_bytes, LENGTH, 4);
    memcpy(first, clip_bytes, sizeof first);
    porch_sha256((porch_bytes){clip_bytes, LENGTH}, digest);
    send_whole_of(m, "back", "e2", next);
    played each[3];
    for (size_t i = 0; i < 3; i++) { /* the first clip twice, the second once */
        uint8_t seen[sizeof first];
        await_start(&a);
        assert_true(await_bytes(&a, LENGTH, true));
        assert_int_equal(pread(a.memfd, seen, sizeof seen, 0), sizeof seen);
        each[i] = a;
        if (memcmp(seen, first, sizeof seen) == 0) {
            say_end(&a, PORCH_OK, 0);
            heard = true;
            part(&a);
        } else {
            assert_true(talkers < 2);
            assert_int_equal(pthread_create(&talker[talkers++], NULL, talk_without_end, &each[i]), 0);
        }
    }
    assert_true(heard);
    (void)await_analysis(m, next, PORCH_MEDIA_ANALYSIS_DONE);
    (void)await_analysis(m, clip, PORCH_MEDIA_ANALYSIS_FAILED);
    assert_int_equal(atomic_load(&persons_told), 1);
    porch_media_stop(m->media);
    for (size_t i = 0; i < talkers; i++)
        (void)pthread_join(talker[i], NULL);
    (void)close(a.main);
}

static void a_child_that_says_it_is_busy_has_tried(void **state) {
    media_lab *m = *state;
    char clip[PORCH_MEDIA_UID], next[PORCH_MEDIA_UID];
    played a;
    attach(m, &a);
    send_whole(m, "e1", clip);
    for (int i = 0; i < 2; i++) {
        await_start(&a);
        assert_true(await_bytes(&a, LENGTH, true));
        say(&a, (porch_analyst_message){.type = PORCH_ANALYST_BEGUN});
        say_end(&a, PORCH_ERR_BUSY, 0);
        part(&a);
    }
    (void)await_analysis(m, clip, PORCH_MEDIA_ANALYSIS_FAILED);
    /* The analyst itself, which has no room for a child, is another matter. */
    send_whole(m, "e2", next);
    for (int i = 0; i < 3; i++) {
        await_start(&a);
        say_end(&a, i < 2 ? PORCH_ERR_BUSY : PORCH_OK, 0);
        part(&a);
    }
    (void)await_analysis(m, next, PORCH_MEDIA_ANALYSIS_DONE);
    (void)close(a.main);
}

static void a_wrong_hash_ends_the_analysis_and_the_clip_sent_again_gets_its_own(void **state) {
    media_lab *m = *state;
    uint8_t wrong[32] = {1};
    char clip[PORCH_MEDIA_UID];
    uint64_t at;
    played a;
    attach(m, &a);
    porch_media_upload *u = begin(m, "e1", clip);
    append(u, 0, 5000);
    await_start(&a);
    assert_int_equal(porch_media_upload_finish(u, wrong, NOW, NULL), PORCH_ERR_HASH);
    porch_media_upload_close(u);
    part(&a);
    assert_int_equal(porch_media_upload_open(m->media, "front", clip, 0, &u, &at, &m->why), PORCH_OK);
    append(u, 0, LENGTH);
    finish(m, u);
    await_start(&a);
    assert_true(await_bytes(&a, LENGTH, true));
    say_end(&a, PORCH_OK, 0);
    (void)await_analysis(m, clip, PORCH_MEDIA_ANALYSIS_DONE);
    part(&a);
    (void)close(a.main);
}

static void without_room_a_clip_waits_for_the_backlog(void **state) {
    media_lab *m = *state;
    char a_clip[PORCH_MEDIA_UID], b_clip[PORCH_MEDIA_UID];
    played a;
    reopen_hub(m, 1, 500000); /* half of it for live clips */
    attach(m, &a);
    porch_media_upload *u = begin(m, "e1", a_clip);
    append(u, 0, 100000);
    await_start(&a);
    send_whole_of(m, "back", "e2", b_clip);
    append(u, 100000, LENGTH);
    finish(m, u);
    assert_true(await_bytes(&a, LENGTH, true));
    say_end(&a, PORCH_OK, 0);
    (void)await_analysis(m, a_clip, PORCH_MEDIA_ANALYSIS_DONE);
    part(&a);
    await_start(&a);
    assert_int_equal(a.start.clip_bytes, LENGTH);
    say_end(&a, PORCH_OK, 0);
    (void)await_analysis(m, b_clip, PORCH_MEDIA_ANALYSIS_DONE);
    part(&a);
    (void)close(a.main);
}

static void an_upload_that_outlasts_its_analysis_keeps_no_memory(void **state) {
    media_lab *m = *state;
    char clip[PORCH_MEDIA_UID];
    played a;
    m->lab.settings.media_analysis_wall_s = 1;
    attach(m, &a);
    porch_media_upload *u = begin(m, "e1", clip);
    append(u, 0, 1000);
    await_start(&a);
    assert_true(is_live(&a));
    await_parting(&a);
    await_no_memory();
    append(u, 1000, LENGTH); /* the upload goes on all the same */
    finish(m, u);
    await_start(&a);
    assert_false(is_live(&a));
    assert_true(await_bytes(&a, LENGTH, true));
    say_end(&a, PORCH_OK, 0);
    (void)await_analysis(m, clip, PORCH_MEDIA_ANALYSIS_DONE);
    part(&a);
    (void)close(a.main);
}

static void an_upload_that_says_nothing_keeps_no_memory(void **state) {
    media_lab *m = *state;
    char clip[PORCH_MEDIA_UID];
    m->lab.settings.media_analysis_idle_ms = 100;
    porch_media_upload *u = begin(m, "e1", clip);
    await_no_memory();
    porch_media_upload_close(u);
}

static void a_device_feeds_the_clip_that_it_began_last(void **state) {
    media_lab *m = *state;
    char first[PORCH_MEDIA_UID], second[PORCH_MEDIA_UID];
    uint64_t at;
    played a, b;
    reopen_hub(m, 3, 16 << 20);
    attach(m, &a);
    porch_media_upload *old = begin(m, "e1", first);
    append(old, 0, 1000);
    await_start(&a);
    b = a;
    porch_media_upload *u = begin(m, "e2", second);
    append(u, 0, 2000);
    await_parting(&b);
    await_start(&a);
    assert_true(is_live(&a));
    assert_false(await_bytes(&a, 2000, false));
    /* The first goes on, also by another request, and leaves the second where it is. */
    append(old, 1000, 5000);
    porch_media_upload_close(old);
    assert_int_equal(porch_media_upload_open(m->media, "front", first, 5000, &old, &at, &m->why), PORCH_OK);
    append(old, 5000, LENGTH);
    finish(m, old);
    b = a;
    await_start(&b);
    assert_false(is_live(&b));
    say_end(&b, PORCH_OK, 0);
    (void)await_analysis(m, first, PORCH_MEDIA_ANALYSIS_DONE);
    part(&b);
    append(u, 2000, LENGTH);
    finish(m, u);
    assert_true(await_bytes(&a, LENGTH, true));
    say_end(&a, PORCH_OK, 0);
    (void)await_analysis(m, second, PORCH_MEDIA_ANALYSIS_DONE);
    part(&a);
    (void)close(a.main);
}

static void a_live_clip_takes_the_room_that_its_bytes_need(void **state) {
    media_lab *m = *state;
    static const char *const devices[] = {"front", "back", "gate"};
    char clip[PORCH_MEDIA_UID];
    porch_media_upload *u[3];
    played a[3];
    reopen_hub(m, 3, 2 << 20); /* two clips, if each took what it may become */
    attach(m, &a[0]);
    a[1] = a[2] = a[0];
    for (size_t i = 0; i < 3; i++) {
        u[i] = begin_of(m, devices[i], "e1", clip);
        append(u[i], 0, 1000);
    }
    for (size_t i = 0; i < 3; i++) {
        await_start(&a[i]);
        assert_true(is_live(&a[i]));
    }
    for (size_t i = 0; i < 3; i++) {
        porch_media_upload_close(u[i]);
        part(&a[i]);
    }
    (void)close(a[0].main);
}

static void one_devices_live_clips_take_no_more_room_than_one_may(void **state) {
    media_lab *m = *state;
    char clip[PORCH_MEDIA_UID];
    played a, b;
    m->lab.settings.media_clip_bytes = LENGTH + 1000;
    reopen_hub(m, 3, 16 << 20);
    attach(m, &a);
    b = a;
    send_whole(m, "e1", clip);
    await_start(&a);
    assert_int_equal(a.start.clip_bytes, LENGTH + 1000);
    send_whole(m, "e2", clip); /* the first is still looked at */
    await_start(&b);
    assert_int_equal(b.start.clip_bytes, LENGTH);
    part(&a);
    part(&b);
    (void)close(a.main);
}

static void live_clips_leave_room_for_one_of_the_backlog(void **state) {
    media_lab *m = *state;
    char waiting[PORCH_MEDIA_UID], front[PORCH_MEDIA_UID], back[PORCH_MEDIA_UID];
    played a, b;
    send_whole_of(m, "gate", "e1", waiting);
    reopen_hub(m, 4, 2 << 20);
    porch_media_upload *u = begin_of(m, "front", "e2", front), *v = begin_of(m, "back", "e3", back);
    for (int i = 0; i < 5; i++)
        append(u, 0, LENGTH); /* nearly all that live clips may have */
    for (int i = 0; i < 5; i++)
        append(v, 0, LENGTH); /* does not fit beside it */
    attach(m, &a);
    await_start(&a);
    b = a;
    await_start(&a);
    if (is_live(&a) && is_live(&b)) fail_msg("both had room");
    say_end(is_live(&a) ? &b : &a, PORCH_OK, 0);
    (void)await_analysis(m, waiting, PORCH_MEDIA_ANALYSIS_DONE);
    part(&a);
    part(&b);
    porch_media_upload_close(u);
    porch_media_upload_close(v);
    (void)close(a.main);
}

static void end_well(played *a) {
    say_end(a, PORCH_OK, 0);
    await_parting(a);
}

static void the_backlog_has_a_place_beside_a_live_clip(void **state) {
    media_lab *m = *state;
    char waiting[PORCH_MEDIA_UID], clip[PORCH_MEDIA_UID];
    played a, b;
    send_whole_of(m, "gate", "e1", waiting);
    reopen_hub(m, 2, 16 << 20);
    porch_media_upload *u = begin(m, "e2", clip);
    append(u, 0, 1000);
    attach(m, &a);
    await_start(&a);
    assert_true(is_live(&a));
    b = a;
    await_start(&b);
    assert_false(is_live(&b));
    append(u, 1000, 2000);
    assert_false(await_bytes(&a, 2000, false)); /* the live one was not ended for it */
    end_well(&b);
    (void)await_analysis(m, waiting, PORCH_MEDIA_ANALYSIS_DONE);
    porch_media_upload_close(u);
    part(&a);
    (void)close(a.main);
}

static void the_backlog_leaves_a_place_to_the_next_live_clip(void **state) {
    media_lab *m = *state;
    char waiting[2][PORCH_MEDIA_UID], clip[PORCH_MEDIA_UID];
    porch_media_analysis_counts c = {0};
    played a, b;
    send_whole_of(m, "gate", "e1", waiting[0]);
    send_whole_of(m, "gate", "e2", waiting[1]);
    reopen_hub(m, 2, 16 << 20);
    attach(m, &a);
    await_start(&a);
    assert_false(is_live(&a));
    while (c.running + c.waiting < 2) { /* the other lies ready */
        porch_media_analysis_count(m->media, &c);
        (void)poll(NULL, 0, 1);
    }
    porch_media_upload *u = begin(m, "e3", clip);
    append(u, 0, 1000);
    b = a;
    await_start(&b);
    assert_true(is_live(&b));
    end_well(&a);
    await_start(&a);
    assert_false(is_live(&a));
    end_well(&a);
    (void)await_analysis(m, waiting[1], PORCH_MEDIA_ANALYSIS_DONE);
    porch_media_upload_close(u);
    part(&b);
    (void)close(a.main);
}

/* One place, and always another live clip that waits for it. */
static void next_of_many(media_lab *m, played *a) {
    static const char *const devices[] = {"front", "back", "gate"};
    static unsigned n;
    char event[32], clip[PORCH_MEDIA_UID];
    (void)snprintf(event, sizeof event, "next%u", n);
    send_whole_of(m, devices[n++ % 3], event, clip);
    end_well(a);
    await_start(a);
}

static void neither_live_clips_nor_the_backlog_wait_for_ever(void **state) {
    media_lab *m = *state;
    char waiting[2][PORCH_MEDIA_UID], clip[PORCH_MEDIA_UID];
    played a;
    send_whole_of(m, "gate", "e1", waiting[0]);
    send_whole_of(m, "gate", "e2", waiting[1]);
    m->lab.settings.media_analysis_wall_s = 1;
    reopen_hub(m, 1, 16 << 20);
    send_whole_of(m, "back", "e3", clip);
    attach(m, &a);
    await_start(&a);
    assert_true(is_live(&a));
    while (is_live(&a))
        next_of_many(m, &a);
    next_of_many(m, &a);
    assert_true(is_live(&a)); /* the backlog's other clip waits again */
    (void)await_analysis(m, waiting[0], PORCH_MEDIA_ANALYSIS_DONE);
    part(&a);
    (void)close(a.main);
}

static bool begins_with(const played *a, size_t from) {
    uint8_t seen[16];
    assert_int_equal(pread(a->memfd, seen, sizeof seen, 0), sizeof seen);
    return memcmp(seen, clip_bytes + from, sizeof seen) == 0;
}

static void a_device_has_one_live_clip_looked_at_at_a_time(void **state) {
    media_lab *m = *state;
    char clip[PORCH_MEDIA_UID], second[PORCH_MEDIA_UID], third[PORCH_MEDIA_UID];
    played a, b;
    reopen_hub(m, 3, 16 << 20);
    attach(m, &a);
    send_whole(m, "e1", clip);
    await_start(&a);
    send_whole(m, "e2", second);
    send_whole(m, "e3", third); /* two are enough of one device: it is the backlog's */
    b = a;
    await_start(&b);
    assert_false(is_live(&b));
    end_well(&b);
    (void)await_analysis(m, third, PORCH_MEDIA_ANALYSIS_DONE);
    porch_media_upload *u = begin_of(m, "back", "e4", clip);
    append(u, 5000, 6000);
    await_start(&b);
    assert_true(begins_with(&b, 5000));
    end_well(&a);
    await_start(&a);
    assert_true(is_live(&a));
    assert_true(begins_with(&a, 0));
    end_well(&a);
    (void)await_analysis(m, second, PORCH_MEDIA_ANALYSIS_DONE);
    porch_media_upload_close(u);
    part(&b);
    (void)close(a.main);
}

#define ANALYSIS_TEST(name) cmocka_unit_test_setup_teardown(name, setup, teardown)

int main(void) {
    const struct CMUnitTest tests[] = {
        ANALYSIS_TEST(a_live_clip_is_seen_before_it_is_complete),
        ANALYSIS_TEST(the_analyst_cannot_change_what_it_is_given),
        ANALYSIS_TEST(a_spot_that_was_no_person_must_be_seen_more_surely),
        ANALYSIS_TEST(with_feedback_turned_off_it_is_only_noted),
        ANALYSIS_TEST(a_person_is_told_once_also_after_a_restart),
        ANALYSIS_TEST(a_clip_that_breaks_its_analysis_is_tried_once_more_and_then_left),
        ANALYSIS_TEST(an_analyst_that_was_killed_is_not_the_clips_fault),
        ANALYSIS_TEST(what_cannot_be_decoded_is_not_tried_again),
        ANALYSIS_TEST(nonsense_from_the_analyst_counts_as_broken),
        ANALYSIS_TEST(the_copy_for_seeking_is_kept_and_read),
        ANALYSIS_TEST(a_copy_that_does_not_add_up_is_dropped),
        ANALYSIS_TEST(one_that_talks_without_end_holds_up_nobody),
        ANALYSIS_TEST(a_child_that_says_it_is_busy_has_tried),
        ANALYSIS_TEST(a_wrong_hash_ends_the_analysis_and_the_clip_sent_again_gets_its_own),
        ANALYSIS_TEST(without_room_a_clip_waits_for_the_backlog),
        ANALYSIS_TEST(an_upload_that_outlasts_its_analysis_keeps_no_memory),
        ANALYSIS_TEST(an_upload_that_says_nothing_keeps_no_memory),
        ANALYSIS_TEST(a_device_feeds_the_clip_that_it_began_last),
        ANALYSIS_TEST(a_live_clip_takes_the_room_that_its_bytes_need),
        ANALYSIS_TEST(one_devices_live_clips_take_no_more_room_than_one_may),
        ANALYSIS_TEST(live_clips_leave_room_for_one_of_the_backlog),
        ANALYSIS_TEST(the_backlog_has_a_place_beside_a_live_clip),
        ANALYSIS_TEST(the_backlog_leaves_a_place_to_the_next_live_clip),
        ANALYSIS_TEST(neither_live_clips_nor_the_backlog_wait_for_ever),
        ANALYSIS_TEST(a_device_has_one_live_clip_looked_at_at_a_time),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
