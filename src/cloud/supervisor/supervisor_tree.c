#include "cloud/supervisor/supervisor_tree.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "cloud/settings/folders.h"
#include "os/file.h"

/* Hubs of the first versions have none, and backups leave it out. */
#define UPDATES "updates"

static porch_err io_error(porch_why *why, const char *path, const char *call) {
    return porch_fail(why, errno == ENOSPC ? PORCH_ERR_FULL : PORCH_ERR_IO, "%s: %s failed: %s", path, call,
                      strerror(errno));
}

static porch_err folder_path(const char *dir, const char *name, char out[PORCH_TREE_PATH_BYTES],
                             porch_why *why) {
    porch_err e = porch_path_join(dir, name, out, PORCH_TREE_PATH_BYTES);
    return e == PORCH_OK ? e : porch_fail(why, e, "the path of the hub's directory is too long");
}

static bool is_dot(const char *name) {
    return strcmp(name, ".") == 0 || strcmp(name, "..") == 0;
}

static porch_err check_is_empty(const char *dir, porch_why *why) {
    DIR *d = opendir(dir);
    if (!d && errno == ENOENT) return PORCH_OK;
    if (!d && errno == ENOTDIR)
        return porch_fail(why, PORCH_ERR_EXISTS, "%s is not a directory; choose another place", dir);
    if (!d) return io_error(why, dir, "opendir");
    bool empty = true;
    for (struct dirent *entry = readdir(d); entry; entry = readdir(d))
        empty = empty && is_dot(entry->d_name);
    closedir(d);
    if (empty) return PORCH_OK;
    char conf[PORCH_TREE_PATH_BYTES];
    PORCH_TRY(folder_path(dir, "hub.conf", conf, why));
    if (access(conf, F_OK) == 0)
        return porch_fail(why, PORCH_ERR_EXISTS,
                          "%s holds a hub already; nothing was changed (start it: porchlightd %s)", dir,
                          dir);
    return porch_fail(why, PORCH_ERR_EXISTS, "%s is not empty; nothing was changed: choose a new directory",
                      dir);
}

porch_err porch_tree_make(const char *dir, porch_why *why) {
    PORCH_TRY(check_is_empty(dir, why));
    PORCH_TRY(porch_dir_make(dir, 0700, why));
    if (chmod(dir, 0700) != 0) return io_error(why, dir, "chmod"); /* an empty one that was there */
    for (size_t i = 0; i < PORCH_HUB_FOLDERS; i++) {
        const porch_hub_folder *folder = &porch_hub_folders[i];
        char path[PORCH_TREE_PATH_BYTES];
        if (!folder->name[0]) continue;
        PORCH_TRY(folder_path(dir, folder->name, path, why));
        PORCH_TRY(porch_dir_make(path, 0700, why));
    }
    return porch_dir_sync(dir, why);
}

/* What a write that was cut off has left beside its file; nobody reads it. */
static bool is_left_over(const char *name) {
    size_t n = strlen(name);
    return name[0] == '.' && n > 4 && strcmp(name + n - 4, ".tmp") == 0;
}

static porch_err check_entry(const char *path, const char *name, const porch_hub_folder *folder,
                             uid_t owner, porch_why *why) {
    struct stat st;
    if (lstat(path, &st) != 0) return errno == ENOENT ? PORCH_OK : io_error(why, path, "lstat");
    /* The listed ones have their own turn, and the signer's has its own owner. */
    if (!folder->name[0] && S_ISDIR(st.st_mode) && porch_hub_folder_listed(name)) return PORCH_OK;
    if (S_ISDIR(st.st_mode)) return porch_file_check_mode(path, owner, PORCH_HUB_FOLDER_MODE, why);
    if (S_ISSOCK(st.st_mode)) return porch_file_check_mode(path, owner, PORCH_HUB_PRIVATE_MODE, why);
    return porch_file_check_mode(path, owner, porch_hub_file_mode(folder, name), why);
}

/* A folder that changes hands does so as a whole: one command for all of it. */
static porch_err check_folder_owner(const char *path, bool signers, uid_t owner, porch_why *why) {
    struct stat st;
    if (lstat(path, &st) != 0 || !S_ISDIR(st.st_mode) || st.st_uid == owner) return PORCH_OK;
    if (signers && geteuid() != 0)
        return porch_fail(
            why, PORCH_ERR_MODE,
            "%s belongs to user %u: this hub is started by root; or run as root: chown -R %u %s", path,
            (unsigned)st.st_uid, (unsigned)owner, path);
    return porch_fail(why, PORCH_ERR_MODE, "%s belongs to user %u; run: chown -R %u %s", path,
                      (unsigned)st.st_uid, (unsigned)owner, path);
}

static porch_err check_folder(const char *path, const porch_hub_folder *folder, uid_t owner,
                              porch_why *why) {
    PORCH_TRY(check_folder_owner(path, folder->signers, owner, why));
    PORCH_TRY(porch_file_check_mode(path, owner, PORCH_HUB_FOLDER_MODE, why));
    /* Behind a closed folder their own modes matter less. */
    if (folder->many) return PORCH_OK;
    DIR *d = opendir(path);
    if (!d) return io_error(why, path, "opendir");
    porch_err e = PORCH_OK;
    for (struct dirent *entry = readdir(d); entry && e == PORCH_OK; entry = readdir(d)) {
        char inner[PORCH_TREE_PATH_BYTES];
        if (is_dot(entry->d_name) || is_left_over(entry->d_name)) continue;
        e = folder_path(path, entry->d_name, inner, why);
        if (e == PORCH_OK) e = check_entry(inner, entry->d_name, folder, owner, why);
    }
    closedir(d);
    return e;
}

porch_err porch_tree_check(const char *dir, uid_t owner, uid_t signer, porch_why *why) {
    char path[PORCH_TREE_PATH_BYTES];
    PORCH_TRY(folder_path(dir, "hub.conf", path, why));
    if (access(path, F_OK) != 0 && errno == ENOENT)
        return porch_fail(why, PORCH_ERR_NOT_FOUND,
                          "%s is not a hub's directory; make one: porchlight init %s", dir, dir);
    for (size_t i = 0; i < PORCH_HUB_FOLDERS; i++) {
        const porch_hub_folder *folder = &porch_hub_folders[i];
        if (!folder->name[0])
            memcpy(path, dir, strlen(dir) + 1); /* fits: the join above did */
        else
            PORCH_TRY(folder_path(dir, folder->name, path, why));
        porch_err e = check_folder(path, folder, folder->signers ? signer : owner, why);
        /* OFFLINE may have been carried away as a whole; porch_tree_complete makes the other. */
        if (e == PORCH_ERR_NOT_FOUND &&
            (strcmp(folder->name, "OFFLINE") == 0 || strcmp(folder->name, UPDATES) == 0))
            continue;
        if (e != PORCH_OK) return e;
    }
    return PORCH_OK;
}

porch_err porch_tree_complete(const char *dir, porch_user hub, porch_why *why) {
    char path[PORCH_TREE_PATH_BYTES];
    PORCH_TRY(folder_path(dir, UPDATES, path, why));
    if (mkdir(path, PORCH_HUB_FOLDER_MODE) != 0)
        return errno == EEXIST ? PORCH_OK : io_error(why, path, "mkdir");
    int fd = open(path, O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
    porch_err e = PORCH_OK;
    if (fd < 0 || (geteuid() == 0 && fchown(fd, hub.uid, hub.gid) != 0)) e = io_error(why, path, "chown");
    if (fd >= 0) (void)close(fd);
    if (e != PORCH_OK) (void)rmdir(path);
    return e == PORCH_OK ? porch_dir_sync(dir, why) : e;
}

/* The folder and what lies in it, but for the entry `except`. */
static porch_err give_folder(const char *path, porch_user to, const char *except, porch_why *why) {
    DIR *d = opendir(path);
    if (!d) return io_error(why, path, "opendir");
    porch_err e = PORCH_OK;
    for (struct dirent *entry = readdir(d); entry && e == PORCH_OK; entry = readdir(d))
        if (!is_dot(entry->d_name) && strcmp(entry->d_name, except) != 0 &&
            fchownat(dirfd(d), entry->d_name, to.uid, to.gid, AT_SYMLINK_NOFOLLOW) != 0)
            e = io_error(why, path, "chown");
    if (e == PORCH_OK && fchown(dirfd(d), to.uid, to.gid) != 0) e = io_error(why, path, "chown");
    closedir(d);
    return e;
}

porch_err porch_tree_give(const char *dir, porch_user hub, porch_user signer, porch_why *why) {
    PORCH_TRY(porch_tree_complete(dir, hub, why));
    for (size_t i = 1; i < PORCH_HUB_FOLDERS; i++) {
        const porch_hub_folder *folder = &porch_hub_folders[i];
        char path[PORCH_TREE_PATH_BYTES];
        PORCH_TRY(folder_path(dir, folder->name, path, why));
        porch_user to = folder->signers ? signer : hub;
        /* It may have been carried away as a whole, and no backup has it. */
        if (strcmp(folder->name, "OFFLINE") == 0 && access(path, F_OK) != 0 && errno == ENOENT) continue;
        PORCH_TRY(give_folder(path, to, "", why));
    }
    return give_folder(dir, hub, "signer", why);
}

bool porch_tree_root_is_online(const char *dir) {
    char path[PORCH_TREE_PATH_BYTES];
    return porch_path_join(dir, "OFFLINE/root.key", path, sizeof path) == PORCH_OK &&
           access(path, F_OK) == 0;
}
