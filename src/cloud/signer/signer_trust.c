/* Heads of the trust log: the signer hashes the rows since the head that it remembers, itself, and signs
 * what that gives. It remembers heads in its journal, which the hub cannot write, so that a log that was
 * cut or written anew does not fit any more.
 *
 * The key is Ed25519, derived from the sealing key: it is there under every seal and comes back with a
 * backup. It signs statements of one form and nothing else. */
#include "cloud/signer/signer_room.h"

#include <string.h>

#include "base/text.h"
#include "cloud/signer/signer_trust_ipc.h"
#include "crypto/hkdf.h"

enum { SEED = 32, PEM_BYTES = 200 };

/* PKCS#8 of an Ed25519 key (RFC 8410, 7) as far as its 32 bytes. */
static const uint8_t PKCS8_HEAD[] = {0x30, 0x2e, 0x02, 0x01, 0x00, 0x30, 0x05, 0x06,
                                     0x03, 0x2b, 0x65, 0x70, 0x04, 0x22, 0x04, 0x20};

porch_err porch_signer_derive_key(const uint8_t seal_key[PORCH_SIGNER_SEAL_KEY_BYTES], porch_bytes use,
                                  porch_key **ret, porch_why *why) {
    uint8_t der_block[sizeof PKCS8_HEAD + SEED], pem_block[PEM_BYTES];
    porch_buf der = PORCH_BUF_OF(der_block), pem = PORCH_BUF_OF(pem_block);
    porch_err e = porch_write_bytes(&der, (porch_bytes){PKCS8_HEAD, sizeof PKCS8_HEAD});
    if (e == PORCH_OK)
        e = porch_hkdf_sha256((porch_bytes){seal_key, PORCH_SIGNER_SEAL_KEY_BYTES}, (porch_bytes){NULL, 0},
                              use, der.at + der.len, SEED);
    der.len += SEED;
    if (e == PORCH_OK) e = porch_write_text(&pem, "-----BEGIN PRIVATE KEY-----\n");
    if (e == PORCH_OK) e = porch_base64_write(&pem, porch_buf_bytes(&der), false);
    if (e == PORCH_OK) e = porch_write_text(&pem, "\n-----END PRIVATE KEY-----\n");
    if (e == PORCH_OK) e = porch_key_load_pem(porch_buf_bytes(&pem), ret, why);
    porch_wipe(der_block, sizeof der_block);
    porch_wipe(pem_block, sizeof pem_block);
    return e;
}

porch_err porch_signer_trust_key(const uint8_t seal_key[PORCH_SIGNER_SEAL_KEY_BYTES], porch_key **ret,
                                 porch_why *why) {
    return porch_signer_derive_key(seal_key, PORCH_LIT("porchlight trust log 1"), ret, why);
}

/* Walks on from *head over the rows of the message. */
static porch_err hash_rows(porch_bytes rows, uint64_t *seq, uint8_t hash[32], porch_why *why) {
    porch_reader r = porch_reader_of(rows);
    while (!porch_reader_done(&r)) {
        porch_trust_sent_row row;
        if (porch_trust_sent_row_read(&r, &row) != PORCH_OK)
            return porch_fail(why, PORCH_ERR_MALFORMED, "a row of the trust log cannot be read");
        if (row.row.seq != *seq + 1)
            return porch_fail(why, PORCH_ERR_STATE,
                              "the signer knows the trust log up to row %llu and was given row %llu",
                              (unsigned long long)*seq, (unsigned long long)row.row.seq);
        if (row.emptied)
            memcpy(hash, row.hash.at, 32);
        else
            porch_chain_row_link(hash, &row.row, hash);
        *seq = row.row.seq;
    }
    return PORCH_OK;
}

static porch_err sign(const porch_signer *s, porch_trust_signed_head *head, porch_why *why) {
    uint8_t text[PORCH_TRUST_STATEMENT_BYTES], signature_block[PORCH_SIGNATURE_MAX_BYTES];
    porch_buf b = PORCH_BUF_OF(text), signature = PORCH_BUF_OF(signature_block);
    porch_public_key own;
    PORCH_TRY(porch_key_public(s->trust, &own, why));
    PORCH_TRY(porch_trust_statement(head, &b));
    PORCH_TRY(porch_key_sign(s->trust, PORCH_SIGN_ED25519, porch_buf_bytes(&b), &signature, why));
    if (own.len < 32 || signature.len != sizeof head->signature) return PORCH_ERR_INTERNAL;
    memcpy(head->key, own.der + own.len - 32, 32);
    memcpy(head->signature, signature_block, sizeof head->signature);
    return PORCH_OK;
}

porch_err porch_signer_do_trust_head(porch_signer *s, const porch_signer_request *r, porch_signer_now now,
                                     porch_buf *data, porch_why *why) {
    porch_trust_signed_head head = {.seq = s->trust_seq, .at_ms = now.wall_ms};
    memcpy(head.hash, s->trust_hash, sizeof head.hash);
    PORCH_TRY(hash_rows(r->data, &head.seq, head.hash, why));
    if (head.seq != s->trust_seq) {
        PORCH_TRY(porch_signer_journal_head(&s->journal, now.wall_ms, head.seq, head.hash, why));
        s->trust_seq = head.seq;
        memcpy(s->trust_hash, head.hash, sizeof head.hash);
    }
    if (head.seq == 0) head = (porch_trust_signed_head){0};
    if (head.seq != 0) PORCH_TRY(sign(s, &head, why));
    return porch_trust_signed_head_write(data, &head);
}
