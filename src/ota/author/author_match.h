/* What of a new image stands in an old one, or earlier in the new one: the maker's half of deltas that
 * costs memory (five times the old image, nine times the new one).
 *
 * The search for similar places is bsdiff's idea (C. Percival, Naive Differences of Executable Code, 2003),
 * over a suffix array of libdivsufsort. */
#ifndef PORCH_OTA_AUTHOR_AUTHOR_MATCH_H
#define PORCH_OTA_AUTHOR_AUTHOR_MATCH_H

#include "base/bytes.h"
#include "base/error.h"

typedef struct {
    uint32_t same;  /* bytes from old_at on */
    uint32_t fresh; /* then bytes that are no such */
    uint32_t old_at;
} porch_author_piece;

/* The new image in pieces; the caller frees *ret. Takes about a second for 10 MB. `tick` (may be NULL) is
 * told how far it has come. */
porch_err porch_author_match(porch_bytes old, porch_bytes fresh, porch_author_piece **ret, size_t *count,
                             void (*tick)(void *ctx, uint64_t done), void *ctx, porch_why *why);

/* Places of four bytes in the new image, for its own repetitions. */
typedef struct {
    porch_bytes image;
    int32_t *newest; /* by hash */
    int32_t *before; /* by place */
    uint32_t known;  /* places that are in */
} porch_author_repeats;

porch_err porch_author_repeats_open(porch_author_repeats *r, porch_bytes image, porch_why *why);
void porch_author_repeats_close(porch_author_repeats *r);
/* The longest earlier occurrence, worth its cost, of what stands at `at`, at most `most` bytes; 0 when
 * there is none. */
uint32_t porch_author_repeats_find(porch_author_repeats *r, uint32_t at, uint32_t most, uint32_t *distance);

#endif
