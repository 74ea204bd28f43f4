/* Against SoftHSM (Debian's softhsm2) in a folder of this test's own. */
#include "crypto/pkcs11.h"

#include <fcntl.h>
#include <ftw.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cmocka.h>

#include <p11-kit/p11-kit.h>

#define MODULE "/usr/lib/softhsm/libsofthsm2.so"

static char folder[64], uri[512], other_uri[512], pin_path[96];

static void write_text(const char *path, const char *text) {
    int fd = open(path, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0600);
    assert_true(fd >= 0);
    assert_int_equal(write(fd, text, strlen(text)), strlen(text));
    close(fd);
}

/* The next free slot becomes a token of that name. */
static void make_token(CK_FUNCTION_LIST *m, const char *name) {
    CK_UTF8CHAR label[32];
    CK_SLOT_ID slots[16];
    CK_ULONG count = 16;
    CK_SESSION_HANDLE session;
    memset(label, ' ', sizeof label);
    memcpy(label, name, strlen(name));
    assert_int_equal(m->C_GetSlotList(CK_TRUE, NULL, &count),
                     CKR_OK); /* SoftHSM adds an empty slot at this */
    count = 16;
    assert_int_equal(m->C_GetSlotList(CK_TRUE, slots, &count), CKR_OK);
    CK_SLOT_ID slot = slots[count - 1]; /* SoftHSM keeps an empty one at the end */
    assert_int_equal(m->C_InitToken(slot, (CK_UTF8CHAR_PTR) "87654321", 8, label), CKR_OK);
    assert_int_equal(m->C_OpenSession(slot, CKF_SERIAL_SESSION | CKF_RW_SESSION, NULL, NULL, &session),
                     CKR_OK);
    assert_int_equal(m->C_Login(session, CKU_SO, (CK_UTF8CHAR_PTR) "87654321", 8), CKR_OK);
    assert_int_equal(m->C_InitPIN(session, (CK_UTF8CHAR_PTR) "1234", 4), CKR_OK);
    assert_int_equal(m->C_CloseSession(session), CKR_OK);
}

static int start(void **state) {
    (void)state;
    char path[128], text[256];
    (void)snprintf(folder, sizeof folder, "/tmp/porch-hsm-XXXXXX");
    if (!mkdtemp(folder)) return -1;
    (void)snprintf(path, sizeof path, "%s/tokens", folder);
    if (mkdir(path, 0700) != 0) return -1;
    (void)snprintf(text, sizeof text,
                   "directories.tokendir = %s\nobjectstore.backend = file\nlog.level = ERROR\n", path);
    (void)snprintf(path, sizeof path, "%s/softhsm2.conf", folder);
    write_text(path, text);
    if (setenv("SOFTHSM2_CONF", path, 1) != 0) return -1;
    (void)snprintf(pin_path, sizeof pin_path, "%s/pin", folder);
    write_text(pin_path, "1234\n");
    CK_FUNCTION_LIST *m = p11_kit_module_load(MODULE, 0);
    if (m == NULL || p11_kit_module_initialize(m) != CKR_OK) return -1;
    make_token(m, "one");
    make_token(m, "two");
    (void)p11_kit_module_finalize(m);
    p11_kit_module_release(m);
    (void)snprintf(uri, sizeof uri, "pkcs11:token=one;object=door?module-path=" MODULE "&pin-source=%s",
                   pin_path);
    (void)snprintf(other_uri, sizeof other_uri,
                   "pkcs11:token=two;object=door?module-path=" MODULE "&pin-source=%s", pin_path);
    return 0;
}

static int remove_entry(const char *path, const struct stat *st, int kind, struct FTW *ftw) {
    (void)st;
    (void)kind;
    (void)ftw;
    return remove(path);
}

static int stop(void **state) {
    (void)state;
    return nftw(folder, remove_entry, 8, FTW_DEPTH | FTW_PHYS);
}

static porch_key *make(const char *text) {
    porch_key *key = NULL;
    porch_why why = {""};
    if (porch_pkcs11_key_make(text, &key, &why) != PORCH_OK) fail_msg("%s", why.text);
    return key;
}

static void discard(porch_key *key, const char *text) {
    porch_key_free(key);
    assert_int_equal(porch_pkcs11_key_remove(text, NULL), PORCH_OK);
}

static void a_key_of_the_token_signs_and_is_found_again(void **state) {
    (void)state;
    porch_key *key = make(uri), *again = NULL;
    porch_public_key own;
    uint8_t block[PORCH_SIGNATURE_MAX_BYTES];
    porch_buf signature = PORCH_BUF_OF(block);
    porch_why why = {""};
    assert_int_equal(porch_pkcs11_key_make(uri, &again, &why), PORCH_ERR_EXISTS);
    if (porch_pkcs11_key_open(uri, &again, &why) != PORCH_OK) fail_msg("%s", why.text);
    assert_int_equal(porch_key_public(key, &own, NULL), PORCH_OK);
    if (porch_key_sign(again, PORCH_SIGN_ECDSA_SHA256, PORCH_LIT("words"), &signature, &why) != PORCH_OK)
        fail_msg("%s", why.text);
    assert_int_equal(
        porch_key_verify(&own, PORCH_SIGN_ECDSA_SHA256, PORCH_LIT("words"), porch_buf_bytes(&signature)),
        PORCH_OK);
    porch_key_evidence evidence;
    assert_int_equal(porch_key_attest(key, PORCH_LIT("x"), &evidence, NULL), PORCH_ERR_UNSUPPORTED);
    porch_key_free(again);
    discard(key, uri);
    assert_int_equal(porch_pkcs11_key_open(uri, &key, &why), PORCH_ERR_NOT_FOUND);
}

static void a_secret_opens_with_the_token_that_sealed_it_alone(void **state) {
    (void)state;
    porch_key *key = make(uri), *other = make(other_uri);
    uint8_t block[PORCH_KEY_SEALED_BYTES], got_block[PORCH_KEY_SECRET_BYTES];
    porch_buf sealed = PORCH_BUF_OF(block), got = PORCH_BUF_OF(got_block);
    porch_why why = {""};
    if (porch_key_seal(key, PORCH_LIT("the wireless password"), &sealed, &why) != PORCH_OK)
        fail_msg("%s", why.text);
    assert_null(memmem(block, sealed.len, "wireless", 8));
    if (porch_key_unseal(key, porch_buf_bytes(&sealed), &got, &why) != PORCH_OK) fail_msg("%s", why.text);
    assert_true(porch_bytes_eq_text(porch_buf_bytes(&got), "the wireless password"));
    got.len = 0;
    assert_int_equal(porch_key_unseal(other, porch_buf_bytes(&sealed), &got, NULL), PORCH_ERR_AUTH);
    block[sealed.len - 1] ^= 1;
    assert_int_equal(porch_key_unseal(key, porch_buf_bytes(&sealed), &got, NULL), PORCH_ERR_AUTH);
    assert_int_equal(porch_key_unseal(key, (porch_bytes){block, 20}, &got, NULL), PORCH_ERR_MALFORMED);
    assert_int_equal(got.len, 0);
    discard(key, uri);
    discard(other, other_uri);
}

static void what_does_not_name_a_key_is_told_so(void **state) {
    (void)state;
    char text[600];
    porch_key *key = NULL;
    porch_why why = {""};
    assert_int_equal(porch_pkcs11_key_open("pkcs11:token=one", &key, &why), PORCH_ERR_MALFORMED);
    assert_non_null(strstr(why.text, "object=NAME"));
    assert_int_equal(porch_pkcs11_key_open("pkcs11:token=one;object=x?pin-value=1234", &key, &why),
                     PORCH_ERR_MALFORMED);
    assert_non_null(strstr(why.text, "pin-source"));
    assert_int_equal(porch_pkcs11_key_open("tpm2:0x81000010", &key, &why), PORCH_ERR_MALFORMED);
    assert_int_equal(
        porch_pkcs11_key_open("pkcs11:token=one;object=x?module-path=/nonexistent.so", &key, &why),
        PORCH_ERR_NOT_FOUND);
    (void)snprintf(text, sizeof text, "pkcs11:token=three;object=x?module-path=" MODULE "&pin-source=%s",
                   pin_path);
    assert_int_equal(porch_pkcs11_key_open(text, &key, &why), PORCH_ERR_NOT_FOUND);
    memset(text, 'a', sizeof text - 1);
    text[sizeof text - 1] = '\0';
    assert_int_equal(porch_pkcs11_key_open(text, &key, &why), PORCH_ERR_LIMIT);
}

static void a_wrong_pin_or_a_pin_file_that_others_read_is_refused(void **state) {
    (void)state;
    char text[512], path[96];
    porch_key *key = make(uri), *again = NULL;
    porch_why why = {""};
    porch_key_free(key); /* nobody is logged in now */
    (void)snprintf(path, sizeof path, "%s/wrong", folder);
    write_text(path, "9999");
    (void)snprintf(text, sizeof text,
                   "pkcs11:token=one;object=door?module-path=" MODULE "&pin-source=file:%s", path);
    assert_int_equal(porch_pkcs11_key_open(text, &again, &why), PORCH_ERR_AUTH);
    assert_non_null(strstr(why.text, "PIN"));
    assert_int_equal(chmod(path, 0644), 0);
    assert_int_equal(porch_pkcs11_key_open(text, &again, &why), PORCH_ERR_MODE);
    assert_int_equal(
        porch_pkcs11_key_open("pkcs11:token=one;object=door?module-path=" MODULE, &again, &why),
        PORCH_ERR_NOT_FOUND);
    assert_int_equal(porch_pkcs11_key_remove(uri, NULL), PORCH_OK);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_key_of_the_token_signs_and_is_found_again),
        cmocka_unit_test(a_secret_opens_with_the_token_that_sealed_it_alone),
        cmocka_unit_test(what_does_not_name_a_key_is_told_so),
        cmocka_unit_test(a_wrong_pin_or_a_pin_file_that_others_read_is_refused),
    };
    return cmocka_run_group_tests(tests, start, stop);
}
