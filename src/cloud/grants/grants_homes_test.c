#include "cloud/grants/grants_homes.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdlib.h>

#include <cmocka.h>

/* Without a registry no household has devices; with one it is seen in
 * tests/integration/test_people_access.py. */
static void a_set_is_shared_until_something_changes(void **state) {
    (void)state;
    grants_homes *h = porch_grants_homes_new(NULL);
    grants_home *one = NULL, *two = NULL, *other = NULL, *later = NULL;
    assert_non_null(h);
    assert_int_equal(porch_grants_home_take(h, "home", &one), PORCH_OK);
    assert_int_equal(porch_grants_home_take(h, "home", &two), PORCH_OK);
    assert_int_equal(porch_grants_home_take(h, "nest", &other), PORCH_OK);
    assert_ptr_equal(one, two);
    assert_ptr_not_equal(one, other);
    assert_false(porch_access_set_has(porch_grants_home_devices(one), PORCH_LIT("cam")));
    porch_grants_homes_changed(h);
    assert_int_equal(porch_grants_home_take(h, "home", &later), PORCH_OK);
    assert_ptr_not_equal(one, later);
    assert_int_equal(porch_access_set_count(porch_grants_home_devices(one)), 0); /* still there */
    porch_grants_home_release(one);
    porch_grants_home_release(two);
    porch_grants_home_release(other);
    porch_grants_home_release(later);
    porch_grants_homes_free(h);
    assert_null(porch_grants_home_devices(NULL));
    porch_grants_home_release(NULL);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_set_is_shared_until_something_changes),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
