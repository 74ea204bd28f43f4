/* What is done with a release; which one is chosen is tested with signed ones in
 * tests/integration/test_update.py. */
#include "ota/port/linux/agent.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <string.h>

#include <cmocka.h>

static void a_release_is_installed_once_and_never_again_after_it_failed(void **state) {
    (void)state;
    porch_agent_release r = {0};
    memset(r.image.sha256, 7, 32);
    const struct {
        porch_slot_state other;
        uint8_t active, second; /* the hashes' bytes */
        porch_agent_step then;
    } rows[] = {{PORCH_SLOT_EMPTY, 1, 0, PORCH_AGENT_INSTALL},
                {PORCH_SLOT_EMPTY, 7, 0, PORCH_AGENT_CURRENT},
                {PORCH_SLOT_OLD, 7, 1, PORCH_AGENT_CURRENT},
                {PORCH_SLOT_OLD, 1, 7, PORCH_AGENT_INSTALL},
                {PORCH_SLOT_WRITING, 1, 7, PORCH_AGENT_INSTALL},
                {PORCH_SLOT_STAGED, 1, 7, PORCH_AGENT_CURRENT},
                {PORCH_SLOT_TRIAL, 1, 7, PORCH_AGENT_CURRENT},
                {PORCH_SLOT_ROLLED_BACK, 1, 7, PORCH_AGENT_FAILED},
                {PORCH_SLOT_ROLLED_BACK, 1, 6, PORCH_AGENT_INSTALL}};
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        porch_slot_record slots = {.active = (uint8_t)(i % 2), .other = rows[i].other};
        memset(slots.image[slots.active].sha256, rows[i].active, 32);
        memset(slots.image[1 - slots.active].sha256, rows[i].second, 32);
        assert_int_equal(porch_agent_decide(&slots, &r), rows[i].then);
    }
}

static void what_was_signed_for_some_asks_for_what_the_device_knows_of_itself(void **state) {
    (void)state;
    porch_agent_release r = {.path = "camera/2/image", .image = {.counter = 2, .length = 100}};
    const porch_agent_facts nothing = {.battery = -1}, all = {.id = "cam-1",
                                                              .has_schema = true,
                                                              .schema = 2,
                                                              .battery = 50,
                                                              .has_battery = true,
                                                              .minute = 60};
    porch_policy_verdict v = PORCH_POLICY_REFUSE;
    porch_why why;
    assert_int_equal(porch_agent_judge(&r, &nothing, 0, 1, &v, &why), PORCH_OK);
    assert_int_equal(v, PORCH_POLICY_FULL);
    const struct {
        porch_policy policy;
        uint32_t widened;
        porch_policy_verdict then;
        bool asks;
    } rows[] = {
        {{.stages = 1, .stage = {{.share = 0}}}, 0, PORCH_POLICY_WAIT, true},
        {{.stages = 1, .stage = {{.share = 0}}}, PORCH_POLICY_ALL, PORCH_POLICY_FULL, true},
        {{.schema_least = 3}, 0, PORCH_POLICY_REFUSE, true},
        {{.schema_least = 2}, 0, PORCH_POLICY_FULL, true},
        {{.battery = 60}, 0, PORCH_POLICY_WAIT, true},
        {{.has_window = true, .from_min = 120, .to_min = 180}, 0, PORCH_POLICY_WAIT, false},
        {{.has_bytes = true, .bytes = 99}, 0, PORCH_POLICY_REFUSE, false},
    };
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        r.policy = rows[i].policy;
        assert_int_equal(porch_agent_judge(&r, &all, rows[i].widened, 1, &v, &why), PORCH_OK);
        assert_int_equal(v, rows[i].then);
        assert_int_equal(porch_agent_judge(&r, &nothing, 0, 1, &v, &why),
                         rows[i].asks ? PORCH_ERR_USAGE : PORCH_OK);
    }
    assert_int_equal(porch_agent_judge(&r, &all, 0, 3, &v, &why), PORCH_OK);
    assert_int_equal(v, PORCH_POLICY_REFUSE); /* below the floor */
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_release_is_installed_once_and_never_again_after_it_failed),
        cmocka_unit_test(what_was_signed_for_some_asks_for_what_the_device_knows_of_itself)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
