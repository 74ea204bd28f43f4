#include "os/call.h"

#include <pthread.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

#include "os/channel.h"
#include "os/clock.h"

struct porch_call {
    const char *helper;
    uint32_t away_wait_ms;
    pthread_mutex_t turn;  /* held for a whole call: one at a time */
    pthread_mutex_t state; /* guards what follows; held briefly */
    pthread_cond_t came;   /* a socket was attached */
    int fd;                /* -1 while the helper is away */
    int next_fd;           /* attached while `fd` was in use; the call under way changes over */
    bool in_use;
    uint32_t number;
};

/* ---- how messages begin ---- */

porch_err porch_call_request_write(porch_buf *out, uint32_t number, uint8_t version) {
    PORCH_TRY(porch_write_u32(out, number));
    return porch_write_u8(out, version);
}

porch_err porch_call_request_read(porch_reader *r, uint8_t version, uint32_t *number) {
    uint8_t theirs = 0;
    PORCH_TRY(porch_read_u32(r, number));
    PORCH_TRY(porch_read_u8(r, &theirs));
    return theirs == version ? PORCH_OK : PORCH_ERR_UNSUPPORTED;
}

porch_err porch_call_answer_write(porch_buf *out, uint32_t number, uint8_t version, porch_err error) {
    PORCH_TRY(porch_call_request_write(out, number, version));
    return porch_write_u8(out, (uint8_t)error);
}

porch_err porch_call_answer_read(porch_reader *r, uint8_t version, uint32_t *number, porch_err *error) {
    uint8_t value = 0;
    PORCH_TRY(porch_call_request_read(r, version, number));
    PORCH_TRY(porch_read_u8(r, &value));
    if (value >= PORCH_ERR_COUNT) return PORCH_ERR_MALFORMED;
    *error = (porch_err)value;
    return PORCH_OK;
}

/* ---- calls ---- */

porch_call *porch_call_new(const char *helper, uint32_t away_wait_ms) {
    porch_call *c = calloc(1, sizeof *c);
    if (!c) return NULL;
    pthread_condattr_t monotonic;
    c->helper = helper;
    c->away_wait_ms = away_wait_ms;
    c->fd = -1;
    c->next_fd = -1;
    pthread_condattr_init(&monotonic);
    pthread_condattr_setclock(&monotonic, CLOCK_MONOTONIC);
    pthread_cond_init(&c->came, &monotonic);
    pthread_condattr_destroy(&monotonic);
    pthread_mutex_init(&c->turn, NULL);
    pthread_mutex_init(&c->state, NULL);
    return c;
}

static void close_fd(int *fd) {
    if (*fd >= 0) close(*fd);
    *fd = -1;
}

void porch_call_free(porch_call *c) {
    if (!c) return;
    close_fd(&c->fd);
    close_fd(&c->next_fd);
    pthread_cond_destroy(&c->came);
    pthread_mutex_destroy(&c->turn);
    pthread_mutex_destroy(&c->state);
    free(c);
}

void porch_call_attach(porch_call *c, int fd) {
    pthread_mutex_lock(&c->state);
    if (c->in_use) {
        close_fd(&c->next_fd);
        c->next_fd = fd;
        /* Wakes the call that waits for an answer of the dead helper; it changes over by itself. */
        shutdown(c->fd, SHUT_RDWR);
    } else {
        close_fd(&c->fd);
        c->fd = fd;
    }
    pthread_cond_broadcast(&c->came);
    pthread_mutex_unlock(&c->state);
}

bool porch_call_attached(porch_call *c) {
    pthread_mutex_lock(&c->state);
    bool attached = c->fd >= 0 || c->next_fd >= 0;
    pthread_mutex_unlock(&c->state);
    return attached;
}

/* Waits for a socket and marks it in use. */
static porch_err borrow(porch_call *c, const struct timespec *deadline, int *ret, porch_why *why) {
    porch_err e = PORCH_OK;
    pthread_mutex_lock(&c->state);
    while (c->fd < 0 && e == PORCH_OK)
        if (pthread_cond_timedwait(&c->came, &c->state, deadline) != 0 && c->fd < 0)
            e = porch_fail(why, PORCH_ERR_CHILD,
                           "the %s is away and has not come back yet; try again shortly", c->helper);
    if (e == PORCH_OK) {
        c->in_use = true;
        *ret = c->fd;
    }
    pthread_mutex_unlock(&c->state);
    return e;
}

static void give_back(porch_call *c, bool dead) {
    pthread_mutex_lock(&c->state);
    c->in_use = false;
    if (dead || c->next_fd >= 0) close_fd(&c->fd);
    if (c->next_fd >= 0) {
        c->fd = c->next_fd;
        c->next_fd = -1;
    }
    pthread_mutex_unlock(&c->state);
}

static int rest_ms(uint64_t until_ms) {
    uint64_t now = porch_clock_mono_ms();
    return now < until_ms ? (int)(until_ms - now) : 0;
}

/* One exchange on one socket; answers to other calls are dropped. */
static porch_err exchange(int fd, uint32_t number, porch_bytes request, uint64_t until_ms,
                          porch_buf *answer, porch_why *why) {
    PORCH_TRY(porch_channel_send(fd, request, NULL, 0, rest_ms(until_ms), why));
    for (;;) {
        size_t no_fds = 0;
        answer->len = 0;
        PORCH_TRY(porch_channel_receive(fd, answer, NULL, 0, &no_fds, rest_ms(until_ms), why));
        porch_reader r = porch_reader_of(porch_buf_bytes(answer));
        uint32_t answers = 0;
        if (porch_read_u32(&r, &answers) == PORCH_OK && answers == number) return PORCH_OK;
    }
}

porch_err porch_call_do(porch_call *c, porch_buf *request, bool repeat, uint32_t timeout_ms,
                        porch_buf *answer, porch_why *why) {
    if (request->len < PORCH_CALL_NUMBER_BYTES)
        return porch_fail(why, PORCH_ERR_INTERNAL, "a call without a number");
    pthread_mutex_lock(&c->turn);
    struct timespec away_until = porch_clock_mono_after((uint64_t)c->away_wait_ms * 1000000);
    porch_err e = PORCH_OK;
    for (int attempt = 0;; attempt++) {
        int fd = -1;
        e = borrow(c, &away_until, &fd, why);
        if (e != PORCH_OK) break;
        uint32_t number = ++c->number;
        porch_buf head = {request->at, 0, PORCH_CALL_NUMBER_BYTES};
        (void)porch_write_u32(&head, number);
        e = exchange(fd, number, porch_buf_bytes(request), porch_clock_mono_ms() + timeout_ms, answer, why);
        bool dead = e != PORCH_OK && e != PORCH_ERR_TIMEOUT && e != PORCH_ERR_LIMIT;
        give_back(c, dead);
        if (!dead) break;
        e = porch_fail(why, PORCH_ERR_CHILD, "the %s went away during the call; try again", c->helper);
        if (!repeat || attempt > 0) break;
    }
    pthread_mutex_unlock(&c->turn);
    if (e != PORCH_OK) answer->len = 0;
    return e;
}
