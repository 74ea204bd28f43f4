/* What a TPM 2.0 keeps for us: small secrets that only it can open again, and signing keys that never leave
 * it. Defined in port/tpm, the one place that speaks to the TPM's library.
 *
 *   porch_tpm_seal ──► blob, to be stored anywhere ──► porch_tpm_unseal, on the same TPM only
 *   porch_tpm_key_make ──► a persistent handle ──► porch_tpm_key_open, a porch_key like any other
 *
 * `tcti` says how the TPM is reached, as tpm2-tss has it: "device:/dev/tpmrm0", "swtpm:path=SOCKET",
 * "swtpm:host=127.0.0.1,port=2321". Each call opens its own line and closes it again: nothing is held
 * between calls, several processes share one TPM, and a TPM that was reset in between is no matter.
 *
 * Policy of what is sealed: under the owner hierarchy's primary key (ECC P-256, the TCG's template for a
 * storage root key), fixed to this TPM and this parent, empty authorisation, no PCR policy. PCRs change
 * with every update of firmware, boot loader or kernel, and a hub that a kernel update locks out of its own
 * keys teaches people to turn sealing off; what the seal is for is the thief of the disk, and he has
 * another TPM. The secret crosses the bus encrypted (a session salted with the primary key, whose name is
 * checked against the one of the time of sealing). */
#ifndef PORCH_CRYPTO_TPM_H
#define PORCH_CRYPTO_TPM_H

#include "crypto/keystore.h"

#define PORCH_TPM_DEFAULT_TCTI "device:/dev/tpmrm0"

enum {
    PORCH_TPM_SECRET_BYTES = 128, /* the most that is sealed */
    PORCH_TPM_BLOB_BYTES = 1024,  /* a blob is at most this long */
};

/* Appends the blob. IO: there is no TPM, or it refuses; LIMIT: the secret is longer. */
porch_err porch_tpm_seal(const char *tcti, porch_bytes secret, porch_buf *blob, porch_why *why);
/* Appends the secret; wipe it. AUTH: another TPM sealed it, or this one was cleared since; MALFORMED: the
 * blob is none. */
porch_err porch_tpm_unseal(const char *tcti, porch_bytes blob, porch_buf *secret, porch_why *why);

/* A blob's parts; views into it. Made by porch_tpm_blob_read only. */
typedef struct {
    porch_bytes parent;      /* name of the primary key: which TPM */
    porch_bytes public_part; /* TPM2B_PUBLIC */
    porch_bytes private_part /* TPM2B_PRIVATE, encrypted by the TPM */;
} porch_tpm_blob;
porch_err porch_tpm_blob_read(porch_bytes blob, porch_tpm_blob *ret);
porch_err porch_tpm_blob_write(const porch_tpm_blob *in, porch_buf *out);

/* The P-256 signing key at that persistent handle (0x81000000 and up). NOT_FOUND, IO, UNSUPPORTED. */
porch_err porch_tpm_key_open(const char *tcti, uint32_t handle, porch_key **ret, porch_why *why);
/* Makes one there. EXISTS when the handle is in use. */
porch_err porch_tpm_key_make(const char *tcti, uint32_t handle, porch_key **ret, porch_why *why);
porch_err porch_tpm_key_remove(const char *tcti, uint32_t handle, porch_why *why);

/* A number that only rises, at a pair of NV indexes (index and index + 1): what a device must never go
 * below, whatever is done to its storage. Who may use the TPM's owner hierarchy can remove it, and it is
 * missed then: a counter that is gone is an error, never a zero. */
enum {
    PORCH_TPM_FLOOR_LEAST = 0x01800000, /* the TCG leaves these indexes to the owner */
    PORCH_TPM_FLOOR_MOST = 0x01bffffe,
    PORCH_TPM_FLOOR_STEPS = 1024 /* a TPM's memory wears: no single rise is larger */
};
/* Begins at `value`. EXISTS. */
porch_err porch_tpm_floor_make(const char *tcti, uint32_t index, uint64_t value, porch_why *why);
/* NOT_FOUND; STATE when the power cut its making; IO. */
porch_err porch_tpm_floor_read(const char *tcti, uint32_t index, uint64_t *ret, porch_why *why);
/* To `value`, if it is lower. LIMIT. A cut on the way leaves it in between. */
porch_err porch_tpm_floor_raise(const char *tcti, uint32_t index, uint64_t value, porch_why *why);
porch_err porch_tpm_floor_remove(const char *tcti, uint32_t index, porch_why *why);

#endif
