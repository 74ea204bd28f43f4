/* The first bytes of a delta: which image it is made from, and which it makes.
 *
 *   8  "PORCHDL1"      8  length of the old image      8  length of the new image
 *   1  log2 of slots   32 SHA-256 of the old image     32 SHA-256 of the new image      then the coder's
 * stream
 */
#ifndef PORCH_OTA_CLIENT_DELTA_HEAD_H
#define PORCH_OTA_CLIENT_DELTA_HEAD_H

#include "base/bytes.h"
#include "base/error.h"

enum { PORCH_DELTA_HEAD_BYTES = 89 };
/* No image is longer: lengths and distances of a stream have 32 bits. */
#define PORCH_DELTA_IMAGE_MOST ((uint64_t)1 << 31)

typedef struct {
    uint64_t old_length, new_length;
    uint8_t slot_bits;
    uint8_t old_sha256[32], new_sha256[32];
} porch_delta_head;

void porch_delta_head_write(const porch_delta_head *h, uint8_t out[PORCH_DELTA_HEAD_BYTES]);
/* MALFORMED: no delta. LIMIT: of a size that nobody applies. */
porch_err porch_delta_head_read(porch_bytes bytes, porch_delta_head *ret, porch_why *why);

#endif
