/* Words, and a bus where there is none; what works is tests/integration/test_rauc.py's, against a real
 * RAUC. */
#include "ota/port/rauc/rauc_tool.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>

#include "ota/port/rauc/rauc_slots.h"

static int tool(char *a, char *b, char *c, char *d) {
    char *words[] = {"porchlight-rauc", a, b, c, d, NULL};
    int count = 1;
    while (words[count] != NULL)
        count++;
    return porch_rauc_tool_main(count, words);
}

static void incomplete_commands_are_refused(void **state) {
    (void)state;
    assert_int_equal(tool(NULL, NULL, NULL, NULL), 2);
    assert_int_equal(tool("/tmp", NULL, NULL, NULL), 2);
    assert_int_equal(tool("/tmp", "status", "--bus", NULL), 2);
    assert_int_equal(tool("/tmp", "status", "more", NULL), 2);
    assert_int_equal(tool("--nonsense", NULL, NULL, NULL), 2);
    assert_int_equal(tool("--help", NULL, NULL, NULL), 0);
}

static void a_bus_that_is_away_is_an_error_with_a_sentence(void **state) {
    char folder[] = "/tmp/porch-rauc-XXXXXX", path[64];
    porch_rauc *r = NULL;
    porch_rauc_device d;
    porch_slots s;
    porch_why why = {""};
    (void)state;
    assert_int_equal(porch_rauc_open("unix:path=/nowhere/at/all", &r, &why), PORCH_ERR_IO);
    assert_non_null(strstr(why.text, "message bus"));
    assert_null(r);
    assert_non_null(mkdtemp(folder));
    assert_int_equal(porch_rauc_device_open(&d, folder, "unix:path=/nowhere/at/all", &s, &why),
                     PORCH_ERR_IO);
    assert_int_equal(porch_rauc_device_open(&d, "/nowhere", "unix:path=/nowhere", &s, &why),
                     PORCH_ERR_NOT_FOUND);
    (void)snprintf(path, sizeof path, "%s/.lock", folder);
    (void)unlink(path);
    (void)rmdir(folder);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(incomplete_commands_are_refused),
        cmocka_unit_test(a_bus_that_is_away_is_an_error_with_a_sentence),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
