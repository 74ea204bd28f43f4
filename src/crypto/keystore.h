/* Keys that can be used but not necessarily seen: in a file, a TPM (crypto/tpm.h) or a PKCS#11 token
 * (crypto/pkcs11.h); a chip's secure element is one more table.
 *
 *   caller ─► porch_key_sign ─► key->ops->sign or sign_digest ─► file | tpm2 | pkcs11
 *   TLS, certificate requests, CMS ─► one file of port/openssl ─► the same
 *
 * Keys of these three stores may be shared by threads. crypto/key_uri.h names them in configuration. */
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

enum { PORCH_KEY_CHALLENGE_BYTES = 48, PORCH_KEY_STATEMENT_BYTES = 512 };

/* Evidence that a key was made in a TPM and cannot leave it: the TPM's own statement (TPMS_ATTEST), signed
 * by a key of that TPM which signs nothing but such statements. A verifier knows `attester` from elsewhere
 * (written down when the device was made) and its own challenge. */
typedef struct {
    uint8_t statement[PORCH_KEY_STATEMENT_BYTES];
    size_t statement_len;
    uint8_t signature[PORCH_SIGNATURE_MAX_BYTES]; /* ECDSA with SHA-256, DER */
    size_t signature_len;
    porch_public_key attester;
} porch_key_evidence;

/* Who a store is, to those who know its maker: the certificate of the TPM's endorsement key, and the public
 * area (TPMT_PUBLIC) of the key that signs its evidence. crypto/attester.h has the other side. */
typedef struct {
    uint8_t certificate[4096]; /* DER */
    size_t certificate_len;
    uint8_t attester[256];
    size_t attester_len;
} porch_key_identity;

/* What a store does for one key. `self` is the store's own. A function that a store cannot offer is NULL
 * and the caller gets UNSUPPORTED. */
typedef struct {
    const char *name; /* "file", "tpm2", "pkcs11" */
    porch_err (*sign)(void *self, porch_sign_scheme scheme, porch_bytes data, porch_buf *signature,
                      porch_why *why);
    /* Of a P-256 key: ECDSA over a SHA-256 digest. A store offers this or `sign`. */
    porch_err (*sign_digest)(void *self, porch_bytes digest, porch_buf *signature, porch_why *why);
    porch_err (*public_key)(void *self, porch_public_key *ret, porch_why *why);
    porch_err (*attest)(void *self, porch_bytes challenge, porch_key_evidence *ret, porch_why *why);
    porch_err (*identity)(void *self, porch_key_identity *ret, porch_why *why);
    porch_err (*activate)(void *self, porch_bytes credential, porch_bytes seed, porch_buf *secret,
                          porch_why *why);
    /* A secret of at most PORCH_KEY_SECRET_BYTES that only this store opens again. */
    porch_err (*seal)(void *self, porch_bytes secret, porch_buf *sealed, porch_why *why);
    porch_err (*unseal)(void *self, porch_bytes sealed, porch_buf *secret, porch_why *why);
    void (*free)(porch_key *key);
} porch_key_ops;

enum { PORCH_KEY_SECRET_BYTES = 128, PORCH_KEY_SEALED_BYTES = 1024 };

struct porch_key {
    const porch_key_ops *ops;
    void *self;
    porch_key_kind kind;
    unsigned more_owners; /* besides the first: see porch_key_ref */
};

/* The scheme that goes with a kind; 0 for RSA. */
porch_sign_scheme porch_key_scheme(porch_key_kind kind);
/* Appends the signature (at most PORCH_SIGNATURE_MAX_BYTES). UNSUPPORTED when scheme and kind do not fit.
 */
porch_err porch_key_sign(const porch_key *key, porch_sign_scheme scheme, porch_bytes data,
                         porch_buf *signature, porch_why *why);
porch_err porch_key_public(const porch_key *key, porch_public_key *ret, porch_why *why);
/* Of a P-256 key that has sign_digest: signs what is a SHA-256 digest already. */
porch_err porch_key_sign_digest(const porch_key *key, porch_bytes digest, porch_buf *signature,
                                porch_why *why);
porch_err porch_key_attest(const porch_key *key, porch_bytes challenge, porch_key_evidence *ret,
                           porch_why *why);
porch_err porch_key_identify(const porch_key *key, porch_key_identity *ret, porch_why *why);
/* Opens what was encrypted to this store's endorsement key and attester (porch_tpm_credential); appended.
 */
porch_err porch_key_activate(const porch_key *key, porch_bytes credential, porch_bytes seed,
                             porch_buf *secret, porch_why *why);
/* Does the evidence say, to this challenge, that this public key lives in the TPM of `attester`? SIGNATURE
 * when it does not. */
porch_err porch_key_check_evidence(const porch_public_key *attester, const porch_public_key *key,
                                   porch_bytes challenge, const porch_key_evidence *evidence);
/* Seals a small secret (1 to PORCH_KEY_SECRET_BYTES) with the key's store; appends at most
 * PORCH_KEY_SEALED_BYTES. A file key's store opens it with the same key only, the others on the same TPM or
 * token. */
porch_err porch_key_seal(const porch_key *key, porch_bytes secret, porch_buf *sealed, porch_why *why);
porch_err porch_key_unseal(const porch_key *key, porch_bytes sealed, porch_buf *secret, porch_why *why);
/* One more owner; each of them calls porch_key_free. */
porch_key *porch_key_ref(porch_key *key);
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
/* The same under a passphrase, for keys that are kept on a medium of their own: PKCS#8 encrypted with
 * AES-256-CBC under scrypt (RFC 5958, RFC 7914; N 2^14, r 8, p 5), as `openssl pkey` reads it. AUTH for a
 * wrong passphrase. */
#define PORCH_KEY_LOCKED_PEM_BYTES 1024
porch_err porch_key_locked_pem(const porch_key *key, porch_bytes passphrase, porch_buf *out,
                               porch_why *why);
porch_err porch_key_load_locked_pem(porch_bytes pem, porch_bytes passphrase, porch_key **ret,
                                    porch_why *why);

#endif
