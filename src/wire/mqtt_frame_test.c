#include "wire/mqtt_frame.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <string.h>

#include <cmocka.h>

#define COUNT(array) (sizeof(array) / sizeof((array)[0]))
#define NO_LIMIT     UINT32_MAX

static porch_err read_frame(porch_bytes in, uint32_t most, porch_mqtt_fault *fault, porch_mqtt_frame *ret) {
    *fault = (porch_mqtt_fault){0, NULL};
    return porch_mqtt_frame_read(in, most, fault, ret);
}

static void a_whole_packet_is_cut_off_the_stream(void **state) {
    (void)state;
    const uint8_t raw[] = {0x32, 0x07, 0x00, 0x01, 'a', 0x00, 0x09, 'h', 'i', 0xc0, 0x00};
    porch_mqtt_frame f;
    porch_mqtt_fault fault;
    assert_int_equal(read_frame((porch_bytes){raw, sizeof raw}, NO_LIMIT, &fault, &f), PORCH_OK);
    assert_int_equal(f.type, PORCH_MQTT_PUBLISH);
    assert_int_equal(f.flags, 2);
    assert_int_equal(f.bytes, 9);
    assert_true(f.body.at == raw + 2 && f.body.len == 7);
    porch_bytes rest = {raw + f.bytes, sizeof raw - f.bytes};
    assert_int_equal(read_frame(rest, NO_LIMIT, &fault, &f), PORCH_OK);
    assert_int_equal(f.type, PORCH_MQTT_PINGREQ);
    assert_int_equal(f.bytes, 2);
    assert_int_equal(f.body.len, 0);
}

static void a_packet_cut_short_asks_for_more_at_every_length(void **state) {
    (void)state;
    static uint8_t raw[3 + 300] = {0x30, 0xac, 0x02};
    porch_mqtt_frame f = {.bytes = 77};
    porch_mqtt_fault fault;
    for (size_t cut = 0; cut < sizeof raw; cut++) {
        assert_int_equal(read_frame((porch_bytes){raw, cut}, NO_LIMIT, &fault, &f), PORCH_ERR_TRUNCATED);
        assert_int_equal(f.bytes, 77);
        assert_null(fault.what);
    }
    assert_int_equal(read_frame((porch_bytes){raw, sizeof raw}, NO_LIMIT, &fault, &f), PORCH_OK);
    assert_int_equal(f.body.len, 300);
}

static void a_length_longer_than_its_shortest_form_is_refused(void **state) {
    (void)state;
    const uint8_t bad[][6] = {
        {0xc0, 0x80, 0x00},
        {0x30, 0xff, 0x00},
        {0x30, 0x80, 0x80, 0x00},
        {0x30, 0x80, 0x80, 0x80, 0x00},
        {0x30, 0xff, 0xff, 0xff, 0xff, 0x7f},
        {0x30, 0x80, 0x80, 0x80, 0x80, 0x01},
    };
    for (size_t i = 0; i < COUNT(bad); i++) {
        porch_mqtt_frame f;
        porch_mqtt_fault fault;
        assert_int_equal(read_frame((porch_bytes){bad[i], 6}, NO_LIMIT, &fault, &f), PORCH_ERR_MALFORMED);
        assert_int_equal(fault.reason, PORCH_MQTT_RC_MALFORMED_PACKET);
    }
}

static void every_type_accepts_its_own_flags_only(void **state) {
    (void)state;
    for (unsigned first = 0; first < 256; first++) {
        const uint8_t raw[] = {(uint8_t)first, 0};
        unsigned type = first >> 4, flags = first & 15;
        bool needs_two =
            type == PORCH_MQTT_PUBREL || type == PORCH_MQTT_SUBSCRIBE || type == PORCH_MQTT_UNSUBSCRIBE;
        bool good = type != 0 && (type == PORCH_MQTT_PUBLISH || flags == (needs_two ? 2u : 0u));
        porch_mqtt_frame f;
        porch_mqtt_fault fault;
        assert_int_equal(read_frame((porch_bytes){raw, 2}, NO_LIMIT, &fault, &f),
                         good ? PORCH_OK : PORCH_ERR_MALFORMED);
        /* A bad first byte is refused at once, whatever may follow. */
        assert_int_equal(read_frame((porch_bytes){raw, 1}, NO_LIMIT, &fault, &f),
                         good ? PORCH_ERR_TRUNCATED : PORCH_ERR_MALFORMED);
        assert_int_equal(fault.reason, good ? 0 : PORCH_MQTT_RC_MALFORMED_PACKET);
    }
}

static void a_packet_above_the_limit_is_refused_before_its_body_arrives(void **state) {
    (void)state;
    const uint8_t raw[102] = {0x30, 100};
    porch_mqtt_frame f;
    porch_mqtt_fault fault;
    assert_int_equal(read_frame((porch_bytes){raw, 2}, 101, &fault, &f), PORCH_ERR_LIMIT);
    assert_int_equal(fault.reason, PORCH_MQTT_RC_PACKET_TOO_LARGE);
    assert_int_equal(read_frame((porch_bytes){raw, 2}, 1, &fault, &f), PORCH_ERR_LIMIT);
    assert_int_equal(read_frame((porch_bytes){raw, 2}, 0, &fault, &f), PORCH_ERR_LIMIT);
    assert_int_equal(read_frame((porch_bytes){raw, 2}, 102, &fault, &f), PORCH_ERR_TRUNCATED);
    assert_int_equal(read_frame((porch_bytes){raw, sizeof raw}, 102, &fault, &f), PORCH_OK);
    const uint8_t huge[] = {0x30, 0xff, 0xff, 0xff, 0x7f};
    assert_int_equal(read_frame((porch_bytes){huge, sizeof huge}, NO_LIMIT, &fault, &f),
                     PORCH_ERR_TRUNCATED);
    assert_int_equal(read_frame((porch_bytes){huge, sizeof huge}, PORCH_MQTT_VARINT_MOST + 4, &fault, &f),
                     PORCH_ERR_LIMIT);
}

static void each_side_sends_only_its_own_packets(void **state) {
    (void)state;
    const char *client_v5 =
        " CONNECT PUBLISH PUBACK PUBREC PUBREL PUBCOMP SUBSCRIBE UNSUBSCRIBE PINGREQ DISCONNECT AUTH ";
    const char *server_v5 =
        " CONNACK PUBLISH PUBACK PUBREC PUBREL PUBCOMP SUBACK UNSUBACK PINGRESP DISCONNECT AUTH ";
    for (unsigned t = 1; t < PORCH_MQTT_TYPE_COUNT; t++) {
        porch_mqtt_frame f = {.type = (porch_mqtt_type)t};
        char name[16];
        porch_buf b = PORCH_BUF_OF(name);
        porch_write_text(&b, " ");
        porch_write_text(&b, porch_mqtt_type_name(f.type));
        porch_write_bytes(&b, PORCH_LIT(" \0"));
        porch_mqtt_fault fault;
        porch_err client = porch_mqtt_frame_judge(&f, PORCH_MQTT_V5, PORCH_MQTT_FROM_CLIENT, &fault);
        porch_err server = porch_mqtt_frame_judge(&f, PORCH_MQTT_V5, PORCH_MQTT_FROM_SERVER, &fault);
        assert_int_equal(client == PORCH_OK, strstr(client_v5, name) != NULL);
        assert_int_equal(server == PORCH_OK, strstr(server_v5, name) != NULL);
        if (server != PORCH_OK) assert_int_equal(fault.reason, PORCH_MQTT_RC_PROTOCOL_ERROR);
    }
    porch_mqtt_frame auth = {.type = PORCH_MQTT_AUTH}, bye = {.type = PORCH_MQTT_DISCONNECT};
    porch_mqtt_fault fault;
    assert_int_equal(porch_mqtt_frame_judge(&auth, PORCH_MQTT_V311, PORCH_MQTT_FROM_CLIENT, &fault),
                     PORCH_ERR_MALFORMED);
    assert_int_equal(fault.reason, PORCH_MQTT_RC_MALFORMED_PACKET);
    assert_int_equal(porch_mqtt_frame_judge(&bye, PORCH_MQTT_V311, PORCH_MQTT_FROM_SERVER, NULL),
                     PORCH_ERR_MALFORMED);
    assert_int_equal(porch_mqtt_frame_judge(&bye, PORCH_MQTT_V311, PORCH_MQTT_FROM_CLIENT, NULL), PORCH_OK);
    assert_string_equal(porch_mqtt_type_name((porch_mqtt_type)0), "?");
}

static void a_variable_byte_integer_has_one_spelling(void **state) {
    (void)state;
    const struct {
        uint32_t value;
        size_t bytes;
    } rows[] = {{0, 1},     {127, 1},     {128, 2},     {16383, 2},
                {16384, 3}, {2097151, 3}, {2097152, 4}, {268435455, 4}};
    for (size_t i = 0; i < COUNT(rows); i++) {
        uint8_t raw[4];
        porch_buf b = PORCH_BUF_OF(raw);
        uint32_t back = 0;
        assert_int_equal(porch_mqtt_varint_write(&b, rows[i].value), PORCH_OK);
        assert_int_equal(b.len, rows[i].bytes);
        assert_int_equal(porch_mqtt_varint_bytes(rows[i].value), rows[i].bytes);
        for (size_t cut = 0; cut < b.len; cut++) {
            porch_reader r = porch_reader_of((porch_bytes){raw, cut});
            assert_int_equal(porch_mqtt_varint_read(&r, &back), PORCH_ERR_TRUNCATED);
            assert_int_equal(r.rest.len, cut);
        }
        porch_reader r = porch_reader_of(porch_buf_bytes(&b));
        assert_int_equal(porch_mqtt_varint_read(&r, &back), PORCH_OK);
        assert_true(back == rows[i].value && porch_reader_done(&r));
        porch_buf tight = {raw, 0, rows[i].bytes - 1};
        assert_int_equal(porch_mqtt_varint_write(&tight, rows[i].value), PORCH_ERR_NO_SPACE);
        assert_int_equal(tight.len, 0);
    }
    uint8_t raw[8];
    porch_buf b = PORCH_BUF_OF(raw);
    assert_int_equal(porch_mqtt_varint_write(&b, PORCH_MQTT_VARINT_MOST + 1), PORCH_ERR_LIMIT);
    assert_int_equal(b.len, 0);
}

static void a_header_is_written_whole_or_not_at_all(void **state) {
    (void)state;
    uint8_t raw[5] = {0};
    for (size_t cap = 0; cap < 3; cap++) {
        porch_buf b = {raw, 0, cap};
        assert_int_equal(porch_mqtt_frame_write_header(&b, PORCH_MQTT_PUBLISH, 2, 200), PORCH_ERR_NO_SPACE);
        assert_int_equal(b.len, 0);
    }
    porch_buf b = PORCH_BUF_OF(raw);
    assert_int_equal(porch_mqtt_frame_write_header(&b, PORCH_MQTT_PUBLISH, 2, 200), PORCH_OK);
    assert_memory_equal(raw, "\x32\xc8\x01", 3);
    b.len = 0;
    assert_int_equal(
        porch_mqtt_frame_write_header(&b, PORCH_MQTT_PUBLISH, 0, (size_t)PORCH_MQTT_VARINT_MOST + 1),
        PORCH_ERR_LIMIT);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_whole_packet_is_cut_off_the_stream),
        cmocka_unit_test(a_packet_cut_short_asks_for_more_at_every_length),
        cmocka_unit_test(a_length_longer_than_its_shortest_form_is_refused),
        cmocka_unit_test(every_type_accepts_its_own_flags_only),
        cmocka_unit_test(a_packet_above_the_limit_is_refused_before_its_body_arrives),
        cmocka_unit_test(each_side_sends_only_its_own_packets),
        cmocka_unit_test(a_variable_byte_integer_has_one_spelling),
        cmocka_unit_test(a_header_is_written_whole_or_not_at_all),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
