#include "cli/prove_replay.h"

#include <dirent.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <string.h>

#include <cmocka.h>

static size_t scratch_folders(void) {
    size_t count = 0;
    DIR *d = opendir("/tmp");
    for (struct dirent *e; d != NULL && (e = readdir(d)) != NULL;)
        count += strncmp(e->d_name, "porchlight-replay-", 18) == 0;
    if (d != NULL) closedir(d);
    return count;
}

/* The programs do not stand beside this test; with them the integration tests replay. */
static void a_replay_without_its_programs_is_an_error_and_leaves_nothing(void **state) {
    (void)state;
    porch_access_finding f = {.who = {.name = PORCH_LIT("stranger"),
                                      .product = PORCH_LIT("any-product"),
                                      .household = PORCH_LIT("home")},
                              .action = PORCH_ACCESS_PUBLISH,
                              .topic = PORCH_LIT("d/victim/x"),
                              .victim = PORCH_LIT("victim")};
    porch_replay_result result = PORCH_REPLAY_REFUSED;
    porch_why why = {""};
    size_t before = scratch_folders();
    assert_int_not_equal(porch_replay_isolation(PORCH_LIT("group a\n"), &f, &result, &why), PORCH_OK);
    assert_true(why.text[0] != '\0');
    assert_int_equal(result, PORCH_REPLAY_REFUSED);
    assert_true(scratch_folders() <= before);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_replay_without_its_programs_is_an_error_and_leaves_nothing),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
