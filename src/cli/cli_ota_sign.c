/* Signing a change of an update repository, by as many people as its roles ask for.
 *
 *   change ─► each role's next version, signed with the keys at hand ─┬─ enough for all ─► repository/,
 * snapshot, timestamp └─ not yet ─► waiting/ ─► the next person: `ota sign`
 *
 * The keys may lie on machines that never meet: the folder travels without keys/. What waits is in no
 * device's way, since nothing in repository/ has changed; what each person signs is shown first. */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <dirent.h>

#include "base/text.h"
#include "cli/cli_ota.h"
#include "cli/cli_room.h"
#include "crypto/sha256.h"
#include "os/clock.h"
#include "os/file.h"
#include "ota/author/author_manifest.h"
#include "ota/author/author_sign.h"

enum { DAY_S = 86400, FILE_TEXT = 300, IMAGE_MOST = 1 << 30 };

static const struct {
    const char *role;
    unsigned days;
} lives[] = {{"root", 365}, {"targets", 180}, {"snapshot", 30}, {"timestamp", 7}, {NULL, 180}};

static porch_err no_memory(porch_why *why) {
    return porch_fail(why, PORCH_ERR_NO_SPACE, "no memory");
}

void porch_cli_ota_touch(porch_cli_ota *o, const char *role) {
    for (size_t i = 0; i < o->changed_count; i++)
        if (strcmp(o->changed[i], role) == 0) return;
    if (o->changed_count < PORCH_CLI_OTA_CHANGED_MOST) o->changed[o->changed_count++] = role;
}

/* ---- keys at hand ---- */

typedef struct {
    porch_key *key[PORCH_AUTHOR_SIGNERS_MOST];
    size_t count;
} signers;

static void let_go(signers *s) {
    while (s->count > 0)
        porch_key_free(s->key[--s->count]);
}

/* Opens those of the ids that are not among `but`; one that is not at hand is passed over, a wrong
 * passphrase is not. */
static porch_err open_keys(porch_cli_ota *o, const json_t *ids, const json_t *but, signers *s,
                           porch_why *why) {
    json_t *each, *other;
    size_t i, k;
    json_array_foreach(ids, i, each) {
        bool twice = false;
        json_array_foreach(but, k, other) twice = twice || json_equal(each, other);
        if (twice || s->count == PORCH_AUTHOR_SIGNERS_MOST) continue;
        porch_err e = porch_cli_ota_open_key(o, json_string_value(each), &s->key[s->count], why);
        /* One that is another person's, or with a hub, is not at hand; one that is here and does not open
         * is a mistake. */
        if (e != PORCH_OK && e != PORCH_ERR_NOT_FOUND) return e;
        if (e == PORCH_OK) s->count++;
    }
    return PORCH_OK;
}

static const json_t *old_root_trust(const porch_cli_ota *o) {
    return json_object_get(json_object_get(o->root_old, "roles"), "root");
}

static porch_err open_signers(porch_cli_ota *o, const char *role, signers *s, porch_why *why) {
    json_t *unused = NULL;
    const json_t *ids = json_object_get(porch_author_trust(&o->repo, role, &unused), "keyids");
    PORCH_TRY(open_keys(o, ids, NULL, s, why));
    if (strcmp(role, "root") != 0) return PORCH_OK;
    return open_keys(o, json_object_get(old_root_trust(o), "keyids"), ids, s, why);
}

/* ---- counting ---- */

porch_err porch_cli_ota_signed_by(const porch_cli_ota *o, const char *role, const json_t *document,
                                  size_t *have, size_t *need, bool *enough, porch_why *why) {
    json_t *keys = NULL;
    const json_t *trust = porch_author_trust(&o->repo, role, &keys), *old = old_root_trust(o);
    size_t before = 0, before_need = (size_t)json_integer_value(json_object_get(old, "threshold"));
    bool before_enough = true;
    PORCH_TRY(porch_author_count(document, keys, trust, have, enough, why));
    *need = (size_t)json_integer_value(json_object_get(trust, "threshold"));
    if (strcmp(role, "root") != 0 || old == NULL) return PORCH_OK;
    PORCH_TRY(porch_author_count(document, json_object_get(o->root_old, "keys"), old, &before,
                                 &before_enough, why));
    if (!before_enough && (*enough || before_need - before > *need - *have)) {
        *have = before;
        *need = before_need;
    }
    *enough = *enough && before_enough;
    return PORCH_OK;
}

void porch_cli_ota_waiting_text(const porch_cli_ota *o, char *out, size_t cap) {
    json_t *each;
    size_t i, len = 0;
    out[0] = '\0';
    json_array_foreach(o->waiting, i, each) {
        size_t have = 0, need = 0;
        bool enough = false;
        const char *role = json_string_value(json_object_get(each, "role"));
        if (porch_cli_ota_signed_by(o, role, json_object_get(each, "document"), &have, &need, &enough,
                                    NULL) != PORCH_OK)
            continue;
        int n = snprintf(out + len, cap - len, "%s%s: %zu of %zu", len > 0 ? ", " : "", role, have, need);
        if (n < 0 || (size_t)n >= cap - len) return;
        len += (size_t)n;
    }
}

/* ---- files ---- */

static porch_err write_text(const porch_cli_ota *o, const char *folder, const char *name,
                            const json_t *document, const json_t *content, json_t *above,
                            const char *announced, porch_why *why) {
    char file[FILE_TEXT], path[PORCH_CLI_PATH_BYTES];
    char *text = json_dumps(document, JSON_INDENT(1) | JSON_SORT_KEYS);
    if (text == NULL) return no_memory(why);
    (void)snprintf(file, sizeof file, "%s/%.200s", folder, name);
    porch_err e = porch_cli_ota_path(o, file, path, why);
    if (e == PORCH_OK && above != NULL)
        e = porch_author_announce(above, announced, content, porch_bytes_of(text), why);
    if (e == PORCH_OK) e = porch_file_write_atomic(path, porch_bytes_of(text), 0644, why);
    free(text);
    return e;
}

/* "camera.json", and below which name it lies. */
static void names_of(const char *role, const json_t *content, char announced[FILE_TEXT],
                     char file[FILE_TEXT]) {
    long long version = (long long)json_integer_value(json_object_get(content, "version"));
    (void)snprintf(announced, FILE_TEXT, "%.120s.json", role);
    if (strcmp(role, "timestamp") == 0)
        (void)snprintf(file, FILE_TEXT, "%s", announced);
    else
        (void)snprintf(file, FILE_TEXT, "%lld.%.120s.json", version, role);
}

static porch_err put_role(const porch_cli_ota *o, const char *role, const json_t *document, json_t *above,
                          porch_why *why) {
    char announced[FILE_TEXT], file[FILE_TEXT];
    const json_t *content = json_object_get(document, "signed");
    names_of(role, content, announced, file);
    return write_text(o, "repository/metadata", file, document, content, above, announced, why);
}

/* ---- the next version of a role ---- */

static porch_err next_version(porch_cli_ota *o, const char *role, porch_why *why) {
    char expires[PORCH_CLOCK_TEXT_BYTES];
    size_t row = 0;
    while (lives[row].role != NULL && strcmp(lives[row].role, role) != 0)
        row++;
    porch_clock_rfc3339(porch_clock_ms() + (uint64_t)lives[row].days * DAY_S * 1000, expires);
    (void)snprintf(expires + 19, sizeof expires - 19, "Z"); /* whole seconds */
    return porch_author_next(porch_author_role(&o->repo, role), expires, why);
}

static porch_err sign_document(porch_cli_ota *o, const char *role, json_t *document, porch_why *why) {
    signers s = {.count = 0};
    if (porch_cli_ota_of_hub(o, role)) return PORCH_OK;
    porch_err e = open_signers(o, role, &s, why);
    if (e == PORCH_OK) e = porch_author_sign_more(document, (const porch_key *const *)s.key, s.count, why);
    let_go(&s);
    return e;
}

/* Snapshot or timestamp, whose keys lie in the folder or with the hub. */
static porch_err write_online(porch_cli_ota *o, const char *role, json_t *above, porch_why *why) {
    size_t have = 0, need = 0;
    bool enough = true;
    PORCH_TRY(next_version(o, role, why));
    json_t *document = json_pack("{s:[],s:O}", "signatures", "signed", porch_author_role(&o->repo, role));
    porch_err e = document != NULL ? sign_document(o, role, document, why) : no_memory(why);
    if (e == PORCH_OK && !porch_cli_ota_of_hub(o, role))
        e = porch_cli_ota_signed_by(o, role, document, &have, &need, &enough, why);
    if (e == PORCH_OK && !enough)
        e = porch_fail(why, PORCH_ERR_STATE, "the key of %s is not at hand (online/ of the folder)", role);
    if (e == PORCH_OK) e = put_role(o, role, document, above, why);
    json_decref(document);
    return e;
}

/* ---- waiting ---- */

static porch_err add_waiting(porch_cli_ota *o, const char *role, json_t *document, json_t *before,
                             porch_why *why) {
    char announced[FILE_TEXT], file[FILE_TEXT];
    names_of(role, json_object_get(document, "signed"), announced, file);
    json_t *entry =
        json_pack("{s:s,s:s,s:o,s:O?}", "file", file, "role", role, "document", document, "before", before);
    if (o->waiting == NULL) o->waiting = json_array();
    return entry != NULL && json_array_append_new(o->waiting, entry) == 0 ? PORCH_OK : no_memory(why);
}

static porch_err keep_waiting(const porch_cli_ota *o, porch_why *why) {
    char path[PORCH_CLI_PATH_BYTES];
    json_t *each;
    size_t i;
    PORCH_TRY(porch_cli_ota_path(o, "waiting", path, why));
    PORCH_TRY(porch_dir_make(path, 0755, why));
    json_array_foreach(o->waiting, i, each)
        PORCH_TRY(write_text(o, "waiting", json_string_value(json_object_get(each, "file")),
                             json_object_get(each, "document"), NULL, NULL, NULL, why));
    return PORCH_OK;
}

porch_err porch_cli_ota_drop_waiting(porch_cli_ota *o, porch_why *why) {
    char file[FILE_TEXT], path[PORCH_CLI_PATH_BYTES];
    json_t *each;
    size_t i;
    json_array_foreach(o->waiting, i, each) {
        (void)snprintf(file, sizeof file, "waiting/%.200s",
                       json_string_value(json_object_get(each, "file")));
        PORCH_TRY(porch_cli_ota_path(o, file, path, why));
        if (unlink(path) != 0 && errno != ENOENT)
            return porch_fail(why, PORCH_ERR_IO, "remove %s: %s", path, strerror(errno));
    }
    json_decref(o->waiting);
    o->waiting = NULL;
    return PORCH_OK;
}

/* Into force: what the snapshot names, snapshot, root, and timestamp last. */
static porch_err settle(porch_cli_ota *o, porch_why *why) {
    json_t *each, *root = NULL;
    size_t i;
    json_array_foreach(o->waiting, i, each) {
        const char *role = json_string_value(json_object_get(each, "role"));
        json_t *document = json_object_get(each, "document");
        if (strcmp(role, "root") == 0)
            root = document;
        else
            PORCH_TRY(put_role(o, role, document, o->repo.snapshot, why));
    }
    PORCH_TRY(write_online(o, "snapshot", o->repo.timestamp, why));
    if (root != NULL) PORCH_TRY(put_role(o, "root", root, NULL, why));
    PORCH_TRY(write_online(o, "timestamp", NULL, why));
    return porch_cli_ota_drop_waiting(o, why);
}

static porch_err settle_or_wait(porch_cli_ota *o, porch_why *why) {
    json_t *each;
    size_t i;
    bool all = true;
    json_array_foreach(o->waiting, i, each) {
        size_t have = 0, need = 0;
        bool enough = false;
        PORCH_TRY(porch_cli_ota_signed_by(o, json_string_value(json_object_get(each, "role")),
                                          json_object_get(each, "document"), &have, &need, &enough, why));
        all = all && enough;
    }
    return all ? settle(o, why) : keep_waiting(o, why);
}

porch_err porch_cli_ota_commit(porch_cli_ota *o, porch_why *why) {
    for (size_t i = 0; i < o->changed_count; i++) {
        const char *role = o->changed[i];
        if (porch_cli_ota_is_online(role)) continue;
        PORCH_TRY(next_version(o, role, why));
        json_t *document =
            json_pack("{s:[],s:O}", "signatures", "signed", porch_author_role(&o->repo, role));
        porch_err e = document != NULL ? sign_document(o, role, document, why) : no_memory(why);
        if (e != PORCH_OK) {
            json_decref(document);
            return e;
        }
        PORCH_TRY(add_waiting(o, role, document, NULL, why));
    }
    return settle_or_wait(o, why);
}

porch_err porch_cli_ota_sign_waiting(porch_cli_ota *o, porch_why *why) {
    json_t *each;
    size_t i;
    json_array_foreach(o->waiting, i, each) PORCH_TRY(sign_document(
        o, json_string_value(json_object_get(each, "role")), json_object_get(each, "document"), why));
    return settle_or_wait(o, why);
}

/* ---- what is signed names bytes that are there ---- */

static porch_err check_image(const porch_cli_ota *o, const char *path, const json_t *target,
                             porch_why *why) {
    char name[700], file[PORCH_CLI_PATH_BYTES], sha256[65] = "";
    uint8_t *bytes = NULL, hash[32];
    porch_buf hex = {(uint8_t *)sha256, 0, 64};
    size_t len = 0;
    const char *said = json_string_value(json_object_get(json_object_get(target, "hashes"), "sha256")),
               *slash = strrchr(path, '/');
    int folder = slash != NULL ? (int)(slash - path + 1) : 0;
    (void)snprintf(name, sizeof name, "repository/targets/%.*s%.64s.%.200s", folder, path,
                   said != NULL ? said : "", path + folder);
    PORCH_TRY(porch_cli_ota_path(o, name, file, why));
    PORCH_TRY(porch_file_read(file, IMAGE_MOST, &bytes, &len, why));
    porch_sha256((porch_bytes){bytes, len}, hash);
    free(bytes);
    PORCH_TRY(porch_hex_write(&hex, (porch_bytes){hash, sizeof hash}));
    if (said != NULL && strcmp(sha256, said) == 0 &&
        json_integer_value(json_object_get(target, "length")) == (json_int_t)len)
        return PORCH_OK;
    return porch_fail(why, PORCH_ERR_HASH, "%s is not what the change says it is; nothing was signed",
                      file);
}

porch_err porch_cli_ota_check_images(const porch_cli_ota *o, porch_why *why) {
    json_t *each, *target;
    const char *path;
    size_t i;
    json_array_foreach(o->waiting, i, each) {
        json_t *targets =
            json_object_get(json_object_get(json_object_get(each, "document"), "signed"), "targets");
        const json_t *before = json_object_get(json_object_get(each, "before"), "targets");
        json_object_foreach(targets, path, target) if (!json_equal(json_object_get(before, path), target))
            PORCH_TRY(check_image(o, path, target, why));
    }
    return PORCH_OK;
}

/* ---- loading what waits ---- */

/* Its content takes the place of what is in force: that is what is being signed. */
static porch_err take(porch_cli_ota *o, const char *file, json_t *document, porch_why *why) {
    char role[128];
    json_t *content = json_object_get(document, "signed"), **top = NULL;
    const char *dot = strchr(file, '.'), *end = strrchr(file, '.');
    (void)snprintf(role, sizeof role, "%.*s", dot != NULL && end > dot ? (int)(end - dot - 1) : 0,
                   dot != NULL ? dot + 1 : "");
    json_t *now = porch_author_role(&o->repo, role);
    if (content == NULL || !json_is_array(json_object_get(document, "signatures")) ||
        porch_cli_ota_is_online(role) || now == NULL)
        return porch_fail(why, PORCH_ERR_MALFORMED, "waiting/%.100s is no change of this repository", file);
    if (json_integer_value(json_object_get(content, "version")) !=
        json_integer_value(json_object_get(now, "version")) + 1)
        return porch_fail(
            why, PORCH_ERR_STATE,
            "waiting/%.100s does not follow what is in force; drop it: porchlight ota sign %s "
            "--drop",
            file, o->folder);
    PORCH_TRY(add_waiting(o, role, json_incref(document), now, why));
    top = strcmp(role, "root") == 0      ? &o->repo.root
          : strcmp(role, "targets") == 0 ? &o->repo.targets
                                         : NULL;
    if (top == NULL)
        return json_object_set(o->repo.products, role, content) == 0 ? PORCH_OK : no_memory(why);
    json_decref(*top);
    *top = json_incref(content);
    return PORCH_OK;
}

static porch_err read_waiting(porch_cli_ota *o, const char *folder, const char *file, porch_why *why) {
    char path[PORCH_CLI_PATH_BYTES];
    json_error_t error;
    if (porch_path_join(folder, file, path, sizeof path) != PORCH_OK) return PORCH_ERR_LIMIT;
    if (o->dropping) { /* whatever it is */
        if (o->waiting == NULL) o->waiting = json_array();
        return json_array_append_new(o->waiting, json_pack("{s:s,s:s}", "file", file, "role", "")) == 0
                   ? PORCH_OK
                   : no_memory(why);
    }
    json_t *document = json_load_file(path, JSON_REJECT_DUPLICATES, &error);
    if (document == NULL)
        return porch_fail(why, PORCH_ERR_MALFORMED, "%s cannot be read: %.100s", path, error.text);
    porch_err e = take(o, file, document, why);
    json_decref(document);
    return e;
}

porch_err porch_cli_ota_load_waiting(porch_cli_ota *o, porch_why *why) {
    char path[PORCH_CLI_PATH_BYTES], text[200];
    porch_err e = PORCH_OK;
    if (o->in_force) return PORCH_OK;
    PORCH_TRY(porch_cli_ota_path(o, "waiting", path, why));
    DIR *d = opendir(path);
    if (d == NULL) return PORCH_OK;
    for (struct dirent *entry; e == PORCH_OK && (entry = readdir(d)) != NULL;)
        if (entry->d_name[0] != '.') e = read_waiting(o, path, entry->d_name, why);
    (void)closedir(d);
    PORCH_TRY(e);
    if (o->waiting == NULL || o->may_wait) return PORCH_OK;
    porch_cli_ota_waiting_text(o, text, sizeof text);
    return porch_fail(
        why, PORCH_ERR_STATE,
        "a change waits for signatures (%s); sign it first, or drop it: porchlight ota sign %s "
        "[--drop]",
        text, o->folder);
}

/* ---- the manifest for small devices ---- */

static porch_err keep_manifest(porch_cli_ota *o, const char *product, const char *version, porch_bytes text,
                               porch_why *why) {
    char name[400], path[PORCH_CLI_PATH_BYTES], sha256[65] = "";
    uint8_t hash[32];
    porch_buf hex = {(uint8_t *)sha256, 0, 64};
    porch_sha256(text, hash);
    PORCH_TRY(porch_hex_write(&hex, (porch_bytes){hash, sizeof hash}));
    (void)snprintf(name, sizeof name, "repository/targets/%s/%s/%s.manifest", product, version, sha256);
    PORCH_TRY(porch_cli_ota_path(o, name, path, why));
    PORCH_TRY(porch_file_write_atomic(path, text, 0644, why));
    return porch_author_manifest_add(&o->repo, product, version, text.len, sha256, why);
}

porch_err porch_cli_ota_manifest(porch_cli_ota *o, const char *product, const char *version,
                                 porch_why *why) {
    const json_t *target = porch_author_released(&o->repo, product, version);
    signers s = {.count = 0};
    uint8_t *text = NULL;
    size_t len = 0;
    if (target == NULL)
        return porch_fail(why, PORCH_ERR_NOT_FOUND, "%s has no release %s", product, version);
    json_t *unused = NULL;
    porch_err e = open_signers(o, product, &s, why);
    if (e == PORCH_OK &&
        (json_int_t)s.count < json_integer_value(json_object_get(
                                  porch_author_trust(&o->repo, product, &unused), "threshold"))) {
        /* Its bytes are named by what is signed one after another: it cannot be signed so itself. */
        (void)fprintf(
            stderr,
            "No manifest for small devices: it is signed in one step, and not all keys are at hand.\n");
        let_go(&s);
        return PORCH_OK;
    }
    if (e == PORCH_OK)
        e = porch_author_manifest(target, (const porch_key *const *)s.key, s.count, &text, &len, why);
    if (e == PORCH_OK) e = keep_manifest(o, product, version, (porch_bytes){text, len}, why);
    let_go(&s);
    free(text);
    return e;
}
