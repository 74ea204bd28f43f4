/* TPMT_PUBLIC of the attester (TPM 2.0 Library, Part 2, 12.2.4), one form only:
 *
 *   type u16 | name algorithm u16 | attributes u32 | policy block16 | symmetric u16 | scheme u16, hash u16
 * | curve u16 | kdf u16 | x block16 | y block16 */
#include "crypto/attester.h"

#include "base/cursor.h"
#include "crypto/p256_der.h"
#include "crypto/sha256.h"

enum {
    ALG_ECC = 0x0023,
    ALG_SHA256 = 0x000b,
    ALG_NULL = 0x0010,
    ALG_ECDSA = 0x0018,
    CURVE_P256 = 0x0003,
    /* fixedTPM, fixedParent, sensitiveDataOrigin, restricted, sign; and not decrypt */
    MUST = 0x00050032,
    MUST_NOT = 0x00020000,
    AREA_MOST = 256
};

static porch_err expect_u16(porch_reader *r, uint16_t wanted) {
    uint16_t got = 0;
    PORCH_TRY(porch_read_u16(r, &got));
    return got == wanted ? PORCH_OK : PORCH_ERR_UNSUPPORTED;
}

/* A coordinate without or with its leading zeros, as TPMs differ. */
static porch_err read_number(porch_reader *r, uint8_t out[PORCH_P256_NUMBER_BYTES]) {
    porch_bytes n;
    PORCH_TRY(porch_read_block16(r, &n));
    if (n.len == 0 || n.len > PORCH_P256_NUMBER_BYTES) return PORCH_ERR_MALFORMED;
    for (size_t i = 0; i < PORCH_P256_NUMBER_BYTES; i++) {
        size_t lead = PORCH_P256_NUMBER_BYTES - n.len;
        out[i] = i < lead ? 0 : n.at[i - lead];
    }
    return PORCH_OK;
}

porch_err porch_attester_read(porch_bytes area, porch_attester *ret) {
    porch_attester made;
    uint8_t point[PORCH_P256_POINT_BYTES] = {4};
    uint32_t attributes = 0;
    porch_bytes policy;
    porch_reader r = porch_reader_of(area);
    if (area.len > AREA_MOST) return PORCH_ERR_LIMIT;
    PORCH_TRY(expect_u16(&r, ALG_ECC));
    PORCH_TRY(expect_u16(&r, ALG_SHA256));
    PORCH_TRY(porch_read_u32(&r, &attributes));
    if ((attributes & MUST) != MUST || (attributes & MUST_NOT) != 0) return PORCH_ERR_UNSUPPORTED;
    PORCH_TRY(porch_read_block16(&r, &policy));
    PORCH_TRY(expect_u16(&r, ALG_NULL));
    PORCH_TRY(expect_u16(&r, ALG_ECDSA));
    PORCH_TRY(expect_u16(&r, ALG_SHA256));
    PORCH_TRY(expect_u16(&r, CURVE_P256));
    PORCH_TRY(expect_u16(&r, ALG_NULL));
    PORCH_TRY(read_number(&r, point + 1));
    PORCH_TRY(read_number(&r, point + 1 + PORCH_P256_NUMBER_BYTES));
    if (!porch_reader_done(&r)) return PORCH_ERR_MALFORMED;
    PORCH_TRY(porch_p256_public_key((porch_bytes){point, sizeof point}, &made.key));
    made.name[0] = ALG_SHA256 >> 8;
    made.name[1] = ALG_SHA256 & 0xff;
    porch_sha256(area, made.name + 2);
    *ret = made;
    return PORCH_OK;
}

void porch_attestation_challenge_of(const uint8_t secret[PORCH_CREDENTIAL_SECRET_BYTES], uint8_t out[32]) {
    static const char use[] = "porchlight evidence 1\n";
    uint8_t block[sizeof use - 1 + PORCH_CREDENTIAL_SECRET_BYTES];
    porch_buf b = PORCH_BUF_OF(block);
    (void)porch_write_text(&b, use);
    (void)porch_write_bytes(&b, (porch_bytes){secret, PORCH_CREDENTIAL_SECRET_BYTES});
    porch_sha256(porch_buf_bytes(&b), out);
    porch_wipe(block, sizeof block);
}
