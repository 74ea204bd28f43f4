#include "cloud/courier/courier_room.h"

#include <arpa/inet.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <string.h>

#include <cmocka.h>

static bool is_public(const char *text) {
    struct sockaddr_in four = {.sin_family = AF_INET};
    struct sockaddr_in6 six = {.sin6_family = AF_INET6};
    if (inet_pton(AF_INET, text, &four.sin_addr) == 1)
        return porch_courier_is_public((const struct sockaddr *)&four);
    assert_int_equal(inet_pton(AF_INET6, text, &six.sin6_addr), 1);
    return porch_courier_is_public((const struct sockaddr *)&six);
}

static void addresses_of_the_public_internet_may_be_reached(void **state) {
    static const char *const rows[] = {
        "1.1.1.1",         "8.8.8.8",         "9.255.255.255", "11.0.0.0",        "100.63.255.255",
        "100.128.0.0",     "126.255.255.255", "128.0.0.1",     "169.253.255.255", "172.15.255.255",
        "172.32.0.0",      "192.167.255.255", "192.169.0.0",   "198.17.255.255",  "198.20.0.0",
        "223.255.255.255", "2606:4700::1111", "2a00:1450::1",  "2001:4860::8888"};
    (void)state;
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++)
        if (!is_public(rows[i])) fail_msg("%s is public", rows[i]);
}

static void no_other_address_may_be_reached(void **state) {
    static const char *const rows[] = {"0.0.0.0",
                                       "0.1.2.3",
                                       "10.0.0.1",
                                       "10.255.255.255",
                                       "100.64.0.1",
                                       "100.127.255.255",
                                       "127.0.0.1",
                                       "127.255.255.255",
                                       "169.254.169.254",
                                       "172.16.0.1",
                                       "172.31.255.255",
                                       "192.0.0.1",
                                       "192.0.2.1",
                                       "192.88.99.1",
                                       "192.168.0.1",
                                       "198.18.0.1",
                                       "198.19.255.255",
                                       "198.51.100.1",
                                       "203.0.113.1",
                                       "224.0.0.1",
                                       "239.255.255.255",
                                       "240.0.0.1",
                                       "255.255.255.255",
                                       "::",
                                       "::1",
                                       "::ffff:8.8.8.8",
                                       "::ffff:127.0.0.1",
                                       "64:ff9b::7f00:1",
                                       "100::1",
                                       "2001::1",
                                       "2001:1ff:ffff::",
                                       "2001:db8::1",
                                       "2002:7f00:1::",
                                       "3fff:fff::1",
                                       "fc00::1",
                                       "fdff::1",
                                       "fe80::1",
                                       "febf::1",
                                       "ff02::1",
                                       "4000::1",
                                       "1fff::1"};
    (void)state;
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++)
        if (is_public(rows[i])) fail_msg("%s is not public", rows[i]);
}

static void another_kind_of_address_is_not_public(void **state) {
    struct sockaddr a = {.sa_family = AF_UNIX};
    (void)state;
    assert_false(porch_courier_is_public(&a));
}

static void the_allow_list_names_host_and_port_exactly(void **state) {
    const char *allow = "localhost:9443  hooks.lan:443 [::1]:8443 bad nothing: :1";
    (void)state;
    assert_true(porch_courier_allows(allow, "localhost", 9443));
    assert_true(porch_courier_allows(allow, "HOOKS.lan", 443));
    assert_true(porch_courier_allows(allow, "[::1]", 8443));
    assert_false(porch_courier_allows(allow, "localhost", 9444));
    assert_false(porch_courier_allows(allow, "ocalhost", 9443));
    assert_false(porch_courier_allows(allow, "hooks.lan.example", 443));
    assert_false(porch_courier_allows(allow, "bad", 0));
    assert_false(porch_courier_allows(allow, "nothing", 0));
    assert_false(porch_courier_allows(allow, "", 1));
    assert_false(porch_courier_allows("", "localhost", 9443));
    assert_false(porch_courier_allows(NULL, "localhost", 9443));
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(addresses_of_the_public_internet_may_be_reached),
        cmocka_unit_test(no_other_address_may_be_reached),
        cmocka_unit_test(another_kind_of_address_is_not_public),
        cmocka_unit_test(the_allow_list_names_host_and_port_exactly),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
