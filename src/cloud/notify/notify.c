#include "cloud/notify/notify.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "cloud/notify/notify_room.h"
#include "os/clock.h"
#include "os/log.h"

enum { ROUND_MOST = 32, HOUR_MS = 3600000, DAY_MS = 86400000, CLEAN_ROWS = 500 };

/* ---- in the write
 * ---------------------------------------------------------------------------------------- */

porch_err porch_notify_person(porch_notify *n, porch_db *db, const porch_notify_facts *facts, bool *made,
                              porch_why *why) {
    porch_notify_item item;
    uint64_t seq = 0;
    uint64_t now_ms = porch_clock_ms();
    porch_notify_item_of(facts, &item);
    porch_err e = porch_notify_item_insert(db, &item, now_ms, &seq, why);
    if (made) *made = e == PORCH_OK;
    if (e == PORCH_ERR_EXISTS) return PORCH_OK;
    PORCH_TRY(e);
    PORCH_TRY(porch_notify_queue(db, seq, now_ms, why));
    PORCH_TRY(porch_push_queue(n, db, seq, facts, now_ms, why));
    atomic_store(&n->made, true);
    return PORCH_OK;
}

/* On the writer thread, after each durable batch: must be short. */
static void committed(void *ctx) {
    porch_notify *n = ctx;
    if (!atomic_exchange(&n->made, false)) return;
    atomic_store(&n->committed_ms, porch_clock_ms());
    porch_notify_thread_wake(&n->live);
    porch_notify_thread_wake(&n->delivery);
    porch_notify_thread_wake(&n->push);
}

porch_err porch_notify_clean(porch_notify *n, porch_db *db, uint64_t real_ms, uint64_t mono_ms,
                             porch_why *why) {
    const porch_settings *s = n->config.settings;
    uint64_t keep_ms = (uint64_t)s->notify_keep_days * DAY_MS;
    uint64_t settle_ms = (uint64_t)s->store_clock_settle_h * HOUR_MS;
    bool jumped = false; /* the store says so */
    n->clock_stands = porch_clock_trusted(&n->clock, real_ms, mono_ms, settle_ms, &jumped);
    PORCH_TRY(porch_push_clean(db, real_ms, why));
    if (!n->clock_stands || keep_ms == 0 || real_ms <= keep_ms) return PORCH_OK;
    /* Rows are in order of age: looking at the oldest few is enough each time. */
    porch_db_query *q = porch_db_prepare(db,
                                         "delete from notification where seq in (select seq from (select "
                                         "seq, made_ms from notification order by seq limit ?2) "
                                         "where made_ms < ?1)",
                                         why);
    porch_db_bind_i64(q, 1, (int64_t)(real_ms - keep_ms));
    porch_db_bind_i64(q, 2, CLEAN_ROWS);
    return porch_db_execute(q, why);
}

static porch_err clean(porch_db *db, uint64_t now_ms, void *ctx, porch_why *why) {
    return porch_notify_clean(ctx, db, now_ms, porch_clock_mono_ms(), why);
}

/* ---- the live thread
 * ------------------------------------------------------------------------------------- */

typedef struct {
    porch_notify_item items[ROUND_MOST];
    size_t count;
    uint64_t after;
    uint64_t durable_ms;
} news;

static bool collect(const porch_notify_item *item, void *ctx) {
    news *round = ctx;
    round->items[round->count++] = *item;
    return round->count < ROUND_MOST;
}

static porch_err read_news(porch_db *db, void *ctx, porch_why *why) {
    news *round = ctx;
    return porch_notify_since(db, NULL, round->after, ROUND_MOST, collect, round, why);
}

static porch_err write_durable(porch_db *db, void *ctx, porch_why *why) {
    const news *round = ctx;
    porch_db_query *q = porch_db_prepare(
        db, "update notification set durable_ms = ?3 where seq between ?1 and ?2 and durable_ms = 0", why);
    porch_db_bind_i64(q, 1, (int64_t)round->items[0].seq);
    porch_db_bind_i64(q, 2, (int64_t)round->items[round->count - 1].seq);
    porch_db_bind_i64(q, 3, (int64_t)round->durable_ms);
    return porch_db_execute(q, why);
}

static void tell(porch_notify *n, porch_notify_item *item, uint64_t durable_ms) {
    if (item->trace.notification_durable_ms == 0) item->trace.notification_durable_ms = durable_ms;
    porch_log(PORCH_LOG_INFO, "notify.person", "id", item->id, "device", item->device, "event", item->event,
              NULL);
    for (size_t i = 0; i < n->observers_count; i++)
        n->observers[i].fn(item, n->observers[i].ctx);
    n->seen = item->seq;
}

/* Rounds until nothing is new. */
static porch_err tell_news(porch_notify *n, news *round, porch_why *why) {
    do {
        round->count = 0;
        round->after = n->seen;
        round->durable_ms = atomic_load(&n->committed_ms);
        PORCH_TRY(porch_store_read(n->config.store, read_news, round, why));
        for (size_t i = 0; i < round->count; i++)
            tell(n, &round->items[i], round->durable_ms);
        /* For those who resume later; nobody waited for it. */
        if (round->count > 0) PORCH_TRY(porch_store_write(n->config.store, write_durable, round, why));
    } while (round->count == ROUND_MOST);
    return PORCH_OK;
}

static void *live_run(void *ctx) {
    porch_notify *n = ctx;
    news *round = calloc(1, sizeof *round);
    if (!round) return NULL;
    while (porch_notify_thread_wait(&n->live, UINT64_MAX)) {
        porch_why why = {""};
        porch_err e = tell_news(n, round, &why);
        if (e != PORCH_OK)
            porch_log(PORCH_LOG_ERROR, "notify.live", "error", porch_err_name(e), "reason",
                      porch_why_text(&why, e), NULL);
    }
    free(round);
    return NULL;
}

/* ---- life
 * ------------------------------------------------------------------------------------------------ */

static porch_err read_last_seq(porch_db *db, void *ctx, porch_why *why) {
    uint64_t *seen = ctx;
    porch_db_query *q = porch_db_prepare(db, "select coalesce(max(seq), 0) from notification", why);
    PORCH_TRY(porch_db_step(q, why));
    *seen = (uint64_t)porch_db_i64(q, 0);
    porch_db_finish(q);
    return PORCH_OK;
}

porch_err porch_notify_open(const porch_notify_config *config, porch_notify **ret, porch_why *why) {
    porch_notify *n = calloc(1, sizeof *n);
    if (!n) return porch_fail(why, PORCH_ERR_BUSY, "out of memory");
    n->config = *config;
    snprintf(n->public_url, sizeof n->public_url, "%s", config->public_url ? config->public_url : "");
    n->config.public_url = n->public_url;
    porch_err e = porch_notify_thread_init(&n->live);
    if (e == PORCH_OK) e = porch_notify_thread_init(&n->delivery);
    if (e == PORCH_OK) e = porch_notify_thread_init(&n->push);
    /* Those before were told, or are asked for by streams that resume. */
    if (e == PORCH_OK) e = porch_store_read(config->store, read_last_seq, &n->seen, why);
    if (e != PORCH_OK) {
        free(n);
        return e;
    }
    porch_store_on_commit(config->store, committed, n);
    porch_store_on_tick(config->store, clean, n);
    *ret = n;
    return PORCH_OK;
}

porch_err porch_notify_on_new(porch_notify *n, porch_notify_on_new_fn fn, void *ctx) {
    if (n->observers_count == PORCH_NOTIFY_OBSERVERS_MAX) return PORCH_ERR_LIMIT;
    n->observers[n->observers_count].fn = fn;
    n->observers[n->observers_count++].ctx = ctx;
    return PORCH_OK;
}

porch_err porch_notify_start(porch_notify *n, porch_why *why) {
    if (porch_notify_thread_start(&n->live, live_run, n) != PORCH_OK ||
        porch_notify_thread_start(&n->delivery, porch_notify_deliver_run, n) != PORCH_OK ||
        porch_notify_thread_start(&n->push, porch_push_run, n) != PORCH_OK)
        return porch_fail(why, PORCH_ERR_BUSY, "the notification threads could not be started");
    return PORCH_OK;
}

void porch_notify_stop(porch_notify *n) {
    if (n->stopped) return;
    n->stopped = true;
    porch_store_forget(n->config.store, n);
    porch_notify_thread_end(&n->live);
    porch_notify_thread_end(&n->delivery);
    porch_notify_thread_end(&n->push);
}

void porch_notify_close(porch_notify *n) {
    if (!n) return;
    porch_notify_stop(n);
    porch_notify_thread_free(&n->live);
    porch_notify_thread_free(&n->delivery);
    porch_notify_thread_free(&n->push);
    free(n);
}
