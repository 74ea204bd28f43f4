/* Notes on their way through a real store into its tables, and what a damaged one does. */
#include "cloud/broker/note.h"

#include <pthread.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include <cmocka.h>

#include "cloud/broker/broker.h"
#include "cloud/store/store_testing.h"
#include "crypto/identity.h"

typedef struct {
    pthread_mutex_t lock;
    pthread_cond_t rung;
    bool ready;
} bell;

static void ring(void *ctx) {
    bell *b = ctx;
    (void)pthread_mutex_lock(&b->lock);
    b->ready = true;
    (void)pthread_cond_signal(&b->rung);
    (void)pthread_mutex_unlock(&b->lock);
}

static store_lab lab;
static bell door = {PTHREAD_MUTEX_INITIALIZER, PTHREAD_COND_INITIALIZER, false};
static porch_store_lane *lane;

static int set_up(void **state) {
    (void)state;
    store_lab_make(&lab);
    if (store_lab_open(&lab) != PORCH_OK) return 1;
    porch_store_on_note(lab.store, porch_note_apply, NULL);
    lane = porch_store_lane_open(lab.store, ring, &door);
    return lane == NULL;
}

static int tear_down(void **state) {
    (void)state;
    store_lab_remove(&lab);
    return 0;
}

/* Writes and waits until it is answered. */
static porch_store_answer write_down(const porch_store_message *m) {
    uint64_t ticket = 0;
    porch_store_answer a = {0, 0, PORCH_OK};
    assert_int_equal(porch_store_lane_append(lane, m, &ticket), PORCH_OK);
    while (!porch_store_lane_poll(lane, &a) || a.upto < ticket) {
        (void)pthread_mutex_lock(&door.lock);
        while (!door.ready)
            (void)pthread_cond_wait(&door.rung, &door.lock);
        door.ready = false;
        (void)pthread_mutex_unlock(&door.lock);
    }
    return a;
}

static porch_store_answer note_down(const porch_buf *note) {
    porch_store_message m = {.flags = PORCH_STORE_NOTE, .note = porch_buf_bytes(note)};
    return write_down(&m);
}

typedef struct {
    const char *sql;
    int64_t value;
} question;

static porch_err ask(porch_db *db, void *ctx, porch_why *why) {
    question *ask = ctx;
    porch_db_query *q = porch_db_prepare(db, ask->sql, why);
    porch_err e = porch_db_step(q, why);
    if (e == PORCH_OK) ask->value = porch_db_i64(q, 0);
    porch_db_finish(q);
    return e;
}

static int64_t number(const char *sql) {
    question q = {sql, -1};
    porch_err e = porch_store_read(lab.store, ask, &q, NULL);
    assert_true(e == PORCH_OK || e == PORCH_ERR_NOT_FOUND);
    return q.value;
}

static void put_session(porch_buf *b, uint64_t id, const char *client_id, uint64_t cursor) {
    porch_note_session s = {.number = id,
                            .kind = PORCH_IDENTITY_SERVICE,
                            .name = PORCH_LIT("app"),
                            .client_id = porch_bytes_of(client_id),
                            .version = 5,
                            .expiry_s = 60,
                            .cursor = cursor,
                            .has_will = true,
                            .will_qos = 1,
                            .will_topic = PORCH_LIT("t/will"),
                            .will_payload = PORCH_LIT("gone")};
    assert_int_equal(porch_note_session_put(b, &s), PORCH_OK);
}

static void a_sessions_words_reach_their_tables_in_one_transaction(void **state) {
    (void)state;
    uint8_t text[1024];
    porch_buf b = PORCH_BUF_OF(text);
    put_session(&b, 1, "app/a", 5);
    assert_int_equal(porch_note_subscribe(&b, 1, PORCH_LIT("t/#"), 2, 9), PORCH_OK);
    assert_int_equal(porch_note_received(&b, 1, 7), PORCH_OK);
    assert_int_equal(porch_note_flight(&b, 1, 3, 8), PORCH_OK);
    assert_int_equal(porch_note_flight(&b, 1, 12, 9), PORCH_OK);
    porch_store_answer a = note_down(&b);
    assert_int_equal(a.result, PORCH_OK);
    assert_int_equal(number("select since from mqtt_subscription where identifier = 9"), a.seq);
    assert_int_equal(number("select count(*) from mqtt_session where will_topic = 't/will'"), 1);
    b.len = 0;
    assert_int_equal(porch_note_subscribe(&b, 1, PORCH_LIT("t/#"), 1, 0), PORCH_OK);
    assert_int_equal(porch_note_flight_released(&b, 1, 12), PORCH_OK);
    assert_int_equal(porch_note_received_done(&b, 1, 7), PORCH_OK);
    assert_int_equal(porch_note_cursor(&b, 1, 11), PORCH_OK);
    assert_int_equal(porch_note_will_spoken(&b, 1), PORCH_OK);
    assert_int_equal(note_down(&b).result, PORCH_OK);
    /* Subscribed again, it still begins where it began. */
    assert_int_equal(number("select since from mqtt_subscription where options = 1"), a.seq);
    assert_int_equal(number("select count(*) from mqtt_received"), 0);
    assert_int_equal(number("select count(*) from mqtt_flight"), 1);
    assert_int_equal(number("select state from mqtt_flight where seq = 12"), 2);
    assert_int_equal(number("select cursor from mqtt_session"), 11);
    assert_int_equal(number("select count(*) from mqtt_session where will_topic is null"), 1);
    /* What counts for no cursor stays until it is done, and then leaves nothing. */
    b.len = 0;
    assert_int_equal(porch_note_flight(&b, 1, -4, 4), PORCH_OK);
    assert_int_equal(porch_note_flight_released(&b, 1, -4), PORCH_OK);
    assert_int_equal(porch_note_cursor(&b, 1, 11), PORCH_OK);
    assert_int_equal(note_down(&b).result, PORCH_OK);
    assert_int_equal(number("select state from mqtt_flight where seq = -4"), 2);
    b.len = 0;
    assert_int_equal(porch_note_flight_done(&b, 1, -4), PORCH_OK);
    assert_int_equal(note_down(&b).result, PORCH_OK);
    assert_int_equal(number("select count(*) from mqtt_flight"), 1);
    b.len = 0;
    put_session(&b, 2, "app/a", 20); /* another one of the same name: the first is over */
    assert_int_equal(porch_note_received(&b, 1, 7), PORCH_OK);
    assert_int_equal(note_down(&b).result, PORCH_OK);
    assert_int_equal(number("select count(*) from mqtt_session"), 1);
    assert_int_equal(number("select count(*) from mqtt_subscription"), 0);
    assert_int_equal(number("select count(*) from mqtt_received"), 0);
    b.len = 0;
    assert_int_equal(porch_note_session_ended(&b, 2, 1000, 0, false), PORCH_OK);
    assert_int_equal(note_down(&b).result, PORCH_OK);
    assert_int_equal(number("select ended_ms from mqtt_session where will_topic is null"), 1000);
    b.len = 0;
    assert_int_equal(porch_note_session_drop(&b, 2), PORCH_OK);
    assert_int_equal(note_down(&b).result, PORCH_OK);
    assert_int_equal(number("select count(*) from mqtt_session"), 0);
}

static void a_retained_message_is_its_topics_only_one_until_it_is_cleared(void **state) {
    (void)state;
    uint8_t text[32];
    porch_buf b = PORCH_BUF_OF(text);
    assert_int_equal(porch_note_retain(&b), PORCH_OK);
    porch_store_message m = {.flags = PORCH_STORE_NOTE | PORCH_STORE_RETAIN,
                             .topic = PORCH_LIT("t/kept"),
                             .payload = PORCH_LIT("1"),
                             .note = porch_buf_bytes(&b)};
    assert_int_equal(write_down(&m).result, PORCH_OK);
    m.payload = PORCH_LIT("22");
    porch_store_answer a = write_down(&m);
    assert_int_equal(number("select length(payload) from mqtt_retained"), 2);
    assert_int_equal(number("select seq from mqtt_retained"), a.seq);
    assert_int_equal(number("select count(*) from message"), 0);
    /* One that has expired goes, but not another one that came meanwhile. */
    b.len = 0;
    assert_int_equal(porch_note_retain_expired(&b, PORCH_LIT("t/kept"), a.seq - 1), PORCH_OK);
    assert_int_equal(note_down(&b).result, PORCH_OK);
    assert_int_equal(number("select seq from mqtt_retained"), a.seq);
    b.len = 0;
    assert_int_equal(porch_note_retain_expired(&b, PORCH_LIT("t/kept"), a.seq), PORCH_OK);
    assert_int_equal(note_down(&b).result, PORCH_OK);
    assert_int_equal(number("select count(*) from mqtt_retained"), 0);
    b.len = 0;
    assert_int_equal(porch_note_retain(&b), PORCH_OK);
    m.note = porch_buf_bytes(&b);
    assert_int_equal(write_down(&m).result, PORCH_OK);
    m.payload = (porch_bytes){NULL, 0};
    assert_int_equal(write_down(&m).result, PORCH_OK);
    assert_int_equal(number("select count(*) from mqtt_retained"), 0);
}

static porch_err forget_cam(porch_db *db, void *ctx, porch_why *why) {
    (void)ctx;
    return porch_broker_forget_rows(db, "cam", why);
}

static void say(const char *topic, uint8_t flags) {
    uint8_t text[32];
    porch_buf b = PORCH_BUF_OF(text);
    assert_int_equal(porch_note_retain(&b), PORCH_OK);
    porch_store_message m = {.flags = flags | PORCH_STORE_RETAIN,
                             .device = PORCH_LIT("cam"),
                             .topic = porch_bytes_of(topic),
                             .payload = PORCH_LIT("x"),
                             .qos = 1,
                             .note = porch_buf_bytes(&b)};
    assert_int_equal(write_down(&m).result, PORCH_OK);
}

static void a_removed_devices_rows_go_and_no_others(void **state) {
    (void)state;
    uint8_t text[512];
    porch_buf b = PORCH_BUF_OF(text);
    porch_note_session own = {.number = 8,
                              .kind = PORCH_IDENTITY_DEVICE,
                              .name = PORCH_LIT("cam"),
                              .client_id = PORCH_LIT("cam"),
                              .version = 5,
                              .expiry_s = 60};
    assert_int_equal(porch_note_session_put(&b, &own), PORCH_OK);
    own.number = 9; /* of a service of that name, which is another one */
    own.kind = PORCH_IDENTITY_SERVICE;
    assert_int_equal(porch_note_session_put(&b, &own), PORCH_OK);
    assert_int_equal(note_down(&b).result, PORCH_OK);
    static const char *const others[] = {"d/camera/event/motion",
                                         "d/ca/event/motion",
                                         "d/cam-2/x",
                                         "d/cam.x",
                                         "d/cam0",
                                         "t/cam/x",
                                         "d/CAM/x"};
    say("d/cam", PORCH_STORE_QUEUED);
    say("d/cam/event/motion", PORCH_STORE_QUEUED);
    say("d/cam/", PORCH_STORE_QUEUED);
    for (size_t i = 0; i < sizeof others / sizeof others[0]; i++)
        say(others[i], PORCH_STORE_QUEUED);
    const int64_t messages = number("select count(*) from message");
    assert_int_equal(porch_store_write(lab.store, forget_cam, NULL, NULL), PORCH_OK);
    assert_int_equal(
        number("select count(*) from mqtt_retained where topic glob 'd/cam/*' or topic = 'd/cam'"), 0);
    assert_int_equal(number("select count(*) from mqtt_retained where seq > 0"),
                     (int64_t)(sizeof others / sizeof others[0]));
    /* History stays, but nobody waits for it. */
    assert_int_equal(number("select count(*) from message"), messages);
    assert_int_equal(number("select count(*) from message where (flags & 1) != 0"),
                     (int64_t)(sizeof others / sizeof others[0]));
    assert_int_equal(number("select count(*) from mqtt_session where id in (8, 9)"), 1);
    assert_int_equal(number("select count(*) from mqtt_session where id = 9"), 1);
}

static void a_damaged_note_is_refused_and_leaves_nothing(void **state) {
    (void)state;
    uint8_t text[512], copy[512];
    porch_buf b = PORCH_BUF_OF(text);
    put_session(&b, 3, "app/b", 0);
    for (size_t n = 1; n < b.len; n++) {
        porch_buf cut = {text, n, n};
        assert_int_not_equal(note_down(&cut).result, PORCH_OK);
    }
    memcpy(copy, text, b.len);
    copy[0] = 99;
    porch_buf unknown = {copy, b.len, b.len};
    assert_int_not_equal(note_down(&unknown).result, PORCH_OK);
    assert_int_equal(number("select count(*) from mqtt_session"), 0);
    porch_buf full = {copy, 0, 12};
    assert_int_equal(porch_note_cursor(&full, 1, 2), PORCH_ERR_NO_SPACE);
    assert_int_equal(full.len, 0);
}

static void numbers_are_never_given_twice_though_notes_leave_no_message(void **state) {
    (void)state;
    uint8_t text[32];
    porch_buf b = PORCH_BUF_OF(text);
    assert_int_equal(porch_note_session_drop(&b, 77), PORCH_OK);
    uint64_t before = note_down(&b).seq;
    store_lab_close(&lab);
    assert_int_equal(store_lab_open(&lab), PORCH_OK);
    porch_store_on_note(lab.store, porch_note_apply, NULL);
    lane = porch_store_lane_open(lab.store, ring, &door);
    assert_non_null(lane);
    assert_true(note_down(&b).seq > before);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_sessions_words_reach_their_tables_in_one_transaction),
        cmocka_unit_test(a_retained_message_is_its_topics_only_one_until_it_is_cleared),
        cmocka_unit_test(a_damaged_note_is_refused_and_leaves_nothing),
        cmocka_unit_test(numbers_are_never_given_twice_though_notes_leave_no_message),
        cmocka_unit_test(a_removed_devices_rows_go_and_no_others),
    };
    return cmocka_run_group_tests(tests, set_up, tear_down);
}
