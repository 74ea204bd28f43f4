/* What is written here the device's reader takes; what another reader sees in it is
 * tests/integration/test_ota_author.py's. */
#include "ota/author/author_manifest.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "ota/client/manifest.h"

static porch_why why;

static json_t *release_of(json_t *rollout) {
    json_t *target = json_pack(
        "{s:I,s:{s:s},s:{s:s,s:s,s:[s,s],s:i,s:i}}", "length", (json_int_t)1 << 40, "hashes", "sha256",
        "00112233445566778899aabbccddeeff00112233445566778899aabbccddeeff", "custom", "product", "camera",
        "version", "1.0", "hardware", "rev-a", "rev-b", "counter", 300, "serial", 70000);
    if (rollout != NULL) json_object_set_new(json_object_get(target, "custom"), "rollout", rollout);
    return target;
}

static void read(porch_bytes text, const porch_key *key, porch_manifest *m) {
    static uint8_t points[1][PORCH_MANIFEST_POINT_BYTES];
    const porch_manifest_keys keys = {(const uint8_t(*)[PORCH_MANIFEST_POINT_BYTES])points, 1, 1};
    porch_public_key public_key;
    assert_int_equal(porch_key_public(key, &public_key, &why), PORCH_OK);
    memcpy(points[0], public_key.der + public_key.len - PORCH_MANIFEST_POINT_BYTES,
           PORCH_MANIFEST_POINT_BYTES);
    if (porch_manifest_read(porch_verify_library(), &keys, text, m, &why) != PORCH_OK)
        fail_msg("%s", why.text);
}

static void a_release_comes_out_as_it_went_in(void **state) {
    porch_key *keys[2] = {NULL, NULL};
    json_t *target = release_of(json_pack("{s:[{s:i,s:i},{s:i}],s:i}", "stages", "share", 1, "dwell_s", 60,
                                          "share", 10000, "battery", 25));
    uint8_t *text = NULL;
    size_t len = 0;
    porch_manifest m;
    (void)state;
    for (size_t i = 0; i < 2; i++)
        assert_int_equal(porch_key_generate_p256(&keys[i], &why), PORCH_OK);
    if (porch_author_manifest(target, (const porch_key *const *)keys, 2, &text, &len, &why) != PORCH_OK)
        fail_msg("%s", why.text);
    for (size_t i = 0; i < 2; i++) { /* each of the two has signed */
        read((porch_bytes){text, len}, keys[i], &m);
        assert_int_equal(m.serial, 70000);
        assert_int_equal(m.image.counter, 300);
        assert_true(m.image.length == UINT64_C(1) << 40);
        assert_int_equal(m.image.sha256[1], 0x11);
        assert_int_equal(m.policy.stages, 2);
        assert_int_equal(m.policy.stage[1].dwell_s, 0);
        assert_int_equal(m.policy.battery, 25);
        assert_int_equal(porch_manifest_is_for(&m, "camera", "rev-b", 300, &why), PORCH_OK);
    }
    free(text);
    json_decref(target);
    porch_key_free(keys[0]);
    porch_key_free(keys[1]);
}

static void what_a_device_could_not_read_is_not_written(void **state) {
    porch_key *key = NULL;
    uint8_t *text = NULL;
    size_t len = 0;
    (void)state;
    assert_int_equal(porch_key_generate_p256(&key, &why), PORCH_OK);
    json_t *empty = release_of(NULL),
           *backwards = release_of(
               json_pack("{s:[{s:i,s:i},{s:i}]}", "stages", "share", 5000, "dwell_s", 60, "share", 100));
    json_object_set_new(empty, "length", json_integer(0));
    json_t *none = json_pack("{s:i}", "length", 1);
    assert_int_equal(porch_author_manifest(empty, (const porch_key *const *)&key, 1, &text, &len, &why),
                     PORCH_ERR_LIMIT);
    assert_int_equal(porch_author_manifest(backwards, (const porch_key *const *)&key, 1, &text, &len, &why),
                     PORCH_ERR_LIMIT);
    assert_int_equal(porch_author_manifest(none, (const porch_key *const *)&key, 1, &text, &len, &why),
                     PORCH_ERR_MALFORMED);
    json_t *good = release_of(NULL);
    assert_int_equal(porch_author_manifest(good, NULL, 0, &text, &len, &why), PORCH_ERR_UNSUPPORTED);
    assert_null(text);
    json_decref(empty);
    json_decref(backwards);
    json_decref(none);
    json_decref(good);
    porch_key_free(key);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_release_comes_out_as_it_went_in),
        cmocka_unit_test(what_a_device_could_not_read_is_not_written),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
