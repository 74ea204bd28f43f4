/* What is written down with nobody waiting for it, and must be written all the same: the store refuses it
 * or has no room, and takes it later. */
#include "cloud/broker/conformancebed.h"
#include "cloud/broker/room.h"

/* How many notes of this kind the store has taken. */
static uint32_t kept(porch_err (*write)(porch_buf *b, uint64_t number)) {
    uint8_t text[PORCH_NOTE_BYTES];
    porch_buf b = PORCH_BUF_OF(text);
    ok(write(&b, 1));
    return bed.kept[text[0]];
}

static porch_err an_end(porch_buf *b, uint64_t number) {
    return porch_note_session_ended(b, number, 1, 1, false);
}

static void refuse(bool by_room) {
    bed.lane_full = by_room;
    bed.store_result = by_room ? PORCH_OK : PORCH_ERR_FULL;
}

static void accept(void) {
    bed.lane_full = false;
    bed.store_result = PORCH_OK;
}

static void a_goodbye_is_written_down_in_the_end(void **state) {
    (void)state;
    for (int by_room = 0; by_room < 2; by_room++) {
        client k;
        hello h;
        uint32_t before = kept(an_end);
        will(lasting(fresh(&h, PORCH_MQTT_V5, "m")), "t/will", "gone", 1, false);
        assert_int_equal(greet(&k, PORCH_IDENTITY_SERVICE, "m", &h), 0);
        refuse(by_room);
        goodbye(&k, 0);
        bed_pass(3000);
        assert_int_equal(kept(an_end) - before, 0);
        accept();
        bed_pass(5000);
        assert_int_equal(kept(an_end) - before, 1);
    }
}

static void a_goodbye_that_is_overtaken_by_the_next_connection_is_not(void **state) {
    client k;
    (void)state;
    online_lasting(&k, PORCH_MQTT_V5, "m");
    refuse(false);
    goodbye(&k, 0);
    bed_work();
    accept();
    online_lasting(&k, PORCH_MQTT_V5, "m");
    bed_pass(3000);
    assert_int_equal(kept(an_end), 0);
    leave(&k);
}

static void a_sessions_row_goes_in_the_end(void **state) {
    (void)state;
    for (int by_room = 0; by_room < 2; by_room++) {
        client k;
        hello h;
        uint32_t before = kept(porch_note_session_drop);
        will(fresh(&h, PORCH_MQTT_V5, "m"), "t/will", "gone", 1, false);
        assert_int_equal(greet(&k, PORCH_IDENTITY_SERVICE, "m", &h), 0);
        refuse(by_room);
        goodbye(&k, 0);
        bed_pass(3000);
        assert_int_equal(kept(porch_note_session_drop) - before, 0);
        accept();
        bed_pass(3000);
        assert_int_equal(kept(porch_note_session_drop) - before, 1);
    }
}

static void a_clean_start_ends_the_session_before_it_though_it_was_refused(void **state) {
    client k;
    hello h;
    (void)state;
    online_lasting(&k, PORCH_MQTT_V5, "m");
    leave(&k);
    refuse(false);
    dial(&k, PORCH_IDENTITY_SERVICE, "m", PORCH_MQTT_V5);
    send_hello(&k, fresh(&h, PORCH_MQTT_V5, "m"));
    bed_work();
    assert_true(k.c->told);
    leave(&k);
    accept();
    bed_pass(3000);
    assert_int_equal(kept(porch_note_session_drop), 1);
}

static void a_will_is_spoken_once_the_store_takes_it(void **state) {
    client k, watch;
    hello h;
    (void)state;
    online(&watch, PORCH_MQTT_V5, "m/watch");
    assert_int_equal(subscribe(&watch, (sub){"t/will", .qos = 1}), 1);
    will(fresh(&h, PORCH_MQTT_V5, "m"), "t/will", "gone", 1, false);
    assert_int_equal(greet(&k, PORCH_IDENTITY_SERVICE, "m", &h), 0);
    refuse(false);
    leave(&k);
    bed_pass(3000);
    silent(&watch);
    assert_int_equal(kept(porch_note_session_drop), 0); /* it ends with its will */
    accept();
    bed_pass(3000);
    takes(&watch, "t/will", "gone", 1);
    bed_pass(3000);
    silent(&watch);
    assert_int_equal(kept(porch_note_session_drop), 1);
    goodbye(&watch, 0);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(a_goodbye_is_written_down_in_the_end, begin_with, end),
        cmocka_unit_test_setup_teardown(a_goodbye_that_is_overtaken_by_the_next_connection_is_not,
                                        begin_with, end),
        cmocka_unit_test_setup_teardown(a_sessions_row_goes_in_the_end, begin_with, end),
        cmocka_unit_test_setup_teardown(a_clean_start_ends_the_session_before_it_though_it_was_refused,
                                        begin_with, end),
        cmocka_unit_test_setup_teardown(a_will_is_spoken_once_the_store_takes_it, begin_with, end),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
