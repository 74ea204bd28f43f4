/* Which files a device's key needs, as device.conf names it. Keys at work are test_keys.py's. */
#include <porchlight/key.h>

#include <fcntl.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>

static char folder[64], conf[96];
static porch_device_key_places places;
static porch_device_why why;

static int make_folder(void **state) {
    (void)state;
    (void)snprintf(folder, sizeof folder, "/tmp/porch-key-XXXXXX");
    if (!mkdtemp(folder)) return -1;
    (void)snprintf(conf, sizeof conf, "%s/device.conf", folder);
    return 0;
}

static int drop_folder(void **state) {
    (void)state;
    (void)unlink(conf);
    return rmdir(folder);
}

static porch_device_result with(const char *lines) {
    char text[2048];
    int fd = open(conf, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0600);
    assert_true(fd >= 0);
    int n = snprintf(text, sizeof text,
                     "hub.host = hub.example\nhub.mqtt_port = 8883\nhub.device_port = 8444\n"
                     "device.id = door\n%s",
                     lines);
    assert_int_equal(write(fd, text, (size_t)n), n);
    assert_int_equal(close(fd), 0);
    return porch_device_key_find(folder, &places, &why);
}

static void expect(const char *path, bool write) {
    assert_int_equal(places.count, 1);
    assert_string_equal(places.at[0].path, path);
    assert_int_equal(places.at[0].write, write);
    assert_false(places.in_token);
}

static void a_tpm_s_key_needs_its_device_for_reading_and_writing(void **state) {
    (void)state;
    assert_int_equal(with("key.uri = tpm2:0x81000010\n"), PORCH_DEVICE_OK);
    expect("/dev/tpmrm0", true);
    assert_int_equal(with("key.uri = tpm2:0x81000010\nkey.tpm = device:/dev/tpmrm1\n"), PORCH_DEVICE_OK);
    expect("/dev/tpmrm1", true);
    assert_int_equal(with("key.uri = tpm2:0x81000010\nkey.tpm = device\n"), PORCH_DEVICE_OK);
    expect("/dev/tpmrm0", true);
    assert_int_equal(with("key.uri = tpm2:0x81000010\nkey.tpm = swtpm:path=/run/swtpm\n"), PORCH_DEVICE_OK);
    assert_int_equal(places.count, 0); /* a socket, which is no file */
}

static void a_token_s_key_needs_the_module_and_the_pin(void **state) {
    (void)state;
    assert_int_equal(
        with("key.uri = pkcs11:object=door?module-path=/opt/hsm/module.so&pin-source=file:/srv/pin\n"),
        PORCH_DEVICE_OK);
    assert_true(places.in_token);
    assert_int_equal(places.count, 2);
    assert_string_equal(places.at[0].path, "/opt/hsm/module.so");
    assert_string_equal(places.at[1].path, "/srv/pin");
    assert_false(places.at[0].write || places.at[1].write);
    assert_int_equal(with("key.uri = pkcs11:object=door?module-path=module.so\n"), PORCH_DEVICE_OK);
    assert_true(places.in_token);
    assert_int_equal(places.count, 0);
}

static void a_key_in_a_file_needs_that_file(void **state) {
    (void)state;
    char path[96];
    (void)snprintf(path, sizeof path, "%s/key.pem", folder);
    assert_int_equal(with(""), PORCH_DEVICE_OK);
    expect(path, false);
    assert_int_equal(with("key.uri = file:/srv/keys/door.pem\n"), PORCH_DEVICE_OK);
    expect("/srv/keys/door.pem", false);
}

static void a_conf_that_names_no_key_is_told(void **state) {
    (void)state;
    assert_int_equal(with("key.uri = usb:stick\n"), PORCH_DEVICE_REFUSED);
    assert_non_null(strstr(why.text, "a key is named as"));
    (void)unlink(conf);
    assert_int_not_equal(porch_device_key_find(folder, &places, &why), PORCH_DEVICE_OK);
    assert_non_null(strstr(why.text, "holds no device.conf"));
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_tpm_s_key_needs_its_device_for_reading_and_writing),
        cmocka_unit_test(a_token_s_key_needs_the_module_and_the_pin),
        cmocka_unit_test(a_key_in_a_file_needs_that_file),
        cmocka_unit_test(a_conf_that_names_no_key_is_told),
    };
    return cmocka_run_group_tests(tests, make_folder, drop_folder);
}
