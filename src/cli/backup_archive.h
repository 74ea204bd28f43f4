/* The parts of a hub's directory that a backup carries, as entries of a backup stream.
 *
 *   entry = 'd' | path                                   a folder, mode 0700
 *         | 'f' | path | piece ... | empty piece         a file, mode 0600; piece = u32 length, bytes
 *         | 'e'                                          the end
 *
 * Carried: hub.conf, recovery.pub, hub.db (the consistent copy), tls/, signer/, clips/, and, unless the
 * caller does without, updates/ with what is published. Never: OFFLINE/, run/, lock. A file may grow or
 * vanish while it is read (clips do): what was there when it was read goes in. Paths are checked on the way
 * out as strictly as if a stranger had made the archive. */
#ifndef PORCH_CLI_BACKUP_ARCHIVE_H
#define PORCH_CLI_BACKUP_ARCHIVE_H

#include "cli/backup_stream.h"

typedef struct {
    uint64_t files, bytes;
    /* Told after each piece; may be NULL. Set before packing or unpacking. */
    void (*at)(void *ctx, uint64_t bytes);
    void *ctx;
} porch_backup_sums;

/* How many bytes packing would read, about: for a bar. */
uint64_t porch_backup_weigh(const char *dir, const char *db_path, bool updates);

/* Packs `dir`, with updates/ or without, taking `db_path` for hub.db and `recovery` for recovery.pub. Ends
 * with the end entry; the stream's own finish is the caller's. */
porch_err porch_backup_pack(porch_backup_writer *w, const char *dir, const char *db_path,
                            porch_bytes recovery, bool updates, porch_backup_sums *sums, porch_why *why);
/* Unpacks into `dir`, which must be a new, empty folder of ours, and checks that the stream ends there.
 * Every file is synced. On failure the folder's content is worthless. */
porch_err porch_backup_unpack(porch_backup_reader *r, const char *dir, porch_backup_sums *sums,
                              porch_why *why);
/* Would an entry of this path be unpacked? One of the carried names, at most one folder deep but
 * for updates/. */
bool porch_backup_path_fits(porch_bytes path, bool folder);

#endif
