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
    porch_updates_names names;
    bool dry;
    porch_updates_pruned *sums;
} kept;

static int by_text(const void *a, const void *b) {
    return strcmp(a, b);
}

/* ---- what is named ---- */

/* By their hash alone: these names are shorter than any path. */
static porch_err read_rollouts(porch_db *db, void *ctx, porch_why *why) {
    kept *k = ctx;
    char sha256[HEX + 1];
    porch_db_query *q =
        porch_db_prepare(db, "select sha256 from update_rollout where state in ('running', 'paused')", why);
    porch_err e = PORCH_OK;
    while (e == PORCH_OK && (e = porch_db_step(q, why)) == PORCH_OK)
        if (porch_bytes_to_text(porch_db_text(q, 0), sha256, sizeof sha256))
            e = porch_updates_names_add(&k->names, sha256, why);
    porch_db_finish(q);
    return e == PORCH_ERR_NOT_FOUND ? PORCH_OK : e;
}

static bool is_kept(const kept *k, const char *name) {
    char sha256[HEX + 1];
    const char *file = strrchr(name, '/');
    (void)snprintf(sha256, sizeof sha256, "%.64s", file != NULL ? file + 1 : name);
    return bsearch(name, k->names.at, k->names.count, sizeof *k->names.at, by_text) != NULL ||
           bsearch(sha256, k->names.at, k->names.count, sizeof *k->names.at, by_text) != NULL;
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
    if (e == PORCH_OK) e = porch_updates_names_in_force(u, &k.names, why);
    if (e == PORCH_OK) e = porch_store_read(u->config.store, read_rollouts, &k, why);
    if (e == PORCH_OK && k.names.count > 0) qsort(k.names.at, k.names.count, sizeof *k.names.at, by_text);
    if (e == PORCH_OK) e = walk(u, "targets", 0, &k, why);
    pthread_mutex_unlock(&u->publish);
    free(k.names.at);
    if (e == PORCH_OK && !dry && ret->files > 0)
        porch_log(PORCH_LOG_INFO, "update.pruned", "files", porch_log_number(ret->files).text, "bytes",
                  porch_log_number(ret->bytes).text, NULL);
    return e;
}
