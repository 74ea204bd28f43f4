#include "ota/client/tuf_name.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <string.h>

#include <cmocka.h>

static bool matches(const char *pattern, const char *path) {
    return porch_tuf_pattern_matches(porch_bytes_of(pattern), porch_bytes_of(path));
}

static void wildcards_stand_for_characters_but_never_for_a_slash(void **state) {
    (void)state;
    const struct {
        const char *pattern, *path;
        bool fits;
    } rows[] = {
        {"targets/*.tgz", "targets/foo.tgz", true},
        {"targets/*.tgz", "targets/.tgz", true},
        {"targets/*.tgz", "targets/foo.txt", false},
        {"foo-version-?.tgz", "foo-version-2.tgz", true},
        {"foo-version-?.tgz", "foo-version-alpha.tgz", false},
        {"foo-version-?.tgz", "foo-version-.tgz", false},
        {"*.tgz", "foo.tgz", true},
        {"*.tgz", "targets/foo.tgz", false},
        {"foo.tgz", "foo.tgz", true},
        {"foo.tgz", "bar.tgz", false},
        {"*", "anything at all", true},
        {"*", "", true},
        {"*", "a/b", false},
        {"*/*", "a/b", true},
        {"*/*", "a/b/c", false},
        {"releases/*/*", "releases/x/x_v1", true},
        {"a?b", "a/b", false},
        {"a*b*c", "aXbYbZc", true},
        {"a*b*c", "aXbYbZ", false},
        {"**", "ab", true},
        {"**", "a/b", false},
        {"", "", true},
        {"", "a", false},
        {"a", "", false},
        {"a/", "a", false},
        {"[ab]", "a", false},
        {"[ab]", "[ab]", true},
        {"?", "\xc3\xa9", true},
        {"?", "\xf0\x9f\x98\x80", true},
        {"??", "\xc3\xa9", false},
        {"*\xc3\xa9", "x\xc3\xa9", true},
        {"a\\\"*", "a\"b", true},
        {"a\\\\?", "a\\b", true},
        {"a\\\\", "a", false},
    };
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        if (matches(rows[i].pattern, rows[i].path) != rows[i].fits)
            print_message("%s and %s\n", rows[i].pattern, rows[i].path);
        assert_int_equal(matches(rows[i].pattern, rows[i].path), rows[i].fits);
    }
}

static void a_pattern_of_many_stars_takes_no_exponential_time(void **state) {
    (void)state;
    char pattern[257] = {0}, path[4097] = {0};
    for (size_t i = 0; i < 256; i += 2)
        memcpy(pattern + i, "*a", 2);
    memset(path, 'a', 4096);
    assert_true(matches(pattern, path));
    pattern[255] = 'b';
    assert_false(matches(pattern, path));
}

static void quoting_leaves_nothing_that_a_path_or_a_folder_understands(void **state) {
    (void)state;
    char out[64];
    assert_true(porch_tuf_quote(PORCH_LIT("a-Z.0_~"), true, out, sizeof out));
    assert_string_equal(out, "a-Z.0_~");
    assert_true(porch_tuf_quote(PORCH_LIT("../x?#%\xc3\xa9 "), true, out, sizeof out));
    assert_string_equal(out, "..%2Fx%3F%23%25%C3%A9%20");
    assert_true(porch_tuf_quote(PORCH_LIT("a/b c"), false, out, sizeof out));
    assert_string_equal(out, "a/b%20c");
    assert_true(porch_tuf_quote(PORCH_LIT("abc"), true, out, 4));
    assert_false(porch_tuf_quote(PORCH_LIT("abcd"), true, out, 4));
    assert_false(porch_tuf_quote(PORCH_LIT("//"), true, out, 6));
}

static void a_delegated_role_may_not_take_a_top_level_name(void **state) {
    (void)state;
    assert_true(porch_tuf_role_name_ok(PORCH_LIT("camera"), 8));
    assert_true(porch_tuf_role_name_ok(PORCH_LIT("../x"), 8));
    assert_false(porch_tuf_role_name_ok(PORCH_LIT("root"), 8));
    assert_false(porch_tuf_role_name_ok(PORCH_LIT("targets"), 8));
    assert_false(porch_tuf_role_name_ok(PORCH_LIT(""), 8));
    assert_false(porch_tuf_role_name_ok(PORCH_LIT("123456789"), 8));
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(wildcards_stand_for_characters_but_never_for_a_slash),
        cmocka_unit_test(a_pattern_of_many_stars_takes_no_exponential_time),
        cmocka_unit_test(quoting_leaves_nothing_that_a_path_or_a_folder_understands),
        cmocka_unit_test(a_delegated_role_may_not_take_a_top_level_name),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
