#include "device/port/linux/update_install.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "crypto/sha256.h"
#include "os/file.h"
#include "ota/client/delta.h"

enum {
    BLOCK_BYTES = 256 * 1024,
    CHECKPOINT_BLOCKS = 16,         /* a journal for 4 MiB */
    MEMORY_BYTES = 2 * 1024 * 1024, /* what a delta may ask for */
    SAFE_BYTES = 1024 * 1024,       /* of a whole image, between two journals */
    HASH_BYTES = 64 * 1024,
    JOURNAL_MODE = 0600,
    PATH_BYTES = 4096
};

static const char patch_name[] = "patch", bundle_name[] = "bundle";
static const char *const journal_names[] = {"journal.0", "journal.1"};

static porch_err io(porch_why *why, const char *what) {
    return porch_fail(why, errno == ENOSPC ? PORCH_ERR_FULL : PORCH_ERR_IO, "%s: %s", what,
                      strerror(errno));
}

static porch_err write_at(int fd, uint64_t at, porch_bytes bytes, porch_why *why, const char *what) {
    while (bytes.len > 0) {
        ssize_t n = pwrite(fd, bytes.at, bytes.len, (off_t)at);
        if (n < 0 && errno == EINTR) continue;
        if (n <= 0) return io(why, what);
        bytes.at += n;
        bytes.len -= (size_t)n;
        at += (uint64_t)n;
    }
    return PORCH_OK;
}

static porch_err read_at(int fd, uint64_t at, uint8_t *out, size_t len) {
    while (len > 0) {
        ssize_t n = pread(fd, out, len, (off_t)at);
        if (n < 0 && errno == EINTR) continue;
        if (n <= 0) return PORCH_ERR_IO;
        out += n;
        len -= (size_t)n;
        at += (uint64_t)n;
    }
    return PORCH_OK;
}

/* ---- a file that grows as it comes ---- */

typedef struct {
    const porch_update_install *u;
    int fd;
    uint64_t at, most, safe;
    bool journal; /* the slot's record says how far it is */
} sink;

static porch_err make_safe(sink *s, porch_why *why) {
    if (fdatasync(s->fd) != 0) return io(why, "sync what was fetched");
    if (s->journal) PORCH_TRY(porch_slots_progress(s->u->slots, s->at, why));
    s->safe = s->at;
    return PORCH_OK;
}

static porch_err on_piece(void *ctx, porch_bytes piece, porch_why *why) {
    sink *s = ctx;
    if (piece.len > s->most - s->at)
        return porch_fail(why, PORCH_ERR_HASH, "the hub sends more than the %llu bytes that were signed",
                          (unsigned long long)s->most);
    PORCH_TRY(write_at(s->fd, s->at, piece, why, "keep what was fetched"));
    s->at += piece.len;
    *s->u->fetched += piece.len;
    return s->at - s->safe >= SAFE_BYTES ? make_safe(s, why) : PORCH_OK;
}

/* The rest of it; what came before a break is safe when this returns. */
static porch_err fetch_rest(sink *s, const char *path, porch_why *why) {
    porch_why second;
    if (s->at == s->most) return PORCH_OK;
    porch_err e = porch_update_fetch_get(s->u->fetch, path, s->at, on_piece, s, why);
    if (s->at > s->safe) {
        porch_err kept = make_safe(s, e == PORCH_OK ? why : &second);
        if (e == PORCH_OK) e = kept;
    }
    if (e == PORCH_OK && s->at != s->most)
        e = porch_fail(why, PORCH_ERR_HASH, "the hub has %llu bytes of the %llu that were signed",
                       (unsigned long long)s->at, (unsigned long long)s->most);
    return e;
}

/* ---- a file beside the device's state ---- */

static porch_err check_file(int fd, uint64_t bytes, const uint8_t sha256[32], porch_why *why) {
    uint8_t *block = malloc(HASH_BYTES), hash[32];
    porch_sha256_state *s = porch_sha256_new();
    porch_err e = block != NULL ? PORCH_OK : porch_fail(why, PORCH_ERR_NO_SPACE, "out of memory");
    for (uint64_t at = 0; e == PORCH_OK && at < bytes;) {
        size_t n = bytes - at < HASH_BYTES ? (size_t)(bytes - at) : HASH_BYTES;
        e = read_at(fd, at, block, n);
        if (e == PORCH_OK) porch_sha256_update(s, (porch_bytes){block, n});
        at += n;
    }
    porch_sha256_finish(s, hash);
    porch_sha256_free(s);
    free(block);
    if (e == PORCH_OK && memcmp(hash, sha256, sizeof hash) != 0)
        e = porch_fail(why, PORCH_ERR_HASH, "what came is not what was signed");
    return e;
}

/* A file beside the device's state, whole and as it was signed; open in *fd. */
static porch_err fetch_file(const porch_update_install *u, const char *name, const char *path,
                            uint64_t bytes, const uint8_t sha256[32], int *fd, porch_why *why) {
    struct stat st;
    sink s = {.u = u, .most = bytes};
    s.fd = openat(u->state_fd, name, O_RDWR | O_CREAT | O_CLOEXEC | O_NOFOLLOW, JOURNAL_MODE);
    if (s.fd < 0 || fstat(s.fd, &st) != 0) return io(why, "keep what is fetched");
    s.at = s.safe = (uint64_t)st.st_size;
    porch_err e = PORCH_OK;
    if (s.at > bytes) { /* another one's */
        s.at = s.safe = 0;
        if (ftruncate(s.fd, 0) != 0) e = io(why, "begin anew");
    }
    bool went_on = s.at > 0;
    if (e == PORCH_OK) e = fetch_rest(&s, path, why);
    if (e == PORCH_OK) e = check_file(s.fd, bytes, sha256, why);
    /* What lay there was another one's beginning, or damaged: once more from its first byte. */
    if (went_on && (e == PORCH_ERR_HASH || e == PORCH_ERR_STATE)) {
        s.at = s.safe = 0;
        e = ftruncate(s.fd, 0) == 0 ? fetch_rest(&s, path, why) : io(why, "begin anew");
        if (e == PORCH_OK) e = check_file(s.fd, bytes, sha256, why);
    }
    if (e == PORCH_ERR_HASH) (void)unlinkat(u->state_fd, name, 0);
    if (e != PORCH_OK) {
        close(s.fd);
        return e;
    }
    *fd = s.fd;
    return PORCH_OK;
}

/* ---- a whole image ---- */

/* As the back-end's own files: written into the slot as it comes. */
static porch_err install_image(const porch_update_install *u, const porch_slot_image *image,
                               const char *path, porch_why *why) {
    unsigned slot = 0;
    sink s = {.u = u, .fd = -1, .most = image->length, .journal = true};
    PORCH_TRY(porch_slots_begin(u->slots, image, &slot, &s.at, why));
    PORCH_TRY(porch_slot_files_write_slot(u->self, slot, s.at, &s.fd, why));
    s.safe = s.at;
    porch_err e = fetch_rest(&s, path, why);
    close(s.fd);
    return e == PORCH_OK ? porch_slots_stage(u->slots, why) : e;
}

/* A bundle: fetched whole, then handed over to who keeps the slots, by name. */
static porch_err install_bundle(const porch_update_install *u, const porch_slot_image *image,
                                const char *path, porch_why *why) {
    char file[PATH_BYTES];
    int fd = -1;
    PORCH_TRY(porch_path_join(u->state, bundle_name, file, sizeof file));
    PORCH_TRY(fetch_file(u, bundle_name, path, image->length, image->sha256, &fd, why));
    porch_err e = fsync(fd) == 0 ? PORCH_OK : io(why, "sync the bundle");
    (void)close(fd);
    if (e == PORCH_OK) e = u->back_end->install(u->self, u->slots, file, image, why);
    if (e == PORCH_OK || e == PORCH_ERR_DENIED) (void)unlinkat(u->state_fd, bundle_name, 0);
    return e;
}

porch_err porch_update_install_whole(const porch_update_install *u, const porch_slot_image *image,
                                     const char *path, porch_why *why) {
    return u->back_end->install != NULL ? install_bundle(u, image, path, why)
                                        : install_image(u, image, path, why);
}

/* ---- a delta ---- */

typedef struct {
    const porch_update_install *u;
    int patch, old, fresh;
} files;

static porch_err on_patch(void *self, uint64_t at, uint8_t *out, size_t len) {
    return read_at(((files *)self)->patch, at, out, len);
}
static porch_err on_old(void *self, uint64_t at, uint8_t *out, size_t len) {
    return read_at(((files *)self)->old, at, out, len);
}
static porch_err on_new(void *self, uint64_t at, uint8_t *out, size_t len) {
    return read_at(((files *)self)->fresh, at, out, len);
}
static porch_err on_write(void *self, uint64_t at, porch_bytes block) {
    return write_at(((files *)self)->fresh, at, block, NULL, "write the slot");
}
static porch_err on_read_journal(void *self, unsigned copy, uint8_t *out, size_t len) {
    const files *f = self;
    uint8_t *bytes = NULL;
    size_t got = 0;
    PORCH_TRY(porch_file_read_at(f->u->state_fd, journal_names[copy], MEMORY_BYTES, &bytes, &got, NULL));
    bool whole = got == len;
    if (whole) memcpy(out, bytes, len);
    free(bytes);
    return whole ? PORCH_OK : PORCH_ERR_NOT_FOUND;
}
static porch_err on_write_journal(void *self, unsigned copy, porch_bytes record) {
    const files *f = self;
    if (f->fresh >= 0 && fdatasync(f->fresh) != 0) return PORCH_ERR_IO;
    return porch_file_write_atomic_at(f->u->state_fd, journal_names[copy], record, JOURNAL_MODE, NULL);
}
static const porch_delta_port port = {on_patch, on_old,          on_new,
                                      on_write, on_read_journal, on_write_journal};

static bool goes_on(const porch_slot_record *r, const porch_slot_image *image) {
    const porch_slot_image *other = &r->image[1u - r->active];
    return r->other == PORCH_SLOT_WRITING && r->written == 0 && other->counter == image->counter &&
           other->length == image->length && memcmp(other->sha256, image->sha256, 32) == 0;
}

static porch_err apply(files *f, const porch_slot_image *image, uint64_t patch_bytes,
                       const uint8_t patch_sha256[32], bool resume, porch_why *why) {
    const porch_update_install *u = f->u;
    uint64_t from = 0;
    bool done = false;
    porch_delta *d = calloc(1, sizeof *d);
    uint8_t *memory = malloc(MEMORY_BYTES);
    porch_err e =
        d != NULL && memory != NULL ? PORCH_OK : porch_fail(why, PORCH_ERR_NO_SPACE, "out of memory");
    if (e == PORCH_OK) {
        *d = (porch_delta){.port = &port,
                           .self = f,
                           .crypto = porch_verify_library(),
                           .patch_length = patch_bytes,
                           .block_bytes = BLOCK_BYTES,
                           .checkpoint_blocks = CHECKPOINT_BLOCKS,
                           .memory_most = MEMORY_BYTES,
                           .memory = memory};
        memcpy(d->patch_sha256, patch_sha256, 32);
        e = porch_delta_open(d, &u->slots->now.image[u->slots->now.active], image, resume, &from, why);
    }
    while (e == PORCH_OK && !done)
        e = u->fetch->cancelled(u->fetch->ctx)
                ? porch_fail(why, PORCH_ERR_BUSY, "the update was called off")
                : porch_delta_step(d, &done, why);
    free(memory);
    free(d);
    return e;
}

porch_err porch_update_install_delta(const porch_update_install *u, const porch_slot_image *image,
                                     const char *path, uint64_t patch_bytes, const uint8_t patch_sha256[32],
                                     porch_why *why) {
    files f = {.u = u, .patch = -1, .old = -1, .fresh = -1};
    bool resume = goes_on(&u->slots->now, image);
    unsigned slot = 0;
    uint64_t written = 0;
    porch_err e = fetch_file(u, patch_name, path, patch_bytes, patch_sha256, &f.patch, why);
    /* Old journals go before the record says that this image is being written: they spoke of another one.
     */
    if (e == PORCH_OK && !resume) e = porch_delta_forget(&port, &f);
    if (e == PORCH_OK) e = porch_slots_begin(u->slots, image, &slot, &written, why);
    if (e == PORCH_OK && written > 0)
        e = porch_fail(why, PORCH_ERR_STATE, "the whole image is on its way already");
    if (e == PORCH_OK) e = porch_slot_files_read_slot(u->self, u->slots->now.active, &f.old, why);
    if (e == PORCH_OK) {
        e = porch_slot_files_write_slot(u->self, slot, resume ? image->length : 0, &f.fresh, why);
    }
    if (e == PORCH_OK) e = apply(&f, image, patch_bytes, patch_sha256, resume, why);
    if (e == PORCH_OK && fsync(f.fresh) != 0) e = io(why, "sync the slot");
    if (e == PORCH_OK) e = porch_slots_stage(u->slots, why);
    if (e == PORCH_OK) (void)unlinkat(u->state_fd, patch_name, 0);
    if (f.patch >= 0) close(f.patch);
    if (f.old >= 0) close(f.old);
    if (f.fresh >= 0) close(f.fresh);
    return e;
}

bool porch_update_install_hopeless(porch_err e) {
    return e == PORCH_ERR_STATE || e == PORCH_ERR_MALFORMED || e == PORCH_ERR_LIMIT ||
           e == PORCH_ERR_NOT_FOUND || e == PORCH_ERR_HASH || e == PORCH_ERR_TRUNCATED;
}
