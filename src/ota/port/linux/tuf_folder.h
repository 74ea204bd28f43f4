/* Trusted update metadata in a folder: "root.json", "timestamp.json", ... each as it came from the
 * repository. A file is replaced whole or not at all, also when the power goes. Names come quoted from the
 * client core. */
#ifndef PORCH_OTA_PORT_LINUX_TUF_FOLDER_H
#define PORCH_OTA_PORT_LINUX_TUF_FOLDER_H

#include "base/bytes.h"
#include "base/error.h"

typedef struct {
    int dir_fd;
    int lock_fd; /* one update at a time; the lock dies with its process */
} porch_tuf_folder;

/* The folder must be there. BUSY when another process has it. */
porch_err porch_tuf_folder_open(porch_tuf_folder *f, const char *path, porch_why *why);
void porch_tuf_folder_close(porch_tuf_folder *f);

/* As porch_tuf_port asks (ota/client/tuf_client.h). */
porch_err porch_tuf_folder_load(const porch_tuf_folder *f, const char *name, porch_buf *out,
                                porch_why *why);
porch_err porch_tuf_folder_store(const porch_tuf_folder *f, const char *name, porch_bytes bytes,
                                 porch_why *why);
porch_err porch_tuf_folder_drop(const porch_tuf_folder *f, const char *name, porch_why *why);

#endif
