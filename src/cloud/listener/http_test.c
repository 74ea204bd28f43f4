/* HTTP as a peer sees it: a real listener on the loopback, real TLS, one blocking client. */
#include "cloud/listener/http.h"

#include <sys/socket.h>

#include "cloud/listener/http_testbed.h"
#include "os/log.h"

static bed_ca ca, foreign;
static bed_identity server, device, late, early, stranger;
static bed_http hub;

/* ---- what the handlers do ---- */

static void hello(porch_http_exchange *x) {
    porch_http_reply_header(x, "X-Who", porch_http_peer(x)->principal.name);
    porch_http_reply(x, 200, "text/plain", PORCH_LIT("hello"));
}

static void silent(porch_http_exchange *x) {
    (void)x;
}

static void describe(porch_http_exchange *x) {
    char text[512], q[32];
    porch_bytes cookie = porch_http_cookie(x, "__Host-porchlight");
    porch_http_query(x, "q", q, sizeof q);
    const char *agent = porch_http_header(x, "user-agent");
    int n = snprintf(text, sizeof text, "%s %s id=%s q=%s agent=%s cookie=%.*s", porch_http_method(x),
                     porch_http_path(x), porch_http_param(x, "id"), q, agent == NULL ? "-" : agent,
                     PORCH_FMT(cookie));
    porch_http_reply(x, 200, "text/plain", (porch_bytes){(const uint8_t *)text, (size_t)n});
}

/* Ends by itself after 200,000 bytes. */
static porch_err unsized_read(void *ctx, uint64_t offset, uint8_t *buf, size_t cap, size_t *got) {
    if (cap > 200000 - offset) cap = (size_t)(200000 - offset);
    return pattern_read(ctx, offset, buf, cap, got);
}

static void unsized(porch_http_exchange *x) {
    porch_http_reply_source(x, 200, "application/zip", PORCH_HTTP_LENGTH_UNKNOWN, unsized_read,
                            pattern_free, NULL);
}

static const porch_http_route routes[] = {
    {"GET", "/hello", PORCH_ON_PEOPLE | PORCH_ON_DEVICE, 0, 0, hello, NULL, NULL, NULL},
    {"GET", "/inline", PORCH_ON_PEOPLE, PORCH_HTTP_INLINE, 0, hello, NULL, NULL, NULL},
    {"GET", "/mine", PORCH_ON_DEVICE, PORCH_HTTP_PRINCIPAL, 0, hello, NULL, NULL, NULL},
    {"GET", "/d/{id}", PORCH_ON_PEOPLE, 0, 0, describe, NULL, NULL, NULL},
    {"GET", "/lasting", PORCH_ON_PEOPLE, PORCH_HTTP_INLINE, 0, lasting, NULL, NULL, NULL},
    {"POST", "/echo", PORCH_ON_PEOPLE, 0, 100000, echo, NULL, NULL, NULL},
    {"PATCH", "/sum", PORCH_ON_PEOPLE, PORCH_HTTP_BODY_STREAM, 10000000, sum_head, NULL, sum_data,
     sum_abort},
    {"GET", "/pattern", PORCH_ON_PEOPLE, 0, 0, pattern, NULL, NULL, NULL},
    {"GET", "/unsized", PORCH_ON_PEOPLE, 0, 0, unsized, NULL, NULL, NULL},
    {"GET", "/stream", PORCH_ON_PEOPLE, 0, 0, stream, NULL, NULL, NULL},
    {"GET", "/silent", PORCH_ON_PEOPLE, 0, 0, silent, NULL, NULL, NULL},
};

static atomic_bool no_room;

static porch_err admit(void *ctx, const porch_tls_peer_info *tls, uint64_t now_ms, porch_principal *ret,
                       porch_why *why) {
    (void)ctx;
    (void)now_ms;
    if (strcmp(tls->x509.identity.name, "gone") == 0)
        return porch_fail(why, PORCH_ERR_REVOKED, "it was revoked");
    if (atomic_load(&no_room)) return porch_fail(why, PORCH_ERR_BUSY, "the store is behind");
    memset(ret, 0, sizeof *ret);
    ret->kind = tls->x509.identity.kind;
    memcpy(ret->name, tls->x509.identity.name, sizeof ret->name);
    return PORCH_OK;
}

static int set_up(void **state) {
    (void)state;
    porch_log_init("http_test", PORCH_LOG_ERROR);
    bed_ca_make(&ca, "test");
    bed_ca_make(&foreign, "foreign");
    bed_issue(&ca, PORCH_PROFILE_HUB_SERVER, NULL, -1, 90, &server);
    bed_issue(&ca, PORCH_PROFILE_DEVICE, "cam", -1, 90, &device);
    bed_issue(&ca, PORCH_PROFILE_DEVICE, "late", -30, -1, &late);
    bed_issue(&ca, PORCH_PROFILE_DEVICE, "early", 1, 30, &early);
    bed_issue(&foreign, PORCH_PROFILE_DEVICE, "cam", -1, 90, &stranger);
    static porch_settings settings;
    porch_settings_default(&settings);
    settings.http_head_bytes = 4096;
    settings.http_stream_bytes = 100000;
    settings.http_head_ms = 500;
    settings.http_body_ms = 700;
    const bed_http_of of = {
        &ca, &server, "http/1.1", NULL, &settings, routes, sizeof routes / sizeof *routes, admit};
    bed_http_start(&hub, &of);
    return 0;
}

static int tear_down(void **state) {
    (void)state;
    bed_http_stop(&hub);
    porch_key *keys[5] = {server.key, device.key, late.key, early.key, stranger.key};
    for (size_t i = 0; i < 5; i++)
        porch_key_free(keys[i]);
    bed_ca_free(&ca);
    bed_ca_free(&foreign);
    return 0;
}

/* ---- the client ---- */

static size_t find(const bed_client *c, const char *text) {
    const uint8_t *at = memmem(c->in, c->in_len, text, strlen(text));
    return at == NULL ? SIZE_MAX : (size_t)(at - c->in);
}

static void send_text(bed_client *c, const char *text) {
    assert_true(bed_send(c, porch_bytes_of(text)));
}

/* Waits for a whole answer with Content-Length; its status. Head and body stay in c->in, body at *body. */
static int answer(bed_client *c, bool no_body, size_t *body, size_t *body_len) {
    while (find(c, "\r\n\r\n") == SIZE_MAX)
        assert_true(bed_more(c));
    *body = find(c, "\r\n\r\n") + 4;
    size_t at = find(c, "Content-Length: ");
    *body_len = at == SIZE_MAX || no_body ? 0 : strtoul((char *)c->in + at + 16, NULL, 10);
    while (c->in_len < *body + *body_len)
        assert_true(bed_more(c));
    return (int)strtol((char *)c->in + 9, NULL, 10);
}

static int ask(bed_client *c, const char *request, size_t *body, size_t *len) {
    c->in_len = 0;
    send_text(c, request);
    return answer(c, false, body, len);
}

#define ON_PEOPLE() bed_connect(&ca, NULL, hub.port)
#define HOST        "Host: localhost\r\n"

/* ---- the tests ---- */

static void a_get_is_answered_with_the_common_headers(void **state) {
    (void)state;
    bed_client *c = ON_PEOPLE();
    size_t body, len;
    static const char *const paths[] = {"/hello", "/inline"};
    for (int i = 0; i < 2; i++) {
        char text[128];
        snprintf(text, sizeof text, "GET %s HTTP/1.1\r\n" HOST "\r\n", paths[i]);
        assert_int_equal(ask(c, text, &body, &len), 200);
        assert_int_equal(len, 5);
        assert_memory_equal(c->in + body, "hello", 5);
        assert_true(find(c, "X-Content-Type-Options: nosniff\r\n") < body);
    }
    bed_close(c);
}

static void requests_sent_at_once_are_answered_in_order(void **state) {
    (void)state;
    bed_client *c = ON_PEOPLE();
    send_text(c, "GET /d/1?q=a%20b HTTP/1.1\r\n" HOST
                 "User-Agent: t\r\nCookie: x=1; __Host-porchlight=abc; y=2\r\n\r\n"
                 "GET /d/2 HTTP/1.1\r\n" HOST "\r\nGET /inline HTTP/1.1\r\n" HOST "\r\n");
    size_t body, len;
    assert_int_equal(answer(c, false, &body, &len), 200);
    assert_memory_equal(c->in + body, "GET /d/1 id=1 q=a b agent=t cookie=abc", len);
    bed_used(c, body + len);
    assert_int_equal(answer(c, false, &body, &len), 200);
    assert_memory_equal(c->in + body, "GET /d/2 id=2 q= agent=- cookie=", len);
    bed_used(c, body + len);
    assert_int_equal(answer(c, false, &body, &len), 200);
    bed_close(c);
}

static void head_has_the_length_and_no_body(void **state) {
    (void)state;
    bed_client *c = ON_PEOPLE();
    size_t body, len;
    send_text(c, "HEAD /hello HTTP/1.1\r\n" HOST "\r\n");
    assert_int_equal(answer(c, true, &body, &len), 200);
    assert_true(find(c, "Content-Length: 5\r\n") < body);
    assert_int_equal(c->in_len, body);
    assert_int_equal(ask(c, "GET /hello HTTP/1.1\r\n" HOST "\r\n", &body, &len), 200);
    bed_close(c);
}

static void what_is_wrong_is_answered_with_its_own_status(void **state) {
    (void)state;
    static char long_head[6000];
    snprintf(long_head, sizeof long_head, "GET /%05990d", 0);
    const struct {
        const char *request;
        int status;
    } rows[] = {
        {"GET /nowhere HTTP/1.1\r\n" HOST "\r\n", 404},
        {"DELETE /hello HTTP/1.1\r\n" HOST "\r\n", 405},
        {"POST /echo HTTP/1.1\r\n" HOST "Content-Length: 100001\r\n\r\n", 413},
        {"GET /hello HTTP/1.1\r\n" HOST "Content-Length: 3\r\n\r\nabc", 413},
        {"GET /hello HTTP/1.1\r\n\r\n", 400},
        {"GET /hello HTTP/1.1\r\n" HOST "Transfer-Encoding: chunked\r\nContent-Length: 3\r\n\r\n", 400},
        {"GET /hello HTTP/1.1\n\n", 400},
        {"GET /hello HTTP/3.0\r\n" HOST "\r\n", 505},
        {"BREW /hello HTTP/1.1\r\n" HOST "\r\n", 405},
        {"GET /silent HTTP/1.1\r\n" HOST "\r\n", 500},
        {"GET /hello HTTP/1.1\r\n" HOST "Sec-Fetch-Site: cross-site\r\n\r\n", 403},
        {"POST /echo HTTP/1.1\r\n" HOST "Transfer-Encoding: chunked\r\n\r\nzz\r\n", 400},
    };
    size_t body, len;
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        bed_client *c = ON_PEOPLE();
        int status = ask(c, rows[i].request, &body, &len);
        if (status != rows[i].status) fail_msg("row %zu: %d instead of %d", i, status, rows[i].status);
        assert_true(find(c, "application/problem+json") < body);
        assert_true(find(c, "urn:porchlight:problem:") >= body);
        bed_close(c);
    }
    bed_client *c = ON_PEOPLE();
    int status = ask(c, long_head, &body, &len);
    assert_true(status == 431 || status == 414);
    bed_close(c);
}

static void a_body_of_either_kind_is_gathered(void **state) {
    (void)state;
    bed_client *c = ON_PEOPLE();
    size_t body, len;
    assert_int_equal(ask(c, "POST /echo HTTP/1.1\r\n" HOST "Content-Length: 3\r\n\r\nabc", &body, &len),
                     200);
    assert_memory_equal(c->in + body, "abc", 3);
    assert_int_equal(ask(c,
                         "POST /echo HTTP/1.1\r\n" HOST
                         "Transfer-Encoding: chunked\r\n\r\n3\r\nabc\r\n2\r\nde\r\n0\r\n\r\n",
                         &body, &len),
                     200);
    assert_int_equal(len, 5);
    assert_memory_equal(c->in + body, "abcde", 5);
    assert_int_equal(ask(c, "POST /echo HTTP/1.1\r\n" HOST "\r\n", &body, &len), 200);
    assert_int_equal(len, 0);
    bed_close(c);
}

static void a_client_that_asks_first_is_told_to_go_on(void **state) {
    (void)state;
    bed_client *c = ON_PEOPLE();
    size_t body, len;
    send_text(c, "POST /echo HTTP/1.1\r\n" HOST "Expect: 100-continue\r\nContent-Length: 3\r\n\r\n");
    while (find(c, "HTTP/1.1 100 Continue\r\n\r\n") == SIZE_MAX)
        assert_true(bed_more(c));
    assert_int_equal(ask(c, "abc", &body, &len), 200);
    bed_close(c);
}

static void a_streamed_body_arrives_whole_and_in_order(void **state) {
    (void)state;
    bed_client *c = ON_PEOPLE();
    enum { BYTES = 3000000 };
    uint8_t *data = malloc(BYTES);
    uint64_t sum = 0;
    size_t body, len;
    char expected[64];
    for (size_t i = 0; i < BYTES; i++)
        sum += data[i] = (uint8_t)(i * 31 + i / 1000);
    send_text(c, "PATCH /sum HTTP/1.1\r\n" HOST "Content-Length: 3000000\r\n\r\n");
    assert_true(bed_send(c, (porch_bytes){data, BYTES}));
    assert_int_equal(answer(c, false, &body, &len), 200);
    snprintf(expected, sizeof expected, "%d %llu", BYTES, (unsigned long long)sum);
    assert_memory_equal(c->in + body, expected, strlen(expected));
    free(data);
    c->in_len = 0;
    assert_int_equal(
        ask(c, "PATCH /sum HTTP/1.1\r\n" HOST "Transfer-Encoding: chunked\r\n\r\n2\r\nab\r\n0\r\n\r\n",
            &body, &len),
        200);
    assert_memory_equal(c->in + body, "2 195", 5);
    assert_int_equal(ask(c, "PATCH /sum HTTP/1.1\r\n" HOST "Content-Length: 0\r\n\r\n", &body, &len), 200);
    assert_memory_equal(c->in + body, "0 0", 3);
    bed_close(c);
}

static void a_peer_that_leaves_within_a_body_is_told_to_the_handler(void **state) {
    (void)state;
    int before = atomic_load(&aborted);
    bed_client *c = ON_PEOPLE();
    send_text(c, "PATCH /sum HTTP/1.1\r\n" HOST "Content-Length: 100\r\n\r\nabc");
    bed_close(c);
    wait_for(&aborted, before + 1);
}

static void a_source_is_pulled_to_its_end_and_freed(void **state) {
    (void)state;
    int before = atomic_load(&freed);
    bed_client *c = ON_PEOPLE();
    size_t body, len;
    send_text(c, "GET /pattern HTTP/1.1\r\n" HOST "\r\n");
    while (c->in_len < 1000000)
        assert_true(bed_more(c));
    assert_int_equal(answer(c, false, &body, &len), 206);
    assert_int_equal(len, 1000000);
    for (size_t i = 0; i < len; i++)
        if (c->in[body + i] != (uint8_t)(i * 7)) fail_msg("byte %zu is off", i);
    wait_for(&freed, before + 1);
    c->in_len = 0;
    send_text(c, "GET /pattern HTTP/1.1\r\n" HOST "\r\n");
    assert_true(bed_more(c));
    bed_close(c); /* in the middle */
    wait_for(&freed, before + 2);
    c = ON_PEOPLE();
    send_text(c, "HEAD /pattern HTTP/1.1\r\n" HOST "\r\n");
    assert_int_equal(answer(c, true, &body, &len), 206);
    wait_for(&freed, before + 3);
    bed_close(c);
}

static void a_source_of_unknown_length_ends_when_it_has_no_more(void **state) {
    (void)state;
    int before = atomic_load(&freed);
    bed_client *c = ON_PEOPLE();
    send_text(c, "GET /unsized HTTP/1.1\r\n" HOST "\r\n");
    while (bed_more(c)) {
    }
    const char *end = memmem(c->in, c->in_len, "\r\n\r\n", 4);
    assert_non_null(end);
    assert_null(memmem(c->in, (size_t)(end - (const char *)c->in), "Content-Length", 14));
    assert_non_null(memmem(c->in, (size_t)(end - (const char *)c->in), "Connection: close", 17));
    size_t body = (size_t)(end - (const char *)c->in) + 4;
    assert_int_equal(c->in_len - body, 200000);
    for (size_t i = 0; i < 200000; i++)
        if (c->in[body + i] != (uint8_t)(i * 7)) fail_msg("byte %zu is off", i);
    wait_for(&freed, before + 1);
    bed_close(c);
}

static void lasting_bytes_are_sent_whole(void **state) {
    (void)state;
    for (size_t i = 0; i < sizeof page; i++)
        page[i] = (uint8_t)(i * 13);
    bed_client *c = ON_PEOPLE();
    size_t body, len;
    assert_int_equal(ask(c, "GET /lasting HTTP/1.1\r\n" HOST "\r\n", &body, &len), 200);
    assert_int_equal(len, sizeof page);
    assert_memory_equal(c->in + body, page, sizeof page);
    bed_close(c);
}

static void a_stream_carries_what_is_sent_until_it_is_closed(void **state) {
    (void)state;
    int opened = atomic_load(&streams_open), closed = atomic_load(&streams_closed);
    bed_client *c = ON_PEOPLE();
    send_text(c, "GET /stream HTTP/1.1\r\n" HOST "\r\n");
    while (find(c, ": hello\n\n") == SIZE_MAX)
        assert_true(bed_more(c));
    wait_for(&streams_open, opened + 1);
    for (int i = 0; i < 50; i++) {
        char text[32];
        snprintf(text, sizeof text, "data: %d\n\n", i);
        pthread_mutex_lock(&told_lock);
        porch_err e = porch_http_stream_send(live, porch_bytes_of(text));
        pthread_mutex_unlock(&told_lock);
        assert_int_equal(e, PORCH_OK);
    }
    while (find(c, "data: 49\n\n") == SIZE_MAX)
        assert_true(bed_more(c));
    pthread_mutex_lock(&told_lock);
    porch_http_stream_close(live);
    pthread_mutex_unlock(&told_lock);
    while (bed_more(c))
        continue;
    wait_for(&streams_closed, closed + 1);
    bed_close(c);
}

static void a_stream_whose_peer_leaves_is_closed(void **state) {
    (void)state;
    int closed = atomic_load(&streams_closed);
    bed_client *c = ON_PEOPLE();
    send_text(c, "GET /stream HTTP/1.1\r\n" HOST "\r\n");
    while (find(c, ": hello\n\n") == SIZE_MAX)
        assert_true(bed_more(c));
    bed_close(c);
    wait_for(&streams_closed, closed + 1);
}

static void a_stream_that_is_not_read_is_ended(void **state) {
    (void)state;
    int opened = atomic_load(&streams_open), closed = atomic_load(&streams_closed);
    static uint8_t chunk[10000];
    bed_client *c = ON_PEOPLE();
    send_text(c, "GET /stream HTTP/1.1\r\n" HOST "\r\n");
    wait_for(&streams_open, opened + 1);
    porch_err e = PORCH_OK;
    while (e == PORCH_OK) {
        pthread_mutex_lock(&told_lock);
        e = live == NULL ? PORCH_ERR_CLOSED
                         : porch_http_stream_send(live, (porch_bytes){chunk, sizeof chunk});
        pthread_mutex_unlock(&told_lock);
    }
    assert_true(e == PORCH_ERR_LIMIT || e == PORCH_ERR_CLOSED);
    wait_for(&streams_closed, closed + 1);
    bed_close(c);
}

static void a_request_that_stops_coming_is_given_up(void **state) {
    (void)state;
    int before = atomic_load(&aborted);
    size_t body, len;
    bed_client *c = ON_PEOPLE();
    assert_int_equal(ask(c, "GET /hello HTTP/1.1\r\nHost: lo", &body, &len), 408);
    bed_close(c);
    c = ON_PEOPLE();
    assert_int_equal(ask(c, "POST /echo HTTP/1.1\r\n" HOST "Content-Length: 9\r\n\r\nabc", &body, &len),
                     408);
    bed_close(c);
    c = ON_PEOPLE();
    send_text(c, "PATCH /sum HTTP/1.1\r\n" HOST "Content-Length: 9\r\n\r\nabc");
    assert_false(bed_more(c)); /* the handler has the body: it is told, the peer sees the end */
    wait_for(&aborted, before + 1);
    bed_close(c);
}

static void a_storm_of_broken_requests_leaves_the_hub_standing(void **state) {
    (void)state;
    static const char *const good[] = {
        "GET /d/1?q=1 HTTP/1.1\r\n" HOST "Cookie: a=b\r\n\r\n",
        "POST /echo HTTP/1.1\r\n" HOST "Transfer-Encoding: chunked\r\n\r\n3\r\nabc\r\n0\r\n\r\n",
        "PATCH /sum HTTP/1.1\r\n" HOST "Content-Length: 5\r\n\r\nabcde",
        "HEAD /pattern HTTP/1.1\r\n" HOST "\r\n",
    };
    const char *count = getenv("PORCH_TEST_STORM");
    long rounds = count == NULL ? 60 : strtol(count, NULL, 10);
    uint32_t random = 7;
    size_t body, len;
    for (long i = 0; i < rounds; i++) {
        char text[1024] = "";
        size_t used = 0;
        for (int k = 0; k < 4; k++) {
            random = random * 1664525u + 1013904223u;
            used += (size_t)snprintf(text + used, sizeof text - used, "%s", good[(random >> 16) % 4]);
        }
        for (uint32_t k = 0; k <= random % 3; k++) {
            random = random * 1664525u + 1013904223u;
            text[(random >> 8) % used] = (char)(text[(random >> 8) % used] ^ (1 << (random >> 30)));
        }
        bed_client *c = ON_PEOPLE();
        if (bed_send(c, (porch_bytes){(const uint8_t *)text, used}))
            bed_send(c, PORCH_LIT("GET /hello HTTP/1.1\r\n" HOST "Connection: close\r\n\r\n"));
        while (bed_more(c))
            c->in_len = 0;
        bed_close(c);
    }
    bed_client *c = ON_PEOPLE();
    assert_int_equal(ask(c, "GET /hello HTTP/1.1\r\n" HOST "\r\n", &body, &len), 200);
    bed_close(c);
}

static void certificates_are_judged_with_a_reason(void **state) {
    (void)state;
    size_t body, len;
    bed_client *c = bed_connect(&ca, &device, hub.device_port);
    assert_int_equal(ask(c, "GET /mine HTTP/1.1\r\n" HOST "\r\n", &body, &len), 200);
    assert_true(find(c, "X-Who: cam\r\n") < body);
    bed_close(c);
    c = bed_connect(&ca, &late, hub.device_port);
    assert_int_equal(ask(c, "GET /hello HTTP/1.1\r\n" HOST "\r\n", &body, &len), 403);
    assert_true(find(c, "expired") >= body && find(c, "expired") != SIZE_MAX);
    bed_close(c);
    c = bed_connect(&ca, &early, hub.device_port);
    assert_int_equal(ask(c, "GET /mine HTTP/1.1\r\n" HOST "\r\n", &body, &len), 403);
    assert_true(find(c, "not yet valid") != SIZE_MAX);
    bed_close(c);
    c = bed_connect(&ca, NULL, hub.device_port);
    assert_int_equal(ask(c, "GET /hello HTTP/1.1\r\n" HOST "\r\n", &body, &len), 200);
    assert_int_equal(ask(c, "GET /mine HTTP/1.1\r\n" HOST "\r\n", &body, &len), 403);
    bed_close(c);
}

static void a_foreign_authority_fails_the_handshake(void **state) {
    (void)state;
    bed_client *c = calloc(1, sizeof *c);
    porch_err e = bed_try_connect(c, &ca, &stranger, hub.device_port);
    if (e == PORCH_OK) assert_false(bed_more(c)); /* TLS 1.3: the client is done first */
    bed_close(c);
}

static void plaintext_is_refused_with_an_alert_at_most(void **state) {
    (void)state;
    porch_listener_counts before, after;
    porch_why why = {""};
    int fd;
    char text[256];
    porch_listener_read_counts(hub.listener, &before);
    bed_ok(porch_socket_connect_tcp("127.0.0.1", hub.port, BED_WAIT_MS, &fd, &why), &why);
    assert_int_equal(send(fd, "GET / HTTP/1.1\r\nHost: x\r\n\r\n", 27, 0), 27);
    size_t got = 0;
    for (;;) {
        assert_int_equal(porch_socket_wait(fd, POLLIN, BED_WAIT_MS), PORCH_OK);
        ssize_t n = recv(fd, text, sizeof text, 0);
        if (n <= 0) break;
        got += (size_t)n;
    }
    close(fd);
    assert_true(got < 16);
    porch_listener_read_counts(hub.listener, &after);
    assert_int_equal(after.plaintext_refused, before.plaintext_refused + 1);
}

/* Each byte comes within the time that an upload may be silent; the body as a whole does not come. */
static void a_small_body_in_drips_is_given_up(void **state) {
    (void)state;
    size_t body, len;
    int drips = 0;
    bed_client *c = bed_connect(&ca, NULL, hub.port);
    send_text(c, "POST /echo HTTP/1.1\r\nHost: localhost\r\nContent-Length: 1000\r\n\r\n");
    while (porch_tls_read(c->conn, c->in, sizeof c->in, &c->in_len) == PORCH_ERR_AGAIN) {
        assert_true(drips++ < 300);
        send_text(c, "x");
        (void)porch_socket_wait(c->fd, POLLIN, 50);
    }
    assert_int_equal(answer(c, false, &body, &len), 408);
    bed_close(c);
}

static void who_came_while_nobody_could_be_judged_is_judged_anew_on_the_same_connection(void **state) {
    (void)state;
    static const char request[] = "GET /mine HTTP/1.1\r\n" HOST "\r\n";
    size_t body, len;
    atomic_store(&no_room, true);
    bed_client *c = bed_connect(&ca, &device, hub.device_port);
    assert_int_equal(ask(c, request, &body, &len), 503);
    assert_true(find(c, "try-again") != SIZE_MAX);
    assert_int_equal(ask(c, request, &body, &len), 503);
    atomic_store(&no_room, false);
    assert_int_equal(ask(c, request, &body, &len), 200);
    bed_close(c);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(who_came_while_nobody_could_be_judged_is_judged_anew_on_the_same_connection),
        cmocka_unit_test(a_get_is_answered_with_the_common_headers),
        cmocka_unit_test(requests_sent_at_once_are_answered_in_order),
        cmocka_unit_test(head_has_the_length_and_no_body),
        cmocka_unit_test(what_is_wrong_is_answered_with_its_own_status),
        cmocka_unit_test(a_body_of_either_kind_is_gathered),
        cmocka_unit_test(a_client_that_asks_first_is_told_to_go_on),
        cmocka_unit_test(a_streamed_body_arrives_whole_and_in_order),
        cmocka_unit_test(a_peer_that_leaves_within_a_body_is_told_to_the_handler),
        cmocka_unit_test(a_source_is_pulled_to_its_end_and_freed),
        cmocka_unit_test(a_source_of_unknown_length_ends_when_it_has_no_more),
        cmocka_unit_test(lasting_bytes_are_sent_whole),
        cmocka_unit_test(a_stream_carries_what_is_sent_until_it_is_closed),
        cmocka_unit_test(a_stream_whose_peer_leaves_is_closed),
        cmocka_unit_test(a_stream_that_is_not_read_is_ended),
        cmocka_unit_test(a_request_that_stops_coming_is_given_up),
        cmocka_unit_test(a_storm_of_broken_requests_leaves_the_hub_standing),
        cmocka_unit_test(certificates_are_judged_with_a_reason),
        cmocka_unit_test(a_foreign_authority_fails_the_handshake),
        cmocka_unit_test(plaintext_is_refused_with_an_alert_at_most),
        cmocka_unit_test(a_small_body_in_drips_is_given_up),
    };
    return cmocka_run_group_tests(tests, set_up, tear_down);
}
