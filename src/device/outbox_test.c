/* The outbox between a spool in memory and a session whose hub answers by hand. */
#include "device/outbox.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <string.h>

#include <cmocka.h>

enum { NOW = 1000, SEGMENT = 256, SEGMENTS = 8 };

/* A disk of a few segments that never fails. */
typedef struct {
    uint32_t number;
    uint8_t data[SEGMENT];
    size_t len;
} segment;

typedef struct {
    segment segments[SEGMENTS];
    porch_spool spool;
    porch_outbox outbox;
    porch_session session;
    uint8_t block[SEGMENT], in[512], out[2048];
    uint16_t packet_ids[64]; /* of the publishes seen by the hub */
    char payloads[64];       /* their first bytes */
    size_t seen;
} world;

static segment *find(world *w, uint32_t number) {
    for (size_t i = 0; i < SEGMENTS; i++)
        if (w->segments[i].number == number) return &w->segments[i];
    return NULL;
}

static porch_err list(void *ctx, uint32_t *numbers, size_t cap, size_t *count) {
    world *w = ctx;
    *count = 0;
    for (size_t i = 0; i < SEGMENTS; i++)
        if (w->segments[i].number != 0 && *count < cap) numbers[(*count)++] = w->segments[i].number;
    return PORCH_OK;
}

static porch_err size(void *ctx, uint32_t number, uint64_t *ret) {
    *ret = find(ctx, number)->len;
    return PORCH_OK;
}

static porch_err read_at(void *ctx, uint32_t number, uint64_t offset, uint8_t *at, size_t len) {
    segment *g = find(ctx, number);
    if (!g || offset > g->len || g->len - offset < len) return PORCH_ERR_TRUNCATED;
    memcpy(at, g->data + offset, len);
    return PORCH_OK;
}

static porch_err append(void *ctx, uint32_t number, const porch_bytes *parts, size_t count) {
    segment *g = find(ctx, number);
    if (!g) g = find(ctx, 0);
    assert_non_null(g);
    if (g->number == 0) *g = (segment){.number = number};
    for (size_t i = 0; i < count; i++) {
        assert_true(parts[i].len <= SEGMENT - g->len);
        if (parts[i].len > 0) memcpy(g->data + g->len, parts[i].at, parts[i].len);
        g->len += parts[i].len;
    }
    return PORCH_OK;
}

static porch_err sync_segment(void *ctx, uint32_t number) {
    (void)ctx;
    (void)number;
    return PORCH_OK;
}

static porch_err remove_segment(void *ctx, uint32_t number) {
    find(ctx, number)->number = 0;
    return PORCH_OK;
}

static void open_outbox(world *w) {
    const porch_spool_storage storage = {list, size, read_at, append, sync_segment, remove_segment, w};
    const porch_spool_config config = {(uint64_t)SEGMENT * (SEGMENTS - 1), SEGMENT};
    porch_why why = {{0}};
    assert_int_equal(porch_spool_open(&w->spool, &storage, &config, &why), PORCH_OK);
    porch_outbox_init(&w->outbox, &w->spool, PORCH_BUF_OF(w->block));
}

static void take_output(world *w) {
    porch_bytes out;
    porch_mqtt_frame frame;
    while ((out = porch_session_output(&w->session)).len > 0 &&
           porch_mqtt_frame_read(out, 4096, NULL, &frame) == PORCH_OK) {
        porch_mqtt_publish p;
        if (frame.type == PORCH_MQTT_PUBLISH &&
            porch_mqtt_publish_read(&frame, PORCH_MQTT_V5, PORCH_MQTT_FROM_CLIENT, NULL, &p) == PORCH_OK) {
            w->payloads[w->seen] = (char)p.payload.at[0];
            w->packet_ids[w->seen++] = p.packet_id;
        }
        porch_session_sent(&w->session, frame.bytes, NOW);
    }
}

static void hear(world *w, const porch_mqtt_packet *p, uint64_t now_ms) {
    uint8_t raw[64];
    porch_buf b = PORCH_BUF_OF(raw);
    size_t taken = 0;
    porch_session_event e;
    assert_int_equal(porch_mqtt_packet_write(&b, PORCH_MQTT_V5, p), PORCH_OK);
    porch_session_take(&w->session, porch_buf_bytes(&b), now_ms, &taken);
    while (porch_session_next(&w->session, now_ms, &e))
        if (e.kind == PORCH_SESSION_ACKNOWLEDGED) porch_outbox_settle(&w->outbox, e.ticket);
}

static void connect_session(world *w, uint16_t window) {
    const porch_session_config config = {"a", 30, 20000, window};
    porch_session_init(&w->session, &config, PORCH_BUF_OF(w->in), PORCH_BUF_OF(w->out));
    assert_int_equal(porch_session_start(&w->session, NOW), PORCH_OK);
    take_output(w);
    const porch_mqtt_packet p = {.type = PORCH_MQTT_CONNACK};
    hear(w, &p, NOW);
    porch_outbox_rewind(&w->outbox, 0);
    w->seen = 0;
}

static void puback(world *w, size_t which) {
    const porch_mqtt_packet p = {.type = PORCH_MQTT_PUBACK,
                                 .ack = {.type = PORCH_MQTT_PUBACK, .packet_id = w->packet_ids[which]}};
    hear(w, &p, NOW);
}

static void pump(world *w) {
    uint64_t too_large = 0;
    assert_int_equal(porch_outbox_pump(&w->outbox, &w->session, NOW, &too_large), PORCH_OK);
    take_output(w);
}

static uint64_t add(world *w, const char *payload) {
    uint64_t ticket = 0;
    porch_spool_loss loss;
    porch_topic_name t;
    assert_int_equal(porch_topic_name_parse(PORCH_LIT("d/a/x"), NULL, &t), PORCH_OK);
    assert_int_equal(porch_outbox_add(&w->outbox, t, porch_bytes_of(payload), &ticket, &loss), PORCH_OK);
    return ticket;
}

static world w;

static void start(uint16_t window) {
    memset(&w, 0, sizeof w);
    open_outbox(&w);
    connect_session(&w, window);
}

static void messages_go_in_order_within_the_window(void **state) {
    (void)state;
    start(2);
    for (const char *c = "abcde"; *c; c++)
        (void)add(&w, c);
    pump(&w);
    assert_int_equal(w.seen, 2);
    puback(&w, 0);
    pump(&w);
    assert_int_equal(w.seen, 3);
    puback(&w, 1);
    puback(&w, 2);
    pump(&w);
    assert_int_equal(w.seen, 5);
    assert_memory_equal(w.payloads, "abcde", 5);
    puback(&w, 3);
    puback(&w, 4);
    assert_int_equal(porch_spool_pending(&w.spool), 0);
}

static void answers_out_of_turn_do_not_pass_over_an_unanswered_message(void **state) {
    (void)state;
    start(8);
    for (const char *c = "abc"; *c; c++)
        (void)add(&w, c);
    pump(&w);
    puback(&w, 2);
    puback(&w, 1);
    assert_int_equal(porch_spool_pending(&w.spool), 3);
    puback(&w, 0);
    assert_int_equal(porch_spool_pending(&w.spool), 0);
}

static void what_was_not_answered_is_sent_again_in_order_in_the_next_session(void **state) {
    (void)state;
    start(8);
    for (const char *c = "abcd"; *c; c++)
        (void)add(&w, c);
    pump(&w);
    puback(&w, 0);
    puback(&w, 2);
    connect_session(&w, 8);
    pump(&w);
    assert_int_equal(w.seen, 3);
    assert_memory_equal(w.payloads, "bcd", 3);
}

static void what_was_not_answered_is_sent_again_after_a_restart(void **state) {
    (void)state;
    start(8);
    for (const char *c = "abcd"; *c; c++)
        (void)add(&w, c);
    pump(&w);
    puback(&w, 0);
    puback(&w, 1);
    open_outbox(&w);
    connect_session(&w, 8);
    pump(&w);
    assert_memory_equal(w.payloads, "cd", 2);
    assert_int_equal(w.seen, 2);
}

static void a_hub_that_asks_for_patience_gets_it(void **state) {
    (void)state;
    start(8);
    (void)add(&w, "a");
    pump(&w);
    porch_outbox_rewind(&w.outbox, NOW + 5000);
    pump(&w);
    assert_int_equal(w.seen, 1);
    uint64_t too_large = 0;
    assert_int_equal(porch_outbox_pump(&w.outbox, &w.session, NOW + 5000, &too_large), PORCH_OK);
    take_output(&w);
    assert_int_equal(w.seen, 2);
}

static void a_message_too_large_for_the_hub_is_named_and_the_rest_goes_on(void **state) {
    (void)state;
    start(8);
    w.session.packet_most = 60;
    (void)add(&w, "a");
    uint64_t large =
        add(&w, "a message of more than sixty bytes, which this hub has said it will not take");
    (void)add(&w, "c");
    uint64_t too_large = 0;
    assert_int_equal(porch_outbox_pump(&w.outbox, &w.session, NOW, &too_large), PORCH_ERR_LIMIT);
    assert_int_equal(too_large, large);
    porch_outbox_settle(&w.outbox, too_large);
    pump(&w);
    assert_memory_equal(w.payloads, "ac", 2);
    puback(&w, 0);
    puback(&w, 1);
    assert_int_equal(porch_spool_pending(&w.spool), 0);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(messages_go_in_order_within_the_window),
        cmocka_unit_test(answers_out_of_turn_do_not_pass_over_an_unanswered_message),
        cmocka_unit_test(what_was_not_answered_is_sent_again_in_order_in_the_next_session),
        cmocka_unit_test(what_was_not_answered_is_sent_again_after_a_restart),
        cmocka_unit_test(a_hub_that_asks_for_patience_gets_it),
        cmocka_unit_test(a_message_too_large_for_the_hub_is_named_and_the_rest_goes_on),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
