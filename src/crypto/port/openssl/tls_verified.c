/* Whose chain has been verified already. A device that comes back shows the same certificate: its and its
 * issuers' signatures have not changed since.
 *
 * What is remembered is a leaf's SHA-256 and until when its issuers are valid, for one server object, whose
 * trusted authorities never change. Nothing else is skipped: the leaf's own times are judged after each
 * handshake, so are revocation and registry state, and possession of the key is proved in each. */
#include <string.h>
#include <time.h>

#include <openssl/x509v3.h>

#include "crypto/port/openssl/openssl.h"
#include "crypto/port/openssl/tls_port.h"
#include "crypto/sha256.h"

static porch_verified_slot *slot_of(porch_verified *v, const uint8_t fingerprint[32]) {
    size_t at;
    memcpy(&at, fingerprint, sizeof at);
    return &v->slot[at % PORCH_VERIFIED_SLOTS];
}

bool porch_verified_knows(porch_verified *v, const uint8_t fingerprint[32], uint64_t now_ms) {
    (void)pthread_mutex_lock(&v->lock);
    const porch_verified_slot *s = slot_of(v, fingerprint);
    bool known =
        s->from_ms <= now_ms && now_ms < s->until_ms && memcmp(s->fingerprint, fingerprint, 32) == 0;
    (void)pthread_mutex_unlock(&v->lock);
    return known;
}

void porch_verified_note(porch_verified *v, const uint8_t fingerprint[32], uint64_t from_ms,
                         uint64_t until_ms) {
    (void)pthread_mutex_lock(&v->lock);
    porch_verified_slot *s = slot_of(v, fingerprint);
    memcpy(s->fingerprint, fingerprint, 32);
    s->from_ms = from_ms;
    s->until_ms = until_ms;
    (void)pthread_mutex_unlock(&v->lock);
}

/* When all certificates above the leaf are valid; false when one cannot be read. */
static bool issuers_times(const STACK_OF(X509) * chain, uint64_t *from_ms, uint64_t *until_ms) {
    *from_ms = 0;
    *until_ms = UINT64_MAX;
    for (int i = 1; i < sk_X509_num(chain); i++) {
        uint64_t from, until;
        const X509 *cert = sk_X509_value(chain, i);
        if (!porch_openssl_time_ms(X509_get0_notBefore(cert), &from) ||
            !porch_openssl_time_ms(X509_get0_notAfter(cert), &until))
            return false;
        if (from > *from_ms) *from_ms = from;
        if (until < *until_ms) *until_ms = until;
    }
    return sk_X509_num(chain) > 1;
}

int porch_verified_check(X509_STORE_CTX *store, void *ctx) {
    porch_verified *v = ctx;
    X509 *leaf = X509_STORE_CTX_get0_cert(store);
    uint8_t fingerprint[32], *der = NULL;
    struct timespec t;
    uint64_t from_ms, until_ms;
    (void)clock_gettime(CLOCK_REALTIME, &t);
    uint64_t now_ms = (uint64_t)t.tv_sec * 1000 + (uint64_t)t.tv_nsec / 1000000;
    int len = i2d_X509(leaf, &der);
    if (len <= 0) return 0;
    porch_sha256((porch_bytes){der, (size_t)len}, fingerprint);
    OPENSSL_free(der);
    if (porch_verified_knows(v, fingerprint, now_ms)) {
        X509_STORE_CTX_set_error(store, X509_V_OK);
        return 1;
    }
    int rc = X509_verify_cert(store);
    if (rc == 1 && issuers_times(X509_STORE_CTX_get0_chain(store), &from_ms, &until_ms))
        porch_verified_note(v, fingerprint, from_ms, until_ms);
    /* Else the connection would hold the whole chain as long as it lives. */
    X509_STORE_CTX_set0_verified_chain(store, NULL);
    return rc;
}
