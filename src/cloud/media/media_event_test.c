#include "cloud/media/media_event.h"

#include "cloud/media/media_testing.h"
#include "wire/event_motion.h"

static const uint8_t JPEG[] = {0xff, 0xd8, 1, 2, 3, 0xff, 0xd9};

static int setup(void **state) {
    if (media_lab_setup(state) != 0) return -1;
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

/* Until the ticket is answered: its answer. */
static porch_err await(porch_store_lane *lane, bell *b, uint64_t ticket) {
    porch_store_answer answer = {0, 0, PORCH_OK};
    while (!porch_store_lane_poll(lane, &answer) || answer.upto < ticket) {
        (void)pthread_mutex_lock(&b->lock);
        while (!b->ready)
            (void)pthread_cond_wait(&b->changed, &b->lock);
        b->ready = false;
        (void)pthread_mutex_unlock(&b->lock);
    }
    return answer.result;
}

/* Stores one message as a shard would, and waits until it is durable. */
static porch_err publish(media_lab *m, const char *device, const char *topic, porch_bytes payload) {
    bell b = {PTHREAD_MUTEX_INITIALIZER, PTHREAD_COND_INITIALIZER, false};
    porch_store_lane *lane = porch_store_lane_open(m->lab.store, ring, &b);
    const porch_store_message message = {.at_ms = 1790000000123,
                                         .device = porch_bytes_of(device),
                                         .topic = porch_bytes_of(topic),
                                         .payload = payload,
                                         .qos = 1};
    uint64_t ticket;
    assert_int_equal(porch_store_lane_append(lane, &message, &ticket), PORCH_OK);
    return await(lane, &b, ticket);
}

static porch_bytes motion(const char *name, bool thumbnail, porch_buf json) {
    porch_event_motion event = {
        .at_ms = 1790000000000, .score_e4 = 4200, .box_e4 = {1000, 2000, 3000, 4000}, .clip = true};
    assert_int_equal(porch_id_parse(porch_bytes_of(name), &event.id), PORCH_OK);
    const porch_bytes jpeg = {JPEG, thumbnail ? sizeof JPEG : 0};
    assert_int_equal(porch_event_motion_write(&json, &event, jpeg), PORCH_OK);
    return porch_buf_bytes(&json);
}

static porch_err try_motion(media_lab *m, const char *device, const char *name, bool thumbnail) {
    static uint8_t block[PORCH_EVENT_MOTION_MOST];
    char topic[100];
    (void)snprintf(topic, sizeof topic, "d/%s/event/motion", device);
    return publish(m, device, topic, motion(name, thumbnail, (porch_buf)PORCH_BUF_OF(block)));
}

static void publish_motion(media_lab *m, const char *device, const char *name, bool thumbnail) {
    assert_int_equal(try_motion(m, device, name, thumbnail), PORCH_OK);
}

typedef struct {
    size_t count;
    porch_media_event event[16];
} list;

static void take(const porch_media_event *event, void *ctx) {
    list *l = ctx;
    assert_true(l->count < 16);
    l->event[l->count++] = *event;
}

static list events(media_lab *m, porch_media_event_query query) {
    list l = {0};
    if (query.limit == 0) query.limit = 16;
    assert_int_equal(porch_media_events(m->media, &query, take, &l, &m->why), PORCH_OK);
    return l;
}

static void an_event_becomes_a_row_with_all_it_said(void **state) {
    media_lab *m = *state;
    uint8_t *jpeg;
    size_t len;
    publish_motion(m, "front", "e1", true);
    list l = events(m, (porch_media_event_query){0});
    assert_int_equal(l.count, 1);
    const porch_media_event *e = &l.event[0];
    /* SHA-256 of "front", a zero byte, "e1" */
    char uid[PORCH_MEDIA_UID];
    porch_media_event_uid("front", PORCH_LIT("e1"), uid);
    assert_string_equal(e->uid, uid);
    assert_string_equal(e->owner.device, "front");
    assert_string_equal(e->owner.household, "home");
    assert_string_equal(e->kind, "motion");
    assert_int_equal(e->at_ms, 1790000000000);
    assert_int_equal(e->received_ms, 1790000000123);
    assert_true(e->score > 0.4199 && e->score < 0.4201 && e->box.h > 0.3999 && e->box.h < 0.4001);
    assert_true(e->has_thumbnail && !e->has_clip && !e->has_person);
    assert_int_equal(porch_media_thumbnail(m->media, uid, "home", &jpeg, &len, NULL), PORCH_OK);
    assert_int_equal(len, sizeof JPEG);
    assert_memory_equal(jpeg, JPEG, len);
    free(jpeg);
    assert_int_equal(porch_media_thumbnail(m->media, uid, "next-door", &jpeg, &len, NULL),
                     PORCH_ERR_NOT_FOUND);
}

static void uids_keep_the_documented_form(void **state) {
    (void)state;
    char uid[PORCH_MEDIA_UID];
    porch_media_event_uid("front-door", PORCH_LIT("event-1"), uid);
    assert_string_equal(uid, "bd0b45b1701ed06a26a2d1729857734a");
}

static void an_event_sent_twice_is_one_row_and_told_once(void **state) {
    media_lab *m = *state;
    list told = {0};
    porch_media_on_event(m->media, take, &told);
    publish_motion(m, "front", "e1", false);
    publish_motion(m, "front", "e1", true);
    publish_motion(m, "back", "e1", false);
    assert_int_equal(events(m, (porch_media_event_query){0}).count, 2);
    assert_int_equal(told.count, 2);
}

static void an_event_that_the_disk_refused_is_not_told(void **state) {
    media_lab *m = *state;
    list told = {0};
    porch_media_on_event(m->media, take, &told);
    store_lab_disk(false);
    porch_err refused = try_motion(m, "front", "e1", false);
    store_lab_disk(true);
    assert_int_not_equal(refused, PORCH_OK);
    publish_motion(m, "front", "e2", false);
    list l = events(m, (porch_media_event_query){0});
    assert_int_equal(l.count, 1);
    assert_int_equal(told.count, 1);
    assert_string_equal(told.event[0].device_event, "e2");
    assert_int_equal(told.event[0].seq, l.event[0].seq);
}

typedef struct {
    porch_store_lane *lane;
    uint64_t ticket;
} together;

/* On the writer's thread: what is appended here lies in one batch. */
static porch_err append_together(porch_db *db, void *ctx, porch_why *why) {
    static uint8_t block[2][PORCH_EVENT_MOTION_MOST];
    together *t = ctx;
    const porch_bytes payload[] = {motion("e1", false, (porch_buf)PORCH_BUF_OF(block[0])),
                                   motion("e2", false, (porch_buf)PORCH_BUF_OF(block[1])), PORCH_LIT("{}")};
    (void)db;
    (void)why;
    for (size_t i = 0; i < 3; i++) {
        const porch_store_message message = {.at_ms = 1790000000123,
                                             .device = PORCH_LIT("front"),
                                             .topic = PORCH_LIT("d/front/event/motion"),
                                             .payload = payload[i],
                                             .qos = 1};
        assert_int_equal(porch_store_lane_append(t->lane, &message, &t->ticket), PORCH_OK);
    }
    return PORCH_OK;
}

/* Another room that cannot read the first event. */
static porch_err refuse_first(porch_db *db, const porch_store_message *m, uint64_t seq, void *ctx,
                              porch_why *why) {
    uint8_t block[PORCH_EVENT_MOTION_MOST];
    (void)db;
    (void)seq;
    (void)ctx;
    bool first = porch_bytes_eq(m->payload, motion("e1", false, (porch_buf)PORCH_BUF_OF(block)));
    return first ? porch_fail(why, PORCH_ERR_MALFORMED, "not this one") : PORCH_OK;
}

static void of_a_batch_that_is_repeated_only_what_stays_is_told(void **state) {
    media_lab *m = *state;
    list told = {0};
    bell b = {PTHREAD_MUTEX_INITIALIZER, PTHREAD_COND_INITIALIZER, false};
    together t = {.lane = porch_store_lane_open(m->lab.store, ring, &b)};
    porch_media_on_event(m->media, take, &told);
    porch_store_on_message(m->lab.store, refuse_first, NULL);
    assert_int_equal(porch_store_write(m->lab.store, append_together, &t, &m->why), PORCH_OK);
    (void)await(t.lane, &b, t.ticket);
    assert_int_equal(porch_store_durable_seq(m->lab.store), 3); /* the messages stay, all of them */
    assert_int_equal(events(m, (porch_media_event_query){0}).count, 1);
    assert_int_equal(told.count, 1);
    assert_string_equal(told.event[0].device_event, "e2");
}

enum { BURST = 700 };

/* On the writer's thread, as append_together. */
static porch_err append_burst(porch_db *db, void *ctx, porch_why *why) {
    static uint8_t block[PORCH_EVENT_MOTION_MOST];
    together *t = ctx;
    (void)db;
    (void)why;
    for (int i = 0; i < BURST; i++) {
        char name[16];
        (void)snprintf(name, sizeof name, "e%d", i);
        const porch_store_message message = {.at_ms = 1790000000123,
                                             .device = PORCH_LIT("front"),
                                             .topic = PORCH_LIT("d/front/event/motion"),
                                             .payload = motion(name, false, (porch_buf)PORCH_BUF_OF(block)),
                                             .qos = 1};
        assert_int_equal(porch_store_lane_append(t->lane, &message, &t->ticket), PORCH_OK);
    }
    return PORCH_OK;
}

static void count_told(const porch_media_event *event, void *ctx) {
    (void)event;
    ++*(int *)ctx;
}

static void of_a_burst_every_event_is_told(void **state) {
    media_lab *m = *state;
    int told = 0;
    bell b = {PTHREAD_MUTEX_INITIALIZER, PTHREAD_COND_INITIALIZER, false};
    together t = {.lane = porch_store_lane_open(m->lab.store, ring, &b)};
    porch_media_on_event(m->media, count_told, &told);
    assert_int_equal(porch_store_write(m->lab.store, append_burst, &t, &m->why), PORCH_OK);
    assert_int_equal(await(t.lane, &b, t.ticket), PORCH_OK);
    assert_int_equal(told, BURST);
}

static void what_is_not_an_event_leaves_no_row(void **state) {
    media_lab *m = *state;
    static const char *const wrong[] = {"", "{}", "not json", "{\"v\":1}"};
    for (size_t i = 0; i < sizeof wrong / sizeof wrong[0]; i++) {
        assert_int_equal(publish(m, "front", "d/front/event/motion", porch_bytes_of(wrong[i])), PORCH_OK);
    }
    publish_motion(m, "nobody", "e1", false); /* a device that the registry does not know */
    assert_int_equal(publish(m, "front", "d/back/event/motion", PORCH_LIT("{}")), PORCH_OK);
    assert_int_equal(publish(m, "front", "d/front/event/motion/x", PORCH_LIT("{}")), PORCH_OK);
    assert_int_equal(events(m, (porch_media_event_query){0}).count, 0);
}

static void arrivals_are_listed_newest_first_by_household_and_cursor(void **state) {
    media_lab *m = *state;
    publish_motion(m, "front", "e1", false);
    publish_motion(m, "gate", "e1", false);
    publish_motion(m, "back", "e1", false);
    publish_motion(m, "front", "e2", false);
    list l = events(m, (porch_media_event_query){.household = "home"});
    assert_int_equal(l.count, 3);
    assert_string_equal(l.event[0].device_event, "e2");
    assert_string_equal(l.event[1].owner.device, "back");
    list page =
        events(m, (porch_media_event_query){.household = "home", .before_seq = l.event[1].seq, .limit = 1});
    assert_int_equal(page.count, 1);
    assert_string_equal(page.event[0].uid, l.event[2].uid);
    assert_int_equal(events(m, (porch_media_event_query){0}).count, 4);
    assert_int_equal(events(m, (porch_media_event_query){.household = "next-door"}).count, 1);
}

static porch_err run_text(porch_db *db, void *ctx, porch_why *why) {
    return porch_db_run(db, ctx, why);
}

static porch_err find_person_early(porch_db *db, void *ctx, porch_why *why) {
    porch_db_query *q =
        porch_db_prepare(db,
                         "insert into person (event, clip, score, x, y, w, h, agreeing, at_ms, found_ms) "
                         "values (?1, 'c', 1, 0, 0, 1, 1, 2, 1, 1)",
                         why);
    porch_db_bind_str(q, 1, ctx);
    return porch_db_execute(q, why);
}

static void a_person_found_before_the_event_arrived_is_in_the_timeline_of_persons(void **state) {
    media_lab *m = *state;
    char uid[PORCH_MEDIA_UID];
    list l = {0};
    porch_media_event_uid("front", PORCH_LIT("e1"), uid);
    assert_int_equal(porch_store_write(m->lab.store, find_person_early, uid, &m->why), PORCH_OK);
    publish_motion(m, "front", "e1", false);
    publish_motion(m, "front", "e2", false);
    const porch_media_timeline_query q = {
        .household = "home", .person = true, .before_ms = UINT64_MAX, .limit = 16};
    assert_int_equal(porch_media_timeline(m->media, &q, take, &l, &m->why), PORCH_OK);
    assert_int_equal(l.count, 1);
    assert_string_equal(l.event[0].uid, uid);
    /* said to be none, and taken back */
    static const char *const said[] = {
        "insert into feedback (event, device, said_by, said_ms, score, x, y, w, h) select event, 'front', "
        "'robin', 1, 1, 0, 0, 1, 1 from person",
        "delete from feedback"};
    for (size_t i = 0; i < 2; i++) {
        l.count = 0;
        assert_int_equal(porch_store_write(m->lab.store, run_text, (void *)(uintptr_t)said[i], &m->why),
                         PORCH_OK);
        assert_int_equal(porch_media_timeline(m->media, &q, take, &l, &m->why), PORCH_OK);
        assert_int_equal(l.count, i);
    }
}

#define EVENT_TEST(name) cmocka_unit_test_setup_teardown(name, setup, media_lab_teardown)

int main(void) {
    const struct CMUnitTest tests[] = {
        EVENT_TEST(an_event_becomes_a_row_with_all_it_said),
        EVENT_TEST(uids_keep_the_documented_form),
        EVENT_TEST(an_event_sent_twice_is_one_row_and_told_once),
        EVENT_TEST(an_event_that_the_disk_refused_is_not_told),
        EVENT_TEST(of_a_batch_that_is_repeated_only_what_stays_is_told),
        EVENT_TEST(of_a_burst_every_event_is_told),
        EVENT_TEST(what_is_not_an_event_leaves_no_row),
        EVENT_TEST(a_person_found_before_the_event_arrived_is_in_the_timeline_of_persons),
        EVENT_TEST(arrivals_are_listed_newest_first_by_household_and_cursor),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
