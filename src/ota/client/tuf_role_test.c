#include "ota/client/tuf_role.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

#include "ota/client/tuf_json.h"

static porch_why why;

static uint64_t seconds(const char *text) {
    uint64_t s = 0;
    assert_int_equal(porch_tuf_time_read(porch_bytes_of(text), &s), PORCH_OK);
    return s;
}

static void times_are_counted_from_1970(void **state) {
    (void)state;
    assert_int_equal(seconds("1970-01-01T00:00:00Z"), 0);
    assert_int_equal(seconds("1972-02-29T23:59:59Z"), 68255999);
    assert_int_equal(seconds("2000-03-01T00:00:00Z"), 951868800);
    assert_int_equal(seconds("2024-02-29T12:00:00Z"), 1709208000);
    assert_int_equal(seconds("2038-01-19T03:14:08Z"), 2147483648);
    assert_int_equal(seconds("2100-03-01T00:00:00Z"), 4107542400);
    assert_int_equal(seconds("9999-12-31T23:59:59Z"), 253402300799);
}

static void times_in_another_form_are_refused(void **state) {
    (void)state;
    const char *bad[] = {"",
                         "2030-01-01",
                         "2030-01-01T00:00:00",
                         "2030-01-01 00:00:00Z",
                         "2030-01-01T00:00:00z",
                         "2030-1-01T00:00:000Z",
                         "2030-00-01T00:00:00Z",
                         "2030-13-01T00:00:00Z",
                         "2030-02-29T00:00:00Z",
                         "2100-02-29T00:00:00Z",
                         "2030-04-31T00:00:00Z",
                         "2030-01-00T00:00:00Z",
                         "2030-01-01T24:00:00Z",
                         "2030-01-01T00:60:00Z",
                         "2030-01-01T00:00:60Z",
                         "1969-12-31T23:59:59Z",
                         "2030-01-01T00:00:00Z ",
                         "+030-01-01T00:00:00Z"};
    for (size_t i = 0; i < sizeof bad / sizeof bad[0]; i++) {
        uint64_t s = 7;
        assert_int_equal(porch_tuf_time_read(porch_bytes_of(bad[i]), &s), PORCH_ERR_MALFORMED);
        assert_int_equal(s, 7);
    }
}

/* A stand-in for a crypto library: a signature fits when it is the key's first two bytes twice; the key's
 * third byte alone is its fingerprint. */
static porch_err fake_verify(porch_verify_scheme scheme, porch_bytes key, porch_bytes message,
                             porch_bytes signature, uint8_t fingerprint[32]) {
    if (scheme != PORCH_VERIFY_ED25519 || key.len < 3 || message.len == 0) return PORCH_ERR_UNSUPPORTED;
    if (signature.len != 4 || memcmp(signature.at, key.at, 2) != 0 ||
        memcmp(signature.at + 2, key.at, 2) != 0)
        return PORCH_ERR_SIGNATURE;
    memset(fingerprint, key.at[2], 32);
    return PORCH_OK;
}

static void fake_hash(porch_bytes b, uint8_t *out) {
    memset(out, (int)b.len, 32);
}

static const porch_verify_ops fake = {fake_verify, fake_hash, fake_hash};

#define KEY(id, public) \
    "\"" id "\":{\"keytype\":\"ed25519\",\"keyval\":{\"public\":\"" public "\"},\"scheme\":\"ed25519\"}"

static porch_err check(const char *keyids, unsigned threshold, const char *signatures) {
    static const char keys[] =
        "{" KEY("k1", "aaaa01") "," KEY("k2", "bbbb02") "," KEY("twin", "cccc01") "," KEY("bad", "zz") "}";
    static char document[1024];
    porch_tuf_trust trust = {porch_bytes_of(keys), porch_bytes_of(keyids), threshold};
    (void)snprintf(document, sizeof document, "{\"signatures\":%s,\"signed\":{\"a\":1}}", signatures);
    return porch_tuf_signatures_check(&fake, porch_bytes_of(document), &trust, &why);
}

#define SIG(id, sig) "{\"keyid\":\"" id "\",\"sig\":\"" sig "\"}"

static void a_threshold_counts_different_keys_that_the_role_lists(void **state) {
    (void)state;
    const char *both = "[" SIG("k1", "aaaaaaaa") "," SIG("k2", "bbbbbbbb") "]";
    assert_int_equal(check("[\"k1\",\"k2\"]", 2, both), PORCH_OK);
    assert_int_equal(check("[\"k1\"]", 2, both), PORCH_ERR_SIGNATURE);
    assert_int_equal(check("[\"k1\",\"k1\"]", 2, both), PORCH_ERR_SIGNATURE);
    assert_int_equal(check("[\"k1\",\"gone\"]", 1, both), PORCH_OK);
    assert_int_equal(check("[\"gone\"]", 1, "[" SIG("gone", "aaaaaaaa") "]"), PORCH_ERR_SIGNATURE);
    assert_int_equal(
        check("[\"k1\",\"twin\"]", 2, "[" SIG("k1", "aaaaaaaa") "," SIG("twin", "cccccccc") "]"),
        PORCH_ERR_SIGNATURE);
    assert_int_equal(check("[\"k1\",\"bad\"]", 1, "[" SIG("bad", "zzzzzzzz") "," SIG("k1", "aaaaaaaa") "]"),
                     PORCH_OK);
    assert_int_equal(check("[\"k1\"]", 1, "[]"), PORCH_ERR_SIGNATURE);
}

static void two_signatures_under_one_id_are_refused_wherever_they_stand(void **state) {
    (void)state;
    assert_int_equal(
        check("[\"k1\"]", 1, "[" SIG("k1", "aaaaaaaa") "," SIG("x", "") "," SIG("x", "00") "]"),
        PORCH_ERR_MALFORMED);
    assert_int_equal(check("[\"k1\"]", 1, "[" SIG("k1", "aaaaaaaa") ",1]"), PORCH_ERR_MALFORMED);
}

static void a_lost_key_is_noticed_and_a_new_one_is_not_a_loss(void **state) {
    (void)state;
    porch_tuf_trust a = {.keyids = PORCH_LIT("[\"a\",\"b\"]")},
                    ab = {.keyids = PORCH_LIT("[\"c\",\"b\",\"a\"]")},
                    b = {.keyids = PORCH_LIT("[\"b\",\"c\"]")};
    assert_false(porch_tuf_trust_lost_key(&a, &a));
    assert_false(porch_tuf_trust_lost_key(&a, &ab));
    assert_true(porch_tuf_trust_lost_key(&a, &b));
}

static void a_target_needs_a_length_and_a_hash_that_we_know(void **state) {
    (void)state;
#define H64 "0123456789abcdef0123456789abcdef0123456789abcdef0123456789abcdef"
    const char *good =
        "{\"targets\":{\"a\\\"b\":{\"custom\":{\"x\":1},\"hashes\":{\"md5\":\"00\",\"sha256\":\"" H64
        "\"},\"length\":5}}}";
    porch_tuf_target t;
    assert_int_equal(porch_tuf_target_read(porch_bytes_of(good), PORCH_LIT("a\"b"), &t, &why), PORCH_OK);
    assert_int_equal(t.length, 5);
    assert_true(t.hashes.has_sha256 && !t.hashes.has_sha512 && t.hashes.sha256[1] == 0x23);
    assert_true(porch_bytes_eq_text(t.custom, "{\"x\":1}"));
    assert_int_equal(porch_tuf_target_read(porch_bytes_of(good), PORCH_LIT("a"), &t, &why),
                     PORCH_ERR_NOT_FOUND);
    const char *bad[] = {"{}",
                         "{\"targets\":[]}",
                         "{\"targets\":{\"a\":1}}",
                         "{\"targets\":{\"a\":{\"hashes\":{\"sha256\":\"" H64 "\"}}}}",
                         "{\"targets\":{\"a\":{\"hashes\":{},\"length\":1}}}",
                         "{\"targets\":{\"a\":{\"hashes\":{\"md5\":\"00\"},\"length\":1}}}",
                         "{\"targets\":{\"a\":{\"hashes\":{\"sha256\":\"00\"},\"length\":1}}}",
                         "{\"targets\":{\"a\":{\"hashes\":{\"sha256\":\"" H64 "00\"},\"length\":1}}}",
                         "{\"targets\":{\"a\":{\"hashes\":{\"sha256\":1},\"length\":1}}}",
                         "{\"targets\":{\"a\":{\"custom\":[],\"hashes\":{\"sha256\":\"" H64
                         "\"},\"length\":1}}}",
                         "{\"targets\":{\"a\":{\"hashes\":{\"sha256\":\"" H64 "\"},\"length\":-1}}}"};
    for (size_t i = 0; i < sizeof bad / sizeof bad[0]; i++)
        assert_int_equal(porch_tuf_target_read(porch_bytes_of(bad[i]), PORCH_LIT("a"), &t, &why),
                         PORCH_ERR_MALFORMED);
}

static void bytes_must_have_every_hash_that_is_named(void **state) {
    (void)state;
    porch_tuf_hashes h = {.has_sha256 = true};
    memset(h.sha256, 3, sizeof h.sha256);
    assert_true(porch_tuf_hashes_fit(&fake, &h, PORCH_LIT("abc")));
    assert_false(porch_tuf_hashes_fit(&fake, &h, PORCH_LIT("abcd")));
    h.has_sha512 = true;
    assert_false(porch_tuf_hashes_fit(&fake, &h, PORCH_LIT("abc")));
    assert_true(porch_tuf_hashes_fit(&fake, &(porch_tuf_hashes){0}, PORCH_LIT("abc")));
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(times_are_counted_from_1970),
        cmocka_unit_test(times_in_another_form_are_refused),
        cmocka_unit_test(a_threshold_counts_different_keys_that_the_role_lists),
        cmocka_unit_test(two_signatures_under_one_id_are_refused_wherever_they_stand),
        cmocka_unit_test(a_lost_key_is_noticed_and_a_new_one_is_not_a_loss),
        cmocka_unit_test(a_target_needs_a_length_and_a_hash_that_we_know),
        cmocka_unit_test(bytes_must_have_every_hash_that_is_named),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
