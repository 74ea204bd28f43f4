#include "cloud/media/media.h"

#include <stdio.h>
#include <stdlib.h>

#include "cloud/media/media_room.h"
#include "os/file.h"

porch_err porch_media_open(const porch_media_config *config, porch_media **ret, porch_why *why) {
    porch_media *m = calloc(1, sizeof *m);
    if (m == NULL) return porch_fail(why, PORCH_ERR_NO_SPACE, "no memory for media");
    m->config = *config;
    porch_err e = porch_path_join(config->dir, "clips", m->clips, sizeof m->clips - 64);
    if (e == PORCH_OK) e = porch_dir_make(m->clips, 0700, why);
    if (e == PORCH_OK) e = porch_media_delete_left_over(m, why);
    if (e == PORCH_OK) e = porch_media_events_open(m, &m->events, why);
    if (e == PORCH_OK) e = porch_media_uploads_open(m, &m->uploads, why);
    if (e == PORCH_OK && config->analyst != NULL) e = porch_media_analysis_open(m, &m->analysis, why);
    if (e != PORCH_OK) {
        porch_media_close(m);
        return e;
    }
    *ret = m;
    return PORCH_OK;
}

porch_err porch_media_start(porch_media *m, porch_why *why) {
    return m->analysis == NULL ? PORCH_OK : porch_media_analysis_start(m->analysis, why);
}

void porch_media_stop(porch_media *m) {
    if (m != NULL && m->analysis != NULL) porch_media_analysis_stop(m->analysis);
}

void porch_media_close(porch_media *m) {
    if (m == NULL) return;
    porch_media_analysis_close(m->analysis);
    porch_media_uploads_close(m->uploads);
    porch_media_events_close(m->events);
    free(m);
}

void porch_media_on_event(porch_media *m, void (*fn)(const porch_media_event *event, void *ctx),
                          void *ctx) {
    m->on_event = fn;
    m->on_event_ctx = ctx;
}

void porch_media_on_clip(porch_media *m, void (*fn)(const porch_media_clip_info *clip, void *ctx),
                         void *ctx) {
    m->on_clip = fn;
    m->on_clip_ctx = ctx;
}

void porch_media_on_person(porch_media *m,
                           porch_err (*fn)(porch_db *db, const porch_media_person *person, void *ctx,
                                           porch_why *why),
                           void *ctx) {
    m->on_person = fn;
    m->on_person_ctx = ctx;
}

/* ---- retention ---- */

enum { SWEEP_AT_ONCE = 64, DELETED_KEEP_DAYS = 400 };
#define DAY_MS 86400000ull

static porch_err forget_deleted(porch_db *db, void *ctx, porch_why *why) {
    return porch_media_delete_forget(db, *(const uint64_t *)ctx, why);
}

typedef struct {
    uint64_t before_ms;
    size_t count;
    char clip[SWEEP_AT_ONCE][PORCH_MEDIA_UID];
    char household[SWEEP_AT_ONCE][65];
    int64_t bytes[SWEEP_AT_ONCE];
} sweep;

static porch_err old_clips(porch_db *db, void *ctx, porch_why *why) {
    sweep *s = ctx;
    porch_err e;
    s->count = 0;
    porch_db_query *q = porch_db_prepare(db,
                                         "select id, household, bytes + indexed_bytes from clip where "
                                         "state = 1 and complete_ms < ?1 limit ?2",
                                         why);
    porch_db_bind_i64(q, 1, (int64_t)s->before_ms);
    porch_db_bind_i64(q, 2, SWEEP_AT_ONCE);
    while ((e = porch_db_step(q, why)) == PORCH_OK && s->count < SWEEP_AT_ONCE) {
        if (porch_bytes_to_text(porch_db_text(q, 0), s->clip[s->count], PORCH_MEDIA_UID) &&
            porch_bytes_to_text(porch_db_text(q, 1), s->household[s->count], 65)) {
            s->bytes[s->count] = porch_db_i64(q, 2);
            s->count++;
        }
    }
    porch_db_finish(q);
    return e == PORCH_ERR_NOT_FOUND ? PORCH_OK : e;
}

/* Rows go before files: a row without its file would be a promise broken, a file without a row is waste. */
static porch_err forget_rows(porch_db *db, void *ctx, porch_why *why) {
    sweep *s = ctx;
    porch_err e = PORCH_OK;
    for (size_t i = 0; i < s->count && e == PORCH_OK; i++) {
        porch_db_query *q = porch_db_prepare(db, "delete from clip where id = ?1", why);
        porch_db_bind_str(q, 1, s->clip[i]);
        e = porch_db_execute(q, why);
    }
    static const char *const old[] = {
        "delete from feedback where event in (select uid from event where received_ms < ?1)",
        "delete from person where event in (select uid from event where received_ms < ?1)",
        "delete from event where received_ms < ?1",
    };
    for (size_t i = 0; i < sizeof old / sizeof old[0] && e == PORCH_OK; i++) {
        porch_db_query *q = porch_db_prepare(db, old[i], why);
        porch_db_bind_i64(q, 1, (int64_t)s->before_ms);
        e = porch_db_execute(q, why);
    }
    return e;
}

porch_err porch_media_sweep(porch_media *m, uint64_t now_ms, porch_why *why) {
    const porch_settings *set = m->config.settings;
    uint64_t upload_ms = (uint64_t)set->media_upload_life_s * 1000;
    PORCH_TRY(porch_media_uploads_sweep(m, now_ms > upload_ms ? now_ms - upload_ms : 0, why));
    uint64_t deleted_ms = now_ms > DELETED_KEEP_DAYS * DAY_MS ? now_ms - DELETED_KEEP_DAYS * DAY_MS : 0;
    PORCH_TRY(porch_store_write(m->config.store, forget_deleted, &deleted_ms, why));
    uint64_t keep_ms = (uint64_t)set->media_keep_days * DAY_MS;
    if (keep_ms == 0 || now_ms <= keep_ms) return PORCH_OK;
    sweep *s = calloc(1, sizeof *s);
    if (s == NULL) return PORCH_ERR_NO_SPACE;
    s->before_ms = now_ms - keep_ms;
    porch_err e;
    do {
        e = porch_store_read(m->config.store, old_clips, s, why);
        if (e == PORCH_OK) e = porch_store_write(m->config.store, forget_rows, s, why);
        for (size_t i = 0; i < s->count && e == PORCH_OK; i++) {
            porch_media_clip_delete_files(m, s->clip[i]);
            porch_media_uploads_account(m, s->household[i], -s->bytes[i]);
        }
    } while (e == PORCH_OK && s->count == SWEEP_AT_ONCE);
    free(s);
    return e;
}
