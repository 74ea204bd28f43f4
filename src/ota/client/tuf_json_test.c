#include "ota/client/tuf_json.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <string.h>

#include <cmocka.h>

static uint32_t members[64];
static uint8_t block[4096];
static porch_why why;

static porch_err make(const char *text, porch_buf *out) {
    why.text[0] = '\0';
    *out = PORCH_BUF_OF(block);
    return porch_tuf_json_canonical(porch_bytes_of(text), (porch_tuf_json_scratch){members, 64}, out, &why);
}

static void assert_made(const char *text, const char *expected) {
    porch_buf out;
    assert_int_equal(make(text, &out), PORCH_OK);
    assert_int_equal(out.len, strlen(expected));
    assert_memory_equal(out.at, expected, out.len);
}

static void the_canonical_form_has_no_blanks_and_its_members_in_order(void **state) {
    (void)state;
    assert_made(" { \"b\" : [ 1 , -2 , true , false , null , \"x\" ] ,\n\"a\":{\"z\":{},\"y\":[]}}\t\r\n",
                "{\"a\":{\"y\":[],\"z\":{}},\"b\":[1,-2,true,false,null,\"x\"]}");
    assert_made("{\"aa\":1,\"a\":2,\"B\":3,\"\":4}", "{\"\":4,\"B\":3,\"a\":2,\"aa\":1}");
    assert_made("0", "0");
}

static void strings_lose_every_escape_but_two(void **state) {
    (void)state;
    assert_made("\"\\u0041\\/\\\"\\\\\\n\\u00e9\\ud83d\\ude00\"",
                "\"A/\\\"\\\\\n\xc3\xa9\xf0\x9f\x98\x80\"");
    assert_made("\"\\u20ac\xe2\x82\xac\"", "\"\xe2\x82\xac\xe2\x82\xac\"");
}

static void names_are_ordered_by_what_they_say_not_by_how_they_are_written(void **state) {
    (void)state;
    assert_made("{\"\\u00e9\":1,\"z\":2,\"\\u0061\":3,\"\\ud83d\\ude00\":4,\"\xef\xbf\xbd\":5}",
                "{\"a\":3,\"z\":2,\"\xc3\xa9\":1,\"\xef\xbf\xbd\":5,\"\xf0\x9f\x98\x80\":4}");
}

static void what_is_no_json_of_ours_is_refused(void **state) {
    (void)state;
    const char *bad[] = {"",
                         " ",
                         "{",
                         "[",
                         "\"",
                         "{}{}",
                         "[1,]",
                         "[,1]",
                         "[1 2]",
                         "{\"a\":1,}",
                         "{\"a\" 1}",
                         "{\"a\":}",
                         "{\"a\":1 \"b\":2}",
                         "{a:1}",
                         "{1:1}",
                         "{\"a\":[}",
                         "{\"a\":{]}",
                         "{\"a\":[1]]}",
                         "[1}",
                         "01",
                         "-0",
                         "-",
                         "+1",
                         "1.0",
                         "1e3",
                         "1E3",
                         "NaN",
                         "tru",
                         "nul",
                         "True",
                         "'a'",
                         "\"\x01\"",
                         "\"\n\"",
                         "\"\\x41\"",
                         "\"\\u004\"",
                         "\"\\ud800\"",
                         "\"\\ud800\\u0041\"",
                         "\"\\udc00\"",
                         "\"\\u0000\"",
                         "\"\xc0\x80\"",
                         "\"\xed\xa0\x80\"",
                         "\"\xff\"",
                         "\"\xe2\x82\"",
                         "{\"a\":1,\"a\":1}",
                         "{\"a\":1,\"\\u0061\":2}",
                         "{\"x\":{\"a\":1,\"b\":2,\"a\":3}}",
                         "{\"a\":1/**/}",
                         "\xef\xbb\xbf{}",
                         "{\"\\uzzzz\":1,\"b\":2}"};
    for (size_t i = 0; i < sizeof bad / sizeof bad[0]; i++) {
        porch_buf out;
        porch_err e = make(bad[i], &out);
        if (e != PORCH_ERR_MALFORMED) print_message("%s\n", bad[i]);
        assert_int_equal(e, PORCH_ERR_MALFORMED);
        assert_non_null(strstr(why.text, "byte"));
    }
}

static void depth_members_digits_and_room_are_bounded(void **state) {
    (void)state;
    porch_buf out;
    char deep[2 * PORCH_TUF_JSON_DEPTH + 3] = {0};
    memset(deep, '[', PORCH_TUF_JSON_DEPTH);
    memset(deep + PORCH_TUF_JSON_DEPTH, ']', PORCH_TUF_JSON_DEPTH);
    assert_int_equal(make(deep, &out), PORCH_OK);
    memset(deep, '[', PORCH_TUF_JSON_DEPTH + 1);
    memset(deep + PORCH_TUF_JSON_DEPTH + 1, ']', PORCH_TUF_JSON_DEPTH + 1);
    assert_int_equal(make(deep, &out), PORCH_ERR_LIMIT);
    assert_int_equal(make("123456789012345678", &out), PORCH_OK);
    assert_int_equal(make("1234567890123456789", &out), PORCH_ERR_LIMIT);

    uint32_t two[2];
    porch_bytes three = PORCH_LIT("{\"a\":1,\"b\":2,\"c\":3}"),
                nested = PORCH_LIT("[{\"a\":{\"b\":2}},{\"c\":3}]");
    out = PORCH_BUF_OF(block);
    assert_int_equal(porch_tuf_json_canonical(three, (porch_tuf_json_scratch){two, 2}, &out, &why),
                     PORCH_ERR_LIMIT);
    assert_int_equal(porch_tuf_json_canonical(nested, (porch_tuf_json_scratch){two, 2}, &out, &why),
                     PORCH_OK);
    for (size_t cap = 0; cap < three.len; cap++) {
        porch_buf small = {block, 0, cap};
        assert_int_equal(
            porch_tuf_json_canonical(three, (porch_tuf_json_scratch){members, 64}, &small, &why),
            PORCH_ERR_NO_SPACE);
    }
}

static void a_text_cut_short_is_refused_at_every_length(void **state) {
    (void)state;
    porch_bytes whole = PORCH_LIT("{\"b\":[1,true,\"\\u00e9x\"],\"a\":{\"c\":null,\"\\\"\":-12}}");
    for (size_t len = 0; len < whole.len; len++) {
        porch_buf out = PORCH_BUF_OF(block);
        assert_int_equal(porch_tuf_json_canonical((porch_bytes){whole.at, len},
                                                  (porch_tuf_json_scratch){members, 64}, &out, &why),
                         PORCH_ERR_MALFORMED);
    }
}

static void members_are_found_by_name_and_kind(void **state) {
    (void)state;
    porch_buf out;
    porch_bytes v;
    uint64_t n = 0;
    bool yes = false;
    assert_int_equal(
        make("{\"s\":\"a}b,\",\"n\":42,\"neg\":-1,\"t\":true,\"o\":{\"s\":\"in\\\"ner\"},\"l\":[]}", &out),
        PORCH_OK);
    porch_bytes doc = porch_buf_bytes(&out);
    assert_true(porch_tuf_json_plain(doc, "s", &v) && porch_bytes_eq_text(v, "a}b,"));
    assert_true(porch_tuf_json_number(doc, "n", &n) && n == 42);
    assert_false(porch_tuf_json_number(doc, "neg", &n));
    assert_false(porch_tuf_json_number(doc, "s", &n));
    assert_true(porch_tuf_json_bool(doc, "t", &yes) && yes);
    assert_false(porch_tuf_json_bool(doc, "n", &yes));
    assert_true(porch_tuf_json_array(doc, "l", &v) && v.len == 2);
    assert_true(porch_tuf_json_object(doc, "o", &v));
    assert_false(porch_tuf_json_object(doc, "l", &v));
    assert_false(porch_tuf_json_plain(v, "s", &v));
    assert_false(porch_tuf_json_member(doc, "in", &v));
    assert_false(porch_tuf_json_member(doc, "", &v));
    assert_false(porch_tuf_json_member(PORCH_LIT("[1]"), "a", &v));
}

static void a_walk_meets_every_member_and_value_once(void **state) {
    (void)state;
    porch_buf out;
    porch_bytes name, v;
    size_t count = 0;
    assert_int_equal(make("[[1,2],{\"a\":[3]},\"]\",\"\",-7]", &out), PORCH_OK);
    porch_tuf_json_walk w = porch_tuf_json_open(porch_buf_bytes(&out));
    const char *expected[] = {"[1,2]", "{\"a\":[3]}", "\"]\"", "\"\"", "-7"};
    while (porch_tuf_json_next(&w, &name, &v)) {
        assert_int_equal(name.len, 0);
        assert_true(count < 5 && porch_bytes_eq_text(v, expected[count]));
        count++;
    }
    assert_int_equal(count, 5);
    assert_int_equal(make("{\"\":\"x\",\"k\\\"\":{}}", &out), PORCH_OK);
    w = porch_tuf_json_open(porch_buf_bytes(&out));
    assert_true(porch_tuf_json_next(&w, &name, &v) && name.len == 0 && porch_bytes_eq_text(v, "\"x\""));
    assert_true(porch_tuf_json_next(&w, &name, &v) && porch_tuf_json_equals(name, PORCH_LIT("k\"")));
    assert_false(porch_tuf_json_next(&w, &name, &v));
}

static void inner_texts_compare_and_copy_without_their_escapes(void **state) {
    (void)state;
    char copy[8];
    assert_true(porch_tuf_json_equals(PORCH_LIT("a\\\\b\\\""), PORCH_LIT("a\\b\"")));
    assert_false(porch_tuf_json_equals(PORCH_LIT("a\\\\b"), PORCH_LIT("a\\")));
    assert_false(porch_tuf_json_equals(PORCH_LIT("a"), PORCH_LIT("ab")));
    assert_true(porch_tuf_json_copy(PORCH_LIT("a\\\"c"), copy, sizeof copy));
    assert_string_equal(copy, "a\"c");
    assert_false(porch_tuf_json_copy(PORCH_LIT("12345678"), copy, sizeof copy));
    assert_true(porch_tuf_json_compare(PORCH_LIT("a"), PORCH_LIT("b")) < 0);
    assert_true(porch_tuf_json_compare(PORCH_LIT("ab"), PORCH_LIT("a")) > 0);
    assert_int_equal(porch_tuf_json_compare(PORCH_LIT("a\\\""), PORCH_LIT("a\\\"")), 0);
    assert_true(porch_tuf_json_compare(PORCH_LIT("\\\""), PORCH_LIT("#")) < 0);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(the_canonical_form_has_no_blanks_and_its_members_in_order),
        cmocka_unit_test(strings_lose_every_escape_but_two),
        cmocka_unit_test(names_are_ordered_by_what_they_say_not_by_how_they_are_written),
        cmocka_unit_test(what_is_no_json_of_ours_is_refused),
        cmocka_unit_test(depth_members_digits_and_room_are_bounded),
        cmocka_unit_test(a_text_cut_short_is_refused_at_every_length),
        cmocka_unit_test(members_are_found_by_name_and_kind),
        cmocka_unit_test(a_walk_meets_every_member_and_value_once),
        cmocka_unit_test(inner_texts_compare_and_copy_without_their_escapes),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
