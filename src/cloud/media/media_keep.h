/* How long a household's past stays: what leaves, what would leave, and all of it at once.
 *
 *   older than N days  ─┐
 *   past N bytes       ─┼─► a cutoff ─► in small bites: event, picture, person, stored message, clip,
 * notification the household ends ─┘
 *
 * What leaves, leaves whole and oldest first: nothing of an event survives it. Each bite is one short
 * write, so that messages are stored and people are served meanwhile. A household's own limits come on top
 * of the hub's (media.keep_days, media.household_bytes); without an own limit of bytes a full household is
 * refused new clips, with one it makes room. */
#ifndef PORCH_CLOUD_MEDIA_MEDIA_KEEP_H
#define PORCH_CLOUD_MEDIA_MEDIA_KEEP_H

#include "cloud/media/media.h"

/* 0: no limit of its own. */
typedef struct {
    uint32_t days;
    uint64_t bytes;
} porch_media_keep;

/* What a cutoff takes, or all that a household has. */
typedef struct {
    uint64_t clips, events, bytes;
    uint64_t from_ms, to_ms; /* the first and the last of it; 0 when there is nothing */
} porch_media_keep_sum;

typedef struct {
    porch_media_keep own;
    porch_media_keep_sum now;
} porch_media_keep_view;

porch_err porch_media_keep_read(porch_media *m, const char *household, porch_media_keep_view *ret,
                                porch_why *why);
/* What would leave now if these limits held. USAGE when they cannot hold: more than the hub's own, or less
 * than one clip. */
porch_err porch_media_keep_preview(porch_media *m, const char *household, const porch_media_keep *wish,
                                   uint64_t now_ms, porch_media_keep_sum *ret, porch_why *why);
/* Takes the limits and lets the keeper begin. `also` (may be NULL) is run in the same transaction. */
porch_err porch_media_keep_set(porch_media *m, const char *household, const porch_media_keep *wish,
                               porch_store_fn also, void *also_ctx, porch_why *why);

/* Everything that a household has and had here, unfinished clips too. Its devices must be gone from the
 * registry: what they send meanwhile would be new. `progress` (may be NULL) hears 0..1. */
porch_err porch_media_erase(porch_media *m, const char *household, void (*progress)(double done, void *ctx),
                            void *ctx, porch_why *why);

/* A device is to leave its household: what it is uploading now is nowhere after this. It must have lost its
 * way in before. */
porch_err porch_media_uploads_erase_device(porch_media *m, const char *device, porch_why *why);
/* So many bytes of finished clips are this household's now, or no more (below zero). */
void porch_media_account(porch_media *m, const char *household, int64_t bytes);

/* Set before porch_media_start: called for each event that leaves, in the write that takes it. */
void porch_media_on_forget(porch_media *m,
                           porch_err (*fn)(porch_db *db, const char *event, void *ctx, porch_why *why),
                           void *ctx);
/* Set before porch_media_start: called after that write with the numbers of the messages that carried what
 * is gone. */
void porch_media_on_forgotten(porch_media *m, void (*fn)(const uint64_t *seqs, size_t count, void *ctx),
                              void *ctx);

#endif
