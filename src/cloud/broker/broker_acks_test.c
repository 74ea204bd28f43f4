/* In which order acknowledgements leave, and that one read's leave together. */
#include "cloud/broker/brokerbed.h"
#include "cloud/broker/room.h"

#include <cmocka.h>

enum { MOST = 8 }; /* broker.receive_maximum */

static porch_conn *connected(porch_mqtt_version version) {
    uint8_t text[128];
    porch_buf b = PORCH_BUF_OF(text);
    porch_mqtt_connect hello = {.version = version, .clean_start = true, .client_id = PORCH_LIT("m/1")};
    assert_int_equal(porch_mqtt_connect_write(&b, &hello), PORCH_OK);
    porch_conn *c = bed_dial(PORCH_IDENTITY_SERVICE, "m");
    bed_send(c, porch_buf_bytes(&b));
    bed_work();
    assert_int_equal(c->out[0], PORCH_MQTT_CONNACK << 4);
    bed_read(c, c->out_len);
    return c;
}

static void publish(porch_buf *b, porch_mqtt_version version, uint8_t qos, uint16_t id) {
    porch_mqtt_publish packet = {
        .topic = {PORCH_LIT("t/1")}, .payload = PORCH_LIT("x"), .qos = qos, .packet_id = id};
    assert_int_equal(porch_mqtt_publish_write(b, version, &packet), PORCH_OK);
}

static void put(porch_buf *b, const char *raw, size_t len) {
    assert_int_equal(porch_write_bytes(b, (porch_bytes){(const uint8_t *)raw, len}), PORCH_OK);
}

/* The next packet's type; 0: none. */
static uint8_t next(porch_conn *c, uint16_t *id) {
    porch_mqtt_frame f;
    if (porch_mqtt_frame_read((porch_bytes){c->out, c->out_len}, 1 << 20, NULL, &f) != PORCH_OK) return 0;
    *id = 0;
    if (f.body.len >= 2) *id = (uint16_t)(f.body.at[0] << 8 | f.body.at[1]);
    uint8_t type = (uint8_t)f.type;
    bed_read(c, f.bytes);
    return type;
}

static void acknowledgements_stand_before_what_was_answered_later(void **state) {
    (void)state;
    uint8_t text[1024];
    porch_buf b = PORCH_BUF_OF(text);
    porch_conn *c = connected(PORCH_MQTT_V5);
    publish(&b, PORCH_MQTT_V5, 1, 1);
    publish(&b, PORCH_MQTT_V5, 2, 2);
    put(&b, "\xc0\0", 2); /* PINGREQ */
    publish(&b, PORCH_MQTT_V5, 1, 3);
    put(&b, "\x62\2\0\2", 4); /* PUBREL of 2 */
    publish(&b, PORCH_MQTT_V5, 1, 4);
    put(&b, "\xf9\0", 2); /* no packet at all */
    bed_send(c, porch_buf_bytes(&b));
    bed_work();
    static const struct {
        uint8_t type;
        uint16_t id;
    } expected[] = {{PORCH_MQTT_PUBACK, 1}, {PORCH_MQTT_PUBREC, 2},  {PORCH_MQTT_PINGRESP, 0},
                    {PORCH_MQTT_PUBACK, 3}, {PORCH_MQTT_PUBCOMP, 2}, {PORCH_MQTT_PUBACK, 4}};
    uint16_t id;
    for (size_t i = 0; i < sizeof expected / sizeof *expected; i++) {
        assert_int_equal(next(c, &id), expected[i].type);
        assert_int_equal(id, expected[i].id);
    }
    assert_int_equal(next(c, &id), PORCH_MQTT_DISCONNECT);
    assert_int_equal(c->out_len, 0);
}

/* Far more in one read than may be unacknowledged: each is, as soon as it was routed. */
static void one_read_may_bring_more_than_may_be_unacknowledged(void **state) {
    static const porch_mqtt_version versions[] = {PORCH_MQTT_V5, PORCH_MQTT_V311};
    (void)state;
    for (size_t v = 0; v < 2; v++) {
        static uint8_t text[8192];
        porch_buf b = PORCH_BUF_OF(text);
        porch_conn *c = connected(versions[v]);
        for (int i = 1; i <= MOST * 10; i++)
            publish(&b, versions[v], 1, (uint16_t)i);
        for (int i = 1; i <= MOST * 10; i++) {
            publish(&b, versions[v], 2, (uint16_t)i);
            const char release[] = {0x62, 2, 0, (char)i};
            put(&b, release, 4);
        }
        bed_send(c, porch_buf_bytes(&b));
        uint64_t agains = bed.agains;
        bed_work();
        uint16_t id;
        for (int i = 1; i <= MOST * 10; i++) {
            assert_int_equal(next(c, &id), PORCH_MQTT_PUBACK);
            assert_int_equal(id, i);
        }
        for (int i = 1; i <= MOST * 10; i++) {
            assert_int_equal(next(c, &id), PORCH_MQTT_PUBREC);
            assert_int_equal(next(c, &id), PORCH_MQTT_PUBCOMP);
            assert_int_equal(id, i);
        }
        assert_true(c->out_len == 0 && !c->told && bed.agains == agains);
        bed_hang_up(c);
    }
}

static int begin(void **state) {
    (void)state;
    bed_reset("acks");
    bed.settings.broker_receive_maximum = MOST;
    bed_start(1, false);
    return 0;
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(acknowledgements_stand_before_what_was_answered_later, begin,
                                        bed_end),
        cmocka_unit_test_setup_teardown(one_read_may_bring_more_than_may_be_unacknowledged, begin, bed_end),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
