/* What a device saw, kept: motion events, the clips that belong to them, and what the analysis found.
 *
 *   d/<id>/event/motion ──► media_event ──► table event
 *   POST/PATCH a clip   ──► media_upload ──► media_clip (encrypted file) ──► table clip
 *                                  └─► media_analysis ──► analyst process ──► table person ──► observer
 *
 * One porch_media per hub. Every function may be called from any thread but a shard: they block on disk,
 * on the store's writer thread, or on the signer. */
#ifndef PORCH_CLOUD_MEDIA_MEDIA_H
#define PORCH_CLOUD_MEDIA_MEDIA_H

#include "base/bytes.h"
#include "base/error.h"
#include "cloud/analyst/analyst_client.h"
#include "cloud/settings/settings.h"
#include "cloud/signer/signer_client.h"
#include "cloud/store/store.h"

typedef struct porch_media porch_media;

/* Whose footage it is. Copied into the rows when they are made: a device that moves to another
 * household takes its identity along, never what it filmed before. */
typedef struct {
    char device[65];
    char product[65];
    char household[65];
} porch_media_owner;

typedef struct {
    double x, y, w, h; /* 0..1 of the frame */
} porch_media_box;

typedef struct {
    const char *dir; /* the hub's directory; clips live in dir/clips */
    porch_store *store;
    porch_signer_client *signer;   /* one key per clip; kept by the caller */
    porch_analyst_client *analyst; /* kept by the caller; NULL: nothing is analysed */
    const porch_settings *settings;
    /* Fills *ret for a device; called inside the store's write transaction, must not block.
     * NOT_FOUND: the event is dropped and logged. */
    porch_err (*owner_of)(void *ctx, const char *device, porch_media_owner *ret);
    void *owner_ctx;
} porch_media_config;

/* Makes dir/clips where missing, registers the event materialiser with the store (so: before the first
 * shard runs), and reads what is unfinished. */
porch_err porch_media_open(const porch_media_config *config, porch_media **ret, porch_why *why);
/* Ends the keeper's and the analysis thread: after this nothing of media uses the store by itself. NULL is
 * allowed. */
void porch_media_stop(porch_media *m);
/* Stops and frees. After porch_store_close, whose thread calls media until then, and after the last upload
 * handle was closed. NULL is allowed. */
void porch_media_close(porch_media *m);

/* Starts the threads that feed the analyst and sweep what is past its time. After the observers are set. */
porch_err porch_media_start(porch_media *m, porch_why *why);

/* Deletes what is past the hub's or its household's limits (media_keep.h) and uploads left alone for a day.
 * The keeper calls it hourly. */
porch_err porch_media_sweep(porch_media *m, uint64_t now_ms, porch_why *why);

#endif
