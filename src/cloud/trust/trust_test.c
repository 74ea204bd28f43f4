#include "cloud/trust/trust.h"

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

static porch_err append(porch_db *db, void *ctx, porch_why *why) {
    return porch_trust_append(db, "device.add", "operator", ctx, "{\"product\":\"cam\"}", why);
}

static porch_err append_and_fail(porch_db *db, void *ctx, porch_why *why) {
    porch_err e = append(db, ctx, why);
    return e != PORCH_OK ? e : PORCH_ERR_STATE;
}

typedef struct {
    const porch_trust_head *known;
    porch_trust_head head;
} verification;

static porch_err verify(porch_db *db, void *ctx, porch_why *why) {
    verification *v = ctx;
    return porch_trust_verify(db, v->known, &v->head, why);
}

static porch_err tamper(porch_db *db, void *ctx, porch_why *why) {
    return porch_db_run(db, ctx, why);
}

static porch_err verified(store_lab *lab, const porch_trust_head *known, porch_trust_head *head) {
    verification v = {.known = known};
    porch_err e = porch_store_read(lab->store, verify, &v, &lab->why);
    if (head != NULL) *head = v.head;
    return e;
}

static void fill(store_lab *lab, int rows) {
    for (int i = 0; i < rows; i++)
        assert_int_equal(porch_store_write(lab->store, append, "device:cam-1", &lab->why), PORCH_OK);
}

static void an_untouched_log_verifies_and_grows_by_one_head_a_row(void **state) {
    store_lab *lab = *state;
    porch_trust_head head, later;
    assert_int_equal(verified(lab, NULL, &head), PORCH_OK);
    assert_int_equal(head.seq, 0);
    fill(lab, 5);
    assert_int_equal(verified(lab, NULL, &head), PORCH_OK);
    assert_int_equal(head.seq, 5);
    fill(lab, 1);
    assert_int_equal(verified(lab, &head, &later), PORCH_OK);
    assert_int_equal(later.seq, 6);
    assert_memory_not_equal(head.hash, later.hash, sizeof head.hash);
}

static void a_decision_that_fails_leaves_no_row(void **state) {
    store_lab *lab = *state;
    porch_trust_head head;
    assert_int_equal(porch_store_write(lab->store, append_and_fail, "device:cam-1", &lab->why),
                     PORCH_ERR_STATE);
    assert_int_equal(verified(lab, NULL, &head), PORCH_OK);
    assert_int_equal(head.seq, 0);
}

static void each_change_of_a_row_is_found(void **state) {
    (void)state;
    static const char *const changes[] = {
        "update trust set at_ms = at_ms + 1 where seq = 3",
        "update trust set kind = 'device.revoke' where seq = 3",
        "update trust set who = 'user:eve' where seq = 3",
        "update trust set subject = 'device:cam-2' where seq = 3",
        "update trust set detail = '{}' where seq = 3",
        "update trust set hash = zeroblob(32) where seq = 3",
        "delete from trust where seq = 3",
        "delete from trust where seq = 1",
        ("insert into trust select 6, at_ms, kind, who, subject, detail, hash, salt from trust "
         "where seq = 5"),
        "update trust set salt = x'' where seq = 3",
        "update trust set salt = zeroblob(16) where seq = 3",
        /* bytes moved from one field to its neighbour */
        "update trust set who = who || 'd', subject = 'evice:cam-1' where seq = 3",
        "update trust set seq = seq + 100 where seq >= 4",
    };
    for (size_t i = 0; i < sizeof changes / sizeof changes[0]; i++) {
        store_lab lab;
        store_lab_make(&lab);
        assert_int_equal(store_lab_open(&lab), PORCH_OK);
        fill(&lab, 5);
        assert_int_equal(porch_store_write(lab.store, tamper, (void *)changes[i], &lab.why), PORCH_OK);
        porch_err e = verified(&lab, NULL, NULL);
        if (e != PORCH_ERR_SIGNATURE) fail_msg("not found: %s", changes[i]);
        assert_non_null(strstr(lab.why.text, "row"));
        store_lab_remove(&lab);
    }
}

static void a_log_cut_at_its_end_is_found_by_whoever_remembers_a_head(void **state) {
    store_lab *lab = *state;
    fill(lab, 5);
    porch_trust_head known;
    assert_int_equal(verified(lab, NULL, &known), PORCH_OK);
    assert_int_equal(porch_store_write(lab->store, tamper, "delete from trust where seq = 5", &lab->why),
                     PORCH_OK);
    assert_int_equal(verified(lab, NULL, NULL), PORCH_OK); /* by itself it looks whole */
    assert_int_equal(verified(lab, &known, NULL), PORCH_ERR_SIGNATURE);
    fill(lab, 1); /* another row in the cut one's place */
    porch_trust_head other = known;
    other.hash[0] ^= 1;
    assert_int_equal(verified(lab, &other, NULL), PORCH_ERR_SIGNATURE);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(an_untouched_log_verifies_and_grows_by_one_head_a_row, make_lab,
                                        drop_lab),
        cmocka_unit_test_setup_teardown(a_decision_that_fails_leaves_no_row, make_lab, drop_lab),
        cmocka_unit_test(each_change_of_a_row_is_found),
        cmocka_unit_test_setup_teardown(a_log_cut_at_its_end_is_found_by_whoever_remembers_a_head, make_lab,
                                        drop_lab),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
