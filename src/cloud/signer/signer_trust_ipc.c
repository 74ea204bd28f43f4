#include "cloud/signer/signer_trust_ipc.h"

#include <string.h>

porch_err porch_trust_sent_row_write(porch_buf *out, const porch_trust_sent_row *in) {
    porch_buf b = *out;
    PORCH_TRY(porch_write_u64(&b, in->row.seq));
    PORCH_TRY(porch_write_u64(&b, in->row.at_ms));
    PORCH_TRY(porch_write_u8(&b, in->emptied ? 1 : 0));
    if (in->emptied) {
        if (in->hash.len != 32) return PORCH_ERR_MALFORMED;
        PORCH_TRY(porch_write_bytes(&b, in->hash));
    } else {
        PORCH_TRY(porch_write_block16(&b, in->row.kind));
        PORCH_TRY(porch_write_block16(&b, in->row.who));
        PORCH_TRY(porch_write_block16(&b, in->row.subject));
        PORCH_TRY(porch_write_block32(&b, in->row.detail));
        PORCH_TRY(porch_write_block16(&b, in->row.salt));
    }
    *out = b;
    return PORCH_OK;
}

porch_err porch_trust_sent_row_read(porch_reader *r, porch_trust_sent_row *ret) {
    porch_trust_sent_row got = {.emptied = false};
    uint8_t emptied = 0;
    PORCH_TRY(porch_read_u64(r, &got.row.seq));
    PORCH_TRY(porch_read_u64(r, &got.row.at_ms));
    PORCH_TRY(porch_read_u8(r, &emptied));
    if (emptied > 1) return PORCH_ERR_MALFORMED;
    got.emptied = emptied == 1;
    if (got.emptied) {
        PORCH_TRY(porch_read_bytes(r, 32, &got.hash));
    } else {
        PORCH_TRY(porch_read_block16(r, &got.row.kind));
        PORCH_TRY(porch_read_block16(r, &got.row.who));
        PORCH_TRY(porch_read_block16(r, &got.row.subject));
        PORCH_TRY(porch_read_block32(r, &got.row.detail));
        PORCH_TRY(porch_read_block16(r, &got.row.salt));
    }
    *ret = got;
    return PORCH_OK;
}

porch_err porch_trust_signed_head_write(porch_buf *out, const porch_trust_signed_head *head) {
    porch_buf b = *out;
    PORCH_TRY(porch_write_u64(&b, head->seq));
    PORCH_TRY(porch_write_bytes(&b, (porch_bytes){head->hash, 32}));
    PORCH_TRY(porch_write_u64(&b, head->at_ms));
    PORCH_TRY(porch_write_bytes(&b, (porch_bytes){head->key, 32}));
    PORCH_TRY(porch_write_bytes(&b, (porch_bytes){head->signature, 64}));
    *out = b;
    return PORCH_OK;
}

porch_err porch_trust_signed_head_read(porch_bytes message, porch_trust_signed_head *ret) {
    porch_reader r = porch_reader_of(message);
    porch_trust_signed_head got;
    porch_bytes hash, key, signature;
    PORCH_TRY(porch_read_u64(&r, &got.seq));
    PORCH_TRY(porch_read_bytes(&r, 32, &hash));
    PORCH_TRY(porch_read_u64(&r, &got.at_ms));
    PORCH_TRY(porch_read_bytes(&r, 32, &key));
    PORCH_TRY(porch_read_bytes(&r, 64, &signature));
    if (!porch_reader_done(&r)) return PORCH_ERR_MALFORMED;
    memcpy(got.hash, hash.at, 32);
    memcpy(got.key, key.at, 32);
    memcpy(got.signature, signature.at, 64);
    *ret = got;
    return PORCH_OK;
}

porch_err porch_trust_statement(const porch_trust_signed_head *head, porch_buf *out) {
    PORCH_TRY(porch_write_text(out, "porchlight trust head 1"));
    PORCH_TRY(porch_write_u8(out, 0));
    PORCH_TRY(porch_write_u64(out, head->seq));
    PORCH_TRY(porch_write_bytes(out, (porch_bytes){head->hash, 32}));
    return porch_write_u64(out, head->at_ms);
}
