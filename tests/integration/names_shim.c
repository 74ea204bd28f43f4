/* A name service that has fallen silent: preloaded into a device's program, answers no question for a name
 * while the first byte of the file PORCH_TEST_NAMES is not zero; an address in digits is no question. Never
 * part of a product. */
#define _GNU_SOURCE
#include <dlfcn.h>
#include <fcntl.h>
#include <netdb.h>
#include <stdint.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <unistd.h>

static volatile const uint8_t *silent;

__attribute__((constructor)) static void open_switch(void) {
    const char *path = getenv("PORCH_TEST_NAMES");
    int fd = path == NULL ? -1 : open(path, O_RDONLY | O_CLOEXEC);
    if (fd < 0) return;
    void *at = mmap(NULL, 1, PROT_READ, MAP_SHARED, fd, 0);
    if (at != MAP_FAILED) silent = at;
    close(fd);
}

int getaddrinfo(const char *host, const char *service, const struct addrinfo *hints,
                struct addrinfo **ret) {
    int (*real)(const char *, const char *, const struct addrinfo *, struct addrinfo **) =
        (int (*)(const char *, const char *, const struct addrinfo *, struct addrinfo **))dlsym(
            RTLD_NEXT, "getaddrinfo");
    const int digits = hints != NULL && (hints->ai_flags & AI_NUMERICHOST) != 0;
    while (!digits && silent != NULL && *silent != 0)
        usleep(10000);
    return real(host, service, hints, ret);
}
