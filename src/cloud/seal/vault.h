/* The signer's secrets in one block of bytes that opens with what a seal gives, or with the recovery key.
 *
 *   vault = "porchvt1" | kind u8 | blob block16 | wrapped block16 | recovery block16 | nonce 12 | body
 *
 *   wrapped  = nonce 12 | AES-256-GCM(HKDF(what the seal gives), vault key)
 *   recovery = public half 65 | box(vault key)             see crypto/box.h; empty: no recovery
 *   body     = AES-256-GCM(vault key, secrets: name block16, bytes block16 ...), everything before it is
 *              authenticated with it
 *
 * `kind` says which seal, `blob` is what that seal needs to give its secret again (the TPM's own encrypted
 * object; nothing for systemd). The vault key is new with every writing. No I/O here: seal.h has files. */
#ifndef PORCH_CLOUD_SEAL_VAULT_H
#define PORCH_CLOUD_SEAL_VAULT_H

#include "base/bytes.h"
#include "base/error.h"
#include "crypto/box.h"

/* X(NAME, file) in the order of the vault; the file's name in DIR/signer is the secret's name inside. */
#define PORCH_VAULT_LIST(X)   \
    X(ISSUING, "issuing.key") \
    X(WEB_CA, "web-ca.key")   \
    X(SEAL, "seal.key")       \
    X(VAPID, "vapid.key")

#define PORCH_VAULT_ID(name, file) PORCH_VAULT_##name,
typedef enum { PORCH_VAULT_LIST(PORCH_VAULT_ID) PORCH_VAULT_SECRETS } porch_vault_secret_id;
#undef PORCH_VAULT_ID

enum { PORCH_VAULT_SECRET_BYTES = 1024, PORCH_VAULT_BYTES = 16384, PORCH_VAULT_SEAL_SECRET_LEAST = 32 };

typedef struct {
    uint8_t at[PORCH_VAULT_SECRET_BYTES];
    size_t len; /* 0: not there */
} porch_vault_secret;

typedef struct {
    porch_vault_secret of[PORCH_VAULT_SECRETS];
} porch_vault; /* wipe it */

/* The name that a secret has as a file. */
const char *porch_vault_name(porch_vault_secret_id id);

typedef enum { PORCH_VAULT_TPM = 1, PORCH_VAULT_SYSTEMD = 2 } porch_vault_kind;

/* A vault's outer parts; views. */
typedef struct {
    porch_vault_kind kind;
    porch_bytes blob, wrapped;
    porch_bytes recovery_public, recovery_box; /* empty: none */
    porch_bytes head;                          /* all before the body */
    porch_bytes nonce, body;
} porch_vault_parts;

/* MALFORMED, UNSUPPORTED (of a later version), LIMIT. */
porch_err porch_vault_parse(porch_bytes vault, porch_vault_parts *ret);
/* `secret` is what the seal gives, at least PORCH_VAULT_SEAL_SECRET_LEAST bytes; `recovery` may be NULL.
 * Appends. */
porch_err porch_vault_write(const porch_vault *v, porch_vault_kind kind, porch_bytes blob,
                            porch_bytes secret, const uint8_t recovery[PORCH_BOX_PUBLIC_BYTES],
                            porch_buf *out, porch_why *why);
/* AUTH: `secret` is not the one it was sealed with, or the vault was changed. */
porch_err porch_vault_open(const porch_vault_parts *parts, porch_bytes secret, porch_vault *ret,
                           porch_why *why);
porch_err porch_vault_open_by_recovery(const porch_vault_parts *parts,
                                       const uint8_t secret[PORCH_BOX_SECRET_BYTES], porch_vault *ret,
                                       porch_why *why);

#endif
