#include "cli/cli_ota.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <termios.h>
#include <unistd.h>

#include "base/text.h"
#include "cli/cli_room.h"
#include "cli/progress.h"
#include "crypto/key_uri.h"
#include "crypto/sha256.h"
#include "os/clock.h"
#include "os/file.h"
#include "ota/author/author_sign.h"

enum { METADATA_MOST = 5 * 1024 * 1024, KEY_FILE_MOST = 4096, IMAGE_BUFFER = 256 * 1024 };

porch_err porch_cli_ota_path(const porch_cli_ota *o, const char *name, char out[PORCH_CLI_PATH_BYTES],
                             porch_why *why) {
    return porch_path_join(o->folder, name, out, PORCH_CLI_PATH_BYTES) == PORCH_OK
               ? PORCH_OK
               : porch_fail(why, PORCH_ERR_USAGE, "the folder's name is too long");
}

/* ---- the passphrase ---- */

static porch_err from_terminal(const char *prompt, char *out, size_t cap, porch_why *why) {
    struct termios shown, hidden;
    FILE *terminal = fopen("/dev/tty", "r+e");
    if (terminal == NULL || tcgetattr(fileno(terminal), &shown) != 0) {
        if (terminal != NULL) (void)fclose(terminal);
        return porch_fail(why, PORCH_ERR_USAGE,
                          "there is no terminal to ask for the passphrase; give --passphrase-file");
    }
    hidden = shown;
    hidden.c_lflag &= ~(tcflag_t)ECHO;
    (void)tcsetattr(fileno(terminal), TCSAFLUSH, &hidden);
    (void)fputs(prompt, terminal);
    (void)fflush(terminal);
    bool got = fgets(out, (int)cap, terminal) != NULL;
    (void)tcsetattr(fileno(terminal), TCSAFLUSH, &shown);
    (void)fputs("\n", terminal);
    (void)fclose(terminal);
    return got ? PORCH_OK : porch_fail(why, PORCH_ERR_USAGE, "no passphrase was given");
}

static porch_err from_file(const char *path, char *out, size_t cap, porch_why *why) {
    uint8_t *text = NULL;
    size_t len = 0;
    PORCH_TRY(porch_file_check_mode(path, geteuid(), 0600, why));
    PORCH_TRY(porch_file_read(path, cap - 1, &text, &len, why));
    memcpy(out, text, len);
    out[len] = '\0';
    porch_wipe(text, len);
    free(text);
    return PORCH_OK;
}

/* Asked for once, and only when a locked key is needed. */
static porch_err passphrase(porch_cli_ota *o, porch_why *why) {
    if (o->has_passphrase) return PORCH_OK;
    PORCH_TRY(
        o->passphrase_file != NULL
            ? from_file(o->passphrase_file, o->passphrase, sizeof o->passphrase, why)
            : from_terminal("Passphrase of the offline keys: ", o->passphrase, sizeof o->passphrase, why));
    o->passphrase[strcspn(o->passphrase, "\r\n")] = '\0';
    o->has_passphrase = true;
    return PORCH_OK;
}

/* ---- keys ---- */

bool porch_cli_ota_is_online(const char *role) {
    return strcmp(role, "snapshot") == 0 || strcmp(role, "timestamp") == 0;
}

static porch_err save_keys(const porch_cli_ota *o, porch_why *why) {
    char path[PORCH_CLI_PATH_BYTES];
    char *text = json_dumps(o->keys, JSON_INDENT(1) | JSON_SORT_KEYS);
    porch_err e = porch_cli_ota_path(o, "keys.json", path, why);
    if (text == NULL) return porch_fail(why, PORCH_ERR_NO_SPACE, "no memory");
    if (e == PORCH_OK) e = porch_file_write_atomic(path, porch_bytes_of(text), 0644, why);
    free(text);
    return e;
}

static porch_err write_key(porch_cli_ota *o, const porch_key *key, bool online, const char *name,
                           porch_why *why) {
    uint8_t block[PORCH_KEY_LOCKED_PEM_BYTES];
    porch_buf pem = PORCH_BUF_OF(block);
    char path[PORCH_CLI_PATH_BYTES];
    PORCH_TRY(porch_cli_ota_path(o, name, path, why));
    if (!online) {
        PORCH_TRY(passphrase(o, why));
        if (strlen(o->passphrase) < PORCH_CLI_OTA_PASSPHRASE_LEAST)
            return porch_fail(why, PORCH_ERR_USAGE,
                              "the passphrase needs %d characters or more: it guards every device",
                              PORCH_CLI_OTA_PASSPHRASE_LEAST);
    }
    porch_err e = online ? porch_key_pem(key, &pem, why)
                         : porch_key_locked_pem(key, porch_bytes_of(o->passphrase), &pem, why);
    if (e == PORCH_OK) e = porch_file_write_atomic(path, porch_buf_bytes(&pem), 0600, why);
    porch_wipe(block, sizeof block);
    return e;
}

static porch_err make_key(const porch_cli_ota *o, const char *uri, porch_key **ret, porch_why *why) {
    porch_key_uri parsed;
    if (uri == NULL) return porch_key_generate_p256(ret, why);
    PORCH_TRY(porch_key_uri_parse(porch_bytes_of(uri), &parsed, why));
    if (parsed.place == PORCH_KEY_IN_FILE)
        return porch_fail(why, PORCH_ERR_USAGE, "keys in files are made in the folder; leave --key away");
    return porch_key_uri_make(&parsed, o->tpm, ret, why);
}

porch_err porch_cli_ota_new_key(porch_cli_ota *o, const char *role, const char *uri, char id[65],
                                porch_why *why) {
    porch_key *key = NULL;
    json_t *public = NULL;
    char name[128];
    PORCH_TRY(make_key(o, uri, &key, why));
    porch_err e = porch_author_key(key, &public, id, why);
    (void)snprintf(name, sizeof name, "%s/%.16s.pem", porch_cli_ota_is_online(role) ? "online" : "keys",
                   id);
    if (e == PORCH_OK) e = porch_author_key_add(&o->repo, role, public, id, why);
    if (e == PORCH_OK && uri == NULL) e = write_key(o, key, porch_cli_ota_is_online(role), name, why);
    if (e == PORCH_OK &&
        json_object_set_new(o->keys, id,
                            json_pack("{s:s,s:s,s:I}", "role", role, "at", uri != NULL ? uri : name,
                                      "made_ms", (json_int_t)porch_clock_ms())) != 0)
        e = porch_fail(why, PORCH_ERR_NO_SPACE, "no memory");
    if (e == PORCH_OK) e = save_keys(o, why);
    json_decref(public);
    porch_key_free(key);
    return e;
}

/* {keytype, scheme, keyval: {public}} of an Ed25519 key in hex; its id is the SHA-256 of its canonical
 * form. */
static porch_err online_key(porch_cli_ota *o, const char *role, const char *hex, porch_why *why) {
    uint8_t raw[32], hash[32];
    porch_buf into = PORCH_BUF_OF(raw);
    char text[200], id[65];
    porch_buf id_hex = {(uint8_t *)id, 0, 64};
    json_t *keys = NULL, *each;
    size_t i;
    if (hex == NULL || porch_hex_read(&into, porch_bytes_of(hex)) != PORCH_OK || into.len != sizeof raw)
        return porch_fail(why, PORCH_ERR_MALFORMED, "the hub's key of %s is no 64 hex digits", role);
    int n =
        snprintf(text, sizeof text,
                 "{\"keytype\":\"ed25519\",\"keyval\":{\"public\":\"%s\"},\"scheme\":\"ed25519\"}", hex);
    porch_sha256((porch_bytes){(const uint8_t *)text, (size_t)n}, hash);
    PORCH_TRY(porch_hex_write(&id_hex, (porch_bytes){hash, sizeof hash}));
    id[64] = '\0';
    json_t *old = json_deep_copy(json_object_get(porch_author_trust(&o->repo, role, &keys), "keyids"));
    json_t *key =
        json_pack("{s:s,s:s,s:{s:s}}", "keytype", "ed25519", "scheme", "ed25519", "keyval", "public", hex);
    porch_err e = key != NULL && old != NULL ? porch_author_key_add(&o->repo, role, key, id, why)
                                             : PORCH_ERR_NO_SPACE;
    if (e == PORCH_ERR_EXISTS) e = PORCH_OK; /* it is this hub's already */
    json_array_foreach(old, i, each) {
        if (e == PORCH_OK && strcmp(json_string_value(each), id) != 0)
            e = porch_author_key_remove(&o->repo, role, json_string_value(each), why);
    }
    if (e == PORCH_OK && json_object_set_new(o->keys, id,
                                             json_pack("{s:s,s:s,s:I}", "role", role, "at", "hub",
                                                       "made_ms", (json_int_t)porch_clock_ms())) != 0)
        e = porch_fail(why, PORCH_ERR_NO_SPACE, "no memory");
    if (e == PORCH_OK) e = save_keys(o, why);
    json_decref(old);
    json_decref(key);
    return e;
}

porch_err porch_cli_ota_time_key(porch_cli_ota *o, const char *hex, porch_why *why) {
    uint8_t raw[32];
    porch_buf into = PORCH_BUF_OF(raw);
    if (hex == NULL || porch_hex_read(&into, porch_bytes_of(hex)) != PORCH_OK || into.len != sizeof raw)
        return porch_fail(why, PORCH_ERR_USAGE, "the time key is 64 hex digits of an Ed25519 key");
    json_t *key =
        json_pack("{s:s,s:s,s:{s:s}}", "keytype", "ed25519", "scheme", "ed25519", "keyval", "public", hex);
    return key != NULL && json_object_set_new(o->repo.root, "time", key) == 0
               ? PORCH_OK
               : porch_fail(why, PORCH_ERR_NO_SPACE, "no memory");
}

porch_err porch_cli_ota_online_keys(porch_cli_ota *o, const char *file, porch_why *why) {
    json_error_t error;
    json_t *keys = json_load_file(file, JSON_REJECT_DUPLICATES, &error);
    if (keys == NULL)
        return porch_fail(why, PORCH_ERR_NOT_FOUND,
                          "%s is no file that `porchlight ota keys` wrote: %.100s", file, error.text);
    porch_err e = online_key(o, "snapshot", json_string_value(json_object_get(keys, "snapshot")), why);
    if (e == PORCH_OK)
        e = online_key(o, "timestamp", json_string_value(json_object_get(keys, "timestamp")), why);
    const char *time = json_string_value(json_object_get(keys, "time")); /* older hubs tell none */
    if (e == PORCH_OK && time != NULL) e = porch_cli_ota_time_key(o, time, why);
    json_decref(keys);
    return e;
}

/* Does the hub sign for this role? */
bool porch_cli_ota_of_hub(const porch_cli_ota *o, const char *role) {
    json_t *unused = NULL, *each;
    size_t i;
    if (!porch_cli_ota_is_online(role)) return false;
    json_array_foreach(json_object_get(porch_author_trust(&o->repo, role, &unused), "keyids"), i, each) {
        const char *at =
            json_string_value(json_object_get(json_object_get(o->keys, json_string_value(each)), "at"));
        if (at != NULL && strcmp(at, "hub") == 0) return true;
    }
    return false;
}

porch_err porch_cli_ota_open_key(porch_cli_ota *o, const char *id, porch_key **ret, porch_why *why) {
    const char *at = json_string_value(json_object_get(json_object_get(o->keys, id), "at"));
    char path[PORCH_CLI_PATH_BYTES];
    porch_key_uri uri;
    uint8_t *pem = NULL;
    size_t len = 0;
    if (at == NULL)
        return porch_fail(why, PORCH_ERR_NOT_FOUND, "keys.json does not say where key %.16s lies", id);
    if (strncmp(at, "tpm2:", 5) == 0 || strncmp(at, "pkcs11:", 7) == 0) {
        PORCH_TRY(porch_key_uri_parse(porch_bytes_of(at), &uri, why));
        porch_why reason = {""};
        porch_err e = porch_key_uri_open(&uri, o->tpm, ret, &reason);
        if (e == PORCH_OK || e == PORCH_ERR_AUTH)
            return e == PORCH_OK ? e : porch_fail(why, e, "%s", reason.text);
        /* The token may be another person's. */
        (void)fprintf(stderr, "Key %.16s is not at hand: %.200s\n", id, porch_why_text(&reason, e));
        return porch_fail(why, PORCH_ERR_NOT_FOUND, "%.200s", porch_why_text(&reason, e));
    }
    bool online = strncmp(at, "online/", 7) == 0;
    PORCH_TRY(porch_cli_ota_path(o, at, path, why));
    PORCH_TRY(porch_file_read(path, KEY_FILE_MOST, &pem, &len, why));
    porch_bytes bytes = {pem, len};
    porch_err e = online ? PORCH_OK : passphrase(o, why);
    if (e == PORCH_OK)
        e = online ? porch_key_load_pem(bytes, ret, why)
                   : porch_key_load_locked_pem(bytes, porch_bytes_of(o->passphrase), ret, why);
    porch_wipe(pem, len);
    free(pem);
    return e;
}

/* ---- documents ---- */

static porch_err read_role(const porch_cli_ota *o, const char *name, json_t **ret, porch_why *why) {
    char file[256], path[PORCH_CLI_PATH_BYTES];
    uint8_t *text = NULL;
    size_t len = 0;
    json_error_t error;
    (void)snprintf(file, sizeof file, "repository/metadata/%s", name);
    PORCH_TRY(porch_cli_ota_path(o, file, path, why));
    PORCH_TRY(porch_file_read(path, METADATA_MOST, &text, &len, why));
    json_t *document = json_loadb((const char *)text, len, JSON_REJECT_DUPLICATES, &error);
    free(text);
    json_t *content = json_incref(json_object_get(document, "signed"));
    json_decref(document);
    if (content == NULL) return porch_fail(why, PORCH_ERR_MALFORMED, "%s is no signed metadata", path);
    *ret = content;
    return PORCH_OK;
}

static porch_err read_versioned(const porch_cli_ota *o, const json_t *above, const char *role, json_t **ret,
                                porch_why *why) {
    char file[160], name[200];
    (void)snprintf(file, sizeof file, "%.120s.json", role);
    json_int_t version = json_integer_value(
        json_object_get(json_object_get(json_object_get(above, "meta"), file), "version"));
    (void)snprintf(name, sizeof name, "%lld.%s", (long long)version, file);
    return read_role(o, name, ret, why);
}

static porch_err read_newest_root(porch_cli_ota *o, porch_why *why) {
    for (unsigned version = 1;; version++) {
        char name[64];
        json_t *next = NULL;
        (void)snprintf(name, sizeof name, "%u.root.json", version);
        porch_err e = read_role(o, name, &next, why);
        if (e == PORCH_ERR_NOT_FOUND && version > 1) return PORCH_OK;
        if (e == PORCH_ERR_NOT_FOUND)
            return porch_fail(why, e, "%s is no update repository; make one with `porchlight ota init`",
                              o->folder);
        PORCH_TRY(e);
        json_decref(o->repo.root);
        o->repo.root = next;
    }
}

static porch_err read_products(porch_cli_ota *o, porch_why *why) {
    json_t *each;
    size_t i;
    json_array_foreach(json_object_get(json_object_get(o->repo.targets, "delegations"), "roles"), i, each) {
        const char *name = json_string_value(json_object_get(each, "name"));
        json_t *content = NULL;
        if (name == NULL) continue;
        PORCH_TRY(read_versioned(o, o->repo.snapshot, name, &content, why));
        if (json_object_set_new(o->repo.products, name, content) != 0)
            return porch_fail(why, PORCH_ERR_NO_SPACE, "no memory");
    }
    return PORCH_OK;
}

porch_err porch_cli_ota_load(porch_cli_ota *o, porch_why *why) {
    char path[PORCH_CLI_PATH_BYTES];
    json_error_t error;
    o->repo.products = json_object();
    PORCH_TRY(read_newest_root(o, why));
    PORCH_TRY(read_role(o, "timestamp.json", &o->repo.timestamp, why));
    PORCH_TRY(read_versioned(o, o->repo.timestamp, "snapshot", &o->repo.snapshot, why));
    PORCH_TRY(read_versioned(o, o->repo.snapshot, "targets", &o->repo.targets, why));
    PORCH_TRY(read_products(o, why));
    PORCH_TRY(porch_cli_ota_path(o, "keys.json", path, why));
    o->keys = json_load_file(path, JSON_REJECT_DUPLICATES, &error);
    if (!json_is_object(o->keys))
        return porch_fail(why, PORCH_ERR_MALFORMED, "%s cannot be read: %s", path, error.text);
    o->root_old = json_deep_copy(o->repo.root);
    return porch_cli_ota_load_waiting(o, why);
}

porch_err porch_cli_ota_make(porch_cli_ota *o, porch_why *why) {
    static const char *const folders[] = {
        "", "keys", "online", "repository", "repository/metadata", "repository/targets"};
    char path[PORCH_CLI_PATH_BYTES];
    PORCH_TRY(porch_cli_ota_path(o, "keys.json", path, why));
    if (access(path, F_OK) == 0)
        return porch_fail(why, PORCH_ERR_EXISTS, "%s is an update repository already", o->folder);
    for (size_t i = 0; i < sizeof folders / sizeof folders[0]; i++) {
        PORCH_TRY(porch_cli_ota_path(o, folders[i], path, why));
        PORCH_TRY(porch_dir_make(path, i == 1 || i == 2 ? 0700 : 0755, why));
    }
    o->keys = json_object();
    return porch_author_repo_begin(&o->repo, why);
}

void porch_cli_ota_free(porch_cli_ota *o) {
    porch_author_repo_free(&o->repo);
    json_decref(o->keys);
    json_decref(o->root_old);
    json_decref(o->waiting);
    porch_wipe(o->passphrase, sizeof o->passphrase);
}

/* ---- images ---- */

static porch_err copy(int from, int to, uint64_t total, uint64_t *length, char sha256[65], porch_why *why) {
    uint8_t *block = malloc(IMAGE_BUFFER), hash[32];
    porch_sha256_state *state = porch_sha256_new();
    porch_progress bar = porch_progress_begin(total);
    porch_err e = block != NULL ? PORCH_OK : porch_fail(why, PORCH_ERR_NO_SPACE, "no memory");
    ssize_t got = 0;
    *length = 0;
    while (e == PORCH_OK && (got = read(from, block, IMAGE_BUFFER)) > 0) {
        porch_sha256_update(state, (porch_bytes){block, (size_t)got});
        for (ssize_t at = 0; e == PORCH_OK && at < got;) {
            ssize_t wrote = write(to, block + at, (size_t)(got - at));
            if (wrote < 0 && errno != EINTR)
                e = porch_fail(why, PORCH_ERR_IO, "write: %s", strerror(errno));
            if (wrote > 0) at += wrote;
        }
        *length += (uint64_t)got;
        porch_progress_at(&bar, *length);
    }
    porch_progress_end(&bar);
    if (e == PORCH_OK && (got < 0 || fsync(to) != 0))
        e = porch_fail(why, PORCH_ERR_IO, "copying: %s", strerror(errno));
    porch_sha256_finish(state, hash);
    porch_sha256_free(state);
    porch_buf hex = {(uint8_t *)sha256, 0, 64};
    (void)porch_hex_write(&hex, (porch_bytes){hash, sizeof hash});
    sha256[hex.len] = '\0';
    free(block);
    return e;
}

porch_err porch_cli_ota_image(porch_cli_ota *o, const char *file, const char *product, const char *version,
                              uint64_t *length, char sha256[65], porch_why *why) {
    char name[400], path[PORCH_CLI_PATH_BYTES], done[PORCH_CLI_PATH_BYTES];
    struct stat st;
    for (size_t i = 0; i < 2; i++) {
        (void)(i == 0 ? snprintf(name, sizeof name, "repository/targets/%s", product)
                      : snprintf(name, sizeof name, "repository/targets/%s/%s", product, version));
        PORCH_TRY(porch_cli_ota_path(o, name, path, why));
        PORCH_TRY(porch_dir_make(path, 0755, why));
    }
    int from = open(file, O_RDONLY | O_CLOEXEC);
    if (from < 0 || fstat(from, &st) != 0 || !S_ISREG(st.st_mode)) {
        if (from >= 0) close(from);
        return porch_fail(why, PORCH_ERR_NOT_FOUND, "%s is no file that can be read", file);
    }
    size_t at = strlen(path);
    (void)snprintf(path + at, sizeof path - at, "/.image.part");
    int to = open(path, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0644);
    porch_err e = to >= 0 ? copy(from, to, (uint64_t)st.st_size, length, sha256, why)
                          : porch_fail(why, PORCH_ERR_IO, "create %s: %s", path, strerror(errno));
    if (to >= 0) close(to);
    close(from);
    (void)snprintf(done, sizeof done, "%.*s/%s.image", (int)at, path, sha256);
    if (e == PORCH_OK && rename(path, done) != 0)
        e = porch_fail(why, PORCH_ERR_IO, "keep %s: %s", done, strerror(errno));
    return e;
}
