/* Are the images still the bytes that were signed? As the hub starts, each that the roles in force name is
 * hashed, one after the other and no faster than ota.check_kib_s, by a thread that serves nobody.
 *
 * One that is not is named in the log, in `ota status` and by `doctor`, and no device gets it (503): it
 * would fetch it whole and throw it away, again and again. All else is served. The team's folder, published
 * again, brings its bytes anew. */
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/text.h"
#include "cloud/rollout/updates_room.h"
#include "crypto/sha256.h"
#include "os/clock.h"
#include "os/log.h"

enum { BLOCK = 65536, TEXT_BYTES = 160 };

/* ---- names ---- */

porch_err porch_updates_names_add(porch_updates_names *k, const char *name, porch_why *why) {
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

static porch_err add_image(const char *file, const porch_tuf_target *unused, void *ctx, porch_why *why) {
    (void)unused;
    return porch_updates_names_add(ctx, file, why);
}

porch_err porch_updates_names_in_force(const porch_updates *u, porch_updates_names *k, porch_why *why) {
    char file[PORCH_UPDATES_NAME];
    for (size_t i = 0; i < u->count; i++) {
        porch_updates_doc d = {.version = 0};
        (void)snprintf(file, sizeof file, "%llu.%s.json", (unsigned long long)u->docs[i].version,
                       u->docs[i].role);
        PORCH_TRY(porch_updates_load(u, file, u->docs[i].role, "targets", &d, why));
        porch_err e = porch_updates_each_image(&d, add_image, k, why);
        porch_updates_doc_free(&d);
        PORCH_TRY(e);
    }
    return PORCH_OK;
}

/* ---- those that are damaged ---- */

static size_t place_of(const porch_updates_names *k, const char *name) {
    size_t i = 0;
    while (i < k->count && strcmp(k->at[i], name) != 0)
        i++;
    return i;
}

bool porch_updates_is_bad(const porch_updates *u, const char *name) {
    porch_updates_check *c = u->check;
    pthread_mutex_lock(&c->lock);
    bool bad = place_of(&c->bad, name) < c->bad.count;
    pthread_mutex_unlock(&c->lock);
    return bad;
}

void porch_updates_mended(const porch_updates *u, const char *name) {
    porch_updates_check *c = u->check;
    pthread_mutex_lock(&c->lock);
    size_t i = place_of(&c->bad, name);
    if (i < c->bad.count && i != --c->bad.count)
        memcpy(c->bad.at[i], c->bad.at[c->bad.count], sizeof c->bad.at[0]);
    pthread_mutex_unlock(&c->lock);
}

void porch_updates_bad_names(porch_updates *u, void (*fn)(const char *name, void *ctx), void *ctx) {
    porch_updates_check *c = u->check;
    pthread_mutex_lock(&c->lock);
    for (size_t i = 0; i < c->bad.count; i++)
        fn(c->bad.at[i], ctx);
    pthread_mutex_unlock(&c->lock);
}

static void found_bad(const porch_updates *u, const char *name, const char *reason) {
    porch_updates_check *c = u->check;
    pthread_mutex_lock(&c->lock);
    bool known =
        place_of(&c->bad, name) < c->bad.count || porch_updates_names_add(&c->bad, name, NULL) == PORCH_OK;
    pthread_mutex_unlock(&c->lock);
    porch_log(PORCH_LOG_ERROR, "update.image-damaged", "file", name, "reason",
              known ? reason : "and there is no memory to remember it", "hint",
              "no device gets it; publish the team's folder again: porchlight -C DIR ota publish FOLDER",
              NULL);
}

/* ---- looking ---- */

/* Waits as long as that many bytes may take. False: the hub stops. */
static bool pause_for(const porch_updates *u, size_t bytes) {
    porch_updates_check *c = u->check;
    const uint64_t ns =
        (uint64_t)bytes * 1000000000 / ((uint64_t)u->config.settings->ota_check_kib_s * 1024);
    const struct timespec until = porch_clock_mono_after(ns);
    pthread_mutex_lock(&c->lock);
    while (!c->stopping && pthread_cond_timedwait(&c->stop, &c->lock, &until) != ETIMEDOUT)
        ;
    bool goes_on = !c->stopping;
    pthread_mutex_unlock(&c->lock);
    return goes_on;
}

/* CLOSED: the hub stops. */
static porch_err hash_slowly(const porch_updates *u, int fd, uint8_t hash[32]) {
    uint8_t *block = malloc(BLOCK);
    porch_sha256_state *state = porch_sha256_new();
    porch_err e = block == NULL || state == NULL ? PORCH_ERR_NO_SPACE : PORCH_OK;
    ssize_t n = 1;
    while (e == PORCH_OK && n > 0) {
        n = read(fd, block, BLOCK);
        if (n < 0 && errno == EINTR)
            n = 1;
        else if (n < 0)
            e = PORCH_ERR_IO;
        else if (n > 0) {
            porch_sha256_update(state, (porch_bytes){block, (size_t)n});
            if (!pause_for(u, (size_t)n)) e = PORCH_ERR_CLOSED;
        }
    }
    if (state != NULL) porch_sha256_finish(state, hash);
    porch_sha256_free(state);
    free(block);
    return e;
}

/* Its name begins with the hash that was signed. */
static bool is_named(const char *name, const uint8_t hash[32]) {
    uint8_t said[32];
    porch_buf b = PORCH_BUF_OF(said);
    const char *file = strrchr(name, '/');
    return file != NULL && strlen(file) > 65 &&
           porch_hex_read(&b, (porch_bytes){(const uint8_t *)file + 1, 64}) == PORCH_OK && b.len == 32 &&
           memcmp(hash, said, sizeof said) == 0;
}

/* False: the hub stops. One that prune took away meanwhile is not damaged. */
static bool check_one(const porch_updates *u, const char *name) {
    char path[PORCH_UPDATES_PATH], reason[TEXT_BYTES];
    uint8_t hash[32];
    if (porch_updates_place(u, name, path) != PORCH_OK) return true;
    int fd = open(path, O_RDONLY | O_CLOEXEC | O_NOFOLLOW);
    if (fd < 0 && errno == ENOENT) return true;
    int reading = errno;
    porch_err e = fd < 0 ? PORCH_ERR_IO : hash_slowly(u, fd, hash);
    if (fd >= 0 && e == PORCH_ERR_IO) reading = errno;
    if (fd >= 0) (void)posix_fadvise(fd, 0, 0, POSIX_FADV_DONTNEED);
    if (fd >= 0) (void)close(fd);
    if (e == PORCH_ERR_CLOSED) return false;
    (void)snprintf(reason, sizeof reason, "it cannot be read: %s", strerror(reading));
    if (e == PORCH_ERR_IO)
        found_bad(u, name, reason);
    else if (e == PORCH_OK && !is_named(name, hash))
        found_bad(u, name, "its bytes are not those that were signed");
    return true;
}

static void *run(void *ctx) {
    porch_updates *u = ctx;
    porch_updates_names all = {.count = 0};
    porch_why why = {""};
    size_t i = 0;
    pthread_mutex_lock(&u->publish);
    porch_err e = porch_updates_damaged(u) ? PORCH_OK : porch_updates_names_in_force(u, &all, &why);
    pthread_mutex_unlock(&u->publish);
    if (e != PORCH_OK)
        porch_log(PORCH_LOG_ERROR, "update.unchecked", "reason", porch_why_text(&why, e), NULL);
    while (i < all.count && check_one(u, all.at[i]))
        i++;
    pthread_mutex_lock(&u->check->lock);
    u->check->done = e == PORCH_OK && i == all.count;
    pthread_mutex_unlock(&u->check->lock);
    if (i > 0) porch_log(PORCH_LOG_INFO, "update.checked", "images", porch_log_number(i).text, NULL);
    free(all.at);
    return NULL;
}

bool porch_updates_checked(porch_updates *u) {
    pthread_mutex_lock(&u->check->lock);
    bool done = u->check->done;
    pthread_mutex_unlock(&u->check->lock);
    return done;
}

/* ---- the thread ---- */

porch_updates_check *porch_updates_check_new(void) {
    porch_updates_check *c = calloc(1, sizeof *c);
    pthread_condattr_t by;
    if (c == NULL) return NULL;
    (void)pthread_mutex_init(&c->lock, NULL);
    (void)pthread_condattr_init(&by);
    (void)pthread_condattr_setclock(&by, CLOCK_MONOTONIC);
    (void)pthread_cond_init(&c->stop, &by);
    (void)pthread_condattr_destroy(&by);
    return c;
}

porch_err porch_updates_check_start(porch_updates *u, porch_why *why) {
    int rc = pthread_create(&u->check->thread, NULL, run, u);
    u->check->started = rc == 0;
    return rc == 0 ? PORCH_OK : porch_fail(why, PORCH_ERR_BUSY, "a thread: %s", strerror(rc));
}

void porch_updates_check_free(porch_updates_check *c) {
    if (c == NULL) return;
    pthread_mutex_lock(&c->lock);
    c->stopping = true;
    pthread_cond_signal(&c->stop);
    pthread_mutex_unlock(&c->lock);
    if (c->started) (void)pthread_join(c->thread, NULL);
    (void)pthread_mutex_destroy(&c->lock);
    (void)pthread_cond_destroy(&c->stop);
    free(c->bad.at);
    free(c);
}
