/* Any bytes as each of the three; what is read is written again as the same bytes. */
#include "wire/attestation.h"

#include <stdlib.h>

int LLVMFuzzerTestOneInput(const uint8_t *at, size_t len);

static void same(porch_err e, const porch_buf *out, porch_bytes in) {
    if (e != PORCH_OK || !porch_bytes_eq(porch_buf_bytes(out), in)) abort();
}

int LLVMFuzzerTestOneInput(const uint8_t *at, size_t len) {
    uint8_t block[PORCH_ATTESTATION_BYTES];
    const porch_bytes in = {at, len};
    porch_buf out = PORCH_BUF_OF(block);
    porch_attestation_question q;
    porch_attestation_challenge c;
    porch_attestation_evidence e;
    if (porch_attestation_question_read(in, &q) == PORCH_OK)
        same(porch_attestation_question_write(&q, &out), &out, in);
    out.len = 0;
    if (porch_attestation_challenge_read(in, &c) == PORCH_OK)
        same(porch_attestation_challenge_write(&c, &out), &out, in);
    out.len = 0;
    if (porch_attestation_evidence_read(in, &e) == PORCH_OK)
        same(porch_attestation_evidence_write(&e, &out), &out, in);
    return 0;
}
