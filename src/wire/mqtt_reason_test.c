#include "wire/mqtt_reason.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <string.h>

#include <cmocka.h>

#define COUNT(array) (sizeof(array) / sizeof((array)[0]))

/* The tables of sections 3.x.2.1 of the standard, as lists of values a packet. */
static const struct {
    porch_mqtt_type type;
    const char *codes;
    size_t count;
} standard[] = {
    {PORCH_MQTT_CONNACK,
     "\x00\x80\x81\x82\x83\x84\x85\x86\x87\x88\x89\x8a\x8c\x90\x95\x97\x99\x9a\x9b\x9c\x9d\x9f", 22},
    {PORCH_MQTT_PUBACK, "\x00\x10\x80\x83\x87\x90\x91\x97\x99", 9},
    {PORCH_MQTT_PUBREC, "\x00\x10\x80\x83\x87\x90\x91\x97\x99", 9},
    {PORCH_MQTT_PUBREL, "\x00\x92", 2},
    {PORCH_MQTT_PUBCOMP, "\x00\x92", 2},
    {PORCH_MQTT_SUBACK, "\x00\x01\x02\x80\x83\x87\x8f\x91\x97\x9e\xa1\xa2", 12},
    {PORCH_MQTT_UNSUBACK, "\x00\x11\x80\x83\x87\x8f\x91", 7},
    {PORCH_MQTT_DISCONNECT,
     "\x00\x04\x80\x81\x82\x83\x87\x89\x8b\x8c\x8d\x8e\x8f\x90\x93\x94\x95\x96\x97\x98\x99\x9a\x9b\x9c\x9d"
     "\x9e\x9f\xa0"
     "\xa1\xa2",
     30},
    {PORCH_MQTT_AUTH, "\x00\x18\x19", 3},
    {PORCH_MQTT_CONNECT, "", 0},
    {PORCH_MQTT_PUBLISH, "", 0},
    {PORCH_MQTT_SUBSCRIBE, "", 0},
    {PORCH_MQTT_UNSUBSCRIBE, "", 0},
    {PORCH_MQTT_PINGREQ, "", 0},
    {PORCH_MQTT_PINGRESP, "", 0},
};

static void every_code_is_allowed_exactly_where_the_standard_says(void **state) {
    (void)state;
    /* 0x8c in DISCONNECT is the one place where this list is wider than table 3-13: table 2-6 allows it
     * there. */
    for (size_t i = 0; i < COUNT(standard); i++) {
        for (unsigned code = 0; code < 256; code++) {
            bool listed =
                standard[i].count > 0 && memchr(standard[i].codes, (int)code, standard[i].count) != NULL;
            if (porch_mqtt_reason_allowed(standard[i].type, (uint8_t)code) != listed)
                fail_msg("code 0x%02x in packet type %d", code, (int)standard[i].type);
        }
    }
}

static void every_code_has_a_sentence(void **state) {
    (void)state;
    for (unsigned code = 0; code < 256; code++) {
        bool known = false;
        for (int t = 1; t < PORCH_MQTT_TYPE_COUNT; t++)
            known = known || porch_mqtt_reason_allowed((porch_mqtt_type)t, (uint8_t)code);
        assert_int_equal(strcmp(porch_mqtt_reason_text((uint8_t)code), "unknown reason code") != 0, known);
    }
}

static void return_codes_of_3_1_1_translate_there_and_back(void **state) {
    (void)state;
    for (uint8_t code = 0; code <= 5; code++)
        assert_int_equal(porch_mqtt_connack_code_v311(porch_mqtt_connack_reason_of_v311(code)), code);
    assert_int_equal(porch_mqtt_connack_code_v311(PORCH_MQTT_RC_NOT_AUTHORIZED), 5);
    assert_int_equal(porch_mqtt_connack_code_v311(PORCH_MQTT_RC_SERVER_BUSY), 3);
    assert_int_equal(porch_mqtt_connack_code_v311(PORCH_MQTT_RC_MALFORMED_PACKET), 0xff);
    assert_int_equal(porch_mqtt_connack_reason_of_v311(6), PORCH_MQTT_RC_UNSPECIFIED_ERROR);
}

static void a_refusal_fills_the_fault_and_bears_having_none(void **state) {
    (void)state;
    porch_mqtt_fault fault = {0, NULL};
    assert_int_equal(porch_mqtt_refuse(&fault, PORCH_MQTT_RC_PROTOCOL_ERROR, "why"), PORCH_ERR_MALFORMED);
    assert_int_equal(fault.reason, 0x82);
    assert_string_equal(fault.what, "why");
    assert_int_equal(porch_mqtt_refuse(NULL, PORCH_MQTT_RC_PROTOCOL_ERROR, "why"), PORCH_ERR_MALFORMED);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(every_code_is_allowed_exactly_where_the_standard_says),
        cmocka_unit_test(every_code_has_a_sentence),
        cmocka_unit_test(return_codes_of_3_1_1_translate_there_and_back),
        cmocka_unit_test(a_refusal_fills_the_fault_and_bears_having_none),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
