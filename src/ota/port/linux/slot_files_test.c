#include "ota/port/linux/slot_files.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>

#include "os/file.h"

static char folder[] = "/tmp/porch-slots-XXXXXX";
static porch_why why;
static porch_slot_files f;
static porch_slots s;

static char *in_folder(const char *name) {
    static char path[4][128];
    static unsigned next;
    char *out = path[next++ % 4];
    (void)snprintf(out, sizeof path[0], "%s/%s", folder, name);
    return out;
}

static void put(const char *name, const char *text) {
    assert_int_equal(porch_file_write_atomic(in_folder(name), porch_bytes_of(text), 0644, &why), PORCH_OK);
}

static int open_new(void **state) {
    (void)state;
    memcpy(folder + sizeof folder - 7, "XXXXXX", 6);
    if (mkdtemp(folder) == NULL) return 1;
    put("one", "#!/bin/true\n1");
    put("two", "#!/bin/true\n2");
    return porch_slot_files_open(&f, folder, &s, &why) != PORCH_OK ||
           porch_slot_files_format(&f, &s, in_folder("one"), 1, &why) != PORCH_OK;
}

static int close_it(void **state) {
    (void)state;
    const char *names[] = {"one", "two", "slot.0", "slot.1", "record.0", "record.1", ".lock"};
    porch_slot_files_close(&f);
    for (size_t i = 0; i < sizeof names / sizeof names[0]; i++)
        (void)unlink(in_folder(names[i]));
    return rmdir(folder);
}

static void an_update_goes_into_the_other_file_and_boots_on_trial(void **state) {
    (void)state;
    porch_slot_image image;
    unsigned slot = 9;
    assert_int_equal(porch_slots_boot(&s, &slot, &why), PORCH_OK);
    assert_int_equal(slot, 0);
    assert_int_equal(porch_slot_files_measure(in_folder("two"), 2, &image, &why), PORCH_OK);
    assert_int_equal(porch_slot_files_install(&f, &s, in_folder("two"), &image, &why), PORCH_OK);
    assert_int_equal(porch_slots_boot(&s, &slot, &why), PORCH_OK);
    assert_int_equal(slot, 1);
    assert_int_equal(porch_slots_confirm(&s, &why), PORCH_OK);
    assert_int_equal(porch_slot_files_format(&f, &s, in_folder("one"), 1, &why), PORCH_ERR_EXISTS);
}

static void an_image_that_grew_shrank_or_changed_is_damaged(void **state) {
    (void)state;
    const char *bad[] = {"#!/bin/true\n1 ", "#!/bin/true\n", "#!/bin/true\n3", ""};
    unsigned slot = 9;
    for (size_t i = 0; i < sizeof bad / sizeof bad[0]; i++) {
        put("slot.0", bad[i]);
        assert_int_equal(porch_slots_boot(&s, &slot, &why), PORCH_ERR_NOT_FOUND);
    }
    put("slot.0", "#!/bin/true\n1");
    assert_int_equal(porch_slots_boot(&s, &slot, &why), PORCH_OK);
}

static void a_folder_has_one_user_at_a_time(void **state) {
    (void)state;
    porch_slot_files other;
    porch_slots unused;
    assert_int_equal(porch_slot_files_open(&other, folder, &unused, &why), PORCH_ERR_BUSY);
    assert_int_equal(porch_slot_files_open(&other, "/nowhere", &unused, &why), PORCH_ERR_NOT_FOUND);
}

static void a_file_that_is_not_the_announced_image_is_not_staged(void **state) {
    (void)state;
    porch_slot_image image;
    assert_int_equal(porch_slot_files_measure(in_folder("two"), 2, &image, &why), PORCH_OK);
    assert_int_equal(porch_slot_files_install(&f, &s, in_folder("one"), &image, &why), PORCH_ERR_HASH);
    assert_int_equal(s.now.other, PORCH_SLOT_EMPTY);
    assert_int_equal(porch_slot_files_measure(in_folder("nothing"), 2, &image, &why), PORCH_ERR_NOT_FOUND);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(an_update_goes_into_the_other_file_and_boots_on_trial, open_new,
                                        close_it),
        cmocka_unit_test_setup_teardown(an_image_that_grew_shrank_or_changed_is_damaged, open_new,
                                        close_it),
        cmocka_unit_test_setup_teardown(a_folder_has_one_user_at_a_time, open_new, close_it),
        cmocka_unit_test_setup_teardown(a_file_that_is_not_the_announced_image_is_not_staged, open_new,
                                        close_it),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
