#include "ota/port/linux/tuf_folder.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>

static char path[] = "/tmp/porch-tuf-folder-XXXXXX";
static porch_why why;

static int make(void **state) {
    (void)state;
    return mkdtemp(path) == NULL;
}

static int clean(void **state) {
    (void)state;
    char command[128];
    (void)snprintf(command, sizeof command, "%s/.lock", path);
    (void)unlink(command);
    return rmdir(path);
}

static void what_is_stored_is_loaded_and_what_is_dropped_is_gone(void **state) {
    (void)state;
    porch_tuf_folder f;
    uint8_t block[8];
    porch_buf out = PORCH_BUF_OF(block);
    assert_int_equal(porch_tuf_folder_open(&f, path, &why), PORCH_OK);
    assert_int_equal(porch_tuf_folder_load(&f, "root.json", &out, &why), PORCH_ERR_NOT_FOUND);
    assert_int_equal(porch_tuf_folder_store(&f, "root.json", PORCH_LIT("12345678"), &why), PORCH_OK);
    assert_int_equal(porch_tuf_folder_load(&f, "root.json", &out, &why), PORCH_OK);
    assert_true(porch_bytes_eq_text(porch_buf_bytes(&out), "12345678"));
    assert_int_equal(porch_tuf_folder_store(&f, "root.json", PORCH_LIT("123456789"), &why), PORCH_OK);
    assert_int_equal(porch_tuf_folder_load(&f, "root.json", &out, &why), PORCH_ERR_LIMIT);
    assert_int_equal(porch_tuf_folder_drop(&f, "root.json", &why), PORCH_OK);
    assert_int_equal(porch_tuf_folder_drop(&f, "root.json", &why), PORCH_OK);
    assert_int_equal(porch_tuf_folder_load(&f, "root.json", &out, &why), PORCH_ERR_NOT_FOUND);
    porch_tuf_folder_close(&f);
}

static void a_folder_has_one_user_at_a_time(void **state) {
    (void)state;
    porch_tuf_folder f, other;
    assert_int_equal(porch_tuf_folder_open(&f, path, &why), PORCH_OK);
    assert_int_equal(porch_tuf_folder_open(&other, path, &why), PORCH_ERR_BUSY);
    porch_tuf_folder_close(&f);
    assert_int_equal(porch_tuf_folder_open(&other, path, &why), PORCH_OK);
    porch_tuf_folder_close(&other);
}

static void a_folder_that_is_not_there_is_named(void **state) {
    (void)state;
    porch_tuf_folder f;
    assert_int_equal(porch_tuf_folder_open(&f, "/nowhere/at/all", &why), PORCH_ERR_NOT_FOUND);
    assert_non_null(strstr(why.text, "/nowhere/at/all"));
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(what_is_stored_is_loaded_and_what_is_dropped_is_gone),
        cmocka_unit_test(a_folder_has_one_user_at_a_time),
        cmocka_unit_test(a_folder_that_is_not_there_is_named),
    };
    return cmocka_run_group_tests(tests, make, clean);
}
