/* Reading whole files and replacing them without a moment in which neither the old nor the new is there:
 *
 *   .name.PID.N.tmp ─write─► fsync ─rename─► name ─► fsync(folder)
 */
#include "os/file.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>

/* The end of the name that a secret has while it is overwritten. */
#define GONE ".gone"

static porch_err fail_errno(porch_why *why, const char *call, const char *path) {
    int e = errno;
    porch_err code = e == ENOENT                  ? PORCH_ERR_NOT_FOUND
                     : e == ENOSPC || e == EDQUOT ? PORCH_ERR_FULL
                                                  : PORCH_ERR_IO;
    return porch_fail(why, code, "%s %s: %s", call, path, strerror(e));
}

/* Reads to the end of the file, growing as needed: the size that fstat gives is a hint only. */
static porch_err read_all(int fd, const char *name, size_t hint, size_t most, uint8_t **ret, size_t *len,
                          porch_why *why) {
    size_t cap = hint < most ? hint : most;
    uint8_t *block = malloc(cap + 1); /* most < SIZE_MAX is checked by the caller */
    if (block == NULL) return porch_fail(why, PORCH_ERR_NO_SPACE, "no memory to read %s", name);
    size_t used = 0;
    porch_err e = PORCH_OK;
    for (;;) {
        if (used == cap) {
            uint8_t extra;
            ssize_t more = read(fd, &extra, 1);
            if (more < 0 && errno == EINTR) continue;
            if (more < 0) e = fail_errno(why, "read", name);
            if (more <= 0) break;
            if (cap == most) {
                e = porch_fail(why, PORCH_ERR_LIMIT, "%s holds more than %zu bytes", name, most);
                break;
            }
            size_t grown = cap < most / 2 ? cap * 2 + 1 : most;
            uint8_t *larger = malloc(grown + 1); /* not realloc: the old block may hold a secret to wipe */
            if (larger == NULL) {
                e = porch_fail(why, PORCH_ERR_NO_SPACE, "no memory to read %s", name);
                break;
            }
            memcpy(larger, block, used);
            porch_wipe(block, used);
            free(block);
            block = larger;
            cap = grown;
            block[used++] = extra;
            continue;
        }
        ssize_t got = read(fd, block + used, cap - used);
        if (got < 0 && errno == EINTR) continue;
        if (got < 0) e = fail_errno(why, "read", name);
        if (got <= 0) break;
        used += (size_t)got;
    }
    if (e != PORCH_OK) {
        porch_wipe(block, used);
        free(block);
        return e;
    }
    block[used] = 0;
    *ret = block;
    *len = used;
    return PORCH_OK;
}

porch_err porch_file_read_fd(int fd, const char *name, size_t most, uint8_t **ret, size_t *len,
                             porch_why *why) {
    struct stat st;
    if (most >= SIZE_MAX / 2)
        return porch_fail(why, PORCH_ERR_LIMIT, "a read limit of %zu is no limit", most);
    if (fstat(fd, &st) < 0) return fail_errno(why, "stat", name);
    if (!S_ISREG(st.st_mode)) return porch_fail(why, PORCH_ERR_STATE, "%s is not a plain file", name);
    if ((uint64_t)st.st_size > most)
        return porch_fail(why, PORCH_ERR_LIMIT, "%s holds more than %zu bytes", name, most);
    return read_all(fd, name, (size_t)st.st_size, most, ret, len, why);
}

porch_err porch_file_read_at(int dir_fd, const char *name, size_t most, uint8_t **ret, size_t *len,
                             porch_why *why) {
    /* Non-blocking, so that a planted pipe cannot hold us; for plain files it changes nothing. */
    int fd = openat(dir_fd, name, O_RDONLY | O_CLOEXEC | O_NONBLOCK | O_NOCTTY);
    if (fd < 0) return fail_errno(why, "open", name);
    porch_err e = porch_file_read_fd(fd, name, most, ret, len, why);
    close(fd);
    return e;
}

porch_err porch_file_read(const char *path, size_t most, uint8_t **ret, size_t *len, porch_why *why) {
    return porch_file_read_at(AT_FDCWD, path, most, ret, len, why);
}

static porch_err write_all(int fd, porch_bytes bytes, const char *name, porch_why *why) {
    while (bytes.len > 0) {
        ssize_t wrote = write(fd, bytes.at, bytes.len);
        if (wrote < 0 && errno == EINTR) continue;
        if (wrote < 0) return fail_errno(why, "write", name);
        bytes.at += wrote;
        bytes.len -= (size_t)wrote;
    }
    return PORCH_OK;
}

/* Root works in folders of others, who must be able to read what lies there. */
static int give_to_folders_owner(int dir_fd, int fd) {
    struct stat folder;
    if (geteuid() != 0) return 0;
    return fstat(dir_fd, &folder) < 0 ? -1 : fchown(fd, folder.st_uid, folder.st_gid);
}

typedef enum { WRITERS, FOLDERS } owner;

static porch_err write_beside(int dir_fd, const char *name, porch_bytes bytes, mode_t mode, owner whose,
                              porch_why *why) {
    static atomic_uint counter;
    char temporary[256];
    int n = snprintf(temporary, sizeof temporary, ".%s.%ld.%u.tmp", name, (long)getpid(),
                     atomic_fetch_add(&counter, 1u));
    if (n < 0 || (size_t)n >= sizeof temporary || strchr(name, '/') != NULL)
        return porch_fail(why, PORCH_ERR_USAGE, "%s is no file name that can be written", name);
    porch_err e = PORCH_OK;
    bool made = false;
    (void)unlinkat(dir_fd, temporary, 0); /* of an earlier process with our number, cut off in the middle */
    int fd = openat(dir_fd, temporary, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC | O_NOFOLLOW, 0600);
    if (fd < 0) return fail_errno(why, "create", name);
    made = true;
    e = write_all(fd, bytes, name, why);
    if (e != PORCH_OK) goto out;
    if (whose == FOLDERS && give_to_folders_owner(dir_fd, fd) < 0) {
        e = fail_errno(why, "chown", name);
    } else if (fchmod(fd, mode) < 0) {
        e = fail_errno(why, "chmod", name);
    } else if (fsync(fd) < 0) {
        e = fail_errno(why, "fsync", name);
    } else if (renameat(dir_fd, temporary, dir_fd, name) < 0) {
        e = fail_errno(why, "rename", name);
    } else {
        made = false;
        e = fsync(dir_fd) < 0 ? fail_errno(why, "fsync folder of", name) : PORCH_OK;
    }
out:
    close(fd);
    if (made) (void)unlinkat(dir_fd, temporary, 0);
    return e;
}

porch_err porch_file_write_atomic_at(int dir_fd, const char *name, porch_bytes bytes, mode_t mode,
                                     porch_why *why) {
    return write_beside(dir_fd, name, bytes, mode, WRITERS, why);
}

porch_err porch_file_write_owned_at(int dir_fd, const char *name, porch_bytes bytes, mode_t mode,
                                    porch_why *why) {
    return write_beside(dir_fd, name, bytes, mode, FOLDERS, why);
}

/* Opens the folder that `path` lies in; *name points at the last part inside `path`. */
static porch_err open_parent(const char *path, int *dir_fd, const char **name, porch_why *why) {
    char folder[4096];
    const char *slash = strrchr(path, '/');
    *name = slash != NULL ? slash + 1 : path;
    size_t len = slash != NULL ? (size_t)(slash - path) : 1;
    if (len >= sizeof folder) return porch_fail(why, PORCH_ERR_LIMIT, "the path is too long");
    memcpy(folder, slash != NULL ? path : ".", len);
    folder[len] = '\0';
    *dir_fd = open(len == 0 ? "/" : folder, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    return *dir_fd < 0 ? fail_errno(why, "open", folder) : PORCH_OK;
}

static porch_err write_path(const char *path, porch_bytes bytes, mode_t mode, owner whose, porch_why *why) {
    int dir_fd = -1;
    const char *name = path;
    porch_err e = open_parent(path, &dir_fd, &name, why);
    if (e != PORCH_OK) return e;
    e = write_beside(dir_fd, name, bytes, mode, whose, why);
    close(dir_fd);
    return e;
}

porch_err porch_file_write_atomic(const char *path, porch_bytes bytes, mode_t mode, porch_why *why) {
    return write_path(path, bytes, mode, WRITERS, why);
}

porch_err porch_file_write_owned(const char *path, porch_bytes bytes, mode_t mode, porch_why *why) {
    return write_path(path, bytes, mode, FOLDERS, why);
}

/* Overwrites and removes; one that is not there is fine. */
static porch_err erase(int dir_fd, const char *name, porch_why *why) {
    static const uint8_t zeros[512];
    struct stat st;
    int fd = openat(dir_fd, name, O_WRONLY | O_CLOEXEC | O_NOFOLLOW);
    if (fd < 0) return errno == ENOENT ? PORCH_OK : fail_errno(why, "open", name);
    bool good = fstat(fd, &st) == 0;
    for (off_t at = 0; good && at < st.st_size; at += (off_t)sizeof zeros)
        good = pwrite(fd, zeros, sizeof zeros, at) == (ssize_t)sizeof zeros;
    good = good && fsync(fd) == 0;
    porch_err e = good ? PORCH_OK : fail_errno(why, "overwrite", name);
    close(fd);
    if (e == PORCH_OK && (unlinkat(dir_fd, name, 0) != 0 || fsync(dir_fd) != 0))
        e = fail_errno(why, "unlink", name);
    return e;
}

/* Half overwritten it must not be taken for the secret: it loses its name first.
 *
 *   name ─rename─► .name.gone ─► fsync(folder) ─► zeros ─► fsync ─► unlink ─► fsync(folder)
 */
porch_err porch_file_forget_at(int dir_fd, const char *name, porch_why *why) {
    char gone[NAME_MAX + 1];
    struct stat st;
    int n = snprintf(gone, sizeof gone, ".%s" GONE, name);
    if (n < 0 || (size_t)n >= sizeof gone)
        return porch_fail(why, PORCH_ERR_USAGE, "%s is no file name that can be forgotten", name);
    PORCH_TRY(erase(dir_fd, gone, why));
    if (fstatat(dir_fd, name, &st, AT_SYMLINK_NOFOLLOW) < 0)
        return errno == ENOENT ? PORCH_OK : fail_errno(why, "stat", name);
    if (!S_ISREG(st.st_mode)) return porch_fail(why, PORCH_ERR_IO, "%s is not a plain file", name);
    if (renameat(dir_fd, name, dir_fd, gone) < 0) return fail_errno(why, "rename", name);
    if (fsync(dir_fd) < 0) return fail_errno(why, "fsync folder of", name);
    return erase(dir_fd, gone, why);
}

static bool ends_in(const char *name, const char *end) {
    size_t n = strlen(name), len = strlen(end);
    return name[0] == '.' && n > len && strcmp(name + n - len, end) == 0;
}

/* One that never got its name, as write_beside was cut off: it may hold a secret, and be of a user whose
 * files we can only unlink, or not even that. */
static void forget_temporary(int dir_fd, const char *name) {
    if (erase(dir_fd, name, NULL) != PORCH_OK) (void)unlinkat(dir_fd, name, 0);
}

porch_err porch_file_forget_rest_at(int dir_fd, porch_why *why) {
    int fd = openat(dir_fd, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    DIR *d = fd < 0 ? NULL : fdopendir(fd);
    if (d == NULL) {
        if (fd >= 0) close(fd);
        return fail_errno(why, "open", "folder");
    }
    porch_err e = PORCH_OK;
    for (const struct dirent *entry; e == PORCH_OK && (entry = readdir(d)) != NULL;)
        if (ends_in(entry->d_name, GONE))
            e = erase(dir_fd, entry->d_name, why);
        else if (ends_in(entry->d_name, ".tmp"))
            forget_temporary(dir_fd, entry->d_name);
    closedir(d);
    return e;
}

porch_err porch_file_check_mode(const char *path, uid_t uid, mode_t max_mode, porch_why *why) {
    struct stat st;
    if (lstat(path, &st) < 0) return fail_errno(why, "stat", path);
    if (S_ISLNK(st.st_mode))
        return porch_fail(why, PORCH_ERR_MODE, "%s is a symbolic link; put the file itself there", path);
    if (st.st_uid != uid)
        return porch_fail(why, PORCH_ERR_MODE, "%s belongs to user %u; run: chown %u %s", path,
                          (unsigned)st.st_uid, (unsigned)uid, path);
    mode_t mode = st.st_mode & 07777;
    if ((mode & ~max_mode) != 0)
        return porch_fail(why, PORCH_ERR_MODE, "%s has mode %o, more than %o is too open; run: chmod %o %s",
                          path, (unsigned)mode, (unsigned)max_mode, (unsigned)(mode & max_mode), path);
    return PORCH_OK;
}

porch_err porch_dir_make(const char *path, mode_t mode, porch_why *why) {
    if (mkdir(path, mode) == 0) {
        if (chmod(path, mode) < 0) return fail_errno(why, "chmod", path); /* the umask took bits away */
        return PORCH_OK;
    }
    if (errno != EEXIST) return fail_errno(why, "mkdir", path);
    struct stat st;
    if (lstat(path, &st) < 0) return fail_errno(why, "stat", path);
    if (!S_ISDIR(st.st_mode)) return porch_fail(why, PORCH_ERR_STATE, "%s is there and is no folder", path);
    return PORCH_OK;
}

porch_err porch_dir_sync(const char *path, porch_why *why) {
    int fd = open(path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    if (fd < 0) return fail_errno(why, "open", path);
    porch_err e = fsync(fd) < 0 ? fail_errno(why, "fsync", path) : PORCH_OK;
    close(fd);
    return e;
}

/* A new one is the folder's owner's from the start. */
static porch_err open_lock(const char *path, int *fd, porch_why *why) {
    int dir_fd = -1;
    const char *name = path;
    PORCH_TRY(open_parent(path, &dir_fd, &name, why));
    porch_err e = PORCH_OK;
    int got = openat(dir_fd, name, O_RDWR | O_CREAT | O_EXCL | O_CLOEXEC | O_NOFOLLOW, 0600);
    if (got >= 0 && give_to_folders_owner(dir_fd, got) < 0) {
        e = fail_errno(why, "chown", path);
        close(got);
    } else if (got < 0) {
        got = openat(dir_fd, name, O_RDWR | O_CREAT | O_CLOEXEC | O_NOFOLLOW, 0600);
        if (got < 0) e = fail_errno(why, "open", path);
    }
    close(dir_fd);
    if (e == PORCH_OK) *fd = got;
    return e;
}

porch_err porch_file_lock(const char *path, int *fd, porch_why *why) {
    int got = -1;
    PORCH_TRY(open_lock(path, &got, why));
    int rc;
    do {
        rc = flock(got, LOCK_EX | LOCK_NB);
    } while (rc < 0 && errno == EINTR);
    if (rc < 0) {
        porch_err e =
            errno == EWOULDBLOCK
                ? porch_fail(why, PORCH_ERR_BUSY, "%s is held by another process; stop it first", path)
                : fail_errno(why, "lock", path);
        close(got);
        return e;
    }
    *fd = got;
    return PORCH_OK;
}

porch_err porch_path_join(const char *dir, const char *name, char *out, size_t cap) {
    int n = snprintf(out, cap, "%s/%s", dir, name);
    return n < 0 || (size_t)n >= cap ? PORCH_ERR_NO_SPACE : PORCH_OK;
}
