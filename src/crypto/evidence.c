/* A TPM's statement about a key (TPM 2.0 Library, Part 2, 10.12.12 TPMS_ATTEST), read as far as it matters:
 *
 *   magic u32 | type u16 | signer block16 | extra block16 | clock 17 | firmware u64 | name block16 | ...
 *
 * The key's name is a hash over its public part with its attributes; so when it is the name that *our* kind
 * of key (made in the TPM, fixed to it and to its parent) with this point would have, it is that key. */
#include "base/cursor.h"
#include "crypto/keystore.h"
#include "crypto/p256_der.h"
#include "crypto/sha256.h"

enum {
    MAGIC = 0xff544347,
    TYPE_CERTIFY = 0x8017,
    ALG_ECC = 0x0023,
    ALG_SHA256 = 0x000b,
    ALG_NULL = 0x0010,
    CURVE_P256 = 0x0003,
    /* fixedTPM, fixedParent, sensitiveDataOrigin, userWithAuth, noDA, sign: as port/tpm makes them */
    ATTRIBUTES = 0x00040472,
    CLOCK_BYTES = 17 + 8,
    NAME_BYTES = 2 + PORCH_SHA256_BYTES,
};

static porch_err expected_name(const porch_public_key *key, uint8_t name[NAME_BYTES]) {
    uint8_t block[128];
    porch_buf area = PORCH_BUF_OF(block), out = {name, 0, NAME_BYTES};
    if (key->kind != PORCH_KEY_P256 || key->len < PORCH_P256_POINT_BYTES) return PORCH_ERR_UNSUPPORTED;
    const uint8_t *x = key->der + key->len - 2 * (size_t)PORCH_P256_NUMBER_BYTES;
    PORCH_TRY(porch_write_u16(&area, ALG_ECC));
    PORCH_TRY(porch_write_u16(&area, ALG_SHA256));
    PORCH_TRY(porch_write_u32(&area, ATTRIBUTES));
    PORCH_TRY(porch_write_u16(&area, 0)); /* no policy */
    PORCH_TRY(porch_write_u16(&area, ALG_NULL));
    PORCH_TRY(porch_write_u16(&area, ALG_NULL));
    PORCH_TRY(porch_write_u16(&area, CURVE_P256));
    PORCH_TRY(porch_write_u16(&area, ALG_NULL));
    PORCH_TRY(porch_write_block16(&area, (porch_bytes){x, PORCH_P256_NUMBER_BYTES}));
    PORCH_TRY(
        porch_write_block16(&area, (porch_bytes){x + PORCH_P256_NUMBER_BYTES, PORCH_P256_NUMBER_BYTES}));
    PORCH_TRY(porch_write_u16(&out, ALG_SHA256));
    porch_sha256(porch_buf_bytes(&area), name + 2);
    return PORCH_OK;
}

static porch_err read_statement(porch_bytes statement, porch_bytes *challenge, porch_bytes *name) {
    porch_reader r = porch_reader_of(statement);
    uint32_t magic = 0;
    uint16_t type = 0;
    porch_bytes skipped;
    PORCH_TRY(porch_read_u32(&r, &magic));
    PORCH_TRY(porch_read_u16(&r, &type));
    if (magic != MAGIC || type != TYPE_CERTIFY) return PORCH_ERR_MALFORMED;
    PORCH_TRY(porch_read_block16(&r, &skipped)); /* the signer's qualified name */
    PORCH_TRY(porch_read_block16(&r, challenge));
    PORCH_TRY(porch_read_bytes(&r, CLOCK_BYTES, &skipped));
    PORCH_TRY(porch_read_block16(&r, name));
    PORCH_TRY(porch_read_block16(&r, &skipped)); /* the key's qualified name */
    return porch_reader_done(&r) ? PORCH_OK : PORCH_ERR_MALFORMED;
}

porch_err porch_key_check_evidence(const porch_public_key *attester, const porch_public_key *key,
                                   porch_bytes challenge, const porch_key_evidence *evidence) {
    uint8_t name[NAME_BYTES];
    porch_bytes said_challenge = {0}, said_name = {0};
    if (evidence->statement_len > sizeof evidence->statement ||
        evidence->signature_len > sizeof evidence->signature)
        return PORCH_ERR_SIGNATURE;
    porch_bytes statement = {evidence->statement, evidence->statement_len};
    porch_bytes signature = {evidence->signature, evidence->signature_len};
    if (porch_key_verify(attester, PORCH_SIGN_ECDSA_SHA256, statement, signature) != PORCH_OK ||
        read_statement(statement, &said_challenge, &said_name) != PORCH_OK ||
        expected_name(key, name) != PORCH_OK || !porch_bytes_eq(said_challenge, challenge) ||
        !porch_bytes_eq(said_name, (porch_bytes){name, sizeof name}))
        return PORCH_ERR_SIGNATURE;
    return PORCH_OK;
}
