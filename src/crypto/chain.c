#include "crypto/chain.h"

#include "crypto/sha256.h"

static void put_u64(uint8_t out[8], uint64_t v) {
    for (int i = 7; i >= 0; i--, v >>= 8)
        out[i] = (uint8_t)v;
}

void porch_chain_link(const porch_bytes *fields, size_t count, uint8_t out[32]) {
    porch_sha256_state *h = porch_sha256_new();
    for (size_t i = 0; i < count; i++) {
        uint8_t len[8];
        put_u64(len, fields[i].len);
        porch_sha256_update(h, (porch_bytes){len, sizeof len});
        porch_sha256_update(h, fields[i]);
    }
    porch_sha256_finish(h, out);
    porch_sha256_free(h);
}

void porch_chain_row_link(const uint8_t before[32], const porch_chain_row *row, uint8_t out[32]) {
    uint8_t seq[8], at[8];
    put_u64(seq, row->seq);
    put_u64(at, row->at_ms);
    const bool salted = row->salt.len > 0; /* rows from before the salt have none */
    const porch_bytes fields[] = {
        salted ? PORCH_LIT("porchlight trust 2") : PORCH_LIT("porchlight trust 1"),
        {before, 32},
        {seq, sizeof seq},
        {at, sizeof at},
        row->kind,
        row->who,
        row->subject,
        row->detail,
        row->salt,
    };
    porch_chain_link(fields, sizeof fields / sizeof fields[0] - (salted ? 0 : 1), out);
}
