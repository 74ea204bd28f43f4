/* The power goes at a chosen call that changes a disk: preloaded into a program under test, kills it before
 * (even PORCH_TEST_CUT) or behind (odd) the call number PORCH_TEST_CUT / 2; pwrite leaves half of its bytes
 * when it is cut "behind". Never part of a product. */
#define _GNU_SOURCE
#include <dlfcn.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/types.h>
#include <unistd.h>

static long calls;

static long cut(void) {
    const char *text = getenv("PORCH_TEST_CUT");
    return text == NULL ? -1 : strtol(text, NULL, 10);
}

static void power(int behind) {
    if (cut() == 2 * calls + behind) {
        kill(getpid(), SIGKILL);
        for (;;)
            pause();
    }
    if (behind) calls++;
}

#define WRAP(ret, name, parameters, words)                                  \
    ret name parameters {                                                   \
        ret(*real) parameters = (ret(*) parameters)dlsym(RTLD_NEXT, #name); \
        power(0);                                                           \
        ret r = real words;                                                 \
        power(1);                                                           \
        return r;                                                           \
    }

WRAP(int, fsync, (int fd), (fd))
WRAP(int, ftruncate, (int fd, off_t len), (fd, len))
WRAP(int, rename, (const char *from, const char *to), (from, to))
WRAP(int, renameat, (int a, const char *b, int c, const char *d), (a, b, c, d))

ssize_t pwrite(int fd, const void *at, size_t len, off_t to) {
    ssize_t (*real)(int, const void *, size_t, off_t) =
        (ssize_t(*)(int, const void *, size_t, off_t))dlsym(RTLD_NEXT, "pwrite");
    power(0);
    ssize_t r = real(fd, at, cut() == 2 * calls + 1 ? len / 2 : len, to);
    power(1);
    return r;
}

ssize_t pwrite64(int fd, const void *at, size_t len, off_t to) {
    return pwrite(fd, at, len, to);
}
