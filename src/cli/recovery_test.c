#include "cli/recovery.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>

#include "os/file.h"

static char dir[64], path[96];

static int arrive(void **state) {
    (void)state;
    (void)snprintf(dir, sizeof dir, "/tmp/porch-recovery-XXXXXX");
    if (!mkdtemp(dir)) return -1;
    (void)snprintf(path, sizeof path, "%s/recovery.pub", dir);
    return 0;
}

static int leave(void **state) {
    (void)state;
    (void)unlink(path);
    return rmdir(dir);
}

static void a_hub_without_one_gets_a_fresh_key_which_is_then_its_own(void **state) {
    (void)state;
    static const uint8_t none[PORCH_BOX_SECRET_BYTES];
    porch_recovery first, again;
    assert_int_equal(porch_recovery_load(dir, &first, NULL), PORCH_OK);
    assert_true(first.fresh);
    assert_int_equal(access(path, F_OK), -1);
    assert_int_equal(porch_recovery_remember(dir, &first, NULL), PORCH_OK);
    assert_int_equal(porch_recovery_load(dir, &again, NULL), PORCH_OK);
    assert_false(again.fresh);
    assert_memory_equal(first.public_key, again.public_key, sizeof first.public_key);
    assert_memory_equal(again.secret, none, sizeof none);
    assert_int_equal(unlink(path), 0);
    assert_int_equal(porch_recovery_remember(dir, &again, NULL),
                     PORCH_OK); /* not fresh: nothing to write */
    assert_int_equal(access(path, F_OK), -1);
}

static void a_file_that_is_no_key_is_named(void **state) {
    (void)state;
    porch_recovery r;
    porch_why why = {""};
    assert_int_equal(porch_file_write_atomic(path, PORCH_LIT("04ab\n"), 0600, NULL), PORCH_OK);
    assert_int_equal(porch_recovery_load(dir, &r, &why), PORCH_ERR_MALFORMED);
    assert_non_null(strstr(why.text, "recovery.pub"));
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(a_hub_without_one_gets_a_fresh_key_which_is_then_its_own, arrive,
                                        leave),
        cmocka_unit_test_setup_teardown(a_file_that_is_no_key_is_named, arrive, leave),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
