/* The spool's segments as files of one folder: NNNNNNNN.spool, appended and fdatasync'ed. */
#ifndef PORCH_DEVICE_PORT_LINUX_SPOOL_FILES_H
#define PORCH_DEVICE_PORT_LINUX_SPOOL_FILES_H

#include "device/spool.h"

typedef struct {
    int dir_fd;
    int append_fd; /* of the segment appended to last; -1: none */
    uint32_t append_segment;
    bool name_is_new; /* the folder must be synced, too */
    int read_fd;
    uint32_t read_segment;
} porch_spool_files;

/* `folder` must exist. On OK *ret is the table for porch_spool_open; `f` must stay where it is until close.
 */
porch_err porch_spool_files_open(porch_spool_files *f, const char *folder, porch_spool_storage *ret,
                                 porch_why *why);
void porch_spool_files_close(porch_spool_files *f);

#endif
