/* The three seals in a folder, against swtpm and a credential of this test's. */
#include "cloud/seal/seal.h"

#include <fcntl.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include <cmocka.h>

#include "crypto/tpm_testing.h"
#include "os/file.h"

static testing_tpm own, other;
static char folder[64];
static int dir_fd;
static uint8_t recovery_secret[PORCH_BOX_SECRET_BYTES], recovery_public[PORCH_BOX_PUBLIC_BYTES];
static porch_vault sample;
static porch_seal_means means;

static int start(void **state) {
    (void)state;
    return tpm_start(&own) && tpm_start(&other) ? 0 : -1;
}

static int stop(void **state) {
    (void)state;
    tpm_stop(&own);
    tpm_stop(&other);
    return 0;
}

static void put(const char *name, porch_bytes bytes) {
    assert_int_equal(porch_file_write_atomic_at(dir_fd, name, bytes, 0600, NULL), PORCH_OK);
}

static bool there(const char *name) {
    return faccessat(dir_fd, name, F_OK, 0) == 0;
}

static int arrive(void **state) {
    (void)state;
    (void)snprintf(folder, sizeof folder, "/tmp/porch-seal-XXXXXX");
    if (!mkdtemp(folder)) return -1;
    dir_fd = open(folder, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    for (size_t i = 0; i < PORCH_VAULT_SECRETS; i++) {
        sample.of[i].len = 40 + i;
        memset(sample.of[i].at, (int)('A' + i), sample.of[i].len);
    }
    put("credential", PORCH_LIT("forty bytes that systemd has decrypted.."));
    means = (porch_seal_means){own.tcti, openat(dir_fd, "credential", O_RDONLY | O_CLOEXEC)};
    return porch_box_generate(recovery_secret, recovery_public, NULL) == PORCH_OK ? 0 : -1;
}

static int leave(void **state) {
    (void)state;
    static const char *const names[] = {"vault",    "issuing.key", "web-ca.key",
                                        "seal.key", "vapid.key",   "credential"};
    for (size_t i = 0; i < sizeof names / sizeof *names; i++)
        (void)unlinkat(dir_fd, names[i], 0);
    close(means.credential_fd);
    close(dir_fd);
    return rmdir(folder);
}

static void seal(porch_seal_kind kind) {
    porch_why why = {""};
    if (porch_seal_write(dir_fd, kind, &means, recovery_public, &sample, &why) != PORCH_OK)
        fail_msg("%s: %s", porch_seal_word(kind), why.text);
}

static void expect_read(porch_seal_kind kind) {
    porch_vault got;
    porch_seal_kind found;
    porch_why why = {""};
    if (porch_seal_read(dir_fd, &means, &got, &found, &why) != PORCH_OK)
        fail_msg("%s: %s", porch_seal_word(kind), why.text);
    assert_int_equal(found, kind);
    assert_memory_equal(&got, &sample, sizeof got);
}

static void each_seal_gives_back_what_it_took_and_changes_into_every_other(void **state) {
    (void)state;
    static const porch_seal_kind walk[] = {PORCH_SEAL_FILE,    PORCH_SEAL_TPM,  PORCH_SEAL_SYSTEMD,
                                           PORCH_SEAL_TPM,     PORCH_SEAL_FILE, PORCH_SEAL_SYSTEMD,
                                           PORCH_SEAL_SYSTEMD, PORCH_SEAL_FILE};
    for (size_t i = 0; i < sizeof walk / sizeof *walk; i++) {
        seal(walk[i]);
        expect_read(walk[i]);
        assert_int_equal(there("vault"), walk[i] != PORCH_SEAL_FILE);
        assert_int_equal(there("issuing.key"), walk[i] == PORCH_SEAL_FILE);
        assert_int_equal(there("vapid.key"), walk[i] == PORCH_SEAL_FILE);
    }
}

static void another_tpm_or_another_credential_opens_nothing(void **state) {
    (void)state;
    porch_vault got;
    porch_seal_kind found;
    porch_why why = {""};
    seal(PORCH_SEAL_TPM);
    porch_seal_means thief = {other.tcti, means.credential_fd};
    assert_int_equal(porch_seal_read(dir_fd, &thief, &got, &found, &why), PORCH_ERR_AUTH);
    assert_non_null(strstr(why.text, "not the TPM that sealed it"));
    thief.tpm = "swtpm:path=/nonexistent";
    assert_int_equal(porch_seal_read(dir_fd, &thief, &got, &found, &why), PORCH_ERR_IO);
    assert_non_null(strstr(why.text, "no TPM at"));
    seal(PORCH_SEAL_SYSTEMD);
    thief.credential_fd = -1;
    assert_int_equal(porch_seal_read(dir_fd, &thief, &got, &found, &why), PORCH_ERR_STATE);
    assert_non_null(strstr(why.text, "LoadCredentialEncrypted"));
    put("credential", PORCH_LIT("another forty bytes of another machine.."));
    thief.credential_fd = openat(dir_fd, "credential", O_RDONLY | O_CLOEXEC);
    assert_int_equal(porch_seal_read(dir_fd, &thief, &got, &found, &why), PORCH_ERR_AUTH);
    close(thief.credential_fd);
    put("credential", PORCH_LIT("too short"));
    thief.credential_fd = openat(dir_fd, "credential", O_RDONLY | O_CLOEXEC);
    assert_int_equal(porch_seal_read(dir_fd, &thief, &got, &found, &why), PORCH_ERR_STATE);
    close(thief.credential_fd);
}

static void the_recovery_key_opens_either_vault_anywhere(void **state) {
    (void)state;
    porch_vault got;
    uint8_t of[PORCH_BOX_PUBLIC_BYTES];
    porch_seal_kind kind;
    for (int i = PORCH_SEAL_TPM; i <= PORCH_SEAL_SYSTEMD; i++) {
        seal((porch_seal_kind)i);
        memset(&got, 0, sizeof got);
        assert_int_equal(porch_seal_read_by_recovery(dir_fd, recovery_secret, &got, NULL), PORCH_OK);
        assert_memory_equal(&got, &sample, sizeof got);
        assert_int_equal(porch_seal_look(dir_fd, &kind, of, NULL), PORCH_OK);
        assert_int_equal(kind, i);
        assert_memory_equal(of, recovery_public, sizeof of);
    }
    porch_why why = {""};
    assert_int_equal(porch_seal_write(dir_fd, PORCH_SEAL_TPM, &means, NULL, &sample, &why),
                     PORCH_ERR_STATE);
    assert_non_null(strstr(why.text, "recovery key"));
}

static void keys_left_by_an_interrupted_change_do_not_count_and_go(void **state) {
    (void)state;
    seal(PORCH_SEAL_TPM);
    put("issuing.key", PORCH_LIT("left behind"));
    put("seal.key", PORCH_LIT("left behind"));
    expect_read(PORCH_SEAL_TPM);
    assert_false(there("issuing.key"));
    assert_false(there("seal.key"));
}

static void a_seal_that_fails_leaves_the_keys_as_they_lay(void **state) {
    (void)state;
    porch_seal_means none = {"swtpm:path=/nonexistent", -1};
    seal(PORCH_SEAL_FILE);
    assert_int_equal(porch_seal_write(dir_fd, PORCH_SEAL_TPM, &none, recovery_public, &sample, NULL),
                     PORCH_ERR_IO);
    assert_int_equal(porch_seal_write(dir_fd, PORCH_SEAL_SYSTEMD, &none, recovery_public, &sample, NULL),
                     PORCH_ERR_STATE);
    expect_read(PORCH_SEAL_FILE);
    seal(PORCH_SEAL_TPM);
    assert_int_equal(porch_seal_write(dir_fd, PORCH_SEAL_SYSTEMD, &none, recovery_public, &sample, NULL),
                     PORCH_ERR_STATE);
    expect_read(PORCH_SEAL_TPM);
}

static void a_folder_without_keys_or_with_a_broken_vault_is_told_so(void **state) {
    (void)state;
    porch_vault got;
    porch_seal_kind kind;
    assert_int_equal(porch_seal_read(dir_fd, &means, &got, &kind, NULL), PORCH_ERR_NOT_FOUND);
    put("vault", PORCH_LIT("nonsense"));
    assert_int_equal(porch_seal_read(dir_fd, &means, &got, &kind, NULL), PORCH_ERR_MALFORMED);
    assert_int_equal(porch_seal_kind_of("pkcs11", &kind, NULL), PORCH_ERR_UNSUPPORTED);
    assert_int_equal(porch_seal_kind_of("tpm", &kind, NULL), PORCH_OK);
    assert_int_equal(kind, PORCH_SEAL_TPM);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(each_seal_gives_back_what_it_took_and_changes_into_every_other,
                                        arrive, leave),
        cmocka_unit_test_setup_teardown(another_tpm_or_another_credential_opens_nothing, arrive, leave),
        cmocka_unit_test_setup_teardown(the_recovery_key_opens_either_vault_anywhere, arrive, leave),
        cmocka_unit_test_setup_teardown(keys_left_by_an_interrupted_change_do_not_count_and_go, arrive,
                                        leave),
        cmocka_unit_test_setup_teardown(a_seal_that_fails_leaves_the_keys_as_they_lay, arrive, leave),
        cmocka_unit_test_setup_teardown(a_folder_without_keys_or_with_a_broken_vault_is_told_so, arrive,
                                        leave),
    };
    return cmocka_run_group_tests(tests, start, stop);
}
