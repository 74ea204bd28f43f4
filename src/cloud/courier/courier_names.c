/* resolv.conf and its like are replaced by renaming a new file over them, by DHCP clients, VPNs and package
 * scripts. Landlock's rule stays with the old file, and the C library, kept from the new one, quietly asks
 * 127.0.0.1. So the courier notices, and leaves for a fresh one. */
#include <errno.h>
#include <fcntl.h>
#include <unistd.h>

#include "cloud/courier/courier_room.h"

static const char *const system_files[] = {"/etc/resolv.conf", "/etc/hosts", "/etc/nsswitch.conf", NULL};

static bool is_kept_shut(const char *path) {
    int fd = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK);
    if (fd < 0) return errno == EACCES;
    close(fd);
    return false;
}

void porch_courier_names_look(porch_courier_names *n, const char *const *files) {
    *n = (porch_courier_names){0};
    /* One that is shut from the start would be so for a fresh courier, too. */
    for (const char *const *path = files ? files : system_files; *path; path++)
        if (n->count < PORCH_COURIER_NAMES_MAX && !is_kept_shut(*path)) n->watched[n->count++] = *path;
}

const char *porch_courier_names_lost(const porch_courier_names *n) {
    for (size_t i = 0; i < n->count; i++)
        if (is_kept_shut(n->watched[i])) return n->watched[i];
    return NULL;
}
