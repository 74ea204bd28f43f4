#include "crypto/tls.h"

#include <stdlib.h>
#include <string.h>
#include <time.h>

#include <openssl/err.h>
#include <openssl/x509v3.h>

#include "crypto/port/openssl/openssl.h"
#include "crypto/port/openssl/tls_port.h"

/* The library checks chain, name and, where it is named, usage; here usage must be named. */
static int judge_server(int ok, X509_STORE_CTX *store) {
    if (ok == 1 && X509_STORE_CTX_get_error_depth(store) == 0 &&
        !porch_openssl_has_usage(X509_STORE_CTX_get_current_cert(store), XKU_SSL_SERVER)) {
        X509_STORE_CTX_set_error(store, X509_V_ERR_INVALID_PURPOSE);
        return 0;
    }
    return ok;
}

/* The same where the clock may be late: what has not begun by it is for the caller to judge. */
static int judge_early_server(int ok, X509_STORE_CTX *store) {
    if (ok == 0 && X509_STORE_CTX_get_error(store) == X509_V_ERR_CERT_NOT_YET_VALID) {
        X509_STORE_CTX_set_error(store, X509_V_OK);
        ok = 1;
    }
    return judge_server(ok, store);
}

/* A ticket has come: keep it in place of the last one. 1 takes the session over. */
static int keep_session(SSL *ssl, SSL_SESSION *session) {
    porch_tls_client *c = SSL_CTX_get_app_data(SSL_get_SSL_CTX(ssl));
    (void)pthread_mutex_lock(&c->lock);
    SSL_SESSION *before = c->session;
    c->session = session;
    (void)pthread_mutex_unlock(&c->lock);
    SSL_SESSION_free(before);
    return 1;
}

static porch_err trust_server(porch_tls_client *c, const porch_tls_client_config *config, porch_why *why) {
    X509_STORE *store = NULL;
    PORCH_TRY(porch_openssl_store(config->ca_pem, &store, why));
    SSL_CTX_set_cert_store(c->ctx, store); /* takes it over */
    SSL_CTX_set_verify(c->ctx, SSL_VERIFY_PEER, config->may_be_early ? judge_early_server : judge_server);
    X509_VERIFY_PARAM *param = SSL_CTX_get0_param(c->ctx);
    X509_VERIFY_PARAM_set_hostflags(param, X509_CHECK_FLAG_NEVER_CHECK_SUBJECT |
                                               X509_CHECK_FLAG_NO_PARTIAL_WILDCARDS);
    uint8_t ip[16];
    size_t ip_len = porch_openssl_ip(c->name, ip);
    c->name_is_ip = ip_len > 0;
    int rc = ip_len > 0 ? X509_VERIFY_PARAM_set1_ip(param, ip, ip_len)
                        : X509_VERIFY_PARAM_set1_host(param, c->name, strlen(c->name));
    return rc == 1 ? PORCH_OK : porch_openssl_fail(why, PORCH_ERR_CRYPTO, "setting the server's name");
}

porch_err porch_tls_client_new(const porch_tls_client_config *config, porch_tls_client **ret,
                               porch_why *why) {
    porch_tls_client *c = calloc(1, sizeof *c);
    if (c == NULL) return porch_fail(why, PORCH_ERR_NO_SPACE, "no memory for a TLS client");
    atomic_init(&c->references, 1u);
    (void)pthread_mutex_init(&c->lock, NULL);
    uint8_t alpn[PORCH_TLS_MAX_ALPN * 16];
    unsigned alpn_len = 0;
    porch_err e = PORCH_OK;
    if (config->name == NULL ||
        !porch_bytes_to_text(porch_bytes_of(config->name), c->name, sizeof c->name) || c->name[0] == '\0') {
        e = porch_fail(why, PORCH_ERR_USAGE, "a TLS client needs the name that the server must prove");
        goto out;
    }
    e = porch_tls_context(TLS_client_method(), config->min_version, &c->ctx, why);
    if (e != PORCH_OK) goto out;
    (void)SSL_CTX_set_app_data(c->ctx, c);
    e = trust_server(c, config, why);
    if (e == PORCH_OK && config->chain_pem.len > 0)
        e = porch_tls_use_chain(c->ctx, config->chain_pem, config->key, why);
    if (e == PORCH_OK) e = porch_tls_alpn_wire(config->alpn, alpn, sizeof alpn, &alpn_len, why);
    if (e != PORCH_OK) goto out;
    if (alpn_len > 0 &&
        SSL_CTX_set_alpn_protos(c->ctx, alpn, alpn_len) != 0) { /* 0 is this one's success */
        e = porch_openssl_fail(why, PORCH_ERR_CRYPTO, "offering application protocols");
        goto out;
    }
    c->resume = config->resume && !config->may_be_early;
    c->clock_ms = config->clock_ms;
    c->clock_ctx = config->clock_ctx;
    if (c->resume) {
        SSL_CTX_set_session_cache_mode(c->ctx, SSL_SESS_CACHE_CLIENT | SSL_SESS_CACHE_NO_INTERNAL);
        SSL_CTX_sess_set_new_cb(c->ctx, keep_session);
    }
    *ret = c;
    c = NULL;
out:
    porch_tls_client_unref(c);
    return e;
}

porch_tls_client *porch_tls_client_ref(porch_tls_client *c) {
    atomic_fetch_add(&c->references, 1u);
    return c;
}

void porch_tls_client_unref(porch_tls_client *c) {
    if (c == NULL || atomic_fetch_sub(&c->references, 1u) != 1) return;
    SSL_SESSION_free(c->session);
    SSL_CTX_free(c->ctx);
    (void)pthread_mutex_destroy(&c->lock);
    free(c);
}

/* The kept ticket, unless the server's certificate has ended since. In TLS 1.3 each is used once (RFC 8446,
 * C.4) and the next one comes at once; in 1.2 the same serves until it ends. */
static SSL_SESSION *take_session(porch_tls_client *c, time_t now) {
    (void)pthread_mutex_lock(&c->lock);
    SSL_SESSION *session = c->session;
    if (session != NULL && SSL_SESSION_get_protocol_version(session) < TLS1_3_VERSION)
        (void)SSL_SESSION_up_ref(session);
    else
        c->session = NULL;
    (void)pthread_mutex_unlock(&c->lock);
    if (session == NULL) return NULL;
    const X509 *server = SSL_SESSION_get0_peer(session);
    if (server != NULL && X509_cmp_time(X509_get0_notAfter(server), &now) > 0 &&
        SSL_SESSION_is_resumable(session))
        return session;
    SSL_SESSION_free(session);
    return NULL;
}

porch_err porch_tls_connect(porch_tls_client *client, int fd, porch_tls_conn **ret) {
    porch_tls_conn *made = NULL;
    PORCH_TRY(porch_tls_conn_new(client->ctx, NULL, client, fd, &made));
    SSL *ssl = porch_tls_conn_ssl(made);
    bool good = client->name_is_ip || SSL_set_tlsext_host_name(ssl, client->name) == 1;
    time_t now =
        client->clock_ms != NULL ? (time_t)(client->clock_ms(client->clock_ctx) / 1000) : time(NULL);
    X509_VERIFY_PARAM_set_time(SSL_get0_param(ssl), now);
    SSL_SESSION *session = client->resume ? take_session(client, now) : NULL;
    if (good && session != NULL) (void)SSL_set_session(ssl, session);
    SSL_SESSION_free(session);
    if (!good) {
        porch_tls_free(made);
        return PORCH_ERR_CRYPTO;
    }
    *ret = made;
    return PORCH_OK;
}

porch_err porch_tls_chain_at(const porch_tls_conn *c, uint64_t at_ms, porch_why *why) {
    STACK_OF(X509) *chain = SSL_get0_verified_chain(porch_tls_conn_ssl((porch_tls_conn *)c));
    if (sk_X509_num(chain) < 1)
        return porch_fail(why, PORCH_ERR_STATE, "the server's chain is not known on this connection");
    for (int i = 0; i < sk_X509_num(chain); i++) {
        uint64_t from_ms = 0, to_ms = 0;
        const X509 *cert = sk_X509_value(chain, i);
        if (!porch_openssl_time_ms(X509_get0_notBefore(cert), &from_ms) ||
            !porch_openssl_time_ms(X509_get0_notAfter(cert), &to_ms))
            return porch_fail(why, PORCH_ERR_MALFORMED,
                              "a certificate of the server has no readable times");
        if (at_ms < from_ms)
            return porch_fail(why, PORCH_ERR_STATE,
                              "the server's certificate was not valid yet at that time");
        if (at_ms > to_ms)
            return porch_fail(why, PORCH_ERR_EXPIRED, "the server's certificate had ended by that time");
    }
    return PORCH_OK;
}
