/* One input, read three ways: as a request head, as a response head, as a chunked body. Accepted heads are
 * written again from their parts and must read back to the same parts; a body must come out the same in
 * pieces of any size. */
#include <stdlib.h>
#include <string.h>

#include "wire/http1_chunk.h"
#include "wire/http1_request.h"
#include "wire/http1_response.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

#define MOST 8192
static const porch_http1_limits limits = {4096, 1024, 32};

static void must(bool holds) {
    if (!holds) abort();
}

static void write_headers(porch_buf *b, const porch_http1_headers *headers, const char *skip) {
    for (size_t i = 0; i < headers->count; i++) {
        char name[4097];
        must(porch_bytes_to_text(headers->at[i].name, name, sizeof name));
        if (skip != NULL && porch_bytes_eq_nocase(headers->at[i].name, porch_bytes_of(skip))) continue;
        must(porch_http1_header_write(b, name, headers->at[i].value) == PORCH_OK);
    }
    must(porch_http1_head_end(b) == PORCH_OK);
}

static void a_request(porch_bytes head) {
    porch_http1_header room[32] = {0}, again[32] = {0};
    porch_http1_request q, p;
    porch_http1_fault fault = {0, NULL};
    if (porch_http1_request_read(head, &limits, (porch_http1_headers){room, 0, 32}, &fault, &q) !=
        PORCH_OK) {
        must(fault.status >= 400 && fault.status <= 505 && fault.what != NULL);
        return;
    }
    must(memchr(q.path.at, '%', q.path.len) == NULL && q.path.at[0] == '/');
    uint8_t value[1024];
    porch_buf v = PORCH_BUF_OF(value);
    porch_err e = porch_http1_query_get(q.query, "a", &v);
    must(e == PORCH_OK || v.len == 0);
    if (q.minor == 0) return; /* we write 1.1 only */
    char method[4097];
    uint8_t out[MOST];
    porch_buf b = PORCH_BUF_OF(out);
    must(porch_bytes_to_text(q.method, method, sizeof method));
    must(porch_http1_request_write(&b, method, q.target, q.host) == PORCH_OK);
    write_headers(&b, &q.headers, "Host");
    must(porch_http1_request_read(porch_buf_bytes(&b), &limits, (porch_http1_headers){again, 0, 32}, NULL,
                                  &p) == PORCH_OK);
    must(porch_bytes_eq(p.target, q.target) && porch_bytes_eq(p.host, q.host) &&
         porch_bytes_eq(p.method, q.method));
    must(p.headers.count == q.headers.count && p.body == q.body && p.body_bytes == q.body_bytes);
    must(p.keep_alive == q.keep_alive && p.expect_continue == q.expect_continue);
}

static void a_response(porch_bytes head) {
    porch_http1_header room[32] = {0}, again[32] = {0};
    porch_http1_response s, p;
    if (porch_http1_response_read(head, &limits, false, (porch_http1_headers){room, 0, 32}, NULL, &s) !=
        PORCH_OK)
        return;
    uint8_t out[MOST];
    porch_buf b = PORCH_BUF_OF(out);
    must(porch_http1_status_write(&b, s.status) == PORCH_OK);
    write_headers(&b, &s.headers, NULL);
    if (s.minor == 0) return;
    must(porch_http1_response_read(porch_buf_bytes(&b), &limits, false, (porch_http1_headers){again, 0, 32},
                                   NULL, &p) == PORCH_OK);
    must(p.status == s.status && p.body == s.body && p.body_bytes == s.body_bytes &&
         p.keep_alive == s.keep_alive);
}

/* Feeds in pieces of `step`; gives what came out and whether it was good. */
static porch_err a_body(porch_bytes in, size_t step, porch_buf *out, size_t *taken) {
    porch_http1_chunk c = {0};
    size_t at = 0;
    while (at < in.len && !porch_http1_chunk_done(&c)) {
        size_t n = in.len - at < step ? in.len - at : step, used;
        porch_bytes data;
        PORCH_TRY(porch_http1_chunk_read(&c, (porch_bytes){in.at + at, n}, &data, &used));
        must(used > 0 && used <= n && data.len <= used);
        must(porch_write_bytes(out, data) == PORCH_OK);
        at += used;
    }
    *taken = at;
    return porch_http1_chunk_done(&c) ? PORCH_OK : PORCH_ERR_TRUNCATED;
}

static void a_chunked_body(porch_bytes in) {
    static uint8_t whole[65536], pieces[65536];
    porch_buf a = PORCH_BUF_OF(whole), b = PORCH_BUF_OF(pieces);
    size_t taken_whole = 0, taken_pieces = 0;
    if (in.len > sizeof whole) return;
    porch_err first = a_body(in, in.len, &a, &taken_whole);
    porch_err second = a_body(in, 1, &b, &taken_pieces);
    must(first == second && (first == PORCH_ERR_MALFORMED || taken_whole == taken_pieces));
    must(first == PORCH_ERR_MALFORMED || (a.len == b.len && memcmp(whole, pieces, a.len) == 0));
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
    porch_bytes in = {data, size};
    size_t scanned = 0, head = 0, slowly = 0, slow_head = 0;
    porch_err e = porch_http1_head_find(in, &limits, &scanned, &head, NULL);
    porch_err slow = PORCH_ERR_TRUNCATED;
    for (size_t n = 0; n <= size && slow == PORCH_ERR_TRUNCATED; n++)
        slow = porch_http1_head_find((porch_bytes){data, n}, &limits, &slowly, &slow_head, NULL);
    must(e == slow && head == slow_head);
    if (e == PORCH_OK) {
        a_request((porch_bytes){data, head});
        a_response((porch_bytes){data, head});
    }
    a_chunked_body(in);
    return 0;
}
