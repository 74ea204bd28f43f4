#include "ota/port/linux/launch.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/text.h"
#include "crypto/tpm.h"
#include "os/file.h"
#include "ota/port/linux/slot_files.h"

enum { EXIT_DONE = 0, EXIT_REFUSED = 1, EXIT_USAGE = 2, PATH_BYTES = 4096, OPTIONS = 5 };

static const char help[] =
    "usage: porchlight-launch FOLDER [-- WORDS...]\n"
    "       porchlight-launch FOLDER init --image FILE --counter N\n"
    "       porchlight-launch FOLDER install --image FILE --counter N --sha256 HEX\n"
    "       porchlight-launch FOLDER confirm | reject | status\n"
    "\n"
    "  FOLDER    starts the image that may run now; it finds PORCHLIGHT_SLOT (0 or 1) and, on trial, "
    "PORCHLIGHT_TRIAL=1\n"
    "            in its environment\n"
    "  init      FILE is the device's first image\n"
    "  install   puts FILE into the other slot, from where an earlier attempt was cut; the next start "
    "tries it\n"
    "  confirm   the image on trial is healthy: it stays, and nothing below its counter starts any more\n"
    "  reject    it is not: the next start is the image before\n"
    "  status    what the slots hold, as JSON\n"
    "\n"
    "  --tpm TCTI --floor-at INDEX\n"
    "            the floor is also kept by the TPM, in a counter at an index of 0x01800000 or above that "
    "init "
    "makes: whoever\n"
    "            puts an older state of the folder back starts nothing older. With every command\n"
    "\n"
    "An image on trial that does not confirm in three starts is rolled back. One that is not what its hash "
    "says never\n"
    "starts.\n"
    "\n"
    "exit: 0 done; 1 refused or failed, with the reason on standard error; 2 usage\n";

typedef struct {
    const char *folder, *command;
    const char *image, *counter, *sha256;
    const char *tpm, *floor_at;
    uint32_t floor_index;
    char **words; /* for the image */
} arguments;

static int usage(const char *complaint, const char *what) {
    (void)fprintf(stderr, "porchlight-launch: %s%s; see porchlight-launch --help\n", complaint, what);
    return EXIT_USAGE;
}

/* -1 when there is something to do, else the exit code. */
static int parse(int argc, char **argv, arguments *a) {
    const struct {
        const char *name;
        const char **value;
    } options[OPTIONS] = {{"--image", &a->image},
                          {"--counter", &a->counter},
                          {"--sha256", &a->sha256},
                          {"--tpm", &a->tpm},
                          {"--floor-at", &a->floor_at}};
    for (int i = 1; i < argc; i++) {
        size_t n = 0;
        while (n < OPTIONS && strcmp(argv[i], options[n].name) != 0)
            n++;
        if (strcmp(argv[i], "--help") == 0) {
            (void)fputs(help, stdout);
            return EXIT_DONE;
        }
        if (strcmp(argv[i], "--") == 0) {
            a->words = argv + i; /* the "--" becomes the image's own name */
            break;
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
    if (a->folder == NULL) return usage("FOLDER is missing", "");
    if ((a->tpm == NULL) != (a->floor_at == NULL)) return usage("--tpm and --floor-at belong together", "");
    return a->floor_at == NULL || porch_slot_files_index_read(a->floor_at, &a->floor_index)
               ? -1
               : usage("an index is 0x and eight hex digits, not ", a->floor_at);
}

static porch_err start(const arguments *a, porch_slot_files *f, porch_slots *s, porch_why *why) {
    char path[PATH_BYTES], name[16], number[8];
    char *bare[] = {path, NULL};
    char **words = a->words != NULL ? a->words : bare;
    unsigned slot = 0;
    PORCH_TRY(porch_slots_open(s, why));
    PORCH_TRY(porch_slots_boot(s, &slot, why));
    if (a->tpm != NULL && s->kept < s->now.floor)
        (void)fprintf(stderr,
                      "porchlight-launch: the TPM's counter stays at %llu below the floor %llu: %s\n",
                      (unsigned long long)s->kept, (unsigned long long)s->now.floor, f->floor_why.text);
    (void)snprintf(name, sizeof name, "slot.%u", slot);
    (void)snprintf(number, sizeof number, "%u", slot);
    if (porch_path_join(a->folder, name, path, sizeof path) != PORCH_OK ||
        setenv("PORCHLIGHT_SLOT", number, 1) != 0 ||
        setenv("PORCHLIGHT_TRIAL", slot == s->now.active ? "0" : "1", 1) != 0)
        return porch_fail(why, PORCH_ERR_NO_SPACE, "the folder's name is too long");
    words[0] = path;
    porch_slot_files_close(f); /* the image may call us */
    execv(path, words);
    return porch_fail(why, PORCH_ERR_IO, "start %.200s: %s", path, strerror(errno));
}

static porch_err wanted(const arguments *a, porch_slot_image *ret, porch_why *why) {
    porch_slot_image image;
    porch_buf hash = PORCH_BUF_OF(ret->sha256);
    uint64_t counter = 0;
    if (a->image == NULL || a->counter == NULL ||
        porch_decimal_read(porch_bytes_of(a->counter), UINT64_MAX, &counter) != PORCH_OK)
        return porch_fail(why, PORCH_ERR_USAGE, "--image FILE and --counter N are needed");
    PORCH_TRY(porch_slot_files_measure(a->image, counter, &image, why));
    *ret = image;
    if (a->sha256 == NULL) return PORCH_OK;
    if (porch_hex_read(&hash, porch_bytes_of(a->sha256)) != PORCH_OK || hash.len != sizeof ret->sha256)
        return porch_fail(why, PORCH_ERR_USAGE, "--sha256 is 64 lower-case hex digits");
    return memcmp(ret->sha256, image.sha256, sizeof image.sha256) == 0
               ? PORCH_OK
               : porch_fail(why, PORCH_ERR_HASH, "%.200s has not the hash that was announced", a->image);
}

static porch_err status(porch_slots *s, porch_why *why) {
    PORCH_TRY(porch_slots_open(s, why));
    const porch_slot_record *r = &s->now;
    (void)printf("{\"active\":%u,\"other\":\"%s\",\"reason\":\"%s\",\"tries\":%u,\"floor\":%llu,"
                 "\"written\":%llu,\"counters\":[%llu,%llu]}\n",
                 r->active, porch_slot_state_text(r->other), porch_slot_reason_text(r->reason), r->tries,
                 (unsigned long long)r->floor, (unsigned long long)r->written,
                 (unsigned long long)r->image[0].counter, (unsigned long long)r->image[1].counter);
    return PORCH_OK;
}

/* The device's first image, and the counter in its TPM, which may be there from an attempt that was cut. */
static porch_err begin(const arguments *a, porch_slot_files *f, porch_slots *s, porch_why *why) {
    porch_slot_image image = {0};
    uint64_t kept = 0;
    PORCH_TRY(wanted(a, &image, why));
    if (a->tpm != NULL && porch_tpm_floor_read(a->tpm, a->floor_index, &kept, why) != PORCH_OK)
        PORCH_TRY(porch_tpm_floor_make(a->tpm, a->floor_index, image.counter, why));
    return porch_slot_files_format(f, s, a->image, image.counter, why);
}

static porch_err run(const arguments *a, porch_slot_files *f, porch_slots *s, porch_why *why) {
    porch_slot_image image = {0};
    if (a->command == NULL) return start(a, f, s, why);
    if (strcmp(a->command, "status") == 0) return status(s, why);
    if (strcmp(a->command, "init") == 0) return begin(a, f, s, why);
    if (strcmp(a->command, "install") == 0) {
        if (a->sha256 == NULL)
            return porch_fail(why, PORCH_ERR_USAGE, "--sha256 HEX is needed: what was signed");
        PORCH_TRY(wanted(a, &image, why));
        return porch_slot_files_install(f, s, a->image, &image, why);
    }
    PORCH_TRY(porch_slots_open(s, why));
    if (strcmp(a->command, "confirm") == 0) return porch_slots_confirm(s, why);
    if (strcmp(a->command, "reject") == 0) return porch_slots_reject(s, why);
    return porch_fail(why, PORCH_ERR_USAGE, "there is no command %.64s", a->command);
}

int porch_launch_main(int argc, char **argv) {
    arguments a = {0};
    porch_slot_files f = {.dir_fd = -1, .lock_fd = -1};
    porch_slots s;
    porch_why why = {""};
    int code = parse(argc, argv, &a);
    if (code >= 0) return code;
    porch_err e = porch_slot_files_open(&f, a.folder, &s, &why);
    if (e == PORCH_OK) {
        if (a.tpm != NULL) porch_slot_files_keep_floor(&f, &s, a.tpm, a.floor_index);
        e = run(&a, &f, &s, &why);
        porch_slot_files_close(&f);
    }
    if (e == PORCH_OK) return EXIT_DONE;
    (void)fprintf(stderr, "porchlight-launch: %s%s%s\n", porch_why_text(&why, e),
                  f.floor_why.text[0] != '\0' ? ": " : "", f.floor_why.text);
    return e == PORCH_ERR_USAGE ? EXIT_USAGE : EXIT_REFUSED;
}
