/* Keys that can be used but not necessarily seen: a file today; a TPM, a PKCS#11 token or a chip's secure
 * element are further tables.
 *
 *   caller ─► porch_key_sign ─► key->ops->sign ─► file | tpm | pkcs11 | psa
 *
 * A porch_key is used by one thread at a time unless its store says otherwise; file keys may be shared. */
#ifndef PORCH_CRYPTO_KEYSTORE_H
#define PORCH_CRYPTO_KEYSTORE_H

#include "base/bytes.h"
#include "base/error.h"

typedef enum {
    PORCH_KEY_P256 = 1,
    PORCH_KEY_P384,
    PORCH_KEY_ED25519,
    PORCH_KEY_RSA /* only to serve an operator's own web certificate; no certificate is issued to it */
} porch_key_kind;

typedef enum {
    PORCH_SIGN_ECDSA_SHA256 = 1, /* P-256; signatures in DER (RFC 3279, 2.2.3) */
    PORCH_SIGN_ECDSA_SHA384,     /* P-384 */
    PORCH_SIGN_ED25519           /* RFC 8032, pure */
} porch_sign_scheme;

#define PORCH_SIGNATURE_MAX_BYTES 144

/* A public key: its kind and SubjectPublicKeyInfo in DER (RFC 5280, 4.1.2.7). Made by porch_key_public and
 * porch_csr_read only. RSA keys do not fit and are never held here. */
typedef struct {
    porch_key_kind kind;
    size_t len;
    uint8_t der[160];
} porch_public_key;

typedef struct porch_key porch_key;

/* What a store does for one key. `self` is the store's own. A function that a store cannot offer is NULL
 * and the caller gets UNSUPPORTED. */
typedef struct {
    const char *name; /* "file", "tpm", "pkcs11" */
    porch_err (*sign)(void *self, porch_sign_scheme scheme, porch_bytes data, porch_buf *signature,
                      porch_why *why);
    porch_err (*public_key)(void *self, porch_public_key *ret, porch_why *why);
    /* Evidence for a verifier that the key lives in hardware, bound to `challenge`. */
    porch_err (*attest)(void *self, porch_bytes challenge, porch_buf *evidence, porch_why *why);
    void (*free)(porch_key *key);
} porch_key_ops;

struct porch_key {
    const porch_key_ops *ops;
    void *self;
    porch_key_kind kind;
};

/* A place that makes, finds and forgets keys by label. */
typedef struct {
    const char *name;
    void *self;
    porch_err (*generate)(void *self, const char *label, porch_key_kind kind, porch_key **ret,
                          porch_why *why);
    porch_err (*open)(void *self, const char *label, porch_key **ret, porch_why *why);
    porch_err (*remove)(void *self, const char *label, porch_why *why);
} porch_keystore;

/* The scheme that goes with a kind; 0 for RSA. */
porch_sign_scheme porch_key_scheme(porch_key_kind kind);
/* Appends the signature (at most PORCH_SIGNATURE_MAX_BYTES). UNSUPPORTED when scheme and kind do not fit.
 */
porch_err porch_key_sign(const porch_key *key, porch_sign_scheme scheme, porch_bytes data,
                         porch_buf *signature, porch_why *why);
porch_err porch_key_public(const porch_key *key, porch_public_key *ret, porch_why *why);
porch_err porch_key_attest(const porch_key *key, porch_bytes challenge, porch_buf *evidence,
                           porch_why *why);
void porch_key_free(porch_key *key); /* NULL is fine */

/* SIGNATURE when it does not fit. */
porch_err porch_key_verify(const porch_public_key *key, porch_sign_scheme scheme, porch_bytes data,
                           porch_bytes signature);

/* The file store. Keys are PKCS#8 PEM without a passphrase (an encrypted one is refused, never asked for).
 */
porch_err porch_key_generate_p256(porch_key **ret, porch_why *why);
porch_err porch_key_load_pem(porch_bytes pem, porch_key **ret, porch_why *why);
#define PORCH_KEY_PEM_BYTES 512
/* Appends the private key; wipe `out` when done. File keys only, and not RSA. */
porch_err porch_key_pem(const porch_key *key, porch_buf *out, porch_why *why);

#endif
