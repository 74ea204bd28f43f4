#include "cloud/broker/verdicts.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>

#include <cmocka.h>

enum { PUBLISH = PORCH_ACCESS_PUBLISH, RECEIVE = PORCH_ACCESS_RECEIVE };

static void an_answer_is_found_as_it_was_given(void **state) {
    (void)state;
    porch_verdicts *v = porch_verdicts_new();
    uint64_t asker = porch_verdicts_asker(v);
    assert_true(asker != 0);
    assert_null(porch_verdicts_find(v, asker, PUBLISH, 9));
    porch_verdicts_keep(v, asker, PUBLISH, 9, (porch_access_decision){true, 3});
    porch_verdicts_keep(v, asker, RECEIVE, 9, (porch_access_decision){false, -1});
    const porch_verdict *publish = porch_verdicts_find(v, asker, PUBLISH, 9);
    const porch_verdict *receive = porch_verdicts_find(v, asker, RECEIVE, 9);
    assert_true(publish != NULL && publish->decision.allowed && publish->decision.statement == 3);
    assert_true(receive != NULL && !receive->decision.allowed && receive->decision.statement == -1);
    porch_verdicts_free(v);
}

static void nobody_is_asked_for_twice_under_one_number(void **state) {
    (void)state;
    porch_verdicts *v = porch_verdicts_new();
    uint64_t before = porch_verdicts_asker(v);
    porch_verdicts_keep(v, before, PUBLISH, 1, (porch_access_decision){true, 0});
    for (int i = 0; i < 100000; i++) {
        uint64_t next = porch_verdicts_asker(v);
        assert_true(next > before);
        assert_null(porch_verdicts_find(v, next, PUBLISH, 1));
        before = next;
    }
    porch_verdicts_free(v);
}

/* Far more answers than places: whoever shares a place with another gets its own answer or none. */
static void whoever_shares_a_place_never_gets_the_others_answer(void **state) {
    (void)state;
    porch_verdicts *v = porch_verdicts_new();
    size_t found = 0, lost = 0;
    for (int round = 0; round < 2; round++) {
        for (uint64_t asker = 1; asker <= 4; asker++) {
            for (uint64_t topic = 1; topic <= 9000; topic++) {
                for (unsigned action = PUBLISH; action <= RECEIVE; action += RECEIVE - PUBLISH) {
                    int32_t mark = (int32_t)(asker * 100000 + topic * 8 + action);
                    const porch_verdict *known = porch_verdicts_find(v, asker, action, topic);
                    if (round == 0) assert_null(known);
                    if (known == NULL) lost++;
                    if (known != NULL) found++;
                    if (known != NULL) assert_int_equal(known->decision.statement, mark);
                    if (round == 0)
                        porch_verdicts_keep(v, asker, action, topic, (porch_access_decision){true, mark});
                }
            }
        }
    }
    assert_true(found > PORCH_VERDICT_ROWS / 2 && lost > 60000);
    porch_verdicts_free(v);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(an_answer_is_found_as_it_was_given),
        cmocka_unit_test(nobody_is_asked_for_twice_under_one_number),
        cmocka_unit_test(whoever_shares_a_place_never_gets_the_others_answer),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
