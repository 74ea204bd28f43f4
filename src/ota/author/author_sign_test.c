#include "ota/author/author_sign.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "ota/client/tuf_json.h"
#include "ota/client/tuf_role.h"

static porch_why why;

/* As the client reads it. */
static porch_bytes canonical(const char *text, size_t len, size_t which) {
    static uint8_t blocks[2][4096];
    static uint32_t members[64];
    porch_buf out = {blocks[which], 0, sizeof blocks[which]};
    assert_int_equal(porch_tuf_json_canonical((porch_bytes){(const uint8_t *)text, len},
                                              (porch_tuf_json_scratch){members, 64}, &out, &why),
                     PORCH_OK);
    return porch_buf_bytes(&out);
}

static void what_is_signed_here_the_client_core_accepts(void **state) {
    (void)state;
    porch_key *keys[2] = {NULL, NULL};
    json_t *known = json_object(), *ids = json_array();
    for (size_t i = 0; i < 2; i++) {
        char id[PORCH_AUTHOR_KEYID_TEXT];
        json_t *key = NULL;
        assert_int_equal(porch_key_generate_p256(&keys[i], &why), PORCH_OK);
        assert_int_equal(porch_author_key(keys[i], &key, id, &why), PORCH_OK);
        assert_int_equal(strlen(id), 64);
        json_object_set_new(known, id, key);
        json_array_append_new(ids, json_string(id));
    }
    json_t *content = json_pack("{s:s,s:i,s:s}", "b", "caf\u00e9 \"x\"", "a", 1, "c", "x\ny");
    char *text = NULL;
    size_t len = 0;
    assert_int_equal(porch_author_sign(content, (const porch_key *const *)keys, 2, &text, &len, &why),
                     PORCH_OK);
    char *known_text = json_dumps(known, JSON_COMPACT);
    char *ids_text = json_dumps(ids, JSON_COMPACT);
    porch_tuf_trust trust = {canonical(known_text, strlen(known_text), 0), porch_bytes_of(ids_text), 2};
    porch_bytes document = canonical(text, len, 1);
    assert_int_equal(porch_tuf_signatures_check(porch_verify_library(), document, &trust, &why), PORCH_OK);
    strstr(text, "caf")[0] = 'C';
    document = canonical(text, len, 1);
    assert_int_equal(porch_tuf_signatures_check(porch_verify_library(), document, &trust, &why),
                     PORCH_ERR_SIGNATURE);
    free(text);
    free(known_text);
    free(ids_text);
    json_decref(content);
    json_decref(known);
    json_decref(ids);
    porch_key_free(keys[0]);
    porch_key_free(keys[1]);
}

static void content_without_a_canonical_form_is_not_signed(void **state) {
    (void)state;
    porch_key *key = NULL;
    char *text = NULL;
    size_t len = 0;
    json_t *content = json_pack("{s:f}", "a", 1.5);
    assert_int_equal(porch_key_generate_p256(&key, &why), PORCH_OK);
    assert_int_equal(porch_author_sign(content, (const porch_key *const *)&key, 1, &text, &len, &why),
                     PORCH_ERR_MALFORMED);
    json_decref(content);
    porch_key_free(key);
}

static void signatures_come_one_after_another_and_only_those_that_fit_count(void **state) {
    (void)state;
    porch_key *keys[2] = {NULL, NULL};
    json_t *known = json_object(), *trust = json_pack("{s:[],s:i}", "keyids", "threshold", 2);
    size_t have = 9;
    bool enough = true;
    for (size_t i = 0; i < 2; i++) {
        char id[PORCH_AUTHOR_KEYID_TEXT];
        json_t *key = NULL;
        assert_int_equal(porch_key_generate_p256(&keys[i], &why), PORCH_OK);
        assert_int_equal(porch_author_key(keys[i], &key, id, &why), PORCH_OK);
        json_object_set_new(known, id, key);
        json_array_append_new(json_object_get(trust, "keyids"), json_string(id));
    }
    json_t *document = json_pack("{s:[],s:{s:i}}", "signatures", "signed", "version", 1);
    assert_int_equal(porch_author_count(document, known, trust, &have, &enough, &why), PORCH_OK);
    assert_true(have == 0 && !enough);
    for (size_t i = 0; i < 2; i++) { /* the same key twice is one signature */
        assert_int_equal(porch_author_sign_more(document, (const porch_key *const *)keys, 1, &why),
                         PORCH_OK);
        assert_int_equal(porch_author_count(document, known, trust, &have, &enough, &why), PORCH_OK);
        assert_true(have == 1 && !enough);
    }
    assert_int_equal(json_array_size(json_object_get(document, "signatures")), 1);
    assert_int_equal(porch_author_sign_more(document, (const porch_key *const *)keys, 2, &why), PORCH_OK);
    assert_int_equal(porch_author_count(document, known, trust, &have, &enough, &why), PORCH_OK);
    assert_true(have == 2 && enough);
    json_object_set_new(json_object_get(document, "signed"), "version", json_integer(2));
    assert_int_equal(porch_author_count(document, known, trust, &have, &enough, &why), PORCH_OK);
    assert_true(have == 0 && !enough);
    json_decref(document);
    json_decref(known);
    json_decref(trust);
    porch_key_free(keys[0]);
    porch_key_free(keys[1]);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(what_is_signed_here_the_client_core_accepts),
        cmocka_unit_test(signatures_come_one_after_another_and_only_those_that_fit_count),
        cmocka_unit_test(content_without_a_canonical_form_is_not_signed),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
