#include "cloud/media/media.h"

#include <stdio.h>
#include <stdlib.h>

#include "cloud/media/media_keep.h"
#include "cloud/media/media_room.h"
#include "os/file.h"

porch_err porch_media_open(const porch_media_config *config, porch_media **ret, porch_why *why) {
    porch_media *m = calloc(1, sizeof *m);
    if (m == NULL) return porch_fail(why, PORCH_ERR_NO_SPACE, "no memory for media");
    m->config = *config;
    porch_err e = porch_path_join(config->dir, "clips", m->clips, sizeof m->clips - 64);
    if (e == PORCH_OK) e = porch_dir_make(m->clips, 0700, why);
    if (e == PORCH_OK) e = porch_media_clips_sweep(m, why);
    if (e == PORCH_OK) e = porch_media_delete_left_over(m, why);
    if (e == PORCH_OK) e = porch_media_events_open(m, &m->events, why);
    if (e == PORCH_OK) e = porch_media_uploads_open(m, &m->uploads, why);
    if (e == PORCH_OK) e = porch_media_keeper_open(m, &m->keeper, why);
    if (e == PORCH_OK && config->analyst != NULL) e = porch_media_analysis_open(m, &m->analysis, why);
    if (e != PORCH_OK) {
        porch_media_close(m);
        return e;
    }
    *ret = m;
    return PORCH_OK;
}

porch_err porch_media_start(porch_media *m, porch_why *why) {
    PORCH_TRY(porch_media_keeper_start(m->keeper, why));
    return m->analysis == NULL ? PORCH_OK : porch_media_analysis_start(m->analysis, why);
}

void porch_media_stop(porch_media *m) {
    if (m == NULL) return;
    porch_media_keeper_stop(m->keeper);
    if (m->analysis != NULL) porch_media_analysis_stop(m->analysis);
}

void porch_media_close(porch_media *m) {
    if (m == NULL) return;
    porch_media_analysis_close(m->analysis);
    porch_media_keeper_close(m->keeper);
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

void porch_media_on_forget(porch_media *m,
                           porch_err (*fn)(porch_db *db, const char *event, void *ctx, porch_why *why),
                           void *ctx) {
    m->on_forget = fn;
    m->on_forget_ctx = ctx;
}

void porch_media_on_forgotten(porch_media *m, void (*fn)(const uint64_t *seqs, size_t count, void *ctx),
                              void *ctx) {
    m->on_forgotten = fn;
    m->on_forgotten_ctx = ctx;
}
