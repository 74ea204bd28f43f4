#include "crypto/x509.h"

#include <openssl/err.h>
#include <openssl/pem.h>

#include "crypto/port/openssl/openssl.h"
#include "crypto/random.h"

static bool add_challenge(X509_REQ *request, const char *challenge) {
    if (challenge == NULL) return true;
    return X509_REQ_add1_attr_by_NID(request, NID_pkcs9_challengePassword, MBSTRING_ASC,
                                     (const unsigned char *)challenge, -1) == 1;
}

porch_err porch_csr_make(const porch_key *key, porch_buf *out_pem, porch_why *why) {
    return porch_csr_make_bound(key, NULL, out_pem, why);
}

porch_err porch_csr_make_bound(const porch_key *key, const char *challenge, porch_buf *out_pem,
                               porch_why *why) {
    porch_crypto_init();
    porch_public_key own;
    PORCH_TRY(porch_key_public(key, &own, why));
    uint8_t *tbs = NULL, *der = NULL;
    size_t der_len = 0;
    porch_err e = PORCH_OK;
    EVP_PKEY *public_key = porch_openssl_public(&own);
    X509_REQ *request = X509_REQ_new();
    BIO *memory = BIO_new(BIO_s_mem());
    int tbs_len = -1;
    if (public_key != NULL && request != NULL && memory != NULL &&
        X509_REQ_set_version(request, X509_REQ_VERSION_1) && X509_REQ_set_pubkey(request, public_key) &&
        add_challenge(request, challenge))
        tbs_len = i2d_re_X509_REQ_tbs(request, &tbs);
    if (tbs_len <= 0) {
        e = porch_openssl_fail(why, PORCH_ERR_CRYPTO, "making a certificate request");
        goto out;
    }
    e = porch_openssl_wrap_signed((porch_bytes){tbs, (size_t)tbs_len}, key, &der, &der_len, why);
    if (e != PORCH_OK) goto out;
    if (PEM_write_bio(memory, PEM_STRING_X509_REQ, "", der, (long)der_len) <= 0)
        e = porch_openssl_fail(why, PORCH_ERR_CRYPTO, "writing a certificate request");
    else
        e = porch_openssl_drain(memory, out_pem, why);
out:
    OPENSSL_free(tbs);
    OPENSSL_free(der);
    BIO_free(memory);
    X509_REQ_free(request);
    EVP_PKEY_free(public_key);
    return e;
}

static X509_REQ *parse(porch_bytes pem_or_der) {
    X509_REQ *request = NULL;
    if (pem_or_der.len > 0 && pem_or_der.at[0] == 0x30) {
        const uint8_t *at = pem_or_der.at;
        request = d2i_X509_REQ(NULL, &at, (long)pem_or_der.len);
        if (request != NULL && at != pem_or_der.at + pem_or_der.len) {
            X509_REQ_free(request);
            return NULL;
        }
        return request;
    }
    BIO *in = porch_openssl_view(pem_or_der);
    if (in != NULL) request = PEM_read_bio_X509_REQ(in, NULL, porch_openssl_no_passphrase, NULL);
    BIO_free(in);
    return request;
}

/* A weak digest would make the proof of possession one that others could have made. */
static bool signature_strong(const X509_REQ *request) {
    switch (X509_REQ_get_signature_nid(request)) {
    case NID_ecdsa_with_SHA256:
    case NID_ecdsa_with_SHA384:
    case NID_ecdsa_with_SHA512:
    case NID_ED25519:
        return true;
    default:
        return false;
    }
}

porch_err porch_csr_read(porch_bytes pem_or_der, porch_public_key *ret, porch_why *why) {
    porch_crypto_init();
    if (pem_or_der.len > PORCH_X509_INPUT_BYTES)
        return porch_fail(why, PORCH_ERR_LIMIT, "a certificate request has at most %d bytes",
                          PORCH_X509_INPUT_BYTES);
    X509_REQ *request = parse(pem_or_der);
    if (request == NULL)
        return porch_openssl_fail(why, PORCH_ERR_MALFORMED, "reading a certificate request");
    porch_err e = PORCH_OK;
    EVP_PKEY *pkey = X509_REQ_get0_pubkey(request);
    porch_public_key made = {.kind = pkey != NULL ? porch_openssl_kind(pkey) : (porch_key_kind)0};
    int len = pkey != NULL ? i2d_PUBKEY(pkey, NULL) : -1;
    bool fits =
        (made.kind == PORCH_KEY_P256 || made.kind == PORCH_KEY_P384 || made.kind == PORCH_KEY_ED25519) &&
        len > 0 && (size_t)len <= sizeof made.der;
    if (!fits) {
        e = porch_fail(why, PORCH_ERR_UNSUPPORTED,
                       "the request's key is not P-256, P-384 or Ed25519; make such a key");
    } else if (!signature_strong(request)) {
        e = porch_fail(why, PORCH_ERR_UNSUPPORTED, "the request is signed with a weak digest; use SHA-256");
    } else if (X509_REQ_verify(request, pkey) != 1) {
        e = porch_fail(why, PORCH_ERR_SIGNATURE, "the request is not signed by the key that it names");
    } else {
        uint8_t *to = made.der;
        made.len = (size_t)i2d_PUBKEY(pkey, &to);
        if (porch_key_is_weak(&made))
            e = porch_fail(why, PORCH_ERR_UNSUPPORTED,
                           "the request's private key is known to others (a standard's example, or next to "
                           "none); make a new one from a good random source");
        else
            *ret = made;
    }
    X509_REQ_free(request);
    ERR_clear_error();
    return e;
}

/* The text of the first value of the attribute; NULL when there is none of a plain text type. */
static const ASN1_STRING *challenge_of(const X509_REQ *request) {
    int at = X509_REQ_get_attr_by_NID(request, NID_pkcs9_challengePassword, -1);
    if (at < 0) return NULL;
    const ASN1_TYPE *value = X509_ATTRIBUTE_get0_type(X509_REQ_get_attr(request, at), 0);
    if (value == NULL) return NULL;
    int type = ASN1_TYPE_get(value);
    bool text = type == V_ASN1_PRINTABLESTRING || type == V_ASN1_UTF8STRING || type == V_ASN1_IA5STRING ||
                type == V_ASN1_T61STRING;
    return text ? value->value.asn1_string : NULL;
}

porch_err porch_csr_challenge(porch_bytes pem_or_der, char out[PORCH_CSR_CHALLENGE_BYTES], porch_why *why) {
    porch_crypto_init();
    if (pem_or_der.len > PORCH_X509_INPUT_BYTES) return PORCH_ERR_LIMIT;
    X509_REQ *request = parse(pem_or_der);
    if (request == NULL)
        return porch_openssl_fail(why, PORCH_ERR_MALFORMED, "reading a certificate request");
    porch_err e = PORCH_OK;
    if (X509_REQ_get_attr_by_NID(request, NID_pkcs9_challengePassword, -1) < 0) {
        e = PORCH_ERR_NOT_FOUND;
    } else {
        const ASN1_STRING *text = challenge_of(request);
        porch_bytes b = {text != NULL ? ASN1_STRING_get0_data(text) : NULL,
                         text != NULL ? (size_t)ASN1_STRING_length(text) : 0};
        bool good = text != NULL && b.len > 0;
        for (size_t i = 0; good && i < b.len; i++)
            good = b.at[i] > 0x20 && b.at[i] < 0x7f;
        if (!good || !porch_bytes_to_text(b, out, PORCH_CSR_CHALLENGE_BYTES))
            e = porch_fail(why, PORCH_ERR_MALFORMED,
                           "the request's challengePassword is not 1 to %d printable characters",
                           PORCH_CSR_CHALLENGE_BYTES - 1);
    }
    X509_REQ_free(request);
    ERR_clear_error();
    return e;
}
