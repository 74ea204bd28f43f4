/* HTTP/2 as a peer sees it: a real listener, real TLS, nghttp2's client for what is allowed and frames
 * written by hand for what is not. */
#include <nghttp2/nghttp2.h>

#include "cloud/listener/http_testbed.h"
#include "os/log.h"

static bed_ca ca;
static bed_identity server, device;

static bed_http usual, hasty, crowded; /* hasty: short times; crowded: few requests at once */

/* ---- what the handlers do ---- */

static void hello(porch_http_exchange *x) {
    porch_bytes cookie = porch_http_cookie(x, "second");
    char text[128];
    int n = snprintf(text, sizeof text, "%s %s host=%s second=%.*s", porch_http_method(x),
                     porch_http_path(x), porch_http_header(x, "Host"), PORCH_FMT(cookie));
    porch_http_reply_header(x, "X-Who", porch_http_peer(x)->principal.name);
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

/* An upload whose first piece stays with its handler. */
static atomic_int stuck, may_go;
static void stick_data(porch_http_exchange *x, porch_bytes piece, bool last) {
    (void)x;
    (void)piece;
    (void)last;
    tell(&stuck);
    wait_for(&may_go, 1);
}
static void stick(porch_http_exchange *x) {
    (void)x;
}

static const porch_http_route routes[] = {
    {"GET", "/hello", PORCH_ON_PEOPLE, 0, 0, hello, NULL, NULL, NULL},
    {"GET", "/inline", PORCH_ON_PEOPLE, PORCH_HTTP_INLINE, 0, hello, NULL, NULL, NULL},
    {"GET", "/mine", PORCH_ON_DEVICE, PORCH_HTTP_PRINCIPAL, 0, hello, NULL, NULL, NULL},
    {"GET", "/lasting", PORCH_ON_PEOPLE, PORCH_HTTP_INLINE, 0, lasting, NULL, NULL, NULL},
    {"POST", "/echo", PORCH_ON_PEOPLE, 0, 100000, echo, NULL, NULL, NULL},
    {"PATCH", "/sum", PORCH_ON_PEOPLE, PORCH_HTTP_BODY_STREAM, 10000000, sum_head, NULL, sum_data,
     sum_abort},
    {"PATCH", "/stick", PORCH_ON_PEOPLE, PORCH_HTTP_BODY_STREAM, 10000000, stick, NULL, stick_data, NULL},
    {"GET", "/pattern", PORCH_ON_PEOPLE, 0, 0, pattern, NULL, NULL, NULL},
    {"GET", "/unsized", PORCH_ON_PEOPLE, 0, 0, unsized, NULL, NULL, NULL},
    {"GET", "/stream", PORCH_ON_PEOPLE, 0, 0, stream, NULL, NULL, NULL},
};

enum { CROWD = 4 };

static void hub_start(bed_http *h, const porch_settings *settings) {
    const bed_http_of of = {&ca,      &server, "h2", "h2", settings, routes, sizeof routes / sizeof *routes,
                            bed_admit};
    bed_http_start(h, &of);
}

static int set_up(void **state) {
    (void)state;
    porch_settings s;
    porch_log_init("http2_test", PORCH_LOG_ERROR);
    bed_alpn = "h2";
    bed_ca_make(&ca, "test");
    bed_issue(&ca, PORCH_PROFILE_HUB_SERVER, NULL, -1, 90, &server);
    bed_issue(&ca, PORCH_PROFILE_DEVICE, "cam", -1, 90, &device);
    porch_settings_default(&s);
    s.http_head_bytes = 4096;
    s.http_stream_bytes = 100000;
    s.http2_streams = 8;
    s.http2_resets = 20;
    s.http2_settings = 5;
    s.http2_pings = 6;
    s.http2_priorities = 7;
    s.http2_window_updates = 8;
    s.http2_empty_frames = 9;
    s.http2_continuations = 3;
    hub_start(&usual, &s);
    s.http_open_per_address = CROWD;
    hub_start(&crowded, &s);
    s.http_open_per_address = 2048;
    s.http_idle_ms = s.http_head_ms = s.http_body_ms = s.http_write_ms = 200;
    s.listener_linger_ms = 200;
    s.http2_stalls = 2;
    hub_start(&hasty, &s);
    return 0;
}

static int tear_down(void **state) {
    (void)state;
    bed_http_stop(&usual);
    bed_http_stop(&hasty);
    bed_http_stop(&crowded);
    porch_key_free(server.key);
    porch_key_free(device.key);
    bed_ca_free(&ca);
    return 0;
}

/* ---- a client that keeps the rules ---- */

enum { ANSWERS = 16, BODY_MOST = 1100000 };

typedef struct {
    int32_t id;
    int status;
    char head[2048]; /* "name: value\n" */
    size_t head_len, body_len;
    uint8_t *body;
    porch_bytes upload;
    bool closed;
    uint32_t code;
} answer;

typedef struct {
    bed_client *c;
    nghttp2_session *session;
    answer answers[ANSWERS];
    size_t count;
    uint32_t goaway; /* code + 1; 0: none */
    bool over;
} client;

static answer *answer_of(client *k, int32_t id) {
    for (size_t i = 0; i < k->count; i++)
        if (k->answers[i].id == id) return &k->answers[i];
    return NULL;
}

static int on_header(nghttp2_session *session, const nghttp2_frame *frame, const uint8_t *name, size_t n,
                     const uint8_t *value, size_t v, uint8_t flags, void *user) {
    answer *a = answer_of(user, frame->hd.stream_id);
    (void)session;
    (void)flags;
    if (a == NULL) return 0;
    if (n == 7 && memcmp(name, ":status", 7) == 0) a->status = (int)strtol((const char *)value, NULL, 10);
    int got = snprintf(a->head + a->head_len, sizeof a->head - a->head_len, "%.*s: %.*s\n", (int)n,
                       (const char *)name, (int)v, (const char *)value);
    a->head_len += (size_t)got;
    return 0;
}

static int on_data(nghttp2_session *session, uint8_t flags, int32_t id, const uint8_t *at, size_t len,
                   void *user) {
    answer *a = answer_of(user, id);
    (void)session;
    (void)flags;
    assert_non_null(a);
    if (a->body == NULL) a->body = malloc(BODY_MOST);
    assert_true(a->body_len + len <= BODY_MOST);
    memcpy(a->body + a->body_len, at, len);
    a->body_len += len;
    return 0;
}

static int on_frame(nghttp2_session *session, const nghttp2_frame *frame, void *user) {
    client *k = user;
    (void)session;
    if (frame->hd.type == NGHTTP2_GOAWAY) k->goaway = frame->goaway.error_code + 1;
    return 0;
}

static int on_closed(nghttp2_session *session, int32_t id, uint32_t code, void *user) {
    answer *a = answer_of(user, id);
    (void)session;
    if (a == NULL) return 0;
    a->closed = true;
    a->code = code;
    return 0;
}

static client *client_new(bed_http *h) {
    client *k = calloc(1, sizeof *k);
    nghttp2_session_callbacks *calls;
    k->c = bed_connect(&ca, NULL, h->port);
    nghttp2_session_callbacks_new(&calls);
    nghttp2_session_callbacks_set_on_header_callback(calls, on_header);
    nghttp2_session_callbacks_set_on_data_chunk_recv_callback(calls, on_data);
    nghttp2_session_callbacks_set_on_frame_recv_callback(calls, on_frame);
    nghttp2_session_callbacks_set_on_stream_close_callback(calls, on_closed);
    nghttp2_session_client_new(&k->session, calls, k);
    nghttp2_session_callbacks_del(calls);
    nghttp2_submit_settings(k->session, 0, NULL, 0);
    return k;
}

static void client_free(client *k) {
    for (size_t i = 0; i < k->count; i++)
        free(k->answers[i].body);
    nghttp2_session_del(k->session);
    bed_close(k->c);
    free(k);
}

static ssize_t give_upload(nghttp2_session *session, int32_t id, uint8_t *buf, size_t cap, uint32_t *flags,
                           nghttp2_data_source *source, void *user) {
    answer *a = source->ptr;
    (void)session;
    (void)id;
    (void)user;
    if (a->upload.at == NULL) return NGHTTP2_ERR_DEFERRED; /* a body that never comes */
    size_t n = a->upload.len < cap ? a->upload.len : cap;
    if (n > 0) memcpy(buf, a->upload.at, n);
    a->upload = (porch_bytes){a->upload.at + n, a->upload.len - n};
    if (a->upload.len == 0) *flags |= NGHTTP2_DATA_FLAG_EOF;
    return (ssize_t)n;
}

static nghttp2_nv field(const char *name, const char *value) {
    return (nghttp2_nv){(uint8_t *)(uintptr_t)name, (uint8_t *)(uintptr_t)value, strlen(name),
                        strlen(value), 0};
}

/* `more`: name, value pairs, then NULL. */
static answer *request(client *k, const char *method, const char *path, const porch_bytes *body,
                       const char *const *more) {
    assert_true(k->count < ANSWERS);
    answer *a = &k->answers[k->count++];
    nghttp2_nv fields[16] = {field(":method", method), field(":scheme", "https"),
                             field(":authority", "localhost"), field(":path", path)};
    size_t n = 4;
    for (; more != NULL && more[0] != NULL; more += 2)
        fields[n++] = field(more[0], more[1]);
    if (body != NULL) a->upload = *body;
    nghttp2_data_provider data = {.source = {.ptr = a}, .read_callback = give_upload};
    a->id = nghttp2_submit_request(k->session, NULL, fields, n, body == NULL ? NULL : &data, NULL);
    assert_true(a->id > 0);
    return a;
}

static void send_all(client *k) {
    const uint8_t *at;
    ssize_t n;
    while ((n = nghttp2_session_mem_send(k->session, &at)) > 0)
        if (!bed_send(k->c, (porch_bytes){at, (size_t)n})) k->over = true;
}

static void step(client *k) {
    send_all(k);
    if (!bed_more(k->c)) {
        k->over = true;
        return;
    }
    ssize_t n = nghttp2_session_mem_recv(k->session, k->c->in, k->c->in_len);
    assert_true(n >= 0);
    bed_used(k->c, (size_t)n);
    send_all(k);
}

static void finish(client *k, const answer *a) {
    while (!a->closed && !k->over)
        step(k);
}

static void assert_body(const answer *a, int status, const char *text) {
    assert_int_equal(a->status, status);
    if (a->body_len != strlen(text) || (a->body_len > 0 && memcmp(a->body, text, a->body_len) != 0))
        fail_msg("body is '%.*s'", (int)a->body_len, (char *)a->body);
}

static uint64_t open_at(const bed_http *h) {
    porch_listener_counts n;
    porch_listener_read_counts(h->listener, &n);
    return n.requests_open;
}

/* ---- what works ---- */

static void many_requests_share_a_connection(void **state) {
    (void)state;
    client *k = client_new(&usual);
    static const char *const cookies[] = {"cookie", "first=1", "cookie", "second=2", NULL};
    answer *a = request(k, "GET", "/hello", NULL, cookies);
    answer *b = request(k, "GET", "/inline", NULL, NULL);
    answer *h = request(k, "HEAD", "/hello", NULL, NULL);
    finish(k, a);
    finish(k, b);
    finish(k, h);
    assert_body(a, 200, "GET /hello host=localhost second=2");
    assert_body(b, 200, "GET /inline host=localhost second=");
    assert_non_null(strstr(a->head, "x-content-type-options: nosniff\n"));
    assert_non_null(strstr(a->head, "content-type: text/plain\n"));
    assert_null(strstr(a->head, "connection"));
    assert_body(h, 200, "");
    assert_non_null(strstr(h->head, "content-length: 34\n"));
    assert_int_equal(a->code, NGHTTP2_NO_ERROR);
    client_free(k);
}

static void what_is_wrong_has_the_status_it_has_over_http_1(void **state) {
    (void)state;
    static uint8_t large[100001];
    static char field_of_5000[5001];
    memset(field_of_5000, 'a', 5000);
    const char *const cross[] = {"sec-fetch-site", "cross-site", NULL};
    const char *const fat[] = {"x-fat", field_of_5000, NULL};
    const char *const host[] = {"host", "elsewhere", NULL};
    const porch_bytes too_much = {large, sizeof large};
    const struct {
        const char *method, *path;
        const porch_bytes *body;
        const char *const *more;
        int status;
    } rows[] = {
        {"GET", "/nowhere", NULL, NULL, 404},    {"DELETE", "/hello", NULL, NULL, 405},
        {"POST", "/echo", &too_much, NULL, 413}, {"GET", "/hello", NULL, cross, 403},
        {"GET", "/hello", NULL, fat, 431},       {"GET", "/hello", NULL, host, 400},
        {"GET", "/a/../b", NULL, NULL, 400},     {"GET", "/mine", NULL, NULL, 404},
    };
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        client *k = client_new(&usual);
        answer *a = request(k, rows[i].method, rows[i].path, rows[i].body, rows[i].more);
        finish(k, a);
        if (a->status != rows[i].status)
            fail_msg("row %zu: %d instead of %d", i, a->status, rows[i].status);
        assert_non_null(strstr(a->head, "application/problem+json"));
        answer *again = request(k, "GET", "/inline", NULL, NULL); /* the connection is not harmed */
        finish(k, again);
        assert_int_equal(again->status, 200);
        client_free(k);
    }
}

static void refusals_that_are_not_read_take_their_address_s_places(void **state) {
    (void)state;
    const nghttp2_settings_entry no_window = {NGHTTP2_SETTINGS_INITIAL_WINDOW_SIZE, 0};
    const struct {
        const char *method, *path;
        int status;
    } rows[CROWD] = {
        {"GET", "/nowhere", 404}, {"DELETE", "/hello", 405}, {"GET", "/a/../b", 400}, {"GET", "/no", 404}};
    answer *held[CROWD];
    client *k = client_new(&crowded);
    nghttp2_submit_settings(k->session, 0, &no_window, 1);
    for (size_t i = 0; i < CROWD; i++)
        held[i] = request(k, rows[i].method, rows[i].path, NULL, NULL);
    for (size_t i = 0; i < CROWD; i++) {
        while (held[i]->status == 0 && !k->over)
            step(k);
        assert_int_equal(held[i]->status, rows[i].status);
        assert_false(held[i]->closed);
    }
    assert_int_equal(open_at(&crowded), CROWD);
    answer *more = request(k, "GET", "/nowhere", NULL, NULL);
    finish(k, more);
    assert_int_equal(more->status, 0);
    assert_int_equal(more->code, NGHTTP2_REFUSED_STREAM);
    assert_int_equal(open_at(&crowded), CROWD);
    client_free(k);
    BED_UNTIL(open_at(&crowded) == 0);
    k = client_new(&crowded);
    answer *again = request(k, "GET", "/inline", NULL, NULL);
    finish(k, again);
    assert_int_equal(again->status, 200);
    client_free(k);
}

static void bodies_arrive_whole_with_flow_control(void **state) {
    (void)state;
    enum { BYTES = 3000000 };
    uint8_t *data = malloc(BYTES);
    uint64_t sum = 0;
    char expected[64];
    for (size_t i = 0; i < BYTES; i++)
        sum += data[i] = (uint8_t)(i * 31 + i / 1000);
    client *k = client_new(&usual);
    const porch_bytes all = {data, BYTES}, some = PORCH_LIT("abc"), none = PORCH_LIT("");
    answer *one = request(k, "PATCH", "/sum", &all, NULL), *two = request(k, "PATCH", "/sum", &all, NULL);
    answer *small = request(k, "POST", "/echo", &some, NULL),
           *empty = request(k, "PATCH", "/sum", &none, NULL);
    finish(k, one);
    finish(k, two);
    finish(k, small);
    finish(k, empty);
    snprintf(expected, sizeof expected, "%d %llu", BYTES, (unsigned long long)sum);
    assert_body(one, 200, expected);
    assert_body(two, 200, expected);
    assert_body(small, 200, "abc");
    assert_body(empty, 200, "0 0");
    free(data);
    client_free(k);
}

static void uploads_that_are_reset_give_the_connection_s_window_back(void **state) {
    (void)state;
    enum { UPLOADS = 4, BYTES = 1000000 };
    answer *sent[UPLOADS];
    const porch_bytes all = {calloc(1, BYTES), BYTES};
    assert_non_null(all.at);
    client *k = client_new(&usual);
    answer *first = request(k, "GET", "/inline", NULL, NULL); /* the hub's settings are known after it */
    finish(k, first);
    int32_t whole = nghttp2_session_get_remote_window_size(k->session);
    for (int i = 0; i < UPLOADS; i++) {
        sent[i] = request(k, "PATCH", "/stick", &all, NULL);
        send_all(k); /* as far as its window goes */
    }
    wait_for(&stuck, UPLOADS);
    assert_true(nghttp2_session_get_remote_window_size(k->session) < whole / 2);
    for (int i = 0; i < UPLOADS; i++)
        nghttp2_submit_rst_stream(k->session, 0, sent[i]->id, NGHTTP2_CANCEL);
    send_all(k);
    answer *next = request(k, "GET", "/inline", NULL, NULL);
    finish(k, next);
    assert_int_equal(next->status, 200);
    assert_true(nghttp2_session_get_remote_window_size(k->session) > whole / 2);
    tell(&may_go);
    free((void *)(uintptr_t)all.at);
    client_free(k);
}

static void a_source_is_pulled_to_its_end_and_freed(void **state) {
    (void)state;
    int before = atomic_load(&freed);
    client *k = client_new(&usual);
    answer *a = request(k, "GET", "/pattern", NULL, NULL), *b = request(k, "GET", "/pattern", NULL, NULL);
    finish(k, a);
    finish(k, b);
    assert_int_equal(a->body_len, 1000000);
    for (size_t i = 0; i < a->body_len; i++)
        assert_int_equal(a->body[i], (uint8_t)(i * 7));
    assert_memory_equal(a->body, b->body, a->body_len);
    wait_for(&freed, before + 2);
    answer *left = request(k, "GET", "/pattern", NULL, NULL);
    while (left->body_len == 0)
        step(k);
    nghttp2_submit_rst_stream(k->session, 0, left->id, NGHTTP2_CANCEL);
    send_all(k);
    wait_for(&freed, before + 3);
    client_free(k);
}

static void a_source_of_unknown_length_ends_when_it_has_no_more(void **state) {
    (void)state;
    int before = atomic_load(&freed);
    client *k = client_new(&usual);
    answer *a = request(k, "GET", "/unsized", NULL, NULL);
    finish(k, a);
    assert_int_equal(a->body_len, 200000);
    for (size_t i = 0; i < a->body_len; i++)
        assert_int_equal(a->body[i], (uint8_t)(i * 7));
    wait_for(&freed, before + 1);
    answer *head = request(k, "HEAD", "/unsized", NULL, NULL);
    finish(k, head);
    assert_int_equal(head->body_len, 0);
    wait_for(&freed, before + 2);
    client_free(k);
}

static void lasting_bytes_are_sent_whole(void **state) {
    (void)state;
    for (size_t i = 0; i < sizeof page; i++)
        page[i] = (uint8_t)(i * 13);
    client *k = client_new(&usual);
    answer *a = request(k, "GET", "/lasting", NULL, NULL), *h = request(k, "HEAD", "/lasting", NULL, NULL);
    finish(k, a);
    finish(k, h);
    assert_int_equal(a->body_len, sizeof page);
    assert_memory_equal(a->body, page, sizeof page);
    assert_int_equal(h->body_len, 0);
    assert_non_null(strstr(h->head, "content-length: 40000\n"));
    client_free(k);
}

static void a_live_stream_stands_beside_other_requests(void **state) {
    (void)state;
    int opened = atomic_load(&streams_open), closed = atomic_load(&streams_closed);
    client *k = client_new(&usual);
    answer *s = request(k, "GET", "/stream", NULL, NULL);
    while (s->body_len < 9)
        step(k);
    wait_for(&streams_open, opened + 1);
    answer *a = request(k, "GET", "/hello", NULL, NULL);
    finish(k, a);
    assert_int_equal(a->status, 200);
    pthread_mutex_lock(&told_lock);
    porch_http_stream_send(live, PORCH_LIT("data: 1\n\n"));
    porch_http_stream_close(live);
    pthread_mutex_unlock(&told_lock);
    finish(k, s);
    assert_body(s, 200, ": hello\n\ndata: 1\n\n");
    wait_for(&streams_closed, closed + 1);
    answer *t = request(k, "GET", "/stream", NULL, NULL);
    while (t->body_len < 9)
        step(k);
    client_free(k); /* the peer leaves */
    wait_for(&streams_closed, closed + 2);
}

static void a_live_stream_that_is_not_read_is_reset_alone(void **state) {
    (void)state;
    int opened = atomic_load(&streams_open), closed = atomic_load(&streams_closed);
    static uint8_t chunk[10000];
    client *k = client_new(&usual);
    answer *s = request(k, "GET", "/stream", NULL, NULL);
    send_all(k);
    wait_for(&streams_open, opened + 1);
    porch_err e = PORCH_OK;
    while (e == PORCH_OK) {
        pthread_mutex_lock(&told_lock);
        e = live == NULL ? PORCH_ERR_CLOSED
                         : porch_http_stream_send(live, (porch_bytes){chunk, sizeof chunk});
        pthread_mutex_unlock(&told_lock);
    }
    wait_for(&streams_closed, closed + 1);
    finish(k, s);
    assert_int_equal(s->code, NGHTTP2_ENHANCE_YOUR_CALM);
    answer *a = request(k, "GET", "/hello", NULL, NULL);
    finish(k, a);
    assert_int_equal(a->status, 200);
    client_free(k);
}

static void a_peer_that_resets_within_a_body_is_told_to_the_handler(void **state) {
    (void)state;
    int before = atomic_load(&aborted);
    client *k = client_new(&usual);
    const porch_bytes never = {NULL, 0};
    answer *a = request(k, "PATCH", "/sum", &never, NULL);
    send_all(k);
    nghttp2_submit_rst_stream(k->session, 0, a->id, NGHTTP2_CANCEL);
    answer *b = request(k, "GET", "/hello", NULL, NULL);
    finish(k, b);
    wait_for(&aborted, before + 1);
    client_free(k);
}

static void a_device_is_known_by_its_certificate(void **state) {
    (void)state;
    client *k = client_new(&usual);
    bed_close(k->c);
    k->c = bed_connect(&ca, &device, usual.device_port);
    answer *a = request(k, "GET", "/mine", NULL, NULL);
    finish(k, a);
    assert_int_equal(a->status, 200);
    assert_non_null(strstr(a->head, "x-who: cam\n"));
    client_free(k);
}

/* ---- limits ---- */

static void a_stream_above_the_limit_is_refused(void **state) {
    (void)state;
    client *k = client_new(&usual);
    const porch_bytes never = {NULL, 0};
    step(k); /* the hub's SETTINGS */
    assert_int_equal(
        nghttp2_session_get_remote_settings(k->session, NGHTTP2_SETTINGS_MAX_CONCURRENT_STREAMS), 8);
    client_free(k);
    bed_client *c = bed_connect(&ca, NULL, usual.port);
    uint8_t out[600];
    porch_buf b = PORCH_BUF_OF(out);
    (void)never;
    memcpy(b.at, "PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n\0\0\0\4\0\0\0\0\0", 33);
    b.len = 33;
    for (uint8_t i = 0; i < 9; i++) { /* POST /echo without an end: 0x83 method, 0x87 scheme */
        const uint8_t head[] = {0,    0,    20,   1,   4,   0,   0,   0,   (uint8_t)(i * 2 + 1),
                                0x83, 0x87, 0x04, 5,   '/', 'e', 'c', 'h', 'o',
                                0x01, 9,    'l',  'o', 'c', 'a', 'l', 'h', 'o',
                                's',  't'};
        memcpy(b.at + b.len, head, sizeof head);
        b.len += sizeof head;
    }
    assert_true(bed_send(c, porch_buf_bytes(&b)));
    static const uint8_t refused[] = {0, 0, 4, 3, 0, 0, 0, 0, 17, 0, 0, 0, NGHTTP2_REFUSED_STREAM};
    while (memmem(c->in, c->in_len, refused, sizeof refused) == NULL)
        assert_true(bed_more(c));
    bed_close(c);
}

/* Frames by hand: type, flags, stream, payload. */
static void put_frame(porch_buf *b, size_t len, uint8_t type, uint8_t flags, uint32_t id,
                      const void *payload) {
    const uint8_t head[9] = {
        (uint8_t)(len >> 16), (uint8_t)(len >> 8), (uint8_t)len,       type,       flags,
        (uint8_t)(id >> 24),  (uint8_t)(id >> 16), (uint8_t)(id >> 8), (uint8_t)id};
    assert_true(b->len + sizeof head + len <= b->cap);
    memcpy(b->at + b->len, head, sizeof head);
    b->len += sizeof head;
    if (len > 0 && payload != NULL) memcpy(b->at + b->len, payload, len);
    if (len > 0 && payload == NULL) memset(b->at + b->len, 0, len);
    b->len += len;
}

/* Sends the preface and `b`; the code of the GOAWAY that must come, and then the end. */
static uint32_t code_for(bed_http *h, const porch_buf *b) {
    bed_client *c = bed_connect(&ca, NULL, h->port);
    assert_true(bed_send(
        c, (porch_bytes){(const uint8_t *)"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n\0\0\0\4\0\0\0\0\0", 33}));
    (void)bed_send(c, porch_buf_bytes(b));
    uint32_t code = UINT32_MAX;
    size_t at = 0;
    for (;;) {
        while (c->in_len < at + 9 || c->in_len < at + 9 + ((size_t)c->in[at + 1] << 8 | c->in[at + 2])) {
            if (bed_more(c)) continue;
            bed_close(c);
            return code;
        }
        if (c->in[at + 3] == NGHTTP2_GOAWAY) code = c->in[at + 16];
        at += 9 + ((size_t)c->in[at + 1] << 8 | c->in[at + 2]);
    }
}

static const uint8_t get_hello[] = {0x82, 0x87, 0x04, 6,   '/', 'h', 'e', 'l', 'l', 'o', 0x01,
                                    9,    'l',  'o',  'c', 'a', 'l', 'h', 'o', 's', 't'};

static void floods_end_the_connection_and_less_does_not(void **state) {
    (void)state;
    static uint8_t room[100000];
    static const uint8_t priority[5] = {0, 0, 0, 0, 1}, more[4] = {0, 0, 0, 1};
    const struct {
        const char *name;
        uint32_t most;
        uint8_t type;
        size_t len;
        const void *payload;
        uint32_t id;
        uint8_t flags;
    } rows[] = {
        {"settings", 4, NGHTTP2_SETTINGS, 0, NULL, 0, 0}, /* the fifth is the preface's */
        {"ping", 6, NGHTTP2_PING, 8, NULL, 0, 0},
        {"priority", 7, NGHTTP2_PRIORITY, 5, priority, 3, 0},
        {"window update", 8, NGHTTP2_WINDOW_UPDATE, 4, more, 0, 0},
        {"unknown", 9, 0xee, 3, NULL, 0, 0},
        {"priority update", 7, 0x10, 4, NULL, 0, 0},
        {"goaway", 9, NGHTTP2_GOAWAY, 8, NULL, 0, 0},
        {"empty data", 9, NGHTTP2_DATA, 0, NULL, 1, 0},
        {"data that is all padding", 9, NGHTTP2_DATA, 3, "\2\0\0", 1, NGHTTP2_FLAG_PADDED},
    };
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        for (uint32_t over = 0; over < 2; over++) {
            porch_buf b = PORCH_BUF_OF(room);
            uint8_t post[sizeof get_hello];
            memcpy(post, get_hello, sizeof post);
            post[0] = 0x83;
            memcpy(post + 5, "echo?", 5); /* POST /echo?: a stream that stays open */
            put_frame(&b, sizeof post, NGHTTP2_HEADERS, 4, 1, post);
            for (uint32_t n = 0; n < rows[i].most + over; n++)
                put_frame(&b, rows[i].len, rows[i].type, rows[i].flags, rows[i].id, rows[i].payload);
            put_frame(&b, 1, NGHTTP2_SETTINGS, 0, 0, NULL); /* ends it: a frame of a wrong size */
            uint32_t code = code_for(&usual, &b),
                     expected = over ? NGHTTP2_ENHANCE_YOUR_CALM : NGHTTP2_FRAME_SIZE_ERROR;
            if (code != expected) fail_msg("%s, %u over: code %u", rows[i].name, over, code);
        }
    }
}

static void rapid_resets_end_the_connection(void **state) {
    (void)state;
    static uint8_t room[100000];
    porch_buf b = PORCH_BUF_OF(room);
    static const uint8_t cancel[4] = {0, 0, 0, NGHTTP2_CANCEL};
    for (uint32_t i = 0; i < 21; i++) {
        put_frame(&b, sizeof get_hello, NGHTTP2_HEADERS, 5, i * 2 + 1, get_hello);
        put_frame(&b, 4, NGHTTP2_RST_STREAM, 0, i * 2 + 1, cancel);
    }
    assert_int_equal(code_for(&usual, &b), NGHTTP2_ENHANCE_YOUR_CALM);
}

static void resets_that_the_peer_provokes_count_too(void **state) {
    (void)state;
    static uint8_t room[100000];
    porch_buf b = PORCH_BUF_OF(room);
    for (uint32_t i = 0; i < 30; i++) { /* a window that opens by nothing is an error of the stream */
        put_frame(&b, sizeof get_hello, NGHTTP2_HEADERS, 5, i * 2 + 1, get_hello);
        put_frame(&b, 4, NGHTTP2_WINDOW_UPDATE, 0, i * 2 + 1, NULL);
    }
    uint32_t code = code_for(&usual, &b);
    assert_true(code == NGHTTP2_ENHANCE_YOUR_CALM || code == NGHTTP2_PROTOCOL_ERROR);
}

static void put_get(porch_buf *b, uint32_t id, const char *path) {
    uint8_t block[64] = {0x82, 0x87, 0x04, (uint8_t)strlen(path)};
    size_t n = 4 + strlen(path);
    memcpy(block + 4, path, n - 4);
    memcpy(block + n, "\x01\x09localhost", 11);
    put_frame(b, n + 11, NGHTTP2_HEADERS, 5, id, block);
}

/* Preface, SETTINGS with a stream window of that size, and a connection window that never ends. */
static void put_greeting(porch_buf *b, uint32_t window) {
    static const uint8_t open_wide[4] = {0x70, 0, 0, 0};
    const uint8_t entry[6] = {0,
                              NGHTTP2_SETTINGS_INITIAL_WINDOW_SIZE,
                              (uint8_t)(window >> 24),
                              (uint8_t)(window >> 16),
                              (uint8_t)(window >> 8),
                              (uint8_t)window};
    memcpy(b->at, "PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n", 24);
    b->len = 24;
    put_frame(b, sizeof entry, NGHTTP2_SETTINGS, 0, 0, entry);
    put_frame(b, 4, NGHTTP2_WINDOW_UPDATE, 0, 0, open_wide);
}

/* Reads to the next frame; its type. The end of the connection is no frame: 0xff. */
static uint8_t next_frame(bed_client *c) {
    for (;;) {
        size_t len = c->in_len < 9 ? 9 : 9 + ((size_t)c->in[1] << 8 | c->in[2]);
        if (c->in_len >= 9 && c->in_len >= len) {
            uint8_t type = c->in[3];
            bed_used(c, len);
            return type;
        }
        if (!bed_more(c)) return 0xff;
    }
}

static void an_answer_that_is_taken_in_drops_ends_the_connection(void **state) {
    (void)state;
    static uint8_t room[1000];
    static const uint8_t one[4] = {0, 0, 0, 1};
    bed_client *c = bed_connect(&ca, NULL, usual.port);
    porch_buf b = PORCH_BUF_OF(room);
    put_greeting(&b, 1);
    put_get(&b, 1, "/lasting");
    assert_true(bed_send(c, porch_buf_bytes(&b)));
    uint8_t type = 0;
    for (int drops = 0; drops < 20 && type != NGHTTP2_GOAWAY; drops++) {
        do
            type = next_frame(c);
        while (type != NGHTTP2_DATA && type != NGHTTP2_GOAWAY && type != 0xff);
        b.len = 0;
        put_frame(&b, 4, NGHTTP2_WINDOW_UPDATE, 0, 1, one);
        (void)bed_send(c, porch_buf_bytes(&b));
    }
    assert_int_equal(type, NGHTTP2_GOAWAY);
    bed_close(c);
}

static void an_endless_header_block_ends_the_connection(void **state) {
    (void)state;
    static uint8_t room[100000];
    porch_buf b = PORCH_BUF_OF(room);
    put_frame(&b, sizeof get_hello, NGHTTP2_HEADERS, 1, 1, get_hello);
    for (int i = 0; i < 4; i++)
        put_frame(&b, 0, NGHTTP2_CONTINUATION, 0, 1, NULL);
    assert_int_equal(code_for(&usual, &b), NGHTTP2_ENHANCE_YOUR_CALM);
    /* A bomb: one long field, then a byte each for the same again (http.head_bytes * 4). */
    static uint8_t block[6000];
    b = PORCH_BUF_OF(room);
    size_t n = sizeof get_hello;
    memcpy(block, get_hello, n);
    const uint8_t field_head[] = {0x40, 1,    'x',
                                  0x7f, 0xd1, 0x0e}; /* value of 2000 bytes, kept in the table */
    memcpy(block + n, field_head, sizeof field_head);
    n += sizeof field_head;
    memset(block + n, 'a', 2000);
    n += 2000;
    memset(block + n, 0x80 | 62, 100);
    n += 100;
    put_frame(&b, n, NGHTTP2_HEADERS, 5, 1, block);
    assert_int_equal(code_for(&usual, &b), NGHTTP2_ENHANCE_YOUR_CALM);
}

static void what_is_not_http_2_ends_with_protocol_error(void **state) {
    (void)state;
    bed_client *c = bed_connect(&ca, NULL, usual.port);
    assert_true(bed_send(c, PORCH_LIT("GET / HTTP/1.1\r\nHost: localhost\r\n\r\n")));
    while (bed_more(c))
        continue;
    static const uint8_t goaway[] = {
        0, 0, 8, 7, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, NGHTTP2_PROTOCOL_ERROR};
    assert_non_null(memmem(c->in, c->in_len, goaway, sizeof goaway));
    bed_close(c);
}

/* ---- time ---- */

static void a_head_that_trickles_ends_the_connection(void **state) {
    (void)state;
    static uint8_t room[1000];
    porch_buf b = PORCH_BUF_OF(room);
    put_frame(&b, sizeof get_hello, NGHTTP2_HEADERS, 1, 1, get_hello); /* its end never comes */
    assert_int_equal(code_for(&hasty, &b), NGHTTP2_ENHANCE_YOUR_CALM);
}

/* nghttp2 refuses it without a word to us; its header block has come to an end all the same. */
static void a_head_that_was_refused_is_not_one_that_trickles(void **state) {
    (void)state;
    static uint8_t room[1000];
    porch_buf b = PORCH_BUF_OF(room);
    put_frame(&b, 2, NGHTTP2_HEADERS, 5, 1, get_hello); /* method and scheme only */
    assert_int_equal(code_for(&hasty, &b), NGHTTP2_NO_ERROR);
}

static void a_small_body_that_trickles_has_its_time_as_a_whole(void **state) {
    (void)state;
    static uint8_t room[1000];
    bed_client *c = bed_connect(&ca, NULL, hasty.port);
    porch_buf b = PORCH_BUF_OF(room);
    put_greeting(&b, 65535);
    uint8_t post[sizeof get_hello];
    memcpy(post, get_hello, sizeof post);
    post[0] = 0x83;
    memcpy(post + 5, "echo?", 5);
    put_frame(&b, sizeof post, NGHTTP2_HEADERS, 4, 1, post);
    static const uint8_t timeout[] = {3, '4', '0', '8'}; /* the value of :status */
    bool answered = false;
    for (int i = 0; i < 4000 && !answered; i++) {
        size_t n = 0;
        if (!bed_send(c, porch_buf_bytes(&b))) break;
        b.len = 0;
        put_frame(&b, 1, NGHTTP2_DATA, 0, 1, "x");
        if (porch_socket_wait(c->fd, POLLIN, 5) != PORCH_OK) continue;
        if (porch_tls_read(c->conn, c->in + c->in_len, sizeof c->in - c->in_len, &n) == PORCH_OK)
            c->in_len += n;
        answered = memmem(c->in, c->in_len, timeout, sizeof timeout) != NULL;
    }
    assert_true(answered);
    bed_close(c);
}

static void an_idle_connection_is_closed_without_blame(void **state) {
    (void)state;
    static uint8_t room[1000];
    porch_buf b = PORCH_BUF_OF(room);
    assert_int_equal(code_for(&hasty, &b), NGHTTP2_NO_ERROR);
}

static void a_body_that_stops_is_given_up(void **state) {
    (void)state;
    int before = atomic_load(&aborted);
    client *k = client_new(&hasty);
    const porch_bytes never = {NULL, 0};
    answer *a = request(k, "POST", "/echo", &never, NULL), *b = request(k, "PATCH", "/sum", &never, NULL);
    finish(k, a);
    assert_int_equal(a->status, 408);
    finish(k, b);
    assert_int_equal(b->code, NGHTTP2_CANCEL);
    wait_for(&aborted, before + 1);
    client_free(k);
}

static void a_body_that_nobody_wants_is_reset_after_the_answer(void **state) {
    (void)state;
    client *k = client_new(&hasty);
    const porch_bytes never = {NULL, 0};
    answer *a = request(k, "POST", "/nowhere", &never, NULL);
    finish(k, a);
    assert_int_equal(a->status, 404);
    assert_int_equal(a->code, NGHTTP2_NO_ERROR);
    client_free(k);
}

static void answers_without_a_window_are_reset_and_then_the_connection(void **state) {
    (void)state;
    static uint8_t room[1000];
    porch_buf b = PORCH_BUF_OF(room);
    static const uint8_t no_window[6] = {0, NGHTTP2_SETTINGS_INITIAL_WINDOW_SIZE, 0, 0, 0, 0};
    put_frame(&b, 6, NGHTTP2_SETTINGS, 0, 0, no_window);
    for (uint32_t i = 0; i < 3; i++)
        put_frame(&b, sizeof get_hello, NGHTTP2_HEADERS, 5, i * 2 + 1, get_hello);
    assert_int_equal(code_for(&hasty, &b), NGHTTP2_ENHANCE_YOUR_CALM);
}

static void draining_lets_what_runs_finish(void **state) {
    (void)state;
    porch_settings s;
    bed_http h;
    porch_settings_default(&s);
    hub_start(&h, &s);
    int opened = atomic_load(&streams_open), closed = atomic_load(&streams_closed);
    client *k = client_new(&h);
    answer *a = request(k, "GET", "/stream", NULL, NULL);
    while (a->body_len < 9)
        step(k);
    wait_for(&streams_open, opened + 1);
    bed_http_stop(&h);
    while (!k->over)
        step(k);
    assert_int_equal(k->goaway, NGHTTP2_NO_ERROR + 1);
    assert_true(a->closed && a->code == NGHTTP2_NO_ERROR);
    wait_for(&streams_closed, closed + 1);
    client_free(k);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(many_requests_share_a_connection),
        cmocka_unit_test(what_is_wrong_has_the_status_it_has_over_http_1),
        cmocka_unit_test(refusals_that_are_not_read_take_their_address_s_places),
        cmocka_unit_test(bodies_arrive_whole_with_flow_control),
        cmocka_unit_test(uploads_that_are_reset_give_the_connection_s_window_back),
        cmocka_unit_test(a_source_is_pulled_to_its_end_and_freed),
        cmocka_unit_test(a_source_of_unknown_length_ends_when_it_has_no_more),
        cmocka_unit_test(lasting_bytes_are_sent_whole),
        cmocka_unit_test(a_live_stream_stands_beside_other_requests),
        cmocka_unit_test(a_live_stream_that_is_not_read_is_reset_alone),
        cmocka_unit_test(a_peer_that_resets_within_a_body_is_told_to_the_handler),
        cmocka_unit_test(a_device_is_known_by_its_certificate),
        cmocka_unit_test(a_stream_above_the_limit_is_refused),
        cmocka_unit_test(floods_end_the_connection_and_less_does_not),
        cmocka_unit_test(rapid_resets_end_the_connection),
        cmocka_unit_test(resets_that_the_peer_provokes_count_too),
        cmocka_unit_test(an_answer_that_is_taken_in_drops_ends_the_connection),
        cmocka_unit_test(an_endless_header_block_ends_the_connection),
        cmocka_unit_test(what_is_not_http_2_ends_with_protocol_error),
        cmocka_unit_test(a_head_that_trickles_ends_the_connection),
        cmocka_unit_test(a_head_that_was_refused_is_not_one_that_trickles),
        cmocka_unit_test(a_small_body_that_trickles_has_its_time_as_a_whole),
        cmocka_unit_test(an_idle_connection_is_closed_without_blame),
        cmocka_unit_test(a_body_that_stops_is_given_up),
        cmocka_unit_test(a_body_that_nobody_wants_is_reset_after_the_answer),
        cmocka_unit_test(answers_without_a_window_are_reset_and_then_the_connection),
        cmocka_unit_test(draining_lets_what_runs_finish),
    };
    return cmocka_run_group_tests(tests, set_up, tear_down);
}
