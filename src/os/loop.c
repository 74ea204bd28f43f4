/* epoll, an eventfd, and a timer wheel of six levels of 64 slots.
 *
 * A timer's level is the place of the highest group of six bits in which its due time differs from the
 * time the wheel has reached; its slot is that group's value. So all timers of a lower level come due
 * before any of a higher one, the next moment of interest is found by six bit scans, and a slot of a higher
 * level, when reached, is dealt out to the levels below. Setting and clearing take constant time. */
#include "os/loop.h"

#include <errno.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>
#include <unistd.h>

#include "os/clock.h"

enum { LEVEL_BITS = 6, SLOTS = 1 << LEVEL_BITS, LEVELS = 6, DUE_SLOT = LEVELS * SLOTS, BATCH = 256 };

#define LONGEST_MS ((UINT64_C(1) << (LEVEL_BITS * LEVELS - 1)) - 1)

struct porch_loop {
    int epoll_fd;
    porch_loop_watch wake_watch;
    atomic_bool stop;
    porch_loop_fn on_wake, on_turn;
    void *on_wake_ctx, *on_turn_ctx;
    bool woken;
    uint64_t now_ms;   /* the clock at this turn */
    uint64_t wheel_ms; /* how far the wheel has turned: nothing at or before it is still in a slot */
    uint64_t occupied[LEVELS];
    porch_loop_timer *slot[LEVELS * SLOTS + 1]; /* the last one holds what is being fired */
    struct epoll_event batch[BATCH];
    int batch_at, batch_len;
};

static void on_wake_fd(void *ctx, uint32_t events) {
    (void)events;
    porch_loop *loop = ctx;
    uint64_t count;
    while (read(loop->wake_watch.fd, &count, sizeof count) < 0 && errno == EINTR) {
    }
    loop->woken = true;
}

porch_err porch_loop_new(porch_loop **ret, porch_why *why) {
    porch_loop *loop = calloc(1, sizeof *loop);
    if (loop == NULL) return porch_fail(why, PORCH_ERR_NO_SPACE, "no memory for a loop");
    loop->wake_watch.fd = -1;
    loop->epoll_fd = epoll_create1(EPOLL_CLOEXEC);
    int wake_fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
    porch_err e = PORCH_ERR_IO;
    if (loop->epoll_fd >= 0 && wake_fd >= 0)
        e = porch_loop_add(loop, &loop->wake_watch, wake_fd, EPOLLIN, on_wake_fd, loop);
    if (e != PORCH_OK) {
        e = porch_fail(why, e, "epoll: %s", strerror(errno));
        if (wake_fd >= 0) close(wake_fd);
        if (loop->epoll_fd >= 0) close(loop->epoll_fd);
        free(loop);
        return e;
    }
    loop->now_ms = loop->wheel_ms = porch_clock_mono_ms();
    *ret = loop;
    return PORCH_OK;
}

void porch_loop_free(porch_loop *loop) {
    if (loop == NULL) return;
    close(loop->wake_watch.fd);
    close(loop->epoll_fd);
    free(loop);
}

/* Descriptors. */

porch_err porch_loop_add(porch_loop *loop, porch_loop_watch *watch, int fd, uint32_t events,
                         porch_loop_fd_fn fn, void *ctx) {
    struct epoll_event ev = {.events = events, .data.ptr = watch};
    if (epoll_ctl(loop->epoll_fd, EPOLL_CTL_ADD, fd, &ev) < 0) return PORCH_ERR_IO;
    *watch = (porch_loop_watch){fd, events, fn, ctx};
    return PORCH_OK;
}

porch_err porch_loop_mod(porch_loop *loop, porch_loop_watch *watch, uint32_t events) {
    if (watch->events == events) return PORCH_OK;
    struct epoll_event ev = {.events = events, .data.ptr = watch};
    if (epoll_ctl(loop->epoll_fd, EPOLL_CTL_MOD, watch->fd, &ev) < 0) return PORCH_ERR_IO;
    watch->events = events;
    return PORCH_OK;
}

void porch_loop_del(porch_loop *loop, porch_loop_watch *watch) {
    if (watch->fd < 0) return;
    (void)epoll_ctl(loop->epoll_fd, EPOLL_CTL_DEL, watch->fd, NULL);
    watch->fd = -1;
    /* It may be ready in the batch at hand: its memory can be gone by the time that entry is reached. */
    for (int i = loop->batch_at; i < loop->batch_len; i++)
        if (loop->batch[i].data.ptr == watch) loop->batch[i].data.ptr = NULL;
}

/* Timers. */

uint64_t porch_loop_now(const porch_loop *loop) {
    return loop->now_ms;
}

static void slot_push(porch_loop *loop, uint32_t slot, porch_loop_timer *t) {
    t->slot = slot;
    t->next = loop->slot[slot];
    t->link = &loop->slot[slot];
    if (t->next != NULL) t->next->link = &t->next;
    loop->slot[slot] = t;
    if (slot < DUE_SLOT) loop->occupied[slot / SLOTS] |= UINT64_C(1) << (slot % SLOTS);
}

static void wheel_insert(porch_loop *loop, porch_loop_timer *t) {
    uint64_t differ = (t->due_ms ^ loop->wheel_ms) | (SLOTS - 1);
    uint32_t level = (uint32_t)(63 - __builtin_clzll(differ)) / LEVEL_BITS;
    if (level >= LEVELS) level = LEVELS - 1;
    uint32_t place = (uint32_t)(t->due_ms >> (level * LEVEL_BITS)) % SLOTS;
    slot_push(loop, level * SLOTS + place, t);
}

void porch_loop_timer_clear(porch_loop *loop, porch_loop_timer *t) {
    if (t->link == NULL) return;
    *t->link = t->next;
    if (t->next != NULL) t->next->link = t->link;
    t->next = NULL;
    t->link = NULL;
    if (t->slot < DUE_SLOT && loop->slot[t->slot] == NULL)
        loop->occupied[t->slot / SLOTS] &= ~(UINT64_C(1) << (t->slot % SLOTS));
}

void porch_loop_timer_set(porch_loop *loop, porch_loop_timer *t, uint64_t after_ms, porch_loop_fn fn,
                          void *ctx) {
    porch_loop_timer_clear(loop, t);
    if (after_ms > LONGEST_MS) after_ms = LONGEST_MS;
    if (after_ms == 0) after_ms = 1; /* a timer that re-arms itself must not hold the turn */
    t->due_ms = loop->now_ms + after_ms;
    t->fn = fn;
    t->ctx = ctx;
    wheel_insert(loop, t);
}

/* The next moment at which a slot must be looked at; UINT64_MAX when the wheel is empty. */
static uint64_t wheel_next(const porch_loop *loop, uint32_t *slot) {
    for (uint32_t level = 0; level < LEVELS; level++) {
        uint64_t taken = loop->occupied[level];
        if (taken == 0) continue;
        uint32_t shift = level * LEVEL_BITS;
        uint32_t here = (uint32_t)(loop->wheel_ms >> shift) % SLOTS;
        uint64_t turned = here == 0 ? taken : (taken >> here) | (taken << (SLOTS - here));
        uint32_t place = (here + (uint32_t)__builtin_ctzll(turned)) % SLOTS;
        uint64_t range = UINT64_C(1) << (shift + LEVEL_BITS);
        uint64_t at = (loop->wheel_ms & ~(range - 1)) + ((uint64_t)place << shift);
        if (at <= loop->wheel_ms) at += range; /* around the top level's end */
        *slot = level * SLOTS + place;
        return at;
    }
    return UINT64_MAX;
}

/* Fires what is due and deals reached slots of higher levels out to lower ones. */
static void wheel_turn(porch_loop *loop) {
    uint32_t slot = 0;
    for (uint64_t at = wheel_next(loop, &slot); at <= loop->now_ms; at = wheel_next(loop, &slot)) {
        loop->wheel_ms = at;
        porch_loop_timer *t;
        while ((t = loop->slot[slot]) != NULL) {
            porch_loop_timer_clear(loop, t);
            if (t->due_ms <= at) {
                slot_push(loop, DUE_SLOT, t);
            } else {
                wheel_insert(loop, t);
            }
        }
        while ((t = loop->slot[DUE_SLOT]) != NULL) {
            porch_loop_timer_clear(loop, t);
            t->fn(t->ctx);
        }
    }
    loop->wheel_ms = loop->now_ms;
}

/* Turning. */

void porch_loop_on_wake(porch_loop *loop, porch_loop_fn fn, void *ctx) {
    loop->on_wake = fn;
    loop->on_wake_ctx = ctx;
}

void porch_loop_on_turn(porch_loop *loop, porch_loop_fn fn, void *ctx) {
    loop->on_turn = fn;
    loop->on_turn_ctx = ctx;
}

void porch_loop_wake(porch_loop *loop) {
    int saved = errno;
    static const uint64_t one = 1;
    while (write(loop->wake_watch.fd, &one, sizeof one) < 0 && errno == EINTR) {
    } /* EAGAIN: the count is full, so it is awake already */
    errno = saved;
}

void porch_loop_stop(porch_loop *loop) {
    atomic_store(&loop->stop, true);
    porch_loop_wake(loop);
}

static int sleep_ms(const porch_loop *loop, int most_ms) {
    uint32_t slot;
    uint64_t at = wheel_next(loop, &slot);
    if (at == UINT64_MAX) return most_ms;
    uint64_t now = porch_clock_mono_ms();
    uint64_t wait = at > now ? at - now : 0;
    if (most_ms >= 0 && wait > (uint64_t)most_ms) return most_ms;
    return wait > 60000 ? 60000 : (int)wait;
}

porch_err porch_loop_turn(porch_loop *loop, int most_ms) {
    int n = epoll_wait(loop->epoll_fd, loop->batch, BATCH, sleep_ms(loop, most_ms));
    if (n < 0 && errno != EINTR) return PORCH_ERR_IO;
    loop->now_ms = porch_clock_mono_ms();
    loop->batch_len = n > 0 ? n : 0;
    for (loop->batch_at = 0; loop->batch_at < loop->batch_len;) {
        const struct epoll_event *ev = &loop->batch[loop->batch_at++];
        const porch_loop_watch *watch = ev->data.ptr;
        if (watch != NULL) watch->fn(watch->ctx, ev->events);
    }
    loop->batch_at = loop->batch_len = 0;
    wheel_turn(loop);
    if (loop->woken) {
        loop->woken = false;
        if (loop->on_wake != NULL) loop->on_wake(loop->on_wake_ctx);
    }
    if (loop->on_turn != NULL) loop->on_turn(loop->on_turn_ctx);
    return PORCH_OK;
}

porch_err porch_loop_run(porch_loop *loop) {
    while (!atomic_exchange(&loop->stop, false))
        PORCH_TRY(porch_loop_turn(loop, -1));
    return PORCH_OK;
}
