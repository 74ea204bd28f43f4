#include "wire/mqtt_publish.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <string.h>

#include <cmocka.h>

#define COUNT(array) (sizeof(array) / sizeof((array)[0]))
#define BYTES(text)  ((porch_bytes){(const uint8_t *)(text), sizeof(text) - 1})
#define V3           PORCH_MQTT_V311
#define V5           PORCH_MQTT_V5

static void all_fields_of_a_publish_are_views_into_the_input(void **state) {
    (void)state;
    porch_bytes body = BYTES("\0\5d/a/b\0\x0a\5\2\0\0\0\x3chello");
    porch_mqtt_frame f = {PORCH_MQTT_PUBLISH, 0x0b, body, body.len + 2};
    porch_mqtt_publish p;
    assert_int_equal(porch_mqtt_publish_read(&f, V5, PORCH_MQTT_FROM_CLIENT, NULL, &p), PORCH_OK);
    assert_true(p.dup && p.retain && p.qos == 1 && p.packet_id == 10);
    assert_true(porch_bytes_eq_text(p.topic.text, "d/a/b") && p.topic.text.at == body.at + 2);
    assert_true(porch_bytes_eq_text(p.payload, "hello") && p.payload.at == body.at + body.len - 5);
    assert_int_equal(porch_mqtt_property_number(&p.properties, PORCH_MQTT_PROP_MESSAGE_EXPIRY, 0), 60);
}

static void each_broken_publish_has_its_reason(void **state) {
    (void)state;
    const struct {
        porch_mqtt_version version;
        uint8_t flags;
        porch_bytes body;
        uint8_t reason;
    } rows[] = {
        {V3, 0x06, BYTES("\0\1a\0\1"), PORCH_MQTT_RC_MALFORMED_PACKET}, /* QoS 3 */
        {V3, 0x08, BYTES("\0\1a"), PORCH_MQTT_RC_MALFORMED_PACKET},     /* DUP with QoS 0 */
        {V3, 0x00, BYTES("\0\0hi"), PORCH_MQTT_RC_PROTOCOL_ERROR},      /* no topic */
        {V5, 0x00, BYTES("\0\0\0hi"), PORCH_MQTT_RC_PROTOCOL_ERROR},    /* neither topic nor alias */
        {V3, 0x00, BYTES("\0\1"), PORCH_MQTT_RC_MALFORMED_PACKET},      /* cut short */
        {V3, 0x00, BYTES(""), PORCH_MQTT_RC_MALFORMED_PACKET},
        {V3, 0x00, BYTES("\0\3a/+"), PORCH_MQTT_RC_TOPIC_NAME_INVALID},
        {V3, 0x00, BYTES("\0\1#"), PORCH_MQTT_RC_TOPIC_NAME_INVALID},
        {V3, 0x00, BYTES("\0\2#\xff"), PORCH_MQTT_RC_MALFORMED_PACKET},
        {V3, 0x00, BYTES("\0\2a\0"), PORCH_MQTT_RC_MALFORMED_PACKET},
        {V3, 0x00, BYTES("\0\3\xed\xa0\x80"), PORCH_MQTT_RC_MALFORMED_PACKET}, /* a surrogate */
        {V3, 0x02, BYTES("\0\1a"), PORCH_MQTT_RC_MALFORMED_PACKET},            /* no packet identifier */
        {V3, 0x02, BYTES("\0\1a\0\0"), PORCH_MQTT_RC_PROTOCOL_ERROR},          /* packet identifier 0 */
        {V5, 0x00, BYTES("\0\1a"), PORCH_MQTT_RC_MALFORMED_PACKET},            /* no property length */
        {V5, 0x00, BYTES("\0\1a\2\x11\0"), PORCH_MQTT_RC_MALFORMED_PACKET},    /* not its property */
        {V5, 0x00, BYTES("\0\1a\3\x23\0\0"), PORCH_MQTT_RC_TOPIC_ALIAS_INVALID},
        {V5, 0x00, BYTES("\0\1a\2\x0b\1"),
         PORCH_MQTT_RC_PROTOCOL_ERROR}, /* subscription identifier from a client */
    };
    for (size_t i = 0; i < COUNT(rows); i++) {
        porch_mqtt_frame f = {PORCH_MQTT_PUBLISH, rows[i].flags, rows[i].body, rows[i].body.len + 2};
        porch_mqtt_publish p = {.packet_id = 77};
        porch_mqtt_fault fault = {0, NULL};
        assert_int_equal(porch_mqtt_publish_read(&f, rows[i].version, PORCH_MQTT_FROM_CLIENT, &fault, &p),
                         PORCH_ERR_MALFORMED);
        if (fault.reason != rows[i].reason) fail_msg("row %zu: 0x%02x, %s", i, fault.reason, fault.what);
        assert_int_equal(p.packet_id, 77);
    }
}

static void head_and_payload_make_the_same_bytes_as_the_whole(void **state) {
    (void)state;
    uint8_t payload[300] = {1}, whole[400], parts[400];
    porch_mqtt_publish p = {
        .topic = {PORCH_LIT("a/b")}, .payload = {payload, sizeof payload}, .packet_id = 5, .qos = 1};
    for (int v = 0; v < 2; v++) {
        porch_mqtt_version version = v == 0 ? V3 : V5;
        porch_buf a = PORCH_BUF_OF(whole), b = PORCH_BUF_OF(parts);
        assert_int_equal(porch_mqtt_publish_write(&a, version, &p), PORCH_OK);
        assert_int_equal(porch_mqtt_publish_write_head(&b, version, &p), PORCH_OK);
        assert_int_equal(b.len + sizeof payload, a.len);
        assert_int_equal(porch_write_bytes(&b, p.payload), PORCH_OK);
        assert_memory_equal(whole, parts, a.len);
        assert_int_equal(porch_mqtt_publish_bytes(version, &p), a.len);
    }
}

static void a_publish_that_no_peer_would_take_is_not_written(void **state) {
    (void)state;
    uint8_t out[64];
    porch_buf b = PORCH_BUF_OF(out);
    const porch_mqtt_publish bad[] = {
        {.topic = {PORCH_LIT("")}},
        {.topic = {PORCH_LIT("a/#")}},
        {.topic = {PORCH_LIT("a")}, .qos = 3, .packet_id = 1},
        {.topic = {PORCH_LIT("a")}, .qos = 1},
        {.topic = {PORCH_LIT("a")}, .packet_id = 1},
        {.topic = {PORCH_LIT("a")}, .dup = true},
        {.topic = {PORCH_LIT("a")}, .properties = {PORCH_LIT("\x11\0\0\0\1"), 0}},
    };
    for (size_t i = 0; i < COUNT(bad); i++) {
        assert_int_equal(porch_mqtt_publish_write(&b, V5, &bad[i]), PORCH_ERR_MALFORMED);
        assert_int_equal(b.len, 0);
    }
}

static void each_broken_acknowledgement_has_its_reason(void **state) {
    (void)state;
    const struct {
        porch_mqtt_type type;
        porch_mqtt_version version;
        porch_bytes body;
        uint8_t reason;
    } rows[] = {
        {PORCH_MQTT_PUBACK, V3, BYTES("\0"), PORCH_MQTT_RC_MALFORMED_PACKET},
        {PORCH_MQTT_PUBACK, V3, BYTES("\0\0"), PORCH_MQTT_RC_PROTOCOL_ERROR},
        {PORCH_MQTT_PUBACK, V3, BYTES("\0\1\0"), PORCH_MQTT_RC_MALFORMED_PACKET},
        {PORCH_MQTT_PUBACK, V5, BYTES("\0\1\x92"), PORCH_MQTT_RC_PROTOCOL_ERROR}, /* PUBREL's code */
        {PORCH_MQTT_PUBREL, V5, BYTES("\0\1\x87"), PORCH_MQTT_RC_PROTOCOL_ERROR},
        {PORCH_MQTT_PUBCOMP, V5, BYTES("\0\1\0\1"), PORCH_MQTT_RC_MALFORMED_PACKET},
        {PORCH_MQTT_PUBREC, V5, BYTES("\0\1\0\2\x23\0"), PORCH_MQTT_RC_MALFORMED_PACKET},
        {PORCH_MQTT_PUBREC, V5, BYTES("\0\1\0\0\0"), PORCH_MQTT_RC_MALFORMED_PACKET},
    };
    for (size_t i = 0; i < COUNT(rows); i++) {
        porch_mqtt_frame f = {rows[i].type, 0, rows[i].body, rows[i].body.len + 2};
        porch_mqtt_ack a;
        porch_mqtt_fault fault = {0, NULL};
        assert_int_equal(porch_mqtt_ack_read(&f, rows[i].version, &fault, &a), PORCH_ERR_MALFORMED);
        if (fault.reason != rows[i].reason) fail_msg("row %zu: 0x%02x, %s", i, fault.reason, fault.what);
    }
}

static void an_acknowledgement_takes_its_shortest_form(void **state) {
    (void)state;
    uint8_t out[16];
    porch_buf b = PORCH_BUF_OF(out);
    porch_mqtt_frame long_form = {PORCH_MQTT_PUBACK, 0, BYTES("\0\1\0\0"), 6};
    porch_mqtt_ack a;
    assert_int_equal(porch_mqtt_ack_read(&long_form, V5, NULL, &a), PORCH_OK);
    assert_int_equal(porch_mqtt_ack_write(&b, V5, &a), PORCH_OK);
    assert_int_equal(b.len, 4);
    assert_memory_equal(out, "\x40\2\0\1", 4);
    a.reason = PORCH_MQTT_RC_NOT_AUTHORIZED;
    b.len = 0;
    assert_int_equal(porch_mqtt_ack_write(&b, V3, &a), PORCH_OK); /* 3.1.1 cannot say it */
    assert_memory_equal(out, "\x40\2\0\1", 4);
    a.packet_id = 0;
    assert_int_equal(porch_mqtt_ack_write(&b, V5, &a), PORCH_ERR_MALFORMED);
    a = (porch_mqtt_ack){.type = PORCH_MQTT_SUBACK, .packet_id = 1};
    assert_int_equal(porch_mqtt_ack_write(&b, V5, &a), PORCH_ERR_MALFORMED);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(all_fields_of_a_publish_are_views_into_the_input),
        cmocka_unit_test(each_broken_publish_has_its_reason),
        cmocka_unit_test(head_and_payload_make_the_same_bytes_as_the_whole),
        cmocka_unit_test(a_publish_that_no_peer_would_take_is_not_written),
        cmocka_unit_test(each_broken_acknowledgement_has_its_reason),
        cmocka_unit_test(an_acknowledgement_takes_its_shortest_form),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
