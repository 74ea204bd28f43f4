/* How a device proves that its key lives in a TPM, as bytes (each in base64 on the wire):
 *
 *   device ── question: endorsement certificate, attester ──────────► hub   (is it a TPM that we believe?)
 *   device ◄─ challenge: ticket, credential, seed ───────────────────  hub   (only that TPM can open it)
 *   device ── evidence: ticket, statement about its key, signature ─► hub   (with the certificate request)
 *
 *   question  = version u8 (1) | endorsement certificate (DER) block16 | attester's public area block16
 *   challenge = version u8 (1) | ticket block16 | credential block16 | seed block16
 *   evidence  = version u8 (1) | ticket block16 | statement block16 | signature (DER) block16
 *
 * Views look into what is read. Nothing may follow. */
#ifndef PORCH_WIRE_ATTESTATION_H
#define PORCH_WIRE_ATTESTATION_H

#include "base/bytes.h"
#include "base/error.h"

#define PORCH_ATTESTATION_PATH     "/.well-known/porchlight/attestation"
#define PORCH_ATTESTATION_QUESTION "application/vnd.porchlight.attestation"
#define PORCH_EVIDENCE_HEADER      "Porchlight-Evidence"

enum {
    PORCH_ATTESTATION_TICKET_BYTES = 16,
    PORCH_ATTESTATION_SECRET_BYTES = 32,
    PORCH_ATTESTATION_CERTIFICATE_MOST = 4096,
    PORCH_ATTESTATION_AREA_MOST = 256,
    PORCH_ATTESTATION_CREDENTIAL_MOST = 128,
    PORCH_ATTESTATION_SEED_MOST = 512,
    PORCH_ATTESTATION_STATEMENT_MOST = 512,
    PORCH_ATTESTATION_SIGNATURE_MOST = 144,
    PORCH_ATTESTATION_BYTES = 5120 /* of any of the three */
};

typedef struct {
    porch_bytes certificate, attester;
} porch_attestation_question;

typedef struct {
    porch_bytes ticket, credential, seed;
} porch_attestation_challenge;

typedef struct {
    porch_bytes ticket, statement, signature;
} porch_attestation_evidence;

porch_err porch_attestation_question_write(const porch_attestation_question *q, porch_buf *out);
porch_err porch_attestation_question_read(porch_bytes in, porch_attestation_question *ret);
porch_err porch_attestation_challenge_write(const porch_attestation_challenge *c, porch_buf *out);
porch_err porch_attestation_challenge_read(porch_bytes in, porch_attestation_challenge *ret);
porch_err porch_attestation_evidence_write(const porch_attestation_evidence *e, porch_buf *out);
porch_err porch_attestation_evidence_read(porch_bytes in, porch_attestation_evidence *ret);

#endif
