#include "crypto/password.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <string.h>

#include <cmocka.h>

static void the_right_password_opens_and_others_do_not(void **state) {
    (void)state;
    char one[PORCH_PASSWORD_HASH_BYTES], two[PORCH_PASSWORD_HASH_BYTES];
    assert_int_equal(porch_password_hash(PORCH_LIT("gate lamp"), one), PORCH_OK);
    assert_int_equal(porch_password_hash(PORCH_LIT("gate lamp"), two), PORCH_OK);
    assert_string_not_equal(one, two); /* a fresh salt each time */
    assert_int_equal(strncmp(one, "$argon2id$v=19$m=19456,t=2,p=1$", 31), 0);
    assert_int_equal(porch_password_verify(one, PORCH_LIT("gate lamp")), PORCH_OK);
    assert_int_equal(porch_password_verify(one, PORCH_LIT("gate lamq")), PORCH_ERR_AUTH);
    assert_int_equal(porch_password_verify(one, PORCH_LIT("")), PORCH_ERR_AUTH);
    assert_false(porch_password_is_outdated(one));
}

/* Made with the reference command line tool: echo -n password | argon2 somesalt -id -t 2 -k 65536 -p 1
 * (version 0x13). */
static void a_vector_of_the_reference_tool_verifies(void **state) {
    (void)state;
    const char *phc =
        "$argon2id$v=19$m=65536,t=2,p=1$c29tZXNhbHQ$CTFhFdXPJO1aFaMaO6Mm5c8y7cJHAph8ArZWb2GRPPc";
    assert_int_equal(porch_password_verify(phc, PORCH_LIT("password")), PORCH_OK);
    assert_int_equal(porch_password_verify(phc, PORCH_LIT("differentpassword")), PORCH_ERR_AUTH);
}

static void a_planted_hash_costs_nothing(void **state) {
    (void)state;
    static const char *const wrong[] = {
        "",
        "plain",
        "$argon2i$v=19$m=19456,t=2,p=1$c29tZXNhbHQ$CTFhFdXPJO1aFaMaO6Mm5c8y7cJHAph8ArZWb2GRPPc",
        "$argon2id$v=19$m=4000000,t=2,p=1$c29tZXNhbHQ$CTFhFdXPJO1aFaMaO6Mm5c8y7cJHAph8ArZWb2GRPPc",
        "$argon2id$v=19$m=19456,t=999999,p=1$c29tZXNhbHQ$CTFhFdXPJO1aFaMaO6Mm5c8y7cJHAph8ArZWb2GRPPc",
        "$argon2id$v=19$m=19456,t=2,p=1$",
        "$argon2id$v=19$m=19456,t=2,p=1$c29tZXNhbHQ$",
    };
    for (size_t i = 0; i < sizeof wrong / sizeof wrong[0]; i++)
        assert_int_equal(porch_password_verify(wrong[i], PORCH_LIT("password")), PORCH_ERR_MALFORMED);
    assert_true(porch_password_is_outdated("$argon2id$v=19$m=4096,t=2,p=1$c29tZXNhbHQ$x"));
}

static void a_password_past_the_limit_is_refused(void **state) {
    (void)state;
    static uint8_t huge[PORCH_PASSWORD_MAX_BYTES + 1];
    char out[PORCH_PASSWORD_HASH_BYTES];
    assert_int_equal(porch_password_hash((porch_bytes){huge, sizeof huge}, out), PORCH_ERR_LIMIT);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(the_right_password_opens_and_others_do_not),
        cmocka_unit_test(a_vector_of_the_reference_tool_verifies),
        cmocka_unit_test(a_planted_hash_costs_nothing),
        cmocka_unit_test(a_password_past_the_limit_is_refused),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
