#include "crypto/port/openssl/tls_port.h"

#include <string.h>

#include <openssl/err.h>

#include "crypto/port/openssl/openssl.h"
#include "crypto/random.h"

/* RSA appears for operators' own web certificates only; the authorities of this project are elliptic. */
#define SIGNATURES \
    "ECDSA+SHA256:ed25519:ECDSA+SHA384:RSA-PSS+SHA256:RSA-PSS+SHA384:RSA-PSS+SHA512:RSA+SHA256:RSA+SHA384"
/* AES-128 with SHA-256 first: what the crypto hardware of small devices has, and processors have
 * instructions for SHA-256. 128 bits are what the certificates' curve gives. */
#define SUITES_1_3 "TLS_AES_128_GCM_SHA256:TLS_CHACHA20_POLY1305_SHA256:TLS_AES_256_GCM_SHA384"
#define SUITES_1_2 "ECDHE+AESGCM:ECDHE+CHACHA20"

/* The longest chain of certificates that a peer may send. */
#define PEER_CHAIN_BYTES 32768

porch_err porch_tls_context(const SSL_METHOD *method, porch_tls_version least, SSL_CTX **ret,
                            porch_why *why) {
    porch_crypto_init();
    SSL_CTX *ctx = SSL_CTX_new_ex(porch_tls_library(), NULL, method);
    if (ctx == NULL) return porch_openssl_fail(why, PORCH_ERR_CRYPTO, "making a TLS context");
    SSL_CTX_set_security_level(ctx, 2);
    SSL_CTX_set_verify_depth(ctx, 4);
    SSL_CTX_set_max_cert_list(ctx, PEER_CHAIN_BYTES);
    SSL_CTX_set_read_ahead(ctx, 1); /* one recv for many records instead of two for each */
    SSL_CTX_set_session_cache_mode(ctx, SSL_SESS_CACHE_OFF);
    SSL_CTX_set_mode(ctx, SSL_MODE_ENABLE_PARTIAL_WRITE | SSL_MODE_ACCEPT_MOVING_WRITE_BUFFER |
                              SSL_MODE_RELEASE_BUFFERS);
    SSL_CTX_set_options(ctx, SSL_OP_NO_COMPRESSION | SSL_OP_NO_RENEGOTIATION |
                                 SSL_OP_CIPHER_SERVER_PREFERENCE | SSL_OP_PRIORITIZE_CHACHA |
                                 SSL_OP_IGNORE_UNEXPECTED_EOF);
    if (SSL_CTX_set_min_proto_version(ctx, least == PORCH_TLS_1_2 ? TLS1_2_VERSION : TLS1_3_VERSION) != 1 ||
        SSL_CTX_set_max_proto_version(ctx, TLS1_3_VERSION) != 1 ||
        SSL_CTX_set_ciphersuites(ctx, SUITES_1_3) != 1 || SSL_CTX_set_cipher_list(ctx, SUITES_1_2) != 1 ||
        SSL_CTX_set1_groups_list(ctx, "X25519:P-256:P-384") != 1 ||
        SSL_CTX_set1_sigalgs_list(ctx, SIGNATURES) != 1) {
        SSL_CTX_free(ctx);
        return porch_openssl_fail(why, PORCH_ERR_CRYPTO, "choosing TLS versions and ciphers");
    }
    *ret = ctx;
    return PORCH_OK;
}

porch_err porch_tls_use_chain(SSL_CTX *ctx, porch_bytes chain_pem, const porch_key *key, porch_why *why) {
    EVP_PKEY *pkey = key != NULL ? porch_openssl_pkey(key) : NULL;
    if (pkey == NULL)
        return porch_fail(why, PORCH_ERR_UNSUPPORTED,
                          "TLS needs a key that can sign; a stored one must be P-256");
    STACK_OF(X509) *chain = NULL;
    porch_err e = porch_openssl_read_chain(chain_pem, &chain, why);
    if (e != PORCH_OK) {
        EVP_PKEY_free(pkey);
        return e;
    }
    X509 *leaf = sk_X509_value(chain, 0);
    if (X509_check_private_key(leaf, pkey) != 1) {
        e = porch_openssl_fail(why, PORCH_ERR_STATE, "the certificate belongs to another key");
    } else {
        bool good = SSL_CTX_use_certificate(ctx, leaf) == 1 && SSL_CTX_use_PrivateKey(ctx, pkey) == 1;
        for (int i = 1; good && i < sk_X509_num(chain); i++)
            good = SSL_CTX_add1_chain_cert(ctx, sk_X509_value(chain, i)) == 1;
        if (!good) e = porch_openssl_fail(why, PORCH_ERR_CRYPTO, "taking our certificate chain");
    }
    sk_X509_pop_free(chain, X509_free);
    EVP_PKEY_free(pkey);
    return e;
}

porch_err porch_tls_alpn_wire(const char *const names[PORCH_TLS_MAX_ALPN], uint8_t *out, size_t cap,
                              unsigned *len, porch_why *why) {
    size_t used = 0;
    for (size_t i = 0; i < PORCH_TLS_MAX_ALPN && names[i] != NULL; i++) {
        size_t n = strlen(names[i]);
        if (n == 0 || n > 15 || n + 1 > cap - used)
            return porch_fail(why, PORCH_ERR_LIMIT, "an application protocol's name has 1 to 15 bytes");
        out[used] = (uint8_t)n;
        memcpy(out + used + 1, names[i], n);
        used += n + 1;
    }
    *len = (unsigned)used;
    return PORCH_OK;
}
