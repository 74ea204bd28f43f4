/* The words that porchlight-launch and porchlight-rauc are called with: a folder, a command, an image with
 * its counter and hash, and where the floor is kept. */
#ifndef PORCH_OTA_PORT_LINUX_SLOT_WORDS_H
#define PORCH_OTA_PORT_LINUX_SLOT_WORDS_H

#include <stdbool.h>
#include <stdint.h>

#include "base/error.h"
#include "ota/client/slot.h"

enum { PORCH_SLOT_WORDS_DONE = 0, PORCH_SLOT_WORDS_REFUSED = 1, PORCH_SLOT_WORDS_USAGE = 2 };

typedef struct {
    const char *program, *help;
    const char *image; /* the option that names an image: "--image" */
    bool has_bus;      /* it takes --bus */
    bool starts;       /* without a command it starts what runs, with the words behind "--" */
} porch_slot_program;

typedef struct {
    const char *folder, *command;                                /* command NULL: start */
    const char *image, *counter, *sha256, *bus, *tpm, *floor_at; /* NULL: not said */
    uint32_t floor_index;
    char **rest; /* from "--" on; NULL: there is none */
} porch_slot_words;

/* -1 when there is something to do, else the program's exit code: help was printed, or a complaint. */
int porch_slot_words_read(const porch_slot_program *p, int argc, char **argv, porch_slot_words *ret);

/* The image as it lies there; with --sha256, which `install` must have, it is the one that was signed.
 * USAGE, HASH, or why it cannot be read. */
porch_err porch_slot_words_image(const porch_slot_program *p, const porch_slot_words *w, bool install,
                                 porch_slot_image *ret, porch_why *why);

/* The TPM's counter, when one was named; it may be there from an attempt that was cut. */
porch_err porch_slot_words_make_floor(const porch_slot_words *w, uint64_t counter, porch_why *why);

#endif
