#include "device/twin.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <string.h>

#include <cmocka.h>

static porch_err take(porch_twin *t, const char *text) {
    return porch_twin_take(t, porch_bytes_of(text), NULL);
}

static void only_a_newer_wish_counts(void **state) {
    (void)state;
    porch_twin t;
    bool on = false;
    porch_twin_init(&t);
    porch_twin_desired d = porch_twin_wish(&t);
    assert_int_equal(porch_twin_version(&d), 0);
    assert_false(porch_twin_bool(&d, "privacy", &on));
    assert_int_equal(take(&t, "{\"v\":1,\"version\":5,\"state\":{\"privacy\":true}}"), PORCH_OK);
    assert_int_equal(take(&t, "{\"v\":1,\"version\":5,\"state\":{\"privacy\":false}}"), PORCH_ERR_AGAIN);
    assert_int_equal(take(&t, "{\"v\":1,\"version\":4,\"state\":{\"privacy\":false}}"), PORCH_ERR_AGAIN);
    assert_int_equal(take(&t, "{\"v\":1,\"version\":0,\"state\":{}}"), PORCH_ERR_AGAIN);
    assert_int_equal(take(&t, "nonsense"), PORCH_ERR_MALFORMED);
    d = porch_twin_wish(&t);
    assert_int_equal(porch_twin_version(&d), 5);
    assert_true(porch_twin_bool(&d, "privacy", &on) && on);
    assert_int_equal(take(&t, "{\"v\":1,\"version\":6,\"state\":{\"privacy\":false}}"), PORCH_OK);
    d = porch_twin_wish(&t);
    assert_true(porch_twin_bool(&d, "privacy", &on) && !on);
}

static void members_are_read_by_their_kind(void **state) {
    (void)state;
    porch_twin t;
    int32_t list[4] = {9, 9, 9, 9};
    size_t count = 7;
    int64_t n = 0;
    bool on = true;
    char text[4];
    porch_twin_init(&t);
    assert_int_equal(
        take(&t, "{\"v\":1,\"version\":1,\"state\":{\"l\":[1,-2],\"big\":[4294967296],\"t\":\"abc\","
                 "\"long\":\"abcd\",\"n\":-7}}"),
        PORCH_OK);
    porch_twin_desired d = porch_twin_wish(&t);
    assert_true(porch_twin_list(&d, "l", list, 4, &count));
    assert_int_equal(count, 2);
    assert_int_equal(list[1], -2);
    assert_false(porch_twin_list(&d, "l", list, 1, &count));
    assert_false(porch_twin_list(&d, "big", list, 4, &count));
    assert_int_equal(count, 2);
    assert_true(porch_twin_text(&d, "t", text, sizeof text));
    assert_string_equal(text, "abc");
    assert_false(porch_twin_text(&d, "long", text, sizeof text));
    assert_true(porch_twin_number(&d, "n", &n));
    assert_int_equal(n, -7);
    assert_false(porch_twin_bool(&d, "n", &on));
    assert_false(porch_twin_number(&d, "none", &n));
}

static void the_last_report_is_what_is_sent_again(void **state) {
    (void)state;
    static const int32_t zones[] = {1, 2, 3, 4};
    porch_twin t;
    uint8_t block[PORCH_TWIN_DOC_MOST];
    porch_buf b = PORCH_BUF_OF(block);
    porch_twin_init(&t);
    assert_int_equal(porch_twin_report_text(&t, &b), PORCH_OK);
    assert_true(porch_bytes_eq_text(porch_buf_bytes(&b), "{\"v\":1,\"version\":0,\"state\":{}}"));
    const porch_twin_member members[] = {
        {.name = "privacy", .kind = PORCH_TWIN_BOOL, .on = true},
        {.name = "ignore", .kind = PORCH_TWIN_LIST, .list = zones, .count = 4},
        {.name = "n", .kind = PORCH_TWIN_NUMBER, .number = 3},
        {.name = "capture", .kind = PORCH_TWIN_TEXT, .text = "stopped"}};
    assert_int_equal(porch_twin_set_reported(&t, 3, members, 4), PORCH_OK);
    b.len = 0;
    assert_int_equal(porch_twin_report_text(&t, &b), PORCH_OK);
    static const char expected[] =
        "{\"v\":1,\"version\":3,\"state\":{\"privacy\":true,\"ignore\":[1,2,3,4],\"n\":3,"
        "\"capture\":\"stopped\"}}";
    assert_true(porch_bytes_eq_text(porch_buf_bytes(&b), expected));
    const porch_twin_member twice[] = {{.name = "a", .kind = PORCH_TWIN_BOOL},
                                       {.name = "a", .kind = PORCH_TWIN_BOOL}};
    assert_int_equal(porch_twin_set_reported(&t, 4, twice, 2), PORCH_ERR_USAGE);
    const porch_twin_member bad = {.name = "No name", .kind = PORCH_TWIN_BOOL};
    assert_int_equal(porch_twin_set_reported(&t, 4, &bad, 1), PORCH_ERR_USAGE);
    b.len = 0;
    assert_int_equal(porch_twin_report_text(&t, &b), PORCH_OK);
    assert_true(porch_bytes_eq_text(porch_buf_bytes(&b), expected));
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(only_a_newer_wish_counts),
        cmocka_unit_test(members_are_read_by_their_kind),
        cmocka_unit_test(the_last_report_is_what_is_sent_again),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
