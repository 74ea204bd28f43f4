#include "ota/author/author_repo.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <string.h>

#include <cmocka.h>

static porch_author_repo r;
static porch_why why;

static int begin(void **state) {
    (void)state;
    return porch_author_repo_begin(&r, &why) != PORCH_OK;
}

static int end(void **state) {
    (void)state;
    porch_author_repo_free(&r);
    return 0;
}

static porch_err add(const char *role, const char *id) {
    json_t *key = json_pack("{s:s}", "keytype", "ed25519");
    porch_err e = porch_author_key_add(&r, role, key, id, &why);
    json_decref(key);
    return e;
}

static void products_are_named_like_devices_and_once(void **state) {
    (void)state;
    const char *bad[] = {"", "Camera", "a/b", "*", "root", "timestamp", "snapshot", "targets", "-a"};
    for (size_t i = 0; i < sizeof bad / sizeof bad[0]; i++)
        assert_int_equal(porch_author_product_add(&r, bad[i], &why), PORCH_ERR_MALFORMED);
    assert_int_equal(porch_author_product_add(&r, "camera", &why), PORCH_OK);
    assert_int_equal(porch_author_product_add(&r, "camera", &why), PORCH_ERR_EXISTS);
    assert_non_null(porch_author_role(&r, "camera"));
}

static void a_role_keeps_at_least_as_many_keys_as_it_needs(void **state) {
    (void)state;
    json_t *keys = NULL;
    assert_int_equal(porch_author_product_add(&r, "camera", &why), PORCH_OK);
    const char *roles[] = {"root", "camera"};
    for (size_t i = 0; i < 2; i++) {
        assert_int_equal(add(roles[i], "k1"), PORCH_OK);
        assert_int_equal(add(roles[i], "k1"), PORCH_ERR_EXISTS);
        assert_int_equal(porch_author_key_remove(&r, roles[i], "k1", &why), PORCH_ERR_STATE);
        assert_int_equal(add(roles[i], "k2"), PORCH_OK);
        assert_int_equal(porch_author_key_remove(&r, roles[i], "k3", &why), PORCH_ERR_NOT_FOUND);
        assert_int_equal(porch_author_key_remove(&r, roles[i], "k1", &why), PORCH_OK);
        assert_non_null(porch_author_trust(&r, roles[i], &keys));
        assert_null(json_object_get(keys, "k1"));
        assert_non_null(json_object_get(keys, "k2"));
    }
    assert_int_equal(add("nothing", "k1"), PORCH_ERR_NOT_FOUND);
}

static void a_version_is_released_once_and_can_be_withdrawn(void **state) {
    (void)state;
    json_t *custom = json_object();
    assert_int_equal(porch_author_product_add(&r, "camera", &why), PORCH_OK);
    assert_int_equal(porch_author_release(&r, "camera", "1.0", 5, "00", custom, &why), PORCH_OK);
    assert_int_equal(porch_author_release(&r, "camera", "1.0", 5, "00", custom, &why), PORCH_ERR_EXISTS);
    assert_int_equal(porch_author_release(&r, "door", "1.0", 5, "00", custom, &why), PORCH_ERR_NOT_FOUND);
    json_t *second = json_pack("{s:i}", "serial", 7);
    assert_int_equal(porch_author_highest(&r, "camera", "serial"), 0);
    assert_int_equal(porch_author_release(&r, "camera", "2.0", 5, "00", second, &why), PORCH_OK);
    assert_int_equal(porch_author_highest(&r, "camera", "serial"), 7);
    json_decref(second);
    const char *bad[] = {"", ".", "../x", "a/b", "a b", "1.0*"};
    for (size_t i = 0; i < sizeof bad / sizeof bad[0]; i++)
        assert_int_equal(porch_author_release(&r, "camera", bad[i], 5, "00", custom, &why),
                         PORCH_ERR_MALFORMED);
    assert_int_equal(porch_author_withdraw(&r, "camera", "1.0", &why), PORCH_OK);
    assert_int_equal(porch_author_withdraw(&r, "camera", "1.0", &why), PORCH_ERR_NOT_FOUND);
    json_decref(custom);
}

static void release_with_counter(const char *version, json_int_t counter) {
    json_t *custom = json_pack("{s:I}", "counter", counter);
    assert_int_equal(porch_author_release(&r, "camera", version, 5, "00", custom, &why), PORCH_OK);
    json_decref(custom);
}

static void the_numbers_of_withdrawn_releases_still_count(void **state) {
    (void)state;
    assert_int_equal(porch_author_product_add(&r, "camera", &why), PORCH_OK);
    release_with_counter("1", 1);
    release_with_counter("2", 2);
    assert_int_equal(porch_author_withdraw(&r, "camera", "2", &why), PORCH_OK);
    assert_int_equal(porch_author_highest(&r, "camera", "counter"), 2);
    assert_int_equal(porch_author_withdraw(&r, "camera", "1", &why), PORCH_OK); /* lowers nothing */
    assert_int_equal(porch_author_highest(&r, "camera", "counter"), 2);
    assert_int_equal(porch_author_highest(&r, "camera", "serial"), 0);
}

static void versions_rise_by_one_and_are_announced_with_length_and_hash(void **state) {
    (void)state;
    assert_int_equal(porch_author_next(r.targets, "2030-01-01T00:00:00Z", &why), PORCH_OK);
    assert_int_equal(porch_author_next(r.targets, "2030-01-02T00:00:00Z", &why), PORCH_OK);
    assert_int_equal(json_integer_value(json_object_get(r.targets, "version")), 2);
    assert_int_equal(porch_author_announce(r.snapshot, "targets.json", r.targets, PORCH_LIT("abc"), &why),
                     PORCH_OK);
    const json_t *entry = json_object_get(json_object_get(r.snapshot, "meta"), "targets.json");
    assert_int_equal(json_integer_value(json_object_get(entry, "version")), 2);
    assert_int_equal(json_integer_value(json_object_get(entry, "length")), 3);
    assert_string_equal(json_string_value(json_object_get(json_object_get(entry, "hashes"), "sha256")),
                        "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad");
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(products_are_named_like_devices_and_once, begin, end),
        cmocka_unit_test_setup_teardown(a_role_keeps_at_least_as_many_keys_as_it_needs, begin, end),
        cmocka_unit_test_setup_teardown(a_version_is_released_once_and_can_be_withdrawn, begin, end),
        cmocka_unit_test_setup_teardown(the_numbers_of_withdrawn_releases_still_count, begin, end),
        cmocka_unit_test_setup_teardown(versions_rise_by_one_and_are_announced_with_length_and_hash, begin,
                                        end),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
