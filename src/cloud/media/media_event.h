/* Motion events as rows, and the timeline that people read.
 *
 * The uid of an event is 32 hex digits of SHA-256(device id, zero byte, the device's own event id): the
 * same event sent twice lands on the same row, and no device can name another's event. */
#ifndef PORCH_CLOUD_MEDIA_MEDIA_EVENT_H
#define PORCH_CLOUD_MEDIA_MEDIA_EVENT_H

#include "cloud/media/media.h"
#include "wire/id.h"

/* Room for a uid and its zero. */
#define PORCH_MEDIA_UID 33

void porch_media_event_uid(const char *device, porch_bytes device_event, char ret[PORCH_MEDIA_UID]);

typedef enum { PORCH_MEDIA_CLIP_RECORDING = 0, PORCH_MEDIA_CLIP_COMPLETE = 1 } porch_media_clip_state;
typedef enum {
    PORCH_MEDIA_ANALYSIS_WAITING = 0,
    PORCH_MEDIA_ANALYSIS_DONE = 1,
    PORCH_MEDIA_ANALYSIS_FAILED = 2
} porch_media_analysis_state;

typedef struct {
    char id[PORCH_MEDIA_UID];
    char event[PORCH_MEDIA_UID]; /* the event's uid; its row may arrive later than the clip */
    porch_media_owner owner;
    porch_media_clip_state state;
    uint64_t bytes;     /* of the original; 0 while recording */
    uint8_t sha256[32]; /* of the original; zeros while recording */
    uint64_t created_ms, first_byte_ms, complete_ms;
    porch_media_analysis_state analysis;
    uint64_t indexed_bytes; /* of the copy made for seeking; 0: none */
} porch_media_clip_info;

typedef struct {
    uint64_t seq; /* the order of arrival; a timeline cursor */
    char uid[PORCH_MEDIA_UID];
    char device_event[65];
    porch_media_owner owner;
    char kind[33];
    uint64_t at_ms;       /* the device's clock: capture of the first frame with motion */
    uint64_t received_ms; /* the hub's clock */
    double score;
    porch_media_box box;
    bool has_thumbnail;
    bool has_clip;
    porch_media_clip_info clip;
    bool has_person;
    double person_score;
    porch_media_box person_box;
    uint64_t person_at_ms; /* when the picture was taken */
    bool has_picture;
    bool held_back;    /* nobody was told of this person: see media_feedback.h */
    bool not_a_person; /* somebody said so */
    char said_by[65];
    uint64_t said_ms;
} porch_media_event;

enum { PORCH_MEDIA_LIST_MOST = 200 }; /* events in one list */

typedef struct {
    const char *household; /* NULL: all */
    uint64_t before_seq;   /* only earlier arrivals; 0: from the newest */
    uint32_t limit;        /* at most PORCH_MEDIA_LIST_MOST */
} porch_media_event_query;

/* Calls `fn` for each event in order of arrival, newest first. The event is valid during the call only. */
porch_err porch_media_events(porch_media *m, const porch_media_event_query *query,
                             void (*fn)(const porch_media_event *event, void *ctx), void *ctx,
                             porch_why *why);

/* A part of a household's timeline: what happened in [from_ms, before), newest first. A place in it is
 * (at_ms, seq): two events of one millisecond keep their order, and paging neither skips nor doubles. */
typedef struct {
    const char *household;
    const char *device; /* NULL: all */
    bool person;        /* only those in which a person was found */
    /* Only of these (of which `device` is one, where it is given); NULL: of all. A page costs as many looks
     * into an index as there are devices, however many events of others lie between. */
    const porch_id *devices;
    size_t device_count;
    uint64_t from_ms;   /* 0: from the beginning */
    uint64_t before_ms; /* with before_seq: only what is older than this place */
    uint64_t before_seq;
    uint32_t limit; /* at most PORCH_MEDIA_LIST_MOST */
} porch_media_timeline_query;

/* Every device of which the household keeps an event, in order; malloc'ed, the caller frees it. It costs a
 * look into an index for each. */
porch_err porch_media_devices(porch_media *m, const char *household, porch_id **ret, size_t *count,
                              porch_why *why);

/* Calls `fn` for each event. The event is valid during the call only. */
porch_err porch_media_timeline(porch_media *m, const porch_media_timeline_query *query,
                               void (*fn)(const porch_media_event *event, void *ctx), void *ctx,
                               porch_why *why);
porch_err porch_media_event_get(porch_media *m, const char *uid, porch_media_event *ret, porch_why *why);
porch_err porch_media_clip_get(porch_media *m, const char *clip, porch_media_clip_info *ret,
                               porch_why *why);

/* JPEG bytes in a block that the caller frees. NOT_FOUND when there is none. `household` NULL: any;
 * else NOT_FOUND for another household's event, as if it were not there. */
porch_err porch_media_thumbnail(porch_media *m, const char *uid, const char *household, uint8_t **ret,
                                size_t *len, porch_why *why);
porch_err porch_media_picture(porch_media *m, const char *uid, const char *household, uint8_t **ret,
                              size_t *len, porch_why *why);

/* Observers; one each, set before porch_media_start and before the shards run. Called after the commit,
 * on the store's writer thread or the analysis thread: quick, no waiting. */
void porch_media_on_event(porch_media *m, void (*fn)(const porch_media_event *event, void *ctx), void *ctx);
void porch_media_on_clip(porch_media *m, void (*fn)(const porch_media_clip_info *clip, void *ctx),
                         void *ctx);

#endif
