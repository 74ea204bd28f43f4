/* For the tests of what MQTT 5.0 and 3.1.1 ask of a server, told in conversations, a file for each part of
 * the standard: a client of few words, and the bed that each test lies in. Each test is named by what it
 * shows, and docs/mqtt-conformance.md says which statements of the standards that is. The broker is the
 * real one, its surroundings are brokerbed.h's; each test runs without and with a store. */
#ifndef PORCH_CLOUD_BROKER_CONFORMANCEBED_H
#define PORCH_CLOUD_BROKER_CONFORMANCEBED_H

#include "cloud/broker/brokerbed.h"

#include <cmocka.h>

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

static inline void ok(porch_err e) {
    assert_int_equal(e, PORCH_OK);
}

static inline hello *fresh(hello *h, porch_mqtt_version v, const char *id) {
    memset(h, 0, sizeof *h);
    h->in.version = v;
    h->in.clean_start = true;
    h->in.keep_alive_s = 60;
    h->in.client_id = porch_bytes_of(id);
    h->props = PORCH_BUF_OF(h->raw);
    h->will_props = PORCH_BUF_OF(h->will_raw);
    return h;
}

static inline hello *with(hello *h, porch_mqtt_property_id id, uint32_t number) {
    ok(porch_mqtt_property_put_number(&h->props, id, number));
    return h;
}

static inline hello *lasting(hello *h) {
    h->in.clean_start = false;
    return h->in.version == PORCH_MQTT_V5 ? with(h, PORCH_MQTT_PROP_SESSION_EXPIRY, 3600) : h;
}

static inline hello *will(hello *h, const char *topic, const char *payload, uint8_t qos, bool retain) {
    h->in.has_will = true;
    h->in.will.topic.text = porch_bytes_of(topic);
    h->in.will.payload = porch_bytes_of(payload);
    h->in.will.qos = qos;
    h->in.will.retain = retain;
    return h;
}

static inline void send(client *k, porch_bytes b) {
    bed_send(k->c, b);
    bed_work();
}

static inline bool next(client *k, porch_mqtt_packet *ret) {
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

static inline porch_mqtt_packet expect(client *k, porch_mqtt_type type) {
    porch_mqtt_packet p = {.type = PORCH_MQTT_AUTH};
    if (!next(k, &p)) fail_msg("nothing instead of %s", porch_mqtt_type_name(type));
    if (p.type != type)
        fail_msg("%s instead of %s", porch_mqtt_type_name(p.type), porch_mqtt_type_name(type));
    return p;
}

static inline void silent(client *k) {
    porch_mqtt_packet p;
    if (next(k, &p)) fail_msg("%s where nothing was to come", porch_mqtt_type_name(p.type));
}

static inline void leave(client *k) {
    bed_hang_up(k->c);
    k->c = NULL;
}

/* The hub has ended it, with this reason where the version has one; nothing follows. */
static inline void ended(client *k, uint8_t reason) {
    if (k->v == PORCH_MQTT_V5) assert_int_equal(expect(k, PORCH_MQTT_DISCONNECT).disconnect.reason, reason);
    silent(k);
    assert_true(k->c->told);
    leave(k);
}

static inline void dial(client *k, porch_identity_kind kind, const char *name, porch_mqtt_version v) {
    memset(k, 0, sizeof *k);
    k->v = v;
    k->c = bed_dial(kind, name);
}

static inline void send_hello(client *k, hello *h) {
    uint8_t text[2048];
    porch_buf b = PORCH_BUF_OF(text);
    ok(porch_mqtt_properties_of(porch_buf_bytes(&h->props), PORCH_MQTT_CONNECT, NULL, &h->in.properties));
    ok(porch_mqtt_properties_of(porch_buf_bytes(&h->will_props), PORCH_MQTT_WILL, NULL,
                                &h->in.will.properties));
    ok(porch_mqtt_connect_write(&b, &h->in));
    send(k, porch_buf_bytes(&b));
}

static inline uint8_t connack(client *k) {
    porch_mqtt_packet p = expect(k, PORCH_MQTT_CONNACK);
    k->present = p.connack.session_present;
    k->properties = p.connack.properties;
    return p.connack.reason;
}

static inline uint8_t greet(client *k, porch_identity_kind kind, const char *name, hello *h) {
    dial(k, kind, name, h->in.version);
    send_hello(k, h);
    return connack(k);
}

static inline void online(client *k, porch_mqtt_version v, const char *id) {
    hello h;
    assert_int_equal(greet(k, PORCH_IDENTITY_SERVICE, "m", fresh(&h, v, id)), 0);
}

static inline void online_lasting(client *k, porch_mqtt_version v, const char *id) {
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

static inline void publish(client *k, pub p) {
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

static inline void ack(client *k, porch_mqtt_type type, uint16_t id, uint8_t reason) {
    uint8_t text[16];
    porch_buf b = PORCH_BUF_OF(text);
    porch_mqtt_ack a = {.type = type, .packet_id = id, .reason = reason};
    ok(porch_mqtt_ack_write(&b, k->v, &a));
    send(k, porch_buf_bytes(&b));
}

static inline uint8_t acked(client *k, porch_mqtt_type type, uint16_t id) {
    porch_mqtt_packet p = expect(k, type);
    assert_int_equal(p.ack.packet_id, id);
    return p.ack.reason;
}

/* A publication with all that belongs to it. */
static inline void say(client *k, const char *topic, const char *payload, uint8_t qos) {
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

static inline uint8_t subscribe(client *k, sub s) {
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

static inline void unsubscribe(client *k, const char *filter) {
    uint8_t text[512], list[400];
    porch_buf b = PORCH_BUF_OF(text), l = PORCH_BUF_OF(list);
    porch_mqtt_unsubscribe in = {.packet_id = 78, .count = 1};
    ok(porch_mqtt_unsubscription_put(&l, porch_bytes_of(filter)));
    in.filters = porch_buf_bytes(&l);
    ok(porch_mqtt_unsubscribe_write(&b, k->v, &in));
    send(k, porch_buf_bytes(&b));
}

static inline void goodbye(client *k, uint8_t reason) {
    uint8_t text[16];
    porch_buf b = PORCH_BUF_OF(text);
    porch_mqtt_disconnect d = {.reason = reason};
    ok(porch_mqtt_disconnect_write(&b, k->v, &d));
    send(k, porch_buf_bytes(&b));
    leave(k);
}

/* The next packet is this publication. */
static inline porch_mqtt_publish hears(client *k, const char *topic, const char *payload, uint8_t qos) {
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
static inline void takes(client *k, const char *topic, const char *payload, uint8_t qos) {
    uint16_t id = hears(k, topic, payload, qos).packet_id;
    if (qos == 1) ack(k, PORCH_MQTT_PUBACK, id, 0);
    if (qos < 2) return;
    ack(k, PORCH_MQTT_PUBREC, id, 0);
    assert_int_equal(acked(k, PORCH_MQTT_PUBREL, id), 0);
    ack(k, PORCH_MQTT_PUBCOMP, id, 0);
}

#define PORCH_TEST_RAW(...) \
    ((porch_bytes){(const uint8_t[]){__VA_ARGS__}, sizeof((const uint8_t[]){__VA_ARGS__})})

/* ---- the bed ---- */

static bool small_queue;

static inline void start(bool store) {
    porch_log_init("conformance", getenv("PORCH_TEST_LOG") != NULL ? PORCH_LOG_DEBUG : PORCH_LOG_ERROR);
    memset(&bed, 0, sizeof bed);
    porch_settings_default(&bed.settings);
    bed.settings.broker_messages_s = bed.settings.broker_bytes_s = 0;
    bed.settings.broker_receive_maximum = 40;
    if (small_queue) bed.settings.broker_queue_messages = 16;
    bed_start(BED_SHARDS, store);
}

static inline int begin_small(void **state) {
    (void)state;
    small_queue = true;
    start(true);
    small_queue = false;
    return 0;
}

static inline int begin_without(void **state) {
    (void)state;
    start(false);
    return 0;
}

static inline int begin_with(void **state) {
    (void)state;
    start(true);
    return 0;
}

static inline int end(void **state) {
    (void)state;
    bed_stop();
    return 0;
}

#define PORCH_TEST_BOTH(name)                                \
    {#name, name, begin_without, end, NULL}, {               \
#name " (with a store)", name, begin_with, end, NULL \
    }

#endif
