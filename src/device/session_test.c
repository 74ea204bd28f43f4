/* The session against a hub that is a script of packets. */
#include "device/session.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <string.h>

#include <cmocka.h>

enum { NOW = 1000, ANSWER_MS = 20000 };

typedef struct {
    porch_session s;
    uint8_t in[1024], out[1024];
    uint8_t raw[1024]; /* what the hub says next */
    porch_buf hub;
    uint8_t said[2048]; /* what the device has sent */
    size_t said_bytes;
} link_pair;

static void make(link_pair *l, uint16_t window) {
    memset(l, 0, sizeof *l);
    const porch_session_config config = {"front-door", 30, ANSWER_MS, window};
    porch_session_init(&l->s, &config, PORCH_BUF_OF(l->in), PORCH_BUF_OF(l->out));
    l->hub = PORCH_BUF_OF(l->raw);
}

/* Takes the device's next packet off its output, judged as a hub would. */
static porch_mqtt_packet sent_at(link_pair *l, uint64_t now_ms) {
    porch_bytes out = porch_session_output(&l->s);
    memcpy(l->said + l->said_bytes, out.at, out.len);
    porch_bytes mine = {l->said + l->said_bytes, out.len};
    porch_mqtt_frame frame;
    porch_mqtt_packet p;
    assert_int_equal(porch_mqtt_frame_read(mine, 4096, NULL, &frame), PORCH_OK);
    assert_int_equal(porch_mqtt_packet_read(&frame, PORCH_MQTT_V5, PORCH_MQTT_FROM_CLIENT, NULL, &p),
                     PORCH_OK);
    l->said_bytes += frame.bytes;
    porch_session_sent(&l->s, frame.bytes, now_ms);
    return p;
}

static porch_mqtt_packet sent(link_pair *l) {
    return sent_at(l, NOW);
}

static void say(link_pair *l, const porch_mqtt_packet *p) {
    assert_int_equal(porch_mqtt_packet_write(&l->hub, PORCH_MQTT_V5, p), PORCH_OK);
}

/* Hands the hub's bytes over and gives the first event (kind 0: none). */
static porch_session_event hear(link_pair *l, uint64_t now_ms) {
    porch_session_event e = {0};
    size_t taken = 0;
    porch_session_take(&l->s, porch_buf_bytes(&l->hub), now_ms, &taken);
    assert_int_equal(taken, l->hub.len);
    l->hub.len = 0;
    (void)porch_session_next(&l->s, now_ms, &e);
    return e;
}

static void say_connack(link_pair *l, uint8_t reason, porch_bytes properties) {
    porch_mqtt_packet p = {.type = PORCH_MQTT_CONNACK, .connack = {.reason = reason}};
    assert_int_equal(porch_mqtt_properties_of(properties, PORCH_MQTT_CONNACK, NULL, &p.connack.properties),
                     PORCH_OK);
    say(l, &p);
}

static void say_puback(link_pair *l, uint16_t id, uint8_t reason) {
    porch_mqtt_packet p = {.type = PORCH_MQTT_PUBACK,
                           .ack = {.type = PORCH_MQTT_PUBACK, .packet_id = id, .reason = reason}};
    say(l, &p);
}

static void connect_with(link_pair *l, uint16_t window, porch_bytes properties) {
    make(l, window);
    assert_int_equal(porch_session_start(&l->s, NOW), PORCH_OK);
    (void)sent(l);
    say_connack(l, 0, properties);
    assert_int_equal(hear(l, NOW).kind, PORCH_SESSION_CONNECTED);
}

static porch_topic_name topic(const char *text) {
    porch_topic_name t;
    assert_int_equal(porch_topic_name_parse(porch_bytes_of(text), NULL, &t), PORCH_OK);
    return t;
}

static void connect_says_who_and_what_fits(void **state) {
    (void)state;
    link_pair l;
    make(&l, 8);
    assert_int_equal(porch_session_start(&l.s, NOW), PORCH_OK);
    porch_mqtt_packet p = sent(&l);
    assert_int_equal(p.type, PORCH_MQTT_CONNECT);
    assert_true(porch_bytes_eq_text(p.connect.client_id, "front-door"));
    assert_true(p.connect.clean_start);
    assert_false(p.connect.has_username || p.connect.has_password || p.connect.has_will);
    assert_int_equal(p.connect.keep_alive_s, 30);
    assert_int_equal(
        porch_mqtt_property_number(&p.connect.properties, PORCH_MQTT_PROP_MAXIMUM_PACKET_SIZE, 0),
        sizeof l.in);
    assert_int_equal(porch_session_publish(&l.s, topic("d/a/x"), PORCH_LIT("y"), 1, 1, NOW),
                     PORCH_ERR_STATE);
}

static void a_refused_connect_ends_with_the_hubs_reason(void **state) {
    (void)state;
    link_pair l;
    make(&l, 8);
    assert_int_equal(porch_session_start(&l.s, NOW), PORCH_OK);
    uint8_t raw[64];
    porch_buf properties = PORCH_BUF_OF(raw);
    assert_int_equal(
        porch_mqtt_property_put_text(&properties, PORCH_MQTT_PROP_REASON_STRING, PORCH_LIT("revoked")),
        PORCH_OK);
    say_connack(&l, PORCH_MQTT_RC_NOT_AUTHORIZED, porch_buf_bytes(&properties));
    porch_session_event e = hear(&l, NOW);
    assert_int_equal(e.kind, PORCH_SESSION_OVER);
    assert_int_equal(e.error, PORCH_ERR_AUTH);
    assert_int_equal(e.reason, PORCH_MQTT_RC_NOT_AUTHORIZED);
    assert_true(porch_bytes_eq_text(e.text, "revoked"));
    assert_false(porch_session_next(&l.s, NOW, &e));
}

static void a_publish_is_acknowledged_by_its_ticket(void **state) {
    (void)state;
    link_pair l;
    connect_with(&l, 8, (porch_bytes){0});
    assert_int_equal(porch_session_publish(&l.s, topic("d/a/x"), PORCH_LIT("one"), 1, 71, NOW), PORCH_OK);
    assert_int_equal(porch_session_publish(&l.s, topic("d/a/x"), PORCH_LIT("two"), 1, 72, NOW), PORCH_OK);
    porch_mqtt_packet one = sent(&l), two = sent(&l);
    assert_true(porch_bytes_eq_text(one.publish.payload, "one"));
    assert_int_equal(two.publish.qos, 1);
    assert_int_not_equal(one.publish.packet_id, two.publish.packet_id);
    say_puback(&l, two.publish.packet_id, PORCH_MQTT_RC_NOT_AUTHORIZED);
    porch_session_event e = hear(&l, NOW);
    assert_int_equal(e.kind, PORCH_SESSION_ACKNOWLEDGED);
    assert_int_equal(e.ticket, 72);
    assert_int_equal(e.reason, PORCH_MQTT_RC_NOT_AUTHORIZED);
    say_puback(&l, one.publish.packet_id, 0);
    assert_int_equal(hear(&l, NOW).ticket, 71);
}

static void the_window_is_never_passed_and_the_hub_may_narrow_it(void **state) {
    (void)state;
    link_pair l;
    uint8_t raw[8];
    porch_buf properties = PORCH_BUF_OF(raw);
    assert_int_equal(porch_mqtt_property_put_number(&properties, PORCH_MQTT_PROP_RECEIVE_MAXIMUM, 2),
                     PORCH_OK);
    connect_with(&l, 8, porch_buf_bytes(&properties));
    assert_int_equal(porch_session_room(&l.s), 2);
    assert_int_equal(porch_session_publish(&l.s, topic("t"), PORCH_LIT("1"), 1, 1, NOW), PORCH_OK);
    assert_int_equal(porch_session_publish(&l.s, topic("t"), PORCH_LIT("2"), 1, 2, NOW), PORCH_OK);
    assert_int_equal(porch_session_publish(&l.s, topic("t"), PORCH_LIT("3"), 1, 3, NOW), PORCH_ERR_BUSY);
    assert_int_equal(porch_session_publish(&l.s, topic("t"), PORCH_LIT("0"), 0, 0, NOW), PORCH_OK);
    porch_mqtt_packet one = sent(&l);
    say_puback(&l, one.publish.packet_id, 0);
    (void)hear(&l, NOW);
    assert_int_equal(porch_session_publish(&l.s, topic("t"), PORCH_LIT("3"), 1, 3, NOW), PORCH_OK);
}

static void a_message_larger_than_hub_or_block_take_is_refused_before_it_is_sent(void **state) {
    (void)state;
    link_pair l;
    uint8_t raw[8], payload[1024] = {0};
    porch_buf properties = PORCH_BUF_OF(raw);
    assert_int_equal(porch_mqtt_property_put_number(&properties, PORCH_MQTT_PROP_MAXIMUM_PACKET_SIZE, 100),
                     PORCH_OK);
    connect_with(&l, 8, porch_buf_bytes(&properties));
    assert_int_equal(porch_session_publish(&l.s, topic("t"), (porch_bytes){payload, 100}, 1, 1, NOW),
                     PORCH_ERR_LIMIT);
    assert_int_equal(porch_session_publish(&l.s, topic("t"), (porch_bytes){payload, 80}, 1, 1, NOW),
                     PORCH_OK);
    connect_with(&l, 8, (porch_bytes){0});
    assert_int_equal(porch_session_publish(&l.s, topic("t"), (porch_bytes){payload, 1024}, 1, 1, NOW),
                     PORCH_ERR_LIMIT);
    assert_int_equal(porch_session_publish(&l.s, topic("t"), (porch_bytes){payload, 700}, 1, 1, NOW),
                     PORCH_OK);
    assert_int_equal(porch_session_publish(&l.s, topic("t"), (porch_bytes){payload, 700}, 1, 2, NOW),
                     PORCH_ERR_BUSY);
}

static void a_subscription_is_answered_by_its_ticket(void **state) {
    (void)state;
    link_pair l;
    connect_with(&l, 8, (porch_bytes){0});
    porch_topic_filter f;
    assert_int_equal(porch_topic_filter_parse(PORCH_LIT("d/front-door/command/#"), NULL, &f), PORCH_OK);
    assert_int_equal(porch_session_subscribe(&l.s, f, 3, NOW), PORCH_OK);
    porch_mqtt_packet p = sent(&l);
    assert_int_equal(p.type, PORCH_MQTT_SUBSCRIBE);
    porch_bytes rest = p.subscribe.filters;
    porch_mqtt_subscription one;
    assert_true(porch_mqtt_subscription_next(&rest, PORCH_MQTT_V5, &one));
    assert_true(porch_bytes_eq(one.text, f.text));
    assert_int_equal(one.qos, 1);
    const uint8_t refused = PORCH_MQTT_RC_NOT_AUTHORIZED;
    porch_mqtt_packet a = {.type = PORCH_MQTT_SUBACK,
                           .suback = {.type = PORCH_MQTT_SUBACK,
                                      .packet_id = p.subscribe.packet_id,
                                      .reasons = {&refused, 1}}};
    say(&l, &a);
    porch_session_event e = hear(&l, NOW);
    assert_int_equal(e.kind, PORCH_SESSION_SUBSCRIBED);
    assert_int_equal(e.ticket, 3);
    assert_int_equal(e.reason, refused);
}

static void an_answer_of_the_wrong_kind_is_no_answer(void **state) {
    (void)state;
    link_pair l;
    porch_topic_filter f;
    connect_with(&l, 8, (porch_bytes){0});
    assert_int_equal(porch_topic_filter_parse(PORCH_LIT("d/a/#"), NULL, &f), PORCH_OK);
    assert_int_equal(porch_session_subscribe(&l.s, f, 3, NOW), PORCH_OK);
    say_puback(&l, sent(&l).subscribe.packet_id, 0);
    assert_int_equal(hear(&l, NOW).error, PORCH_ERR_MALFORMED);
    connect_with(&l, 8, (porch_bytes){0});
    assert_int_equal(porch_session_publish(&l.s, topic("t"), PORCH_LIT("1"), 1, 1, NOW), PORCH_OK);
    const uint8_t granted = 1;
    porch_mqtt_packet a = {.type = PORCH_MQTT_SUBACK,
                           .suback = {.type = PORCH_MQTT_SUBACK,
                                      .packet_id = sent(&l).publish.packet_id,
                                      .reasons = {&granted, 1}}};
    say(&l, &a);
    assert_int_equal(hear(&l, NOW).error, PORCH_ERR_MALFORMED);
}

static void a_message_is_acknowledged_only_after_it_was_handed_out(void **state) {
    (void)state;
    link_pair l;
    connect_with(&l, 8, (porch_bytes){0});
    porch_mqtt_packet m = {.type = PORCH_MQTT_PUBLISH,
                           .publish = {.topic = topic("d/front-door/command/go/request"),
                                       .payload = PORCH_LIT("now"),
                                       .qos = 1,
                                       .packet_id = 9}};
    say(&l, &m);
    porch_session_event e = hear(&l, NOW);
    assert_int_equal(e.kind, PORCH_SESSION_MESSAGE);
    assert_true(porch_bytes_eq_text(e.payload, "now"));
    assert_int_equal(porch_session_output(&l.s).len, 0);
    assert_false(porch_session_next(&l.s, NOW, &e));
    porch_mqtt_packet p = sent(&l);
    assert_int_equal(p.type, PORCH_MQTT_PUBACK);
    assert_int_equal(p.ack.packet_id, 9);
}

static void bytes_that_come_one_by_one_give_the_same_events(void **state) {
    (void)state;
    link_pair l;
    connect_with(&l, 8, (porch_bytes){0});
    porch_mqtt_packet m = {.type = PORCH_MQTT_PUBLISH,
                           .publish = {.topic = topic("d/x"), .payload = PORCH_LIT("hello")}};
    say(&l, &m);
    say(&l, &m);
    unsigned messages = 0;
    for (size_t i = 0; i < l.hub.len; i++) {
        size_t taken = 0;
        porch_session_event e;
        porch_session_take(&l.s, (porch_bytes){l.raw + i, 1}, NOW, &taken);
        assert_int_equal(taken, 1);
        while (porch_session_next(&l.s, NOW, &e)) {
            assert_int_equal(e.kind, PORCH_SESSION_MESSAGE);
            assert_true(porch_bytes_eq_text(e.payload, "hello"));
            messages++;
        }
    }
    assert_int_equal(messages, 2);
}

static void silence_is_broken_by_a_ping_and_a_missing_answer_ends_the_session(void **state) {
    (void)state;
    link_pair l;
    connect_with(&l, 8, (porch_bytes){0});
    assert_int_equal(porch_session_deadline(&l.s), NOW + 30000);
    porch_session_tick(&l.s, NOW + 29999);
    assert_int_equal(porch_session_output(&l.s).len, 0);
    porch_session_tick(&l.s, NOW + 30000);
    assert_int_equal(sent_at(&l, NOW + 30000).type, PORCH_MQTT_PINGREQ);
    porch_mqtt_packet pong = {.type = PORCH_MQTT_PINGRESP};
    say(&l, &pong);
    assert_int_equal(hear(&l, NOW + 30001).kind, 0);
    porch_session_tick(&l.s, NOW + 60000);
    assert_int_equal(sent_at(&l, NOW + 60000).type, PORCH_MQTT_PINGREQ);
    assert_int_equal(porch_session_deadline(&l.s), NOW + 60000 + ANSWER_MS);
    porch_session_tick(&l.s, NOW + 60000 + ANSWER_MS);
    porch_session_event e = hear(&l, NOW + 60000 + ANSWER_MS);
    assert_int_equal(e.kind, PORCH_SESSION_OVER);
    assert_int_equal(e.error, PORCH_ERR_TIMEOUT);
}

static void an_acknowledgement_that_never_comes_ends_the_session(void **state) {
    (void)state;
    link_pair l;
    connect_with(&l, 8, (porch_bytes){0});
    assert_int_equal(porch_session_publish(&l.s, topic("t"), PORCH_LIT("1"), 1, 1, NOW), PORCH_OK);
    porch_session_tick(&l.s, NOW + ANSWER_MS - 1);
    assert_int_equal(l.s.state, PORCH_SESSION_ONLINE);
    porch_session_tick(&l.s, NOW + ANSWER_MS);
    assert_int_equal(hear(&l, NOW).error, PORCH_ERR_TIMEOUT);
}

/* QoS 0 asks for no answer: what is said must not keep the question from being asked. */
static void a_hub_that_is_lost_silently_is_noticed_though_much_is_said_to_it(void **state) {
    (void)state;
    link_pair l;
    uint64_t now = NOW;
    unsigned pings = 0;
    connect_with(&l, 8, (porch_bytes){0});
    for (; now < NOW + 30000 + ANSWER_MS; now += 1000) {
        porch_session_tick(&l.s, now);
        assert_int_equal(l.s.state, PORCH_SESSION_ONLINE);
        assert_int_equal(porch_session_publish(&l.s, topic("t"), PORCH_LIT("0"), 0, 0, now), PORCH_OK);
        l.said_bytes = 0;
        while (porch_session_output(&l.s).len > 0)
            if (sent_at(&l, now).type == PORCH_MQTT_PINGREQ) pings++;
    }
    assert_int_equal(pings, 1);
    assert_int_equal(porch_session_deadline(&l.s), now);
    porch_session_tick(&l.s, now);
    assert_int_equal(hear(&l, now).error, PORCH_ERR_TIMEOUT);
}

static void whatever_the_hub_says_is_heard(void **state) {
    (void)state;
    link_pair l;
    connect_with(&l, 8, (porch_bytes){0});
    porch_mqtt_packet m = {.type = PORCH_MQTT_PUBLISH,
                           .publish = {.topic = topic("d/x"), .payload = PORCH_LIT("hello")}};
    say(&l, &m);
    assert_int_equal(hear(&l, NOW + 29000).kind, PORCH_SESSION_MESSAGE);
    assert_int_equal(porch_session_publish(&l.s, topic("t"), PORCH_LIT("0"), 0, 0, NOW + 29000), PORCH_OK);
    (void)sent_at(&l, NOW + 29000);
    assert_int_equal(porch_session_deadline(&l.s), NOW + 59000);
}

/* The connected session alone, with room for large packets; what it wrote for CONNECT has left. */
static void connect_large(link_pair *l, porch_buf out) {
    size_t taken = 0;
    porch_session_event e;
    const porch_session_config config = {"front-door", 0, ANSWER_MS, 8};
    make(l, 8);
    porch_session_init(&l->s, &config, PORCH_BUF_OF(l->in), out);
    assert_int_equal(porch_session_start(&l->s, NOW), PORCH_OK);
    porch_session_sent(&l->s, porch_session_output(&l->s).len, NOW);
    say_connack(l, 0, (porch_bytes){0});
    porch_session_take(&l->s, porch_buf_bytes(&l->hub), NOW, &taken);
    assert_true(porch_session_next(&l->s, NOW, &e));
}

static void an_answer_is_due_only_after_the_question_has_left(void **state) {
    (void)state;
    static uint8_t payload[100 * 1024], block[128 * 1024];
    link_pair l;
    uint64_t now = NOW;
    connect_large(&l, PORCH_BUF_OF(block));
    assert_int_equal(
        porch_session_publish(&l.s, topic("t"), (porch_bytes){payload, sizeof payload}, 1, 1, now),
        PORCH_OK);
    while (porch_session_output(&l.s).len > 0) {
        size_t n = porch_session_output(&l.s).len;
        now += 1000;
        porch_session_tick(&l.s, now);
        assert_int_equal(l.s.state, PORCH_SESSION_ONLINE);
        porch_session_sent(&l.s, n < 5 * 1024 ? n : 5 * 1024, now);
    }
    assert_true(now - NOW > ANSWER_MS);
    assert_int_equal(porch_session_deadline(&l.s), now + ANSWER_MS);
    porch_session_tick(&l.s, now + ANSWER_MS - 1);
    assert_int_equal(l.s.state, PORCH_SESSION_ONLINE);
    porch_session_tick(&l.s, now + ANSWER_MS);
    assert_int_equal(hear(&l, now + ANSWER_MS).error, PORCH_ERR_TIMEOUT);
}

static void what_has_left_is_answered_in_time_though_more_is_being_sent(void **state) {
    (void)state;
    static uint8_t payload[100 * 1024], block[128 * 1024];
    link_pair l;
    uint64_t now = NOW;
    connect_large(&l, PORCH_BUF_OF(block));
    assert_int_equal(porch_session_publish(&l.s, topic("t"), PORCH_LIT("small"), 1, 1, now), PORCH_OK);
    assert_int_equal(
        porch_session_publish(&l.s, topic("t"), (porch_bytes){payload, sizeof payload}, 1, 2, now),
        PORCH_OK);
    porch_session_sent(&l.s, 1024, now);
    for (; now < NOW + ANSWER_MS; now += 1000) {
        porch_session_tick(&l.s, now);
        assert_int_equal(l.s.state, PORCH_SESSION_ONLINE);
        porch_session_sent(&l.s, 1024, now);
    }
    porch_session_tick(&l.s, now);
    assert_int_equal(hear(&l, now).error, PORCH_ERR_TIMEOUT);
}

static void output_that_stands_still_ends_the_session(void **state) {
    (void)state;
    static uint8_t block[4096];
    link_pair l;
    connect_large(&l, PORCH_BUF_OF(block));
    assert_int_equal(porch_session_publish(&l.s, topic("t"), PORCH_LIT("payload"), 0, 0, NOW), PORCH_OK);
    porch_session_sent(&l.s, 3, NOW + 7000);
    assert_int_equal(porch_session_deadline(&l.s), NOW + 7000 + ANSWER_MS);
    porch_session_tick(&l.s, NOW + 7000 + ANSWER_MS);
    assert_int_equal(hear(&l, NOW + 7000 + ANSWER_MS).error, PORCH_ERR_TIMEOUT);
}

static void a_ping_for_which_there_is_no_room_wakes_nobody(void **state) {
    (void)state;
    link_pair l;
    const uint8_t payload[sizeof l.out] = {0};
    uint64_t now = NOW + 15000;
    porch_err e = PORCH_ERR_LIMIT;
    connect_with(&l, 8, (porch_bytes){0});
    for (size_t n = sizeof payload; e == PORCH_ERR_LIMIT; n--) /* the largest fills the block */
        e = porch_session_publish(&l.s, topic("t"), (porch_bytes){payload, n}, 0, 0, now);
    assert_int_equal(porch_session_output(&l.s).len, sizeof l.out);
    now += 16000; /* nothing was heard for too long */
    porch_session_tick(&l.s, now);
    assert_true(porch_session_deadline(&l.s) > now);
    porch_session_sent(&l.s, 2, now);
    assert_true(porch_session_deadline(&l.s) <= now);
    porch_session_tick(&l.s, now);
    assert_int_equal(porch_session_output(&l.s).len, sizeof l.out);
}

static void the_hub_may_shorten_the_keep_alive(void **state) {
    (void)state;
    link_pair l;
    uint8_t raw[8];
    porch_buf properties = PORCH_BUF_OF(raw);
    assert_int_equal(porch_mqtt_property_put_number(&properties, PORCH_MQTT_PROP_SERVER_KEEP_ALIVE, 5),
                     PORCH_OK);
    connect_with(&l, 8, porch_buf_bytes(&properties));
    assert_int_equal(porch_session_deadline(&l.s), NOW + 5000);
}

static void packets_that_no_hub_may_send_end_the_session_with_a_farewell(void **state) {
    (void)state;
    static const struct {
        const char *bytes;
        size_t len;
        uint8_t reason;
    } bad[] = {
        {"\x40\x02\x00\x63", 4, PORCH_MQTT_RC_PROTOCOL_ERROR},                    /* PUBACK of nothing */
        {"\x90\x04\x00\x63\x00\x00", 6, PORCH_MQTT_RC_PROTOCOL_ERROR},            /* SUBACK of nothing */
        {"\x20\x03\x00\x00\x00", 5, PORCH_MQTT_RC_PROTOCOL_ERROR},                /* a second CONNACK */
        {"\x82\x08\x00\x01\x00\x00\x02t1\x01", 10, PORCH_MQTT_RC_PROTOCOL_ERROR}, /* SUBSCRIBE from a hub */
        {"\x34\x08\x00\x01t\x00\x01\x00xx", 10, PORCH_MQTT_RC_PROTOCOL_ERROR},    /* QoS 2 */
        {"\x00\x00", 2, PORCH_MQTT_RC_MALFORMED_PACKET},
        {"\x30\xff\xff\xff\x7f", 5, PORCH_MQTT_RC_PACKET_TOO_LARGE},
    };
    for (size_t i = 0; i < sizeof bad / sizeof bad[0]; i++) {
        link_pair l;
        connect_with(&l, 8, (porch_bytes){0});
        assert_int_equal(
            porch_write_bytes(&l.hub, (porch_bytes){(const uint8_t *)bad[i].bytes, bad[i].len}), PORCH_OK);
        porch_session_event e = hear(&l, NOW);
        assert_int_equal(e.kind, PORCH_SESSION_OVER);
        assert_int_equal(e.error, PORCH_ERR_MALFORMED);
        assert_int_equal(e.reason, bad[i].reason);
        porch_mqtt_packet p = sent(&l);
        assert_int_equal(p.type, PORCH_MQTT_DISCONNECT);
        assert_int_equal(p.disconnect.reason, bad[i].reason);
    }
}

static void the_hubs_farewell_and_its_reason_are_told(void **state) {
    (void)state;
    link_pair l;
    connect_with(&l, 8, (porch_bytes){0});
    porch_mqtt_packet p = {.type = PORCH_MQTT_DISCONNECT,
                           .disconnect = {.reason = PORCH_MQTT_RC_SESSION_TAKEN_OVER}};
    say(&l, &p);
    porch_session_event e = hear(&l, NOW);
    assert_int_equal(e.kind, PORCH_SESSION_OVER);
    assert_int_equal(e.error, PORCH_ERR_CLOSED);
    assert_int_equal(e.reason, PORCH_MQTT_RC_SESSION_TAKEN_OVER);
    assert_true(e.text.len > 0);
}

static void packet_identifiers_wrap_without_meeting_one_in_flight(void **state) {
    (void)state;
    link_pair l;
    connect_with(&l, 2, (porch_bytes){0});
    assert_int_equal(porch_session_publish(&l.s, topic("t"), PORCH_LIT("stays"), 1, 1, NOW), PORCH_OK);
    uint16_t stays = sent(&l).publish.packet_id;
    for (unsigned i = 0; i < 70000; i++) {
        assert_int_equal(porch_session_publish(&l.s, topic("t"), PORCH_LIT("x"), 1, 2, NOW), PORCH_OK);
        l.said_bytes = 0;
        uint16_t id = sent(&l).publish.packet_id;
        assert_int_not_equal(id, stays);
        say_puback(&l, id, 0);
        assert_int_equal(hear(&l, NOW).ticket, 2);
    }
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(connect_says_who_and_what_fits),
        cmocka_unit_test(a_refused_connect_ends_with_the_hubs_reason),
        cmocka_unit_test(a_publish_is_acknowledged_by_its_ticket),
        cmocka_unit_test(the_window_is_never_passed_and_the_hub_may_narrow_it),
        cmocka_unit_test(a_message_larger_than_hub_or_block_take_is_refused_before_it_is_sent),
        cmocka_unit_test(a_subscription_is_answered_by_its_ticket),
        cmocka_unit_test(an_answer_of_the_wrong_kind_is_no_answer),
        cmocka_unit_test(a_message_is_acknowledged_only_after_it_was_handed_out),
        cmocka_unit_test(bytes_that_come_one_by_one_give_the_same_events),
        cmocka_unit_test(silence_is_broken_by_a_ping_and_a_missing_answer_ends_the_session),
        cmocka_unit_test(an_acknowledgement_that_never_comes_ends_the_session),
        cmocka_unit_test(a_hub_that_is_lost_silently_is_noticed_though_much_is_said_to_it),
        cmocka_unit_test(whatever_the_hub_says_is_heard),
        cmocka_unit_test(an_answer_is_due_only_after_the_question_has_left),
        cmocka_unit_test(what_has_left_is_answered_in_time_though_more_is_being_sent),
        cmocka_unit_test(output_that_stands_still_ends_the_session),
        cmocka_unit_test(a_ping_for_which_there_is_no_room_wakes_nobody),
        cmocka_unit_test(the_hub_may_shorten_the_keep_alive),
        cmocka_unit_test(packets_that_no_hub_may_send_end_the_session_with_a_farewell),
        cmocka_unit_test(the_hubs_farewell_and_its_reason_are_told),
        cmocka_unit_test(packet_identifiers_wrap_without_meeting_one_in_flight),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
