/* From the hub's repository into the slot that does not run: a whole image, or a delta; on after any break
 * or power cut.
 *
 *   whole:  range request from the last byte that is safe ──► slot ──► journal (slot record)
 *   delta:  patch, resumed at its last byte ──► state/update/patch ──► hash ──► applied, with journals of
 * its own
 *
 * What is staged in the end has the hash that was signed, whichever way it came. */
#ifndef PORCH_DEVICE_PORT_LINUX_UPDATE_INSTALL_H
#define PORCH_DEVICE_PORT_LINUX_UPDATE_INSTALL_H

#include "device/port/linux/update_fetch.h"
#include "device/port/linux/update_slots.h"

typedef struct {
    porch_update_fetch *fetch;
    const porch_update_back_end *back_end;
    void *self; /* for the back-end */
    porch_slots *slots;
    const char *state; /* the folder state/update */
    int state_fd;
    uint64_t *fetched; /* counts what came over the network */
} porch_update_install;

/* `path` is the address on the hub. Stages it. HASH when what came is not what was signed. */
porch_err porch_update_install_whole(const porch_update_install *u, const porch_slot_image *image,
                                     const char *path, porch_why *why);
/* The same by a delta of so many bytes and that hash. STATE, MALFORMED, LIMIT, NOT_FOUND or HASH: this
 * delta is of no use. */
porch_err porch_update_install_delta(const porch_update_install *u, const porch_slot_image *image,
                                     const char *path, uint64_t patch_bytes, const uint8_t patch_sha256[32],
                                     porch_why *why);
/* Is there no use in trying that delta again? */
bool porch_update_install_hopeless(porch_err e);

#endif
