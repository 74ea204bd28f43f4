#include "wire/http1_head.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <string.h>

#include <cmocka.h>

#define COUNT(array) (sizeof(array) / sizeof((array)[0]))
#define BYTES(text)  ((porch_bytes){(const uint8_t *)(text), sizeof(text) - 1})

static const porch_http1_limits roomy = {1000, 100, 8};

static void the_head_ends_at_the_empty_line_however_the_bytes_come(void **state) {
    (void)state;
    porch_bytes in = BYTES("GET / HTTP/1.1\r\nHost: h\r\n\r\nbody");
    size_t scanned = 0, head = 0;
    for (size_t cut = 0; cut < in.len - 4; cut++) {
        assert_int_equal(porch_http1_head_find((porch_bytes){in.at, cut}, &roomy, &scanned, &head, NULL),
                         PORCH_ERR_TRUNCATED);
        assert_int_equal(scanned, cut); /* nothing is looked at twice */
    }
    assert_int_equal(porch_http1_head_find(in, &roomy, &scanned, &head, NULL), PORCH_OK);
    assert_int_equal(head, in.len - 4);
}

static void bare_line_ends_zeros_and_empty_starts_are_refused_at_once(void **state) {
    (void)state;
    const porch_bytes bad[] = {BYTES("GET / HTTP/1.1\n"),
                               BYTES("GET / HTTP/1.1\rX"),
                               BYTES("GET /\0"),
                               BYTES("\r\n"),
                               BYTES("\n"),
                               BYTES("A\r\r"),
                               BYTES("A\r\nB: c\n")};
    for (size_t i = 0; i < COUNT(bad); i++) {
        size_t scanned = 0, head = 0;
        porch_http1_fault fault = {0, NULL};
        assert_int_equal(porch_http1_head_find(bad[i], &roomy, &scanned, &head, &fault),
                         PORCH_ERR_MALFORMED);
        assert_int_equal(fault.status, 400);
    }
}

static void a_head_at_the_limit_passes_and_one_byte_more_does_not(void **state) {
    (void)state;
    porch_bytes in = BYTES("A\r\nB: c\r\n\r\n");
    size_t scanned = 0, head = 0;
    porch_http1_fault fault = {0, NULL};
    porch_http1_limits exact = {in.len, 100, 8}, tight = {in.len - 1, 100, 8};
    assert_int_equal(porch_http1_head_find(in, &exact, &scanned, &head, &fault), PORCH_OK);
    scanned = 0;
    assert_int_equal(porch_http1_head_find(in, &tight, &scanned, &head, &fault), PORCH_ERR_LIMIT);
    assert_int_equal(fault.status, 431);
}

static porch_err read_headers(porch_bytes lines, size_t cap, porch_http1_fault *fault,
                              porch_http1_headers *ret, porch_http1_header *room) {
    *ret = (porch_http1_headers){room, 0, cap};
    return porch_http1_headers_read(lines, &roomy, ret, fault);
}

static void header_lines_are_strict(void **state) {
    (void)state;
    porch_http1_header room[8];
    porch_http1_headers h;
    porch_http1_fault fault;
    assert_int_equal(read_headers(BYTES("A: b\r\nC:\r\nD:\t e f \r\na: 2\r\n\r\n"), 8, &fault, &h, room),
                     PORCH_OK);
    assert_int_equal(h.count, 4);
    assert_true(porch_bytes_eq_text(porch_http1_header_find(&h, "d")->value, "e f"));
    assert_int_equal(porch_http1_header_find(&h, "c")->value.len, 0);
    assert_int_equal(porch_http1_header_count(&h, "A"), 2);
    assert_null(porch_http1_header_find(&h, "x"));
    const porch_bytes bad[] = {BYTES("A b\r\n\r\n"),         BYTES("A : b\r\n\r\n"),
                               BYTES(": b\r\n\r\n"),         BYTES("A: b\r\n c\r\n\r\n"),
                               BYTES("A: b\r\n\tc\r\n\r\n"), BYTES("A: b\x01\r\n\r\n"),
                               BYTES("A: \x7f\r\n\r\n"),     BYTES("A(: b\r\n\r\n"),
                               BYTES("\x80: b\r\n\r\n"),     BYTES("A: b\r\n\r\nX")};
    for (size_t i = 0; i < COUNT(bad); i++) {
        if (read_headers(bad[i], 8, &fault, &h, room) != PORCH_ERR_MALFORMED) fail_msg("row %zu", i);
        assert_int_equal(fault.status, 400);
    }
    assert_int_equal(read_headers(BYTES("A: b\r\nC: d\r\n\r\n"), 1, &fault, &h, room), PORCH_ERR_LIMIT);
    assert_int_equal(fault.status, 431);
    assert_int_equal(read_headers(BYTES("A:\r\nA:\r\nA:\r\nA:\r\nA:\r\nA:\r\nA:\r\nA:\r\nA:\r\n\r\n"), 8,
                                  &fault, &h, room),
                     PORCH_ERR_LIMIT);
}

static void a_body_has_one_length_or_is_refused(void **state) {
    (void)state;
    const struct {
        porch_bytes lines;
        unsigned minor;
        uint16_t status; /* 0: accepted */
        porch_http1_body_kind kind;
        uint64_t length;
    } rows[] = {
        {BYTES("\r\n"), 1, 0, PORCH_HTTP1_BODY_NONE, 0},
        {BYTES("Content-Length: 0\r\n\r\n"), 1, 0, PORCH_HTTP1_BODY_LENGTH, 0},
        {BYTES("content-length: 42\r\n\r\n"), 1, 0, PORCH_HTTP1_BODY_LENGTH, 42},
        {BYTES("Transfer-Encoding: Chunked\r\n\r\n"), 1, 0, PORCH_HTTP1_BODY_CHUNKED, 0},
        {BYTES("Content-Length: 1\r\nTransfer-Encoding: chunked\r\n\r\n"), 1, 400, 0, 0},
        {BYTES("Content-Length: 1\r\nContent-Length: 1\r\n\r\n"), 1, 400, 0, 0},
        {BYTES("Content-Length: 1, 1\r\n\r\n"), 1, 400, 0, 0},
        {BYTES("Content-Length: +1\r\n\r\n"), 1, 400, 0, 0},
        {BYTES("Content-Length: 01\r\n\r\n"), 1, 400, 0, 0},
        {BYTES("Content-Length: 0x1\r\n\r\n"), 1, 400, 0, 0},
        {BYTES("Content-Length: -1\r\n\r\n"), 1, 400, 0, 0},
        {BYTES("Content-Length:\r\n\r\n"), 1, 400, 0, 0},
        {BYTES("Content-Length: 9223372036854775808\r\n\r\n"), 1, 400, 0, 0},
        {BYTES("Content-Length: 99999999999999999999\r\n\r\n"), 1, 400, 0, 0},
        {BYTES("Transfer-Encoding: chunked\r\nTransfer-Encoding: chunked\r\n\r\n"), 1, 400, 0, 0},
        {BYTES("Transfer-Encoding: gzip, chunked\r\n\r\n"), 1, 501, 0, 0},
        {BYTES("Transfer-Encoding: identity\r\n\r\n"), 1, 501, 0, 0},
        {BYTES("Transfer-Encoding: xchunked\r\n\r\n"), 1, 501, 0, 0},
        {BYTES("Transfer-Encoding: chunked\r\n\r\n"), 0, 400, 0, 0},
    };
    for (size_t i = 0; i < COUNT(rows); i++) {
        porch_http1_header room[8];
        porch_http1_headers h;
        porch_http1_fault fault = {0, NULL};
        porch_http1_body_kind kind;
        uint64_t length;
        assert_int_equal(read_headers(rows[i].lines, 8, &fault, &h, room), PORCH_OK);
        porch_err e = porch_http1_body_read(&h, rows[i].minor, &fault, &kind, &length);
        if (e != (rows[i].status == 0 ? PORCH_OK : PORCH_ERR_MALFORMED)) fail_msg("row %zu", i);
        assert_int_equal(fault.status, rows[i].status);
        if (e == PORCH_OK) assert_true(kind == rows[i].kind && length == rows[i].length);
    }
}

static void a_list_is_searched_token_by_token(void **state) {
    (void)state;
    porch_http1_header room[8];
    porch_http1_headers h;
    assert_int_equal(
        read_headers(BYTES("Connection: a , Close\r\nconnection: keep-alive\r\n\r\n"), 8, NULL, &h, room),
        PORCH_OK);
    assert_true(porch_http1_header_lists(&h, "Connection", "close"));
    assert_true(porch_http1_header_lists(&h, "Connection", "keep-alive"));
    assert_false(porch_http1_header_lists(&h, "Connection", "clos"));
    assert_false(porch_http1_header_lists(&h, "Connection", "keep"));
}

static void nobody_injects_a_line_through_a_writer(void **state) {
    (void)state;
    uint8_t out[64];
    porch_buf b = PORCH_BUF_OF(out);
    assert_int_equal(porch_http1_header_write(&b, "A", BYTES("x\r\nB: y")), PORCH_ERR_MALFORMED);
    assert_int_equal(porch_http1_header_write(&b, "A", BYTES("x\0")), PORCH_ERR_MALFORMED);
    assert_int_equal(porch_http1_header_write(&b, "A: b\r\nC", BYTES("x")), PORCH_ERR_MALFORMED);
    assert_int_equal(porch_http1_header_write(&b, "", BYTES("x")), PORCH_ERR_MALFORMED);
    assert_int_equal(b.len, 0);
    assert_int_equal(porch_http1_header_write_text(&b, "A", "b"), PORCH_OK);
    assert_int_equal(porch_http1_header_write_number(&b, "N", 18446744073709551615u), PORCH_OK);
    assert_int_equal(porch_http1_head_end(&b), PORCH_OK);
    assert_true(porch_bytes_eq_text(porch_buf_bytes(&b), "A: b\r\nN: 18446744073709551615\r\n\r\n"));
    porch_buf tight = {out, 0, 5};
    assert_int_equal(porch_http1_header_write_text(&tight, "A", "b"), PORCH_ERR_NO_SPACE);
    assert_int_equal(tight.len, 0);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(the_head_ends_at_the_empty_line_however_the_bytes_come),
        cmocka_unit_test(bare_line_ends_zeros_and_empty_starts_are_refused_at_once),
        cmocka_unit_test(a_head_at_the_limit_passes_and_one_byte_more_does_not),
        cmocka_unit_test(header_lines_are_strict),
        cmocka_unit_test(a_body_has_one_length_or_is_refused),
        cmocka_unit_test(a_list_is_searched_token_by_token),
        cmocka_unit_test(nobody_injects_a_line_through_a_writer),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
