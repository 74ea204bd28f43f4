/* Who keeps the slots of an update: porchlight-launch's files, or a back-end of its own room (RAUC). The
 * record of ota/client/slot.h, with its trials and its floor, is the same for all.
 *
 *   device_update ─► porch_update_back_end ─┬─ files: images are written as they come, deltas applied
 *                                           └─ device/port/rauc: whole bundles are handed over */
#ifndef PORCH_DEVICE_PORT_LINUX_UPDATE_SLOTS_H
#define PORCH_DEVICE_PORT_LINUX_UPDATE_SLOTS_H

#include <porchlight/update.h>

#include "ota/port/linux/slot_files.h"

typedef struct {
    const char *folder; /* of the record */
    const char *bus;    /* of the back-end's service; NULL: the system's */
    const char *tpm;    /* where the floor's counter lies; NULL: in the record alone */
    uint32_t floor_at;
} porch_update_place;

struct porch_update_back_end {
    /* *self is malloc'ed and the caller's to close; *slots is open. BUSY, IO: for later. */
    porch_err (*open)(const porch_update_place *place, porch_slots *slots, void **self, porch_why *why);
    void (*close)(void *self);
    /* Is what runs now a trial? */
    bool (*on_trial)(void *self, const porch_slots *slots);
    /* Takes a whole file that has the signed hash, and stages it. NULL: `self` is a porch_slot_files. */
    porch_err (*install)(void *self, porch_slots *slots, const char *file, const porch_slot_image *image,
                         porch_why *why);
    porch_err (*confirm)(void *self, porch_slots *slots, porch_why *why);
    porch_err (*reject)(void *self, porch_slots *slots, porch_why *why);
    /* What is staged is not to be tried: the next start is what runs. */
    porch_err (*unstage)(void *self, porch_slots *slots, porch_why *why);
};

const porch_update_back_end *porch_update_files(void);

#endif
