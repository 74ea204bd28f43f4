/* What the standards ask of a server about CONNECT and CONNACK, sessions, wills; see conformancebed.h. */
#include "cloud/broker/conformancebed.h"

/* ---- CONNECT ---- */

static void a_connection_begins_with_one_connect_and_has_no_other(void **state) {
    client k;
    (void)state;
    static const porch_mqtt_version versions[] = {PORCH_MQTT_V5, PORCH_MQTT_V311};
    for (size_t i = 0; i < 2; i++) {
        dial(&k, PORCH_IDENTITY_SERVICE, "m", versions[i]);
        send(&k, PORCH_TEST_RAW(0xc0, 0));
        silent(&k);
        assert_true(k.c->told);
        leave(&k);
        online(&k, versions[i], "m");
        hello h;
        send_hello(&k, fresh(&h, versions[i], "m"));
        ended(&k, PORCH_MQTT_RC_PROTOCOL_ERROR);
    }
}

static void name_and_level_of_the_protocol_are_judged(void **state) {
    static const struct {
        porch_bytes raw;
        porch_mqtt_version v;
        uint8_t reason;
    } rows[] = {
        {{(const uint8_t *)"\x10\x0d\0\4MQTT\6\2\0\x3c\0\0\0", 15}, PORCH_MQTT_V5, 0x84},
        {{(const uint8_t *)"\x10\x0d\0\4MQTX\5\2\0\x3c\0\0\0", 15}, PORCH_MQTT_V5, 0x84},
        {{(const uint8_t *)"\x10\x0d\0\4MQTT\3\2\0\x3c\0\1m", 15}, PORCH_MQTT_V311, 0x84},
    };
    client k;
    (void)state;
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        dial(&k, PORCH_IDENTITY_SERVICE, "m", rows[i].v);
        send(&k, rows[i].raw);
        assert_int_equal(connack(&k), rows[i].reason);
        assert_false(k.present);
        silent(&k);
        assert_true(k.c->told);
        leave(&k);
    }
}

/* 5.0 may be told why; 3.1.1 is closed without a CONNACK (MQTT-3.1.4-1 of 3.1.1). */
static void a_connect_that_breaks_the_format_opens_nothing(void **state) {
    static const struct {
        porch_bytes raw;
        porch_mqtt_version v;
        uint8_t reason; /* 0: closed without a word */
    } rows[] = {
        {{(const uint8_t *)"\x10\x0e\0\4MQTT\5\3\0\x3c\0\0\1m", 16},
         PORCH_MQTT_V5,
         0x81},                                                                         /* reserved flag */
        {{(const uint8_t *)"\x10\x0d\0\4MQTT\4\3\0\x3c\0\1m", 15}, PORCH_MQTT_V311, 0}, /* the same */
        {{(const uint8_t *)"\x10\x0e\0\4MQTT\5\x0a\0\x3c\0\0\1m", 16},
         PORCH_MQTT_V5,
         0x81}, /* will QoS, no will */
        {{(const uint8_t *)"\x10\x0e\0\4MQTT\5\x22\0\x3c\0\0\1m", 16},
         PORCH_MQTT_V5,
         0x81}, /* will retain, no will */
        {{(const uint8_t *)"\x10\x0e\0\4MQTT\5\x1e\0\x3c\0\0\1m", 16},
         PORCH_MQTT_V5,
         0x81}, /* will QoS 3 */
        {{(const uint8_t *)"\x10\x0e\0\4MQTT\5\6\0\x3c\0\0\1m", 16},
         PORCH_MQTT_V5,
         0x81}, /* will flag, no will */
        {{(const uint8_t *)"\x10\x0e\0\4MQTT\5\x82\0\x3c\0\0\1m", 16},
         PORCH_MQTT_V5,
         0x81}, /* user name missing */
        {{(const uint8_t *)"\x10\x0e\0\4MQTT\5\x42\0\x3c\0\0\1m", 16},
         PORCH_MQTT_V5,
         0x81}, /* password missing */
        {{(const uint8_t *)"\x10\x10\0\4MQTT\5\2\0\x3c\0\0\1m\0\0", 18},
         PORCH_MQTT_V5,
         0x81}, /* user name, no flag */
        {{(const uint8_t *)"\x10\x0f\0\4MQTT\4\x42\0\x3c\0\1m\0\0", 17},
         PORCH_MQTT_V311,
         0}, /* password alone */
        {{(const uint8_t *)"\x10\x0e\0\4MQTT\5\2\0\x3c\0\0\1\xff", 16},
         PORCH_MQTT_V5,
         0x81},                                                                             /* not UTF-8 */
        {{(const uint8_t *)"\x10\x0e\0\4MQTT\5\2\0\x3c\0\0\1\0", 16}, PORCH_MQTT_V5, 0x81}, /* U+0000 */
        {{(const uint8_t *)"\x10\x0c\0\4MQTT\5\2\0\x3c\0\0", 14},
         PORCH_MQTT_V5,
         0x81}, /* no client identifier */
    };
    client k;
    (void)state;
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        dial(&k, PORCH_IDENTITY_SERVICE, "m", rows[i].v);
        send(&k, rows[i].raw);
        if (rows[i].reason != 0) assert_int_equal(connack(&k), rows[i].reason);
        silent(&k);
        assert_true(k.c->told);
        leave(&k);
    }
}

static void a_clean_start_begins_anew_and_another_goes_on(void **state) {
    static const porch_mqtt_version versions[] = {PORCH_MQTT_V5, PORCH_MQTT_V311};
    client k, p;
    hello h;
    (void)state;
    for (size_t i = 0; i < 2; i++) {
        porch_mqtt_version v = versions[i];
        online_lasting(&k, v, "m");
        assert_false(k.present);
        assert_int_equal(subscribe(&k, (sub){.filter = "t/a", .qos = 1}), 1);
        leave(&k);
        online(&p, v, "m/p");
        say(&p, "t/a", "kept", 1);
        online_lasting(&k, v, "m");
        assert_true(k.present);
        takes(&k, "t/a", "kept", 1);
        leave(&k);
        assert_int_equal(greet(&k, PORCH_IDENTITY_SERVICE, "m", fresh(&h, v, "m")), 0);
        assert_false(k.present);
        say(&p, "t/a", "not for the new one", 1);
        silent(&k);
        leave(&k);
        online_lasting(&k, v, "m"); /* the clean one ended with its connection */
        assert_false(k.present);
        goodbye(&k, 0);
        assert_int_equal(greet(&k, PORCH_IDENTITY_SERVICE, "m", fresh(&h, v, "m")), 0);
        goodbye(&k, 0);
        goodbye(&p, 0);
    }
}

static void a_session_waits_as_long_as_agreed(void **state) {
    client k;
    hello h;
    (void)state;
    assert_int_equal(greet(&k, PORCH_IDENTITY_SERVICE, "m",
                           with(fresh(&h, PORCH_MQTT_V5, "m"), PORCH_MQTT_PROP_SESSION_EXPIRY, 10)),
                     0);
    bed_pass(30000); /* as long as it is connected it stays */
    leave(&k);
    bed_pass(9000);
    fresh(&h, PORCH_MQTT_V5, "m");
    h.in.clean_start = false;
    assert_int_equal(greet(&k, PORCH_IDENTITY_SERVICE, "m", with(&h, PORCH_MQTT_PROP_SESSION_EXPIRY, 10)),
                     0);
    assert_true(k.present);
    leave(&k);
    bed_pass(10500);
    fresh(&h, PORCH_MQTT_V5, "m");
    h.in.clean_start = false;
    assert_int_equal(greet(&k, PORCH_IDENTITY_SERVICE, "m", with(&h, PORCH_MQTT_PROP_SESSION_EXPIRY, 10)),
                     0);
    assert_false(k.present);
    /* DISCONNECT may shorten it to nothing, and not begin it where there was none. */
    send(&k, PORCH_TEST_RAW(0xe0, 7, 0, 5, 0x11, 0, 0, 0, 0));
    leave(&k);
    fresh(&h, PORCH_MQTT_V5, "m");
    h.in.clean_start = false;
    assert_int_equal(greet(&k, PORCH_IDENTITY_SERVICE, "m", &h), 0);
    assert_false(k.present);
    send(&k, PORCH_TEST_RAW(0xe0, 7, 0, 5, 0x11, 0, 0, 0, 5));
    ended(&k, PORCH_MQTT_RC_PROTOCOL_ERROR);
}

static void a_will_is_spoken_after_every_end_but_a_normal_one(void **state) {
    static const struct {
        porch_mqtt_version v;
        int reason; /* of DISCONNECT; -1: the connection breaks */
        bool spoken;
    } rows[] = {{PORCH_MQTT_V5, 0x00, false}, {PORCH_MQTT_V5, 0x04, true}, {PORCH_MQTT_V5, 0x80, true},
                {PORCH_MQTT_V5, 0x81, true},  {PORCH_MQTT_V5, 0x95, true}, {PORCH_MQTT_V5, -1, true},
                {PORCH_MQTT_V311, 0, false},  {PORCH_MQTT_V311, -1, true}};
    client k, w;
    hello h;
    (void)state;
    online(&w, PORCH_MQTT_V5, "m/w");
    assert_int_equal(subscribe(&w, (sub){.filter = "t/will", .qos = 2}), 2);
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        will(fresh(&h, rows[i].v, "m/k"), "t/will", "gone", 2, false);
        assert_int_equal(greet(&k, PORCH_IDENTITY_SERVICE, "m", &h), 0);
        silent(&w);
        if (rows[i].reason < 0)
            leave(&k);
        else
            goodbye(&k, (uint8_t)rows[i].reason);
        if (rows[i].spoken) takes(&w, "t/will", "gone", 2);
        silent(&w); /* once */
    }
    /* A second end has no second word. */
    assert_int_equal(greet(&k, PORCH_IDENTITY_SERVICE, "m", fresh(&h, PORCH_MQTT_V5, "m/k")), 0);
    leave(&k);
    silent(&w);
    goodbye(&w, 0);
}

static void a_will_waits_for_its_delay_or_the_sessions_end(void **state) {
    client k, w;
    hello h;
    (void)state;
    online(&w, PORCH_MQTT_V5, "m/w");
    assert_int_equal(subscribe(&w, (sub){.filter = "t/will", .qos = 1}), 1);
    for (int back = 0; back < 2; back++) {
        will(lasting(fresh(&h, PORCH_MQTT_V5, "m/k")), "t/will", "late", 1, false);
        ok(porch_mqtt_property_put_number(&h.will_props, PORCH_MQTT_PROP_WILL_DELAY, 20));
        assert_int_equal(greet(&k, PORCH_IDENTITY_SERVICE, "m", &h), 0);
        leave(&k);
        bed_pass(19000);
        silent(&w);
        if (back) {
            online_lasting(&k, PORCH_MQTT_V5, "m/k"); /* in time: nothing is said, now or later */
            bed_pass(40000);
            silent(&w);
            goodbye(&k, 0);
        } else {
            bed_pass(2000);
            takes(&w, "t/will", "late", 1);
            silent(&w);
        }
    }
    /* The session ends before the delay is over, by its time or by a clean start. */
    for (int clean = 0; clean < 2; clean++) {
        fresh(&h, PORCH_MQTT_V5, "m/k");
        with(&h, PORCH_MQTT_PROP_SESSION_EXPIRY, 5);
        ok(porch_mqtt_property_put_number(&h.will_props, PORCH_MQTT_PROP_WILL_DELAY, 1000));
        assert_int_equal(greet(&k, PORCH_IDENTITY_SERVICE, "m", will(&h, "t/will", "over", 1, false)), 0);
        leave(&k);
        silent(&w);
        if (clean) {
            online(&k, PORCH_MQTT_V5, "m/k");
            goodbye(&k, 0);
        } else {
            bed_pass(6000);
        }
        takes(&w, "t/will", "over", 1);
    }
    goodbye(&w, 0);
}

static void a_will_keeps_its_retain_flag_and_its_properties(void **state) {
    client k, w;
    hello h;
    porch_mqtt_property one;
    (void)state;
    for (int retain = 0; retain < 2; retain++) {
        will(fresh(&h, PORCH_MQTT_V5, "m/k"), retain ? "t/kept" : "t/said", "x", 1, retain != 0);
        ok(porch_mqtt_property_put_pair(&h.will_props, PORCH_MQTT_PROP_USER_PROPERTY, PORCH_LIT("b"),
                                        PORCH_LIT("1")));
        ok(porch_mqtt_property_put_pair(&h.will_props, PORCH_MQTT_PROP_USER_PROPERTY, PORCH_LIT("a"),
                                        PORCH_LIT("2")));
        assert_int_equal(greet(&k, PORCH_IDENTITY_SERVICE, "m", &h), 0);
        leave(&k);
    }
    bed_work();
    online(&w, PORCH_MQTT_V5, "m/w");
    assert_int_equal(subscribe(&w, (sub){.filter = "t/#", .qos = 1}), 1);
    porch_mqtt_publish p = hears(&w, "t/kept", "x", 1);
    assert_true(p.retain);
    porch_bytes rest = p.properties.raw;
    assert_true(porch_mqtt_property_next(&rest, &one) && porch_bytes_eq_text(one.text, "b"));
    assert_true(porch_mqtt_property_next(&rest, &one) && porch_bytes_eq_text(one.text, "a"));
    ack(&w, PORCH_MQTT_PUBACK, p.packet_id, 0);
    silent(&w);
    goodbye(&w, 0);
}

static void silence_past_the_keep_alive_ends_the_connection(void **state) {
    static const porch_mqtt_version versions[] = {PORCH_MQTT_V5, PORCH_MQTT_V311};
    client k;
    hello h;
    (void)state;
    for (size_t i = 0; i < 2; i++) {
        fresh(&h, versions[i], "m");
        h.in.keep_alive_s = 10;
        assert_int_equal(greet(&k, PORCH_IDENTITY_SERVICE, "m", &h), 0);
        bed_pass(14500);
        send(&k, PORCH_TEST_RAW(0xc0, 0)); /* which counts */
        (void)expect(&k, PORCH_MQTT_PINGRESP);
        bed_pass(14500);
        silent(&k);
        assert_false(k.c->told);
        bed_pass(1000);
        ended(&k, PORCH_MQTT_RC_KEEP_ALIVE_TIMEOUT);
    }
    /* The hub's own time holds where it is told. */
    fresh(&h, PORCH_MQTT_V5, "m");
    h.in.keep_alive_s = 0;
    assert_int_equal(greet(&k, PORCH_IDENTITY_SERVICE, "m", &h), 0);
    assert_int_equal(porch_mqtt_property_number(&k.properties, PORCH_MQTT_PROP_SERVER_KEEP_ALIVE, 0),
                     bed.settings.broker_keep_alive_s);
    bed_pass(bed.settings.broker_keep_alive_s * 1500ull + 10);
    ended(&k, PORCH_MQTT_RC_KEEP_ALIVE_TIMEOUT);
}

static size_t largest_packet(client *k) {
    porch_mqtt_frame frame;
    size_t most = 0;
    bed_work();
    for (porch_bytes rest = {k->c->out, k->c->out_len};
         porch_mqtt_frame_read(rest, 1 << 20, NULL, &frame) == PORCH_OK;
         rest = (porch_bytes){rest.at + frame.bytes, rest.len - frame.bytes})
        if (frame.bytes > most) most = frame.bytes;
    return most;
}

static void nothing_larger_than_the_clients_maximum_is_sent(void **state) {
    client k, p;
    hello h;
    uint8_t list[2000];
    (void)state;
    /* Refusals leave their sentence out, and stay silent where even the code is too much. */
    for (uint32_t most = 1; most <= 200; most++) {
        dial(&k, PORCH_IDENTITY_SERVICE, "m", PORCH_MQTT_V5);
        send_hello(&k,
                   with(fresh(&h, PORCH_MQTT_V5, "not-mine"), PORCH_MQTT_PROP_MAXIMUM_PACKET_SIZE, most));
        size_t bytes = largest_packet(&k);
        assert_true(bytes <= most);
        assert_int_equal(bytes > 0, most >= 5);
        assert_true(k.c->told);
        leave(&k);
        /* A welcome is whole or it is a refusal. */
        dial(&k, PORCH_IDENTITY_SERVICE, "m", PORCH_MQTT_V5);
        send_hello(&k, with(fresh(&h, PORCH_MQTT_V5, ""), PORCH_MQTT_PROP_MAXIMUM_PACKET_SIZE, most));
        assert_true(largest_packet(&k) <= most);
        if (most >= 5) {
            uint8_t reason = connack(&k);
            assert_true(reason == 0 || reason == PORCH_MQTT_RC_PACKET_TOO_LARGE);
            if (reason == 0) { /* and so is a farewell */
                send(&k, PORCH_TEST_RAW(0x60, 0));
                assert_true(largest_packet(&k) <= most);
            }
        }
        assert_true(k.c->told);
        leave(&k);
        dial(&k, PORCH_IDENTITY_DEVICE, "cam", PORCH_MQTT_V5);
        with(fresh(&h, PORCH_MQTT_V5, "cam"), PORCH_MQTT_PROP_MAXIMUM_PACKET_SIZE, most);
        send_hello(&k, with(&h, PORCH_MQTT_PROP_REQUEST_RESPONSE_INFO, 1));
        assert_true(largest_packet(&k) <= most);
        leave(&k);
    }
    /* A message is passed over, the next one comes; whether it waited or not. */
    online(&p, PORCH_MQTT_V5, "m/p");
    lasting(fresh(&h, PORCH_MQTT_V5, "m"));
    assert_int_equal(
        greet(&k, PORCH_IDENTITY_SERVICE, "m", with(&h, PORCH_MQTT_PROP_MAXIMUM_PACKET_SIZE, 40)), 0);
    assert_int_equal(subscribe(&k, (sub){.filter = "t/#", .qos = 2}), 2);
    say(&p, "t/a", "much more than forty bytes of payload, said live", 1);
    say(&p, "t/a", "short", 1);
    takes(&k, "t/a", "short", 1);
    leave(&k);
    say(&p, "t/a", "much more than forty bytes of payload, said to an absent one", 2);
    say(&p, "t/a", "brief", 2);
    lasting(fresh(&h, PORCH_MQTT_V5, "m"));
    assert_int_equal(
        greet(&k, PORCH_IDENTITY_SERVICE, "m", with(&h, PORCH_MQTT_PROP_MAXIMUM_PACKET_SIZE, 40)), 0);
    takes(&k, "t/a", "brief", 2);
    silent(&k);
    leave(&k);
    /* What was under way before the client became small is done with, too. */
    online_lasting(&k, PORCH_MQTT_V5, "m");
    say(&p, "t/a", "much more than forty bytes of payload, under way", 2);
    (void)hears(&k, "t/a", "much more than forty bytes of payload, under way", 2);
    leave(&k);
    lasting(fresh(&h, PORCH_MQTT_V5, "m"));
    assert_int_equal(
        greet(&k, PORCH_IDENTITY_SERVICE, "m", with(&h, PORCH_MQTT_PROP_MAXIMUM_PACKET_SIZE, 40)), 0);
    silent(&k);
    say(&p, "t/a", "after", 2);
    takes(&k, "t/a", "after", 2);
    /* An answer that would be too large is not sent. */
    porch_buf l = PORCH_BUF_OF(list), text = {malloc(4096), 0, 4096};
    porch_mqtt_subscription one = {.text = PORCH_LIT("t/x"), .qos = 1};
    porch_mqtt_subscribe in = {.packet_id = 5, .count = 60};
    for (int i = 0; i < 60; i++)
        ok(porch_mqtt_subscription_put(&l, PORCH_MQTT_V5, &one));
    in.filters = porch_buf_bytes(&l);
    ok(porch_mqtt_subscribe_write(&text, PORCH_MQTT_V5, &in));
    send(&k, porch_buf_bytes(&text));
    free(text.at);
    ended(&k, PORCH_MQTT_RC_PACKET_TOO_LARGE);
    goodbye(&p, 0);
    online(&k, PORCH_MQTT_V5, "m");
    goodbye(&k, 0);
}

static void topic_aliases_stay_within_what_was_agreed(void **state) {
    client k, p;
    hello h;
    uint32_t most = bed.settings.broker_topic_aliases;
    (void)state;
    assert_int_equal(greet(&p, PORCH_IDENTITY_SERVICE, "m", fresh(&h, PORCH_MQTT_V5, "m/p")), 0);
    assert_int_equal(porch_mqtt_property_number(&p.properties, PORCH_MQTT_PROP_TOPIC_ALIAS_MAXIMUM, 0),
                     most);
    online(&k, PORCH_MQTT_V5, "m/k"); /* it takes none */
    assert_int_equal(subscribe(&k, (sub){.filter = "t/#", .qos = 0}), 0);
    for (uint32_t alias = 1; alias <= most; alias++) { /* each one is taken, set and then used */
        uint8_t raw[4];
        porch_buf props = PORCH_BUF_OF(raw);
        ok(porch_mqtt_property_put_number(&props, PORCH_MQTT_PROP_TOPIC_ALIAS, alias));
        for (int use = 0; use < 2; use++) {
            publish(&p, (pub){.topic = use ? "" : "t/a", .payload = "x", .props = porch_buf_bytes(&props)});
            porch_mqtt_publish m = hears(&k, "t/a", "x", 0);
            assert_false(porch_mqtt_property_has(&m.properties, PORCH_MQTT_PROP_TOPIC_ALIAS));
        }
    }
    leave(&p);
    /* A new connection knows none of them. */
    online(&p, PORCH_MQTT_V5, "m/p");
    publish(&p, (pub){.topic = "", .payload = "x", .props = PORCH_TEST_RAW(0x23, 0, 1)});
    ended(&p, PORCH_MQTT_RC_PROTOCOL_ERROR);
    online(&p, PORCH_MQTT_V5, "m/p");
    send(&p, PORCH_TEST_RAW(0x30, 9, 0, 2, 't', '/', 3, 0x23, (uint8_t)((most + 1) >> 8),
                            (uint8_t)(most + 1), 'x'));
    ended(&p, PORCH_MQTT_RC_TOPIC_ALIAS_INVALID);
    online(&p, PORCH_MQTT_V5, "m/p");
    send(&p, PORCH_TEST_RAW(0x30, 9, 0, 2, 't', '/', 3, 0x23, 0, 0, 'x'));
    ended(&p, PORCH_MQTT_RC_TOPIC_ALIAS_INVALID);
    goodbye(&k, 0);
    /* The other way: never above the client's maximum, and every one means what it was set to. */
    online(&p, PORCH_MQTT_V5, "m/p");
    assert_int_equal(greet(&k, PORCH_IDENTITY_SERVICE, "m",
                           with(fresh(&h, PORCH_MQTT_V5, "m/k"), PORCH_MQTT_PROP_TOPIC_ALIAS_MAXIMUM, 3)),
                     0);
    assert_int_equal(subscribe(&k, (sub){.filter = "t/#", .qos = 0}), 0);
    char known[4][16] = {"", "", "", ""};
    int without_name = 0;
    for (int i = 0; i < 40; i++) {
        char topic[16];
        (void)snprintf(topic, sizeof topic, "t/%d", i * 7 % 5);
        say(&p, topic, "x", 0);
        porch_mqtt_publish m = expect(&k, PORCH_MQTT_PUBLISH).publish;
        uint32_t alias = porch_mqtt_property_number(&m.properties, PORCH_MQTT_PROP_TOPIC_ALIAS, 0);
        assert_true(alias <= 3);
        without_name += m.topic.text.len == 0;
        if (m.topic.text.len > 0 && alias > 0)
            (void)porch_bytes_to_text(m.topic.text, known[alias], sizeof known[alias]);
        if (m.topic.text.len > 0)
            assert_true(porch_bytes_eq_text(m.topic.text, topic));
        else
            assert_string_equal(known[alias], topic);
    }
    assert_true(without_name > 0);
    goodbye(&k, 0);
    goodbye(&p, 0);
}

static void response_information_comes_when_it_is_asked_for(void **state) {
    client k;
    hello h;
    (void)state;
    for (uint32_t wanted = 0; wanted < 2; wanted++) {
        with(fresh(&h, PORCH_MQTT_V5, "cam"), PORCH_MQTT_PROP_REQUEST_RESPONSE_INFO, wanted);
        assert_int_equal(greet(&k, PORCH_IDENTITY_DEVICE, "cam", &h), 0);
        assert_int_equal(porch_mqtt_property_has(&k.properties, PORCH_MQTT_PROP_RESPONSE_INFO), wanted);
        goodbye(&k, 0);
    }
}

static void reason_strings_come_only_where_they_are_welcome(void **state) {
    client k;
    hello h;
    (void)state;
    for (uint32_t wanted = 0; wanted < 2; wanted++) {
        with(fresh(&h, PORCH_MQTT_V5, "m"), PORCH_MQTT_PROP_REQUEST_PROBLEM_INFO, wanted);
        assert_int_equal(greet(&k, PORCH_IDENTITY_SERVICE, "m", &h), 0);
        publish(&k, (pub){.topic = "elsewhere", .payload = "x", .qos = 1, .id = 1});
        porch_mqtt_packet p = expect(&k, PORCH_MQTT_PUBACK);
        assert_int_equal(p.ack.reason, PORCH_MQTT_RC_NOT_AUTHORIZED);
        assert_int_equal(porch_mqtt_property_has(&p.ack.properties, PORCH_MQTT_PROP_REASON_STRING), wanted);
        assert_int_equal(subscribe(&k, (sub){.filter = "elsewhere"}), PORCH_MQTT_RC_NOT_AUTHORIZED);
        send(&k, PORCH_TEST_RAW(0x60, 0));
        p = expect(&k, PORCH_MQTT_DISCONNECT);
        assert_int_equal(porch_mqtt_property_has(&p.disconnect.properties, PORCH_MQTT_PROP_REASON_STRING),
                         wanted);
        assert_false(porch_mqtt_property_has(&p.disconnect.properties, PORCH_MQTT_PROP_SESSION_EXPIRY));
        leave(&k);
    }
}

static void a_client_identifier_is_ones_own_or_is_given(void **state) {
    static const struct {
        porch_identity_kind kind;
        const char *name, *id;
        porch_mqtt_version v;
        bool clean;
        uint8_t reason;
        const char *given; /* how the assigned one begins; NULL: none is */
    } rows[] = {
        {PORCH_IDENTITY_DEVICE, "cam", "cam", PORCH_MQTT_V5, true, 0, NULL},
        {PORCH_IDENTITY_DEVICE, "cam", "", PORCH_MQTT_V5, true, 0, "cam"},
        {PORCH_IDENTITY_DEVICE, "cam", "bell", PORCH_MQTT_V5, true, 0x85, NULL},
        {PORCH_IDENTITY_DEVICE, "cam", "bell", PORCH_MQTT_V311, true, 0x85, NULL},
        {PORCH_IDENTITY_DEVICE, "cam", "", PORCH_MQTT_V311, true, 0, NULL},
        {PORCH_IDENTITY_DEVICE, "cam", "", PORCH_MQTT_V311, false, 0x85, NULL},
        {PORCH_IDENTITY_SERVICE, "m", "m/0123456789abcdefghijk", PORCH_MQTT_V311, true, 0, NULL},
        {PORCH_IDENTITY_SERVICE, "m", "m/ABCDEFGHIJKLMNOPQRSTU", PORCH_MQTT_V5, true, 0, NULL},
        {PORCH_IDENTITY_SERVICE, "m", "m/VWXYZlmnopqrstuvwxyz", PORCH_MQTT_V5, true, 0, NULL},
        {PORCH_IDENTITY_SERVICE, "m", "mm", PORCH_MQTT_V5, true, 0x85, NULL},
        {PORCH_IDENTITY_SERVICE, "m", "", PORCH_MQTT_V5, true, 0, "m/"},
    };
    client k;
    hello h;
    (void)state;
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        fresh(&h, rows[i].v, rows[i].id);
        h.in.clean_start = rows[i].clean;
        dial(&k, rows[i].kind, rows[i].name, rows[i].v);
        if (rows[i].v == PORCH_MQTT_V311 && !rows[i].clean)
            send(&k, PORCH_TEST_RAW(0x10, 12, 0, 4, 'M', 'Q', 'T', 'T', 4, 0, 0, 60, 0, 0));
        else
            send_hello(&k, &h);
        assert_int_equal(connack(&k), rows[i].reason);
        assert_false(k.present);
        porch_bytes given = porch_mqtt_property_text(&k.properties, PORCH_MQTT_PROP_ASSIGNED_CLIENT_ID);
        assert_int_equal(given.len > 0, rows[i].given != NULL);
        if (rows[i].given != NULL) assert_true(porch_bytes_starts(given, porch_bytes_of(rows[i].given)));
        assert_int_equal(k.c->told, rows[i].reason != 0);
        leave(&k);
    }
    /* Two without a name get two. */
    client a, b;
    assert_int_equal(greet(&a, PORCH_IDENTITY_SERVICE, "m", fresh(&h, PORCH_MQTT_V5, "")), 0);
    assert_int_equal(greet(&b, PORCH_IDENTITY_SERVICE, "m", fresh(&h, PORCH_MQTT_V5, "")), 0);
    assert_false(a.c->told);
    leave(&a);
    leave(&b);
}

static void a_session_has_one_connection(void **state) {
    static const porch_mqtt_version versions[] = {PORCH_MQTT_V5, PORCH_MQTT_V311};
    client a, b;
    (void)state;
    for (size_t i = 0; i < 2; i++) {
        online_lasting(&a, versions[i], "m");
        assert_int_equal(subscribe(&a, (sub){.filter = "t/a", .qos = 1}), 1);
        online_lasting(&b, PORCH_MQTT_V5, "m");
        assert_true(b.present);
        ended(&a, PORCH_MQTT_RC_SESSION_TAKEN_OVER);
        say(&b, "t/a", "mine", 1);
        takes(&b, "t/a", "mine", 1);
        leave(&b);
        online(&b, PORCH_MQTT_V5, "m");
        goodbye(&b, 0);
    }
}

static void nothing_behind_a_refused_connect_is_looked_at(void **state) {
    static const porch_mqtt_version versions[] = {PORCH_MQTT_V5, PORCH_MQTT_V311};
    client k, w;
    hello h;
    (void)state;
    online(&w, PORCH_MQTT_V5, "m");
    assert_int_equal(subscribe(&w, (sub){.filter = "d/cam/#", .qos = 0}), 0x87);
    assert_int_equal(subscribe(&w, (sub){.filter = "t/#", .qos = 0}), 0);
    for (size_t i = 0; i < 2; i++) {
        uint8_t text[256];
        porch_buf b = PORCH_BUF_OF(text);
        porch_mqtt_publish p = {.topic = {PORCH_LIT("t/x")}, .payload = PORCH_LIT("x")};
        ok(porch_mqtt_connect_write(&b, &fresh(&h, versions[i], "bell")->in));
        ok(porch_mqtt_publish_write(&b, versions[i], &p));
        dial(&k, PORCH_IDENTITY_DEVICE, "cam", versions[i]);
        send(&k, porch_buf_bytes(&b));
        assert_int_equal(connack(&k), 0x85);
        silent(&k);
        assert_true(k.c->told);
        leave(&k);
        silent(&w);
    }
    goodbye(&w, 0);
}

/* Nothing goes before CONNACK, even when the store takes its time with the session and messages wait. */
static void connack_comes_first_and_once(void **state) {
    client k, p;
    hello h;
    (void)state;
    online_lasting(&k, PORCH_MQTT_V5, "m");
    assert_int_equal(subscribe(&k, (sub){.filter = "t/#", .qos = 1}), 1);
    leave(&k);
    online(&p, PORCH_MQTT_V5, "m/p");
    say(&p, "t/a", "waits", 1);
    dial(&k, PORCH_IDENTITY_SERVICE, "m", PORCH_MQTT_V5);
    bed.holds_back = bed.has_store;
    send_hello(&k, lasting(fresh(&h, PORCH_MQTT_V5, "m")));
    bed_send(k.c, PORCH_TEST_RAW(0xc0, 0)); /* it may go on talking at once */
    publish(&p, (pub){.topic = "t/b", .payload = "live", .qos = 0});
    if (bed.has_store) silent(&k);
    bed.holds_back = false;
    assert_int_equal(connack(&k), 0);
    assert_true(k.present);
    int pings = 0, messages = 0;
    for (porch_mqtt_packet m; next(&k, &m);) {
        assert_int_not_equal(m.type, PORCH_MQTT_CONNACK);
        pings += m.type == PORCH_MQTT_PINGRESP;
        messages += m.type == PORCH_MQTT_PUBLISH;
    }
    assert_int_equal(pings, 1);
    assert_int_equal(messages, 2);
    goodbye(&p, 0);
    leave(&k);
    /* A hub that goes down, or another connection, ends one that has no CONNACK yet without DISCONNECT. */
    bed.holds_back = bed.has_store;
    dial(&k, PORCH_IDENTITY_SERVICE, "m", PORCH_MQTT_V5);
    send_hello(&k, lasting(fresh(&h, PORCH_MQTT_V5, "m")));
    if (bed.has_store) {
        porch_broker_hooks()->drain(k.c);
        silent(&k);
        assert_true(k.c->told);
    }
    leave(&k);
    bed.holds_back = false;
    online(&k, PORCH_MQTT_V5, "m");
    goodbye(&k, 0);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        PORCH_TEST_BOTH(a_connection_begins_with_one_connect_and_has_no_other),
        PORCH_TEST_BOTH(name_and_level_of_the_protocol_are_judged),
        PORCH_TEST_BOTH(a_connect_that_breaks_the_format_opens_nothing),
        PORCH_TEST_BOTH(a_clean_start_begins_anew_and_another_goes_on),
        PORCH_TEST_BOTH(a_session_waits_as_long_as_agreed),
        PORCH_TEST_BOTH(a_will_is_spoken_after_every_end_but_a_normal_one),
        PORCH_TEST_BOTH(a_will_waits_for_its_delay_or_the_sessions_end),
        PORCH_TEST_BOTH(a_will_keeps_its_retain_flag_and_its_properties),
        PORCH_TEST_BOTH(silence_past_the_keep_alive_ends_the_connection),
        PORCH_TEST_BOTH(nothing_larger_than_the_clients_maximum_is_sent),
        PORCH_TEST_BOTH(topic_aliases_stay_within_what_was_agreed),
        PORCH_TEST_BOTH(response_information_comes_when_it_is_asked_for),
        PORCH_TEST_BOTH(reason_strings_come_only_where_they_are_welcome),
        PORCH_TEST_BOTH(a_client_identifier_is_ones_own_or_is_given),
        PORCH_TEST_BOTH(a_session_has_one_connection),
        PORCH_TEST_BOTH(nothing_behind_a_refused_connect_is_looked_at),
        PORCH_TEST_BOTH(connack_comes_first_and_once),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
