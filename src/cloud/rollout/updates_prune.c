/* Images that nobody is led to any more: of releases that were withdrawn, deltas to them, shares that were
 * widened since. Kept is what the roles in force name, and what a rollout that runs or is paused gives out.
 * An old image that is the base of a delta lies on the devices that run it; the delta itself is named. What
 * goes by itself is less: whole releases that were withdrawn long ago, and that nothing points back to. */
#include <dirent.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/text.h"
#include "cloud/rollout/updates_room.h"
#include "cloud/trust/trust.h"
#include "os/log.h"

enum { DEPTH_MOST = 8, HEX = 64, OLD_MOST = 32, DAY_MS = 86400000 };

/* A release that goes by itself, and what went with it. */
typedef struct {
    char product[PORCH_UPDATES_NAME], version[PORCH_UPDATES_NAME];
    char folder[PORCH_UPDATES_NAME]; /* "targets/camera/1.2/" */
    porch_updates_pruned sums;
} old_release;

typedef struct {
    old_release at[OLD_MOST];
    size_t count;
    uint64_t now_ms, before_ms;
} old_list;

typedef struct {
    porch_updates_names names;
    bool dry;
    old_list *only; /* NULL: whatever is not kept */
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

static old_release *old_one(const kept *k, const char *name) {
    for (size_t i = 0; i < k->only->count; i++)
        if (strncmp(name, k->only->at[i].folder, strlen(k->only->at[i].folder)) == 0)
            return &k->only->at[i];
    return NULL;
}

static void count_one(porch_updates_pruned *sums, uint64_t bytes) {
    sums->files++;
    sums->bytes += bytes;
}

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
        old_release *of = k->only != NULL ? old_one(k, name) : NULL;
        if (is_kept(k, name) || (k->only != NULL && of == NULL)) continue;
        if (!k->dry && unlink(path) != 0) {
            e = porch_fail(why, PORCH_ERR_IO, "remove %.200s: %s", name, strerror(errno));
            break;
        }
        count_one(k->sums, (uint64_t)st.st_size);
        if (of != NULL) count_one(&of->sums, (uint64_t)st.st_size);
    }
    (void)closedir(d);
    return e;
}

/* With `publish` held. */
static porch_err remove_rest(porch_updates *u, kept *k, porch_why *why) {
    PORCH_TRY(porch_updates_names_in_force(u, &k->names, why));
    PORCH_TRY(porch_store_read(u->config.store, read_rollouts, k, why));
    if (k->names.count > 0) qsort(k->names.at, k->names.count, sizeof *k->names.at, by_text);
    return walk(u, "targets", 0, k, why);
}

static void log_pruned(const porch_updates_pruned *sums) {
    if (sums->files > 0)
        porch_log(PORCH_LOG_INFO, "update.pruned", "files", porch_log_number(sums->files).text, "bytes",
                  porch_log_number(sums->bytes).text, NULL);
}

static porch_err append_trust(porch_db *db, const char *who, const char *subject,
                              const porch_updates_pruned *sums, porch_why *why) {
    char detail[96];
    (void)snprintf(detail, sizeof detail, "{\"bytes\":%llu,\"files\":%llu}",
                   (unsigned long long)sums->bytes, (unsigned long long)sums->files);
    return porch_trust_append(db, "update.prune", who, subject, detail, why);
}

/* ---- when somebody says so ---- */

typedef struct {
    const char *who;
    const porch_updates_pruned *sums;
} told;

static porch_err write_told(porch_db *db, void *ctx, porch_why *why) {
    const told *t = ctx;
    return append_trust(db, t->who, "update:images", t->sums, why);
}

/* What a publish that broke off has moved already is named by nothing in force. */
static porch_err settled(porch_updates *u, porch_why *why) {
    PORCH_TRY(porch_updates_ready(u, why));
    if (!u->pending.there) return PORCH_OK;
    return porch_fail(why, PORCH_ERR_STATE,
                      "%s: prune once it is (porchlight -C DIR ota status says what keeps it)",
                      PORCH_UPDATES_UNFINISHED);
}

porch_err porch_updates_prune(porch_updates *u, bool dry, const char *who, porch_updates_pruned *ret,
                              porch_why *why) {
    kept k = {.dry = dry, .sums = ret};
    told t = {who, ret};
    *ret = (porch_updates_pruned){0, 0};
    pthread_mutex_lock(&u->publish);
    porch_err e = settled(u, why);
    if (e == PORCH_OK) e = remove_rest(u, &k, why);
    pthread_mutex_unlock(&u->publish);
    free(k.names.at);
    if (dry || ret->files == 0) return e;
    log_pruned(ret);
    porch_err kept_ =
        porch_store_write(u->config.store, write_told, &t, why); /* also of what went before it failed */
    return e == PORCH_OK ? kept_ : e;
}

/* ---- by itself ---- */

static porch_err read_old(porch_db *db, void *ctx, porch_why *why) {
    old_list *l = ctx;
    porch_db_query *q = porch_db_prepare(
        db,
        "select product, version from update_release r where withdrawn_ms > 0 and withdrawn_ms <= ?1 and "
        "pruned_ms < withdrawn_ms and counter <= coalesce((select max(counter) from update_release f where "
        "f.product = r.product and f.withdrawn_ms = 0), -1) and not exists (select 1 from update_rollout o "
        "where o.product = r.product and o.version = r.version and o.state in ('running', 'paused')) and "
        "not "
        "exists (select 1 from device d join update_device u on u.device = d.id where d.product = "
        "r.product "
        "and d.revoked_ms is null and r.version in (u.running, u.target)) limit ?2",
        why);
    porch_db_bind_i64(q, 1, (int64_t)l->before_ms);
    porch_db_bind_i64(q, 2, OLD_MOST);
    porch_err e = PORCH_OK;
    while (l->count < OLD_MOST && (e = porch_db_step(q, why)) == PORCH_OK) {
        old_release *r = &l->at[l->count];
        if (!porch_bytes_to_text(porch_db_text(q, 0), r->product, sizeof r->product) ||
            !porch_bytes_to_text(porch_db_text(q, 1), r->version, sizeof r->version))
            continue;
        char folder[sizeof r->folder];
        int n = snprintf(folder, sizeof folder, "targets/%s/%s/", r->product, r->version);
        if (n < 0 || (size_t)n >= sizeof folder) continue;
        memcpy(r->folder, folder, sizeof folder);
        l->count++;
    }
    porch_db_finish(q);
    return e == PORCH_ERR_NOT_FOUND ? PORCH_OK : e;
}

static porch_err write_old(porch_db *db, void *ctx, porch_why *why) {
    const old_list *l = ctx;
    for (size_t i = 0; i < l->count; i++) {
        const old_release *r = &l->at[i];
        char subject[160];
        porch_db_query *q = porch_db_prepare(
            db, "update update_release set pruned_ms = ?3 where product = ?1 and version = ?2", why);
        porch_db_bind_str(q, 1, r->product);
        porch_db_bind_str(q, 2, r->version);
        porch_db_bind_i64(q, 3, (int64_t)l->now_ms);
        PORCH_TRY(porch_db_execute(q, why));
        (void)snprintf(subject, sizeof subject, "release:%.64s/%.64s", r->product, r->version);
        if (r->sums.files > 0) PORCH_TRY(append_trust(db, "hub", subject, &r->sums, why));
    }
    return PORCH_OK;
}

porch_err porch_updates_prune_old(porch_updates *u, uint64_t now_ms, porch_updates_pruned *ret,
                                  porch_why *why) {
    const uint64_t days = u->config.settings->ota_prune_days;
    *ret = (porch_updates_pruned){0, 0};
    if (days == 0 || now_ms < days * DAY_MS) return PORCH_OK;
    old_list *l = calloc(1, sizeof *l);
    if (l == NULL) return porch_fail(why, PORCH_ERR_NO_SPACE, "no memory");
    l->now_ms = now_ms;
    l->before_ms = now_ms - days * DAY_MS;
    kept k = {.only = l, .sums = ret};
    /* The hub's own thread asks, whose silence would have the hub killed: who publishes may take minutes.
     */
    if (pthread_mutex_trylock(&u->publish) != 0) {
        free(l);
        return PORCH_OK;
    }
    porch_err e = settled(u, why);
    if (e == PORCH_OK) e = porch_store_read(u->config.store, read_old, l, why);
    if (e == PORCH_OK && l->count > 0) e = remove_rest(u, &k, why);
    /* Files first: what is cut off in between is found again, and is in the log with what was left. */
    if (e == PORCH_OK && l->count > 0) e = porch_store_write(u->config.store, write_old, l, why);
    pthread_mutex_unlock(&u->publish);
    log_pruned(ret);
    free(k.names.at);
    free(l);
    return e;
}
