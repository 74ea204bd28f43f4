/* Clips on disk until the hub has them: NNNNNNNN-EVENT.mp4, oldest number first.
 *
 *   begin ─► append (written and synced, then visible) ─► end ─► taken by an upload ─► removed
 *
 * A clip that an earlier run left is ended where its last whole fragment ends. When the share of the disk
 * is used up, or there are as many as there may be, clips that have ended go, oldest first: those that an
 * upload holds after all that wait. One lock of the caller guards the table; the bytes of a growing clip
 * are written outside of it by the one thread that records. */
#ifndef PORCH_DEVICE_PORT_LINUX_CLIP_STORE_H
#define PORCH_DEVICE_PORT_LINUX_CLIP_STORE_H

#include "base/bytes.h"
#include "base/error.h"
#include "crypto/sha256.h"
#include "wire/id.h"

#define PORCH_CLIPS_MOST 256

typedef struct porch_stored_clip {
    struct porch_stored_clip *next; /* oldest first */
    uint32_t number;
    porch_id event;
    int fd;
    uint64_t visible; /* synced and whole */
    bool ended;
    bool dropped; /* its file is gone; freed when neither recorder nor upload holds it */
    bool recording;
    bool uploading;
    bool begun; /* the hub has a place for it, or may have: an earlier run may have begun it */
    uint8_t sha256[PORCH_SHA256_BYTES]; /* when ended */
    porch_sha256_state *hash;           /* of what was appended */
} porch_stored_clip;

typedef struct {
    int dir_fd;
    uint64_t limit_bytes;
    uint64_t total_bytes;
    uint32_t next_number;
    size_t count;
    size_t set_aside; /* clips of earlier runs that cannot be read: NAME.bad since the store was opened */
    porch_stored_clip *first;
} porch_clip_store;

/* Called for a clip that made room. */
typedef void (*porch_clip_dropped_fn)(void *ctx, const porch_stored_clip *clip);

/* Reads what is there; a clip without one whole fragment is removed, one that cannot be read is set aside.
 */
porch_err porch_clip_store_open(porch_clip_store *s, const char *folder, uint64_t limit_bytes,
                                porch_why *why);
void porch_clip_store_close(porch_clip_store *s);

/* Past PORCH_CLIPS_MOST a clip that has ended goes, and `fn` is told. EXISTS when the event has a clip
 * already; LIMIT when none has ended. Under the lock. */
porch_err porch_clip_store_begin(porch_clip_store *s, const porch_id *event, porch_clip_dropped_fn fn,
                                 void *ctx, porch_stored_clip **ret, porch_why *why);
/* Makes room for `len` more bytes: FULL when no ended clip is left to drop. Under the lock. */
porch_err porch_clip_store_reserve(porch_clip_store *s, size_t len, porch_clip_dropped_fn fn, void *ctx);
/* Writes and syncs; without the lock, by the recording thread. `visible` is for the caller to raise, under
 * the lock. */
porch_err porch_stored_clip_write(porch_stored_clip *clip, porch_bytes bytes, porch_why *why);
/* No more will come. Under the lock. */
void porch_clip_store_end(porch_clip_store *s, porch_stored_clip *clip);
/* Exactly `len` visible bytes. */
porch_err porch_stored_clip_read(const porch_stored_clip *clip, uint64_t offset, uint8_t *at, size_t len);
/* Removes the file and, when nobody holds it, frees the clip. Under the lock. */
void porch_clip_store_remove(porch_clip_store *s, porch_stored_clip *clip);
/* The recorder or the upload lets go of it: a dropped one that nobody holds is freed. Under the lock. */
void porch_clip_store_let_go(porch_clip_store *s, porch_stored_clip *clip);

#endif
