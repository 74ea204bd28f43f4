/* A bundle of certificates as EST hands them out: PKCS#7 without content or signers ("certs-only", RFC
 * 5652, 5; RFC 8951, 3.1). */
#include "crypto/x509.h"

#include <openssl/err.h>
#include <openssl/pkcs7.h>

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
