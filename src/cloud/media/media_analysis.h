/* What the analysis found, told inside the transaction that stores it.
 *
 * The scheduler is one thread: it feeds live uploads to the analyst as their bytes arrive, takes up the
 * backlog when there is room, and never makes an upload wait. A crash, a hang or a limit costs that
 * clip's analysis only: logged, tried once more, then marked failed. */
#ifndef PORCH_CLOUD_MEDIA_MEDIA_ANALYSIS_H
#define PORCH_CLOUD_MEDIA_MEDIA_ANALYSIS_H

#include "cloud/media/media_event.h"

/* The journey's hops, Unix ms; 0 where unknown. */
typedef struct {
    uint64_t motion_at_ms;
    uint64_t event_received_ms;
    uint64_t event_durable_ms;
    uint64_t clip_first_byte_ms;
    uint64_t analysis_first_frame_ms;
    uint64_t person_found_ms;
} porch_media_trace;

/* Valid during the call only. */
typedef struct {
    char event[PORCH_MEDIA_UID];
    char clip[PORCH_MEDIA_UID];
    porch_media_owner owner;
    uint64_t at_ms; /* the event's time; when the event has not arrived yet, the time of finding */
    double score;   /* the detector's; above media.person_score */
    porch_media_box box;
    uint32_t agreeing;   /* of the last five sampled frames, how many agree */
    porch_bytes picture; /* JPEG */
    porch_media_trace trace;
} porch_media_person;

/* Called once per event, on the store's writer thread, inside the transaction that stores the result:
 * when it fails the result is not stored and the analysis is tried again. Set before porch_media_start. */
void porch_media_on_person(porch_media *m,
                           porch_err (*fn)(porch_db *db, const porch_media_person *person, void *ctx,
                                           porch_why *why),
                           void *ctx);

typedef struct {
    uint64_t waiting, running, done, failed, persons;
} porch_media_analysis_counts;
void porch_media_analysis_count(porch_media *m, porch_media_analysis_counts *ret);

#endif
