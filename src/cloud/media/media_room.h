/* What the files of this room share, and nobody else sees. */
#ifndef PORCH_CLOUD_MEDIA_MEDIA_ROOM_H
#define PORCH_CLOUD_MEDIA_MEDIA_ROOM_H

#include <limits.h>
#include <pthread.h>

#include "cloud/media/media.h"
#include "cloud/media/media_analysis.h"
#include "cloud/media/media_clip.h"
#include "cloud/media/media_delete.h"
#include "cloud/media/media_event.h"
#include "cloud/media/media_feedback.h"
#include "cloud/media/media_keep.h"
#include "cloud/media/media_upload.h"

typedef struct media_analysis media_analysis;
typedef struct media_events media_events;
typedef struct media_feed media_feed;
typedef struct media_keeper media_keeper;
typedef struct media_uploads media_uploads;

struct porch_media {
    porch_media_config config;
    char clips[PATH_MAX]; /* dir/clips */
    media_events *events;
    media_uploads *uploads;
    media_keeper *keeper;
    media_analysis *analysis; /* NULL: nothing is analysed */
    void (*on_event)(const porch_media_event *event, void *ctx);
    void *on_event_ctx;
    void (*on_clip)(const porch_media_clip_info *clip, void *ctx);
    void *on_clip_ctx;
    porch_err (*on_person)(porch_db *db, const porch_media_person *person, void *ctx, porch_why *why);
    void *on_person_ctx;
    porch_err (*on_forget)(porch_db *db, const char *event, void *ctx, porch_why *why);
    void *on_forget_ctx;
    void (*on_forgotten)(const uint64_t *seqs, size_t count, void *ctx);
    void *on_forgotten_ctx;
};

/* ---- media_event.c ---- */
porch_err porch_media_events_open(porch_media *m, media_events **ret, porch_why *why);
void porch_media_events_close(media_events *e);
/* When the event became durable, Unix ms; 0 when this run of the hub does not know. */
uint64_t porch_media_events_durable_ms(media_events *e, const char *uid);
/* What porch_media_event_row reads, in its order, from event e with its clip c and its person p. */
#define PORCH_MEDIA_EVENT_COLUMNS                                                                         \
    "c.id, c.event, c.device, c.product, c.household, c.state, c.bytes, c.sha256, c.created_ms, "         \
    "c.first_byte_ms, c.complete_ms, c.analysis, c.indexed_bytes, e.seq, e.uid, e.device_event, "         \
    "e.device, e.product, e.household, e.kind, e.at_ms, e.received_ms, e.score, e.x, e.y, e.w, e.h, "     \
    "e.thumbnail is not null, p.score, p.x, p.y, p.w, p.h, p.at_ms, p.picture is not null, p.held_back, " \
    "f.said_by, f.said_ms "
#define PORCH_MEDIA_EVENT_JOINS                                                  \
    "left join clip c on c.event = e.uid left join person p on p.event = e.uid " \
    "left join feedback f on f.event = e.uid "
void porch_media_event_row(porch_db_query *q, porch_media_event *e);
/* Reads one clip row. NOT_FOUND. */
porch_err porch_media_clip_row(porch_db *db, const char *clip, porch_media_clip_info *ret, porch_why *why);
/* A uid: 32 lower-case hex digits. Guards every path that is made of one. */
bool porch_media_uid_good(const char *text);

/* ---- media_timeline.c ---- */
/* The query of each kind of timeline: ?1 household, ?2 from, ?3 and ?4 the place, ?5 limit, ?6 device. */
const char *porch_media_timeline_sql(bool device, bool person);
/* (at_ms, seq) of one device, newest first: ?1 to ?6 as above. */
const char *porch_media_timeline_keys_sql(bool person);

/* ---- media_clip.c ---- */
/* dir/clips/<id>.clip or .index */
void porch_media_clip_path(const porch_media *m, const char *clip, bool indexed, char ret[PATH_MAX]);
/* IO: one of them is still there. The folder is not synced. */
porch_err porch_media_clip_delete_files(const porch_media *m, const char *clip, porch_why *why);
/* At the room's start: what writes that a crash cut off have left in the folder. After a restore also clips
 * that came in while the backup was made, behind its copy of the database: nobody would ever remove them.
 */
porch_err porch_media_clips_sweep(porch_media *m, porch_why *why);
/* FULL where `more` bytes of clips would leave the disk less than media.disk_reserve_bytes: what the
 * database needs to go on, and to forget what is old. */
porch_err porch_media_disk_has(const porch_media *m, uint64_t more, porch_why *why);

/* ---- media_delete.c ---- */
/* Removes the files of deleted clips that a crash has left. */
porch_err porch_media_delete_left_over(porch_media *m, porch_why *why);
/* Ends the memory of what was deleted before `before_ms`. Inside a write. */
porch_err porch_media_delete_forget(porch_db *db, uint64_t before_ms, porch_why *why);

/* Takes the row of a clip that is not complete; its files are left to porch_media_give_up, or to the next
 * start. *gone false: there is no such clip, or it is complete by now. Inside a write. */
porch_err porch_media_delete_unfinished(porch_db *db, const char *clip, bool *gone, porch_why *why);
/* The same with its files. Nobody may append to it any more. Blocks. */
porch_err porch_media_give_up(porch_media *m, const char *clip, porch_why *why);

/* ---- media_parts.c ---- */
porch_err porch_media_uploads_open(porch_media *m, media_uploads **ret, porch_why *why);
void porch_media_uploads_close(media_uploads *u);
/* Bytes that a household keeps changed outside of uploads: an indexed copy was made, a clip deleted. */
void porch_media_uploads_account(porch_media *m, const char *household, int64_t bytes);
/* What the household keeps now, unfinished clips included. */
uint64_t porch_media_uploads_bytes(porch_media *m, const char *household);
/* Ends the household's unfinished uploads, whoever appends to them, and forgets its sum. */
porch_err porch_media_uploads_erase(porch_media *m, const char *household, porch_why *why);
/* Gives up unfinished uploads begun before `before_ms`. */
porch_err porch_media_uploads_sweep(porch_media *m, uint64_t before_ms, porch_why *why);

/* ---- media_keep.c ---- */
porch_err porch_media_keeper_open(porch_media *m, media_keeper **ret, porch_why *why);
porch_err porch_media_keeper_start(media_keeper *k, porch_why *why);
void porch_media_keeper_stop(media_keeper *k);
void porch_media_keeper_close(media_keeper *k);
bool porch_media_keeper_stopping(media_keeper *k);
/* One round of the keeper by both clocks. While the real one is not trusted (clock_trust.h) nothing is old,
 * but for a household whose owner has just set a limit and saw by this clock what it takes. */
porch_err porch_media_keep_round(porch_media *m, uint64_t real_ms, uint64_t mono_ms, porch_why *why);
/* The household's own limits. */
porch_media_keep porch_media_keep_of(porch_media *m, const char *household);
/* Lets the oldest go until `bytes` more fit into what the household itself wants to keep; without such a
 * limit nothing. Blocks. */
porch_err porch_media_keep_make_room(porch_media *m, const char *household, uint64_t bytes, porch_why *why);
/* Every question about age, for the test that asks for their plans; ends with NULL. */
extern const char *const porch_media_keep_sql[];
/* What deletes one event, likewise. */
extern const char *const porch_media_delete_sql[];

/* ---- media_analysis.c: the uploads' end of it. All quick; a NULL feed may be passed everywhere. ---- */
porch_err porch_media_analysis_open(porch_media *m, media_analysis **ret, porch_why *why);
porch_err porch_media_analysis_start(media_analysis *a, porch_why *why);
void porch_media_analysis_stop(media_analysis *a);
void porch_media_analysis_close(media_analysis *a);
/* A live clip whose bytes will follow from offset 0; takes over what an interrupted upload of the same
 * clip has fed, and ends the feed of one that the device began earlier. NULL when there is no room, or the
 * device feeds a later clip: this one is analysed when it is complete. */
media_feed *porch_media_feed_open(porch_media *m, const porch_media_clip_info *clip);
/* Bytes at `offset`; what the feed has already is skipped. Bytes that do not fit the memory end it. */
void porch_media_feed_bytes(media_feed *f, uint64_t offset, porch_bytes bytes);
void porch_media_feed_first_byte(media_feed *f, uint64_t at_ms);
/* Complete: `bytes` in all. Gives the feed back. */
void porch_media_feed_complete(media_feed *f, uint64_t bytes);
/* The upload paused: the analysis waits for it a while. Gives the feed back. */
void porch_media_feed_pause(media_feed *f);
/* The clip starts again from nothing. Gives the feed back. */
void porch_media_feed_cancel(media_feed *f);
/* The clip was deleted: its analysis ends, and what it still says is not kept. */
void porch_media_feed_forget(porch_media *m, const char *clip);
/* A clip is complete that was not fed: look into the backlog. */
void porch_media_analysis_wake(porch_media *m);

#endif
