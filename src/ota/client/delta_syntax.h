/* What a delta's stream says, symbol by symbol; written once, for maker and applier (delta_coder.h).
 *
 *   stream := record... ; each record:
 *     same   number        bytes that come from the old image, each changed by a difference (mostly 0)
 *     fresh  number        bytes that do not: literals, and repetitions of what the new image had before
 *     skip   signed number how far the place in the old image jumps behind them
 *
 * The history that probabilities depend on is in porch_delta_history: whole numbers without pointers. */
#ifndef PORCH_OTA_CLIENT_DELTA_SYNTAX_H
#define PORCH_OTA_CLIENT_DELTA_SYNTAX_H

#include "ota/client/delta_coder.h"

typedef enum {
    PORCH_DELTA_SAME,
    PORCH_DELTA_FRESH,
    PORCH_DELTA_SKIP,
    PORCH_DELTA_LENGTH,   /* of a repetition, less PORCH_DELTA_REPEAT_LEAST */
    PORCH_DELTA_DISTANCE, /* of a repetition, less 1 */
    PORCH_DELTA_KINDS
} porch_delta_kind;

enum { PORCH_DELTA_REPEAT_LEAST = 4 };

typedef struct {
    uint32_t changed;      /* of the last 32 bytes from the old image: the newest lowest */
    uint32_t quiet;        /* bytes since the last change */
    uint32_t loud;         /* the same before that one */
    uint8_t difference[4]; /* the last ones, the newest first */
    uint8_t change[2];     /* the last ones that were not 0 */
    uint8_t old[3];        /* bytes of the old image before this one */
    uint8_t past[4];       /* bytes of the new image before this one */
    uint8_t repeated;      /* was the last fresh piece a repetition? */
    uint8_t spare[2];
} porch_delta_history;

/* An encoder's value goes in, a decoder's comes out. */
uint32_t porch_delta_number(porch_delta_coder *c, porch_delta_kind kind, uint32_t value);
/* The byte's difference to `old`, the byte of the old image at this place. Returns the new byte. */
uint8_t porch_delta_changed(porch_delta_coder *c, porch_delta_history *h, uint8_t old, uint8_t fresh);
bool porch_delta_repeats(porch_delta_coder *c, porch_delta_history *h, bool repeats);
uint8_t porch_delta_literal(porch_delta_coder *c, porch_delta_history *h, uint8_t fresh);
/* A byte that came by a repetition: history only. */
void porch_delta_past(porch_delta_history *h, uint8_t fresh);

#endif
