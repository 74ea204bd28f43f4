#include "ota/port/linux/launch.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "os/file.h"
#include "ota/port/linux/slot_files.h"
#include "ota/port/linux/slot_words.h"

enum { PATH_BYTES = 4096 };

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

static const porch_slot_program program = {"porchlight-launch", help, "--image", false, true};

static porch_err start(const porch_slot_words *a, porch_slot_files *f, porch_slots *s, porch_why *why) {
    char path[PATH_BYTES], name[16], number[8];
    char *bare[] = {path, NULL};
    char **words = a->rest != NULL ? a->rest : bare;
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
    words[0] = path;           /* for "--": the image's own name */
    porch_slot_files_close(f); /* the image may call us */
    execv(path, words);
    return porch_fail(why, PORCH_ERR_IO, "start %.200s: %s", path, strerror(errno));
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

static porch_err run(const porch_slot_words *a, porch_slot_files *f, porch_slots *s, porch_why *why) {
    porch_slot_image image = {0};
    if (a->command == NULL) return start(a, f, s, why);
    if (strcmp(a->command, "status") == 0) return status(s, why);
    if (strcmp(a->command, "init") == 0) {
        PORCH_TRY(porch_slot_words_image(&program, a, false, &image, why));
        PORCH_TRY(porch_slot_words_make_floor(a, image.counter, why));
        return porch_slot_files_format(f, s, a->image, image.counter, why);
    }
    if (strcmp(a->command, "install") == 0) {
        PORCH_TRY(porch_slot_words_image(&program, a, true, &image, why));
        return porch_slot_files_install(f, s, a->image, &image, why);
    }
    PORCH_TRY(porch_slots_open(s, why));
    if (strcmp(a->command, "confirm") == 0) return porch_slots_confirm(s, why);
    if (strcmp(a->command, "reject") == 0) return porch_slots_reject(s, why);
    return porch_fail(why, PORCH_ERR_USAGE, "there is no command %.64s", a->command);
}

/* A product that does not start because somebody copies an image, or a healthy trial that is rolled back
 * since its word did not get through, would be worse than a wait. */
static unsigned wait_of(const porch_slot_words *a) {
    bool waits =
        a->command == NULL || strcmp(a->command, "confirm") == 0 || strcmp(a->command, "reject") == 0;
    return waits ? PORCH_SLOT_FILES_WAIT_S : 0;
}

int porch_launch_main(int argc, char **argv) {
    porch_slot_words a = {0};
    porch_slot_files f = {.dir_fd = -1, .lock_fd = -1};
    porch_slots s;
    porch_why why = {""};
    int code = porch_slot_words_read(&program, argc, argv, &a);
    if (code >= 0) return code;
    porch_err e = porch_slot_files_await(&f, a.folder, wait_of(&a), &s, &why);
    if (e == PORCH_OK) {
        if (a.tpm != NULL) porch_slot_files_keep_floor(&f, &s, a.tpm, a.floor_index);
        e = run(&a, &f, &s, &why);
        porch_slot_files_close(&f);
    }
    if (e == PORCH_OK) return PORCH_SLOT_WORDS_DONE;
    (void)fprintf(stderr, "porchlight-launch: %s%s%s\n", porch_why_text(&why, e),
                  f.floor_why.text[0] != '\0' ? ": " : "", f.floor_why.text);
    return e == PORCH_ERR_USAGE ? PORCH_SLOT_WORDS_USAGE : PORCH_SLOT_WORDS_REFUSED;
}
