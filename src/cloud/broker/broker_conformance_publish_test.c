/* What the standards ask of a server about PUBLISH and its acknowledgements; see conformancebed.h. */
#include "cloud/broker/conformancebed.h"
#include "cloud/broker/room.h"

/* ---- PUBLISH ---- */

static void dup_says_sent_again_and_nothing_else(void **state) {
    client k, p;
    (void)state;
    online_lasting(&k, PORCH_MQTT_V5, "m");
    assert_int_equal(subscribe(&k, (sub){.filter = "t/#", .qos = 2}), 2);
    online(&p, PORCH_MQTT_V311, "m/p");
    publish(&p, (pub){.topic = "t/a", .payload = "one", .qos = 1, .id = 4, .dup = true});
    (void)acked(&p, PORCH_MQTT_PUBACK, 4);
    publish(&p, (pub){.topic = "t/a", .payload = "two", .qos = 2, .id = 5, .dup = true});
    (void)acked(&p, PORCH_MQTT_PUBREC, 5);
    publish(&p, (pub){.topic = "t/a", .payload = "none", .qos = 0});
    uint16_t one = 0, two = 0;
    porch_mqtt_publish m = hears(&k, "t/a", "one", 1);
    assert_false(m.dup);
    one = m.packet_id;
    m = expect(&k, PORCH_MQTT_PUBLISH).publish;
    if (m.qos ==
        2) { /* QoS 2 of a lasting session may come behind QoS 0: its identifier is written first */
        two = m.packet_id;
        assert_false(m.dup);
        m = hears(&k, "t/a", "none", 0);
    } else {
        assert_false(m.dup);
        m = hears(&k, "t/a", "two", 2);
        two = m.packet_id;
    }
    assert_false(m.dup);
    silent(&k); /* not sent again while the connection lives */
    bed_pass(30000);
    silent(&k);
    leave(&k);
    online_lasting(&k, PORCH_MQTT_V5, "m");
    m = hears(&k, "t/a", "one", 1);
    assert_true(m.dup);
    assert_int_equal(m.packet_id, one);
    m = hears(&k, "t/a", "two", 2);
    assert_true(m.dup);
    assert_int_equal(m.packet_id, two);
    silent(&k);
    goodbye(&p, 0);
    leave(&k);
    online(&k, PORCH_MQTT_V5, "m");
    send(&k, PORCH_TEST_RAW(0x38, 6, 0, 3, 't', '/', 'a', 0)); /* DUP with QoS 0 */
    ended(&k, PORCH_MQTT_RC_MALFORMED_PACKET);
}

static void retained_messages_are_kept_replaced_and_cleared(void **state) {
    static const porch_mqtt_version versions[] = {PORCH_MQTT_V5, PORCH_MQTT_V311};
    client k, p;
    (void)state;
    for (size_t i = 0; i < 2; i++) {
        porch_mqtt_version v = versions[i];
        online(&p, v, "m/p");
        for (uint8_t qos = 0; qos < 3; qos++) {
            publish(&p, (pub){.topic = "t/r", .payload = "old", .retain = true});
            publish(&p,
                    (pub){.topic = "t/r", .payload = "new", .qos = qos, .id = qos ? 3 : 0, .retain = true});
            publish(&p, (pub){.topic = "t/r", .payload = "passing", .qos = 0}); /* changes nothing */
            bed_work();
            online(&k, v, "m/k");
            assert_int_equal(subscribe(&k, (sub){.filter = "t/r", .qos = 2}), 2);
            porch_mqtt_publish m = hears(&k, "t/r", "new", qos); /* with the quality that it had */
            assert_true(m.retain);
            silent(&k);
            publish(&p, (pub){.topic = "t/r", .payload = "", .qos = 0, .retain = true});
            m = hears(&k, "t/r", "", 0); /* live it is a message like any other */
            assert_false(m.retain);
            goodbye(&k, 0);
            online(&k, v, "m/k");
            assert_int_equal(subscribe(&k, (sub){.filter = "t/r", .qos = 2}), 2);
            silent(&k);
            goodbye(&k, 0);
            bed_read(p.c, p.c->out_len);
            p.taken = 0;
            if (qos == 2) ack(&p, PORCH_MQTT_PUBREL, 3, 0);
            bed_read(p.c, p.c->out_len);
        }
        leave(&p);
    }
}

/* All of them come, through the smallest queue, to a client that is away for a while; and while it is, its
 * shard has nothing to do for them. */
static void retained_messages_come_however_small_the_queue(void **state) {
    enum { COUNT = 60 };
    client k, p;
    char topic[16];
    bool had[COUNT] = {false};
    (void)state;
    online(&p, PORCH_MQTT_V5, "m/p");
    for (int i = 0; i < COUNT; i++) {
        (void)snprintf(topic, sizeof topic, "t/%d", i);
        publish(&p, (pub){.topic = topic, .payload = topic, .retain = true});
    }
    leave(&p);
    online_lasting(&k, PORCH_MQTT_V5, "m");
    assert_int_equal(subscribe(&k, (sub){.filter = "t/+", .qos = 1}), 1);
    k.c->deaf = true;
    bed_work();
    bed_read(k.c, k.taken);
    k.taken = 0;
    for (int round = 0; round < 2; round++) {
        for (porch_mqtt_packet m; next(&k, &m);) {
            assert_int_equal(m.type, PORCH_MQTT_PUBLISH);
            assert_true(porch_bytes_to_text(m.publish.topic.text, topic, sizeof topic));
            had[strtol(topic + 2, NULL, 10)] = true;
        }
        if (round > 0) break;
        leave(&k);
        bed_pass(3000);
        uint64_t asked = bed.agains;
        bed_pass(10000);
        assert_true(bed.agains - asked < 100);
        online_lasting(&k, PORCH_MQTT_V5, "m");
        assert_true(k.present);
    }
    for (int i = 0; i < COUNT; i++)
        if (!had[i]) fail_msg("t/%d never came", i);
    leave(&k);
    online(&k, PORCH_MQTT_V5, "m");
    goodbye(&k, 0);
}

static void retain_handling_says_when_they_come(void **state) {
    client k, p;
    (void)state;
    online(&p, PORCH_MQTT_V5, "m/p");
    publish(&p, (pub){.topic = "t/r", .payload = "kept", .retain = true});
    online(&k, PORCH_MQTT_V5, "m/k");
    static const struct {
        uint8_t handling;
        bool comes;
    } rows[] = {{2, false}, {1, false}, {0, true}, {0, true}, {1, false}};
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) { /* the first subscribes, the others again */
        assert_int_equal(subscribe(&k, (sub){.filter = "t/+", .qos = 1, .handling = rows[i].handling}), 1);
        if (rows[i].comes) (void)hears(&k, "t/r", "kept", 0);
        silent(&k);
    }
    assert_int_equal(subscribe(&k, (sub){.filter = "t/#", .qos = 1, .handling = 1}), 1);
    (void)hears(&k, "t/r", "kept", 0);
    silent(&k);
    goodbye(&k, 0);
    goodbye(&p, 0);
}

static void retain_as_published_keeps_the_flag(void **state) {
    client k, p;
    (void)state;
    online(&p, PORCH_MQTT_V5, "m/p");
    online(&k, PORCH_MQTT_V5, "m/k");
    for (int keeps = 0; keeps < 2; keeps++) {
        assert_int_equal(subscribe(&k, (sub){.filter = "t/#", .handling = 2, .as_published = keeps != 0}),
                         0);
        publish(&p, (pub){.topic = "t/r", .payload = "with", .retain = true});
        assert_int_equal(hears(&k, "t/r", "with", 0).retain, keeps);
        publish(&p, (pub){.topic = "t/r", .payload = "without"});
        assert_false(hears(&k, "t/r", "without", 0).retain);
    }
    goodbye(&k, 0);
    goodbye(&p, 0);
}

static void properties_travel_unaltered_and_in_their_order(void **state) {
    client k, p;
    uint8_t raw[400];
    porch_buf b = PORCH_BUF_OF(raw);
    (void)state;
    ok(porch_mqtt_property_put_pair(&b, PORCH_MQTT_PROP_USER_PROPERTY, PORCH_LIT("z"), PORCH_LIT("1")));
    ok(porch_mqtt_property_put_number(&b, PORCH_MQTT_PROP_PAYLOAD_FORMAT, 1));
    ok(porch_mqtt_property_put_text(&b, PORCH_MQTT_PROP_RESPONSE_TOPIC, PORCH_LIT("t/answers")));
    ok(porch_mqtt_property_put_text(&b, PORCH_MQTT_PROP_CORRELATION_DATA, PORCH_LIT("\xff\x01")));
    ok(porch_mqtt_property_put_pair(&b, PORCH_MQTT_PROP_USER_PROPERTY, PORCH_LIT("a"), PORCH_LIT("2")));
    ok(porch_mqtt_property_put_text(&b, PORCH_MQTT_PROP_CONTENT_TYPE, PORCH_LIT("text/plain\xef\xbb\xbf")));
    ok(porch_mqtt_property_put_pair(&b, PORCH_MQTT_PROP_USER_PROPERTY, PORCH_LIT("z"), PORCH_LIT("1")));
    online(&p, PORCH_MQTT_V5, "m/p");
    online(&k, PORCH_MQTT_V5, "m/k");
    assert_int_equal(subscribe(&k, (sub){.filter = "t/#", .qos = 2}), 2);
    for (uint8_t qos = 0; qos < 2; qos++) {
        publish(&p, (pub){.topic = "t/a",
                          .payload = "x",
                          .qos = qos,
                          .id = qos ? 8 : 0,
                          .props = porch_buf_bytes(&b)});
        porch_bytes got = hears(&k, "t/a", "x", qos).properties.raw;
        assert_true(porch_bytes_eq(got, porch_buf_bytes(&b)));
    }
    goodbye(&k, 0);
    goodbye(&p, 0);
}

static void a_message_expires_where_it_waits(void **state) {
    client k, p;
    (void)state;
    porch_bytes ten = PORCH_TEST_RAW(2, 0, 0, 0, 10);
    online_lasting(&k, PORCH_MQTT_V5, "m");
    assert_int_equal(subscribe(&k, (sub){.filter = "t/#", .qos = 2}), 2);
    leave(&k);
    online(&p, PORCH_MQTT_V5, "m/p");
    publish(&p, (pub){.topic = "t/a", .payload = "soon", .qos = 1, .id = 1, .props = ten});
    bed_pass(4000);
    online_lasting(&k, PORCH_MQTT_V5, "m");
    porch_mqtt_publish m = hears(&k, "t/a", "soon", 1); /* on its way it may grow old */
    uint32_t left = porch_mqtt_property_number(&m.properties, PORCH_MQTT_PROP_MESSAGE_EXPIRY, 0);
    assert_in_range(left, 5, 6);
    publish(&p, (pub){.topic = "t/a", .payload = "two", .qos = 2, .id = 2, .props = ten});
    uint16_t two = hears(&k, "t/a", "two", 2).packet_id;
    leave(&k);
    publish(&p, (pub){.topic = "t/a", .payload = "late", .qos = 1, .id = 3, .props = ten});
    bed_pass(11000);
    online_lasting(&k, PORCH_MQTT_V5, "m");
    (void)hears(&k, "t/a", "soon", 1);
    assert_int_equal(hears(&k, "t/a", "two", 2).packet_id, two); /* sent before: its steps are finished */
    ack(&k, PORCH_MQTT_PUBREC, two, 0);
    (void)acked(&k, PORCH_MQTT_PUBREL, two);
    silent(&k);
    leave(&p);
    leave(&k);
    online(&k, PORCH_MQTT_V5, "m");
    goodbye(&k, 0);
}

static uint64_t written(void) {
    return bed.tickets[0] + bed.tickets[1];
}

static void a_retained_message_that_has_expired_is_discarded(void **state) {
    uint8_t raw[8];
    porch_buf props = PORCH_BUF_OF(raw);
    porch_broker_counts counts;
    client cam;
    hello h;
    (void)state;
    ok(porch_mqtt_property_put_number(&props, PORCH_MQTT_PROP_MESSAGE_EXPIRY, 2));
    bed.broker->settings.broker_retained_device_messages = 1;
    assert_int_equal(greet(&cam, PORCH_IDENTITY_DEVICE, "cam", fresh(&h, PORCH_MQTT_V5, "cam")), 0);
    publish(&cam, (pub){.topic = "d/cam/brief",
                        .payload = "1",
                        .qos = 1,
                        .id = 1,
                        .retain = true,
                        .props = porch_buf_bytes(&props)});
    assert_int_equal(acked(&cam, PORCH_MQTT_PUBACK, 1), 0);
    publish(&cam, (pub){.topic = "d/cam/other", .payload = "1", .qos = 1, .id = 2, .retain = true});
    assert_int_equal(acked(&cam, PORCH_MQTT_PUBACK, 2), PORCH_MQTT_RC_QUOTA_EXCEEDED);
    uint64_t before = written();
    bed_pass(5000);
    porch_broker_read_counts(bed.broker, &counts);
    assert_int_equal(counts.retained, 0);
    assert_int_equal(written() - before, 1); /* once, for all shards */
    publish(&cam, (pub){.topic = "d/cam/other", .payload = "1", .qos = 1, .id = 3, .retain = true});
    assert_int_equal(acked(&cam, PORCH_MQTT_PUBACK, 3), 0);
    goodbye(&cam, 0);
}

static void what_waits_for_its_commit_counts_as_retained(void **state) {
    static const char *const topics[] = {"d/cam/a", "d/cam/b", "d/cam/a", "d/cam/c"};
    client cam, m;
    hello h;
    (void)state;
    bed.broker->settings.broker_retained_device_messages = 3;
    bed.broker->settings.broker_retained_messages = 4;
    assert_int_equal(greet(&cam, PORCH_IDENTITY_DEVICE, "cam", fresh(&h, PORCH_MQTT_V5, "cam")), 0);
    online(&m, PORCH_MQTT_V5, "m");
    bed.holds_back = true;
    for (uint16_t i = 0; i < 4; i++)
        publish(&cam, (pub){.topic = topics[i], .payload = "1", .qos = 1, .id = i + 1, .retain = true});
    publish(&m, (pub){.topic = "t/a", .payload = "1", .qos = 1, .id = 1, .retain = true});
    publish(&m, (pub){.topic = "t/b", .payload = "1", .qos = 1, .id = 2, .retain = true});
    bed.holds_back = false;
    for (uint16_t i = 0; i < 4; i++)
        assert_int_equal(acked(&cam, PORCH_MQTT_PUBACK, i + 1), i < 3 ? 0 : PORCH_MQTT_RC_QUOTA_EXCEEDED);
    assert_int_equal(acked(&m, PORCH_MQTT_PUBACK, 1), 0);
    assert_int_equal(acked(&m, PORCH_MQTT_PUBACK, 2), PORCH_MQTT_RC_QUOTA_EXCEEDED);
    /* What is refused, or replaces what is there, adds nothing. */
    bed.store_result = PORCH_ERR_FULL;
    publish(&cam, (pub){.topic = "d/cam/c", .payload = "1", .qos = 1, .id = 5, .retain = true});
    assert_int_equal(acked(&cam, PORCH_MQTT_PUBACK, 5), PORCH_MQTT_RC_QUOTA_EXCEEDED);
    bed.store_result = PORCH_OK;
    publish(&cam, (pub){.topic = "d/cam/c", .payload = "1", .qos = 1, .id = 6, .retain = true});
    assert_int_equal(acked(&cam, PORCH_MQTT_PUBACK, 6), 0);
    bed.holds_back = true;
    for (uint16_t i = 0; i < 4; i++)
        publish(&cam, (pub){.topic = topics[i], .payload = "2", .qos = 1, .id = i + 1, .retain = true});
    bed.holds_back = false;
    for (uint16_t i = 0; i < 4; i++)
        assert_int_equal(acked(&cam, PORCH_MQTT_PUBACK, i + 1), 0);
    goodbye(&m, 0);
    goodbye(&cam, 0);
}

static void overlapping_subscriptions_give_one_copy_with_all_identifiers(void **state) {
    client k, p;
    (void)state;
    online(&p, PORCH_MQTT_V5, "m/p");
    online(&k, PORCH_MQTT_V5, "m/k");
    assert_int_equal(subscribe(&k, (sub){.filter = "t/#", .qos = 0, .identifier = 7}), 0);
    assert_int_equal(subscribe(&k, (sub){.filter = "t/+", .qos = 2, .identifier = 70000}), 2);
    assert_int_equal(subscribe(&k, (sub){.filter = "t/a", .qos = 1}), 1);
    say(&p, "t/a", "x", 2);
    porch_mqtt_publish m = hears(&k, "t/a", "x", 2);
    porch_mqtt_property one;
    uint64_t sum = 0;
    for (porch_bytes rest = m.properties.raw; porch_mqtt_property_next(&rest, &one);)
        if (one.id == PORCH_MQTT_PROP_SUBSCRIPTION_ID) sum += one.number;
    assert_int_equal(sum, 70007);
    silent(&k);
    say(&p, "t/a", "y", 1); /* no better than it was published */
    (void)hears(&k, "t/a", "y", 1);
    silent(&k);
    goodbye(&k, 0);
    goodbye(&p, 0);
}

static void a_client_sends_no_subscription_identifier(void **state) {
    client k;
    (void)state;
    online(&k, PORCH_MQTT_V5, "m");
    send(&k, PORCH_TEST_RAW(0x30, 7, 0, 2, 't', '/', 2, 0x0b, 1));
    ended(&k, PORCH_MQTT_RC_PROTOCOL_ERROR);
}

static void receive_maximum_holds_towards_the_client(void **state) {
    client k, p;
    hello h;
    (void)state;
    online(&p, PORCH_MQTT_V5, "m/p");
    for (uint8_t qos = 1; qos < 3; qos++) {
        lasting(fresh(&h, PORCH_MQTT_V5, "m"));
        assert_int_equal(
            greet(&k, PORCH_IDENTITY_SERVICE, "m", with(&h, PORCH_MQTT_PROP_RECEIVE_MAXIMUM, 3)), 0);
        assert_int_equal(subscribe(&k, (sub){.filter = "t/#", .qos = qos}), qos);
        for (int i = 0; i < 8; i++)
            say(&p, "t/a", "x", 2);
        uint16_t first = hears(&k, "t/a", "x", qos).packet_id;
        (void)hears(&k, "t/a", "x", qos);
        (void)hears(&k, "t/a", "x", qos);
        silent(&k);
        say(&p, "t/a", "free", 0);         /* QoS 0 is not counted, though it keeps its place */
        send(&k, PORCH_TEST_RAW(0xc0, 0)); /* and nothing else waits */
        (void)expect(&k, PORCH_MQTT_PINGRESP);
        unsubscribe(&k, "t/none");
        (void)expect(&k, PORCH_MQTT_UNSUBACK);
        if (qos == 1) {
            ack(&k, PORCH_MQTT_PUBACK, first, 0);
            (void)hears(&k, "t/a", "x", qos);
            silent(&k);
        } else {
            ack(&k, PORCH_MQTT_PUBREC, first, 0);
            (void)acked(&k, PORCH_MQTT_PUBREL, first);
            silent(&k); /* PUBREC gives no room back */
            ack(&k, PORCH_MQTT_PUBCOMP, first, 0);
            uint16_t refused = hears(&k, "t/a", "x", qos).packet_id;
            silent(&k);
            ack(&k, PORCH_MQTT_PUBREC, refused, 0x80); /* but a refusal does */
            (void)hears(&k, "t/a", "x", qos);
            silent(&k);
        }
        leave(&k);
        online(&k, PORCH_MQTT_V5, "m");
        goodbye(&k, 0);
    }
    goodbye(&p, 0);
}

static void a_smaller_receive_maximum_holds_for_what_is_sent_again(void **state) {
    client k, p;
    hello h;
    (void)state;
    online(&p, PORCH_MQTT_V5, "m/p");
    online_lasting(&k, PORCH_MQTT_V5, "m");
    assert_int_equal(subscribe(&k, (sub){.filter = "t/#", .qos = 2}), 2);
    char text[8];
    for (int i = 0; i < 6; i++) {
        (void)snprintf(text, sizeof text, "%d", i);
        say(&p, "t/a", text, i == 5 ? 2 : 1);
        (void)hears(&k, "t/a", text, i == 5 ? 2 : 1);
    }
    leave(&k);
    say(&p, "t/a", "last", 1);
    lasting(fresh(&h, PORCH_MQTT_V5, "m"));
    assert_int_equal(greet(&k, PORCH_IDENTITY_SERVICE, "m", with(&h, PORCH_MQTT_PROP_RECEIVE_MAXIMUM, 2)),
                     0);
    uint16_t ids[2];
    ids[0] = hears(&k, "t/a", "0", 1).packet_id;
    ids[1] = hears(&k, "t/a", "1", 1).packet_id;
    silent(&k);
    for (int i = 2; i < 5; i++) {
        (void)snprintf(text, sizeof text, "%d", i);
        ack(&k, PORCH_MQTT_PUBACK, ids[0], 0);
        ids[0] = ids[1];
        ids[1] = hears(&k, "t/a", text, 1).packet_id;
        silent(&k);
    }
    ack(&k, PORCH_MQTT_PUBACK, ids[0], 0);
    takes(&k, "t/a", "5", 2);
    ack(&k, PORCH_MQTT_PUBACK, ids[1], 0);
    takes(&k, "t/a", "last", 1);
    silent(&k);
    leave(&k);
    online(&k, PORCH_MQTT_V5, "m");
    goodbye(&k, 0);
    goodbye(&p, 0);
}

static void fill_the_window(client *k, uint32_t most) {
    for (uint32_t i = 1; i <= most; i++) {
        publish(k, (pub){.topic = "t/a", .payload = "x", .qos = 2, .id = (uint16_t)i});
        (void)acked(k, PORCH_MQTT_PUBREC, (uint16_t)i);
    }
    publish(k, (pub){.topic = "t/a", .payload = "x", .qos = 2, .id = 3, .dup = true}); /* known */
    (void)acked(k, PORCH_MQTT_PUBREC, 3);
    publish(k, (pub){.topic = "t/a", .payload = "x"}); /* not counted */
}

static void more_publications_than_receive_maximum_end_the_session(void **state) {
    client k;
    hello h;
    (void)state;
    assert_int_equal(greet(&k, PORCH_IDENTITY_SERVICE, "m", fresh(&h, PORCH_MQTT_V5, "m")), 0);
    uint32_t most = porch_mqtt_property_number(&k.properties, PORCH_MQTT_PROP_RECEIVE_MAXIMUM, 65535);
    assert_int_equal(most, bed.settings.broker_receive_maximum);
    fill_the_window(&k, most);
    publish(&k, (pub){.topic = "t/a", .payload = "x", .qos = 1, .id = (uint16_t)(most + 1)});
    ended(&k, PORCH_MQTT_RC_RECEIVE_MAXIMUM_EXCEEDED);
}

/* It was told no limit; but every PUBREL that could make room would stand behind a packet that is not read.
 */
static void an_older_client_that_releases_nothing_is_not_left_waiting(void **state) {
    for (uint8_t qos = 1; qos <= 2; qos++) {
        client k;
        (void)state;
        online(&k, PORCH_MQTT_V311, "m");
        uint32_t most = bed.settings.broker_receive_maximum;
        fill_the_window(&k, most);
        publish(&k, (pub){.topic = "t/a", .payload = "x", .qos = qos, .id = (uint16_t)(most + 1)});
        ended(&k, PORCH_MQTT_RC_RECEIVE_MAXIMUM_EXCEEDED);
    }
}

/* ---- acknowledgements ---- */

static void qos_1_is_answered_by_its_identifier(void **state) {
    static const porch_mqtt_version versions[] = {PORCH_MQTT_V5, PORCH_MQTT_V311};
    client k, p;
    (void)state;
    for (size_t i = 0; i < 2; i++) {
        online(&k, PORCH_MQTT_V5, "m/k");
        assert_int_equal(subscribe(&k, (sub){.filter = "t/#", .qos = 1}), 1);
        online(&p, versions[i], "m/p");
        for (int round = 0; round < 2; round++) { /* after PUBACK it is a new message, DUP or not */
            publish(&p, (pub){.topic = "t/a", .payload = "x", .qos = 1, .id = 65535, .dup = round > 0});
            assert_int_equal(acked(&p, PORCH_MQTT_PUBACK, 65535), 0);
            takes(&k, "t/a", "x", 1);
        }
        silent(&k);
        goodbye(&k, 0);
        goodbye(&p, 0);
    }
}

static void qos_2_is_taken_once(void **state) {
    static const porch_mqtt_version versions[] = {PORCH_MQTT_V5, PORCH_MQTT_V311};
    client k, p;
    (void)state;
    for (size_t i = 0; i < 2; i++) {
        online(&k, PORCH_MQTT_V5, "m/k");
        assert_int_equal(subscribe(&k, (sub){.filter = "t/#", .qos = 1}), 1);
        online_lasting(&p, versions[i], "m/p");
        pub twice = {.topic = "t/a", .payload = "once", .qos = 2, .id = 12};
        publish(&p, twice);
        assert_int_equal(acked(&p, PORCH_MQTT_PUBREC, 12), 0);
        takes(&k, "t/a", "once", 1);
        twice.dup = true;
        publish(&p, twice);
        assert_int_equal(acked(&p, PORCH_MQTT_PUBREC, 12), 0);
        leave(&p);
        online_lasting(&p, versions[i], "m/p");
        publish(&p, twice);
        assert_int_equal(acked(&p, PORCH_MQTT_PUBREC, 12), 0);
        silent(&k);
        ack(&p, PORCH_MQTT_PUBREL, 12, 0);
        assert_int_equal(acked(&p, PORCH_MQTT_PUBCOMP, 12), 0);
        ack(&p, PORCH_MQTT_PUBREL, 12, 0); /* said again it is answered again */
        assert_int_equal(acked(&p, PORCH_MQTT_PUBCOMP, 12), versions[i] == PORCH_MQTT_V5 ? 0x92 : 0);
        publish(&p, twice); /* the identifier is free again: a new message */
        assert_int_equal(acked(&p, PORCH_MQTT_PUBREC, 12), 0);
        takes(&k, "t/a", "once", 1);
        leave(&p);
        goodbye(&k, 0);
        online(&p, PORCH_MQTT_V5, "m/p");
        goodbye(&p, 0);
    }
    /* A refused one is forgotten: the next with its identifier is new (5.0). */
    online(&p, PORCH_MQTT_V5, "m/p");
    publish(&p, (pub){.topic = "elsewhere", .payload = "x", .qos = 2, .id = 12});
    assert_int_equal(acked(&p, PORCH_MQTT_PUBREC, 12), PORCH_MQTT_RC_NOT_AUTHORIZED);
    publish(&p, (pub){.topic = "t/a", .payload = "x", .qos = 2, .id = 12});
    assert_int_equal(acked(&p, PORCH_MQTT_PUBREC, 12), 0);
    goodbye(&p, 0);
}

/* The store is asked once for each; two questions on one connection get two answers. */
static void what_is_said_twice_before_the_commit_is_answered_twice(void **state) {
    client k, p;
    (void)state;
    online(&k, PORCH_MQTT_V5, "m/k");
    assert_int_equal(subscribe(&k, (sub){.filter = "t/#", .qos = 1}), 1);
    online_lasting(&p, PORCH_MQTT_V5, "m/p");
    bed.holds_back = bed.has_store;
    pub twice = {.topic = "t/a", .payload = "once", .qos = 2, .id = 12};
    publish(&p, twice);
    publish(&p, twice);
    publish(&p, (pub){.topic = "t/a", .payload = "behind", .qos = 1, .id = 13});
    bed.holds_back = false;
    assert_int_equal(acked(&p, PORCH_MQTT_PUBREC, 12), 0);
    assert_int_equal(acked(&p, PORCH_MQTT_PUBREC, 12), 0);
    assert_int_equal(acked(&p, PORCH_MQTT_PUBACK, 13), 0);
    takes(&k, "t/a", "once", 1);
    takes(&k, "t/a", "behind", 1);
    silent(&k);
    bed.holds_back = bed.has_store;
    ack(&p, PORCH_MQTT_PUBREL, 12, 0);
    ack(&p, PORCH_MQTT_PUBREL, 12, 0);
    publish(&p, (pub){.topic = "t/a", .payload = "last", .qos = 1, .id = 14});
    bed.holds_back = false;
    assert_int_equal(acked(&p, PORCH_MQTT_PUBCOMP, 12), 0);
    assert_int_equal(acked(&p, PORCH_MQTT_PUBCOMP, 12), 0x92);
    assert_int_equal(acked(&p, PORCH_MQTT_PUBACK, 14), 0);
    leave(&p);
    goodbye(&k, 0);
    online(&p, PORCH_MQTT_V5, "m/p");
    goodbye(&p, 0);
}

static void qos_2_is_handed_over_step_by_step(void **state) {
    static const porch_mqtt_version versions[] = {PORCH_MQTT_V5, PORCH_MQTT_V311};
    client k, p;
    (void)state;
    for (size_t i = 0; i < 2; i++) {
        porch_mqtt_version v = versions[i];
        online(&p, PORCH_MQTT_V5, "m/p");
        online_lasting(&k, v, "m/k");
        assert_int_equal(subscribe(&k, (sub){.filter = "t/#", .qos = 2}), 2);
        say(&p, "t/a", "x", 2);
        uint16_t id = hears(&k, "t/a", "x", 2).packet_id;
        leave(&k);
        online_lasting(&k, v, "m/k"); /* not yet PUBREC: the PUBLISH comes again */
        porch_mqtt_publish m = hears(&k, "t/a", "x", 2);
        assert_int_equal(m.packet_id, id);
        assert_true(m.dup);
        ack(&k, PORCH_MQTT_PUBREC, id, 0);
        assert_int_equal(acked(&k, PORCH_MQTT_PUBREL, id), 0);
        leave(&k);
        online_lasting(&k, v, "m/k"); /* now PUBREL comes again, the PUBLISH never more */
        assert_int_equal(acked(&k, PORCH_MQTT_PUBREL, id), 0);
        silent(&k);
        ack(&k, PORCH_MQTT_PUBCOMP, id, 0);
        leave(&k);
        online_lasting(&k, v, "m/k");
        silent(&k);
        ack(&k, PORCH_MQTT_PUBREC, 4711, 0); /* for nothing */
        assert_int_equal(acked(&k, PORCH_MQTT_PUBREL, 4711), v == PORCH_MQTT_V5 ? 0x92 : 0);
        leave(&k);
        goodbye(&p, 0);
        online(&k, PORCH_MQTT_V5, "m/k");
        goodbye(&k, 0);
    }
    /* Refused by the client, it is done with (5.0). */
    online(&p, PORCH_MQTT_V5, "m/p");
    online_lasting(&k, PORCH_MQTT_V5, "m/k");
    assert_int_equal(subscribe(&k, (sub){.filter = "t/#", .qos = 2}), 2);
    say(&p, "t/a", "one", 1);
    say(&p, "t/a", "two", 2);
    ack(&k, PORCH_MQTT_PUBACK, hears(&k, "t/a", "one", 1).packet_id, 0x83);
    ack(&k, PORCH_MQTT_PUBREC, hears(&k, "t/a", "two", 2).packet_id, 0x83);
    silent(&k);
    leave(&k);
    online_lasting(&k, PORCH_MQTT_V5, "m/k");
    silent(&k);
    leave(&k);
    online(&k, PORCH_MQTT_V5, "m/k");
    goodbye(&k, 0);
    goodbye(&p, 0);
}

/* A client that comes back after a crash may hold the identifier, whatever the delivery was. */
static void a_lasting_sessions_identifier_is_written_down_before_it_is_used(void **state) {
    client p, c;
    (void)state;
    online(&p, PORCH_MQTT_V5, "m/p");
    publish(&p, (pub){.topic = "t/kept", .payload = "kept", .qos = 1, .id = 1, .retain = true});
    assert_int_equal(acked(&p, PORCH_MQTT_PUBACK, 1), 0);
    publish(&p, (pub){.topic = "t/kept", .payload = "kept", .qos = 2, .id = 2, .retain = true});
    assert_int_equal(acked(&p, PORCH_MQTT_PUBREC, 2), 0);
    online_lasting(&c, PORCH_MQTT_V5, "m/c");
    uint64_t before = written();
    assert_int_equal(subscribe(&c, (sub){"t/kept", .qos = 1}), 1);
    takes(&c, "t/kept", "kept", 1);
    assert_int_equal(written() - before, 1); /* the subscription */
    before = written();
    assert_int_equal(subscribe(&c, (sub){"t/kept", .qos = 2}), 2);
    hears(&c, "t/kept", "kept", 2);
    assert_int_equal(written() - before, 2); /* and the identifier */
    before = written();
    assert_int_equal(subscribe(&c, (sub){"$share/g/t/work", .qos = 2}), 2);
    publish(&p, (pub){.topic = "t/work", .payload = "shared", .qos = 2, .id = 3});
    assert_int_equal(acked(&p, PORCH_MQTT_PUBREC, 3), 0);
    hears(&c, "t/work", "shared", 2);
    assert_int_equal(written() - before, 3); /* the publication, too */
    leave(&p);
    leave(&c);
}

static void a_refused_publish_has_its_versions_answer(void **state) {
    client k;
    (void)state;
    for (uint8_t qos = 1; qos < 3; qos++) {
        porch_mqtt_type type = qos == 1 ? PORCH_MQTT_PUBACK : PORCH_MQTT_PUBREC;
        pub p = {.topic = "elsewhere", .payload = "x", .qos = qos, .id = 9};
        online(&k, PORCH_MQTT_V5, "m");
        publish(&k, p);
        assert_int_equal(acked(&k, type, 9), PORCH_MQTT_RC_NOT_AUTHORIZED);
        p.topic = "t/a";
        p.payload = "\xff";
        p.props = PORCH_TEST_RAW(1, 1);
        publish(&k, p);
        assert_int_equal(acked(&k, type, 9), PORCH_MQTT_RC_PAYLOAD_FORMAT_INVALID);
        goodbye(&k, 0);
        online(&k, PORCH_MQTT_V311, "m");
        publish(&k, (pub){.topic = "elsewhere", .payload = "x", .qos = qos, .id = 9});
        (void)acked(&k, type, 9);
        if (qos == 2) {
            ack(&k, PORCH_MQTT_PUBREL, 9, 0);
            (void)acked(&k, PORCH_MQTT_PUBCOMP, 9);
        }
        goodbye(&k, 0);
    }
}

int main(void) {
    const struct CMUnitTest tests[] = {
        PORCH_TEST_BOTH(dup_says_sent_again_and_nothing_else),
        PORCH_TEST_BOTH(retained_messages_are_kept_replaced_and_cleared),
        cmocka_unit_test_setup_teardown(retained_messages_come_however_small_the_queue, begin_small, end),
        PORCH_TEST_BOTH(retain_handling_says_when_they_come),
        PORCH_TEST_BOTH(retain_as_published_keeps_the_flag),
        PORCH_TEST_BOTH(properties_travel_unaltered_and_in_their_order),
        PORCH_TEST_BOTH(a_message_expires_where_it_waits),
        cmocka_unit_test_setup_teardown(a_retained_message_that_has_expired_is_discarded, begin_with, end),
        cmocka_unit_test_setup_teardown(what_waits_for_its_commit_counts_as_retained, begin_with, end),
        PORCH_TEST_BOTH(overlapping_subscriptions_give_one_copy_with_all_identifiers),
        PORCH_TEST_BOTH(a_client_sends_no_subscription_identifier),
        PORCH_TEST_BOTH(receive_maximum_holds_towards_the_client),
        PORCH_TEST_BOTH(a_smaller_receive_maximum_holds_for_what_is_sent_again),
        PORCH_TEST_BOTH(more_publications_than_receive_maximum_end_the_session),
        PORCH_TEST_BOTH(an_older_client_that_releases_nothing_is_not_left_waiting),
        PORCH_TEST_BOTH(qos_1_is_answered_by_its_identifier),
        PORCH_TEST_BOTH(qos_2_is_taken_once),
        PORCH_TEST_BOTH(what_is_said_twice_before_the_commit_is_answered_twice),
        PORCH_TEST_BOTH(qos_2_is_handed_over_step_by_step),
        cmocka_unit_test_setup_teardown(a_lasting_sessions_identifier_is_written_down_before_it_is_used,
                                        begin_with, end),
        PORCH_TEST_BOTH(a_refused_publish_has_its_versions_answer),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
