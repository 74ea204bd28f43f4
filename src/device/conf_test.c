#include "device/conf.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

#define WHOLE                           \
    "# made by porchlight device add\n" \
    "hub.id = home-hub\n"               \
    "hub.host = hub.example\n"          \
    "hub.mqtt_port = 8883\n"            \
    "hub.device_port=8444\r\n"          \
    "\n"                                \
    "  device.id = front-door  \n"      \
    "device.product = camera"

static porch_err parse(const char *text, porch_device_conf *conf, porch_why *why) {
    why->text[0] = 0;
    return porch_device_conf_parse(porch_bytes_of(text), conf, why);
}

static void a_whole_file_is_read(void **state) {
    (void)state;
    porch_device_conf c;
    porch_why why;
    assert_int_equal(parse(WHOLE, &c, &why), PORCH_OK);
    assert_string_equal(c.hub_id, "home-hub");
    assert_string_equal(c.host, "hub.example");
    assert_int_equal(c.mqtt_port, 8883);
    assert_int_equal(c.device_port, 8444);
    assert_string_equal(porch_device_conf_name(&c), "front-door");
    assert_string_equal(c.product, "camera");
    assert_string_equal(c.service, "");
}

static void an_unknown_key_is_refused_with_the_nearest(void **state) {
    (void)state;
    porch_device_conf c;
    porch_why why;
    assert_int_equal(parse(WHOLE "\nhub.hosts = a\n", &c, &why), PORCH_ERR_CONFIG);
    assert_non_null(strstr(why.text, "line 9"));
    assert_non_null(strstr(why.text, "nearest is hub.host"));
}

static void no_key_loosens_trust(void **state) {
    (void)state;
    porch_device_conf c;
    porch_why why;
    const char *wishes[] = {"hub.verify = no", "tls.insecure = true", "hub.ca = /tmp/ca.pem",
                            "tls.verify_name = 0"};
    for (size_t i = 0; i < sizeof wishes / sizeof wishes[0]; i++) {
        char text[1024];
        (void)snprintf(text, sizeof text, "%s\n%s\n", WHOLE, wishes[i]);
        assert_int_equal(parse(text, &c, &why), PORCH_ERR_CONFIG);
        assert_non_null(strstr(why.text, "ca.pem"));
    }
}

static void wrong_values_are_refused_and_leave_the_result_untouched(void **state) {
    (void)state;
    const char *lines[] = {"hub.mqtt_port = 0",
                           "hub.mqtt_port = 65536",
                           "hub.mqtt_port = -1",
                           "hub.mqtt_port =",
                           "hub.host = ",
                           "hub.host = a b",
                           "hub.host = a/b",
                           "device.id = Front",
                           "device.id = d/+/x",
                           "device.id = -a",
                           "nonsense",
                           "hub.host = a\x01",
                           "device.product = caf\xc3\xa9"};
    for (size_t i = 0; i < sizeof lines / sizeof lines[0]; i++) {
        porch_device_conf c;
        porch_why why;
        memset(&c, 0x5a, sizeof c);
        assert_int_equal(parse(lines[i], &c, &why), PORCH_ERR_CONFIG);
        assert_non_null(strstr(why.text, "line 1"));
        assert_int_equal(c.host[0], 0x5a);
    }
}

static void a_key_twice_is_refused(void **state) {
    (void)state;
    porch_device_conf c;
    porch_why why;
    assert_int_equal(parse(WHOLE "\nhub.host = other\n", &c, &why), PORCH_ERR_CONFIG);
    assert_non_null(strstr(why.text, "repeats hub.host"));
}

static void a_missing_key_is_named(void **state) {
    (void)state;
    porch_device_conf c;
    porch_why why;
    assert_int_equal(parse("hub.host = h\nhub.device_port = 1\ndevice.id = a\n", &c, &why),
                     PORCH_ERR_CONFIG);
    assert_non_null(strstr(why.text, "hub.mqtt_port"));
}

static void a_folder_is_a_device_or_a_service_never_both(void **state) {
    (void)state;
    porch_device_conf c;
    porch_why why;
    assert_int_equal(
        parse("hub.host=::1\nhub.mqtt_port=1\nhub.device_port=2\nservice.name=history\n", &c, &why),
        PORCH_OK);
    assert_string_equal(porch_device_conf_name(&c), "history");
    assert_int_equal(parse(WHOLE "\nservice.name = history\n", &c, &why), PORCH_ERR_CONFIG);
    assert_int_equal(parse("hub.host=::1\nhub.mqtt_port=1\nhub.device_port=2\n", &c, &why),
                     PORCH_ERR_CONFIG);
    assert_non_null(strstr(why.text, "exactly one"));
}

static void a_file_over_the_limit_is_refused(void **state) {
    (void)state;
    static char text[PORCH_DEVICE_CONF_BYTES_MOST + 2];
    memset(text, '\n', sizeof text - 1);
    porch_device_conf c;
    porch_why why;
    assert_int_equal(parse(text, &c, &why), PORCH_ERR_CONFIG);
}

#define KEY "AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA="

static porch_err tell(porch_device_told told, char *out, size_t cap, porch_why *why) {
    porch_buf b = {(uint8_t *)out, 0, cap - 1};
    porch_err e = porch_device_conf_tell(&told, &b, why);
    out[b.len] = '\0';
    return e;
}

static void what_the_hub_tells_becomes_lines_of_the_file(void **state) {
    (void)state;
    char text[512];
    porch_device_conf c;
    porch_why why;
    assert_int_equal(tell((porch_device_told){PORCH_LIT("home-hub"), PORCH_LIT("camera"), PORCH_LIT(KEY)},
                          text, sizeof text, &why),
                     PORCH_OK);
    assert_string_equal(text, "hub.id = home-hub\ndevice.product = camera\nhub.time_key = " KEY "\n");
    char whole[1024];
    (void)snprintf(whole, sizeof whole, "hub.host=a\nhub.mqtt_port=1\nhub.device_port=2\ndevice.id=d\n%s",
                   text);
    assert_int_equal(parse(whole, &c, &why), PORCH_OK);
    assert_string_equal(c.product, "camera");
    assert_true(c.time_key.there);
    /* one that tells nothing is an older hub's */
    assert_int_equal(tell((porch_device_told){.product = {0}}, text, sizeof text, &why), PORCH_OK);
    assert_string_equal(text, "");
    assert_int_equal(tell((porch_device_told){.product = PORCH_LIT("camera")}, text, 12, &why),
                     PORCH_ERR_NO_SPACE);
}

static void what_the_hub_tells_is_a_value_and_nothing_more(void **state) {
    (void)state;
    char text[512];
    porch_why why;
    const porch_device_told wrong[] = {{.hub_id = PORCH_LIT("Home")},
                                       {.product = PORCH_LIT("camera\nkey.file_for_development = true")},
                                       {.product = PORCH_LIT("cam era")},
                                       {.product = PORCH_LIT(" camera")},
                                       {.time_key = PORCH_LIT("AAAA")},
                                       {.time_key = PORCH_LIT(KEY "\n")}};
    for (size_t i = 0; i < sizeof wrong / sizeof wrong[0]; i++) {
        assert_int_equal(tell(wrong[i], text, sizeof text, &why), PORCH_ERR_MALFORMED);
        assert_string_equal(text, "");
        assert_non_null(strstr(why.text, "what the hub says is no value for "));
    }
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_whole_file_is_read),
        cmocka_unit_test(an_unknown_key_is_refused_with_the_nearest),
        cmocka_unit_test(no_key_loosens_trust),
        cmocka_unit_test(wrong_values_are_refused_and_leave_the_result_untouched),
        cmocka_unit_test(a_key_twice_is_refused),
        cmocka_unit_test(a_missing_key_is_named),
        cmocka_unit_test(a_folder_is_a_device_or_a_service_never_both),
        cmocka_unit_test(a_file_over_the_limit_is_refused),
        cmocka_unit_test(what_the_hub_tells_becomes_lines_of_the_file),
        cmocka_unit_test(what_the_hub_tells_is_a_value_and_nothing_more),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
