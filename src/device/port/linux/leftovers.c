#include "device/port/linux/leftovers.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "os/file.h"

enum { PATH_BYTES = 4096 };

static const struct {
    const char *folder;    /* below FOLDER */
    const char *begins[2]; /* how the names begin; a file that was being written is .NAME. and more */
    const char *what;
} places[] = {
    {"state/clips", {"", ""}, "clips"},
    {"state/spool", {"", ""}, "messages"},
    {"state", {"twin", ".twin."}, "a wish"},
};
enum { PLACES = sizeof places / sizeof places[0] };

static bool is_left(size_t place, const char *name) {
    if (strcmp(name, ".") == 0 || strcmp(name, "..") == 0) return false;
    for (size_t i = 0; i < 2; i++)
        if (strncmp(name, places[place].begins[i], strlen(places[place].begins[i])) == 0) return true;
    return false;
}

/* *ret is NULL when there is no such folder. What cannot be looked into may hold anything. */
static porch_err open_place(const char *folder, size_t place, DIR **ret, porch_why *why) {
    char path[PATH_BYTES];
    *ret = NULL;
    if (porch_path_join(folder, places[place].folder, path, sizeof path) != PORCH_OK)
        return porch_fail(why, PORCH_ERR_NO_SPACE, "the path %.100s is too long", folder);
    int fd = open(path, O_RDONLY | O_DIRECTORY | O_CLOEXEC | O_NOFOLLOW);
    if (fd < 0 && errno == ENOENT) return PORCH_OK;
    *ret = fd < 0 ? NULL : fdopendir(fd);
    if (*ret) return PORCH_OK;
    porch_err e = porch_fail(why, PORCH_ERR_IO, "%.150s cannot be read: %s", path, strerror(errno));
    if (fd >= 0) (void)close(fd);
    return e;
}

/* The next name that is left; NULL when there is none, with errno 0 unless reading failed. */
static const char *next_left(DIR *dir, size_t place) {
    const struct dirent *entry;
    do {
        errno = 0;
        entry = readdir(dir);
    } while (entry && !is_left(place, entry->d_name));
    return entry ? entry->d_name : NULL;
}

static porch_err check_place(const char *folder, size_t place, porch_why *why) {
    DIR *dir = NULL;
    PORCH_TRY(open_place(folder, place, &dir, why));
    if (!dir) return PORCH_OK;
    porch_err e = PORCH_OK;
    if (next_left(dir, place))
        e = porch_fail(why, PORCH_ERR_EXISTS,
                       "%.60s/%s holds %s of the home that this device was in: enrol with --waiting keep "
                       "(this home gets that) or --waiting clear (nobody does)",
                       folder, places[place].folder, places[place].what);
    else if (errno != 0)
        e = porch_fail(why, PORCH_ERR_IO, "%.100s/%s cannot be read: %s", folder, places[place].folder,
                       strerror(errno));
    (void)closedir(dir);
    return e;
}

/* From the beginning after each round that took something: a walk may pass over names while others go. */
static porch_err clear_place(const char *folder, size_t place, porch_why *why) {
    DIR *dir = NULL;
    PORCH_TRY(open_place(folder, place, &dir, why));
    if (!dir) return PORCH_OK;
    bool good = true, again = true;
    while (good && again) {
        const char *name;
        again = false;
        rewinddir(dir);
        while (good && (name = next_left(dir, place)) != NULL)
            again = good = unlinkat(dirfd(dir), name, 0) == 0;
        good = good && errno == 0;
    }
    good = good && fsync(dirfd(dir)) == 0;
    porch_err e = PORCH_OK;
    if (!good)
        e = porch_fail(why, PORCH_ERR_IO, "%.100s/%s cannot be cleared: %s", folder, places[place].folder,
                       strerror(errno));
    (void)closedir(dir);
    return e;
}

porch_err porch_leftovers_lock(const char *folder, int *fd, porch_why *why) {
    char state[PATH_BYTES], path[PATH_BYTES];
    if (porch_path_join(folder, "state", state, sizeof state) != PORCH_OK ||
        porch_path_join(state, "lock", path, sizeof path) != PORCH_OK)
        return porch_fail(why, PORCH_ERR_NO_SPACE, "the path %.100s is too long", folder);
    if (access(state, F_OK) != 0) return PORCH_OK;
    porch_err e = porch_file_lock(path, fd, why);
    if (e == PORCH_ERR_BUSY)
        return porch_fail(why, e, "another process runs with the folder %.150s; stop it first", folder);
    return e;
}

porch_err porch_leftovers_check(const char *folder, porch_why *why) {
    for (size_t i = 0; i < PLACES; i++)
        PORCH_TRY(check_place(folder, i, why));
    return PORCH_OK;
}

porch_err porch_leftovers_clear(const char *folder, porch_why *why) {
    for (size_t i = 0; i < PLACES; i++)
        PORCH_TRY(clear_place(folder, i, why));
    return PORCH_OK;
}
