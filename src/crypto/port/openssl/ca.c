/* Certificates issued. Every kind is a row of what goes in; one function builds them all, and what was
 * built is verified against its issuer before it leaves: a certificate that a strict peer would refuse is
 * our fault, and shows here. */
#include "crypto/x509.h"

#include <string.h>
#include <time.h>

#include <openssl/err.h>
#include <openssl/pem.h>
#include <openssl/x509v3.h>

#include "crypto/port/openssl/openssl.h"
#include "crypto/random.h"
#include "crypto/sha256.h"

#define YEAR_MS UINT64_C(31556952000)

/* What to build. The issuer is NULL for a self-signed certificate. */
typedef struct {
    const char *common_name; /* NULL: empty subject */
    bool is_ca;
    long path_length;
    int usage_nid; /* extended key usage; NID_undef: none */
    const porch_identity *identity;
    const porch_ca_names *names;     /* subject alternative names */
    const porch_ca_names *permitted; /* name constraints */
    uint64_t not_before_ms, not_after_ms;
} blueprint;

/* Names. */

/* A host name as in RFC 1123: labels of letters, digits and '-', the last not all digits (that would be a
 * malformed address). */
static bool dns_name_valid(const char *name) {
    size_t len = strlen(name), label = 0;
    if (len == 0 || len > 253) return false;
    bool digits_only = true;
    for (size_t i = 0; i <= len; i++) {
        char c = name[i];
        if (c == '.' || c == '\0') {
            if (label == 0 || label > 63 || name[i - 1] == '-') return false;
            if (c == '\0') return !digits_only;
            label = 0;
            digits_only = true;
            continue;
        }
        bool digit = c >= '0' && c <= '9', letter = (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z');
        if (!digit && !letter && (c != '-' || label == 0)) return false;
        if (!digit) digits_only = false;
        label++;
    }
    return false;
}

/* A general name of `type` over bytes; for addresses in constraints the mask follows the address. */
static GENERAL_NAME *general_name(int type, const void *at, size_t len) {
    GENERAL_NAME *name = GENERAL_NAME_new();
    ASN1_STRING *text = type == GEN_IPADD ? ASN1_OCTET_STRING_new() : ASN1_IA5STRING_new();
    if (name == NULL || text == NULL || ASN1_STRING_set(text, len > 0 ? at : "", (int)len) != 1) {
        GENERAL_NAME_free(name);
        ASN1_STRING_free(text);
        return NULL;
    }
    GENERAL_NAME_set0_value(name, type, text);
    return name;
}

static porch_err check_names(const porch_ca_names *names, porch_why *why) {
    if (names->count == 0 || names->count > PORCH_CA_MAX_NAMES)
        return porch_fail(why, PORCH_ERR_LIMIT, "a server's certificate has 1 to %d names",
                          PORCH_CA_MAX_NAMES);
    for (size_t i = 0; i < names->count; i++) {
        uint8_t ip[16];
        if (porch_openssl_ip(names->name[i], ip) == 0 && !dns_name_valid(names->name[i]))
            return porch_fail(why, PORCH_ERR_MALFORMED, "%.80s is neither a host name nor an IP address",
                              names->name[i]);
    }
    return PORCH_OK;
}

/* Extensions. Each returns false when the library refuses (out of memory). */

static bool add_extension(X509 *cert, int nid, void *value, bool critical) {
    return value != NULL && X509_add1_ext_i2d(cert, nid, value, critical ? 1 : 0, X509V3_ADD_DEFAULT) == 1;
}

static bool add_basic_constraints(X509 *cert, const blueprint *b) {
    BASIC_CONSTRAINTS *value = BASIC_CONSTRAINTS_new();
    bool good = value != NULL;
    if (good && b->is_ca) {
        value->ca = 0xff;
        value->pathlen = ASN1_INTEGER_new();
        good = value->pathlen != NULL && ASN1_INTEGER_set(value->pathlen, b->path_length) == 1;
    }
    good = good && add_extension(cert, NID_basic_constraints, value, true);
    BASIC_CONSTRAINTS_free(value);
    return good;
}

static bool add_key_usage(X509 *cert, const blueprint *b) {
    enum { DIGITAL_SIGNATURE = 0, KEY_CERT_SIGN = 5, CRL_SIGN = 6 }; /* RFC 5280, 4.2.1.3 */
    ASN1_BIT_STRING *value = ASN1_BIT_STRING_new();
    bool good = value != NULL;
    if (good && b->is_ca) {
        good = ASN1_BIT_STRING_set_bit(value, KEY_CERT_SIGN, 1) == 1 &&
               ASN1_BIT_STRING_set_bit(value, CRL_SIGN, 1) == 1;
    } else if (good) {
        good = ASN1_BIT_STRING_set_bit(value, DIGITAL_SIGNATURE, 1) == 1;
    }
    good = good && add_extension(cert, NID_key_usage, value, true);
    ASN1_BIT_STRING_free(value);
    return good;
}

static bool add_extended_usage(X509 *cert, int nid) {
    EXTENDED_KEY_USAGE *value = EXTENDED_KEY_USAGE_new();
    bool good = value != NULL && sk_ASN1_OBJECT_push(value, OBJ_nid2obj(nid)) > 0;
    good = good && add_extension(cert, NID_ext_key_usage, value, false);
    EXTENDED_KEY_USAGE_free(value);
    return good;
}

static ASN1_OCTET_STRING *key_identifier(const porch_public_key *key) {
    uint8_t digest[32];
    porch_sha256((porch_bytes){key->der, key->len}, digest);
    ASN1_OCTET_STRING *id = ASN1_OCTET_STRING_new();
    if (id != NULL && ASN1_OCTET_STRING_set(id, digest, 20) != 1) {
        ASN1_OCTET_STRING_free(id);
        return NULL;
    }
    return id;
}

static bool add_key_identifiers(X509 *cert, X509 *issuer, const porch_public_key *subject) {
    ASN1_OCTET_STRING *id = key_identifier(subject);
    AUTHORITY_KEYID *value = AUTHORITY_KEYID_new();
    const ASN1_OCTET_STRING *above = issuer != NULL ? X509_get0_subject_key_id(issuer) : id;
    bool good = value != NULL && above != NULL &&
                add_extension(cert, NID_subject_key_identifier, id, false) &&
                (value->keyid = ASN1_OCTET_STRING_dup(above)) != NULL &&
                add_extension(cert, NID_authority_key_identifier, value, false);
    ASN1_OCTET_STRING_free(id);
    AUTHORITY_KEYID_free(value);
    return good;
}

/* Critical, since the subject is empty (RFC 5280, 4.1.2.6). */
static bool add_alternative_names(X509 *cert, const blueprint *b) {
    GENERAL_NAMES *value = GENERAL_NAMES_new();
    bool good = value != NULL;
    if (good && b->identity != NULL) {
        char uri[PORCH_IDENTITY_URI_BYTES];
        GENERAL_NAME *name = NULL;
        if (porch_identity_uri(b->identity, uri) == PORCH_OK)
            name = general_name(GEN_URI, uri, strlen(uri));
        good = name != NULL && sk_GENERAL_NAME_push(value, name) > 0;
    }
    for (size_t i = 0; good && b->names != NULL && i < b->names->count; i++) {
        uint8_t ip[16];
        const char *text = b->names->name[i];
        size_t ip_len = porch_openssl_ip(text, ip);
        GENERAL_NAME *name =
            ip_len > 0 ? general_name(GEN_IPADD, ip, ip_len) : general_name(GEN_DNS, text, strlen(text));
        good = name != NULL && sk_GENERAL_NAME_push(value, name) > 0;
    }
    good = good && add_extension(cert, NID_subject_alt_name, value, true);
    GENERAL_NAMES_free(value);
    return good;
}

static bool add_subtree(STACK_OF(GENERAL_SUBTREE) * *list, GENERAL_NAME *base) {
    GENERAL_SUBTREE *tree = GENERAL_SUBTREE_new();
    if (*list == NULL) *list = sk_GENERAL_SUBTREE_new_null();
    if (base == NULL || tree == NULL || *list == NULL || sk_GENERAL_SUBTREE_push(*list, tree) <= 0) {
        GENERAL_SUBTREE_free(tree);
        GENERAL_NAME_free(base);
        return false;
    }
    GENERAL_NAME_free(tree->base);
    tree->base = base;
    return true;
}

/* RFC 5280, 4.2.1.10: a kind of name without any subtree would be free, so the kinds that are not permitted
 * are excluded whole: every DNS name by the empty one, every address by a mask of zero length. */
static bool add_name_constraints(X509 *cert, const porch_ca_names *permitted) {
    NAME_CONSTRAINTS *value = NAME_CONSTRAINTS_new();
    bool good = value != NULL, has_dns = false, has_v4 = false, has_v6 = false;
    for (size_t i = 0; good && i < permitted->count; i++) {
        uint8_t ip[32];
        const char *text = permitted->name[i];
        size_t ip_len = porch_openssl_ip(text, ip);
        if (ip_len > 0) memset(ip + ip_len, 0xff, ip_len);
        has_v4 = has_v4 || ip_len == 4;
        has_v6 = has_v6 || ip_len == 16;
        has_dns = has_dns || ip_len == 0;
        good =
            add_subtree(&value->permittedSubtrees, ip_len > 0 ? general_name(GEN_IPADD, ip, 2 * ip_len)
                                                              : general_name(GEN_DNS, text, strlen(text)));
    }
    static const uint8_t zeros[32];
    if (good && !has_dns) good = add_subtree(&value->excludedSubtrees, general_name(GEN_DNS, "", 0));
    if (good && !has_v4) good = add_subtree(&value->excludedSubtrees, general_name(GEN_IPADD, zeros, 8));
    if (good && !has_v6) good = add_subtree(&value->excludedSubtrees, general_name(GEN_IPADD, zeros, 32));
    good = good && add_extension(cert, NID_name_constraints, value, true);
    NAME_CONSTRAINTS_free(value);
    return good;
}

/* Building. */

static bool set_time(ASN1_TIME *t, uint64_t ms) {
    return ASN1_TIME_set(t, (time_t)(ms / 1000)) != NULL;
}

static bool set_serial(X509 *cert) {
    uint8_t raw[16];
    porch_random(raw, sizeof raw);
    raw[0] = (uint8_t)((raw[0] & 0x3f) | 0x40); /* positive, and always of the same length */
    BIGNUM *number = BN_bin2bn(raw, sizeof raw, NULL);
    bool good = number != NULL && BN_to_ASN1_INTEGER(number, X509_get_serialNumber(cert)) != NULL;
    BN_free(number);
    return good;
}

static bool set_names(X509 *cert, const X509 *issuer, const blueprint *b) {
    X509_NAME *subject = X509_get_subject_name(cert);
    if (b->common_name != NULL &&
        X509_NAME_add_entry_by_NID(subject, NID_commonName, MBSTRING_UTF8, (const uint8_t *)b->common_name,
                                   -1, -1, 0) != 1)
        return false;
    return X509_set_issuer_name(cert, issuer != NULL ? X509_get_subject_name(issuer) : subject) == 1;
}

static bool fill(X509 *cert, X509 *issuer, const porch_key *key, const porch_public_key *subject,
                 const blueprint *b) {
    EVP_PKEY *public_key = porch_openssl_public(subject);
    bool good = public_key != NULL && X509_set_version(cert, X509_VERSION_3) == 1 && set_serial(cert) &&
                set_names(cert, issuer, b) && set_time(X509_getm_notBefore(cert), b->not_before_ms) &&
                set_time(X509_getm_notAfter(cert), b->not_after_ms) &&
                X509_set_pubkey(cert, public_key) == 1 && add_basic_constraints(cert, b) &&
                add_key_usage(cert, b) &&
                (b->usage_nid == NID_undef || add_extended_usage(cert, b->usage_nid)) &&
                add_key_identifiers(cert, issuer, subject) &&
                ((b->identity == NULL && b->names == NULL) || add_alternative_names(cert, b)) &&
                (b->permitted == NULL || add_name_constraints(cert, b->permitted));
    EVP_PKEY_free(public_key);
    X509_ALGOR *algorithm = porch_openssl_algorithm(key->kind);
    if (good && algorithm != NULL)
        good = X509_ALGOR_copy((X509_ALGOR *)X509_get0_tbs_sigalg(cert), algorithm) == 1;
    else
        good = false;
    X509_ALGOR_free(algorithm);
    return good;
}

/* Would a strict peer that trusts `anchor` take it? */
static porch_err check_made(X509 *cert, X509 *anchor, const blueprint *b, porch_why *why) {
    X509_STORE *store = X509_STORE_new();
    X509_STORE_CTX *ctx = X509_STORE_CTX_new();
    porch_err e = PORCH_OK;
    if (store == NULL || ctx == NULL || X509_STORE_add_cert(store, anchor) != 1 ||
        X509_STORE_set_flags(store, X509_V_FLAG_X509_STRICT | X509_V_FLAG_PARTIAL_CHAIN) != 1 ||
        X509_STORE_CTX_init(ctx, store, cert, NULL) != 1) {
        e = porch_openssl_fail(why, PORCH_ERR_CRYPTO, "checking a new certificate");
        goto out;
    }
    uint64_t begin = 0;
    (void)porch_openssl_time_ms(X509_get0_notBefore(anchor), &begin);
    if (begin < b->not_before_ms) begin = b->not_before_ms;
    if (b->not_after_ms < begin) /* both are never valid at once: all but time is checked */
        X509_STORE_CTX_set_flags(ctx, X509_V_FLAG_NO_CHECK_TIME);
    else
        X509_STORE_CTX_set_time(ctx, 0, (time_t)(begin / 1000));
    if (b->usage_nid != NID_undef && !b->is_ca)
        (void)X509_STORE_CTX_set_purpose(ctx, b->usage_nid == NID_client_auth ? X509_PURPOSE_SSL_CLIENT
                                                                              : X509_PURPOSE_SSL_SERVER);
    if (X509_verify_cert(ctx) != 1)
        e = porch_fail(why, PORCH_ERR_STATE, "the issuer cannot issue that: %s",
                       X509_verify_cert_error_string(X509_STORE_CTX_get_error(ctx)));
out:
    X509_STORE_CTX_free(ctx);
    X509_STORE_free(store);
    ERR_clear_error();
    return e;
}

static porch_err build(X509 *issuer, const porch_key *key, const porch_public_key *subject,
                       const blueprint *b, porch_buf *out_pem, porch_why *why) {
    uint8_t *tbs = NULL, *der = NULL;
    size_t der_len = 0;
    X509 *draft = X509_new(), *made = NULL;
    BIO *memory = BIO_new(BIO_s_mem());
    porch_err e = PORCH_OK;
    int tbs_len = -1;
    if (b->not_after_ms <= b->not_before_ms) {
        e = porch_fail(why, PORCH_ERR_USAGE, "a certificate cannot end before it begins");
        goto out;
    }
    if (draft != NULL && memory != NULL && fill(draft, issuer, key, subject, b))
        tbs_len = i2d_re_X509_tbs(draft, &tbs);
    if (tbs_len <= 0) {
        e = porch_openssl_fail(why, PORCH_ERR_CRYPTO, "making a certificate");
        goto out;
    }
    e = porch_openssl_wrap_signed((porch_bytes){tbs, (size_t)tbs_len}, key, &der, &der_len, why);
    if (e != PORCH_OK) goto out;
    const uint8_t *at = der;
    made = d2i_X509(NULL, &at, (long)der_len);
    if (made == NULL) {
        e = porch_openssl_fail(why, PORCH_ERR_CRYPTO, "reading back a new certificate");
        goto out;
    }
    e = check_made(made, issuer != NULL ? issuer : made, b, why);
    if (e != PORCH_OK) goto out;
    if (PEM_write_bio_X509(memory, made) != 1)
        e = porch_openssl_fail(why, PORCH_ERR_CRYPTO, "writing a certificate");
    else
        e = porch_openssl_drain(memory, out_pem, why);
out:
    OPENSSL_free(tbs);
    OPENSSL_free(der);
    BIO_free(memory);
    X509_free(draft);
    X509_free(made);
    return e;
}

/* The issuer's certificate, after checking that it is a CA, fits its key and outlives what it shall issue.
 */
static porch_err open_issuer(const porch_ca *ca, uint64_t not_after_ms, X509 **ret, porch_why *why) {
    porch_x509_info info;
    STACK_OF(X509) *chain = NULL;
    PORCH_TRY(porch_x509_read(ca->cert_pem, &info, why));
    PORCH_TRY(porch_x509_check_key(ca->cert_pem, ca->key, why));
    if (!info.is_ca) return porch_fail(why, PORCH_ERR_STATE, "the issuer's certificate is not one of a CA");
    if (not_after_ms / 1000 > info.not_after_ms / 1000)
        return porch_fail(why, PORCH_ERR_LIMIT,
                          "the certificate would outlive its issuer; renew the issuer first");
    PORCH_TRY(porch_openssl_read_chain(ca->cert_pem, &chain, why));
    *ret = sk_X509_shift(chain);
    sk_X509_pop_free(chain, X509_free);
    return PORCH_OK;
}

static porch_err check_ca_name(const char *name, unsigned years, porch_why *why) {
    size_t len = strlen(name);
    if (len == 0 || len > 64) return porch_fail(why, PORCH_ERR_LIMIT, "a CA's name has 1 to 64 bytes");
    if (years == 0 || years > 50) return porch_fail(why, PORCH_ERR_LIMIT, "a CA lives 1 to 50 years");
    return PORCH_OK;
}

porch_err porch_ca_make_root(const char *name, const porch_key *key, uint64_t from_ms, unsigned years,
                             porch_buf *out_pem, porch_why *why) {
    porch_crypto_init();
    porch_public_key own;
    PORCH_TRY(check_ca_name(name, years, why));
    PORCH_TRY(porch_key_public(key, &own, why));
    const blueprint b = {.common_name = name,
                         .is_ca = true,
                         .path_length = 1,
                         .usage_nid = NID_undef,
                         .not_before_ms = from_ms,
                         .not_after_ms = from_ms + years * YEAR_MS};
    return build(NULL, key, &own, &b, out_pem, why);
}

porch_err porch_ca_make_issuing(const porch_ca *root, const char *name, const porch_public_key *subject,
                                uint64_t from_ms, unsigned years, porch_buf *out_pem, porch_why *why) {
    porch_crypto_init();
    X509 *issuer = NULL;
    PORCH_TRY(check_ca_name(name, years, why));
    const blueprint b = {.common_name = name,
                         .is_ca = true,
                         .path_length = 0,
                         .usage_nid = NID_undef,
                         .not_before_ms = from_ms,
                         .not_after_ms = from_ms + years * YEAR_MS};
    PORCH_TRY(open_issuer(root, b.not_after_ms, &issuer, why));
    porch_err e = build(issuer, root->key, subject, &b, out_pem, why);
    X509_free(issuer);
    return e;
}

porch_err porch_ca_make_web(const char *name, const porch_key *key, const porch_ca_names *names,
                            uint64_t from_ms, unsigned years, porch_buf *out_pem, porch_why *why) {
    porch_crypto_init();
    porch_public_key own;
    PORCH_TRY(check_ca_name(name, years, why));
    PORCH_TRY(check_names(names, why));
    PORCH_TRY(porch_key_public(key, &own, why));
    const blueprint b = {.common_name = name,
                         .is_ca = true,
                         .path_length = 0,
                         .usage_nid = NID_server_auth,
                         .permitted = names,
                         .not_before_ms = from_ms,
                         .not_after_ms = from_ms + years * YEAR_MS};
    return build(NULL, key, &own, &b, out_pem, why);
}

porch_err porch_ca_issue(const porch_ca *issuer, const porch_public_key *subject,
                         const porch_ca_request *request, porch_buf *out_pem, porch_why *why) {
    porch_crypto_init();
    porch_identity identity;
    blueprint b = {.not_before_ms = request->not_before_ms, .not_after_ms = request->not_after_ms};
    switch (request->profile) {
    case PORCH_PROFILE_DEVICE:
    case PORCH_PROFILE_SERVICE: {
        porch_identity_kind kind =
            request->profile == PORCH_PROFILE_DEVICE ? PORCH_IDENTITY_DEVICE : PORCH_IDENTITY_SERVICE;
        porch_err e = porch_identity_make(kind, porch_bytes_of(request->id), &identity);
        if (e != PORCH_OK)
            return porch_fail(why, e,
                              "an id has 1 to 64 lower-case letters, digits and '-', and begins with a "
                              "letter or digit");
        b.identity = &identity;
        b.usage_nid = NID_client_auth;
        break;
    }
    case PORCH_PROFILE_HUB_SERVER:
    case PORCH_PROFILE_WEB_SERVER:
        PORCH_TRY(check_names(&request->names, why));
        b.names = &request->names;
        b.usage_nid = NID_server_auth;
        break;
    default:
        return porch_fail(why, PORCH_ERR_USAGE, "there is no such certificate profile");
    }
    X509 *cert = NULL;
    PORCH_TRY(open_issuer(issuer, b.not_after_ms, &cert, why));
    porch_err e = build(cert, issuer->key, subject, &b, out_pem, why);
    X509_free(cert);
    return e;
}
