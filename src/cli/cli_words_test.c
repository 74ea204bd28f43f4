#include "cli/cli_room.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <string.h>

#include <cmocka.h>

static const porch_cli_command *const tables[] = {porch_cli_device_commands, porch_cli_service_commands,
                                                  porch_cli_setup_link_commands, porch_cli_user_commands,
                                                  NULL};

/* A line cut at blanks, as a shell would without quotes. */
static porch_err parse(const char *line, porch_cli *c, porch_why *why) {
    static char copy[512];
    char *argv[32] = {"porchlight"};
    int argc = 1;
    snprintf(copy, sizeof copy, "%s", line);
    char *rest = copy;
    for (char *word = strsep(&rest, " "); word; word = strsep(&rest, " "))
        if (*word) argv[argc++] = word;
    why->text[0] = '\0';
    return porch_cli_parse(argc, argv, tables, c, why);
}

static void words_may_come_in_any_order(void **state) {
    static const char *const lines[] = {"-C hub device add cam --product camera --out f --json",
                                        "--json device add --product camera --out f cam -C hub",
                                        "device add --product=camera cam -C hub --json --out=f"};
    (void)state;
    for (size_t i = 0; i < sizeof lines / sizeof *lines; i++) {
        porch_cli c;
        porch_why why;
        assert_int_equal(parse(lines[i], &c, &why), PORCH_OK);
        assert_string_equal(c.command->words, "device add");
        assert_string_equal(c.dir, "hub");
        assert_string_equal(c.argument, "cam");
        assert_string_equal(porch_cli_text(&c, "--product"), "camera");
        assert_string_equal(porch_cli_text(&c, "--out"), "f");
        assert_null(porch_cli_text(&c, "--csr"));
        assert_true(c.json);
    }
}

static void repeated_options_are_kept_in_order(void **state) {
    porch_cli c;
    porch_why why;
    (void)state;
    assert_int_equal(parse("service add s --out f --allow a:1 --allow b:2", &c, &why), PORCH_OK);
    json_t *list = porch_cli_list(&c, "--allow");
    assert_int_equal(json_array_size(list), 2);
    assert_string_equal(json_string_value(json_array_get(list, 1)), "b:2");
    json_decref(list);
}

static void what_does_not_fit_is_refused_with_what_would(void **state) {
    static const struct {
        const char *line, *hint;
    } rows[] = {{"devise list", "device list"},
                {"device lst", "device list"},
                {"dveice add x", "device add"},
                {"service ad x --out f", "service add"},
                {"", "porchlight help"},
                {"device", "device"},
                {"device add", "needs an ID"},
                {"device add cam --product p", "needs --out"},
                {"device add cam --prodct camera --out f", "did you mean --product"},
                {"device add cam --product", "needs its NAME"},
                {"device add cam dog --product p --out f", "second"},
                {"device add cam --product a --product b --out f", "twice"},
                {"device list extra", "no further word"},
                {"device list -C", "-C needs"},
                {"user reset", "needs a NAME"}};
    (void)state;
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        porch_cli c;
        porch_why why;
        assert_int_equal(parse(rows[i].line, &c, &why), PORCH_ERR_USAGE);
        if (!strstr(why.text, rows[i].hint)) fail_msg("'%s' gave: %s", rows[i].line, why.text);
    }
}

static void help_is_found_in_every_form(void **state) {
    porch_cli c;
    porch_why why;
    (void)state;
    assert_int_equal(parse("help", &c, &why), PORCH_ERR_STATE);
    assert_null(c.command);
    assert_int_equal(parse("--help", &c, &why), PORCH_ERR_STATE);
    assert_int_equal(parse("help device add", &c, &why), PORCH_ERR_STATE);
    assert_string_equal(c.command->words, "device add");
    assert_int_equal(parse("device add --help", &c, &why), PORCH_ERR_STATE);
    assert_int_equal(parse("setup-link -h", &c, &why), PORCH_ERR_STATE);
    assert_string_equal(c.command->words, "setup-link");
}

static void distance_counts_edits_and_swaps(void **state) {
    (void)state;
    assert_int_equal(porch_cli_distance("device", "device"), 0);
    assert_int_equal(porch_cli_distance("devise", "device"), 1);
    assert_int_equal(porch_cli_distance("dveice", "device"), 1);
    assert_int_equal(porch_cli_distance("", "abc"), 3);
    assert_int_equal(porch_cli_distance("abc", ""), 3);
    assert_int_equal(porch_cli_distance("kitten", "sitting"), 3);
}

static void texts_of_strangers_cannot_move_the_cursor(void **state) {
    (void)state;
    assert_string_equal(porch_cli_safe("a\033[2Jb\nc\x7f").text, "a?[2Jb?c?");
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(words_may_come_in_any_order),
        cmocka_unit_test(repeated_options_are_kept_in_order),
        cmocka_unit_test(what_does_not_fit_is_refused_with_what_would),
        cmocka_unit_test(help_is_found_in_every_form),
        cmocka_unit_test(distance_counts_edits_and_swaps),
        cmocka_unit_test(texts_of_strangers_cannot_move_the_cursor),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
