#include "ota/client/policy.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

#include "ota/client/tuf_json.h"

static porch_why why;
static uint8_t block[4096];
static uint32_t members[64];

static porch_err read_text(const char *text, porch_policy *ret) {
    porch_buf canonical = PORCH_BUF_OF(block);
    assert_int_equal(porch_tuf_json_canonical(porch_bytes_of(text), (porch_tuf_json_scratch){members, 64},
                                              &canonical, &why),
                     PORCH_OK);
    return porch_policy_read(porch_buf_bytes(&canonical), ret, &why);
}

static void what_is_signed_is_read_and_what_is_off_is_refused(void **state) {
    (void)state;
    porch_policy p;
    assert_int_equal(porch_policy_read((porch_bytes){0}, &p, &why), PORCH_OK);
    assert_int_equal(p.stages, 0);
    assert_int_equal(
        read_text(
            "{\"rollout\":{\"stages\":[{\"share\":100,\"dwell_s\":60},{\"share\":10000}],\"battery\":30,"
            "\"window\":{\"from_min\":120,\"to_min\":300},\"bytes\":5000},\"schema_least\":3}",
            &p),
        PORCH_OK);
    assert_int_equal(p.stages, 2);
    assert_int_equal(p.stage[0].share, 100);
    assert_int_equal(p.stage[0].dwell_s, 60);
    assert_int_equal(p.stage[1].share, 10000);
    assert_int_equal(p.battery, 30);
    assert_true(p.has_window && p.from_min == 120 && p.to_min == 300);
    assert_true(p.has_bytes && p.bytes == 5000);
    assert_int_equal(p.schema_least, 3);
    const char *const off[] = {
        "{\"rollout\":7}",
        "{\"rollout\":{\"stages\":{}}}",
        "{\"rollout\":{\"stages\":[]}}",
        "{\"rollout\":{\"stages\":[{}]}}",
        "{\"rollout\":{\"stages\":[{\"share\":0}]}}",
        "{\"rollout\":{\"stages\":[{\"share\":10001}]}}",
        "{\"rollout\":{\"stages\":[{\"share\":-1}]}}",
        "{\"rollout\":{\"stages\":[{\"share\":9},{\"share\":9}]}}",
        "{\"rollout\":{\"stages\":[{\"share\":9,\"dwell_s\":\"1\"}]}}",
        "{\"rollout\":{\"battery\":101}}",
        "{\"rollout\":{\"battery\":true}}",
        "{\"rollout\":{\"window\":{\"from_min\":1}}}",
        "{\"rollout\":{\"window\":{\"from_min\":1440,\"to_min\":5}}}",
        "{\"rollout\":{\"window\":{\"from_min\":5,\"to_min\":5}}}",
        "{\"rollout\":{\"bytes\":null}}",
        "{\"schema_least\":\"3\"}",
        "{\"rollout\":{\"stages\":[{\"share\":1},{\"share\":2},{\"share\":3},{\"share\":4},{\"share\":5},{"
        "\"share\":6},{\"share\":7},{\"share\":8},{\"share\":9},"
        "{\"share\":10},{\"share\":11},{\"share\":12},{\"share\":13},{\"share\":14},{\"share\":15},{"
        "\"share\":16},{\"share\":17}]}}",
    };
    for (size_t i = 0; i < sizeof off / sizeof off[0]; i++)
        if (read_text(off[i], &p) == PORCH_OK) fail_msg("taken: %s", off[i]);
}

static void a_share_grows_with_powered_on_time_alone(void **state) {
    (void)state;
    porch_policy p = {.stage = {{100, 60}, {2500, 40}, {10000, 0}}, .stages = 3};
    const struct {
        uint64_t powered_s;
        uint32_t share;
    } rows[] = {{0, 100}, {59, 100}, {60, 2500}, {99, 2500}, {100, 10000}, {UINT64_MAX, 10000}};
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++)
        assert_int_equal(porch_policy_share(&p, rows[i].powered_s), rows[i].share);
    assert_int_equal(porch_policy_stage_left(&p, 0), 60);
    assert_int_equal(porch_policy_stage_left(&p, 59), 1);
    assert_int_equal(porch_policy_stage_left(&p, 60), 40);
    assert_int_equal(porch_policy_stage_left(&p, 100), 0);
    p.stages = 0;
    assert_int_equal(porch_policy_share(&p, 0), PORCH_POLICY_ALL);
    assert_int_equal(porch_policy_stage_left(&p, 0), 0);
}

static void each_row_decides_as_it_says(void **state) {
    (void)state;
    const porch_policy p = {.stage = {{100, 60}, {10000, 0}},
                            .stages = 2,
                            .battery = 30,
                            .has_window = true,
                            .from_min = 1380,
                            .to_min = 60,
                            .has_bytes = true,
                            .bytes = 1000,
                            .schema_least = 2};
    const porch_policy_facts good = {.cohort = 99,
                                     .battery = 30,
                                     .minute = 1380,
                                     .schema = 2,
                                     .counter = 5,
                                     .floor = 5,
                                     .delta_bytes = 1000,
                                     .full_bytes = 9000};
    porch_policy_facts f = good;
    assert_int_equal(porch_policy_decide(&p, &f, &why), PORCH_POLICY_DELTA);
    f.floor = 6;
    assert_int_equal(porch_policy_decide(&p, &f, &why), PORCH_POLICY_REFUSE);
    f = good, f.schema = 1;
    assert_int_equal(porch_policy_decide(&p, &f, &why), PORCH_POLICY_REFUSE);
    f = good, f.cohort = 100;
    assert_int_equal(porch_policy_decide(&p, &f, &why), PORCH_POLICY_WAIT);
    assert_non_null(strstr(why.text, "rollout"));
    f.powered_s = 60;
    assert_int_equal(porch_policy_decide(&p, &f, &why), PORCH_POLICY_DELTA);
    f.powered_s = 0, f.widened = 101;
    assert_int_equal(porch_policy_decide(&p, &f, &why), PORCH_POLICY_DELTA);
    f = good, f.widened = 1; /* never narrower than what was signed first */
    assert_int_equal(porch_policy_decide(&p, &f, &why), PORCH_POLICY_DELTA);
    f = good, f.battery = 29;
    assert_int_equal(porch_policy_decide(&p, &f, &why), PORCH_POLICY_WAIT);
    f.battery = -1; /* mains */
    assert_int_equal(porch_policy_decide(&p, &f, &why), PORCH_POLICY_DELTA);
    f = good, f.minute = 60;
    assert_int_equal(porch_policy_decide(&p, &f, &why), PORCH_POLICY_WAIT);
    f.minute = 59; /* past midnight */
    assert_int_equal(porch_policy_decide(&p, &f, &why), PORCH_POLICY_DELTA);
    f.minute = -1;
    assert_int_equal(porch_policy_decide(&p, &f, &why), PORCH_POLICY_WAIT);
    f = good, f.delta_bytes = 0; /* none that fits: the budget says no to the whole image, aloud */
    assert_int_equal(porch_policy_decide(&p, &f, &why), PORCH_POLICY_REFUSE);
    assert_non_null(strstr(why.text, "whole image"));
    f.full_bytes = 1000;
    assert_int_equal(porch_policy_decide(&p, &f, &why), PORCH_POLICY_FULL);
    f.fetched = 1;
    assert_int_equal(porch_policy_decide(&p, &f, &why), PORCH_POLICY_REFUSE);
}

static void cohorts_spread_evenly_and_differ_with_each_release(void **state) {
    (void)state;
    unsigned first = 0, both = 0;
    const uint8_t one[32] = {1}, two[32] = {2};
    for (unsigned i = 0; i < 10000; i++) {
        char id[32];
        (void)snprintf(id, sizeof id, "device-%u", i);
        uint32_t a = porch_policy_cohort(porch_verify_library(), porch_bytes_of(id), one);
        uint32_t b = porch_policy_cohort(porch_verify_library(), porch_bytes_of(id), two);
        assert_true(a < PORCH_POLICY_ALL);
        first += a < 1000;
        both += a < 1000 && b < 1000;
    }
    assert_in_range(first, 900, 1100); /* a tenth */
    assert_in_range(both, 60, 140);    /* a tenth of these */
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(what_is_signed_is_read_and_what_is_off_is_refused),
        cmocka_unit_test(a_share_grows_with_powered_on_time_alone),
        cmocka_unit_test(each_row_decides_as_it_says),
        cmocka_unit_test(cohorts_spread_evenly_and_differ_with_each_release),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
