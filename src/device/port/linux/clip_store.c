#include "device/port/linux/clip_store.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/text.h"
#include "device/fragment.h"

enum { NAME_BYTES = 8 + 1 + PORCH_ID_MOST + 4 + 1 };

static void name_of(uint32_t number, const porch_id *event, char out[NAME_BYTES]) {
    (void)snprintf(out, NAME_BYTES, "%08x-%s.mp4", (unsigned)number, event->text);
}

static bool parse_name(const char *name, uint32_t *number, porch_id *event) {
    size_t len = strlen(name);
    uint8_t raw[4];
    porch_buf out = PORCH_BUF_OF(raw);
    if (len < 14 || name[8] != '-' || strcmp(name + len - 4, ".mp4") != 0) return false;
    if (porch_hex_read(&out, (porch_bytes){(const uint8_t *)name, 8}) != PORCH_OK) return false;
    if (porch_id_parse((porch_bytes){(const uint8_t *)name + 9, len - 13}, event) != PORCH_OK) return false;
    *number = (uint32_t)raw[0] << 24 | (uint32_t)raw[1] << 16 | (uint32_t)raw[2] << 8 | raw[3];
    return true;
}

static void insert(porch_clip_store *s, porch_stored_clip *clip) {
    porch_stored_clip *before = NULL;
    for (porch_stored_clip *c = s->first; c && c->number < clip->number; c = c->next)
        before = c;
    clip->next = before ? before->next : s->first;
    if (before)
        before->next = clip;
    else
        s->first = clip;
    s->count++;
}

static void free_clip(porch_stored_clip *clip) {
    if (clip->fd >= 0) (void)close(clip->fd);
    porch_sha256_free(clip->hash);
    free(clip);
}

/* --- what an earlier run left --- */

static porch_err read_fd(void *ctx, uint64_t offset, uint8_t *at, size_t len) {
    const int *fd = ctx;
    while (len > 0) {
        ssize_t n = pread(*fd, at, len, (off_t)offset);
        if (n < 0 && errno == EINTR) continue;
        if (n <= 0) return PORCH_ERR_IO;
        at += n;
        offset += (uint64_t)n;
        len -= (size_t)n;
    }
    return PORCH_OK;
}

static porch_err hash_file(int fd, uint64_t bytes, porch_sha256_state *hash) {
    uint8_t piece[32768];
    for (uint64_t at = 0; at < bytes;) {
        size_t n = bytes - at < sizeof piece ? (size_t)(bytes - at) : sizeof piece;
        PORCH_TRY(read_fd(&fd, at, piece, n));
        porch_sha256_update(hash, (porch_bytes){piece, n});
        at += n;
    }
    return PORCH_OK;
}

/* Ends the clip at its last whole fragment. OK with visible 0 when it has none. */
static porch_err recover(porch_clip_store *s, const char *name, porch_stored_clip *clip) {
    struct stat st;
    clip->fd = openat(s->dir_fd, name, O_RDWR | O_APPEND | O_CLOEXEC | O_NOFOLLOW);
    if (clip->fd < 0 && (errno == EMFILE || errno == ENFILE || errno == ENOMEM)) return PORCH_ERR_BUSY;
    if (clip->fd < 0 || fstat(clip->fd, &st) != 0) return PORCH_ERR_IO;
    PORCH_TRY(porch_fragment_whole_bytes(read_fd, &clip->fd, (uint64_t)st.st_size, &clip->visible));
    if (ftruncate(clip->fd, (off_t)clip->visible) != 0) return PORCH_ERR_IO;
    PORCH_TRY(hash_file(clip->fd, clip->visible, clip->hash));
    porch_sha256_finish(clip->hash, clip->sha256);
    clip->ended = true;
    return PORCH_OK;
}

static porch_err adopt(porch_clip_store *s, const char *name, uint32_t number, const porch_id *event) {
    porch_stored_clip *clip = calloc(1, sizeof *clip);
    if (!clip) return PORCH_ERR_NO_SPACE;
    *clip = (porch_stored_clip){
        .number = number, .event = *event, .fd = -1, .begun = true, .hash = porch_sha256_new()};
    porch_err e = recover(s, name, clip);
    if (number >= s->next_number) s->next_number = number + 1;
    if (e == PORCH_OK && clip->visible > 0 && s->count < PORCH_CLIPS_MOST) {
        s->total_bytes += clip->visible;
        insert(s, clip);
        return PORCH_OK;
    }
    free_clip(clip);
    if (e == PORCH_OK) (void)unlinkat(s->dir_fd, name, 0);
    return e;
}

/* One clip that the disk does not give back must keep the device neither from starting nor from the others.
 * Where it cannot even be renamed it stays, and is met again at the next start. */
static void set_aside(porch_clip_store *s, const char *name) {
    char bad[NAME_BYTES + 4];
    (void)snprintf(bad, sizeof bad, "%s.bad", name);
    (void)renameat(s->dir_fd, name, s->dir_fd, bad);
    s->set_aside++;
}

porch_err porch_clip_store_open(porch_clip_store *s, const char *folder, uint64_t limit_bytes,
                                porch_why *why) {
    *s = (porch_clip_store){.dir_fd = -1, .limit_bytes = limit_bytes, .next_number = 1};
    s->dir_fd = open(folder, O_RDONLY | O_DIRECTORY | O_CLOEXEC | O_NOFOLLOW);
    int fd = s->dir_fd < 0 ? -1 : openat(s->dir_fd, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    DIR *dir = fd < 0 ? NULL : fdopendir(fd);
    if (!dir) {
        porch_err e = porch_fail(why, PORCH_ERR_IO, "%s cannot be read: %s", folder, strerror(errno));
        if (fd >= 0) (void)close(fd);
        porch_clip_store_close(s);
        return e;
    }
    porch_err e = PORCH_OK;
    const struct dirent *entry;
    while (e == PORCH_OK && (entry = readdir(dir)) != NULL) {
        uint32_t number = 0;
        porch_id event;
        if (!parse_name(entry->d_name, &number, &event)) continue;
        e = adopt(s, entry->d_name, number, &event);
        if (e == PORCH_ERR_IO) {
            set_aside(s, entry->d_name);
            e = PORCH_OK;
        }
        if (e != PORCH_OK) (void)porch_fail(why, e, "clip %s/%s cannot be read", folder, entry->d_name);
    }
    (void)closedir(dir);
    if (e != PORCH_OK) porch_clip_store_close(s);
    return e;
}

void porch_clip_store_close(porch_clip_store *s) {
    while (s->first) {
        porch_stored_clip *clip = s->first;
        s->first = clip->next;
        free_clip(clip);
    }
    if (s->dir_fd >= 0) (void)close(s->dir_fd);
    *s = (porch_clip_store){.dir_fd = -1};
}

/* --- recording --- */

/* The clip that makes room: of those that have ended the oldest that no upload holds, or the oldest if they
 * all are held. What was sent of a clip is lost with it, and the hub keeps a part that nobody completes:
 * where recording outruns the uplink, and the uploads take the oldest, none would ever arrive whole. A clip
 * that waits costs itself alone. */
static porch_stored_clip *to_drop(const porch_clip_store *s) {
    porch_stored_clip *held = NULL;
    for (porch_stored_clip *c = s->first; c; c = c->next) {
        if (!c->ended || c->dropped) continue;
        if (!c->uploading) return c;
        if (!held) held = c;
    }
    return held;
}

/* Those that an upload still holds, though they were dropped, wait for nothing. */
static size_t count_waiting(const porch_clip_store *s) {
    size_t count = 0;
    for (const porch_stored_clip *c = s->first; c; c = c->next)
        count += !c->dropped;
    return count;
}

static void drop(porch_clip_store *s, porch_stored_clip *clip, porch_clip_dropped_fn fn, void *ctx) {
    fn(ctx, clip);
    porch_clip_store_remove(s, clip);
}

porch_err porch_clip_store_begin(porch_clip_store *s, const porch_id *event, porch_clip_dropped_fn fn,
                                 void *ctx, porch_stored_clip **ret, porch_why *why) {
    bool full = count_waiting(s) >= PORCH_CLIPS_MOST;
    if (full && !to_drop(s))
        return porch_fail(why, PORCH_ERR_LIMIT, "%d clips are being recorded already", PORCH_CLIPS_MOST);
    for (const porch_stored_clip *c = s->first; c; c = c->next)
        if (porch_id_eq(&c->event, event))
            return porch_fail(why, PORCH_ERR_EXISTS, "event %s has a clip already", event->text);
    porch_stored_clip *clip = calloc(1, sizeof *clip);
    if (!clip) return porch_fail(why, PORCH_ERR_NO_SPACE, "out of memory");
    *clip = (porch_stored_clip){.number = s->next_number, .event = *event, .fd = -1, .recording = true};
    char name[NAME_BYTES];
    name_of(clip->number, event, name);
    clip->fd = openat(s->dir_fd, name, O_RDWR | O_APPEND | O_CREAT | O_EXCL | O_CLOEXEC | O_NOFOLLOW, 0600);
    if (clip->fd < 0) {
        porch_err e = porch_fail(why, errno == ENOSPC ? PORCH_ERR_FULL : PORCH_ERR_IO,
                                 "clip file %s cannot be made: %s", name, strerror(errno));
        free_clip(clip);
        return e;
    }
    (void)fsync(
        s->dir_fd); /* a name lost to a power cut loses a clip of an instant, nothing that was promised */
    clip->hash = porch_sha256_new();
    s->next_number++;
    if (full) drop(s, to_drop(s), fn, ctx);
    insert(s, clip);
    *ret = clip;
    return PORCH_OK;
}

porch_err porch_clip_store_reserve(porch_clip_store *s, size_t len, porch_clip_dropped_fn fn, void *ctx) {
    while (s->total_bytes + len > s->limit_bytes) {
        porch_stored_clip *clip = to_drop(s);
        if (!clip) return PORCH_ERR_FULL;
        drop(s, clip, fn, ctx);
    }
    s->total_bytes += len;
    return PORCH_OK;
}

porch_err porch_stored_clip_write(porch_stored_clip *clip, porch_bytes bytes, porch_why *why) {
    porch_bytes left = bytes;
    while (left.len > 0) {
        ssize_t n = write(clip->fd, left.at, left.len);
        if (n < 0 && errno == EINTR) continue;
        if (n < 0) goto failed;
        left.at += n;
        left.len -= (size_t)n;
    }
    if (fdatasync(clip->fd) != 0) goto failed;
    porch_sha256_update(clip->hash, bytes);
    return PORCH_OK;
failed:
    return porch_fail(why, errno == ENOSPC || errno == EDQUOT ? PORCH_ERR_FULL : PORCH_ERR_IO,
                      "the clip of event %s cannot be written: %s", clip->event.text, strerror(errno));
}

void porch_clip_store_end(porch_clip_store *s, porch_stored_clip *clip) {
    (void)s;
    if (clip->ended) return;
    /* Bytes past `visible` are of a write that failed: they are cut off, and the hash has not seen them.
     * Should the cut fail as well, nobody reads them: the uploader stops at `visible`. */
    if (ftruncate(clip->fd, (off_t)clip->visible) != 0) errno = 0;
    porch_sha256_finish(clip->hash, clip->sha256);
    clip->ended = true;
}

porch_err porch_stored_clip_read(const porch_stored_clip *clip, uint64_t offset, uint8_t *at, size_t len) {
    int fd = clip->fd;
    return read_fd(&fd, offset, at, len);
}

void porch_clip_store_remove(porch_clip_store *s, porch_stored_clip *clip) {
    if (!clip->dropped) {
        char name[NAME_BYTES];
        name_of(clip->number, &clip->event, name);
        (void)unlinkat(s->dir_fd, name, 0);
        clip->dropped = true;
        s->total_bytes -= clip->visible < s->total_bytes ? clip->visible : s->total_bytes;
    }
    porch_clip_store_let_go(s, clip);
}

void porch_clip_store_let_go(porch_clip_store *s, porch_stored_clip *clip) {
    if (!clip->dropped || clip->recording || clip->uploading) return;
    porch_stored_clip **at = &s->first;
    while (*at && *at != clip)
        at = &(*at)->next;
    if (!*at) return;
    *at = clip->next;
    s->count--;
    free_clip(clip);
}
