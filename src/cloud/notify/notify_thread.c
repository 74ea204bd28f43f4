#include "cloud/notify/notify_room.h"

#include <errno.h>

#include "os/clock.h"
#include "os/log.h"

porch_err porch_notify_thread_init(porch_notify_thread *t) {
    pthread_condattr_t monotonic;
    if (pthread_condattr_init(&monotonic) != 0) return PORCH_ERR_BUSY;
    pthread_condattr_setclock(&monotonic, CLOCK_MONOTONIC);
    pthread_mutex_init(&t->lock, NULL);
    pthread_cond_init(&t->wake, &monotonic);
    pthread_condattr_destroy(&monotonic);
    return PORCH_OK;
}

porch_err porch_notify_thread_start(porch_notify_thread *t, void *(*fn)(void *), void *ctx) {
    if (pthread_create(&t->thread, NULL, fn, ctx) != 0) return PORCH_ERR_BUSY;
    t->started = true;
    return PORCH_OK;
}

bool porch_notify_thread_wait(porch_notify_thread *t, uint64_t wait_ms) {
    enum { LONGEST_MS = 3600000 };
    uint64_t ms = wait_ms < LONGEST_MS ? wait_ms : LONGEST_MS;
    const struct timespec until = porch_clock_mono_after(ms * 1000000);
    pthread_mutex_lock(&t->lock);
    while (!t->woken && !t->stop)
        if (pthread_cond_timedwait(&t->wake, &t->lock, &until) == ETIMEDOUT) break;
    t->woken = false;
    bool go_on = !t->stop;
    pthread_mutex_unlock(&t->lock);
    return go_on;
}

void porch_notify_thread_wake(porch_notify_thread *t) {
    pthread_mutex_lock(&t->lock);
    t->woken = true;
    pthread_cond_signal(&t->wake);
    pthread_mutex_unlock(&t->lock);
}

void porch_notify_thread_work(porch_notify_thread *t, porch_notify *n, porch_notify_one_fn one,
                              const char *stuck) {
    uint64_t wait_ms = 0;
    do {
        porch_why why = {""};
        porch_err e = one(n, &wait_ms, &why);
        if (e == PORCH_OK) continue;
        porch_log(PORCH_LOG_ERROR, stuck, "error", porch_err_name(e), "reason", porch_why_text(&why, e),
                  NULL);
        wait_ms = n->config.settings->notify_retry_first_ms;
    } while (porch_notify_thread_wait(t, wait_ms));
}

void porch_notify_thread_end(porch_notify_thread *t) {
    pthread_mutex_lock(&t->lock);
    t->stop = true;
    pthread_cond_signal(&t->wake);
    pthread_mutex_unlock(&t->lock);
    if (t->started) pthread_join(t->thread, NULL);
    t->started = false;
}

void porch_notify_thread_free(porch_notify_thread *t) {
    pthread_cond_destroy(&t->wake);
    pthread_mutex_destroy(&t->lock);
}
