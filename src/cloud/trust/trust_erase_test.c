/* An emptied row: allowed when an erasure names it, noticed when none does, and never in the way of the
 * chain. */
#include "cloud/trust/trust_erase.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include <cmocka.h>

#include "cloud/store/store_testing.h"

static int make_lab(void **state) {
    store_lab *lab = malloc(sizeof *lab);
    store_lab_make(lab);
    if (store_lab_open(lab) != PORCH_OK) fail_msg("%s", lab->why.text);
    *state = lab;
    return 0;
}

static int drop_lab(void **state) {
    store_lab_remove(*state);
    free(*state);
    return 0;
}

static porch_err fill(porch_db *db, void *ctx, porch_why *why) {
    (void)ctx;
    for (int i = 0; i < 12; i++)
        PORCH_TRY(porch_trust_append(db, "device.add", i == 4 ? "user:robin" : "operator",
                                     i % 3 == 0 ? "device:ours" : "device:theirs", "{\"product\":\"cam\"}",
                                     why));
    return PORCH_OK;
}

static bool is_ours(const porch_trust_row *row, void *ctx) {
    (*(unsigned *)ctx)++;
    return porch_bytes_eq_text(row->subject, "device:ours") || porch_bytes_eq_text(row->who, "user:robin");
}

static porch_err erase(porch_db *db, void *ctx, porch_why *why) {
    return porch_trust_erase(db, is_ours, ctx, "operator", why);
}

typedef struct {
    const porch_trust_head *known;
    porch_trust_head head;
} verification;

static porch_err verify(porch_db *db, void *ctx, porch_why *why) {
    verification *v = ctx;
    return porch_trust_verify(db, v->known, &v->head, why);
}

static porch_err run(porch_db *db, void *ctx, porch_why *why) {
    return porch_db_run(db, ctx, why);
}

static porch_err verified(store_lab *lab, const porch_trust_head *known, porch_trust_head *head) {
    verification v = {.known = known};
    porch_err e = porch_store_read(lab->store, verify, &v, &lab->why);
    if (head != NULL) *head = v.head;
    return e;
}

typedef struct {
    char text[8192];
} dump;

static porch_err read_all(porch_db *db, void *ctx, porch_why *why) {
    dump *d = ctx;
    porch_db_query *q = porch_db_prepare(
        db,
        "select group_concat(seq || ' ' || at_ms || ' ' || kind || ' ' || who || ' ' || subject || ' ' || "
        "detail || ' ' || hex(salt), char(10)) from (select * from trust order by seq)",
        why);
    porch_err e = porch_db_step(q, why);
    assert_true(porch_bytes_to_text(porch_db_text(q, 0), d->text, sizeof d->text));
    porch_db_finish(q);
    return e;
}

static void what_was_erased_is_empty_and_the_chain_holds(void **state) {
    store_lab *lab = *state;
    porch_trust_head before, after;
    unsigned asked = 0;
    static dump d;
    assert_int_equal(porch_store_write(lab->store, fill, NULL, &lab->why), PORCH_OK);
    assert_int_equal(verified(lab, NULL, &before), PORCH_OK);
    assert_int_equal(porch_store_write(lab->store, erase, &asked, &lab->why), PORCH_OK);
    assert_int_equal(asked, 12);
    /* a head that somebody remembers from before still fits */
    assert_int_equal(verified(lab, &before, &after), PORCH_OK);
    assert_int_equal(after.seq, before.seq + 1);
    assert_int_equal(porch_store_read(lab->store, read_all, &d, &lab->why), PORCH_OK);
    assert_null(strstr(d.text, "ours"));
    assert_null(strstr(d.text, "robin"));
    assert_non_null(strstr(d.text, "device:theirs"));
    assert_non_null(strstr(d.text, "1 0 emptied   {} \n"));
    assert_non_null(strstr(d.text, "household.erase operator household {\"rows\":\"1,4-5,7,10\"}"));
    /* once more finds nothing, and says so */
    asked = 0;
    assert_int_equal(porch_store_write(lab->store, erase, &asked, &lab->why), PORCH_OK);
    assert_int_equal(asked, 7);
    assert_int_equal(verified(lab, &after, NULL), PORCH_OK);
}

static void a_row_that_somebody_else_empties_is_noticed(void **state) {
    store_lab *lab = *state;
    unsigned asked = 0;
    static char mine[] =
        "update trust set kind = 'emptied', at_ms = 0, who = '', subject = '', detail = '{}', "
        "salt = x'' where seq = 2";
    assert_int_equal(porch_store_write(lab->store, fill, NULL, &lab->why), PORCH_OK);
    assert_int_equal(porch_store_write(lab->store, erase, &asked, &lab->why), PORCH_OK);
    assert_int_equal(porch_store_write(lab->store, run, mine, &lab->why), PORCH_OK);
    assert_int_equal(verified(lab, NULL, NULL), PORCH_ERR_SIGNATURE);
    assert_non_null(strstr(lab->why.text, "row 2 "));
    assert_non_null(strstr(lab->why.text, "no erasure"));
}

static void an_emptied_row_is_filled_again_by_nobody(void **state) {
    store_lab *lab = *state;
    static char *const tampers[] = {
        "update trust set subject = 'device:evil' where seq = 1",
        "update trust set kind = 'device.add', subject = 'device:evil' where seq = 1",
        "update trust set hash = zeroblob(32) where seq = 1",
        "update trust set detail = '{\"rows\":\"1,4-5,7,10,11\"}' where kind = 'household.erase'",
    };
    for (size_t i = 0; i < sizeof tampers / sizeof tampers[0]; i++) {
        unsigned asked = 0;
        assert_int_equal(porch_store_write(lab->store, fill, NULL, &lab->why), PORCH_OK);
        assert_int_equal(porch_store_write(lab->store, erase, &asked, &lab->why), PORCH_OK);
        assert_int_equal(verified(lab, NULL, NULL), PORCH_OK);
        assert_int_equal(porch_store_write(lab->store, run, tampers[i], &lab->why), PORCH_OK);
        assert_int_equal(verified(lab, NULL, NULL), PORCH_ERR_SIGNATURE);
        assert_int_equal(porch_store_write(lab->store, run, "delete from trust", &lab->why), PORCH_OK);
    }
}

static porch_err alternate(porch_db *db, void *ctx, porch_why *why) {
    const unsigned *rows = ctx;
    for (unsigned i = 0; i < *rows; i++)
        PORCH_TRY(porch_trust_append(db, "device.add", "operator",
                                     i % 2 == 0 ? "device:ours" : "device:theirs", "{}", why));
    return PORCH_OK;
}

typedef struct {
    uint64_t rows, longest;
} erasures;

static porch_err measure(porch_db *db, void *ctx, porch_why *why) {
    erasures *found = ctx;
    porch_db_query *q = porch_db_prepare(
        db, "select count(*), max(length(detail)) from trust where kind = 'household.erase'", why);
    porch_err e = porch_db_step(q, why);
    found->rows = (uint64_t)porch_db_i64(q, 0);
    found->longest = (uint64_t)porch_db_i64(q, 1);
    porch_db_finish(q);
    return e;
}

/* The signer takes messages of 64 KiB: a row beyond that could never be signed, nor any after it. */
static void a_large_erasure_is_written_down_in_several_rows(void **state) {
    store_lab *lab = *state;
    unsigned rows = 10000, asked = 0;
    porch_trust_head before;
    erasures found;
    assert_int_equal(porch_store_write(lab->store, alternate, &rows, &lab->why), PORCH_OK);
    assert_int_equal(verified(lab, NULL, &before), PORCH_OK);
    assert_int_equal(porch_store_write(lab->store, erase, &asked, &lab->why), PORCH_OK);
    assert_int_equal(porch_store_read(lab->store, measure, &found, &lab->why), PORCH_OK);
    assert_true(found.longest <= PORCH_TRUST_ERASE_DETAIL);
    assert_true(found.rows > 1 && found.rows < 4);
    assert_int_equal(verified(lab, &before, NULL), PORCH_OK);
    assert_int_equal(porch_store_write(lab->store, run,
                                       (void *)(uintptr_t) "update trust set detail = '{}' where seq = "
                                                           "(select max(seq) from trust)",
                                       &lab->why),
                     PORCH_OK);
    assert_int_equal(verified(lab, NULL, NULL), PORCH_ERR_SIGNATURE);
}

static void lists_of_rows_are_written_and_read(void **state) {
    (void)state;
    static const uint64_t rows[] = {1, 2, 3, 7, 9, 10};
    porch_trust_rows list = {0};
    for (size_t i = 0; i < 6; i++)
        assert_int_equal(porch_trust_rows_add(&list, rows[i]), PORCH_OK);
    char text[PORCH_TRUST_ROWS_TEXT];
    assert_int_equal(porch_trust_rows_text(&list, 0, text, sizeof text), 6);
    assert_string_equal(text, "1-3,7,9-10");
    assert_int_equal(porch_trust_rows_text(&list, 0, text, 6), 4); /* as many as fit */
    assert_string_equal(text, "1-3,7");
    assert_int_equal(porch_trust_rows_text(&list, 4, text, 6), 6);
    assert_string_equal(text, "9-10");
    static const char *const nothing[] = {"", "{}", "{\"rows\":\"\"}", "{\"rows\":\"x\"}",
                                          "{\"rows\":\"-3\"}"};
    for (size_t i = 0; i < sizeof nothing / sizeof nothing[0]; i++) {
        porch_trust_rows_named(&list, porch_bytes_of(nothing[i]));
        assert_int_equal(list.count, 6);
    }
    porch_trust_rows_named(&list, PORCH_LIT("{\"rows\":\"2-7,10\"}"));
    assert_int_equal(list.count, 2);
    assert_int_equal(list.at[0], 1);
    assert_int_equal(list.at[1], 9);
    porch_trust_rows_free(&list);
}

#define ERASE_TEST(name) cmocka_unit_test_setup_teardown(name, make_lab, drop_lab)

int main(void) {
    const struct CMUnitTest tests[] = {
        ERASE_TEST(what_was_erased_is_empty_and_the_chain_holds),
        ERASE_TEST(a_row_that_somebody_else_empties_is_noticed),
        ERASE_TEST(an_emptied_row_is_filled_again_by_nobody),
        ERASE_TEST(a_large_erasure_is_written_down_in_several_rows),
        cmocka_unit_test(lists_of_rows_are_written_and_read),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
