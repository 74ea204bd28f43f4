/* Resumption without state: the session, client certificate included, travels in the client's ticket,
 * sealed under keys that exist only in this process and rotate.
 *
 *   age of a key   0 ── lifetime/2 ────────────── lifetime * 3/2
 *                  seals and opens │ opens only  │ gone
 *
 * A ticket also carries the moment of its full handshake, so that a chain of resumptions cannot outlive one
 * lifetime: after it the certificate chain is verified anew. */
#include "crypto/port/openssl/tls_port.h"

#include <string.h>
#include <time.h>

#include <openssl/core_names.h>
#include <openssl/params.h>

#include "crypto/random.h"

static uint64_t monotonic_s(void) {
    struct timespec t;
    (void)clock_gettime(CLOCK_MONOTONIC, &t);
    return (uint64_t)t.tv_sec;
}

void porch_tickets_sealing_key(porch_tickets *t, porch_ticket_key *ret) {
    (void)pthread_mutex_lock(&t->lock);
    uint64_t now = t->now_s();
    if (t->count == 0 || now - t->key[0].made_s >= (t->lifetime_s + 1) / 2) {
        if (t->count < PORCH_TICKET_KEYS) t->count++;
        memmove(&t->key[1], &t->key[0], (t->count - 1) * sizeof t->key[0]);
        porch_random(&t->key[0], sizeof t->key[0]);
        t->key[0].made_s = now;
    }
    *ret = t->key[0];
    (void)pthread_mutex_unlock(&t->lock);
}

bool porch_tickets_opening_key(porch_tickets *t, const uint8_t name[16], porch_ticket_key *ret,
                               bool *newest) {
    bool found = false;
    (void)pthread_mutex_lock(&t->lock);
    uint64_t now = t->now_s(), oldest = t->lifetime_s + (t->lifetime_s + 1) / 2;
    for (size_t i = 0; i < t->count && !found; i++) {
        if (memcmp(t->key[i].name, name, sizeof t->key[i].name) != 0) continue;
        if (now - t->key[i].made_s > oldest) break;
        *ret = t->key[i];
        *newest = i == 0;
        found = true;
    }
    (void)pthread_mutex_unlock(&t->lock);
    return found;
}

void porch_tickets_wipe(porch_tickets *t) {
    porch_wipe(t->key, sizeof t->key);
    (void)pthread_mutex_destroy(&t->lock);
}

static bool key_contexts(const porch_ticket_key *key, const uint8_t *iv, EVP_CIPHER_CTX *cipher,
                         EVP_MAC_CTX *mac, int sealing) {
    OSSL_PARAM params[] = {
        OSSL_PARAM_construct_octet_string(OSSL_MAC_PARAM_KEY, (void *)key->mac_key, sizeof key->mac_key),
        OSSL_PARAM_construct_utf8_string(OSSL_MAC_PARAM_DIGEST, (char *)"SHA256", 0),
        OSSL_PARAM_construct_end(),
    };
    return EVP_MAC_CTX_set_params(mac, params) == 1 &&
           EVP_CipherInit_ex(cipher, EVP_aes_256_cbc(), NULL, key->cipher_key, iv, sealing) == 1;
}

static porch_tickets *tickets_of(SSL *ssl) {
    return &((porch_tls_server *)SSL_CTX_get_app_data(SSL_get_SSL_CTX(ssl)))->tickets;
}

/* The library's hook (SSL_CTX_set_tlsext_ticket_key_evp_cb): 1 use, 2 use and send a new one, 0 ignore. */
static int on_ticket_key(SSL *ssl, unsigned char *name, unsigned char *iv, EVP_CIPHER_CTX *cipher,
                         EVP_MAC_CTX *mac, int sealing) {
    porch_tickets *t = tickets_of(ssl);
    porch_ticket_key key;
    int answer = 0;
    bool newest = true;
    if (sealing) {
        porch_tickets_sealing_key(t, &key);
        memcpy(name, key.name, sizeof key.name);
        porch_random(iv, (size_t)EVP_CIPHER_get_iv_length(EVP_aes_256_cbc()));
        answer = key_contexts(&key, iv, cipher, mac, 1) ? 1 : -1;
    } else if (porch_tickets_opening_key(t, name, &key, &newest)) {
        answer = !key_contexts(&key, iv, cipher, mac, 0) ? -1 : newest ? 1 : 2;
    }
    porch_wipe(&key, sizeof key);
    return answer;
}

/* Called before a ticket is made: notes the full handshake's moment, unless an earlier ticket brought one.
 */
static int on_ticket_make(SSL *ssl, void *ctx) {
    const porch_tickets *t = ctx;
    SSL_SESSION *session = SSL_get_session(ssl);
    void *at = NULL;
    size_t len = 0;
    if (SSL_SESSION_get0_ticket_appdata(session, &at, &len) == 1 && len == sizeof(uint64_t)) return 1;
    uint64_t now = t->now_s();
    return SSL_SESSION_set1_ticket_appdata(session, &now, sizeof now);
}

static SSL_TICKET_RETURN on_ticket_open(SSL *ssl, SSL_SESSION *session, const unsigned char *name,
                                        size_t name_len, SSL_TICKET_STATUS status, void *ctx) {
    (void)name, (void)name_len;
    const porch_tickets *t = ctx;
    if (status != SSL_TICKET_SUCCESS && status != SSL_TICKET_SUCCESS_RENEW)
        return SSL_TICKET_RETURN_IGNORE_RENEW;
    void *at = NULL;
    size_t len = 0;
    uint64_t began;
    if (SSL_SESSION_get0_ticket_appdata(session, &at, &len) != 1 || len != sizeof began)
        return SSL_TICKET_RETURN_IGNORE_RENEW;
    memcpy(&began, at, sizeof began);
    if (t->now_s() - began >= t->lifetime_s) return SSL_TICKET_RETURN_IGNORE_RENEW;
    /* In TLS 1.3 every connection brings the next ticket; in 1.2 one serves as long as its key seals. */
    bool renew = SSL_version(ssl) >= TLS1_3_VERSION || status == SSL_TICKET_SUCCESS_RENEW;
    return renew ? SSL_TICKET_RETURN_USE_RENEW : SSL_TICKET_RETURN_USE;
}

bool porch_tickets_use(porch_tickets *t, SSL_CTX *ctx, uint32_t lifetime_s) {
    if (pthread_mutex_init(&t->lock, NULL) != 0) return false;
    t->lifetime_s = lifetime_s;
    t->count = 0;
    t->now_s = monotonic_s;
    (void)SSL_CTX_set_timeout(ctx, (long)lifetime_s);
    return SSL_CTX_set_num_tickets(ctx, 1) == 1 &&
           SSL_CTX_set_tlsext_ticket_key_evp_cb(ctx, on_ticket_key) == 1 &&
           SSL_CTX_set_session_ticket_cb(ctx, on_ticket_make, on_ticket_open, t) == 1;
}
