#include "crypto/aead.h"

#include <stdlib.h>

#include "crypto/port/openssl/openssl.h"
#include "crypto/random.h"

#define MOST_BYTES (1u << 30)

/* One context a direction: the key schedule is kept while nonces change. */
struct porch_aead {
    EVP_CIPHER_CTX *seal, *open;
};

static EVP_CIPHER_CTX *context(const uint8_t *key, int sealing) {
    EVP_CIPHER_CTX *c = EVP_CIPHER_CTX_new();
    if (c == NULL || EVP_CipherInit_ex(c, EVP_aes_256_gcm(), NULL, key, NULL, sealing) != 1)
        porch_openssl_abort("AES-256-GCM");
    return c;
}

porch_aead *porch_aead_new(const uint8_t key[PORCH_AEAD_KEY_BYTES]) {
    porch_crypto_init();
    porch_aead *a = porch_openssl_memory(sizeof *a);
    a->seal = context(key, 1);
    a->open = context(key, 0);
    return a;
}

void porch_aead_free(porch_aead *a) {
    if (a == NULL) return;
    EVP_CIPHER_CTX_free(a->seal); /* wipes its key */
    EVP_CIPHER_CTX_free(a->open);
    free(a);
}

/* Runs the cipher over `in` into `out`, which has room. */
static bool run(EVP_CIPHER_CTX *c, const uint8_t *nonce, porch_bytes aad, porch_bytes in, uint8_t *out) {
    int n = 0;
    if (EVP_CipherInit_ex(c, NULL, NULL, NULL, nonce, -1) != 1) return false;
    if (aad.len > 0 && EVP_CipherUpdate(c, NULL, &n, aad.at, (int)aad.len) != 1) return false;
    if (in.len > 0 && (EVP_CipherUpdate(c, out, &n, in.at, (int)in.len) != 1 || (size_t)n != in.len))
        return false;
    return true;
}

porch_err porch_aead_seal_with(porch_aead *a, const uint8_t nonce[PORCH_AEAD_NONCE_BYTES], porch_bytes aad,
                               porch_bytes plain, porch_buf *out) {
    if (plain.len > MOST_BYTES || aad.len > MOST_BYTES) return PORCH_ERR_LIMIT;
    if (plain.len + PORCH_AEAD_TAG_BYTES > out->cap - out->len) return PORCH_ERR_NO_SPACE;
    uint8_t *to = out->at + out->len, end[16];
    int n = 0;
    if (!run(a->seal, nonce, aad, plain, to) || EVP_CipherFinal_ex(a->seal, end, &n) != 1 || n != 0 ||
        EVP_CIPHER_CTX_ctrl(a->seal, EVP_CTRL_AEAD_GET_TAG, PORCH_AEAD_TAG_BYTES, to + plain.len) != 1)
        porch_openssl_abort("AES-256-GCM");
    out->len += plain.len + PORCH_AEAD_TAG_BYTES;
    return PORCH_OK;
}

porch_err porch_aead_open_with(porch_aead *a, const uint8_t nonce[PORCH_AEAD_NONCE_BYTES], porch_bytes aad,
                               porch_bytes sealed, porch_buf *out) {
    if (sealed.len > MOST_BYTES || aad.len > MOST_BYTES) return PORCH_ERR_LIMIT;
    if (sealed.len < PORCH_AEAD_TAG_BYTES) return PORCH_ERR_SIGNATURE;
    size_t plain = sealed.len - PORCH_AEAD_TAG_BYTES;
    if (plain > out->cap - out->len) return PORCH_ERR_NO_SPACE;
    uint8_t *to = out->at + out->len, end[16];
    int n = 0;
    void *tag = (void *)(sealed.at + plain);
    if (!run(a->open, nonce, aad, (porch_bytes){sealed.at, plain}, to) ||
        EVP_CIPHER_CTX_ctrl(a->open, EVP_CTRL_AEAD_SET_TAG, PORCH_AEAD_TAG_BYTES, tag) != 1)
        porch_openssl_abort("AES-256-GCM");
    if (EVP_CipherFinal_ex(a->open, end, &n) != 1) {
        porch_wipe(to, plain); /* unproven plain text leaves no trace */
        return PORCH_ERR_SIGNATURE;
    }
    out->len += plain;
    return PORCH_OK;
}

porch_err porch_aead_seal(const uint8_t key[PORCH_AEAD_KEY_BYTES],
                          const uint8_t nonce[PORCH_AEAD_NONCE_BYTES], porch_bytes aad, porch_bytes plain,
                          porch_buf *out) {
    porch_aead *a = porch_aead_new(key);
    porch_err e = porch_aead_seal_with(a, nonce, aad, plain, out);
    porch_aead_free(a);
    return e;
}

porch_err porch_aead_open(const uint8_t key[PORCH_AEAD_KEY_BYTES],
                          const uint8_t nonce[PORCH_AEAD_NONCE_BYTES], porch_bytes aad, porch_bytes sealed,
                          porch_buf *out) {
    porch_aead *a = porch_aead_new(key);
    porch_err e = porch_aead_open_with(a, nonce, aad, sealed, out);
    porch_aead_free(a);
    return e;
}
