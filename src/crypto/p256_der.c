#include "crypto/p256_der.h"

#include <string.h>

#include "base/cursor.h"

enum { TAG_INTEGER = 0x02, TAG_SEQUENCE = 0x30, UNCOMPRESSED = 4 };

/* Without leading zeros, but with one where the first bit would make the number negative (X.690, 8.3). */
static porch_err write_integer(porch_buf *out, porch_bytes number) {
    while (number.len > 1 && number.at[0] == 0) {
        number.at++;
        number.len--;
    }
    bool padded = number.len == 0 || (number.at[0] & 0x80) != 0;
    PORCH_TRY(porch_write_u8(out, TAG_INTEGER));
    PORCH_TRY(porch_write_u8(out, (uint8_t)(number.len + padded)));
    if (padded) PORCH_TRY(porch_write_u8(out, 0));
    return porch_write_bytes(out, number);
}

porch_err porch_p256_signature_der(porch_bytes r, porch_bytes s, porch_buf *out) {
    uint8_t block[2 * (2 + 1 + PORCH_P256_NUMBER_BYTES)];
    porch_buf numbers = PORCH_BUF_OF(block), made = *out;
    if (r.len > PORCH_P256_NUMBER_BYTES || s.len > PORCH_P256_NUMBER_BYTES) return PORCH_ERR_LIMIT;
    PORCH_TRY(write_integer(&numbers, r));
    PORCH_TRY(write_integer(&numbers, s));
    PORCH_TRY(porch_write_u8(&made, TAG_SEQUENCE));
    PORCH_TRY(porch_write_u8(&made, (uint8_t)numbers.len)); /* at most 70: one byte */
    PORCH_TRY(porch_write_bytes(&made, porch_buf_bytes(&numbers)));
    *out = made;
    return PORCH_OK;
}

porch_err porch_p256_public_key(porch_bytes point, porch_public_key *ret) {
    /* SEQUENCE { SEQUENCE { id-ecPublicKey, prime256v1 }, BIT STRING of 66 bytes, none unused } */
    static const uint8_t head[] = {0x30, 0x59, 0x30, 0x13, 0x06, 0x07, 0x2a, 0x86, 0x48,
                                   0xce, 0x3d, 0x02, 0x01, 0x06, 0x08, 0x2a, 0x86, 0x48,
                                   0xce, 0x3d, 0x03, 0x01, 0x07, 0x03, 0x42, 0x00};
    if (point.len != PORCH_P256_POINT_BYTES || point.at[0] != UNCOMPRESSED) return PORCH_ERR_MALFORMED;
    porch_public_key made = {.kind = PORCH_KEY_P256, .len = sizeof head + PORCH_P256_POINT_BYTES};
    memcpy(made.der, head, sizeof head);
    memcpy(made.der + sizeof head, point.at, point.len);
    *ret = made;
    return PORCH_OK;
}
