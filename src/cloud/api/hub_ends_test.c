/* Which certificates are told of, by how much time each has left. */
#include "cloud/api/hub_ends.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <string.h>

#include <cmocka.h>

#define DAY 86400000ull

static unsigned told[PORCH_METRICS_ENDS];

static void note(const porch_hub_end *one, void *ctx) {
    (void)ctx;
    assert_true(one->command[0] != '\0' && one->ends_ms != 0);
    told[one->which]++;
}

/* With `days` left for the one. */
static unsigned tells(porch_metrics_end which, uint64_t days, uint32_t life) {
    const uint64_t now_ms = 1000 * DAY;
    uint64_t ends_ms[PORCH_METRICS_ENDS] = {0};
    ends_ms[which] = now_ms + days * DAY;
    memset(told, 0, sizeof told);
    porch_hub_ends_judge(ends_ms, now_ms, life, note, NULL);
    unsigned all = 0;
    for (int i = 0; i < PORCH_METRICS_ENDS; i++)
        all += told[i];
    assert_int_equal(all, told[which]); /* and no other: those are not known */
    return told[which];
}

static void each_kind_is_told_in_its_time_and_not_before(void **state) {
    (void)state;
    static const struct {
        porch_metrics_end which;
        uint64_t days; /* the first with which it is not told */
    } rows[] = {{PORCH_METRICS_END_ROOT, 90 + 365}, {PORCH_METRICS_END_ISSUING, 90 + 30},
                {PORCH_METRICS_END_FORMER, 14},     {PORCH_METRICS_END_HUB, 14},
                {PORCH_METRICS_END_PEOPLE, 14},     {PORCH_METRICS_END_WEB_CA, 90}};
    assert_int_equal(sizeof rows / sizeof rows[0], PORCH_METRICS_ENDS);
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        assert_int_equal(tells(rows[i].which, rows[i].days, 90), 0);
        assert_int_equal(tells(rows[i].which, rows[i].days - 1, 90), 1);
        assert_int_equal(tells(rows[i].which, 0, 90), 1);
    }
}

/* An issuer stops issuing when what it issues would outlive it. */
static void longer_lives_are_told_earlier(void **state) {
    (void)state;
    assert_int_equal(tells(PORCH_METRICS_END_ISSUING, 200, 90), 0);
    assert_int_equal(tells(PORCH_METRICS_END_ISSUING, 200, 365), 1);
}

static void what_has_ended_is_told(void **state) {
    (void)state;
    uint64_t ends_ms[PORCH_METRICS_ENDS] = {[PORCH_METRICS_END_HUB] = 1};
    memset(told, 0, sizeof told);
    porch_hub_ends_judge(ends_ms, 1000 * DAY, 90, note, NULL);
    assert_int_equal(told[PORCH_METRICS_END_HUB], 1);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(each_kind_is_told_in_its_time_and_not_before),
        cmocka_unit_test(longer_lives_are_told_earlier),
        cmocka_unit_test(what_has_ended_is_told),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
