#include "cloud/settings/manual.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "cloud/settings/settings.h"

static char *page;
static size_t page_len;

static FILE *begin(void) {
    return open_memstream(&page, &page_len);
}

static void end(FILE *to) {
    fclose(to);
}

static void what_roff_would_take_for_an_order_is_escaped(void **state) {
    (void)state;
    FILE *to = begin();
    porch_manual_text(to, ".so /etc/passwd\nand C:\\n, then --help");
    porch_manual_example(to, "'quoted\n.dotted");
    porch_manual_item(to, "--out", "FILE", ".hidden");
    end(to);
    assert_string_equal(page, ".PP\n\\&.so /etc/passwd and C:\\en, then \\-\\-help\n"
                              ".PP\n.nf\n.RS\n\\&'quoted\n\\&.dotted\n.RE\n.fi\n"
                              ".TP\n\\fB\\-\\-out\\fR \\fIFILE\\fR\n\\&.hidden\n");
    free(page);
}

static void a_page_begins_with_its_title_and_what_it_is(void **state) {
    (void)state;
    FILE *to = begin();
    porch_manual_begin(to, "porchlightd", 8, "the hub");
    end(to);
    assert_string_equal(page, ".TH PORCHLIGHTD 8 \"\" \"Porchlight " PORCH_VERSION
                              "\" \"Porchlight\"\n.SH NAME\nporchlightd \\- the hub\n");
    free(page);
}

static void every_setting_stands_in_the_page_of_hub_conf(void **state) {
    (void)state;
    porch_settings_row row;
    FILE *to = begin();
    porch_manual_settings(to);
    end(to);
    for (size_t i = 0; porch_settings_row_at(i, &row); i++) {
        char item[128];
        snprintf(item, sizeof item, "\\fB%s\\fR", row.name);
        if (!strstr(page, item)) fail_msg("%s is missing", row.name);
    }
    assert_non_null(strstr(page, "Default: 8883 (a number, 0 to 65535)."));
    free(page);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(what_roff_would_take_for_an_order_is_escaped),
        cmocka_unit_test(a_page_begins_with_its_title_and_what_it_is),
        cmocka_unit_test(every_setting_stands_in_the_page_of_hub_conf),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
