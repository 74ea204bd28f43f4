#include "os/fair_lock.h"

void porch_fair_lock_init(porch_fair_lock *l) {
    (void)pthread_mutex_init(&l->lock, NULL);
    (void)pthread_cond_init(&l->next, NULL);
    l->asked = l->served = 0;
}

void porch_fair_lock_destroy(porch_fair_lock *l) {
    (void)pthread_cond_destroy(&l->next);
    (void)pthread_mutex_destroy(&l->lock);
}

void porch_fair_lock_take(porch_fair_lock *l) {
    (void)pthread_mutex_lock(&l->lock);
    uint64_t mine = l->asked++;
    while (l->served != mine)
        (void)pthread_cond_wait(&l->next, &l->lock);
    (void)pthread_mutex_unlock(&l->lock);
}

void porch_fair_lock_give(porch_fair_lock *l) {
    (void)pthread_mutex_lock(&l->lock);
    l->served++;
    (void)pthread_cond_broadcast(&l->next);
    (void)pthread_mutex_unlock(&l->lock);
}

size_t porch_fair_lock_waiting(porch_fair_lock *l) {
    (void)pthread_mutex_lock(&l->lock);
    uint64_t inside = l->asked - l->served;
    (void)pthread_mutex_unlock(&l->lock);
    return inside > 0 ? (size_t)(inside - 1) : 0;
}
