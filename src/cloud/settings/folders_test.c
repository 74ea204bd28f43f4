#include "cloud/settings/folders.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

static const porch_hub_folder *folder_of(const char *name) {
    for (size_t i = 0; i < PORCH_HUB_FOLDERS; i++)
        if (strcmp(porch_hub_folders[i].name, name) == 0) return &porch_hub_folders[i];
    fail_msg("no folder '%s'", name);
    return NULL;
}

static void only_certificates_may_be_read_by_others(void **state) {
    (void)state;
    assert_int_equal(porch_hub_file_mode(folder_of("tls"), "server.pem"), 0644);
    assert_int_equal(porch_hub_file_mode(folder_of("tls"), "server.key"), 0600);
    assert_int_equal(porch_hub_file_mode(folder_of("tls"), ".key"), 0600);
    for (size_t i = 0; i < PORCH_HUB_FOLDERS; i++)
        if (strcmp(porch_hub_folders[i].name, "tls") != 0)
            assert_int_equal(porch_hub_file_mode(&porch_hub_folders[i], "server.pem"), 0600);
}

static void the_signer_has_one_folder_of_its_own(void **state) {
    (void)state;
    for (size_t i = 0; i < PORCH_HUB_FOLDERS; i++)
        assert_int_equal(porch_hub_folders[i].signers, strcmp(porch_hub_folders[i].name, "signer") == 0);
}

static void the_directory_itself_comes_first_and_is_not_listed_in_itself(void **state) {
    (void)state;
    assert_string_equal(porch_hub_folders[0].name, "");
    assert_false(porch_hub_folder_listed(""));
    assert_true(porch_hub_folder_listed("OFFLINE"));
    assert_false(porch_hub_folder_listed("hub.db"));
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(only_certificates_may_be_read_by_others),
        cmocka_unit_test(the_signer_has_one_folder_of_its_own),
        cmocka_unit_test(the_directory_itself_comes_first_and_is_not_listed_in_itself),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
