#include "crypto/verify.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <string.h>

#include <cmocka.h>

#include "base/text.h"

/* Keys and signatures over "signed metadata", made once by another library. */
static const char ec_pem[] = "-----BEGIN PUBLIC KEY-----\n"
                             "MFkwEwYHKoZIzj0CAQYIKoZIzj0DAQcDQgAEUe8Lc09xsJfWQxcAHuEBGw4KyzNq\n"
                             "dDNwGMg8pzD+FFnADtje8p68+L8cG56WYDAw21YdPXUn1IU++EnVfHMAUg==\n"
                             "-----END PUBLIC KEY-----\n";
static const char ec_point[] =
    "0451ef0b734f71b097d64317001ee1011b0e0acb336a74337018c83ca730fe1459c00ed8def29ebcf8bf1c1b9e966030"
    "30db561d3d7527d4853ef849d57c730052";
static const char ec_signature[] =
    "304402205e0ff2de19cf9feeeb35b93487cec763ed6c73f84b87c11206120a5c21f39b47022078e8d374857cf55f543a"
    "a52f9d7bfcc1eb97aadd40e59a6a7fcb17763fb6c7ca";
static const char ed_pem[] = "-----BEGIN PUBLIC KEY-----\n"
                             "MCowBQYDK2VwAyEAsgjy0O63iVnA551UoRivt2SZrVs788vmF3APhUF2w1A=\n"
                             "-----END PUBLIC KEY-----\n";
static const char ed_raw[] = "b208f2d0eeb78959c0e79d54a118afb76499ad5b3bf3cbe617700f854176c350";
static const char ed_signature[] =
    "5251fb55179f92752aef657ec199ad48d7684d99187bc821477c90a014f721fb91a269732a2a8af201c548b2b6eeb267"
    "26f2e09d8fc2a3b03c7e9c130148d60f";
static const char rsa_pem[] = "-----BEGIN PUBLIC KEY-----\n"
                              "MIIBIjANBgkqhkiG9w0BAQEFAAOCAQ8AMIIBCgKCAQEA14MykJFxLOlZlWhnDhwz\n"
                              "aFsT4KGaQgbylJDgybNsoz16xq13w8w5WpwqIVSdW2liHj66B+rUNQ62c9TCT7X8\n"
                              "iYLFyvlWoazklHumzv01gNZzVHGpp3pqrtbrPsUuHTaJrvTup3m2IKJpPhDgnXIl\n"
                              "k5sOU94N0xQ+FwVp7HWM35w8q1JJ9x2HQI/UCWqZkSn6n8vCFSIepyJmb++ZapXc\n"
                              "wgloAgkEX7y1WQaaIA9CAvh8Q2rapBMboMNawAY9r2rmD41Hrf1Z9Y1l+OVupbL/\n"
                              "eoYhG//Fk298BlKUuidi3+l3KoC8HydCKOXExstHNDgsrtut6hgIdRVs57SewTdZ\n"
                              "JwIDAQAB\n"
                              "-----END PUBLIC KEY-----\n";
static const char rsa_signature[] = /* salt as long as the digest */
    "5d6e2e8ac1823394819fbef08528953db8938f77d5b0d6ea30583e2fcf60fd604a749206e033ca92aa6d9b1412238e16"
    "d1c9192920a26b7df47a1a8315e73dc12d49419bb9bf656b1c6c3d1c01f13da9e046aa3cfb8c955d497da764d99d572b"
    "be4a95019a46c4b31fcfb7058d2d3bbc19eabff22c7890cdca7191a1e6510ea6d0d752414d54b0f0b26d24cef69dfbe8"
    "e25f52eaca7237ebc7630a05b7e2bc125cfc2ed9cf7772f480f1b9e2ea78339dd9e49e1c7f1545e28bc30f031ffb2135"
    "e31ad4380316c3bbd30c8ce229ab5e5935851adb1b5f2b52844e3a2199ff328bf854e0830c5902bfdf4afbd36b4aec97"
    "30f10da22f88bc981396d8e01c14c84d";
static const char rsa_long_salt[] =
    "14bd39f3b3afc1d6bb2b00c4c4a0ed47e6f9849f014d1e242b25be58a0520f8a1637deea450bab83898af31e766178c3"
    "4be830999f091b93f713aa0f86cec1d536421af7b5370154a6b6d30e6cbb027675cf4058b82e396b2a7a7aac53ff105d"
    "0d89d1d11e2e8bf6e55626dc650eb2b396aef2efd3d8741950bdec51f66510a6cf298ece56a90d9a5b6cbd8d3387add1"
    "0bfa06f5554cb3ccf1c9a9bbcd67e80dd5ff2c15cb82aff16c4b35f0a4dd17a95444df3b324393bb2e79d1f7445d3e27"
    "602b1f4fc5aa723f963e19811e5cc443ec61fe039ae13d35537b0a3193891051232b2c9c6774c5c89f53f83e1ef7a7a8"
    "4d1da24c1ea90a74617f88a089a9a9c9";
static const char rsa_pkcs1[] =
    "44e30382fc8a550c433eb9288c9c834a0df1a5f6a39f33f532485acf1f4433386b4dab97e49d5a7e99bfac91b421c0e2"
    "5d7c15e35864e4a8ece2b89795e72115c0cec7a13dae94379e3e13b05bdeb2198b8e2d2df996d9724f52f4c712af3112"
    "4d399f5a58c19824ec432fc55c5d32e085691e4572898e018f1ea51b80c26d7d5e18a1886f5e1683060572c591f1d474"
    "d82f6024320336aad9f3373fc4615ab48e464666b33639f33300ec0c026262d0c01ba1e55726caedb1b1c4a37d334f13"
    "468e0218cfdc68be56197a579b8f69910851bdf606fd410540019261b0465186bf13f48a92da9f03cabfe574001fe21c"
    "29cae1c4897ba6df0eb7a3adc22b01f2";
static const char short_rsa_pem[] = "-----BEGIN PUBLIC KEY-----\n"
                                    "MIGfMA0GCSqGSIb3DQEBAQUAA4GNADCBiQKBgQCvFDeelLaRUuQ9Uo9FR0UlzUq8\n"
                                    "5GVacdH2a2JInzW4ikkZTkfo+dYoLWJ3dGp4xMXa92EoVepw8JPXCdzGmBQFSDpK\n"
                                    "lfVsr3H5fEozw9NiQHkdTKd3V7O5Sa27Z6VjZB4RQBWdfZUbPzXnvQzWTzLX44uv\n"
                                    "nPBMklAjo5nELFXRtQIDAQAB\n"
                                    "-----END PUBLIC KEY-----\n";
static const char short_rsa_signature[] =
    "5f8dc5c43c2aa076df89d60c5ef91b57e6a623e4fad8ec84b39b08a5ac335f9683a849e0158626812fd79cd1b25ee8b3"
    "a2345ad6be7c013e2fae0873a6b5b97277240621ca84179b70df4bfba87970cdc5f19487308e631827ec185113bb5cd6"
    "526dcc849baaaad70c54b67391f0313aadef4066814901511fdf4eb89c1b9964";

static const char message[] = "signed metadata";

static porch_bytes unhex(const char *text, uint8_t *block, size_t cap) {
    porch_buf b = {block, 0, cap};
    assert_int_equal(porch_hex_read(&b, porch_bytes_of(text)), PORCH_OK);
    return porch_buf_bytes(&b);
}

static porch_err check(porch_verify_scheme scheme, porch_bytes key, const char *text, const char *signature,
                       uint8_t fingerprint[32]) {
    uint8_t block[PORCH_VERIFY_SIGNATURE_BYTES];
    return porch_verify_library()->verify(scheme, key, porch_bytes_of(text),
                                          unhex(signature, block, sizeof block), fingerprint);
}

static void each_scheme_accepts_what_another_library_signed(void **state) {
    (void)state;
    uint8_t id[32];
    assert_int_equal(check(PORCH_VERIFY_ECDSA_P256, porch_bytes_of(ec_pem), message, ec_signature, id),
                     PORCH_OK);
    assert_int_equal(check(PORCH_VERIFY_ED25519, porch_bytes_of(ed_pem), message, ed_signature, id),
                     PORCH_OK);
    assert_int_equal(
        check(PORCH_VERIFY_RSA_PSS_SHA256, porch_bytes_of(rsa_pem), message, rsa_signature, id), PORCH_OK);
    assert_int_equal(
        check(PORCH_VERIFY_RSA_PSS_SHA256, porch_bytes_of(rsa_pem), message, rsa_long_salt, id), PORCH_OK);
}

static void a_key_has_one_fingerprint_however_it_is_written(void **state) {
    (void)state;
    uint8_t pem[32], raw[32], block[80];
    assert_int_equal(check(PORCH_VERIFY_ECDSA_P256, porch_bytes_of(ec_pem), message, ec_signature, pem),
                     PORCH_OK);
    assert_int_equal(
        check(PORCH_VERIFY_ECDSA_P256, unhex(ec_point, block, sizeof block), message, ec_signature, raw),
        PORCH_OK);
    assert_memory_equal(pem, raw, 32);
    assert_int_equal(check(PORCH_VERIFY_ED25519, porch_bytes_of(ed_pem), message, ed_signature, pem),
                     PORCH_OK);
    assert_int_equal(
        check(PORCH_VERIFY_ED25519, unhex(ed_raw, block, sizeof block), message, ed_signature, raw),
        PORCH_OK);
    assert_memory_equal(pem, raw, 32);
}

static void another_message_or_a_changed_signature_does_not_fit(void **state) {
    (void)state;
    const struct {
        porch_verify_scheme scheme;
        const char *key, *signature;
    } rows[] = {{PORCH_VERIFY_ECDSA_P256, ec_pem, ec_signature},
                {PORCH_VERIFY_ED25519, ed_pem, ed_signature},
                {PORCH_VERIFY_RSA_PSS_SHA256, rsa_pem, rsa_signature}};
    for (size_t i = 0; i < 3; i++) {
        uint8_t id[32], block[PORCH_VERIFY_SIGNATURE_BYTES];
        porch_bytes key = porch_bytes_of(rows[i].key);
        assert_int_equal(check(rows[i].scheme, key, "signed metadatA", rows[i].signature, id),
                         PORCH_ERR_SIGNATURE);
        porch_bytes signature = unhex(rows[i].signature, block, sizeof block);
        for (size_t len = 0; len < signature.len; len++)
            assert_int_equal(porch_verify_library()->verify(rows[i].scheme, key, porch_bytes_of(message),
                                                            (porch_bytes){block, len}, id),
                             PORCH_ERR_SIGNATURE);
        block[signature.len - 1] ^= 1;
        assert_int_equal(
            porch_verify_library()->verify(rows[i].scheme, key, porch_bytes_of(message), signature, id),
            PORCH_ERR_SIGNATURE);
    }
}

static void keys_of_another_kind_or_size_are_not_used(void **state) {
    (void)state;
    uint8_t id[32], block[80];
    porch_bytes point = unhex(ec_point, block, sizeof block);
    assert_int_equal(check(PORCH_VERIFY_ED25519, porch_bytes_of(ec_pem), message, ec_signature, id),
                     PORCH_ERR_UNSUPPORTED);
    assert_int_equal(check(PORCH_VERIFY_ECDSA_P256, porch_bytes_of(rsa_pem), message, rsa_signature, id),
                     PORCH_ERR_UNSUPPORTED);
    assert_int_equal(
        check(PORCH_VERIFY_RSA_PSS_SHA256, porch_bytes_of(short_rsa_pem), message, short_rsa_signature, id),
        PORCH_ERR_UNSUPPORTED);
    assert_int_equal(check(PORCH_VERIFY_RSA_PSS_SHA256, porch_bytes_of(rsa_pem), message, rsa_pkcs1, id),
                     PORCH_ERR_SIGNATURE);
    block[10] ^= 1; /* no point of the curve */
    assert_int_equal(check(PORCH_VERIFY_ECDSA_P256, point, message, ec_signature, id),
                     PORCH_ERR_UNSUPPORTED);
    for (size_t len = 0; len < sizeof ec_pem - 2; len++)
        assert_int_equal(check(PORCH_VERIFY_ECDSA_P256, (porch_bytes){(const uint8_t *)ec_pem, len},
                               message, ec_signature, id),
                         PORCH_ERR_UNSUPPORTED);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(each_scheme_accepts_what_another_library_signed),
        cmocka_unit_test(a_key_has_one_fingerprint_however_it_is_written),
        cmocka_unit_test(another_message_or_a_changed_signature_does_not_fit),
        cmocka_unit_test(keys_of_another_kind_or_size_are_not_used),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
