#include "crypto/sha512.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <string.h>

#include <cmocka.h>

#include "base/text.h"

static void assert_hex(const uint8_t *got, const char *expected) {
    uint8_t text[129] = {0};
    porch_buf b = {text, 0, 128};
    assert_int_equal(porch_hex_write(&b, (porch_bytes){got, 64}), PORCH_OK);
    assert_string_equal((char *)text, expected);
}

static const char abc[] = "ddaf35a193617abacc417349ae20413112e6fa4e89a97ea20a9eeee64b55d39a"
                          "2192992a274fc1a836ba3c23a3feebbd454d4423643ce80e2a9ac94fa54ca49f";

static void the_vector_of_fips_180_holds(void **state) {
    (void)state;
    uint8_t out[64];
    porch_sha512(PORCH_LIT("abc"), out);
    assert_hex(out, abc);
}

static void pieces_make_the_same_digest(void **state) {
    (void)state;
    uint8_t out[64];
    porch_sha512_state *s = porch_sha512_new();
    porch_sha512_update(s, PORCH_LIT("a"));
    porch_sha512_update(s, PORCH_LIT(""));
    porch_sha512_update(s, PORCH_LIT("bc"));
    porch_sha512_finish(s, out);
    porch_sha512_free(s);
    assert_hex(out, abc);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(the_vector_of_fips_180_holds),
        cmocka_unit_test(pieces_make_the_same_digest),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
