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

/* A read-only BIO over a view; NULL when out of memory or longer than PORCH_X509_INPUT_BYTES. */
BIO *porch_openssl_view(porch_bytes b);
/* Appends all that a memory BIO holds. */
porch_err porch_openssl_drain(BIO *memory, porch_buf *out, porch_why *why);

/* The EVP key inside a file key (not a new reference); NULL for keys of other stores. */
EVP_PKEY *porch_openssl_pkey(const porch_key *key);
/* A new EVP key from SubjectPublicKeyInfo; NULL when it is none. */
EVP_PKEY *porch_openssl_public(const porch_public_key *key);
/* Kind of an EVP key, 0 when it is of none that we use (RSA below 2048 bits included). */
porch_key_kind porch_openssl_kind(const EVP_PKEY *pkey);

/* Certificates (leaf first) of a PEM text; every block must be a certificate. Free with sk_X509_pop_free.
 */
porch_err porch_openssl_read_chain(porch_bytes pem, STACK_OF(X509) * *ret, porch_why *why);
/* The facts of a certificate. */
porch_err porch_openssl_info(X509 *cert, porch_x509_info *ret, porch_why *why);
/* Time in Unix ms; false when it lies before 1970 or is malformed. */
bool porch_openssl_time_ms(const ASN1_TIME *t, uint64_t *ret);
/* Does the certificate name this usage (XKU_SSL_SERVER or XKU_SSL_CLIENT), and no unlimited one? */
bool porch_openssl_has_usage(X509 *cert, uint32_t usage);
/* Is it a textual IP address? */
bool porch_openssl_is_ip(const char *text);

#endif
