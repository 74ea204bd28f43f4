/* A bundle of certificates as EST hands them out: PKCS#7 without content or signers ("certs-only", RFC
 * 5652, 5; RFC 8951, 3.1). */
#include "crypto/x509.h"

#include <openssl/err.h>
#include <openssl/pem.h>
#include <openssl/pkcs7.h>
#include <openssl/x509v3.h>

#include "base/cursor.h"
#include "crypto/port/openssl/openssl.h"
#include "crypto/random.h"

porch_err porch_x509_bundle(porch_bytes chain_pem, porch_buf *out_der, porch_why *why) {
    STACK_OF(X509) *chain = NULL;
    uint8_t *der = NULL;
    porch_crypto_init();
    PORCH_TRY(porch_openssl_read_chain(chain_pem, &chain, why));
    PKCS7 *bundle = PKCS7_new();
    bool made = bundle != NULL && PKCS7_set_type(bundle, NID_pkcs7_signed) == 1 &&
                PKCS7_content_new(bundle, NID_pkcs7_data) == 1 && PKCS7_set_detached(bundle, 1) == 1;
    for (int i = 0; made && i < sk_X509_num(chain); i++)
        made = PKCS7_add_certificate(bundle, sk_X509_value(chain, i)) == 1;
    int len = made ? i2d_PKCS7(bundle, &der) : -1;
    porch_err e = len > 0 ? porch_write_bytes(out_der, (porch_bytes){der, (size_t)len})
                          : porch_openssl_fail(why, PORCH_ERR_CRYPTO, "bundling certificates");
    OPENSSL_free(der);
    PKCS7_free(bundle);
    sk_X509_pop_free(chain, X509_free);
    return e;
}

/* The certificate that is no authority's; NULL when there is none or more than one. */
static X509 *leaf_of(STACK_OF(X509) * chain) {
    X509 *leaf = NULL;
    for (int i = 0; i < sk_X509_num(chain); i++) {
        if (X509_check_ca(sk_X509_value(chain, i)) != 0) continue;
        if (leaf != NULL) return NULL;
        leaf = sk_X509_value(chain, i);
    }
    return leaf;
}

porch_err porch_x509_unbundle(porch_bytes der, porch_buf *out_pem, porch_why *why) {
    porch_crypto_init();
    if (der.len > PORCH_X509_INPUT_BYTES) return PORCH_ERR_LIMIT;
    const uint8_t *at = der.at;
    PKCS7 *bundle = d2i_PKCS7(NULL, &at, (long)der.len);
    BIO *memory = BIO_new(BIO_s_mem());
    bool whole =
        bundle != NULL && at == der.at + der.len && PKCS7_type_is_signed(bundle) && bundle->d.sign != NULL;
    STACK_OF(X509) *chain = whole ? bundle->d.sign->cert : NULL;
    X509 *leaf = sk_X509_num(chain) <= PORCH_X509_BUNDLE_MOST ? leaf_of(chain) : NULL;
    bool written = memory != NULL && leaf != NULL && PEM_write_bio_X509(memory, leaf) == 1;
    for (int i = 0; written && i < sk_X509_num(chain); i++)
        if (sk_X509_value(chain, i) != leaf)
            written = PEM_write_bio_X509(memory, sk_X509_value(chain, i)) == 1;
    porch_err e = written ? porch_openssl_drain(memory, out_pem, why)
                          : porch_fail(why, PORCH_ERR_MALFORMED,
                                       "the answer is no bundle of one certificate and its authorities");
    ERR_clear_error();
    BIO_free(memory);
    PKCS7_free(bundle);
    return e;
}
