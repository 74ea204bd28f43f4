#include "ota/port/linux/slot_files.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#include "base/text.h"
#include "crypto/sha256.h"
#include "crypto/tpm.h"
#include "os/clock.h"
#include "os/file.h"

enum { BUFFER_BYTES = 64 * 1024, RECORD_MODE = 0644, IMAGE_MODE = 0755, PAUSE_NS = 20000000 };

static const char *const record_names[] = {"record.0", "record.1"};
static const char *const image_names[] = {"slot.0", "slot.1"};

/* ---- what the core asks ---- */

static porch_err read_record(void *self, unsigned copy, uint8_t out[PORCH_SLOT_RECORD_BYTES]) {
    const porch_slot_files *f = self;
    uint8_t *bytes = NULL;
    size_t len = 0;
    PORCH_TRY(
        porch_file_read_at(f->dir_fd, record_names[copy], PORCH_SLOT_RECORD_BYTES, &bytes, &len, NULL));
    bool whole = len == PORCH_SLOT_RECORD_BYTES;
    if (whole) memcpy(out, bytes, len);
    free(bytes);
    return whole ? PORCH_OK : PORCH_ERR_NOT_FOUND;
}

static porch_err write_record(void *self, unsigned copy, const uint8_t bytes[PORCH_SLOT_RECORD_BYTES]) {
    const porch_slot_files *f = self;
    return porch_file_write_atomic_at(f->dir_fd, record_names[copy],
                                      (porch_bytes){bytes, PORCH_SLOT_RECORD_BYTES}, RECORD_MODE, NULL);
}

/* The hash of the first `length` bytes; TRUNCATED when there are fewer. */
static porch_err hash_fd(int fd, uint64_t length, uint8_t sha256[32]) {
    uint8_t *block = malloc(BUFFER_BYTES);
    porch_sha256_state *s = porch_sha256_new();
    while (block != NULL && length > 0) {
        ssize_t got = read(fd, block, length < BUFFER_BYTES ? (size_t)length : BUFFER_BYTES);
        if (got < 0 && errno == EINTR) continue;
        if (got <= 0) break;
        porch_sha256_update(s, (porch_bytes){block, (size_t)got});
        length -= (uint64_t)got;
    }
    porch_sha256_finish(s, sha256);
    porch_sha256_free(s);
    free(block);
    return block != NULL && length == 0 ? PORCH_OK : PORCH_ERR_TRUNCATED;
}

static porch_err hash_image(void *self, unsigned slot, uint64_t length, uint8_t sha256[32]) {
    const porch_slot_files *f = self;
    struct stat st;
    int fd = openat(f->dir_fd, image_names[slot], O_RDONLY | O_CLOEXEC | O_NOFOLLOW | O_NONBLOCK);
    if (fd < 0) return PORCH_ERR_NOT_FOUND;
    /* A longer file is another program, whatever its beginning is. */
    bool same = fstat(fd, &st) == 0 && S_ISREG(st.st_mode) && (uint64_t)st.st_size == length;
    porch_err e = same ? hash_fd(fd, length, sha256) : PORCH_ERR_HASH;
    close(fd);
    return e;
}

/* ---- the floor in a TPM ---- */

static porch_err read_floor(void *self, uint64_t *ret) {
    porch_slot_files *f = self;
    return porch_tpm_floor_read(f->tpm, f->floor_at, ret, &f->floor_why);
}

static porch_err raise_floor(void *self, uint64_t floor) {
    porch_slot_files *f = self;
    return porch_tpm_floor_raise(f->tpm, f->floor_at, floor, &f->floor_why);
}

void porch_slot_files_keep_floor(porch_slot_files *f, porch_slots *slots, const char *tpm,
                                 uint32_t floor_at) {
    static const porch_slot_port port = {read_record, write_record, hash_image, read_floor, raise_floor};
    f->tpm = tpm;
    f->floor_at = floor_at;
    slots->port = &port;
}

bool porch_slot_files_index_read(const char *text, uint32_t *ret) {
    uint8_t raw[4];
    porch_buf out = PORCH_BUF_OF(raw);
    if (strncmp(text, "0x", 2) != 0 || porch_hex_read(&out, porch_bytes_of(text + 2)) != PORCH_OK ||
        out.len != sizeof raw)
        return false;
    *ret = (uint32_t)raw[0] << 24 | (uint32_t)raw[1] << 16 | (uint32_t)raw[2] << 8 | raw[3];
    return true;
}

/* ---- the folder ---- */

porch_err porch_slot_files_open(porch_slot_files *f, const char *folder, porch_slots *slots,
                                porch_why *why) {
    static const porch_slot_port port = {read_record, write_record, hash_image, NULL, NULL};
    char lock[4096];
    porch_slot_files made = {.dir_fd = open(folder, O_RDONLY | O_DIRECTORY | O_CLOEXEC), .lock_fd = -1};
    if (made.dir_fd < 0)
        return porch_fail(why, PORCH_ERR_NOT_FOUND, "open %.200s: %s", folder, strerror(errno));
    porch_err e = porch_path_join(folder, ".lock", lock, sizeof lock);
    if (e == PORCH_OK) e = porch_file_lock(lock, &made.lock_fd, why);
    if (e != PORCH_OK) {
        close(made.dir_fd);
        return e;
    }
    *f = made;
    *slots = (porch_slots){
        .port = &port, .self = f, .crypto = porch_verify_library(), .tries = PORCH_SLOT_FILES_TRIES};
    return PORCH_OK;
}

porch_err porch_slot_files_await(porch_slot_files *f, const char *folder, unsigned wait_s,
                                 porch_slots *slots, porch_why *why) {
    const struct timespec pause = {.tv_nsec = PAUSE_NS};
    uint64_t until_ms = porch_clock_mono_ms() + (uint64_t)wait_s * 1000;
    porch_err e = PORCH_OK;
    while ((e = porch_slot_files_open(f, folder, slots, why)) == PORCH_ERR_BUSY &&
           porch_clock_mono_ms() < until_ms)
        (void)nanosleep(&pause, NULL);
    return e;
}

void porch_slot_files_close(porch_slot_files *f) {
    close(f->lock_fd);
    close(f->dir_fd);
}

porch_err porch_slot_files_measure(const char *file, uint64_t counter, porch_slot_image *ret,
                                   porch_why *why) {
    porch_slot_image image = {.counter = counter};
    struct stat st;
    int fd = open(file, O_RDONLY | O_CLOEXEC);
    porch_err e = fd >= 0 && fstat(fd, &st) == 0 && S_ISREG(st.st_mode) ? PORCH_OK : PORCH_ERR_NOT_FOUND;
    if (e == PORCH_OK) {
        image.length = (uint64_t)st.st_size;
        e = hash_fd(fd, image.length, image.sha256);
    }
    if (fd >= 0) close(fd);
    if (e != PORCH_OK) return porch_fail(why, e, "%.200s is no file that can be read", file);
    *ret = image;
    return PORCH_OK;
}

static porch_err io(porch_why *why, const char *what) {
    return porch_fail(why, errno == ENOSPC ? PORCH_ERR_FULL : PORCH_ERR_IO, "%s: %s", what,
                      strerror(errno));
}

/* One step of the image: copied and synced; *len is 0 at its end. */
static porch_err copy_step(int from, int to, uint64_t at, uint64_t left, uint8_t *block, uint64_t *len,
                           porch_why *why) {
    uint64_t most = left < PORCH_SLOT_FILES_STEP ? left : PORCH_SLOT_FILES_STEP;
    *len = 0;
    while (*len < most) {
        size_t want = most - *len < BUFFER_BYTES ? (size_t)(most - *len) : BUFFER_BYTES;
        ssize_t got = pread(from, block, want, (off_t)(at + *len));
        if (got < 0 && errno == EINTR) continue;
        if (got < 0) return io(why, "read the image");
        if (got == 0) break;
        for (ssize_t done = 0; done < got;) {
            ssize_t wrote = pwrite(to, block + done, (size_t)(got - done), (off_t)(at + *len) + done);
            if (wrote < 0 && errno != EINTR) return io(why, "write the slot");
            if (wrote > 0) done += wrote;
        }
        *len += (uint64_t)got;
    }
    return fsync(to) == 0 ? PORCH_OK : io(why, "fsync the slot");
}

static porch_err copy(porch_slots *slots, int from, int to, uint64_t at, uint64_t length, bool journal,
                      porch_why *why) {
    uint8_t *block = malloc(BUFFER_BYTES);
    porch_err e = block != NULL ? PORCH_OK : porch_fail(why, PORCH_ERR_NO_SPACE, "no memory");
    uint64_t len = 1;
    while (e == PORCH_OK && at < length && len > 0) {
        e = copy_step(from, to, at, length - at, block, &len, why);
        at += len;
        if (e == PORCH_OK && journal && len > 0) e = porch_slots_progress(slots, at, why);
    }
    free(block);
    return e;
}

porch_err porch_slot_files_read_slot(const porch_slot_files *f, unsigned slot, int *fd, porch_why *why) {
    *fd = openat(f->dir_fd, image_names[slot], O_RDONLY | O_CLOEXEC | O_NOFOLLOW);
    return *fd >= 0 ? PORCH_OK : io(why, "open the slot that runs");
}

porch_err porch_slot_files_write_slot(const porch_slot_files *f, unsigned slot, uint64_t from, int *fd,
                                      porch_why *why) {
    int out = openat(f->dir_fd, image_names[slot], O_RDWR | O_CREAT | O_CLOEXEC | O_NOFOLLOW, IMAGE_MODE);
    if (out < 0) return io(why, "open the slot");
    if (ftruncate(out, (off_t)from) != 0 || fchmod(out, IMAGE_MODE) != 0 || fsync(f->dir_fd) != 0) {
        porch_err e = io(why, "prepare the slot");
        close(out);
        return e;
    }
    *fd = out;
    return PORCH_OK;
}

static porch_err write_slot(porch_slot_files *f, porch_slots *slots, const char *file, unsigned slot,
                            uint64_t from, uint64_t length, bool journal, porch_why *why) {
    int in = open(file, O_RDONLY | O_CLOEXEC), out = -1;
    porch_err e =
        in >= 0 ? porch_slot_files_write_slot(f, slot, from, &out, why) : io(why, "open the image");
    if (e == PORCH_OK) e = copy(slots, in, out, from, length, journal, why);
    if (in >= 0) close(in);
    if (out >= 0) close(out);
    return e;
}

porch_err porch_slot_files_format(porch_slot_files *f, porch_slots *slots, const char *file,
                                  uint64_t counter, porch_why *why) {
    porch_slot_image image;
    porch_why unused;
    if (porch_slots_open(slots, &unused) == PORCH_OK)
        return porch_fail(why, PORCH_ERR_EXISTS, "the folder has slots already; use install");
    PORCH_TRY(porch_slot_files_measure(file, counter, &image, why));
    PORCH_TRY(write_slot(f, slots, file, 0, 0, image.length, false, why));
    return porch_slots_format(slots, &image, why);
}

porch_err porch_slot_files_install(porch_slot_files *f, porch_slots *slots, const char *file,
                                   const porch_slot_image *image, porch_why *why) {
    unsigned slot = 0;
    uint64_t from = 0;
    PORCH_TRY(porch_slots_open(slots, why));
    PORCH_TRY(porch_slots_begin(slots, image, &slot, &from, why));
    PORCH_TRY(write_slot(f, slots, file, slot, from, image->length, true, why));
    return porch_slots_stage(slots, why);
}
