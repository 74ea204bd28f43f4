/* The upgrade, row by row: what it must have, and what is answered where it does not. */
#include "cloud/listener/ws_testbed.h"

static ws_hub hub;
static porch_err seen_verdict = PORCH_ERR_INTERNAL;

static void on_open(porch_conn *c) {
    seen_verdict = porch_conn_peer(c)->verdict;
    porch_conn_put(c, PORCH_LIT("hi"));
}

static size_t on_take(porch_conn *c, porch_bytes in) {
    (void)c;
    return in.len;
}

static const porch_conn_hooks hooks = {.open = on_open, .take = on_take, .drain = porch_conn_close};

static int set_up(void **state) {
    (void)state;
    porch_log_init("ws_upgrade_test", PORCH_LOG_ERROR);
    porch_settings_default(&hub.settings);
    ws_hub_start(&hub, &hooks);
    return 0;
}

static int tear_down(void **state) {
    (void)state;
    ws_hub_stop(&hub);
    return 0;
}

#define MQTT_TOO "Sec-WebSocket-Protocol: mqttv3.1,  mqtt\r\n"

static const struct {
    const char *name, *request;
    int status;
    const char *in_answer;
} rows[] = {
    {"the example of RFC 6455", PORCH_TEST_REQUEST, 101,
     "Sec-WebSocket-Accept: s3pPLMBiTxaQ9kYGzzhZRbK+xOo=\r\n"},
    {"the subprotocol is told", PORCH_TEST_REQUEST, 101, "Sec-WebSocket-Protocol: mqtt\r\n"},
    {"one of several subprotocols",
     "GET /mqtt HTTP/1.1\r\n" PORCH_TEST_REST(PORCH_TEST_KEY, "13", MQTT_TOO), 101,
     "Sec-WebSocket-Protocol: mqtt\r\n"},
    {"in two header lines",
     "GET /mqtt HTTP/1.1\r\n" PORCH_TEST_REST(
         PORCH_TEST_KEY, "13", "Sec-WebSocket-Protocol: x\r\nsec-websocket-protocol: mqtt\r\n"),
     101, "Connection: Upgrade\r\n"},
    {"an extension is passed over",
     "GET /mqtt HTTP/1.1\r\n" PORCH_TEST_REST(
         PORCH_TEST_KEY, "13",
         "Sec-WebSocket-Protocol: mqtt\r\nSec-WebSocket-Extensions: permessage-deflate\r\n"),
     101, "Upgrade: websocket\r\n"},
    {"no subprotocol", "GET /mqtt HTTP/1.1\r\n" PORCH_TEST_REST(PORCH_TEST_KEY, "13", ""), 400, NULL},
    {"another subprotocol",
     "GET /mqtt HTTP/1.1\r\n" PORCH_TEST_REST(PORCH_TEST_KEY, "13",
                                              "Sec-WebSocket-Protocol: mqttv3.1, MQTT, amqp\r\n"),
     400, NULL},
    {"another version", "GET /mqtt HTTP/1.1\r\n" PORCH_TEST_REST(PORCH_TEST_KEY, "8", MQTT_TOO), 426,
     "Sec-WebSocket-Version: 13\r\n"},
    {"two versions",
     "GET /mqtt HTTP/1.1\r\n" PORCH_TEST_REST(PORCH_TEST_KEY, "13",
                                              "Sec-WebSocket-Version: 13\r\n" MQTT_TOO),
     426, NULL},
    {"a short key", "GET /mqtt HTTP/1.1\r\n" PORCH_TEST_REST("dGhlIHNhbXBsZSBub25j", "13", MQTT_TOO), 400,
     NULL},
    {"a key that is no base64",
     "GET /mqtt HTTP/1.1\r\n" PORCH_TEST_REST("dGhlIHNhbXBsZSBub25j!Q==", "13", MQTT_TOO), 400, NULL},
    {"two keys",
     "GET /mqtt HTTP/1.1\r\n" PORCH_TEST_REST(PORCH_TEST_KEY, "13",
                                              "Sec-WebSocket-Key: " PORCH_TEST_KEY "\r\n" MQTT_TOO),
     400, NULL},
    {"no upgrade", "GET /mqtt HTTP/1.1\r\nHost: localhost\r\n\r\n", 426, "Upgrade: websocket\r\n"},
    {"an upgrade to something else",
     "GET /mqtt HTTP/1.1\r\nHost: localhost\r\nConnection: Upgrade\r\nUpgrade: h2c\r\n\r\n", 426, NULL},
    {"HTTP/1.0", "GET /mqtt HTTP/1.0\r\n" PORCH_TEST_REST(PORCH_TEST_KEY, "13", MQTT_TOO), 400, NULL},
    {"HEAD", "HEAD /mqtt HTTP/1.1\r\n" PORCH_TEST_REST(PORCH_TEST_KEY, "13", MQTT_TOO), 400, NULL},
    {"POST", "POST /mqtt HTTP/1.1\r\n" PORCH_TEST_REST(PORCH_TEST_KEY, "13", MQTT_TOO), 405, NULL},
    {"a body",
     "GET /mqtt HTTP/1.1\r\nContent-Length: 1\r\n" PORCH_TEST_REST(PORCH_TEST_KEY, "13", MQTT_TOO) "x", 413,
     NULL},
};

static void each_request_gets_its_answer(void **state) {
    (void)state;
    char head[2048];
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        bed_client *c = bed_connect(&hub.ca, &hub.device, hub.port);
        int status = ws_ask(c, rows[i].request, head, sizeof head);
        if (status != rows[i].status)
            fail_msg("%s: %d instead of %d", rows[i].name, status, rows[i].status);
        if (rows[i].in_answer != NULL && strstr(head, rows[i].in_answer) == NULL)
            fail_msg("%s: no %s in\n%s", rows[i].name, rows[i].in_answer, head);
        assert_true(status != 101 || strstr(head, "Extensions") == NULL);
        assert_true(status != 101 || strstr(head, "Content-Length") == NULL);
        bed_close(c);
    }
}

static void without_a_certificate_it_is_refused(void **state) {
    (void)state;
    char head[2048];
    bed_client *c = bed_connect(&hub.ca, NULL, hub.port);
    assert_int_equal(ws_ask(c, PORCH_TEST_REQUEST, head, sizeof head), 403);
    bed_close(c);
}

static void a_revoked_certificate_comes_through_to_be_told_by_mqtt(void **state) {
    (void)state;
    static ws_frame f;
    char head[2048];
    bed_client *c = bed_connect(&hub.ca, &hub.revoked, hub.port);
    assert_int_equal(ws_ask(c, PORCH_TEST_REQUEST, head, sizeof head), 101);
    ws_next(c, &f);
    assert_int_equal(f.first, 0x82);
    assert_int_equal(f.len, 2);
    assert_memory_equal(f.at, "hi", 2);
    assert_int_equal(seen_verdict, PORCH_ERR_REVOKED);
    bed_close(c);
}

static void a_frame_sent_with_the_request_is_not_lost(void **state) {
    (void)state;
    char head[2048];
    bed_client *c = bed_connect(&hub.ca, &hub.device, hub.port);
    static ws_frame f;
    assert_int_equal(ws_ask(c, PORCH_TEST_REQUEST "\x89\x81\x01\x01\x01\x01x", head, sizeof head), 101);
    ws_next(c, &f);
    assert_int_equal(f.first, 0x82); /* what open had to say */
    ws_next(c, &f);
    assert_int_equal(f.first, 0x8a);
    assert_int_equal(f.len, 1);
    assert_int_equal(f.at[0], 'y');
    bed_close(c);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(each_request_gets_its_answer),
        cmocka_unit_test(without_a_certificate_it_is_refused),
        cmocka_unit_test(a_revoked_certificate_comes_through_to_be_told_by_mqtt),
        cmocka_unit_test(a_frame_sent_with_the_request_is_not_lost),
    };
    return cmocka_run_group_tests(tests, set_up, tear_down);
}
