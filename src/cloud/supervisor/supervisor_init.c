#include "cloud/supervisor/supervisor_init.h"

#include <errno.h>
#include <fcntl.h>
#include <grp.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/cursor.h"
#include "base/text.h"
#include "cloud/seal/seal.h"
#include "cloud/settings/folders.h"
#include "cloud/supervisor/supervisor_tree.h"
#include "crypto/keystore.h"
#include "crypto/random.h"
#include "crypto/x509.h"
#include "os/file.h"

enum {
    ROOT_YEARS = 20,
    ISSUING_YEARS = 10,
    WEB_YEARS = 10,
    SEAL_KEY_BYTES = 32,
    BACKDATE_MS = 3600000,
    CA_NAME_BYTES = 96,
};

/* One authority: its key and certificate in PEM. */
typedef struct {
    porch_key *key;
    uint8_t cert_block[PORCH_X509_PEM_BYTES];
    porch_buf cert;
} authority;

typedef struct {
    authority root, issuing, web;
    char id[65];
    porch_ca_names names;
    char name_texts[PORCH_CA_MAX_NAMES][256];
    porch_seal_kind seal;
    porch_seal_means means;
    const uint8_t *recovery; /* NULL: none yet */
} maker;

static void authority_free(authority *a) {
    porch_key_free(a->key);
    a->key = NULL;
}

static porch_err write_at(const char *dir, const char *name, porch_bytes bytes, mode_t mode,
                          porch_why *why) {
    char path[PORCH_TREE_PATH_BYTES];
    porch_err e = porch_path_join(dir, name, path, sizeof path);
    if (e != PORCH_OK) return porch_fail(why, e, "the path of the hub's directory is too long");
    return porch_file_write_owned(path, bytes, mode, why);
}

static porch_err make_web(maker *m, uint64_t now_ms, porch_why *why) {
    char name[CA_NAME_BYTES];
    (void)snprintf(name, sizeof name, "Porchlight web %s", m->id);
    return porch_ca_make_web(name, m->web.key, &m->names, now_ms - BACKDATE_MS, WEB_YEARS, &m->web.cert,
                             why);
}

static porch_err write_key(const char *dir, const char *name, const porch_key *key, porch_why *why) {
    uint8_t block[PORCH_KEY_PEM_BYTES];
    porch_buf pem = PORCH_BUF_OF(block);
    porch_err e = porch_key_pem(key, &pem, why);
    if (e == PORCH_OK) e = write_at(dir, name, porch_buf_bytes(&pem), 0600, why);
    porch_wipe(block, sizeof block);
    return e;
}

static porch_err put_key(porch_vault_secret *into, const porch_key *key, porch_why *why) {
    porch_buf pem = PORCH_BUF_OF(into->at);
    porch_err e = porch_key_pem(key, &pem, why);
    into->len = pem.len;
    return e;
}

static porch_err fill_vault(const maker *m, porch_vault *vault, porch_why *why) {
    porch_key *vapid = NULL;
    vault->of[PORCH_VAULT_SEAL].len = SEAL_KEY_BYTES;
    porch_random(vault->of[PORCH_VAULT_SEAL].at, SEAL_KEY_BYTES);
    PORCH_TRY(put_key(&vault->of[PORCH_VAULT_ISSUING], m->issuing.key, why));
    PORCH_TRY(put_key(&vault->of[PORCH_VAULT_WEB_CA], m->web.key, why));
    PORCH_TRY(porch_key_generate_p256(&vapid, why));
    porch_err e = put_key(&vault->of[PORCH_VAULT_VAPID], vapid, why);
    porch_key_free(vapid);
    return e;
}

static porch_err write_secrets(const maker *m, const char *dir, porch_why *why) {
    char path[PORCH_TREE_PATH_BYTES];
    porch_vault vault = {0};
    PORCH_TRY(porch_path_join(dir, "signer", path, sizeof path));
    int dir_fd = open(path, O_RDONLY | O_DIRECTORY | O_CLOEXEC | O_NOFOLLOW);
    if (dir_fd < 0) return porch_fail(why, PORCH_ERR_IO, "%s: open failed: %s", path, strerror(errno));
    porch_err e = fill_vault(m, &vault, why);
    if (e == PORCH_OK) e = porch_seal_write(dir_fd, m->seal, &m->means, m->recovery, &vault, why);
    porch_wipe(&vault, sizeof vault);
    close(dir_fd);
    return e;
}

/* As `backup` reads it: what backups are encrypted to. */
static porch_err write_recovery(const maker *m, const char *dir, porch_why *why) {
    uint8_t block[2 * PORCH_BOX_PUBLIC_BYTES + 1];
    porch_buf text = PORCH_BUF_OF(block);
    if (m->recovery == NULL) return PORCH_OK;
    PORCH_TRY(porch_hex_write(&text, (porch_bytes){m->recovery, PORCH_BOX_PUBLIC_BYTES}));
    PORCH_TRY(porch_write_text(&text, "\n"));
    return write_at(dir, "recovery.pub", porch_buf_bytes(&text), 0600, why);
}

/* hub.name, word by word. */
static porch_err split_names(maker *m, const porch_settings *s, porch_why *why) {
    const char *at = s->hub_name;
    while (*at) {
        size_t n = strcspn(at, " ");
        if (n > 0) {
            if (m->names.count == PORCH_CA_MAX_NAMES)
                return porch_fail(why, PORCH_ERR_LIMIT, "a hub has at most %d names", PORCH_CA_MAX_NAMES);
            char *text = m->name_texts[m->names.count];
            if (!porch_bytes_to_text((porch_bytes){(const uint8_t *)at, n}, text, sizeof m->name_texts[0]))
                return porch_fail(why, PORCH_ERR_LIMIT, "a name of the hub is longer than 255 letters");
            m->names.name[m->names.count++] = text;
        }
        at += n + (at[n] == ' ');
    }
    return m->names.count ? PORCH_OK : porch_fail(why, PORCH_ERR_USAGE, "a hub needs at least one name");
}

static porch_err begin_authority(authority *a, porch_why *why) {
    a->cert = (porch_buf){a->cert_block, 0, sizeof a->cert_block};
    return porch_key_generate_p256(&a->key, why);
}

static porch_err make_authorities(maker *m, uint64_t now_ms, porch_why *why) {
    char name[CA_NAME_BYTES];
    porch_public_key issuing_public;
    uint64_t from_ms = now_ms - BACKDATE_MS;
    PORCH_TRY(begin_authority(&m->root, why));
    PORCH_TRY(begin_authority(&m->issuing, why));
    PORCH_TRY(begin_authority(&m->web, why));
    snprintf(name, sizeof name, "Porchlight devices %s", m->id);
    PORCH_TRY(porch_ca_make_root(name, m->root.key, from_ms, ROOT_YEARS, &m->root.cert, why));
    snprintf(name, sizeof name, "Porchlight issuing %s", m->id);
    porch_ca root = {porch_buf_bytes(&m->root.cert), m->root.key};
    PORCH_TRY(porch_key_public(m->issuing.key, &issuing_public, why));
    PORCH_TRY(
        porch_ca_make_issuing(&root, name, &issuing_public, from_ms, ISSUING_YEARS, &m->issuing.cert, why));
    return make_web(m, now_ms, why);
}

static porch_err write_all(const maker *m, const char *dir, porch_why *why) {
    PORCH_TRY(write_key(dir, "OFFLINE/root.key", m->root.key, why));
    PORCH_TRY(write_secrets(m, dir, why));
    PORCH_TRY(write_recovery(m, dir, why));
    PORCH_TRY(write_at(dir, "signer/journal", (porch_bytes){NULL, 0}, 0600, why));
    PORCH_TRY(write_at(dir, "signer/" PORCH_SIGNER_ROOT_FILE, porch_buf_bytes(&m->root.cert), 0600, why));
    PORCH_TRY(write_at(dir, "tls/device-root.pem", porch_buf_bytes(&m->root.cert), 0644, why));
    PORCH_TRY(write_at(dir, "tls/issuing.pem", porch_buf_bytes(&m->issuing.cert), 0644, why));
    return write_at(dir, "tls/web-ca.pem", porch_buf_bytes(&m->web.cert), 0644, why);
}

static porch_err check_seal(maker *m, const porch_settings *s, porch_why *why) {
    PORCH_TRY(porch_seal_kind_of(s->hub_seal, &m->seal, why));
    if (m->seal != PORCH_SEAL_FILE && m->recovery == NULL)
        return porch_fail(why, PORCH_ERR_USAGE,
                          "a sealed hub is made by 'porchlight init', which makes its recovery key");
    m->means = (porch_seal_means){s->hub_tpm, porch_seal_open_credential()};
    return porch_seal_check(m->seal, &m->means, why);
}

static porch_err give(const char *dir, const porch_settings *s, porch_why *why) {
    porch_users users;
    if (!s->hub_user[0]) return PORCH_OK;
    if (geteuid() != 0) return porch_fail(why, PORCH_ERR_USAGE, "--user needs init to be run as root");
    PORCH_TRY(porch_users_find(s, &users, why));
    return porch_tree_give(dir, users.of[PORCH_CHILD_HUB], users.of[PORCH_CHILD_SIGNER], why);
}

static porch_err write_conf(const char *dir, const porch_settings *s, porch_why *why) {
    char path[PORCH_TREE_PATH_BYTES];
    PORCH_TRY(porch_path_join(dir, "hub.conf", path, sizeof path));
    return porch_settings_write(path, s, why);
}

/* Asked by a process that has become that user: rights along the whole path count. */
static bool can_open_as(porch_user user, const char *path, int flags) {
    int status = 0;
    pid_t pid = fork();
    if (pid == 0) {
        bool became = setgroups(user.also != 0, &user.also) == 0 &&
                      setresgid(user.gid, user.gid, user.gid) == 0 &&
                      setresuid(user.uid, user.uid, user.uid) == 0;
        _exit(became && open(path, flags | O_CLOEXEC) >= 0 ? 0 : 1);
    }
    return pid > 0 && waitpid(pid, &status, 0) == pid && WIFEXITED(status) && WEXITSTATUS(status) == 0;
}

static porch_err check_https(const porch_settings *s, porch_why *why) {
    const char *files[] = {s->hub_https_cert, s->hub_https_key};
    porch_user user = {geteuid(), getegid(), 0};
    if (!files[0][0] != !files[1][0])
        return porch_fail(why, PORCH_ERR_USAGE, "--https-cert and --https-key go together");
    if (!files[0][0]) return PORCH_OK;
    if (s->hub_user[0]) PORCH_TRY(porch_users_named(s->hub_user, &user, why));
    for (size_t i = 0; i < 2; i++) {
        if (access(files[i], R_OK) != 0)
            return porch_fail(why, PORCH_ERR_NOT_FOUND, "%s cannot be read: %s", files[i], strerror(errno));
        if (user.uid != geteuid() && !can_open_as(user, files[i], O_RDONLY))
            return porch_fail(
                why, PORCH_ERR_DENIED,
                "the hub runs as %s, which cannot read %s; leave --https-cert away and have root "
                "hand the pair over, now and at each renewal: porchlight -C DIR https-cert "
                "--cert FILE --key FILE",
                s->hub_user, files[i]);
    }
    return PORCH_OK;
}

/* Root seals by the TPM without asking anybody; the signer, which must open it at each start, cannot. */
static porch_err check_signers_tpm(const porch_settings *s, porch_why *why) {
    const char *tpm = porch_users_tpm(s);
    porch_users users;
    if (tpm == NULL || geteuid() != 0 || access(tpm, F_OK) != 0) return PORCH_OK;
    PORCH_TRY(porch_users_find(s, &users, why));
    porch_user signer = users.of[PORCH_CHILD_SIGNER];
    if (signer.uid == 0 || can_open_as(signer, tpm, O_RDWR)) return PORCH_OK;
    return porch_fail(why, PORCH_ERR_DENIED,
                      "the signer runs as user %u, which cannot open %s: a group must be able to read and "
                      "write it (on Debian the package tpm-udev sees to that), and the signer needs a user "
                      "of its own, which is given that group (hub.signer_user)",
                      (unsigned)signer.uid, tpm);
}

/* All that can be found wrong before anything is written. */
static porch_err check_wishes(maker *m, const porch_settings *s, porch_why *why) {
    porch_user user;
    PORCH_TRY(check_signers_tpm(s, why));
    PORCH_TRY(check_seal(m, s, why));
    PORCH_TRY(check_https(s, why));
    if (s->hub_user[0]) PORCH_TRY(porch_users_named(s->hub_user, &user, why));
    return PORCH_OK;
}

static porch_err make(maker *m, const char *dir, porch_settings *settings, uint64_t now_ms,
                      porch_why *why) {
    char random_id[PORCH_RANDOM_ID_BYTES];
    porch_random_id(random_id);
    snprintf(m->id, sizeof m->id, "hub-%.12s", random_id);
    PORCH_TRY(porch_settings_set(settings, "hub.id", m->id, why));
    PORCH_TRY(split_names(m, settings, why));
    /* Before the directory: a name that no certificate can hold leaves nothing behind. */
    PORCH_TRY(make_authorities(m, now_ms, why));
    PORCH_TRY(porch_tree_make(dir, why));
    PORCH_TRY(write_all(m, dir, why));
    PORCH_TRY(write_conf(dir, settings, why));
    return give(dir, settings, why);
}

porch_err porch_init_run(const char *dir, porch_settings *settings, const uint8_t *recovery,
                         uint64_t now_ms, porch_why *why) {
    maker *m = calloc(1, sizeof *m);
    if (!m) return porch_fail(why, PORCH_ERR_BUSY, "out of memory");
    m->recovery = recovery;
    m->means.credential_fd = -1;
    porch_err e = check_wishes(m, settings, why);
    if (e == PORCH_OK) e = make(m, dir, settings, now_ms, why);
    if (m->means.credential_fd >= 0) close(m->means.credential_fd);
    authority_free(&m->root);
    authority_free(&m->issuing);
    authority_free(&m->web);
    free(m);
    return e;
}

/* ---- a new web CA ---- */

static porch_err load_hub(const char *dir, porch_settings *settings, porch_users *users, porch_why *why) {
    char path[PORCH_TREE_PATH_BYTES];
    PORCH_TRY(porch_path_join(dir, "hub.conf", path, sizeof path));
    PORCH_TRY(porch_settings_load(path, settings, why));
    PORCH_TRY(porch_users_find(settings, users, why));
    return porch_tree_check(dir, users->of[PORCH_CHILD_HUB].uid, users->of[PORCH_CHILD_SIGNER].uid, why);
}

/* In place of the old one, under the seal that the keys have. */
static porch_err replace_web_key(const maker *m, int dir_fd, const porch_seal_means *means,
                                 porch_why *why) {
    uint8_t recovery[PORCH_BOX_PUBLIC_BYTES];
    porch_vault vault = {0};
    porch_seal_kind kind;
    PORCH_TRY(porch_seal_look(dir_fd, &kind, recovery, why));
    porch_err e = porch_seal_read(dir_fd, means, &vault, &kind, why);
    if (e == PORCH_OK) e = put_key(&vault.of[PORCH_VAULT_WEB_CA], m->web.key, why);
    if (e == PORCH_OK) e = porch_seal_write(dir_fd, kind, means, recovery, &vault, why);
    porch_wipe(&vault, sizeof vault);
    return e;
}

static porch_err store_web_key(const maker *m, const char *dir, const char *tpm, porch_why *why) {
    char path[PORCH_TREE_PATH_BYTES];
    PORCH_TRY(porch_path_join(dir, "signer", path, sizeof path));
    int dir_fd = open(path, O_RDONLY | O_DIRECTORY | O_CLOEXEC | O_NOFOLLOW);
    if (dir_fd < 0) return porch_fail(why, PORCH_ERR_IO, "%s: open failed: %s", path, strerror(errno));
    const porch_seal_means means = {tpm, porch_seal_open_credential()};
    porch_err e = replace_web_key(m, dir_fd, &means, why);
    if (means.credential_fd >= 0) close(means.credential_fd);
    close(dir_fd);
    return e;
}

/* The key is in place last: until then the old one goes on, and the certificate says what to do. */
static porch_err write_web(const maker *m, const char *dir, const char *tpm, porch_why *why) {
    static const char *const made_by_the_old[] = {"tls/web-cert.pem"};
    char path[PORCH_TREE_PATH_BYTES];
    PORCH_TRY(write_at(dir, "tls/web-ca.pem", porch_buf_bytes(&m->web.cert), 0644, why));
    PORCH_TRY(store_web_key(m, dir, tpm, why));
    for (size_t i = 0; i < sizeof made_by_the_old / sizeof *made_by_the_old; i++) {
        PORCH_TRY(porch_path_join(dir, made_by_the_old[i], path, sizeof path));
        if (unlink(path) != 0 && errno != ENOENT)
            return porch_fail(why, PORCH_ERR_IO, "%s: unlink failed: %s", path, strerror(errno));
    }
    return PORCH_OK;
}

static porch_err renew(maker *m, const char *dir, uint64_t now_ms, porch_why *why) {
    porch_settings settings;
    porch_users users;
    PORCH_TRY(load_hub(dir, &settings, &users, why));
    (void)snprintf(m->id, sizeof m->id, "%.64s", settings.hub_id);
    PORCH_TRY(split_names(m, &settings, why));
    PORCH_TRY(begin_authority(&m->web, why));
    PORCH_TRY(make_web(m, now_ms, why));
    PORCH_TRY(write_web(m, dir, settings.hub_tpm, why));
    if (geteuid() != 0) return PORCH_OK;
    return porch_tree_give(dir, users.of[PORCH_CHILD_HUB], users.of[PORCH_CHILD_SIGNER], why);
}

porch_err porch_web_ca_renew(const char *dir, uint64_t now_ms, porch_why *why) {
    char path[PORCH_TREE_PATH_BYTES];
    int lock_fd = -1;
    PORCH_TRY(porch_path_join(dir, "lock", path, sizeof path));
    porch_err e = porch_file_lock(path, &lock_fd, why);
    if (e == PORCH_ERR_BUSY)
        return porch_fail(why, e, "a hub is running in %s; stop it first, then start it again", dir);
    if (e != PORCH_OK) return e;
    maker *m = calloc(1, sizeof *m);
    e = m ? renew(m, dir, now_ms, why) : porch_fail(why, PORCH_ERR_BUSY, "out of memory");
    if (m) authority_free(&m->web);
    free(m);
    close(lock_fd);
    return e;
}
