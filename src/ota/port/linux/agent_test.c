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

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_release_is_installed_once_and_never_again_after_it_failed)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
