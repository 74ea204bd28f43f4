/* FOLDER/secrets: `key` is the folder's secret key, sealed by the key's store; every other file is one
 * secret.
 *
 *   key store ─unseal─► secret key (in memory while open) ─► device/secret_box.h ─► secrets/NAME
 */
#include <dirent.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <porchlight/secret.h>

#include "crypto/random.h"
#include "device/port/linux/device_key.h"
#include "device/port/linux/device_private.h"
#include "device/secret_box.h"
#include "os/file.h"

#define KEY_FILE ".key" /* no secret can have that name */

struct porch_secrets {
    char folder[FOLDER_BYTES]; /* FOLDER/secrets */
    uint8_t key[PORCH_SECRET_KEY_BYTES];
};

static porch_err path_of(const porch_secrets *s, const char *name, char out[FOLDER_BYTES], porch_why *why) {
    porch_err e = porch_path_join(s->folder, name, out, FOLDER_BYTES);
    return e == PORCH_OK ? e : porch_fail(why, e, "the path %.100s is too long", s->folder);
}

static porch_err make_secret_key(porch_secrets *s, const porch_key *key, const char *path, porch_why *why) {
    uint8_t block[PORCH_KEY_SEALED_BYTES];
    porch_buf sealed = PORCH_BUF_OF(block);
    porch_random(s->key, sizeof s->key);
    PORCH_TRY(porch_key_seal(key, (porch_bytes){s->key, sizeof s->key}, &sealed, why));
    return porch_file_write_atomic(path, porch_buf_bytes(&sealed), 0600, why);
}

static porch_err open_secret_key(porch_secrets *s, const porch_key *key, porch_why *why) {
    char path[FOLDER_BYTES];
    uint8_t *sealed = NULL;
    size_t len = 0;
    porch_buf out = {s->key, 0, sizeof s->key};
    PORCH_TRY(path_of(s, KEY_FILE, path, why));
    porch_err e = porch_file_read(path, PORCH_KEY_SEALED_BYTES, &sealed, &len, why);
    if (e == PORCH_ERR_NOT_FOUND) return make_secret_key(s, key, path, why);
    if (e == PORCH_OK) e = porch_key_unseal(key, (porch_bytes){sealed, len}, &out, why);
    free(sealed);
    if (e == PORCH_OK && out.len != sizeof s->key)
        e = porch_fail(why, PORCH_ERR_MALFORMED, "%s holds no key", path);
    return e;
}

static porch_err open_secrets(porch_secrets *s, const char *folder, porch_why *why) {
    porch_device_conf conf;
    porch_key *key = NULL;
    bool in_file = false;
    PORCH_TRY(porch_device_conf_load(folder, &conf, why));
    porch_err e = porch_path_join(folder, "secrets", s->folder, sizeof s->folder);
    if (e != PORCH_OK) return porch_fail(why, e, "the path %.100s is too long", folder);
    PORCH_TRY(porch_dir_make(s->folder, 0700, why));
    PORCH_TRY(porch_device_key_open(&conf, folder, &key, &in_file, why));
    e = open_secret_key(s, key, why);
    porch_key_free(key);
    return e;
}

porch_secrets *porch_secrets_open(const char *folder, porch_device_why *why) {
    porch_why inner = {""};
    porch_secrets *s = calloc(1, sizeof *s);
    if (s == NULL) {
        (void)porch_device_say(why, PORCH_ERR_NO_SPACE, "out of memory");
        return NULL;
    }
    porch_crypto_init();
    porch_err e = open_secrets(s, folder, &inner);
    if (e == PORCH_OK) return s;
    (void)porch_device_fail(why, e, &inner);
    porch_secrets_close(s);
    return NULL;
}

void porch_secrets_close(porch_secrets *s) {
    if (s == NULL) return;
    porch_wipe(s, sizeof *s);
    free(s);
}

static bool count_one(void *ctx, const char *name) {
    (void)name;
    (*(size_t *)ctx)++;
    return true;
}

static porch_err set(porch_secrets *s, const char *name, porch_bytes secret, porch_why *why) {
    char path[FOLDER_BYTES];
    uint8_t block[PORCH_SECRET_BOX_MOST];
    porch_buf box = PORCH_BUF_OF(block);
    size_t count = 0;
    PORCH_TRY(porch_secret_name_check(name, why));
    PORCH_TRY(path_of(s, name, path, why));
    if (access(path, F_OK) != 0 && porch_secret_list(s, count_one, &count, NULL) == PORCH_DEVICE_OK &&
        count >= PORCH_DEVICE_SECRETS_MOST)
        return porch_fail(why, PORCH_ERR_LIMIT, "there are %d secrets already; remove one",
                          PORCH_DEVICE_SECRETS_MOST);
    porch_err e = porch_secret_close(s->key, name, secret, &box);
    if (e == PORCH_ERR_LIMIT)
        return porch_fail(why, e, "a secret has 1 to %d bytes", PORCH_DEVICE_SECRET_MOST);
    if (e != PORCH_OK) return e;
    return porch_file_write_atomic(path, porch_buf_bytes(&box), 0600, why);
}

static porch_err get(porch_secrets *s, const char *name, porch_buf *out, porch_why *why) {
    char path[FOLDER_BYTES];
    uint8_t *box = NULL;
    size_t len = 0;
    PORCH_TRY(porch_secret_name_check(name, why));
    PORCH_TRY(path_of(s, name, path, why));
    porch_err e = porch_file_read(path, PORCH_SECRET_BOX_MOST, &box, &len, why);
    if (e == PORCH_ERR_NOT_FOUND) return porch_fail(why, e, "there is no secret %s", name);
    if (e != PORCH_OK) return e;
    e = porch_secret_open(s->key, name, (porch_bytes){box, len}, out);
    free(box);
    if (e == PORCH_ERR_NO_SPACE) return porch_fail(why, e, "the secret %s does not fit", name);
    return e == PORCH_OK
               ? e
               : porch_fail(why, e, "the secret %s was changed, or belongs to another device", name);
}

porch_device_result porch_secret_set(porch_secrets *s, const char *name, const void *at, size_t len,
                                     porch_device_why *why) {
    porch_why inner = {""};
    porch_err e = set(s, name, (porch_bytes){at, len}, &inner);
    return e == PORCH_OK ? PORCH_DEVICE_OK : porch_device_fail(why, e, &inner);
}

porch_device_result porch_secret_get(porch_secrets *s, const char *name, void *out, size_t cap, size_t *len,
                                     porch_device_why *why) {
    porch_why inner = {""};
    porch_buf b = {out, 0, cap};
    porch_err e = get(s, name, &b, &inner);
    if (e != PORCH_OK) return porch_device_fail(why, e, &inner);
    *len = b.len;
    return PORCH_DEVICE_OK;
}

porch_device_result porch_secret_remove(porch_secrets *s, const char *name, porch_device_why *why) {
    char path[FOLDER_BYTES];
    porch_why inner = {""};
    porch_err e = porch_secret_name_check(name, &inner);
    if (e == PORCH_OK) e = path_of(s, name, path, &inner);
    if (e == PORCH_OK && unlink(path) != 0)
        e = porch_fail(&inner, errno == ENOENT ? PORCH_ERR_NOT_FOUND : PORCH_ERR_IO, "%s: %s", name,
                       strerror(errno));
    if (e == PORCH_OK) e = porch_dir_sync(s->folder, &inner);
    return e == PORCH_OK ? PORCH_DEVICE_OK : porch_device_fail(why, e, &inner);
}

porch_device_result porch_secret_list(porch_secrets *s, bool (*fn)(void *ctx, const char *name), void *ctx,
                                      porch_device_why *why) {
    DIR *d = opendir(s->folder);
    const struct dirent *entry;
    if (d == NULL) return porch_device_say(why, PORCH_ERR_IO, "%s: %s", s->folder, strerror(errno));
    while ((entry = readdir(d)) != NULL)
        if (porch_secret_name_check(entry->d_name, NULL) == PORCH_OK && !fn(ctx, entry->d_name)) break;
    (void)closedir(d);
    return PORCH_DEVICE_OK;
}
