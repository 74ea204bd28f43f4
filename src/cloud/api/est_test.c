/* The rows of EST: what each lets through before its handler judges. The handlers themselves are tested
 * against a hub by curl and openssl (tests/integration/test_est.py). */
#include "cloud/api/est.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "wire/attestation.h"
#include "wire/signed_time.h"

static void
enrolment_is_offered_at_the_devices_door_alone_to_those_who_have_no_good_certificate_yet(void **state) {
    (void)state;
    porch_http_route rows[16];
    size_t count = porch_est_routes(NULL, rows, 16);
    assert_int_equal(count, 6);
    for (size_t i = 0; i < count; i++) {
        assert_int_equal(rows[i].listeners, PORCH_ON_DEVICE);
        assert_true((rows[i].flags & PORCH_HTTP_ANY_VERDICT) != 0);
        bool time = strcmp(rows[i].pattern, PORCH_SIGNED_TIME_PATH) == 0;
        bool proof = strcmp(rows[i].pattern, PORCH_ATTESTATION_PATH) == 0;
        if (!time && !proof) assert_memory_equal(rows[i].pattern, "/.well-known/est/", 17);
        if (time) assert_string_equal(rows[i].method, "GET");
    }
}

static void a_device_under_quarantine_is_told_what_all_may_know_and_given_no_certificate(void **state) {
    (void)state;
    porch_http_route rows[16];
    size_t count = porch_est_routes(NULL, rows, 16);
    for (size_t i = 0; i < count; i++) {
        bool gives = strcmp(rows[i].method, "POST") == 0;
        assert_int_equal((rows[i].flags & PORCH_HTTP_QUARANTINED) != 0, !gives);
        assert_int_equal(rows[i].body_max != 0, gives);
        assert_true(rows[i].body_max <= 65536);
    }
}

static void no_more_rows_are_written_than_there_is_room_for(void **state) {
    (void)state;
    porch_http_route rows[3] = {{.method = NULL}};
    assert_int_equal(porch_est_routes(NULL, rows, 2), 2);
    assert_null(rows[2].method);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(
            enrolment_is_offered_at_the_devices_door_alone_to_those_who_have_no_good_certificate_yet),
        cmocka_unit_test(a_device_under_quarantine_is_told_what_all_may_know_and_given_no_certificate),
        cmocka_unit_test(no_more_rows_are_written_than_there_is_room_for),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
