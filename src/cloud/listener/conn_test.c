/* A connection's contract, seen through a small protocol: what is sent comes back, in order and whole, also
 * when the socket is full, reading pauses or the connection changes its shard on the way. */
#include "cloud/listener/conn.h"

#include <stdatomic.h>

#include "cloud/listener/testbed.h"
#include "os/log.h"

static bed_hub hub;
static atomic_int opened, closed, timers, parcels;

/* Bytes to send back; commands are single bytes: see take. */
typedef struct {
    uint8_t *at;
    size_t len, cap, sent;
} echo;

static void on_open(porch_conn *c) {
    atomic_fetch_add(&opened, 1);
    porch_conn_set_user(c, NULL);
}

static echo *state_of(porch_conn *c) {
    echo *e = porch_conn_user(c);
    if (e == NULL) {
        e = calloc(1, sizeof *e);
        porch_conn_set_user(c, e);
    }
    return e;
}

static void append(echo *e, const uint8_t *at, size_t len) {
    if (e->cap - e->len < len) {
        e->cap = 2 * e->cap + len + 1000;
        e->at = realloc(e->at, e->cap);
        if (e->at == NULL) abort();
    }
    memcpy(e->at + e->len, at, len);
    e->len += len;
}

/* 'm' moves to the other shard, 'p' pauses for a timer, 'q' closes once everything left, 'k' closes now,
 * 'n' sends a parcel to oneself; other bytes are sent back. */
static size_t on_take(porch_conn *c, porch_bytes in) {
    porch_shard *s = porch_conn_shard(c);
    for (size_t i = 0; i < in.len; i++) {
        uint8_t b = in.at[i];
        echo *e = porch_conn_user(c);
        if (b == 'm' && e == NULL) {
            porch_conn_move(c, 1 - porch_shard_index(s));
            return i + 1;
        }
        e = state_of(c);
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
        if (b == 'n') {
            porch_parcel p = {7, 42, {.word = 1234}};
            assert_true(porch_shard_room(s, 1 - porch_shard_index(s), 1));
            assert_true(porch_shard_send(s, 1 - porch_shard_index(s), &p));
        }
        if (b == 'q') porch_conn_finish(c);
        append(e, &b, 1);
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
    atomic_fetch_add(&closed, 1);
}

static void on_timer(porch_conn *c) {
    atomic_fetch_add(&timers, 1);
    porch_conn_resume(c);
}

static void on_parcel(void *ctx, porch_shard *s, const porch_parcel *p) {
    (void)ctx;
    (void)s;
    if (p->kind == 7 && p->number == 42 && p->word == 1234) atomic_fetch_add(&parcels, 1);
}

static const porch_conn_hooks hooks = {
    .open = on_open,
    .take = on_take,
    .fill = on_fill,
    .closed = on_closed,
    .timer = on_timer,
    .parcel = on_parcel,
    .drain = porch_conn_close,
};

static int set_up(void **state) {
    (void)state;
    porch_log_init("conn_test", PORCH_LOG_ERROR);
    porch_settings_default(&hub.settings);
    bed_hub_start(&hub, &hooks, NULL);
    return 0;
}

static int tear_down(void **state) {
    (void)state;
    bed_hub_stop(&hub);
    return 0;
}

static void expect(bed_client *c, const char *text) {
    while (c->in_len < strlen(text))
        assert_true(bed_more(c));
    assert_memory_equal(c->in, text, strlen(text));
    bed_used(c, strlen(text));
}

static void what_is_taken_comes_back(void **state) {
    (void)state;
    bed_client *c = bed_connect(&hub.ca, &hub.device, hub.port);
    assert_true(bed_send(c, PORCH_LIT("abc")));
    expect(c, "abc");
    assert_true(bed_send(c, PORCH_LIT("defq")));
    expect(c, "defq");
    assert_false(bed_more(c));
    bed_close(c);
}

static void unread_bytes_move_with_the_connection(void **state) {
    (void)state;
    for (int i = 0; i < 20; i++) {
        bed_client *c = bed_connect(&hub.ca, &hub.device, hub.port);
        assert_true(bed_send(c, PORCH_LIT("mmmmmabcmn")));
        expect(c, "abcmn");
        assert_true(bed_send(c, PORCH_LIT("x")));
        expect(c, "x");
        bed_close(c);
    }
    BED_UNTIL(atomic_load(&parcels) >= 20);
    assert_int_equal(atomic_load(&parcels), 20);
}

static void a_paused_connection_is_read_again_after_its_timer(void **state) {
    (void)state;
    int before = atomic_load(&timers);
    bed_client *c = bed_connect(&hub.ca, &hub.device, hub.port);
    assert_true(bed_send(c, PORCH_LIT("apbpc")));
    expect(c, "abc");
    assert_int_equal(atomic_load(&timers), before + 2);
    bed_close(c);
}

static void a_full_socket_delays_but_loses_nothing(void **state) {
    (void)state;
    enum { BYTES = 6 << 20, PIECE = 65536 };
    static uint8_t piece[PIECE];
    for (size_t i = 0; i < PIECE; i++)
        piece[i] = (uint8_t)("abcdefghij"[i % 10]);
    bed_client *c = bed_connect(&hub.ca, &hub.device, hub.port);
    size_t sent = 0, got = 0;
    /* Nothing is read until all is sent: the hub's answers fill both sockets' buffers. */
    while (sent < BYTES) {
        assert_true(bed_send(c, (porch_bytes){piece, PIECE}));
        sent += PIECE;
    }
    while (got < BYTES) {
        if (c->in_len == 0) assert_true(bed_more(c));
        for (size_t i = 0; i < c->in_len; i++)
            if (c->in[i] != piece[(got + i) % PIECE]) fail_msg("byte %zu is off", got + i);
        got += c->in_len;
        c->in_len = 0;
    }
    bed_close(c);
}

static void the_last_word_arrives_although_more_was_being_sent(void **state) {
    (void)state;
    static uint8_t noise[200000];
    memset(noise, 'z', sizeof noise);
    noise[0] = 'k';
    bed_client *c = bed_connect(&hub.ca, &hub.device, hub.port);
    (void)bed_send(c, (porch_bytes){noise, sizeof noise});
    expect(c, "bye");
    assert_false(bed_more(c));
    bed_close(c);
}

static uint64_t open_now(void) {
    porch_listener_counts n;
    porch_listener_read_counts(hub.listener, &n);
    return n.open[PORCH_LISTEN_MQTT];
}

static void every_opened_connection_is_closed_once(void **state) {
    (void)state;
    BED_UNTIL(open_now() == 0);
    /* Each move opens it anew on the other shard: 20 connections moved five times. */
    assert_int_equal(atomic_load(&opened), atomic_load(&closed) + 100);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(what_is_taken_comes_back),
        cmocka_unit_test(unread_bytes_move_with_the_connection),
        cmocka_unit_test(a_paused_connection_is_read_again_after_its_timer),
        cmocka_unit_test(a_full_socket_delays_but_loses_nothing),
        cmocka_unit_test(the_last_word_arrives_although_more_was_being_sent),
        cmocka_unit_test(every_opened_connection_is_closed_once),
    };
    return cmocka_run_group_tests(tests, set_up, tear_down);
}
