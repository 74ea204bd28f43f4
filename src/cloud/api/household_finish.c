#include "cloud/api/household_finish.h"

#include <errno.h>
#include <pthread.h>
#include <stdlib.h>

#include "os/clock.h"
#include "os/log.h"

enum { LOOK_MS = 60000, SCRUB_MS = 5000 };

struct porch_finisher {
    porch_erase_rooms rooms;
    pthread_t thread;
    pthread_mutex_t lock;
    pthread_cond_t wake;
    bool stop;
};

/* False: the hub stops. */
static bool await_look(porch_finisher *f) {
    const struct timespec until = porch_clock_mono_after(LOOK_MS * UINT64_C(1000000));
    (void)pthread_mutex_lock(&f->lock);
    while (!f->stop)
        if (pthread_cond_timedwait(&f->wake, &f->lock, &until) == ETIMEDOUT) break;
    bool go_on = !f->stop;
    (void)pthread_mutex_unlock(&f->lock);
    return go_on;
}

static void *run(void *ctx) {
    porch_finisher *f = ctx;
    /* One that broke off as its last step has left what it erased in the log alone. */
    (void)porch_store_scrub(f->rooms.store, SCRUB_MS, NULL);
    do {
        porch_why why = {{0}};
        porch_err e = porch_household_erase_rest(&f->rooms, &why);
        if (e != PORCH_OK && e != PORCH_ERR_CLOSED)
            porch_log(PORCH_LOG_WARN, "household.unfinished", "reason", porch_why_text(&why, e), "hint",
                      "an erasure broke off; the hub tries again in a minute", NULL);
    } while (await_look(f));
    return NULL;
}

porch_err porch_finisher_start(const porch_erase_rooms *rooms, porch_finisher **ret, porch_why *why) {
    pthread_condattr_t monotonic;
    porch_finisher *f = calloc(1, sizeof *f);
    if (f == NULL) return porch_fail(why, PORCH_ERR_NO_SPACE, "no memory to finish erasures");
    f->rooms = *rooms;
    (void)pthread_mutex_init(&f->lock, NULL);
    (void)pthread_condattr_init(&monotonic);
    (void)pthread_condattr_setclock(&monotonic, CLOCK_MONOTONIC);
    (void)pthread_cond_init(&f->wake, &monotonic);
    (void)pthread_condattr_destroy(&monotonic);
    if (pthread_create(&f->thread, NULL, run, f) != 0) {
        free(f);
        return porch_fail(why, PORCH_ERR_BUSY, "no thread to finish erasures");
    }
    *ret = f;
    return PORCH_OK;
}

void porch_finisher_stop(porch_finisher *f) {
    if (f == NULL) return;
    (void)pthread_mutex_lock(&f->lock);
    f->stop = true;
    (void)pthread_cond_signal(&f->wake);
    (void)pthread_mutex_unlock(&f->lock);
    (void)pthread_join(f->thread, NULL);
    (void)pthread_cond_destroy(&f->wake);
    (void)pthread_mutex_destroy(&f->lock);
    free(f);
}
