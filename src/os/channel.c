#include "os/channel.h"

#include <errno.h>
#include <poll.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "os/clock.h"
#include "os/socket.h"

/* Room for descriptors, aligned as the kernel wants it. */
typedef union {
    struct cmsghdr align;
    uint8_t space[CMSG_SPACE(PORCH_CHANNEL_MAX_FDS * sizeof(int))];
} control_block;

porch_err porch_channel_pair(int fds[2], porch_why *why) {
    int got[2];
    if (socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_NONBLOCK | SOCK_CLOEXEC, 0, got) < 0)
        return porch_fail(why, PORCH_ERR_IO, "socketpair: %s", strerror(errno));
    for (int i = 0; i < 2; i++) {
        /* One message of the full length must fit, whatever the machine's default is. */
        int bytes = 2 * (int)PORCH_CHANNEL_MESSAGE_BYTES;
        (void)setsockopt(got[i], SOL_SOCKET, SO_SNDBUF, &bytes, sizeof bytes);
    }
    fds[0] = got[0];
    fds[1] = got[1];
    return PORCH_OK;
}

/* Time left of a limit that began at `start`; -1 stays -1. */
static int left_of(int timeout_ms, uint64_t start) {
    if (timeout_ms <= 0) return timeout_ms;
    uint64_t passed = porch_clock_mono_ms() - start;
    return passed >= (uint64_t)timeout_ms ? 0 : timeout_ms - (int)passed;
}

porch_err porch_channel_send(int fd, porch_bytes bytes, const int *fds, size_t nfds, int timeout_ms,
                             porch_why *why) {
    if (bytes.len == 0) return porch_fail(why, PORCH_ERR_USAGE, "an empty message would look like the end");
    if (bytes.len > PORCH_CHANNEL_MESSAGE_BYTES || nfds > PORCH_CHANNEL_MAX_FDS)
        return porch_fail(why, PORCH_ERR_LIMIT, "a message has at most %u bytes and %u descriptors",
                          PORCH_CHANNEL_MESSAGE_BYTES, PORCH_CHANNEL_MAX_FDS);
    struct iovec part = {(void *)bytes.at, bytes.len};
    struct msghdr m = {.msg_iov = &part, .msg_iovlen = 1};
    control_block control;
    if (nfds > 0) {
        memset(&control, 0, sizeof control);
        m.msg_control = control.space;
        m.msg_controllen = CMSG_SPACE(nfds * sizeof(int));
        struct cmsghdr *c = &control.align; /* what CMSG_FIRSTHDR gives for a block that holds one */
        c->cmsg_level = SOL_SOCKET;
        c->cmsg_type = SCM_RIGHTS;
        c->cmsg_len = CMSG_LEN(nfds * sizeof(int));
        memcpy(CMSG_DATA(c), fds, nfds * sizeof(int));
    }
    uint64_t start = porch_clock_mono_ms();
    for (;;) {
        if (sendmsg(fd, &m, MSG_NOSIGNAL | MSG_DONTWAIT) >= 0) return PORCH_OK;
        if (errno == EINTR) continue;
        if (errno == EPIPE || errno == ECONNRESET || errno == ENOTCONN)
            return porch_fail(why, PORCH_ERR_CLOSED, "the other process has closed its end");
        if (errno != EAGAIN && errno != ENOBUFS)
            return porch_fail(why, PORCH_ERR_IO, "sendmsg: %s", strerror(errno));
        porch_err e = porch_socket_wait(fd, POLLOUT, left_of(timeout_ms, start));
        if (e == PORCH_ERR_TIMEOUT)
            return porch_fail(why, e, "the other process does not take its messages");
        if (e != PORCH_OK) return porch_fail(why, e, "poll: %s", strerror(errno));
    }
}

static void close_received(struct msghdr *m) {
    for (struct cmsghdr *c = CMSG_FIRSTHDR(m); c != NULL; c = CMSG_NXTHDR(m, c)) {
        if (c->cmsg_level != SOL_SOCKET || c->cmsg_type != SCM_RIGHTS) continue;
        size_t n = (c->cmsg_len - CMSG_LEN(0)) / sizeof(int);
        for (size_t i = 0; i < n; i++) {
            int fd;
            memcpy(&fd, CMSG_DATA(c) + i * sizeof fd, sizeof fd);
            close(fd);
        }
    }
}

/* Copies the descriptors out; LIMIT when there are more than fit. */
static porch_err take_received(struct msghdr *m, int *fds, size_t max_fds, size_t *nfds) {
    size_t used = 0;
    for (struct cmsghdr *c = CMSG_FIRSTHDR(m); c != NULL; c = CMSG_NXTHDR(m, c)) {
        if (c->cmsg_level != SOL_SOCKET || c->cmsg_type != SCM_RIGHTS) continue;
        size_t n = (c->cmsg_len - CMSG_LEN(0)) / sizeof(int);
        if (n > max_fds - used) return PORCH_ERR_LIMIT;
        memcpy(fds + used, CMSG_DATA(c), n * sizeof(int));
        used += n;
    }
    if (nfds != NULL) *nfds = used;
    return PORCH_OK;
}

porch_err porch_channel_receive(int fd, porch_buf *into, int *fds, size_t max_fds, size_t *nfds,
                                int timeout_ms, porch_why *why) {
    uint64_t start = porch_clock_mono_ms();
    control_block control;
    struct iovec part = {into->at, into->cap};
    struct msghdr m;
    ssize_t got;
    bool died = false;
    for (;;) {
        m = (struct msghdr){.msg_iov = &part,
                            .msg_iovlen = 1,
                            .msg_control = control.space,
                            .msg_controllen = sizeof control.space};
        got = recvmsg(fd, &m, MSG_CMSG_CLOEXEC | MSG_DONTWAIT);
        if (got >= 0) break;
        if (errno == EINTR) continue;
        if (errno == ECONNRESET && !died) { /* told once, before what had been said until then */
            died = true;
            continue;
        }
        if (errno == ECONNRESET) return porch_fail(why, PORCH_ERR_CLOSED, "the other process has died");
        if (errno != EAGAIN) return porch_fail(why, PORCH_ERR_IO, "recvmsg: %s", strerror(errno));
        porch_err e = porch_socket_wait(fd, POLLIN, left_of(timeout_ms, start));
        if (e == PORCH_ERR_TIMEOUT) return porch_fail(why, e, "no message in time");
        if (e != PORCH_OK) return porch_fail(why, e, "poll: %s", strerror(errno));
    }
    if (got == 0) {
        close_received(&m);
        return porch_fail(why, PORCH_ERR_CLOSED, "the other process has closed its end");
    }
    if ((m.msg_flags & (MSG_TRUNC | MSG_CTRUNC)) != 0 ||
        take_received(&m, fds, max_fds, nfds) != PORCH_OK) {
        close_received(&m);
        return porch_fail(why, PORCH_ERR_LIMIT,
                          "a message is longer, or has more descriptors, than expected");
    }
    into->len = (size_t)got;
    return PORCH_OK;
}
