/* A connection in WebSocket frames keeps porch_conn's contract: see conn_test.c, of which this is the same
 * small protocol. And what frames add: one frame a turn, close codes, pings. */
#include "cloud/listener/ws_testbed.h"

#include <stdatomic.h>

static ws_hub hub;
static atomic_int closed, moved;

typedef struct {
    uint8_t *at;
    size_t len, cap, sent;
} echo;

static echo *state_of(porch_conn *c) {
    echo *e = porch_conn_user(c);
    if (e == NULL) {
        e = calloc(1, sizeof *e);
        porch_conn_set_user(c, e);
    }
    return e;
}

static void append(echo *e, uint8_t b) {
    if (e->len == e->cap) {
        e->cap = 2 * e->cap + 1000;
        e->at = realloc(e->at, e->cap);
        if (e->at == NULL) abort();
    }
    e->at[e->len++] = b;
}

static void on_open(porch_conn *c) {
    porch_conn_set_user(c, NULL);
}

/* 'm' moves to the other shard, 'p' pauses for a timer, 'k' closes, 'a' puts "A" before what fill gives;
 * other bytes are sent back. A block that begins with '(' is taken only when it is whole, up to ')'. */
static size_t on_take(porch_conn *c, porch_bytes in) {
    porch_shard *s = porch_conn_shard(c);
    for (size_t i = 0; i < in.len; i++) {
        uint8_t b = in.at[i];
        if (b == 'm' && porch_conn_user(c) == NULL) {
            atomic_fetch_add(&moved, 1);
            porch_conn_move(c, 1 - porch_shard_index(s));
            return i + 1;
        }
        if (b == '(' && memchr(in.at + i, ')', in.len - i) == NULL) return i;
        if (b == 'p') {
            porch_conn_pause(c);
            porch_conn_timer(c, 5);
            return i + 1;
        }
        if (b == 'k') {
            porch_conn_put(c, PORCH_LIT("bye"));
            porch_conn_close(c);
            return i + 1;
        }
        if (b == 'a') porch_conn_put(c, PORCH_LIT("A"));
        append(state_of(c), b);
        porch_conn_want_write(c);
    }
    return in.len;
}

static void on_fill(porch_conn *c, porch_buf *out) {
    echo *e = porch_conn_user(c);
    if (e == NULL) return;
    size_t n = e->len - e->sent;
    if (n > out->cap - out->len) n = out->cap - out->len;
    if (n > 0) memcpy(out->at + out->len, e->at + e->sent, n);
    out->len += n;
    e->sent += n;
}

static void on_closed(porch_conn *c) {
    echo *e = porch_conn_user(c);
    if (e != NULL) free(e->at);
    free(e);
    porch_conn_set_user(c, NULL);
    atomic_fetch_add(&closed, 1);
}

static void on_timer(porch_conn *c) {
    porch_conn_resume(c);
}

static const porch_conn_hooks hooks = {
    .open = on_open,
    .take = on_take,
    .fill = on_fill,
    .closed = on_closed,
    .timer = on_timer,
    .drain = porch_conn_close,
};

static int set_up(void **state) {
    (void)state;
    porch_log_init("ws_conn_test", PORCH_LOG_ERROR);
    porch_settings_default(&hub.settings);
    hub.settings.websocket_frame_bytes = 40000;
    hub.settings.websocket_ping_ms = 300;
    ws_hub_start(&hub, &hooks);
    return 0;
}

static int tear_down(void **state) {
    (void)state;
    ws_hub_stop(&hub);
    return 0;
}

/* The payload of binary frames until that many bytes are there; answers pings. The number of frames. */
static size_t collect(bed_client *c, uint8_t *to, size_t want) {
    static ws_frame f;
    size_t got = 0, frames = 0;
    while (got < want) {
        ws_next(c, &f);
        if (f.first == 0x89) {
            assert_true(ws_send(c, 0x8a, (porch_bytes){f.at, f.len}));
            continue;
        }
        assert_int_equal(f.first, 0x82);
        assert_true(got + f.len <= want);
        memcpy(to + got, f.at, f.len);
        got += f.len;
        frames++;
    }
    return frames;
}

static void expect(bed_client *c, const char *text) {
    uint8_t got[256];
    collect(c, got, strlen(text));
    assert_memory_equal(got, text, strlen(text));
}

static void what_is_taken_comes_back_in_one_frame_a_turn(void **state) {
    (void)state;
    bed_client *c = ws_open(&hub);
    uint8_t got[64];
    assert_true(ws_send(c, 0x82, PORCH_LIT("bcdabc")));
    /* what was put leads what fill gives, and both are one frame */
    assert_int_equal(collect(c, got, 7), 1);
    assert_memory_equal(got, "Abcdabc", 7);
    bed_close(c);
}

static void what_take_leaves_waits_for_the_rest_across_frames(void **state) {
    (void)state;
    bed_client *c = ws_open(&hub);
    assert_true(ws_send(c, 0x02, PORCH_LIT("x(one")));
    expect(c, "x");
    assert_true(ws_send(c, 0x89, PORCH_LIT("")));
    assert_true(ws_send(c, 0x00, PORCH_LIT(" two")));
    static ws_frame f;
    ws_next(c, &f);
    assert_int_equal(f.first, 0x8a);
    assert_true(ws_send(c, 0x80, PORCH_LIT(" three)")));
    expect(c, "(one two three)");
    bed_close(c);
}

static void it_moves_with_what_was_not_taken(void **state) {
    (void)state;
    for (int i = 0; i < 10; i++) {
        int before = atomic_load(&moved);
        bed_client *c = ws_open(&hub);
        assert_true(ws_send(c, 0x82, PORCH_LIT("mm(mov")));
        assert_true(ws_send(c, 0x82, PORCH_LIT("ed)")));
        expect(c, "(moved)");
        assert_int_equal(atomic_load(&moved), before + 2);
        bed_close(c);
    }
}

static void a_pause_holds_input_back_and_loses_nothing(void **state) {
    (void)state;
    bed_client *c = ws_open(&hub);
    assert_true(ws_send(c, 0x82, PORCH_LIT("1p2p3")));
    assert_true(ws_send(c, 0x82, PORCH_LIT("p4")));
    expect(c, "1234");
    bed_close(c);
}

static void a_peer_that_reads_late_gets_whole_frames_in_order(void **state) {
    (void)state;
    enum { ROUNDS = 200, PIECE = 30000 };
    static uint8_t piece[PIECE], got[PIECE];
    bed_client *c = ws_open(&hub);
    /* 6 MB, far more than the socket's buffers, of which nothing is read until all was sent. */
    for (int r = 0; r < ROUNDS; r++) {
        memset(piece, 'A' + r % 26, sizeof piece);
        assert_true(ws_send(c, 0x82, (porch_bytes){piece, PIECE}));
    }
    static ws_frame f;
    size_t at = 0;
    uint64_t total = 0;
    while (total < (uint64_t)ROUNDS * PIECE) {
        if (at == 0) ws_next(c, &f);
        if (f.first == 0x89) continue;
        assert_int_equal(f.first, 0x82);
        memset(got, 'A' + (int)(total / PIECE % 26), sizeof got);
        size_t n = f.len - at, left = PIECE - (size_t)(total % PIECE);
        if (n > left) n = left;
        assert_memory_equal(f.at + at, got, n);
        at += n;
        total += n;
        if (at == f.len) at = 0;
    }
    bed_close(c);
}

static void each_end_has_its_close_code(void **state) {
    (void)state;
    static uint8_t large[40001];
    static const struct {
        uint8_t first;
        const char *payload; /* NULL: the large one */
        unsigned code;
    } ends[] = {
        {0x81, "text", PORCH_WS_UNSUPPORTED},
        {0x83, "?", PORCH_WS_PROTOCOL_ERROR},
        {0x82, NULL, PORCH_WS_TOO_BIG},
        {0x88, "\x03\xe8", PORCH_WS_NORMAL},
    };
    for (size_t i = 0; i < sizeof ends / sizeof ends[0]; i++) {
        int before = atomic_load(&closed);
        bed_client *c = ws_open(&hub);
        porch_bytes payload =
            ends[i].payload == NULL ? (porch_bytes){large, sizeof large} : porch_bytes_of(ends[i].payload);
        (void)ws_send(c, ends[i].first, payload);
        ws_expect_close(c, ends[i].code);
        BED_UNTIL(atomic_load(&closed) > before);
        bed_close(c);
    }
}

static void what_came_before_the_goodbye_is_answered_before_ours(void **state) {
    (void)state;
    bed_client *c = ws_open(&hub);
    assert_true(ws_send(c, 0x82, PORCH_LIT("last words")));
    assert_true(ws_send(c, 0x88, PORCH_LIT("\x03\xe9")));
    /* 'a' has its own answer, put before the echo */
    expect(c, "Alast words");
    ws_expect_close(c, PORCH_WS_GOING_AWAY);
    bed_close(c);
}

static void a_protocol_that_closes_says_goodbye_behind_its_last_bytes(void **state) {
    (void)state;
    bed_client *c = ws_open(&hub);
    assert_true(ws_send(c, 0x82, PORCH_LIT("xk")));
    expect(c, "byex");
    ws_expect_close(c, PORCH_WS_NORMAL);
    bed_close(c);
}

static void silence_is_pinged_and_then_ended(void **state) {
    (void)state;
    static ws_frame f;
    bed_client *c = ws_open(&hub);
    ws_next(c, &f);
    assert_int_equal(f.first, 0x89);
    assert_true(ws_send(c, 0x8a, (porch_bytes){f.at, f.len}));
    ws_next(c, &f); /* the pong counted: it is asked again, not ended */
    assert_int_equal(f.first, 0x89);
    ws_expect_close(c, PORCH_WS_POLICY);
    bed_close(c);
}

static void an_end_without_goodbye_is_noticed(void **state) {
    (void)state;
    int before = atomic_load(&closed);
    bed_client *c = ws_open(&hub);
    assert_true(ws_send(c, 0x02, PORCH_LIT("half")));
    expect(c, "Ahalf");
    bed_close(c);
    BED_UNTIL(atomic_load(&closed) > before);
}

static void open_ones_are_counted(void **state) {
    (void)state;
    porch_listener_counts n;
    bed_client *c = ws_open(&hub);
    assert_true(ws_send(c, 0x82, PORCH_LIT("mx")));
    expect(c, "x");
    porch_listener_read_counts(hub.listener, &n);
    assert_true(n.websockets >= 1);
    assert_true(n.websockets_refused >= 3);
    bed_close(c);
    do {
        sched_yield();
        porch_listener_read_counts(hub.listener, &n);
    } while (n.websockets != 0);
}

static void draining_says_going_away(void **state) {
    (void)state;
    bed_client *c = ws_open(&hub);
    porch_listener_drain(hub.listener, 1);
    ws_expect_close(c, PORCH_WS_GOING_AWAY);
    bed_close(c);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(what_is_taken_comes_back_in_one_frame_a_turn),
        cmocka_unit_test(what_take_leaves_waits_for_the_rest_across_frames),
        cmocka_unit_test(it_moves_with_what_was_not_taken),
        cmocka_unit_test(a_pause_holds_input_back_and_loses_nothing),
        cmocka_unit_test(a_peer_that_reads_late_gets_whole_frames_in_order),
        cmocka_unit_test(each_end_has_its_close_code),
        cmocka_unit_test(what_came_before_the_goodbye_is_answered_before_ours),
        cmocka_unit_test(a_protocol_that_closes_says_goodbye_behind_its_last_bytes),
        cmocka_unit_test(silence_is_pinged_and_then_ended),
        cmocka_unit_test(an_end_without_goodbye_is_noticed),
        cmocka_unit_test(open_ones_are_counted),
        cmocka_unit_test(draining_says_going_away),
    };
    return cmocka_run_group_tests(tests, set_up, tear_down);
}
