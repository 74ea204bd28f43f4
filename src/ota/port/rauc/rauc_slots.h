/* RAUC's slots behind the interface of ota/client/slot.h: RAUC writes and boots them, the record in a
 * folder remembers what was signed, what was tried, and the floor.
 *
 *   FOLDER/record.0, record.1   as with files
 *   FOLDER/bundle.0, bundle.1   the SHA-256 of the bundle that RAUC put into that slot, whole; none while
 * it is at work
 *
 * A slot is what was signed when its bundle is, and RAUC's boot loader may start it: whether the slot's own
 * bytes are whole is RAUC's business (dm-verity, or a root file system that checks itself). */
#ifndef PORCH_OTA_PORT_RAUC_RAUC_SLOTS_H
#define PORCH_OTA_PORT_RAUC_RAUC_SLOTS_H

#include "ota/port/linux/slot_files.h"
#include "ota/port/rauc/rauc.h"

typedef struct {
    porch_slot_files files;
    const porch_slot_port *records; /* of files */
    porch_rauc *rauc;
    porch_rauc_slot slot[PORCH_RAUC_SLOTS];
    unsigned booted;
} porch_rauc_device;

/* BUSY, IO, UNSUPPORTED; STATE when RAUC says that it booted neither. */
porch_err porch_rauc_device_open(porch_rauc_device *d, const char *folder, const char *bus,
                                 porch_slots *slots, porch_why *why);
void porch_rauc_device_close(porch_rauc_device *d);
/* As porch_slot_files_keep_floor: the floor is also kept by the TPM. Between open and the first use. */
void porch_rauc_device_keep_floor(porch_rauc_device *d, porch_slots *slots, const char *tpm,
                                  uint32_t floor_at);

/* The bundle that the running slot was made of. STATE when that is not the first slot. */
porch_err porch_rauc_device_format(porch_rauc_device *d, porch_slots *slots, const porch_slot_image *bundle,
                                   porch_why *why);
/* Into the slot that does not run. ROLLBACK, STATE; DENIED: RAUC refuses. */
porch_err porch_rauc_device_install(porch_rauc_device *d, porch_slots *slots, const char *file,
                                    const porch_slot_image *bundle, porch_why *why);
/* Once at each start: a try is counted, a trial that the boot loader gave up is rolled back. *trial: the
 * running slot is on trial. STATE when another slot than the running one must run: RAUC was told, and the
 * device has to start again. */
porch_err porch_rauc_device_booted(porch_rauc_device *d, porch_slots *slots, bool *trial, porch_why *why);
porch_err porch_rauc_device_confirm(porch_rauc_device *d, porch_slots *slots, porch_why *why);
porch_err porch_rauc_device_reject(porch_rauc_device *d, porch_slots *slots, porch_why *why);
/* What is staged is not to be tried: the boot loader goes back to the slot that runs. */
porch_err porch_rauc_device_unstage(porch_rauc_device *d, porch_slots *slots, porch_why *why);

#endif
