#include "wire/mqtt_subscribe.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <string.h>

#include <cmocka.h>

#define COUNT(array) (sizeof(array) / sizeof((array)[0]))
#define BYTES(text)  ((porch_bytes){(const uint8_t *)(text), sizeof(text) - 1})
#define V3           PORCH_MQTT_V311
#define V5           PORCH_MQTT_V5

static void every_filter_of_a_subscribe_is_given_with_its_options(void **state) {
    (void)state;
    porch_bytes body = BYTES("\0\7\0\0\3d/+\x1d\0\x0a$share/g/a\2");
    porch_mqtt_frame f = {PORCH_MQTT_SUBSCRIBE, 2, body, body.len + 2};
    porch_mqtt_subscribe s;
    assert_int_equal(porch_mqtt_subscribe_read(&f, V5, NULL, &s), PORCH_OK);
    assert_int_equal(s.packet_id, 7);
    assert_int_equal(s.count, 2);
    porch_bytes rest = s.filters;
    porch_mqtt_subscription one;
    assert_true(porch_mqtt_subscription_next(&rest, V5, &one));
    assert_true(porch_bytes_eq_text(one.filter.text, "d/+") && one.share_group.len == 0);
    assert_true(one.qos == 1 && one.no_local && one.retain_as_published && one.retain_handling == 1);
    assert_true(porch_mqtt_subscription_next(&rest, V5, &one));
    assert_true(porch_bytes_eq_text(one.filter.text, "a") && porch_bytes_eq_text(one.share_group, "g"));
    assert_true(porch_bytes_eq_text(one.text, "$share/g/a"));
    assert_true(one.qos == 2 && !one.no_local && !one.retain_as_published && one.retain_handling == 0);
    assert_false(porch_mqtt_subscription_next(&rest, V5, &one));
}

static void each_broken_subscribe_has_its_reason(void **state) {
    (void)state;
    const struct {
        porch_mqtt_version version;
        porch_bytes body;
        uint8_t reason;
    } rows[] = {
        {V3, BYTES("\0\1"), PORCH_MQTT_RC_PROTOCOL_ERROR}, /* no filter */
        {V5, BYTES("\0\1\0"), PORCH_MQTT_RC_PROTOCOL_ERROR},
        {V3, BYTES("\0\0\0\1a\0"), PORCH_MQTT_RC_PROTOCOL_ERROR}, /* packet identifier 0 */
        {V3, BYTES("\0\1\0\1a"), PORCH_MQTT_RC_MALFORMED_PACKET}, /* no options */
        {V3, BYTES("\0\1\0\2a"), PORCH_MQTT_RC_MALFORMED_PACKET},
        {V3, BYTES("\0\1\0\1a\3"), PORCH_MQTT_RC_MALFORMED_PACKET},            /* QoS 3 */
        {V3, BYTES("\0\1\0\1a\4"), PORCH_MQTT_RC_MALFORMED_PACKET},            /* no local in 3.1.1 */
        {V5, BYTES("\0\1\0\0\1a\x40"), PORCH_MQTT_RC_MALFORMED_PACKET},        /* reserved option */
        {V5, BYTES("\0\1\0\0\1a\x30"), PORCH_MQTT_RC_PROTOCOL_ERROR},          /* retain handling 3 */
        {V5, BYTES("\0\1\0\0\x0a$share/g/a\4"), PORCH_MQTT_RC_PROTOCOL_ERROR}, /* no local, shared */
        {V3, BYTES("\0\1\0\0\0"), PORCH_MQTT_RC_TOPIC_FILTER_INVALID},         /* empty filter */
        {V3, BYTES("\0\1\0\2a#\0"), PORCH_MQTT_RC_TOPIC_FILTER_INVALID},
        {V3, BYTES("\0\1\0\1\xff\0"), PORCH_MQTT_RC_MALFORMED_PACKET},
        {V3, BYTES("\0\1\0\7$share/\0"), PORCH_MQTT_RC_TOPIC_FILTER_INVALID},
        {V3, BYTES("\0\1\0\x08$share/g\0"), PORCH_MQTT_RC_TOPIC_FILTER_INVALID},
        {V3, BYTES("\0\1\0\x09$share/g/\0"), PORCH_MQTT_RC_TOPIC_FILTER_INVALID},
        {V3, BYTES("\0\1\0\x09$share//a\0"), PORCH_MQTT_RC_TOPIC_FILTER_INVALID},
        {V3, BYTES("\0\1\0\x0a$share/+/a\0"), PORCH_MQTT_RC_TOPIC_FILTER_INVALID},
        {V5, BYTES("\0\1\4\x0b\1\x0b\2\0\1a\0"), PORCH_MQTT_RC_PROTOCOL_ERROR}, /* two identifiers */
        {V3, BYTES("\0\1\0\1a\0\0"), PORCH_MQTT_RC_MALFORMED_PACKET},           /* a second one cut short */
    };
    for (size_t i = 0; i < COUNT(rows); i++) {
        porch_mqtt_frame f = {PORCH_MQTT_SUBSCRIBE, 2, rows[i].body, rows[i].body.len + 2};
        porch_mqtt_subscribe s = {.count = 77};
        porch_mqtt_fault fault = {0, NULL};
        assert_int_equal(porch_mqtt_subscribe_read(&f, rows[i].version, &fault, &s), PORCH_ERR_MALFORMED);
        if (fault.reason != rows[i].reason) fail_msg("row %zu: 0x%02x, %s", i, fault.reason, fault.what);
        assert_int_equal(s.count, 77);
    }
}

static void filters_are_put_one_by_one_and_read_back(void **state) {
    (void)state;
    uint8_t list[64], out[96];
    porch_buf filters = PORCH_BUF_OF(list), b = PORCH_BUF_OF(out);
    porch_mqtt_subscription one = {
        .text = PORCH_LIT("a/#"), .qos = 1, .retain_handling = 2, .no_local = true};
    assert_int_equal(porch_mqtt_subscription_put(&filters, V5, &one), PORCH_OK);
    one = (porch_mqtt_subscription){.text = PORCH_LIT("$share/g/b"), .qos = 0};
    assert_int_equal(porch_mqtt_subscription_put(&filters, V5, &one), PORCH_OK);
    porch_mqtt_subscribe s = {.packet_id = 9, .filters = porch_buf_bytes(&filters)};
    assert_int_equal(porch_mqtt_subscribe_write(&b, V5, &s), PORCH_OK);
    porch_mqtt_frame f;
    assert_int_equal(porch_mqtt_frame_read(porch_buf_bytes(&b), 1000, NULL, &f), PORCH_OK);
    assert_int_equal(porch_mqtt_subscribe_read(&f, V5, NULL, &s), PORCH_OK);
    assert_int_equal(s.count, 2);

    const porch_mqtt_subscription bad[] = {
        {.text = PORCH_LIT("a#")},
        {.text = PORCH_LIT("a"), .qos = 3},
        {.text = PORCH_LIT("a"), .retain_handling = 3},
        {.text = PORCH_LIT("$share/g/a"), .no_local = true},
    };
    size_t before = filters.len;
    for (size_t i = 0; i < COUNT(bad); i++)
        assert_int_equal(porch_mqtt_subscription_put(&filters, V5, &bad[i]), PORCH_ERR_MALFORMED);
    assert_int_equal(filters.len, before);
    s.filters = (porch_bytes){NULL, 0};
    assert_int_equal(porch_mqtt_subscribe_write(&b, V5, &s), PORCH_ERR_MALFORMED);
}

static void unsubscribe_gives_the_texts_as_sent(void **state) {
    (void)state;
    uint8_t list[64], out[96];
    porch_buf filters = PORCH_BUF_OF(list), b = PORCH_BUF_OF(out);
    assert_int_equal(porch_mqtt_unsubscription_put(&filters, PORCH_LIT("a/+")), PORCH_OK);
    assert_int_equal(porch_mqtt_unsubscription_put(&filters, PORCH_LIT("$share/g/b")), PORCH_OK);
    assert_int_equal(porch_mqtt_unsubscription_put(&filters, PORCH_LIT("b+")), PORCH_ERR_MALFORMED);
    porch_mqtt_unsubscribe u = {.packet_id = 9, .filters = porch_buf_bytes(&filters)};
    assert_int_equal(porch_mqtt_unsubscribe_write(&b, V3, &u), PORCH_OK);
    porch_mqtt_frame f;
    assert_int_equal(porch_mqtt_frame_read(porch_buf_bytes(&b), 1000, NULL, &f), PORCH_OK);
    assert_int_equal(porch_mqtt_unsubscribe_read(&f, V3, NULL, &u), PORCH_OK);
    assert_int_equal(u.count, 2);
    porch_bytes rest = u.filters, text;
    assert_true(porch_mqtt_unsubscription_next(&rest, &text) && porch_bytes_eq_text(text, "a/+"));
    assert_true(porch_mqtt_unsubscription_next(&rest, &text) && porch_bytes_eq_text(text, "$share/g/b"));
    assert_false(porch_mqtt_unsubscription_next(&rest, &text));
    porch_mqtt_fault fault;
    f.body = BYTES("\0\1");
    assert_int_equal(porch_mqtt_unsubscribe_read(&f, V3, &fault, &u), PORCH_ERR_MALFORMED);
    assert_int_equal(fault.reason, PORCH_MQTT_RC_PROTOCOL_ERROR);
    f.body = BYTES("\0\1\0\2+a");
    assert_int_equal(porch_mqtt_unsubscribe_read(&f, V3, &fault, &u), PORCH_ERR_MALFORMED);
    assert_int_equal(fault.reason, PORCH_MQTT_RC_TOPIC_FILTER_INVALID);
}

static void refusals_become_0x80_on_3_1_1(void **state) {
    (void)state;
    uint8_t out[16];
    porch_buf b = PORCH_BUF_OF(out);
    porch_mqtt_suback s = {.type = PORCH_MQTT_SUBACK, .packet_id = 1, .reasons = BYTES("\1\x87\x9e")};
    assert_int_equal(porch_mqtt_suback_write(&b, V3, &s), PORCH_OK);
    assert_memory_equal(out, "\x90\5\0\1\1\x80\x80", 7);
    b.len = 0;
    s.type = PORCH_MQTT_UNSUBACK;
    s.reasons = BYTES("\0\x11");
    assert_int_equal(porch_mqtt_suback_write(&b, V3, &s), PORCH_OK);
    assert_memory_equal(out, "\xb0\2\0\1", 4);
    s.reasons = BYTES("\x9e"); /* not a code of UNSUBACK */
    assert_int_equal(porch_mqtt_suback_write(&b, V5, &s), PORCH_ERR_MALFORMED);
    s.reasons = (porch_bytes){NULL, 0};
    assert_int_equal(porch_mqtt_suback_write(&b, V5, &s), PORCH_ERR_MALFORMED);
    porch_mqtt_frame f = {PORCH_MQTT_SUBACK, 0, BYTES("\0\1\3"), 5};
    assert_int_equal(porch_mqtt_suback_read(&f, V3, NULL, &s), PORCH_ERR_MALFORMED);
    f.body = BYTES("\0\1");
    assert_int_equal(porch_mqtt_suback_read(&f, V3, NULL, &s), PORCH_ERR_MALFORMED);
    f.body = BYTES("\0\1\0\x11");
    assert_int_equal(porch_mqtt_suback_read(&f, V5, NULL, &s), PORCH_ERR_MALFORMED);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(every_filter_of_a_subscribe_is_given_with_its_options),
        cmocka_unit_test(each_broken_subscribe_has_its_reason),
        cmocka_unit_test(filters_are_put_one_by_one_and_read_back),
        cmocka_unit_test(unsubscribe_gives_the_texts_as_sent),
        cmocka_unit_test(refusals_become_0x80_on_3_1_1),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
