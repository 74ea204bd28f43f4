#include "wire/attestation.h"

#include "base/cursor.h"

enum { VERSION = 1, BLOCKS_MOST = 3 };

/* One of the three: so many blocks, each of 1 to `most` bytes. */
static porch_err write_blocks(const porch_bytes *blocks, const size_t *most, size_t count, porch_buf *out) {
    porch_buf b = *out;
    PORCH_TRY(porch_write_u8(&b, VERSION));
    for (size_t i = 0; i < count; i++) {
        if (blocks[i].len == 0 || blocks[i].len > most[i]) return PORCH_ERR_LIMIT;
        PORCH_TRY(porch_write_block16(&b, blocks[i]));
    }
    *out = b;
    return PORCH_OK;
}

static porch_err read_blocks(porch_bytes in, const size_t *most, size_t count, porch_bytes *ret) {
    porch_reader r = porch_reader_of(in);
    porch_bytes got[BLOCKS_MOST];
    uint8_t version = 0;
    PORCH_TRY(porch_read_u8(&r, &version));
    if (version != VERSION) return PORCH_ERR_UNSUPPORTED;
    for (size_t i = 0; i < count; i++) {
        PORCH_TRY(porch_read_block16(&r, &got[i]));
        if (got[i].len == 0 || got[i].len > most[i]) return PORCH_ERR_LIMIT;
    }
    if (!porch_reader_done(&r)) return PORCH_ERR_MALFORMED;
    for (size_t i = 0; i < count; i++)
        ret[i] = got[i];
    return PORCH_OK;
}

static const size_t question_most[] = {PORCH_ATTESTATION_CERTIFICATE_MOST, PORCH_ATTESTATION_AREA_MOST};
static const size_t challenge_most[] = {PORCH_ATTESTATION_TICKET_BYTES, PORCH_ATTESTATION_CREDENTIAL_MOST,
                                        PORCH_ATTESTATION_SEED_MOST};
static const size_t evidence_most[] = {PORCH_ATTESTATION_TICKET_BYTES, PORCH_ATTESTATION_STATEMENT_MOST,
                                       PORCH_ATTESTATION_SIGNATURE_MOST};

porch_err porch_attestation_question_write(const porch_attestation_question *q, porch_buf *out) {
    const porch_bytes blocks[] = {q->certificate, q->attester};
    return write_blocks(blocks, question_most, 2, out);
}

porch_err porch_attestation_question_read(porch_bytes in, porch_attestation_question *ret) {
    porch_bytes blocks[2];
    PORCH_TRY(read_blocks(in, question_most, 2, blocks));
    *ret = (porch_attestation_question){blocks[0], blocks[1]};
    return PORCH_OK;
}

porch_err porch_attestation_challenge_write(const porch_attestation_challenge *c, porch_buf *out) {
    const porch_bytes blocks[] = {c->ticket, c->credential, c->seed};
    return write_blocks(blocks, challenge_most, 3, out);
}

porch_err porch_attestation_challenge_read(porch_bytes in, porch_attestation_challenge *ret) {
    porch_bytes blocks[3];
    PORCH_TRY(read_blocks(in, challenge_most, 3, blocks));
    *ret = (porch_attestation_challenge){blocks[0], blocks[1], blocks[2]};
    return PORCH_OK;
}

porch_err porch_attestation_evidence_write(const porch_attestation_evidence *e, porch_buf *out) {
    const porch_bytes blocks[] = {e->ticket, e->statement, e->signature};
    return write_blocks(blocks, evidence_most, 3, out);
}

porch_err porch_attestation_evidence_read(porch_bytes in, porch_attestation_evidence *ret) {
    porch_bytes blocks[3];
    PORCH_TRY(read_blocks(in, evidence_most, 3, blocks));
    *ret = (porch_attestation_evidence){blocks[0], blocks[1], blocks[2]};
    return PORCH_OK;
}
