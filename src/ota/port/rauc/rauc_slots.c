#include "ota/port/rauc/rauc_slots.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "os/file.h"

enum { HASH_BYTES = 32, MODE = 0644 };

static const char *const bundle_names[] = {"bundle.0", "bundle.1"};

/* ---- what the core asks ---- */

static porch_err read_record(void *self, unsigned copy, uint8_t out[PORCH_SLOT_RECORD_BYTES]) {
    porch_rauc_device *d = self;
    return d->records->read_record(&d->files, copy, out);
}

static porch_err write_record(void *self, unsigned copy, const uint8_t bytes[PORCH_SLOT_RECORD_BYTES]) {
    porch_rauc_device *d = self;
    return d->records->write_record(&d->files, copy, bytes);
}

static porch_err hash_image(void *self, unsigned slot, uint64_t length, uint8_t sha256[32]) {
    const porch_rauc_device *d = self;
    uint8_t *bytes = NULL;
    size_t len = 0;
    (void)length; /* of the bundle: the slot is what RAUC made of it */
    /* Of the slot that runs RAUC says "bad" until it is marked good: GRUB and U-Boot count its starts. */
    if (slot != d->booted && !d->slot[slot].good) return PORCH_ERR_HASH;
    PORCH_TRY(porch_file_read_at(d->files.dir_fd, bundle_names[slot], HASH_BYTES, &bytes, &len, NULL));
    bool whole = len == HASH_BYTES;
    if (whole) memcpy(sha256, bytes, HASH_BYTES);
    free(bytes);
    return whole ? PORCH_OK : PORCH_ERR_HASH;
}

static porch_err read_floor(void *self, uint64_t *ret) {
    porch_rauc_device *d = self;
    return d->records->read_floor(&d->files, ret);
}

static porch_err raise_floor(void *self, uint64_t floor) {
    porch_rauc_device *d = self;
    return d->records->raise_floor(&d->files, floor);
}

void porch_rauc_device_keep_floor(porch_rauc_device *d, porch_slots *slots, const char *tpm,
                                  uint32_t floor_at) {
    static const porch_slot_port port = {read_record, write_record, hash_image, read_floor, raise_floor};
    porch_slots files = *slots;
    porch_slot_files_keep_floor(&d->files, &files, tpm, floor_at);
    d->records = files.port;
    slots->port = &port;
}

/* ---- opening ---- */

static porch_err ask(porch_rauc_device *d, porch_why *why) {
    PORCH_TRY(porch_rauc_slots(d->rauc, d->slot, why));
    if (d->slot[0].booted == d->slot[1].booted)
        return porch_fail(why, PORCH_ERR_STATE, "RAUC does not know which slot runs");
    d->booted = d->slot[1].booted ? 1 : 0;
    return PORCH_OK;
}

porch_err porch_rauc_device_open(porch_rauc_device *d, const char *folder, const char *bus,
                                 porch_slots *slots, porch_why *why) {
    static const porch_slot_port port = {read_record, write_record, hash_image, NULL, NULL};
    *d = (porch_rauc_device){.rauc = NULL};
    PORCH_TRY(porch_slot_files_open(&d->files, folder, slots, why));
    d->records = slots->port;
    slots->port = &port;
    slots->self = d;
    porch_err e = porch_rauc_open(bus, &d->rauc, why);
    if (e == PORCH_OK) e = ask(d, why);
    if (e != PORCH_OK) porch_rauc_device_close(d);
    return e;
}

void porch_rauc_device_close(porch_rauc_device *d) {
    porch_rauc_close(d->rauc);
    porch_slot_files_close(&d->files);
}

/* ---- installing ---- */

static porch_err remember(const porch_rauc_device *d, unsigned slot, const porch_slot_image *bundle,
                          porch_why *why) {
    return porch_file_write_atomic_at(d->files.dir_fd, bundle_names[slot],
                                      (porch_bytes){bundle->sha256, HASH_BYTES}, MODE, why);
}

porch_err porch_rauc_device_format(porch_rauc_device *d, porch_slots *slots, const porch_slot_image *bundle,
                                   porch_why *why) {
    if (d->booted != 0)
        return porch_fail(why, PORCH_ERR_STATE, "a device begins in its first slot, and %s runs",
                          d->slot[d->booted].name);
    PORCH_TRY(remember(d, 0, bundle, why));
    return porch_slots_format(slots, bundle, why);
}

/* RAUC opens the bundle itself, from a folder of its own: it hears the whole path. */
static porch_err hand_over(porch_rauc_device *d, const char *file, porch_why *why) {
    char *whole = realpath(file, NULL);
    if (whole == NULL)
        return porch_fail(why, PORCH_ERR_IO, "%.200s cannot be found: %s", file, strerror(errno));
    porch_err e = porch_rauc_install(d->rauc, whole, why);
    free(whole);
    return e;
}

porch_err porch_rauc_device_install(porch_rauc_device *d, porch_slots *slots, const char *file,
                                    const porch_slot_image *bundle, porch_why *why) {
    unsigned slot = 0;
    uint64_t from = 0;
    PORCH_TRY(porch_slots_open(slots, why));
    if (slots->now.active != d->booted)
        return porch_fail(why, PORCH_ERR_STATE, "%s runs, which is not confirmed", d->slot[d->booted].name);
    PORCH_TRY(porch_slots_begin(slots, bundle, &slot, &from, why));
    if (unlinkat(d->files.dir_fd, bundle_names[slot], 0) == 0 && fsync(d->files.dir_fd) != 0)
        return porch_fail(why, PORCH_ERR_IO, "the slot's folder cannot be synced");
    PORCH_TRY(hand_over(d, file, why));
    PORCH_TRY(remember(d, slot, bundle, why));
    /* RAUC has just made it bootable; EFI's boot order, which it would name, has it only once confirmed. */
    d->slot[slot].good = true;
    return porch_slots_stage(slots, why);
}

/* ---- starting ---- */

static porch_err switch_to(porch_rauc_device *d, unsigned slot, porch_why *why) {
    PORCH_TRY(porch_rauc_mark(d->rauc, "bad", d->slot[1u - slot].name, why));
    return porch_rauc_mark(d->rauc, "active", d->slot[slot].name, why);
}

porch_err porch_rauc_device_booted(porch_rauc_device *d, porch_slots *slots, bool *trial, porch_why *why) {
    unsigned slot = 0;
    PORCH_TRY(porch_slots_open(slots, why));
    bool pending = slots->now.other == PORCH_SLOT_STAGED || slots->now.other == PORCH_SLOT_TRIAL;
    bool fell_back = pending && d->booted == slots->now.active;
    PORCH_TRY(porch_slots_boot(slots, &slot, why));
    if (fell_back &&
        slots->now.other == PORCH_SLOT_TRIAL) { /* its boot loader did not start it, or gave it up */
        PORCH_TRY(porch_slots_reject(slots, why));
        PORCH_TRY(porch_slots_boot(slots, &slot, why));
    }
    *trial = slot != slots->now.active;
    /* Again where the power went between the record and the boot loader. */
    if (slot == d->booted) return *trial ? PORCH_OK : porch_rauc_mark(d->rauc, "good", "booted", why);
    PORCH_TRY(switch_to(d, slot, why));
    return porch_fail(why, PORCH_ERR_STATE, "%s must run and %s does: start the device again",
                      d->slot[slot].name, d->slot[d->booted].name);
}

porch_err porch_rauc_device_confirm(porch_rauc_device *d, porch_slots *slots, porch_why *why) {
    PORCH_TRY(porch_slots_open(slots, why));
    if (slots->now.active == d->booted)
        return porch_fail(why, PORCH_ERR_STATE, "%s runs, and is no trial", d->slot[d->booted].name);
    PORCH_TRY(porch_slots_confirm(slots, why));
    return porch_rauc_mark(d->rauc, "good", "booted", why);
}

porch_err porch_rauc_device_reject(porch_rauc_device *d, porch_slots *slots, porch_why *why) {
    PORCH_TRY(porch_slots_open(slots, why));
    PORCH_TRY(porch_slots_reject(slots, why));
    return switch_to(d, slots->now.active, why);
}

/* The record first: a cut behind it is mended by `booted`, which sends the device back. */
porch_err porch_rauc_device_unstage(porch_rauc_device *d, porch_slots *slots, porch_why *why) {
    PORCH_TRY(porch_slots_open(slots, why));
    PORCH_TRY(porch_slots_unstage(slots, why));
    return switch_to(d, slots->now.active, why);
}
