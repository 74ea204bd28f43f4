#include "device/port/linux/link.h"

#include <errno.h>
#include <netdb.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <poll.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

enum { FOLLOWED_MOST_MS = 3000, UNSENT_BYTES = 32 * 1024, KNOWN_AFTER_MS = 2000, ANSWER_HOLDS_MS = 60000 };

void porch_link_init(porch_link *l, porch_tls_client *tls, porch_link_known *known) {
    *l = (porch_link){.fd = -1, .tls = tls, .known = known, .ask = getaddrinfo};
}

void porch_link_use(porch_link *l, porch_tls_client *tls) {
    l->tls = tls;
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

static void forget_lookup(porch_link *l) {
    porch_lookup_leave(l->lookup);
    l->lookup = NULL;
}

void porch_link_end(porch_link *l) {
    porch_link_close(l);
    forget_lookup(l);
}

bool porch_link_connects(const porch_link *l) {
    return l->state != PORCH_LINK_IDLE && l->state != PORCH_LINK_UP;
}

int porch_link_fd(const porch_link *l) {
    return l->state == PORCH_LINK_NAMING ? porch_lookup_fd(l->lookup) : l->fd;
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

bool porch_link_guesses(const porch_link *l) {
    return l->address == &l->remembered;
}

/* Which address it is that fails, where the name service did not give it. */
static const char *where(const porch_link *l) {
    return porch_link_guesses(l) ? " at its last address (the name service has given no other)" : "";
}

static porch_err unreachable(porch_link *l, porch_why *why) {
    porch_err e = porch_fail(why, PORCH_ERR_CLOSED, "the hub's port %u cannot be reached%s: %s",
                             (unsigned)l->port, where(l), strerror(errno));
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

/* ---- where the hub was ---- */

static void set_port(struct sockaddr_storage *at, uint16_t port) {
    if (at->ss_family == AF_INET) ((struct sockaddr_in *)at)->sin_port = htons(port);
    if (at->ss_family == AF_INET6) ((struct sockaddr_in6 *)at)->sin6_port = htons(port);
}

static void remember(porch_link *l) {
    if (l->known == NULL || l->address->ai_addrlen > sizeof l->known->at) return;
    memcpy(&l->known->at, l->address->ai_addr, l->address->ai_addrlen);
    l->known->len = l->address->ai_addrlen;
}

/* The name service failed, or takes its time. `e` and *why, where the hub is not known either. */
static porch_err dial_known(porch_link *l, uint64_t now_ms, porch_err e, porch_why *why) {
    if (l->known == NULL || l->known->len == 0) {
        porch_link_close(l);
        return e;
    }
    l->at = l->known->at;
    set_port(&l->at, l->port);
    l->remembered = (struct addrinfo){.ai_family = l->at.ss_family,
                                      .ai_socktype = SOCK_STREAM,
                                      .ai_addr = (struct sockaddr *)&l->at,
                                      .ai_addrlen = l->known->len};
    l->address = &l->remembered;
    l->end_ms = now_ms + l->patience_ms;
    return dial(l, &l->remembered, now_ms) ? PORCH_ERR_AGAIN : unreachable(l, why);
}

/* ---- its name ---- */

/* What goes on is begun. */
static porch_err started(porch_err e) {
    return e == PORCH_ERR_AGAIN ? PORCH_OK : e;
}

porch_err porch_link_open(porch_link *l, const char *host, uint16_t port, uint64_t now_ms,
                          uint64_t patience_ms, porch_why *why) {
    porch_link_close(l);
    struct addrinfo *addresses = NULL;
    bool old = now_ms - l->asked_ms > ANSWER_HOLDS_MS;
    if (l->lookup != NULL && old && porch_lookup_is_answered(l->lookup)) forget_lookup(l);
    l->port = port;
    l->patience_ms = patience_ms;
    if (l->lookup == NULL) {
        porch_err e = porch_lookup_start(l->ask, host, port, &l->lookup, &addresses, why);
        l->asked_ms = now_ms;
        if (e != PORCH_OK) return started(dial_known(l, now_ms, e, why));
    }
    if (addresses != NULL) return porch_link_open_at(l, addresses, port, now_ms, patience_ms, why);
    bool known = l->known != NULL && l->known->len > 0;
    l->state = PORCH_LINK_NAMING;
    l->give_up_ms = now_ms + (known && KNOWN_AFTER_MS < patience_ms ? KNOWN_AFTER_MS : patience_ms);
    return PORCH_OK;
}

static porch_err named(porch_link *l, uint64_t now_ms, porch_why *why) {
    struct addrinfo *addresses = NULL;
    porch_err e = porch_lookup_take(l->lookup, &addresses, why);
    if (e == PORCH_ERR_AGAIN) {
        if (now_ms < l->give_up_ms) return e;
        e = porch_fail(why, PORCH_ERR_TIMEOUT, "the name service did not answer in time");
        return dial_known(l, now_ms, e, why);
    }
    forget_lookup(l);
    if (e != PORCH_OK) return dial_known(l, now_ms, e, why);
    e = porch_link_open_at(l, addresses, l->port, now_ms, l->patience_ms, why);
    return e == PORCH_OK ? PORCH_ERR_AGAIN : e;
}

/* ---- on its way ---- */

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
    if (l->state == PORCH_LINK_NAMING) return named(l, now_ms, why);
    if (now_ms >= l->give_up_ms && now_ms < l->end_ms) {
        if (dial(l, l->address->ai_next, now_ms)) return PORCH_ERR_AGAIN;
        l->give_up_ms = l->end_ms; /* no other can be tried */
    }
    if (now_ms >= l->give_up_ms) {
        const char *step = l->state == PORCH_LINK_DIALLING ? "connection" : "TLS handshake";
        porch_err e =
            porch_fail(why, PORCH_ERR_TIMEOUT, "the %s did not come about in time%s", step, where(l));
        porch_link_close(l);
        return e;
    }
    if (l->state == PORCH_LINK_DIALLING) PORCH_TRY(dialled(l, now_ms, why));
    porch_err e = porch_tls_handshake(l->conn, why);
    if (e == PORCH_ERR_AGAIN) return e;
    if (e != PORCH_OK) {
        if (why != NULL) (void)strncat(why->text, where(l), sizeof why->text - strlen(why->text) - 1);
        porch_link_close(l);
        return e;
    }
    l->state = PORCH_LINK_UP;
    forget_lookup(l); /* the next attempt asks anew */
    remember(l);
    return PORCH_OK;
}

short porch_link_events(const porch_link *l, bool output_waits) {
    switch (l->state) {
    case PORCH_LINK_NAMING:
        return POLLIN;
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
