/* The keeper: one thread that looks each hour, and when somebody changed a limit, at what is past its time.
 * Everything is counted and taken from the indexes (household, time); no statement here walks a table. */
#include "cloud/media/media_keep.h"

#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "cloud/media/media_delete.h"
#include "cloud/media/media_room.h"
#include "os/clock.h"
#include "os/clock_trust.h"
#include "os/fair_lock.h"
#include "os/file.h"
#include "os/log.h"

enum { BITE = 64, NAME = 65, DELETED_KEEP_DAYS = 400 };

#define DAY_MS   86400000ull
#define SWEEP_NS (UINT64_C(3600) * 1000000000)

typedef struct own {
    struct own *next;
    char household[NAME];
    porch_media_keep keep;
    bool ordered; /* its owner has just set this limit, and saw by this clock what it takes */
    bool due;     /* ordered before this round began */
} own;

struct media_keeper {
    porch_media *media;
    pthread_mutex_t lock; /* the list and the thread's words; for moments only */
    porch_fair_lock
        turn; /* over each bite, files included: who needs room waits for one, not for a sweep */
    pthread_cond_t wake;
    own *list;
    porch_clock_trust clock; /* of the rounds; whoever makes them */
    pthread_t thread;
    bool started, woken, stop;
};

/* ---- the limits ---- */

static own *find(media_keeper *k, const char *household) {
    own *o = k->list;
    while (o != NULL && strcmp(o->household, household) != 0)
        o = o->next;
    return o;
}

static porch_err remember(media_keeper *k, const char *household, const porch_media_keep *keep,
                          bool ordered) {
    porch_err e = PORCH_OK;
    (void)pthread_mutex_lock(&k->lock);
    own *o = find(k, household);
    if (o == NULL && (o = calloc(1, sizeof *o)) != NULL) {
        (void)porch_bytes_to_text(porch_bytes_of(household), o->household, sizeof o->household);
        o->next = k->list;
        k->list = o;
    }
    if (o != NULL) {
        o->keep = *keep;
        o->ordered = ordered;
    } else {
        e = PORCH_ERR_NO_SPACE;
    }
    (void)pthread_mutex_unlock(&k->lock);
    return e;
}

porch_media_keep porch_media_keep_of(porch_media *m, const char *household) {
    porch_media_keep keep = {0};
    (void)pthread_mutex_lock(&m->keeper->lock);
    const own *o = find(m->keeper, household);
    if (o != NULL) keep = o->keep;
    (void)pthread_mutex_unlock(&m->keeper->lock);
    return keep;
}

static porch_err load(porch_db *db, void *ctx, porch_why *why) {
    porch_err e;
    porch_db_query *q = porch_db_prepare(db, "select household, days, bytes from media_keep", why);
    while ((e = porch_db_step(q, why)) == PORCH_OK) {
        char household[NAME];
        const porch_media_keep keep = {(uint32_t)porch_db_i64(q, 1), (uint64_t)porch_db_i64(q, 2)};
        if (!porch_bytes_to_text(porch_db_text(q, 0), household, sizeof household)) continue;
        e = remember(ctx, household, &keep, false);
        if (e != PORCH_OK) break;
    }
    porch_db_finish(q);
    return e == PORCH_ERR_NOT_FOUND ? PORCH_OK : e;
}

/* ---- what a cutoff takes ---- */

/* Of the clips, in order of age; then of the events. */
#define SUM_CLIPS                                                                                      \
    "select count(*), coalesce(sum(bytes + indexed_bytes), 0), min(created_ms), max(created_ms) from " \
    "clip indexed by clip_by_household where household = ?1 and created_ms < ?2 and state = 1"
/* An event is as old as its clip, if it has one: what is kept of it is kept whole. */
#define OLD_EVENTS                                                                                   \
    "from event indexed by event_received where household = ?1 and received_ms < ?2 and not exists " \
    "(select 1 from clip where clip.event = event.uid and (clip.state = 0 or clip.created_ms >= ?2))"
#define SUM_EVENTS "select count(*), 0, min(received_ms), max(received_ms) " OLD_EVENTS
/* Oldest first: what has to leave until so many bytes are free. */
#define OLDEST                                                                                           \
    "select created_ms, bytes + indexed_bytes from clip indexed by clip_by_household where household = " \
    "?1 and state = 1 order by created_ms"
#define CLIPS_BEFORE                                                                                    \
    "select event from clip indexed by clip_by_household where household = ?1 and created_ms < ?2 and " \
    "state = 1 order by created_ms limit ?3"
#define EVENTS_BEFORE "select uid " OLD_EVENTS " order by received_ms limit ?3"
#define NEXT_HOUSEHOLD_OF_EVENTS \
    "select min(household) from event indexed by event_received where household > ?1"
#define NEXT_HOUSEHOLD_OF_CLIPS \
    "select min(household) from clip indexed by clip_by_household where household > ?1"

const char *const porch_media_keep_sql[] = {SUM_CLIPS,
                                            SUM_EVENTS,
                                            OLDEST,
                                            CLIPS_BEFORE,
                                            EVENTS_BEFORE,
                                            NEXT_HOUSEHOLD_OF_EVENTS,
                                            NEXT_HOUSEHOLD_OF_CLIPS,
                                            NULL};

typedef struct {
    const char *household;
    uint64_t cutoff_ms; /* what is older leaves */
    porch_media_keep_sum sum;
} sum_job;

static porch_err run_with(porch_db *db, const char *sql, const char *text, porch_why *why) {
    porch_db_query *q = porch_db_prepare(db, sql, why);
    porch_db_bind_str(q, 1, text);
    return porch_db_execute(q, why);
}

static int64_t bounded(uint64_t v) {
    return v > INT64_MAX ? INT64_MAX : (int64_t)v;
}

static porch_err add_up(porch_db *db, const char *sql, sum_job *job, uint64_t *count, porch_why *why) {
    porch_db_query *q = porch_db_prepare(db, sql, why);
    porch_db_bind_str(q, 1, job->household);
    porch_db_bind_i64(q, 2, bounded(job->cutoff_ms));
    porch_err e = porch_db_step(q, why);
    if (e == PORCH_OK) {
        uint64_t from = (uint64_t)porch_db_i64(q, 2), to = (uint64_t)porch_db_i64(q, 3);
        *count = (uint64_t)porch_db_i64(q, 0);
        job->sum.bytes += (uint64_t)porch_db_i64(q, 1);
        if (*count > 0 && (job->sum.from_ms == 0 || from < job->sum.from_ms)) job->sum.from_ms = from;
        if (*count > 0 && to > job->sum.to_ms) job->sum.to_ms = to;
    }
    porch_db_finish(q);
    return e;
}

static porch_err sum_up(porch_db *db, void *ctx, porch_why *why) {
    sum_job *job = ctx;
    PORCH_TRY(add_up(db, SUM_CLIPS, job, &job->sum.clips, why));
    return add_up(db, SUM_EVENTS, job, &job->sum.events, why);
}

typedef struct {
    const char *household;
    uint64_t too_many; /* bytes */
    uint64_t cutoff_ms;
} room_job;

/* The moment after the last clip that has to leave. */
static porch_err find_room(porch_db *db, void *ctx, porch_why *why) {
    room_job *job = ctx;
    porch_err e = PORCH_ERR_NOT_FOUND;
    uint64_t freed = 0;
    porch_db_query *q = porch_db_prepare(db, OLDEST, why);
    porch_db_bind_str(q, 1, job->household);
    while (freed < job->too_many && (e = porch_db_step(q, why)) == PORCH_OK) {
        freed += (uint64_t)porch_db_i64(q, 1);
        job->cutoff_ms = (uint64_t)porch_db_i64(q, 0) + 1;
    }
    porch_db_finish(q);
    return e == PORCH_ERR_NOT_FOUND ? PORCH_OK : e;
}

/* Before when the limits let things go; 0: nothing. `extra` bytes are about to come. */
static porch_err cutoff_of(porch_media *m, const char *household, const porch_media_keep *keep,
                           uint64_t extra, uint64_t now_ms, uint64_t *ret, porch_why *why) {
    uint32_t days = m->config.settings->media_keep_days;
    if (keep->days != 0 && (days == 0 || keep->days < days)) days = keep->days;
    *ret = days != 0 && now_ms > days * DAY_MS ? now_ms - days * DAY_MS : 0;
    uint64_t used = porch_media_uploads_bytes(m, household);
    if (keep->bytes == 0 || used + extra <= keep->bytes) return PORCH_OK;
    room_job job = {household, used + extra - keep->bytes, 0};
    PORCH_TRY(porch_store_read(m->config.store, find_room, &job, why));
    if (job.cutoff_ms > *ret) *ret = job.cutoff_ms;
    return PORCH_OK;
}

/* ---- one bite ---- */

typedef struct {
    porch_media *media;
    const char *household, *sql;
    uint64_t cutoff_ms, now_ms;
    size_t count, gone_count;
    char event[BITE][PORCH_MEDIA_UID];
    porch_media_deleted gone[BITE];
    bool left[BITE]; /* its files are not gone for good: the mark stays, and the next start tries again */
    porch_media_messages messages; /* that carried what is gone */
} bite;

static porch_err choose(porch_db *db, void *ctx, porch_why *why) {
    bite *b = ctx;
    porch_err e;
    b->count = 0;
    porch_db_query *q = porch_db_prepare(db, b->sql, why);
    porch_db_bind_str(q, 1, b->household);
    porch_db_bind_i64(q, 2, bounded(b->cutoff_ms));
    porch_db_bind_i64(q, 3, BITE);
    while ((e = porch_db_step(q, why)) == PORCH_OK && b->count < BITE)
        (void)porch_bytes_to_text(porch_db_text(q, 0), b->event[b->count++], PORCH_MEDIA_UID);
    porch_db_finish(q);
    return e == PORCH_ERR_NOT_FOUND ? PORCH_OK : e;
}

/* Rows go before files: a row without its file would be a promise broken, a file without a row is waste. An
 * event whose clip is being recorded stays until the clip is complete or given up. */
static porch_err forget_rows(porch_db *db, void *ctx, porch_why *why) {
    bite *b = ctx;
    const porch_media *m = b->media;
    b->gone_count = 0;
    b->messages.count = 0;
    for (size_t i = 0; i < b->count; i++) {
        porch_media_deleted *gone = &b->gone[b->gone_count];
        const size_t before = b->messages.count;
        PORCH_TRY(porch_media_delete_messages(db, b->event[i], &b->messages, why));
        porch_err e = porch_media_delete_rows(db, b->event[i], b->now_ms, gone, why);
        if (e == PORCH_ERR_STATE || e == PORCH_ERR_NOT_FOUND) {
            b->messages.count = before;
            continue;
        }
        if (e == PORCH_OK && m->on_forget != NULL) e = m->on_forget(db, b->event[i], m->on_forget_ctx, why);
        if (e != PORCH_OK) return e;
        b->gone_count++;
    }
    return PORCH_OK;
}

/* Time did it, not a person: nothing is remembered of it but until its files are gone. */
static porch_err forget_marks(porch_db *db, void *ctx, porch_why *why) {
    const bite *b = ctx;
    for (size_t i = 0; i < b->gone_count; i++)
        if (!b->left[i])
            PORCH_TRY(run_with(db, "delete from deleted where event = ?1", b->gone[i].event, why));
    return PORCH_OK;
}

static void remove_files(bite *b) {
    porch_media *m = b->media;
    porch_why why = {""};
    porch_err e = PORCH_OK;
    for (size_t i = 0; i < b->gone_count; i++) {
        b->left[i] = false;
        if (b->gone[i].clip[0] == '\0') continue;
        porch_media_feed_forget(m, b->gone[i].clip);
        porch_err one = porch_media_clip_delete_files(m, b->gone[i].clip, &why);
        b->left[i] = one != PORCH_OK;
        if (one != PORCH_OK) e = one;
    }
    porch_err synced = porch_dir_sync(m->clips, &why);
    for (size_t i = 0; i < b->gone_count && synced != PORCH_OK; i++)
        b->left[i] = b->gone[i].clip[0] != '\0';
    if (e == PORCH_OK) e = synced;
    if (e != PORCH_OK)
        porch_log(PORCH_LOG_WARN, "clip.delete_unfinished", "household", b->household, "reason",
                  porch_why_text(&why, e), NULL);
}

static porch_err take_bite(bite *b, porch_why *why) {
    porch_media *m = b->media;
    b->gone_count = 0;
    PORCH_TRY(porch_store_read(m->config.store, choose, b, why));
    if (b->count == 0) return PORCH_OK;
    PORCH_TRY(porch_store_write(m->config.store, forget_rows, b, why));
    for (size_t i = 0; i < b->gone_count; i++)
        if (b->gone[i].clip[0] != '\0')
            porch_media_uploads_account(m, b->household, -(int64_t)b->gone[i].bytes);
    if (m->on_forgotten != NULL && b->messages.count > 0)
        m->on_forgotten(b->messages.at, b->messages.count, m->on_forgotten_ctx);
    remove_files(b);
    return porch_store_write(m->config.store, forget_marks, b, why);
}

/* Takes bites until none is left. CLOSED when the hub stops meanwhile. */
static porch_err eat(bite *b, const char *sql, void (*tell)(size_t count, void *ctx), void *ctx,
                     porch_why *why) {
    porch_media *m = b->media;
    b->sql = sql;
    do {
        porch_fair_lock_take(&m->keeper->turn);
        porch_err e = take_bite(b, why);
        porch_fair_lock_give(&m->keeper->turn);
        PORCH_TRY(e);
        if (b->count == 0) break;
        if (tell != NULL) tell(b->gone_count, ctx);
        if (porch_media_keeper_stopping(m->keeper))
            return porch_fail(why, PORCH_ERR_CLOSED,
                              "the hub is stopping; what is left goes after its start");
    } while (b->gone_count > 0);
    return PORCH_OK;
}

static porch_err forget_before(porch_media *m, const char *household, uint64_t cutoff_ms,
                               void (*tell)(size_t count, void *ctx), void *ctx, porch_why *why) {
    bite *b = calloc(1, sizeof *b);
    if (b == NULL) return PORCH_ERR_NO_SPACE;
    b->media = m;
    b->household = household;
    b->cutoff_ms = cutoff_ms;
    b->now_ms = porch_clock_ms();
    porch_err e = eat(b, CLIPS_BEFORE, tell, ctx, why);
    if (e == PORCH_OK) e = eat(b, EVENTS_BEFORE, tell, ctx, why);
    free(b->messages.at);
    free(b);
    return e;
}

/* ---- the keeper's round ---- */

typedef struct {
    char after[NAME];
    char name[NAME];
} next_job;

static porch_err next_household(porch_db *db, void *ctx, porch_why *why) {
    static const char *const sql[] = {NEXT_HOUSEHOLD_OF_EVENTS, NEXT_HOUSEHOLD_OF_CLIPS};
    next_job *job = ctx;
    job->name[0] = '\0';
    for (size_t i = 0; i < 2; i++) {
        char name[NAME] = "";
        porch_db_query *q = porch_db_prepare(db, sql[i], why);
        porch_db_bind_str(q, 1, job->after);
        porch_err e = porch_db_step(q, why);
        if (e == PORCH_OK) (void)porch_bytes_to_text(porch_db_text(q, 0), name, sizeof name);
        porch_db_finish(q);
        PORCH_TRY(e);
        if (name[0] != '\0' && (job->name[0] == '\0' || strcmp(name, job->name) < 0))
            memcpy(job->name, name, sizeof name);
    }
    return PORCH_OK;
}

/* An order is good for the round that follows it, whatever becomes of that: the clock may change. */
static void take_orders(media_keeper *k) {
    (void)pthread_mutex_lock(&k->lock);
    for (own *o = k->list; o != NULL; o = o->next) {
        o->due = o->ordered;
        o->ordered = false;
    }
    (void)pthread_mutex_unlock(&k->lock);
}

static bool is_due(media_keeper *k, const char *household) {
    (void)pthread_mutex_lock(&k->lock);
    const own *o = find(k, household);
    bool due = o != NULL && o->due;
    (void)pthread_mutex_unlock(&k->lock);
    return due;
}

/* Sums in memory and rows on the disk agree while nobody is between the two: else what has just gone would
 * be taken for what is still too much, of the clips that are left. */
static porch_err settled_cutoff(porch_media *m, const char *household, const porch_media_keep *keep,
                                uint64_t extra, uint64_t now_ms, uint64_t *ret, porch_why *why) {
    porch_fair_lock_take(&m->keeper->turn);
    porch_err e = cutoff_of(m, household, keep, extra, now_ms, ret, why);
    porch_fair_lock_give(&m->keeper->turn);
    return e;
}

static porch_err sweep_household(porch_media *m, const char *household, uint64_t now_ms, porch_why *why) {
    porch_media_keep keep = porch_media_keep_of(m, household);
    uint64_t cutoff_ms = 0;
    PORCH_TRY(settled_cutoff(m, household, &keep, 0, now_ms, &cutoff_ms, why));
    return cutoff_ms == 0 ? PORCH_OK : forget_before(m, household, cutoff_ms, NULL, NULL, why);
}

static porch_err forget_deleted(porch_db *db, void *ctx, porch_why *why) {
    return porch_media_delete_forget(db, *(const uint64_t *)ctx, why);
}

/* What is old is told by `now_ms` (0: nothing is), for who ordered it by `order_ms`. */
static porch_err sweep_households(porch_media *m, uint64_t now_ms, uint64_t order_ms, porch_why *why) {
    next_job job = {.after = ""};
    porch_err e;
    take_orders(m->keeper);
    while ((e = porch_store_read(m->config.store, next_household, &job, why)) == PORCH_OK &&
           job.name[0] != '\0' && !porch_media_keeper_stopping(m->keeper)) {
        e = sweep_household(m, job.name, is_due(m->keeper, job.name) ? order_ms : now_ms, why);
        if (e != PORCH_OK) break;
        memcpy(job.after, job.name, sizeof job.after);
    }
    return e;
}

static porch_err sweep(porch_media *m, uint64_t now_ms, uint64_t order_ms, porch_why *why) {
    uint64_t upload_ms = (uint64_t)m->config.settings->media_upload_life_s * 1000;
    uint64_t deleted_ms = now_ms > DELETED_KEEP_DAYS * DAY_MS ? now_ms - DELETED_KEEP_DAYS * DAY_MS : 0;
    PORCH_TRY(porch_media_uploads_sweep(m, now_ms > upload_ms ? now_ms - upload_ms : 0, why));
    PORCH_TRY(porch_store_write(m->config.store, forget_deleted, &deleted_ms, why));
    return sweep_households(m, now_ms, order_ms, why);
}

porch_err porch_media_sweep(porch_media *m, uint64_t now_ms, porch_why *why) {
    return sweep(m, now_ms, now_ms, why);
}

porch_err porch_media_keep_round(porch_media *m, uint64_t real_ms, uint64_t mono_ms, porch_why *why) {
    uint64_t settle_ms = (uint64_t)m->config.settings->store_clock_settle_h * 3600 * 1000;
    bool jumped; /* the store says so */
    bool trusted = porch_clock_trusted(&m->keeper->clock, real_ms, mono_ms, settle_ms, &jumped);
    return sweep(m, trusted ? real_ms : 0, real_ms, why);
}

porch_err porch_media_keep_make_room(porch_media *m, const char *household, uint64_t bytes,
                                     porch_why *why) {
    porch_media_keep keep = porch_media_keep_of(m, household);
    uint64_t cutoff_ms = 0;
    if (keep.bytes == 0 || porch_media_uploads_bytes(m, household) + bytes <= keep.bytes) return PORCH_OK;
    const porch_media_keep by_bytes = {0, keep.bytes};
    PORCH_TRY(settled_cutoff(m, household, &by_bytes, bytes, 0, &cutoff_ms, why));
    return cutoff_ms > 0 ? forget_before(m, household, cutoff_ms, NULL, NULL, why) : PORCH_OK;
}

/* ---- asked by people ---- */

static porch_err check(const porch_media *m, const porch_media_keep *wish, porch_why *why) {
    const porch_settings *s = m->config.settings;
    if (wish->days > 36500) return porch_fail(why, PORCH_ERR_USAGE, "keep at most 36500 days");
    if (s->media_keep_days != 0 && wish->days > s->media_keep_days)
        return porch_fail(why, PORCH_ERR_USAGE, "this hub keeps at most %u days (media.keep_days)",
                          s->media_keep_days);
    if (wish->bytes > s->media_household_bytes)
        return porch_fail(why, PORCH_ERR_USAGE,
                          "this hub keeps at most %llu bytes of a household (media.household_bytes)",
                          (unsigned long long)s->media_household_bytes);
    if (wish->bytes != 0 && wish->bytes < s->media_clip_bytes)
        return porch_fail(why, PORCH_ERR_USAGE,
                          "one clip may take %llu bytes (media.clip_bytes): keep more",
                          (unsigned long long)s->media_clip_bytes);
    return PORCH_OK;
}

porch_err porch_media_keep_read(porch_media *m, const char *household, porch_media_keep_view *ret,
                                porch_why *why) {
    sum_job job = {.household = household, .cutoff_ms = UINT64_MAX};
    PORCH_TRY(porch_store_read(m->config.store, sum_up, &job, why));
    *ret = (porch_media_keep_view){porch_media_keep_of(m, household), job.sum};
    return PORCH_OK;
}

porch_err porch_media_keep_preview(porch_media *m, const char *household, const porch_media_keep *wish,
                                   uint64_t now_ms, porch_media_keep_sum *ret, porch_why *why) {
    sum_job job = {.household = household};
    PORCH_TRY(check(m, wish, why));
    PORCH_TRY(cutoff_of(m, household, wish, 0, now_ms, &job.cutoff_ms, why));
    if (job.cutoff_ms > 0) PORCH_TRY(porch_store_read(m->config.store, sum_up, &job, why));
    *ret = job.sum;
    return PORCH_OK;
}

typedef struct {
    const char *household;
    const porch_media_keep *wish;
    porch_store_fn also;
    void *also_ctx;
} set_job;

static porch_err store_limits(porch_db *db, void *ctx, porch_why *why) {
    const set_job *job = ctx;
    porch_db_query *q =
        porch_db_prepare(db,
                         "insert into media_keep (household, days, bytes) values (?1, ?2, ?3) "
                         "on conflict (household) do update set days = ?2, bytes = ?3",
                         why);
    porch_db_bind_str(q, 1, job->household);
    porch_db_bind_i64(q, 2, job->wish->days);
    porch_db_bind_i64(q, 3, (int64_t)job->wish->bytes);
    PORCH_TRY(porch_db_execute(q, why));
    return job->also == NULL ? PORCH_OK : job->also(db, job->also_ctx, why);
}

porch_err porch_media_keep_set(porch_media *m, const char *household, const porch_media_keep *wish,
                               porch_store_fn also, void *also_ctx, porch_why *why) {
    set_job job = {household, wish, also, also_ctx};
    PORCH_TRY(check(m, wish, why));
    static pthread_mutex_t one_at_a_time = PTHREAD_MUTEX_INITIALIZER; /* what is stored last is in force */
    (void)pthread_mutex_lock(&one_at_a_time);
    porch_err e = porch_store_write(m->config.store, store_limits, &job, why);
    const bool stored = e == PORCH_OK;
    if (stored) e = remember(m->keeper, household, wish, true);
    (void)pthread_mutex_unlock(&one_at_a_time);
    if (!stored) return e;
    (void)pthread_mutex_lock(&m->keeper->lock);
    m->keeper->woken = true;
    (void)pthread_cond_signal(&m->keeper->wake);
    (void)pthread_mutex_unlock(&m->keeper->lock);
    return e == PORCH_OK ? e
                         : porch_fail(why, e, "no memory for the limits; they are stored, restart the hub");
}

/* ---- a household's end ---- */

typedef struct {
    uint64_t all, gone;
    void (*progress)(double done, void *ctx);
    void *ctx;
} end_progress;

static void tell_end(size_t count, void *ctx) {
    end_progress *p = ctx;
    p->gone += count;
    if (p->progress != NULL && p->all > 0)
        p->progress(p->gone < p->all ? (double)p->gone / (double)p->all : 1, p->ctx);
}

static porch_err forget_limits(porch_db *db, void *ctx, porch_why *why) {
    return run_with(db, "delete from media_keep where household = ?1", ctx, why);
}

porch_err porch_media_erase(porch_media *m, const char *household, void (*progress)(double done, void *ctx),
                            void *ctx, porch_why *why) {
    sum_job sum = {.household = household, .cutoff_ms = UINT64_MAX};
    PORCH_TRY(porch_store_read(m->config.store, sum_up, &sum, why));
    end_progress p = {.all = sum.sum.events, .progress = progress, .ctx = ctx};
    PORCH_TRY(porch_media_uploads_erase(m, household, why));
    porch_err e = forget_before(m, household, UINT64_MAX, tell_end, &p, why);
    if (e == PORCH_OK)
        e = porch_store_write(m->config.store, forget_limits, (void *)(uintptr_t)household, why);
    (void)pthread_mutex_lock(&m->keeper->lock);
    for (own **at = &m->keeper->list; e == PORCH_OK && *at != NULL; at = &(*at)->next) {
        own *gone = *at;
        if (strcmp(gone->household, household) != 0) continue;
        *at = gone->next;
        free(gone);
        break;
    }
    (void)pthread_mutex_unlock(&m->keeper->lock);
    return e;
}

void porch_media_account(porch_media *m, const char *household, int64_t bytes) {
    porch_media_uploads_account(m, household, bytes);
}

/* ---- the thread ---- */

/* False: the hub stops. Returns early when somebody has changed a limit. */
static bool await_round(media_keeper *k) {
    const struct timespec until = porch_clock_mono_after(SWEEP_NS);
    (void)pthread_mutex_lock(&k->lock);
    while (!k->stop && !k->woken)
        if (pthread_cond_timedwait(&k->wake, &k->lock, &until) != 0) break;
    bool go_on = !k->stop;
    k->woken = false;
    (void)pthread_mutex_unlock(&k->lock);
    return go_on;
}

static void *run(void *ctx) {
    media_keeper *k = ctx;
    do {
        porch_why why = {""};
        porch_err e = porch_media_keep_round(k->media, porch_clock_ms(), porch_clock_mono_ms(), &why);
        if (e != PORCH_OK && e != PORCH_ERR_CLOSED)
            porch_log(PORCH_LOG_WARN, "clip.sweep_failed", "reason", porch_why_text(&why, e), NULL);
    } while (await_round(k));
    return NULL;
}

bool porch_media_keeper_stopping(media_keeper *k) {
    (void)pthread_mutex_lock(&k->lock);
    bool stop = k->stop;
    (void)pthread_mutex_unlock(&k->lock);
    return stop;
}

porch_err porch_media_keeper_open(porch_media *m, media_keeper **ret, porch_why *why) {
    pthread_condattr_t monotonic;
    media_keeper *k = calloc(1, sizeof *k);
    if (k == NULL) return porch_fail(why, PORCH_ERR_NO_SPACE, "no memory for the keeper of clips");
    k->media = m;
    (void)pthread_mutex_init(&k->lock, NULL);
    porch_fair_lock_init(&k->turn);
    (void)pthread_condattr_init(&monotonic);
    (void)pthread_condattr_setclock(&monotonic, CLOCK_MONOTONIC);
    (void)pthread_cond_init(&k->wake, &monotonic);
    (void)pthread_condattr_destroy(&monotonic);
    *ret = k;
    return porch_store_read(m->config.store, load, k, why);
}

porch_err porch_media_keeper_start(media_keeper *k, porch_why *why) {
    k->started = pthread_create(&k->thread, NULL, run, k) == 0;
    return k->started ? PORCH_OK : porch_fail(why, PORCH_ERR_BUSY, "no thread for the keeper of clips");
}

void porch_media_keeper_stop(media_keeper *k) {
    if (k == NULL) return;
    (void)pthread_mutex_lock(&k->lock);
    k->stop = true;
    (void)pthread_cond_signal(&k->wake);
    (void)pthread_mutex_unlock(&k->lock);
    if (k->started) (void)pthread_join(k->thread, NULL);
    k->started = false;
}

void porch_media_keeper_close(media_keeper *k) {
    if (k == NULL) return;
    porch_media_keeper_stop(k);
    while (k->list != NULL) {
        own *gone = k->list;
        k->list = gone->next;
        free(gone);
    }
    (void)pthread_mutex_destroy(&k->lock);
    porch_fair_lock_destroy(&k->turn);
    (void)pthread_cond_destroy(&k->wake);
    free(k);
}
