/* A clip that is sent while it is recorded.
 *
 *   begin ─► append ─► append ─► ... ─► finish ─► (COMPLETE status) ─► removed from disk
 *              └─ each append is one or more whole MP4 fragments and is offered to the hub at once
 *
 * Bytes are on disk first. After a crash the SDK ends the clip at its last whole fragment and sends the
 * rest; a broken upload resumes where the hub stands. The bytes are removed from disk once the hub has
 * confirmed their number and SHA-256. */
#ifndef PORCHLIGHT_CLIP_H
#define PORCHLIGHT_CLIP_H

#include <porchlight/device.h>
#include <porchlight/event.h>

#ifdef __cplusplus
extern "C" {
#endif

typedef struct porch_clip porch_clip;

/* Starts the clip of an event. Each thread records one clip at a time; several may be open in a device.
 * NULL on failure, with the reason in `why`. */
PORCH_DEVICE_API porch_clip *porch_clip_begin(porch_device *device, const porch_event_id *event,
                                              porch_device_why *why);

/* Adds bytes that end at the end of an MP4 fragment (or of the header before the first one). */
PORCH_DEVICE_API porch_device_result porch_clip_append(porch_clip *clip, const void *at, size_t len,
                                                       porch_device_why *why);

/* Ends the clip (synced to disk) and frees `clip`, also on failure. `ret_bytes` and `ret_sha256` (65 chars,
 * hex and a zero) may be NULL. The upload goes on by itself. */
PORCH_DEVICE_API porch_device_result porch_clip_finish(porch_clip *clip, uint64_t *ret_bytes,
                                                       char *ret_sha256, porch_device_why *why);

#ifdef __cplusplus
}
#endif

#endif
