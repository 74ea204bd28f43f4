#include "ota/port/linux/tuf_folder.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "os/file.h"

enum { FILE_MODE = 0644 }; /* metadata is public */

porch_err porch_tuf_folder_open(porch_tuf_folder *f, const char *path, porch_why *why) {
    char lock[4096];
    porch_tuf_folder made = {.dir_fd = -1, .lock_fd = -1};
    if (porch_path_join(path, ".lock", lock, sizeof lock) != PORCH_OK)
        return porch_fail(why, PORCH_ERR_USAGE, "the folder's name is too long");
    made.dir_fd = open(path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    if (made.dir_fd < 0)
        return porch_fail(why, errno == ENOENT ? PORCH_ERR_NOT_FOUND : PORCH_ERR_IO, "open %s: %s", path,
                          strerror(errno));
    porch_err e = porch_file_lock(lock, &made.lock_fd, why);
    if (e != PORCH_OK) {
        close(made.dir_fd);
        return e;
    }
    *f = made;
    return PORCH_OK;
}

void porch_tuf_folder_close(porch_tuf_folder *f) {
    close(f->lock_fd);
    close(f->dir_fd);
}

porch_err porch_tuf_folder_load(const porch_tuf_folder *f, const char *name, porch_buf *out,
                                porch_why *why) {
    uint8_t *bytes = NULL;
    size_t len = 0;
    PORCH_TRY(porch_file_read_at(f->dir_fd, name, out->cap, &bytes, &len, why));
    memcpy(out->at, bytes, len);
    out->len = len;
    free(bytes);
    return PORCH_OK;
}

porch_err porch_tuf_folder_store(const porch_tuf_folder *f, const char *name, porch_bytes bytes,
                                 porch_why *why) {
    return porch_file_write_atomic_at(f->dir_fd, name, bytes, FILE_MODE, why);
}

porch_err porch_tuf_folder_drop(const porch_tuf_folder *f, const char *name, porch_why *why) {
    if (unlinkat(f->dir_fd, name, 0) != 0 && errno != ENOENT)
        return porch_fail(why, PORCH_ERR_IO, "remove %s: %s", name, strerror(errno));
    if (fsync(f->dir_fd) != 0) return porch_fail(why, PORCH_ERR_IO, "fsync: %s", strerror(errno));
    return PORCH_OK;
}
