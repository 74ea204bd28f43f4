#include "crypto/key_uri.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <string.h>

#include <cmocka.h>

static porch_err parse(const char *text, porch_key_uri *ret) {
    return porch_key_uri_parse(porch_bytes_of(text), ret, NULL);
}

static void the_three_places_are_told_apart(void **state) {
    (void)state;
    porch_key_uri uri;
    assert_int_equal(parse("file:key.pem", &uri), PORCH_OK);
    assert_int_equal(uri.place, PORCH_KEY_IN_FILE);
    assert_string_equal(uri.path, "key.pem");
    assert_int_equal(parse("tpm2:0x81000010", &uri), PORCH_OK);
    assert_int_equal(uri.place, PORCH_KEY_IN_TPM);
    assert_int_equal(uri.handle, 0x81000010);
    assert_int_equal(parse("tpm2:0x81ABCDef", &uri), PORCH_OK);
    assert_int_equal(uri.handle, 0x81abcdef);
    assert_int_equal(parse("pkcs11:token=a;object=b", &uri), PORCH_OK);
    assert_int_equal(uri.place, PORCH_KEY_IN_PKCS11);
    assert_string_equal(uri.text, "pkcs11:token=a;object=b");
}

static void anything_else_is_refused_with_a_sentence_that_names_them(void **state) {
    (void)state;
    static const char *const bad[] = {
        "",           "key.pem",         "file:",           "tpm2:",
        "tpm2:0x81",  "tpm2:81000010",   "tpm2:0x8100001g", "tpm2:0x810000100",
        "pkcs11:",    "tpm2:0x40000001", "TPM2:0x81000010", "tpm2:0x01800000",
        "https://key"};
    porch_key_uri uri;
    porch_why why = {""};
    char text[PORCH_KEY_URI_BYTES + 8] = "file:";
    for (size_t i = 0; i < sizeof bad / sizeof *bad; i++)
        if (parse(bad[i], &uri) != PORCH_ERR_MALFORMED) fail_msg("'%s' was taken", bad[i]);
    memset(text + 5, 'a', sizeof text - 6);
    assert_int_equal(porch_key_uri_parse(porch_bytes_of(text), &uri, &why), PORCH_ERR_MALFORMED);
    text[5 + PORCH_KEY_PATH_BYTES] = '\0';
    assert_int_equal(porch_key_uri_parse(porch_bytes_of(text), &uri, &why), PORCH_ERR_MALFORMED);
    assert_non_null(strstr(why.text, "tpm2:0x81000010"));
}

static void a_file_is_for_its_reader_not_for_a_store(void **state) {
    (void)state;
    porch_key_uri uri;
    porch_key *key = NULL;
    assert_int_equal(parse("file:key.pem", &uri), PORCH_OK);
    assert_int_equal(porch_key_uri_open(&uri, "", &key, NULL), PORCH_ERR_UNSUPPORTED);
    assert_int_equal(porch_key_uri_make(&uri, "", &key, NULL), PORCH_ERR_UNSUPPORTED);
    assert_int_equal(parse("tpm2:0x81000010", &uri), PORCH_OK);
    assert_int_equal(porch_key_uri_open(&uri, "swtpm:path=/nonexistent", &key, NULL), PORCH_ERR_IO);
    assert_int_equal(porch_key_uri_make(&uri, "swtpm:path=/nonexistent", &key, NULL), PORCH_ERR_IO);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(the_three_places_are_told_apart),
        cmocka_unit_test(anything_else_is_refused_with_a_sentence_that_names_them),
        cmocka_unit_test(a_file_is_for_its_reader_not_for_a_store),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
