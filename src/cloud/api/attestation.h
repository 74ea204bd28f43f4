/* The hub's memory of devices that are proving where their key lives: between the challenge that it gave
 * and the evidence that comes with the certificate request. Each ticket works once, for est.attestation_s;
 * a restart forgets them all, and the device asks again. */
#ifndef PORCH_CLOUD_API_ATTESTATION_H
#define PORCH_CLOUD_API_ATTESTATION_H

#include "crypto/attester.h"
#include "wire/attestation.h"

typedef struct porch_attestations porch_attestations;

/* NULL when out of memory. */
porch_attestations *porch_attestations_new(size_t most, uint64_t life_ms);
void porch_attestations_free(porch_attestations *a);

/* Answers a question: is the TPM vouched for by one of the makers, each a PEM text? Then the challenge is
 * appended. As porch_tpm_vouched, porch_attester_read and porch_tpm_credential refuse. Any thread. */
porch_err porch_attestations_ask(porch_attestations *a, porch_bytes question, const porch_bytes *makers_pem,
                                 size_t makers, uint64_t wall_ms, uint64_t mono_ms, porch_buf *challenge,
                                 porch_why *why);
/* Does this evidence prove that the key lives in the TPM of its ticket? The ticket is spent whatever the
 * answer. EXPIRED: an unknown, spent or old ticket; SIGNATURE: it proves nothing. */
porch_err porch_attestations_check(porch_attestations *a, porch_bytes evidence, const porch_public_key *key,
                                   uint64_t mono_ms, porch_why *why);

#endif
