#include "device/port/linux/lookup.h"

#include <errno.h>
#include <netdb.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>
#include <sys/socket.h>
#include <unistd.h>

#include "device/port/linux/device_private.h"

/* Its thread and its owner hold it; who leaves last takes it away. */
struct porch_lookup {
    atomic_int holders;
    atomic_bool answered;
    int fd;
    porch_lookup_fn ask;
    int result; /* the thread's, until `answered` */
    struct addrinfo *addresses;
    char service[8];
    char host[];
};

static const struct addrinfo hints_for_name = {
    .ai_family = AF_UNSPEC, .ai_socktype = SOCK_STREAM, .ai_flags = AI_NUMERICSERV};
static const struct addrinfo hints_for_address = {
    .ai_family = AF_UNSPEC, .ai_socktype = SOCK_STREAM, .ai_flags = AI_NUMERICSERV | AI_NUMERICHOST};

static void release(porch_lookup *l) {
    if (atomic_fetch_sub(&l->holders, 1) > 1) return;
    if (l->addresses != NULL) freeaddrinfo(l->addresses);
    if (l->fd >= 0) (void)close(l->fd);
    free(l);
}

static void *run(void *ctx) {
    porch_lookup *l = ctx;
    uint64_t one = 1;
    l->result = l->ask(l->host, l->service, &hints_for_name, &l->addresses);
    atomic_store(&l->answered, true);
    ssize_t n = write(l->fd, &one, sizeof one);
    (void)n; /* it is empty: there is room */
    release(l);
    return NULL;
}

static porch_err start(porch_lookup *l, porch_why *why) {
    pthread_t thread;
    l->fd = eventfd(0, EFD_NONBLOCK | EFD_CLOEXEC);
    if (l->fd < 0) return porch_fail(why, PORCH_ERR_NO_SPACE, "eventfd: %s", strerror(errno));
    if (!porch_device_thread(&thread, run, l))
        return porch_fail(why, PORCH_ERR_NO_SPACE, "no thread to look the hub's name up: %s",
                          strerror(errno));
    (void)pthread_detach(thread);
    return PORCH_OK;
}

porch_err porch_lookup_start(porch_lookup_fn ask, const char *host, uint16_t port, porch_lookup **ret,
                             struct addrinfo **addresses, porch_why *why) {
    char service[8];
    size_t len = strlen(host);
    *ret = NULL;
    (void)snprintf(service, sizeof service, "%u", (unsigned)port);
    if (getaddrinfo(host, service, &hints_for_address, addresses) == 0) return PORCH_OK;
    porch_lookup *l = calloc(1, sizeof *l + len + 1);
    if (l == NULL) return porch_fail(why, PORCH_ERR_NO_SPACE, "out of memory");
    memcpy(l->host, host, len + 1);
    memcpy(l->service, service, sizeof service);
    l->ask = ask;
    atomic_init(&l->holders, 2);
    porch_err e = start(l, why);
    if (e != PORCH_OK) {
        atomic_store(&l->holders, 1);
        release(l);
        return e;
    }
    *ret = l;
    return PORCH_OK;
}

int porch_lookup_fd(const porch_lookup *l) {
    return l->fd;
}

bool porch_lookup_is_answered(const porch_lookup *l) {
    return atomic_load(&l->answered);
}

porch_err porch_lookup_take(porch_lookup *l, struct addrinfo **ret, porch_why *why) {
    if (!porch_lookup_is_answered(l)) return PORCH_ERR_AGAIN;
    if (l->result != 0)
        return porch_fail(why, PORCH_ERR_NOT_FOUND, "the hub's name %s does not resolve: %s", l->host,
                          gai_strerror(l->result));
    *ret = l->addresses;
    l->addresses = NULL;
    return PORCH_OK;
}

void porch_lookup_leave(porch_lookup *l) {
    if (l != NULL) release(l);
}
