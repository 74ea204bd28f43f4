#include "device/port/linux/spool_files.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/uio.h>
#include <unistd.h>

#include "base/text.h"

enum { NAME_BYTES = 16, PARTS_MOST = 8 };

static void name_of(uint32_t segment, char out[NAME_BYTES]) {
    (void)snprintf(out, NAME_BYTES, "%08x.spool", (unsigned)segment);
}

/* False for any name that name_of does not make. */
static bool number_of(const char *name, uint32_t *ret) {
    uint8_t raw[4];
    porch_buf out = PORCH_BUF_OF(raw);
    if (strlen(name) != 14 || strcmp(name + 8, ".spool") != 0) return false;
    if (porch_hex_read(&out, (porch_bytes){(const uint8_t *)name, 8}) != PORCH_OK) return false;
    *ret = (uint32_t)raw[0] << 24 | (uint32_t)raw[1] << 16 | (uint32_t)raw[2] << 8 | raw[3];
    return true;
}

static void close_fd(int *fd) {
    if (*fd >= 0) (void)close(*fd);
    *fd = -1;
}

static porch_err of_errno(void) {
    if (errno == ENOSPC || errno == EDQUOT) return PORCH_ERR_FULL;
    if (errno == EMFILE || errno == ENFILE || errno == ENOMEM) return PORCH_ERR_BUSY;
    return errno == ENOENT ? PORCH_ERR_NOT_FOUND : PORCH_ERR_IO;
}

static porch_err list(void *ctx, uint32_t *numbers, size_t cap, size_t *count) {
    porch_spool_files *f = ctx;
    int fd = openat(f->dir_fd, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    if (fd < 0) return of_errno();
    DIR *dir = fdopendir(fd);
    if (!dir) {
        (void)close(fd);
        return PORCH_ERR_IO;
    }
    *count = 0;
    const struct dirent *entry;
    while ((entry = readdir(dir)) != NULL) {
        uint32_t number = 0;
        if (!number_of(entry->d_name, &number)) continue;
        if (*count < cap) numbers[*count] = number;
        (*count)++;
    }
    (void)closedir(dir);
    return PORCH_OK;
}

static porch_err size(void *ctx, uint32_t segment, uint64_t *ret) {
    porch_spool_files *f = ctx;
    char name[NAME_BYTES];
    struct stat st;
    name_of(segment, name);
    if (fstatat(f->dir_fd, name, &st, AT_SYMLINK_NOFOLLOW) != 0) return of_errno();
    *ret = (uint64_t)st.st_size;
    return PORCH_OK;
}

static porch_err read_at(void *ctx, uint32_t segment, uint64_t offset, uint8_t *at, size_t len) {
    porch_spool_files *f = ctx;
    if (f->read_fd < 0 || f->read_segment != segment) {
        char name[NAME_BYTES];
        name_of(segment, name);
        close_fd(&f->read_fd);
        f->read_fd = openat(f->dir_fd, name, O_RDONLY | O_CLOEXEC | O_NOFOLLOW);
        if (f->read_fd < 0) return of_errno();
        f->read_segment = segment;
    }
    while (len > 0) {
        ssize_t n = pread(f->read_fd, at, len, (off_t)offset);
        if (n < 0 && errno == EINTR) continue;
        if (n < 0) return PORCH_ERR_IO;
        if (n == 0) return PORCH_ERR_TRUNCATED;
        at += n;
        offset += (uint64_t)n;
        len -= (size_t)n;
    }
    return PORCH_OK;
}

static porch_err open_append(porch_spool_files *f, uint32_t segment) {
    if (f->append_fd >= 0 && f->append_segment == segment) return PORCH_OK;
    char name[NAME_BYTES];
    name_of(segment, name);
    close_fd(&f->append_fd);
    f->append_fd = openat(f->dir_fd, name, O_WRONLY | O_APPEND | O_CREAT | O_CLOEXEC | O_NOFOLLOW, 0600);
    if (f->append_fd < 0) return of_errno();
    f->append_segment = segment;
    f->name_is_new = true;
    return PORCH_OK;
}

static porch_err append(void *ctx, uint32_t segment, const porch_bytes *parts, size_t count) {
    porch_spool_files *f = ctx;
    if (count > PARTS_MOST) return PORCH_ERR_USAGE;
    PORCH_TRY(open_append(f, segment));
    struct iovec iov[PARTS_MOST];
    size_t at = 0, left = 0;
    for (size_t i = 0; i < count; i++) {
        /* writev(2) only reads, but its structure knows no const */
        union {
            const uint8_t *from;
            void *base;
        } part = {parts[i].at};
        iov[i] = (struct iovec){part.base, parts[i].len};
        left += parts[i].len;
    }
    while (left > 0) {
        ssize_t n = writev(f->append_fd, iov + at, (int)(count - at));
        if (n < 0 && errno == EINTR) continue;
        if (n < 0) return of_errno();
        left -= (size_t)n;
        size_t gone = (size_t)n;
        while (at < count && gone >= iov[at].iov_len)
            gone -= iov[at++].iov_len;
        if (at < count) {
            iov[at].iov_base = (char *)iov[at].iov_base + gone;
            iov[at].iov_len -= gone;
        }
    }
    return PORCH_OK;
}

static porch_err sync_segment(void *ctx, uint32_t segment) {
    porch_spool_files *f = ctx;
    if (f->append_fd < 0 || f->append_segment != segment) return PORCH_ERR_STATE;
    if (fdatasync(f->append_fd) != 0) return of_errno();
    if (f->name_is_new && fsync(f->dir_fd) != 0) return of_errno();
    f->name_is_new = false;
    return PORCH_OK;
}

static porch_err remove_segment(void *ctx, uint32_t segment) {
    porch_spool_files *f = ctx;
    char name[NAME_BYTES];
    name_of(segment, name);
    if (f->append_segment == segment) close_fd(&f->append_fd);
    if (f->read_segment == segment) close_fd(&f->read_fd);
    return unlinkat(f->dir_fd, name, 0) == 0 || errno == ENOENT ? PORCH_OK : of_errno();
}

porch_err porch_spool_files_open(porch_spool_files *f, const char *folder, porch_spool_storage *ret,
                                 porch_why *why) {
    *f = (porch_spool_files){.dir_fd = -1, .append_fd = -1, .read_fd = -1};
    f->dir_fd = open(folder, O_RDONLY | O_DIRECTORY | O_CLOEXEC | O_NOFOLLOW);
    if (f->dir_fd < 0)
        return porch_fail(why, PORCH_ERR_IO, "%s cannot be opened: %s", folder, strerror(errno));
    *ret = (porch_spool_storage){list, size, read_at, append, sync_segment, remove_segment, f};
    return PORCH_OK;
}

void porch_spool_files_close(porch_spool_files *f) {
    close_fd(&f->append_fd);
    close_fd(&f->read_fd);
    close_fd(&f->dir_fd);
}
