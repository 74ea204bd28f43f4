#include "cloud/accounts/accounts_password.h"

#include <setjmp.h>
#include <stdarg.h>
#include <string.h>

#include <cmocka.h>

static porch_password_verdict judge(const char *password, const char *name) {
    porch_password_verdict v;
    assert_int_equal(porch_password_judge(porch_bytes_of(password), porch_bytes_of(name), &v, NULL),
                     PORCH_OK);
    return v;
}

static bool has_tip(const porch_password_verdict *v, const char *piece) {
    for (size_t i = 0; i < v->tip_count; i++)
        if (strstr(v->tips[i], piece) != NULL) return true;
    return false;
}

static void unrelated_words_with_capital_and_symbol_are_accepted_without_tips(void **state) {
    (void)state;
    porch_password_verdict v = judge("Gate-lamp-Otter-rides-7-trams", "robin");
    assert_true(v.ok && v.long_enough && v.capital && v.symbol && v.strong);
    assert_int_equal(v.tip_count, 0);
}

static void each_missing_part_is_named_alone(void **state) {
    (void)state;
    porch_password_verdict v = judge("gate-lamp-otter-rides", "robin");
    assert_true(!v.ok && !v.capital && v.symbol && v.long_enough && v.strong);
    assert_int_equal(v.tip_count, 1);
    assert_true(has_tip(&v, "capital"));
    v = judge("GateLampOtterRidesTram", "robin");
    assert_true(!v.ok && !v.symbol && v.capital && v.strong);
    assert_true(has_tip(&v, "symbol"));
    v = judge("Xq7-vR2-kk9", "robin");
    assert_true(!v.ok && !v.long_enough && v.strong);
    assert_true(has_tip(&v, "12 characters"));
}

static void twelve_characters_pass_and_eleven_do_not_counted_as_characters_not_bytes(void **state) {
    (void)state;
    assert_true(judge("Xq7-vR2-kk9w", "").long_enough);
    assert_false(judge("Xq7-vR2-kk9", "").long_enough);
    assert_false(judge("\xC3\x9C\xC3\x9C\xC3\x9C\xC3\x9C\xC3\x9C\xC3\x9C", "").long_enough);
}

static void long_but_common_passwords_are_refused_with_the_reason(void **state) {
    (void)state;
    porch_password_verdict v = judge("P@ssw0rd!P@ssw0rd!", "robin");
    assert_true(!v.ok && v.long_enough && v.capital && v.symbol && !v.strong);
    assert_true(v.tip_count > 0);
    v = judge("Aaaaaaaaaaaa!", "robin");
    assert_false(v.strong);
    assert_true(has_tip(&v, "Repeating"));
    v = judge("Abcdefghijkl!", "robin");
    assert_false(v.strong);
    assert_true(has_tip(&v, "Runs such as"));
    v = judge("Password-2026", "robin");
    assert_false(v.strong);
}

static void the_persons_own_name_does_not_count(void **state) {
    (void)state;
    porch_password_verdict v = judge("Robin-Robin-1!", "robin");
    assert_false(v.strong);
    assert_true(has_tip(&v, "name"));
    v = judge("Marguerite.Fontaine-1", "Marguerite Fontaine");
    assert_true(has_tip(&v, "name") || !v.strong);
    assert_true(judge("Marguerite.Fontaine-1", "").guesses_log10 > v.guesses_log10);
}

static void capitals_and_symbols_beyond_ascii_count(void **state) {
    (void)state;
    assert_true(judge("\xC3\x9C"
                      "berraschung\xE2\x80\x94ufer",
                      "")
                    .capital);
    assert_true(judge("\xC3\x9C"
                      "berraschung\xE2\x80\x94ufer",
                      "")
                    .symbol);
}

static void a_space_is_no_symbol(void **state) {
    (void)state;
    assert_false(judge("Gate lamp Otter rides", "").symbol);
}

static void what_cannot_be_typed_or_is_endless_is_refused(void **state) {
    (void)state;
    porch_password_verdict v;
    assert_int_equal(porch_password_judge(PORCH_LIT("Gate-lamp-\x01-Otter"), PORCH_LIT(""), &v, NULL),
                     PORCH_ERR_MALFORMED);
    assert_int_equal(porch_password_judge(PORCH_LIT("Gate-lamp-\xFF-Otter"), PORCH_LIT(""), &v, NULL),
                     PORCH_ERR_MALFORMED);
    uint8_t endless[PORCH_PASSWORD_MAX + 1];
    memset(endless, 'a', sizeof endless);
    assert_int_equal(porch_password_judge((porch_bytes){endless, sizeof endless}, PORCH_LIT(""), &v, NULL),
                     PORCH_ERR_LIMIT);
    assert_int_equal(
        porch_password_judge((porch_bytes){endless, sizeof endless - 1}, PORCH_LIT(""), &v, NULL),
        PORCH_OK);
    assert_false(v.strong);
}

static void no_tip_repeats_the_password(void **state) {
    (void)state;
    porch_password_verdict v = judge("hunter2hunter2", "robin");
    assert_true(v.tip_count >= 2);
    assert_false(has_tip(&v, "hunter"));
}

static void the_empty_password_gets_every_tip(void **state) {
    (void)state;
    porch_password_verdict v = judge("", "");
    assert_false(v.ok);
    assert_true(v.tip_count >= 4);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(unrelated_words_with_capital_and_symbol_are_accepted_without_tips),
        cmocka_unit_test(each_missing_part_is_named_alone),
        cmocka_unit_test(twelve_characters_pass_and_eleven_do_not_counted_as_characters_not_bytes),
        cmocka_unit_test(long_but_common_passwords_are_refused_with_the_reason),
        cmocka_unit_test(the_persons_own_name_does_not_count),
        cmocka_unit_test(capitals_and_symbols_beyond_ascii_count),
        cmocka_unit_test(a_space_is_no_symbol),
        cmocka_unit_test(what_cannot_be_typed_or_is_endless_is_refused),
        cmocka_unit_test(no_tip_repeats_the_password),
        cmocka_unit_test(the_empty_password_gets_every_tip),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
