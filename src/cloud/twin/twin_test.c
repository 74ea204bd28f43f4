#include "cloud/twin/twin.h"

#include <pthread.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include <cmocka.h>

#include "cloud/store/store_testing.h"

typedef struct {
    store_lab lab;
    porch_twins *twins;
    unsigned reports;
    char device[PORCH_TWIN_DEVICE_TEXT];
    char again[PORCH_TWIN_DOC_MOST + 1]; /* what is to be published again */
} bench;

static void on_report(const char *device, porch_bytes desired, void *ctx) {
    bench *b = ctx;
    b->reports++;
    (void)snprintf(b->device, sizeof b->device, "%s", device);
    assert_true(porch_bytes_to_text(desired, b->again, sizeof b->again));
}

static porch_err add_device(porch_db *db, void *ctx, porch_why *why) {
    (void)ctx;
    return porch_db_run(
        db, "insert into device (id, product, household, added_ms) values ('door', 'camera', 'home', 1)",
        why);
}

static int make_bench(void **state) {
    bench *b = calloc(1, sizeof *b);
    store_lab_make(&b->lab);
    if (store_lab_open(&b->lab) != PORCH_OK) return -1;
    if (porch_twins_open(b->lab.store, &b->twins, NULL) != PORCH_OK) return -1;
    porch_twins_on_report(b->twins, on_report, b);
    *state = b;
    return porch_store_write(b->lab.store, add_device, NULL, &b->lab.why) == PORCH_OK ? 0 : -1;
}

static int drop_bench(void **state) {
    bench *b = *state;
    store_lab_remove(&b->lab);
    porch_twins_close(b->twins);
    free(b);
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

static porch_err publish(bench *b, const char *device, const char *topic, const char *payload) {
    bell bl = {PTHREAD_MUTEX_INITIALIZER, PTHREAD_COND_INITIALIZER, false};
    porch_store_lane *lane = porch_store_lane_open(b->lab.store, ring, &bl);
    const porch_store_message m = {.at_ms = 77,
                                   .device = porch_bytes_of(device),
                                   .topic = porch_bytes_of(topic),
                                   .payload = porch_bytes_of(payload),
                                   .qos = 1};
    uint64_t ticket;
    porch_store_answer answer = {0, 0, PORCH_OK};
    assert_int_equal(porch_store_lane_append(lane, &m, &ticket), PORCH_OK);
    while (!porch_store_lane_poll(lane, &answer) || answer.upto < ticket) {
        (void)pthread_mutex_lock(&bl.lock);
        while (!bl.ready)
            (void)pthread_cond_wait(&bl.changed, &bl.lock);
        bl.ready = false;
        (void)pthread_mutex_unlock(&bl.lock);
    }
    return answer.result;
}

static void report(bench *b, const char *payload) {
    assert_int_equal(publish(b, "door", "d/door/state/reported", payload), PORCH_OK);
}

typedef struct {
    const char *device;
    porch_twin_change change;
    porch_twin_camera to;
    const uint64_t *base;
    char document[PORCH_TWIN_DOC_MOST + 1];
} wish;

static porch_err set(porch_db *db, void *ctx, porch_why *why) {
    wish *w = ctx;
    porch_buf out = {(uint8_t *)w->document, 0, sizeof w->document - 1};
    PORCH_TRY(porch_twin_set(db, w->device, w->change, &w->to, w->base, 5, &out, why));
    w->document[out.len] = '\0';
    return PORCH_OK;
}

static porch_err set_privacy(bench *b, const char *device, bool on, wish *w) {
    *w = (wish){.device = device, .change = PORCH_TWIN_CHANGE_PRIVACY, .to = {.privacy = on}};
    return porch_store_write(b->lab.store, set, w, &b->lab.why);
}

static porch_err set_zones(bench *b, const char *text, wish *w) {
    *w = (wish){.device = "door", .change = PORCH_TWIN_CHANGE_ZONES};
    PORCH_TRY(porch_twin_zones_read(porch_bytes_of(text), &w->to, &b->lab.why));
    return porch_store_write(b->lab.store, set, w, &b->lab.why);
}

static porch_err set_zones_from(bench *b, uint64_t base, const char *text) {
    wish w = {.device = "door", .change = PORCH_TWIN_CHANGE_ZONES, .base = &base};
    PORCH_TRY(porch_twin_zones_read(porch_bytes_of(text), &w.to, &b->lab.why));
    return porch_store_write(b->lab.store, set, &w, &b->lab.why);
}

static porch_err get(porch_db *db, void *ctx, porch_why *why) {
    return porch_twin_get(db, "door", ctx, why);
}

static porch_twin_view view(bench *b) {
    porch_twin_view v;
    assert_int_equal(porch_store_read(b->lab.store, get, &v, &b->lab.why), PORCH_OK);
    return v;
}

static void nobody_has_set_anything_at_first(void **state) {
    porch_twin_view v = view(*state);
    assert_int_equal(v.desired_version, 0);
    assert_false(v.has_reported);
    assert_string_equal(v.device, "door");
}

static void a_change_keeps_the_rest_and_counts_on(void **state) {
    bench *b = *state;
    wish w;
    assert_int_equal(set_privacy(b, "door", true, &w), PORCH_OK);
    assert_string_equal(w.document, "{\"v\":1,\"version\":1,\"state\":{\"privacy\":true,\"ignore\":[]}}");
    assert_int_equal(set_zones(b, "1000,2000,3000,4000;0,0,10000,500", &w), PORCH_OK);
    assert_string_equal(
        w.document,
        "{\"v\":1,\"version\":2,\"state\":{\"privacy\":true,\"ignore\":[1000,2000,3000,4000,0,0,"
        "10000,500]}}");
    assert_int_equal(set_privacy(b, "door", false, &w), PORCH_OK);
    porch_twin_view v = view(b);
    assert_int_equal(v.desired_version, 3);
    assert_false(v.desired.privacy);
    assert_int_equal(v.desired.zone_count, 2);
    assert_int_equal(v.desired.zones[1][3], 500);
    assert_int_equal(set_privacy(b, "nobody", true, &w), PORCH_ERR_NOT_FOUND);
}

static void a_report_of_the_newest_version_needs_no_answer(void **state) {
    bench *b = *state;
    wish w;
    assert_int_equal(set_privacy(b, "door", true, &w), PORCH_OK);
    report(b, "{\"v\":1,\"version\":1,\"state\":{\"privacy\":true,\"ignore\":[],\"capture\":\"stopped\"}}");
    assert_int_equal(b->reports, 1);
    assert_string_equal(b->device, "door");
    assert_string_equal(b->again, "");
    porch_twin_view v = view(b);
    assert_true(v.has_reported && v.reported.privacy);
    assert_int_equal(v.reported_version, 1);
    assert_string_equal(v.capture, "stopped");
    assert_int_equal(v.reported_ms, 77);
}

static void a_device_that_was_away_is_told_again(void **state) {
    bench *b = *state;
    wish w;
    report(b, "{\"v\":1,\"version\":0,\"state\":{}}");
    assert_string_equal(b->again, "");
    assert_int_equal(set_privacy(b, "door", true, &w), PORCH_OK);
    report(b, "{\"v\":1,\"version\":0,\"state\":{}}");
    assert_string_equal(b->again, w.document);
}

static void a_hub_restored_from_an_old_backup_goes_on_above_what_the_device_knows(void **state) {
    bench *b = *state;
    wish w;
    assert_int_equal(set_privacy(b, "door", true, &w), PORCH_OK);
    report(b, "{\"v\":1,\"version\":40,\"state\":{\"privacy\":false}}");
    assert_string_equal(b->again, "{\"v\":1,\"version\":41,\"state\":{\"privacy\":true,\"ignore\":[]}}");
    assert_int_equal(view(b).desired_version, 41);
    assert_int_equal(set_privacy(b, "door", false, &w), PORCH_OK);
    assert_non_null(strstr(w.document, "\"version\":42"));
}

static void a_report_that_the_disk_refused_is_not_answered(void **state) {
    bench *b = *state;
    wish w;
    assert_int_equal(set_privacy(b, "door", true, &w), PORCH_OK);
    store_lab_disk(false);
    porch_err refused =
        publish(b, "door", "d/door/state/reported", "{\"v\":1,\"version\":40,\"state\":{}}");
    store_lab_disk(true);
    assert_int_not_equal(refused, PORCH_OK);
    report(b, "{\"v\":1,\"version\":0,\"state\":{}}");
    assert_int_equal(b->reports, 1);
    assert_string_equal(b->again, w.document); /* version 1: nobody has heard of 40 */
}

static void the_first_wish_begins_with_what_the_device_is(void **state) {
    bench *b = *state;
    wish w;
    report(b, "{\"v\":1,\"version\":9,\"state\":{\"privacy\":false,\"ignore\":[1,2,3,4]}}");
    assert_int_equal(set_privacy(b, "door", true, &w), PORCH_OK);
    assert_string_equal(w.document,
                        "{\"v\":1,\"version\":10,\"state\":{\"privacy\":true,\"ignore\":[1,2,3,4]}}");
    report(b, "{\"v\":1,\"version\":10,\"state\":{\"ignore\":[1,2,3,20000]}}"); /* all of them, or none */
    assert_int_equal(view(b).reported.zone_count, 0);
}

static void only_the_devices_own_topic_and_form_count(void **state) {
    bench *b = *state;
    assert_int_equal(publish(b, "door", "d/door/state/reported/x", "{\"v\":1,\"version\":1,\"state\":{}}"),
                     PORCH_OK);
    assert_int_equal(publish(b, "door", "d/gate/state/reported", "{\"v\":1,\"version\":1,\"state\":{}}"),
                     PORCH_OK);
    assert_int_equal(publish(b, "door", "d/door/state/reported", "nonsense"),
                     PORCH_OK); /* logged, and no row */
    assert_int_equal(b->reports, 0);
    assert_false(view(b).has_reported);
    assert_int_equal(
        publish(b, "nobody", "d/nobody/state/reported", "{\"v\":1,\"version\":1,\"state\":{}}"), PORCH_OK);
}

static porch_err remove_device(porch_db *db, void *ctx, porch_why *why) {
    (void)ctx;
    return porch_db_run(db, "delete from device where id = 'door'", why);
}

static void a_removed_devices_twin_goes_with_it(void **state) {
    bench *b = *state;
    wish w;
    assert_int_equal(set_privacy(b, "door", true, &w), PORCH_OK);
    assert_int_equal(porch_store_write(b->lab.store, remove_device, NULL, &b->lab.why), PORCH_OK);
    assert_int_equal(view(b).desired_version, 0);
}

static void zones_that_are_none_are_refused(void **state) {
    (void)state;
    static const char *const bad[] = {
        "1",        "1,2,3",         "1,2,3,4,5",   "1,2,3,4;",  ";1,2,3,4", "1,2,0,4",
        "1,2,3,0",  "9000,0,1001,1", "0,0,1,10001", "-1,2,3,4",  "1, 2,3,4", "1,2,3,4;;5,6,7,8",
        "01,2,3,4", "a,b,c,d",       "1;2;3;4",     "1,2,3,4,;", ",,,"};
    porch_twin_camera c = {.zone_count = 3};
    for (size_t i = 0; i < sizeof bad / sizeof bad[0]; i++)
        if (porch_twin_zones_read(porch_bytes_of(bad[i]), &c, NULL) == PORCH_OK)
            fail_msg("taken: %s", bad[i]);
    assert_int_equal(c.zone_count, 3);
    char many[17 * 9 + 1] = "";
    for (int i = 0; i < 17; i++)
        (void)snprintf(many + strlen(many), sizeof many - strlen(many), "%s1,1,1,1", i > 0 ? ";" : "");
    assert_int_equal(porch_twin_zones_read(porch_bytes_of(many), &c, NULL), PORCH_ERR_LIMIT);
    many[16 * 8 - 1] = '\0';
    assert_int_equal(porch_twin_zones_read(porch_bytes_of(many), &c, NULL), PORCH_OK);
    assert_int_equal(c.zone_count, 16);
    assert_int_equal(porch_twin_zones_read(PORCH_LIT(""), &c, NULL), PORCH_OK);
    assert_int_equal(c.zone_count, 0);
}

#define WITH_BENCH(test) cmocka_unit_test_setup_teardown(test, make_bench, drop_bench)

static void two_who_change_it_at_once_do_not_undo_each_other(void **state) {
    bench *b = *state;
    wish w;
    assert_int_equal(set_zones_from(b, 1, "1,1,1,1"), PORCH_ERR_STATE); /* of what nobody has set yet */
    assert_int_equal(set_zones_from(b, 0, "1,1,1,1"), PORCH_OK);
    uint64_t base = view(b).desired_version;
    assert_int_equal(set_zones_from(b, base, "1,1,1,1;2,2,2,2"), PORCH_OK);
    assert_int_equal(set_zones_from(b, base, "3,3,3,3"), PORCH_ERR_STATE);
    assert_non_null(strstr(b->lab.why.text, "read them again"));
    assert_int_equal(view(b).desired.zone_count, 2);
    assert_int_equal(view(b).desired_version, base + 1);
    assert_int_equal(set_zones(b, "4,4,4,4", &w), PORCH_OK); /* without a base it is as it says */
    assert_int_equal(view(b).desired.zone_count, 1);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        WITH_BENCH(nobody_has_set_anything_at_first),
        WITH_BENCH(a_change_keeps_the_rest_and_counts_on),
        WITH_BENCH(a_report_of_the_newest_version_needs_no_answer),
        WITH_BENCH(a_device_that_was_away_is_told_again),
        WITH_BENCH(a_hub_restored_from_an_old_backup_goes_on_above_what_the_device_knows),
        WITH_BENCH(a_report_that_the_disk_refused_is_not_answered),
        WITH_BENCH(the_first_wish_begins_with_what_the_device_is),
        WITH_BENCH(only_the_devices_own_topic_and_form_count),
        WITH_BENCH(a_removed_devices_twin_goes_with_it),
        cmocka_unit_test(zones_that_are_none_are_refused),
        WITH_BENCH(two_who_change_it_at_once_do_not_undo_each_other),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
