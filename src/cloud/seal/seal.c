#include "cloud/seal/seal.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "crypto/random.h"
#include "crypto/tpm.h"
#include "os/file.h"

enum { CREDENTIAL_BYTES = 4096, TPM_SECRET_BYTES = 32 };

static const char *const vault_file = "vault";

static const char *const words[PORCH_SEAL_KINDS] = {
    [PORCH_SEAL_FILE] = "file", [PORCH_SEAL_TPM] = "tpm", [PORCH_SEAL_SYSTEMD] = "systemd"};

const char *porch_seal_word(porch_seal_kind kind) {
    return words[kind];
}

porch_err porch_seal_kind_of(const char *word, porch_seal_kind *ret, porch_why *why) {
    for (int i = 0; i < PORCH_SEAL_KINDS; i++)
        if (strcmp(word, words[i]) == 0) {
            *ret = (porch_seal_kind)i;
            return PORCH_OK;
        }
    return porch_fail(
        why, PORCH_ERR_UNSUPPORTED,
        "there is no seal '%.16s': it is tpm, systemd or file (which guards nothing: keep the "
        "directory on an encrypted disk)",
        word);
}

/* ---- what opens a vault ------------------------------------------------------------------------- */

int porch_seal_open_credential(void) {
    const char *folder = getenv("CREDENTIALS_DIRECTORY");
    char path[PATH_MAX];
    if (folder == NULL || porch_path_join(folder, PORCH_SEAL_CREDENTIAL, path, sizeof path) != PORCH_OK)
        return -1;
    return open(path, O_RDONLY | O_CLOEXEC | O_NOFOLLOW);
}

static porch_err read_credential(int fd, uint8_t **ret, size_t *len, porch_why *why) {
    if (fd < 0 || lseek(fd, 0, SEEK_SET) != 0)
        return porch_fail(why, PORCH_ERR_STATE,
                          "systemd gave no credential '" PORCH_SEAL_CREDENTIAL
                          "': start this as its service (LoadCredentialEncrypted=" PORCH_SEAL_CREDENTIAL
                          "; docs/operations.md has the lines)");
    PORCH_TRY(
        porch_file_read_fd(fd, "the credential " PORCH_SEAL_CREDENTIAL, CREDENTIAL_BYTES, ret, len, why));
    if (*len >= PORCH_VAULT_SEAL_SECRET_LEAST) return PORCH_OK;
    porch_wipe(*ret, *len);
    free(*ret);
    return porch_fail(why, PORCH_ERR_STATE,
                      "the credential " PORCH_SEAL_CREDENTIAL " is shorter than %d bytes",
                      PORCH_VAULT_SEAL_SECRET_LEAST);
}

static porch_err open_with_tpm(const porch_vault_parts *parts, const char *tcti, porch_vault *ret,
                               porch_why *why) {
    uint8_t block[PORCH_TPM_SECRET_BYTES];
    porch_buf secret = PORCH_BUF_OF(block);
    porch_why inner = {""};
    porch_err e = porch_tpm_unseal(tcti, parts->blob, &secret, &inner);
    if (e != PORCH_OK)
        (void)porch_fail(why, e,
                         "the keys are sealed by a TPM, which does not give them: %s; on another machine, "
                         "restore a backup with the recovery key",
                         porch_why_text(&inner, e));
    else
        e = porch_vault_open(parts, porch_buf_bytes(&secret), ret, why);
    porch_wipe(block, sizeof block);
    return e;
}

static porch_err open_with_credential(const porch_vault_parts *parts, int fd, porch_vault *ret,
                                      porch_why *why) {
    uint8_t *secret = NULL;
    size_t len = 0;
    PORCH_TRY(read_credential(fd, &secret, &len, why));
    porch_err e = porch_vault_open(parts, (porch_bytes){secret, len}, ret, why);
    porch_wipe(secret, len);
    free(secret);
    return e;
}

/* ---- reading ------------------------------------------------------------------------------------ */

/* The vault's bytes (free them) and parts; NOT_FOUND when there is none. */
static porch_err read_vault(int dir_fd, uint8_t **ret, porch_vault_parts *parts, porch_why *why) {
    size_t len = 0;
    PORCH_TRY(porch_file_read_at(dir_fd, vault_file, PORCH_VAULT_BYTES, ret, &len, why));
    porch_err e = porch_vault_parse((porch_bytes){*ret, len}, parts);
    if (e == PORCH_OK) return e;
    free(*ret);
    return porch_fail(why, e,
                      "DIR/signer/vault cannot be read: it was changed, cut, or made by a later version");
}

static porch_err read_file(int dir_fd, porch_vault_secret_id id, porch_vault *ret, porch_why *why) {
    uint8_t *at = NULL;
    size_t len = 0;
    porch_err e =
        porch_file_read_at(dir_fd, porch_vault_name(id), PORCH_VAULT_SECRET_BYTES, &at, &len, why);
    /* The VAPID key is made at the first start; the first issuing key goes when another has followed it. */
    if (e == PORCH_ERR_NOT_FOUND && (id == PORCH_VAULT_VAPID || id == PORCH_VAULT_ISSUING)) return PORCH_OK;
    if (e != PORCH_OK) return e;
    memcpy(ret->of[id].at, at, len);
    ret->of[id].len = len;
    porch_wipe(at, len);
    free(at);
    return PORCH_OK;
}

static porch_err forget_files(int dir_fd, porch_why *why) {
    for (int i = 0; i < PORCH_VAULT_SECRETS; i++)
        PORCH_TRY(porch_seal_forget(dir_fd, porch_vault_name((porch_vault_secret_id)i), why));
    return PORCH_OK;
}

porch_err porch_seal_look(int dir_fd, porch_seal_kind *ret, uint8_t recovery[PORCH_BOX_PUBLIC_BYTES],
                          porch_why *why) {
    uint8_t *bytes = NULL;
    porch_vault_parts parts;
    porch_why inner = {""};
    if (recovery != NULL) memset(recovery, 0, PORCH_BOX_PUBLIC_BYTES);
    porch_err e = read_vault(dir_fd, &bytes, &parts, &inner);
    if (e == PORCH_OK) {
        *ret = parts.kind == PORCH_VAULT_TPM ? PORCH_SEAL_TPM : PORCH_SEAL_SYSTEMD;
        if (recovery != NULL && parts.recovery_public.len == PORCH_BOX_PUBLIC_BYTES)
            memcpy(recovery, parts.recovery_public.at, PORCH_BOX_PUBLIC_BYTES);
        free(bytes);
        return PORCH_OK;
    }
    if (e != PORCH_ERR_NOT_FOUND) return porch_fail(why, e, "%s", inner.text);
    if (faccessat(dir_fd, porch_vault_name(PORCH_VAULT_SEAL), F_OK, 0) != 0)
        return porch_fail(why, PORCH_ERR_NOT_FOUND, "DIR/signer holds no keys; restore them from a backup");
    *ret = PORCH_SEAL_FILE;
    return PORCH_OK;
}

porch_err porch_seal_read(int dir_fd, const porch_seal_means *means, porch_vault *ret,
                          porch_seal_kind *found, porch_why *why) {
    uint8_t *bytes = NULL;
    porch_vault_parts parts;
    PORCH_TRY(porch_file_forget_rest_at(dir_fd, why));
    PORCH_TRY(porch_seal_look(dir_fd, found, NULL, why));
    memset(ret, 0, sizeof *ret);
    if (*found == PORCH_SEAL_FILE) {
        for (int i = 0; i < PORCH_VAULT_SECRETS; i++)
            PORCH_TRY(read_file(dir_fd, (porch_vault_secret_id)i, ret, why));
        return PORCH_OK;
    }
    PORCH_TRY(read_vault(dir_fd, &bytes, &parts, why));
    porch_err e = *found == PORCH_SEAL_TPM ? open_with_tpm(&parts, means->tpm, ret, why)
                                           : open_with_credential(&parts, means->credential_fd, ret, why);
    free(bytes);
    return e == PORCH_OK ? forget_files(dir_fd, why) : e;
}

porch_err porch_seal_read_by_recovery(int dir_fd, const uint8_t secret[PORCH_BOX_SECRET_BYTES],
                                      porch_vault *ret, porch_why *why) {
    uint8_t *bytes = NULL;
    porch_vault_parts parts;
    PORCH_TRY(read_vault(dir_fd, &bytes, &parts, why));
    porch_err e = porch_vault_open_by_recovery(&parts, secret, ret, why);
    free(bytes);
    return e;
}

/* ---- writing ------------------------------------------------------------------------------------ */

/* Root may do this for a signer that has a user of its own. */
static porch_err write_file(int dir_fd, const char *name, porch_bytes bytes, porch_why *why) {
    return porch_file_write_owned_at(dir_fd, name, bytes, 0600, why);
}

porch_err porch_seal_forget(int dir_fd, const char *name, porch_why *why) {
    return porch_file_forget_at(dir_fd, name, why);
}

static porch_err write_files(int dir_fd, const porch_vault *vault, porch_why *why) {
    for (int i = 0; i < PORCH_VAULT_SECRETS; i++) {
        const porch_vault_secret *s = &vault->of[i];
        if (s->len > 0)
            PORCH_TRY(write_file(dir_fd, porch_vault_name((porch_vault_secret_id)i),
                                 (porch_bytes){s->at, s->len}, why));
    }
    return porch_seal_forget(dir_fd, vault_file, why);
}

static porch_err store_vault(int dir_fd, porch_vault_kind kind, porch_bytes blob, porch_bytes secret,
                             const uint8_t *recovery, const porch_vault *vault, porch_why *why) {
    porch_buf out = {malloc(PORCH_VAULT_BYTES), 0, PORCH_VAULT_BYTES};
    if (out.at == NULL) return porch_fail(why, PORCH_ERR_BUSY, "out of memory");
    porch_err e = porch_vault_write(vault, kind, blob, secret, recovery, &out, why);
    if (e == PORCH_OK) e = write_file(dir_fd, vault_file, porch_buf_bytes(&out), why);
    free(out.at);
    return e;
}

static porch_err seal_with_tpm(int dir_fd, const char *tcti, const uint8_t *recovery,
                               const porch_vault *vault, porch_why *why) {
    uint8_t secret[TPM_SECRET_BYTES], block[PORCH_TPM_BLOB_BYTES];
    porch_buf blob = PORCH_BUF_OF(block);
    porch_random(secret, sizeof secret);
    porch_err e = porch_tpm_seal(tcti, (porch_bytes){secret, sizeof secret}, &blob, why);
    if (e == PORCH_OK)
        e = store_vault(dir_fd, PORCH_VAULT_TPM, porch_buf_bytes(&blob),
                        (porch_bytes){secret, sizeof secret}, recovery, vault, why);
    porch_wipe(secret, sizeof secret);
    return e;
}

static porch_err seal_with_credential(int dir_fd, int fd, const uint8_t *recovery, const porch_vault *vault,
                                      porch_why *why) {
    uint8_t *secret = NULL;
    size_t len = 0;
    PORCH_TRY(read_credential(fd, &secret, &len, why));
    porch_err e = store_vault(dir_fd, PORCH_VAULT_SYSTEMD, (porch_bytes){NULL, 0},
                              (porch_bytes){secret, len}, recovery, vault, why);
    porch_wipe(secret, len);
    free(secret);
    return e;
}

porch_err porch_seal_check(porch_seal_kind kind, const porch_seal_means *means, porch_why *why) {
    uint8_t block[PORCH_TPM_BLOB_BYTES], *secret = NULL;
    porch_buf blob = PORCH_BUF_OF(block);
    size_t len = 0;
    if (kind == PORCH_SEAL_TPM) return porch_tpm_seal(means->tpm, PORCH_LIT("a trial"), &blob, why);
    if (kind == PORCH_SEAL_FILE) return PORCH_OK;
    PORCH_TRY(read_credential(means->credential_fd, &secret, &len, why));
    porch_wipe(secret, len);
    free(secret);
    return PORCH_OK;
}

porch_err porch_seal_write(int dir_fd, porch_seal_kind kind, const porch_seal_means *means,
                           const uint8_t *recovery, const porch_vault *vault, porch_why *why) {
    if (kind == PORCH_SEAL_FILE) return write_files(dir_fd, vault, why);
    if (recovery == NULL)
        return porch_fail(why, PORCH_ERR_STATE,
                          "a sealed hub needs a recovery key: without it the keys die with this machine");
    porch_err e = kind == PORCH_SEAL_TPM
                      ? seal_with_tpm(dir_fd, means->tpm, recovery, vault, why)
                      : seal_with_credential(dir_fd, means->credential_fd, recovery, vault, why);
    return e == PORCH_OK ? forget_files(dir_fd, why) : e;
}
