#include "wire/mqtt_property.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <string.h>

#include <cmocka.h>

#define COUNT(array) (sizeof(array) / sizeof((array)[0]))

/* Table 2-4 of the standard, copied by hand a second time: packets by their letter, in capitals where the
 * property may stand more than once. c CONNECT, k CONNACK, p PUBLISH, w will, a PUBACK and kin, s
 * SUBSCRIBE, b SUBACK, u UNSUBSCRIBE, v UNSUBACK, d DISCONNECT, x AUTH. */
static const struct {
    uint32_t id;
    char kind; /* b byte, 2 two bytes, 4 four bytes, v variable, s string, d data, p pair */
    const char *packets;
} standard[] = {
    {0x01, 'b', "pw"},     {0x02, '4', "pw"},  {0x03, 's', "pw"},          {0x08, 's', "pw"},
    {0x09, 'd', "pw"},     {0x0b, 'v', "Ps"},  {0x11, '4', "ckd"},         {0x12, 's', "k"},
    {0x13, '2', "k"},      {0x15, 's', "ckx"}, {0x16, 'd', "ckx"},         {0x17, 'b', "c"},
    {0x18, '4', "w"},      {0x19, 'b', "c"},   {0x1a, 's', "k"},           {0x1c, 's', "kd"},
    {0x1f, 's', "kabvdx"}, {0x21, '2', "ck"},  {0x22, '2', "ck"},          {0x23, '2', "p"},
    {0x24, 'b', "k"},      {0x25, 'b', "k"},   {0x26, 'p', "CKPWASBUVDX"}, {0x27, '4', "ck"},
    {0x28, 'b', "k"},      {0x29, 'b', "k"},   {0x2a, 'b', "k"},
};

static const struct {
    char letter;
    unsigned packet;
} letters[] = {
    {'w', PORCH_MQTT_WILL},       {'c', PORCH_MQTT_CONNECT},     {'k', PORCH_MQTT_CONNACK},
    {'p', PORCH_MQTT_PUBLISH},    {'a', PORCH_MQTT_PUBACK},      {'a', PORCH_MQTT_PUBREC},
    {'a', PORCH_MQTT_PUBREL},     {'a', PORCH_MQTT_PUBCOMP},     {'s', PORCH_MQTT_SUBSCRIBE},
    {'b', PORCH_MQTT_SUBACK},     {'u', PORCH_MQTT_UNSUBSCRIBE}, {'v', PORCH_MQTT_UNSUBACK},
    {'d', PORCH_MQTT_DISCONNECT}, {'x', PORCH_MQTT_AUTH},        {'-', PORCH_MQTT_PINGREQ},
    {'-', PORCH_MQTT_PINGRESP},
};

static const uint8_t auth_method[] = {0x15, 0, 1, 'm'};

/* Encodes a good value without help of the code under test. */
static size_t encode(uint32_t id, char kind, uint8_t *out) {
    static const char *const values[] = {"b\1",    "2\0\1",  "4\0\0\0\1",  "v\1",
                                         "s\0\1t", "d\0\1t", "p\0\1k\0\1v"};
    static const size_t sizes[] = {1, 2, 4, 1, 3, 3, 6};
    out[0] = (uint8_t)id;
    for (size_t i = 0; i < COUNT(values); i++) {
        if (values[i][0] != kind) continue;
        memcpy(out + 1, values[i] + 1, sizes[i]);
        return 1 + sizes[i];
    }
    return 0;
}

static porch_err judge(porch_bytes raw, unsigned packet, uint8_t *reason) {
    porch_mqtt_properties p;
    porch_mqtt_fault fault = {0, NULL};
    porch_err e = porch_mqtt_properties_of(raw, packet, &fault, &p);
    *reason = fault.reason;
    return e;
}

static void every_property_is_allowed_exactly_where_the_standard_says(void **state) {
    (void)state;
    for (uint32_t id = 0; id < 0x40; id++) {
        size_t row = 0;
        while (row < COUNT(standard) && standard[row].id != id)
            row++;
        for (size_t k = 0; k < COUNT(letters); k++) {
            uint8_t raw[32] = {(uint8_t)id, 0, 1, 't', 0, 1, 't'}, reason;
            size_t n = row < COUNT(standard) ? encode(id, standard[row].kind, raw) : 4;
            char upper = (char)(letters[k].letter - 'a' + 'A');
            bool once = row < COUNT(standard) && (strchr(standard[row].packets, letters[k].letter) != NULL);
            bool often = row < COUNT(standard) && (strchr(standard[row].packets, upper) != NULL);
            size_t method = 0;
            if (id == 0x16) { /* data needs its method */
                memcpy(raw + n, auth_method, sizeof auth_method);
                method = sizeof auth_method;
            }
            porch_err e = judge((porch_bytes){raw, n + method}, letters[k].packet, &reason);
            if ((e == PORCH_OK) != (once || often))
                fail_msg("property 0x%02x in %c", id, letters[k].letter);
            if (e != PORCH_OK) assert_int_equal(reason, PORCH_MQTT_RC_MALFORMED_PACKET);
            if (!once && !often) continue;
            memcpy(raw + n, raw, n);
            e = judge((porch_bytes){raw, 2 * n}, letters[k].packet, &reason);
            if ((e == PORCH_OK) != often) fail_msg("property 0x%02x twice in %c", id, letters[k].letter);
            if (e != PORCH_OK) assert_int_equal(reason, PORCH_MQTT_RC_PROTOCOL_ERROR);
            for (size_t cut = 1; cut < n; cut++) {
                assert_int_equal(judge((porch_bytes){raw, cut}, letters[k].packet, &reason),
                                 PORCH_ERR_MALFORMED);
                assert_int_equal(reason, PORCH_MQTT_RC_MALFORMED_PACKET);
            }
        }
    }
}

static void values_out_of_range_are_refused_with_their_code(void **state) {
    (void)state;
    const struct {
        unsigned packet;
        const char *raw;
        size_t len;
        uint8_t reason;
    } rows[] = {
        {PORCH_MQTT_PUBLISH, "\x01\2", 2, PORCH_MQTT_RC_PROTOCOL_ERROR},
        {PORCH_MQTT_PUBLISH, "\x23\0\0", 3, PORCH_MQTT_RC_TOPIC_ALIAS_INVALID},
        {PORCH_MQTT_PUBLISH, "\x0b\0", 2, PORCH_MQTT_RC_PROTOCOL_ERROR},
        {PORCH_MQTT_PUBLISH, "\x0b\x80\0", 3, PORCH_MQTT_RC_MALFORMED_PACKET},
        {PORCH_MQTT_PUBLISH, "\x08\0\1#", 4, PORCH_MQTT_RC_PROTOCOL_ERROR},
        {PORCH_MQTT_PUBLISH, "\x08\0\3a/+", 6, PORCH_MQTT_RC_PROTOCOL_ERROR},
        {PORCH_MQTT_PUBLISH, "\x08\0\0", 3, PORCH_MQTT_RC_PROTOCOL_ERROR},
        {PORCH_MQTT_PUBLISH, "\x03\0\1\xff", 4, PORCH_MQTT_RC_MALFORMED_PACKET},
        {PORCH_MQTT_PUBLISH, "\x03\0\1\0", 4, PORCH_MQTT_RC_MALFORMED_PACKET},
        {PORCH_MQTT_PUBLISH, "\x26\0\1k\0\1\x80", 7, PORCH_MQTT_RC_MALFORMED_PACKET},
        {PORCH_MQTT_PUBLISH, "\x26\0\1\xc0\0\1v", 7, PORCH_MQTT_RC_MALFORMED_PACKET},
        {PORCH_MQTT_CONNECT, "\x21\0\0", 3, PORCH_MQTT_RC_PROTOCOL_ERROR},
        {PORCH_MQTT_CONNECT, "\x27\0\0\0\0", 5, PORCH_MQTT_RC_PROTOCOL_ERROR},
        {PORCH_MQTT_CONNECT, "\x17\2", 2, PORCH_MQTT_RC_PROTOCOL_ERROR},
        {PORCH_MQTT_CONNECT, "\x19\xff", 2, PORCH_MQTT_RC_PROTOCOL_ERROR},
        {PORCH_MQTT_CONNECT, "\x16\0\1d", 4, PORCH_MQTT_RC_PROTOCOL_ERROR},
        {PORCH_MQTT_CONNACK, "\x24\2", 2, PORCH_MQTT_RC_PROTOCOL_ERROR},
        {PORCH_MQTT_CONNECT, "\x91\0", 2, PORCH_MQTT_RC_MALFORMED_PACKET},
        {PORCH_MQTT_CONNECT, "\x80\x80\x80\x80\1", 5, PORCH_MQTT_RC_MALFORMED_PACKET},
    };
    for (size_t i = 0; i < COUNT(rows); i++) {
        uint8_t reason;
        assert_int_equal(
            judge((porch_bytes){(const uint8_t *)rows[i].raw, rows[i].len}, rows[i].packet, &reason),
            PORCH_ERR_MALFORMED);
        assert_int_equal(reason, rows[i].reason);
    }
}

static void a_block_is_asked_and_walked(void **state) {
    (void)state;
    uint8_t block[64];
    porch_buf b = PORCH_BUF_OF(block);
    assert_int_equal(porch_mqtt_property_put_number(&b, PORCH_MQTT_PROP_MESSAGE_EXPIRY, 60), PORCH_OK);
    assert_int_equal(
        porch_mqtt_property_put_pair(&b, PORCH_MQTT_PROP_USER_PROPERTY, PORCH_LIT("a"), PORCH_LIT("1")),
        PORCH_OK);
    assert_int_equal(
        porch_mqtt_property_put_pair(&b, PORCH_MQTT_PROP_USER_PROPERTY, PORCH_LIT("a"), PORCH_LIT("2")),
        PORCH_OK);
    assert_int_equal(
        porch_mqtt_property_put_text(&b, PORCH_MQTT_PROP_CONTENT_TYPE, PORCH_LIT("text/plain")), PORCH_OK);
    assert_int_equal(porch_mqtt_property_put_number(&b, PORCH_MQTT_PROP_SUBSCRIPTION_ID, 300), PORCH_OK);
    porch_mqtt_properties p;
    assert_int_equal(porch_mqtt_properties_of(porch_buf_bytes(&b), PORCH_MQTT_PUBLISH, NULL, &p), PORCH_OK);
    assert_int_equal(porch_mqtt_property_number(&p, PORCH_MQTT_PROP_MESSAGE_EXPIRY, 7), 60);
    assert_int_equal(porch_mqtt_property_number(&p, PORCH_MQTT_PROP_SUBSCRIPTION_ID, 7), 300);
    assert_int_equal(porch_mqtt_property_number(&p, PORCH_MQTT_PROP_TOPIC_ALIAS, 7), 7);
    assert_true(
        porch_bytes_eq_text(porch_mqtt_property_text(&p, PORCH_MQTT_PROP_CONTENT_TYPE), "text/plain"));
    assert_int_equal(porch_mqtt_property_text(&p, PORCH_MQTT_PROP_RESPONSE_TOPIC).len, 0);
    porch_bytes rest = p.raw;
    porch_mqtt_property one;
    size_t count = 0, pairs = 0;
    uint8_t again[64];
    porch_buf copy = PORCH_BUF_OF(again);
    while (porch_mqtt_property_next(&rest, &one)) {
        count++;
        pairs += one.id == PORCH_MQTT_PROP_USER_PROPERTY && porch_bytes_eq_text(one.text, "a");
        assert_int_equal(porch_mqtt_property_put(&copy, &one), PORCH_OK);
    }
    assert_int_equal(count, 5);
    assert_int_equal(pairs, 2);
    assert_true(porch_bytes_eq(porch_buf_bytes(&copy), p.raw));
    assert_string_equal(porch_mqtt_property_name(PORCH_MQTT_PROP_SHARED_AVAILABLE), "SHARED_AVAILABLE");
    assert_string_equal(porch_mqtt_property_name((porch_mqtt_property_id)4), "?");
}

static void a_property_of_the_wrong_kind_or_range_is_not_put(void **state) {
    (void)state;
    uint8_t block[16];
    porch_buf b = PORCH_BUF_OF(block);
    assert_int_equal(porch_mqtt_property_put_text(&b, PORCH_MQTT_PROP_TOPIC_ALIAS, PORCH_LIT("x")),
                     PORCH_ERR_MALFORMED);
    assert_int_equal(porch_mqtt_property_put_number(&b, PORCH_MQTT_PROP_CONTENT_TYPE, 1),
                     PORCH_ERR_MALFORMED);
    assert_int_equal(porch_mqtt_property_put_number(&b, PORCH_MQTT_PROP_TOPIC_ALIAS, 65536),
                     PORCH_ERR_MALFORMED);
    assert_int_equal(porch_mqtt_property_put_number(&b, PORCH_MQTT_PROP_TOPIC_ALIAS, 0),
                     PORCH_ERR_MALFORMED);
    assert_int_equal(
        porch_mqtt_property_put_number(&b, PORCH_MQTT_PROP_SUBSCRIPTION_ID, PORCH_MQTT_VARINT_MOST + 1),
        PORCH_ERR_MALFORMED);
    assert_int_equal(porch_mqtt_property_put_number(&b, PORCH_MQTT_PROP_PAYLOAD_FORMAT, 2),
                     PORCH_ERR_MALFORMED);
    assert_int_equal(porch_mqtt_property_put_text(&b, PORCH_MQTT_PROP_USER_PROPERTY, PORCH_LIT("x")),
                     PORCH_ERR_MALFORMED);
    assert_int_equal(
        porch_mqtt_property_put_pair(&b, PORCH_MQTT_PROP_CONTENT_TYPE, PORCH_LIT("x"), PORCH_LIT("y")),
        PORCH_ERR_MALFORMED);
    assert_int_equal(porch_mqtt_property_put_text(&b, PORCH_MQTT_PROP_CONTENT_TYPE, PORCH_LIT("\xff")),
                     PORCH_ERR_MALFORMED);
    assert_int_equal(porch_mqtt_property_put_number(&b, (porch_mqtt_property_id)0x7f, 1),
                     PORCH_ERR_MALFORMED);
    assert_int_equal(b.len, 0);
    assert_int_equal(porch_mqtt_property_put_pair(&b, PORCH_MQTT_PROP_USER_PROPERTY, PORCH_LIT("0123456"),
                                                  PORCH_LIT("01234567")),
                     PORCH_ERR_NO_SPACE);
    assert_int_equal(b.len, 0);
}

static void a_packet_never_carries_a_block_made_for_another(void **state) {
    (void)state;
    uint8_t block[16], out[16];
    porch_buf b = PORCH_BUF_OF(block), o = PORCH_BUF_OF(out);
    porch_mqtt_properties p;
    assert_int_equal(porch_mqtt_property_put_number(&b, PORCH_MQTT_PROP_TOPIC_ALIAS, 1), PORCH_OK);
    assert_int_equal(porch_mqtt_properties_of(porch_buf_bytes(&b), PORCH_MQTT_PUBLISH, NULL, &p), PORCH_OK);
    assert_int_equal(porch_mqtt_properties_write(&o, PORCH_MQTT_CONNECT, &p), PORCH_ERR_MALFORMED);
    assert_int_equal(o.len, 0);
    assert_int_equal(porch_mqtt_properties_write(&o, PORCH_MQTT_PUBLISH, &p), PORCH_OK);
    assert_int_equal(o.len, porch_mqtt_properties_bytes(&p));
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(every_property_is_allowed_exactly_where_the_standard_says),
        cmocka_unit_test(values_out_of_range_are_refused_with_their_code),
        cmocka_unit_test(a_block_is_asked_and_walked),
        cmocka_unit_test(a_property_of_the_wrong_kind_or_range_is_not_put),
        cmocka_unit_test(a_packet_never_carries_a_block_made_for_another),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
