/* Files and folders as the hub needs them: whole reads with a limit, writes that are there fully or not
 * at all, modes that are checked, locks that die with their process.
 *
 * Every function may block on the disk. Paths are the operator's or our own, never a peer's. On failure
 * *ret and the like are untouched and `why` (may be NULL) names path, call and errno. */
#ifndef PORCH_OS_FILE_H
#define PORCH_OS_FILE_H

#include <sys/types.h>

#include "base/bytes.h"
#include "base/error.h"

/* The whole file, malloc'ed (the caller frees it, and wipes it first if it is secret), with one zero byte
 * after its end that *len does not count. NOT_FOUND; LIMIT when it holds more than `most` bytes. */
porch_err porch_file_read(const char *path, size_t most, uint8_t **ret, size_t *len, porch_why *why);
/* The same from an open descriptor, from where it stands; `name` is for sentences only. */
porch_err porch_file_read_fd(int fd, const char *name, size_t most, uint8_t **ret, size_t *len,
                             porch_why *why);
/* Writes a neighbour, fsyncs it, renames it over `path`, fsyncs the folder: after OK the bytes survive
 * power loss; after an error (FULL, IO) the old file is as it was. `mode` is exact, whatever the umask. */
porch_err porch_file_write_atomic(const char *path, porch_bytes bytes, mode_t mode, porch_why *why);

/* The same for a file of a hub's directory: also when root writes it, it is the folder's owner's from the
 * moment it has its name. */
porch_err porch_file_write_owned(const char *path, porch_bytes bytes, mode_t mode, porch_why *why);

/* The same three beside an open folder; `name` has no slash. For the signer, which holds a descriptor only.
 */
porch_err porch_file_read_at(int dir_fd, const char *name, size_t most, uint8_t **ret, size_t *len,
                             porch_why *why);
porch_err porch_file_write_atomic_at(int dir_fd, const char *name, porch_bytes bytes, mode_t mode,
                                     porch_why *why);

porch_err porch_file_write_owned_at(int dir_fd, const char *name, porch_bytes bytes, mode_t mode,
                                    porch_why *why);

/* Overwrites and removes a secret's file, and syncs both; one that is not there is fine. Cut off at any
 * moment it leaves the file whole or not there at all under its name, and `.NAME.gone` maybe, which the
 * next call or the one below removes. On copy-on-write file systems and flash the old blocks may live on.
 */
porch_err porch_file_forget_at(int dir_fd, const char *name, porch_why *why);
/* Completes all that was cut off in the folder, writes that never got their name too: for its start, when
 * nobody writes there. */
porch_err porch_file_forget_rest_at(int dir_fd, porch_why *why);

/* Owner is `uid`, no permission bit outside `max_mode`, not a symbolic link. MODE, and `why` holds the
 * chmod or chown command that mends it. Works for folders too. */
porch_err porch_file_check_mode(const char *path, uid_t uid, mode_t max_mode, porch_why *why);

/* Makes one folder with exactly `mode`; one that is there already is fine and is left as it is (check its
 * mode yourself). STATE when something else has the name. */
porch_err porch_dir_make(const char *path, mode_t mode, porch_why *why);
/* Makes renames and new names in the folder survive power loss. */
porch_err porch_dir_sync(const char *path, porch_why *why);

/* Takes the lock file (made with 0600 when missing, and then the folder's owner's) without waiting; BUSY
 * when another process has it. *fd keeps the lock until it is closed or the process dies. Close-on-exec. */
porch_err porch_file_lock(const char *path, int *fd, porch_why *why);

/* dir + "/" + name into out; NO_SPACE when it does not fit. */
porch_err porch_path_join(const char *dir, const char *name, char *out, size_t cap);

#endif
