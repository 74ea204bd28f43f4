/* A stream of bytes in one file that only the holder of a recovery key can read.
 *
 *   "porchbk1" | recovery public key | box( random stream key ) | chunk | chunk | ... | last chunk
 *   chunk = u32 length, bit 31 set on the last | AES-256-GCM(stream key, nonce = chunk number) of <= 64 KiB
 *
 * Each chunk's tag covers the head, its number and whether it is the last: chunks that are changed, moved,
 * doubled, dropped or cut off are found (PORCH_ERR_SIGNATURE or _TRUNCATED). A reader hands out bytes only
 * after their chunk was verified. Blocking file descriptors; the caller closes them. */
#ifndef PORCH_CLI_BACKUP_STREAM_H
#define PORCH_CLI_BACKUP_STREAM_H

#include "base/bytes.h"
#include "base/error.h"
#include "crypto/box.h"

enum { PORCH_BACKUP_CHUNK_BYTES = 65536 };

typedef struct porch_backup_writer porch_backup_writer;

porch_err porch_backup_writer_new(int fd, const uint8_t recovery[PORCH_BOX_PUBLIC_BYTES],
                                  porch_backup_writer **ret, porch_why *why);
porch_err porch_backup_write(porch_backup_writer *w, porch_bytes bytes, porch_why *why);
/* Sends the last chunk. Without it a reader refuses the stream. Does not fsync. */
porch_err porch_backup_finish(porch_backup_writer *w, porch_why *why);
void porch_backup_writer_free(porch_backup_writer *w); /* NULL is fine */

typedef struct porch_backup_reader porch_backup_reader;

/* Reads the head. PORCH_ERR_MALFORMED: not a backup; PORCH_ERR_UNSUPPORTED: of another version;
 * PORCH_ERR_AUTH: made for another recovery key. */
porch_err porch_backup_reader_new(int fd, const uint8_t secret[PORCH_BOX_SECRET_BYTES],
                                  porch_backup_reader **ret, porch_why *why);
/* Exactly `len` bytes. PORCH_ERR_TRUNCATED when the stream ends before. */
porch_err porch_backup_read(porch_backup_reader *r, void *at, size_t len, porch_why *why);
/* Is everything read, and nothing behind it in the file? */
porch_err porch_backup_at_end(porch_backup_reader *r, porch_why *why);
void porch_backup_reader_free(porch_backup_reader *r);

#endif
