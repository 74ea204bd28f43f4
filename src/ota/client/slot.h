/* Two slots and the way of an update through them:
 *
 *   begin ─► progress... ─► stage ─► (boot) trial ─► confirm: good, the floor rises
 *                                        └─► tries are over, damaged, reject: rolled back, the other slot
 * boots again
 *
 * The agent calls begin, progress, stage, unstage, confirm, reject; whoever starts the device calls boot.
 * Each changes the record once, by one write that the power may cut anywhere; what boots is decided by an
 * ordered table (slot.c), never by order of events. Back-ends fill porch_slot_port: files
 * (ota/port/linux/slot_files.h), flash. */
#ifndef PORCH_OTA_CLIENT_SLOT_H
#define PORCH_OTA_CLIENT_SLOT_H

#include "ota/client/slot_record.h"

typedef struct {
    /* One copy of the record (0 or 1) as it lies there, torn or not; NOT_FOUND when there is none. */
    porch_err (*read_record)(void *self, unsigned copy, uint8_t out[PORCH_SLOT_RECORD_BYTES]);
    porch_err (*write_record)(void *self, unsigned copy, const uint8_t bytes[PORCH_SLOT_RECORD_BYTES]);
    /* The SHA-256 of the slot's first `length` bytes; any error counts as damaged. */
    porch_err (*hash_image)(void *self, unsigned slot, uint64_t length, uint8_t sha256[32]);
    /* A floor that nobody lowers who rewrites storage: a counter of the device's key store. Both NULL where
     * there is none. It follows the record's floor, which rises with health alone. */
    porch_err (*read_floor)(void *self, uint64_t *ret);
    porch_err (*raise_floor)(void *self, uint64_t floor);
} porch_slot_port;

typedef struct {
    const porch_slot_port *port;
    void *self;
    const porch_verify_ops *crypto;
    uint8_t tries; /* boots that a trial gets; 1 to PORCH_SLOT_TRIES_MOST */
    /* from here on its own */
    porch_slot_record now;
    unsigned copy; /* that `now` was read from or written to */
    uint64_t kept; /* the floor in the key store, where the port has one */
} porch_slots;

/* Reads the record. NOT_FOUND when there is none that is whole; what read_floor says when it cannot say the
 * floor. now.floor is the higher of the two floors. */
porch_err porch_slots_open(porch_slots *s, porch_why *why);
/* The first record of a device: slot 0 holds this image. EXISTS when there is a record, ROLLBACK when the
 * key store's floor is higher. */
porch_err porch_slots_format(porch_slots *s, const porch_slot_image *image, porch_why *why);

/* Which slot to start now; what the table changes is on disk before this returns. NOT_FOUND when no slot
 * holds a whole image that is not below the floor. Raises the key store's floor to the record's; where that
 * fails, `kept` stays below now.floor, and the next boot tries again. */
porch_err porch_slots_boot(porch_slots *s, unsigned *slot, porch_why *why);

/* An image will be written to the slot that *slot says, from *from on: where an earlier attempt at the same
 * image was cut, else 0. ROLLBACK below the floor; STATE while an update is on trial. */
porch_err porch_slots_begin(porch_slots *s, const porch_slot_image *image, unsigned *slot, uint64_t *from,
                            porch_why *why);
/* So many bytes are written and would survive a power cut. */
porch_err porch_slots_progress(porch_slots *s, uint64_t written, porch_why *why);
/* All is written: HASH (and begin again from 0) when it is not the image. */
porch_err porch_slots_stage(porch_slots *s, porch_why *why);
/* What is staged is not to be tried after all, by one write. Its bytes lie there whole: begin with the same
 * image goes on behind the last one, and stage looks at them again. STATE when nothing is staged. */
porch_err porch_slots_unstage(porch_slots *s, porch_why *why);
/* The running trial is healthy: it is the active slot from now on, and nothing older boots any more. */
porch_err porch_slots_confirm(porch_slots *s, porch_why *why);
/* The running trial is not healthy: the next boot starts the other slot. */
porch_err porch_slots_reject(porch_slots *s, porch_why *why);

#endif
