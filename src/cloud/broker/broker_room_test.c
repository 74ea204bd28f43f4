/* A store that is behind: what cannot be written down now comes again, changes nothing before, and happens
 * once. */
#include "cloud/broker/brokerbed.h"

#include <cmocka.h>

static porch_conn *dial(const char *id, uint32_t expiry_s) {
    uint8_t text[128], raw[16];
    porch_buf b = PORCH_BUF_OF(text), props = PORCH_BUF_OF(raw);
    porch_mqtt_connect hello = {
        .version = PORCH_MQTT_V5, .keep_alive_s = 60, .client_id = porch_bytes_of(id)};
    assert_int_equal(porch_mqtt_property_put_number(&props, PORCH_MQTT_PROP_SESSION_EXPIRY, expiry_s),
                     PORCH_OK);
    assert_int_equal(
        porch_mqtt_properties_of(porch_buf_bytes(&props), PORCH_MQTT_CONNECT, NULL, &hello.properties),
        PORCH_OK);
    assert_int_equal(porch_mqtt_connect_write(&b, &hello), PORCH_OK);
    porch_conn *c = bed_dial(PORCH_IDENTITY_SERVICE, "m");
    bed_send(c, porch_buf_bytes(&b));
    bed_work();
    return c;
}

/* The next packet for the client, which must be of that type. */
static porch_mqtt_packet next(porch_conn *c, porch_mqtt_type type) {
    static uint8_t kept[512];
    porch_mqtt_frame frame;
    porch_mqtt_packet p;
    assert_int_equal(porch_mqtt_frame_read((porch_bytes){c->out, c->out_len}, 1 << 20, NULL, &frame),
                     PORCH_OK);
    assert_true(frame.bytes <= sizeof kept);
    memcpy(kept, c->out, frame.bytes);
    bed_read(c, frame.bytes);
    assert_int_equal(porch_mqtt_frame_read((porch_bytes){kept, frame.bytes}, 1 << 20, NULL, &frame),
                     PORCH_OK);
    assert_int_equal(porch_mqtt_packet_read(&frame, PORCH_MQTT_V5, PORCH_MQTT_FROM_SERVER, NULL, &p),
                     PORCH_OK);
    assert_int_equal(p.type, type);
    return p;
}

static void subscribe(porch_conn *c, const char *filter) {
    uint8_t text[128], list[64];
    porch_buf b = PORCH_BUF_OF(text), l = PORCH_BUF_OF(list);
    porch_mqtt_subscription one = {.text = porch_bytes_of(filter), .qos = 1};
    assert_int_equal(porch_mqtt_subscription_put(&l, PORCH_MQTT_V5, &one), PORCH_OK);
    porch_mqtt_subscribe packet = {.packet_id = 1, .count = 1, .filters = porch_buf_bytes(&l)};
    assert_int_equal(porch_mqtt_subscribe_write(&b, PORCH_MQTT_V5, &packet), PORCH_OK);
    bed_send(c, porch_buf_bytes(&b));
    bed_work();
}

static void unsubscribe(porch_conn *c, const char *filter) {
    uint8_t text[128], list[64];
    porch_buf b = PORCH_BUF_OF(text), l = PORCH_BUF_OF(list);
    assert_int_equal(porch_mqtt_unsubscription_put(&l, porch_bytes_of(filter)), PORCH_OK);
    porch_mqtt_unsubscribe packet = {.packet_id = 2, .count = 1, .filters = porch_buf_bytes(&l)};
    assert_int_equal(porch_mqtt_unsubscribe_write(&b, PORCH_MQTT_V5, &packet), PORCH_OK);
    bed_send(c, porch_buf_bytes(&b));
    bed_work();
}

static void publish(porch_conn *c, const char *what, uint8_t qos, bool retain) {
    uint8_t text[128];
    porch_buf b = PORCH_BUF_OF(text);
    porch_mqtt_publish packet = {.topic = {PORCH_LIT("t/1")},
                                 .payload = porch_bytes_of(what),
                                 .packet_id = qos > 0 ? 7 : 0,
                                 .qos = qos,
                                 .retain = retain};
    assert_int_equal(porch_mqtt_publish_write(&b, PORCH_MQTT_V5, &packet), PORCH_OK);
    bed_send(c, porch_buf_bytes(&b));
    bed_work();
}

static void expect(porch_conn *c, const char *what) {
    porch_mqtt_packet p = next(c, PORCH_MQTT_PUBLISH);
    assert_true(porch_bytes_eq_text(p.publish.payload, what));
}

static void a_session_outlives_that_its_client_comes_while_the_store_is_behind(void **state) {
    (void)state;
    porch_conn *says = dial("m/says", 0), *hears = dial("m/hears", 3600);
    (void)next(says, PORCH_MQTT_CONNACK);
    (void)next(hears, PORCH_MQTT_CONNACK);
    subscribe(hears, "t/1");
    (void)next(hears, PORCH_MQTT_SUBACK);
    bed_hang_up(hears);
    publish(says, "kept", 1, false);
    (void)next(says, PORCH_MQTT_PUBACK);
    bed.lane_full = true;
    bed_hang_up(says);
    hears = dial("m/hears", 3600);
    assert_int_equal(hears->out_len, 0);
    bed.lane_full = false;
    bed_work();
    assert_true(next(hears, PORCH_MQTT_CONNACK).connack.session_present);
    expect(hears, "kept");
}

static void a_subscribe_that_had_to_wait_is_answered_and_replayed_once(void **state) {
    (void)state;
    porch_conn *c = dial("m/hears", 3600);
    (void)next(c, PORCH_MQTT_CONNACK);
    publish(c, "retained", 1, true);
    (void)next(c, PORCH_MQTT_PUBACK);
    bed.lane_full = true;
    subscribe(c, "t/1");
    bed_pass(50); /* it is offered again and again */
    assert_int_equal(c->out_len, 0);
    bed.lane_full = false;
    bed_work();
    (void)next(c, PORCH_MQTT_SUBACK);
    expect(c, "retained");
    assert_int_equal(c->out_len, 0);
    bed.lane_full = true;
    unsubscribe(c, "t/1");
    bed_pass(50);
    bed.lane_full = false;
    bed_work();
    porch_mqtt_packet p = next(c, PORCH_MQTT_UNSUBACK);
    assert_int_equal(p.suback.reasons.len, 1);
    assert_int_equal(p.suback.reasons.at[0], 0);
}

static void what_is_not_retained_waits_for_what_is(void **state) {
    (void)state;
    porch_conn *says = dial("m/says", 0), *hears = dial("m/hears", 0);
    (void)next(says, PORCH_MQTT_CONNACK);
    (void)next(hears, PORCH_MQTT_CONNACK);
    subscribe(hears, "t/1");
    (void)next(hears, PORCH_MQTT_SUBACK);
    bed.holds_back = true;
    publish(says, "first", 0, true);
    publish(says, "second", 0, false);
    bed.holds_back = false;
    bed_work();
    expect(hears, "first");
    expect(hears, "second");
}

/* bed_end sees that nothing is written as the hub goes: a member that leaves would lose what waits for it.
 */
static void members_of_shared_subscriptions_stay_members_when_the_hub_stops(void **state) {
    (void)state;
    for (int i = 0; i < 8; i++) { /* at home on this shard and on that, as their names fall */
        char id[16], filter[32];
        (void)snprintf(id, sizeof id, "m/%d", i);
        (void)snprintf(filter, sizeof filter, "$share/g%d/t/1", i); /* the last member of each */
        porch_conn *c = dial(id, 3600);
        (void)next(c, PORCH_MQTT_CONNACK);
        subscribe(c, filter);
        (void)next(c, PORCH_MQTT_SUBACK);
    }
}

static int begin(void **state) {
    (void)state;
    bed_reset("room");
    bed_start(2, true);
    return 0;
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(a_session_outlives_that_its_client_comes_while_the_store_is_behind,
                                        begin, bed_end),
        cmocka_unit_test_setup_teardown(a_subscribe_that_had_to_wait_is_answered_and_replayed_once, begin,
                                        bed_end),
        cmocka_unit_test_setup_teardown(what_is_not_retained_waits_for_what_is, begin, bed_end),
        cmocka_unit_test_setup_teardown(members_of_shared_subscriptions_stay_members_when_the_hub_stops,
                                        begin, bed_end),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
