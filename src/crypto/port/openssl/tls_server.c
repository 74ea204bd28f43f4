#include "crypto/tls.h"

#include <stdlib.h>
#include <string.h>

#include <openssl/err.h>
#include <openssl/x509v3.h>

#include "crypto/port/openssl/openssl.h"
#include "crypto/port/openssl/tls_port.h"

/* A root vouches for every authority that it ever signed, those that are retired included: whoever signed
 * the leaf must itself stand among those that were named. */
static bool issuer_is_named(const porch_tls_server *server, X509_STORE_CTX *store) {
    const STACK_OF(X509) *chain = X509_STORE_CTX_get0_chain(store);
    const X509 *issuer = sk_X509_num(chain) > 1 ? sk_X509_value(chain, 1) : NULL;
    for (int i = 0; issuer != NULL && i < sk_X509_num(server->authorities); i++)
        if (X509_cmp(issuer, sk_X509_value(server->authorities, i)) == 0) return true;
    return false;
}

/* The verdict on one certificate of the client's chain. Of all faults only the leaf's times pass: they are
 * judged right after the handshake, where the client can be told why. */
static int judge_client(int ok, X509_STORE_CTX *store) {
    int error = X509_STORE_CTX_get_error(store), depth = X509_STORE_CTX_get_error_depth(store);
    if (ok != 1) {
        bool tolerated =
            depth == 0 && (error == X509_V_ERR_CERT_HAS_EXPIRED || error == X509_V_ERR_CERT_NOT_YET_VALID);
        if (!tolerated) return 0;
        X509_STORE_CTX_set_error(store, X509_V_OK);
    }
    X509 *cert = X509_STORE_CTX_get_current_cert(store);
    const SSL *ssl = X509_STORE_CTX_get_ex_data(store, SSL_get_ex_data_X509_STORE_CTX_idx());
    const porch_tls_server *server = ssl != NULL ? SSL_CTX_get_app_data(SSL_get_SSL_CTX(ssl)) : NULL;
    bool unnamed = server != NULL && server->any_usage && depth == 0 &&
                   X509_get_extended_key_usage(cert) == UINT32_MAX;
    if (depth == 0 && !unnamed && !porch_openssl_has_usage(cert, XKU_SSL_CLIENT)) {
        X509_STORE_CTX_set_error(store, X509_V_ERR_INVALID_PURPOSE);
        return 0;
    }
    if (depth == 0 && server != NULL && server->names_issuers && !issuer_is_named(server, store)) {
        X509_STORE_CTX_set_error(store, X509_V_ERR_CERT_REVOKED);
        return 0;
    }
    return 1;
}

/* Server's preference decides; a client that offers only other protocols is refused (RFC 7301, 3.2). */
static int choose_alpn(SSL *ssl, const unsigned char **out, unsigned char *out_len, const unsigned char *in,
                       unsigned in_len, void *ctx) {
    (void)ssl;
    const porch_tls_server *server = ctx;
    unsigned char *chosen = NULL;
    int rc = SSL_select_next_proto(&chosen, out_len, server->alpn, server->alpn_len, in, in_len);
    if (rc != OPENSSL_NPN_NEGOTIATED) return SSL_TLSEXT_ERR_ALERT_FATAL;
    *out = chosen;
    return SSL_TLSEXT_ERR_OK;
}

/* Each issuing authority that stands beside the roots is verified here, once, and then trusted as they are:
 * no handshake needs to verify its signature again. Times are judged in each handshake. */
static porch_err anchor_issuers(X509_STORE *store, const STACK_OF(X509) * cas, porch_why *why) {
    porch_err e = PORCH_OK;
    for (int i = 0; e == PORCH_OK && i < sk_X509_num(cas); i++) {
        X509_STORE_CTX *ctx = X509_STORE_CTX_new();
        if (ctx == NULL || X509_STORE_CTX_init(ctx, store, sk_X509_value(cas, i), NULL) != 1) {
            e = porch_openssl_fail(why, PORCH_ERR_CRYPTO, "checking the clients' authorities");
        } else {
            X509_STORE_CTX_set_flags(ctx, X509_V_FLAG_NO_CHECK_TIME);
            if (X509_verify_cert(ctx) != 1)
                e = porch_fail(why, PORCH_ERR_STATE,
                               "an issuing authority of clients reaches no root that stands beside it: %s",
                               X509_verify_cert_error_string(X509_STORE_CTX_get_error(ctx)));
        }
        X509_STORE_CTX_free(ctx);
    }
    ERR_clear_error();
    if (e == PORCH_OK && X509_STORE_set_flags(store, X509_V_FLAG_PARTIAL_CHAIN) != 1)
        e = porch_openssl_fail(why, PORCH_ERR_CRYPTO, "trusting the clients' authorities");
    return e;
}

static porch_err trust_clients(porch_tls_server *s, const porch_tls_server_config *config, porch_why *why) {
    SSL_CTX *ctx = s->ctx;
    if (config->client_mode == PORCH_TLS_CLIENT_NONE) {
        SSL_CTX_set_verify(ctx, SSL_VERIFY_NONE, NULL);
        return PORCH_OK;
    }
    X509_STORE *store = NULL;
    PORCH_TRY(porch_openssl_store(config->client_ca_pem, &store, why));
    SSL_CTX_set_cert_store(ctx, store); /* takes it over */
    STACK_OF(X509) *cas = NULL;
    PORCH_TRY(porch_openssl_read_chain(config->client_ca_pem, &cas, why));
    porch_err e = anchor_issuers(store, cas, why);
    if (e != PORCH_OK) {
        sk_X509_pop_free(cas, X509_free);
        return e;
    }
    bool good = SSL_CTX_set1_client_sigalgs_list(ctx, "ECDSA+SHA256:ed25519:ECDSA+SHA384") == 1;
    for (int i = 0; good && i < sk_X509_num(cas); i++)
        good = SSL_CTX_add_client_CA(ctx, sk_X509_value(cas, i)) == 1;
    s->authorities = cas;
    for (int i = 0; i < sk_X509_num(cas); i++)
        if ((X509_get_extension_flags(sk_X509_value(cas, i)) & EXFLAG_SI) == 0) s->names_issuers = true;
    if (!good) return porch_openssl_fail(why, PORCH_ERR_CRYPTO, "naming the clients' authorities");
    int mode = SSL_VERIFY_PEER;
    if (config->client_mode == PORCH_TLS_CLIENT_REQUIRE) mode |= SSL_VERIFY_FAIL_IF_NO_PEER_CERT;
    SSL_CTX_set_verify(ctx, mode, judge_client);
    s->any_usage = config->any_usage;
    s->verified = calloc(1, sizeof *s->verified);
    if (s->verified == NULL) return porch_fail(why, PORCH_ERR_NO_SPACE, "no memory for a TLS server");
    (void)pthread_mutex_init(&s->verified->lock, NULL);
    SSL_CTX_set_cert_verify_callback(ctx, porch_verified_check, s->verified);
    return PORCH_OK;
}

static porch_err set_resumption(porch_tls_server *s, const porch_tls_server_config *config,
                                porch_why *why) {
    if (config->ticket_lifetime_s == 0) {
        SSL_CTX_set_options(s->ctx, SSL_OP_NO_TICKET);
        return SSL_CTX_set_num_tickets(s->ctx, 0) == 1 ? PORCH_OK : PORCH_ERR_CRYPTO;
    }
    if (config->ticket_lifetime_s > 7u * 86400u)
        return porch_fail(why, PORCH_ERR_LIMIT, "TLS tickets live at most 7 days (RFC 8446, 4.6.1)");
    if (config->session_context.len == 0 || config->session_context.len > SSL_MAX_SID_CTX_LENGTH)
        return porch_fail(why, PORCH_ERR_LIMIT, "a session context has 1 to %d bytes",
                          SSL_MAX_SID_CTX_LENGTH);
    if (SSL_CTX_set_session_id_context(s->ctx, config->session_context.at,
                                       (unsigned)config->session_context.len) != 1 ||
        !porch_tickets_use(&s->tickets, s->ctx, config->ticket_lifetime_s))
        return porch_openssl_fail(why, PORCH_ERR_CRYPTO, "preparing tickets");
    s->has_tickets = true;
    bool in_table = config->sessions_most > 0 && config->client_mode != PORCH_TLS_CLIENT_NONE &&
                    config->min_version == PORCH_TLS_1_3;
    if (!in_table) return PORCH_OK;
    memcpy(s->context, config->session_context.at, config->session_context.len);
    s->context_len = (unsigned)config->session_context.len;
    s->sessions = porch_tls_sessions_new(config->sessions_most);
    if (s->sessions == NULL) return porch_fail(why, PORCH_ERR_NO_SPACE, "no memory for TLS sessions");
    if (!porch_tls_sessions_use(s->sessions, &s->tickets, s->ctx))
        return porch_openssl_fail(why, PORCH_ERR_CRYPTO, "preparing sessions");
    return PORCH_OK;
}

porch_err porch_tls_server_new(const porch_tls_server_config *config, porch_tls_server **ret,
                               porch_why *why) {
    porch_tls_server *s = calloc(1, sizeof *s);
    if (s == NULL) return porch_fail(why, PORCH_ERR_NO_SPACE, "no memory for a TLS server");
    atomic_init(&s->references, 1u);
    porch_err e = porch_tls_context(TLS_server_method(), config->min_version, &s->ctx, why);
    if (e != PORCH_OK) goto out;
    (void)SSL_CTX_set_app_data(s->ctx, s);
    e = porch_tls_use_chain(s->ctx, config->chain_pem, config->key, why);
    if (e != PORCH_OK) goto out;
    e = trust_clients(s, config, why);
    if (e != PORCH_OK) goto out;
    e = set_resumption(s, config, why);
    if (e != PORCH_OK) goto out;
    e = porch_tls_alpn_wire(config->alpn, s->alpn, sizeof s->alpn, &s->alpn_len, why);
    if (e != PORCH_OK) goto out;
    if (s->alpn_len > 0) SSL_CTX_set_alpn_select_cb(s->ctx, choose_alpn, s);
    *ret = s;
    s = NULL;
out:
    porch_tls_server_unref(s);
    return e;
}

porch_tls_server *porch_tls_server_ref(porch_tls_server *s) {
    atomic_fetch_add(&s->references, 1u);
    return s;
}

void porch_tls_server_unref(porch_tls_server *s) {
    if (s == NULL || atomic_fetch_sub(&s->references, 1u) != 1) return;
    SSL_CTX_free(s->ctx);
    SSL_CTX_free(atomic_load(&s->settled));
    sk_X509_pop_free(s->authorities, X509_free);
    if (s->verified != NULL) (void)pthread_mutex_destroy(&s->verified->lock);
    free(s->verified);
    if (s->has_tickets) porch_tickets_wipe(&s->tickets);
    porch_tls_sessions_free(s->sessions);
    free(s);
}

porch_err porch_tls_accept(porch_tls_server *server, int fd, porch_tls_conn **ret) {
    return porch_tls_conn_new(server->ctx, server, NULL, fd, ret);
}
