/* Certificates read, requests made and checked, certificates issued.
 *
 *   root (offline) ─► issuing CA (signer) ─┬► device, service: SAN URI, clientAuth only, empty subject
 *                                          └► hub server:      SAN DNS/IP, serverAuth only
 *   web CA (self-signed, critically name-constrained) ─► web server: SAN DNS/IP, serverAuth only
 *
 * Times are Unix milliseconds; certificates hold whole seconds (rounded down). PEM out is appended to the
 * caller's buffer (PORCH_X509_PEM_BYTES always suffices for one certificate). `why` may be NULL.
 * Profile: RFC 5280. All functions are thread-safe. */
#ifndef PORCH_CRYPTO_X509_H
#define PORCH_CRYPTO_X509_H

#include "crypto/identity.h"
#include "crypto/keystore.h"

#define PORCH_X509_PEM_BYTES   8192
#define PORCH_X509_INPUT_BYTES 65536 /* longer input is refused unread */

typedef struct {
    porch_identity identity;     /* NONE unless there is exactly one SAN URI and it is one of ours */
    uint8_t fingerprint[32];     /* SHA-256 of the DER */
    uint8_t public_key_hash[32]; /* SHA-256 of the SubjectPublicKeyInfo: the same after renewal with the
                                    same key */
    char serial[65];             /* lower-case hex */
    uint64_t not_before_ms;
    uint64_t not_after_ms;
    bool has_common_name;
    bool is_ca;
    bool client_auth; /* the usage is named: a certificate without extended key usage has neither */
    bool server_auth;
    bool weak_key;       /* of a curve, and known to others as porch_key_is_weak says */
    char factory_id[65]; /* the subject's serialNumber, else its common name, when that is an id; else "" */
    char subject[128];   /* for people only, cut when long: RFC 2253 text */
    char issuer[128];
} porch_x509_info;

/* The first certificate of a PEM text, or one in DER with nothing after it. */
porch_err porch_x509_read(porch_bytes pem_or_der, porch_x509_info *ret, porch_why *why);
/* A fingerprint as people compare it: "AB:CD:..." in 95 characters. */
#define PORCH_X509_FINGERPRINT_TEXT_BYTES 96
void porch_x509_fingerprint_text(const uint8_t fingerprint[32],
                                 char out[PORCH_X509_FINGERPRINT_TEXT_BYTES]);
/* Are they pairs? STATE when not. */
porch_err porch_x509_check_key(porch_bytes pem, const porch_key *key, porch_why *why);
/* Does the chain (leaf first) end at one of `ca_pem` at `now_ms`, with the usage (server or client)? AUTH
 * with the reason when not, EXPIRED when only time is the reason. */
porch_err porch_x509_verify(porch_bytes chain_pem, porch_bytes ca_pem, bool server, uint64_t now_ms,
                            porch_why *why);
/* Does the certificate cover this DNS name or IP address? NOT_FOUND when not. */
porch_err porch_x509_covers(porch_bytes pem, const char *name_or_ip, porch_why *why);

/* May this authority vouch for the name, as far as its name constraints go? NOT_FOUND when not. */
porch_err porch_x509_permits(porch_bytes ca_pem, const char *name_or_ip, porch_why *why);
/* Appends the certificate at `index` of a PEM text as PEM; NOT_FOUND when it has fewer. */
porch_err porch_x509_pick(porch_bytes pem, size_t index, porch_buf *out_pem, porch_why *why);
/* May this authority issue below one of `root_pem` at `now_ms`: signed by it, a CA for certificates, with
 * none below it? AUTH with the reason, EXPIRED. PORCH_X509_ANY_TIME asks for no time. */
#define PORCH_X509_ANY_TIME UINT64_MAX
porch_err porch_x509_check_issuing(porch_bytes pem, porch_bytes root_pem, uint64_t now_ms, porch_why *why);
/* Appends the first certificate in DER. */
porch_err porch_x509_der(porch_bytes pem_or_der, porch_buf *out, porch_why *why);

/* A PKCS#10 request (RFC 2986) with empty subject and no attributes: the hub decides what goes in. */
porch_err porch_csr_make(const porch_key *key, porch_buf *out_pem, porch_why *why);
/* The same with a challengePassword (RFC 2985, 5.4.1): printable text of at most 128 characters. */
porch_err porch_csr_make_bound(const porch_key *key, const char *challenge, porch_buf *out_pem,
                               porch_why *why);
/* One request in PEM or DER. Its signature is checked (proof of possession: SIGNATURE); keys other than
 * P-256, P-384 and Ed25519, and those that others are known to have, are UNSUPPORTED; subject and
 * wished-for extensions are ignored. */
porch_err porch_csr_read(porch_bytes pem_or_der, porch_public_key *ret, porch_why *why);

/* The request's challengePassword (RFC 2985, 5.4.1) as text; NOT_FOUND when it has none, MALFORMED when it
 * does not fit or is no printable text. */
#define PORCH_CSR_CHALLENGE_BYTES 129
porch_err porch_csr_challenge(porch_bytes pem_or_der, char out[PORCH_CSR_CHALLENGE_BYTES], porch_why *why);
/* Is the private half of it known to everybody, as far as anybody can tell from a list? */
bool porch_key_is_weak(const porch_public_key *key);

/* Is the key of every certificate of a PEM text, or of the one in DER, worth believing? UNSUPPORTED with
 * the reason: known to others as above, RSA that is too short or can be taken apart, or of a kind that
 * nobody here uses. */
porch_err porch_x509_check_keys(porch_bytes pem_or_der, porch_why *why);

/* Appends the certificates of a PEM text as PKCS#7 certs-only in DER, for EST. */
porch_err porch_x509_bundle(porch_bytes chain_pem, porch_buf *out_der, porch_why *why);
/* The way back, for devices: appends the bundle's certificates as PEM, the one that is no authority's first
 * (there must be exactly one), and nothing more than PORCH_X509_BUNDLE_MOST of them. MALFORMED. */
enum { PORCH_X509_BUNDLE_MOST = 8 };
porch_err porch_x509_unbundle(porch_bytes der, porch_buf *out_pem, porch_why *why);

/* An issuer: its certificate and key. */
typedef struct {
    porch_bytes cert_pem;
    const porch_key *key;
} porch_ca;

#define PORCH_CA_MAX_NAMES 16

/* DNS names (letters, digits, '-' in labels; no wildcard) or IP addresses in text. */
typedef struct {
    const char *name[PORCH_CA_MAX_NAMES];
    size_t count;
} porch_ca_names;

/* A self-signed root for devices: may have one CA below it. */
porch_err porch_ca_make_root(const char *name, const porch_key *key, uint64_t from_ms, unsigned years,
                             porch_buf *out_pem, porch_why *why);
/* An issuing CA under a root: may have none below it. */
porch_err porch_ca_make_issuing(const porch_ca *root, const char *name, const porch_public_key *subject,
                                uint64_t from_ms, unsigned years, porch_buf *out_pem, porch_why *why);
/* A self-signed CA for browsers, serverAuth only, critically constrained to exactly these names: whatever
 * kind (DNS, IPv4, IPv6) is not among them is excluded whole, since an unnamed kind would be unconstrained.
 */
porch_err porch_ca_make_web(const char *name, const porch_key *key, const porch_ca_names *names,
                            uint64_t from_ms, unsigned years, porch_buf *out_pem, porch_why *why);

typedef enum {
    PORCH_PROFILE_DEVICE = 1,
    PORCH_PROFILE_SERVICE,
    PORCH_PROFILE_HUB_SERVER,
    PORCH_PROFILE_WEB_SERVER
} porch_profile;

typedef struct {
    porch_profile profile;
    const char *id;       /* DEVICE, SERVICE: the id or name */
    porch_ca_names names; /* HUB_SERVER, WEB_SERVER: at least one */
    uint64_t not_before_ms;
    uint64_t not_after_ms; /* not after the issuer's end: LIMIT */
} porch_ca_request;

/* Appends the leaf in PEM (the issuer's certificate is not repeated). Serial: 127 random bits. */
porch_err porch_ca_issue(const porch_ca *issuer, const porch_public_key *subject,
                         const porch_ca_request *request, porch_buf *out_pem, porch_why *why);

#endif
