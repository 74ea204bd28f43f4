#include "cloud/listener/workers.h"

#include <pthread.h>
#include <stdlib.h>
#include <string.h>

struct porch_workers {
    pthread_mutex_t lock;
    pthread_cond_t work;
    porch_job *first, **last;
    unsigned waiting, waiting_most;
    unsigned threads, running;
    bool stopping;
    pthread_t thread[];
};

porch_workers *porch_workers_new(unsigned threads, unsigned waiting_most) {
    porch_workers *w = calloc(1, sizeof *w + threads * sizeof w->thread[0]);
    if (w == NULL) return NULL;
    pthread_mutex_init(&w->lock, NULL);
    pthread_cond_init(&w->work, NULL);
    w->last = &w->first;
    w->threads = threads;
    w->waiting_most = waiting_most;
    return w;
}

static void *work(void *arg) {
    porch_workers *w = arg;
    (void)pthread_setname_np(pthread_self(), "worker"); /* another thread's name is beyond the sandbox */
    pthread_mutex_lock(&w->lock);
    for (;;) {
        while (w->first == NULL && !w->stopping)
            pthread_cond_wait(&w->work, &w->lock);
        porch_job *job = w->first;
        if (job == NULL) break;
        w->first = job->next;
        if (w->first == NULL) w->last = &w->first;
        w->waiting--;
        pthread_mutex_unlock(&w->lock);
        job->run(job);
        pthread_mutex_lock(&w->lock);
    }
    pthread_mutex_unlock(&w->lock);
    return NULL;
}

porch_err porch_workers_start(porch_workers *w, porch_why *why) {
    for (; w->running < w->threads; w->running++) {
        int e = pthread_create(&w->thread[w->running], NULL, work, w);
        if (e != 0) return porch_fail(why, PORCH_ERR_IO, "a worker thread cannot start: %s", strerror(e));
    }
    return PORCH_OK;
}

porch_err porch_workers_submit(porch_workers *w, porch_job *job, bool must) {
    porch_err e = PORCH_OK;
    pthread_mutex_lock(&w->lock);
    if (!must && w->waiting >= w->waiting_most) {
        e = PORCH_ERR_BUSY;
    } else {
        job->next = NULL;
        *w->last = job;
        w->last = &job->next;
        w->waiting++;
        pthread_cond_signal(&w->work);
    }
    pthread_mutex_unlock(&w->lock);
    return e;
}

void porch_workers_stop(porch_workers *w) {
    pthread_mutex_lock(&w->lock);
    w->stopping = true;
    pthread_cond_broadcast(&w->work);
    pthread_mutex_unlock(&w->lock);
    while (w->running > 0)
        pthread_join(w->thread[--w->running], NULL);
}

void porch_workers_free(porch_workers *w) {
    if (w == NULL) return;
    pthread_cond_destroy(&w->work);
    pthread_mutex_destroy(&w->lock);
    free(w);
}
