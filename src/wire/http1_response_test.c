#include "wire/http1_response.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <string.h>

#include <cmocka.h>

#define COUNT(array) (sizeof(array) / sizeof((array)[0]))
#define BYTES(text)  ((porch_bytes){(const uint8_t *)(text), sizeof(text) - 1})

static const porch_http1_limits limits = {1000, 40, 8};
static porch_http1_header room[8];

static porch_err read_response(porch_bytes head, bool to_head, porch_http1_response *ret) {
    porch_http1_fault fault;
    return porch_http1_response_read(head, &limits, to_head, (porch_http1_headers){room, 0, COUNT(room)},
                                     &fault, ret);
}

static void status_headers_and_body_are_found(void **state) {
    (void)state;
    const struct {
        porch_bytes head;
        bool to_head;
        uint16_t status;
        porch_http1_body_kind body;
        bool keep;
    } rows[] = {
        {BYTES("HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\n"), false, 200, PORCH_HTTP1_BODY_LENGTH, true},
        {BYTES("HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\n"), true, 200, PORCH_HTTP1_BODY_NONE, true},
        {BYTES("HTTP/1.1 204 \r\n\r\n"), false, 204, PORCH_HTTP1_BODY_NONE, true},
        {BYTES("HTTP/1.1 304 Not Modified\r\nContent-Length: 5\r\n\r\n"), false, 304, PORCH_HTTP1_BODY_NONE,
         true},
        {BYTES("HTTP/1.1 100 Continue\r\n\r\n"), false, 100, PORCH_HTTP1_BODY_NONE, true},
        {BYTES("HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n"), false, 200,
         PORCH_HTTP1_BODY_CHUNKED, true},
        {BYTES("HTTP/1.1 500 x\r\n\r\n"), false, 500, PORCH_HTTP1_BODY_CLOSE, false},
        {BYTES("HTTP/1.1 201 x\r\nConnection: close\r\nContent-Length: 0\r\n\r\n"), false, 201,
         PORCH_HTTP1_BODY_LENGTH, false},
    };
    for (size_t i = 0; i < COUNT(rows); i++) {
        porch_http1_response s;
        assert_int_equal(read_response(rows[i].head, rows[i].to_head, &s), PORCH_OK);
        assert_int_equal(s.status, rows[i].status);
        assert_int_equal(s.body, rows[i].body);
        assert_int_equal(s.keep_alive, rows[i].keep);
    }
}

static void a_broken_response_is_refused(void **state) {
    (void)state;
    const porch_bytes bad[] = {
        BYTES("HTTP/1.1 200\r\n\r\n"),
        BYTES("HTTP/1.1 20 OK\r\n\r\n"),
        BYTES("HTTP/1.1 2000 OK\r\n\r\n"),
        BYTES("HTTP/2.0 200 OK\r\n\r\n"),
        BYTES("HTTP/1.1  200 OK\r\n\r\n"),
        BYTES("HTTP/1.1 2x0 OK\r\n\r\n"),
        BYTES("HTTP/1.1 099 OK\r\n\r\n"),
        BYTES("HTTP/1.1 600 OK\r\n\r\n"),
        BYTES("\r\n\r\n"),
        BYTES("HTTP/1.1 200 O\x01K\r\n\r\n"),
        BYTES("HTTP/1.1 200 OK\r\nContent-Length: 1\r\nTransfer-Encoding: chunked\r\n\r\n"),
        BYTES("HTTP/1.1 200 OK\r\nContent-Length: 1\r\nContent-Length: 2\r\n\r\n"),
    };
    for (size_t i = 0; i < COUNT(bad); i++) {
        porch_http1_response s;
        if (read_response(bad[i], false, &s) == PORCH_OK) fail_msg("row %zu", i);
    }
}

static void a_status_line_is_written_with_its_phrase(void **state) {
    (void)state;
    uint8_t out[64];
    porch_buf b = PORCH_BUF_OF(out);
    assert_int_equal(porch_http1_status_write(&b, 404), PORCH_OK);
    assert_true(porch_bytes_eq_text(porch_buf_bytes(&b), "HTTP/1.1 404 Not Found\r\n"));
    b.len = 0;
    assert_int_equal(porch_http1_status_write(&b, 299), PORCH_OK);
    assert_true(porch_bytes_eq_text(porch_buf_bytes(&b), "HTTP/1.1 299 Success\r\n"));
    assert_int_equal(porch_http1_status_write(&b, 99), PORCH_ERR_MALFORMED);
    assert_int_equal(porch_http1_status_write(&b, 600), PORCH_ERR_MALFORMED);
    porch_buf tight = {out, 0, 12};
    assert_int_equal(porch_http1_status_write(&tight, 200), PORCH_ERR_NO_SPACE);
    assert_int_equal(tight.len, 0);
    assert_string_equal(porch_http1_status_text(599), "Server Error");
    assert_string_equal(porch_http1_status_text(42), "Unknown");
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(status_headers_and_body_are_found),
        cmocka_unit_test(a_broken_response_is_refused),
        cmocka_unit_test(a_status_line_is_written_with_its_phrase),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
