/* Who counts as one address, and that places come back. */
#include "cloud/listener/address.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

static void places_are_counted_and_come_back(void **state) {
    (void)state;
    porch_addresses *a = porch_addresses_new(2);
    assert_true(porch_addresses_enter(a, "192.0.2.1"));
    assert_true(porch_addresses_enter(a, "192.0.2.1"));
    assert_false(porch_addresses_enter(a, "192.0.2.1"));
    assert_true(porch_addresses_enter(a, "192.0.2.2"));
    porch_addresses_leave(a, "192.0.2.1");
    assert_true(porch_addresses_enter(a, "192.0.2.1"));
    porch_addresses_free(a);
}

static void all_of_an_ipv6_network_is_one_address(void **state) {
    (void)state;
    porch_addresses *a = porch_addresses_new(2);
    assert_true(porch_addresses_enter(a, "2001:db8:1:2::1"));
    assert_true(porch_addresses_enter(a, "2001:db8:1:2:ffff::7"));
    assert_false(porch_addresses_enter(a, "2001:db8:1:2::3"));
    assert_true(porch_addresses_enter(a, "2001:db8:1:3::1"));
    porch_addresses_leave(a, "2001:db8:1:2::1");
    assert_true(porch_addresses_enter(a, "2001:db8:1:2::3"));
    porch_addresses_free(a);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(places_are_counted_and_come_back),
        cmocka_unit_test(all_of_an_ipv6_network_is_one_address),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
