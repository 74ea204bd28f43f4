#include "ota/client/cbor.h"

enum { MAJOR_SHIFT = 5, INFO_MASK = 0x1f, INFO_1_BYTE = 24, INFO_8_BYTES = 27, NULL_BYTE = 0xf6 };

porch_err porch_cbor_head(porch_reader *r, porch_cbor_type type, uint64_t *ret) {
    porch_reader at = *r;
    uint8_t first = 0, byte = 0;
    PORCH_TRY(porch_read_u8(&at, &first));
    if (first >> MAJOR_SHIFT != (uint8_t)type) return PORCH_ERR_MALFORMED;
    unsigned info = first & INFO_MASK;
    uint64_t value = info;
    if (info >= INFO_1_BYTE) {
        if (info > INFO_8_BYTES) return PORCH_ERR_MALFORMED; /* reserved, or of no fixed length */
        unsigned bytes = 1U << (info - INFO_1_BYTE);
        value = 0;
        for (unsigned i = 0; i < bytes; i++) {
            PORCH_TRY(porch_read_u8(&at, &byte));
            value = value << 8 | byte;
        }
        /* Does it need so many? */
        uint64_t least = bytes == 1 ? INFO_1_BYTE : UINT64_C(1) << (bytes * 4);
        if (value < least) return PORCH_ERR_MALFORMED;
    }
    *ret = value;
    *r = at;
    return PORCH_OK;
}

porch_err porch_cbor_string(porch_reader *r, porch_cbor_type type, porch_bytes *ret) {
    porch_reader at = *r;
    uint64_t len = 0;
    PORCH_TRY(porch_cbor_head(&at, type, &len));
    if (len > at.rest.len) return PORCH_ERR_TRUNCATED;
    PORCH_TRY(porch_read_bytes(&at, (size_t)len, ret));
    *r = at;
    return PORCH_OK;
}

porch_err porch_cbor_null(porch_reader *r) {
    static const uint8_t byte = NULL_BYTE;
    return porch_cbor_fixed(r, &byte, 1);
}

porch_err porch_cbor_fixed(porch_reader *r, const uint8_t *bytes, size_t len) {
    if (len > r->rest.len) return PORCH_ERR_TRUNCATED;
    for (size_t i = 0; i < len; i++)
        if (r->rest.at[i] != bytes[i]) return PORCH_ERR_MALFORMED;
    r->rest.at += len;
    r->rest.len -= len;
    return PORCH_OK;
}

bool porch_cbor_next_is(const porch_reader *r, uint8_t byte) {
    return r->rest.len > 0 && r->rest.at[0] == byte;
}
