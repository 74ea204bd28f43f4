#include "cloud/api/api_guard.h"

#include <setjmp.h>
#include <stdarg.h>
#include <string.h>

#include <cmocka.h>

static porch_guard_names names(void) {
    porch_guard_names n;
    assert_int_equal(porch_guard_names_read("localhost  127.0.0.1 ::1 Hub.Example.org", &n, NULL),
                     PORCH_OK);
    return n;
}

static void hosts_are_the_hubs_names_with_or_without_a_port(void **state) {
    (void)state;
    porch_guard_names n = names();
    static const char *const good[] = {"localhost", "localhost:8443", "LOCALHOST:1",    "127.0.0.1:8443",
                                       "[::1]",     "[::1]:8443",     "hub.example.org"};
    static const char *const bad[] = {
        "",           ":8443",          "evil.example",     "localhost.evil.example",
        "localhost:", "localhost:84x3", "localhost:123456", "[::1",
        "::1",        "[::1]8443",      "xlocalhost",       "localhos"};
    for (size_t i = 0; i < sizeof good / sizeof good[0]; i++)
        if (!porch_guard_host_ok(&n, good[i])) fail_msg("refused %s", good[i]);
    for (size_t i = 0; i < sizeof bad / sizeof bad[0]; i++)
        if (porch_guard_host_ok(&n, bad[i])) fail_msg("accepted %s", bad[i]);
    assert_false(porch_guard_host_ok(&n, NULL));
}

static void an_origin_is_this_very_scheme_host_and_port(void **state) {
    (void)state;
    static const char host[] = "localhost:8443";
    assert_true(porch_guard_origin_ok(host, "https://localhost:8443"));
    static const char *const bad[] = {"null",
                                      "",
                                      "https://localhost",
                                      "http://localhost:8443",
                                      "https://localhost:8444",
                                      "https://localhost:8443/",
                                      "https://localhost:8443.evil.example",
                                      "https://evil.example",
                                      "localhost:8443",
                                      "https://"};
    for (size_t i = 0; i < sizeof bad / sizeof bad[0]; i++)
        if (porch_guard_origin_ok(host, bad[i])) fail_msg("accepted %s", bad[i]);
    assert_false(porch_guard_origin_ok(host, NULL));
    assert_false(porch_guard_origin_ok("", "https://"));
}

typedef struct {
    const char *method, *host, *origin, *site;
    bool stream;
    porch_guard_verdict verdict;
} row;

static void each_kind_of_request_is_judged_by_its_row(void **state) {
    (void)state;
    static const char own[] = "https://localhost:8443";
    static const row rows[] = {
        {"GET", "localhost:8443", NULL, NULL, false, PORCH_GUARD_GO_ON},
        {"GET", "localhost:8443", "https://evil.example", "cross-site", false, PORCH_GUARD_GO_ON},
        {"HEAD", "localhost:8443", NULL, NULL, false, PORCH_GUARD_GO_ON},
        {"GET", "evil.example", NULL, NULL, false, PORCH_GUARD_HOST},
        {"POST", "evil.example", "https://evil.example", NULL, false, PORCH_GUARD_HOST},
        {"POST", "localhost:8443", own, NULL, false, PORCH_GUARD_GO_ON},
        {"POST", "localhost:8443", NULL, NULL, false, PORCH_GUARD_ORIGIN},
        {"POST", "localhost:8443", "https://localhost:8444", "same-site", false, PORCH_GUARD_ORIGIN},
        {"DELETE", "localhost:8443", NULL, "same-origin", false, PORCH_GUARD_ORIGIN},
        {"PATCH", "localhost:8443", "null", NULL, false, PORCH_GUARD_ORIGIN},
        {"GET", "localhost:8443", NULL, NULL, true, PORCH_GUARD_GO_ON},
        {"GET", "localhost:8443", NULL, "same-origin", true, PORCH_GUARD_GO_ON},
        {"GET", "localhost:8443", NULL, "same-site", true, PORCH_GUARD_SITE},
        {"GET", "localhost:8443", NULL, "cross-site", true, PORCH_GUARD_SITE},
        {"GET", "localhost:8443", NULL, "none", true, PORCH_GUARD_SITE},
    };
    porch_guard_names n = names();
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++)
        if (porch_guard_judge(&n, rows[i].method, rows[i].host, rows[i].origin, rows[i].site,
                              rows[i].stream) != rows[i].verdict)
            fail_msg("row %zu", i);
}

static void strict_transport_is_promised_for_public_names_only(void **state) {
    (void)state;
    for (const porch_http_header_row *r = porch_guard_people_headers(false); r->name != NULL; r++)
        assert_string_not_equal(r->name, "Strict-Transport-Security");
    bool found = false;
    for (const porch_http_header_row *r = porch_guard_people_headers(true); r->name != NULL; r++)
        found = found || strcmp(r->name, "Strict-Transport-Security") == 0;
    assert_true(found);
}

static void the_content_policy_is_the_promised_one(void **state) {
    (void)state;
    const porch_http_header_row *r = porch_guard_people_headers(false);
    while (strcmp(r->name, "Content-Security-Policy") != 0)
        r++;
    assert_string_equal(
        r->value,
        "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' blob:; media-src 'self' "
        "blob:; connect-src 'self'; manifest-src 'self'; worker-src 'self'; base-uri 'none'; form-action "
        "'self'; frame-ancestors 'none'; require-trusted-types-for 'script'; trusted-types porchlight-sw");
}

static void too_many_names_are_a_limit(void **state) {
    (void)state;
    porch_guard_names n;
    assert_int_equal(porch_guard_names_read("a b c d e f g h i j k l m n o p q", &n, NULL),
                     PORCH_ERR_LIMIT);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(hosts_are_the_hubs_names_with_or_without_a_port),
        cmocka_unit_test(an_origin_is_this_very_scheme_host_and_port),
        cmocka_unit_test(each_kind_of_request_is_judged_by_its_row),
        cmocka_unit_test(strict_transport_is_promised_for_public_names_only),
        cmocka_unit_test(the_content_policy_is_the_promised_one),
        cmocka_unit_test(too_many_names_are_a_limit),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
