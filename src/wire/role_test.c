#include "wire/role.h"

#include <setjmp.h>
#include <stdarg.h>
#include <string.h>

#include <cmocka.h>

static void each_word_is_one_role_and_back(void **state) {
    (void)state;
    static const char *const words[] = {"owner", "adult", "child", "guest"};
    int seen = 0;
    for (size_t i = 0; i < PORCH_ROLES; i++) {
        porch_role role;
        assert_int_equal(porch_role_parse(porch_bytes_of(words[i]), &role), PORCH_OK);
        assert_string_equal(porch_role_name(role), words[i]);
        assert_true(strlen(words[i]) < PORCH_ROLE_TEXT);
        assert_int_equal(seen & (int)role, 0);
        seen |= (int)role;
    }
    assert_int_equal(seen, PORCH_ROLES_ALL);
}

static void other_words_are_no_role(void **state) {
    (void)state;
    static const char *const words[] = {"", "Owner", "owne", "owners", "admin", "owner "};
    porch_role role = PORCH_ROLE_GUEST;
    for (size_t i = 0; i < sizeof words / sizeof words[0]; i++)
        assert_int_equal(porch_role_parse(porch_bytes_of(words[i]), &role), PORCH_ERR_MALFORMED);
    assert_int_equal(role, PORCH_ROLE_GUEST);
    assert_string_equal(porch_role_name((porch_role)PORCH_ROLES_GROWN), "");
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(each_word_is_one_role_and_back),
        cmocka_unit_test(other_words_are_no_role),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
