/* Slots as files: FOLDER/slot.0 and slot.1 hold the images, FOLDER/record.0 and record.1 the two copies of
 * the record, each replaced whole. For devices whose product is one program, for the demo and for tests. */
#ifndef PORCH_OTA_PORT_LINUX_SLOT_FILES_H
#define PORCH_OTA_PORT_LINUX_SLOT_FILES_H

#include "ota/client/slot.h"

typedef struct {
    int dir_fd;
    int lock_fd;     /* one that decides or installs at a time */
    const char *tpm; /* where the floor's counter lies; NULL: in the record alone */
    uint32_t floor_at;
    porch_why floor_why; /* what the TPM said last */
} porch_slot_files;

enum {
    PORCH_SLOT_FILES_TRIES = 3,
    PORCH_SLOT_FILES_STEP = 1024 * 1024,
    PORCH_SLOT_FILES_WAIT_S = 30 /* for somebody who copies an image, from this disk to this disk */
};

/* BUSY when another process has the folder; waits for nobody. *slots is ready for porch_slots_open. */
porch_err porch_slot_files_open(porch_slot_files *f, const char *folder, porch_slots *slots,
                                porch_why *why);
/* The same, but waits so long while another process has it. */
porch_err porch_slot_files_await(porch_slot_files *f, const char *folder, unsigned wait_s,
                                 porch_slots *slots, porch_why *why);
void porch_slot_files_close(porch_slot_files *f);
/* From here on the floor is also kept by the TPM at `tpm`, in the counter that porch_tpm_floor_make made at
 * that index: between open and the first use of the slots. `tpm` stays the caller's. */
void porch_slot_files_keep_floor(porch_slot_files *f, porch_slots *slots, const char *tpm,
                                 uint32_t floor_at);
/* "0x01800010". */
bool porch_slot_files_index_read(const char *text, uint32_t *ret);

/* A slot's file, to read, or made when missing, to write from byte `from` on: what is behind goes. The
 * caller closes *fd. */
porch_err porch_slot_files_read_slot(const porch_slot_files *f, unsigned slot, int *fd, porch_why *why);
porch_err porch_slot_files_write_slot(const porch_slot_files *f, unsigned slot, uint64_t from, int *fd,
                                      porch_why *why);

/* The counter with the hash and length of a file, as an image. */
porch_err porch_slot_files_measure(const char *file, uint64_t counter, porch_slot_image *ret,
                                   porch_why *why);
/* The device's first image, into slot 0. */
porch_err porch_slot_files_format(porch_slot_files *f, porch_slots *slots, const char *file,
                                  uint64_t counter, porch_why *why);
/* Copies the file into the other slot, from where an earlier attempt was cut, and stages it. HASH when it
 * is not the image that was announced. */
porch_err porch_slot_files_install(porch_slot_files *f, porch_slots *slots, const char *file,
                                   const porch_slot_image *image, porch_why *why);

#endif
