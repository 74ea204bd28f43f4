/* Deleting what a person no longer wants kept: the event, its clip and all that was made of them.
 *
 *   porch_media_delete_rows(db)   event, thumbnail, clip, person, picture, and the stored messages that
 * carried │ commit               the event; a row stays that says only "this one was deleted" ▼
 *   porch_media_delete_rest(m)    the clip's files, an analysis under way, the household's quota
 *          │
 *          ▼
 *   porch_store_scrub             the log
 *
 * Rows go before files; files that a crash left behind are removed at the next start. A device that sends
 * the event or its clip again is told that it is gone (HTTP 410) and keeps nothing either. */
#ifndef PORCH_CLOUD_MEDIA_MEDIA_DELETE_H
#define PORCH_CLOUD_MEDIA_MEDIA_DELETE_H

#include "cloud/media/media_event.h"

typedef struct {
    char event[PORCH_MEDIA_UID];
    char clip[PORCH_MEDIA_UID]; /* "" when the event had none */
    porch_media_owner owner;
    uint64_t bytes; /* that the household gets back */
} porch_media_deleted;

/* The numbers of the messages that carried events. Begins as {0}; `at` is freed by who has it. */
typedef struct {
    uint64_t *at;
    size_t count, cap;
} porch_media_messages;

/* Adds those that carried this event. Inside a write, before its rows go. */
porch_err porch_media_delete_messages(porch_db *db, const char *event, porch_media_messages *add,
                                      porch_why *why);
/* Of an event that has not come yet: its device is told that it is not wanted when it does. */
porch_err porch_media_delete_mark(porch_db *db, const char *event, const porch_media_owner *owner,
                                  uint64_t now_ms, porch_media_deleted *ret, porch_why *why);
/* Inside a porch_store_write. NOT_FOUND; STATE while the clip is being recorded. */
porch_err porch_media_delete_rows(porch_db *db, const char *event, uint64_t now_ms,
                                  porch_media_deleted *ret, porch_why *why);
/* After that write is durable. Blocks on the disk. */
void porch_media_delete_rest(porch_media *m, const porch_media_deleted *gone);
/* Whether a person has deleted this event. Inside a read or a write. */
porch_err porch_media_is_deleted(porch_db *db, const char *event, bool *ret, porch_why *why);

#endif
