/* The uploads' side: bytes go into a memfd that the analyst's child reads. The seals keep a child that a
 * clip has taken over from writing to it or changing its size; the hub writes through its own mapping.
 *
 * media.analysis_memory_bytes is shared by what is really there, not by how long a clip might become:
 *
 *      backlog    each clip whole, from the start
 *      live       bytes as they arrive; of one device at most media.clip_bytes
 *      either     leaves the other room for one longest clip (media.clip_bytes), or half
 *
 * A live clip whose next bytes do not fit is let go: it is the backlog's once it is complete. A device
 * feeds one clip, the one it began last, beside at most one that has ended and is still looked at. */
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

static void drop_memory(media_feed *job) {
    if (job->map != NULL) (void)munmap(job->map, job->size);
    if (job->memfd >= 0) (void)close(job->memfd);
    job->map = NULL;
    job->memfd = -1;
    job->used_bytes = 0;
}

static void job_free(media_feed *job) {
    drop_memory(job);
    if (job->socket >= 0) (void)close(job->socket);
    porch_media_file_close(job->index);
    free(job);
}

/* May the job have `bytes` in memory, in all? Lock held. */
static bool fits(const media_feed *job, uint64_t bytes) {
    const porch_settings *s = job->analysis->media->config.settings;
    uint64_t most = s->media_analysis_memory_bytes, longest = s->media_clip_bytes;
    uint64_t all = 0, kind = 0, device = 0;
    for (const media_feed *j = job->analysis->jobs; j != NULL; j = j->next) {
        if (j == job) continue;
        all += j->used_bytes;
        if (j->live == job->live) kind += j->used_bytes;
        if (j->live && strcmp(j->owner.device, job->owner.device) == 0) device += j->used_bytes;
    }
    uint64_t kind_most = most - (longest < most / 2 ? longest : most / 2);
    if (bytes > most || all > most - bytes) return false;
    if (!job->live) return kind == 0 || kind + bytes <= kind_most;
    return kind + bytes <= kind_most && device + bytes <= longest;
}

media_feed *porch_media_job_add(media_analysis *a, const porch_media_clip_info *clip, uint64_t size,
                                bool live) {
    size_t jobs = 0, most = live ? PORCH_MEDIA_LIVE_MOST : PORCH_MEDIA_JOBS_MOST;
    media_feed **end = &a->jobs;
    for (; *end != NULL; end = &(*end)->next)
        jobs++;
    if (size == 0 || jobs >= most) return NULL;
    media_feed *job = calloc(1, sizeof *job);
    if (job == NULL) return NULL;
    job->analysis = a;
    memcpy(job->clip, clip->id, sizeof job->clip);
    memcpy(job->event, clip->event, sizeof job->event);
    job->owner = clip->owner;
    job->created_ms = clip->created_ms;
    job->size = size;
    job->live = live;
    job->memfd = -1;
    job->socket = -1;
    job->last_byte_mono_ms = porch_clock_mono_ms();
    job->used_bytes = live ? 0 : size;
    if (!fits(job, job->used_bytes) || !make_memory(job)) {
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
    if (job->held) {
        drop_memory(job);
    } else {
        job_free(job);
    }
}

/* Lets go of what the device fed until now. False: it feeds a later clip, or has more than one that ended
 * and is still looked at. A clip that is sent after an outage must not displace what the camera sees now.
 */
static bool displace(media_analysis *a, const porch_media_clip_info *clip) {
    size_t ended = 0;
    for (const media_feed *j = a->jobs; j != NULL; j = j->next) {
        if (!j->live || j->cancelled || strcmp(j->owner.device, clip->owner.device) != 0) continue;
        if (!j->complete && j->created_ms > clip->created_ms) return false;
        if (j->complete && ++ended > 1) return false;
    }
    for (media_feed *j = a->jobs; j != NULL; j = j->next) {
        if (j->live && !j->complete && strcmp(j->owner.device, clip->owner.device) == 0)
            j->cancelled = true;
    }
    return true;
}

media_feed *porch_media_feed_open(porch_media *m, const porch_media_clip_info *clip) {
    media_analysis *a = m->analysis;
    if (a == NULL) return NULL;
    (void)pthread_mutex_lock(&a->lock);
    media_feed *job = a->jobs;
    while (job != NULL && (job->cancelled || strcmp(job->clip, clip->id) != 0))
        job = job->next;
    if (job == NULL && displace(a, clip)) {
        job = porch_media_job_add(a, clip, m->config.settings->media_clip_bytes, true);
    } else if (job != NULL && (job->held || job->complete)) {
        job = NULL;
    }
    if (job != NULL) job->held = true;
    (void)pthread_mutex_unlock(&a->lock);
    return job;
}

/* Counts the bytes before they are written, and until they are the scheduler leaves the memory where it is.
 * False when there is nothing to write, or nowhere to write it. */
static bool take_room(media_feed *f, uint64_t offset, size_t len) {
    bool wanted, taken = false;
    (void)pthread_mutex_lock(&f->analysis->lock);
    wanted = f->map != NULL && !f->cancelled && offset <= f->have && len <= f->size &&
             offset <= f->size - len && offset + len > f->have;
    if (wanted) taken = fits(f, offset + len);
    if (taken) f->used_bytes = offset + len;
    if (wanted && !taken) f->cancelled = true;
    (void)pthread_mutex_unlock(&f->analysis->lock);
    if (wanted && !taken) porch_media_analysis_poke(f->analysis);
    return taken;
}

void porch_media_feed_bytes(media_feed *f, uint64_t offset, porch_bytes bytes) {
    if (f == NULL || !take_room(f, offset, bytes.len)) return;
    size_t known = (size_t)(f->have - offset); /* held: nobody else changes these */
    memcpy(f->map + f->have, bytes.at + known, bytes.len - known);
    media_analysis *a = f->analysis;
    (void)pthread_mutex_lock(&a->lock);
    f->have = f->used_bytes;
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
    bool stub = f->map == NULL;
    f->held = false;
    f->complete = f->complete || complete;
    f->cancelled = f->cancelled || cancelled;
    a->look_backlog = a->look_backlog || complete;
    (void)pthread_mutex_unlock(&a->lock);
    if (stub) job_free(f);
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
