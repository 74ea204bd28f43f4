/* The part of CBOR (RFC 8949) that a device manifest is written in, read strictly: deterministic encoding
 * (4.2.1) and nothing else, so that one content has one form.
 *
 *   Refused: lengths and numbers not in their shortest form, indefinite lengths, floats, simple values but
 *   null, and what a caller does not ask for by type.
 *
 * A reader has not moved after an error; views look into the input. No allocation, no recursion. */
#ifndef PORCH_OTA_CLIENT_CBOR_H
#define PORCH_OTA_CLIENT_CBOR_H

#include "base/cursor.h"

typedef enum {
    PORCH_CBOR_UINT,
    PORCH_CBOR_NEGATIVE, /* -1 - value */
    PORCH_CBOR_BYTES,
    PORCH_CBOR_TEXT,
    PORCH_CBOR_ARRAY,
    PORCH_CBOR_MAP,
    PORCH_CBOR_TAG
} porch_cbor_type;

/* The head of an item of that type: its number, length or count. MALFORMED for another type or form,
 * TRUNCATED. */
porch_err porch_cbor_head(porch_reader *r, porch_cbor_type type, uint64_t *ret);
/* A byte or text string. */
porch_err porch_cbor_string(porch_reader *r, porch_cbor_type type, porch_bytes *ret);
porch_err porch_cbor_null(porch_reader *r);

/* These very bytes come next: the fixed parts of a schema. */
porch_err porch_cbor_fixed(porch_reader *r, const uint8_t *bytes, size_t len);
/* Is the next byte that one? For members that may be missing. */
bool porch_cbor_next_is(const porch_reader *r, uint8_t byte);

#endif
