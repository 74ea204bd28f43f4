#include "cloud/listener/address.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>

#include <cmocka.h>

static void each_address_has_its_own_count(void **state) {
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

static void many_addresses_come_and_go(void **state) {
    (void)state;
    porch_addresses *a = porch_addresses_new(1);
    char text[64];
    for (int round = 0; round < 2; round++) {
        for (int i = 0; i < 20000; i++) {
            snprintf(text, sizeof text, "2001:db8:0:%x::1", i);
            assert_true(porch_addresses_enter(a, text));
            assert_false(porch_addresses_enter(a, text));
        }
        for (int i = 0; i < 20000; i++) {
            snprintf(text, sizeof text, "2001:db8:0:%x::1", i);
            porch_addresses_leave(a, text);
        }
    }
    porch_addresses_leave(a, "never seen");
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
        cmocka_unit_test(each_address_has_its_own_count),
        cmocka_unit_test(many_addresses_come_and_go),
        cmocka_unit_test(all_of_an_ipv6_network_is_one_address),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
