#include "cloud/broker/message.h"

#include <setjmp.h>
#include <stdarg.h>
#include <string.h>

#include <cmocka.h>

static porch_pool *pool;

static int make_pool(void **state) {
    (void)state;
    pool = porch_pool_new(1 << 22);
    return pool == NULL;
}

static int free_pool(void **state) {
    (void)state;
    porch_pool_free(pool);
    return 0;
}

static porch_mqtt_publish read_form(const porch_message *m, porch_mqtt_version version,
                                    const porch_message_form *form, uint64_t now, uint8_t *room) {
    size_t n = porch_message_bytes(m, version, form);
    porch_message_write(m, version, form, now, room);
    porch_mqtt_frame frame;
    porch_mqtt_publish p;
    assert_int_equal(porch_mqtt_frame_read((porch_bytes){room, n}, 1 << 20, NULL, &frame), PORCH_OK);
    assert_int_equal(frame.bytes, n);
    assert_int_equal(porch_mqtt_publish_read(&frame, version, PORCH_MQTT_FROM_SERVER, NULL, &p), PORCH_OK);
    return p;
}

static porch_mqtt_publish read_back(const porch_message *m, porch_mqtt_version version, uint8_t qos,
                                    uint16_t id, uint64_t now, uint8_t *room) {
    porch_message_form form = {.qos = qos, .packet_id = id};
    return read_form(m, version, &form, now, room);
}

static void what_is_written_reads_back_in_both_versions_and_qualities(void **state) {
    (void)state;
    uint8_t properties[128], room[4096], payload[300];
    memset(payload, 'x', sizeof payload);
    porch_buf b = PORCH_BUF_OF(properties);
    porch_mqtt_properties judged;
    assert_int_equal(
        porch_mqtt_property_put_text(&b, PORCH_MQTT_PROP_CONTENT_TYPE, PORCH_LIT("text/plain")), PORCH_OK);
    assert_int_equal(porch_mqtt_property_put_number(&b, PORCH_MQTT_PROP_MESSAGE_EXPIRY, 60), PORCH_OK);
    assert_int_equal(porch_mqtt_properties_of(porch_buf_bytes(&b), PORCH_MQTT_PUBLISH, NULL, &judged),
                     PORCH_OK);
    porch_message *m = porch_message_new(pool, PORCH_LIT("d/cam/x"), &judged,
                                         (porch_bytes){payload, sizeof payload}, 1, 1000);
    assert_non_null(m);
    for (uint8_t qos = 0; qos < 2; qos++) {
        porch_mqtt_publish p = read_back(m, PORCH_MQTT_V311, qos, 77, 1000, room);
        assert_true(porch_bytes_eq_text(p.topic.text, "d/cam/x"));
        assert_int_equal(p.payload.len, sizeof payload);
        assert_int_equal(p.packet_id, qos ? 77 : 0);
        p = read_back(m, PORCH_MQTT_V5, qos, 300, 6500, room);
        assert_int_equal(p.qos, qos);
        assert_true(porch_bytes_eq_text(
            porch_mqtt_property_text(&p.properties, PORCH_MQTT_PROP_CONTENT_TYPE), "text/plain"));
        assert_int_equal(porch_mqtt_property_number(&p.properties, PORCH_MQTT_PROP_MESSAGE_EXPIRY, 0), 55);
    }
    assert_false(porch_message_expired(m, 60999));
    assert_true(porch_message_expired(m, 61000));
    porch_message_release(pool, m);
}

static void a_delivery_adds_identifiers_alias_and_flags_and_takes_the_publishers_alias_out(void **state) {
    (void)state;
    uint8_t properties[128], room[4096];
    porch_mqtt_properties judged;
    /* The alias before and behind the expiry, whose place must be found in both. */
    for (int first = 0; first < 2; first++) {
        porch_buf b = PORCH_BUF_OF(properties);
        if (first) porch_mqtt_property_put_number(&b, PORCH_MQTT_PROP_TOPIC_ALIAS, 9);
        porch_mqtt_property_put_number(&b, PORCH_MQTT_PROP_MESSAGE_EXPIRY, 60);
        if (!first) porch_mqtt_property_put_number(&b, PORCH_MQTT_PROP_TOPIC_ALIAS, 9);
        porch_mqtt_property_put_pair(&b, PORCH_MQTT_PROP_USER_PROPERTY, PORCH_LIT("k"), PORCH_LIT("v"));
        assert_int_equal(porch_mqtt_properties_of(porch_buf_bytes(&b), PORCH_MQTT_PUBLISH, NULL, &judged),
                         PORCH_OK);
        porch_message *m = porch_message_new(pool, PORCH_LIT("d/cam/x"), &judged, PORCH_LIT("1"), 2, 1000);
        porch_message_form form = {.qos = 2, .packet_id = 5, .dup = true, .retain = true};
        porch_mqtt_publish p = read_form(m, PORCH_MQTT_V5, &form, 11000, room);
        assert_true(p.dup && p.retain && p.qos == 2);
        assert_false(porch_mqtt_property_has(&p.properties, PORCH_MQTT_PROP_TOPIC_ALIAS));
        assert_int_equal(porch_mqtt_property_number(&p.properties, PORCH_MQTT_PROP_MESSAGE_EXPIRY, 0), 50);
        assert_true(porch_mqtt_property_has(&p.properties, PORCH_MQTT_PROP_USER_PROPERTY));

        static const uint32_t two[] = {2, 300, 7};
        form = (porch_message_form){.identifiers = two, .alias = 3, .leave_topic_out = true};
        p = read_form(m, PORCH_MQTT_V5, &form, 70000, room);
        assert_int_equal(p.topic.text.len, 0);
        assert_int_equal(porch_mqtt_property_number(&p.properties, PORCH_MQTT_PROP_TOPIC_ALIAS, 0), 3);
        assert_int_equal(porch_mqtt_property_number(&p.properties, PORCH_MQTT_PROP_MESSAGE_EXPIRY, 9), 0);
        porch_mqtt_property one;
        unsigned seen = 0;
        for (porch_bytes rest = p.properties.raw; porch_mqtt_property_next(&rest, &one);)
            if (one.id == PORCH_MQTT_PROP_SUBSCRIPTION_ID) assert_int_equal(one.number, two[++seen]);
        assert_int_equal(seen, 2);
        form = (porch_message_form){.identifier = 1};
        assert_int_equal(read_form(m, PORCH_MQTT_V311, &form, 1000, room).payload.len, 1);
        porch_message_release(pool, m);
    }
}

static void the_last_reference_gives_the_block_back(void **state) {
    (void)state;
    uint64_t before = 0;
    for (int i = 0; i < 100000; i++) {
        porch_message *m = porch_message_new(pool, PORCH_LIT("a"), NULL, PORCH_LIT("b"), 0, 0);
        assert_non_null(m);
        porch_message_retain(m);
        porch_message_release(pool, m);
        porch_message_release(i % 2 ? pool : NULL, m);
        if (i == 1000) before = porch_pool_bytes(pool);
    }
    assert_int_equal(porch_pool_bytes(pool), before);
}

static void a_spent_pool_is_an_answer(void **state) {
    (void)state;
    porch_pool *small = porch_pool_new(100000);
    porch_message *last = NULL, *m = NULL;
    int n = 0;
    for (; n < 2000; n++) {
        m = porch_message_new(small, PORCH_LIT("a"), NULL, PORCH_LIT("b"), 0, 0);
        if (m == NULL) break;
        last = m;
    }
    assert_in_range(n, 1, 1999);
    assert_non_null(last);
    porch_message_release(small, last);
    assert_non_null(porch_message_new(small, PORCH_LIT("a"), NULL, PORCH_LIT("b"), 0, 0));
    porch_pool_free(small);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(what_is_written_reads_back_in_both_versions_and_qualities),
        cmocka_unit_test(a_delivery_adds_identifiers_alias_and_flags_and_takes_the_publishers_alias_out),
        cmocka_unit_test(the_last_reference_gives_the_block_back),
        cmocka_unit_test(a_spent_pool_is_an_answer),
    };
    return cmocka_run_group_tests(tests, make_pool, free_pool);
}
