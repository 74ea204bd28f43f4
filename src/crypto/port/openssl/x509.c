#include "crypto/x509.h"

#include <string.h>
#include <strings.h>
#include <time.h>

#include <openssl/err.h>
#include <openssl/pem.h>
#include <openssl/x509v3.h>

#include "base/cursor.h"
#include "base/text.h"
#include "crypto/port/openssl/openssl.h"
#include "crypto/port/openssl/weak_rsa.h"
#include "crypto/random.h"
#include "crypto/sha256.h"

bool porch_openssl_time_ms(const ASN1_TIME *t, uint64_t *ret) {
    struct tm parts;
    if (ASN1_TIME_to_tm(t, &parts) != 1) return false;
    time_t seconds = timegm(&parts);
    if (seconds < 0) return false;
    *ret = (uint64_t)seconds * 1000;
    return true;
}

bool porch_openssl_has_usage(X509 *cert, uint32_t usage) {
    uint32_t named = X509_get_extended_key_usage(cert);
    if (named == UINT32_MAX) return false; /* no extension: nothing is named */
    return (named & usage) != 0 && (named & XKU_ANYEKU) == 0;
}

/* The identity, if the certificate has exactly one URI among its names and that is one of ours. */
static porch_identity read_identity(const X509 *cert) {
    porch_identity identity = {.kind = PORCH_IDENTITY_NONE};
    GENERAL_NAMES *names = X509_get_ext_d2i(cert, NID_subject_alt_name, NULL, NULL);
    int uris = 0;
    for (int i = 0; i < sk_GENERAL_NAME_num(names); i++) {
        const GENERAL_NAME *name = sk_GENERAL_NAME_value(names, i);
        if (name->type != GEN_URI) continue;
        const ASN1_IA5STRING *uri = name->d.uniformResourceIdentifier;
        porch_bytes text = {ASN1_STRING_get0_data(uri), (size_t)ASN1_STRING_length(uri)};
        if (++uris > 1 || porch_identity_parse(text, &identity) != PORCH_OK)
            identity = (porch_identity){.kind = PORCH_IDENTITY_NONE};
    }
    GENERAL_NAMES_free(names);
    return identity;
}

/* RFC 2253 text, cut to fit. */
static void name_text(const X509_NAME *name, char *out, size_t cap) {
    out[0] = '\0';
    BIO *memory = BIO_new(BIO_s_mem());
    if (memory == NULL) return;
    if (X509_NAME_print_ex(memory, name, 0, XN_FLAG_RFC2253) >= 0) {
        int got = BIO_read(memory, out, (int)cap - 1);
        out[got > 0 ? got : 0] = '\0';
    }
    BIO_free(memory);
}

static bool id_attribute(const X509_NAME *subject, int nid, char out[65]) {
    int at = X509_NAME_get_index_by_NID(subject, nid, -1);
    const ASN1_STRING *text = at >= 0 ? X509_NAME_ENTRY_get_data(X509_NAME_get_entry(subject, at)) : NULL;
    char name[65];
    porch_identity checked;
    if (text == NULL ||
        !porch_bytes_to_text((porch_bytes){ASN1_STRING_get0_data(text), (size_t)ASN1_STRING_length(text)},
                             name, sizeof name))
        return false;
    for (char *c = name; *c != '\0'; c++)
        if (*c >= 'A' && *c <= 'Z') *c = (char)(*c - 'A' + 'a');
    if (porch_identity_make(PORCH_IDENTITY_DEVICE, porch_bytes_of(name), &checked) != PORCH_OK)
        return false;
    memcpy(out, checked.name, sizeof checked.name);
    return true;
}

static bool serial_text(const X509 *cert, char out[65]) {
    const ASN1_INTEGER *serial = X509_get0_serialNumber(cert);
    porch_buf text = {(uint8_t *)out, 0, 64}; /* RFC 5280 allows 20 bytes */
    porch_bytes raw = {ASN1_STRING_get0_data(serial), (size_t)ASN1_STRING_length(serial)};
    if (porch_hex_write(&text, raw) != PORCH_OK) return false;
    out[text.len] = '\0';
    return true;
}

static bool known_to_others(const EVP_PKEY *key) {
    porch_public_key own = {.kind = porch_openssl_kind(key)};
    int len = i2d_PUBKEY(key, NULL);
    uint8_t *to = own.der;
    if ((own.kind != PORCH_KEY_P256 && own.kind != PORCH_KEY_P384 && own.kind != PORCH_KEY_ED25519) ||
        len <= 0 || (size_t)len > sizeof own.der)
        return false;
    own.len = (size_t)i2d_PUBKEY(key, &to);
    return porch_key_is_weak(&own);
}

porch_err porch_openssl_info(X509 *cert, porch_x509_info *ret, porch_why *why) {
    porch_x509_info info = {.identity = {.kind = PORCH_IDENTITY_NONE}};
    uint8_t *der = NULL;
    int len = i2d_X509(cert, &der);
    if (len <= 0) return porch_openssl_fail(why, PORCH_ERR_MALFORMED, "reading a certificate");
    porch_sha256((porch_bytes){der, (size_t)len}, info.fingerprint);
    OPENSSL_free(der);
    der = NULL;
    len = i2d_X509_PUBKEY(X509_get_X509_PUBKEY(cert), &der);
    if (len <= 0) return porch_openssl_fail(why, PORCH_ERR_MALFORMED, "reading a certificate's key");
    porch_sha256((porch_bytes){der, (size_t)len}, info.public_key_hash);
    OPENSSL_free(der);
    if ((X509_get_extension_flags(cert) & EXFLAG_INVALID) != 0)
        return porch_openssl_fail(why, PORCH_ERR_MALFORMED, "reading a certificate's extensions");
    if (!porch_openssl_time_ms(X509_get0_notBefore(cert), &info.not_before_ms) ||
        !porch_openssl_time_ms(X509_get0_notAfter(cert), &info.not_after_ms) ||
        !serial_text(cert, info.serial))
        return porch_fail(why, PORCH_ERR_MALFORMED,
                          "the certificate's times or serial number are malformed");
    const X509_NAME *subject = X509_get_subject_name(cert);
    info.identity = read_identity(cert);
    info.has_common_name = X509_NAME_get_index_by_NID(subject, NID_commonName, -1) >= 0;
    info.is_ca = X509_check_ca(cert) == 1;
    info.weak_key = X509_get0_pubkey(cert) != NULL && known_to_others(X509_get0_pubkey(cert));
    info.client_auth = porch_openssl_has_usage(cert, XKU_SSL_CLIENT);
    info.server_auth = porch_openssl_has_usage(cert, XKU_SSL_SERVER);
    if (!id_attribute(subject, NID_serialNumber, info.factory_id) &&
        !id_attribute(subject, NID_commonName, info.factory_id))
        info.factory_id[0] = '\0';
    name_text(subject, info.subject, sizeof info.subject);
    name_text(X509_get_issuer_name(cert), info.issuer, sizeof info.issuer);
    ERR_clear_error();
    *ret = info;
    return PORCH_OK;
}

/* The first certificate of a PEM text, or one in DER with nothing after it. */
static porch_err read_one(porch_bytes pem_or_der, X509 **ret, porch_why *why) {
    porch_crypto_init();
    X509 *cert = NULL;
    if (pem_or_der.len > PORCH_X509_INPUT_BYTES)
        return porch_fail(why, PORCH_ERR_LIMIT, "a certificate has at most %d bytes",
                          PORCH_X509_INPUT_BYTES);
    if (pem_or_der.len > 0 && pem_or_der.at[0] == 0x30) {
        const uint8_t *at = pem_or_der.at;
        cert = d2i_X509(NULL, &at, (long)pem_or_der.len);
        if (cert != NULL && at != pem_or_der.at + pem_or_der.len) {
            X509_free(cert);
            return porch_fail(why, PORCH_ERR_MALFORMED, "bytes follow the certificate");
        }
    } else {
        BIO *in = porch_openssl_view(pem_or_der);
        if (in != NULL) cert = PEM_read_bio_X509(in, NULL, porch_openssl_no_passphrase, NULL);
        BIO_free(in);
    }
    if (cert == NULL) return porch_openssl_fail(why, PORCH_ERR_MALFORMED, "reading a certificate");
    *ret = cert;
    return PORCH_OK;
}

porch_err porch_x509_read(porch_bytes pem_or_der, porch_x509_info *ret, porch_why *why) {
    X509 *cert = NULL;
    PORCH_TRY(read_one(pem_or_der, &cert, why));
    porch_err e = porch_openssl_info(cert, ret, why);
    X509_free(cert);
    return e;
}

porch_err porch_x509_check_key(porch_bytes pem, const porch_key *key, porch_why *why) {
    X509 *cert = NULL;
    PORCH_TRY(read_one(pem, &cert, why));
    porch_public_key own = {.len = 0};
    porch_err e = PORCH_OK;
    EVP_PKEY *pkey = porch_openssl_pkey(key);
    bool fits = false;
    if (pkey != NULL) {
        fits = X509_check_private_key(cert, pkey) == 1;
    } else if ((e = porch_key_public(key, &own, why)) == PORCH_OK) {
        EVP_PKEY *public_key = porch_openssl_public(&own);
        fits = public_key != NULL && EVP_PKEY_eq(X509_get0_pubkey(cert), public_key) == 1;
        EVP_PKEY_free(public_key);
    }
    EVP_PKEY_free(pkey);
    if (e == PORCH_OK && !fits)
        e = porch_openssl_fail(why, PORCH_ERR_STATE, "the certificate belongs to another key");
    X509_free(cert);
    return e;
}

static int note_time_errors(int ok, X509_STORE_CTX *ctx) {
    int error = X509_STORE_CTX_get_error(ctx);
    if (ok == 1 || (error != X509_V_ERR_CERT_HAS_EXPIRED && error != X509_V_ERR_CERT_NOT_YET_VALID))
        return ok;
    *(bool *)X509_STORE_CTX_get_ex_data(ctx, 0) = true;
    X509_STORE_CTX_set_error(ctx, X509_V_OK);
    return 1;
}

porch_err porch_x509_verify(porch_bytes chain_pem, porch_bytes ca_pem, bool server, uint64_t now_ms,
                            porch_why *why) {
    porch_crypto_init();
    STACK_OF(X509) *chain = NULL;
    X509_STORE *store = NULL;
    X509_STORE_CTX *ctx = X509_STORE_CTX_new();
    bool late = false;
    porch_err e = porch_openssl_read_chain(chain_pem, &chain, why);
    if (e == PORCH_OK) e = porch_openssl_store(ca_pem, &store, why);
    if (e != PORCH_OK) goto out;
    X509 *leaf = sk_X509_value(chain, 0);
    if (ctx == NULL || X509_STORE_CTX_init(ctx, store, leaf, chain) != 1 ||
        X509_STORE_CTX_set_ex_data(ctx, 0, &late) != 1 ||
        X509_STORE_CTX_set_purpose(ctx, server ? X509_PURPOSE_SSL_SERVER : X509_PURPOSE_SSL_CLIENT) != 1) {
        e = porch_openssl_fail(why, PORCH_ERR_CRYPTO, "checking a chain");
        goto out;
    }
    X509_STORE_CTX_set_time(ctx, 0, (time_t)(now_ms / 1000));
    X509_STORE_CTX_set_verify_cb(ctx, note_time_errors);
    if (X509_verify_cert(ctx) != 1) {
        int error = X509_STORE_CTX_get_error(ctx);
        e = porch_fail(why, PORCH_ERR_AUTH, "the certificate chain is refused: %s",
                       X509_verify_cert_error_string(error));
    } else if (!porch_openssl_has_usage(leaf, server ? XKU_SSL_SERVER : XKU_SSL_CLIENT)) {
        e = porch_fail(why, PORCH_ERR_AUTH, "the certificate is not meant for a %s",
                       server ? "server" : "client");
    } else if (late) {
        e = porch_fail(why, PORCH_ERR_EXPIRED, "a certificate of the chain has ended or has not begun");
    }
out:
    X509_STORE_CTX_free(ctx);
    X509_STORE_free(store);
    sk_X509_pop_free(chain, X509_free);
    ERR_clear_error();
    return e;
}

porch_err porch_x509_covers(porch_bytes pem, const char *name_or_ip, porch_why *why) {
    X509 *cert = NULL;
    PORCH_TRY(read_one(pem, &cert, why));
    uint8_t ip[16];
    size_t ip_len = porch_openssl_ip(name_or_ip, ip);
    int rc = ip_len > 0
                 ? X509_check_ip(cert, ip, ip_len, 0)
                 : X509_check_host(
                       cert, name_or_ip, strlen(name_or_ip),
                       X509_CHECK_FLAG_NEVER_CHECK_SUBJECT | X509_CHECK_FLAG_NO_PARTIAL_WILDCARDS, NULL);
    X509_free(cert);
    ERR_clear_error();
    if (rc != 1)
        return porch_fail(why, PORCH_ERR_NOT_FOUND, "the certificate does not cover %s", name_or_ip);
    return PORCH_OK;
}

void porch_x509_fingerprint_text(const uint8_t fingerprint[32],
                                 char out[PORCH_X509_FINGERPRINT_TEXT_BYTES]) {
    static const char digits[] = "0123456789ABCDEF";
    for (size_t i = 0; i < 32; i++) {
        out[3 * i] = digits[fingerprint[i] >> 4];
        out[3 * i + 1] = digits[fingerprint[i] & 15];
        out[3 * i + 2] = i < 31 ? ':' : '\0';
    }
}

/* ---- name constraints (RFC 5280, 4.2.1.10) ---- */

static bool dns_within(const ASN1_STRING *base, const char *name) {
    const char *suffix = (const char *)ASN1_STRING_get0_data(base);
    size_t suffix_len = (size_t)ASN1_STRING_length(base), len = strlen(name);
    if (suffix_len == 0) return true;
    if (suffix_len > len || strncasecmp(name + len - suffix_len, suffix, suffix_len) != 0) return false;
    return suffix_len == len || name[len - suffix_len - 1] == '.';
}

/* The base is an address and its mask. */
static bool ip_within(const ASN1_STRING *base, const uint8_t *ip, size_t ip_len) {
    const uint8_t *at = ASN1_STRING_get0_data(base);
    if ((size_t)ASN1_STRING_length(base) != 2 * ip_len) return false;
    for (size_t i = 0; i < ip_len; i++)
        if (((at[i] ^ ip[i]) & at[ip_len + i]) != 0) return false;
    return true;
}

static bool in_trees(const STACK_OF(GENERAL_SUBTREE) * trees, const char *name, const uint8_t *ip,
                     size_t ip_len) {
    for (int i = 0; i < sk_GENERAL_SUBTREE_num(trees); i++) {
        const GENERAL_NAME *base = sk_GENERAL_SUBTREE_value(trees, i)->base;
        if (ip_len == 0 && base->type == GEN_DNS && dns_within(base->d.dNSName, name)) return true;
        if (ip_len > 0 && base->type == GEN_IPADD && ip_within(base->d.iPAddress, ip, ip_len)) return true;
    }
    return false;
}

porch_err porch_x509_permits(porch_bytes ca_pem, const char *name_or_ip, porch_why *why) {
    X509 *cert = NULL;
    uint8_t ip[16];
    PORCH_TRY(read_one(ca_pem, &cert, why));
    size_t ip_len = porch_openssl_ip(name_or_ip, ip);
    NAME_CONSTRAINTS *limits = X509_get_ext_d2i(cert, NID_name_constraints, NULL, NULL);
    bool good = limits == NULL || (in_trees(limits->permittedSubtrees, name_or_ip, ip, ip_len) &&
                                   !in_trees(limits->excludedSubtrees, name_or_ip, ip, ip_len));
    NAME_CONSTRAINTS_free(limits);
    X509_free(cert);
    ERR_clear_error();
    if (!good)
        return porch_fail(why, PORCH_ERR_NOT_FOUND, "the authority may not vouch for %s", name_or_ip);
    return PORCH_OK;
}

porch_err porch_x509_der(porch_bytes pem_or_der, porch_buf *out, porch_why *why) {
    X509 *cert = NULL;
    uint8_t *der = NULL;
    PORCH_TRY(read_one(pem_or_der, &cert, why));
    int len = i2d_X509(cert, &der);
    X509_free(cert);
    if (len <= 0) return porch_openssl_fail(why, PORCH_ERR_CRYPTO, "writing a certificate");
    porch_err e = porch_write_bytes(out, (porch_bytes){der, (size_t)len});
    OPENSSL_free(der);
    return e;
}

porch_err porch_x509_pick(porch_bytes pem, size_t index, porch_buf *out_pem, porch_why *why) {
    STACK_OF(X509) *chain = NULL;
    porch_crypto_init();
    PORCH_TRY(porch_openssl_read_chain(pem, &chain, why));
    porch_err e = PORCH_OK;
    BIO *memory = BIO_new(BIO_s_mem());
    if (index >= (size_t)sk_X509_num(chain))
        e = porch_fail(why, PORCH_ERR_NOT_FOUND, "the text holds fewer certificates");
    else if (memory == NULL || PEM_write_bio_X509(memory, sk_X509_value(chain, (int)index)) != 1)
        e = porch_openssl_fail(why, PORCH_ERR_CRYPTO, "writing a certificate");
    else
        e = porch_openssl_drain(memory, out_pem, why);
    BIO_free(memory);
    sk_X509_pop_free(chain, X509_free);
    return e;
}

static porch_err check_key(X509 *cert, porch_why *why) {
    const EVP_PKEY *key = X509_get0_pubkey(cert);
    const char *what = "of a kind that is not believed here";
    char name[128];
    if (key != NULL && EVP_PKEY_is_a(key, "RSA") == 1)
        what = porch_openssl_weak_rsa(key);
    else if (key != NULL && known_to_others(key))
        what = "known to others (a standard's example, or next to none)";
    else if (key != NULL && EVP_PKEY_is_a(key, "DSA") != 1 && EVP_PKEY_get_security_bits(key) >= 112)
        what = NULL;
    if (what == NULL) return PORCH_OK;
    name_text(X509_get_subject_name(cert), name, sizeof name);
    return porch_fail(why, PORCH_ERR_UNSUPPORTED, "the key of the certificate %.80s is weak: %s", name,
                      what);
}

porch_err porch_x509_check_keys(porch_bytes pem_or_der, porch_why *why) {
    STACK_OF(X509) *chain = NULL;
    X509 *one = NULL;
    porch_err e = PORCH_OK;
    porch_crypto_init();
    if (pem_or_der.len > 0 && pem_or_der.at[0] == 0x30) {
        PORCH_TRY(read_one(pem_or_der, &one, why));
        e = check_key(one, why);
        X509_free(one);
        return e;
    }
    PORCH_TRY(porch_openssl_read_chain(pem_or_der, &chain, why));
    for (int i = 0; i < sk_X509_num(chain) && e == PORCH_OK; i++)
        e = check_key(sk_X509_value(chain, i), why);
    sk_X509_pop_free(chain, X509_free);
    ERR_clear_error();
    return e;
}

static porch_err judge_issuing(X509_STORE_CTX *ctx, X509 *cert, uint64_t now_ms, porch_why *why) {
    if (now_ms == PORCH_X509_ANY_TIME)
        X509_STORE_CTX_set_flags(ctx, X509_V_FLAG_NO_CHECK_TIME);
    else
        X509_STORE_CTX_set_time(ctx, 0, (time_t)(now_ms / 1000));
    X509_VERIFY_PARAM_set_auth_level(X509_STORE_CTX_get0_param(ctx), 2);
    if (X509_verify_cert(ctx) != 1) {
        int error = X509_STORE_CTX_get_error(ctx);
        bool late = error == X509_V_ERR_CERT_HAS_EXPIRED || error == X509_V_ERR_CERT_NOT_YET_VALID;
        return porch_fail(why, late ? PORCH_ERR_EXPIRED : PORCH_ERR_AUTH,
                          "this hub's root does not vouch for it: %s",
                          X509_verify_cert_error_string(error));
    }
    if (X509_check_ca(cert) != 1 || (X509_get_key_usage(cert) & X509v3_KU_KEY_CERT_SIGN) == 0 ||
        X509_get_pathlen(cert) != 0)
        return porch_fail(
            why, PORCH_ERR_AUTH,
            "it is not the certificate of an authority with none below it (CA:TRUE, pathlen:0, "
            "keyCertSign)");
    return PORCH_OK;
}

porch_err porch_x509_check_issuing(porch_bytes pem, porch_bytes root_pem, uint64_t now_ms, porch_why *why) {
    X509 *cert = NULL;
    X509_STORE *store = NULL;
    PORCH_TRY(read_one(pem, &cert, why));
    porch_err e = porch_openssl_store(root_pem, &store, why);
    X509_STORE_CTX *ctx = X509_STORE_CTX_new();
    if (e == PORCH_OK && (ctx == NULL || X509_STORE_CTX_init(ctx, store, cert, NULL) != 1))
        e = porch_openssl_fail(why, PORCH_ERR_CRYPTO, "checking an issuer");
    if (e == PORCH_OK) e = judge_issuing(ctx, cert, now_ms, why);
    if (e == PORCH_OK) e = check_key(cert, why);
    X509_STORE_CTX_free(ctx);
    X509_STORE_free(store);
    X509_free(cert);
    ERR_clear_error();
    return e;
}
