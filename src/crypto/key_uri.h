/* Where a device's private key lies, as configuration names it.
 *
 *   file:key.pem            a file, beside device.conf or with a full path: for development only
 *   tpm2:0x81000010         a persistent handle of a TPM 2.0
 *   pkcs11:object=door;...  a PKCS#11 token (RFC 7512; crypto/pkcs11.h) */
#ifndef PORCH_CRYPTO_KEY_URI_H
#define PORCH_CRYPTO_KEY_URI_H

#include "crypto/keystore.h"

enum { PORCH_KEY_URI_BYTES = 512, PORCH_KEY_PATH_BYTES = 256 };

typedef enum { PORCH_KEY_IN_FILE, PORCH_KEY_IN_TPM, PORCH_KEY_IN_PKCS11 } porch_key_place;

typedef struct {
    porch_key_place place;
    char text[PORCH_KEY_URI_BYTES];  /* the whole of it */
    char path[PORCH_KEY_PATH_BYTES]; /* of a file */
    uint32_t handle;                 /* of a TPM */
} porch_key_uri;

/* MALFORMED with a sentence that names the three kinds. A PKCS#11 URI is looked into by its store. */
porch_err porch_key_uri_parse(porch_bytes text, porch_key_uri *ret, porch_why *why);
/* Opens, or makes, a key of a TPM or token; `tcti` is how the TPM is reached. UNSUPPORTED for files, which
 * the caller reads. */
porch_err porch_key_uri_open(const porch_key_uri *uri, const char *tcti, porch_key **ret, porch_why *why);
porch_err porch_key_uri_make(const porch_key_uri *uri, const char *tcti, porch_key **ret, porch_why *why);

#endif
