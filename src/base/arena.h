/* Scratch memory for one packet, request or decision: bump to take, reset to give all back. Full is an
 * error of the input that wanted so much, not an abort. */
#ifndef PORCH_BASE_ARENA_H
#define PORCH_BASE_ARENA_H

#include "base/bytes.h"

typedef struct {
    uint8_t *at;
    size_t used;
    size_t cap;
} porch_arena;

porch_arena porch_arena_of(void *block, size_t bytes);
/* Zeroed and aligned for any type; NULL when the block is spent. */
void *porch_arena_take(porch_arena *a, size_t bytes);
/* A copy with a terminating zero; NULL when the block is spent. */
char *porch_arena_text(porch_arena *a, porch_bytes text);
void porch_arena_reset(porch_arena *a);

#endif
