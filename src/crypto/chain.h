/* A link of a hash chain: SHA-256 over fields, each with its length before it, so that no two different
 * lists of fields make the same bytes. The hub appends to the trust log with it and the signer hashes the
 * same rows. */
#ifndef PORCH_CRYPTO_CHAIN_H
#define PORCH_CRYPTO_CHAIN_H

#include "base/bytes.h"

void porch_chain_link(const porch_bytes *fields, size_t count, uint8_t out[32]);

/* A row of the trust log as it is hashed (trust.h). Views. */
typedef struct {
    uint64_t seq, at_ms;
    porch_bytes kind, who, subject, detail, salt;
} porch_chain_row;
void porch_chain_row_link(const uint8_t before[32], const porch_chain_row *row, uint8_t out[32]);

#endif
