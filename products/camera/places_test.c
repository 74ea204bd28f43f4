/* The list alone: what a kernel makes of it is sandbox_test's. */
#include "places.h"

#include <fcntl.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cmocka.h>

static char top[64], run[96], target[128], etc_link[96];
static porch_camera_places places;
static char why[256];

static int make_top(void **state) {
    (void)state;
    (void)snprintf(top, sizeof top, "/tmp/porch-places-XXXXXX");
    if (!mkdtemp(top)) return -1;
    (void)snprintf(run, sizeof run, "%s/NetworkManager", top);
    (void)snprintf(target, sizeof target, "%s/resolv.conf", run);
    (void)snprintf(etc_link, sizeof etc_link, "%s/resolv.conf", top);
    int fd = mkdir(run, 0700) == 0 ? open(target, O_WRONLY | O_CREAT | O_CLOEXEC, 0600) : -1;
    return fd < 0 || close(fd) != 0 ? -1 : symlink(target, etc_link);
}

static int drop_top(void **state) {
    (void)state;
    (void)unlink(etc_link);
    (void)unlink(target);
    (void)rmdir(run);
    return rmdir(top);
}

static const porch_camera_place *found(const char *path) {
    for (size_t i = 0; i < places.count; i++)
        if (strcmp(places.at[i].path, path) == 0) return &places.at[i];
    return NULL;
}

static void the_key_s_device_is_in_the_list_and_may_be_written(void **state) {
    (void)state;
    static porch_device_key_places key = {.count = 2,
                                          .at = {{"/dev/tpmrm0", true}, {"/srv/factory/pin", false}}};
    const porch_camera_wants wants = {.folder = "/srv/door", .key = &key, .resolver = "/etc/resolv.conf"};
    assert_true(porch_camera_places_make(&wants, &places, why));
    assert_non_null(found("/dev/tpmrm0"));
    assert_true(found("/dev/tpmrm0")->write);
    assert_non_null(found("/srv/factory/pin"));
    assert_false(found("/srv/factory/pin")->write);
    assert_true(found("/srv/door")->write);
    assert_false(found("/etc")->write);
}

static void without_a_key_elsewhere_no_device_is(void **state) {
    (void)state;
    const porch_camera_wants wants = {.folder = "/srv/door", .resolver = "/etc/resolv.conf"};
    assert_true(porch_camera_places_make(&wants, &places, why));
    assert_null(found("/dev/tpmrm0"));
    assert_null(found("/dev"));
}

static void where_resolv_conf_leads_to_can_be_read_though_it_is_replaced(void **state) {
    (void)state;
    const porch_camera_wants wants = {.resolver = etc_link};
    assert_true(porch_camera_places_make(&wants, &places, why));
    assert_non_null(found(run));
    assert_false(found(run)->write);
    /* one that is no link is in /etc, which is open */
    const porch_camera_wants plain = {.resolver = target};
    assert_true(porch_camera_places_make(&plain, &places, why));
    assert_null(found(run));
    /* and one that is missing is no error */
    const porch_camera_wants missing = {.resolver = "/nowhere/resolv.conf"};
    assert_true(porch_camera_places_make(&missing, &places, why));
}

static void what_people_allow_must_be_there(void **state) {
    (void)state;
    porch_camera_wants wants = {.resolver = "/etc/resolv.conf", .allowed = {run}};
    assert_true(porch_camera_places_make(&wants, &places, why));
    assert_true(found(run)->write);
    wants.allowed[1] = "/nowhere/tokens";
    assert_false(porch_camera_places_make(&wants, &places, why));
    assert_non_null(strstr(why, "--allow-file /nowhere/tokens: "));
}

static void the_list_holds_the_most_that_can_be_asked_for(void **state) {
    (void)state;
    static porch_device_key_places key = {.count = PORCH_DEVICE_KEY_PLACES_MOST,
                                          .at = {{"/dev/tpmrm0", true}, {"/srv/pin", false}}};
    porch_camera_wants wants = {
        .folder = "/srv/door", .slots = "/srv/slots", .key = &key, .resolver = etc_link};
    for (size_t i = 0; i < PORCH_CAMERA_ALLOWED_MOST; i++)
        wants.allowed[i] = top;
    assert_true(porch_camera_places_make(&wants, &places, why));
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(the_key_s_device_is_in_the_list_and_may_be_written),
        cmocka_unit_test(without_a_key_elsewhere_no_device_is),
        cmocka_unit_test(where_resolv_conf_leads_to_can_be_read_though_it_is_replaced),
        cmocka_unit_test(what_people_allow_must_be_there),
        cmocka_unit_test(the_list_holds_the_most_that_can_be_asked_for),
    };
    return cmocka_run_group_tests(tests, make_top, drop_top);
}
