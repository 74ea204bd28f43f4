#include "crypto/port/openssl/openssl.h"

#include <arpa/inet.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <openssl/err.h>
#include <openssl/pem.h>

porch_err porch_openssl_fail(porch_why *why, porch_err e, const char *doing) {
    unsigned long code = ERR_peek_last_error();
    const char *reason = code != 0 ? ERR_reason_error_string(code) : NULL;
    (void)porch_fail(why, e, "%s: %s", doing, reason != NULL ? reason : "refused without a reason");
    ERR_clear_error();
    return e;
}

void porch_openssl_abort(const char *doing) {
    (void)fprintf(stderr, "crypto library failed at %s; stopping\n", doing);
    abort();
}

void *porch_openssl_memory(size_t bytes) {
    void *made = calloc(1, bytes);
    if (made == NULL) porch_openssl_abort("memory");
    return made;
}

BIO *porch_openssl_view(porch_bytes b) {
    if (b.len > PORCH_X509_INPUT_BYTES) return NULL;
    return BIO_new_mem_buf(b.len > 0 ? (const void *)b.at : "", (int)b.len);
}

porch_err porch_openssl_drain(BIO *memory, porch_buf *out, porch_why *why) {
    char *at = NULL;
    long len = BIO_get_mem_data(memory, &at);
    if (len < 0 || at == NULL) return porch_openssl_fail(why, PORCH_ERR_CRYPTO, "reading a memory block");
    if ((size_t)len > out->cap - out->len)
        return porch_fail(why, PORCH_ERR_NO_SPACE, "the PEM text of %ld bytes does not fit", len);
    memcpy(out->at + out->len, at, (size_t)len);
    out->len += (size_t)len;
    return PORCH_OK;
}

int porch_openssl_no_passphrase(char *buf, int size, int rwflag, void *ctx) {
    (void)buf, (void)size, (void)rwflag, (void)ctx;
    return -1;
}

size_t porch_openssl_ip(const char *text, uint8_t out[16]) {
    if (inet_pton(AF_INET, text, out) == 1) return 4;
    if (inet_pton(AF_INET6, text, out) == 1) return 16;
    return 0;
}

porch_err porch_openssl_read_chain(porch_bytes pem, STACK_OF(X509) * *ret, porch_why *why) {
    BIO *in = porch_openssl_view(pem);
    STACK_OF(X509) *chain = sk_X509_new_null();
    porch_err e = PORCH_OK;
    if (in == NULL || chain == NULL) e = porch_fail(why, PORCH_ERR_LIMIT, "the certificates are too long");
    while (e == PORCH_OK) {
        X509 *cert = PEM_read_bio_X509(in, NULL, porch_openssl_no_passphrase, NULL);
        if (cert == NULL) break;
        if (sk_X509_num(chain) >= PORCH_OPENSSL_MAX_CHAIN)
            e = porch_fail(why, PORCH_ERR_LIMIT, "more than %d certificates in one chain",
                           PORCH_OPENSSL_MAX_CHAIN);
        if (e == PORCH_OK && sk_X509_push(chain, cert) > 0) continue;
        X509_free(cert);
        if (e == PORCH_OK) e = PORCH_ERR_NO_SPACE;
    }
    if (e == PORCH_OK) {
        bool ended = ERR_GET_REASON(ERR_peek_last_error()) == PEM_R_NO_START_LINE;
        if (!ended || sk_X509_num(chain) == 0)
            e = porch_openssl_fail(why, PORCH_ERR_MALFORMED, "reading certificates in PEM");
    }
    ERR_clear_error();
    BIO_free(in);
    if (e != PORCH_OK) {
        sk_X509_pop_free(chain, X509_free);
        return e;
    }
    *ret = chain;
    return PORCH_OK;
}

porch_err porch_openssl_store(porch_bytes ca_pem, X509_STORE **ret, porch_why *why) {
    STACK_OF(X509) *cas = NULL;
    PORCH_TRY(porch_openssl_read_chain(ca_pem, &cas, why));
    X509_STORE *store = X509_STORE_new();
    bool good = store != NULL && X509_STORE_set_flags(store, X509_V_FLAG_X509_STRICT) == 1;
    for (int i = 0; good && i < sk_X509_num(cas); i++)
        good = X509_STORE_add_cert(store, sk_X509_value(cas, i)) == 1;
    sk_X509_pop_free(cas, X509_free);
    if (!good) {
        X509_STORE_free(store);
        return porch_openssl_fail(why, PORCH_ERR_CRYPTO, "taking CA certificates");
    }
    *ret = store;
    return PORCH_OK;
}

X509_ALGOR *porch_openssl_algorithm(porch_key_kind kind) {
    int nid = NID_undef;
    switch (kind) {
    case PORCH_KEY_P256:
        nid = NID_ecdsa_with_SHA256;
        break;
    case PORCH_KEY_P384:
        nid = NID_ecdsa_with_SHA384;
        break;
    case PORCH_KEY_ED25519:
        nid = NID_ED25519;
        break;
    case PORCH_KEY_RSA:
        break;
    }
    X509_ALGOR *made = nid != NID_undef ? X509_ALGOR_new() : NULL;
    if (made != NULL && X509_ALGOR_set0(made, OBJ_nid2obj(nid), V_ASN1_UNDEF, NULL) != 1) {
        X509_ALGOR_free(made);
        return NULL;
    }
    return made;
}

/* A DER header: tag and length below 2^24. */
static size_t der_header(uint8_t *at, uint8_t tag, size_t len) {
    size_t bytes = len < 0x80 ? 0 : len < 0x100 ? 1 : len < 0x10000 ? 2 : 3;
    at[0] = tag;
    at[1] = (uint8_t)(bytes == 0 ? len : 0x80 | bytes);
    for (size_t i = 0; i < bytes; i++)
        at[2 + i] = (uint8_t)(len >> (8 * (bytes - 1 - i)));
    return 2 + bytes;
}

porch_err porch_openssl_wrap_signed(porch_bytes tbs, const porch_key *key, uint8_t **ret, size_t *len,
                                    porch_why *why) {
    uint8_t block[PORCH_SIGNATURE_MAX_BYTES], *algorithm_der = NULL, *made = NULL;
    porch_buf signature = PORCH_BUF_OF(block);
    X509_ALGOR *algorithm = porch_openssl_algorithm(key->kind);
    porch_err e = porch_key_sign(key, porch_key_scheme(key->kind), tbs, &signature, why);
    if (e != PORCH_OK) goto out;
    int algorithm_len = algorithm != NULL ? i2d_X509_ALGOR(algorithm, &algorithm_der) : -1;
    if (algorithm_len > 0 && tbs.len < PORCH_X509_INPUT_BYTES)
        made = OPENSSL_malloc(tbs.len + (size_t)algorithm_len + signature.len + 16);
    if (made == NULL) {
        e = porch_openssl_fail(why, PORCH_ERR_CRYPTO, "wrapping a signature");
        goto out;
    }
    uint8_t bits[8];
    size_t bits_len = der_header(bits, 0x03, signature.len + 1);
    bits[bits_len++] = 0; /* no unused bits */
    size_t used = der_header(made, 0x30, tbs.len + (size_t)algorithm_len + bits_len + signature.len);
    memcpy(made + used, tbs.at, tbs.len);
    used += tbs.len;
    memcpy(made + used, algorithm_der, (size_t)algorithm_len);
    used += (size_t)algorithm_len;
    memcpy(made + used, bits, bits_len);
    used += bits_len;
    memcpy(made + used, signature.at, signature.len);
    *ret = made;
    *len = used + signature.len;
out:
    X509_ALGOR_free(algorithm);
    OPENSSL_free(algorithm_der);
    return e;
}
