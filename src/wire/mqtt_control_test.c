#include "wire/mqtt_control.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <string.h>

#include <cmocka.h>

#define BYTES(text) ((porch_bytes){(const uint8_t *)(text), sizeof(text) - 1})

static porch_mqtt_frame frame_of(porch_mqtt_type type, porch_bytes body) {
    return (porch_mqtt_frame){type, 0, body, body.len + 2};
}

static void a_ping_with_a_body_is_refused(void **state) {
    (void)state;
    porch_mqtt_fault fault;
    porch_mqtt_frame f = frame_of(PORCH_MQTT_PINGREQ, BYTES("x"));
    assert_int_equal(porch_mqtt_ping_read(&f, &fault), PORCH_ERR_MALFORMED);
    assert_int_equal(fault.reason, PORCH_MQTT_RC_MALFORMED_PACKET);
    f.body = BYTES("");
    assert_int_equal(porch_mqtt_ping_read(&f, &fault), PORCH_OK);
}

static void disconnect_says_only_what_its_sender_may(void **state) {
    (void)state;
    porch_mqtt_disconnect d;
    porch_mqtt_fault fault;
    porch_mqtt_frame expiry = frame_of(PORCH_MQTT_DISCONNECT, BYTES("\0\5\x11\0\0\0\1"));
    porch_mqtt_frame moved = frame_of(PORCH_MQTT_DISCONNECT, BYTES("\x9d\4\x1c\0\1h"));
    assert_int_equal(porch_mqtt_disconnect_read(&expiry, PORCH_MQTT_V5, PORCH_MQTT_FROM_CLIENT, &fault, &d),
                     PORCH_OK);
    assert_int_equal(porch_mqtt_property_number(&d.properties, PORCH_MQTT_PROP_SESSION_EXPIRY, 0), 1);
    assert_int_equal(porch_mqtt_disconnect_read(&expiry, PORCH_MQTT_V5, PORCH_MQTT_FROM_SERVER, &fault, &d),
                     PORCH_ERR_MALFORMED);
    assert_int_equal(fault.reason, PORCH_MQTT_RC_PROTOCOL_ERROR);
    assert_int_equal(porch_mqtt_disconnect_read(&moved, PORCH_MQTT_V5, PORCH_MQTT_FROM_SERVER, &fault, &d),
                     PORCH_OK);
    assert_int_equal(d.reason, PORCH_MQTT_RC_SERVER_MOVED);
    assert_int_equal(porch_mqtt_disconnect_read(&moved, PORCH_MQTT_V5, PORCH_MQTT_FROM_CLIENT, &fault, &d),
                     PORCH_ERR_MALFORMED);
    porch_mqtt_frame full = frame_of(PORCH_MQTT_DISCONNECT, BYTES("\0"));
    assert_int_equal(porch_mqtt_disconnect_read(&full, PORCH_MQTT_V311, PORCH_MQTT_FROM_CLIENT, &fault, &d),
                     PORCH_ERR_MALFORMED);
    porch_mqtt_frame foreign = frame_of(PORCH_MQTT_DISCONNECT, BYTES("\x85"));
    assert_int_equal(
        porch_mqtt_disconnect_read(&foreign, PORCH_MQTT_V5, PORCH_MQTT_FROM_CLIENT, &fault, &d),
        PORCH_ERR_MALFORMED);
    assert_int_equal(fault.reason, PORCH_MQTT_RC_PROTOCOL_ERROR);
}

static void a_disconnect_of_3_1_1_is_empty_whatever_the_reason(void **state) {
    (void)state;
    uint8_t out[8];
    porch_buf b = PORCH_BUF_OF(out);
    porch_mqtt_disconnect d = {.reason = PORCH_MQTT_RC_SERVER_BUSY};
    assert_int_equal(porch_mqtt_disconnect_write(&b, PORCH_MQTT_V311, &d), PORCH_OK);
    assert_int_equal(b.len, 2);
    d.reason = PORCH_MQTT_RC_BANNED; /* CONNACK's */
    assert_int_equal(porch_mqtt_disconnect_write(&b, PORCH_MQTT_V5, &d), PORCH_ERR_MALFORMED);
    assert_int_equal(b.len, 2);
}

static void auth_names_its_method(void **state) {
    (void)state;
    porch_mqtt_auth a;
    porch_mqtt_fault fault;
    porch_mqtt_frame f = frame_of(PORCH_MQTT_AUTH, BYTES("\x18"));
    assert_int_equal(porch_mqtt_auth_read(&f, &fault, &a), PORCH_ERR_MALFORMED);
    assert_int_equal(fault.reason, PORCH_MQTT_RC_PROTOCOL_ERROR);
    f.body = BYTES("\x18\4\x16\0\1d");
    assert_int_equal(porch_mqtt_auth_read(&f, &fault, &a), PORCH_ERR_MALFORMED);
    f.body = BYTES("\x18\4\x15\0\1m");
    assert_int_equal(porch_mqtt_auth_read(&f, &fault, &a), PORCH_OK);
    assert_true(
        porch_bytes_eq_text(porch_mqtt_property_text(&a.properties, PORCH_MQTT_PROP_AUTH_METHOD), "m"));
    f.body = BYTES("\x01");
    assert_int_equal(porch_mqtt_auth_read(&f, &fault, &a), PORCH_ERR_MALFORMED);
    uint8_t out[8];
    porch_buf b = PORCH_BUF_OF(out);
    assert_int_equal(porch_mqtt_auth_write(&b, &(porch_mqtt_auth){.reason = 0x19}), PORCH_ERR_MALFORMED);
    assert_int_equal(b.len, 0);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_ping_with_a_body_is_refused),
        cmocka_unit_test(disconnect_says_only_what_its_sender_may),
        cmocka_unit_test(a_disconnect_of_3_1_1_is_empty_whatever_the_reason),
        cmocka_unit_test(auth_names_its_method),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
