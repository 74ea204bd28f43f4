/* The repository's files without a signer: names, resumable puts, limits, and that nothing unsigned gets
 * in. What needs a signed repository is proved with the real programs (tests/integration/test_ota_hub.py).
 */
#include "cloud/rollout/updates_room.h"

#include <fcntl.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <string.h>
#include <sys/stat.h>

#include <cmocka.h>

#include "cloud/store/store_testing.h"
#include "os/file.h"

typedef struct {
    store_lab lab;
    porch_updates *updates;
} place;

static int setup(void **state) {
    place *p = calloc(1, sizeof *p);
    char path[128];
    if (p == NULL) return -1;
    store_lab_make(&p->lab);
    p->lab.settings.ota_bytes = 100000;
    p->lab.settings.ota_image_bytes = 70000;
    if (store_lab_open(&p->lab) != PORCH_OK) return -1;
    (void)snprintf(path, sizeof path, "%s/updates", p->lab.dir);
    if (porch_dir_make(path, 0700, NULL) != PORCH_OK) return -1;
    const porch_updates_config config = {p->lab.dir, p->lab.store, NULL, &p->lab.settings};
    if (porch_updates_open(&config, &p->updates, &p->lab.why) != PORCH_OK) return -1;
    *state = p;
    return 0;
}

static int teardown(void **state) {
    place *p = *state;
    porch_updates_close(p->updates);
    store_lab_remove(&p->lab);
    free(p);
    return 0;
}

static void a_name_never_leaves_the_repository(void **state) {
    (void)state;
    static const char *const good[] = {"metadata/1.root.json", "metadata/timestamp.json",
                                       "metadata/7.camera.json", "targets/camera/1.2/9f.image",
                                       "targets/a/1.0+b_2/9f.image"};
    static const char *const bad[] = {"",
                                      "metadata",
                                      "metadata/",
                                      "metadata/x",
                                      "metadata/.json",
                                      "metadata/..json",
                                      "metadata/a/1.root.json",
                                      "metadata/../x.json",
                                      "targets/",
                                      "targets/../x",
                                      "targets//x",
                                      "targets/a/",
                                      "targets/.x",
                                      "targets/a b",
                                      "targets/a!b",
                                      "targets/1/2/3/4/5/6/7/8/9",
                                      "incoming/x",
                                      "/etc/passwd"};
    for (size_t i = 0; i < sizeof good / sizeof good[0]; i++)
        assert_true(porch_updates_name_ok(good[i]));
    for (size_t i = 0; i < sizeof bad / sizeof bad[0]; i++)
        assert_false(porch_updates_name_ok(bad[i]));
    char longest[PORCH_UPDATES_NAME + 2];
    memset(longest, 'a', sizeof longest);
    memcpy(longest, "targets/", 8);
    longest[sizeof longest - 1] = '\0';
    assert_false(porch_updates_name_ok(longest));
}

static void a_put_goes_on_where_it_was_and_nowhere_else(void **state) {
    place *p = *state;
    const char *name = "targets/camera/1/aa.image";
    uint64_t bytes = 1;
    bool whole = true;
    porch_why why = {""};
    assert_int_equal(porch_updates_have(p->updates, name, &bytes, &whole, &why), PORCH_OK);
    assert_true(bytes == 0 && !whole);
    assert_int_equal(porch_updates_put(p->updates, name, 0, PORCH_LIT("hello "), &why), PORCH_OK);
    assert_int_equal(porch_updates_put(p->updates, name, 6, PORCH_LIT("world"), &why), PORCH_OK);
    assert_int_equal(porch_updates_put(p->updates, name, 99, PORCH_LIT("!"), &why), PORCH_ERR_STATE);
    assert_non_null(strstr(why.text, "11"));
    assert_int_equal(porch_updates_have(p->updates, name, &bytes, &whole, &why), PORCH_OK);
    assert_true(bytes == 11 && !whole);
    assert_int_equal(porch_updates_put(p->updates, name, 0, PORCH_LIT("anew"), &why), PORCH_OK);
    assert_int_equal(porch_updates_have(p->updates, name, &bytes, &whole, &why), PORCH_OK);
    assert_int_equal(bytes, 4);
    int fd = -1;
    assert_int_equal(porch_updates_file(p->updates, name, &fd, &bytes, &why), PORCH_ERR_NOT_FOUND);
}

static void what_is_too_long_or_too_much_is_refused(void **state) {
    place *p = *state;
    static uint8_t block[60000];
    const porch_bytes bytes = {block, sizeof block};
    porch_why why = {""};
    assert_int_equal(porch_updates_put(p->updates, "targets/c/1/aa.image", 0, bytes, &why), PORCH_OK);
    assert_int_equal(porch_updates_put(p->updates, "targets/c/1/aa.image", 60000, bytes, &why),
                     PORCH_ERR_LIMIT);
    assert_non_null(strstr(why.text, "ota.image_bytes"));
    assert_int_equal(porch_updates_put(p->updates, "targets/c/2/bb.image", 0, bytes, &why),
                     PORCH_ERR_LIMIT);
    assert_non_null(strstr(why.text, "ota.bytes"));
    assert_int_equal(porch_updates_put(p->updates, "metadata/timestamp.json", 0, PORCH_LIT("{}"), &why),
                     PORCH_ERR_MALFORMED);
    assert_int_equal(porch_updates_put(p->updates, "targets/../../hub.db", 0, PORCH_LIT("{}"), &why),
                     PORCH_ERR_MALFORMED);
}

static void what_nobody_signed_is_not_published(void **state) {
    place *p = *state;
    static const char root[] =
        "{\"signatures\":[],\"signed\":{\"_type\":\"root\",\"spec_version\":\"1.0.34\",\"version\":1,"
        "\"expires\":"
        "\"2099-01-01T00:00:00Z\",\"consistent_snapshot\":true,\"keys\":{},\"roles\":{}}}";
    porch_updates_plan plan = {.root = 1, .count = 1, .roles = {{.name = "targets", .version = 1}}};
    porch_updates_outcome outcome;
    porch_updates_state now;
    porch_why why = {""};
    assert_int_equal(porch_updates_commit(p->updates, "operator", &plan, &outcome, &why),
                     PORCH_ERR_NOT_FOUND);
    assert_int_equal(porch_updates_put(p->updates, "metadata/1.root.json", 0, PORCH_LIT(root), &why),
                     PORCH_OK);
    assert_int_not_equal(porch_updates_commit(p->updates, "operator", &plan, &outcome, &why), PORCH_OK);
    assert_int_not_equal(why.text[0], '\0');
    porch_updates_state_get(p->updates, &now);
    assert_int_equal(now.root, 0);
    int fd = -1;
    uint64_t bytes = 0;
    assert_int_equal(porch_updates_file(p->updates, "metadata/1.root.json", &fd, &bytes, &why),
                     PORCH_ERR_NOT_FOUND);
    plan.root = 0;
    assert_int_equal(porch_updates_commit(p->updates, "operator", &plan, &outcome, &why), PORCH_ERR_LIMIT);
}

/* Its file would lie where devices look for a root. */
static void no_delegated_role_is_called_like_a_top_level_one(void **state) {
    place *p = *state;
    static const char *const taken[] = {"root", "snapshot", "timestamp", "mirrors"};
    for (size_t i = 0; i < sizeof taken / sizeof taken[0]; i++) {
        porch_updates_plan plan = {.root = 1, .count = 2, .roles = {{.name = "targets", .version = 1}}};
        porch_updates_outcome outcome;
        porch_why why = {""};
        (void)snprintf(plan.roles[1].name, sizeof plan.roles[1].name, "%s", taken[i]);
        plan.roles[1].version = 2;
        assert_int_equal(porch_updates_commit(p->updates, "operator", &plan, &outcome, &why),
                         PORCH_ERR_MALFORMED);
        assert_non_null(strstr(why.text, taken[i]));
    }
}

static porch_err do_roles(porch_db *db, void *ctx, porch_why *why) {
    (void)ctx;
    return porch_db_run(
        db,
        "insert into update_role (name, version, expires_ms, threshold, keys, signers) values "
        "('root', 3, 1, 1, '[]', ''), ('camera', 7, 1, 1, '[]', '')",
        why);
}

static void what_was_in_force_and_is_gone_is_damage_and_goes_on_counting(void **state) {
    place *p = *state;
    char path[160];
    porch_updates_state now;
    porch_updates_plan plan = {.root = 2, .count = 1, .roles = {{.name = "targets", .version = 1}}};
    porch_updates_outcome outcome;
    porch_why why = {""};
    uint64_t bytes = 0;
    bool whole = true, renewed = true;
    int fd = -1;
    assert_int_equal(porch_updates_ready(p->updates, &why), PORCH_OK);
    porch_updates_close(p->updates);
    assert_int_equal(porch_store_write(p->lab.store, do_roles, NULL, &why), PORCH_OK);
    const porch_updates_config config = {p->lab.dir, p->lab.store, NULL, &p->lab.settings};
    assert_int_equal(porch_updates_open(&config, &p->updates, &why), PORCH_OK);
    porch_updates_state_get(p->updates, &now);
    assert_non_null(strstr(now.damage, "timestamp.json is missing"));
    assert_int_equal(porch_updates_ready(p->updates, &why), PORCH_ERR_STATE);
    assert_non_null(strstr(why.text, "ota publish"));
    assert_int_equal(porch_updates_file(p->updates, "metadata/3.root.json", &fd, &bytes, &why),
                     PORCH_ERR_STATE);
    assert_int_equal(porch_updates_tend(p->updates, UINT64_C(4102444800000), &renewed, &why), PORCH_OK);
    assert_false(renewed);
    /* Nothing older than what was in force. */
    assert_int_equal(porch_updates_commit(p->updates, "operator", &plan, &outcome, &why),
                     PORCH_ERR_ROLLBACK);
    /* A file that lies there is believed by nobody: it is sent anew, and that one counts. */
    (void)snprintf(path, sizeof path, "%s/updates/metadata/3.root.json", p->lab.dir);
    assert_int_equal(porch_file_write_atomic(path, PORCH_LIT("{}"), 0600, &why), PORCH_OK);
    assert_int_equal(porch_updates_have(p->updates, "metadata/3.root.json", &bytes, &whole, &why),
                     PORCH_OK);
    assert_true(bytes == 0 && !whole);
    assert_int_equal(porch_updates_put(p->updates, "metadata/3.root.json", 0, PORCH_LIT("new"), &why),
                     PORCH_OK);
    assert_int_equal(porch_updates_have(p->updates, "metadata/3.root.json", &bytes, &whole, &why),
                     PORCH_OK);
    assert_int_equal(bytes, 3);
}

static void a_folder_that_is_a_file_does_not_keep_a_hub_from_starting(void **state) {
    place *p = *state;
    char path[160];
    porch_updates_state now;
    porch_updates_close(p->updates);
    (void)snprintf(path, sizeof path, "%s/updates/metadata", p->lab.dir);
    assert_int_equal(rmdir(path), 0);
    assert_int_equal(porch_file_write_atomic(path, PORCH_LIT(""), 0600, NULL), PORCH_OK);
    const porch_updates_config config = {p->lab.dir, p->lab.store, NULL, &p->lab.settings};
    assert_int_equal(porch_updates_open(&config, &p->updates, NULL), PORCH_OK);
    porch_updates_state_get(p->updates, &now);
    assert_int_not_equal(now.damage[0], '\0');
}

static void a_hub_without_a_repository_has_nothing_to_renew(void **state) {
    place *p = *state;
    bool renewed = true;
    porch_why why = {""};
    assert_int_equal(porch_updates_tend(p->updates, UINT64_C(4102444800000), &renewed, &why), PORCH_OK);
    assert_false(renewed);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_name_never_leaves_the_repository),
        cmocka_unit_test_setup_teardown(a_put_goes_on_where_it_was_and_nowhere_else, setup, teardown),
        cmocka_unit_test_setup_teardown(what_is_too_long_or_too_much_is_refused, setup, teardown),
        cmocka_unit_test_setup_teardown(what_nobody_signed_is_not_published, setup, teardown),
        cmocka_unit_test_setup_teardown(no_delegated_role_is_called_like_a_top_level_one, setup, teardown),
        cmocka_unit_test_setup_teardown(what_was_in_force_and_is_gone_is_damage_and_goes_on_counting, setup,
                                        teardown),
        cmocka_unit_test_setup_teardown(a_folder_that_is_a_file_does_not_keep_a_hub_from_starting, setup,
                                        teardown),
        cmocka_unit_test_setup_teardown(a_hub_without_a_repository_has_nothing_to_renew, setup, teardown),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
