/* Byte by byte: every packet with each of its fields wrong, missing, twice, out of place and cut short, in
 * each state of a connection, in both versions. The answer is the reason code in CONNACK or DISCONNECT and
 * then the end, or the end alone where the version has no word; a bystander is served all the while. */
#include "cloud/broker/brokerbed.h"

#include <cmocka.h>

#define V5   PORCH_MQTT_V5
#define V311 PORCH_MQTT_V311

/* Bytes as a string, zeros included. */
#define B(text) \
    { (const uint8_t *)(text), sizeof(text) - 1 }

typedef struct {
    const char *name;
    porch_bytes raw;
    uint8_t reason;
} row;

/* ---- one connection, by hand ---- */

static porch_conn *bystander;

static porch_conn *dial(void) {
    return bed_dial(PORCH_IDENTITY_SERVICE, "m");
}

static void put(porch_conn *c, porch_bytes raw) {
    bed_send(c, raw);
    bed_work();
}

static const porch_bytes hello_v5 = B("\x10\x13\0\4MQTT\5\2\0\x3c\5\x11\0\0\0\0\0\1m");
static const porch_bytes hello_v311 = B("\x10\x0d\0\4MQTT\4\2\0\x3c\0\1m");

/* The first packet that waits to be read; false: none. */
static bool look(const porch_conn *c, porch_mqtt_version v, porch_mqtt_packet *ret, size_t *bytes) {
    porch_mqtt_frame frame;
    if (porch_mqtt_frame_read((porch_bytes){c->out, c->out_len}, 1 << 20, NULL, &frame) != PORCH_OK)
        return false;
    assert_int_equal(porch_mqtt_packet_read(&frame, v, PORCH_MQTT_FROM_SERVER, NULL, ret), PORCH_OK);
    *bytes = frame.bytes;
    return true;
}

static porch_conn *online(porch_mqtt_version v) {
    porch_mqtt_packet p;
    size_t bytes = 0;
    porch_conn *c = dial();
    put(c, v == V5 ? hello_v5 : hello_v311);
    assert_true(look(c, v, &p, &bytes) && p.type == PORCH_MQTT_CONNACK && p.connack.reason == 0);
    bed_read(c, bytes);
    assert_int_equal(c->out_len, 0);
    return c;
}

/* What became of a connection: 0 it lives, 1 it ended without a word, else the reason it was told. */
enum { LIVES = 0, ENDED = 1 };

static int outcome(porch_conn *c, porch_mqtt_version v) {
    porch_mqtt_packet p;
    size_t bytes = 0;
    int told = LIVES;
    while (look(c, v, &p, &bytes)) {
        assert_int_equal(told, LIVES); /* nothing behind DISCONNECT */
        if (p.type == PORCH_MQTT_DISCONNECT) told = p.disconnect.reason;
        if (p.type == PORCH_MQTT_CONNACK && p.connack.reason != 0) told = p.connack.reason;
        bed_read(c, bytes);
    }
    assert_int_equal(c->out_len, 0);
    if (told != LIVES) assert_true(c->told);
    return told == LIVES && c->told ? ENDED : told;
}

static void all_is_well(void) {
    porch_mqtt_packet p;
    size_t bytes = 0;
    put(bystander, (porch_bytes)B("\xc0\0"));
    assert_true(look(bystander, V5, &p, &bytes) && p.type == PORCH_MQTT_PINGRESP);
    bed_read(bystander, bytes);
    assert_false(bystander->told);
}

static void plays(const row *r, porch_mqtt_version v, porch_conn *c) {
    put(c, r->raw);
    int got = outcome(c, v), wanted = v == V5 ? r->reason : ENDED;
    if (got != wanted) fail_msg("%s: 0x%02x instead of 0x%02x", r->name, (unsigned)got, (unsigned)wanted);
    bed_hang_up(c);
}

/* ---- connected ---- */

static const row wrong_v5[] = {
    {"type 0", B("\0\0"), 0x81},
    {"a length of five bytes", B("\x30\xff\xff\xff\xff\x7f"), 0x81},
    {"a length longer than its shortest form", B("\x30\x85\0\0\1t\0x"), 0x81},
    {"a packet above the limit", B("\x30\xff\xff\x7f"), 0x95},
    {"a second CONNECT", B("\x10\x0e\0\4MQTT\5\2\0\x3c\0\0\1m"), 0x82},
    {"CONNACK of a client", B("\x20\3\0\0\0"), 0x82},
    {"SUBACK of a client", B("\x90\4\0\1\0\0"), 0x82},
    {"UNSUBACK of a client", B("\xb0\4\0\1\0\0"), 0x82},
    {"PINGRESP of a client", B("\xd0\0"), 0x82},

    {"PUBLISH, QoS 3", B("\x36\7\0\1t\0\1\0x"), 0x81},
    {"PUBLISH, DUP without QoS", B("\x38\5\0\1t\0x"), 0x81},
    {"PUBLISH, no topic", B("\x30\0"), 0x81},
    {"PUBLISH, half a topic length", B("\x30\1\0"), 0x81},
    {"PUBLISH, a topic longer than the packet", B("\x30\5\0\x50t\0x"), 0x81},
    {"PUBLISH, a topic that is not UTF-8", B("\x30\6\0\2t\xff\0x"), 0x81},
    {"PUBLISH, an overlong form in the topic", B("\x30\6\0\2\xc0\x80\0x"), 0x81},
    {"PUBLISH, a surrogate in the topic", B("\x30\7\0\3\xed\xa0\x80\0x"), 0x81},
    {"PUBLISH, U+0000 in the topic", B("\x30\7\0\3t\0t\0x"), 0x81},
    {"PUBLISH, + in the topic", B("\x30\7\0\3t/+\0x"), 0x90},
    {"PUBLISH, # in the topic", B("\x30\7\0\3t/#\0x"), 0x90},
    {"PUBLISH, neither topic nor alias", B("\x30\4\0\0\0x"), 0x82},
    {"PUBLISH, no identifier", B("\x32\3\0\1t"), 0x81},
    {"PUBLISH, half an identifier", B("\x32\4\0\1t\0"), 0x81},
    {"PUBLISH, identifier 0", B("\x32\7\0\1t\0\0\0x"), 0x82},
    {"PUBLISH, no properties", B("\x32\5\0\1t\0\1"), 0x81},
    {"PUBLISH, properties longer than the packet", B("\x30\5\0\1t\5x"), 0x81},
    {"PUBLISH, a length of properties of five bytes", B("\x30\x09\0\1t\x80\x80\x80\x80\1x"), 0x81},
    {"PUBLISH, a long form of the properties' length", B("\x30\6\0\1t\x80\0x"), 0x81},
    {"PUBLISH, payload format 2", B("\x30\7\0\1t\2\1\2x"), 0x82},
    {"PUBLISH, alias 0", B("\x30\x08\0\1t\3\x23\0\0x"), 0x94},
    {"PUBLISH, alias above the maximum", B("\x30\x08\0\1t\3\x23\0\x11x"), 0x94},
    {"PUBLISH, an alias that was never set", B("\x30\7\0\0\3\x23\0\1x"), 0x82},
    {"PUBLISH, a wildcard in the response topic", B("\x30\x09\0\1t\4\x08\0\1#x"), 0x82},
    {"PUBLISH, an empty response topic", B("\x30\x08\0\1t\3\x08\0\0x"), 0x82},
    {"PUBLISH, a subscription identifier", B("\x30\7\0\1t\2\x0b\1x"), 0x82},
    {"PUBLISH, half a user property", B("\x30\x09\0\1t\4\x26\0\1ax"), 0x81},
    {"PUBLISH, text that is not UTF-8", B("\x30\x09\0\1t\4\3\0\1\xffx"), 0x81},

    {"SUBSCRIBE, flags", B("\x80\7\0\1\0\0\1t\0"), 0x81},
    {"SUBSCRIBE, nothing", B("\x82\0"), 0x81},
    {"SUBSCRIBE, identifier 0", B("\x82\7\0\0\0\0\1t\0"), 0x82},
    {"SUBSCRIBE, no properties", B("\x82\2\0\1"), 0x81},
    {"SUBSCRIBE, no filter", B("\x82\3\0\1\0"), 0x82},
    {"SUBSCRIBE, no options", B("\x82\6\0\1\0\0\1t"), 0x81},
    {"SUBSCRIBE, QoS 3", B("\x82\7\0\1\0\0\1t\3"), 0x81},
    {"SUBSCRIBE, reserved options", B("\x82\7\0\1\0\0\1t\x40"), 0x81},
    {"SUBSCRIBE, reserved options", B("\x82\7\0\1\0\0\1t\x80"), 0x81},
    {"SUBSCRIBE, retain handling 3", B("\x82\7\0\1\0\0\1t\x30"), 0x82},
    {"SUBSCRIBE, an empty filter", B("\x82\6\0\1\0\0\0\0"), 0x8f},
    {"SUBSCRIBE, a misplaced #", B("\x82\x09\0\1\0\0\3#/t\0"), 0x8f},
    {"SUBSCRIBE, a misplaced +", B("\x82\x08\0\1\0\0\2t+\0"), 0x8f},
    {"SUBSCRIBE, a filter that is not UTF-8", B("\x82\7\0\1\0\0\1\xff\0"), 0x81},
    {"SUBSCRIBE, U+0000 in a filter", B("\x82\7\0\1\0\0\1\0\0"), 0x81},
    {"SUBSCRIBE, a second filter cut short", B("\x82\x09\0\1\0\0\1t\0\0\5"), 0x81},
    {"SUBSCRIBE, subscription identifier 0", B("\x82\x09\0\1\2\x0b\0\0\1t\0"), 0x82},
    {"SUBSCRIBE, an identifier of five bytes", B("\x82\x0d\0\1\6\x0b\x80\x80\x80\x80\1\0\1t\0"), 0x81},

    {"UNSUBSCRIBE, flags", B("\xa0\6\0\1\0\0\1t"), 0x81},
    {"UNSUBSCRIBE, nothing", B("\xa2\0"), 0x81},
    {"UNSUBSCRIBE, identifier 0", B("\xa2\6\0\0\0\0\1t"), 0x82},
    {"UNSUBSCRIBE, no filter", B("\xa2\3\0\1\0"), 0x82},
    {"UNSUBSCRIBE, an empty filter", B("\xa2\5\0\1\0\0\0"), 0x8f},
    {"UNSUBSCRIBE, a misplaced #", B("\xa2\x08\0\1\0\0\3t#t"), 0x8f},
    {"UNSUBSCRIBE, a filter that is not UTF-8", B("\xa2\6\0\1\0\0\1\xff"), 0x81},

    {"PUBACK, flags", B("\x42\2\0\1"), 0x81},
    {"PUBACK, nothing", B("\x40\0"), 0x81},
    {"PUBACK, half an identifier", B("\x40\1\0"), 0x81},
    {"PUBACK, identifier 0", B("\x40\2\0\0"), 0x82},
    {"PUBACK, another packet's code", B("\x40\3\0\1\x92"), 0x82},
    {"PUBACK, an unknown code", B("\x40\3\0\1\x7f"), 0x82},
    {"PUBACK, bytes left over", B("\x40\5\0\1\0\0x"), 0x81},
    {"PUBREC, flags", B("\x52\2\0\1"), 0x81},
    {"PUBREC, nothing", B("\x50\0"), 0x81},
    {"PUBREC, identifier 0", B("\x50\2\0\0"), 0x82},
    {"PUBREC, another packet's code", B("\x50\3\0\1\x92"), 0x82},
    {"PUBREL, flags", B("\x60\2\0\1"), 0x81},
    {"PUBREL, nothing", B("\x62\0"), 0x81},
    {"PUBREL, identifier 0", B("\x62\2\0\0"), 0x82},
    {"PUBREL, another packet's code", B("\x62\3\0\1\x10"), 0x82},
    {"PUBCOMP, flags", B("\x72\2\0\1"), 0x81},
    {"PUBCOMP, nothing", B("\x70\0"), 0x81},
    {"PUBCOMP, identifier 0", B("\x70\2\0\0"), 0x82},
    {"PUBCOMP, another packet's code", B("\x70\3\0\1\x80"), 0x82},

    {"PINGREQ, flags", B("\xc1\0"), 0x81},
    {"PINGREQ, a body", B("\xc0\1x"), 0x81},
    {"DISCONNECT, flags", B("\xe1\0"), 0x81},
    {"DISCONNECT, an unknown code", B("\xe0\1\5"), 0x82},
    {"DISCONNECT, CONNACK's code", B("\xe0\1\x84"), 0x82},
    {"DISCONNECT, properties longer than the packet", B("\xe0\2\0\5"), 0x81},
    {"DISCONNECT, a session expiry after none", B("\xe0\7\0\5\x11\0\0\0\1"), 0x82},
    {"DISCONNECT, the server's property", B("\xe0\6\0\4\x1c\0\1x"), 0x82},
    {"DISCONNECT, bytes left over", B("\xe0\3\0\0x"), 0x81},
    {"AUTH, flags", B("\xf1\0"), 0x81},
    {"AUTH, nothing asked for", B("\xf0\0"), 0x82},
    {"AUTH, no method", B("\xf0\2\x18\0"), 0x82},
    {"AUTH, an unknown code", B("\xf0\2\1\0"), 0x82},
    {"AUTH, data without a method", B("\xf0\6\x18\4\x16\0\1x"), 0x82},
};

static const row wrong_v311[] = {
    {"type 0", B("\0\0"), ENDED},
    {"AUTH", B("\xf0\0"), ENDED},
    {"a length of five bytes", B("\x30\xff\xff\xff\xff\x7f"), ENDED},
    {"a packet above the limit", B("\x30\xff\xff\x7f"), ENDED},
    {"a second CONNECT", B("\x10\x0d\0\4MQTT\4\2\0\x3c\0\1m"), ENDED},
    {"CONNACK of a client", B("\x20\2\0\0"), ENDED},
    {"SUBACK of a client", B("\x90\3\0\1\0"), ENDED},
    {"UNSUBACK of a client", B("\xb0\2\0\1"), ENDED},
    {"PINGRESP of a client", B("\xd0\0"), ENDED},
    {"PUBLISH, QoS 3", B("\x36\6\0\1t\0\1x"), ENDED},
    {"PUBLISH, DUP without QoS", B("\x38\4\0\1tx"), ENDED},
    {"PUBLISH, no topic", B("\x30\0"), ENDED},
    {"PUBLISH, an empty topic", B("\x30\3\0\0x"), ENDED},
    {"PUBLISH, a topic longer than the packet", B("\x30\4\0\x50tx"), ENDED},
    {"PUBLISH, a topic that is not UTF-8", B("\x30\5\0\2t\xffx"), ENDED},
    {"PUBLISH, a surrogate in the topic", B("\x30\6\0\3\xed\xa0\x80x"), ENDED},
    {"PUBLISH, U+0000 in the topic", B("\x30\6\0\3t\0tx"), ENDED},
    {"PUBLISH, + in the topic", B("\x30\6\0\3t/+x"), ENDED},
    {"PUBLISH, no identifier", B("\x32\3\0\1t"), ENDED},
    {"PUBLISH, identifier 0", B("\x32\6\0\1t\0\0x"), ENDED},
    {"SUBSCRIBE, flags", B("\x80\6\0\1\0\1t\0"), ENDED},
    {"SUBSCRIBE, identifier 0", B("\x82\6\0\0\0\1t\0"), ENDED},
    {"SUBSCRIBE, no filter", B("\x82\2\0\1"), ENDED},
    {"SUBSCRIBE, no QoS", B("\x82\5\0\1\0\1t"), ENDED},
    {"SUBSCRIBE, QoS 3", B("\x82\6\0\1\0\1t\3"), ENDED},
    {"SUBSCRIBE, an option of 5.0", B("\x82\6\0\1\0\1t\4"), ENDED},
    {"SUBSCRIBE, a misplaced #", B("\x82\x08\0\1\0\3#/t\0"), ENDED},
    {"SUBSCRIBE, a filter that is not UTF-8", B("\x82\6\0\1\0\1\xff\0"), ENDED},
    {"UNSUBSCRIBE, flags", B("\xa0\5\0\1\0\1t"), ENDED},
    {"UNSUBSCRIBE, identifier 0", B("\xa2\5\0\0\0\1t"), ENDED},
    {"UNSUBSCRIBE, no filter", B("\xa2\2\0\1"), ENDED},
    {"UNSUBSCRIBE, a filter that is not UTF-8", B("\xa2\5\0\1\0\1\xff"), ENDED},
    {"PUBACK, a reason code", B("\x40\3\0\1\0"), ENDED},
    {"PUBACK, identifier 0", B("\x40\2\0\0"), ENDED},
    {"PUBREC, half an identifier", B("\x50\1\0"), ENDED},
    {"PUBREL, flags", B("\x60\2\0\1"), ENDED},
    {"PUBREL, identifier 0", B("\x62\2\0\0"), ENDED},
    {"PUBCOMP, bytes left over", B("\x70\3\0\1x"), ENDED},
    {"PINGREQ, a body", B("\xc0\1x"), ENDED},
    {"DISCONNECT, flags", B("\xe1\0"), ENDED},
    {"DISCONNECT, a reason code", B("\xe0\1\0"), ENDED},
};

static void every_wrong_field_has_its_answer(void **state) {
    (void)state;
    for (size_t i = 0; i < sizeof wrong_v5 / sizeof *wrong_v5; i++)
        plays(&wrong_v5[i], V5, online(V5));
    all_is_well();
    for (size_t i = 0; i < sizeof wrong_v311 / sizeof *wrong_v311; i++)
        plays(&wrong_v311[i], V311, online(V311));
    all_is_well();
}

/* ---- before CONNECT ---- */

static const row wrong_hellos[] = {
    {"CONNECT, flags", B("\x11\x0e\0\4MQTT\5\2\0\x3c\0\0\1m"), ENDED},
    {"CONNECT, nothing", B("\x10\0"), ENDED}, /* nobody knows its version */
    {"CONNECT above the limit", B("\x10\xff\xff\x7f"), ENDED},
    {"CONNECT, another name", B("\x10\x0e\0\4MQTX\5\2\0\x3c\0\0\1m"), 0x84},
    {"CONNECT, another level", B("\x10\x0e\0\4MQTT\7\2\0\x3c\0\0\1m"), 0x84},
    {"CONNECT, no flags", B("\x10\7\0\4MQTT\5"), 0x81},
    {"CONNECT, the reserved flag", B("\x10\x0e\0\4MQTT\5\3\0\x3c\0\0\1m"), 0x81},
    {"CONNECT, will QoS without a will", B("\x10\x0e\0\4MQTT\5\x0a\0\x3c\0\0\1m"), 0x81},
    {"CONNECT, will QoS 3", B("\x10\x14\0\4MQTT\5\x1e\0\x3c\0\0\1m\0\0\1t\0\0"), 0x81},
    {"CONNECT, will retain without a will", B("\x10\x0e\0\4MQTT\5\x22\0\x3c\0\0\1m"), 0x81},
    {"CONNECT, half a keep-alive", B("\x10\x09\0\4MQTT\5\2\0"), 0x81},
    {"CONNECT, no properties", B("\x10\x0a\0\4MQTT\5\2\0\x3c"), 0x81},
    {"CONNECT, properties longer than the packet", B("\x10\x0e\0\4MQTT\5\2\0\x3c\x20\0\1m"), 0x81},
    {"CONNECT, Receive Maximum 0", B("\x10\x11\0\4MQTT\5\2\0\x3c\3\x21\0\0\0\1m"), 0x82},
    {"CONNECT, Maximum Packet Size 0", B("\x10\x13\0\4MQTT\5\2\0\x3c\5\x27\0\0\0\0\0\1m"), 0x82},
    {"CONNECT, Request Problem Information 2", B("\x10\x10\0\4MQTT\5\2\0\x3c\2\x17\2\0\1m"), 0x82},
    {"CONNECT, Request Response Information 2", B("\x10\x10\0\4MQTT\5\2\0\x3c\2\x19\2\0\1m"), 0x82},
    {"CONNECT, authentication data alone", B("\x10\x12\0\4MQTT\5\2\0\x3c\4\x16\0\1x\0\1m"), 0x82},
    {"CONNECT, an authentication method", B("\x10\x12\0\4MQTT\5\2\0\x3c\4\x15\0\1x\0\1m"), 0x8c},
    {"CONNECT, no client identifier", B("\x10\x0b\0\4MQTT\5\2\0\x3c\0"), 0x81},
    {"CONNECT, an identifier that is not UTF-8", B("\x10\x0e\0\4MQTT\5\2\0\x3c\0\0\1\xff"), 0x81},
    {"CONNECT, another's identifier", B("\x10\x0e\0\4MQTT\5\2\0\x3c\0\0\1x"), 0x85},
    {"CONNECT, no will", B("\x10\x0e\0\4MQTT\5\6\0\x3c\0\0\1m"), 0x81},
    {"CONNECT, a wildcard in the will's topic", B("\x10\x14\0\4MQTT\5\6\0\x3c\0\0\1m\0\0\1#\0\0"), 0x90},
    {"CONNECT, an empty will topic", B("\x10\x13\0\4MQTT\5\6\0\x3c\0\0\1m\0\0\0\0\0"), 0x90},
    {"CONNECT, a will topic that is not UTF-8", B("\x10\x14\0\4MQTT\5\6\0\x3c\0\0\1m\0\0\1\xff\0\0"), 0x81},
    {"CONNECT, a will on another's topic", B("\x10\x14\0\4MQTT\5\6\0\x3c\0\0\1m\0\0\1x\0\0"), 0x87},
    {"CONNECT, a will of the hub's", B("\x10\x14\0\4MQTT\5\6\0\x3c\0\0\1m\0\0\1$\0\0"), 0x87},
    {"CONNECT, a will payload cut short", B("\x10\x14\0\4MQTT\5\6\0\x3c\0\0\1m\0\0\1t\0\5"), 0x81},
    {"CONNECT, a property of PUBLISH on the will",
     B("\x10\x17\0\4MQTT\5\6\0\x3c\0\0\1m\3\x23\0\1\0\1t\0\0"), 0x81},
    {"CONNECT, no user name", B("\x10\x0e\0\4MQTT\5\x82\0\x3c\0\0\1m"), 0x81},
    {"CONNECT, a user name that is not UTF-8", B("\x10\x11\0\4MQTT\5\x82\0\x3c\0\0\1m\0\1\xff"), 0x81},
    {"CONNECT, no password", B("\x10\x0e\0\4MQTT\5\x42\0\x3c\0\0\1m"), 0x81},
    {"CONNECT, bytes left over", B("\x10\x0f\0\4MQTT\5\2\0\x3c\0\0\1mx"), 0x81},
};

static void every_wrong_connect_has_its_answer(void **state) {
    (void)state;
    for (size_t i = 0; i < sizeof wrong_hellos / sizeof *wrong_hellos; i++)
        plays(&wrong_hellos[i], V5, dial());
    all_is_well();
    /* 3.1.1 has codes for two of these faults; for the others it is closed. */
    static const row closed[] = {
        {"flags", B("\x12\x0d\0\4MQTT\4\2\0\x3c\0\1m"), ENDED},
        {"the reserved flag", B("\x10\x0d\0\4MQTT\4\3\0\x3c\0\1m"), ENDED},
        {"will QoS 3", B("\x10\x12\0\4MQTT\4\x1e\0\x3c\0\1m\0\1t\0\0"), ENDED},
        {"a password alone", B("\x10\x10\0\4MQTT\4\x42\0\x3c\0\1m\0\1x"), ENDED},
        {"no client identifier", B("\x10\x0a\0\4MQTT\4\2\0\x3c"), ENDED},
        {"an identifier that is not UTF-8", B("\x10\x0d\0\4MQTT\4\2\0\x3c\0\1\xff"), ENDED},
        {"a will cut short", B("\x10\x10\0\4MQTT\4\6\0\x3c\0\1m\0\1t"), ENDED},
        {"bytes left over", B("\x10\x0e\0\4MQTT\4\2\0\x3c\0\1mx"), ENDED},
    };
    for (size_t i = 0; i < sizeof closed / sizeof *closed; i++)
        plays(&closed[i], V311, dial());
    porch_conn *c = dial();
    put(c, (porch_bytes)B("\x10\x0d\0\4MQTT\3\2\0\x3c\0\1m"));
    assert_int_equal(outcome(c, V311), 0x84);
    bed_hang_up(c);
    c = dial();
    put(c, (porch_bytes)B("\x10\x0c\0\4MQTT\4\0\0\x3c\0\0")); /* empty, and no clean session */
    assert_int_equal(outcome(c, V311), 0x85);
    bed_hang_up(c);
    all_is_well();
}

/* ---- good packets, in each state and cut in all ways ---- */

static const porch_bytes good_v5[] = {
    B("\x30\x0d\0\1t\7\x26\0\1a\0\1bxx"),
    B("\x32\x0f\0\1t\0\1\7\x26\0\1a\0\1bxx"),
    B("\x34\x09\0\1t\0\2\2\1\1x"),
    B("\x40\x0b\0\1\x10\7\x1f\0\4when"),
    B("\x50\4\0\1\0\0"),
    B("\x62\3\0\1\x92"),
    B("\x70\2\0\1"),
    B("\x82\x0f\0\1\2\x0b\5\0\1t\2\0\3t/#\x2d"),
    B("\xa2\x0b\0\1\0\0\1t\0\3t/#"),
    B("\xc0\0"),
    B("\xe0\x0e\0\x0c\x11\0\0\0\0\x1f\0\4done"),
};
static const porch_bytes good_v311[] = {
    B("\x30\5\0\1txx"),
    B("\x32\7\0\1t\0\1xx"),
    B("\x34\7\0\1t\0\2xx"),
    B("\x40\2\0\1"),
    B("\x50\2\0\1"),
    B("\x62\2\0\1"),
    B("\x70\2\0\1"),
    B("\x82\x0c\0\1\0\1t\2\0\3t/#\1"),
    B("\xa2\x0a\0\1\0\1t\0\3t/#"),
    B("\xc0\0"),
    B("\xe0\0"),
};
enum { GOODS = 11 };

static const porch_bytes *goods(porch_mqtt_version v) {
    return v == V5 ? good_v5 : good_v311;
}

static void packets_out_of_their_state_are_not_taken(void **state) {
    static const porch_mqtt_version versions[] = {V5, V311};
    (void)state;
    for (size_t k = 0; k < 2; k++) {
        porch_mqtt_version v = versions[k];
        for (size_t i = 0; i < GOODS; i++) {
            porch_bytes raw = goods(v)[i];
            porch_conn *c = dial(); /* before CONNECT */
            put(c, raw);
            assert_int_equal(outcome(c, V5), ENDED);
            bed_hang_up(c);
            c = dial(); /* behind a CONNECT that is refused */
            bed_send(c, (porch_bytes)B("\x10\x0e\0\4MQTT\5\2\0\x3c\0\0\1x"));
            put(c, raw);
            assert_int_equal(outcome(c, V5), 0x85);
            bed_hang_up(c);
            c = online(v); /* behind DISCONNECT */
            bed_send(c, (porch_bytes)B("\xe0\0"));
            put(c, raw);
            assert_int_equal(outcome(c, v), ENDED);
            bed_hang_up(c);
            c = online(v); /* behind a fault */
            bed_send(c, (porch_bytes)B("\xc0\1x"));
            put(c, raw);
            assert_int_equal(outcome(c, v), v == V5 ? 0x81 : ENDED);
            bed_hang_up(c);
            c = online(v); /* in its place */
            put(c, raw);
            assert_int_equal(outcome(c, v), i == GOODS - 1 ? ENDED : LIVES);
            bed_hang_up(c);
        }
    }
    all_is_well();
}

/* As the packet's reader judges it: what the hub is to say. */
static int judged(porch_bytes raw, porch_mqtt_version v) {
    porch_mqtt_frame frame;
    porch_mqtt_packet p;
    porch_mqtt_fault fault = {0, NULL};
    if (porch_mqtt_frame_read(raw, 1 << 20, &fault, &frame) != PORCH_OK) return fault.reason;
    if (frame.type == PORCH_MQTT_CONNECT) return PORCH_MQTT_RC_PROTOCOL_ERROR; /* a second one */
    if (porch_mqtt_packet_read(&frame, v, PORCH_MQTT_FROM_CLIENT, &fault, &p) != PORCH_OK)
        return fault.reason;
    return LIVES;
}

static void each_packet_cut_short_is_refused_at_every_length(void **state) {
    static const porch_mqtt_version versions[] = {V5, V311};
    (void)state;
    for (size_t k = 0; k < 2; k++) {
        porch_mqtt_version v = versions[k];
        for (size_t i = 0; i < GOODS; i++) {
            porch_bytes raw = goods(v)[i];
            for (size_t len = 0; len + 2 < raw.len; len++) {
                uint8_t text[64];
                memcpy(text, raw.at, len + 2);
                text[1] = (uint8_t)len; /* the packet says that it is whole */
                porch_conn *c = online(v);
                put(c, (porch_bytes){text, len + 2});
                int got = outcome(c, v), wanted = judged((porch_bytes){text, len + 2}, v);
                if (wanted != LIVES) {
                    assert_true(wanted == 0x81 || wanted == 0x82 || wanted == 0x8f);
                    assert_int_equal(got, v == V5 ? wanted : ENDED);
                } else if (i != GOODS - 1) {
                    /* What is good without its end: a shorter payload, tail or list of filters. */
                    assert_int_equal(got, LIVES);
                }
                bed_hang_up(c);
            }
            for (size_t len = 0; len < raw.len; len++) { /* or that more is to come: the hub waits */
                porch_conn *c = online(v);
                put(c, (porch_bytes){raw.at, len});
                assert_int_equal(outcome(c, v), LIVES);
                put(c, (porch_bytes){raw.at + len, raw.len - len});
                assert_int_equal(outcome(c, v), i == GOODS - 1 ? ENDED : LIVES);
                bed_hang_up(c);
            }
        }
    }
    for (size_t len = 0; len + 2 < hello_v5.len; len++) { /* CONNECT, too */
        uint8_t text[64];
        memcpy(text, hello_v5.at, len + 2);
        text[1] = (uint8_t)len;
        porch_conn *c = dial();
        put(c, (porch_bytes){text, len + 2});
        porch_mqtt_version said = len > 6 ? V5 : V311;
        assert_int_equal(outcome(c, said), len > 6 ? 0x81 : ENDED);
        bed_hang_up(c);
    }
    all_is_well();
}

static void every_byte_changed_is_answered_soundly(void **state) {
    static const porch_mqtt_version versions[] = {V5, V311};
    (void)state;
    for (size_t k = 0; k < 2; k++) {
        porch_mqtt_version v = versions[k];
        for (size_t i = 0; i < GOODS; i++) {
            porch_bytes raw = goods(v)[i];
            for (size_t at = 0; at < raw.len; at++) {
                static const uint8_t flips[] = {1, 2, 4, 8, 16, 32, 64, 128, 255, 0x7f};
                for (size_t f = 0; f < sizeof flips; f++) {
                    uint8_t text[64];
                    memcpy(text, raw.at, raw.len);
                    text[at] ^= flips[f];
                    porch_conn *c = online(v);
                    put(c, (porch_bytes){text, raw.len});
                    int got = outcome(c, v), wanted = judged((porch_bytes){text, raw.len}, v);
                    if (wanted != LIVES && v == V311) assert_int_equal(got, ENDED);
                    if (wanted != LIVES && v == V5) assert_int_equal(got, wanted);
                    bed_hang_up(c);
                }
            }
        }
    }
    all_is_well();
}

/* ---- properties ---- */

static size_t put_value(porch_mqtt_kind kind, uint8_t *at) {
    static const uint8_t value[] = {0, 1, '1', 0, 1, '2'};
    switch (kind) {
    case PORCH_MQTT_KIND_BOOL:
    case PORCH_MQTT_KIND_BYTE:
    case PORCH_MQTT_KIND_VARINT:
        *at = 1;
        return 1;
    case PORCH_MQTT_KIND_U16:
        memcpy(at, value, 2);
        return 2;
    case PORCH_MQTT_KIND_U32:
        memcpy(at, "\0\0\1\0", 4);
        return 4;
    case PORCH_MQTT_KIND_PAIR:
        memcpy(at, value, 6);
        return 6;
    default:
        memcpy(at, value, 3);
        return 3;
    }
}

/* A packet of this type around a block of properties. */
static size_t around(porch_mqtt_type type, const uint8_t *block, size_t len, uint8_t *out) {
    static const struct {
        porch_mqtt_type type;
        uint8_t first;
        porch_bytes before, behind;
    } forms[] = {
        {PORCH_MQTT_CONNECT, 0x10, B("\0\4MQTT\5\2\0\x3c"), B("\0\1m")},
        {PORCH_MQTT_PUBLISH, 0x32, B("\0\1t\0\1"), B("x")},
        {PORCH_MQTT_PUBACK, 0x40, B("\0\1\0"), B("")},
        {PORCH_MQTT_PUBREC, 0x50, B("\0\1\0"), B("")},
        {PORCH_MQTT_PUBREL, 0x62, B("\0\1\0"), B("")},
        {PORCH_MQTT_PUBCOMP, 0x70, B("\0\1\0"), B("")},
        {PORCH_MQTT_SUBSCRIBE, 0x82, B("\0\1"), B("\0\1t\0")},
        {PORCH_MQTT_UNSUBSCRIBE, 0xa2, B("\0\1"), B("\0\1t")},
        {PORCH_MQTT_DISCONNECT, 0xe0, B("\0"), B("")},
    };
    size_t n = 2;
    for (size_t i = 0; i < sizeof forms / sizeof *forms; i++) {
        if (forms[i].type != type) continue;
        out[0] = forms[i].first;
        memcpy(out + n, forms[i].before.at, forms[i].before.len);
        n += forms[i].before.len;
        out[n++] = (uint8_t)len;
        memcpy(out + n, block, len);
        n += len;
        memcpy(out + n, forms[i].behind.at, forms[i].behind.len);
        n += forms[i].behind.len;
        out[1] = (uint8_t)(n - 2);
        return n;
    }
    return 0;
}

static int played(porch_mqtt_type type, const uint8_t *block, size_t len) {
    uint8_t text[128];
    size_t n = around(type, block, len, text);
    porch_conn *c = type == PORCH_MQTT_CONNECT ? dial() : online(V5);
    put(c, (porch_bytes){text, n});
    int got = outcome(c, V5);
    bed_hang_up(c);
    return got;
}

typedef struct {
    uint8_t id;
    porch_mqtt_kind kind;
    unsigned packets, repeats;
} property;

static const property properties[] = {
#define ROW(name, id, kind, packets, repeats) {id, PORCH_MQTT_KIND_##kind, (packets), (repeats)},
    PORCH_MQTT_PROPERTY_LIST(ROW)
#undef ROW
};

static void a_property_stands_where_it_belongs_once_and_whole(void **state) {
    static const porch_mqtt_type types[] = {
        PORCH_MQTT_CONNECT,   PORCH_MQTT_PUBLISH,     PORCH_MQTT_PUBACK,
        PORCH_MQTT_PUBREC,    PORCH_MQTT_PUBREL,      PORCH_MQTT_PUBCOMP,
        PORCH_MQTT_SUBSCRIBE, PORCH_MQTT_UNSUBSCRIBE, PORCH_MQTT_DISCONNECT};
    (void)state;
    for (size_t t = 0; t < sizeof types / sizeof *types; t++) {
        porch_mqtt_type type = types[t];
        int good = type == PORCH_MQTT_DISCONNECT ? ENDED : LIVES;
        assert_int_equal(played(type, (const uint8_t *)"\x7e\0", 2), 0x81); /* no such property */
        for (size_t i = 0; i < sizeof properties / sizeof *properties; i++) {
            const property *p = &properties[i];
            uint8_t block[64];
            block[0] = p->id;
            size_t len = 1 + put_value(p->kind, block + 1);
            bool belongs = (p->packets & PORCH_MQTT_BIT(type)) != 0;
            bool special =
                p->id == 0x15 || p->id == 0x16 || (p->id == 0x0b && type == PORCH_MQTT_PUBLISH) ||
                (type == PORCH_MQTT_DISCONNECT && (p->id == 0x11 || p->id == 0x1c)) || p->id == 0x23;
            if (!belongs) {
                assert_int_equal(played(type, block, len), 0x81);
                continue;
            }
            if (!special) assert_int_equal(played(type, block, len), good);
            for (size_t cut = 1; cut < len; cut++) /* cut short at each length */
                assert_int_equal(played(type, block, cut), 0x81);
            memcpy(block + len, block, len);
            bool repeats = (p->repeats & PORCH_MQTT_BIT(type)) != 0;
            if (repeats && !special) assert_int_equal(played(type, block, 2 * len), good);
            if (!repeats) assert_int_equal(played(type, block, 2 * len), 0x82);
        }
    }
    all_is_well();
}

/* ---- the bed ---- */

static int begin(void **state) {
    (void)state;
    bed_reset("bytes");
    bed.settings.broker_messages_s = bed.settings.broker_bytes_s = 0;
    bed.settings.broker_packet_bytes = 65536;
    static const char *const grants[] = {"publish,subscribe:t/#", NULL};
    bed_grants = grants;
    bed_start(1, false);
    bystander = bed_dial(PORCH_IDENTITY_DEVICE, "cam");
    put(bystander, (porch_bytes)B("\x10\x10\0\4MQTT\5\2\0\0\0\0\3cam"));
    bed_read(bystander, bystander->out_len);
    all_is_well();
    return 0;
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(every_wrong_field_has_its_answer, begin, bed_end),
        cmocka_unit_test_setup_teardown(every_wrong_connect_has_its_answer, begin, bed_end),
        cmocka_unit_test_setup_teardown(packets_out_of_their_state_are_not_taken, begin, bed_end),
        cmocka_unit_test_setup_teardown(each_packet_cut_short_is_refused_at_every_length, begin, bed_end),
        cmocka_unit_test_setup_teardown(every_byte_changed_is_answered_soundly, begin, bed_end),
        cmocka_unit_test_setup_teardown(a_property_stands_where_it_belongs_once_and_whole, begin, bed_end),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
