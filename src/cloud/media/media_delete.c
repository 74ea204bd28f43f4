#include "cloud/media/media_delete.h"

#include <stdlib.h>
#include <string.h>

#include "cloud/media/media_room.h"
#include "os/file.h"
#include "os/log.h"

enum { LEFT_OVER_MOST = 64 };

static void text_at(porch_db_query *q, int column, char *out, size_t cap) {
    (void)porch_bytes_to_text(porch_db_text(q, column), out, cap);
}

static porch_err run_for(porch_db *db, const char *sql, const char *event, porch_why *why) {
    porch_db_query *q = porch_db_prepare(db, sql, why);
    porch_db_bind_str(q, 1, event);
    return porch_db_execute(q, why);
}

/* The clip's row, and whose it is; an event without a clip has none. */
static porch_err find_clip(porch_db *db, porch_media_deleted *gone, bool *recording, porch_why *why) {
    porch_db_query *q = porch_db_prepare(db,
                                         "select id, device, product, household, bytes + indexed_bytes, "
                                         "state from clip where event = ?1",
                                         why);
    porch_db_bind_str(q, 1, gone->event);
    porch_err e = porch_db_step(q, why);
    if (e == PORCH_OK) {
        text_at(q, 0, gone->clip, sizeof gone->clip);
        text_at(q, 1, gone->owner.device, sizeof gone->owner.device);
        text_at(q, 2, gone->owner.product, sizeof gone->owner.product);
        text_at(q, 3, gone->owner.household, sizeof gone->owner.household);
        gone->bytes = (uint64_t)porch_db_i64(q, 4);
        *recording = porch_db_i64(q, 5) == 0;
    }
    porch_db_finish(q);
    return e;
}

static porch_err find_event(porch_db *db, porch_media_deleted *gone, porch_why *why) {
    porch_db_query *q =
        porch_db_prepare(db, "select device, product, household from event where uid = ?1", why);
    porch_db_bind_str(q, 1, gone->event);
    porch_err e = porch_db_step(q, why);
    if (e == PORCH_OK) {
        text_at(q, 0, gone->owner.device, sizeof gone->owner.device);
        text_at(q, 1, gone->owner.product, sizeof gone->owner.product);
        text_at(q, 2, gone->owner.household, sizeof gone->owner.household);
    }
    porch_db_finish(q);
    return e;
}

static porch_err find(porch_db *db, porch_media_deleted *gone, porch_why *why) {
    bool recording = false;
    porch_err clip = find_clip(db, gone, &recording, why);
    if (clip != PORCH_OK && clip != PORCH_ERR_NOT_FOUND) return clip;
    porch_err event = find_event(db, gone, why);
    if (event == PORCH_ERR_NOT_FOUND && clip == PORCH_OK) event = PORCH_OK; /* its row has yet to come */
    if (event == PORCH_ERR_NOT_FOUND) return porch_fail(why, event, "there is no such event");
    if (event == PORCH_OK && recording)
        return porch_fail(why, PORCH_ERR_STATE,
                          "the clip is still being recorded; delete it when it is complete");
    return event;
}

static porch_err remember(porch_db *db, const porch_media_deleted *gone, uint64_t now_ms, porch_why *why) {
    porch_db_query *q =
        porch_db_prepare(db,
                         "insert into deleted (event, clip, deleted_ms, files, household) values "
                         "(?1, ?2, ?3, ?2 = '', ?4) on conflict (event) do nothing",
                         why);
    porch_db_bind_str(q, 1, gone->event);
    porch_db_bind_str(q, 2, gone->clip);
    porch_db_bind_i64(q, 3, (int64_t)now_ms);
    porch_db_bind_str(q, 4, gone->owner.household);
    return porch_db_execute(q, why);
}

porch_err porch_media_delete_messages(porch_db *db, const char *event, porch_media_messages *add,
                                      porch_why *why) {
    porch_err e;
    porch_db_query *q = porch_db_prepare(db, "select seq from event_message where event = ?1", why);
    porch_db_bind_str(q, 1, event);
    while ((e = porch_db_step(q, why)) == PORCH_OK) {
        if (add->count == add->cap) {
            size_t cap = add->cap == 0 ? 8 : 2 * add->cap;
            uint64_t *more = realloc(add->at, cap * sizeof *more);
            if (more == NULL) {
                e = porch_fail(why, PORCH_ERR_NO_SPACE, "no memory to delete an event");
                break;
            }
            add->at = more;
            add->cap = cap;
        }
        add->at[add->count++] = (uint64_t)porch_db_i64(q, 0);
    }
    porch_db_finish(q);
    return e == PORCH_ERR_NOT_FOUND ? PORCH_OK : e;
}

/* The message log never loses its newest row, from which the next number is made: that one is emptied, and
 * no session is given it any more. */
const char *const porch_media_delete_sql[] = {
    "delete from mqtt_retained where seq in (select seq from event_message where event = ?1)",
    ("update message set payload = x'', flags = flags & ~1 where seq in (select seq from event_message "
     "where event = ?1)"),
    ("delete from message where seq in (select seq from event_message where event = ?1) and "
     "seq < (select max(seq) from message)"),
    "delete from event_message where event = ?1",
    "delete from feedback where event = ?1",
    "delete from person where event = ?1",
    "delete from clip where event = ?1",
    "delete from event where uid = ?1",
    NULL};

porch_err porch_media_delete_rows(porch_db *db, const char *event, uint64_t now_ms,
                                  porch_media_deleted *ret, porch_why *why) {
    porch_media_deleted gone = {.bytes = 0};
    if (!porch_bytes_to_text(porch_bytes_of(event), gone.event, sizeof gone.event) ||
        !porch_media_uid_good(gone.event))
        return porch_fail(why, PORCH_ERR_NOT_FOUND, "there is no such event");
    PORCH_TRY(find(db, &gone, why));
    for (size_t i = 0; porch_media_delete_sql[i] != NULL; i++)
        PORCH_TRY(run_for(db, porch_media_delete_sql[i], gone.event, why));
    PORCH_TRY(remember(db, &gone, now_ms, why));
    *ret = gone;
    return PORCH_OK;
}

porch_err porch_media_delete_mark(porch_db *db, const char *event, const porch_media_owner *owner,
                                  uint64_t now_ms, porch_media_deleted *ret, porch_why *why) {
    porch_media_deleted gone = {.owner = *owner};
    if (!porch_bytes_to_text(porch_bytes_of(event), gone.event, sizeof gone.event) ||
        !porch_media_uid_good(gone.event))
        return porch_fail(why, PORCH_ERR_NOT_FOUND, "there is no such event");
    PORCH_TRY(remember(db, &gone, now_ms, why));
    *ret = gone;
    return PORCH_OK;
}

/* The mark of a clip that was given up has done its work. */
static porch_err files_gone(porch_db *db, void *ctx, porch_why *why) {
    PORCH_TRY(run_for(db, "delete from deleted where event = ?1", ctx, why));
    return run_for(db, "update deleted set files = 1 where clip = ?1", ctx, why);
}

static void remove_files(porch_media *m, const char *clip) {
    porch_why why = {""};
    char id[PORCH_MEDIA_UID];
    (void)porch_bytes_to_text(porch_bytes_of(clip), id, sizeof id);
    porch_err e = porch_media_clip_delete_files(m, id, &why);
    if (e == PORCH_OK) e = porch_dir_sync(m->clips, &why);
    if (e == PORCH_OK) e = porch_store_write(m->config.store, files_gone, id, &why);
    if (e != PORCH_OK) /* the mark stays, and the next start removes them once more, which harms nothing */
        porch_log(PORCH_LOG_WARN, "clip.delete_unfinished", "clip", id, "reason", porch_why_text(&why, e),
                  NULL);
}

void porch_media_delete_rest(porch_media *m, const porch_media_deleted *gone) {
    if (gone->clip[0] == '\0') return;
    porch_media_feed_forget(m, gone->clip);
    remove_files(m, gone->clip);
    porch_media_uploads_account(m, gone->owner.household, -(int64_t)gone->bytes);
}

porch_err porch_media_is_deleted(porch_db *db, const char *event, bool *ret, porch_why *why) {
    porch_db_query *q = porch_db_prepare(db, "select 1 from deleted where event = ?1", why);
    porch_db_bind_str(q, 1, event);
    porch_err e = porch_db_step(q, why);
    porch_db_finish(q);
    *ret = e == PORCH_OK;
    return e == PORCH_ERR_NOT_FOUND ? PORCH_OK : e;
}

/* ---- what was never finished ---- */

/* Its mark stands under the clip's own name, not under the event's: no person has deleted that. */
porch_err porch_media_delete_unfinished(porch_db *db, const char *clip, bool *gone, porch_why *why) {
    PORCH_TRY(run_for(db,
                      "insert into deleted (event, clip, deleted_ms, files, household) "
                      "select id, id, 0, 0, household from clip where id = ?1 and state = 0",
                      clip, why));
    PORCH_TRY(run_for(db, "delete from clip where id = ?1 and state = 0", clip, why));
    *gone = porch_db_changes(db) == 1;
    return PORCH_OK;
}

typedef struct {
    const char *clip;
    bool gone;
} give_up;

static porch_err take_row(porch_db *db, void *ctx, porch_why *why) {
    give_up *g = ctx;
    return porch_media_delete_unfinished(db, g->clip, &g->gone, why);
}

porch_err porch_media_give_up(porch_media *m, const char *clip, porch_why *why) {
    give_up g = {.clip = clip};
    PORCH_TRY(porch_store_write(m->config.store, take_row, &g, why));
    if (g.gone) remove_files(m, clip);
    return PORCH_OK;
}

/* ---- what a crash left between rows and files ---- */

typedef struct {
    size_t count;
    char after[PORCH_MEDIA_UID];
    char clip[LEFT_OVER_MOST][PORCH_MEDIA_UID];
} left_over;

static porch_err read_left_over(porch_db *db, void *ctx, porch_why *why) {
    left_over *l = ctx;
    porch_err e;
    l->count = 0;
    porch_db_query *q = porch_db_prepare(
        db, "select clip from deleted where files = 0 and clip > ?2 order by clip limit ?1", why);
    porch_db_bind_i64(q, 1, LEFT_OVER_MOST);
    porch_db_bind_str(q, 2, l->after);
    while ((e = porch_db_step(q, why)) == PORCH_OK && l->count < LEFT_OVER_MOST)
        text_at(q, 0, l->clip[l->count++], PORCH_MEDIA_UID);
    porch_db_finish(q);
    return e == PORCH_ERR_NOT_FOUND ? PORCH_OK : e;
}

porch_err porch_media_delete_left_over(porch_media *m, porch_why *why) {
    left_over l = {.count = 0};
    do {
        PORCH_TRY(porch_store_read(m->config.store, read_left_over, &l, why));
        for (size_t i = 0; i < l.count; i++) {
            remove_files(m, l.clip[i]);
            memcpy(l.after, l.clip[i], sizeof l.after);
        }
    } while (l.count == LEFT_OVER_MOST);
    return PORCH_OK;
}

porch_err porch_media_delete_forget(porch_db *db, uint64_t before_ms, porch_why *why) {
    porch_db_query *q =
        porch_db_prepare(db, "delete from deleted where deleted_ms < ?1 and files = 1", why);
    porch_db_bind_i64(q, 1, (int64_t)before_ms);
    PORCH_TRY(porch_db_execute(q, why));
    /* A retained message outlives its row in the log. */
    return porch_db_run(db,
                        "delete from event_message where seq < (select coalesce(min(seq), 0) from message) "
                        "and seq not in (select seq from mqtt_retained)",
                        why);
}
