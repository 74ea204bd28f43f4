/* `porchlight ota keys|publish|prune`, and `ota status` of a hub: the way from the team's folder to a hub.
 * Nothing that signs travels: the folder's repository/ goes over, as it is, and the hub verifies it before
 * a device sees it. */
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/text.h"
#include "cli/cli_ota.h"
#include "cli/cli_room.h"
#include "cli/progress.h"
#include "crypto/sha256.h"
#include "os/clock.h"
#include "os/file.h"

enum { CHUNK = 1024 * 1024, FILES_MOST = 4096, METADATA_MOST = 5 * 1024 * 1024 };

/* ---- keys ---- */

static const porch_cli_option keys_options[] = {
    {"--out", "FILE", false, false, "where to write them; without it they are printed"},
    {0},
};

static int keys(porch_cli *c) {
    porch_why why = {""};
    json_t *result = NULL;
    const char *out = porch_cli_text(c, "--out");
    porch_err e = porch_cli_ask(c, "ota.keys", NULL, &result, &why);
    char *text = e == PORCH_OK ? json_dumps(result, JSON_INDENT(1) | JSON_SORT_KEYS) : NULL;
    if (e == PORCH_OK && out != NULL)
        e = text == NULL ? PORCH_ERR_NO_SPACE
                         : porch_file_write_atomic(out, porch_bytes_of(text), 0644, &why);
    if (e == PORCH_OK && !porch_cli_json(c, result)) (void)printf("%s\n", out != NULL ? out : text);
    free(text);
    json_decref(result);
    return e == PORCH_OK ? PORCH_CLI_DONE : porch_cli_fail(e, &why);
}

/* ---- publish ---- */

typedef struct {
    const porch_cli *c;
    porch_cli_hub *hub;
    json_t *names;  /* of files, in order */
    json_t *hashes; /* {ROLE: SHA-256} */
    json_t *plan;
    uint64_t total, done;
    uint64_t sent; /* bytes that had to travel */
    porch_progress bar;
} job;

static porch_err no_memory(porch_why *why) {
    return porch_fail(why, PORCH_ERR_NO_SPACE, "no memory");
}

static porch_err add_name(job *j, const char *name, porch_why *why) {
    char path[PORCH_CLI_PATH_BYTES];
    struct stat st;
    int n = snprintf(path, sizeof path, "%s/repository/%s", j->c->argument, name);
    if (n < 0 || (size_t)n >= sizeof path || stat(path, &st) != 0 || !S_ISREG(st.st_mode))
        return porch_fail(why, PORCH_ERR_NOT_FOUND, "%.200s is missing in the folder", path);
    if (json_array_size(j->names) >= FILES_MOST)
        return porch_fail(why, PORCH_ERR_LIMIT, "more than %d files", FILES_MOST);
    j->total += (uint64_t)st.st_size;
    return json_array_append_new(j->names, json_string(name)) == 0 ? PORCH_OK : no_memory(why);
}

/* What the file is here: the hub may have another one of that name. */
static porch_err add_hash(const job *j, const char *role, const char *name, porch_why *why) {
    char path[PORCH_CLI_PATH_BYTES], hex[65] = "";
    uint8_t hash[32], *text = NULL;
    size_t len = 0;
    porch_buf out = {(uint8_t *)hex, 0, sizeof hex - 1};
    (void)snprintf(path, sizeof path, "%s/repository/%s", j->c->argument, name); /* add_name took it */
    PORCH_TRY(porch_file_read(path, METADATA_MOST, &text, &len, why));
    porch_sha256((porch_bytes){text, len}, hash);
    free(text);
    PORCH_TRY(porch_hex_write(&out, (porch_bytes){hash, sizeof hash}));
    return json_object_set_new(j->hashes, role, json_string(hex)) == 0 ? PORCH_OK : no_memory(why);
}

static long long version_of(const json_t *content) {
    return (long long)json_integer_value(json_object_get(content, "version"));
}

static porch_err add_targets(job *j, const json_t *content, porch_why *why) {
    const char *path;
    json_t *target;
    json_object_foreach(json_object_get(content, "targets"), path, target) {
        char name[600];
        const char *sha256 =
            json_string_value(json_object_get(json_object_get(target, "hashes"), "sha256"));
        const char *slash = strrchr(path, '/');
        if (sha256 == NULL) return porch_fail(why, PORCH_ERR_MALFORMED, "%.200s names no SHA-256", path);
        (void)snprintf(name, sizeof name, "targets/%.*s%.64s.%.200s",
                       slash != NULL ? (int)(slash - path + 1) : 0, path, sha256,
                       slash != NULL ? slash + 1 : path);
        PORCH_TRY(add_name(j, name, why));
    }
    return PORCH_OK;
}

/* All files of what the folder's snapshot names, and the chain of roots. */
static porch_err list_files(job *j, porch_cli_ota *o, porch_why *why) {
    char name[300], role[300];
    const char *file;
    json_t *meta, *roles = json_object();
    json_object_foreach(json_object_get(o->repo.snapshot, "meta"), file, meta) {
        size_t len = strlen(file);
        (void)snprintf(name, sizeof name, "metadata/%lld.%.200s", version_of(meta), file);
        PORCH_TRY(add_name(j, name, why));
        (void)snprintf(role, sizeof role, "%.*s", len > 5 ? (int)(len - 5) : 0, file);
        PORCH_TRY(add_hash(j, role, name, why));
        (void)json_object_set(roles, role, json_object_get(meta, "version"));
    }
    PORCH_TRY(add_targets(j, o->repo.targets, why));
    json_object_foreach(o->repo.products, file, meta) PORCH_TRY(add_targets(j, meta, why));
    for (long long v = 1; v <= version_of(o->repo.root); v++) {
        (void)snprintf(name, sizeof name, "metadata/%lld.root.json", v);
        PORCH_TRY(add_name(j, name, why));
    }
    PORCH_TRY(add_hash(j, "root", name, why)); /* the newest */
    j->plan = json_pack("{s:O,s:O,s:O,s:o,s:O}", "root", json_object_get(o->repo.root, "version"),
                        "snapshot", json_object_get(o->repo.snapshot, "version"), "timestamp",
                        json_object_get(o->repo.timestamp, "version"), "roles", roles, "sha256", j->hashes);
    return j->plan != NULL ? PORCH_OK : no_memory(why);
}

static porch_err put(job *j, const char *name, uint64_t offset, porch_bytes bytes, porch_why *why) {
    size_t cap = bytes.len / 3 * 4 + 8;
    porch_buf text = {malloc(cap), 0, cap - 1};
    json_t *result = NULL;
    if (text.at == NULL) return no_memory(why);
    porch_err e = porch_base64_write(&text, bytes, false);
    text.at[text.len] = '\0';
    if (e == PORCH_OK)
        e = porch_cli_hub_ask(j->hub, "ota.put",
                              json_pack("{s:s,s:I,s:s}", "name", name, "offset", (json_int_t)offset, "data",
                                        (const char *)text.at),
                              &result, why);
    json_decref(result);
    free(text.at);
    return e;
}

/* From the byte that the hub has; what it has is hashed there at the end, so a wrong half is found. */
static porch_err send_file(job *j, const char *name, uint64_t from, porch_why *why) {
    char path[PORCH_CLI_PATH_BYTES];
    (void)snprintf(path, sizeof path, "%s/repository/%s", j->c->argument, name);
    int fd = open(path, O_RDONLY | O_CLOEXEC);
    uint8_t *block = malloc(CHUNK);
    struct stat st;
    porch_err e = fd >= 0 && block != NULL && fstat(fd, &st) == 0
                      ? PORCH_OK
                      : porch_fail(why, PORCH_ERR_IO, "%.200s cannot be read", path);
    if (e == PORCH_OK && (from > (uint64_t)st.st_size || strncmp(name, "metadata/", 9) == 0)) from = 0;
    j->done += from;
    for (ssize_t n = 1; e == PORCH_OK && n > 0;) {
        n = pread(fd, block, CHUNK, (off_t)from);
        if (n < 0) e = porch_fail(why, PORCH_ERR_IO, "%.200s: %s", path, strerror(errno));
        if (n > 0) e = put(j, name, from, (porch_bytes){block, (size_t)n}, why);
        if (n <= 0 || e != PORCH_OK) break;
        from += (uint64_t)n;
        j->done += (uint64_t)n;
        j->sent += (uint64_t)n;
        porch_progress_at(&j->bar, j->done);
    }
    if (fd >= 0) (void)close(fd);
    free(block);
    return e;
}

static porch_err send_all(job *j, porch_why *why) {
    json_t *there = NULL, *each;
    size_t i;
    porch_err e = porch_cli_hub_ask(j->hub, "ota.have", json_pack("{s:O}", "names", j->names), &there, why);
    j->bar = porch_progress_begin(j->total);
    json_array_foreach(j->names, i, each) {
        const json_t *state = json_array_get(json_object_get(there, "files"), i);
        if (e != PORCH_OK) break;
        if (json_is_true(json_object_get(state, "whole"))) {
            j->done += porch_cli_number(state, "bytes");
            porch_progress_at(&j->bar, j->done);
            continue;
        }
        e = send_file(j, json_string_value(each), porch_cli_number(state, "bytes"), why);
    }
    porch_progress_end(&j->bar);
    json_decref(there);
    return e;
}

static int publish(porch_cli *c) {
    porch_cli_ota o = {.folder = c->argument};
    porch_why why = {""};
    json_t *result = NULL;
    job j = {.c = c, .names = json_array(), .hashes = json_object()};
    porch_err e = porch_cli_ota_load(&o, &why);
    if (e == PORCH_OK) e = list_files(&j, &o, &why);
    if (e == PORCH_OK) e = porch_cli_hub_open(c->dir, &j.hub, &why);
    if (e == PORCH_OK) e = send_all(&j, &why);
    if (e == PORCH_OK) e = porch_cli_hub_ask(j.hub, "ota.commit", json_incref(j.plan), &result, &why);
    if (e == PORCH_OK) (void)json_object_set_new(result, "sent_bytes", json_integer((json_int_t)j.sent));
    if (e == PORCH_OK && !porch_cli_json(c, result))
        (void)printf("Published: %llu new release(s), %llu withdrawn; %llu bytes sent. Snapshot %llu and "
                     "timestamp %llu "
                     "are the hub's.\n",
                     (unsigned long long)porch_cli_number(result, "releases"),
                     (unsigned long long)porch_cli_number(result, "withdrawn"), (unsigned long long)j.sent,
                     (unsigned long long)porch_cli_number(result, "snapshot"),
                     (unsigned long long)porch_cli_number(result, "timestamp"));
    porch_cli_hub_close(j.hub);
    porch_cli_ota_free(&o);
    json_decref(result);
    json_decref(j.plan);
    json_decref(j.names);
    json_decref(j.hashes);
    return e == PORCH_OK ? PORCH_CLI_DONE : porch_cli_fail(e, &why);
}

/* ---- what the hub serves ---- */

/* Images that are not what was signed: no device gets them. */
static void show_damaged_images(const porch_cli *c, const json_t *result) {
    const json_t *names = json_object_get(result, "damaged_images"), *name;
    for (size_t i = 0; (name = json_array_get(names, i)) != NULL; i++)
        (void)printf("Damaged, served to nobody: %s\n", porch_cli_safe(json_string_value(name)).text);
    if (json_array_size(names) > 0)
        (void)printf("Publish the team's folder again: porchlight -C %s ota publish FOLDER\n", c->dir);
}

/* A publish that broke off, or a signature that did not come: what is in force ends. */
static void show_trouble(const porch_cli *c, const json_t *result, const char *ends) {
    const char *trouble = porch_cli_member(result, "trouble");
    if (trouble[0] == '\0') return;
    (void)printf(
        "Not well: %s.\nThe hub tries again by itself. If that does not help, publish the team's newest "
        "folder%s%s%s:\nporchlight -C %s ota publish FOLDER\n",
        porch_cli_safe(trouble).text, ends[0] != '\0' ? " before " : "", ends,
        ends[0] != '\0' ? ", when devices begin to refuse what is in force" : "", c->dir);
}

int porch_cli_ota_hub_status(porch_cli *c) {
    porch_why why = {""};
    json_t *result = NULL;
    char ends[2][PORCH_CLOCK_TEXT_BYTES];
    porch_err e = porch_cli_ask(c, "ota.status", NULL, &result, &why);
    if (e != PORCH_OK) return porch_cli_fail(e, &why);
    const char *damage = porch_cli_member(result, "damage");
    porch_clock_rfc3339(porch_cli_number(result, "snapshot_ends_ms"), ends[0]);
    porch_clock_rfc3339(porch_cli_number(result, "timestamp_ends_ms"), ends[1]);
    if (!porch_cli_json(c, result)) {
        if (damage[0] != '\0')
            (void)printf(
                "The update repository is damaged: %s.\nNothing of it is served or rolled out until it "
                "was published again:\nporchlight -C %s ota publish FOLDER\n",
                porch_cli_safe(damage).text, c->dir);
        else if (!json_is_true(json_object_get(result, "published")))
            (void)printf("Nothing is published yet: porchlight -C %s ota publish FOLDER\n", c->dir);
        else
            (void)printf("In force: root %llu, snapshot %llu until %s, timestamp %llu until %s.\n",
                         (unsigned long long)porch_cli_number(result, "root"),
                         (unsigned long long)porch_cli_number(result, "snapshot"), ends[0],
                         (unsigned long long)porch_cli_number(result, "timestamp"), ends[1]);
        show_trouble(c, result, porch_cli_number(result, "timestamp_ends_ms") > 0 ? ends[1] : "");
        show_damaged_images(c, result);
    }
    bool whole = damage[0] == '\0' && porch_cli_member(result, "trouble")[0] == '\0' &&
                 json_array_size(json_object_get(result, "damaged_images")) == 0;
    json_decref(result);
    return whole ? PORCH_CLI_DONE : PORCH_CLI_REFUSED;
}

/* ---- prune ---- */

static const porch_cli_option prune_options[] = {
    {"--yes", NULL, false, false, "remove them; without it they are only counted"},
    {0},
};

static int prune(porch_cli *c) {
    porch_why why = {""};
    json_t *result = NULL;
    bool yes = porch_cli_flag(c, "--yes");
    porch_err e = porch_cli_ask(c, "ota.prune", json_pack("{s:b}", "dry_run", !yes), &result, &why);
    if (e != PORCH_OK) return porch_cli_fail(e, &why);
    unsigned long long files = porch_cli_number(result, "files"), bytes = porch_cli_number(result, "bytes");
    if (!porch_cli_json(c, result))
        (void)printf(yes ? "%llu file(s), %llu bytes, are removed.\n"
                     : files == 0
                         ? "%llu file(s), %llu bytes: nothing to remove.\n"
                         : "%llu file(s), %llu bytes, would be removed: images of withdrawn releases and "
                           "what goes with them. Nothing was;\n--yes removes them.\n",
                     files, bytes);
    json_decref(result);
    return PORCH_CLI_DONE;
}

const porch_cli_command porch_cli_ota_publish_commands[] = {
    {"ota keys", NULL, false, keys_options,
     "shows the public keys with which this hub signs snapshot, timestamp and the time\n"
     "Give them to `ota init --online-keys` or `ota online-keys`: the folder's root then names them.",
     keys},
    {"ota publish", "FOLDER", false, NULL,
     "brings an update repository to the hub, which verifies and serves it\n"
     "Only what is new travels; a transfer that was cut goes on where it was. Devices see all of it or "
     "nothing.",
     publish},
    {"ota prune", NULL, false, prune_options,
     "removes images that nobody is led to any more from the hub\n"
     "Kept is what the roles in force name, and what a rollout under way gives out: withdraw a release "
     "(`ota revoke`) and publish first.",
     prune},
    {0},
};
