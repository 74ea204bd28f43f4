#include "cli/backup_archive.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/cursor.h"
#include "os/file.h"

enum { PATH_BYTES = 320, FULL_PATH_BYTES = 4096, HEAD_BYTES = 400, STEPS_MOST = 9 };

static const char *const single_files[] = {"hub.conf", "recovery.pub", "hub.db"};
static const char *const folders[] = {"tls", "signer", "clips"};
static const char UPDATES[] = "updates";
static const char *const update_parts[] = {"metadata",
                                           "targets"}; /* not what was never published to its end */

enum {
    SINGLE_FILES = sizeof single_files / sizeof single_files[0],
    FOLDERS = sizeof folders / sizeof folders[0],
    UPDATE_PARTS = sizeof update_parts / sizeof update_parts[0]
};

static porch_err io_error(porch_why *why, const char *path, const char *call) {
    return porch_fail(why, errno == ENOSPC ? PORCH_ERR_FULL : PORCH_ERR_IO, "%s: %s failed: %s", path, call,
                      strerror(errno));
}

/* ---- paths -------------------------------------------------------------------------------------- */

static bool is_one_of(porch_bytes name, const char *const *list, size_t count) {
    for (size_t i = 0; i < count; i++)
        if (porch_bytes_eq_text(name, list[i])) return true;
    return false;
}

static bool step_fits(porch_bytes name, const char *also) {
    if (name.len == 0 || name.at[0] == '.') return false; /* neither "." nor ".." nor anything hidden */
    for (size_t i = 0; i < name.len; i++) {
        uint8_t c = name.at[i];
        bool plain = (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9');
        if (!plain && c != '.' && c != '-' && c != '_' && (c == '\0' || strchr(also, c) == NULL))
            return false;
    }
    return true;
}

static bool name_fits(porch_bytes name) {
    return step_fits(name, "");
}

/* "updates", "updates/metadata", "updates/targets/camera/1.2/9f86....image": the one folder that has
 * folders. */
static bool update_fits(porch_bytes path, bool folder) {
    size_t steps = 0;
    for (size_t at = 0; at <= path.len; steps++) {
        const uint8_t *slash = at < path.len ? memchr(path.at + at, '/', path.len - at) : NULL;
        size_t end = slash != NULL ? (size_t)(slash - path.at) : path.len;
        porch_bytes step = {path.at + at, end - at};
        if (steps == STEPS_MOST || !step_fits(step, "+%")) return false;
        if (steps == 0 && !porch_bytes_eq_text(step, UPDATES)) return false;
        if (steps == 1 && !is_one_of(step, update_parts, UPDATE_PARTS)) return false;
        at = end + 1;
    }
    return folder || steps > 2;
}

bool porch_backup_path_fits(porch_bytes path, bool folder) {
    if (path.len == 0 || path.len > PATH_BYTES) return false;
    if (update_fits(path, folder)) return true;
    if (folder) return is_one_of(path, folders, FOLDERS);
    const uint8_t *slash = memchr(path.at, '/', path.len);
    if (slash == NULL) return is_one_of(path, single_files, SINGLE_FILES);
    size_t before = (size_t)(slash - path.at);
    return is_one_of((porch_bytes){path.at, before}, folders, FOLDERS) &&
           name_fits((porch_bytes){slash + 1, path.len - before - 1});
}

/* ---- packing ------------------------------------------------------------------------------------ */

static porch_err put_head(porch_backup_writer *w, char kind, const char *path, porch_why *why) {
    uint8_t block[HEAD_BYTES];
    porch_buf head = PORCH_BUF_OF(block);
    PORCH_TRY(porch_write_u8(&head, (uint8_t)kind));
    PORCH_TRY(porch_write_block16(&head, porch_bytes_of(path)));
    return porch_backup_write(w, porch_buf_bytes(&head), why);
}

static porch_err put_piece(porch_backup_writer *w, porch_bytes piece, porch_why *why) {
    uint8_t block[4];
    porch_buf len = PORCH_BUF_OF(block);
    PORCH_TRY(porch_write_u32(&len, (uint32_t)piece.len));
    PORCH_TRY(porch_backup_write(w, porch_buf_bytes(&len), why));
    return porch_backup_write(w, piece, why);
}

static void count(porch_backup_sums *sums, uint64_t bytes) {
    sums->bytes += bytes;
    if (sums->at != NULL) sums->at(sums->ctx, sums->bytes);
}

static porch_err put_content(porch_backup_writer *w, int fd, const char *from, porch_backup_sums *sums,
                             porch_why *why) {
    uint8_t block[32768];
    for (;;) {
        ssize_t n = read(fd, block, sizeof block);
        if (n < 0 && errno == EINTR) continue;
        if (n < 0) return io_error(why, from, "read");
        PORCH_TRY(put_piece(w, (porch_bytes){block, (size_t)n}, why));
        count(sums, (uint64_t)n);
        if (n == 0) return PORCH_OK; /* the empty piece was the end mark */
    }
}

typedef enum { MAY_BE_GONE, MUST_BE_THERE } presence;

/* The hub goes on meanwhile: a clip, say, that is not there any more is left out. */
static porch_err pack_file(porch_backup_writer *w, const char *from, const char *path, presence wanted,
                           porch_backup_sums *sums, porch_why *why) {
    struct stat st;
    int fd = open(from, O_RDONLY | O_CLOEXEC | O_NOFOLLOW);
    if (fd < 0) return errno == ENOENT && wanted == MAY_BE_GONE ? PORCH_OK : io_error(why, from, "open");
    porch_err e = fstat(fd, &st) == 0 ? PORCH_OK : io_error(why, from, "fstat");
    if (e == PORCH_OK && wanted == MUST_BE_THERE && !S_ISREG(st.st_mode))
        e = porch_fail(why, PORCH_ERR_STATE, "%s is not a plain file", from);
    if (e == PORCH_OK && S_ISREG(st.st_mode)) {
        e = put_head(w, 'f', path, why);
        if (e == PORCH_OK) e = put_content(w, fd, from, sums, why);
        sums->files++;
    }
    close(fd);
    return e;
}

static porch_err pack_entry(porch_backup_writer *w, const char *folder, const char *name,
                            const char *from_folder, porch_backup_sums *sums, porch_why *why) {
    char path[FULL_PATH_BYTES], from[FULL_PATH_BYTES];
    PORCH_TRY(porch_path_join(folder, name, path, sizeof path));
    if (!porch_backup_path_fits(porch_bytes_of(path), false)) return PORCH_OK; /* a temporary file, say */
    PORCH_TRY(porch_path_join(from_folder, name, from, sizeof from));
    return pack_file(w, from, path, MAY_BE_GONE, sums, why);
}

static porch_err pack_folder(porch_backup_writer *w, const char *dir, const char *folder,
                             porch_backup_sums *sums, porch_why *why) {
    char from[FULL_PATH_BYTES];
    PORCH_TRY(porch_path_join(dir, folder, from, sizeof from));
    PORCH_TRY(put_head(w, 'd', folder, why));
    DIR *d = opendir(from);
    if (d == NULL && errno == EACCES)
        return porch_fail(why, PORCH_ERR_IO,
                          "%s belongs to another user, which guards its keys: run the backup as root",
                          from);
    if (d == NULL) return io_error(why, from, "opendir");
    porch_err e = PORCH_OK;
    for (struct dirent *entry; e == PORCH_OK && (entry = readdir(d)) != NULL;)
        if (entry->d_name[0] != '.') e = pack_entry(w, folder, entry->d_name, from, sums, why);
    closedir(d);
    return e;
}

static porch_err pack_bytes(porch_backup_writer *w, const char *path, porch_bytes content,
                            porch_backup_sums *sums, porch_why *why) {
    PORCH_TRY(put_head(w, 'f', path, why));
    PORCH_TRY(put_piece(w, content, why));
    sums->files++;
    sums->bytes += content.len;
    return put_piece(w, (porch_bytes){NULL, 0}, why);
}

/* Folders below updates/, each before what is in it. */
static porch_err pack_tree(porch_backup_writer *w, const char *dir, const char *folder, unsigned depth,
                           porch_backup_sums *sums, porch_why *why) {
    char from[FULL_PATH_BYTES], path[FULL_PATH_BYTES], inner[FULL_PATH_BYTES];
    struct stat st;
    PORCH_TRY(porch_path_join(dir, folder, from, sizeof from));
    DIR *d = opendir(from);
    if (d == NULL) return errno == ENOENT ? PORCH_OK : io_error(why, from, "opendir");
    porch_err e = put_head(w, 'd', folder, why);
    for (struct dirent *entry; e == PORCH_OK && (entry = readdir(d)) != NULL;) {
        if (entry->d_name[0] == '.' ||
            porch_path_join(folder, entry->d_name, path, sizeof path) != PORCH_OK ||
            porch_path_join(dir, path, inner, sizeof inner) != PORCH_OK)
            continue;
        bool is_folder = lstat(inner, &st) == 0 && S_ISDIR(st.st_mode);
        if (porch_backup_path_fits(porch_bytes_of(path), is_folder) && (!is_folder || depth < STEPS_MOST))
            e = is_folder ? pack_tree(w, dir, path, depth + 1, sums, why)
                          : pack_file(w, inner, path, MAY_BE_GONE, sums, why);
    }
    closedir(d);
    return e;
}

static porch_err pack_updates(porch_backup_writer *w, const char *dir, porch_backup_sums *sums,
                              porch_why *why) {
    return pack_tree(w, dir, UPDATES, 0, sums, why);
}

porch_err porch_backup_pack(porch_backup_writer *w, const char *dir, const char *db_path,
                            porch_bytes recovery, bool updates, porch_backup_sums *sums, porch_why *why) {
    char conf[FULL_PATH_BYTES];
    PORCH_TRY(porch_path_join(dir, "hub.conf", conf, sizeof conf));
    PORCH_TRY(pack_file(w, conf, "hub.conf", MUST_BE_THERE, sums, why));
    PORCH_TRY(pack_bytes(w, "recovery.pub", recovery, sums, why));
    PORCH_TRY(pack_file(w, db_path, "hub.db", MUST_BE_THERE, sums, why));
    for (size_t i = 0; i < FOLDERS; i++)
        PORCH_TRY(pack_folder(w, dir, folders[i], sums, why));
    if (updates) PORCH_TRY(pack_updates(w, dir, sums, why));
    return porch_backup_write(w, PORCH_LIT("e"), why);
}

static uint64_t weigh(const char *path) {
    struct stat st;
    return lstat(path, &st) == 0 && S_ISREG(st.st_mode) ? (uint64_t)st.st_size : 0;
}

/* Everything below a folder, STEPS_MOST deep. */
static uint64_t weigh_tree(const char *folder, unsigned depth) {
    char path[FULL_PATH_BYTES];
    struct stat st;
    uint64_t sum = 0;
    DIR *d = depth < STEPS_MOST ? opendir(folder) : NULL;
    if (d == NULL) return 0;
    for (struct dirent *entry; (entry = readdir(d)) != NULL;) {
        if (entry->d_name[0] == '.' ||
            porch_path_join(folder, entry->d_name, path, sizeof path) != PORCH_OK)
            continue;
        bool is_folder = lstat(path, &st) == 0 && S_ISDIR(st.st_mode);
        sum += is_folder ? weigh_tree(path, depth + 1) : weigh(path);
    }
    closedir(d);
    return sum;
}

uint64_t porch_backup_weigh(const char *dir, const char *db_path, bool updates) {
    static const char *const heavy[] = {"clips", "updates"}; /* beside these the rest weighs nothing */
    char folder[FULL_PATH_BYTES];
    uint64_t sum = weigh(db_path);
    for (size_t i = 0; i < (updates ? 2 : 1); i++)
        if (porch_path_join(dir, heavy[i], folder, sizeof folder) == PORCH_OK) sum += weigh_tree(folder, 0);
    return sum;
}

/* ---- unpacking ---------------------------------------------------------------------------------- */

static porch_err get_u32(porch_backup_reader *r, uint32_t *ret, porch_why *why) {
    uint8_t raw[4];
    PORCH_TRY(porch_backup_read(r, raw, sizeof raw, why));
    porch_reader words = porch_reader_of((porch_bytes){raw, sizeof raw});
    return porch_read_u32(&words, ret);
}

/* The entry's path in full; only paths that fit come out of here. */
static porch_err get_path(porch_backup_reader *r, const char *dir, bool folder, char out[FULL_PATH_BYTES],
                          porch_why *why) {
    uint8_t raw[2];
    char path[PATH_BYTES + 1] = "";
    PORCH_TRY(porch_backup_read(r, raw, sizeof raw, why));
    size_t len = (size_t)raw[0] << 8 | raw[1];
    if (len > PATH_BYTES)
        return porch_fail(why, PORCH_ERR_MALFORMED, "the backup holds a name that is too long");
    PORCH_TRY(porch_backup_read(r, path, len, why));
    if (!porch_backup_path_fits((porch_bytes){(const uint8_t *)path, len}, folder))
        return porch_fail(why, PORCH_ERR_MALFORMED,
                          "the backup holds a file that has no place in a hub's directory");
    return porch_path_join(dir, path, out, FULL_PATH_BYTES);
}

static porch_err write_all(int fd, const uint8_t *at, size_t len, const char *path, porch_why *why) {
    while (len > 0) {
        ssize_t n = write(fd, at, len);
        if (n < 0 && errno == EINTR) continue;
        if (n <= 0) return io_error(why, path, "write");
        at += n;
        len -= (size_t)n;
    }
    return PORCH_OK;
}

static porch_err get_content(porch_backup_reader *r, int fd, const char *path, porch_backup_sums *sums,
                             porch_why *why) {
    uint8_t block[32768];
    for (;;) {
        uint32_t len = 0;
        PORCH_TRY(get_u32(r, &len, why));
        if (len == 0) break;
        if (len > sizeof block)
            return porch_fail(why, PORCH_ERR_MALFORMED, "the backup holds a piece that is too long");
        PORCH_TRY(porch_backup_read(r, block, len, why));
        PORCH_TRY(write_all(fd, block, len, path, why));
        count(sums, len);
    }
    return fsync(fd) == 0 ? PORCH_OK : io_error(why, path, "fsync");
}

static porch_err unpack_file(porch_backup_reader *r, const char *dir, porch_backup_sums *sums,
                             porch_why *why) {
    char path[FULL_PATH_BYTES];
    PORCH_TRY(get_path(r, dir, false, path, why));
    int fd = open(path, O_WRONLY | O_CREAT | O_EXCL | O_NOFOLLOW | O_CLOEXEC, 0600);
    if (fd < 0) return io_error(why, path, "open");
    porch_err e = get_content(r, fd, path, sums, why);
    if (close(fd) != 0 && e == PORCH_OK) e = io_error(why, path, "close");
    sums->files++;
    return e;
}

static porch_err unpack_folder(porch_backup_reader *r, const char *dir, porch_why *why) {
    char path[FULL_PATH_BYTES];
    PORCH_TRY(get_path(r, dir, true, path, why));
    PORCH_TRY(porch_dir_make(path, 0700, why));
    *strrchr(path, '/') = '\0';
    return porch_dir_sync(path, why);
}

/* The entries of every folder below updates/, which may not be there. */
static porch_err sync_tree(const char *folder, unsigned depth, porch_why *why) {
    char path[FULL_PATH_BYTES];
    struct stat st;
    DIR *d = opendir(folder);
    if (d == NULL) return errno == ENOENT ? PORCH_OK : io_error(why, folder, "opendir");
    porch_err e = PORCH_OK;
    for (struct dirent *entry; e == PORCH_OK && (entry = readdir(d)) != NULL;)
        if (entry->d_name[0] != '.' && depth < STEPS_MOST &&
            porch_path_join(folder, entry->d_name, path, sizeof path) == PORCH_OK &&
            lstat(path, &st) == 0 && S_ISDIR(st.st_mode))
            e = sync_tree(path, depth + 1, why);
    closedir(d);
    return e == PORCH_OK ? porch_dir_sync(folder, why) : e;
}

porch_err porch_backup_unpack(porch_backup_reader *r, const char *dir, porch_backup_sums *sums,
                              porch_why *why) {
    for (;;) {
        uint8_t kind = 0;
        PORCH_TRY(porch_backup_read(r, &kind, 1, why));
        if (kind == 'e') break;
        if (kind == 'f') {
            PORCH_TRY(unpack_file(r, dir, sums, why));
        } else if (kind == 'd') {
            PORCH_TRY(unpack_folder(r, dir, why));
        } else {
            return porch_fail(why, PORCH_ERR_MALFORMED, "the backup holds an entry of an unknown kind");
        }
    }
    PORCH_TRY(porch_backup_at_end(r, why));
    for (size_t i = 0; i < FOLDERS; i++) {
        char path[FULL_PATH_BYTES];
        PORCH_TRY(porch_path_join(dir, folders[i], path, sizeof path));
        PORCH_TRY(porch_dir_sync(path, why));
    }
    char updates[FULL_PATH_BYTES];
    PORCH_TRY(porch_path_join(dir, UPDATES, updates, sizeof updates));
    PORCH_TRY(sync_tree(updates, 0, why));
    return porch_dir_sync(dir, why);
}
