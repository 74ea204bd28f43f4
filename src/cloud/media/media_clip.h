/* A clip file: a versioned header, then chunks of 64 KiB, each sealed by AES-256-GCM on its own.
 *
 *   offset 0   "PORCHCLP" | version 1 | kind | 2 zero bytes | chunk bytes (u32) | clip id (16) | salt (16)
 *   then       nonce (12) | cipher (65,536) | tag (16)      chunk 0, 1, 2, ...
 *   last       nonce (12) | cipher (shorter) | tag (16)     only in a finished file
 *   <id>.tail  u64 chunk index | u32 bytes | nonce | cipher | tag     what is short of a chunk, while
 * recording
 *
 * The associated data of a chunk are the header, the chunk's index and whether it is the last: a chunk
 * moved, a file cut or renamed to another clip does not open. The tail is replaced by rename, so the old
 * one is whole until the new one is durable. The key comes from the signer and is in memory only while
 * the file is open. */
#ifndef PORCH_CLOUD_MEDIA_MEDIA_CLIP_H
#define PORCH_CLOUD_MEDIA_MEDIA_CLIP_H

#include "cloud/media/media_event.h"

typedef struct porch_media_clip porch_media_clip;

/* A complete clip for reading at any offset. With `indexed` the copy made for seeking, when there is
 * one, else the original. NOT_FOUND; STATE while it is recording; SIGNATURE when the file was changed. */
porch_err porch_media_clip_open(porch_media *m, const char *clip, bool indexed, porch_media_clip **ret,
                                porch_why *why);
uint64_t porch_media_clip_bytes(const porch_media_clip *c);
/* Up to `cap` bytes from `offset`; *got 0 at the end. */
porch_err porch_media_clip_read(porch_media_clip *c, uint64_t offset, uint8_t *at, size_t cap, size_t *got,
                                porch_why *why);
void porch_media_clip_close(porch_media_clip *c);

#endif
