#include "device/port/rauc/update_rauc.h"

#include <stdlib.h>

#include "device/port/linux/update_slots.h"
#include "ota/port/rauc/rauc_slots.h"

static porch_err on_open(const porch_update_place *place, porch_slots *slots, void **self, porch_why *why) {
    porch_rauc_device *d = malloc(sizeof *d);
    if (d == NULL) return porch_fail(why, PORCH_ERR_NO_SPACE, "out of memory");
    porch_err e = porch_rauc_device_open(d, place->folder, place->bus, slots, why);
    if (e != PORCH_OK) {
        free(d);
        return e;
    }
    if (place->tpm != NULL) porch_rauc_device_keep_floor(d, slots, place->tpm, place->floor_at);
    e = porch_slots_open(slots, why);
    if (e != PORCH_OK) {
        porch_rauc_device_close(d);
        free(d);
        return e;
    }
    *self = d;
    return PORCH_OK;
}

static void on_close(void *self) {
    porch_rauc_device_close(self);
    free(self);
}

static bool on_trial(void *self, const porch_slots *slots) {
    const porch_rauc_device *d = self;
    return slots->now.other == PORCH_SLOT_TRIAL && d->booted != slots->now.active;
}

static porch_err on_install(void *self, porch_slots *slots, const char *file, const porch_slot_image *image,
                            porch_why *why) {
    return porch_rauc_device_install(self, slots, file, image, why);
}

static porch_err on_confirm(void *self, porch_slots *slots, porch_why *why) {
    return porch_rauc_device_confirm(self, slots, why);
}

static porch_err on_reject(void *self, porch_slots *slots, porch_why *why) {
    return porch_rauc_device_reject(self, slots, why);
}

static porch_err on_unstage(void *self, porch_slots *slots, porch_why *why) {
    return porch_rauc_device_unstage(self, slots, why);
}

const porch_update_back_end *porch_update_rauc(void) {
    static const porch_update_back_end rauc = {on_open,    on_close,  on_trial,  on_install,
                                               on_confirm, on_reject, on_unstage};
    return &rauc;
}
