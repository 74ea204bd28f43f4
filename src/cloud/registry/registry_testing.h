/* A registry with a signer in the same process, for tests of this room and of those above it. Defines
 * porch_signer_issue and porch_signer_client_attached: the test's own answers instead of the signer
 * process. */
#ifndef PORCH_CLOUD_REGISTRY_TESTING_H
#define PORCH_CLOUD_REGISTRY_TESTING_H

#include <string.h>

#include "base/cursor.h"
#include "cloud/registry/registry.h"
#include "cloud/signer/signer_client.h"
#include "cloud/store/store_testing.h"
#include "crypto/keystore.h"
#include "crypto/x509.h"
#include "os/clock.h"

typedef struct {
    porch_key *key;
    uint8_t cert[PORCH_X509_PEM_BYTES];
    size_t cert_len;
    porch_err refuse;         /* what the next issue answers instead, when not PORCH_OK */
    int64_t not_before_shift; /* of the next certificates, in ms */
    unsigned issued;
    void (*meanwhile)(void *ctx); /* what happens while the next issue is on its way; NULL: nothing */
    void *meanwhile_ctx;
} signer_double;

static signer_double the_signer;

/* Never looked into: only its being there counts. */
#define THE_SIGNER ((porch_signer_client *)(void *)&the_signer)

static inline void signer_double_start(void) {
    memset(&the_signer, 0, sizeof the_signer);
    porch_buf pem = {the_signer.cert, 0, sizeof the_signer.cert};
    porch_why why = {""};
    if (porch_key_generate_p256(&the_signer.key, &why) != PORCH_OK) abort();
    if (porch_ca_make_root("test root", the_signer.key, porch_clock_ms() - 86400000ull * 400, 10, &pem,
                           &why) != PORCH_OK)
        abort();
    the_signer.cert_len = pem.len;
}

static inline void signer_double_end(void) {
    porch_key_free(the_signer.key);
}

porch_err porch_signer_issue(porch_signer_client *c, porch_signer_profile profile, const char *const *names,
                             size_t names_count, porch_bytes csr_pem, uint32_t days, porch_buf *out_pem,
                             porch_why *why) {
    (void)c;
    if (the_signer.refuse != PORCH_OK) return porch_fail(why, the_signer.refuse, "the signer will not");
    void (*meanwhile)(void *) = the_signer.meanwhile;
    the_signer.meanwhile = NULL;
    if (meanwhile != NULL) meanwhile(the_signer.meanwhile_ctx);
    porch_public_key key;
    PORCH_TRY(porch_csr_read(csr_pem, &key, why));
    porch_ca issuer = {{the_signer.cert, the_signer.cert_len}, the_signer.key};
    uint64_t from = (uint64_t)((int64_t)porch_clock_ms() + the_signer.not_before_shift);
    porch_ca_request request = {.profile = profile == PORCH_SIGNER_DEVICE ? PORCH_PROFILE_DEVICE
                                                                          : PORCH_PROFILE_SERVICE,
                                .id = names_count > 0 ? names[0] : "",
                                .not_before_ms = from,
                                .not_after_ms = from + (uint64_t)days * 86400000ull};
    the_signer.issued++;
    PORCH_TRY(porch_ca_issue(&issuer, &key, &request, out_pem, why));
    return porch_write_bytes(out_pem, issuer.cert_pem);
}

porch_err porch_signer_issuer_next(porch_signer_client *c, porch_buf *csr_pem, porch_why *why) {
    (void)c, (void)csr_pem;
    return porch_fail(why, PORCH_ERR_CHILD, "this signer has no next key");
}

porch_err porch_signer_issuer_use(porch_signer_client *c, porch_bytes cert_pem, porch_why *why) {
    (void)c, (void)cert_pem;
    return porch_fail(why, PORCH_ERR_CHILD, "this signer has no next key");
}

porch_err porch_signer_issuer_forget(porch_signer_client *c, const uint8_t key_hash[32], porch_why *why) {
    (void)c, (void)key_hash;
    return porch_fail(why, PORCH_ERR_CHILD, "this signer has no next key");
}

porch_err porch_signer_trust_head(porch_signer_client *c, porch_bytes rows, porch_buf *head,
                                  porch_why *why) {
    (void)c, (void)rows, (void)head;
    return porch_fail(why, PORCH_ERR_CHILD, "this signer signs no heads");
}

porch_err porch_signer_clock(porch_signer_client *c, bool confirm, char reason[PORCH_SIGNER_REASON_BYTES],
                             porch_why *why) {
    (void)c, (void)confirm, (void)why;
    reason[0] = '\0';
    return PORCH_OK;
}

porch_err porch_signer_time_key(porch_signer_client *c, uint8_t key[32], porch_why *why) {
    (void)c, (void)why;
    memset(key, 1, 32);
    return PORCH_OK;
}

bool porch_signer_client_attached(porch_signer_client *c) {
    return c == THE_SIGNER;
}

/* A fresh key's certificate request, zero-terminated. */
static inline void make_csr(char *out, size_t cap) {
    porch_key *key = NULL;
    porch_why why = {""};
    porch_buf pem = {(uint8_t *)out, 0, cap - 1};
    if (porch_key_generate_p256(&key, &why) != PORCH_OK || porch_csr_make(key, &pem, &why) != PORCH_OK)
        abort();
    out[pem.len] = '\0';
    porch_key_free(key);
}

#endif
