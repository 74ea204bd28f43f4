/* What camera, spawner and decoder say to each other, one packet each. For the files of the decoder. */
#ifndef PORCH_CAMERA_DECODER_WIRE_H
#define PORCH_CAMERA_DECODER_WIRE_H

#include "decoder.h"

enum {
    PORCH_DECODER_PIXELS_MOST = PORCH_CAMERA_PIXELS_MOST,
    PORCH_DECODER_SHARED_BYTES =
        PORCH_CAMERA_PIXELS_MOST / 2 * 3 + 65536, /* YUV 4:2:0, odd sizes included */
    PORCH_DECODER_SIDE_LEAST = 16,
    PORCH_DECODER_SIDE_MOST = 16384
};

/* camera ─► spawner: OPEN with two descriptors (channel, shared memory), END. Each is answered by one
 * porch_decoder_status. */
typedef enum { PORCH_DECODER_OPEN = 'o', PORCH_DECODER_END = 'e' } porch_decoder_order;
typedef struct {
    uint32_t number; /* of the order: an answer that comes too late is not taken for another's */
    uint32_t order;
} porch_decoder_letter;
typedef struct {
    uint32_t number; /* of the order that it answers */
    int32_t pid;     /* OPEN: of the new decoder, 0: it could not be forked */
    int32_t status;  /* END: as waitpid gave it; 0 when there was none */
} porch_decoder_status;

/* decoder ─► camera: SOURCE or REFUSED once, then one for each byte that asks for a frame. */
typedef enum {
    PORCH_DECODER_SOURCE = 1,
    PORCH_DECODER_REFUSED,
    PORCH_DECODER_FRAME,
    PORCH_DECODER_FILM_END,
    PORCH_DECODER_BROKEN
} porch_decoder_kind;
typedef struct {
    uint32_t kind;
    int32_t width, height, rate_num, rate_den;
    uint32_t unused;
    uint64_t at_ms;
    char why[256];
} porch_decoder_told;

/* decoder_child.c: the spawner's loop and the decoder; neither returns to its caller's caller. */
void porch_decoder_spawn(int control, const porch_camera_decoder_options *options)
    __attribute__((noreturn));

#endif
