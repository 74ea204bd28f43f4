#include "wire/http1_chunk.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <string.h>

#include <cmocka.h>

#include "base/cursor.h"

#define COUNT(array) (sizeof(array) / sizeof((array)[0]))
#define BYTES(text)  ((porch_bytes){(const uint8_t *)(text), sizeof(text) - 1})

/* Feeds `in` in pieces of `step` bytes and collects the body. */
static porch_err feed(porch_bytes in, size_t step, porch_buf *body, bool *done, size_t *taken) {
    porch_http1_chunk c = {0};
    size_t at = 0;
    *done = false;
    while (at < in.len && !porch_http1_chunk_done(&c)) {
        size_t n = in.len - at < step ? in.len - at : step, used;
        porch_bytes data;
        PORCH_TRY(porch_http1_chunk_read(&c, (porch_bytes){in.at + at, n}, &data, &used));
        PORCH_TRY(porch_write_bytes(body, data));
        assert_true(used > 0 && used <= n);
        at += used;
    }
    *done = porch_http1_chunk_done(&c);
    *taken = at;
    return PORCH_OK;
}

static void the_body_is_the_same_in_pieces_of_any_size(void **state) {
    (void)state;
    porch_bytes in = BYTES("5\r\nhello\r\nA\r\n0123456789\r\n00001\r\n!\r\n0\r\n\r\nnext");
    for (size_t step = 1; step <= in.len; step++) {
        uint8_t out[64];
        porch_buf body = PORCH_BUF_OF(out);
        bool done;
        size_t taken;
        assert_int_equal(feed(in, step, &body, &done, &taken), PORCH_OK);
        assert_true(done);
        assert_int_equal(taken, in.len - 4);
        assert_true(porch_bytes_eq_text(porch_buf_bytes(&body), "hello0123456789!"));
    }
}

static void a_body_cut_short_is_never_done(void **state) {
    (void)state;
    porch_bytes in = BYTES("5\r\nhello\r\n0\r\n\r\n");
    for (size_t cut = 0; cut < in.len; cut++) {
        uint8_t out[64];
        porch_buf body = PORCH_BUF_OF(out);
        bool done;
        size_t taken;
        assert_int_equal(feed((porch_bytes){in.at, cut}, 64, &body, &done, &taken), PORCH_OK);
        assert_false(done);
    }
}

static void every_other_spelling_is_refused(void **state) {
    (void)state;
    const porch_bytes bad[] = {
        BYTES("\r\n"),
        BYTES("5\nhello"),
        BYTES("5\r\nhello0\r\n"),
        BYTES("5;x=y\r\n"),
        BYTES("5 \r\n"),
        BYTES(" 5\r\n"),
        BYTES("0x5\r\n"),
        BYTES("-5\r\n"),
        BYTES("5\rhello"),
        BYTES("1\r\na\n"),
        BYTES("0\r\nX: y\r\n"),
        BYTES("0\r\n\n"),
        BYTES("ffffffffffffffff\r\n"),
        BYTES("1000000000000000\r\n"),
        BYTES("g\r\n"),
    };
    for (size_t i = 0; i < COUNT(bad); i++) {
        for (size_t step = 1; step <= bad[i].len; step++) {
            uint8_t out[64];
            porch_buf body = PORCH_BUF_OF(out);
            bool done;
            size_t taken;
            if (feed(bad[i], step, &body, &done, &taken) != PORCH_ERR_MALFORMED)
                fail_msg("row %zu step %zu", i, step);
        }
    }
}

static void what_is_written_is_read_back(void **state) {
    (void)state;
    uint8_t out[512], back[512], data[300];
    memset(data, 7, sizeof data);
    porch_buf b = PORCH_BUF_OF(out), body = PORCH_BUF_OF(back);
    assert_int_equal(porch_http1_chunk_write(&b, (porch_bytes){data, sizeof data}), PORCH_OK);
    assert_int_equal(porch_http1_chunk_write(&b, (porch_bytes){NULL, 0}), PORCH_OK);
    assert_memory_equal(out, "12c\r\n", 5);
    assert_int_equal(porch_http1_chunk_write_end(&b), PORCH_OK);
    bool done;
    size_t taken;
    assert_int_equal(feed(porch_buf_bytes(&b), 17, &body, &done, &taken), PORCH_OK);
    assert_true(done && body.len == sizeof data && memcmp(back, data, sizeof data) == 0);
    size_t before = b.len;
    assert_int_equal(porch_http1_chunk_write(&b, (porch_bytes){data, 250}), PORCH_ERR_NO_SPACE);
    assert_int_equal(b.len, before);
    assert_int_equal(porch_http1_chunk_write_head(&b, 0), PORCH_ERR_MALFORMED);
    assert_int_equal(porch_http1_chunk_write_head(&b, (uint64_t)1 << 60), PORCH_ERR_MALFORMED);
    b.len = 0;
    assert_int_equal(porch_http1_chunk_write_head(&b, ((uint64_t)1 << 60) - 1), PORCH_OK);
    assert_true(b.len <= PORCH_HTTP1_CHUNK_HEAD_MOST);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(the_body_is_the_same_in_pieces_of_any_size),
        cmocka_unit_test(a_body_cut_short_is_never_done),
        cmocka_unit_test(every_other_spelling_is_refused),
        cmocka_unit_test(what_is_written_is_read_back),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
