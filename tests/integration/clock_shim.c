/* Real time as a test sets it: preloaded into the hub's processes, adds the milliseconds that stand in the
 * file PORCH_TEST_CLOCK (8 bytes, mapped before any sandbox). Never part of the hub. */
#define _GNU_SOURCE
#include <fcntl.h>
#include <stdint.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <sys/time.h>
#include <time.h>
#include <unistd.h>

static volatile const int64_t *offset_ms;

__attribute__((constructor)) static void open_offset(void) {
    const char *path = getenv("PORCH_TEST_CLOCK");
    int fd = path == NULL ? -1 : open(path, O_RDONLY | O_CLOEXEC);
    if (fd < 0) return;
    void *at = mmap(NULL, sizeof *offset_ms, PROT_READ, MAP_SHARED, fd, 0);
    if (at != MAP_FAILED) offset_ms = at;
    close(fd);
}

int clock_gettime(clockid_t which, struct timespec *ret) {
    int e = (int)syscall(SYS_clock_gettime, which, ret);
    if (e == 0 && offset_ms != NULL && (which == CLOCK_REALTIME || which == CLOCK_REALTIME_COARSE))
        ret->tv_sec += *offset_ms / 1000;
    return e;
}

int gettimeofday(struct timeval *ret, void *zone) {
    struct timespec t;
    (void)zone;
    if (clock_gettime(CLOCK_REALTIME, &t) != 0) return -1;
    *ret = (struct timeval){t.tv_sec, t.tv_nsec / 1000};
    return 0;
}

time_t time(time_t *ret) {
    struct timespec t;
    if (clock_gettime(CLOCK_REALTIME, &t) != 0) return -1;
    if (ret != NULL) *ret = t.tv_sec;
    return t.tv_sec;
}
