/* What MQTT 5.0 and 3.1.1 ask of a server, told in conversations: each test is named by what it shows, and
 * docs/mqtt-conformance.md says which statements of the standards that is. The broker is the real one, its
 * surroundings are brokerbed.h's; each test runs without and with a store. */
#include "cloud/broker/brokerbed.h"

#include <cmocka.h>

#define V5   PORCH_MQTT_V5
#define V311 PORCH_MQTT_V311

/* ---- a client of few words ---- */

typedef struct {
    porch_conn *c;
    porch_mqtt_version v;
    bool present;
    size_t taken;
    porch_mqtt_properties properties; /* of its CONNACK, valid until the next packet */
} client;

/* What a test asks for, filled up before connecting. */
typedef struct {
    porch_mqtt_connect in;
    uint8_t raw[512], will_raw[512];
    porch_buf props, will_props;
} hello;

static void ok(porch_err e) {
    assert_int_equal(e, PORCH_OK);
}

static hello *fresh(hello *h, porch_mqtt_version v, const char *id) {
    memset(h, 0, sizeof *h);
    h->in.version = v;
    h->in.clean_start = true;
    h->in.keep_alive_s = 60;
    h->in.client_id = porch_bytes_of(id);
    h->props = PORCH_BUF_OF(h->raw);
    h->will_props = PORCH_BUF_OF(h->will_raw);
    return h;
}

static hello *with(hello *h, porch_mqtt_property_id id, uint32_t number) {
    ok(porch_mqtt_property_put_number(&h->props, id, number));
    return h;
}

static hello *lasting(hello *h) {
    h->in.clean_start = false;
    return h->in.version == V5 ? with(h, PORCH_MQTT_PROP_SESSION_EXPIRY, 3600) : h;
}

static hello *will(hello *h, const char *topic, const char *payload, uint8_t qos, bool retain) {
    h->in.has_will = true;
    h->in.will.topic.text = porch_bytes_of(topic);
    h->in.will.payload = porch_bytes_of(payload);
    h->in.will.qos = qos;
    h->in.will.retain = retain;
    return h;
}

static void send(client *k, porch_bytes b) {
    bed_send(k->c, b);
    bed_work();
}

static bool next(client *k, porch_mqtt_packet *ret) {
    porch_mqtt_frame frame;
    bed_work();
    bed_read(k->c, k->taken);
    k->taken = 0;
    if (porch_mqtt_frame_read((porch_bytes){k->c->out, k->c->out_len}, 1 << 20, NULL, &frame) != PORCH_OK)
        return false;
    ok(porch_mqtt_packet_read(&frame, k->v, PORCH_MQTT_FROM_SERVER, NULL, ret));
    k->taken = frame.bytes;
    return true;
}

static porch_mqtt_packet expect(client *k, porch_mqtt_type type) {
    porch_mqtt_packet p = {.type = PORCH_MQTT_AUTH};
    if (!next(k, &p)) fail_msg("nothing instead of %s", porch_mqtt_type_name(type));
    if (p.type != type)
        fail_msg("%s instead of %s", porch_mqtt_type_name(p.type), porch_mqtt_type_name(type));
    return p;
}

static void silent(client *k) {
    porch_mqtt_packet p;
    if (next(k, &p)) fail_msg("%s where nothing was to come", porch_mqtt_type_name(p.type));
}

static void leave(client *k) {
    bed_hang_up(k->c);
    k->c = NULL;
}

/* The hub has ended it, with this reason where the version has one; nothing follows. */
static void ended(client *k, uint8_t reason) {
    if (k->v == V5) assert_int_equal(expect(k, PORCH_MQTT_DISCONNECT).disconnect.reason, reason);
    silent(k);
    assert_true(k->c->told);
    leave(k);
}

static void dial(client *k, porch_identity_kind kind, const char *name, porch_mqtt_version v) {
    memset(k, 0, sizeof *k);
    k->v = v;
    k->c = bed_dial(kind, name);
}

static void send_hello(client *k, hello *h) {
    uint8_t text[2048];
    porch_buf b = PORCH_BUF_OF(text);
    ok(porch_mqtt_properties_of(porch_buf_bytes(&h->props), PORCH_MQTT_CONNECT, NULL, &h->in.properties));
    ok(porch_mqtt_properties_of(porch_buf_bytes(&h->will_props), PORCH_MQTT_WILL, NULL,
                                &h->in.will.properties));
    ok(porch_mqtt_connect_write(&b, &h->in));
    send(k, porch_buf_bytes(&b));
}

static uint8_t connack(client *k) {
    porch_mqtt_packet p = expect(k, PORCH_MQTT_CONNACK);
    k->present = p.connack.session_present;
    k->properties = p.connack.properties;
    return p.connack.reason;
}

static uint8_t greet(client *k, porch_identity_kind kind, const char *name, hello *h) {
    dial(k, kind, name, h->in.version);
    send_hello(k, h);
    return connack(k);
}

static void online(client *k, porch_mqtt_version v, const char *id) {
    hello h;
    assert_int_equal(greet(k, PORCH_IDENTITY_SERVICE, "m", fresh(&h, v, id)), 0);
}

static void online_lasting(client *k, porch_mqtt_version v, const char *id) {
    hello h;
    assert_int_equal(greet(k, PORCH_IDENTITY_SERVICE, "m", lasting(fresh(&h, v, id))), 0);
}

typedef struct {
    const char *topic, *payload;
    uint16_t id;
    uint8_t qos;
    bool dup, retain;
    porch_bytes props;
} pub;

static void publish(client *k, pub p) {
    uint8_t text[4096];
    porch_buf b = PORCH_BUF_OF(text);
    porch_mqtt_publish in = {.topic = {porch_bytes_of(p.topic)},
                             .payload = porch_bytes_of(p.payload),
                             .packet_id = p.id,
                             .qos = p.qos,
                             .dup = p.dup,
                             .retain = p.retain};
    ok(porch_mqtt_properties_of(p.props, PORCH_MQTT_PUBLISH, NULL, &in.properties));
    ok(porch_mqtt_publish_write(&b, k->v, &in));
    send(k, porch_buf_bytes(&b));
}

static void ack(client *k, porch_mqtt_type type, uint16_t id, uint8_t reason) {
    uint8_t text[16];
    porch_buf b = PORCH_BUF_OF(text);
    porch_mqtt_ack a = {.type = type, .packet_id = id, .reason = reason};
    ok(porch_mqtt_ack_write(&b, k->v, &a));
    send(k, porch_buf_bytes(&b));
}

static uint8_t acked(client *k, porch_mqtt_type type, uint16_t id) {
    porch_mqtt_packet p = expect(k, type);
    assert_int_equal(p.ack.packet_id, id);
    return p.ack.reason;
}

/* A publication with all that belongs to it. */
static void say(client *k, const char *topic, const char *payload, uint8_t qos) {
    publish(k, (pub){.topic = topic, .payload = payload, .qos = qos, .id = qos > 0 ? 901 : 0});
    if (qos == 1) assert_int_equal(acked(k, PORCH_MQTT_PUBACK, 901), 0);
    if (qos < 2) return;
    assert_int_equal(acked(k, PORCH_MQTT_PUBREC, 901), 0);
    ack(k, PORCH_MQTT_PUBREL, 901, 0);
    assert_int_equal(acked(k, PORCH_MQTT_PUBCOMP, 901), 0);
}

typedef struct {
    const char *filter;
    uint8_t qos, handling;
    bool no_local, as_published;
    uint32_t identifier;
} sub;

static uint8_t subscribe(client *k, sub s) {
    uint8_t text[512], list[400], raw[16];
    porch_buf b = PORCH_BUF_OF(text), l = PORCH_BUF_OF(list), props = PORCH_BUF_OF(raw);
    porch_mqtt_subscription one = {.text = porch_bytes_of(s.filter),
                                   .qos = s.qos,
                                   .no_local = s.no_local,
                                   .retain_as_published = s.as_published,
                                   .retain_handling = s.handling};
    porch_mqtt_subscribe in = {.packet_id = 77, .count = 1};
    ok(porch_mqtt_subscription_put(&l, k->v, &one));
    if (s.identifier > 0)
        ok(porch_mqtt_property_put_number(&props, PORCH_MQTT_PROP_SUBSCRIPTION_ID, s.identifier));
    ok(porch_mqtt_properties_of(porch_buf_bytes(&props), PORCH_MQTT_SUBSCRIBE, NULL, &in.properties));
    in.filters = porch_buf_bytes(&l);
    ok(porch_mqtt_subscribe_write(&b, k->v, &in));
    send(k, porch_buf_bytes(&b));
    porch_mqtt_packet p = expect(k, PORCH_MQTT_SUBACK);
    assert_int_equal(p.suback.packet_id, 77);
    assert_int_equal(p.suback.reasons.len, 1);
    return p.suback.reasons.at[0];
}

static void unsubscribe(client *k, const char *filter) {
    uint8_t text[512], list[400];
    porch_buf b = PORCH_BUF_OF(text), l = PORCH_BUF_OF(list);
    porch_mqtt_unsubscribe in = {.packet_id = 78, .count = 1};
    ok(porch_mqtt_unsubscription_put(&l, porch_bytes_of(filter)));
    in.filters = porch_buf_bytes(&l);
    ok(porch_mqtt_unsubscribe_write(&b, k->v, &in));
    send(k, porch_buf_bytes(&b));
}

static void goodbye(client *k, uint8_t reason) {
    uint8_t text[16];
    porch_buf b = PORCH_BUF_OF(text);
    porch_mqtt_disconnect d = {.reason = reason};
    ok(porch_mqtt_disconnect_write(&b, k->v, &d));
    send(k, porch_buf_bytes(&b));
    leave(k);
}

/* The next packet is this publication. */
static porch_mqtt_publish hears(client *k, const char *topic, const char *payload, uint8_t qos) {
    porch_mqtt_packet p = expect(k, PORCH_MQTT_PUBLISH);
    if (!porch_bytes_eq_text(p.publish.payload, payload))
        fail_msg("'%.*s' instead of '%s'", (int)p.publish.payload.len, (const char *)p.publish.payload.at,
                 payload);
    assert_true(porch_bytes_eq_text(p.publish.topic.text, topic));
    assert_int_equal(p.publish.qos, qos);
    assert_int_equal(p.publish.packet_id != 0, qos > 0);
    return p.publish;
}

/* And takes it, whatever its quality asks for. */
static void takes(client *k, const char *topic, const char *payload, uint8_t qos) {
    uint16_t id = hears(k, topic, payload, qos).packet_id;
    if (qos == 1) ack(k, PORCH_MQTT_PUBACK, id, 0);
    if (qos < 2) return;
    ack(k, PORCH_MQTT_PUBREC, id, 0);
    assert_int_equal(acked(k, PORCH_MQTT_PUBREL, id), 0);
    ack(k, PORCH_MQTT_PUBCOMP, id, 0);
}

#define RAW(...) ((porch_bytes){(const uint8_t[]){__VA_ARGS__}, sizeof((const uint8_t[]){__VA_ARGS__})})

/* ---- CONNECT ---- */

static void a_connection_begins_with_one_connect_and_has_no_other(void **state) {
    client k;
    (void)state;
    static const porch_mqtt_version versions[] = {V5, V311};
    for (size_t i = 0; i < 2; i++) {
        dial(&k, PORCH_IDENTITY_SERVICE, "m", versions[i]);
        send(&k, RAW(0xc0, 0));
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
        {{(const uint8_t *)"\x10\x0d\0\4MQTT\6\2\0\x3c\0\0\0", 15}, V5, 0x84},
        {{(const uint8_t *)"\x10\x0d\0\4MQTX\5\2\0\x3c\0\0\0", 15}, V5, 0x84},
        {{(const uint8_t *)"\x10\x0d\0\4MQTT\3\2\0\x3c\0\1m", 15}, V311, 0x84},
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
        {{(const uint8_t *)"\x10\x0e\0\4MQTT\5\3\0\x3c\0\0\1m", 16}, V5, 0x81},   /* reserved flag */
        {{(const uint8_t *)"\x10\x0d\0\4MQTT\4\3\0\x3c\0\1m", 15}, V311, 0},      /* the same */
        {{(const uint8_t *)"\x10\x0e\0\4MQTT\5\x0a\0\x3c\0\0\1m", 16}, V5, 0x81}, /* will QoS, no will */
        {{(const uint8_t *)"\x10\x0e\0\4MQTT\5\x22\0\x3c\0\0\1m", 16}, V5, 0x81}, /* will retain, no will */
        {{(const uint8_t *)"\x10\x0e\0\4MQTT\5\x1e\0\x3c\0\0\1m", 16}, V5, 0x81}, /* will QoS 3 */
        {{(const uint8_t *)"\x10\x0e\0\4MQTT\5\6\0\x3c\0\0\1m", 16}, V5, 0x81},   /* will flag, no will */
        {{(const uint8_t *)"\x10\x0e\0\4MQTT\5\x82\0\x3c\0\0\1m", 16}, V5, 0x81}, /* user name missing */
        {{(const uint8_t *)"\x10\x0e\0\4MQTT\5\x42\0\x3c\0\0\1m", 16}, V5, 0x81}, /* password missing */
        {{(const uint8_t *)"\x10\x10\0\4MQTT\5\2\0\x3c\0\0\1m\0\0", 18}, V5, 0x81}, /* user name, no flag */
        {{(const uint8_t *)"\x10\x0f\0\4MQTT\4\x42\0\x3c\0\1m\0\0", 17}, V311, 0},  /* password alone */
        {{(const uint8_t *)"\x10\x0e\0\4MQTT\5\2\0\x3c\0\0\1\xff", 16}, V5, 0x81},  /* not UTF-8 */
        {{(const uint8_t *)"\x10\x0e\0\4MQTT\5\2\0\x3c\0\0\1\0", 16}, V5, 0x81},    /* U+0000 */
        {{(const uint8_t *)"\x10\x0c\0\4MQTT\5\2\0\x3c\0\0", 14}, V5, 0x81}, /* no client identifier */
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
    static const porch_mqtt_version versions[] = {V5, V311};
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
                           with(fresh(&h, V5, "m"), PORCH_MQTT_PROP_SESSION_EXPIRY, 10)),
                     0);
    bed_pass(30000); /* as long as it is connected it stays */
    leave(&k);
    bed_pass(9000);
    fresh(&h, V5, "m");
    h.in.clean_start = false;
    assert_int_equal(greet(&k, PORCH_IDENTITY_SERVICE, "m", with(&h, PORCH_MQTT_PROP_SESSION_EXPIRY, 10)),
                     0);
    assert_true(k.present);
    leave(&k);
    bed_pass(10500);
    fresh(&h, V5, "m");
    h.in.clean_start = false;
    assert_int_equal(greet(&k, PORCH_IDENTITY_SERVICE, "m", with(&h, PORCH_MQTT_PROP_SESSION_EXPIRY, 10)),
                     0);
    assert_false(k.present);
    /* DISCONNECT may shorten it to nothing, and not begin it where there was none. */
    send(&k, RAW(0xe0, 7, 0, 5, 0x11, 0, 0, 0, 0));
    leave(&k);
    fresh(&h, V5, "m");
    h.in.clean_start = false;
    assert_int_equal(greet(&k, PORCH_IDENTITY_SERVICE, "m", &h), 0);
    assert_false(k.present);
    send(&k, RAW(0xe0, 7, 0, 5, 0x11, 0, 0, 0, 5));
    ended(&k, PORCH_MQTT_RC_PROTOCOL_ERROR);
}

static void a_will_is_spoken_after_every_end_but_a_normal_one(void **state) {
    static const struct {
        porch_mqtt_version v;
        int reason; /* of DISCONNECT; -1: the connection breaks */
        bool spoken;
    } rows[] = {{V5, 0x00, false}, {V5, 0x04, true}, {V5, 0x80, true}, {V5, 0x81, true},
                {V5, 0x95, true},  {V5, -1, true},   {V311, 0, false}, {V311, -1, true}};
    client k, w;
    hello h;
    (void)state;
    online(&w, V5, "m/w");
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
    assert_int_equal(greet(&k, PORCH_IDENTITY_SERVICE, "m", fresh(&h, V5, "m/k")), 0);
    leave(&k);
    silent(&w);
    goodbye(&w, 0);
}

static void a_will_waits_for_its_delay_or_the_sessions_end(void **state) {
    client k, w;
    hello h;
    (void)state;
    online(&w, V5, "m/w");
    assert_int_equal(subscribe(&w, (sub){.filter = "t/will", .qos = 1}), 1);
    for (int back = 0; back < 2; back++) {
        will(lasting(fresh(&h, V5, "m/k")), "t/will", "late", 1, false);
        ok(porch_mqtt_property_put_number(&h.will_props, PORCH_MQTT_PROP_WILL_DELAY, 20));
        assert_int_equal(greet(&k, PORCH_IDENTITY_SERVICE, "m", &h), 0);
        leave(&k);
        bed_pass(19000);
        silent(&w);
        if (back) {
            online_lasting(&k, V5, "m/k"); /* in time: nothing is said, now or later */
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
        fresh(&h, V5, "m/k");
        with(&h, PORCH_MQTT_PROP_SESSION_EXPIRY, 5);
        ok(porch_mqtt_property_put_number(&h.will_props, PORCH_MQTT_PROP_WILL_DELAY, 1000));
        assert_int_equal(greet(&k, PORCH_IDENTITY_SERVICE, "m", will(&h, "t/will", "over", 1, false)), 0);
        leave(&k);
        silent(&w);
        if (clean) {
            online(&k, V5, "m/k");
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
        will(fresh(&h, V5, "m/k"), retain ? "t/kept" : "t/said", "x", 1, retain != 0);
        ok(porch_mqtt_property_put_pair(&h.will_props, PORCH_MQTT_PROP_USER_PROPERTY, PORCH_LIT("b"),
                                        PORCH_LIT("1")));
        ok(porch_mqtt_property_put_pair(&h.will_props, PORCH_MQTT_PROP_USER_PROPERTY, PORCH_LIT("a"),
                                        PORCH_LIT("2")));
        assert_int_equal(greet(&k, PORCH_IDENTITY_SERVICE, "m", &h), 0);
        leave(&k);
    }
    bed_work();
    online(&w, V5, "m/w");
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
    static const porch_mqtt_version versions[] = {V5, V311};
    client k;
    hello h;
    (void)state;
    for (size_t i = 0; i < 2; i++) {
        fresh(&h, versions[i], "m");
        h.in.keep_alive_s = 10;
        assert_int_equal(greet(&k, PORCH_IDENTITY_SERVICE, "m", &h), 0);
        bed_pass(14500);
        send(&k, RAW(0xc0, 0)); /* which counts */
        (void)expect(&k, PORCH_MQTT_PINGRESP);
        bed_pass(14500);
        silent(&k);
        assert_false(k.c->told);
        bed_pass(1000);
        ended(&k, PORCH_MQTT_RC_KEEP_ALIVE_TIMEOUT);
    }
    /* The hub's own time holds where it is told. */
    fresh(&h, V5, "m");
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
        dial(&k, PORCH_IDENTITY_SERVICE, "m", V5);
        send_hello(&k, with(fresh(&h, V5, "not-mine"), PORCH_MQTT_PROP_MAXIMUM_PACKET_SIZE, most));
        size_t bytes = largest_packet(&k);
        assert_true(bytes <= most);
        assert_int_equal(bytes > 0, most >= 5);
        assert_true(k.c->told);
        leave(&k);
        /* A welcome is whole or it is a refusal. */
        dial(&k, PORCH_IDENTITY_SERVICE, "m", V5);
        send_hello(&k, with(fresh(&h, V5, ""), PORCH_MQTT_PROP_MAXIMUM_PACKET_SIZE, most));
        assert_true(largest_packet(&k) <= most);
        if (most >= 5) {
            uint8_t reason = connack(&k);
            assert_true(reason == 0 || reason == PORCH_MQTT_RC_PACKET_TOO_LARGE);
            if (reason == 0) { /* and so is a farewell */
                send(&k, RAW(0x60, 0));
                assert_true(largest_packet(&k) <= most);
            }
        }
        assert_true(k.c->told);
        leave(&k);
        dial(&k, PORCH_IDENTITY_DEVICE, "cam", V5);
        with(fresh(&h, V5, "cam"), PORCH_MQTT_PROP_MAXIMUM_PACKET_SIZE, most);
        send_hello(&k, with(&h, PORCH_MQTT_PROP_REQUEST_RESPONSE_INFO, 1));
        assert_true(largest_packet(&k) <= most);
        leave(&k);
    }
    /* A message is passed over, the next one comes; whether it waited or not. */
    online(&p, V5, "m/p");
    lasting(fresh(&h, V5, "m"));
    assert_int_equal(
        greet(&k, PORCH_IDENTITY_SERVICE, "m", with(&h, PORCH_MQTT_PROP_MAXIMUM_PACKET_SIZE, 40)), 0);
    assert_int_equal(subscribe(&k, (sub){.filter = "t/#", .qos = 2}), 2);
    say(&p, "t/a", "much more than forty bytes of payload, said live", 1);
    say(&p, "t/a", "short", 1);
    takes(&k, "t/a", "short", 1);
    leave(&k);
    say(&p, "t/a", "much more than forty bytes of payload, said to an absent one", 2);
    say(&p, "t/a", "brief", 2);
    lasting(fresh(&h, V5, "m"));
    assert_int_equal(
        greet(&k, PORCH_IDENTITY_SERVICE, "m", with(&h, PORCH_MQTT_PROP_MAXIMUM_PACKET_SIZE, 40)), 0);
    takes(&k, "t/a", "brief", 2);
    silent(&k);
    leave(&k);
    /* What was under way before the client became small is done with, too. */
    online_lasting(&k, V5, "m");
    say(&p, "t/a", "much more than forty bytes of payload, under way", 2);
    (void)hears(&k, "t/a", "much more than forty bytes of payload, under way", 2);
    leave(&k);
    lasting(fresh(&h, V5, "m"));
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
        ok(porch_mqtt_subscription_put(&l, V5, &one));
    in.filters = porch_buf_bytes(&l);
    ok(porch_mqtt_subscribe_write(&text, V5, &in));
    send(&k, porch_buf_bytes(&text));
    free(text.at);
    ended(&k, PORCH_MQTT_RC_PACKET_TOO_LARGE);
    goodbye(&p, 0);
    online(&k, V5, "m");
    goodbye(&k, 0);
}

static void topic_aliases_stay_within_what_was_agreed(void **state) {
    client k, p;
    hello h;
    uint32_t most = bed.settings.broker_topic_aliases;
    (void)state;
    assert_int_equal(greet(&p, PORCH_IDENTITY_SERVICE, "m", fresh(&h, V5, "m/p")), 0);
    assert_int_equal(porch_mqtt_property_number(&p.properties, PORCH_MQTT_PROP_TOPIC_ALIAS_MAXIMUM, 0),
                     most);
    online(&k, V5, "m/k"); /* it takes none */
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
    online(&p, V5, "m/p");
    publish(&p, (pub){.topic = "", .payload = "x", .props = RAW(0x23, 0, 1)});
    ended(&p, PORCH_MQTT_RC_PROTOCOL_ERROR);
    online(&p, V5, "m/p");
    send(&p, RAW(0x30, 9, 0, 2, 't', '/', 3, 0x23, (uint8_t)((most + 1) >> 8), (uint8_t)(most + 1), 'x'));
    ended(&p, PORCH_MQTT_RC_TOPIC_ALIAS_INVALID);
    online(&p, V5, "m/p");
    send(&p, RAW(0x30, 9, 0, 2, 't', '/', 3, 0x23, 0, 0, 'x'));
    ended(&p, PORCH_MQTT_RC_TOPIC_ALIAS_INVALID);
    goodbye(&k, 0);
    /* The other way: never above the client's maximum, and every one means what it was set to. */
    online(&p, V5, "m/p");
    assert_int_equal(greet(&k, PORCH_IDENTITY_SERVICE, "m",
                           with(fresh(&h, V5, "m/k"), PORCH_MQTT_PROP_TOPIC_ALIAS_MAXIMUM, 3)),
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
        with(fresh(&h, V5, "cam"), PORCH_MQTT_PROP_REQUEST_RESPONSE_INFO, wanted);
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
        with(fresh(&h, V5, "m"), PORCH_MQTT_PROP_REQUEST_PROBLEM_INFO, wanted);
        assert_int_equal(greet(&k, PORCH_IDENTITY_SERVICE, "m", &h), 0);
        publish(&k, (pub){.topic = "elsewhere", .payload = "x", .qos = 1, .id = 1});
        porch_mqtt_packet p = expect(&k, PORCH_MQTT_PUBACK);
        assert_int_equal(p.ack.reason, PORCH_MQTT_RC_NOT_AUTHORIZED);
        assert_int_equal(porch_mqtt_property_has(&p.ack.properties, PORCH_MQTT_PROP_REASON_STRING), wanted);
        assert_int_equal(subscribe(&k, (sub){.filter = "elsewhere"}), PORCH_MQTT_RC_NOT_AUTHORIZED);
        send(&k, RAW(0x60, 0));
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
        {PORCH_IDENTITY_DEVICE, "cam", "cam", V5, true, 0, NULL},
        {PORCH_IDENTITY_DEVICE, "cam", "", V5, true, 0, "cam"},
        {PORCH_IDENTITY_DEVICE, "cam", "bell", V5, true, 0x85, NULL},
        {PORCH_IDENTITY_DEVICE, "cam", "bell", V311, true, 0x85, NULL},
        {PORCH_IDENTITY_DEVICE, "cam", "", V311, true, 0, NULL},
        {PORCH_IDENTITY_DEVICE, "cam", "", V311, false, 0x85, NULL},
        {PORCH_IDENTITY_SERVICE, "m", "m/0123456789abcdefghijk", V311, true, 0, NULL},
        {PORCH_IDENTITY_SERVICE, "m", "m/ABCDEFGHIJKLMNOPQRSTU", V5, true, 0, NULL},
        {PORCH_IDENTITY_SERVICE, "m", "m/VWXYZlmnopqrstuvwxyz", V5, true, 0, NULL},
        {PORCH_IDENTITY_SERVICE, "m", "mm", V5, true, 0x85, NULL},
        {PORCH_IDENTITY_SERVICE, "m", "", V5, true, 0, "m/"},
    };
    client k;
    hello h;
    (void)state;
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        fresh(&h, rows[i].v, rows[i].id);
        h.in.clean_start = rows[i].clean;
        dial(&k, rows[i].kind, rows[i].name, rows[i].v);
        if (rows[i].v == V311 && !rows[i].clean)
            send(&k, RAW(0x10, 12, 0, 4, 'M', 'Q', 'T', 'T', 4, 0, 0, 60, 0, 0));
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
    assert_int_equal(greet(&a, PORCH_IDENTITY_SERVICE, "m", fresh(&h, V5, "")), 0);
    assert_int_equal(greet(&b, PORCH_IDENTITY_SERVICE, "m", fresh(&h, V5, "")), 0);
    assert_false(a.c->told);
    leave(&a);
    leave(&b);
}

static void a_session_has_one_connection(void **state) {
    static const porch_mqtt_version versions[] = {V5, V311};
    client a, b;
    (void)state;
    for (size_t i = 0; i < 2; i++) {
        online_lasting(&a, versions[i], "m");
        assert_int_equal(subscribe(&a, (sub){.filter = "t/a", .qos = 1}), 1);
        online_lasting(&b, V5, "m");
        assert_true(b.present);
        ended(&a, PORCH_MQTT_RC_SESSION_TAKEN_OVER);
        say(&b, "t/a", "mine", 1);
        takes(&b, "t/a", "mine", 1);
        leave(&b);
        online(&b, V5, "m");
        goodbye(&b, 0);
    }
}

static void nothing_behind_a_refused_connect_is_looked_at(void **state) {
    static const porch_mqtt_version versions[] = {V5, V311};
    client k, w;
    hello h;
    (void)state;
    online(&w, V5, "m");
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
    online_lasting(&k, V5, "m");
    assert_int_equal(subscribe(&k, (sub){.filter = "t/#", .qos = 1}), 1);
    leave(&k);
    online(&p, V5, "m/p");
    say(&p, "t/a", "waits", 1);
    dial(&k, PORCH_IDENTITY_SERVICE, "m", V5);
    bed.holds_back = bed.has_store;
    send_hello(&k, lasting(fresh(&h, V5, "m")));
    bed_send(k.c, RAW(0xc0, 0)); /* it may go on talking at once */
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
    dial(&k, PORCH_IDENTITY_SERVICE, "m", V5);
    send_hello(&k, lasting(fresh(&h, V5, "m")));
    if (bed.has_store) {
        porch_broker_hooks()->drain(k.c);
        silent(&k);
        assert_true(k.c->told);
    }
    leave(&k);
    bed.holds_back = false;
    online(&k, V5, "m");
    goodbye(&k, 0);
}

/* ---- PUBLISH ---- */

static void dup_says_sent_again_and_nothing_else(void **state) {
    client k, p;
    (void)state;
    online_lasting(&k, V5, "m");
    assert_int_equal(subscribe(&k, (sub){.filter = "t/#", .qos = 2}), 2);
    online(&p, V311, "m/p");
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
    online_lasting(&k, V5, "m");
    m = hears(&k, "t/a", "one", 1);
    assert_true(m.dup);
    assert_int_equal(m.packet_id, one);
    m = hears(&k, "t/a", "two", 2);
    assert_true(m.dup);
    assert_int_equal(m.packet_id, two);
    silent(&k);
    goodbye(&p, 0);
    leave(&k);
    online(&k, V5, "m");
    send(&k, RAW(0x38, 6, 0, 3, 't', '/', 'a', 0)); /* DUP with QoS 0 */
    ended(&k, PORCH_MQTT_RC_MALFORMED_PACKET);
}

static void retained_messages_are_kept_replaced_and_cleared(void **state) {
    static const porch_mqtt_version versions[] = {V5, V311};
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
    online(&p, V5, "m/p");
    for (int i = 0; i < COUNT; i++) {
        (void)snprintf(topic, sizeof topic, "t/%d", i);
        publish(&p, (pub){.topic = topic, .payload = topic, .retain = true});
    }
    leave(&p);
    online_lasting(&k, V5, "m");
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
        online_lasting(&k, V5, "m");
        assert_true(k.present);
    }
    for (int i = 0; i < COUNT; i++)
        if (!had[i]) fail_msg("t/%d never came", i);
    leave(&k);
    online(&k, V5, "m");
    goodbye(&k, 0);
}

static void retain_handling_says_when_they_come(void **state) {
    client k, p;
    (void)state;
    online(&p, V5, "m/p");
    publish(&p, (pub){.topic = "t/r", .payload = "kept", .retain = true});
    online(&k, V5, "m/k");
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
    online(&p, V5, "m/p");
    online(&k, V5, "m/k");
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
    online(&p, V5, "m/p");
    online(&k, V5, "m/k");
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
    porch_bytes ten = RAW(2, 0, 0, 0, 10);
    online_lasting(&k, V5, "m");
    assert_int_equal(subscribe(&k, (sub){.filter = "t/#", .qos = 2}), 2);
    leave(&k);
    online(&p, V5, "m/p");
    publish(&p, (pub){.topic = "t/a", .payload = "soon", .qos = 1, .id = 1, .props = ten});
    bed_pass(4000);
    online_lasting(&k, V5, "m");
    porch_mqtt_publish m = hears(&k, "t/a", "soon", 1); /* on its way it may grow old */
    uint32_t left = porch_mqtt_property_number(&m.properties, PORCH_MQTT_PROP_MESSAGE_EXPIRY, 0);
    assert_in_range(left, 5, 6);
    publish(&p, (pub){.topic = "t/a", .payload = "two", .qos = 2, .id = 2, .props = ten});
    uint16_t two = hears(&k, "t/a", "two", 2).packet_id;
    leave(&k);
    publish(&p, (pub){.topic = "t/a", .payload = "late", .qos = 1, .id = 3, .props = ten});
    bed_pass(11000);
    online_lasting(&k, V5, "m");
    (void)hears(&k, "t/a", "soon", 1);
    assert_int_equal(hears(&k, "t/a", "two", 2).packet_id, two); /* sent before: its steps are finished */
    ack(&k, PORCH_MQTT_PUBREC, two, 0);
    (void)acked(&k, PORCH_MQTT_PUBREL, two);
    silent(&k);
    leave(&p);
    leave(&k);
    online(&k, V5, "m");
    goodbye(&k, 0);
}

static void overlapping_subscriptions_give_one_copy_with_all_identifiers(void **state) {
    client k, p;
    (void)state;
    online(&p, V5, "m/p");
    online(&k, V5, "m/k");
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
    online(&k, V5, "m");
    send(&k, RAW(0x30, 7, 0, 2, 't', '/', 2, 0x0b, 1));
    ended(&k, PORCH_MQTT_RC_PROTOCOL_ERROR);
}

static void receive_maximum_holds_towards_the_client(void **state) {
    client k, p;
    hello h;
    (void)state;
    online(&p, V5, "m/p");
    for (uint8_t qos = 1; qos < 3; qos++) {
        lasting(fresh(&h, V5, "m"));
        assert_int_equal(
            greet(&k, PORCH_IDENTITY_SERVICE, "m", with(&h, PORCH_MQTT_PROP_RECEIVE_MAXIMUM, 3)), 0);
        assert_int_equal(subscribe(&k, (sub){.filter = "t/#", .qos = qos}), qos);
        for (int i = 0; i < 8; i++)
            say(&p, "t/a", "x", 2);
        uint16_t first = hears(&k, "t/a", "x", qos).packet_id;
        (void)hears(&k, "t/a", "x", qos);
        (void)hears(&k, "t/a", "x", qos);
        silent(&k);
        say(&p, "t/a", "free", 0); /* QoS 0 is not counted, though it keeps its place */
        send(&k, RAW(0xc0, 0));    /* and nothing else waits */
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
        online(&k, V5, "m");
        goodbye(&k, 0);
    }
    goodbye(&p, 0);
}

static void a_smaller_receive_maximum_holds_for_what_is_sent_again(void **state) {
    client k, p;
    hello h;
    (void)state;
    online(&p, V5, "m/p");
    online_lasting(&k, V5, "m");
    assert_int_equal(subscribe(&k, (sub){.filter = "t/#", .qos = 2}), 2);
    char text[8];
    for (int i = 0; i < 6; i++) {
        (void)snprintf(text, sizeof text, "%d", i);
        say(&p, "t/a", text, i == 5 ? 2 : 1);
        (void)hears(&k, "t/a", text, i == 5 ? 2 : 1);
    }
    leave(&k);
    say(&p, "t/a", "last", 1);
    lasting(fresh(&h, V5, "m"));
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
    online(&k, V5, "m");
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
    assert_int_equal(greet(&k, PORCH_IDENTITY_SERVICE, "m", fresh(&h, V5, "m")), 0);
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
        online(&k, V311, "m");
        uint32_t most = bed.settings.broker_receive_maximum;
        fill_the_window(&k, most);
        publish(&k, (pub){.topic = "t/a", .payload = "x", .qos = qos, .id = (uint16_t)(most + 1)});
        ended(&k, PORCH_MQTT_RC_RECEIVE_MAXIMUM_EXCEEDED);
    }
}

/* ---- acknowledgements ---- */

static void qos_1_is_answered_by_its_identifier(void **state) {
    static const porch_mqtt_version versions[] = {V5, V311};
    client k, p;
    (void)state;
    for (size_t i = 0; i < 2; i++) {
        online(&k, V5, "m/k");
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
    static const porch_mqtt_version versions[] = {V5, V311};
    client k, p;
    (void)state;
    for (size_t i = 0; i < 2; i++) {
        online(&k, V5, "m/k");
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
        assert_int_equal(acked(&p, PORCH_MQTT_PUBCOMP, 12), versions[i] == V5 ? 0x92 : 0);
        publish(&p, twice); /* the identifier is free again: a new message */
        assert_int_equal(acked(&p, PORCH_MQTT_PUBREC, 12), 0);
        takes(&k, "t/a", "once", 1);
        leave(&p);
        goodbye(&k, 0);
        online(&p, V5, "m/p");
        goodbye(&p, 0);
    }
    /* A refused one is forgotten: the next with its identifier is new (5.0). */
    online(&p, V5, "m/p");
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
    online(&k, V5, "m/k");
    assert_int_equal(subscribe(&k, (sub){.filter = "t/#", .qos = 1}), 1);
    online_lasting(&p, V5, "m/p");
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
    online(&p, V5, "m/p");
    goodbye(&p, 0);
}

static void qos_2_is_handed_over_step_by_step(void **state) {
    static const porch_mqtt_version versions[] = {V5, V311};
    client k, p;
    (void)state;
    for (size_t i = 0; i < 2; i++) {
        porch_mqtt_version v = versions[i];
        online(&p, V5, "m/p");
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
        assert_int_equal(acked(&k, PORCH_MQTT_PUBREL, 4711), v == V5 ? 0x92 : 0);
        leave(&k);
        goodbye(&p, 0);
        online(&k, V5, "m/k");
        goodbye(&k, 0);
    }
    /* Refused by the client, it is done with (5.0). */
    online(&p, V5, "m/p");
    online_lasting(&k, V5, "m/k");
    assert_int_equal(subscribe(&k, (sub){.filter = "t/#", .qos = 2}), 2);
    say(&p, "t/a", "one", 1);
    say(&p, "t/a", "two", 2);
    ack(&k, PORCH_MQTT_PUBACK, hears(&k, "t/a", "one", 1).packet_id, 0x83);
    ack(&k, PORCH_MQTT_PUBREC, hears(&k, "t/a", "two", 2).packet_id, 0x83);
    silent(&k);
    leave(&k);
    online_lasting(&k, V5, "m/k");
    silent(&k);
    leave(&k);
    online(&k, V5, "m/k");
    goodbye(&k, 0);
    goodbye(&p, 0);
}

static void a_refused_publish_has_its_versions_answer(void **state) {
    client k;
    (void)state;
    for (uint8_t qos = 1; qos < 3; qos++) {
        porch_mqtt_type type = qos == 1 ? PORCH_MQTT_PUBACK : PORCH_MQTT_PUBREC;
        pub p = {.topic = "elsewhere", .payload = "x", .qos = qos, .id = 9};
        online(&k, V5, "m");
        publish(&k, p);
        assert_int_equal(acked(&k, type, 9), PORCH_MQTT_RC_NOT_AUTHORIZED);
        p.topic = "t/a";
        p.payload = "\xff";
        p.props = RAW(1, 1);
        publish(&k, p);
        assert_int_equal(acked(&k, type, 9), PORCH_MQTT_RC_PAYLOAD_FORMAT_INVALID);
        goodbye(&k, 0);
        online(&k, V311, "m");
        publish(&k, (pub){.topic = "elsewhere", .payload = "x", .qos = qos, .id = 9});
        (void)acked(&k, type, 9);
        if (qos == 2) {
            ack(&k, PORCH_MQTT_PUBREL, 9, 0);
            (void)acked(&k, PORCH_MQTT_PUBCOMP, 9);
        }
        goodbye(&k, 0);
    }
}

/* ---- SUBSCRIBE, UNSUBSCRIBE ---- */

static void each_filter_has_its_code_in_its_place(void **state) {
    static const porch_mqtt_version versions[] = {V5, V311};
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
                             rows[i].v5 >= 0x80 && versions[v] == V311 ? 0x80 : rows[i].v5);
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
        if (versions[v] == V5) {
            assert_int_equal(got.reasons.len, 3);
            assert_memory_equal(got.reasons.at, "\0\x11\0", 3);
        }
        goodbye(&k, 0);
    }
}

static void the_same_filter_again_replaces_and_loses_nothing(void **state) {
    client k, p;
    (void)state;
    online(&p, V5, "m/p");
    online(&k, V5, "m/k");
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
    online(&p, V5, "m/p");
    online(&k, V5, "m/k");
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

static void no_local_keeps_ones_own_words_away(void **state) {
    client a, b;
    (void)state;
    online(&a, V5, "m/a");
    online(&b, V5, "m/b");
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
    static const porch_mqtt_version versions[] = {V5, V311};
    client k;
    (void)state;
    for (size_t i = 0; i < 2; i++) {
        online(&k, versions[i], "m");
        send(&k, RAW(0xc0, 0, 0xc0, 0));
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
    online(&p, V5, "m/p");
    online_lasting(&k, V5, "m/k");
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
        online_lasting(&k, V5, "m/k"); /* and the same order again */
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
    online(&k, V5, "m/k");
    goodbye(&k, 0);
    goodbye(&p, 0);
}

static void topics_are_compared_as_they_are(void **state) {
    static const char *const everything[] = {"publish,subscribe:#", NULL};
    client k;
    (void)state;
    bed_grants = everything;
    online(&k, V5, "m");
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
    online(&p, V5, "m/p");
    online_lasting(&a, V5, "m/a");
    online(&b, V5, "m/b");
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
    online_lasting(&a, V5, "m/a");
    for (int i = 1; i < heard_a; i++)
        assert_int_equal(hears(&a, "s/x", "work", 2).packet_id, ids[i]);
    leave(&a);
    online(&a, V5, "m/a");
    silent(&b);
    goodbye(&a, 0);
    goodbye(&b, 0);
    goodbye(&p, 0);
}

static void a_shared_filter_has_its_form(void **state) {
    static const char *const broken[] = {"$share//s", "$share/g", "$share/g/", "$share/+/s", "$share/g#/s"};
    client k;
    (void)state;
    for (size_t i = 0; i < sizeof broken / sizeof *broken; i++) {
        uint8_t text[64];
        porch_buf b = PORCH_BUF_OF(text);
        size_t n = strlen(broken[i]);
        online(&k, V5, "m");
        ok(porch_mqtt_frame_write_header(&b, PORCH_MQTT_SUBSCRIBE, 2, 3 + 2 + n + 1));
        ok(porch_write_u16(&b, 1));
        ok(porch_write_u8(&b, 0));
        ok(porch_write_block16(&b, porch_bytes_of(broken[i])));
        ok(porch_write_u8(&b, 0));
        send(&k, porch_buf_bytes(&b));
        ended(&k, PORCH_MQTT_RC_TOPIC_FILTER_INVALID);
    }
    online(&k, V5, "m"); /* no local on it is a protocol error */
    send(&k, RAW(0x82, 16, 0, 1, 0, 0, 10, '$', 's', 'h', 'a', 'r', 'e', '/', 'g', '/', 's', 4));
    ended(&k, PORCH_MQTT_RC_PROTOCOL_ERROR);
}

static void other_proof_than_the_certificate_is_not_asked_for(void **state) {
    client k;
    hello h;
    (void)state;
    fresh(&h, V5, "m");
    ok(porch_mqtt_property_put_text(&h.props, PORCH_MQTT_PROP_AUTH_METHOD, PORCH_LIT("SCRAM-SHA-256")));
    assert_int_equal(greet(&k, PORCH_IDENTITY_SERVICE, "m", &h), PORCH_MQTT_RC_BAD_AUTH_METHOD);
    assert_true(k.c->told);
    leave(&k);
    assert_int_equal(greet(&k, PORCH_IDENTITY_SERVICE, "m", fresh(&h, V5, "m")), 0);
    assert_false(porch_mqtt_property_has(&k.properties, PORCH_MQTT_PROP_AUTH_METHOD));
    send(&k, RAW(0xf0, 7, 0x19, 5, 0x15, 0, 2, 'G', 'S')); /* AUTH out of nothing */
    ended(&k, PORCH_MQTT_RC_PROTOCOL_ERROR);
}

static void behind_a_goodbye_nothing_is_taken_or_sent(void **state) {
    client k, w;
    (void)state;
    online(&w, V5, "m/w");
    assert_int_equal(subscribe(&w, (sub){.filter = "t/#", .qos = 0}), 0);
    online(&k, V5, "m/k");
    assert_int_equal(subscribe(&k, (sub){.filter = "t/#", .qos = 0}), 0);
    send(&k, RAW(0xe0, 0, 0x30, 6, 0, 3, 't', '/', 'a', 0));
    say(&w, "t/b", "x", 0);
    (void)hears(&w, "t/b", "x", 0);
    silent(&w);
    silent(&k);
    assert_true(k.c->told);
    leave(&k);
    /* The same the other way: the hub's DISCONNECT is its last word. */
    online(&k, V5, "m/k");
    assert_int_equal(subscribe(&k, (sub){.filter = "t/#", .qos = 0}), 0);
    bed_send(k.c, RAW(0x60, 0, 0xc0, 0));
    say(&w, "t/b", "x", 0);
    porch_mqtt_packet p;
    uint8_t last = 0;
    while (next(&k, &p))
        last = p.type;
    assert_int_equal(last, PORCH_MQTT_DISCONNECT);
    assert_true(k.c->told);
    leave(&k);
    goodbye(&w, 0);
}

/* ---- the bed ---- */

static bool small_queue;

static void start(bool store) {
    porch_log_init("conformance", getenv("PORCH_TEST_LOG") != NULL ? PORCH_LOG_DEBUG : PORCH_LOG_ERROR);
    memset(&bed, 0, sizeof bed);
    porch_settings_default(&bed.settings);
    bed.settings.broker_messages_s = bed.settings.broker_bytes_s = 0;
    bed.settings.broker_receive_maximum = 40;
    if (small_queue) bed.settings.broker_queue_messages = 16;
    bed_start(BED_SHARDS, store);
}

static int begin_small(void **state) {
    (void)state;
    small_queue = true;
    start(true);
    small_queue = false;
    return 0;
}

static int begin_without(void **state) {
    (void)state;
    start(false);
    return 0;
}

static int begin_with(void **state) {
    (void)state;
    start(true);
    return 0;
}

static int end(void **state) {
    (void)state;
    bed_stop();
    return 0;
}

#define BOTH(name)                                           \
    {#name, name, begin_without, end, NULL}, {               \
#name " (with a store)", name, begin_with, end, NULL \
    }

int main(void) {
    const struct CMUnitTest tests[] = {
        BOTH(a_connection_begins_with_one_connect_and_has_no_other),
        BOTH(name_and_level_of_the_protocol_are_judged),
        BOTH(a_connect_that_breaks_the_format_opens_nothing),
        BOTH(a_clean_start_begins_anew_and_another_goes_on),
        BOTH(a_session_waits_as_long_as_agreed),
        BOTH(a_will_is_spoken_after_every_end_but_a_normal_one),
        BOTH(a_will_waits_for_its_delay_or_the_sessions_end),
        BOTH(a_will_keeps_its_retain_flag_and_its_properties),
        BOTH(silence_past_the_keep_alive_ends_the_connection),
        BOTH(nothing_larger_than_the_clients_maximum_is_sent),
        BOTH(topic_aliases_stay_within_what_was_agreed),
        BOTH(response_information_comes_when_it_is_asked_for),
        BOTH(reason_strings_come_only_where_they_are_welcome),
        BOTH(a_client_identifier_is_ones_own_or_is_given),
        BOTH(a_session_has_one_connection),
        BOTH(nothing_behind_a_refused_connect_is_looked_at),
        BOTH(connack_comes_first_and_once),
        BOTH(dup_says_sent_again_and_nothing_else),
        BOTH(retained_messages_are_kept_replaced_and_cleared),
        cmocka_unit_test_setup_teardown(retained_messages_come_however_small_the_queue, begin_small, end),
        BOTH(retain_handling_says_when_they_come),
        BOTH(retain_as_published_keeps_the_flag),
        BOTH(properties_travel_unaltered_and_in_their_order),
        BOTH(a_message_expires_where_it_waits),
        BOTH(overlapping_subscriptions_give_one_copy_with_all_identifiers),
        BOTH(a_client_sends_no_subscription_identifier),
        BOTH(receive_maximum_holds_towards_the_client),
        BOTH(a_smaller_receive_maximum_holds_for_what_is_sent_again),
        BOTH(more_publications_than_receive_maximum_end_the_session),
        BOTH(an_older_client_that_releases_nothing_is_not_left_waiting),
        BOTH(qos_1_is_answered_by_its_identifier),
        BOTH(qos_2_is_taken_once),
        BOTH(what_is_said_twice_before_the_commit_is_answered_twice),
        BOTH(qos_2_is_handed_over_step_by_step),
        BOTH(a_refused_publish_has_its_versions_answer),
        BOTH(each_filter_has_its_code_in_its_place),
        BOTH(the_same_filter_again_replaces_and_loses_nothing),
        BOTH(unsubscribing_stops_what_is_new_and_finishes_what_began),
        BOTH(no_local_keeps_ones_own_words_away),
        BOTH(a_ping_is_answered),
        BOTH(messages_keep_their_order),
        BOTH(topics_are_compared_as_they_are),
        BOTH(shared_work_is_each_members_own_part),
        BOTH(a_shared_filter_has_its_form),
        BOTH(other_proof_than_the_certificate_is_not_asked_for),
        BOTH(behind_a_goodbye_nothing_is_taken_or_sent),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
