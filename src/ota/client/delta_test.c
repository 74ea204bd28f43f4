/* Coder, symbols and head of deltas, each there and back; the whole way is author_delta_test.c's. */
#include "ota/client/delta.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

enum { STREAM_BYTES = 1 << 20, SLOT_BITS = 11 };

typedef struct {
    uint8_t bytes[STREAM_BYTES];
    size_t len, at;
} stream;

static porch_err on_put(void *self, uint8_t *b) {
    stream *s = self;
    if (s->len == sizeof s->bytes) return PORCH_ERR_NO_SPACE;
    s->bytes[s->len++] = *b;
    return PORCH_OK;
}
static porch_err on_get(void *self, uint8_t *b) {
    stream *s = self;
    if (s->at == s->len) return PORCH_ERR_TRUNCATED;
    *b = s->bytes[s->at++];
    return PORCH_OK;
}

static uint32_t slots[1 << SLOT_BITS];
static porch_delta_coder_state state;
static stream tape;

static porch_delta_coder begin(bool encodes) {
    porch_delta_coder c = {.state = &state,
                           .slots = slots,
                           .slot_bits = SLOT_BITS,
                           .encodes = encodes,
                           .byte = encodes ? on_put : on_get,
                           .self = &tape};
    if (encodes) tape.len = 0;
    tape.at = 0;
    porch_delta_coder_begin(&c);
    if (!encodes) porch_delta_coder_load(&c);
    return c;
}

static const uint32_t numbers[] = {
    0, 1, 2, 3, 7, 8, 255, 256, 65535, 65536, 1u << 30, (1u << 31) - 1, UINT32_MAX - 1, UINT32_MAX};

static void every_number_comes_back_whatever_came_before(void **unused) {
    (void)unused;
    const size_t count = sizeof numbers / sizeof numbers[0];
    porch_delta_coder c = begin(true);
    for (size_t i = 0; i < count * PORCH_DELTA_KINDS; i++)
        (void)porch_delta_number(&c, (porch_delta_kind)(i % PORCH_DELTA_KINDS),
                                 numbers[i / PORCH_DELTA_KINDS]);
    porch_delta_coder_end(&c);
    c = begin(false);
    for (size_t i = 0; i < count * PORCH_DELTA_KINDS; i++)
        assert_int_equal(porch_delta_number(&c, (porch_delta_kind)(i % PORCH_DELTA_KINDS), 0),
                         numbers[i / PORCH_DELTA_KINDS]);
    assert_int_equal(tape.at, tape.len); /* the decoder ends where the encoder did */
    assert_int_equal(c.error, PORCH_OK);
}

static void the_coder_never_loses_its_way_however_unlikely_the_bits(void **unused) {
    (void)unused;
    const uint32_t context[PORCH_DELTA_INPUTS] = {1, 2, 3, 4, 5};
    enum { BITS = 300000 };
    for (unsigned period = 2; period < 5000; period = period * 3 + 1) {
        porch_delta_coder c = begin(true);
        for (unsigned i = 0; i < BITS; i++)
            (void)porch_delta_bit(&c, context, PORCH_DELTA_INPUTS, 3, i % period == 0);
        porch_delta_coder_end(&c);
        size_t len = tape.len;
        c = begin(false);
        for (unsigned i = 0; i < BITS; i++)
            assert_int_equal(porch_delta_bit(&c, context, PORCH_DELTA_INPUTS, 3, 0), i % period == 0);
        assert_int_equal(tape.at, len);
    }
}

static void what_does_not_change_costs_next_to_nothing(void **unused) {
    (void)unused;
    porch_delta_coder c = begin(true);
    porch_delta_history h = {0};
    for (unsigned i = 0; i < 1000000; i++)
        (void)porch_delta_changed(&c, &h, (uint8_t)(i % 7), (uint8_t)(i % 7));
    porch_delta_coder_end(&c);
    assert_true(tape.len < 200);
}

static void changes_and_literals_come_back(void **unused) {
    (void)unused;
    porch_delta_history h = {0};
    porch_delta_coder c = begin(true);
    for (unsigned i = 0; i < 5000; i++) {
        (void)porch_delta_changed(&c, &h, (uint8_t)(i >> 2), (uint8_t)((i >> 2) + (i % 11 == 0 ? i : 0)));
        if (!porch_delta_repeats(&c, &h, i % 5 == 0))
            (void)porch_delta_literal(&c, &h, (uint8_t)(i * i >> 4));
    }
    porch_delta_coder_end(&c);
    h = (porch_delta_history){0};
    c = begin(false);
    for (unsigned i = 0; i < 5000; i++) {
        assert_int_equal(porch_delta_changed(&c, &h, (uint8_t)(i >> 2), 0),
                         (uint8_t)((i >> 2) + (i % 11 == 0 ? i : 0)));
        bool repeats = porch_delta_repeats(&c, &h, false);
        assert_int_equal(repeats, i % 5 == 0);
        if (!repeats) assert_int_equal(porch_delta_literal(&c, &h, 0), (uint8_t)(i * i >> 4));
    }
    assert_int_equal(c.error, PORCH_OK);
}

static void a_stream_that_ends_too_early_says_so(void **unused) {
    (void)unused;
    porch_delta_coder c = begin(true);
    for (unsigned i = 0; i < 50; i++)
        (void)porch_delta_number(&c, PORCH_DELTA_SAME, i * 7919);
    porch_delta_coder_end(&c);
    tape.len -= 5;
    c = begin(false);
    for (unsigned i = 0; i < 50; i++)
        (void)porch_delta_number(&c, PORCH_DELTA_SAME, 0);
    assert_int_equal(c.error, PORCH_ERR_TRUNCATED);
}

static void a_head_comes_back_and_no_other_bytes_are_one(void **unused) {
    (void)unused;
    porch_delta_head h = {.old_length = 5,
                          .new_length = 7,
                          .slot_bits = 16,
                          .old_sha256 = {1},
                          .new_sha256 = {2}},
                     back;
    uint8_t bytes[PORCH_DELTA_HEAD_BYTES];
    porch_why why;
    porch_delta_head_write(&h, bytes);
    assert_int_equal(porch_delta_head_read((porch_bytes){bytes, sizeof bytes}, &back, &why), PORCH_OK);
    assert_int_equal(back.old_length, 5);
    assert_int_equal(back.new_length, 7);
    assert_memory_equal(back.old_sha256, h.old_sha256, 32);
    assert_memory_equal(back.new_sha256, h.new_sha256, 32);
    for (size_t len = 0; len < sizeof bytes; len++)
        assert_int_equal(porch_delta_head_read((porch_bytes){bytes, len}, &back, &why),
                         PORCH_ERR_MALFORMED);
    const struct {
        porch_delta_head head;
        porch_err e;
    } rows[] = {
        {{.old_length = 5, .new_length = 0, .slot_bits = 16}, PORCH_ERR_LIMIT},
        {{.old_length = 5, .new_length = ((uint64_t)1 << 31) + 1, .slot_bits = 16}, PORCH_ERR_LIMIT},
        {{.old_length = ((uint64_t)1 << 31) + 1, .new_length = 1, .slot_bits = 16}, PORCH_ERR_LIMIT},
        {{.old_length = 5, .new_length = 5, .slot_bits = 7}, PORCH_ERR_LIMIT},
        {{.old_length = 5, .new_length = 5, .slot_bits = 19}, PORCH_ERR_LIMIT},
        {{.old_length = 0, .new_length = 1, .slot_bits = 8}, PORCH_OK},
    };
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        porch_delta_head_write(&rows[i].head, bytes);
        assert_int_equal(porch_delta_head_read((porch_bytes){bytes, sizeof bytes}, &back, &why), rows[i].e);
    }
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(every_number_comes_back_whatever_came_before),
        cmocka_unit_test(the_coder_never_loses_its_way_however_unlikely_the_bits),
        cmocka_unit_test(what_does_not_change_costs_next_to_nothing),
        cmocka_unit_test(changes_and_literals_come_back),
        cmocka_unit_test(a_stream_that_ends_too_early_says_so),
        cmocka_unit_test(a_head_comes_back_and_no_other_bytes_are_one),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
