/* Makes a delta (client/delta.h applies it). */
#ifndef PORCH_OTA_AUTHOR_AUTHOR_DELTA_H
#define PORCH_OTA_AUTHOR_AUTHOR_DELTA_H

#include "base/bytes.h"
#include "base/error.h"

/* For whom: a device that gives the applier some 400 KiB, or one that has 16 KiB. */
typedef enum { PORCH_AUTHOR_DELTA_LARGE, PORCH_AUTHOR_DELTA_SMALL } porch_author_delta_size;

/* The caller frees ret->at. `done` (may be NULL) is told how much of the new image is in. NO_SPACE, LIMIT.
 */
porch_err porch_author_delta(porch_bytes old, porch_bytes fresh, porch_author_delta_size size,
                             porch_buf *ret, void (*tick)(void *ctx, uint64_t done), void *ctx,
                             porch_why *why);

#endif
