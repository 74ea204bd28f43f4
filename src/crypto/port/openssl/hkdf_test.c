#include "crypto/hkdf.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <string.h>

#include <cmocka.h>

#include "base/text.h"

static void assert_hkdf(const char *secret, const char *salt, const char *info, const char *expected) {
    uint8_t raw[4][100] = {{0}}, out[100];
    const char *const texts[] = {secret, salt, info, expected};
    porch_bytes views[4];
    for (size_t i = 0; i < 4; i++) {
        porch_buf b = PORCH_BUF_OF(raw[i]);
        assert_int_equal(porch_hex_read(&b, porch_bytes_of(texts[i])), PORCH_OK);
        views[i] = porch_buf_bytes(&b);
    }
    assert_int_equal(porch_hkdf_sha256(views[0], views[1], views[2], out, views[3].len), PORCH_OK);
    assert_memory_equal(out, views[3].at, views[3].len);
}

static void the_vectors_of_rfc_5869_hold(void **state) {
    (void)state;
    assert_hkdf("0b0b0b0b0b0b0b0b0b0b0b0b0b0b0b0b0b0b0b0b0b0b", "000102030405060708090a0b0c",
                "f0f1f2f3f4f5f6f7f8f9",
                "3cb25f25faacd57a90434f64d0362f2a2d2d0a90cf1a5a4c5db02d56ecc4c5bf34007208d5b887185865");
    assert_hkdf("0b0b0b0b0b0b0b0b0b0b0b0b0b0b0b0b0b0b0b0b0b0b", "", "",
                "8da4e775a563c18f715f802a063c5a31b8a11f5c5ee1879ec3454e5f3c738d2d9d201395faa4b61a96c8");
}

static void more_than_the_standard_gives_is_refused(void **state) {
    (void)state;
    static uint8_t out[255 * 32 + 1];
    assert_int_equal(porch_hkdf_sha256(PORCH_LIT("s"), PORCH_LIT(""), PORCH_LIT(""), out, sizeof out - 1),
                     PORCH_OK);
    memset(out, 7, sizeof out);
    assert_int_equal(porch_hkdf_sha256(PORCH_LIT("s"), PORCH_LIT(""), PORCH_LIT(""), out, sizeof out),
                     PORCH_ERR_LIMIT);
    assert_int_equal(out[0], 7);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(the_vectors_of_rfc_5869_hold),
        cmocka_unit_test(more_than_the_standard_gives_is_refused),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
