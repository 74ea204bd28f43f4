/* The hub's side of a TPM's proof (TPM 2.0 Library, Part 1, 24 and Part 3, 12.5, 12.6): is the key that
 * signs statements really of the TPM whose maker vouches for its endorsement key? Only that TPM can open
 * what is encrypted to the endorsement key *and* the attester's name.
 *
 *   attester's public area ─► read ─► its key and its name
 *   endorsement certificate ─► vouched for ─► credential(secret, name) ─► only that TPM gives the secret
 * back SHA-256 of the secret ─► the challenge that the statement about the device's key must carry
 */
#ifndef PORCH_CRYPTO_ATTESTER_H
#define PORCH_CRYPTO_ATTESTER_H

#include "crypto/keystore.h"

enum {
    PORCH_ATTESTER_NAME_BYTES = 34,
    PORCH_CREDENTIAL_BYTES = 128,
    PORCH_CREDENTIAL_SEED_BYTES = 256,
    PORCH_CREDENTIAL_SECRET_BYTES = 32
};

typedef struct {
    porch_public_key key;
    uint8_t name[PORCH_ATTESTER_NAME_BYTES];
} porch_attester;

/* The public area (TPMT_PUBLIC) of a key that signs nothing but the TPM's own statements: P-256, ECDSA with
 * SHA-256, restricted, made in the TPM, fixed to it. UNSUPPORTED for any other kind of key, MALFORMED. */
porch_err porch_attester_read(porch_bytes area, porch_attester *ret);

/* The endorsement certificate against the authorities of TPM makers, a PEM text for each maker (any of them
 * may be where a chain ends; as long as porch_x509_check_keys takes): AUTH with the reason, EXPIRED. */
porch_err porch_tpm_vouched(porch_bytes certificate_der, const porch_bytes *makers_pem, size_t count,
                            uint64_t now_ms, porch_why *why);
/* TPM2_MakeCredential, without a TPM: appends TPM2B_ID_OBJECT's and TPM2B_ENCRYPTED_SECRET's contents. For
 * endorsement keys of RSA with 2,048 bits by the usual template (TCG EK Credential Profile, L-1), which
 * every TPM has; UNSUPPORTED for others. */
porch_err porch_tpm_credential(porch_bytes certificate_der, const porch_attester *attester,
                               const uint8_t secret[PORCH_CREDENTIAL_SECRET_BYTES], porch_buf *credential,
                               porch_buf *seed, porch_why *why);
/* What the statement about the device's key must answer. */
void porch_attestation_challenge_of(const uint8_t secret[PORCH_CREDENTIAL_SECRET_BYTES], uint8_t out[32]);

#endif
