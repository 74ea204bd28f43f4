/* How the signer's secrets lie in DIR/signer, and the three ways to guard them.
 *
 *   file     issuing.key, web-ca.key, seal.key, vapid.key in the clear: who has the directory has them
 *   tpm      one file `vault`; what opens it lies in this machine's TPM (crypto/tpm.h has the policy)
 *   systemd  one file `vault`; what opens it is the credential `porchlight-seal`, which systemd decrypts
 * into $CREDENTIALS_DIRECTORY of this service alone (LoadCredentialEncrypted=, systemd-creds(1))
 *
 * A vault also opens with the hub's recovery key, so that a backup of it is of use on another machine.
 * Changing the seal is one rename: while `vault` is there, it counts, and key files beside it are leavings
 * of a change that was interrupted; they are overwritten and removed at the next reading. */
#ifndef PORCH_CLOUD_SEAL_SEAL_H
#define PORCH_CLOUD_SEAL_SEAL_H

#include "cloud/seal/vault.h"

typedef enum { PORCH_SEAL_FILE, PORCH_SEAL_TPM, PORCH_SEAL_SYSTEMD, PORCH_SEAL_KINDS } porch_seal_kind;

#define PORCH_SEAL_CREDENTIAL "porchlight-seal"

/* What a seal is opened with on this machine. */
typedef struct {
    const char *tpm;   /* the setting hub.tpm */
    int credential_fd; /* the open credential, -1: systemd gave none */
} porch_seal_means;

/* UNSUPPORTED names what there is. */
porch_err porch_seal_kind_of(const char *word, porch_seal_kind *ret, porch_why *why);
const char *porch_seal_word(porch_seal_kind kind);

/* How they lie now, without opening anything. NOT_FOUND: there are none. `recovery` (may be NULL) becomes
 * the public half of the recovery key of a vault, zeros when there is none. */
porch_err porch_seal_look(int dir_fd, porch_seal_kind *ret, uint8_t recovery[PORCH_BOX_PUBLIC_BYTES],
                          porch_why *why);
/* Opens them, however they lie; *found tells. Wipe *ret. AUTH: sealed elsewhere; IO: no TPM; STATE: no
 * credential. */
porch_err porch_seal_read(int dir_fd, const porch_seal_means *means, porch_vault *ret,
                          porch_seal_kind *found, porch_why *why);
porch_err porch_seal_read_by_recovery(int dir_fd, const uint8_t secret[PORCH_BOX_SECRET_BYTES],
                                      porch_vault *ret, porch_why *why);
/* Seals them so and removes what lay there otherwise. `recovery` may be NULL for file only. After an error
 * they lie as before. Made by root, the files get the folder's owner. */
porch_err porch_seal_write(int dir_fd, porch_seal_kind kind, const porch_seal_means *means,
                           const uint8_t *recovery, const porch_vault *vault, porch_why *why);

/* Would porch_seal_write have what it needs? For `init`, before anything is made. */
porch_err porch_seal_check(porch_seal_kind kind, const porch_seal_means *means, porch_why *why);

/* Overwrites and removes a secret's file; one that is not there is fine. On copy-on-write file systems and
 * flash the old blocks may live on: that is said in docs/operations.md. */
porch_err porch_seal_forget(int dir_fd, const char *name, porch_why *why);

/* The descriptor of the credential in $CREDENTIALS_DIRECTORY, or -1 when systemd gave none. */
int porch_seal_open_credential(void);

#endif
