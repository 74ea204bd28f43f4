/* A clip on its way in: idempotent begin, resumable append, finish with the hash.
 *
 *   begin(event) ─► id ─► open(id, offset) ─► append* ─► pause (durable)   ... open again ...
 *                                               └─────► finish(sha256)
 *
 * Promise: an offset that status, pause or open has told is on disk and stays readable whatever dies
 * next. One upload handle per clip: a newer open takes the clip over, and the older handle's next call
 * answers CLOSED (a camera that lost its connection need not wait for the hub to notice). */
#ifndef PORCH_CLOUD_MEDIA_MEDIA_UPLOAD_H
#define PORCH_CLOUD_MEDIA_MEDIA_UPLOAD_H

#include "cloud/media/media_event.h"

typedef struct porch_media_upload porch_media_upload;

typedef struct {
    uint64_t offset; /* durable bytes */
    bool complete;
    uint64_t most_bytes; /* the limit for one clip */
} porch_media_upload_info;

/* The clip of this device's event, made when there is none yet (*made says so). `device_event` is the
 * device's own event id, already parsed as an id.
 *   FULL   the household's quota (media.household_bytes) is used up
 *   REVOKED a person has deleted the event: its clip is not wanted
 *   DENIED the device is of another household by now
 *   BUSY   the device is sending as many clips as it may (media.uploads_per_device); of those that nobody
 *          sends, the one used longest ago is given up instead */
porch_err porch_media_upload_begin(porch_media *m, const porch_media_owner *owner, const char *device_event,
                                   uint64_t now_ms, char clip[PORCH_MEDIA_UID], bool *made, porch_why *why);

/* NOT_FOUND; DENIED when the clip is another device's. */
porch_err porch_media_upload_status(porch_media *m, const char *device, const char *clip,
                                    porch_media_upload_info *ret, porch_why *why);

/* Opens for appending at `offset`. STATE when that is not the durable end or the clip is complete: then
 * *at tells the right offset. NOT_FOUND, DENIED as above. */
porch_err porch_media_upload_open(porch_media *m, const char *device, const char *clip, uint64_t offset,
                                  porch_media_upload **ret, uint64_t *at, porch_why *why);

/* LIMIT past media.clip_bytes; FULL past the quota or on a full disk; CLOSED when taken over. After an
 * error only close is left; what was durable stays. */
porch_err porch_media_upload_append(porch_media_upload *u, porch_bytes bytes, porch_why *why);
/* Makes all appended bytes durable; *durable is the offset to go on from. */
porch_err porch_media_upload_pause(porch_media_upload *u, uint64_t *durable, porch_why *why);
/* Compares the hash over all bytes. HASH: the clip starts again at offset 0. OK: complete and durable. */
porch_err porch_media_upload_finish(porch_media_upload *u, const uint8_t sha256[32], uint64_t now_ms,
                                    porch_why *why);
/* Pauses when needed and frees. NULL is allowed. */
void porch_media_upload_close(porch_media_upload *u);

/* Gives up the event's unfinished clip, row and files, if nobody is sending it. STATE: somebody is, or
 * there is none. */
porch_err porch_media_upload_abandon(porch_media *m, const char *event, porch_why *why);

#endif
