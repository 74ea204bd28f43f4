#include "wish.h"

#include <poll.h>
#include <pthread.h>
#include <stdlib.h>
#include <sys/eventfd.h>
#include <unistd.h>

struct porch_camera_wishes {
    pthread_mutex_t lock;
    porch_camera_wish newest;
    bool untaken;
    int wake_fd;
};

static bool good_zone(const int32_t z[4]) {
    for (size_t i = 0; i < 4; i++)
        if (z[i] < 0 || z[i] > PORCH_CAMERA_ONE) return false;
    return z[2] > 0 && z[3] > 0 && z[0] + z[2] <= PORCH_CAMERA_ONE && z[1] + z[3] <= PORCH_CAMERA_ONE;
}

porch_camera_wish porch_camera_wish_read(const porch_twin_desired *desired) {
    porch_camera_wish w = {.version = porch_twin_version(desired)};
    size_t numbers = 0, good = 0;
    (void)porch_twin_bool(desired, "privacy", &w.privacy);
    if (!porch_twin_list(desired, "ignore", &w.zones[0][0], sizeof w.zones / sizeof(int32_t), &numbers))
        return w;
    for (size_t i = 0; i < numbers / 4; i++)
        good += good_zone(w.zones[i]);
    w.zone_count = numbers % 4 == 0 && good == numbers / 4 ? good : 0;
    return w;
}

porch_camera_wishes *porch_camera_wishes_new(void) {
    porch_camera_wishes *w = calloc(1, sizeof *w);
    if (!w) return NULL;
    (void)pthread_mutex_init(&w->lock, NULL);
    w->wake_fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
    if (w->wake_fd >= 0) return w;
    porch_camera_wishes_free(w);
    return NULL;
}

void porch_camera_wishes_free(porch_camera_wishes *w) {
    if (!w) return;
    if (w->wake_fd >= 0) (void)close(w->wake_fd);
    (void)pthread_mutex_destroy(&w->lock);
    free(w);
}

void porch_camera_wishes_hear(void *wishes, const porch_twin_desired *desired) {
    porch_camera_wishes *w = wishes;
    porch_camera_wish heard = porch_camera_wish_read(desired);
    (void)pthread_mutex_lock(&w->lock);
    w->newest = heard;
    w->untaken = true;
    (void)pthread_mutex_unlock(&w->lock);
    porch_camera_wishes_wake(w);
}

bool porch_camera_wishes_take(porch_camera_wishes *w, porch_camera_wish *ret) {
    (void)pthread_mutex_lock(&w->lock);
    bool there = w->untaken;
    w->untaken = false;
    if (there) *ret = w->newest;
    (void)pthread_mutex_unlock(&w->lock);
    return there;
}

bool porch_camera_wishes_private(porch_camera_wishes *w) {
    (void)pthread_mutex_lock(&w->lock);
    bool private = w->newest.privacy;
    (void)pthread_mutex_unlock(&w->lock);
    return private;
}

void porch_camera_wishes_wait(porch_camera_wishes *w, uint64_t most_ms) {
    struct pollfd p = {.fd = w->wake_fd, .events = POLLIN};
    uint64_t drop;
    (void)poll(&p, 1, most_ms > 3600000 ? -1 : (int)most_ms);
    ssize_t n = read(w->wake_fd, &drop, sizeof drop);
    (void)n; /* nothing there: the time is over */
}

void porch_camera_wishes_wake(porch_camera_wishes *w) {
    uint64_t one = 1;
    ssize_t n = write(w->wake_fd, &one, sizeof one);
    (void)n; /* full means that it is awake anyway */
}
