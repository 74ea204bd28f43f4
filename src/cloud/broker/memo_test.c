#include "cloud/broker/memo.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>

#include <cmocka.h>

static porch_bytes topic(unsigned number, char out[32]) {
    return (porch_bytes){(uint8_t *)out, (size_t)snprintf(out, 32, "d/cam-%u/telemetry", number)};
}

static void a_topic_keeps_its_row_and_its_identity(void **state) {
    (void)state;
    porch_memo *m = porch_memo_new(7);
    uint64_t a = porch_memo_id(m, PORCH_LIT("a/b")), b = porch_memo_id(m, PORCH_LIT("a/c"));
    assert_true(a != 0 && b != 0 && a != b);
    porch_memo_topic *row = porch_memo_of(m, PORCH_LIT("a/b"));
    assert_int_equal(row->id, a);
    assert_int_equal(row->levels, 2);
    row->stored = row->stored_known = true;
    assert_false(porch_memo_of(m, PORCH_LIT("a/c"))->stored_known);
    assert_true(porch_memo_of(m, PORCH_LIT("a/b"))->stored);
    porch_memo_free(m);
}

/* Each length, and each byte of it: what differs anywhere is another topic. */
static void topics_that_differ_in_one_byte_or_in_length_are_told_apart(void **state) {
    (void)state;
    uint8_t text[PORCH_MEMO_TEXT + 1];
    for (size_t len = 1; len <= PORCH_MEMO_TEXT; len++) {
        porch_memo *m = porch_memo_new(len);
        memset(text, 'x', sizeof text);
        uint64_t id = porch_memo_id(m, (porch_bytes){text, len});
        for (size_t i = 0; i < len; i++) {
            text[i] = 'y';
            assert_true(porch_memo_id(m, (porch_bytes){text, len}) != id);
            text[i] = 'x';
        }
        assert_int_equal(porch_memo_id(m, (porch_bytes){text, len}), id);
        if (len > 1) assert_true(porch_memo_id(m, (porch_bytes){text, len - 1}) != id);
        porch_memo_free(m);
    }
}

/* Two topics of one hash stand side by side: only their bytes tell them apart. */
static void a_hash_alone_finds_nothing(void **state) {
    (void)state;
    porch_memo *m = porch_memo_new(7);
    porch_memo_topic *row = porch_memo_of(m, PORCH_LIT("t/mine"));
    uint64_t id = row->id;
    memcpy(row->text, "t/hers", 6);
    m->last = m->rows + (row == m->rows); /* so that it is looked for by its hash */
    porch_memo_topic *again = porch_memo_of(m, PORCH_LIT("t/mine"));
    assert_true(again != row && again->id != id && again->hash == row->hash);
    assert_memory_equal(again->text, "t/mine", 6);
    porch_memo_free(m);
}

static void too_long_a_topic_and_the_empty_one_have_no_row(void **state) {
    (void)state;
    porch_memo *m = porch_memo_new(7);
    uint8_t text[PORCH_MEMO_TEXT + 1];
    memset(text, 'x', sizeof text);
    assert_null(porch_memo_of(m, (porch_bytes){text, sizeof text}));
    assert_int_equal(porch_memo_id(m, (porch_bytes){text, sizeof text}), 0);
    assert_null(porch_memo_of(m, (porch_bytes){text, 0}));
    assert_non_null(porch_memo_of(m, (porch_bytes){text, PORCH_MEMO_TEXT}));
    porch_memo_free(m);
}

/* More topics than rows: some drive others out, and nobody ever finds another's row or an old identity. */
static void a_row_that_was_given_to_another_topic_is_fresh(void **state) {
    (void)state;
    enum { TOPICS = PORCH_MEMO_ROWS * 3 };
    porch_memo *m = porch_memo_new(7);
    uint64_t *ids = calloc(TOPICS, sizeof *ids), newest = 0;
    unsigned driven_out = 0;
    char text[32];
    for (unsigned turn = 0; turn < 2; turn++) {
        for (unsigned i = 0; i < TOPICS; i++) {
            porch_memo_topic *row = porch_memo_of(m, topic(i, text));
            assert_true(porch_memo_is(row, topic(i, text)));
            if (row->id == ids[i]) {
                assert_true(row->kept);
                continue;
            }
            assert_true(row->id > newest);
            assert_true(!row->kept && row->heard.change == 0 && !row->interest_known);
            driven_out += ids[i] != 0;
            ids[i] = newest = row->id;
            row->kept = row->interest_known = true;
            row->heard.change = 5;
        }
    }
    assert_true(driven_out > TOPICS / 4);
    free(ids);
    porch_memo_free(m);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_topic_keeps_its_row_and_its_identity),
        cmocka_unit_test(topics_that_differ_in_one_byte_or_in_length_are_told_apart),
        cmocka_unit_test(a_hash_alone_finds_nothing),
        cmocka_unit_test(too_long_a_topic_and_the_empty_one_have_no_row),
        cmocka_unit_test(a_row_that_was_given_to_another_topic_is_fresh),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
