/* What the files of this port share. Nobody outside includes it. */
#ifndef PORCH_CRYPTO_PORT_OPENSSL_OPENSSL_H
#define PORCH_CRYPTO_PORT_OPENSSL_OPENSSL_H

#include <openssl/bio.h>
#include <openssl/evp.h>
#include <openssl/x509.h>

#include "crypto/x509.h"

/* Turns the library's latest error into a sentence after `doing`, empties its error queue, returns `e`. */
porch_err porch_openssl_fail(porch_why *why, porch_err e, const char *doing);
/* Ends the process: a primitive that cannot fail has failed (no memory, or a broken library). */
_Noreturn void porch_openssl_abort(const char *doing);

/* Zeroed memory; ends the process when there is none. Never NULL. */
void *porch_openssl_memory(size_t bytes);

/* A read-only BIO over a view; NULL when out of memory or longer than PORCH_X509_INPUT_BYTES. */
BIO *porch_openssl_view(porch_bytes b);
/* Appends all that a memory BIO holds. */
porch_err porch_openssl_drain(BIO *memory, porch_buf *out, porch_why *why);

/* A new reference to the EVP key inside a file key, or to one that lets the key's store sign
 * (porch_openssl_foreign); NULL when there is none. */
EVP_PKEY *porch_openssl_pkey(const porch_key *key);
/* key_foreign.c: an EVP key without a private part, whose signatures the key's own store makes. It owns one
 * reference to `key`. P-256 only, else NULL. */
EVP_PKEY *porch_openssl_foreign(const porch_key *key);
/* A new EVP key from SubjectPublicKeyInfo; NULL when it is none. */
EVP_PKEY *porch_openssl_public(const porch_public_key *key);
/* Kind of an EVP key, 0 when it is of none that we use (RSA below 2048 bits included). */
porch_key_kind porch_openssl_kind(const EVP_PKEY *pkey);

/* Answers every question for a passphrase with none: reading PEM must never ask on a terminal. */
int porch_openssl_no_passphrase(char *buf, int size, int rwflag, void *ctx);

#define PORCH_OPENSSL_MAX_CHAIN 64
/* All certificates of a PEM text in their order, at least one. Free with sk_X509_pop_free(ret, X509_free).
 */
porch_err porch_openssl_read_chain(porch_bytes pem, STACK_OF(X509) * *ret, porch_why *why);
/* The facts of a certificate. */
porch_err porch_openssl_info(X509 *cert, porch_x509_info *ret, porch_why *why);
/* Time in Unix ms; false when it lies before 1970 or is malformed. */
bool porch_openssl_time_ms(const ASN1_TIME *t, uint64_t *ret);
/* Does the certificate name this usage (XKU_SSL_SERVER or XKU_SSL_CLIENT), and no unlimited one? */
bool porch_openssl_has_usage(X509 *cert, uint32_t usage);

/* Signs what is to be signed (DER, with the algorithm of `key` already in it where the format wants that)
 * and wraps it: SEQUENCE { tbs, algorithm, BIT STRING } (RFC 5280, 4.1; RFC 2986, 4.2). Works with keys of
 * any store. *ret is for OPENSSL_free. */
porch_err porch_openssl_wrap_signed(porch_bytes tbs, const porch_key *key, uint8_t **ret, size_t *len,
                                    porch_why *why);
/* The algorithm identifier for signatures by a key of this kind; NULL when there is none. */
X509_ALGOR *porch_openssl_algorithm(porch_key_kind kind);

/* 4 or 16 address bytes of a textual IP address, 0 when it is none. */
size_t porch_openssl_ip(const char *text, uint8_t out[16]);
/* A store of trust anchors from PEM that refuses what RFC 5280 refuses (X509_V_FLAG_X509_STRICT). */
porch_err porch_openssl_store(porch_bytes ca_pem, X509_STORE **ret, porch_why *why);

#endif
