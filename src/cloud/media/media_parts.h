/* What is unfinished, and what each household keeps: a small record in memory for every clip on its way in,
 * which knows whose it is, how much of it is there, and who is appending to it now; and the sums that
 * quotas are judged by. media_upload.c works with it; the room opens and closes it.
 *
 * One lock for all of it, held for moments only, never over disk work. */
#ifndef PORCH_CLOUD_MEDIA_PARTS_H
#define PORCH_CLOUD_MEDIA_PARTS_H

#include <pthread.h>

#include "cloud/media/media_room.h"
#include "cloud/media/media_upload.h"

typedef struct media_part {
    struct media_part *next;
    char id[PORCH_MEDIA_UID];
    char event[PORCH_MEDIA_UID];
    porch_media_owner owner;
    uint64_t created_ms, first_byte_ms;
    uint64_t bytes;   /* appended, durable or not */
    uint64_t durable; /* on the disk whatever dies next, if known: found by reading all of it */
    bool known;
    bool begun;                 /* its row is written: before that it is a place that was taken, no more */
    uint64_t used;              /* the number of its last use: who was used longest ago has the least */
    uint64_t used_mono_ms;      /* when that was; 0: before the room was opened */
    porch_media_upload *active; /* who appends now */
} media_part;

typedef struct media_household {
    struct media_household *next;
    char name[65];
    uint64_t bytes; /* of complete clips and their copies */
} media_household;

struct media_uploads {
    porch_media *media;
    pthread_mutex_t lock;
    media_part *parts;
    uint64_t uses;
    media_household *households;
};

void porch_media_uploads_lock(media_uploads *u);
void porch_media_uploads_unlock(media_uploads *u);

/* What follows is called with the lock held. */

/* NULL when no such clip is unfinished. */
media_part *porch_media_part_find(media_uploads *u, const char *clip);
/* The part of this clip, made when there is none yet; NULL without memory. */
media_part *porch_media_part_add(media_uploads *u, const char *clip, const char *event,
                                 const porch_media_owner *owner, uint64_t created_ms);
/* It is used now. */
void porch_media_part_use(media_uploads *u, media_part *part);
/* Out of the list, with a copy for who gives it up: nobody goes on with it meanwhile. */
void porch_media_part_take(media_uploads *u, media_part *part, media_part *ret);
/* Whoever appends to it loses it. */
void porch_media_part_drop(media_uploads *u, media_part *gone);
/* Bytes of the household's complete clips, their copies, and all that is on its way. */
uint64_t porch_media_household_bytes(media_uploads *u, const char *name);
/* The household's complete clips are so many bytes more (or less). */
void porch_media_household_account(media_uploads *u, const char *name, int64_t bytes);

/* Without the lock: the clip was to be given up, and is still there. `gone` is a copy of its part. */
void porch_media_part_put_back(porch_media *m, const media_part *gone);

/* media_upload.c: the clip is no longer this handle's. */
void porch_media_upload_lose_part(porch_media_upload *u);

#endif
