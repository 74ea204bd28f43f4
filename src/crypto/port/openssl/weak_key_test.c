#include "crypto/x509.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "base/text.h"

static porch_public_key key_of(porch_key_kind kind, const char *head, const char *key) {
    porch_public_key k = {.kind = kind};
    porch_buf b = {k.der, 0, sizeof k.der};
    assert_int_equal(porch_hex_read(&b, porch_bytes_of(head)), PORCH_OK);
    assert_int_equal(porch_hex_read(&b, porch_bytes_of(key)), PORCH_OK);
    k.len = b.len;
    return k;
}

#define P256_HEAD    "3059301306072a8648ce3d020106082a8648ce3d03010703420004"
#define ED25519_HEAD "302a300506032b6570032100"
/* The base point of P-256 (private key 1), and the same x with -y (private key n - 1). */
#define G_X     "6b17d1f2e12c4247f8bce6e563a440f277037d812deb33a0f4a13945d898c296"
#define G_Y     "4fe342e2fe1a7f9b8ee7eb4a7c0f9e162bce33576b315ececbb6406837bf51f5"
#define G_NEG_Y "b01cbd1c01e58065711814b583f061e9d431cca994cea1313449bf97c840ae0a"
#define RFC_X   "60fed4ba255a9d31c961eb74c6356d68c049b8923b61fa6ce669622e60f29fb6"
#define RFC_Y   "7903fe1008b8bc99a41ae9e95628bc64f2f1b20c2d7e9f5177a3c294d4462299"

static void keys_that_everybody_knows_are_weak(void **state) {
    (void)state;
    const porch_public_key weak[] = {
        key_of(PORCH_KEY_P256, P256_HEAD, G_X G_Y),
        key_of(PORCH_KEY_P256, P256_HEAD, G_X G_NEG_Y),
        key_of(PORCH_KEY_P256, P256_HEAD, RFC_X RFC_Y),
        key_of(PORCH_KEY_ED25519, ED25519_HEAD,
               "d75a980182b10ab7d54bfed3c964073a0ee172f3daa62325af021a68f707511a"),
        key_of(PORCH_KEY_ED25519, ED25519_HEAD,
               "0100000000000000000000000000000000000000000000000000000000000000"),
    };
    for (size_t i = 0; i < sizeof weak / sizeof weak[0]; i++)
        assert_true(porch_key_is_weak(&weak[i]));
}

static void a_fresh_key_is_not(void **state) {
    (void)state;
    porch_key *key = NULL;
    porch_public_key own;
    porch_why why = {""};
    assert_int_equal(porch_key_generate_p256(&key, &why), PORCH_OK);
    assert_int_equal(porch_key_public(key, &own, &why), PORCH_OK);
    assert_false(porch_key_is_weak(&own));
    porch_key_free(key);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(keys_that_everybody_knows_are_weak),
        cmocka_unit_test(a_fresh_key_is_not),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
