/* The copy of the database that the command line packs into a backup, DIR/run/backup.db. It holds
 * everything in the clear, also what is deleted while it lies there, so it is there for one backup and no
 * longer:
 *
 *   command line: lock run/backup.lock ─► hub: copy ─► command line: pack ─► unlink ─► unlock
 *
 * The lock dies with its process, so a copy that nobody holds is one that a killed backup has left. */
#ifndef PORCH_CLOUD_API_BACKUP_COPY_H
#define PORCH_CLOUD_API_BACKUP_COPY_H

#include <stdbool.h>

/* Is a copy there that a backup packs? Until it is gone nothing is signed and no update published: the
 * signer would remember rows that the copy has not, and the restored log would look cut. One that nobody
 * packs any more is removed. Any thread; touches the disk. */
bool porch_backup_copy_held(const char *dir);

/* Removes a copy that nobody packs any more: at the hub's start, and after something was deleted. */
void porch_backup_copy_sweep(const char *dir);

#endif
