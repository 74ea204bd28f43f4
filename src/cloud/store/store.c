#include "cloud/store/store.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>
#include <time.h>
#include <unistd.h>

#include "cloud/store/store_migrate.h"
#include "cloud/store/store_room.h"
#include "os/clock.h"
#include "os/file.h"

/* ---- opening and closing ------------------------------------------------------------------------ */

static porch_err open_database(porch_store *s, const char *dir, porch_why *why) {
    if (porch_path_join(dir, "hub.db", s->path, sizeof s->path) != PORCH_OK)
        return porch_fail(why, PORCH_ERR_LIMIT, "the path of hub.db is too long");
    PORCH_TRY(porch_db_open(s->path, true, s->settings.store_cache_kib, &s->db, why));
    return porch_store_migrate(s->db, porch_store_schema(), why);
}

porch_err porch_store_open(const char *dir, const porch_settings *settings, porch_store **ret,
                           porch_why *why) {
    porch_store *s = calloc(1, sizeof *s);
    if (s == NULL) return porch_fail(why, PORCH_ERR_INTERNAL, "no memory for the store");
    s->settings = *settings;
    s->jobs_end = &s->jobs;
    pthread_mutex_init(&s->lock, NULL);
    pthread_mutex_init(&s->read_lock, NULL);
    pthread_cond_init(&s->read_free, NULL);
    pthread_condattr_t monotonic;
    pthread_condattr_init(&monotonic);
    pthread_condattr_setclock(&monotonic, CLOCK_MONOTONIC);
    pthread_cond_init(&s->scrubbed, &monotonic);
    pthread_condattr_destroy(&monotonic);
    porch_err e = PORCH_OK;
    s->event_fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
    if (s->event_fd < 0) e = porch_fail(why, PORCH_ERR_IO, "eventfd: %s", strerror(errno));
    if (e == PORCH_OK) e = open_database(s, dir, why);
    if (e == PORCH_OK) e = porch_store_writer_start(s, why);
    if (e != PORCH_OK) {
        porch_store_close(s);
        return e;
    }
    *ret = s;
    return PORCH_OK;
}

void porch_store_close(porch_store *s) {
    if (s == NULL) return;
    porch_store_writer_stop(s);
    for (size_t i = 0; i < s->idle_count; i++)
        porch_db_close(s->idle[i]);
    porch_db_close(s->db); /* the last connection folds the log into hub.db */
    for (size_t i = 0; i < atomic_load(&s->lane_count); i++)
        porch_lane_free(s->lanes[i]);
    for (size_t i = 0; i < s->news_count; i++)
        porch_store_news_free(s->news[i]);
    if (s->event_fd >= 0) close(s->event_fd);
    pthread_cond_destroy(&s->read_free);
    pthread_cond_destroy(&s->scrubbed);
    pthread_mutex_destroy(&s->read_lock);
    pthread_mutex_destroy(&s->lock);
    free(s);
}

/* ---- observers and lanes ------------------------------------------------------------------------ */

void porch_store_on_message(porch_store *s, porch_store_message_fn fn, void *ctx) {
    pthread_mutex_lock(&s->lock);
    if (s->message_count < PORCH_STORE_OBSERVERS)
        s->on_message[s->message_count++] = (store_message_observer){fn, ctx};
    pthread_mutex_unlock(&s->lock);
}

void porch_store_on_note(porch_store *s, porch_store_message_fn fn, void *ctx) {
    pthread_mutex_lock(&s->lock);
    s->on_note = (store_message_observer){fn, ctx};
    pthread_mutex_unlock(&s->lock);
}

void porch_store_hold(porch_store *s, uint64_t seq) {
    atomic_store(&s->hold, seq);
}

void porch_store_on_commit(porch_store *s, void (*fn)(void *ctx), void *ctx) {
    pthread_mutex_lock(&s->lock);
    if (s->commit_count < PORCH_STORE_OBSERVERS)
        s->on_commit[s->commit_count++] = (store_commit_observer){fn, ctx};
    pthread_mutex_unlock(&s->lock);
}

void porch_store_on_tick(porch_store *s, porch_store_tick_fn fn, void *ctx) {
    pthread_mutex_lock(&s->lock);
    if (s->tick_count < PORCH_STORE_OBSERVERS) s->on_tick[s->tick_count++] = (store_tick_observer){fn, ctx};
    pthread_mutex_unlock(&s->lock);
}

/* On the writer thread, so no observer is running; a row without a function is passed over. */
static porch_err forget_observers(porch_db *db, void *ctx, porch_why *why) {
    (void)db;
    (void)why;
    void *const *order = ctx;
    porch_store *s = order[0];
    pthread_mutex_lock(&s->lock);
    for (size_t i = 0; i < PORCH_STORE_OBSERVERS; i++) {
        if (s->on_message[i].ctx == order[1]) s->on_message[i].fn = NULL;
        if (s->on_commit[i].ctx == order[1]) s->on_commit[i].fn = NULL;
        if (s->on_tick[i].ctx == order[1]) s->on_tick[i].fn = NULL;
    }
    for (size_t i = 0; i < s->news_count; i++)
        if (s->news[i]->ctx == order[1]) s->news[i]->tell = NULL;
    if (s->on_note.ctx == order[1]) s->on_note.fn = NULL;
    pthread_mutex_unlock(&s->lock);
    return PORCH_OK;
}

void porch_store_forget(porch_store *s, void *ctx) {
    void *order[2] = {s, ctx};
    (void)porch_store_write(s, forget_observers, order, NULL);
}

porch_store_lane *porch_store_lane_open(porch_store *s, void (*wake)(void *ctx), void *wake_ctx) {
    porch_store_lane *l = porch_lane_new(s->settings.store_lane_bytes, s, porch_store_wake_writer);
    if (l == NULL) return NULL;
    l->wake = wake;
    l->wake_ctx = wake_ctx;
    pthread_mutex_lock(&s->lock);
    size_t count = atomic_load_explicit(&s->lane_count, memory_order_relaxed);
    bool fits = count < PORCH_STORE_LANES;
    if (fits) {
        s->lanes[count] = l;
        atomic_store_explicit(&s->lane_count, count + 1, memory_order_release);
    }
    pthread_mutex_unlock(&s->lock);
    if (fits) return l;
    porch_lane_free(l);
    return NULL;
}

uint64_t porch_store_durable_seq(const porch_store *s) {
    return atomic_load(&s->durable_seq);
}

void porch_store_count(const porch_store *s, porch_store_counts *ret) {
    ret->messages = atomic_load(&s->messages);
    ret->batches = atomic_load(&s->batches);
    ret->lost_batches = atomic_load(&s->lost_batches);
    ret->durable_seq = atomic_load(&s->durable_seq);
    ret->state = (porch_err)atomic_load(&s->state);
}

/* ---- writing ------------------------------------------------------------------------------------ */

porch_err porch_store_write(porch_store *s, porch_store_fn fn, void *ctx, porch_why *why) {
    if (pthread_equal(pthread_self(), s->thread))
        return porch_fail(why, PORCH_ERR_INTERNAL, "a write inside a write would wait for itself");
    store_job job = {.fn = fn, .ctx = ctx, .why = why, .result = PORCH_OK};
    pthread_cond_init(&job.ended, NULL);
    pthread_mutex_lock(&s->lock);
    *s->jobs_end = &job;
    /* cppcheck-suppress autoVariables ; the job leaves the list before this function returns */
    s->jobs_end = &job.next;
    pthread_mutex_unlock(&s->lock);
    porch_store_wake_writer(s);
    pthread_mutex_lock(&s->lock);
    while (!job.done)
        pthread_cond_wait(&job.ended, &s->lock);
    pthread_mutex_unlock(&s->lock);
    pthread_cond_destroy(&job.ended);
    return job.result;
}

porch_err porch_store_scrub(porch_store *s, uint32_t wait_ms, porch_why *why) {
    uint64_t until_ms = porch_clock_mono_ms() + wait_ms;
    const struct timespec until = {(time_t)(until_ms / 1000), (long)(until_ms % 1000) * 1000000};
    if (pthread_equal(pthread_self(), s->thread))
        return porch_fail(why, PORCH_ERR_INTERNAL, "a scrub on the writer would wait for itself");
    pthread_mutex_lock(&s->lock);
    uint64_t mine = ++s->scrub_asked;
    pthread_mutex_unlock(&s->lock);
    porch_store_wake_writer(s);
    pthread_mutex_lock(&s->lock);
    int code = 0;
    while (s->scrub_done < mine && code == 0)
        code = pthread_cond_timedwait(&s->scrubbed, &s->lock, &until);
    bool done = s->scrub_done >= mine;
    pthread_mutex_unlock(&s->lock);
    if (done) return PORCH_OK;
    return porch_fail(why, PORCH_ERR_BUSY,
                      "a long read (a backup?) still uses the log; it is cut when that ends");
}

/* ---- reading ------------------------------------------------------------------------------------ */

static porch_err reader_take(porch_store *s, porch_db **ret, porch_why *why) {
    pthread_mutex_lock(&s->read_lock);
    while (s->idle_count == 0 && s->reader_count >= s->settings.store_readers)
        pthread_cond_wait(&s->read_free, &s->read_lock);
    if (s->idle_count > 0) {
        *ret = s->idle[--s->idle_count];
        pthread_mutex_unlock(&s->read_lock);
        return PORCH_OK;
    }
    s->reader_count++;
    pthread_mutex_unlock(&s->read_lock);
    porch_err e = porch_db_open(s->path, false, s->settings.store_cache_kib, ret, why);
    if (e != PORCH_OK) {
        pthread_mutex_lock(&s->read_lock);
        s->reader_count--;
        pthread_cond_signal(&s->read_free);
        pthread_mutex_unlock(&s->read_lock);
    }
    return e;
}

static void reader_give(porch_store *s, porch_db *db) {
    pthread_mutex_lock(&s->read_lock);
    s->idle[s->idle_count++] = db; /* at most store.readers of them exist */
    pthread_cond_signal(&s->read_free);
    pthread_mutex_unlock(&s->read_lock);
}

porch_err porch_store_read(porch_store *s, porch_store_fn fn, void *ctx, porch_why *why) {
    porch_db *db = NULL;
    PORCH_TRY(reader_take(s, &db, why));
    porch_err e = porch_db_run(db, "begin", why);
    if (e == PORCH_OK) e = fn(db, ctx, why);
    porch_db_finish_all(db);
    if (porch_db_in_transaction(db)) (void)porch_db_run(db, "rollback", NULL);
    reader_give(s, db);
    return e;
}

/* ---- a copy ------------------------------------------------------------------------------------- */

typedef struct {
    const char *path;
    void (*progress)(double done, void *ctx);
    void *ctx;
} copy_order;

static porch_err copy_pages(porch_db *from, sqlite3 *to, const copy_order *order, porch_why *why) {
    sqlite3_backup *b = sqlite3_backup_init(to, "main", porch_db_handle(from), "main");
    if (b == NULL) return porch_fail(why, PORCH_ERR_DATABASE, "cannot copy: %s", sqlite3_errmsg(to));
    int code;
    do {
        code = sqlite3_backup_step(b, 1024);
        int all = sqlite3_backup_pagecount(b);
        if (order->progress != NULL && all > 0)
            order->progress(1.0 - (double)sqlite3_backup_remaining(b) / (double)all, order->ctx);
    } while (code == SQLITE_OK);
    int end = sqlite3_backup_finish(b);
    if (code == SQLITE_DONE) code = end;
    if (code == SQLITE_OK) return PORCH_OK;
    porch_err e = (code & 0xff) == SQLITE_FULL ? PORCH_ERR_FULL : PORCH_ERR_DATABASE;
    return porch_fail(why, e, "cannot copy to %s: %s", order->path, sqlite3_errmsg(to));
}

/* Runs inside a read: the snapshot is pinned by the first query. */
static porch_err copy_snapshot(porch_db *from, void *ctx, porch_why *why) {
    const copy_order *order = ctx;
    porch_db_query *pin = porch_db_prepare(from, "select count(*) from sqlite_schema", why);
    PORCH_TRY(porch_db_execute(pin, why));
    sqlite3 *to = NULL;
    int code = sqlite3_open_v2(order->path, &to, SQLITE_OPEN_READWRITE | SQLITE_OPEN_NOMUTEX, NULL);
    porch_err e = code == SQLITE_OK ? PORCH_OK
                                    : porch_fail(why, PORCH_ERR_IO, "cannot open %s: %s", order->path,
                                                 sqlite3_errstr(code));
    /* A copy that was cut off is deleted: it needs no journal of its own. */
    if (e == PORCH_OK) (void)sqlite3_exec(to, "pragma journal_mode = off", NULL, NULL, NULL);
    if (e == PORCH_OK) e = copy_pages(from, to, order, why);
    (void)sqlite3_close_v2(to);
    return e;
}

porch_err porch_store_copy(porch_store *s, const char *path, void (*progress)(double done, void *ctx),
                           void *ctx, porch_why *why) {
    int fd = open(path, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0600);
    if (fd < 0)
        return porch_fail(why, errno == EEXIST ? PORCH_ERR_EXISTS : PORCH_ERR_IO, "cannot make %s: %s",
                          path, strerror(errno));
    close(fd);
    copy_order order = {path, progress, ctx};
    porch_err e = porch_store_read(s, copy_snapshot, &order, why);
    if (e != PORCH_OK) (void)unlink(path);
    return e;
}
