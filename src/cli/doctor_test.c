#include "cli/doctor.h"

#include <setjmp.h>
#include <stdarg.h>
#include <string.h>

#include <cmocka.h>

#define DAY 86400000ull
#define NOW 1800000000000ull

static porch_doctor_report r;

static int reset(void **state) {
    (void)state;
    memset(&r, 0, sizeof r);
    return 0;
}

static void a_clock_must_stand_between_what_has_been_and_what_can_be(void **state) {
    (void)state;
    porch_doctor_clock(&r, NOW, NOW);
    porch_doctor_clock(&r, NOW, 0);
    assert_int_equal(r.count, 0);
    porch_doctor_clock(&r, NOW - 1, NOW);
    porch_doctor_clock(&r, 0, 0);
    porch_doctor_clock(&r, 4102444800000ull, 0);
    assert_int_equal(r.count, 3);
    assert_non_null(strstr(r.findings[0].text, "behind"));
    assert_non_null(strstr(r.findings[1].text, "behind"));
    assert_non_null(strstr(r.findings[2].text, "ahead"));
    assert_string_equal(r.findings[0].mend, "timedatectl set-ntp true");
}

static void certificates_are_told_of_before_and_after_their_end(void **state) {
    (void)state;
    porch_doctor_end(&r, "cam", NOW, NOW + 14 * DAY, 14, "renew");
    assert_int_equal(r.count, 0);
    porch_doctor_end(&r, "cam", NOW, NOW + 14 * DAY - 1, 14, "renew");
    porch_doctor_end(&r, "cam", NOW, NOW, 14, "renew");
    porch_doctor_end(&r, "cam", NOW, 0, 0, "renew");
    assert_int_equal(r.count, 3);
    assert_string_equal(r.findings[0].text, "the certificate of cam ends in 13 days");
    assert_string_equal(r.findings[1].text, "the certificate of cam has ended");
    assert_string_equal(r.findings[2].mend, "renew");
}

static void a_disk_needs_half_a_gibibyte_and_a_twentieth(void **state) {
    (void)state;
    porch_doctor_disk(&r, 512ull << 20, 1ull << 30);
    porch_doctor_disk(&r, 5ull << 30, 100ull << 30);
    assert_int_equal(r.count, 0);
    porch_doctor_disk(&r, (512ull << 20) - 1, 1ull << 30);
    porch_doctor_disk(&r, (5ull << 30) - 1, 100ull << 30);
    assert_int_equal(r.count, 2);
}

static void a_backup_is_missed_after_a_week(void **state) {
    (void)state;
    porch_doctor_backup(&r, "hub", NOW, NOW - 7 * DAY);
    porch_doctor_backup(&r, "hub", NOW, NOW + DAY); /* the clock went back: not this check's business */
    assert_int_equal(r.count, 0);
    porch_doctor_backup(&r, "hub", NOW, NOW - 7 * DAY - 1);
    porch_doctor_backup(&r, "hub", NOW, 0);
    assert_int_equal(r.count, 2);
    assert_string_equal(r.findings[0].text, "the last backup is 7 days old");
    assert_string_equal(r.findings[1].mend, "porchlight -C hub backup --out FILE");
}

static void a_refusal_is_taken_apart_where_its_command_begins(void **state) {
    (void)state;
    porch_doctor_add_refusal(&r, "modes", "x has mode 777, more than 700 is too open; run: chmod 700 x",
                             "-");
    porch_doctor_add_refusal(&r, "modes", "x is a symbolic link", "put the file there");
    assert_string_equal(r.findings[0].text, "x has mode 777, more than 700 is too open");
    assert_string_equal(r.findings[0].mend, "chmod 700 x");
    assert_string_equal(r.findings[1].text, "x is a symbolic link");
    assert_string_equal(r.findings[1].mend, "put the file there");
}

static void what_has_no_room_is_counted(void **state) {
    (void)state;
    char wide[1000];
    memset(wide, 'x', sizeof wide - 1);
    wide[sizeof wide - 1] = '\0';
    for (int i = 0; i < PORCH_DOCTOR_FINDINGS_MOST + 3; i++)
        porch_doctor_add_refusal(&r, "modes", wide, wide);
    assert_int_equal(r.count, PORCH_DOCTOR_FINDINGS_MOST);
    assert_int_equal(r.more, 3);
    assert_int_equal(strlen(r.findings[0].text), PORCH_DOCTOR_TEXT_BYTES - 1);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup(a_clock_must_stand_between_what_has_been_and_what_can_be, reset),
        cmocka_unit_test_setup(certificates_are_told_of_before_and_after_their_end, reset),
        cmocka_unit_test_setup(a_disk_needs_half_a_gibibyte_and_a_twentieth, reset),
        cmocka_unit_test_setup(a_backup_is_missed_after_a_week, reset),
        cmocka_unit_test_setup(a_refusal_is_taken_apart_where_its_command_begins, reset),
        cmocka_unit_test_setup(what_has_no_room_is_counted, reset),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
