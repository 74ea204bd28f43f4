#include "device/clock.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <string.h>

#include <cmocka.h>

#include "base/cursor.h"
#include "crypto/x509.h"

#define NOW_MS UINT64_C(1796000000000)

/* A fixed Ed25519 key for tests, as PKCS#8. */
static const char *const keys[] = {
    "-----BEGIN PRIVATE "
    "KEY-----\nMC4CAQAwBQYDK2VwBCIEIAABAgMEBQYHCAkKCwwNDg8QERITFBUWFxgZGhscHR4f\n-----END "
    "PRIVATE KEY-----\n",
    "-----BEGIN PRIVATE "
    "KEY-----\nMC4CAQAwBQYDK2VwBCIEIB8eHRwbGhkYFxYVFBMSERAPDg0MCwoJCAcGBQQDAgEA\n-----END "
    "PRIVATE KEY-----\n",
};
static porch_key *signer[2];
static uint8_t key[2][32];

static int load_keys(void **state) {
    (void)state;
    for (int i = 0; i < 2; i++) {
        porch_public_key own;
        assert_int_equal(porch_key_load_pem(porch_bytes_of(keys[i]), &signer[i], NULL), PORCH_OK);
        assert_int_equal(porch_key_public(signer[i], &own, NULL), PORCH_OK);
        memcpy(key[i], own.der + own.len - 32, 32);
    }
    return 0;
}

static int free_keys(void **state) {
    (void)state;
    for (int i = 0; i < 2; i++)
        porch_key_free(signer[i]);
    return 0;
}

static uint8_t block[PORCH_SIGNED_TIME_BYTES];
static const uint8_t nonce[32] = {1, 2, 3}, other_nonce[32] = {1, 2, 4};

static porch_bytes answer(int by, const char *hub, const uint8_t asked[32], uint64_t at_ms) {
    static uint8_t raw[PORCH_SIGNATURE_MAX_BYTES];
    porch_buf text = PORCH_BUF_OF(block), signature = PORCH_BUF_OF(raw);
    porch_signed_time t = {.at_ms = at_ms};
    (void)porch_bytes_to_text(porch_bytes_of(hub), t.hub, sizeof t.hub);
    memcpy(t.nonce, asked, sizeof t.nonce);
    assert_int_equal(porch_signed_time_statement(&t, &text), PORCH_OK);
    assert_int_equal(
        porch_key_sign(signer[by], PORCH_SIGN_ED25519, porch_buf_bytes(&text), &signature, NULL), PORCH_OK);
    assert_int_equal(porch_signed_time_sign(porch_buf_bytes(&signature), &text), PORCH_OK);
    return porch_buf_bytes(&text);
}

static porch_err judge(const porch_device_clock *c, porch_bytes text) {
    porch_signed_time t;
    return porch_clock_judge(c, text, key[0], "hub-1", nonce, &t, NULL);
}

static void only_our_hubs_answer_to_our_question_counts(void **state) {
    (void)state;
    const porch_device_clock c = {.floor_ms = NOW_MS - 1000};
    assert_int_equal(judge(&c, answer(0, "hub-1", nonce, NOW_MS)), PORCH_OK);
    assert_int_equal(judge(&c, answer(1, "hub-1", nonce, NOW_MS)), PORCH_ERR_SIGNATURE);
    assert_int_equal(judge(&c, answer(0, "hub-2", nonce, NOW_MS)), PORCH_ERR_SIGNATURE);
    assert_int_equal(judge(&c, answer(0, "hub-1", other_nonce, NOW_MS)), PORCH_ERR_SIGNATURE);
    porch_bytes text = answer(0, "hub-1", nonce, NOW_MS);
    for (size_t i = 0; i < text.len; i++) {
        block[i] ^= 1;
        assert_int_not_equal(judge(&c, text), PORCH_OK);
        block[i] ^= 1;
    }
}

static void time_goes_forward_only_and_not_by_more_than_ten_years_at_once(void **state) {
    (void)state;
    const porch_device_clock c = {.floor_ms = NOW_MS};
    assert_int_equal(judge(&c, answer(0, "hub-1", nonce, NOW_MS - 1)), PORCH_ERR_ROLLBACK);
    assert_int_equal(judge(&c, answer(0, "hub-1", nonce, NOW_MS)), PORCH_OK);
    assert_int_equal(judge(&c, answer(0, "hub-1", nonce, NOW_MS + PORCH_CLOCK_JUMP_MOST_MS)), PORCH_OK);
    assert_int_equal(judge(&c, answer(0, "hub-1", nonce, NOW_MS + PORCH_CLOCK_JUMP_MOST_MS + 1)),
                     PORCH_ERR_LIMIT);
}

static void
now_is_never_below_the_floor_and_follows_the_signed_time_where_the_clock_is_wrong(void **state) {
    (void)state;
    porch_device_clock c = {.floor_ms = NOW_MS};
    assert_int_equal(porch_clock_now(&c, 0, 50), NOW_MS);
    assert_int_equal(porch_clock_now(&c, NOW_MS + 7, 50), NOW_MS + 7);
    assert_false(porch_clock_is_known(&c, 0));
    assert_false(porch_clock_is_known(&c, NOW_MS - 300001));
    assert_true(porch_clock_is_known(&c, NOW_MS - 300000));
    assert_true(porch_clock_is_known(&c, NOW_MS * 2));
    porch_clock_set(&c, NOW_MS + 1000, 100);
    assert_int_equal(c.floor_ms, NOW_MS + 1000);
    assert_int_equal(porch_clock_now(&c, 0, 350), NOW_MS + 1250);
    assert_true(porch_clock_is_known(&c, 0));
    /* a clock that runs years ahead is as wrong */
    assert_int_equal(porch_clock_now(&c, NOW_MS * 2, 350), NOW_MS + 1250);
    /* one that is about right is believed */
    assert_int_equal(porch_clock_now(&c, NOW_MS + 60000, 350), NOW_MS + 60000);
    /* but not to before what the hub has told */
    assert_int_equal(porch_clock_now(&c, NOW_MS - 60000, 350), NOW_MS + 1000);
}

static void the_hub_is_asked_once_a_run_and_daily(void **state) {
    (void)state;
    porch_device_clock c = {.floor_ms = NOW_MS};
    assert_true(porch_clock_wants(&c, 5));
    porch_clock_set(&c, NOW_MS, 5);
    assert_false(porch_clock_wants(&c, 5 + PORCH_CLOCK_FRESH_MS - 1));
    assert_true(porch_clock_wants(&c, 5 + PORCH_CLOCK_FRESH_MS));
}

static void the_floor_survives_on_disk_and_never_sinks(void **state) {
    (void)state;
    uint8_t text[PORCH_CLOCK_TEXT_MOST];
    porch_buf out = PORCH_BUF_OF(text);
    porch_device_clock c = {.floor_ms = NOW_MS}, back = {.floor_ms = 0};
    assert_int_equal(porch_clock_write(&c, &out), PORCH_OK);
    assert_int_equal(porch_clock_read(porch_buf_bytes(&out), &back), PORCH_OK);
    assert_int_equal(back.floor_ms, NOW_MS);
    assert_int_equal(porch_clock_read(PORCH_LIT("5\n"), &back), PORCH_OK);
    assert_int_equal(back.floor_ms, NOW_MS);
    static const char *const wrong[] = {"", "\n", "5", "05\n", "-5\n", "5\n\n", "99999999999999999999\n"};
    for (size_t i = 0; i < sizeof wrong / sizeof wrong[0]; i++)
        assert_int_equal(porch_clock_read(porch_bytes_of(wrong[i]), &back), PORCH_ERR_MALFORMED);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(only_our_hubs_answer_to_our_question_counts),
        cmocka_unit_test(time_goes_forward_only_and_not_by_more_than_ten_years_at_once),
        cmocka_unit_test(now_is_never_below_the_floor_and_follows_the_signed_time_where_the_clock_is_wrong),
        cmocka_unit_test(the_hub_is_asked_once_a_run_and_daily),
        cmocka_unit_test(the_floor_survives_on_disk_and_never_sinks),
    };
    return cmocka_run_group_tests(tests, load_keys, free_keys);
}
