/* Byte ranges (RFC 9110, 14.1.2): one range of one kind, which is all that players ask for. Several ranges
 * at once are answered with the whole, as the RFC allows. Pure. */
#ifndef PORCH_CLOUD_API_RANGE_H
#define PORCH_CLOUD_API_RANGE_H

#include "base/bytes.h"

typedef enum {
    PORCH_RANGE_WHOLE, /* no range, or one that may be ignored: 200 */
    PORCH_RANGE_PART,  /* 206 */
    PORCH_RANGE_NONE   /* nothing of it lies inside: 416 */
} porch_range_kind;

/* `header` is the value of Range, at NULL when absent. On PART *first and *last are inside `bytes`. */
porch_range_kind porch_range_read(porch_bytes header, uint64_t bytes, uint64_t *first, uint64_t *last);

#endif
