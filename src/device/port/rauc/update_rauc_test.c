#include "device/port/rauc/update_rauc.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>

#include "device/port/linux/update_slots.h"

/* What speaks to a RAUC is tests/integration/test_rauc.py. */
static void where_no_rauc_answers_the_updater_waits_and_holds_nothing(void **state) {
    (void)state;
    char folder[] = "/tmp/porch-rauc-XXXXXX", bus[64], lock[64];
    void *self = NULL;
    porch_slots slots;
    porch_slot_files files;
    porch_why why = {""};
    assert_non_null(mkdtemp(folder));
    (void)snprintf(bus, sizeof bus, "unix:path=%s/none", folder);
    const porch_update_place place = {.folder = folder, .bus = bus};
    assert_int_equal(porch_update_rauc()->open(&place, &slots, &self, &why), PORCH_ERR_IO);
    assert_non_null(strstr(why.text, "bus"));
    assert_null(self);
    /* the folder is free for who comes next */
    assert_int_equal(porch_slot_files_open(&files, folder, &slots, &why), PORCH_OK);
    porch_slot_files_close(&files);
    (void)snprintf(lock, sizeof lock, "%s/.lock", folder);
    (void)unlink(lock);
    assert_int_equal(rmdir(folder), 0);
}

/* Its images come whole: it takes files, not places in them. */
static void bundles_are_handed_over_and_images_of_files_are_not(void **state) {
    (void)state;
    assert_non_null(porch_update_rauc()->install);
    assert_null(porch_update_files()->install);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(where_no_rauc_answers_the_updater_waits_and_holds_nothing),
        cmocka_unit_test(bundles_are_handed_over_and_images_of_files_are_not),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
