/* The uploads' side: bytes go into a memfd that the analyst's child reads. The seals keep a child that a
 * clip has taken over from writing to it or changing its size; the hub writes through its own mapping. */
#include "cloud/media/media_job.h"

#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>
#include <sys/mman.h>
#include <unistd.h>

#include "os/clock.h"

void porch_media_analysis_poke(media_analysis *a) {
    uint64_t one = 1;
    ssize_t n = write(a->wake_fd, &one, sizeof one);
    (void)n; /* full means that it is awake anyway */
}

static bool make_memory(media_feed *job) {
    job->memfd = memfd_create("clip", MFD_CLOEXEC | MFD_ALLOW_SEALING);
    if (job->memfd < 0 || ftruncate(job->memfd, (off_t)job->size) != 0) return false;
    void *map = mmap(NULL, job->size, PROT_READ | PROT_WRITE, MAP_SHARED, job->memfd, 0);
    if (map == MAP_FAILED) return false;
    job->map = map;
    return fcntl(job->memfd, F_ADD_SEALS,
                 F_SEAL_SHRINK | F_SEAL_GROW | F_SEAL_FUTURE_WRITE | F_SEAL_SEAL) == 0;
}

static void job_free(media_feed *job) {
    if (job->map != NULL) (void)munmap(job->map, job->size);
    if (job->memfd >= 0) (void)close(job->memfd);
    if (job->socket >= 0) (void)close(job->socket);
    porch_media_file_close(job->index);
    free(job);
}

media_feed *porch_media_job_add(media_analysis *a, const char *clip, const char *event,
                                const porch_media_owner *owner, uint64_t size, bool live) {
    uint64_t used = 0, most = a->media->config.settings->media_analysis_memory_bytes;
    media_feed **end = &a->jobs;
    for (; *end != NULL; end = &(*end)->next)
        used += (*end)->size;
    if (size == 0 || used > most || size > most - used) return NULL;
    media_feed *job = calloc(1, sizeof *job);
    if (job == NULL) return NULL;
    job->analysis = a;
    memcpy(job->clip, clip, sizeof job->clip);
    memcpy(job->event, event, sizeof job->event);
    job->owner = *owner;
    job->size = size;
    job->live = live;
    job->socket = -1;
    job->last_byte_mono_ms = porch_clock_mono_ms();
    if (!make_memory(job)) {
        job_free(job);
        return NULL;
    }
    *end = job;
    return job;
}

void porch_media_job_remove(media_analysis *a, media_feed *job) {
    media_feed **at = &a->jobs;
    while (*at != NULL && *at != job)
        at = &(*at)->next;
    if (*at != NULL) *at = (*at)->next;
    job_free(job);
}

media_feed *porch_media_feed_open(porch_media *m, const char *clip, const char *event,
                                  const porch_media_owner *owner) {
    media_analysis *a = m->analysis;
    if (a == NULL) return NULL;
    (void)pthread_mutex_lock(&a->lock);
    media_feed *job = a->jobs;
    while (job != NULL && (job->cancelled || strcmp(job->clip, clip) != 0))
        job = job->next;
    if (job == NULL) {
        job = porch_media_job_add(a, clip, event, owner, m->config.settings->media_clip_bytes, true);
    } else if (job->held || job->complete) {
        job = NULL;
    }
    if (job != NULL) job->held = true;
    (void)pthread_mutex_unlock(&a->lock);
    return job;
}

void porch_media_feed_bytes(media_feed *f, uint64_t offset, porch_bytes bytes) {
    if (f == NULL || f->cancelled) return; /* held: nobody else changes these */
    uint64_t have = f->have;
    if (offset > have || bytes.len > f->size || offset > f->size - bytes.len) return;
    if (offset + bytes.len <= have) return;
    size_t known = (size_t)(have - offset);
    memcpy(f->map + have, bytes.at + known, bytes.len - known);
    media_analysis *a = f->analysis;
    (void)pthread_mutex_lock(&a->lock);
    f->have = offset + bytes.len;
    f->last_byte_mono_ms = porch_clock_mono_ms();
    (void)pthread_mutex_unlock(&a->lock);
    porch_media_analysis_poke(a);
}

void porch_media_feed_first_byte(media_feed *f, uint64_t at_ms) {
    if (f == NULL) return;
    (void)pthread_mutex_lock(&f->analysis->lock);
    if (f->first_byte_ms == 0) f->first_byte_ms = at_ms;
    (void)pthread_mutex_unlock(&f->analysis->lock);
}

/* After this the job may be gone. */
static void give_back(media_feed *f, bool complete, bool cancelled) {
    media_analysis *a = f->analysis;
    (void)pthread_mutex_lock(&a->lock);
    f->held = false;
    f->complete = f->complete || complete;
    f->cancelled = f->cancelled || cancelled;
    a->look_backlog = a->look_backlog || complete;
    (void)pthread_mutex_unlock(&a->lock);
    porch_media_analysis_poke(a);
}

void porch_media_feed_complete(media_feed *f, uint64_t bytes) {
    if (f != NULL) give_back(f, f->have == bytes, f->have != bytes);
}

void porch_media_feed_pause(media_feed *f) {
    if (f != NULL) give_back(f, false, false);
}

void porch_media_feed_cancel(media_feed *f) {
    if (f != NULL) give_back(f, false, true);
}

void porch_media_feed_forget(porch_media *m, const char *clip) {
    media_analysis *a = m->analysis;
    if (a == NULL) return;
    (void)pthread_mutex_lock(&a->lock);
    for (media_feed *job = a->jobs; job != NULL; job = job->next)
        if (strcmp(job->clip, clip) == 0) job->cancelled = true;
    (void)pthread_mutex_unlock(&a->lock);
    porch_media_analysis_poke(a);
}

void porch_media_analysis_wake(porch_media *m) {
    media_analysis *a = m->analysis;
    if (a == NULL) return;
    (void)pthread_mutex_lock(&a->lock);
    a->look_backlog = true;
    (void)pthread_mutex_unlock(&a->lock);
    porch_media_analysis_poke(a);
}
