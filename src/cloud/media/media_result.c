#include "cloud/media/media_job.h"

#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "os/clock.h"
#include "os/log.h"

/* ---- a person ---- */

typedef struct {
    porch_media *media;
    const porch_analyst_person *said;
    porch_media_person person;
    bool made;
    bool held_back;
    double threshold; /* what people's words ask of this spot; 0: nothing */
} person_write;

static porch_err load_event(porch_db *db, porch_media_person *p, porch_why *why) {
    porch_db_query *q = porch_db_prepare(db, "select at_ms, received_ms from event where uid = ?1", why);
    porch_db_bind_str(q, 1, p->event);
    porch_err e = porch_db_step(q, why);
    if (e == PORCH_OK) {
        p->trace.motion_at_ms = (uint64_t)porch_db_i64(q, 0);
        p->trace.event_received_ms = (uint64_t)porch_db_i64(q, 1);
        p->at_ms = p->trace.motion_at_ms;
    }
    porch_db_finish(q);
    return e == PORCH_ERR_NOT_FOUND ? PORCH_OK : e;
}

static void bind_person(porch_db_query *q, const porch_media_person *p) {
    porch_db_bind_str(q, 1, p->event);
    porch_db_bind_str(q, 2, p->clip);
    porch_db_bind_real(q, 3, p->score);
    porch_db_bind_real(q, 4, p->box.x);
    porch_db_bind_real(q, 5, p->box.y);
    porch_db_bind_real(q, 6, p->box.w);
    porch_db_bind_real(q, 7, p->box.h);
    porch_db_bind_i64(q, 8, p->agreeing);
    porch_db_bind_i64(q, 9, (int64_t)p->at_ms);
    porch_db_bind_i64(q, 10, (int64_t)p->trace.person_found_ms);
    porch_db_bind_blob(q, 11, p->picture);
}

/* What people said of this spot lately asks for more than the analysis is sure of. */
static porch_err judge_spot(porch_db *db, person_write *w, porch_why *why) {
    const porch_media_person *p = &w->person;
    uint64_t days = w->media->config.settings->media_feedback_days, ms = days * 86400000u;
    uint64_t now_ms = p->trace.person_found_ms;
    w->held_back = false;
    if (days == 0) return PORCH_OK;
    PORCH_TRY(porch_media_feedback_threshold(db, p->owner.device, &p->box, now_ms > ms ? now_ms - ms : 0,
                                             &w->threshold, why));
    w->held_back = w->threshold > 0 && p->score <= w->threshold;
    return PORCH_OK;
}

static porch_err insert_person(porch_db *db, person_write *w, porch_why *why) {
    porch_db_query *q = porch_db_prepare(
        db,
        "insert into person (event, clip, score, x, y, w, h, agreeing, at_ms, "
        "found_ms, picture, held_back) select ?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10, ?11, ?12 "
        "where exists (select 1 from clip where id = ?2) " /* a person may have deleted it */
        "on conflict (event) do nothing",
        why);
    bind_person(q, &w->person);
    porch_db_bind_i64(q, 12, w->held_back);
    PORCH_TRY(porch_db_execute(q, why));
    w->made = porch_db_changes(db) == 1;
    return PORCH_OK;
}

/* Known already: a second look after a restart, or a better picture. Nobody is told twice. */
static porch_err update_person(porch_db *db, const porch_media_person *p, porch_why *why) {
    porch_db_query *q =
        porch_db_prepare(db,
                         "update person set score = ?3, x = ?4, y = ?5, w = ?6, h = ?7, agreeing = ?8, "
                         "picture = ?9 where event = ?1 and clip = ?2 and score < ?3",
                         why);
    porch_db_bind_str(q, 1, p->event);
    porch_db_bind_str(q, 2, p->clip);
    porch_db_bind_real(q, 3, p->score);
    porch_db_bind_real(q, 4, p->box.x);
    porch_db_bind_real(q, 5, p->box.y);
    porch_db_bind_real(q, 6, p->box.w);
    porch_db_bind_real(q, 7, p->box.h);
    porch_db_bind_i64(q, 8, p->agreeing);
    porch_db_bind_blob(q, 9, p->picture);
    return porch_db_execute(q, why);
}

/* One that was held back and is now seen surely enough, or elsewhere: as if it had been found now. */
static porch_err release_person(porch_db *db, person_write *w, porch_why *why) {
    porch_db_query *q = porch_db_prepare(
        db, "update person set held_back = 0 where event = ?1 and clip = ?2 and held_back = 1", why);
    porch_db_bind_str(q, 1, w->person.event);
    porch_db_bind_str(q, 2, w->person.clip);
    PORCH_TRY(porch_db_execute(q, why));
    w->made = porch_db_changes(db) == 1;
    return PORCH_OK;
}

static porch_err store_person(porch_db *db, void *ctx, porch_why *why) {
    person_write *w = ctx;
    porch_media_person *p = &w->person;
    PORCH_TRY(load_event(db, p, why));
    PORCH_TRY(judge_spot(db, w, why));
    PORCH_TRY(insert_person(db, w, why));
    if (!w->made) {
        PORCH_TRY(update_person(db, p, why));
        if (!w->held_back) PORCH_TRY(release_person(db, w, why));
    }
    if (!w->made || w->held_back || w->media->on_person == NULL) return PORCH_OK;
    return w->media->on_person(db, p, w->media->on_person_ctx, why);
}

porch_err porch_media_result_person(porch_media *m, media_feed *job, const porch_analyst_person *said,
                                    porch_why *why) {
    person_write w = {.media = m, .said = said};
    porch_media_person *p = &w.person;
    memcpy(p->event, job->event, sizeof p->event);
    memcpy(p->clip, job->clip, sizeof p->clip);
    p->owner = job->owner;
    p->score = said->seen.score_milli / 1000.0;
    p->box = (porch_media_box){said->seen.box.x / 10000.0, said->seen.box.y / 10000.0,
                               said->seen.box.w / 10000.0, said->seen.box.h / 10000.0};
    p->agreeing = said->agreeing;
    p->picture = said->picture;
    p->trace.clip_first_byte_ms = job->first_byte_ms;
    p->trace.analysis_first_frame_ms = job->first_frame_ms;
    p->trace.person_found_ms = porch_clock_ms();
    p->trace.event_durable_ms = porch_media_events_durable_ms(m->events, job->event);
    p->at_ms = p->trace.person_found_ms;
    PORCH_TRY(porch_store_write(m->config.store, store_person, &w, why));
    if (!w.made) return PORCH_OK;
    char score[24], asked[24];
    (void)snprintf(score, sizeof score, "%.2f", p->score);
    (void)snprintf(asked, sizeof asked, "%.2f", w.threshold);
    porch_log(PORCH_LOG_INFO, w.held_back ? "analysis.held_back" : "analysis.person", "asked",
              w.threshold > 0 ? asked : NULL, "device", p->owner.device, "clip", p->clip, "event", p->event,
              "score", score, "agreeing", porch_log_number(p->agreeing).text, "place_ms",
              porch_log_number(said->at_ms).text, NULL);
    (void)pthread_mutex_lock(&job->analysis->lock);
    job->analysis->counts.persons++;
    (void)pthread_mutex_unlock(&job->analysis->lock);
    return PORCH_OK;
}

/* ---- the copy for seeking ---- */

/* The signer may be away for a moment; then this clip has no copy, which its original survives. */
static porch_err index_begin(porch_media *m, media_feed *job, porch_why *why) {
    char path[PATH_MAX];
    uint8_t key[32];
    porch_media_clip_path(m, job->clip, true, path);
    PORCH_TRY(porch_signer_clip_key(m->config.signer, job->clip, key, why));
    porch_err e = porch_media_file_create(path, PORCH_MEDIA_FILE_INDEXED, job->clip, key, &job->index, why);
    porch_wipe(key, sizeof key);
    return e;
}

void porch_media_result_index_drop(porch_media *m, media_feed *job) {
    char path[PATH_MAX];
    job->index_bad = true;
    if (job->index == NULL) return;
    porch_media_file_close(job->index);
    job->index = NULL;
    porch_media_clip_path(m, job->clip, true, path);
    (void)unlink(path);
}

void porch_media_result_index_piece(porch_media *m, media_feed *job, const porch_analyst_indexed *piece) {
    porch_why why = {""};
    porch_err e = PORCH_OK;
    if (job->index_bad) return;
    /* A copy is about as long as the clip; more is not believed. */
    uint64_t most = job->size + (1u << 20);
    if (piece->offset != job->index_bytes || piece->piece.len > most - job->index_bytes) {
        e = porch_fail(&why, PORCH_ERR_MALFORMED, "the analyst's copy of the clip does not add up");
    }
    if (e == PORCH_OK && job->index == NULL) e = index_begin(m, job, &why);
    if (e == PORCH_OK) e = porch_media_disk_has(m, piece->piece.len, &why);
    if (e == PORCH_OK) e = porch_media_file_append(job->index, piece->piece, &why);
    if (e == PORCH_OK) {
        job->index_bytes += piece->piece.len;
        return;
    }
    porch_log(PORCH_LOG_WARN, "analysis.no_copy", "clip", job->clip, "reason", porch_why_text(&why, e),
              NULL);
    porch_media_result_index_drop(m, job);
}

bool porch_media_result_index_finish(porch_media *m, media_feed *job, uint64_t announced) {
    porch_why why = {""};
    if (job->index == NULL || announced == 0) return false;
    porch_err e =
        announced == job->index_bytes ? porch_media_file_finish(job->index, &why) : PORCH_ERR_MALFORMED;
    if (e != PORCH_OK) {
        porch_log(PORCH_LOG_WARN, "analysis.no_copy", "clip", job->clip, "reason", porch_why_text(&why, e),
                  NULL);
        porch_media_result_index_drop(m, job);
        return false;
    }
    porch_media_file_close(job->index);
    job->index = NULL;
    return true;
}

/* ---- the end ---- */

typedef struct {
    const char *clip;
    const char *reason;
    uint64_t first_frame_ms, indexed_bytes;
    bool final;
    bool gone; /* deleted meanwhile */
} end_write;

static porch_err store_done(porch_db *db, void *ctx, porch_why *why) {
    end_write *w = ctx;
    porch_db_query *q = porch_db_prepare(db,
                                         "update clip set analysis = 1, first_frame_ms = ?2, indexed_bytes "
                                         "= ?3, analysis_why = null where id = ?1",
                                         why);
    porch_db_bind_str(q, 1, w->clip);
    porch_db_bind_i64(q, 2, (int64_t)w->first_frame_ms);
    porch_db_bind_i64(q, 3, (int64_t)w->indexed_bytes);
    PORCH_TRY(porch_db_execute(q, why));
    w->gone = porch_db_changes(db) == 0;
    return PORCH_OK;
}

porch_err porch_media_result_done(porch_media *m, const media_feed *job, uint64_t indexed_bytes,
                                  porch_why *why) {
    end_write w = {job->clip, NULL, job->first_frame_ms, indexed_bytes, true, false};
    PORCH_TRY(porch_store_write(m->config.store, store_done, &w, why));
    if (w.gone) {
        (void)porch_media_clip_delete_files(m, job->clip, NULL); /* its clip went before */
        return PORCH_OK;
    }
    if (indexed_bytes > 0) porch_media_uploads_account(m, job->owner.household, (int64_t)indexed_bytes);
    return PORCH_OK;
}

static porch_err store_failed(porch_db *db, void *ctx, porch_why *why) {
    end_write *w = ctx;
    porch_db_query *q = porch_db_prepare(db,
                                         "update clip set attempts = attempts + 1, analysis_why = ?2, "
                                         "analysis = case when ?3 then 2 else analysis end where id = ?1",
                                         why);
    porch_db_bind_str(q, 1, w->clip);
    porch_db_bind_str(q, 2, w->reason);
    porch_db_bind_i64(q, 3, w->final);
    return porch_db_execute(q, why);
}

porch_err porch_media_result_failed(porch_media *m, const char *clip, bool final, const char *reason,
                                    porch_why *why) {
    end_write w = {clip, reason, 0, 0, final, false};
    return porch_store_write(m->config.store, store_failed, &w, why);
}
