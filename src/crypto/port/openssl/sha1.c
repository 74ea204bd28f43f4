#include "crypto/sha1.h"

#include <openssl/sha.h>

#include "crypto/port/openssl/openssl.h"
#include "crypto/random.h"

void porch_sha1(porch_bytes b, uint8_t out[PORCH_SHA1_BYTES]) {
    porch_crypto_init();
    if (SHA1(b.at, b.len, out) == NULL) porch_openssl_abort("SHA-1");
}
