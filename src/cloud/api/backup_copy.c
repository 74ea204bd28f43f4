#include "cloud/api/backup_copy.h"

#include <errno.h>
#include <string.h>
#include <unistd.h>

#include "os/file.h"
#include "os/log.h"

enum { PATH_BYTES = 4096 };

/* Under the lock, which keeps the next backup from making its copy meanwhile. */
static void remove_left_behind(const char *copy) {
    if (unlink(copy) == 0)
        porch_log(PORCH_LOG_INFO, "backup.swept", "file", copy, "reason", "a backup was broken off", NULL);
    else if (errno != ENOENT)
        porch_log(PORCH_LOG_WARN, "backup.unswept", "file", copy, "reason", strerror(errno), NULL);
}

bool porch_backup_copy_held(const char *dir) {
    char copy[PATH_BYTES], lock[PATH_BYTES];
    int fd = -1;
    if (porch_path_join(dir, "run/backup.db", copy, sizeof copy) != PORCH_OK ||
        porch_path_join(dir, "run/backup.lock", lock, sizeof lock) != PORCH_OK || access(copy, F_OK) != 0)
        return false;
    /* A lock that cannot even be opened guards as well: better nothing signed than a backup that is no use.
     */
    if (porch_file_lock(lock, &fd, NULL) != PORCH_OK) return true;
    remove_left_behind(copy);
    close(fd);
    return false;
}

void porch_backup_copy_sweep(const char *dir) {
    (void)porch_backup_copy_held(dir);
}
