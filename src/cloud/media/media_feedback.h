/* "Not a person": a person corrects the analysis, and the hub acts on it, for a while and at that spot
 * only.
 *
 *   said of an event ─► a row with the false alarm's box and score
 *   the next person of the same camera whose box overlaps it (half of both, or more) ─► told of only when
 * the analysis is surer than it was of the false alarm: its score must be above 1.1 times that one's
 *
 * What is held back stays in the timeline, marked so, with its clip; nobody is notified of it. It ends
 * after media.feedback_days, or when the person takes the word back. No model is trained. */
#ifndef PORCH_CLOUD_MEDIA_MEDIA_FEEDBACK_H
#define PORCH_CLOUD_MEDIA_MEDIA_FEEDBACK_H

#include "cloud/media/media_event.h"

/* Inside a porch_store_write. NOT_FOUND: no such event; STATE: no person was found in it. Saying it twice
 * is fine. */
porch_err porch_media_feedback_say(porch_db *db, const char *event, const char *said_by, uint64_t now_ms,
                                   porch_why *why);
/* Takes it back; fine when nothing was said. */
porch_err porch_media_feedback_take_back(porch_db *db, const char *event, porch_why *why);
/* The score that a person at this spot must be above; 0: no one has said anything of it since `since_ms`.
 */
porch_err porch_media_feedback_threshold(porch_db *db, const char *device, const porch_media_box *box,
                                         uint64_t since_ms, double *ret, porch_why *why);
/* How much two boxes have in common: 0 nothing, 1 all (the area of both over the area of either). */
double porch_media_box_overlap(const porch_media_box *a, const porch_media_box *b);

typedef struct {
    uint64_t said;      /* events of which somebody says so now */
    uint64_t held_back; /* persons that are held back because of it */
} porch_media_feedback_counts;
/* Blocks. */
porch_err porch_media_feedback_count(porch_media *m, porch_media_feedback_counts *ret, porch_why *why);

#endif
