/* Who a certificate speaks for: `urn:porchlight:device:<id>` or `urn:porchlight:service:<name>`, and there
 * is no third kind. People have no certificate: PERSON is whom a sign-in of the app speaks for. */
#ifndef PORCH_CRYPTO_IDENTITY_H
#define PORCH_CRYPTO_IDENTITY_H

#include "base/bytes.h"
#include "base/error.h"

typedef enum {
    PORCH_IDENTITY_NONE,
    PORCH_IDENTITY_DEVICE,
    PORCH_IDENTITY_SERVICE,
    PORCH_IDENTITY_PERSON
} porch_identity_kind;

typedef struct {
    porch_identity_kind kind;
    char name[65]; /* lower-case letters, digits and '-', beginning with a letter or digit; "" for NONE */
} porch_identity;

#define PORCH_IDENTITY_URI_BYTES 96

/* Strict: MALFORMED for any other text, upper case and an over-long name included. */
porch_err porch_identity_parse(porch_bytes uri, porch_identity *ret);
/* Checks a bare name and makes the identity. */
porch_err porch_identity_make(porch_identity_kind kind, porch_bytes name, porch_identity *ret);
/* The URI, zero-terminated; MALFORMED for NONE and PERSON. */
porch_err porch_identity_uri(const porch_identity *identity, char out[PORCH_IDENTITY_URI_BYTES]);
/* "device", "service", "person" or "none". */
const char *porch_identity_kind_text(porch_identity_kind kind);

#endif
