#include "wire/http1_request.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <string.h>

#include <cmocka.h>

#define COUNT(array) (sizeof(array) / sizeof((array)[0]))
#define BYTES(text)  ((porch_bytes){(const uint8_t *)(text), sizeof(text) - 1})

static const porch_http1_limits limits = {1000, 40, 8};
static porch_http1_header room[8];

static porch_err read_request(porch_bytes head, porch_http1_fault *fault, porch_http1_request *ret) {
    *fault = (porch_http1_fault){0, NULL};
    return porch_http1_request_read(head, &limits, (porch_http1_headers){room, 0, COUNT(room)}, fault, ret);
}

static void all_parts_of_a_request_are_found(void **state) {
    (void)state;
    porch_http1_request q;
    porch_http1_fault fault;
    assert_int_equal(
        read_request(BYTES("PATCH /api/v1/clips/c-1?x=1&y=%20 HTTP/1.1\r\nHost: hub.local:8444\r\n"
                           "Content-Length: 12\r\nExpect: 100-continue\r\n\r\n"),
                     &fault, &q),
        PORCH_OK);
    assert_true(porch_bytes_eq_text(q.method, "PATCH"));
    assert_true(porch_bytes_eq_text(q.path, "/api/v1/clips/c-1"));
    assert_true(porch_bytes_eq_text(q.query, "x=1&y=%20"));
    assert_true(porch_bytes_eq_text(q.host, "hub.local:8444"));
    assert_int_equal(q.body, PORCH_HTTP1_BODY_LENGTH);
    assert_int_equal(q.body_bytes, 12);
    assert_true(q.keep_alive && q.expect_continue && q.minor == 1);
}

static void a_connection_is_kept_as_the_version_says(void **state) {
    (void)state;
    const struct {
        porch_bytes head;
        bool keep;
    } rows[] = {
        {BYTES("GET / HTTP/1.1\r\nHost: h\r\n\r\n"), true},
        {BYTES("GET / HTTP/1.1\r\nHost: h\r\nConnection: close\r\n\r\n"), false},
        {BYTES("GET / HTTP/1.0\r\n\r\n"), false},
        {BYTES("GET / HTTP/1.0\r\nConnection: keep-alive\r\n\r\n"), true},
    };
    for (size_t i = 0; i < COUNT(rows); i++) {
        porch_http1_request q;
        porch_http1_fault fault;
        assert_int_equal(read_request(rows[i].head, &fault, &q), PORCH_OK);
        assert_int_equal(q.keep_alive, rows[i].keep);
    }
}

static void each_broken_request_has_its_status(void **state) {
    (void)state;
    const struct {
        porch_bytes head;
        uint16_t status;
    } rows[] = {
        {BYTES("GET /\r\nHost: h\r\n\r\n"), 400},
        {BYTES("GET  / HTTP/1.1\r\nHost: h\r\n\r\n"), 400},
        {BYTES("GET / HTTP/1.1 \r\nHost: h\r\n\r\n"), 505},
        {BYTES(" GET / HTTP/1.1\r\nHost: h\r\n\r\n"), 400},
        {BYTES("G(T / HTTP/1.1\r\nHost: h\r\n\r\n"), 400},
        {BYTES("GET / HTTP/2.0\r\nHost: h\r\n\r\n"), 505},
        {BYTES("GET / HTTP/1.2\r\nHost: h\r\n\r\n"), 505},
        {BYTES("GET / http/1.1\r\nHost: h\r\n\r\n"), 400},
        {BYTES("GET / XTTP\r\nHost: h\r\n\r\n"), 400},
        {BYTES("GET http://h/ HTTP/1.1\r\nHost: h\r\n\r\n"), 400},
        {BYTES("OPTIONS * HTTP/1.1\r\nHost: h\r\n\r\n"), 400},
        {BYTES("GET /a/../b HTTP/1.1\r\nHost: h\r\n\r\n"), 400},
        {BYTES("GET /a/./b HTTP/1.1\r\nHost: h\r\n\r\n"), 400},
        {BYTES("GET /.. HTTP/1.1\r\nHost: h\r\n\r\n"), 400},
        {BYTES("GET //b HTTP/1.1\r\nHost: h\r\n\r\n"), 400},
        {BYTES("GET /%2e%2e/b HTTP/1.1\r\nHost: h\r\n\r\n"), 400},
        {BYTES("GET /a%00 HTTP/1.1\r\nHost: h\r\n\r\n"), 400},
        {BYTES("GET /a\\b HTTP/1.1\r\nHost: h\r\n\r\n"), 400},
        {BYTES("GET /a#b HTTP/1.1\r\nHost: h\r\n\r\n"), 400},
        {BYTES("GET /\xc3\xa4 HTTP/1.1\r\nHost: h\r\n\r\n"), 400},
        {BYTES("GET /?a\"b HTTP/1.1\r\nHost: h\r\n\r\n"), 400},
        {BYTES("GET /01234567890123456789012345678901234567890 HTTP/1.1\r\nHost: h\r\n\r\n"), 414},
        {BYTES("GET / HTTP/1.1\r\n\r\n"), 400},
        {BYTES("GET / HTTP/1.1\r\nHost: h\r\nHost: h\r\n\r\n"), 400},
        {BYTES("GET / HTTP/1.1\r\nHost:\r\n\r\n"), 400},
        {BYTES("GET / HTTP/1.1\r\nHost: a b\r\n\r\n"), 400},
        {BYTES("GET / HTTP/1.1\r\nHost: a/b\r\n\r\n"), 400},
        {BYTES("GET / HTTP/1.1\r\nHost: u@h\r\n\r\n"), 400},
        {BYTES("GET / HTTP/1.1\r\nHost: h\r\nExpect: more\r\n\r\n"), 417},
        {BYTES("GET / HTTP/1.1\r\nHost: h\r\nTransfer-Encoding: gzip\r\n\r\n"), 501},
        {BYTES("GET / HTTP/1.1\r\nHost: h\r\nTransfer-Encoding: chunked\r\nContent-Length: 4\r\n\r\n"),
         400},
        {BYTES("GET / HTTP/1.1\r\nHost: h\r\nA:\r\nA:\r\nA:\r\nA:\r\nA:\r\nA:\r\nA:\r\nA:\r\n\r\n"), 431},
    };
    for (size_t i = 0; i < COUNT(rows); i++) {
        porch_http1_request q = {.minor = 77};
        porch_http1_fault fault;
        assert_int_not_equal(read_request(rows[i].head, &fault, &q), PORCH_OK);
        if (fault.status != rows[i].status) fail_msg("row %zu: %u, %s", i, fault.status, fault.what);
        assert_int_equal(q.minor, 77);
    }
}

static void a_query_value_is_decoded_once_and_never_twice_given(void **state) {
    (void)state;
    char text[32];
    porch_buf out = PORCH_BUF_OF(text);
    porch_bytes query =
        BYTES("limit=50&before=a%2Fb%2525+c&empty=&flag&twice=1&twice=2&bad=%4&zero=%00&worse=%zz");
    assert_int_equal(porch_http1_query_get(query, "before", &out), PORCH_OK);
    assert_true(porch_bytes_eq_text(porch_buf_bytes(&out), "a/b%25 c"));
    out.len = 0;
    assert_int_equal(porch_http1_query_get(query, "limit", &out), PORCH_OK);
    assert_true(porch_bytes_eq_text(porch_buf_bytes(&out), "50"));
    out.len = 0;
    assert_int_equal(porch_http1_query_get(query, "empty", &out), PORCH_OK);
    assert_int_equal(porch_http1_query_get(query, "flag", &out), PORCH_OK);
    assert_int_equal(porch_http1_query_get(query, "lim", &out), PORCH_ERR_NOT_FOUND);
    assert_int_equal(porch_http1_query_get(query, "twice", &out), PORCH_ERR_MALFORMED);
    assert_int_equal(porch_http1_query_get(query, "bad", &out), PORCH_ERR_MALFORMED);
    assert_int_equal(porch_http1_query_get(query, "zero", &out), PORCH_ERR_MALFORMED);
    assert_int_equal(porch_http1_query_get(query, "worse", &out), PORCH_ERR_MALFORMED);
    assert_int_equal(porch_http1_query_get((porch_bytes){NULL, 0}, "a", &out), PORCH_ERR_NOT_FOUND);
    assert_int_equal(out.len, 0);
    porch_buf tight = {(uint8_t *)text, 0, 3};
    assert_int_equal(porch_http1_query_get(query, "before", &tight), PORCH_ERR_NO_SPACE);
    assert_int_equal(tight.len, 0);
}

static void a_written_request_is_read_back(void **state) {
    (void)state;
    uint8_t out[200];
    porch_buf b = PORCH_BUF_OF(out);
    assert_int_equal(porch_http1_request_write(&b, "POST", BYTES("/api/v1/clips?x=1"), BYTES("[::1]:8444")),
                     PORCH_OK);
    assert_int_equal(porch_http1_header_write_text(&b, "Transfer-Encoding", "chunked"), PORCH_OK);
    assert_int_equal(porch_http1_head_end(&b), PORCH_OK);
    porch_http1_request q;
    porch_http1_fault fault;
    assert_int_equal(read_request(porch_buf_bytes(&b), &fault, &q), PORCH_OK);
    assert_true(porch_bytes_eq_text(q.target, "/api/v1/clips?x=1"));
    assert_int_equal(q.body, PORCH_HTTP1_BODY_CHUNKED);
    b.len = 0;
    assert_int_equal(porch_http1_request_write(&b, "POST", BYTES("/a b"), BYTES("h")), PORCH_ERR_MALFORMED);
    assert_int_equal(porch_http1_request_write(&b, "POST", BYTES("/a?x y"), BYTES("h")),
                     PORCH_ERR_MALFORMED);
    assert_int_equal(porch_http1_request_write(&b, "PO ST", BYTES("/a"), BYTES("h")), PORCH_ERR_MALFORMED);
    assert_int_equal(porch_http1_request_write(&b, "POST", BYTES("/a"), BYTES("h\r\nX: y")),
                     PORCH_ERR_MALFORMED);
    assert_int_equal(b.len, 0);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(all_parts_of_a_request_are_found),
        cmocka_unit_test(a_connection_is_kept_as_the_version_says),
        cmocka_unit_test(each_broken_request_has_its_status),
        cmocka_unit_test(a_query_value_is_decoded_once_and_never_twice_given),
        cmocka_unit_test(a_written_request_is_read_back),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
