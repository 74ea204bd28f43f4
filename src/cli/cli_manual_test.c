/* What is written once in the tables must come out everywhere: help, manual page, completion. */
#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "cli/cli_room.h"

static char *made(void (*print)(FILE *, const porch_cli_command *const *)) {
    static char *text; /* open_memstream writes to both when it is closed */
    static size_t len;
    FILE *to = open_memstream(&text, &len);
    assert_non_null(to);
    print(to, porch_cli_tables);
    fclose(to);
    return text;
}

/* As roff has it: every '-' behind a backslash. */
static const char *in_roff(const char *text) {
    static char out[256];
    size_t n = 0;
    for (; *text && n + 2 < sizeof out; text++) {
        if (*text == '-') out[n++] = '\\';
        out[n++] = *text;
    }
    out[n] = '\0';
    return out;
}

static void expect(const char *text, const char *part, const char *where) {
    if (!strstr(text, part)) fail_msg("'%s' is missing in %s", part, where);
}

static void every_command_and_option_stands_in_the_manual_page(void **state) {
    (void)state;
    char *page = made(porch_cli_manual), part[300];
    for (size_t t = 0; porch_cli_tables[t]; t++)
        for (const porch_cli_command *c = porch_cli_tables[t]; c->words; c++) {
            snprintf(part, sizeof part, ".SS %s", in_roff(c->words));
            expect(page, part, "the manual page");
            for (const porch_cli_option *o = c->options; o && o->name; o++) {
                snprintf(part, sizeof part, "\\fB%s\\fR", in_roff(o->name));
                expect(strstr(page, in_roff(c->words)), part, c->words);
            }
        }
    expect(page, "EXIT STATUS", "the manual page");
    expect(page, "ENVIRONMENT", "the manual page");
    expect(page, "FILES", "the manual page");
    free(page);
}

static void every_command_and_option_stands_in_the_completion(void **state) {
    (void)state;
    char *script = made(porch_cli_completion), part[300];
    for (size_t t = 0; porch_cli_tables[t]; t++)
        for (const porch_cli_command *c = porch_cli_tables[t]; c->words; c++) {
            snprintf(part, sizeof part, "\n%s\n", c->words);
            expect(script, part, "the completion's commands");
            snprintf(part, sizeof part, "'%s') echo '", c->words);
            expect(script, part, "the completion's options");
            for (const porch_cli_option *o = c->options; o && o->name; o++) {
                snprintf(part, sizeof part, "%s ", o->name);
                expect(strstr(script, c->words), part, c->words);
            }
        }
    free(script);
}

/* Help is read on a terminal: one line a command in the list, nothing wider than a wide window. */
static void every_command_says_what_it_does_in_one_line(void **state) {
    (void)state;
    for (size_t t = 0; porch_cli_tables[t]; t++)
        for (const porch_cli_command *c = porch_cli_tables[t]; c->words; c++) {
            size_t first = strcspn(c->help, "\n");
            if (first < 8 || first > 90)
                fail_msg("the help of '%s' has a first line of %zu", c->words, first);
            for (const porch_cli_option *o = c->options; o && o->name; o++)
                if (!o->help || strlen(o->help) < 4) fail_msg("%s %s has no help", c->words, o->name);
        }
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(every_command_and_option_stands_in_the_manual_page),
        cmocka_unit_test(every_command_and_option_stands_in_the_completion),
        cmocka_unit_test(every_command_says_what_it_does_in_one_line),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
