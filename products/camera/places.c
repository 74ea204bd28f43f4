#include "places.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

static const char *const system_folders[] = {
    "/etc",
    "/lib",
    "/usr/lib",
    "/usr/share",
    "/proc/self",
    "/run/systemd/resolve",
    "/sys/devices/system/cpu",
    "/dev/urandom",
    "/dev/null",
};
enum { SYSTEM_FOLDERS = sizeof system_folders / sizeof system_folders[0] };

static bool add(porch_camera_places *p, const char *path, bool write, char why[256]) {
    porch_camera_place *place = &p->at[p->count];
    if (p->count == PORCH_CAMERA_PLACES_MOST || strlen(path) >= sizeof place->path) {
        (void)snprintf(why, 256, "the path %.100s is too long, or one too many", path);
        return false;
    }
    memcpy(place->path, path, strlen(path) + 1);
    place->write = write;
    p->count++;
    return true;
}

/* Where resolv.conf is a link, as NetworkManager and others make it: they replace the file that it leads
 * to, so its folder it is that must stay open. Not a folder as large as /run, and none that is open
 * already. */
static bool add_resolver(porch_camera_places *p, const char *link, char why[256]) {
    char *real = realpath(link, NULL);
    bool good = true;
    char *last = real ? strrchr(real, '/') : NULL;
    if (last && strcmp(real, link) != 0) {
        if (strchr(real + 1, '/') != last) *last = '\0';
        good = add(p, real, false, why);
    }
    free(real);
    return good;
}

static bool add_allowed(porch_camera_places *p, const char *const *allowed, char why[256]) {
    for (size_t i = 0; i < PORCH_CAMERA_ALLOWED_MOST && allowed[i]; i++) {
        if (access(allowed[i], F_OK) != 0) {
            (void)snprintf(why, 256, "--allow-file %.150s: %s", allowed[i], strerror(errno));
            return false;
        }
        if (!add(p, allowed[i], true, why)) return false;
    }
    return true;
}

bool porch_camera_places_make(const porch_camera_wants *wants, porch_camera_places *ret, char why[256]) {
    ret->count = 0;
    bool good = (!wants->folder || add(ret, wants->folder, true, why)) &&
                (!wants->slots || add(ret, wants->slots, true, why));
    for (size_t i = 0; good && i < SYSTEM_FOLDERS; i++)
        good = add(ret, system_folders[i], strcmp(system_folders[i], "/dev/null") == 0, why);
    for (size_t i = 0; good && wants->key && i < wants->key->count; i++)
        good = add(ret, wants->key->at[i].path, wants->key->at[i].write, why);
    return good && add_resolver(ret, wants->resolver, why) && add_allowed(ret, wants->allowed, why);
}
