/* A connection of HTTP/1.1 on a shard turned by hand (fuzzbed.h): what happens when memory is spent, the
 * socket is full or the peer goes half way, with a clock that only the test moves. */
#include "cloud/listener/fuzzbed.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include <cmocka.h>

#define UPGRADE(path)                                                                   \
    "GET " path " HTTP/1.1\r\nHost: h\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n" \
    "Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n"      \
    "Sec-WebSocket-Protocol: mqtt\r\n\r\n"

static struct {
    uint8_t at[200000];
    size_t len;
} seen;

static void on_output(porch_bytes b) {
    assert_true(b.len <= sizeof seen.at - seen.len);
    memcpy(seen.at + seen.len, b.at, b.len);
    seen.len += b.len;
}

static bool saw(const char *text) {
    return memmem(seen.at, seen.len, text, strlen(text)) != NULL;
}

static porch_shard *connected(porch_listen_role role) {
    porch_shard *s = bed_shard();
    memset(&bed_peer, 0, sizeof bed_peer);
    seen.len = 0;
    bed_seed = 1;
    bed_peer.alpn = "http/1.1";
    bed_peer.certificate = role == PORCH_LISTEN_DEVICE;
    bed_peer.takes = SIZE_MAX;
    bed_peer.on_output = on_output;
    bed_begin(s, role);
    return s;
}

static void say(porch_shard *s, porch_bytes bytes) {
    bed_peer.coming = bytes;
    bed_ready(s, EPOLLIN);
}

static void work(porch_shard *s) {
    bed_work(s->listener->workers);
    bed_turn(s);
}

/* The peer reads again, so much at a time. */
static void read_some(porch_shard *s, size_t bytes) {
    bed_peer.blocked = false;
    bed_peer.takes = bytes;
    bed_ready(s, EPOLLOUT);
}

/* Every block of that pool, from the largest down; an array that ends with NULL. */
static void **spend(porch_pool *p) {
    size_t count = 0;
    void **held = calloc(1000000, sizeof *held);
    assert_non_null(held);
    for (size_t bytes = PORCH_POOL_BLOCK_MOST / 2; bytes > 0; bytes /= 2)
        while (count < 999999 && (held[count] = porch_pool_take(p, bytes)) != NULL)
            count++;
    return held;
}

static void restore(porch_pool *p, void **held) {
    for (size_t i = 0; held[i] != NULL; i++)
        porch_pool_give(p, held[i]);
    free(held);
}

static void an_upgrade_without_memory_for_its_answer_ends_once(void **state) {
    (void)state;
    porch_shard *s = connected(PORCH_LISTEN_DEVICE);
    void **held = spend(s->http_pool);
    say(s, PORCH_LIT(UPGRADE("/mqtt")));
    assert_null(s->conns);
    assert_int_equal(seen.len, 0);
    restore(s->http_pool, held);
    bed_end(s);
}

static void what_a_peer_does_not_read_or_finish_takes_nothing_from_mqtt(void **state) {
    (void)state;
    porch_shard *s = connected(PORCH_LISTEN_PEOPLE);
    uint64_t mqtts = porch_pool_bytes(s->pool);
    bed_peer.blocked = true;
    say(s, PORCH_LIT("GET / HTTP/1.1\r\nHost: h\r\n\r\nGET /i HTTP/1.1\r\nHost:"));
    assert_true(porch_conn_pending(s->conns) > 0 && s->conns->rest_len > 0);
    assert_true(porch_pool_bytes(s->http_pool) > 0);
    assert_int_equal(porch_pool_bytes(s->pool), mqtts);
    bed_end(s);
    assert_int_equal(porch_pool_bytes(s->http_pool), 0);

    s = connected(PORCH_LISTEN_DEVICE); /* once it is MQTT's, it is the broker's memory */
    say(s, PORCH_LIT(UPGRADE("/mqtt")));
    bed_peer.blocked = true;
    say(s, PORCH_LIT("\x82\x81\1\1\1\1x"));
    assert_true(porch_conn_pending(s->conns) > 0);
    assert_int_equal(porch_pool_bytes(s->http_pool), 0);
    bed_end(s);
}

enum { PAGE = 40000 };

/* The last answer of a connection: all of it waits for the socket. */
static porch_shard *with_a_tail(const char *request) {
    porch_shard *s = connected(PORCH_LISTEN_PEOPLE);
    bed_peer.blocked = true;
    say(s, porch_bytes_of(request));
    assert_true(porch_conn_pending(s->conns) > PAGE);
    return s;
}

static void the_end_of_an_answer_leaves_as_slowly_as_its_peer_reads(void **state) {
    (void)state;
    porch_shard *s = with_a_tail("GET / HTTP/1.1\r\nHost: h\r\nConnection: close\r\n\r\n");
    uint32_t patience = s->listener->settings.http_write_ms;
    for (int i = 0; i < 6; i++) {
        bed_pass(s->loop, patience * 3 / 4);
        bed_turn(s);
        read_some(s, 1000);
        assert_int_equal(seen.len, (i + 1) * 1000);
    }
    read_some(s, SIZE_MAX);
    assert_true(saw("Connection: close") && seen.len > PAGE);
    bed_end(s);
}

static void the_end_of_an_answer_leaves_while_the_hub_goes_down(void **state) {
    (void)state;
    static porch_note note;
    porch_shard *s = with_a_tail("GET / HTTP/1.1\r\nHost: h\r\n\r\n");
    porch_shard_order_drain(s, &note);
    bed_turn(s);
    bed_pass(s->loop, s->listener->settings.listener_linger_ms + 10);
    bed_turn(s);
    read_some(s, SIZE_MAX);
    assert_true(seen.len > PAGE);
    assert_true(s->conns == NULL || porch_conn_closing(s->conns));
    bed_end(s);
}

static void the_end_of_an_answer_is_dropped_when_nobody_reads(void **state) {
    (void)state;
    porch_shard *s = with_a_tail("GET / HTTP/1.1\r\nHost: h\r\nConnection: close\r\n\r\n");
    bed_pass(s->loop, s->listener->settings.http_write_ms + 1);
    bed_turn(s);
    assert_true(s->conns == NULL || porch_conn_closing(s->conns));
    bed_end(s);
}

static void a_peer_that_has_said_all_gets_the_whole_answer(void **state) {
    (void)state;
    for (int later = 0; later < 2; later++) {
        porch_shard *s = connected(PORCH_LISTEN_PEOPLE);
        bed_peer.blocked = true;
        bed_peer.ended = later == 0;
        say(s, PORCH_LIT("GET / HTTP/1.1\r\nHost: h\r\n\r\n"));
        bed_peer.ended = true;
        bed_ready(s, EPOLLIN);
        read_some(s, 1000);
        read_some(s, SIZE_MAX);
        assert_true(seen.len > PAGE);
        assert_true(s->conns == NULL || porch_conn_closing(s->conns));
        bed_end(s);
    }
}

static void frames_that_came_with_a_person_s_upgrade_are_read_as_frames(void **state) {
    (void)state;
    porch_shard *s = connected(PORCH_LISTEN_PEOPLE);
    say(s, PORCH_LIT(UPGRADE("/mqtt") "\x82\x83\1\1\1\1mno\x82\x81"));
    work(s);
    assert_true(saw("HTTP/1.1 101 ") && saw("\x82\3lon"));
    say(s, PORCH_LIT("\1\1\1\1s")); /* the rest of a frame that was cut in two */
    assert_true(saw("\x82\1r"));
    bed_end(s);
}

static void an_upgrade_that_is_done_while_the_hub_goes_down_is_told_so(void **state) {
    (void)state;
    static porch_note note;
    porch_shard *s = connected(PORCH_LISTEN_PEOPLE);
    say(s, PORCH_LIT(UPGRADE("/mqtt")));
    porch_shard_order_drain(s, &note);
    bed_turn(s);
    work(s);
    assert_true(saw("HTTP/1.1 101 ") && saw("\x88\2\x03\xe9")); /* 1001, going away */
    assert_true(s->conns == NULL || porch_conn_closing(s->conns));
    bed_end(s);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(an_upgrade_without_memory_for_its_answer_ends_once),
        cmocka_unit_test(what_a_peer_does_not_read_or_finish_takes_nothing_from_mqtt),
        cmocka_unit_test(the_end_of_an_answer_leaves_as_slowly_as_its_peer_reads),
        cmocka_unit_test(the_end_of_an_answer_leaves_while_the_hub_goes_down),
        cmocka_unit_test(the_end_of_an_answer_is_dropped_when_nobody_reads),
        cmocka_unit_test(a_peer_that_has_said_all_gets_the_whole_answer),
        cmocka_unit_test(frames_that_came_with_a_person_s_upgrade_are_read_as_frames),
        cmocka_unit_test(an_upgrade_that_is_done_while_the_hub_goes_down_is_told_so),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
