#include "cloud/media/media_feedback.h"

#include "cloud/media/media_testing.h"

enum { NOW = 1790000000 };
static const char UID[] = "0123456789abcdef0123456789abcdef";

static porch_err add_person(porch_db *db, void *ctx, porch_why *why) {
    (void)ctx;
    PORCH_TRY(porch_db_run(db,
                           "insert into event (uid, device, product, household, device_event, kind, at_ms, "
                           "received_ms, score, "
                           "x, y, w, h) values ('0123456789abcdef0123456789abcdef', 'front', 'camera', "
                           "'home', 'e1', 'motion', "
                           "1, 1, 0.5, 0, 0, 1, 1)",
                           why));
    PORCH_TRY(
        porch_db_run(db,
                     "insert into clip (id, event, device, product, household, created_ms) values ('c1', "
                     "'0123456789abcdef0123456789abcdef', 'front', 'camera', 'home', 1)",
                     why));
    return porch_db_run(
        db,
        "insert into person (event, clip, score, x, y, w, h, agreeing, at_ms, found_ms) values "
        "('0123456789abcdef0123456789abcdef', 'c1', 2.0, 0.2, 0.2, 0.2, 0.4, 2, 1, 1)",
        why);
}

static int setup(void **state) {
    if (media_lab_setup(state) != 0) return -1;
    media_lab_open(*state);
    media_lab *m = *state;
    return porch_store_write(m->lab.store, add_person, NULL, &m->why) == PORCH_OK ? 0 : -1;
}

static porch_err say(porch_db *db, void *ctx, porch_why *why) {
    return porch_media_feedback_say(db, ctx, "robin", NOW, why);
}

static porch_err take_back(porch_db *db, void *ctx, porch_why *why) {
    return porch_media_feedback_take_back(db, ctx, why);
}

typedef struct {
    const char *device;
    porch_media_box box;
    uint64_t since_ms;
    double threshold;
} question;

static porch_err ask(porch_db *db, void *ctx, porch_why *why) {
    question *q = ctx;
    return porch_media_feedback_threshold(db, q->device, &q->box, q->since_ms, &q->threshold, why);
}

static double threshold(media_lab *m, const char *device, porch_media_box box, uint64_t since_ms) {
    question q = {device, box, since_ms, -1};
    assert_int_equal(porch_store_read(m->lab.store, ask, &q, &m->why), PORCH_OK);
    return q.threshold;
}

static const porch_media_box same = {0.2, 0.2, 0.2, 0.4}, near_by = {0.22, 0.22, 0.2, 0.4},
                             elsewhere = {0.6, 0.2, 0.2, 0.4}, half_beside = {0.3, 0.2, 0.2, 0.4};

static void only_the_same_camera_spot_and_time_ask_for_more(void **state) {
    media_lab *m = *state;
    assert_true(threshold(m, "front", same, 0) == 0);
    assert_int_equal(porch_store_write(m->lab.store, say, (void *)UID, &m->why), PORCH_OK);
    assert_int_equal(porch_store_write(m->lab.store, say, (void *)UID, &m->why),
                     PORCH_OK); /* twice is once */
    double asked = threshold(m, "front", same, NOW - 30);
    assert_true(asked > 2.19 && asked < 2.21);
    assert_true(threshold(m, "front", near_by, 0) == asked);
    assert_true(threshold(m, "front", elsewhere, 0) == 0);
    assert_true(threshold(m, "front", half_beside, 0) == 0);
    assert_true(threshold(m, "back", same, 0) == 0);
    assert_true(threshold(m, "front", same, NOW) == asked);
    assert_true(threshold(m, "front", same, NOW + 1) == 0); /* its time is over */
}

static void the_word_is_shown_with_its_event_and_can_be_taken_back(void **state) {
    media_lab *m = *state;
    porch_media_event event;
    assert_int_equal(porch_store_write(m->lab.store, say, (void *)UID, &m->why), PORCH_OK);
    assert_int_equal(porch_media_event_get(m->media, UID, &event, NULL), PORCH_OK);
    assert_true(event.not_a_person);
    assert_string_equal(event.said_by, "robin");
    assert_int_equal(event.said_ms, NOW);
    assert_int_equal(porch_store_write(m->lab.store, take_back, (void *)UID, &m->why), PORCH_OK);
    assert_int_equal(porch_store_write(m->lab.store, take_back, (void *)UID, &m->why), PORCH_OK);
    assert_int_equal(porch_media_event_get(m->media, UID, &event, NULL), PORCH_OK);
    assert_false(event.not_a_person);
    assert_true(threshold(m, "front", same, 0) == 0);
}

static void without_a_person_there_is_nothing_to_correct(void **state) {
    media_lab *m = *state;
    assert_int_equal(porch_store_write(m->lab.store, say, "11111111111111111111111111111111", &m->why),
                     PORCH_ERR_STATE);
}

static void boxes_overlap_by_what_they_share(void **state) {
    (void)state;
    const porch_media_box none = {0.2, 0.2, 0, 0};
    assert_true(porch_media_box_overlap(&same, &same) > 0.999);
    assert_true(porch_media_box_overlap(&same, &elsewhere) == 0);
    assert_true(porch_media_box_overlap(&none, &none) == 0);
    double third = porch_media_box_overlap(&same, &half_beside);
    assert_true(third > 0.33 && third < 0.34);
    assert_true(porch_media_box_overlap(&half_beside, &same) == third);
}

#define MEDIA_TEST(name) cmocka_unit_test_setup_teardown(name, setup, media_lab_teardown)

int main(void) {
    const struct CMUnitTest tests[] = {
        MEDIA_TEST(only_the_same_camera_spot_and_time_ask_for_more),
        MEDIA_TEST(the_word_is_shown_with_its_event_and_can_be_taken_back),
        MEDIA_TEST(without_a_person_there_is_nothing_to_correct),
        cmocka_unit_test(boxes_overlap_by_what_they_share),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
