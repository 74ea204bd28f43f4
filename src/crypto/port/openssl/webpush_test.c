#include "crypto/webpush.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <string.h>

#include <cmocka.h>

#include "base/text.h"

/* RFC 8291, 5 and appendix A. */
static const char *const browser_key =
    "BCVxsr7N_eNgVRqvHtD0zTZsEc6-VV-JvLexhqUzORcxaOzi6-AYWXvTBHm4bjyPjs7Vd8pZGH6SRpkNtoIAiw4";
static const char *const auth_secret = "BTBZMqHH6r4Tts7J_aSIgg";
static const char *const sender_secret = "yfWPiYE-n46HLnH0KqZOF1fJJU3MYrct3AELtAQ-oRw";
static const char *const salt_text = "DGv6ra1nlYgDCS1FRnbzlw";
static const char *const body =
    "DGv6ra1nlYgDCS1FRnbzlwAAEABBBP4z9KsN6nGRTbVYI_"
    "c7VJSPQTBtkgcy27mlmlMoZIIgDll6e3vCYLocInmYWAmS6TlzAC8wEqKK6"
    "PBru3jl7A_yl95bQpu6cVPTpK4Mqgkf1CXztLVBSt2Ks3oZwbuwXPXLWyouBWLVWGNWQexSgSxsj_Qulcy4a-fN";

static void bytes_of(const char *text, uint8_t *out, size_t len) {
    porch_buf b = {out, 0, len};
    assert_int_equal(porch_base64_read(&b, porch_bytes_of(text), true), PORCH_OK);
    assert_int_equal(b.len, len);
}

static void the_example_of_rfc_8291_comes_out_byte_for_byte(void **state) {
    (void)state;
    uint8_t key[PORCH_WEBPUSH_PUBLIC_BYTES], auth[PORCH_WEBPUSH_AUTH_BYTES], salt[PORCH_WEBPUSH_SALT_BYTES],
        secret[PORCH_WEBPUSH_SECRET_BYTES], expected[144], block[256];
    porch_buf out = PORCH_BUF_OF(block), want = PORCH_BUF_OF(expected);
    bytes_of(browser_key, key, sizeof key);
    bytes_of(auth_secret, auth, sizeof auth);
    bytes_of(salt_text, salt, sizeof salt);
    bytes_of(sender_secret, secret, sizeof secret);
    assert_int_equal(porch_base64_read(&want, porch_bytes_of(body), true), PORCH_OK);
    assert_int_equal(porch_webpush_seal_with(key, auth,
                                             PORCH_LIT("When I grow up, I want to be a watermelon"), salt,
                                             secret, &out, NULL),
                     PORCH_OK);
    assert_int_equal(out.len, want.len);
    assert_memory_equal(block, expected, want.len);
}

static void two_messages_share_neither_salt_nor_key_nor_cipher_text(void **state) {
    (void)state;
    uint8_t key[PORCH_WEBPUSH_PUBLIC_BYTES], auth[PORCH_WEBPUSH_AUTH_BYTES], one_block[256], two_block[256];
    porch_buf one = PORCH_BUF_OF(one_block), two = PORCH_BUF_OF(two_block);
    bytes_of(browser_key, key, sizeof key);
    bytes_of(auth_secret, auth, sizeof auth);
    assert_int_equal(porch_webpush_seal(key, auth, PORCH_LIT("the same"), &one, NULL), PORCH_OK);
    assert_int_equal(porch_webpush_seal(key, auth, PORCH_LIT("the same"), &two, NULL), PORCH_OK);
    assert_int_equal(one.len, 8 + PORCH_WEBPUSH_EXTRA_BYTES);
    assert_memory_not_equal(one_block, two_block, 16);
    assert_memory_not_equal(one_block + 21, two_block + 21, 65);
    assert_memory_not_equal(one_block + 86, two_block + 86, 8);
}

static void what_does_not_fit_or_is_no_point_is_refused_and_nothing_written(void **state) {
    (void)state;
    static uint8_t plain[PORCH_WEBPUSH_PLAIN_BYTES + 1], block[4096 + 1];
    uint8_t key[PORCH_WEBPUSH_PUBLIC_BYTES], auth[PORCH_WEBPUSH_AUTH_BYTES] = {0};
    porch_buf out = PORCH_BUF_OF(block), small = {block, 0, 150};
    bytes_of(browser_key, key, sizeof key);
    assert_int_equal(porch_webpush_seal(key, auth, (porch_bytes){plain, sizeof plain}, &out, NULL),
                     PORCH_ERR_LIMIT);
    assert_int_equal(porch_webpush_seal(key, auth, (porch_bytes){plain, 48}, &small, NULL),
                     PORCH_ERR_NO_SPACE);
    assert_int_equal(porch_webpush_seal(key, auth, (porch_bytes){plain, 47}, &small, NULL), PORCH_OK);
    assert_int_equal(porch_webpush_seal(key, auth, (porch_bytes){plain, sizeof plain - 1}, &out, NULL),
                     PORCH_OK);
    assert_int_equal(out.len, 4096);
    assert_true(porch_webpush_key_valid((porch_bytes){key, sizeof key}));
    assert_false(porch_webpush_key_valid((porch_bytes){key, sizeof key - 1}));
    key[40] ^= 1;
    out.len = 0;
    assert_false(porch_webpush_key_valid((porch_bytes){key, sizeof key}));
    assert_int_equal(porch_webpush_seal(key, auth, PORCH_LIT("x"), &out, NULL), PORCH_ERR_MALFORMED);
    assert_int_equal(out.len, 0);
    key[40] ^= 1;
    key[0] = 2;
    assert_false(porch_webpush_key_valid((porch_bytes){key, sizeof key}));
}

/* RFC 8292, 2.4. */
static const char *const vapid_signed =
    "eyJ0eXAiOiJKV1QiLCJhbGciOiJFUzI1NiJ9."
    "eyJhdWQiOiJodHRwczovL3B1c2guZXhhbXBsZS5uZXQiLCJleHAiOjE0NTM1MjM3NjgsInN1"
    "YiI6Im1haWx0bzpwdXNoQGV4YW1wbGUuY29tIn0";
static const char *const vapid_signature =
    "i3CYb7t4xfxCDquptFOepC9GAu_HLGkMlMuCGSK2rpiUfnK9ojFwDXb1JrErtmysazNjjvW2L9OkSSHzvoD1oA";
static const char *const vapid_key =
    "BA1Hxzyi1RUM1b5wjxsn7nGxAszw2u61m164i3MrAIxHF6YK5h4SDYic-dRuU_RCPCfA5aq9ojSwk5Y2EmClBPs";

static void the_example_of_rfc_8292_verifies_and_nothing_near_it(void **state) {
    (void)state;
    uint8_t key[PORCH_WEBPUSH_PUBLIC_BYTES], signature[PORCH_WEBPUSH_ES256_BYTES];
    bytes_of(vapid_key, key, sizeof key);
    bytes_of(vapid_signature, signature, sizeof signature);
    porch_bytes data = porch_bytes_of(vapid_signed), sig = {signature, sizeof signature};
    assert_int_equal(porch_es256_verify(key, data, sig), PORCH_OK);
    assert_int_equal(porch_es256_verify(key, (porch_bytes){data.at, data.len - 1}, sig),
                     PORCH_ERR_SIGNATURE);
    assert_int_equal(porch_es256_verify(key, data, (porch_bytes){signature, 63}), PORCH_ERR_SIGNATURE);
    signature[63] ^= 1;
    assert_int_equal(porch_es256_verify(key, data, sig), PORCH_ERR_SIGNATURE);
}

static void a_signature_of_ours_verifies_with_the_point_of_its_key(void **state) {
    (void)state;
    porch_key *key = NULL;
    uint8_t point[PORCH_WEBPUSH_PUBLIC_BYTES];
    assert_int_equal(porch_key_generate_p256(&key, NULL), PORCH_OK);
    assert_int_equal(porch_es256_public(key, point, NULL), PORCH_OK);
    /* Several, since r or s is now and then a byte short in DER. */
    for (int i = 0; i < 64; i++) {
        uint8_t block[PORCH_WEBPUSH_ES256_BYTES];
        porch_buf out = PORCH_BUF_OF(block);
        assert_int_equal(porch_es256_sign(key, PORCH_LIT("a.b"), &out, NULL), PORCH_OK);
        assert_int_equal(out.len, PORCH_WEBPUSH_ES256_BYTES);
        assert_int_equal(porch_es256_verify(point, PORCH_LIT("a.b"), porch_buf_bytes(&out)), PORCH_OK);
    }
    porch_key_free(key);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(the_example_of_rfc_8291_comes_out_byte_for_byte),
        cmocka_unit_test(two_messages_share_neither_salt_nor_key_nor_cipher_text),
        cmocka_unit_test(what_does_not_fit_or_is_no_point_is_refused_and_nothing_written),
        cmocka_unit_test(the_example_of_rfc_8292_verifies_and_nothing_near_it),
        cmocka_unit_test(a_signature_of_ours_verifies_with_the_point_of_its_key),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
