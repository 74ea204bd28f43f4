/* A disk whose writes cannot be made lasting: preloaded into the hub's processes, answers fsync and
 * fdatasync with EIO while the first byte of the file PORCH_TEST_SYNC (mapped before any sandbox) is not
 * zero. The bytes that it is asked about may or may not be there later, as on a real one. Never part of the
 * hub. */
#define _GNU_SOURCE
#include <errno.h>
#include <fcntl.h>
#include <stdint.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <unistd.h>

static volatile const uint8_t *fails;

__attribute__((constructor)) static void open_switch(void) {
    const char *path = getenv("PORCH_TEST_SYNC");
    int fd = path == NULL ? -1 : open(path, O_RDONLY | O_CLOEXEC);
    if (fd < 0) return;
    void *at = mmap(NULL, 1, PROT_READ, MAP_SHARED, fd, 0);
    if (at != MAP_FAILED) fails = at;
    close(fd);
}

static int refuse(void) {
    errno = EIO;
    return -1;
}

int fsync(int fd) {
    return fails != NULL && *fails != 0 ? refuse() : (int)syscall(SYS_fsync, fd);
}

int fdatasync(int fd) {
    return fails != NULL && *fails != 0 ? refuse() : (int)syscall(SYS_fdatasync, fd);
}
