#include "crypto/sha256.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <string.h>

#include <cmocka.h>

#include "base/text.h"

static void assert_hex(const uint8_t *got, const char *expected) {
    uint8_t text[65] = {0};
    porch_buf b = {text, 0, 64};
    assert_int_equal(porch_hex_write(&b, (porch_bytes){got, 32}), PORCH_OK);
    assert_string_equal((char *)text, expected);
}

static void the_vectors_of_fips_180_hold(void **state) {
    (void)state;
    uint8_t out[32];
    porch_sha256(PORCH_LIT(""), out);
    assert_hex(out, "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855");
    porch_sha256(PORCH_LIT("abc"), out);
    assert_hex(out, "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad");
}

static void the_vectors_of_rfc_4231_hold(void **state) {
    (void)state;
    uint8_t key[131], out[32];
    memset(key, 0x0b, 20);
    porch_hmac_sha256((porch_bytes){key, 20}, PORCH_LIT("Hi There"), out);
    assert_hex(out, "b0344c61d8db38535ca8afceaf0bf12b881dc200c9833da726e9376c2e32cff7");
    memset(key, 0xaa, sizeof key);
    porch_hmac_sha256((porch_bytes){key, sizeof key},
                      PORCH_LIT("Test Using Larger Than Block-Size Key - Hash Key First"), out);
    assert_hex(out, "60e431591ee0b67f0d8a26aacbf5b77f8e0bc6213728c5140546040f0ee37f54");
    porch_hmac_sha256((porch_bytes){NULL, 0}, (porch_bytes){NULL, 0}, out);
    assert_hex(out, "b613679a0814d9ec772f95d778c35fc5ff1697c493715653c6c712144292c5ad");
}

static void pieces_give_the_digest_of_the_whole(void **state) {
    (void)state;
    uint8_t whole[300], expected[32], out[32];
    for (size_t i = 0; i < sizeof whole; i++)
        whole[i] = (uint8_t)(i * 31);
    porch_sha256_state *s = porch_sha256_new();
    for (size_t len = 0; len <= sizeof whole; len++) {
        porch_sha256_update(s, (porch_bytes){whole, len / 3});
        porch_sha256(((porch_bytes){whole, len / 3}), expected);
        porch_sha256_peek(s, out);
        assert_memory_equal(out, expected, 32);
        porch_sha256_update(s, (porch_bytes){whole + len / 3, len - len / 3});
        porch_sha256_finish(s, out);
        porch_sha256((porch_bytes){whole, len}, expected);
        assert_memory_equal(out, expected, 32);
    }
    porch_sha256_free(s);
    porch_sha256_free(NULL);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(the_vectors_of_fips_180_hold),
        cmocka_unit_test(the_vectors_of_rfc_4231_hold),
        cmocka_unit_test(pieces_give_the_digest_of_the_whole),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
