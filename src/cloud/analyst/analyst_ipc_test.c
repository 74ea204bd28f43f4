#include "cloud/analyst/analyst_ipc.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <string.h>

#include <cmocka.h>

static const uint8_t JPEG[] = {0xff, 0xd8, 7, 0xff, 0xd9};

static const porch_analyst_message samples[] = {
    {.type = PORCH_ANALYST_START, .as.start = {1 << 20, 4096, 2304, 3600, 30, 60, 512, 200, 800, 2, true}},
    {.type = PORCH_ANALYST_HAVE, .as.have = {123456789012, true}},
    {.type = PORCH_ANALYST_FIRST_FRAME, .as.first_frame = {768, 576}},
    {.type = PORCH_ANALYST_SAMPLE,
     .as.sample =
         {400, true, {0, 0, 10000, 10000}, 2, {{{1, 2, 3, 4}, 900}, {{9000, 9000, 1000, 1000}, 1}}}},
    {.type = PORCH_ANALYST_PERSON, .as.person = {true, 400, {{1, 2, 3, 4}, 900}, 2, {JPEG, sizeof JPEG}}},
    {.type = PORCH_ANALYST_INDEXED, .as.indexed = {65536, {JPEG, sizeof JPEG}}},
    {.type = PORCH_ANALYST_END, .as.end = {PORCH_ERR_MEDIA, 100, 50, 1600, 0, "no video track"}},
    {.type = PORCH_ANALYST_BEGUN},
};
enum { SAMPLES = sizeof samples / sizeof samples[0] };

static void every_message_reads_back_as_it_was_written(void **state) {
    (void)state;
    for (size_t i = 0; i < SAMPLES; i++) {
        uint8_t a[512], b[512];
        porch_buf first = PORCH_BUF_OF(a), second = PORCH_BUF_OF(b);
        porch_analyst_message back;
        assert_int_equal(porch_analyst_write(&first, &samples[i]), PORCH_OK);
        assert_int_equal(porch_analyst_read(porch_buf_bytes(&first), &back), PORCH_OK);
        assert_int_equal(back.type, samples[i].type);
        assert_int_equal(porch_analyst_write(&second, &back), PORCH_OK);
        assert_int_equal(first.len, second.len);
        assert_memory_equal(a, b, first.len);
    }
}

static void a_message_cut_short_or_too_long_is_refused_at_every_length(void **state) {
    (void)state;
    for (size_t i = 0; i < SAMPLES; i++) {
        uint8_t block[512];
        porch_buf out = PORCH_BUF_OF(block);
        porch_analyst_message back;
        assert_int_equal(porch_analyst_write(&out, &samples[i]), PORCH_OK);
        for (size_t n = 0; n < out.len; n++) {
            assert_int_equal(porch_analyst_read((porch_bytes){block, n}, &back), PORCH_ERR_MALFORMED);
        }
        block[out.len] = 0;
        assert_int_equal(porch_analyst_read((porch_bytes){block, out.len + 1}, &back), PORCH_ERR_MALFORMED);
        for (size_t n = 0; n < out.len; n++) {
            porch_buf small = {block, 0, n};
            assert_int_equal(porch_analyst_write(&small, &samples[i]), PORCH_ERR_NO_SPACE);
            assert_int_equal(small.len, 0);
        }
    }
}

static void what_lies_outside_the_frame_or_the_limits_is_refused(void **state) {
    (void)state;
    static uint8_t block[PORCH_ANALYST_MESSAGE_MAX], large[PORCH_ANALYST_PICTURE_MAX + 1];
    porch_analyst_message wrong[] = {
        {.type = PORCH_ANALYST_SAMPLE, .as.sample = {0, true, {1, 0, 10000, 1}, 0, {{{0}, 0}}}},
        {.type = PORCH_ANALYST_SAMPLE, .as.sample = {0, true, {0, 5000, 1, 5001}, 0, {{{0}, 0}}}},
        {.type = PORCH_ANALYST_SAMPLE, .as.sample = {.count = PORCH_ANALYST_PEOPLE_MAX + 1}},
        {.type = PORCH_ANALYST_PERSON, .as.person = {.picture = {JPEG, 4}}},
        {.type = PORCH_ANALYST_PERSON, .as.person = {.agreeing = 6, .picture = {JPEG, sizeof JPEG}}},
        {.type = PORCH_ANALYST_PERSON, .as.person = {.picture = {large, sizeof large}}},
        {.type = PORCH_ANALYST_PERSON,
         .as.person = {.seen = {{0}, PORCH_ANALYST_SCORE_MAX + 1}, .picture = {JPEG, sizeof JPEG}}},
        {.type = PORCH_ANALYST_INDEXED, .as.indexed = {0, {large, 0}}},
        {.type = PORCH_ANALYST_INDEXED, .as.indexed = {0, {large, PORCH_ANALYST_INDEX_PIECE_MAX + 1}}},
        {.type = (porch_analyst_type)0},
        {.type = (porch_analyst_type)99},
    };
    large[0] = 0xff;
    large[1] = 0xd8;
    large[sizeof large - 2] = 0xff;
    large[sizeof large - 1] = 0xd9;
    for (size_t i = 0; i < sizeof wrong / sizeof wrong[0]; i++) {
        porch_buf out = PORCH_BUF_OF(block);
        assert_int_equal(porch_analyst_write(&out, &wrong[i]), PORCH_ERR_LIMIT);
        assert_int_equal(out.len, 0);
    }
}

static void a_box_that_leaves_the_frame_is_not_read(void **state) {
    (void)state;
    uint8_t block[512];
    porch_buf out = PORCH_BUF_OF(block);
    porch_analyst_message back;
    assert_int_equal(porch_analyst_write(&out, &samples[3]), PORCH_OK);
    block[7] = 1; /* the motion box begins one step to the right and still is as wide as the frame */
    assert_int_equal(porch_analyst_read(porch_buf_bytes(&out), &back), PORCH_ERR_MALFORMED);
}

static void a_score_beyond_belief_is_not_read(void **state) {
    (void)state;
    uint8_t block[512];
    porch_buf out = PORCH_BUF_OF(block);
    porch_analyst_message back, person = samples[4];
    person.as.person.seen.score_milli = PORCH_ANALYST_SCORE_MAX;
    assert_int_equal(porch_analyst_write(&out, &person), PORCH_OK);
    assert_int_equal(porch_analyst_read(porch_buf_bytes(&out), &back), PORCH_OK);
    block[14] = 0xff; /* type, flag, place, box: then the score */
    assert_int_equal(porch_analyst_read(porch_buf_bytes(&out), &back), PORCH_ERR_MALFORMED);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(every_message_reads_back_as_it_was_written),
        cmocka_unit_test(a_message_cut_short_or_too_long_is_refused_at_every_length),
        cmocka_unit_test(what_lies_outside_the_frame_or_the_limits_is_refused),
        cmocka_unit_test(a_box_that_leaves_the_frame_is_not_read),
        cmocka_unit_test(a_score_beyond_belief_is_not_read),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
