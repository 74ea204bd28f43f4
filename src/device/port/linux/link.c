#include "device/port/linux/link.h"

#include <errno.h>
#include <netdb.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <poll.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "os/clock.h"

enum { FOLLOWED_MOST_MS = 3000, UNSENT_BYTES = 32 * 1024 };

void porch_link_init(porch_link *l, porch_tls_client *tls) {
    *l = (porch_link){.fd = -1, .tls = tls};
}

static void close_socket(porch_link *l) {
    if (l->conn) {
        porch_tls_shutdown(l->conn);
        porch_tls_free(l->conn);
    }
    l->conn = NULL;
    if (l->fd >= 0) (void)close(l->fd);
    l->fd = -1;
    l->write_blocked = false;
}

void porch_link_close(porch_link *l) {
    close_socket(l);
    if (l->addresses) freeaddrinfo(l->addresses);
    l->addresses = l->address = NULL;
    l->state = PORCH_LINK_IDLE;
}

static int dial_one(const struct addrinfo *a) {
    int fd = socket(a->ai_family, a->ai_socktype | SOCK_NONBLOCK | SOCK_CLOEXEC, a->ai_protocol);
    if (fd < 0) return -1;
    int on = 1, unsent = UNSENT_BYTES;
    (void)setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof on);
    /* The kernel takes megabytes off our hands, and on a slow uplink the limits on answers would run while
     * they wait there. */
    (void)setsockopt(fd, IPPROTO_TCP, TCP_NOTSENT_LOWAT, &unsent, sizeof unsent);
    if (connect(fd, a->ai_addr, a->ai_addrlen) == 0 || errno == EINPROGRESS) return fd;
    int err = errno;
    (void)close(fd);
    errno = err;
    return -1;
}

/* What one that is followed by others may have of the patience: a path that swallows packets must not keep
 * the device from the others, at this attempt or at any. */
static uint64_t share_of(const porch_link *l, uint64_t now_ms) {
    uint64_t left_ms = l->end_ms - now_ms, addresses = 0;
    for (const struct addrinfo *a = l->address; a; a = a->ai_next)
        addresses++;
    if (addresses == 1) return left_ms;
    return left_ms / addresses < FOLLOWED_MOST_MS ? left_ms / addresses : FOLLOWED_MOST_MS;
}

/* Begins a connection to `a` or, where that fails at once, to one after it. False, and as before, when none
 * can be begun. */
static bool dial(porch_link *l, struct addrinfo *a, uint64_t now_ms) {
    int fd = -1;
    while (a && (fd = dial_one(a)) < 0)
        a = a->ai_next;
    if (!a) return false;
    close_socket(l);
    l->fd = fd;
    l->address = a;
    l->state = PORCH_LINK_DIALLING;
    l->give_up_ms = now_ms + share_of(l, now_ms);
    return true;
}

static porch_err unreachable(porch_link *l, porch_why *why) {
    porch_err e = porch_fail(why, PORCH_ERR_CLOSED, "the hub's port %u cannot be reached: %s",
                             (unsigned)l->port, strerror(errno));
    porch_link_close(l);
    return e;
}

porch_err porch_link_open_at(porch_link *l, struct addrinfo *addresses, uint16_t port, uint64_t now_ms,
                             uint64_t patience_ms, porch_why *why) {
    porch_link_close(l);
    l->addresses = addresses;
    l->port = port;
    l->end_ms = now_ms + patience_ms;
    return dial(l, addresses, now_ms) ? PORCH_OK : unreachable(l, why);
}

porch_err porch_link_open(porch_link *l, const char *host, uint16_t port, uint64_t now_ms,
                          uint64_t patience_ms, porch_why *why) {
    porch_link_close(l);
    char service[8];
    (void)snprintf(service, sizeof service, "%u", (unsigned)port);
    const struct addrinfo hints = {
        .ai_family = AF_UNSPEC, .ai_socktype = SOCK_STREAM, .ai_flags = AI_NUMERICSERV};
    struct addrinfo *addresses = NULL;
    uint64_t began_ms = porch_clock_mono_ms();
    int r = getaddrinfo(host, service, &hints, &addresses);
    now_ms += porch_clock_mono_ms() - began_ms; /* a slow name service must not eat the first one's share */
    if (r != 0)
        return porch_fail(why, PORCH_ERR_NOT_FOUND, "the hub's name %s does not resolve: %s", host,
                          gai_strerror(r));
    return porch_link_open_at(l, addresses, port, now_ms, patience_ms, why);
}

static porch_err dialled(porch_link *l, uint64_t now_ms, porch_why *why) {
    struct pollfd p = {.fd = l->fd, .events = POLLOUT};
    if (poll(&p, 1, 0) == 0) return PORCH_ERR_AGAIN;
    int err = 0;
    socklen_t len = sizeof err;
    if (getsockopt(l->fd, SOL_SOCKET, SO_ERROR, &err, &len) != 0) err = errno;
    if (err != 0) {
        errno = err;
        return dial(l, l->address->ai_next, now_ms) ? PORCH_ERR_AGAIN : unreachable(l, why);
    }
    porch_err e = porch_tls_connect(l->tls, l->fd, &l->conn);
    if (e != PORCH_OK) {
        porch_link_close(l);
        return porch_fail(why, e, "the TLS connection cannot be set up");
    }
    l->state = PORCH_LINK_SHAKING;
    l->give_up_ms = l->end_ms;
    return PORCH_OK;
}

porch_err porch_link_advance(porch_link *l, uint64_t now_ms, porch_why *why) {
    if (l->state == PORCH_LINK_UP) return PORCH_OK;
    if (l->state == PORCH_LINK_IDLE) return PORCH_ERR_STATE;
    if (now_ms >= l->give_up_ms && now_ms < l->end_ms) {
        if (dial(l, l->address->ai_next, now_ms)) return PORCH_ERR_AGAIN;
        l->give_up_ms = l->end_ms; /* no other can be tried */
    }
    if (now_ms >= l->give_up_ms) {
        const char *step = l->state == PORCH_LINK_DIALLING ? "connection" : "TLS handshake";
        porch_link_close(l);
        return porch_fail(why, PORCH_ERR_TIMEOUT, "the %s did not come about in time", step);
    }
    if (l->state == PORCH_LINK_DIALLING) PORCH_TRY(dialled(l, now_ms, why));
    porch_err e = porch_tls_handshake(l->conn, why);
    if (e == PORCH_ERR_AGAIN) return e;
    if (e != PORCH_OK) {
        porch_link_close(l);
        return e;
    }
    l->state = PORCH_LINK_UP;
    return PORCH_OK;
}

short porch_link_events(const porch_link *l, bool output_waits) {
    switch (l->state) {
    case PORCH_LINK_DIALLING:
        return POLLOUT;
    case PORCH_LINK_SHAKING:
        return porch_tls_wants_write(l->conn) ? POLLOUT : POLLIN;
    case PORCH_LINK_UP:
        return output_waits && l->write_blocked ? POLLIN | POLLOUT : POLLIN;
    default:
        return 0;
    }
}

static porch_err broken(porch_link *l, porch_err e, const char *what, porch_why *why) {
    const char *said = l->conn ? porch_tls_error(l->conn) : "";
    (void)porch_fail(why, e, "%s%s%s", what, said[0] != 0 ? ": " : "", said);
    porch_link_close(l);
    return e;
}

porch_err porch_link_read(porch_link *l, uint8_t *at, size_t cap, size_t *got, porch_why *why) {
    *got = 0;
    if (l->state != PORCH_LINK_UP) return PORCH_ERR_STATE;
    porch_err e = porch_tls_read(l->conn, at, cap, got);
    if (e == PORCH_OK || e == PORCH_ERR_AGAIN) return e;
    return broken(l, e, "the hub closed the connection", why);
}

porch_err porch_link_write(porch_link *l, porch_bytes out, size_t *taken, porch_why *why) {
    *taken = 0;
    if (l->state != PORCH_LINK_UP) return PORCH_ERR_STATE;
    size_t n = out.len < PORCH_TLS_RECORD_BYTES ? out.len : PORCH_TLS_RECORD_BYTES;
    porch_err e = porch_tls_write(l->conn, out.at, n, taken);
    l->write_blocked = e == PORCH_ERR_AGAIN;
    if (e == PORCH_OK || e == PORCH_ERR_AGAIN) return e;
    return broken(l, e, "the hub closed the connection", why);
}
