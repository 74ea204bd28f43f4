#include "ota/port/rauc/rauc_tool.h"

#include <stdio.h>
#include <string.h>

#include "ota/port/linux/slot_words.h"
#include "ota/port/rauc/rauc_slots.h"

enum { START_AGAIN = 3 };

static const char help[] =
    "usage: porchlight-rauc FOLDER init --bundle FILE --counter N\n"
    "       porchlight-rauc FOLDER install --bundle FILE --counter N --sha256 HEX\n"
    "       porchlight-rauc FOLDER booted | confirm | reject | status\n"
    "\n"
    "Updates on a device whose slots RAUC keeps. FOLDER remembers what was signed, tried and confirmed, "
    "and the floor.\n"
    "\n"
    "  init      the running slot, RAUC's first, was made of this bundle\n"
    "  install   has RAUC put the bundle into the slot that does not run; the next start tries it\n"
    "  booted    once at each start: counts a try, and rolls back what the boot loader gave up; prints "
    "\"trial\" or\n"
    "            \"good\"; exit 3: another slot must run, start the device again\n"
    "  confirm   the trial is healthy: it stays, and nothing below its counter is installed or started any "
    "more\n"
    "  reject    it is not: the next start is the slot before\n"
    "  status    what the slots hold, as JSON\n"
    "  --bus ADDRESS   of the message bus, with every command; without it the system's\n"
    "  --tpm TCTI --floor-at INDEX   with every command: the floor is also kept by the TPM, in a counter "
    "at an "
    "index of\n"
    "                  0x01800000 or above that `init` makes; an older FOLDER put back starts nothing "
    "older\n"
    "\n"
    "The bundle is a target of the update repository (porchlight-tuf download), its hash and counter are "
    "what was "
    "signed there.\n"
    "\n"
    "exit: 0 done; 1 refused or failed, with the reason on standard error; 2 usage; 3 start again\n";

static const porch_slot_program program = {"porchlight-rauc", help, "--bundle", true, false};

static porch_err status(const porch_rauc_device *d, porch_slots *s, porch_why *why) {
    PORCH_TRY(porch_slots_open(s, why));
    const porch_slot_record *r = &s->now;
    (void)printf(
        "{\"booted\":%u,\"active\":%u,\"other\":\"%s\",\"reason\":\"%s\",\"tries\":%u,\"floor\":%llu,"
        "\"slots\":[\"%s\",\"%s\"],\"counters\":[%llu,%llu]}\n",
        d->booted, r->active, porch_slot_state_text(r->other), porch_slot_reason_text(r->reason), r->tries,
        (unsigned long long)r->floor, d->slot[0].name, d->slot[1].name,
        (unsigned long long)r->image[0].counter, (unsigned long long)r->image[1].counter);
    return PORCH_OK;
}

static porch_err booted(porch_rauc_device *d, porch_slots *s, porch_why *why) {
    bool trial = false;
    PORCH_TRY(porch_rauc_device_booted(d, s, &trial, why));
    (void)printf("%s\n", trial ? "trial" : "good");
    return PORCH_OK;
}

static porch_err run(const porch_slot_words *a, porch_rauc_device *d, porch_slots *s, porch_why *why) {
    porch_slot_image bundle = {0};
    if (strcmp(a->command, "status") == 0) return status(d, s, why);
    if (strcmp(a->command, "booted") == 0) return booted(d, s, why);
    if (strcmp(a->command, "confirm") == 0) return porch_rauc_device_confirm(d, s, why);
    if (strcmp(a->command, "reject") == 0) return porch_rauc_device_reject(d, s, why);
    bool first = strcmp(a->command, "init") == 0;
    if (!first && strcmp(a->command, "install") != 0)
        return porch_fail(why, PORCH_ERR_USAGE, "there is no command %.64s", a->command);
    PORCH_TRY(porch_slot_words_image(&program, a, !first, &bundle, why));
    if (first) PORCH_TRY(porch_slot_words_make_floor(a, bundle.counter, why));
    return first ? porch_rauc_device_format(d, s, &bundle, why)
                 : porch_rauc_device_install(d, s, a->image, &bundle, why);
}

int porch_rauc_tool_main(int argc, char **argv) {
    porch_slot_words a = {0};
    porch_rauc_device d;
    porch_slots s;
    porch_why why = {""};
    int code = porch_slot_words_read(&program, argc, argv, &a);
    if (code >= 0) return code;
    porch_err e = porch_rauc_device_open(&d, a.folder, a.bus, &s, &why);
    if (e == PORCH_OK) {
        if (a.tpm != NULL) porch_rauc_device_keep_floor(&d, &s, a.tpm, a.floor_index);
        e = run(&a, &d, &s, &why);
        porch_rauc_device_close(&d);
    }
    if (e == PORCH_OK) return PORCH_SLOT_WORDS_DONE;
    (void)fprintf(stderr, "porchlight-rauc: %s\n", porch_why_text(&why, e));
    if (e == PORCH_ERR_USAGE) return PORCH_SLOT_WORDS_USAGE;
    return e == PORCH_ERR_STATE && strcmp(a.command, "booted") == 0 ? START_AGAIN
                                                                    : PORCH_SLOT_WORDS_REFUSED;
}
