/* Requests open at once, as peers see the limits: a real listener with small ones. Nothing here is timed: a
 * stream stays open until its peer leaves, a slow body until the test ends it. */
#include "cloud/listener/http_open.h"

#include "cloud/listener/http_testbed.h"
#include "os/log.h"

enum { IN_ALL = 6, OF_ADDRESS = 5, OF_SESSION = 2, BODIES = 1 << 20 };

static bed_ca ca;
static bed_identity server, first, second;
static bed_http hub;
static atomic_int held;

/* An upload whose bytes do not come, and whose peer's leaving is told. */
static void hold(porch_http_exchange *x) {
    (void)x;
    tell(&held);
}
static void hold_data(porch_http_exchange *x, porch_bytes piece, bool last) {
    (void)piece;
    if (last) porch_http_reply(x, 200, "text/plain", PORCH_LIT("ok"));
}
static void hold_abort(porch_http_exchange *x) {
    (void)x;
}
static void hello(porch_http_exchange *x) {
    porch_http_reply(x, 200, "text/plain", PORCH_LIT("hello"));
}

/* A body that is kept until the test has seen enough of it. */
static atomic_int parked, let_go;
static void park(porch_http_exchange *x) {
    tell(&parked);
    wait_for(&let_go, 1);
    porch_http_reply(x, 200, "text/plain", PORCH_LIT("parked"));
}
static void length(porch_http_exchange *x) {
    char text[32];
    int n = snprintf(text, sizeof text, "%zu bytes", porch_http_body(x).len);
    porch_http_reply(x, 200, "text/plain", (porch_bytes){(const uint8_t *)text, (size_t)n});
}

static const porch_http_route routes[] = {
    {"GET", "/hello", PORCH_ON_PEOPLE | PORCH_ON_DEVICE, 0, 0, hello, NULL, NULL, NULL},
    {"GET", "/stream", PORCH_ON_PEOPLE, 0, 0, stream, NULL, NULL, NULL},
    {"POST", "/park", PORCH_ON_PEOPLE, 0, BODIES, park, NULL, NULL, NULL},
    {"POST", "/length", PORCH_ON_PEOPLE, 0, BODIES, length, NULL, NULL, NULL},
    {"PATCH", "/hold", PORCH_ON_PEOPLE | PORCH_ON_DEVICE, PORCH_HTTP_BODY_STREAM, 1000, hold, NULL,
     hold_data, hold_abort},
};

static porch_err admit(void *ctx, const porch_tls_peer_info *tls, uint64_t now_ms, porch_principal *ret,
                       porch_why *why) {
    (void)ctx;
    (void)now_ms;
    (void)why;
    memset(ret, 0, sizeof *ret);
    ret->kind = tls->x509.identity.kind;
    memcpy(ret->name, tls->x509.identity.name, sizeof ret->name);
    return PORCH_OK;
}

static int set_up(void **state) {
    (void)state;
    static porch_settings settings;
    porch_log_init("http_open_test", PORCH_LOG_ERROR);
    bed_ca_make(&ca, "test");
    bed_issue(&ca, PORCH_PROFILE_HUB_SERVER, NULL, -1, 90, &server);
    bed_issue(&ca, PORCH_PROFILE_DEVICE, "cam", -1, 90, &first);
    bed_issue(&ca, PORCH_PROFILE_DEVICE, "bell", -1, 90, &second);
    porch_settings_default(&settings);
    settings.http_open = IN_ALL;
    settings.http_open_per_address = OF_ADDRESS;
    settings.http_open_per_session = OF_SESSION;
    settings.http_body_ms = 600000;
    settings.http_body_bytes = BODIES;
    const bed_http_of of = {
        &ca, &server, "http/1.1", "http/1.1", &settings, routes, sizeof routes / sizeof *routes, admit};
    bed_http_start(&hub, &of);
    return 0;
}

static int tear_down(void **state) {
    (void)state;
    bed_http_stop(&hub);
    porch_key_free(server.key);
    porch_key_free(first.key);
    porch_key_free(second.key);
    bed_ca_free(&ca);
    return 0;
}

static porch_listener_counts counts(void) {
    porch_listener_counts ret;
    porch_listener_read_counts(hub.listener, &ret);
    return ret;
}

static bed_client *begin(const bed_identity *who, const char *request) {
    bed_client *c = bed_connect(&ca, who, who == NULL ? hub.port : hub.device_port);
    assert_true(bed_send(c, porch_bytes_of(request)));
    return c;
}

/* Reads until the status line is there. */
static int status_of(bed_client *c) {
    while (c->in_len < 12)
        assert_true(bed_more(c));
    return (int)strtol((char *)c->in + 9, NULL, 10);
}

static bool says(bed_client *c, const char *text) {
    while (memmem(c->in, c->in_len, text, strlen(text)) == NULL)
        if (!bed_more(c)) return false;
    return true;
}

#define REQUEST(line, more) line " HTTP/1.1\r\nHost: localhost\r\n" more "\r\n"
#define SLOW_BODY           REQUEST("PATCH /hold", "Content-Length: 10\r\n")

static void refused(const bed_identity *who, const char *request, const char *setting) {
    uint64_t before = counts().requests_over_limit;
    bed_client *c = begin(who, request);
    assert_int_equal(status_of(c), 503);
    assert_true(says(c, "Retry-After: 1"));
    assert_true(says(c, setting));
    bed_close(c);
    assert_int_equal(counts().requests_over_limit, before + 1);
}

static void served(const bed_identity *who, const char *request) {
    bed_client *c = begin(who, request);
    assert_int_equal(status_of(c), 200);
    bed_close(c);
}

static void all_gone(void) {
    BED_UNTIL(counts().requests_open == 0);
}

static void live_streams_of_one_sign_in_are_limited_and_others_go_on(void **state) {
    (void)state;
    const char *mine = REQUEST("GET /stream", "Cookie: __Host-porchlight=a\r\n");
    bed_client *c[OF_SESSION];
    for (int i = 0; i < OF_SESSION; i++) {
        c[i] = begin(NULL, mine);
        assert_int_equal(status_of(c[i]), 200);
    }
    assert_int_equal(counts().requests_open, OF_SESSION);
    refused(NULL, mine, "http.open_per_session");
    refused(NULL, REQUEST("GET /hello", "Cookie: __Host-porchlight=a\r\n"), "http.open_per_session");
    served(NULL, REQUEST("GET /hello", "Cookie: __Host-porchlight=b\r\n"));
    served(NULL, REQUEST("GET /hello", ""));
    for (int i = 0; i < OF_SESSION; i++)
        bed_close(c[i]);
    all_gone();
    served(NULL, REQUEST("GET /hello", "Cookie: __Host-porchlight=a\r\n"));
    all_gone();
}

static void slow_bodies_of_one_device_are_limited_and_another_goes_on(void **state) {
    (void)state;
    bed_client *c[OF_SESSION];
    int before = atomic_load(&held);
    for (int i = 0; i < OF_SESSION; i++)
        c[i] = begin(&first, SLOW_BODY);
    wait_for(&held, before + OF_SESSION);
    refused(&first, SLOW_BODY, "http.open_per_session");
    served(&second, REQUEST("GET /hello", ""));
    assert_true(bed_send(c[0], PORCH_LIT("0123456789")));
    assert_int_equal(status_of(c[0]), 200); /* and it is over, though the connection stays */
    BED_UNTIL(counts().requests_open == OF_SESSION - 1);
    served(&first, REQUEST("GET /hello", ""));
    for (int i = 0; i < OF_SESSION; i++)
        bed_close(c[i]);
    all_gone();
}

static void one_address_is_limited_whatever_cookies_it_makes_up(void **state) {
    (void)state;
    bed_client *c[OF_ADDRESS];
    char request[128];
    for (int i = 0; i < OF_ADDRESS; i++) {
        snprintf(request, sizeof request, REQUEST("GET /stream", "Cookie: __Host-porchlight=x%d\r\n"), i);
        c[i] = begin(NULL, request);
        assert_int_equal(status_of(c[i]), 200);
    }
    refused(NULL, REQUEST("GET /hello", "Cookie: __Host-porchlight=y\r\n"), "http.open_per_address");
    refused(&first, REQUEST("GET /hello", ""), "http.open_per_address");
    for (int i = 0; i < OF_ADDRESS; i++)
        bed_close(c[i]);
    all_gone();
}

static bed_client *post(const char *path, size_t body) {
    static uint8_t zeros[BODIES];
    char head[128];
    snprintf(head, sizeof head, "POST %s HTTP/1.1\r\nHost: localhost\r\nContent-Length: %zu\r\n\r\n", path,
             body);
    bed_client *c = begin(NULL, head);
    (void)bed_send(c, (porch_bytes){zeros, body}); /* it may be refused before it is whole */
    return c;
}

static void answered(bed_client *c, int status, const char *text) {
    assert_int_equal(status_of(c), status);
    assert_true(says(c, text));
    bed_close(c);
}

static void bodies_are_held_within_a_budget_that_small_ones_do_not_need(void **state) {
    (void)state;
    enum { LARGE = 700000, SMALL = 16384 };
    bed_client *c = post("/park", LARGE);
    wait_for(&parked, 1);
    answered(post("/length", LARGE), 503, "http.body_bytes");
    answered(post("/length", SMALL), 200, "16384 bytes");
    tell(&let_go);
    answered(c, 200, "parked");
    for (int i = 0; i < 3; i++) /* what was taken, for the refused one too, has come back */
        answered(post("/length", BODIES), 200, "1048576 bytes");
    all_gone();
}

/* All clients here have one address, so the limit in all is asked directly. */
static void all_together_are_limited_and_a_refusal_takes_no_place(void **state) {
    (void)state;
    static porch_shard shard;
    static porch_http_exchange x[IN_ALL + 2];
    shard.listener = hub.listener;
    for (int i = 0; i < IN_ALL + 2; i++) {
        x[i].shard = &shard;
        x[i].peer.role = PORCH_LISTEN_DEVICE;
        snprintf(x[i].peer.address, sizeof x[i].peer.address, "192.0.2.%d", i + 1);
    }
    for (int i = 0; i < IN_ALL; i++)
        assert_null(porch_http_open_enter(&x[i]));
    assert_string_equal(porch_http_open_enter(&x[IN_ALL]), "http.open");
    assert_string_equal(porch_http_open_enter(&x[IN_ALL]), "http.open");
    porch_http_open_leave(&x[IN_ALL]); /* was not counted */
    assert_int_equal(counts().requests_open, IN_ALL);
    porch_http_open_leave(&x[0]);
    porch_http_open_leave(&x[0]); /* once is enough */
    assert_null(porch_http_open_enter(&x[IN_ALL + 1]));
    for (int i = 1; i < IN_ALL + 2; i++)
        porch_http_open_leave(&x[i]);
    assert_int_equal(counts().requests_open, 0);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(live_streams_of_one_sign_in_are_limited_and_others_go_on),
        cmocka_unit_test(slow_bodies_of_one_device_are_limited_and_another_goes_on),
        cmocka_unit_test(one_address_is_limited_whatever_cookies_it_makes_up),
        cmocka_unit_test(bodies_are_held_within_a_budget_that_small_ones_do_not_need),
        cmocka_unit_test(all_together_are_limited_and_a_refusal_takes_no_place),
    };
    return cmocka_run_group_tests(tests, set_up, tear_down);
}
