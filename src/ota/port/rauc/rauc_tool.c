#include "ota/port/rauc/rauc_tool.h"

#include <stdio.h>
#include <string.h>

#include "base/text.h"
#include "crypto/tpm.h"
#include "ota/port/rauc/rauc_slots.h"

enum { EXIT_DONE = 0, EXIT_REFUSED = 1, EXIT_USAGE = 2, EXIT_START_AGAIN = 3, OPTIONS = 6 };

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

typedef struct {
    const char *folder, *command, *bundle, *counter, *sha256, *bus, *tpm, *floor_at;
    uint32_t floor_index;
} arguments;

static int usage(const char *complaint, const char *what) {
    (void)fprintf(stderr, "porchlight-rauc: %s%s; see porchlight-rauc --help\n", complaint, what);
    return EXIT_USAGE;
}

/* -1 when there is something to do, else the exit code. */
static int parse(int argc, char **argv, arguments *a) {
    const struct {
        const char *name;
        const char **value;
    } options[OPTIONS] = {{"--bundle", &a->bundle}, {"--counter", &a->counter},
                          {"--sha256", &a->sha256}, {"--bus", &a->bus},
                          {"--tpm", &a->tpm},       {"--floor-at", &a->floor_at}};
    for (int i = 1; i < argc; i++) {
        size_t n = 0;
        while (n < OPTIONS && strcmp(argv[i], options[n].name) != 0)
            n++;
        if (strcmp(argv[i], "--help") == 0) {
            (void)fputs(help, stdout);
            return EXIT_DONE;
        }
        if (n < OPTIONS) {
            if (++i >= argc) return usage("a value is missing after ", argv[i - 1]);
            *options[n].value = argv[i];
        } else if (argv[i][0] == '-') {
            return usage("there is no option ", argv[i]);
        } else if (a->folder == NULL) {
            a->folder = argv[i];
        } else if (a->command == NULL) {
            a->command = argv[i];
        } else {
            return usage("a word too many: ", argv[i]);
        }
    }
    if (a->command == NULL) return usage("FOLDER and a command are needed", "");
    if ((a->tpm == NULL) != (a->floor_at == NULL)) return usage("--tpm and --floor-at belong together", "");
    return a->floor_at == NULL || porch_slot_files_index_read(a->floor_at, &a->floor_index)
               ? -1
               : usage("an index is 0x and eight hex digits, not ", a->floor_at);
}

/* The bundle as it lies there; with --sha256 it must be the one that was signed. */
static porch_err measure(const arguments *a, bool signed_, porch_slot_image *ret, porch_why *why) {
    uint8_t hash[32];
    porch_buf wanted = PORCH_BUF_OF(hash);
    uint64_t counter = 0;
    if (a->bundle == NULL || a->counter == NULL || (signed_ && a->sha256 == NULL) ||
        porch_decimal_read(porch_bytes_of(a->counter), UINT64_MAX, &counter) != PORCH_OK)
        return porch_fail(why, PORCH_ERR_USAGE, "--bundle FILE, --counter N%s are needed",
                          signed_ ? " and --sha256 HEX" : "");
    PORCH_TRY(porch_slot_files_measure(a->bundle, counter, ret, why));
    if (!signed_) return PORCH_OK;
    if (porch_hex_read(&wanted, porch_bytes_of(a->sha256)) != PORCH_OK || wanted.len != sizeof hash)
        return porch_fail(why, PORCH_ERR_USAGE, "--sha256 is 64 lower-case hex digits");
    return memcmp(hash, ret->sha256, sizeof hash) == 0
               ? PORCH_OK
               : porch_fail(why, PORCH_ERR_HASH, "%.200s has not the hash that was signed", a->bundle);
}

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

/* It may be there from an attempt that was cut. */
static porch_err make_floor(const arguments *a, uint64_t counter, porch_why *why) {
    uint64_t kept = 0;
    if (a->tpm == NULL || porch_tpm_floor_read(a->tpm, a->floor_index, &kept, why) == PORCH_OK)
        return PORCH_OK;
    return porch_tpm_floor_make(a->tpm, a->floor_index, counter, why);
}

static porch_err run(const arguments *a, porch_rauc_device *d, porch_slots *s, porch_why *why) {
    porch_slot_image bundle = {0};
    if (strcmp(a->command, "status") == 0) return status(d, s, why);
    if (strcmp(a->command, "booted") == 0) return booted(d, s, why);
    if (strcmp(a->command, "confirm") == 0) return porch_rauc_device_confirm(d, s, why);
    if (strcmp(a->command, "reject") == 0) return porch_rauc_device_reject(d, s, why);
    bool first = strcmp(a->command, "init") == 0;
    if (!first && strcmp(a->command, "install") != 0)
        return porch_fail(why, PORCH_ERR_USAGE, "there is no command %.64s", a->command);
    PORCH_TRY(measure(a, !first, &bundle, why));
    if (first) PORCH_TRY(make_floor(a, bundle.counter, why));
    return first ? porch_rauc_device_format(d, s, &bundle, why)
                 : porch_rauc_device_install(d, s, a->bundle, &bundle, why);
}

int porch_rauc_tool_main(int argc, char **argv) {
    arguments a = {0};
    porch_rauc_device d;
    porch_slots s;
    porch_why why = {""};
    int code = parse(argc, argv, &a);
    if (code >= 0) return code;
    porch_err e = porch_rauc_device_open(&d, a.folder, a.bus, &s, &why);
    if (e == PORCH_OK) {
        if (a.tpm != NULL) porch_rauc_device_keep_floor(&d, &s, a.tpm, a.floor_index);
        e = run(&a, &d, &s, &why);
        porch_rauc_device_close(&d);
    }
    if (e == PORCH_OK) return EXIT_DONE;
    (void)fprintf(stderr, "porchlight-rauc: %s\n", porch_why_text(&why, e));
    if (e == PORCH_ERR_USAGE) return EXIT_USAGE;
    return e == PORCH_ERR_STATE && strcmp(a.command, "booted") == 0 ? EXIT_START_AGAIN : EXIT_REFUSED;
}
