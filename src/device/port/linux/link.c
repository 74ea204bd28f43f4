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

/* Begins a connection to l->address or, where that fails at once, to one after it. */
static porch_err dial(porch_link *l, porch_why *why) {
    for (; l->address; l->address = l->address->ai_next) {
        const struct addrinfo *a = l->address;
        close_socket(l);
        l->fd = socket(a->ai_family, a->ai_socktype | SOCK_NONBLOCK | SOCK_CLOEXEC, a->ai_protocol);
        if (l->fd < 0) continue;
        int on = 1;
        (void)setsockopt(l->fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof on);
        if (connect(l->fd, a->ai_addr, a->ai_addrlen) == 0 || errno == EINPROGRESS) {
            l->state = PORCH_LINK_DIALLING;
            return PORCH_OK;
        }
    }
    porch_err e = porch_fail(why, PORCH_ERR_CLOSED, "the hub's port %u cannot be reached: %s",
                             (unsigned)l->port, strerror(errno));
    porch_link_close(l);
    return e;
}

porch_err porch_link_open(porch_link *l, const char *host, uint16_t port, uint64_t now_ms,
                          uint64_t patience_ms, porch_why *why) {
    porch_link_close(l);
    char service[8];
    (void)snprintf(service, sizeof service, "%u", (unsigned)port);
    const struct addrinfo hints = {
        .ai_family = AF_UNSPEC, .ai_socktype = SOCK_STREAM, .ai_flags = AI_NUMERICSERV};
    int r = getaddrinfo(host, service, &hints, &l->addresses);
    if (r != 0) {
        l->addresses = NULL;
        return porch_fail(why, PORCH_ERR_NOT_FOUND, "the hub's name %s does not resolve: %s", host,
                          gai_strerror(r));
    }
    l->address = l->addresses;
    l->port = port;
    l->give_up_ms = now_ms + patience_ms;
    return dial(l, why);
}

static porch_err dialled(porch_link *l, porch_why *why) {
    struct pollfd p = {.fd = l->fd, .events = POLLOUT};
    if (poll(&p, 1, 0) == 0) return PORCH_ERR_AGAIN;
    int err = 0;
    socklen_t len = sizeof err;
    if (getsockopt(l->fd, SOL_SOCKET, SO_ERROR, &err, &len) != 0) err = errno;
    if (err != 0) {
        errno = err;
        l->address = l->address->ai_next;
        PORCH_TRY(dial(l, why));
        return PORCH_ERR_AGAIN;
    }
    porch_err e = porch_tls_connect(l->tls, l->fd, &l->conn);
    if (e != PORCH_OK) {
        porch_link_close(l);
        return porch_fail(why, e, "the TLS connection cannot be set up");
    }
    l->state = PORCH_LINK_SHAKING;
    return PORCH_OK;
}

porch_err porch_link_advance(porch_link *l, uint64_t now_ms, porch_why *why) {
    if (l->state == PORCH_LINK_UP) return PORCH_OK;
    if (l->state == PORCH_LINK_IDLE) return PORCH_ERR_STATE;
    if (now_ms >= l->give_up_ms) {
        const char *step = l->state == PORCH_LINK_DIALLING ? "connection" : "TLS handshake";
        porch_link_close(l);
        return porch_fail(why, PORCH_ERR_TIMEOUT, "the %s did not come about in time", step);
    }
    if (l->state == PORCH_LINK_DIALLING) PORCH_TRY(dialled(l, why));
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
