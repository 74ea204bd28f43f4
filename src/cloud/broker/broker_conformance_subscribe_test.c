/* What the standards ask of a server about SUBSCRIBE, UNSUBSCRIBE, and how a server works; see
 * conformancebed.h. */
#include "cloud/broker/conformancebed.h"
#include "cloud/broker/room.h"

/* ---- SUBSCRIBE, UNSUBSCRIBE ---- */

static void each_filter_has_its_code_in_its_place(void **state) {
    static const porch_mqtt_version versions[] = {PORCH_MQTT_V5, PORCH_MQTT_V311};
    client k;
    (void)state;
    for (size_t v = 0; v < 2; v++) {
        static const struct {
            const char *filter;
            uint8_t qos, v5;
        } rows[] = {{"t/a", 0, 0}, {"elsewhere", 1, 0x87}, {"t/b", 2, 2}, {"t/c", 1, 1}, {"#", 1, 0x87}};
        uint8_t text[512], list[400];
        porch_buf b = PORCH_BUF_OF(text), l = PORCH_BUF_OF(list);
        porch_mqtt_subscribe in = {.packet_id = 65535, .count = 5};
        online(&k, versions[v], "m");
        for (size_t i = 0; i < 5; i++) {
            porch_mqtt_subscription one = {.text = porch_bytes_of(rows[i].filter), .qos = rows[i].qos};
            ok(porch_mqtt_subscription_put(&l, versions[v], &one));
        }
        in.filters = porch_buf_bytes(&l);
        ok(porch_mqtt_subscribe_write(&b, versions[v], &in));
        send(&k, porch_buf_bytes(&b));
        porch_mqtt_suback got = expect(&k, PORCH_MQTT_SUBACK).suback;
        assert_int_equal(got.packet_id, 65535);
        assert_int_equal(got.reasons.len, 5);
        for (size_t i = 0; i < 5; i++)
            assert_int_equal(got.reasons.at[i],
                             rows[i].v5 >= 0x80 && versions[v] == PORCH_MQTT_V311 ? 0x80 : rows[i].v5);
        l.len = b.len = 0;
        porch_mqtt_unsubscribe out = {.packet_id = 65534, .count = 3};
        ok(porch_mqtt_unsubscription_put(&l, PORCH_LIT("t/c")));
        ok(porch_mqtt_unsubscription_put(&l, PORCH_LIT("t/none")));
        ok(porch_mqtt_unsubscription_put(&l, PORCH_LIT("t/a")));
        out.filters = porch_buf_bytes(&l);
        ok(porch_mqtt_unsubscribe_write(&b, versions[v], &out));
        send(&k, porch_buf_bytes(&b));
        got = expect(&k, PORCH_MQTT_UNSUBACK).suback;
        assert_int_equal(got.packet_id, 65534);
        if (versions[v] == PORCH_MQTT_V5) {
            assert_int_equal(got.reasons.len, 3);
            assert_memory_equal(got.reasons.at, "\0\x11\0", 3);
        }
        goodbye(&k, 0);
    }
}

static void the_same_filter_again_replaces_and_loses_nothing(void **state) {
    client k, p;
    (void)state;
    online(&p, PORCH_MQTT_V5, "m/p");
    online(&k, PORCH_MQTT_V5, "m/k");
    publish(&p, (pub){.topic = "t/a", .payload = "kept", .retain = true});
    assert_int_equal(subscribe(&k, (sub){.filter = "t/a", .qos = 0, .identifier = 1}), 0);
    (void)hears(&k, "t/a", "kept", 0);
    assert_int_equal(subscribe(&k, (sub){.filter = "t/a", .qos = 1, .identifier = 2}), 1);
    (void)hears(&k, "t/a", "kept", 0); /* retained messages come again */
    say(&p, "t/a", "x", 1);
    porch_mqtt_publish m = hears(&k, "t/a", "x", 1);
    assert_int_equal(porch_mqtt_property_number(&m.properties, PORCH_MQTT_PROP_SUBSCRIPTION_ID, 0), 2);
    silent(&k);
    goodbye(&k, 0);
    goodbye(&p, 0);
}

static void unsubscribing_stops_what_is_new_and_finishes_what_began(void **state) {
    client k, p;
    (void)state;
    online(&p, PORCH_MQTT_V5, "m/p");
    online(&k, PORCH_MQTT_V5, "m/k");
    assert_int_equal(subscribe(&k, (sub){.filter = "t/+", .qos = 2}), 2);
    say(&p, "t/a", "x", 2);
    uint16_t id = hears(&k, "t/a", "x", 2).packet_id;
    unsubscribe(&k, "t/a"); /* compared as text, not matched */
    (void)expect(&k, PORCH_MQTT_UNSUBACK);
    say(&p, "t/a", "y", 0);
    (void)hears(&k, "t/a", "y", 0);
    unsubscribe(&k, "t/+");
    (void)expect(&k, PORCH_MQTT_UNSUBACK);
    say(&p, "t/a", "z", 0);
    silent(&k);
    ack(&k, PORCH_MQTT_PUBREC, id, 0);
    assert_int_equal(acked(&k, PORCH_MQTT_PUBREL, id), 0);
    goodbye(&k, 0);
    goodbye(&p, 0);
}

static void unsubscribing_ends_what_is_retained(void **state) {
    client p, k;
    (void)state;
    online(&p, PORCH_MQTT_V5, "m/p");
    for (int i = 0; i < 40; i++) {
        char topic[16];
        (void)snprintf(topic, sizeof topic, "t/kept/%d", i);
        publish(&p, (pub){.topic = topic, .payload = "kept", .retain = true});
    }
    online(&k, PORCH_MQTT_V5, "m/k");
    k.c->deaf = true; /* so that the most of it waits */
    assert_int_equal(subscribe(&k, (sub){"t/kept/+", .qos = 0}), 0);
    unsubscribe(&k, "t/kept/+");
    expect(&k, PORCH_MQTT_UNSUBACK);
    k.c->deaf = false;
    porch_conn_want_write(k.c);
    int heard = 0;
    for (porch_mqtt_packet m; next(&k, &m); heard++)
        assert_int_equal(m.type, PORCH_MQTT_PUBLISH);
    assert_in_range(heard, 1, 16 / 2); /* what the small queue had taken before */
    goodbye(&k, 0);
    goodbye(&p, 0);
}

static void no_local_keeps_ones_own_words_away(void **state) {
    client a, b;
    (void)state;
    online(&a, PORCH_MQTT_V5, "m/a");
    online(&b, PORCH_MQTT_V5, "m/b");
    assert_int_equal(subscribe(&a, (sub){.filter = "t/#", .qos = 1, .no_local = true}), 1);
    for (uint8_t qos = 0; qos < 3; qos++) {
        say(&a, "t/x", "own", qos);
        silent(&a);
        say(&b, "t/x", "another's", qos);
        takes(&a, "t/x", "another's", qos > 1 ? 1 : qos);
    }
    goodbye(&a, 0);
    goodbye(&b, 0);
}

/* ---- operation ---- */

static void a_ping_is_answered(void **state) {
    static const porch_mqtt_version versions[] = {PORCH_MQTT_V5, PORCH_MQTT_V311};
    client k;
    (void)state;
    for (size_t i = 0; i < 2; i++) {
        online(&k, versions[i], "m");
        send(&k, PORCH_TEST_RAW(0xc0, 0, 0xc0, 0));
        (void)expect(&k, PORCH_MQTT_PINGRESP);
        (void)expect(&k, PORCH_MQTT_PINGRESP);
        silent(&k);
        goodbye(&k, 0);
    }
}

static void messages_keep_their_order(void **state) {
    client k, p;
    char text[8];
    (void)state;
    online(&p, PORCH_MQTT_V5, "m/p");
    online_lasting(&k, PORCH_MQTT_V5, "m/k");
    assert_int_equal(subscribe(&k, (sub){.filter = "t/#", .qos = 2}), 2);
    for (uint8_t qos = 0; qos < 3; qos++) {
        for (int i = 0; i < 20; i++) {
            (void)snprintf(text, sizeof text, "%d", i);
            say(&p, "t/a", text, qos);
        }
        uint16_t ids[20];
        for (int i = 0; i < 20; i++) {
            (void)snprintf(text, sizeof text, "%d", i);
            ids[i] = hears(&k, "t/a", text, qos).packet_id;
        }
        if (qos == 0) continue;
        leave(&k);
        online_lasting(&k, PORCH_MQTT_V5, "m/k"); /* and the same order again */
        for (int i = 0; i < 20; i++) {
            (void)snprintf(text, sizeof text, "%d", i);
            assert_int_equal(hears(&k, "t/a", text, qos).packet_id, ids[i]);
        }
        for (int i = 0; i < 20; i++)
            ack(&k, qos == 1 ? PORCH_MQTT_PUBACK : PORCH_MQTT_PUBREC, ids[i], 0);
        for (int i = 0; i < 20 && qos == 2; i++) /* PUBRELs in the order of the PUBRECs */
            (void)acked(&k, PORCH_MQTT_PUBREL, ids[i]);
        for (int i = 0; i < 20 && qos == 2; i++)
            ack(&k, PORCH_MQTT_PUBCOMP, ids[i], 0);
    }
    leave(&k);
    online(&k, PORCH_MQTT_V5, "m/k");
    goodbye(&k, 0);
    goodbye(&p, 0);
}

static void topics_are_compared_as_they_are(void **state) {
    static const char *const everything[] = {"publish,subscribe:#", NULL};
    client k;
    (void)state;
    bed_grants = everything;
    online(&k, PORCH_MQTT_V5, "m");
    assert_int_equal(subscribe(&k, (sub){.filter = "Caf\xc3\xa9/+", .qos = 0}), 0);
    assert_int_equal(subscribe(&k, (sub){.filter = "\xef\xbb\xbf"
                                                   "a",
                                         .qos = 0}),
                     0);
    say(&k, "Caf\xc3\xa9/", "empty level", 0);
    (void)hears(&k, "Caf\xc3\xa9/", "empty level", 0);
    say(&k, "caf\xc3\xa9/x", "another case", 0);
    say(&k, "Cafe\xcc\x81/x", "another normal form", 0);
    say(&k, "a", "without the mark", 0);
    silent(&k);
    say(&k,
        "\xef\xbb\xbf"
        "a",
        "with it", 0);
    (void)hears(&k,
                "\xef\xbb\xbf"
                "a",
                "with it", 0);
    /* Wildcards do not reach what begins with $, and nobody but the hub speaks there. */
    assert_int_equal(subscribe(&k, (sub){.filter = "#", .qos = 0}), 0);
    assert_int_equal(subscribe(&k, (sub){.filter = "+/device/#", .qos = 0}), 0);
    ok(porch_broker_publish(bed.broker, PORCH_LIT("$porchlight/device/cam"), PORCH_LIT("x"), 0));
    silent(&k);
    publish(&k, (pub){.topic = "$porchlight/device/cam", .payload = "x", .qos = 1, .id = 3});
    assert_int_equal(acked(&k, PORCH_MQTT_PUBACK, 3), PORCH_MQTT_RC_NOT_AUTHORIZED);
    goodbye(&k, 0);
    bed_grants = bed_default_grants;
}

static void shared_work_is_each_members_own_part(void **state) {
    client a, b, p;
    (void)state;
    online(&p, PORCH_MQTT_V5, "m/p");
    online_lasting(&a, PORCH_MQTT_V5, "m/a");
    online(&b, PORCH_MQTT_V5, "m/b");
    assert_int_equal(subscribe(&a, (sub){.filter = "$share/g/s/#", .qos = 2}), 2);
    assert_int_equal(subscribe(&b, (sub){.filter = "$share/g/s/#", .qos = 0}), 0);
    int heard_a = 0, heard_b = 0;
    uint16_t ids[20];
    for (int i = 0; i < 10; i++)
        say(&p, "s/x", "work", 2);
    for (porch_mqtt_packet m; next(&a, &m); heard_a++) {
        assert_int_equal(m.publish.qos, 2); /* at its own granted quality */
        ids[heard_a] = m.publish.packet_id;
    }
    for (porch_mqtt_packet m; next(&b, &m); heard_b++)
        assert_int_equal(m.publish.qos, 0);
    assert_int_equal(heard_a + heard_b, 10);
    assert_true(heard_a > 0 && heard_b > 0);
    /* Refused by a member, it goes to nobody else. */
    ack(&a, PORCH_MQTT_PUBREC, ids[0], 0x80);
    silent(&b);
    /* What a member has begun at QoS 2 stays its own, through a break; and when its session ends, nobody's.
     */
    leave(&a);
    silent(&b);
    online_lasting(&a, PORCH_MQTT_V5, "m/a");
    for (int i = 1; i < heard_a; i++)
        assert_int_equal(hears(&a, "s/x", "work", 2).packet_id, ids[i]);
    leave(&a);
    online(&a, PORCH_MQTT_V5, "m/a");
    silent(&b);
    goodbye(&a, 0);
    goodbye(&b, 0);
    goodbye(&p, 0);
}

static void work(client *p, int first, int last) {
    char payload[8];
    for (int i = first; i <= last; i++) {
        (void)snprintf(payload, sizeof payload, "%d", i);
        say(p, "s/x", payload, 1);
    }
}

static void in_order(client *k, int first, int last) {
    char payload[8];
    for (int i = first; i <= last; i++) {
        (void)snprintf(payload, sizeof payload, "%d", i);
        takes(k, "s/x", payload, 1);
    }
}

static void shared_work_that_comes_back_keeps_its_order(void **state) {
    client a, b, p;
    hello h;
    (void)state;
    online(&p, PORCH_MQTT_V5, "m/p");
    lasting(with(fresh(&h, PORCH_MQTT_V5, "m/a"), PORCH_MQTT_PROP_RECEIVE_MAXIMUM, 4));
    assert_int_equal(greet(&a, PORCH_IDENTITY_SERVICE, "m", &h), 0);
    assert_int_equal(subscribe(&a, (sub){"$share/g/s/#", .qos = 1}), 1);
    work(&p, 1, 5); /* so that the next identifiers lie around the end of the table */
    in_order(&a, 1, 5);
    work(&p, 6, 13);
    hears(&a, "s/x", "6", 1);
    leave(&a); /* four in flight, four waiting, and nobody else */
    online_lasting(&a, PORCH_MQTT_V5, "m/a");
    for (int i = 6; i <= 13; i++) {
        char payload[8];
        (void)snprintf(payload, sizeof payload, "%d", i);
        hears(&a, "s/x", payload, 1);
    }
    online(&b, PORCH_MQTT_V5, "m/b"); /* which takes what comes back at once */
    assert_int_equal(subscribe(&b, (sub){"$share/g/s/#", .qos = 1}), 1);
    leave(&a);
    in_order(&b, 6, 13);
    silent(&b);
    goodbye(&b, 0);
    goodbye(&p, 0);
}

/* All that a shard's pool has left, and the way back. */
typedef struct spent {
    struct spent *next;
} spent;

static spent *spend(porch_pool *pool) {
    spent *all = NULL;
    for (size_t bytes = PORCH_POOL_BLOCK_MOST / 2; bytes >= sizeof(spent); bytes /= 2) {
        for (spent *one; (one = porch_pool_take(pool, bytes)) != NULL; all = one)
            one->next = all;
    }
    return all;
}

static void give_all(porch_pool *pool, spent *all) {
    while (all != NULL) {
        spent *one = all;
        all = one->next;
        porch_pool_give(pool, one);
    }
}

static void send_subscribe(client *k, const char *filter) {
    uint8_t text[128];
    porch_buf b = PORCH_BUF_OF(text);
    size_t n = strlen(filter);
    ok(porch_mqtt_frame_write_header(&b, PORCH_MQTT_SUBSCRIBE, 2, 3 + 2 + n + 1));
    ok(porch_write_u16(&b, 77));
    ok(porch_write_u8(&b, 0));
    ok(porch_write_block16(&b, porch_bytes_of(filter)));
    ok(porch_write_u8(&b, 1));
    send(k, porch_buf_bytes(&b));
}

/* Neither shard forgets that it was asked: the member's, nor the one that keeps the subscription. */
static void a_shared_subscription_is_answered_once_there_is_memory_for_it(void **state) {
    client k;
    (void)state;
    static const char filter[] = "$share/g/s";
    unsigned owner = (unsigned)(porch_share_id(bed.broker, porch_bytes_of(filter)) % BED_SHARDS);
    unsigned home = owner;
    for (char name = 'a'; home == owner && name <= 'z'; name++) {
        char id[8];
        (void)snprintf(id, sizeof id, "m/%c", name);
        online(&k, PORCH_MQTT_V5, id);
        home = k.c->shard->index;
        if (home == owner) goodbye(&k, 0);
    }
    assert_int_not_equal(home, owner);
    porch_pool *pools[] = {bed.shards[owner].pool, bed.shards[home].pool};
    for (size_t i = 0; i < 2; i++) {
        void *small[4]; /* the filter's text has its room */
        for (size_t j = 0; j < 4; j++)
            small[j] = porch_pool_take(pools[i], 32);
        spent *all = spend(pools[i]);
        for (size_t j = 0; i == 1 && j < 4; j++)
            porch_pool_give(pools[i], small[j]);
        send_subscribe(&k, filter);
        silent(&k);
        bed_pass(100);
        give_all(pools[i], all);
        for (size_t j = 0; i == 0 && j < 4; j++)
            porch_pool_give(pools[i], small[j]);
        bed_pass(100);
        assert_int_equal(expect(&k, PORCH_MQTT_SUBACK).suback.reasons.at[0], 1);
        unsubscribe(&k, filter);
        expect(&k, PORCH_MQTT_UNSUBACK);
    }
    goodbye(&k, 0);
}

static void a_shared_filter_has_its_form(void **state) {
    static const char *const broken[] = {"$share//s", "$share/g", "$share/g/", "$share/+/s", "$share/g#/s"};
    client k;
    (void)state;
    for (size_t i = 0; i < sizeof broken / sizeof *broken; i++) {
        uint8_t text[64];
        porch_buf b = PORCH_BUF_OF(text);
        size_t n = strlen(broken[i]);
        online(&k, PORCH_MQTT_V5, "m");
        ok(porch_mqtt_frame_write_header(&b, PORCH_MQTT_SUBSCRIBE, 2, 3 + 2 + n + 1));
        ok(porch_write_u16(&b, 1));
        ok(porch_write_u8(&b, 0));
        ok(porch_write_block16(&b, porch_bytes_of(broken[i])));
        ok(porch_write_u8(&b, 0));
        send(&k, porch_buf_bytes(&b));
        ended(&k, PORCH_MQTT_RC_TOPIC_FILTER_INVALID);
    }
    online(&k, PORCH_MQTT_V5, "m"); /* no local on it is a protocol error */
    send(&k, PORCH_TEST_RAW(0x82, 16, 0, 1, 0, 0, 10, '$', 's', 'h', 'a', 'r', 'e', '/', 'g', '/', 's', 4));
    ended(&k, PORCH_MQTT_RC_PROTOCOL_ERROR);
}

static void other_proof_than_the_certificate_is_not_asked_for(void **state) {
    client k;
    hello h;
    (void)state;
    fresh(&h, PORCH_MQTT_V5, "m");
    ok(porch_mqtt_property_put_text(&h.props, PORCH_MQTT_PROP_AUTH_METHOD, PORCH_LIT("SCRAM-SHA-256")));
    assert_int_equal(greet(&k, PORCH_IDENTITY_SERVICE, "m", &h), PORCH_MQTT_RC_BAD_AUTH_METHOD);
    assert_true(k.c->told);
    leave(&k);
    assert_int_equal(greet(&k, PORCH_IDENTITY_SERVICE, "m", fresh(&h, PORCH_MQTT_V5, "m")), 0);
    assert_false(porch_mqtt_property_has(&k.properties, PORCH_MQTT_PROP_AUTH_METHOD));
    send(&k, PORCH_TEST_RAW(0xf0, 7, 0x19, 5, 0x15, 0, 2, 'G', 'S')); /* AUTH out of nothing */
    ended(&k, PORCH_MQTT_RC_PROTOCOL_ERROR);
}

static void behind_a_goodbye_nothing_is_taken_or_sent(void **state) {
    client k, w;
    (void)state;
    online(&w, PORCH_MQTT_V5, "m/w");
    assert_int_equal(subscribe(&w, (sub){.filter = "t/#", .qos = 0}), 0);
    online(&k, PORCH_MQTT_V5, "m/k");
    assert_int_equal(subscribe(&k, (sub){.filter = "t/#", .qos = 0}), 0);
    send(&k, PORCH_TEST_RAW(0xe0, 0, 0x30, 6, 0, 3, 't', '/', 'a', 0));
    say(&w, "t/b", "x", 0);
    (void)hears(&w, "t/b", "x", 0);
    silent(&w);
    silent(&k);
    assert_true(k.c->told);
    leave(&k);
    /* The same the other way: the hub's DISCONNECT is its last word. */
    online(&k, PORCH_MQTT_V5, "m/k");
    assert_int_equal(subscribe(&k, (sub){.filter = "t/#", .qos = 0}), 0);
    bed_send(k.c, PORCH_TEST_RAW(0x60, 0, 0xc0, 0));
    say(&w, "t/b", "x", 0);
    porch_mqtt_packet p;
    uint8_t last = 0;
    while (next(&k, &p))
        last = (uint8_t)p.type;
    assert_int_equal(last, PORCH_MQTT_DISCONNECT);
    assert_true(k.c->told);
    leave(&k);
    goodbye(&w, 0);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        PORCH_TEST_BOTH(each_filter_has_its_code_in_its_place),
        PORCH_TEST_BOTH(the_same_filter_again_replaces_and_loses_nothing),
        PORCH_TEST_BOTH(unsubscribing_stops_what_is_new_and_finishes_what_began),
        cmocka_unit_test_setup_teardown(unsubscribing_ends_what_is_retained, begin_small, end),
        PORCH_TEST_BOTH(no_local_keeps_ones_own_words_away),
        PORCH_TEST_BOTH(a_ping_is_answered),
        PORCH_TEST_BOTH(messages_keep_their_order),
        PORCH_TEST_BOTH(topics_are_compared_as_they_are),
        PORCH_TEST_BOTH(shared_work_is_each_members_own_part),
        cmocka_unit_test_setup_teardown(shared_work_that_comes_back_keeps_its_order, begin_with, end),
        PORCH_TEST_BOTH(a_shared_subscription_is_answered_once_there_is_memory_for_it),
        PORCH_TEST_BOTH(a_shared_filter_has_its_form),
        PORCH_TEST_BOTH(other_proof_than_the_certificate_is_not_asked_for),
        PORCH_TEST_BOTH(behind_a_goodbye_nothing_is_taken_or_sent),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
