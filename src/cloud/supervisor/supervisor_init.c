#include "cloud/supervisor/supervisor_init.h"

#include <errno.h>
#include <fcntl.h>
#include <grp.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

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
    return porch_file_write_atomic(path, bytes, mode, why);
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

static porch_err write_seal_key(const char *dir, porch_why *why) {
    uint8_t raw[SEAL_KEY_BYTES];
    porch_random(raw, sizeof raw);
    porch_err e = write_at(dir, "signer/seal.key", (porch_bytes){raw, sizeof raw}, 0600, why);
    porch_wipe(raw, sizeof raw);
    return e;
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
    PORCH_TRY(write_key(dir, "signer/issuing.key", m->issuing.key, why));
    PORCH_TRY(write_key(dir, "signer/web-ca.key", m->web.key, why));
    PORCH_TRY(write_seal_key(dir, why));
    PORCH_TRY(write_at(dir, "signer/journal", (porch_bytes){NULL, 0}, 0600, why));
    PORCH_TRY(write_at(dir, "tls/device-root.pem", porch_buf_bytes(&m->root.cert), 0644, why));
    PORCH_TRY(write_at(dir, "tls/issuing.pem", porch_buf_bytes(&m->issuing.cert), 0644, why));
    return write_at(dir, "tls/web-ca.pem", porch_buf_bytes(&m->web.cert), 0644, why);
}

static porch_err check_seal(const porch_settings *s, porch_why *why) {
    if (strcmp(s->hub_seal, "file") == 0) return PORCH_OK;
    return porch_fail(
        why, PORCH_ERR_UNSUPPORTED,
        "--seal %s is not offered by this version: use --seal file, and keep DIR on an encrypted "
        "disk, since the whole directory then holds the keys",
        s->hub_seal);
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
static bool can_read_as(porch_user user, const char *path) {
    int status = 0;
    pid_t pid = fork();
    if (pid == 0) {
        bool became = setgroups(0, NULL) == 0 && setresgid(user.gid, user.gid, user.gid) == 0 &&
                      setresuid(user.uid, user.uid, user.uid) == 0;
        _exit(became && open(path, O_RDONLY | O_CLOEXEC) >= 0 ? 0 : 1);
    }
    return pid > 0 && waitpid(pid, &status, 0) == pid && WIFEXITED(status) && WEXITSTATUS(status) == 0;
}

static porch_err check_https(const porch_settings *s, porch_why *why) {
    const char *files[] = {s->hub_https_cert, s->hub_https_key};
    porch_user user = {geteuid(), getegid()};
    if (!files[0][0] != !files[1][0])
        return porch_fail(why, PORCH_ERR_USAGE, "--https-cert and --https-key go together");
    if (!files[0][0]) return PORCH_OK;
    if (s->hub_user[0]) PORCH_TRY(porch_users_named(s->hub_user, &user, why));
    for (size_t i = 0; i < 2; i++) {
        if (access(files[i], R_OK) != 0)
            return porch_fail(why, PORCH_ERR_NOT_FOUND, "%s cannot be read: %s", files[i], strerror(errno));
        if (user.uid != geteuid() && !can_read_as(user, files[i]))
            return porch_fail(
                why, PORCH_ERR_DENIED,
                "the hub runs as %s, which cannot read %s; leave --https-cert away and have root "
                "hand the pair over, now and at each renewal: porchlight -C DIR https-cert "
                "--cert FILE --key FILE",
                s->hub_user, files[i]);
    }
    return PORCH_OK;
}

/* All that can be found wrong before anything is written. */
static porch_err check_wishes(const porch_settings *s, porch_why *why) {
    porch_user user;
    PORCH_TRY(check_seal(s, why));
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

porch_err porch_init_run(const char *dir, porch_settings *settings, uint64_t now_ms, porch_why *why) {
    PORCH_TRY(check_wishes(settings, why));
    maker *m = calloc(1, sizeof *m);
    if (!m) return porch_fail(why, PORCH_ERR_BUSY, "out of memory");
    porch_err e = make(m, dir, settings, now_ms, why);
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

/* The key is in place last: until then the old one goes on, and the certificate says what to do. */
static porch_err write_web(const maker *m, const char *dir, porch_why *why) {
    static const char *const made_by_the_old[] = {"tls/web-cert.pem"};
    char path[PORCH_TREE_PATH_BYTES];
    PORCH_TRY(write_at(dir, "tls/web-ca.pem", porch_buf_bytes(&m->web.cert), 0644, why));
    PORCH_TRY(write_key(dir, "signer/web-ca.key", m->web.key, why));
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
    PORCH_TRY(write_web(m, dir, why));
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
