/* Words and refusals; what starts programs is in tests/integration/test_launch.py. */
#include "ota/port/linux/launch.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include <cmocka.h>

static int launch(char *a, char *b, char *c, char *d) {
    char *words[] = {"porchlight-launch", a, b, c, d, NULL};
    int count = 1;
    while (words[count] != NULL)
        count++;
    return porch_launch_main(count, words);
}

static void incomplete_commands_are_refused(void **state) {
    (void)state;
    assert_int_equal(launch(NULL, NULL, NULL, NULL), 2);
    assert_int_equal(launch("--help", NULL, NULL, NULL), 0);
    assert_int_equal(launch("--nonsense", NULL, NULL, NULL), 2);
    assert_int_equal(launch("/tmp", "status", "more", NULL), 2);
    assert_int_equal(launch("/tmp", "init", "--image", NULL), 2);
    assert_int_equal(launch("/nowhere/at/all", NULL, NULL, NULL), 1);
    assert_int_equal(launch("/nowhere/at/all", "status", NULL, NULL), 1);
    assert_int_equal(launch("/tmp", "status", "--tpm", "swtpm:path=/x"), 2);
    assert_int_equal(launch("/tmp", "--floor-at", "0x01800010", "status"), 2);
}

int main(void) {
    const struct CMUnitTest tests[] = {cmocka_unit_test(incomplete_commands_are_refused)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
