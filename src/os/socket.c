#include "os/socket.h"

#include <arpa/inet.h>
#include <errno.h>
#include <netdb.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <poll.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

#include "os/clock.h"

typedef union {
    struct sockaddr any;
    struct sockaddr_in v4;
    struct sockaddr_in6 v6;
    struct sockaddr_un un;
    struct sockaddr_storage space;
} address;

static void set_flag(int fd, int level, int option, int value) {
    (void)setsockopt(fd, level, option, &value, sizeof value); /* tuning: works without, too */
}

static porch_err port_of(int fd, uint16_t *port) {
    address a = {.any = {.sa_family = AF_UNSPEC}};
    socklen_t len = sizeof a;
    if (getsockname(fd, &a.any, &len) < 0) return PORCH_ERR_IO;
    *port = ntohs(a.any.sa_family == AF_INET6 ? a.v6.sin6_port : a.v4.sin_port);
    return PORCH_OK;
}

static porch_err listen_at(const struct sockaddr *at, socklen_t len, int backlog, int *fd) {
    int got = socket(at->sa_family, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
    if (got < 0) return PORCH_ERR_IO;
    set_flag(got, SOL_SOCKET, SO_REUSEADDR, 1);
    if (at->sa_family == AF_INET6) set_flag(got, IPPROTO_IPV6, IPV6_V6ONLY, 0);
    if (bind(got, at, len) < 0 || listen(got, backlog) < 0) {
        int e = errno;
        close(got);
        errno = e;
        return PORCH_ERR_IO;
    }
    *fd = got;
    return PORCH_OK;
}

/* Every address: one socket for both families where the machine has IPv6, else IPv4 alone. */
static porch_err listen_everywhere(uint16_t port, int backlog, int *fd) {
    address a = {.v6 = {.sin6_family = AF_INET6, .sin6_port = htons(port), .sin6_addr = IN6ADDR_ANY_INIT}};
    if (listen_at(&a.any, sizeof a.v6, backlog, fd) == PORCH_OK) return PORCH_OK;
    if (errno != EAFNOSUPPORT && errno != EADDRNOTAVAIL) return PORCH_ERR_IO;
    address b = {.v4 = {.sin_family = AF_INET, .sin_port = htons(port), .sin_addr = {htonl(INADDR_ANY)}}};
    return listen_at(&b.any, sizeof b.v4, backlog, fd);
}

static porch_err resolve(const char *host, uint16_t port, struct addrinfo **ret, porch_why *why) {
    char service[8];
    (void)snprintf(service, sizeof service, "%u", (unsigned)port);
    struct addrinfo hints = {.ai_socktype = SOCK_STREAM, .ai_flags = AI_NUMERICSERV};
    int rc = getaddrinfo(host, service, &hints, ret);
    if (rc != 0)
        return porch_fail(why, PORCH_ERR_NOT_FOUND, "no address for %s: %s", host, gai_strerror(rc));
    return PORCH_OK;
}

porch_err porch_socket_listen_tcp(const char *host, uint16_t port, int backlog, int *fd, uint16_t *bound,
                                  porch_why *why) {
    int got = -1;
    porch_err e;
    if (strcmp(host, "*") == 0) {
        e = listen_everywhere(port, backlog, &got);
    } else {
        struct addrinfo *found = NULL;
        e = resolve(host, port, &found, why);
        if (e != PORCH_OK) return e;
        e = listen_at(found->ai_addr, found->ai_addrlen, backlog, &got);
        int saved = errno;
        freeaddrinfo(found);
        errno = saved;
    }
    if (e != PORCH_OK)
        return porch_fail(why, errno == EADDRINUSE ? PORCH_ERR_EXISTS : PORCH_ERR_IO,
                          "listen on %s port %u: %s", host, (unsigned)port, strerror(errno));
    if (port_of(got, bound) != PORCH_OK) {
        close(got);
        return porch_fail(why, PORCH_ERR_IO, "getsockname: %s", strerror(errno));
    }
    *fd = got;
    return PORCH_OK;
}

porch_err porch_socket_accept(int listen_fd, int *fd) {
    int got = accept4(listen_fd, NULL, NULL, SOCK_NONBLOCK | SOCK_CLOEXEC);
    if (got < 0) {
        switch (errno) {
        case EMFILE:
        case ENFILE:
        case ENOBUFS:
        case ENOMEM:
            return PORCH_ERR_BUSY;
        case EBADF:
        case EINVAL:
        case ENOTSOCK:
        case EOPNOTSUPP:
        case EFAULT:
            return PORCH_ERR_IO;
        default:
            return PORCH_ERR_AGAIN; /* none waits, or the one that waited has a network error */
        }
    }
    set_flag(got, IPPROTO_TCP, TCP_NODELAY, 1); /* refused on unix sockets, which need none */
    *fd = got;
    return PORCH_OK;
}

porch_err porch_socket_wait(int fd, short events, int timeout_ms) {
    uint64_t end = timeout_ms < 0 ? UINT64_MAX : porch_clock_mono_ms() + (uint64_t)timeout_ms;
    for (;;) {
        struct pollfd p = {.fd = fd, .events = events};
        int rc = poll(&p, 1, timeout_ms);
        if (rc > 0) return PORCH_OK;
        if (rc == 0) return PORCH_ERR_TIMEOUT;
        if (errno != EINTR) return PORCH_ERR_IO;
        if (timeout_ms >= 0) {
            uint64_t now = porch_clock_mono_ms();
            timeout_ms = now >= end ? 0 : (int)(end - now);
        }
    }
}

static porch_err connect_one(const struct addrinfo *to, uint64_t end_ms, int *fd) {
    int got = socket(to->ai_family, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
    if (got < 0) return PORCH_ERR_IO;
    porch_err e = PORCH_OK;
    if (connect(got, to->ai_addr, to->ai_addrlen) < 0) {
        if (errno == EINPROGRESS) {
            uint64_t now = porch_clock_mono_ms();
            e = porch_socket_wait(got, POLLOUT, now >= end_ms ? 0 : (int)(end_ms - now));
            int late = 0;
            socklen_t len = sizeof late;
            if (e == PORCH_OK && getsockopt(got, SOL_SOCKET, SO_ERROR, &late, &len) < 0) late = errno;
            if (e == PORCH_OK && late != 0) {
                errno = late;
                e = PORCH_ERR_CLOSED;
            }
        } else {
            e = PORCH_ERR_CLOSED;
        }
    }
    if (e != PORCH_OK) {
        int saved = errno;
        close(got);
        errno = saved;
        return e;
    }
    set_flag(got, IPPROTO_TCP, TCP_NODELAY, 1);
    *fd = got;
    return PORCH_OK;
}

porch_err porch_socket_connect_tcp(const char *host, uint16_t port, int timeout_ms, int *fd,
                                   porch_why *why) {
    struct addrinfo *found = NULL;
    porch_err e = resolve(host, port, &found, why);
    if (e != PORCH_OK) return e;
    uint64_t end = porch_clock_mono_ms() + (uint64_t)(timeout_ms > 0 ? timeout_ms : 0);
    e = PORCH_ERR_CLOSED;
    for (const struct addrinfo *to = found; to != NULL; to = to->ai_next) {
        e = connect_one(to, end, fd);
        if (e == PORCH_OK || e == PORCH_ERR_TIMEOUT) break;
    }
    int saved = errno;
    freeaddrinfo(found);
    if (e != PORCH_OK)
        return porch_fail(why, e, "connect to %s port %u: %s", host, (unsigned)port,
                          e == PORCH_ERR_TIMEOUT ? "no answer in time" : strerror(saved));
    return PORCH_OK;
}

static porch_err unix_address(const char *path, address *ret, porch_why *why) {
    memset(ret, 0, sizeof *ret);
    ret->un.sun_family = AF_UNIX;
    size_t len = strlen(path);
    if (len >= sizeof ret->un.sun_path)
        return porch_fail(why, PORCH_ERR_LIMIT,
                          "%s: a socket's path has at most %zu bytes; use a shorter folder", path,
                          sizeof ret->un.sun_path - 1);
    memcpy(ret->un.sun_path, path, len);
    return PORCH_OK;
}

porch_err porch_socket_connect_unix(const char *path, int *fd, porch_why *why) {
    address a;
    PORCH_TRY(unix_address(path, &a, why));
    int got = socket(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
    if (got < 0) return porch_fail(why, PORCH_ERR_IO, "socket: %s", strerror(errno));
    if (connect(got, &a.any, sizeof a.un) < 0) {
        int e = errno;
        close(got);
        porch_err code = e == ENOENT         ? PORCH_ERR_NOT_FOUND
                         : e == ECONNREFUSED ? PORCH_ERR_CLOSED
                         : e == EAGAIN       ? PORCH_ERR_BUSY
                                             : PORCH_ERR_IO;
        return porch_fail(why, code, "connect to %s: %s", path, strerror(e));
    }
    *fd = got;
    return PORCH_OK;
}

porch_err porch_socket_listen_unix(const char *path, mode_t mode, int backlog, int *fd, porch_why *why) {
    address a;
    PORCH_TRY(unix_address(path, &a, why));
    int probe = -1;
    porch_err e = porch_socket_connect_unix(path, &probe, NULL);
    if (e == PORCH_OK || e == PORCH_ERR_BUSY) {
        if (e == PORCH_OK) close(probe);
        return porch_fail(why, PORCH_ERR_BUSY, "%s: another process listens there; stop it first", path);
    }
    struct stat st;
    if (e == PORCH_ERR_CLOSED && lstat(path, &st) == 0 && S_ISSOCK(st.st_mode)) (void)unlink(path);
    int got = socket(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
    if (got < 0) return porch_fail(why, PORCH_ERR_IO, "socket: %s", strerror(errno));
    /* The file takes its mode from the umask at bind: closed to others from its first moment. */
    mode_t before = umask(0777 & ~mode);
    int rc = bind(got, &a.any, sizeof a.un);
    int saved = errno;
    (void)umask(before);
    if (rc < 0 || chmod(path, mode) < 0 || listen(got, backlog) < 0) {
        if (rc < 0) errno = saved;
        e = porch_fail(why, PORCH_ERR_IO, "listen on %s: %s", path, strerror(errno));
        close(got);
        return e;
    }
    *fd = got;
    return PORCH_OK;
}

porch_err porch_socket_peer_uid(int fd, uid_t *uid) {
    struct ucred who;
    socklen_t len = sizeof who;
    if (getsockopt(fd, SOL_SOCKET, SO_PEERCRED, &who, &len) < 0 || len != sizeof who) return PORCH_ERR_IO;
    if (who.uid == (uid_t)-1) return PORCH_ERR_IO;
    *uid = who.uid;
    return PORCH_OK;
}

void porch_socket_address_text(int fd, char out[PORCH_ADDRESS_TEXT_BYTES]) {
    address a;
    socklen_t len = sizeof a;
    memset(&a, 0, sizeof a);
    (void)snprintf(out, PORCH_ADDRESS_TEXT_BYTES, "unknown");
    if (getpeername(fd, &a.any, &len) < 0) return;
    if (a.any.sa_family == AF_UNIX) {
        (void)snprintf(out, PORCH_ADDRESS_TEXT_BYTES, "unix");
    } else if (a.any.sa_family == AF_INET) {
        (void)inet_ntop(AF_INET, &a.v4.sin_addr, out, PORCH_ADDRESS_TEXT_BYTES);
    } else if (a.any.sa_family == AF_INET6 && IN6_IS_ADDR_V4MAPPED(&a.v6.sin6_addr)) {
        (void)inet_ntop(AF_INET, a.v6.sin6_addr.s6_addr + 12, out, PORCH_ADDRESS_TEXT_BYTES);
    } else if (a.any.sa_family == AF_INET6) {
        (void)inet_ntop(AF_INET6, &a.v6.sin6_addr, out, PORCH_ADDRESS_TEXT_BYTES);
    }
}
