/* Images that nobody is led to any more: of releases that were withdrawn, deltas to them, shares that were
 * widened since. Kept is what the roles in force name, and what a rollout that runs or is paused gives out.
 * An old image that is the base of a delta lies on the devices that run it; the delta itself is named. */
#include <dirent.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/text.h"
#include "cloud/rollout/updates_room.h"
#include "os/log.h"

enum { DEPTH_MOST = 8, HEX = 64 };

typedef struct {
    char (*at)[PORCH_UPDATES_NAME];
    size_t count, cap;
    bool dry;
    porch_updates_pruned *sums;
} kept;

static porch_err keep(kept *k, const char *name, porch_why *why) {
    if (k->count == k->cap) {
        size_t cap = k->cap * 2 + 64;
        void *more = realloc(k->at, cap * sizeof *k->at);
        if (more == NULL) return porch_fail(why, PORCH_ERR_NO_SPACE, "no memory");
        k->at = more;
        k->cap = cap;
    }
    (void)snprintf(k->at[k->count++], PORCH_UPDATES_NAME, "%s", name);
    return PORCH_OK;
}

static int by_text(const void *a, const void *b) {
    return strcmp(a, b);
}

/* ---- what is named ---- */

static porch_err keep_targets(const porch_updates_doc *d, kept *k, porch_why *why) {
    porch_bytes targets, name, each;
    char path[PORCH_UPDATES_NAME], file[PORCH_UPDATES_NAME];
    porch_tuf_target t;
    if (!porch_tuf_json_object(d->content, "targets", &targets)) return PORCH_OK;
    porch_tuf_json_walk w = porch_tuf_json_open(targets);
    while (porch_tuf_json_next(&w, &name, &each)) {
        if (!porch_tuf_json_copy(name, path, sizeof path)) return PORCH_ERR_LIMIT;
        PORCH_TRY(porch_tuf_target_read(d->content, porch_bytes_of(path), &t, why));
        PORCH_TRY(porch_updates_image_name(path, &t, file, why));
        PORCH_TRY(keep(k, file, why));
    }
    return PORCH_OK;
}

static porch_err keep_roles(const porch_updates *u, kept *k, porch_why *why) {
    char file[PORCH_UPDATES_NAME];
    for (size_t i = 0; i < u->count; i++) {
        porch_updates_doc d = {.version = 0};
        (void)snprintf(file, sizeof file, "%llu.%s.json", (unsigned long long)u->docs[i].version,
                       u->docs[i].role);
        PORCH_TRY(porch_updates_load(u, file, u->docs[i].role, "targets", &d, why));
        porch_err e = keep_targets(&d, k, why);
        porch_updates_doc_free(&d);
        PORCH_TRY(e);
    }
    return PORCH_OK;
}

/* By their hash alone: these names are shorter than any path. */
static porch_err read_rollouts(porch_db *db, void *ctx, porch_why *why) {
    kept *k = ctx;
    char sha256[HEX + 1];
    porch_db_query *q =
        porch_db_prepare(db, "select sha256 from update_rollout where state in ('running', 'paused')", why);
    porch_err e = PORCH_OK;
    while (e == PORCH_OK && (e = porch_db_step(q, why)) == PORCH_OK)
        if (porch_bytes_to_text(porch_db_text(q, 0), sha256, sizeof sha256)) e = keep(k, sha256, why);
    porch_db_finish(q);
    return e == PORCH_ERR_NOT_FOUND ? PORCH_OK : e;
}

static bool is_kept(const kept *k, const char *name) {
    char sha256[HEX + 1];
    const char *file = strrchr(name, '/');
    (void)snprintf(sha256, sizeof sha256, "%.64s", file != NULL ? file + 1 : name);
    return bsearch(name, k->at, k->count, sizeof *k->at, by_text) != NULL ||
           bsearch(sha256, k->at, k->count, sizeof *k->at, by_text) != NULL;
}

/* ---- what lies there ---- */

static porch_err walk(const porch_updates *u, const char *folder, unsigned depth, kept *k, porch_why *why) {
    char path[PORCH_UPDATES_PATH], name[PORCH_UPDATES_NAME];
    porch_err e = PORCH_OK;
    PORCH_TRY(porch_updates_place(u, folder, path));
    DIR *d = opendir(path);
    if (d == NULL) return porch_fail(why, PORCH_ERR_IO, "%.200s: %s", folder, strerror(errno));
    for (struct dirent *entry; e == PORCH_OK && (entry = readdir(d)) != NULL;) {
        struct stat st;
        int n = snprintf(name, sizeof name, "%s/%s", folder, entry->d_name);
        if (entry->d_name[0] == '.' || n < 0 || (size_t)n >= sizeof name ||
            porch_updates_place(u, name, path) != PORCH_OK || lstat(path, &st) != 0)
            continue;
        if (S_ISDIR(st.st_mode)) {
            if (depth < DEPTH_MOST) e = walk(u, name, depth + 1, k, why);
            if (e == PORCH_OK && !k->dry) (void)rmdir(path); /* goes when it is empty */
            continue;
        }
        if (is_kept(k, name)) continue;
        if (!k->dry && unlink(path) != 0)
            e = porch_fail(why, PORCH_ERR_IO, "remove %.200s: %s", name, strerror(errno));
        k->sums->files++;
        k->sums->bytes += (uint64_t)st.st_size;
    }
    (void)closedir(d);
    return e;
}

porch_err porch_updates_prune(porch_updates *u, bool dry, porch_updates_pruned *ret, porch_why *why) {
    kept k = {.dry = dry, .sums = ret};
    *ret = (porch_updates_pruned){0, 0};
    pthread_mutex_lock(&u->publish);
    porch_err e = porch_updates_ready(u, why);
    if (e == PORCH_OK) e = keep_roles(u, &k, why);
    if (e == PORCH_OK) e = porch_store_read(u->config.store, read_rollouts, &k, why);
    if (e == PORCH_OK && k.count > 0) qsort(k.at, k.count, sizeof *k.at, by_text);
    if (e == PORCH_OK) e = walk(u, "targets", 0, &k, why);
    pthread_mutex_unlock(&u->publish);
    free(k.at);
    if (e == PORCH_OK && !dry && ret->files > 0)
        porch_log(PORCH_LOG_INFO, "update.pruned", "files", porch_log_number(ret->files).text, "bytes",
                  porch_log_number(ret->bytes).text, NULL);
    return e;
}
