#include "crypto/sha512.h"

#include <stdlib.h>

#include <openssl/sha.h>

#include "crypto/port/openssl/openssl.h"
#include "crypto/random.h"

struct porch_sha512_state {
    EVP_MD_CTX *ctx;
};

void porch_sha512(porch_bytes b, uint8_t out[PORCH_SHA512_BYTES]) {
    porch_crypto_init();
    if (SHA512(b.at, b.len, out) == NULL) porch_openssl_abort("SHA-512");
}

porch_sha512_state *porch_sha512_new(void) {
    porch_crypto_init();
    porch_sha512_state *s = porch_openssl_memory(sizeof *s);
    s->ctx = EVP_MD_CTX_new();
    if (s->ctx == NULL || EVP_DigestInit_ex(s->ctx, EVP_sha512(), NULL) != 1)
        porch_openssl_abort("SHA-512");
    return s;
}

void porch_sha512_update(porch_sha512_state *s, porch_bytes b) {
    if (EVP_DigestUpdate(s->ctx, b.at, b.len) != 1) porch_openssl_abort("SHA-512");
}

void porch_sha512_finish(porch_sha512_state *s, uint8_t out[PORCH_SHA512_BYTES]) {
    if (EVP_DigestFinal_ex(s->ctx, out, NULL) != 1) porch_openssl_abort("SHA-512");
}

void porch_sha512_free(porch_sha512_state *s) {
    if (s == NULL) return;
    EVP_MD_CTX_free(s->ctx);
    free(s);
}
