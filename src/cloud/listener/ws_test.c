/* The server's side of RFC 6455 as MQTT uses it, row by row: what frames carry, what is refused and with
 * which close code, however the bytes are cut. */
#include "cloud/listener/ws.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

enum { FIN = 0x80, CONT = 0, TEXT = 1, BINARY = 2, CLOSE = 8, PING = 9, PONG = 10, MASKED = 0x80 };

static const porch_ws_limits limits = {1000, 1500, 4, 5};

/* ---- what a client sends ---- */

typedef struct {
    uint8_t at[8192];
    size_t len;
} bytes;

static void frame(bytes *b, uint8_t first, bool masked, size_t len, const void *payload) {
    static const uint8_t mask[4] = {0x11, 0x22, 0x33, 0x44};
    uint8_t *at = b->at + b->len;
    size_t n = 0;
    at[n++] = first;
    if (len < 126) {
        at[n++] = (uint8_t)(len | (masked ? MASKED : 0));
    } else {
        at[n++] = (uint8_t)(126 | (masked ? MASKED : 0));
        at[n++] = (uint8_t)(len >> 8);
        at[n++] = (uint8_t)len;
    }
    for (size_t i = 0; masked && i < 4; i++)
        at[n++] = mask[i];
    for (size_t i = 0; i < len; i++) {
        uint8_t v = payload == NULL ? (uint8_t)i : ((const uint8_t *)payload)[i];
        at[n++] = masked ? v ^ mask[i % 4] : v;
    }
    b->len += n;
}

static void raw(bytes *b, const void *at, size_t len) {
    memcpy(b->at + b->len, at, len);
    b->len += len;
}

/* ---- what the hub answers ---- */

/* The close code among the control frames that leave, 0 without one. */
static unsigned close_code(porch_ws *w, size_t *pongs) {
    uint8_t text[PORCH_WS_CONTROL_MOST];
    porch_buf out = PORCH_BUF_OF(text);
    unsigned code = 0;
    *pongs = 0;
    porch_ws_control(w, &out, true);
    for (size_t at = 0; at < out.len;) {
        size_t len = text[at + 1];
        assert_true(len < 126);
        assert_true(at + 2 + len <= out.len);
        if (text[at] == (FIN | PONG)) (*pongs)++;
        if (text[at] == (FIN | CLOSE) && len >= 2) code = (unsigned)text[at + 2] << 8 | text[at + 3];
        at += 2 + len;
    }
    return code;
}

/* ---- the rows ---- */

static void one_frame(bytes *b) {
    frame(b, FIN | BINARY, true, 5, "hello");
}
static void two_frames_and_a_message_of_three(bytes *b) {
    frame(b, FIN | BINARY, true, 2, "he");
    frame(b, BINARY, true, 1, "l");
    frame(b, CONT, true, 1, "l");
    frame(b, FIN | CONT, true, 1, "o");
}
static void a_ping_between_fragments(bytes *b) {
    frame(b, BINARY, true, 3, "hel");
    frame(b, FIN | PING, true, 3, "you");
    frame(b, FIN | CONT, true, 2, "lo");
}
static void an_unasked_pong(bytes *b) {
    frame(b, FIN | PONG, true, 0, NULL);
    frame(b, FIN | BINARY, true, 5, "hello");
}
static void empty_frames_within_the_limit(bytes *b) {
    frame(b, FIN | BINARY, true, 0, NULL);
    frame(b, FIN | BINARY, true, 5, "hello");
}
static void goodbye(bytes *b) {
    frame(b, FIN | BINARY, true, 5, "hello");
    frame(b, FIN | CLOSE, true, 2, "\x03\xe8");
    frame(b, FIN | BINARY, true, 5, "never");
}
static void goodbye_without_code(bytes *b) {
    frame(b, FIN | CLOSE, true, 0, NULL);
}
static void text_frame(bytes *b) {
    frame(b, FIN | BINARY, true, 5, "hello");
    frame(b, FIN | TEXT, true, 5, "never");
}
static void unmasked(bytes *b) {
    frame(b, FIN | BINARY, false, 5, "never");
}
static void reserved_bit(bytes *b) {
    frame(b, FIN | 0x40 | BINARY, true, 5, "never"); /* as permessage-deflate would set it */
}
static void reserved_opcode(bytes *b) {
    frame(b, FIN | 3, true, 5, "never");
}
static void reserved_control(bytes *b) {
    frame(b, FIN | 11, true, 0, NULL);
}
static void a_continuation_of_nothing(bytes *b) {
    frame(b, FIN | CONT, true, 5, "never");
}
static void a_message_within_a_message(bytes *b) {
    frame(b, BINARY, true, 5, "hello");
    frame(b, FIN | BINARY, true, 5, "never");
}
static void a_fragmented_ping(bytes *b) {
    frame(b, PING, true, 1, "x");
}
static void a_long_ping(bytes *b) {
    frame(b, FIN | PING, true, 126, NULL);
}
static void a_length_in_too_many_bytes(bytes *b) {
    raw(b, "\x82\xfe\x00\x05\x00\x00\x00\x00never", 13);
}
static void a_length_with_the_top_bit(bytes *b) {
    raw(b, "\x82\xff\x80\x00\x00\x00\x00\x00\x00\x01\x00\x00\x00\x00x", 15);
}
static void a_frame_too_large(bytes *b) {
    frame(b, FIN | BINARY, true, 1001, NULL);
}
static void a_message_too_large(bytes *b) {
    frame(b, BINARY, true, 5, "hello");
    frame(b, CONT, true, 0, NULL);
    frame(b, CONT, true, 1000, NULL);
    frame(b, CONT, true, 496, NULL);
}
static void too_many_fragments(bytes *b) {
    frame(b, BINARY, true, 1, "h");
    frame(b, CONT, true, 1, "e");
    frame(b, CONT, true, 1, "l");
    frame(b, CONT, true, 2, "lo");
    frame(b, FIN | CONT, true, 1, "!");
}
static void a_flood_of_pings(bytes *b) {
    for (int i = 0; i < 6; i++)
        frame(b, FIN | PING, true, 1, "x");
}
static void a_flood_of_empty_frames(bytes *b) {
    for (int i = 0; i < 6; i++)
        frame(b, FIN | BINARY, true, 0, NULL);
}
static void a_close_code_that_is_none(bytes *b) {
    frame(b, FIN | CLOSE, true, 2, "\x00\x01");
}
static void a_close_of_one_byte(bytes *b) {
    frame(b, FIN | CLOSE, true, 1, "\x03");
}

static const struct {
    const char *name;
    void (*make)(bytes *b);
    const char *carried; /* begins with this; NULL: nothing at all */
    bool over;
    const char *fault; /* is in the sentence; NULL: none */
    unsigned code;     /* our close frame's, 0: none; 1 any */
    size_t pongs;
} rows[] = {
    {"one frame", one_frame, "hello", false, NULL, 0, 0},
    {"fragments", two_frames_and_a_message_of_three, "hello", false, NULL, 0, 0},
    {"a ping between fragments", a_ping_between_fragments, "hello", false, NULL, 0, 1},
    {"an unasked pong", an_unasked_pong, "hello", false, NULL, 0, 0},
    {"few empty frames", empty_frames_within_the_limit, "hello", false, NULL, 0, 0},
    {"goodbye", goodbye, "hello", true, NULL, 1000, 0},
    {"goodbye without code", goodbye_without_code, NULL, true, NULL, 0, 0},
    {"text", text_frame, "hello", true, "text frame", 1003, 0},
    {"unmasked", unmasked, NULL, true, "RFC 6455", 1002, 0},
    {"reserved bit", reserved_bit, NULL, true, "RFC 6455", 1002, 0},
    {"reserved opcode", reserved_opcode, NULL, true, "RFC 6455", 1002, 0},
    {"reserved control", reserved_control, NULL, true, "RFC 6455", 1002, 0},
    {"continuation of nothing", a_continuation_of_nothing, NULL, true, "RFC 6455", 1002, 0},
    {"message within a message", a_message_within_a_message, "hello", true, "RFC 6455", 1002, 0},
    {"fragmented ping", a_fragmented_ping, NULL, true, "RFC 6455", 1002, 0},
    {"long ping", a_long_ping, NULL, true, "RFC 6455", 1002, 0},
    {"length in too many bytes", a_length_in_too_many_bytes, NULL, true, "RFC 6455", 1002, 0},
    {"length with the top bit", a_length_with_the_top_bit, NULL, true, "RFC 6455", 1002, 0},
    {"frame too large", a_frame_too_large, NULL, true, "websocket.frame_bytes", 1009, 0},
    {"message too large", a_message_too_large, "hello", true, "websocket.message_bytes", 1009, 0},
    {"too many fragments", too_many_fragments, "hello", true, "websocket.fragments", 1008, 0},
    {"flood of pings", a_flood_of_pings, NULL, true, "websocket.control_frames", 1008, 1},
    {"flood of empty frames", a_flood_of_empty_frames, NULL, true, "websocket.control_frames", 1008, 0},
    {"close code that is none", a_close_code_that_is_none, NULL, true, "RFC 6455", 1002, 0},
    {"close of one byte", a_close_of_one_byte, NULL, true, "RFC 6455", 1002, 0},
};

static void play(size_t row, size_t step) {
    bytes b = {.len = 0}, got = {.len = 0};
    porch_ws *w = porch_ws_new(&limits);
    size_t pongs;
    assert_non_null(w);
    rows[row].make(&b);
    for (size_t at = 0; at < b.len; at += step) {
        size_t n = b.len - at < step ? b.len - at : step;
        uint8_t *piece = malloc(n); /* its own block: a byte too far is seen */
        assert_non_null(piece);
        memcpy(piece, b.at + at, n);
        size_t carried = porch_ws_unwrap(w, piece, n, 0);
        assert_true(carried <= n);
        raw(&got, piece, carried);
        free(piece);
    }
    const char *fault = porch_ws_fault(w);
    unsigned code = close_code(w, &pongs);
    size_t want = rows[row].carried == NULL ? 0 : strlen(rows[row].carried);
    bool good = got.len >= want && (want > 0 || got.len == 0) &&
                (want == 0 || memcmp(got.at, rows[row].carried, want) == 0) &&
                porch_ws_over(w) == rows[row].over && (fault == NULL) == (rows[row].fault == NULL) &&
                (fault == NULL || strstr(fault, rows[row].fault) != NULL) && code == rows[row].code &&
                pongs == rows[row].pongs;
    if (!good)
        fail_msg("%s, cut by %zu: %zu bytes, over %d, fault %s, code %u, pongs %zu", rows[row].name, step,
                 got.len, porch_ws_over(w), fault == NULL ? "-" : fault, code, pongs);
    porch_ws_free(w);
}

static void each_row_is_taken_or_refused_however_it_is_cut(void **state) {
    (void)state;
    for (size_t row = 0; row < sizeof rows / sizeof rows[0]; row++)
        for (size_t step = 1; step < 2100; step = step < 20 ? step + 1 : step * 2 + 1)
            play(row, step);
}

static void the_flood_limit_begins_anew_after_ten_seconds(void **state) {
    (void)state;
    porch_ws *w = porch_ws_new(&limits);
    for (uint64_t now = 0; now < 100000; now += 2001) {
        bytes b = {.len = 0};
        size_t pongs;
        frame(&b, FIN | PING, true, 0, NULL);
        assert_int_equal(porch_ws_unwrap(w, b.at, b.len, now), 0);
        assert_false(porch_ws_over(w));
        assert_true(porch_ws_has_control(w));
        assert_int_equal(close_code(w, &pongs), 0);
        assert_int_equal(pongs, 1);
    }
    porch_ws_free(w);
}

static void of_many_pings_the_last_is_answered(void **state) {
    (void)state;
    porch_ws *w = porch_ws_new(&limits);
    uint8_t text[PORCH_WS_CONTROL_MOST];
    porch_buf out = PORCH_BUF_OF(text);
    bytes b = {.len = 0};
    frame(&b, FIN | PING, true, 125, NULL);
    frame(&b, FIN | PING, true, 4, "last");
    assert_int_equal(porch_ws_unwrap(w, b.at, b.len, 0), 0);
    porch_ws_control(w, &out, false);
    assert_int_equal(out.len, 6);
    assert_memory_equal(text, "\x8a\x04last", 6);
    porch_ws_free(w);
}

static void the_close_frame_leaves_last_and_once(void **state) {
    (void)state;
    porch_ws *w = porch_ws_new(&limits);
    uint8_t text[2 * PORCH_WS_CONTROL_MOST];
    porch_buf out = {text, 0, PORCH_WS_CONTROL_MOST - 1};
    porch_ws_ping(w);
    porch_ws_control(w, &out, false);
    assert_int_equal(out.len, 0); /* no room: nothing, not a part */
    out.cap = sizeof text;
    porch_ws_control(w, &out, false);
    assert_int_equal(out.len, 2);
    assert_int_equal(text[0], FIN | PING);
    out.len = 0;
    porch_ws_close(w, PORCH_WS_GOING_AWAY);
    porch_ws_close(w, PORCH_WS_NORMAL);
    porch_ws_control(w, &out, false);
    assert_int_equal(out.len, 0); /* data may still come before it */
    porch_ws_control(w, &out, true);
    assert_int_equal(out.len, 4);
    assert_memory_equal(text, "\x88\x02\x03\xe9", 4);
    porch_ws_control(w, &out, true);
    assert_int_equal(out.len, 4);
    porch_ws_free(w);
}

static void a_frames_head_has_the_shortest_length(void **state) {
    (void)state;
    static const struct {
        size_t payload, len;
        uint8_t head[4];
    } heads[] = {
        {1, 2, {0x82, 1}},
        {125, 2, {0x82, 125}},
        {126, 4, {0x82, 126, 0, 126}},
        {16380, 4, {0x82, 126, 0x3f, 0xfc}},
        {65535, 4, {0x82, 126, 0xff, 0xff}},
    };
    for (size_t i = 0; i < sizeof heads / sizeof heads[0]; i++) {
        uint8_t out[PORCH_WS_HEAD_MOST];
        assert_int_equal(porch_ws_head(out, heads[i].payload), heads[i].len);
        assert_memory_equal(out, heads[i].head, heads[i].len);
    }
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(each_row_is_taken_or_refused_however_it_is_cut),
        cmocka_unit_test(the_flood_limit_begins_anew_after_ten_seconds),
        cmocka_unit_test(of_many_pings_the_last_is_answered),
        cmocka_unit_test(the_close_frame_leaves_last_and_once),
        cmocka_unit_test(a_frames_head_has_the_shortest_length),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
