/* Applies a delta: old image and patch in, new image out, in memory of the caller's that does not grow with
 * the images.
 *
 *   patch ─► coder ─► symbols ─┬─ old image (read anywhere) ─┐
 *                              ├─ new image so far (read) ───┼─► a block ─► written ─► journal: where
 * patch, image and └─ literals ──────────────────┘                         coder are, the block's hash
 *
 * After a power cut porch_delta_open goes on from the newest journal that is whole and whose block is on
 * storage as it was written. The maker (author/author_delta.h) chooses how much the coder remembers; see
 * porch_delta_memory_bytes. That the new image is the one that was signed, porch_slots_stage says at the
 * end; that every byte asked for lies inside the images, each step. One applier, one thread at a time. */
#ifndef PORCH_OTA_CLIENT_DELTA_H
#define PORCH_OTA_CLIENT_DELTA_H

#include "crypto/verify.h"
#include "ota/client/delta_head.h"
#include "ota/client/delta_syntax.h"
#include "ota/client/slot_record.h"

/* What surrounds the applier. Reads give exactly what is asked for, or an error, which ends the work. */
typedef struct {
    porch_err (*read_patch)(void *self, uint64_t at, uint8_t *out, size_t len);
    porch_err (*read_old)(void *self, uint64_t at, uint8_t *out, size_t len);
    porch_err (*read_new)(void *self, uint64_t at, uint8_t *out, size_t len);
    /* A block, at a multiple of block_bytes: survives a power cut once the next journal does. */
    porch_err (*write_new)(void *self, uint64_t at, porch_bytes block);
    /* Copy 0 or 1 of the journal; a write that the power cuts may leave anything in that copy alone. */
    porch_err (*read_journal)(void *self, unsigned copy, uint8_t *out, size_t len);
    porch_err (*write_journal)(void *self, unsigned copy, porch_bytes record);
} porch_delta_port;

/* What a journal remembers, as it lies in memory; whole numbers and no holes. The coder's slots and a
 * checksum follow. */
typedef struct {
    uint8_t magic[8];
    uint8_t patch_sha256[32];
    uint8_t block_sha256[32]; /* of the block before new_at */
    uint64_t patch_at, new_at;
    uint32_t sequence;
    uint32_t block_length;
    uint32_t old_at;
    uint32_t same, fresh;      /* left of the open record */
    uint32_t repeat, distance; /* left of the open repetition */
    porch_delta_history history;
    porch_delta_coder_state coder;
    uint32_t spare;
} porch_delta_place;

enum { PORCH_DELTA_OLD_BYTES = 512, PORCH_DELTA_PATCH_BYTES = 256 };

typedef struct {
    const porch_delta_port *port;
    void *self;
    const porch_verify_ops *crypto;
    uint8_t patch_sha256[32]; /* the patch's identity: a journal of another one is not taken up */
    uint64_t patch_length;
    uint32_t block_bytes;       /* written at a time: a flash's sector, or more */
    uint32_t checkpoint_blocks; /* a journal for so many blocks; 1 or more */
    uint32_t memory_most;       /* a delta that needs more is refused: LIMIT */
    uint8_t *memory;            /* memory_most bytes, aligned for uint64_t */
    /* from here on its own */
    porch_delta_head head;
    porch_delta_place *place; /* at the memory's beginning, then slots, checksum, block */
    porch_delta_coder coder;
    uint8_t *block;
    uint32_t filled;
    uint32_t unjournalled; /* blocks since the last journal */
    unsigned copy;         /* of the journal that is the truth */
    uint8_t old_cache[PORCH_DELTA_OLD_BYTES], patch_cache[PORCH_DELTA_PATCH_BYTES];
    uint64_t old_from, patch_from;
    uint32_t old_held, patch_held;
} porch_delta;

/* What a delta of so many slots takes, beside the porch_delta itself. */
size_t porch_delta_memory_bytes(unsigned slot_bits, uint32_t block_bytes);

/* Reads the head and, with `resume`, the journal; *from is how much of the new image is there. Resume only
 * while nothing but this delta was written to the slot. STATE when the delta is not from `old` to `fresh`;
 * MALFORMED, LIMIT, or what the port said. */
porch_err porch_delta_open(porch_delta *d, const porch_slot_image *old, const porch_slot_image *fresh,
                           bool resume, uint64_t *from, porch_why *why);
/* Writes the next block; *done when it was the last one and the patch ends there, too. */
porch_err porch_delta_step(porch_delta *d, bool *done, porch_why *why);
/* Makes the journals say nothing: before anything else is written to the slot. Any time. */
porch_err porch_delta_forget(const porch_delta_port *port, void *self);

#endif
