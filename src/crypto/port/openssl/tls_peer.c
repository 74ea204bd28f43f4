/* Who is at the other end: what the certificate of a finished handshake says, or, of a resumed one, what it
 * said at the full handshake. Called by tls_conn.c and, for what a kept session must know, by
 * tls_sessions.c. */
#include "crypto/port/openssl/tls_port.h"

#include <stdio.h>
#include <string.h>

#include <openssl/err.h>
#include <openssl/x509v3.h>

#include "crypto/port/openssl/openssl.h"

/* Which of the trusted authorities signed it: of those that we named to the client. */
static void find_issuer(const porch_tls_server *server, X509 *cert, porch_tls_who *who) {
    const STACK_OF(X509) *cas = server != NULL ? server->authorities : NULL;
    for (int i = 0; i < sk_X509_num(cas) && !who->has_issuer; i++) {
        X509 *ca = sk_X509_value(cas, i);
        if (X509_check_issued(ca, cert) != X509_V_OK || X509_verify(cert, X509_get0_pubkey(ca)) != 1)
            continue;
        unsigned len = 0;
        who->has_issuer = X509_digest(ca, EVP_sha256(), who->issuer, &len) == 1 && len == 32;
    }
    ERR_clear_error();
}

porch_err porch_tls_who_read(const porch_tls_server *server, const SSL *ssl, porch_tls_who *ret) {
    porch_tls_who who = {.has_certificate = false};
    X509 *cert = SSL_get0_peer_certificate(ssl);
    if (cert != NULL) {
        if (porch_openssl_info(cert, &who.x509, NULL) != PORCH_OK) return PORCH_ERR_INTERNAL;
        who.has_certificate = true;
        /* Our own devices' names say who they are; who vouches is asked about the others only. */
        if (who.x509.identity.kind == PORCH_IDENTITY_NONE) find_issuer(server, cert, &who);
    }
    *ret = who;
    return PORCH_OK;
}

static void copy_text(char *out, size_t cap, const char *text, size_t len) {
    if (len >= cap) len = cap - 1;
    memcpy(out, text, len);
    out[len] = '\0';
}

porch_err porch_tls_peer_read(const porch_tls_server *server, SSL *ssl, porch_tls_peer_info *ret) {
    porch_tls_peer_info info = {.has_certificate = false};
    porch_tls_who who;
    if (!porch_tls_session_who(SSL_get0_session(ssl), &who))
        PORCH_TRY(porch_tls_who_read(server, ssl, &who));
    info.has_certificate = who.has_certificate;
    info.x509 = who.x509;
    info.has_issuer = who.has_issuer;
    memcpy(info.issuer, who.issuer, sizeof info.issuer);
    static const char label[] = "EXPORTER-Channel-Binding";
    info.has_binding = SSL_version(ssl) == TLS1_3_VERSION &&
                       SSL_export_keying_material(ssl, info.binding, sizeof info.binding, label,
                                                  sizeof label - 1, NULL, 0, 1) == 1;
    info.resumed = SSL_session_reused(ssl) == 1;
    (void)snprintf(info.version, sizeof info.version, "%s",
                   SSL_version(ssl) == TLS1_3_VERSION ? "1.3" : "1.2");
    const char *cipher = SSL_get_cipher_name(ssl);
    if (cipher != NULL) copy_text(info.cipher, sizeof info.cipher, cipher, strlen(cipher));
    const unsigned char *alpn = NULL;
    unsigned alpn_len = 0;
    SSL_get0_alpn_selected(ssl, &alpn, &alpn_len);
    if (alpn_len > 0) copy_text(info.alpn, sizeof info.alpn, (const char *)alpn, alpn_len);
    *ret = info;
    return PORCH_OK;
}
