/* Rows of the trust log on their way to the signer, and the signed head that comes back.
 *
 *   row   seq u64 | at u64 | 0 | kind block16 | who block16 | subject block16 | detail block32 | salt
 * block16 seq u64 | at u64 | 1 | hash 32 bytes                an emptied row: its link as it was head  seq
 * u64 | hash 32 | at u64 | key 32 | signature 64 */
#ifndef PORCH_CLOUD_SIGNER_TRUST_IPC_H
#define PORCH_CLOUD_SIGNER_TRUST_IPC_H

#include "base/cursor.h"
#include "crypto/chain.h"

enum { PORCH_TRUST_HEAD_BYTES = 8 + 32 + 8 + 32 + 64, PORCH_TRUST_STATEMENT_BYTES = 128 };

typedef struct {
    bool emptied;
    porch_chain_row row; /* seq and at_ms only when emptied */
    porch_bytes hash;    /* of an emptied one */
} porch_trust_sent_row;

typedef struct {
    uint64_t seq; /* 0: nothing was hashed yet; the rest is zero then, and nothing is signed */
    uint8_t hash[32];
    uint64_t at_ms;
    uint8_t key[32];       /* Ed25519 */
    uint8_t signature[64]; /* over porch_trust_statement */
} porch_trust_signed_head;

porch_err porch_trust_sent_row_write(porch_buf *out, const porch_trust_sent_row *row);
porch_err porch_trust_sent_row_read(porch_reader *r, porch_trust_sent_row *ret);
porch_err porch_trust_signed_head_write(porch_buf *out, const porch_trust_signed_head *head);
porch_err porch_trust_signed_head_read(porch_bytes message, porch_trust_signed_head *ret);
/* What is signed: "porchlight trust head 1", a zero byte, seq, hash, time. */
porch_err porch_trust_statement(const porch_trust_signed_head *head, porch_buf *out);

#endif
