/* A thin event loop over epoll: descriptors, timers, one wake-up. One loop belongs to one thread; only
 * porch_loop_wake and porch_loop_stop may be called from others.
 *
 *   turn:  wait ─► ready descriptors ─► due timers ─► wake (if woken) ─► on_turn ─► wait ...
 *
 * Watches and timers live in the caller's memory (a connection embeds its own) and must outlive their
 * membership; nothing is allocated after porch_loop_new. A callback may delete, free or re-add any watch
 * or timer, its own included: a deleted one is not called again, even if it was ready in the same turn. */
#ifndef PORCH_OS_LOOP_H
#define PORCH_OS_LOOP_H

#include <sys/epoll.h>

#include "base/bytes.h"
#include "base/error.h"

typedef struct porch_loop porch_loop;

typedef void (*porch_loop_fd_fn)(void *ctx,
                                 uint32_t events); /* EPOLLIN, EPOLLOUT, EPOLLHUP, EPOLLERR, EPOLLRDHUP */
typedef void (*porch_loop_fn)(void *ctx);

typedef struct {
    int fd; /* -1: not watched */
    uint32_t events;
    porch_loop_fd_fn fn;
    void *ctx;
} porch_loop_watch;

typedef struct porch_loop_timer {
    struct porch_loop_timer *next, **link; /* link NULL: not armed */
    uint64_t due_ms;                       /* porch_loop_now's clock */
    uint32_t slot;
    porch_loop_fn fn;
    void *ctx;
} porch_loop_timer;

porch_err porch_loop_new(porch_loop **ret, porch_why *why);
/* Watches and timers still in it are forgotten, descriptors stay open. */
void porch_loop_free(porch_loop *loop);

/* Watches `fd` for EPOLL* `events` (level-triggered unless EPOLLET is among them). The watch must not be in
 * a loop already; its former content is overwritten. */
porch_err porch_loop_add(porch_loop *loop, porch_loop_watch *watch, int fd, uint32_t events,
                         porch_loop_fd_fn fn, void *ctx);
/* Changes the events; no system call when they are the same. */
porch_err porch_loop_mod(porch_loop *loop, porch_loop_watch *watch, uint32_t events);
/* Before the descriptor is closed. Harmless on a watch with fd -1. */
void porch_loop_del(porch_loop *loop, porch_loop_watch *watch);

/* Monotonic milliseconds, read once a turn. */
uint64_t porch_loop_now(const porch_loop *loop);
/* (Re-)arms a timer that fires once, `after_ms` after porch_loop_now, in a later turn. A timer must be
 * zeroed before its first use. Constant time; at most 2^35 ms (a year) ahead. */
void porch_loop_timer_set(porch_loop *loop, porch_loop_timer *timer, uint64_t after_ms, porch_loop_fn fn,
                          void *ctx);
void porch_loop_timer_clear(porch_loop *loop, porch_loop_timer *timer);

/* Called on the loop's thread some time after porch_loop_wake, once for any number of calls in between. */
void porch_loop_on_wake(porch_loop *loop, porch_loop_fn fn, void *ctx);
/* Called at the end of every turn, before the loop sleeps: the place to flush what the turn produced. */
void porch_loop_on_turn(porch_loop *loop, porch_loop_fn fn, void *ctx);
/* From any thread; async-signal-safe. */
void porch_loop_wake(porch_loop *loop);
void porch_loop_stop(porch_loop *loop);

/* Turns until porch_loop_stop. */
porch_err porch_loop_run(porch_loop *loop);
/* One turn that sleeps at most `most_ms` (-1: until something happens). */
porch_err porch_loop_turn(porch_loop *loop, int most_ms);

#endif
