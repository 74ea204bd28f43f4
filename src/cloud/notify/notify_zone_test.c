#include "cloud/notify/notify_zone.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include <cmocka.h>

#include "os/file.h"

static int32_t by_rule(const char *rule, int64_t at) {
    int32_t offset = 1;
    assert_int_equal(porch_zone_rule_offset(porch_bytes_of(rule), at, &offset), PORCH_OK);
    return offset;
}

static void rules_of_both_hemispheres_change_on_their_second(void **state) {
    (void)state;
    const char *berlin = "CET-1CEST,M3.5.0,M10.5.0/3";
    assert_int_equal(by_rule(berlin, 1774745999), 3600); /* 2026-03-29 00:59:59 UTC */
    assert_int_equal(by_rule(berlin, 1774746000), 7200);
    assert_int_equal(by_rule(berlin, 1792889999), 7200); /* 2026-10-25 00:59:59 UTC */
    assert_int_equal(by_rule(berlin, 1792890000), 3600);
    const char *sydney = "AEST-10AEDT,M10.1.0,M4.1.0/3";
    assert_int_equal(by_rule(sydney, 1767225600), 11 * 3600); /* January is summer */
    assert_int_equal(by_rule(sydney, 1782864000), 10 * 3600);
    assert_int_equal(by_rule("<+0545>-5:45", 0), 20700);
    /* J60 is the first of March in every year. */
    assert_int_equal(by_rule("XXX3YYY,J60,300", 5115599), -3 * 3600);
    assert_int_equal(by_rule("XXX3YYY,J60,300", 5115600), -2 * 3600);
}

static void rules_that_break_the_grammar_are_refused(void **state) {
    static const char *const bad[] = {"",
                                      "CE-1",
                                      "CET",
                                      "CET-1CEST",
                                      "CET-1CEST,",
                                      "CET-1CEST,M13.1.0,M1.1.0",
                                      "CET-1CEST,M1.6.0,M1.1.0",
                                      "CET-1CEST,M3.5.0,M10.5.0/3x",
                                      "<CET-1",
                                      "CET-99",
                                      "CET-1CEST,J0,J1"};
    (void)state;
    for (size_t i = 0; i < sizeof bad / sizeof *bad; i++) {
        int32_t offset = 0;
        assert_int_equal(porch_zone_rule_offset(porch_bytes_of(bad[i]), 0, &offset), PORCH_ERR_MALFORMED);
    }
}

/* The C library reads the same files: every zone here must agree with it over the years. */
static void offsets_agree_with_the_c_library(void **state) {
    static const char *const zones[] = {
        "Europe/Berlin",     "America/New_York",  "Asia/Kolkata", "Australia/Lord_Howe", "UTC",
        "America/Sao_Paulo", "Africa/Casablanca", "Pacific/Apia", "Asia/Kathmandu"};
    (void)state;
    for (size_t i = 0; i < sizeof zones / sizeof *zones; i++) {
        char path[128];
        uint8_t *bytes = NULL;
        size_t len = 0;
        assert_int_equal(porch_path_join("/usr/share/zoneinfo", zones[i], path, sizeof path), PORCH_OK);
        if (porch_file_read(path, PORCH_ZONE_FILE_MAX, &bytes, &len, NULL) != PORCH_OK)
            fail_msg("%s: not there; install tzdata", path);
        setenv("TZ", zones[i], 1);
        tzset();
        for (int64_t at = -1000000000; at < 4000000000; at += 3600 * 24 * 9 + 17) {
            time_t t = (time_t)at;
            struct tm local;
            int32_t offset = 0;
            assert_non_null(localtime_r(&t, &local));
            assert_int_equal(porch_zone_offset((porch_bytes){bytes, len}, at, &offset), PORCH_OK);
            assert_int_equal(offset, local.tm_gmtoff);
        }
        free(bytes);
    }
    unsetenv("TZ");
}

static void a_file_cut_short_is_refused_at_every_length(void **state) {
    uint8_t *bytes = NULL;
    size_t len = 0;
    (void)state;
    if (porch_file_read("/usr/share/zoneinfo/Europe/Berlin", PORCH_ZONE_FILE_MAX, &bytes, &len, NULL) !=
        PORCH_OK)
        fail_msg("Europe/Berlin is not there; install tzdata");
    for (size_t n = 0; n < len; n++) {
        int32_t offset = 0;
        assert_int_not_equal(porch_zone_offset((porch_bytes){bytes, n}, 0, &offset), PORCH_OK);
    }
    free(bytes);
}

static void a_name_that_could_be_a_path_elsewhere_is_no_zone(void **state) {
    static const char *const bad[] = {"",        "../../etc/passwd", "/etc/passwd", "Europe//Berlin",
                                      "Europe/", "Europe/.hidden",   "a b",         "-x"};
    (void)state;
    for (size_t i = 0; i < sizeof bad / sizeof *bad; i++)
        assert_false(porch_zone_name_valid(bad[i]));
    assert_true(porch_zone_name_valid("Etc/GMT+5"));
    assert_true(porch_zone_name_valid("America/Argentina/Buenos_Aires"));
}

static void an_unknown_zone_shows_utc(void **state) {
    char out[PORCH_ZONE_TIME_BYTES];
    (void)state;
    assert_false(porch_zone_local("Nowhere/Else", 1767225600000, out));
    assert_string_equal(out, "2026-01-01T00:00:00Z");
    assert_false(porch_zone_local(NULL, UINT64_MAX, out));
    if (porch_zone_local("Europe/Berlin", 1767225600000, out))
        assert_string_equal(out, "2026-01-01T01:00:00+01:00");
}

static void expect_day(const char *zone, const char *date, uint64_t from_s, uint64_t hours) {
    uint64_t from_ms = 1, to_ms = 1;
    assert_int_equal(porch_zone_day(zone, porch_bytes_of(date), &from_ms, &to_ms), PORCH_OK);
    assert_int_equal(from_ms, from_s * 1000);
    assert_int_equal(to_ms - from_ms, hours * 3600 * 1000);
}

static void a_day_is_as_long_as_the_zone_makes_it(void **state) {
    (void)state;
    expect_day("UTC", "2026-01-01", 1767225600, 24);
    expect_day("Nowhere/Else", "2026-01-01", 1767225600, 24);
    expect_day("Europe/Berlin", "2026-01-01", 1767222000, 24);
    expect_day("Europe/Berlin", "2026-03-29", 1774738800, 23);
    expect_day("Europe/Berlin", "2026-10-25", 1792879200, 25);
    expect_day("Asia/Kolkata", "2026-02-28", 1772217000, 24);
    expect_day("America/Sao_Paulo", "2018-11-04", 1541300400, 23); /* its midnight was skipped */
    expect_day("Pacific/Apia", "2011-12-29", 1325152800, 24);
}

static void days_follow_each_other_without_gap_or_overlap(void **state) {
    static const char *const zones[] = {"America/Sao_Paulo", "Africa/Cairo", "America/Havana",
                                        "Asia/Beirut"};
    (void)state;
    for (size_t z = 0; z < sizeof zones / sizeof *zones; z++) {
        uint64_t before = 0;
        for (int day = 1; day <= 31; day++) {
            char date[16];
            uint64_t from_ms = 0, to_ms = 0;
            snprintf(date, sizeof date, "2017-10-%02d", day);
            assert_int_equal(porch_zone_day(zones[z], porch_bytes_of(date), &from_ms, &to_ms), PORCH_OK);
            assert_true(day == 1 || from_ms == before);
            assert_true(to_ms > from_ms);
            before = to_ms;
        }
    }
}

static void what_is_no_date_is_refused(void **state) {
    static const char *const bad[] = {"",           "2026",        "2026-1-01",  "2026-13-01", "2026-02-29",
                                      "2026-00-10", "2026-01-00",  "2026-01-32", "1969-12-31", "9999-01-01",
                                      "2026/01/01", "2026-01-01Z", "+026-01-01", "2026-01-1x"};
    (void)state;
    for (size_t i = 0; i < sizeof bad / sizeof *bad; i++) {
        uint64_t from_ms, to_ms;
        assert_int_equal(porch_zone_day("UTC", porch_bytes_of(bad[i]), &from_ms, &to_ms),
                         PORCH_ERR_MALFORMED);
    }
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(rules_of_both_hemispheres_change_on_their_second),
        cmocka_unit_test(rules_that_break_the_grammar_are_refused),
        cmocka_unit_test(offsets_agree_with_the_c_library),
        cmocka_unit_test(a_file_cut_short_is_refused_at_every_length),
        cmocka_unit_test(a_name_that_could_be_a_path_elsewhere_is_no_zone),
        cmocka_unit_test(an_unknown_zone_shows_utc),
        cmocka_unit_test(a_day_is_as_long_as_the_zone_makes_it),
        cmocka_unit_test(days_follow_each_other_without_gap_or_overlap),
        cmocka_unit_test(what_is_no_date_is_refused),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
