#include "crypto/sha256.h"

#include <stdlib.h>

#include <openssl/hmac.h>
#include <openssl/sha.h>

#include "crypto/port/openssl/openssl.h"
#include "crypto/random.h"

struct porch_sha256_state {
    EVP_MD_CTX *ctx;
};

/* A digest that is looked up once: looking it up at each use takes longer than hashing a short message. */
static const EVP_MD *digest(void) {
    porch_crypto_init();
    return EVP_sha256();
}

void porch_sha256(porch_bytes b, uint8_t out[PORCH_SHA256_BYTES]) {
    porch_crypto_init();
    if (SHA256(b.at, b.len, out) == NULL) porch_openssl_abort("SHA-256");
}

void porch_hmac_sha256(porch_bytes key, porch_bytes data, uint8_t out[PORCH_SHA256_BYTES]) {
    unsigned len = PORCH_SHA256_BYTES;
    const void *key_at = key.at != NULL ? (const void *)key.at : "";
    if (key.len > 1u << 20 || HMAC(digest(), key_at, (int)key.len, data.at, data.len, out, &len) == NULL)
        porch_openssl_abort("HMAC-SHA-256");
}

porch_sha256_state *porch_sha256_new(void) {
    porch_sha256_state *s = porch_openssl_memory(sizeof *s);
    s->ctx = EVP_MD_CTX_new();
    if (s->ctx == NULL || EVP_DigestInit_ex(s->ctx, digest(), NULL) != 1) porch_openssl_abort("SHA-256");
    return s;
}

void porch_sha256_update(porch_sha256_state *s, porch_bytes b) {
    if (EVP_DigestUpdate(s->ctx, b.at, b.len) != 1) porch_openssl_abort("SHA-256");
}

void porch_sha256_finish(porch_sha256_state *s, uint8_t out[PORCH_SHA256_BYTES]) {
    if (EVP_DigestFinal_ex(s->ctx, out, NULL) != 1 || EVP_DigestInit_ex(s->ctx, NULL, NULL) != 1)
        porch_openssl_abort("SHA-256");
}

void porch_sha256_peek(const porch_sha256_state *s, uint8_t out[PORCH_SHA256_BYTES]) {
    EVP_MD_CTX *copy = EVP_MD_CTX_new();
    if (copy == NULL || EVP_MD_CTX_copy_ex(copy, s->ctx) != 1 || EVP_DigestFinal_ex(copy, out, NULL) != 1)
        porch_openssl_abort("SHA-256");
    EVP_MD_CTX_free(copy);
}

void porch_sha256_free(porch_sha256_state *s) {
    if (s == NULL) return;
    EVP_MD_CTX_free(s->ctx);
    free(s);
}
