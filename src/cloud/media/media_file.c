/* Why a crash cannot take back what was promised: whole chunks are only ever appended, and the part of a
 * chunk that was promised lives in the tail file, which is replaced by rename. A tail says which chunk it
 * stands for; once that chunk is whole in the main file, the tail is simply out of date.
 *
 * And why a disk that fails cannot: the system tells of a write that failed at one sync, and passes for
 * clean what never got there at the next. So after a sync that failed the file is cut to where one went
 * well, and is of no more use; who opens it anew goes on from there. */
#include "cloud/media/media_file.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/cursor.h"
#include "base/text.h"
#include "crypto/aead.h"
#include "crypto/random.h"
#include "os/file.h"

#define VERSION     1
#define STRIDE      (PORCH_MEDIA_CHUNK + PORCH_MEDIA_SEALED_EXTRA)
#define TAIL_HEADER 12u
#define NONCE       PORCH_AEAD_NONCE_BYTES

/* The last byte of the associated data. */
typedef enum { PLACE_MIDDLE = 0, PLACE_LAST = 1, PLACE_TAIL = 2 } place;

struct porch_media_file {
    int fd;
    char path[PATH_MAX];
    porch_aead *aead;
    uint8_t header[PORCH_MEDIA_HEADER];
    uint64_t chunks; /* whole ones in the file */
    uint64_t bytes;  /* plain, all in all */
    size_t fill;     /* writer: plain bytes of the chunk under way; reader: of the chunk in `plain` */
    size_t synced;   /* writer: how many of them the tail holds */
    bool dirty;      /* whole chunks since the last sync */
    uint64_t sure;   /* writer: so much of the file itself a sync has made durable */
    bool lost;       /* writer: a sync has failed */
    bool finished;
    uint64_t loaded; /* reader: which chunk is in `plain`; UINT64_MAX: none */
    uint8_t plain[PORCH_MEDIA_CHUNK];
    uint8_t sealed[STRIDE + TAIL_HEADER];
};

porch_err porch_media_header_read(porch_bytes in, porch_media_header *ret) {
    porch_reader r = porch_reader_of(in);
    porch_bytes magic, id, salt;
    uint8_t version, kind;
    uint16_t zero;
    uint32_t chunk;
    PORCH_TRY(porch_read_bytes(&r, 8, &magic));
    PORCH_TRY(porch_read_u8(&r, &version));
    PORCH_TRY(porch_read_u8(&r, &kind));
    PORCH_TRY(porch_read_u16(&r, &zero));
    PORCH_TRY(porch_read_u32(&r, &chunk));
    PORCH_TRY(porch_read_bytes(&r, 16, &id));
    PORCH_TRY(porch_read_bytes(&r, 16, &salt));
    if (!porch_bytes_eq(magic, PORCH_LIT("PORCHCLP"))) return PORCH_ERR_MALFORMED;
    if (version != VERSION || chunk != PORCH_MEDIA_CHUNK) return PORCH_ERR_UNSUPPORTED;
    if (zero != 0 || (kind != PORCH_MEDIA_FILE_ORIGINAL && kind != PORCH_MEDIA_FILE_INDEXED)) {
        return PORCH_ERR_MALFORMED;
    }
    ret->kind = (porch_media_file_kind)kind;
    memcpy(ret->id, id.at, 16);
    memcpy(ret->salt, salt.at, 16);
    return PORCH_OK;
}

porch_err porch_media_header_write(porch_buf *out, const porch_media_header *header) {
    if (out->cap - out->len < PORCH_MEDIA_HEADER) return PORCH_ERR_NO_SPACE;
    PORCH_TRY(porch_write_bytes(out, PORCH_LIT("PORCHCLP")));
    PORCH_TRY(porch_write_u8(out, VERSION));
    PORCH_TRY(porch_write_u8(out, (uint8_t)header->kind));
    PORCH_TRY(porch_write_u16(out, 0));
    PORCH_TRY(porch_write_u32(out, PORCH_MEDIA_CHUNK));
    PORCH_TRY(porch_write_bytes(out, (porch_bytes){header->id, 16}));
    return porch_write_bytes(out, (porch_bytes){header->salt, 16});
}

/* ---- bytes and the disk ---- */

static porch_err disk(porch_why *why, const porch_media_file *f, const char *call) {
    porch_err e = errno == ENOSPC || errno == EDQUOT ? PORCH_ERR_FULL : PORCH_ERR_IO;
    (void)porch_fail(why, e, "%s %.120s: %s", call, f->path, strerror(errno));
    return e;
}

static porch_err changed(porch_why *why, const porch_media_file *f) {
    (void)porch_fail(why, PORCH_ERR_SIGNATURE,
                     "%.150s is not what was stored: it was changed, cut or renamed", f->path);
    return PORCH_ERR_SIGNATURE;
}

static porch_err write_at(porch_media_file *f, porch_bytes b, uint64_t offset, porch_why *why) {
    while (b.len > 0) {
        ssize_t n = pwrite(f->fd, b.at, b.len, (off_t)offset);
        if (n < 0 && errno == EINTR) continue;
        if (n < 0) return disk(why, f, "write");
        b.at += n;
        b.len -= (size_t)n;
        offset += (uint64_t)n;
    }
    return PORCH_OK;
}

/* Reads exactly len bytes; SIGNATURE when the file ends before. */
static porch_err read_at(porch_media_file *f, uint8_t *at, size_t len, uint64_t offset, porch_why *why) {
    while (len > 0) {
        ssize_t n = pread(f->fd, at, len, (off_t)offset);
        if (n < 0 && errno == EINTR) continue;
        if (n < 0) return disk(why, f, "read");
        if (n == 0) return changed(why, f);
        at += n;
        len -= (size_t)n;
        offset += (uint64_t)n;
    }
    return PORCH_OK;
}

static uint64_t offset_of(uint64_t chunk) {
    return PORCH_MEDIA_HEADER + chunk * STRIDE;
}

/* ---- sealing ---- */

static porch_bytes associated(const porch_media_file *f, uint64_t chunk, place where, uint8_t block[64]) {
    porch_buf b = {block, 0, 64};
    (void)porch_write_bytes(&b, (porch_bytes){f->header, sizeof f->header});
    (void)porch_write_u64(&b, chunk);
    (void)porch_write_u8(&b, (uint8_t)where);
    return porch_buf_bytes(&b);
}

/* Appends nonce, cipher text and tag of the plain bytes under way to `out`. */
static porch_err seal(porch_media_file *f, place where, porch_buf *out, porch_why *why) {
    uint8_t block[64], nonce[NONCE];
    porch_bytes aad = associated(f, f->chunks, where, block);
    porch_random(nonce, sizeof nonce);
    porch_err e = porch_write_bytes(out, (porch_bytes){nonce, sizeof nonce});
    if (e == PORCH_OK) e = porch_aead_seal_with(f->aead, nonce, aad, (porch_bytes){f->plain, f->fill}, out);
    return e == PORCH_OK ? e
                         : porch_fail(why, PORCH_ERR_CRYPTO, "a chunk of %.150s cannot be sealed", f->path);
}

/* Opens `sealed` (nonce first) into f->plain and sets f->fill. */
static porch_err unseal(porch_media_file *f, uint64_t chunk, place where, porch_bytes sealed,
                        porch_why *why) {
    uint8_t block[64];
    porch_buf out = PORCH_BUF_OF(f->plain);
    if (sealed.len < PORCH_MEDIA_SEALED_EXTRA) return changed(why, f);
    porch_bytes rest = {sealed.at + NONCE, sealed.len - NONCE};
    f->loaded = UINT64_MAX;
    if (porch_aead_open_with(f->aead, sealed.at, associated(f, chunk, where, block), rest, &out) !=
        PORCH_OK) {
        return changed(why, f);
    }
    f->fill = out.len;
    f->loaded = chunk;
    return PORCH_OK;
}

/* ---- making and opening ---- */

static porch_err file_new(const char *path, int flags, const uint8_t key[32], porch_media_file **ret,
                          porch_why *why) {
    porch_media_file *f = calloc(1, sizeof *f);
    if (f == NULL) return PORCH_ERR_NO_SPACE;
    f->loaded = UINT64_MAX;
    (void)snprintf(f->path, sizeof f->path, "%s", path);
    f->fd = open(path, flags | O_CLOEXEC | O_NOFOLLOW, 0600);
    if (f->fd < 0) {
        porch_err e = errno == ENOENT ? PORCH_ERR_NOT_FOUND : PORCH_ERR_IO;
        if (errno == ENOSPC || errno == EDQUOT) e = PORCH_ERR_FULL;
        (void)porch_fail(why, e, "open %.150s: %s", path, strerror(errno));
        free(f);
        return e;
    }
    f->aead = porch_aead_new(key);
    *ret = f;
    return PORCH_OK;
}

static porch_err id_bytes(const char *id, uint8_t ret[16]) {
    porch_buf out = {ret, 0, 16};
    if (porch_hex_read(&out, porch_bytes_of(id)) != PORCH_OK || out.len != 16) return PORCH_ERR_MALFORMED;
    return PORCH_OK;
}

porch_err porch_media_file_create(const char *path, porch_media_file_kind kind, const char *id,
                                  const uint8_t key[32], porch_media_file **ret, porch_why *why) {
    porch_media_file *f = NULL;
    porch_media_header h = {.kind = kind};
    PORCH_TRY(id_bytes(id, h.id));
    porch_random(h.salt, sizeof h.salt);
    /* A former file of that name goes first: nobody may find new chunks behind an old header. */
    if (unlink(path) != 0 && errno != ENOENT)
        return porch_fail(why, PORCH_ERR_IO, "cannot replace %.150s", path);
    PORCH_TRY(file_new(path, O_RDWR | O_CREAT | O_EXCL, key, &f, why));
    porch_buf out = PORCH_BUF_OF(f->header);
    porch_err e = porch_media_header_write(&out, &h);
    if (e == PORCH_OK) e = write_at(f, porch_buf_bytes(&out), 0, why);
    if (e != PORCH_OK) {
        porch_media_file_close(f);
        return e;
    }
    f->dirty = true;
    *ret = f;
    return PORCH_OK;
}

static porch_err load_header(porch_media_file *f, porch_media_file_kind kind, const char *id,
                             porch_why *why) {
    porch_media_header h;
    uint8_t want[16];
    PORCH_TRY(read_at(f, f->header, sizeof f->header, 0, why));
    porch_err e = porch_media_header_read((porch_bytes){f->header, sizeof f->header}, &h);
    if (e == PORCH_ERR_UNSUPPORTED) return porch_fail(why, e, "%.150s is from another version", f->path);
    if (e != PORCH_OK || id_bytes(id, want) != PORCH_OK || h.kind != kind || memcmp(h.id, want, 16) != 0) {
        return changed(why, f);
    }
    return PORCH_OK;
}

static porch_err body_bytes(porch_media_file *f, uint64_t *ret, porch_why *why) {
    struct stat st;
    if (fstat(f->fd, &st) != 0) return disk(why, f, "stat");
    if (st.st_size < (off_t)PORCH_MEDIA_HEADER) return changed(why, f);
    *ret = (uint64_t)st.st_size - PORCH_MEDIA_HEADER;
    return PORCH_OK;
}

static void tail_path(const char *path, char ret[PATH_MAX]) {
    int n = snprintf(ret, PATH_MAX, "%s.tail", path);
    if (n < 0 || n >= PATH_MAX) ret[0] = '\0';
}

/* The tail, when there is a sound one that continues the whole chunks; else nothing. */
static void load_tail(porch_media_file *f) {
    char path[PATH_MAX];
    uint8_t *bytes = NULL;
    size_t len = 0;
    uint64_t chunk;
    uint32_t plain;
    tail_path(f->path, path);
    f->fill = 0;
    if (porch_file_read(path, sizeof f->sealed, &bytes, &len, NULL) != PORCH_OK) return;
    porch_reader r = porch_reader_of((porch_bytes){bytes, len});
    if (porch_read_u64(&r, &chunk) == PORCH_OK && porch_read_u32(&r, &plain) == PORCH_OK &&
        chunk == f->chunks && plain < PORCH_MEDIA_CHUNK && r.rest.len == plain + PORCH_MEDIA_SEALED_EXTRA &&
        unseal(f, chunk, PLACE_TAIL, r.rest, NULL) != PORCH_OK) {
        f->fill = 0;
    }
    f->synced = f->fill;
    free(bytes);
}

static porch_err resume(porch_media_file *f, const char *id, void (*fn)(porch_bytes plain, void *ctx),
                        void *ctx, porch_why *why) {
    uint64_t body = 0;
    PORCH_TRY(load_header(f, PORCH_MEDIA_FILE_ORIGINAL, id, why));
    PORCH_TRY(body_bytes(f, &body, why));
    for (uint64_t whole = body / STRIDE; f->chunks < whole; f->chunks++) {
        PORCH_TRY(read_at(f, f->sealed, STRIDE, offset_of(f->chunks), why));
        if (unseal(f, f->chunks, PLACE_MIDDLE, (porch_bytes){f->sealed, STRIDE}, NULL) != PORCH_OK) break;
        if (fn != NULL) fn((porch_bytes){f->plain, f->fill}, ctx);
    }
    if (ftruncate(f->fd, (off_t)offset_of(f->chunks)) != 0) return disk(why, f, "truncate");
    load_tail(f);
    if (f->fill > 0 && fn != NULL) fn((porch_bytes){f->plain, f->fill}, ctx);
    f->bytes = f->chunks * PORCH_MEDIA_CHUNK + f->fill;
    f->dirty = true;
    return PORCH_OK;
}

porch_err porch_media_file_resume(const char *path, const char *id, const uint8_t key[32],
                                  void (*fn)(porch_bytes plain, void *ctx), void *ctx,
                                  porch_media_file **ret, porch_why *why) {
    porch_media_file *f = NULL;
    PORCH_TRY(file_new(path, O_RDWR, key, &f, why));
    porch_err e = resume(f, id, fn, ctx, why);
    if (e != PORCH_OK) {
        porch_media_file_close(f);
        return e;
    }
    *ret = f;
    return PORCH_OK;
}

uint64_t porch_media_file_size(const char *path) {
    struct stat st;
    if (stat(path, &st) != 0 || st.st_size <= (off_t)PORCH_MEDIA_HEADER) return 0;
    return ((uint64_t)st.st_size - PORCH_MEDIA_HEADER) / STRIDE * PORCH_MEDIA_CHUNK;
}

/* ---- writing ---- */

void porch_media_file_sure(porch_media_file *f, uint64_t bytes) {
    if (bytes <= f->bytes) f->sure = offset_of(bytes / PORCH_MEDIA_CHUNK);
}

uint64_t porch_media_file_bytes(const porch_media_file *f) {
    return f->bytes;
}

static porch_err write_chunk(porch_media_file *f, place where, porch_why *why) {
    porch_buf out = {f->sealed, 0, STRIDE};
    PORCH_TRY(seal(f, where, &out, why));
    PORCH_TRY(write_at(f, porch_buf_bytes(&out), offset_of(f->chunks), why));
    f->dirty = true;
    return PORCH_OK;
}

static porch_err check_usable(const porch_media_file *f, porch_why *why) {
    if (!f->lost) return PORCH_OK;
    return porch_fail(why, PORCH_ERR_IO, "%.150s could not be made durable; it goes on from where it is",
                      f->path);
}

porch_err porch_media_file_append(porch_media_file *f, porch_bytes plain, porch_why *why) {
    PORCH_TRY(check_usable(f, why));
    if (f->finished) return porch_fail(why, PORCH_ERR_STATE, "the clip is finished");
    while (plain.len > 0) {
        size_t room = PORCH_MEDIA_CHUNK - f->fill;
        size_t n = plain.len < room ? plain.len : room;
        memcpy(f->plain + f->fill, plain.at, n);
        f->fill += n;
        f->bytes += n;
        plain.at += n;
        plain.len -= n;
        if (f->fill < PORCH_MEDIA_CHUNK) break;
        PORCH_TRY(write_chunk(f, PLACE_MIDDLE, why));
        f->chunks++;
        f->fill = 0;
        f->synced = 0;
    }
    return PORCH_OK;
}

static porch_err open_folder(const porch_media_file *f, int *fd, porch_why *why) {
    char folder[PATH_MAX];
    (void)snprintf(folder, sizeof folder, "%s", f->path);
    char *slash = strrchr(folder, '/');
    if (slash != NULL) *slash = '\0';
    *fd = open(slash != NULL ? folder : ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    return *fd >= 0 ? PORCH_OK : disk(why, f, "open the folder of");
}

static porch_err sync_main(porch_media_file *f, uint64_t end, porch_why *why) {
    PORCH_TRY(check_usable(f, why));
    if (!f->dirty) return PORCH_OK;
    int folder = -1;
    PORCH_TRY(open_folder(f, &folder, why)); /* without a descriptor nothing is lost */
    porch_err e = fsync(f->fd) == 0 && fsync(folder) == 0 ? PORCH_OK : disk(why, f, "fsync");
    (void)close(folder);
    if (e != PORCH_OK) {
        f->lost = true;
        int r = ftruncate(f->fd, (off_t)f->sure);
        (void)r; /* the disk that fails may fail here too: then it is read and judged when it is opened */
        return e;
    }
    f->sure = end;
    f->dirty = false;
    return PORCH_OK;
}

porch_err porch_media_file_sync(porch_media_file *f, porch_why *why) {
    char path[PATH_MAX];
    PORCH_TRY(sync_main(f, offset_of(f->chunks), why));
    if (f->finished || f->synced == f->fill) return PORCH_OK;
    /* A whole one that could not be written is no tail: the tail before it stays good. */
    if (f->fill == PORCH_MEDIA_CHUNK)
        return porch_fail(why, PORCH_ERR_IO, "a chunk of %.150s could not be written", f->path);
    porch_buf out = PORCH_BUF_OF(f->sealed);
    PORCH_TRY(porch_write_u64(&out, f->chunks));
    PORCH_TRY(porch_write_u32(&out, (uint32_t)f->fill));
    PORCH_TRY(seal(f, PLACE_TAIL, &out, why));
    tail_path(f->path, path);
    PORCH_TRY(porch_file_write_atomic(path, porch_buf_bytes(&out), 0600, why));
    f->synced = f->fill;
    return PORCH_OK;
}

porch_err porch_media_file_finish(porch_media_file *f, porch_why *why) {
    if (f->finished) return PORCH_OK;
    PORCH_TRY(write_chunk(f, PLACE_LAST, why));
    PORCH_TRY(sync_main(f, offset_of(f->chunks), why));
    f->finished = true;
    return PORCH_OK;
}

void porch_media_file_drop_tail(const char *path) {
    char tail[PATH_MAX];
    tail_path(path, tail);
    (void)unlink(tail);
}

/* ---- reading ---- */

static porch_err open_finished(porch_media_file *f, porch_media_file_kind kind, const char *id,
                               porch_why *why) {
    uint64_t body = 0;
    PORCH_TRY(load_header(f, kind, id, why));
    PORCH_TRY(body_bytes(f, &body, why));
    f->chunks = body / STRIDE;
    size_t last = (size_t)(body % STRIDE);
    if (last < PORCH_MEDIA_SEALED_EXTRA) return changed(why, f);
    PORCH_TRY(read_at(f, f->sealed, last, offset_of(f->chunks), why));
    PORCH_TRY(unseal(f, f->chunks, PLACE_LAST, (porch_bytes){f->sealed, last}, why));
    f->bytes = f->chunks * PORCH_MEDIA_CHUNK + f->fill;
    f->finished = true;
    return PORCH_OK;
}

porch_err porch_media_file_open(const char *path, porch_media_file_kind kind, const char *id,
                                const uint8_t key[32], porch_media_file **ret, porch_why *why) {
    porch_media_file *f = NULL;
    PORCH_TRY(file_new(path, O_RDONLY, key, &f, why));
    porch_err e = open_finished(f, kind, id, why);
    if (e != PORCH_OK) {
        porch_media_file_close(f);
        return e;
    }
    *ret = f;
    return PORCH_OK;
}

static porch_err load_chunk(porch_media_file *f, uint64_t chunk, porch_why *why) {
    if (f->loaded == chunk) return PORCH_OK;
    bool last = chunk == f->chunks;
    size_t sealed =
        last ? (size_t)(f->bytes - chunk * PORCH_MEDIA_CHUNK) + PORCH_MEDIA_SEALED_EXTRA : STRIDE;
    f->loaded = UINT64_MAX;
    PORCH_TRY(read_at(f, f->sealed, sealed, offset_of(chunk), why));
    return unseal(f, chunk, last ? PLACE_LAST : PLACE_MIDDLE, (porch_bytes){f->sealed, sealed}, why);
}

porch_err porch_media_file_read(porch_media_file *f, uint64_t offset, uint8_t *at, size_t cap, size_t *got,
                                porch_why *why) {
    if (!f->finished) return porch_fail(why, PORCH_ERR_STATE, "the clip is still recording");
    size_t done = 0;
    while (done < cap && offset < f->bytes) {
        PORCH_TRY(load_chunk(f, offset / PORCH_MEDIA_CHUNK, why));
        size_t from = (size_t)(offset % PORCH_MEDIA_CHUNK);
        if (from >= f->fill) return changed(why, f);
        size_t n = f->fill - from < cap - done ? f->fill - from : cap - done;
        memcpy(at + done, f->plain + from, n);
        done += n;
        offset += n;
    }
    *got = done;
    return PORCH_OK;
}

void porch_media_file_close(porch_media_file *f) {
    if (f == NULL) return;
    (void)close(f->fd);
    porch_aead_free(f->aead);
    porch_wipe(f, sizeof *f);
    free(f);
}
