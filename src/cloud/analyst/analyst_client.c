/* Keeps the one socket to the analyst behind a lock; everything that may wait happens on clip sockets. */
#include "cloud/analyst/analyst_client.h"

#include <errno.h>
#include <pthread.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <unistd.h>

#include "os/channel.h"

enum { START_WAIT_MS = 200 };

struct porch_analyst_client {
    pthread_mutex_t lock;
    int fd;              /* -1: none */
    uint64_t generation; /* counts the analysts attached */
    void (*on_attach)(void *ctx);
    void *on_attach_ctx;
};

porch_err porch_analyst_client_new(porch_analyst_client **ret, porch_why *why) {
    porch_analyst_client *c = calloc(1, sizeof *c);
    if (c == NULL) return porch_fail(why, PORCH_ERR_NO_SPACE, "no memory for the analyst's client");
    c->fd = -1;
    (void)pthread_mutex_init(&c->lock, NULL);
    *ret = c;
    return PORCH_OK;
}

void porch_analyst_client_free(porch_analyst_client *c) {
    if (c == NULL) return;
    if (c->fd >= 0) (void)close(c->fd);
    (void)pthread_mutex_destroy(&c->lock);
    free(c);
}

void porch_analyst_client_on_attach(porch_analyst_client *c, void (*fn)(void *ctx), void *ctx) {
    (void)pthread_mutex_lock(&c->lock);
    c->on_attach = fn;
    c->on_attach_ctx = ctx;
    (void)pthread_mutex_unlock(&c->lock);
}

static void set_fd(porch_analyst_client *c, int fd) {
    if (c->fd >= 0) (void)close(c->fd);
    c->fd = fd;
}

void porch_analyst_client_attach(porch_analyst_client *c, int socket_fd) {
    (void)pthread_mutex_lock(&c->lock);
    set_fd(c, socket_fd);
    c->generation++;
    void (*fn)(void *ctx) = c->on_attach;
    void *ctx = c->on_attach_ctx;
    (void)pthread_mutex_unlock(&c->lock);
    if (fn != NULL) fn(ctx);
}

bool porch_analyst_client_attached(porch_analyst_client *c) {
    (void)pthread_mutex_lock(&c->lock);
    bool attached = c->fd >= 0;
    (void)pthread_mutex_unlock(&c->lock);
    return attached;
}

bool porch_analyst_client_alive(porch_analyst_client *c, uint64_t generation) {
    uint8_t byte;
    (void)pthread_mutex_lock(&c->lock);
    if (c->fd >= 0) {
        /* The analyst never writes here: an answer can only be the end. */
        ssize_t n = recv(c->fd, &byte, 1, MSG_PEEK | MSG_DONTWAIT);
        if (n >= 0 || (errno != EAGAIN && errno != EWOULDBLOCK && errno != EINTR)) set_fd(c, -1);
    }
    bool alive = c->fd >= 0 && c->generation == generation;
    (void)pthread_mutex_unlock(&c->lock);
    return alive;
}

void porch_analyst_client_drop(porch_analyst_client *c) {
    (void)pthread_mutex_lock(&c->lock);
    set_fd(c, -1);
    (void)pthread_mutex_unlock(&c->lock);
}

porch_err porch_analyst_client_start(porch_analyst_client *c, const porch_analyst_start *start, int memfd,
                                     int *clip_socket, uint64_t *generation, porch_why *why) {
    uint8_t block[128];
    porch_buf out = PORCH_BUF_OF(block);
    porch_analyst_message m = {.type = PORCH_ANALYST_START, .as.start = *start};
    porch_err e = porch_analyst_write(&out, &m);
    if (e != PORCH_OK) return porch_fail(why, e, "the analyst's limits are out of range");
    int pair[2];
    PORCH_TRY(porch_channel_pair(pair, why));

    (void)pthread_mutex_lock(&c->lock);
    if (c->fd < 0) {
        e = porch_fail(why, PORCH_ERR_CHILD, "no analyst is running; the supervisor starts it");
    } else {
        const int fds[2] = {memfd, pair[1]};
        *generation = c->generation;
        e = porch_channel_send(c->fd, porch_buf_bytes(&out), fds, 2, START_WAIT_MS, why);
        if (e != PORCH_OK) {
            set_fd(c, -1);
            e = PORCH_ERR_CHILD;
        }
    }
    (void)pthread_mutex_unlock(&c->lock);

    (void)close(pair[1]);
    if (e != PORCH_OK) {
        (void)close(pair[0]);
        return e;
    }
    *clip_socket = pair[0];
    return PORCH_OK;
}
