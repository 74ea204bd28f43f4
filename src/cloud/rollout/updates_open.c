/* What is published as the hub starts: whole, or damaged.
 *
 *   DIR/updates ─► timestamp ─► snapshot ─► roles ─► images    each is there, and has the length and hash
 * that the one above says update_role ─► the versions that were announced            none in the folder is
 * older
 *
 * A folder that is not whole keeps nothing else from starting: the hub says what is amiss, serves no update
 * and asks no device for one, until the team's folder is published again. What it had announced before
 * still counts then: nothing older comes in, and the root is the one that it was. */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/text.h"
#include "cloud/rollout/updates_room.h"
#include "os/clock.h"
#include "os/file.h"
#include "os/log.h"

/* ---- what the database remembers ---- */

typedef struct {
    size_t count;
    struct {
        char name[PORCH_UPDATES_ROLE_TEXT];
        uint64_t version;
    } roles[PORCH_UPDATES_ROLES_MOST];
    uint64_t root;
    char root_sha256[65];
} known;

static porch_err read_known(porch_db *db, void *ctx, porch_why *why) {
    known *k = ctx;
    porch_db_query *q = porch_db_prepare(db, "select name, version, sha256 from update_role", why);
    porch_err e = PORCH_OK;
    while (k->count < PORCH_UPDATES_ROLES_MOST && (e = porch_db_step(q, why)) == PORCH_OK) {
        if (porch_bytes_eq_text(porch_db_text(q, 0), "root")) {
            k->root = (uint64_t)porch_db_i64(q, 1);
            (void)porch_bytes_to_text(porch_db_text(q, 2), k->root_sha256, sizeof k->root_sha256);
            continue;
        }
        (void)porch_bytes_to_text(porch_db_text(q, 0), k->roles[k->count].name,
                                  sizeof k->roles[k->count].name);
        k->roles[k->count++].version = (uint64_t)porch_db_i64(q, 1);
    }
    porch_db_finish(q);
    return e == PORCH_ERR_NOT_FOUND ? PORCH_OK : e;
}

/* ---- what lies in the folder ---- */

/* The newest root that is there; 0 when there is none. */
static uint64_t newest_root(const porch_updates *u) {
    char name[PORCH_UPDATES_NAME], path[PORCH_UPDATES_PATH];
    for (uint64_t v = 1;; v++) {
        (void)snprintf(name, sizeof name, "metadata/%llu.root.json", (unsigned long long)v);
        if (porch_updates_place(u, name, path) != PORCH_OK || access(path, F_OK) != 0) return v - 1;
    }
}

static porch_err changed(const char *file, porch_why *why) {
    return porch_fail(why, PORCH_ERR_HASH, "metadata/%.100s is not the file that was published", file);
}

/* The file of `role` that `above` (a timestamp or snapshot) announces, byte for byte. */
static porch_err load_version(const porch_updates *u, porch_bytes above, const char *role, const char *type,
                              porch_updates_doc *ret, porch_why *why) {
    char file[PORCH_UPDATES_NAME];
    porch_tuf_meta meta;
    (void)snprintf(file, sizeof file, "%s.json", role);
    PORCH_TRY(porch_tuf_meta_read(above, porch_bytes_of(file), &meta, why));
    (void)snprintf(file, sizeof file, "%llu.%s.json", (unsigned long long)meta.version, role);
    porch_err e = porch_updates_load(u, file, role, type, ret, why);
    if (e == PORCH_ERR_MALFORMED) return changed(file, why);
    PORCH_TRY(e);
    if (ret->version == meta.version && (!meta.has_length || ret->length == meta.length) &&
        (!meta.hashes.has_sha256 || memcmp(ret->sha256, meta.hashes.sha256, 32) == 0))
        return PORCH_OK;
    porch_updates_doc_free(ret);
    return changed(file, why);
}

static porch_err load_roles(const porch_updates *u, porch_bytes snapshot, porch_updates_set *s,
                            porch_why *why) {
    porch_bytes meta, name, each;
    char role[PORCH_UPDATES_NAME];
    if (!porch_tuf_json_object(snapshot, "meta", &meta)) return changed("timestamp.json", why);
    porch_tuf_json_walk w = porch_tuf_json_open(meta);
    while (porch_tuf_json_next(&w, &name, &each)) {
        if (s->count == PORCH_UPDATES_ROLES_MOST || !porch_tuf_json_copy(name, role, sizeof role) ||
            strlen(role) <= 5)
            return porch_fail(why, PORCH_ERR_LIMIT, "there are more roles than this hub keeps");
        role[strlen(role) - 5] = '\0';
        PORCH_TRY(load_version(u, snapshot, role, "targets", &s->docs[s->count], why));
        s->count++;
    }
    return PORCH_OK;
}

/* Each image is there in its length; whether it is what was signed is looked at later (updates_check.c). */
static porch_err check_length(const char *file, const porch_tuf_target *t, void *ctx, porch_why *why) {
    char place[PORCH_UPDATES_PATH];
    struct stat st;
    PORCH_TRY(porch_updates_place(ctx, file, place));
    if (lstat(place, &st) != 0 || !S_ISREG(st.st_mode))
        return porch_fail(why, PORCH_ERR_NOT_FOUND, "%.160s is missing", file);
    if ((uint64_t)st.st_size != t->length)
        return porch_fail(why, PORCH_ERR_HASH, "%.160s has %lld bytes of %llu", file, (long long)st.st_size,
                          (unsigned long long)t->length);
    return PORCH_OK;
}

static porch_err load_chain(const porch_updates *u, porch_updates_set *s, porch_updates_state *state,
                            porch_updates_doc *timestamp, porch_updates_doc *snapshot, porch_why *why) {
    char file[64];
    (void)snprintf(file, sizeof file, "%llu.root.json", (unsigned long long)state->root);
    porch_err e = porch_updates_load(u, file, "root", "root", &s->root, why);
    if (e == PORCH_ERR_MALFORMED) return changed(file, why);
    PORCH_TRY(e);
    e = porch_updates_load(u, "timestamp.json", "timestamp", "timestamp", timestamp, why);
    if (e == PORCH_ERR_MALFORMED) return changed("timestamp.json", why);
    PORCH_TRY(e);
    if (porch_updates_check_online(&s->root, "timestamp", (porch_bytes){timestamp->raw, timestamp->length},
                                   NULL) != PORCH_OK)
        return changed("timestamp.json", why);
    PORCH_TRY(load_version(u, timestamp->content, "snapshot", "snapshot", snapshot, why));
    PORCH_TRY(load_roles(u, snapshot->content, s, why));
    for (size_t i = 0; i < s->count; i++)
        PORCH_TRY(porch_updates_each_image(&s->docs[i], check_length, (void *)(uintptr_t)u, why));
    return PORCH_OK;
}

static porch_err load_published(const porch_updates *u, porch_updates_set *s, porch_updates_state *state,
                                porch_why *why) {
    porch_updates_doc timestamp = {.version = 0}, snapshot = {.version = 0};
    porch_err e = load_chain(u, s, state, &timestamp, &snapshot, why);
    state->timestamp = timestamp.version;
    state->timestamp_ends_ms = timestamp.expires_ms;
    state->snapshot = snapshot.version;
    state->snapshot_ends_ms = snapshot.expires_ms;
    porch_updates_doc_free(&timestamp);
    porch_updates_doc_free(&snapshot);
    return e;
}

/* ---- both held against each other ---- */

static porch_err not_behind(const porch_updates_set *s, const porch_updates_state *state, const known *k,
                            porch_why *why) {
    if (state->root < k->root)
        return porch_fail(why, PORCH_ERR_ROLLBACK,
                          "metadata/%llu.root.json is missing, and version %llu was in force",
                          (unsigned long long)state->root + 1, (unsigned long long)k->root);
    for (size_t i = 0; i < k->count; i++) {
        uint64_t there = 0;
        for (size_t n = 0; n < s->count; n++)
            if (strcmp(s->docs[n].role, k->roles[i].name) == 0) there = s->docs[n].version;
        if (there < k->roles[i].version)
            return porch_fail(why, PORCH_ERR_ROLLBACK, "version %llu of %s is there, and %llu was in force",
                              (unsigned long long)there, k->roles[i].name,
                              (unsigned long long)k->roles[i].version);
    }
    return PORCH_OK;
}

static porch_err look(const porch_updates *u, porch_updates_set *s, porch_updates_state *state,
                      const known *k, porch_why *why) {
    char path[PORCH_UPDATES_PATH];
    *state = (porch_updates_state){.root = newest_root(u)};
    PORCH_TRY(porch_updates_place(u, "metadata/timestamp.json", path));
    if (access(path, F_OK) == 0) {
        PORCH_TRY(load_published(u, s, state, why));
        return not_behind(s, state, k, why);
    }
    state->root = 0;
    if (k->root == 0) return PORCH_OK; /* nothing was published to its end */
    return porch_fail(why, PORCH_ERR_NOT_FOUND, "metadata/timestamp.json is missing");
}

/* What was announced goes on counting, whatever became of the files. */
static void remember_damage(porch_updates *u, const known *k, const char *reason) {
    porch_updates_state state = {.root = k->root};
    porch_buf hash = PORCH_BUF_OF(u->root_sha256);
    (void)snprintf(state.damage, sizeof state.damage, "%s", reason);
    u->has_root_sha256 =
        porch_hex_read(&hash, porch_bytes_of(k->root_sha256)) == PORCH_OK && hash.len == 32;
    u->count = k->count;
    for (size_t i = 0; i < k->count; i++) {
        u->docs[i] = (porch_updates_doc){.version = k->roles[i].version};
        memcpy(u->docs[i].role, k->roles[i].name, sizeof u->docs[i].role);
    }
    u->state = state;
    porch_log(PORCH_LOG_ERROR, "update.damaged", "reason", reason, "hint",
              "no update is served or rolled out; publish the team's folder again: porchlight -C DIR ota "
              "publish FOLDER",
              NULL);
}

void porch_updates_adopt(porch_updates *u, const porch_updates_set *s, const porch_updates_state *state) {
    u->count = s->count;
    memcpy(u->docs, s->docs, sizeof u->docs);
    for (size_t i = 0; i < u->count; i++) {
        u->docs[i].raw = u->docs[i].canonical = NULL;
        u->docs[i].content = (porch_bytes){NULL, 0};
    }
    pthread_mutex_lock(&u->lock);
    u->state = *state;
    pthread_mutex_unlock(&u->lock);
}

/* ---- rows ---- */

typedef struct {
    const porch_updates *u;
    const porch_updates_set *set;
    const char *who;
    unsigned releases, withdrawn;
} rows_job;

static porch_err write_rows(porch_db *db, void *ctx, porch_why *why) {
    rows_job *job = ctx;
    job->releases = job->withdrawn = 0;
    return porch_updates_rows(db, job->u, job->set, job->who, porch_clock_ms(), &job->releases,
                              &job->withdrawn, why);
}

porch_err porch_updates_rows_write(const porch_updates *u, const porch_updates_set *s, const char *who,
                                   unsigned *releases, unsigned *withdrawn, porch_why *why) {
    rows_job job = {.u = u, .set = s, .who = who};
    PORCH_TRY(porch_store_write(u->config.store, write_rows, &job, why));
    *releases = job.releases;
    *withdrawn = job.withdrawn;
    return PORCH_OK;
}

/* ---- opening ---- */

static porch_err make_parts(const porch_updates *u, porch_why *why) {
    static const char *const parts[] = {"", "metadata", "targets", "incoming"};
    char path[PORCH_UPDATES_PATH];
    for (size_t i = 0; i < sizeof parts / sizeof parts[0]; i++) {
        PORCH_TRY(i == 0 ? porch_path_join(u->config.dir, "updates", path, sizeof path)
                         : porch_updates_place(u, parts[i], path));
        PORCH_TRY(porch_dir_make(path, 0700, why));
    }
    return PORCH_OK;
}

static porch_err open_it(porch_updates *u, porch_updates_set *s, porch_why *why) {
    porch_updates_state state = {0};
    known k = {.count = 0};
    porch_why amiss = {""};
    unsigned unused = 0;
    (void)pthread_mutex_init(&u->publish, NULL);
    (void)pthread_mutex_init(&u->lock, NULL);
    PORCH_TRY(porch_path_join(u->config.dir, "updates", u->folder, sizeof u->folder));
    PORCH_TRY(porch_store_read(u->config.store, read_known, &k, why));
    porch_err e = make_parts(u, &amiss);
    if (e == PORCH_OK) e = look(u, s, &state, &k, &amiss);
    if (e != PORCH_OK)
        remember_damage(u, &k, porch_why_text(&amiss, e));
    else
        porch_updates_adopt(u, s, &state);
    porch_updates_pending_load(u);
    if (porch_updates_damaged(u)) return PORCH_OK;
    return state.timestamp > 0 ? porch_updates_rows_write(u, s, "hub", &unused, &unused, why) : PORCH_OK;
}

porch_err porch_updates_open(const porch_updates_config *config, porch_updates **ret, porch_why *why) {
    porch_updates *u = calloc(1, sizeof *u);
    porch_updates_set *s = calloc(1, sizeof *s);
    porch_err e = PORCH_ERR_NO_SPACE;
    if (u != NULL && s != NULL) {
        u->config = *config;
        u->check = porch_updates_check_new();
        e = u->check != NULL ? open_it(u, s, why) : PORCH_ERR_NO_SPACE;
        porch_updates_set_free(s);
    }
    free(s);
    if (e == PORCH_OK) {
        *ret = u;
        return e;
    }
    if (u != NULL) porch_updates_check_free(u->check);
    free(u);
    return e;
}

void porch_updates_close(porch_updates *u) {
    if (u == NULL) return;
    porch_updates_check_free(u->check);
    (void)pthread_mutex_destroy(&u->publish);
    (void)pthread_mutex_destroy(&u->lock);
    free(u);
}
