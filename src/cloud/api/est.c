/* Enrolment over Secure Transport (RFC 7030, RFC 8951), below /.well-known/est/ on the devices' port.
 *
 *   GET  cacerts         root and issuing authority, PKCS#7 certs-only in base64
 *   GET  csrattrs        what a request should look like
 *   POST simpleenroll    with a claim token (HTTP Basic), with a factory's certificate, or with both
 *   POST simplereenroll  with the certificate that is to be renewed, also when it has ended
 *
 * Who the device is comes from the registry and from what authenticated the call; the request gives its
 * key, proof of it, and at most the channel binding. */
#include "cloud/api/est.h"

#include <stdlib.h>
#include <string.h>

#include "base/text.h"
#include "cloud/api/attestation.h"
#include "cloud/api/turns.h"
#include "crypto/random.h"
#include "crypto/sha256.h"
#include "os/clock.h"
#include "os/file.h"
#include "os/log.h"
#include "wire/est.h"
#include "wire/signed_time.h"

enum {
    PATH_BYTES = 4096,
    PEM_MOST = 65536,
    DER_MOST = 16384,
    BODY_BYTES = 2 * DER_MOST,
    MAKERS_MOST = 64 /* est.tpm_cas allows no more */
};

#define PKCS7_TYPE "application/pkcs7-mime; smime-type=certs-only"

/* ---- answers ------------------------------------------------------------------------------------ */

static const struct {
    porch_err error;
    int status;
    const char *slug;
} refusals[] = {
    {PORCH_ERR_MALFORMED, 400, "malformed"},
    {PORCH_ERR_SIGNATURE, 400, "no-proof-of-possession"},
    {PORCH_ERR_UNSUPPORTED, 400, "unfit-key"},
    {PORCH_ERR_AUTH, 401, "unauthenticated"},
    {PORCH_ERR_DENIED, 403, "denied"},
    {PORCH_ERR_EXPIRED, 403, "expired"},
    {PORCH_ERR_REVOKED, 403, "revoked"},
    {PORCH_ERR_STATE, 403, "not-yet-valid"},
    {PORCH_ERR_NOT_FOUND, 404, "not-found"},
    {PORCH_ERR_EXISTS, 409, "exists"},
    {PORCH_ERR_LIMIT, 413, "too-large"},
    {PORCH_ERR_BUSY, 503, "try-again"},
    {PORCH_ERR_CHILD, 503, "try-again"},
    {PORCH_ERR_TIMEOUT, 503, "try-again"},
    {PORCH_ERR_FULL, 507, "full"},
};

static void refuse(porch_http_exchange *x, porch_err e, const porch_why *why) {
    int status = 500;
    const char *slug = "internal";
    for (size_t i = 0; i < sizeof refusals / sizeof refusals[0]; i++) {
        if (refusals[i].error != e) continue;
        status = refusals[i].status;
        slug = refusals[i].slug;
    }
    if (status == 401)
        (void)porch_http_reply_header(x, "WWW-Authenticate",
                                      "Basic realm=\"claim token\", charset=\"UTF-8\"");
    if (status == 503) (void)porch_http_reply_header(x, "Retry-After", "2");
    if (status == 500)
        porch_log(PORCH_LOG_ERROR, "est.failed", "path", porch_http_path(x), "error", porch_err_name(e),
                  "reason", porch_why_text(why, e), NULL);
    (void)porch_http_problem(x, status, slug,
                             status == 500 ? "the hub could not issue a certificate; its log says why"
                                           : porch_why_text(why, e));
}

/* DER in base64, as every body here is. */
static void reply_der(porch_http_exchange *x, const char *type, porch_bytes der) {
    porch_buf text = {malloc(BODY_BYTES), 0, BODY_BYTES};
    porch_err e = text.at == NULL ? PORCH_ERR_NO_SPACE : porch_est_body_write(der, &text);
    if (e != PORCH_OK) {
        refuse(x, e, NULL);
    } else {
        (void)porch_http_reply_header(x, "Content-Transfer-Encoding", "base64");
        (void)porch_http_reply_header(x, "Cache-Control", "no-store");
        (void)porch_http_reply(x, 200, type, porch_buf_bytes(&text));
    }
    free(text.at);
}

static porch_err reply_chain(porch_http_exchange *x, porch_bytes chain_pem, porch_why *why) {
    porch_buf der = {malloc(DER_MOST), 0, DER_MOST};
    porch_err e = der.at == NULL ? PORCH_ERR_NO_SPACE : porch_x509_bundle(chain_pem, &der, why);
    if (e == PORCH_OK) reply_der(x, PKCS7_TYPE, porch_buf_bytes(&der));
    free(der.at);
    return e;
}

/* ---- what everybody may know -------------------------------------------------------------------- */

static porch_err append_file(const char *dir, const char *name, porch_buf *out, porch_why *why) {
    char path[PATH_BYTES];
    uint8_t *pem = NULL;
    size_t len = 0;
    PORCH_TRY(porch_path_join(dir, name, path, sizeof path));
    PORCH_TRY(porch_file_read(path, PEM_MOST, &pem, &len, why));
    porch_err e = porch_write_bytes(out, (porch_bytes){pem, len});
    free(pem);
    return e;
}

static void on_cacerts(porch_http_exchange *x) {
    const porch_api *api = porch_http_route_ctx(x);
    porch_why why = {""};
    porch_buf pem = {malloc(PEM_MOST), 0, PEM_MOST};
    porch_err e = pem.at == NULL ? PORCH_ERR_NO_SPACE : PORCH_OK;
    if (e == PORCH_OK) e = append_file(api->dir, "tls/issuing.pem", &pem, &why);
    if (e == PORCH_OK) e = append_file(api->dir, "tls/device-root.pem", &pem, &why);
    if (e == PORCH_OK) e = reply_chain(x, porch_buf_bytes(&pem), &why);
    if (e != PORCH_OK) refuse(x, e, &why);
    free(pem.at);
}

/* RFC 7030, 4.5.2: { ecPublicKey: prime256v1 }, ecdsa-with-SHA256, challengePassword. */
static const uint8_t CSR_ATTRIBUTES[] = {
    0x30, 0x2c, 0x30, 0x15, 0x06, 0x07, 0x2a, 0x86, 0x48, 0xce, 0x3d, 0x02, 0x01, 0x31, 0x0a, 0x06,
    0x08, 0x2a, 0x86, 0x48, 0xce, 0x3d, 0x03, 0x01, 0x07, 0x06, 0x08, 0x2a, 0x86, 0x48, 0xce, 0x3d,
    0x04, 0x03, 0x02, 0x06, 0x09, 0x2a, 0x86, 0x48, 0x86, 0xf7, 0x0d, 0x01, 0x09, 0x07,
};

static void on_csrattrs(porch_http_exchange *x) {
    reply_der(x, "application/csrattrs", (porch_bytes){CSR_ATTRIBUTES, sizeof CSR_ATTRIBUTES});
}

/* ---- enrolment ---------------------------------------------------------------------------------- */

static porch_err read_request(porch_http_exchange *x, porch_buf *der, porch_why *why) {
    const char *type = porch_http_header(x, "Content-Type");
    if (type == NULL || strncmp(type, "application/pkcs10", 18) != 0 ||
        (type[18] != '\0' && type[18] != ';' && type[18] != ' '))
        return porch_fail(why, PORCH_ERR_MALFORMED, "the body is of type application/pkcs10");
    porch_err e = porch_est_body_read(porch_http_body(x), der);
    if (e == PORCH_OK) return e;
    return porch_fail(why, e, "the body is a certificate request (PKCS#10, DER) in base64");
}

/* RFC 7030, 3.5, with the value of RFC 9266: what the request carries must be right; whether it must carry
 * it is the product's to say. */
static porch_err check_binding(porch_http_exchange *x, porch_bytes csr, bool *bound, porch_why *why) {
    const porch_tls_peer_info *tls = &porch_http_peer(x)->tls;
    char said[PORCH_CSR_CHALLENGE_BYTES], own[64];
    porch_err e = porch_csr_challenge(csr, said, why);
    *bound = false;
    if (e == PORCH_ERR_NOT_FOUND) return PORCH_OK;
    PORCH_TRY(e);
    porch_buf b = {(uint8_t *)own, 0, sizeof own - 1};
    if (tls->has_binding)
        PORCH_TRY(porch_base64_write(&b, (porch_bytes){tls->binding, sizeof tls->binding}, false));
    own[b.len] = '\0';
    *bound = tls->has_binding && strcmp(said, own) == 0;
    if (*bound) return PORCH_OK;
    return porch_fail(
        why, PORCH_ERR_DENIED,
        "the request's challengePassword is not the binding of this connection (tls-exporter, RFC "
        "9266, in base64): the request came another way");
}

/* By what the device will know the hub's time. An answer without it is still a good certificate. */
static void tell_time_key(porch_http_exchange *x, porch_api *api) {
    uint8_t key[32];
    char text[48];
    porch_buf b = {(uint8_t *)text, 0, sizeof text - 1};
    if (porch_signer_time_key(api->signer, key, NULL) != PORCH_OK ||
        porch_base64_write(&b, (porch_bytes){key, sizeof key}, false) != PORCH_OK)
        return;
    text[b.len] = '\0';
    (void)porch_http_reply_header(x, PORCH_SIGNED_TIME_KEY_HEADER, text);
}

/* For device.conf: without its product no update is for a device. */
static void tell_names(porch_http_exchange *x, porch_api *api, const char *device) {
    porch_registry_device row;
    (void)porch_http_reply_header(x, PORCH_EST_HUB_HEADER, api->settings->hub_id);
    if (porch_registry_device_get(api->registry, device, &row) == PORCH_OK)
        (void)porch_http_reply_header(x, PORCH_EST_PRODUCT_HEADER, row.product);
}

/* Evidence that comes with a request is judged; whether it must come is the product's to say. */
static porch_err check_evidence(porch_http_exchange *x, porch_bytes csr, bool *proved, porch_why *why) {
    const porch_api *api = porch_http_route_ctx(x);
    const char *text = porch_http_header(x, PORCH_EVIDENCE_HEADER);
    uint8_t block[PORCH_ATTESTATION_BYTES];
    porch_buf raw = PORCH_BUF_OF(block);
    porch_public_key key;
    *proved = false;
    if (text == NULL) return PORCH_OK;
    PORCH_TRY(porch_csr_read(csr, &key, why));
    if (porch_base64_read(&raw, porch_bytes_of(text), false) != PORCH_OK)
        return porch_fail(why, PORCH_ERR_MALFORMED, PORCH_EVIDENCE_HEADER " is no base64");
    porch_err e = porch_attestations_check(api->attestations, porch_buf_bytes(&raw), &key,
                                           porch_clock_mono_ms(), why);
    *proved = e == PORCH_OK;
    return e == PORCH_ERR_SIGNATURE ? PORCH_ERR_DENIED : e;
}

static void complete(porch_http_exchange *x, porch_registry_enrolment *in, const char *by) {
    porch_api *api = porch_http_route_ctx(x);
    uint8_t der_block[PORCH_EST_BODY_BYTES];
    porch_buf der = PORCH_BUF_OF(der_block);
    char id[PORCH_REGISTRY_NAME_BYTES] = "";
    porch_registry_issued issued = {0};
    porch_why why = {""};
    porch_err e = read_request(x, &der, &why);
    in->csr = porch_buf_bytes(&der);
    if (e == PORCH_OK) e = check_binding(x, in->csr, &in->bound, &why);
    if (e == PORCH_OK) e = check_evidence(x, in->csr, &in->hardware_proved, &why);
    if (e == PORCH_OK) e = porch_registry_enrol(api->registry, api->signer, in, id, &issued, &why);
    if (e != PORCH_OK) {
        refuse(x, e, &why);
        return;
    }
    porch_log(PORCH_LOG_INFO, "est.issued", "device", id, "by", by, "serial", issued.serial, "address",
              porch_http_peer(x)->address, "hardware", in->hardware_proved ? "proved" : "-", NULL);
    tell_time_key(x, api);
    tell_names(x, api, id);
    e = reply_chain(x, porch_bytes_of(issued.cert_pem), &why);
    if (e != PORCH_OK) refuse(x, e, &why);
    porch_registry_issued_free(&issued);
}

static void on_enroll(porch_http_exchange *x) {
    const porch_peer *peer = porch_http_peer(x);
    const char *authorization = porch_http_header(x, "Authorization");
    char token[PORCH_EST_PASSWORD_BYTES];
    porch_registry_enrolment in = {.claim = NULL};
    porch_why why = {""};
    if (peer->admitted) {
        porch_fail(&why, PORCH_ERR_EXISTS, "%s has a certificate already; renew it by simplereenroll",
                   peer->principal.name);
        refuse(x, PORCH_ERR_EXISTS, &why);
        return;
    }
    if (authorization != NULL) {
        if (porch_est_password_read(porch_bytes_of(authorization), token) != PORCH_OK) {
            porch_fail(&why, PORCH_ERR_AUTH, "a claim token is the password of HTTP Basic authentication");
            refuse(x, PORCH_ERR_AUTH, &why);
            return;
        }
        in.claim = token;
    }
    /* Its own times have been judged; a factory's certificate has none worth the name (RFC 5280, 4.1.2.5).
     */
    if (peer->tls.has_certificate && peer->tls.has_issuer && !peer->tls.expired &&
        !peer->tls.not_yet_valid) {
        in.factory = &peer->tls.x509;
        in.issuer = peer->tls.issuer;
    }
    if (in.factory != NULL && in.factory->weak_key) {
        porch_fail(
            &why, PORCH_ERR_UNSUPPORTED,
            "others have the key of this factory certificate (a standard's example, or next to none): "
            "anybody could show it");
        refuse(x, PORCH_ERR_UNSUPPORTED, &why);
    } else {
        complete(x, &in, in.claim == NULL ? "factory" : in.factory == NULL ? "claim" : "factory and claim");
    }
    porch_wipe(token, sizeof token);
}

static void on_reenroll(porch_http_exchange *x) {
    const porch_peer *peer = porch_http_peer(x);
    const porch_identity *who = &peer->tls.x509.identity;
    porch_why why = {""};
    if (!peer->tls.has_certificate || who->kind != PORCH_IDENTITY_DEVICE) {
        porch_fail(&why, PORCH_ERR_AUTH, "show the device's certificate that is to be renewed");
        refuse(x, PORCH_ERR_AUTH, &why);
        return;
    }
    porch_registry_enrolment in = {.device = who->name, .fingerprint = peer->tls.x509.fingerprint};
    complete(x, &in, peer->admitted ? "renewal" : "renewal after its end");
}

/* ---- where a key lives ---------------------------------------------------------------------------- */

typedef struct {
    char *text[MAKERS_MOST]; /* ours to free */
    porch_bytes pem[MAKERS_MOST];
    size_t count;
    bool whole;
} makers;

static bool append_maker(const porch_registry_tpm_ca *ca, void *ctx) {
    makers *all = ctx;
    char *pem = all->count < MAKERS_MOST ? strdup(ca->pem) : NULL;
    all->whole = pem != NULL;
    if (pem == NULL) return false;
    all->text[all->count] = pem;
    all->pem[all->count++] = porch_bytes_of(pem);
    return true;
}

static void free_makers(makers *all) {
    for (size_t i = 0; i < all->count; i++)
        free(all->text[i]);
}

static porch_err challenge(porch_http_exchange *x, porch_buf *out, porch_why *why) {
    const porch_api *api = porch_http_route_ctx(x);
    uint8_t question_block[PORCH_ATTESTATION_BYTES], answer_block[PORCH_ATTESTATION_BYTES];
    porch_buf question = PORCH_BUF_OF(question_block), answer = PORCH_BUF_OF(answer_block);
    const char *type = porch_http_header(x, "Content-Type");
    if (type == NULL || strcmp(type, PORCH_ATTESTATION_QUESTION) != 0 ||
        porch_base64_read(&question, porch_http_body(x), false) != PORCH_OK)
        return porch_fail(why, PORCH_ERR_MALFORMED,
                          "the body is a question of type " PORCH_ATTESTATION_QUESTION " in base64");
    makers all = {.whole = true};
    porch_err e = porch_registry_tpm_cas(api->registry, append_maker, &all, why);
    if (e == PORCH_OK && !all.whole)
        e = porch_fail(why, PORCH_ERR_BUSY, "no memory for the makers of TPMs now; ask again");
    if (e == PORCH_OK)
        e = porch_attestations_ask(api->attestations, porch_buf_bytes(&question), all.pem, all.count,
                                   porch_clock_ms(), porch_clock_mono_ms(), &answer, why);
    free_makers(&all);
    return e == PORCH_OK ? porch_base64_write(out, porch_buf_bytes(&answer), false) : e;
}

static void on_attestation(porch_http_exchange *x) {
    uint8_t block[2 * PORCH_ATTESTATION_BYTES];
    porch_buf answer = PORCH_BUF_OF(block);
    porch_why why = {""};
    porch_err e = challenge(x, &answer, &why);
    if (e != PORCH_OK) { /* the line about it is http.refused, which has a limit */
        refuse(x, e == PORCH_ERR_AUTH ? PORCH_ERR_DENIED : e, &why);
        return;
    }
    (void)porch_http_reply_header(x, "Cache-Control", "no-store");
    (void)porch_http_reply(x, 200, PORCH_ATTESTATION_QUESTION, porch_buf_bytes(&answer));
}

/* ---- the time ----------------------------------------------------------------------------------- */

/* What the newest timestamp.json of the update repository hashes to, so that a device that hears the time
 * also hears that there is something newer than what it was shown. False: there is no repository. */
static bool timestamp_hash(const porch_api *api, uint8_t hash[32]) {
    char path[PATH_BYTES];
    uint8_t *text = NULL;
    size_t len = 0;
    if (porch_path_join(api->dir, "updates/metadata/timestamp.json", path, sizeof path) != PORCH_OK ||
        porch_file_read(path, PEM_MOST, &text, &len, NULL) != PORCH_OK)
        return false;
    porch_sha256((porch_bytes){text, len}, hash);
    free(text);
    return true;
}

/* The door's verdict is by time first: whether one that has ended was withdrawn before, the registry knows.
 */
static porch_err check_withdrawn(const porch_api *api, const porch_peer *peer, porch_why *why) {
    const porch_identity *who = &peer->tls.x509.identity;
    porch_registry_entry entry;
    if (peer->verdict == PORCH_ERR_REVOKED)
        return porch_fail(why, PORCH_ERR_REVOKED, "%s", porch_why_text(&peer->verdict_why, peer->verdict));
    if (peer->verdict != PORCH_ERR_EXPIRED || who->kind != PORCH_IDENTITY_DEVICE) return PORCH_OK;
    porch_err e = porch_registry_may_renew(api->registry, who->name, peer->tls.x509.fingerprint,
                                           porch_clock_ms(), &entry, why);
    return e == PORCH_ERR_REVOKED ? e : PORCH_OK;
}

/* Strangers must not use up signer.times_per_minute, which is everybody's, nor one certificate alone, nor
 * one that counts no more. */
static porch_err check_asker(const porch_http_exchange *x, porch_why *why) {
    const porch_api *api = porch_http_route_ctx(x);
    const porch_peer *peer = porch_http_peer(x);
    uint64_t wait_ms = 0;
    if (!peer->tls.has_certificate)
        return porch_fail(why, PORCH_ERR_DENIED, "the time is told to devices that show a certificate");
    PORCH_TRY(check_withdrawn(api, peer, why));
    if (porch_turns_take(api->time_turns, peer->tls.x509.fingerprint, porch_clock_mono_ms(), &wait_ms))
        return PORCH_OK;
    return porch_fail(why, PORCH_ERR_BUSY,
                      "this certificate asks for the time too often; try again in %llu ms "
                      "(est.times_per_minute)",
                      (unsigned long long)wait_ms);
}

/* For whoever has a certificate of ours or of a factory's, renew-only devices above all: it is no secret,
 * and the nonce makes each answer its asker's own. Nobody else can verify it. */
static void on_time(porch_http_exchange *x) {
    porch_api *api = porch_http_route_ctx(x);
    char text[80];
    uint8_t nonce[PORCH_SIGNED_TIME_NONCE_BYTES], block[PORCH_SIGNED_TIME_BYTES], hash[32];
    porch_buf raw = PORCH_BUF_OF(nonce), answer = PORCH_BUF_OF(block);
    porch_why why = {""};
    porch_err e = check_asker(x, &why);
    if (e != PORCH_OK) {
        refuse(x, e, &why);
        return;
    }
    e = porch_http_query(x, "nonce", text, sizeof text);
    if (e == PORCH_OK) e = porch_hex_read(&raw, porch_bytes_of(text));
    if (e != PORCH_OK || raw.len != sizeof nonce)
        e = porch_fail(&why, PORCH_ERR_MALFORMED, "ask with ?nonce= and 64 lower-case hex digits");
    bool has_hash = e == PORCH_OK && timestamp_hash(api, hash);
    if (e == PORCH_OK) e = porch_signer_time(api->signer, nonce, has_hash ? hash : NULL, &answer, &why);
    if (e != PORCH_OK) {
        refuse(x, e, &why);
        return;
    }
    (void)porch_http_reply_header(x, "Cache-Control", "no-store");
    (void)porch_http_reply(x, 200, PORCH_SIGNED_TIME_TYPE, porch_buf_bytes(&answer));
}

size_t porch_est_routes(porch_api *api, porch_http_route *out, size_t most) {
    const unsigned open = PORCH_HTTP_ANY_VERDICT;
    const porch_http_route rows[] = {
        {"GET", "/.well-known/est/cacerts", PORCH_ON_DEVICE, open | PORCH_HTTP_QUARANTINED, 0, on_cacerts,
         api, NULL, NULL},
        {"GET", "/.well-known/est/csrattrs", PORCH_ON_DEVICE, open | PORCH_HTTP_QUARANTINED, 0, on_csrattrs,
         api, NULL, NULL},
        {"POST", "/.well-known/est/simpleenroll", PORCH_ON_DEVICE, open, PORCH_EST_BODY_BYTES, on_enroll,
         api, NULL, NULL},
        {"POST", "/.well-known/est/simplereenroll", PORCH_ON_DEVICE, open, PORCH_EST_BODY_BYTES,
         on_reenroll, api, NULL, NULL},
        {"POST", PORCH_ATTESTATION_PATH, PORCH_ON_DEVICE, open, (uint64_t)2 * PORCH_ATTESTATION_BYTES,
         on_attestation, api, NULL, NULL},
        {"GET", PORCH_SIGNED_TIME_PATH, PORCH_ON_DEVICE, open | PORCH_HTTP_QUARANTINED, 0, on_time, api,
         NULL, NULL},
    };
    size_t count = 0;
    for (; count < sizeof rows / sizeof rows[0] && count < most; count++)
        out[count] = rows[count];
    return count;
}
