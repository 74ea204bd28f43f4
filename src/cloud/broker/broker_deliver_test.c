/* Which messages cross from shard to shard, on two shards without sockets. */
#include "cloud/broker/brokerbed.h"

#include <cmocka.h>

/* A session of service "m" whose home is that shard; the hash is keyed anew in each run. */
static porch_conn *at_home(unsigned shard) {
    static unsigned names;
    for (;;) {
        uint8_t text[128];
        char id[16];
        porch_buf b = PORCH_BUF_OF(text);
        porch_mqtt_connect hello = {.version = PORCH_MQTT_V5, .clean_start = true, .keep_alive_s = 60};
        (void)snprintf(id, sizeof id, "m/%u", names++);
        hello.client_id = porch_bytes_of(id);
        assert_int_equal(porch_mqtt_connect_write(&b, &hello), PORCH_OK);
        porch_conn *c = bed_dial(PORCH_IDENTITY_SERVICE, "m");
        bed_send(c, porch_buf_bytes(&b));
        bed_work();
        assert_int_equal(c->out[0], PORCH_MQTT_CONNACK << 4);
        bed_read(c, c->out_len);
        if (c->shard->index == shard) return c;
        bed_hang_up(c);
    }
}

static void ask(porch_conn *c, porch_mqtt_type type, const char *filter) {
    uint8_t text[256], list[128];
    porch_buf b = PORCH_BUF_OF(text), l = PORCH_BUF_OF(list);
    static const porch_mqtt_properties none;
    if (type == PORCH_MQTT_SUBSCRIBE) {
        porch_mqtt_subscription one = {.text = porch_bytes_of(filter), .qos = 1};
        assert_int_equal(porch_mqtt_subscription_put(&l, PORCH_MQTT_V5, &one), PORCH_OK);
        porch_mqtt_subscribe packet = {1, 1, porch_buf_bytes(&l), none};
        assert_int_equal(porch_mqtt_subscribe_write(&b, PORCH_MQTT_V5, &packet), PORCH_OK);
    } else {
        /* Packet identifier, no properties, the filter. */
        const uint8_t head[] = {PORCH_MQTT_UNSUBSCRIBE << 4 | 2, (uint8_t)(5 + strlen(filter)), 0, 2, 0, 0,
                                (uint8_t)strlen(filter)};
        assert_int_equal(porch_write_bytes(&b, (porch_bytes){head, sizeof head}), PORCH_OK);
        assert_int_equal(porch_write_bytes(&b, porch_bytes_of(filter)), PORCH_OK);
    }
    bed_send(c, porch_buf_bytes(&b));
    bed_work();
    assert_true(c->out_len > 4 && c->out[c->out_len - 1] < 0x80);
    bed_read(c, c->out_len);
}

/* How many parcels a publication takes. */
static unsigned crossed(porch_conn *c, const char *topic, bool retain) {
    uint8_t text[256];
    porch_buf b = PORCH_BUF_OF(text);
    porch_mqtt_publish packet = {
        .topic = {porch_bytes_of(topic)}, .payload = PORCH_LIT("x"), .retain = retain};
    assert_int_equal(porch_mqtt_publish_write(&b, PORCH_MQTT_V5, &packet), PORCH_OK);
    uint64_t before = bed.parcels;
    bed_send(c, porch_buf_bytes(&b));
    bed_work();
    return (unsigned)(bed.parcels - before);
}

static bool has_got(porch_conn *c) {
    bool got = c->out_len > 0;
    if (got) assert_int_equal(c->out[0] >> 4, PORCH_MQTT_PUBLISH);
    bed_read(c, c->out_len);
    return got;
}

static void a_message_crosses_only_to_a_shard_where_it_may_be_heard(void **state) {
    (void)state;
    porch_conn *says = at_home(0), *near = at_home(0), *far = at_home(1);
    ask(near, PORCH_MQTT_SUBSCRIBE, "t/1");
    ask(far, PORCH_MQTT_SUBSCRIBE, "t/other");
    assert_int_equal(crossed(says, "t/1", false), 0);
    assert_true(has_got(near) && !has_got(far));
    ask(far, PORCH_MQTT_SUBSCRIBE, "t/1"); /* while the publisher's shard remembers the topic */
    assert_int_equal(crossed(says, "t/1", false), 1);
    assert_true(has_got(near) && has_got(far));
    ask(near, PORCH_MQTT_UNSUBSCRIBE, "t/1");
    assert_int_equal(crossed(says, "t/1", false), 1);
    assert_true(!has_got(near) && has_got(far));
    ask(far, PORCH_MQTT_UNSUBSCRIBE, "t/1");
    assert_int_equal(crossed(says, "t/1", false), 0);
    ask(far, PORCH_MQTT_SUBSCRIBE, "t/+");
    assert_int_equal(crossed(says, "t/1", false), 1);
    assert_true(has_got(far));
    bed_hang_up(far);
    assert_int_equal(crossed(says, "t/1", false), 0);
}

static void a_shared_subscription_draws_messages_to_its_owner(void **state) {
    (void)state;
    porch_conn *says = at_home(0), *a = at_home(0), *b = at_home(1);
    ask(a, PORCH_MQTT_SUBSCRIBE, "$share/g/t/2");
    ask(b, PORCH_MQTT_SUBSCRIBE, "$share/g/t/2");
    for (int i = 0; i < 6; i++) {
        (void)crossed(says, "t/2", false);
        bool to_a = has_got(a), to_b = has_got(b);
        assert_true(to_a != to_b);
    }
}

static void what_is_retained_goes_to_all_shards(void **state) {
    (void)state;
    porch_conn *says = at_home(0);
    assert_int_equal(crossed(says, "t/kept", true), 1);
    porch_conn *far = at_home(1);
    uint8_t text[64];
    porch_buf b = PORCH_BUF_OF(text);
    const uint8_t subscribe[] = {0x82, 12, 0, 1, 0, 0, 6, 't', '/', 'k', 'e', 'p', 't', 0};
    assert_int_equal(porch_write_bytes(&b, (porch_bytes){subscribe, sizeof subscribe}), PORCH_OK);
    bed_send(far, porch_buf_bytes(&b));
    bed_work();
    /* SUBACK, then the message with its flag. */
    assert_true(far->out_len > 6 && far->out[0] == PORCH_MQTT_SUBACK << 4);
    assert_int_equal(far->out[6], PORCH_MQTT_PUBLISH << 4 | 1);
    assert_int_equal(crossed(says, "t/kept", true), 1);
}

static int begin(void **state) {
    (void)state;
    bed_reset("deliver");
    bed_start(2, false);
    return 0;
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(a_message_crosses_only_to_a_shard_where_it_may_be_heard, begin,
                                        bed_end),
        cmocka_unit_test_setup_teardown(a_shared_subscription_draws_messages_to_its_owner, begin, bed_end),
        cmocka_unit_test_setup_teardown(what_is_retained_goes_to_all_shards, begin, bed_end),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
