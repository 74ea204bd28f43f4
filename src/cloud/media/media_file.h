/* The file format of media_clip.h, below everything that knows of databases: chunks in, chunks out.
 *
 * One object, one thread at a time. A writer keeps at most one chunk in memory. */
#ifndef PORCH_CLOUD_MEDIA_MEDIA_FILE_H
#define PORCH_CLOUD_MEDIA_MEDIA_FILE_H

#include "base/bytes.h"
#include "base/error.h"

#define PORCH_MEDIA_CHUNK        65536u
#define PORCH_MEDIA_SEALED_EXTRA 28u /* nonce and tag */
#define PORCH_MEDIA_HEADER       48u

typedef enum { PORCH_MEDIA_FILE_ORIGINAL = 1, PORCH_MEDIA_FILE_INDEXED = 2 } porch_media_file_kind;

/* What the first 48 bytes say. */
typedef struct {
    porch_media_file_kind kind;
    uint8_t id[16];
    uint8_t salt[16];
} porch_media_header;

/* TRUNCATED, MALFORMED, or UNSUPPORTED for a version or chunk size of another program. */
porch_err porch_media_header_read(porch_bytes in, porch_media_header *ret);
porch_err porch_media_header_write(porch_buf *out, const porch_media_header *header);

typedef struct porch_media_file porch_media_file;

/* A new, empty file in place of whatever has that path; for appending. `id` is a clip id: 32 hex digits. */
porch_err porch_media_file_create(const char *path, porch_media_file_kind kind, const char *id,
                                  const uint8_t key[32], porch_media_file **ret, porch_why *why);
/* Takes up an unfinished file: every whole chunk is opened and handed to `fn` (may be NULL), then the tail
 * if it continues them; the file is cut behind the last whole chunk. What was durable is always found;
 * what a power cut left torn behind it is dropped. SIGNATURE when not even the header is this clip's. */
porch_err porch_media_file_resume(const char *path, const char *id, const uint8_t key[32],
                                  void (*fn)(porch_bytes plain, void *ctx), void *ctx,
                                  porch_media_file **ret, porch_why *why);
/* About how many plain bytes an unfinished file holds; 0 when it is not there. */
uint64_t porch_media_file_size(const char *path);
/* Plain bytes appended so far. */
uint64_t porch_media_file_bytes(const porch_media_file *f);
porch_err porch_media_file_append(porch_media_file *f, porch_bytes plain, porch_why *why);
/* Writer, after resume: so many bytes an earlier writer has made durable, and a sync that fails takes none
 * of them. */
void porch_media_file_sure(porch_media_file *f, uint64_t bytes);
/* All bytes so far survive power loss after OK. FULL or IO. */
porch_err porch_media_file_sync(porch_media_file *f, porch_why *why);
/* Writes the last chunk and syncs; nothing can be appended afterwards. The tail file stays until
 * porch_media_file_drop_tail, which is called once the finish is remembered elsewhere. */
porch_err porch_media_file_finish(porch_media_file *f, porch_why *why);
void porch_media_file_drop_tail(const char *path);

/* A finished file for reading. SIGNATURE when header, size or last chunk do not fit: it was cut, renamed
 * or changed. */
porch_err porch_media_file_open(const char *path, porch_media_file_kind kind, const char *id,
                                const uint8_t key[32], porch_media_file **ret, porch_why *why);
/* Plain bytes at `offset`; *got 0 at the end. SIGNATURE when the chunk was changed. */
porch_err porch_media_file_read(porch_media_file *f, uint64_t offset, uint8_t *at, size_t cap, size_t *got,
                                porch_why *why);
/* NULL is allowed. */
void porch_media_file_close(porch_media_file *f);

#endif
