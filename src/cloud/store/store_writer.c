/* The writer thread: whatever waits becomes one transaction, one fsync, and then news for everybody.
 *
 *   wait ─► begin ─► ticks ─► jobs ─► messages ─► commit ─┬─► observers, jobs end, lanes answer ─► fold the
 * log └─ refused: everything in it is answered with why
 *
 * Jobs and ticks have a savepoint each. Messages have one in common (none where they are alone in the
 * transaction), which is enough as long as no observer fails; when one does, they are stored again with a
 * savepoint each (the careful way), so that one bad message costs nobody else. After a failed commit SQLite
 * has rolled back and the frames it left in the log are overwritten by the next commit, fsync included;
 * nothing of the batch was reported, nothing is lost.
 */
#include <errno.h>
#include <poll.h>
#include <string.h>
#include <sys/eventfd.h>
#include <unistd.h>

#include "cloud/store/store_room.h"
#include "os/clock.h"
#include "os/log.h"

enum { SCRUB_AGAIN_MS = 50 };

/* One batch under way. */
typedef struct {
    porch_store *s;
    store_job *jobs; /* in order, linked */
    uint64_t first_seq, next_seq;
    size_t message_count, commit_count, tick_count, news_count; /* as of the batch's start */
    store_message_observer note;
    bool tick_again;
    bool ticked; /* ticks have written into the transaction */
    porch_why why;
} batch;

void porch_store_wake_writer(porch_store *s) {
    if (!atomic_load(&s->asleep) || !atomic_exchange(&s->asleep, false)) return;
    uint64_t one = 1;
    while (write(s->event_fd, &one, sizeof one) < 0 && errno == EINTR) {
    }
}

static bool lanes_ready(porch_store *s) {
    size_t count = atomic_load_explicit(&s->lane_count, memory_order_acquire);
    for (size_t i = 0; i < count; i++)
        if (porch_lane_ready(s->lanes[i])) return true;
    return false;
}

static bool work_waits(porch_store *s) {
    pthread_mutex_lock(&s->lock);
    bool jobs = s->jobs != NULL || s->scrub_asked != s->scrub_seen;
    pthread_mutex_unlock(&s->lock);
    return jobs || atomic_load(&s->stopping) || lanes_ready(s);
}

static void wait_for_work(porch_store *s) {
    atomic_store(&s->asleep, true);
    if (!work_waits(s)) {
        uint64_t now = porch_clock_mono_ms();
        int rest = s->tick_due_ms > now ? (int)(s->tick_due_ms - now) : 0;
        if (s->scrub_late && rest > SCRUB_AGAIN_MS) rest = SCRUB_AGAIN_MS;
        struct pollfd p = {.fd = s->event_fd, .events = POLLIN};
        (void)poll(&p, 1, rest);
    }
    atomic_store(&s->asleep, false);
    uint64_t drop;
    while (read(s->event_fd, &drop, sizeof drop) < 0 && errno == EINTR) {
    }
}

/* ---- savepoints --------------------------------------------------------------------------------- */

static porch_err enter(batch *b) {
    porch_store_news_mark(b->s->news, b->news_count);
    return porch_db_run(b->s->db, "savepoint mark", &b->why);
}

/* Keeps or undoes what was done since `enter`, words put aside included. False when the transaction is gone
 * altogether: a full disk makes SQLite roll all of it back. */
static bool leave(batch *b, bool keep) {
    porch_db *db = b->s->db;
    porch_db_finish_all(db);
    if (!keep) porch_store_news_back(b->s->news, b->news_count);
    if (!porch_db_in_transaction(db)) return false;
    if (!keep && porch_db_run(db, "rollback to mark", NULL) != PORCH_OK) return false;
    return porch_db_run(db, "release mark", NULL) == PORCH_OK;
}

/* What lost the transaction, never PORCH_OK. */
static porch_err lost(batch *b, porch_err e) {
    if (e == PORCH_OK || porch_err_class_of(e) == PORCH_CLASS_PEER)
        return porch_fail(&b->why, PORCH_ERR_DATABASE, "the database gave the transaction up");
    return e;
}

/* ---- jobs and ticks ----------------------------------------------------------------------------- */

static porch_err run_jobs(batch *b) {
    for (store_job *j = b->jobs; j != NULL; j = j->next) {
        PORCH_TRY(enter(b));
        j->result = j->fn(b->s->db, j->ctx, j->why);
        if (!leave(b, j->result == PORCH_OK)) {
            if (j->why != NULL) b->why = *j->why;
            return lost(b, j->result);
        }
    }
    return PORCH_OK;
}

static porch_err run_tick(batch *b, porch_store_tick_fn fn, void *ctx, uint64_t now_ms) {
    porch_why why = {""};
    PORCH_TRY(enter(b));
    porch_err e = fn(b->s->db, now_ms, ctx, &why);
    b->tick_again |= e == PORCH_ERR_AGAIN;
    bool keep = e == PORCH_OK || e == PORCH_ERR_AGAIN;
    if (!keep)
        porch_log(PORCH_LOG_WARN, "store.housekeeping_failed", "error", porch_err_name(e), "reason",
                  porch_why_text(&why, e), NULL);
    if (!leave(b, keep)) {
        b->why = why;
        return lost(b, e);
    }
    return PORCH_OK;
}

/* A clock that has just jumped says of everything that it is old: then only the number of rows counts. */
static porch_err keep_tick(porch_db *db, uint64_t now_ms, void *ctx, porch_why *why) {
    porch_store *s = ctx;
    uint64_t settle_ms = (uint64_t)s->settings.store_clock_settle_h * 3600 * 1000;
    bool jumped = false;
    bool trusted = porch_clock_trusted(&s->clock, now_ms, porch_clock_mono_ms(), settle_ms, &jumped);
    if (jumped)
        porch_log(PORCH_LOG_WARN, "clock.jumped", "reason",
                  "the clock was set; nothing is deleted by age until it has stood (store.clock_settle_h)",
                  "hours", porch_log_number(s->settings.store_clock_settle_h).text, NULL);
    return porch_store_keep(db, &s->settings, trusted ? now_ms : 0, atomic_load(&s->hold), why);
}

static porch_err run_ticks(batch *b) {
    porch_store *s = b->s;
    uint64_t mono = porch_clock_mono_ms();
    if (mono < s->tick_due_ms) return PORCH_OK;
    s->tick_due_ms = mono + s->settings.store_tick_ms;
    b->ticked = true;
    uint64_t now_ms = porch_clock_ms();
    PORCH_TRY(run_tick(b, keep_tick, s, now_ms));
    for (size_t i = 0; i < b->tick_count; i++)
        if (s->on_tick[i].fn != NULL) PORCH_TRY(run_tick(b, s->on_tick[i].fn, s->on_tick[i].ctx, now_ms));
    if (b->tick_again) s->tick_due_ms = mono;
    return PORCH_OK;
}

/* ---- messages ----------------------------------------------------------------------------------- */

static porch_err insert_message(batch *b, const porch_store_message *m) {
    if ((m->flags & PORCH_STORE_NOTE) != 0) return PORCH_OK;
    porch_db_query *q = porch_db_prepare(
        b->s->db,
        "insert into message (seq, at_ms, device, topic, qos, payload, flags, origin, properties) "
        "values (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9)",
        &b->why);
    porch_db_bind_i64(q, 1, (int64_t)b->next_seq);
    porch_db_bind_i64(q, 2, (int64_t)m->at_ms);
    porch_db_bind_view(q, 3, m->device, true);
    porch_db_bind_view(q, 4, m->topic, true);
    porch_db_bind_i64(q, 5, m->qos);
    porch_db_bind_view(q, 6, m->payload, false);
    porch_db_bind_i64(q, 7, m->flags);
    porch_db_bind_i64(q, 8, (int64_t)m->origin);
    if (m->properties.len > 0)
        porch_db_bind_view(q, 9, m->properties, false);
    else
        porch_db_bind_null(q, 9);
    return porch_db_execute(q, &b->why);
}

static porch_err write_note(batch *b, const porch_store_message *m) {
    const store_message_observer *o = &b->note;
    if (m->note.len == 0) return PORCH_OK;
    if (o->fn == NULL) return porch_fail(&b->why, PORCH_ERR_INTERNAL, "nobody reads notes");
    return o->fn(b->s->db, m, b->next_seq, o->ctx, &b->why);
}

static porch_err observe_message(batch *b, const porch_store_message *m, porch_why *why) {
    porch_store *s = b->s;
    if ((m->flags & (PORCH_STORE_UNRULED | PORCH_STORE_NOTE)) != 0) return PORCH_OK;
    for (size_t i = 0; i < b->message_count; i++)
        if (s->on_message[i].fn != NULL)
            PORCH_TRY(s->on_message[i].fn(s->db, m, b->next_seq, s->on_message[i].ctx, why));
    return PORCH_OK;
}

/* Row and note: what the message is promised to leave behind. */
static porch_err insert_whole(batch *b, const porch_store_message *m) {
    PORCH_TRY(insert_message(b, m));
    return write_note(b, m);
}

/* Stores one message with a savepoint of its own; *result is its ticket's answer. An error return means
 * that the transaction is gone. */
static porch_err store_carefully(batch *b, const porch_store_message *m, porch_err *result) {
    porch_db *db = b->s->db;
    porch_why why = {""};
    PORCH_TRY(enter(b));
    porch_err e = insert_whole(b, m);
    bool whole = e == PORCH_OK;
    if (!whole) why = b->why;
    if (whole) e = observe_message(b, m, &why);
    if (e == PORCH_OK) {
        *result = PORCH_OK;
        return leave(b, true) ? PORCH_OK : lost(b, e);
    }
    porch_log(PORCH_LOG_WARN, "message.not_understood", "device", porch_log_bytes(m->device).text, "topic",
              porch_log_bytes(m->topic).text, "error", porch_err_name(e), "reason", porch_why_text(&why, e),
              NULL);
    if (!leave(b, false)) return lost(b, e);
    *result = e;
    if (!whole || porch_err_class_of(e) != PORCH_CLASS_PEER) return PORCH_OK;
    *result = insert_whole(b, m);
    porch_db_finish_all(db);
    return porch_db_in_transaction(db) ? PORCH_OK : lost(b, *result);
}

static porch_err store_quickly(batch *b, const porch_store_message *m) {
    PORCH_TRY(insert_whole(b, m));
    porch_err e = observe_message(b, m, NULL);
    porch_db_finish_all(b->s->db);
    return e;
}

/* Reads one lane to its end or `most` messages. */
static porch_err drain_lane(batch *b, porch_store_lane *l, uint32_t most, bool carefully) {
    porch_store_message m;
    uint64_t ticket = 0;
    for (uint32_t n = 0; n < most && porch_lane_may_answer(l) && porch_lane_read(l, &m, &ticket); n++) {
        porch_err result = PORCH_OK;
        PORCH_TRY(carefully ? store_carefully(b, &m, &result) : store_quickly(b, &m));
        porch_lane_answer(l, ticket, b->next_seq++, result);
    }
    return PORCH_OK;
}

static porch_err drain_lanes(batch *b, size_t lanes, bool carefully) {
    porch_store *s = b->s;
    uint32_t most = s->settings.store_batch_rows / (uint32_t)lanes;
    for (size_t i = 0; i < lanes; i++)
        if (porch_lane_ready(s->lanes[i]))
            PORCH_TRY(drain_lane(b, s->lanes[i], most > 0 ? most : 1, carefully));
    return PORCH_OK;
}

/* The way back to before the first message. A savepoint makes the database keep a copy of every page that
 * messages touch; where nothing else is in the transaction, its beginning is the way back. */
static porch_err mark_messages(batch *b, bool alone) {
    porch_store_news_mark(b->s->news, b->news_count);
    return alone ? PORCH_OK : porch_db_run(b->s->db, "savepoint messages", &b->why);
}

static porch_err back_to_mark(batch *b, bool alone) {
    porch_store_news_back(b->s->news, b->news_count);
    if (!alone) return porch_db_run(b->s->db, "rollback to messages", &b->why);
    PORCH_TRY(porch_db_run(b->s->db, "rollback", &b->why));
    return porch_db_run(b->s->db, "begin immediate", &b->why);
}

static porch_err store_messages(batch *b, size_t lanes) {
    porch_store *s = b->s;
    const bool alone = b->jobs == NULL && !b->ticked;
    porch_lane_mark marks[PORCH_STORE_LANES];
    for (size_t i = 0; i < lanes; i++)
        marks[i] = porch_lane_mark_now(s->lanes[i]);
    PORCH_TRY(mark_messages(b, alone));
    porch_err e = drain_lanes(b, lanes, false);
    if (e != PORCH_OK) {
        porch_db_finish_all(s->db);
        if (!porch_db_in_transaction(s->db)) return lost(b, e);
        PORCH_TRY(back_to_mark(b, alone));
        for (size_t i = 0; i < lanes; i++) {
            porch_lane_back_to(s->lanes[i], marks[i]);
            porch_lane_unanswer(s->lanes[i]);
        }
        b->next_seq = b->first_seq;
        PORCH_TRY(drain_lanes(b, lanes, true));
    }
    return alone ? PORCH_OK : porch_db_run(s->db, "release messages", &b->why);
}

/* Notes use numbers up as messages do; the mark keeps a number from being given twice. */
static porch_err write_mark(batch *b) {
    porch_db_query *q = porch_db_prepare(b->s->db, "update store_mark set seq = ?1", &b->why);
    porch_db_bind_i64(q, 1, (int64_t)b->next_seq - 1);
    return porch_db_execute(q, &b->why);
}

/* ---- the batch ---------------------------------------------------------------------------------- */

static porch_err write_batch(batch *b, size_t lanes) {
    porch_store *s = b->s;
    PORCH_TRY(porch_db_run(s->db, "begin immediate", &b->why));
    PORCH_TRY(run_ticks(b));
    PORCH_TRY(run_jobs(b));
    if (lanes > 0) PORCH_TRY(store_messages(b, lanes));
    if (b->next_seq != b->first_seq) PORCH_TRY(write_mark(b));
    return porch_db_run(s->db, "commit", &b->why);
}

static void end_jobs(batch *b, porch_err e) {
    porch_store *s = b->s;
    pthread_mutex_lock(&s->lock);
    for (store_job *j = b->jobs, *next; j != NULL; j = next) {
        next = j->next; /* after done the job's owner may be gone */
        if (e != PORCH_OK && j->result == PORCH_OK) {
            j->result = e;
            if (j->why != NULL) *j->why = b->why;
        }
        j->done = true;
        pthread_cond_signal(&j->ended);
    }
    pthread_mutex_unlock(&s->lock);
}

static void note_state(porch_store *s, porch_err e, const porch_why *why) {
    porch_err before = (porch_err)atomic_exchange(&s->state, (int)e);
    if (before == e) return;
    if (e == PORCH_OK) {
        porch_log(PORCH_LOG_INFO, "store.writes_again", NULL);
    } else {
        porch_log(PORCH_LOG_ERROR, e == PORCH_ERR_FULL ? "store.full" : "store.refused", "error",
                  porch_err_name(e), "reason", porch_why_text(why, e), NULL);
    }
}

static void committed(batch *b) {
    porch_store *s = b->s;
    s->next_seq = b->next_seq;
    atomic_store(&s->durable_seq, b->next_seq - 1);
    atomic_fetch_add(&s->messages, b->next_seq - b->first_seq);
    atomic_fetch_add(&s->batches, 1);
    porch_store_news_tell(s->news, b->news_count);
    for (size_t i = 0; i < b->commit_count; i++)
        if (s->on_commit[i].fn != NULL) s->on_commit[i].fn(s->on_commit[i].ctx);
}

static int log_hook(void *ctx, sqlite3 *handle, const char *name, int pages) {
    (void)handle;
    (void)name;
    ((porch_store *)ctx)->log_pages = pages;
    return SQLITE_OK;
}

/* Folds the log into the database. After a refused batch too, then without waiting for readers: it may be
 * the log that fills the disk. */
static void fold_log(porch_store *s, bool refused) {
    sqlite3 *handle = porch_db_handle(s->db);
    if (refused) {
        (void)sqlite3_busy_timeout(handle, 0);
        (void)sqlite3_wal_checkpoint_v2(handle, NULL, SQLITE_CHECKPOINT_TRUNCATE, NULL, NULL);
        (void)sqlite3_busy_timeout(handle, PORCH_DB_BUSY_MS);
    } else if (s->log_pages >= (int)s->settings.store_checkpoint_pages) {
        (void)sqlite3_wal_checkpoint_v2(handle, NULL, SQLITE_CHECKPOINT_PASSIVE, NULL, NULL);
    } else {
        return;
    }
    s->log_pages = 0;
}

/* Cuts the log when somebody waits for that. Never waits itself: messages would wait with it. */
static void scrub(porch_store *s) {
    pthread_mutex_lock(&s->lock);
    uint64_t asked = s->scrub_asked;
    bool wanted = asked != s->scrub_done;
    pthread_mutex_unlock(&s->lock);
    s->scrub_seen = asked;
    if (!wanted) return;
    sqlite3 *handle = porch_db_handle(s->db);
    (void)sqlite3_busy_timeout(handle, 0);
    s->scrub_late =
        sqlite3_wal_checkpoint_v2(handle, NULL, SQLITE_CHECKPOINT_TRUNCATE, NULL, NULL) != SQLITE_OK;
    (void)sqlite3_busy_timeout(handle, PORCH_DB_BUSY_MS);
    if (s->scrub_late) return;
    s->log_pages = 0;
    pthread_mutex_lock(&s->lock);
    s->scrub_done = asked;
    pthread_cond_broadcast(&s->scrubbed);
    pthread_mutex_unlock(&s->lock);
}

static void run_batch(porch_store *s) {
    batch b = {.s = s, .first_seq = s->next_seq, .next_seq = s->next_seq};
    pthread_mutex_lock(&s->lock);
    b.jobs = s->jobs;
    b.message_count = s->message_count;
    b.commit_count = s->commit_count;
    b.tick_count = s->tick_count;
    b.news_count = s->news_count;
    b.note = s->on_note;
    s->jobs = NULL;
    s->jobs_end = &s->jobs;
    pthread_mutex_unlock(&s->lock);
    size_t lanes = lanes_ready(s) ? atomic_load_explicit(&s->lane_count, memory_order_acquire) : 0;
    if (b.jobs == NULL && lanes == 0 && porch_clock_mono_ms() < s->tick_due_ms) return;

    porch_err e = write_batch(&b, lanes);
    porch_db_finish_all(s->db);
    if (e == PORCH_OK) {
        committed(&b);
    } else {
        if (porch_db_in_transaction(s->db)) (void)porch_db_run(s->db, "rollback", NULL);
        porch_store_news_drop(s->news, b.news_count);
        atomic_fetch_add(&s->lost_batches, 1);
    }
    note_state(s, e, &b.why);
    end_jobs(&b, e);
    for (size_t i = 0; i < lanes; i++)
        porch_lane_release(s->lanes[i], e);
    fold_log(s, e != PORCH_OK);
}

static void *writer_main(void *arg) {
    porch_store *s = arg;
    (void)pthread_setname_np(pthread_self(), "store-writer");
    while (!atomic_load(&s->stopping)) {
        wait_for_work(s);
        run_batch(s);
        scrub(s);
        atomic_fetch_add(&s->rounds, 1);
    }
    while (s->jobs != NULL || lanes_ready(s)) /* nobody adds any more */
        run_batch(s);
    return NULL;
}

uint64_t porch_store_pulse(porch_store *s) {
    porch_store_wake_writer(s);
    return atomic_load(&s->rounds);
}

porch_err porch_store_writer_start(porch_store *s, porch_why *why) {
    porch_db_query *q = porch_db_prepare(
        s->db, "select max(seq, ifnull((select max(seq) from message), 0)) from store_mark", why);
    porch_err e = porch_db_step(q, why);
    uint64_t last = e == PORCH_OK ? (uint64_t)porch_db_i64(q, 0) : 0;
    porch_db_finish(q);
    if (e != PORCH_OK) return e;
    s->next_seq = last + 1;
    atomic_store(&s->durable_seq, last);
    s->tick_due_ms = porch_clock_mono_ms() + s->settings.store_tick_ms;
    (void)sqlite3_wal_hook(porch_db_handle(s->db), log_hook, s);
    int code = pthread_create(&s->thread, NULL, writer_main, s);
    if (code != 0)
        return porch_fail(why, PORCH_ERR_INTERNAL, "no thread for the store: %s", strerror(code));
    s->thread_runs = true;
    return PORCH_OK;
}

void porch_store_writer_stop(porch_store *s) {
    if (!s->thread_runs) return;
    atomic_store(&s->stopping, true);
    uint64_t one = 1;
    while (write(s->event_fd, &one, sizeof one) < 0 && errno == EINTR) {
    }
    pthread_join(s->thread, NULL);
    s->thread_runs = false;
}
