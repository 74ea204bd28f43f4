/* The files of the repository: names that cannot leave its folder, and moves that survive a power cut. */
#include "cloud/rollout/updates_room.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/text.h"
#include "crypto/sha256.h"
#include "os/file.h"

enum { STEPS_MOST = 8, MODE = 0600, FOLDER_MODE = 0700, BLOCK = 256 * 1024 };

static bool step_ok(const char *at, size_t len) {
    if (len == 0 || len > 200 || at[0] == '.') return false;
    for (size_t i = 0; i < len; i++) {
        char c = at[i];
        if (!((c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') || c == '.' ||
              c == '-' || c == '_' || c == '+' || c == '%'))
            return false;
    }
    return true;
}

bool porch_updates_name_ok(const char *name) {
    size_t len = strlen(name), steps = 0;
    bool metadata = strncmp(name, "metadata/", 9) == 0;
    if (len >= PORCH_UPDATES_NAME || (!metadata && strncmp(name, "targets/", 8) != 0)) return false;
    for (const char *at = name; at != NULL && steps <= STEPS_MOST; steps++) {
        const char *end = strchr(at, '/');
        if (!step_ok(at, end != NULL ? (size_t)(end - at) : strlen(at))) return false;
        at = end != NULL ? end + 1 : NULL;
    }
    if (steps < 2 || steps > STEPS_MOST) return false;
    return !metadata || (steps == 2 && len > 14 && strcmp(name + len - 5, ".json") == 0);
}

porch_err porch_updates_place(const porch_updates *u, const char *name, char out[PORCH_UPDATES_PATH]) {
    return porch_path_join(u->folder, name, out, PORCH_UPDATES_PATH);
}

/* One flat folder: the slashes of a name become '!', which no name holds. */
porch_err porch_updates_incoming(const porch_updates *u, const char *name, char out[PORCH_UPDATES_PATH]) {
    char flat[PORCH_UPDATES_NAME + 16];
    int n = snprintf(flat, sizeof flat, "incoming/%s", name);
    if (n < 0 || (size_t)n >= sizeof flat) return PORCH_ERR_LIMIT;
    for (char *c = flat + strlen("incoming/"); *c != '\0'; c++)
        if (*c == '/') *c = '!';
    return porch_path_join(u->folder, flat, out, PORCH_UPDATES_PATH);
}

porch_err porch_updates_find(const porch_updates *u, const char *name, char out[PORCH_UPDATES_PATH],
                             bool *published, uint64_t *bytes, porch_why *why) {
    struct stat st;
    if (!porch_updates_name_ok(name))
        return porch_fail(why, PORCH_ERR_MALFORMED, "'%.64s' is no file of an update repository", name);
    const bool mistrusted = porch_updates_mistrusted(u, name);
    for (unsigned i = 0; i < 2; i++) {
        *published = mistrusted == (i == 1);
        PORCH_TRY(*published ? porch_updates_place(u, name, out) : porch_updates_incoming(u, name, out));
        if (lstat(out, &st) != 0 || !S_ISREG(st.st_mode)) continue;
        *bytes = (uint64_t)st.st_size;
        return PORCH_OK;
    }
    *published = false;
    return porch_fail(why, PORCH_ERR_NOT_FOUND, "%.120s is missing: publish it again", name);
}

/* ---- images ---- */

porch_err porch_updates_image_name(const char *path, const porch_tuf_target *target,
                                   char out[PORCH_UPDATES_NAME], porch_why *why) {
    char hex[65];
    porch_buf b = {(uint8_t *)hex, 0, 64};
    const char *slash = strrchr(path, '/');
    if (!target->hashes.has_sha256)
        return porch_fail(why, PORCH_ERR_UNSUPPORTED, "%.100s names no SHA-256", path);
    PORCH_TRY(porch_hex_write(&b, (porch_bytes){target->hashes.sha256, 32}));
    hex[b.len] = '\0';
    int n =
        snprintf(out, PORCH_UPDATES_NAME, "targets/%.*s%s.%s", slash != NULL ? (int)(slash - path + 1) : 0,
                 path, hex, slash != NULL ? slash + 1 : path);
    return n > 0 && n < PORCH_UPDATES_NAME
               ? PORCH_OK
               : porch_fail(why, PORCH_ERR_LIMIT, "%.100s: the name is too long", path);
}

porch_err porch_updates_each_image(const porch_updates_doc *d, porch_updates_image_fn fn, void *ctx,
                                   porch_why *why) {
    porch_bytes targets, name, each;
    char path[PORCH_UPDATES_NAME], file[PORCH_UPDATES_NAME];
    porch_tuf_target t;
    if (!porch_tuf_json_object(d->content, "targets", &targets)) return PORCH_OK;
    porch_tuf_json_walk w = porch_tuf_json_open(targets);
    while (porch_tuf_json_next(&w, &name, &each)) {
        if (!porch_tuf_json_copy(name, path, sizeof path))
            return porch_fail(why, PORCH_ERR_LIMIT, "%s names a target with too long a name", d->role);
        PORCH_TRY(porch_tuf_target_read(d->content, porch_bytes_of(path), &t, why));
        PORCH_TRY(porch_updates_image_name(path, &t, file, why));
        PORCH_TRY(fn(file, &t, ctx, why));
    }
    return PORCH_OK;
}

porch_err porch_updates_hash(const char *path, uint8_t hash[32], porch_why *why) {
    int fd = open(path, O_RDONLY | O_CLOEXEC | O_NOFOLLOW);
    uint8_t *block = malloc(BLOCK);
    porch_sha256_state *state = porch_sha256_new();
    ssize_t n = -1;
    if (fd >= 0 && block != NULL && state != NULL)
        while ((n = read(fd, block, BLOCK)) > 0)
            porch_sha256_update(state, (porch_bytes){block, (size_t)n});
    if (state != NULL) porch_sha256_finish(state, hash);
    porch_sha256_free(state);
    free(block);
    if (fd >= 0) (void)close(fd);
    return n == 0 ? PORCH_OK : porch_fail(why, PORCH_ERR_IO, "%.200s cannot be read", path);
}

bool porch_updates_is_image(const char *path) {
    uint8_t hash[32], said[32];
    porch_buf b = PORCH_BUF_OF(said);
    const char *name = strrchr(path, '/');
    if (name == NULL || strlen(name) < 66 || name[65] != '.' ||
        porch_hex_read(&b, (porch_bytes){(const uint8_t *)name + 1, 64}) != PORCH_OK)
        return false;
    return porch_updates_hash(path, hash, NULL) == PORCH_OK && memcmp(hash, said, sizeof hash) == 0;
}

/* Makes the folders above a file below DIR/updates. */
static porch_err make_folders(const porch_updates *u, const char *name, porch_why *why) {
    char path[PORCH_UPDATES_PATH], above[PORCH_UPDATES_NAME];
    for (const char *slash = strchr(name, '/'); slash != NULL; slash = strchr(slash + 1, '/')) {
        (void)snprintf(above, sizeof above, "%.*s", (int)(slash - name), name);
        PORCH_TRY(porch_updates_place(u, above, path));
        if (access(path, F_OK) == 0) continue;
        PORCH_TRY(porch_dir_make(path, FOLDER_MODE, why));
        char *end = strrchr(path, '/');
        *end = '\0';
        PORCH_TRY(porch_dir_sync(path, why));
    }
    return PORCH_OK;
}

porch_err porch_updates_move(const porch_updates *u, const char *name, porch_why *why) {
    char from[PORCH_UPDATES_PATH], to[PORCH_UPDATES_PATH];
    PORCH_TRY(porch_updates_place(u, name, to));
    PORCH_TRY(porch_updates_incoming(u, name, from));
    bool fresh = access(from, F_OK) == 0;
    if (access(to, F_OK) == 0 && !(fresh && porch_updates_mistrusted(u, name))) return PORCH_OK;
    PORCH_TRY(make_folders(u, name, why));
    if (rename(from, to) != 0)
        return porch_fail(why, PORCH_ERR_IO, "keep %.100s: %s", name, strerror(errno));
    porch_updates_mended(u, name);
    *strrchr(to, '/') = '\0';
    return porch_dir_sync(to, why);
}

porch_err porch_updates_write(const porch_updates *u, const char *name, porch_bytes bytes, porch_why *why) {
    char path[PORCH_UPDATES_PATH];
    PORCH_TRY(porch_updates_place(u, name, path));
    PORCH_TRY(make_folders(u, name, why));
    return porch_file_write_atomic(path, bytes, MODE, why);
}

void porch_updates_sweep(const porch_updates *u) {
    char path[PORCH_UPDATES_PATH];
    if (porch_path_join(u->folder, "incoming", path, sizeof path) != PORCH_OK) return;
    DIR *d = opendir(path);
    if (d == NULL) return;
    for (struct dirent *e = readdir(d); e != NULL; e = readdir(d))
        if (e->d_name[0] != '.') (void)unlinkat(dirfd(d), e->d_name, 0);
    (void)closedir(d);
}
