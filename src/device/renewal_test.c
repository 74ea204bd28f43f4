#include "device/renewal.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include <cmocka.h>

#define DAY_MS UINT64_C(86400000)

static void a_certificate_is_renewed_at_two_thirds_of_its_life_and_not_all_at_once(void **state) {
    (void)state;
    const uint64_t from = 20000 * DAY_MS, to = from + 90 * DAY_MS;
    assert_int_equal(porch_renewal_at(from, to, 0), from + 60 * DAY_MS);
    uint64_t last = porch_renewal_at(from, to, UINT32_MAX);
    assert_true(last > from + 67 * DAY_MS && last < from + 68 * DAY_MS);
    assert_true(porch_renewal_at(from, to, UINT32_MAX / 2) > porch_renewal_at(from, to, UINT32_MAX / 4));
    /* a thousand years do not wrap */
    assert_true(porch_renewal_at(0, 365000 * DAY_MS, UINT32_MAX) < 365000 * DAY_MS);
}

static void a_certificate_without_a_life_is_renewed_at_once(void **state) {
    (void)state;
    assert_int_equal(porch_renewal_at(9, 5, 77), 5);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_certificate_is_renewed_at_two_thirds_of_its_life_and_not_all_at_once),
        cmocka_unit_test(a_certificate_without_a_life_is_renewed_at_once),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
