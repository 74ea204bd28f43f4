/* The scheduler: one thread that waits for uploads, for the analyst and for time, and never longer than it
 * must for anything else.
 *
 *      wake (bytes, attach, stop) ─┐
 *      clip sockets ───────────────┼─► poll ─► tell HAVE, hear results, judge deadlines ─► launch, backlog
 *      the nearest deadline ───────┘
 *
 * Whose turn it is: a live clip's, since somebody may stand at the door now; of one device one at a time,
 * so that no device has all places. Clips of the backlog take what is free then, but of several places one
 * is for live clips alone. Where these would go on having all, the backlog has the next one that is free,
 * once it was passed over for as long as one analysis may last. So each kind has its turn.
 *
 * Who is to blame when an answer breaks off: if the analyst's own socket is dead too, the process was
 * killed and the clip only waits for the next one; else the clip's child died, and that counts. */
#include "cloud/media/media_analysis.h"

#include <errno.h>
#include <poll.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>
#include <unistd.h>

#include "cloud/media/media_job.h"
#include "os/channel.h"
#include "os/clock.h"
#include "os/log.h"

enum {
    ATTEMPTS_MOST = 2, /* the first and one more */
    RESTARTS_MOST = 8, /* analysts that went away under one clip */
    GRACE_MS = 5000,   /* the child's own alarm comes first */
    AGAIN_MS = 1000,
    BACKLOG_PAUSE_MS = 5000,
    TURN_MOST_MS = 10000,
    HEARD_A_TURN = 64, /* of one clip; then the others have theirs */
    PERSONS_MOST = 2,  /* the first word, and a better picture at the end */
    PIECE = 65536
};

static const porch_settings *settings(const media_analysis *a) {
    return a->media->config.settings;
}

static void log_job(porch_log_level level, const char *what, const media_feed *job, const char *reason) {
    porch_log(level, what, "clip", job->clip, "device", job->owner.device, "reason", reason, NULL);
}

static void count(media_analysis *a, uint64_t *counter) {
    (void)pthread_mutex_lock(&a->lock);
    (*counter)++;
    (void)pthread_mutex_unlock(&a->lock);
}

/* ---- one clip's way through the analyst ---- */

static void part_from_analyst(media_analysis *a, media_feed *job) {
    if (job->socket >= 0) (void)close(job->socket);
    job->socket = -1;
    job->told = 0;
    job->told_complete = false;
    if (job->index != NULL) porch_media_result_index_drop(a->media, job);
    job->index_bad = false;
    job->index_bytes = 0;
    job->begun = false;
    job->persons = 0;
}

/* Not this clip's fault, or not worth a second look now: as if it had never been begun. */
static void set_aside(media_analysis *a, media_feed *job) {
    part_from_analyst(a, job);
    job->done = true;
}

static void give_up(media_analysis *a, media_feed *job, const char *reason) {
    porch_why why = {""};
    part_from_analyst(a, job);
    job->done = true;
    job->attempts++;
    log_job(PORCH_LOG_WARN, "analysis.failed", job, reason);
    count(a, &a->counts.failed);
    porch_err e = porch_media_result_failed(a->media, job->clip, true, reason, &why);
    if (e != PORCH_OK) {
        log_job(PORCH_LOG_WARN, "analysis.not_stored", job, porch_why_text(&why, e));
        a->backlog_not_before_mono_ms = porch_clock_mono_ms() + BACKLOG_PAUSE_MS;
    }
}

/* The child died, hung or spoke nonsense: once more, then never again. */
static void broke(media_analysis *a, media_feed *job, const char *reason) {
    porch_why why = {""};
    if (job->attempts + 1 >= ATTEMPTS_MOST) {
        give_up(a, job, reason);
        return;
    }
    part_from_analyst(a, job);
    job->attempts++;
    log_job(PORCH_LOG_WARN, "analysis.retried", job, reason);
    (void)porch_media_result_failed(a->media, job->clip, false, reason, &why);
}

static void analyst_went(media_analysis *a, media_feed *job) {
    part_from_analyst(a, job);
    if (++job->restarts > RESTARTS_MOST) give_up(a, job, "the analyst process keeps dying");
}

static void hear_end(media_analysis *a, media_feed *job, const porch_analyst_end *end) {
    porch_why why = {""};
    if (end->result == PORCH_ERR_BUSY && !job->begun) {
        part_from_analyst(a, job);
        job->not_before_mono_ms = porch_clock_mono_ms() + AGAIN_MS;
        return;
    }
    if (end->result == PORCH_ERR_MEDIA || end->result == PORCH_ERR_LIMIT) {
        give_up(a, job, end->why[0] != '\0' ? end->why : porch_err_text(end->result));
        return;
    }
    if (end->result != PORCH_OK) {
        broke(a, job, end->why[0] != '\0' ? end->why : porch_err_text(end->result));
        return;
    }
    uint64_t copy =
        porch_media_result_index_finish(a->media, job, end->indexed_bytes) ? end->indexed_bytes : 0;
    porch_err e = porch_media_result_done(a->media, job, copy, &why);
    if (e != PORCH_OK) {
        log_job(PORCH_LOG_WARN, "analysis.not_stored", job, porch_why_text(&why, e));
        a->backlog_not_before_mono_ms = porch_clock_mono_ms() + BACKLOG_PAUSE_MS;
    } else {
        porch_log(PORCH_LOG_INFO, "analysis.done", "clip", job->clip, "device", job->owner.device, "frames",
                  porch_log_number(end->frames).text, "samples", porch_log_number(end->samples).text,
                  "cpu_ms", porch_log_number(end->cpu_ms).text, NULL);
        count(a, &a->counts.done);
    }
    set_aside(a, job);
}

/* Each is a write that the thread waits for. */
static porch_err hear_person(media_analysis *a, media_feed *job, const porch_analyst_person *person,
                             porch_why *why) {
    if (++job->persons <= PERSONS_MOST) return porch_media_result_person(a->media, job, person, why);
    broke(a, job, "the analyst goes on telling of a person");
    return PORCH_OK;
}

static void hear_message(media_analysis *a, media_feed *job, const porch_analyst_message *m) {
    porch_why why = {""};
    porch_err e = PORCH_OK;
    if (m->type != PORCH_ANALYST_END) job->begun = true;
    switch (m->type) {
    case PORCH_ANALYST_BEGUN:
        return;
    case PORCH_ANALYST_FIRST_FRAME:
        if (job->first_frame_ms == 0) job->first_frame_ms = porch_clock_ms();
        return;
    case PORCH_ANALYST_SAMPLE:
        return;
    case PORCH_ANALYST_PERSON:
        e = hear_person(a, job, &m->as.person, &why);
        break;
    case PORCH_ANALYST_INDEXED:
        porch_media_result_index_piece(a->media, job, &m->as.indexed);
        return;
    case PORCH_ANALYST_END:
        hear_end(a, job, &m->as.end);
        return;
    default:
        broke(a, job, "the analyst spoke out of turn");
        return;
    }
    if (e != PORCH_OK) { /* the disk is full or the like: the clip is looked at again later */
        log_job(PORCH_LOG_WARN, "analysis.not_stored", job, porch_why_text(&why, e));
        a->backlog_not_before_mono_ms = porch_clock_mono_ms() + BACKLOG_PAUSE_MS;
        set_aside(a, job);
    }
}

/* What is left waits for the next turn, which then comes at once. */
static void hear(media_analysis *a, media_feed *job) {
    for (unsigned n = 0; n < HEARD_A_TURN && job->socket >= 0; n++) {
        porch_buf in = PORCH_BUF_OF(a->message);
        porch_analyst_message m;
        porch_err e = porch_channel_receive(job->socket, &in, NULL, 0, NULL, 0, NULL);
        if (e == PORCH_ERR_TIMEOUT) return;
        if (e == PORCH_OK) {
            if (porch_analyst_read(porch_buf_bytes(&in), &m) == PORCH_OK) {
                hear_message(a, job, &m);
            } else {
                broke(a, job, "the analyst's answer is not in its language");
            }
        } else if (porch_analyst_client_alive(a->media->config.analyst, job->generation)) {
            broke(a, job, "the analysis of the clip broke off");
        } else {
            analyst_went(a, job);
        }
    }
}

static void tell(media_analysis *a, media_feed *job) {
    uint8_t block[32];
    porch_buf out = PORCH_BUF_OF(block);
    (void)pthread_mutex_lock(&a->lock);
    porch_analyst_message m = {.type = PORCH_ANALYST_HAVE, .as.have = {job->have, job->complete}};
    (void)pthread_mutex_unlock(&a->lock);
    if (job->socket < 0 || (m.as.have.bytes == job->told && m.as.have.complete == job->told_complete))
        return;
    if (porch_analyst_write(&out, &m) != PORCH_OK) return;
    /* A full queue is no harm: the next turn tells more at once. A closed one is heard of. */
    if (porch_channel_send(job->socket, porch_buf_bytes(&out), NULL, 0, 0, NULL) != PORCH_OK) return;
    job->told = m.as.have.bytes;
    job->told_complete = m.as.have.complete;
}

static void judge(media_analysis *a, media_feed *job, uint64_t now) {
    (void)pthread_mutex_lock(&a->lock);
    bool waiting_for_bytes = !job->complete;
    bool idle = waiting_for_bytes && now > job->last_byte_mono_ms &&
                now - job->last_byte_mono_ms > settings(a)->media_analysis_idle_ms;
    (void)pthread_mutex_unlock(&a->lock);
    if (job->done) return;
    if (idle) {
        set_aside(a, job);
        return;
    }
    if (job->socket < 0) return;
    uint64_t age = now - job->started_mono_ms, wall = (uint64_t)settings(a)->media_analysis_wall_s * 1000;
    if (waiting_for_bytes && age > wall * 3 / 4) {
        set_aside(a, job); /* a slow line, not a slow analysis */
    } else if (age > wall + GRACE_MS) {
        /* Its own alarm should have ended it: nothing in there can be trusted to end. */
        porch_analyst_client_drop(a->media->config.analyst);
        broke(a, job, "the analysis did not end in time; the analyst is started anew");
    }
}

static void launch(media_analysis *a, media_feed *job, uint64_t now) {
    const porch_settings *s = settings(a);
    porch_analyst_start start = {.clip_bytes = job->size,
                                 .width_most = s->media_frame_width,
                                 .height_most = s->media_frame_height,
                                 .frames_most = s->media_analysis_frames,
                                 .cpu_seconds = s->media_analysis_cpu_s,
                                 .wall_seconds = s->media_analysis_wall_s,
                                 .memory_mib = s->media_analysis_memory_mib,
                                 .sample_ms = s->media_sample_ms,
                                 .person_score_milli = s->media_person_score_milli,
                                 .agree = s->media_person_agree,
                                 .make_index = s->media_make_index};
    porch_why why = {""};
    if (porch_analyst_client_start(a->media->config.analyst, &start, job->memfd, &job->socket,
                                   &job->generation, &why) != PORCH_OK) {
        job->socket = -1;
        job->not_before_mono_ms = now + AGAIN_MS;
        return;
    }
    job->started_mono_ms = now;
}

/* ---- the backlog: complete clips that nobody has looked at ---- */

typedef struct {
    media_analysis *analysis;
    porch_media_clip_info info;
    uint32_t attempts;
    bool found;
} next_clip;

static bool is_known(media_analysis *a, porch_bytes clip) {
    bool known = false;
    (void)pthread_mutex_lock(&a->lock);
    for (const media_feed *j = a->jobs; j != NULL && !known; j = j->next)
        known = porch_bytes_eq_text(clip, j->clip);
    (void)pthread_mutex_unlock(&a->lock);
    return known;
}

static porch_err find_next(porch_db *db, void *ctx, porch_why *why) {
    next_clip *n = ctx;
    char id[PORCH_MEDIA_UID] = "";
    porch_err e;
    porch_db_query *q = porch_db_prepare(
        db, "select id, attempts from clip where state = 1 and analysis = 0 order by complete_ms", why);
    while (id[0] == '\0' && (e = porch_db_step(q, why)) == PORCH_OK) {
        if (is_known(n->analysis, porch_db_text(q, 0))) continue;
        (void)porch_bytes_to_text(porch_db_text(q, 0), id, sizeof id);
        n->attempts = (uint32_t)porch_db_i64(q, 1);
    }
    porch_db_finish(q);
    if (id[0] == '\0') return e == PORCH_ERR_NOT_FOUND ? PORCH_OK : e;
    PORCH_TRY(porch_media_clip_row(db, id, &n->info, why));
    n->found = true;
    return PORCH_OK;
}

static porch_err fill(media_analysis *a, media_feed *job, porch_why *why) {
    porch_media_clip *c = NULL;
    PORCH_TRY(porch_media_clip_open(a->media, job->clip, false, &c, why));
    uint64_t at = 0;
    porch_err e = PORCH_OK;
    while (e == PORCH_OK && at < job->size) {
        size_t got = 0;
        e = porch_media_clip_read(c, at, job->map + at,
                                  job->size - at < PIECE ? (size_t)(job->size - at) : PIECE, &got, why);
        if (e == PORCH_OK && got == 0) e = PORCH_ERR_TRUNCATED;
        at += got;
    }
    porch_media_clip_close(c);
    return e;
}

/* False when there is nothing, or no room, now. */
static bool take_backlog(media_analysis *a) {
    next_clip n = {.analysis = a};
    porch_why why = {""};
    if (porch_store_read(a->media->config.store, find_next, &n, &why) != PORCH_OK || !n.found) return false;
    if (n.info.bytes == 0 || n.info.bytes > settings(a)->media_analysis_memory_bytes) {
        const char *reason =
            n.info.bytes == 0 ? "the clip is empty" : "the clip passes media.analysis_memory_bytes";
        return porch_media_result_failed(a->media, n.info.id, true, reason, &why) == PORCH_OK;
    }
    (void)pthread_mutex_lock(&a->lock);
    media_feed *job = porch_media_job_add(a, &n.info, n.info.bytes, false);
    if (job != NULL) {
        job->held = true; /* keeps it from being launched or removed until it is filled */
        job->first_byte_ms = n.info.first_byte_ms;
        job->attempts = n.attempts;
    }
    (void)pthread_mutex_unlock(&a->lock);
    if (job == NULL) return false;
    porch_err e = fill(a, job, &why);
    (void)pthread_mutex_lock(&a->lock);
    job->held = false;
    job->have = e == PORCH_OK ? job->size : 0;
    job->complete = e == PORCH_OK;
    (void)pthread_mutex_unlock(&a->lock);
    if (e == PORCH_OK) return true;
    if (porch_err_class_of(e) == PORCH_CLASS_RETRY) {
        set_aside(a, job);
        a->backlog_not_before_mono_ms = porch_clock_mono_ms() + BACKLOG_PAUSE_MS;
    } else {
        give_up(a, job, porch_why_text(&why, e));
    }
    return false;
}

/* ---- the thread ---- */

static size_t snapshot(media_analysis *a, media_feed *jobs[PORCH_MEDIA_JOBS_MOST]) {
    size_t n = 0;
    (void)pthread_mutex_lock(&a->lock);
    for (media_feed *j = a->jobs; j != NULL && n < PORCH_MEDIA_JOBS_MOST; j = j->next)
        jobs[n++] = j;
    (void)pthread_mutex_unlock(&a->lock);
    return n;
}

static void bury(media_analysis *a) {
    (void)pthread_mutex_lock(&a->lock);
    for (media_feed *j = a->jobs, *next; j != NULL; j = next) {
        next = j->next;
        /* One that is being written to wakes us afterwards; one just cancelled is set aside first. */
        if (!j->done || (j->held && j->have < j->used_bytes)) continue;
        a->look_backlog = true; /* there may be room now, or this one is complete and unseen */
        porch_media_job_remove(a, j);
    }
    (void)pthread_mutex_unlock(&a->lock);
}

static bool launchable(media_analysis *a, const media_feed *j, bool live, uint64_t now) {
    (void)pthread_mutex_lock(&a->lock);
    bool ready = !j->done && !j->cancelled && j->live == live && j->have > 0 && j->socket < 0 &&
                 now >= j->not_before_mono_ms;
    (void)pthread_mutex_unlock(&a->lock);
    return ready;
}

static bool waits_in_backlog(const media_feed *j) {
    return !j->live && !j->done && j->socket < 0;
}

static bool backlog_is_late(media_analysis *a, media_feed *const jobs[], size_t count_jobs, uint64_t now) {
    uint64_t *since = &a->backlog_passed_over_mono_ms;
    bool waits = false, runs = false;
    for (size_t i = 0; i < count_jobs; i++) {
        waits = waits || waits_in_backlog(jobs[i]);
        runs = runs || (!jobs[i]->live && jobs[i]->socket >= 0);
    }
    if (!waits || runs) {
        *since = 0;
    } else if (*since == 0) {
        *since = now;
    }
    return *since != 0 && now - *since > (uint64_t)settings(a)->media_analysis_wall_s * 1000;
}

/* `late`: no clip of the backlog is looked at, and one has the next place. */
static bool has_place(media_analysis *a, media_feed *const jobs[], size_t count_jobs,
                      const media_feed *next, bool late) {
    uint32_t running = 0, backlog = 0, places = settings(a)->media_analyses;
    for (size_t i = 0; i < count_jobs; i++) {
        const media_feed *j = jobs[i];
        if (j->socket < 0) continue;
        if (j->live && next->live && strcmp(j->owner.device, next->owner.device) == 0) return false;
        running++;
        backlog += !j->live;
    }
    if (next->live) return running + late < places;
    return running < places && backlog < (places > 1 ? places - 1 : 1);
}

/* Live clips first. */
static void fill_places(media_analysis *a, media_feed *const jobs[], size_t count_jobs, uint64_t now) {
    bool late = backlog_is_late(a, jobs, count_jobs, now);
    for (int pass = 0; pass < 2; pass++) {
        for (size_t i = 0; i < count_jobs; i++) {
            if (!launchable(a, jobs[i], pass == 0, now) || !has_place(a, jobs, count_jobs, jobs[i], late))
                continue;
            launch(a, jobs[i], now);
            tell(a, jobs[i]);
        }
    }
}

/* One clip of the backlog lies ready, so that it is known how long it has waited. */
static void schedule(media_analysis *a, media_feed *const jobs[], size_t count_jobs, uint64_t now) {
    uint32_t running = 0;
    if (!porch_analyst_client_attached(a->media->config.analyst)) return;
    fill_places(a, jobs, count_jobs, now);
    (void)pthread_mutex_lock(&a->lock);
    bool waiting = false;
    for (const media_feed *j = a->jobs; j != NULL; j = j->next) {
        running += j->socket >= 0;
        waiting = waiting || waits_in_backlog(j);
    }
    a->counts.running = running;
    bool look = a->look_backlog && !waiting && now >= a->backlog_not_before_mono_ms;
    if (look) a->look_backlog = false;
    (void)pthread_mutex_unlock(&a->lock);
    if (look && take_backlog(a)) porch_media_analysis_wake(a->media); /* launch it, and look for the next */
}

static void turn(media_analysis *a) {
    media_feed *jobs[PORCH_MEDIA_JOBS_MOST];
    struct pollfd fds[PORCH_MEDIA_JOBS_MOST + 1];
    size_t n = snapshot(a, jobs);
    int wait_ms = TURN_MOST_MS;
    fds[0] = (struct pollfd){.fd = a->wake_fd, .events = POLLIN};
    for (size_t i = 0; i < n; i++) {
        fds[i + 1] = (struct pollfd){.fd = jobs[i]->socket, .events = POLLIN}; /* -1 is passed over */
        if (!jobs[i]->done) wait_ms = AGAIN_MS / 2;
    }
    if (a->backlog_not_before_mono_ms != 0 && wait_ms > BACKLOG_PAUSE_MS) wait_ms = BACKLOG_PAUSE_MS;
    (void)poll(fds, (nfds_t)(n + 1), wait_ms);
    uint64_t drained;
    ssize_t got = read(a->wake_fd, &drained, sizeof drained);
    (void)got;
    uint64_t now = porch_clock_mono_ms();
    for (size_t i = 0; i < n; i++) {
        (void)pthread_mutex_lock(&a->lock);
        bool cancelled = jobs[i]->cancelled;
        (void)pthread_mutex_unlock(&a->lock);
        if (cancelled && !jobs[i]->done) set_aside(a, jobs[i]);
        tell(a, jobs[i]);
        hear(a, jobs[i]);
        judge(a, jobs[i], now);
    }
    bury(a);
    n = snapshot(a, jobs);
    schedule(a, jobs, n, now);
}

static void *run(void *ctx) {
    media_analysis *a = ctx;
    for (;;) {
        (void)pthread_mutex_lock(&a->lock);
        bool stop = a->stop;
        (void)pthread_mutex_unlock(&a->lock);
        if (stop) return NULL;
        turn(a);
    }
}

static void on_attach(void *ctx) {
    media_analysis *a = ctx;
    porch_media_analysis_wake(a->media);
}

porch_err porch_media_analysis_open(porch_media *m, media_analysis **ret, porch_why *why) {
    media_analysis *a = calloc(1, sizeof *a);
    if (a == NULL) return porch_fail(why, PORCH_ERR_NO_SPACE, "no memory for the analysis");
    a->media = m;
    a->look_backlog = true;
    (void)pthread_mutex_init(&a->lock, NULL);
    a->wake_fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
    *ret = a;
    if (a->wake_fd < 0) return porch_fail(why, PORCH_ERR_IO, "eventfd: %s", strerror(errno));
    return PORCH_OK;
}

porch_err porch_media_analysis_start(media_analysis *a, porch_why *why) {
    porch_analyst_client_on_attach(a->media->config.analyst, on_attach, a);
    int failed = pthread_create(&a->thread, NULL, run, a);
    if (failed != 0)
        return porch_fail(why, PORCH_ERR_IO, "cannot start the analysis thread: %s", strerror(failed));
    a->running = true;
    porch_media_analysis_poke(a); /* what is unfinished is looked for at once */
    return PORCH_OK;
}

void porch_media_analysis_stop(media_analysis *a) {
    if (!a->running) return;
    a->running = false;
    porch_analyst_client_on_attach(a->media->config.analyst, NULL, NULL);
    (void)pthread_mutex_lock(&a->lock);
    a->stop = true;
    (void)pthread_mutex_unlock(&a->lock);
    porch_media_analysis_poke(a);
    (void)pthread_join(a->thread, NULL);
}

void porch_media_analysis_close(media_analysis *a) {
    if (a == NULL) return;
    porch_media_analysis_stop(a);
    while (a->jobs != NULL) {
        a->jobs->held = false;
        porch_media_job_remove(a, a->jobs);
    }
    if (a->wake_fd >= 0) (void)close(a->wake_fd);
    (void)pthread_mutex_destroy(&a->lock);
    free(a);
}

void porch_media_analysis_count(porch_media *m, porch_media_analysis_counts *ret) {
    memset(ret, 0, sizeof *ret);
    media_analysis *a = m->analysis;
    if (a == NULL) return;
    (void)pthread_mutex_lock(&a->lock);
    *ret = a->counts;
    for (const media_feed *j = a->jobs; j != NULL; j = j->next)
        ret->waiting += j->socket < 0 && !j->done;
    (void)pthread_mutex_unlock(&a->lock);
}
