#include "cloud/rollout/updates.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "cloud/rollout/updates_room.h"
#include "cloud/signer/signer_update_ipc.h"
#include "os/clock.h"
#include "os/file.h"
#include "os/log.h"

enum { NEWS_BYTES = 2 * PORCH_SIGNER_UPDATE_TEXT }; /* room for what the signer answers */

void porch_updates_state_get(porch_updates *u, porch_updates_state *ret) {
    pthread_mutex_lock(&u->lock);
    *ret = u->state;
    pthread_mutex_unlock(&u->lock);
}

bool porch_updates_damaged(const porch_updates *u) {
    return u->state.damage[0] != '\0';
}

bool porch_updates_mistrusted(const porch_updates *u, const char *name) {
    return porch_updates_damaged(u) || porch_updates_is_bad(u, name);
}

porch_err porch_updates_ready(porch_updates *u, porch_why *why) {
    porch_updates_state state;
    porch_updates_state_get(u, &state);
    if (state.damage[0] == '\0') return PORCH_OK;
    return porch_fail(
        why, PORCH_ERR_STATE,
        "the update repository is damaged (%.160s); run: porchlight -C DIR ota publish FOLDER",
        state.damage);
}

/* ---- putting ---- */

porch_err porch_updates_have(porch_updates *u, const char *name, uint64_t *bytes, bool *whole,
                             porch_why *why) {
    char path[PORCH_UPDATES_PATH];
    uint64_t got = 0;
    bool published = false;
    porch_err e = porch_updates_find(u, name, path, &published, &got, why);
    if (e != PORCH_OK && e != PORCH_ERR_NOT_FOUND) return e;
    if (published && porch_updates_mistrusted(u, name) && !porch_updates_is_image(path)) {
        got = 0; /* nobody knows what it is: it is sent anew */
        published = false;
    }
    *bytes = got;
    *whole = published;
    return PORCH_OK;
}

static uint64_t folder_bytes(int depth, const char *path) {
    char inner[PORCH_UPDATES_PATH];
    uint64_t sum = 0;
    struct stat st;
    DIR *d = depth > 0 ? opendir(path) : NULL;
    if (d == NULL) return 0;
    for (struct dirent *e = readdir(d); e != NULL; e = readdir(d)) {
        if (e->d_name[0] == '.' || porch_path_join(path, e->d_name, inner, sizeof inner) != PORCH_OK ||
            lstat(inner, &st) != 0)
            continue;
        sum += S_ISDIR(st.st_mode) ? folder_bytes(depth - 1, inner) : (uint64_t)st.st_size;
    }
    (void)closedir(d);
    return sum;
}

static porch_err append(const char *path, uint64_t offset, porch_bytes bytes, porch_why *why) {
    int fd = open(path, O_WRONLY | O_CREAT | O_CLOEXEC | O_NOFOLLOW, 0600);
    struct stat st;
    if (fd < 0 || fstat(fd, &st) != 0) {
        if (fd >= 0) (void)close(fd);
        return porch_fail(why, PORCH_ERR_IO, "keep what is published: %s", strerror(errno));
    }
    porch_err e = PORCH_OK;
    if ((uint64_t)st.st_size < offset || ftruncate(fd, (off_t)offset) != 0)
        e = porch_fail(why, PORCH_ERR_STATE, "go on at byte %llu", (unsigned long long)st.st_size);
    for (size_t at = 0; e == PORCH_OK && at < bytes.len;) {
        ssize_t n = pwrite(fd, bytes.at + at, bytes.len - at, (off_t)(offset + at));
        if (n < 0 && errno == EINTR) continue;
        if (n < 0)
            e = porch_fail(why, errno == ENOSPC || errno == EDQUOT ? PORCH_ERR_FULL : PORCH_ERR_IO,
                           "keep what is published: %s", strerror(errno));
        else
            at += (size_t)n;
    }
    if (e == PORCH_OK && fdatasync(fd) != 0)
        e = porch_fail(why, PORCH_ERR_IO, "fdatasync: %s", strerror(errno));
    (void)close(fd);
    return e;
}

porch_err porch_updates_put(porch_updates *u, const char *name, uint64_t offset, porch_bytes bytes,
                            porch_why *why) {
    char path[PORCH_UPDATES_PATH];
    const porch_settings *limits = u->config.settings;
    if (!porch_updates_name_ok(name) || strcmp(name, "metadata/timestamp.json") == 0)
        return porch_fail(why, PORCH_ERR_MALFORMED, "'%.64s' is no file that is published", name);
    uint64_t most =
        strncmp(name, "metadata/", 9) == 0 ? PORCH_UPDATES_METADATA_MOST : limits->ota_image_bytes;
    if (offset > most || bytes.len > most - offset)
        return porch_fail(why, PORCH_ERR_LIMIT, "%.120s is longer than %llu bytes (ota.image_bytes)", name,
                          (unsigned long long)most);
    pthread_mutex_lock(&u->publish);
    porch_err e = porch_updates_incoming(u, name, path);
    if (e == PORCH_OK && folder_bytes(10, u->folder) + bytes.len > limits->ota_bytes)
        e = porch_fail(why, PORCH_ERR_LIMIT, "the hub keeps at most %llu bytes of updates (ota.bytes)",
                       (unsigned long long)limits->ota_bytes);
    if (e == PORCH_OK) e = append(path, offset, bytes, why);
    pthread_mutex_unlock(&u->publish);
    return e;
}

/* ---- announcing ---- */

static int by_name(const void *a, const void *b) {
    const porch_signer_update_row *x = a, *y = b;
    size_t n = x->name.len < y->name.len ? x->name.len : y->name.len;
    int c = memcmp(x->name.at, y->name.at, n);
    return c != 0 ? c : (x->name.len > y->name.len) - (x->name.len < y->name.len);
}

/* The signer's next snapshot and timestamp for these roles, in *block. */
static porch_err announce(const porch_updates *u, const porch_updates_doc *docs, size_t count,
                          uint64_t snapshot, uint64_t timestamp, porch_buf *block,
                          porch_signer_updated *ret, porch_why *why) {
    char names[PORCH_UPDATES_ROLES_MOST][PORCH_UPDATES_ROLE_TEXT + 8];
    porch_signer_update request = {
        .least_snapshot = snapshot, .least_timestamp = timestamp, .count = count};
    uint8_t *text = malloc(PORCH_SIGNER_UPDATE_TEXT);
    porch_buf out = {text, 0, PORCH_SIGNER_UPDATE_TEXT};
    if (text == NULL) return porch_fail(why, PORCH_ERR_NO_SPACE, "no memory");
    for (size_t i = 0; i < count; i++) {
        (void)snprintf(names[i], sizeof names[i], "%s.json", docs[i].role);
        request.rows[i].name = porch_bytes_of(names[i]);
        request.rows[i].version = docs[i].version;
        request.rows[i].length = docs[i].length;
        memcpy(request.rows[i].sha256, docs[i].sha256, 32);
    }
    qsort(request.rows, count, sizeof request.rows[0], by_name);
    porch_err e = porch_signer_update_write(&out, &request);
    if (e == PORCH_OK) e = porch_signer_update_sign(u->config.signer, porch_buf_bytes(&out), block, why);
    if (e == PORCH_OK) e = porch_signer_updated_read(porch_buf_bytes(block), ret);
    free(text);
    return e;
}

/* Snapshot beside what is served, timestamp over it: from here on devices see it. */
static porch_err put_into_force(const porch_updates *u, const porch_signer_updated *signed_,
                                porch_why *why) {
    char name[PORCH_UPDATES_NAME];
    (void)snprintf(name, sizeof name, "metadata/%llu.snapshot.json",
                   (unsigned long long)signed_->snapshot_version);
    PORCH_TRY(porch_updates_write(u, name, signed_->snapshot, why));
    return porch_updates_write(u, "metadata/timestamp.json", signed_->timestamp, why);
}

/* The snapshot before stays: a device may have fetched the timestamp that leads to it a moment ago. Older
 * ones go. */
static void drop_snapshots(const porch_updates *u, uint64_t before) {
    char path[PORCH_UPDATES_PATH];
    if (porch_updates_place(u, "metadata", path) != PORCH_OK) return;
    DIR *d = opendir(path);
    if (d == NULL) return;
    for (struct dirent *e = readdir(d); e != NULL; e = readdir(d)) {
        char *end = NULL;
        unsigned long long version = strtoull(e->d_name, &end, 10);
        if (end != e->d_name && strcmp(end, ".snapshot.json") == 0 && version < before)
            (void)unlinkat(dirfd(d), e->d_name, 0);
    }
    (void)closedir(d);
}

static porch_err read_ends(const porch_updates *u, porch_updates_state *state,
                           const porch_signer_updated *signed_, porch_why *why) {
    porch_updates_doc d = {.version = 0};
    char file[64];
    state->snapshot = signed_->snapshot_version;
    state->timestamp = signed_->timestamp_version;
    (void)snprintf(file, sizeof file, "%llu.snapshot.json", (unsigned long long)state->snapshot);
    PORCH_TRY(porch_updates_load(u, file, "snapshot", "snapshot", &d, why));
    state->snapshot_ends_ms = d.expires_ms;
    porch_updates_doc_free(&d);
    PORCH_TRY(porch_updates_load(u, "timestamp.json", "timestamp", "timestamp", &d, why));
    state->timestamp_ends_ms = d.expires_ms;
    porch_updates_doc_free(&d);
    return PORCH_OK;
}

/* ---- committing ---- */

static porch_err move_image(const char *file, const porch_tuf_target *unused, void *ctx, porch_why *why) {
    (void)unused;
    return porch_updates_move(ctx, file, why);
}

/* Images first, then what names them, roots last of all but the timestamp. */
static porch_err move_all(const porch_updates *u, const porch_updates_set *s, uint64_t root,
                          porch_why *why) {
    char name[PORCH_UPDATES_NAME];
    for (size_t i = 0; i < s->count; i++)
        PORCH_TRY(porch_updates_each_image(&s->docs[i], move_image, (void *)(uintptr_t)u, why));
    for (size_t i = 0; i < s->count; i++) {
        (void)snprintf(name, sizeof name, "metadata/%llu.%s.json", (unsigned long long)s->docs[i].version,
                       s->docs[i].role);
        PORCH_TRY(porch_updates_move(u, name, why));
    }
    for (uint64_t v = porch_updates_damaged(u) ? 1 : u->state.root + 1; v <= root; v++) {
        (void)snprintf(name, sizeof name, "metadata/%llu.root.json", (unsigned long long)v);
        PORCH_TRY(porch_updates_move(u, name, why));
    }
    return PORCH_OK;
}

/* Before the signer is asked: it never forgets what it has announced, so a folder that was not made for
 * this hub must not come so far. */
static porch_err check_keys(const porch_updates *u, const porch_updates_doc *root, porch_why *why) {
    char snapshot[PORCH_SIGNER_UPDATE_KEY_TEXT], timestamp[PORCH_SIGNER_UPDATE_KEY_TEXT];
    PORCH_TRY(porch_signer_update_keys_get(u->config.signer, snapshot, timestamp, why));
    PORCH_TRY(porch_updates_check_key(root, "snapshot", snapshot, why));
    return porch_updates_check_key(root, "timestamp", timestamp, why);
}

/* It said no, and remembers nothing of it. Otherwise nobody knows how far it came. */
static bool refused(porch_err e) {
    return e == PORCH_ERR_ROLLBACK || e == PORCH_ERR_LIMIT || e == PORCH_ERR_MALFORMED ||
           e == PORCH_ERR_BUSY || e == PORCH_ERR_UNSUPPORTED;
}

static porch_err unfinished(porch_updates *u, porch_err e, porch_why *why) {
    if (e != PORCH_OK) porch_updates_trouble(u, PORCH_UPDATES_UNFINISHED, porch_why_text(why, e));
    return e;
}

static porch_err announce_plan(porch_updates *u, const char *who, const porch_updates_plan *plan,
                               const porch_updates_set *s, porch_buf *block, porch_signer_updated *ret,
                               porch_why *why) {
    const porch_updates_pending before = u->pending;
    porch_updates_pending now = {.there = true, .plan = *plan};
    uint64_t least_s = plan->snapshot > u->state.snapshot ? plan->snapshot : u->state.snapshot;
    uint64_t least_t = plan->timestamp > u->state.timestamp ? plan->timestamp : u->state.timestamp;
    (void)snprintf(now.who, sizeof now.who, "%s", who);
    PORCH_TRY(porch_updates_pending_set(u, &now, why));
    porch_err e = announce(u, s->docs, s->count, least_s, least_t, block, ret, why);
    if (!refused(e)) return unfinished(u, e, why);
    (void)porch_updates_pending_set(u, &before, NULL);
    return e;
}

static porch_err bring_into_force(porch_updates *u, const char *who, const porch_updates_plan *plan,
                                  porch_updates_set *s, const porch_signer_updated *signed_,
                                  porch_updates_outcome *ret, porch_why *why) {
    porch_updates_state state = {.root = plan->root};
    uint64_t before = u->state.snapshot;
    PORCH_TRY(porch_updates_check_online(&s->root, "snapshot", signed_->snapshot, why));
    PORCH_TRY(porch_updates_check_online(&s->root, "timestamp", signed_->timestamp, why));
    PORCH_TRY(move_all(u, s, plan->root, why));
    PORCH_TRY(put_into_force(u, signed_, why));
    PORCH_TRY(read_ends(u, &state, signed_, why));
    porch_updates_adopt(u, s, &state);
    drop_snapshots(u, before);
    unsigned releases = 0, withdrawn = 0;
    PORCH_TRY(porch_updates_rows_write(u, s, who, &releases, &withdrawn, why));
    *ret = (porch_updates_outcome){state.root, state.snapshot, state.timestamp, releases, withdrawn};
    return PORCH_OK;
}

static porch_err commit(porch_updates *u, const char *who, const porch_updates_plan *plan,
                        porch_updates_set *s, porch_buf *block, porch_updates_outcome *ret,
                        porch_why *why) {
    const porch_updates_pending none = {.there = false};
    porch_signer_updated signed_ = {0};
    PORCH_TRY(porch_updates_verify(u, plan, porch_clock_ms(), s, why));
    PORCH_TRY(check_keys(u, &s->root, why));
    PORCH_TRY(announce_plan(u, who, plan, s, block, &signed_, why));
    PORCH_TRY(unfinished(u, bring_into_force(u, who, plan, s, &signed_, ret, why), why));
    (void)porch_updates_pending_set(u, &none, NULL); /* or it is done once more, which changes nothing */
    porch_updates_sweep(u);
    return PORCH_OK;
}

/* With `publish` held. */
static porch_err commit_whole(porch_updates *u, const char *who, const porch_updates_plan *plan,
                              porch_updates_outcome *ret, porch_why *why) {
    porch_updates_set *s = calloc(1, sizeof *s);
    porch_buf block = {malloc(NEWS_BYTES), 0, NEWS_BYTES};
    porch_err e = PORCH_ERR_NO_SPACE;
    if (s != NULL && block.at != NULL) {
        e = commit(u, who, plan, s, &block, ret, why);
        porch_updates_set_free(s);
    }
    if (e != PORCH_OK)
        porch_log(PORCH_LOG_WARN, "update.refused", "error", porch_err_name(e), "reason",
                  porch_why_text(why, e), NULL);
    else
        porch_log(PORCH_LOG_INFO, "update.published", "releases", porch_log_number(ret->releases).text,
                  "snapshot", porch_log_number(ret->snapshot).text, NULL);
    free(block.at);
    free(s);
    return e;
}

porch_err porch_updates_commit(porch_updates *u, const char *who, const porch_updates_plan *plan,
                               porch_updates_outcome *ret, porch_why *why) {
    pthread_mutex_lock(&u->publish);
    porch_err e = commit_whole(u, who, plan, ret, why);
    pthread_mutex_unlock(&u->publish);
    return e;
}

/* ---- keeping it fresh ---- */

static bool due(uint64_t ends_ms, uint64_t hours, uint64_t now_ms) {
    return ends_ms < now_ms || ends_ms - now_ms < hours * 3600000 / 2;
}

static porch_err finish(porch_updates *u, porch_why *why) {
    const porch_updates_pending p = u->pending;
    porch_updates_outcome unused;
    return unfinished(u, commit_whole(u, p.who, &p.plan, &unused, why), why);
}

static porch_err sign_anew(porch_updates *u, porch_buf *block, porch_why *why) {
    porch_signer_updated signed_ = {0};
    porch_updates_state state = u->state;
    uint64_t before = state.snapshot;
    PORCH_TRY(announce(u, u->docs, u->count, state.snapshot, state.timestamp, block, &signed_, why));
    PORCH_TRY(put_into_force(u, &signed_, why));
    PORCH_TRY(read_ends(u, &state, &signed_, why));
    pthread_mutex_lock(&u->lock);
    u->state = state;
    pthread_mutex_unlock(&u->lock);
    drop_snapshots(u, before);
    return PORCH_OK;
}

static porch_err renew(porch_updates *u, porch_why *why) {
    porch_buf block = {malloc(NEWS_BYTES), 0, NEWS_BYTES};
    porch_err e = block.at != NULL ? sign_anew(u, &block, why) : PORCH_ERR_NO_SPACE;
    free(block.at);
    if (u->pending.there) return e; /* which says more */
    if (e == PORCH_OK)
        porch_updates_trouble(u, "", "");
    else
        porch_updates_trouble(u, "snapshot and timestamp could not be signed anew", porch_why_text(why, e));
    return e;
}

porch_err porch_updates_tend(porch_updates *u, uint64_t now_ms, bool *renewed, porch_why *why) {
    const porch_settings *s = u->config.settings;
    porch_err e = PORCH_OK;
    *renewed = false;
    /* Who publishes makes it fresh anyway, and may take minutes. */
    if (pthread_mutex_trylock(&u->publish) != 0) return PORCH_OK;
    if (u->pending.there) {
        e = finish(u, why);
        *renewed = e == PORCH_OK;
    }
    if (!*renewed && u->state.timestamp > 0 && !porch_updates_damaged(u) &&
        (due(u->state.timestamp_ends_ms, s->ota_timestamp_hours, now_ms) ||
         due(u->state.snapshot_ends_ms, s->ota_snapshot_hours, now_ms))) {
        e = renew(u, why);
        *renewed = e == PORCH_OK;
    }
    pthread_mutex_unlock(&u->publish);
    return e;
}

/* ---- serving ---- */

porch_err porch_updates_file(porch_updates *u, const char *name, int *fd, uint64_t *bytes, porch_why *why) {
    char path[PORCH_UPDATES_PATH];
    struct stat st;
    if (!porch_updates_name_ok(name)) return porch_fail(why, PORCH_ERR_NOT_FOUND, "there is no such file");
    PORCH_TRY(porch_updates_ready(u, why));
    if (porch_updates_is_bad(u, name))
        return porch_fail(why, PORCH_ERR_STATE, "%.120s is damaged; publish it again", name);
    PORCH_TRY(porch_updates_place(u, name, path));
    int opened = open(path, O_RDONLY | O_CLOEXEC | O_NOFOLLOW);
    if (opened < 0 || fstat(opened, &st) != 0 || !S_ISREG(st.st_mode)) {
        int reason = errno;
        bool missing = opened >= 0 || reason == ENOENT || reason == ENOTDIR || reason == ELOOP;
        if (opened >= 0) (void)close(opened);
        return missing ? porch_fail(why, PORCH_ERR_NOT_FOUND, "there is no such file")
                       : porch_fail(why, PORCH_ERR_IO, "open: %s", strerror(reason));
    }
    *fd = opened;
    *bytes = (uint64_t)st.st_size;
    return PORCH_OK;
}
