#include "device/exchange.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

static uint8_t in_block[512], out_block[512];

static porch_exchange begin(void) {
    porch_exchange x;
    const porch_exchange_request request = {.method = "POST",
                                            .path = "/.well-known/est/simplereenroll",
                                            .host = "hub.example",
                                            .type = "application/pkcs10",
                                            .body = PORCH_LIT("MIIB")};
    assert_int_equal(
        porch_exchange_begin(&x, &request, PORCH_BUF_OF(in_block), PORCH_BUF_OF(out_block), 1000),
        PORCH_OK);
    return x;
}

static void the_request_says_what_it_is_told(void **state) {
    (void)state;
    porch_exchange x = begin();
    porch_bytes out = porch_exchange_output(&x);
    assert_true(porch_bytes_starts(out, PORCH_LIT("POST /.well-known/est/simplereenroll HTTP/1.1\r\n")));
    assert_non_null(memmem(out.at, out.len, "Content-Length: 4\r\n\r\nMIIB", 24));
    porch_exchange_sent(&x, out.len - 4);
    assert_true(porch_bytes_eq_text(porch_exchange_output(&x), "MIIB"));
}

/* Whatever pieces an answer comes in, it reads the same. */
static void expect(const char *answer, bool closed, uint16_t status, const char *body) {
    size_t len = strlen(answer);
    for (size_t step = 1; step <= len; step++) {
        porch_exchange x = begin();
        for (size_t i = 0; i < len; i += step)
            porch_exchange_take(
                &x, (porch_bytes){(const uint8_t *)answer + i, step < len - i ? step : len - i});
        if (closed) porch_exchange_closed(&x);
        assert_int_equal(x.phase, PORCH_EXCHANGE_DONE);
        assert_int_equal(x.status, status);
        assert_true(porch_bytes_eq_text(porch_exchange_body(&x), body));
    }
}

static void answers_of_every_shape_are_read_in_pieces_of_every_size(void **state) {
    (void)state;
    expect("HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nhello", false, 200, "hello");
    expect("HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nhi", false, 200, "hi");
    expect("HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nabc\r\n2\r\nde\r\n0\r\n\r\n", false,
           200, "abcde");
    expect("HTTP/1.1 403 Forbidden\r\nContent-Length: 0\r\n\r\n", false, 403, "");
    expect("HTTP/1.1 200 OK\r\nConnection: close\r\n\r\nto the end", true, 200, "to the end");
    expect("HTTP/1.1 204 No Content\r\n\r\n", false, 204, "");
}

static void refuse(const char *answer, bool closed, const char *what) {
    porch_exchange x = begin();
    porch_exchange_take(&x, porch_bytes_of(answer));
    if (closed) porch_exchange_closed(&x);
    assert_int_equal(x.phase, PORCH_EXCHANGE_FAILED);
    assert_non_null(strstr(x.what, what));
}

static void an_answer_that_is_cut_too_long_or_no_http_fails_with_a_sentence(void **state) {
    (void)state;
    char long_answer[sizeof in_block + 64];
    memset(long_answer, 'x', sizeof long_answer - 1);
    long_answer[sizeof long_answer - 1] = '\0';
    refuse("HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nhel", true, "ended before");
    refuse("HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nhi, and more", false, "more than its answer");
    refuse("HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\nzz\r\n", false, "chunks");
    refuse("nonsense\r\n\r\n", false, "");
    refuse(long_answer, false, "longer than expected");
}

static void an_answer_that_does_not_come_is_given_up(void **state) {
    (void)state;
    porch_exchange x = begin();
    porch_exchange_tick(&x, 999);
    assert_int_equal(x.phase, PORCH_EXCHANGE_HEAD);
    porch_exchange_tick(&x, 1000);
    assert_int_equal(x.phase, PORCH_EXCHANGE_FAILED);
}

static void what_the_hub_asks_to_wait_is_kept(void **state) {
    (void)state;
    porch_exchange x = begin();
    porch_exchange_take(&x, PORCH_LIT("HTTP/1.1 503 Busy\r\nRetry-After: 7\r\nContent-Length: 0\r\n\r\n"));
    assert_int_equal(x.wait_ms, 7000);
    assert_false(x.closes);
}

static void headers_are_sent_and_those_wanted_of_the_answer_are_kept(void **state) {
    (void)state;
    porch_exchange x;
    const porch_exchange_request request = {.method = "GET",
                                            .path = "/x",
                                            .host = "hub",
                                            .more = {{"Authorization", "Basic eDp5"}},
                                            .wanted = {"Porchlight-Time-Key", "Missing", "Long"}};
    assert_int_equal(
        porch_exchange_begin(&x, &request, PORCH_BUF_OF(in_block), PORCH_BUF_OF(out_block), 1000),
        PORCH_OK);
    porch_bytes out = porch_exchange_output(&x);
    assert_non_null(memmem(out.at, out.len, "Authorization: Basic eDp5\r\n", 27));
    char longest[PORCH_EXCHANGE_HEADER_BYTES + 1] = "", answer[256];
    for (size_t len = sizeof longest - 2; len < sizeof longest;
         len++) { /* one that fits, one that does not */
        memset(longest, 'a', len);
        int n = snprintf(answer, sizeof answer,
                         "HTTP/1.1 200 OK\r\nlong: %s\r\nporchlight-time-key: AAECAw==\r\n"
                         "Content-Length: 0\r\n\r\n",
                         longest);
        porch_exchange_take(&x, (porch_bytes){(const uint8_t *)answer, (size_t)n});
        assert_int_equal(x.phase, PORCH_EXCHANGE_DONE);
        assert_string_equal(x.header[0], "AAECAw==");
        assert_string_equal(x.header[1], "");
        assert_string_equal(x.header[2], len < PORCH_EXCHANGE_HEADER_BYTES ? longest : "");
        assert_int_equal(
            porch_exchange_begin(&x, &request, PORCH_BUF_OF(in_block), PORCH_BUF_OF(out_block), 1000),
            PORCH_OK);
    }
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(the_request_says_what_it_is_told),
        cmocka_unit_test(answers_of_every_shape_are_read_in_pieces_of_every_size),
        cmocka_unit_test(an_answer_that_is_cut_too_long_or_no_http_fails_with_a_sentence),
        cmocka_unit_test(an_answer_that_does_not_come_is_given_up),
        cmocka_unit_test(what_the_hub_asks_to_wait_is_kept),
        cmocka_unit_test(headers_are_sent_and_those_wanted_of_the_answer_are_kept),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
