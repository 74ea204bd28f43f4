/* The codec as a whole: for each packet of each version one sample in bytes, held against the standard by
 * hand. What is true of all of them (round trip, cut short anywhere, anything left over, buffer too small)
 * is proved for all of them. */
#include "wire/mqtt_packet.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <string.h>

#include <cmocka.h>

#define COUNT(array) (sizeof(array) / sizeof((array)[0]))
#define V3           PORCH_MQTT_V311
#define V5           PORCH_MQTT_V5
#define CLIENT       PORCH_MQTT_FROM_CLIENT
#define SERVER       PORCH_MQTT_FROM_SERVER

typedef struct {
    const char *name;
    porch_mqtt_version version;
    porch_mqtt_sender sender;
    porch_bytes raw;
} sample;

#define SAMPLE(name, version, sender, bytes)            \
    {                                                   \
        name, version, sender, {                        \
            (const uint8_t *)(bytes), sizeof(bytes) - 1 \
        }                                               \
    }

static const sample samples[] = {
    SAMPLE("connect 3.1.1 with all", V3, CLIENT,
           "\x10\x20\0\4MQTT\4\xee\0\x3c\0\5cam-1\0\1w\0\2hi\0\1u\0\3pw!"),
    SAMPLE("connect 3.1.1 bare", V3, CLIENT, "\x10\x0c\0\4MQTT\4\2\0\0\0\0"),
    SAMPLE("connect 5.0 with all", V5, CLIENT,
           "\x10\x3c\0\4MQTT\5\xee\0\x3c\x0f\x11\0\0\0\x0a\x21\0\x14\x27\0\1\0\0\x17\0"
           "\0\5cam-1\x0b\x18\0\0\0\5\1\1\3\0\1t\0\1w\0\2hi\0\1u\0\3pw!"),
    SAMPLE("connect 5.0 bare", V5, CLIENT, "\x10\x0d\0\4MQTT\5\0\0\0\0\0\0"),
    SAMPLE("connect 5.0 password alone", V5, CLIENT, "\x10\x10\0\4MQTT\5\x42\0\0\0\0\0\0\1p"),
    SAMPLE("connack 3.1.1", V3, SERVER, "\x20\x02\1\0"),
    SAMPLE("connack 3.1.1 refused", V3, SERVER, "\x20\x02\0\5"),
    SAMPLE("connack 5.0", V5, SERVER,
           "\x20\x0c\0\0\x09\x13\0\x3c\x24\1\x25\0\x29"
           "\0"),
    SAMPLE("connack 5.0 refused", V5, SERVER, "\x20\x09\0\x87\x06\x1f\0\3not"),
    SAMPLE("publish 3.1.1 qos 0", V3, CLIENT, "\x30\x05\0\1ahi"),
    SAMPLE("publish 3.1.1 qos 1", V3, CLIENT, "\x3b\x07\0\1a\0\x0ahi"),
    SAMPLE("publish 3.1.1 empty payload", V3, SERVER, "\x31\x03\0\1a"),
    SAMPLE("publish 5.0 qos 2", V5, CLIENT,
           "\x34\x1e\0\1a\0\x0a\x16\1\1\2\0\0\0\x3c\x08\0\1r\x09\0\1c\x26\0\1k\0\1v"
           "hi"),
    SAMPLE("publish 5.0 alias alone", V5, CLIENT, "\x30\x08\0\0\3\x23\0\1hi"),
    SAMPLE("publish 5.0 subscription ids", V5, SERVER, "\x30\x0a\0\1a\4\x0b\1\x0b\2hi"),
    SAMPLE("puback 3.1.1", V3, SERVER, "\x40\x02\0\1"),
    SAMPLE("puback 5.0 success", V5, SERVER, "\x40\x02\0\1"),
    SAMPLE("puback 5.0 reason", V5, SERVER, "\x40\x03\0\1\x10"),
    SAMPLE("puback 5.0 properties", V5, SERVER, "\x40\x08\0\1\x87\4\x1f\0\1n"),
    SAMPLE("pubrec 5.0", V5, CLIENT, "\x50\x03\0\1\x91"),
    SAMPLE("pubrel 3.1.1", V3, CLIENT, "\x62\x02\0\1"),
    SAMPLE("pubrel 5.0", V5, CLIENT, "\x62\x03\0\1\x92"),
    SAMPLE("pubcomp 5.0", V5, SERVER, "\x70\x03\0\1\x92"),
    SAMPLE("subscribe 3.1.1", V3, CLIENT, "\x82\x0a\0\1\0\1a\1\0\1#\2"),
    SAMPLE("subscribe 5.0", V5, CLIENT, "\x82\x0c\0\1\3\x0b\x80\1\0\3a/+\x2d"),
    SAMPLE("subscribe 5.0 shared", V5, CLIENT, "\x82\x10\0\1\0\0\x0a$share/g/a\1"),
    SAMPLE("suback 3.1.1", V3, SERVER, "\x90\x06\0\1\0\1\2\x80"),
    SAMPLE("suback 5.0", V5, SERVER, "\x90\x05\0\1\0\1\x87"),
    SAMPLE("unsubscribe 3.1.1", V3, CLIENT, "\xa2\x08\0\1\0\1a\0\1#"),
    SAMPLE("unsubscribe 5.0", V5, CLIENT, "\xa2\x06\0\1\0\0\1a"),
    SAMPLE("unsuback 3.1.1", V3, SERVER, "\xb0\x02\0\1"),
    SAMPLE("unsuback 5.0", V5, SERVER, "\xb0\x05\0\1\0\0\x11"),
    SAMPLE("pingreq", V3, CLIENT, "\xc0\0"),
    SAMPLE("pingresp", V5, SERVER, "\xd0\0"),
    SAMPLE("disconnect 3.1.1", V3, CLIENT, "\xe0\0"),
    SAMPLE("disconnect 5.0", V5, SERVER, "\xe0\0"),
    SAMPLE("disconnect 5.0 reason", V5, SERVER, "\xe0\1\x8e"),
    SAMPLE("disconnect 5.0 expiry", V5, CLIENT, "\xe0\7\4\5\x11\0\0\0\x0a"),
    SAMPLE("auth 5.0 bare", V5, SERVER, "\xf0\0"),
    SAMPLE("auth 5.0", V5, CLIENT, "\xf0\x0a\x18\x08\x15\0\1m\x16\0\1d"),
};

static porch_err read_raw(porch_bytes raw, const sample *s, porch_mqtt_fault *fault,
                          porch_mqtt_packet *ret) {
    porch_mqtt_frame frame;
    *fault = (porch_mqtt_fault){0, NULL};
    PORCH_TRY(porch_mqtt_frame_read(raw, UINT32_MAX, fault, &frame));
    return porch_mqtt_packet_read(&frame, s->version, s->sender, fault, ret);
}

static void every_sample_is_read_and_written_back_as_it_was(void **state) {
    (void)state;
    bool seen[PORCH_MQTT_TYPE_COUNT + 1] = {false};
    for (size_t i = 0; i < COUNT(samples); i++) {
        const sample *s = &samples[i];
        porch_mqtt_packet p = {.type = PORCH_MQTT_TYPE_COUNT};
        porch_mqtt_fault fault;
        uint8_t out[256];
        porch_buf b = PORCH_BUF_OF(out);
        if (read_raw(s->raw, s, &fault, &p) != PORCH_OK)
            fail_msg("%s: %s", s->name, fault.what ? fault.what : "?");
        seen[p.type] = true;
        if (porch_mqtt_packet_write(&b, s->version, &p) != PORCH_OK) fail_msg("%s is not written", s->name);
        if (!porch_bytes_eq(porch_buf_bytes(&b), s->raw)) fail_msg("%s is written otherwise", s->name);
    }
    for (size_t t = 1; t < PORCH_MQTT_TYPE_COUNT; t++)
        assert_true(seen[t]);
}

/* Puts a body of another length into a packet: all samples have a one-byte remaining length. */
static porch_bytes with_body(const sample *s, size_t body_bytes, uint8_t *out) {
    assert_true(s->raw.at[1] < 0x80 && body_bytes < 0x80);
    memset(out, 0, 2 + body_bytes);
    size_t kept = body_bytes < s->raw.len - 2 ? body_bytes : s->raw.len - 2;
    memcpy(out, s->raw.at, 2 + kept);
    out[1] = (uint8_t)body_bytes;
    return (porch_bytes){out, 2 + body_bytes};
}

/* A body that ends early may happen to be another good packet (a payload or a list that is just shorter);
 * then it must be one in every way. Whatever the outcome: never a result from bytes past the end, never a
 * silent fault. */
static void a_body_cut_short_is_refused_or_is_another_good_packet(void **state) {
    (void)state;
    size_t refused = 0;
    for (size_t i = 0; i < COUNT(samples); i++) {
        for (size_t cut = 0; cut < samples[i].raw.len - 2; cut++) {
            uint8_t raw[256], out[256];
            porch_bytes in = with_body(&samples[i], cut, raw);
            porch_mqtt_packet p = {.type = PORCH_MQTT_TYPE_COUNT};
            porch_mqtt_fault fault;
            porch_buf b = PORCH_BUF_OF(out);
            if (read_raw(in, &samples[i], &fault, &p) == PORCH_OK) {
                assert_int_equal(porch_mqtt_packet_write(&b, samples[i].version, &p), PORCH_OK);
                assert_true(b.len <= in.len);
            } else {
                refused++;
                assert_int_equal(p.type, PORCH_MQTT_TYPE_COUNT);
                assert_true(fault.reason >= 0x80 && fault.what != NULL);
            }
        }
    }
    assert_true(refused > 200);
}

static size_t sample_named(const char *name) {
    for (size_t i = 0; i < COUNT(samples); i++)
        if (strcmp(samples[i].name, name) == 0) return i;
    fail_msg("no sample is called %s", name);
    return 0;
}

static void these_bodies_cut_short_are_refused_at_every_length(void **state) {
    (void)state;
    const char *strict[] = {"connect 3.1.1 with all", "connect 5.0 with all", "connack 5.0",
                            "connack 5.0 refused",    "subscribe 5.0",        "subscribe 5.0 shared",
                            "unsubscribe 5.0",        "puback 3.1.1",         "auth 5.0"};
    for (size_t k = 0; k < COUNT(strict); k++) {
        size_t i = sample_named(strict[k]);
        for (size_t cut = 0; cut < samples[i].raw.len - 2; cut++) {
            uint8_t raw[256];
            porch_mqtt_packet p;
            porch_mqtt_fault fault;
            if (cut == 0 && strcmp(strict[k], "auth 5.0") == 0) continue; /* a bare AUTH is one */
            if (read_raw(with_body(&samples[i], cut, raw), &samples[i], &fault, &p) == PORCH_OK)
                fail_msg("%s cut to %zu", strict[k], cut);
        }
    }
}

/* Packets whose body ends with a payload or a list take more bytes as more of it. */
static bool open_ended(const sample *s) {
    return s->raw.at[0] >> 4 == PORCH_MQTT_PUBLISH || s->raw.at[0] >> 4 == PORCH_MQTT_SUBACK ||
           (s->raw.at[0] >> 4 == PORCH_MQTT_UNSUBACK && s->version == V5);
}

static void bytes_left_over_are_refused(void **state) {
    (void)state;
    for (size_t i = 0; i < COUNT(samples); i++) {
        uint8_t raw[256];
        porch_mqtt_packet p;
        porch_mqtt_fault fault;
        bool grows = samples[i].version == V5 &&
                     samples[i].raw.len < 5; /* a zero more is the reason or the length */
        if (open_ended(&samples[i]) || grows) continue;
        porch_bytes in = with_body(&samples[i], samples[i].raw.len - 2 + 1, raw);
        if (strcmp(samples[i].name, "puback 5.0 reason") == 0 || strstr(samples[i].name, "pubre") != NULL ||
            strstr(samples[i].name, "pubcomp") != NULL)
            in = with_body(&samples[i], samples[i].raw.len - 2 + 2, raw);
        if (read_raw(in, &samples[i], &fault, &p) == PORCH_OK) fail_msg("%s and one byte", samples[i].name);
        assert_true(fault.reason >= 0x80);
    }
}

static void a_packet_that_does_not_fit_writes_nothing(void **state) {
    (void)state;
    for (size_t i = 0; i < COUNT(samples); i++) {
        porch_mqtt_packet p;
        porch_mqtt_fault fault;
        uint8_t out[256] = {0};
        assert_int_equal(read_raw(samples[i].raw, &samples[i], &fault, &p), PORCH_OK);
        for (size_t cap = 0; cap < samples[i].raw.len; cap++) {
            porch_buf b = {out, 3, cap + 3};
            assert_int_equal(porch_mqtt_packet_write(&b, samples[i].version, &p), PORCH_ERR_NO_SPACE);
            assert_int_equal(b.len, 3);
        }
    }
}

static void every_byte_changed_to_every_value_is_answered_soundly(void **state) {
    (void)state;
    for (size_t i = 0; i < COUNT(samples); i++) {
        for (size_t at = 2; at < samples[i].raw.len; at++) {
            for (unsigned value = 0; value < 256; value++) {
                uint8_t raw[256], out[256];
                porch_bytes in = with_body(&samples[i], samples[i].raw.len - 2, raw);
                raw[at] = (uint8_t)value;
                porch_mqtt_packet p;
                porch_mqtt_fault fault;
                porch_buf b = PORCH_BUF_OF(out);
                if (read_raw(in, &samples[i], &fault, &p) != PORCH_OK)
                    assert_true(fault.reason >= 0x80 && fault.what != NULL);
                else
                    assert_int_equal(porch_mqtt_packet_write(&b, samples[i].version, &p), PORCH_OK);
            }
        }
    }
}

static void an_unknown_packet_is_not_written(void **state) {
    (void)state;
    uint8_t out[8];
    porch_buf b = PORCH_BUF_OF(out);
    assert_int_equal(porch_mqtt_packet_write(&b, V5, &(porch_mqtt_packet){.type = PORCH_MQTT_TYPE_COUNT}),
                     PORCH_ERR_MALFORMED);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(every_sample_is_read_and_written_back_as_it_was),
        cmocka_unit_test(a_body_cut_short_is_refused_or_is_another_good_packet),
        cmocka_unit_test(these_bodies_cut_short_are_refused_at_every_length),
        cmocka_unit_test(bytes_left_over_are_refused),
        cmocka_unit_test(a_packet_that_does_not_fit_writes_nothing),
        cmocka_unit_test(every_byte_changed_to_every_value_is_answered_soundly),
        cmocka_unit_test(an_unknown_packet_is_not_written),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
