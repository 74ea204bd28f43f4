/* Keys in PKCS#11 tokens (smart cards, HSMs, secure elements with such a module). Defined in port/pkcs11.
 *
 * A key is named by a URI of RFC 7512:
 *
 *   pkcs11:token=factory;object=front-door?module-path=/usr/lib/softhsm/libsofthsm2.so&pin-source=/etc/pin
 *
 * `object` (or `id`) is needed; without `module-path` the modules that p11-kit is configured with are
 * asked; the PIN is the first line of the file `pin-source`, which only its owner may read, and never a
 * part of the URI. Keys are P-256, made in the token, sensitive and not extractable. */
#ifndef PORCH_CRYPTO_PKCS11_H
#define PORCH_CRYPTO_PKCS11_H

#include "crypto/keystore.h"

enum { PORCH_PKCS11_URI_BYTES = 512 };

/* MALFORMED: no such URI; NOT_FOUND: no such module, token or key; AUTH: the PIN is refused. */
porch_err porch_pkcs11_key_open(const char *uri, porch_key **ret, porch_why *why);
/* EXISTS when the token has a key of that name. */
porch_err porch_pkcs11_key_make(const char *uri, porch_key **ret, porch_why *why);
porch_err porch_pkcs11_key_remove(const char *uri, porch_why *why);

/* The files that the URI itself names, with their full paths; "" when it names none (a module's bare name
 * is looked up in p11-kit's own folder). What the module keeps elsewhere is the module's to say. */
typedef struct {
    char module[PORCH_PKCS11_URI_BYTES];
    char pin[PORCH_PKCS11_URI_BYTES];
} porch_pkcs11_files;
porch_err porch_pkcs11_files_of(const char *uri, porch_pkcs11_files *ret, porch_why *why);

#endif
