/* Weak RSA keys, in certificates of other people's authorities: our own keys are of curves. */
#ifndef PORCH_CRYPTO_PORT_OPENSSL_WEAK_RSA_H
#define PORCH_CRYPTO_PORT_OPENSSL_WEAK_RSA_H

#include <openssl/evp.h>

/* What is wrong with it, in static memory; NULL: nothing that can be seen. Takes some milliseconds. */
const char *porch_openssl_weak_rsa(const EVP_PKEY *key);

#endif
