#include "wire/mqtt_connect.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <string.h>

#include <cmocka.h>

#define COUNT(array) (sizeof(array) / sizeof((array)[0]))
#define BYTES(text)  ((porch_bytes){(const uint8_t *)(text), sizeof(text) - 1})

static porch_mqtt_frame frame_of(porch_mqtt_type type, porch_bytes body) {
    return (porch_mqtt_frame){type, 0, body, body.len + 2};
}

static void all_fields_of_a_connect_are_found(void **state) {
    (void)state;
    porch_mqtt_frame f = frame_of(
        PORCH_MQTT_CONNECT, BYTES("\0\4MQTT\5\xee\1\x2c\5\x11\0\0\0\x0a\0\5cam-1\5\x18\0\0\0\7\0\1w\0\2hi"
                                  "\0\1u\0\3pw!"));
    porch_mqtt_connect c;
    assert_int_equal(porch_mqtt_connect_read(&f, NULL, &c), PORCH_OK);
    assert_int_equal(c.version, PORCH_MQTT_V5);
    assert_true(c.clean_start && c.has_will && c.has_username && c.has_password);
    assert_int_equal(c.keep_alive_s, 300);
    assert_true(porch_bytes_eq_text(c.client_id, "cam-1"));
    assert_true(porch_bytes_eq_text(c.will.topic.text, "w"));
    assert_true(porch_bytes_eq_text(c.will.payload, "hi"));
    assert_int_equal(c.will.qos, 1);
    assert_true(c.will.retain);
    assert_int_equal(porch_mqtt_property_number(&c.will.properties, PORCH_MQTT_PROP_WILL_DELAY, 0), 7);
    assert_int_equal(porch_mqtt_property_number(&c.properties, PORCH_MQTT_PROP_SESSION_EXPIRY, 0), 10);
    assert_true(porch_bytes_eq_text(c.username, "u"));
    assert_true(porch_bytes_eq_text(c.password, "pw!"));
}

static void each_broken_connect_has_its_reason(void **state) {
    (void)state;
    const struct {
        porch_bytes body;
        porch_err error;
        uint8_t reason;
    } rows[] = {
        {BYTES("\0\4MQTT\3\2\0\0\0\0"), PORCH_ERR_UNSUPPORTED, PORCH_MQTT_RC_UNSUPPORTED_VERSION},
        {BYTES("\0\4MQTT\6\2\0\0\0\0"), PORCH_ERR_UNSUPPORTED, PORCH_MQTT_RC_UNSUPPORTED_VERSION},
        {BYTES("\0\6MQIsdp\4\2\0\0\0\0"), PORCH_ERR_UNSUPPORTED, PORCH_MQTT_RC_UNSUPPORTED_VERSION},
        {BYTES("\0\4mqtt\4\2\0\0\0\0"), PORCH_ERR_UNSUPPORTED, PORCH_MQTT_RC_UNSUPPORTED_VERSION},
        {BYTES("\0\4MQTT\4\3\0\0\0\0"), PORCH_ERR_MALFORMED,
         PORCH_MQTT_RC_MALFORMED_PACKET}, /* reserved flag */
        {BYTES("\0\4MQTT\4\x1e\0\0\0\0\0\1w\0\0"), PORCH_ERR_MALFORMED,
         PORCH_MQTT_RC_MALFORMED_PACKET}, /* will QoS 3 */
        {BYTES("\0\4MQTT\4\x0a\0\0\0\0"), PORCH_ERR_MALFORMED,
         PORCH_MQTT_RC_MALFORMED_PACKET}, /* QoS, no will */
        {BYTES("\0\4MQTT\4\x22\0\0\0\0"), PORCH_ERR_MALFORMED,
         PORCH_MQTT_RC_MALFORMED_PACKET}, /* retain, no will */
        {BYTES("\0\4MQTT\4\x42\0\0\0\0\0\1p"), PORCH_ERR_MALFORMED,
         PORCH_MQTT_RC_MALFORMED_PACKET}, /* no user */
        {BYTES("\0\4MQTT\4\0\0\0\0\0"), PORCH_ERR_MALFORMED, PORCH_MQTT_RC_CLIENT_ID_INVALID},
        {BYTES("\0\4MQTT\4\2\0\0\0\1\xff"), PORCH_ERR_MALFORMED, PORCH_MQTT_RC_MALFORMED_PACKET},
        {BYTES("\0\4MQTT\4\2\0\0\0\1\0"), PORCH_ERR_MALFORMED, PORCH_MQTT_RC_MALFORMED_PACKET},
        {BYTES("\0\4MQTT\4\6\0\0\0\0\0\1#\0\0"), PORCH_ERR_MALFORMED, PORCH_MQTT_RC_TOPIC_NAME_INVALID},
        {BYTES("\0\4MQTT\4\6\0\0\0\0\0\0\0\0"), PORCH_ERR_MALFORMED, PORCH_MQTT_RC_TOPIC_NAME_INVALID},
        {BYTES("\0\4MQTT\4\x82\0\0\0\0\0\1\xc3"), PORCH_ERR_MALFORMED, PORCH_MQTT_RC_MALFORMED_PACKET},
        {BYTES("\0\4MQTT\4\2\0\0\0\0\0"), PORCH_ERR_MALFORMED,
         PORCH_MQTT_RC_MALFORMED_PACKET}, /* left over */
        {BYTES("\0\4MQTT\5\2\0\0\6\x21\0\1\x21\0\1\0\0"), PORCH_ERR_MALFORMED,
         PORCH_MQTT_RC_PROTOCOL_ERROR}, /* twice */
        {BYTES("\0\4MQTT\5\2\0\0\2\1\0\0\0"), PORCH_ERR_MALFORMED,
         PORCH_MQTT_RC_MALFORMED_PACKET}, /* a will's */
    };
    for (size_t i = 0; i < COUNT(rows); i++) {
        porch_mqtt_frame f = frame_of(PORCH_MQTT_CONNECT, rows[i].body);
        porch_mqtt_connect c = {.keep_alive_s = 77};
        porch_mqtt_fault fault = {0, NULL};
        assert_int_equal(porch_mqtt_connect_read(&f, &fault, &c), rows[i].error);
        if (fault.reason != rows[i].reason) fail_msg("row %zu: 0x%02x, %s", i, fault.reason, fault.what);
        assert_int_equal(c.keep_alive_s, 77);
    }
}

static void a_refusal_is_answered_in_the_version_that_was_asked_for(void **state) {
    (void)state;
    porch_mqtt_frame f = frame_of(PORCH_MQTT_CONNECT, BYTES("\0\4MQTT\4"));
    assert_int_equal(porch_mqtt_connect_version(&f), PORCH_MQTT_V311);
    f.body = BYTES("\0\4MQTT\5");
    assert_int_equal(porch_mqtt_connect_version(&f), PORCH_MQTT_V5);
    f.body = BYTES("\0\4MQTT\x09");
    assert_int_equal(porch_mqtt_connect_version(&f), PORCH_MQTT_V5);
    f.body = BYTES("\0\4MQTT");
    assert_int_equal(porch_mqtt_connect_version(&f), PORCH_MQTT_V311);
}

static void a_connect_that_no_peer_would_take_is_not_written(void **state) {
    (void)state;
    uint8_t out[64];
    porch_buf b = PORCH_BUF_OF(out);
    const porch_mqtt_connect bad[] = {
        {.version = (porch_mqtt_version)3, .clean_start = true},
        {.version = PORCH_MQTT_V311},
        {.version = PORCH_MQTT_V311, .clean_start = true, .has_password = true},
        {.version = PORCH_MQTT_V5, .client_id = PORCH_LIT("\xff")},
        {.version = PORCH_MQTT_V5, .has_will = true, .will = {.topic = {PORCH_LIT("#")}}},
        {.version = PORCH_MQTT_V5, .has_will = true, .will = {.topic = {PORCH_LIT("w")}, .qos = 3}},
    };
    for (size_t i = 0; i < COUNT(bad); i++) {
        assert_int_not_equal(porch_mqtt_connect_write(&b, &bad[i]), PORCH_OK);
        assert_int_equal(b.len, 0);
    }
}

static void connack_speaks_both_versions(void **state) {
    (void)state;
    uint8_t out[16];
    porch_buf b = PORCH_BUF_OF(out);
    porch_mqtt_connack a = {.reason = PORCH_MQTT_RC_NOT_AUTHORIZED};
    assert_int_equal(porch_mqtt_connack_write(&b, PORCH_MQTT_V311, &a), PORCH_OK);
    assert_memory_equal(out, "\x20\2\0\5", 4);
    a.reason = PORCH_MQTT_RC_MALFORMED_PACKET;
    assert_int_equal(porch_mqtt_connack_write(&b, PORCH_MQTT_V311, &a), PORCH_ERR_UNSUPPORTED);
    assert_int_equal(b.len, 4);
    a.session_present = true;
    assert_int_equal(porch_mqtt_connack_write(&b, PORCH_MQTT_V5, &a), PORCH_ERR_MALFORMED);
    a = (porch_mqtt_connack){.reason = PORCH_MQTT_RC_SESSION_TAKEN_OVER};
    assert_int_equal(porch_mqtt_connack_write(&b, PORCH_MQTT_V5, &a), PORCH_ERR_MALFORMED);
    assert_int_equal(b.len, 4);
}

static void each_broken_connack_has_its_reason(void **state) {
    (void)state;
    const struct {
        porch_mqtt_version version;
        porch_bytes body;
        uint8_t reason;
    } rows[] = {
        {PORCH_MQTT_V311, BYTES("\2\0"), PORCH_MQTT_RC_MALFORMED_PACKET},
        {PORCH_MQTT_V311, BYTES("\0\6"), PORCH_MQTT_RC_MALFORMED_PACKET},
        {PORCH_MQTT_V311, BYTES("\0\0\0"), PORCH_MQTT_RC_MALFORMED_PACKET},
        {PORCH_MQTT_V311, BYTES("\1\5"), PORCH_MQTT_RC_PROTOCOL_ERROR},
        {PORCH_MQTT_V5, BYTES("\0\0"), PORCH_MQTT_RC_MALFORMED_PACKET},
        {PORCH_MQTT_V5, BYTES("\0\x8e\0"), PORCH_MQTT_RC_PROTOCOL_ERROR},
        {PORCH_MQTT_V5, BYTES("\1\x87\0"), PORCH_MQTT_RC_PROTOCOL_ERROR},
        {PORCH_MQTT_V5, BYTES("\0\0\2\x17\0"), PORCH_MQTT_RC_MALFORMED_PACKET},
    };
    for (size_t i = 0; i < COUNT(rows); i++) {
        porch_mqtt_frame f = frame_of(PORCH_MQTT_CONNACK, rows[i].body);
        porch_mqtt_connack a;
        porch_mqtt_fault fault = {0, NULL};
        assert_int_equal(porch_mqtt_connack_read(&f, rows[i].version, &fault, &a), PORCH_ERR_MALFORMED);
        assert_int_equal(fault.reason, rows[i].reason);
    }
}

static void the_older_name_is_3_1_1_and_is_written_as_it_was(void **state) {
    (void)state;
    static const uint8_t body[] = "\0\6MQIsdp\3\2\0\074\0\3cam";
    porch_mqtt_frame frame = {PORCH_MQTT_CONNECT, 0, {body, sizeof body - 1}, sizeof body + 1};
    porch_mqtt_connect c;
    assert_int_equal(porch_mqtt_connect_read(&frame, NULL, &c), PORCH_OK);
    assert_int_equal(c.version, PORCH_MQTT_V311);
    assert_true(c.named_31 && c.clean_start);
    assert_true(porch_bytes_eq_text(c.client_id, "cam"));
    assert_int_equal(porch_mqtt_connect_version(&frame), PORCH_MQTT_V311);
    uint8_t text[64];
    porch_buf b = PORCH_BUF_OF(text);
    assert_int_equal(porch_mqtt_connect_write(&b, &c), PORCH_OK);
    assert_int_equal(b.len, sizeof body + 1);
    assert_memory_equal(text + 2, body, sizeof body - 1);
    c.version = PORCH_MQTT_V5;
    assert_int_equal(porch_mqtt_connect_write(&b, &c), PORCH_ERR_UNSUPPORTED);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(the_older_name_is_3_1_1_and_is_written_as_it_was),
        cmocka_unit_test(all_fields_of_a_connect_are_found),
        cmocka_unit_test(each_broken_connect_has_its_reason),
        cmocka_unit_test(a_refusal_is_answered_in_the_version_that_was_asked_for),
        cmocka_unit_test(a_connect_that_no_peer_would_take_is_not_written),
        cmocka_unit_test(connack_speaks_both_versions),
        cmocka_unit_test(each_broken_connack_has_its_reason),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
