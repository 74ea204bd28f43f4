#include "device/port/linux/update_slots.h"

#include <stdlib.h>
#include <string.h>

static porch_err on_open(const porch_update_place *place, porch_slots *slots, void **self, porch_why *why) {
    porch_slot_files *f = malloc(sizeof *f);
    if (f == NULL) return porch_fail(why, PORCH_ERR_NO_SPACE, "out of memory");
    porch_err e = porch_slot_files_open(f, place->folder, slots, why);
    if (e != PORCH_OK) {
        free(f);
        return e;
    }
    if (place->tpm != NULL) porch_slot_files_keep_floor(f, slots, place->tpm, place->floor_at);
    e = porch_slots_open(slots, why);
    if (e != PORCH_OK) {
        porch_slot_files_close(f);
        free(f);
        return e;
    }
    *self = f;
    return PORCH_OK;
}

static void on_close(void *self) {
    porch_slot_files_close(self);
    free(self);
}

/* porchlight-launch has told this process which slot it is. */
static bool on_trial(void *self, const porch_slots *slots) {
    const char *slot = getenv("PORCHLIGHT_SLOT"), *trial = getenv("PORCHLIGHT_TRIAL");
    (void)self;
    return slots->now.other == PORCH_SLOT_TRIAL && slot != NULL && trial != NULL &&
           strcmp(trial, "1") == 0 && slot[0] == (slots->now.active == 0 ? '1' : '0') && slot[1] == '\0';
}

static porch_err on_confirm(void *self, porch_slots *slots, porch_why *why) {
    (void)self;
    return porch_slots_confirm(slots, why);
}

static porch_err on_reject(void *self, porch_slots *slots, porch_why *why) {
    (void)self;
    return porch_slots_reject(slots, why);
}

static porch_err on_unstage(void *self, porch_slots *slots, porch_why *why) {
    (void)self;
    return porch_slots_unstage(slots, why);
}

const porch_update_back_end *porch_update_files(void) {
    static const porch_update_back_end files = {on_open,    on_close,  on_trial,  NULL,
                                                on_confirm, on_reject, on_unstage};
    return &files;
}
