#include "crypto/x509.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>
#include <ctype.h>
#include <openssl/ec.h>
#include <openssl/objects.h>

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

/* The list has public halves: here they are made from the private ones that the standards print. */
static void every_printed_private_key_of_p256_gives_a_weak_public_one(void **state) {
    (void)state;
    static const char *const printed[] = {
        "c9afa9d845ba75166b5c215767b1d6934e50c3db36e89b127b8a622b120f6721", /* RFC 6979, A.2.5 */
        "f3bd0c07a81fb932781ed52752f60cc89a6be5e51934fe01938ddb55d8f77801", /* RFC 7517, A.2 */
        "c88f01f510d9ac3f70a292daa2316de544e9aab8afe84049c62a9c57862d1433", /* RFC 5903, 8.1 */
        "c6ef9c5d78ae012a011164acb397ce2088685d8f06bf9be0b283ab46476bee53",
        "57c92077664146e876760c9520d054aa93c3afb04e306705db6090308507b4d3", /* RFC 8152, C.7.2 */
        "aff907c99f9ad3aae6c4cdf21122bce2bd68b5283e6907154ad911840fa208cf",
        "02d1f7e6f26c43d4868d87ceb2353161740aacf1f7163647984b522a848df1c3",
        "529b85f3597e90ec5b8dfed3e26352bf4af9b4debb1a29bbae77fa105a5c603b", /* RFC 9421, B.1.3 */
        "0000000000000000000000000000000000000000000000000000000000000040", /* the last of the small ones */
    };
    EC_GROUP *group = EC_GROUP_new_by_curve_name(NID_X9_62_prime256v1);
    EC_POINT *point = EC_POINT_new(group);
    for (size_t i = 0; i < sizeof printed / sizeof printed[0]; i++) {
        BIGNUM *d = NULL;
        assert_int_not_equal(BN_hex2bn(&d, printed[i]), 0);
        assert_int_equal(EC_POINT_mul(group, point, d, NULL, NULL, NULL), 1);
        char *text = EC_POINT_point2hex(group, point, POINT_CONVERSION_UNCOMPRESSED, NULL);
        for (char *c = text; *c != '\0'; c++)
            *c = (char)tolower(*c);
        const porch_public_key key = key_of(PORCH_KEY_P256, P256_HEAD, text + 2);
        assert_true(porch_key_is_weak(&key));
        OPENSSL_free(text);
        BN_free(d);
    }
    EC_POINT_free(point);
    EC_GROUP_free(group);
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
        cmocka_unit_test(every_printed_private_key_of_p256_gives_a_weak_public_one),
        cmocka_unit_test(a_fresh_key_is_not),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
