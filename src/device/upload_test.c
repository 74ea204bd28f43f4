/* The upload against a hub that answers by hand: every step, every break, every answer. */
#include "device/upload.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

enum { NOW = 1000, ANSWER_MS = 20000 };

static const char film[] = "ftypmoov-moofmdat-moofmdat-the rest of a short film";
static const uint8_t hash[32] = {1, 2, 3};

typedef struct {
    porch_upload u;
    uint8_t in[PORCH_UPLOAD_IN_LEAST], out[PORCH_UPLOAD_OUT_LEAST];
    char sent[8192]; /* what the device has sent since the last look */
} pair;

static void make(pair *p, const char *location) {
    memset(p, 0, sizeof *p);
    porch_upload_config config = {.host = "hub.example", .answer_ms = ANSWER_MS};
    assert_int_equal(porch_id_parse(PORCH_LIT("event-1"), &config.event), PORCH_OK);
    assert_int_equal(porch_upload_init(&p->u, &config, porch_bytes_of(location), PORCH_BUF_OF(p->in),
                                       PORCH_BUF_OF(p->out)),
                     PORCH_OK);
}

/* Gives the engine what it wants of the film and takes what it sends, until it rests. */
static const char *run(pair *p) {
    size_t len = 0;
    for (;;) {
        uint64_t offset = 0;
        size_t n = porch_upload_wants(&p->u, &offset);
        if (n > 0) {
            assert_true(offset + n <= sizeof film - 1);
            porch_upload_give(&p->u, (porch_bytes){(const uint8_t *)film + offset, n}, NOW);
        }
        porch_bytes out = porch_upload_output(&p->u);
        if (out.len == 0) break;
        assert_true(len + out.len < sizeof p->sent);
        memcpy(p->sent + len, out.at, out.len);
        len += out.len;
        porch_upload_sent(&p->u, out.len, NOW);
    }
    p->sent[len] = 0;
    return p->sent;
}

static void answer(pair *p, const char *text) {
    porch_upload_take(&p->u, porch_bytes_of(text), NOW);
}

static porch_upload_event event(pair *p) {
    porch_upload_event e = {0};
    (void)porch_upload_next(&p->u, &e);
    return e;
}

static bool has(const char *text, const char *part) {
    return strstr(text, part) != NULL;
}

#define CREATED "HTTP/1.1 201 Created\r\nLocation: /api/v1/device/clips/abc\r\nContent-Length: 0\r\n\r\n"
#define STANDS(n) \
    "HTTP/1.1 200 OK\r\nUpload-Offset: " #n "\r\nUpload-Complete: ?0\r\nContent-Length: 0\r\n\r\n"
#define DONE "HTTP/1.1 204 No Content\r\n\r\n"

static void a_growing_clip_is_begun_streamed_and_completed(void **state) {
    (void)state;
    pair p;
    make(&p, "");
    porch_upload_grown(&p.u, 9, NOW);
    porch_upload_connected(&p.u, NOW);
    const char *sent = run(&p);
    assert_true(has(sent, "POST /api/v1/device/clips HTTP/1.1\r\n"));
    assert_true(has(sent, "Host: hub.example\r\n"));
    assert_true(has(sent, "Porchlight-Event: event-1\r\n"));
    assert_false(porch_upload_begun(&p.u));
    answer(&p, CREATED);
    assert_true(porch_upload_begun(&p.u));
    porch_upload_event e = event(&p);
    assert_int_equal(e.kind, PORCH_UPLOAD_LOCATED);
    assert_true(porch_bytes_eq_text(e.text, "/api/v1/device/clips/abc"));
    sent = run(&p);
    assert_true(has(sent, "PATCH /api/v1/device/clips/abc HTTP/1.1\r\n"));
    assert_true(has(sent, "Upload-Offset: 0\r\n") && has(sent, "Upload-Complete: ?0\r\n"));
    assert_true(has(sent, "Transfer-Encoding: chunked\r\n") && has(sent, "9\r\nftypmoov-\r\n"));
    assert_int_equal(event(&p).kind, PORCH_UPLOAD_STARTED);
    porch_upload_grown(&p.u, 18, NOW);
    assert_string_equal(run(&p), "9\r\nmoofmdat-\r\n");
    porch_upload_ended(&p.u, hash, NOW);
    assert_string_equal(run(&p), "0\r\n\r\n");
    answer(&p, "HTTP/1.1 204 No Content\r\nUpload-Offset: 18\r\n\r\n");
    sent = run(&p);
    assert_true(has(sent, "Upload-Offset: 18\r\n") && has(sent, "Upload-Complete: ?1\r\n"));
    assert_true(has(sent, "Repr-Digest: sha-256=:AQIDAAAA") && has(sent, "Content-Length: 0\r\n"));
    answer(&p, DONE);
    assert_int_equal(event(&p).kind, PORCH_UPLOAD_COMPLETE);
    assert_true(porch_upload_connection_reusable(&p.u));
}

static void a_clip_that_has_ended_goes_in_one_piece(void **state) {
    (void)state;
    pair p;
    make(&p, "");
    porch_upload_grown(&p.u, 27, NOW);
    porch_upload_ended(&p.u, hash, NOW);
    porch_upload_connected(&p.u, NOW);
    (void)run(&p);
    answer(&p, CREATED);
    const char *sent = run(&p);
    assert_true(has(sent, "Content-Length: 27\r\n") && has(sent, "Upload-Complete: ?1\r\n"));
    assert_true(has(sent, "\r\n\r\nftypmoov-moofmdat-moofmdat-"));
    answer(&p, DONE);
    (void)event(&p);
    (void)event(&p);
    assert_int_equal(event(&p).kind, PORCH_UPLOAD_COMPLETE);
}

static void after_a_break_the_hub_is_asked_and_the_rest_is_sent(void **state) {
    (void)state;
    pair p;
    make(&p, "");
    porch_upload_grown(&p.u, 18, NOW);
    porch_upload_connected(&p.u, NOW);
    (void)run(&p);
    answer(&p, CREATED);
    (void)run(&p);
    porch_upload_broken(&p.u);
    assert_int_equal(porch_upload_output(&p.u).len, 0);
    porch_upload_grown(&p.u, 27, NOW);
    porch_upload_ended(&p.u, hash, NOW);
    porch_upload_connected(&p.u, NOW);
    assert_true(has(run(&p), "HEAD /api/v1/device/clips/abc HTTP/1.1\r\n"));
    answer(&p, STANDS(13));
    const char *sent = run(&p);
    assert_true(has(sent, "Upload-Offset: 13\r\n") && has(sent, "Content-Length: 14\r\n"));
    assert_true(has(sent, "\r\n\r\nmdat-moofmdat-"));
}

static void a_clip_known_from_an_earlier_run_is_asked_about_first(void **state) {
    (void)state;
    pair p;
    make(&p, "/api/v1/device/clips/abc");
    porch_upload_grown(&p.u, 9, NOW);
    porch_upload_connected(&p.u, NOW);
    assert_true(has(run(&p), "HEAD /api/v1/device/clips/abc "));
    answer(&p, "HTTP/1.1 200 OK\r\nUpload-Offset: 9\r\nUpload-Complete: ?1\r\nContent-Length: 0\r\n\r\n");
    assert_int_equal(event(&p).kind, PORCH_UPLOAD_COMPLETE);
    /* begun before, but the location is not known: the hub names it again */
    make(&p, "");
    porch_upload_grown(&p.u, 9, NOW);
    porch_upload_connected(&p.u, NOW);
    (void)run(&p);
    answer(&p, "HTTP/1.1 200 OK\r\nLocation: /api/v1/device/clips/abc\r\nContent-Length: 2\r\n\r\n{}");
    assert_true(has(run(&p), "HEAD /api/v1/device/clips/abc "));
}

static void an_answer_in_single_bytes_is_the_same_answer(void **state) {
    (void)state;
    pair p;
    make(&p, "");
    porch_upload_grown(&p.u, 9, NOW);
    porch_upload_connected(&p.u, NOW);
    (void)run(&p);
    static const char text[] = "HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 201 Created\r\nLocation: /c/1\r\n"
                               "Transfer-Encoding: chunked\r\n\r\n2\r\n{}\r\n0\r\n\r\n";
    for (size_t i = 0; i < sizeof text - 1; i++) {
        assert_int_equal(p.u.phase, PORCH_UPLOAD_BEGIN);
        porch_upload_take(&p.u, (porch_bytes){(const uint8_t *)text + i, 1}, NOW);
    }
    assert_int_equal(p.u.phase, PORCH_UPLOAD_STREAM);
    assert_true(has(run(&p), "PATCH /c/1 "));
}

/* A clip whose last PATCH has been sent whole. */
static void at_the_last_answer(pair *p) {
    make(p, "/c/1");
    porch_upload_grown(&p->u, 9, NOW);
    porch_upload_ended(&p->u, hash, NOW);
    porch_upload_connected(&p->u, NOW);
    (void)run(p);
    answer(p, STANDS(0));
    (void)run(p);
    while (event(p).kind != 0) {
    }
}

static void each_status_has_its_consequence(void **state) {
    (void)state;
    static const struct {
        unsigned status;
        int kind;         /* event, or 0 when the engine asks on */
        const char *next; /* what it asks then */
    } rows[] = {
        {200, PORCH_UPLOAD_COMPLETE, NULL},
        {204, PORCH_UPLOAD_COMPLETE, NULL},
        {400, PORCH_UPLOAD_REFUSED, NULL},
        {413, PORCH_UPLOAD_REFUSED, NULL},
        {415, PORCH_UPLOAD_REFUSED, NULL},
        {401, PORCH_UPLOAD_LATER, NULL},
        {403, PORCH_UPLOAD_LATER, NULL},
        {408, PORCH_UPLOAD_LATER, NULL},
        {429, PORCH_UPLOAD_LATER, NULL},
        {500, PORCH_UPLOAD_LATER, NULL},
        {503, PORCH_UPLOAD_LATER, NULL},
        {507, PORCH_UPLOAD_LATER, NULL},
        {302, PORCH_UPLOAD_LATER, NULL},
        {404, 0, "POST /api/v1/device/clips "},
        {410, 0, "POST "},
        {409, 0, "HEAD /c/1 "},
        {422, 0, "HEAD /c/1 "},
    };
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        pair p;
        char text[160];
        at_the_last_answer(&p);
        (void)snprintf(text, sizeof text, "HTTP/1.1 %u X\r\nRetry-After: 7\r\n%s", rows[i].status,
                       rows[i].status == 204 ? "\r\n" : "Content-Length: 3\r\n\r\nwhy");
        answer(&p, text);
        porch_upload_event e = event(&p);
        assert_int_equal(e.kind, rows[i].kind);
        if (rows[i].next) assert_true(has(run(&p), rows[i].next));
        if (e.kind == PORCH_UPLOAD_REFUSED) assert_true(porch_bytes_eq_text(e.text, "why"));
        if (e.kind == PORCH_UPLOAD_LATER) assert_int_equal(e.wait_ms, 7000);
    }
}

static void a_clip_whose_event_was_deleted_is_given_up_at_once(void **state) {
    (void)state;
    pair p;
    make(&p, "");
    porch_upload_grown(&p.u, 9, NOW);
    porch_upload_connected(&p.u, NOW);
    (void)run(&p);
    answer(&p, "HTTP/1.1 410 Gone\r\nContent-Length: 3\r\n\r\nwhy");
    porch_upload_event e = event(&p);
    assert_int_equal(e.kind, PORCH_UPLOAD_REFUSED);
    assert_true(porch_bytes_eq_text(e.text, "why"));
}

static void a_hash_that_never_agrees_is_given_up(void **state) {
    (void)state;
    pair p;
    at_the_last_answer(&p);
    porch_upload_event e = {0};
    for (int i = 0; i < 10 && e.kind == 0; i++) {
        answer(&p, "HTTP/1.1 422 X\r\nContent-Length: 0\r\n\r\n");
        e = event(&p);
        if (e.kind != 0) break;
        (void)run(&p);
        answer(&p, STANDS(0));
        (void)run(&p);
    }
    assert_int_equal(e.kind, PORCH_UPLOAD_REFUSED);
    assert_int_equal(e.status, 422);
}

static void offsets_that_never_agree_wait_for_another_connection(void **state) {
    (void)state;
    pair p;
    at_the_last_answer(&p);
    porch_upload_event e = {0};
    for (int i = 0; i < 10 && e.kind == 0; i++) {
        answer(&p, "HTTP/1.1 409 X\r\nContent-Length: 0\r\n\r\n");
        e = event(&p);
        if (e.kind != 0) break;
        (void)run(&p);
        answer(&p, STANDS(3));
        (void)run(&p);
    }
    assert_int_equal(e.kind, PORCH_UPLOAD_LATER);
}

static void a_hub_that_has_more_than_there_is_is_not_believed(void **state) {
    (void)state;
    pair p;
    make(&p, "/c/1");
    porch_upload_grown(&p.u, 9, NOW);
    porch_upload_ended(&p.u, hash, NOW);
    porch_upload_connected(&p.u, NOW);
    (void)run(&p);
    answer(&p, STANDS(10));
    assert_int_equal(event(&p).kind, PORCH_UPLOAD_REFUSED);
}

static void a_refusal_in_the_middle_of_the_stream_ends_the_connection(void **state) {
    (void)state;
    pair p;
    make(&p, "/c/1");
    porch_upload_grown(&p.u, 9, NOW);
    porch_upload_connected(&p.u, NOW);
    (void)run(&p);
    answer(&p, STANDS(0));
    (void)run(&p);
    (void)event(&p);
    answer(&p, "HTTP/1.1 413 X\r\nContent-Length: 0\r\n\r\n");
    assert_int_equal(event(&p).kind, PORCH_UPLOAD_REFUSED);
    assert_false(porch_upload_connection_reusable(&p.u));
    /* even a friendly one: the stream is not over */
    make(&p, "/c/1");
    porch_upload_grown(&p.u, 9, NOW);
    porch_upload_connected(&p.u, NOW);
    (void)run(&p);
    answer(&p, STANDS(0));
    (void)run(&p);
    (void)event(&p);
    answer(&p, DONE);
    assert_int_equal(event(&p).kind, PORCH_UPLOAD_LATER);
}

static void a_friendly_answer_before_the_last_byte_is_not_believed(void **state) {
    (void)state;
    pair p;
    make(&p, "/c/1");
    porch_upload_grown(&p.u, 27, NOW);
    porch_upload_ended(&p.u, hash, NOW);
    porch_upload_connected(&p.u, NOW);
    (void)run(&p);
    answer(&p, STANDS(0));
    porch_upload_sent(&p.u, porch_upload_output(&p.u).len, NOW);
    porch_upload_give(&p.u, (porch_bytes){(const uint8_t *)film, 5}, NOW);
    (void)event(&p);
    answer(&p, DONE);
    assert_int_equal(event(&p).kind, PORCH_UPLOAD_LATER);
    assert_false(porch_upload_connection_reusable(&p.u));
}

static void locations_outside_this_hub_are_not_followed(void **state) {
    (void)state;
    static const char *const bad[] = {"https://elsewhere.example/c",
                                      "//elsewhere/c",
                                      "c/1",
                                      "/c?x=1",
                                      "/c d",
                                      "/",
                                      "/./c",
                                      "/c/../d",
                                      "/c//d",
                                      "/c/",
                                      ""};
    for (size_t i = 0; i < sizeof bad / sizeof bad[0]; i++) {
        pair p;
        char text[160];
        make(&p, "");
        porch_upload_connected(&p.u, NOW);
        (void)run(&p);
        (void)snprintf(text, sizeof text, "HTTP/1.1 201 X\r\nLocation: %s\r\nContent-Length: 0\r\n\r\n",
                       bad[i]);
        answer(&p, text);
        assert_int_equal(event(&p).kind, PORCH_UPLOAD_LATER);
    }
}

static void what_is_not_http_ends_the_connection(void **state) {
    (void)state;
    static const char *const bad[] = {
        "SSH-2.0-x\r\n\r\n", "HTTP/1.1 20 X\r\n\r\n", "HTTP/1.1 200 X\nA: b\n\n",
        "HTTP/1.1 200 X\r\nContent-Length: 1\r\nTransfer-Encoding: chunked\r\n\r\n"};
    for (size_t i = 0; i < sizeof bad / sizeof bad[0]; i++) {
        pair p;
        make(&p, "");
        porch_upload_connected(&p.u, NOW);
        (void)run(&p);
        answer(&p, bad[i]);
        assert_int_equal(event(&p).kind, PORCH_UPLOAD_LATER);
    }
    static char endless[PORCH_UPLOAD_IN_LEAST + 2];
    memset(endless, 'a', sizeof endless - 1);
    static const char status[] = {'H', 'T', 'T', 'P', '/', '1', '.', '1', ' ', '2', '0', '0', ' '};
    memcpy(endless, status, sizeof status);
    pair p;
    make(&p, "");
    porch_upload_connected(&p.u, NOW);
    (void)run(&p);
    answer(&p, endless);
    assert_int_equal(event(&p).kind, PORCH_UPLOAD_LATER);
}

static void a_late_answer_and_a_stuck_peer_end_the_connection(void **state) {
    (void)state;
    pair p;
    make(&p, "");
    porch_upload_connected(&p.u, NOW);
    assert_int_equal(porch_upload_deadline(&p.u), NOW + ANSWER_MS);
    porch_upload_tick(&p.u, NOW + ANSWER_MS - 1);
    assert_int_equal(event(&p).kind, 0);
    porch_upload_tick(&p.u, NOW + ANSWER_MS);
    assert_int_equal(event(&p).kind, PORCH_UPLOAD_LATER);
    /* a stream that has nothing to send waits without a limit */
    make(&p, "/c/1");
    porch_upload_grown(&p.u, 9, NOW);
    porch_upload_connected(&p.u, NOW);
    (void)run(&p);
    answer(&p, STANDS(0));
    (void)run(&p);
    assert_int_equal(porch_upload_deadline(&p.u), UINT64_MAX);
}

static void a_clip_longer_than_the_block_goes_in_bites(void **state) {
    (void)state;
    static uint8_t clip[20000];
    pair p;
    make(&p, "/c/1");
    porch_upload_grown(&p.u, sizeof clip, NOW);
    porch_upload_ended(&p.u, hash, NOW);
    porch_upload_connected(&p.u, NOW);
    (void)run(&p);
    answer(&p, STANDS(0));
    size_t total = 0;
    for (int i = 0; i < 1000; i++) {
        uint64_t offset = 0;
        size_t n = porch_upload_wants(&p.u, &offset);
        if (n > 0) porch_upload_give(&p.u, (porch_bytes){clip + offset, n}, NOW);
        size_t bite = porch_upload_output(&p.u).len;
        if (bite > 100) bite = 100;
        if (n == 0 && bite == 0) break;
        total += bite;
        porch_upload_sent(&p.u, bite, NOW);
    }
    assert_int_equal(p.u.sent, sizeof clip);
    assert_true(total > sizeof clip && total < sizeof clip + 512);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_growing_clip_is_begun_streamed_and_completed),
        cmocka_unit_test(a_clip_that_has_ended_goes_in_one_piece),
        cmocka_unit_test(after_a_break_the_hub_is_asked_and_the_rest_is_sent),
        cmocka_unit_test(a_clip_known_from_an_earlier_run_is_asked_about_first),
        cmocka_unit_test(an_answer_in_single_bytes_is_the_same_answer),
        cmocka_unit_test(each_status_has_its_consequence),
        cmocka_unit_test(a_clip_whose_event_was_deleted_is_given_up_at_once),
        cmocka_unit_test(a_hash_that_never_agrees_is_given_up),
        cmocka_unit_test(offsets_that_never_agree_wait_for_another_connection),
        cmocka_unit_test(a_hub_that_has_more_than_there_is_is_not_believed),
        cmocka_unit_test(a_refusal_in_the_middle_of_the_stream_ends_the_connection),
        cmocka_unit_test(a_friendly_answer_before_the_last_byte_is_not_believed),
        cmocka_unit_test(locations_outside_this_hub_are_not_followed),
        cmocka_unit_test(what_is_not_http_ends_the_connection),
        cmocka_unit_test(a_late_answer_and_a_stuck_peer_end_the_connection),
        cmocka_unit_test(a_clip_longer_than_the_block_goes_in_bites),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
